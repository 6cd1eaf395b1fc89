// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeps a device from being taken: its group is available only while no
 * member is bound to a driver that does DMA by itself.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/sysfs.h>

#include "vfio.h"

#define VFIO_DRIVER_NAME_MAX	64

static int vfio_find_blocker(struct device *dev, void *data)
{
	char driver[VFIO_DRIVER_NAME_MAX];

	return iommufd_device_blocks(dev, driver, sizeof(driver));
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

	if (iommufd_device_blocks(dev, driver, sizeof(driver)))
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
