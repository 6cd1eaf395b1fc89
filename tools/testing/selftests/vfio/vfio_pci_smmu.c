// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested translation by an Arm SMMUv3: a virtual IOMMU with a virtual device, tables
 * of ours on a parent of the kernel, commands of a guest, and events. The device is
 * QEMU's edu; numbers in brackets are sections of the SMMUv3 specification.
 *
 * Wants an emulated SMMU whose devices are said to be coherent, CONFIG_VFIO_TEST_SMMU.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/stage1.h"
#include "../lib/vfio_pci.h"
#include "../lib/viommu.h"

#define PAGE		4096UL
/* In what the parent translates: the context descriptor, tables, data */
#define GPA		0x40000000UL
#define TABLES		8
#define DATA		(1 + TABLES)
#define PAGES		(DATA + 4)
/* In what the device asks for, which has 28 address bits */
#define IOVA		0x7abc000UL
/* The guest's name of the device, and of its address space */
#define VSID		0x1234U
#define ASID		0x42ULL

/* Stream table entry (5.2) */
#define STE_VALID	(1ULL << 0)
#define STE_ABORT	(0ULL << 1)
#define STE_BYPASS	(4ULL << 1)
#define STE_STAGE1	(5ULL << 1)
/* Word 1: context descriptors are read through caches, inner shareable */
#define STE_CACHED	(1ULL << 2 | 1ULL << 4 | 3ULL << 6)

/* Context descriptor (5.4): 48 bits in, 40 bits out, no second table */
#define CD_T0SZ		16ULL
#define CD_CACHED	(1ULL << 8 | 1ULL << 10 | 3ULL << 12)
#define CD_NO_TABLE1	(1ULL << 30)
#define CD_VALID	(1ULL << 31)
#define CD_40_BITS	(2ULL << 32)
#define CD_AARCH64	(1ULL << 41)
#define CD_RECORD	(1ULL << 45)
#define CD_ABORT	(1ULL << 46)
#define CD_ASID(asid)	((asid) << 48)

/* Commands (4) */
#define CMD_CFGI_STE	0x03ULL
#define CMD_CFGI_CD	0x05ULL
#define CMD_TLBI_NH_ALL	0x10ULL
#define CMD_TLBI_NH_VA	0x12ULL

/* Events (7.3) */
#define EVENT_CD_BAD	0x0aU
#define EVENT_UNMAPPED	0x10U
#define EVENT_DENIED	0x13U

struct event {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 record;
};

FIXTURE(smmu) {
	struct vp_dev d;
	void *bar;
	char *mem;
	struct stage1 table;
	__u32 ioas;
	__u32 parent;
	__u32 viommu;
	__u32 vdevice;
	__u32 hwpt;
	__u32 queue;
	int events;
};

static __u64 gpa(unsigned int data)
{
	return GPA + (DATA + data) * PAGE;
}

static char *at(struct _test_data_smmu *self, unsigned int data)
{
	return self->mem + (DATA + data) * PAGE;
}

static int alloc_ste(struct _test_data_smmu *self, __u64 word0, __u64 word1,
		     __u32 *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { word0, word1 } };

	return hwpt_alloc_nested(self->d.iommufd, self->d.devid, self->viommu,
				 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &data,
				 sizeof(data), hwpt);
}

static int alloc_stage1(struct _test_data_smmu *self, __u32 *hwpt)
{
	return alloc_ste(self, GPA | STE_VALID | STE_STAGE1, STE_CACHED, hwpt);
}

/* The descriptor of our table */
static void write_cd(struct _test_data_smmu *self, __u64 flags)
{
	__u64 *cd = (__u64 *)self->mem;

	cd[1] = self->table.gpa;
	cd[3] = 0xff;		/* memory attributes: of the first kind, cached */
	__atomic_store_n(&cd[0],
			 CD_T0SZ | CD_CACHED | CD_NO_TABLE1 | CD_40_BITS |
				 CD_AARCH64 | CD_RECORD | CD_ABORT |
				 CD_ASID(ASID) | flags,
			 __ATOMIC_RELEASE);
}

static int commands(struct _test_data_smmu *self, const void *cmds, __u32 *num)
{
	return hwpt_invalidate(self->d.iommufd, self->viommu,
			       IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cmds,
			       sizeof(struct iommu_viommu_arm_smmuv3_invalidate),
			       num);
}

static int command(struct _test_data_smmu *self, __u64 word0, __u64 word1)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {
		.cmd = { word0, word1 },
	};
	__u32 num = 1;
	int rc = commands(self, &cmd, &num);

	return rc ? rc : num == 1 ? 0 : -EIO;
}

static int forget_page(struct _test_data_smmu *self, __u64 iova)
{
	return command(self, CMD_TLBI_NH_VA | ASID << 48, iova);
}

/* The next event that is there or comes within @ms */
static bool next_event(struct _test_data_smmu *self, struct event *event,
		       int ms)
{
	struct pollfd pfd = { .fd = self->events, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 &&
	       read(self->events, event, sizeof(*event)) == sizeof(*event);
}

/* What the device reads at @iova, which it may read; -1 if it does not answer */
static char load(struct _test_data_smmu *self, __u64 iova)
{
	char *mem = at(self, 3);

	memset(mem, 0, 64);
	if (edu_from_mem(self->bar, iova, 0, 64))
		return -1;
	return edu_to_mem(self->bar, IOVA + 3 * PAGE, 0, 64) ? -1 : mem[0];
}

static bool is_refused(struct _test_data_smmu *self, __u64 iova, __u32 why)
{
	struct event event;
	bool found = false;

	if (DMA_FAULTS_OF(self->d.bdf, edu_to_mem(self->bar, iova, 0, 64)))
		return false;
	/* One for each access that is refused */
	while (next_event(self, &event, found ? 0 : 5000)) {
		__u64 *record = (__u64 *)event.record.evt;

		if (!found)
			printf("# event %u: %016llx %016llx %016llx %016llx\n",
			       event.header.sequence, record[0], record[1],
			       record[2], record[3]);
		found = (record[0] & 0xff) == why && record[0] >> 32 == VSID &&
			(record[2] & ~(PAGE - 1)) == iova;
		if (!found)
			return false;
	}
	return found;
}

FIXTURE_SETUP(smmu)
{
	struct iommu_hw_info_arm_smmuv3 info;
	struct iommu_hw_info cmd;
	unsigned int i;
	int fd, rc;

	self->events = -1;
	vp_init(&self->d);
	rc = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	if (rc == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, rc);
	fd = self->d.iommufd;
	ASSERT_EQ(0, get_hw_info(fd, self->d.devid, &info, sizeof(info), &cmd));
	if (cmd.out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		SKIP(return, "the kernel tells of no SMMUv3");
	self->mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i != PAGES - DATA; i++)
		memset(at(self, i), 'a' + i, PAGE);
	stage1_init(&self->table, &stage1_arm, self->mem + PAGE, GPA + PAGE,
		    TABLES);
	for (i = 0; i != 4; i++)
		ASSERT_TRUE(stage1_map(&self->table, IOVA + i * PAGE, gpa(i),
				       true));
	write_cd(self, CD_VALID);
	ASSERT_EQ(0, ioas_alloc(fd, &self->ioas));
	ASSERT_EQ(0, hwpt_alloc(fd, self->d.devid, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, ioas_map_at(fd, self->ioas, self->mem, PAGES * PAGE, GPA));
	rc = viommu_alloc(fd, self->d.devid, self->parent,
			  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &self->viommu);
	if (rc == -EOPNOTSUPP)
		SKIP(return, "the kernel makes no virtual IOMMU of this one");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, alloc_stage1(self, &self->hwpt));
	ASSERT_EQ(0, veventq_alloc(fd, self->viommu,
				   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 64,
				   &self->queue, &self->events));
	ASSERT_EQ(0, vdevice_alloc(fd, self->viommu, self->d.devid, VSID,
				   &self->vdevice));
	ASSERT_EQ(0, edu_start(self->d.fd, &self->bar));
}

FIXTURE_TEARDOWN(smmu)
{
	if (self->bar)
		munmap(self->bar, 1 << 20);
	if (self->events >= 0)
		close(self->events);
	EXPECT_EQ(0, vp_close(&self->d));
}

static void attach(struct __test_metadata *_metadata,
		   struct _test_data_smmu *self)
{
	ASSERT_EQ(0, cdev_attach_to(self->d.fd, self->hwpt));
	ASSERT_EQ('a', load(self, IOVA));
}

TEST_F(smmu, hw_info)
{
	struct iommu_hw_info_arm_smmuv3 info;
	struct iommu_hw_info cmd;

	ASSERT_EQ(0, get_hw_info(self->d.iommufd, self->d.devid, &info,
				 sizeof(info), &cmd));
	EXPECT_EQ(sizeof(info), cmd.data_len);
	/* Both stages (S1P, S2P), and tables of AArch64 (TTF) */
	EXPECT_EQ(3, info.idr[0] & 3);
	EXPECT_EQ(2, info.idr[0] >> 2 & 2);
	/* Granules of 4 KiB */
	EXPECT_NE(0, info.idr[5] & 1 << 4);
	printf("# SMMU_IDR0 is 0x%x, SMMU_IDR5 0x%x\n", info.idr[0],
	       info.idr[5]);
}

TEST_F(smmu, both_stages)
{
	attach(_metadata, self);
	EXPECT_EQ('b', load(self, IOVA + PAGE));
	printf("# the device reads 0x%lx through our table to 0x%llx, and through the kernel's to our memory\n",
	       IOVA, (unsigned long long)gpa(0));
	/* What our table does not have, and an address of the parent */
	EXPECT_TRUE(is_refused(self, IOVA + 4 * PAGE, EVENT_UNMAPPED));
	EXPECT_TRUE(is_refused(self, IOVA - PAGE, EVENT_UNMAPPED));
	printf("# what our table does not have is refused, and an event says so by the guest's name of the device, 0x%x\n",
	       VSID);
}

/* Our table says where writing is allowed. */
TEST_F(smmu, read_only)
{
	ASSERT_TRUE(stage1_map(&self->table, IOVA + PAGE, gpa(1), false));
	attach(_metadata, self);
	EXPECT_EQ('b', load(self, IOVA + PAGE));
	/* Something else to write there */
	EXPECT_EQ('a', load(self, IOVA));
	EXPECT_TRUE(is_refused(self, IOVA + PAGE, EVENT_DENIED));
	EXPECT_EQ('b', at(self, 1)[0]);
}

TEST_F(smmu, invalidate)
{
	attach(_metadata, self);
	EXPECT_EQ('b', load(self, IOVA + PAGE));
	ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(2), true));
	ASSERT_TRUE(stage1_map(&self->table, IOVA + PAGE, gpa(2), true));
	EXPECT_EQ('a', load(self, IOVA));
	printf("# our table has another page at 0x%lx, the device still sees the old one\n",
	       IOVA);
	ASSERT_EQ(0, forget_page(self, IOVA));
	EXPECT_EQ('c', load(self, IOVA));
	EXPECT_EQ('b', load(self, IOVA + PAGE));
	printf("# after the guest's TLBI_NH_VA it sees the new one, and of the next page still the old one\n");
	ASSERT_EQ(0, command(self, CMD_TLBI_NH_ALL, 0));
	EXPECT_EQ('c', load(self, IOVA + PAGE));
	EXPECT_EQ('c', load(self, IOVA));
	printf("# after TLBI_NH_ALL it sees both\n");
	stage1_unmap(&self->table, IOVA);
	EXPECT_EQ('c', load(self, IOVA));
	ASSERT_EQ(0, forget_page(self, IOVA));
	EXPECT_TRUE(is_refused(self, IOVA, EVENT_UNMAPPED));
}

/* The context descriptor is cached, too */
TEST_F(smmu, context_descriptor)
{
	const __u64 cfgi = CMD_CFGI_CD | (__u64)VSID << 32;
	struct event event;

	attach(_metadata, self);
	write_cd(self, 0);
	EXPECT_EQ('a', load(self, IOVA));
	ASSERT_EQ(0, command(self, cfgi, 1));
	memset(at(self, 0), 'y', 64);
	EXPECT_EQ(0, DMA_FAULTS_OF(self->d.bdf,
				   edu_to_mem(self->bar, IOVA, 0, 64)));
	EXPECT_EQ('y', at(self, 0)[0]);
	ASSERT_TRUE(next_event(self, &event, 5000));
	EXPECT_EQ(EVENT_CD_BAD, event.record.evt[0] & 0xff);
	while (next_event(self, &event, 0))
		;
	memset(at(self, 0), 'a', 64);
	write_cd(self, CD_VALID);
	ASSERT_EQ(0, command(self, cfgi, 1));
	EXPECT_EQ('a', load(self, IOVA));
	printf("# CFGI_CD: the device sees that our context descriptor has changed\n");
}

/* One that is not allowed ends it; those before have been carried out. */
TEST_F(smmu, bad_commands)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmds[] = {
		{ .cmd = { CMD_TLBI_NH_VA | ASID << 48, IOVA } },
		{ .cmd = { CMD_CFGI_STE | (__u64)VSID << 32, 1 } },
		{ .cmd = { CMD_TLBI_NH_ALL, 0 } },
	};
	__u32 num = ARRAY_SIZE(cmds);

	attach(_metadata, self);
	EXPECT_EQ(-EIO, commands(self, cmds, &num));
	EXPECT_GT(2, num);
	/* A device that the guest does not have */
	EXPECT_EQ(-EIO, command(self, CMD_CFGI_CD | (__u64)(VSID + 1) << 32,
				1));
	/* The commands are the virtual IOMMU's, not those of a table */
	num = 1;
	EXPECT_EQ(-EOPNOTSUPP,
		  hwpt_invalidate(self->d.iommufd, self->hwpt,
				  IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
				  cmds, sizeof(cmds[0]), &num));
	EXPECT_EQ(0, num);
	EXPECT_EQ('a', load(self, IOVA));
}

TEST_F(smmu, bad_entries)
{
	__u32 hwpt;

	/* A second stage is the kernel's to say */
	EXPECT_EQ(-EIO, alloc_ste(self, STE_VALID | 6ULL << 1, 0, &hwpt));
	/* Word 1 has STRW, which is not a guest's */
	EXPECT_EQ(-EIO, alloc_ste(self, GPA | STE_VALID | STE_STAGE1,
				  STE_CACHED | 3ULL << 30, &hwpt));
	/* On the parent itself, without a virtual IOMMU */
	self->viommu = self->parent;
	EXPECT_NE(0, alloc_stage1(self, &hwpt));
}

/* As a guest that has not enabled its SMMU yet, or wants nothing of the device */
TEST_F(smmu, bypass_and_abort)
{
	__u32 bypass, abort_all;

	ASSERT_EQ(0, alloc_ste(self, STE_VALID | STE_BYPASS, 0, &bypass));
	ASSERT_EQ(0, alloc_ste(self, STE_VALID | STE_ABORT, 0, &abort_all));
	attach(_metadata, self);
	/* edu has 28 address bits: the parent has nothing there */
	ASSERT_EQ(0, ioas_map_at(self->d.iommufd, self->ioas, at(self, 0),
				 4 * PAGE, IOVA + 16 * PAGE));
	ASSERT_EQ(0, cdev_attach_to(self->d.fd, bypass));
	memset(at(self, 1), 'x', 64);
	ASSERT_TRUE(edu_from_iova(self->bar, IOVA + 17 * PAGE));
	ASSERT_TRUE(edu_to_iova(self->bar, IOVA + 16 * PAGE));
	EXPECT_EQ('x', at(self, 0)[0]);
	printf("# bypass: the device is where the parent alone translates\n");
	ASSERT_EQ(0, cdev_attach_to(self->d.fd, abort_all));
	ASSERT_EQ(0, DMA_FAULTS_OF(self->d.bdf,
				   edu_to_mem(self->bar, IOVA + 18 * PAGE, 0,
					      64)));
	EXPECT_EQ('c', at(self, 2)[0]);
	printf("# abort: it is refused everything\n");
	ASSERT_EQ(0, cdev_attach_to(self->d.fd, self->hwpt));
	ASSERT_EQ(0, command(self, CMD_TLBI_NH_ALL, 0));
	EXPECT_EQ('x', load(self, IOVA));
}

TEST_F(smmu, unmap_of_the_parent)
{
	int fd = self->d.iommufd;

	attach(_metadata, self);
	/* What the device is about to write is not what is there */
	ASSERT_EQ('b', load(self, IOVA + PAGE));
	ASSERT_EQ(0, ioas_unmap(fd, self->ioas, GPA, PAGES * PAGE));
	ASSERT_EQ(0, DMA_FAULTS_OF(self->d.bdf,
				   edu_to_mem(self->bar, IOVA, 0, 64)));
	EXPECT_EQ('a', at(self, 0)[0]);
	printf("# the parent is unmapped: the device is refused, without a command of ours\n");
	ASSERT_EQ(0, ioas_map_at(fd, self->ioas, self->mem, PAGES * PAGE, GPA));
	ASSERT_EQ(0, command(self, CMD_TLBI_NH_ALL, 0));
	EXPECT_EQ('a', load(self, IOVA));
}

/* A table for a device that the guest has no name for */
TEST_F(smmu, no_virtual_device)
{
	attach(_metadata, self);
	ASSERT_EQ(0, cdev_detach(self->d.fd));
	ASSERT_EQ(0, obj_destroy(self->d.iommufd, self->vdevice));
	EXPECT_EQ(-ENOENT, cdev_attach_to(self->d.fd, self->hwpt));
	ASSERT_EQ(0, vdevice_alloc(self->d.iommufd, self->viommu,
				   self->d.devid, VSID, &self->vdevice));
	attach(_metadata, self);
}

/* More events than the queue holds: a header says how many are lost */
TEST_F(smmu, lost_events)
{
	int fd = self->d.iommufd;
	struct event event;
	unsigned int i;

	close(self->events);
	ASSERT_EQ(0, obj_destroy(fd, self->queue));
	ASSERT_EQ(0, veventq_alloc(fd, self->viommu,
				   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1,
				   &self->queue, &self->events));
	attach(_metadata, self);
	for (i = 0; i != 3; i++)
		ASSERT_EQ(0, DMA_FAULTS_OF(self->d.bdf,
					   edu_to_mem(self->bar,
						      IOVA + 5 * PAGE, 0, 64)));
	ASSERT_TRUE(next_event(self, &event, 5000));
	EXPECT_EQ(EVENT_UNMAPPED, event.record.evt[0] & 0xff);
	EXPECT_EQ(sizeof(event.header),
		  read(self->events, &event, sizeof(event)));
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, event.header.flags);
}

TEST_F(smmu, order_of_destruction)
{
	int fd = self->d.iommufd;

	attach(_metadata, self);
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->hwpt));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->viommu));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->parent));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->queue));
	ASSERT_EQ(0, cdev_detach(self->d.fd));
	EXPECT_EQ(0, obj_destroy(fd, self->hwpt));
	EXPECT_EQ(0, obj_destroy(fd, self->vdevice));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->viommu));
	close(self->events);
	self->events = -1;
	EXPECT_EQ(0, obj_destroy(fd, self->queue));
	EXPECT_EQ(0, obj_destroy(fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(fd, self->parent));
	EXPECT_EQ(0, obj_destroy(fd, self->ioas));
}

/* Everything at once, as when a program dies */
TEST_F(smmu, close_while_attached)
{
	attach(_metadata, self);
}

TEST_HARNESS_MAIN
