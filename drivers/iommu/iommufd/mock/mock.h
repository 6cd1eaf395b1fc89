/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What CONFIG_IOMMUFD_TEST adds, as the rest of iommufd sees it.
 */
#ifndef __IOMMUFD_MOCK_H
#define __IOMMUFD_MOCK_H

#include <linux/types.h>

struct device;
struct iommufd_ucmd;

#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
#include "../iommufd_test.h"

int iommufd_test_init(void);
void iommufd_test_exit(void);
int iommufd_test(struct iommufd_ucmd *ucmd);
bool iommufd_selftest_is_mock_dev(struct device *dev);
bool iommufd_should_fail(void);
unsigned int iommufd_test_batch(unsigned int n);
#else
static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}

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
