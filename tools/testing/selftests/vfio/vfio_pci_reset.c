// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of vfio-pci: of functions, and of everything behind a bridge, with the
 * owner proven by iommufd or by groups. Uses QEMU's nvme and igb, two edu behind a
 * pcie-pci-bridge and one alone behind a root port, and two igb that are functions of
 * one device.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/type1.h"
#include "../lib/vfio_pci.h"

FIXTURE(function)
{
	struct vp_dev d;
};

FIXTURE_SETUP(function)
{
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(function)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

/* The VLAN ether type of igb, which a reset sets to what it should be */
#define IGB_VET	0x38

FIXTURE(igb)
{
	struct vp_dev d;
	__u32 vet;
};

FIXTURE_SETUP(igb)
{
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, IGB_VENDOR, IGB_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no igb device");
	ASSERT_EQ(0, ret);
	self->vet = vp_bar_get(&self->d, 0, IGB_VET);
	ASSERT_EQ(0, vp_bar_set(&self->d, 0, IGB_VET, self->vet ^ 0x1234));
	ASSERT_EQ(self->vet ^ 0x1234, vp_bar_get(&self->d, 0, IGB_VET));
}

FIXTURE_TEARDOWN(igb)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F(igb, reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vp_dev *d = &self->d;
	volatile __u32 *reg;

	ASSERT_EQ(0, device_info(d->fd, &info));
	ASSERT_NE(0, info.flags & VFIO_DEVICE_FLAGS_RESET);
	reg = vp_mmap(d, 0, 0, 4096);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_EQ(self->vet ^ 0x1234, reg[IGB_VET / 4]);
	ASSERT_EQ(0, vp_cfg_set(d, PCI_CACHE_LINE_SIZE, 1, 16));
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(self->vet, reg[IGB_VET / 4]);
	/* what was set up in configuration space is still there */
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(16, vp_cfg_get(d, PCI_CACHE_LINE_SIZE, 1));
	EXPECT_NE(0, vp_cfg_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
}

/* The user's own reset, by configuration space */
TEST_F(igb, function_level_reset)
{
	struct vp_dev *d = &self->d;
	unsigned int exp = vp_find_cap(d, PCI_CAP_ID_EXP);
	__u32 ctl;

	ASSERT_NE(0, exp);
	ASSERT_NE(0, vp_cfg_get(d, exp + PCI_EXP_DEVCAP, 4) &
		     PCI_EXP_DEVCAP_FLR);
	ctl = vp_cfg_get(d, exp + PCI_EXP_DEVCTL, 2);
	ASSERT_EQ(0, vp_cfg_set(d, exp + PCI_EXP_DEVCTL, 2,
				ctl | PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(self->vet, vp_bar_get(d, 0, IGB_VET));
	EXPECT_EQ(ctl, vp_cfg_get(d, exp + PCI_EXP_DEVCTL, 2));
}

/* Nothing is left for the next user */
TEST_F(igb, closed)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2,
				PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	vp_close_fds(d);
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(self->vet, vp_bar_get(d, 0, IGB_VET));
	EXPECT_EQ(0, vp_cfg_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
}

/* Not only the next open, but the close itself stops what a user started */
TEST_F(igb, reset_by_close)
{
	char config[PATH_MAX], resource[PATH_MAX], control[PATH_MAX];
	struct vp_dev *d = &self->d;
	volatile __u32 *reg;
	__u16 command;
	int cfg, mem;

	snprintf(config, PATH_MAX, SYSDEV_PCI "/%s/config", d->bdf);
	snprintf(resource, PATH_MAX, SYSDEV_PCI "/%s/resource0",
		 d->bdf);
	snprintf(control, PATH_MAX, SYSDEV_PCI "/%s/power/control",
		 d->bdf);
	/* so that it is not a change of its power state that resets it */
	ASSERT_EQ(0, file_write(control, "on"));
	vp_close_fds(d);

	cfg = open(config, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, cfg);
	ASSERT_EQ(2, pread(cfg, &command, 2, PCI_COMMAND));
	command |= PCI_COMMAND_MEMORY;
	ASSERT_EQ(2, pwrite(cfg, &command, 2, PCI_COMMAND));
	mem = open(resource, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	reg = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mem, 0);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_EQ(self->vet, reg[IGB_VET / 4]);
	munmap((void *)reg, 4096);
	close(mem);
	command &= ~PCI_COMMAND_MEMORY;
	EXPECT_EQ(2, pwrite(cfg, &command, 2, PCI_COMMAND));
	close(cfg);
	EXPECT_EQ(0, file_write(control, "auto"));
}

TEST_F(function, hot_reset_of_root_bus)
{
	struct vfio_pci_hot_reset_info info = { .argsz = sizeof(info) };
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	/* nobody resets the root bus */
	EXPECT_EQ(-ENODEV, call(self->d.fd,
				VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	EXPECT_EQ(-ENODEV, call(self->d.fd, VFIO_DEVICE_PCI_HOT_RESET,
				&reset));
}

/* What needs some time without a reset gets it by a pause, in microseconds */
struct resetter {
	const struct vp_dev *d;
	unsigned int pause;
	volatile bool stop;
	int bad;
	unsigned int done;
};

static void *reset_loop(void *arg)
{
	struct resetter *r = arg;
	int ret;

	while (!r->stop) {
		ret = call(r->d->fd, VFIO_DEVICE_RESET, NULL);
		if (!ret)
			r->done++;
		else if (ret != -EAGAIN)
			r->bad = ret;
		usleep(r->pause);
	}
	return NULL;
}

/* Move between two address spaces until a reset is in the way; 0 if none is */
static int attach_until_busy(struct __test_metadata *_metadata,
			     const struct vp_dev *d, int iommufd)
{
	__u32 ioas[2], pt;
	int i, ret = 0;

	ASSERT_EQ(0, ioas_alloc(iommufd, &ioas[0]));
	ASSERT_EQ(0, ioas_alloc(iommufd, &ioas[1]));
	for (i = 0; !ret && i < 2000; i++) {
		pt = ioas[i % 2];
		ret = cdev_attach(d->fd, &pt);
		usleep(500);
	}
	return ret;
}

/* A device has no place in an address space while it is being reset */
TEST_F(function, attach_in_reset)
{
	struct resetter r = { .d = &self->d, .pause = 1000 };
	pthread_t thread;
	__u32 ioas, pt;

	ASSERT_EQ(0, ioas_alloc(self->d.iommufd, &ioas));
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_loop, &r));
	EXPECT_EQ(-EBUSY, attach_until_busy(_metadata, &self->d,
					    self->d.iommufd));
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(self->d.fd, &pt));
	EXPECT_EQ(0, cdev_detach(self->d.fd));
}

/* Accesses of all kinds while the device is being reset */
TEST_F(function, reset_under_load)
{
	struct resetter r = { .d = &self->d };
	struct vp_dev *d = &self->d;
	volatile __u32 *reg = vp_mmap(d, 0, 0, 4096);
	int efd = eventfd(0, EFD_NONBLOCK), i;
	pthread_t thread;
	__u32 version;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	ASSERT_EQ(0, vp_attach_empty(d));
	version = reg[2];
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_loop, &r));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(version, reg[2]);
		EXPECT_EQ(version, vp_bar_get(d, 0, 8));
		EXPECT_EQ(NVME_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
		EXPECT_EQ(0, vp_irq_fds(d, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &efd));
		EXPECT_EQ(0, vp_irq_disable(d, VFIO_PCI_MSIX_IRQ_INDEX));
	}
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
	close(efd);
}

#define DMA_IOVA	0x1000000UL
#define DMA_LENGTH	8192UL

/**
 * struct dma - edu's DMA
 * @bar: its registers
 * @mem: what it reads and writes
 * @done: copies that reached memory
 * @lost: copies that a reset took
 * @bad: others
 */
struct dma {
	volatile char *bar;
	unsigned char *mem;
	unsigned int done;
	unsigned int lost;
	unsigned int bad;
};

static int dma_set_up(struct vp_dev *d, struct dma *dma, int iommufd)
{
	__u32 ioas;
	int ret;

	dma->mem = mmap(NULL, DMA_LENGTH, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (dma->mem == MAP_FAILED)
		return -errno;
	ret = ioas_alloc(iommufd, &ioas);
	if (!ret)
		ret = ioas_map_at(iommufd, ioas, dma->mem, DMA_LENGTH, DMA_IOVA);
	/* Its mate may be resetting both */
	while (!ret && (ret = cdev_attach(d->fd, &ioas)) == -EBUSY) {
		usleep(1000);
		ret = 0;
	}
	if (!ret)
		ret = vp_set_command(d, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY,
				     0);
	if (ret)
		return ret;
	dma->bar = vp_mmap(d, 0, 0, 4096);
	return (void *)dma->bar == MAP_FAILED ? -errno : 0;
}

static bool is_all(const unsigned char *mem, unsigned char byte, size_t length)
{
	while (length && *mem == byte) {
		mem++;
		length--;
	}
	return !length;
}

/* To the device and back: all of it arrives or, while there are resets, nothing */
static void dma_once(struct dma *dma, unsigned char byte)
{
	unsigned char *second = dma->mem + 4096;

	memset(dma->mem, byte, 64);
	memset(second, 0, 4096);
	if (!edu_from_iova(dma->bar, DMA_IOVA) ||
	    !edu_to_iova(dma->bar, DMA_IOVA + 4096) ||
	    !is_all(second + 64, 0, 4096 - 64) || !is_all(second, *second, 64))
		dma->bad++;
	else if (*second == byte)
		dma->done++;
	else	/* perhaps what it had from before */
		dma->lost++;
}

static void dma_check(struct __test_metadata *_metadata, struct dma *dma)
{
	printf("# DMA under resets: %u done, %u lost\n", dma->done, dma->lost);
	EXPECT_EQ(0, dma->bad);
	/* and when that is over, as before */
	dma->done = 0;
	dma_once(dma, 0xa5);
	EXPECT_EQ(1, dma->done);
}

/* A device that does DMA, and is reset with its bus, on which it is alone */
FIXTURE(alone)
{
	struct vp_dev d;
};

FIXTURE_SETUP(alone)
{
	unsigned int i;

	vp_init(&self->d);
	for (i = 0; sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, i, self->d.bdf); i++)
		if (pci_is_alone(self->d.bdf))
			break;
	if (!pci_is_alone(self->d.bdf)) {
		self->d.bdf[0] = '\0';
		SKIP(return, "no edu device alone on its bus");
	}
	ASSERT_EQ(0, vp_take(&self->d));
}

FIXTURE_TEARDOWN(alone)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F_TIMEOUT(alone, reset_under_dma, 300)
{
	struct resetter r = { .d = &self->d, .pause = 300000 };
	struct dma dma = {};
	pthread_t thread;
	int i;

	ASSERT_EQ(0, dma_set_up(&self->d, &dma, self->d.iommufd));
	dma_once(&dma, 0xff);
	ASSERT_EQ(1, dma.done);
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_loop, &r));
	for (i = 1; i <= 8; i++)
		dma_once(&dma, i);
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_LT(0, r.done);
	dma_check(_metadata, &dma);
}

/* The kernel's log since it was booted, looked through for @text */
static bool log_has(const char *text)
{
	char record[8192];
	bool found = false;
	ssize_t n;
	int fd;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* EPIPE: some were overwritten before they were read */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		record[n] = '\0';
		found |= !!strstr(record, text);
	}
	close(fd);
	return found;
}

/*
 * Who resets a bus holds the bridge, so that nobody else looks at what is behind
 * it meanwhile. The kernel says it, once, of those who do not.
 */
TEST_F(alone, bridge_is_locked)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_FALSE(log_has("unlocked secondary bus reset"));
	vp_close_fds(d);
	EXPECT_FALSE(log_has("unlocked secondary bus reset"));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_FALSE(log_has("unlocked secondary bus reset"));
}

/* Two devices that only a reset of their bus resets, in one group */
FIXTURE(bus)
{
	struct vp_dev a;
	struct vp_dev b;
	int group;
	int container;
};

FIXTURE_SETUP(bus)
{
	vp_init(&self->a);
	vp_init(&self->b);
	self->group = -1;
	self->container = -1;
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, self->a.bdf,
			    self->b.bdf)) {
		self->a.bdf[0] = '\0';
		self->b.bdf[0] = '\0';
		SKIP(return, "no two edu devices in one group");
	}
	ASSERT_EQ(0, sysdev_set_driver(self->a.bdf, "vfio-pci"));
	ASSERT_EQ(0, sysdev_set_driver(self->b.bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(bus)
{
	vp_close_fds(&self->a);
	vp_close_fds(&self->b);
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	EXPECT_EQ(0, vp_close(&self->a));
	EXPECT_EQ(0, vp_close(&self->b));
}

/* Open both in one iommufd */
static int open_both(struct vp_dev *a, struct vp_dev *b)
{
	int ret = vp_open_bdf(a);

	if (ret)
		return ret;
	b->fd = cdev_open(b->bdf);
	if (b->fd < 0)
		return b->fd;
	return cdev_bind(b->fd, a->iommufd, &b->devid);
}

struct info8 {
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device devices[8];
};

static int hot_info(const struct vp_dev *d, struct info8 *u)
{
	memset(u, 0, sizeof(*u));
	u->info.argsz = sizeof(*u);
	return call(d->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, u);
}

static struct vfio_pci_dependent_device *
find_dep(struct info8 *u, const char *bdf)
{
	unsigned int i;

	for (i = 0; i < u->info.count; i++) {
		struct vfio_pci_dependent_device *dep = &u->devices[i];
		char name[32];

		snprintf(name, sizeof(name), "%04x:%02x:%02x.%x", dep->segment,
			 dep->bus, dep->devfn >> 3, dep->devfn & 7);
		if (!strcmp(name, bdf))
			return dep;
	}
	return NULL;
}

static int hot_reset(const struct vp_dev *d)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return call(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

TEST_F(bus, by_iommufd)
{
	struct info8 u;

	ASSERT_EQ(0, open_both(&self->a, &self->b));
	/* too short: only how many there are */
	u.info.argsz = sizeof(u.info);
	u.info.count = 0;
	ASSERT_EQ(-ENOSPC, call(self->a.fd,
				VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u));
	EXPECT_EQ(2, u.info.count);
	u.info.argsz--;
	EXPECT_EQ(-EINVAL, call(self->a.fd,
				VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u));

	ASSERT_EQ(0, hot_info(&self->a, &u));
	EXPECT_EQ(2, u.info.count);
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
		  VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, u.info.flags);
	ASSERT_NE(NULL, find_dep(&u, self->a.bdf));
	ASSERT_NE(NULL, find_dep(&u, self->b.bdf));
	EXPECT_EQ(self->a.devid, find_dep(&u, self->a.bdf)->devid);
	EXPECT_EQ(self->b.devid, find_dep(&u, self->b.bdf)->devid);
	EXPECT_EQ(0, hot_reset(&self->a));
	EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(&self->a, 0, EDU_ID));
	EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(&self->b, 0, EDU_ID));
}

/* The mate is not open: the group is ours, and so is the mate */
TEST_F(bus, mate_not_open)
{
	struct info8 u;

	ASSERT_EQ(0, vp_open_bdf(&self->a));
	ASSERT_EQ(0, hot_info(&self->a, &u));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
		  VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, u.info.flags);
	ASSERT_NE(NULL, find_dep(&u, self->b.bdf));
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, find_dep(&u, self->b.bdf)->devid);
	EXPECT_EQ(0, hot_reset(&self->a));
}

/* Who opens one function only may not reset it together with the other */
static void expect_not_owned(struct __test_metadata *_metadata,
			     struct vp_dev *d, const char *other)
{
	struct info8 u;

	ASSERT_EQ(0, vp_open_bdf(d));
	ASSERT_EQ(0, hot_info(d, &u));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, u.info.flags);
	ASSERT_NE(NULL, find_dep(&u, other));
	EXPECT_EQ((__u32)VFIO_PCI_DEVID_NOT_OWNED, find_dep(&u, other)->devid);
	EXPECT_EQ(-EINVAL, hot_reset(d));
}

/* The mate has no driver: it may not be reset under whoever comes */
TEST_F(bus, mate_without_driver)
{
	ASSERT_EQ(0, sysdev_set_driver(self->b.bdf, NULL));
	expect_not_owned(_metadata, &self->a, self->b.bdf);
}

TEST_F(bus, mapped_memory_survives)
{
	volatile __u32 *ra, *rb;

	ASSERT_EQ(0, open_both(&self->a, &self->b));
	ra = vp_mmap(&self->a, 0, 0, 4096);
	rb = vp_mmap(&self->b, 0, 0, 4096);
	ASSERT_NE(MAP_FAILED, (void *)ra);
	ASSERT_NE(MAP_FAILED, (void *)rb);
	rb[EDU_LIVENESS / 4] = 0;
	EXPECT_EQ(~0U, rb[EDU_LIVENESS / 4]);
	ASSERT_EQ(0, hot_reset(&self->a));
	EXPECT_EQ(EDU_ID_REVISION_1, ra[0]);
	EXPECT_EQ(EDU_ID_REVISION_1, rb[0]);
}

TEST_F(bus, refused)
{
	struct {
		struct vfio_pci_hot_reset reset;
		__s32 fds[4];
	} u = { .reset.argsz = sizeof(u) };

	ASSERT_EQ(0, open_both(&self->a, &self->b));
	/* the character device does not take groups */
	u.reset.count = 1;
	u.fds[0] = self->a.fd;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = 0;
	u.reset.flags = 1;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.flags = 0;
	u.reset.argsz = sizeof(u.reset) - 1;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
}

static int open_group(struct vp_dev *a, struct vp_dev *b, int *group,
		      int *container)
{
	int nr = sysdev_group(a->bdf), ret;

	if (nr < 0)
		return nr;
	*group = group_open(nr);
	if (*group < 0)
		return *group;
	*container = container_open();
	if (*container < 0)
		return *container;
	ret = group_set_container(*group, *container);
	if (ret)
		return ret;
	ret = t1_set_iommu(*container, VFIO_TYPE1v2_IOMMU);
	if (ret)
		return ret;
	a->fd = group_get_device(*group, a->bdf);
	b->fd = group_get_device(*group, b->bdf);
	return a->fd < 0 ? a->fd : b->fd < 0 ? b->fd : 0;
}

TEST_F(bus, by_group)
{
	struct {
		struct vfio_pci_hot_reset reset;
		__s32 fds[4];
	} u = { .reset.argsz = sizeof(u), .reset.count = 1 };
	int nr = sysdev_group(self->a.bdf);
	struct info8 info;

	ASSERT_EQ(0, open_group(&self->a, &self->b, &self->group,
				&self->container));
	ASSERT_EQ(0, hot_info(&self->a, &info));
	EXPECT_EQ(2, info.info.count);
	EXPECT_EQ(0, info.info.flags);
	ASSERT_NE(NULL, find_dep(&info, self->a.bdf));
	EXPECT_EQ((__u32)nr, find_dep(&info, self->a.bdf)->group_id);
	EXPECT_EQ((__u32)nr, find_dep(&info, self->b.bdf)->group_id);

	u.fds[0] = self->group;
	EXPECT_EQ(0, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(&self->b, 0, EDU_ID));

	/* no proof, wrong proof, too much proof */
	u.reset.count = 0;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = 1;
	u.fds[0] = self->container;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.fds[0] = self->a.fd;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.fds[0] = 999;
	EXPECT_EQ(-EBADF, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = 3;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = ~0U;
	EXPECT_EQ(-EINVAL, call(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
}

static void *hot_reset_loop(void *arg)
{
	struct resetter *r = arg;
	int ret;

	while (!r->stop) {
		ret = hot_reset(r->d);
		if (!ret)
			r->done++;
		else if (ret != -EAGAIN)
			r->bad = ret;
		usleep(r->pause);
	}
	return NULL;
}

/* A mate of the group counts, too */
TEST_F(bus, attach_in_reset)
{
	struct resetter r = { .d = &self->a, .pause = 1000 };
	pthread_t thread;

	ASSERT_EQ(0, open_both(&self->a, &self->b));
	ASSERT_EQ(0, pthread_create(&thread, NULL, hot_reset_loop, &r));
	EXPECT_EQ(-EBUSY, attach_until_busy(_metadata, &self->b,
					    self->a.iommufd));
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
}

/* One device resets the bus, while the other is opened, does DMA and is closed */
TEST_F_TIMEOUT(bus, hot_reset_under_load, 300)
{
	struct resetter r = { .d = &self->a, .pause = 300000 };
	struct dma dma = {};
	pthread_t thread;
	int i;

	ASSERT_EQ(0, vp_open_bdf(&self->a));
	ASSERT_EQ(0, pthread_create(&thread, NULL, hot_reset_loop, &r));
	for (i = 0; i < 5; i++) {
		volatile __u32 *reg;

		self->b.fd = cdev_open(self->b.bdf);
		ASSERT_LE(0, self->b.fd);
		ASSERT_EQ(0, cdev_bind(self->b.fd, self->a.iommufd,
				       &self->b.devid));
		reg = vp_mmap(&self->b, 0, 0, 4096);
		ASSERT_NE(MAP_FAILED, (void *)reg);
		EXPECT_EQ(EDU_ID_REVISION_1, reg[0]);
		EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(&self->b, 0, 0));
		ASSERT_EQ(0, dma_set_up(&self->b, &dma, self->a.iommufd));
		dma_once(&dma, i + 1);
		if (i == 4)
			break;
		vp_close_fds(&self->b);
	}
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_LT(0, r.done);
	dma_check(_metadata, &dma);
}

/* Two functions in one group, of which each can be reset alone */
FIXTURE(mates)
{
	struct vp_dev a;
	struct vp_dev b;
};

FIXTURE_SETUP(mates)
{
	vp_init(&self->a);
	vp_init(&self->b);
	if (!pci_find_mates(VIRTIO_VENDOR, VIRTIO_NET_DEVICE, self->a.bdf,
			    self->b.bdf)) {
		self->a.bdf[0] = '\0';
		self->b.bdf[0] = '\0';
		SKIP(return, "no two virtio devices in one group");
	}
	if (sysdev_driver(self->a.bdf, self->a.driver))
		self->a.driver[0] = '\0';
	if (sysdev_driver(self->b.bdf, self->b.driver))
		self->b.driver[0] = '\0';
	ASSERT_EQ(0, sysdev_set_driver(self->a.bdf, "vfio-pci"));
	ASSERT_EQ(0, sysdev_set_driver(self->b.bdf, "vfio-pci"));
	ASSERT_EQ(0, open_both(&self->a, &self->b));
}

FIXTURE_TEARDOWN(mates)
{
	vp_close_fds(&self->a);
	vp_close_fds(&self->b);
	EXPECT_EQ(0, vp_close(&self->a));
	EXPECT_EQ(0, vp_close(&self->b));
}

/* A page table is the group's, so that one that is not reset has to wait, too */
TEST_F(mates, attach_in_reset)
{
	struct resetter r = { .d = &self->a, .pause = 1000 };
	pthread_t thread;
	__u32 ioas;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_loop, &r));
	EXPECT_EQ(-EBUSY, attach_until_busy(_metadata, &self->b,
					    self->a.iommufd));
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_LT(0, r.done);
	ASSERT_EQ(0, ioas_alloc(self->a.iommufd, &ioas));
	EXPECT_EQ(0, cdev_attach_to(self->b.fd, ioas));
}

/* Two functions that are reset together, in groups of their own */
FIXTURE(twins)
{
	struct vp_dev a;
	struct vp_dev b;
	int group[2];
	int container;
};

FIXTURE_SETUP(twins)
{
	struct vp_dev *a = &self->a, *b = &self->b;
	unsigned int i;

	vp_init(a);
	vp_init(b);
	self->group[0] = -1;
	self->group[1] = -1;
	self->container = -1;
	for (i = 0; sysdev_find_pci(IGB_VENDOR, IGB_DEVICE, i, a->bdf); i++)
		/* "0000:01:00.0" and "0000:01:00.1" */
		if (sysdev_find_pci(IGB_VENDOR, IGB_DEVICE, i + 1, b->bdf) &&
		    !strncmp(a->bdf, b->bdf, 11))
			break;
	if (strncmp(a->bdf, b->bdf, 11) || !strcmp(a->bdf, b->bdf)) {
		a->bdf[0] = '\0';
		b->bdf[0] = '\0';
		SKIP(return, "no igb device with two functions");
	}
	if (sysdev_group(a->bdf) == sysdev_group(b->bdf)) {
		a->bdf[0] = '\0';
		b->bdf[0] = '\0';
		SKIP(return, "both functions are in one group");
	}
	if (sysdev_driver(a->bdf, a->driver))
		a->driver[0] = '\0';
	if (sysdev_driver(b->bdf, b->driver))
		b->driver[0] = '\0';
	ASSERT_EQ(0, sysdev_set_driver(a->bdf, "vfio-pci"));
	ASSERT_EQ(0, sysdev_set_driver(b->bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(twins)
{
	int i;

	vp_close_fds(&self->a);
	vp_close_fds(&self->b);
	for (i = 0; i < 2; i++)
		if (self->group[i] >= 0)
			close(self->group[i]);
	if (self->container >= 0)
		close(self->container);
	EXPECT_EQ(0, vp_close(&self->a));
	EXPECT_EQ(0, vp_close(&self->b));
}

/* Change a register of @d, which afterwards tells whether there was a reset */
static __u32 mark(const struct vp_dev *d)
{
	__u32 vet = vp_bar_get(d, 0, IGB_VET);

	vp_bar_set(d, 0, IGB_VET, vet ^ 0x1234);
	return vet;
}

TEST_F(twins, by_iommufd)
{
	struct vp_dev *a = &self->a, *b = &self->b;
	__u32 vet_a, vet_b;
	struct info8 u;

	ASSERT_EQ(0, open_both(a, b));
	ASSERT_EQ(0, hot_info(a, &u));
	EXPECT_EQ(2, u.info.count);
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
		  VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, u.info.flags);
	ASSERT_NE(NULL, find_dep(&u, a->bdf));
	ASSERT_NE(NULL, find_dep(&u, b->bdf));
	EXPECT_EQ(a->devid, find_dep(&u, a->bdf)->devid);
	EXPECT_EQ(b->devid, find_dep(&u, b->bdf)->devid);

	vet_a = mark(a);
	vet_b = mark(b);
	EXPECT_EQ(vet_b ^ 0x1234, vp_bar_get(b, 0, IGB_VET));
	/* a reset of the function is none of its twin */
	EXPECT_EQ(0, call(a->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(vet_a, vp_bar_get(a, 0, IGB_VET));
	EXPECT_EQ(vet_b ^ 0x1234, vp_bar_get(b, 0, IGB_VET));
	mark(a);
	EXPECT_EQ(0, hot_reset(a));
	EXPECT_EQ(vet_a, vp_bar_get(a, 0, IGB_VET));
	EXPECT_EQ(vet_b, vp_bar_get(b, 0, IGB_VET));
}

/* It is not open, and nothing that is open keeps others from opening it */
TEST_F(twins, twin_not_open)
{
	expect_not_owned(_metadata, &self->a, self->b.bdf);
}

TEST_F(twins, twin_of_another_iommufd)
{
	struct vp_dev *a = &self->a, *b = &self->b;
	struct info8 u;
	__u32 vet;

	ASSERT_EQ(0, vp_open_bdf(a));
	ASSERT_EQ(0, vp_open_bdf(b));
	ASSERT_EQ(0, hot_info(a, &u));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, u.info.flags);
	ASSERT_NE(NULL, find_dep(&u, a->bdf));
	ASSERT_NE(NULL, find_dep(&u, b->bdf));
	EXPECT_EQ(a->devid, find_dep(&u, a->bdf)->devid);
	EXPECT_EQ((__u32)VFIO_PCI_DEVID_NOT_OWNED,
		  find_dep(&u, b->bdf)->devid);
	vet = mark(b);
	EXPECT_EQ(-EINVAL, hot_reset(a));
	EXPECT_EQ(-EINVAL, hot_reset(b));
	EXPECT_EQ(vet ^ 0x1234, vp_bar_get(b, 0, IGB_VET));
}

static int join_container(struct vp_dev *d, int *group, int container)
{
	int ret;

	*group = group_open(sysdev_group(d->bdf));
	if (*group < 0)
		return *group;
	ret = group_set_container(*group, container);
	if (ret)
		return ret;
	ret = t1_set_iommu(container, VFIO_TYPE1v2_IOMMU);
	if (ret && ret != -EINVAL)	/* by the other group, already */
		return ret;
	d->fd = group_get_device(*group, d->bdf);
	return d->fd < 0 ? d->fd : 0;
}

TEST_F(twins, by_groups)
{
	struct {
		struct vfio_pci_hot_reset reset;
		__s32 fds[4];
	} u = { .reset.argsz = sizeof(u) };
	struct vp_dev *a = &self->a, *b = &self->b;
	__u32 vet_a, vet_b;
	struct info8 info;

	self->container = container_open();
	ASSERT_LE(0, self->container);
	ASSERT_EQ(0, join_container(a, &self->group[0], self->container));
	ASSERT_EQ(0, join_container(b, &self->group[1], self->container));
	ASSERT_EQ(0, hot_info(a, &info));
	EXPECT_EQ(2, info.info.count);
	EXPECT_EQ(0, info.info.flags);
	ASSERT_NE(NULL, find_dep(&info, a->bdf));
	ASSERT_NE(NULL, find_dep(&info, b->bdf));
	EXPECT_EQ((__u32)sysdev_group(a->bdf), find_dep(&info, a->bdf)->group_id);
	EXPECT_EQ((__u32)sysdev_group(b->bdf), find_dep(&info, b->bdf)->group_id);

	/* one of the two, either of them, the same one twice */
	vet_a = mark(a);
	vet_b = mark(b);
	u.reset.count = 1;
	u.fds[0] = self->group[0];
	EXPECT_EQ(-EINVAL, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.fds[0] = self->group[1];
	EXPECT_EQ(-EINVAL, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = 2;
	u.fds[1] = self->group[1];
	EXPECT_EQ(-EINVAL, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	EXPECT_EQ(vet_a ^ 0x1234, vp_bar_get(a, 0, IGB_VET));
	EXPECT_EQ(vet_b ^ 0x1234, vp_bar_get(b, 0, IGB_VET));
	/* both, in any order */
	u.fds[0] = self->group[0];
	EXPECT_EQ(0, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	EXPECT_EQ(vet_a, vp_bar_get(a, 0, IGB_VET));
	EXPECT_EQ(vet_b, vp_bar_get(b, 0, IGB_VET));
	u.fds[0] = self->group[1];
	u.fds[1] = self->group[0];
	mark(a);
	EXPECT_EQ(0, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	EXPECT_EQ(vet_a, vp_bar_get(a, 0, IGB_VET));
	/* too many */
	u.reset.count = 3;
	u.fds[2] = self->group[0];
	EXPECT_EQ(-EINVAL, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
}

/* A twin whose group is held, but which is not open */
TEST_F(twins, group_of_a_closed_twin)
{
	struct {
		struct vfio_pci_hot_reset reset;
		__s32 fds[2];
	} u = { .reset.argsz = sizeof(u), .reset.count = 2 };
	struct vp_dev *a = &self->a, *b = &self->b;

	self->container = container_open();
	ASSERT_LE(0, self->container);
	ASSERT_EQ(0, join_container(a, &self->group[0], self->container));
	ASSERT_EQ(0, join_container(b, &self->group[1], self->container));
	close(b->fd);
	b->fd = -1;
	u.fds[0] = self->group[0];
	u.fds[1] = self->group[1];
	EXPECT_EQ(0, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
	u.reset.count = 1;
	EXPECT_EQ(-EINVAL, call(a->fd, VFIO_DEVICE_PCI_HOT_RESET, &u));
}

TEST_HARNESS_MAIN
