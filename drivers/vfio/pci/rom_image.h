/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of the window of an expansion ROM has images.
 */
#ifndef __VFIO_PCI_ROM_IMAGE_H__
#define __VFIO_PCI_ROM_IMAGE_H__

#include <linux/types.h>

/**
 * struct vfio_pci_rom - a ROM that can be read
 * @read: one byte at @pos, which is within the window
 * @ctx: first argument of @read
 * @size: bytes of the window
 */
struct vfio_pci_rom {
	u8	(*read)(void *ctx, size_t pos);
	void	*ctx;
	size_t	size;
};

size_t vfio_pci_rom_image_size(const struct vfio_pci_rom *rom);

#endif
