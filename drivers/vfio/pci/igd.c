// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel integrated graphics: what its driver needs beyond the device itself.
 *
 * That is the OpRegion, a piece of memory where firmware describes displays and
 * keys, whose address is in configuration space; and the configuration space of
 * the host bridge and of the LPC bridge, by which the driver tells chipsets
 * apart. All are regions that are read, never written.
 */
#include <linux/io.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "config_perm.h"
#include "igd.h"

#define OPREGION_SIGNATURE	"IntelGraphicsMem"
#define OPREGION_SIZE		SZ_8K
/* Its own length field has 16 bits; more is no table */
#define OPREGION_VBT_MAX	SZ_1M

/* In the OpRegion */
#define OPREGION_SIZE_KB	0x10
#define OPREGION_VERSION	0x16
/* The raw video BIOS table that is too large for the OpRegion */
#define OPREGION_RVDA		0x3ba
#define OPREGION_RVDS		0x3c2

/**
 * struct igd_opregion - the OpRegion, and the table that belongs to it
 * @base: the OpRegion
 * @vbt: the table if it is elsewhere, or NULL
 * @base_size: bytes of @base
 * @vbt_size: bytes of @vbt
 * @rvda: for the user the table follows the OpRegion at once, so this is the
 *	  address that is shown in place of the real one
 * @version: likewise the version: from 2.1 on the address is relative
 */
struct igd_opregion {
	void	*base;
	void	*vbt;
	size_t	base_size;
	size_t	vbt_size;
	__le64	rvda;
	__le16	version;
};

static int vfio_pci_igd_register_region(struct vfio_pci_core_device *vdev,
					unsigned int subtype,
					const struct vfio_pci_regops *ops,
					size_t size, void *data)
{
	unsigned int type = PCI_VENDOR_ID_INTEL |
			    VFIO_REGION_TYPE_PCI_VENDOR_TYPE;

	return vfio_pci_core_register_dev_region(vdev, type, subtype, ops, size,
						 VFIO_REGION_INFO_FLAG_READ,
						 data);
}

static void vfio_pci_igd_opregion_unmap(struct igd_opregion *op)
{
	if (op->vbt)
		memunmap(op->vbt);
	memunmap(op->base);
	kfree(op);
}

/*
 * A piece of the region that @off is in: from where it comes, and how much of
 * @count it holds.
 */
static const void *vfio_pci_igd_opregion_piece(const struct igd_opregion *op,
					       size_t off, size_t *count)
{
	size_t start;

	if (off >= op->base_size) {
		off -= op->base_size;
		*count = min(*count, op->vbt_size - off);
		return op->vbt + off;
	}

	if (!op->vbt)
		goto base;
	start = OPREGION_VERSION;
	if (off >= start && off < start + sizeof(op->version)) {
		*count = min(*count, start + sizeof(op->version) - off);
		return (const void *)&op->version + (off - start);
	}
	if (off < start) {
		*count = min(*count, start - off);
		goto base;
	}
	start = OPREGION_RVDA;
	if (off >= start && off < start + sizeof(op->rvda)) {
		*count = min(*count, start + sizeof(op->rvda) - off);
		return (const void *)&op->rvda + (off - start);
	}
	if (off < start)
		*count = min(*count, start - off);
base:
	*count = min(*count, op->base_size - off);
	return op->base + off;
}

static ssize_t vfio_pci_igd_opregion_rw(struct vfio_pci_core_device *vdev,
					char __user *buf, size_t count,
					loff_t *ppos, bool iswrite)
{
	unsigned int i = VFIO_PCI_OFFSET_TO_INDEX(*ppos) - VFIO_PCI_NUM_REGIONS;
	const struct igd_opregion *op = vdev->region[i].data;
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;

	if (pos >= vdev->region[i].size || iswrite)
		return -EINVAL;
	count = min_t(u64, count, vdev->region[i].size - pos);

	while (done < count) {
		size_t n = count - done;
		const void *from =
			vfio_pci_igd_opregion_piece(op, pos + done, &n);

		if (copy_to_user(buf + done, from, n))
			return -EFAULT;
		done += n;
	}
	*ppos += done;
	return done;
}

static void vfio_pci_igd_opregion_release(struct vfio_pci_core_device *vdev,
					  struct vfio_pci_region *region)
{
	vfio_pci_igd_opregion_unmap(region->data);
}

static const struct vfio_pci_regops opregion_ops = {
	.rw = vfio_pci_igd_opregion_rw,
	.release = vfio_pci_igd_opregion_release,
};

/* The table outside of the OpRegion, if any */
static int vfio_pci_igd_opregion_probe_vbt(struct vfio_pci_igd *igd,
					   const void *base, u32 addr)
{
	u64 rvda = get_unaligned_le64(base + OPREGION_RVDA), last;
	u32 rvds = get_unaligned_le32(base + OPREGION_RVDS);

	/* The fields came with 2.0, where the address is absolute */
	if (igd->version < 0x0200 || !rvda || !rvds)
		return 0;
	if (igd->version >= 0x0201 &&
	    check_add_overflow(rvda, (u64)addr, &rvda))
		return -EINVAL;
	if (rvds > OPREGION_VBT_MAX ||
	    check_add_overflow(rvda, (u64)rvds - 1, &last))
		return -EINVAL;
	igd->vbt = rvda;
	igd->vbt_size = rvds;
	return 0;
}

static int vfio_pci_igd_opregion_probe(struct vfio_pci_igd *igd, u32 addr)
{
	void *base;
	int ret = -EINVAL;

	base = memremap(addr, OPREGION_SIZE, MEMREMAP_WB);
	if (!base)
		return -ENOMEM;
	if (memcmp(base, OPREGION_SIGNATURE, 16))
		goto out;
	igd->version = get_unaligned_le16(base + OPREGION_VERSION);
	igd->base_size = get_unaligned_le32(base + OPREGION_SIZE_KB);
	if (!igd->base_size || igd->base_size > OPREGION_SIZE / SZ_1K)
		goto out;
	igd->base_size *= SZ_1K;
	ret = vfio_pci_igd_opregion_probe_vbt(igd, base, addr);
out:
	memunmap(base);
	return ret;
}

static int vfio_pci_igd_opregion_map(struct igd_opregion *op,
				     const struct vfio_pci_igd *igd, u32 addr)
{
	op->base = memremap(addr, OPREGION_SIZE, MEMREMAP_WB);
	if (!op->base)
		return -ENOMEM;
	op->base_size = igd->base_size;
	if (!igd->vbt_size)
		return 0;
	op->vbt = memremap(igd->vbt, igd->vbt_size, MEMREMAP_WB);
	if (!op->vbt) {
		memunmap(op->base);
		return -ENOMEM;
	}
	op->vbt_size = igd->vbt_size;
	op->rvda = cpu_to_le64(op->base_size);
	op->version = cpu_to_le16(max_t(u16, igd->version, 0x0201));
	return 0;
}

static int vfio_pci_igd_opregion_init(struct vfio_pci_core_device *vdev,
				      const struct vfio_pci_igd *igd)
{
	struct igd_opregion *op;
	int ret;

	if (igd->error)
		return igd->error;
	op = kzalloc(sizeof(*op), GFP_KERNEL_ACCOUNT);
	if (!op)
		return -ENOMEM;
	ret = vfio_pci_igd_opregion_map(op, igd, vdev->asls);
	if (ret) {
		kfree(op);
		return ret;
	}
	ret = vfio_pci_igd_register_region(vdev,
					   VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION,
					   &opregion_ops,
					   op->base_size + op->vbt_size, op);
	if (ret)
		vfio_pci_igd_opregion_unmap(op);
	return ret;
}

static ssize_t vfio_pci_igd_bridge_rw(struct vfio_pci_core_device *vdev,
				      char __user *buf, size_t count,
				      loff_t *ppos, bool iswrite)
{
	unsigned int i = VFIO_PCI_OFFSET_TO_INDEX(*ppos) - VFIO_PCI_NUM_REGIONS;
	struct pci_dev *pdev = vdev->region[i].data;
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;
	__le32 le;
	u32 val;
	int ret;

	if (pos >= vdev->region[i].size || iswrite)
		return -EINVAL;
	count = min_t(u64, count, vdev->region[i].size - pos);

	while (done < count) {
		unsigned int at = (pos + done) & 3;
		size_t n = min_t(size_t, 4 - at, count - done);

		ret = pci_user_read_config_dword(pdev, (pos + done) & ~3ULL,
						 &val);
		if (ret)
			return pcibios_err_to_errno(ret);
		le = cpu_to_le32(val);
		if (copy_to_user(buf + done, (u8 *)&le + at, n))
			return -EFAULT;
		done += n;
	}
	*ppos += done;
	return done;
}

static void vfio_pci_igd_bridge_release(struct vfio_pci_core_device *vdev,
					struct vfio_pci_region *region)
{
	pci_dev_put(region->data);
}

static const struct vfio_pci_regops bridge_ops = {
	.rw = vfio_pci_igd_bridge_rw,
	.release = vfio_pci_igd_bridge_release,
};

static int vfio_pci_igd_bridge_init(struct vfio_pci_core_device *vdev,
				    unsigned int devfn, unsigned int class,
				    unsigned int subtype)
{
	struct pci_dev *bridge;
	int ret;

	bridge = pci_get_domain_bus_and_slot(0, 0, devfn);
	if (!bridge)
		return -ENODEV;
	if (bridge->vendor != PCI_VENDOR_ID_INTEL ||
	    bridge->class >> 8 != class) {
		pci_dev_put(bridge);
		return -EINVAL;
	}
	ret = vfio_pci_igd_register_region(vdev, subtype, &bridge_ops,
					   bridge->cfg_size, bridge);
	if (ret)
		pci_dev_put(bridge);
	return ret;
}

/**
 * vfio_pci_igd_probe - look at the OpRegion, once
 * @vdev: a device that is about to be registered
 * @igd: what is found
 *
 * A user may reach the register with its address, or have the device or the
 * host's firmware write to it. So what is mapped for this user and the next ones
 * is what was there before the first.
 */
void vfio_pci_igd_probe(struct vfio_pci_core_device *vdev,
			struct vfio_pci_igd *igd)
{
	igd->error = -ENODEV;
	/* Integrated: on the root bus of the processor */
	if (!vdev->has_asls || !pci_is_root_bus(vdev->pdev->bus) ||
	    !vdev->asls || vdev->asls == ~0U)
		return;
	igd->error = vfio_pci_igd_opregion_probe(igd, vdev->asls);
}

/**
 * vfio_pci_igd_init - add the regions of Intel integrated graphics
 * @vdev: a device that is being opened
 * @igd: what vfio_pci_igd_probe() found
 *
 * Return: 0; -ENODEV if the device is none of the kind, or has no OpRegion;
 * other errors. Regions that were added stay until the device is closed.
 */
int vfio_pci_igd_init(struct vfio_pci_core_device *vdev,
		      const struct vfio_pci_igd *igd)
{
	int ret;

	ret = vfio_pci_igd_opregion_init(vdev, igd);
	if (ret)
		return ret;
	/* A display without VGA is not primary and has no use for the rest */
	if (vdev->pdev->class >> 8 != PCI_CLASS_DISPLAY_VGA)
		return 0;
	ret = vfio_pci_igd_bridge_init(vdev, PCI_DEVFN(0, 0),
				       PCI_CLASS_BRIDGE_HOST,
				       VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG);
	if (ret)
		return ret;
	return vfio_pci_igd_bridge_init(vdev, PCI_DEVFN(0x1f, 0),
					PCI_CLASS_BRIDGE_ISA,
					VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG);
}
