// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the drivers for devices of no bus share: their VFIO device.
 */
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_platform_priv.h"

static struct vfio_platform_device *to_vpd(struct vfio_device *vdev)
{
	return container_of(vdev, struct vfio_platform_device, vdev);
}

static int vfio_platform_init(struct vfio_device *vdev)
{
	mutex_init(&to_vpd(vdev)->lock);
	return 0;
}

static void vfio_platform_release(struct vfio_device *vdev)
{
	struct vfio_platform_device *vpd = to_vpd(vdev);

	kfree(vpd->irqs);
	kfree(vpd->regions);
	mutex_destroy(&vpd->lock);
}

static int vfio_platform_open(struct vfio_device *vdev)
{
	struct vfio_platform_device *vpd = to_vpd(vdev);
	int ret;

	ret = pm_runtime_resume_and_get(vdev->dev);
	if (ret)
		return ret;
	if (!vfio_platform_can_reset(vpd))
		return 0;
	scoped_guard(mutex, &vpd->lock) {
		ret = vfio_platform_reset(vpd);
		if (ret)
			vfio_platform_regions_unmap(vpd);
	}
	if (ret) {
		dev_warn(vdev->dev, "cannot be opened: its reset failed: %d\n",
			 ret);
		pm_runtime_put(vdev->dev);
	}
	return ret;
}

static void vfio_platform_close(struct vfio_device *vdev)
{
	struct vfio_platform_device *vpd = to_vpd(vdev);
	int ret = 0;

	scoped_guard(mutex, &vpd->lock) {
		vfio_platform_irqs_disable(vpd);
		if (vfio_platform_can_reset(vpd))
			ret = vfio_platform_reset(vpd);
		vfio_platform_regions_unmap(vpd);
	}
	if (ret)
		dev_warn(vdev->dev, "its reset failed, it is as its user left it: %d\n",
			 ret);
	pm_runtime_put(vdev->dev);
}

static int vfio_platform_info(struct vfio_platform_device *vpd,
			      struct vfio_device_info __user *arg)
{
	size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = vpd->bus->info_flag;
	if (vfio_platform_can_reset(vpd))
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = vpd->num_regions;
	info.num_irqs = vpd->num_irqs;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long vfio_platform_ioctl(struct vfio_device *vdev, unsigned int cmd,
				unsigned long arg)
{
	struct vfio_platform_device *vpd = to_vpd(vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vfio_platform_info(vpd, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_platform_region_info(vpd, uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_platform_irq_info(vpd, uarg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_platform_irqs_set(vpd, uarg);
	case VFIO_DEVICE_RESET: {
		guard(mutex)(&vpd->lock);
		return vfio_platform_reset(vpd);
	}
	default:
		return -ENOTTY;
	}
}

static ssize_t vfio_platform_read(struct vfio_device *vdev, char __user *buf,
				  size_t count, loff_t *ppos)
{
	return vfio_platform_region_rw(to_vpd(vdev), buf, count, ppos, false);
}

static ssize_t vfio_platform_write(struct vfio_device *vdev,
				   const char __user *buf, size_t count,
				   loff_t *ppos)
{
	return vfio_platform_region_rw(to_vpd(vdev), (char __user *)buf, count,
				       ppos, true);
}

static int vfio_platform_mmap(struct vfio_device *vdev,
			      struct vm_area_struct *vma)
{
	return vfio_platform_region_mmap(to_vpd(vdev), vma);
}

static const struct vfio_device_ops vfio_platform_ops = {
	.name = "vfio-platform",
	.init = vfio_platform_init,
	.release = vfio_platform_release,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.open_device = vfio_platform_open,
	.close_device = vfio_platform_close,
	.read = vfio_platform_read,
	.write = vfio_platform_write,
	.ioctl = vfio_platform_ioctl,
	.mmap = vfio_platform_mmap,
};

static int vfio_platform_setup(struct vfio_platform_device *vpd)
{
	struct device *dev = vpd->vdev.dev;
	int ret;

	ret = vfio_platform_regions_init(vpd);
	if (ret)
		return ret;
	ret = vfio_platform_irqs_init(vpd);
	if (ret)
		return ret;
	vfio_platform_reset_get(vpd);
	if (*vpd->bus->reset_required && !vfio_platform_can_reset(vpd)) {
		dev_warn(dev, "refused: nobody knows how to reset %s, see the module parameter reset_required\n",
			 vpd->compat ?: "it");
		return -ENOENT;
	}
	return vfio_register_group_dev(&vpd->vdev);
}

/**
 * vfio_platform_register - make a device one that userspace may drive
 * @dev: the device, whose driver data becomes ours
 * @bus: where its regions and interrupts are described; constant
 *
 * Return: 0 or a negative errno.
 */
int vfio_platform_register(struct device *dev,
			   const struct vfio_platform_bus *bus)
{
	struct vfio_platform_device *vpd;
	int ret;

	vpd = vfio_alloc_device(vfio_platform_device, vdev, dev,
				&vfio_platform_ops);
	if (IS_ERR(vpd))
		return PTR_ERR(vpd);
	vpd->bus = bus;
	dev_set_drvdata(dev, vpd);
	ret = vfio_platform_setup(vpd);
	if (ret) {
		vfio_platform_reset_put(vpd);
		vfio_put_device(&vpd->vdev);
	}
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_platform_register);

/**
 * vfio_platform_unregister - undo vfio_platform_register()
 * @dev: the device
 *
 * Waits until its user has closed it.
 */
void vfio_platform_unregister(struct device *dev)
{
	struct vfio_platform_device *vpd = dev_get_drvdata(dev);

	vfio_unregister_group_dev(&vpd->vdev);
	vfio_platform_reset_put(vpd);
	vfio_put_device(&vpd->vdev);
}
EXPORT_SYMBOL_GPL(vfio_platform_unregister);

MODULE_DESCRIPTION("Devices of no bus for userspace: what their drivers share");
MODULE_LICENSE("GPL");
