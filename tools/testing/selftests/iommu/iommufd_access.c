// SPDX-License-Identifier: GPL-2.0-only
/*
 * What in-kernel users read and write by IOVA, on the mock IOMMU driver: memory
 * of any file, without a pin that lasts, without a charge, without a lock that
 * others wait for.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "kselftest_harness.h"
#include "../../../lib/fdpass.h"
#include "../lib/mock.h"
#include "../lib/uffd.h"

#define BASE	(MOCK_APERTURE_START + (1UL << 20))
#define PAGES	40
#define WRITE	MOCK_ACCESS_RW_WRITE

FIXTURE(access)
{
	int fd;
	int access;
	__u32 ioas;
	size_t ps;
	size_t size;
	char *tmp;
	long pinned;
};

FIXTURE_SETUP(access)
{
	self->ps = page_size();
	self->size = PAGES * self->ps;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	self->tmp = malloc(self->size);
	ASSERT_NE(NULL, self->tmp);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, self->access);
}

FIXTURE_TEARDOWN(access)
{
	close(self->access);
	close(self->fd);
	free(self->tmp);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(va, length, iova) \
	ioas_map_at(self->fd, self->ioas, va, length, iova)
#define RW(iova, length, data, flags) \
	mock_access_rw(self->fd, self->access, iova, length, data, flags)

/* /proc/self/pagemap says it of each page: PFN, and whether it is a file's */
#define PAGEMAP_PFN	(~0ULL >> 9)
#define PAGEMAP_FILE	0x2000000000000000ULL

static __u64 pagemap_entry(const void *va)
{
	off_t at = (uintptr_t)va / page_size() * sizeof(__u64);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	__u64 entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

TEST_F(access, file_on_a_disk)
{
	int disk = block_device(self->size);
	struct mock_device dev;
	char *mem;

	if (disk < 0)
		SKIP(return, "no loop device: %s", strerror(-disk));
	mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, disk,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 7, self->size);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	ASSERT_EQ(0, RW(BASE, self->size, self->tmp, 0));
	EXPECT_EQ(0, memcmp(mem, self->tmp, self->size));
	memset(self->tmp, 8, self->size);
	ASSERT_EQ(0, RW(BASE + 5, self->size - 10, self->tmp, WRITE));
	EXPECT_EQ(7, mem[4]);
	EXPECT_EQ(0, memcmp(mem + 5, self->tmp, self->size - 10));
	EXPECT_EQ(7, mem[self->size - 5]);
	/* What the CPU may do a device may not */
	EXPECT_EQ(-EFAULT, mock_attach(self->fd, self->ioas, &dev));
	/* It is as dirty as if the process had written to it */
	ASSERT_EQ(0, fsync(disk));
	munmap(mem, self->size);
	ASSERT_EQ(0, ioctl(disk, BLKFLSBUF, 0));
	ASSERT_EQ(8, pread(disk, self->tmp, 8, 4));
	EXPECT_EQ(0, memcmp(self->tmp, "\7\10\10\10\10\10\10\10", 8));
	ioctl(disk, LOOP_CLR_FD, 0);
	close(disk);
}

TEST_F(access, of_a_user_who_may_lock_nothing)
{
	pid_t pid = fork();

	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED && !drop_privilege(0));
		memset(mem, 1, self->size);
		memset(self->tmp, 2, self->size);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		CHILD_CHECK(!RW(BASE, self->size, self->tmp, 0));
		CHILD_CHECK(!memcmp(mem, self->tmp, self->size));
		memset(self->tmp, 3, self->size);
		CHILD_CHECK(!RW(BASE, self->size, self->tmp, WRITE));
		CHILD_CHECK(!memcmp(mem, self->tmp, self->size));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(access, read_leaves_private_file_shared)
{
	__u64 iova = BASE;
	char first[8];
	char *mem;
	int fd;

	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	mem = mmap(NULL, self->ps, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	close(fd);
	memcpy(first, mem, 8);
	ASSERT_NE(0, pagemap_entry(mem) & PAGEMAP_FILE);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->ps, &iova,
			      MAP_FIXED_RO));
	ASSERT_EQ(0, MAP_AT(mem, self->ps, BASE + self->ps));
	ASSERT_EQ(0, RW(BASE, 8, self->tmp, 0));
	EXPECT_EQ(0, memcmp(first, self->tmp, 8));
	ASSERT_EQ(0, RW(BASE + self->ps, 8, self->tmp, 0));
	EXPECT_EQ(0, memcmp(first, self->tmp, 8));
	EXPECT_NE(0, pagemap_entry(mem) & PAGEMAP_FILE);
	/* A write is the process's own */
	ASSERT_EQ(0, RW(BASE + self->ps, 1, "x", WRITE));
	EXPECT_EQ('x', mem[0]);
	EXPECT_EQ(0, pagemap_entry(mem) & PAGEMAP_FILE);
}

TEST_F(access, read_leaves_memory_shared_with_child)
{
	char *mem = mem_private(self->ps);
	__u64 before;
	pid_t pid;
	int sock;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 5, self->ps);
	before = pagemap_entry(mem) & PAGEMAP_PFN;
	if (!before)
		SKIP(return, "the kernel does not tell PFNs");
	ASSERT_EQ(0, MAP_AT(mem, self->ps, BASE));
	pid = fork_with_socket(&sock);
	if (!pid) {
		sync_wait(sock);
		/* What is written for the parent is none of the child's */
		CHILD_CHECK(mem[0] == 5);
		_exit(0);
	}
	ASSERT_EQ(0, RW(BASE, 1, self->tmp, 0));
	EXPECT_EQ(5, self->tmp[0]);
	EXPECT_EQ(before, pagemap_entry(mem) & PAGEMAP_PFN);
	ASSERT_EQ(0, RW(BASE, 1, "x", WRITE));
	EXPECT_EQ('x', mem[0]);
	EXPECT_NE(before, pagemap_entry(mem) & PAGEMAP_PFN);
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
}

/* A device and the CPU see the same pages, whatever becomes of the mapping */
TEST_F(access, pinned_memory)
{
	char *mem = mem_private(self->size);
	struct mock_device dev;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, self->size);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
	ASSERT_EQ(0, madvise(mem, self->size, MADV_DONTNEED));
	EXPECT_EQ(0, mem[0]);
	ASSERT_EQ(0, RW(BASE, self->size, self->tmp, 0));
	EXPECT_EQ(1, self->tmp[0]);
	EXPECT_EQ(1, self->tmp[self->size - 1]);
	ASSERT_EQ(0, RW(BASE, 1, "x", WRITE));
	EXPECT_EQ(0, mem[0]);
	ASSERT_EQ(0, RW(BASE, 1, self->tmp, 0));
	EXPECT_EQ('x', self->tmp[0]);
	/* As soon as nothing is pinned, what the process has */
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	ASSERT_EQ(0, RW(BASE, self->size, self->tmp, 0));
	EXPECT_EQ(0, self->tmp[0]);
}

TEST_F(access, memfd)
{
	int memfd = memfd_new(self->size, 0);

	ASSERT_LE(0, memfd);
	ASSERT_EQ(4, pwrite(memfd, "text", 4, 3 * self->ps));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, self->ps,
				      self->size - self->ps, BASE));
	ASSERT_EQ(0, RW(BASE, self->size - self->ps, self->tmp, 0));
	EXPECT_EQ(0, self->tmp[0]);
	EXPECT_EQ(0, memcmp(self->tmp + 2 * self->ps, "text", 4));
	memset(self->tmp, 9, self->size);
	ASSERT_EQ(0, RW(BASE + 1, self->size - self->ps - 1, self->tmp, WRITE));
	ASSERT_EQ(self->size - self->ps,
		  pread(memfd, self->tmp, self->size, self->ps));
	EXPECT_EQ(0, self->tmp[0]);
	EXPECT_EQ(9, self->tmp[1]);
	EXPECT_EQ(9, self->tmp[self->size - self->ps - 1]);
	ASSERT_EQ(0, ftruncate(memfd, self->ps));
	EXPECT_GT(0, RW(BASE, 1, self->tmp, 0));
	close(memfd);
}

TEST_F(access, memfd_of_huge_pages)
{
	int memfd = memfd_new(2 * SZ_2M, MFD_HUGETLB);
	char *mem;

	if (memfd < 0)
		SKIP(return, "no hugetlb files");
	mem = mmap(NULL, 2 * SZ_2M, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, memfd, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, 2 * SZ_2M,
				      BASE));
	memset(self->tmp, 4, self->size);
	ASSERT_EQ(0, RW(BASE + SZ_2M - self->ps - 3, 2 * self->ps, self->tmp,
			WRITE));
	EXPECT_EQ(0, mem[SZ_2M - self->ps - 4]);
	EXPECT_EQ(0, memcmp(mem + SZ_2M - self->ps - 3, self->tmp,
			    2 * self->ps));
	EXPECT_EQ(0, mem[SZ_2M + self->ps - 3]);
	munmap(mem, 2 * SZ_2M);
	close(memfd);
}

TEST_F(access, process_may_not)
{
	char *ro = mmap(NULL, self->ps, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	char *none = mmap(NULL, self->ps, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *hole = mem_before_hole(self->ps);

	ASSERT_NE(MAP_FAILED, ro);
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, MAP_AT(ro, self->ps, BASE));
	ASSERT_EQ(0, MAP_AT(none, self->ps, BASE + self->ps));
	ASSERT_EQ(0, MAP_AT(hole, 2 * self->ps, BASE + 2 * self->ps));
	EXPECT_EQ(0, RW(BASE, 1, self->tmp, 0));
	EXPECT_EQ(-EFAULT, RW(BASE, 1, self->tmp, WRITE));
	EXPECT_EQ(-EFAULT, RW(BASE + self->ps, 1, self->tmp, 0));
	EXPECT_EQ(-EFAULT, RW(BASE + 3 * self->ps - 1, 2, self->tmp, 0));
	EXPECT_EQ(0, RW(BASE + 2 * self->ps, self->ps, self->tmp, WRITE));
}

TEST_F(access, owner_is_another_process)
{
	pid_t pid;
	int sock;

	pid = fork_with_socket(&sock);
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED && !drop_privilege(0));
		memset(mem, 6, self->size);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		sync_tell(sock);
		sync_wait(sock);
		CHILD_CHECK(mem[0] == 'x' && mem[self->size - 1] == 6);
		_exit(0);
	}
	sync_wait(sock);
	ASSERT_EQ(0, RW(BASE, self->size, self->tmp, 0));
	EXPECT_EQ(6, self->tmp[self->size - 1]);
	EXPECT_EQ(0, RW(BASE, 1, "x", WRITE));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(-EFAULT, RW(BASE, 1, self->tmp, 0));
}

/* A copy that waits for memory until we provide it */
struct slow {
	int fd;
	int access;
	__u64 iova;
	char data[8];
	int rc;
};

static void *slow_rw(void *arg)
{
	struct slow *slow = arg;

	slow->rc = mock_access_rw(slow->fd, slow->access, slow->iova,
				  sizeof(slow->data), slow->data, 0);
	return NULL;
}

TEST_F(access, slow_memory_stops_nobody)
{
	struct slow slow = { .fd = self->fd, .access = self->access,
			     .iova = BASE, .rc = 1 };
	char *mem = mem_private(self->ps);
	char *other = mem_private(self->ps);
	pthread_t thread;
	int uffd;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_NE(MAP_FAILED, other);
	uffd = uffd_open(mem, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, MAP_AT(mem, self->ps, BASE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, slow_rw, &slow));
	ASSERT_EQ(0, uffd_wait(uffd));

	/* The same access, the same IOAS and the same memory */
	other[0] = 5;
	EXPECT_EQ(0, MAP_AT(other, self->ps, BASE + self->ps));
	EXPECT_EQ(0, RW(BASE + self->ps, 1, self->tmp, 0));
	EXPECT_EQ(5, self->tmp[0]);
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + 2 * self->ps,
				  self->ioas, BASE, self->ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->ps));

	/* When the memory is there its IOVA is not any more */
	ASSERT_EQ(0, uffd_provide(uffd, mem, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-ENOENT, slow.rc);
	EXPECT_EQ(0, RW(BASE + 2 * self->ps, 8, self->tmp, 0));
	close(uffd);
}

TEST_F(access, slow_memory_arrives)
{
	struct slow slow = { .fd = self->fd, .access = self->access,
			     .iova = BASE, .rc = 1 };
	char *mem = mem_private(self->ps);
	pthread_t thread;
	int uffd;

	ASSERT_NE(MAP_FAILED, mem);
	uffd = uffd_open(mem, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	memset(slow.data, 1, sizeof(slow.data));
	ASSERT_EQ(0, MAP_AT(mem, self->ps, BASE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, slow_rw, &slow));
	ASSERT_EQ(0, uffd_wait(uffd));
	ASSERT_EQ(0, uffd_provide(uffd, mem, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, slow.rc);
	EXPECT_EQ(0, slow.data[0]);
	close(uffd);
}

TEST_F(access, slow_memory_can_be_killed)
{
	char *mem = mem_private(self->ps);
	int uffd;
	pid_t pid;
	int sock;

	ASSERT_NE(MAP_FAILED, mem);
	pid = fork_with_socket(&sock);
	if (!pid) {
		/* The parent keeps the descriptor and never answers */
		uffd = uffd_open(mem, self->ps);
		CHILD_CHECK(uffd >= 0);
		CHILD_CHECK(!fds_send(sock, &uffd, 1));
		CHILD_CHECK(!MAP_AT(mem, self->ps, BASE));
		RW(BASE, 1, self->tmp, WRITE);
		_exit(1);
	}
	if (fds_receive(sock, &uffd, 1))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, uffd_wait(uffd));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(pid));
	close(uffd);
}

/* Begin to pin what @iova is mapped to, which may take for ever */
static pid_t begin_pin(int fd, int access, __u64 iova, char *mem, size_t size)
{
	pid_t pid = fork();
	__u32 id;

	if (!pid) {
		mock_access_pin(fd, access, iova, size, mem,
				MOCK_FLAGS_ACCESS_WRITE, &id);
		_exit(1);
	}
	return pid;
}

/* Two accesses to the same memory: others wait behind one that is slow */
TEST_F(access, slow_pins_can_be_killed)
{
	char *mem = mem_private(2 * self->ps);
	pid_t first, same_access, same_memory;
	int other, uffd;

	ASSERT_NE(MAP_FAILED, mem);
	close(self->access);
	self->access = mock_access_open(self->fd, self->ioas,
					MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, self->access);
	other = mock_access_open(self->fd, self->ioas,
				 MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, other);
	uffd = uffd_open(mem, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, MAP_AT(mem, 2 * self->ps, BASE));

	first = begin_pin(self->fd, self->access, BASE, mem, self->ps);
	ASSERT_EQ(0, uffd_wait(uffd));
	same_access = begin_pin(self->fd, self->access, BASE + self->ps,
				mem + self->ps, self->ps);
	EXPECT_TRUE(process_sleeps_in(same_access, "mock_test_access"));
	same_memory = begin_pin(self->fd, other, BASE + self->ps,
				mem + self->ps, self->ps);
	EXPECT_TRUE(process_sleeps_in(same_memory, "iopt_slice_pin"));

	ASSERT_EQ(0, kill(same_access, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(same_access));
	ASSERT_EQ(0, kill(same_memory, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(same_memory));
	ASSERT_EQ(0, kill(first, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(first));
	close(other);
	close(uffd);
}

TEST_HARNESS_MAIN
