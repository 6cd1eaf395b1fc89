// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device reaches memory as long as it is mapped, and not any longer: whatever
 * ends the mapping, of whatever size. Needs an edu and an ivshmem device; with
 * "edu,dma_mask=0xffffffffff" all of the large mappings are looked at.
 */
#include "vfio_pci_release.h"

FIXTURE(release) {
	struct p2p p;
	struct engine e;
	char *mem;
	size_t size;
	__u64 iova;
	size_t before;
	long pins;
};

/* Some bytes and pages, from some pages before an IOVA on */
FIXTURE_VARIANT(release) {
	size_t size;
	size_t pages;
	__u64 iova;
	size_t before;
	bool huge;
};

FIXTURE_VARIANT_ADD(release, of_a_page) {
	.pages = 1, .iova = IOVA,
};

FIXTURE_VARIANT_ADD(release, of_some_pages) {
	.pages = 8, .iova = IOVA,
};

FIXTURE_VARIANT_ADD(release, of_2_mib) {
	.size = 2 * MIB, .iova = IOVA,
};

/* Pages of several sizes, and an odd number of each */
FIXTURE_VARIANT_ADD(release, of_mixed_sizes) {
	.size = 11 * MIB, .pages = 3, .iova = IOVA, .before = 1,
};

FIXTURE_VARIANT_ADD(release, of_1_gib) {
	.size = GIB, .iova = IOVA,
};

/* More than VT-d can flush at once, and no multiple of it */
FIXTURE_VARIANT_ADD(release, of_3_gib) {
	.size = 3 * GIB, .iova = IOVA, .huge = true,
};

FIXTURE_VARIANT_ADD(release, of_8_gib) {
	.size = 8 * GIB, .iova = IOVA_HIGH, .huge = true,
};

/* Each test begins with memory that the device reaches. */
FIXTURE_SETUP(release)
{
	const char *missing;
	struct p2p *p = &self->p;
	int fd, ret;

	/* It is the IOMMU that counts, and all kernels have the same. */
	if (variant->size > 512 * MIB && getenv("VM_SLOWER"))
		SKIP(return, "too much to pin for a kernel with sanitizers");
	self->pins = pages_pinned();
	ret = p2p_open(p, PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	fd = p->edu.iommufd;
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, p->mem, PAGE, IOVA_HIGH));
	ASSERT_TRUE(engine_start(&self->e, p->edu_bar, p->edu.bdf, p->mem));
	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, IOVA_HIGH, PAGE));
	if (variant->iova >= IOVA_HIGH && !self->e.wide)
		SKIP(return, "this edu has 28 address bits, for want of dma_mask");

	self->size = variant->size + variant->pages * PAGE;
	self->iova = variant->iova - variant->before * PAGE;
	self->mem = release_memory(self->size, variant->huge);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->before = complaints();
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, self->mem, self->size,
				 self->iova));
	engine_aim_around(&self->e, self->mem, self->iova, self->size);
	ASSERT_TRUE(engine_reaches_all(&self->e));
}

FIXTURE_TEARDOWN(release)
{
	release_free(self->mem, self->size);
	EXPECT_EQ(0, p2p_close(&self->p));
	EXPECT_EQ(self->pins, pages_pinned());
}

TEST_F_TIMEOUT(release, by_unmap, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;

	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, self->iova, self->size));
	EXPECT_TRUE(engine_is_stopped(&self->e));

	/* Over what is left of small page tables */
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, self->mem, self->size,
				 self->iova));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_unmap_of_all, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u64 small = IOVA - 0x100000;

	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, (void *)p->bar, PAGE, IOVA_BAR));
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, p->mem, PAGE, small));
	engine_aim(&self->e, p->bar, IOVA_BAR);
	engine_aim(&self->e, p->mem, small);
	engine_aim(&self->e, p->mem, IOVA_MEM);
	EXPECT_TRUE(engine_reaches_all(&self->e));
	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, 0, ~0UL));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_replace, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 other, pt;

	ASSERT_EQ(0, ioas_alloc(fd, &other));
	pt = other;
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, self->iova, self->size));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, ioas_map_at(fd, other, self->mem, self->size,
				 self->iova));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_detach, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 pt = p->ioas;

	ASSERT_EQ(0, cdev_detach(p->edu.fd));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, self->iova, self->size));
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/*
 * A page table and the IOAS that it is of. What comes next may be known to the
 * IOMMU by the same number.
 */
TEST_F_TIMEOUT(release, by_destroy, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 hwpt, pt;

	ASSERT_EQ(0, hwpt_alloc(fd, p->edu.devid, p->ioas, 0, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	/* Not while it is used */
	EXPECT_EQ(-EBUSY, obj_destroy(fd, hwpt));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, p->ioas));
	EXPECT_TRUE(engine_reaches_all(&self->e));

	ASSERT_EQ(0, cdev_detach(p->edu.fd));
	ASSERT_EQ(0, obj_destroy(fd, hwpt));
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, obj_destroy(fd, p->ioas));

	ASSERT_EQ(0, ioas_alloc(fd, &p->ioas));
	pt = p->ioas;
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, self->mem, self->size,
				 self->iova));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/* The next user finds nothing of what the one before had mapped. */
TEST_F_TIMEOUT(release, by_close, SECONDS)
{
	struct p2p *p = &self->p;
	__u32 pt;

	/* A device keeps what it does its DMA to. */
	ASSERT_EQ(0, close(p->edu.iommufd));
	p->edu.iommufd = -1;
	EXPECT_TRUE(engine_reaches_all(&self->e));
	vp_close_fds(&p->edu);
	EXPECT_EQ(self->pins, pages_pinned());

	ASSERT_EQ(0, vp_open_bdf(&p->edu));
	ASSERT_EQ(0, vp_set_command(&p->edu, PCI_COMMAND_MASTER |
				    PCI_COMMAND_MEMORY, 0));
	p->edu_bar = vp_mmap(&p->edu, 0, 0, PAGE);
	ASSERT_NE(MAP_FAILED, (void *)p->edu_bar);
	self->e.bar = p->edu_bar;
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, ioas_alloc(p->edu.iommufd, &p->ioas));
	pt = p->ioas;
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	/* The engine holds it still, whatever happened to the device. */
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas, self->mem, self->size,
				 self->iova));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_HARNESS_MAIN
