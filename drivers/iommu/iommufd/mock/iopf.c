// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of mock devices, whose answers are kept for tests.
 */
#include <linux/iommu.h>
#include <linux/platform_device.h>
#include <linux/xarray.h>

#include "hardware.h"

/* What the IOMMU core knows the faults of mock devices by */
static struct iopf_queue *mock_iopf_queue;

/**
 * mock_iopf_init - let mock devices have page faults
 *
 * Return: 0 or -ENOMEM.
 */
int mock_iopf_init(void)
{
	mock_iopf_queue = iopf_queue_alloc("iommufd_mock");
	return mock_iopf_queue || !IS_ENABLED(CONFIG_IOMMU_IOPF) ? 0 : -ENOMEM;
}

/**
 * mock_iopf_exit - undo mock_iopf_init()
 *
 * There are no mock devices any more.
 */
void mock_iopf_exit(void)
{
	iopf_queue_free(mock_iopf_queue);
}

/**
 * mock_iopf_enable - make a mock device ready to report faults
 * @dev: the device, which is not
 *
 * Return: 0; -ENODEV if it cannot report any; -EBUSY if it is ready; or -ENOMEM.
 */
int mock_iopf_enable(struct device *dev)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	if (mdev->flags & MOCK_FLAGS_DEVICE_NO_IOPF)
		return -ENODEV;
	return iopf_queue_add_device(mock_iopf_queue, dev);
}

/**
 * mock_iopf_disable - undo mock_iopf_enable()
 * @dev: the device
 */
void mock_iopf_disable(struct device *dev)
{
	iopf_queue_remove_device(mock_iopf_queue, dev);
}

/**
 * mock_iopf_attach - note that a mock device, or a PASID of it, gets a domain
 * @dev: the device
 * @pasid: the PASID, or IOMMU_NO_PASID
 * @domain: the domain, or NULL for none
 *
 * As long as one of them has a handler of faults, the device reports some.
 *
 * Context: The lock of the device's group is held.
 * Return: 0, or an error of mock_iopf_at_attach() or -ENOMEM, with nothing changed.
 */
int mock_iopf_attach(struct device *dev, ioasid_t pasid,
		     struct iommu_domain *domain)
{
	struct mock_device *mdev = dev_get_drvdata(dev);
	bool had = xa_load(&mdev->faulting, pasid);
	bool has = domain && domain->iopf_handler;
	int rc;

	if (had == has)
		return 0;
	if (!has) {
		xa_erase(&mdev->faulting, pasid);
		if (xa_empty(&mdev->faulting))
			mock_iopf_at_detach(dev);
		return 0;
	}
	if (xa_empty(&mdev->faulting)) {
		rc = mock_iopf_at_attach(dev);
		if (rc)
			return rc;
	}
	rc = xa_insert(&mdev->faulting, pasid, mdev, GFP_KERNEL);
	if (rc && xa_empty(&mdev->faulting))
		mock_iopf_at_detach(dev);
	return rc;
}

/**
 * mock_response_of - find the answers to a group of page faults
 * @mdev: the device
 * @grpid: index of the group
 *
 * Return: the answers, which others with another index may share.
 */
struct mock_response *mock_response_of(struct mock_device *mdev, u32 grpid)
{
	return &mdev->responses[grpid % ARRAY_SIZE(mdev->responses)];
}

/**
 * mock_page_response - take an answer, for &iommu_ops.page_response
 * @dev: the device that waits for it
 * @evt: the last fault of the group
 * @msg: the answer
 */
void mock_page_response(struct device *dev, struct iopf_fault *evt,
			struct iommu_page_response *msg)
{
	struct mock_device *mdev = dev_get_drvdata(dev);
	struct mock_response *response = mock_response_of(mdev, msg->grpid);

	WRITE_ONCE(response->code, msg->code);
	WRITE_ONCE(response->pasid, msg->pasid);
	atomic_inc(&response->count);
}

/**
 * mock_device_fault - a mock device has a page fault
 * @mdev: the device. What it, and its PASIDs, are attached to stays meanwhile, as it
 *        does while an IOMMU's driver looks at what its hardware has reported
 * @fault: what it is about; IOMMU_NO_PASID is no PASID
 * @last: it is the last one of its group
 *
 * Return: what iommu_report_device_fault() says.
 */
int mock_device_fault(struct mock_device *mdev,
		      const struct iommu_fault_page_request *fault, bool last)
{
	struct iopf_fault event = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = *fault,
		},
	};

	event.fault.prm.flags = 0;
	if (last)
		event.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	if (fault->pasid != IOMMU_NO_PASID)
		event.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	return iommu_report_device_fault(&mdev->pdev->dev, &event);
}
