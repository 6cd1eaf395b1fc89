// SPDX-License-Identifier: GPL-2.0-only
/* Have IOMMU drivers virtual IOMMUs, and a helper that tells the user of them? */
#include <linux/iommu.h>

size_t probe(const struct iommu_ops *ops, struct device *dev, const struct iommu_user_data *data);
size_t probe(const struct iommu_ops *ops, struct device *dev, const struct iommu_user_data *data)
{
	struct { unsigned int member; } answer = {};

	if (iommu_copy_struct_to_user(data, &answer, 1, member))
		return 0;
	return ops->get_viommu_size(dev, 1);
}
