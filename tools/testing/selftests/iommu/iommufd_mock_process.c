// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: whose memory is mapped, and which process or user is
 * charged for it.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../lib/uffd.h"
#include "iommufd_mock.h"

/* Pages and the process */

TEST_F(iommu, pages_stay_after_munmap)
{
	char *other;
	char got[8] = {};
	int access;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	memcpy(self->buf, "contents", 8);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, munmap(self->buf, self->size));
	other = mmap(self->buf, self->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(self->buf, other);
	memcpy(other, "changed!", 8);
	/* New memory at the old address is none of the device's business */
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	EXPECT_NE(0, CHECK_MAP(BASE, self->size, other));
	EXPECT_EQ(0, REFS(other, self->size, 0));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	close(access);
}

TEST_F(iommu, private_memory_stays_shared_with_device)
{
	char *mem = mem_private(self->size);
	__u64 iova = BASE;

	/* Never touched, so it is the zero page: reading must not pin that */
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->size, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
	memset(mem, 2, self->size);
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
}

TEST_F(iommu, private_file_stays_shared_with_device)
{
	__u64 iova = BASE;
	char *mem;
	int fd;

	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	mem = mmap(NULL, self->ps, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	close(fd);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->ps, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->ps, mem));
	mem[0]++;
	EXPECT_EQ(0, CHECK_MAP(BASE, self->ps, mem));
}

TEST_F(iommu, fork_leaves_pages_to_parent)
{
	char *mem = mem_private(self->size);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, self->size);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	pid = fork();
	if (!pid) {
		memset(mem, 2, self->size);
		/* What the child writes is its own */
		CHILD_CHECK(CHECK_MAP(BASE, self->size, mem) != 0);
		_exit(0);
	}
	memset(mem, 3, self->size);
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
}

TEST_F(iommu, owner_is_gone)
{
	struct mock_device dev;
	char got[8] = {};
	int access;
	pid_t pid;
	__u32 ioas;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	pid = fork();
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, self->size,
					 BASE));
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	/* What was pinned in time stays */
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	/* For the rest it is too late */
	EXPECT_EQ(-EFAULT, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, BASE, self->size));
	EXPECT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
}

TEST_F(iommu, owner_becomes_another_program)
{
	int access, null, status;
	char got[8] = {};
	pid_t pid;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	null = open("/dev/null", O_WRONLY);
	ASSERT_LE(0, null);
	pid = fork();
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		dup2(null, 1);
		dup2(null, 2);
		/* Lists the tests, and that is all */
		execl("/proc/self/exe", "iommufd_mock_process", "-l", NULL);
		_exit(1);
	}
	status = wait_child(pid);
	ASSERT_LE(0, status);
	ASSERT_NE(1, status);
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	EXPECT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
	close(null);
}

TEST_F(iommu, owner_is_another_process)
{
	struct mock_device dev;
	char got[8] = {};
	int sock, access;
	pid_t pid;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	pid = fork_with_socket(&sock);
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, self->size,
					 BASE));
		sync_tell(sock);
		sync_wait(sock);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, self->size, 1));
		_exit(0);
	}
	sync_wait(sock);
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	access = mock_access_open(self->fd, ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(access);
}

TEST_F(iommu, killed_with_everything)
{
	int sock;
	pid_t pid;

	pid = fork_with_socket(&sock);
	if (!pid) {
		char *mem = mem_private(1 << 20);
		struct mock_device dev;
		__u32 ioas, id;
		int fd = iommufd_open(), access;

		CHILD_CHECK(mem != MAP_FAILED && fd >= 0);
		CHILD_CHECK(!ioas_alloc(fd, &ioas));
		CHILD_CHECK(!mock_attach(fd, ioas, &dev));
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, 1 << 20, BASE));
		access = mock_access_open(fd, ioas,
					  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
		CHILD_CHECK(access >= 0);
		CHILD_CHECK(!mock_access_pin(fd, access, BASE, 1 << 19, mem, 0,
					     &id));
		CHILD_CHECK(pages_pinned() > self->pinned);
		sync_tell(sock);
		pause();
		_exit(1);
	}
	sync_wait(sock);
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(pid));
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* Locked memory */

TEST_F(iommu, memlock_of_user)
{
	const size_t limit = 64 * self->ps;
	int sock;
	pid_t pid, other;
	char *mem = mem_shared(2 * limit);

	ASSERT_NE(MAP_FAILED, mem);
	pid = fork_with_socket(&sock);
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(MAP_AT(mem, limit + self->ps, BASE) == -ENOMEM);
		CHILD_CHECK(UNMAP(BASE, limit + self->ps) == -ENOENT);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, 2 * limit, 0));
		/* Exactly the limit, and not a page more */
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(MAP_AT(mem, self->ps, BASE + 2 * limit) == -ENOMEM);
		/* A copy costs nothing */
		CHILD_CHECK(!ioas_copy_at(self->fd, self->ioas,
					  BASE + 2 * limit, self->ioas, BASE,
					  limit));
		CHILD_CHECK(!UNMAP(BASE, limit));
		CHILD_CHECK(MAP_AT(mem, self->ps, BASE) == -ENOMEM);
		CHILD_CHECK(!UNMAP(BASE + 2 * limit, limit));
		CHILD_CHECK(!MAP_AT(mem, limit / 2, BASE));
		sync_tell(sock);
		sync_wait(sock);
		_exit(0);
	}
	sync_wait(sock);
	/* All processes of a user together */
	other = fork();
	if (!other) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(MAP_AT(mem, limit / 2 + self->ps, BASE + limit) ==
			    -ENOMEM);
		CHILD_CHECK(!MAP_AT(mem, limit / 2, BASE + limit));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(other));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, UNMAP(BASE, limit));
	EXPECT_EQ(0, UNMAP(BASE + limit, limit));
	/* Both are gone, and their charge is as well */
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(!UNMAP(BASE, limit));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(iommu, memlock_of_process)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	struct mock_device dev;
	pid_t pid, other;
	__u32 ioas;
	int sock, fd;

	ASSERT_NE(MAP_FAILED, mem);
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, mock_attach(fd, ioas, &dev));
	pid = fork_with_socket(&sock);
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(ioas_map_at(fd, ioas, mem, limit + self->ps,
					BASE) == -ENOMEM);
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, limit, BASE));
		CHILD_CHECK(status_kib("VmLck") == (long)limit / 1024);
		sync_tell(sock);
		sync_wait(sock);
		_exit(0);
	}
	sync_wait(sock);
	/* Each process for itself, even of the same user */
	other = fork();
	if (!other) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, limit, BASE + limit));
		CHILD_CHECK(!ioas_unmap(fd, ioas, BASE + limit, limit));
		CHILD_CHECK(status_kib("VmLck") == 0);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(other));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(fd);
}

TEST_F(iommu, memlock_at_attach)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	pid_t pid;

	/* Whoever mapped pays, and it is the attach that is refused */
	ASSERT_NE(MAP_FAILED, mem);
	pid = fork();
	if (!pid) {
		struct mock_device dev;
		__u32 ioas;

		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!ioas_alloc(self->fd, &ioas));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, 2 * limit, BASE));
		CHILD_CHECK(mock_attach(self->fd, ioas, &dev) == -ENOMEM);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, 2 * limit, 0));
		CHILD_CHECK(!ioas_unmap(self->fd, ioas, BASE, 2 * limit));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, limit, BASE));
		CHILD_CHECK(!mock_attach(self->fd, ioas, &dev));
		CHILD_CHECK(!mock_check_refs(self->fd, mem, limit, 1));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

static int set_ipc_lock(bool effective)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	const __u32 bit = 1U << CAP_IPC_LOCK;

	if (syscall(SYS_capget, &header, data))
		return -1;
	if (effective)
		data[0].effective |= bit;
	else
		data[0].effective &= ~bit;
	return syscall(SYS_capset, &header, data);
}

/* What counts is whether the limit held for whoever mapped when he did. */
TEST_F(iommu, memlock_capability)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	struct rlimit rlimit = { limit, limit };
	struct mock_device dev;
	int fd, with, mode;
	__u32 ioas;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	for (mode = 0; mode != 2; mode++) {
		for (with = 0; with != 2; with++) {
			fd = iommufd_open();
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE,
						0, mode));
			ASSERT_EQ(0, ioas_alloc(fd, &ioas));
			pid = fork();
			if (!pid) {
				CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK,
						       &rlimit));
				CHILD_CHECK(!set_ipc_lock(with));
				CHILD_CHECK(!ioas_map_at(fd, ioas, mem,
							 2 * limit, BASE));
				CHILD_CHECK(!set_ipc_lock(!with));
				CHILD_CHECK(mock_attach(fd, ioas, &dev) ==
					    (with ? 0 : -ENOMEM));
				_exit(0);
			}
			EXPECT_EQ(0, wait_child(pid)) {
				TH_LOG("mode %d, capable %d", mode, with);
			}
			close(fd);
		}
	}
}

TEST_F(iommu, pinned_vm)
{
	long before = status_kib("VmPin");

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(before + (long)self->size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + self->size,
				  self->ioas, BASE, self->size));
	EXPECT_EQ(before + (long)self->size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	ASSERT_EQ(0, UNMAP(BASE + self->size, self->size));
	EXPECT_EQ(before, status_kib("VmPin"));
}

TEST_F(iommu, change_process)
{
	const size_t size = 64 * self->ps;
	long before = status_kib("VmPin");
	int memfd = memfd_new(size, 0);
	pid_t pid;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, size,
				      BASE));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));

	/* Refused, it changes nothing */
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(size - self->ps));
		CHILD_CHECK(change_process(self->fd) == -ENOMEM);
		CHILD_CHECK(status_kib("VmPin") == 0);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));

	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(size));
		CHILD_CHECK(!change_process(self->fd));
		CHILD_CHECK(status_kib("VmPin") == (long)size / 1024);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before, status_kib("VmPin"));
	/* The payer is gone, the pages are not */
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, change_process(self->fd));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, size));
	EXPECT_EQ(before, status_kib("VmPin"));
	close(memfd);
}

/* The limit has room for one of the two files, whichever is first. */
TEST_F(iommu, change_process_half)
{
	const size_t size = 64 * self->ps;
	int memfd = memfd_new(2 * size, 0);
	long before = status_kib("VmPin");
	pid_t pid;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, size,
				      BASE));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, size, size,
				      BASE + size));
	pid = fork();
	if (!pid) {
		char *mem = mem_shared(size + size / 2);

		CHILD_CHECK(!drop_privilege(size + size / 2));
		CHILD_CHECK(change_process(self->fd) == -ENOMEM);
		CHILD_CHECK(status_kib("VmPin") == 0);
		/* The child is charged for nothing */
		CHILD_CHECK(!MAP_AT(mem, size + size / 2, BASE + 4 * size));
		CHILD_CHECK(!UNMAP(BASE + 4 * size, size + size / 2));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before + 2 * (long)size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, size));
	ASSERT_EQ(0, UNMAP(BASE + size, size));
	EXPECT_EQ(before, status_kib("VmPin"));
	close(memfd);
}

/* Threads that map memory which does not come, each with an array of 28 KiB */
#define WAITING 64
#define WAITING_PAGES 32
#define WAITING_CGROUP "iommufd_waiting"

struct waiting {
	pthread_barrier_t *ready;
	int fd;
	__u32 ioas;
	char *mem;
	size_t size;
	__u64 iova;
};

static void *map_and_wait(void *arg)
{
	struct waiting *w = arg;

	pthread_barrier_wait(w->ready);
	ioas_map_at(w->fd, w->ioas, w->mem, w->size, w->iova);
	return NULL;
}

/* Ends the process, with its threads still waiting. 2 if there is no userfaultfd */
static void check_waiting_is_charged(int fd, __u32 ioas, size_t size)
{
	struct waiting w[WAITING];
	pthread_barrier_t ready;
	long long before, after;
	pthread_t thread;
	char *mem;
	int i, uffd;

	CHILD_CHECK(!limit_memory(WAITING_CGROUP, "max"));
	mem = mem_private(WAITING * size);
	CHILD_CHECK(mem != MAP_FAILED);
	uffd = uffd_open(mem, WAITING * size);
	if (uffd < 0)
		_exit(2);
	CHILD_CHECK(!pthread_barrier_init(&ready, NULL, WAITING + 1));
	for (i = 0; i < WAITING; i++) {
		w[i] = (struct waiting){ &ready, fd, ioas, mem + i * size, size,
					 BASE + i * size };
		CHILD_CHECK(!pthread_create(&thread, NULL, map_and_wait,
					    &w[i]));
	}
	before = memory_charged(WAITING_CGROUP);
	CHILD_CHECK(before > 0);
	pthread_barrier_wait(&ready);
	for (i = 0; i < WAITING; i++)
		CHILD_CHECK(!uffd_wait(uffd));
	after = memory_charged(WAITING_CGROUP);
	/* The kernel charges in advance, a quarter of a MiB for each processor */
	CHILD_CHECK(after - before > WAITING * 20 * 1024);
	_exit(0);
}

/* What a user makes the kernel hold is the user's, however long memory takes */
TEST_F(iommu, waiting_is_charged)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		check_waiting_is_charged(self->fd, self->ioas,
					 WAITING_PAGES * self->ps);
	status = wait_child(pid);
	if (status == 2)
		SKIP(return, "no userfaultfd");
	EXPECT_EQ(0, status);
	/* All is as if nobody had tried */
	EXPECT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(0, UNMAP(BASE, self->size));
}

TEST_HARNESS_MAIN
