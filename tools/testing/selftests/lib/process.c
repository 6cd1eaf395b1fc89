// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/capability.h>

#include "../../../lib/sysdev.h"
#include "process.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"

int drop_privilege(size_t memlock)
{
	struct rlimit lim = { memlock, memlock };

	if (setrlimit(RLIMIT_MEMLOCK, &lim))
		return -errno;
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		return -errno;
	return 0;
}

int limit_memory(const char *cgroup, const char *max)
{
	char path[128], pid[16];
	int rc;

	if (access(CGROUP_ROOT "/cgroup.procs", F_OK) &&
	    mount("none", CGROUP_ROOT, "cgroup2", 0, NULL))
		return -errno;
	file_write(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), CGROUP_ROOT "/%s", cgroup);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/memory.max", cgroup);
	rc = file_write(path, max);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/cgroup.procs", cgroup);
	snprintf(pid, sizeof(pid), "%d", getpid());
	return file_write(path, pid);
}

long long memory_charged(const char *cgroup)
{
	char path[128], text[32];
	int rc;

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/memory.current", cgroup);
	rc = file_read(path, text, sizeof(text));
	return rc < 0 ? rc : atoll(text);
}

int wait_child(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

pid_t fork_with_socket(int *sock)
{
	int sv[2];
	pid_t pid;

	*sock = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -1;
	pid = fork();
	*sock = sv[!pid];
	close(sv[!!pid]);
	return pid;
}

void sync_tell(int fd)
{
	if (write(fd, "s", 1) != 1)
		_exit(1);
}

void sync_wait(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(1);
}

bool process_sleeps(pid_t pid)
{
	char path[PATH_MAX], buf[1024], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, buf, sizeof(buf)) < 0)
		return false;
	state = strrchr(buf, ')');
	return state && (state[2] == 'S' || state[2] == 'D');
}

bool process_sleeps_in(pid_t pid, const char *where)
{
	char path[PATH_MAX], text[4096];
	ssize_t n = 0;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	for (i = 0; i != 200; i++) {
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return false;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (process_sleeps(pid) && strstr(text, where))
			return true;
		usleep(50000);
	}
	printf("# process %d is not in %s, but in %s", pid, where, text);
	return false;
}

bool child_is_gone(pid_t pid)
{
	int i;

	for (i = 0; i != 100; i++) {
		if (waitpid(pid, NULL, WNOHANG))
			return true;
		usleep(100000);
	}
	return false;
}

int open_files(void)
{
	int fd, nr = 0;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

int fdinfo_line(int fd, const char *start, char *buf, size_t size)
{
	char path[64], line[4096];
	size_t len = strlen(start);
	int ret = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, start, len))
			continue;
		snprintf(buf, size, "%s", line + len);
		ret = 0;
	}
	fclose(file);
	return ret;
}

int fdinfo_get(int fd, const char *key, char *buf, size_t size)
{
	char start[128], line[4096];
	int ret;

	snprintf(start, sizeof(start), "%s:", key);
	ret = fdinfo_line(fd, start, line, sizeof(line));
	if (!ret)
		snprintf(buf, size, "%s", line + strspn(line, " \t"));
	return ret;
}

double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int set_rawio(bool have)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (have)
		data[0].effective |= 1U << CAP_SYS_RAWIO;
	else
		data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}
