// SPDX-License-Identifier: GPL-2.0-only
/*
 * What others may do with a file that may be one of ours. KVM finds these
 * functions by name when it needs them.
 */
#include <linux/iommu.h>
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_file_is_valid - is this file one of ours?
 * @file: any file
 *
 * Return: true for the file of a group or of a device, bound or not.
 */
bool vfio_file_is_valid(struct file *file)
{
	return vfio_group_from_file(file) || vfio_device_from_file(file);
}
EXPORT_SYMBOL_GPL(vfio_file_is_valid);

/**
 * vfio_file_enforced_coherent - can no device behind a file bypass the caches?
 * @file: any file
 *
 * Return: true if the IOMMU can enforce snooping for every device of the group
 * or for the device, or if @file is not one of ours.
 */
bool vfio_file_enforced_coherent(struct file *file)
{
	struct vfio_group *group = vfio_group_from_file(file);
	struct vfio_device *device;

	if (group)
		return vfio_group_enforced_coherent(group);

	device = vfio_device_from_file(file);
	if (device)
		return device_iommu_capable(device->dev,
					    IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	return true;
}
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);

/**
 * vfio_file_set_kvm - say for which virtual machine a device will be used
 * @file: any file
 * @kvm: the virtual machine; or NULL, which it must say before it goes away
 *
 * Takes effect when the device is next bound or opened through the group.
 */
void vfio_file_set_kvm(struct file *file, struct kvm *kvm)
{
	struct vfio_group *group = vfio_group_from_file(file);
	struct vfio_device_file *df;

	if (group) {
		vfio_group_set_kvm(group, kvm);
	} else if (vfio_device_from_file(file)) {
		df = file->private_data;
		spin_lock(&df->kvm_lock);
		df->kvm = kvm;
		spin_unlock(&df->kvm_lock);
	}
}
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);

/**
 * vfio_file_iommu_group - the iommu_group behind a group's file
 * @file: any file
 *
 * Return: the iommu_group with a reference for the caller, or NULL if @file is
 * not a group's, or the group has lost all its devices, or the machine is not
 * of the one kind (sPAPR) where KVM asks.
 */
struct iommu_group *vfio_file_iommu_group(struct file *file)
{
	struct vfio_group *group = vfio_group_from_file(file);

	if (!group || !IS_ENABLED(CONFIG_SPAPR_TCE_IOMMU))
		return NULL;
	return vfio_group_get_iommu_group(group);
}
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);
