// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of a device: each region is mapped by the user, or read and
 * written in accesses of at most 4 bytes.
 */
#include <linux/ioport.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_platform_priv.h"

/* Widest single access */
#define MAX_WIDTH	4

static u32 vfio_platform_region_flags(const struct resource *res)
{
	u32 flags = VFIO_REGION_INFO_FLAG_READ;

	if (resource_type(res) != IORESOURCE_MEM)
		return 0;
	if (!(res->flags & IORESOURCE_READONLY))
		flags |= VFIO_REGION_INFO_FLAG_WRITE;
	/* what else is in those pages is another device's */
	if (PAGE_ALIGNED(res->start) && PAGE_ALIGNED(resource_size(res)))
		flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return flags;
}

/**
 * vfio_platform_regions_init - find the regions of a device
 * @vpd: a device that is not registered yet
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_platform_regions_init(struct vfio_platform_device *vpd)
{
	struct device *dev = vpd->vdev.dev;
	struct resource *res;
	unsigned int i, n = 0;

	while (vpd->bus->region(dev, n))
		n++;
	vpd->regions = kcalloc(n, sizeof(*vpd->regions), GFP_KERNEL_ACCOUNT);
	if (!vpd->regions)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		res = vpd->bus->region(dev, i);
		vpd->regions[i].phys = res->start;
		vpd->regions[i].size = resource_size(res);
		vpd->regions[i].flags = vfio_platform_region_flags(res);
	}
	vpd->num_regions = n;
	return 0;
}

/**
 * vfio_platform_region_io - the registers of a region
 * @vpd: a device that is resumed; its lock is held
 * @index: of the region
 *
 * Return: where they are mapped until the device is closed, or NULL if there is
 * no such region, or no room.
 */
void __iomem *vfio_platform_region_io(struct vfio_platform_device *vpd,
				      unsigned int index)
{
	struct vfio_platform_region *region;

	lockdep_assert_held(&vpd->lock);

	if (index >= vpd->num_regions)
		return NULL;
	region = &vpd->regions[index];
	if (!region->io && region->flags)
		region->io = ioremap(region->phys, region->size);
	return region->io;
}
EXPORT_SYMBOL_GPL(vfio_platform_region_io);

/**
 * vfio_platform_regions_unmap - undo what vfio_platform_region_io() has done
 * @vpd: a device that nobody uses any more; its lock is held
 */
void vfio_platform_regions_unmap(struct vfio_platform_device *vpd)
{
	unsigned int i;

	lockdep_assert_held(&vpd->lock);

	for (i = 0; i < vpd->num_regions; i++) {
		if (vpd->regions[i].io)
			iounmap(vpd->regions[i].io);
		vpd->regions[i].io = NULL;
	}
}

/**
 * vfio_platform_region_info - VFIO_DEVICE_GET_REGION_INFO
 * @vpd: the device
 * @arg: the user's argument
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int vfio_platform_region_info(struct vfio_platform_device *vpd,
			      struct vfio_region_info __user *arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= vpd->num_regions)
		return -EINVAL;
	info.offset = (u64)info.index << VFIO_PLATFORM_OFFSET_SHIFT;
	info.size = vpd->regions[info.index].size;
	info.flags = vpd->regions[info.index].flags;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static size_t vfio_platform_width(u64 off, size_t count)
{
	size_t width = MAX_WIDTH;

	while (width > count || off % width)
		width /= 2;
	return width;
}

static int vfio_platform_read_one(void __iomem *io, char __user *buf,
				  size_t width)
{
	u32 val32;
	u16 val16;
	u8 val8;

	switch (width) {
	case 4:
		val32 = ioread32(io);
		return copy_to_user(buf, &val32, width);
	case 2:
		val16 = ioread16(io);
		return copy_to_user(buf, &val16, width);
	default:
		val8 = ioread8(io);
		return copy_to_user(buf, &val8, width);
	}
}

static int vfio_platform_write_one(void __iomem *io, const char __user *buf,
				   size_t width)
{
	u32 val32;
	u16 val16;
	u8 val8;

	switch (width) {
	case 4:
		if (copy_from_user(&val32, buf, width))
			return -EFAULT;
		iowrite32(val32, io);
		return 0;
	case 2:
		if (copy_from_user(&val16, buf, width))
			return -EFAULT;
		iowrite16(val16, io);
		return 0;
	default:
		if (copy_from_user(&val8, buf, width))
			return -EFAULT;
		iowrite8(val8, io);
		return 0;
	}
}

/**
 * vfio_platform_region_rw - read() and write() of a device's file
 * @vpd: the device
 * @buf: the user's buffer
 * @count: how many bytes
 * @ppos: from where on; advanced by what is returned
 * @iswrite: write
 *
 * Each access is as wide as its alignment and what is left allow. Without a
 * lock: a user who resets a device and uses it at the same time gets what the
 * device makes of it.
 *
 * Return: the bytes that were moved, fewer at the end of the region, after a
 * fault or when the caller is killed; else -EINVAL, -ENOMEM or -EFAULT.
 */
ssize_t vfio_platform_region_rw(struct vfio_platform_device *vpd,
				char __user *buf, size_t count, loff_t *ppos,
				bool iswrite)
{
	u64 index = (u64)*ppos >> VFIO_PLATFORM_OFFSET_SHIFT;
	u64 off = *ppos & VFIO_PLATFORM_OFFSET_MASK;
	struct vfio_platform_region *region;
	void __iomem *io;
	size_t done, width;
	int ret = 0;

	if (index >= vpd->num_regions)
		return -EINVAL;
	region = &vpd->regions[index];
	if (!(region->flags & (iswrite ? VFIO_REGION_INFO_FLAG_WRITE :
					 VFIO_REGION_INFO_FLAG_READ)))
		return -EINVAL;
	if (off >= region->size)
		return -EINVAL;
	count = min_t(u64, count, region->size - off);

	scoped_guard(mutex, &vpd->lock)
		io = vfio_platform_region_io(vpd, index);
	if (!io)
		return -ENOMEM;
	for (done = 0; done < count; done += width) {
		if (done && fatal_signal_pending(current))
			break;
		width = vfio_platform_width(off + done, count - done);
		if (iswrite)
			ret = vfio_platform_write_one(io + off + done,
						      buf + done, width);
		else
			ret = vfio_platform_read_one(io + off + done,
						     buf + done, width);
		if (ret)
			break;
		cond_resched();
	}
	if (ret && !done)
		return -EFAULT;
	*ppos += done;
	return done;
}

/**
 * vfio_platform_region_mmap - mmap() of a device's file
 * @vpd: the device
 * @vma: what is to be mapped
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int vfio_platform_region_mmap(struct vfio_platform_device *vpd,
			      struct vm_area_struct *vma)
{
	const unsigned int shift = VFIO_PLATFORM_OFFSET_SHIFT - PAGE_SHIFT;
	u64 size = vma->vm_end - vma->vm_start;
	struct vfio_platform_region *region;
	u64 index, off;

	index = vma->vm_pgoff >> shift;
	off = (u64)(vma->vm_pgoff & GENMASK(shift - 1, 0)) << PAGE_SHIFT;
	if (index >= vpd->num_regions || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	region = &vpd->regions[index];
	if (!(region->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -EINVAL;
	if (!(region->flags & VFIO_REGION_INFO_FLAG_WRITE)) {
		if (vma->vm_flags & VM_WRITE)
			return -EINVAL;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	if (off >= region->size || size > region->size - off)
		return -EINVAL;

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return remap_pfn_range(vma, vma->vm_start,
			       (region->phys + off) >> PAGE_SHIFT, size,
			       vma->vm_page_prot);
}
