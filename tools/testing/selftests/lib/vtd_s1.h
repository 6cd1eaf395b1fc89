/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A first-stage page table of VT-d (four levels, pages of 4 KiB) that a program
 * keeps in its own memory, for a device to go through: see IOMMU_HWPT_DATA_VTD_S1.
 * It is in a block that is also mapped in an IOAS, by whose addresses its entries
 * point.
 */
#ifndef TEST_VTD_S1_H
#define TEST_VTD_S1_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/iommufd.h>
#include <linux/types.h>

#define S1_PAGE		4096UL
#define S1_LEVELS	4

/**
 * struct vtd_s1 - a table
 * @block: memory, of which the first page is the top of the table
 * @gpa: where it is mapped in the IOAS
 * @pages: how many pages @block has
 * @used: how many of these are tables
 */
struct vtd_s1 {
	__u64 *block;
	__u64 gpa;
	unsigned int pages;
	unsigned int used;
};

/* The memory is zero */
void vtd_s1_init(struct vtd_s1 *t, void *block, __u64 gpa, unsigned int pages);
/*
 * Let the page at @iova be the one at @gpa, which is an address of the parent;
 * false if the block has no page left for a table
 */
bool vtd_s1_map(struct vtd_s1 *t, __u64 iova, __u64 gpa, bool write);
void vtd_s1_unmap(struct vtd_s1 *t, __u64 iova);

/* The kernel's view of it */
static inline void vtd_s1_data(const struct vtd_s1 *t,
			       struct iommu_hwpt_vtd_s1 *data)
{
	*data = (struct iommu_hwpt_vtd_s1){
		.pgtbl_addr = t->gpa,
		.addr_width = 48,
	};
}

#endif
