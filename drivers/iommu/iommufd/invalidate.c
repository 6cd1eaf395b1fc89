// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidation of the caches of page tables that the user owns, on request of the
 * user: arrays of entries that only the IOMMU driver understands.
 */
#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "trace.h"

/* user ABI: the longest array, in entries */
#define IOMMUFD_INVALIDATE_MAX BIT(19)
/*
 * Entries that the IOMMU driver is given at once. It waits for the hardware, and
 * does not look whether somebody else wants the processor or has killed the caller.
 */
#define IOMMUFD_INVALIDATE_BATCH 512U

static int iommufd_invalidate_batch(struct iommufd_object *obj,
				    struct iommu_user_data_array *batch)
{
	u32 entries = batch->entry_num;
	int rc;

	rc = obj->ops->invalidate(obj, batch);
	/* Some drivers fail before they count */
	if (rc && batch->entry_num >= entries)
		batch->entry_num = 0;
	return rc;
}

/**
 * iommufd_invalidate_entries - carry out an array of invalidations
 * @obj: a nested hwpt or something else whose type has an invalidate operation; in
 *       use
 * @array: the array. Its entry_num becomes the number of entries that have been
 *         carried out, all of them before the one that failed
 *
 * Without an entry the driver is asked all the same, which tells whether it knows
 * the type of the array.
 *
 * Return: 0, -EINVAL or -EOPNOTSUPP if the driver does not know the type or does
 * not like an entry, -EFAULT if an entry is not there, -EINTR if the caller was
 * killed, or another error of the driver.
 */
int iommufd_invalidate_entries(struct iommufd_object *obj,
			       struct iommu_user_data_array *array)
{
	struct iommu_user_data_array batch = *array;
	u32 left = array->entry_num;
	u32 entries;
	int rc;

	array->entry_num = 0;
	for (;;) {
		entries = min(left, IOMMUFD_INVALIDATE_BATCH);
		batch.entry_num = entries;
		rc = iommufd_invalidate_batch(obj, &batch);
		array->entry_num += batch.entry_num;
		left -= entries;
		if (rc || !left)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		batch.uptr += (size_t)entries * batch.entry_len;
	}
}

static int iommufd_invalidate_check(struct iommufd_ctx *ictx,
				    const struct iommufd_object *obj,
				    const struct iommu_user_data_array *array)
{
	if (!obj->ops->invalidate)
		return refuse(&ictx->refusal, -EINVAL,
			      "invalidate: %s %u is not a nested page table",
			      obj->ops->name, obj->id);
	if (!array->entry_num)
		return 0;
	if (!array->uptr || !array->entry_len ||
	    array->entry_len > PAGE_SIZE ||
	    array->entry_num > IOMMUFD_INVALIDATE_MAX)
		return refuse(&ictx->refusal, -EINVAL,
			      "invalidate: at most %lu entries of 1 to %lu bytes each",
			      IOMMUFD_INVALIDATE_MAX, PAGE_SIZE);
	return 0;
}

static int iommufd_invalidate(struct iommufd_ctx *ictx, u32 id,
			      struct iommu_user_data_array *array)
{
	const u32 entries = array->entry_num;
	struct iommufd_object *obj;
	int rc;

	obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj)) {
		array->entry_num = 0;
		return PTR_ERR(obj);
	}
	rc = iommufd_invalidate_check(ictx, obj, array);
	if (rc)
		array->entry_num = 0;
	else
		rc = iommufd_invalidate_entries(obj, array);
	iommufd_object_put(ictx, obj);
	trace_iommufd_invalidate(id, array->type, entries, array->entry_num,
				 rc);
	return rc;
}

int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	struct iommu_user_data_array array = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	int rc = -EOPNOTSUPP;

	if (cmd->__reserved)
		array.entry_num = 0;
	else
		rc = iommufd_invalidate(ucmd->ictx, cmd->hwpt_id, &array);
	/* user ABI: also on failure */
	cmd->entry_num = array.entry_num;
	if (iommufd_ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
