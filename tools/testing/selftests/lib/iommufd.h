/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of /dev/iommu, a function each. They return 0 or a negative errno,
 * so that a test reads
 *
 *	ASSERT_EQ(-EEXIST, ioas_map(fd, ioas, buf, len, &iova, MAP_FIXED_RW));
 */
#ifndef TEST_IOMMUFD_H
#define TEST_IOMMUFD_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>

#include "call.h"
#include "memory.h"
#include "process.h"

/*
 * Where devices write interrupt messages, 1 MiB that is no memory: by the processor's
 * architecture on x86, on Arm by choice of the kernel's drivers for SMMUs
 */
#if defined(__aarch64__)
#define MSI_WINDOW	0x08000000UL
#else
#define MSI_WINDOW	0xfee00000UL
#endif

#define MAP_RO		IOMMU_IOAS_MAP_READABLE
#define MAP_RW		(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define MAP_FIXED_RO	(MAP_RO | IOMMU_IOAS_MAP_FIXED_IOVA)
#define MAP_FIXED_RW	(MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA)

static inline int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int obj_destroy(int fd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(fd, IOMMU_DESTROY, &cmd);
}

static inline int ioas_alloc(int fd, __u32 *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = call(fd, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return rc;
}

static inline int ioas_iova_ranges(int fd, __u32 ioas,
				   struct iommu_iova_range *ranges, __u32 *num,
				   __u64 *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *num,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc = call(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*num = cmd.num_iovas;
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	return rc;
}

static inline int ioas_allow_iovas(int fd, __u32 ioas,
				   const struct iommu_iova_range *ranges,
				   __u32 num)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = num,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return call(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

/* What stands in for an IOVA that the kernel is to choose: it is not read */
#define IOVA_UNUSED 0x5a5a5a5aULL

static inline int ioas_map(int fd, __u32 ioas, const void *va, __u64 length,
			   __u64 *iova, __u32 flags)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = flags & IOMMU_IOAS_MAP_FIXED_IOVA ?
			*iova : IOVA_UNUSED,
	};
	int rc = call(fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

static inline int ioas_map_at(int fd, __u32 ioas, const void *va, __u64 length,
			      __u64 iova)
{
	return ioas_map(fd, ioas, va, length, &iova, MAP_FIXED_RW);
}

/* With other permissions than both */
static inline int ioas_map_prot(int fd, __u32 ioas, const void *va,
				__u64 length, __u64 iova, __u32 prot)
{
	return ioas_map(fd, ioas, va, length, &iova,
			prot | IOMMU_IOAS_MAP_FIXED_IOVA);
}

static inline int ioas_map_file(int fd, __u32 ioas, int memfd, __u64 start,
				__u64 length, __u64 *iova, __u32 flags)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = memfd,
		.start = start,
		.length = length,
		.iova = flags & IOMMU_IOAS_MAP_FIXED_IOVA ?
			*iova : IOVA_UNUSED,
	};
	int rc = call(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return rc;
}

static inline int ioas_map_file_at(int fd, __u32 ioas, int memfd, __u64 start,
				   __u64 length, __u64 iova)
{
	return ioas_map_file(fd, ioas, memfd, start, length, &iova,
			     MAP_FIXED_RW);
}

static inline int ioas_map_file_prot(int fd, __u32 ioas, int memfd, __u64 start,
				     __u64 length, __u64 iova, __u32 prot)
{
	return ioas_map_file(fd, ioas, memfd, start, length, &iova,
			     prot | IOMMU_IOAS_MAP_FIXED_IOVA);
}

static inline int ioas_copy(int fd, __u32 dst, __u64 *dst_iova, __u32 src,
			    __u64 src_iova, __u64 length, __u32 flags)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = flags & IOMMU_IOAS_MAP_FIXED_IOVA ?
			    *dst_iova : IOVA_UNUSED,
		.src_iova = src_iova,
	};
	int rc = call(fd, IOMMU_IOAS_COPY, &cmd);

	*dst_iova = cmd.dst_iova;
	return rc;
}

static inline int ioas_copy_at(int fd, __u32 dst, __u64 dst_iova, __u32 src,
			       __u64 src_iova, __u64 length)
{
	return ioas_copy(fd, dst, &dst_iova, src, src_iova, length,
			 MAP_FIXED_RW);
}

static inline int ioas_unmap_len(int fd, __u32 ioas, __u64 iova, __u64 length,
				 __u64 *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};
	int rc = call(fd, IOMMU_IOAS_UNMAP, &cmd);

	*unmapped = cmd.length;
	return rc;
}

static inline int ioas_unmap(int fd, __u32 ioas, __u64 iova, __u64 length)
{
	__u64 unmapped;

	return ioas_unmap_len(fd, ioas, iova, length, &unmapped);
}

static inline int ioas_unmap_all(int fd, __u32 ioas, __u64 *unmapped)
{
	return ioas_unmap_len(fd, ioas, 0, UINT64_MAX, unmapped);
}

static inline int option_set(int fd, __u32 option, __u32 object, __u64 val)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = object,
		.val64 = val,
	};

	return call(fd, IOMMU_OPTION, &cmd);
}

static inline int option_get(int fd, __u32 option, __u32 object, __u64 *val)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = object,
		.val64 = UINT64_MAX,
	};
	int rc = call(fd, IOMMU_OPTION, &cmd);

	*val = cmd.val64;
	return rc;
}

static inline int vfio_ioas(int fd, __u16 op, __u32 *ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *ioas,
		.op = op,
	};
	int rc = call(fd, IOMMU_VFIO_IOAS, &cmd);

	*ioas = cmd.ioas_id;
	return rc;
}

static inline int change_process(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return call(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static inline int hwpt_alloc(int fd, __u32 dev, __u32 pt, __u32 flags,
			     __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
	};
	int rc = call(fd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

/* With a fault queue, if the flags say so */
static inline int hwpt_alloc_fault(int fd, __u32 dev, __u32 pt, __u32 flags,
				   __u32 fault, __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.fault_id = fault,
	};
	int rc = call(fd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

/* A table of the user, on a parent or a vIOMMU */
static inline int hwpt_alloc_nested(int fd, __u32 dev, __u32 pt, __u32 flags,
				    __u32 type, const void *data, __u32 len,
				    __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = call(fd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

/* *@num: entries; afterwards those that were carried out */
static inline int hwpt_invalidate(int fd, __u32 hwpt, __u32 type,
				  const void *data, __u32 len, __u32 *num)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.data_uptr = (uintptr_t)data,
		.data_type = type,
		.entry_len = len,
		.entry_num = *num,
	};
	int rc = call(fd, IOMMU_HWPT_INVALIDATE, &cmd);

	*num = cmd.entry_num;
	return rc;
}

static inline int fault_queue_alloc(int fd, __u32 *id, int *file)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = call(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	*file = cmd.out_fault_fd;
	return rc;
}

static inline int get_hw_info(int fd, __u32 dev, void *data, __u32 len,
			      struct iommu_hw_info *cmd)
{
	*cmd = (struct iommu_hw_info){
		.size = sizeof(*cmd),
		.dev_id = dev,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	return call(fd, IOMMU_GET_HW_INFO, cmd);
}

static inline int set_dirty_tracking(int fd, __u32 hwpt, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = enable ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static inline int get_dirty_bitmap(int fd, __u32 hwpt, __u64 iova,
				   __u64 length, __u64 pgsize, void *bitmap,
				   __u32 flags)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = pgsize,
		.data = (uintptr_t)bitmap,
	};

	return call(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

/*
 * True if the context has no object at all: only then can the accounting mode
 * be set. Needs CAP_SYS_RESOURCE.
 */
static inline bool ctx_is_empty(int fd)
{
	__u64 mode;

	if (option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &mode))
		return false;
	return !option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, mode);
}

#endif
