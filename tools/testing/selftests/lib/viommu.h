/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls about virtual IOMMUs, a function each, as those of iommufd.h.
 */
#ifndef TEST_VIOMMU_H
#define TEST_VIOMMU_H

#include "iommufd.h"

static inline int viommu_alloc_data(int fd, __u32 dev, __u32 hwpt, __u32 type,
				    void *data, __u32 len, __u32 *viommu)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = dev,
		.hwpt_id = hwpt,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = call(fd, IOMMU_VIOMMU_ALLOC, &cmd);

	*viommu = cmd.out_viommu_id;
	return rc;
}

static inline int viommu_alloc(int fd, __u32 dev, __u32 hwpt, __u32 type,
			       __u32 *viommu)
{
	return viommu_alloc_data(fd, dev, hwpt, type, NULL, 0, viommu);
}

static inline int vdevice_alloc(int fd, __u32 viommu, __u32 dev, __u64 virt_id,
				__u32 *vdevice)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.dev_id = dev,
		.virt_id = virt_id,
	};
	int rc = call(fd, IOMMU_VDEVICE_ALLOC, &cmd);

	*vdevice = cmd.out_vdevice_id;
	return rc;
}

static inline int hw_queue_alloc(int fd, __u32 viommu, __u32 type, __u32 index,
				 __u64 iova, __u64 length, __u32 *queue)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = call(fd, IOMMU_HW_QUEUE_ALLOC, &cmd);

	*queue = cmd.out_hw_queue_id;
	return rc;
}

/* @file is closed by the caller if 0 is returned */
static inline int veventq_alloc(int fd, __u32 viommu, __u32 type, __u32 depth,
				__u32 *queue, int *file)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = call(fd, IOMMU_VEVENTQ_ALLOC, &cmd);

	*queue = cmd.out_veventq_id;
	*file = cmd.out_veventq_fd;
	return rc;
}

#endif
