// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_IOEVENTFD: writes to a BAR that an eventfd triggers. Uses QEMU's
 * edu and nvme.
 */
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

FIXTURE(edu)
{
	struct vp_dev d;
	int efd;
};

FIXTURE_SETUP(edu)
{
	int ret;

	self->efd = eventfd(0, EFD_NONBLOCK);
	vp_init(&self->d);
	ret = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(edu)
{
	close(self->efd);
	EXPECT_EQ(0, vp_close(&self->d));
}

static int ioeventfd(const struct vp_dev *d, __u32 flags, __u64 offset,
		     __u64 data, __s32 fd)
{
	struct vfio_device_ioeventfd ioe = {
		.argsz = sizeof(ioe),
		.flags = flags,
		.offset = offset,
		.data = data,
		.fd = fd,
	};

	return call(d->fd, VFIO_DEVICE_IOEVENTFD, &ioe);
}

static bool kick(int efd)
{
	__u64 one = 1;

	return write(efd, &one, 8) == 8;
}

/* Wait until the register has a value */
static bool becomes(const struct vp_dev *d, __u64 pos, __u32 val)
{
	int i;

	for (i = 0; i < 200; i++) {
		if (vp_bar_get(d, 0, pos) == val)
			return true;
		usleep(10000);
	}
	return false;
}

TEST_F(edu, writes)
{
	struct vp_dev *d = &self->d;
	__u64 wide = 0;
	int other = eventfd(0, EFD_NONBLOCK), i;

	ASSERT_EQ(0, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS, 0x1234,
			       self->efd));
	ASSERT_EQ(0, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS, 0x5678,
			       other));
	ASSERT_EQ(0, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_64, 0x80,
			       0x1122334455667788, self->efd));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(kick(self->efd));
		EXPECT_TRUE(becomes(d, EDU_LIVENESS, ~0x1234U));
		ASSERT_TRUE(kick(other));
		EXPECT_TRUE(becomes(d, EDU_LIVENESS, ~0x5678U));
	}
	EXPECT_EQ(8, vp_read(d, 0, 0x80, &wide, 8));
	EXPECT_EQ(0x1122334455667788, wide);

	/* the same once more; another fd does not make it another one */
	EXPECT_EQ(-EEXIST, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS,
				     0x1234, other));
	ASSERT_EQ(0, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS, 0x1234,
			       -1));
	EXPECT_EQ(-ENODEV, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS,
				     0x1234, -1));
	ASSERT_TRUE(kick(self->efd));
	usleep(50000);
	EXPECT_EQ(~0x5678U, vp_bar_get(d, 0, EDU_LIVENESS));
	close(other);
}

/* Without memory the write is dropped, and comes back with it */
TEST_F(edu, memory_disabled)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, ioeventfd(d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS, 1,
			       self->efd));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
	ASSERT_TRUE(kick(self->efd));
	usleep(50000);
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	EXPECT_NE(~1U, vp_bar_get(d, 0, EDU_LIVENESS));
	ASSERT_TRUE(kick(self->efd));
	EXPECT_TRUE(becomes(d, EDU_LIVENESS, ~1U));
}

TEST_F(edu, refused)
{
	const __u64 bar1 = 1ULL << 40, rom = 6ULL << 40, cfg = 7ULL << 40;
	struct vp_dev *d = &self->d;
	struct vfio_device_ioeventfd ioe = {
		.argsz = offsetof(struct vfio_device_ioeventfd, fd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = self->efd,
	};

	EXPECT_EQ(-EINVAL, call(d->fd, VFIO_DEVICE_IOEVENTFD, &ioe));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 0, 0, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 6, 0, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 0x14, 0, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, 0, 0, -2));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, 2, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, 1 << 20, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 8, (1 << 20) - 4, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, bar1, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, rom, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, cfg, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, ~3ULL, 0, self->efd));
	EXPECT_EQ(-EBADF, ioeventfd(d, 4, 4, 0, 999));
	EXPECT_EQ(-EINVAL, ioeventfd(d, 4, 4, 0, d->iommufd));
}

TEST_F(edu, limit)
{
	int i, ret = 0;

	for (i = 0; i < 2000; i++) {
		ret = ioeventfd(&self->d, VFIO_DEVICE_IOEVENTFD_32,
				EDU_LIVENESS, i, self->efd);
		if (ret)
			break;
	}
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(1000, i);
	/* and all of them go with the device */
	vp_close_fds(&self->d);
	ASSERT_TRUE(kick(self->efd));
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	ASSERT_EQ(0, ioeventfd(&self->d, VFIO_DEVICE_IOEVENTFD_32, EDU_LIVENESS,
			       0, self->efd));
}

TEST_F(edu, vector_table)
{
	struct vp_dev d;
	unsigned int pos;
	__u64 table;
	__u32 val;
	int ret;

	vp_init(&d);
	ret = vp_open(&d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
	pos = vp_find_cap(&d, PCI_CAP_ID_MSIX);
	val = vp_cfg_get(&d, pos + PCI_MSIX_TABLE, 4);
	table = ((__u64)(val & PCI_MSIX_TABLE_BIR) << 40) +
		(val & PCI_MSIX_TABLE_OFFSET);
	EXPECT_EQ(-EINVAL, ioeventfd(&d, 4, table, 0, self->efd));
	EXPECT_EQ(-EINVAL, ioeventfd(&d, 4, table + 12, 0, self->efd));
	EXPECT_EQ(0, vp_close(&d));
}

TEST_HARNESS_MAIN
