// SPDX-License-Identifier: GPL-2.0-only
/*
 * Splitting a read or write of a region into single accesses.
 */
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/vfio_pci_core.h>

#include "range.h"

/**
 * vfio_pci_range_step - the next step of a read or write
 * @off: offset in the region
 * @count: bytes that are left, at least 1
 * @hole: what must not be accessed
 * @max_width: widest access in bytes, a power of two
 *
 * An access is naturally aligned and as wide as alignment, @count, @hole and
 * @max_width allow: registers expect to be accessed whole.
 *
 * Return: the step.
 */
struct vfio_pci_step vfio_pci_range_step(u64 off, size_t count,
					 const struct vfio_pci_hole *hole,
					 unsigned int max_width)
{
	unsigned int width = max_width;
	u64 room = count;

	if (hole->start < hole->end) {
		if (off >= hole->start && off < hole->end)
			return (struct vfio_pci_step) {
				.len = min_t(u64, count, hole->end - off),
				.hole = true,
			};
		if (off < hole->start)
			room = min_t(u64, room, hole->start - off);
	}
	while (width > room || off & (width - 1))
		width >>= 1;
	return (struct vfio_pci_step) { .len = width };
}

/**
 * vfio_pci_range_overlaps - whether two ranges share a byte
 * @start: first byte of one
 * @len: its length
 * @other: first byte of the other
 * @other_len: its length
 *
 * Neither range may wrap around.
 *
 * Return: true if they do.
 */
bool vfio_pci_range_overlaps(u64 start, u64 len, u64 other, u64 other_len)
{
	return len && other_len && start <= other + (other_len - 1) &&
	       other <= start + (len - 1);
}

/**
 * vfio_pci_core_range_intersect_range - where an access meets a register
 * @buf_start: offset of the access
 * @buf_cnt: bytes of the access
 * @reg_start: offset of the register
 * @reg_cnt: bytes of the register
 * @buf_offset: on return, where in the access the common part begins
 * @intersect_count: on return, bytes in common
 * @register_offset: on return, where in the register the common part begins
 *
 * For drivers that emulate registers amid others.
 *
 * Return: whether there is a common part; if not, nothing is returned.
 */
bool vfio_pci_core_range_intersect_range(loff_t buf_start, size_t buf_cnt,
					 loff_t reg_start, size_t reg_cnt,
					 loff_t *buf_offset,
					 size_t *intersect_count,
					 size_t *register_offset)
{
	loff_t start = max(buf_start, reg_start);

	if (!vfio_pci_range_overlaps(buf_start, buf_cnt, reg_start, reg_cnt))
		return false;

	*buf_offset = start - buf_start;
	*register_offset = start - reg_start;
	*intersect_count = min(buf_cnt - (size_t)*buf_offset,
			       reg_cnt - *register_offset);
	return true;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_range_intersect_range);
