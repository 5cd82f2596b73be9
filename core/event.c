#include "core/event.h"

const char *const event_code_names[E_CODES] = {
	[E_GOOD] = "",
	[E_EMPTY] = "E_EMPTY",
	[E_OVERSIZE] = "E_OVERSIZE",
	[E_JSON] = "E_JSON",
	[E_UTF8] = "E_UTF8",
	[E_DEPTH] = "E_DEPTH",
	[E_DUPKEY] = "E_DUPKEY",
	[E_NUMBER] = "E_NUMBER",
	[E_FRAME] = "E_FRAME",
	[E_MISSING] = "E_MISSING",
	[E_TYPE] = "E_TYPE",
	[E_ENUM] = "E_ENUM",
	[E_NAME] = "E_NAME",
	[E_RANGE] = "E_RANGE",
	[E_NONFINITE] = "E_NONFINITE",
	[E_LATENCY_NEG] = "E_LATENCY_NEG",
	[E_LATE] = "E_LATE",
	[E_FUTURE] = "E_FUTURE",
	[E_CARD_MODEL] = "E_CARD_MODEL",
	[E_CARD_VERSION] = "E_CARD_VERSION",
	[E_CARD_FEATURE] = "E_CARD_FEATURE",
};

const char *const event_type_names[EVENT_TYPES] = {
	[EVENT_PREDICTION] = "prediction",
	[EVENT_LATENCY] = "latency",
	[EVENT_LABEL] = "label",
	[EVENT_METRIC] = "metric",
	[EVENT_HEARTBEAT] = "heartbeat",
	[EVENT_DEPLOY] = "deploy",
};

const char *event_code_stage(enum event_code code)
{
	static const struct {
		enum event_code last;
		const char *name;
	} stages[] = {
		{E_OVERSIZE, "transport"},
		{E_FRAME, "syntax"},
		{E_NAME, "schema"},
		{E_LATENCY_NEG, "range"},
		{E_FUTURE, "time"},
	};

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (code <= stages[i].last)
			return stages[i].name;
	return "cardinality";
}
