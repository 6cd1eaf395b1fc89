// SPDX-License-Identifier: GPL-2.0-only
/*
 * Index to PFN for the pages of one iopt_pages, see pfn_store.h.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "pfn_store.h"

/*
 * A flat chunk stores the PFN that its first index has or would have. Value
 * entries are one bit shorter than a word, which no PFN needs.
 */
static unsigned long flat_base(const void *entry)
{
	return xa_to_value(entry);
}

static unsigned long chunk_first(unsigned long index)
{
	return index & ~PFN_CHUNK_MASK;
}

/* Indices that exist in the chunk of @index: the last chunk may be short. */
static unsigned long chunk_npages(const struct pfn_store *store,
				  unsigned long index)
{
	return min(PFN_CHUNK_SIZE, store->npages - chunk_first(index));
}

/**
 * pfn_store_init - prepare an empty store
 * @store: the store
 * @npages: number of indices, at least 1
 */
void pfn_store_init(struct pfn_store *store, unsigned long npages)
{
	xa_init_flags(&store->chunks, XA_FLAGS_ACCOUNT);
	store->npages = npages;
	store->nr_tables = 0;
}

/**
 * pfn_store_destroy - free all memory of a store
 * @store: the store; the pages it names are not touched
 */
void pfn_store_destroy(struct pfn_store *store)
{
	unsigned long index;
	void *entry;

	xa_for_each(&store->chunks, index, entry)
		if (!xa_is_value(entry))
			kfree(entry);
	xa_destroy(&store->chunks);
}

static int store_flat(struct pfn_store *store, unsigned long index, void *old,
		      unsigned long base)
{
	void *entry;

	entry = xa_store(&store->chunks, index >> PFN_CHUNK_SHIFT,
			 xa_mk_value(base), GFP_KERNEL_ACCOUNT);
	if (xa_is_err(entry))
		return xa_err(entry);
	if (old && !xa_is_value(old)) {
		kfree(old);
		store->nr_tables--;
	}
	return 0;
}

/* Return the table of a chunk, turning a flat chunk into a scattered one. */
static unsigned long *chunk_table(struct pfn_store *store, unsigned long index,
				  void *old)
{
	unsigned long npages = chunk_npages(store, index);
	unsigned long *table;
	unsigned long i;
	void *entry;

	if (old && !xa_is_value(old))
		return old;

	table = kmalloc_array(npages, sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	if (old)
		for (i = 0; i < npages; i++)
			table[i] = flat_base(old) + i;

	entry = xa_store(&store->chunks, index >> PFN_CHUNK_SHIFT, table,
			 GFP_KERNEL_ACCOUNT);
	if (xa_is_err(entry)) {
		kfree(table);
		return NULL;
	}
	store->nr_tables++;
	return table;
}

/*
 * A run inside one chunk can be kept flat when nothing else in the chunk can
 * be in use with another base: it is the first thing there, it agrees with
 * what is there, or it covers every index the chunk has.
 */
static bool run_is_flat(struct pfn_store *store, unsigned long index,
			unsigned long pfn, unsigned long npages,
			const void *old)
{
	unsigned long offset = index & PFN_CHUNK_MASK;

	if (pfn < offset)
		return false;
	if (!old || npages == chunk_npages(store, index))
		return true;
	return xa_is_value(old) && flat_base(old) == pfn - offset;
}

/* Store a run that does not leave its chunk. */
static int chunk_set_run(struct pfn_store *store, unsigned long index,
			 unsigned long pfn, unsigned long npages)
{
	void *old = xa_load(&store->chunks, index >> PFN_CHUNK_SHIFT);
	unsigned long offset = index & PFN_CHUNK_MASK;
	unsigned long *table;
	unsigned long i;

	if (run_is_flat(store, index, pfn, npages, old)) {
		if (xa_is_value(old) && flat_base(old) == pfn - offset)
			return 0;
		return store_flat(store, index, old, pfn - offset);
	}

	table = chunk_table(store, index, old);
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
		int rc = chunk_set_run(store, index, pfn, n);

		if (rc)
			return rc;
		index += n;
		pfn += n;
		npages -= n;
	}
	return 0;
}

/* Number of leading entries of @pages that are physically consecutive. */
static unsigned long run_length(struct page **pages, unsigned long npages)
{
	unsigned long i;

	for (i = 1; i < npages; i++)
		if (pages[i] != nth_page(pages[0], i))
			return i;
	return npages;
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
	while (npages) {
		unsigned long n = min(npages, PFN_CHUNK_SIZE -
						      (index & PFN_CHUNK_MASK));
		unsigned long run = run_length(pages, n);
		unsigned long *table;
		unsigned long i;

		if (run == n) {
			int rc = chunk_set_run(store, index,
					       page_to_pfn(pages[0]), n);

			if (rc)
				return rc;
		} else {
			table = chunk_table(store, index,
					    xa_load(&store->chunks,
						    index >> PFN_CHUNK_SHIFT));
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
 * pfn_store_run - read the maximal run that starts at an index
 * @store: the store
 * @index: where to start; must be in use
 * @last: last index to look at, inclusive; all up to it must be in use
 * @pfn: receives the PFN of @index
 *
 * Runs are followed across chunks, so that a gigantic page is one run.
 *
 * Return: the length of the run in pages, at least 1.
 */
unsigned long pfn_store_run(struct pfn_store *store, unsigned long index,
			    unsigned long last, unsigned long *pfn)
{
	unsigned long start = index;
	unsigned long next = 0;

	for (;;) {
		unsigned long offset = index & PFN_CHUNK_MASK;
		unsigned long end = min(last, index | PFN_CHUNK_MASK);
		void *entry = xa_load(&store->chunks,
				      index >> PFN_CHUNK_SHIFT);
		const unsigned long *table;

		/* Reading what was never stored is a bug of the owner. */
		if (WARN_ON_ONCE(!entry)) {
			*pfn = 0;
			return last - start + 1;
		}

		if (xa_is_value(entry)) {
			unsigned long first = flat_base(entry) + offset;

			if (index == start)
				*pfn = first;
			else if (first != next)
				break;
			next = first + (end - index + 1);
			index = end;
		} else {
			table = (const unsigned long *)entry + offset - index;
			if (index == start)
				*pfn = table[index];
			else if (table[index] != next)
				break;
			for (next = table[index] + 1;
			     index < end && table[index + 1] == next; next++)
				index++;
			if (index < end)
				return index - start + 1;
		}
		if (index == last)
			return index - start + 1;
		index++;
	}
	return index - start;
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
	while (index <= last) {
		unsigned long end = chunk_first(index) +
				    chunk_npages(store, index) - 1;

		if (!(index & PFN_CHUNK_MASK) && end <= last) {
			void *entry = xa_erase(&store->chunks,
					       index >> PFN_CHUNK_SHIFT);

			if (entry && !xa_is_value(entry)) {
				kfree(entry);
				store->nr_tables--;
			}
		}
		if (end == ULONG_MAX)
			break;
		index = end + 1;
	}
}
