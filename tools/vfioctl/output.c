// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <stdio.h>

#include "output.h"
#include "say.h"

void output_json(json_t *document)
{
	if (!document || json_dumpf(document, stdout, JSON_INDENT(3)))
		errx(EXIT_NO, "cannot make a JSON document");
	putchar('\n');
	json_decref(document);
}

json_t *output_strings(const struct strings *s)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < s->count; i++)
		json_array_append_new(array, json_string(s->list[i]));
	return array;
}
