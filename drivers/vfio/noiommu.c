// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether devices may be used that no IOMMU confines. Off until the administrator
 * says otherwise, and out of question under lockdown, because such a device
 * reads and writes all memory for whoever drives it.
 */
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/security.h>

#include "vfio.h"

static bool vfio_noiommu;

static int vfio_noiommu_set(const char *val, const struct kernel_param *kp)
{
	bool enable;
	int ret;

	ret = kstrtobool(val, &enable);
	if (ret)
		return ret;
	if (enable) {
		ret = security_locked_down(LOCKDOWN_PCI_ACCESS);
		if (ret)
			return ret;
	}
	WRITE_ONCE(vfio_noiommu, enable);
	return 0;
}

static const struct kernel_param_ops vfio_noiommu_ops = {
	.set = vfio_noiommu_set,
	.get = param_get_bool,
};

module_param_cb(enable_unsafe_noiommu_mode, &vfio_noiommu_ops, &vfio_noiommu,
		0644);
__MODULE_PARM_TYPE(enable_unsafe_noiommu_mode, "bool");
MODULE_PARM_DESC(enable_unsafe_noiommu_mode,
		 "Let privileged processes drive devices without an IOMMU: no isolation, taints the kernel, refused under lockdown. (default: false)");

/**
 * vfio_noiommu_allowed - may devices without an IOMMU be used now?
 *
 * Return: true if the administrator wants it and lockdown, which may have begun
 * after that, does not forbid it.
 */
bool vfio_noiommu_allowed(void)
{
	return READ_ONCE(vfio_noiommu) &&
	       !security_locked_down(LOCKDOWN_PCI_ACCESS);
}

/**
 * vfio_noiommu_init - let containers tell whether devices may do without an IOMMU
 */
void __init vfio_noiommu_init(void)
{
	iommufd_vfio_compat_set_no_iommu_policy(vfio_noiommu_allowed);
}

/**
 * vfio_noiommu_cleanup - undo vfio_noiommu_init()
 */
void vfio_noiommu_cleanup(void)
{
	iommufd_vfio_compat_set_no_iommu_policy(NULL);
}
