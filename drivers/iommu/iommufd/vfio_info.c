// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a container reports of itself.
 */
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_container.h"

static unsigned int dma_entry_limit = U16_MAX;
module_param(dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Most mappings that a VFIO container may have, as vfio_iommu_type1.dma_entry_limit. (default: 65535)");

/**
 * iommufd_vfio_dma_limit - how many mappings a container may have
 *
 * Return: their number, which the administrator may change any time.
 */
unsigned int iommufd_vfio_dma_limit(void)
{
	return READ_ONCE(dma_entry_limit);
}

/*
 * The page sizes that all domains have. Type 1 maps no less than pages of the
 * CPU, even where the IOMMU could, and knows no limit without a domain. 0 if the
 * caller was killed.
 */
static u64 iommufd_vfio_page_sizes(struct io_pagetable *iopt)
{
	struct iopt_domain *item;
	u64 sizes = ULONG_MAX;

	if (down_read_killable(&iopt->domains_rwsem))
		return 0;
	list_for_each_entry(item, &iopt->domains, entry)
		sizes &= item->domain->pgsize_bitmap;
	up_read(&iopt->domains_rwsem);
	if (!sizes || (sizes & ~PAGE_MASK))
		sizes = (sizes & PAGE_MASK) | PAGE_SIZE;
	return sizes;
}

/**
 * iommufd_vfio_smallest_page - what maps of a container are multiples of
 * @iopt: its address space
 * @page_size: receives bytes, a power of two
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iommufd_vfio_smallest_page(struct io_pagetable *iopt, u64 *page_size)
{
	u64 sizes = iommufd_vfio_page_sizes(iopt);

	if (!sizes)
		return -EINTR;
	*page_size = 1ULL << __ffs64(sizes);
	return 0;
}

/**
 * struct info_caps - the capabilities that follow struct vfio_iommu_type1_info
 * @buf: the info and the capabilities
 * @size: bytes that are used
 * @last: the capability that was added last
 */
struct info_caps {
	void *buf;
	size_t size;
	struct vfio_info_cap_header *last;
};

static void *iommufd_vfio_add_cap(struct info_caps *caps, size_t size, u16 id)
{
	struct vfio_info_cap_header *header = caps->buf + caps->size;

	header->id = id;
	header->version = 1;
	if (caps->last)
		caps->last->next = caps->size;
	caps->last = header;
	caps->size += size;
	return header;
}

static unsigned int iommufd_vfio_count_usable(struct io_pagetable *iopt)
{
	unsigned long from = 0, start, last;
	unsigned int n = 0;

	while (iopt_next_usable(iopt, from, &start, &last)) {
		n++;
		if (check_add_overflow(last, 1UL, &from))
			break;
	}
	return n;
}

static void iommufd_vfio_add_iova_ranges(struct info_caps *caps,
					 struct io_pagetable *iopt,
					 unsigned int nr)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	unsigned long from = 0, start, last;

	cap = iommufd_vfio_add_cap(caps, struct_size(cap, iova_ranges, nr),
				   VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	while (iopt_next_usable(iopt, from, &start, &last)) {
		cap->iova_ranges[cap->nr_iovas].start = start;
		cap->iova_ranges[cap->nr_iovas++].end = last;
		if (check_add_overflow(last, 1UL, &from))
			break;
	}
}

/*
 * The order is such that the last one has no padding behind it: its size is
 * not a multiple of 8, and some take the distance to the end for its size.
 */
static int iommufd_vfio_build_caps(struct iommufd_ctx *ictx,
				   struct io_pagetable *iopt, u64 page_sizes,
				   struct info_caps *caps)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail;
	unsigned long limit = READ_ONCE(dma_entry_limit);
	unsigned int nr_ranges;

	caps->size = sizeof(struct vfio_iommu_type1_info);
	caps->last = NULL;

	lockdep_assert_held(&iopt->iova_rwsem);

	nr_ranges = iommufd_vfio_count_usable(iopt);
	caps->buf = kvzalloc(caps->size + sizeof(*migration) +
			     struct_size(ranges, iova_ranges, nr_ranges) +
			     sizeof(*avail), GFP_KERNEL_ACCOUNT);
	if (!caps->buf)
		return -ENOMEM;

	/*
	 * One who chose the IOAS knows IOMMUFD, and asks the page tables what
	 * is dirty.
	 */
	if (READ_ONCE(ictx->container.owns_ioas)) {
		migration =
			iommufd_vfio_add_cap(caps, sizeof(*migration),
					     VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
		migration->pgsize_bitmap = 1ULL << __ffs64(page_sizes);
		migration->max_dirty_bitmap_size =
			DIRTY_BITMAP_BYTES(DIRTY_BITMAP_PAGES_MAX);
	}
	if (nr_ranges)
		iommufd_vfio_add_iova_ranges(caps, iopt, nr_ranges);
	avail = iommufd_vfio_add_cap(caps, sizeof(*avail),
				     VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	avail->avail = limit - min(limit, iopt->areas.nr);
	return 0;
}

/**
 * iommufd_vfio_get_info - the ioctl VFIO_IOMMU_GET_INFO
 * @ictx: the container
 * @arg: its argument
 *
 * Return: 0 or a negative errno.
 */
int iommufd_vfio_get_info(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_info,
					 iova_pgsizes);
	struct vfio_iommu_type1_info *info;
	struct info_caps caps = {};
	struct iommufd_ioas *ioas;
	u64 page_sizes;
	u32 argsz;
	size_t len;
	int rc;

	if (get_user(argsz, (u32 __user *)arg))
		return -EFAULT;
	if (argsz < minsz)
		return -EINVAL;
	ioas = iommufd_vfio_get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	page_sizes = iommufd_vfio_page_sizes(&ioas->iopt);
	rc = page_sizes ? down_read_killable(&ioas->iopt.iova_rwsem) : -EINTR;
	if (!rc) {
		rc = iommufd_vfio_build_caps(ictx, &ioas->iopt, page_sizes,
					     &caps);
		up_read(&ioas->iopt.iova_rwsem);
	}
	iommufd_object_put(ictx, &ioas->obj);
	if (rc)
		return rc;

	info = caps.buf;
	info->argsz = argsz;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = page_sizes;
	if (argsz >= caps.size) {
		info->cap_offset = sizeof(*info);
		len = caps.size;
	} else {
		info->argsz = caps.size;
		len = min_t(size_t, argsz, sizeof(*info));
	}
	if (copy_to_user(arg, info, len))
		rc = -EFAULT;
	kvfree(caps.buf);
	return rc;
}
