/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctl of the mock IOMMU, CONFIG_IOMMUFD_TEST. Private between the kernel
 * and its selftests, and yet numbers and layouts are those of mainline 6.12 and
 * 7.2, so that the selftests of both run.
 */
#ifndef _UAPI_IOMMUFD_TEST_H
#define _UAPI_IOMMUFD_TEST_H

#include <linux/iommufd.h>
#include <linux/types.h>

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN,
	IOMMU_TEST_OP_MD_CHECK_MAP,
	IOMMU_TEST_OP_MD_CHECK_REFS,
	IOMMU_TEST_OP_CREATE_ACCESS,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
	IOMMU_TEST_OP_ACCESS_PAGES,
	IOMMU_TEST_OP_ACCESS_RW,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
	IOMMU_TEST_OP_DIRTY,
	IOMMU_TEST_OP_MD_CHECK_IOTLB,
	IOMMU_TEST_OP_TRIGGER_IOPF,
	IOMMU_TEST_OP_DEV_CHECK_CACHE,
	IOMMU_TEST_OP_TRIGGER_VEVENT,
	IOMMU_TEST_OP_PASID_ATTACH,
	IOMMU_TEST_OP_PASID_REPLACE,
	IOMMU_TEST_OP_PASID_DETACH,
	IOMMU_TEST_OP_PASID_CHECK_HWPT,
	IOMMU_TEST_OP_DMABUF_GET,
	IOMMU_TEST_OP_DMABUF_REVOKE,
	/* Ours: */
	IOMMU_TEST_OP_CHECK_RESPONSE = 0x10000,
};

/* iommu_hwpt_selftest.pagetable_type: which sizes of pages the table has */
enum {
	MOCK_IOMMUPT_DEFAULT = 0,
	MOCK_IOMMUPT_HUGE,
};

/* The two sizes are right where PAGE_SIZE is 4096 */
enum {
	MOCK_APERTURE_START = 1UL << 24,
	MOCK_APERTURE_LAST = (1UL << 31) - 1,
	MOCK_PAGE_SIZE = 2048,
	MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE,
};

/* access_pages.flags */
enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16,
};

/* access_rw.flags */
enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/* create_access.flags */
enum {
	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,
};

/* mock_domain_flags.dev_flags; 7.2 has no HUGE_IOVA, 6.12 has no PASID */
enum {
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_HUGE_IOVA = 1 << 1,
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
	/* Ours, at the other end: */
	/* Can track what it writes, it says, and has no table for that */
	MOCK_FLAGS_DEVICE_NO_DIRTY_TABLE = 1 << 25,
	/* Has no page faults */
	MOCK_FLAGS_DEVICE_NO_IOPF = 1 << 26,
	/* Its nest parents take only memory that it may write to */
	MOCK_FLAGS_DEVICE_NO_RO_NEST = 1 << 27,
	/* All such devices are in one group */
	MOCK_FLAGS_DEVICE_GROUPED = 1 << 28,
	/* Wants its cache coherency enforced, if a table can do that */
	MOCK_FLAGS_DEVICE_COHERENT = 1 << 29,
	/* Has two reserved ranges, 64 KiB at 1 and at 2 MiB of the aperture */
	MOCK_FLAGS_DEVICE_RESERVES = 1 << 30,
};

/* trigger_iopf.perm, of ours: not the last fault of its group */
#define MOCK_IOPF_NOT_LAST 0x80000000U

enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
};

enum {
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};

/* Attaching this PASID a second time fails */
#define IOMMU_TEST_PASID_RESERVED 1024

/* log2 of the number of PASIDs of a device with MOCK_FLAGS_DEVICE_PASID */
#define MOCK_PASID_WIDTH 20

/**
 * struct iommu_test_cmd - ioctl(IOMMU_TEST_CMD)
 * @size: sizeof(struct iommu_test_cmd)
 * @op: IOMMU_TEST_OP_*
 * @id: what it is about, see the member of the operation
 * @__reserved: ignored
 * @add_reserved: reserve IOVA in the IOAS @id
 * @mock_domain: make a device and attach it to the IOAS or hwpt @id; it goes
 *               when out_stdev_id is destroyed
 * @mock_domain_flags: the same for a device with some features
 * @mock_domain_replace: move the device whose out_stdev_id is @id; pt_id is
 *                       also output, the hwpt
 * @check_map: does the hwpt @id translate to the memory at uptr?
 * @check_refs: is the memory at uptr pinned refs times?
 * @create_access: make an access to the IOAS @id, which is a file; its
 *                 descriptor is @id of the other operations
 * @destroy_access_pages: undo access_pages
 * @access_pages: pin, which has to give the pages at uptr
 * @access_rw: copy between IOVA and uptr
 * @memory_limit: bytes that a temporary array of the kernel may have
 * @access_replace_ioas: move the access to another IOAS
 * @dirty: the device writes to the pages in the hwpt @id that are 1 in the
 *         bitmap at uptr; says how many of them are mapped
 * @check_iotlb: compare an entry of the IOTLB of the nested hwpt @id
 * @trigger_iopf: the device dev_id has a page fault
 * @check_response: how often were page faults of the device dev_id answered whose
 *                  grpid is this, modulo 64, and what was said to the last?
 * @check_dev_cache: compare an entry of the cache of the device @id
 * @trigger_vevent: the virtual IOMMU of the device dev_id has an event
 * @pasid_attach: attach a PASID of the device whose out_stdev_id is @id
 * @pasid_replace: as mock_domain_replace
 * @pasid_detach: undo pasid_attach
 * @pasid_check: is the PASID attached to this hwpt, or to none if it is 0?
 * @dmabuf_get: export a dma-buf; the ioctl returns its descriptor
 * @dmabuf_revoke: take the memory of the dma-buf away, or give it back
 * @last: ends the struct of all versions
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
		} mock_domain;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 dev_flags;
		} mock_domain_flags;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_access_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 access_pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_access_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
		struct {
			__u32 flags;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 page_size;
			__aligned_u64 uptr;
			__aligned_u64 out_nr_dirty;
		} dirty;
		struct {
			__u32 id;
			__u32 iotlb;
		} check_iotlb;
		struct {
			__u32 dev_id;
			__u32 pasid;
			__u32 grpid;
			__u32 perm;
			__u64 addr;
		} trigger_iopf;
		struct {
			__u32 dev_id;
			__u32 grpid;
			__u32 out_count;
			__u32 out_code;
			__u32 out_pasid;
		} check_response;
		struct {
			__u32 id;
			__u32 cache;
		} check_dev_cache;
		struct {
			__u32 dev_id;
		} trigger_vevent;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_attach;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_replace;
		struct {
			__u32 pasid;
		} pasid_detach;
		struct {
			__u32 pasid;
			__u32 hwpt_id;
		} pasid_check;
		struct {
			__u32 length;
			__u32 open_flags;
		} dmabuf_get;
		struct {
			__s32 dmabuf_fd;
			__u32 revoked;
		} dmabuf_revoke;
	};
	__u32 last;
};

/* What IOMMU_GET_HW_INFO says of a mock device */
#define IOMMU_HW_INFO_TYPE_SELFTEST 0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeef

/**
 * struct iommu_test_hw_info - data of IOMMU_HW_INFO_TYPE_SELFTEST
 * @flags: 0
 * @test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL
 */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

/* What the caches hold before the first invalidation */
#define IOMMU_TEST_IOTLB_DEFAULT 0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

#define IOMMU_HWPT_DATA_SELFTEST 0xdead

/**
 * struct iommu_hwpt_selftest - data of IOMMU_HWPT_DATA_SELFTEST
 * @iotlb: for a nested hwpt, what its IOTLB holds
 * @pagetable_type: for a paging hwpt, MOCK_IOMMUPT_*; not in 6.12
 */
struct iommu_hwpt_selftest {
	__u32 iotlb;
	__u32 pagetable_type;
};

#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

#define IOMMU_TEST_INVALIDATE_FLAG_ALL 1

/**
 * struct iommu_hwpt_invalidate_selftest - an entry of
 *                                         IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
 * @flags: IOMMU_TEST_INVALIDATE_FLAG_*
 * @iotlb_id: which entry of the IOTLB, without IOMMU_TEST_INVALIDATE_FLAG_ALL
 */
struct iommu_hwpt_invalidate_selftest {
	__u32 flags;
	__u32 iotlb_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

/**
 * struct iommu_viommu_selftest - data of IOMMU_VIOMMU_TYPE_SELFTEST
 * @in_data: anything
 * @out_data: the same
 * @out_mmap_offset: where in the file of the iommufd a page can be mapped that
 *                   begins with @in_data
 * @out_mmap_length: its size in bytes
 */
struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data;
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/**
 * struct iommu_viommu_invalidate_selftest - an entry of
 *	IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST
 * @flags: IOMMU_TEST_INVALIDATE_FLAG_*
 * @vdev_id: virtual id of the device
 * @cache_id: which entry of its cache, without IOMMU_TEST_INVALIDATE_FLAG_ALL
 */
struct iommu_viommu_invalidate_selftest {
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

/**
 * struct iommu_viommu_event_selftest - data of IOMMU_VEVENTQ_TYPE_SELFTEST
 * @virt_id: virtual id of the device
 */
struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
#define IOMMU_TEST_HW_QUEUE_MAX 2

#endif
