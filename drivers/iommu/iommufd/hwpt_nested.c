// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables that the user owns, nested in one that it does not: they
 * translate to IOVA, which the parent translates to memory.
 */
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

static int iommufd_hwpt_nested_invalidate(struct iommufd_object *obj,
					  struct iommu_user_data_array *array)
{
	struct iommu_domain *domain = to_hwpt(obj)->domain;

	if (!domain->ops->cache_invalidate_user) {
		array->entry_num = 0;
		return -EOPNOTSUPP;
	}
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
			   struct iommufd_hwpt_paging *parent)
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

	hwpt = iommufd_hwpt_nested_create(ictx, &parent->common.obj, parent);
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
	hwpt->common.pasid = flags & IOMMU_HWPT_ALLOC_PASID;
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

	if (viommu->iommu_dev != __iommu_get_iommu_dev(idev->dev))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "hwpt: %s is not behind the IOMMU of viommu %u",
				      dev_name(idev->dev), viommu->obj.id));
	rc = iommufd_hwpt_nested_check(ictx, flags, user_data);
	if (rc)
		return ERR_PTR(rc);

	hwpt = iommufd_hwpt_nested_create(ictx, &viommu->obj, viommu->hwpt);
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
	return &hwpt->common;
}
