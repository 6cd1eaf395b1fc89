/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_DIRTY_GATHER_H
#define __IOMMUFD_DIRTY_GATHER_H

#include <linux/iommu.h>

/**
 * DOC: dirty pages without a bitmap
 *
 * IOMMU drivers that were built without CONFIG_IOMMUFD_DRIVER call an empty
 * iova_bitmap_set(), so that a bitmap which is handed to them stays clean. What they
 * find dirty does get into the gather, from which the IOTLB is flushed, but a gather
 * is one range and does not say what between its ends is clean. It is found out by
 * asking about smaller and smaller ranges.
 *
 * - A *leaf* is an entry of the page table that translates, and the IOVA that it
 *   does that for. It is dirty or clean as a whole.
 * - A *record* is what the driver tells of one dirty leaf.
 * - An *envelope* is what a gather has of the records of one call: from the first
 *   IOVA of the first record to the last one of the last record.
 * - A *look* is a call with IOMMU_DIRTY_NO_CLEAR, for an envelope.
 * - A *block* is a range whose size is a power of two, and that is aligned to it.
 *
 * This is what has to be true of a driver. It is, by their source, of all that can
 * track in Linux 6.12: VT-d's, AMD's and that of SMMUv3.
 *
 * 1. A leaf is a block, and all of the range is mapped.
 * 2. A call walks from leaf to leaf. It takes the IOVA that it starts with for the
 *    first one of a leaf, and what follows the size of that leaf for the first one of
 *    the next. It ends with the leaf that has the last IOVA of the range.
 * 3. Each dirty leaf is recorded, from where the walk stands, with its whole size. With
 *    IOMMU_DIRTY_NO_CLEAR that is all that happens.
 *
 * It is not true of the page tables that drivers share in newer kernels
 * (CONFIG_IOMMU_PT): they add to the gather only what they clear.
 *
 * The search looks at block after block, and at the blocks inside of those that have
 * something dirty. It keeps up the following:
 *
 * - A look starts at the first IOVA of a leaf, or at a block inside of a leaf that is
 *   larger than the block. For that leaf is a block, too, so that no other one has
 *   a part in a look that follows an empty one. Inside of a large leaf one look sees
 *   this leaf only (2.). If a device has written to it meanwhile, then the record is
 *   larger than what was looked at, and since the leaf is aligned to its size, the
 *   record tells where it really is (3.).
 * - No leaf is cleared before its bits are set: what is cleared is a run of leaves that
 *   were found dirty, one behind the other, and nothing else. A device may write as it
 *   likes: a page that it writes to is reported now, or is dirty for the next time.
 *   Another one who reads may clear a leaf at any time. Then a look in an envelope is
 *   empty, as for a clean leaf, and that one has reported it.
 */

/* log2 of how many blocks are in one of the next larger size */
#define DIRTY_FANOUT_SHIFT 5

/* Sizes of blocks that are larger than the smallest page */
#define DIRTY_LEVELS 3

int iommufd_dirty_gather_read(struct iommu_domain *domain, unsigned long start,
			      unsigned long last, unsigned long flags,
			      struct iommu_dirty_bitmap *dirty);

#endif
