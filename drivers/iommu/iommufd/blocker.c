// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeps a group from being claimed: a member that is bound to a driver
 * which does DMA by itself.
 */
#include <linux/amba/bus.h>
#include <linux/cdx/cdx_bus.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/fsl/mc.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "ctx.h"
#include "refusal.h"

#define DRIVER_NAME_MAX	64

/*
 * Does binding this driver give the device's DMA to the kernel? Each bus asks
 * its own kind of driver, and a bus that does not ask claims nothing.
 */
static bool iommufd_driver_claims_dma(struct device *dev,
				      struct device_driver *drv)
{
	if (dev_is_pci(dev))
		return !to_pci_driver(drv)->driver_managed_dma;
	if (dev_is_platform(dev))
		return !to_platform_driver(drv)->driver_managed_dma;
	if (dev_is_fsl_mc(dev))
		return !to_fsl_mc_driver(drv)->driver_managed_dma;
#ifdef CONFIG_ARM_AMBA
	if (dev->bus == &amba_bustype)
		return !container_of(drv, struct amba_driver,
				     drv)->driver_managed_dma;
#endif
#ifdef CONFIG_CDX_BUS
	if (dev->bus == &cdx_bus_type)
		return !to_cdx_driver(drv)->driver_managed_dma;
#endif
	return dev->bus && dev->bus->dma_configure;
}

/**
 * iommufd_device_blocks - is a device bound to a host driver?
 * @dev: a member of an IOMMU group
 * @name: receives the name of the driver if so
 * @size: bytes of @name
 *
 * The device lock would tell for sure, but must not be taken under the lock of
 * the iommu_group, nor by a reader of an attribute that a driver's remove()
 * waits for. What keeps the driver's structure is that module memory is freed
 * an RCU grace period after the last device has lost the driver.
 *
 * Return: true if the driver does DMA by itself, so the group cannot be
 * claimed.
 */
bool iommufd_device_blocks(struct device *dev, char *name, size_t size)
{
	struct device_driver *drv;

	guard(rcu)();

	drv = READ_ONCE(dev->driver);
	if (!drv || !iommufd_driver_claims_dma(dev, drv))
		return false;
	strscpy(name, drv->name, size);
	return true;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_blocks, "IOMMUFD_VFIO");

struct blocker {
	char driver[DRIVER_NAME_MAX];
	char device[64];
};

static int iommufd_find_blocker(struct device *dev, void *data)
{
	struct blocker *blocker = data;

	if (!iommufd_device_blocks(dev, blocker->driver,
				   sizeof(blocker->driver)))
		return 0;
	strscpy(blocker->device, dev_name(dev), sizeof(blocker->device));
	return 1;
}

/**
 * iommufd_refuse_owner - record why a group cannot be claimed
 * @ictx: who wanted it
 * @group: the group
 * @what: what was asked for, for the message
 * @error: that of iommu_group_claim_dma_owner() or iommu_device_claim_dma_owner()
 *
 * Return: @error.
 */
int iommufd_refuse_owner(struct iommufd_ctx *ictx, struct iommu_group *group,
			 const char *what, int error)
{
	struct blocker blocker;

	if (iommu_group_for_each_dev(group, &blocker, iommufd_find_blocker))
		return refuse_and_warn(&ictx->refusal, REFUSAL_OWNER, error,
				       "%s: in IOMMU group %d, %s is bound to the host driver %s",
				       what, iommu_group_id(group),
				       blocker.device, blocker.driver);
	return refuse_and_warn(&ictx->refusal, REFUSAL_OWNER, error,
			       "%s: IOMMU group %d is in use by another owner",
			       what, iommu_group_id(group));
}
EXPORT_SYMBOL_NS_GPL(iommufd_refuse_owner, "IOMMUFD_VFIO");
