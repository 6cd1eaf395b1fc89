/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of a VFIO type 1 container, one function each. They return 0 or a
 * negative errno, as those of iommufd.h do.
 */
#ifndef TEST_TYPE1_H
#define TEST_TYPE1_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/vfio.h>

#include "call.h"

#define T1_RO	VFIO_DMA_MAP_FLAG_READ
#define T1_RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static inline int container_open(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* For those whose argument is a number */
static inline int t1_call(int fd, unsigned long cmd, unsigned long arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

static inline int t1_set_iommu(int fd, unsigned long type)
{
	return t1_call(fd, VFIO_SET_IOMMU, type);
}

static inline int t1_extension(int fd, unsigned long extension)
{
	return t1_call(fd, VFIO_CHECK_EXTENSION, extension);
}

static inline int t1_map(int fd, const void *va, __u64 size, __u64 iova,
			 __u32 flags)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return call(fd, VFIO_IOMMU_MAP_DMA, &cmd);
}

static inline int t1_unmap_flags(int fd, __u64 iova, __u64 *size, __u32 flags)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.size = *size,
	};
	int rc = call(fd, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.size;
	return rc;
}

/* 0 if all of it was there and is gone, or -EAGAIN if only a part was there */
static inline int t1_unmap(int fd, __u64 iova, __u64 size)
{
	__u64 unmapped = size;
	int rc = t1_unmap_flags(fd, iova, &unmapped, 0);

	return rc || unmapped == size ? rc : -EAGAIN;
}

static inline int t1_unmap_all(int fd, __u64 *size)
{
	*size = 0;
	return t1_unmap_flags(fd, 0, size, VFIO_DMA_UNMAP_FLAG_ALL);
}

/* Unmap, and learn what was written; @bytes is the size of the bitmap */
static inline int t1_unmap_dirty(int fd, __u64 iova, __u64 *size, __u64 pgsize,
				 void *data, __u64 bytes)
{
	__u64 buf[(sizeof(struct vfio_iommu_type1_dma_unmap) +
		   sizeof(struct vfio_bitmap)) / 8];
	struct vfio_iommu_type1_dma_unmap *cmd = (void *)buf;
	struct vfio_bitmap *bitmap = (void *)cmd->data;
	int rc;

	cmd->argsz = sizeof(buf);
	cmd->flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	cmd->iova = iova;
	cmd->size = *size;
	bitmap->pgsize = pgsize;
	bitmap->size = bytes;
	bitmap->data = data;
	rc = call(fd, VFIO_IOMMU_UNMAP_DMA, cmd);
	*size = cmd->size;
	return rc;
}

static inline int t1_dirty(int fd, __u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
	};

	return call(fd, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static inline int t1_dirty_bitmap(int fd, __u64 iova, __u64 size, __u64 pgsize,
				  void *data, __u64 bytes)
{
	__u64 buf[(sizeof(struct vfio_iommu_type1_dirty_bitmap) +
		   sizeof(struct vfio_iommu_type1_dirty_bitmap_get)) / 8];
	struct vfio_iommu_type1_dirty_bitmap *cmd = (void *)buf;
	struct vfio_iommu_type1_dirty_bitmap_get *get = (void *)cmd->data;

	cmd->argsz = sizeof(buf);
	cmd->flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	get->iova = iova;
	get->size = size;
	get->bitmap.pgsize = pgsize;
	get->bitmap.size = bytes;
	get->bitmap.data = data;
	return call(fd, VFIO_IOMMU_DIRTY_PAGES, cmd);
}

/* What there is to know of a container, with room for 32 ranges */
struct t1_info {
	struct vfio_iommu_type1_info info;
	char caps[1024];
};

static inline int t1_get_info(int fd, struct t1_info *info)
{
	memset(info, 0, sizeof(*info));
	info->info.argsz = sizeof(*info);
	return call(fd, VFIO_IOMMU_GET_INFO, info);
}

static inline void *t1_cap(struct t1_info *info, __u16 id)
{
	__u32 offset = info->info.cap_offset;

	while (offset) {
		struct vfio_info_cap_header *cap =
			(void *)((char *)info + offset);

		if (cap->id == id)
			return cap;
		offset = cap->next;
	}
	return NULL;
}

/* Number of mappings that there is still room for, or a negative errno */
static inline long t1_avail(int fd)
{
	struct vfio_iommu_type1_info_dma_avail *cap;
	struct t1_info info;
	int rc = t1_get_info(fd, &info);

	if (rc)
		return rc;
	cap = t1_cap(&info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	return cap ? (long)cap->avail : -ENOENT;
}

/* May all of [start, last] be mapped? */
static inline bool t1_usable(struct t1_info *info, __u64 start, __u64 last)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap =
		t1_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	unsigned int i;

	for (i = 0; cap && i != cap->nr_iovas; i++)
		if (cap->iova_ranges[i].start <= start &&
		    cap->iova_ranges[i].end >= last)
			return true;
	return false;
}

#endif
