// SPDX-License-Identifier: GPL-2.0-only
/*
 * read() and write() on regions, each of which another file implements. BARs are
 * here.
 */
#include <linux/nospec.h>
#include <linux/pm_runtime.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static ssize_t vfio_pci_bar_rw(struct vfio_pci_core_device *vdev,
			       char __user *buf, size_t count, loff_t *ppos,
			       bool iswrite)
{
	unsigned int bar = VFIO_PCI_OFFSET_TO_INDEX(*ppos);
	struct resource *res = &vdev->pdev->resource[bar];
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t hole = 0, hole_end = 0;
	void __iomem *io;
	ssize_t done;
	int ret;

	if (pos >= resource_size(res) || !res->start)
		return -EINVAL;
	count = min_t(u64, count, resource_size(res) - pos);

	/* Pairs with smp_store_release() in vfio_pci_core_setup_barmap() */
	io = smp_load_acquire(&vdev->barmap[bar]);
	if (!io) {
		ret = vfio_pci_core_setup_barmap(vdev, bar);
		if (ret)
			return ret;
		io = vdev->barmap[bar];
	}
	/* The vectors are the kernel's */
	if (bar == vdev->msix_bar) {
		hole = vdev->msix_offset;
		hole_end = hole + vdev->msix_size;
	}
	done = vfio_pci_core_do_io_rw(vdev, res->flags & IORESOURCE_MEM,
				      io, buf, pos, count, hole, hole_end,
				      iswrite, VFIO_PCI_IO_WIDTH_8);
	if (done > 0)
		*ppos += done;
	return done;
}

static ssize_t vfio_pci_region_rw(struct vfio_pci_core_device *vdev,
				  char __user *buf, size_t count, loff_t *ppos,
				  bool iswrite)
{
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX(*ppos);

	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return vfio_pci_config_rw(vdev, buf, count, ppos, iswrite);
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return vfio_pci_bar_rw(vdev, buf, count, ppos, iswrite);
	case VFIO_PCI_ROM_REGION_INDEX:
		if (iswrite)
			return -EINVAL;
		return vfio_pci_rom_read(vdev, buf, count, ppos);
	case VFIO_PCI_VGA_REGION_INDEX:
		return vfio_pci_vga_rw(vdev, buf, count, ppos, iswrite);
	}

	index = array_index_nospec(index - VFIO_PCI_NUM_REGIONS,
				   vdev->num_regions);
	return vdev->region[index].ops->rw(vdev, buf, count, ppos, iswrite);
}

static ssize_t vfio_pci_device_rw(struct vfio_pci_core_device *vdev,
				  char __user *buf, size_t count, loff_t *ppos,
				  bool iswrite)
{
	u64 index = VFIO_PCI_OFFSET_TO_INDEX((u64)*ppos);
	ssize_t ret;

	if (index >= VFIO_PCI_NUM_REGIONS + vdev->num_regions)
		return -EINVAL;
	if (!count)
		return 0;

	if (pm_runtime_resume_and_get(&vdev->pdev->dev)) {
		pci_info_ratelimited(vdev->pdev, "cannot resume the device for an access\n");
		return -EIO;
	}
	ret = vfio_pci_region_rw(vdev, buf, count, ppos, iswrite);
	pm_runtime_put(&vdev->pdev->dev);
	return ret;
}

/**
 * vfio_pci_core_read - read from a region
 * @core_vdev: the device
 * @buf: user memory
 * @count: bytes
 * @ppos: position in the device file: the region's index in the upper bits
 *
 * Return: bytes read, or a negative errno.
 */
ssize_t vfio_pci_core_read(struct vfio_device *core_vdev, char __user *buf,
			   size_t count, loff_t *ppos)
{
	return vfio_pci_device_rw(to_vfio_pci(core_vdev), buf, count, ppos,
				  false);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_read);

/**
 * vfio_pci_core_write - write to a region
 * @core_vdev: the device
 * @buf: user memory
 * @count: bytes
 * @ppos: position in the device file: the region's index in the upper bits
 *
 * Return: bytes written, or a negative errno.
 */
ssize_t vfio_pci_core_write(struct vfio_device *core_vdev,
			    const char __user *buf, size_t count, loff_t *ppos)
{
	return vfio_pci_device_rw(to_vfio_pci(core_vdev), (char __user *)buf,
				  count, ppos, true);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_write);
