// SPDX-License-Identifier: GPL-2.0-only
/* Can a group of page faults be taken off the list of those that the IOMMU core frees? */
#include <linux/iommu.h>

void probe(struct iopf_group *group);
void probe(struct iopf_group *group)
{
	iopf_group_dequeue(group);
}
