/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the specification says about each capability.
 */
#ifndef __VFIO_PCI_CONFIG_CAPS_H__
#define __VFIO_PCI_CONFIG_CAPS_H__

#include <linux/types.h>

struct vfio_pci_config_desc;

/**
 * struct cfg_reg - permissions of one register
 * @off: offset in the capability or in the header
 * @width: bytes, 1, 2 or 4
 * @virt: bits that are virtual
 * @write: bits that the user may write
 * @sticky: bits that are RW1C
 */
struct cfg_reg {
	u8	off;
	u8	width;
	u32	virt;
	u32	write;
	u32	sticky;
};

/**
 * struct cfg_regs - registers with other permissions than read-only
 * @reg: the registers
 * @nr: entries of @reg
 */
struct cfg_regs {
	const struct cfg_reg	*reg;
	unsigned int		nr;
};

enum cfg_cap_kind {
	/* Taken out of the list, its registers read-only */
	CAP_HIDDEN = 0,
	/* Visible; registers that are not mentioned are read-only */
	CAP_SHOWN,
	/* Visible; everything behind the capability's header is writable */
	CAP_RAW,
};

/**
 * struct cfg_cap - how a capability is treated
 * @kind: visible or not
 * @len: bytes, if fixed
 * @len_fn: else, computes the number of bytes; a negative errno if the device
 *	    cannot be read
 * @regs: registers; the second ones are for capabilities with two layouts
 * @second: whether a capability of so many bytes has the second layout
 */
struct cfg_cap {
	enum cfg_cap_kind	kind;
	u16			len;
	int			(*len_fn)(const struct vfio_pci_config_desc *d,
					  unsigned int pos);
	struct cfg_regs		regs[2];
	bool			(*second)(unsigned int len);
};

extern const struct cfg_regs vfio_pci_header_regs;

const struct cfg_cap *vfio_pci_find_cap(bool extended, u16 id);
int vfio_pci_desc_read(const struct vfio_pci_config_desc *d, unsigned int pos,
		       u32 *val);

#endif
