// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel says: coverage and reports; and its fault injection.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "../selftests/lib/fail_nth.h"
#include "fuzz.h"

/* Of both threads, and of a child. Words; the first is the number of the others. */
#define AREA_WORDS	(128 * 1024)
#define THREADS		3

/* libFuzzer takes what is in this section for counters of its own. */
static uint8_t counters[1 << 16]
	__attribute__((section("__libfuzzer_extra_counters")));

static uint64_t *areas[THREADS];
static unsigned int nareas;
static int child_fd = -1;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Return a file whose coverage of one task is collected in the next area. */
static int open_area(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	void *area;

	must(fd >= 0, "/sys/kernel/debug/kcov");
	must(!ioctl(fd, KCOV_INIT_TRACE, AREA_WORDS), "KCOV_INIT_TRACE");
	area = mmap(NULL, AREA_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	must(area != MAP_FAILED, "mmap of kcov");
	areas[nareas++] = area;
	return fd;
}

/**
 * coverage_start - from here on, what the calling thread makes the kernel do
 *                  is collected
 */
void coverage_start(void)
{
	must(!ioctl(open_area(), KCOV_ENABLE, KCOV_TRACE_PC), "KCOV_ENABLE");
}

/**
 * coverage_prepare_child - get an area that a child can use
 */
void coverage_prepare_child(void)
{
	child_fd = open_area();
}

/**
 * coverage_start_child - the same as coverage_start(), in a child; if there are
 *                        several, the first one has it
 */
void coverage_start_child(void)
{
	ioctl(child_fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

void coverage_reset(void)
{
	unsigned int i;

	for (i = 0; i != nareas; i++)
		__atomic_store_n(areas[i], 0, __ATOMIC_RELAXED);
}

static void count(unsigned int hash)
{
	uint8_t *counter = &counters[hash % sizeof(counters)];

	if (*counter != 0xff)
		++*counter;
}

void coverage_collect(void)
{
	unsigned int i;
	uint64_t j, n;

	for (i = 0; i != nareas; i++) {
		n = __atomic_load_n(areas[i], __ATOMIC_RELAXED);
		for (j = 1; j <= n; j++)
			count((uint32_t)areas[i][j] * 0x9e3779b1U >> 16);
	}
}

/* Each errno of each operation is something new, too. */
void coverage_note(unsigned int op, long result)
{
	unsigned int error = result < 0 ? errno : 0;

	count((op << 8 ^ error) * 0x85ebca6bU >> 16);
}

/* ---- reports */

static const char *const bad[] = {
	"WARNING:", "BUG:", "kernel BUG at", "Oops", "UBSAN:", "KASAN:",
	"INFO: task", "INFO: rcu", "INFO: trying to register",
	"possible circular locking", "possible recursive locking",
	"possible deadlock", "inconsistent lock state", "refcount_t:",
	"ODEBUG:", "list_add corruption", "list_del corruption",
	"general protection fault", "held lock freed", "lock held when",
	"scheduling while atomic", "sleeping function called from",
};

static int log_fd = -1;

void reports_init(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	must(log_fd >= 0, "/dev/kmsg");
	lseek(log_fd, 0, SEEK_END);
}

/*
 * When memory of a file is taken away while another thread is doing the same,
 * User-mode Linux walks all mappings of the process without their lock
 * (flush_tlb_mm()), and lockdep says so. That is not about us. In such a report
 * the lock of the file's mappings is held, which is told before the backtrace.
 */
#define RCU_REPORT	"WARNING: suspicious RCU usage"
#define RCU_HELD	"at: unmap_mapping_"
#define RCU_TOLD	"stack backtrace:"

bool reports_bad(void)
{
	static bool in_rcu_report;
	static char line[8192];
	bool found = false;
	unsigned int i;
	ssize_t len;

	for (;;) {
		len = read(log_fd, line, sizeof(line) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len < 0)
			return found;
		line[len] = 0;
		if (strstr(line, RCU_REPORT)) {
			in_rcu_report = true;
			continue;
		}
		if (strstr(line, RCU_HELD))
			in_rcu_report = false;
		if (strstr(line, RCU_TOLD)) {
			found |= in_rcu_report;
			in_rcu_report = false;
		}
		for (i = 0; i != ARRAY_LEN(bad); i++)
			found |= !!strstr(line, bad[i]);
	}
}

/* ---- fault injection, in the calling thread */

static __thread int fail_fd = -1;
static __thread sigset_t before_fail;

void fail_init(void)
{
	fail_fd = fail_nth_open();
}

/*
 * Fail the @n-th allocation or access to memory of ours from here on, if the kernel
 * can do that. A signal, such as libFuzzer's of its timer, has to wait: what the
 * kernel writes to the stack for its handler could be the n-th, and that kills us.
 */
void fail_begin(unsigned int n)
{
	sigset_t all;

	if (fail_fd < 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before_fail);
	fail_nth_set(fail_fd, n);
}

void fail_end(void)
{
	int error = errno;

	if (fail_fd < 0)
		return;
	fail_nth_stop(fail_fd);
	pthread_sigmask(SIG_SETMASK, &before_fail, NULL);
	errno = error;
}
