/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON documents that are no tables, by jansson */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <jansson.h>

#include "mem.h"

/* Print and destroy it. */
void output_json(json_t *document);
json_t *output_strings(const struct strings *s);

#endif /* OUTPUT_H */
