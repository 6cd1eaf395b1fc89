// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot reset of a device behind a root port of its own by the files of groups, as
 * programs written for VFIO's type 1 do it. Passes on the stock modules, too,
 * which is where the values come from:
 *
 *	vm run --no-modules --load vfio-pci --load vfio_iommu_type1 \
 *		--device pcie-root-port,id=p,chassis=1,slot=1,x-speed=2_5 \
 *		--device nvme,bus=p,addr=0 -- .../vfio_group_reset
 *
 * Uses QEMU's NVMe controller. A port with a faster link answers ENOTTY after a
 * second, with these modules and with the stock ones: there the kernel waits for
 * the link to come up by a bit that QEMU's port does not set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#include <linux/pci_regs.h>

#define NVME_CC		0x14	/* Controller Configuration: 0 after a reset */
#define CC_VALUE	0x00460000	/* Sizes of queue entries, not enabled */

struct reset {
	struct vfio_pci_hot_reset head;
	__s32 fds[2];
};

FIXTURE(group_reset)
{
	char bdf[SYSDEV_NAME_MAX];
	char driver[SYSDEV_NAME_MAX];
	int container;
	int group;
	int dev;
	__u64 config;
	__u64 bar;
};

static bool find(char bdf[SYSDEV_NAME_MAX])
{
	unsigned int n;

	for (n = 0; sysdev_find_pci(NVME_VENDOR, NVME_DEVICE, n, bdf); n++)
		if (pci_is_alone(bdf))
			return true;
	return false;
}

FIXTURE_SETUP(group_reset)
{
	__u16 command = PCI_COMMAND_MEMORY;
	__u64 size;

	self->dev = -1;
	self->group = -1;
	self->container = -1;
	if (!find(self->bdf)) {
		self->bdf[0] = '\0';
		SKIP(return, "no NVMe controller behind a port of its own");
	}
	self->group = group_take(self->bdf, self->driver);
	ASSERT_LE(0, self->group);
	self->container = container_open();
	ASSERT_LE(0, self->container);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, cdev_region(self->dev, VFIO_PCI_CONFIG_REGION_INDEX,
				 &self->config, &size));
	ASSERT_EQ(0, cdev_region(self->dev, VFIO_PCI_BAR0_REGION_INDEX,
				 &self->bar, &size));
	ASSERT_EQ(2, pwrite(self->dev, &command, 2, self->config + PCI_COMMAND));
}

FIXTURE_TEARDOWN(group_reset)
{
	if (self->dev >= 0)
		close(self->dev);
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	if (self->bdf[0])
		group_give_back(self->bdf, self->driver);
}

static __u32 controller(FIXTURE_DATA(group_reset) *self)
{
	__u32 val = ~0U;

	if (pread(self->dev, &val, 4, self->bar + NVME_CC) != 4)
		return ~0U;
	return val;
}

static int hot_reset(FIXTURE_DATA(group_reset) *self, unsigned int count,
		     int first, int second)
{
	struct reset reset = {
		.head.argsz = sizeof(reset.head) + count * sizeof(__s32),
		.head.count = count,
		.fds = { first, second },
	};

	return call(self->dev, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

TEST_F(group_reset, by_its_group)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[2];
	} u = { .info.argsz = sizeof(u) };
	__u32 val = CC_VALUE;

	ASSERT_EQ(0, call(self->dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u));
	EXPECT_EQ(0, u.info.flags);
	ASSERT_EQ(1, u.info.count);
	EXPECT_EQ(sysdev_group(self->bdf), u.devices[0].group_id);

	ASSERT_EQ(4, pwrite(self->dev, &val, 4, self->bar + NVME_CC));
	ASSERT_EQ(CC_VALUE, controller(self));
	ASSERT_EQ(0, hot_reset(self, 1, self->group, -1));
	EXPECT_EQ(0, controller(self));
}

TEST_F(group_reset, refused)
{
	__u32 val = CC_VALUE;
	int other = open("/dev/null", O_RDONLY);

	ASSERT_LE(0, other);
	ASSERT_EQ(4, pwrite(self->dev, &val, 4, self->bar + NVME_CC));
	/* More files than there are devices; none of a group; not a file */
	EXPECT_EQ(-EINVAL, hot_reset(self, 2, self->group, self->group));
	EXPECT_EQ(-EINVAL, hot_reset(self, 1, other, -1));
	EXPECT_EQ(-EINVAL, hot_reset(self, 1, self->container, -1));
	EXPECT_EQ(-EBADF, hot_reset(self, 1, -1, -1));
	EXPECT_EQ(CC_VALUE, controller(self));
	close(other);
}

TEST_HARNESS_MAIN
