// SPDX-License-Identifier: GPL-2.0-only
/* Does an IOMMU driver say whether it may use ATS for a device? */
#include <linux/iommu.h>

bool probe(struct device *dev);
bool probe(struct device *dev)
{
	return device_iommu_capable(dev, IOMMU_CAP_PCI_ATS_SUPPORTED);
}
