/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IOMMU groups: devices that the hardware cannot keep apart, so that all of
 * them belong to one user, or to the host.
 */
#ifndef GROUP_H
#define GROUP_H

#include "device.h"

/* The members of the group of @dev, NULL-terminated; @dev alone if it has none */
struct device **group_members(const struct device *dev);
/* Those that do DMA for the host, which nobody else can have meanwhile */
struct device **group_in_the_way(const struct device *dev);
/* "0000:03:00.0 (nvme), 0000:03:00.1 (none)" */
char *group_names(struct device **members);

#endif /* GROUP_H */
