/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel that was configured for an iommufd of its own has these built in, for
 * its IOMMU drivers. That may lose a bit where the user's memory is not there, and
 * takes no dirt that begins before the bitmap does, so that ours is used, under
 * other names.
 */
#ifndef _COMPAT_LINUX_IOVA_BITMAP_H
#define _COMPAT_LINUX_IOVA_BITMAP_H

#ifdef CONFIG_IOMMUFD_DRIVERS_FOREIGN
#define iova_bitmap_alloc	iommufd_iova_bitmap_alloc
#define iova_bitmap_free	iommufd_iova_bitmap_free
#define iova_bitmap_for_each	iommufd_iova_bitmap_for_each
#define iova_bitmap_set		iommufd_iova_bitmap_set
#endif

#include_next <linux/iova_bitmap.h>

#endif
