/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rest of iommufd asks about tests.
 */
#ifndef __IOMMUFD_MOCK_HOOKS_H
#define __IOMMUFD_MOCK_HOOKS_H

#include <linux/device.h>
#include <linux/iommufd.h>
#include <linux/types.h>

/**
 * struct iommufd_viommu_driver - how an IOMMU driver makes virtual IOMMUs
 * @get_viommu_size: as of struct iommu_ops
 * @viommu_init: as of struct iommu_ops
 *
 * Not all kernels have these in struct iommu_ops, and the mock IOMMU is the same
 * in all of them.
 */
struct iommufd_viommu_driver {
	size_t (*get_viommu_size)(struct device *dev,
				  enum iommu_viommu_type type);
	int (*viommu_init)(struct iommufd_viommu *viommu,
			   struct iommu_domain *parent,
			   const struct iommu_user_data *user_data);
};

#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
extern const struct device_type mock_device_type;

bool iommufd_selftest_is_mock_dev(struct device *dev);
bool iommufd_selftest_is_silent(void);
const struct iommufd_viommu_driver *
iommufd_selftest_viommu_driver(struct device *dev);
bool iommufd_should_fail(void);
unsigned int iommufd_test_batch(unsigned int n);

void mock_hooks_set_memory_limit(unsigned int limit);
void mock_hooks_init(const struct iommufd_viommu_driver *driver);
void mock_hooks_exit(void);
#else
static inline bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return false;
}

static inline bool iommufd_selftest_is_silent(void)
{
	return false;
}

static inline const struct iommufd_viommu_driver *
iommufd_selftest_viommu_driver(struct device *dev)
{
	return NULL;
}

static inline bool iommufd_should_fail(void)
{
	return false;
}

static inline unsigned int iommufd_test_batch(unsigned int n)
{
	return n;
}
#endif

#endif
