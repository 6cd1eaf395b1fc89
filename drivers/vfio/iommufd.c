// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices and groups at iommufd: bound and attached, in a container, and the
 * memory of the user as software devices reach it.
 */
#include <linux/iommufd.h>
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_iommufd_device_ictx - the iommufd that a device is bound to
 * @vdev: the device, with its &vfio_device_set.lock held
 *
 * Return: the iommufd, without a reference, or NULL if the device is bound to
 * none or is an emulated one.
 */
struct iommufd_ctx *vfio_iommufd_device_ictx(struct vfio_device *vdev)
{
	if (!vdev->iommufd_device)
		return NULL;
	return iommufd_device_to_ictx(vdev->iommufd_device);
}
EXPORT_SYMBOL_GPL(vfio_iommufd_device_ictx);

/* Any device of its group in @ictx makes a device belong to @ictx */
static bool vfio_iommufd_owns_group(struct vfio_device *vdev,
				    struct iommufd_ctx *ictx)
{
	struct iommu_group *iommu_group;
	bool owns;

	iommu_group = iommu_group_get(vdev->dev);
	if (!iommu_group)
		return false;
	owns = iommufd_ctx_has_group(ictx, iommu_group);
	iommu_group_put(iommu_group);
	return owns;
}

/**
 * vfio_iommufd_get_dev_id - what a device is to an iommufd
 * @vdev: the device, with its &vfio_device_set.lock held
 * @ictx: the iommufd
 *
 * Return: the device's id if it is bound to @ictx; VFIO_PCI_DEVID_OWNED if not,
 * but its group belongs to @ictx; otherwise VFIO_PCI_DEVID_NOT_OWNED.
 */
int vfio_iommufd_get_dev_id(struct vfio_device *vdev, struct iommufd_ctx *ictx)
{
	if (vfio_iommufd_device_ictx(vdev) == ictx)
		return iommufd_device_to_id(vdev->iommufd_device);
	if (vfio_iommufd_owns_group(vdev, ictx))
		return VFIO_PCI_DEVID_OWNED;
	return VFIO_PCI_DEVID_NOT_OWNED;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_get_dev_id);

/**
 * vfio_iommufd_device_is_blocked - does an IOMMU refuse all DMA of a device?
 * @vdev: a device that is open, with its @attach_lock held
 *
 * Return: as iommufd_device_is_blocked(); false for a software device.
 */
bool vfio_iommufd_device_is_blocked(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->attach_lock);

	return vdev->iommufd_device &&
	       iommufd_device_is_blocked(vdev->iommufd_device);
}
EXPORT_SYMBOL_GPL(vfio_iommufd_device_is_blocked);

/**
 * vfio_iommufd_physical_bind - &vfio_device_ops.bind_iommufd of a real device
 * @vdev: the device, behind an IOMMU or, if the caller has made sure that this is
 *        allowed, without one
 * @ictx: the iommufd, kept alive by the binding
 * @out_device_id: the new id of the device in @ictx
 *
 * Return: 0; -EPERM if the group cannot be taken into possession, or its
 * interrupts are not isolated; else what iommufd_device_bind() returns.
 */
int vfio_iommufd_physical_bind(struct vfio_device *vdev,
			       struct iommufd_ctx *ictx, u32 *out_device_id)
{
	struct iommufd_device *idev;

	lockdep_assert_held(&vdev->dev_set->lock);

	if (vdev->iommu_kind == VFIO_IOMMU_NONE)
		idev = iommufd_device_bind_noiommu(ictx, vdev->dev,
						   out_device_id);
	else
		idev = iommufd_device_bind(ictx, vdev->dev, out_device_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	vdev->iommufd_device = idev;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_bind);

/* Before the device itself, whose page table is what makes them possible */
static void vfio_iommufd_physical_detach_pasids(struct vfio_device *vdev)
{
	unsigned long pasid;
	void *entry;

	/* There may be a million of them */
	xa_for_each(&vdev->pasids, pasid, entry) {
		vfio_iommufd_physical_pasid_detach_ioas(vdev, pasid);
		cond_resched();
	}
}

/**
 * vfio_iommufd_physical_unbind - &vfio_device_ops.unbind_iommufd behind an IOMMU
 * @vdev: a bound device, attached or not
 */
void vfio_iommufd_physical_unbind(struct vfio_device *vdev)
{
	struct iommufd_device *idev = vdev->iommufd_device;

	vfio_iommufd_physical_detach_pasids(vdev);
	vfio_iommufd_physical_detach_ioas(vdev);
	/* From here on, other devices of the set do not find it */
	scoped_guard(mutex, &vdev->dev_set->lock)
		vdev->iommufd_device = NULL;
	iommufd_device_unbind(idev);
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_unbind);

/**
 * vfio_iommufd_physical_attach_ioas - &vfio_device_ops.attach_ioas behind an IOMMU
 * @vdev: a bound device; if it is attached already, it moves in one step
 * @pt_id: IOAS or hwpt to attach to; becomes the id of the hwpt
 *
 * Return: 0 or what iommufd_device_attach() or iommufd_device_replace() returns.
 */
int vfio_iommufd_physical_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	int ret;

	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_device))
		return -EINVAL;

	if (vdev->iommufd_attached)
		ret = iommufd_device_replace(vdev->iommufd_device,
					     IOMMU_NO_PASID, pt_id);
	else
		ret = iommufd_device_attach(vdev->iommufd_device,
					    IOMMU_NO_PASID, pt_id);
	if (ret)
		return ret;
	vdev->iommufd_attached = true;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_attach_ioas);

/**
 * vfio_iommufd_physical_detach_ioas - &vfio_device_ops.detach_ioas behind an IOMMU
 * @vdev: a bound device, attached or not
 */
void vfio_iommufd_physical_detach_ioas(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_device) || !vdev->iommufd_attached)
		return;
	iommufd_device_detach(vdev->iommufd_device, IOMMU_NO_PASID);
	vdev->iommufd_attached = false;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_detach_ioas);

/**
 * vfio_iommufd_physical_pasid_attach_ioas - &vfio_device_ops.pasid_attach_ioas behind
 *                                           an IOMMU
 * @vdev: a bound device
 * @pasid: a PASID of it; if it is attached already, it moves as
 *         iommufd_device_replace() says
 * @pt_id: hwpt to attach to
 *
 * Return: 0; -EBUSY for IOMMU_NO_PASID, which is the device itself; -ENOMEM; else
 * what iommufd_device_attach() or iommufd_device_replace() returns.
 */
int vfio_iommufd_physical_pasid_attach_ioas(struct vfio_device *vdev, u32 pasid,
					    u32 *pt_id)
{
	int ret;

	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_device))
		return -EINVAL;
	if (pasid == IOMMU_NO_PASID)
		return -EBUSY;

	if (xa_load(&vdev->pasids, pasid))
		return iommufd_device_replace(vdev->iommufd_device, pasid,
					      pt_id);
	/* What can fail comes first */
	ret = xa_insert(&vdev->pasids, pasid, xa_mk_value(0),
			GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	ret = iommufd_device_attach(vdev->iommufd_device, pasid, pt_id);
	if (ret)
		xa_erase(&vdev->pasids, pasid);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_pasid_attach_ioas);

/**
 * vfio_iommufd_physical_pasid_detach_ioas - &vfio_device_ops.pasid_detach_ioas behind
 *                                           an IOMMU
 * @vdev: a bound device
 * @pasid: a PASID of it, attached or not
 */
void vfio_iommufd_physical_pasid_detach_ioas(struct vfio_device *vdev,
					     u32 pasid)
{
	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_device) || !xa_load(&vdev->pasids, pasid))
		return;
	iommufd_device_detach(vdev->iommufd_device, pasid);
	xa_erase(&vdev->pasids, pasid);
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_pasid_detach_ioas);

static void vfio_emulated_unmap(void *data, unsigned long iova,
				unsigned long length)
{
	struct vfio_device *vdev = data;

	/* Without the callback, the driver has never pinned anything */
	if (vdev->ops->dma_unmap)
		vdev->ops->dma_unmap(vdev, iova, length);
}

static const struct iommufd_access_ops vfio_emulated_access_ops = {
	.needs_pin_pages = 1,
	.unmap = vfio_emulated_unmap,
};

/**
 * vfio_iommufd_emulated_bind - &vfio_device_ops.bind_iommufd of a software device
 * @vdev: the device
 * @ictx: the iommufd, kept alive by the binding
 * @out_device_id: the new id of the device in @ictx
 *
 * Return: 0 or what iommufd_access_create() returns.
 */
int vfio_iommufd_emulated_bind(struct vfio_device *vdev,
			       struct iommufd_ctx *ictx, u32 *out_device_id)
{
	struct iommufd_access *access;

	lockdep_assert_held(&vdev->dev_set->lock);

	access = iommufd_access_create(ictx, &vfio_emulated_access_ops, vdev,
				       out_device_id);
	if (IS_ERR(access))
		return PTR_ERR(access);
	vdev->iommufd_access = access;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_bind);

/**
 * vfio_iommufd_emulated_unbind - &vfio_device_ops.unbind_iommufd of a software device
 * @vdev: a bound device, attached or not
 */
void vfio_iommufd_emulated_unbind(struct vfio_device *vdev)
{
	struct iommufd_access *access = vdev->iommufd_access;

	vfio_iommufd_emulated_detach_ioas(vdev);
	/* From here on, other devices of the set do not find it */
	scoped_guard(mutex, &vdev->dev_set->lock)
		vdev->iommufd_access = NULL;
	iommufd_access_destroy(access);
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_unbind);

/**
 * vfio_iommufd_emulated_attach_ioas - &vfio_device_ops.attach_ioas of a software device
 * @vdev: a bound device; if it is attached already, it moves in one step
 * @pt_id: IOAS to attach to
 *
 * Return: 0 or what iommufd_access_attach() or iommufd_access_replace() returns.
 */
int vfio_iommufd_emulated_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	int ret;

	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_access))
		return -EINVAL;

	if (vdev->iommufd_attached)
		ret = iommufd_access_replace(vdev->iommufd_access, *pt_id);
	else
		ret = iommufd_access_attach(vdev->iommufd_access, *pt_id);
	if (ret)
		return ret;
	vdev->iommufd_attached = true;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_attach_ioas);

/**
 * vfio_iommufd_emulated_detach_ioas - &vfio_device_ops.detach_ioas of a software device
 * @vdev: a bound device, attached or not
 */
void vfio_iommufd_emulated_detach_ioas(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->attach_lock);

	if (WARN_ON(!vdev->iommufd_access) || !vdev->iommufd_attached)
		return;
	iommufd_access_detach(vdev->iommufd_access);
	vdev->iommufd_attached = false;
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_detach_ioas);

/**
 * vfio_pin_pages - pin the user's pages behind a range of IOVA
 * @device: an emulated device that is open and attached. Its driver has a
 *          &vfio_device_ops.dma_unmap, which unpins when asked to
 * @iova: start of the first page; its offset into the page is ignored
 * @npage: number of pages, all of them consecutive in IOVA
 * @prot: IOMMU_READ, and IOMMU_WRITE if the pages will be written to
 * @pages: the pages
 *
 * Return: @npage, or: -EINVAL for bad arguments or a device that cannot pin;
 * -ENOENT if a part of the range is not mapped; -EPERM if it is mapped
 * read-only and @prot has IOMMU_WRITE; -EINTR if the caller was killed while it
 * waited; or another error of iommufd_access_pin_pages(), such as -ENOMEM.
 */
int vfio_pin_pages(struct vfio_device *device, dma_addr_t iova,
		   int npage, int prot, struct page **pages)
{
	unsigned int flags = 0;
	unsigned long start;
	int ret;

	if (!pages || npage <= 0 || npage > INT_MAX >> PAGE_SHIFT)
		return -EINVAL;
	if (WARN_ON(!device->ops->dma_unmap) || !device->iommufd_access)
		return -EINVAL;
	if (iova > ULONG_MAX)
		return -EINVAL;

	if (prot & IOMMU_WRITE)
		flags |= IOMMUFD_ACCESS_RW_WRITE;

	start = ALIGN_DOWN((unsigned long)iova, PAGE_SIZE);
	ret = iommufd_access_pin_pages(device->iommufd_access, start,
				       (unsigned long)npage * PAGE_SIZE, pages,
				       flags);
	return ret ? ret : npage;
}
EXPORT_SYMBOL(vfio_pin_pages);

/**
 * vfio_unpin_pages - undo vfio_pin_pages()
 * @device: the device
 * @iova: start of the first page, as given to vfio_pin_pages()
 * @npage: number of pages, as given to vfio_pin_pages()
 */
void vfio_unpin_pages(struct vfio_device *device, dma_addr_t iova, int npage)
{
	if (WARN_ON(npage <= 0 || npage > INT_MAX >> PAGE_SHIFT))
		return;
	if (WARN_ON(iova > ULONG_MAX || !device->iommufd_access))
		return;

	iommufd_access_unpin_pages(device->iommufd_access,
				   ALIGN_DOWN((unsigned long)iova, PAGE_SIZE),
				   (unsigned long)npage * PAGE_SIZE);
}
EXPORT_SYMBOL(vfio_unpin_pages);

/**
 * vfio_dma_rw - read or write the user's memory by IOVA
 * @device: an emulated device that is open and attached
 * @iova: where to begin
 * @data: the kernel's buffer
 * @len: bytes to copy
 * @write: copy to the user's memory rather than from it
 *
 * Return: 0; -EINVAL for bad arguments or a device that is not emulated; else
 * what iommufd_access_rw() returns.
 */
int vfio_dma_rw(struct vfio_device *device, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	unsigned int flags = 0;

	if (!data || !len || !device->iommufd_access)
		return -EINVAL;
	if (iova > ULONG_MAX)
		return -EINVAL;

	/* Drivers come from kernel threads, too, and do not say so */
	if (!current->mm)
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	if (write)
		flags |= IOMMUFD_ACCESS_RW_WRITE;
	return iommufd_access_rw(device->iommufd_access, iova, data, len,
				 flags);
}
EXPORT_SYMBOL(vfio_dma_rw);

/**
 * vfio_iommufd_compat_join - put a group into a container
 * @ictx: the iommufd that is the container, and owns the group if an IOMMU
 *        confines it
 * @kind: what confines the group's devices
 * @iommu_group: the group
 * @with_device: how iommufd gets at a device of the group
 * @group: our side of it, for @with_device
 *
 * May wait for the user's memory.
 *
 * Return: 0; -EINVAL if @ictx has been made a container of the other sort
 * (with translation or without) before; else what
 * iommufd_vfio_compat_add_group() returns.
 */
int vfio_iommufd_compat_join(struct iommufd_ctx *ictx, enum vfio_iommu_kind kind,
			     struct iommu_group *iommu_group,
			     iommufd_vfio_with_device_t *with_device,
			     struct vfio_group *group)
{
	int ret;

	if (kind == VFIO_IOMMU_NONE)
		return iommufd_vfio_compat_set_no_iommu(ictx);

	ret = iommufd_vfio_compat_ioas_create(ictx);
	if (ret)
		return ret;
	if (kind != VFIO_IOMMU_PHYSICAL)
		iommu_group = NULL;
	return iommufd_vfio_compat_add_group(ictx, iommu_group, with_device,
					     group);
}

/**
 * vfio_iommufd_compat_leave - undo vfio_iommufd_compat_join()
 * @ictx: the iommufd that is the container
 * @kind: what confines the group's devices, of which none is open
 * @group: our side of the group
 *
 * Waits for what else the user does to the container.
 */
void vfio_iommufd_compat_leave(struct iommufd_ctx *ictx,
			       enum vfio_iommu_kind kind,
			       struct vfio_group *group)
{
	if (kind != VFIO_IOMMU_NONE)
		iommufd_vfio_compat_remove_group(ictx, group);
}

/**
 * vfio_iommufd_has_compat_ioas - does a container translate?
 * @ictx: the iommufd that is the container
 *
 * Return: true if it has an address space to attach devices to.
 */
bool vfio_iommufd_has_compat_ioas(struct iommufd_ctx *ictx)
{
	u32 ioas_id;

	return !iommufd_vfio_compat_ioas_get_id(ictx, &ioas_id);
}

/**
 * vfio_iommufd_compat_attach - attach a device to the container's address space
 * @device: a device that is bound to @ictx
 * @ictx: the iommufd that is the container of the device's group
 *
 * May wait for the user's memory.
 *
 * Return: 0; -ENODEV if the container has no address space; -EINTR if the caller
 * is killed; else what &vfio_device_ops.attach_ioas returns.
 */
int vfio_iommufd_compat_attach(struct vfio_device *device,
			       struct iommufd_ctx *ictx)
{
	u32 ioas_id;
	int ret;

	ret = iommufd_vfio_compat_ioas_get_id(ictx, &ioas_id);
	if (ret)
		return ret;
	if (mutex_lock_killable(&device->attach_lock))
		return -EINTR;
	/* No way to tell such a user the id of the hwpt */
	ret = device->ops->attach_ioas(device, &ioas_id);
	mutex_unlock(&device->attach_lock);
	return ret;
}
