// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translations in a domain: made, removed and flushed, see translate.h.
 */
#include <linux/align.h>
#include <linux/bitfield.h>
#include <linux/err.h>
#include <linux/generic_pt/iommu.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "translate.h"

/* The largest translation that is made: few page tables have larger ones */
#define TRANSLATE_MAX_PAGE SZ_1G

/*
 * Bytes that one call of the IOMMU driver covers, unless one page is larger, so
 * that others get the processor in between.
 */
#define TRANSLATE_STEP SZ_64M

/*
 * Bytes that are unmapped before a flush, which frees their page tables: others do
 * not get the processor while it does.
 */
#define FLUSH_STEP SZ_256M

/* In the capability register of VT-d: the largest address mask */
#define VTD_CAP_MAMV	GENMASK_ULL(53, 48)

/**
 * iopt_leaf_sizes - the sizes that the translations in a domain can have
 * @domain: the domain
 *
 * Return: a bitmap of powers of two.
 */
unsigned long iopt_leaf_sizes(const struct iommu_domain *domain)
{
	return domain->pgsize_bitmap & (2UL * TRANSLATE_MAX_PAGE - 1);
}

/**
 * iopt_flush_max - the largest range that a flush can cover
 * @dev: a device
 *
 * Return: bytes, a power of two, for &iopt_domain.flush_max of all domains that
 * the device is attached to; 0 if its IOMMU driver takes any range.
 */
unsigned long iopt_flush_max(struct device *dev)
{
	const struct iommu_hw_info_vtd *vtd;
	const struct iommu_ops *ops;
	unsigned long max = 0;
	enum iommu_hw_info_type type = IOMMU_HW_INFO_TYPE_DEFAULT;
	u32 length;
	void *info;

	if (!iopt_has_iommu(dev))
		return 0;
	ops = dev_iommu_ops(dev);
	if (!ops->hw_info)
		return 0;
	info = ops->hw_info(dev, &length, &type);
	if (IS_ERR_OR_NULL(info))
		return 0;
	if (type == IOMMU_HW_INFO_TYPE_INTEL_VTD && length >= sizeof(*vtd)) {
		vtd = info;
		/* Beyond 2^63 there is nothing to cover */
		max = 1UL << min(FIELD_GET(VTD_CAP_MAMV, vtd->cap_reg) + 12,
				 BITS_PER_LONG - 1ULL);
	}
	kfree(info);
	return max;
}

static bool iopt_gather_is_large(const struct iopt_gather *gather)
{
	const struct iommu_iotlb_gather *iotlb = &gather->iotlb;
	unsigned long max = gather->item->flush_max;

	/* The hardware flushes aligned blocks only */
	return max && iotlb->start <= iotlb->end &&
	       (iotlb->start ^ iotlb->end) >= max;
}

/**
 * iopt_gather_flush - flush what was unmapped
 * @gather: the gather; empty afterwards
 *
 * When this returns no device uses the translations that are gone. Page-table
 * pages that became empty are freed.
 */
void iopt_gather_flush(struct iopt_gather *gather)
{
	struct iommu_domain *domain = gather->item->domain;

	if (!gather->pending)
		return;
	if (unlikely(iopt_gather_is_large(gather))) {
		iommu_flush_iotlb_all(domain);
		/* All that is left to do is to free page-table pages */
		gather->iotlb.end = gather->iotlb.start | (SZ_4K - 1);
	}
	iommu_iotlb_sync(domain, &gather->iotlb);
	gather->pending = false;
	gather->bytes = 0;
}

/*
 * Drivers whose page tables are the generic ones have no operations to map and
 * unmap: the IOMMU core asks the page table.
 */
static bool iopt_is_core_mapped(const struct iommu_domain *domain)
{
	return !domain->ops->map_pages;
}

/*
 * A driver that gathers pages of one size flushes by itself before it adds a
 * range that does not continue the others, but that is too late for the
 * page-table pages of the new one.
 */
static __always_inline void iopt_gather_prepare(struct iopt_gather *gather,
						unsigned long iova,
						size_t length)
{
	struct iommu_iotlb_gather *iotlb = &gather->iotlb;

	if (iotlb->pgsize &&
	    (iotlb->pgsize != length ||
	     iommu_iotlb_gather_is_disjoint(iotlb, iova, length)))
		iopt_gather_flush(gather);
	gather->pending = true;
}

/*
 * The next piece of a range: pages of the largest size that fits, up to the next
 * multiple of the next larger size. Return its bytes.
 *
 * A piece that is unmapped must not end inside of one that was mapped, because
 * virtio-iommu, which knows ranges and no pages, then forgets the range without
 * telling the hypervisor. It does not: inside of one there is no multiple of a
 * larger size, and what is a multiple of a smaller one only is the bound of a
 * piece before, at the front, or after it, at the end. Where each power of two is
 * a size, each piece is one page, so that mappings can be split between pages.
 */
static size_t iopt_next_piece(unsigned long sizes, unsigned long iova,
			      phys_addr_t phys, size_t length, size_t *page)
{
	unsigned long low = iova | phys;
	unsigned long larger, fit;

	/* A huge page is the next piece by itself, whatever there is besides */
	if ((sizes & length) && is_power_of_2(length) &&
	    !(low & (length - 1))) {
		*page = length;
		return length;
	}
	fit = sizes & GENMASK(__fls(length), 0);
	if (low)
		fit &= GENMASK(__ffs(low), 0);
	*page = 1UL << __fls(fit);

	larger = sizes & ~GENMASK(__fls(fit), 0);
	if (larger) {
		unsigned long size = 1UL << __ffs(larger);

		if (size == 2 * *page)
			return *page;
		length = min(length, size - (iova & (size - 1)));
	}
	/* Steps end at the same IOVA, wherever they begin */
	if (*page < TRANSLATE_STEP)
		length = min(length, TRANSLATE_STEP -
				     (iova & (TRANSLATE_STEP - 1)));
	else
		length = *page;
	return ALIGN_DOWN(length, *page);
}

/*
 * Is a range one page of the smallest size, about which there is nothing to
 * choose? Nearly all are in scattered memory, and where programs map and unmap
 * all the time. Each instruction shows there, so that what maps and what unmaps a
 * piece is inlined for them alone, and the rest is not.
 */
static bool iopt_is_smallest_page(const struct iommu_domain *domain,
				  size_t length)
{
	return length == 1UL << __ffs(domain->pgsize_bitmap);
}

/* Unmap a piece; gives the bytes that were mapped */
static __always_inline size_t iopt_unmap_piece(struct iopt_gather *gather,
					       unsigned long iova, size_t page,
					       size_t length)
{
	struct iommu_domain *domain = gather->item->domain;

	if (iopt_is_core_mapped(domain)) {
		/* The generic page table has its tables in order by itself */
		gather->pending = true;
		return iommu_unmap_fast(domain, iova, length, &gather->iotlb);
	}
	iopt_gather_prepare(gather, iova, length);
	return domain->ops->unmap_pages(domain, iova, page, length / page,
					&gather->iotlb);
}

/* Undo what a call that failed did, of which drivers say only a part */
static noinline void iopt_undo_piece(struct iopt_domain *item,
				     unsigned long iova, size_t page,
				     size_t length, size_t mapped)
{
	struct iommu_domain *domain = item->domain;
	struct iopt_gather gather;

	iopt_gather_init(&gather, item);
	if (mapped)
		iopt_unmap_piece(&gather, iova, page, mapped);
	/*
	 * They go from the first page to the last. Where there is nothing, VT-d
	 * would unmap what lies after it.
	 */
	iova += mapped;
	length -= mapped;
	if (length && iommu_iova_to_phys(domain, iova))
		iopt_unmap_piece(&gather, iova, page, length);
	iopt_gather_flush(&gather);
}

/*
 * iommu_map() without iotlb_sync_map(), which is done once for all pieces. Only a
 * core that keeps count of what is mapped, to find mistakes, has to see each.
 */
static int iopt_map_core(struct iommu_domain *domain, unsigned long iova,
			 phys_addr_t phys, size_t length, int prot, gfp_t gfp,
			 size_t *mapped)
{
	struct pt_iommu *pt = iommupt_from_domain(domain);

	if (!pt || IS_ENABLED(CONFIG_IOMMU_DEBUG_PAGEALLOC))
		return iommu_map(domain, iova, phys, length, prot, gfp);
	return pt->ops->map_range(pt, iova, phys, length, prot, gfp, mapped);
}

/* Map a piece; gives 0, or an error with nothing of it mapped */
static __always_inline int iopt_map_piece(struct iopt_domain *item,
					  unsigned long iova, phys_addr_t phys,
					  size_t page, size_t length, int prot,
					  gfp_t gfp)
{
	struct iommu_domain *domain = item->domain;
	size_t mapped = 0;
	int rc;

	if (iopt_is_core_mapped(domain)) {
		rc = iopt_map_core(domain, iova, phys, length, prot, gfp,
				   &mapped);
		if (rc && mapped)
			iommu_unmap(domain, iova, mapped);
		return rc;
	}
	rc = domain->ops->map_pages(domain, iova, phys, page, length / page,
				    prot, gfp, &mapped);
	if (!rc && mapped == length)
		return 0;
	iopt_undo_piece(item, iova, page, length, mapped);
	return rc ? rc : -ENOMEM;
}

static noinline int iopt_translate_pieces(struct iopt_domain *item,
					  unsigned long iova, phys_addr_t phys,
					  size_t length, size_t max_page,
					  int prot, gfp_t gfp)
{
	unsigned long sizes = iopt_leaf_sizes(item->domain);
	size_t done = 0;

	/* A switch to larger pages flushes the whole piece */
	if (item->flush_max)
		max_page = min(max_page, item->flush_max);
	sizes &= 2 * max_page - 1;

	while (done < length) {
		size_t page, n;
		int rc;

		n = iopt_next_piece(sizes, iova + done, phys + done,
				    length - done, &page);
		/* What is contiguous a driver may map as a larger page */
		if (n > max_page)
			n = min(n, max_page - ((iova + done) & (max_page - 1)));
		rc = iopt_map_piece(item, iova + done, phys + done, page, n,
				    prot, gfp);
		if (rc) {
			if (done)
				iopt_untranslate_sync(item, iova, done);
			return rc;
		}
		done += n;
		if (done < length)
			cond_resched();
	}
	return 0;
}

static __always_inline int iopt_translate_any(struct iopt_domain *item,
					      unsigned long iova,
					      phys_addr_t phys, size_t length,
					      size_t max_page, int prot,
					      gfp_t gfp)
{
	if (iopt_is_smallest_page(item->domain, length))
		return iopt_map_piece(item, iova, phys, length, length, prot,
				      gfp);
	return iopt_translate_pieces(item, iova, phys, length, max_page, prot,
				     gfp);
}

/**
 * iopt_translate - map contiguous memory into a domain
 * @item: the domain
 * @iova: first IOVA; nothing is mapped in the range
 * @phys: first byte of the memory
 * @length: bytes, not 0; as @iova and @phys a multiple of the smallest page
 * @max_page: bytes of the largest page to make, a power of two
 * @prot: IOMMU_READ and so on
 * @gfp: for page-table pages
 *
 * Devices may use it only after iopt_translate_sync().
 *
 * Return: 0; or with nothing mapped, the error of the IOMMU driver.
 */
int iopt_translate(struct iopt_domain *item, unsigned long iova,
		   phys_addr_t phys, size_t length, size_t max_page, int prot,
		   gfp_t gfp)
{
	return iopt_translate_any(item, iova, phys, length, max_page, prot,
				  gfp);
}

/**
 * iopt_translate_and_sync - map contiguous memory, and let devices see it
 * @item: the domain
 * @iova: first IOVA; nothing is mapped in the range
 * @phys: first byte of the memory
 * @length: bytes, not 0
 * @max_page: bytes of the largest page to make, a power of two
 * @prot: IOMMU_READ and so on
 *
 * Return: 0; or with nothing mapped, the error of the IOMMU driver.
 */
int iopt_translate_and_sync(struct iopt_domain *item, unsigned long iova,
			    phys_addr_t phys, size_t length, size_t max_page,
			    int prot)
{
	int rc;

	rc = iopt_translate_any(item, iova, phys, length, max_page, prot,
				GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	rc = iopt_translate_sync(item, iova, length);
	if (rc)
		iopt_untranslate_sync(item, iova, length);
	return rc;
}

static __always_inline void iopt_untranslate_piece(struct iopt_gather *gather,
						   unsigned long iova,
						   size_t page, size_t length)
{
	size_t done;

	if (gather->bytes >= FLUSH_STEP)
		iopt_gather_flush(gather);
	done = iopt_unmap_piece(gather, iova, page, length);
	/* If so, the domain was changed by other code */
	WARN_ON(done < length);
	gather->bytes += length;
}

static noinline void iopt_untranslate_pieces(struct iopt_gather *gather,
					     unsigned long iova, size_t length)
{
	unsigned long sizes = iopt_leaf_sizes(gather->item->domain);

	while (length) {
		size_t page;
		size_t n = iopt_next_piece(sizes, iova, iova, length, &page);

		iopt_untranslate_piece(gather, iova, page, n);
		iova += n;
		length -= n;
		if (length)
			cond_resched();
	}
}

/**
 * iopt_untranslate - unmap a range from a domain
 * @gather: the gather of the domain, which has to be flushed before the memory
 *          is released
 * @iova: first IOVA
 * @length: bytes, not 0; all of it is mapped
 */
void iopt_untranslate(struct iopt_gather *gather, unsigned long iova,
		      size_t length)
{
	if (iopt_is_smallest_page(gather->item->domain, length))
		iopt_untranslate_piece(gather, iova, length, length);
	else
		iopt_untranslate_pieces(gather, iova, length);
}

/**
 * iopt_untranslate_sync - unmap a range and flush it
 * @item: the domain
 * @iova: first IOVA
 * @length: bytes, not 0; all of it is mapped
 */
void iopt_untranslate_sync(struct iopt_domain *item, unsigned long iova,
			   size_t length)
{
	struct iopt_gather gather;

	iopt_gather_init(&gather, item);
	iopt_untranslate(&gather, iova, length);
	iopt_gather_flush(&gather);
}
