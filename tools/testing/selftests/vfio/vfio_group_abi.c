// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups: /dev/vfio/N, with /dev/vfio/vfio and with an iommufd as the container.
 * Uses QEMU's edu.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

FIXTURE(group)
{
	char bdf[SYSDEV_NAME_MAX];
	int nr;
	int group;
	int container;
};

FIXTURE_VARIANT(group)
{
	const char *container;
	bool set_iommu;
};

FIXTURE_VARIANT_ADD(group, container)
{
	.container = "/dev/vfio/vfio",
	.set_iommu = true,
};

FIXTURE_VARIANT_ADD(group, iommufd)
{
	.container = "/dev/iommu",
	.set_iommu = true,
};

FIXTURE_SETUP(group)
{
	self->group = -1;
	self->container = -1;
	self->bdf[0] = '\0';
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	self->nr = sysdev_group(self->bdf);
	ASSERT_LE(0, self->nr);
	self->container = open(variant->container, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container) {
		TH_LOG("%s: %s", variant->container, strerror(errno));
	}
	self->group = group_open(self->nr);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(group)
{
	close(self->group);
	close(self->container);
	if (self->bdf[0])
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, NULL));
}

TEST_F(group, node)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/vfio/%d", self->nr);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
}

/* The container forgets its mappings, but not under a device of its own file */
TEST_F(group, leaves_what_a_cdev_uses)
{
	struct iommu_vfio_ioas get = {
		.size = sizeof(get),
		.op = IOMMU_VFIO_IOAS_GET,
	};
	char other[SYSDEV_NAME_MAX];
	unsigned int i;
	void *mem;
	__u32 pt;
	int dev;

	for (i = 1; sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, i, other); i++)
		if (sysdev_group(other) != self->nr)
			break;
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, i, other))
		SKIP(return, "no two edu in two groups");
	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, sysdev_set_driver(other, "vfio-pci"));
	dev = cdev_open(other);
	ASSERT_LE(0, dev);

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, call(self->container, IOMMU_VFIO_IOAS, &get));
	ASSERT_EQ(0, cdev_bind(dev, self->container, NULL));
	pt = get.ioas_id;
	ASSERT_EQ(0, cdev_attach(dev, &pt));
	ASSERT_EQ(0, ioas_map_at(self->container, get.ioas_id, mem, 4096,
				 0x100000));

	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(0, ioas_unmap(self->container, get.ioas_id, 0x100000,
				4096));
	/* And what nobody uses is forgotten as ever */
	ASSERT_EQ(0, ioas_map_at(self->container, get.ioas_id, mem, 4096,
				 0x100000));
	close(dev);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->container, get.ioas_id, 0x100000,
				      4096));
	EXPECT_EQ(0, munmap(mem, 4096));
	EXPECT_EQ(0, sysdev_set_driver(other, NULL));
}

TEST_F(group, exclusive)
{
	int again;

	EXPECT_EQ(-EBUSY, group_open(self->nr));
	close(self->group);
	again = group_open(self->nr);
	EXPECT_LE(0, again);
	self->group = again;
}

TEST_F(group, status)
{
	struct vfio_group_status status = { .argsz = sizeof(status) - 1 };
	__u32 flags;

	EXPECT_EQ(-EFAULT, call(self->group, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_EQ(-EINVAL, call(self->group, VFIO_GROUP_GET_STATUS,
				&status));
	status.argsz = sizeof(status);
	status.flags = -1;
	EXPECT_EQ(0, call(self->group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, status.flags);

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  flags);
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
}

TEST_F(group, unknown_ioctl)
{
	EXPECT_EQ(-ENOTTY, call(self->group, 0xdead, NULL));
	EXPECT_EQ(-ENOTTY, call(self->group, VFIO_DEVICE_GET_INFO, NULL));
}

TEST_F(group, container_errors)
{
	int other = eventfd(0, 0);

	EXPECT_EQ(-EFAULT, call(self->group, VFIO_GROUP_SET_CONTAINER,
				NULL));
	EXPECT_EQ(-EBADF, group_set_container(self->group, -1));
	EXPECT_EQ(-EBADF, group_set_container(self->group, 1 << 20));
	EXPECT_EQ(-EBADFD, group_set_container(self->group, other));
	EXPECT_EQ(-EBADFD, group_set_container(self->group, self->group));
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));
	EXPECT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, self->container));
	EXPECT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));
	EXPECT_EQ(0, group_set_container(self->group, self->container));
	close(other);
}

TEST_F(group, device_errors)
{
	char buf[256];
	char *name;

	EXPECT_EQ(-EINVAL, group_get_device(self->group, self->bdf));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EFAULT, group_get_device(self->group, NULL));
	EXPECT_EQ(-ENODEV, group_get_device(self->group, ""));
	EXPECT_EQ(0, fdinfo_get(self->group, "vfio-refusal", buf, sizeof(buf)));
	EXPECT_STREQ("get device: the group has no such device", buf);
	EXPECT_EQ(-ENODEV, group_get_device(self->group, "0000:ff:1f.7"));

	/* A page and not an end */
	name = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, name);
	memset(name, 'a', 8192);
	EXPECT_EQ(-EINVAL, group_get_device(self->group, name));
	ASSERT_EQ(0, munmap(name + 4096, 4096));
	EXPECT_EQ(-EFAULT, group_get_device(self->group, name + 4090));
	munmap(name, 4096);
}

TEST_F(group, device)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_info info;
	__u32 flags, pt_id = 1;
	char buf[64], text[64];
	int dev;

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, dev);
	EXPECT_EQ(FD_CLOEXEC, fcntl(dev, F_GETFD));

	EXPECT_EQ(0, device_info(dev, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  flags);

	/* The container does that */
	EXPECT_EQ(-EINVAL, call(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-ENOTTY, cdev_attach(dev, &pt_id));
	EXPECT_EQ(-ENOTTY, cdev_detach(dev));

	EXPECT_EQ(0, fdinfo_get(dev, "vfio-opened-by", buf, sizeof(buf)));
	snprintf(text, sizeof(text), "group %d", self->nr);
	EXPECT_STREQ(text, buf);
	EXPECT_EQ(0, fdinfo_get(dev, "vfio-state", buf, sizeof(buf)));
	EXPECT_STREQ("attached", buf);

	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	EXPECT_EQ(0, fdinfo_get(self->group, "vfio-refusal", buf, sizeof(buf)));
	EXPECT_STREQ("unset container: a device is open", buf);
	EXPECT_EQ(0, fdinfo_get(self->group, "vfio-container", buf,
				sizeof(buf)));
	EXPECT_STREQ("set", buf);
	EXPECT_EQ(0, fdinfo_get(self->group, "vfio-device-files", buf,
				sizeof(buf)));
	EXPECT_STREQ("1", buf);
	close(dev);
	EXPECT_EQ(0, group_unset_container(self->group));
}

/* A device may be had more than once, unlike the group */
TEST_F(group, device_twice)
{
	struct vfio_device_info info;
	int first, second;

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	first = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, first);
	second = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(0, device_info(first, &info));
	EXPECT_EQ(0, device_info(second, &info));
	close(first);
	EXPECT_EQ(0, device_info(second, &info));
	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	close(second);
	EXPECT_EQ(0, group_unset_container(self->group));
}

/* DPDK leaves all its files to the kernel, in no order */
TEST_F(group, device_outlives_group)
{
	struct vfio_device_info info;
	int dev;

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	dev = group_get_device(self->group, self->bdf);
	ASSERT_LE(0, dev);
	close(self->group);
	close(self->container);
	self->container = -1;
	EXPECT_EQ(0, device_info(dev, &info));
	EXPECT_EQ(-EBUSY, group_open(self->nr));
	close(dev);
	self->group = group_open(self->nr);
	EXPECT_LE(0, self->group);
}

TEST_F(group, not_beside_the_cdev)
{
	int dev, iommufd;
	__u32 devid;

	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	dev = cdev_open(self->bdf);
	ASSERT_LE(0, dev);

	EXPECT_EQ(-EBUSY, cdev_bind(dev, iommufd, &devid));
	close(self->group);
	EXPECT_EQ(0, cdev_bind(dev, iommufd, &devid));
	EXPECT_EQ(-EBUSY, group_open(self->nr));
	close(dev);
	self->group = group_open(self->nr);
	EXPECT_LE(0, self->group);
	close(iommufd);
}

/* The driver lets go of the device; what is open has nothing left to do */
TEST_F(group, group_without_devices)
{
	__u32 flags;
	int again;

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, NULL));
	EXPECT_EQ(-ENOENT, group_open(self->nr));
	EXPECT_EQ(-ENODEV, group_flags(self->group, &flags));
	EXPECT_EQ(-ENODEV, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));
	EXPECT_EQ(-ENODEV, group_get_device(self->group, self->bdf));

	/* The next group has no part in that */
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	again = group_open(self->nr);
	EXPECT_LE(0, again);
	EXPECT_EQ(-ENODEV, group_flags(self->group, &flags));
	EXPECT_EQ(0, group_flags(again, &flags));
	close(again);
}

TEST_F(group, killed)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (group_set_container(self->group, self->container) ||
		    t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU) ||
		    group_get_device(self->group, self->bdf) < 0 ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	close(self->group);
	EXPECT_EQ(-EBUSY, group_open(self->nr));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	self->group = group_open(self->nr);
	EXPECT_LE(0, self->group);
	close(ready[0]);
}

/* Nobody has asked for devices without an IOMMU */
TEST(noiommu_is_off)
{
	char buf[8];
	int ret;

	ret = file_read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
			buf, sizeof(buf));
	if (ret == -ENOENT)
		SKIP(return, "built without");
	EXPECT_EQ(1, ret);
	EXPECT_STREQ("N", buf);
}

FIXTURE(mates)
{
	char bdf[2][SYSDEV_NAME_MAX];
	int nr;
	int group;
	int container;
};

FIXTURE_SETUP(mates)
{
	int i;

	self->group = -1;
	self->container = -1;
	self->bdf[0][0] = '\0';
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, self->bdf[0],
			    self->bdf[1])) {
		self->bdf[0][0] = '\0';
		SKIP(return, "no two edu devices share a group");
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, sysdev_set_driver(self->bdf[i], "vfio-pci"));
	self->nr = sysdev_group(self->bdf[0]);
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->group = group_open(self->nr);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(mates)
{
	int i;

	close(self->group);
	close(self->container);
	for (i = 0; i < 2 && self->bdf[0][0]; i++)
		EXPECT_EQ(0, sysdev_set_driver(self->bdf[i], NULL));
}

TEST_F(mates, both_devices)
{
	struct vfio_device_info info;
	int dev[2];

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	dev[0] = group_get_device(self->group, self->bdf[0]);
	ASSERT_LE(0, dev[0]);
	dev[1] = group_get_device(self->group, self->bdf[1]);
	ASSERT_LE(0, dev[1]);
	EXPECT_EQ(0, device_info(dev[0], &info));
	EXPECT_EQ(0, device_info(dev[1], &info));
	close(dev[0]);
	EXPECT_EQ(0, device_info(dev[1], &info));
	close(dev[1]);
}

/* One of two devices goes: the group stays */
TEST_F(mates, one_leaves)
{
	__u32 flags;

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf[1], NULL));
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  flags);
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENODEV, group_get_device(self->group, self->bdf[1]));
}

/* Viable means that every device is, also while the group is in use */
TEST_F(mates, host_driver)
{
	char why[512];
	__u32 flags;
	int dev, ret;

	ASSERT_EQ(0, sysdev_set_driver(self->bdf[1], NULL));
	ret = sysdev_set_driver(self->bdf[1], "uio_pci_generic");
	if (ret == -ENOENT)
		SKIP(return, "no uio_pci_generic to bind the other device to");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(0, flags);
	EXPECT_EQ(-EPERM, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));
	EXPECT_EQ(0, fdinfo_get(self->container, "last-refusal", why,
				sizeof(why)));
	EXPECT_NE(NULL, strstr(why, self->bdf[1]));
	EXPECT_NE(NULL, strstr(why, "uio_pci_generic"));

	ASSERT_EQ(0, sysdev_set_driver(self->bdf[1], NULL));
	EXPECT_EQ(0, group_flags(self->group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);

	/* The container makes the group the user's, even without a device */
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-EBUSY, sysdev_set_driver(self->bdf[1], "uio_pci_generic"));
	ASSERT_EQ(0, t1_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	dev = group_get_device(self->group, self->bdf[0]);
	EXPECT_LE(0, dev);
	EXPECT_EQ(-EBUSY, sysdev_set_driver(self->bdf[1], "uio_pci_generic"));
	close(dev);
	EXPECT_EQ(-EBUSY, sysdev_set_driver(self->bdf[1], "uio_pci_generic"));
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(0, sysdev_set_driver(self->bdf[1], "uio_pci_generic"));
}

int main(int argc, char **argv)
{
	/* Only for one test, which says so if it is not there */
	if (system("modprobe -q uio_pci_generic"))
		printf("# no uio_pci_generic\n");
	return test_harness_run(argc, argv);
}
