/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_ATTACHMENT_H
#define __IOMMUFD_ATTACHMENT_H

#include <linux/iommu.h>
#include <linux/list.h>

struct iommufd_device;
struct iommufd_group;
struct iommufd_hwpt;

/**
 * struct iommufd_attachment - what a group, or a PASID of a device, is attached to
 * @handle: what the IOMMU core knows it by, and finds it by when the hardware
 *          reports something
 * @igroup: the group; constant
 * @idev: the device that has @pasid, alone in its group; NULL without a PASID;
 *        constant
 * @pasid: the PASID of it, or IOMMU_NO_PASID for DMA that has none; constant
 * @hwpt: what it is attached to; constant. Whoever puts a device on @devices, or
 *        attaches a PASID, holds a reference for it
 * @closed: nobody answers the faults that come by it; under the lock of hwpt->fault
 * @devices: attached struct iommufd_device; under igroup->lock. Empty with a PASID
 *
 * One that is replaced becomes another object, so that the old one goes on
 * describing the old hwpt for as long as it may be looked at, also if the
 * replacement fails.
 */
struct iommufd_attachment {
	struct iommu_attach_handle handle;
	struct iommufd_group *igroup;
	struct iommufd_device *idev;
	ioasid_t pasid;
	struct iommufd_hwpt *hwpt;
	bool closed;
	struct list_head devices;
};

struct iommufd_attachment *
iommufd_attachment_get(struct iommufd_group *igroup, ioasid_t pasid);
bool iommufd_attachment_has_pasids(struct iommufd_group *igroup);
struct iommufd_attachment *
iommufd_attachment_create(struct iommufd_group *igroup,
			  struct iommufd_device *idev, ioasid_t pasid,
			  struct iommufd_hwpt *hwpt);
struct iommufd_attachment *
iommufd_attachment_replace(struct iommufd_attachment *old,
			   struct iommufd_hwpt *hwpt);
void iommufd_attachment_destroy(struct iommufd_attachment *attachment);
int iommufd_attachment_try(struct iommufd_group *igroup,
			   struct iommu_domain *domain);

#endif
