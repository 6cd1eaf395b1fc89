/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User ABI that is newer than the uapi/linux/vfio.h of the kernel we build for.
 *
 * Numbers and layouts are mainline 7.3's. Each piece stands aside for a header
 * that has it, so nothing here is seen twice.
 */
#ifndef VFIO_UAPI_EXT_H
#define VFIO_UAPI_EXT_H

#include <linux/bits.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <uapi/linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_FLAG_TOKEN
#define VFIO_DEVICE_BIND_FLAG_TOKEN	BIT(0)
#endif

/*
 * struct vfio_device_bind_iommufd grew at its end, which no #ifndef can see.
 * @token_uuid_ptr: with VFIO_DEVICE_BIND_FLAG_TOKEN, points to the 16 bytes of
 *                  a UUID; see VFIO_DEVICE_FEATURE_PCI_VF_TOKEN
 */
struct vfio_device_bind_iommufd_ext {
	__u32		argsz;
	__u32		flags;
	__s32		iommufd;
	__u32		out_devid;
	__aligned_u64	token_uuid_ptr;
};

#ifndef VFIO_DEVICE_ATTACH_PASID
#define VFIO_DEVICE_ATTACH_PASID	BIT(0)
#endif

#ifndef VFIO_DEVICE_DETACH_PASID
#define VFIO_DEVICE_DETACH_PASID	BIT(0)
#endif

/* Same remark. @pasid: with VFIO_DEVICE_ATTACH_PASID, what is to be attached */
struct vfio_device_attach_iommufd_pt_ext {
	__u32	argsz;
	__u32	flags;
	__u32	pt_id;
	__u32	pasid;
};

/* Same remark. @pasid: with VFIO_DEVICE_DETACH_PASID, what is to be detached */
struct vfio_device_detach_iommufd_pt_ext {
	__u32	argsz;
	__u32	flags;
	__u32	pasid;
};

/*
 * On VFIO_DEVICE_FEATURE_GET, returns a new dma-buf fd for parts of a region.
 * @region_index: the region
 * @open_flags: of the new fd, as for open(2): access mode and O_CLOEXEC
 * @flags: 0
 * @nr_ranges: entries of @dma_ranges, one behind the other in the dma-buf
 * @dma_ranges: offset into the region and length, in bytes
 */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF	11

struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32	region_index;
	__u32	open_flags;
	__u32	flags;
	__u32	nr_ranges;
	struct vfio_region_dma_range dma_ranges[] __counted_by(nr_ranges);
};
#endif

/*
 * On VFIO_DEVICE_FEATURE_SET, without data: from now on the flags of struct
 * vfio_precopy_info are an output.
 */
#ifndef VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2	12
#endif

/* There: new initial data is present on the stream, which counts anew */
#ifndef VFIO_PRECOPY_INFO_REINIT
#define VFIO_PRECOPY_INFO_REINIT	BIT(0)
#endif

#endif /* VFIO_UAPI_EXT_H */
