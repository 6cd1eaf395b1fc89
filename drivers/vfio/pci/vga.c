// SPDX-License-Identifier: GPL-2.0-only
/*
 * VGA adapters: taking them from the console, and taking turns at the legacy
 * VGA ranges, of which a machine has one set for all.
 */
#include <linux/aperture.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>
#include <linux/vgaarb.h>

#include "vfio_pci_priv.h"

#define VGA_NORMAL	(VGA_RSRC_NORMAL_IO | VGA_RSRC_NORMAL_MEM)
#define VGA_LEGACY	(VGA_RSRC_LEGACY_IO | VGA_RSRC_LEGACY_MEM)

static bool vga_is_disabled;

/**
 * vfio_pci_vga_disable - choose whether devices have VGA regions
 * @disable: they have none, from now on
 */
void vfio_pci_vga_disable(bool disable)
{
	vga_is_disabled = disable;
}

/**
 * vfio_pci_vga_disabled - whether devices have no VGA regions
 *
 * Return: true if they have none.
 */
bool vfio_pci_vga_disabled(void)
{
	return !IS_ENABLED(CONFIG_VFIO_PCI_VGA) || vga_is_disabled;
}

/**
 * vfio_pci_is_vga - whether a device may decode the legacy VGA ranges
 * @pdev: the device
 *
 * Return: true if so.
 */
bool vfio_pci_is_vga(struct pci_dev *pdev)
{
	return pdev->class >> 8 == PCI_CLASS_DISPLAY_VGA;
}

static bool vfio_pci_vga_is_below(struct pci_bus *bus, struct pci_bus *top)
{
	for (; bus; bus = bus->parent)
		if (bus == top)
			return true;
	return false;
}

/*
 * What a device decodes, as seen by the arbiter. Without a VGA region nobody
 * uses the legacy ranges of this device, and its bridge can be closed to them,
 * unless another adapter behind the same bridge needs it open.
 */
static unsigned int vfio_pci_vga_set_decode(struct pci_dev *pdev,
					    bool single_vga)
{
	struct pci_dev *other = NULL;
	bool shared = false;

	if (single_vga || !vfio_pci_vga_disabled() ||
	    pci_is_root_bus(pdev->bus))
		return VGA_NORMAL | VGA_LEGACY;

	while ((other = pci_get_class(PCI_CLASS_DISPLAY_VGA << 8, other)))
		if (other != pdev &&
		    vfio_pci_vga_is_below(other->bus, pdev->bus))
			shared = true;
	return shared ? VGA_NORMAL | VGA_LEGACY : VGA_NORMAL;
}

/**
 * vfio_pci_vga_register - take a VGA adapter
 * @vdev: a device that is being registered
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_vga_register(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	if (!vfio_pci_is_vga(pdev))
		return 0;

	/* A firmware framebuffer would go on drawing to its BAR */
	ret = aperture_remove_conflicting_pci_devices(pdev,
						      vdev->vdev.ops->name);
	if (ret)
		return ret;
	ret = vga_client_register(pdev, vfio_pci_vga_set_decode);
	if (ret)
		return ret;
	vga_set_legacy_decoding(pdev, vfio_pci_vga_set_decode(pdev, false));
	return 0;
}

/**
 * vfio_pci_vga_unregister - undo vfio_pci_vga_register()
 * @vdev: a device without users
 */
void vfio_pci_vga_unregister(struct vfio_pci_core_device *vdev)
{
	if (!vfio_pci_is_vga(vdev->pdev))
		return;
	vga_client_unregister(vdev->pdev);
	vga_set_legacy_decoding(vdev->pdev, VGA_NORMAL | VGA_LEGACY);
}
