/* ctl/table.h: rows of cells, printed in columns as wide as needed. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "core/bytes.h"

#include <stdio.h>

struct table { /* all zero is valid and empty; ended with table_done() */
	size_t columns;
	char **cells; /* owned; the first row is the heading */
	size_t count, capacity;
};

/* headings: ended by NULL. */
void table_begin(struct table *table, const char *const headings[]);
/* The next cell of the present row. */
void table_add(struct table *table, const struct bytes *cell);
void table_text(struct table *table, const char *text);
size_t table_rows(const struct table *table); /* whole ones, without the heading */
/* Without the columns in which nothing stands. */
void table_print(const struct table *table, FILE *to);
void table_done(struct table *table);

#endif
