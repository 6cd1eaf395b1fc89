// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/capability.h>

#include "say.h"
#include "sysfs.h"
#include "user.h"

static bool caller_has(cap_value_t cap)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps) {
		cap_get_flag(caps, cap, CAP_EFFECTIVE, &value);
		cap_free(caps);
	}
	return value == CAP_SET;
}

const char *user_name(uid_t uid)
{
	struct passwd *pw = getpwuid(uid);

	return pw ? mem_strdup(pw->pw_name) : mem_printf("%u", uid);
}

static void caller_groups(struct user *user)
{
	int count = getgroups(0, NULL);

	user->gid = getegid();
	if (count <= 0)
		return;
	user->groups = mem_zalloc(count * sizeof(gid_t));
	count = getgroups(count, user->groups);
	user->num_groups = count < 0 ? 0 : count;
}

struct user *user_find(const char *name)
{
	struct user *user = mem_zalloc(sizeof(*user));
	struct passwd *pw = NULL;
	unsigned long number;
	char *end;

	if (!name) {
		user->caller = true;
		user->uid = geteuid();
		user->name = user_name(user->uid);
		caller_groups(user);
		user->locks_freely = caller_has(CAP_IPC_LOCK);
		user->overrides = caller_has(CAP_DAC_OVERRIDE);
		return user;
	}

	pw = getpwnam(name);
	number = strtoul(name, &end, 10);
	if (!pw && !*end)
		pw = getpwuid(number);
	if (!pw && isdigit((unsigned char)*name) && !*end) {
		/* Containers have some without an account. */
		user->name = mem_strdup(name);
		user->uid = number;
		user->gid = number;
		return user;
	}
	if (!pw) {
		say_error(name, NULL, "there is no such user");
		return NULL;
	}
	user->name = mem_strdup(pw->pw_name);
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	user->num_groups = 0;
	getgrouplist(user->name, user->gid, NULL, &user->num_groups);
	user->groups = mem_zalloc((user->num_groups + 1) * sizeof(gid_t));
	if (getgrouplist(user->name, user->gid, user->groups,
			 &user->num_groups) < 0)
		user->num_groups = 0;
	user->locks_freely = !user->uid;
	user->overrides = !user->uid;
	return user;
}

static bool user_in_group(const struct user *user, gid_t gid)
{
	int i;

	for (i = 0; i < user->num_groups; i++)
		if (user->groups[i] == gid)
			return true;
	return user->gid == gid;
}

int user_may_open(const struct user *user, const char *path)
{
	unsigned int bits;
	struct stat st;

	/* The kernel knows best, access lists included. */
	if (user->caller)
		return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ?
		       errno : 0;
	if (stat(path, &st))
		return errno;
	if (user->overrides)
		return 0;
	if (st.st_uid == user->uid)
		bits = st.st_mode >> 6;
	else if (user_in_group(user, st.st_gid))
		bits = st.st_mode >> 3;
	else
		bits = st.st_mode;
	return (bits & 6) == 6 ? 0 : EACCES;
}

static unsigned long long limit_of(struct rlimit limit)
{
	return limit.rlim_cur == RLIM_INFINITY ? NO_LIMIT : limit.rlim_cur;
}

unsigned long long user_memlock(const struct user *user, const char **source)
{
	struct strings pids;
	struct rlimit limit;
	size_t i;

	*source = NULL;
	if (user->locks_freely) {
		*source = "CAP_IPC_LOCK";
		return NO_LIMIT;
	}
	if (user->caller) {
		if (getrlimit(RLIMIT_MEMLOCK, &limit))
			return 0;
		*source = "this process";
		return limit_of(limit);
	}
	pids = sysfs_list("/proc");
	for (i = 0; i < pids.count; i++) {
		pid_t pid = atoi(pids.list[i]);
		struct stat st;

		if (pid <= 0 || stat(mem_printf("/proc/%d", pid), &st) ||
		    st.st_uid != user->uid ||
		    prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit))
			continue;
		*source = mem_printf("process %d (%s)", pid,
				     sysfs_read("/proc/%d/comm", pid));
		return limit_of(limit);
	}
	return 0;
}

int owner_parse(const char *text, uid_t *uid, gid_t *gid)
{
	char *user = mem_strdup(text), *group = strchr(user, ':');

	*uid = -1;
	*gid = -1;
	if (group)
		*group++ = '\0';
	if (*user) {
		struct user *found = user_find(user);

		if (!found)
			return EXIT_NO;
		*uid = found->uid;
	}
	if (group && *group) {
		struct group *gr = getgrnam(group);
		char *end;

		*gid = gr ? gr->gr_gid : strtoul(group, &end, 10);
		if (!gr && *end)
			return say_error(group, NULL, "there is no such group");
	}
	if (*uid == (uid_t)-1 && *gid == (gid_t)-1)
		return say_usage(NULL, "'%s' names neither a user nor a group",
				 text);
	return 0;
}
