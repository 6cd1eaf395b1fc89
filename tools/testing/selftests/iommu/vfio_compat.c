// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's type 1 container, as iommufd provides it: without a device, on the
 * mock IOMMU driver, and with a device that does DMA (QEMU's edu).
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/fail_nth.h"
#include "../lib/iommufd.h"
#include "../lib/type1.h"
#ifdef HAVE_MOCK_ABI
#include "../lib/mock.h"
#endif

#define PAGES	64

PCI_BORROW(edu, pci_is_edu)

/* A container without a group */
FIXTURE(bare)
{
	int fd;
};

FIXTURE_SETUP(bare)
{
	self->fd = container_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("/dev/vfio/vfio cannot be opened: is iommufd loaded?");
	}
}

FIXTURE_TEARDOWN(bare)
{
	close(self->fd);
}

TEST_F(bare, version)
{
	EXPECT_EQ(VFIO_API_VERSION, t1_call(self->fd, VFIO_GET_API_VERSION, 0));
}

TEST_F(bare, extensions)
{
	static const struct {
		unsigned long extension;
		int answer;
	} known[] = {
		{ 0, 0 },
		{ VFIO_TYPE1_IOMMU, 1 },
		{ VFIO_SPAPR_TCE_IOMMU, 0 },
		{ VFIO_TYPE1v2_IOMMU, 1 },
		{ VFIO_DMA_CC_IOMMU, 0 },
		{ VFIO_EEH, 0 },
		{ 6, 0 },			/* nesting */
		{ VFIO_SPAPR_TCE_v2_IOMMU, 0 },
		{ VFIO_NOIOMMU_IOMMU, 0 },
		{ VFIO_UNMAP_ALL, 1 },
		{ VFIO_UPDATE_VADDR, 0 },
		{ 1000, 0 },
		{ -1UL, 0 },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(known); i++)
		EXPECT_EQ(known[i].answer,
			  t1_call(self->fd, VFIO_CHECK_EXTENSION,
				  known[i].extension)) {
			TH_LOG("extension %lu", known[i].extension);
		}
}

TEST_F(bare, nothing_to_map)
{
	struct t1_info info;
	__u64 size;

	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, 0));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-EINVAL, t1_get_info(self->fd, &info));
	EXPECT_EQ(-EINVAL, t1_map(self->fd, &info, page_size(), 0, T1_RW));
	EXPECT_EQ(-EINVAL, t1_unmap(self->fd, 0, page_size()));
	EXPECT_EQ(-EINVAL, t1_unmap_all(self->fd, &size));
	EXPECT_EQ(-EINVAL,
		  t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
}

/* What can be refused without looking at the container */
TEST_F(bare, bad_structs)
{
	static const unsigned long cmds[] = {
		VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA,
		VFIO_IOMMU_DIRTY_PAGES,
	};
	__u32 cmd[16];
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(cmds); i++) {
		memset(cmd, 0, sizeof(cmd));
		EXPECT_EQ(-EINVAL, call(self->fd, cmds[i], cmd));
		cmd[0] = 7;
		EXPECT_EQ(-EINVAL, call(self->fd, cmds[i], cmd));
		EXPECT_EQ(-EFAULT, call(self->fd, cmds[i], NULL));
	}
	for (i = 3; i != 32; i++) {
		memset(cmd, 0, sizeof(cmd));
		cmd[0] = sizeof(cmd);
		cmd[1] = 1U << i;
		EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_MAP_DMA, cmd));
		EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_UNMAP_DMA, cmd));
	}
	/* Addresses cannot be suspended */
	memset(cmd, 0, sizeof(cmd));
	cmd[0] = sizeof(cmd);
	cmd[1] = VFIO_DMA_MAP_FLAG_VADDR;
	EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_MAP_DMA, cmd));
	cmd[1] = VFIO_DMA_UNMAP_FLAG_VADDR;
	EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_UNMAP_DMA, cmd));
	cmd[1] = VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_UNMAP_DMA, cmd));
	/* No access allowed is no mapping */
	cmd[1] = 0;
	EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_MAP_DMA, cmd));
}

TEST_F(bare, not_ours)
{
	EXPECT_EQ(-EINVAL, t1_call(self->fd, VFIO_IOMMU_ENABLE, 0));
	EXPECT_EQ(-EINVAL, t1_call(self->fd, VFIO_IOMMU_DISABLE, 0));
	EXPECT_EQ(-EINVAL,
		  t1_call(self->fd, _IO(VFIO_TYPE, VFIO_BASE + 19), 0));
	EXPECT_EQ(-ENOTTY, t1_call(self->fd, 0xdead, 0));
}

/* A file of /dev/iommu answers as mainline's iommufd */
TEST_F(bare, iommufd_answers)
{
	struct t1_info info;
	__u64 size;

	close(self->fd);
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-ENODEV, t1_set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->fd, 0));
	EXPECT_EQ(-ENODEV, t1_get_info(self->fd, &info));
	EXPECT_EQ(-ENODEV, t1_map(self->fd, &info, page_size(), 0, T1_RW));
	EXPECT_EQ(-ENODEV, t1_unmap(self->fd, 0, page_size()));
	EXPECT_EQ(-ENODEV, t1_unmap_all(self->fd, &size));
	EXPECT_EQ(-ENOTTY, t1_call(self->fd, VFIO_IOMMU_ENABLE, 0));
	EXPECT_EQ(-ENOTTY,
		  t1_call(self->fd, _IO(VFIO_TYPE, VFIO_BASE + 19), 0));
}

/* An address space that is chosen to be the container's, without a device */
FIXTURE(chosen)
{
	int fd;
	__u32 ioas;
	size_t ps;
	char *buf;
};

FIXTURE_VARIANT(chosen)
{
	unsigned long type;
};

FIXTURE_VARIANT_ADD(chosen, v1) { .type = VFIO_TYPE1_IOMMU };
FIXTURE_VARIANT_ADD(chosen, v2) { .type = VFIO_TYPE1v2_IOMMU };

FIXTURE_SETUP(chosen)
{
	self->ps = page_size();
	self->fd = container_open();
	ASSERT_LE(0, self->fd);
	self->buf = mem_shared(PAGES * self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	ASSERT_EQ(0, t1_set_iommu(self->fd, variant->type));
}

FIXTURE_TEARDOWN(chosen)
{
	close(self->fd);
}

TEST_F(chosen, map_errors)
{
	const __u64 top = ~0ULL - self->ps + 1;
	size_t ps = self->ps;
	int fd = self->fd;

	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, 0, ps, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps, 1, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps, ps / 2, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps + 1, ps, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps / 2, ps, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf + 1, ps, ps, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ~0ULL, 0, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps, ps, 0));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, ps, ps,
				  T1_RW | VFIO_DMA_MAP_FLAG_VADDR));
	EXPECT_EQ(-EOVERFLOW, t1_map(fd, self->buf, 2 * ps, top, T1_RW));
	EXPECT_EQ(-EOVERFLOW, t1_map(fd, (void *)(uintptr_t)top, 2 * ps, 0,
				     T1_RW));

	EXPECT_EQ(0, t1_map(fd, self->buf, ps, ps, T1_RO));
	EXPECT_EQ(0, t1_map(fd, self->buf, 4 * ps, 2 * ps,
			    VFIO_DMA_MAP_FLAG_WRITE));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, ps, ps, T1_RO));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, ps, 3 * ps, T1_RW));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, 2 * ps, 0, T1_RW));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, 8 * ps, 0, T1_RW));
	EXPECT_EQ(0, t1_map(fd, self->buf, ps, 0, T1_RW));
}

TEST_F(chosen, unmap)
{
	const __u64 top = ~0ULL - self->ps + 1;
	size_t ps = self->ps;
	int fd = self->fd;
	__u64 size;

	EXPECT_EQ(-EINVAL, t1_unmap(fd, 0, 0));
	EXPECT_EQ(-EINVAL, t1_unmap(fd, 0, ps + 1));
	EXPECT_EQ(-EINVAL, t1_unmap(fd, 1, ps));
	EXPECT_EQ(-EOVERFLOW, t1_unmap(fd, top, 2 * ps));

	/* Nothing there is no error */
	size = ps;
	EXPECT_EQ(0, t1_unmap_flags(fd, 0, &size, 0));
	EXPECT_EQ(0, size);
	EXPECT_EQ(0, t1_unmap_all(fd, &size));
	EXPECT_EQ(0, size);

	/* Several, with holes around */
	ASSERT_EQ(0, t1_map(fd, self->buf, ps, 4 * ps, T1_RW));
	ASSERT_EQ(0, t1_map(fd, self->buf, 2 * ps, 6 * ps, T1_RW));
	size = 10 * ps;
	EXPECT_EQ(0, t1_unmap_flags(fd, 0, &size, 0));
	EXPECT_EQ(3 * ps, size);

	ASSERT_EQ(0, t1_map(fd, self->buf, ps, 4 * ps, T1_RW));
	ASSERT_EQ(0, t1_map(fd, self->buf, 2 * ps, top - 2 * ps, T1_RW));
	size = ps;
	EXPECT_EQ(-EINVAL,
		  t1_unmap_flags(fd, 0, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	size = 0;
	EXPECT_EQ(-EINVAL,
		  t1_unmap_flags(fd, ps, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(0, t1_unmap_all(fd, &size));
	EXPECT_EQ(3 * ps, size);
}

/* The second version unmaps what was mapped, the first what is asked for */
TEST_F(chosen, unmap_part)
{
	bool v1 = variant->type == VFIO_TYPE1_IOMMU;
	int cut = v1 ? 0 : -EINVAL;
	size_t ps = self->ps;
	int fd = self->fd;
	__u64 size;

	ASSERT_EQ(0, t1_map(fd, self->buf, 16 * ps, 16 * ps, T1_RW));
	EXPECT_EQ(cut, t1_unmap(fd, 20 * ps, ps));
	EXPECT_EQ(cut, t1_unmap(fd, 16 * ps, ps));
	EXPECT_EQ(cut, t1_unmap(fd, 31 * ps, ps));
	size = 4 * ps;
	EXPECT_EQ(cut, t1_unmap_flags(fd, 15 * ps, &size, 0));
	EXPECT_EQ(v1 ? 2 * ps : 4 * ps, size);
	size = 4 * ps;
	EXPECT_EQ(cut, t1_unmap_flags(fd, 30 * ps, &size, 0));
	EXPECT_EQ(v1 ? ps : 4 * ps, size);

	/* What is gone can be mapped */
	EXPECT_EQ(v1 ? 0 : -EEXIST, t1_map(fd, self->buf, ps, 20 * ps, T1_RW));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, ps, 19 * ps, T1_RW));
	EXPECT_EQ(-EEXIST, t1_map(fd, self->buf, ps, 21 * ps, T1_RW));
	EXPECT_EQ(0, t1_unmap_all(fd, &size));
	EXPECT_EQ(v1 ? 11 * ps : 16 * ps, size);
}

/* Those who ask see that any page can be unmapped */
TEST_F(chosen, huge_pages_option)
{
	__u64 val;

	ASSERT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(variant->type != VFIO_TYPE1_IOMMU, val);
}

/* Whatever there is does it */
TEST_F(chosen, coherent)
{
	EXPECT_EQ(1, t1_call(self->fd, VFIO_CHECK_EXTENSION,
			     VFIO_DMA_CC_IOMMU));
}

TEST_F(chosen, info)
{
	struct t1_info info;
	struct vfio_iommu_type1_info *small;
	unsigned int i;
	char buf[256];
	__u32 full;

	ASSERT_EQ(0, t1_get_info(self->fd, &info));
	EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		  info.info.flags);
	EXPECT_EQ(sizeof(info), info.info.argsz);
	EXPECT_EQ(sizeof(info.info), info.info.cap_offset);
	EXPECT_NE(0, info.info.iova_pgsizes & self->ps);
	EXPECT_EQ(0, info.info.iova_pgsizes & (self->ps - 1));
	EXPECT_TRUE(t1_usable(&info, 0, ~0ULL));

	/* Every size that is too small tells the right one, and no more */
	small = (void *)buf;
	small->argsz = sizeof(*small);
	ASSERT_EQ(0, call(self->fd, VFIO_IOMMU_GET_INFO, small));
	full = small->argsz;
	ASSERT_LT(sizeof(*small), full);
	ASSERT_GT(sizeof(buf), full);
	EXPECT_EQ(0, small->cap_offset);
	for (i = 0; i <= full; i++) {
		unsigned int j;

		memset(buf, 0xaa, sizeof(buf));
		small->argsz = i;
		if (i < 16) {
			EXPECT_EQ(-EINVAL, call(self->fd, VFIO_IOMMU_GET_INFO,
						small));
			continue;
		}
		EXPECT_EQ(0, call(self->fd, VFIO_IOMMU_GET_INFO, small));
		EXPECT_EQ(full, small->argsz);
		for (j = i; j != sizeof(buf); j++)
			EXPECT_EQ((char)0xaa, buf[j]);
	}
	EXPECT_EQ(sizeof(*small), small->cap_offset);
}

TEST_F(chosen, avail)
{
	long before = t1_avail(self->fd);
	__u64 size;

	EXPECT_EQ(65535, before);
	ASSERT_EQ(0, t1_map(self->fd, self->buf, self->ps, 0, T1_RW));
	EXPECT_EQ(before - 1, t1_avail(self->fd));
	ASSERT_EQ(0, t1_map(self->fd, self->buf, 4 * self->ps, 4 * self->ps,
			    T1_RW));
	EXPECT_EQ(before - 2, t1_avail(self->fd));
	if (variant->type == VFIO_TYPE1_IOMMU) {
		/* One of two parts is left of it, then two of three */
		ASSERT_EQ(0, t1_unmap(self->fd, 4 * self->ps, self->ps));
		EXPECT_EQ(before - 2, t1_avail(self->fd));
		ASSERT_EQ(0, t1_unmap(self->fd, 6 * self->ps, self->ps));
		EXPECT_EQ(before - 3, t1_avail(self->fd));
	}
	ASSERT_EQ(0, t1_unmap_all(self->fd, &size));
	EXPECT_EQ(before, t1_avail(self->fd));
}

#define LIMIT "/sys/module/iommufd/parameters/dma_entry_limit"

static int write_limit(const char *value)
{
	int fd = open(LIMIT, O_WRONLY);
	int rc;

	if (fd < 0)
		return -errno;
	rc = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

TEST_F(chosen, entry_limit)
{
	if (write_limit("3"))
		SKIP(return, "cannot write " LIMIT);
	EXPECT_EQ(3, t1_avail(self->fd));
	EXPECT_EQ(0, t1_map(self->fd, self->buf, self->ps, 0, T1_RW));
	EXPECT_EQ(0, t1_map(self->fd, self->buf, self->ps, self->ps, T1_RW));
	EXPECT_EQ(0, t1_map(self->fd, self->buf, self->ps, 2 * self->ps,
			    T1_RW));
	EXPECT_EQ(0, t1_avail(self->fd));
	EXPECT_EQ(-ENOSPC, t1_map(self->fd, self->buf, self->ps, 3 * self->ps,
				  T1_RW));
	EXPECT_EQ(0, t1_unmap(self->fd, self->ps, self->ps));
	EXPECT_EQ(1, t1_avail(self->fd));
	EXPECT_EQ(0, t1_map(self->fd, self->buf, self->ps, 3 * self->ps,
			    T1_RW));
	/* A limit that is lowered does not wrap what is left */
	EXPECT_EQ(0, write_limit("1"));
	EXPECT_EQ(0, t1_avail(self->fd));
	EXPECT_EQ(0, write_limit("65535"));
}

TEST_F(chosen, dirty_log)
{
	bool v1 = variant->type == VFIO_TYPE1_IOMMU;
	unsigned char bitmap[32] = {};
	size_t ps = self->ps;
	int fd = self->fd;
	__u64 size;

	if (v1) {
		EXPECT_EQ(-EACCES,
			  t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
		return;
	}
	ASSERT_EQ(0, t1_map(fd, self->buf, 8 * ps, 8 * ps, T1_RW));
	ASSERT_EQ(0, t1_map(fd, self->buf, 4 * ps, 20 * ps, T1_RO));

	EXPECT_EQ(-EINVAL, t1_dirty(fd, 0));
	EXPECT_EQ(-EINVAL, t1_dirty(fd, 3));
	EXPECT_EQ(-EINVAL, t1_dirty(fd, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap, 8));
	size = 8 * ps;
	EXPECT_EQ(-EINVAL, t1_unmap_dirty(fd, 8 * ps, &size, ps, bitmap, 8));

	ASSERT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	ASSERT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	/* No structure for the bitmap */
	EXPECT_EQ(-EINVAL, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP));

	/* Nobody notes what is written, so all that is mapped is dirty */
	EXPECT_EQ(0, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap, 8));
	EXPECT_EQ(12, count_bits(bitmap, 256));
	EXPECT_TRUE(bit_is_set(bitmap, 8) && bit_is_set(bitmap, 15) &&
		    bit_is_set(bitmap, 20) && bit_is_set(bitmap, 23));
	memset(bitmap, 0, sizeof(bitmap));
	EXPECT_EQ(0, t1_dirty_bitmap(fd, 20 * ps, 4 * ps, ps, bitmap, 8));
	EXPECT_EQ(4, count_bits(bitmap, 4));
	EXPECT_EQ(4, count_bits(bitmap, 256));
	EXPECT_EQ(0, t1_dirty_bitmap(fd, 30 * ps, 4 * ps, ps, bitmap, 8));
	EXPECT_EQ(4, count_bits(bitmap, 256));

	/* A part of a mapping */
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 9 * ps, 7 * ps, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 8 * ps, 7 * ps, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 22 * ps, ps, bitmap, 8));
	/* Ranges and bitmaps that are not right */
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 0, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 1, 64 * ps, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps + 1, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, ps, 0 - ps, ps, bitmap, 1 << 28));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, 0, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, 2 * ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps / 2, bitmap, 16));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps + 1, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap, 0));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap, 7));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 65 * ps, ps, bitmap, 8));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap,
					   (1ULL << 28) + 8));
	EXPECT_EQ(-EFAULT, t1_dirty_bitmap(fd, 0, 64 * ps, ps, NULL, 8));

	/* Learn and unmap */
	memset(bitmap, 0, sizeof(bitmap));
	size = 16 * ps;
	EXPECT_EQ(-EFAULT, t1_unmap_dirty(fd, 8 * ps, &size, ps, NULL, 8));
	EXPECT_EQ(-EINVAL, t1_unmap_dirty(fd, 8 * ps, &size, ps, bitmap, 1));
	EXPECT_EQ(-EINVAL, t1_unmap_dirty(fd, 8 * ps, &size, 2 * ps, bitmap,
					  8));
	/* What is refused says nothing */
	size = 14 * ps;
	EXPECT_EQ(-EINVAL, t1_unmap_dirty(fd, 8 * ps, &size, ps, bitmap, 8));
	EXPECT_EQ(0, count_bits(bitmap, 256));
	size = 16 * ps;
	EXPECT_EQ(0, t1_unmap_dirty(fd, 8 * ps, &size, ps, bitmap, 8));
	EXPECT_EQ(12 * ps, size);
	EXPECT_EQ(12, count_bits(bitmap, 256));
	EXPECT_TRUE(bit_is_set(bitmap, 0) && bit_is_set(bitmap, 7) &&
		    bit_is_set(bitmap, 12) && bit_is_set(bitmap, 15));

	EXPECT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	EXPECT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	EXPECT_EQ(-EINVAL, t1_dirty_bitmap(fd, 0, 64 * ps, ps, bitmap, 8));
}

#ifdef HAVE_MOCK_ABI
/* The same with devices behind the mock IOMMU */
FIXTURE(mock)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	struct mock_device other;
	size_t ps;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_VARIANT(mock)
{
	__u32 flags;
	bool hugetlb;
};

FIXTURE_VARIANT_ADD(mock, small) {};
FIXTURE_VARIANT_ADD(mock, large)
{
	.flags = MOCK_FLAGS_DEVICE_HUGE_IOVA,
	.hugetlb = true,
};

#define BASE	(32UL << 20)

FIXTURE_SETUP(mock)
{
	int rc;

	self->ps = page_size();
	self->size = variant->hugetlb ? 2 * SZ_2M : PAGES * self->ps;
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	rc = mock_attach_flags(self->fd, self->ioas, variant->flags,
			       &self->dev);
	if (rc == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	ASSERT_EQ(0, rc);
	self->buf = variant->hugetlb ? mem_hugetlb(self->size) :
				       mem_shared(self->size);
	if (self->buf == MAP_FAILED)
		SKIP(return, "there are no huge pages");
	memset(self->buf, 1, self->size);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	ASSERT_EQ(0, t1_set_iommu(self->fd, VFIO_TYPE1_IOMMU));
}

FIXTURE_TEARDOWN(mock)
{
	close(self->fd);
	if (self->pinned)
		EXPECT_EQ(self->pinned, pages_pinned());
}

/* Is exactly what @gone does not say mapped? */
static void check_parts(struct __test_metadata *_metadata, int fd, __u32 hwpt,
			char *buf, size_t size, size_t part, const bool *gone)
{
	size_t i;

	for (i = 0; i != size / part; i++) {
		int rc = mock_check_map(fd, hwpt, BASE + i * part, part,
					buf + i * part);

		EXPECT_EQ(gone[i] ? -EINVAL : 0, rc) {
			TH_LOG("part %zu is %s", i, gone[i] ? "gone" : "there");
		}
	}
}

/* Take one mapping apart in any order */
TEST_F(mock, unmap_parts)
{
	const unsigned int parts = 16;
	size_t part = self->size / parts;
	unsigned int i, round;
	bool gone[16];

	for (round = 1; round < parts; round += 2) {
		memset(gone, 0, sizeof(gone));
		ASSERT_EQ(0, t1_map(self->fd, self->buf, self->size, BASE,
				    T1_RW));
		for (i = 0; i != parts; i++) {
			unsigned int n = (i * round + 3) % parts;

			ASSERT_EQ(0, t1_unmap(self->fd, BASE + n * part, part));
			gone[n] = true;
			if (round < 6)
				check_parts(_metadata, self->fd,
					    self->dev.hwpt, self->buf,
					    self->size, part, gone);
			/* A large page has one count for all of it */
			if (!variant->hugetlb)
				EXPECT_EQ(0, mock_check_refs(self->fd,
							     self->buf +
							     n * part,
							     part, 0));
		}
	}
}

/* Down to single pages, at the ends of what is or could be a large page */
TEST_F(mock, unmap_pages)
{
	size_t ps = self->ps;
	size_t i;

	ASSERT_EQ(0, t1_map(self->fd, self->buf, self->size, BASE, T1_RW));
	for (i = 0; i != self->size / ps; i += self->size / ps / 8) {
		ASSERT_EQ(0, t1_unmap(self->fd, BASE + i * ps, ps));
		ASSERT_EQ(0, t1_unmap(self->fd, BASE + (i + 5) * ps, ps));
		EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
					    BASE + (i + 1) * ps, 4 * ps,
					    self->buf + (i + 1) * ps));
		EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
					    BASE + (i + 6) * ps, 2 * ps,
					    self->buf + (i + 6) * ps));
		if (!variant->hugetlb)
			EXPECT_EQ(0, mock_check_refs(self->fd,
						     self->buf + i * ps, ps,
						     0));
	}
}

/* Two tables, and a copy that shares the memory */
TEST_F(mock, unmap_shared)
{
	size_t half = self->size / 2;
	__u32 copy;

	ASSERT_EQ(0, t1_map(self->fd, self->buf, self->size, BASE, T1_RW));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->other));
	ASSERT_EQ(0, ioas_alloc(self->fd, &copy));
	ASSERT_EQ(0, ioas_copy_at(self->fd, copy, BASE, self->ioas, BASE,
				  self->size));

	ASSERT_EQ(0, t1_unmap(self->fd, BASE, half));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE + half, half,
				    self->buf + half));
	EXPECT_EQ(0, mock_check_map(self->fd, self->other.hwpt, BASE + half,
				    half, self->buf + half));
	EXPECT_EQ(0, mock_check_refs(self->fd, self->buf, half, 0));
	EXPECT_EQ(0, mock_check_refs(self->fd, self->buf + half, half, 1));

	/* The copy is whole, and cannot be cut */
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, copy, BASE, half));
	EXPECT_EQ(0, ioas_unmap(self->fd, copy, BASE, self->size));
	EXPECT_EQ(0, mock_check_map(self->fd, self->other.hwpt, BASE + half,
				    half, self->buf + half));
}

/* An in-kernel user lets go of what is cut */
TEST_F(mock, unmap_accessed)
{
	size_t ps = self->ps;
	int access;
	__u32 pin;

	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, t1_map(self->fd, self->buf, self->size, BASE, T1_RW));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE + ps, 4 * ps,
				     self->buf + ps, MOCK_FLAGS_ACCESS_WRITE,
				     &pin));
	EXPECT_EQ(0, t1_unmap(self->fd, BASE + 2 * ps, ps));
	/* The rest can be pinned again, and that is no reason to wait */
	EXPECT_EQ(-ENOENT, mock_access_unpin(self->fd, access, pin));
	EXPECT_EQ(0, mock_access_pin(self->fd, access, BASE + 3 * ps, 2 * ps,
				     self->buf + 3 * ps,
				     MOCK_FLAGS_ACCESS_WRITE, &pin));
	EXPECT_EQ(0, t1_unmap(self->fd, BASE, 2 * ps));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, pin));
	close(access);
}

/* Places where a mapping made by other means cannot be cut */
TEST_F(mock, cut_inside_page)
{
	size_t half = self->ps / 2;

	if (variant->hugetlb)
		SKIP(return, "nothing to do with large pages");
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + half,
				 4 * self->ps, BASE));
	EXPECT_EQ(-EINVAL, t1_unmap(self->fd, BASE + self->ps, self->ps));
	EXPECT_EQ(0, t1_unmap(self->fd, BASE, 4 * self->ps));
}

/* The second version, with pins */
TEST_F(mock, second_version)
{
	size_t ps = self->ps;
	struct t1_info info;

	ASSERT_EQ(0, t1_set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, t1_get_info(self->fd, &info));
	EXPECT_TRUE(t1_usable(&info, MOCK_APERTURE_START, MOCK_APERTURE_LAST));
	EXPECT_FALSE(t1_usable(&info, MOCK_APERTURE_START - 1,
			       MOCK_APERTURE_LAST));
	EXPECT_EQ(-EINVAL, t1_map(self->fd, self->buf, ps,
				  MOCK_APERTURE_START - ps, T1_RW));
	EXPECT_EQ(-EINVAL, t1_map(self->fd, self->buf, ps, BASE + ps / 2,
				  T1_RW));
	EXPECT_EQ(-EFAULT, t1_map(self->fd, NULL, ps, BASE, T1_RW));
	EXPECT_EQ(-EFAULT, t1_map(self->fd, (void *)(1UL << 63), ps, BASE,
				  T1_RW));
	ASSERT_EQ(0, t1_map(self->fd, self->buf, self->size, BASE, T1_RW));
	EXPECT_EQ(-ENOENT, t1_unmap(self->fd, BASE, self->size / 2));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->size,
				    self->buf));
	EXPECT_EQ(0, t1_unmap(self->fd, BASE, self->size));
	EXPECT_EQ(0, mock_check_refs(self->fd, self->buf, self->size, 0));
}

struct race {
	int fd;
	char *buf;
	size_t size;
	__u64 iova;
	unsigned int rounds;
	int rc;
};

/* Map, and take it apart; nobody else uses these IOVA */
static void *race_thread(void *arg)
{
	struct race *race = arg;
	size_t part = race->size / 8;
	unsigned int i, n;

	for (i = 0; !race->rc && i != race->rounds; i++) {
		race->rc = t1_map(race->fd, race->buf, race->size, race->iova,
				  T1_RW);
		for (n = 0; !race->rc && n != 8; n++)
			race->rc = t1_unmap(race->fd, race->iova +
					    (n * 3 + i) % 8 * part, part);
	}
	return NULL;
}

/* Unmap all that there is, which meets mappings that are being made */
static void *sweep_thread(void *arg)
{
	struct race *race = arg;
	unsigned int i;

	for (i = 0; !race->rc && i != 2 * race->rounds; i++) {
		__u64 size = 4UL << 20;

		race->rc = t1_unmap_flags(race->fd, race->iova, &size, 0);
	}
	return NULL;
}

TEST_F(mock, threads)
{
	struct race race[4];
	pthread_t thread[4];
	unsigned int i;

	for (i = 0; i != 4; i++) {
		race[i] = (struct race){
			.fd = self->fd,
			.buf = self->buf,
			.size = self->size,
			.iova = BASE + i * (16UL << 20),
			.rounds = variant->hugetlb ? 5 : 50,
		};
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, race_thread,
					    &race[i]));
	}
	for (i = 0; i != 4; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, race[i].rc);
	}
}

/* An unmap never fails because somebody else is at work */
TEST_F(mock, sweep)
{
	struct race map = {
		.fd = self->fd,
		.buf = self->buf,
		.size = self->size,
		.iova = BASE,
		.rounds = variant->hugetlb ? 10 : 100,
	};
	struct race sweep = map;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, sweep_thread, &sweep));
	for (i = 0; i != map.rounds; i++) {
		int rc = t1_map(map.fd, map.buf, map.size, map.iova, T1_RW);

		/* The one before may still be there, or half gone */
		EXPECT_TRUE(!rc || rc == -EEXIST);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, sweep.rc);
}
#endif

/* A group in a container; none of its devices is open yet */
FIXTURE(group)
{
	char bdf[PATH_MAX];
	char cdev[PATH_MAX];
	int container;
	int group;
	int dev;
	void *bar;
	size_t ps;
	char *buf;
	long pinned;
};

FIXTURE_VARIANT(group)
{
	unsigned long type;
};

FIXTURE_VARIANT_ADD(group, v1) { .type = VFIO_TYPE1_IOMMU };
FIXTURE_VARIANT_ADD(group, v2) { .type = VFIO_TYPE1v2_IOMMU };

FIXTURE_SETUP(group)
{
	self->container = -1;
	self->group = -1;
	self->dev = -1;
	self->bar = NULL;
	self->ps = page_size();
	self->pinned = pages_pinned();
	if (!pci_find_cdev(pci_is_edu, self->cdev))
		SKIP(return, "no edu device is bound to vfio-pci");
	ASSERT_EQ(0, cdev_bdf(self->cdev, self->bdf));
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->group = group_open(sysdev_group(self->bdf));
	ASSERT_LE(0, self->group) {
		TH_LOG("group %d: errno %d", sysdev_group(self->bdf), -self->group);
	}
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	self->buf = mem_thp(2 * SZ_2M);
	ASSERT_NE(MAP_FAILED, self->buf);
}

FIXTURE_TEARDOWN(group)
{
	if (self->bar)
		munmap(self->bar, EDU_BAR_SIZE);
	if (self->dev >= 0)
		close(self->dev);
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(group, set_iommu)
{
	int fd = self->container;
	struct t1_info info;

	/* Nothing works before */
	EXPECT_EQ(-EINVAL, t1_get_info(fd, &info));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, self->ps, 0, T1_RW));
	EXPECT_EQ(-EINVAL, t1_unmap(fd, 0, self->ps));
	EXPECT_EQ(0, t1_extension(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, t1_set_iommu(fd, VFIO_NOIOMMU_IOMMU));

	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	/* It is set once */
	EXPECT_EQ(-EINVAL, t1_set_iommu(fd, variant->type));
	EXPECT_EQ(0, t1_get_info(fd, &info));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, fd));
}

/* Before a device is open the container knows what the IOMMU can do */
TEST_F(group, info)
{
	struct vfio_iommu_type1_info_cap_migration *migration;
	int fd = self->container;
	struct t1_info info;

	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_get_info(fd, &info));
	EXPECT_NE(0, info.info.iova_pgsizes & self->ps);
	/* No IOMMU translates all of 64 bits, or the window for interrupts */
	EXPECT_FALSE(t1_usable(&info, 0, ~0ULL));
	EXPECT_FALSE(t1_usable(&info, MSI_WINDOW, MSI_WINDOW + 0xfff));
	EXPECT_TRUE(t1_usable(&info, 1UL << 20, (1UL << 27) - 1));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->buf, self->ps, MSI_WINDOW, T1_RW));

	migration = t1_cap(&info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	ASSERT_NE(NULL, migration);
	EXPECT_EQ(1, migration->header.version);
	EXPECT_EQ(0, migration->flags);
	EXPECT_EQ(self->ps, migration->pgsize_bitmap);
	EXPECT_EQ(1UL << 28, migration->max_dirty_bitmap_size);
}

/* Memory is pinned when it is mapped, and errors come then */
TEST_F(group, pins)
{
	int fd = self->container;
	__u64 size;
	pid_t pid;

	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
	if (self->pinned >= 0)
		EXPECT_EQ(self->pinned + (long)(SZ_2M / self->ps),
			  pages_pinned());
	EXPECT_EQ(-EFAULT, t1_map(fd, NULL, self->ps, 0, T1_RW));
	EXPECT_EQ(0, t1_unmap(fd, SZ_2M, SZ_2M));
	EXPECT_EQ(self->pinned, pages_pinned());

	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(SZ_2M));
		CHILD_CHECK(!t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
		CHILD_CHECK(t1_map(fd, self->buf + SZ_2M, self->ps, 0, T1_RW) ==
			    -ENOMEM);
		CHILD_CHECK(!t1_unmap(fd, SZ_2M, SZ_2M));
		CHILD_CHECK(!t1_map(fd, self->buf + SZ_2M, self->ps, 0, T1_RW));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, t1_unmap_all(fd, &size));
}

/* A container that lost its last group is as new */
TEST_F(group, forgets)
{
	int fd = self->container;
	struct t1_info info;

	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(self->pinned, pages_pinned());
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));

	ASSERT_EQ(0, group_set_container(self->group, fd));
	EXPECT_EQ(-EINVAL, t1_get_info(fd, &info));
	ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
	EXPECT_EQ(-EINVAL, t1_unmap(fd, SZ_2M, self->ps));
}

static int open_device(struct __test_metadata *_metadata,
		       struct _test_data_group *self, unsigned long type)
{
	ASSERT_EQ(0, t1_set_iommu(self->container, type));
	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, edu_start(self->dev, &self->bar));
	return 0;
}

/* Fill the device's memory from @src and write it to @iova */
static int dma_write(struct _test_data_group *self, __u64 src, __u64 iova)
{
	int rc = edu_from_mem(self->bar, src, 0, 64);

	return rc ? rc : edu_to_mem(self->bar, iova, 0, 64);
}

/* The second of them is stopped */
static int dma_stopped(struct _test_data_group *self, __u64 src, __u64 iova)
{
	return DMA_FAULTS_OF(self->bdf, dma_write(self, src, iova));
}

TEST_F(group, dma)
{
	char *src = self->buf, *dst = self->buf + SZ_2M;
	int fd = self->container;

	/* Some before the device is there, some after */
	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_map(fd, src, SZ_2M, SZ_2M, T1_RO));
	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(-EBUSY, group_unset_container(self->group));
	ASSERT_EQ(0, edu_start(self->dev, &self->bar));
	ASSERT_EQ(0, t1_map(fd, dst, SZ_2M, 2 * SZ_2M, T1_RW));

	memset(src, 0x31, SZ_2M);
	memset(dst, 0x32, SZ_2M);
	ASSERT_EQ(0, dma_write(self, SZ_2M + 4096, 2 * SZ_2M + 8192));
	EXPECT_EQ(0, memcmp(src, dst + 8192, 64));
	EXPECT_EQ(0x32, dst[8192 + 64]);
	/* A read-only mapping is not written */
	memset(dst, 0x33, SZ_2M);
	ASSERT_EQ(0, dma_stopped(self, 2 * SZ_2M, SZ_2M));
	EXPECT_EQ(0x31, src[0]);
	/* Nor is what is unmapped */
	EXPECT_EQ(0, t1_unmap(fd, 2 * SZ_2M, SZ_2M));
	ASSERT_EQ(0, dma_stopped(self, SZ_2M, 2 * SZ_2M));
	EXPECT_EQ(0x33, dst[0]);
}

/* Parts of a huge page go, and the rest stays where it is */
TEST_F(group, dma_around_cut)
{
	char *dst = self->buf + SZ_2M;
	int fd = self->container;
	size_t i;

	if (variant->type != VFIO_TYPE1_IOMMU)
		SKIP(return, "only the first version can do that");
	open_device(_metadata, self, variant->type);
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RO));
	ASSERT_EQ(0, t1_map(fd, dst, SZ_2M, 2 * SZ_2M, T1_RW));
	memset(self->buf, 0x41, SZ_2M);
	memset(dst, 0x42, SZ_2M);

	ASSERT_EQ(0, t1_unmap(fd, 2 * SZ_2M + (1UL << 20), 2 * self->ps));
	for (i = 0; i != 4; i++) {
		size_t at = (1UL << 20) - self->ps + i * self->ps;

		bool mapped = i == 0 || i == 3;

		ASSERT_EQ(0, (mapped ? dma_write : dma_stopped)(self, SZ_2M,
								2 * SZ_2M + at));
		EXPECT_EQ(mapped ? 0x41 : 0x42, dst[at]) {
			TH_LOG("page %zu", i);
		}
	}
	ASSERT_EQ(0, dma_write(self, SZ_2M, 2 * SZ_2M));
	EXPECT_EQ(0x41, dst[0]);
	ASSERT_EQ(0, dma_write(self, SZ_2M, 3 * SZ_2M - self->ps));
	EXPECT_EQ(0x41, dst[SZ_2M - self->ps]);
}

/* Whatever the device wrote to is in the bitmap, each time */
TEST_F(group, dma_dirty)
{
	unsigned char bitmap[SZ_2M / 4096 / 8] = {};
	char *dst = self->buf + SZ_2M;
	int fd = self->container;
	unsigned int round;

	if (variant->type == VFIO_TYPE1_IOMMU)
		SKIP(return, "only the second version can do that");
	open_device(_metadata, self, variant->type);
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RO));
	ASSERT_EQ(0, t1_map(fd, dst, SZ_2M, 2 * SZ_2M, T1_RW));
	ASSERT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	for (round = 0; round != 3; round++) {
		unsigned int page = 7 + 50 * round;

		memset(self->buf, 0x51 + round, 64);
		ASSERT_EQ(0, dma_write(self, SZ_2M,
				       2 * SZ_2M + page * self->ps));
		ASSERT_EQ(0x51 + round, dst[page * self->ps]);
		memset(bitmap, 0, sizeof(bitmap));
		ASSERT_EQ(0, t1_dirty_bitmap(fd, 2 * SZ_2M, SZ_2M, self->ps,
					     bitmap, sizeof(bitmap)));
		EXPECT_TRUE(bit_is_set(bitmap, page));
	}
	EXPECT_EQ(0, t1_dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
}

/* The container can be an iommufd, closed in any order, and be left alone */
TEST_F(group, left_open)
{
	int fd = self->container;

	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	close(self->container);
	self->container = -1;
	close(self->group);
	self->group = -1;
	if (self->pinned >= 0)
		EXPECT_LT(self->pinned, pages_pinned());
}

/* How many ranges of IOVA can be used */
static __u32 num_ranges(int fd, __u32 ioas)
{
	__u32 num = 0;

	ioas_iova_ranges(fd, ioas, NULL, &num, NULL);
	return num;
}

/* What the group brings along goes when memory cannot be pinned for it */
TEST_F(group, refused)
{
	int fd = iommufd_open();
	__u32 ioas, before;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, group_unset_container(self->group));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &ioas));
	ASSERT_EQ(0, ioas_map_at(fd, ioas, self->buf, SZ_2M, SZ_2M));
	ASSERT_EQ(0, munmap(self->buf, SZ_2M));
	before = num_ranges(fd, ioas);
	ASSERT_EQ(0, group_set_container(self->group, fd));
	EXPECT_EQ(-EFAULT, t1_set_iommu(fd, variant->type));
	EXPECT_EQ(before, num_ranges(fd, ioas));
	/* and comes when it can */
	ASSERT_EQ(0, ioas_unmap(fd, ioas, SZ_2M, SZ_2M));
	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	EXPECT_LT(before, num_ranges(fd, ioas));
	close(fd);
}

/* A failing allocation at every step leaves nothing of the group behind */
TEST_F(group, fail_set_iommu)
{
	int fd = iommufd_open(), rc;
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 ioas, before;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, group_unset_container(self->group));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &ioas));
	before = num_ranges(fd, ioas);
	while (fail_nth_next(&nth)) {
		ASSERT_EQ(0, group_set_container(self->group, fd));
		rc = fail_nth_run(&nth, t1_set_iommu(fd, variant->type));
		EXPECT_FAIL_NTH(&nth, rc);
		if (rc)
			EXPECT_EQ(before, num_ranges(fd, ioas)) {
				TH_LOG("round %u", nth.n);
			}
		ASSERT_EQ(0, group_unset_container(self->group));
	}
	EXPECT_SWEPT(&nth);
	close(fd);
}

TEST_F(group, iommufd_as_container)
{
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, group_unset_container(self->group));
	ASSERT_EQ(0, group_set_container(self->group, fd));
	ASSERT_EQ(0, t1_set_iommu(fd, variant->type));
	ASSERT_EQ(0, t1_map(fd, self->buf, SZ_2M, SZ_2M, T1_RW));
	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	close(fd);
}

TEST_HARNESS_MAIN
