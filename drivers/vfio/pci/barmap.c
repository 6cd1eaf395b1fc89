// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs as the kernel maps them.
 */
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/**
 * vfio_pci_core_setup_barmap - map a BAR into the kernel
 * @vdev: an enabled device
 * @bar: 0 to 5
 *
 * The mapping stays until the device is disabled, so only the first call does
 * anything.
 *
 * Return: 0, -EBUSY if somebody else has claimed the BAR, -ENOMEM.
 */
int vfio_pci_core_setup_barmap(struct vfio_pci_core_device *vdev, int bar)
{
	struct pci_dev *pdev = vdev->pdev;
	void __iomem *io;
	int ret;

	/* Pairs with smp_store_release() below */
	if (smp_load_acquire(&vdev->barmap[bar]))
		return 0;

	guard(mutex)(&vdev->barmap_lock);
	if (vdev->barmap[bar])
		return 0;

	ret = pci_request_selected_regions(pdev, 1 << bar, "vfio");
	if (ret)
		return ret;
	io = pci_iomap(pdev, bar, 0);
	if (!io) {
		pci_release_selected_regions(pdev, 1 << bar);
		return -ENOMEM;
	}
	/* Pairs with smp_load_acquire() above */
	smp_store_release(&vdev->barmap[bar], io);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_setup_barmap);

/**
 * vfio_pci_release_barmaps - undo every vfio_pci_core_setup_barmap()
 * @vdev: a device that is being disabled
 */
void vfio_pci_release_barmaps(struct vfio_pci_core_device *vdev)
{
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!vdev->barmap[bar])
			continue;
		pci_iounmap(vdev->pdev, vdev->barmap[bar]);
		pci_release_selected_regions(vdev->pdev, 1 << bar);
		vdev->barmap[bar] = NULL;
	}
}
