/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PFN_STORE_H
#define __IOMMUFD_PFN_STORE_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct page;

/**
 * DOC: pfn_store
 *
 * A compact map from index to PFN for one array of @npages pages.
 *
 * Indices are grouped in chunks of %PFN_CHUNK_SIZE. A chunk is either *flat*
 * (its pages are consecutive in physical memory, and one xarray value entry
 * holds the PFN of the chunk's first index) or *scattered* (a table of PFNs).
 * 2 MiB of contiguous memory thus cost 8 bytes, and 2 MiB of scattered memory
 * cost 4 KiB, which is charged to the memory cgroup of the caller.
 *
 * The store does not know which indices are valid. An index that was never
 * set, or whose pages were released since, reads as garbage; its owner knows
 * from its users which indices it may read. That is what lets a part of a
 * chunk be released without touching the store, and so without a failure.
 *
 * Locking is the owner's: setters and forget exclude everybody, readers
 * exclude writers.
 */
#define PFN_CHUNK_SHIFT 9
#define PFN_CHUNK_SIZE BIT(PFN_CHUNK_SHIFT)
#define PFN_CHUNK_MASK (PFN_CHUNK_SIZE - 1)

struct pfn_store {
	struct xarray chunks;
	/* Number of indices; constant after init. */
	unsigned long npages;
	/* Scattered chunks that are allocated, for fdinfo. */
	unsigned long nr_tables;
};

void pfn_store_init(struct pfn_store *store, unsigned long npages);
void pfn_store_destroy(struct pfn_store *store);

int pfn_store_set_pages(struct pfn_store *store, unsigned long index,
			struct page **pages, unsigned long npages);
int pfn_store_set_run(struct pfn_store *store, unsigned long index,
		      unsigned long pfn, unsigned long npages);
unsigned long pfn_store_run(struct pfn_store *store, unsigned long index,
			    unsigned long last, unsigned long *pfn);
void pfn_store_forget(struct pfn_store *store, unsigned long index,
		      unsigned long last);

#endif
