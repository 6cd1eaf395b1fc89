/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Splitting a read or write of a region into single accesses.
 */
#ifndef __VFIO_PCI_RANGE_H__
#define __VFIO_PCI_RANGE_H__

#include <linux/types.h>

/**
 * struct vfio_pci_hole - a part of a region that is not accessible
 * @start: offset of its first byte
 * @end: offset behind its last byte; no more than @start if there is no hole
 */
struct vfio_pci_hole {
	u64	start;
	u64	end;
};

/**
 * struct vfio_pci_step - one access, or one run of bytes that are not accessed
 * @len: bytes; for an access 1, 2, 4 or 8
 * @hole: the bytes are in the hole
 */
struct vfio_pci_step {
	size_t	len;
	bool	hole;
};

struct vfio_pci_step vfio_pci_range_step(u64 off, size_t count,
					 const struct vfio_pci_hole *hole,
					 unsigned int max_width);
bool vfio_pci_range_overlaps(u64 start, u64 len, u64 other, u64 other_len);

#endif
