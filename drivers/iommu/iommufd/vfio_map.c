// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map and unmap as type 1 does.
 */
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_container.h"

/**
 * iommufd_vfio_map_dma - the ioctl VFIO_IOMMU_MAP_DMA
 * @ictx: the container
 * @arg: its argument
 *
 * Return: 0 or a negative errno.
 */
int iommufd_vfio_map_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct iommu_ioas_map cmd = { .flags = IOMMU_IOAS_MAP_FIXED_IOVA };
	struct vfio_iommu_type1_dma_map map;
	struct iommufd_ioas *ioas;
	u64 end, page_size;
	int rc;

	if (copy_from_user(&map, arg, minsz))
		return -EFAULT;
	if (map.argsz < minsz ||
	    (map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) ||
	    !map.flags)
		return -EINVAL;
	ioas = iommufd_vfio_get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = -EINVAL;
	if (!map.size)
		goto out_put;
	rc = iommufd_vfio_smallest_page(&ioas->iopt, &page_size);
	if (rc)
		goto out_put;
	if (!IS_ALIGNED(map.iova | map.vaddr | map.size, page_size)) {
		rc = refuse(&ictx->refusal, -EINVAL,
			    "map: IOVA 0x%llx address 0x%llx size 0x%llx are not multiples of 0x%llx",
			    map.iova, map.vaddr, map.size, page_size);
		goto out_put;
	}
	if (check_add_overflow(map.iova, map.size - 1, &end) ||
	    end > ULONG_MAX ||
	    check_add_overflow(map.vaddr, map.size - 1, &end) ||
	    end > ULONG_MAX) {
		rc = refuse(&ictx->refusal, -EOVERFLOW,
			    "map: IOVA 0x%llx or address 0x%llx and size 0x%llx wrap",
			    map.iova, map.vaddr, map.size);
		goto out_put;
	}
	/* Threads that map at the same time may exceed it by one each */
	if (READ_ONCE(ioas->iopt.areas.nr) >= iommufd_vfio_dma_limit()) {
		rc = refuse(&ictx->refusal, -ENOSPC,
			    "map: the container has %u mappings, the limit of dma_entry_limit",
			    iommufd_vfio_dma_limit());
		goto out_put;
	}

	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		cmd.flags |= IOMMU_IOAS_MAP_READABLE;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	cmd.user_va = map.vaddr;
	cmd.length = map.size;
	cmd.iova = map.iova;
	rc = iommufd_ioas_map_memory(ictx, ioas, &cmd);
	/* The address of no program */
	if (rc == -EOVERFLOW)
		rc = -EFAULT;
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/* Wait for all maps and unmaps that others are in the middle of */
static int iommufd_vfio_wait_for_others(struct io_pagetable *iopt)
{
	if (fatal_signal_pending(current) ||
	    down_write_killable(&iopt->domains_rwsem))
		return -EINTR;
	up_write(&iopt->domains_rwsem);
	return 0;
}

static int iommufd_vfio_split_bounds(struct io_pagetable *iopt,
				     unsigned long iova, unsigned long last)
{
	int rc = iopt_split_at(iopt, iova);

	if (rc || last == ULONG_MAX)
		return rc;
	return iopt_split_at(iopt, last + 1);
}

/*
 * Nothing could be unmapped. Return 0 if there is nothing, -ENOENT if a mapping
 * would be split, or -EBUSY if that is past.
 */
static int iommufd_vfio_why_not_unmapped(struct io_pagetable *iopt,
					 unsigned long iova, unsigned long last)
{
	int rc = iopt_range_splits_area(iopt, iova, last);

	if (rc)
		return rc < 0 ? rc : -ENOENT;
	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	rc = iova_tree_first(&iopt->areas, iova, last) ? -EBUSY : 0;
	up_read(&iopt->iova_rwsem);
	return rc;
}

/*
 * Unmap as type 1 does: nothing there is fine, and others are waited for, but not
 * hardware that works on a queue. What is gone before they are in the way counts,
 * too.
 */
static int iommufd_vfio_unmap_range(struct io_pagetable *iopt,
				    unsigned long iova, unsigned long last,
				    unsigned long *unmapped)
{
	bool splittable = READ_ONCE(iopt->splittable);
	unsigned long step;
	int rc;

	*unmapped = 0;
	do {
		step = 0;
		rc = splittable ? iommufd_vfio_split_bounds(iopt, iova, last) :
				  0;
		if (rc)
			return rc;
		if (!iova && last == ULONG_MAX)
			rc = iopt_unmap_all(iopt, &step);
		else
			rc = iopt_unmap(iopt, iova, last - iova + 1, &step);
		*unmapped += step;
		if (rc == -ENOENT)
			rc = iommufd_vfio_why_not_unmapped(iopt, iova, last);
		/* A mapping that spans a bound is new if those were split */
		if (rc != -EBUSY && !(rc == -ENOENT && splittable))
			return rc;
		rc = iommufd_vfio_wait_for_others(iopt);
		cond_resched();
	} while (!rc);
	return rc;
}

/**
 * iommufd_vfio_unmap_dma - the ioctl VFIO_IOMMU_UNMAP_DMA
 * @ictx: the container
 * @arg: its argument
 *
 * Return: 0 or a negative errno.
 */
int iommufd_vfio_unmap_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					 size);
	const u32 known = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
			  VFIO_DMA_UNMAP_FLAG_ALL;
	struct vfio_iommu_type1_dma_unmap unmap;
	unsigned long unmapped = 0;
	struct vfio_bitmap bitmap;
	struct iommufd_ioas *ioas;
	bool all, report;
	u64 last, page_size;
	int rc;

	if (copy_from_user(&unmap, arg, minsz))
		return -EFAULT;
	if (unmap.argsz < minsz || (unmap.flags & ~known) ||
	    unmap.flags == known)
		return -EINVAL;
	all = unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	report = unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	if (report) {
		if (unmap.argsz < minsz + sizeof(bitmap))
			return -EINVAL;
		if (copy_from_user(&bitmap, arg + minsz, sizeof(bitmap)))
			return -EFAULT;
	}
	ioas = iommufd_vfio_get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = -EINVAL;
	if (all) {
		if (unmap.iova || unmap.size)
			goto out_put;
		last = ULONG_MAX;
	} else {
		if (!unmap.size)
			goto out_put;
		rc = iommufd_vfio_smallest_page(&ioas->iopt, &page_size);
		if (rc)
			goto out_put;
		rc = -EINVAL;
		if (!IS_ALIGNED(unmap.iova | unmap.size, page_size))
			goto out_put;
		rc = -EOVERFLOW;
		if (check_add_overflow(unmap.iova, unmap.size - 1, &last) ||
		    last > ULONG_MAX)
			goto out_put;
	}
	if (report) {
		rc = iommufd_vfio_report_unmap(ioas, &unmap, &bitmap);
		if (rc) {
			if (rc == -ENOENT)
				rc = iommufd_vfio_error(ictx, -ENOENT, -EINVAL);
			goto out_put;
		}
	}
	rc = iopt_errno(iommufd_vfio_unmap_range(&ioas->iopt, unmap.iova, last,
						 &unmapped));
	if (rc) {
		/* The reason has been recorded already */
		if (rc == -ENOENT)
			rc = iommufd_vfio_error(ictx, -ENOENT, -EINVAL);
		goto out_put;
	}
	unmap.size = unmapped;
	if (copy_to_user(arg, &unmap, minsz))
		rc = -EFAULT;
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}
