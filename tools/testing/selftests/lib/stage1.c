// SPDX-License-Identifier: GPL-2.0-only
#include "stage1.h"

#define S1_ADDR		0x000ffffffffff000ULL

/* VT-d, as the processor's */
#define VTD_PRESENT	1ULL
#define VTD_WRITE	2ULL
#define VTD_USER	4ULL

/* VMSAv8-64, with a granule of 4 KiB */
#define ARM_VALID	1ULL
#define ARM_TABLE	2ULL	/* in the lowest level: a page */
#define ARM_USER	(1ULL << 6)
#define ARM_READ_ONLY	(1ULL << 7)
#define ARM_INNER	(3ULL << 8)
#define ARM_ACCESSED	(1ULL << 10)
#define ARM_NOT_GLOBAL	(1ULL << 11)
#define ARM_PAGE	(ARM_VALID | ARM_TABLE | ARM_USER | ARM_INNER | \
			 ARM_ACCESSED | ARM_NOT_GLOBAL)

const struct stage1_format stage1_vtd = {
	.table = VTD_PRESENT | VTD_WRITE | VTD_USER,
	.page = VTD_PRESENT | VTD_WRITE | VTD_USER,
	.read_only = VTD_PRESENT | VTD_USER,
};

const struct stage1_format stage1_arm = {
	.table = ARM_VALID | ARM_TABLE,
	.page = ARM_PAGE,
	.read_only = ARM_PAGE | ARM_READ_ONLY,
};

void stage1_init(struct stage1 *t, const struct stage1_format *format,
		 void *block, __u64 gpa, unsigned int pages)
{
	*t = (struct stage1){
		.format = format,
		.block = block,
		.gpa = gpa,
		.pages = pages,
		.used = 1,
	};
}

/* The entry for @iova in the lowest level; NULL if a table is missing */
static __u64 *stage1_entry(struct stage1 *t, __u64 iova, bool make)
{
	__u64 *table = t->block, *e;
	unsigned int level;

	for (level = S1_LEVELS - 1; level; level--) {
		e = &table[iova >> (12 + 9 * level) & 511];
		if (!*e) {
			if (!make || t->used == t->pages)
				return NULL;
			*e = (t->gpa + S1_PAGE * t->used++) | t->format->table;
		}
		table = t->block + ((*e & S1_ADDR) - t->gpa) / sizeof(*e);
	}
	return &table[iova >> 12 & 511];
}

bool stage1_map(struct stage1 *t, __u64 iova, __u64 gpa, bool write)
{
	__u64 *e = stage1_entry(t, iova, true);

	if (!e)
		return false;
	*e = gpa | (write ? t->format->page : t->format->read_only);
	return true;
}

void stage1_unmap(struct stage1 *t, __u64 iova)
{
	__u64 *e = stage1_entry(t, iova, false);

	if (e)
		*e = 0;
}
