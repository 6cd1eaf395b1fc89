/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_HWPT_H
#define __IOMMUFD_HWPT_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

#include "fault.h"
#include "object.h"
#include "translate.h"

struct device;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_group;
struct iommufd_hwpt_paging;
struct iommufd_ioas;
struct iommufd_ucmd;
struct iommufd_viommu;

/**
 * struct iommufd_hwpt - a hardware page table, of any kind
 * @obj: the object
 * @domain: what the IOMMU core knows of it
 * @paging: the one that translates to memory in the end, which knows the address
 *          space: itself, or the parent of a nested one
 * @pasid: PASIDs of a device can be attached to it, and to others while the device
 *         itself is attached to it; constant once visible
 * @fault: where page faults of what is attached go, or NULL; holds a reference.
 *         Constant once the hwpt is visible
 *
 * Embedded as first member in the kinds. Whoever attaches devices needs no more
 * of a hwpt than this.
 */
struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_hwpt_paging *paging;
	bool pasid;
	struct iommufd_fault *fault;
};

/* Release what hwpts of all kinds hold, also if it was made in part */
static inline void iommufd_hwpt_free_domain(struct iommufd_hwpt *hwpt)
{
	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	iommufd_fault_disconnect(hwpt);
}

static inline struct iommufd_hwpt *to_hwpt(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt, obj);
}

/**
 * struct iommufd_hwpt_paging - a hwpt that holds the mappings of an IOAS
 * @common: what every hwpt has
 * @ioas: whose mappings it holds; holds a reference
 * @item: the domain, as member of the IOVA map
 * @entry: link in ioas->hwpts
 * @filled: @item is part of the IOVA map; under ioas->mutex until visible
 * @automatic: made by an attach, destroyed with the last detach
 * @enforce_coherency: the IOMMU forces DMA to be cache coherent; under
 *                     ioas->mutex
 * @msi_cookie: the domain maps a window for software-managed MSI; under
 *              ioas->mutex
 * @dirty_by_gather: its driver tells no bitmap what is dirty, see dirty_gather.h;
 *                   constant
 * @dirty_tracking: the IOMMU notes what devices write; written under ioas->mutex
 *                  and the domains_rwsem of the IOVA map
 * @dirty_logged: it does so for ioas->dirty_log; under ioas->mutex
 */
struct iommufd_hwpt_paging {
	struct iommufd_hwpt common;
	struct iommufd_ioas *ioas;
	struct iopt_domain item;
	struct list_head entry;
	bool filled;
	bool automatic;
	bool enforce_coherency;
	bool msi_cookie;
	bool dirty_by_gather;
	bool dirty_tracking;
	bool dirty_logged;
};

static inline struct iommufd_hwpt_paging *
to_hwpt_paging(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt_paging, common.obj);
}

/**
 * struct iommufd_hwpt_nested - a hwpt that translates to the IOVA of another one
 * @common: what every hwpt has; @common.paging is the parent
 * @from: what it was made of, which holds the parent or is it; holds a reference
 */
struct iommufd_hwpt_nested {
	struct iommufd_hwpt common;
	struct iommufd_object *from;
};

static inline struct iommufd_hwpt_nested *
to_hwpt_nested(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt_nested, common.obj);
}

/*
 * Where the IOMMU core asks for the page of an interrupt, see sw_msi.c. It knows
 * what we keep here by another name.
 */
#ifdef CONFIG_IOMMUFD_SW_MSI
static inline void iommufd_hwpt_set_nested(struct iommufd_hwpt *hwpt)
{
	hwpt->domain->iommufd_hwpt = (struct iommufd_hw_pagetable *)hwpt;
	hwpt->domain->cookie_type = IOMMU_COOKIE_IOMMUFD;
}

static inline struct iommufd_hwpt *
iommufd_hwpt_of_nested(const struct iommu_domain *domain)
{
	return (struct iommufd_hwpt *)domain->iommufd_hwpt;
}
#else
static inline void iommufd_hwpt_set_nested(struct iommufd_hwpt *hwpt)
{
}
#endif

/* domain.c */
struct iommu_domain *
iommufd_domain_alloc_paging(struct iommufd_group *igroup, struct device *dev,
			    u32 flags, const struct iommu_user_data *user_data);
struct iommu_domain *
iommufd_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			    u32 flags, const struct iommu_user_data *user_data);
bool iommufd_dirty_by_gather(struct device *dev);
bool iommufd_dirty_tracking_supported(struct device *dev);

/* hwpt_paging.c */
struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_ioas *ioas,
			  struct iommufd_group *igroup, struct device *dev,
			  u32 flags, const struct iommu_user_data *user_data);
struct iommufd_hwpt_paging *
iommufd_hwpt_auto_alloc(struct iommufd_ioas *ioas, struct iommufd_group *igroup,
			struct device *dev);
int iommufd_hwpt_fill(struct iommufd_hwpt_paging *hwpt);
int iommufd_hwpt_enforce_coherency(struct iommufd_hwpt_paging *hwpt);
int iommufd_hwpt_check_coherency(struct iommufd_hwpt *hwpt,
				 struct iommufd_device *idev);

/* hwpt_nested.c */
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc(struct iommufd_device *idev,
			  struct iommufd_hwpt_paging *parent, u32 flags,
			  const struct iommu_user_data *user_data);
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc_viommu(struct iommufd_device *idev,
				 struct iommufd_viommu *viommu, u32 flags,
				 const struct iommu_user_data *user_data);

/* invalidate.c */
int iommufd_invalidate_entries(struct iommufd_object *obj,
			       struct iommu_user_data_array *array);
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);

/* hwpt.c */
int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd);

/* dirty.c */
int iommufd_hwpt_set_dirty(struct iommufd_hwpt_paging *hwpt, bool enable);
void iommufd_hwpt_stop_dirty(struct iommufd_hwpt_paging *hwpt);
int iommufd_hwpt_read_dirty(struct iommufd_hwpt_paging *hwpt, u64 iova,
			    u64 length, u64 page_size, u64 __user *data,
			    unsigned long flags);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);

#endif
