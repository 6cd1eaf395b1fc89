/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of a command. It lives until mem_release(), so that nobody has to
 * know who owns a string; running out of it ends the program.
 */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

#define MUST_USE	__attribute__((warn_unused_result))
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))

void *mem_zalloc(size_t size) MUST_USE;
/* @array with room for one more element than @count */
void *mem_grow(void *array, size_t count, size_t size) MUST_USE;
char *mem_strdup(const char *s) MUST_USE;
char *mem_printf(const char *fmt, ...) PRINTF(1, 2) MUST_USE;

/* A point in time, and freeing all that was allocated after it */
void *mem_mark(void);
void mem_release(void *mark);

/* Add an element to an array; returns a pointer to it, zeroed. */
#define mem_add(array, count) ({				\
	(array) = mem_grow(array, count, sizeof(*(array)));	\
	&(array)[(count)++]; })

/* NULL-terminated lists of strings */
struct strings {
	char **list;
	size_t count;
};

void strings_add(struct strings *s, const char *fmt, ...) PRINTF(2, 3);
char *strings_join(const struct strings *s, const char *separator) MUST_USE;
/* The words of @text that @separators divide; empty ones are left out. */
struct strings strings_split(const char *text, const char *separators);

#endif /* MEM_H */
