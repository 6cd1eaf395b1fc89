// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-platform: the driver for platform devices.
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>

#include "vfio_platform_priv.h"

static bool reset_required = true;
module_param(reset_required, bool, 0644);
MODULE_PARM_DESC(reset_required, "Refuse devices that cannot be reset, whose DMA would go on after their user (default: yes)");

static struct resource *vfio_platform_find_region(struct device *dev,
						  unsigned int n)
{
	struct platform_device *pdev = to_platform_device(dev);
	unsigned int i;

	for (i = 0; i < pdev->num_resources; i++) {
		struct resource *res = &pdev->resource[i];

		if (resource_type(res) != IORESOURCE_MEM &&
		    resource_type(res) != IORESOURCE_IO)
			continue;
		if (!n--)
			return res;
	}
	return NULL;
}

static int vfio_platform_find_irq(struct device *dev, unsigned int n)
{
	return platform_get_irq_optional(to_platform_device(dev), n);
}

static const struct vfio_platform_bus vfio_platform_bus = {
	.info_flag = VFIO_DEVICE_FLAGS_PLATFORM,
	.reset_required = &reset_required,
	.region = vfio_platform_find_region,
	.irq = vfio_platform_find_irq,
};

static int vfio_platform_probe(struct platform_device *pdev)
{
	int ret;

	pm_runtime_enable(&pdev->dev);
	ret = vfio_platform_register(&pdev->dev, &vfio_platform_bus);
	if (ret)
		pm_runtime_disable(&pdev->dev);
	return ret;
}

static void vfio_platform_remove(struct platform_device *pdev)
{
	vfio_platform_unregister(&pdev->dev);
	pm_runtime_disable(&pdev->dev);
}

static struct platform_driver vfio_platform_driver = {
	.probe = vfio_platform_probe,
	.remove = vfio_platform_remove,
	.driver = {
		.name = "vfio-platform",
	},
	.driver_managed_dma = true,
};

module_platform_driver(vfio_platform_driver);

MODULE_DESCRIPTION("Platform devices driven by userspace");
MODULE_LICENSE("GPL");
