/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-d's tables and invalidation queue as a device's address translation service
 * needs them: written from the VT-d specification (revision 4.1, chapters 3, 6
 * and 9), and sharing nothing with QEMU's VT-d nor with the kernel's driver.
 */
#ifndef PASID_TESTDEV_VTD_H
#define PASID_TESTDEV_VTD_H

#include <stdbool.h>

#include <linux/types.h>

/* Where QEMU's q35 has its registers */
#define VTD_BASE	0xfed90000ULL
#define VTD_ECAP	0x10
#define   VTD_ECAP_NEST		(1ULL << 26)
#define   VTD_ECAP_SLADS	(1ULL << 45)
#define   VTD_ECAP_SLTS		(1ULL << 46)
#define   VTD_ECAP_SMPWC	(1ULL << 48)

/* A PASID that stands for requests without one */
#define VTD_NO_PASID	0xffffffff

/**
 * struct vtd_translation - what the tables say about a page
 * @phys: physical address of the page
 * @read: may be read
 * @write: may be written
 * @tracked: the second stage has accessed and dirty bits
 * @dirty: and the dirty bit of the page is set
 * @type: PGTT of the PASID entry: 1 first stage, 2 second stage, 3 nested,
 *        4 pass-through, 0xff if there is no entry
 */
struct vtd_translation {
	__u64 phys;
	bool read;
	bool write;
	bool tracked;
	bool dirty;
	unsigned int type;
};

/**
 * struct vtd_invalidation - what a descriptor of the queue takes out of caches
 * @first: first address of the range
 * @last: last one
 */
struct vtd_invalidation {
	__u64 first;
	__u64 last;
};

/* Physical memory and VT-d's registers */
__u32 vtd_read32(__u64 addr);
__u64 vtd_read64(__u64 addr);
void vtd_write64(__u64 addr, __u64 val);

/*
 * The page at @addr for a requester; false if there is none. Where the second
 * stage has accessed and dirty bits the walk sets them, the latter if it is for
 * a write and the page may be written.
 */
bool vtd_walk(__u16 requester, __u32 pasid, __u64 addr, bool for_write,
	      struct vtd_translation *t);

/*
 * The next descriptor after *@seen (an offset in the queue) that invalidates
 * translations; false if there is none up to the tail. The queue has room for
 * 255 descriptors or more: who looks less often misses some.
 */
bool vtd_next_invalidation(__u64 *seen, struct vtd_invalidation *inv);

#endif
