/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PIN_HELPERS_H
#define __IOMMUFD_PIN_HELPERS_H

#include <linux/kconfig.h>
#include <linux/sizes.h>

#include "pin_job.h"

#if IS_ENABLED(CONFIG_VHOST_TASK)
/* From how much memory on helpers may be had, and for how much each of them is */
#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
extern unsigned int iopt_pin_help_mib;
#else
#define iopt_pin_help_mib 1024
#endif

int iopt_pin_helpers_init(void);
void iopt_pin_helpers_exit(void);
unsigned long iopt_pin_with_helpers(struct iopt_pages *pages,
				    const struct iopt_pin_ops *ops,
				    unsigned long index, unsigned long last,
				    void **batch, unsigned int max);

/* Whether to ask for helpers with so many pages to pin */
static inline bool iopt_pin_may_have_helpers(unsigned long npages)
{
	return npages >> (20 - PAGE_SHIFT) >= iopt_pin_help_mib;
}
#else
static inline bool iopt_pin_may_have_helpers(unsigned long npages)
{
	return false;
}

static inline int iopt_pin_helpers_init(void)
{
	return 0;
}

static inline void iopt_pin_helpers_exit(void)
{
}

static inline unsigned long
iopt_pin_with_helpers(struct iopt_pages *pages, const struct iopt_pin_ops *ops,
		      unsigned long index, unsigned long last, void **batch,
		      unsigned int max)
{
	return 0;
}
#endif

#endif
