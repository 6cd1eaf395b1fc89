/* SPDX-License-Identifier: GPL-2.0-only */
/* What IOMMU drivers offered differently, of which the mock IOMMU is one. */
#ifndef _COMPAT_LINUX_IOMMU_H
#define _COMPAT_LINUX_IOMMU_H

#include_next <linux/iommu.h>

/* Until 6.13 one operation made paging and nested domains. */
#ifdef COMPAT_LACKS_PAGING_FLAGS
#define domain_alloc_paging_flags	domain_alloc_user
#define domain_alloc_user(dev, flags, user_data) \
	domain_alloc_user(dev, flags, NULL, user_data)
#define mock_domain_alloc_paging_flags(dev, flags, user_data) \
	mock_domain_alloc_paging_flags(dev, flags,	      \
				       struct iommu_domain *parent, user_data)
#endif

/* Until 6.18 a driver was not told what a device leaves. */
#ifdef COMPAT_LACKS_ATTACH_FROM
#define mock_attach_dev(domain, dev, old) \
	mock_attach_dev(domain, dev)
#define mock_attach_static(domain, dev, old) \
	mock_attach_static(domain, dev)
#endif

#endif
