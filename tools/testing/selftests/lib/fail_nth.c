// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../../lib/sysdev.h"
#include "fail_nth.h"

/* More allocations than any of the operations has */
#define FAIL_NTH_MAX	1000

#define FAIL_SLAB	"/sys/kernel/debug/failslab"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc"

int fail_nth_open(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int fail_nth_set(int fd, unsigned int n)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", n);

	return pwrite(fd, buf, len, 0) == len ? 0 : -errno;
}

void fail_nth_stop(int fd)
{
	/* This call can be what fails. */
	while (pwrite(fd, "0", 1, 0) != 1 && errno == EFAULT)
		;
}

const char *fail_nth_init(struct fail_nth *nth)
{
	*nth = (struct fail_nth){ .fd = -1, .injected = true };
	if (access(FAIL_SLAB, F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (file_write(FAIL_SLAB "/ignore-gfp-wait", "N"))
		return "the kernel has no CONFIG_FAILSLAB or no debugfs";
	file_write(FAIL_SLAB "/verbose", "0");
	file_write(FAIL_PAGE "/ignore-gfp-wait", "N");
	file_write(FAIL_PAGE "/ignore-gfp-highmem", "N");
	file_write(FAIL_PAGE "/min-order", "0");
	file_write(FAIL_PAGE "/verbose", "0");
	nth->fd = fail_nth_open();
	if (nth->fd < 0)
		return "there is no /proc/thread-self/fail-nth";
	return NULL;
}

void fail_nth_arm(struct fail_nth *nth)
{
	nth->injected = false;
	if (fail_nth_set(nth->fd, nth->n)) {
		perror("# fail-nth");
		exit(1);
	}
}

void fail_nth_disarm(struct fail_nth *nth)
{
	char buf[16] = {};

	/*
	 * What is left of the countdown. This call can be what fails, too, and
	 * then the operation has gone through.
	 */
	if (pread(nth->fd, buf, sizeof(buf) - 1, 0) > 0)
		nth->injected = atoi(buf) == 0;
	fail_nth_stop(nth->fd);
}

bool fail_nth_next(struct fail_nth *nth)
{
	if (!nth->injected || nth->n == FAIL_NTH_MAX)
		return false;
	nth->n++;
	return true;
}
