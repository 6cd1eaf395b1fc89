// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOAS without a device: its IOVA ranges and options, and the processes that
 * share it.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "../../../lib/fdpass.h"
#include "iommufd_ctx.h"

/* IOMMU_IOAS_IOVA_RANGES */

TEST_F(ctx, iova_ranges)
{
	struct iommu_iova_range ranges[3];
	__u64 alignment = 0;
	__u32 num = 3;

	memset(ranges, 0xa5, sizeof(ranges));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->id, ranges, &num,
				      &alignment));
	EXPECT_EQ(1, num);
	EXPECT_EQ(1, alignment);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
	/* No more was written than there is */
	EXPECT_EQ(0xa5a5a5a5a5a5a5a5, ranges[1].start);
	EXPECT_EQ(0xa5a5a5a5a5a5a5a5, ranges[2].last);
	/* Just enough room */
	num = 1;
	EXPECT_EQ(0, ioas_iova_ranges(self->fd, self->id, ranges, &num, NULL));
	EXPECT_EQ(1, num);
}

TEST_F(ctx, iova_ranges_emsgsize)
{
	struct iommu_iova_range range = { 1, 2 };
	__u64 alignment = 0;
	__u32 num = 0;

	/* As QEMU asks for the number */
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->id, NULL, &num,
					      &alignment));
	EXPECT_EQ(1, num);
	EXPECT_EQ(1, alignment);

	num = 0;
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->id, &range, &num,
					      &alignment));
	EXPECT_EQ(1, range.start);
	EXPECT_EQ(2, range.last);
}

struct ranges_call {
	int fd;
	__u32 id;
	struct iommu_iova_range *range;
	int rc;
};

static void *ask_ranges(void *arg)
{
	struct ranges_call *call = arg;
	__u32 num = 1;

	call->rc = ioas_iova_ranges(call->fd, call->id, call->range, &num,
				    NULL);
	return NULL;
}

/* A user whose memory takes its time keeps nobody from the address space. */
TEST_F(ctx, iova_ranges_into_slow_memory)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_zeropage zero = {};
	struct uffdio_register reg = {};
	struct ranges_call call = { .fd = self->fd, .id = self->id };
	struct uffd_msg msg;
	pthread_t thread;
	__u64 iova;
	int uffd;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		SKIP(return, "no userfaultfd: errno %d", errno);
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_API, &api));
	call.range = mem_private(self->ps);
	ASSERT_NE(MAP_FAILED, (void *)call.range);
	reg.range.start = (uintptr_t)call.range;
	reg.range.len = self->ps;
	reg.mode = UFFDIO_REGISTER_MODE_MISSING;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));

	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_ranges, &call));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	/* The other thread is in the middle of it */
	EXPECT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	EXPECT_EQ(0, UNMAP(iova, self->ps));
	zero.range = reg.range;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, call.rc);
	EXPECT_EQ(UINT64_MAX, call.range->last);
	close(uffd);
}

TEST_F(ctx, iova_ranges_bad)
{
	struct iommu_iova_range *hole = mem_before_hole(8);
	struct iommu_iova_range range;
	__u32 num = 1;

	ASSERT_NE(MAP_FAILED, hole);
	EXPECT_EQ(-EFAULT, ioas_iova_ranges(self->fd, self->id, NULL, &num,
					    NULL));
	num = 1;
	EXPECT_EQ(-EFAULT, ioas_iova_ranges(self->fd, self->id, hole, &num,
					    NULL));
	num = 1;
	EXPECT_EQ(-ENOENT, ioas_iova_ranges(self->fd, self->id + 1, &range,
					    &num, NULL));
}

/* IOMMU_IOAS_ALLOW_IOVAS */

TEST_F(ctx, allow_iovas)
{
	struct iommu_iova_range ranges[2] = {
		/* not sorted on purpose */
		{ 0x900000, 0x9fffff },
		{ 0x100000, 0x103fff },
	};
	__u64 iova;
	int i;

	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, ranges, 2));
	for (i = 0; i != 8; i++) {
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf,
				      2 * self->ps, &iova, MAP_RW));
		EXPECT_TRUE((iova >= 0x900000 &&
			     iova + 2 * self->ps - 1 <= 0x9fffff) ||
			    (iova >= 0x100000 &&
			     iova + 2 * self->ps - 1 <= 0x103fff)) {
			TH_LOG("IOVA %#llx", iova);
		}
	}
	/* A fixed IOVA may be anywhere */
	EXPECT_EQ(0, MAP_AT(self->ps, 0x400000));

	/* It takes the place of the list before */
	ranges[0] = (struct iommu_iova_range){ 0x2000000, 0x2ffffff };
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, ranges, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	EXPECT_LE(0x2000000, iova);
	EXPECT_GE(0x2ffffff, iova);

	/* The list is no answer to which IOVA there are */
	{
		struct iommu_iova_range all;
		__u32 num = 1;

		ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->id, &all, &num,
					      NULL));
		EXPECT_EQ(0, all.start);
		EXPECT_EQ(UINT64_MAX, all.last);
	}
}

TEST_F(ctx, allow_iovas_enospc)
{
	struct iommu_iova_range range = {
		16 * self->ps, 18 * self->ps - 1,
	};
	__u64 iova;

	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, &range, 1));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, self->buf,
				    3 * self->ps, &iova, MAP_RW));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, self->buf, self->ps,
				    &iova, MAP_RW));
	/* No list, no bounds */
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, NULL, 0));
	EXPECT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
}

TEST_F(ctx, allow_iovas_beside_mapping)
{
	struct iommu_iova_range range = { 0x2000000, 0x2ffffff };

	/* What is mapped elsewhere stays, and can be unmapped */
	ASSERT_EQ(0, MAP_AT(self->ps, 0x1000000));
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, &range, 1));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0x1000000));
	EXPECT_EQ(0, UNMAP(0x1000000, self->ps));
}

TEST_F(ctx, allow_iovas_top)
{
	struct iommu_iova_range range = { UINT64_MAX - 2 * self->ps + 1,
					  UINT64_MAX };
	__u64 iova;

	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, &range, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	EXPECT_LE(range.start, iova);
	EXPECT_EQ(0, UNMAP(iova, self->ps));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, self->buf,
				    3 * self->ps, &iova, MAP_RW));
}

TEST_F(ctx, allow_iovas_bad)
{
	struct iommu_iova_range good = { 0x100000, 0x1fffff };
	struct iommu_iova_range ranges[2];
	struct iommu_iova_range *hole = mem_before_hole(sizeof(good));
	__u64 iova;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->id, &good, 1));

	ranges[0] = (struct iommu_iova_range){ 0x2000, 0x1fff };
	EXPECT_EQ(-EINVAL, ioas_allow_iovas(self->fd, self->id, ranges, 1));
	ranges[0] = (struct iommu_iova_range){ 0x2000, 0x2000 };
	EXPECT_EQ(-EINVAL, ioas_allow_iovas(self->fd, self->id, ranges, 1));
	ranges[0] = (struct iommu_iova_range){ 0x2000, 0x3fff };
	ranges[1] = (struct iommu_iova_range){ 0x3fff, 0x4fff };
	EXPECT_EQ(-EINVAL, ioas_allow_iovas(self->fd, self->id, ranges, 2));
	EXPECT_EQ(-EFAULT, ioas_allow_iovas(self->fd, self->id, NULL, 1));
	*hole = good;
	EXPECT_EQ(-EFAULT, ioas_allow_iovas(self->fd, self->id, hole, 2));
	EXPECT_EQ(-ENOENT, ioas_allow_iovas(self->fd, self->id + 1, &good, 1));

	/* The list that stood before still does */
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	EXPECT_LE(good.start, iova);
	EXPECT_GE(good.last, iova);
}

/* IOMMU_OPTION */

TEST_F(ctx, option_rlimit_mode)
{
	int fd = iommufd_open();
	__u64 val;
	__u32 id;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(0, val);
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	EXPECT_EQ(-EINVAL, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2));
	EXPECT_EQ(-EINVAL, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
				      1ULL << 32));
	ASSERT_EQ(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(1, val);
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));

	/* Of the context, not of an object, and before there is any */
	ASSERT_EQ(0, ioas_alloc(fd, &id));
	EXPECT_EQ(-EOPNOTSUPP, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, id,
					  &val));
	EXPECT_EQ(-EOPNOTSUPP, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, id, 1));
	EXPECT_EQ(-EBUSY, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(0, val);
	ASSERT_EQ(0, obj_destroy(fd, id));
	EXPECT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	close(fd);
}

TEST_F(ctx, option_rlimit_mode_eperm)
{
	int fd = iommufd_open();
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid) {
		__u64 val;

		CHILD_CHECK(!drop_privilege(1 << 20));
		CHILD_CHECK(option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1) ==
			    -EPERM);
		CHILD_CHECK(option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0) ==
			    -EPERM);
		CHILD_CHECK(!option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
		CHILD_CHECK(val == 0);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	close(fd);
}

TEST_F(ctx, option_huge_pages)
{
	__u64 val;

	ASSERT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				&val));
	EXPECT_EQ(1, val);
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				0));
	EXPECT_EQ(-EINVAL, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
				      self->id, 2));
	ASSERT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				&val));
	EXPECT_EQ(0, val);
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				1));
	EXPECT_EQ(-ENOENT, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, 0,
				      &val));
	EXPECT_EQ(-ENOENT, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
				      self->id + 1, 1));
}

TEST_F(ctx, option_huge_pages_alignment)
{
	const __u64 base = 0x1000000;
	size_t half = self->ps / 2;
	__u64 alignment;
	__u32 num = 0;

	/* Pages only: then everything is aligned to them */
	ASSERT_EQ(0, MAP_AT(self->ps, base));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				0));
	ASSERT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->id, NULL, &num,
					      &alignment));
	EXPECT_EQ(self->ps, alignment);
	EXPECT_EQ(-EINVAL, MAP_AT(half, base + self->ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->ps, base + self->ps + half));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, self->id,
				       (char *)self->buf + half, self->ps,
				       base + self->ps));
	EXPECT_EQ(0, MAP_AT(self->ps, base + self->ps));

	/* And the change fails if something is not */
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				1));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->id, (char *)self->buf + half,
				 self->ps, base + 4 * self->ps + half));
	EXPECT_EQ(-EADDRINUSE, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
					  self->id, 0));
	ASSERT_EQ(0, UNMAP(base + 4 * self->ps + half, self->ps));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id,
				0));
}

TEST_F(ctx, option_unknown)
{
	struct iommu_option cmd = { .size = sizeof(cmd), .option_id = 2 };

	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &cmd));
	cmd.option_id = UINT32_MAX;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &cmd));
	cmd.option_id = IOMMU_OPTION_RLIMIT_MODE;
	cmd.op = 2;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &cmd));
	cmd.option_id = IOMMU_OPTION_HUGE_PAGES;
	cmd.object_id = self->id;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &cmd));
	cmd.op = UINT16_MAX;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &cmd));
}

/* IOMMU_VFIO_IOAS */

TEST_F(ctx, vfio_ioas)
{
	__u32 id = 0, other;

	EXPECT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	id = 0;
	EXPECT_EQ(-ENOENT, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = self->id;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = 0;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(self->id, id);

	/* Another one takes its place, and both can be destroyed */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &other));
	id = 0;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(other, id);

	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_EQ(0, obj_destroy(self->fd, other));
	EXPECT_EQ(-EOPNOTSUPP, vfio_ioas(self->fd, 3, &id));
	EXPECT_EQ(-EOPNOTSUPP, vfio_ioas(self->fd, UINT16_MAX, &id));
}

TEST_F(ctx, vfio_ioas_destroyed)
{
	__u32 id = self->id;

	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	ASSERT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_EQ(-ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

/* IOMMU_IOAS_CHANGE_PROCESS */

TEST_F(ctx, change_process)
{
	int memfd = memfd_new(4 * self->ps, 0);
	__u64 iova;
	pid_t pid;

	ASSERT_LE(0, memfd);
	EXPECT_EQ(0, change_process(self->fd));
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, 4 * self->ps,
				   &iova, MAP_RW));
	EXPECT_EQ(0, change_process(self->fd));
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!change_process(self->fd));
		CHILD_CHECK(!change_process(self->fd));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	/* Back from a process that is no more */
	EXPECT_EQ(0, change_process(self->fd));
	EXPECT_EQ(0, UNMAP(iova, 4 * self->ps));
	close(memfd);
}

TEST_F(ctx, change_process_einval)
{
	int memfd = memfd_new(4 * self->ps, 0);
	__u32 other;

	ASSERT_LE(0, memfd);
	/* One mapping of an address space in any IOAS is enough */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->id, memfd, 0, self->ps,
				      0));
	ASSERT_EQ(0, ioas_map_at(self->fd, other, self->buf, self->ps, 0));
	EXPECT_EQ(-EINVAL, change_process(self->fd));
	ASSERT_EQ(0, ioas_unmap(self->fd, other, 0, self->ps));
	EXPECT_EQ(0, change_process(self->fd));
	close(memfd);
}

/* Processes */

TEST_F(ctx, fork_shares_context)
{
	pid_t pid = fork();
	__u64 len;

	if (!pid) {
		CHILD_CHECK(!MAP_AT(self->ps, 0x1000000));
		CHILD_CHECK(!close(self->fd));
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0x1000000));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, 0x1000000, self->ps,
				    &len));
	EXPECT_EQ(self->ps, len);
}

TEST_F(ctx, fork_copy_of_dead_process)
{
	pid_t pid = fork();

	if (!pid) {
		CHILD_CHECK(!MAP_AT(self->ps, 0x1000000));
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	/* Nothing is pinned, yet the mapping is an object of its own */
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->id, 0, self->id, 0x1000000,
				  self->ps));
	EXPECT_EQ(0, UNMAP(0x1000000, self->ps));
	EXPECT_EQ(0, UNMAP(0, self->ps));
}

TEST_F(ctx, killed_with_mappings)
{
	int sock, fd;
	pid_t pid;

	pid = fork_with_socket(&sock);
	if (!pid) {
		__u32 id;
		int i;

		fd = iommufd_open();
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!ioas_alloc(fd, &id));
		for (i = 0; i != 1000; i++)
			CHILD_CHECK(!ioas_map_at(fd, id, self->buf, self->ps,
						 i * self->ps));
		sync_tell(sock);
		pause();
		_exit(1);
	}
	sync_wait(sock);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(pid));
	EXPECT_EQ(0, MAP_AT(self->ps, 0));
}

TEST_F(ctx, passed_over_socket)
{
	int sock, fd;
	pid_t pid;

	pid = fork_with_socket(&sock);
	if (!pid) {
		__u32 id;

		fd = iommufd_open();
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!ioas_alloc(fd, &id));
		CHILD_CHECK(!ioas_map_at(fd, id, self->buf, self->ps, 0));
		CHILD_CHECK(!fds_send(sock, &fd, 1));
		CHILD_CHECK(write(sock, &id, sizeof(id)) == sizeof(id));
		_exit(0);
	}
	ASSERT_EQ(0, fds_receive(sock, &fd, 1));
	{
		__u32 id;
		__u64 len;

		ASSERT_EQ(sizeof(id), read(sock, &id, sizeof(id)));
		ASSERT_EQ(0, wait_child(pid));
		EXPECT_EQ(-EEXIST, ioas_map_at(fd, id, self->buf, self->ps, 0));
		ASSERT_EQ(0, ioas_unmap_all(fd, id, &len));
		EXPECT_EQ(self->ps, len);
	}
	close(fd);
}

TEST_HARNESS_MAIN
