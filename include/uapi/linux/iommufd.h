/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of /dev/iommu: IO address spaces that devices are attached to
 * and that processes map memory into.
 *
 * Names, numbers and layouts are those of Linux 7.3.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUFD_TYPE (';')

/**
 * DOC: Calling convention
 *
 * An open file of /dev/iommu is a context. It holds objects, each known by a
 * 32 bit ID that is never 0 and means nothing in another context. Every ioctl
 * takes a pointer to its own struct, whose first member is the size in bytes
 * of the struct as the caller was compiled with. This is how old programs run
 * on new kernels, and new programs on old ones:
 *
 *  - a size that ends before the last member of the oldest published version
 *    is refused with EINVAL;
 *  - members that the caller does not have are taken as 0 and not written;
 *  - bytes past what the kernel knows have to be 0, else E2BIG.
 *
 * Addresses and lengths are bytes unless said otherwise. A range given as
 * start and last includes last; U64_MAX can be a last.
 *
 * An ioctl that fails has not changed anything, unless its description says
 * otherwise. The errnos have one meaning everywhere, and the structs
 * below list only what is particular to them:
 *
 *  - ENOTTY: this kernel has never heard of the ioctl.
 *  - EOPNOTSUPP: it has, but not of this flag, operation, type or use of a
 *    reserved member; or neither the kernel nor the hardware can do it.
 *  - E2BIG: see above.
 *  - EINVAL: everything was recognized and some value makes no sense.
 *  - ENOENT: there is no such object in this context, it is of another type
 *    than the ioctl works on, or the IOVA range does not hold what is asked
 *    for.
 *  - EBUSY: the object is used by something else at the moment.
 *  - EOVERFLOW: start plus length does not fit the address type.
 *  - EFAULT: a pointer, in the struct or to it, is bad.
 *  - ENOMEM: no memory, or the limit on locked memory was reached.
 */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

/**
 * struct iommu_destroy - ioctl(IOMMU_DESTROY), end an object
 * @size: sizeof(struct iommu_destroy)
 * @id: the object
 *
 * Whatever the object held is given back before the call returns: an IOAS
 * drops all its mappings. EBUSY while another object, an attached device or a
 * mapping of a child depends on it. A bound device is ended by closing the
 * device's own file, and is EBUSY here. Objects that have a file of their own
 * keep that file open, and it reports the end of the object. EINTR: the caller
 * was killed; the object is still there, an IOAS perhaps with fewer mappings.
 *
 * Closing the last reference to the context's file destroys all objects, so
 * that a program needs this only to reuse a context.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};

#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/**
 * struct iommu_ioas_alloc - ioctl(IOMMU_IOAS_ALLOC), make an IO address space
 * @size: sizeof(struct iommu_ioas_alloc)
 * @flags: 0
 * @out_ioas_id: the new IOAS
 *
 * An IOAS says which IOVA leads to which memory. It is empty at first, it
 * accepts every IOVA, and it has no hardware behind it until a device is
 * attached. Mappings can be made before or after that.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - element of an array of IOVA ranges
 * @start: lowest IOVA
 * @last: highest IOVA, itself included
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - ioctl(IOMMU_IOAS_IOVA_RANGES), where one can
 *                                 map
 * @size: sizeof(struct iommu_ioas_iova_ranges)
 * @ioas_id: the IOAS
 * @num_iovas: in: elements of the array; out: number of ranges that exist
 * @__reserved: 0
 * @allowed_iovas: address of an array of struct iommu_iova_range, may be 0 if
 *                 @num_iovas is 0
 * @out_iova_alignment: every IOVA and length of a mapping has to be a multiple
 *                      of this power of two, which is at least 1 and at most
 *                      the page size
 *
 * Lists the IOVA that are open to mappings, in ascending order, used or not.
 * What is left out cannot be reached by some attached device, or has a meaning
 * to it already: MSI windows, memory that firmware reserved, addresses past the
 * width of the IOMMU. So the answer is only good until the next attach or
 * detach; @out_iova_alignment can change then as well.
 *
 * EMSGSIZE: there are more ranges than elements. The array is filled as far as
 * it goes, and @num_iovas and @out_iova_alignment are valid, so calling with 0
 * first and then with what came back always works.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};

#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - ioctl(IOMMU_IOAS_ALLOW_IOVAS), promise IOVA
 * @size: sizeof(struct iommu_ioas_allow_iovas)
 * @ioas_id: the IOAS
 * @num_iovas: elements of the array; 0 takes all promises back
 * @__reserved: 0
 * @allowed_iovas: address of an array of struct iommu_iova_range, which need
 *                 not be sorted
 *
 * For a caller that has to have certain IOVA, such as the RAM of a virtual
 * machine that devices will be plugged into later. As long as the list stands,
 * no device that would take away a part of it can be attached: that attach is
 * the one that fails. Also, a mapping that leaves the choice of its IOVA to the
 * kernel is only placed inside the list; one with a fixed IOVA is not bound by
 * it. The new list takes the place of the old one.
 *
 * EINVAL: a range does not start below its last, or two ranges overlap.
 * EADDRINUSE: a device that is attached already has taken some of it. ENOSPC:
 * more than 65536 ranges.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};

#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - how to map
 * @IOMMU_IOAS_MAP_FIXED_IOVA: put it at the IOVA that the caller gives; without
 *                             this the kernel chooses one
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write
 * @IOMMU_IOAS_MAP_READABLE: devices may read
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - ioctl(IOMMU_IOAS_MAP), map memory of this process
 * @size: sizeof(struct iommu_ioas_map)
 * @flags: of enum iommufd_ioas_map_flags, at least one of readable and
 *         writeable
 * @ioas_id: the IOAS
 * @__reserved: 0
 * @user_va: address of the memory, at any alignment that agrees with the
 *           alignment of the IOVA
 * @length: bytes
 * @iova: in, if %IOMMU_IOAS_MAP_FIXED_IOVA: where to map; out: where it is
 *        mapped
 *
 * The pages are pinned and charged to RLIMIT_MEMLOCK (see
 * %IOMMU_OPTION_RLIMIT_MODE) once a device or another user of the IOAS needs
 * them: at once if there is one, else when it is attached, and then it is the
 * attach that fails. From then on the device sees these very pages until they
 * are unmapped, even after munmap(), fork() or the end of the process. Memory
 * that is mapped repeatedly by %IOMMU_IOAS_COPY is pinned and charged once, by
 * repeated %IOMMU_IOAS_MAP each time.
 *
 * A chosen IOVA has the same offset in a huge page as the memory wherever
 * there is room, so that the IOMMU can use large pages.
 *
 * EINVAL: @length is 0, neither readable nor writeable, not aligned to what
 * %IOMMU_IOAS_IOVA_RANGES says, or not within the ranges that it lists.
 * EEXIST: some of the fixed range is mapped; mappings are never replaced.
 * ENOSPC: no free IOVA range is large enough. EFAULT: the memory does not
 * exist, is read-only and is to be written, or is of a kind that cannot be
 * pinned. ENOMEM: more locked memory than allowed. EOVERFLOW: @user_va or @iova
 * plus @length wraps.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_noiommu_get_pa - ioctl(IOMMU_IOAS_NOIOMMU_GET_PA), ask for
 *                                    the address that a device without an IOMMU
 *                                    has to use
 * @size: of this struct
 * @flags: 0
 * @ioas_id: an IOAS of devices that no IOMMU confines
 * @__reserved: 0
 * @iova: where to begin; it has to be mapped
 * @length: in: how many bytes at most, and not 0; out: how many of these are one
 *          behind the other in physical memory
 * @out_phys: physical address of the first one
 *
 * A device without an IOMMU does DMA to physical addresses, and can reach all of
 * memory.
 */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 out_phys;
};

#define IOMMU_IOAS_NOIOMMU_GET_PA \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/**
 * struct iommu_ioas_map_file - ioctl(IOMMU_IOAS_MAP_FILE), map a file's memory
 * @size: sizeof(struct iommu_ioas_map_file)
 * @flags: of enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS
 * @fd: a memfd (of shmem or of hugetlb pages), or a dma-buf that vfio-pci
 *      exported with VFIO_DEVICE_FEATURE_DMA_BUF, where the kernel can do that;
 *      it can be closed after the call
 * @start: offset in the file, in bytes
 * @length: bytes
 * @iova: as in struct iommu_ioas_map
 *
 * Does what %IOMMU_IOAS_MAP does, for memory that need not be mapped into the
 * process. Since no address space is involved, such mappings can be handed to
 * another process, see %IOMMU_IOAS_CHANGE_PROCESS. Holes of the file are filled
 * when pinned; the pages stay with the device when the file is truncated.
 *
 * EBADF: @fd is not open. EACCES: it is not open for what @flags ask for, or not
 * for reading. EINVAL: it is not a file of a supported kind, or @start and
 * @length go past its end. ENODEV: the device of the dma-buf has been closed. The
 * rest is as for %IOMMU_IOAS_MAP.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - ioctl(IOMMU_IOAS_COPY), map what is mapped elsewhere
 * @size: sizeof(struct iommu_ioas_copy)
 * @flags: of enum iommufd_ioas_map_flags, for the new mapping
 * @dst_ioas_id: IOAS that gets the mapping
 * @src_ioas_id: IOAS that has it, can be the same
 * @length: bytes
 * @dst_iova: in, if %IOMMU_IOAS_MAP_FIXED_IOVA: where to map; out: where it is
 *            mapped
 * @src_iova: where the memory is in the source
 *
 * The source range can be a part of a mapping, or reach over several that lie
 * next to each other, which then are as many in the destination. Source and
 * destination share the pages from then on, which are pinned and charged once,
 * and either can be unmapped first. Pages that are pinned are not looked up in
 * the process again, so that a copy of them also works when its memory has
 * changed or is gone.
 *
 * ENOENT: a part of the source range is not mapped. EPERM: writeable is asked
 * for, and the memory was first mapped without it. ENOSPC: the source is of more
 * than 65536 mappings, which can be copied in parts. Otherwise as for
 * %IOMMU_IOAS_MAP.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};

#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - ioctl(IOMMU_IOAS_UNMAP), take mappings out
 * @size: sizeof(struct iommu_ioas_unmap)
 * @ioas_id: the IOAS
 * @iova: start of the range
 * @length: in: bytes of the range; out: bytes that were mapped in it
 *
 * Removes all mappings in the range, of which there may be several with gaps
 * between. When the call returns no device can reach the memory any more. A
 * mapping goes as a whole or not at all. @iova 0 with @length U64_MAX means
 * everything, which also succeeds when there is nothing.
 *
 * ENOENT: nothing is mapped in the range, or it cuts a mapping in two. EBUSY:
 * another thread is about to map or unmap something in the range. EDEADLK: an
 * in-kernel user of the memory does not let go. EINTR: the caller was killed.
 *
 * More than a few hundred mappings go in several steps, from low to high IOVA.
 * If another thread changes the range meanwhile, or the caller is killed, what
 * is unmapped until then stays unmapped, and @length as it was, so that the
 * same call can be repeated for the rest. Fewer go together or not at all.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * enum iommufd_option - what ioctl(IOMMU_OPTION) can read and change
 * @IOMMU_OPTION_RLIMIT_MODE:
 *    Whose locked memory is compared with RLIMIT_MEMLOCK: 0 (default), all
 *    that the user has pinned through any iommufd; 1, the locked memory of the
 *    process that maps. For the whole context, so the object ID is 0. To set it
 *    takes CAP_SYS_RESOURCE (else EPERM) and a context that has no objects yet
 *    (else EBUSY).
 * @IOMMU_OPTION_HUGE_PAGES:
 *    1 (default), contiguous memory may be mapped by large pages of the IOMMU;
 *    0, all is mapped by single pages, and so has to be aligned to them. Of an
 *    IOAS. To set 0, nothing may be mapped while a device is attached (else
 *    EINVAL), nor be aligned to less than a page (else EADDRINUSE).
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - direction of ioctl(IOMMU_OPTION)
 * @IOMMU_OPTION_OP_SET: change it to the given value
 * @IOMMU_OPTION_OP_GET: say what it is
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - ioctl(IOMMU_OPTION), one small setting
 * @size: sizeof(struct iommu_option)
 * @option_id: of enum iommufd_option
 * @op: of enum iommufd_option_ops
 * @__reserved: 0
 * @object_id: the object that has the option, 0 for the context
 * @val64: value, in or out
 *
 * EOPNOTSUPP: no such option or operation, or an object ID for an option of the
 * context. EINVAL: a value other than those listed.
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};

#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - what to do with the IOAS of the container ioctls
 * @IOMMU_VFIO_IOAS_GET: tell its ID
 * @IOMMU_VFIO_IOAS_SET: let it be this one
 * @IOMMU_VFIO_IOAS_CLEAR: let it be none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - ioctl(IOMMU_VFIO_IOAS), IOAS of the container ioctls
 * @size: sizeof(struct iommu_vfio_ioas)
 * @ioas_id: in for set, out for get
 * @op: of enum iommufd_vfio_ioas_op
 * @__reserved: 0
 *
 * The ioctls of a VFIO container (linux/vfio.h) also work on an iommufd, and
 * know of one address space only, which is the one set here. Where none is set,
 * VFIO_GROUP_SET_CONTAINER makes one and sets it. A group that is in the
 * container stays with the IOAS that it found, and clearing destroys nothing.
 *
 * ENODEV: get, and there is none.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};

#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/**
 * enum iommufd_hwpt_alloc_flags - what a hardware page table is for
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: others can be nested on it: it translates the
 *                                addresses that their tables give
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: it can record what devices write. Devices
 *                                   whose IOMMU cannot do so are refused
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults go to the queue that fault_id names
 * @IOMMU_HWPT_ALLOC_PASID: it can be attached to PASIDs. To attach any PASID of
 *                          a device, the table that the device itself is
 *                          attached to needs this flag as well, and so neither
 *                          should be an automatic one of an IOAS
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - attributes of an Intel VT-d stage-1 table
 * @IOMMU_VTD_S1_SRE: requests of supervisor privilege are served
 * @IOMMU_VTD_S1_EAFE: the extended accessed bit is used
 * @IOMMU_VTD_S1_WPE: write protection binds supervisor requests too
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - Intel VT-d stage-1 table of the user
 *                            (IOMMU_HWPT_DATA_VTD_S1)
 * @flags: of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: where the top level of the table is, as an address that the
 *              parent translates
 * @addr_width: bits of an input address
 * @__reserved: 0
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/**
 * struct iommu_hwpt_arm_smmuv3 - part of a guest's Arm SMMUv3 stream table
 *                                entry (IOMMU_HWPT_DATA_ARM_SMMUV3)
 * @ste: 64-bit words 0 and 1 of the entry, little-endian
 *
 * Of word 0 the fields V, Cfg, S1Fmt, S1ContextPtr and S1CDMax may be set, of
 * word 1 EATS, S1DSS, S1CIR, S1COR, S1CSH and S1STALLD (section 5.2 of the
 * SMMUv3 specification). Anything else, and a combination that the architecture
 * does not allow, is EIO.
 *
 * Cfg may ask for stage-1 translation, for bypass, which leaves the parent as
 * the only stage, or for abort. S1ContextPtr and what it leads to are addresses
 * that the parent translates.
 *
 * With translation the device needs its virtual stream ID, a vDEVICE, before
 * the table is attached, because ATS and context descriptor invalidations and
 * events name it. Bypass and abort can be attached without, as a guest has them
 * before it enables its SMMU; but events of that device cannot be delivered
 * until it has one, so make it and attach again as soon as the ID is known.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/**
 * struct iommu_hwpt_amd_guest - a guest's AMD device table entry
 *                               (IOMMU_HWPT_DATA_AMD_GUEST)
 * @dte: the entry's 256 bits
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * enum iommu_hwpt_data_type - what the data of ioctl(IOMMU_HWPT_ALLOC) is
 * @IOMMU_HWPT_DATA_NONE: there is none, the kernel owns the table
 * @IOMMU_HWPT_DATA_VTD_S1: struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * struct iommu_hwpt_alloc - ioctl(IOMMU_HWPT_ALLOC), make a hardware page table
 * @size: sizeof(struct iommu_hwpt_alloc)
 * @flags: of enum iommufd_hwpt_alloc_flags
 * @dev_id: a bound device; the table is made for the IOMMU in front of it
 * @pt_id: an IOAS; or, for a nested table, a table that was made with
 *         %IOMMU_HWPT_ALLOC_NEST_PARENT or a vIOMMU
 * @out_hwpt_id: the new table
 * @__reserved: 0
 * @data_type: of enum iommu_hwpt_data_type
 * @data_len: bytes of data
 * @data_uptr: address of the data
 * @fault_id: fault queue, with %IOMMU_HWPT_FAULT_ID_VALID; else ignored
 * @__reserved2: 0
 *
 * Attaching a device to an IOAS makes a table where none fits, so this call is
 * for those who want a say in it. A device is attached to the result as to an
 * IOAS, by its ID.
 *
 * On an IOAS, with %IOMMU_HWPT_DATA_NONE, the kernel keeps the table equal to
 * the IOAS; @data_len and @data_uptr are 0. Devices whose IOMMU is compatible
 * can share it.
 *
 * On a parent or a vIOMMU, the caller owns the table, in its own memory and in
 * the format that @data_type says, and reports changes by
 * %IOMMU_HWPT_INVALIDATE. The device has to be behind the same IOMMU as what
 * it is nested on.
 *
 * EINVAL: @pt_id is of a type that cannot carry a table, the data does not go
 * with the type, or the IOMMU cannot use this table for this device.
 * EOPNOTSUPP: the IOMMU lacks the feature that a flag or the type asks for.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/**
 * enum iommu_hw_info_vtd_flags - what to know about an Intel VT-d unit
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: it has erratum 772415 (SPR17) of
 *    Intel's list: a table that others are nested on must not map anything
 *    read-only, or devices could write it all the same
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - registers of an Intel VT-d unit
 *                            (IOMMU_HW_INFO_TYPE_INTEL_VTD)
 * @flags: of enum iommu_hw_info_vtd_flags
 * @__reserved: 0
 * @cap_reg: capability register (VT-d specification, 11.4.2)
 * @ecap_reg: extended capability register (11.4.3)
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * enum iommu_hw_info_arm_smmuv3_flags - what to know about an Arm SMMUv3
 * @IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI: TLBI and CFGI commands have
 *    to be issued twice, each time with a SYNC behind them (erratum T264-SMMU-3)
 */
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};

/**
 * struct iommu_hw_info_arm_smmuv3 - registers of an Arm SMMUv3
 *                                   (IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
 * @flags: of enum iommu_hw_info_arm_smmuv3_flags
 * @__reserved: 0
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR
 *
 * As the hardware has them (SMMUv3 specification, 6.3.1 to 6.3.6), hence also
 * with features that the kernel does not make available. What a program may
 * rely on:
 *
 *  - idr[0]: ST_LEVEL, TERM_MODEL, STALL_MODEL, TTENDIAN, CD2L, ASID16, TTF
 *  - idr[1]: SIDSIZE, SSIDSIZE
 *  - idr[3]: BBML, RIL
 *  - idr[5]: VAX, GRAN64K, GRAN16K, GRAN4K
 *
 * All other bits have to be ignored; later kernels may add to the list. Stage 1
 * is there if a nested table can be made, table walks are always coherent, and
 * ATS belongs to each device, not to the SMMU.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - command queue virtualization of an
 *                                       NVIDIA Tegra241
 *                                       (IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV)
 * @flags: 0
 * @version: hardware version, PARAM register bits 3 to 0
 * @log2vcmdqs: queues, as a power of two, PARAM bits 7 to 4
 * @log2vsids: stream ID replacements, as a power of two, PARAM bits 15 to 12
 * @__reserved: 0
 *
 * Each value can go into the PARAM register of a virtual machine as it is. That
 * has one virtual interface, so its PARAM bits 11 to 8 are 0.
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_hw_info_amd - registers of an AMD IOMMU
 *                            (IOMMU_HW_INFO_TYPE_AMD)
 * @efr: extended feature register (AMD IOMMU specification 48882, MMIO offset
 *       0x30)
 * @efr2: extended feature 2 register (MMIO offset 0x1a0)
 *
 * As the hardware has them. A virtual IOMMU may pass on no more than these
 * fields of @efr: GTSup, GASup, GioSup, PPRSup, EPHSup, GATS, GLX, PASmax.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommu_hw_info_type - what the data of ioctl(IOMMU_GET_HW_INFO) is
 * @IOMMU_HW_INFO_TYPE_NONE: out: there is none
 * @IOMMU_HW_INFO_TYPE_DEFAULT: in: whatever the IOMMU has first
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommufd_hw_capabilities - what a device and its IOMMU can do
 * @IOMMU_HW_CAP_DIRTY_TRACKING: tables with %IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
 *    and so %IOMMU_HWPT_SET_DIRTY_TRACKING and %IOMMU_HWPT_GET_DIRTY_BITMAP
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: requests with a PASID may ask for execution;
 *    means nothing while out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: requests with a PASID may be privileged; means
 *    nothing while out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device will not use ATS; without
 *    this bit it may
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - flags of ioctl(IOMMU_GET_HW_INFO)
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: in_data_type says which of the IOMMU's data
 *                                 is wanted
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - ioctl(IOMMU_GET_HW_INFO), the IOMMU of a device
 * @size: sizeof(struct iommu_hw_info)
 * @flags: of enum iommufd_hw_info_flags
 * @dev_id: a bound device
 * @data_len: in: bytes of the buffer, can be 0; out: bytes that the kernel has
 * @data_uptr: address of the buffer
 * @in_data_type: of enum iommu_hw_info_type, with
 *                %IOMMU_HW_INFO_FLAG_INPUT_TYPE; else ignored
 * @out_data_type: of enum iommu_hw_info_type, what was written to the buffer
 * @out_max_pasid_log2: bits of a PASID; 0, the device cannot use PASIDs
 * @__reserved: 0
 * @out_capabilities: bits of enum iommufd_hw_capabilities
 *
 * For programs that show a virtual IOMMU to a guest and for those that want
 * @out_capabilities. A buffer that is smaller than the data gets its beginning,
 * the excess of a larger one is zeroed. An IOMMU driver that has nothing to
 * tell is not an error: type none, length 0.
 *
 * EOPNOTSUPP: the IOMMU has no data of the wanted type.
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - state of dirty tracking
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: on; without it, off
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING),
 *                                        dirty tracking on or off
 * @size: sizeof(struct iommu_hwpt_set_dirty_tracking)
 * @flags: of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: a page table
 * @__reserved: 0
 *
 * Turned on, it starts with everything clean. Calling it for the state that
 * there is already does nothing.
 *
 * EOPNOTSUPP: the table was not made with %IOMMU_HWPT_ALLOC_DIRTY_TRACKING.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, \
					  IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - flags of
 *                                            ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP)
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: leave dirty what is dirty. Saves a
 *    flush when the range is unmapped next and so not asked about again
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP), what
 *                                      devices have written
 * @size: sizeof(struct iommu_hwpt_get_dirty_bitmap)
 * @hwpt_id: a page table
 * @flags: of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: 0
 * @iova: start of the range, multiple of @page_size
 * @length: bytes of the range, multiple of @page_size
 * @page_size: bytes that one bit stands for, a power of two
 * @data: address of an array of 64-bit words
 *
 * Page number n of the range, from 0, is bit n % 64 of word n / 64. The bits
 * of pages that were written since they were last cleared are set; no bit is
 * ever cleared, so a bitmap can gather several calls. The table forgets what it
 * reported, unless told not to. IOVA that are not mapped are clean.
 *
 * EINVAL: tracking is off, the range is empty or not aligned, or the table has
 * no pages that small. EOVERFLOW: the range wraps.
 * EOPNOTSUPP: the table was not made with %IOMMU_HWPT_ALLOC_DIRTY_TRACKING.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};

#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, \
					IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/**
 * enum iommu_hwpt_invalidate_data_type - what the entries of
 *                                        ioctl(IOMMU_HWPT_INVALIDATE) are
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate, for
 *                                     a nested table
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: struct
 *    iommu_viommu_arm_smmuv3_invalidate, for a vIOMMU
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * enum iommu_hwpt_vtd_s1_invalidate_flags - extent of an Intel VT-d stage-1
 *                                           invalidation
 * @IOMMU_VTD_INV_FLAGS_LEAF: only what was cached from leaf entries; without
 *                            it, from all levels
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - an Intel VT-d stage-1 invalidation
 *                                       (IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
 * @addr: first input address, multiple of 4096
 * @npages: pages of 4096 bytes
 * @flags: of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: 0
 *
 * @addr 0 with @npages U64_MAX is everything that was cached from the table.
 * The caches of devices that use ATS are included.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - an Arm SMMUv3 invalidation
 *    (IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
 * @cmd: command queue entry of the guest, 128 bits, little-endian
 *
 * TLBI_NSNH_ALL, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NH_ALL, TLBI_NH_ASID, ATC_INV,
 * CFGI_CD and CFGI_CD_ALL are carried out, with the guest's identifiers
 * replaced by real ones. EIO: any other command.
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - ioctl(IOMMU_HWPT_INVALIDATE), flush caches
 * @size: sizeof(struct iommu_hwpt_invalidate)
 * @hwpt_id: a nested table, or a vIOMMU where the commands also concern other
 *           caches than those of a table
 * @data_uptr: address of an array of entries
 * @data_type: of enum iommu_hwpt_invalidate_data_type
 * @entry_len: bytes of one entry
 * @entry_num: in: entries; out: entries that were carried out
 * @__reserved: 0
 *
 * To be called after a change to a table that the caller owns. The entries are
 * worked off in order, and on failure @entry_num says how many were. With
 * @entry_num 0 nothing is flushed, but @data_type is judged: a way to ask
 * whether it is supported.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};

#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/**
 * enum iommu_hwpt_pgfault_flags - flags of a page fault
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: it has a PASID
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: its group is complete with it and waits for a
 *                                 response
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID		= (1 << 0),
	IOMMU_PGFAULT_FLAGS_LAST_PAGE		= (1 << 1),
};

/**
 * enum iommu_hwpt_pgfault_perm - what the device wanted to do
 * @IOMMU_PGFAULT_PERM_READ: read
 * @IOMMU_PGFAULT_PERM_WRITE: write
 * @IOMMU_PGFAULT_PERM_EXEC: execute (PCIe 10.4.1, PASID prefix)
 * @IOMMU_PGFAULT_PERM_PRIV: all that with privilege (same place)
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ			= (1 << 0),
	IOMMU_PGFAULT_PERM_WRITE		= (1 << 1),
	IOMMU_PGFAULT_PERM_EXEC			= (1 << 2),
	IOMMU_PGFAULT_PERM_PRIV			= (1 << 3),
};

/**
 * struct iommu_hwpt_pgfault - a page fault, as read from a fault queue's fd
 * @flags: of enum iommu_hwpt_pgfault_flags
 * @dev_id: the bound device that faulted
 * @pasid: its PASID, if the flags say so
 * @grpid: page request group index of PCIe
 * @perm: bits of enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: input address
 * @length: bytes that the device will likely want from there on; 0, unknown
 * @cookie: names the group to the kernel; the response gives back that of the
 *          group's last page
 *
 * A read() returns whole groups only, as many as fit.
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - answers to a group of page faults
 * @IOMMUFD_PAGE_RESP_SUCCESS: the tables have been filled, try again (PCIe
 *                             10.4.2.1, Success)
 * @IOMMUFD_PAGE_RESP_INVALID: there is nothing, do not try again (Invalid
 *                             Request)
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - written to a fault queue's fd
 * @cookie: of the fault
 * @code: of enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - ioctl(IOMMU_FAULT_QUEUE_ALLOC), make a fault queue
 * @size: sizeof(struct iommu_fault_alloc)
 * @flags: 0
 * @out_fault_id: the new queue, for struct iommu_hwpt_alloc
 * @out_fault_fd: file of the queue, close-on-exec: read() gives struct
 *                iommu_hwpt_pgfault, write() takes struct
 *                iommu_hwpt_page_response, poll() waits
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};

#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/**
 * enum iommu_viommu_type - which hardware a virtual IOMMU is a slice of
 * @IOMMU_VIOMMU_TYPE_DEFAULT: none yet
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: Arm SMMUv3 with the command queue
 *    virtualization of an NVIDIA Tegra241. It gets a virtual interface that is
 *    not the hypervisor's, so HYP_OWN of the guest's VINTF_CONFIG has to be
 *    wired to 0
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_viommu_tegra241_cmdqv - page 0 of a Tegra241 virtual interface
 *                                      (IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV)
 * @out_vintf_mmap_offset: offset for mmap() of the iommufd
 * @out_vintf_mmap_length: length for mmap()
 *
 * A virtual machine monitor maps it and shows it to the guest, which then works
 * its queues without exits.
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - ioctl(IOMMU_VIOMMU_ALLOC), make a virtual IOMMU
 * @size: sizeof(struct iommu_viommu_alloc)
 * @flags: 0
 * @type: of enum iommu_viommu_type
 * @dev_id: a bound device, whose IOMMU is the one to slice
 * @hwpt_id: a table made with %IOMMU_HWPT_ALLOC_NEST_PARENT
 * @out_viommu_id: the new vIOMMU
 * @data_len: bytes of data
 * @__reserved: 0
 * @data_uptr: address of the data that goes with @type
 *
 * A vIOMMU is what one virtual machine has of one physical IOMMU beside page
 * tables: its own name space of device and cache identifiers, its events, its
 * invalidations, its hardware queues. Nested tables can be made on it, and a
 * parent table be shared by the vIOMMUs of several physical IOMMUs.
 *
 * EINVAL: the table is not a parent. EOPNOTSUPP: the IOMMU has nothing of that
 * type.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};

#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - ioctl(IOMMU_VDEVICE_ALLOC), name a device to a
 *                              virtual IOMMU
 * @size: sizeof(struct iommu_vdevice_alloc)
 * @viommu_id: the vIOMMU
 * @dev_id: a bound device behind the same IOMMU
 * @out_vdevice_id: the new vDEVICE
 * @virt_id: what the guest calls it: virtual stream ID of an SMMUv3, device ID
 *           of an AMD IOMMU, requester ID of VT-d
 *
 * To be destroyed before the device's file is closed. If it is not, it is taken
 * off the device then, and its ID is lost until the context is closed: it can
 * be neither used nor destroyed.
 *
 * EEXIST: the device has a vDEVICE, or the vIOMMU has that @virt_id.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};

#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/**
 * struct iommu_ioas_change_process - ioctl(IOMMU_IOAS_CHANGE_PROCESS), take
 *                                    over the locked memory
 * @size: sizeof(struct iommu_ioas_change_process)
 * @__reserved: 0
 *
 * For a process that got the context from another one, by exec() or over a
 * socket, and goes on while that ends: what all mappings of all its IOAS
 * have pinned is charged to the caller from now on instead. The devices do not
 * notice.
 *
 * EINVAL: some memory was not mapped by %IOMMU_IOAS_MAP_FILE and so belongs to
 * an address space; device memory does not. ENOMEM: more than the caller may lock.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};

#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/**
 * enum iommu_veventq_flag - flags of an event's header
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were lost here, and no event follows
 *                                  this header
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = (1U << 0),
};

/**
 * struct iommufd_vevent_header - stands before each event of an event queue
 * @flags: of enum iommu_veventq_flag
 * @sequence: number of the event; 0 comes after INT_MAX
 *
 * The queue numbers all events, also those that it had no room for. So after a
 * header with 3, one with 6 means that 4 and 5 are lost. If the newest events
 * are lost, and there is none behind them whose number would show it, a header
 * with %IOMMU_VEVENTQ_FLAG_LOST_EVENTS and no event ends the queue.
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - which events a queue is for
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: none yet
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_vevent_arm_smmuv3 - an Arm SMMUv3 event
 *                                  (IOMMU_VEVENTQ_TYPE_ARM_SMMUV3)
 * @evt: event record, 256 bits, little-endian
 *
 * As the hardware wrote it (SMMUv3 specification, 7.3), but with the virtual
 * stream ID of the device, which therefore needs a vDEVICE to be heard. Comes
 * for C_BAD_STE (0x04), F_STREAM_DISABLED (0x06), C_BAD_SUBSTREAMID (0x08),
 * C_BAD_CD (0x0a), F_TRANSLATION (0x10), F_ADDR_SIZE (0x11), F_ACCESS (0x12)
 * and F_PERMISSION (0x13).
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - a Tegra241 command queue error
 *                                      (IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV)
 * @lvcmdq_err_map: a bit for each logical queue of the virtual interface, 128
 *                  bits, little-endian, as in its LVCMDQ_ERR_MAP registers
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - ioctl(IOMMU_VEVENTQ_ALLOC), make an event queue
 * @size: sizeof(struct iommu_veventq_alloc)
 * @flags: 0
 * @viommu_id: the vIOMMU that reports
 * @type: of enum iommu_veventq_type
 * @veventq_depth: events that it holds, at least 1; what comes while it is full
 *                 is lost
 * @out_veventq_id: the new queue
 * @out_veventq_fd: file of the queue, close-on-exec; the caller closes it
 * @__reserved: 0
 *
 * A read() gives events in order, each a struct iommufd_vevent_header with what
 * @type says behind it, whole ones only; poll() waits.
 *
 * EEXIST: the vIOMMU has a queue of that type.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};

#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/**
 * enum iommu_hw_queue_type - queues that hardware serves for a guest directly
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: none yet
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: command queue of an NVIDIA Tegra241.
 *    Made from index 0 upwards, without gaps, and destroyed from the highest
 *    one downwards. The length is a power of two of bytes, 32 at least, and
 *    16 << CMDQS of the SMMU's idr[1] at most; the address is a multiple of it.
 *    It has to be physically contiguous: back it by one page or huge page, and
 *    keep the guest's IDR1.CMDQS small enough for that
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - ioctl(IOMMU_HW_QUEUE_ALLOC), give a queue in
 *                               guest memory to the hardware
 * @size: sizeof(struct iommu_hw_queue_alloc)
 * @flags: 0
 * @viommu_id: the vIOMMU that the queue belongs to
 * @type: of enum iommu_hw_queue_type
 * @index: number of the queue, counted for each type separately
 * @out_hw_queue_id: the new queue
 * @nesting_parent_iova: where its memory is, as an address that the vIOMMU's
 *                       parent table translates
 * @length: bytes of its memory
 *
 * The memory stays pinned and cannot be unmapped from the IOAS while the queue
 * exists.
 *
 * EINVAL: @length is 0, or the range is not one that the hardware can take.
 * ENOENT: the memory is not mapped. EEXIST: that index is in use.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};

#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif
