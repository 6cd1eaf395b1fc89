// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device reaches the memory of another one as long as that is mapped and its
 * user's, and not any longer. Needs an edu and an ivshmem device; for the
 * largest BAR "edu,dma_mask=0xffffffffff" and "ivshmem,size=8G".
 */
#include "vfio_pci_release.h"

FIXTURE(bar) {
	struct p2p p;
	struct engine e;
	volatile char *mem;
	size_t size;
	__u64 iova;
	size_t before;
};

FIXTURE_VARIANT(bar) {
	size_t size;	/* 0: of a page */
};

FIXTURE_VARIANT_ADD(bar, page) { .size = 0 };
FIXTURE_VARIANT_ADD(bar, of_2_mib) { .size = 2 * MIB };
FIXTURE_VARIANT_ADD(bar, of_64_mib) { .size = 64 * MIB };
FIXTURE_VARIANT_ADD(bar, of_3_gib) { .size = 3 * GIB };
FIXTURE_VARIANT_ADD(bar, of_8_gib) { .size = 8 * GIB };

static void open_bar(struct __test_metadata *_metadata,
		     struct _test_data_bar *self)
{
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, PCI_COMMAND_MEMORY, 0));
	self->mem = vp_mmap(&self->p.shmem, SHMEM_BAR, 0, self->size);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
	self->e.nr = 0;
	engine_aim_around(&self->e, self->mem, self->iova, self->size);
}

static int map_bar(struct _test_data_bar *self)
{
	return ioas_map_at(self->p.edu.iommufd, self->p.ioas,
			   (void *)self->mem, self->size, self->iova);
}

static int unmap_bar(struct _test_data_bar *self)
{
	return ioas_unmap(self->p.edu.iommufd, self->p.ioas, self->iova,
			  self->size);
}

FIXTURE_SETUP(bar)
{
	struct vfio_region_info info;
	struct p2p *p = &self->p;
	const char *missing;
	int fd, ret;

	ret = p2p_open(p, PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_region(&p->shmem, SHMEM_BAR, &info));
	if (variant->size > info.size)
		SKIP(return, "this ivshmem has a BAR of %llu MiB",
		     (unsigned long long)info.size >> 20);
	self->size = variant->size ?: PAGE;
	self->iova = self->size > 64 * MIB ? 2 * IOVA_HIGH : IOVA;
	fd = p->edu.iommufd;
	ASSERT_EQ(0, ioas_map_at(fd, p->ioas, p->mem, PAGE, IOVA_HIGH));
	ASSERT_TRUE(engine_start(&self->e, p->edu_bar, p->edu.bdf, p->mem));
	ASSERT_EQ(0, ioas_unmap(fd, p->ioas, IOVA_HIGH, PAGE));
	if (self->iova >= IOVA_HIGH && !self->e.wide)
		SKIP(return, "this edu has 28 address bits, for want of dma_mask");
	self->before = complaints();
	open_bar(_metadata, self);
}

FIXTURE_TEARDOWN(bar)
{
	EXPECT_EQ(0, p2p_close(&self->p));
}

TEST_F_TIMEOUT(bar, unmapped, SECONDS)
{
	ASSERT_EQ(0, map_bar(self));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	ASSERT_EQ(0, unmap_bar(self));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(bar, detached, SECONDS)
{
	__u32 pt = self->p.ioas;

	ASSERT_EQ(0, map_bar(self));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	ASSERT_EQ(0, cdev_detach(self->p.edu.fd));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, unmap_bar(self));
	ASSERT_EQ(0, cdev_attach(self->p.edu.fd, &pt));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/* DMA to what the device does not decode, and to what it decodes again */
TEST_F_TIMEOUT(bar, memory_off, SECONDS)
{
	struct p2p *p = &self->p;
	unsigned int i;

	ASSERT_EQ(0, map_bar(self));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	for (i = 0; i < self->e.nr; i++)
		*self->e.place[i].where = UNTOUCHED;
	ASSERT_EQ(0, vp_set_command(&p->shmem, 0, PCI_COMMAND_MEMORY));
	for (i = 0; i < self->e.nr; i++)
		EXPECT_TRUE(DMA_FAULTS_OF(self->e.bdf,
					  edu_to_iova(p->edu_bar,
						      self->e.place[i].iova)));
	ASSERT_EQ(0, vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0));
	for (i = 0; i < self->e.nr; i++)
		EXPECT_EQ(UNTOUCHED, *self->e.place[i].where);
	EXPECT_TRUE(engine_reaches_all(&self->e));
	ASSERT_EQ(0, unmap_bar(self));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/* The memory has another user now; the mapping in the IOAS is still there. */
TEST_F_TIMEOUT(bar, closed_and_reopened, SECONDS)
{
	struct p2p *p = &self->p;

	ASSERT_EQ(0, map_bar(self));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	vp_close_fds(&p->shmem);
	ASSERT_EQ(0, vp_open_bdf(&p->shmem));
	open_bar(_metadata, self);
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, unmap_bar(self));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	ASSERT_EQ(0, map_bar(self));
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(self->before, complaints());
}

/*
 * Where pages were mapped one by one, their page tables are still there, and in
 * the IOMMU's caches. It is for the IOMMU driver to put larger pages in their
 * place, and to flush all of these: of 2 GiB and more VT-d cannot do so at once.
 */
TEST_F_TIMEOUT(bar, mapped_over_small_tables, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	struct engine small = self->e;
	size_t off, last = 0;

	for (off = 0; off < self->size; off += HUGE) {
		ASSERT_EQ(0, ioas_map_at(fd, p->ioas, p->mem, PAGE,
					 self->iova + off));
		last = off;
	}
	small.nr = 0;
	engine_aim(&small, p->mem, self->iova);
	engine_aim(&small, p->mem + TARGET, self->iova + last + TARGET);
	EXPECT_TRUE(engine_reaches_all(&small));
	ASSERT_EQ(0, unmap_bar(self));
	EXPECT_TRUE(engine_is_stopped(&small));

	ASSERT_EQ(0, map_bar(self));
	EXPECT_EQ(self->before, complaints());
	*p->mem = UNTOUCHED;
	EXPECT_TRUE(engine_reaches_all(&self->e));
	EXPECT_EQ(UNTOUCHED, *p->mem);
	ASSERT_EQ(0, unmap_bar(self));
	EXPECT_TRUE(engine_is_stopped(&self->e));
	EXPECT_EQ(self->before, complaints());
}

TEST_HARNESS_MAIN
