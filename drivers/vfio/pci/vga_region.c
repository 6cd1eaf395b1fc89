// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VGA region: the legacy VGA ranges at their fixed addresses, as offsets in
 * the region.
 */
#include <linux/io.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>
#include <linux/vgaarb.h>

#include "vfio_pci_priv.h"

/**
 * struct vga_range - one of the ranges
 * @start: first address, and offset in the region
 * @end: behind the last
 * @rsrc: what the arbiter calls it
 * @is_io: I/O ports
 */
struct vga_range {
	u32		start;
	u32		end;
	unsigned int	rsrc;
	bool		is_io;
};

/* Bytes that are moved while the arbiter is held once */
#define VGA_BATCH	128

static const struct vga_range vga_ranges[] = {
	{ 0x3b0, 0x3bc, VGA_RSRC_LEGACY_IO, true },
	{ 0x3c0, 0x3e0, VGA_RSRC_LEGACY_IO, true },
	{ 0xa0000, 0xc0000, VGA_RSRC_LEGACY_MEM, false },
};

static const struct vga_range *vfio_pci_vga_find_range(u64 pos)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vga_ranges); i++)
		if (pos >= vga_ranges[i].start && pos < vga_ranges[i].end)
			return &vga_ranges[i];
	return NULL;
}

static void __iomem *vfio_pci_vga_range_map(const struct vga_range *range)
{
	u32 len = range->end - range->start;

	return range->is_io ? ioport_map(range->start, len) :
			      ioremap(range->start, len);
}

static void vfio_pci_vga_range_unmap(const struct vga_range *range,
				     void __iomem *io)
{
	if (range->is_io)
		ioport_unmap(io);
	else
		iounmap(io);
}

/*
 * All displays of the machine, and so all their users, share the arbiter. So the
 * user's memory is touched before and after.
 */
static int vfio_pci_vga_range_rw_batch(struct vfio_pci_core_device *vdev,
				       const struct vga_range *range,
				       void __iomem *io, char __user *buf,
				       u64 off, size_t count, bool iswrite)
{
	u8 bounce[VGA_BATCH];
	int ret;

	if (iswrite && copy_from_user(bounce, buf, count))
		return -EFAULT;
	ret = vga_get_interruptible(vdev->pdev, range->rsrc);
	if (ret)
		return ret;
	/*
	 * The arbiter has opened the way here. Memory that the user disabled is
	 * not tested for: no device answers then, which these ranges permit.
	 */
	vfio_pci_io_move(io, bounce, off, count, iswrite, VFIO_PCI_IO_WIDTH_4);
	vga_put(vdev->pdev, range->rsrc);
	if (!iswrite && copy_to_user(buf, bounce, count))
		return -EFAULT;
	return 0;
}

static ssize_t vfio_pci_vga_range_rw(struct vfio_pci_core_device *vdev,
				     const struct vga_range *range,
				     void __iomem *io, char __user *buf,
				     u64 off, size_t count, bool iswrite)
{
	size_t done = 0;
	int ret = 0;

	while (done < count) {
		/* A batch ends where a register may end */
		size_t n = min_t(size_t, count - done,
				 VGA_BATCH - ((off + done) & 7));

		ret = vfio_pci_vga_range_rw_batch(vdev, range, io, buf + done,
						  off + done, n, iswrite);
		if (ret)
			break;
		done += n;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	/* As elsewhere, a fault says nothing of what was moved before it */
	return ret == -EFAULT || !done ? ret : done;
}

/**
 * vfio_pci_vga_rw - read or write the legacy VGA ranges
 * @vdev: an enabled device that is powered
 * @buf: user memory
 * @count: bytes
 * @ppos: position in the device file, advanced by what was done
 * @iswrite: to the device
 *
 * Return: bytes moved, which end with the range or where the caller is killed;
 * -EINVAL outside of the ranges, -EFAULT, -ENOMEM, -ERESTARTSYS.
 */
ssize_t vfio_pci_vga_rw(struct vfio_pci_core_device *vdev, char __user *buf,
			size_t count, loff_t *ppos, bool iswrite)
{
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	const struct vga_range *range;
	void __iomem *io;
	ssize_t done;

	if (!vdev->has_vga)
		return -EINVAL;
	range = vfio_pci_vga_find_range(pos);
	if (!range)
		return -EINVAL;
	count = min_t(u64, count, range->end - pos);

	io = vfio_pci_vga_range_map(range);
	if (!io)
		return -ENOMEM;
	done = vfio_pci_vga_range_rw(vdev, range, io, buf, pos - range->start,
				     count, iswrite);
	vfio_pci_vga_range_unmap(range, io);
	if (done > 0)
		*ppos += done;
	return done;
}
