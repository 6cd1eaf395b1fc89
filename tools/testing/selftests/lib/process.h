/* SPDX-License-Identifier: GPL-2.0-only */
/* Child processes, and what a process can tell of itself. */
#ifndef TEST_PROCESS_H
#define TEST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * Become a user who may not lock more than @memlock bytes. For use in a child
 * process; returns 0 or a negative errno.
 */
int drop_privilege(size_t memlock);
/*
 * Move this process, and so its children, into a cgroup of its own below the root
 * that may have @max of memory, as in memory.max. 0 or a negative errno
 */
int limit_memory(const char *cgroup, const char *max);
/* Bytes that such a cgroup is charged for, or a negative errno */
long long memory_charged(const char *cgroup);
/* Exit status of a child process, or minus the signal that ended it */
int wait_child(pid_t pid);

/* The assertion of a child process, whose status the test then looks at */
#define CHILD_CHECK(cond)						\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "# child: %s:%d: %s\n",		\
				__FILE__, __LINE__, #cond);		\
			_exit(1);					\
		}							\
	} while (0)

/*
 * fork(), with a socket between the two. If one of them fails early the other
 * gets end of file instead of waiting for ever.
 */
pid_t fork_with_socket(int *sock);
/* One byte over a socket, so that two processes go step by step */
void sync_tell(int fd);
void sync_wait(int fd);

/* Does the process sleep, interruptibly or not? */
bool process_sleeps(pid_t pid);
/* Wait until it does in a function of the kernel; false if it does not get there */
bool process_sleeps_in(pid_t pid, const char *where);
/* Wait for a child that was killed; false if it is still there after some seconds */
bool child_is_gone(pid_t pid);
/* How many files this process has open */
int open_files(void);
/*
 * What stands behind @start in the first line of a file's fdinfo that starts so,
 * or the value of a key; -ENOENT if there is none
 */
int fdinfo_line(int fd, const char *start, char *buf, size_t size);
int fdinfo_get(int fd, const char *key, char *buf, size_t size);

/* By the monotonic clock */
double seconds_now(void);

/* Take CAP_SYS_RAWIO from this process, or give it back; 0 or a negative errno */
int set_rawio(bool have);

#endif
