// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile neighbour: an unprivileged user whose requests are held up for as
 * long as it likes, in a page fault of its own, by userfaultfd or by a FUSE file
 * system that does not answer. Meanwhile the administrator and another user do
 * what they always do, and do not notice. When the culprit is killed, nothing is
 * left of it.
 *
 * Uses five of QEMU's edu: two in one group, so that they share the lock of their
 * set, and three that are alone; and, if they are there, an igb for its VFs, and a
 * pcie-root-port named "port0" to plug another edu into.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/fuse.h>
#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/qmp.h"
#include "../lib/type1.h"
#include "../lib/vfio_pci.h"

#define ENABLE_SRIOV	"/sys/module/vfio_pci/parameters/enable_sriov"

#define CULPRIT_UID	65534
#define OTHER_UID	65533
#define PAGES		64
#define IOVA		0x1000000UL

/* For all that neighbours do once; they do it in a second where nothing hangs */
#define BOUND_MS	60000

/* ---- memory that does not arrive */

/**
 * struct held - memory that whoever touches it waits for
 * @mem: the pages
 * @stride: bytes of one; a constant
 * @fd: userfaultfd, or FUSE's connection
 * @faults: how many pages somebody waits for; in shared memory
 * @mountpoint: of FUSE, if it is mounted
 */
struct held {
	char *mem;
	size_t stride;
	int fd;
	unsigned int *faults;
	char mountpoint[32];
};

static void *held_count_faults(void *arg)
{
	struct held *held = arg;
	struct uffd_msg msg;

	while (read(held->fd, &msg, sizeof(msg)) == sizeof(msg))
		__atomic_add_fetch(held->faults, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static int held_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, fn, arg);
}

/* Before the caller gives up its privileges: of the kernel's faults, too */
static int held_by_uffd(struct held *held)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	held->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (held->fd < 0 || ioctl(held->fd, UFFDIO_API, &api))
		return -errno;
	held->mem = mmap(NULL, PAGES * held->stride, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return held->mem == MAP_FAILED ? -errno : 0;
}

/* From now on, whoever touches it, or with @answers writes to it, waits */
static int held_arm(struct held *held, bool answers)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)held->mem, PAGES * held->stride },
		.mode = answers ? UFFDIO_REGISTER_MODE_WP :
				  UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (held->mountpoint[0])
		return 0;
	if (ioctl(held->fd, UFFDIO_REGISTER, &reg) ||
	    (answers && ioctl(held->fd, UFFDIO_WRITEPROTECT, &wp)))
		return -errno;
	return held_thread(held_count_faults, held);
}

/* ---- FUSE: one directory with one file, which is never read to the end */

static void fuse_reply(int fd, __u64 unique, int error, void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = error,
		.unique = unique,
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { data, len } };

	if (writev(fd, iov, 2) < 0)
		return;
}

static struct fuse_attr fuse_attr_of(__u64 node)
{
	return (struct fuse_attr){
		.ino = node,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0777 : S_IFREG | 0666,
		.nlink = 1,
		.size = node == FUSE_ROOT_ID ? 0 : PAGES * 4096UL,
	};
}

static void fuse_answer(struct held *held, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
	};
	struct fuse_entry_out entry = {
		.nodeid = 2,
		.entry_valid = 3600,
		.attr_valid = 3600,
		.attr = fuse_attr_of(2),
	};
	struct fuse_attr_out attr = {
		.attr_valid = 3600,
		.attr = fuse_attr_of(in->nodeid),
	};
	struct fuse_open_out open = {};

	switch (in->opcode) {
	case FUSE_INIT:
		fuse_reply(held->fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fuse_reply(held->fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_reply(held->fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(held->fd, in->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		__atomic_add_fetch(held->faults, 1, __ATOMIC_SEQ_CST);
		break;
	default:
		fuse_reply(held->fd, in->unique, -EIO, NULL, 0);
	}
}

/*
 * A process of its own: whoever waits for an answer to a request that has been
 * read can be killed only when the connection is closed.
 */
static int fuse_serve(struct held *held)
{
	static char buf[FUSE_MIN_READ_BUFFER * 2];
	pid_t pid = fork();

	if (pid) {
		close(held->fd);
		return pid < 0 ? -errno : 0;
	}
	while (read(held->fd, buf, sizeof(buf)) > 0)
		fuse_answer(held, (struct fuse_in_header *)buf);
	_exit(0);
}

/* The mount is the caller's own, and goes with it */
static int held_by_fuse(struct held *held)
{
	char options[128], path[64];
	int ret, fd;

	held->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	/* The node is there if the kernel could have it, as a module */
	if (held->fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	strcpy(held->mountpoint, "/tmp/vfio-held-XXXXXX");
	if (unshare(CLONE_NEWNS) || !mkdtemp(held->mountpoint) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40777,user_id=%d,group_id=%d,allow_other",
		 held->fd, CULPRIT_UID, CULPRIT_UID);
	if (mount("held", held->mountpoint, "fuse", 0, options))
		return -errno;
	ret = fuse_serve(held);
	if (ret)
		return ret;

	snprintf(path, sizeof(path), "%s/file", held->mountpoint);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	held->mem = mmap(NULL, PAGES * held->stride, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, fd, 0);
	/* Each page is asked for alone */
	if (held->mem == MAP_FAILED ||
	    madvise(held->mem, PAGES * held->stride, MADV_RANDOM))
		return -errno;
	close(fd);
	return 0;
}

/* ---- the culprit */

/**
 * struct scene - what all have to do with
 * @mate: a device of the culprit's
 * @idle_mate: shares the group and the set of @mate; nobody has it open
 * @second: another one of the culprit's
 * @other: another user's
 * @faults: see &struct held
 * @stage: what the neighbours are about
 * @failed: what the culprit failed in, and how
 * @error: its errno
 */
struct scene {
	char mate[SYSDEV_NAME_MAX];
	char idle_mate[SYSDEV_NAME_MAX];
	char second[SYSDEV_NAME_MAX];
	char other[SYSDEV_NAME_MAX];
	char pf[SYSDEV_NAME_MAX];
	unsigned int faults;
	char stage[64];
	char failed[64];
	int error;
};

/**
 * struct culprit - the hostile process
 * @scene: shared with those who watch it
 * @held: its memory
 * @dev: @mate, or the device that a call is about
 * @iommufd: the iommufd or container
 * @group: of @second
 * @second: @second as a file that is not bound
 * @ioas: one with nothing in it
 * @held_ioas: one that maps the held memory
 * @devid: of @dev
 */
struct culprit {
	struct scene *scene;
	struct held held;
	int dev;
	int iommufd;
	int group;
	int second;
	__u32 ioas;
	__u32 held_ioas;
	__u32 devid;
};

static int culprit_open_cdev(struct culprit *c)
{
	int ret;

	c->dev = cdev_open(c->scene->mate);
	c->second = cdev_open(c->scene->second);
	c->iommufd = iommufd_open();
	if (c->dev < 0 || c->second < 0 || c->iommufd < 0)
		return -errno;
	ret = cdev_bind(c->dev, c->iommufd, &c->devid);
	if (!ret)
		ret = ioas_alloc(c->iommufd, &c->ioas);
	if (!ret)
		ret = ioas_alloc(c->iommufd, &c->held_ioas);
	/* Nothing is pinned as long as there is no page table */
	if (!ret)
		ret = ioas_map_at(c->iommufd, c->held_ioas, c->held.mem,
				  c->held.stride, IOVA);
	return ret;
}

static int culprit_set_ioas(struct culprit *c, __u32 ioas)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = ioas,
	};

	return call(c->iommufd, IOMMU_VFIO_IOAS, &set);
}

static int culprit_open_group(struct culprit *c)
{
	int ret;

	c->iommufd = container_open();
	c->group = group_open(sysdev_group(c->scene->second));
	if (c->iommufd < 0 || c->group < 0)
		return -errno;
	ret = group_set_container(c->group, c->iommufd);
	if (!ret)
		ret = ioas_alloc(c->iommufd, &c->ioas);
	if (!ret)
		ret = ioas_alloc(c->iommufd, &c->held_ioas);
	if (!ret)
		ret = ioas_map_at(c->iommufd, c->held_ioas, c->held.mem,
				  c->held.stride, IOVA);
	return ret;
}

static int culprit_set_iommu(struct culprit *c)
{
	return t1_set_iommu(c->iommufd, VFIO_TYPE1v2_IOMMU);
}

/* ---- calls that pin, each by itself */

static int attach(struct culprit *c)
{
	__u32 pt = c->held_ioas;

	return cdev_attach(c->dev, &pt);
}

static int replace(struct culprit *c)
{
	__u32 pt = c->ioas;
	int ret = cdev_attach(c->dev, &pt);

	return ret ? ret : attach(c);
}

static int alloc_hwpt(struct culprit *c)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = c->devid,
		.pt_id = c->held_ioas,
	};

	return call(c->iommufd, IOMMU_HWPT_ALLOC, &alloc);
}

static int map(struct culprit *c)
{
	__u32 pt = c->ioas;
	int ret = cdev_attach(c->dev, &pt);

	return ret ? ret : ioas_map_at(c->iommufd, c->ioas, c->held.mem,
				       c->held.stride, IOVA);
}

static void *close_in_thread(void *arg)
{
	struct culprit *c = arg;

	while (!__atomic_load_n(c->held.faults, __ATOMIC_SEQ_CST))
		usleep(1000);
	close(c->dev);
	return NULL;
}

/* The device is closed, but cannot leave the table that is being filled */
static int map_and_close(struct culprit *c)
{
	int ret = held_thread(close_in_thread, c);

	return ret ? ret : map(c);
}

/* The device is closed, but its id is being used */
static int hw_info_and_close(struct culprit *c)
{
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = c->devid,
		.data_uptr = (uintptr_t)c->held.mem,
		.data_len = 64,
	};
	int ret = held_thread(close_in_thread, c);

	return ret ? ret : call(c->iommufd, IOMMU_GET_HW_INFO, &info);
}

static int set_iommu(struct culprit *c)
{
	int ret = culprit_set_ioas(c, c->held_ioas);

	return ret ? ret : culprit_set_iommu(c);
}

/* @second stays in the container, with no device open */
static int set_container(struct culprit *c)
{
	int ret, group;

	ret = culprit_set_iommu(c);
	if (!ret)
		ret = culprit_set_ioas(c, c->held_ioas);
	if (ret)
		return ret;
	group = group_open(sysdev_group(c->scene->mate));
	return group < 0 ? group : group_set_container(group, c->iommufd);
}

static void *unset_in_thread(void *arg)
{
	struct culprit *c = arg;

	while (!__atomic_load_n(c->held.faults, __ATOMIC_SEQ_CST))
		usleep(1000);
	group_unset_container(c->group);
	return NULL;
}

static int set_and_unset_container(struct culprit *c)
{
	int ret = held_thread(unset_in_thread, c);

	return ret ? ret : set_container(c);
}

/* The table of the container is there, but not of the IOAS it was changed to */
static int get_device_fd(struct culprit *c)
{
	int ret = culprit_set_iommu(c);

	if (!ret)
		ret = culprit_set_ioas(c, c->held_ioas);
	return ret ? ret : group_get_device(c->group, c->scene->second);
}

static int map_dma(struct culprit *c)
{
	int ret = culprit_set_iommu(c);

	return ret ? ret : t1_map(c->iommufd, c->held.mem, c->held.stride,
				   IOVA, T1_RW);
}

/* ---- all calls at once, each in a thread of its own with a page of its own */

enum file { DEV, SECOND, IOMMUFD, GROUP };

/**
 * struct call - a request that is held in its argument, or in its answer
 * @file: of which file
 * @cmd: 0 to read the device's configuration, 1 to write it
 * @answer: what the argument is, so that there is an answer
 */
struct call {
	enum file file;
	unsigned long cmd;
	void (*answer)(const struct culprit *c, void *arg);
};

static void answer_size(const struct culprit *c, void *arg)
{
	(void)c;
	*(__u32 *)arg = 64;
}

static void answer_bind(const struct culprit *c, void *arg)
{
	struct vfio_device_bind_iommufd *bind = arg;

	bind->argsz = sizeof(*bind);
	bind->iommufd = c->iommufd;
}

static void answer_attach(const struct culprit *c, void *arg)
{
	struct vfio_device_attach_iommufd_pt *pt = arg;

	pt->argsz = sizeof(*pt);
	pt->pt_id = c->ioas;
}

static void answer_hot_reset_info(const struct culprit *c, void *arg)
{
	(void)c;
	*(__u32 *)arg = 512;
}

static void answer_ioas(const struct culprit *c, void *arg)
{
	struct iommu_ioas_alloc *alloc = arg;

	(void)c;
	alloc->size = sizeof(*alloc);
}

static void answer_ranges(const struct culprit *c, void *arg)
{
	struct iommu_ioas_iova_ranges *ranges = arg;

	ranges->size = sizeof(*ranges);
	ranges->ioas_id = c->ioas;
}

static void answer_hwpt(const struct culprit *c, void *arg)
{
	struct iommu_hwpt_alloc *alloc = arg;

	alloc->size = sizeof(*alloc);
	alloc->dev_id = c->devid;
	alloc->pt_id = c->ioas;
}

static void answer_hw_info(const struct culprit *c, void *arg)
{
	struct iommu_hw_info *info = arg;

	info->size = sizeof(*info);
	info->dev_id = c->devid;
}

/* Holds up whatever is done to this address space, so that has its own */
static void answer_map(const struct culprit *c, void *arg)
{
	struct iommu_ioas_map *map = arg;

	map->size = sizeof(*map);
	map->flags = IOMMU_IOAS_MAP_READABLE;
	map->ioas_id = c->held_ioas;
	map->user_va = (uintptr_t)c->held.mem;
	map->length = c->held.stride;
}

static void answer_option(const struct culprit *c, void *arg)
{
	struct iommu_option *option = arg;

	option->size = sizeof(*option);
	option->option_id = IOMMU_OPTION_HUGE_PAGES;
	option->op = IOMMU_OPTION_OP_GET;
	option->object_id = c->ioas;
}

static const struct call cdev_calls[] = {
	{ DEV, 0, answer_size },
	{ DEV, 1, NULL },
	{ SECOND, VFIO_DEVICE_BIND_IOMMUFD, answer_bind },
	{ DEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, answer_attach },
	{ DEV, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL },
	{ DEV, VFIO_DEVICE_GET_INFO, answer_size },
	{ DEV, VFIO_DEVICE_GET_REGION_INFO, answer_size },
	{ DEV, VFIO_DEVICE_GET_IRQ_INFO, answer_size },
	{ DEV, VFIO_DEVICE_SET_IRQS, NULL },
	{ DEV, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, answer_hot_reset_info },
	{ DEV, VFIO_DEVICE_PCI_HOT_RESET, NULL },
	{ DEV, VFIO_DEVICE_IOEVENTFD, NULL },
	{ DEV, VFIO_DEVICE_FEATURE, NULL },
	{ IOMMUFD, IOMMU_DESTROY, NULL },
	{ IOMMUFD, IOMMU_IOAS_ALLOC, answer_ioas },
	{ IOMMUFD, IOMMU_IOAS_ALLOW_IOVAS, NULL },
	{ IOMMUFD, IOMMU_IOAS_COPY, NULL },
	{ IOMMUFD, IOMMU_IOAS_IOVA_RANGES, answer_ranges },
	{ IOMMUFD, IOMMU_IOAS_MAP, answer_map },
	{ IOMMUFD, IOMMU_IOAS_MAP_FILE, NULL },
	{ IOMMUFD, IOMMU_IOAS_UNMAP, NULL },
	{ IOMMUFD, IOMMU_IOAS_CHANGE_PROCESS, NULL },
	{ IOMMUFD, IOMMU_OPTION, answer_option },
	{ IOMMUFD, IOMMU_VFIO_IOAS, NULL },
	{ IOMMUFD, IOMMU_HWPT_ALLOC, answer_hwpt },
	{ IOMMUFD, IOMMU_GET_HW_INFO, answer_hw_info },
	{ IOMMUFD, IOMMU_HWPT_SET_DIRTY_TRACKING, NULL },
	{ IOMMUFD, IOMMU_HWPT_GET_DIRTY_BITMAP, NULL },
	{ IOMMUFD, IOMMU_HWPT_INVALIDATE, NULL },
};

static const struct call group_calls[] = {
	{ GROUP, VFIO_GROUP_GET_STATUS, answer_size },
	{ GROUP, VFIO_GROUP_SET_CONTAINER, NULL },
	{ GROUP, VFIO_GROUP_GET_DEVICE_FD, NULL },
	{ IOMMUFD, VFIO_IOMMU_GET_INFO, answer_hot_reset_info },
	{ IOMMUFD, VFIO_IOMMU_MAP_DMA, NULL },
	{ IOMMUFD, VFIO_IOMMU_UNMAP_DMA, NULL },
	{ IOMMUFD, VFIO_IOMMU_DIRTY_PAGES, NULL },
};

struct caller {
	const struct culprit *c;
	const struct call *call;
	void *arg;
};

static void *make_call(void *arg)
{
	struct caller *caller = arg;
	const struct culprit *c = caller->c;
	const int fds[] = { c->dev, c->second, c->iommufd, c->group };
	const off_t config = vp_offset(VFIO_PCI_CONFIG_REGION_INDEX, 0);
	int fd = fds[caller->call->file];
	long ret;

	switch (caller->call->cmd) {
	case 0:
		ret = pread(fd, caller->arg, 4, config);
		break;
	case 1:
		ret = pwrite(fd, caller->arg, 4, config);
		break;
	default:
		ret = ioctl(fd, caller->call->cmd, caller->arg);
	}
	snprintf(c->scene->failed, sizeof(c->scene->failed),
		 "call 0x%lx was not held: %ld, errno %d", caller->call->cmd,
		 ret, errno);
	__atomic_store_n(&c->scene->error, -ENODATA, __ATOMIC_SEQ_CST);
	return NULL;
}

static int make_calls(struct culprit *c, const struct call *calls,
		      unsigned int nr, bool answers)
{
	static struct caller callers[PAGES];
	unsigned int i;
	int ret;

	/* Write protection begins when what is asked is there */
	for (i = 0; i < nr && answers; i++)
		if (calls[i].answer)
			calls[i].answer(c, c->held.mem + i * c->held.stride);
	ret = held_arm(&c->held, answers);
	for (i = 0; i < nr && !ret; i++) {
		if (answers && !calls[i].answer)
			continue;
		callers[i].c = c;
		callers[i].call = &calls[i];
		callers[i].arg = c->held.mem + i * c->held.stride;
		ret = held_thread(make_call, &callers[i]);
	}
	if (ret)
		return ret;
	pause();
	return 0;
}

static int cdev_arguments(struct culprit *c)
{
	return make_calls(c, cdev_calls, ARRAY_SIZE(cdev_calls), false);
}

static int cdev_answers(struct culprit *c)
{
	return make_calls(c, cdev_calls, ARRAY_SIZE(cdev_calls), true);
}

static int group_arguments(struct culprit *c)
{
	int ret = culprit_set_iommu(c);

	return ret ? ret : make_calls(c, group_calls, ARRAY_SIZE(group_calls),
				      false);
}

static int group_answers(struct culprit *c)
{
	int ret = culprit_set_iommu(c);

	return ret ? ret : make_calls(c, group_calls, ARRAY_SIZE(group_calls),
				      true);
}

/* ---- the culprit's process */

typedef int culprit_fn(struct culprit *c);

/**
 * struct plot - what the culprit does
 * @open: first
 * @act: then, and does not return from it
 * @calls: of which @act makes each; it sees to the memory itself
 * @nr_calls: of them
 * @answers: only those are made that have an answer, and are held in that
 * @fuse: how it is held
 */
struct plot {
	culprit_fn *open;
	culprit_fn *act;
	const struct call *calls;
	unsigned int nr_calls;
	bool answers;
	bool fuse;
};

/* How many pages somebody will wait for */
static unsigned int plot_faults(const struct plot *plot)
{
	unsigned int i, nr = 0;

	if (!plot->calls)
		return 1;
	for (i = 0; i < plot->nr_calls; i++)
		nr += !plot->answers || plot->calls[i].answer;
	return nr;
}

static void culprit_fails(struct culprit *c, const char *what, int error)
{
	snprintf(c->scene->failed, sizeof(c->scene->failed), "%s", what);
	__atomic_store_n(&c->scene->error, error ? error : -ENODATA,
			 __ATOMIC_SEQ_CST);
	_exit(1);
}

static void culprit_main(struct scene *scene, const struct plot *plot)
{
	struct culprit c = {
		.scene = scene,
		.held = { .stride = 4096, .faults = &scene->faults },
		.dev = -1, .iommufd = -1, .group = -1, .second = -1,
	};
	int ret;

	/* It is killed with all its processes */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = plot->fuse ? held_by_fuse(&c.held) : held_by_uffd(&c.held);
	if (ret)
		culprit_fails(&c, "hold", ret);
	if (setgroups(0, NULL) || setgid(CULPRIT_UID) || setuid(CULPRIT_UID))
		culprit_fails(&c, "setuid", -errno);
	ret = plot->open(&c);
	if (ret)
		culprit_fails(&c, "open", ret);
	if (!plot->calls) {
		ret = held_arm(&c.held, false);
		if (ret)
			culprit_fails(&c, "arm", ret);
	}
	ret = plot->act(&c);
	culprit_fails(&c, "was not held", ret);
}

/* ---- neighbours */

static bool ends_within(pid_t pid, unsigned int ms, int *status)
{
	double end = seconds_now() + ms / 1000.0;

	do {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(2000);
	} while (seconds_now() < end);
	return false;
}

static void show_stacks(pid_t pid)
{
	char path[PATH_MAX], line[256];
	struct dirent *entry;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		printf("# task %s of %d:\n", entry->d_name, pid);
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid,
			 entry->d_name);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			printf("#   %s", line);
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
}

static void stage(struct scene *scene, const char *what)
{
	snprintf(scene->stage, sizeof(scene->stage), "%s", what);
}

/* Whether something went wrong, which is said */
static bool fails(const struct scene *scene, int ret)
{
	if (ret >= 0)
		return false;
	printf("# neighbour: %s: %s\n", scene->stage, strerror(-ret));
	return true;
}

static int let_in(const char *bdf)
{
	char path[PATH_MAX];
	int ret = sysdev_cdev_path(bdf, path);

	if (ret)
		return ret;
	if (chmod(path, 0666) || chmod("/dev/iommu", 0666) ||
	    chmod("/dev/vfio/vfio", 0666))
		return -errno;
	snprintf(path, sizeof(path), "/dev/vfio/%d", sysdev_group(bdf));
	return chmod(path, 0666) ? -errno : 0;
}

static int unbind_and_bind(const char *bdf)
{
	int ret = sysdev_set_driver(bdf, NULL);

	return ret ? ret : sysdev_set_driver(bdf, "vfio-pci");
}

/* What reads it may wait for the culprit, but not on after it is killed */
static int read_fdinfo(struct scene *scene, pid_t culprit, const char *fd)
{
	char path[PATH_MAX], target[64] = "";
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", culprit, fd);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return 0;
	pid = fork();
	if (!pid) {
		char buf[4096];

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", culprit, fd);
		file_read(path, buf, sizeof(buf));
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	if (ends_within(pid, 1000, &status))
		return 0;
	snprintf(scene->stage, sizeof(scene->stage), "fdinfo of %s", target);
	/* Only a look at an address space waits for it */
	if (strcmp(target, "/dev/iommu") && strcmp(target, "/dev/vfio/vfio")) {
		show_stacks(pid);
		kill(pid, SIGKILL);
		return -ETIMEDOUT;
	}
	kill(pid, SIGKILL);
	return ends_within(pid, BOUND_MS, &status) ? 0 : -ETIMEDOUT;
}

static int read_all_fdinfo(struct scene *scene, pid_t culprit)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", culprit);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = read_fdinfo(scene, culprit, entry->d_name);
	closedir(dir);
	return ret;
}

static int read_sysfs(const char *bdf)
{
	char buf[512];
	int ret;

	ret = sysdev_cdev_read(bdf, "viable", buf, sizeof(buf));
	if (ret < 0)
		return ret;
	return sysdev_cdev_read(bdf, "blocked_by", buf, sizeof(buf));
}

/* ---- the other user, by the one interface and by the other */

static int use_device(int dev)
{
	char config[64];

	if (pread(dev, config, sizeof(config),
		  vp_offset(VFIO_PCI_CONFIG_REGION_INDEX, 0)) != sizeof(config))
		return -EIO;
	return 0;
}

static int hot_reset_info(int dev)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[32];
	} buf = { .info.argsz = sizeof(buf) };

	return call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &buf);
}

static int reset(struct vp_dev *d)
{
	struct vfio_pci_hot_reset hot = { .argsz = sizeof(hot) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = device_info(d->fd, &info);

	if (!ret && info.flags & VFIO_DEVICE_FLAGS_RESET)
		ret = call(d->fd, VFIO_DEVICE_RESET, NULL);
	/* Where there is a slot or bus to reset */
	if (!ret && !hot_reset_info(d->fd))
		ret = call(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &hot);
	return ret;
}

static int other_by_cdev(struct scene *scene)
{
	static char mem[8192] __attribute__((aligned(4096)));
	struct vp_dev d;
	__u32 ioas;

	vp_init(&d);
	strcpy(d.bdf, scene->other);
	stage(scene, "another user opens and binds");
	if (fails(scene, vp_open_bdf(&d)))
		return -EIO;
	if (fails(scene, use_device(d.fd)))
		return -EIO;
	stage(scene, "another user maps and attaches");
	if (fails(scene, ioas_alloc(d.iommufd, &ioas)))
		return -EIO;
	if (fails(scene, ioas_map_at(d.iommufd, ioas, mem, 4096, IOVA)))
		return -EIO;
	if (fails(scene, cdev_attach(d.fd, &ioas)))
		return -EIO;
	stage(scene, "another user resets");
	if (fails(scene, reset(&d)))
		return -EIO;
	stage(scene, "another user unmaps, detaches and closes");
	if (fails(scene, cdev_detach(d.fd)))
		return -EIO;
	vp_close_fds(&d);
	return 0;
}

static int other_by_group(struct scene *scene)
{
	int container, group, dev;

	stage(scene, "another user opens a group");
	container = container_open();
	group = group_open(sysdev_group(scene->other));
	if (container < 0 || fails(scene, group))
		return -EIO;
	if (fails(scene, group_set_container(group, container)))
		return -EIO;
	if (fails(scene, t1_set_iommu(container, VFIO_TYPE1v2_IOMMU)))
		return -EIO;
	stage(scene, "another user opens a device of a group");
	dev = group_get_device(group, scene->other);
	if (fails(scene, dev))
		return -EIO;
	if (fails(scene, use_device(dev)))
		return -EIO;
	stage(scene, "another user closes a group");
	close(dev);
	if (fails(scene, group_unset_container(group)))
		return -EIO;
	close(group);
	close(container);
	return 0;
}

static int other_user(struct scene *scene)
{
	int ret, status;
	pid_t pid;

	ret = let_in(scene->other);
	if (ret)
		return ret;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setgroups(0, NULL) || setgid(OTHER_UID) || setuid(OTHER_UID))
			_exit(2);
		ret = other_by_cdev(scene);
		if (!ret)
			ret = other_by_group(scene);
		_exit(!!ret);
	}
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EIO : 0;
}

/* What goes on as always while @culprit hangs */
static int numvfs(const char *bdf, const char *n)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs",
		 bdf);
	return file_write(path, n);
}

/* Make VFs, which get our driver, and remove them */
static int make_vfs(const char *pf)
{
	int ret = numvfs(pf, "2");

	return ret ? ret : numvfs(pf, "0");
}

#define MAX_EDUS	16

/* The one among all edu that is none of @old */
static bool find_new(char old[MAX_EDUS][SYSDEV_NAME_MAX], unsigned int nr_old,
		     char bdf[SYSDEV_NAME_MAX])
{
	unsigned int i, j;

	for (i = 0; sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, i, bdf); i++) {
		for (j = 0; j < nr_old && strcmp(bdf, old[j]); j++)
			;
		if (j == nr_old)
			return true;
	}
	return false;
}

/* The kernel may be looking at it still */
static bool is_early(int ret)
{
	return ret == -ENOENT || ret == -ENODEV || ret == -EBUSY;
}

/*
 * A device comes, root gives it to vfio-pci, and the machine takes it back; 1 if
 * this machine cannot do that.
 */
static int plug_and_unplug(void)
{
	char old[MAX_EDUS][SYSDEV_NAME_MAX], bdf[SYSDEV_NAME_MAX], dir[PATH_MAX];
	unsigned int nr = 0, i;
	int ret;

	if (!qmp_is_there())
		return 1;
	while (nr < MAX_EDUS &&
	       sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, nr, old[nr]))
		nr++;
	ret = qmp_execute("device_add",
			  "{\"driver\":\"edu\",\"id\":\"neighbour\",\"bus\":\"port0\"}");
	if (ret)
		return ret == -EIO ? 1 : ret;
	for (ret = -ENOENT, i = 0; is_early(ret) && i < BOUND_MS / 10; i++) {
		usleep(10000);
		if (find_new(old, nr, bdf))
			ret = sysdev_set_driver(bdf, "vfio-pci");
	}
	if (ret)
		return ret;

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s", bdf);
	ret = qmp_execute("device_del", "{\"id\":\"neighbour\"}");
	for (i = 0; !ret && !access(dir, F_OK) && i < BOUND_MS / 10; i++)
		usleep(10000);
	return !ret && !access(dir, F_OK) ? -ETIME : ret;
}

static int neighbours(struct scene *scene, pid_t culprit, bool by_group)
{
	stage(scene, "read fdinfo of the culprit");
	if (fails(scene, read_all_fdinfo(scene, culprit)))
		return -EIO;
	stage(scene, "read attributes");
	if (fails(scene, read_sysfs(scene->mate)))
		return -EIO;
	if (fails(scene, read_sysfs(scene->idle_mate)))
		return -EIO;
	if (fails(scene, read_sysfs(scene->second)))
		return -EIO;
	stage(scene, "unbind and bind another user's device");
	if (fails(scene, unbind_and_bind(scene->other)))
		return -EIO;
	if (fails(scene, other_user(scene)))
		return -EIO;
	/* Where the group is the culprit's, so is this device, open or not */
	if (!by_group) {
		stage(scene, "unbind and bind a device of the same set");
		if (fails(scene, unbind_and_bind(scene->idle_mate)))
			return -EIO;
	}
	stage(scene, "make VFs and remove them");
	if (scene->pf[0] && fails(scene, make_vfs(scene->pf)))
		return -EIO;
	stage(scene, "plug a device in and out");
	if (fails(scene, plug_and_unplug()))
		return -EIO;
	stage(scene, "remove a device and find it again");
	if (fails(scene, pci_remove(scene->other)))
		return -EIO;
	if (fails(scene, pci_rescan()))
		return -EIO;
	if (fails(scene, sysdev_set_driver(scene->other, "vfio-pci")))
		return -EIO;
	return 0;
}

/* Run by itself, so that it can be told when it hangs */
static pid_t neighbours_fork(struct scene *scene, pid_t culprit, bool by_group)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(neighbours(scene, culprit, by_group) ? 1 : 0);
	}
	return pid;
}

static pid_t unbind_fork(const char *bdf)
{
	pid_t pid = fork();

	if (!pid)
		_exit(sysdev_set_driver(bdf, NULL) ? 1 : 0);
	return pid;
}

/* ---- the tests */

FIXTURE(neighbour)
{
	struct scene *scene;
	char drivers[5][SYSDEV_NAME_MAX];
	char sriov[8];	/* parameter of vfio-pci */
	pid_t culprit;
	long pins;
};

FIXTURE_VARIANT(neighbour)
{
	struct plot plot;
};

FIXTURE_VARIANT_ADD(neighbour, attach)
{
	.plot = { .open = culprit_open_cdev, .act = attach },
};

FIXTURE_VARIANT_ADD(neighbour, attach_fuse)
{
	.plot = { .open = culprit_open_cdev, .act = attach, .fuse = true },
};

FIXTURE_VARIANT_ADD(neighbour, replace)
{
	.plot = { .open = culprit_open_cdev, .act = replace },
};

FIXTURE_VARIANT_ADD(neighbour, alloc_hwpt)
{
	.plot = { .open = culprit_open_cdev, .act = alloc_hwpt },
};

FIXTURE_VARIANT_ADD(neighbour, map)
{
	.plot = { .open = culprit_open_cdev, .act = map },
};

FIXTURE_VARIANT_ADD(neighbour, map_and_close)
{
	.plot = { .open = culprit_open_cdev, .act = map_and_close },
};

FIXTURE_VARIANT_ADD(neighbour, hw_info_and_close)
{
	.plot = { .open = culprit_open_cdev, .act = hw_info_and_close },
};

FIXTURE_VARIANT_ADD(neighbour, set_iommu)
{
	.plot = { .open = culprit_open_group, .act = set_iommu },
};

FIXTURE_VARIANT_ADD(neighbour, set_container)
{
	.plot = { .open = culprit_open_group, .act = set_container },
};

FIXTURE_VARIANT_ADD(neighbour, set_container_fuse)
{
	.plot = { .open = culprit_open_group, .act = set_container,
		  .fuse = true },
};

FIXTURE_VARIANT_ADD(neighbour, set_and_unset_container)
{
	.plot = { .open = culprit_open_group, .act = set_and_unset_container },
};

FIXTURE_VARIANT_ADD(neighbour, get_device_fd)
{
	.plot = { .open = culprit_open_group, .act = get_device_fd },
};

FIXTURE_VARIANT_ADD(neighbour, map_dma)
{
	.plot = { .open = culprit_open_group, .act = map_dma },
};

FIXTURE_VARIANT_ADD(neighbour, cdev_arguments)
{
	.plot = { .open = culprit_open_cdev, .act = cdev_arguments,
		  .calls = cdev_calls, .nr_calls = ARRAY_SIZE(cdev_calls) },
};

FIXTURE_VARIANT_ADD(neighbour, cdev_answers)
{
	.plot = { .open = culprit_open_cdev, .act = cdev_answers,
		  .calls = cdev_calls, .nr_calls = ARRAY_SIZE(cdev_calls),
		  .answers = true },
};

FIXTURE_VARIANT_ADD(neighbour, group_arguments)
{
	.plot = { .open = culprit_open_group, .act = group_arguments,
		  .calls = group_calls, .nr_calls = ARRAY_SIZE(group_calls) },
};

FIXTURE_VARIANT_ADD(neighbour, group_answers)
{
	.plot = { .open = culprit_open_group, .act = group_answers,
		  .calls = group_calls, .nr_calls = ARRAY_SIZE(group_calls),
		  .answers = true },
};

static char *scene_device(struct scene *scene, unsigned int nr)
{
	char * const devices[] = { scene->mate, scene->idle_mate, scene->second,
			    scene->other };

	return devices[nr];
}

/* One that shares its group with nobody; after @after, if that is given */
static bool find_alone(const struct scene *scene, const char *after,
		       char bdf[SYSDEV_NAME_MAX])
{
	unsigned int i;

	for (i = 0; sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, i, bdf); i++)
		if (sysdev_group(bdf) != sysdev_group(scene->mate) &&
		    (!after || strcmp(bdf, after) > 0))
			return true;
	bdf[0] = '\0';
	return false;
}

FIXTURE_SETUP(neighbour)
{
	unsigned int i;

	self->culprit = -1;
	self->scene = mmap(NULL, sizeof(*self->scene), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->scene);
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, self->scene->mate,
			    self->scene->idle_mate)) {
		self->scene->mate[0] = '\0';
		self->scene->idle_mate[0] = '\0';
		SKIP(return, "no two edu in one group");
	}
	if (!find_alone(self->scene, NULL, self->scene->second) ||
	    !find_alone(self->scene, self->scene->second, self->scene->other))
		SKIP(return, "no two edu that are alone");
	for (i = 0; i < 4; i++) {
		if (sysdev_driver(scene_device(self->scene, i), self->drivers[i]))
			self->drivers[i][0] = '\0';
		ASSERT_EQ(0, sysdev_set_driver(scene_device(self->scene, i),
					       "vfio-pci"));
		ASSERT_EQ(0, let_in(scene_device(self->scene, i)));
	}
	self->sriov[0] = '\0';
	if (sysdev_find_pci(IGB_VENDOR, IGB_DEVICE, 0, self->scene->pf)) {
		if (sysdev_driver(self->scene->pf, self->drivers[4]))
			self->drivers[4][0] = '\0';
		ASSERT_EQ(0, sysdev_set_driver(self->scene->pf, "vfio-pci"));
		ASSERT_LT(0, file_read(ENABLE_SRIOV, self->sriov,
				       sizeof(self->sriov)));
		ASSERT_EQ(0, file_write(ENABLE_SRIOV, "Y"));
	} else {
		self->scene->pf[0] = '\0';
	}
	self->pins = pages_pinned();
	ASSERT_LE(0, self->pins);
}

FIXTURE_TEARDOWN(neighbour)
{
	unsigned int i;

	if (self->culprit > 0) {
		kill(-self->culprit, SIGKILL);
		waitpid(self->culprit, NULL, 0);
	}
	for (i = 0; i < 4; i++)
		if (scene_device(self->scene, i)[0])
			EXPECT_EQ(0, sysdev_set_driver(scene_device(self->scene, i),
						       self->drivers[i][0] ?
						       self->drivers[i] : NULL));
	if (self->sriov[0])
		EXPECT_EQ(0, file_write(ENABLE_SRIOV, self->sriov));
	if (self->scene->pf[0])
		EXPECT_EQ(0, sysdev_set_driver(self->scene->pf,
					       self->drivers[4][0] ?
					       self->drivers[4] : NULL));
}

static void plot_unfolds(struct __test_metadata *_metadata,
			 FIXTURE_DATA(neighbour) *self,
			 const struct plot *plot)
{
	bool by_group = plot->open == culprit_open_group;
	struct scene *scene = self->scene, after;
	double end = seconds_now() + BOUND_MS / 1000.0;
	int status, unbound;
	pid_t pid;

	scene->faults = 0;
	scene->error = 0;
	self->culprit = fork();
	ASSERT_LE(0, self->culprit);
	if (!self->culprit)
		culprit_main(scene, plot);
	setpgid(self->culprit, self->culprit);
	while (__atomic_load_n(&scene->faults, __ATOMIC_SEQ_CST) <
	       plot_faults(plot) && !scene->error && seconds_now() < end)
		usleep(2000);
	if (scene->error == -ENODEV && plot->fuse)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, scene->error) {
		TH_LOG("the culprit: %s", scene->failed);
	}
	ASSERT_EQ(plot_faults(plot), scene->faults) {
		show_stacks(self->culprit);
	}

	pid = neighbours_fork(scene, self->culprit, by_group);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(ends_within(pid, BOUND_MS, &status)) {
		TH_LOG("the neighbours hang: %s", scene->stage);
		show_stacks(pid);
		show_stacks(self->culprit);
	}
	EXPECT_EQ(0, status) {
		TH_LOG("the neighbours failed: %s", scene->stage);
	}
	/* One that nobody has open, although the user has its group */
	if (by_group && plot->act != get_device_fd) {
		pid = unbind_fork(scene->second);
		ASSERT_TRUE(ends_within(pid, BOUND_MS, &status)) {
			show_stacks(pid);
		}
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, waitpid(self->culprit, &status, WNOHANG));

	/* The administrator takes the device away, and with it the culprit */
	pid = unbind_fork(scene->mate);
	kill(-self->culprit, SIGKILL);
	ASSERT_TRUE(ends_within(self->culprit, BOUND_MS, &status)) {
		show_stacks(self->culprit);
	}
	self->culprit = -1;
	ASSERT_TRUE(ends_within(pid, BOUND_MS, &unbound)) {
		show_stacks(pid);
	}
	EXPECT_EQ(0, unbound);
	ASSERT_EQ(0, sysdev_set_driver(scene->mate, "vfio-pci"));
	ASSERT_EQ(0, sysdev_set_driver(scene->second, "vfio-pci"));

	/* Nothing is left: all can be used as if nothing had been */
	EXPECT_EQ(self->pins, pages_pinned());
	after = *scene;
	strcpy(after.other, scene->second);
	EXPECT_EQ(0, other_user(&after));
}

TEST_F_TIMEOUT(neighbour, held, 4 * BOUND_MS / 1000)
{
	plot_unfolds(_metadata, self, &variant->plot);
}

TEST_HARNESS_MAIN
