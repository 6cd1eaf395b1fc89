// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page tables of the software IOMMU. All there is of one is an IOTLB that
 * invalidations empty, so that tests see which of them arrived.
 */
#include <linux/container_of.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "hardware.h"

/**
 * struct mock_nested_domain - a page table that the user owns
 * @domain: what the IOMMU core knows of it
 * @parent: what it is nested in
 * @viommu: the virtual IOMMU that it is of, which its hwpt holds, or NULL
 * @iotlb: what its IOTLB holds; 0 once it is invalidated
 */
struct mock_nested_domain {
	struct iommu_domain domain;
	struct iommu_domain *parent;
	struct iommufd_viommu *viommu;
	u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

static struct mock_nested_domain *
mock_nested_domain_of(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested_domain, domain);
}

/* Both stages have to suit the device, and a virtual IOMMU has to know it */
static int mock_nested_attach_dev(struct iommu_domain *domain,
				  struct device *dev, struct iommu_domain *old)
{
	struct mock_nested_domain *mock = mock_nested_domain_of(domain);
	unsigned long vdev_id;
	int rc;

	if (!mock_domain_suits(mock->parent, dev))
		return -EINVAL;
	if (mock->viommu) {
		rc = iommufd_viommu_get_vdev_id(mock->viommu, dev, &vdev_id);
		if (rc)
			return rc;
	}
	return mock_iopf_attach(dev, IOMMU_NO_PASID, domain);
}

static void mock_nested_free(struct iommu_domain *domain)
{
	kfree(mock_nested_domain_of(domain));
}

static int
mock_nested_invalidate_entry(struct mock_nested_domain *mock,
			     const struct iommu_hwpt_invalidate_selftest *entry)
{
	unsigned int i;

	if (entry->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (entry->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	if (entry->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
		for (i = 0; i != ARRAY_SIZE(mock->iotlb); i++)
			WRITE_ONCE(mock->iotlb[i], 0);
	else
		WRITE_ONCE(mock->iotlb[entry->iotlb_id], 0);
	return 0;
}

static int mock_nested_invalidate(struct iommu_domain *domain,
				  struct iommu_user_data_array *array)
{
	struct mock_nested_domain *mock = mock_nested_domain_of(domain);
	const u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	struct iommu_hwpt_invalidate_selftest entry;
	u32 done = 0;
	int rc = 0;

	if (array->type != type)
		rc = -EINVAL;
	while (!rc && done != array->entry_num) {
		rc = iommu_copy_struct_from_user_array(&entry, array, type,
						       done, iotlb_id);
		if (!rc)
			rc = mock_nested_invalidate_entry(mock, &entry);
		if (!rc)
			done++;
	}
	array->entry_num = done;
	return rc;
}

static const struct iommu_domain_ops mock_nested_domain_ops = {
	.attach_dev = mock_nested_attach_dev,
	.set_dev_pasid = MOCK_SET_DEV_PASID,
	.free = mock_nested_free,
	.cache_invalidate_user = mock_nested_invalidate,
};

/**
 * mock_nested_alloc - allocate a domain
 * @parent: what it is nested in
 * @viommu: the virtual IOMMU that it is of, or NULL
 * @flags: IOMMU_HWPT_ALLOC_PASID or 0
 * @user_data: struct iommu_hwpt_selftest of the user
 *
 * Return: the domain or an ERR_PTR.
 */
struct iommu_domain *
mock_nested_alloc(struct iommu_domain *parent, struct iommufd_viommu *viommu,
		  u32 flags, const struct iommu_user_data *user_data)
{
	struct iommu_hwpt_selftest data = {};
	struct mock_nested_domain *mock;
	unsigned int i;
	int rc;

	if ((flags & ~IOMMU_HWPT_ALLOC_PASID) ||
	    user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	if (!mock_domain_is(parent))
		return ERR_PTR(-EINVAL);
	rc = iommu_copy_struct_from_user(&data, user_data,
					 IOMMU_HWPT_DATA_SELFTEST, iotlb);
	if (rc)
		return ERR_PTR(rc);

	mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	mock->domain.type = IOMMU_DOMAIN_NESTED;
	mock->domain.ops = &mock_nested_domain_ops;
	mock->parent = parent;
	mock->viommu = viommu;
	for (i = 0; i != ARRAY_SIZE(mock->iotlb); i++)
		mock->iotlb[i] = data.iotlb;
	return &mock->domain;
}

/**
 * mock_domain_alloc_nested - allocate a domain, for &iommu_ops.domain_alloc_nested
 * @dev: a mock device
 * @parent: what it is nested in
 * @flags: IOMMU_HWPT_ALLOC_PASID or 0
 * @user_data: struct iommu_hwpt_selftest of the user
 *
 * Return: the domain or an ERR_PTR.
 */
struct iommu_domain *
mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			 u32 flags, const struct iommu_user_data *user_data)
{
	return mock_nested_alloc(parent, NULL, flags, user_data);
}

/**
 * mock_nested_iotlb - find out what an IOTLB holds
 * @domain: any nested domain
 * @id: which entry
 * @iotlb: receives what it holds
 *
 * Return: false if the domain is not one of ours.
 */
bool mock_nested_iotlb(struct iommu_domain *domain, unsigned int id, u32 *iotlb)
{
	if (domain->ops != &mock_nested_domain_ops)
		return false;
	*iotlb = READ_ONCE(mock_nested_domain_of(domain)->iotlb[id]);
	return true;
}
