// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables that the user owns, nested in one that it does not: they
 * translate to IOVA, which the parent translates to memory.
 */
#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/iommu.h>
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "viommu.h"

static void iommufd_hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *hwpt = to_hwpt_nested(obj);

	/* It refers to the parent's domain */
	iommufd_hwpt_free_domain(&hwpt->common);
	iommufd_object_release(hwpt->from);
}

static void iommufd_hwpt_nested_show(struct iommufd_object *obj,
				     struct seq_file *m)
{
	struct iommufd_hwpt_nested *hwpt = to_hwpt_nested(obj);

	seq_printf(m, " nested parent=%u", hwpt->common.paging->common.obj.id);
	if (hwpt->from->ops->type == IOMMUFD_OBJ_VIOMMU)
		seq_printf(m, " viommu=%u", hwpt->from->id);
}

#define VTD_PAGE_SHIFT	12
/* As many pages as one descriptor of any VT-d may name, by their power of two */
#define VTD_MAX_ORDER	9

/*
 * Intel's driver makes one descriptor of an entry, for the smallest aligned block
 * that has all of its pages. Where that is larger than the hardware takes, as it is
 * for "everything", the hardware stops with an error and invalidates nothing.
 *
 * The driver reads the entries once more. A user who changes one in between loses
 * that invalidation of its own tables, and the kernel log gets the driver's lines
 * about it.
 */
static bool
iommufd_vtd_is_large(const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	u64 first = inv->addr >> VTD_PAGE_SHIFT;

	/* The driver refuses these in its own words */
	if ((inv->flags & ~IOMMU_VTD_INV_FLAGS_LEAF) || inv->__reserved ||
	    !IS_ALIGNED(inv->addr, 1ULL << VTD_PAGE_SHIFT) ||
	    (inv->npages == U64_MAX && inv->addr))
		return false;
	return inv->npages - 1 >= 1ULL << VTD_MAX_ORDER ||
	       fls64(first ^ (first + inv->npages - 1)) > VTD_MAX_ORDER;
}

/*
 * In place of a large entry everything that is nested in the parent is flushed, which
 * the driver can always do.
 */
static int iommufd_vtd_invalidate(struct iommu_domain *domain,
				  struct iommu_domain *parent,
				  struct iommu_user_data_array *array)
{
	struct iommu_hwpt_vtd_s1_invalidate inv;
	struct iommu_user_data_array run = *array;
	u32 index, done = 0;
	int rc = 0;

	for (index = 0; index != array->entry_num && !rc; index++) {
		/* The driver finds that out, too, and has an answer */
		if (iommu_copy_struct_from_user_array(&inv, array, array->type,
						      index, __reserved))
			break;
		if (!iommufd_vtd_is_large(&inv))
			continue;
		run.uptr = array->uptr + (size_t)done * array->entry_len;
		run.entry_num = index - done;
		if (run.entry_num)
			rc = domain->ops->cache_invalidate_user(domain, &run);
		done += run.entry_num;
		if (!rc) {
			iommu_flush_iotlb_all(parent);
			done++;
		}
	}
	if (!rc && (done != array->entry_num || !done)) {
		run.uptr = array->uptr + (size_t)done * array->entry_len;
		run.entry_num = array->entry_num - done;
		rc = domain->ops->cache_invalidate_user(domain, &run);
		done += run.entry_num;
	}
	array->entry_num = done;
	return rc;
}

static int iommufd_hwpt_nested_invalidate(struct iommufd_object *obj,
					  struct iommu_user_data_array *array)
{
	struct iommufd_hwpt_nested *hwpt = to_hwpt_nested(obj);
	struct iommu_domain *domain = hwpt->common.domain;

	if (!domain->ops->cache_invalidate_user) {
		array->entry_num = 0;
		return -EOPNOTSUPP;
	}
	if (array->type == IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return iommufd_vtd_invalidate(domain,
					      hwpt->common.paging->common.domain,
					      array);
	return domain->ops->cache_invalidate_user(domain, array);
}

const struct iommufd_object_ops iommufd_hwpt_nested_object_ops = {
	.type = IOMMUFD_OBJ_HWPT_NESTED,
	.name = "hwpt",
	.destroy = iommufd_hwpt_nested_destroy,
	.invalidate = iommufd_hwpt_nested_invalidate,
	.show = iommufd_hwpt_nested_show,
};

/*
 * A nested hwpt without a domain. @from is what it is made of, which keeps
 * @parent alive: the parent itself or something that holds it.
 */
static struct iommufd_hwpt_nested *
iommufd_hwpt_nested_create(struct iommufd_ctx *ictx,
			   struct iommufd_object *from,
			   struct iommufd_hwpt_paging *parent, u32 flags)
{
	struct iommufd_hwpt_nested *hwpt;
	struct iommufd_object *obj;
	int rc;

	obj = __iommufd_object_alloc(ictx, sizeof(*hwpt),
				     &iommufd_hwpt_nested_object_ops);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	rc = iommufd_object_hold(from);
	if (rc) {
		iommufd_object_abort(ictx, obj);
		return ERR_PTR(rc);
	}
	hwpt = to_hwpt_nested(obj);
	hwpt->from = from;
	hwpt->common.paging = parent;
	hwpt->common.pasid = flags & IOMMU_HWPT_ALLOC_PASID;
	return hwpt;
}

static int iommufd_hwpt_nested_check(struct iommufd_ctx *ictx, u32 flags,
				     const struct iommu_user_data *user_data)
{
	if (flags & ~(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID))
		return refuse(&ictx->refusal, -EOPNOTSUPP,
			      "hwpt: flags 0x%x are not for a nested page table",
			      flags);
	if (!user_data)
		return refuse(&ictx->refusal, -EOPNOTSUPP,
			      "hwpt: a nested page table needs data for the IOMMU driver");
	return 0;
}

/**
 * iommufd_hwpt_nested_alloc - allocate a hwpt that is nested in another one
 * @idev: a device that will be attached to it
 * @parent: what it is nested in; in use
 * @flags: IOMMU_HWPT_ALLOC_PASID and IOMMU_HWPT_FAULT_ID_VALID
 * @user_data: where the user's page table is and what it is like, in the words of
 *             the IOMMU driver; or NULL
 *
 * Return: the hwpt, to be finalized, or aborted and destroyed; or an ERR_PTR:
 * -EINVAL if @parent was not made to be a parent, or is of another IOMMU driver;
 * -EOPNOTSUPP if the driver cannot nest, or does not know the flags or the data;
 * or another error of the driver.
 */
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc(struct iommufd_device *idev,
			  struct iommufd_hwpt_paging *parent, u32 flags,
			  const struct iommu_user_data *user_data)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt_nested *hwpt;
	struct iommu_domain *domain;
	int rc;

	if (!parent->item.nest_parent)
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "hwpt: hwpt %u was not allocated to be a nest parent",
				      parent->common.obj.id));
	rc = iommufd_hwpt_nested_check(ictx, flags, user_data);
	if (rc)
		return ERR_PTR(rc);

	hwpt = iommufd_hwpt_nested_create(ictx, &parent->common.obj, parent,
					  flags);
	if (IS_ERR(hwpt))
		return ERR_CAST(hwpt);
	domain = iommufd_domain_alloc_nested(idev->dev, parent->common.domain,
					     flags, user_data);
	if (IS_ERR(domain)) {
		iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
		return ERR_PTR(refuse(&ictx->refusal, PTR_ERR(domain),
				      "hwpt: the IOMMU driver of %s refuses a nested page table with flags 0x%x and %zu bytes of data of type 0x%x",
				      dev_name(idev->dev), flags,
				      user_data->len, user_data->type));
	}
	hwpt->common.domain = domain;
	iommufd_hwpt_set_nested(&hwpt->common);
	return &hwpt->common;
}

static struct iommu_domain *
iommufd_hwpt_nested_viommu_domain(struct iommufd_viommu *viommu, u32 flags,
				  const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain;

	if (!viommu->ops->alloc_domain_nested)
		return ERR_PTR(-EOPNOTSUPP);
	flags &= ~IOMMU_HWPT_FAULT_ID_VALID;
	domain = viommu->ops->alloc_domain_nested(viommu, flags, user_data);
	if (!IS_ERR(domain))
		domain->owner = viommu->iommu_dev->ops;
	return domain;
}

/**
 * iommufd_hwpt_nested_alloc_viommu - allocate a nested hwpt of a virtual IOMMU
 * @idev: a device that will be attached to it
 * @viommu: the virtual IOMMU, in whose parent it is nested; in use
 * @flags: IOMMU_HWPT_ALLOC_PASID and IOMMU_HWPT_FAULT_ID_VALID
 * @user_data: as for iommufd_hwpt_nested_alloc()
 *
 * Return: the hwpt, to be finalized, or aborted and destroyed; or an ERR_PTR:
 * -EINVAL if the device is behind another IOMMU, -EOPNOTSUPP if the driver has no
 * such domains, or does not know the flags or the data; or another error of the
 * driver.
 */
struct iommufd_hwpt *
iommufd_hwpt_nested_alloc_viommu(struct iommufd_device *idev,
				 struct iommufd_viommu *viommu, u32 flags,
				 const struct iommu_user_data *user_data)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt_nested *hwpt;
	struct iommu_domain *domain;
	int rc;

	if (!iopt_has_iommu(idev->dev) ||
	    viommu->iommu_dev != __iommu_get_iommu_dev(idev->dev))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "hwpt: %s is not behind the IOMMU of viommu %u",
				      dev_name(idev->dev), viommu->obj.id));
	rc = iommufd_hwpt_nested_check(ictx, flags, user_data);
	if (rc)
		return ERR_PTR(rc);

	hwpt = iommufd_hwpt_nested_create(ictx, &viommu->obj, viommu->hwpt,
					  flags);
	if (IS_ERR(hwpt))
		return ERR_CAST(hwpt);
	domain = iommufd_hwpt_nested_viommu_domain(viommu, flags, user_data);
	if (IS_ERR(domain)) {
		iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
		return ERR_PTR(refuse(&ictx->refusal, PTR_ERR(domain),
				      "hwpt: viommu %u refuses a nested page table with flags 0x%x and %zu bytes of data of type 0x%x",
				      viommu->obj.id, flags, user_data->len,
				      user_data->type));
	}
	hwpt->common.domain = domain;
	iommufd_hwpt_set_nested(&hwpt->common);
	return &hwpt->common;
}
