// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address space that tests of io_pagetable start with, see
 * fixture_kunit.h.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "fixture_kunit.h"

/**
 * fixture_unpin_access - let the access go of what it holds
 * @t: the fixture
 */
void fixture_unpin_access(struct fixture *t)
{
	iopt_slice_unpin(&t->pin);
	atomic_dec(&t->pinned->num_accesses);
	t->pinned = NULL;
}

static void access_unmap(struct io_pagetable *iopt, unsigned long iova,
			 unsigned long length)
{
	struct fixture *t = container_of(iopt, struct fixture, iopt);

	t->asked++;
	KUNIT_EXPECT_EQ(t->test, iova, t->pinned->node.start);
	KUNIT_EXPECT_EQ(t->test, length, iopt_area_length(t->pinned));
	KUNIT_EXPECT_TRUE(t->test, t->pinned->prevent_access);
	fixture_unpin_access(t);
	if (t->when_asked)
		t->when_asked(t);
}

static const struct iopt_access_ops access_ops = {
	.unmap = access_unmap,
};

/**
 * fixture_init - start a test
 * @test: the test
 *
 * Return: 0 or -ENOMEM.
 */
int fixture_init(struct kunit *test)
{
	struct fixture *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->test = test;
	refusal_init(&t->refusal);
	iopt_init(&t->iopt, &access_ops, &t->refusal);
	test->priv = t;
	return 0;
}

/**
 * fixture_exit - check that whatever the test did can be undone
 * @test: the test
 */
void fixture_exit(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct iopt_domain *item, *next;
	unsigned long unmapped;

	if (!t)
		return;
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &unmapped));
	list_for_each_entry_safe(item, next, &t->iopt.domains, entry)
		iopt_remove_domain(&t->iopt, item);
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 0);
	iopt_destroy(&t->iopt);
	if (t->memory)
		fake_memory_expect_pins(test, t->memory, 0, t->memory->npages,
					0);
}

/**
 * fixture_add_domain - add a domain that must be accepted
 * @t: the fixture
 * @page_sizes: bitmap of its page sizes
 *
 * Return: the domain.
 */
struct fake_domain *fixture_add_domain(struct fixture *t,
				       unsigned long page_sizes)
{
	struct fake_domain *fake = fake_domain_alloc(t->test, page_sizes);

	KUNIT_ASSERT_EQ(t->test, 0, iopt_add_domain(&t->iopt, &fake->item));
	return fake;
}

/**
 * fixture_memory - get the user memory
 * @t: the fixture
 *
 * Return: the memory, which is scattered unless the test has set another.
 */
struct fake_memory *fixture_memory(struct fixture *t)
{
	if (!t->memory)
		t->memory = fake_memory_alloc(t->test, MEMORY_PAGES, 1,
					      PROT_READ | PROT_WRITE);
	return t->memory;
}

/**
 * fixture_map_memory - map a part of the memory
 * @t: the fixture
 * @offset: first byte of the memory
 * @length: bytes
 * @map: all but pieces and length is given
 *
 * Return: what iopt_map_pages() says.
 */
int fixture_map_memory(struct fixture *t, unsigned long offset,
		       unsigned long length, struct iopt_map *map)
{
	struct iopt_piece piece = { .length = length, .first = true };
	struct fake_memory *memory = fixture_memory(t);
	int rc;

	piece.pages =
		iopt_pages_alloc_user((void __user *)(memory->addr + offset),
				      length, map->prot & IOMMU_WRITE,
				      PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(t->test, IS_ERR(piece.pages));
	piece.offset = offset_in_page(offset);
	map->length = length;
	map->pieces = &piece;
	rc = iopt_map_pages(&t->iopt, map);
	iopt_pages_put(piece.pages);
	return rc;
}

/**
 * fixture_map_at - map a part of the memory at a given IOVA
 * @t: the fixture
 * @iova: first IOVA
 * @offset: first byte of the memory
 * @length: bytes
 *
 * Return: what iopt_map_pages() says.
 */
int fixture_map_at(struct fixture *t, unsigned long iova, unsigned long offset,
		   unsigned long length)
{
	struct iopt_map map = { .prot = RW, .fixed = true, .iova = iova };

	return fixture_map_memory(t, offset, length, &map);
}

/**
 * fixture_map_auto - map a part of the memory anywhere
 * @t: the fixture
 * @offset: first byte of the memory
 * @length: bytes
 * @iova: receives the first IOVA
 *
 * Return: what iopt_map_pages() says.
 */
int fixture_map_auto(struct fixture *t, unsigned long offset,
		     unsigned long length, unsigned long *iova)
{
	struct iopt_map map = { .prot = RW };
	int rc = fixture_map_memory(t, offset, length, &map);

	*iova = map.iova;
	return rc;
}

/**
 * fixture_copy - map the memory behind other IOVA, for reading and writing
 * @t: the fixture
 * @iova: first IOVA of the copy
 * @src_iova: first IOVA of what is copied
 * @length: bytes
 *
 * Return: what iopt_copy() says.
 */
int fixture_copy(struct fixture *t, unsigned long iova, unsigned long src_iova,
		 unsigned long length)
{
	struct iopt_map map = {
		.length = length,
		.prot = RW,
		.fixed = true,
		.iova = iova,
	};

	return iopt_copy(&t->iopt, &t->iopt, src_iova, &map);
}

/**
 * fixture_unmap - unmap a range
 * @t: the fixture
 * @iova: first IOVA
 * @length: bytes
 *
 * Return: what iopt_unmap() says.
 */
int fixture_unmap(struct fixture *t, unsigned long iova, unsigned long length)
{
	unsigned long unmapped;

	return iopt_unmap(&t->iopt, iova, length, &unmapped);
}

/**
 * fixture_reserve - reserve a range
 * @t: the fixture
 * @start: first IOVA
 * @last: last IOVA, inclusive
 * @owner: for fixture_unreserve()
 *
 * Return: what iopt_reserve() says.
 */
int fixture_reserve(struct fixture *t, unsigned long start, unsigned long last,
		    const void *owner)
{
	guard(rwsem_write)(&t->iopt.iova_rwsem);
	return iopt_reserve(&t->iopt, start, last, owner, "fake0",
			    "a reserved range");
}

/**
 * fixture_unreserve - give back the ranges of an owner
 * @t: the fixture
 * @owner: whose
 */
void fixture_unreserve(struct fixture *t, const void *owner)
{
	guard(rwsem_write)(&t->iopt.iova_rwsem);
	iopt_unreserve(&t->iopt, owner);
}

/**
 * fixture_allow - promise one range to the user, in place of all before
 * @t: the fixture
 * @start: first IOVA
 * @last: last IOVA, inclusive
 *
 * Return: what iopt_set_allowed() says.
 */
int fixture_allow(struct fixture *t, unsigned long start, unsigned long last)
{
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct interval_tree_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int rc;

	KUNIT_ASSERT_NOT_NULL(t->test, node);
	node->start = start;
	node->last = last;
	interval_tree_insert(node, &allowed);
	rc = iopt_set_allowed(&t->iopt, &allowed);
	iopt_free_allowed(&allowed);
	return rc;
}

/**
 * fixture_expect_memory - expect a domain to translate to the memory
 * @t: the fixture
 * @fake: the domain
 * @iova: first IOVA
 * @offset: byte of the memory that must be there
 * @length: bytes
 */
void fixture_expect_memory(struct fixture *t, struct fake_domain *fake,
			   unsigned long iova, unsigned long offset,
			   unsigned long length)
{
	unsigned long i;

	for (i = 0; i < length; i += SZ_2K) {
		struct page *page =
			t->memory->pages[(offset + i) >> PAGE_SHIFT];
		phys_addr_t phys =
			page_to_phys(page) + offset_in_page(offset + i);

		if (fake_domain_phys(fake, iova + i) != phys)
			KUNIT_FAIL(t->test, "0x%lx is not byte 0x%lx", iova + i,
				   offset + i);
	}
}

/**
 * fixture_expect_nothing - expect a domain to have no translation
 * @t: the fixture
 * @fake: the domain
 * @iova: first IOVA
 * @length: bytes
 */
void fixture_expect_nothing(struct fixture *t, struct fake_domain *fake,
			    unsigned long iova, unsigned long length)
{
	unsigned long i;

	for (i = 0; i < length; i += PAGE_SIZE)
		KUNIT_EXPECT_EQ(t->test, fake_domain_phys(fake, iova + i),
				PHYS_ADDR_MAX);
}

/**
 * fixture_expect_pins - expect each of some pages to be pinned so often
 * @t: the fixture
 * @first: index of the first page of the memory
 * @npages: number of pages
 * @pins: expected number of pins
 */
void fixture_expect_pins(struct fixture *t, unsigned long first,
			 unsigned long npages, unsigned int pins)
{
	fake_memory_expect_pins(t->test, fixture_memory(t), first, npages,
				pins);
}

/**
 * fixture_pin_access - pin a part of an area, as an access does
 * @t: the fixture, whose access holds nothing
 * @iova: an IOVA of the area
 * @index: index of the first page, in the area's pages object
 * @npages: number of pages
 * @out: receives the pages
 */
void fixture_pin_access(struct fixture *t, unsigned long iova,
			unsigned long index, unsigned long npages,
			struct page **out)
{
	guard(rwsem_read)(&t->iopt.iova_rwsem);
	t->pinned = iopt_area_at(&t->iopt, iova);
	KUNIT_EXPECT_NOT_NULL(t->test, t->pinned);
	if (!t->pinned)
		return;
	t->pin.pages = t->pinned->pages;
	t->pin.index = index;
	t->pin.length = npages * PAGE_SIZE;
	KUNIT_EXPECT_EQ(t->test, 0, iopt_slice_pin(&t->pin, out, NULL));
	atomic_inc(&t->pinned->num_accesses);
}
