/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PIN_HELPERS_H
#define __IOMMUFD_PIN_HELPERS_H

#include <linux/kconfig.h>
#include <linux/sizes.h>

#include "pin_job.h"

/* From how many pages on helpers may be had, and for how many each of them is */
#define PIN_HELP_PAGES (SZ_1G >> PAGE_SHIFT)

#if IS_ENABLED(CONFIG_VHOST_TASK)
int iopt_pin_helpers_init(void);
void iopt_pin_helpers_exit(void);
unsigned long iopt_pin_with_helpers(struct iopt_pages *pages,
				    const struct iopt_pin_ops *ops,
				    unsigned long index, unsigned long last,
				    void **batch, unsigned int max);
#else
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
