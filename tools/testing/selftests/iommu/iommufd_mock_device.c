// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu with mock devices that are not as simple as others: they have
 * reserved ranges, share a group, want coherency enforced, or cannot be attached
 * to a certain page table.
 */
#include "kselftest_harness.h"
#include "../lib/mock.h"

#define NO_DIRTY	MOCK_FLAGS_DEVICE_NO_DIRTY
#define BUF_PAGES	16
/* Away from the reserved ranges */
#define BASE		(MOCK_APERTURE_START + (16UL << 20))

FIXTURE(device)
{
	int fd;
	size_t size;
	char *buf;
	long pinned;
	/* another IOAS, with a device that tracks dirty pages and its hwpt */
	__u32 ioas, other;
	struct mock_device plain;
	__u32 dirty_hwpt;
};

FIXTURE_SETUP(device)
{
	struct mock_device dev;
	int rc;

	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	self->size = BUF_PAGES * page_size();
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, mock_attach(self->fd, self->other, &self->plain));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->plain.idev, self->other,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				&self->dirty_hwpt));
	rc = mock_attach_flags(self->fd, self->ioas, MOCK_DEVICE_GROUPED |
			       MOCK_DEVICE_COHERENT | MOCK_DEVICE_RESERVES,
			       &dev);
	if (rc == -EOPNOTSUPP)
		SKIP(return, "the mock driver of this kernel has only simple devices");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
}

FIXTURE_TEARDOWN(device)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define ATTACH(pt, flags, dev) mock_attach_flags(self->fd, pt, flags, dev)

/* How many of the two ranges are reserved in an IOAS; or a negative errno */
static int num_reserved(int fd, __u32 ioas)
{
	struct iommu_iova_range ranges[8];
	__u32 num = ARRAY_SIZE(ranges);
	__u32 i, found = 0;
	int rc;

	rc = ioas_iova_ranges(fd, ioas, ranges, &num, NULL);
	if (rc)
		return rc;
	for (i = 0; i + 1 < num; i++) {
		if (ranges[i].last == MOCK_RESERVED_FIRST - 1)
			found++;
		if (ranges[i].last == MOCK_RESERVED_SECOND - 1)
			found++;
		if (ranges[i + 1].start - ranges[i].last - 1 !=
		    MOCK_RESERVED_LENGTH)
			return -EIO;
	}
	return found;
}

#define RESERVED(ioas) num_reserved(self->fd, ioas)

TEST_F(device, reserves)
{
	struct mock_device dev, twin;

	EXPECT_EQ(0, RESERVED(self->other));
	ASSERT_EQ(0, ATTACH(self->other, MOCK_DEVICE_RESERVES, &dev));
	EXPECT_EQ(2, RESERVED(self->other));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, self->other, self->buf,
				       self->size, MOCK_RESERVED_SECOND));
	/* As long as one of the devices is there that reserve it */
	ASSERT_EQ(0, ATTACH(self->other, MOCK_DEVICE_RESERVES, &twin));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(2, RESERVED(self->other));
	ASSERT_EQ(0, mock_detach(self->fd, &twin));
	EXPECT_EQ(0, RESERVED(self->other));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->other, self->buf, self->size,
				 MOCK_RESERVED_SECOND));
}

TEST_F(device, reserved_range_is_mapped)
{
	struct mock_device dev;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->other, self->buf, self->size,
				 MOCK_RESERVED_SECOND));
	EXPECT_EQ(-EADDRINUSE, ATTACH(self->other, MOCK_DEVICE_RESERVES, &dev));
	EXPECT_EQ(0, RESERVED(self->other));
	/* Nor can a device come from somewhere else */
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_RESERVES, &dev));
	EXPECT_EQ(-EADDRINUSE, mock_replace(self->fd, &dev, self->other));
	EXPECT_EQ(0, RESERVED(self->other));
	EXPECT_EQ(2, RESERVED(self->ioas));
}

/* The IOMMU driver refuses what iommufd has already prepared. */
TEST_F(device, attach_fails)
{
	struct mock_device dev;

	EXPECT_EQ(-EINVAL, ATTACH(self->dirty_hwpt,
				  NO_DIRTY | MOCK_DEVICE_RESERVES, &dev));
	EXPECT_EQ(0, RESERVED(self->other));
	/* Nor does the failed attach hold the table */
	EXPECT_EQ(0, obj_destroy(self->fd, self->dirty_hwpt));
	/* The same device is welcome where it fits */
	ASSERT_EQ(0, ATTACH(self->other, NO_DIRTY | MOCK_DEVICE_RESERVES,
			    &dev));
	EXPECT_EQ(2, RESERVED(self->other));
}

TEST_F(device, replace_fails)
{
	struct mock_device dev;
	__u32 hwpt;

	ASSERT_EQ(0, ATTACH(self->ioas, NO_DIRTY | MOCK_DEVICE_RESERVES, &dev));
	hwpt = dev.hwpt;
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &dev, self->dirty_hwpt));
	EXPECT_EQ(hwpt, dev.hwpt);
	EXPECT_EQ(0, RESERVED(self->other));
	EXPECT_EQ(2, RESERVED(self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, self->dirty_hwpt));

	ASSERT_EQ(0, mock_replace(self->fd, &dev, self->other));
	EXPECT_EQ(2, RESERVED(self->other));
	EXPECT_EQ(0, RESERVED(self->ioas));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, RESERVED(self->other));
}

TEST_F(device, group)
{
	struct mock_device first, second, third;
	__u32 old;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->other, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &first));
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &second));
	EXPECT_EQ(first.hwpt, second.hwpt);
	old = first.hwpt;
	/* All or none */
	EXPECT_EQ(-EINVAL, ATTACH(self->other, MOCK_DEVICE_GROUPED, &third));
	/* One takes the others along */
	ASSERT_EQ(0, mock_replace(self->fd, &first, self->other));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, old));
	EXPECT_EQ(-EINVAL, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &third));
	ASSERT_EQ(0, mock_detach(self->fd, &first));
	EXPECT_EQ(-EINVAL, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &third));
	EXPECT_EQ(0, mock_check_map(self->fd, self->plain.hwpt, BASE,
				    self->size, self->buf));
	ASSERT_EQ(0, mock_detach(self->fd, &second));
	/* With the last one the group is free */
	EXPECT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &third));
}

TEST_F(device, group_of_another)
{
	struct mock_device dev, theirs;
	__u32 ioas;
	int fd;

	fd = iommufd_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_GROUPED, &dev));
	EXPECT_EQ(-EPERM, mock_attach_flags(fd, ioas, MOCK_DEVICE_GROUPED,
					    &theirs));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, mock_attach_flags(fd, ioas, MOCK_DEVICE_GROUPED, &theirs));
	EXPECT_EQ(0, close(fd));
}

/* The ranges of the first are reserved when the step for the second fails. */
TEST_F(device, group_replace_fails)
{
	struct mock_device first, second;

	ASSERT_EQ(0, ATTACH(self->ioas,
			    MOCK_DEVICE_GROUPED | MOCK_DEVICE_RESERVES,
			    &first));
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_GROUPED | NO_DIRTY |
			    MOCK_DEVICE_RESERVES, &second));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &first, self->dirty_hwpt));
	EXPECT_EQ(0, RESERVED(self->other));
	EXPECT_EQ(2, RESERVED(self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, self->dirty_hwpt));

	/* Both of them hold it */
	ASSERT_EQ(0, mock_detach(self->fd, &first));
	EXPECT_EQ(2, RESERVED(self->ioas));
	ASSERT_EQ(0, mock_detach(self->fd, &second));
	EXPECT_EQ(0, RESERVED(self->ioas));
}

TEST_F(device, coherency)
{
	struct mock_device plain, first, second;
	__u32 hwpt;

	/* A table that holds something cannot be changed any more */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->other, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, ATTACH(self->other, MOCK_DEVICE_COHERENT, &first));
	EXPECT_NE(self->plain.hwpt, first.hwpt);
	EXPECT_EQ(0, mock_check_map(self->fd, first.hwpt, BASE, self->size,
				    self->buf));
	ASSERT_EQ(0, ATTACH(self->other, MOCK_DEVICE_COHERENT, &second));
	EXPECT_EQ(first.hwpt, second.hwpt);
	ASSERT_EQ(0, mock_detach(self->fd, &second));
	EXPECT_EQ(-EINVAL, ATTACH(self->plain.hwpt, MOCK_DEVICE_COHERENT,
				  &second));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &first, self->dirty_hwpt));
	EXPECT_EQ(0, mock_check_map(self->fd, first.hwpt, BASE, self->size,
				    self->buf));

	/* An empty one can */
	ASSERT_EQ(0, ATTACH(self->ioas, 0, &plain));
	ASSERT_EQ(0, ATTACH(self->ioas, MOCK_DEVICE_COHERENT, &second));
	EXPECT_EQ(plain.hwpt, second.hwpt);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	/* It is for devices that do not ask for it, too */
	hwpt = second.hwpt;
	ASSERT_EQ(0, mock_detach(self->fd, &plain));
	ASSERT_EQ(0, ATTACH(self->ioas, 0, &plain));
	EXPECT_EQ(hwpt, plain.hwpt);
}

TEST_HARNESS_MAIN
