/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns each bit of configuration space: the user, the hardware or nobody.
 */
#ifndef __VFIO_PCI_CONFIG_PERM_H__
#define __VFIO_PCI_CONFIG_PERM_H__

#include <linux/bitmap.h>
#include <linux/pci.h>
#include <linux/types.h>

/**
 * DOC: Permissions of configuration space
 *
 * Configuration space is a plain array of bytes, and so are the permissions:
 * four arrays of the same size, in the same (little endian) layout.
 *
 * - virt: the bit is *virtual*. The user reads it from the shadow, not from the
 *   device.
 * - write: the user may write the bit. The write goes to the shadow if the bit
 *   is virtual, else to the device. Writes to other bits are dropped.
 * - sticky: the device clears the bit when 1 is written (RW1C). Such a bit must
 *   never be written back as it was read.
 * - shadow: the values of virtual bits.
 *
 * Bytes that belong to neither the header nor a capability are *unclaimed*:
 * vendors keep registers there that their drivers need, so they go through to
 * the device as they are, as long as the admission of the whole device lets
 * them. Capabilities that the user must not know of are *hidden*: they are
 * taken out of the linked list, and their bytes are read-only.
 *
 * Everything here works on images and descriptions, never on a device, so that
 * it can be tested without one.
 */

/**
 * struct vfio_pci_config - permissions and shadow of one configuration space
 * @size: bytes, 256 or 4096
 * @shadow: values of virtual bits
 * @virt: bits that are virtual
 * @write: bits that the user may write
 * @sticky: bits that are RW1C in the device
 * @claimed: bytes that belong to the header or to a capability
 * @pm: position of the power management capability, 0 if there is none
 * @vpd: position of the vital product data capability, or 0
 * @msi: position of the MSI capability, or 0
 * @msi_mask: position of the Mask Bits of @msi, or 0
 * @msi_qmax: log2 of the number of MSI vectors that the device has
 * @msix: position of the MSI-X capability, or 0
 * @exp: position of the PCI Express capability, or 0
 * @af: position of the advanced features capability, or 0
 */
struct vfio_pci_config {
	unsigned int	size;
	u8		*shadow;
	u8		*virt;
	u8		*write;
	u8		*sticky;
	u8		*claimed;
	u8		pm;
	u8		vpd;
	u8		msi;
	u8		msi_mask;
	u8		msi_qmax;
	u8		msix;
	u8		exp;
	u8		af;
};

/**
 * struct vfio_pci_bar_desc - one base address register
 * @size: bytes of address space, a power of two; 0 if not implemented
 * @flags: the read-only low bits of the register
 */
struct vfio_pci_bar_desc {
	u64	size;
	u32	flags;
};

/**
 * struct vfio_pci_config_seen - what a device said of itself at first
 * @known: registers that were read, by position / 4
 * @val: what they had
 *
 * Where the capabilities are, and how long each is, decides what the user may
 * write. A device that a user has had is not asked for that again: there are
 * devices whose registers are in their memory, too.
 */
struct vfio_pci_config_seen {
	DECLARE_BITMAP(known, PCI_CFG_SPACE_EXP_SIZE / 4);
	u32	val[PCI_CFG_SPACE_EXP_SIZE / 4];
};

/* Where an Intel display has the address of its OpRegion: 4 bytes */
#define PCI_INTEL_ASLS	0xfc

/**
 * struct vfio_pci_config_desc - what the permissions are built from
 * @size: bytes of configuration space, 256 or 4096
 * @read: read the aligned 32 bits at @pos; 0 or a negative errno
 * @seen: optional, goes before what @read finds; completed by what is read to
 *	  find the capabilities
 * @hide: optional, told about each capability that is hidden
 * @ctx: first argument of @read and @hide
 * @vendor: vendor id (that of a VF cannot be read from it)
 * @device: device id
 * @is_virtfn: the device is a virtual function
 * @no_command_memory: Memory Space Enable is not implemented
 * @no_intx: the device looks as if it had no interrupt pin
 * @intel_display: ASLS, the address of the OpRegion, is the kernel's
 * @asls: what the user finds in it
 * @bar: the BARs; the upper half of a 64-bit BAR is an entry without size
 * @rom: the expansion ROM BAR, with no flags
 */
struct vfio_pci_config_desc {
	unsigned int	size;
	int		(*read)(void *ctx, unsigned int pos, u32 *val);
	struct vfio_pci_config_seen *seen;
	void		(*hide)(void *ctx, bool extended, u16 id, u16 pos);
	void		*ctx;
	u16		vendor;
	u16		device;
	bool		is_virtfn;
	bool		no_command_memory;
	bool		no_intx;
	bool		intel_display;
	u32		asls;
	struct vfio_pci_bar_desc bar[PCI_STD_NUM_BARS];
	struct vfio_pci_bar_desc rom;
};

struct vfio_pci_config *
vfio_pci_config_build(const struct vfio_pci_config_desc *desc);
void vfio_pci_config_destroy(struct vfio_pci_config *config);

u32 vfio_pci_config_merge(const struct vfio_pci_config *config,
			  unsigned int reg, u32 hw);
u32 vfio_pci_config_virt(const struct vfio_pci_config *config,
			 unsigned int reg);
u32 vfio_pci_config_shadow(const struct vfio_pci_config *config,
			   unsigned int reg);
void vfio_pci_config_set_shadow(struct vfio_pci_config *config,
				unsigned int reg, u32 mask, u32 val);
void vfio_pci_config_write_shadow(struct vfio_pci_config *config,
				  unsigned int reg, u32 lanes, u32 val);
u32 vfio_pci_config_hw_bits(const struct vfio_pci_config *config,
			    unsigned int reg, u32 lanes);
u32 vfio_pci_config_hw_value(const struct vfio_pci_config *config,
			     unsigned int reg, u32 bits, u32 hw, u32 val);

unsigned int vfio_pci_config_chunk(unsigned int pos, size_t count);
u32 vfio_pci_config_lanes(unsigned int pos, unsigned int count);
unsigned int vfio_pci_config_next_write(u32 bits, unsigned int *lane);

#endif
