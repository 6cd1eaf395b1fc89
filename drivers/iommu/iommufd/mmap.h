/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_MMAP_H
#define __IOMMUFD_MMAP_H

#include <linux/types.h>

struct file;
struct iommufd_object;
struct vm_area_struct;

/**
 * struct iommufd_mmap - device memory that the user can map from the file
 * @owner: whose it is. It may not be visible yet, or be on its way out
 * @phys: where it is
 * @npages: how many pages
 */
struct iommufd_mmap {
	struct iommufd_object *owner;
	phys_addr_t phys;
	unsigned long npages;
};

int iommufd_fops_mmap(struct file *filp, struct vm_area_struct *vma);

#endif
