/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What CONFIG_IOMMUFD_TEST adds to the module.
 */
#ifndef __IOMMUFD_MOCK_H
#define __IOMMUFD_MOCK_H

struct iommufd_ucmd;

#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
#include "../iommufd_test.h"

int iommufd_test_init(void);
void iommufd_test_exit(void);
int iommufd_test(struct iommufd_ucmd *ucmd);
#else
static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}
#endif

#endif
