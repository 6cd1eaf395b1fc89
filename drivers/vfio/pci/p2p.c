// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's memory as the target of other devices' DMA: a BAR is lent to
 * iommufd, and taken back whenever CPUs lose it, too, see memory.c.
 */
#include <linux/iommufd.h>
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
}

/**
 * vfio_pci_p2p_restore - lend the BARs again
 * @vdev: a device whose memory is there; memory_lock is held for writing
 */
void vfio_pci_p2p_restore(struct vfio_pci_core_device *vdev)
{
	int bar;

	lockdep_assert_held_write(&vdev->memory_lock);

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (vdev->lent_bar[bar])
			iommufd_mmio_restore(vdev->lent_bar[bar]);
}

/**
 * vfio_pci_p2p_end - take the BARs back for good
 * @vdev: a device that is being disabled; memory_lock is held for writing
 */
void vfio_pci_p2p_end(struct vfio_pci_core_device *vdev)
{
	int bar;

	lockdep_assert_held_write(&vdev->memory_lock);

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!vdev->lent_bar[bar])
			continue;
		iommufd_mmio_destroy(vdev->lent_bar[bar]);
		vdev->lent_bar[bar] = NULL;
	}
}
