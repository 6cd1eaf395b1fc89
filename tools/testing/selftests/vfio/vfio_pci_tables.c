// SPDX-License-Identifier: GPL-2.0-only
/*
 * VT-d: each page-table page is freed after the flush of what it translated, as
 * the tracepoints of the page allocator and of the IOMMU driver tell. Needs an
 * edu device and tracefs.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "../lib/type1.h"
#include "vfio_pci_release.h"

#define TRACEFS		"/sys/kernel/tracing"
#define TRACE		TRACEFS "/instances/vfio_pci_tables"
#define FLUSH_ALL	"events/intel_iommu/cache_tag_flush_all/enable"
#define MAX_TABLES	256

/**
 * struct table - a page that translates HUGE bytes
 * @iova: first of them
 * @pfn: the page
 * @start: first of them that is unmapped and that no flush has covered yet
 * @end: end of those
 * @freed: since then
 */
struct table {
	__u64 iova;
	unsigned long pfn;
	__u64 start;
	__u64 end;
	bool freed;
};

FIXTURE(tables) {
	struct p2p p;
	size_t before;
	struct table table[MAX_TABLES];
	unsigned int nr;
	/* what the tracepoints told of the end */
	unsigned int freed;
	unsigned int early;
	unsigned int flushes;
};

static int trace_write(const char *file, const char *text)
{
	char path[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", TRACE, file);
	ret = file_write(path, text);
	if (ret)
		printf("# %s: %s\n", path, strerror(-ret));
	return ret;
}

/* Start with an empty buffer, which opening it like this makes it */
static int trace_on(void)
{
	int fd = open(TRACE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return trace_write("tracing_on", "1");
}

static int trace_set_up(void)
{
	static const char *const event[] = {
		"events/kmem/mm_page_alloc/enable",
		"events/kmem/mm_page_free/enable",
		"events/intel_iommu/cache_tag_flush_range/enable",
		"events/intel_iommu/cache_tag_unassign/enable",
	};
	unsigned int i;
	char pid[16];
	int ret;

	if (mkdir(TRACE, 0700) && errno != EEXIST)
		return -errno;
	snprintf(pid, sizeof(pid), "%d", getpid());
	ret = trace_write("tracing_on", "0");
	/* One order for all processors */
	ret = ret ? ret : trace_write("trace_clock", "counter");
	ret = ret ? ret : trace_write("buffer_size_kb", "4096");
	ret = ret ? ret : trace_write("set_event_pid", pid);
	ret = ret ? ret : trace_write("options/stacktrace", "1");
	ret = ret ? ret : trace_write("events/kmem/mm_page_alloc/filter",
				      "order==0");
	ret = ret ? ret : trace_write("events/kmem/mm_page_free/filter",
				      "order==0");
	for (i = 0; !ret && i < sizeof(event) / sizeof(event[0]); i++)
		ret = trace_write(event[i], "1");
	/* Newer kernels tell of a flush of all as of one of the largest range */
	if (!ret && !access(TRACE "/" FLUSH_ALL, F_OK))
		ret = trace_write(FLUSH_ALL, "1");
	return ret;
}

static FILE *trace_read(void)
{
	if (trace_write("tracing_on", "0"))
		return NULL;
	return fopen(TRACE "/trace", "r");
}

FIXTURE_SETUP(tables)
{
	const char *missing;
	int ret;

	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/events/intel_iommu/cache_tag_flush_range", F_OK))
		SKIP(return, "no tracepoint intel_iommu:cache_tag_flush_range");
	ret = p2p_open(&self->p, PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	if (access("/sys/class/iommu/dmar0", F_OK))
		SKIP(return, "the IOMMU is not VT-d");
	ASSERT_EQ(0, trace_set_up());
	self->before = complaints();
}

FIXTURE_TEARDOWN(tables)
{
	rmdir(TRACE);
	EXPECT_EQ(0, p2p_close(&self->p));
}

/*
 * The page that was allocated last for a page table, or 0. The process has page
 * tables of its own, which are allocated with the same flags: who called tells.
 */
static unsigned long last_table(void)
{
	unsigned long pfn = 0, last = 0;
	char line[512], *at;
	FILE *f = trace_read();

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, " mm_page_alloc: ")) {
			at = strstr(line, "pfn=");
			last = at ? strtoul(at + strlen("pfn="), NULL, 16) : 0;
		} else if (strstr(line, " mm_page_free: ")) {
			last = 0;
		} else if (last && strstr(line, " => ") &&
			   strstr(line, "iopt_translate")) {
			pfn = last;
		}
	}
	if (f)
		fclose(f);
	return pfn;
}

/*
 * Make the page tables of [@iova, @iova + @size), each of them known: one page
 * in each range that a table translates is mapped, and unmapped again, which
 * leaves the tables. Higher ones are allocated first.
 */
static void make_tables(struct __test_metadata *_metadata,
			struct _test_data_tables *self, __u64 iova, size_t size)
{
	__u64 at, end = iova + size;
	int fd = self->p.edu.iommufd;
	struct table *t;

	for (at = iova & ~(HUGE - 1); at < end; at += HUGE) {
		ASSERT_GT(MAX_TABLES, self->nr);
		t = &self->table[self->nr++];
		t->iova = at;
		t->start = at < iova ? iova : at;
		t->end = at + HUGE > end ? end : at + HUGE;
		ASSERT_EQ(0, trace_on());
		ASSERT_EQ(0, ioas_map_at(fd, self->p.ioas, self->p.mem, PAGE,
					 t->start));
		t->pfn = last_table();
		ASSERT_NE(0, t->pfn);
		ASSERT_EQ(0, ioas_unmap(fd, self->p.ioas, t->start, PAGE));
	}
}

/*
 * The end of what a flush covers: 6.12 tells the pages, newer kernels how many
 * bits of the page number do not count, and of a flush of all that none does.
 */
static bool flush_end(__u64 start, const char *size, __u64 *end)
{
	unsigned long n;

	if (sscanf(size, " pages 0x%lx", &n) == 1)
		*end = start + PAGE * n;
	else if (sscanf(size, " mask 0x%lx", &n) == 1)
		*end = n < 52 ? start + (PAGE << n) : ~0ULL;
	else
		return false;
	return true;
}

/*
 * Go through what happened since trace_on(). A flush is one of all, or of a
 * block of pages; several may cover what a table translated. The domain has no
 * cache tag any more after the device was blocked, and all of the domain flushed.
 */
static void judge(struct __test_metadata *_metadata,
		  struct _test_data_tables *self)
{
	__u64 start, end;
	unsigned long pfn;
	char line[512], *at;
	struct table *t;
	FILE *f = trace_read();

	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		ASSERT_EQ(NULL, strstr(line, "LOST")) {
			TH_LOG("events were lost: %s", line);
		}
		start = 0;
		end = ~0ULL;
		pfn = 0;
		if (strstr(line, " cache_tag_flush_range: ") &&
		    strstr(line, " type iotlb ")) {
			at = strstr(line, "] addr ");
			ASSERT_NE(NULL, at);
			start = strtoull(at + strlen("] addr "), &at, 16);
			ASSERT_NE(0, flush_end(start, at, &end));
			self->flushes++;
		} else if ((strstr(line, " cache_tag_flush_all: ") ||
			    strstr(line, " cache_tag_unassign: ")) &&
			   strstr(line, " type iotlb ")) {
			self->flushes++;
		} else if (strstr(line, " mm_page_free: ")) {
			at = strstr(line, "pfn=");
			ASSERT_NE(NULL, at);
			pfn = strtoul(at + strlen("pfn="), NULL, 16);
		} else {
			continue;
		}
		for (t = self->table; t < self->table + self->nr; t++) {
			if (pfn && t->pfn == pfn && !t->freed) {
				t->freed = true;
				self->freed++;
				if (t->start < t->end) {
					self->early++;
					printf("# the table of 0x%llx is freed, and 0x%llx-0x%llx not flushed\n",
					       (unsigned long long)t->iova,
					       (unsigned long long)t->start,
					       (unsigned long long)t->end - 1);
				}
			} else if (!pfn && start <= t->start && end > t->start) {
				t->start = end < t->end ? end : t->end;
			}
		}
	}
	fclose(f);
	printf("# %u flushes, %u of %u tables freed\n", self->flushes,
	       self->freed, self->nr);
}

static char *pages(size_t size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	/* A page of the same size in the IOMMU makes tables; others do not. */
	madvise(mem, size, MADV_NOHUGEPAGE);
	memset(mem, UNTOUCHED, size);
	return mem;
}

/* Pages of memory that are not next to each other, so that none is merged */
static void map_pages(struct __test_metadata *_metadata,
		      struct _test_data_tables *self, __u64 iova, size_t size)
{
	char *mem = pages(size);

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, ioas_map_at(self->p.edu.iommufd, self->p.ioas, mem, size,
				 iova));
}

static int unmap(struct _test_data_tables *self, __u64 iova, size_t size)
{
	return ioas_unmap(self->p.edu.iommufd, self->p.ioas, iova, size);
}

/* Areas with and without gaps between them, unmapped by one call */
TEST_F_TIMEOUT(tables, several_areas, SECONDS)
{
	make_tables(_metadata, self, IOVA + 2 * HUGE, 2 * HUGE);
	make_tables(_metadata, self, IOVA_HIGH, HUGE);
	map_pages(_metadata, self, IOVA, PAGE);
	map_pages(_metadata, self, IOVA + 2 * HUGE, HUGE);
	map_pages(_metadata, self, IOVA + 3 * HUGE, HUGE);
	map_pages(_metadata, self, IOVA_HIGH, HUGE);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, unmap(self, IOVA, 2 * IOVA_HIGH));
	judge(_metadata, self);
	EXPECT_EQ(3, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

/* An area that begins and ends within what a table translates */
TEST_F_TIMEOUT(tables, odd_ends, SECONDS)
{
	make_tables(_metadata, self, IOVA - PAGE, 2 * HUGE + 3 * PAGE);
	map_pages(_metadata, self, IOVA - PAGE, 2 * HUGE + 3 * PAGE);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, unmap(self, IOVA - PAGE, 2 * HUGE + 3 * PAGE));
	judge(_metadata, self);
	EXPECT_EQ(2, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

/* Small pages, a huge one, small ones: in three areas, unmapped by one call */
TEST_F_TIMEOUT(tables, page_sizes, SECONDS)
{
	char *mem = release_memory(HUGE, true);

	ASSERT_NE(MAP_FAILED, mem);
	make_tables(_metadata, self, IOVA + HUGE, HUGE);
	make_tables(_metadata, self, IOVA + 3 * HUGE, 2 * HUGE);
	map_pages(_metadata, self, IOVA + HUGE, HUGE);
	ASSERT_EQ(0, ioas_map_at(self->p.edu.iommufd, self->p.ioas, mem, HUGE,
				 IOVA + 2 * HUGE));
	map_pages(_metadata, self, IOVA + 3 * HUGE, 2 * HUGE);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, unmap(self, IOVA + HUGE, 4 * HUGE));
	judge(_metadata, self);
	EXPECT_EQ(3, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
	release_free(mem, HUGE);
}

/* The same in one area, as one file may have pages of several sizes */
TEST_F_TIMEOUT(tables, page_sizes_in_one_area, SECONDS)
{
	char *mem = mmap(NULL, 5 * HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *huge = release_memory(HUGE, true);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_NE(MAP_FAILED, huge);
	mem += -(uintptr_t)mem & (HUGE - 1);
	madvise(mem, 4 * HUGE, MADV_NOHUGEPAGE);
	ASSERT_EQ(mem + HUGE, mremap(huge, HUGE, HUGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     mem + HUGE));
	memset(mem, UNTOUCHED, 4 * HUGE);
	make_tables(_metadata, self, IOVA, HUGE);
	make_tables(_metadata, self, IOVA + 2 * HUGE, 2 * HUGE);
	ASSERT_EQ(0, ioas_map_at(self->p.edu.iommufd, self->p.ioas, mem,
				 4 * HUGE, IOVA));
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, unmap(self, IOVA, 4 * HUGE));
	judge(_metadata, self);
	EXPECT_EQ(3, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

/* More than is unmapped in one step: windows of the walk over the pages */
TEST_F_TIMEOUT(tables, large, SECONDS)
{
	const size_t size = 2 * BLOCK + 5 * HUGE;

	make_tables(_metadata, self, IOVA - HUGE, size);
	map_pages(_metadata, self, IOVA - HUGE, size);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, unmap(self, 0, ~0UL));
	judge(_metadata, self);
	EXPECT_EQ(self->nr, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

/* The middle of an area goes, as a container lets its user do. */
TEST_F_TIMEOUT(tables, split, SECONDS)
{
	int fd = self->p.edu.iommufd;

	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &self->p.ioas));
	ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1_IOMMU));
	make_tables(_metadata, self, IOVA + PAGE, 4 * HUGE);
	map_pages(_metadata, self, IOVA, 6 * HUGE);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, t1_unmap(fd, IOVA + PAGE, 4 * HUGE));
	judge(_metadata, self);
	EXPECT_EQ(3, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

/* The page table goes as a whole, when no device uses it any more. */
TEST_F_TIMEOUT(tables, detach, SECONDS)
{
	make_tables(_metadata, self, IOVA, 3 * HUGE);
	map_pages(_metadata, self, IOVA, 2 * HUGE);
	ASSERT_EQ(0, trace_on());
	ASSERT_EQ(0, cdev_detach(self->p.edu.fd));
	judge(_metadata, self);
	EXPECT_EQ(3, self->freed);
	EXPECT_EQ(0, self->early);
	EXPECT_EQ(self->before, complaints());
}

TEST_HARNESS_MAIN
