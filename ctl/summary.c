#include "ctl/summary.h"

#include "core/json_tree.h"
#include "ctl/words.h"

#include <inttypes.h>

enum { GROUPS_SHOWN = 10 };

void summary_done(struct summary *summary)
{
	bytes_done(&summary->groups);
}

void summary_add(struct summary *summary, const struct ingest_counters *counters)
{
	summary->sum.counted += counters->counted;
	summary->sum.late += counters->late;
	summary->sum.duplicate += counters->duplicate;
	for (int code = 0; code < E_CODES; code++)
		summary->sum.rejected[code] += counters->rejected[code];
}

enum rc summary_add_group(void *context, struct view field, struct view data, struct err *err)
{
	struct summary *summary = context;
	CLEANUP(tree_done) struct tree tree = {0};
	struct tree_fault fault;
	const struct tree_node *root = tree_parse(&tree, data, 8, false, &fault);

	if (!root)
		return err_set(err, RC_FATAL, "dead letters %.*s: %s at byte %zu", (int)field.size,
			field.data, fault.why, fault.byte);
	if (summary->group_count++ >= GROUPS_SHOWN)
		return RC_OK;
	struct view code = tree_text(&tree, root, "code");

	bytes_format(&summary->groups,
		"  %" PRId64 " %.*s%sthe first one: ", tree_integer(&tree, root, "total"),
		(int)code.size, code.data, code.size ? ", " : "");
	words_text(tree_text(&tree, root, "detail"), &summary->groups);
	bytes_text(&summary->groups, "\n");
	return RC_OK;
}

static void print_part(int64_t count, const char *what, FILE *to)
{
	if (count)
		fprintf(to, ", %" PRId64 " %s", count, what);
}

void summary_print(const struct summary *summary, uint64_t events, int64_t took_ms, FILE *to)
{
	const struct ingest_counters *sum = &summary->sum;
	int64_t rejected = 0;

	for (int code = 0; code < E_CODES; code++)
		rejected += sum->rejected[code];
	fprintf(to, "%" PRIu64 " event%s in %.1f s: %" PRId64 " counted", events,
		events == 1 ? "" : "s", (double)took_ms / 1000, sum->counted);
	print_part(sum->late, "late", to);
	print_part(sum->duplicate, "duplicate", to);
	print_part(rejected, "rejected", to);
	fprintf(to, "\n%s", summary->groups.size ? summary->groups.data : "");
	if (summary->group_count > GROUPS_SHOWN)
		fprintf(to, "  and %zu kinds more\n", summary->group_count - GROUPS_SHOWN);
}
