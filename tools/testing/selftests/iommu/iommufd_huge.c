// SPDX-License-Identifier: GPL-2.0-only
/*
 * The largest objects that somebody can make who has nothing but /dev/vfio/vfio,
 * which everybody may open, and 1 GiB for what he makes the kernel allocate:
 * whoever is killed in a call about them is gone at once.
 *
 *	IOMMUFD_HUGE_ORDER=n	log2 of the areas (default 22, some 800 MB)
 *
 * That nothing runs for long without a scheduling point is for the kernel's
 * watchdog to see, and for whoever reads its log.
 */
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <sys/prctl.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/type1.h"

/* As many as one copy may be of */
#define COPY_ORDER	16
#define BASE		0x100000000ULL

/* Objects that a context has in the tests of many of them */
#define OBJECTS		(1U << 18)
#define FILES		(1U << 17)

#define TEST_SECONDS	240

static int big;			/* a context with one IOAS of many areas */
static __u32 big_ioas;
static unsigned int order = 22;
static const char *missing;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Seconds in which whoever is killed has to be gone */
static double patience(void)
{
	const char *factor = getenv("VM_PATIENCE");

	return factor ? atoi(factor) : 1;
}

/* A line of an IOAS in the fdinfo of a context; negative if it is not there */
static long areas_of(int fd, __u32 ioas)
{
	char line[512], start[32];

	snprintf(start, sizeof(start), "ioas-%u:\tareas=", ioas);
	return fdinfo_line(fd, start, line, sizeof(line)) ? -1 : atol(line);
}

/* Fill an IOAS with 2^@log areas of a page each, from BASE on. */
static int grow(int fd, __u32 ioas, unsigned int log)
{
	size_t ps = page_size();
	__u64 done = 1, n;
	void *mem = mem_private(ps);
	int rc;

	if (mem == MAP_FAILED)
		return -ENOMEM;
	rc = ioas_map_at(fd, ioas, mem, ps, BASE);
	while (!rc && done < 1ULL << log) {
		n = done < 1ULL << COPY_ORDER ? done : 1ULL << COPY_ORDER;
		rc = ioas_copy_at(fd, ioas, BASE + done * ps, ioas, BASE,
				  n * ps);
		done += n;
	}
	return rc;
}

static const char *prepare(void)
{
	const char *set = getenv("IOMMUFD_HUGE_ORDER");
	double begin = now();
	int rc;

	if (set)
		order = atoi(set);
	if (getuid())
		return "not root, and so no limit of memory";
	if (limit_memory("iommufd_huge", "1G"))
		return "no memory controller of cgroups";
	if (drop_privilege(64 << 10) || prctl(PR_SET_DUMPABLE, 1))
		return "cannot drop privileges";
	big = container_open();
	if (big < 0)
		return "/dev/vfio/vfio cannot be opened";
	rc = ioas_alloc(big, &big_ioas);
	if (!rc)
		rc = grow(big, big_ioas, order);
	if (rc) {
		printf("# 2^%u areas: %s\n", order, strerror(-rc));
		return "cannot make the areas";
	}
	printf("# 2^%u areas in %.1f s\n", order, now() - begin);
	return NULL;
}

FIXTURE(huge)
{
	size_t ps;
	long areas;
};

FIXTURE_SETUP(huge)
{
	if (missing)
		SKIP(return, "%s", missing);
	self->ps = page_size();
	self->areas = areas_of(big, big_ioas);
	ASSERT_LE(0, self->areas);
}

FIXTURE_TEARDOWN(huge)
{
}

/*
 * Kill a child that is in @fn(@arg) for a moment. Return the seconds until it is
 * gone, or 0 if it was done before; a child that fails is -1.
 */
static double kill_in(int (*fn)(void *), void *arg, unsigned int msec)
{
	double begin;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(fn(arg) ? 1 : 0);
	if (pid < 0)
		return -1;
	usleep(msec * 1000);
	if (waitpid(pid, &status, WNOHANG) == pid) {
		printf("# done before it was killed\n");
		return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
	}
	begin = now();
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	printf("# killed after %u ms, gone %.3f s later\n", msec,
	       now() - begin);
	return now() - begin;
}

#define EXPECT_KILLED(fn, arg, msec)					\
	do {								\
		double _seconds = kill_in(fn, arg, msec);		\
									\
		EXPECT_LE(0, _seconds);					\
		EXPECT_GE(patience(), _seconds);			\
	} while (0)

static int copy_most(void *arg)
{
	(void)arg;
	return ioas_copy_at(big, big_ioas, BASE + (page_size() << order),
			    big_ioas, BASE, page_size() << COPY_ORDER);
}

/* The later it is killed, the more it has to undo. */
TEST_F_TIMEOUT(huge, copy, TEST_SECONDS)
{
	unsigned int msec;

	/* Room for it within the limit of memory */
	ASSERT_EQ(0, ioas_unmap(big, big_ioas,
				BASE + (self->ps << order) -
					(self->ps << COPY_ORDER),
				self->ps << COPY_ORDER));
	self->areas = areas_of(big, big_ioas);
	for (msec = 25; msec <= 1600; msec *= 2) {
		EXPECT_KILLED(copy_most, NULL, msec);
		/* Nothing is left of it, or all of it was there in time. */
		if (areas_of(big, big_ioas) != self->areas) {
			EXPECT_EQ(self->areas + (1L << COPY_ORDER),
				  areas_of(big, big_ioas));
			break;
		}
	}
	ioas_unmap(big, big_ioas, BASE + (self->ps << order),
		   self->ps << COPY_ORDER);
}

TEST_F_TIMEOUT(huge, copy_limit, TEST_SECONDS)
{
	EXPECT_EQ(-ENOSPC, ioas_copy_at(big, big_ioas,
					BASE + (self->ps << order), big_ioas,
					BASE, self->ps +
					(self->ps << COPY_ORDER)));
	EXPECT_EQ(self->areas, areas_of(big, big_ioas));
}

static int show_all(void *arg)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *(int *)arg);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		;
	fclose(f);
	return 0;
}

TEST_F_TIMEOUT(huge, fdinfo, TEST_SECONDS)
{
	EXPECT_KILLED(show_all, &big, 100);
}

static int set_small_pages(void *arg)
{
	(void)arg;
	return option_set(big, IOMMU_OPTION_HUGE_PAGES, big_ioas, 0);
}

TEST_F_TIMEOUT(huge, option, TEST_SECONDS)
{
	EXPECT_KILLED(set_small_pages, NULL, 100);
	option_set(big, IOMMU_OPTION_HUGE_PAGES, big_ioas, 1);
}

static int map_anywhere(void *arg)
{
	void *mem = mem_private(page_size());
	__u64 iova;

	(void)arg;
	return mem == MAP_FAILED ? -ENOMEM :
	       ioas_map(big, big_ioas, mem, page_size(), &iova, MAP_RW);
}

TEST_F_TIMEOUT(huge, map, TEST_SECONDS)
{
	struct iommu_iova_range ranges[] = {
		{ BASE, BASE + (self->ps << (order - 1)) - 1 },
		{ BASE + (self->ps << (order + 4)),
		  BASE + (self->ps << (order + 4)) + self->ps },
	};
	__u64 unmapped;

	/* What it is to choose from begins with all that is taken. */
	ASSERT_EQ(0, ioas_allow_iovas(big, big_ioas, ranges, 2));
	EXPECT_KILLED(map_anywhere, NULL, 100);
	ioas_unmap_len(big, big_ioas, ranges[1].start, 2 * self->ps,
		       &unmapped);
	EXPECT_EQ(0, ioas_allow_iovas(big, big_ioas, NULL, 0));
}

static int read_bitmap(void *arg)
{
	size_t bytes = (1UL << order) / 8;
	void *bitmap = mem_private(bytes);

	(void)arg;
	return bitmap == MAP_FAILED ? -ENOMEM :
	       t1_dirty_bitmap(big, BASE, page_size() << order, page_size(),
			       bitmap, bytes);
}

TEST_F_TIMEOUT(huge, dirty_bitmap, TEST_SECONDS)
{
	ASSERT_EQ(0, vfio_ioas(big, IOMMU_VFIO_IOAS_SET, &big_ioas));
	ASSERT_EQ(0, t1_dirty(big, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	EXPECT_KILLED(read_bitmap, NULL, 100);
	EXPECT_EQ(0, t1_dirty(big, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
}

static int unmap_everything(void *arg)
{
	__u64 unmapped;

	(void)arg;
	return ioas_unmap_all(big, big_ioas, &unmapped);
}

static int unmap_most(void *arg)
{
	(void)arg;
	return ioas_unmap(big, big_ioas, BASE, page_size() << (order + 1));
}

static int unmap_container(void *arg)
{
	__u64 unmapped;

	(void)arg;
	return t1_unmap_all(big, &unmapped);
}

static int destroy_ioas(void *arg)
{
	(void)arg;
	return obj_destroy(big, big_ioas);
}

/* What is gone is gone, and whoever comes next goes on from there. */
TEST_F_TIMEOUT(huge, unmap, TEST_SECONDS)
{
	long areas;

	EXPECT_KILLED(unmap_everything, NULL, 200);
	areas = areas_of(big, big_ioas);
	EXPECT_LE(0, areas);
	EXPECT_GT(self->areas, areas);

	/* Nobody waits for one who unmaps a lot longer than for a batch. */
	EXPECT_KILLED(unmap_most, NULL, 200);
	EXPECT_GE(areas, areas_of(big, big_ioas));
	areas = areas_of(big, big_ioas);

	ASSERT_EQ(0, vfio_ioas(big, IOMMU_VFIO_IOAS_SET, &big_ioas));
	EXPECT_KILLED(unmap_container, NULL, 200);
	EXPECT_GE(areas, areas_of(big, big_ioas));
}

/* While somebody unmaps a lot another thread uses the same address space. */
TEST_F_TIMEOUT(huge, unmap_lets_others_in, TEST_SECONDS)
{
	void *mem = mem_private(self->ps);
	unsigned int rounds = 0;
	double begin, worst = 0;
	int status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	pid = fork();
	if (!pid)
		_exit(unmap_most(NULL) ? 1 : 0);
	ASSERT_LT(0, pid);
	while (waitpid(pid, &status, WNOHANG) != pid && rounds < 500) {
		begin = now();
		EXPECT_EQ(0, ioas_map_at(big, big_ioas, mem, self->ps,
					 BASE / 2));
		EXPECT_EQ(0, ioas_unmap(big, big_ioas, BASE / 2, self->ps));
		if (now() - begin > worst)
			worst = now() - begin;
		rounds++;
		usleep(1000);
	}
	printf("# %u maps and unmaps meanwhile, %.3f s at most\n", rounds,
	       worst);
	EXPECT_LT(worst, patience());
	if (rounds == 500) {
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
	}
}

TEST_F_TIMEOUT(huge, destroy, TEST_SECONDS)
{
	__u64 unmapped;
	long areas;

	EXPECT_KILLED(destroy_ioas, NULL, 200);
	areas = areas_of(big, big_ioas);
	if (areas < 0)		/* it was in time */
		return;
	/* It can be used as before. */
	EXPECT_GE(self->areas, areas);
	EXPECT_EQ(0, ioas_unmap_all(big, big_ioas, &unmapped));
	EXPECT_EQ(unmapped, areas * self->ps);
	EXPECT_EQ(0, obj_destroy(big, big_ioas));
	EXPECT_EQ(-ENOENT, obj_destroy(big, big_ioas));
}

/* Contexts of their own: the large one is gone by now. */
FIXTURE(many)
{
	size_t ps;
	int fd;
	__u32 ioas;
};

FIXTURE_SETUP(many)
{
	if (missing)
		SKIP(return, "%s", missing);
	self->ps = page_size();
	self->fd = container_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(many)
{
	double begin = now();

	if (missing)
		return;
	EXPECT_EQ(0, close(self->fd));
	printf("# closed in %.2f s\n", now() - begin);
}

TEST_F_TIMEOUT(many, objects, TEST_SECONDS)
{
	unsigned int i;
	__u32 id;

	for (i = 0; i < OBJECTS; i++)
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_KILLED(show_all, &self->fd, 200);
}

TEST_F_TIMEOUT(many, allowed, TEST_SECONDS)
{
	const unsigned int max = 65536;
	struct iommu_iova_range *ranges;
	unsigned int i;
	double begin;
	__u64 iova;

	ranges = mem_private((max + 1) * sizeof(*ranges));
	ASSERT_NE(MAP_FAILED, ranges);
	for (i = 0; i <= max; i++) {
		ranges[i].start = BASE + 2ULL * i * self->ps;
		ranges[i].last = ranges[i].start + self->ps - 2;
	}
	begin = now();
	EXPECT_EQ(-ENOSPC, ioas_allow_iovas(self->fd, self->ioas, ranges,
					    max + 1));
	EXPECT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, ranges, max));
	/* Nowhere is room for a page. */
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->ioas, ranges, self->ps,
				    &iova, MAP_RW));
	EXPECT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, NULL, 0));
	printf("# %.2f s\n", now() - begin);
	EXPECT_LT(now() - begin, 4 * patience());
}

/* Each gap is large enough, and none has room at a multiple of a page. */
TEST_F_TIMEOUT(many, gaps, TEST_SECONDS)
{
	const unsigned int n = 1 << 16;
	__u64 stride = 3 * self->ps, iova;
	struct iommu_iova_range range = {
		.start = 2 * BASE + 2 * self->ps - 1,
		/* the first page behind them */
		.last = 2 * BASE + (n - 1) * stride + 5 * self->ps - 1,
	};
	char *mem = mem_private(2 * self->ps);
	double begin;
	unsigned int i;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, mem, 2 * self->ps,
				 BASE));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, 2 * BASE +
					  i * stride + 2 * self->ps - 1,
					  self->ioas, BASE,
					  self->ps + self->ps / 2 + 1));
	/* Behind the page is no room either that need not be searched for. */
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, range.last + 1,
				  self->ioas, BASE, self->ps));
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, &range, 1));
	begin = now();
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->ps, &iova,
			      MAP_RW));
	printf("# mapped in %.3f s\n", now() - begin);
	EXPECT_LT(now() - begin, patience());
	EXPECT_EQ(range.last - (self->ps - 1), iova);
}

static int take_over(void *arg)
{
	return change_process(*(int *)arg);
}

TEST_F_TIMEOUT(many, files, TEST_SECONDS)
{
	int memfd = memfd_new(self->ps, 0);
	unsigned int i;

	ASSERT_LE(0, memfd);
	for (i = 0; i < FILES; i++)
		ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0,
					      self->ps, BASE + i * self->ps));
	EXPECT_KILLED(take_over, &self->fd, 100);
	EXPECT_EQ(0, change_process(self->fd));
}

/* Nothing is pinned as long as there is no device, however large it is. */
TEST_F_TIMEOUT(many, lengths, TEST_SECONDS)
{
	size_t length = 1UL << 45;
	double begin = now();
	int memfd = memfd_new(length, 0);
	char *mem;

	mem = mmap(NULL, length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_LE(0, memfd);
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, mem, length, BASE));
	EXPECT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, length,
				      BASE + length));
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + 2 * length,
				  self->ioas, BASE, 2 * length));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 4 * length));
	EXPECT_LT(now() - begin, patience());
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	missing = prepare();
	return test_harness_run(argc, argv);
}
