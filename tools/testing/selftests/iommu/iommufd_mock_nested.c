// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: page tables that the user owns, nested in another one,
 * and the invalidation of their caches.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "iommufd_mock.h"

#define TYPE		IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define IOTLB		0x1234
#define MAX_ENTRIES	(1U << 19)
/* Nobody gives such an id */
#define NO_ID		0x7ffffffe

FIXTURE(nested)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	__u32 parent;
	__u32 hwpt;
	size_t ps;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_SETUP(nested)
{
	self->ps = page_size();
	self->size = 16 * self->ps;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB, &self->hwpt));
}

FIXTURE_TEARDOWN(nested)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* Were these the last words of a refusal? */
static bool refused(int fd, const char *what)
{
	char text[256];

	return !fdinfo_get(fd, "last-refusal", text, sizeof(text)) &&
	       strstr(text, what);
}

#define ALLOC(pt, flags, type, data, len)				\
	({								\
		__u32 __hwpt;						\
									\
		hwpt_alloc_nested(self->fd, self->dev.idev, pt, flags,	\
				  type, data, len, &__hwpt);		\
	})

TEST_F(nested, alloc)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOTLB };
	struct mock_device plain;
	__u32 second, i;

	/* Several in one parent, each with an IOTLB of its own */
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB + 1, &second));
	EXPECT_NE(self->hwpt, second);
	for (i = 0; i != MOCK_NESTED_DOMAIN_IOTLB_NUM; i++) {
		EXPECT_EQ(0, mock_check_iotlb(self->fd, self->hwpt, i, IOTLB));
		EXPECT_EQ(0, mock_check_iotlb(self->fd, second, i, IOTLB + 1));
	}
	/* The check can fail */
	EXPECT_EQ(-EINVAL, mock_check_iotlb(self->fd, second, 0, IOTLB));
	EXPECT_EQ(-EINVAL, mock_check_iotlb(self->fd, second, i, IOTLB + 1));
	EXPECT_EQ(-ENOENT, mock_check_iotlb(self->fd, self->parent, 0, IOTLB));
	/* As short as the first published struct */
	EXPECT_EQ(0, ALLOC(self->parent, 0, IOMMU_HWPT_DATA_SELFTEST, &data,
			   sizeof(data.iotlb)));
	/* By another device of the IOMMU driver */
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->ioas,
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	EXPECT_EQ(0, mock_nested_alloc(self->fd, plain.idev, self->parent,
				       IOTLB, &second));
}

TEST_F(nested, alloc_bad_parent)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOTLB };
	const __u32 type = IOMMU_HWPT_DATA_SELFTEST;
	__u32 plain, none;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&plain));
	EXPECT_EQ(-EINVAL, ALLOC(plain, 0, type, &data, sizeof(data)));
	EXPECT_TRUE(refused(self->fd, "was not allocated to be a nest parent"));
	EXPECT_EQ(-EINVAL, ALLOC(self->dev.hwpt, 0, type, &data, sizeof(data)));
	EXPECT_EQ(-EINVAL, ALLOC(self->hwpt, 0, type, &data, sizeof(data)));
	EXPECT_TRUE(refused(self->fd, "is nested itself"));
	EXPECT_EQ(-EINVAL, ALLOC(self->dev.idev, 0, type, &data,
				 sizeof(data)));
	EXPECT_EQ(-EINVAL, ALLOC(self->dev.stdev, 0, type, &data,
				 sizeof(data)));
	EXPECT_EQ(-EINVAL, ALLOC(NO_ID, 0, type, &data, sizeof(data)));
	EXPECT_EQ(-ENOENT, mock_nested_alloc(self->fd, NO_ID, self->parent,
					     IOTLB, &none));
	EXPECT_EQ(-ENOENT, mock_nested_alloc(self->fd, self->parent,
					     self->parent, IOTLB, &none));
}

TEST_F(nested, alloc_bad_flags)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOTLB };
	const __u32 type = IOMMU_HWPT_DATA_SELFTEST;
	unsigned int bit;

	EXPECT_EQ(-EOPNOTSUPP, ALLOC(self->parent, IOMMU_HWPT_ALLOC_NEST_PARENT,
				     type, &data, sizeof(data)));
	EXPECT_TRUE(refused(self->fd, "are not for a nested page table"));
	EXPECT_EQ(-EOPNOTSUPP, ALLOC(self->parent,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, type,
				     &data, sizeof(data)));
	for (bit = 4; bit != 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, ALLOC(self->parent, 1U << bit, type,
					     &data, sizeof(data)));
}

TEST_F(nested, alloc_bad_data)
{
	const __u32 type = IOMMU_HWPT_DATA_SELFTEST;
	struct {
		struct iommu_hwpt_selftest data;
		char behind[56];
	} big = { .data = { .iotlb = IOTLB } };

	EXPECT_EQ(-EOPNOTSUPP, ALLOC(self->parent, 0, IOMMU_HWPT_DATA_NONE,
				     NULL, 0));
	EXPECT_TRUE(refused(self->fd, "needs data for the IOMMU driver"));
	EXPECT_EQ(-EINVAL, ALLOC(self->parent, 0, IOMMU_HWPT_DATA_NONE, &big,
				 sizeof(big.data)));
	EXPECT_EQ(-EINVAL, ALLOC(self->parent, 0, type, &big, 0));
	EXPECT_EQ(-EOPNOTSUPP, ALLOC(self->parent, 0, type + 1, &big,
				     sizeof(big.data)));
	EXPECT_TRUE(refused(self->fd, "data of type 0xdeae"));
	EXPECT_EQ(-EINVAL, ALLOC(self->parent, 0, type, &big,
				 sizeof(big.data.iotlb) - 1));
	/* Longer than what the driver knows, whatever there is */
	EXPECT_EQ(-EINVAL, ALLOC(self->parent, 0, type, &big, sizeof(big)));
	big.behind[55] = 1;
	EXPECT_EQ(-EINVAL, ALLOC(self->parent, 0, type, &big, sizeof(big)));
	EXPECT_EQ(-EFAULT, ALLOC(self->parent, 0, type, NULL,
				 sizeof(big.data)));
	EXPECT_EQ(-EFAULT, ALLOC(self->parent, 0, type, (void *)0x1000,
				 sizeof(big.data)));
	/* None of them has left anything behind */
	EXPECT_EQ(0, obj_destroy(self->fd, self->hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

TEST_F(nested, holds)
{
	__u32 second;

	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB, &second));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->parent));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, second));
	EXPECT_EQ(second, self->dev.hwpt);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, second));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->ioas));
	ASSERT_EQ(0, obj_destroy(self->fd, self->hwpt));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->parent));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->parent));
	ASSERT_EQ(0, obj_destroy(self->fd, second));
	ASSERT_EQ(0, obj_destroy(self->fd, self->parent));
	ASSERT_EQ(0, obj_destroy(self->fd, self->ioas));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(nested, attach)
{
	struct mock_device extra;
	__u32 second;

	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB, &second));
	/* A new device, and from and to each kind; what is mapped goes on */
	ASSERT_EQ(0, mock_attach(self->fd, self->hwpt, &extra));
	EXPECT_EQ(self->hwpt, extra.hwpt);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, second));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, second));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->parent));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, second));
	EXPECT_EQ(0, mock_check_map(self->fd, self->parent, BASE, self->size,
				    self->buf));
	/* The automatic hwpt went with its last device: pinned by the parent */
	EXPECT_EQ(0, mock_check_refs(self->fd, self->buf, self->size, 1));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->size,
				    self->buf));
	EXPECT_EQ(0, obj_destroy(self->fd, second));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->hwpt));
	ASSERT_EQ(0, mock_detach(self->fd, &extra));
	EXPECT_EQ(0, obj_destroy(self->fd, self->hwpt));
}

/* It has IOVA of its own, where what the parent maps would hide it */
TEST_F(nested, reserved)
{
	struct mock_device dev;
	__u32 ioas, parent, hwpt;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 MOCK_RESERVED_FIRST));
	EXPECT_EQ(-EADDRINUSE, mock_attach_flags(self->fd, self->hwpt,
						 MOCK_DEVICE_RESERVES, &dev));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, MOCK_RESERVED_FIRST,
				self->ps));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->hwpt,
				       MOCK_DEVICE_RESERVES, &dev));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
				       self->ps, MOCK_RESERVED_FIRST));

	/* They go along to the address space of another parent */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, dev.idev, parent, IOTLB,
				       &hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->ps,
				 MOCK_RESERVED_SECOND));
	EXPECT_EQ(-EADDRINUSE, mock_replace(self->fd, &dev, hwpt));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
				       self->ps, MOCK_RESERVED_FIRST));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->ps,
				 MOCK_RESERVED_FIRST));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, 0, UINT64_MAX));
	ASSERT_EQ(0, mock_replace(self->fd, &dev, hwpt));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, ioas, self->buf, self->ps,
				       MOCK_RESERVED_FIRST));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 MOCK_RESERVED_FIRST));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->ps,
				 MOCK_RESERVED_FIRST));
}

/* The driver refuses one of the two stages: everything is as it was */
TEST_F(nested, attach_refused)
{
	struct mock_device plain, none;
	__u32 parent, hwpt;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT |
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, parent, IOTLB,
				       &hwpt));
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, hwpt,
					     MOCK_FLAGS_DEVICE_NO_DIRTY,
					     &none));
	EXPECT_TRUE(refused(self->fd, "refuses hwpt"));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->hwpt,
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &plain, hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, parent));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &plain, self->parent));
	EXPECT_EQ(0, obj_destroy(self->fd, self->hwpt));
}

/* What the device asks of cache coherency it asks of the parent */
TEST_F(nested, coherency)
{
	struct mock_device dev;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, self->hwpt,
					     MOCK_DEVICE_COHERENT, &dev));
	EXPECT_TRUE(refused(self->fd, "does not enforce cache coherency"));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->size));
	EXPECT_EQ(0, mock_attach_flags(self->fd, self->hwpt,
				       MOCK_DEVICE_COHERENT, &dev));
}

/* A group has one hwpt, of whatever kind, and moves as a whole */
TEST_F(nested, group)
{
	struct mock_device dev[2], none;
	__u32 second;

	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB, &second));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->hwpt,
				       MOCK_DEVICE_GROUPED, &dev[0]));
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, self->parent,
					     MOCK_DEVICE_GROUPED, &none));
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, second,
					     MOCK_DEVICE_GROUPED, &none));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->hwpt,
				       MOCK_DEVICE_GROUPED, &dev[1]));
	ASSERT_EQ(0, mock_replace(self->fd, &dev[0], second));
	EXPECT_EQ(0, obj_destroy(self->fd, self->hwpt));
	ASSERT_EQ(0, mock_detach(self->fd, &dev[0]));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, second));
	ASSERT_EQ(0, mock_detach(self->fd, &dev[1]));
	EXPECT_EQ(0, obj_destroy(self->fd, second));
}

TEST_F(nested, dirty)
{
	__u64 bitmap = 0, count;
	__u32 parent, hwpt;

	EXPECT_EQ(-ENOENT, set_dirty_tracking(self->fd, self->hwpt, true));
	EXPECT_EQ(-ENOENT, get_dirty_bitmap(self->fd, self->hwpt, BASE,
					    self->ps, self->ps, &bitmap, 0));
	/* It is the parent that is written to */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT |
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, parent, IOTLB,
				       &hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, parent, true));
	bitmap = 5;
	ASSERT_EQ(0, mock_make_dirty(self->fd, parent, BASE, self->size,
				     self->ps, &bitmap, &count));
	bitmap = 0;
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, parent, BASE, self->size,
				      self->ps, &bitmap, 0));
	EXPECT_EQ(5, bitmap);
}

/* Hardware whose nest parents need what they map to be writable */
TEST_F(nested, read_only)
{
	__u32 ioas, parent, none;
	struct mock_device dev;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, ioas, MOCK_DEVICE_NO_RO_NEST,
				       &dev));
	ASSERT_EQ(0, ioas_map_prot(self->fd, ioas, self->buf, self->size, BASE,
				   MAP_RO));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, dev.idev, ioas,
				      IOMMU_HWPT_ALLOC_NEST_PARENT, &none));
	EXPECT_TRUE(refused(self->fd, "a nest parent cannot have the read-only mapping"));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, BASE, self->size));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_EQ(-EINVAL, ioas_map_prot(self->fd, ioas, self->buf, self->size,
					 BASE, MAP_RO));
	EXPECT_TRUE(refused(self->fd, "a nest parent cannot have the read-only mapping"));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	/* The other driver does not mind */
	EXPECT_EQ(0, ioas_map_prot(self->fd, self->ioas, self->buf, self->size,
				   BASE, MAP_RO));
}

TEST_F(nested, fdinfo)
{
	char start[64], line[128], want[64];

	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->hwpt));
	snprintf(start, sizeof(start), "object:\t%u hwpt ", self->hwpt);
	snprintf(want, sizeof(want), "users=1 nested parent=%u", self->parent);
	ASSERT_EQ(0, fdinfo_line(self->fd, start, line, sizeof(line)));
	line[strcspn(line, "\n")] = 0;
	EXPECT_STREQ(want, line);
	/* The device counts as one of the address space */
	snprintf(start, sizeof(start), "ioas-%u-devices:\t", self->ioas);
	EXPECT_EQ(0, fdinfo_line(self->fd, start, line, sizeof(line)));
}

/* Invalidation */

#define INVALIDATE(id, type, entries, len, num, done)			\
	({								\
		__u32 __num = (num);					\
		int __rc = hwpt_invalidate(self->fd, id, type, entries,	\
					   len, &__num);		\
									\
		EXPECT_EQ(done, __num);					\
		__rc;							\
	})

static int check_iotlbs(int fd, __u32 hwpt, const __u32 *iotlb)
{
	int rc = 0;
	__u32 i;

	for (i = 0; !rc && i != MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		rc = mock_check_iotlb(fd, hwpt, i, iotlb[i]);
	return rc;
}

#define EXPECT_IOTLBS(...) \
	EXPECT_EQ(0, check_iotlbs(self->fd, self->hwpt, (__u32[]){ __VA_ARGS__ }))

TEST_F(nested, invalidate)
{
	struct iommu_hwpt_invalidate_selftest entry[3] = {
		{ .iotlb_id = 1 }, { .iotlb_id = 3 }, { .iotlb_id = 1 },
	};
	const size_t len = sizeof(entry[0]);
	__u32 other;

	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, self->parent,
				       IOTLB, &other));
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, entry, len, 1, 1));
	EXPECT_IOTLBS(IOTLB, 0, IOTLB, IOTLB);
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, entry, len, 3, 3));
	EXPECT_IOTLBS(IOTLB, 0, IOTLB, 0);
	entry[0].flags = IOMMU_TEST_INVALIDATE_FLAG_ALL;
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, entry, len, 1, 1));
	EXPECT_IOTLBS(0, 0, 0, 0);
	EXPECT_EQ(0, mock_check_iotlb(self->fd, other, 1, IOTLB));
	/* Attached or not */
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, other));
	EXPECT_EQ(0, INVALIDATE(other, TYPE, entry, len, 1, 1));
	EXPECT_EQ(0, mock_check_iotlb(self->fd, other, 1, 0));
}

/* Without an entry: does the driver know the type? */
TEST_F(nested, invalidate_probe)
{
	struct iommu_hwpt_invalidate_selftest entry = {};

	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, &entry, sizeof(entry), 0, 0));
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, NULL, 0, 0, 0));
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, NULL, 1U << 31, 0, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE + 1, &entry,
				      sizeof(entry), 0, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->parent, TYPE, NULL, 0, 0, 0));
	EXPECT_IOTLBS(IOTLB, IOTLB, IOTLB, IOTLB);
}

TEST_F(nested, invalidate_bad_object)
{
	struct iommu_hwpt_invalidate_selftest entry = {};
	const size_t len = sizeof(entry);

	EXPECT_EQ(-ENOENT, INVALIDATE(NO_ID, TYPE, &entry, len, 1, 0));
	EXPECT_EQ(-ENOENT, INVALIDATE(0, TYPE, &entry, len, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->ioas, TYPE, &entry, len, 1, 0));
	EXPECT_TRUE(refused(self->fd, "is not a nested page table"));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->dev.idev, TYPE, &entry, len, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->parent, TYPE, &entry, len, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->dev.hwpt, TYPE, &entry, len, 1, 0));
}

TEST_F(nested, invalidate_bad_array)
{
	struct iommu_hwpt_invalidate_selftest entry[512] = {};
	const size_t len = sizeof(entry[0]);
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = self->hwpt,
		.data_uptr = (uintptr_t)entry,
		.data_type = TYPE,
		.entry_len = len,
		.entry_num = 1,
		.__reserved = 1,
	};

	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, NULL, len, 1, 0));
	EXPECT_TRUE(refused(self->fd, "at most 524288 entries"));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, 0, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, self->ps + 1,
				      1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, UINT32_MAX, 1,
				      0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, len,
				      MAX_ENTRIES + 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, len,
				      UINT32_MAX, 0));
	/* What is left for the driver to judge */
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, len - 1, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, len + 1, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, self->ps, 1, 0));
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE + 1, entry, len, 1, 0));
	EXPECT_EQ(-EFAULT, INVALIDATE(self->hwpt, TYPE, (void *)0x1000, len, 1,
				      0));
	EXPECT_EQ(-EFAULT, INVALIDATE(self->hwpt, TYPE, (void *)0x1000, len,
				      MAX_ENTRIES, 0));
	EXPECT_IOTLBS(IOTLB, IOTLB, IOTLB, IOTLB);
	/* The answer cannot be given */
	EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_HWPT_INVALIDATE, (void *)8));
}

/* What was before the bad entry has been carried out, and nothing after it */
TEST_F(nested, invalidate_partly)
{
	struct iommu_hwpt_invalidate_selftest entry[4] = {
		{ .iotlb_id = 2 }, { .flags = 0x80000000, .iotlb_id = 1 },
		{ .iotlb_id = 0 },
	};
	const size_t len = sizeof(entry[0]);
	struct iommu_hwpt_invalidate_selftest *end;

	EXPECT_EQ(-EOPNOTSUPP, INVALIDATE(self->hwpt, TYPE, entry, len, 3, 1));
	EXPECT_IOTLBS(IOTLB, IOTLB, 0, IOTLB);
	entry[1].flags = 0;
	entry[1].iotlb_id = MOCK_NESTED_DOMAIN_IOTLB_ID_MAX + 1;
	EXPECT_EQ(-EINVAL, INVALIDATE(self->hwpt, TYPE, entry, len, 3, 1));
	EXPECT_IOTLBS(IOTLB, IOTLB, 0, IOTLB);
	/* The array ends with its mapping, after two of three entries */
	end = (void *)(self->buf + self->size - 2 * len);
	ASSERT_EQ(0, munmap(self->buf + self->size - self->ps, self->ps));
	end -= self->ps / len;
	end[0].iotlb_id = 1;
	end[1].iotlb_id = 3;
	EXPECT_EQ(-EFAULT, INVALIDATE(self->hwpt, TYPE, end, len, 3, 2));
	EXPECT_IOTLBS(IOTLB, 0, 0, 0);
}

/* Longer than what the driver is given at once; every entry counts */
TEST_F(nested, invalidate_many)
{
	const unsigned int bad[] = { 0, 1, 511, 512, 513, 1535, 1536, 100000 };
	struct iommu_hwpt_invalidate_selftest *entry;
	const size_t len = sizeof(*entry);
	unsigned int i;

	entry = calloc(MAX_ENTRIES, len);
	ASSERT_NE(NULL, entry);
	for (i = 0; i != ARRAY_SIZE(bad); i++) {
		entry[bad[i]].flags = 2;
		EXPECT_EQ(-EOPNOTSUPP, INVALIDATE(self->hwpt, TYPE, entry, len,
						  bad[i] + 1, bad[i]));
		EXPECT_EQ(-EOPNOTSUPP, INVALIDATE(self->hwpt, TYPE, entry, len,
						  MAX_ENTRIES, bad[i]));
		entry[bad[i]].flags = 0;
	}
	EXPECT_IOTLBS(0, IOTLB, IOTLB, IOTLB);
	entry[MAX_ENTRIES - 1].iotlb_id = 3;
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, entry, len, MAX_ENTRIES - 1,
				MAX_ENTRIES - 1));
	EXPECT_IOTLBS(0, IOTLB, IOTLB, IOTLB);
	EXPECT_EQ(0, INVALIDATE(self->hwpt, TYPE, entry, len, MAX_ENTRIES,
				MAX_ENTRIES));
	EXPECT_IOTLBS(0, IOTLB, IOTLB, 0);
	free(entry);
}

/* Races: each call does its work or says that there is nothing */

struct race {
	int fd;
	__u32 dev;
	__u32 stdev;
	__u32 parent;
	atomic_uint hwpt;
	atomic_bool stop;
	atomic_int bad;
	atomic_int good;
};

static void race_note(struct race *race, int rc, int lost1, int lost2)
{
	if (!rc)
		race->good++;
	else if (rc != lost1 && rc != lost2)
		race->bad = rc;
}

static void *race_invalidate(void *arg)
{
	struct iommu_hwpt_invalidate_selftest entry[1024] = {};
	struct race *race = arg;
	__u32 num;

	while (!race->stop) {
		num = ARRAY_SIZE(entry);
		/* The id may be one of something else by then */
		race_note(race, mock_invalidate(race->fd, race->hwpt, entry,
						&num), -ENOENT, -EINVAL);
	}
	return NULL;
}

static void *race_replace(void *arg)
{
	struct race *race = arg;
	struct mock_device dev = { .stdev = race->stdev };

	while (!race->stop) {
		race_note(race, mock_replace(race->fd, &dev, race->hwpt),
			  -ENOENT, -EINVAL);
		race_note(race, mock_replace(race->fd, &dev, race->parent),
			  -ENOENT, -EINVAL);
	}
	return NULL;
}

static void *race_alloc(void *arg)
{
	struct race *race = arg;
	__u32 hwpt;
	int rc;

	while (!race->stop) {
		rc = mock_nested_alloc(race->fd, race->dev, race->hwpt, IOTLB,
				       &hwpt);
		race_note(race, rc, -ENOENT, -EINVAL);
		if (!rc)
			race_note(race, obj_destroy(race->fd, hwpt), 0, 0);
	}
	return NULL;
}

/* Nested ones come and go while a thread uses them */
static void race_run(struct race *race, void *(*with)(void *), bool parents,
		     __u32 ioas)
{
	double end = seconds_now() + 3;
	pthread_t thread;
	__u32 hwpt = 0;
	int rc;

	if (pthread_create(&thread, NULL, with, race)) {
		race->bad = 1;
		return;
	}
	while (seconds_now() < end && !race->bad) {
		if (parents)
			rc = hwpt_alloc(race->fd, race->dev, ioas,
					IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt);
		else
			rc = mock_nested_alloc(race->fd, race->dev,
					       race->parent, IOTLB, &hwpt);
		if (rc) {
			race->bad = rc;
			break;
		}
		race->hwpt = hwpt;
		sched_yield();
		do {
			rc = obj_destroy(race->fd, hwpt);
		} while (rc == -EBUSY);
		if (rc)
			race->bad = rc;
	}
	race->stop = true;
	pthread_join(thread, NULL);
}

#define RACE(with, parents)						\
	do {								\
		struct race __race = {					\
			.fd = self->fd,					\
			.dev = self->dev.idev,				\
			.stdev = self->dev.stdev,			\
			.parent = self->parent,				\
		};							\
									\
		race_run(&__race, with, parents, self->ioas);		\
		EXPECT_EQ(0, __race.bad);				\
		EXPECT_LT(0, __race.good);				\
	} while (0)

TEST_F(nested, race_invalidate_destroy)
{
	RACE(race_invalidate, false);
}

TEST_F(nested, race_attach_destroy)
{
	RACE(race_replace, false);
}

TEST_F(nested, race_alloc_destroy_parent)
{
	RACE(race_alloc, true);
}

TEST_HARNESS_MAIN
