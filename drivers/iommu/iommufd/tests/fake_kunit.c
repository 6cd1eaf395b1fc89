// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stand-ins for hardware and for a process, see fake_kunit.h.
 */
#include <kunit/resource.h>
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/random.h>

#include "fake_kunit.h"

static ulong kunit_seed;
module_param(kunit_seed, ulong, 0444);
MODULE_PARM_DESC(kunit_seed,
		 "Seed of the randomized KUnit tests, to repeat a run; 0 for a new one each time");

/**
 * fake_random_init - start a sequence of random numbers
 * @test: the test, whose log tells how to get the same sequence again
 * @random: the generator
 */
void fake_random_init(struct kunit *test, struct rnd_state *random)
{
	unsigned long seed = kunit_seed;

	while (!seed)
		seed = get_random_long();
	kunit_info(test, "seed: iommufd.kunit_seed=%lu\n", seed);
	prandom_seed_state(random, seed);
}

/* Pins of a page by pin_user_pages(), as the mm counts them */
static unsigned int page_pins(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (folio_test_large(folio))
		return atomic_read(&folio->_pincount);
	return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS;
}

/*
 * A leaf is recorded page by page of the smallest size, as an xarray value:
 * the physical address in units of that size, the log2 of the leaf's size in
 * such units, and bit 0 for stale.
 */
#define LEAF_STALE 1UL
#define LEAF_ORDER_SHIFT 1
#define LEAF_ORDER_MASK 0x3fUL
#define LEAF_PHYS_SHIFT 7

static struct fake_domain *to_fake(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

static unsigned int fake_shift(const struct fake_domain *fake)
{
	return __ffs(fake->domain.pgsize_bitmap);
}

static unsigned long leaf_value(void *entry)
{
	return entry ? xa_to_value(entry) >> LEAF_PHYS_SHIFT : 0;
}

/* Does the leaf with the page at @index lie in [first, first + n)? */
static bool leaf_inside(void *entry, unsigned long index, unsigned long first,
			unsigned long n)
{
	unsigned long npages = BIT((xa_to_value(entry) >> LEAF_ORDER_SHIFT) &
				   LEAF_ORDER_MASK);
	unsigned long start = ALIGN_DOWN(index, npages);

	return start >= first && start - first + npages <= n;
}

static bool leaf_stale(void *entry)
{
	return entry && (xa_to_value(entry) & LEAF_STALE);
}

static void expect_leaf_pinned(struct fake_domain *fake, unsigned long leaf,
			       const char *when)
{
	phys_addr_t phys = (phys_addr_t)leaf << fake_shift(fake);

	if (!fake->unpinned && !page_pins(pfn_to_page(PHYS_PFN(phys))))
		KUNIT_FAIL(fake->test, "%pa is not pinned %s", &phys, when);
}

static int fake_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t paddr, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned int shift = fake_shift(fake);
	unsigned long index = iova >> shift;
	unsigned long leaf = paddr >> shift;
	unsigned long order = ilog2(pgsize) - shift;
	unsigned long n = pgsize * pgcount >> shift;
	unsigned long i;

	bool fail = fake->fail_in && fake->fail_in == 1;

	fake->driver_maps++;
	if (fake->fail_in)
		fake->fail_in--;
	if (fail && !fake->as_vtd)
		return -ENOMEM;
	fake->largest = max(fake->largest, pgsize);
	fake->prot = prot;
	KUNIT_EXPECT_TRUE(fake->test, IS_ALIGNED(iova | paddr, pgsize));

	for (i = 0; i < n; i++) {
		void *old;

		if (fail && i == n / 2)
			return -ENOMEM;
		old = xa_store(&fake->leaves, index + i,
			       xa_mk_value((leaf + i) << LEAF_PHYS_SHIFT |
					   order << LEAF_ORDER_SHIFT),
			       gfp);

		if (xa_is_err(old))
			return xa_err(old);
		if (old)
			KUNIT_FAIL(fake->test, "0x%lx is mapped already%s",
				   (index + i) << shift,
				   leaf_stale(old) ? " and not flushed" : "");
		expect_leaf_pinned(fake, leaf + i, "when it is mapped");
		fake->nr_live++;
		if (!fake->as_vtd)
			*mapped += 1UL << shift;
	}
	if (fake->as_vtd)
		*mapped = n << shift;
	return 0;
}

static int fake_sync_map(struct iommu_domain *domain, unsigned long iova,
			 size_t size)
{
	struct fake_domain *fake = to_fake(domain);

	if (fake->fail_sync)
		return -ENOMEM;
	fake->core_maps++;
	return 0;
}

static size_t fake_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned int shift = fake_shift(fake);
	unsigned long index = iova >> shift;
	unsigned long n = pgsize * pgcount >> shift;
	unsigned long i;

	fake->driver_unmaps++;
	for (i = 0; i < n; i++) {
		void *old = xa_load(&fake->leaves, index + i);

		if ((!old || leaf_stale(old)) && fake->as_vtd && i)
			continue;
		if (!old || leaf_stale(old)) {
			KUNIT_FAIL(fake->test, "0x%lx is not mapped",
				   (index + i) << shift);
			break;
		}
		if (!leaf_inside(old, index + i, index, n))
			KUNIT_FAIL(fake->test,
				   "0x%lx is a part of a larger page",
				   (index + i) << shift);
		expect_leaf_pinned(fake, leaf_value(old), "when it is unmapped");
		/* Replaces an entry, so that it cannot fail */
		xa_store(&fake->leaves, index + i,
			 xa_mk_value(xa_to_value(old) | LEAF_STALE),
			 GFP_ATOMIC);
		fake->nr_live--;
		fake->nr_stale++;
	}
	if (fake->as_vtd) {
		fake->fresh_start = iova;
		fake->fresh_size = i << shift;
		iommu_iotlb_gather_add_page(domain, gather, iova, i << shift);
		fake->fresh_size = 0;
	} else {
		iommu_iotlb_gather_add_range(gather, iova, i << shift);
	}
	return i << shift;
}

static void fake_flush_range(struct fake_domain *fake, unsigned long start,
			     unsigned long last)
{
	unsigned int shift = fake_shift(fake);
	unsigned long index;
	void *entry;

	if (!fake->nr_stale)
		return;
	xa_for_each(&fake->leaves, index, entry) {
		if (!leaf_stale(entry) || index < start >> shift ||
		    index > last >> shift)
			continue;
		expect_leaf_pinned(fake, leaf_value(entry),
				   "until the IOTLB is flushed");
		xa_erase(&fake->leaves, index);
		fake->nr_stale--;
	}
}

static void fake_flush(struct iommu_domain *domain,
		       struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned long max = fake->item.flush_max;

	fake->flushes++;
	if (!fake->as_vtd) {
		fake_flush_range(fake, 0, ULONG_MAX);
		return;
	}
	if (gather->start > gather->end)
		KUNIT_FAIL(fake->test, "a flush of nothing");
	else if (max && (gather->start ^ gather->end) >= max)
		KUNIT_FAIL(fake->test,
			   "0x%lx-0x%lx is more than one flush can do",
			   gather->start, gather->end);
	else
		fake_flush_range(fake, gather->start, gather->end);
	if (fake->fresh_size)
		KUNIT_FAIL(fake->test,
			   "the tables of 0x%lx are freed before it is flushed",
			   fake->fresh_start);
}

static void fake_flush_all(struct iommu_domain *domain)
{
	struct fake_domain *fake = to_fake(domain);

	fake->flushes++;
	fake_flush_range(fake, 0, ULONG_MAX);
}

static phys_addr_t fake_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	phys_addr_t phys = fake_domain_phys(to_fake(domain), iova);

	return phys == PHYS_ADDR_MAX ? 0 : phys;
}

static const struct iommu_domain_ops fake_domain_ops = {
	.map_pages = fake_map_pages,
	.unmap_pages = fake_unmap_pages,
	.iotlb_sync_map = fake_sync_map,
	.iotlb_sync = fake_flush,
	.flush_iotlb_all = fake_flush_all,
	.iova_to_phys = fake_iova_to_phys,
};

/**
 * fake_domain_phys - translate as a device would
 * @fake: the domain
 * @iova: any IOVA
 *
 * Return: the physical address, or PHYS_ADDR_MAX if there is no translation.
 */
phys_addr_t fake_domain_phys(struct fake_domain *fake, unsigned long iova)
{
	unsigned int shift = fake_shift(fake);
	void *entry = xa_load(&fake->leaves, iova >> shift);

	if (!entry || leaf_stale(entry))
		return PHYS_ADDR_MAX;
	return ((phys_addr_t)leaf_value(entry) << shift) |
	       (iova & (BIT(shift) - 1));
}

static void fake_domain_check(void *data)
{
	struct fake_domain *fake = data;

	KUNIT_EXPECT_EQ(fake->test, fake->nr_live, 0);
	KUNIT_EXPECT_EQ(fake->test, fake->nr_stale, 0);
	xa_destroy(&fake->leaves);
}

/**
 * fake_domain_alloc - make an empty domain
 * @test: the test, with which it goes
 * @page_sizes: bitmap of the page sizes that it has
 *
 * Return: the domain, with every IOVA in its aperture.
 */
struct fake_domain *fake_domain_alloc(struct kunit *test,
				      unsigned long page_sizes)
{
	struct fake_domain *fake = kunit_kzalloc(test, sizeof(*fake),
						 GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->test = test;
	fake->item.domain = &fake->domain;
	fake->domain.type = IOMMU_DOMAIN_UNMANAGED;
	fake->domain.ops = &fake_domain_ops;
	fake->domain.pgsize_bitmap = page_sizes;
	fake->domain.geometry.aperture_end = ULONG_MAX;
	fake->domain.geometry.force_aperture = true;
	xa_init(&fake->leaves);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_domain_check,
						  fake));
	return fake;
}

static int fake_memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct fake_memory *memory = file->private_data;
	unsigned long i;
	int rc;

	for (i = 0; i < memory->npages; i++) {
		rc = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				    memory->pages[i]);
		if (rc)
			return rc;
	}
	return 0;
}

static const struct file_operations fake_memory_fops = {
	.owner = THIS_MODULE,
	.mmap = fake_memory_mmap,
};

static void fake_memory_free(void *data)
{
	struct fake_memory *memory = data;
	unsigned long i;

	for (i = 0; i < memory->npages && memory->pages[i]; i++)
		__free_page(memory->pages[i]);
}

/*
 * Fill @pages, of which there are @npages, from one contiguous block. Its runs
 * are put in reverse order, so that no two of them join.
 */
static int alloc_block(struct page **pages, unsigned long npages,
		       unsigned long run)
{
	unsigned int order = get_order(npages * PAGE_SIZE);
	unsigned long nruns = DIV_ROUND_UP(npages, run);
	struct page *block;
	unsigned long i;

	block = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	if (!block)
		return -ENOMEM;
	split_page(block, order);
	for (i = npages; i < 1UL << order; i++)
		__free_page(block + i);
	for (i = 0; i < npages; i++) {
		unsigned long nr = i / run;
		unsigned long left = npages - nr * run;

		/* The last run may be short, and lies at the very bottom */
		pages[i] = block + i % run +
			   (nr == nruns - 1 ? 0 : left - run);
	}
	return 0;
}

/**
 * fake_memory_alloc - give the test's process memory
 * @test: the test, with which it goes
 * @npages: number of pages
 * @run: length in pages of the runs that the memory is made of, at most what
 *       the page allocator can give
 * @prot: PROT_READ or PROT_READ | PROT_WRITE
 *
 * Return: the memory.
 */
struct fake_memory *fake_memory_alloc(struct kunit *test, unsigned long npages,
				      unsigned long run, unsigned long prot)
{
	const unsigned long block = 1UL << MAX_PAGE_ORDER;
	struct fake_memory *memory;
	unsigned long i;
	struct file *file;

	memory = kunit_kzalloc(test, sizeof(*memory), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, memory);
	memory->pages = kunit_kcalloc(test, npages, sizeof(*memory->pages),
				      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, memory->pages);
	memory->npages = npages;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_memory_free,
						  memory));
	for (i = 0; i < npages; i += block)
		KUNIT_ASSERT_EQ(test, 0,
				alloc_block(memory->pages + i,
					    min(npages - i, block), run));

	file = anon_inode_getfile("[iommufd_kunit]", &fake_memory_fops, memory,
				  O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	memory->addr = kunit_vm_mmap(test, file, 0, npages * PAGE_SIZE, prot,
				     MAP_SHARED, 0);
	fput(file);
	KUNIT_ASSERT_NE(test, memory->addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(memory->addr));
	return memory;
}

/**
 * fake_memory_runs - count the physically contiguous runs
 * @memory: the memory
 * @first: index of the first page to look at
 * @npages: number of pages to look at, not 0
 *
 * Return: the number of runs, looking at each page alone.
 */
unsigned long fake_memory_runs(const struct fake_memory *memory,
			       unsigned long first, unsigned long npages)
{
	unsigned long runs = 1;
	unsigned long i;

	for (i = first + 1; i < first + npages; i++)
		if (page_to_pfn(memory->pages[i]) !=
		    page_to_pfn(memory->pages[i - 1]) + 1)
			runs++;
	return runs;
}

/**
 * fake_memory_pins - how often a page is pinned
 * @memory: the memory
 * @index: index of the page
 *
 * Return: the number of pins.
 */
unsigned int fake_memory_pins(const struct fake_memory *memory,
			      unsigned long index)
{
	return page_pins(memory->pages[index]);
}

/**
 * fake_memory_expect_pins - expect each of some pages to be pinned so often
 * @test: the test
 * @memory: the memory
 * @first: index of the first page
 * @npages: number of pages
 * @pins: expected number of pins
 */
void fake_memory_expect_pins(struct kunit *test,
			     const struct fake_memory *memory,
			     unsigned long first, unsigned long npages,
			     unsigned int pins)
{
	unsigned long i;

	for (i = first; i < first + npages; i++)
		if (fake_memory_pins(memory, i) != pins)
			KUNIT_FAIL(test, "page %lu is pinned %u times, not %u",
				   i, fake_memory_pins(memory, i), pins);
}
