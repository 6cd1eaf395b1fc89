// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that log their own DMA writes: the user's side of vfio_log_ops.
 */
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio.h"

/* The ABI promises that a page full of ranges is accepted */
#define VFIO_LOG_MAX_RANGES \
	(PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

/*
 * The first of the two neighbours with the smallest gap between them, the lower
 * ones if there is a choice; NULL if there are no neighbours.
 */
static struct interval_tree_node *
vfio_find_smallest_gap(struct rb_root_cached *root)
{
	struct interval_tree_node *prev, *next, *best = NULL;
	unsigned long best_gap = ULONG_MAX;

	prev = interval_tree_iter_first(root, 0, ULONG_MAX);
	while (prev) {
		next = interval_tree_iter_next(prev, 0, ULONG_MAX);
		if (next && (!best || next->start - prev->last < best_gap)) {
			best = prev;
			best_gap = next->start - prev->last;
		}
		prev = next;
	}
	return best;
}

/**
 * vfio_combine_iova_ranges - make do with fewer ranges
 * @root: interval tree of IOVA ranges that do not overlap
 * @cur_nodes: number of ranges in @root
 * @req_nodes: number of ranges that the device can track, at least 1
 *
 * For a driver's log_start(). Merges neighbours until @req_nodes ranges are
 * left, beginning with the smallest gap, so that as little as possible is
 * tracked for nothing. Ranges that merge into another leave the tree; their
 * memory stays the caller's.
 */
void vfio_combine_iova_ranges(struct rb_root_cached *root, u32 cur_nodes,
			      u32 req_nodes)
{
	struct interval_tree_node *low, *high;

	if (WARN_ON(!req_nodes))
		req_nodes = 1;

	for (; cur_nodes > req_nodes; cur_nodes--) {
		low = vfio_find_smallest_gap(root);
		if (WARN_ON(!low))
			return;
		high = interval_tree_iter_next(low, 0, ULONG_MAX);

		/* The tree does not survive a change of a member's end */
		interval_tree_remove(high, root);
		interval_tree_remove(low, root);
		low->last = high->last;
		interval_tree_insert(low, root);
	}
}
EXPORT_SYMBOL_GPL(vfio_combine_iova_ranges);

static int vfio_log_get_range(struct interval_tree_node *node,
			      struct vfio_device_feature_dma_logging_range __user *urange,
			      u64 page_size)
{
	struct vfio_device_feature_dma_logging_range range;
	u64 end;

	if (copy_from_user(&range, urange, sizeof(range)))
		return -EFAULT;
	if (!range.length || !IS_ALIGNED(range.iova, page_size) ||
	    !IS_ALIGNED(range.length, page_size))
		return -EINVAL;
	if (check_add_overflow(range.iova, range.length, &end) ||
	    end > ULONG_MAX)
		return -EOVERFLOW;

	node->start = range.iova;
	node->last = end - 1;
	return 0;
}

/* The tree's nodes are the array's */
static int vfio_log_get_ranges(struct rb_root_cached *root,
			       struct interval_tree_node *nodes, u32 nnodes,
			       u64 uranges, u64 page_size)
{
	struct vfio_device_feature_dma_logging_range __user *urange =
		u64_to_user_ptr(uranges);
	u32 i;
	int ret;

	for (i = 0; i < nnodes; i++) {
		ret = vfio_log_get_range(&nodes[i], &urange[i], page_size);
		if (ret)
			return ret;
		if (interval_tree_iter_first(root, nodes[i].start,
					     nodes[i].last))
			return -EINVAL;
		interval_tree_insert(&nodes[i], root);
	}
	return 0;
}

/**
 * vfio_feature_dma_logging_start - VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @device: a device that is open
 * @flags: of the request
 * @arg: struct vfio_device_feature_dma_logging_control
 * @argsz: bytes at @arg
 *
 * Return: 0; -ENOTTY if the device cannot log; -EINVAL for a malformed request or
 * ranges that overlap; -E2BIG for too many ranges; -EOVERFLOW for a range beyond
 * the address space; else what &vfio_log_ops.log_start returns.
 */
int vfio_feature_dma_logging_start(struct vfio_device *device, u32 flags,
				   void __user *arg, size_t argsz)
{
	const size_t minsz =
		offsetofend(struct vfio_device_feature_dma_logging_control,
			    ranges);
	struct vfio_device_feature_dma_logging_control control;
	struct interval_tree_node *nodes __free(kfree) = NULL;
	struct rb_root_cached root = RB_ROOT_CACHED;
	int ret;

	if (!device->log_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
				 sizeof(control));
	if (ret != 1)
		return ret;
	if (copy_from_user(&control, arg, minsz))
		return -EFAULT;

	if (!control.num_ranges || !is_power_of_2(control.page_size))
		return -EINVAL;
	if (control.num_ranges > VFIO_LOG_MAX_RANGES)
		return -E2BIG;

	nodes = kcalloc(control.num_ranges, sizeof(*nodes), GFP_KERNEL);
	if (!nodes)
		return -ENOMEM;
	ret = vfio_log_get_ranges(&root, nodes, control.num_ranges,
				  control.ranges, control.page_size);
	if (ret)
		return ret;

	ret = device->log_ops->log_start(device, &root, control.num_ranges,
					 &control.page_size);
	if (ret)
		return ret;

	if (copy_to_user(arg, &control, sizeof(control))) {
		device->log_ops->log_stop(device);
		return -EFAULT;
	}
	return 0;
}

/**
 * vfio_feature_dma_logging_stop - VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
 * @device: a device that is open
 * @flags: of the request
 * @arg: nothing
 * @argsz: bytes at @arg
 *
 * Return: 0; -ENOTTY if the device cannot log; -EINVAL for a malformed request;
 * else what &vfio_log_ops.log_stop returns.
 */
int vfio_feature_dma_logging_stop(struct vfio_device *device, u32 flags,
				  void __user *arg, size_t argsz)
{
	int ret;

	if (!device->log_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);
	if (ret != 1)
		return ret;
	return device->log_ops->log_stop(device);
}

static int vfio_log_read_and_clear(struct iova_bitmap *bitmap,
				   unsigned long iova, size_t length,
				   void *opaque)
{
	struct vfio_device *device = opaque;

	return device->log_ops->log_read_and_clear(device, iova, length,
						   bitmap);
}

/**
 * vfio_feature_dma_logging_report - VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @device: a device that is open
 * @flags: of the request
 * @arg: struct vfio_device_feature_dma_logging_report
 * @argsz: bytes at @arg
 *
 * Return: 0; -ENOTTY if the device cannot log; -EINVAL for a malformed request;
 * -EOVERFLOW for a range beyond the address space; -EFAULT if the user's bitmap
 * cannot be written; else what &vfio_log_ops.log_read_and_clear returns.
 */
int vfio_feature_dma_logging_report(struct vfio_device *device, u32 flags,
				    void __user *arg, size_t argsz)
{
	const size_t minsz =
		offsetofend(struct vfio_device_feature_dma_logging_report,
			    bitmap);
	struct vfio_device_feature_dma_logging_report report;
	struct iova_bitmap *bitmap;
	u64 end;
	int ret;

	if (!device->log_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET,
				 sizeof(report));
	if (ret != 1)
		return ret;
	if (copy_from_user(&report, arg, minsz))
		return -EFAULT;

	if (!report.length || report.page_size < SZ_4K ||
	    !is_power_of_2(report.page_size))
		return -EINVAL;
	if (check_add_overflow(report.iova, report.length, &end) ||
	    end > ULONG_MAX)
		return -EOVERFLOW;

	bitmap = iova_bitmap_alloc(report.iova, report.length,
				   report.page_size,
				   u64_to_user_ptr(report.bitmap));
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	ret = iova_bitmap_for_each(bitmap, device, vfio_log_read_and_clear);
	iova_bitmap_free(bitmap);
	return ret;
}
