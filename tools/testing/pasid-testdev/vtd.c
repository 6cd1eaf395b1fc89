// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>

#include "vtd.h"

#define GSTS		0x1c
#define   GSTS_TES	(1U << 31)
#define RTADDR		0x20
#define   RTADDR_TTM(v)	((v) >> 10 & 3)
#define   TTM_SCALABLE	1
#define IQT		0x88
#define   IQT_MASK	0x7fff0ULL
#define IQA		0x90
#define   IQA_WIDE	(1U << 11)
#define   IQA_BYTES(v)	(0x1000ULL << ((v) & 7))

#define ADDR_MASK	0x000ffffffffff000ULL
#define PRESENT		1
/* In a PASID entry: the second stage has accessed and dirty bits */
#define SLADE		(1 << 9)

/* Types of descriptors, and the granularity that says "pages" */
#define DESC_CONTEXT	1
#define DESC_IOTLB	2
#define DESC_PASID_IOTLB 6
#define DESC_PASID	7
#define PASID_IOTLB_PAGES 3

/* Entries of page tables; read and write of the second stage */
#define SECOND_READ	1
#define SECOND_WRITE	2
#define SECOND_ACCESSED	(1 << 8)
#define SECOND_DIRTY	(1 << 9)
#define FIRST_WRITE	2
#define FIRST_USER	4
#define LARGE		0x80

/**
 * struct second_stage - the table of the second stage, if there is one
 * @top: physical address of its highest level, 0: none
 * @levels: how many
 * @tracked: its entries have accessed and dirty bits
 */
struct second_stage {
	__u64 top;
	unsigned int levels;
	bool tracked;
};

/* What an entry at @level maps @in to, the entry being a leaf */
static __u64 leaf(__u64 entry, unsigned int level, __u64 in)
{
	__u64 mask = (1ULL << (12 + 9 * level)) - 1;

	return (entry & ADDR_MASK & ~mask) | (in & mask);
}

static __u64 entry_at(__u64 table, unsigned int level, __u64 in)
{
	return (table & ADDR_MASK) + 8 * (in >> (12 + 9 * level) & 511);
}

/* Narrows read and write of @t; false if nothing is at @in */
static bool second_stage(const struct second_stage *s, __u64 in, bool for_write,
			 __u64 *out, struct vtd_translation *t)
{
	unsigned int level = s->levels;
	__u64 table = s->top, at, e, bits;
	bool last;

	if (!table) {
		*out = in;
		return true;
	}
	if (in >> (12 + 9 * level))
		return false;
	while (level--) {
		at = entry_at(table, level, in);
		e = vtd_read64(at);
		if (!(e & (SECOND_READ | SECOND_WRITE)))
			return false;
		t->read &= !!(e & SECOND_READ);
		t->write &= !!(e & SECOND_WRITE);
		last = !level || e & LARGE;
		if (s->tracked) {
			bits = SECOND_ACCESSED;
			if (last && for_write && t->write)
				bits |= SECOND_DIRTY;
			if ((e & bits) != bits)
				vtd_write64(at, e | bits);
			t->dirty = last && (e | bits) & SECOND_DIRTY;
		}
		if (last) {
			*out = leaf(e, level, in);
			return true;
		}
		table = e;
	}
	return false;
}

/*
 * The first stage. The addresses in it are what the second one translates, those
 * of its own tables too. Its own accessed and dirty bits are not set.
 */
static bool first_stage(__u64 table, unsigned int levels, __u64 in, bool for_write,
			const struct second_stage *s, struct vtd_translation *t)
{
	struct vtd_translation tables = { .read = true };
	unsigned int level = levels;
	__u64 at, e;

	while (level--) {
		if (!second_stage(s, entry_at(table, level, in), false, &at,
				  &tables) || !tables.read)
			return false;
		e = vtd_read64(at);
		/* Requests of a device are a user's unless they say otherwise. */
		if (!(e & PRESENT) || !(e & FIRST_USER))
			return false;
		t->write &= !!(e & FIRST_WRITE);
		if (!level || e & LARGE)
			return second_stage(s, leaf(e, level, in), for_write,
					    &t->phys, t);
		table = e;
	}
	return false;
}

/* The first three words of the PASID table's entry; false if there is none */
static bool pasid_entry(__u16 requester, __u32 pasid, __u64 e[3])
{
	__u64 root, context, dir, table;
	unsigned int i;

	root = vtd_read64(VTD_BASE + RTADDR);
	if (!(vtd_read32(VTD_BASE + GSTS) & GSTS_TES) ||
	    RTADDR_TTM(root) != TTM_SCALABLE)
		return false;
	/* An entry of 16 bytes for each bus, of which each half leads to 128 functions */
	context = vtd_read64((root & ADDR_MASK) + 16 * (requester >> 8) +
			     8 * (requester >> 7 & 1));
	if (!(context & PRESENT))
		return false;
	context = (context & ADDR_MASK) + 32 * (requester & 127);
	dir = vtd_read64(context);
	if (!(dir & PRESENT))
		return false;
	if (pasid == VTD_NO_PASID)
		pasid = vtd_read64(context + 8) & 0xfffff;
	if (pasid >> 6 >= 1U << ((dir >> 9 & 7) + 7))
		return false;
	table = vtd_read64((dir & ADDR_MASK) + 8 * (pasid >> 6));
	if (!(table & PRESENT))
		return false;
	for (i = 0; i != 3; i++)
		e[i] = vtd_read64((table & ADDR_MASK) + 64 * (pasid & 63) + 8 * i);
	return e[0] & PRESENT;
}

bool vtd_walk(__u16 requester, __u32 pasid, __u64 addr, bool for_write,
	      struct vtd_translation *t)
{
	struct second_stage s = {}, none = {};
	unsigned int first_levels;
	__u64 e[3];

	*t = (struct vtd_translation){ .read = true, .write = true, .type = 0xff };
	if (!pasid_entry(requester, pasid, e))
		return false;
	t->type = e[0] >> 6 & 7;
	s.top = e[0] & ADDR_MASK;
	s.levels = 2 + (e[0] >> 2 & 7);
	s.tracked = e[0] & SLADE;
	t->tracked = s.tracked && (t->type == 2 || t->type == 3);
	first_levels = 4 + (e[2] >> 2 & 3);
	switch (t->type) {
	case 1:
		return first_stage(e[2], first_levels, addr, for_write, &none, t);
	case 2:
		return second_stage(&s, addr, for_write, &t->phys, t);
	case 3:
		return first_stage(e[2], first_levels, addr, for_write, &s, t);
	case 4:
		t->phys = addr;
		return true;
	}
	return false;
}

bool vtd_next_invalidation(__u64 *seen, struct vtd_invalidation *inv)
{
	__u64 iqa = vtd_read64(VTD_BASE + IQA);
	__u64 tail = vtd_read64(VTD_BASE + IQT) & IQT_MASK, lo, hi, size;
	unsigned int step = iqa & IQA_WIDE ? 32 : 16;

	if (!(iqa & ADDR_MASK))
		return false;
	while (*seen != tail) {
		lo = vtd_read64((iqa & ADDR_MASK) + *seen);
		hi = vtd_read64((iqa & ADDR_MASK) + *seen + 8);
		*seen = (*seen + step) % IQA_BYTES(iqa);
		*inv = (struct vtd_invalidation){ .last = UINT64_MAX };
		switch (lo & 0xf) {
		case DESC_CONTEXT:
		case DESC_PASID:
		/* Addresses of a second stage: nothing is known of input addresses. */
		case DESC_IOTLB:
			return true;
		case DESC_PASID_IOTLB:
			if ((lo >> 4 & 3) == PASID_IOTLB_PAGES) {
				size = 0x1000ULL << (hi & 63);
				inv->first = hi & ~0xfffULL & ~(size - 1);
				inv->last = inv->first + size - 1;
			}
			return true;
		}
	}
	return false;
}
