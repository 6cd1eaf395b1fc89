/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations of the ioctl for tests, and what they share.
 */
#ifndef __IOMMUFD_MOCK_OPS_H
#define __IOMMUFD_MOCK_OPS_H

#include <linux/sizes.h>
#include <linux/types.h>

#include "../iommufd_test.h"

struct iommufd_hwpt;
struct iommufd_ucmd;
struct page;

/* Bytes of an access or a bitmap, which are allocated at once */
#define MOCK_MAX_LENGTH SZ_16M

int mock_test_mock_domain(struct iommufd_ucmd *ucmd, u32 flags);
int mock_test_mock_domain_replace(struct iommufd_ucmd *ucmd);
int mock_test_pasid(struct iommufd_ucmd *ucmd);

int mock_test_add_reserved(struct iommufd_ucmd *ucmd);
int mock_test_check_map(struct iommufd_ucmd *ucmd);
int mock_test_check_refs(struct iommufd_ucmd *ucmd);
int mock_test_check_dev_cache(struct iommufd_ucmd *ucmd);
int mock_test_trigger_vevent(struct iommufd_ucmd *ucmd);
int mock_test_check_iotlb(struct iommufd_ucmd *ucmd);
struct iommufd_hwpt *mock_get_any_hwpt(struct iommufd_ucmd *ucmd, u32 id);
struct iommufd_hwpt *mock_get_hwpt(struct iommufd_ucmd *ucmd, u32 id);
struct page *mock_get_user_page(unsigned long uptr);

int mock_test_create_access(struct iommufd_ucmd *ucmd);
int mock_test_access(struct iommufd_ucmd *ucmd);

int mock_test_trigger_iopf(struct iommufd_ucmd *ucmd);
int mock_test_check_response(struct iommufd_ucmd *ucmd);

int mock_test_dirty(struct iommufd_ucmd *ucmd);

#endif
