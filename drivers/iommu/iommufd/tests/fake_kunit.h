/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_FAKE_KUNIT_H
#define __IOMMUFD_FAKE_KUNIT_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/prandom.h>
#include <linux/xarray.h>

#include "../io_pagetable.h"

struct page;

/**
 * DOC: fakes
 *
 * What the KUnit suites put in place of hardware and of a process: a domain
 * that records its translations and judges its caller, user memory whose
 * physical layout the test chooses, and random numbers that can be repeated.
 */

/**
 * struct fake_domain - a domain that records and judges
 * @item: for iopt_add_domain()
 * @domain: the domain
 * @test: where misuse is reported
 * @leaves: IOVA, in units of the smallest page, to physical address in the
 *          same unit, size of the leaf, and whether the translation is stale,
 *          that is removed and not flushed
 * @nr_live: number of translations that are not stale
 * @nr_stale: number of stale translations
 * @core_maps: successful calls of the IOMMU core's map functions
 * @driver_maps: calls of map_pages
 * @driver_unmaps: calls of unmap_pages
 * @flushes: calls of iotlb_sync
 * @largest: size of the largest page that was mapped, in bytes
 * @prot: what the last mapping may be used for
 * @fail_in: the map_pages call that fails, counted from 1 for the next; 0 for
 *           none
 * @fail_sync: iotlb_sync_map fails
 * @unpinned: the memory comes from the test, so that nobody pins it
 * @as_vtd: behave as VT-d's driver: say nothing of what a failing call mapped,
 *          gather ranges by their size, flush only the range that was gathered,
 *          and only if it lies in one aligned block of item.flush_max bytes, and
 *          free page-table pages with any flush
 * @fresh_start: with @as_vtd, first IOVA of the range whose page-table pages
 *               were handed over last and are not covered by the gather yet
 * @fresh_size: bytes of it, 0 if there is none
 */
struct fake_domain {
	struct iopt_domain item;
	struct iommu_domain domain;
	struct kunit *test;
	struct xarray leaves;
	unsigned long nr_live;
	unsigned long nr_stale;
	unsigned int core_maps;
	unsigned int driver_maps;
	unsigned int driver_unmaps;
	unsigned int flushes;
	unsigned long largest;
	int prot;
	unsigned int fail_in;
	bool fail_sync;
	bool unpinned;
	bool as_vtd;
	unsigned long fresh_start;
	unsigned long fresh_size;
};

struct fake_domain *fake_domain_alloc(struct kunit *test,
				      unsigned long page_sizes);
phys_addr_t fake_domain_phys(struct fake_domain *fake, unsigned long iova);

/**
 * struct fake_memory - user memory of the test's own process
 * @addr: user address
 * @npages: number of pages
 * @pages: the pages in the order of their addresses
 */
struct fake_memory {
	unsigned long addr;
	unsigned long npages;
	struct page **pages;
};

struct fake_memory *fake_memory_alloc(struct kunit *test, unsigned long npages,
				      unsigned long run, unsigned long prot);
unsigned long fake_memory_runs(const struct fake_memory *memory,
			       unsigned long first, unsigned long npages);
unsigned int fake_memory_pins(const struct fake_memory *memory,
			      unsigned long index);
void fake_memory_expect_pins(struct kunit *test,
			     const struct fake_memory *memory,
			     unsigned long first, unsigned long npages,
			     unsigned int pins);

/* Nothing is left of what the store had */
static inline void expect_empty_store(struct kunit *test,
				      struct pfn_store *store)
{
	unsigned long index;

	for (index = 0; index < store->npages; index += PFN_CHUNK_SIZE)
		KUNIT_EXPECT_NULL(test, pfn_store_chunk(store, index));
}

void fake_random_init(struct kunit *test, struct rnd_state *random);

/* A number below @limit, which is not 0 */
static inline u32 fake_random_below(struct rnd_state *random, u32 limit)
{
	return prandom_u32_state(random) % limit;
}

#endif
