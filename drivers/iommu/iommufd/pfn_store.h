/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PFN_STORE_H
#define __IOMMUFD_PFN_STORE_H

#include <linux/atomic.h>
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
 * exclude writers; except that setters may run at the same time whose ranges have
 * no chunk in common, if there is more than one. The xarray has a lock for its
 * nodes, which is taken once per chunk.
 */
#define PFN_CHUNK_SHIFT 9
#define PFN_CHUNK_SIZE BIT(PFN_CHUNK_SHIFT)
#define PFN_CHUNK_MASK (PFN_CHUNK_SIZE - 1)

struct pfn_store {
	union {
		/* Chunks by number, if there can be more than one */
		struct xarray chunks;
		/* The only chunk: what small mappings have is found at once */
		void *only;
	};
	/* Number of indices; constant after init */
	unsigned long npages;
	/* Scattered chunks that are allocated, for fdinfo */
	atomic_long_t nr_tables;
};

static inline bool pfn_store_is_small(const struct pfn_store *store)
{
	return store->npages <= PFN_CHUNK_SIZE;
}

/*
 * A store of one index, which most of the shortest calls are about. It needs no
 * memory, and so nothing about it can fail.
 */
static inline bool pfn_store_is_single(const struct pfn_store *store)
{
	return store->npages == 1;
}

static inline void pfn_store_set_single(struct pfn_store *store,
					unsigned long pfn)
{
	store->only = xa_mk_value(pfn);
}

static inline unsigned long pfn_store_single(const struct pfn_store *store)
{
	return xa_to_value(store->only);
}

static inline void pfn_store_forget_single(struct pfn_store *store)
{
	store->only = NULL;
}

/* The chunk of an index: a value entry, a table, or NULL */
static inline void *pfn_store_chunk(struct pfn_store *store,
				    unsigned long index)
{
	if (pfn_store_is_small(store))
		return store->only;
	return xa_load(&store->chunks, index >> PFN_CHUNK_SHIFT);
}

void pfn_store_init(struct pfn_store *store, unsigned long npages);
void __pfn_store_destroy(struct pfn_store *store);

/**
 * pfn_store_destroy - free all memory of a store
 * @store: the store; the pages it names are not touched
 */
static inline void pfn_store_destroy(struct pfn_store *store)
{
	/* That of a few pages most often has none */
	if (!pfn_store_is_small(store) ||
	    atomic_long_read(&store->nr_tables))
		__pfn_store_destroy(store);
}

int pfn_store_set_pages(struct pfn_store *store, unsigned long index,
			struct page **pages, unsigned long npages);
int pfn_store_set_run(struct pfn_store *store, unsigned long index,
		      unsigned long pfn, unsigned long npages);
/**
 * struct pfn_cursor - a walk over the runs of a range
 * @store: the store
 * @index: next index to read
 * @last: last index of the range, inclusive; all up to it must be in use
 * @chunk: the chunk of @index
 */
struct pfn_cursor {
	struct pfn_store *store;
	unsigned long index;
	unsigned long last;
	void *chunk;
};

static inline struct pfn_cursor pfn_cursor_init(struct pfn_store *store,
						unsigned long index,
						unsigned long last)
{
	return (struct pfn_cursor){
		.store = store,
		.index = index,
		.last = last,
		.chunk = pfn_store_chunk(store, index),
	};
}

unsigned long __pfn_cursor_next(struct pfn_cursor *cursor, unsigned long *pfn);

/**
 * pfn_cursor_next - read the next run of a range
 * @cursor: not at its end, which it is when @index has passed @last
 * @pfn: receives the PFN of the run's first index
 *
 * Return: the length of the run in pages, at least 1.
 */
static inline unsigned long pfn_cursor_next(struct pfn_cursor *cursor,
					    unsigned long *pfn)
{
	unsigned long index = cursor->index;
	unsigned long last = cursor->last;
	unsigned long offset = index & PFN_CHUNK_MASK;

	/* The commonest cases are so cheap that a call would show */
	if (xa_is_value(cursor->chunk)) {
		if (last <= (index | PFN_CHUNK_MASK)) {
			*pfn = xa_to_value(cursor->chunk) + offset;
			cursor->index = last + 1;
			return last - index + 1;
		}
	} else if (cursor->chunk && offset != PFN_CHUNK_MASK && index < last) {
		const unsigned long *entry = cursor->chunk;

		entry += offset;
		if (entry[1] != entry[0] + 1) {
			*pfn = entry[0];
			cursor->index = index + 1;
			return 1;
		}
	}
	return __pfn_cursor_next(cursor, pfn);
}

unsigned long pfn_store_run(struct pfn_store *store, unsigned long index,
			    unsigned long last, unsigned long *pfn);
void pfn_store_forget(struct pfn_store *store, unsigned long index,
		      unsigned long last);

#endif
