/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of the mock IOMMU driver (CONFIG_IOMMUFD_TEST), a function each.
 * They return 0 or a negative errno, as those of iommufd.h do.
 */
#ifndef TEST_MOCK_H
#define TEST_MOCK_H

#include "iommufd.h"
#include <iommufd_test.h>

#define MOCK_PAGE	(page_size() / 2)

/* Of 7.2 */
#define MOCK_DEVICE_PASID	(1U << 2)
/* Device flags of our own, see drivers/iommu/iommufd/iommufd_test.h */
#define MOCK_DEVICE_NO_IOPF	(1U << 26)
#define MOCK_DEVICE_NO_RO_NEST	(1U << 27)
#define MOCK_DEVICE_GROUPED	(1U << 28)
#define MOCK_DEVICE_COHERENT	(1U << 29)
#define MOCK_DEVICE_RESERVES	(1U << 30)

/* Where a device of the last kind has its reserved ranges */
#define MOCK_RESERVED_FIRST	(MOCK_APERTURE_START + (1UL << 20))
#define MOCK_RESERVED_SECOND	(MOCK_APERTURE_START + (2UL << 20))
#define MOCK_RESERVED_LENGTH	0x10000UL

/* A mock device: the object to destroy to unplug it, its hwpt, its device object */
struct mock_device {
	__u32 stdev;
	__u32 hwpt;
	__u32 idev;
};

static inline int mock_call(int fd, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return call(fd, IOMMU_TEST_CMD, cmd);
}

static inline int mock_attach_flags(int fd, __u32 pt, __u32 flags,
				    struct mock_device *dev)
{
	struct iommu_test_cmd cmd = { .id = pt };
	int rc;

	cmd.mock_domain_flags.dev_flags = flags;
	rc = mock_call(fd, flags ? IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS :
				   IOMMU_TEST_OP_MOCK_DOMAIN, &cmd);
	dev->stdev = cmd.mock_domain_flags.out_stdev_id;
	dev->hwpt = cmd.mock_domain_flags.out_hwpt_id;
	dev->idev = cmd.mock_domain_flags.out_idev_id;
	return rc;
}

static inline int mock_attach(int fd, __u32 pt, struct mock_device *dev)
{
	return mock_attach_flags(fd, pt, 0, dev);
}

static inline int mock_detach(int fd, struct mock_device *dev)
{
	return obj_destroy(fd, dev->stdev);
}

static inline int mock_replace(int fd, struct mock_device *dev, __u32 pt)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev,
		.mock_domain_replace = { .pt_id = pt },
	};
	int rc = mock_call(fd, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);

	if (!rc)
		dev->hwpt = cmd.mock_domain_replace.pt_id;
	return rc;
}

/* Operations on PASIDs, which the iommufd_test.h of 6.12 does not have */
#define MOCK_OP_PASID_ATTACH	18
#define MOCK_OP_PASID_REPLACE	19
#define MOCK_OP_PASID_DETACH	20
#define MOCK_OP_PASID_CHECK	21

/* Every other attach of this one fails with -ENOMEM */
#define MOCK_PASID_RESERVED	1024

static inline int mock_pasid_call(int fd, __u32 op, struct mock_device *dev,
				  __u32 pasid, __u32 pt)
{
	union {
		struct iommu_test_cmd cmd;
		struct {
			__u32 head[4];
			__u32 arg[2];
		};
	} u = { .cmd = { .id = dev->stdev } };

	u.arg[0] = pasid;
	u.arg[1] = pt;
	return mock_call(fd, op, &u.cmd);
}

static inline int mock_pasid_attach(int fd, struct mock_device *dev,
				    __u32 pasid, __u32 pt)
{
	return mock_pasid_call(fd, MOCK_OP_PASID_ATTACH, dev, pasid, pt);
}

static inline int mock_pasid_replace(int fd, struct mock_device *dev,
				     __u32 pasid, __u32 pt)
{
	return mock_pasid_call(fd, MOCK_OP_PASID_REPLACE, dev, pasid, pt);
}

static inline int mock_pasid_detach(int fd, struct mock_device *dev,
				    __u32 pasid)
{
	return mock_pasid_call(fd, MOCK_OP_PASID_DETACH, dev, pasid, 0);
}

/* 0 if the IOMMU core has @hwpt for the PASID, or nothing if that is 0 */
static inline int mock_pasid_check(int fd, struct mock_device *dev,
				   __u32 pasid, __u32 hwpt)
{
	return mock_pasid_call(fd, MOCK_OP_PASID_CHECK, dev, pasid, hwpt);
}

/* The IOMMU reports an event of the device to the guest's IOMMU that it is behind */
#define MOCK_OP_TRIGGER_VEVENT	17

static inline int mock_event(int fd, const struct mock_device *dev)
{
	union {
		struct iommu_test_cmd cmd;
		__u32 word[5];
	} u = { .cmd = {} };

	u.word[4] = dev->idev;
	return mock_call(fd, MOCK_OP_TRIGGER_VEVENT, &u.cmd);
}

static inline int mock_reserve(int fd, __u32 ioas, __u64 start, __u64 length)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.add_reserved = { .start = start, .length = length },
	};

	return mock_call(fd, IOMMU_TEST_OP_ADD_RESERVED, &cmd);
}

/* 0 if @hwpt translates the range to the pages that are at @va now */
static inline int mock_check_map(int fd, __u32 hwpt, __u64 iova, __u64 length,
				 const void *va)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_map = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};

	return mock_call(fd, IOMMU_TEST_OP_MD_CHECK_MAP, &cmd);
}

/* A page table of the user: its IOTLB holds @iotlb until it is invalidated */
static inline int mock_nested_alloc(int fd, __u32 idev, __u32 parent,
				    __u32 iotlb, __u32 *hwpt)
{
	struct iommu_hwpt_selftest data = { .iotlb = iotlb };

	return hwpt_alloc_nested(fd, idev, parent, 0, IOMMU_HWPT_DATA_SELFTEST,
				 &data, sizeof(data), hwpt);
}

static inline int mock_invalidate(int fd, __u32 hwpt,
				  const struct iommu_hwpt_invalidate_selftest *entries,
				  __u32 *num)
{
	return hwpt_invalidate(fd, hwpt, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
			       entries, sizeof(*entries), num);
}

/* 0 if that is what entry @id of the IOTLB of @hwpt holds */
static inline int mock_check_iotlb(int fd, __u32 hwpt, __u32 id, __u32 iotlb)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_iotlb = { .id = id, .iotlb = iotlb },
	};

	return mock_call(fd, IOMMU_TEST_OP_MD_CHECK_IOTLB, &cmd);
}

/* 0 if each of the pages at @va is pinned @refs times */
static inline int mock_check_refs(int fd, const void *va, __u64 length,
				  unsigned int refs)
{
	struct iommu_test_cmd cmd = {
		.check_refs = {
			.length = length,
			.uptr = (uintptr_t)va,
			.refs = refs,
		},
	};

	return mock_call(fd, IOMMU_TEST_OP_MD_CHECK_REFS, &cmd);
}

/* Returns the file that stands for the access */
static inline int mock_access_open(int fd, __u32 ioas, __u32 flags)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.create_access = { .flags = flags },
	};
	int rc = mock_call(fd, IOMMU_TEST_OP_CREATE_ACCESS, &cmd);

	return rc ? rc : (int)cmd.create_access.out_access_fd;
}

static inline int mock_access_pin(int fd, int access, __u64 iova, __u64 length,
				  const void *va, __u32 flags, __u32 *id)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};
	int rc = mock_call(fd, IOMMU_TEST_OP_ACCESS_PAGES, &cmd);

	*id = cmd.access_pages.out_access_pages_id;
	return rc;
}

static inline int mock_access_unpin(int fd, int access, __u32 id)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.destroy_access_pages = { .access_pages_id = id },
	};

	return mock_call(fd, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, &cmd);
}

static inline int mock_access_rw(int fd, int access, __u64 iova, __u64 length,
				 void *data, __u32 flags)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_rw = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)data,
			.flags = flags,
		},
	};

	return mock_call(fd, IOMMU_TEST_OP_ACCESS_RW, &cmd);
}

static inline int mock_access_replace(int fd, int access, __u32 ioas)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_replace_ioas = { .ioas_id = ioas },
	};

	return mock_call(fd, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, &cmd);
}

/* Bytes that the kernel may use for a batch of pages */
#define MOCK_MEMORY_DEFAULT 65536

static inline int mock_memory_limit(int fd, __u32 limit)
{
	struct iommu_test_cmd cmd = { .memory_limit = { .limit = limit } };

	return mock_call(fd, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, &cmd);
}

/* Let a device write the pages whose bits are set; @count says how many */
static inline int mock_make_dirty(int fd, __u32 hwpt, __u64 iova, __u64 length,
				  __u64 pgsize, const void *bitmap,
				  __u64 *count)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.dirty = {
			.iova = iova,
			.length = length,
			.page_size = pgsize,
			.uptr = (uintptr_t)bitmap,
		},
	};
	int rc = mock_call(fd, IOMMU_TEST_OP_DIRTY, &cmd);

	*count = cmd.dirty.out_nr_dirty;
	return rc;
}

/* Operations that are newer than the iommufd_test.h we are built with */
#define MOCK_OP_DMABUF_GET	22
#define MOCK_OP_DMABUF_REVOKE	23

static inline int mock_call2(int fd, __u32 op, __u32 arg0, __u32 arg1)
{
	union {
		struct iommu_test_cmd cmd;
		struct {
			__u32 head[4];
			__u32 arg[2];
		};
	} u = { .cmd = {} };

	u.arg[0] = arg0;
	u.arg[1] = arg1;
	return mock_call(fd, op, &u.cmd);
}

/* A new file descriptor, or a negative errno */
static inline int mock_dmabuf_get(int fd, __u32 length, __u32 open_flags)
{
	return mock_call2(fd, MOCK_OP_DMABUF_GET, length, open_flags);
}

static inline int mock_dmabuf_revoke(int fd, int dmabuf, bool revoked)
{
	return mock_call2(fd, MOCK_OP_DMABUF_REVOKE, dmabuf, revoked);
}

/* In @perm: more faults of the same group follow */
#define MOCK_FAULT_MORE		(1U << 31)

/* Let a device, or a PASID of it, have a page fault */
static inline int mock_fault(int fd, __u32 idev, __u32 pasid, __u32 grpid,
			     __u32 perm, __u64 addr)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = idev,
			.pasid = pasid,
			.grpid = grpid,
			.perm = perm,
			.addr = addr,
		},
	};

	return mock_call(fd, IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
}

#define MOCK_OP_CHECK_RESPONSE	0x10000

/* How often the faults with this index were answered, and what was said last */
static inline int mock_answers(int fd, __u32 idev, __u32 grpid, __u32 *code)
{
	union {
		struct iommu_test_cmd cmd;
		struct {
			__u32 head[4];
			__u32 dev_id;
			__u32 grpid;
			__u32 count;
			__u32 code;
		};
	} u = { .cmd = {} };
	int rc;

	u.dev_id = idev;
	u.grpid = grpid;
	rc = mock_call(fd, MOCK_OP_CHECK_RESPONSE, &u.cmd);
	*code = u.code;
	return rc ? rc : (int)u.count;
}

/*
 * In FIXTURE_SETUP(): open an iommufd that has the mock driver, or skip. Nothing
 * is short of memory at first
 */
#define MOCK_OPEN(fd)							\
do {									\
	int __mock;							\
									\
	(fd) = iommufd_open();						\
	ASSERT_LE(0, fd) {						\
		TH_LOG("/dev/iommu cannot be opened: is iommufd loaded?"); \
	}								\
	__mock = mock_memory_limit(fd, MOCK_MEMORY_DEFAULT);		\
	if (__mock == -ENOTTY)						\
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)"); \
	ASSERT_EQ(0, __mock);						\
} while (0)

#endif
