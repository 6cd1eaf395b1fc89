// SPDX-License-Identifier: GPL-2.0-only
/*
 * What IOMMU drivers call about virtual IOMMUs. It is part of the kernel if they
 * are, also if the rest of iommufd is a module, and so uses nothing of that.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommufd.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "iommufd_private.h"
#include "mmap.h"
#include "vevent.h"

#define CREATE_TRACE_POINTS
#include "trace_driver.h"

/**
 * _iommufd_object_depend - keep an object from being destroyed before another
 * @obj_dependent: the object that needs the other one
 * @obj_depended: the other one, of the same type
 *
 * Return: 0, -EINVAL if they are one or of different types, or -ENOENT if the
 * other one is being destroyed.
 */
int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended)
{
	/* One that needs itself could never go, and no more could a circle */
	if (WARN_ON_ONCE(obj_dependent == obj_depended ||
			 obj_dependent->ops != obj_depended->ops))
		return -EINVAL;
	return refcount_inc_not_zero(&obj_depended->users) ? 0 : -ENOENT;
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_depend, "IOMMUFD");

/**
 * _iommufd_object_undepend - undo _iommufd_object_depend()
 * @obj_dependent: as there
 * @obj_depended: as there
 */
void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended)
{
	if (!WARN_ON_ONCE(obj_dependent == obj_depended ||
			  obj_dependent->ops != obj_depended->ops))
		refcount_dec(&obj_depended->users);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_undepend, "IOMMUFD");

/**
 * _iommufd_alloc_mmap - let the user map device memory from the file
 * @ictx: the context
 * @owner: the object that the memory belongs to
 * @mmio_addr: where it is, page aligned
 * @length: bytes, whole pages
 * @offset: receives where in the file it is
 *
 * Can be mapped once @owner is visible. A mapping keeps @owner from being
 * destroyed; the driver calls _iommufd_destroy_mmap() as part of that.
 *
 * Return: 0, -EINVAL if it is not whole pages, or -ENOMEM.
 */
int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset)
{
	struct iommufd_mmap *mmap;
	unsigned long pgoff;
	int rc;

	if (WARN_ON_ONCE(!length || !PAGE_ALIGNED(mmio_addr) ||
			 !PAGE_ALIGNED(length)))
		return -EINVAL;

	mmap = kzalloc(sizeof(*mmap), GFP_KERNEL_ACCOUNT);
	if (!mmap)
		return -ENOMEM;
	mmap->owner = owner;
	mmap->phys = mmio_addr;
	mmap->npages = length >> PAGE_SHIFT;
	/* An offset of 0 is what programs have that forgot to ask for it */
	rc = mtree_alloc_range(&ictx->mmaps, &pgoff, mmap, mmap->npages, 1,
			       ULONG_MAX >> PAGE_SHIFT, GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(mmap);
		return rc == -EBUSY ? -ENOMEM : rc;
	}
	*offset = pgoff << PAGE_SHIFT;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(_iommufd_alloc_mmap, "IOMMUFD");

/**
 * _iommufd_destroy_mmap - undo _iommufd_alloc_mmap()
 * @ictx: as there
 * @owner: as there, not visible yet or being destroyed
 * @offset: as it was received
 */
void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset)
{
	struct iommufd_mmap *mmap;

	/* Whoever finds it does so under the lock of the tree */
	mmap = mtree_erase(&ictx->mmaps, offset >> PAGE_SHIFT);
	WARN_ON_ONCE(!mmap || mmap->owner != owner);
	kfree(mmap);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_destroy_mmap, "IOMMUFD");

/**
 * iommufd_vdevice_to_device - the device of a virtual device
 * @vdev: the virtual device; from its vdevice_init op to the end of its destroy
 *
 * Return: the device.
 */
struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return vdev->idev->dev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vdevice_to_device, "IOMMUFD");

/**
 * iommufd_viommu_find_dev - find a device by what the guest calls it
 * @viommu: the guest's IOMMU; the xa_lock of viommu->vdevs is held
 * @vdev_id: the virtual id
 *
 * Return: the device, valid as long as the lock is held, or NULL.
 */
struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id)
{
	struct iommufd_vdevice *vdev;

	lockdep_assert_held(&viommu->vdevs.xa_lock);

	vdev = xa_load(&viommu->vdevs, vdev_id);
	return vdev ? vdev->idev->dev : NULL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_find_dev, "IOMMUFD");

/**
 * iommufd_viommu_get_vdev_id - find out what the guest calls a device
 * @viommu: the guest's IOMMU
 * @dev: the device
 * @vdev_id: receives the virtual id
 *
 * Return: 0, or -ENOENT if it has none in that IOMMU.
 */
int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id)
{
	struct iommufd_vdevice *vdev;
	unsigned long index;
	int rc = -ENOENT;

	xa_lock(&viommu->vdevs);
	xa_for_each(&viommu->vdevs, index, vdev) {
		if (vdev->idev->dev == dev) {
			*vdev_id = index;
			rc = 0;
			break;
		}
	}
	xa_unlock(&viommu->vdevs);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_get_vdev_id, "IOMMUFD");

/* Put an event into a queue, or note that there was no room */
static int iommufd_veventq_push(struct iommufd_veventq *veventq,
				const void *data, size_t len, u32 *sequence)
{
	struct iommufd_vevent *event;
	unsigned long flags;
	int rc = 0;

	spin_lock_irqsave(&veventq->lock, flags);
	*sequence = veventq->next_sequence;
	veventq->next_sequence = (*sequence + 1) & INT_MAX;
	if (veventq->nr == veventq->depth) {
		veventq->lost_sequence = *sequence;
		WRITE_ONCE(veventq->lost, true);
		WRITE_ONCE(veventq->nr_lost, veventq->nr_lost + 1);
		rc = -EOVERFLOW;
	} else {
		event = &veventq->ring[(veventq->head + veventq->nr) %
				       veventq->depth];
		event->sequence = *sequence;
		event->len = len;
		memcpy(event->data, data, len);
		WRITE_ONCE(veventq->nr, veventq->nr + 1);
		/* The number of this one tells of those that were lost before */
		WRITE_ONCE(veventq->lost, false);
	}
	spin_unlock_irqrestore(&veventq->lock, flags);
	return rc;
}

/**
 * iommufd_viommu_report_event - tell the user of an event
 * @viommu: what the user has of the IOMMU
 * @type: of which type the event is
 * @event_data: the event, as the user ABI has it
 * @data_len: its bytes
 *
 * Context: Any.
 * Return: 0; -EOPNOTSUPP if the user has no queue for such events, -EOVERFLOW if
 * the queue is full, -EINVAL if the event is larger than any.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len)
{
	u32 queue_id = 0, sequence = 0, unread = 0;
	struct iommufd_veventq *veventq;
	int rc = -EOPNOTSUPP;
	unsigned long flags;

	if (WARN_ON_ONCE(!data_len || data_len > IOMMUFD_VEVENT_MAX_DATA))
		return -EINVAL;

	/* As long as the lock is held the queue stays */
	spin_lock_irqsave(&viommu->veventqs_lock, flags);
	list_for_each_entry(veventq, &viommu->veventqs, entry) {
		if (veventq->type != type)
			continue;
		rc = iommufd_veventq_push(veventq, event_data, data_len,
					  &sequence);
		iommufd_queue_wake(&veventq->queue);
		queue_id = veventq->obj.id;
		unread = READ_ONCE(veventq->nr);
		break;
	}
	spin_unlock_irqrestore(&viommu->veventqs_lock, flags);
	trace_iommufd_vevent(viommu->obj.id, queue_id, type, sequence, unread,
			     rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_report_event, "IOMMUFD");
