// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: threads help a process that maps much. Whatever happens to
 * it meanwhile, no pin and no thread is left. A kernel with sanitizers takes long for
 * a GiB; the module is told that 128 MiB are much.
 *
 * A file of 64 MiB, mapped many times side by side, is the memory. One page of it
 * is replaced: by nothing, or by one that never comes, so that some thread waits
 * for it while the others have reached the end. Needs iommufd.pin_helpers and two
 * processors, and four to have a second helper.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../../lib/sysdev.h"
#include "../lib/fail_nth.h"
#include "../lib/uffd.h"
#include "iommufd_mock.h"

#define PIECE	(64UL << 20)
#define SIZE	(5 * PIECE)
#define PARAM	"/sys/module/iommufd/parameters/pin_helpers"
/* How much a helper is for, in MiB */
#define MUCH	"/sys/module/iommufd/parameters/pin_help_mib"

FIXTURE(parallel)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t ps;
	char *mem;
	long pinned;
	int sock;
};

/* Threads of a process that are helpers */
static int helpers_of(pid_t pid)
{
	char path[64], comm[32];
	int nr = 0, tid;
	FILE *file;

	for (tid = pid; tid < pid + 64; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strcmp(comm, "iommufd-pin\n"))
			nr++;
		fclose(file);
	}
	return nr;
}

static bool has_helpers(pid_t pid, bool some)
{
	int i;

	for (i = 0; i != 400; i++) {
		if (some == (helpers_of(pid) > 0))
			return true;
		usleep(50000);
	}
	return false;
}

static bool can_have_helpers(void)
{
	unsigned int nr = 0;
	FILE *file = fopen(PARAM, "re");

	if (file) {
		if (fscanf(file, "%u", &nr) != 1)
			nr = 0;
		fclose(file);
	}
	return nr && sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

FIXTURE_SETUP(parallel)
{
	int file;
	size_t i;

	self->fd = -1;
	self->pinned = pages_pinned();
	if (!can_have_helpers())
		SKIP(return, "iommufd.pin_helpers is 0, or there is one processor");
	ASSERT_EQ(0, file_write(MUCH, "128"));
	self->ps = page_size();
	MOCK_OPEN(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	file = memfd_new(PIECE, 0);
	ASSERT_LE(0, file);
	self->mem = mmap(NULL, SIZE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i < SIZE; i += PIECE)
		ASSERT_NE(MAP_FAILED,
			  mmap(self->mem + i, PIECE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, file, 0));
	close(file);
	for (i = 0; i < PIECE; i += self->ps)
		self->mem[i] = i / self->ps;
}

FIXTURE_TEARDOWN(parallel)
{
	EXPECT_EQ(0, file_write(MUCH, "1024"));
	/* A killed one may have come to the end */
	ioas_unmap(self->fd, self->ioas, BASE, SIZE);
	EXPECT_EQ(self->pinned, pages_pinned());
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_ALL()	MAP_AT(self->mem, SIZE, BASE)

/* Each page is where it should be, and pinned as often as it is there */
TEST_F(parallel, map)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, MAP_ALL());
		EXPECT_EQ(0, mock_check_maps(self->fd, &self->dev, 1, BASE,
					     SIZE, self->mem));
		EXPECT_EQ(self->pinned + (long)(SIZE / self->ps),
			  pages_pinned());
		EXPECT_EQ(0, REFS(self->mem, self->ps, SIZE / PIECE));
		EXPECT_EQ(0, UNMAP(BASE, SIZE));
		EXPECT_EQ(self->pinned, pages_pinned());
		EXPECT_TRUE(has_helpers(getpid(), false));
	}
}

/* The first page that is missing is the one that is named, and nothing is left */
TEST_F(parallel, hole)
{
	const size_t holes[] = {
		0, 255 * self->ps, 256 * self->ps, PIECE - self->ps, PIECE,
		SIZE / 2 + 7 * self->ps, SIZE - PIECE, SIZE - self->ps,
	};
	char line[512], want[64];
	int i;

	for (i = ARRAY_SIZE(holes) - 1; i >= 0; i--) {
		/* Those behind it stay */
		ASSERT_EQ(0, munmap(self->mem + holes[i], self->ps));
		EXPECT_EQ(-EFAULT, MAP_ALL());
		EXPECT_EQ(self->pinned, pages_pinned());
		snprintf(want, sizeof(want), "0x%lx:",
			 (unsigned long)self->mem + holes[i]);
		ASSERT_EQ(0, fdinfo_line(self->fd, "last-refusal:", line,
					 sizeof(line)));
		EXPECT_NE(NULL, strstr(line, want)) {
			TH_LOG("%s is not in %s", want, line);
		}
	}
}

TEST_F(parallel, memlock)
{
	pid_t pid = fork();

	if (!pid) {
		CHILD_CHECK(!drop_privilege(SIZE - self->ps));
		CHILD_CHECK(MAP_ALL() == -ENOMEM);
		CHILD_CHECK(pages_pinned() == self->pinned);
		CHILD_CHECK(!MAP_AT(self->mem, SIZE - self->ps, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, UNMAP(BASE, SIZE - self->ps));
}

/* As many steps as the machine takes */
TEST_F(parallel, kill_anywhere)
{
	unsigned int i;

	for (i = 0; i != 40; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (;;) {
				MAP_ALL();
				UNMAP(BASE, SIZE);
			}
		}
		ASSERT_LT(0, pid);
		usleep(5000 + i * 7919 % 200000);
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_TRUE(child_is_gone(pid));
		ioas_unmap(self->fd, self->ioas, BASE, SIZE);
		EXPECT_EQ(self->pinned, pages_pinned());
	}
}

/* The page at @offset never comes. Return the userfaultfd */
static int block(char *mem, size_t offset, size_t ps)
{
	if (mmap(mem + offset, ps, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	return uffd_open(mem + offset, ps);
}

struct mapping {
	int fd;
	__u32 ioas;
	void *mem;
};

static void *mapping_thread(void *data)
{
	struct mapping *m = data;

	ioas_map_at(m->fd, m->ioas, m->mem, SIZE, BASE);
	return NULL;
}

enum end {
	END_KILL,	/* SIGKILL */
	END_EXIT,	/* another thread exits */
	END_EXEC,	/* another thread calls exec */
	END_CORE,	/* a signal that dumps core */
	END_STOP,	/* SIGSTOP, SIGCONT, then the page comes */
	END_STOP_KILL,	/* SIGSTOP, then SIGKILL */
	END_FORK,	/* another thread forks, then the page comes */
};

FIXTURE(blocked)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t ps;
	char *mem;
	long pinned;
	int sock;
};

FIXTURE_VARIANT(blocked)
{
	enum end end;
	size_t offset;
};

FIXTURE_VARIANT_ADD(blocked, kill_first) {
	.end = END_KILL, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, kill_second) {
	.end = END_KILL, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, kill_last) {
	.end = END_KILL, .offset = SIZE - PIECE,
};

FIXTURE_VARIANT_ADD(blocked, exit_first) {
	.end = END_EXIT, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, exit_second) {
	.end = END_EXIT, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, exec_first) {
	.end = END_EXEC, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, exec_second) {
	.end = END_EXEC, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, core_first) {
	.end = END_CORE, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, core_second) {
	.end = END_CORE, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, stop_first) {
	.end = END_STOP, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, stop_second) {
	.end = END_STOP, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, stop_kill) {
	.end = END_STOP_KILL, .offset = PIECE,
};

FIXTURE_VARIANT_ADD(blocked, fork_first) {
	.end = END_FORK, .offset = 1UL << 20,
};

FIXTURE_VARIANT_ADD(blocked, fork_second) {
	.end = END_FORK, .offset = PIECE,
};

FIXTURE_SETUP(blocked)
{
	parallel_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(blocked)
{
	parallel_teardown(_metadata, (void *)self, NULL);
}

static void blocked_child(FIXTURE_DATA(blocked) *self, enum end end,
			  size_t offset)
{
	struct mapping m = { self->fd, self->ioas, self->mem };
	struct rlimit core = { 1, 1 };
	int uffd = block(self->mem, offset, self->ps);
	pthread_t thread;
	pid_t pid;

	CHILD_CHECK(uffd >= 0);
	CHILD_CHECK(!pthread_create(&thread, NULL, mapping_thread, &m));
	CHILD_CHECK(!uffd_wait(uffd));
	sync_tell(self->sock);
	sync_wait(self->sock);
	switch (end) {
	case END_EXIT:
		_exit(0);
	case END_EXEC:
		execl("/bin/true", "true", NULL);
		_exit(1);
	case END_CORE:
		setrlimit(RLIMIT_CORE, &core);
		abort();
	case END_FORK:
		pid = fork();
		if (!pid)
			_exit(0);
		CHILD_CHECK(!wait_child(pid));
		break;
	case END_STOP:
		break;
	default:
		for (;;)
			pause();
	}
	CHILD_CHECK(!uffd_provide(uffd, self->mem + offset, self->ps));
	CHILD_CHECK(!pthread_join(thread, NULL));
	CHILD_CHECK(!ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	_exit(0);
}

TEST_F(blocked, ends)
{
	pid_t pid;
	int i, n;

	for (i = 0; i < 2; i++) {
		pid = fork_with_socket(&self->sock);
		if (!pid)
			blocked_child(self, variant->end, variant->offset);
		ASSERT_LT(0, pid);
		sync_wait(self->sock);
		EXPECT_TRUE(has_helpers(pid, true));
		if (variant->end == END_STOP ||
		    variant->end == END_STOP_KILL) {
			EXPECT_EQ(0, kill(pid, SIGSTOP));
			usleep(200000);
			if (variant->end == END_STOP)
				EXPECT_EQ(0, kill(pid, SIGCONT));
		}
		sync_tell(self->sock);
		if (variant->end == END_KILL || variant->end == END_STOP_KILL)
			EXPECT_EQ(0, kill(pid, SIGKILL));
		/* Some have all of it to map and to unmap first */
		for (n = 0; n < 5 && !child_is_gone(pid); n++)
			;
		EXPECT_LT(n, 5);
		EXPECT_EQ(self->pinned, pages_pinned());
		close(self->sock);
	}
}

/* What keeps a process from having helpers */
enum alone {
	ALONE_PROCESSOR,	/* it may use one only */
	ALONE_THREADS,		/* it may have no more threads */
	ALONE_LITTLE,		/* it does not map much */
};

FIXTURE(alone)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t ps;
	char *mem;
	long pinned;
	int sock;
};

FIXTURE_VARIANT(alone)
{
	enum alone why;
};

FIXTURE_VARIANT_ADD(alone, processor) {
	.why = ALONE_PROCESSOR,
};

FIXTURE_VARIANT_ADD(alone, threads) {
	.why = ALONE_THREADS,
};

FIXTURE_VARIANT_ADD(alone, little) {
	.why = ALONE_LITTLE,
};

FIXTURE_SETUP(alone)
{
	parallel_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(alone)
{
	parallel_teardown(_metadata, (void *)self, NULL);
}

static void child_alone(FIXTURE_DATA(alone) *self, enum alone why)
{
	struct mapping m = { self->fd, self->ioas, self->mem };
	int uffd = block(self->mem, 2 * PIECE, self->ps);
	struct rlimit threads = { 2, 2 };
	pthread_t thread;
	cpu_set_t one;

	CHILD_CHECK(uffd >= 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (why == ALONE_PROCESSOR)
		CHILD_CHECK(!sched_setaffinity(0, sizeof(one), &one));
	if (why == ALONE_LITTLE)
		CHILD_CHECK(!file_write(MUCH, "321"));
	if (why == ALONE_THREADS) {
		CHILD_CHECK(!setrlimit(RLIMIT_NPROC, &threads));
		CHILD_CHECK(!drop_privilege(SIZE));
	}
	CHILD_CHECK(!pthread_create(&thread, NULL, mapping_thread, &m));
	CHILD_CHECK(!uffd_wait(uffd));
	CHILD_CHECK(!helpers_of(getpid()));
	CHILD_CHECK(!uffd_provide(uffd, self->mem + 2 * PIECE, self->ps));
	CHILD_CHECK(!pthread_join(thread, NULL));
	CHILD_CHECK(!ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	_exit(0);
}

/* There is no helper, and all works */
TEST_F(alone, works)
{
	pid_t pid = fork();

	if (!pid)
		child_alone(self, variant->why);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* Pages of 2 MiB, of which the pool may have no piece in a row */
TEST_F(parallel, huge_pages)
{
	const size_t huge = SIZE / SZ_2M;
	char *mem[2] = { mem_thp(SIZE) };
	int i, j;

	ASSERT_NE(MAP_FAILED, mem[0]);
	hugetlb_reserve(huge);
	mem[1] = mem_hugetlb(SIZE);
	ASSERT_NE(MAP_FAILED, mem[1]) {
		TH_LOG("there are no %zu huge pages", huge);
	}
	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++) {
			ASSERT_EQ(0, MAP_AT(mem[i], SIZE, BASE));
			EXPECT_EQ(0, mock_check_maps(self->fd, &self->dev, 1,
						     BASE, SIZE, mem[i]));
			EXPECT_EQ(self->pinned + (long)(SIZE / self->ps),
				  pages_pinned());
			EXPECT_EQ(0, UNMAP(BASE, SIZE));
			EXPECT_EQ(self->pinned, pages_pinned());
		}
	munmap(mem[0], SIZE);
	munmap(mem[1], SIZE);
}

/* A helper faults the memory in, and the cgroup has no more of it */
TEST_F(parallel, memory_limit)
{
	char *mem = mem_private(SIZE);
	int i, status;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, SIZE, MADV_DONTNEED));
	for (i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (!pid) {
			CHILD_CHECK(!limit_memory("iommufd_parallel", "200M"));
			ioas_map_at(self->fd, self->ioas, mem, SIZE, BASE);
			_exit(0);
		}
		status = wait_child(pid);
		EXPECT_EQ(-SIGKILL, status);
		EXPECT_NE(0, UNMAP(BASE, SIZE));
		EXPECT_EQ(self->pinned, pages_pinned());
	}
	munmap(mem, SIZE);
}

static int set_injection(const char *name, const char *value)
{
	const char *const places[] = { "failslab", "fail_page_alloc" };
	char path[96];
	int i, rc = 0;

	for (i = 0; i < 2 && !rc; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s",
			 places[i], name);
		rc = file_write(path, value);
	}
	return rc;
}

/* Maps each time it is told to, and says what came of it: 0, 1 for -ENOMEM, 2 */
static void map_on_demand(FIXTURE_DATA(parallel) *self, int sock)
{
	char byte;
	int rc;

	CHILD_CHECK(!file_write("/proc/self/make-it-fail", "1"));
	for (;;) {
		/* These can be what fails, too */
		while ((rc = read(sock, &byte, 1)) < 0)
			;
		if (!rc)
			_exit(0);
		rc = ioas_map_at(self->fd, self->ioas, self->mem, 3 * PIECE,
				 BASE);
		byte = rc == -ENOMEM ? 1 : rc ? 2 : 0;
		while (write(sock, &byte, 1) < 0)
			;
	}
}

/* Any allocation may fail, of the process and of its helpers */
TEST_F(parallel, failing_allocations)
{
	/* Each so many-th fails, of those of all of them */
	const char *const intervals[] = { "7", "12", "25", "50", "300" };
	int answers[3] = {};
	struct fail_nth nth;
	unsigned int i, j;
	const char *why;
	char byte = 0;
	pid_t pid;

	/* That makes more allocations candidates, too */
	why = fail_nth_init(&nth);
	if (why)
		SKIP(return, "%s", why);
	close(nth.fd);
	pid = fork_with_socket(&self->sock);
	if (!pid)
		map_on_demand(self, self->sock);
	ASSERT_EQ(0, set_injection("task-filter", "Y"));
	ASSERT_EQ(0, set_injection("times", "-1"));
	ASSERT_EQ(0, set_injection("probability", "100"));
	for (i = 0; i < ARRAY_SIZE(intervals); i++)
		for (j = 0; j < 2; j++) {
			EXPECT_EQ(0, set_injection("interval", intervals[i]));
			EXPECT_EQ(1, write(self->sock, &byte, 1));
			ASSERT_EQ(1, read(self->sock, &byte, 1));
			answers[(int)byte]++;
			EXPECT_EQ(byte ? -ENOENT : 0,
				  UNMAP(BASE, 3 * PIECE));
			EXPECT_EQ(self->pinned, pages_pinned());
		}
	EXPECT_EQ(0, set_injection("probability", "0"));
	EXPECT_EQ(0, set_injection("task-filter", "N"));
	close(self->sock);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_LT(0, answers[0]);
	EXPECT_LT(0, answers[1]);
	EXPECT_EQ(0, answers[2]);
	TH_LOG("%d maps went through, and %d did not", answers[0], answers[1]);
}

TEST_HARNESS_MAIN
