// SPDX-License-Identifier: GPL-2.0-only
#include "vtd_s1.h"

#define S1_PRESENT	1ULL
#define S1_WRITE	2ULL
#define S1_USER		4ULL
#define S1_ADDR		0x000ffffffffff000ULL

void vtd_s1_init(struct vtd_s1 *t, void *block, __u64 gpa, unsigned int pages)
{
	*t = (struct vtd_s1){
		.block = block,
		.gpa = gpa,
		.pages = pages,
		.used = 1,
	};
}

/* The entry for @iova in the lowest level; NULL if a table is missing */
static __u64 *vtd_s1_entry(struct vtd_s1 *t, __u64 iova, bool make)
{
	__u64 *table = t->block, *e;
	unsigned int level;

	for (level = S1_LEVELS - 1; level; level--) {
		e = &table[iova >> (12 + 9 * level) & 511];
		if (!*e) {
			if (!make || t->used == t->pages)
				return NULL;
			*e = (t->gpa + S1_PAGE * t->used++) | S1_PRESENT |
			     S1_WRITE | S1_USER;
		}
		table = t->block + ((*e & S1_ADDR) - t->gpa) / sizeof(*e);
	}
	return &table[iova >> 12 & 511];
}

bool vtd_s1_map(struct vtd_s1 *t, __u64 iova, __u64 gpa, bool write)
{
	__u64 *e = vtd_s1_entry(t, iova, true);

	if (!e)
		return false;
	*e = gpa | S1_PRESENT | (write ? S1_WRITE : 0) | S1_USER;
	return true;
}

void vtd_s1_unmap(struct vtd_s1 *t, __u64 iova)
{
	__u64 *e = vtd_s1_entry(t, iova, false);

	if (e)
		*e = 0;
}
