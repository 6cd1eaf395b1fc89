// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software IOMMU, as the IOMMU core sees it.
 */
#include <linux/fwnode.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "hooks.h"
#include "hardware.h"

/* A mock device does no DMA by itself, so that there is little to do */
static int mock_attach_static(struct iommu_domain *domain, struct device *dev,
			      struct iommu_domain *old)
{
	return mock_iopf_attach(dev, IOMMU_NO_PASID, domain);
}

static const struct iommu_domain_ops mock_static_domain_ops = {
	.attach_dev = mock_attach_static,
};

static struct iommu_domain mock_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &mock_static_domain_ops,
};

/**
 * mock_block_pasid - detach a PASID, for &iommu_domain_ops.set_dev_pasid
 * @domain: the blocking domain
 * @dev: a mock device
 * @pasid: the PASID
 * @old: what it is attached to now, or NULL
 *
 * Return: 0.
 */
int mock_block_pasid(struct iommu_domain *domain, struct device *dev,
		     ioasid_t pasid, struct iommu_domain *old)
{
	return mock_move_pasid(dev, pasid, old, NULL);
}

static const struct iommu_domain_ops mock_blocked_domain_ops = {
	.attach_dev = mock_attach_static,
	.set_dev_pasid = MOCK_BLOCK_PASID,
};

static struct iommu_domain mock_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &mock_blocked_domain_ops,
};

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return mdev->flags & MOCK_FLAGS_DEVICE_COHERENT;
	case IOMMU_CAP_DIRTY_TRACKING:
		return !(mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
	default:
		return false;
	}
}

static void *mock_hw_info(struct device *dev, u32 *length,
			  enum iommu_hw_info_type *type)
{
	struct iommu_test_hw_info *info;

	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOMEM);
	info->test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL;
	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	return info;
}

struct iommu_device mock_iommu;

static struct iommu_device *mock_probe_device(struct device *dev)
{
	return &mock_iommu;
}

static void mock_probe_finalize(struct device *dev)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	/* There is no firmware to tell the IOMMU core */
	if (mdev->flags & MOCK_FLAGS_DEVICE_PASID)
		dev->iommu->max_pasids = 1U << MOCK_PASID_WIDTH;
}

static void mock_get_resv_regions(struct device *dev, struct list_head *head)
{
	static const unsigned long starts[] = {
		MOCK_RESERVED_FIRST, MOCK_RESERVED_SECOND,
	};
	struct mock_device *mdev = dev_get_drvdata(dev);
	struct iommu_resv_region *region;
	unsigned int i;

	if (!(mdev->flags & MOCK_FLAGS_DEVICE_RESERVES))
		return;
	for (i = 0; i != ARRAY_SIZE(starts); i++) {
		region = iommu_alloc_resv_region(starts[i],
						 MOCK_RESERVED_LENGTH, 0,
						 IOMMU_RESV_RESERVED,
						 GFP_KERNEL);
		if (region)
			list_add_tail(&region->list, head);
	}
}

/**
 * mock_device_of - the mock device behind a device
 * @dev: any device
 *
 * Return: the mock device, or NULL if it is none.
 */
struct mock_device *mock_device_of(struct device *dev)
{
	return dev->type == &mock_device_type ? dev_get_drvdata(dev) : NULL;
}

/* Keeps a device from leaving the group that another one is about to join */
DEFINE_MUTEX(mock_group_lock);

static int mock_match_grouped(struct device *dev, const void *data)
{
	struct mock_device *mdev = mock_device_of(dev);

	return dev != data && mdev && dev->iommu_group &&
	       (mdev->flags & MOCK_FLAGS_DEVICE_GROUPED);
}

static struct iommu_group *mock_device_group(struct device *dev)
{
	struct mock_device *mdev = dev_get_drvdata(dev);
	struct iommu_group *group;
	struct device *mate;

	lockdep_assert_held(&mock_group_lock);

	if (!(mdev->flags & MOCK_FLAGS_DEVICE_GROUPED))
		return generic_device_group(dev);
	mate = bus_find_device(&platform_bus_type, NULL, dev,
			       mock_match_grouped);
	if (!mate)
		return generic_device_group(dev);
	group = iommu_group_get(mate);
	put_device(mate);
	return group;
}

static const struct iommu_ops mock_iommu_ops = {
	/*
	 * Where the kernel has no DMA API for translated DMA, as User-mode
	 * Linux has not, a default domain can be of no other kind.
	 */
	.default_domain = &mock_identity_domain,
	.identity_domain = &mock_identity_domain,
	.blocked_domain = &mock_blocked_domain,
	.owner = THIS_MODULE,
	.capable = mock_capable,
	.hw_info = mock_hw_info,
	MOCK_DOMAIN_ALLOC_OPS,
	.domain_alloc_paging = mock_domain_alloc_paging,
	.probe_device = mock_probe_device,
	.probe_finalize = mock_probe_finalize,
	.device_group = mock_device_group,
	.get_resv_regions = mock_get_resv_regions,
	.page_response = mock_page_response,
	/* What a nested domain has of PASIDs is its user's */
	.user_pasid_table = true,
	.default_domain_ops = &mock_domain_ops,
};

/**
 * mock_iommu_register - plug in the mock IOMMU
 *
 * Return: 0 or a negative errno.
 */
int mock_iommu_register(void)
{
	struct fwnode_handle *fwnode;
	int rc;

	fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(fwnode))
		return PTR_ERR(fwnode);
	mock_iommu.fwnode = fwnode;
	rc = iommu_device_sysfs_add(&mock_iommu, NULL, NULL, "iommufd_mock");
	if (rc)
		goto err_fwnode;
	rc = iommu_device_register(&mock_iommu, &mock_iommu_ops, NULL);
	if (rc)
		goto err_sysfs;
	return 0;

err_sysfs:
	iommu_device_sysfs_remove(&mock_iommu);
err_fwnode:
	fwnode_remove_software_node(fwnode);
	return rc;
}

/**
 * mock_iommu_unregister - undo mock_iommu_register()
 *
 * There are no mock devices any more.
 */
void mock_iommu_unregister(void)
{
	iommu_device_unregister(&mock_iommu);
	iommu_device_sysfs_remove(&mock_iommu);
	fwnode_remove_software_node(mock_iommu.fwnode);
}
