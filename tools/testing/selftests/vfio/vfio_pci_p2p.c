// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peer-to-peer DMA: edu copies to and from the memory BAR of ivshmem, which is
 * mapped into its address space and taken away again.
 */
#include "kselftest_harness.h"
#include "vfio_pci_edu.h"

#define SHMEM_BAR	2
#define LENGTH		4096UL
#define IOVA_MEM	0x1000000UL
#define IOVA_BAR	0x2000000UL

FIXTURE(p2p)
{
	struct vp_dev edu, shmem;
	volatile char *edu_bar;
	volatile char *bar;
	char *mem;
	__u32 ioas;
};

FIXTURE_SETUP(p2p)
{
	__u32 pt;
	int ret;

	vp_init(&self->edu);
	vp_init(&self->shmem);
	ret = vp_open(&self->edu, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
	ret = vp_open(&self->shmem, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no ivshmem device");
	ASSERT_EQ(0, ret);

	ASSERT_EQ(0, vu_ioas_alloc(self->edu.iommufd, &self->ioas));
	pt = self->ioas;
	ASSERT_EQ(0, vu_attach(self->edu.fd, &pt));
	ASSERT_EQ(0, vp_set_command(&self->edu, PCI_COMMAND_MASTER |
				    PCI_COMMAND_MEMORY, 0));
	ASSERT_EQ(0, vp_set_command(&self->shmem, PCI_COMMAND_MEMORY, 0));

	self->edu_bar = vp_mmap(&self->edu, 0, 0, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)self->edu_bar);
	self->bar = vp_mmap(&self->shmem, SHMEM_BAR, 0, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)self->bar);
	self->mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas, self->mem,
				 LENGTH, IOVA_MEM));
}

FIXTURE_TEARDOWN(p2p)
{
	EXPECT_EQ(0, vp_close(&self->edu));
	EXPECT_EQ(0, vp_close(&self->shmem));
}

/* Put @byte into the engine's buffer, and from there to the BAR's IOVA */
static bool send(struct __test_metadata *_metadata,
		 FIXTURE_DATA(p2p) *self, char byte)
{
	memset(self->mem, byte, 64);
	EXPECT_TRUE(edu_from_iova(self->edu_bar, IOVA_MEM));
	return edu_to_iova(self->edu_bar, IOVA_BAR);
}

TEST_F(p2p, dma_to_bar_and_back)
{
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
	self->bar[0] = 1;
	ASSERT_TRUE(send(_metadata, self, 0x5a));
	EXPECT_EQ(0x5a, self->bar[0]);
	EXPECT_EQ(0x5a, self->bar[63]);

	self->bar[0] = 0x17;
	ASSERT_TRUE(edu_from_iova(self->edu_bar, IOVA_BAR));
	ASSERT_TRUE(edu_to_iova(self->edu_bar, IOVA_MEM));
	EXPECT_EQ(0x17, self->mem[0]);
	EXPECT_EQ(0x5a, self->mem[1]);

	EXPECT_EQ(0, vu_ioas_unmap(self->edu.iommufd, self->ioas, IOVA_BAR, LENGTH));
	self->bar[0] = 1;
	send(_metadata, self, 0x5b);
	EXPECT_EQ(1, self->bar[0]);
}

TEST_F(p2p, mapped_before_attach)
{
	__u32 other, pt;

	ASSERT_EQ(0, vu_ioas_alloc(self->edu.iommufd, &other));
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, other, (void *)self->bar,
				 LENGTH, IOVA_BAR));
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, other, self->mem, LENGTH,
				 IOVA_MEM));
	pt = other;
	ASSERT_EQ(0, vu_attach(self->edu.fd, &pt));
	self->bar[0] = 1;
	ASSERT_TRUE(send(_metadata, self, 0x33));
	EXPECT_EQ(0x33, self->bar[0]);
	EXPECT_EQ(0, vu_detach(self->edu.fd));
	EXPECT_EQ(0, vu_ioas_unmap(self->edu.iommufd, other, IOVA_BAR, LENGTH));
}

TEST_F(p2p, revoked_with_memory_enable)
{
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
	self->bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&self->shmem, 0, PCI_COMMAND_MEMORY));
	send(_metadata, self, 0x44);
	ASSERT_EQ(0, vp_set_command(&self->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, self->bar[0]);

	/* It is where it was. */
	ASSERT_TRUE(send(_metadata, self, 0x45));
	EXPECT_EQ(0x45, self->bar[0]);
}

TEST_F(p2p, mapped_while_memory_is_disabled)
{
	self->bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&self->shmem, 0, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
	send(_metadata, self, 0x46);
	ASSERT_EQ(0, vp_set_command(&self->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, self->bar[0]);
	ASSERT_TRUE(send(_metadata, self, 0x47));
	EXPECT_EQ(0x47, self->bar[0]);
}

TEST_F(p2p, revoked_with_close)
{
	ASSERT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
	self->bar[0] = 1;
	vp_close_fds(&self->shmem);
	send(_metadata, self, 0x48);

	ASSERT_EQ(0, vp_open_bdf(&self->shmem));
	ASSERT_EQ(0, vp_set_command(&self->shmem, PCI_COMMAND_MEMORY, 0));
	self->bar = vp_mmap(&self->shmem, SHMEM_BAR, 0, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)self->bar);
	EXPECT_EQ(1, self->bar[0]);
	/* The old mapping stays dead, its IOVA stays taken until the unmap. */
	send(_metadata, self, 0x49);
	EXPECT_EQ(1, self->bar[0]);
	EXPECT_EQ(-EEXIST, vu_ioas_map(self->edu.iommufd, self->ioas,
				       (void *)self->bar, LENGTH, IOVA_BAR));
	EXPECT_EQ(0, vu_ioas_unmap(self->edu.iommufd, self->ioas, IOVA_BAR, LENGTH));
	EXPECT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
	ASSERT_TRUE(send(_metadata, self, 0x4a));
	EXPECT_EQ(0x4a, self->bar[0]);
}

/* What the process may not do, no device may do for it */
TEST_F(p2p, as_the_mapping_permits)
{
	const __u32 rd = IOMMU_IOAS_MAP_READABLE, wr = IOMMU_IOAS_MAP_WRITEABLE;
	int iommufd = self->edu.iommufd;
	char why[256];
	void *ro, *none;
	__u32 other;

	ro = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, self->shmem.fd,
		  vp_offset(SHMEM_BAR, 0));
	ASSERT_NE(MAP_FAILED, ro);
	none = mmap(NULL, LENGTH, PROT_NONE, MAP_SHARED, self->shmem.fd,
		    vp_offset(SHMEM_BAR, 0));
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, vu_ioas_alloc(iommufd, &other));

	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, self->ioas, ro, LENGTH,
					    IOVA_BAR, rd | wr));
	ASSERT_EQ(0, vu_fdinfo(iommufd, "last-refusal", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "without PROT_WRITE"));
	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, self->ioas, ro, LENGTH,
					    IOVA_BAR, wr));
	/* nor where nothing is pinned yet */
	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, other, ro, LENGTH,
					    IOVA_BAR, rd | wr));
	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, self->ioas, none, LENGTH,
					    IOVA_BAR, rd));
	ASSERT_EQ(0, vu_fdinfo(iommufd, "last-refusal", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "without PROT_READ"));
	/* nor with the leave to change that, as long as it is not used */
	ASSERT_EQ(0, mprotect(none, LENGTH, PROT_WRITE));
	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, self->ioas, none, LENGTH,
					    IOVA_BAR, rd));
	ASSERT_EQ(0, mprotect(none, LENGTH, PROT_READ));
	EXPECT_EQ(-EFAULT, vu_ioas_map_prot(iommufd, self->ioas, none, LENGTH,
					    IOVA_BAR, wr));

	/* What may be read can be read, and not written. */
	ASSERT_EQ(0, vu_ioas_map_prot(iommufd, self->ioas, ro, LENGTH,
				      IOVA_BAR, rd));
	self->bar[0] = 0x21;
	send(_metadata, self, 0x50);
	EXPECT_EQ(0x21, self->bar[0]);
	ASSERT_TRUE(edu_from_iova(self->edu_bar, IOVA_BAR));
	ASSERT_TRUE(edu_to_iova(self->edu_bar, IOVA_MEM));
	EXPECT_EQ(0x21, self->mem[0]);
	EXPECT_EQ(0, vu_ioas_unmap(iommufd, self->ioas, IOVA_BAR, LENGTH));

	ASSERT_EQ(0, mprotect(ro, LENGTH, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vu_ioas_map_prot(iommufd, self->ioas, ro, LENGTH,
				      IOVA_BAR, rd | wr));
	ASSERT_TRUE(send(_metadata, self, 0x51));
	EXPECT_EQ(0x51, self->bar[0]);
	munmap(ro, LENGTH);
	munmap(none, LENGTH);
}

TEST_F(p2p, more_than_the_mapping)
{
	EXPECT_EQ(-EFAULT, vu_ioas_map(self->edu.iommufd, self->ioas,
				       (void *)self->bar, 2 * LENGTH, IOVA_BAR));
	/* Nothing stays behind. */
	EXPECT_EQ(0, vu_ioas_map(self->edu.iommufd, self->ioas,
				 (void *)self->bar, LENGTH, IOVA_BAR));
}

TEST_HARNESS_MAIN
