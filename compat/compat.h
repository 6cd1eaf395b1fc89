/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in each source file of an external build.
 *
 * The place for what a kernel lacks or names differently, each under the
 * COMPAT_HAVE_ macro that compat.mk's probe for it defines. Debian 13's 6.12
 * needs nothing but the line below.
 */
#ifndef _COMPAT_H
#define _COMPAT_H

/* The container is iommufd's own, whatever the kernel is configured for */
#undef CONFIG_VFIO_CONTAINER

#ifndef COMPAT_HAVE_PAGING_DOMAIN_ALLOC
#error "this kernel is older than 6.11 and has no iommu_paging_domain_alloc()"
#endif

#endif
