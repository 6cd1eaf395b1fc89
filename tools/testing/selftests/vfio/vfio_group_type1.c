// SPDX-License-Identifier: GPL-2.0-only
/*
 * Error numbers of the container that programs written for VFIO's type 1 see.
 * Passes on the stock modules, too, which is where the values come from:
 *
 *	vm run --no-modules --device edu --load vfio-pci \
 *		--load vfio_iommu_type1 -- .../vfio_group_type1
 *
 * Uses QEMU's edu.
 */
#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define PAGE	4096UL
#define IOVA	0x100000UL

/* The type 1 of newer kernels says EOVERFLOW, and its tests ask for that. */
static bool wraps(int error)
{
	return error == -EOVERFLOW || error == -EINVAL;
}

FIXTURE(answers)
{
	char bdf[SYSDEV_NAME_MAX];
	char driver[SYSDEV_NAME_MAX];
	int container;
	int group;
	char *mem;
};

FIXTURE_SETUP(answers)
{
	self->group = -1;
	self->bdf[0] = '\0';
	self->container = container_open();
	ASSERT_LE(0, self->container);
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	self->group = group_take(self->bdf, self->driver);
	ASSERT_LE(0, self->group);
	self->mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(answers)
{
	close(self->group);
	close(self->container);
	if (self->bdf[0])
		group_give_back(self->bdf, self->driver);
}

static int map(int container, void *mem, __u64 size, __u64 iova)
{
	return t1_map(container, mem, size, iova, T1_RW);
}

static int info(int container)
{
	struct vfio_iommu_type1_info arg = { .argsz = sizeof(arg) };

	return call(container, VFIO_IOMMU_GET_INFO, &arg);
}

static int unknown(int container)
{
	return call(container, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL);
}

TEST_F(answers, before_the_first_group)
{
	int fd = self->container;
	__u64 size = PAGE;

	EXPECT_EQ(VFIO_API_VERSION, call(fd, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(-EINVAL, map(fd, self->mem, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA, &size, 0));
	EXPECT_EQ(-EINVAL, info(fd));
	EXPECT_EQ(-EINVAL, unknown(fd));
	EXPECT_EQ(-EINVAL, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(fd, 99));
	EXPECT_EQ(1, t1_extension(fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, t1_extension(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, t1_extension(fd, 99));
}

TEST_F(answers, before_a_type_is_set)
{
	int fd = self->container;
	__u64 size = PAGE;

	ASSERT_EQ(0, group_set_container(self->group, fd));
	EXPECT_EQ(-EINVAL, map(fd, self->mem, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA, &size, 0));
	EXPECT_EQ(-EINVAL, info(fd));
	EXPECT_EQ(-EINVAL, unknown(fd));
	EXPECT_EQ(-ENODEV, t1_set_iommu(fd, 99));
	EXPECT_EQ(-ENODEV, t1_set_iommu(fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-ENODEV, t1_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, t1_set_iommu(fd, 99));
}

TEST_F(answers, extensions)
{
	int fd = self->container;
	int i;

	ASSERT_EQ(0, group_set_container(self->group, fd));
	for (i = 0; i != 2; i++) {
		EXPECT_EQ(1, t1_extension(fd, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(1, t1_extension(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(1, t1_extension(fd, VFIO_UNMAP_ALL));
		EXPECT_EQ(0, t1_extension(fd, VFIO_SPAPR_TCE_IOMMU));
		/*
		 * Nesting and changed addresses (6 and 10) stock type 1 has. A
		 * program that is told of them uses them, and iommufd does not
		 * have them, in mainline either.
		 */
		if (!access("/dev/iommu", F_OK)) {
			EXPECT_EQ(0, t1_extension(fd, VFIO_TYPE1_NESTING_IOMMU));
			EXPECT_EQ(0, t1_extension(fd, VFIO_UPDATE_VADDR));
		}
		EXPECT_EQ(0, t1_extension(fd, 99));
		if (!i)
			ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	}
}

TEST_F(answers, map_and_unmap)
{
	int fd = self->container;
	__u64 size;

	ASSERT_EQ(0, group_set_container(self->group, fd));
	ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENOTTY, unknown(fd));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->mem, PAGE, IOVA, 0));
	EXPECT_EQ(-EINVAL, t1_map(fd, self->mem, PAGE, IOVA, 0x83));
	EXPECT_EQ(-EINVAL, map(fd, self->mem, 0, IOVA));
	EXPECT_EQ(-EINVAL, map(fd, self->mem, PAGE, IOVA + 1));
	EXPECT_EQ(-EINVAL, map(fd, self->mem + 1, PAGE, IOVA));
	/* Around the end of IOVA, and of addresses */
	EXPECT_TRUE(wraps(map(fd, self->mem, 2 * PAGE, -PAGE)));
	EXPECT_TRUE(wraps(map(fd, (void *)-PAGE, 2 * PAGE, IOVA)));
	EXPECT_EQ(-EFAULT, map(fd, (void *)PAGE, PAGE, IOVA));
	/* What devices send interrupts to */
	EXPECT_EQ(-EINVAL, map(fd, self->mem, PAGE, MSI_WINDOW));

	ASSERT_EQ(0, map(fd, self->mem, 4 * PAGE, IOVA));
	EXPECT_EQ(-EEXIST, map(fd, self->mem, PAGE, IOVA));
	EXPECT_EQ(-EEXIST, map(fd, self->mem, 4 * PAGE, IOVA + PAGE));
	/* Split by its start, and by its end */
	size = PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA + PAGE, &size, 0));
	size = PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA, &size, 0));
	size = 2 * PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA - PAGE, &size, 0));
	size = 0;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA, &size, 0));
	size = PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA + 1, &size, 0));
	size = 2 * PAGE;
	EXPECT_TRUE(wraps(t1_unmap_flags(fd, -PAGE, &size, 0)));
	size = PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, 0, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	size = PAGE;
	EXPECT_EQ(-EINVAL, t1_unmap_flags(fd, IOVA, &size, 0x80));
	/* Nothing there is no error */
	size = PAGE;
	EXPECT_EQ(0, t1_unmap_flags(fd, IOVA + 16 * PAGE, &size, 0));
	EXPECT_EQ(0, size);
	size = 0;
	EXPECT_EQ(0, t1_unmap_flags(fd, 0, &size, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(4 * PAGE, size);
}

TEST_F(answers, type1_splits)
{
	int fd = self->container;
	__u64 size;

	ASSERT_EQ(0, group_set_container(self->group, fd));
	ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, map(fd, self->mem, 4 * PAGE, IOVA));
	size = PAGE;
	EXPECT_EQ(0, t1_unmap_flags(fd, IOVA + PAGE, &size, 0));
	size = 8 * PAGE;
	EXPECT_EQ(0, t1_unmap_flags(fd, IOVA - 2 * PAGE, &size, 0));
}

TEST_HARNESS_MAIN
