/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Until 6.15 messages of a device without a page table were not refused, and the
 * driver of Arm's ITS lost nothing by them.
 */
#ifndef _COMPAT_LINUX_MSI_H
#define _COMPAT_LINUX_MSI_H

#include_next <linux/msi.h>

#ifdef COMPAT_LACKS_PASID_REPLACE
#undef CONFIG_ARM_GIC_V3_ITS
#endif

#endif
