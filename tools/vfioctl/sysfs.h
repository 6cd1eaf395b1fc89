/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files of the kernel: sysfs, procfs, and the like. */
#ifndef SYSFS_H
#define SYSFS_H

#include <stdbool.h>

#include "mem.h"

/*
 * The contents without the newlines at the end, or NULL with errno if it cannot
 * be read. The arguments make the path.
 */
char *sysfs_read(const char *fmt, ...) PRINTF(1, 2) MUST_USE;
/* Last component of where a symbolic link points, or NULL */
char *sysfs_link(const char *fmt, ...) PRINTF(1, 2) MUST_USE;
bool sysfs_exists(const char *fmt, ...) PRINTF(1, 2);
/* Names in a directory, sorted; none if it cannot be read */
struct strings sysfs_list(const char *fmt, ...) PRINTF(1, 2);
/* A number in any base that it is prefixed with, or @otherwise */
long long sysfs_number(long long otherwise, const char *fmt, ...) PRINTF(2, 3);

/*
 * file_write() with a limit, for a driver may take its time, or never return: then
 * -ETIMEDOUT, and the write goes on.
 */
int sysfs_write_within(const char *path, const char *value, int seconds);

/*
 * Create or replace a file so that after a crash there is the old or the new
 * one. Return: 0 or a negative errno.
 */
int file_replace(const char *path, const char *contents, unsigned int mode);

#endif /* SYSFS_H */
