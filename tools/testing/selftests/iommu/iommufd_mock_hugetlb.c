// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: memory of hugetlbfs, which is pinned by folio, is what a
 * pin of each page would give, whatever else happens to it.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "../../../lib/sysdev.h"
#include "../lib/uffd.h"
#include "iommufd_mock.h"
#include "../lib/skip.h"

#define PAGES	6
#define SIZE	(PAGES * SZ_2M)
#define RESERVE	(5 * PAGES)

FIXTURE(hugetlb)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t ps;
	char *mem;
	long pinned;
};

FIXTURE_VARIANT(hugetlb)
{
	int flags;
	__u32 memory_limit;
};

FIXTURE_VARIANT_ADD(hugetlb, private) {
	.flags = MAP_PRIVATE, .memory_limit = MOCK_MEMORY_DEFAULT
};

FIXTURE_VARIANT_ADD(hugetlb, shared) {
	.flags = MAP_SHARED, .memory_limit = MOCK_MEMORY_DEFAULT
};

FIXTURE_VARIANT_ADD(hugetlb, few_at_a_time) {
	.flags = MAP_PRIVATE, .memory_limit = 2 * sizeof(void *)
};

static char *new_hugetlb(void *at, size_t size, int flags)
{
	return mmap(at, size, PROT_READ | PROT_WRITE,
		    MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);
}

static long huge_pages_left(void)
{
	char text[32] = "";

	file_read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
		  text, sizeof(text));
	return strtol(text, NULL, 10);
}

FIXTURE_SETUP(hugetlb)
{
	self->ps = page_size();
	MOCK_OPEN(self->fd);
	hugetlb_reserve(RESERVE);
	self->mem = new_hugetlb(NULL, SIZE, variant->flags);
	if (self->mem == MAP_FAILED || huge_pages_left() < RESERVE)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, mock_memory_limit(self->fd, variant->memory_limit));
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
}

FIXTURE_TEARDOWN(hugetlb)
{
	mock_memory_limit(self->fd, MOCK_MEMORY_DEFAULT);
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
	/* Nothing holds a page that nobody maps */
	if (self->mem != MAP_FAILED)
		munmap(self->mem, SIZE);
	EXPECT_LE(RESERVE, huge_pages_left());
}

#define IS_MAPPED(iova, length, va) \
	mock_check_map(self->fd, self->dev.hwpt, iova, length, va)
/* How many pages are pinned since the test began */
#define PINNED() (pages_pinned() - self->pinned)

TEST_F(hugetlb, pins_each_page)
{
	const size_t sizes[] = { SZ_2M, SZ_2M + self->ps, SIZE };
	size_t ps = self->ps, head, i;
	long charged = status_kib("VmPin");

	memset(self->mem, 1, SIZE);
	for (i = 0; i != ARRAY_SIZE(sizes); i++) {
		for (head = 0; head <= 2 * ps; head += 2 * ps) {
			size_t size = sizes[i] - head;
			char *mem = self->mem + head;

			ASSERT_EQ(0, MAP_AT(mem, size, BASE));
			EXPECT_EQ(0, IS_MAPPED(BASE, size, mem));
			EXPECT_EQ(size / ps, PINNED());
			EXPECT_EQ(charged + size / 1024, status_kib("VmPin"));
			ASSERT_EQ(0, UNMAP(BASE, size));
			EXPECT_EQ(0, PINNED());
			EXPECT_EQ(0, REFS(self->mem, SIZE, 0));
			EXPECT_EQ(charged, status_kib("VmPin"));
		}
	}
}

/* What has no user any more is released, page by page */
TEST_F(hugetlb, parts_stay)
{
	const __u64 copy = BASE + SIZE;
	size_t ps = self->ps;

	memset(self->mem, 1, SIZE);
	ASSERT_EQ(0, MAP_AT(self->mem, SIZE, BASE));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, copy, self->ioas,
				  BASE + SZ_2M - ps, 2 * ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, copy + SIZE, self->ioas,
				  BASE + 3 * SZ_2M + ps, SZ_2M));
	EXPECT_EQ(SIZE / ps, PINNED());
	ASSERT_EQ(0, UNMAP(BASE, SIZE));
	EXPECT_EQ(2 + SZ_2M / ps, PINNED());
	EXPECT_EQ(0, IS_MAPPED(copy, 2 * ps, self->mem + SZ_2M - ps));
	EXPECT_EQ(0, IS_MAPPED(copy + SIZE, SZ_2M,
			       self->mem + 3 * SZ_2M + ps));
	/* The rest is pinned again, and what is pinned is left alone */
	ASSERT_EQ(0, MAP_AT(self->mem, SIZE, BASE));
	EXPECT_EQ(2 + SZ_2M / ps + SIZE / ps, PINNED());
	ASSERT_EQ(0, UNMAP(copy, 2 * ps));
	ASSERT_EQ(0, UNMAP(copy + SIZE, SZ_2M));
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, self->mem));
	EXPECT_EQ(SIZE / ps, PINNED());
}

/* Other memory begins where that of hugetlbfs ends, or there is none */
TEST_F(hugetlb, neighbours)
{
	char *mem = self->mem, *other = mem + 2 * SZ_2M;

	ASSERT_EQ(0, munmap(other, SZ_2M));
	memset(mem, 1, 2 * SZ_2M);
	memset(other + SZ_2M, 1, SIZE - 3 * SZ_2M);
	EXPECT_EQ(-EFAULT, MAP_AT(mem, SIZE, BASE));
	EXPECT_EQ(0, PINNED());

	/* A huge page, if there is one, of which a page in the middle is another */
	ASSERT_EQ(other, mmap(other, SZ_2M, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	madvise(other, SZ_2M, MADV_HUGEPAGE);
	memset(other, 1, SZ_2M);
	ASSERT_EQ(0, madvise(other + 5 * self->ps, self->ps, MADV_DONTNEED));
	other[5 * self->ps] = 1;
	ASSERT_EQ(0, MAP_AT(mem, SIZE, BASE));
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, mem));
	EXPECT_EQ(SIZE / self->ps, PINNED());
	ASSERT_EQ(0, UNMAP(BASE, SIZE));

	ASSERT_EQ(0, mprotect(mem + 4 * SZ_2M, SZ_2M, PROT_READ));
	EXPECT_EQ(-EFAULT, MAP_AT(mem, SIZE, BASE));
	EXPECT_EQ(0, PINNED());
	ASSERT_EQ(0, mprotect(mem + 4 * SZ_2M, SZ_2M, PROT_NONE));
	EXPECT_EQ(-EFAULT, MAP_AT(mem, SIZE, BASE));
	EXPECT_EQ(0, PINNED());
}

TEST_F(hugetlb, untouched)
{
	size_t i;

	for (i = 0; i < PAGES; i += 2)
		self->mem[i * SZ_2M] = 1;
	ASSERT_EQ(0, MAP_AT(self->mem, SIZE, BASE));
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, self->mem));
	EXPECT_EQ(SIZE / self->ps, PINNED());
}

/* A device gets the pages of the process that maps, not those of its children */
TEST_F(hugetlb, fork)
{
	bool private = variant->flags & MAP_PRIVATE;
	char *mem = self->mem;
	int sock;
	pid_t pid;

	memset(mem, 1, SIZE);
	pid = fork_with_socket(&sock);
	ASSERT_LE(0, pid);
	if (!pid) {
		sync_wait(sock);
		CHILD_CHECK(mem[0] == (private ? 1 : 2));
		CHILD_CHECK(mem[SIZE - 1] == (private ? 1 : 2));
		_exit(0);
	}
	ASSERT_EQ(0, MAP_AT(mem, SIZE, BASE));
	EXPECT_EQ(SIZE / self->ps, PINNED());
	memset(mem, 2, SIZE);
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, mem));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(sock);

	/* The child gets copies of what is pinned, at once */
	pid = fork_with_socket(&sock);
	ASSERT_LE(0, pid);
	if (!pid) {
		sync_wait(sock);
		CHILD_CHECK(mem[SZ_2M] == (private ? 2 : 3));
		mem[SZ_2M] = 4;
		_exit(0);
	}
	memset(mem, 3, SIZE);
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, mem));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(sock);
	EXPECT_EQ(private ? 3 : 4, mem[SZ_2M]);
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, mem));
}

/* What a device only reads is not replaced when the process writes to it */
TEST_F(hugetlb, read_only)
{
	int memfd = memfd_new(SIZE, MFD_HUGETLB);
	__u64 iova = BASE;
	size_t i;
	char *mem;

	ASSERT_LE(0, memfd);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, variant->flags, memfd,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i != PAGES; i++)
		EXPECT_EQ(0, *(volatile char *)(mem + i * SZ_2M));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, SIZE, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(SIZE / self->ps, PINNED());
	memset(mem, 2, SIZE);
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, mem));
	ASSERT_EQ(0, UNMAP(BASE, SIZE));
	munmap(mem, SIZE);
	close(memfd);
}

/* Pages stay where they are when the file is cut off behind them */
TEST_F(hugetlb, truncated)
{
	int memfd = memfd_new(SIZE, MFD_HUGETLB);
	char *mem;

	ASSERT_LE(0, memfd);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, variant->flags, memfd,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, SIZE);
	ASSERT_EQ(0, MAP_AT(mem, SIZE, BASE));
	ASSERT_EQ(0, ftruncate(memfd, 0));
	EXPECT_EQ(SIZE / self->ps, PINNED());
	munmap(mem, SIZE);
	close(memfd);
	ASSERT_EQ(0, UNMAP(BASE, SIZE));
	EXPECT_EQ(0, PINNED());
}

static void *map_thread(void *arg)
{
	struct _test_data_hugetlb *self = arg;

	return (void *)(long)MAP_AT(self->mem, SIZE, BASE);
}

static int uffd_copy(int uffd, void *to, void *from)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to,
		.src = (uintptr_t)from,
		.len = SZ_2M,
	};

	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

/* Who maps memory that is to come waits for it, and others can use theirs */
TEST_F(hugetlb, userfaultfd)
{
	char *late = self->mem + 3 * SZ_2M, *from = mem_private(SZ_2M);
	pthread_t thread;
	void *rc;
	int uffd;

	ASSERT_NE(MAP_FAILED, from);
	memset(self->mem, 1, 3 * SZ_2M);
	memset(self->mem + 4 * SZ_2M, 1, 2 * SZ_2M);
	memset(from, 7, SZ_2M);
	uffd = uffd_open(late, SZ_2M);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_thread, self));
	EXPECT_EQ(0, uffd_wait(uffd));
	/* mmap_lock is free */
	EXPECT_EQ(0, munmap(mem_private(self->ps), self->ps));
	EXPECT_EQ(0, uffd_copy(uffd, late, from));
	ASSERT_EQ(0, pthread_join(thread, &rc));
	EXPECT_EQ(0, (long)rc);
	EXPECT_EQ(0, IS_MAPPED(BASE, SIZE, self->mem));
	EXPECT_EQ(SIZE / self->ps, PINNED());
	EXPECT_EQ(7, late[SZ_2M - 1]);
	close(uffd);
}

TEST_F(hugetlb, killed)
{
	int sock, uffd;
	pid_t pid;

	pid = fork_with_socket(&sock);
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(self->mem, 1, 3 * SZ_2M);
		uffd = uffd_open(self->mem + 3 * SZ_2M, SZ_2M);
		if (uffd < 0)
			_exit(77);
		sync_tell(sock);
		MAP_AT(self->mem, SIZE, BASE);
		_exit(1);
	}
	sync_wait(sock);
	if (!process_sleeps_in(pid, "handle_userfault")) {
		EXPECT_EQ(77, wait_child(pid));
		SKIP_REST("no userfaultfd");
	}
	EXPECT_LE(3 * (long)SZ_2M / (long)self->ps, PINNED());
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_TRUE(child_is_gone(pid));
	close(sock);
	EXPECT_EQ(0, PINNED());
	EXPECT_EQ(-ENOENT, UNMAP(BASE, SIZE));
}

struct changes {
	int fd;
	__u32 ioas;
	char *mem;
	bool stop;
	unsigned int mapped;
	int error;
};

/* Map and unmap, as long as the memory changes */
static void *map_again(void *arg)
{
	struct changes *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		int rc = ioas_map_at(c->fd, c->ioas, c->mem, SIZE, BASE);

		if (!rc) {
			c->mapped++;
			rc = ioas_unmap(c->fd, c->ioas, BASE, SIZE);
		}
		if (rc && rc != -EFAULT)
			c->error = rc;
	}
	return NULL;
}

static bool is_there(const char *mem)
{
	return mem != MAP_FAILED;
}

/* One way for memory to change, and another one to be what it was */
static bool change(char *mem, unsigned int round)
{
	char *page = mem + (round / 5 % PAGES) * SZ_2M;
	char *to = mem + ((round / 5 + 2) % PAGES) * SZ_2M;
	pid_t pid;

	switch (round % 5) {
	case 0:
		return is_there(mmap(page, SZ_2M, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0)) &&
		       is_there(new_hugetlb(page, SZ_2M,
					    MAP_PRIVATE | MAP_FIXED));
	case 1:
		return !madvise(page, SZ_2M, MADV_DONTNEED);
	case 2:
		return is_there(mremap(page, SZ_2M, SZ_2M,
				       MREMAP_MAYMOVE | MREMAP_FIXED, to)) &&
		       is_there(new_hugetlb(page, SZ_2M,
					    MAP_PRIVATE | MAP_FIXED));
	case 3:
		pid = fork();
		if (!pid) {
			mem[0] = 1;
			_exit(0);
		}
		return pid > 0 && !wait_child(pid);
	default:
		return !mprotect(page, SZ_2M, PROT_READ) &&
		       !mprotect(page, SZ_2M, PROT_READ | PROT_WRITE);
	}
}

TEST_F(hugetlb, races_with_changes)
{
	struct changes c = { .ioas = self->ioas, .fd = self->fd };
	unsigned int round;
	pthread_t thread;

	if (variant->flags != MAP_PRIVATE)
		SKIP(return, "the same as for private memory");
	memset(self->mem, 1, SIZE);
	c.mem = self->mem;
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_again, &c));
	for (round = 0; round != 300; round++) {
		ASSERT_TRUE(change(self->mem, round)) {
			TH_LOG("round %u: %d", round, errno);
		}
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, c.error);
	EXPECT_LT(0, c.mapped);
	EXPECT_EQ(0, PINNED());
	EXPECT_EQ(0, REFS(self->mem, SIZE, 0));
}

TEST_HARNESS_MAIN
