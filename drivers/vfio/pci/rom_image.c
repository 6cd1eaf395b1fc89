// SPDX-License-Identifier: GPL-2.0-only
/*
 * The images of an expansion ROM, one behind the other, as the PCI Firmware
 * Specification 3.3 has them in section 5.1.
 *
 * A user may have written the ROM. What it says of itself is followed only within
 * its window: behind that there may be nothing that could be read.
 */
#include <linux/minmax.h>

#include "rom_image.h"

/* The header of an image, and in it the place of the data structure */
#define ROM_HEADER_LEN		0x1a
#define ROM_HEADER_SIGNATURE	0xaa55
#define ROM_HEADER_DATA		0x18

/* The data structure: "PCIR" */
#define ROM_DATA_LEN		0x18
#define ROM_DATA_SIGNATURE	0x52494350
#define ROM_DATA_IMAGE_LEN	0x10
#define ROM_DATA_INDICATOR	0x15
#define ROM_DATA_LAST		0x80

#define ROM_UNIT		512

static bool vfio_pci_rom_has(const struct vfio_pci_rom *rom, size_t pos,
			     size_t len)
{
	return pos <= rom->size && len <= rom->size - pos;
}

static u32 vfio_pci_rom_get(const struct vfio_pci_rom *rom, size_t pos,
			    unsigned int width)
{
	u32 val = 0;

	while (width--)
		val = val << 8 | rom->read(rom->ctx, pos + width);
	return val;
}

/**
 * vfio_pci_rom_image_size - find the end of the images
 * @rom: the ROM
 *
 * Return: bytes of the window that have images, 0 if there is none. Where images
 * are longer than the window, that of the window.
 */
size_t vfio_pci_rom_image_size(const struct vfio_pci_rom *rom)
{
	size_t pos = 0, data, len;
	bool last;

	do {
		if (!vfio_pci_rom_has(rom, pos, ROM_HEADER_LEN) ||
		    vfio_pci_rom_get(rom, pos, 2) != ROM_HEADER_SIGNATURE)
			break;
		data = pos + vfio_pci_rom_get(rom, pos + ROM_HEADER_DATA, 2);
		if (!vfio_pci_rom_has(rom, data, ROM_DATA_LEN) ||
		    vfio_pci_rom_get(rom, data, 4) != ROM_DATA_SIGNATURE)
			break;
		len = ROM_UNIT *
		      vfio_pci_rom_get(rom, data + ROM_DATA_IMAGE_LEN, 2);
		last = vfio_pci_rom_get(rom, data + ROM_DATA_INDICATOR, 1) &
		       ROM_DATA_LAST;
		pos += len;
	} while (len && !last);
	return min(pos, rom->size);
}
