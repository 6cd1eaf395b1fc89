// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables that hold the mappings of an address space.
 */
#include <linux/iommu.h>
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

static void iommufd_hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = to_hwpt_paging(obj);

	scoped_guard(mutex, &hwpt->ioas->mutex) {
		list_del_init(&hwpt->entry);
		hwpt->ioas->dirty_log.exact = false;
	}
	/* An object that failed half way through its making has only some */
	if (hwpt->filled)
		iopt_remove_domain(&hwpt->ioas->iopt, &hwpt->item);
	iommufd_hwpt_free_domain(&hwpt->common);
	iommufd_object_release(&hwpt->ioas->obj);
}

static void iommufd_hwpt_paging_show(struct iommufd_object *obj,
				     struct seq_file *m)
{
	struct iommufd_hwpt_paging *hwpt = to_hwpt_paging(obj);

	seq_printf(m, " ioas=%u%s", hwpt->ioas->obj.id,
		   hwpt->automatic ? " automatic" : "");
}

const struct iommufd_object_ops iommufd_hwpt_paging_object_ops = {
	.type = IOMMUFD_OBJ_HWPT_PAGING,
	.name = "hwpt",
	.destroy = iommufd_hwpt_paging_destroy,
	.show = iommufd_hwpt_paging_show,
};

/**
 * iommufd_hwpt_enforce_coherency - force DMA through a hwpt to be coherent
 * @hwpt: the hwpt; ioas->mutex is held
 *
 * Return: 0, or -EINVAL if the hardware cannot do it for this domain.
 */
int iommufd_hwpt_enforce_coherency(struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (hwpt->enforce_coherency)
		return 0;
	/*
	 * Drivers may note the mode in each translation as it is made, so that
	 * those that exist would keep the old one.
	 */
	if (hwpt->filled && hwpt->ioas->iopt.areas.nr)
		return -EINVAL;
	if (!domain->ops->enforce_cache_coherency ||
	    !domain->ops->enforce_cache_coherency(domain))
		return -EINVAL;
	hwpt->enforce_coherency = true;
	return 0;
}

/**
 * iommufd_hwpt_check_coherency - make a hwpt as coherent as a device needs it
 * @hwpt: what the device, or a PASID of it, is about to be attached to; the mutex of
 *        its address space is held
 * @idev: the device
 *
 * Return: 0, or an error of iommufd_hwpt_enforce_coherency().
 */
int iommufd_hwpt_check_coherency(struct iommufd_hwpt *hwpt,
				 struct iommufd_device *idev)
{
	int rc;

	if (!idev->enforce_coherency)
		return 0;
	rc = iommufd_hwpt_enforce_coherency(hwpt->paging);
	if (rc && !hwpt->paging->automatic)
		refuse(&idev->ictx->refusal, rc,
		       "attach: hwpt %u does not enforce cache coherency, which %s needs",
		       hwpt->obj.id, dev_name(idev->dev));
	return rc;
}

/*
 * The hwpts of a container track what devices write, if they can and if the type
 * has a way to ask for it, because a container is not told in advance whether it
 * will be asked.
 */
static u32 iommufd_hwpt_auto_flags(struct iommufd_ctx *ictx,
				   const struct iommufd_ioas *ioas,
				   struct device *dev)
{
	if (!READ_ONCE(ictx->container.owns_ioas) ||
	    READ_ONCE(ictx->vfio_ioas) != ioas ||
	    READ_ONCE(ioas->iopt.splittable) ||
	    !iommufd_dirty_tracking_supported(dev))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

/*
 * With the flags, and with the wishes if the driver has such a domain: it may have
 * the capability and not have it together with the only stage of the hardware.
 */
static struct iommu_domain *
iommufd_hwpt_alloc_domain(struct iommufd_group *igroup, struct device *dev,
			  u32 flags, u32 wishes,
			  const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain;

	domain = iommufd_domain_alloc_paging(igroup, dev, flags | wishes,
					     user_data);
	if (wishes && IS_ERR(domain) && PTR_ERR(domain) == -EOPNOTSUPP)
		domain = iommufd_domain_alloc_paging(igroup, dev, flags,
						     user_data);
	return domain;
}

static struct iommufd_hwpt_paging *
iommufd_hwpt_alloc_wishing(struct iommufd_ioas *ioas,
			   struct iommufd_group *igroup, struct device *dev,
			   u32 flags, u32 wishes,
			   const struct iommu_user_data *user_data)
{
	struct iommufd_ctx *ictx = igroup->ictx;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_object *obj;
	struct iommu_domain *domain;
	int rc;

	lockdep_assert_held(&ioas->mutex);

	obj = __iommufd_object_alloc(ictx, sizeof(*hwpt),
				     &iommufd_hwpt_paging_object_ops);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	hwpt = to_hwpt_paging(obj);
	INIT_LIST_HEAD(&hwpt->entry);
	hwpt->common.paging = hwpt;
	hwpt->common.pasid = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->item.nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->dirty_by_gather = iommufd_dirty_by_gather(dev);
	hwpt->ioas = ioas;
	rc = iommufd_object_hold(&ioas->obj);
	if (rc) {
		iommufd_object_abort(ictx, obj);
		return ERR_PTR(rc);
	}

	domain = iommufd_hwpt_alloc_domain(igroup, dev, flags, wishes,
					   user_data);
	if (IS_ERR(domain)) {
		rc = PTR_ERR(domain);
		if (rc != -EINTR)
			refuse(&ictx->refusal, rc,
			       "hwpt: the IOMMU of %s does not support a page table with flags 0x%x",
			       dev_name(dev), flags);
		goto err_abort;
	}
	hwpt->common.domain = domain;
	hwpt->item.domain = domain;
	hwpt->item.flush_max = iopt_flush_max(dev);
	/*
	 * Before anything is mapped, because some drivers keep the mode in
	 * every translation.
	 */
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY)) {
		rc = iommufd_hwpt_enforce_coherency(hwpt);
		if (rc) {
			refuse(&ictx->refusal, rc,
			       "hwpt: the IOMMU of %s cannot enforce cache coherency",
			       dev_name(dev));
			goto err_abort;
		}
	}
	return hwpt;

err_abort:
	iommufd_hwpt_free_domain(&hwpt->common);
	iommufd_object_release(&ioas->obj);
	iommufd_object_abort(ictx, obj);
	return ERR_PTR(rc);
}

/**
 * iommufd_hwpt_paging_alloc - allocate a hwpt for an address space
 * @ioas: whose mappings it is to hold; its mutex is held
 * @igroup: a group that will be attached to it
 * @dev: a device of the group, which the hwpt must suit
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT and so on
 * @user_data: what the user tells the IOMMU driver, or NULL
 *
 * It is empty, for iommufd_hwpt_fill().
 *
 * Return: the object, to be finalized, or aborted and destroyed after
 * ioas->mutex has been released; or an ERR_PTR:
 * -EOPNOTSUPP if the hardware lacks what the flags or the data ask for.
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_ioas *ioas,
			  struct iommufd_group *igroup, struct device *dev,
			  u32 flags, const struct iommu_user_data *user_data)
{
	return iommufd_hwpt_alloc_wishing(ioas, igroup, dev, flags, 0,
					  user_data);
}

/**
 * iommufd_hwpt_auto_alloc - allocate a hwpt that the user did not ask for
 * @ioas: whose mappings it is to hold; its mutex is held
 * @igroup: a group that will be attached to it
 * @dev: a device of the group, which the hwpt must suit
 *
 * That of a container tracks what devices write, where that can be had.
 *
 * Return: as iommufd_hwpt_paging_alloc().
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_auto_alloc(struct iommufd_ioas *ioas, struct iommufd_group *igroup,
			struct device *dev)
{
	u32 wishes = iommufd_hwpt_auto_flags(igroup->ictx, ioas, dev);
	struct iommufd_hwpt_paging *hwpt;

	hwpt = iommufd_hwpt_alloc_wishing(ioas, igroup, dev, 0, wishes, NULL);
	if (!IS_ERR(hwpt))
		hwpt->automatic = true;
	return hwpt;
}

/**
 * iommufd_hwpt_fill - put all mappings of the address space into a new hwpt
 * @hwpt: from iommufd_hwpt_paging_alloc(); ioas->mutex is held
 *
 * Return: 0 or an error of iopt_add_domain().
 */
int iommufd_hwpt_fill(struct iommufd_hwpt_paging *hwpt)
{
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	rc = iopt_add_domain(&hwpt->ioas->iopt, &hwpt->item);
	if (rc)
		return rc;
	hwpt->filled = true;
	list_add_tail(&hwpt->entry, &hwpt->ioas->hwpts);
	hwpt->ioas->dirty_log.exact = false;
	return 0;
}
