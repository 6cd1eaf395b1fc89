// SPDX-License-Identifier: GPL-2.0-only
/*
 * Carry a program out, and put everything back to where it was: the next
 * program must not see that there was another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

int iommufd = -1;
bool memory_changed;
const char *default_path = "/dev/iommu";

static bool limited;
static bool verbose;
static unsigned int fork_ops;
static bool fork_nobody;
static pid_t children[8];
static unsigned int nchildren;

/*
 * Both threads have it but for the time of system calls; it owns the pools and
 * the second thread's work.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const struct record *second;

static __thread unsigned int fail_at;

void exec_before(void)
{
	pthread_mutex_unlock(&lock);
	if (fail_at)
		fail_begin(fail_at);
}

void exec_after(void)
{
	int error = errno;

	if (fail_at)
		fail_end();
	pthread_mutex_lock(&lock);
	errno = error;
}

int open_iommufd(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return fd;
	pool_add(ARG_IOMMUFD, fd);
	iommufd = fd;
	return fd;
}

void exec_fork(unsigned int n, bool nobody)
{
	fork_ops = n;
	fork_nobody = nobody;
}

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000ULL + time.tv_nsec / 1000;
}

static void run(const struct record *record)
{
	unsigned long long begin = verbose ? now() : 0;
	const struct op *op = op_of(record);
	uint64_t arg[MAX_ARGS];
	unsigned int i;
	long result;

	for (i = 0; i != MAX_ARGS; i++)
		arg[i] = value_of(op->in[i].kind, record->arg[i]);
	limited |= !strcmp(op->name, "limit") && arg[0];
	fail_at = record->mode & MODE_FAIL;
	result = op_run(op, arg);
	fail_at = 0;
	coverage_note(op - ops, result);
	if (verbose) {
		printf("%6llu us, %ld%s%s: ", now() - begin, result,
		       result < 0 ? " " : "",
		       result < 0 ? strerrorname_np(errno) : "");
		program_print(record, 1);
		fflush(stdout);
	}
}

static void *second_thread(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	coverage_start();
	fail_init();
	second = NULL;
	pthread_cond_broadcast(&changed);
	for (;;) {
		while (!second)
			pthread_cond_wait(&changed, &lock);
		run(second);
		second = NULL;
		pthread_cond_broadcast(&changed);
	}
	return NULL;
}

static void wait_for_second(void)
{
	while (second)
		pthread_cond_wait(&changed, &lock);
}

/* Descriptors of ours are below those of programs. */
static void lift_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd < FIRST_FD - 1);
}

static void take_limits_back(void)
{
	static const uint64_t none;
	unsigned int i;

	for (i = 0; i != nops; i++)
		if (!strcmp(ops[i].name, "limit"))
			ops[i].run(&none);
	limited = false;
}

void exec_init(void)
{
	static const struct record start;
	pthread_t thread;

	verbose = getenv("FUZZ_VERBOSE");
	memory_setup();
	coverage_start();
	coverage_prepare_child();
	fail_init();
	slow_init();
	pthread_mutex_lock(&lock);
	second = &start;
	if (pthread_create(&thread, NULL, second_thread, NULL)) {
		perror("pthread_create");
		exit(1);
	}
	wait_for_second();
	pthread_mutex_unlock(&lock);
	lift_files();
}

/* Somebody who has nothing but what everybody may open */
static void forget_files(void)
{
	close_range(FIRST_FD, ~0U, 0);
	values_reset();
	iommufd = -1;
	default_path = "/dev/vfio/vfio";
}

static bool become_nobody(void)
{
	return !setgroups(0, NULL) && !setresgid(65534, 65534, 65534) &&
	       !setresuid(65534, 65534, 65534);
}

static void start_child(const struct record *records, size_t n)
{
	pid_t child;
	size_t i;

	if (nchildren == ARRAY_LEN(children))
		return;
	wait_for_second();
	child = fork();
	if (child > 0)
		children[nchildren++] = child;
	if (child)
		return;
	if (fork_nobody)
		forget_files();
	fail_init();
	slow_init();
	coverage_start_child();
	if (fork_nobody && !become_nobody())
		_exit(1);
	for (i = 0; i != n; i++)
		run(&records[i]);
	_exit(0);
}

static void run_all(const struct record *records, size_t n)
{
	size_t i, skip;

	for (i = 0; i != n; i++) {
		if (records[i].mode & MODE_THREAD) {
			wait_for_second();
			second = &records[i];
			pthread_cond_broadcast(&changed);
			continue;
		}
		run(&records[i]);
		if (!fork_ops)
			continue;
		skip = n - i - 1 < fork_ops ? n - i - 1 : fork_ops;
		fork_ops = 0;
		start_child(&records[i + 1], skip);
		i += skip;
	}
	wait_for_second();
}

/**
 * exec_program - carry a program out
 * @records: its operations
 * @n: how many
 */
void exec_program(const struct record *records, size_t n)
{
	unsigned int i;

	slow_reset();
	values_reset();
	iommufd = -1;
	nchildren = 0;

	pthread_mutex_lock(&lock);
	run_all(records, n);
	pthread_mutex_unlock(&lock);

	for (i = 0; i != nchildren; i++)
		waitpid(children[i], NULL, 0);
	close_range(FIRST_FD, ~0U, 0);
	if (limited)
		take_limits_back();
	/* A mapping of a file keeps it open, and pinned what it has pinned. */
	if (memory_changed)
		memory_setup();
	memory_changed = false;
}
