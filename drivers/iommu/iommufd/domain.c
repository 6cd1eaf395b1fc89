// SPDX-License-Identifier: GPL-2.0-only
/*
 * How domains are had from IOMMU drivers: the one file that knows what differs
 * between them and between kernels.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"
#include "mock/hooks.h"
#include "software_domain.h"

static bool dirty_tracking = true;
module_param(dirty_tracking, bool, 0644);
MODULE_PARM_DESC(dirty_tracking,
		 "Track what devices write also with IOMMU drivers that report to no bitmap of ours, and have to be asked page by page");

static struct iommu_domain *iommufd_domain_try(struct iommufd_group *igroup,
					       struct iommu_domain *domain)
{
	int rc;

	if (IS_ERR(domain))
		return domain;
	rc = iommufd_group_try_domain(igroup, domain);
	if (!rc)
		return domain;
	iommu_domain_free(domain);
	return ERR_PTR(rc);
}

/* What a driver gives for flags; not yet known to suit the hardware */
static struct iommu_domain *
iommufd_domain_alloc_flags(struct device *dev, u32 flags,
			   const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain;

	domain = ops->domain_alloc_paging_flags(dev, flags, user_data);
	/* What the IOMMU core does for its own allocations */
	if (!IS_ERR(domain)) {
		domain->owner = ops;
		domain->type = IOMMU_DOMAIN_UNMANAGED;
	}
	return domain;
}

/* Does a driver know these flags, whatever the stage of what it gives for them? */
static int iommufd_domain_check_flags(struct device *dev, u32 flags)
{
	struct iommu_domain *domain;

	domain = iommufd_domain_alloc_flags(dev, flags, NULL);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	iommu_domain_free(domain);
	return 0;
}

/* What drivers answer when a kind of domain does not suit the hardware */
static bool iommufd_domain_unsuitable(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENODEV;
}

/**
 * iommufd_domain_alloc_paging - allocate a domain that maps memory
 * @igroup: the group that will be attached to it
 * @dev: a device of the group
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT and so on
 * @user_data: what the user tells the IOMMU driver, or NULL
 *
 * Drivers have two ways to give us a domain. The one that takes flags is
 * preferred, because it gives a second-stage page table where the hardware has
 * both stages. Where it has only the first stage that one does not suit, and the
 * driver may notice only at the attach. PASIDs and faults go with either stage,
 * so such flags are no reason not to fall back on the other way.
 *
 * Return: the domain, empty and attached to nothing, or an ERR_PTR: -EOPNOTSUPP
 * if the driver does not know what the flags or the data ask for, another error of
 * the driver, or one of iommufd_group_try_domain().
 */
struct iommu_domain *
iommufd_domain_alloc_paging(struct iommufd_group *igroup, struct device *dev,
			    u32 flags, const struct iommu_user_data *user_data)
{
	/* No driver is concerned with how its faults are answered */
	u32 driver_flags = flags & ~IOMMU_HWPT_FAULT_ID_VALID;
	bool either_stage = !(driver_flags & ~IOMMU_HWPT_ALLOC_PASID) &&
			    !user_data;
	const struct iommu_ops *ops;
	struct iommu_domain *domain;
	int rc;

	if (igroup->noiommu)
		return flags || user_data ? ERR_PTR(-EOPNOTSUPP) :
					    iommufd_software_domain_alloc();
	ops = dev_iommu_ops(dev);
	if (!ops->domain_alloc_paging_flags && (driver_flags || user_data))
		return ERR_PTR(-EOPNOTSUPP);
	if (ops->domain_alloc_paging_flags &&
	    (!either_stage || !READ_ONCE(igroup->no_user_domain))) {
		domain = iommufd_domain_alloc_flags(dev, driver_flags,
						    user_data);
		domain = iommufd_domain_try(igroup, domain);
		if (!IS_ERR(domain) || !either_stage ||
		    !iommufd_domain_unsuitable(PTR_ERR(domain)))
			return domain;
	}
	if (driver_flags) {
		rc = iommufd_domain_check_flags(dev, driver_flags);
		if (rc)
			return ERR_PTR(rc);
	}
	if (ops->domain_alloc_paging_flags)
		WRITE_ONCE(igroup->no_user_domain, true);
	return iommufd_domain_try(igroup, iommu_paging_domain_alloc(dev));
}

/**
 * iommufd_domain_alloc_nested - allocate a domain that is nested in another one
 * @dev: a device that will be attached to it
 * @parent: what it is nested in, made to be a parent
 * @flags: IOMMU_HWPT_ALLOC_PASID and IOMMU_HWPT_FAULT_ID_VALID
 * @user_data: what the user tells the IOMMU driver
 *
 * Nothing is attached to it to find out whether it suits, because it translates
 * as soon as a device is attached: it is not empty.
 *
 * Return: the domain or an ERR_PTR: -EOPNOTSUPP if the driver cannot nest, or does
 * not know what the flags or the data ask for, -EINVAL if the parent is not of
 * that driver, or another error of the driver.
 */
struct iommu_domain *
iommufd_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			    u32 flags, const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops;
	struct iommu_domain *domain;

	if (!iopt_has_iommu(dev))
		return ERR_PTR(-EOPNOTSUPP);
	ops = dev_iommu_ops(dev);
	if (!ops->domain_alloc_nested)
		return ERR_PTR(-EOPNOTSUPP);
	if (parent->owner != ops)
		return ERR_PTR(-EINVAL);
	domain = ops->domain_alloc_nested(dev, parent,
					  flags & ~IOMMU_HWPT_FAULT_ID_VALID,
					  user_data);
	if (!IS_ERR(domain))
		domain->owner = ops;
	return domain;
}

/**
 * iommufd_dirty_by_gather - does the IOMMU driver of a device tell no bitmap what is dirty?
 * @dev: the device
 *
 * Drivers that were built without CONFIG_IOMMUFD_DRIVER walk their page tables and
 * do not report what they find, and those of a kernel with an iommufd of its own report
 * to the bitmap of that. A bitmap from them would be clean whatever the
 * device wrote, which corrupts a migration silently.
 *
 * Return: true if so, and then the bitmap is iommufd_dirty_gather_read()'s, for drivers
 * that tell it enough.
 */
bool iommufd_dirty_by_gather(struct device *dev)
{
	if (iommufd_selftest_is_mock_dev(dev))
		return iommufd_selftest_is_silent();
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVERS_SILENT);
}

/* Do drivers tell a gather of all that is dirty, as dirty_gather.h wants it? */
static bool iommufd_dirty_gather_suffices(struct device *dev)
{
	if (!READ_ONCE(dirty_tracking))
		return false;
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVERS_GATHER) ||
	       iommufd_selftest_is_mock_dev(dev);
}

/**
 * iommufd_dirty_tracking_supported - can dirty pages of a device be found?
 * @dev: the device
 *
 * Return: true if so.
 */
bool iommufd_dirty_tracking_supported(struct device *dev)
{
	if (iommufd_dirty_by_gather(dev) && !iommufd_dirty_gather_suffices(dev))
		return false;
	return device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING);
}
