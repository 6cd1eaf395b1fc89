/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables on standard output, by libsmartcols: for people, or as JSON. Columns
 * are chosen by name with -o, "+NAME" adds to the default ones.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <libsmartcols/libsmartcols.h>

struct column {
	const char *name;
	double width;			/* hint: characters, or part of 1 */
	int flags;			/* SCOLS_FL_* */
	int json;			/* SCOLS_JSON_* */
	bool hidden;			/* not shown unless asked for */
	const char *help;
};

struct table_options {
	const char *columns;		/* of -o, NULL: the default ones */
	bool json;
	bool noheadings;
	bool tree;			/* lines have parents */
};

struct table {
	struct libscols_table *scols;
	const struct column *columns;
	size_t num_columns;
	int *place;			/* by column: where it is, or -1 */
	bool json;
};

/* NULL after a complaint: there is no such column. */
struct table *table_alloc(const char *name, const struct column *columns,
			  size_t num_columns,
			  const struct table_options *options);
struct libscols_line *table_line(struct table *table,
				 struct libscols_line *parent);
/* A NULL is an empty cell, null in JSON. */
void table_set(struct table *table, struct libscols_line *line, size_t column,
	       const char *text);
void table_set_number(struct table *table, struct libscols_line *line,
		      size_t column, long long number);
void table_set_bool(struct table *table, struct libscols_line *line,
		    size_t column, bool yes);
void table_print(struct table *table);
void table_destroy(struct table *table);

#endif /* TABLE_H */
