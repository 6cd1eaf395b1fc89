/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A software IOMMU and software devices behind it.
 */
#ifndef __IOMMUFD_MOCK_HARDWARE_H
#define __IOMMUFD_MOCK_HARDWARE_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/types.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/xarray.h>
#include <linux/xarray.h>

#include "../iommufd_test.h"

struct device;
struct iommu_user_data;
struct iommufd_viommu;
struct mutex;
struct platform_device;

/* Smaller than a page of the CPU, so that both sizes get tested */
#define MOCK_IO_PAGE_SIZE (PAGE_SIZE / 2)

/* What a device with MOCK_FLAGS_DEVICE_RESERVES has to itself: two ranges */
#define MOCK_RESERVED_LENGTH SZ_64K
#define MOCK_RESERVED_FIRST (MOCK_APERTURE_START + SZ_1M)
#define MOCK_RESERVED_SECOND (MOCK_APERTURE_START + SZ_2M)

/**
 * struct mock_response - the answers to groups of page faults with the same index
 * @count: how many
 * @code: an enum iommu_page_response_code, of the last one
 * @pasid: of the last one
 */
struct mock_response {
	atomic_t count;
	u32 code;
	u32 pasid;
};

/**
 * struct mock_device - a device that does DMA when it is told to
 * @pdev: the device as the kernel knows it
 * @flags: MOCK_FLAGS_DEVICE_*
 * @cache: what virtual IOMMUs invalidate
 * @pasids: domains that PASIDs are attached to
 * @refuse_pasid: IOMMU_TEST_PASID_RESERVED cannot be attached next time; under the
 *                lock of the group
 * @faulting: the PASIDs, and IOMMU_NO_PASID, whose domain has a handler of page
 *            faults; under the lock of the group
 * @responses: answers to page faults, by the index of the group modulo their number
 */
struct mock_device {
	struct platform_device *pdev;
	u32 flags;
	u32 cache[MOCK_DEV_CACHE_NUM];
	struct xarray pasids;
	bool refuse_pasid;
	struct xarray faulting;
	struct mock_response responses[64];
};

extern const struct iommu_domain_ops mock_domain_ops;
extern struct iommu_device mock_iommu;
extern struct mutex mock_group_lock;

struct mock_device *mock_device_create(u32 flags);
void mock_device_destroy(struct mock_device *mdev);
struct mock_device *mock_device_of(struct device *dev);

int mock_move_pasid(struct device *dev, ioasid_t pasid,
		    struct iommu_domain *old, struct iommu_domain *new);
int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
		       ioasid_t pasid, struct iommu_domain *old);
int mock_block_pasid(struct iommu_domain *domain, struct device *dev,
		     ioasid_t pasid, struct iommu_domain *old);
struct iommu_domain *
mock_domain_alloc_paging_flags(struct device *dev, u32 flags,
			       const struct iommu_user_data *user_data);
struct iommu_domain *mock_domain_alloc_paging(struct device *dev);
struct iommu_domain *
mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			 u32 flags, const struct iommu_user_data *user_data);
struct iommu_domain *
mock_nested_alloc(struct iommu_domain *parent, struct iommufd_viommu *viommu,
		  u32 flags, const struct iommu_user_data *user_data);
bool mock_nested_iotlb(struct iommu_domain *domain, unsigned int id,
		       u32 *iotlb);
bool mock_domain_is(const struct iommu_domain *domain);
bool mock_domain_suits(const struct iommu_domain *domain, struct device *dev);
bool mock_domain_tracks_dirty(const struct iommu_domain *domain);
bool mock_domain_write(struct iommu_domain *domain, unsigned long iova);

void mock_record_silently(struct iommu_dirty_bitmap *dirty, unsigned long iova,
			  unsigned long length);

int mock_iopf_init(void);
void mock_iopf_exit(void);
int mock_iopf_enable(struct device *dev);
void mock_iopf_disable(struct device *dev);
int mock_iopf_attach(struct device *dev, ioasid_t pasid,
		     struct iommu_domain *domain);
void mock_page_response(struct device *dev, struct iopf_fault *evt,
			struct iommu_page_response *msg);
struct mock_response *mock_response_of(struct mock_device *mdev, u32 grpid);
int mock_device_fault(struct mock_device *mdev,
		      const struct iommu_fault_page_request *fault, bool last);

/* Older kernels tell a driver when a device shall report faults, see compat/ */
#ifndef mock_iopf_at_attach
#define mock_iopf_at_attach	mock_iopf_enable
#define mock_iopf_at_detach	mock_iopf_disable
#endif

/* A kernel whose operation has other arguments defines these otherwise */
#ifndef MOCK_SET_DEV_PASID
#define MOCK_SET_DEV_PASID	mock_set_dev_pasid
#define MOCK_BLOCK_PASID	mock_block_pasid
#endif

/* A kernel that has one operation for both defines this otherwise */
#ifndef MOCK_DOMAIN_ALLOC_OPS
#define MOCK_DOMAIN_ALLOC_OPS						\
	.domain_alloc_paging_flags = mock_domain_alloc_paging_flags,	\
	.domain_alloc_nested = mock_domain_alloc_nested
#endif

unsigned int mock_iommu_expect_misuse(bool expect);

int mock_iommu_register(void);
void mock_iommu_unregister(void);

#endif
