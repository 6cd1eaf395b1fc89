// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables: domains of the IOMMU driver as objects of the user.
 */
#include <linux/iommu.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data user_data = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	struct iommufd_object *dev_obj, *pt_obj;
	struct iommufd_device *idev;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_ioas *ioas;
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
	idev = to_idev(dev_obj);
	pt_obj = iommufd_object_get(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt_obj)) {
		rc = -EINVAL;
		goto out_put_dev;
	}

	if (pt_obj->ops->type == IOMMUFD_OBJ_HWPT) {
		rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
			    "hwpt: nested page tables are not supported");
		goto out_put_pt;
	}
	if (pt_obj->ops->type != IOMMUFD_OBJ_IOAS) {
		rc = -EINVAL;
		goto out_put_pt;
	}
	if (cmd->flags & (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)) {
		rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
			    "hwpt: page faults and PASIDs are not supported");
		goto out_put_pt;
	}
	if (cmd->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) {
		if (!iommufd_dirty_tracking_supported(idev->dev)) {
			rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
				    "hwpt: the IOMMU or its driver cannot report dirty pages");
			goto out_put_pt;
		}
	}

	ioas = to_ioas(pt_obj);
	mutex_lock(&ioas->mutex);
	hwpt = iommufd_hwpt_paging_alloc(ioas, idev->igroup, idev->dev,
					 cmd->flags,
					 has_data ? &user_data : NULL);
	rc = PTR_ERR_OR_ZERO(hwpt);
	if (!rc)
		rc = iommufd_hwpt_fill(hwpt);
	mutex_unlock(&ioas->mutex);
	if (rc)
		goto out_abort;

	cmd->out_hwpt_id = hwpt->common.obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc)
		iommufd_object_finalize(ucmd->ictx, &hwpt->common.obj);
out_abort:
	if (rc && !IS_ERR(hwpt))
		iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->common.obj);
out_put_pt:
	iommufd_object_put(ucmd->ictx, pt_obj);
out_put_dev:
	iommufd_object_put(ucmd->ictx, dev_obj);
	return rc;
}
