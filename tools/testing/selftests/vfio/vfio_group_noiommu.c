// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that no IOMMU confines: who is told that they can be had, who gets
 * them, and until when. Uses QEMU's edu, in a machine with an IOMMU for what is
 * refused there, in one without for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/process.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define PARAMETER	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define LOCKDOWN	"/sys/kernel/security/lockdown"

FIXTURE(noiommu)
{
	char bdf[SYSDEV_NAME_MAX];
	int container;
	int group;
	int dev;
};

FIXTURE_VARIANT(noiommu)
{
	const char *container;
};

FIXTURE_VARIANT_ADD(noiommu, container)
{
	.container = "/dev/vfio/vfio",
};

FIXTURE_VARIANT_ADD(noiommu, iommufd)
{
	.container = "/dev/iommu",
};

/* Another type than the groups have: type 1's answer, and mainline's iommufd's */
static int other_type(const char *container)
{
	return strcmp(container, "/dev/vfio/vfio") ? -EINVAL : -ENODEV;
}

FIXTURE_SETUP(noiommu)
{
	char now[8];

	self->container = -1;
	self->group = -1;
	self->dev = -1;
	self->bdf[0] = '\0';
	if (file_read(PARAMETER, now, sizeof(now)) == -ENOENT)
		SKIP(return, "built without VFIO_NOIOMMU");
	/* Nobody has asked for it as yet */
	ASSERT_STREQ("N", now);
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	self->container = open(variant->container, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container);
}

FIXTURE_TEARDOWN(noiommu)
{
	if (self->dev >= 0)
		close(self->dev);
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	set_rawio(true);
	if (self->bdf[0]) {
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, NULL));
		EXPECT_EQ(0, file_write(PARAMETER, "N"));
	}
}

/* DPDK asks before it has looked at any device */
TEST_F(noiommu, asked_before_a_group)
{
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, file_write(PARAMETER, "Y"));
	EXPECT_EQ(1, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	/* Which of both it will be is open */
	EXPECT_EQ(1, t1_extension(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));

	/* Who could not use such a device is not promised one */
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, t1_extension(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, set_rawio(true));
	EXPECT_EQ(1, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));

	ASSERT_EQ(0, file_write(PARAMETER, "N"));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
}

/* With a device that an IOMMU confines, a container translates */
TEST_F(noiommu, group_with_iommu)
{
	if (sysdev_group(self->bdf) < 0)
		SKIP(return, "no IOMMU");
	ASSERT_EQ(0, file_write(PARAMETER, "Y"));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	self->group = group_open(sysdev_group(self->bdf));
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, t1_extension(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(other_type(variant->container),
		  t1_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
}

/* Give the device, which has no IOMMU, to vfio-pci */
static int take(FIXTURE_DATA(noiommu) *self)
{
	int ret = file_write(PARAMETER, "Y");

	return ret ? ret : sysdev_set_driver(self->bdf, "vfio-pci");
}

static int open_group(FIXTURE_DATA(noiommu) *self)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d",
		 sysdev_group(self->bdf));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

TEST_F(noiommu, not_asked_for)
{
	char driver[SYSDEV_NAME_MAX];

	if (sysdev_group(self->bdf) >= 0)
		SKIP(return, "the device has an IOMMU");
	EXPECT_EQ(-EINVAL, sysdev_set_driver(self->bdf, "vfio-pci"));
	EXPECT_EQ(-ENOENT, sysdev_driver(self->bdf, driver));
}

TEST_F(noiommu, used)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.size = 4096,
	};
	struct vfio_region_info bar = { .argsz = sizeof(bar) };
	char path[PATH_MAX], name[32];
	__u32 flags, id;

	if (sysdev_group(self->bdf) >= 0)
		SKIP(return, "the device has an IOMMU");
	ASSERT_EQ(0, take(self));
	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/iommu_group/name",
		 self->bdf);
	ASSERT_LT(0, file_read(path, name, sizeof(name)));
	EXPECT_STREQ("vfio-noiommu", name);
	/* The other interface, see vfio_cdev_noiommu.c */
	EXPECT_LT(0, sysdev_cdev_read(self->bdf, "dev", name, sizeof(name)));

	self->group = open_group(self);
	ASSERT_LE(0, self->group);
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
	EXPECT_EQ(-EINVAL, group_get_device(self->group, self->bdf));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(1, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_UNMAP_ALL));

	EXPECT_EQ(other_type(variant->container),
		  t1_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, t1_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EPERM, group_get_device(self->group, self->bdf));
	ASSERT_EQ(0, set_rawio(true));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENOTTY, call(self->container, VFIO_IOMMU_MAP_DMA, &map));

	self->dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, call(self->dev, VFIO_DEVICE_GET_REGION_INFO, &bar));
	ASSERT_EQ(sizeof(id), pread(self->dev, &id, sizeof(id), bar.offset));
	EXPECT_EQ(EDU_ID_REVISION_1, id);

	/* Whoever has it keeps it; nobody gets it anew */
	ASSERT_EQ(0, file_write(PARAMETER, "N"));
	ASSERT_EQ(sizeof(id), pread(self->dev, &id, sizeof(id), bar.offset));
	EXPECT_EQ(EDU_ID_REVISION_1, id);
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EPERM, group_get_device(self->group, self->bdf));
}

TEST_F(noiommu, privileged)
{
	if (sysdev_group(self->bdf) >= 0)
		SKIP(return, "the device has an IOMMU");
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, open_group(self));
	ASSERT_EQ(0, set_rawio(true));
	self->group = open_group(self);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, group_set_container(self->group, self->container));
	ASSERT_EQ(0, set_rawio(true));
	EXPECT_EQ(0, group_set_container(self->group, self->container));
}

/* One container does not do both */
TEST_F(noiommu, container_that_translates)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.op = IOMMU_VFIO_IOAS_SET,
	};

	if (sysdev_group(self->bdf) >= 0)
		SKIP(return, "the device has an IOMMU");
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, ioas_alloc(self->container, &set.ioas_id));
	ASSERT_EQ(0, call(self->container, IOMMU_VFIO_IOAS, &set));
	EXPECT_EQ(0, t1_extension(self->container, VFIO_NOIOMMU_IOMMU));
	self->group = open_group(self);
	ASSERT_LE(0, self->group);
	EXPECT_EQ(-EINVAL, group_set_container(self->group, self->container));
}

/*
 * Lockdown ends it, whatever was asked for before. It lasts until the next boot,
 * and others need what it forbids: only where that was said to be all right.
 */
FIXTURE(last)
{
	int container;
};

FIXTURE_SETUP(last)
{
	self->container = -1;
	if (!getenv("MAY_LOCK_DOWN"))
		SKIP(return, "lockdown would last: set MAY_LOCK_DOWN=1 for that");
	self->container = container_open();
	ASSERT_LE(0, self->container);
}

FIXTURE_TEARDOWN(last)
{
	if (self->container >= 0)
		close(self->container);
}

TEST_F(last, lockdown)
{
	int container = self->container;

	ASSERT_EQ(0, file_write(PARAMETER, "Y"));
	ASSERT_EQ(1, t1_extension(container, VFIO_NOIOMMU_IOMMU));
	if (access(LOCKDOWN, F_OK))
		ASSERT_EQ(0, mount("securityfs", "/sys/kernel/security",
				   "securityfs", 0, NULL));
	ASSERT_EQ(0, file_write(LOCKDOWN, "integrity"));
	EXPECT_EQ(0, t1_extension(container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, file_write(PARAMETER, "N"));
	EXPECT_EQ(-EPERM, file_write(PARAMETER, "Y"));
	EXPECT_EQ(0, t1_extension(container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, t1_extension(container, VFIO_TYPE1_IOMMU));
}

TEST_HARNESS_MAIN
