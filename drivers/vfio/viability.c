// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who stands in the way of taking a device: its group can be had only when no
 * member is in the hands of a driver that does DMA by itself.
 */
#include <linux/amba/bus.h>
#include <linux/cdx/cdx_bus.h>
#include <linux/device.h>
#include <linux/fsl/mc.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "vfio.h"

#define VFIO_DRIVER_NAME_MAX	64

/*
 * Does binding this driver give the device's DMA to the kernel? Each bus asks
 * its own kind of driver, and a bus that does not ask claims nothing.
 */
static bool vfio_driver_claims_dma(struct device *dev,
				   struct device_driver *drv)
{
	if (dev_is_pci(dev))
		return !to_pci_driver(drv)->driver_managed_dma;
	if (dev_is_platform(dev))
		return !to_platform_driver(drv)->driver_managed_dma;
	if (dev_is_fsl_mc(dev))
		return !to_fsl_mc_driver(drv)->driver_managed_dma;
#ifdef CONFIG_ARM_AMBA
	if (dev->bus == &amba_bustype)
		return !container_of(drv, struct amba_driver,
				     drv)->driver_managed_dma;
#endif
#ifdef CONFIG_CDX_BUS
	if (dev->bus == &cdx_bus_type)
		return !to_cdx_driver(drv)->driver_managed_dma;
#endif
	return dev->bus->dma_configure;
}

/*
 * The device lock would tell for sure, but must not be taken under the lock of
 * the iommu_group, nor by a reader of an attribute that a driver's remove()
 * waits for. What keeps the driver's structure is that module memory is freed
 * an RCU grace period after the last device has lost the driver.
 */
static bool vfio_device_blocks(struct device *dev, char *name, size_t size)
{
	struct device_driver *drv;

	guard(rcu)();

	drv = READ_ONCE(dev->driver);
	if (!drv || !vfio_driver_claims_dma(dev, drv))
		return false;
	strscpy(name, drv->name, size);
	return true;
}

static int vfio_find_blocker(struct device *dev, void *data)
{
	char driver[VFIO_DRIVER_NAME_MAX];

	return vfio_device_blocks(dev, driver, sizeof(driver));
}

/**
 * vfio_iommu_group_viable - can a group be taken into possession?
 * @iommu_group: the group
 *
 * Return: true if every member has no driver, or one that leaves DMA to the
 * user, as all VFIO drivers do.
 */
bool vfio_iommu_group_viable(struct iommu_group *iommu_group)
{
	return !iommu_group_for_each_dev(iommu_group, NULL, vfio_find_blocker);
}

struct vfio_blocker_list {
	char *buf;
	int len;
};

static int vfio_emit_blocker(struct device *dev, void *data)
{
	struct vfio_blocker_list *list = data;
	char driver[VFIO_DRIVER_NAME_MAX];

	if (vfio_device_blocks(dev, driver, sizeof(driver)))
		list->len += sysfs_emit_at(list->buf, list->len, "%s %s\n",
					   dev_name(dev), driver);
	return 0;
}

static struct vfio_device *to_vfio_device(struct device *dev)
{
	return container_of(dev, struct vfio_device, device);
}

/* NULL if nobody can stand in the way of this device */
static struct iommu_group *vfio_device_shared_group(struct vfio_device *device)
{
	if (device->iommu_kind != VFIO_IOMMU_PHYSICAL)
		return NULL;
	return iommu_group_get(device->dev);
}

static ssize_t viable_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct iommu_group *iommu_group;
	bool viable = true;

	iommu_group = vfio_device_shared_group(to_vfio_device(dev));
	if (iommu_group) {
		viable = vfio_iommu_group_viable(iommu_group) &&
			 !iommufd_device_isolation(dev->parent);
		iommu_group_put(iommu_group);
	}
	return sysfs_emit(buf, "%d\n", viable);
}
static DEVICE_ATTR_RO(viable);

static ssize_t blocked_by_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct vfio_blocker_list list = { .buf = buf };
	struct iommu_group *iommu_group;

	iommu_group = vfio_device_shared_group(to_vfio_device(dev));
	if (iommu_group) {
		iommu_group_for_each_dev(iommu_group, &list, vfio_emit_blocker);
		iommu_group_put(iommu_group);
	}
	return list.len;
}
static DEVICE_ATTR_RO(blocked_by);

static ssize_t dma_coherent_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct vfio_device *device = to_vfio_device(dev);

	return sysfs_emit(buf, "%d\n",
			  device_iommu_capable(device->dev,
					       IOMMU_CAP_ENFORCE_CACHE_COHERENCY));
}
static DEVICE_ATTR_RO(dma_coherent);

static struct attribute *vfio_device_attrs[] = {
	&dev_attr_viable.attr,
	&dev_attr_blocked_by.attr,
	&dev_attr_dma_coherent.attr,
	NULL,
};

static const struct attribute_group vfio_device_group = {
	.attrs = vfio_device_attrs,
};

const struct attribute_group *vfio_device_groups[] = {
	&vfio_device_group,
	NULL,
};
