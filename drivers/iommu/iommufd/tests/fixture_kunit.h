/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_FIXTURE_KUNIT_H
#define __IOMMUFD_FIXTURE_KUNIT_H

#include <linux/iommu.h>
#include <linux/sizes.h>

#include "fake_kunit.h"
#include "../io_pagetable.h"
#include "../refusal.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* Size of the user memory of a fixture */
#define MEMORY_PAGES 64UL

/* Page sizes of VT-d and of most others */
#define COMMON_SIZES (SZ_4K | SZ_2M | SZ_1G)

/**
 * struct fixture - what every test of an io_pagetable starts with
 * @test: the test
 * @iopt: an empty address space
 * @refusal: its refusals
 * @memory: scattered user memory, or NULL until fixture_memory()
 * @pin: what an access holds in @pinned
 * @pinned: the area that an access holds a part of, or NULL
 * @asked: how often the access was asked to let go
 * @when_asked: what else happens when it lets go, may be NULL
 */
struct fixture {
	struct kunit *test;
	struct io_pagetable iopt;
	struct refusal refusal;
	struct fake_memory *memory;
	struct iopt_slice pin;
	struct iopt_area *pinned;
	unsigned int asked;
	void (*when_asked)(struct fixture *t);
};

int fixture_init(struct kunit *test);
void fixture_exit(struct kunit *test);
struct fake_domain *fixture_add_domain(struct fixture *t,
				       unsigned long page_sizes);
struct fake_memory *fixture_memory(struct fixture *t);

int fixture_map_memory(struct fixture *t, unsigned long offset,
		       unsigned long length, struct iopt_map *map);
int fixture_map_at(struct fixture *t, unsigned long iova, unsigned long offset,
		   unsigned long length);
int fixture_map_auto(struct fixture *t, unsigned long offset,
		     unsigned long length, unsigned long *iova);
int fixture_copy(struct fixture *t, unsigned long iova, unsigned long src_iova,
		 unsigned long length);
int fixture_unmap(struct fixture *t, unsigned long iova, unsigned long length);

int fixture_reserve(struct fixture *t, unsigned long start, unsigned long last,
		    const void *owner);
void fixture_unreserve(struct fixture *t, const void *owner);
int fixture_allow(struct fixture *t, unsigned long start, unsigned long last);

void fixture_pin_access(struct fixture *t, unsigned long iova,
			unsigned long index, unsigned long npages,
			struct page **out);
void fixture_unpin_access(struct fixture *t);

void fixture_expect_memory(struct fixture *t, struct fake_domain *fake,
			   unsigned long iova, unsigned long offset,
			   unsigned long length);
void fixture_expect_nothing(struct fixture *t, struct fake_domain *fake,
			    unsigned long iova, unsigned long length);
void fixture_expect_pins(struct fixture *t, unsigned long first,
			 unsigned long npages, unsigned int pins);

#endif
