// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <obstack.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static void *chunk_alloc(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(EXIT_FAILURE, "cannot allocate memory");
	return p;
}

#define obstack_chunk_alloc chunk_alloc
#define obstack_chunk_free free

static struct obstack *memory(void)
{
	static struct obstack pool;
	static bool ready;

	if (!ready) {
		obstack_init(&pool);
		ready = true;
	}
	return &pool;
}

void *mem_zalloc(size_t size)
{
	void *p = obstack_alloc(memory(), size ? size : 1);

	return memset(p, 0, size);
}

void *mem_grow(void *array, size_t count, size_t size)
{
	char *grown;

	/* Sizes are powers of two: there is room unless it is one now. */
	if (count & (count - 1)) {
		memset((char *)array + count * size, 0, size);
		return array;
	}
	grown = mem_zalloc((count ? count * 2 : 1) * size);
	if (count)
		memcpy(grown, array, count * size);
	return grown;
}

char *mem_strdup(const char *s)
{
	return obstack_copy0(memory(), s, strlen(s));
}

static char *mem_vprintf(const char *fmt, va_list ap)
{
	obstack_vprintf(memory(), fmt, ap);
	obstack_1grow(memory(), 0);
	return obstack_finish(memory());
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	return s;
}

void *mem_mark(void)
{
	return obstack_alloc(memory(), 1);
}

void mem_release(void *mark)
{
	obstack_free(memory(), mark);
}

void strings_add(struct strings *s, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	*mem_add(s->list, s->count) = text;
}

char *strings_join(const struct strings *s, const char *separator)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (i)
			obstack_grow(memory(), separator, strlen(separator));
		obstack_grow(memory(), s->list[i], strlen(s->list[i]));
	}
	obstack_1grow(memory(), 0);
	return obstack_finish(memory());
}

struct strings strings_split(const char *text, const char *separators)
{
	char *copy = mem_strdup(text), *word, *rest = NULL;
	struct strings words = { 0 };

	for (word = strtok_r(copy, separators, &rest); word;
	     word = strtok_r(NULL, separators, &rest))
		*mem_add(words.list, words.count) = word;
	return words;
}
