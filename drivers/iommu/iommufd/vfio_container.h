/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_VFIO_CONTAINER_H
#define __IOMMUFD_VFIO_CONTAINER_H

#include <linux/types.h>
#include <uapi/linux/vfio.h>

struct io_pagetable;
struct iommufd_ctx;
struct iommufd_ioas;

/* As many as a bitmap can have, which older programs keep as an int */
#define DIRTY_BITMAP_PAGES_MAX ((u64)INT_MAX)
#define DIRTY_BITMAP_BYTES(npages) (ALIGN(npages, 64) / BITS_PER_BYTE)

/* vfio_container.c */
struct iommufd_ioas *iommufd_vfio_get_ioas(struct iommufd_ctx *ictx);
struct iommufd_ioas *iommufd_vfio_get_set_ioas(struct iommufd_ctx *ictx);
int iommufd_vfio_error(const struct iommufd_ctx *ictx, int error, int type1);
int iommufd_vfio_no_group(struct iommufd_ctx *ictx);

/* vfio_info.c */
int iommufd_vfio_smallest_page(struct io_pagetable *iopt, u64 *page_size);
unsigned int iommufd_vfio_dma_limit(void);
int iommufd_vfio_get_info(struct iommufd_ctx *ictx, void __user *arg);

/* vfio_dirty.c */
int iommufd_vfio_report_unmap(struct iommufd_ioas *ioas,
			      const struct vfio_iommu_type1_dma_unmap *unmap,
			      const struct vfio_bitmap *bitmap);
void iommufd_vfio_stop_log(struct iommufd_ioas *ioas);
int iommufd_vfio_dirty_pages(struct iommufd_ctx *ictx, void __user *arg);

/* vfio_map.c */
int iommufd_vfio_map_dma(struct iommufd_ctx *ictx, void __user *arg);
int iommufd_vfio_unmap_dma(struct iommufd_ctx *ictx, void __user *arg);

/* vfio_groups.c */
int iommufd_vfio_attach_groups(struct iommufd_ctx *ictx);

#endif
