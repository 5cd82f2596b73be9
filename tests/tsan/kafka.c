/* tests/tsan/kafka.c: the Kafka door under the thread sanitizer: its reader's own thread and its
 * helper, and a thread of the library that calls back, all in a hurry, over a stand-in of
 * librdkafka. A race ends it with a report and exit status 66. */
#include "ports/log.h"
#include "ports/log_kafka_reader.h"
#include "tests/tsan/kafka_stand_in.h"

#include <stdio.h>
#include <string.h>

enum { READERS = 60, TURNS = 400 };

/* Stand for those of the door's files that are not hammered. */
enum rc kafka_partitions(
	struct log *log, const char *topic, int wait_ms, int32_t *count, struct err *err)
{
	(void)log, (void)wait_ms, (void)count;
	return err_set(err, RC_RETRY, "%s is not asked for here", topic);
}

enum rc kafka_create(struct log *log, const struct log_topic *topic, int wait_ms, struct err *err)
{
	(void)log, (void)topic, (void)wait_ms;
	return err_set(err, RC_RETRY, "topics are not created here");
}

enum rc kafka_writer_open(struct log *log, const char *const topics[], size_t topic_count,
	struct log_writer **opened, struct err *err)
{
	(void)log, (void)topics, (void)topic_count, (void)opened;
	return err_set(err, RC_RETRY, "nothing is written here");
}

static int64_t seen[8]; /* what turns came to: none of them may be for nothing */

static void take(struct log_reader *reader)
{
	const struct log_message *messages;
	struct log_gap gap;
	struct err err = {0};
	size_t count;
	enum rc rc = log_take(reader, (int)stand_in_chance(3), 1 + stand_in_chance(8), &messages,
		&count, &gap, &err);

	seen[0] += rc == RC_OK;
	seen[1] += rc == RC_REJECT;
	seen[2] += rc == RC_RETRY;
}

static void peek(struct log *log, int32_t partition)
{
	CLEANUP(bytes_done) struct bytes key = {0};
	CLEANUP(bytes_done) struct bytes value = {0};
	int64_t append_ms;
	struct err err = {0};

	seen[3] += log_peek(log, STAND_IN_TOPIC, partition, 1, 2, &key, &value, &append_ms, &err) !=
		   RC_FATAL;
}

static void turn(struct log *log, struct log_reader *reader)
{
	int32_t partition = (int32_t)stand_in_chance(STAND_IN_PARTITIONS);
	char reason[300];
	struct err err = {0};

	switch (stand_in_chance(8)) {
	case 0:
		seen[4] += log_assign(reader, STAND_IN_TOPIC, partition,
				   (int64_t)stand_in_chance(50), &err) == RC_OK;
		break;
	case 1:
		if (!stand_in_chance(4))
			log_unassign(reader, STAND_IN_TOPIC, partition);
		break;
	case 2:
		seen[5] += log_end_age_ms(reader, STAND_IN_TOPIC, partition) >= 0;
		break;
	case 3:
		seen[6] += log_lag(reader, STAND_IN_TOPIC, partition) > 0;
		break;
	case 4:
		seen[7] += !log_is_well(log, reason, sizeof reason);
		break;
	case 5:
		if (!stand_in_chance(20))
			peek(log, partition);
		break;
	case 6: /* the helper rests a tenth of a second otherwise */
		pthread_cond_signal(&((struct kafka_reader *)reader)->changed);
		stand_in_pause(1000);
		break;
	default:
		take(reader);
	}
}

int main(void)
{
	static char brokers[] = "127.0.0.1:1";
	static const struct config_kafka settings = {.brokers = brokers};
	struct log *log;
	struct err err = {0};
	int missed = 0;

	if (log_open(&settings, "tsan", &log, &err) != RC_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (int i = 0; i < READERS; i++) {
		struct log_reader *reader;

		if (log_reader_open(log, &reader, &err) != RC_OK) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		for (int k = 0; k < TURNS; k++)
			turn(log, reader);
		log_reader_close(reader);
	}
	log_close(log);
	for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
		missed += !seen[i];
	printf("%lld takes, %lld gaps, %lld troubles, %lld peeks, %lld assigned, %lld ends, "
	       "%lld lags, %lld times unwell\n",
		(long long)seen[0], (long long)seen[1], (long long)seen[2], (long long)seen[3],
		(long long)seen[4], (long long)seen[5], (long long)seen[6], (long long)seen[7]);
	printf("%d passed, %d failed\n", missed == 0, missed);
	return missed > 0;
}
