/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regions of Intel integrated graphics.
 */
#ifndef __VFIO_PCI_IGD_H__
#define __VFIO_PCI_IGD_H__

#include <linux/errno.h>

struct vfio_pci_core_device;

#ifdef CONFIG_VFIO_PCI_IGD
int vfio_pci_igd_init(struct vfio_pci_core_device *vdev);
#else
static inline int vfio_pci_igd_init(struct vfio_pci_core_device *vdev)
{
	return -ENODEV;
}
#endif

#endif
