/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For whom a question is asked: an account, what it may open, and how much
 * memory it may lock.
 *
 * The limits of the calling process are those of its user only if the question
 * is about the caller; of another account they are known if it runs something.
 */
#ifndef USER_H
#define USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "mem.h"

#define NO_LIMIT	(~0ULL)

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int num_groups;
	bool caller;			/* the account that runs this */
	bool locks_freely;		/* has CAP_IPC_LOCK */
	bool overrides;			/* has CAP_DAC_OVERRIDE */
};

/* NULL: the caller. Complains and returns NULL if there is no such account. */
struct user *user_find(const char *name);
const char *user_name(uid_t uid);

/* May the user open @path for reading and writing? Return: 0 or an errno. */
int user_may_open(const struct user *user, const char *path);
/*
 * RLIMIT_MEMLOCK in bytes, or NO_LIMIT. @source: in words, of what; NULL if it
 * is not known, and then the result is 0.
 */
unsigned long long user_memlock(const struct user *user, const char **source);
/* "USER[:GROUP]" or ":GROUP", as of chown. Complains and returns EXIT_*. */
int owner_parse(const char *text, uid_t *uid, gid_t *gid);

#endif /* USER_H */
