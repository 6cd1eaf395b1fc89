// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-amba: the driver for devices that are on Arm's AMBA bus and say in their
 * registers what they are.
 */
#include <linux/amba/bus.h>
#include <linux/module.h>

#include "vfio_platform_priv.h"

static bool reset_required;
module_param(reset_required, bool, 0644);
MODULE_PARM_DESC(reset_required, "Refuse devices that cannot be reset, whose DMA would go on after their user (default: no)");

static struct resource *vfio_amba_find_region(struct device *dev,
					      unsigned int n)
{
	return n ? NULL : &to_amba_device(dev)->res;
}

static int vfio_amba_find_irq(struct device *dev, unsigned int n)
{
	struct amba_device *adev = to_amba_device(dev);

	if (n >= ARRAY_SIZE(adev->irq) || !adev->irq[n])
		return -ENXIO;
	return adev->irq[n];
}

static const struct vfio_platform_bus vfio_amba_bus = {
	.info_flag = VFIO_DEVICE_FLAGS_AMBA,
	.reset_required = &reset_required,
	.region = vfio_amba_find_region,
	.irq = vfio_amba_find_irq,
};

/* The bus has enabled runtime power management and the clock already */
static int vfio_amba_probe(struct amba_device *adev, const struct amba_id *id)
{
	return vfio_platform_register(&adev->dev, &vfio_amba_bus);
}

static void vfio_amba_remove(struct amba_device *adev)
{
	vfio_platform_unregister(&adev->dev);
}

/* None: a device is bound to it by its driver_override */
static const struct amba_id vfio_amba_ids[] = {
	{ 0, 0 },
};

static struct amba_driver vfio_amba_driver = {
	.probe = vfio_amba_probe,
	.remove = vfio_amba_remove,
	.id_table = vfio_amba_ids,
	.drv = {
		.name = "vfio-amba",
	},
	.driver_managed_dma = true,
};

module_amba_driver(vfio_amba_driver);

MODULE_DESCRIPTION("Devices on the AMBA bus driven by userspace");
MODULE_LICENSE("GPL");
