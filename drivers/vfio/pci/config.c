// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration space of a device that has a user: what is kept of it, and
 * the accesses to the hardware's.
 *
 * What the user may see and change is decided in config_perm.c.
 */
#include <linux/bitfield.h>
#include <linux/pci.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "config_caps.h"
#include "config_perm.h"
#include "vfio_pci_priv.h"

/**
 * vfio_pci_config_hw_read - read configuration space of the hardware
 * @pdev: the device
 * @pos: where, a multiple of @width
 * @width: 1, 2 or 4 bytes
 * @val: receives the value
 *
 * Return: 0 or what the PCI core returned.
 */
int vfio_pci_config_hw_read(struct pci_dev *pdev, unsigned int pos,
			    unsigned int width, u32 *val)
{
	u16 w = 0xffff;
	u8 b = 0xff;
	int ret;

	switch (width) {
	case 1:
		ret = pci_user_read_config_byte(pdev, pos, &b);
		*val = b;
		break;
	case 2:
		ret = pci_user_read_config_word(pdev, pos, &w);
		*val = w;
		break;
	default:
		ret = pci_user_read_config_dword(pdev, pos, val);
	}
	return pcibios_err_to_errno(ret);
}

/**
 * vfio_pci_config_hw_write - write configuration space of the hardware
 * @pdev: the device
 * @pos: where, a multiple of @width
 * @width: 1, 2 or 4 bytes
 * @val: the value
 *
 * Return: 0 or what the PCI core returned.
 */
int vfio_pci_config_hw_write(struct pci_dev *pdev, unsigned int pos,
			     unsigned int width, u32 val)
{
	int ret;

	switch (width) {
	case 1:
		ret = pci_user_write_config_byte(pdev, pos, val);
		break;
	case 2:
		ret = pci_user_write_config_word(pdev, pos, val);
		break;
	default:
		ret = pci_user_write_config_dword(pdev, pos, val);
	}
	return pcibios_err_to_errno(ret);
}

/**
 * vfio_pci_config_hw_write_bits - write some bits of a register of the hardware
 * @vdev: an enabled device
 * @reg: offset of the register, a multiple of 4
 * @bits: which to write; bytes that have none of them are not touched
 * @val: the user's value of the register
 *
 * Return: 0 or what the PCI core returned.
 */
int vfio_pci_config_hw_write_bits(struct vfio_pci_core_device *vdev,
				  unsigned int reg, u32 bits, u32 val)
{
	unsigned int lane = 0, width;
	int ret;

	while ((width = vfio_pci_config_next_write(bits, &lane))) {
		u32 lanes = vfio_pci_config_lanes(lane, width);
		u32 hw = 0;

		if ((bits & lanes) != lanes) {
			ret = vfio_pci_config_hw_read(vdev->pdev, reg + lane,
						      width, &hw);
			if (ret)
				return ret;
			hw <<= 8 * lane;
		}
		hw = vfio_pci_config_hw_value(vdev->config, reg, bits & lanes,
					      hw, val);
		ret = vfio_pci_config_hw_write(vdev->pdev, reg + lane, width,
					       (hw & lanes) >> (8 * lane));
		if (ret)
			return ret;
		lane += width;
	}
	return 0;
}

/**
 * vfio_pci_config_msi_mask - the MSI vectors that the user has masked
 * @vdev: an enabled device; igate is held
 *
 * Return: a bit for each vector.
 */
u32 vfio_pci_config_msi_mask(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *c = vdev->config;

	lockdep_assert_held(&vdev->igate);

	return c->msi_mask ? vfio_pci_config_shadow(c, c->msi_mask) : 0;
}

/**
 * vfio_pci_config_msi_unmask - no MSI vector is masked by the user any more
 * @vdev: an enabled device; igate is held
 *
 * The device does not know of it before vfio_pci_msi_mask_changed().
 */
void vfio_pci_config_msi_unmask(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *c = vdev->config;

	lockdep_assert_held(&vdev->igate);

	if (c->msi_mask)
		vfio_pci_config_set_shadow(c, c->msi_mask, ~0U, 0);
}

/**
 * vfio_pci_config_msi_write_mask - write to the device which MSI vectors are masked
 * @vdev: an enabled device on which MSI is not set up; igate is held
 *
 * Return: 0 or what the PCI core returned.
 */
int vfio_pci_config_msi_write_mask(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *c = vdev->config;

	lockdep_assert_held(&vdev->igate);

	if (!c->msi_mask)
		return 0;
	return vfio_pci_config_hw_write_bits(vdev, c->msi_mask,
					     get_unaligned_le32(c->write + c->msi_mask),
					     vfio_pci_config_shadow(c, c->msi_mask));
}

/**
 * vfio_pci_config_msi_changed - show in configuration space whether MSI is on
 * @vdev: an enabled device; igate is held
 *
 * To be called when irq_type or msi_qmax changed, so that the user finds the
 * same state by either interface.
 */
void vfio_pci_config_msi_changed(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_config *c = vdev->config;
	u32 flags = 0;

	lockdep_assert_held(&vdev->igate);
	if (!c->msi)
		return;
	if (vdev->irq_type == VFIO_PCI_MSI_IRQ_INDEX)
		flags = PCI_MSI_FLAGS_ENABLE |
			FIELD_PREP(PCI_MSI_FLAGS_QSIZE, vdev->msi_qmax);
	vfio_pci_config_set_shadow(c, c->msi,
				   (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE) << 16,
				   flags << 16);
}

static int vfio_pci_config_desc_read(void *ctx, unsigned int pos, u32 *val)
{
	struct vfio_pci_core_device *vdev = ctx;

	return vfio_pci_config_hw_read(vdev->pdev, pos, 4, val);
}

static void vfio_pci_config_desc_hide(void *ctx, bool extended, u16 id, u16 pos)
{
	struct vfio_pci_core_device *vdev = ctx;

	pci_dbg(vdev->pdev, "hiding %scapability %#x at %#x\n",
		extended ? "extended " : "", id, pos);
}

static void vfio_pci_config_describe_bars(struct vfio_pci_core_device *vdev,
					  struct vfio_pci_config_desc *desc)
{
	struct resource *res;
	int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar_desc *bar = &desc->bar[i];

		res = &vdev->pdev->resource[i];
		if (!res->start)
			continue;
		bar->size = resource_size(res);
		if (res->flags & IORESOURCE_IO) {
			bar->flags = PCI_BASE_ADDRESS_SPACE_IO;
			continue;
		}
		if (res->flags & IORESOURCE_MEM_64)
			bar->flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (res->flags & IORESOURCE_PREFETCH)
			bar->flags |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	}
	desc->rom.size = vfio_pci_rom_window(vdev);
}

static int vfio_pci_config_read_real_bars(struct vfio_pci_core_device *vdev)
{
	int i, ret;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		ret = vfio_pci_config_hw_read(vdev->pdev,
					      PCI_BASE_ADDRESS_0 + 4 * i, 4,
					      &vdev->rbar[i]);
		if (ret)
			return ret;
	}
	return vfio_pci_config_hw_read(vdev->pdev, PCI_ROM_ADDRESS, 4,
				       &vdev->rbar[PCI_ROM_RESOURCE]);
}

static bool vfio_pci_is_intel_display(const struct pci_dev *pdev)
{
	return pdev->vendor == PCI_VENDOR_ID_INTEL &&
	       pdev->class >> 16 == PCI_BASE_CLASS_DISPLAY;
}

/**
 * vfio_pci_config_probe - remember what no user has changed yet
 * @vdev: a device that is about to be registered
 *
 * A user does not reach the hardware's ASLS by configuration space, but there are
 * devices whose registers are in their memory, too.
 */
void vfio_pci_config_probe(struct vfio_pci_core_device *vdev)
{
	vdev->asls = ~0;
	if (vfio_pci_is_intel_display(vdev->pdev))
		vdev->has_asls = !pci_read_config_dword(vdev->pdev,
							PCI_INTEL_ASLS,
							&vdev->asls);
}

/* The BAR @i as the kernel has assigned it; false if it has not */
static bool vfio_pci_assigned_bar(struct pci_dev *pdev, int i, u64 *addr,
				  u32 *mask)
{
	struct resource *res = &pdev->resource[i];
	struct pci_bus_region region;

	if (!res->start ||
	    res->flags & (IORESOURCE_UNSET | IORESOURCE_PCI_FIXED))
		return false;
	pcibios_resource_to_bus(pdev->bus, &region, res);
	*addr = region.start;
	*mask = (u32)(res->flags & IORESOURCE_IO ? PCI_BASE_ADDRESS_IO_MASK :
						   PCI_BASE_ADDRESS_MEM_MASK);
	return true;
}

static bool vfio_pci_bar_differs(struct pci_dev *pdev, unsigned int reg,
				 u32 val, u32 mask)
{
	u32 now;

	return !pci_read_config_dword(pdev, reg, &now) &&
	       !PCI_POSSIBLE_ERROR(now) && (now ^ val) & mask;
}

/*
 * A device that decodes other addresses than the kernel gave it answers for its
 * neighbours, and is saved and restored like that by resets.
 */
static void vfio_pci_restore_assigned_bars(struct vfio_pci_core_device *vdev)
{
	const u16 decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	struct pci_dev *pdev = vdev->pdev;
	bool wide, lost;
	u64 addr;
	u32 mask;
	u16 cmd;
	int i;

	if (pdev->is_virtfn)
		return;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;

		if (!vfio_pci_assigned_bar(pdev, i, &addr, &mask))
			continue;
		wide = pdev->resource[i].flags & IORESOURCE_MEM_64;
		lost = vfio_pci_bar_differs(pdev, reg, addr, mask) ||
		       (wide && vfio_pci_bar_differs(pdev, reg + 4, addr >> 32,
						     ~0U));
		if (!lost)
			continue;
		vfio_pci_command_update(vdev, decode, 0, &cmd);
		pci_write_config_dword(pdev, reg, addr);
		if (wide)
			pci_write_config_dword(pdev, reg + 4, addr >> 32);
		vfio_pci_command_update(vdev, decode, cmd, NULL);
		pci_notice_ratelimited(pdev, "restored BAR %d: it was not at the address that the kernel has assigned\n",
				       i);
	}
}

/**
 * vfio_pci_config_restore - put back what is not in the state that PCI restores
 * @vdev: a device that was reset, or that is no longer in use
 */
void vfio_pci_config_restore(struct vfio_pci_core_device *vdev)
{
	u32 now;

	vfio_pci_restore_assigned_bars(vdev);
	if (vdev->has_asls &&
	    !pci_read_config_dword(vdev->pdev, PCI_INTEL_ASLS, &now) &&
	    now != vdev->asls)
		pci_write_config_dword(vdev->pdev, PCI_INTEL_ASLS, vdev->asls);
}

static void vfio_pci_config_forget_first(struct vfio_pci_core_device *vdev)
{
	kvfree(vdev->config_seen);
	vdev->config_seen = NULL;
}

/**
 * vfio_pci_config_first - read a register as it was before the first user
 * @vdev: a device that is being enabled, after vfio_pci_config_init()
 * @pos: position, a multiple of 4
 * @val: the value
 *
 * Return: 0 or what reading the device returned.
 */
int vfio_pci_config_first(struct vfio_pci_core_device *vdev, unsigned int pos,
			  u32 *val)
{
	const struct vfio_pci_config_desc desc = {
		.size = vdev->pdev->cfg_size,
		.read = vfio_pci_config_desc_read,
		.ctx = vdev,
		.seen = vdev->config_seen,
	};

	return vfio_pci_desc_read(&desc, pos, val);
}

/**
 * vfio_pci_config_init - prepare configuration space for the user
 * @vdev: a device that is being enabled
 *
 * Return: 0, -ENOMEM, or what reading the device returned.
 */
int vfio_pci_config_init(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	struct vfio_pci_config_desc desc = {
		.size = pdev->cfg_size,
		.read = vfio_pci_config_desc_read,
		.hide = vfio_pci_config_desc_hide,
		.ctx = vdev,
		.vendor = pdev->vendor,
		.device = pdev->device,
		.is_virtfn = pdev->is_virtfn,
		.no_command_memory = pdev->no_command_memory,
		.no_intx = vdev->nointx,
		.intel_display = vfio_pci_is_intel_display(pdev),
		.asls = vdev->asls,
	};
	bool first = !vdev->config_seen;
	struct vfio_pci_config *config;
	int ret;

	ret = vfio_pci_config_read_real_bars(vdev);
	if (ret)
		return ret;
	if (first)
		/* Stays with the device: its first user need not pay for it */
		vdev->config_seen = kvzalloc(sizeof(*vdev->config_seen),
					     GFP_KERNEL);
	if (!vdev->config_seen)
		return -ENOMEM;
	desc.seen = vdev->config_seen;
	vfio_pci_config_describe_bars(vdev, &desc);
	config = vfio_pci_config_build(&desc);
	if (IS_ERR(config)) {
		ret = PTR_ERR(config);
		goto err_forget;
	}
	/* A device that does not answer is asked again when it is back */
	if (first && PCI_POSSIBLE_ERROR(desc.seen->val[PCI_COMMAND / 4]))
		vfio_pci_config_forget_first(vdev);
	scoped_guard(rwsem_write, &vdev->memory_lock) {
		vdev->config = config;
		vdev->vconfig = config->shadow;
	}
	vdev->extended_caps = config->size > PCI_CFG_SPACE_SIZE;
	return 0;

err_forget:
	if (first)
		vfio_pci_config_forget_first(vdev);
	return ret;
}

/**
 * vfio_pci_config_release - undo vfio_pci_config_probe()
 * @vdev: a device that goes away
 */
void vfio_pci_config_release(struct vfio_pci_core_device *vdev)
{
	vfio_pci_config_forget_first(vdev);
}

/**
 * vfio_pci_config_free - undo vfio_pci_config_init()
 * @vdev: the device; no user is left
 */
void vfio_pci_config_free(struct vfio_pci_core_device *vdev)
{
	vfio_pci_config_destroy(vdev->config);
	vdev->config = NULL;
	vdev->vconfig = NULL;
}
