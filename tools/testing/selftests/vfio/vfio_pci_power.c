// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power of vfio-pci: unused devices suspend, users permit low power and take the
 * permission back. Uses QEMU's nvme.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define ENTRY	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define EXIT	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
#define SET	VFIO_DEVICE_FEATURE_SET

FIXTURE(power)
{
	struct vp_dev d;
	int efd;
};

FIXTURE_SETUP(power)
{
	int ret;

	self->efd = eventfd(0, EFD_NONBLOCK);
	vp_init(&self->d);
	ret = vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(power)
{
	close(self->efd);
	EXPECT_EQ(0, vp_close(&self->d));
}

/* Wait until the device is "suspended" or "active" */
static bool becomes(const struct vp_dev *d, const char *status)
{
	char buf[32];
	int i;

	for (i = 0; i < 100; i++) {
		if (sysdev_read(d->bdf, "power/runtime_status", buf,
				sizeof(buf)) > 0 &&
		    !strcmp(buf, status))
			return true;
		usleep(20000);
	}
	return false;
}

static int feature(const struct vp_dev *d, __u32 flags)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = flags,
	};

	return call(d->fd, VFIO_DEVICE_FEATURE, &f);
}

static int entry_with_wakeup(const struct vp_dev *d, __s32 fd)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} u = {
		.f.argsz = sizeof(u),
		.f.flags = SET | WAKEUP,
		.entry.wakeup_eventfd = fd,
	};

	return call(d->fd, VFIO_DEVICE_FEATURE, &u);
}

TEST_F(power, unused)
{
	EXPECT_TRUE(becomes(&self->d, "active"));
	vp_close_fds(&self->d);
	EXPECT_TRUE(becomes(&self->d, "suspended"));
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_TRUE(becomes(&self->d, "active"));
	EXPECT_EQ(NVME_VENDOR, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
}

TEST_F(power, probe)
{
	const __u32 features[] = { ENTRY, WAKEUP, EXIT };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, feature(&self->d, VFIO_DEVICE_FEATURE_PROBE |
					       features[i]));
		EXPECT_EQ(0, feature(&self->d, VFIO_DEVICE_FEATURE_PROBE | SET |
					       features[i]));
		EXPECT_EQ(-EINVAL, feature(&self->d, VFIO_DEVICE_FEATURE_PROBE |
						     VFIO_DEVICE_FEATURE_GET |
						     features[i]));
		EXPECT_EQ(-EINVAL, feature(&self->d, VFIO_DEVICE_FEATURE_GET |
						     features[i]));
	}
	/* without its data */
	EXPECT_EQ(-EINVAL, feature(&self->d, SET | WAKEUP));
	EXPECT_EQ(-EINVAL, entry_with_wakeup(&self->d, -1));
	EXPECT_EQ(-EBADF, entry_with_wakeup(&self->d, 999));
	EXPECT_EQ(-EINVAL, entry_with_wakeup(&self->d, self->d.iommufd));
	/* nothing of a feature that nobody has */
	EXPECT_EQ(-ENOTTY, feature(&self->d, VFIO_DEVICE_FEATURE_PROBE | 0x1234));
}

TEST_F(power, entry_and_exit)
{
	struct vp_dev *d = &self->d;
	volatile __u32 *reg = vp_mmap(d, 0, 0, 4096);
	__u32 version, val;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	version = reg[2];
	ASSERT_EQ(0, feature(d, SET | ENTRY));
	EXPECT_EQ(-EINVAL, feature(d, SET | ENTRY));
	EXPECT_TRUE(becomes(d, "suspended"));
	/* the kernel does not see such an access, so there is none */
	EXPECT_FALSE(mem_peek32(reg, &val));
	EXPECT_EQ(-EIO, vp_read(d, 0, 8, &version, 4));
	/* it is resumed for what the kernel sees, and suspends again */
	EXPECT_EQ(NVME_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_TRUE(becomes(d, "suspended"));
	EXPECT_FALSE(mem_peek32(reg, &val));

	ASSERT_EQ(0, feature(d, SET | EXIT));
	EXPECT_TRUE(becomes(d, "active"));
	ASSERT_TRUE(mem_peek32(reg, &val));
	EXPECT_EQ(version, reg[2]);
	/* a second exit does nothing */
	EXPECT_EQ(0, feature(d, SET | EXIT));
	EXPECT_TRUE(mem_peek32(reg, &val));
}

TEST_F(power, wakeup)
{
	struct vp_dev *d = &self->d;
	volatile __u32 *reg = vp_mmap(d, 0, 0, 4096);
	__u32 val;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	ASSERT_EQ(0, entry_with_wakeup(d, self->efd));
	EXPECT_TRUE(becomes(d, "suspended"));
	EXPECT_EQ(0, vp_events(self->efd, 0));
	/* waking up ends it, and is told */
	EXPECT_EQ(NVME_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(1, vp_events(self->efd, 1000));
	EXPECT_TRUE(mem_peek32(reg, &val));
	usleep(100000);
	EXPECT_TRUE(becomes(d, "active"));
	ASSERT_EQ(0, entry_with_wakeup(d, self->efd));
	EXPECT_TRUE(becomes(d, "suspended"));
	ASSERT_EQ(0, feature(d, SET | EXIT));
	EXPECT_EQ(1, vp_events(self->efd, 1000));
	EXPECT_TRUE(mem_peek32(reg, &val));
}

/* Left in low power, by itself and in D3hot */
TEST_F(power, closed)
{
	struct vp_dev *d = &self->d;
	unsigned int pm = vp_find_cap(d, PCI_CAP_ID_PM);
	__u32 val;

	ASSERT_EQ(0, entry_with_wakeup(d, self->efd));
	EXPECT_TRUE(becomes(d, "suspended"));
	vp_close_fds(d);
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(4, vp_read(d, 0, 8, &val, 4));

	ASSERT_NE(0, pm);
	ASSERT_EQ(0, vp_cfg_set(d, pm + PCI_PM_CTRL, 2, 3));
	ASSERT_EQ(0, feature(d, SET | ENTRY));
	EXPECT_TRUE(becomes(d, "suspended"));
	ASSERT_EQ(0, feature(d, SET | EXIT));
	/* suspending went by D0, where it is found */
	EXPECT_EQ(0, vp_cfg_get(d, pm + PCI_PM_CTRL, 2) & 3);
	ASSERT_EQ(0, feature(d, SET | ENTRY));
	vp_close_fds(d);
	EXPECT_TRUE(becomes(d, "suspended"));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(4, vp_read(d, 0, 8, &val, 4));
}

/* Interrupts that were set up before are there afterwards */
TEST_F(power, interrupts)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, vp_irq_fds(d, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &self->efd));
	ASSERT_EQ(0, feature(d, SET | ENTRY));
	EXPECT_TRUE(becomes(d, "suspended"));
	EXPECT_EQ(0, vp_irq_none(d, VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd, 0));
	ASSERT_EQ(0, feature(d, SET | EXIT));
	ASSERT_EQ(0, vp_irq_disable(d, VFIO_PCI_MSIX_IRQ_INDEX));
}

TEST_F(power, reset)
{
	struct vp_dev *d = &self->d;
	__u32 val;

	ASSERT_EQ(0, feature(d, SET | ENTRY));
	EXPECT_TRUE(becomes(d, "suspended"));
	EXPECT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EIO, vp_read(d, 0, 8, &val, 4));
	ASSERT_EQ(0, feature(d, SET | EXIT));
	EXPECT_EQ(4, vp_read(d, 0, 8, &val, 4));
}

TEST_HARNESS_MAIN
