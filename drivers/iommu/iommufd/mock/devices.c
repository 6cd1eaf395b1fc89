// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software devices behind the software IOMMU, and how tests plug them in.
 *
 * They are platform devices, because the IOMMU core watches for new devices on a
 * few buses only, and of these everybody may add devices to that one. They find
 * their IOMMU by its firmware node, which is a software node of its own, so that
 * all this works beside the real IOMMU of the machine.
 */
#include <linux/fwnode.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "../../iommu-priv.h"
#include "../iommufd_private.h"
#include "hooks.h"
#include "hardware.h"
#include "ops.h"

/*
 * What iommu_fwspec_init() does for firmware. It wants a lock of the IOMMU core
 * that modules cannot get; nobody else knows of the device yet.
 */
static int mock_device_set_iommu(struct device *dev)
{
	struct iommu_fwspec *fwspec;

	dev->iommu = kzalloc(sizeof(*dev->iommu), GFP_KERNEL);
	if (!dev->iommu)
		return -ENOMEM;
	fwspec = kzalloc(struct_size(fwspec, ids, 1), GFP_KERNEL);
	if (!fwspec) {
		kfree(dev->iommu);
		dev->iommu = NULL;
		return -ENOMEM;
	}
	mutex_init(&dev->iommu->lock);
	fwspec->iommu_fwnode = fwnode_handle_get(mock_iommu.fwnode);
	dev->iommu->fwspec = fwspec;
	return 0;
}

static void mock_device_clear_iommu(struct device *dev)
{
	if (!dev->iommu)
		return;
	fwnode_handle_put(dev->iommu->fwspec->iommu_fwnode);
	kfree(dev->iommu->fwspec);
	kfree(dev->iommu);
	dev->iommu = NULL;
}

/**
 * mock_device_create - plug in a mock device
 * @flags: MOCK_FLAGS_DEVICE_*
 *
 * It is in a group of its own, unless it has MOCK_FLAGS_DEVICE_GROUPED.
 *
 * Return: the device or an ERR_PTR.
 */
struct mock_device *mock_device_create(u32 flags)
{
	struct mock_device *mdev;
	unsigned int i;
	int rc;

	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL_ACCOUNT);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	mdev->flags = flags;
	xa_init_flags(&mdev->faulting, XA_FLAGS_ACCOUNT);
	xa_init_flags(&mdev->pasids, XA_FLAGS_ACCOUNT);
	for (i = 0; i != ARRAY_SIZE(mdev->cache); i++)
		mdev->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;

	rc = -ENOMEM;
	mdev->pdev = platform_device_alloc(mock_device_type.name,
					   PLATFORM_DEVID_AUTO);
	if (!mdev->pdev)
		goto err_free;
	mdev->pdev->dev.type = &mock_device_type;
	platform_set_drvdata(mdev->pdev, mdev);
	rc = mock_device_set_iommu(&mdev->pdev->dev);
	if (rc)
		goto err_put;
	scoped_guard(mutex, &mock_group_lock)
		rc = platform_device_add(mdev->pdev);
	if (rc)
		goto err_clear;
	return mdev;

err_clear:
	mock_device_clear_iommu(&mdev->pdev->dev);
err_put:
	platform_device_put(mdev->pdev);
err_free:
	kfree(mdev);
	return ERR_PTR(rc);
}

/**
 * mock_device_destroy - unplug a mock device
 * @mdev: the device, freed; nobody owns its group
 */
void mock_device_destroy(struct mock_device *mdev)
{
	scoped_guard(mutex, &mock_group_lock)
		platform_device_unregister(mdev->pdev);
	WARN_ON(!xa_empty(&mdev->pasids) || !xa_empty(&mdev->faulting));
	xa_destroy(&mdev->pasids);
	xa_destroy(&mdev->faulting);
	kfree(mdev);
}

/**
 * struct mock_object - a mock device that is bound and attached
 * @obj: the object; the device is unplugged when it is destroyed
 * @mdev: the device
 * @idev: the same as iommufd knows it
 */
struct mock_object {
	struct iommufd_object obj;
	struct mock_device *mdev;
	struct iommufd_device *idev;
};

static void mock_object_destroy(struct iommufd_object *obj)
{
	struct mock_object *mobj = container_of(obj, struct mock_object, obj);

	iommufd_pasid_detach_all(mobj->idev);
	iommufd_device_detach(mobj->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(mobj->idev);
	mock_device_destroy(mobj->mdev);
}

static const struct iommufd_object_ops mock_object_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "mock",
	.destroy = mock_object_destroy,
};

int mock_test_mock_domain(struct iommufd_ucmd *ucmd, u32 flags)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_object *mobj;
	u32 pt_id = cmd->id;
	u32 idev_id;
	int rc;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_HUGE_IOVA |
		      MOCK_FLAGS_DEVICE_PASID | MOCK_FLAGS_DEVICE_GROUPED |
		      MOCK_FLAGS_DEVICE_COHERENT | MOCK_FLAGS_DEVICE_RESERVES |
		      MOCK_FLAGS_DEVICE_NO_RO_NEST | MOCK_FLAGS_DEVICE_NO_IOPF |
		      MOCK_FLAGS_DEVICE_NO_DIRTY_TABLE))
		return -EOPNOTSUPP;

	mobj = iommufd_object_alloc(ucmd->ictx, mock_object, &mock_object_ops);
	if (IS_ERR(mobj))
		return PTR_ERR(mobj);
	mobj->mdev = mock_device_create(flags);
	if (IS_ERR(mobj->mdev)) {
		rc = PTR_ERR(mobj->mdev);
		goto err_abort;
	}
	mobj->idev = iommufd_device_bind(ucmd->ictx, &mobj->mdev->pdev->dev,
					 &idev_id);
	if (IS_ERR(mobj->idev)) {
		rc = PTR_ERR(mobj->idev);
		goto err_device;
	}
	rc = iommufd_device_attach(mobj->idev, IOMMU_NO_PASID, &pt_id);
	if (rc)
		goto err_unbind;

	/* The first three members of mock_domain_flags are the same */
	cmd->mock_domain.out_stdev_id = mobj->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = idev_id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ucmd->ictx, &mobj->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ictx, &mobj->obj);
	return 0;

err_unbind:
	iommufd_device_unbind(mobj->idev);
err_device:
	mock_device_destroy(mobj->mdev);
err_abort:
	iommufd_object_abort(ucmd->ictx, &mobj->obj);
	return rc;
}

int mock_test_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_object *obj;
	u32 pt_id = cmd->mock_domain_replace.pt_id;
	int rc;

	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = iommufd_device_replace(container_of(obj, struct mock_object,
						 obj)->idev,
				    IOMMU_NO_PASID, &pt_id);
	iommufd_object_put(ucmd->ictx, obj);
	if (rc)
		return rc;
	cmd->mock_domain_replace.pt_id = pt_id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* 0 if the IOMMU core has this hwpt for the PASID, or none if @hwpt_id is 0 */
static int mock_check_pasid(struct iommufd_ucmd *ucmd, struct device *dev,
			    ioasid_t pasid, u32 hwpt_id)
{
	struct iommu_attach_handle *handle;
	struct iommu_domain *domain = NULL;
	struct iommufd_hwpt *hwpt;

	if (hwpt_id) {
		hwpt = mock_get_any_hwpt(ucmd, hwpt_id);
		if (IS_ERR(hwpt))
			return PTR_ERR(hwpt);
		domain = hwpt->domain;
		iommufd_object_put(ucmd->ictx, &hwpt->obj);
	}
	handle = iommu_attach_handle_get(dev->iommu_group, pasid, 0);
	if (IS_ERR(handle))
		return hwpt_id ? PTR_ERR(handle) : 0;
	return handle->domain == domain ? 0 : -EINVAL;
}

int mock_test_pasid(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	struct iommufd_object *obj;
	u32 pasid, pt_id;
	int rc;

	/* All four have the same two members, but for the one that detaches */
	pasid = cmd->pasid_attach.pasid;
	pt_id = cmd->pasid_attach.pt_id;
	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	idev = container_of(obj, struct mock_object, obj)->idev;

	switch (cmd->op) {
	case IOMMU_TEST_OP_PASID_ATTACH:
		rc = iommufd_device_attach(idev, pasid, &pt_id);
		break;
	case IOMMU_TEST_OP_PASID_REPLACE:
		rc = iommufd_device_replace(idev, pasid, &pt_id);
		break;
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		rc = mock_check_pasid(ucmd, idev->dev, pasid, pt_id);
		break;
	default:
		/* The device itself is detached when it is unplugged */
		if (pasid != IOMMU_NO_PASID)
			iommufd_device_detach(idev, pasid);
		rc = 0;
		break;
	}
	iommufd_object_put(ucmd->ictx, obj);
	if (rc || cmd->op == IOMMU_TEST_OP_PASID_CHECK_HWPT ||
	    cmd->op == IOMMU_TEST_OP_PASID_DETACH)
		return rc;
	cmd->pasid_attach.pt_id = pt_id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
