// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sysdev.h"
#include "sysfs.h"

#define PATH_FROM(path, fmt)				\
	char path[PATH_MAX];				\
	do {						\
		va_list ap;				\
							\
		va_start(ap, fmt);			\
		vsnprintf(path, sizeof(path), fmt, ap);	\
		va_end(ap);				\
	} while (0)

static char *read_path(const char *path)
{
	char *text = NULL, *copy;
	size_t size = 0;
	ssize_t length;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return NULL;
	errno = 0;
	length = getdelim(&text, &size, '\0', f);
	if (length < 0 && errno) {
		int error = errno;

		free(text);
		fclose(f);
		errno = error;
		return NULL;
	}
	fclose(f);
	copy = mem_strdup(length < 0 ? "" : text);	/* it is empty */
	free(text);
	for (length = strlen(copy); length && copy[length - 1] == '\n';)
		copy[--length] = '\0';
	return copy;
}

char *sysfs_read(const char *fmt, ...)
{
	PATH_FROM(path, fmt);

	return read_path(path);
}

char *sysfs_link(const char *fmt, ...)
{
	char target[PATH_MAX], *slash;
	ssize_t length;

	PATH_FROM(path, fmt);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return NULL;
	target[length] = '\0';
	slash = strrchr(target, '/');
	return mem_strdup(slash ? slash + 1 : target);
}

bool sysfs_exists(const char *fmt, ...)
{
	PATH_FROM(path, fmt);

	return !access(path, F_OK);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

struct strings sysfs_list(const char *fmt, ...)
{
	struct strings names = { 0 };
	struct dirent **entries;
	int i, count;

	PATH_FROM(path, fmt);
	count = scandir(path, &entries, not_hidden, versionsort);
	for (i = 0; i < count; i++) {
		strings_add(&names, "%s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return names;
}

long long sysfs_number(long long otherwise, const char *fmt, ...)
{
	long long value;
	char *text, *end;

	PATH_FROM(path, fmt);
	text = read_path(path);
	if (!text || !*text)
		return otherwise;
	errno = 0;
	value = strtoll(text, &end, 0);
	return errno || end == text ? otherwise : value;
}

int sysfs_write_within(const char *path, const char *value, int seconds)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	struct timespec begin, now;
	int status;
	pid_t pid;

	/*
	 * The kernel may wait in there without an end, even for a signal: that
	 * is a child's lot.
	 */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		/* Neither the lock nor a pipe that somebody reads may stay open. */
		close_range(0, ~0U, 0);
		_exit(-file_write(path, value) & 0xff);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < seconds);
	kill(pid, SIGKILL);
	nanosleep(&pause, NULL);
	waitpid(pid, &status, WNOHANG);
	return -ETIMEDOUT;
}

int file_replace(const char *path, const char *contents, unsigned int mode)
{
	char *part = mem_printf("%s.new", path), *slash;
	size_t length = strlen(contents);
	int fd, rc = 0;

	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) || write(fd, contents, length) != (ssize_t)length ||
	    fsync(fd))
		rc = errno ? -errno : -EIO;
	close(fd);
	if (!rc && rename(part, path))
		rc = -errno;
	if (rc) {
		unlink(part);
		return rc;
	}

	slash = strrchr(part, '/');
	if (slash) {
		*slash = '\0';
		fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			fsync(fd);
			close(fd);
		}
	}
	return 0;
}
