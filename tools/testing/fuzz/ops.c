// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations: every ioctl of the iommufd, of the type 1 container, of the
 * mock driver and of VFIO's files, and what programs do to their memory and
 * their files meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "../../../drivers/iommu/iommufd/iommufd_test.h"
#include "../../../drivers/vfio/test/vfio_test.h"
#include "fuzz.h"

/* Of a field that is the result of the ioctl itself */
#define RESULT	255

#define F(_name, _kind, _struct, _member)				\
	{ _name, ARG_ ## _kind, offsetof(struct _struct, _member),	\
	  sizeof(((struct _struct *)0)->_member) }
#define T(_name, _kind, _member) F(_name, _kind, iommu_test_cmd, _member)
#define V(_name, _kind)	{ _name, ARG_ ## _kind, 0, 0 }
#define IN(...)		.in = { __VA_ARGS__ }
#define OUT(...)	.out = { __VA_ARGS__ }

#define IOCTL(_name, _weight, _cmd, _struct, ...)			\
	{ .name = _name, .weight = _weight, .cmd = _cmd,		\
	  .size = sizeof(struct _struct), __VA_ARGS__ }
#define TEST(_name, _weight, _op, ...)					\
	IOCTL(_name, _weight, IOMMU_TEST_CMD, iommu_test_cmd,		\
	      .sub = IOMMU_TEST_OP_ ## _op,				\
	      .sub_offset = offsetof(struct iommu_test_cmd, op), __VA_ARGS__)
#define ON_FILE(_name, _weight, _cmd, _struct, ...)			\
	IOCTL(_name, _weight, _cmd, _struct, .on_file = true, __VA_ARGS__)
#define CALL(_name, _weight, _run, ...)					\
	{ .name = _name, .weight = _weight, .run = _run, __VA_ARGS__ }

/* Structs of variable size, as long as is useful */
struct fuzz_unmap {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
	__u64 size;
	__u64 pgsize;
	__u64 bitmap_size;
	__u64 data;
};

struct fuzz_dirty {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
	__u64 size;
	__u64 pgsize;
	__u64 bitmap_size;
	__u64 data;
};

struct fuzz_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 more;
	__u8 caps[200];
};

struct fuzz_irqs {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__s32 data[4];
};

struct fuzz_feature {
	__u32 argsz;
	__u32 flags;
	__u64 data[4];
	__u64 more[4];
};

struct fuzz_bind {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__u64 token;
};

struct fuzz_attach {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};

struct fuzz_hot_reset {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 groups[3];
};

/* ---- files */

#define MAX_NODES	8

static char device_nodes[MAX_NODES][280];
static char group_nodes[MAX_NODES][280];
static char device_names[MAX_NODES][280];

static int is_node(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "vfio") &&
	       strcmp(entry->d_name, "devices");
}

static unsigned int list(char nodes[MAX_NODES][280], const char *dir, bool path)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_node, alphasort);
	int i;

	for (i = 0; i < n; i++) {
		if (i < MAX_NODES)
			snprintf(nodes[i], sizeof(nodes[0]), "%s%s%s",
				 path ? dir : "", path ? "/" : "",
				 entries[i]->d_name);
		free(entries[i]);
	}
	if (n < 0)
		return 0;
	free(entries);
	return n < MAX_NODES ? n : MAX_NODES;
}

static void find_nodes(void)
{
	static bool done;
	unsigned int i, n;
	char dir[300];

	if (done)
		return;
	done = true;
	list(device_nodes, "/dev/vfio/devices", true);
	n = list(group_nodes, "/dev/vfio", true);
	for (i = 0; i != n; i++) {
		char names[MAX_NODES][280];

		snprintf(dir, sizeof(dir), "/sys/kernel/iommu_groups/%s/devices",
			 strrchr(group_nodes[i], '/') + 1);
		if (list(names, dir, false))
			memcpy(device_names[i], names[0], sizeof(names[0]));
	}
}

static long open_node(char nodes[MAX_NODES][280], enum kind kind, uint64_t which)
{
	int fd;

	find_nodes();
	fd = open(nodes[which % MAX_NODES], O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		pool_add(kind, fd);
	return fd;
}

static long do_open(const uint64_t *arg)
{
	return open_iommufd(arg[0] & 1 ? "/dev/vfio/vfio" : "/dev/iommu");
}

static long do_use(const uint64_t *arg)
{
	iommufd = arg[0];
	return 0;
}

static long do_open_device(const uint64_t *arg)
{
	return open_node(device_nodes, ARG_DEVICE, arg[0]);
}

static long do_open_group(const uint64_t *arg)
{
	return open_node(group_nodes, ARG_GROUP, arg[0]);
}

static long do_group_device(const uint64_t *arg)
{
	int fd;

	find_nodes();
	fd = ioctl(arg[0], VFIO_GROUP_GET_DEVICE_FD,
		   device_names[arg[1] % MAX_NODES]);
	if (fd >= 0)
		pool_add(ARG_DEVICE, fd);
	return fd;
}

static long do_set_container(const uint64_t *arg)
{
	int fd = arg[1];

	return ioctl(arg[0], VFIO_GROUP_SET_CONTAINER, &fd);
}

static long do_unset_container(const uint64_t *arg)
{
	return ioctl(arg[0], VFIO_GROUP_UNSET_CONTAINER);
}

static long do_close(const uint64_t *arg)
{
	return close(arg[0]);
}

static long do_dup(const uint64_t *arg)
{
	int fd = fcntl(arg[0], F_DUPFD_CLOEXEC, FIRST_FD);

	if (fd >= 0)
		pool_add(ARG_IOMMUFD, fd);
	return fd;
}

static long do_fdinfo(const uint64_t *arg)
{
	static __thread char buf[8192];
	char path[64];
	long rc;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", (int)arg[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	rc = read(fd, buf, sizeof(buf));
	close(fd);
	return rc;
}

static long do_memfd(const uint64_t *arg)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING |
			      (arg[1] & 1 ? MFD_HUGETLB : 0));

	if (fd < 0)
		return fd;
	pool_add(ARG_FILE, fd);
	return ftruncate(fd, arg[0] & 0xffffff);
}

static long do_truncate(const uint64_t *arg)
{
	return ftruncate(arg[0], arg[1] & 0xffffff);
}

static long do_punch(const uint64_t *arg)
{
	return fallocate(arg[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 arg[1] & 0xffffff, arg[2] & 0xffffff);
}

static long do_seal(const uint64_t *arg)
{
	return fcntl(arg[0], F_ADD_SEALS, arg[1] & 0x1f);
}

static long do_eventfd(const uint64_t *arg)
{
	int fd = eventfd(arg[0], EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd >= 0)
		pool_add(ARG_EVENT, fd);
	return fd;
}

/* Files of queues, which have no position. Page faults are read as a number of whole ones. */
static long do_read(const uint64_t *arg)
{
	size_t faults = arg[3] * sizeof(struct iommu_hwpt_pgfault);

	memory_changed = true;
	return read(arg[0], (void *)arg[1], arg[3] ? faults : arg[2]);
}

static long do_write(const uint64_t *arg)
{
	return write(arg[0], (void *)arg[1], arg[2]);
}

static long do_poll(const uint64_t *arg)
{
	struct pollfd fd = { .fd = arg[0], .events = arg[1] };

	/* Not long: the other thread may be what it waits for, or nobody */
	return poll(&fd, 1, arg[2] & 3);
}

/* Some answers to page faults, whose cookies are small numbers */
static long do_respond(const uint64_t *arg)
{
	struct iommu_hwpt_page_response answers[4];
	unsigned int i, n = 1 + (arg[3] & 3);

	for (i = 0; i != n; i++)
		answers[i] = (struct iommu_hwpt_page_response){
			.cookie = arg[1] + i,
			.code = arg[2],
		};
	return write(arg[0], answers, n * sizeof(answers[0]));
}

/* Where the regions of a device are in its file, as drivers of PCI have it */
static uint64_t region_offset(uint64_t region, uint64_t offset)
{
	return (region << 40) + offset;
}

#define CONFIG_REGION	7
#define MTTY_ID		0x32534348

/*
 * The kernel's sample mtty takes the number of a BAR as that of a serial port, of
 * which it has two at most, and reads behind the end of its array. That is not
 * what we look for: of the BARs of one, only those of its ports.
 */
static uint64_t bar_offset(int fd, uint64_t region, uint64_t offset)
{
	uint64_t at = region_offset(region, offset);
	uint32_t id;

	/* The offset may lead into another one */
	region = at >> 40;
	if (region > 1 && region < 6 &&
	    pread(fd, &id, sizeof(id), region_offset(CONFIG_REGION, 0)) ==
		    sizeof(id) && id == MTTY_ID)
		at &= ~region_offset(6, 0);
	return at;
}

static long do_pread(const uint64_t *arg)
{
	return pread(arg[0], (void *)arg[1], arg[2],
		     bar_offset(arg[0], arg[3], arg[4]));
}

static long do_pwrite(const uint64_t *arg)
{
	return pwrite(arg[0], (void *)arg[1], arg[2],
		      bar_offset(arg[0], arg[3], arg[4]));
}

/* Everywhere in the 4 KiB of a device's configuration */
static uint64_t config_offset(const uint64_t *arg)
{
	return (arg[1] + 0x40 * arg[2]) & 0xfff;
}

static long do_config_write(const uint64_t *arg)
{
	static const uint8_t widths[] = { 4, 2, 1, 3 };

	return pwrite(arg[0], &arg[3], widths[arg[4] % ARRAY_LEN(widths)],
		      region_offset(CONFIG_REGION, config_offset(arg)));
}

static long do_config_read(const uint64_t *arg)
{
	static __thread uint8_t config[256];

	return pread(arg[0], config, sizeof(config),
		     region_offset(CONFIG_REGION, config_offset(arg)));
}

/* What the next user finds of what one has left in the device */
static long do_reopen(const uint64_t *arg)
{
	struct fuzz_bind bind = {
		.argsz = offsetof(struct fuzz_bind, token),
	};
	long fd;

	close(arg[0]);
	fd = open_node(device_nodes, ARG_DEVICE, arg[1]);
	if (fd < 0)
		return fd;
	bind.iommufd = iommufd;
	if (ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -1;
	pool_add(ARG_IDEV, bind.out_devid);
	return fd;
}

/* ---- memory */

static bool in_memory(uint64_t address, uint64_t length)
{
	return address >= MEMORY && length <= MEMORY_SIZE &&
	       address + length <= MEMORY + MEMORY_SIZE;
}

/* The pages around a range, which the page-wise calls want */
static uint64_t down(uint64_t address)
{
	return address & ~(PAGE - 1);
}

static long do_munmap(const uint64_t *arg)
{
	if (!in_memory(arg[0], arg[1]))
		return -EINVAL;
	memory_changed = true;
	return munmap((void *)down(arg[0]), arg[1]);
}

static long do_madvise(const uint64_t *arg)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_POPULATE_WRITE,
		MADV_POPULATE_READ, MADV_WIPEONFORK, MADV_MERGEABLE,
	};

	if (!in_memory(arg[0], arg[1]))
		return -EINVAL;
	memory_changed = true;
	return madvise((void *)down(arg[0]), arg[1],
		       advice[arg[2] % ARRAY_LEN(advice)]);
}

static long do_mprotect(const uint64_t *arg)
{
	if (!in_memory(arg[0], arg[1]))
		return -EINVAL;
	memory_changed = true;
	return mprotect((void *)down(arg[0]), arg[1],
			arg[2] & (PROT_READ | PROT_WRITE));
}

static long do_slow(const uint64_t *arg)
{
	if (!in_memory(arg[0], arg[1]))
		return -EINVAL;
	memory_changed = true;
	return slow_register(down(arg[0]), (arg[1] + PAGE - 1) & ~(PAGE - 1),
			     arg[2]);
}

static long do_mmap(const uint64_t *arg)
{
	void *at = (void *)down(arg[0]);
	int flags = MAP_FIXED | (arg[2] & 1 ? MAP_PRIVATE : MAP_SHARED);

	if (!in_memory(arg[0], arg[1]))
		return -EINVAL;
	memory_changed = true;
	at = mmap(at, arg[1],
		  PROT_READ | PROT_WRITE | (arg[2] & 4 ? PROT_EXEC : 0),
		  flags | (arg[2] & 2 ? MAP_ANONYMOUS : 0),
		  arg[2] & 2 ? -1 : (int)arg[3],
		  region_offset(arg[4], arg[5]));
	return at == MAP_FAILED ? -1 : 0;
}

/* The memory of virtual IOMMUs: two pages each, one behind the other from the second on */
static long do_mmap_iommufd(const uint64_t *arg)
{
	static const uint64_t lengths[] = { 2 * PAGE, PAGE, 3 * PAGE, 4 * PAGE };
	const uint64_t mmap_arg[] = {
		arg[0], lengths[arg[3] & 3], arg[4], arg[1], 0,
		(1 + 2 * arg[2]) * PAGE,
	};

	return do_mmap(mmap_arg);
}

/* ---- the process */

static long do_fork(const uint64_t *arg)
{
	exec_fork(1 + (arg[0] & 7), false);
	return 0;
}

static long do_nobody(const uint64_t *arg)
{
	exec_fork(1 + (arg[0] & 15), true);
	return 0;
}

/* A word of the next struct, in place of what the operation says */
static __thread struct {
	bool armed;
	uint8_t offset;
	uint32_t value;
} poke;

static long do_poke(const uint64_t *arg)
{
	poke.armed = true;
	poke.offset = arg[0] & ~3;
	poke.value = arg[1];
	return 0;
}

/* How much may be pinned, and by whom: 0 everything */
static long do_limit(const uint64_t *arg)
{
	struct rlimit limit = { arg[0], RLIM_INFINITY };
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return -1;
	caps[0].effective = caps[0].permitted;
	caps[1].effective = caps[1].permitted;
	if (!arg[0]) {
		limit.rlim_cur = RLIM_INFINITY;
	} else {
		caps[0].effective &= ~(1U << CAP_IPC_LOCK |
				       1U << CAP_SYS_RESOURCE |
				       1U << CAP_SYS_RAWIO);
	}
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return -1;
	return syscall(SYS_capset, &head, caps);
}

/* ---- ioctls whose argument is no struct of fixed layout */

static long do_api_version(const uint64_t *arg)
{
	return ioctl(iommufd, VFIO_GET_API_VERSION, arg[0]);
}

static long do_check_extension(const uint64_t *arg)
{
	return ioctl(iommufd, VFIO_CHECK_EXTENSION, arg[0]);
}

static long do_set_iommu(const uint64_t *arg)
{
	return ioctl(iommufd, VFIO_SET_IOMMU, arg[0]);
}

static long do_reset(const uint64_t *arg)
{
	return ioctl(arg[0], VFIO_DEVICE_RESET);
}

static long do_any_ioctl(const uint64_t *arg)
{
	return ioctl(arg[0], _IO(VFIO_TYPE, VFIO_BASE + (arg[1] & 0x3f)),
		     arg[2]);
}

const struct op ops[] = {
	/* iommufd */
	IOCTL("destroy", 8, IOMMU_DESTROY, iommu_destroy,
	      IN(F("id", IOAS, iommu_destroy, id))),
	IOCTL("ioas_alloc", 8, IOMMU_IOAS_ALLOC, iommu_ioas_alloc,
	      IN(F("flags", NUMBER, iommu_ioas_alloc, flags)),
	      OUT(F("", IOAS, iommu_ioas_alloc, out_ioas_id))),
	IOCTL("ioas_allow", 3, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas,
	      IN(F("ioas", IOAS, iommu_ioas_allow_iovas, ioas_id),
		 F("num", NUMBER, iommu_ioas_allow_iovas, num_iovas),
		 F("ranges", ADDRESS, iommu_ioas_allow_iovas, allowed_iovas))),
	IOCTL("ioas_ranges", 2, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges,
	      IN(F("ioas", IOAS, iommu_ioas_iova_ranges, ioas_id),
		 F("num", NUMBER, iommu_ioas_iova_ranges, num_iovas),
		 F("ranges", ADDRESS, iommu_ioas_iova_ranges, allowed_iovas))),
	IOCTL("ioas_map", 30, IOMMU_IOAS_MAP, iommu_ioas_map,
	      IN(F("flags", NUMBER, iommu_ioas_map, flags),
		 F("ioas", IOAS, iommu_ioas_map, ioas_id),
		 F("va", ADDRESS, iommu_ioas_map, user_va),
		 F("length", LENGTH, iommu_ioas_map, length),
		 F("iova", IOVA, iommu_ioas_map, iova)),
	      OUT(F("", IOVA, iommu_ioas_map, iova),
		  F("", LENGTH, iommu_ioas_map, length))),
	IOCTL("ioas_map_file", 12, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file,
	      IN(F("flags", NUMBER, iommu_ioas_map_file, flags),
		 F("ioas", IOAS, iommu_ioas_map_file, ioas_id),
		 F("fd", FILE, iommu_ioas_map_file, fd),
		 F("start", LENGTH, iommu_ioas_map_file, start),
		 F("length", LENGTH, iommu_ioas_map_file, length),
		 F("iova", IOVA, iommu_ioas_map_file, iova)),
	      OUT(F("", IOVA, iommu_ioas_map_file, iova),
		  F("", LENGTH, iommu_ioas_map_file, length))),
	IOCTL("ioas_copy", 12, IOMMU_IOAS_COPY, iommu_ioas_copy,
	      IN(F("flags", NUMBER, iommu_ioas_copy, flags),
		 F("dst", IOAS, iommu_ioas_copy, dst_ioas_id),
		 F("src", IOAS, iommu_ioas_copy, src_ioas_id),
		 F("length", LENGTH, iommu_ioas_copy, length),
		 F("dst_iova", IOVA, iommu_ioas_copy, dst_iova),
		 F("src_iova", IOVA, iommu_ioas_copy, src_iova)),
	      OUT(F("", IOVA, iommu_ioas_copy, dst_iova),
		  F("", LENGTH, iommu_ioas_copy, length))),
	IOCTL("ioas_unmap", 12, IOMMU_IOAS_UNMAP, iommu_ioas_unmap,
	      IN(F("ioas", IOAS, iommu_ioas_unmap, ioas_id),
		 F("iova", IOVA, iommu_ioas_unmap, iova),
		 F("length", LENGTH, iommu_ioas_unmap, length))),
	IOCTL("change_process", 3, IOMMU_IOAS_CHANGE_PROCESS,
	      iommu_ioas_change_process),
	IOCTL("option", 4, IOMMU_OPTION, iommu_option,
	      IN(F("option", NUMBER, iommu_option, option_id),
		 F("op", NUMBER, iommu_option, op),
		 F("id", IOAS, iommu_option, object_id),
		 F("val", NUMBER, iommu_option, val64))),
	IOCTL("vfio_ioas", 4, IOMMU_VFIO_IOAS, iommu_vfio_ioas,
	      IN(F("ioas", IOAS, iommu_vfio_ioas, ioas_id),
		 F("op", NUMBER, iommu_vfio_ioas, op)),
	      OUT(F("", IOAS, iommu_vfio_ioas, ioas_id))),
	IOCTL("hwpt_alloc", 8, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc,
	      IN(F("flags", NUMBER, iommu_hwpt_alloc, flags),
		 F("dev", IDEV, iommu_hwpt_alloc, dev_id),
		 F("pt", IOAS, iommu_hwpt_alloc, pt_id),
		 F("type", NUMBER, iommu_hwpt_alloc, data_type),
		 F("len", NUMBER, iommu_hwpt_alloc, data_len),
		 F("data", ADDRESS, iommu_hwpt_alloc, data_uptr),
		 F("fault", FAULT, iommu_hwpt_alloc, fault_id)),
	      OUT(F("", HWPT, iommu_hwpt_alloc, out_hwpt_id))),
	IOCTL("hwpt_invalidate", 5, IOMMU_HWPT_INVALIDATE,
	      iommu_hwpt_invalidate,
	      IN(F("hwpt", HWPT, iommu_hwpt_invalidate, hwpt_id),
		 F("data", ADDRESS, iommu_hwpt_invalidate, data_uptr),
		 F("type", NUMBER, iommu_hwpt_invalidate, data_type),
		 F("len", NUMBER, iommu_hwpt_invalidate, entry_len),
		 F("num", NUMBER, iommu_hwpt_invalidate, entry_num))),
	IOCTL("set_dirty", 4, IOMMU_HWPT_SET_DIRTY_TRACKING,
	      iommu_hwpt_set_dirty_tracking,
	      IN(F("flags", NUMBER, iommu_hwpt_set_dirty_tracking, flags),
		 F("hwpt", HWPT, iommu_hwpt_set_dirty_tracking, hwpt_id))),
	IOCTL("get_dirty", 6, IOMMU_HWPT_GET_DIRTY_BITMAP,
	      iommu_hwpt_get_dirty_bitmap,
	      IN(F("hwpt", HWPT, iommu_hwpt_get_dirty_bitmap, hwpt_id),
		 F("flags", NUMBER, iommu_hwpt_get_dirty_bitmap, flags),
		 F("iova", IOVA, iommu_hwpt_get_dirty_bitmap, iova),
		 F("length", LENGTH, iommu_hwpt_get_dirty_bitmap, length),
		 F("page_size", LENGTH, iommu_hwpt_get_dirty_bitmap, page_size),
		 F("data", ADDRESS, iommu_hwpt_get_dirty_bitmap, data))),
	IOCTL("hw_info", 2, IOMMU_GET_HW_INFO, iommu_hw_info,
	      /* User-mode Linux takes the length of clear_user() for an int. */
	      .no_poke = true,
	      IN(F("flags", NUMBER, iommu_hw_info, flags),
		 F("dev", IDEV, iommu_hw_info, dev_id),
		 { "len", ARG_NUMBER, offsetof(struct iommu_hw_info, data_len),
		   sizeof(__u16) },
		 F("data", ADDRESS, iommu_hw_info, data_uptr),
		 F("type", NUMBER, iommu_hw_info, in_data_type))),
	IOCTL("fault_alloc", 4, IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc,
	      IN(F("flags", NUMBER, iommu_fault_alloc, flags)),
	      OUT(F("", FAULT, iommu_fault_alloc, out_fault_id),
		  F("", FILE, iommu_fault_alloc, out_fault_fd))),
	IOCTL("viommu_alloc", 4, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc,
	      IN(F("flags", NUMBER, iommu_viommu_alloc, flags),
		 F("type", NUMBER, iommu_viommu_alloc, type),
		 F("dev", IDEV, iommu_viommu_alloc, dev_id),
		 F("hwpt", HWPT, iommu_viommu_alloc, hwpt_id),
		 F("len", NUMBER, iommu_viommu_alloc, data_len),
		 F("data", ADDRESS, iommu_viommu_alloc, data_uptr)),
	      OUT(F("", VIOMMU, iommu_viommu_alloc, out_viommu_id))),
	IOCTL("vdevice_alloc", 4, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc,
	      IN(F("viommu", VIOMMU, iommu_vdevice_alloc, viommu_id),
		 F("dev", IDEV, iommu_vdevice_alloc, dev_id),
		 F("virt", NUMBER, iommu_vdevice_alloc, virt_id)),
	      OUT(F("", VDEVICE, iommu_vdevice_alloc, out_vdevice_id))),
	IOCTL("veventq_alloc", 4, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc,
	      IN(F("flags", NUMBER, iommu_veventq_alloc, flags),
		 F("viommu", VIOMMU, iommu_veventq_alloc, viommu_id),
		 F("type", NUMBER, iommu_veventq_alloc, type),
		 F("depth", NUMBER, iommu_veventq_alloc, veventq_depth)),
	      OUT(F("", QUEUE, iommu_veventq_alloc, out_veventq_id),
		  F("", FILE, iommu_veventq_alloc, out_veventq_fd))),
	IOCTL("hw_queue_alloc", 4, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc,
	      IN(F("flags", NUMBER, iommu_hw_queue_alloc, flags),
		 F("viommu", VIOMMU, iommu_hw_queue_alloc, viommu_id),
		 F("type", NUMBER, iommu_hw_queue_alloc, type),
		 F("index", NUMBER, iommu_hw_queue_alloc, index),
		 F("iova", IOVA, iommu_hw_queue_alloc, nesting_parent_iova),
		 F("length", LENGTH, iommu_hw_queue_alloc, length)),
	      OUT(F("", QUEUE, iommu_hw_queue_alloc, out_hw_queue_id))),
	IOCTL("noiommu_get_pa", 1, IOMMU_IOAS_NOIOMMU_GET_PA,
	      iommu_ioas_noiommu_get_pa,
	      IN(F("ioas", IOAS, iommu_ioas_noiommu_get_pa, ioas_id),
		 F("iova", IOVA, iommu_ioas_noiommu_get_pa, iova),
		 F("length", LENGTH, iommu_ioas_noiommu_get_pa, length))),

	/* The mock driver */
	TEST("reserve", 3, ADD_RESERVED,
	     IN(T("ioas", IOAS, id), T("start", IOVA, add_reserved.start),
		T("length", LENGTH, add_reserved.length))),
	TEST("mock", 10, MOCK_DOMAIN,
	     IN(T("pt", IOAS, id)),
	     OUT(T("", MOCK, mock_domain.out_stdev_id),
		 T("", HWPT, mock_domain.out_hwpt_id),
		 T("", IDEV, mock_domain.out_idev_id))),
	TEST("mock_flags", 6, MOCK_DOMAIN_FLAGS,
	     IN(T("pt", IOAS, id),
		T("flags", NUMBER, mock_domain_flags.dev_flags)),
	     OUT(T("", MOCK, mock_domain_flags.out_stdev_id),
		 T("", HWPT, mock_domain_flags.out_hwpt_id),
		 T("", IDEV, mock_domain_flags.out_idev_id))),
	TEST("mock_replace", 8, MOCK_DOMAIN_REPLACE,
	     IN(T("mock", MOCK, id), T("pt", IOAS, mock_domain_replace.pt_id)),
	     OUT(T("", HWPT, mock_domain_replace.pt_id))),
	TEST("check_map", 2, MD_CHECK_MAP,
	     IN(T("hwpt", HWPT, id), T("iova", IOVA, check_map.iova),
		T("length", LENGTH, check_map.length),
		T("va", ADDRESS, check_map.uptr))),
	TEST("check_refs", 1, MD_CHECK_REFS,
	     IN(T("length", LENGTH, check_refs.length),
		T("va", ADDRESS, check_refs.uptr),
		T("refs", NUMBER, check_refs.refs))),
	TEST("access", 8, CREATE_ACCESS,
	     IN(T("ioas", IOAS, id), T("flags", NUMBER, create_access.flags)),
	     OUT(T("", ACCESS, create_access.out_access_fd))),
	TEST("access_pin", 10, ACCESS_PAGES,
	     IN(T("access", ACCESS, id), T("flags", NUMBER, access_pages.flags),
		T("iova", IOVA, access_pages.iova),
		T("length", LENGTH, access_pages.length),
		T("va", ADDRESS, access_pages.uptr)),
	     OUT(T("", PINS, access_pages.out_access_pages_id))),
	TEST("access_unpin", 5, DESTROY_ACCESS_PAGES,
	     IN(T("access", ACCESS, id),
		T("pins", PINS, destroy_access_pages.access_pages_id))),
	TEST("access_rw", 8, ACCESS_RW,
	     IN(T("access", ACCESS, id), T("flags", NUMBER, access_rw.flags),
		T("iova", IOVA, access_rw.iova),
		T("length", LENGTH, access_rw.length),
		T("va", ADDRESS, access_rw.uptr))),
	TEST("access_replace", 4, ACCESS_REPLACE_IOAS,
	     IN(T("access", ACCESS, id),
		T("ioas", IOAS, access_replace_ioas.ioas_id))),
	TEST("dirty", 5, DIRTY,
	     IN(T("hwpt", HWPT, id), T("iova", IOVA, dirty.iova),
		T("length", LENGTH, dirty.length),
		T("page_size", LENGTH, dirty.page_size),
		T("va", ADDRESS, dirty.uptr), T("flags", NUMBER, dirty.flags))),
	TEST("memory_limit", 2, SET_TEMP_MEMORY_LIMIT,
	     IN(T("limit", NUMBER, memory_limit.limit))),
	TEST("dmabuf", 5, DMABUF_GET,
	     IN(T("length", LENGTH, dmabuf_get.length)),
	     OUT({ "", ARG_DMABUF, RESULT, 4 })),
	TEST("dmabuf_revoke", 6, DMABUF_REVOKE,
	     IN(T("fd", DMABUF, dmabuf_revoke.dmabuf_fd),
		T("revoked", NUMBER, dmabuf_revoke.revoked))),
	TEST("check_cache", 1, DEV_CHECK_CACHE,
	     IN(T("dev", IDEV, id), T("id", NUMBER, check_dev_cache.id),
		T("cache", NUMBER, check_dev_cache.cache))),
	TEST("check_iotlb", 1, MD_CHECK_IOTLB,
	     IN(T("hwpt", HWPT, id), T("id", NUMBER, check_iotlb.id),
		T("iotlb", NUMBER, check_iotlb.iotlb))),
	TEST("iopf", 5, TRIGGER_IOPF,
	     IN(T("dev", IDEV, trigger_iopf.dev_id),
		T("pasid", NUMBER, trigger_iopf.pasid),
		T("group", NUMBER, trigger_iopf.grpid),
		T("perm", NUMBER, trigger_iopf.perm),
		T("addr", IOVA, trigger_iopf.addr))),
	TEST("vevent", 5, TRIGGER_VEVENT,
	     IN(T("dev", IDEV, trigger_vevent.dev_id))),
	TEST("pasid_attach", 4, PASID_ATTACH,
	     IN(T("mock", MOCK, id), T("pasid", NUMBER, pasid_attach.pasid),
		T("pt", HWPT, pasid_attach.pt_id))),
	TEST("pasid_replace", 2, PASID_REPLACE,
	     IN(T("mock", MOCK, id), T("pasid", NUMBER, pasid_replace.pasid),
		T("pt", HWPT, pasid_replace.pt_id))),
	TEST("pasid_detach", 2, PASID_DETACH,
	     IN(T("mock", MOCK, id), T("pasid", NUMBER, pasid_detach.pasid))),

	/* The type 1 container */
	CALL("api_version", 1, do_api_version, IN(V("arg", NUMBER))),
	CALL("check_extension", 1, do_check_extension, IN(V("arg", NUMBER))),
	CALL("set_iommu", 6, do_set_iommu, IN(V("type", NUMBER))),
	IOCTL("type1_info", 2, VFIO_IOMMU_GET_INFO, fuzz_info),
	IOCTL("type1_map", 12, VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map,
	      IN(F("flags", NUMBER, vfio_iommu_type1_dma_map, flags),
		 F("va", ADDRESS, vfio_iommu_type1_dma_map, vaddr),
		 F("length", LENGTH, vfio_iommu_type1_dma_map, size),
		 F("iova", IOVA, vfio_iommu_type1_dma_map, iova)),
	      OUT(F("", IOVA, vfio_iommu_type1_dma_map, iova),
		  F("", LENGTH, vfio_iommu_type1_dma_map, size))),
	IOCTL("type1_unmap", 10, VFIO_IOMMU_UNMAP_DMA, fuzz_unmap,
	      IN(F("flags", NUMBER, fuzz_unmap, flags),
		 F("iova", IOVA, fuzz_unmap, iova),
		 F("length", LENGTH, fuzz_unmap, size),
		 F("page_size", LENGTH, fuzz_unmap, pgsize),
		 F("size", LENGTH, fuzz_unmap, bitmap_size),
		 F("data", ADDRESS, fuzz_unmap, data))),
	IOCTL("type1_dirty", 5, VFIO_IOMMU_DIRTY_PAGES, fuzz_dirty,
	      IN(F("flags", NUMBER, fuzz_dirty, flags),
		 F("iova", IOVA, fuzz_dirty, iova),
		 F("length", LENGTH, fuzz_dirty, size),
		 F("page_size", LENGTH, fuzz_dirty, pgsize),
		 F("size", LENGTH, fuzz_dirty, bitmap_size),
		 F("data", ADDRESS, fuzz_dirty, data))),

	/* Files of groups and devices */
	CALL("open_group", 4, do_open_group, IN(V("group", NUMBER))),
	ON_FILE("group_status", 1, VFIO_GROUP_GET_STATUS, vfio_group_status,
		IN(V("group", GROUP))),
	CALL("set_container", 5, do_set_container,
	     IN(V("group", GROUP), V("container", IOMMUFD))),
	CALL("unset_container", 2, do_unset_container, IN(V("group", GROUP))),
	CALL("group_device", 4, do_group_device,
	     IN(V("group", GROUP), V("device", NUMBER))),
	CALL("open_device", 6, do_open_device, IN(V("device", NUMBER))),
	ON_FILE("bind", 8, VFIO_DEVICE_BIND_IOMMUFD, fuzz_bind,
		IN(V("device", DEVICE), F("flags", NUMBER, fuzz_bind, flags),
		   F("iommufd", IOMMUFD, fuzz_bind, iommufd),
		   F("token", ADDRESS, fuzz_bind, token)),
		OUT(F("", IDEV, fuzz_bind, out_devid))),
	ON_FILE("attach", 8, VFIO_DEVICE_ATTACH_IOMMUFD_PT, fuzz_attach,
		IN(V("device", DEVICE), F("flags", NUMBER, fuzz_attach, flags),
		   F("pt", IOAS, fuzz_attach, pt_id),
		   F("pasid", NUMBER, fuzz_attach, pasid)),
		OUT(F("", HWPT, fuzz_attach, pt_id))),
	ON_FILE("detach", 4, VFIO_DEVICE_DETACH_IOMMUFD_PT, fuzz_attach,
		IN(V("device", DEVICE),
		   F("flags", NUMBER, fuzz_attach, flags),
		   F("pasid", NUMBER, fuzz_attach, pt_id))),
	ON_FILE("device_info", 1, VFIO_DEVICE_GET_INFO, fuzz_info,
		IN(V("device", DEVICE))),
	ON_FILE("region_info", 2, VFIO_DEVICE_GET_REGION_INFO, fuzz_info,
		IN(V("device", DEVICE),
		   F("index", NUMBER, fuzz_info, index))),
	ON_FILE("irq_info", 1, VFIO_DEVICE_GET_IRQ_INFO, fuzz_info,
		IN(V("device", DEVICE),
		   F("index", NUMBER, fuzz_info, index))),
	ON_FILE("set_irqs", 4, VFIO_DEVICE_SET_IRQS, fuzz_irqs,
		IN(V("device", DEVICE), F("flags", NUMBER, fuzz_irqs, flags),
		   F("index", NUMBER, fuzz_irqs, index),
		   F("start", NUMBER, fuzz_irqs, start),
		   F("count", NUMBER, fuzz_irqs, count),
		   F("event", EVENT, fuzz_irqs, data[0]),
		   F("event2", EVENT, fuzz_irqs, data[1]))),
	CALL("reset", 2, do_reset, IN(V("device", DEVICE))),
	ON_FILE("hot_reset_info", 1, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		fuzz_info, IN(V("device", DEVICE))),
	ON_FILE("hot_reset", 1, VFIO_DEVICE_PCI_HOT_RESET, fuzz_hot_reset,
		IN(V("device", DEVICE),
		   F("flags", NUMBER, fuzz_hot_reset, flags),
		   F("count", NUMBER, fuzz_hot_reset, count),
		   F("group", GROUP, fuzz_hot_reset, groups[0]),
		   F("group2", GROUP, fuzz_hot_reset, groups[1]))),
	ON_FILE("ioeventfd", 2, VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd,
		IN(V("device", DEVICE),
		   F("flags", NUMBER, vfio_device_ioeventfd, flags),
		   F("offset", LENGTH, vfio_device_ioeventfd, offset),
		   F("data", NUMBER, vfio_device_ioeventfd, data),
		   F("event", EVENT, vfio_device_ioeventfd, fd))),
	ON_FILE("feature", 5, VFIO_DEVICE_FEATURE, fuzz_feature,
		IN(V("device", DEVICE), F("flags", NUMBER, fuzz_feature, flags),
		   F("a", LENGTH, fuzz_feature, data[0]),
		   F("b", LENGTH, fuzz_feature, data[1]),
		   F("c", LENGTH, fuzz_feature, data[2]),
		   F("d", ADDRESS, fuzz_feature, data[3])),
		OUT({ "", ARG_DMABUF, RESULT, 4 })),
	CALL("any_ioctl", 1, do_any_ioctl,
	     IN(V("file", DEVICE), V("nr", NUMBER), V("arg", ADDRESS))),
	ON_FILE("test_dma", 8, VFIO_TEST_DMA, vfio_test_dma,
		IN(V("device", DEVICE), F("op", NUMBER, vfio_test_dma, op),
		   F("iova", IOVA, vfio_test_dma, iova),
		   F("length", LENGTH, vfio_test_dma, length),
		   F("data", ADDRESS, vfio_test_dma, data))),
	ON_FILE("test_state", 1, VFIO_TEST_STATE, vfio_test_state,
		IN(V("device", DEVICE))),
	CALL("pread", 2, do_pread,
	     IN(V("file", DEVICE), V("buf", ADDRESS), V("length", LENGTH),
		V("region", NUMBER), V("offset", LENGTH))),
	CALL("pwrite", 2, do_pwrite,
	     IN(V("file", DEVICE), V("buf", ADDRESS), V("length", LENGTH),
		V("region", NUMBER), V("offset", LENGTH))),

	CALL("read", 6, do_read,
	     IN(V("file", FILE), V("buf", ADDRESS), V("length", LENGTH),
		V("faults", NUMBER))),
	CALL("write", 2, do_write,
	     IN(V("file", FILE), V("buf", ADDRESS), V("length", LENGTH))),
	CALL("poll", 3, do_poll,
	     IN(V("file", FILE), V("events", NUMBER), V("ms", NUMBER))),
	CALL("respond", 5, do_respond,
	     IN(V("file", FILE), V("cookie", NUMBER), V("code", NUMBER),
		V("more", NUMBER))),

	CALL("config_write", 6, do_config_write,
	     IN(V("device", DEVICE), V("offset", NUMBER), V("block", NUMBER),
		V("value", NUMBER), V("width", NUMBER))),
	CALL("config_read", 1, do_config_read,
	     IN(V("device", DEVICE), V("offset", NUMBER), V("block", NUMBER))),
	CALL("reopen", 3, do_reopen,
	     IN(V("device", DEVICE), V("node", NUMBER))),

	/* Files */
	CALL("open", 3, do_open, IN(V("vfio", NUMBER))),
	CALL("use", 2, do_use, IN(V("iommufd", IOMMUFD))),
	CALL("close", 6, do_close, IN(V("fd", IOMMUFD))),
	CALL("dup", 1, do_dup, IN(V("fd", IOMMUFD))),
	CALL("fdinfo", 2, do_fdinfo, IN(V("fd", IOMMUFD))),
	CALL("memfd", 5, do_memfd,
	     IN(V("size", LENGTH), V("huge", NUMBER))),
	CALL("truncate", 2, do_truncate,
	     IN(V("fd", FILE), V("size", LENGTH))),
	CALL("punch", 2, do_punch,
	     IN(V("fd", FILE), V("start", LENGTH), V("length", LENGTH))),
	CALL("seal", 1, do_seal, IN(V("fd", FILE), V("seals", NUMBER))),
	CALL("eventfd", 1, do_eventfd, IN(V("count", NUMBER))),

	/* Memory */
	CALL("munmap", 2, do_munmap,
	     IN(V("va", ADDRESS), V("length", LENGTH))),
	CALL("madvise", 3, do_madvise,
	     IN(V("va", ADDRESS), V("length", LENGTH), V("advice", NUMBER))),
	CALL("mprotect", 2, do_mprotect,
	     IN(V("va", ADDRESS), V("length", LENGTH), V("prot", NUMBER))),
	CALL("slow", 3, do_slow,
	     IN(V("va", ADDRESS), V("length", LENGTH), V("how", NUMBER))),
	CALL("mmap", 3, do_mmap,
	     IN(V("va", ADDRESS), V("length", LENGTH), V("flags", NUMBER),
		V("fd", DEVICE), V("region", NUMBER), V("offset", LENGTH))),

	CALL("mmap_iommufd", 4, do_mmap_iommufd,
	     IN(V("va", ADDRESS), V("fd", IOMMUFD), V("slot", NUMBER),
		V("length", NUMBER), V("flags", NUMBER))),

	/* The process, and how the next ioctl is made */
	CALL("fork", 1, do_fork, IN(V("ops", NUMBER))),
	CALL("nobody", 2, do_nobody, IN(V("ops", NUMBER))),
	CALL("limit", 2, do_limit, IN(V("memlock", LENGTH))),
	CALL("poke", 2, do_poke, IN(V("offset", NUMBER), V("value", NUMBER))),
};

const unsigned int nops = ARRAY_LEN(ops);

unsigned int op_args(const struct op *op)
{
	unsigned int n = 0;

	while (n != MAX_ARGS && op->in[n].kind)
		n++;
	return n;
}

static void take_results(const struct op *op, const uint8_t *arg, long result)
{
	uint64_t iova = 0;
	unsigned int i;

	for (i = 0; i != ARRAY_LEN(op->out) && op->out[i].kind; i++) {
		const struct field *field = &op->out[i];
		uint64_t value = 0;

		if (field->offset == RESULT)
			value = result;
		else
			memcpy(&value, arg + field->offset, field->size);
		if (field->kind == ARG_IOVA)
			iova = value;
		else if (field->kind == ARG_LENGTH)
			recent_map(iova, value);
		else if (value)
			pool_add(field->kind, value);
	}
}

static long run_ioctl(const struct op *op, const uint64_t *value)
{
	union {
		uint8_t bytes[256];
		uint32_t size;
		uint64_t align;
	} arg = {};
	unsigned int i;
	long result;
	int fd = iommufd;

	arg.size = op->size;
	if (op->sub_offset)
		memcpy(arg.bytes + op->sub_offset, &op->sub, sizeof(op->sub));
	if (op->on_file)
		fd = value[0];
	for (i = op->on_file; i != op_args(op); i++)
		memcpy(arg.bytes + op->in[i].offset, &value[i],
		       op->in[i].size);
	if (poke.armed && !op->no_poke && poke.offset < op->size)
		memcpy(arg.bytes + poke.offset, &poke.value,
		       sizeof(poke.value));
	poke.armed = false;
	if (!op->on_file && fd < 0)
		fd = open_iommufd(default_path);

	exec_before();
	result = ioctl(fd, op->cmd, arg.bytes);
	exec_after();
	if (result >= 0)
		take_results(op, arg.bytes, result);
	return result;
}

/**
 * op_run - carry out an operation
 * @op: which
 * @arg: its arguments
 *
 * Return: what the system call says, or a negative errno.
 */
long op_run(const struct op *op, const uint64_t *arg)
{
	long result;

	if (!op->run)
		return run_ioctl(op, arg);
	exec_before();
	result = op->run(arg);
	exec_after();
	return result;
}
