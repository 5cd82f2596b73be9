#include "ctl/table.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

void table_begin(struct table *table, const char *const headings[])
{
	while (headings[table->columns])
		table->columns++;
	for (size_t i = 0; i < table->columns; i++)
		table_text(table, headings[i]);
}

void table_text(struct table *table, const char *text)
{
	if (table->count == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 64;
		table->cells = memory_grow(table->cells, table->capacity, sizeof *table->cells);
	}
	table->cells[table->count++] = memory_text(text);
}

void table_add(struct table *table, const struct bytes *cell)
{
	table_text(table, cell->size ? cell->data : "");
}

size_t table_rows(const struct table *table)
{
	return table->columns ? table->count / table->columns - 1 : 0;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* 0: nothing stands under the heading. */
static int column_width(const struct table *table, size_t column)
{
	int widest = 0;

	for (size_t i = table->columns + column; i < table->count; i += table->columns) {
		int width = width_of(table->cells[i]);

		widest = width > widest ? width : widest;
	}
	int heading = width_of(table->cells[column]);

	return widest && heading > widest ? heading : widest;
}

void table_print(const struct table *table, FILE *to)
{
	int *widths = memory_new(table->columns, sizeof *widths);
	size_t last = 0; /* that has anything in it */

	for (size_t i = 0; i < table->columns; i++) {
		widths[i] = column_width(table, i);
		last = widths[i] ? i : last;
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		int gap = widths[column] - width_of(table->cells[i]) + 2;

		if (widths[column])
			fprintf(to, "%s%*s", table->cells[i], column == last ? 0 : gap, "");
		if (column + 1 == table->columns)
			putc('\n', to);
	}
	free(widths);
}

void table_done(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}
