// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file /dev/iommu, the rules that all ioctls follow, objects, and fdinfo.
 * None of it needs a device.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "iommufd_ctx.h"

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
	SIZE(IOMMU_IOAS_NOIOMMU_GET_PA, 40, 40),
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
	for (nr = IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA + 1;
	     nr < IOMMUFD_CMD_BASE + 32; nr++) {
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

/* /proc/PID/fdinfo */

/* Is there a line that starts so? With a newline it is all of a line. */
static bool fdinfo_has(int fd, const char *start)
{
	size_t len = strcspn(start, "\n");
	char head[128], rest[512];

	snprintf(head, sizeof(head), "%.*s", (int)len, start);
	return !fdinfo_line(fd, head, rest, sizeof(rest)) &&
	       (!start[len] || !rest[0]);
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
