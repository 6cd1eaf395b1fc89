/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection: fail the n-th allocation of an operation, for every n.
 *
 *	while (fail_nth_next(&nth)) {
 *		set up
 *		rc = fail_nth_run(&nth, operation(...));
 *		take apart, compare with the state before
 *	}
 *
 * ends after the first round in which there was no n-th allocation. In that
 * round the operation has to succeed, which the caller checks by nth.injected.
 */
#ifndef FAIL_NTH_H
#define FAIL_NTH_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* More allocations than any of the operations has */
#define FAIL_NTH_MAX 1000

struct fail_nth {
	int fd;
	unsigned int n;
	bool injected;
};

static inline bool fail_nth_knob(const char *name, const char *value)
{
	char path[128];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	ok = write(fd, value, strlen(value)) > 0;
	close(fd);
	return ok;
}

/* Returns why there is no fault injection, or NULL if there is */
static inline const char *fail_nth_init(struct fail_nth *nth)
{
	*nth = (struct fail_nth){ .fd = -1, .injected = true };
	if (access("/sys/kernel/debug/failslab", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (!fail_nth_knob("failslab/ignore-gfp-wait", "N"))
		return "the kernel has no CONFIG_FAILSLAB or no debugfs";
	fail_nth_knob("failslab/verbose", "0");
	fail_nth_knob("fail_page_alloc/ignore-gfp-wait", "N");
	fail_nth_knob("fail_page_alloc/ignore-gfp-highmem", "N");
	fail_nth_knob("fail_page_alloc/min-order", "0");
	fail_nth_knob("fail_page_alloc/verbose", "0");
	nth->fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (nth->fd < 0)
		return "there is no /proc/thread-self/fail-nth";
	return NULL;
}

static inline void fail_nth_arm(struct fail_nth *nth)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", nth->n);

	nth->injected = false;
	if (pwrite(nth->fd, buf, len, 0) != len) {
		perror("# fail-nth");
		exit(1);
	}
}

static inline void fail_nth_disarm(struct fail_nth *nth)
{
	char buf[16] = {};

	/*
	 * What is left of the countdown. These two calls can be what fails, and
	 * then the operation has gone through.
	 */
	if (pread(nth->fd, buf, sizeof(buf) - 1, 0) > 0)
		nth->injected = atoi(buf) == 0;
	while (pwrite(nth->fd, "0", 1, 0) != 1 && errno == EFAULT)
		;
}

static inline bool fail_nth_next(struct fail_nth *nth)
{
	if (!nth->injected || nth->n == FAIL_NTH_MAX)
		return false;
	nth->n++;
	return true;
}

#define fail_nth_run(nth, expr)						\
	({								\
		struct fail_nth *__nth = (nth);				\
		long __rc;						\
									\
		fail_nth_arm(__nth);					\
		__rc = (expr);						\
		fail_nth_disarm(__nth);					\
		__rc;							\
	})

#endif
