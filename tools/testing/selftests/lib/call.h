/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TEST_CALL_H
#define TEST_CALL_H

#include <errno.h>
#include <sys/ioctl.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

/* ioctl(), with the errno as its result: a test compares with what it expects */
static inline int call(int fd, unsigned long cmd, const void *arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

#endif
