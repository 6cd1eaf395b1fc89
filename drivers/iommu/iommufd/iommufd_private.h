/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PRIVATE_H
#define __IOMMUFD_PRIVATE_H

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "ctx.h"
#include "hwpt.h"
#include "io_pagetable.h"
#include "object.h"
#include "refusal.h"

struct seq_file;

/**
 * struct iommufd_dirty_log - what userspace has asked a VFIO container to log
 * @on: what is written is logged
 * @exact: all that could write since it was turned on has noted what it wrote,
 *         and still does. If not, everything counts as written
 */
struct iommufd_dirty_log {
	bool on;
	bool exact;
};

/**
 * struct iommufd_ioas - an I/O address space
 * @obj: the object
 * @iopt: its IOVA map
 * @mutex: protects @hwpts and @dirty_log, and serialises the choice of automatic
 *         hwpts
 * @hwpts: the hardware page tables that hold what @iopt maps
 * @dirty_log: what is written, as VFIO's container counts it
 * @accesses: struct iommufd_access by object id; under its xa_lock
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	struct mutex mutex; /* See above */
	struct list_head hwpts;
	struct iommufd_dirty_log dirty_log;
	struct xarray accesses;
};

static inline struct iommufd_ioas *to_ioas(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_ioas, obj);
}

static inline struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx,
						    u32 id)
{
	struct iommufd_object *obj =
		iommufd_object_get(ictx, id, IOMMUFD_OBJ_IOAS);

	return IS_ERR(obj) ? ERR_CAST(obj) : to_ioas(obj);
}

struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx);
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_memory(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			    struct iommu_ioas_map *cmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd);
#if IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU)
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd);
#else
static inline int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}
#endif
int iommufd_option(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_group - one iommu_group as bound to one context
 * @kref: one per bound device; dropped to 0 under ictx->groups_lock
 * @entry: link in ictx->groups
 * @ictx: the context
 * @group: the group; holds a reference
 * @noiommu: no IOMMU confines its only device; constant
 * @owners: devices that are bound, each of which owns the DMA of the group for
 *          the context; under ictx->groups_lock
 * @lock: protects all that follows. Taken inside ioas->mutex, outside the
 *        locks of struct io_pagetable
 * @attachments: struct iommufd_attachment by PASID
 * @domain_tried: it is known which kind of domain suits the group
 * @no_user_domain: and it is not the one that takes flags
 * @faulting: number of attachments that page faults come by
 * @sw_msi_start: window for software-managed MSI, or PHYS_ADDR_MAX
 * @devices_lock: protects @devices; inside all other locks
 * @devices: struct iommufd_device list by bound_entry
 */
struct iommufd_group {
	struct kref kref;
	struct list_head entry;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	bool noiommu;
	unsigned int owners;

	struct mutex lock; /* See above */
	struct xarray attachments;
	bool domain_tried;
	bool no_user_domain;
	unsigned int faulting;
	phys_addr_t sw_msi_start;

	spinlock_t devices_lock; /* See above */
	struct list_head devices;
};

/**
 * struct iommufd_device - a device that is bound to a context
 * @obj: the object; bind holds a long-lived reference, so that the user cannot
 *       destroy it
 * @ictx: the context; holds a reference
 * @igroup: its group; holds a reference
 * @dev: the device
 * @bound_entry: link in igroup->devices
 * @entry: link in the devices of an attachment of @igroup while attached
 * @attached: under igroup->lock
 * @vdev: its virtual device, or NULL; under igroup->lock
 * @enforce_coherency: its IOMMU can force DMA to be cache coherent
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_group *igroup;
	struct device *dev;
	struct list_head bound_entry;
	struct list_head entry;
	bool attached;
	struct iommufd_vdevice *vdev;
	bool enforce_coherency;
};

static inline struct iommufd_device *to_idev(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_device, obj);
}

struct iommufd_group *iommufd_group_get(struct iommufd_ctx *ictx,
					struct device *dev);
void iommufd_group_put(struct iommufd_group *igroup);
void iommufd_group_add_device(struct iommufd_group *igroup,
			      struct iommufd_device *idev);
void iommufd_group_remove_device(struct iommufd_group *igroup,
				 struct iommufd_device *idev);
int iommufd_check_isolation(struct iommufd_ctx *ictx, struct device *dev);
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);
u32 iommufd_pasid_number(const struct iommufd_device *idev);
int iommufd_group_try_domain(struct iommufd_group *igroup,
			     struct iommu_domain *domain);
int iommufd_msi_prepare(struct iommufd_group *igroup,
			struct iommufd_hwpt_paging *hwpt);

/* pasid.c */
int iommufd_pasid_check_rid(struct iommufd_device *idev,
			    struct iommufd_hwpt *hwpt);
int iommufd_pasid_attach(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hwpt *hwpt);
int iommufd_pasid_replace(struct iommufd_device *idev, ioasid_t pasid,
			  struct iommufd_hwpt *hwpt,
			  struct iommufd_hwpt **old_hwpt);
struct iommufd_hwpt *iommufd_pasid_detach(struct iommufd_device *idev,
					  ioasid_t pasid);
bool iommufd_pasid_detach_all(struct iommufd_device *idev);

/**
 * struct iommufd_access - an in-kernel user of IOVA
 * @obj: the object; held like a device's
 * @ictx: the context; holds a reference
 * @lock: protects @ioas and @ioas_unpin; outside the locks of the IOAS
 * @ioas: whose IOVA can be used, or NULL
 * @ioas_unpin: whose IOVA can be unpinned, or NULL; differs from @ioas while
 *              the owner is asked to unpin; holds a reference
 * @ops: constant
 * @data: cookie for @ops
 * @keeps: nobody is asked to unpin, and an unmap of what is pinned fails; constant
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct mutex lock; /* See above */
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *ioas_unpin;
	const struct iommufd_access_ops *ops;
	void *data;
	bool keeps;
};

struct iommufd_access *
iommufd_access_create_internal(struct iommufd_ctx *ictx,
			       struct iommufd_ioas *ioas);
void iommufd_access_destroy_internal(struct iommufd_access *access);

extern const struct iopt_access_ops iommufd_access_iopt_ops;

/* What objects of each type do; see struct iommufd_object_ops */
extern const struct iommufd_object_ops iommufd_ioas_object_ops;
extern const struct iommufd_object_ops iommufd_hwpt_paging_object_ops;
extern const struct iommufd_object_ops iommufd_hwpt_nested_object_ops;
extern const struct iommufd_object_ops iommufd_device_object_ops;
extern const struct iommufd_object_ops iommufd_access_object_ops;

int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg);
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);

#endif
