// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: page tables that are allocated explicitly, hardware
 * info, mappings of a dma-buf, and dirty tracking.
 */
#include "iommufd_mock.h"

/* Page tables of one's own */

TEST_F(iommu, hwpt_alloc)
{
	struct mock_device *dev = &self->dev[0];
	__u32 plain, parent, hwpt;
	struct mock_device extra;

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, self->ioas, 0, &plain));
	/* Filled at once, and pinned no more than before */
	EXPECT_EQ(0, mock_check_map(self->fd, plain, BASE, self->size,
				    self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));

	ASSERT_EQ(0, mock_replace(self->fd, dev, plain));
	EXPECT_EQ(plain, dev->hwpt);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, plain));
	ASSERT_EQ(0, mock_replace(self->fd, dev, parent));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, parent));
	ASSERT_EQ(0, mock_attach(self->fd, plain, &extra));
	EXPECT_EQ(plain, extra.hwpt);
	/* A change reaches all tables */
	ASSERT_EQ(0, MAP_AT(self->buf, self->ps, BASE + self->size));
	EXPECT_EQ(0, mock_check_map(self->fd, parent, BASE + self->size,
				    self->ps, self->buf));
	EXPECT_EQ(0, mock_check_map(self->fd, plain, BASE + self->size,
				    self->ps, self->buf));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_NE(0, mock_check_map(self->fd, parent, BASE, self->size,
				    self->buf));
	EXPECT_NE(0, mock_check_map(self->fd, plain, BASE, self->size,
				    self->buf));

	ASSERT_EQ(0, mock_detach(self->fd, &extra));
	ASSERT_EQ(0, mock_replace(self->fd, dev, self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, plain));
	EXPECT_EQ(0, obj_destroy(self->fd, parent));

	/* A table alone keeps its IOAS */
	ASSERT_EQ(0, ioas_alloc(self->fd, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, hwpt, 0, &plain));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, plain));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
}

TEST_F(iommu, hwpt_alloc_bad)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->dev[0].idev,
		.pt_id = self->ioas,
	};
	__u32 hwpt, idev = self->dev[0].idev;
	unsigned int bit;

	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, 0, self->ioas, 0, &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, self->ioas, self->ioas, 0,
				      &hwpt));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, idev, 0, 0, &hwpt));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, idev, idev, 0, &hwpt));
	for (bit = 4; bit != 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, idev, self->ioas,
						  1U << bit, &hwpt));
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.__reserved = 0;
	cmd.data_len = 8;
	cmd.data_uptr = (uintptr_t)self->buf;
	EXPECT_EQ(-EINVAL, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.data_len = 0;
	cmd.data_type = 0x12345678;
	EXPECT_EQ(-EINVAL, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	/* nobody looks at these */
	cmd.data_type = IOMMU_HWPT_DATA_NONE;
	cmd.__reserved2 = 1;
	ASSERT_EQ(0, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(0, obj_destroy(self->fd, cmd.out_hwpt_id));
	cmd.data_len = 8;

	/* The IOMMU driver does not know such data; the IOAS is let go of */
	ASSERT_EQ(0, ioas_alloc(self->fd, &cmd.pt_id));
	cmd.data_type = 0x12345678;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(0, obj_destroy(self->fd, cmd.pt_id));
}

TEST_F(iommu, hwpt_alloc_bad_memory)
{
	char *mem = mem_shared(self->size);
	__u32 ioas, hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, mem, self->size, BASE));
	ASSERT_EQ(0, munmap(mem, self->size));
	EXPECT_EQ(-EFAULT, hwpt_alloc(self->fd, self->dev[0].idev, ioas, 0,
				      &hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(iommu, get_hw_info)
{
	struct iommu_test_hw_info info;
	struct iommu_hw_info cmd;
	struct {
		struct iommu_test_hw_info info;
		__u64 behind;
	} more;

	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, NULL, 0, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
	EXPECT_EQ(sizeof(info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING |
		  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &info,
				 sizeof(info), &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, info.test_reg);

	/* More room is zeroed, less gets what fits */
	memset(&more, 0xff, sizeof(more));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &more,
				 sizeof(more), &cmd));
	EXPECT_EQ(sizeof(info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, more.info.test_reg);
	EXPECT_EQ(0, more.behind);
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &info, 4, &cmd));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(UINT32_MAX, info.test_reg);

	EXPECT_EQ(-EFAULT, get_hw_info(self->fd, self->dev[0].idev,
				       (void *)8, sizeof(info), &cmd));
	EXPECT_EQ(-ENOENT, get_hw_info(self->fd, self->ioas, NULL, 0, &cmd));
	cmd = (struct iommu_hw_info){
		.size = sizeof(cmd),
		.flags = 1U << 31,
		.dev_id = self->dev[0].idev,
	};
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_GET_HW_INFO, &cmd));
}

/* A mapping of a dma-buf keeps it, as a device's writes show */
TEST_F(iommu, dmabuf)
{
	const size_t size = 16 * MOCK_PAGE;
	const __u64 all = 0xffff;
	int buf, copy;
	__u64 count;
	__u32 hwpt;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	buf = mock_dmabuf_get(self->fd, size, O_CLOEXEC);
	ASSERT_LE(0, buf);
	copy = dup(buf);
	ASSERT_LE(0, copy);
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, buf, size,
					    size, BASE));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, buf, 0, size,
				      BASE));
	ASSERT_EQ(0, close(buf));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(16, count);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, copy, true));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(0, count);
	/* Nor does what is mapped while it is away lead anywhere, until then */
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + size, self->ioas,
				  BASE, size));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE + size, size,
				     MOCK_PAGE, &all, &count));
	EXPECT_EQ(0, count);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, copy, false));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE + size, size,
				     MOCK_PAGE, &all, &count));
	EXPECT_EQ(16, count);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + size, size));
	/* nobody pays for it */
	EXPECT_EQ(0, change_process(self->fd));

	/* nobody has it open now */
	ASSERT_EQ(0, close(copy));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(16, count);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, size));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(0, count);
}

/* Dirty tracking */

TEST_F(iommu, dirty)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE, words = size / pg / 64;
	char *mem = mem_shared(size);
	__u64 mark[words], got[words], count;
	struct mock_device dev;
	unsigned int i;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, mock_attach(self->fd, hwpt, &dev));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));

	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	for (i = 0; i != words; i++)
		EXPECT_EQ(0, got[i]);

	for (i = 0; i != words; i++)
		mark[i] = 0x8000000100010011ULL << i % 3;
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));
	EXPECT_LT(0, count);
	/* Twice without forgetting, then once more, and it is forgotten */
	for (i = 0; i != 3; i++) {
		memset(got, 0, sizeof(got));
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					      got, i == 2 ? 0 :
					      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
		EXPECT_EQ(0, memcmp(got, mark, sizeof(got)));
	}
	/* It sets bits and clears none */
	memset(got, 0, sizeof(got));
	got[0] = 0x4000;
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	EXPECT_EQ(0x4000, got[0]);
	for (i = 1; i != words; i++)
		EXPECT_EQ(0, got[i]);

	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, false));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
}

TEST_F(iommu, dirty_part)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE;
	char *mem = mem_shared(size);
	__u64 mark[8], got[8] = {}, count;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	memset(mark, 0xff, sizeof(mark));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));

	/* A range in the middle: bit 0 is its first page */
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE + 10 * pg, 3 * pg,
				      pg, got, 0));
	EXPECT_EQ(7, got[0]);
	/* Those three are clean now, the rest is not */
	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, 64 * pg, pg, got,
				      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	EXPECT_EQ(~(7ULL << 10), got[0]);
	/* Coarser: a bit for every 16 pages */
	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, 64 * pg, 16 * pg,
				      got, 0));
	EXPECT_EQ(0xf, got[0]);
	EXPECT_EQ(0, got[1]);
}

TEST_F(iommu, dirty_bad)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE;
	struct mock_device dev;
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set) };
	__u64 got[8];
	__u32 hwpt, plain;
	char *mem = mem_shared(size);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas, 0,
				&plain));
	/* A table that is not for it */
	EXPECT_EQ(-EOPNOTSUPP, set_dirty_tracking(self->fd, plain, true));
	/* A device that cannot do it */
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, hwpt,
					     MOCK_FLAGS_DEVICE_NO_DIRTY, &dev));

	set.hwpt_id = hwpt;
	set.flags = 2;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
				    &set));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	EXPECT_EQ(-EOPNOTSUPP, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
						got, 2));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, 0, pg, got,
					    0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE + 1, size, pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size + 1, pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg / 2,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, 3 * pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, 0, got,
					    0));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					    NULL, 0));
	EXPECT_GT(0, get_dirty_bitmap(self->fd, hwpt, UINT64_MAX - pg + 1,
				      2 * pg, pg, got, 0));
	EXPECT_EQ(-ENOENT, get_dirty_bitmap(self->fd, self->ioas, BASE, size,
					    pg, got, 0));
}

TEST_F(iommu, dirty_bitmap_ends_early)
{
	const size_t size = 16 << 20;
	size_t pg = MOCK_PAGE, bytes = size / pg / 8;
	char *mem = mem_shared(size), *mark, *got;
	__u64 count;
	__u32 hwpt;

	/* The bitmap has a hole half way: no bit may be lost by that */
	ASSERT_NE(MAP_FAILED, mem);
	mark = malloc(bytes);
	ASSERT_NE(NULL, mark);
	memset(mark, 0xff, bytes);
	got = mem_before_hole(bytes / 2);
	ASSERT_NE(MAP_FAILED, got);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got,
					    IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	got = malloc(bytes);
	ASSERT_NE(NULL, got);
	memset(got, 0, bytes);
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	EXPECT_EQ(0, memcmp(got, mark, bytes));
}

TEST_F(iommu, dirty_bitmap_not_aligned)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE, bytes = size / pg / 8, skew;
	char *mem = mem_shared(size), *mark, *got;
	__u64 count;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	mark = malloc(bytes);
	got = malloc(bytes + 16);
	ASSERT_TRUE(mark && got);
	memset(mark, 0x35, bytes);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	for (skew = 1; skew != 8; skew++) {
		ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg,
					     mark, &count));
		memset(got, 0, bytes + 16);
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					      got + skew, 0));
		EXPECT_EQ(0, memcmp(got + skew, mark, bytes));
		/* And nothing beside it */
		EXPECT_EQ(0, got[skew - 1]);
		EXPECT_EQ(0, got[skew + bytes]);
	}
}

TEST_F(iommu, dirty_not_supported)
{
	struct mock_device dev;
	__u32 ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, ioas,
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &dev));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, dev.idev, ioas,
					  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					  &hwpt));
}

TEST_HARNESS_MAIN
