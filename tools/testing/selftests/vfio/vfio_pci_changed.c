// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that change under their users: what was found before the first of them
 * counts. Uses QEMU's nvme and vfio-test-config, which has it answer what a test
 * wants.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/vfio_pci.h"

#define PARAMETER	"/sys/module/vfio_test_config/parameters/read"
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

FIXTURE(changed)
{
	struct vp_dev d;
	unsigned int msix;	/* capability */
	__u32 vectors;
	__u32 table;
};

static int answer(const struct vp_dev *d, unsigned int reg, __u32 val)
{
	char text[SYSDEV_NAME_MAX + 32];

	snprintf(text, sizeof(text), "%s %x %x", d->bdf, reg, val);
	return file_write(PARAMETER, text);
}

static __u32 vectors(const struct vp_dev *d)
{
	struct vfio_irq_info info;

	return vp_irq_info(d, MSIX, &info) ? UINT32_MAX : info.count;
}

FIXTURE_SETUP(changed)
{
	int ret;

	vp_init(&self->d);
	if (access(PARAMETER, F_OK) && system("modprobe -q vfio-test-config"))
		SKIP(return, "the test driver vfio-test-config is not loaded");
	ret = vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme");
	ASSERT_EQ(0, ret);
	self->msix = vp_find_cap(&self->d, PCI_CAP_ID_MSIX);
	ASSERT_NE(0, self->msix);
	self->table = vp_cfg_get(&self->d, self->msix + PCI_MSIX_TABLE, 4);
	self->vectors = vectors(&self->d);
	ASSERT_LT(0, self->vectors);
}

FIXTURE_TEARDOWN(changed)
{
	if (!access(PARAMETER, F_OK))
		EXPECT_EQ(0, file_write(PARAMETER, "\n"));
	EXPECT_EQ(0, vp_close(&self->d));
}

static int enable_msix(const struct vp_dev *d)
{
	int efd = eventfd(0, EFD_CLOEXEC), ret;

	ret = vp_irq_fds(d, MSIX, 0, 1, &efd);
	close(efd);
	return ret;
}

/* The list of capabilities ends at once, or leads elsewhere */
TEST_F(changed, list)
{
	__u32 first = vp_cfg_get(&self->d, PCI_CAPABILITY_LIST, 1);

	ASSERT_NE(0, first);
	vp_close_fds(&self->d);
	ASSERT_EQ(0, answer(&self->d, PCI_CAPABILITY_LIST, 0));
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_EQ(first, vp_cfg_get(&self->d, PCI_CAPABILITY_LIST, 1));
	EXPECT_EQ(self->msix, vp_find_cap(&self->d, PCI_CAP_ID_MSIX));
	/* and is as protected as it was */
	vp_cfg_set(&self->d, self->msix + PCI_MSIX_TABLE, 4, ~self->table);
	EXPECT_EQ(self->table,
		  vp_cfg_get(&self->d, self->msix + PCI_MSIX_TABLE, 4));
}

/* Behind the BAR the kernel would write to what is somebody else's */
TEST_F(changed, table_moves)
{
	const __u32 far = 0x7ffff000 | (self->table & PCI_MSIX_TABLE_BIR);
	const unsigned int reg = self->msix + PCI_MSIX_TABLE;

	vp_close_fds(&self->d);
	ASSERT_EQ(0, answer(&self->d, reg, far));
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_EQ(self->vectors, vectors(&self->d));
	EXPECT_EQ(-EIO, enable_msix(&self->d));
	/* while it is open, too */
	ASSERT_EQ(0, file_write(PARAMETER, "\n"));
	EXPECT_EQ(0, enable_msix(&self->d));
	EXPECT_EQ(0, vp_irq_disable(&self->d, MSIX));
	ASSERT_EQ(0, answer(&self->d, reg, self->table + 0x10));
	EXPECT_EQ(-EIO, enable_msix(&self->d));
	ASSERT_EQ(0, file_write(PARAMETER, "\n"));
	EXPECT_EQ(0, enable_msix(&self->d));
}

TEST_F(changed, table_grows)
{
	__u32 flags = vp_cfg_get(&self->d, self->msix, 4);

	ASSERT_EQ(0, answer(&self->d, self->msix,
			    flags | (__u32)PCI_MSIX_FLAGS_QSIZE << 16));
	EXPECT_EQ(-EIO, enable_msix(&self->d));
	vp_close_fds(&self->d);
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_EQ(self->vectors, vectors(&self->d));
}

/* Before the first user already: then there is no MSI-X, and all else is there */
TEST_F(changed, table_outside)
{
	const unsigned int reg = self->msix + PCI_MSIX_TABLE;
	const __u32 bir[] = { 0, 2, 5, 6, 7 };
	unsigned int i;

	for (i = 0; i < sizeof(bir) / sizeof(*bir); i++) {
		EXPECT_EQ(0, vp_close(&self->d));
		ASSERT_EQ(0, answer(&self->d, reg, 0x7ffff000 | bir[i]));
		ASSERT_EQ(0, vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0));
		EXPECT_EQ(0, vectors(&self->d));
		EXPECT_EQ(-EINVAL, enable_msix(&self->d));
		ASSERT_EQ(0, file_write(PARAMETER, "\n"));
	}
	EXPECT_EQ(0, vp_close(&self->d));
	ASSERT_EQ(0, vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0));
	EXPECT_EQ(self->vectors, vectors(&self->d));
	EXPECT_EQ(0, enable_msix(&self->d));
}

FIXTURE(moved)
{
	struct vp_dev d;
};

FIXTURE_VARIANT(moved)
{
	unsigned int vendor;
	unsigned int device;
};

/* One that cannot be reset by itself, and one that can, with a BAR of 64 bits */
FIXTURE_VARIANT_ADD(moved, edu) {
	.vendor = EDU_VENDOR, .device = EDU_DEVICE,
};

FIXTURE_VARIANT_ADD(moved, nvme) {
	.vendor = NVME_VENDOR, .device = NVME_DEVICE,
};

FIXTURE_SETUP(moved)
{
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, variant->vendor, variant->device, 0);
	if (ret == -ENODEV)
		SKIP(return, "no such device");
	ASSERT_EQ(0, ret);
}

static int power_control(const struct vp_dev *d, const char *how)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/power/control", d->bdf);
	return file_write(path, how);
}

FIXTURE_TEARDOWN(moved)
{
	if (self->d.bdf[0])
		EXPECT_EQ(0, power_control(&self->d, "auto"));
	EXPECT_EQ(0, vp_close(&self->d));
}

static int config_of(const struct vp_dev *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/config", d->bdf);
	return open(path, O_RDWR | O_CLOEXEC);
}

/*
 * A BAR that decodes other addresses is put back before the next user comes. The
 * device is kept awake: of one that is not, it is the PCI core that does it.
 */
TEST_F(moved, bar)
{
	const __u32 memory = PCI_COMMAND_MEMORY;
	const __u64 elsewhere = 0xff000000;
	__u64 bar, now;
	__u32 id;
	int fd;

	vp_cfg_set(&self->d, PCI_COMMAND, 2, memory);
	id = vp_bar_get(&self->d, 0, 0);
	EXPECT_NE(0xffffffff, id);
	ASSERT_EQ(0, power_control(&self->d, "on"));
	vp_close_fds(&self->d);
	fd = config_of(&self->d);
	ASSERT_LE(0, fd);
	ASSERT_EQ(8, pread(fd, &bar, 8, PCI_BASE_ADDRESS_0));
	/* address bits only; the upper half of edu's is another BAR, and is 0 */
	ASSERT_EQ(4, pwrite(fd, &elsewhere, 4, PCI_BASE_ADDRESS_0));
	ASSERT_EQ(8, pread(fd, &now, 8, PCI_BASE_ADDRESS_0));
	ASSERT_NE(bar, now);

	ASSERT_EQ(0, vp_open_bdf(&self->d));
	ASSERT_EQ(8, pread(fd, &now, 8, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(bar, now);
	vp_cfg_set(&self->d, PCI_COMMAND, 2, memory);
	EXPECT_EQ(id, vp_bar_get(&self->d, 0, 0));
	/* the state that is restored at the end is the right one */
	vp_close_fds(&self->d);
	ASSERT_EQ(8, pread(fd, &now, 8, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(bar, now);
	close(fd);
}

TEST_HARNESS_MAIN
