// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of /dev/iommu that need no device: every success, every documented
 * error, every boundary.
 *
 * Without a device nothing is pinned, and the alignment is one byte.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "../../../lib/fdpass.h"
#include "../lib/iommufd.h"

FIXTURE(ctx)
{
	int fd;
	__u32 id;
	size_t ps;
	void *buf;
	long pinned;
};

FIXTURE_SETUP(ctx)
{
	self->ps = page_size();
	self->pinned = pages_pinned();
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("/dev/iommu cannot be opened: is iommufd loaded?");
	}
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->id));
	self->buf = mem_shared(16 * self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
}

FIXTURE_TEARDOWN(ctx)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(length, iova) \
	ioas_map_at(self->fd, self->id, self->buf, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(self->fd, self->id, iova, length)

/* The device file */

TEST_F(ctx, misc_device)
{
	struct stat st;
	char c;

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(10U, major(st.st_rdev));
	/* It only has ioctls */
	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->ps, PROT_READ, MAP_SHARED,
				   self->fd, 0));
}

TEST_F(ctx, contexts_are_separate)
{
	int other = iommufd_open();
	__u32 id;

	ASSERT_LE(0, other);
	/* An ID says nothing to another context */
	EXPECT_EQ(-ENOENT, obj_destroy(other, self->id));
	EXPECT_EQ(-ENOENT, ioas_map_at(other, self->id, self->buf, self->ps, 0));
	ASSERT_EQ(0, ioas_alloc(other, &id));
	ASSERT_EQ(0, ioas_map_at(other, id, self->buf, self->ps, 0));
	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));
	EXPECT_EQ(0, close(other));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
}

TEST_F(ctx, dup_keeps_context)
{
	int copy = dup(self->fd);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	ASSERT_EQ(0, close(self->fd));
	self->fd = copy;
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0));
}

/* Arguments in general */

struct ioctl_size {
	const char *name;
	unsigned long cmd;
	__u32 first;	/* end of the last member of the first version */
	__u32 known;
};

#define SIZE(_cmd, _first, _known) { #_cmd, _cmd, _first, _known }

static const struct ioctl_size sizes[] = {
	SIZE(IOMMU_DESTROY, 8, 8),
	SIZE(IOMMU_IOAS_ALLOC, 12, 12),
	SIZE(IOMMU_IOAS_ALLOW_IOVAS, 24, 24),
	SIZE(IOMMU_IOAS_COPY, 40, 40),
	SIZE(IOMMU_IOAS_IOVA_RANGES, 32, 32),
	SIZE(IOMMU_IOAS_MAP, 40, 40),
	SIZE(IOMMU_IOAS_MAP_FILE, 40, 40),
	SIZE(IOMMU_IOAS_UNMAP, 24, 24),
	SIZE(IOMMU_IOAS_CHANGE_PROCESS, 8, 8),
	SIZE(IOMMU_OPTION, 24, 24),
	SIZE(IOMMU_VFIO_IOAS, 12, 12),
	SIZE(IOMMU_HWPT_ALLOC, 24, 48),
	SIZE(IOMMU_GET_HW_INFO, 32, 40),
	SIZE(IOMMU_HWPT_SET_DIRTY_TRACKING, 16, 16),
	SIZE(IOMMU_HWPT_GET_DIRTY_BITMAP, 48, 48),
	SIZE(IOMMU_HWPT_INVALIDATE, 32, 32),
	SIZE(IOMMU_FAULT_QUEUE_ALLOC, 16, 16),
	SIZE(IOMMU_VIOMMU_ALLOC, 24, 40),
	SIZE(IOMMU_VDEVICE_ALLOC, 24, 24),
	SIZE(IOMMU_VEVENTQ_ALLOC, 32, 32),
	SIZE(IOMMU_HW_QUEUE_ALLOC, 40, 40),
};

/* An argument of zeroes but for its size, and @tail behind what is known */
static int call_sized(int fd, const struct ioctl_size *s, __u32 size,
		      unsigned char tail)
{
	unsigned char buf[256] = {};

	memcpy(buf, &size, sizeof(size));
	if (tail)
		buf[s->known] = tail;
	return call(fd, s->cmd, buf);
}

TEST_F(ctx, size_rules)
{
	unsigned int i;
	int plain;

	for (i = 0; i != ARRAY_SIZE(sizes); i++) {
		const struct ioctl_size *s = &sizes[i];

		EXPECT_EQ(-EINVAL, call_sized(self->fd, s, 0, 0)) {
			TH_LOG("%s: size 0", s->name);
		}
		EXPECT_EQ(-EINVAL, call_sized(self->fd, s, s->first - 1, 0)) {
			TH_LOG("%s: size %u", s->name, s->first - 1);
		}
		EXPECT_EQ(-E2BIG, call_sized(self->fd, s, s->known + 1, 1)) {
			TH_LOG("%s: non-zero tail", s->name);
		}
		EXPECT_EQ(-E2BIG, call_sized(self->fd, s, s->known + 64, 0x80)) {
			TH_LOG("%s: non-zero long tail", s->name);
		}
		/* What follows does not depend on the size */
		plain = call_sized(self->fd, s, s->known, 0);
		EXPECT_NE(-E2BIG, plain);
		EXPECT_EQ(plain, call_sized(self->fd, s, s->known, 1)) {
			TH_LOG("%s: looked behind the struct", s->name);
		}
		EXPECT_EQ(plain, call_sized(self->fd, s, s->known + 1, 0)) {
			TH_LOG("%s: zero tail", s->name);
		}
		EXPECT_EQ(plain, call_sized(self->fd, s, s->known + 64, 0)) {
			TH_LOG("%s: long zero tail", s->name);
		}
		EXPECT_EQ(plain, call_sized(self->fd, s, s->first, 0)) {
			TH_LOG("%s: first version, size %u", s->name, s->first);
		}
	}
}

TEST_F(ctx, size_of_a_page_and_more)
{
	size_t len = 2 * self->ps;
	struct iommu_ioas_alloc *cmd = mem_private(len);

	ASSERT_NE(MAP_FAILED, cmd);
	cmd->size = len;
	EXPECT_EQ(0, call(self->fd, IOMMU_IOAS_ALLOC, cmd));
	((char *)cmd)[len - 1] = 1;
	EXPECT_EQ(-E2BIG, call(self->fd, IOMMU_IOAS_ALLOC, cmd));
	cmd->size = UINT32_MAX;
	((char *)cmd)[len - 1] = 0;
	/* It runs out of memory to read before it finds all zero */
	EXPECT_GT(0, call(self->fd, IOMMU_IOAS_ALLOC, cmd));
}

TEST_F(ctx, unknown_ioctl)
{
	unsigned char arg[256] = { sizeof(arg) - 1 };
	unsigned int nr;

	EXPECT_EQ(-ENOTTY, call(self->fd, _IO(IOMMUFD_TYPE, 0), arg));
	EXPECT_EQ(-ENOTTY, call(self->fd,
				_IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE - 1), arg));
	for (nr = IOMMUFD_CMD_HW_QUEUE_ALLOC + 1; nr < IOMMUFD_CMD_BASE + 32;
	     nr++) {
		EXPECT_EQ(-ENOTTY, call(self->fd, _IO(IOMMUFD_TYPE, nr), arg)) {
			TH_LOG("number %#x", nr);
		}
	}
	EXPECT_EQ(-ENOTTY, call(self->fd, _IO(IOMMUFD_TYPE, 0xff), arg));
	/* The whole command counts, not its number alone */
	EXPECT_EQ(-ENOTTY, call(self->fd, _IO('X', IOMMUFD_CMD_DESTROY), arg));
	EXPECT_EQ(-ENOTTY, call(self->fd, _IOWR(IOMMUFD_TYPE,
						IOMMUFD_CMD_IOAS_ALLOC,
						struct iommu_ioas_alloc), arg));
}

TEST_F(ctx, bad_pointer)
{
	struct iommu_ioas_map *map;
	struct iommu_ioas_alloc *alloc;
	unsigned int i;
	int fd;

	for (i = 0; i != ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-EFAULT, call(self->fd, sizes[i].cmd, NULL)) {
			TH_LOG("%s", sizes[i].name);
		}
		EXPECT_EQ(-EFAULT, call(self->fd, sizes[i].cmd,
					(void *)UINTPTR_MAX));
	}

	/* The size can be read and the rest cannot */
	map = mem_before_hole(sizeof(map->size));
	ASSERT_NE(MAP_FAILED, map);
	map->size = sizeof(*map);
	EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_MAP, map));

	/* The answer cannot be written, so the object must not be there */
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	alloc = mem_private(self->ps);
	ASSERT_NE(MAP_FAILED, alloc);
	alloc->size = sizeof(*alloc);
	ASSERT_EQ(0, mprotect(alloc, self->ps, PROT_READ));
	EXPECT_EQ(-EFAULT, call(fd, IOMMU_IOAS_ALLOC, alloc));
	EXPECT_TRUE(ctx_is_empty(fd));
	close(fd);
}

TEST_F(ctx, bad_pointer_undoes_map)
{
	struct iommu_ioas_map *map = mem_private(self->ps);
	struct iommu_ioas_copy *copy = (void *)map;

	ASSERT_NE(MAP_FAILED, map);
	*map = (struct iommu_ioas_map){
		.size = sizeof(*map),
		.flags = MAP_FIXED_RW,
		.ioas_id = self->id,
		.user_va = (uintptr_t)self->buf,
		.length = self->ps,
	};
	ASSERT_EQ(0, mprotect(map, self->ps, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_MAP, map));
	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));

	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	ASSERT_EQ(0, mprotect(map, self->ps, PROT_READ | PROT_WRITE));
	*copy = (struct iommu_ioas_copy){
		.size = sizeof(*copy),
		.flags = MAP_FIXED_RW,
		.dst_ioas_id = self->id,
		.src_ioas_id = self->id,
		.dst_iova = self->ps,
		.length = self->ps,
	};
	ASSERT_EQ(0, mprotect(map, self->ps, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_IOAS_COPY, copy));
	EXPECT_EQ(-ENOENT, UNMAP(self->ps, self->ps));
	EXPECT_EQ(0, UNMAP(0, self->ps));
}

TEST_F(ctx, unknown_flags)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.ioas_id = self->id,
		.user_va = (uintptr_t)self->buf,
		.length = self->ps,
	};
	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.ioas_id = self->id,
		.length = self->ps,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.dst_ioas_id = self->id,
		.src_ioas_id = self->id,
		.length = self->ps,
		.dst_iova = self->ps,
	};
	unsigned int bit;

	file.fd = memfd_new(self->ps, 0);
	ASSERT_LE(0, file.fd);
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	for (bit = 0; bit != 32; bit++) {
		alloc.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_ALLOC, &alloc));
		if (bit < 3)
			continue;
		map.flags = MAP_RW | 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_MAP, &map));
		file.flags = MAP_RW | 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_MAP_FILE,
					    &file));
		copy.flags = MAP_FIXED_RW | 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_COPY, &copy));
	}
	close(file.fd);
}

TEST_F(ctx, reserved_members)
{
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges),
		.ioas_id = self->id,
		.__reserved = 1,
	};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = self->id,
		.__reserved = 1,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = MAP_RW,
		.ioas_id = self->id,
		.__reserved = 1U << 31,
		.user_va = (uintptr_t)self->buf,
		.length = self->ps,
	};
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.__reserved = 1,
		.object_id = self->id,
	};
	struct iommu_vfio_ioas vfio = {
		.size = sizeof(vfio),
		.op = IOMMU_VFIO_IOAS_CLEAR,
		.__reserved = 1,
	};
	struct iommu_ioas_change_process change = {
		.size = sizeof(change),
		.__reserved = 1,
	};

	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_IOVA_RANGES, &ranges));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_ALLOW_IOVAS, &allow));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_OPTION, &option));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_VFIO_IOAS, &vfio));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_IOAS_CHANGE_PROCESS,
				    &change));
}

/* Objects */

TEST_F(ctx, alloc_destroy)
{
	__u32 ids[64];
	unsigned int i, k;

	for (i = 0; i != ARRAY_SIZE(ids); i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &ids[i]));
		EXPECT_NE(0U, ids[i]);
		EXPECT_NE(self->id, ids[i]);
		for (k = 0; k != i; k++)
			EXPECT_NE(ids[k], ids[i]);
	}
	for (i = 0; i != ARRAY_SIZE(ids); i++)
		EXPECT_EQ(0, obj_destroy(self->fd, ids[i]));
	for (i = 0; i != ARRAY_SIZE(ids); i++)
		EXPECT_EQ(-ENOENT, obj_destroy(self->fd, ids[i]));
}

TEST_F(ctx, destroy_unknown)
{
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, 0));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, UINT32_MAX));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->id + 1));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->id));
}

/* What was found last is not found for longer than it is there. */
TEST_F(ctx, destroy_last_used)
{
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	ASSERT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_EQ(-ENOENT, MAP_AT(self->ps, 0));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->id));
}

TEST_F(ctx, destroy_with_mappings)
{
	unsigned int i;

	for (i = 0; i != 100; i++)
		ASSERT_EQ(0, MAP_AT(self->ps, i * 2 * self->ps));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(ctx, use_after_destroy)
{
	struct iommu_iova_range range;
	__u64 iova = 0, val;
	__u32 num = 1, id = self->id, other;
	int memfd;

	memfd = memfd_new(self->ps, 0);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, obj_destroy(self->fd, self->id));
	ASSERT_EQ(0, ioas_map_at(self->fd, other, self->buf, self->ps, 0));

	EXPECT_EQ(-ENOENT, ioas_iova_ranges(self->fd, id, &range, &num, NULL));
	EXPECT_EQ(-ENOENT, ioas_allow_iovas(self->fd, id, &range, 0));
	EXPECT_EQ(-ENOENT, ioas_map(self->fd, id, self->buf, self->ps, &iova,
				    MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_map_file(self->fd, id, memfd, 0, self->ps,
					 &iova, MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, id, 0, self->ps));
	EXPECT_EQ(-ENOENT, ioas_unmap_all(self->fd, id, &val));
	EXPECT_EQ(-ENOENT, ioas_copy(self->fd, id, &iova, other, 0, self->ps,
				     MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_copy(self->fd, other, &iova, id, 0, self->ps,
				     MAP_RW));
	EXPECT_EQ(-ENOENT, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, id,
				      &val));
	EXPECT_EQ(-ENOENT, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, id,
				      1));
	EXPECT_EQ(-ENOENT, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	close(memfd);
}

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

/* IOMMU_IOAS_MAP */

TEST_F(ctx, map_overlap)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;

	ASSERT_EQ(0, MAP_AT(4 * ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(4 * ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base + 3 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * ps, base + ps));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * ps, base - ps));
	EXPECT_EQ(-EEXIST, MAP_AT(6 * ps, base - ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 4 * ps - 1));
	/* Neighbours are free */
	EXPECT_EQ(0, MAP_AT(ps, base - ps));
	EXPECT_EQ(0, MAP_AT(ps, base + 4 * ps));
}

TEST_F(ctx, map_bad)
{
	__u64 iova = 0x1000000;

	EXPECT_EQ(-EINVAL, MAP_AT(0, iova));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, 0, &iova,
				    MAP_RW));
	/* Neither readable nor writeable */
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, self->ps,
				    &iova, IOMMU_IOAS_MAP_FIXED_IOVA));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, self->ps,
				    &iova, 0));
	EXPECT_EQ(-ENOENT, ioas_map(self->fd, 0, self->buf, self->ps, &iova,
				    MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_map(self->fd, self->id + 1, self->buf, self->ps,
				    &iova, MAP_RW));
	/* Nothing came of it */
	EXPECT_EQ(-ENOENT, UNMAP(0x1000000, self->ps));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(ctx, map_overflow)
{
	__u64 iova;

	EXPECT_EQ(-EOVERFLOW, MAP_AT(self->ps, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(UINT64_MAX, 0));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(2 * self->ps, UINT64_MAX - self->ps + 1));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(UINT64_MAX - 1, 4096));
	/* The memory wraps */
	EXPECT_EQ(-EOVERFLOW, ioas_map_at(self->fd, self->id,
					  (void *)(UINTPTR_MAX - self->ps + 1),
					  2 * self->ps, 0));
	iova = 0;
	EXPECT_EQ(-EOVERFLOW, ioas_map(self->fd, self->id,
				       (void *)(UINTPTR_MAX - self->ps + 1),
				       2 * self->ps, &iova, MAP_RW));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(ctx, map_top_of_iova)
{
	const __u64 top = UINT64_MAX - self->ps + 1;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(self->ps, top));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, top));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * self->ps, top - self->ps));
	ASSERT_EQ(0, MAP_AT(self->ps, top - self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(top, self->ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(top + 1, self->ps - 1));
	EXPECT_EQ(0, UNMAP(top, self->ps));
	ASSERT_EQ(0, MAP_AT(self->ps, top));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, top - self->ps,
				    2 * self->ps, &len));
	EXPECT_EQ(2 * self->ps, len);
	ASSERT_EQ(0, MAP_AT(self->ps, top));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(self->ps, len);
}

TEST_F(ctx, map_bottom_of_iova)
{
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	EXPECT_EQ(-EEXIST, MAP_AT(1, 0));
	EXPECT_EQ(0, UNMAP(0, self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));
}

TEST_F(ctx, map_any_byte)
{
	size_t len;
	__u64 iova;

	/* Nothing asks for more than a byte's alignment yet */
	for (len = 1; len < 2 * self->ps; len += len < 64 ? 1 : 61) {
		iova = 0x1000000 + len;
		ASSERT_EQ(0, ioas_map_at(self->fd, self->id,
					 (char *)self->buf + len, len, iova));
		ASSERT_EQ(0, UNMAP(iova, len));
		ASSERT_EQ(0, ioas_map(self->fd, self->id,
				      (char *)self->buf + len, len, &iova,
				      MAP_RW));
		/* Offsets in a page agree, or no IOMMU could map it */
		EXPECT_EQ(len % self->ps, iova % self->ps);
		ASSERT_EQ(0, UNMAP(iova, len));
	}
}

TEST_F(ctx, map_auto_iova)
{
	struct {
		__u64 iova, len;
	} got[64];
	unsigned int i, k;

	for (i = 0; i != ARRAY_SIZE(got); i++) {
		got[i].len = (i % 16 + 1) * self->ps;
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf,
				      got[i].len, &got[i].iova, MAP_RW));
		for (k = 0; k != i; k++) {
			EXPECT_TRUE(got[i].iova + got[i].len <= got[k].iova ||
				    got[k].iova + got[k].len <= got[i].iova);
		}
		EXPECT_EQ(-EEXIST, MAP_AT(1, got[i].iova));
		EXPECT_EQ(-EEXIST, MAP_AT(1, got[i].iova + got[i].len - 1));
	}
	for (i = 0; i != ARRAY_SIZE(got); i++)
		EXPECT_EQ(0, UNMAP(got[i].iova, got[i].len));
}

TEST_F(ctx, map_auto_iova_keeps_huge_pages)
{
	char *mem = mem_thp(3 * SZ_2M);
	__u64 iova;

	ASSERT_NE(MAP_FAILED, mem);
	/* Something in the way of the first choice */
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, SZ_2M, &iova, MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, 3 * SZ_2M, &iova,
			      MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
}

TEST_F(ctx, map_memory_is_not_looked_at)
{
	char *mem = mem_private(self->ps);
	__u64 iova;

	/* Without a device it is enough that there may be memory later */
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, munmap(mem, self->ps));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, self->ps, &iova,
			      MAP_RW));
	EXPECT_EQ(0, UNMAP(iova, self->ps));
}

TEST_F(ctx, map_many)
{
	const unsigned int num = 20000;
	unsigned int i;
	__u64 iova, len;

	for (i = 0; i != num; i++)
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps,
				      &iova, MAP_RW));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ((__u64)num * self->ps, len);
}

/* IOMMU_IOAS_UNMAP */

TEST_F(ctx, unmap_empty)
{
	__u64 len;

	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(0x1000000, 1));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
	/* Everything, and there is nothing */
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(0, len);
}

TEST_F(ctx, unmap_bad)
{
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	EXPECT_EQ(-EINVAL, UNMAP(0, 0));
	EXPECT_EQ(-EINVAL, UNMAP(0x1000, 0));
	EXPECT_EQ(-EOVERFLOW, UNMAP(1, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, UNMAP(UINT64_MAX, 1));
	EXPECT_EQ(-EOVERFLOW, UNMAP(self->ps, UINT64_MAX - 1));
	EXPECT_EQ(-EOVERFLOW, UNMAP(UINT64_MAX - self->ps + 1, 2 * self->ps));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id + 1, 0, self->ps));
	EXPECT_EQ(0, UNMAP(0, self->ps));
}

TEST_F(ctx, unmap_never_splits)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(4 * ps, base));
	EXPECT_EQ(-ENOENT, UNMAP(base, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + ps, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + 3 * ps, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base - ps, 2 * ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + 3 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, UNMAP(base, 4 * ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(base + 1, 4 * ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(base + 1, 4 * ps));
	/* It is all there */
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 4 * ps - 1));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base, 4 * ps, &len));
	EXPECT_EQ(4 * ps, len);
}

TEST_F(ctx, unmap_superset)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;
	int i;

	for (i = 0; i != 4; i++)
		ASSERT_EQ(0, MAP_AT(2 * ps, base + i * 8 * ps));
	ASSERT_EQ(0, MAP_AT(ps, base + 100 * ps));

	/* Gaps before, between and behind */
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base - ps, 34 * ps,
				    &len));
	EXPECT_EQ(8 * ps, len);
	EXPECT_EQ(-ENOENT, UNMAP(base - ps, 34 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base + 100 * ps));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, 1, UINT64_MAX - 1,
				    &len));
	EXPECT_EQ(ps, len);
}

TEST_F(ctx, unmap_all_or_nothing)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(ps, base));
	ASSERT_EQ(0, MAP_AT(4 * ps, base + 8 * ps));
	/* The first is covered, the second is cut: both stay */
	EXPECT_EQ(-ENOENT, UNMAP(base, 10 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 8 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 12 * ps - 1));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base, 12 * ps, &len));
	EXPECT_EQ(5 * ps, len);
}

TEST_F(ctx, unmap_all)
{
	__u64 iova, len, sum = 0;
	int i;

	for (i = 1; i != 50; i++) {
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf,
				      i % 16 * self->ps + 1, &iova, MAP_RW));
		sum += i % 16 * self->ps + 1;
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(sum, len);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(0, len);
}

/* IOMMU_IOAS_MAP_FILE */

TEST_F(ctx, map_file)
{
	int memfd = memfd_new(16 * self->ps, 0);
	__u64 iova, len;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, 16 * self->ps,
				   &iova, MAP_RW));
	EXPECT_EQ(0, UNMAP(iova, 16 * self->ps));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->id, memfd, self->ps,
				      self->ps, 0x1000000));
	EXPECT_EQ(-EEXIST, ioas_map_file_at(self->fd, self->id, memfd, 0,
					    self->ps, 0x1000000));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0x1000000));
	/* It stays mapped when the file is closed */
	ASSERT_EQ(0, close(memfd));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, 0, self->id, 0x1000000,
				  self->ps));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(2 * self->ps, len);
}

TEST_F(ctx, map_file_hugetlb)
{
	int memfd = memfd_new(2 * SZ_2M, MFD_HUGETLB);
	__u64 iova;

	if (memfd < 0)
		SKIP(return, "no hugetlb files: errno %d", -memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, 2 * SZ_2M,
				   &iova, MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
	EXPECT_EQ(0, UNMAP(iova, 2 * SZ_2M));
	/* A part that is smaller than a huge page */
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->id, memfd,
				      SZ_2M - self->ps, 2 * self->ps, 0));
	EXPECT_EQ(0, UNMAP(0, 2 * self->ps));
	close(memfd);
}

TEST_F(ctx, map_file_bad)
{
	int memfd = memfd_new(4 * self->ps, 0);
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	EXPECT_EQ(-EBADF, ioas_map_file(self->fd, self->id, -1, 0, self->ps,
					&iova, MAP_RW));
	EXPECT_EQ(-EBADF, ioas_map_file(self->fd, self->id, 1000, 0, self->ps,
					&iova, MAP_RW));
	EXPECT_EQ(-EINVAL, ioas_map_file(self->fd, self->id, memfd, 0, 0, &iova,
					 MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file(self->fd, self->id, memfd,
					    UINT64_MAX - self->ps + 1,
					    2 * self->ps, &iova, MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file(self->fd, self->id, memfd, 0,
					    UINT64_MAX, &iova, MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file_at(self->fd, self->id, memfd, 0,
					       2 * self->ps,
					       UINT64_MAX - self->ps + 1));
	EXPECT_EQ(-ENOENT, ioas_map_file(self->fd, self->id + 1, memfd, 0,
					 self->ps, &iova, MAP_RW));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
	close(memfd);
}

/* IOMMU_IOAS_COPY */

TEST_F(ctx, copy)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 iova, len;
	__u32 other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, MAP_AT(4 * ps, base));

	/* In one IOAS, to a fixed and to a free place */
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, 0, self->id, base,
				  4 * ps));
	EXPECT_EQ(-EEXIST, ioas_copy_at(self->fd, self->id, 0, self->id, base,
					4 * ps));
	EXPECT_EQ(-EEXIST, ioas_copy_at(self->fd, self->id, base, self->id,
					base, 4 * ps));
	ASSERT_EQ(0, ioas_copy(self->fd, self->id, &iova, self->id, base,
			       4 * ps, MAP_RW));
	EXPECT_EQ(-EEXIST, MAP_AT(1, iova));

	/* To another IOAS, also a part, also from a copy */
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, base, self->id, 0, 4 * ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 0, self->id, base + ps, ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, ps, other, base + 3 * ps,
				  ps));

	/* A copy outlives its source */
	ASSERT_EQ(0, obj_destroy(self->fd, self->id));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 2 * ps, other, base, 4 * ps));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, other, &len));
	EXPECT_EQ(10 * ps, len);
}

TEST_F(ctx, copy_across_mappings)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u32 other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, MAP_AT(2 * ps, base));
	ASSERT_EQ(0, MAP_AT(2 * ps, base + 2 * ps));
	ASSERT_EQ(0, MAP_AT(2 * ps, base + 5 * ps));

	/* Neighbours can be copied in one go, and stay separate mappings */
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 0, self->id, base + ps,
				  2 * ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, other, 0, ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, other, ps, ps));

	/* Across a gap there is nothing to copy */
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id, base,
					6 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 4 * ps, ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 4 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 6 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base - 1, ps));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, other, 0, 64 * ps));
}

TEST_F(ctx, copy_permission)
{
	__u64 iova = 0x1000000, copy = 0;

	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, self->id, &copy, self->id, iova,
				    self->ps, MAP_FIXED_RW));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, self->id, &copy, self->id, iova,
				    self->ps, IOMMU_IOAS_MAP_WRITEABLE));
	EXPECT_EQ(0, ioas_copy(self->fd, self->id, &copy, self->id, iova,
			       self->ps, MAP_FIXED_RO));

	/* Less than the first mapping had, and then again all of it */
	iova = 0x2000000;
	ASSERT_EQ(0, MAP_AT(self->ps, iova));
	copy = 0x3000000;
	EXPECT_EQ(0, ioas_copy(self->fd, self->id, &copy, self->id, iova,
			       self->ps, MAP_FIXED_RO));
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->id, 0x4000000, self->id, copy,
				  self->ps));
}

TEST_F(ctx, copy_bad)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 iova = 0;

	ASSERT_EQ(0, MAP_AT(ps, base));
	EXPECT_EQ(-EINVAL, ioas_copy_at(self->fd, self->id, 0, self->id, base,
					0));
	EXPECT_EQ(-EINVAL, ioas_copy(self->fd, self->id, &iova, self->id, base,
				     ps, IOMMU_IOAS_MAP_FIXED_IOVA));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, 0, self->id,
					   UINT64_MAX - ps + 1, 2 * ps));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, UINT64_MAX,
					   self->id, base, ps));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, 0, self->id,
					   base, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id,
					   UINT64_MAX - ps / 2, self->id, base,
					   ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id, 0, self->id, 0,
					ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id + 1, 0, self->id,
					base, ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id, 0, self->id + 1,
					base, ps));
	EXPECT_EQ(0, UNMAP(base, ps));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
}

TEST_F(ctx, copy_to_top_of_iova)
{
	const __u64 top = UINT64_MAX - self->ps + 1;

	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, top, self->id, 0,
				  self->ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, self->ps, self->id, top,
				  self->ps));
	EXPECT_EQ(0, UNMAP(top, self->ps));
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

/* A seal against writing holds for devices, too. */
TEST_F(ctx, map_file_sealed)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	unsigned int i;
	__u64 iova = 0;
	int memfd;

	for (i = 0; i != ARRAY_SIZE(seals); i++) {
		memfd = memfd_new(self->ps, MFD_ALLOW_SEALING);
		ASSERT_LE(0, memfd);
		ASSERT_EQ(0, fcntl(memfd, F_ADD_SEALS, seals[i]));
		EXPECT_EQ(-EPERM, ioas_map_file(self->fd, self->id, memfd, 0,
						self->ps, &iova, MAP_RW));
		EXPECT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0,
					   self->ps, &iova,
					   IOMMU_IOAS_MAP_READABLE));
		close(memfd);
	}
}

/* What is mapped for writing cannot be sealed, and can be as soon as it is not. */
TEST_F(ctx, map_file_then_seal)
{
	int memfd = memfd_new(self->ps, MFD_ALLOW_SEALING);
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, self->ps,
				   &iova, MAP_RW));
	EXPECT_EQ(-1, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, UNMAP(iova, self->ps));
	EXPECT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	close(memfd);
}

TEST_F(ctx, map_file_read_only)
{
	int memfd = memfd_new(self->ps, 0), fd;
	char path[32];
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, ioas_map_file(self->fd, self->id, fd, 0, self->ps,
					 &iova, MAP_RW));
	EXPECT_EQ(0, ioas_map_file(self->fd, self->id, fd, 0, self->ps, &iova,
				   IOMMU_IOAS_MAP_READABLE));
	close(fd);
	/* Nor one that can only be written */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, ioas_map_file(self->fd, self->id, fd, 0, self->ps,
					 &iova, MAP_RW));
	close(fd);
	close(memfd);
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

/* What needs a device, without one */

TEST_F(ctx, no_such_device)
{
	struct iommu_hw_info info;
	__u32 hwpt;

	EXPECT_EQ(-ENOENT, get_hw_info(self->fd, 0, NULL, 0, &info));
	EXPECT_EQ(-ENOENT, get_hw_info(self->fd, self->id, NULL, 0, &info));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, 0, self->id, 0, &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, self->id, self->id, 0, &hwpt));
	EXPECT_EQ(-ENOENT, set_dirty_tracking(self->fd, 0, true));
	EXPECT_EQ(-ENOENT, set_dirty_tracking(self->fd, self->id, true));
	EXPECT_EQ(-ENOENT, get_dirty_bitmap(self->fd, self->id, 0, self->ps,
					    self->ps, self->buf, 0));
}

TEST_F(ctx, later_features)
{
	static const unsigned long cmds[] = {
		IOMMU_HWPT_INVALIDATE,
		IOMMU_FAULT_QUEUE_ALLOC,
		IOMMU_VIOMMU_ALLOC,
		IOMMU_VDEVICE_ALLOC,
		IOMMU_VEVENTQ_ALLOC,
		IOMMU_HW_QUEUE_ALLOC,
	};
	unsigned int i, k;

	/* Known by name, and honest about it: not ENOTTY, not a pretence */
	for (i = 0; i != ARRAY_SIZE(cmds); i++) {
		for (k = 0; k != ARRAY_SIZE(sizes); k++) {
			if (sizes[k].cmd != cmds[i])
				continue;
			EXPECT_EQ(-EOPNOTSUPP, call_sized(self->fd, &sizes[k],
							  sizes[k].known, 0)) {
				TH_LOG("%s", sizes[k].name);
			}
		}
	}
}

/* /proc/PID/fdinfo */

static bool fdinfo_has(int fd, const char *line)
{
	char path[64], buf[512];
	size_t len = strlen(line);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (!found && fgets(buf, sizeof(buf), f))
		found = !strncmp(buf, line, len);
	fclose(f);
	return found;
}

/* An errno has a name only where the kernel has CONFIG_SYMBOLIC_ERRNAME */
static bool refused(int fd, const char *name, int error, const char *what)
{
	char line[128];

	snprintf(line, sizeof(line), "last-refusal:\t-%s %s", name, what);
	if (fdinfo_has(fd, line))
		return true;
	snprintf(line, sizeof(line), "last-refusal:\t-%d %s", error, what);
	return fdinfo_has(fd, line);
}

TEST_F(ctx, fdinfo_objects)
{
	char line[128];
	__u32 other;
	int fd;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	snprintf(line, sizeof(line), "object:\t%u ioas users=0\n", self->id);
	EXPECT_TRUE(fdinfo_has(self->fd, line));
	ASSERT_EQ(0, MAP_AT(3 * self->ps, 0));
	ASSERT_EQ(0, MAP_AT(self->ps, 0x1000000));
	snprintf(line, sizeof(line), "ioas-%u:\tareas=2 mapped=%zu pinned=0 ",
		 self->id, 4 * self->ps);
	EXPECT_TRUE(fdinfo_has(self->fd, line));
	snprintf(line, sizeof(line), "ioas-%u:\tareas=0 mapped=0 pinned=0 ",
		 other);
	EXPECT_TRUE(fdinfo_has(self->fd, line));
	ASSERT_EQ(0, obj_destroy(self->fd, other));
	EXPECT_FALSE(fdinfo_has(self->fd, line));

	EXPECT_TRUE(fdinfo_has(self->fd, "accounting:\tuser\n"));
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	EXPECT_TRUE(fdinfo_has(fd, "accounting:\tprocess\n"));
	close(fd);
}

TEST_F(ctx, fdinfo_refusal)
{
	int i;

	EXPECT_TRUE(fdinfo_has(self->fd, "refusals:\t0\n"));
	EXPECT_FALSE(fdinfo_has(self->fd, "last-refusal:"));
	ASSERT_EQ(0, MAP_AT(self->ps, 0x1000000));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0x1000000));
	EXPECT_TRUE(fdinfo_has(self->fd, "refusals:\t1\n"));
	EXPECT_TRUE(refused(self->fd, "EEXIST", EEXIST, "map: "));
	EXPECT_EQ(-ENOENT, UNMAP(0x1000000, 1));
	EXPECT_TRUE(refused(self->fd, "ENOENT", ENOENT, "unmap: "));
	EXPECT_TRUE(fdinfo_has(self->fd, "refusals:\t2\n"));
	/* A success does not wipe it, many refusals do not pile up */
	ASSERT_EQ(0, UNMAP(0x1000000, self->ps));
	EXPECT_TRUE(refused(self->fd, "ENOENT", ENOENT, "unmap: "));
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	for (i = 0; i != 1000; i++)
		EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0));
	EXPECT_TRUE(fdinfo_has(self->fd, "refusals:\t1002\n"));
}

TEST_HARNESS_MAIN
