// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests trigger events of virtual IOMMUs.
 */
#include <linux/err.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>

#include "../iommufd_private.h"
#include "hardware.h"
#include "ops.h"

/* The IOMMU reports what the device has done by the name that the guest gave it */
int mock_test_trigger_vevent(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommu_viommu_event_selftest event = {};
	struct iommufd_device *idev;
	struct iommufd_object *obj;
	unsigned long virt_id;
	int rc = -EOPNOTSUPP;

	obj = iommufd_object_get(ucmd->ictx, cmd->trigger_vevent.dev_id,
				 IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	idev = to_idev(obj);
	/* The virtual device keeps the virtual IOMMU */
	scoped_guard(mutex, &idev->igroup->lock) {
		if (!idev->vdev || !mock_device_of(idev->dev))
			break;
		rc = iommufd_viommu_get_vdev_id(idev->vdev->viommu, idev->dev,
						&virt_id);
		if (rc)
			break;
		event.virt_id = virt_id;
		rc = iommufd_viommu_report_event(idev->vdev->viommu,
						 IOMMU_VEVENTQ_TYPE_SELFTEST,
						 &event, sizeof(event));
		/* Hardware does not mind whether there is room */
		if (rc == -EOVERFLOW)
			rc = 0;
	}
	iommufd_object_put(ucmd->ictx, obj);
	return rc;
}
