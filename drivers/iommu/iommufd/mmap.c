// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap() of the iommufd: device memory that drivers offer for virtual IOMMUs.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>

#include "ctx.h"
#include "mmap.h"
#include "object.h"
#include "refusal.h"

/* A mapping of its memory keeps an object from being destroyed */
static void iommufd_vma_open(struct vm_area_struct *vma)
{
	struct iommufd_object *owner = vma->vm_private_data;

	/* There is one already, which has been copied or split */
	refcount_inc(&owner->users);
}

static void iommufd_vma_close(struct vm_area_struct *vma)
{
	iommufd_object_release(vma->vm_private_data);
}

static const struct vm_operations_struct iommufd_vma_ops = {
	.open = iommufd_vma_open,
	.close = iommufd_vma_close,
};

/*
 * Find what is offered at exactly this place and hold its owner. What drivers
 * offer before the owner is visible, or still offer while it is being destroyed,
 * is not there.
 */
static struct iommufd_object *iommufd_mmap_find(struct iommufd_ctx *ictx,
						unsigned long pgoff,
						unsigned long npages,
						phys_addr_t *phys)
{
	MA_STATE(mas, &ictx->mmaps, pgoff, pgoff);
	struct iommufd_object *obj = ERR_PTR(-ENXIO);
	const struct iommufd_mmap *mmap;

	mtree_lock(&ictx->mmaps);
	mmap = mas_walk(&mas);
	if (mmap && mas.index == pgoff && mmap->npages == npages) {
		obj = iommufd_object_get(ictx, mmap->owner->id,
					 IOMMUFD_OBJ_ANY);
		if (!IS_ERR(obj)) {
			/* Of one that is being freed the id may be another's */
			int rc = obj == mmap->owner ? iommufd_object_hold(obj) :
						      -ENOENT;

			*phys = mmap->phys;
			iommufd_object_put(ictx, obj);
			if (rc)
				obj = ERR_PTR(rc);
		}
	}
	mtree_unlock(&ictx->mmaps);
	return IS_ERR(obj) ? ERR_PTR(-ENXIO) : obj;
}

/**
 * iommufd_fops_mmap - map device memory
 * @filp: the file of a context
 * @vma: the new mapping
 *
 * Return: 0; -EINVAL if it is private, -EPERM if it is executable, -ENXIO if
 * nothing is offered there or not that much, or an error of
 * io_remap_pfn_range().
 */
int iommufd_fops_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct iommufd_ctx *ictx = filp->private_data;
	struct iommufd_object *owner;
	phys_addr_t phys;
	int rc;

	if (!(vma->vm_flags & VM_SHARED))
		return refuse(&ictx->refusal, -EINVAL,
			      "mmap: device memory can be mapped shared only");
	if (vma->vm_flags & VM_EXEC)
		return refuse(&ictx->refusal, -EPERM,
			      "mmap: device memory cannot be executed");

	owner = iommufd_mmap_find(ictx, vma->vm_pgoff, vma_pages(vma), &phys);
	if (IS_ERR(owner))
		return refuse(&ictx->refusal, PTR_ERR(owner),
			      "mmap: no memory of %lu pages is offered at offset 0x%llx",
			      vma_pages(vma),
			      (u64)vma->vm_pgoff << PAGE_SHIFT);

	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP,
		     VM_MAYEXEC);
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_private_data = owner;
	vma->vm_ops = &iommufd_vma_ops;
	rc = io_remap_pfn_range(vma, vma->vm_start, phys >> PAGE_SHIFT,
				vma->vm_end - vma->vm_start, vma->vm_page_prot);
	/* A mapping that fails is not closed */
	if (rc)
		iommufd_object_release(owner);
	return rc;
}
