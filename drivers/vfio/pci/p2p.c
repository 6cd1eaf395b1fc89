// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's memory as the target of other devices' DMA.
 *
 * Userspace maps what it has mapped from a BAR into an address space of
 * iommufd, like any memory; or a dma-buf of a BAR, see dmabuf.c. iommufd asks us
 * what is behind it. We lend it the BAR, and take it back whenever CPUs lose it,
 * too: see memory.c.
 */
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/**
 * vfio_pci_p2p_lend - get a BAR as lent memory
 * @vdev: an enabled device; memory_lock is held for writing
 * @bar: a BAR that can be mapped into userspace
 *
 * Return: the BAR with a reference, for iommufd_mmio_put(), or NULL if memory is
 * exhausted.
 */
struct iommufd_mmio *vfio_pci_p2p_lend(struct vfio_pci_core_device *vdev,
				       unsigned int bar)
{
	struct resource *res = &vdev->pdev->resource[bar];
	struct iommufd_mmio *mmio = vdev->lent_bar[bar];

	lockdep_assert_held_write(&vdev->memory_lock);

	if (!mmio) {
		mmio = iommufd_mmio_create(res->start,
					   PAGE_ALIGN(resource_size(res)));
		if (!mmio)
			return NULL;
		if (!vfio_pci_memory_enabled(vdev))
			iommufd_mmio_revoke(mmio);
		vdev->lent_bar[bar] = mmio;
	}
	iommufd_mmio_get(mmio);
	return mmio;
}

static struct iommufd_mmio *lend_vma(struct vm_area_struct *vma,
				     unsigned long uptr, unsigned long length,
				     u64 *offset)
{
	struct vfio_pci_core_device *vdev;
	struct iommufd_mmio *mmio;
	unsigned int bar;

	vdev = vfio_pci_vma_bar(vma, &bar, offset);
	if (!vdev)
		return NULL;
	*offset += uptr - vma->vm_start;

	/* The mapping keeps the device open, so that it is enabled. */
	guard(rwsem_write)(&vdev->memory_lock);
	mmio = vfio_pci_p2p_lend(vdev, bar);
	return mmio ? mmio : ERR_PTR(-ENOMEM);
}

static struct iommufd_mmio_lender lender = {
	.get_vma = lend_vma,
	.get_file = vfio_pci_dmabuf_lend,
};

/**
 * vfio_pci_p2p_revoke - take the BARs back from other devices
 * @vdev: an enabled device; memory_lock is held for writing
 */
void vfio_pci_p2p_revoke(struct vfio_pci_core_device *vdev)
{
	int bar;

	lockdep_assert_held_write(&vdev->memory_lock);

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (vdev->lent_bar[bar])
			iommufd_mmio_revoke(vdev->lent_bar[bar]);
	vfio_pci_dmabuf_revoke(vdev);
}

/**
 * vfio_pci_p2p_restore - lend the BARs again if the device's memory is there
 * @vdev: the device; memory_lock is held for writing
 */
void vfio_pci_p2p_restore(struct vfio_pci_core_device *vdev)
{
	int bar;

	lockdep_assert_held_write(&vdev->memory_lock);

	/* a hot reset comes here also for devices that are not enabled */
	if (!vdev->config || !vfio_pci_memory_enabled(vdev))
		return;
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (vdev->lent_bar[bar])
			iommufd_mmio_restore(vdev->lent_bar[bar]);
	vfio_pci_dmabuf_restore(vdev);
}

/**
 * vfio_pci_p2p_end - take the BARs back for good
 * @vdev: a device that is being disabled
 */
void vfio_pci_p2p_end(struct vfio_pci_core_device *vdev)
{
	int bar;

	guard(rwsem_write)(&vdev->memory_lock);
	vfio_pci_dmabuf_end(vdev);
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!vdev->lent_bar[bar])
			continue;
		iommufd_mmio_destroy(vdev->lent_bar[bar]);
		vdev->lent_bar[bar] = NULL;
	}
}

/**
 * vfio_pci_p2p_init - offer BARs to iommufd
 */
void vfio_pci_p2p_init(void)
{
	iommufd_mmio_register_lender(&lender);
}

/**
 * vfio_pci_p2p_exit - undo vfio_pci_p2p_init()
 */
void vfio_pci_p2p_exit(void)
{
	iommufd_mmio_unregister_lender(&lender);
}
