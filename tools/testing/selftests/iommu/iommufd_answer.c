// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps whose answer, the IOVA, cannot be delivered: they leave no trace, and
 * nothing that another thread does meanwhile is lost.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#ifdef HAVE_MOCK_ABI
#include "../lib/mock.h"
#else
#include "../lib/iommufd.h"
#endif

/* In the aperture of the mock */
#define BASE	0x40000000UL
#define PAGES	16

FIXTURE(answer)
{
	int fd;
	__u32 ioas;
	size_t ps;
	size_t size;
	char *buf;
	void *cmd;		/* on a page of its own */
	long pinned;
};

FIXTURE_VARIANT(answer)
{
	bool device;
};

FIXTURE_VARIANT_ADD(answer, no_device) { .device = false };
FIXTURE_VARIANT_ADD(answer, device) { .device = true };

static int attach(int fd, __u32 ioas)
{
#ifdef HAVE_MOCK_ABI
	struct mock_device dev;

	return mock_attach(fd, ioas, &dev);
#else
	return -ENOTTY;
#endif
}

FIXTURE_SETUP(answer)
{
	self->ps = page_size();
	self->size = PAGES * self->ps;
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("/dev/iommu cannot be opened: is iommufd loaded?");
	}
	self->pinned = pages_pinned();
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->size);
	self->cmd = mem_private(self->ps);
	ASSERT_NE(MAP_FAILED, self->cmd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->device) {
		int rc = attach(self->fd, self->ioas);

		if (rc == -ENOTTY)
			SKIP(return,
			     "this iommufd has no mock driver (IOMMUFD_TEST)");
		ASSERT_EQ(0, rc);
	}
}

FIXTURE_TEARDOWN(answer)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

static void fill_map(struct iommu_ioas_map *cmd, __u32 ioas, void *va,
		     size_t size, __u32 flags)
{
	*cmd = (struct iommu_ioas_map){
		.size = sizeof(*cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = size,
		.iova = BASE,
	};
}

/* Nothing is mapped, and the range can be used */
#define EXPECT_UNUSED()							\
	do {								\
		__u64 _unmapped;					\
									\
		EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas,	\
					    &_unmapped));		\
		EXPECT_EQ(0, _unmapped);				\
		EXPECT_EQ(self->pinned, pages_pinned());		\
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas,		\
					 self->buf, self->size, BASE));	\
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE,	\
					self->size));			\
	} while (0)

static const __u32 map_flags[] = { MAP_FIXED_RW, MAP_RW };

TEST_F(answer, map)
{
	struct iommu_ioas_map *cmd = self->cmd, before;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(map_flags); i++) {
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ | PROT_WRITE));
		fill_map(cmd, self->ioas, self->buf, self->size, map_flags[i]);
		before = *cmd;
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ));
		EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_MAP, cmd));
		EXPECT_EQ(0, memcmp(&before, cmd, sizeof(before)));
		EXPECT_UNUSED();
	}
}

TEST_F(answer, map_file)
{
	struct iommu_ioas_map_file *cmd = self->cmd;
	int memfd = memfd_new(self->size, MFD_ALLOW_SEALING);
	unsigned int i;

	ASSERT_LE(0, memfd);
	for (i = 0; i != ARRAY_SIZE(map_flags); i++) {
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ | PROT_WRITE));
		*cmd = (struct iommu_ioas_map_file){
			.size = sizeof(*cmd),
			.flags = map_flags[i],
			.ioas_id = self->ioas,
			.fd = memfd,
			.length = self->size,
			.iova = BASE,
		};
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ));
		EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_MAP_FILE, cmd));
		EXPECT_UNUSED();
	}
	/* Nobody counts as writing to it any more */
	EXPECT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	close(memfd);
}

TEST_F(answer, copy)
{
	struct iommu_ioas_copy *cmd = self->cmd;
	long pinned;
	unsigned int i;
	__u32 src;

	ASSERT_EQ(0, ioas_alloc(self->fd, &src));
	ASSERT_EQ(0, ioas_map_at(self->fd, src, self->buf, self->size, BASE));
	pinned = pages_pinned();
	for (i = 0; i != ARRAY_SIZE(map_flags); i++) {
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ | PROT_WRITE));
		*cmd = (struct iommu_ioas_copy){
			.size = sizeof(*cmd),
			.flags = map_flags[i],
			.dst_ioas_id = self->ioas,
			.src_ioas_id = src,
			.length = self->size,
			.dst_iova = BASE,
			.src_iova = BASE,
		};
		ASSERT_EQ(0, mprotect(cmd, self->ps, PROT_READ));
		EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_COPY, cmd));
		EXPECT_EQ(pinned, pages_pinned());
	}
	ASSERT_EQ(0, ioas_unmap(self->fd, src, BASE, self->size));
	EXPECT_UNUSED();
}

/*
 * With a write fault that userfaultfd holds up, the map is stopped where it
 * delivers its answer for as long as we like.
 */
struct held_map {
	int fd;
	void *cmd;
	int rc;
};

static void *do_map(void *arg)
{
	struct held_map *held = arg;

	held->rc = call(held->fd, IOMMU_IOAS_MAP, held->cmd);
	return NULL;
}

static int uffd_open(void *page, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		return -errno;
	return fd;
}

/* Start a map and return when it stands still at its answer */
static int hold_map(pthread_t *thread, struct held_map *held, int uffd)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (pthread_create(thread, NULL, do_map, held))
		return -EAGAIN;
	if (poll(&pfd, 1, 20000) != 1 ||
	    read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		return -ETIMEDOUT;
	return msg.event == UFFD_EVENT_PAGEFAULT &&
	       (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) ? 0 : -EIO;
}

/* Let it go on; what it finds depends on the protection of the page */
static int let_go(int uffd, void *page, size_t size)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)page, .len = size },
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

TEST_F(answer, undone_map_takes_nobody_elses)
{
	struct held_map held = { .fd = self->fd, .cmd = self->cmd, .rc = 1 };
	pthread_t thread;
	bool mine;
	int uffd;

	fill_map(self->cmd, self->ioas, self->buf, self->size, MAP_FIXED_RW);
	uffd = uffd_open(self->cmd, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd with write protection");
	ASSERT_EQ(0, hold_map(&thread, &held, uffd));

	/*
	 * Its range is taken, by a map that has not come to its end. If it can
	 * be unmapped all the same, what is mapped there next is ours.
	 */
	EXPECT_EQ(-EEXIST, ioas_map_at(self->fd, self->ioas, self->buf,
				       self->ps, BASE));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, BASE, self->size));
	mine = !ioas_map_at(self->fd, self->ioas, self->buf, self->size, BASE);

	ASSERT_EQ(0, mprotect(self->cmd, self->ps, PROT_READ));
	ASSERT_EQ(0, let_go(uffd, self->cmd, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-EFAULT, held.rc);
	if (mine)
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE,
					self->size));
	EXPECT_UNUSED();
	close(uffd);
}

TEST_F(answer, late_answer)
{
	struct held_map held = { .fd = self->fd, .cmd = self->cmd, .rc = 1 };
	struct iommu_ioas_map *cmd = self->cmd;
	pthread_t thread;
	int uffd;

	fill_map(cmd, self->ioas, self->buf, self->size, MAP_RW);
	uffd = uffd_open(cmd, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd with write protection");
	ASSERT_EQ(0, hold_map(&thread, &held, uffd));
	ASSERT_EQ(0, let_go(uffd, cmd, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, held.rc);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, cmd->iova, self->size));
	EXPECT_UNUSED();
	close(uffd);
}

/* Whose memory it is decides how long a destroy waits, but not for ever */
TEST_F(answer, destroy_can_be_killed)
{
	struct held_map held = { .fd = self->fd, .cmd = self->cmd, .rc = 1 };
	struct iommu_ioas_map *cmd = self->cmd;
	int uffd, status, tries;
	pthread_t thread;
	__u32 ioas;
	pid_t pid;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	fill_map(cmd, ioas, self->buf, self->size, MAP_RW);
	uffd = uffd_open(cmd, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd with write protection");
	ASSERT_EQ(0, hold_map(&thread, &held, uffd));

	pid = fork();
	if (!pid)
		_exit(obj_destroy(self->fd, ioas) ? 1 : 0);
	ASSERT_LT(0, pid);
	/* As soon as it waits, nobody finds the object. */
	for (tries = 0; tries < 2000; tries++) {
		__u32 nr = 0;

		if (ioas_iova_ranges(self->fd, ioas, NULL, &nr, NULL) ==
		    -ENOENT)
			break;
		usleep(10000);
	}
	EXPECT_GT(2000, tries);
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, ioas));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	for (tries = 0; tries < 2000 && !waitpid(pid, &status, WNOHANG);
	     tries++)
		usleep(10000);
	EXPECT_GT(2000, tries);
	EXPECT_TRUE(WIFSIGNALED(status));

	/* It is there as before. */
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->ps, BASE));
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, BASE, self->ps));
	ASSERT_EQ(0, let_go(uffd, cmd, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, held.rc);
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, cmd->iova, self->size));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, ioas));
	close(uffd);
}

struct destroy_call {
	int fd;
	__u32 id;
	int rc;
};

static void *do_destroy(void *arg)
{
	struct destroy_call *call = arg;

	call->rc = obj_destroy(call->fd, call->id);
	return NULL;
}

/* The last one who uses an object wakes who waits to destroy it */
TEST_F(answer, destroy_waits)
{
	struct held_map held = { .fd = self->fd, .cmd = self->cmd, .rc = 1 };
	struct destroy_call call = { .fd = self->fd, .rc = 1 };
	pthread_t thread, destroyer;
	struct timespec late;
	int uffd, tries;

	ASSERT_EQ(0, ioas_alloc(self->fd, &call.id));
	fill_map(self->cmd, call.id, self->buf, self->size, MAP_RW);
	uffd = uffd_open(self->cmd, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd with write protection");
	ASSERT_EQ(0, hold_map(&thread, &held, uffd));
	ASSERT_EQ(0, pthread_create(&destroyer, NULL, do_destroy, &call));
	for (tries = 0; tries < 2000; tries++) {
		__u32 nr = 0;

		if (ioas_iova_ranges(self->fd, call.id, NULL, &nr, NULL) ==
		    -ENOENT)
			break;
		usleep(10000);
	}
	EXPECT_GT(2000, tries);
	/* It is in its sleep, and not on its way there */
	usleep(100000);
	EXPECT_EQ(1, call.rc);
	ASSERT_EQ(0, let_go(uffd, self->cmd, self->ps));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, held.rc);
	clock_gettime(CLOCK_REALTIME, &late);
	late.tv_sec += 20;
	ASSERT_EQ(0, pthread_timedjoin_np(destroyer, NULL, &late));
	EXPECT_EQ(0, call.rc);
	EXPECT_EQ(self->pinned, pages_pinned());
	close(uffd);
}

TEST_HARNESS_MAIN
