// SPDX-License-Identifier: GPL-2.0-only
/*
 * The groups in a VFIO container.
 *
 * Type 1 makes a page table for a group when the container is set up, before
 * any device of the group is opened, and programs rely on what comes with it:
 * memory is pinned when it is mapped and not later, and the container knows
 * which IOVA and page sizes there are. So a group in a container has its ranges
 * reserved and holds a hwpt, to which its devices are attached as they are
 * opened.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"
#include "vfio_container.h"

/**
 * struct member - a group in a container
 * @entry: link in iommufd_container.groups
 * @igroup: the group, owned by the context; NULL for one of software devices
 * @name: for messages
 * @with_device: finds a device of the group
 * @with_group: for @with_device
 * @ioas: where its ranges are reserved, or NULL; holds a reference
 * @hwpt: a hwpt that suits it, of @ioas; holds a reference
 */
struct member {
	struct list_head entry;
	struct iommufd_group *igroup;
	char name[24];
	iommufd_vfio_with_device_t *with_device;
	void *with_group;
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt_paging *hwpt;
};

static void iommufd_vfio_unreserve(struct member *member)
{
	struct io_pagetable *iopt = &member->ioas->iopt;

	guard(rwsem_write)(&iopt->iova_rwsem);
	iopt_unreserve(iopt, member);
}

/* Reserve what no device of the group can use */
static int iommufd_vfio_reserve(struct member *member,
				struct iommu_group *group)
{
	struct io_pagetable *iopt = &member->ioas->iopt;
	struct iommu_resv_region *resv, *next;
	LIST_HEAD(regions);
	int rc;

	rc = iommu_get_group_resv_regions(group, &regions);
	if (!rc)
		rc = down_write_killable(&iopt->iova_rwsem);
	if (!rc) {
		list_for_each_entry(resv, &regions, list) {
			if (resv->type == IOMMU_RESV_DIRECT_RELAXABLE)
				continue;
			rc = iopt_reserve(iopt, resv->start,
					  resv->start + (resv->length - 1),
					  member, member->name,
					  "a reserved range");
			if (rc)
				break;
		}
		if (rc)
			iopt_unreserve(iopt, member);
		up_write(&iopt->iova_rwsem);
	}
	list_for_each_entry_safe(resv, next, &regions, list)
		kfree(resv);
	return rc;
}

/* Hold a hwpt that another group of the same kind of IOMMU has */
static struct iommufd_hwpt_paging *
iommufd_vfio_hold_suitable(struct iommufd_ioas *ioas, struct device *dev)
{
	bool coherent =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpts, entry)
		if (hwpt->automatic &&
		    hwpt->common.domain->owner == dev_iommu_ops(dev) &&
		    hwpt->enforce_coherency >= coherent &&
		    !iommufd_object_hold(&hwpt->common.obj))
			return hwpt;
	return NULL;
}

/* Find a hwpt for a device, or make one that is to be filled */
static int iommufd_vfio_take_hwpt(struct member *member, struct device *dev)
{
	struct iommufd_ioas *ioas = member->ioas;
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);

	hwpt = iommufd_vfio_hold_suitable(ioas, dev);
	if (!hwpt) {
		hwpt = iommufd_hwpt_auto_alloc(ioas, member->igroup, dev);
		if (IS_ERR(hwpt))
			return PTR_ERR(hwpt);
	}
	member->hwpt = hwpt;
	return 0;
}

static int iommufd_vfio_fill_hwpt(struct iommufd_ctx *ictx,
				  struct iommufd_hwpt_paging *hwpt)
{
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	rc = iommufd_hwpt_fill(hwpt);
	if (rc)
		return rc;
	iommufd_object_hold(&hwpt->common.obj);
	iommufd_object_finalize(ictx, &hwpt->common.obj);
	return 0;
}

static void iommufd_vfio_detach_member(struct iommufd_ctx *ictx,
				       struct member *member)
{
	if (!member->ioas)
		return;
	iommufd_object_destroy_unused(ictx, &member->hwpt->common.obj);
	iommufd_vfio_unreserve(member);
	iommufd_object_release(&member->ioas->obj);
	member->hwpt = NULL;
	member->ioas = NULL;
}

/* Any device of the group will do: they share an IOMMU */
static int iommufd_vfio_attach_with(struct device *dev, void *arg)
{
	struct member *member = arg;
	struct iommufd_ctx *ictx = member->igroup->ictx;
	int rc;

	rc = iommufd_check_isolation(ictx, dev);
	if (rc)
		return rc;
	rc = iommufd_vfio_reserve(member, member->igroup->group);
	if (rc)
		return rc;
	rc = iommufd_vfio_take_hwpt(member, dev);
	if (rc)
		iommufd_vfio_unreserve(member);
	return rc;
}

static int iommufd_vfio_attach_member(struct iommufd_ctx *ictx,
				      struct member *member)
{
	struct iommufd_hwpt_paging *unfilled = NULL;
	struct iommufd_ioas *ioas;
	int rc;

	if (!member->igroup || member->ioas)
		return 0;

	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iommufd_object_hold(&ioas->obj);
	iommufd_object_put(ictx, &ioas->obj);
	if (rc)
		return rc;
	rc = mutex_lock_killable(&ioas->mutex);
	if (rc) {
		iommufd_object_release(&ioas->obj);
		return rc;
	}
	member->ioas = ioas;

	rc = member->with_device(member->with_group, iommufd_vfio_attach_with,
				 member);
	/* Pins, so not with the device locked, which an unbind would wait for */
	if (!rc && !member->hwpt->filled) {
		rc = iommufd_vfio_fill_hwpt(ictx, member->hwpt);
		if (rc)
			unfilled = member->hwpt;
	}
	mutex_unlock(&ioas->mutex);
	if (!rc)
		return 0;
	if (unfilled) {
		iommufd_object_abort_and_destroy(ictx, &unfilled->common.obj);
		iommufd_vfio_unreserve(member);
	}
	iommufd_object_release(&ioas->obj);
	member->hwpt = NULL;
	member->ioas = NULL;
	/* Type 1 answers so if the group does not suit what is mapped */
	return rc == -EADDRINUSE ? -EINVAL : rc;
}

/**
 * iommufd_vfio_attach_groups - give every group in the container a hwpt
 * @ictx: the container; its lock is held
 *
 * Return: 0; or with nothing changed: -EPERM if the platform does not isolate
 * interrupts, -EINVAL if a group does not suit what is mapped, or an error
 * of iommufd_hwpt_fill() or the IOMMU driver.
 */
int iommufd_vfio_attach_groups(struct iommufd_ctx *ictx)
{
	struct member *member;
	int rc = 0;

	lockdep_assert_held(&ictx->container.lock);

	list_for_each_entry(member, &ictx->container.groups, entry) {
		rc = iommufd_vfio_attach_member(ictx, member);
		if (rc)
			break;
	}
	if (rc)
		list_for_each_entry_continue_reverse(member,
						     &ictx->container.groups,
						     entry)
			iommufd_vfio_detach_member(ictx, member);
	return rc;
}

/**
 * struct find_igroup - the argument of iommufd_vfio_find_igroup_with()
 * @ictx: whose view of the group
 * @igroup: receives it
 */
struct find_igroup {
	struct iommufd_ctx *ictx;
	struct iommufd_group *igroup;
};

static int iommufd_vfio_find_igroup_with(struct device *dev, void *arg)
{
	struct find_igroup *find = arg;
	struct iommufd_group *igroup = iommufd_group_get(find->ictx, dev);

	if (IS_ERR(igroup))
		return PTR_ERR(igroup);
	find->igroup = igroup;
	return 0;
}

static int iommufd_vfio_name_group(struct iommufd_ctx *ictx,
				   struct member *member,
				   struct iommu_group *group)
{
	struct find_igroup find = { .ictx = ictx };
	int rc;

	rc = member->with_device(member->with_group,
				 iommufd_vfio_find_igroup_with, &find);
	if (rc)
		return rc;
	member->igroup = find.igroup;
	snprintf(member->name, sizeof(member->name), "group %d",
		 iommu_group_id(group));
	return 0;
}

static void iommufd_vfio_free_member(struct member *member)
{
	if (member->igroup)
		iommufd_group_put(member->igroup);
	kfree(member);
}

/**
 * iommufd_vfio_compat_add_group - put a group into a container
 * @ictx: the container, which has an IOAS
 * @group: the group, whose DMA @ictx owns; or NULL for one of software devices
 * @with_device: finds a device of @group, until
 *               iommufd_vfio_compat_remove_group()
 * @with_group: for @with_device; identifies the group
 *
 * May wait for the user's memory.
 *
 * Return: 0; if VFIO_SET_IOMMU has been called, what that could return for the
 * group; -ENODEV if the group has lost its devices, -EINTR if the caller was
 * killed, or -ENOMEM.
 */
int iommufd_vfio_compat_add_group(struct iommufd_ctx *ictx,
				  struct iommu_group *group,
				  iommufd_vfio_with_device_t *with_device,
				  void *with_group)
{
	struct iommufd_container *container = &ictx->container;
	struct member *member;
	int rc;

	member = kzalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;
	member->with_device = with_device;
	member->with_group = with_group;
	if (group) {
		rc = iommufd_vfio_name_group(ictx, member, group);
		if (rc) {
			kfree(member);
			return rc;
		}
	}

	rc = mutex_lock_killable(&container->lock);
	if (rc)
		goto err_free;
	if (container->type)
		rc = iommufd_vfio_attach_member(ictx, member);
	if (!rc)
		list_add_tail(&member->entry, &container->groups);
	mutex_unlock(&container->lock);
	if (rc)
		goto err_free;
	return 0;

err_free:
	iommufd_vfio_free_member(member);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_add_group, "IOMMUFD_VFIO");

static struct member *
iommufd_vfio_find_member(struct iommufd_container *container,
			 const void *with_group)
{
	struct member *member;

	list_for_each_entry(member, &container->groups, entry)
		if (member->with_group == with_group)
			return member;
	return NULL;
}

/*
 * A container is without groups, and as new.
 *
 * What the user maps in an IOAS that it chose itself stays, and so does what a
 * device can reach that was attached to the IOAS by its own character device.
 */
static void iommufd_vfio_forget_maps(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	bool in_use;

	lockdep_assert_held(&ictx->container.lock);

	if (!READ_ONCE(ictx->container.owns_ioas))
		return;
	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return;
	scoped_guard(mutex, &ioas->mutex) {
		iommufd_vfio_stop_log(ioas);
		in_use = !list_empty(&ioas->hwpts) ||
			 !xa_empty(&ioas->accesses);
	}
	if (!in_use) {
		iopt_clear(&ioas->iopt);
		iopt_clear_options(&ioas->iopt);
	}
	iommufd_object_put(ictx, &ioas->obj);
}

/**
 * iommufd_vfio_compat_remove_group - take a group out of a container
 * @ictx: the container
 * @with_group: as it was added; none of its devices is bound to @ictx any more
 *
 * A container without groups forgets what it was set to, and all that is mapped
 * unless others use it.
 * Waits for what else the user does to the container, be it pinning.
 */
void iommufd_vfio_compat_remove_group(struct iommufd_ctx *ictx,
				      void *with_group)
{
	struct iommufd_container *container = &ictx->container;
	struct member *member;

	guard(mutex)(&container->lock);
	member = iommufd_vfio_find_member(container, with_group);
	if (WARN_ON(!member))
		return;
	list_del(&member->entry);
	/* Whatever page tables are left are those of others */
	iommufd_vfio_detach_member(ictx, member);
	iommufd_vfio_free_member(member);
	if (list_empty(&container->groups)) {
		container->type = 0;
		iommufd_vfio_forget_maps(ictx);
	}
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_remove_group, "IOMMUFD_VFIO");
