// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mediated device whose memory is mapped, with the kernel's sample driver mdpy: a
 * display that is software altogether. By cdev and by group.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define TYPE	"/sys/class/mdev_bus/mdpy/mdev_supported_types/mdpy-vga"
#define UUID	"83b8f4f2-509f-382f-3c1e-e6bfe0fa2001"
#define MDEV	"/sys/bus/mdev/devices/" UUID

#define PAGE	4096UL
#define WIDTH	640
#define HEIGHT	480

FIXTURE(mdpy)
{
	bool there;
	int iommufd;	/* or the container */
	int group;
	int dev;
	unsigned char *mem;
	struct vfio_region_info info;
};

FIXTURE_VARIANT(mdpy)
{
	bool by_group;
};

FIXTURE_VARIANT_ADD(mdpy, cdev) { };
FIXTURE_VARIANT_ADD(mdpy, group) { .by_group = true };

static int open_by_cdev(FIXTURE_DATA(mdpy) *self)
{
	__u32 ioas;
	int ret;

	self->iommufd = iommufd_open();
	if (self->iommufd < 0)
		return self->iommufd;
	self->dev = cdev_open(MDEV);
	if (self->dev < 0)
		return self->dev;
	ret = ioas_alloc(self->iommufd, &ioas);
	if (!ret)
		ret = cdev_bind(self->dev, self->iommufd, NULL);
	return ret ? ret : cdev_attach(self->dev, &ioas);
}

static int open_by_group(FIXTURE_DATA(mdpy) *self)
{
	int ret;

	self->group = group_open(sysdev_group(MDEV));
	if (self->group < 0)
		return self->group;
	self->iommufd = container_open();
	ret = group_set_container(self->group, self->iommufd);
	if (!ret)
		ret = t1_set_iommu(self->iommufd, VFIO_TYPE1v2_IOMMU);
	if (ret)
		return ret;
	self->dev = group_get_device(self->group, UUID);
	return self->dev < 0 ? self->dev : 0;
}

static int region(int dev, unsigned int index, struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return call(dev, VFIO_DEVICE_GET_REGION_INFO, info);
}

FIXTURE_SETUP(mdpy)
{
	self->there = false;
	self->iommufd = -1;
	self->group = -1;
	self->dev = -1;
	if (access(TYPE, F_OK))
		SKIP(return, "the sample driver mdpy is not loaded");
	ASSERT_EQ(0, file_write(TYPE "/create", UUID));
	self->there = true;
	ASSERT_EQ(0, variant->by_group ? open_by_group(self) :
					 open_by_cdev(self));
	ASSERT_EQ(0, region(self->dev, VFIO_PCI_BAR0_REGION_INDEX, &self->info));
	ASSERT_LE(WIDTH * HEIGHT * 4, self->info.size);
	self->mem = mmap(NULL, self->info.size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, self->dev, self->info.offset);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
}

FIXTURE_TEARDOWN(mdpy)
{
	if (!self->there)
		return;
	/* each test is a process, so the mapping goes with the harness's own */
	munmap(self->mem, self->info.size);
	close(self->dev);
	close(self->group);
	close(self->iommufd);
	EXPECT_EQ(0, file_write(MDEV "/remove", "1"));
}

TEST_F(mdpy, info)
{
	struct vfio_device_info info;
	struct vfio_region_info config;
	__u32 id = 0;

	ASSERT_EQ(0, device_info(self->dev, &info));
	EXPECT_NE(0, info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		  VFIO_REGION_INFO_FLAG_MMAP, self->info.flags);
	ASSERT_EQ(0, region(self->dev, VFIO_PCI_CONFIG_REGION_INDEX, &config));
	ASSERT_EQ(4, pread(self->dev, &id, 4, config.offset));
	EXPECT_NE(0, id);
	EXPECT_NE(~0U, id);
}

/*
 * What is written in one way is read in the other. The sample looks at the start of
 * the memory whatever the position, so that is where this looks.
 */
TEST_F(mdpy, memory)
{
	__u32 in = 0x12345678, out = 0;

	memcpy(self->mem, &in, 4);
	ASSERT_EQ(4, pread(self->dev, &out, 4, self->info.offset));
	EXPECT_EQ(in, out);
	in = ~in;
	ASSERT_EQ(4, pwrite(self->dev, &in, 4, self->info.offset));
	memcpy(&out, self->mem, 4);
	EXPECT_EQ(in, out);
	/* behind the end there is nothing */
	EXPECT_EQ(-1, pread(self->dev, &out, 4,
			    self->info.offset + self->info.size));
}

/* A second mapping shows the same memory, also after the file is closed */
TEST_F(mdpy, mappings)
{
	size_t size = self->info.size;
	unsigned char *other;

	other = mmap(NULL, size, PROT_READ, MAP_SHARED, self->dev,
		     self->info.offset);
	ASSERT_NE(MAP_FAILED, (void *)other);
	memset(self->mem, 0xa5, size);
	EXPECT_EQ(0, memcmp(self->mem, other, size));
	close(self->dev);
	self->dev = -1;
	memset(self->mem, 0x5a, size);
	EXPECT_EQ(0, memcmp(self->mem, other, size));
	EXPECT_EQ(0, munmap(other, size));
}

TEST_F(mdpy, refused_mappings)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->dev,
				   self->info.offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->info.size + PAGE, PROT_READ,
				   MAP_SHARED, self->dev, self->info.offset));
}

TEST_F(mdpy, reset)
{
	memset(self->mem, 0xa5, self->info.size);
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_RESET, NULL));
	/* mapped as before */
	self->mem[0] = 0x5a;
	EXPECT_EQ(0x5a, *(volatile unsigned char *)self->mem);
}

TEST_F(mdpy, plane)
{
	struct vfio_device_gfx_plane_info plane = {
		.argsz = sizeof(plane),
		.flags = VFIO_GFX_PLANE_TYPE_PROBE | VFIO_GFX_PLANE_TYPE_REGION,
	};
	struct vfio_region_info shown;

	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	plane.flags = VFIO_GFX_PLANE_TYPE_PROBE | VFIO_GFX_PLANE_TYPE_DMABUF;
	EXPECT_GT(0, call(self->dev, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	plane.flags = VFIO_GFX_PLANE_TYPE_REGION;
	ASSERT_EQ(0, call(self->dev, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	EXPECT_EQ(WIDTH, plane.width);
	EXPECT_EQ(HEIGHT, plane.height);
	EXPECT_LE(plane.height * plane.stride, self->info.size);
	/* the same memory by another name */
	ASSERT_EQ(0, region(self->dev, plane.region_index, &shown));
	EXPECT_EQ(self->info.offset, shown.offset);
}

int main(int argc, char **argv)
{
	if (access(TYPE, F_OK) && system("modprobe -q mdpy"))
		printf("# no mdpy\n");
	return test_harness_run(argc, argv);
}
