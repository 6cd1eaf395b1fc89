// SPDX-License-Identifier: GPL-2.0-only
/*
 * Applying the permissions of configuration space to reads and writes.
 */
#include <linux/bits.h>
#include <linux/unaligned.h>

#include "config_perm.h"

/**
 * vfio_pci_config_virt - which bits of a register are virtual
 * @config: the permissions
 * @reg: position, a multiple of 4
 *
 * Return: the bits.
 */
u32 vfio_pci_config_virt(const struct vfio_pci_config *config, unsigned int reg)
{
	return get_unaligned_le32(config->virt + reg);
}

/**
 * vfio_pci_config_shadow - the shadow of a register
 * @config: the permissions
 * @reg: position, a multiple of 4
 *
 * Return: its value.
 */
u32 vfio_pci_config_shadow(const struct vfio_pci_config *config,
			   unsigned int reg)
{
	return get_unaligned_le32(config->shadow + reg);
}

/**
 * vfio_pci_config_set_shadow - change the shadow on the kernel's own account
 * @config: the permissions
 * @reg: position, a multiple of 4
 * @mask: bits to change
 * @val: their values
 */
void vfio_pci_config_set_shadow(struct vfio_pci_config *config,
				unsigned int reg, u32 mask, u32 val)
{
	u32 old = get_unaligned_le32(config->shadow + reg);

	put_unaligned_le32((old & ~mask) | (val & mask), config->shadow + reg);
}

/**
 * vfio_pci_config_merge - what the user reads from a register
 * @config: the permissions
 * @reg: position, a multiple of 4
 * @hw: what the device has there
 *
 * Return: the value, in place.
 */
u32 vfio_pci_config_merge(const struct vfio_pci_config *config,
			  unsigned int reg, u32 hw)
{
	u32 virt = vfio_pci_config_virt(config, reg);

	return (hw & ~virt) | (vfio_pci_config_shadow(config, reg) & virt);
}

/**
 * vfio_pci_config_write_shadow - the virtual part of a write by the user
 * @config: the permissions
 * @reg: position, a multiple of 4
 * @lanes: the bits that the access covers
 * @val: the value, in place
 */
void vfio_pci_config_write_shadow(struct vfio_pci_config *config,
				  unsigned int reg, u32 lanes, u32 val)
{
	u32 bits = lanes & vfio_pci_config_virt(config, reg) &
		   get_unaligned_le32(config->write + reg);

	vfio_pci_config_set_shadow(config, reg, bits, val);
}

/**
 * vfio_pci_config_hw_bits - which bits a write by the user changes in the device
 * @config: the permissions
 * @reg: position, a multiple of 4
 * @lanes: the bits that the access covers
 *
 * Return: the bits; none if the device need not be accessed.
 */
u32 vfio_pci_config_hw_bits(const struct vfio_pci_config *config,
			    unsigned int reg, u32 lanes)
{
	return lanes & get_unaligned_le32(config->write + reg) &
	       ~vfio_pci_config_virt(config, reg);
}

/**
 * vfio_pci_config_hw_value - what a write by the user puts into the device
 * @config: the permissions
 * @reg: position, a multiple of 4
 * @bits: the result of vfio_pci_config_hw_bits()
 * @hw: what the device has there
 * @val: the value, in place
 *
 * Return: the value, in place. Bits that the user may not write keep theirs,
 * except that RW1C bits are written as 0, which leaves them alone.
 */
u32 vfio_pci_config_hw_value(const struct vfio_pci_config *config,
			     unsigned int reg, u32 bits, u32 hw, u32 val)
{
	u32 keep = ~bits & ~get_unaligned_le32(config->sticky + reg);

	return (hw & keep) | (val & bits);
}

/**
 * vfio_pci_config_chunk - the size of the next access
 * @pos: position in configuration space
 * @count: bytes that are left
 *
 * Return: the largest naturally aligned access of at most 4 bytes.
 */
unsigned int vfio_pci_config_chunk(unsigned int pos, size_t count)
{
	if (count >= 4 && !(pos % 4))
		return 4;
	if (count >= 2 && !(pos % 2))
		return 2;
	return 1;
}

/**
 * vfio_pci_config_lanes - the bits of a register that an access covers
 * @pos: position of the access
 * @count: bytes, not beyond the next multiple of 4
 *
 * Return: the bits.
 */
u32 vfio_pci_config_lanes(unsigned int pos, unsigned int count)
{
	return (u32)GENMASK_ULL(8 * count - 1, 0) << (8 * (pos & 3));
}

/**
 * vfio_pci_config_next_write - split a write into accesses
 * @bits: the bits of the register that are to be written
 * @lane: byte of the register to start at; on return, where to write
 *
 * Bytes without a bit to write are left out: writing a neighbour back as it
 * was read is not harmless in hardware.
 *
 * Return: bytes to write at @lane (1, 2 or 4), or 0 at the end.
 */
unsigned int vfio_pci_config_next_write(u32 bits, unsigned int *lane)
{
	for (; *lane < 4; ++*lane) {
		u32 byte = 0xffU << (8 * *lane);

		if (!(bits & byte))
			continue;
		if (*lane == 0 && bits & 0xff00U && bits & 0xff0000U &&
		    bits & 0xff000000U)
			return 4;
		if (!(*lane & 1) && bits & (byte << 8))
			return 2;
		return 1;
	}
	return 0;
}
