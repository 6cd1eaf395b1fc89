// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual IOMMUs, virtual devices, hardware queues, and the memory that is
 * mapped from the file: each answer, who keeps whom, and what is left when things
 * go in whatever order.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "../lib/fail_nth.h"
#include "../lib/mock.h"
#include "../lib/type1.h"
#include "../lib/viommu.h"

#define BASE	((__u64)MOCK_APERTURE_START)
#define PAGES	4

#define VIOMMU(out)							\
	viommu_alloc(self->fd, self->dev.idev, self->parent,		\
		     IOMMU_VIOMMU_TYPE_SELFTEST, out)
#define QUEUE(index, iova, length, out)					\
	hw_queue_alloc(self->fd, self->viommu,				\
		       IOMMU_HW_QUEUE_TYPE_SELFTEST, index, iova, length, out)

/* Does the reason of the last refusal say so? */
static bool refusal_has(int fd, const char *what)
{
	char line[4096];

	return !fdinfo_get(fd, "last-refusal", line, sizeof(line)) &&
	       strstr(line, what);
}

/* Does fdinfo say so of an object? */
static bool object_has(int fd, __u32 id, const char *what)
{
	char start[64], line[4096];

	snprintf(start, sizeof(start), "object:\t%u ", id);
	return !fdinfo_line(fd, start, line, sizeof(line)) &&
	       strstr(line, what);
}

FIXTURE(viommu)
{
	int fd;
	size_t ps;
	char *buf;
	__u32 ioas;
	__u32 parent;
	__u32 viommu;
	struct mock_device dev;
	struct mock_device other;
	long pinned;
};

FIXTURE_SETUP(viommu)
{
	MOCK_OPEN(self->fd);
	self->ps = page_size();
	self->buf = mem_shared(PAGES * self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, PAGES * self->ps);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->other));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, VIOMMU(&self->viommu));
}

FIXTURE_TEARDOWN(viommu)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(viommu, alloc_answers)
{
	__u32 idev = self->dev.idev, parent = self->parent, plain, other, id;
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = idev,
		.hwpt_id = parent,
	};
	unsigned int bit;

	for (bit = 0; bit != 32; bit++) {
		cmd.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_VIOMMU_ALLOC,
					    &cmd));
	}
	cmd.flags = 0;
	/* Not looked at, and no more is a pointer to no data */
	cmd.__reserved = 1;
	cmd.data_uptr = 1;
	ASSERT_EQ(0, call(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	EXPECT_EQ(0, obj_destroy(self->fd, cmd.out_viommu_id));

	EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(self->fd, idev, parent,
					    IOMMU_VIOMMU_TYPE_DEFAULT, &id));
	EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(self->fd, idev, parent,
					    IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &id));
	EXPECT_TRUE(refusal_has(self->fd, "no virtual IOMMU of type 1"));
	EXPECT_EQ(-ENOENT, viommu_alloc(self->fd, 0, parent,
					IOMMU_VIOMMU_TYPE_SELFTEST, &id));
	EXPECT_EQ(-ENOENT, viommu_alloc(self->fd, parent, parent,
					IOMMU_VIOMMU_TYPE_SELFTEST, &id));
	EXPECT_EQ(-ENOENT, viommu_alloc(self->fd, idev, 0,
					IOMMU_VIOMMU_TYPE_SELFTEST, &id));
	EXPECT_EQ(-ENOENT, viommu_alloc(self->fd, idev, self->ioas,
					IOMMU_VIOMMU_TYPE_SELFTEST, &id));
	ASSERT_EQ(0, hwpt_alloc(self->fd, idev, self->ioas, 0, &plain));
	EXPECT_EQ(-EINVAL, viommu_alloc(self->fd, idev, plain,
					IOMMU_VIOMMU_TYPE_SELFTEST, &id));
	EXPECT_TRUE(refusal_has(self->fd, "IOMMU_HWPT_ALLOC_NEST_PARENT"));

	/* A parent has room for many, and is kept by each of them */
	ASSERT_EQ(0, VIOMMU(&other));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, parent));
	EXPECT_EQ(0, obj_destroy(self->fd, other));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, other));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, parent));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, parent));
}

TEST_F(viommu, alloc_with_data)
{
	struct iommu_viommu_selftest data = { .in_data = 0x1234 };
	const __u32 type = IOMMU_VIOMMU_TYPE_SELFTEST;
	__u32 idev = self->dev.idev, id;

	EXPECT_EQ(-EINVAL, viommu_alloc_data(self->fd, idev, self->parent, type,
					     &data, 4, &id));
	EXPECT_EQ(-EINVAL, viommu_alloc_data(self->fd, idev, self->parent, type,
					     &data, sizeof(data) - 1, &id));
	EXPECT_EQ(-EFAULT, viommu_alloc_data(self->fd, idev, self->parent, type,
					     (void *)1, sizeof(data), &id));
	EXPECT_EQ(0, data.out_data);
	ASSERT_EQ(0, viommu_alloc_data(self->fd, idev, self->parent, type,
				       &data, sizeof(data), &id));
	EXPECT_EQ(0x1234, data.out_data);
	EXPECT_NE(0, data.out_mmap_offset);
	EXPECT_EQ(0, data.out_mmap_offset % self->ps);
	EXPECT_EQ(2 * self->ps, data.out_mmap_length);
	EXPECT_EQ(0, obj_destroy(self->fd, id));
	/* What failed has left nothing that keeps the parent */
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

/* The device that it was made with may go; what it is of stays */
TEST_F(viommu, outlives_device)
{
	__u32 id;

	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
					 1, &id));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->parent));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->other.idev, 1,
				   &id));
	EXPECT_EQ(0, obj_destroy(self->fd, id));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

TEST_F(viommu, vdevice)
{
	__u32 idev = self->dev.idev, other = self->other.idev, vdev, vdev2, id;
	__u32 second;

	ASSERT_EQ(0, VIOMMU(&second));
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->fd, 0, idev, 7, &id));
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->fd, self->parent, idev, 7, &id));
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->fd, self->viommu, 0, 7, &id));
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->fd, self->viommu, self->ioas, 7,
					 &id));
	/* Any number is a name */
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, 0, &id));
	EXPECT_EQ(0, obj_destroy(self->fd, id));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, ULONG_MAX,
				   &id));
	EXPECT_EQ(0, obj_destroy(self->fd, id));

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, 7, &vdev));
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->fd, self->viommu, idev, 7, &id));
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->fd, self->viommu, idev, 8, &id));
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->fd, second, idev, 7, &id));
	EXPECT_TRUE(refusal_has(self->fd, "has vdevice"));
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->fd, self->viommu, other, 7,
					 &id));
	EXPECT_TRUE(refusal_has(self->fd, "has a device 0x7"));
	/* What failed has left neither a name nor a pair */
	ASSERT_EQ(0, vdevice_alloc(self->fd, second, other, 7, &vdev2));
	EXPECT_EQ(0, obj_destroy(self->fd, vdev2));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, other, 8, &vdev2));

	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_TRUE(refusal_has(self->fd, "virtual devices"));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, idev));
	EXPECT_EQ(0, obj_destroy(self->fd, vdev));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, vdev));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, vdev2));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
}

TEST_F(viommu, fdinfo)
{
	char what[64];
	__u32 id;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 0x99,
				   &id));
	snprintf(what, sizeof(what), "vdevice users=0 viommu=%u device=%u virt_id=0x99",
		 self->viommu, self->dev.idev);
	EXPECT_TRUE(object_has(self->fd, id, what));
	snprintf(what, sizeof(what), "viommu users=1 type=%u hwpt=%u",
		 IOMMU_VIOMMU_TYPE_SELFTEST, self->parent);
	EXPECT_TRUE(object_has(self->fd, self->viommu, what));

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, QUEUE(0, BASE, self->ps, &id));
	snprintf(what, sizeof(what), "iova=0x%llx length=0x%zx", BASE,
		 self->ps);
	EXPECT_TRUE(object_has(self->fd, id, what));
	EXPECT_TRUE(object_has(self->fd, self->viommu, "viommu users=2"));
}

/* An unplug takes the virtual device along, and nobody else gets its id */
TEST_F(viommu, tombstone)
{
	__u32 vdev, vdev2, id[4];
	unsigned int i;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 7,
				   &vdev));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, vdev));
	/* Those of the device itself are free */
	for (i = 0; i != 4; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id[i]));
		EXPECT_NE(vdev, id[i]);
	}
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, vdev));
	/* The guest's name is free too, and the tombstone keeps nobody */
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->other.idev, 7,
				   &vdev2));
	EXPECT_EQ(0, obj_destroy(self->fd, vdev2));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

TEST_F(viommu, close_with_all)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	__u32 id;
	char *page;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev, self->parent,
				       IOMMU_VIOMMU_TYPE_SELFTEST, &data,
				       sizeof(data), &id));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 7,
				   &id));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->other.idev, 8,
				   &id));
	ASSERT_EQ(0, mock_detach(self->fd, &self->other));
	ASSERT_EQ(0, QUEUE(0, BASE, self->ps, &id));
	ASSERT_EQ(0, QUEUE(1, BASE, self->ps, &id));
	page = mmap(NULL, data.out_mmap_length, PROT_READ, MAP_SHARED, self->fd,
		    data.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, page);
	/* The mapping keeps the file, and all that is in it */
	close(self->fd);
	EXPECT_EQ(1, *(__u32 *)page);
	EXPECT_LT(self->pinned, pages_pinned());
	munmap(page, data.out_mmap_length);
	EXPECT_EQ(self->pinned, pages_pinned());
	self->fd = iommufd_open();
}

/* Nested page tables of a virtual IOMMU, and its invalidations */

TEST_F(viommu, nested)
{
	__u32 idev = self->dev.idev, vdev, nested, id;

	ASSERT_EQ(0, mock_nested_alloc(self->fd, idev, self->viommu, 1,
				       &nested));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, idev, self->viommu, 0,
					  &id));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, idev, self->viommu,
					  IOMMU_HWPT_ALLOC_NEST_PARENT, &id));
	/* By another device of the same IOMMU */
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->other.idev, self->viommu,
				       1, &id));
	EXPECT_EQ(0, obj_destroy(self->fd, id));

	/* The guest's IOMMU does not know the device without a name for it */
	EXPECT_EQ(-ENOENT, mock_replace(self->fd, &self->dev, nested));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, 7, &vdev));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, nested));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, nested));
	/* The name may go while it is attached, and come back */
	EXPECT_EQ(0, obj_destroy(self->fd, vdev));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, 7, &vdev));

	/* And so may the device */
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, vdev));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, nested));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

/* A PASID of the device goes to one that was made for PASIDs, and to no other */
TEST_F(viommu, nested_for_pasids)
{
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	__u32 rid, with, without, vdev;
	struct mock_device dev;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &rid));
	ASSERT_EQ(0, mock_attach_flags(self->fd, rid, MOCK_DEVICE_PASID, &dev));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, dev.idev, 7, &vdev));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, self->viommu,
				       IOMMU_HWPT_ALLOC_PASID,
				       IOMMU_HWPT_DATA_SELFTEST, &data,
				       sizeof(data), &with));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, dev.idev, self->viommu, 1,
				       &without));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &dev, 10, without));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, &dev, 10, with));
	EXPECT_EQ(0, mock_pasid_check(self->fd, &dev, 10, with));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, with));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, &dev, 10));
	EXPECT_EQ(0, obj_destroy(self->fd, with));
	EXPECT_EQ(0, obj_destroy(self->fd, without));
}

static int check_cache(int fd, __u32 idev, __u32 id, __u32 cache)
{
	struct iommu_test_cmd cmd = {
		.id = idev,
		.check_dev_cache = { .id = id, .cache = cache },
	};

	return mock_call(fd, IOMMU_TEST_OP_DEV_CHECK_CACHE, &cmd);
}

TEST_F(viommu, invalidate_caches)
{
	const __u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;
	struct iommu_viommu_invalidate_selftest inv[3] = {
		{ .vdev_id = 7, .cache_id = 1 },
		{ .vdev_id = 7, .cache_id = 2 },
		{ .vdev_id = 8, .cache_id = 3 },
	};
	__u32 idev = self->dev.idev, vdev, nr;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, idev, 7, &vdev));
	nr = 0;
	EXPECT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, NULL, 0,
				     &nr));
	EXPECT_EQ(-EINVAL, hwpt_invalidate(self->fd, self->viommu, type + 1,
					   NULL, 0, &nr));
	nr = 3;
	EXPECT_EQ(-EINVAL, hwpt_invalidate(self->fd, self->viommu, type, inv,
					   sizeof(inv[0]) + 1, &nr));
	EXPECT_EQ(0, nr);
	/* The guest has no device 8; what was before that is done */
	nr = 3;
	EXPECT_EQ(-EINVAL, hwpt_invalidate(self->fd, self->viommu, type, inv,
					   sizeof(inv[0]), &nr));
	EXPECT_EQ(2, nr);
	EXPECT_EQ(0, check_cache(self->fd, idev, 0,
				 IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_EQ(0, check_cache(self->fd, idev, 1, 0));
	EXPECT_EQ(0, check_cache(self->fd, idev, 2, 0));
	EXPECT_EQ(0, check_cache(self->fd, idev, 3,
				 IOMMU_TEST_DEV_CACHE_DEFAULT));
	inv[0].flags = 2;
	nr = 1;
	EXPECT_EQ(-EOPNOTSUPP, hwpt_invalidate(self->fd, self->viommu, type,
					       inv, sizeof(inv[0]), &nr));
	EXPECT_EQ(0, nr);
	inv[0].flags = IOMMU_TEST_INVALIDATE_FLAG_ALL;
	nr = 1;
	EXPECT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, inv,
				     sizeof(inv[0]), &nr));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(0, check_cache(self->fd, idev, 0, 0));
	EXPECT_EQ(0, check_cache(self->fd, idev, 3, 0));
	/* The device of that name is another one from now on */
	ASSERT_EQ(0, obj_destroy(self->fd, vdev));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->other.idev, 7,
				   &vdev));
	nr = 1;
	EXPECT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, inv,
				     sizeof(inv[0]), &nr));
	EXPECT_EQ(0, check_cache(self->fd, self->other.idev, 0, 0));
}

/* Memory that is mapped from the file */

static void *map_page(int fd, const struct iommu_viommu_selftest *data,
		      int prot, int flags)
{
	void *va = mmap(NULL, data->out_mmap_length, prot, flags, fd,
			data->out_mmap_offset);

	return va == MAP_FAILED ? NULL : va;
}

TEST_F(viommu, mmap)
{
	struct iommu_viommu_selftest data = { .in_data = 0xbeef }, more = {};
	size_t length = 2 * self->ps;
	__u32 viommu, second;
	__u32 *page, *ro;

	ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev, self->parent,
				       IOMMU_VIOMMU_TYPE_SELFTEST, &data,
				       sizeof(data), &viommu));
	ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev, self->parent,
				       IOMMU_VIOMMU_TYPE_SELFTEST, &more,
				       sizeof(more), &second));
	EXPECT_TRUE(more.out_mmap_offset >= data.out_mmap_offset + length ||
		    data.out_mmap_offset >= more.out_mmap_offset + length);

#define MAP_FAILS(_errno, _length, _offset, _prot, _flags)		\
	do {								\
		errno = 0;						\
		EXPECT_EQ(MAP_FAILED, mmap(NULL, _length, _prot, _flags, \
					   self->fd, _offset));		\
		EXPECT_EQ(_errno, errno);				\
	} while (0)
	MAP_FAILS(ENXIO, length, 0, PROT_READ, MAP_SHARED);
	MAP_FAILS(ENXIO, self->ps, data.out_mmap_offset, PROT_READ, MAP_SHARED);
	MAP_FAILS(ENXIO, self->ps, data.out_mmap_offset + self->ps, PROT_READ,
		  MAP_SHARED);
	MAP_FAILS(ENXIO, 2 * length, data.out_mmap_offset, PROT_READ,
		  MAP_SHARED);
	MAP_FAILS(EINVAL, length, data.out_mmap_offset, PROT_READ, MAP_PRIVATE);
	MAP_FAILS(EPERM, length, data.out_mmap_offset, PROT_READ | PROT_EXEC,
		  MAP_SHARED);
	EXPECT_TRUE(refusal_has(self->fd, "cannot be executed"));

	page = map_page(self->fd, &data, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, page);
	EXPECT_EQ(0xbeef, *page);
	ro = map_page(self->fd, &data, PROT_READ, MAP_SHARED);
	ASSERT_NE(NULL, ro);
	page[1] = 5;
	EXPECT_EQ(5, ro[1]);
	errno = 0;
	EXPECT_EQ(-1, mprotect(ro, length, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	/* It does not grow into what is beside it */
	EXPECT_EQ(MAP_FAILED, mremap(ro, length, 2 * length, MREMAP_MAYMOVE));

	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, viommu));
	EXPECT_TRUE(refusal_has(self->fd, "mapped"));
	munmap(page, length);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, viommu));
	/* Each part of a mapping that is split holds it */
	munmap(ro, self->ps);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, viommu));
	munmap((char *)ro + self->ps, self->ps);
	EXPECT_EQ(0, obj_destroy(self->fd, viommu));
	MAP_FAILS(ENXIO, length, data.out_mmap_offset, PROT_READ, MAP_SHARED);
	/* The other one is where it was */
	ro = map_page(self->fd, &more, PROT_READ, MAP_SHARED);
	ASSERT_NE(NULL, ro);
	EXPECT_EQ(0, *ro);
	munmap(ro, length);
	EXPECT_EQ(0, obj_destroy(self->fd, second));
}

TEST_F(viommu, mmap_fork)
{
	struct iommu_viommu_selftest data = { .in_data = 0xbeef };
	int pipes[2], status;
	__u32 viommu;
	__u32 *page;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev, self->parent,
				       IOMMU_VIOMMU_TYPE_SELFTEST, &data,
				       sizeof(data), &viommu));
	page = map_page(self->fd, &data, PROT_READ, MAP_SHARED);
	ASSERT_NE(NULL, page);
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		if (read(pipes[0], &c, 1) < 0)
			_exit(1);
		_exit(*page == 0xbeef ? 0 : 2);
	}
	ASSERT_LT(0, pid);
	munmap(page, data.out_mmap_length);
	/* The child has it */
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, viommu));
	close(pipes[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(pipes[0]);
	EXPECT_EQ(0, obj_destroy(self->fd, viommu));
}

/* Hardware queues */

TEST_F(viommu, hw_queue)
{
	__u32 queue, queue2, id;
	__u64 unmapped;

	EXPECT_EQ(-EOPNOTSUPP, hw_queue_alloc(self->fd, self->viommu,
					      IOMMU_HW_QUEUE_TYPE_DEFAULT, 0,
					      BASE, self->ps, &id));
	EXPECT_EQ(-EOPNOTSUPP, hw_queue_alloc(self->fd, self->viommu, 1, 0,
					      BASE, self->ps, &id));
	EXPECT_TRUE(refusal_has(self->fd, "no hardware queues of type 1"));
	EXPECT_EQ(-ENOENT, hw_queue_alloc(self->fd, 0,
					  IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, BASE,
					  self->ps, &id));
	EXPECT_EQ(-EINVAL, QUEUE(0, BASE, 0, &id));
	EXPECT_EQ(-EOVERFLOW, QUEUE(0, ~0ULL, self->ps, &id));
	EXPECT_EQ(-ENOENT, QUEUE(0, BASE, self->ps, &id));
	EXPECT_EQ(-ENOMEM, QUEUE(0, BASE, 1ULL << 62, &id));

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + self->ps,
				 self->ps, BASE + self->ps));
	EXPECT_EQ(-EIO, QUEUE(1, BASE, self->ps, &id));
	EXPECT_EQ(-EINVAL, QUEUE(IOMMU_TEST_HW_QUEUE_MAX, BASE, self->ps, &id));
	EXPECT_EQ(-ENOENT, QUEUE(0, BASE, 4 * self->ps, &id));
	/* What failed has pinned nothing */
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));

	ASSERT_EQ(0, QUEUE(0, BASE, self->ps, &queue));
	EXPECT_EQ(-EEXIST, QUEUE(0, BASE, self->ps, &id));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
	EXPECT_TRUE(refusal_has(self->fd, "a hardware queue works in"));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, BASE, 2 * self->ps));
	EXPECT_EQ(-EBUSY, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	/* It was refused as a whole, and accesses come back */
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->ps,
				    self->buf));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + self->ps,
				self->ps));
	/* Half of a page, which both queues are in */
	ASSERT_EQ(0, QUEUE(1, BASE + self->ps / 2, self->ps / 2, &queue2));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, queue));
	EXPECT_TRUE(refusal_has(self->fd, "made later"));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, queue2));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
}

/*
 * An unmap of type 1 waits for others who map and unmap, but not for hardware,
 * which is there to stay
 */
static void refused_by_type1(struct __test_metadata *_metadata,
			     FIXTURE_DATA(viommu) *self, unsigned long type)
{
	__u64 size;
	__u32 queue;

	ASSERT_EQ(0, t1_set_iommu(self->fd, type));
	ASSERT_EQ(0, t1_map(self->fd, self->buf, 2 * self->ps, BASE, T1_RW));
	ASSERT_EQ(0, QUEUE(0, BASE, self->ps, &queue));
	EXPECT_EQ(-EBUSY, t1_unmap(self->fd, BASE, 2 * self->ps));
	EXPECT_TRUE(refusal_has(self->fd, "a hardware queue works in"));
	EXPECT_EQ(-EBUSY, t1_unmap_all(self->fd, &size));
	/* Only the first version would split it */
	EXPECT_EQ(type == VFIO_TYPE1_IOMMU ? -EBUSY : -ENOENT,
		  t1_unmap(self->fd, BASE, self->ps));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE,
				    2 * self->ps, self->buf));
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
	EXPECT_EQ(0, t1_unmap(self->fd, BASE, 2 * self->ps));
}

TEST_F(viommu, hw_queue_in_a_container)
{
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	refused_by_type1(_metadata, self, VFIO_TYPE1v2_IOMMU);
	refused_by_type1(_metadata, self, VFIO_TYPE1_IOMMU);
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
}

/* Two pages that lie the wrong way round in physical memory cannot be a queue */
TEST_F(viommu, hw_queue_not_contiguous)
{
	__u32 queue;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE + self->ps));
	EXPECT_EQ(-EFAULT, QUEUE(0, BASE, 2 * self->ps, &queue));
	EXPECT_TRUE(refusal_has(self->fd, "not physically contiguous"));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 2 * self->ps));
}

/* Allocations that fail */

FIXTURE(viommu_fail)
{
	struct fail_nth nth;
	int fd;
	size_t ps;
	char *buf;
	__u32 ioas;
	__u32 parent;
	struct mock_device dev;
	long pinned;
};

FIXTURE_SETUP(viommu_fail)
{
	const char *why = fail_nth_init(&self->nth);

	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	if (why)
		SKIP(return, "no fault injection: %s", why);
	if (mock_memory_limit(self->fd, MOCK_MEMORY_DEFAULT) == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	self->ps = page_size();
	self->buf = mem_shared(PAGES * self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, PAGES * self->ps);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
}

FIXTURE_TEARDOWN(viommu_fail)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(viommu_fail, viommu_alloc)
{
	struct iommu_viommu_selftest data = {};
	__u32 id;
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  viommu_alloc_data(self->fd, self->dev.idev,
						    self->parent,
						    IOMMU_VIOMMU_TYPE_SELFTEST,
						    &data, sizeof(data), &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, id));
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

TEST_F(viommu_fail, vdevice_alloc)
{
	__u32 viommu, id;
	int rc;

	ASSERT_EQ(0, VIOMMU(&viommu));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  vdevice_alloc(self->fd, viommu,
						self->dev.idev, 7, &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, id));
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, viommu));
}

TEST_F(viommu_fail, hw_queue_alloc)
{
	__u32 viommu, id;
	int rc;

	ASSERT_EQ(0, VIOMMU(&viommu));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  hw_queue_alloc(self->fd, viommu,
						 IOMMU_HW_QUEUE_TYPE_SELFTEST,
						 0, BASE, self->ps, &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, id));
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, viommu));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
}

/* Races: nothing here may crash, warn, hang or leave anything behind */

#define ROUNDS 200

struct race {
	int fd;
	__u32 viommu;
	__u32 idev;
	__u32 vdev;
	int answer;
	int viommu_answer;
	pthread_barrier_t start;
};

static void *race_destroy_vdevice(void *arg)
{
	struct race *r = arg;

	pthread_barrier_wait(&r->start);
	r->answer = obj_destroy(r->fd, r->vdev);
	return NULL;
}

static void *race_alloc_vdevice(void *arg)
{
	struct race *r = arg;

	pthread_barrier_wait(&r->start);
	r->answer = vdevice_alloc(r->fd, r->viommu, r->idev, 9, &r->vdev);
	return NULL;
}

static void *race_destroy_viommu(void *arg)
{
	struct race *r = arg;
	int rc;

	pthread_barrier_wait(&r->start);
	do {
		rc = obj_destroy(r->fd, r->viommu);
		sched_yield();
	} while (rc == -EBUSY);
	r->viommu_answer = rc;
	return NULL;
}

/* Destroy of the virtual device and of its IOMMU, and unplug of the device */
TEST_F(viommu, race_unplug)
{
	struct race r = { .fd = self->fd };
	struct mock_device dev;
	pthread_t t, t2;
	unsigned int i;

	ASSERT_EQ(0, obj_destroy(self->fd, self->viommu));
	for (i = 0; i != ROUNDS; i++) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
		ASSERT_EQ(0, VIOMMU(&r.viommu));
		ASSERT_EQ(0, vdevice_alloc(self->fd, r.viommu, dev.idev, 9,
					   &r.vdev));
		pthread_barrier_init(&r.start, NULL, 3);
		ASSERT_EQ(0, pthread_create(&t, NULL, race_destroy_vdevice,
					    &r));
		ASSERT_EQ(0, pthread_create(&t2, NULL, race_destroy_viommu,
					    &r));
		pthread_barrier_wait(&r.start);
		EXPECT_EQ(0, mock_detach(self->fd, &dev));
		pthread_join(t, NULL);
		pthread_join(t2, NULL);
		pthread_barrier_destroy(&r.start);
		EXPECT_TRUE(r.answer == 0 || r.answer == -ENOENT);
		EXPECT_EQ(0, r.viommu_answer);
	}
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

/* One that is being made for a device that is just unplugged */
TEST_F(viommu, race_alloc)
{
	struct race r = { .fd = self->fd, .viommu = self->viommu };
	struct mock_device dev;
	unsigned int i;
	pthread_t t;

	for (i = 0; i != ROUNDS; i++) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
		r.idev = dev.idev;
		pthread_barrier_init(&r.start, NULL, 2);
		ASSERT_EQ(0, pthread_create(&t, NULL, race_alloc_vdevice, &r));
		pthread_barrier_wait(&r.start);
		EXPECT_EQ(0, mock_detach(self->fd, &dev));
		pthread_join(t, NULL);
		pthread_barrier_destroy(&r.start);
		EXPECT_TRUE(r.answer == 0 || r.answer == -ENOENT);
		if (!r.answer)
			EXPECT_EQ(-ENOENT, obj_destroy(self->fd, r.vdev));
	}
	/* No pair has been left */
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
}

/* Mappings that come and go, also of children, while their owner is destroyed */
TEST_F(viommu, race_mmap)
{
	struct iommu_viommu_selftest data;
	struct race r = { .fd = self->fd };
	unsigned int i;
	pthread_t t;

	for (i = 0; i != ROUNDS; i++) {
		void *page;

		data = (struct iommu_viommu_selftest){ .in_data = i };
		ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev,
					       self->parent,
					       IOMMU_VIOMMU_TYPE_SELFTEST,
					       &data, sizeof(data), &r.viommu));
		pthread_barrier_init(&r.start, NULL, 2);
		ASSERT_EQ(0, pthread_create(&t, NULL, race_destroy_viommu, &r));
		pthread_barrier_wait(&r.start);
		page = map_page(self->fd, &data, PROT_READ, MAP_SHARED);
		if (page) {
			if (i % 20 == 0) {
				pid_t pid = fork();

				if (!pid)
					_exit(*(__u32 *)page != i);
				ASSERT_LT(0, pid);
				EXPECT_EQ(i, *(__u32 *)page);
				munmap(page, data.out_mmap_length);
				EXPECT_EQ(pid, waitpid(pid, NULL, 0));
			} else {
				EXPECT_EQ(i, *(__u32 *)page);
				munmap(page, data.out_mmap_length);
			}
		} else {
			EXPECT_EQ(ENXIO, errno);
		}
		pthread_join(t, NULL);
		pthread_barrier_destroy(&r.start);
		EXPECT_EQ(0, r.viommu_answer);
	}
}

TEST_HARNESS_MAIN
