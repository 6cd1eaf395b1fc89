// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking of hardware page tables.
 */
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <uapi/linux/iommufd.h>

#include "dirty_gather.h"
#include "iommufd_private.h"

/*
 * How much IOVA is looked at before others get the processor, and how much of it
 * where it begins with small pages. At least one entry of the page table.
 */
#define DIRTY_STEP SZ_16M
#define DIRTY_STEP_SMALL SZ_1M

/**
 * struct dirty_read - one reading of a hwpt
 * @hwpt: the hwpt
 * @flags: IOMMU_DIRTY_NO_CLEAR or 0
 * @bitmap: what is told about dirty IOVA, or NULL
 * @next: what lies below has been read already
 * @last: last IOVA that the caller asked for, inclusive
 * @stale: the IOTLB knows as dirty what is not dirty any more
 */
struct dirty_read {
	struct iommufd_hwpt_paging *hwpt;
	unsigned long flags;
	struct iova_bitmap *bitmap;
	unsigned long next;
	unsigned long last;
	bool stale;
};

static int iommufd_dirty_read_entries(struct dirty_read *read,
				      unsigned long start, unsigned long last,
				      unsigned long flags)
{
	struct iommu_domain *domain = read->hwpt->common.domain;
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	int rc;

	iommu_dirty_bitmap_init(&dirty, read->bitmap, &gather);
	if (read->bitmap && read->hwpt->dirty_by_gather)
		rc = iommufd_dirty_gather_read(domain, start, last, flags,
					       &dirty);
	else
		rc = domain->dirty_ops->read_and_clear_dirty(domain, start,
							     last - start + 1,
							     flags, &dirty);
	if ((flags & IOMMU_DIRTY_NO_CLEAR) || gather.start > gather.end)
		return rc;
	/*
	 * As long as the IOTLB has an entry for dirty memory, nothing that is
	 * written sets the bit again. Nobody notes the size of the entries,
	 * without which some drivers cannot flush a range. All of it is flushed
	 * once, before the caller is told.
	 */
	if (domain->ops->flush_iotlb_all)
		read->stale = true;
	else
		iommu_iotlb_sync(domain, &gather);
	return rc;
}

static void iommufd_dirty_read_flush(struct dirty_read *read)
{
	if (read->stale)
		iommu_flush_iotlb_all(read->hwpt->common.domain);
	read->stale = false;
}

/*
 * iopt_area_leaf(), where translations may be large. The runs of an area do not know
 * where they are not.
 */
static unsigned long iommufd_dirty_leaf(const struct dirty_read *read,
					const struct iopt_area *area,
					unsigned long iova, unsigned long *last)
{
	if (!read->hwpt->ioas->iopt.small_pages)
		return iopt_area_leaf(area, read->hwpt->common.domain, iova,
				      last);
	*last = iova | ~PAGE_MASK;
	return iova & PAGE_MASK;
}

/*
 * Read an area from @start to about @last, and set read->next.
 *
 * Drivers go from page-table entry to page-table entry and take the IOVA that
 * they begin with for the beginning of one. A walk that began inside of an
 * entry would skip a part of the next ones, so that it begins where an entry
 * does. And since an entry can be cleared only as a whole, one that reaches
 * beyond what the caller asked for is left dirty.
 */
static int iommufd_dirty_read_area(struct dirty_read *read,
				   struct iopt_area *area, unsigned long start,
				   unsigned long last)
{
	unsigned long head, head_last, tail, tail_last;
	unsigned long flags = read->flags;

	lockdep_assert_held(&read->hwpt->ioas->iopt.domains_rwsem);

	/* Those of another address space may be pinning them */
	if (mutex_lock_killable(&area->pages->mutex))
		return -EINTR;
	head = iommufd_dirty_leaf(read, area, start, &head_last);
	if (head_last - head < DIRTY_STEP_SMALL - 1)
		last = min(last, start | (DIRTY_STEP_SMALL - 1));
	tail = iommufd_dirty_leaf(read, area, last, &tail_last);
	mutex_unlock(&area->pages->mutex);

	if (head < start || head_last > read->last) {
		flags |= IOMMU_DIRTY_NO_CLEAR;
		start = head;
		last = head_last;
	} else {
		last = tail_last > read->last ? tail - 1 : tail_last;
	}
	read->next = last + 1;
	return iommufd_dirty_read_entries(read, start, last, flags);
}

/*
 * Find the next area to read, and what part of it: [*start, *last]. What is not an
 * area has nothing to read, or is being made or removed. The caller lets go of the
 * area with iopt_area_let_go().
 */
static struct iopt_area *iommufd_dirty_next_area(struct dirty_read *read,
						 unsigned long *start,
						 unsigned long *last)
{
	struct io_pagetable *iopt = &read->hwpt->ioas->iopt;
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_rwsem);

	area = iopt_area_of(iova_tree_first(&iopt->areas, *start, *last));
	if (!area)
		return NULL;
	/* Not step by step through what is not mapped: it may be all of 2^64 */
	*start = max(*start, area->node.start);
	*last = min(*last, area->node.last);
	/* Memory of a device is not migrated, and can be revoked any time */
	if (area->pages->source == IOPT_PAGES_MMIO || !iopt_area_ready(area))
		return NULL;
	*last = min(*last, *start | (DIRTY_STEP - 1));
	iopt_area_hold(area);
	return area;
}

static int iommufd_dirty_read_next(struct dirty_read *read, unsigned long last)
{
	struct io_pagetable *iopt = &read->hwpt->ioas->iopt;
	unsigned long start = read->next;
	struct iopt_area *area;
	int rc;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (read->bitmap && !read->hwpt->dirty_tracking)
		return -EINVAL;
	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	area = iommufd_dirty_next_area(read, &start, &last);
	up_read(&iopt->iova_rwsem);
	if (!area) {
		read->next = last + 1;
		return 0;
	}
	rc = iommufd_dirty_read_area(read, area, start, last);
	iopt_area_let_go(area);
	return rc;
}

static int iommufd_dirty_read_step(struct dirty_read *read, unsigned long last)
{
	struct io_pagetable *iopt = &read->hwpt->ioas->iopt;
	int rc;

	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	rc = iommufd_dirty_read_next(read, last);
	up_read(&iopt->domains_rwsem);
	return rc;
}

static int iommufd_dirty_read_range(struct iova_bitmap *bitmap,
				    unsigned long iova, size_t length,
				    void *opaque)
{
	unsigned long last = iova + (length - 1);
	struct dirty_read *read = opaque;
	int rc;

	/* The entry at the end of the part before may have reached into this */
	if (read->next > last)
		return 0;
	while (true) {
		rc = iommufd_dirty_read_step(read, last);
		/* The IOVA after the very last one is 0 */
		if (rc || read->next > last || !read->next)
			break;
		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			break;
		}
		cond_resched();
	}
	iommufd_dirty_read_flush(read);
	return rc;
}

static int iommufd_hwpt_switch_dirty(struct iommufd_hwpt_paging *hwpt,
				     bool enable)
{
	struct iommu_domain *domain = hwpt->common.domain;
	int rc;

	lockdep_assert_held_write(&hwpt->ioas->iopt.domains_rwsem);

	rc = domain->dirty_ops->set_dirty_tracking(domain, enable);
	if (!rc)
		hwpt->dirty_tracking = enable;
	return rc;
}

/**
 * iommufd_hwpt_set_dirty - turn dirty tracking of a hwpt on or off
 * @hwpt: the hwpt; ioas->mutex is held
 * @enable: on
 *
 * What was written before it is turned on is forgotten.
 *
 * Return: 0; -EOPNOTSUPP if the domain cannot do it, -EINTR if the caller was
 * killed, or an error of the IOMMU driver.
 */
int iommufd_hwpt_set_dirty(struct iommufd_hwpt_paging *hwpt, bool enable)
{
	struct rw_semaphore *domains_rwsem = &hwpt->ioas->iopt.domains_rwsem;
	struct dirty_read clear = { .hwpt = hwpt, .last = ULONG_MAX };
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (!hwpt->common.domain->dirty_ops)
		return -EOPNOTSUPP;
	if (hwpt->dirty_tracking == enable)
		return 0;

	if (enable) {
		rc = iommufd_dirty_read_range(NULL, 0, SIZE_MAX, &clear);
		if (rc)
			return rc;
	}
	/* So that one who reads knows that it is on */
	if (down_write_killable(domains_rwsem))
		return -EINTR;
	rc = iommufd_hwpt_switch_dirty(hwpt, enable);
	up_write(domains_rwsem);
	return rc;
}

/**
 * iommufd_hwpt_stop_dirty - turn dirty tracking of a hwpt off, whatever others do
 * @hwpt: the hwpt, which was turned on; ioas->mutex is held
 */
void iommufd_hwpt_stop_dirty(struct iommufd_hwpt_paging *hwpt)
{
	lockdep_assert_held(&hwpt->ioas->mutex);

	guard(rwsem_write)(&hwpt->ioas->iopt.domains_rwsem);
	if (hwpt->dirty_tracking)
		iommufd_hwpt_switch_dirty(hwpt, false);
}

/**
 * iommufd_hwpt_read_dirty - find out what devices have written
 * @hwpt: the hwpt
 * @iova: first IOVA, a multiple of @page_size
 * @length: bytes, a multiple of @page_size
 * @page_size: bytes that a bit stands for
 * @data: the bitmap of the current process; bits are set and never cleared
 * @flags: IOMMU_DIRTY_NO_CLEAR to leave it dirty, or 0
 *
 * Return: 0; -EOPNOTSUPP if the domain cannot do it, -EINVAL if tracking is off
 * or the arguments are not as said, -EOVERFLOW if the range wraps, -EFAULT if
 * the bitmap is not there, -EINTR if the caller was killed, -ENOMEM, or an
 * error of the IOMMU driver.
 */
int iommufd_hwpt_read_dirty(struct iommufd_hwpt_paging *hwpt, u64 iova,
			    u64 length, u64 page_size, u64 __user *data,
			    unsigned long flags)
{
	struct iommu_domain *domain = hwpt->common.domain;
	struct dirty_read read = { .hwpt = hwpt, .flags = flags };
	u64 last;
	int rc;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;
	if (!length || !is_power_of_2(page_size) ||
	    page_size < 1UL << __ffs(domain->pgsize_bitmap) ||
	    ((iova | length) & (page_size - 1)))
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last) || last > ULONG_MAX)
		return -EOVERFLOW;

	read.next = iova;
	read.last = last;
	read.bitmap = iova_bitmap_alloc(iova, length, page_size, data);
	if (IS_ERR(read.bitmap))
		return PTR_ERR(read.bitmap);
	rc = iova_bitmap_for_each(read.bitmap, &read, iommufd_dirty_read_range);
	iova_bitmap_free(read.bitmap);
	return rc;
}

/* Userspace tracks this hwpt itself, so the container's log is not exact */
static void iommufd_dirty_leave_log(struct iommufd_hwpt_paging *hwpt)
{
	lockdep_assert_held(&hwpt->ioas->mutex);

	hwpt->dirty_logged = false;
	hwpt->ioas->dirty_log.exact = false;
}

static struct iommufd_hwpt_paging *
iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj =
		iommufd_object_get(ictx, id, IOMMUFD_OBJ_HWPT_PAGING);

	return IS_ERR(obj) ? ERR_CAST(obj) : to_hwpt_paging(obj);
}

int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if ((cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE) || cmd->__reserved)
		return -EOPNOTSUPP;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = mutex_lock_killable(&hwpt->ioas->mutex);
	if (!rc) {
		iommufd_dirty_leave_log(hwpt);
		rc = iommufd_hwpt_set_dirty(hwpt, cmd->flags);
		mutex_unlock(&hwpt->ioas->mutex);
	}
	if (rc == -EOPNOTSUPP)
		refuse(&ucmd->ictx->refusal, rc,
		       "dirty: hwpt %u was not allocated for dirty tracking",
		       cmd->hwpt_id);
	iommufd_object_put(ucmd->ictx, &hwpt->common.obj);
	return rc;
}

int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	unsigned long flags = 0;
	struct iommufd_hwpt_paging *hwpt;
	int rc = 0;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
	    cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR)
		flags |= IOMMU_DIRTY_NO_CLEAR;

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	/* What is cleared here the container's log must not rely on */
	if (!flags) {
		rc = mutex_lock_killable(&hwpt->ioas->mutex);
		if (rc)
			goto out_put;
		iommufd_dirty_leave_log(hwpt);
		mutex_unlock(&hwpt->ioas->mutex);
	}
	rc = iommufd_hwpt_read_dirty(hwpt, cmd->iova, cmd->length,
				     cmd->page_size,
				     u64_to_user_ptr(cmd->data), flags);
	if (rc == -EOPNOTSUPP)
		refuse(&ucmd->ictx->refusal, rc,
		       "dirty: hwpt %u was not allocated for dirty tracking",
		       cmd->hwpt_id);
out_put:
	iommufd_object_put(ucmd->ictx, &hwpt->common.obj);
	return rc;
}
