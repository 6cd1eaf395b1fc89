// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space as the user sees it.
 *
 * What may be seen and changed is decided in config_perm.c. Here are the
 * accesses, and the registers whose writing has consequences beyond themselves.
 */
#include <linux/bitfield.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "config_perm.h"
#include "vfio_pci_priv.h"

/* The access of @count bytes at @pos; the value is returned in place */
static int vfio_pci_config_read(struct vfio_pci_core_device *vdev,
				unsigned int pos, unsigned int count, u32 *val)
{
	unsigned int reg = pos & ~3, shift = 8 * (pos & 3);
	struct vfio_pci_config *c = vdev->config;
	u32 hw = 0;
	int ret;

	/* Not a single byte of hardware is touched without need */
	if (vfio_pci_config_lanes(pos, count) & ~vfio_pci_config_virt(c, reg)) {
		ret = vfio_pci_config_hw_read(vdev->pdev, pos, count, &hw);
		if (ret)
			return ret;
	}
	*val = vfio_pci_config_merge(c, reg, hw << shift);
	return 0;
}

static int vfio_pci_write_plain(struct vfio_pci_core_device *vdev,
				unsigned int reg, u32 lanes, u32 val)
{
	struct vfio_pci_config *c = vdev->config;
	u32 bits = vfio_pci_config_hw_bits(c, reg, lanes);

	vfio_pci_config_write_shadow(c, reg, lanes, val);
	return bits ? vfio_pci_config_hw_write_bits(vdev, reg, bits, val) : 0;
}

/*
 * A device that was reset by other means than ours (by its own registers, say)
 * has lost its BARs. It must not start decoding at whatever addresses are left.
 */
static int vfio_pci_restore_bars(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	unsigned int i, reg;
	bool lost = false;
	u32 now;
	int ret;

	if (pdev->is_virtfn)
		return 0;

	for (i = 0; i < ARRAY_SIZE(vdev->rbar); i++) {
		reg = i == PCI_ROM_RESOURCE ? PCI_ROM_ADDRESS :
					      PCI_BASE_ADDRESS_0 + 4 * i;
		ret = vfio_pci_config_hw_read(pdev, reg, 4, &now);
		if (ret)
			return ret;
		/* A ROM may be on because it is being read */
		if (!((now ^ vdev->rbar[i]) &
		      (i == PCI_ROM_RESOURCE ? PCI_ROM_ADDRESS_MASK : ~0U)))
			continue;
		ret = vfio_pci_config_hw_write(pdev, reg, 4, vdev->rbar[i]);
		if (ret)
			return ret;
		lost = true;
	}
	if (lost)
		pci_info_ratelimited(pdev, "restored BARs after a reset that vfio-pci has not done\n");
	return 0;
}

static int vfio_pci_write_command_hw(struct vfio_pci_core_device *vdev,
				     u32 bits, u32 val)
{
	const u32 decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	u32 now;
	int ret;

	ret = vfio_pci_config_hw_read(vdev->pdev, PCI_COMMAND, 2, &now);
	if (ret)
		return ret;
	if (val & bits & decode & ~now) {
		ret = vfio_pci_restore_bars(vdev);
		if (ret)
			return ret;
	}

	/* As with accesses of a user: not while somebody resets the device */
	pci_cfg_access_lock(vdev->pdev);
	ret = vfio_pci_command_update(vdev, bits, val, NULL);
	pci_cfg_access_unlock(vdev->pdev);
	return ret;
}

static int vfio_pci_write_command(struct vfio_pci_core_device *vdev, u32 lanes,
				  u32 val)
{
	struct vfio_pci_config *c = vdev->config;
	u32 bits = vfio_pci_config_hw_bits(c, PCI_COMMAND, lanes);
	int ret;

	down_write(&vdev->memory_lock);
	if (lanes & PCI_COMMAND_MEMORY & ~val && vfio_pci_memory_enabled(vdev))
		vfio_pci_memory_zap(vdev);
	ret = vfio_pci_write_command_hw(vdev, bits, val);
	/* What vfio_pci_memory_enabled() goes by */
	if (!ret)
		vfio_pci_config_set_shadow(c, PCI_COMMAND, bits, val);
	vfio_pci_memory_unlock(vdev);
	if (ret)
		return ret;

	vfio_pci_config_write_shadow(c, PCI_COMMAND, lanes, val);
	vfio_pci_intx_set_disabled(vdev, vfio_pci_config_shadow(c, PCI_COMMAND) &
					 PCI_COMMAND_INTX_DISABLE);
	return 0;
}

static int vfio_pci_write_pm_ctrl(struct vfio_pci_core_device *vdev,
				  unsigned int reg, u32 lanes, u32 val)
{
	int ret = vfio_pci_write_plain(vdev, reg, lanes, val);
	pci_power_t state;

	if (ret || !(lanes & PCI_PM_CTRL_STATE_MASK))
		return ret;

	state = (pci_power_t __force)(val & PCI_PM_CTRL_STATE_MASK);
	down_write(&vdev->memory_lock);
	if (vfio_pci_is_d3(state))
		vfio_pci_memory_zap(vdev);
	/* A state that the device lacks is ignored, as by the device itself */
	vfio_pci_set_power_state(vdev, state);
	vfio_pci_memory_unlock(vdev);
	return 0;
}

/*
 * Writing the upper byte of the address, and with it the flag, starts a
 * transfer; the flag is inverted when that is done, which is before we return.
 */
static void vfio_pci_write_vpd_addr(struct vfio_pci_core_device *vdev,
				    u32 lanes, u32 val)
{
	struct vfio_pci_config *c = vdev->config;
	u8 *data = &c->shadow[c->vpd + PCI_VPD_DATA];
	u32 flag = (u32)PCI_VPD_ADDR_F << 16;
	u16 addr;
	ssize_t n;

	vfio_pci_config_write_shadow(c, c->vpd, lanes, val);
	if (!(lanes & flag))
		return;

	addr = vfio_pci_config_shadow(c, c->vpd) >> 16;
	if (addr & PCI_VPD_ADDR_F)
		n = pci_write_vpd(vdev->pdev, addr & PCI_VPD_ADDR_MASK, 4, data);
	else
		n = pci_read_vpd(vdev->pdev, addr, 4, data);
	/* After a failure the transfer looks as if it never ended */
	if (n == 4)
		vfio_pci_config_set_shadow(c, c->vpd, flag,
					   ~vfio_pci_config_shadow(c, c->vpd));
}

/*
 * The user may switch MSI on and off, and narrow the number of messages, while
 * VFIO_DEVICE_SET_IRQS has set MSI up; otherwise the device has no addresses to
 * send messages to.
 */
static int vfio_pci_write_msi_flags(struct vfio_pci_core_device *vdev,
				    u32 lanes, u32 val)
{
	struct vfio_pci_config *c = vdev->config;
	u32 qmax, flags, hw;
	int ret;

	guard(mutex)(&vdev->igate);
	vfio_pci_config_write_shadow(c, c->msi, lanes, val);
	flags = vfio_pci_config_shadow(c, c->msi) >> 16;

	if (vdev->irq_type == VFIO_PCI_MSI_IRQ_INDEX) {
		qmax = vdev->msi_qmax;
	} else {
		flags &= ~PCI_MSI_FLAGS_ENABLE;
		qmax = FIELD_GET(PCI_MSI_FLAGS_QMASK, flags);
	}
	if (FIELD_GET(PCI_MSI_FLAGS_QSIZE, flags) > qmax) {
		flags &= ~PCI_MSI_FLAGS_QSIZE;
		flags |= FIELD_PREP(PCI_MSI_FLAGS_QSIZE, qmax);
	}
	vfio_pci_config_set_shadow(c, c->msi, 0xffff0000, flags << 16);

	if (vdev->irq_type != VFIO_PCI_MSI_IRQ_INDEX)
		return 0;
	ret = vfio_pci_config_hw_read(vdev->pdev, c->msi + PCI_MSI_FLAGS, 2,
				      &hw);
	if (ret)
		return ret;
	hw &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	hw |= flags & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	return vfio_pci_config_hw_write(vdev->pdev, c->msi + PCI_MSI_FLAGS, 2,
					hw);
}

static int vfio_pci_write_msi_mask(struct vfio_pci_core_device *vdev, u32 lanes,
				   u32 val)
{
	struct vfio_pci_config *c = vdev->config;

	guard(mutex)(&vdev->igate);
	vfio_pci_config_write_shadow(c, c->msi_mask, lanes, val);
	return vfio_pci_msi_mask_changed(vdev);
}

static void vfio_pci_reset_by_config(struct vfio_pci_core_device *vdev)
{
	int ret;

	vfio_pci_memory_lock_and_zap(vdev);
	/* There is nobody to tell of a failure, as with a device's own reset */
	ret = vfio_pci_reset_function_locked(vdev);
	vfio_pci_memory_unlock(vdev);
	if (!ret)
		vfio_pci_msi_after_reset(vdev);
}

static int vfio_pci_write_exp_devctl(struct vfio_pci_core_device *vdev,
				     unsigned int reg, u32 lanes, u32 val)
{
	struct vfio_pci_config *c = vdev->config;
	unsigned int readrq;
	int ret;

	ret = vfio_pci_write_plain(vdev, reg, lanes, val);
	if (ret)
		return ret;

	/*
	 * A request size below the payload size would waste the link of
	 * everybody behind the same port.
	 */
	if (lanes & PCI_EXP_DEVCTL_READRQ) {
		readrq = 128 << FIELD_GET(PCI_EXP_DEVCTL_READRQ,
					  vfio_pci_config_shadow(c, reg));
		pcie_set_readrq(vdev->pdev,
				max_t(int, readrq, pcie_get_mps(vdev->pdev)));
	}

	/* The bit always reads as zero */
	vfio_pci_config_set_shadow(c, reg, PCI_EXP_DEVCTL_BCR_FLR, 0);
	if (val & lanes & PCI_EXP_DEVCTL_BCR_FLR &&
	    vdev->pdev->devcap & PCI_EXP_DEVCAP_FLR)
		vfio_pci_reset_by_config(vdev);
	return 0;
}

static int vfio_pci_write_af_ctrl(struct vfio_pci_core_device *vdev,
				  unsigned int reg, u32 lanes, u32 val)
{
	const u8 needs = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	struct vfio_pci_config *c = vdev->config;
	u32 cap;
	int ret;

	if (!(val & lanes & PCI_AF_CTRL_FLR))
		return 0;
	ret = vfio_pci_config_hw_read(vdev->pdev, c->af + PCI_AF_CAP, 1, &cap);
	if (ret)
		return ret;
	if ((cap & needs) == needs)
		vfio_pci_reset_by_config(vdev);
	return 0;
}

/* The access that covers @lanes of the register @reg; @val is in place */
static int vfio_pci_config_write(struct vfio_pci_core_device *vdev,
				 unsigned int reg, u32 lanes, u32 val)
{
	struct vfio_pci_config *c = vdev->config;

	if (reg == PCI_COMMAND && lanes & 0xffff)
		return vfio_pci_write_command(vdev, lanes, val);
	if (c->pm && reg == c->pm + PCI_PM_CTRL)
		return vfio_pci_write_pm_ctrl(vdev, reg, lanes, val);
	if (c->vpd && reg == c->vpd) {
		vfio_pci_write_vpd_addr(vdev, lanes, val);
		return 0;
	}
	if (c->msi && reg == c->msi)
		return vfio_pci_write_msi_flags(vdev, lanes, val);
	if (c->msi_mask && reg == c->msi_mask)
		return vfio_pci_write_msi_mask(vdev, lanes, val);
	if (c->exp && reg == c->exp + PCI_EXP_DEVCTL)
		return vfio_pci_write_exp_devctl(vdev, reg, lanes, val);
	if (c->af && reg == c->af + PCI_AF_CTRL)
		return vfio_pci_write_af_ctrl(vdev, reg, lanes, val);
	return vfio_pci_write_plain(vdev, reg, lanes, val);
}

static int vfio_pci_config_rw_chunk(struct vfio_pci_core_device *vdev,
				    char __user *buf, unsigned int pos,
				    unsigned int count, bool iswrite)
{
	unsigned int shift = 8 * (pos & 3);
	__le32 le = 0;
	u32 val;
	int ret;

	if (iswrite) {
		if (copy_from_user(&le, buf, count))
			return -EFAULT;
		guard(mutex)(&vdev->config_lock);
		return vfio_pci_config_write(vdev, pos & ~3,
					     vfio_pci_config_lanes(pos, count),
					     le32_to_cpu(le) << shift);
	}

	ret = vfio_pci_config_read(vdev, pos, count, &val);
	if (ret)
		return ret;
	le = cpu_to_le32(val >> shift);
	return copy_to_user(buf, &le, count) ? -EFAULT : 0;
}

/**
 * vfio_pci_config_rw - read or write configuration space
 * @vdev: an enabled device that is powered
 * @buf: user memory
 * @count: bytes
 * @ppos: position in the device file, advanced by what was done
 * @iswrite: to the device
 *
 * Return: @count; -EFAULT behind the end of configuration space or if the user's
 * memory is not there, or what accessing the device returned.
 */
ssize_t vfio_pci_config_rw(struct vfio_pci_core_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos, bool iswrite)
{
	u64 start = *ppos & VFIO_PCI_OFFSET_MASK, pos = start;
	unsigned int chunk;
	int ret;

	if (pos >= vdev->config->size || count > vdev->config->size - pos)
		return -EFAULT;

	for (; count; count -= chunk, pos += chunk, buf += chunk) {
		chunk = vfio_pci_config_chunk(pos, count);
		ret = vfio_pci_config_rw_chunk(vdev, buf, pos, chunk, iswrite);
		if (ret)
			return ret;
	}
	*ppos += pos - start;
	return pos - start;
}
