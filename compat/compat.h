/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in each source file of an external build.
 *
 * What the kernel lacks or names differently is in the headers of include/.
 */
#ifndef _COMPAT_H
#define _COMPAT_H

/* The container is iommufd's own, whatever the kernel is configured for */
#undef CONFIG_VFIO_CONTAINER

#endif
