// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device reaches memory as long as it is mapped, and not any longer: whatever
 * ends the mapping, of whatever size. Needs an edu and an ivshmem device.
 */
#include <fcntl.h>
#include "vfio_pci_p2p.h"

/* More than the usual 30, for machines that have other things to do */
#define SECONDS		120
#define MIB		(1UL << 20)
/* What a large mapping is made of: the same memory over and over */
#define BLOCK		(64 * MIB)
/* In reach of edu, which has 28 address bits, and apart from IOVA_MEM */
#define IOVA		0x8000000UL
/* Where a device's DMA lands, in the block */
#define TARGET		0x5000UL

FIXTURE(release) {
	struct p2p p;
	char *mem;
	size_t size;
	/* Where the device's DMA lands, and by which IOVA */
	volatile char *target;
	__u64 iova;
	size_t before;
};

FIXTURE_VARIANT(release) {
	size_t size;
	__u64 iova;
};

FIXTURE_VARIANT_ADD(release, of_a_page_or_two) {
	.size = 0x8000, .iova = IOVA,
};

FIXTURE_VARIANT_ADD(release, of_2_mib) {
	.size = 2 * MIB, .iova = IOVA,
};

/* Pages of several sizes, and an odd number of each */
FIXTURE_VARIANT_ADD(release, of_mixed_sizes) {
	.size = 11 * MIB + 0x3000, .iova = IOVA - 0x1000,
};

FIXTURE_VARIANT_ADD(release, of_1_gib) {
	.size = 1024 * MIB, .iova = IOVA,
};

/* More than VT-d can flush at once */
FIXTURE_VARIANT_ADD(release, of_3_gib) {
	.size = 3072 * MIB, .iova = IOVA,
};

static size_t lines(const char *pattern)
{
	char cmd[200];
	size_t n = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "dmesg | grep -cE '%s'", pattern);
	f = popen(cmd, "r");
	if (!f || fscanf(f, "%zu", &n) != 1)
		n = ~0UL;
	if (f)
		pclose(f);
	return n;
}

/* What no driver may say because of what we do */
static size_t complaints(void)
{
	return lines("Invalidation Queue Error|Invalidation (Time-out|Completion) Error|Completion-Wait loop timed out|PTE for vPFN");
}

/* Does the byte that the engine sends arrive? */
static bool reaches(struct __test_metadata *_metadata, struct p2p *p,
		    volatile char *where, __u64 iova, char byte)
{
	*where = 1;
	EXPECT_TRUE(p2p_send(_metadata, p, iova, byte));
	return *where == byte;
}

/* The same where it must not arrive */
static bool is_stopped(struct __test_metadata *_metadata, struct p2p *p,
		       volatile char *where, __u64 iova, char byte)
{
	*where = 1;
	EXPECT_TRUE(p2p_stopped(_metadata, p, iova, byte));
	return *where == 1;
}

/* Each test begins with memory that the device reaches. */
FIXTURE_SETUP(release)
{
	const char *missing;
	size_t done;
	int fd, ret;

	/* It is the IOMMU that counts, and all kernels have the same. */
	if (variant->size > 512 * MIB && getenv("VM_SLOWER"))
		SKIP(return, "too much to pin for a kernel with sanitizers");
	ret = p2p_open(&self->p, PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	self->size = variant->size;

	fd = memfd_create("release", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, BLOCK));
	self->mem = mmap(NULL, self->size + BLOCK, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (done = 0; done < self->size; done += BLOCK)
		ASSERT_NE(MAP_FAILED,
			  mmap(self->mem + done, BLOCK, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, 0));
	close(fd);

	self->target = self->mem + TARGET;
	self->iova = variant->iova + TARGET;
	self->before = complaints();
	ASSERT_EQ(0, vu_ioas_map(self->p.edu.iommufd, self->p.ioas, self->mem,
				 self->size, variant->iova));
	ASSERT_TRUE(reaches(_metadata, &self->p, self->target, self->iova, 2));
}

FIXTURE_TEARDOWN(release)
{
	if (self->mem)
		munmap(self->mem, self->size + BLOCK);
	EXPECT_EQ(0, p2p_close(&self->p));
}

TEST_F_TIMEOUT(release, by_unmap, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;

	ASSERT_EQ(0, vu_ioas_unmap(fd, p->ioas, variant->iova, self->size));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target, self->iova, 3));

	/* Over what is left of small page tables */
	ASSERT_EQ(0, vu_ioas_map(fd, p->ioas, self->mem, self->size,
				 variant->iova));
	EXPECT_TRUE(reaches(_metadata, p, self->target, self->iova, 4));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_unmap_of_all, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;

	ASSERT_EQ(0, vu_ioas_map(fd, p->ioas, (void *)p->bar, PAGE, IOVA_BAR));
	ASSERT_EQ(0, vu_ioas_map(fd, p->ioas, self->mem, 0x8000,
				 variant->iova - 0x100000));
	EXPECT_TRUE(reaches(_metadata, p, p->bar, IOVA_BAR, 3));
	EXPECT_TRUE(reaches(_metadata, p, self->target, self->iova - 0x100000,
			    7));
	ASSERT_EQ(0, vu_ioas_unmap(fd, p->ioas, 0, ~0UL));
	ASSERT_EQ(0, vu_ioas_map(fd, p->ioas, p->mem, PAGE, IOVA_MEM));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target, self->iova, 4));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target,
			       self->iova - 0x100000, 5));
	EXPECT_TRUE(is_stopped(_metadata, p, p->bar, IOVA_BAR, 6));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_replace, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 other, pt;

	ASSERT_EQ(0, vu_ioas_alloc(fd, &other));
	ASSERT_EQ(0, vu_ioas_map(fd, other, p->mem, PAGE, IOVA_MEM));
	pt = other;
	ASSERT_EQ(0, vu_attach(p->edu.fd, &pt));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target, self->iova, 3));
	ASSERT_EQ(0, vu_ioas_unmap(fd, p->ioas, variant->iova, self->size));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target, self->iova, 4));
	EXPECT_EQ(self->before, complaints());
}

TEST_F_TIMEOUT(release, by_detach, SECONDS)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 pt = p->ioas;

	/* The engine's buffer keeps what it has. */
	*self->target = 1;
	ASSERT_EQ(0, vu_detach(p->edu.fd));
	EXPECT_TRUE(DMA_FAULTS_OF(p->edu.bdf,
				  edu_to_iova(p->edu_bar, self->iova)));
	EXPECT_EQ(1, *self->target);
	ASSERT_EQ(0, vu_ioas_unmap(fd, p->ioas, variant->iova, self->size));
	ASSERT_EQ(0, vu_attach(p->edu.fd, &pt));
	EXPECT_TRUE(is_stopped(_metadata, p, self->target, self->iova, 3));
	EXPECT_EQ(self->before, complaints());
}

FIXTURE(revoked) {
	struct p2p p;
};

FIXTURE_SETUP(revoked)
{
	const char *missing;
	int ret;

	ret = p2p_open(&self->p, PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(revoked)
{
	EXPECT_EQ(0, p2p_close(&self->p));
}

TEST_F(revoked, memory_off)
{
	size_t before = complaints();
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;

	ASSERT_EQ(0, vu_ioas_map(fd, p->ioas, (void *)p->bar, PAGE, IOVA_BAR));
	EXPECT_TRUE(reaches(_metadata, p, p->bar, IOVA_BAR, 2));
	ASSERT_EQ(0, vp_set_command(&p->shmem, 0, PCI_COMMAND_MEMORY));
	memset(p->mem, 3, 64);
	EXPECT_TRUE(edu_from_iova(p->edu_bar, IOVA_MEM));
	EXPECT_TRUE(DMA_FAULTS_OF(p->edu.bdf,
				  edu_to_iova(p->edu_bar, IOVA_BAR)));
	ASSERT_EQ(0, vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(2, p->bar[0]);
	EXPECT_TRUE(reaches(_metadata, p, p->bar, IOVA_BAR, 4));
	ASSERT_EQ(0, vu_ioas_unmap(fd, p->ioas, IOVA_BAR, PAGE));
	EXPECT_TRUE(is_stopped(_metadata, p, p->bar, IOVA_BAR, 5));
	EXPECT_EQ(before, complaints());
}

TEST_HARNESS_MAIN
