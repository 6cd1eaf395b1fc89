/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regions of Intel integrated graphics.
 */
#ifndef __VFIO_PCI_IGD_H__
#define __VFIO_PCI_IGD_H__

#include <linux/errno.h>
#include <linux/types.h>

struct vfio_pci_core_device;

/**
 * struct vfio_pci_igd - the OpRegion as it was before anybody had the device
 * @error: there is none (-ENODEV), or it makes no sense (other errors)
 * @version: of the OpRegion
 * @base_size: bytes of the OpRegion
 * @vbt: physical address of the table outside of it
 * @vbt_size: bytes of that, 0 if there is none
 */
struct vfio_pci_igd {
	int	error;
	u16	version;
	u32	base_size;
	u64	vbt;
	u32	vbt_size;
};

#ifdef CONFIG_VFIO_PCI_IGD
void vfio_pci_igd_probe(struct vfio_pci_core_device *vdev,
			struct vfio_pci_igd *igd);
int vfio_pci_igd_init(struct vfio_pci_core_device *vdev,
		      const struct vfio_pci_igd *igd);
#else
static inline void vfio_pci_igd_probe(struct vfio_pci_core_device *vdev,
				      struct vfio_pci_igd *igd)
{
}

static inline int vfio_pci_igd_init(struct vfio_pci_core_device *vdev,
				    const struct vfio_pci_igd *igd)
{
	return -ENODEV;
}
#endif

#endif
