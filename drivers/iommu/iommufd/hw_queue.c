// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues in guest memory that hardware works on by itself.
 *
 * The hardware knows the memory by its physical address, and nobody translates
 * that for it. So it is pinned, and stays mapped, as long as the queue exists.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "hw_queue.h"
#include "iommufd_private.h"
#include "trace.h"
#include "viommu.h"

static struct iommufd_hw_queue *to_hw_queue(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hw_queue, obj);
}

static void iommufd_hw_queue_unpin(struct iommufd_hw_queue *hw_queue)
{
	iommufd_access_unpin_pages(hw_queue->access, hw_queue->base_addr,
				   hw_queue->length);
	iommufd_access_destroy_internal(hw_queue->access);
	hw_queue->access = NULL;
}

static void iommufd_hw_queue_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_queue *hw_queue = to_hw_queue(obj);

	if (hw_queue->destroy)
		hw_queue->destroy(hw_queue);
	if (hw_queue->access)
		iommufd_hw_queue_unpin(hw_queue);
	iommufd_object_release(&hw_queue->viommu->obj);
}

static void iommufd_hw_queue_show(struct iommufd_object *obj,
				  struct seq_file *m)
{
	struct iommufd_hw_queue *hw_queue = to_hw_queue(obj);

	seq_printf(m, " viommu=%u type=%u iova=0x%llx length=0x%zx",
		   hw_queue->viommu->obj.id, hw_queue->type,
		   hw_queue->base_addr, hw_queue->length);
}

static const char *iommufd_hw_queue_busy(struct iommufd_object *obj)
{
	return "a queue that was made later needs it";
}

static const struct iommufd_object_ops iommufd_hw_queue_object_ops = {
	.type = IOMMUFD_OBJ_HW_QUEUE,
	.name = "hw_queue",
	.destroy = iommufd_hw_queue_destroy,
	.busy = iommufd_hw_queue_busy,
	.show = iommufd_hw_queue_show,
};

/*
 * The physical address of @iova, whose pages and those that follow are in
 * @pages; or PHYS_ADDR_MAX if they do not lie one behind the other.
 */
static phys_addr_t iommufd_hw_queue_phys(struct page **pages,
					 unsigned long npages,
					 unsigned long iova)
{
	unsigned long i;

	for (i = 1; i != npages; i++) {
		if (page_to_pfn(pages[i]) != page_to_pfn(pages[0]) + i)
			return PHYS_ADDR_MAX;
		cond_resched();
	}
	return page_to_phys(pages[0]) + offset_in_page(iova);
}

/*
 * Pin the memory of a queue and find out where it is. Return 0; -ENOENT if it is
 * not mapped, -EFAULT if it is not contiguous, -ENOMEM, or another error of
 * iommufd_access_pin_pages().
 */
static int iommufd_hw_queue_pin(struct iommufd_hw_queue *hw_queue,
				phys_addr_t *phys)
{
	struct iommufd_ioas *ioas = hw_queue->viommu->hwpt->ioas;
	struct iommufd_ctx *ictx = hw_queue->viommu->ictx;
	unsigned long iova = hw_queue->base_addr;
	unsigned long npages = (((iova + hw_queue->length - 1) >> PAGE_SHIFT) -
				(iova >> PAGE_SHIFT)) + 1;
	struct page **pages;
	int rc;

	/* As many as the user says; there is no memory for too many */
	pages = kvcalloc(npages, sizeof(*pages),
			 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pages)
		return -ENOMEM;
	hw_queue->access = iommufd_access_create_internal(ictx, ioas);
	if (IS_ERR(hw_queue->access)) {
		rc = PTR_ERR(hw_queue->access);
		hw_queue->access = NULL;
		goto out_free;
	}
	rc = iommufd_access_pin_pages(hw_queue->access, iova, hw_queue->length,
				      pages, IOMMUFD_ACCESS_RW_READ);
	if (rc) {
		iommufd_access_destroy_internal(hw_queue->access);
		hw_queue->access = NULL;
		goto out_free;
	}
	*phys = iommufd_hw_queue_phys(pages, npages, iova);
	if (*phys == PHYS_ADDR_MAX) {
		iommufd_hw_queue_unpin(hw_queue);
		rc = refuse(&ictx->refusal, -EFAULT,
			    "hw_queue: the memory at 0x%lx is not physically contiguous; map one huge page there",
			    iova);
	}
out_free:
	kvfree(pages);
	return rc;
}

static struct iommufd_hw_queue *
iommufd_hw_queue_alloc(struct iommufd_viommu *viommu,
		       const struct iommu_hw_queue_alloc *cmd)
{
	const struct iommufd_viommu_ops *ops = viommu->ops;
	struct iommufd_ctx *ictx = viommu->ictx;
	struct iommufd_hw_queue *hw_queue;
	struct iommufd_object *obj;
	phys_addr_t phys;
	size_t size = 0;
	int rc;

	if (ops->get_hw_queue_size && ops->hw_queue_init_phys)
		size = ops->get_hw_queue_size(viommu, cmd->type);
	if (!size)
		return ERR_PTR(refuse(&ictx->refusal, -EOPNOTSUPP,
				      "hw_queue: viommu %u has no hardware queues of type %u",
				      viommu->obj.id, cmd->type));
	if (WARN_ON_ONCE(size < sizeof(*hw_queue)))
		return ERR_PTR(-EOPNOTSUPP);

	obj = __iommufd_object_alloc(ictx, size, &iommufd_hw_queue_object_ops);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	hw_queue = to_hw_queue(obj);
	rc = iommufd_object_hold(&viommu->obj);
	if (rc) {
		iommufd_object_abort(ictx, obj);
		return ERR_PTR(rc);
	}
	hw_queue->viommu = viommu;
	hw_queue->type = cmd->type;
	hw_queue->base_addr = cmd->nesting_parent_iova;
	hw_queue->length = cmd->length;

	rc = iommufd_hw_queue_pin(hw_queue, &phys);
	if (!rc) {
		rc = ops->hw_queue_init_phys(hw_queue, cmd->index, phys);
		/* A driver that fails leaves nothing to be undone */
		if (rc)
			hw_queue->destroy = NULL;
	}
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, obj);
		return ERR_PTR(rc);
	}
	return hw_queue;
}

int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_queue *hw_queue;
	struct iommufd_viommu *viommu;
	unsigned long iova, length, last;
	u32 id = 0;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (overflows_type(cmd->nesting_parent_iova, iova) ||
	    overflows_type(cmd->length, length))
		return -EOVERFLOW;
	iova = cmd->nesting_parent_iova;
	length = cmd->length;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	hw_queue = iommufd_hw_queue_alloc(viommu, cmd);
	if (IS_ERR(hw_queue)) {
		rc = PTR_ERR(hw_queue);
		goto out_put;
	}
	cmd->out_hw_queue_id = hw_queue->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ucmd->ictx, &hw_queue->obj);
	} else {
		id = hw_queue->obj.id;
		iommufd_object_finalize(ucmd->ictx, &hw_queue->obj);
	}
out_put:
	trace_iommufd_hw_queue_alloc(id, cmd->viommu_id, cmd->type, cmd->index,
				     cmd->nesting_parent_iova, cmd->length, rc);
	iommufd_object_put(ucmd->ictx, &viommu->obj);
	return rc;
}
