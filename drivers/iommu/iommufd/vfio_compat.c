// SPDX-License-Identifier: GPL-2.0-only
/*
 * The type 1 container of VFIO, on an IOAS.
 */
#include <linux/capability.h>
#include <linux/export.h>
#include <linux/iommufd.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"

/* As many as a bitmap can have, which older programs keep as an int. */
#define DIRTY_BITMAP_PAGES_MAX ((u64)INT_MAX)
#define DIRTY_BITMAP_BYTES(npages) (ALIGN(npages, 64) / BITS_PER_BYTE)

static unsigned int dma_entry_limit = U16_MAX;
module_param(dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Most mappings that a VFIO container may have, as vfio_iommu_type1.dma_entry_limit. (default: 65535)");

static bool disable_hugepages;
module_param(disable_hugepages, bool, 0644);
MODULE_PARM_DESC(disable_hugepages,
		 "Use no large IOMMU pages in VFIO containers, as vfio_iommu_type1.disable_hugepages. (default: false)");

/* Who decides whether devices may do without an IOMMU, while it is loaded */
static DECLARE_RWSEM(no_iommu_rwsem);
static bool (*no_iommu_allowed)(void);

/**
 * iommufd_vfio_compat_set_no_iommu_policy - who decides about devices without IOMMU
 * @allowed: may they be used at this time? Called with a lock held; NULL for
 *           nobody, after which the previous one is not called any more
 */
void iommufd_vfio_compat_set_no_iommu_policy(bool (*allowed)(void))
{
	guard(rwsem_write)(&no_iommu_rwsem);
	no_iommu_allowed = allowed;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu_policy, IOMMUFD_VFIO);

/**
 * iommufd_vfio_get_ioas - use the IOAS of a container
 * @ictx: the context that serves as a container
 *
 * Return: the IOAS, to be put; or ERR_PTR(-ENODEV) if there is none, which is
 * so before the first group.
 */
struct iommufd_ioas *iommufd_vfio_get_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	xa_lock(&ictx->objects);
	ioas = ictx->vfio_ioas;
	if (!ioas || ioas->obj.dying || !iommufd_object_tryget(&ioas->obj))
		ioas = ERR_PTR(-ENODEV);
	xa_unlock(&ictx->objects);
	return ioas;
}

/**
 * iommufd_vfio_compat_ioas_get_id - which IOAS a VFIO device is to be attached to
 * @ictx: the context that serves as a container
 * @out_ioas_id: receives the id
 *
 * Return: 0, or -ENODEV if the container has no IOAS.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	struct iommufd_ioas *ioas = iommufd_vfio_get_ioas(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*out_ioas_id = ioas->obj.id;
	iommufd_object_put(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, IOMMUFD_VFIO);

/**
 * iommufd_vfio_compat_set_no_iommu - use a context as container without IOMMU
 * @ictx: the context
 *
 * Return: 0, or -EINVAL if it has an IOAS already.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	int rc = 0;

	xa_lock(&ictx->objects);
	if (ictx->vfio_ioas)
		rc = -EINVAL;
	else
		ictx->no_iommu_mode = true;
	xa_unlock(&ictx->objects);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, IOMMUFD_VFIO);

/**
 * iommufd_vfio_compat_ioas_create - make sure that a container has an IOAS
 * @ictx: the context that serves as a container
 *
 * Return: 0, -EINVAL if it serves without an IOMMU, or -ENOMEM.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	int rc = 0;

	ioas = iommufd_ioas_alloc(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	xa_lock(&ictx->objects);
	if (ictx->no_iommu_mode)
		rc = -EINVAL;
	else if (ictx->vfio_ioas && !ictx->vfio_ioas->obj.dying)
		rc = -EEXIST;
	else
		ictx->vfio_ioas = ioas;
	if (!rc)
		ictx->container.owns_ioas = true;
	xa_unlock(&ictx->objects);

	if (!rc) {
		iommufd_object_finalize(ictx, &ioas->obj);
		return 0;
	}
	iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	/* Somebody made one before; theirs is as good. */
	return rc == -EEXIST ? 0 : rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, IOMMUFD_VFIO);

static int set_compat_ioas(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas)
{
	int rc = 0;

	/* A destroy clears the pointer under the lock, but only once. */
	xa_lock(&ictx->objects);
	if (refcount_read(&ioas->obj.users)) {
		ictx->container.owns_ioas &= ictx->vfio_ioas == ioas;
		ictx->vfio_ioas = ioas;
	} else {
		rc = -ENOENT;
	}
	xa_unlock(&ictx->objects);
	return rc;
}

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		ioas = iommufd_vfio_get_ioas(ucmd->ictx);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		cmd->ioas_id = ioas->obj.id;
		iommufd_object_put(ucmd->ictx, &ioas->obj);
		return iommufd_ucmd_respond(ucmd, sizeof(*cmd));

	case IOMMU_VFIO_IOAS_SET:
		ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		rc = set_compat_ioas(ucmd->ictx, ioas);
		iommufd_object_put(ucmd->ictx, &ioas->obj);
		return rc;

	case IOMMU_VFIO_IOAS_CLEAR:
		xa_lock(&ucmd->ictx->objects);
		ucmd->ictx->vfio_ioas = NULL;
		xa_unlock(&ucmd->ictx->objects);
		return 0;

	default:
		return -EOPNOTSUPP;
	}
}

/* What type 1 calls cache coherency: every table, if there is any, forces it */
static bool all_coherent(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_vfio_get_ioas(ictx);
	struct iommufd_hwpt *hwpt;
	bool coherent;

	if (IS_ERR(ioas))
		return false;
	scoped_guard(mutex, &ioas->mutex) {
		coherent = true;
		list_for_each_entry(hwpt, &ioas->hwpts, entry)
			coherent &= hwpt->enforce_coherency;
	}
	iommufd_object_put(ictx, &ioas->obj);
	return coherent;
}

/* Could this process have a group without IOMMU in the container? */
static bool may_do_without_iommu(struct iommufd_ctx *ictx)
{
	scoped_guard(rwsem_read, &no_iommu_rwsem)
		if (!no_iommu_allowed || !no_iommu_allowed())
			return false;
	if (!READ_ONCE(ictx->no_iommu_mode) && READ_ONCE(ictx->vfio_ioas))
		return false;
	return capable(CAP_SYS_RAWIO);
}

static int check_extension(struct iommufd_ctx *ictx, unsigned long extension)
{
	bool no_iommu = READ_ONCE(ictx->no_iommu_mode);

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !no_iommu;
	case VFIO_DMA_CC_IOMMU:
		return all_coherent(ictx);
	case VFIO_NOIOMMU_IOMMU:
		return may_do_without_iommu(ictx);
	default:
		return 0;
	}
}

/* What is refused with an error that type 1 has another one for */
static int type1_error(const struct iommufd_ctx *ictx, int error, int type1)
{
	return ictx->type1 ? type1 : error;
}

static int no_group(struct iommufd_ctx *ictx)
{
	return refuse(&ictx->refusal, type1_error(ictx, -ENODEV, -EINVAL),
		      "container: no group has been added to it");
}

static int set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct iommufd_container *container = &ictx->container;
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (READ_ONCE(ictx->no_iommu_mode)) {
		if (type != VFIO_NOIOMMU_IOMMU)
			return type1_error(ictx, -EINVAL, -ENODEV);
		return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
	}
	ioas = iommufd_vfio_get_ioas(ictx);
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) {
		rc = -EINVAL;
		if (!IS_ERR(ioas)) {
			if (!READ_ONCE(container->type))
				rc = type1_error(ictx, -EINVAL, -ENODEV);
			iommufd_object_put(ictx, &ioas->obj);
		}
		return refuse(&ictx->refusal, rc,
			      "container: there is no IOMMU of type %lu, only type 1 (%u) and type 1v2 (%u)",
			      type, VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU);
	}
	if (IS_ERR(ioas))
		return no_group(ictx);

	if (mutex_lock_killable(&container->lock)) {
		rc = -EINTR;
		goto out_put;
	}
	if (container->type && !list_empty(&container->groups))
		rc = -EINVAL;
	if (!rc && READ_ONCE(disable_hugepages))
		rc = iopt_set_small_pages(&ioas->iopt, true);
	if (!rc) {
		/* First, because tables are made according to it. */
		iopt_set_cuttable(&ioas->iopt, type == VFIO_TYPE1_IOMMU);
		rc = iommufd_vfio_attach_groups(ictx);
		if (rc)
			iopt_set_cuttable(&ioas->iopt, false);
		else
			WRITE_ONCE(container->type, type);
	}
	mutex_unlock(&container->lock);
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/* What can be mapped is known as soon as the container is set up. */
static struct iommufd_ioas *get_set_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	if (!READ_ONCE(ictx->container.type) &&
	    !list_empty_careful(&ictx->container.groups))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "container: VFIO_SET_IOMMU has not been called"));
	ioas = iommufd_vfio_get_ioas(ictx);
	return IS_ERR(ioas) ? ERR_PTR(no_group(ictx)) : ioas;
}

/*
 * What page sizes all tables have. Type 1 maps no less than pages of the CPU,
 * even where the IOMMU could, and knows no limit without a table.
 */
static u64 common_page_sizes(struct io_pagetable *iopt)
{
	struct iopt_domain *item;
	u64 sizes = ULONG_MAX;

	guard(rwsem_read)(&iopt->domains_rwsem);
	list_for_each_entry(item, &iopt->domains, entry)
		sizes &= item->domain->pgsize_bitmap;
	if (!sizes || (sizes & ~PAGE_MASK))
		sizes = (sizes & PAGE_MASK) | PAGE_SIZE;
	return sizes;
}

static u64 smallest_page(struct io_pagetable *iopt)
{
	return 1ULL << __ffs64(common_page_sizes(iopt));
}

/**
 * struct info_caps - the capabilities that follow struct vfio_iommu_type1_info
 * @buf: the info and the capabilities
 * @size: bytes that are used
 * @last: the capability that was added last
 */
struct info_caps {
	void *buf;
	size_t size;
	struct vfio_info_cap_header *last;
};

static void *add_cap(struct info_caps *caps, size_t size, u16 id)
{
	struct vfio_info_cap_header *header = caps->buf + caps->size;

	header->id = id;
	header->version = 1;
	if (caps->last)
		caps->last->next = caps->size;
	caps->last = header;
	caps->size += size;
	return header;
}

static unsigned int count_usable(struct io_pagetable *iopt)
{
	unsigned long from = 0, start, last;
	unsigned int n = 0;

	while (iopt_next_usable(iopt, from, &start, &last)) {
		n++;
		if (check_add_overflow(last, 1UL, &from))
			break;
	}
	return n;
}

static void add_iova_ranges(struct info_caps *caps, struct io_pagetable *iopt,
			    unsigned int nr)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	unsigned long from = 0, start, last;

	cap = add_cap(caps, struct_size(cap, iova_ranges, nr),
		      VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	while (iopt_next_usable(iopt, from, &start, &last)) {
		cap->iova_ranges[cap->nr_iovas].start = start;
		cap->iova_ranges[cap->nr_iovas++].end = last;
		if (check_add_overflow(last, 1UL, &from))
			break;
	}
}

/*
 * The order is such that the last one has no padding behind it: its size is
 * not a multiple of 8, and some take the distance to the end for its size.
 */
static int build_caps(struct iommufd_ctx *ictx, struct io_pagetable *iopt,
		      u64 page_sizes, struct info_caps *caps)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail;
	unsigned long limit = READ_ONCE(dma_entry_limit);
	unsigned int nr_ranges;

	caps->size = sizeof(struct vfio_iommu_type1_info);
	caps->last = NULL;

	guard(rwsem_read)(&iopt->iova_rwsem);
	nr_ranges = count_usable(iopt);
	caps->buf = kvzalloc(caps->size + sizeof(*migration) +
			     struct_size(ranges, iova_ranges, nr_ranges) +
			     sizeof(*avail), GFP_KERNEL_ACCOUNT);
	if (!caps->buf)
		return -ENOMEM;

	/*
	 * One who chose the IOAS knows IOMMUFD, and asks the page tables what
	 * is dirty.
	 */
	if (READ_ONCE(ictx->container.owns_ioas)) {
		migration = add_cap(caps, sizeof(*migration),
				    VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
		migration->pgsize_bitmap = 1ULL << __ffs64(page_sizes);
		migration->max_dirty_bitmap_size =
			DIRTY_BITMAP_BYTES(DIRTY_BITMAP_PAGES_MAX);
	}
	if (nr_ranges)
		add_iova_ranges(caps, iopt, nr_ranges);
	avail = add_cap(caps, sizeof(*avail), VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	avail->avail = limit - min(limit, iopt->areas.nr);
	return 0;
}

static int get_info(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_info,
					 iova_pgsizes);
	struct vfio_iommu_type1_info *info;
	struct info_caps caps = {};
	struct iommufd_ioas *ioas;
	u64 page_sizes;
	u32 argsz;
	size_t len;
	int rc;

	if (get_user(argsz, (u32 __user *)arg))
		return -EFAULT;
	if (argsz < minsz)
		return -EINVAL;
	ioas = get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	page_sizes = common_page_sizes(&ioas->iopt);
	rc = build_caps(ictx, &ioas->iopt, page_sizes, &caps);
	iommufd_object_put(ictx, &ioas->obj);
	if (rc)
		return rc;

	info = caps.buf;
	info->argsz = argsz;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = page_sizes;
	if (argsz >= caps.size) {
		info->cap_offset = sizeof(*info);
		len = caps.size;
	} else {
		info->argsz = caps.size;
		len = min_t(size_t, argsz, sizeof(*info));
	}
	if (copy_to_user(arg, info, len))
		rc = -EFAULT;
	kvfree(caps.buf);
	return rc;
}

static int map_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct iommu_ioas_map cmd = { .flags = IOMMU_IOAS_MAP_FIXED_IOVA };
	struct vfio_iommu_type1_dma_map map;
	struct iommufd_ioas *ioas;
	u64 end;
	int rc;

	if (copy_from_user(&map, arg, minsz))
		return -EFAULT;
	if (map.argsz < minsz ||
	    (map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) ||
	    !map.flags)
		return -EINVAL;
	ioas = get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = -EINVAL;
	if (!map.size)
		goto out_put;
	if (!IS_ALIGNED(map.iova | map.vaddr | map.size,
			smallest_page(&ioas->iopt))) {
		refuse(&ictx->refusal, rc,
		       "map: IOVA 0x%llx address 0x%llx size 0x%llx are not multiples of 0x%llx",
		       map.iova, map.vaddr, map.size,
		       smallest_page(&ioas->iopt));
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
	/* Threads that map at the same time may exceed it by one each. */
	if (READ_ONCE(ioas->iopt.areas.nr) >= READ_ONCE(dma_entry_limit)) {
		rc = refuse(&ictx->refusal, -ENOSPC,
			    "map: the container has %u mappings, the limit of dma_entry_limit",
			    dma_entry_limit);
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
	/* The address of no program. */
	if (rc == -EOVERFLOW)
		rc = -EFAULT;
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/* Wait for all maps and unmaps that others are in the middle of. */
static int wait_for_others(struct io_pagetable *iopt)
{
	if (fatal_signal_pending(current) ||
	    down_write_killable(&iopt->domains_rwsem))
		return -EINTR;
	up_write(&iopt->domains_rwsem);
	return 0;
}

/* Does a bound of the range lie inside of a mapping? */
static bool cuts_mapping(struct io_pagetable *iopt, unsigned long iova,
			 unsigned long last)
{
	struct iova_node *node;

	guard(rwsem_read)(&iopt->iova_rwsem);
	node = iova_tree_first(&iopt->areas, iova, iova);
	if (node && node->start != iova)
		return true;
	node = iova_tree_first(&iopt->areas, last, last);
	return node && node->last != last;
}

static int cut_bounds(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	int rc = iopt_cut(iopt, iova);

	if (rc || last == ULONG_MAX)
		return rc;
	return iopt_cut(iopt, last + 1);
}

/*
 * Nothing could be unmapped. Return 0 if there is nothing, -ENOENT if a mapping
 * is to be cut, or -EBUSY if that is past.
 */
static int why_not(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long last)
{
	if (cuts_mapping(iopt, iova, last))
		return -ENOENT;
	guard(rwsem_read)(&iopt->iova_rwsem);
	return iova_tree_first(&iopt->areas, iova, last) ? -EBUSY : 0;
}

/*
 * Unmap as type 1 does: nothing there is fine, and others are waited for. What
 * is gone before they are in the way counts, too.
 */
static int unmap_range(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last, unsigned long *unmapped)
{
	bool cuttable = READ_ONCE(iopt->cuttable);
	unsigned long step;
	int rc;

	*unmapped = 0;
	do {
		step = 0;
		rc = cuttable ? cut_bounds(iopt, iova, last) : 0;
		if (rc)
			return rc;
		if (!iova && last == ULONG_MAX)
			rc = iopt_unmap_all(iopt, &step);
		else
			rc = iopt_unmap(iopt, iova, last - iova + 1, &step);
		*unmapped += step;
		if (rc == -ENOENT)
			rc = why_not(iopt, iova, last);
		/* A mapping that spans a bound is new if those were cut. */
		if (rc != -EBUSY && !(rc == -ENOENT && cuttable))
			return rc;
		rc = wait_for_others(iopt);
	} while (!rc);
	return rc;
}

static int check_bitmap(const struct vfio_bitmap *bitmap, u64 size,
			u64 page_size)
{
	u64 npages;

	/* Others than the smallest page are for the future. */
	if (bitmap->pgsize != page_size)
		return -EINVAL;
	npages = size >> ilog2(page_size);
	if (!npages || npages > DIRTY_BITMAP_PAGES_MAX ||
	    bitmap->size < DIRTY_BITMAP_BYTES(npages) ||
	    bitmap->size > DIRTY_BITMAP_BYTES(DIRTY_BITMAP_PAGES_MAX) ||
	    !access_ok(bitmap->data, bitmap->size))
		return -EINVAL;
	return 0;
}

/* Areas to mark before others get the IOVA map, and a signal is seen */
#define MARK_STEP 4096

/* Mark the next areas from *iova on, and move on; false if there are no more. */
static bool mark_step(struct iova_bitmap *bitmap, struct io_pagetable *iopt,
		      unsigned long *iova, unsigned long last)
{
	struct iova_node *node;
	unsigned int n;

	guard(rwsem_read)(&iopt->iova_rwsem);
	node = iova_tree_first(&iopt->areas, *iova, last);
	for (n = 0; node && n < MARK_STEP; n++) {
		unsigned long start = max(*iova, node->start);

		iova_bitmap_set(bitmap, start,
				min(last, node->last) - start + 1);
		*iova = node->last + 1;
		node = iova_tree_next(node, last);
	}
	return node;
}

/* All that is mapped may have been written to. */
static int mark_mapped(struct iova_bitmap *bitmap, unsigned long iova,
		       size_t length, void *opaque)
{
	unsigned long last = iova + (length - 1);

	while (mark_step(bitmap, opaque, &iova, last)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int report_mapped(struct iommufd_ioas *ioas, u64 iova, u64 size,
			 const struct vfio_bitmap *user)
{
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(iova, size, user->pgsize, user->data);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	rc = iova_bitmap_for_each(bitmap, &ioas->iopt, mark_mapped);
	iova_bitmap_free(bitmap);
	return rc;
}

static int unmap_report(struct iommufd_ioas *ioas,
			const struct vfio_iommu_type1_dma_unmap *unmap,
			const struct vfio_bitmap *bitmap)
{
	int rc = check_bitmap(bitmap, unmap->size, smallest_page(&ioas->iopt));

	if (rc)
		return rc;
	guard(mutex)(&ioas->mutex);
	if (!ioas->dirty_log.on)
		return -EINVAL;
	/* Nothing is reported of what will not be unmapped. */
	if (cuts_mapping(&ioas->iopt, unmap->iova,
			 unmap->iova + (unmap->size - 1)))
		return refuse(ioas->iopt.refusal, -ENOENT,
			      "unmap: IOVA 0x%llx size 0x%llx cuts a mapping",
			      unmap->iova, unmap->size);
	/*
	 * What a device writes between a look at the table and the unmap would
	 * be lost, so that it counts as written.
	 */
	return report_mapped(ioas, unmap->iova, unmap->size, bitmap);
}

static int unmap_dma(struct iommufd_ctx *ictx, void __user *arg)
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
	u64 last;
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
	ioas = get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = -EINVAL;
	if (all) {
		if (unmap.iova || unmap.size)
			goto out_put;
		last = ULONG_MAX;
	} else {
		if (!unmap.size || !IS_ALIGNED(unmap.iova | unmap.size,
					       smallest_page(&ioas->iopt)))
			goto out_put;
		rc = -EOVERFLOW;
		if (check_add_overflow(unmap.iova, unmap.size - 1, &last) ||
		    last > ULONG_MAX)
			goto out_put;
	}
	if (report) {
		rc = unmap_report(ioas, &unmap, &bitmap);
		if (rc) {
			if (rc == -ENOENT)
				rc = type1_error(ictx, -ENOENT, -EINVAL);
			goto out_put;
		}
	}
	rc = unmap_range(&ioas->iopt, unmap.iova, last, &unmapped);
	if (rc) {
		/* It has been told that a mapping would be cut */
		if (rc == -ENOENT)
			rc = type1_error(ictx, -ENOENT, -EINVAL);
		goto out_put;
	}
	unmap.size = unmapped;
	if (copy_to_user(arg, &unmap, minsz))
		rc = -EFAULT;
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_vfio_hwpt_flags - how to allocate a table for a device
 * @ictx: the context
 * @ioas: what it is for
 * @idev: the device
 *
 * Return: flags of IOMMU_HWPT_ALLOC: those of a container note what devices
 * write, if they can and if the type has a way to ask, because nobody says in
 * advance that he will.
 */
u32 iommufd_vfio_hwpt_flags(struct iommufd_ctx *ictx,
			    const struct iommufd_ioas *ioas,
			    struct iommufd_device *idev)
{
	if (!READ_ONCE(ictx->container.owns_ioas) ||
	    READ_ONCE(ictx->vfio_ioas) != ioas ||
	    READ_ONCE(ioas->iopt.cuttable) ||
	    !iommufd_dirty_tracking_supported(idev))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

static void stop_tracking(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt *hwpt;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		if (!hwpt->dirty_logged)
			continue;
		iommufd_hwpt_set_dirty(hwpt, false);
		hwpt->dirty_logged = false;
	}
}

/* Make all tables note what is written, without those that are in use for it */
static bool start_tracking(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt *hwpt;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		if (hwpt->dirty_tracking || iommufd_hwpt_set_dirty(hwpt, true))
			return false;
		hwpt->dirty_logged = true;
	}
	return !list_empty(&ioas->hwpts);
}

/*
 * Where all that write are tables that can note it, these are asked later.
 * Where not, or as soon as somebody comes or goes, all counts as dirty.
 */
static void start_log(struct iommufd_ioas *ioas)
{
	if (ioas->dirty_log.on)
		return;
	ioas->dirty_log.on = true;
	ioas->dirty_log.exact = xa_empty(&ioas->accesses) &&
				start_tracking(ioas);
	if (!ioas->dirty_log.exact)
		stop_tracking(ioas);
}

static void stop_log(struct iommufd_ioas *ioas)
{
	stop_tracking(ioas);
	ioas->dirty_log.on = false;
}

/**
 * iommufd_vfio_forget - a container is without groups, and as new
 * @ictx: the container; its lock is held, and its groups have given up their page
 *        tables
 *
 * What the user maps in an IOAS that it chose itself stays, and so does what a
 * device can reach that was attached to the IOAS by its own character device.
 */
void iommufd_vfio_forget(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	bool in_use;

	lockdep_assert_held(&ictx->container.lock);

	if (!READ_ONCE(ictx->container.owns_ioas))
		return;
	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return;
	scoped_guard(mutex, &ioas->mutex) {
		stop_log(ioas);
		in_use = !list_empty(&ioas->hwpts) || !xa_empty(&ioas->accesses);
	}
	if (!in_use) {
		iopt_clear(&ioas->iopt);
		iopt_set_cuttable(&ioas->iopt, false);
		iopt_set_small_pages(&ioas->iopt, false);
	}
	iommufd_object_put(ictx, &ioas->obj);
}

static int read_log(struct iommufd_ioas *ioas,
		    const struct vfio_iommu_type1_dirty_bitmap_get *get)
{
	struct iommufd_hwpt *hwpt;
	int rc = 0;

	lockdep_assert_held(&ioas->mutex);

	if (!ioas->dirty_log.exact)
		return report_mapped(ioas, get->iova, get->size, &get->bitmap);

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		rc = iommufd_hwpt_read_dirty(hwpt, get->iova, get->size,
					     get->bitmap.pgsize,
					     get->bitmap.data, 0);
		if (rc)
			break;
	}
	return rc;
}

static int get_bitmap(struct iommufd_ioas *ioas, void __user *arg, size_t size)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	u64 page_size, last;
	int rc;

	if (!ioas->dirty_log.on || size < sizeof(get))
		return -EINVAL;
	if (copy_from_user(&get, arg, sizeof(get)))
		return -EFAULT;
	if (!get.size || check_add_overflow(get.iova, get.size - 1, &last) ||
	    last > ULONG_MAX)
		return -EINVAL;

	page_size = smallest_page(&ioas->iopt);
	if (!IS_ALIGNED(get.iova | get.size, page_size))
		return -EINVAL;
	rc = check_bitmap(&get.bitmap, get.size, page_size);
	if (rc)
		return rc;
	if (cuts_mapping(&ioas->iopt, get.iova, last))
		return -EINVAL;
	return read_log(ioas, &get);
}

static int dirty_pages(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dirty_bitmap,
					 flags);
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (copy_from_user(&dirty, arg, minsz))
		return -EFAULT;
	if (dirty.argsz < minsz)
		return -EINVAL;
	ioas = get_set_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Type 1 has this in its second version only. */
	if (READ_ONCE(ioas->iopt.cuttable)) {
		iommufd_object_put(ictx, &ioas->obj);
		return -EACCES;
	}

	mutex_lock(&ioas->mutex);
	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		start_log(ioas);
		break;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		stop_log(ioas);
		break;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		rc = get_bitmap(ioas, arg + minsz, dirty.argsz - minsz);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	mutex_unlock(&ioas->mutex);
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_vfio_ioctl - an ioctl of the container
 * @ictx: the context that serves as a container
 * @cmd: its number
 * @arg: its argument
 *
 * Return: as type 1 does, for a file of /dev/vfio/vfio; as mainline's iommufd
 * does, where that is another error, for one of /dev/iommu.
 */
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return set_iommu(ictx, arg);
	}
	/* Nothing is mapped where nothing is translated. */
	if (READ_ONCE(ictx->no_iommu_mode))
		return -ENOIOCTLCMD;

	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		return get_info(ictx, uarg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ictx, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ictx, uarg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(ictx, uarg);
	default:
		/* Type 1 is not there to be asked before it is set */
		if (_IOC_TYPE(cmd) == VFIO_TYPE &&
		    !READ_ONCE(ictx->container.type))
			return type1_error(ictx, -ENOIOCTLCMD, -EINVAL);
		return -ENOIOCTLCMD;
	}
}
