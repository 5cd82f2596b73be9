#include "detectors/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t words_strongest(const struct comparison *comparison, size_t order[WORDS_STRONGEST])
{
	size_t count = 0;

	for (size_t j = 0; j < comparison->member_count; j++) {
		double log_r = comparison->members[j].log_r;
		size_t place = count;

		while (place > 0 && log_r > comparison->members[order[place - 1]].log_r)
			place--;
		if (!(log_r > 0) || place == WORDS_STRONGEST)
			continue;
		if (count < WORDS_STRONGEST)
			count++;
		memmove(order + place + 1, order + place, (count - 1 - place) * sizeof *order);
		order[place] = j;
	}
	return count;
}

/* A text that was cut must not end inside a character. */
static void trim_partial(char *text)
{
	size_t end = strlen(text);
	size_t start = end;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (!start || !((unsigned char)text[start - 1] & 0x80))
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

	if (end - (start - 1) < wanted)
		text[start - 1] = '\0';
}

void words_add(struct evidence *evidence, double log_r, const char *format, ...)
{
	va_list args;

	if (evidence->moved_count == FINDING_MOVED_MAX)
		return;
	char *what = evidence->moved[evidence->moved_count].what;

	va_start(args, format);
	vsnprintf(what, sizeof evidence->moved->what, format, args);
	va_end(args);
	trim_partial(what);
	evidence->moved[evidence->moved_count++].log_e = round(log_r * 1e6) / 1e6;
}

static const char *percentile(double cut)
{
	return cut == 0.999  ? "99.9th"
	       : cut == 0.99 ? "99th"
	       : cut == 0.95 ? "95th"
	       : cut == 0.05 ? "5th"
			     : "1st";
}

void words_bank(const struct comparison *comparison, struct bank_move move, double log_r,
	struct evidence *evidence)
{
	const char *signal = comparison->series.signal;

	switch (move.what) {
	case BANK_LOCATION:
		words_add(evidence, log_r, "%s location %+g sd", signal, move.amount);
		break;
	case BANK_SCALE:
		words_add(evidence, log_r, "%s spread %s (%+g)", signal,
			move.amount > 0 ? "wider" : "narrower", move.amount);
		break;
	case BANK_UPPER_TAIL:
		words_add(evidence, log_r, "%s above the %s percentile x%g", signal,
			percentile(move.cut), move.amount);
		break;
	case BANK_LOWER_TAIL:
		words_add(evidence, log_r, "%s below the %s percentile x%g", signal,
			percentile(move.cut), move.amount);
		break;
	case BANK_ERROR_RATE:
		words_add(evidence, log_r, "failures x%g", move.amount);
		break;
	case BANK_CLASS:
		if (move.bin < comparison->names.count)
			words_add(evidence, log_r, "class %s x%g", comparison->names.list[move.bin],
				move.amount);
		else
			words_add(evidence, log_r, "classes never seen before x%g", move.amount);
		break;
	case BANK_OTHER_CLASSES:
		words_add(evidence, log_r, "rare classes x%g", move.amount);
		break;
	}
}
