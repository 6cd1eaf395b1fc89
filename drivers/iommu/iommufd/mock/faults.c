// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests trigger page faults of mock devices, and ask what was answered.
 */
#include <linux/mutex.h>

#include "../iommufd_private.h"
#include "hardware.h"
#include "ops.h"

static struct iommufd_device *mock_get_idev(struct iommufd_ucmd *ucmd, u32 id)
{
	struct iommufd_object *obj =
		iommufd_object_get(ucmd->ictx, id, IOMMUFD_OBJ_DEVICE);

	if (IS_ERR(obj))
		return ERR_CAST(obj);
	if (mock_device_of(to_idev(obj)->dev))
		return to_idev(obj);
	iommufd_object_put(ucmd->ictx, obj);
	return ERR_PTR(-EINVAL);
}

int mock_test_trigger_iopf(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	const struct iommu_fault_page_request fault = {
		.pasid = cmd->trigger_iopf.pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm & ~MOCK_IOPF_NOT_LAST,
		.addr = cmd->trigger_iopf.addr,
	};
	struct iommufd_device *idev =
		mock_get_idev(ucmd, cmd->trigger_iopf.dev_id);

	if (IS_ERR(idev))
		return PTR_ERR(idev);
	/* A fault that goes nowhere has its answer, which is no error */
	scoped_guard(mutex, &idev->igroup->lock)
		mock_device_fault(mock_device_of(idev->dev), &fault,
				  !(cmd->trigger_iopf.perm &
				    MOCK_IOPF_NOT_LAST));
	iommufd_object_put(ucmd->ictx, &idev->obj);
	return 0;
}

int mock_test_check_response(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev =
		mock_get_idev(ucmd, cmd->check_response.dev_id);
	struct mock_response *response;

	if (IS_ERR(idev))
		return PTR_ERR(idev);
	response = mock_response_of(mock_device_of(idev->dev),
				    cmd->check_response.grpid);
	cmd->check_response.out_count = atomic_read(&response->count);
	cmd->check_response.out_code = READ_ONCE(response->code);
	cmd->check_response.out_pasid = READ_ONCE(response->pasid);
	iommufd_object_put(ucmd->ictx, &idev->obj);
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
