// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses: users of IOVA inside the kernel, such as software devices.
 */
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/* Bytes that iommufd_access_rw() copies at a time, so that no lock is kept long */
#define RW_STEP (IOPT_HOLD_PAGES * PAGE_SIZE)

static void iommufd_access_obj_destroy(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	WARN_ON(access->ioas || access->ioas_unpin);
	mutex_destroy(&access->lock);
	iommufd_ctx_put(access->ictx);
}

const struct iommufd_object_ops iommufd_access_object_ops = {
	.type = IOMMUFD_OBJ_ACCESS,
	.name = "access",
	.destroy = iommufd_access_obj_destroy,
};

/**
 * iommufd_access_create - create an in-kernel user of IOVA
 * @ictx: the context; a reference is taken
 * @ops: how to call the user back; stays
 * @data: cookie for @ops
 * @id: receives the id of the object
 *
 * Return: the access, attached to nothing, or an ERR_PTR.
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id)
{
	struct iommufd_access *access;

	access = iommufd_object_alloc(ictx, iommufd_access,
				      &iommufd_access_object_ops);
	if (IS_ERR(access))
		return access;
	mutex_init(&access->lock);
	access->ictx = ictx;
	iommufd_ctx_get(ictx);
	access->ops = ops;
	access->data = data;
	/* The caller's, so that the user cannot destroy the object */
	iommufd_object_hold(&access->obj);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, "IOMMUFD");

/* Take an access off its IOAS; its pins are given back by its owner */
static void iommufd_access_leave(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas = access->ioas;

	lockdep_assert_held(&access->lock);

	/* New pins are refused from here on, existing ones can be undone */
	access->ioas = NULL;
	if (access->ops->unmap) {
		mutex_unlock(&access->lock);
		access->ops->unmap(access->data, 0, ULONG_MAX);
		mutex_lock(&access->lock);
	}
	access->ioas_unpin = NULL;

	if (!access->keeps)
		xa_erase(&ioas->accesses, access->obj.id);
	if (access->ops->needs_pin_pages)
		iopt_remove_pin_access(&ioas->iopt);
	iommufd_object_release(&ioas->obj);
}

static int iommufd_access_join(struct iommufd_access *access,
			       struct iommufd_ioas *ioas)
{
	int rc;

	rc = iommufd_object_hold(&ioas->obj);
	if (rc)
		return rc;
	/* Before anything that it could take long to undo */
	rc = mutex_lock_killable(&ioas->mutex);
	if (rc)
		goto err_release;
	if (access->ops->needs_pin_pages) {
		rc = iopt_add_pin_access(&ioas->iopt);
		if (rc)
			goto err_unlock;
	}
	/* One that keeps what it has pinned need not be found by an unmap */
	if (!access->keeps)
		rc = xa_err(xa_store(&ioas->accesses, access->obj.id, access,
				     GFP_KERNEL_ACCOUNT));
	if (rc)
		goto err_remove;
	/* It writes with the CPU, which no page table tracks */
	ioas->dirty_log.exact = false;
	mutex_unlock(&ioas->mutex);
	return 0;

err_remove:
	if (access->ops->needs_pin_pages)
		iopt_remove_pin_access(&ioas->iopt);
err_unlock:
	mutex_unlock(&ioas->mutex);
err_release:
	iommufd_object_release(&ioas->obj);
	return rc;
}

static int iommufd_access_change_locked(struct iommufd_access *access,
					u32 ioas_id, bool must_have)
{
	struct iommufd_ioas *ioas;
	int rc;

	lockdep_assert_held(&access->lock);

	/* The owner is unpinning for another change */
	if (access->ioas != access->ioas_unpin)
		return -EBUSY;
	if (must_have ? !access->ioas : !!access->ioas)
		return must_have ? -ENOENT : -EINVAL;

	ioas = iommufd_get_ioas(access->ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = 0;
	if (ioas != access->ioas) {
		rc = iommufd_access_join(access, ioas);
		if (!rc) {
			if (access->ioas)
				iommufd_access_leave(access);
			access->ioas = ioas;
			access->ioas_unpin = ioas;
		}
	}
	iommufd_object_put(access->ictx, &ioas->obj);
	return rc;
}

/* Move an access to another IOAS; with @must_have only if it is on one */
static int iommufd_access_change(struct iommufd_access *access, u32 ioas_id,
				 bool must_have)
{
	int rc;

	/* Another task may be pinning a lot through it */
	if (mutex_lock_killable(&access->lock))
		return -EINTR;
	rc = iommufd_access_change_locked(access, ioas_id, must_have);
	mutex_unlock(&access->lock);
	return rc;
}

/**
 * iommufd_access_attach - connect an access to an IOAS
 * @access: an access that is not attached
 * @ioas_id: id of the IOAS
 *
 * Return: 0, -EINVAL if it is attached, -ENOENT if there is no such IOAS,
 * -EBUSY if it is being changed, -EADDRINUSE if it pins pages and the IOAS has
 * mappings that are not page-aligned, or -EINTR if the caller was killed.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	return iommufd_access_change(access, ioas_id, false);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_attach, "IOMMUFD");

/**
 * iommufd_access_replace - move an access to another IOAS
 * @access: an attached access
 * @ioas_id: id of the new IOAS
 *
 * The owner is called back to give up what it pinned in the old one.
 *
 * Return: 0, or -ENOENT if it is not attached, or an error of
 * iommufd_access_attach(), with nothing changed.
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	return iommufd_access_change(access, ioas_id, true);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_replace, "IOMMUFD");

/**
 * iommufd_access_detach - take an access off its IOAS
 * @access: an attached access
 *
 * The owner is called back to give up what it pinned.
 */
void iommufd_access_detach(struct iommufd_access *access)
{
	guard(mutex)(&access->lock);
	if (!WARN_ON(!access->ioas))
		iommufd_access_leave(access);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, "IOMMUFD");

/**
 * iommufd_access_destroy - destroy an access
 * @access: the access; detached if it is attached, freed
 */
void iommufd_access_destroy(struct iommufd_access *access)
{
	scoped_guard(mutex, &access->lock)
		if (access->ioas)
			iommufd_access_leave(access);
	iommufd_object_destroy_owned(access->ictx, &access->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, "IOMMUFD");

static const struct iommufd_access_ops iommufd_access_internal_ops = {
	.needs_pin_pages = 1,
};

/**
 * iommufd_access_create_internal - create an access of iommufd itself
 * @ictx: the context; no reference is taken
 * @ioas: whose IOVA it uses, from now on
 *
 * What it pins stays mapped: an unmap fails with -EBUSY. It has no id and does
 * not keep the context from being closed, so that it has to belong to an object.
 *
 * Return: the access, for iommufd_access_destroy_internal(), or an ERR_PTR:
 * -EADDRINUSE if the IOAS has mappings that are not page-aligned, -EINTR if the
 * caller was killed.
 */
struct iommufd_access *
iommufd_access_create_internal(struct iommufd_ctx *ictx,
			       struct iommufd_ioas *ioas)
{
	struct iommufd_access *access;
	int rc;

	access = kzalloc(sizeof(*access), GFP_KERNEL_ACCOUNT);
	if (!access)
		return ERR_PTR(-ENOMEM);
	mutex_init(&access->lock);
	access->ictx = ictx;
	access->ops = &iommufd_access_internal_ops;
	access->keeps = true;
	rc = iommufd_access_join(access, ioas);
	if (rc) {
		mutex_destroy(&access->lock);
		kfree(access);
		return ERR_PTR(rc);
	}
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	return access;
}

/**
 * iommufd_access_destroy_internal - undo iommufd_access_create_internal()
 * @access: the access, which has nothing pinned; freed
 */
void iommufd_access_destroy_internal(struct iommufd_access *access)
{
	scoped_guard(mutex, &access->lock)
		iommufd_access_leave(access);
	mutex_destroy(&access->lock);
	kfree(access);
}

/* An unmap needs [iova, iova + length): ask all accesses to unpin it */
static void iommufd_access_notify_unmap(struct io_pagetable *iopt,
					unsigned long iova,
					unsigned long length)
{
	struct iommufd_ioas *ioas =
		container_of(iopt, struct iommufd_ioas, iopt);
	struct iommufd_access *access;
	unsigned long index;

	xa_lock(&ioas->accesses);
	xa_for_each(&ioas->accesses, index, access) {
		if (!iommufd_object_tryget(&access->obj))
			continue;
		xa_unlock(&ioas->accesses);

		if (access->ops->unmap)
			access->ops->unmap(access->data, iova, length);

		iommufd_object_put(access->ictx, &access->obj);
		xa_lock(&ioas->accesses);
	}
	xa_unlock(&ioas->accesses);
}

const struct iopt_access_ops iommufd_access_iopt_ops = {
	.unmap = iommufd_access_notify_unmap,
};

/* The part of [iova, last] that lies in @area */
static struct iopt_slice iommufd_access_slice(const struct iopt_area *area,
					      unsigned long iova,
					      unsigned long last)
{
	unsigned long offset = area->user.start * PAGE_SIZE +
			       area->page_offset + (iova - area->node.start);

	return (struct iopt_slice){
		.pages = area->pages,
		.index = offset >> PAGE_SHIFT,
		.page_offset = offset_in_page(offset),
		.length = min(last, area->node.last) - iova + 1,
	};
}

/* Find the area at @iova for an access, and the part of it up to @last */
static struct iopt_area *iommufd_access_area(struct io_pagetable *iopt,
					     unsigned long iova,
					     unsigned long last,
					     unsigned int flags,
					     struct iopt_slice *slice)
{
	struct iopt_area *area = iopt_area_at(iopt, iova);

	if (!area)
		return ERR_PTR(-ENOENT);
	if (area->prevent_access)
		return ERR_PTR(-EINVAL);
	if ((flags & IOMMUFD_ACCESS_RW_WRITE) &&
	    !(area->pages->writable && (area->prot & IOMMU_WRITE)))
		return ERR_PTR(-EPERM);
	*slice = iommufd_access_slice(area, iova, last);
	return area;
}

/* Give back the pins of [iova, last], all of which are there */
static void iommufd_access_unpin_areas(struct io_pagetable *iopt,
				       unsigned long iova, unsigned long last,
				       bool keeps)
{
	for (;;) {
		struct iopt_area *area = iopt_area_at(iopt, iova);
		struct iopt_slice slice;

		/* The owner unpins something that it has not pinned */
		if (WARN_ON(!area))
			return;
		slice = iommufd_access_slice(area, iova, last);
		iopt_slice_unpin(&slice);
		if (keeps)
			atomic_dec(&area->num_keepers);
		atomic_dec(&area->num_accesses);
		if (last <= area->node.last)
			return;
		iova = area->node.last + 1;
	}
}

static int iommufd_access_pin_areas(struct io_pagetable *iopt,
				    unsigned long iova, unsigned long last,
				    struct page **out, unsigned int flags,
				    bool keeps)
{
	unsigned long start = iova;
	struct iopt_slice slice;
	struct iopt_area *area;
	int rc;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	for (;;) {
		area = iommufd_access_area(iopt, iova, last, flags, &slice);
		if (IS_ERR(area)) {
			rc = PTR_ERR(area);
			break;
		}
		/* struct page cannot say where in the page the IOVA is */
		rc = -EINVAL;
		if (slice.page_offset != offset_in_page(iova))
			break;
		rc = iopt_slice_pin(&slice, out, iopt->refusal);
		if (rc)
			break;
		atomic_inc(&area->num_accesses);
		if (keeps)
			atomic_inc(&area->num_keepers);
		if (last <= area->node.last)
			goto out_unlock;
		out += iopt_slice_last_index(&slice) - slice.index + 1;
		iova = area->node.last + 1;
	}
	if (iova != start)
		iommufd_access_unpin_areas(iopt, start, iova - 1, keeps);
out_unlock:
	up_read(&iopt->iova_rwsem);
	return rc;
}

/**
 * iommufd_access_pin_pages - pin the pages behind a range of IOVA
 * @access: an attached access whose ops have needs_pin_pages
 * @iova: first IOVA
 * @length: bytes
 * @out_pages: receives one page per page that the range touches
 * @flags: IOMMUFD_ACCESS_RW_WRITE if the pages will be written to
 *
 * May wait for userspace to provide the memory, with the locks of the access,
 * the IOAS and the memory held. Others who need them wait and can be killed.
 *
 * Return: 0; -ENOENT if it is not attached or a part of the range is not
 * mapped, -EPERM if it is not writable, -EINVAL if it is being unmapped or the
 * length is 0, -EOVERFLOW if the range wraps, -EINTR if the caller was killed, or
 * an error of iopt_slice_pin().
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	unsigned long last;
	int rc;

	if (WARN_ON_ONCE(!access->ops->needs_pin_pages ||
			 (!access->ops->unmap && !access->keeps)))
		return -EINVAL;
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	if (mutex_lock_killable(&access->lock))
		return -EINTR;
	rc = access->ioas ? iommufd_access_pin_areas(&access->ioas->iopt, iova,
						     last, out_pages, flags,
						     access->keeps) :
			    -ENOENT;
	mutex_unlock(&access->lock);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, "IOMMUFD");

/**
 * iommufd_access_unpin_pages - undo iommufd_access_pin_pages()
 * @access: the access
 * @iova: as it was pinned
 * @length: as it was pinned
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	unsigned long last;

	if (WARN_ON(!length) ||
	    WARN_ON(check_add_overflow(iova, length - 1, &last)))
		return;

	guard(mutex)(&access->lock);
	/* The owner is late: its pins went when it was detached */
	if (WARN_ON(!access->ioas_unpin))
		return;
	guard(rwsem_read)(&access->ioas_unpin->iopt.iova_rwsem);
	iommufd_access_unpin_areas(&access->ioas_unpin->iopt, iova, last,
				   access->keeps);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, "IOMMUFD");

/*
 * Copy as much from @iova on as can be had at once. Return the number of bytes,
 * or 0 if iopt_hold_get() is needed for @slice, whose pages have a reference
 * then.
 */
static long iommufd_access_rw_area(struct io_pagetable *iopt,
				   unsigned long iova, unsigned long last,
				   const struct iopt_hold *hold, void *data,
				   unsigned int flags, struct iopt_slice *slice)
{
	struct iopt_area *area;
	long n;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	area = iommufd_access_area(iopt, iova, last, flags, slice);
	if (IS_ERR(area)) {
		n = PTR_ERR(area);
	} else {
		slice->length = min(slice->length,
				    RW_STEP - slice->page_offset);
		n = iopt_slice_rw(slice, hold, data,
				  flags & IOMMUFD_ACCESS_RW_WRITE);
		if (!n)
			iopt_pages_get(slice->pages);
	}
	up_read(&iopt->iova_rwsem);
	return n;
}

static long iommufd_access_rw_some(struct iommufd_access *access,
				   unsigned long iova, unsigned long last,
				   const struct iopt_hold *hold, void *data,
				   unsigned int flags, struct iopt_slice *slice)
{
	long n;

	if (mutex_lock_killable(&access->lock))
		return -EINTR;
	n = access->ioas ?
		    iommufd_access_rw_area(&access->ioas->iopt, iova, last,
					   hold, data, flags, slice) :
		    -ENOENT;
	mutex_unlock(&access->lock);
	return n;
}

/*
 * Memory may have to be waited for, which is done between two looks at what is
 * mapped: an unmap does not wait, and nothing is copied once it has returned.
 */
static int iommufd_access_rw_all(struct iommufd_access *access,
				 unsigned long iova, unsigned long last,
				 void *data, unsigned int flags)
{
	struct iopt_hold hold __uninitialized;
	int rc = 0;

	iopt_hold_init(&hold);
	for (;;) {
		struct iopt_slice slice;
		long n = iommufd_access_rw_some(access, iova, last, &hold, data,
						flags, &slice);

		if (n < 0) {
			rc = n;
			break;
		}
		if (!n) {
			rc = iopt_hold_get(&hold, &slice,
					   flags & IOMMUFD_ACCESS_RW_WRITE);
			if (rc)
				break;
		} else if (n > last - iova) {
			break;
		}
		data += n;
		iova += n;
		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			break;
		}
		cond_resched();
	}
	iopt_hold_put(&hold);
	return rc;
}

/**
 * iommufd_access_rw - copy between IOVA and a kernel buffer
 * @access: an attached access
 * @iova: first IOVA
 * @data: the buffer
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_*
 *
 * Sees the pages that a device would see if the range is pinned for one, and
 * else what the process that mapped it would see and may do itself. Charges
 * nobody. May be called from any process and from kernel threads. May wait for
 * userspace to provide the memory, and so must not be called with a lock that
 * others need.
 *
 * Return: 0; or, maybe after a part has been copied: -ENOENT if it is not
 * attached or a part of the range is not mapped, -EPERM if it is not writable,
 * -EINVAL if it is being unmapped, -EINTR if the caller was killed, or an error
 * of iopt_hold_get().
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags)
{
	unsigned long last;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	return iommufd_access_rw_all(access, iova, last, data, flags);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, "IOMMUFD");
