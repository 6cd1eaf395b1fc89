/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rest of iommufd asks about tests.
 */
#ifndef __IOMMUFD_MOCK_HOOKS_H
#define __IOMMUFD_MOCK_HOOKS_H

#include <linux/device.h>
#include <linux/types.h>

#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
extern const struct device_type mock_device_type;

bool iommufd_selftest_is_mock_dev(struct device *dev);
bool iommufd_should_fail(void);
unsigned int iommufd_test_batch(unsigned int n);

void mock_hooks_set_memory_limit(unsigned int limit);
void mock_hooks_init(void);
void mock_hooks_exit(void);
#else
static inline bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return false;
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
