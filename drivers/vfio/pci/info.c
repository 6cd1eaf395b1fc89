// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device has: VFIO_DEVICE_GET_INFO, _GET_REGION_INFO, _GET_IRQ_INFO.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/*
 * AtomicOps that the device may address to memory, if all ports on the way up
 * pass them on. Asking enables them for the device; a VF has no such bit of its
 * own, that of its PF is for both.
 */
static int vfio_pci_info_add_atomic_cap(struct vfio_pci_core_device *vdev,
					struct vfio_info_cap *caps)
{
	static const struct {
		u32	devcap2;
		u32	flag;
	} widths[] = {
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP32, VFIO_PCI_ATOMIC_COMP32 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP64, VFIO_PCI_ATOMIC_COMP64 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP128, VFIO_PCI_ATOMIC_COMP128 },
	};
	struct vfio_device_info_cap_pci_atomic_comp cap = {
		.header.id = VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP,
		.header.version = 1,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++)
		if (!pci_enable_atomic_ops_to_root(pci_physfn(vdev->pdev),
						   widths[i].devcap2))
			cap.flags |= widths[i].flag;
	if (!cap.flags)
		return 0;
	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

/**
 * vfio_pci_get_info - VFIO_DEVICE_GET_INFO
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_get_info(struct vfio_pci_core_device *vdev,
		      struct vfio_device_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};
	struct vfio_info_cap caps = {};
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	minsz = min_t(size_t, info.argsz, sizeof(info));

	info.flags = VFIO_DEVICE_FLAGS_PCI;
	if (vdev->reset_works)
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS + vdev->num_regions;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	info.cap_offset = 0;

	ret = vfio_pci_info_add_atomic_cap(vdev, &caps);
	if (ret)
		return ret;
	if (caps.size) {
		info.flags |= VFIO_DEVICE_FLAGS_CAPS;
		ret = vfio_info_copy_caps(&caps, arg, sizeof(info),
					  &info.argsz, &info.cap_offset);
		if (ret)
			return ret;
	}
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static int vfio_pci_bar_info(struct vfio_pci_core_device *vdev,
			     struct vfio_region_info *info,
			     struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header msix = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};

	if (!pci_resource_start(vdev->pdev, info->index))
		return 0;
	info->size = pci_resource_len(vdev->pdev, info->index);
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!vdev->bar_mmap_supported[info->index])
		return 0;

	/* The vector table is protected by interrupt remapping, not by us */
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (info->index != vdev->msix_bar)
		return 0;
	return vfio_info_add_capability(caps, &msix, sizeof(msix));
}

static void vfio_pci_rom_info(struct vfio_pci_core_device *vdev,
			      struct vfio_region_info *info)
{
	u64 size = vfio_pci_rom_window(vdev);

	if (!size || !vfio_pci_rom_present(vdev))
		return;
	info->size = size;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
}

static int vfio_pci_dev_region_info(struct vfio_pci_core_device *vdev,
				    struct vfio_region_info *info,
				    struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type type = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
	};
	struct vfio_pci_region *region;
	unsigned int i;
	int ret;

	if (info->index >= VFIO_PCI_NUM_REGIONS + vdev->num_regions)
		return -EINVAL;
	i = array_index_nospec(info->index - VFIO_PCI_NUM_REGIONS,
			       vdev->num_regions);
	region = &vdev->region[i];

	info->size = region->size;
	info->flags = region->flags;
	type.type = region->type;
	type.subtype = region->subtype;
	ret = vfio_info_add_capability(caps, &type.header, sizeof(type));
	if (ret || !region->ops->add_capability)
		return ret;
	return region->ops->add_capability(vdev, region, caps);
}

/**
 * vfio_pci_ioctl_get_region_info - for &vfio_device_ops.get_region_info_caps
 * @core_vdev: an enabled device
 * @info: what the user asks about
 * @caps: capabilities of the region are appended
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_ioctl_get_region_info(struct vfio_device *core_vdev,
				   struct vfio_region_info *info,
				   struct vfio_info_cap *caps)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
	switch (info->index) {
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return vfio_pci_bar_info(vdev, info, caps);
	case VFIO_PCI_ROM_REGION_INDEX:
		vfio_pci_rom_info(vdev, info);
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info->size = vdev->pdev->cfg_size;
		info->flags = VFIO_REGION_INFO_FLAG_READ |
			      VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	case VFIO_PCI_VGA_REGION_INDEX:
		if (!vdev->has_vga)
			return -EINVAL;
		info->size = 0xc0000;
		info->flags = VFIO_REGION_INFO_FLAG_READ |
			      VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	}
	return vfio_pci_dev_region_info(vdev, info, caps);
}
EXPORT_SYMBOL_GPL(vfio_pci_ioctl_get_region_info);

/**
 * vfio_pci_get_irq_info - VFIO_DEVICE_GET_IRQ_INFO
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_get_irq_info(struct vfio_pci_core_device *vdev,
			  struct vfio_irq_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	info.flags = VFIO_IRQ_INFO_EVENTFD;
	switch (info.index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		info.flags |= VFIO_IRQ_INFO_MASKABLE |
			      VFIO_IRQ_INFO_AUTOMASKED;
		break;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		if (!vdev->has_dyn_msix)
			info.flags |= VFIO_IRQ_INFO_NORESIZE;
		break;
	case VFIO_PCI_ERR_IRQ_INDEX:
		if (!pci_is_pcie(vdev->pdev))
			return -EINVAL;
		fallthrough;
	default:
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	}
	info.count = vfio_pci_irq_count(vdev, info.index);
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}
