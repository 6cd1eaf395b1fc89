// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory as the target of DMA, see mmio.h.
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "mmio.h"
#include "refusal.h"
#include "translate.h"

/**
 * struct iommufd_mmio - a lent piece of device memory
 * @kref: one of the driver, one per pages object
 * @phys: where it is; page-aligned, constant
 * @length: bytes; constant
 * @lock: protects all that follows. A leaf but for the locks of the IOMMU
 *        driver: taken inside iopt_pages.mutex, and inside whatever the
 *        lending driver holds while it revokes
 * @revoked: nothing may translate to it
 * @nr_maps: number of @maps
 * @maps: struct mmio_map by domain, then IOVA
 */
struct iommufd_mmio {
	struct kref kref;
	phys_addr_t phys;
	size_t length;

	struct mutex lock; /* See above */
	bool revoked;
	unsigned int nr_maps;
	struct rb_root maps;
};

/**
 * struct mmio_map - one place where it is mapped
 * @node: link in iommufd_mmio.maps
 * @item: in which domain; outlives the record
 * @iova: first IOVA
 * @offset: first byte, from the start of the memory
 * @length: bytes
 * @page: bytes of the largest translation to make
 * @prot: IOMMU_READ and so on
 * @present: the translation exists
 */
struct mmio_map {
	struct rb_node node;
	struct iopt_domain *item;
	unsigned long iova;
	u64 offset;
	size_t length;
	size_t page;
	int prot;
	bool present;
};

static DECLARE_RWSEM(lenders_rwsem);
/* struct iommufd_mmio_lender list; under lenders_rwsem */
static LIST_HEAD(lenders);

/**
 * iommufd_mmio_register_lender - offer device memory for peer-to-peer DMA
 * @lender: how to find the memory; stays until it is unregistered
 */
void iommufd_mmio_register_lender(struct iommufd_mmio_lender *lender)
{
	guard(rwsem_write)(&lenders_rwsem);
	list_add_tail(&lender->entry, &lenders);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_register_lender, "IOMMUFD");

/**
 * iommufd_mmio_unregister_lender - undo iommufd_mmio_register_lender()
 * @lender: not called any more when this returns
 */
void iommufd_mmio_unregister_lender(struct iommufd_mmio_lender *lender)
{
	guard(rwsem_write)(&lenders_rwsem);
	list_del(&lender->entry);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_unregister_lender, "IOMMUFD");

/**
 * iommufd_mmio_create - describe device memory that can be lent
 * @phys: where it is; page-aligned
 * @length: bytes; a multiple of PAGE_SIZE
 *
 * Return: the memory, which may be mapped from now on, for
 * iommufd_mmio_destroy(); or NULL if memory is exhausted.
 */
struct iommufd_mmio *iommufd_mmio_create(phys_addr_t phys, size_t length)
{
	struct iommufd_mmio *mmio;

	mmio = kzalloc(sizeof(*mmio), GFP_KERNEL_ACCOUNT);
	if (!mmio)
		return NULL;
	kref_init(&mmio->kref);
	mutex_init(&mmio->lock);
	mmio->maps = RB_ROOT;
	mmio->phys = phys;
	mmio->length = length;
	return mmio;
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_create, "IOMMUFD");

static void iommufd_mmio_release(struct kref *kref)
{
	struct iommufd_mmio *mmio =
		container_of(kref, struct iommufd_mmio, kref);

	WARN_ON(!RB_EMPTY_ROOT(&mmio->maps));
	mutex_destroy(&mmio->lock);
	kfree(mmio);
}

/**
 * iommufd_mmio_get - take another reference
 * @mmio: the memory; a lender does this for each one that it hands out
 */
void iommufd_mmio_get(struct iommufd_mmio *mmio)
{
	kref_get(&mmio->kref);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_get, "IOMMUFD");

/**
 * iommufd_mmio_put - give a reference back
 * @mmio: the memory
 */
void iommufd_mmio_put(struct iommufd_mmio *mmio)
{
	kref_put(&mmio->kref, iommufd_mmio_release);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_put, "IOMMUFD");

/**
 * iommufd_mmio_phys - where device memory is
 * @mmio: the memory
 *
 * Return: its physical address.
 */
phys_addr_t iommufd_mmio_phys(const struct iommufd_mmio *mmio)
{
	return mmio->phys;
}

/**
 * iommufd_mmio_is_lent - may anything translate to device memory now?
 * @mmio: the memory
 *
 * Return: false if the device has taken it back.
 */
bool iommufd_mmio_is_lent(struct iommufd_mmio *mmio)
{
	guard(mutex)(&mmio->lock);
	return !mmio->revoked;
}

/* The next one of all, or the first after NULL */
static struct mmio_map *iommufd_mmio_map_next(struct iommufd_mmio *mmio,
					      struct mmio_map *map)
{
	return rb_entry_safe(map ? rb_next(&map->node) : rb_first(&mmio->maps),
			     struct mmio_map, node);
}

static bool iommufd_mmio_map_less(struct rb_node *a, const struct rb_node *b)
{
	const struct mmio_map *map = rb_entry(a, struct mmio_map, node);
	const struct mmio_map *other = rb_entry(b, struct mmio_map, node);

	if (map->item != other->item)
		return map->item < other->item;
	return map->iova < other->iova;
}

static struct mmio_map *iommufd_mmio_map_find(struct iommufd_mmio *mmio,
					      struct iopt_domain *item,
					      unsigned long iova)
{
	struct rb_node *node = mmio->maps.rb_node;

	while (node) {
		struct mmio_map *map = rb_entry(node, struct mmio_map, node);

		if (map->item == item && map->iova == iova)
			return map;
		if (item < map->item || (item == map->item && iova < map->iova))
			node = node->rb_left;
		else
			node = node->rb_right;
	}
	return NULL;
}

static void iommufd_mmio_map_remove(struct mmio_map *map)
{
	if (!map->present)
		return;
	iopt_untranslate_sync(map->item, map->iova, map->length);
	map->present = false;
}

static int iommufd_mmio_map_install(struct iommufd_mmio *mmio,
				    struct mmio_map *map)
{
	int rc;

	rc = iopt_translate_and_sync(map->item, map->iova,
				     mmio->phys + map->offset, map->length,
				     map->page, map->prot);
	if (!rc)
		map->present = true;
	return rc;
}

/**
 * iommufd_mmio_revoke - take device memory back
 * @mmio: the memory
 *
 * When this returns nothing translates to the memory, and nothing will until
 * iommufd_mmio_restore(). Its IOVA stay taken. Cannot fail. The lender holds
 * locks that others need, so that the places to visit are limited, and what
 * follows one another in a domain is flushed together.
 */
void iommufd_mmio_revoke(struct iommufd_mmio *mmio)
{
	struct iopt_gather gather = {};
	struct mmio_map *map = NULL;

	guard(mutex)(&mmio->lock);
	mmio->revoked = true;
	while ((map = iommufd_mmio_map_next(mmio, map))) {
		if (!map->present)
			continue;
		if (gather.item != map->item) {
			if (gather.item)
				iopt_gather_flush(&gather);
			iopt_gather_init(&gather, map->item);
		}
		iopt_untranslate(&gather, map->iova, map->length);
		map->present = false;
		cond_resched();
	}
	if (gather.item)
		iopt_gather_flush(&gather);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_revoke, "IOMMUFD");

/**
 * iommufd_mmio_restore - lend device memory again
 * @mmio: the memory
 *
 * Maps it wherever it was mapped. Where that fails, for want of memory, DMA
 * keeps being blocked until userspace maps it again.
 */
void iommufd_mmio_restore(struct iommufd_mmio *mmio)
{
	struct mmio_map *map = NULL;

	guard(mutex)(&mmio->lock);
	mmio->revoked = false;
	while ((map = iommufd_mmio_map_next(mmio, map))) {
		if (!map->present)
			iommufd_mmio_map_install(mmio, map);
		cond_resched();
	}
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_restore, "IOMMUFD");

/**
 * iommufd_mmio_destroy - end the lending of device memory for good
 * @mmio: revoked, and freed when the last mapping of it is gone
 */
void iommufd_mmio_destroy(struct iommufd_mmio *mmio)
{
	iommufd_mmio_revoke(mmio);
	iommufd_mmio_put(mmio);
}
EXPORT_SYMBOL_NS_GPL(iommufd_mmio_destroy, "IOMMUFD");

/* Whether [offset, offset + length) lies in the memory that a lender gave */
static struct iommufd_mmio *iommufd_mmio_check_range(struct iommufd_mmio *mmio,
						     u64 offset, u64 length)
{
	u64 end;

	if (IS_ERR_OR_NULL(mmio))
		return mmio;
	if (!length || check_add_overflow(offset, length, &end) ||
	    end > mmio->length) {
		iommufd_mmio_put(mmio);
		return ERR_PTR(-EINVAL);
	}
	return mmio;
}

/*
 * Other devices get no more access than the process has: what it may mprotect()
 * the mapping to does not count, as it does not where memory is pinned.
 */
static int iommufd_mmio_check_vma_prot(const struct vm_area_struct *vma,
				       int prot, struct refusal *refusal)
{
	if ((prot & IOMMU_WRITE) && !(vma->vm_flags & VM_WRITE))
		return refuse(refusal, -EFAULT,
			      "map: the device memory at 0x%lx-0x%lx is mapped without PROT_WRITE",
			      vma->vm_start, vma->vm_end - 1);
	if ((prot & IOMMU_READ) && !(vma->vm_flags & VM_READ))
		return refuse(refusal, -EFAULT,
			      "map: the device memory at 0x%lx-0x%lx is mapped without PROT_READ",
			      vma->vm_start, vma->vm_end - 1);
	return 0;
}

/**
 * iommufd_mmio_get_user - find the device memory behind a user address
 * @uptr: address in the current process
 * @length: bytes, not 0
 * @prot: how it will be accessed: IOMMU_READ and so on
 * @offset: receives the offset of @uptr in the memory
 * @refusal: where to say why access is refused, may be NULL
 *
 * Return: the memory with a reference, NULL if all of the range is not lent
 * device memory, or an ERR_PTR: -EFAULT if the process itself may not do that
 * by its mapping, -EINTR if the caller was killed, or that of the lender.
 */
struct iommufd_mmio *iommufd_mmio_get_user(unsigned long uptr,
					   unsigned long length, int prot,
					   u64 *offset, struct refusal *refusal)
{
	struct iommufd_mmio_lender *lender;
	struct iommufd_mmio *mmio = NULL;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int rc;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);
	vma = vma_lookup(mm, uptr);
	if (!vma || !(vma->vm_flags & VM_PFNMAP) ||
	    length > vma->vm_end - uptr)
		goto out_unlock;

	down_read(&lenders_rwsem);
	list_for_each_entry(lender, &lenders, entry) {
		if (lender->get_vma)
			mmio = lender->get_vma(vma, uptr, length, offset);
		if (mmio)
			break;
	}
	up_read(&lenders_rwsem);
	if (IS_ERR_OR_NULL(mmio))
		goto out_unlock;
	rc = iommufd_mmio_check_vma_prot(vma, prot, refusal);
	if (rc) {
		iommufd_mmio_put(mmio);
		mmio = ERR_PTR(rc);
	}
out_unlock:
	mmap_read_unlock(mm);
	return iommufd_mmio_check_range(mmio, *offset, length);
}

/* As for a memfd: reading it is the least that the file was opened for */
static int iommufd_mmio_check_file_prot(const struct file *file, int prot,
					struct refusal *refusal)
{
	if (!(file->f_mode & FMODE_READ))
		return refuse(refusal, -EACCES,
			      "map: the dma-buf is not open for reading");
	if ((prot & IOMMU_WRITE) && !(file->f_mode & FMODE_WRITE))
		return refuse(refusal, -EACCES,
			      "map: the dma-buf is not open for writing");
	return 0;
}

/**
 * iommufd_mmio_get_file - find the device memory behind a file
 * @file: any file, perhaps a dma-buf of a lender
 * @start: byte offset in the file
 * @length: bytes, not 0; receives how many of them follow in this memory
 * @prot: how it will be accessed: IOMMU_READ and so on
 * @offset: receives the offset of @start in the memory
 * @refusal: where to say why access is refused, may be NULL
 *
 * Return: the memory with a reference, NULL if no lender knows the file, or an
 * ERR_PTR: -EACCES if the file was not opened for that, or that of the lender.
 */
struct iommufd_mmio *iommufd_mmio_get_file(struct file *file, u64 start,
					   u64 *length, int prot, u64 *offset,
					   struct refusal *refusal)
{
	struct iommufd_mmio_lender *lender;
	struct iommufd_mmio *mmio = NULL;
	int rc;

	scoped_guard(rwsem_read, &lenders_rwsem) {
		list_for_each_entry(lender, &lenders, entry) {
			if (lender->get_file)
				mmio = lender->get_file(file, start, length,
							offset);
			if (mmio)
				break;
		}
	}
	if (IS_ERR_OR_NULL(mmio))
		return mmio;
	rc = iommufd_mmio_check_file_prot(file, prot, refusal);
	if (rc) {
		iommufd_mmio_put(mmio);
		return ERR_PTR(rc);
	}
	return iommufd_mmio_check_range(mmio, *offset, *length);
}

/**
 * iommufd_mmio_map - map device memory into a domain
 * @mmio: the memory
 * @item: where to
 * @iova: first IOVA; nothing is mapped there
 * @offset: first byte of the memory
 * @length: bytes
 * @prot: IOMMU_READ and so on
 * @small_pages: make no translation larger than PAGE_SIZE
 *
 * If the memory is revoked the mapping comes into being when it is restored.
 *
 * Return: 0, -ENOMEM, -ENOSPC if it is mapped in %IOMMUFD_MMIO_MAPS_MAX places, or
 * the error of the IOMMU driver.
 */
int iommufd_mmio_map(struct iommufd_mmio *mmio, struct iopt_domain *item,
		     unsigned long iova, u64 offset, size_t length, int prot,
		     bool small_pages)
{
	struct mmio_map *map;
	int rc = 0;

	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->item = item;
	map->iova = iova;
	map->offset = offset;
	map->length = length;
	map->page = small_pages ? PAGE_SIZE : SZ_1G;
	/* Device memory is not cached, and some page tables note that */
	map->prot = (prot & ~IOMMU_CACHE) | IOMMU_MMIO;

	guard(mutex)(&mmio->lock);
	if (mmio->nr_maps >= IOMMUFD_MMIO_MAPS_MAX)
		rc = -ENOSPC;
	else if (!mmio->revoked)
		rc = iommufd_mmio_map_install(mmio, map);
	if (rc) {
		kfree(map);
		return rc;
	}
	rb_add(&map->node, &mmio->maps, iommufd_mmio_map_less);
	mmio->nr_maps++;
	return 0;
}

/**
 * iommufd_mmio_unmap - undo iommufd_mmio_map()
 * @mmio: the memory
 * @item: as it was mapped
 * @iova: as it was mapped
 *
 * The IOTLB is flushed when this returns.
 */
void iommufd_mmio_unmap(struct iommufd_mmio *mmio, struct iopt_domain *item,
			unsigned long iova)
{
	struct mmio_map *map;

	guard(mutex)(&mmio->lock);
	map = iommufd_mmio_map_find(mmio, item, iova);
	if (WARN_ON(!map))
		return;
	iommufd_mmio_map_remove(map);
	rb_erase(&map->node, &mmio->maps);
	mmio->nr_maps--;
	kfree(map);
}
