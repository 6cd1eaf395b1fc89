// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfds: a write to a BAR that an eventfd triggers, so that a hypervisor
 * can hand a doorbell of its guest straight to the device.
 */
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "range.h"
#include "vfio_pci_priv.h"

/* Each takes a place in some wait queue; nobody has this many doorbells */
#define IOEVENTFDS_MAX	1000

/**
 * struct vfio_pci_ioeventfd - one write
 * @next: link in ioeventfds_list
 * @vdev: the device
 * @virqfd: watches the eventfd
 * @io: where
 * @data: what
 * @pos: offset in the BAR
 * @bar: 0 to 5
 * @width: 1, 2, 4 or 8 bytes
 * @test_mem: the BAR is in memory space
 */
struct vfio_pci_ioeventfd {
	struct list_head		next;
	struct vfio_pci_core_device	*vdev;
	struct virqfd			*virqfd;
	void __iomem			*io;
	u64				data;
	u64				pos;
	int				bar;
	unsigned int			width;
	bool				test_mem;
};

static void vfio_pci_ioeventfd_write(struct vfio_pci_ioeventfd *ioe)
{
	switch (ioe->width) {
	case 1:
		iowrite8(ioe->data, ioe->io);
		break;
	case 2:
		iowrite16(ioe->data, ioe->io);
		break;
	case 4:
		iowrite32(ioe->data, ioe->io);
		break;
	default:
		iowrite64(ioe->data, ioe->io);
	}
}

/* In atomic context: if the lock is not free, the thread waits for it */
static int vfio_pci_ioeventfd_handler(void *opaque, void *data)
{
	struct vfio_pci_ioeventfd *ioe = opaque;
	struct vfio_pci_core_device *vdev = ioe->vdev;

	if (!ioe->test_mem) {
		vfio_pci_ioeventfd_write(ioe);
		return 0;
	}
	if (!down_read_trylock(&vdev->memory_lock))
		return 1;
	if (vfio_pci_memory_enabled(vdev))
		vfio_pci_ioeventfd_write(ioe);
	up_read(&vdev->memory_lock);
	return 0;
}

static void vfio_pci_ioeventfd_thread(void *opaque, void *data)
{
	struct vfio_pci_ioeventfd *ioe = opaque;

	guard(rwsem_read)(&ioe->vdev->memory_lock);
	if (vfio_pci_memory_enabled(ioe->vdev))
		vfio_pci_ioeventfd_write(ioe);
}

static void vfio_pci_ioeventfd_destroy(struct vfio_pci_ioeventfd *ioe)
{
	vfio_virqfd_disable(&ioe->virqfd);
	list_del(&ioe->next);
	ioe->vdev->ioeventfds_nr--;
	kfree(ioe);
}

static int vfio_pci_ioeventfd_add(struct vfio_pci_core_device *vdev, int bar,
				  u64 pos, u64 data, unsigned int width, int fd)
{
	struct vfio_pci_ioeventfd *ioe;
	int ret;

	if (vdev->ioeventfds_nr >= IOEVENTFDS_MAX)
		return -ENOSPC;
	ret = vfio_pci_core_setup_barmap(vdev, bar);
	if (ret)
		return ret;
	ioe = kzalloc(sizeof(*ioe), GFP_KERNEL_ACCOUNT);
	if (!ioe)
		return -ENOMEM;
	ioe->vdev = vdev;
	ioe->io = vdev->barmap[bar] + pos;
	ioe->data = data;
	ioe->pos = pos;
	ioe->bar = bar;
	ioe->width = width;
	ioe->test_mem = pci_resource_flags(vdev->pdev, bar) & IORESOURCE_MEM;

	ret = vfio_virqfd_enable(ioe, vfio_pci_ioeventfd_handler,
				 vfio_pci_ioeventfd_thread, NULL, &ioe->virqfd,
				 fd);
	if (ret) {
		kfree(ioe);
		return ret;
	}
	list_add(&ioe->next, &vdev->ioeventfds_list);
	vdev->ioeventfds_nr++;
	return 0;
}

static int vfio_pci_ioeventfd_set(struct vfio_pci_core_device *vdev, int bar,
				  u64 pos, u64 data, unsigned int width, int fd)
{
	struct vfio_pci_ioeventfd *ioe;

	guard(mutex)(&vdev->ioeventfds_lock);

	list_for_each_entry(ioe, &vdev->ioeventfds_list, next) {
		if (ioe->pos != pos || ioe->bar != bar || ioe->data != data ||
		    ioe->width != width)
			continue;
		if (fd >= 0)
			return -EEXIST;
		vfio_pci_ioeventfd_destroy(ioe);
		return 0;
	}
	if (fd < 0)
		return -ENODEV;
	return vfio_pci_ioeventfd_add(vdev, bar, pos, data, width, fd);
}

/**
 * vfio_pci_ioeventfd - VFIO_DEVICE_IOEVENTFD
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_ioeventfd(struct vfio_pci_core_device *vdev,
		       struct vfio_device_ioeventfd __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_ioeventfd, fd);
	struct vfio_device_ioeventfd ioe;
	unsigned int width;
	u64 index, pos;

	if (copy_from_user(&ioe, arg, minsz))
		return -EFAULT;
	if (ioe.argsz < minsz)
		return -EINVAL;
	if (ioe.flags & ~VFIO_DEVICE_IOEVENTFD_SIZE_MASK)
		return -EINVAL;
	/* The flag of a width is the width */
	width = ioe.flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	if (hweight8(width) != 1 || ioe.fd < -1)
		return -EINVAL;

	index = VFIO_PCI_OFFSET_TO_INDEX(ioe.offset);
	pos = ioe.offset & VFIO_PCI_OFFSET_MASK;
	if (index > VFIO_PCI_BAR5_REGION_INDEX)
		return -EINVAL;
	/* Registers are written whole, and a page fault must not be needed */
	if (!pci_resource_start(vdev->pdev, index) || pos & (width - 1) ||
	    pos + width > pci_resource_len(vdev->pdev, index))
		return -EINVAL;
	/* The vectors are the kernel's */
	if (index == vdev->msix_bar &&
	    vfio_pci_range_overlaps(pos, width, vdev->msix_offset,
				    vdev->msix_size))
		return -EINVAL;
	return vfio_pci_ioeventfd_set(vdev, index, pos, ioe.data, width,
				      ioe.fd);
}

/**
 * vfio_pci_ioeventfds_release - remove all ioeventfds
 * @vdev: a device that is being disabled
 */
void vfio_pci_ioeventfds_release(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_ioeventfd *ioe, *tmp;

	guard(mutex)(&vdev->ioeventfds_lock);
	list_for_each_entry_safe(ioe, tmp, &vdev->ioeventfds_list, next)
		vfio_pci_ioeventfd_destroy(ioe);
}
