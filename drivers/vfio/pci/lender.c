// SPDX-License-Identifier: GPL-2.0-only
/*
 * What iommufd may have of BARs.
 *
 * Userspace maps what it has mapped from a BAR into an address space of
 * iommufd, like any memory; or a dma-buf of a BAR, see dmabuf.c. iommufd asks
 * here what is behind it, and is lent the BAR, see p2p.c.
 */
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static struct iommufd_mmio *vfio_pci_lend_vma(struct vm_area_struct *vma,
					      unsigned long uptr,
					      unsigned long length, u64 *offset)
{
	struct vfio_pci_core_device *vdev;
	struct iommufd_mmio *mmio;
	unsigned int bar;

	vdev = vfio_pci_vma_bar(vma, &bar, offset);
	if (!vdev)
		return NULL;
	*offset += uptr - vma->vm_start;

	/* The mapping keeps the device open, so that it is enabled */
	guard(rwsem_write)(&vdev->memory_lock);
	mmio = vfio_pci_p2p_lend(vdev, bar);
	return mmio ? mmio : ERR_PTR(-ENOMEM);
}

static struct iommufd_mmio_lender lender = {
	.get_vma = vfio_pci_lend_vma,
	.get_file = vfio_pci_dmabuf_lend,
};

/**
 * vfio_pci_lender_init - offer BARs to iommufd
 */
void vfio_pci_lender_init(void)
{
	iommufd_mmio_register_lender(&lender);
}

/**
 * vfio_pci_lender_exit - undo vfio_pci_lender_init()
 */
void vfio_pci_lender_exit(void)
{
	iommufd_mmio_unregister_lender(&lender);
}
