// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables: domains of the IOMMU driver as objects of the user. What
 * all kinds of them have in common; see hwpt_paging.c for the kinds.
 */
#include <linux/iommu.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "viommu.h"

static struct iommufd_hwpt *
iommufd_hwpt_alloc_paging(struct iommufd_device *idev,
			  struct iommufd_ioas *ioas, u32 flags,
			  const struct iommu_user_data *user_data)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !iommufd_dirty_tracking_supported(idev->dev))
		return ERR_PTR(refuse(&idev->ictx->refusal, -EOPNOTSUPP,
				      "hwpt: the IOMMU or its driver cannot report dirty pages"));

	/* Another task may be pinning a lot for a hwpt of its own */
	if (mutex_lock_killable(&ioas->mutex))
		return ERR_PTR(-EINTR);
	hwpt = iommufd_hwpt_paging_alloc(ioas, idev->igroup, idev->dev, flags,
					 user_data);
	if (IS_ERR(hwpt)) {
		mutex_unlock(&ioas->mutex);
		return ERR_CAST(hwpt);
	}
	rc = iommufd_hwpt_fill(hwpt);
	mutex_unlock(&ioas->mutex);
	if (rc) {
		iommufd_object_abort_and_destroy(idev->ictx, &hwpt->common.obj);
		return ERR_PTR(rc);
	}
	return &hwpt->common;
}

/* Which kind of hwpt it is follows from what it is made of */
static struct iommufd_hwpt *
iommufd_hwpt_alloc(struct iommufd_device *idev, struct iommufd_object *pt,
		   const struct iommu_hwpt_alloc *cmd)
{
	const struct iommu_user_data data = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	const struct iommu_user_data *user_data = cmd->data_len ? &data : NULL;

	switch (pt->ops->type) {
	case IOMMUFD_OBJ_IOAS:
		/* What faults, and what is left of it then, is the nested ones' */
		if ((cmd->flags & IOMMU_HWPT_FAULT_ID_VALID) &&
		    (cmd->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)) {
			refuse(&idev->ictx->refusal, -EOPNOTSUPP,
			       "hwpt: page faults are of nested tables, not of their parent");
			return ERR_PTR(-EOPNOTSUPP);
		}
		return iommufd_hwpt_alloc_paging(idev, to_ioas(pt), cmd->flags,
						 user_data);
	case IOMMUFD_OBJ_HWPT_PAGING:
		return iommufd_hwpt_nested_alloc(idev, to_hwpt_paging(pt),
						 cmd->flags, user_data);
	case IOMMUFD_OBJ_VIOMMU:
		return iommufd_hwpt_nested_alloc_viommu(idev, to_viommu(pt),
							cmd->flags, user_data);
	case IOMMUFD_OBJ_HWPT_NESTED:
		return ERR_PTR(refuse(&idev->ictx->refusal, -EINVAL,
				      "hwpt: hwpt %u is nested itself",
				      pt->id));
	default:
		return ERR_PTR(-EINVAL);
	}
}

int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_object *dev_obj, *pt_obj;
	struct iommufd_hwpt *hwpt;
	bool has_data;
	int rc;

	/* user ABI: __reserved2 is ignored, and so is a pointer to no data */
	if ((cmd->flags & ~known) || cmd->__reserved)
		return -EOPNOTSUPP;
	has_data = cmd->data_type != IOMMU_HWPT_DATA_NONE;
	if (has_data != !!cmd->data_len)
		return -EINVAL;

	dev_obj = iommufd_object_get(ucmd->ictx, cmd->dev_id,
				     IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	pt_obj = iommufd_object_get(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt_obj)) {
		rc = -EINVAL;
		goto out_put_dev;
	}

	hwpt = iommufd_hwpt_alloc(to_idev(dev_obj), pt_obj, cmd);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto out_put_pt;
	}
	cmd->out_hwpt_id = hwpt->obj.id;
	rc = 0;
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		rc = iommufd_fault_connect(ucmd->ictx, hwpt, cmd->fault_id);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
	else
		iommufd_object_finalize(ucmd->ictx, &hwpt->obj);
out_put_pt:
	iommufd_object_put(ucmd->ictx, pt_obj);
out_put_dev:
	iommufd_object_put(ucmd->ictx, dev_obj);
	return rc;
}
