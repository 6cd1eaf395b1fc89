// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "say.h"
#include "state.h"
#include "sysfs.h"

#define SUFFIX	".json"

static char *state_path(const char *name)
{
	return mem_printf(STATE_DIR "/%s" SUFFIX, name);
}

int state_lock(void)
{
	int fd;

	if (mkdir(STATE_DIR, 0755) && errno != EEXIST)
		return say_error(STATE_DIR, geteuid() ? "run it as root" : NULL,
				 "%s", strerror(errno));
	fd = open(STATE_DIR "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return say_error(STATE_DIR "/lock",
				 geteuid() ? "run it as root" : NULL,
				 "%s", strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		say_note("waiting for another vfioctl to finish");
		if (flock(fd, LOCK_EX))
			return say_error(STATE_DIR "/lock", NULL, "%s",
					 strerror(errno));
	}
	return 0;
}

static const char *string_of(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? mem_strdup(value) : NULL;
}

static struct saved *state_read(const char *name)
{
	json_t *json = json_load_file(state_path(name), 0, NULL);
	struct saved *saved = NULL;

	if (json_is_object(json)) {
		saved = mem_zalloc(sizeof(*saved));
		saved->name = name;
		saved->driver = string_of(json, "driver");
		saved->override = string_of(json, "override");
		saved->vendor = json_integer_value(json_object_get(json,
								   "vendor"));
		saved->device = json_integer_value(json_object_get(json,
								   "device"));
	}
	json_decref(json);
	return saved;
}

struct saved *state_of(const struct device *dev)
{
	struct saved *saved = state_read(dev->name);

	if (saved && (saved->vendor != dev->vendor ||
		      saved->device != dev->device))
		return NULL;
	return saved;
}

int state_save(const struct device *dev)
{
	json_t *json;
	char *text;
	int rc;

	/* The first one knows what the device had before all this. */
	if (state_of(dev))
		return 0;
	json = json_pack("{s:s?, s:s?, s:i, s:i}", "driver", dev->driver,
			 "override", dev->override, "vendor", dev->vendor,
			 "device", dev->device);
	text = json ? json_dumps(json, JSON_INDENT(3)) : NULL;
	rc = text ? file_replace(state_path(dev->name), text, 0644) : -ENOMEM;
	free(text);
	json_decref(json);
	if (rc)
		return say_error(dev->name, NULL,
				 "cannot note in %s what it is bound to: %s",
				 state_path(dev->name), strerror(-rc));
	return 0;
}

struct saved **state_all(void)
{
	struct strings files = sysfs_list(STATE_DIR);
	struct saved **all = mem_zalloc((files.count + 1) * sizeof(*all));
	size_t i, count = 0;

	for (i = 0; i < files.count; i++) {
		char *suffix = strstr(files.list[i], SUFFIX);

		/* A part of one that was never finished counts for nothing. */
		if (!suffix || suffix[strlen(SUFFIX)])
			continue;
		*suffix = '\0';
		all[count] = state_read(files.list[i]);
		if (all[count])
			count++;
	}
	return all;
}

void state_forget(const char *name)
{
	unlink(state_path(name));
}
