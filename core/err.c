#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum rc err_set(struct err *err, enum rc rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return rc;
}

enum rc err_prefix(struct err *err, enum rc rc, const char *format, ...)
{
	char before[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(before, sizeof before, format, args);
	va_end(args);

	size_t used = strlen(before);
	snprintf(before + used, sizeof before - used, "%s", err->text);
	memcpy(err->text, before, sizeof before);
	return rc;
}
