// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the mock IOMMU driver finds dirty, when it is to report it as drivers do in
 * kernels without IOMMUFD. This file alone is compiled as they are.
 */
#undef CONFIG_IOMMUFD_DRIVER

#include <linux/iommu.h>

#include "hardware.h"

/**
 * mock_record_silently - report a dirty leaf to a bitmap that is never told
 * @dirty: the bitmap, and the gather
 * @iova: first IOVA
 * @length: bytes
 */
void mock_record_silently(struct iommu_dirty_bitmap *dirty, unsigned long iova,
			  unsigned long length)
{
	iommu_dirty_bitmap_record(dirty, iova, length);
}
