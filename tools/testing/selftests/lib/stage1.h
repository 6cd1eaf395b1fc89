/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page table of the first stage (four levels, pages of 4 KiB) that a program
 * keeps in its own memory, for a device to go through. It is in a block that is
 * also mapped in an IOAS, by whose addresses its entries point.
 */
#ifndef TEST_STAGE1_H
#define TEST_STAGE1_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/iommufd.h>
#include <linux/types.h>

#define S1_PAGE		4096UL
#define S1_LEVELS	4

/* What entries have besides an address: of tables, and of pages */
struct stage1_format {
	__u64 table;
	__u64 page;
	__u64 read_only;
};

/* See IOMMU_HWPT_DATA_VTD_S1, and IOMMU_HWPT_DATA_ARM_SMMUV3 */
extern const struct stage1_format stage1_vtd, stage1_arm;

/**
 * struct stage1 - a table
 * @format: what its entries look like
 * @block: memory, of which the first page is the top of the table
 * @gpa: where it is mapped in the IOAS
 * @pages: how many pages @block has
 * @used: how many of these are tables
 */
struct stage1 {
	const struct stage1_format *format;
	__u64 *block;
	__u64 gpa;
	unsigned int pages;
	unsigned int used;
};

/* The memory is zero */
void stage1_init(struct stage1 *t, const struct stage1_format *format,
		 void *block, __u64 gpa, unsigned int pages);
/*
 * Let the page at @iova be the one at @gpa, which is an address of the parent;
 * false if the block has no page left for a table
 */
bool stage1_map(struct stage1 *t, __u64 iova, __u64 gpa, bool write);
void stage1_unmap(struct stage1 *t, __u64 iova);

/* The kernel's view of one of VT-d */
static inline void stage1_vtd_data(const struct stage1 *t,
				   struct iommu_hwpt_vtd_s1 *data)
{
	*data = (struct iommu_hwpt_vtd_s1){
		.pgtbl_addr = t->gpa,
		.addr_width = 48,
	};
}

#endif
