// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ends a mapping of a container, in whole or in part, ends the DMA to that
 * and to nothing else. Needs an edu device.
 */
#include "../lib/type1.h"
#include "vfio_pci_release.h"

FIXTURE(container) {
	struct vp_dev edu;
	struct engine e;
	int group;
	int container;
	char *page;
	char *mem;
	size_t size;
	size_t before;
	long pins;
};

FIXTURE_VARIANT(container) {
	__u32 type;
	size_t size;
	__u64 iova;
	bool huge;
};

FIXTURE_VARIANT_ADD(container, of_some_pages) {
	.type = VFIO_TYPE1_IOMMU, .size = 0x8000, .iova = IOVA,
};

FIXTURE_VARIANT_ADD(container, of_2_mib) {
	.type = VFIO_TYPE1_IOMMU, .size = 2 * MIB, .iova = IOVA,
};

/* The parts of a huge page are mapped one by one when it is split. */
FIXTURE_VARIANT_ADD(container, of_huge_page) {
	.type = VFIO_TYPE1_IOMMU, .size = 2 * MIB, .iova = IOVA, .huge = true,
};

FIXTURE_VARIANT_ADD(container, of_mixed_sizes) {
	.type = VFIO_TYPE1_IOMMU, .size = 11 * MIB + 0x3000,
	.iova = IOVA - 0x1000,
};

FIXTURE_VARIANT_ADD(container, of_1_gib) {
	.type = VFIO_TYPE1_IOMMU, .size = GIB, .iova = IOVA,
};

FIXTURE_VARIANT_ADD(container, of_3_gib) {
	.type = VFIO_TYPE1_IOMMU, .size = 3 * GIB, .iova = IOVA, .huge = true,
};

FIXTURE_VARIANT_ADD(container, of_8_gib) {
	.type = VFIO_TYPE1_IOMMU, .size = 8 * GIB, .iova = IOVA_HIGH,
	.huge = true,
};

FIXTURE_VARIANT_ADD(container, v2_of_3_gib) {
	.type = VFIO_TYPE1v2_IOMMU, .size = 3 * GIB, .iova = IOVA, .huge = true,
};

/* Bytes that were unmapped, or a negative errno */
static long unmap(int container, __u64 iova, size_t size, __u32 flags)
{
	__u64 unmapped = size;
	int ret = t1_unmap_flags(container, iova, &unmapped, flags);

	return ret ? ret : (long)unmapped;
}

static int open_device(struct _test_data_container *self, __u32 type)
{
	int ret;

	self->container = container_open();
	if (self->container < 0)
		return -errno;
	self->group = group_open(sysdev_group(self->edu.bdf));
	if (self->group < 0)
		return self->group;
	ret = group_set_container(self->group, self->container);
	if (ret)
		return ret;
	ret = t1_set_iommu(self->container, type);
	if (ret)
		return ret;
	self->edu.fd = group_get_device(self->group, self->edu.bdf);
	if (self->edu.fd < 0)
		return self->edu.fd;
	ret = vp_set_command(&self->edu, PCI_COMMAND_MASTER |
			     PCI_COMMAND_MEMORY, 0);
	if (ret)
		return ret;
	self->e.bar = vp_mmap(&self->edu, 0, 0, PAGE);
	return (void *)self->e.bar == MAP_FAILED ? -errno : 0;
}

static void close_device(struct _test_data_container *self)
{
	vp_close_fds(&self->edu);
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	self->group = -1;
	self->container = -1;
}

/* Each test begins with memory that the device reaches. */
FIXTURE_SETUP(container)
{
	int fd;

	if (variant->size > 512 * MIB && getenv("VM_SLOWER"))
		SKIP(return, "too much to pin for a kernel with sanitizers");
	vp_init(&self->edu);
	self->group = -1;
	self->container = -1;
	self->pins = pages_pinned();
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->edu.bdf))
		SKIP(return, "no edu device");
	if (sysdev_driver(self->edu.bdf, self->edu.driver))
		self->edu.driver[0] = '\0';
	ASSERT_EQ(0, sysdev_set_driver(self->edu.bdf, "vfio-pci"));
	ASSERT_EQ(0, open_device(self, variant->type));
	fd = self->container;

	self->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, t1_map(fd, self->page, PAGE, IOVA_MEM, T1_RW));
	ASSERT_EQ(0, t1_map(fd, self->page, PAGE, IOVA_HIGH, T1_RW));
	ASSERT_TRUE(engine_start(&self->e, self->e.bar, self->edu.bdf,
				 self->page));
	ASSERT_EQ(PAGE, unmap(fd, IOVA_HIGH, PAGE, 0));
	ASSERT_EQ(PAGE, unmap(fd, IOVA_MEM, PAGE, 0));
	if (variant->iova >= IOVA_HIGH && !self->e.wide)
		SKIP(return, "this edu has 28 address bits, for want of dma_mask");

	self->size = variant->size;
	self->mem = release_memory(self->size, variant->huge);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->before = complaints();
	ASSERT_EQ(0, t1_map(fd, self->mem, self->size, variant->iova, T1_RW));
	engine_aim_around(&self->e, self->mem, variant->iova, self->size);
	ASSERT_TRUE(engine_reaches_all(&self->e));
}

FIXTURE_TEARDOWN(container)
{
	close_device(self);
	release_free(self->mem, self->size);
	if (self->page && self->page != MAP_FAILED)
		munmap(self->page, PAGE);
	EXPECT_EQ(0, vp_close(&self->edu));
	EXPECT_EQ(self->pins, pages_pinned());
}

TEST_F_TIMEOUT(container, by_unmap, SECONDS)
{
	int fd = self->container;

	ASSERT_EQ((long)self->size, unmap(fd, variant->iova, self->size, 0));
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, t1_map(fd, self->mem, self->size, variant->iova, T1_RW));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(container, by_unmap_of_all, SECONDS)
{
	int fd = self->container;

	ASSERT_EQ(0, t1_map(fd, self->page, PAGE, IOVA_MEM, T1_RW));
	engine_aim(&self->e, self->page, IOVA_MEM);
	EXPECT_TRUE(engine_reaches_all(&self->e));
	ASSERT_EQ((long)(self->size + PAGE),
		  unmap(fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/* Half of it goes, and what is on both sides stays. */
TEST_F_TIMEOUT(container, by_split, SECONDS)
{
	size_t begin = (self->size / 4 & ~(PAGE - 1)) + PAGE;
	size_t length = self->size / 2 & ~(PAGE - 1);
	size_t end = begin + length;
	__u64 iova = variant->iova;
	struct engine gone = self->e, left = self->e;
	int fd = self->container;

	if (variant->type != VFIO_TYPE1_IOMMU)
		SKIP(return, "only the first version can do that");
	gone.nr = 0;
	engine_aim_around(&gone, self->mem + begin, iova + begin, length);
	left.nr = 0;
	engine_aim_around(&left, self->mem, iova, begin);
	engine_aim_around(&left, self->mem + end, iova + end,
			  self->size - end);
	ASSERT_TRUE(engine_reaches_all(&gone) || !gone.nr);
	ASSERT_TRUE(engine_reaches_all(&left));

	ASSERT_EQ((long)length, unmap(fd, iova + begin, length, 0));
	EXPECT_TRUE(engine_is_stopped(&gone) || !gone.nr);
	EXPECT_TRUE(engine_reaches_all(&left));
	ASSERT_EQ((long)(self->size - length), unmap(fd, iova, self->size, 0));
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_TRUE(engine_is_stopped(&gone) || !gone.nr);
	EXPECT_TRUE(engine_is_stopped(&left));
	EXPECT_EQ(self->before, complaints());
}

/* The next user finds nothing of what the one before had mapped. */
TEST_F_TIMEOUT(container, by_close, SECONDS)
{
	close_device(self);
	EXPECT_EQ(self->pins, pages_pinned());
	ASSERT_EQ(0, open_device(self, variant->type));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	/* The engine holds it still, whatever happened to the device. */
	ASSERT_EQ(0, t1_map(self->container, self->mem, self->size,
			    variant->iova, T1_RW));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_HARNESS_MAIN
