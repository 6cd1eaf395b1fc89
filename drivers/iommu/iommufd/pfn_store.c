// SPDX-License-Identifier: GPL-2.0-only
/*
 * Index to PFN for the pages of one iopt_pages, see pfn_store.h.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "pfn_store.h"

/* Kconfig says so, which a build outside of the tree does not read */
#if defined(CONFIG_SPARSEMEM) && !defined(CONFIG_SPARSEMEM_VMEMMAP)
#error "this kernel has no CONFIG_SPARSEMEM_VMEMMAP, which runs of pages need"
#endif

/*
 * A flat chunk stores the PFN that its first index has or would have. Value
 * entries are one bit shorter than a word, which no PFN needs.
 */
static unsigned long pfn_store_flat_base(const void *entry)
{
	return xa_to_value(entry);
}

static unsigned long pfn_store_chunk_first(unsigned long index)
{
	return index & ~PFN_CHUNK_MASK;
}

/* Indices that exist in the chunk of @index: the last chunk may be short */
static unsigned long pfn_store_chunk_npages(const struct pfn_store *store,
					    unsigned long index)
{
	return min(PFN_CHUNK_SIZE,
		   store->npages - pfn_store_chunk_first(index));
}

/**
 * pfn_store_init - prepare an empty store
 * @store: the store
 * @npages: number of indices, at least 1
 */
void pfn_store_init(struct pfn_store *store, unsigned long npages)
{
	store->npages = npages;
	atomic_long_set(&store->nr_tables, 0);
	if (pfn_store_is_small(store))
		store->only = NULL;
	else
		xa_init_flags(&store->chunks, XA_FLAGS_ACCOUNT);
}

/* Chunks to store or to forget before others get the processor */
#define STEP_CHUNKS 128

/**
 * __pfn_store_destroy - free all memory of a store that has some
 * @store: the store; the pages it names are not touched
 */
void __pfn_store_destroy(struct pfn_store *store)
{
	unsigned long index;
	unsigned int n = 0;
	void *entry;

	if (pfn_store_is_small(store)) {
		kfree(store->only);
		return;
	}
	xa_for_each(&store->chunks, index, entry) {
		if (!xa_is_value(entry))
			kfree(entry);
		if (!(++n % STEP_CHUNKS))
			cond_resched();
	}
	xa_destroy(&store->chunks);
}

/* Put a chunk where there may be one already, which is not freed */
static int pfn_store_set_chunk(struct pfn_store *store, unsigned long index,
			       void *chunk)
{
	if (pfn_store_is_small(store)) {
		store->only = chunk;
		return 0;
	}
	return xa_err(xa_store(&store->chunks, index >> PFN_CHUNK_SHIFT, chunk,
			       GFP_KERNEL_ACCOUNT));
}

/* Free what a chunk had that is not in the store any more */
static void pfn_store_free_table(struct pfn_store *store, void *chunk)
{
	if (chunk && !xa_is_value(chunk)) {
		kfree(chunk);
		atomic_long_dec(&store->nr_tables);
	}
}

static int pfn_store_set_flat(struct pfn_store *store, unsigned long index,
			      unsigned long base)
{
	void *flat = xa_mk_value(base);
	void *old;

	if (pfn_store_is_small(store)) {
		old = store->only;
		store->only = flat;
	} else {
		XA_STATE(xas, &store->chunks, index >> PFN_CHUNK_SHIFT);

		do {
			xas_lock(&xas);
			old = xas_store(&xas, flat);
			xas_unlock(&xas);
		} while (xas_nomem(&xas, GFP_KERNEL_ACCOUNT));
		if (xas_error(&xas))
			return xas_error(&xas);
	}
	pfn_store_free_table(store, old);
	return 0;
}

/* Return the table of a chunk, turning a flat chunk into a scattered one */
static unsigned long *pfn_store_chunk_table(struct pfn_store *store,
					    unsigned long index, void *old)
{
	unsigned long npages = pfn_store_chunk_npages(store, index);
	unsigned long *table;
	unsigned long i;

	if (old && !xa_is_value(old))
		return old;

	table = kmalloc_array(npages, sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	if (old)
		for (i = 0; i < npages; i++)
			table[i] = pfn_store_flat_base(old) + i;

	if (pfn_store_set_chunk(store, index, table)) {
		kfree(table);
		return NULL;
	}
	atomic_long_inc(&store->nr_tables);
	return table;
}

/*
 * A run inside one chunk can be kept flat when nothing else in the chunk can
 * be in use with another base: it is the first thing there, or it agrees with
 * what is there.
 */
static bool pfn_store_run_is_flat(unsigned long index, unsigned long pfn,
				  const void *old)
{
	unsigned long offset = index & PFN_CHUNK_MASK;

	if (pfn < offset)
		return false;
	return !old ||
	       (xa_is_value(old) && pfn_store_flat_base(old) == pfn - offset);
}

/* Store a run that does not leave its chunk */
static int pfn_store_chunk_set_run(struct pfn_store *store, unsigned long index,
				   unsigned long pfn, unsigned long npages)
{
	unsigned long offset = index & PFN_CHUNK_MASK;
	unsigned long *table;
	unsigned long i;
	void *old;

	/* It does not matter what was there, so do not look */
	if (npages == pfn_store_chunk_npages(store, index))
		return pfn_store_set_flat(store, index, pfn);

	old = pfn_store_chunk(store, index);
	if (pfn_store_run_is_flat(index, pfn, old))
		return old ? 0 : pfn_store_set_flat(store, index, pfn - offset);

	table = pfn_store_chunk_table(store, index, old);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < npages; i++)
		table[offset + i] = pfn + i;
	return 0;
}

/**
 * pfn_store_set_run - store one run
 * @store: the store
 * @index: first index
 * @pfn: PFN of @index; the following indices have the following PFNs
 * @npages: length of the run in pages
 *
 * Return: 0, or -ENOMEM, after which the range holds garbage.
 */
int pfn_store_set_run(struct pfn_store *store, unsigned long index,
		      unsigned long pfn, unsigned long npages)
{
	while (npages) {
		unsigned long n = min(npages, PFN_CHUNK_SIZE -
						      (index & PFN_CHUNK_MASK));
		int rc = pfn_store_chunk_set_run(store, index, pfn, n);

		if (rc)
			return rc;
		index += n;
		pfn += n;
		npages -= n;
		if (!(index % (PFN_CHUNK_SIZE * STEP_CHUNKS)))
			cond_resched();
	}
	return 0;
}

static __always_inline bool pfn_store_consecutive(struct page **pages,
						  struct page *first)
{
	return pages[0] == first && pages[1] == first + 1 &&
	       pages[2] == first + 2 &&
	       pages[3] == first + 3 &&
	       pages[4] == first + 4 &&
	       pages[5] == first + 5 &&
	       pages[6] == first + 6 &&
	       pages[7] == first + 7;
}

/*
 * Number of leading entries of @pages that are physically consecutive. Nothing
 * else of ours is done for every page of huge pages, hence by 32.
 */
static unsigned long pfn_store_run_length(struct page **pages,
					  unsigned long npages)
{
	struct page **end = pages + (npages & ~31UL);
	struct page *next = pages[0];
	struct page **page = pages;

	while (page < end && pfn_store_consecutive(page, next) &&
	       pfn_store_consecutive(page + 8, next + 8) &&
	       pfn_store_consecutive(page + 16, next + 16) &&
	       pfn_store_consecutive(page + 24, next + 24)) {
		page += 32;
		next += 32;
	}
	while (page < pages + npages && *page == next) {
		page++;
		next++;
	}
	return page - pages;
}

/**
 * pfn_store_set_pages - store what get_user_pages() returned
 * @store: the store
 * @index: index of the first page
 * @pages: the pages
 * @npages: number of pages
 *
 * Looks at every pointer once, and finds the runs by that.
 *
 * Return: 0, or -ENOMEM, after which the range holds garbage.
 */
int pfn_store_set_pages(struct pfn_store *store, unsigned long index,
			struct page **pages, unsigned long npages)
{
	if (pfn_store_is_single(store)) {
		pfn_store_set_single(store, page_to_pfn(pages[0]));
		return 0;
	}
	while (npages) {
		unsigned long n = min(npages, PFN_CHUNK_SIZE -
						      (index & PFN_CHUNK_MASK));
		unsigned long run = pfn_store_run_length(pages, n);
		unsigned long *table;
		unsigned long i;

		if (run == n) {
			unsigned long pfn = page_to_pfn(pages[0]);
			int rc = pfn_store_chunk_set_run(store, index, pfn, n);

			if (rc)
				return rc;
		} else {
			void *chunk = pfn_store_chunk(store, index);

			table = pfn_store_chunk_table(store, index, chunk);
			if (!table)
				return -ENOMEM;
			table += index & PFN_CHUNK_MASK;
			for (i = 0; i < n; i++)
				table[i] = page_to_pfn(pages[i]);
		}
		index += n;
		pages += n;
		npages -= n;
	}
	return 0;
}

/**
 * __pfn_cursor_next - read the next run, whatever it is
 * @cursor: not at its end
 * @pfn: receives the PFN of the run's first index
 *
 * Runs are followed across chunks, so that a gigantic page is one run.
 *
 * Return: the length of the run in pages, at least 1.
 */
unsigned long __pfn_cursor_next(struct pfn_cursor *cursor, unsigned long *pfn)
{
	unsigned long start = cursor->index;
	unsigned long last = cursor->last;
	unsigned long index = start;
	unsigned long next = 0;

	for (;;) {
		unsigned long offset = index & PFN_CHUNK_MASK;
		unsigned long end = min(last, index | PFN_CHUNK_MASK);
		const unsigned long *table;

		/* Reading what was never stored is a bug of the owner */
		if (WARN_ON_ONCE(!cursor->chunk)) {
			*pfn = 0;
			index = last + 1;
			break;
		}

		if (xa_is_value(cursor->chunk)) {
			unsigned long first =
				pfn_store_flat_base(cursor->chunk) + offset;

			if (index == start)
				*pfn = first;
			else if (first != next)
				break;
			next = first + (end - index + 1);
			index = end + 1;
		} else {
			table = (const unsigned long *)cursor->chunk + offset -
				index;
			if (index == start)
				*pfn = table[index];
			else if (table[index] != next)
				break;
			next = table[index++] + 1;
			while (index <= end && table[index] == next) {
				index++;
				next++;
			}
			if (index <= end)
				break;
		}
		if (index > last)
			break;
		cursor->chunk = pfn_store_chunk(cursor->store, index);
	}
	cursor->index = index;
	return index - start;
}

/**
 * pfn_store_run - read the maximal run that starts at an index
 * @store: the store
 * @index: where to start; must be in use
 * @last: last index to look at, inclusive; all up to it must be in use
 * @pfn: receives the PFN of @index
 *
 * Return: the length of the run in pages, at least 1.
 */
unsigned long pfn_store_run(struct pfn_store *store, unsigned long index,
			    unsigned long last, unsigned long *pfn)
{
	struct pfn_cursor cursor = pfn_cursor_init(store, index, last);

	return __pfn_cursor_next(&cursor, pfn);
}

/**
 * pfn_store_forget - free the memory of chunks that are not in use any more
 * @store: the store
 * @index: first index of a range of which nothing is in use
 * @last: last index of it, inclusive
 *
 * Chunks that the range covers only in part are kept. Never fails.
 */
void pfn_store_forget(struct pfn_store *store, unsigned long index,
		      unsigned long last)
{
	if (pfn_store_is_small(store)) {
		if (!index && last >= store->npages - 1) {
			pfn_store_free_table(store, store->only);
			store->only = NULL;
		}
		return;
	}
	while (index <= last) {
		unsigned long end = pfn_store_chunk_first(index) +
				    pfn_store_chunk_npages(store, index) - 1;

		if (!(index & PFN_CHUNK_MASK) && end <= last)
			pfn_store_free_table(store,
					     xa_erase(&store->chunks,
						      index >> PFN_CHUNK_SHIFT));
		if (end == ULONG_MAX)
			break;
		index = end + 1;
		if (!(index % (PFN_CHUNK_SIZE * STEP_CHUNKS)))
			cond_resched();
	}
}
