// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of no bus: a virtio device that is reached by memory, by vfio-platform,
 * and the clock PL031, by vfio-amba, both as QEMU's machine "virt" has them. No
 * IOMMU is in front of them, so that they are used in no-IOMMU mode, which taints
 * the kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_mmio.h>

#include "kselftest_harness.h"
#include "../lib/call.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define PARAMETER	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define SHIFT		40

/* "virt" in the first register */
#define VIRTIO_MAGIC	0x74726976
#define STATUS_ACK	1

/* Registers of the PL031 */
#define RTC_NOW		0x00
#define RTC_MATCH	0x04
#define RTC_MASK	0x10
#define RTC_RAW		0x14
#define RTC_CLEAR	0x1c
#define RTC_SIZE	0x1000

#define TIMEOUT_MS	10000
#define SOON_MS		200

struct device {
	const char *bus;
	char name[SYSDEV_NAME_MAX];
	int container, group, fd;
};

static int set_driver(const struct device *d, const char *driver)
{
	char path[PATH_MAX], other[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver_override",
		 d->bus, d->name);
	ret = file_write(path, driver ? driver : "\n");
	if (ret)
		return ret;
	snprintf(other, sizeof(other), "/sys/bus/%s/devices/%s/driver/unbind",
		 d->bus, d->name);
	if (!access(other, F_OK))
		ret = file_write(other, d->name);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/%s/drivers_probe", d->bus);
	file_write(path, d->name);
	return !driver || !access(other, F_OK) ? 0 : -ENODEV;
}

static int group_number(const struct device *d)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/iommu_group",
		 d->bus, d->name);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = '\0';
	return atoi(strrchr(link, '/') + 1);
}

static int device_open(struct device *d)
{
	char path[PATH_MAX];
	int ret;

	d->container = container_open();
	if (d->container < 0)
		return d->container;
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", group_number(d));
	d->group = open(path, O_RDWR | O_CLOEXEC);
	if (d->group < 0)
		return -errno;
	ret = group_set_container(d->group, d->container);
	if (!ret)
		ret = t1_call(d->container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
	if (ret)
		return ret;
	d->fd = group_get_device(d->group, d->name);
	return d->fd < 0 ? d->fd : 0;
}

static void device_close(struct device *d)
{
	int *fds[] = { &d->fd, &d->group, &d->container };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static __u32 reg_read(const struct device *d, off_t reg)
{
	__u32 val;

	return pread(d->fd, &val, sizeof(val), reg) == sizeof(val) ? val : ~0U;
}

static int reg_write(const struct device *d, off_t reg, __u32 val)
{
	return pwrite(d->fd, &val, sizeof(val), reg) == sizeof(val) ? 0 : -EIO;
}

static int set_irq(const struct device *d, __u32 flags, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} cmd = {
		.set = {
			.argsz = sizeof(cmd),
			.flags = flags,
			.count = flags & VFIO_IRQ_SET_DATA_EVENTFD || fd >= 0,
		},
		.fd = fd,
	};

	return call(d->fd, VFIO_DEVICE_SET_IRQS, &cmd);
}

#define EVENTFD(action)	(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_##action)
/* One interrupt, for which any fd but -1 stands */
#define NONE(action)	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_##action)

static bool signalled(int efd, int ms)
{
	struct pollfd pfd = { .fd = efd, .events = POLLIN };
	eventfd_t n;

	return poll(&pfd, 1, ms) == 1 && !eventfd_read(efd, &n);
}

/* Try those in @bus whose name ends with @suffix until one opens as @good */
static bool device_find(struct device *d, const char *bus, const char *suffix,
			const char *driver,
			bool (*good)(const struct device *d))
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	*d = (struct device){ .bus = bus, .container = -1, .group = -1, .fd = -1 };
	snprintf(path, sizeof(path), "/sys/bus/%s/devices", bus);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, suffix))
			continue;
		snprintf(d->name, sizeof(d->name), "%.63s", entry->d_name);
		found = !set_driver(d, driver) && !device_open(d) && good(d);
		if (!found) {
			device_close(d);
			set_driver(d, NULL);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_virtio(const struct device *d)
{
	return reg_read(d, VIRTIO_MMIO_MAGIC_VALUE) == VIRTIO_MAGIC &&
	       reg_read(d, VIRTIO_MMIO_DEVICE_ID);
}

static bool is_any(const struct device *d)
{
	return d->fd >= 0;
}

/* Why there is nothing to test, or NULL */
static const char *prepare(const char *module)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe -q %s", module);
	if (system(command))
		return "no vfio-platform for this architecture";
	return file_write(PARAMETER, "Y") ? "built without VFIO_NOIOMMU" : NULL;
}

FIXTURE(platform)
{
	struct device d;
	void *nothing;		/* NULL, which the compiler need not know */
};

FIXTURE_SETUP(platform)
{
	const char *missing = prepare("vfio-platform");

	self->d = (struct device){ .container = -1, .group = -1, .fd = -1 };
	if (missing)
		SKIP(return, "%s", missing);
	if (!device_find(&self->d, "platform", ".virtio_mmio", "vfio-platform",
			 is_virtio))
		SKIP(return, "no virtio device that is reached by memory");
}

FIXTURE_TEARDOWN(platform)
{
	device_close(&self->d);
	if (self->d.name[0])
		EXPECT_EQ(0, set_driver(&self->d, NULL));
	file_write(PARAMETER, "N");
}

TEST_F(platform, info)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };

	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET,
		  info.flags);
	EXPECT_EQ(1, info.num_regions);
	EXPECT_EQ(1, info.num_irqs);
	info.argsz = 4;
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_GET_INFO, &info));

	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(0x200, region.size);
	EXPECT_EQ(0, region.offset);
	/* Eight of them share a page */
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  region.flags);
	region.index = 1;
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_GET_REGION_INFO, &region));

	/* Edge-triggered */
	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, irq.flags);
	EXPECT_EQ(1, irq.count);
	irq.index = 1;
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
}

TEST_F(platform, read_and_write)
{
	struct device *d = &self->d;
	char all[0x200];
	__u32 val;

	EXPECT_EQ(VIRTIO_MAGIC, reg_read(d, VIRTIO_MMIO_MAGIC_VALUE));
	ASSERT_EQ(0, reg_write(d, VIRTIO_MMIO_STATUS, STATUS_ACK));
	EXPECT_EQ(STATUS_ACK, reg_read(d, VIRTIO_MMIO_STATUS));

	/* Up to the end of the region and not beyond */
	EXPECT_EQ(4, pread(d->fd, all, sizeof(all), sizeof(all) - 4));
	EXPECT_EQ(-1, pread(d->fd, &val, 4, sizeof(all)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(d->fd, &val, 4, sizeof(all)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(d->fd, &val, 4, 1ULL << SHIFT));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(d->fd, self->nothing, 4, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ,
				   MAP_SHARED, d->fd, 0));
}

TEST_F(platform, reset)
{
	struct device *d = &self->d;

	ASSERT_EQ(0, reg_write(d, VIRTIO_MMIO_STATUS, STATUS_ACK));
	ASSERT_EQ(STATUS_ACK, reg_read(d, VIRTIO_MMIO_STATUS));
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, reg_read(d, VIRTIO_MMIO_STATUS));

	/* So it is between two users */
	ASSERT_EQ(0, reg_write(d, VIRTIO_MMIO_STATUS, STATUS_ACK));
	ASSERT_EQ(STATUS_ACK, reg_read(d, VIRTIO_MMIO_STATUS));
	device_close(d);
	ASSERT_EQ(0, device_open(d));
	EXPECT_EQ(0, reg_read(d, VIRTIO_MMIO_STATUS));
}

/* No mask, as nothing keeps an edge up */
TEST_F(platform, edge)
{
	struct device *d = &self->d;
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, efd);
	EXPECT_EQ(-EINVAL, set_irq(d, NONE(TRIGGER), 0));
	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), efd));
	EXPECT_FALSE(signalled(efd, 0));
	EXPECT_EQ(0, set_irq(d, NONE(TRIGGER), 0));
	EXPECT_TRUE(signalled(efd, 0));
	EXPECT_EQ(-EINVAL, set_irq(d, NONE(MASK), 0));
	EXPECT_EQ(-EINVAL, set_irq(d, NONE(UNMASK), 0));
	EXPECT_EQ(-EINVAL, set_irq(d, EVENTFD(UNMASK), efd));
	EXPECT_EQ(0, set_irq(d, NONE(TRIGGER), -1));
	EXPECT_EQ(-EINVAL, set_irq(d, NONE(TRIGGER), 0));
	EXPECT_EQ(-EBADF, set_irq(d, EVENTFD(TRIGGER), 1 << 20));
	close(efd);
}

FIXTURE(amba)
{
	struct device d;
	int efd;
};

FIXTURE_SETUP(amba)
{
	const char *missing = prepare("vfio-amba");

	self->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->d = (struct device){ .container = -1, .group = -1, .fd = -1 };
	if (missing)
		SKIP(return, "%s", missing);
	if (!device_find(&self->d, "amba", ".pl031", "vfio-amba", is_any))
		SKIP(return, "no PL031");
}

FIXTURE_TEARDOWN(amba)
{
	device_close(&self->d);
	close(self->efd);
	if (self->d.name[0])
		EXPECT_EQ(0, set_driver(&self->d, NULL));
	file_write(PARAMETER, "N");
}

TEST_F(amba, info)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	__u32 flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_INFO, &info));
	/* Nobody knows how to reset it */
	EXPECT_EQ(VFIO_DEVICE_FLAGS_AMBA, info.flags);
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(RTC_SIZE, region.size);
	if (sysconf(_SC_PAGESIZE) == RTC_SIZE)
		flags |= VFIO_REGION_INFO_FLAG_MMAP;
	EXPECT_EQ(flags, region.flags);
	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
		  VFIO_IRQ_INFO_AUTOMASKED, irq.flags);
}

TEST_F(amba, mmap)
{
	volatile __u32 *regs;

	if (sysconf(_SC_PAGESIZE) != RTC_SIZE)
		SKIP(return, "its registers are not all of a page");
	regs = mmap(NULL, RTC_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    self->d.fd, 0);
	ASSERT_NE(MAP_FAILED, regs);
	regs[RTC_MATCH / 4] = 0x12345678;
	EXPECT_EQ(0x12345678, reg_read(&self->d, RTC_MATCH));
	EXPECT_EQ(0, munmap((void *)regs, RTC_SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * RTC_SIZE, PROT_READ, MAP_SHARED,
				   self->d.fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, RTC_SIZE, PROT_READ, MAP_SHARED,
				   self->d.fd, RTC_SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, RTC_SIZE, PROT_READ, MAP_PRIVATE,
				   self->d.fd, 0));
}

/* Have the clock raise its line within a second, and keep it up */
static void alarm_set(const struct device *d)
{
	reg_write(d, RTC_CLEAR, 1);
	reg_write(d, RTC_MASK, 1);
	reg_write(d, RTC_MATCH, reg_read(d, RTC_NOW) + 1);
}

static void alarm_clear(const struct device *d)
{
	reg_write(d, RTC_MASK, 0);
	reg_write(d, RTC_CLEAR, 1);
}

TEST_F(amba, level)
{
	struct device *d = &self->d;

	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), self->efd));
	alarm_set(d);
	ASSERT_TRUE(signalled(self->efd, TIMEOUT_MS));
	EXPECT_EQ(1, reg_read(d, RTC_RAW));
	/* Masked since, until told otherwise; the line is still up */
	EXPECT_FALSE(signalled(self->efd, SOON_MS));
	ASSERT_EQ(0, set_irq(d, NONE(UNMASK), 0));
	EXPECT_TRUE(signalled(self->efd, TIMEOUT_MS));
	EXPECT_FALSE(signalled(self->efd, SOON_MS));

	alarm_clear(d);
	ASSERT_EQ(0, set_irq(d, NONE(UNMASK), 0));
	EXPECT_FALSE(signalled(self->efd, SOON_MS));
}

TEST_F(amba, masked_by_the_user)
{
	struct device *d = &self->d;
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, efd);
	/* Before there is anybody to tell */
	ASSERT_EQ(0, set_irq(d, NONE(MASK), 0));
	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), self->efd));
	alarm_set(d);
	EXPECT_FALSE(signalled(self->efd, 2000));
	EXPECT_EQ(1, reg_read(d, RTC_RAW));
	/* An eventfd that unmasks, as KVM has */
	ASSERT_EQ(0, set_irq(d, EVENTFD(UNMASK), efd));
	EXPECT_FALSE(signalled(self->efd, SOON_MS));
	ASSERT_EQ(0, eventfd_write(efd, 1));
	EXPECT_TRUE(signalled(self->efd, TIMEOUT_MS));
	EXPECT_EQ(0, set_irq(d, EVENTFD(UNMASK), -1));
	/* Another one to tell, while it is masked: the state stays */
	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), efd));
	EXPECT_FALSE(signalled(efd, SOON_MS));
	ASSERT_EQ(0, set_irq(d, NONE(UNMASK), 0));
	EXPECT_TRUE(signalled(efd, TIMEOUT_MS));
	EXPECT_FALSE(signalled(self->efd, 0));
	alarm_clear(d);
	close(efd);
}

/* How many interrupts the device that is open has had since it was connected */
static unsigned long irq_count(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long sum = 0;
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		char *word = strchr(line, ':'), *end;

		if (!word || !strstr(line, "vfio-irq["))
			continue;
		/* A number for each processor */
		for (word++;; word = end) {
			sum += strtoul(word, &end, 10);
			if (end == word)
				break;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

/*
 * One eventfd for both, which is a ring that takes each signal for itself. It must
 * not hang the machine, and ends with the level.
 */
TEST_F(amba, unmasks_itself)
{
	struct device *d = &self->d;
	unsigned long before;

	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), self->efd));
	ASSERT_EQ(0, set_irq(d, EVENTFD(UNMASK), self->efd));
	before = irq_count();
	alarm_set(d);
	usleep(3000 * 1000);
	EXPECT_LT(before + 1, irq_count());
	alarm_clear(d);
	EXPECT_EQ(0, set_irq(d, EVENTFD(UNMASK), -1));
	ASSERT_EQ(0, set_irq(d, NONE(UNMASK), 0));
	EXPECT_FALSE(signalled(self->efd, SOON_MS));
	alarm_set(d);
	EXPECT_TRUE(signalled(self->efd, TIMEOUT_MS));
	alarm_clear(d);
}

/* The next user finds nothing of the last one */
TEST_F(amba, closed_with_interrupt_pending)
{
	struct device *d = &self->d;

	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), self->efd));
	alarm_set(d);
	ASSERT_TRUE(signalled(self->efd, TIMEOUT_MS));
	device_close(d);
	ASSERT_EQ(0, device_open(d));
	ASSERT_EQ(0, set_irq(d, EVENTFD(TRIGGER), self->efd));
	/* Not masked: the line is still up, as the device was not reset */
	EXPECT_TRUE(signalled(self->efd, TIMEOUT_MS));
	alarm_clear(d);
}

TEST(reset_is_required)
{
	struct device d = { .bus = "platform" };
	const char *missing = prepare("vfio-platform");
	struct dirent *entry;
	DIR *dir;

	if (missing)
		SKIP(return, "%s", missing);
	/* The flash, which has no reset that anybody knows */
	dir = opendir("/sys/bus/platform/devices");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (strstr(entry->d_name, ".flash"))
			snprintf(d.name, sizeof(d.name), "%.63s", entry->d_name);
	closedir(dir);
	if (!d.name[0])
		SKIP(goto out, "no flash");
	EXPECT_EQ(-ENODEV, set_driver(&d, "vfio-platform"));
	ASSERT_EQ(0, file_write("/sys/module/vfio_platform/parameters/reset_required",
				"N"));
	EXPECT_EQ(0, set_driver(&d, "vfio-platform"));
	EXPECT_EQ(0, file_write("/sys/module/vfio_platform/parameters/reset_required",
				"Y"));
	EXPECT_EQ(0, set_driver(&d, NULL));
out:
	file_write(PARAMETER, "N");
}

TEST_HARNESS_MAIN
