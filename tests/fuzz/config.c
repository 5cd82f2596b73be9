/* Any text as a configuration: it is accepted, or has mistakes that say why; never both, nor
 * neither. */
#include "core/config.h"
#include "ports/yaml.h"
#include "tests/fuzz/fuzz.h"

static struct secret *load(void *context, const char *path, struct err *err)
{
	(void)context;
	if (strchr(path, '!')) {
		err_set(err, RC_FATAL, "%.100s is not there", path);
		return NULL;
	}
	return secret_new(path, strlen(path));
}

/* What services rely on without looking again. */
static void claim_whole(const struct config *config)
{
	const struct config_model *model = config_model(config, "some-model", "");

	CLAIM(config->kafka.brokers && config->kafka.topic_count && config->kafka.prefix[0]);
	CLAIM(config->false_alarms > 0 && config->false_alarms_per_s > 0);
	CLAIM(model && model->tick_ms >= 1000 && 86400000 % model->tick_ms == 0);
	CLAIM(config->limits.event_bytes > 0 && config->limits.depth > 0);
	CLAIM(config->redis.transport == REDIS_UNIX ? config->redis.path[0]
						    : config->redis.host[0]);
	for (size_t i = 0; i < config->policy_count; i++)
		CLAIM(config->policies[i].name && config->policies[i].ladder_count);
	for (size_t i = 0; i < config->receiver_count; i++)
		CLAIM(config->receivers[i].name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mistakes mistakes = {0};
	struct node *document = yaml_parse(input_view(data, size), "f.yaml", &mistakes);
	const struct node *documents[] = {document};
	struct config config = {0};

	if (document) {
		enum rc rc = config_read(documents, 1, load, NULL, &config, &mistakes);

		CLAIM((rc == RC_OK) == (mistakes.count == 0));
		if (rc == RC_OK)
			claim_whole(&config);
		config_done(&config);
	} else {
		CLAIM(mistakes.count > 0);
	}
	node_free(document);
	bytes_done(&mistakes.text);
	return 0;
}
