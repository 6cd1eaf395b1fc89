/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: an instance of the tracing system for a test, which others do not
 * see and that sees what happens from then on.
 */
#ifndef TEST_TRACEFS_H
#define TEST_TRACEFS_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../lib/sysdev.h"

#define TRACEFS_INSTANCES	"/sys/kernel/tracing/instances"

struct tracefs {
	char path[PATH_MAX / 2];
};

/* All events of @system; NULL, or why there are none */
static inline const char *tracefs_begin(struct tracefs *t, const char *name,
					const char *system)
{
	char path[PATH_MAX];

	snprintf(t->path, sizeof(t->path), TRACEFS_INSTANCES "/%s", name);
	if (mkdir(t->path, 0700) && errno != EEXIST) {
		t->path[0] = '\0';
		return "no tracing";
	}
	snprintf(path, sizeof(path), "%s/events/%s/enable", t->path, system);
	return file_write(path, "1") ? "no such tracepoints" : NULL;
}

static inline void tracefs_end(struct tracefs *t)
{
	if (t->path[0])
		rmdir(t->path);
}

/* How many times @event said @what, a part of its line, since it began */
static inline int tracefs_count(const struct tracefs *t, const char *event,
				const char *what)
{
	char path[PATH_MAX], line[1024], start[128];
	const char *at;
	int found = 0;
	FILE *file;

	snprintf(start, sizeof(start), " %s: ", event);
	snprintf(path, sizeof(path), "%s/trace", t->path);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		at = strstr(line, start);
		/* The blank is where the text may begin */
		if (at && strstr(at + strlen(start) - 1, what))
			found++;
	}
	fclose(file);
	return found;
}

#endif
