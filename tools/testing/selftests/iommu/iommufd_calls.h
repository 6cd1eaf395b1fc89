/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One function per ioctl of /dev/iommu, and what the test programs of this
 * directory need to judge them: memory, pin counters, unprivileged children.
 *
 * All functions return 0 or a negative errno, so that a test reads
 *
 *	ASSERT_EQ(-EEXIST, ioas_map(fd, ioas, buf, len, &iova, MAP_FIXED_RW));
 */
#ifndef IOMMUFD_CALLS_H
#define IOMMUFD_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>

#include <linux/iommufd.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

#define MAP_RO		IOMMU_IOAS_MAP_READABLE
#define MAP_RW		(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define MAP_FIXED_RO	(MAP_RO | IOMMU_IOAS_MAP_FIXED_IOVA)
#define MAP_FIXED_RW	(MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA)

#define SZ_2M		(2UL << 20)

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static inline int call(int fd, unsigned long cmd, const void *arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

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

/* Memory. A test process ends soon, so most tests never unmap it. */

static inline void *mem_shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void *mem_private(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static inline void *mem_hugetlb(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE,
		    -1, 0);
}

/* Private memory at a multiple of 2 MiB, of huge pages where there are any */
static inline void *mem_thp(size_t size)
{
	uintptr_t p = (uintptr_t)mem_private(size + SZ_2M);

	if ((void *)p == MAP_FAILED)
		return MAP_FAILED;
	p = (p + SZ_2M - 1) & ~(SZ_2M - 1);
	madvise((void *)p, size, MADV_HUGEPAGE);
	memset((void *)p, 0x5a, size);
	return (void *)p;
}

/* An address below which @size bytes are mapped and above which nothing is */
static inline void *mem_before_hole(size_t size)
{
	size_t ps = page_size();
	size_t len = (size + ps - 1) / ps * ps;
	char *p = mem_private(len + ps);

	if (p == MAP_FAILED)
		return MAP_FAILED;
	munmap(p + len, ps);
	return p + len - size;
}

static inline int memfd_new(size_t size, unsigned int flags)
{
	int fd = syscall(SYS_memfd_create, "iommufd-test",
			 flags | MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size)) {
		close(fd);
		return -errno;
	}
	return fd;
}

/*
 * Pages that are pinned by anybody in the system; the counters are kept per
 * CPU and have to be gathered first. Negative if the kernel does not count.
 */
static inline long pages_pinned(void)
{
	long long acquired = -1, released = -1, value;
	char name[64];
	FILE *f;
	int fd;

	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			perror("# stat_refresh");
		close(fd);
	}
	f = fopen("/proc/vmstat", "r");
	if (!f)
		return -1;
	while (fscanf(f, "%63s %lld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = value;
		if (!strcmp(name, "nr_foll_pin_released"))
			released = value;
	}
	fclose(f);
	return acquired < 0 ? -1 : acquired - released;
}

/* A line of /proc/self/status in KiB, such as VmPin; negative if absent */
static inline long status_kib(const char *key)
{
	size_t len = strlen(key);
	char line[256];
	long value = -1;
	FILE *f;

	f = fopen("/proc/self/status", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && line[len] == ':')
			value = strtol(line + len + 1, NULL, 10);
	}
	fclose(f);
	return value;
}

/*
 * Become a user who may not lock more than @memlock bytes. For use in a child
 * process; returns 0 or a negative errno.
 */
static inline int drop_privilege(size_t memlock)
{
	struct rlimit lim = { memlock, memlock };

	if (setrlimit(RLIMIT_MEMLOCK, &lim))
		return -errno;
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		return -errno;
	return 0;
}

/* Exit status of a child process, or minus the signal that ended it */
static inline int wait_child(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The assertion of a child process, whose status the test then looks at */
#define CHILD_CHECK(cond)						\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "# child: %s:%d: %s\n",		\
				__FILE__, __LINE__, #cond);		\
			_exit(1);					\
		}							\
	} while (0)

static inline int send_fds(int sock, const int *fds, unsigned int num)
{
	char buf[CMSG_SPACE(8 * sizeof(int))] = {};
	struct iovec iov = { .iov_base = "f", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = buf,
		.msg_controllen = CMSG_SPACE(num * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(num * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, num * sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static inline int recv_fds(int sock, int *fds, unsigned int num)
{
	char buf[CMSG_SPACE(8 * sizeof(int))] = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = buf,
		.msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg;

	if (recvmsg(sock, &msg, 0) != 1)
		return -EIO;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_len != CMSG_LEN(num * sizeof(int)))
		return -EBADMSG;
	memcpy(fds, CMSG_DATA(cmsg), num * sizeof(int));
	return 0;
}

/*
 * fork(), with a socket between the two. If one of them fails early the other
 * gets end of file instead of waiting for ever.
 */
static inline pid_t fork_with_socket(int *sock)
{
	int sv[2];
	pid_t pid;

	*sock = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -1;
	pid = fork();
	*sock = sv[!pid];
	close(sv[!!pid]);
	return pid;
}

/* One byte over a socket, so that two processes go step by step */
static inline void sync_tell(int fd)
{
	if (write(fd, "s", 1) != 1)
		_exit(1);
}

static inline void sync_wait(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(1);
}

#endif
