// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is written, as a container of type 1 reports it.
 */
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_container.h"

static int iommufd_vfio_check_bitmap(const struct vfio_bitmap *bitmap, u64 size,
				     u64 page_size)
{
	u64 npages;

	/* Others than the smallest page are for the future */
	if (bitmap->pgsize != page_size)
		return -EINVAL;
	npages = size >> ilog2(page_size);
	if (!npages || npages > DIRTY_BITMAP_PAGES_MAX ||
	    bitmap->size < DIRTY_BITMAP_BYTES(npages) ||
	    bitmap->size > DIRTY_BITMAP_BYTES(DIRTY_BITMAP_PAGES_MAX) ||
	    !access_ok(bitmap->data, bitmap->size))
		return -EINVAL;
	return 0;
}

/* Areas to mark before others get the IOVA map, and a signal is seen */
#define MARK_STEP 4096

/*
 * Mark the next areas from *iova on, and move on. Return 1, 0 if there are no more,
 * or -EINTR.
 */
static int iommufd_vfio_mark_step(struct iova_bitmap *bitmap,
				  struct io_pagetable *iopt,
				  unsigned long *iova, unsigned long last)
{
	struct iova_node *node;
	unsigned int n;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	node = iova_tree_first(&iopt->areas, *iova, last);
	for (n = 0; node && n < MARK_STEP; n++) {
		unsigned long start = max(*iova, node->start);

		iova_bitmap_set(bitmap, start,
				min(last, node->last) - start + 1);
		*iova = node->last + 1;
		node = iova_tree_next(node, last);
	}
	up_read(&iopt->iova_rwsem);
	return !!node;
}

/* All that is mapped may have been written to */
static int iommufd_vfio_mark_mapped(struct iova_bitmap *bitmap,
				    unsigned long iova, size_t length,
				    void *opaque)
{
	unsigned long last = iova + (length - 1);
	int rc;

	while ((rc = iommufd_vfio_mark_step(bitmap, opaque, &iova, last)) > 0) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return rc;
}

static int iommufd_vfio_report_mapped(struct iommufd_ioas *ioas, u64 iova,
				      u64 size, const struct vfio_bitmap *user)
{
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(iova, size, user->pgsize, user->data);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	rc = iova_bitmap_for_each(bitmap, &ioas->iopt,
				  iommufd_vfio_mark_mapped);
	iova_bitmap_free(bitmap);
	return rc;
}

static int
iommufd_vfio_report_unmap_locked(struct iommufd_ioas *ioas,
				 const struct vfio_iommu_type1_dma_unmap *unmap,
				 const struct vfio_bitmap *bitmap)
{
	int rc;

	lockdep_assert_held(&ioas->mutex);

	if (!ioas->dirty_log.on)
		return -EINVAL;
	/* Nothing is reported of what will not be unmapped */
	rc = iopt_range_splits_area(&ioas->iopt, unmap->iova,
				    unmap->iova + (unmap->size - 1));
	if (rc < 0)
		return rc;
	if (rc)
		return refuse(ioas->iopt.refusal, -ENOENT,
			      "unmap: IOVA 0x%llx size 0x%llx splits a mapping",
			      unmap->iova, unmap->size);
	/*
	 * What a device writes between a look at the page table and the unmap
	 * would be lost, so that it counts as written.
	 */
	return iommufd_vfio_report_mapped(ioas, unmap->iova, unmap->size,
					  bitmap);
}

/**
 * iommufd_vfio_report_unmap - report what is about to be unmapped as written
 * @ioas: the address space of the container
 * @unmap: what is to be unmapped
 * @bitmap: where to report it
 *
 * Return: 0, -EINVAL if nothing is logged or the bitmap is not as it has to be,
 * -ENOENT if the range splits a mapping, -EINTR if the caller was killed, or an error
 * of the bitmap.
 */
int iommufd_vfio_report_unmap(struct iommufd_ioas *ioas,
			      const struct vfio_iommu_type1_dma_unmap *unmap,
			      const struct vfio_bitmap *bitmap)
{
	u64 page_size;
	int rc;

	rc = iommufd_vfio_smallest_page(&ioas->iopt, &page_size);
	if (!rc)
		rc = iommufd_vfio_check_bitmap(bitmap, unmap->size, page_size);
	if (!rc)
		rc = mutex_lock_killable(&ioas->mutex);
	if (rc)
		return rc;
	rc = iommufd_vfio_report_unmap_locked(ioas, unmap, bitmap);
	mutex_unlock(&ioas->mutex);
	return rc;
}

static void iommufd_vfio_stop_tracking(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		if (!hwpt->dirty_logged)
			continue;
		iommufd_hwpt_stop_dirty(hwpt);
		hwpt->dirty_logged = false;
	}
}

/* Turn dirty tracking on in all hwpts, unless userspace uses it in one */
static bool iommufd_vfio_start_tracking(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		if (hwpt->dirty_tracking || iommufd_hwpt_set_dirty(hwpt, true))
			return false;
		hwpt->dirty_logged = true;
	}
	return !list_empty(&ioas->hwpts);
}

/*
 * Where only devices write, and all hwpts can track that, the hwpts are asked
 * later. Otherwise, or as soon as a hwpt or an access is added or removed, all
 * that is mapped counts as dirty.
 */
static void iommufd_vfio_start_log(struct iommufd_ioas *ioas)
{
	if (ioas->dirty_log.on)
		return;
	ioas->dirty_log.on = true;
	ioas->dirty_log.exact = xa_empty(&ioas->accesses) &&
				iommufd_vfio_start_tracking(ioas);
	if (!ioas->dirty_log.exact)
		iommufd_vfio_stop_tracking(ioas);
}

/**
 * iommufd_vfio_stop_log - stop to log what is written
 * @ioas: the address space of the container; its mutex is held
 */
void iommufd_vfio_stop_log(struct iommufd_ioas *ioas)
{
	iommufd_vfio_stop_tracking(ioas);
	ioas->dirty_log.on = false;
}

static int
iommufd_vfio_read_log(struct iommufd_ioas *ioas,
		      const struct vfio_iommu_type1_dirty_bitmap_get *get)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc = 0;

	lockdep_assert_held(&ioas->mutex);

	if (!ioas->dirty_log.exact)
		return iommufd_vfio_report_mapped(ioas, get->iova, get->size,
						  &get->bitmap);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		rc = iommufd_hwpt_read_dirty(hwpt, get->iova, get->size,
					     get->bitmap.pgsize,
					     get->bitmap.data, 0);
		if (rc)
			break;
	}
	return rc;
}

static int iommufd_vfio_get_bitmap(struct iommufd_ioas *ioas, void __user *arg,
				   size_t size)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	u64 page_size, last;
	int rc;

	if (!ioas->dirty_log.on || size < sizeof(get))
		return -EINVAL;
	if (copy_from_user(&get, arg, sizeof(get)))
		return -EFAULT;
	if (!get.size || check_add_overflow(get.iova, get.size - 1, &last) ||
	    last > ULONG_MAX)
		return -EINVAL;

	rc = iommufd_vfio_smallest_page(&ioas->iopt, &page_size);
	if (rc)
		return rc;
	if (!IS_ALIGNED(get.iova | get.size, page_size))
		return -EINVAL;
	rc = iommufd_vfio_check_bitmap(&get.bitmap, get.size, page_size);
	if (rc)
		return rc;
	rc = iopt_range_splits_area(&ioas->iopt, get.iova, last);
	if (rc)
		return rc < 0 ? rc : -EINVAL;
	return iommufd_vfio_read_log(ioas, &get);
}

/**
 * iommufd_vfio_dirty_pages - the ioctl VFIO_IOMMU_DIRTY_PAGES
 * @ictx: the container
 * @arg: its argument
 *
 * Return: 0 or a negative errno.
 */
int iommufd_vfio_dirty_pages(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dirty_bitmap,
					 flags);
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (copy_from_user(&dirty, arg, minsz))
		return -EFAULT;
	if (dirty.argsz < minsz)
		return -EINVAL;
	ioas = iommufd_vfio_get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Type 1 has this in its second version only */
	if (READ_ONCE(ioas->iopt.splittable)) {
		iommufd_object_put(ictx, &ioas->obj);
		return -EACCES;
	}

	if (mutex_lock_killable(&ioas->mutex)) {
		iommufd_object_put(ictx, &ioas->obj);
		return -EINTR;
	}
	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		iommufd_vfio_start_log(ioas);
		break;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		iommufd_vfio_stop_log(ioas);
		break;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		rc = iommufd_vfio_get_bitmap(ioas, arg + minsz,
					     dirty.argsz - minsz);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	mutex_unlock(&ioas->mutex);
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}
