// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that does not isolate the interrupts of devices, as one without
 * interrupt remapping: no device is given to a user, unless the administrator
 * accepts the risk. Uses QEMU's edu.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define UNSAFE	"/sys/module/iommufd/parameters/allow_unsafe_interrupts"

FIXTURE(isolation)
{
	char bdf[SYSDEV_NAME_MAX];
	char driver[SYSDEV_NAME_MAX];
	char unsafe[8];
	int iommufd;
	int dev;
	__u32 ioas;
};

FIXTURE_SETUP(isolation)
{
	char viable[8];

	self->dev = -1;
	self->iommufd = -1;
	self->unsafe[0] = '\0';
	self->bdf[0] = '\0';
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	if (sysdev_driver(self->bdf, self->driver))
		self->driver[0] = '\0';
	ASSERT_LT(0, file_read(UNSAFE, self->unsafe, sizeof(self->unsafe)));
	ASSERT_EQ(0, file_write(UNSAFE, "N"));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	ASSERT_EQ(1, sysdev_cdev_read(self->bdf, "viable", viable,
				      sizeof(viable)));
	if (!strcmp(viable, "1"))
		SKIP(return, "the machine isolates interrupts");
	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(isolation)
{
	if (self->dev >= 0)
		close(self->dev);
	if (self->iommufd >= 0)
		close(self->iommufd);
	if (self->unsafe[0])
		EXPECT_EQ(0, file_write(UNSAFE, self->unsafe));
	if (self->bdf[0])
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, self->driver[0] ?
					       self->driver : NULL));
}

TEST_F(isolation, refused_with_a_reason)
{
	char buf[512];

	EXPECT_EQ(-EPERM, cdev_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, fdinfo_get(self->iommufd, "last-refusal", buf,
				sizeof(buf)));
	EXPECT_NE(NULL, strstr(buf, self->bdf));
	EXPECT_NE(NULL, strstr(buf, "allow_unsafe_interrupts"));
	/* No driver is in the way */
	EXPECT_EQ(0, sysdev_cdev_read(self->bdf, "blocked_by", buf, sizeof(buf)));
}

TEST_F(isolation, accepted_when_allowed)
{
	char viable[8];
	__u32 pt = self->ioas;

	ASSERT_EQ(0, file_write(UNSAFE, "Y"));
	EXPECT_EQ(1, sysdev_cdev_read(self->bdf, "viable", viable,
				      sizeof(viable)));
	EXPECT_STREQ("1", viable);
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(0, cdev_attach(self->dev, &pt));
}

TEST_F(isolation, groups_are_refused_too)
{
	int container, group;
	__u32 flags;

	container = container_open();
	ASSERT_LE(0, container);
	/* A group is opened by one interface only */
	close(self->dev);
	self->dev = -1;
	group = group_open(sysdev_group(self->bdf));
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_flags(group, &flags));
	ASSERT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(-EPERM, t1_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, file_write(UNSAFE, "Y"));
	EXPECT_EQ(0, t1_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	close(group);
	close(container);
}

TEST_HARNESS_MAIN
