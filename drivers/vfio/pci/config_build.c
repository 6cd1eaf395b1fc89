// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building the permissions of configuration space: walk the capabilities of a
 * device, and look each up.
 */
#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "config_caps.h"
#include "config_perm.h"

/* As many capabilities as there is room for */
#define STD_CAPS_MAX	((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / 4)
#define EXT_CAPS_MAX	((PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 4)

/* The vendor id of CXL in DVSEC headers */
#define DVSEC_VENDOR_CXL	0x1e98

static void vfio_pci_build_claim(struct vfio_pci_config *c, unsigned int pos,
				 unsigned int len)
{
	memset(c->claimed + pos, 1, len);
	memset(c->write + pos, 0, len);
	memset(c->virt + pos, 0, len);
	memset(c->sticky + pos, 0, len);
}

static void vfio_pci_build_set_reg(struct vfio_pci_config *c, unsigned int pos,
				   const struct cfg_reg *reg)
{
	unsigned int i;

	for (i = 0; i < reg->width; i++) {
		c->virt[pos + reg->off + i] = reg->virt >> (8 * i);
		c->write[pos + reg->off + i] = reg->write >> (8 * i);
		c->sticky[pos + reg->off + i] = reg->sticky >> (8 * i);
	}
}

static void vfio_pci_build_set_regs(struct vfio_pci_config *c, unsigned int pos,
				    unsigned int len,
				    const struct cfg_regs *regs)
{
	unsigned int i;

	/* A table may describe more registers than this device has */
	for (i = 0; i < regs->nr; i++)
		if (regs->reg[i].off + regs->reg[i].width <= len)
			vfio_pci_build_set_reg(c, pos, &regs->reg[i]);
}

/*
 * BARs are virtual, and writable exactly where an address has bits: that is all
 * there is to the sizing protocol.
 */
static void vfio_pci_build_header_bars(struct vfio_pci_config *c,
				       const struct vfio_pci_config_desc *d)
{
	unsigned int i;
	u64 upper = 0;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct vfio_pci_bar_desc *bar = &d->bar[i];
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
		u64 addr = bar->size ? ~(bar->size - 1) : 0;
		u32 low = addr & PCI_BASE_ADDRESS_MEM_MASK;

		if (bar->flags & PCI_BASE_ADDRESS_SPACE_IO)
			low = addr & PCI_BASE_ADDRESS_IO_MASK;
		if (upper)
			low = upper;
		put_unaligned_le32(~0U, c->virt + reg);
		put_unaligned_le32(low, c->write + reg);

		upper = 0;
		if (bar->size && !(bar->flags & PCI_BASE_ADDRESS_SPACE_IO) &&
		    bar->flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
			upper = upper_32_bits(addr);
	}

	put_unaligned_le32(~0U, c->virt + PCI_ROM_ADDRESS);
	if (d->rom.size)
		put_unaligned_le32((~(d->rom.size - 1) & PCI_ROM_ADDRESS_MASK) |
				   PCI_ROM_ADDRESS_ENABLE,
				   c->write + PCI_ROM_ADDRESS);
}

static void vfio_pci_build_header(struct vfio_pci_config *c,
				  const struct vfio_pci_config_desc *d)
{
	vfio_pci_build_claim(c, 0, PCI_STD_HEADER_SIZEOF);
	vfio_pci_build_set_regs(c, 0, PCI_STD_HEADER_SIZEOF,
				&vfio_pci_header_regs);
	vfio_pci_build_header_bars(c, d);
	/* Not implemented: the user's bit stands alone */
	if (d->no_command_memory)
		c->virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

/* Capabilities with registers whose writing has consequences */
static void vfio_pci_build_remember(struct vfio_pci_config *c, u16 id,
				    unsigned int pos)
{
	u8 *slot;

	switch (id) {
	case PCI_CAP_ID_PM:
		slot = &c->pm;
		break;
	case PCI_CAP_ID_VPD:
		slot = &c->vpd;
		break;
	case PCI_CAP_ID_MSI:
		slot = &c->msi;
		break;
	case PCI_CAP_ID_MSIX:
		slot = &c->msix;
		break;
	case PCI_CAP_ID_EXP:
		slot = &c->exp;
		break;
	case PCI_CAP_ID_AF:
		slot = &c->af;
		break;
	default:
		return;
	}
	/* Of two, the kernel uses the first one, too */
	if (!*slot)
		*slot = pos;
}

/**
 * struct cap_list - the capabilities found in one of the two lists
 * @extended: the list of extended capabilities
 * @nr: entries of @cap that are used
 * @max: entries of @cap
 * @cap: where each capability starts and what it is, in the order of the list
 */
struct cap_list {
	bool		extended;
	unsigned int	nr;
	unsigned int	max;
	struct {
		u16	pos;
		u16	id;
	} cap[] __counted_by(max);
};

static struct cap_list *vfio_pci_cap_list_alloc(bool extended, unsigned int max)
{
	struct cap_list *l;

	l = kmalloc(struct_size(l, cap, max), GFP_KERNEL);
	if (!l)
		return NULL;
	l->extended = extended;
	l->nr = 0;
	l->max = max;
	return l;
}

static int vfio_pci_build_walk_std(const struct vfio_pci_config_desc *d,
				   struct cap_list *l)
{
	unsigned int pos;
	u32 dw;
	int ret;

	ret = vfio_pci_desc_read(d, PCI_COMMAND, &dw);
	if (ret)
		return ret;
	if (!((dw >> 16) & PCI_STATUS_CAP_LIST))
		return 0;

	ret = vfio_pci_desc_read(d, PCI_CAPABILITY_LIST, &dw);
	if (ret)
		return ret;
	pos = dw & 0xfc;
	while (pos >= PCI_STD_HEADER_SIZEOF && l->nr < l->max) {
		ret = vfio_pci_desc_read(d, pos, &dw);
		if (ret)
			return ret;
		if ((dw & 0xff) == 0xff)
			break;
		l->cap[l->nr].pos = pos;
		l->cap[l->nr++].id = dw & 0xff;
		pos = (dw >> 8) & 0xfc;
	}
	return 0;
}

static int vfio_pci_build_walk_ext(const struct vfio_pci_config_desc *d,
				   struct cap_list *l)
{
	unsigned int pos = PCI_CFG_SPACE_SIZE;
	u32 dw;
	int ret;

	while (pos >= PCI_CFG_SPACE_SIZE && l->nr < l->max) {
		ret = vfio_pci_desc_read(d, pos, &dw);
		if (ret)
			return ret;
		if (!dw || dw == ~0U)
			break;
		l->cap[l->nr].pos = pos;
		l->cap[l->nr++].id = PCI_EXT_CAP_ID(dw);
		pos = PCI_EXT_CAP_NEXT(dw);
	}
	return 0;
}

/* Broken devices have lists that loop: a position counts once */
static void vfio_pci_build_cut_loop(struct cap_list *l)
{
	unsigned int i, j;

	for (i = 1; i < l->nr; i++)
		for (j = 0; j < i; j++)
			if (l->cap[i].pos == l->cap[j].pos) {
				l->nr = i;
				return;
			}
}

/* No capability reaches into the next one, whatever its length field says */
static unsigned int vfio_pci_build_clip(const struct cap_list *l,
					unsigned int pos, unsigned int len,
					unsigned int end)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (l->cap[i].pos > pos)
			end = min_t(unsigned int, end, l->cap[i].pos);
	return min(len, end - pos);
}

/*
 * Mask Bits exist for the vectors that the device has: 32 at most, whatever else
 * its register says.
 */
static int vfio_pci_build_msi(struct vfio_pci_config *c,
			      const struct vfio_pci_config_desc *d,
			      unsigned int len)
{
	unsigned int off;
	u32 dw;
	int ret;

	ret = vfio_pci_desc_read(d, c->msi, &dw);
	if (ret)
		return ret;
	dw >>= 16;
	c->msi_qmax = min_t(u32, FIELD_GET(PCI_MSI_FLAGS_QMASK, dw), 5);

	off = dw & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32;
	if (!(dw & PCI_MSI_FLAGS_MASKBIT) || off + 4 > len)
		return 0;
	c->msi_mask = c->msi + off;
	put_unaligned_le32(GENMASK((1 << c->msi_qmax) - 1, 0),
			   c->write + c->msi_mask);
	return 0;
}

static int vfio_pci_build_cap(struct vfio_pci_config *c,
			      const struct vfio_pci_config_desc *d,
			      const struct cap_list *l, unsigned int i,
			      const struct cfg_cap *cap)
{
	unsigned int end = l->extended ? d->size : PCI_CFG_SPACE_SIZE;
	unsigned int hdr = l->extended ? 4 : 2;
	unsigned int pos = l->cap[i].pos, len;
	u32 dw;
	int full, ret;

	full = cap->len_fn ? cap->len_fn(d, pos) : cap->len;
	if (full < 0)
		return full;
	full = max_t(int, full, hdr);
	len = vfio_pci_build_clip(l, pos, full, end);

	vfio_pci_build_claim(c, pos, len);
	memset(c->virt + pos, 0xff, hdr);
	if (cap->kind == CAP_HIDDEN)
		return 0;

	if (cap->kind == CAP_RAW) {
		memset(c->write + pos + hdr, 0xff, len - hdr);
		/* CXL's describe the host's memory map */
		if (l->extended && l->cap[i].id == PCI_EXT_CAP_ID_DVSEC) {
			ret = vfio_pci_desc_read(d, pos + PCI_DVSEC_HEADER1,
						 &dw);
			if (ret)
				return ret;
			if (PCI_DVSEC_HEADER1_VID(dw) == DVSEC_VENDOR_CXL)
				memset(c->write + pos, 0, len);
		}
		return 0;
	}

	vfio_pci_build_set_regs(c, pos, len,
				&cap->regs[cap->second && cap->second(full)]);
	/* What is clipped is not there */
	if (!l->extended && len >= min(full, 8))
		vfio_pci_build_remember(c, l->cap[i].id, pos);
	return !l->extended && c->msi == pos ? vfio_pci_build_msi(c, d, len) :
					       0;
}

/*
 * Reading the initial values of virtual bits comes last, when it is known which
 * registers have some: reading others may have side effects. Those of capabilities
 * go with the list that was read, the others are what the device has now.
 */
static int vfio_pci_build_fill_shadow(struct vfio_pci_config *c,
				      const struct vfio_pci_config_desc *d)
{
	unsigned int reg;
	u32 dw;
	int ret;

	for (reg = 0; reg < c->size; reg += 4) {
		if (!get_unaligned_le32(c->virt + reg))
			continue;
		if (d->seen && test_bit(reg / 4, d->seen->known))
			ret = vfio_pci_desc_read(d, reg, &dw);
		else
			ret = d->read(d->ctx, reg, &dw);
		if (ret)
			return ret;
		put_unaligned_le32(dw, c->shadow + reg);
	}
	if (!d->seen)
		return 0;

	/* Status, which tells of the list, is in the same 32 bits */
	ret = d->read(d->ctx, PCI_COMMAND, &dw);
	if (!ret)
		put_unaligned_le16(dw, c->shadow + PCI_COMMAND);
	return ret;
}

static void vfio_pci_build_link_std(struct vfio_pci_config *c,
				    const struct vfio_pci_config_desc *d,
				    const struct cap_list *l)
{
	u8 *next = &c->shadow[PCI_CAPABILITY_LIST];
	bool any = false;
	unsigned int i;

	*next = 0;
	for (i = 0; i < l->nr; i++) {
		if (vfio_pci_find_cap(false, l->cap[i].id)->kind == CAP_HIDDEN) {
			if (d->hide)
				d->hide(d->ctx, false, l->cap[i].id, l->cap[i].pos);
			continue;
		}
		*next = l->cap[i].pos;
		next = &c->shadow[l->cap[i].pos + PCI_CAP_LIST_NEXT];
		*next = 0;
		any = true;
	}
	if (!any)
		c->shadow[PCI_STATUS] &= ~PCI_STATUS_CAP_LIST;
}

static void vfio_pci_build_link_ext(struct vfio_pci_config *c,
				    const struct vfio_pci_config_desc *d,
				    const struct cap_list *l)
{
	unsigned int i, prev = 0;
	u32 dw;

	for (i = 0; i < l->nr; i++) {
		if (vfio_pci_find_cap(true, l->cap[i].id)->kind == CAP_HIDDEN) {
			if (d->hide)
				d->hide(d->ctx, true, l->cap[i].id, l->cap[i].pos);
			/*
			 * The list starts at a fixed position: the first one
			 * cannot be left out, it becomes the null capability.
			 */
			put_unaligned_le32(0, c->shadow + l->cap[i].pos);
			if (i)
				continue;
		}
		if (prev) {
			dw = get_unaligned_le32(c->shadow + prev) & 0xfffff;
			put_unaligned_le32(dw | (u32)l->cap[i].pos << 20,
					   c->shadow + prev);
		}
		prev = l->cap[i].pos;
		dw = get_unaligned_le32(c->shadow + prev) & 0xfffff;
		put_unaligned_le32(dw, c->shadow + prev);
	}
}

static void vfio_pci_build_fix_header(struct vfio_pci_config *c,
				      const struct vfio_pci_config_desc *d)
{
	unsigned int i;

	put_unaligned_le32((u32)d->device << 16 | d->vendor,
			   c->shadow + PCI_VENDOR_ID);
	c->shadow[PCI_COMMAND + 1] &= ~(PCI_COMMAND_INTX_DISABLE >> 8);
	if (d->no_command_memory)
		c->shadow[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	/* The register does not apply to a VF and must read as zero */
	if (d->no_intx || d->is_virtfn)
		c->shadow[PCI_INTERRUPT_PIN] = 0;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
		u32 keep = get_unaligned_le32(c->write + reg);

		/* A VF's BARs are in its PF */
		keep &= d->is_virtfn ? 0 : get_unaligned_le32(c->shadow + reg);
		put_unaligned_le32(keep | (d->bar[i].size ? d->bar[i].flags : 0),
				   c->shadow + reg);
	}
	put_unaligned_le32(get_unaligned_le32(c->shadow + PCI_ROM_ADDRESS) &
			   get_unaligned_le32(c->write + PCI_ROM_ADDRESS),
			   c->shadow + PCI_ROM_ADDRESS);
}

/* PME# is not the user's, so no state may look capable of it */
static void vfio_pci_build_fix_caps(struct vfio_pci_config *c)
{
	if (c->pm) {
		vfio_pci_config_set_shadow(c, c->pm,
					   (u32)PCI_PM_CAP_PME_MASK << 16, 0);
		vfio_pci_config_set_shadow(c, c->pm + PCI_PM_CTRL,
					   PCI_PM_CTRL_PME_ENABLE |
					   PCI_PM_CTRL_PME_STATUS, 0);
	}
	if (c->msi)
		vfio_pci_config_set_shadow(c, c->msi, PCI_MSI_FLAGS_ENABLE << 16,
					   0);
}

static struct vfio_pci_config *vfio_pci_build_alloc(unsigned int size)
{
	struct vfio_pci_config *c;

	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return NULL;
	c->shadow = kvcalloc(5, size, GFP_KERNEL_ACCOUNT);
	if (!c->shadow) {
		kfree(c);
		return NULL;
	}
	c->size = size;
	c->virt = c->shadow + size;
	c->write = c->virt + size;
	c->sticky = c->write + size;
	c->claimed = c->sticky + size;
	/* Until it is claimed */
	memset(c->write, 0xff, size);
	return c;
}

/**
 * vfio_pci_config_build - find out what the user may see and change
 * @desc: description of the device
 *
 * Walks both lists of capabilities. A device whose lists loop, overlap or point
 * outside gets as much of them as makes sense.
 *
 * Return: the permissions, with a shadow that holds the initial values, or an
 * ERR_PTR() of -ENOMEM or of what @desc->read returned.
 */
struct vfio_pci_config *
vfio_pci_config_build(const struct vfio_pci_config_desc *desc)
{
	bool extended = desc->size > PCI_CFG_SPACE_SIZE;
	struct cap_list *std __free(kfree) =
		vfio_pci_cap_list_alloc(false, STD_CAPS_MAX);
	struct cap_list *ext __free(kfree) =
		vfio_pci_cap_list_alloc(true, extended ? EXT_CAPS_MAX : 0);
	struct vfio_pci_config *c;
	unsigned int i;
	int ret;

	c = vfio_pci_build_alloc(desc->size);
	if (!c || !std || !ext) {
		ret = -ENOMEM;
		goto err_destroy;
	}

	vfio_pci_build_header(c, desc);

	ret = vfio_pci_build_walk_std(desc, std);
	if (ret)
		goto err_destroy;
	vfio_pci_build_cut_loop(std);
	for (i = 0; i < std->nr; i++) {
		ret = vfio_pci_build_cap(c, desc, std, i,
					 vfio_pci_find_cap(false,
							   std->cap[i].id));
		if (ret)
			goto err_destroy;
	}

	ret = vfio_pci_build_walk_ext(desc, ext);
	if (ret)
		goto err_destroy;
	vfio_pci_build_cut_loop(ext);
	for (i = 0; i < ext->nr; i++) {
		ret = vfio_pci_build_cap(c, desc, ext, i,
					 vfio_pci_find_cap(true,
							   ext->cap[i].id));
		if (ret)
			goto err_destroy;
	}

	/* A guest has another address in it, which nobody must believe */
	if (desc->intel_display)
		memset(c->virt + PCI_INTEL_ASLS, 0xff, 4);

	ret = vfio_pci_build_fill_shadow(c, desc);
	if (ret)
		goto err_destroy;
	if (desc->intel_display)
		put_unaligned_le32(desc->asls, c->shadow + PCI_INTEL_ASLS);
	vfio_pci_build_fix_header(c, desc);
	vfio_pci_build_fix_caps(c);
	vfio_pci_build_link_std(c, desc, std);
	vfio_pci_build_link_ext(c, desc, ext);
	return c;

err_destroy:
	vfio_pci_config_destroy(c);
	return ERR_PTR(ret);
}

/**
 * vfio_pci_config_destroy - undo vfio_pci_config_build()
 * @config: the permissions, or NULL
 */
void vfio_pci_config_destroy(struct vfio_pci_config *config)
{
	if (!config)
		return;
	kvfree(config->shadow);
	kfree(config);
}
