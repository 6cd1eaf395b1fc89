// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that map, copy and unmap: arguments in, one call into the IOVA map,
 * results out.
 */
#include <linux/file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "mmio.h"

#define MAP_FLAGS                                                              \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |                \
	 IOMMU_IOAS_MAP_READABLE)

static int iommufd_map_prot(u32 flags)
{
	/*
	 * All DMA of userspace has to be coherent: there is no way for it to
	 * flush caches.
	 */
	int prot = IOMMU_CACHE;

	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		prot |= IOMMU_WRITE;
	if (flags & IOMMU_IOAS_MAP_READABLE)
		prot |= IOMMU_READ;
	return prot;
}

static int iommufd_check_map_flags(u32 flags)
{
	if (flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	/* A mapping that allows nothing is of no use to anybody */
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	return 0;
}

/* Map @pages from @offset on, whole; consumes the reference to @pages */
static int iommufd_map_whole(struct iommufd_ioas *ioas,
			     struct iopt_pages *pages, unsigned long offset,
			     struct iopt_map *map)
{
	struct iopt_piece piece = {
		.pages = pages,
		.offset = offset,
		.length = map->length,
		.first = true,
	};
	int rc;

	map->pieces = &piece;
	rc = iopt_map_pages(&ioas->iopt, map);
	iopt_pages_put(pages);
	return rc;
}

static int iommufd_map_memory(struct iommufd_ctx *ictx,
			      struct iommufd_ioas *ioas,
			      const struct iommu_ioas_map *cmd,
			      struct iopt_map *map)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user(u64_to_user_ptr(cmd->user_va),
				      cmd->length,
				      cmd->flags & IOMMU_IOAS_MAP_WRITEABLE,
				      ictx->account_mode);
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	return iommufd_map_whole(ioas, pages, offset_in_page(cmd->user_va),
				 map);
}

/* Map device memory, whose reference is consumed; -ENXIO if there is none */
static int iommufd_map_mmio(struct iommufd_ioas *ioas,
			    struct iommufd_mmio *mmio, u64 offset,
			    struct iopt_map *map)
{
	struct iopt_pages *pages;

	if (IS_ERR_OR_NULL(mmio))
		return mmio ? PTR_ERR(mmio) : -ENXIO;
	pages = iopt_pages_alloc_mmio(mmio, NULL, offset, map->length,
				      map->prot & IOMMU_WRITE);
	if (IS_ERR(pages)) {
		iommufd_mmio_put(mmio);
		return PTR_ERR(pages);
	}
	return iommufd_map_whole(ioas, pages, offset, map);
}

/*
 * Map device memory behind a user address; -ENXIO if it is not that. Not inlined, as
 * it is rare.
 */
static noinline int iommufd_map_user_mmio(struct iommufd_ctx *ictx,
					  struct iommufd_ioas *ioas,
					  const struct iommu_ioas_map *cmd,
					  struct iopt_map *map)
{
	struct iommufd_mmio *mmio;
	u64 offset = 0;

	mmio = iommufd_mmio_get_user(cmd->user_va, cmd->length, map->prot,
				     &offset, &ictx->refusal);
	return iommufd_map_mmio(ioas, mmio, offset, map);
}

/*
 * Map what is behind a user address. Device memory is rare, so that it is
 * looked for only where pinning fails, or where nothing would be pinned now.
 * It is not charged: what a limit would refuse is looked at before that says so,
 * and after it, as others charge at the same time.
 */
static int iommufd_map_user(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			    const struct iommu_ioas_map *cmd,
			    struct iopt_map *map)
{
	int pinned = -ENXIO;
	int rc;

	if (!cmd->length)
		return -EINVAL;
	if (!list_empty(&ioas->iopt.domains) &&
	    pin_account_fits(ictx->account_mode,
			     ((offset_in_page(cmd->user_va) + cmd->length -
			       1) >> PAGE_SHIFT) + 1)) {
		pinned = iommufd_map_memory(ictx, ioas, cmd, map);
		if (pinned != -EFAULT && pinned != -ENOMEM)
			return pinned;
	}
	rc = iommufd_map_user_mmio(ictx, ioas, cmd, map);
	if (rc != -ENXIO)
		return rc;
	return pinned != -ENXIO ? pinned :
				  iommufd_map_memory(ictx, ioas, cmd, map);
}

int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map __user *user = ucmd->ubuffer;
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct iopt_map map __uninitialized;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = iommufd_check_map_flags(cmd->flags);
	if (rc)
		return rc;
	if (cmd->iova >= ULONG_MAX || cmd->length >= ULONG_MAX)
		return -EOVERFLOW;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	map = (struct iopt_map){
		.length = cmd->length,
		.prot = iommufd_map_prot(cmd->flags),
		.fixed = cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
		.iova = cmd->iova,
		.answer = &user->iova,
	};
	rc = iommufd_map_user(ucmd->ictx, ioas, cmd, &map);
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_ioas_map_memory - map user memory at a fixed IOVA
 * @ictx: the context
 * @ioas: the address space
 * @cmd: as for ioctl(IOMMU_IOAS_MAP), with IOMMU_IOAS_MAP_FIXED_IOVA and other
 *       flags that are known
 *
 * Return: as the ioctl.
 */
int iommufd_ioas_map_memory(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			    struct iommu_ioas_map *cmd)
{
	struct iopt_map map = {
		.length = cmd->length,
		.prot = iommufd_map_prot(cmd->flags),
		.fixed = true,
		.iova = cmd->iova,
	};

	return iommufd_map_user(ictx, ioas, cmd, &map);
}

/*
 * Find the piece of device memory that follows at @start.
 * Return: -ENXIO if the file is not of device memory.
 */
static struct iopt_piece *iommufd_find_file_mmio(struct file *file, u64 start,
						 u64 length, int prot,
						 struct refusal *refusal)
{
	struct iopt_piece *piece;
	struct iommufd_mmio *mmio;
	u64 offset = 0;

	mmio = iommufd_mmio_get_file(file, start, &length, prot, &offset,
				     refusal);
	if (IS_ERR_OR_NULL(mmio))
		return mmio ? ERR_CAST(mmio) : ERR_PTR(-ENXIO);
	piece = kmalloc(sizeof(*piece), GFP_KERNEL_ACCOUNT);
	if (!piece) {
		iommufd_mmio_put(mmio);
		return ERR_PTR(-ENOMEM);
	}
	*piece = (struct iopt_piece){
		.pages = iopt_pages_alloc_mmio(mmio, file, offset, length,
					       prot & IOMMU_WRITE),
		.offset = offset,
		.length = length,
		.first = true,
	};
	if (IS_ERR(piece->pages)) {
		iommufd_mmio_put(mmio);
		kfree(piece);
		return ERR_PTR(-ENOMEM);
	}
	return piece;
}

/* Map device memory behind a file; -ENXIO if it is not that */
static int iommufd_map_file_mmio(struct iommufd_ctx *ictx,
				 struct iommufd_ioas *ioas,
				 const struct iommu_ioas_map_file *cmd,
				 struct file *file, struct iopt_map *map)
{
	struct iopt_piece **end = &map->pieces;
	unsigned long done = 0;
	int rc = 0;

	map->pieces = NULL;
	while (done < map->length) {
		struct iopt_piece *piece;

		piece = iommufd_find_file_mmio(file, cmd->start + done,
					       map->length - done, map->prot,
					       &ictx->refusal);
		if (IS_ERR(piece)) {
			rc = PTR_ERR(piece);
			break;
		}
		done += piece->length;
		*end = piece;
		end = &piece->next;
	}
	if (!rc)
		rc = iopt_map_pages(&ioas->iopt, map);
	iopt_free_pieces(map);
	return rc;
}

static int iommufd_refuse_file(struct iommufd_ctx *ictx, int rc)
{
	switch (rc) {
	case -EINVAL:
		return refuse(&ictx->refusal, rc,
			      "map: the file is not a memfd or another file of tmpfs or hugetlbfs, nor a dma-buf of a VFIO device");
	case -EACCES:
		return refuse(&ictx->refusal, rc,
			      "map: the file must be open for reading, and for writing if the mapping is writable");
	case -EPERM:
		return refuse(&ictx->refusal, rc,
			      "map: the file is sealed against writing");
	default:
		return rc;
	}
}

static int iommufd_map_file(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
			    const struct iommu_ioas_map_file *cmd,
			    struct file *file, struct iopt_map *map)
{
	struct iopt_pages *pages;
	int rc;

	if (!cmd->length)
		return -EINVAL;
	rc = iommufd_map_file_mmio(ictx, ioas, cmd, file, map);
	if (rc != -ENXIO)
		return rc;

	pages = iopt_pages_alloc_file(file, cmd->start, cmd->length,
				      cmd->flags & IOMMU_IOAS_MAP_WRITEABLE,
				      ictx->account_mode);
	if (IS_ERR(pages))
		return iommufd_refuse_file(ictx, PTR_ERR(pages));
	return iommufd_map_whole(ioas, pages, offset_in_page(cmd->start), map);
}

int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file __user *user = ucmd->ubuffer;
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct iopt_map map = { .answer = &user->iova };
	struct iommufd_ioas *ioas;
	struct file *file;
	int rc;

	rc = iommufd_check_map_flags(cmd->flags);
	if (rc)
		return rc;
	if (cmd->iova >= ULONG_MAX || cmd->length >= ULONG_MAX ||
	    cmd->start >= ULONG_MAX)
		return -EOVERFLOW;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	file = fget(cmd->fd);
	if (!file) {
		rc = -EBADF;
		goto out_put;
	}
	map.length = cmd->length;
	map.prot = iommufd_map_prot(cmd->flags);
	map.fixed = cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	map.iova = cmd->iova;
	rc = iommufd_map_file(ucmd->ictx, ioas, cmd, file, &map);
	fput(file);
out_put:
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	return rc;
}

int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy __user *user = ucmd->ubuffer;
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iopt_map map = { .answer = &user->dst_iova };
	struct iommufd_ioas *src, *dst;
	int rc;

	rc = iommufd_check_map_flags(cmd->flags);
	if (rc)
		return rc;
	if (cmd->length >= ULONG_MAX || cmd->src_iova >= ULONG_MAX ||
	    cmd->dst_iova >= ULONG_MAX)
		return -EOVERFLOW;

	src = iommufd_get_ioas(ucmd->ictx, cmd->src_ioas_id);
	if (IS_ERR(src))
		return PTR_ERR(src);
	dst = iommufd_get_ioas(ucmd->ictx, cmd->dst_ioas_id);
	if (IS_ERR(dst)) {
		rc = PTR_ERR(dst);
		goto out_put_src;
	}

	map.length = cmd->length;
	map.prot = iommufd_map_prot(cmd->flags);
	map.fixed = cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	map.iova = cmd->dst_iova;
	rc = iopt_copy(&dst->iopt, &src->iopt, cmd->src_iova, &map);
	iommufd_object_put(ucmd->ictx, &dst->obj);
out_put_src:
	iommufd_object_put(ucmd->ictx, &src->obj);
	return rc;
}

int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap __user *user = ucmd->ubuffer;
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	unsigned long unmapped = 0;
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (cmd->iova < ULONG_MAX && cmd->length < ULONG_MAX)
		rc = iopt_unmap(&ioas->iopt, cmd->iova, cmd->length, &unmapped);
	else if (cmd->iova == 0 && cmd->length == U64_MAX)
		rc = iopt_unmap_all(&ioas->iopt, &unmapped);
	else
		rc = -EOVERFLOW;
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	if (rc)
		return iopt_errno(rc);

	return put_user(unmapped, &user->length);
}
