// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "say.h"
#include "table.h"

static int column_find(const struct column *columns, size_t count,
		       const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcasecmp(columns[i].name, name))
			return i;
	return -1;
}

static void add_column(struct table *table, size_t index)
{
	const struct column *c = &table->columns[index];
	struct libscols_column *column;

	if (table->place[index] >= 0)
		return;
	column = scols_table_new_column(table->scols, c->name, c->width,
					c->flags);
	if (!column)
		err(EXIT_NO, "cannot make a table");
	if (table->json)
		scols_column_set_json_type(column, c->json);
	table->place[index] = scols_table_get_ncols(table->scols) - 1;
}

static bool choose_columns(struct table *table, const char *wanted)
{
	struct strings names = { 0 };
	size_t i;

	if (wanted)
		names = strings_split(*wanted == '+' ? wanted + 1 : wanted, ",");
	for (i = 0; i < table->num_columns; i++)
		if ((!wanted || *wanted == '+') && !table->columns[i].hidden)
			add_column(table, i);
	for (i = 0; i < names.count; i++) {
		int index = column_find(table->columns, table->num_columns,
					names.list[i]);

		if (index < 0) {
			const char *missing = names.list[i];
			struct strings known = { 0 };

			for (i = 0; i < table->num_columns; i++)
				strings_add(&known, "%s",
					    table->columns[i].name);
			say_usage(NULL, "there is no column '%s', but %s",
				  missing,
				  strings_join(&known, ", "));
			return false;
		}
		add_column(table, index);
	}
	return true;
}

struct table *table_alloc(const char *name, const struct column *columns,
			  size_t num_columns,
			  const struct table_options *options)
{
	struct table *table = mem_zalloc(sizeof(*table));
	size_t i;

	table->scols = scols_new_table();
	if (!table->scols)
		err(EXIT_NO, "cannot make a table");
	table->columns = columns;
	table->num_columns = num_columns;
	table->json = options->json;
	table->place = mem_zalloc(num_columns * sizeof(*table->place));
	for (i = 0; i < num_columns; i++)
		table->place[i] = -1;
	scols_table_set_name(table->scols, name);
	scols_table_enable_json(table->scols, options->json);
	scols_table_enable_noheadings(table->scols, options->noheadings);
	if (!choose_columns(table, options->columns)) {
		table_destroy(table);
		return NULL;
	}
	return table;
}

struct libscols_line *table_line(struct table *table,
				 struct libscols_line *parent)
{
	struct libscols_line *line = scols_table_new_line(table->scols, parent);

	if (!line)
		err(EXIT_NO, "cannot make a table");
	return line;
}

void table_set(struct table *table, struct libscols_line *line, size_t column,
	       const char *text)
{
	if (text && table->place[column] >= 0 &&
	    scols_line_set_data(line, table->place[column], text))
		err(EXIT_NO, "cannot make a table");
}

void table_set_number(struct table *table, struct libscols_line *line,
		      size_t column, long long number)
{
	table_set(table, line, column, mem_printf("%lld", number));
}

void table_set_bool(struct table *table, struct libscols_line *line,
		    size_t column, bool yes)
{
	table_set(table, line, column, table->json ? yes ? "1" : "0" :
		  yes ? "yes" : "no");
}

void table_print(struct table *table)
{
	scols_print_table(table->scols);
}

void table_destroy(struct table *table)
{
	scols_unref_table(table->scols);
}
