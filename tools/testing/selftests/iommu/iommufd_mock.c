// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu on the mock IOMMU driver: devices, page tables, pinning,
 * accounting, in-kernel users and dirty tracking, without hardware.
 *
 * The mock has IOVA from 16 MiB to 2 GiB and pages of half a CPU page, so that
 * code that takes the two for equal is found out.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "../lib/mock.h"
#include "../lib/fail_nth.h"

#define BASE	(MOCK_APERTURE_START + (1UL << 20))
/* Where no IOVA is chosen as long as there is room below */
#define FAR	0x60000000UL
#define BUF_PAGES 16

FIXTURE(iommu)
{
	int fd;
	__u32 ioas;
	struct mock_device dev[2];
	size_t ps;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_VARIANT(iommu)
{
	unsigned int devices;
};

FIXTURE_VARIANT_ADD(iommu, one_device) { .devices = 1 };
FIXTURE_VARIANT_ADD(iommu, two_devices) { .devices = 2 };

FIXTURE_SETUP(iommu)
{
	unsigned int i;
	int rc;

	self->ps = page_size();
	self->size = BUF_PAGES * self->ps;
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("/dev/iommu cannot be opened: is iommufd loaded?");
	}
	rc = mock_memory_limit(self->fd, MOCK_MEMORY_DEFAULT);
	if (rc == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	ASSERT_EQ(0, rc);
	self->pinned = pages_pinned();
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->size);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	for (i = 0; i != variant->devices; i++)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev[i]));
}

FIXTURE_TEARDOWN(iommu)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(va, length, iova) \
	ioas_map_at(self->fd, self->ioas, va, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(self->fd, self->ioas, iova, length)
#define REFS(va, length, refs) \
	mock_check_refs(self->fd, va, length, refs)

/* 0 if every device is led to the memory at @va */
static int check_map(int fd, const struct mock_device *dev, unsigned int num,
		     __u64 iova, __u64 length, const void *va)
{
	unsigned int i;
	int rc;

	for (i = 0; i != num; i++) {
		rc = mock_check_map(fd, dev[i].hwpt, iova, length, va);
		if (rc)
			return rc;
	}
	return 0;
}

#define CHECK_MAP(iova, length, va) \
	check_map(self->fd, self->dev, variant->devices, iova, length, va)

/* Attach, detach */

TEST_F(iommu, attach_narrows_iova)
{
	struct iommu_iova_range range;
	__u64 alignment;
	__u32 num = 1;
	unsigned int i;

	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, &range, &num,
				      &alignment));
	EXPECT_EQ(1, num);
	EXPECT_EQ(MOCK_APERTURE_START, range.start);
	EXPECT_EQ(MOCK_APERTURE_LAST, range.last);
	EXPECT_EQ(MOCK_PAGE, alignment);

	for (i = 0; i != variant->devices; i++)
		ASSERT_EQ(0, mock_detach(self->fd, &self->dev[i]));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, &range, &num,
				      &alignment));
	EXPECT_EQ(0, range.start);
	EXPECT_EQ(UINT64_MAX, range.last);
	EXPECT_EQ(1, alignment);
}

TEST_F(iommu, attach_bad)
{
	struct mock_device dev;

	EXPECT_EQ(-ENOENT, mock_attach(self->fd, 0, &dev));
	EXPECT_EQ(-ENOENT, mock_attach(self->fd, UINT32_MAX, &dev));
	/* A device is not a page table */
	EXPECT_EQ(-EINVAL, mock_attach(self->fd, self->dev[0].idev, &dev));
	EXPECT_EQ(-ENOENT, mock_replace(self->fd, &self->dev[0], 0));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &self->dev[0],
					self->dev[0].idev));
	/* The failed replace has changed nothing */
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
}

TEST_F(iommu, busy_objects)
{
	unsigned int i;

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->ioas));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->dev[0].hwpt));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->dev[0].idev));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	for (i = 0; i != variant->devices; i++)
		ASSERT_EQ(0, mock_detach(self->fd, &self->dev[i]));
	/* The automatic table went with its last device */
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->dev[0].hwpt));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->dev[0].idev));
	EXPECT_EQ(0, obj_destroy(self->fd, self->ioas));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

static volatile __u32 destroy_id;

static void *destroyer(void *arg)
{
	int fd = *(int *)arg;

	while (destroy_id != UINT32_MAX)
		obj_destroy(fd, destroy_id);
	return NULL;
}

/* The user destroys a device object at the moment when its owner does. */
TEST_F(iommu, destroy_against_unbind)
{
	struct mock_device dev;
	pthread_t threads[4];
	unsigned int i;

	destroy_id = 0;
	for (i = 0; i != ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, destroyer,
					    &self->fd));
	for (i = 0; i != 200; i++) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
		destroy_id = dev.idev;
		EXPECT_EQ(0, mock_detach(self->fd, &dev));
	}
	destroy_id = UINT32_MAX;
	for (i = 0; i != ARRAY_SIZE(threads); i++)
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
}

TEST_F(iommu, device_is_not_an_ioas)
{
	__u64 iova = 0;
	__u32 num = 0;

	EXPECT_EQ(-ENOENT, ioas_map(self->fd, self->dev[0].idev, self->buf,
				    self->ps, &iova, MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->dev[0].hwpt, 0,
				      self->ps));
	EXPECT_EQ(-ENOENT, ioas_iova_ranges(self->fd, self->dev[0].hwpt, NULL,
					    &num, NULL));
}

TEST_F(iommu, attach_after_map)
{
	struct mock_device dev;
	__u32 ioas;

	/* Nobody needs the pages, so nobody pins them */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->size,
				    self->buf));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, BASE, self->size));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(iommu, attach_bad_memory)
{
	size_t half = self->size / 2;
	struct mock_device dev;
	__u32 ioas;

	/* It is the attach that finds the hole, and it takes all back */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, half, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size,
				 BASE + self->size));
	ASSERT_EQ(0, munmap(self->buf + half, half));
	EXPECT_EQ(-EFAULT, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, REFS(self->buf, half, 0));
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, BASE + self->size,
				self->size));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, half, self->buf));
	EXPECT_EQ(0, REFS(self->buf, half, 1));
}

TEST_F(iommu, attach_where_iova_is_used)
{
	struct mock_device dev;
	struct iommu_iova_range range = { 0, self->ps - 1 };
	__u32 ioas, num = 1;

	/* The device cannot reach what is mapped there */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->ps, 0));
	EXPECT_EQ(-EADDRINUSE, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(-EADDRINUSE, mock_replace(self->fd, &self->dev[0], ioas));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, 0, self->ps));

	/* Nor what was promised */
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, ioas, &range, 1));
	EXPECT_EQ(-EADDRINUSE, mock_attach(self->fd, ioas, &dev));
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, ioas, NULL, 0));

	/* Of the failed ones nothing is left */
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, ioas, &range, &num, NULL));
	EXPECT_EQ(0, range.start);
	EXPECT_EQ(UINT64_MAX, range.last);
	EXPECT_EQ(0, mock_attach(self->fd, ioas, &dev));
}

TEST_F(iommu, attach_misaligned_mapping)
{
	struct mock_device dev;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf + 1, self->ps,
				 BASE + 1));
	EXPECT_EQ(-EADDRINUSE, mock_attach(self->fd, ioas, &dev));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, BASE + 1, self->ps));
	EXPECT_EQ(0, mock_attach(self->fd, ioas, &dev));
}

TEST_F(iommu, replace)
{
	struct mock_device *dev = &self->dev[0];
	char *other = mem_shared(self->size);
	__u32 ioas, old = dev->hwpt;
	struct iommu_iova_range range;
	__u32 num = 1;

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, other, self->size, BASE));
	EXPECT_EQ(0, REFS(other, self->size, 0));

	ASSERT_EQ(0, mock_replace(self->fd, dev, ioas));
	EXPECT_NE(old, dev->hwpt);
	EXPECT_EQ(0, mock_check_map(self->fd, dev->hwpt, BASE, self->size,
				    other));
	EXPECT_EQ(0, REFS(other, self->size, 1));
	EXPECT_EQ(0, REFS(self->buf, self->size, variant->devices - 1));
	/* Without its last device the old IOAS knows no bounds */
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, &range, &num,
				      NULL));
	EXPECT_EQ(variant->devices > 1 ? MOCK_APERTURE_START : 0, range.start);

	/* By itself, and back */
	ASSERT_EQ(0, mock_replace(self->fd, dev, ioas));
	EXPECT_EQ(0, mock_check_map(self->fd, dev->hwpt, BASE, self->size,
				    other));
	ASSERT_EQ(0, mock_replace(self->fd, dev, self->ioas));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	EXPECT_EQ(0, REFS(other, self->size, 0));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(iommu, replace_fails)
{
	char *hole = mem_shared(self->size);
	__u32 ioas, old = self->dev[0].hwpt;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, hole, self->size, BASE));
	ASSERT_EQ(0, munmap(hole, self->size));
	EXPECT_EQ(-EFAULT, mock_replace(self->fd, &self->dev[0], ioas));
	EXPECT_EQ(old, self->dev[0].hwpt);
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

/* Map */

TEST_F(iommu, map)
{
	__u64 iova;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, self->size,
			      &iova, MAP_RW));
	EXPECT_LE(MOCK_APERTURE_START, iova);
	EXPECT_GE(MOCK_APERTURE_LAST, iova + self->size - 1);
	EXPECT_EQ(0, CHECK_MAP(iova, self->size, self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, UNMAP(iova, self->size));
	EXPECT_NE(0, CHECK_MAP(iova, self->size, self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, map_outside_aperture)
{
	const __u64 end = MOCK_APERTURE_LAST + 1UL;
	size_t ps = self->ps;
	__u64 iova;

	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, 0));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, MOCK_APERTURE_START - ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, 2 * ps,
				  MOCK_APERTURE_START - ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, end));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, 2 * ps, end - ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, UINT64_MAX - ps + 1));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	/* To the last byte on both sides */
	EXPECT_EQ(0, MAP_AT(self->buf, ps, MOCK_APERTURE_START));
	EXPECT_EQ(0, MAP_AT(self->buf, ps, end - ps));
	/* More than the aperture has */
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->ioas, self->buf,
				    end - MOCK_APERTURE_START, &iova, MAP_RW));
}

TEST_F(iommu, map_alignment)
{
	size_t ps = self->ps, half = MOCK_PAGE;
	__u64 iova;

	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, BASE + 1));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, BASE + half / 2));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps + 1, BASE));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, half / 2, BASE));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf + 1, ps, BASE));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->ioas, self->buf, half - 1,
				    &iova, MAP_RW));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
}

TEST_F(iommu, map_every_alignment)
{
	size_t half = MOCK_PAGE, start, end;
	__u64 iova;

	for (start = 0; start != self->size; start += half) {
		for (end = start + half; end <= self->size; end += half) {
			ASSERT_EQ(0, ioas_map(self->fd, self->ioas,
					      self->buf + start, end - start,
					      &iova, MAP_RW));
			ASSERT_EQ(0, CHECK_MAP(iova, end - start,
					       self->buf + start));
			ASSERT_EQ(0, UNMAP(iova, end - start));
		}
	}
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, map_twice)
{
	/* Two mappings of the same memory know nothing of each other */
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE + self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 2));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, CHECK_MAP(BASE + self->size, self->size, self->buf));
	EXPECT_NE(0, CHECK_MAP(BASE, self->size, self->buf));
	ASSERT_EQ(0, UNMAP(BASE + self->size, self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, map_bad_memory)
{
	char *mem = mem_shared(self->size);
	size_t ps = self->ps;
	unsigned int hole;
	__u64 iova = 0;

	ASSERT_NE(MAP_FAILED, mem);
	/* The hole on the first, the last and some page in between */
	for (hole = 0; hole < BUF_PAGES; hole += 5) {
		ASSERT_EQ(0, munmap(mem + hole * ps, ps));
		EXPECT_EQ(-EFAULT, MAP_AT(mem, self->size, BASE));
		EXPECT_EQ(-EFAULT, ioas_map(self->fd, self->ioas, mem,
					    self->size, &iova, MAP_RW));
		if (hole)
			EXPECT_EQ(0, REFS(mem, hole * ps, 0));
		ASSERT_EQ(mem + hole * ps,
			  mmap(mem + hole * ps, ps, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
	EXPECT_EQ(0, MAP_AT(mem, self->size, BASE));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
}

TEST_F(iommu, map_kernel_address)
{
	EXPECT_EQ(-EFAULT, MAP_AT((void *)(UINTPTR_MAX << 47), self->ps,
				  BASE));
	EXPECT_EQ(-EFAULT, MAP_AT(NULL, self->ps, BASE));
	EXPECT_EQ(-ENOENT, UNMAP(BASE, self->ps));
}

TEST_F(iommu, map_protection)
{
	__u64 iova = BASE;

	ASSERT_EQ(0, mprotect(self->buf, self->size, PROT_READ));
	EXPECT_EQ(-EFAULT, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(-EFAULT, ioas_map(self->fd, self->ioas, self->buf, self->size,
				    &iova, IOMMU_IOAS_MAP_WRITEABLE |
				    IOMMU_IOAS_MAP_FIXED_IOVA));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, self->size,
			      &iova, MAP_FIXED_RO));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	ASSERT_EQ(0, mprotect(self->buf, self->size, PROT_NONE));
	EXPECT_EQ(-EFAULT, ioas_map(self->fd, self->ioas, self->buf, self->size,
				    &iova, MAP_FIXED_RO));
}

TEST_F(iommu, map_special_memory)
{
	unsigned long start = 0, end;
	__u64 iova = BASE;
	char line[256];
	FILE *f;

	/* Memory without pages: the kernel's own data page */
	f = fopen("/proc/self/maps", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "[vvar]") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			break;
		start = 0;
	}
	fclose(f);
	if (!start)
		SKIP(return, "this process has no [vvar]");
	EXPECT_EQ(-EFAULT, ioas_map(self->fd, self->ioas, (void *)start,
				    self->ps, &iova, MAP_FIXED_RO));
	EXPECT_EQ(-ENOENT, UNMAP(BASE, self->ps));
}

TEST_F(iommu, unmap_several)
{
	size_t ps = self->ps;
	__u64 len;
	unsigned int i;

	for (i = 0; i != BUF_PAGES; i++)
		ASSERT_EQ(0, MAP_AT(self->buf + i * ps, ps, BASE + i * 2 * ps));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->ioas, BASE - ps,
				    8 * 2 * ps, &len));
	EXPECT_EQ(8 * ps, len);
	EXPECT_EQ(0, REFS(self->buf, 8 * ps, 0));
	EXPECT_EQ(0, REFS(self->buf + 8 * ps, self->size - 8 * ps, 1));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &len));
	EXPECT_EQ(self->size - 8 * ps, len);
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, unmap_never_splits)
{
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(-ENOENT, UNMAP(BASE, self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(BASE + self->ps, self->size));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
}

TEST_F(iommu, memory_limit)
{
	const size_t size = 4 << 20;
	char *mem = mem_shared(size);
	static const __u32 limits[] = { 16, 64, 4096, MOCK_MEMORY_DEFAULT };
	unsigned int i;

	/* However small the kernel's batches are */
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i != ARRAY_SIZE(limits); i++) {
		ASSERT_EQ(0, mock_memory_limit(self->fd, limits[i]));
		ASSERT_EQ(0, MAP_AT(mem, size, BASE));
		EXPECT_EQ(0, CHECK_MAP(BASE, size, mem));
		EXPECT_EQ(0, REFS(mem, size, 1));
		ASSERT_EQ(0, UNMAP(BASE, size));
		EXPECT_EQ(0, REFS(mem, size, 0));
	}
}

/* Large memory */

static void hugetlb_prepare(void)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_RDWR);
	char buf[16] = {};

	if (fd < 0)
		return;
	if (read(fd, buf, sizeof(buf) - 1) > 0 && atoi(buf) < 16 &&
	    pwrite(fd, "16", 2, 0) != 2)
		perror("# nr_hugepages");
	close(fd);
}

TEST_F(iommu, hugetlb)
{
	const size_t size = 2 * SZ_2M;
	size_t ps = self->ps;
	__u64 iova;
	char *mem;

	hugetlb_prepare();
	mem = mem_hugetlb(size);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, size, &iova, MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
	EXPECT_EQ(0, CHECK_MAP(iova, size, mem));
	/* Parts of huge pages, across their border, in any order */
	ASSERT_EQ(0, MAP_AT(mem + SZ_2M - ps, 2 * ps, FAR));
	ASSERT_EQ(0, MAP_AT(mem + ps, SZ_2M, FAR + SZ_2M));
	EXPECT_EQ(0, CHECK_MAP(FAR, 2 * ps, mem + SZ_2M - ps));
	EXPECT_EQ(0, CHECK_MAP(FAR + SZ_2M, SZ_2M, mem + ps));
	ASSERT_EQ(0, UNMAP(iova, size));
	EXPECT_EQ(0, CHECK_MAP(FAR, 2 * ps, mem + SZ_2M - ps));
	ASSERT_EQ(0, UNMAP(FAR, 2 * ps));
	EXPECT_EQ(0, CHECK_MAP(FAR + SZ_2M, SZ_2M, mem + ps));
	ASSERT_EQ(0, UNMAP(FAR + SZ_2M, SZ_2M));
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(iommu, thp)
{
	const size_t size = 2 * SZ_2M;
	char *mem = mem_thp(size);
	size_t ps = self->ps;
	__u64 copy = BASE;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE + SZ_2M));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, copy, self->ioas,
				  BASE + 2 * SZ_2M - ps, 2 * ps));
	ASSERT_EQ(0, UNMAP(BASE + SZ_2M, size));
	/* Two pages of the middle are all that is left */
	EXPECT_EQ(0, CHECK_MAP(copy, 2 * ps, mem + SZ_2M - ps));
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, UNMAP(copy, 2 * ps));
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(iommu, scattered)
{
	size_t ps = self->ps, size = 256 * ps, i;
	char *mem = mem_private(size);

	/* Touched in an order that leaves no two neighbours together */
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, size, MADV_NOHUGEPAGE);
	for (i = 0; i != 256; i++)
		mem[(i * 97 % 256) * ps] = i;
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	EXPECT_EQ(0, CHECK_MAP(BASE, size, mem));
	EXPECT_EQ(0, REFS(mem, size, 1));
	ASSERT_EQ(0, UNMAP(BASE, size));
	EXPECT_EQ(0, REFS(mem, size, 0));
}

TEST_F(iommu, option_huge_pages)
{
	const size_t size = 2 * SZ_2M;
	char *mem = mem_thp(size);
	struct mock_device dev;
	__u32 ioas;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, ioas, 0));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, mem, size, BASE));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, size, mem));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, ioas, mem, MOCK_PAGE,
				       BASE + size));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, BASE, size));
}

/* Reserved IOVA */

TEST_F(iommu, reserved)
{
	size_t ps = self->ps;
	__u64 iova;
	int i;

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE, 4 * ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, ps, BASE));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, 2 * ps, BASE - ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, 2 * ps, BASE + 3 * ps));
	EXPECT_EQ(-EINVAL, MAP_AT(self->buf, 6 * ps, BASE - ps));
	EXPECT_EQ(0, MAP_AT(self->buf, ps, BASE - ps));
	EXPECT_EQ(0, MAP_AT(self->buf, ps, BASE + 4 * ps));
	for (i = 0; i != 100; i++) {
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, 3 * ps,
				      &iova, MAP_RW));
		EXPECT_TRUE(iova + 3 * ps <= BASE || iova >= BASE + 4 * ps);
	}
	/* What is mapped or promised cannot be reserved */
	EXPECT_EQ(-EADDRINUSE, mock_reserve(self->fd, self->ioas, BASE - ps,
					    ps));
	EXPECT_EQ(-EADDRINUSE, mock_reserve(self->fd, self->ioas, iova, 1));
}

TEST_F(iommu, reserved_and_allowed)
{
	struct iommu_iova_range range = { BASE, BASE + (1 << 20) - 1 };

	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, &range, 1));
	EXPECT_EQ(-EADDRINUSE, mock_reserve(self->fd, self->ioas, BASE + 4096,
					    4096));
	ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, NULL, 0));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE + 4096, 4096));
	EXPECT_EQ(-EADDRINUSE, ioas_allow_iovas(self->fd, self->ioas, &range,
						1));
	range.last = BASE + 4095;
	EXPECT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, &range, 1));
	/* Outside the aperture */
	range = (struct iommu_iova_range){ 0, MOCK_APERTURE_START };
	EXPECT_EQ(-EADDRINUSE, ioas_allow_iovas(self->fd, self->ioas, &range,
						1));
}

TEST_F(iommu, iova_ranges_partial)
{
	struct iommu_iova_range ranges[12];
	__u64 alignment;
	__u32 num, i;

	for (i = 0; i != 8; i++)
		ASSERT_EQ(0, mock_reserve(self->fd, self->ioas,
					  BASE + i * 0x20000, 0x10000));
	num = ARRAY_SIZE(ranges);
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, ranges, &num,
				      &alignment));
	ASSERT_EQ(9, num);
	EXPECT_EQ(MOCK_APERTURE_START, ranges[0].start);
	EXPECT_EQ(BASE - 1, ranges[0].last);
	for (i = 1; i != 8; i++) {
		EXPECT_EQ(BASE + i * 0x20000 - 0x10000, ranges[i].start);
		EXPECT_EQ(BASE + i * 0x20000 - 1, ranges[i].last);
	}
	EXPECT_EQ(MOCK_APERTURE_LAST, ranges[8].last);

	/* As many as there is room for, and how many there are */
	memset(ranges, 0, sizeof(ranges));
	num = 3;
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->ioas, ranges,
					      &num, &alignment));
	EXPECT_EQ(9, num);
	EXPECT_EQ(MOCK_PAGE, alignment);
	EXPECT_EQ(MOCK_APERTURE_START, ranges[0].start);
	EXPECT_EQ(BASE + 0x2ffff + 0x10000, ranges[2].last);
	EXPECT_EQ(0, ranges[3].start);
	EXPECT_EQ(0, ranges[3].last);
}

/* Files */

TEST_F(iommu, file)
{
	int memfd = memfd_new(self->size, 0);
	char *mem;

	ASSERT_LE(0, memfd);
	mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	/* The file is a hole as yet */
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0,
				      self->size, BASE));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
	EXPECT_EQ(0, REFS(mem, self->size, 1));
	/* A part of it, not at its start */
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd,
				      3 * self->ps + MOCK_PAGE, self->ps,
				      BASE + self->size + MOCK_PAGE));
	EXPECT_EQ(0, CHECK_MAP(BASE + self->size + MOCK_PAGE, self->ps,
			       mem + 3 * self->ps + MOCK_PAGE));
	EXPECT_EQ(0, REFS(mem + 3 * self->ps, 2 * self->ps, 2));
	close(memfd);
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(0, REFS(mem + 3 * self->ps, 2 * self->ps, 1));
}

TEST_F(iommu, file_hugetlb)
{
	__u64 iova;
	char *mem;
	int memfd;

	hugetlb_prepare();
	memfd = memfd_new(2 * SZ_2M, MFD_HUGETLB);
	if (memfd < 0)
		SKIP(return, "no hugetlb files: errno %d", -memfd);
	mem = mmap(NULL, 2 * SZ_2M, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, memfd, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, memfd, 0, 2 * SZ_2M,
				   &iova, MAP_RW));
	EXPECT_EQ(0, CHECK_MAP(iova, 2 * SZ_2M, mem));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd,
				      SZ_2M - self->ps, 2 * self->ps, FAR));
	EXPECT_EQ(0, CHECK_MAP(FAR, 2 * self->ps, mem + SZ_2M - self->ps));
	ASSERT_EQ(0, UNMAP(iova, 2 * SZ_2M));
	EXPECT_EQ(0, CHECK_MAP(FAR, 2 * self->ps, mem + SZ_2M - self->ps));
	close(memfd);
}

TEST_F(iommu, file_bad)
{
	int memfd = memfd_new(4 * self->ps, 0);
	int pipefd[2], null;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, pipe(pipefd));
	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, pipefd[0], 0,
					    self->ps, BASE));
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, null, 0,
					    self->ps, BASE));
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, self->fd, 0,
					    self->ps, BASE));
	/* Past the end */
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, memfd, 0,
					    5 * self->ps, BASE));
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, memfd,
					    4 * self->ps, self->ps, BASE));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(memfd);
}

TEST_F(iommu, file_truncated)
{
	int memfd = memfd_new(self->size, 0);
	char got[8] = {};
	int access;

	ASSERT_LE(0, memfd);
	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(8, pwrite(memfd, "contents", 8, self->ps));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0,
				      self->size, BASE));
	ASSERT_EQ(0, ftruncate(memfd, 0));
	/* The pages are the device's until they are unmapped */
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE + self->ps, 8, got,
				    0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
	close(memfd);
}

/* Write a setting in /sys, and get what it was: the word in brackets */
static int set_choice(const char *path, const char *to, char *was, size_t size)
{
	char all[256] = {}, *start, *end;
	int fd = open(path, O_RDWR);
	int rc = -1;

	if (fd < 0)
		return -1;
	if (read(fd, all, sizeof(all) - 1) > 0) {
		start = strchr(all, '[');
		end = start ? strchr(start, ']') : NULL;
		if (end && was)
			snprintf(was, size, "%.*s", (int)(end - start - 1),
				 start + 1);
		rc = end && write(fd, to, strlen(to)) > 0 ? 0 : -1;
	}
	close(fd);
	return rc;
}

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/*
 * A hole is punched in a file when a part of a huge page is pinned, and the rest
 * is pinned after that: two huge pages, of which each has its own pins.
 */
TEST_F(iommu, file_hole_in_pinned_huge_page)
{
	int memfd = memfd_new(SZ_2M, 0);
	size_t ps = self->ps;
	char was[32] = "never";
	__u32 plain;
	char *mem;
	int i;

	ASSERT_LE(0, memfd);
	if (set_choice(SHMEM_ENABLED, "force", was, sizeof(was)))
		SKIP(return, "no huge pages of shmem");
	mem = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_alloc(self->fd, &plain));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, plain, memfd, 0, SZ_2M, BASE));
	for (i = 0; i != 2; i++) {
		mem[0] = 1;
		mem[ps] = 1;
		ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas,
					  BASE + i * SZ_2M, plain,
					  i ? BASE + ps : BASE,
					  i ? SZ_2M - ps : ps));
		EXPECT_EQ(0, CHECK_MAP(BASE + i * SZ_2M, i ? SZ_2M - ps : ps,
				       mem + (i ? ps : 0)));
		ASSERT_EQ(0, fallocate(memfd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 0, SZ_2M));
	}
	EXPECT_EQ(self->pinned + (long)(SZ_2M / ps), pages_pinned());
	/* The mock looks whether what it unmaps is pinned */
	ASSERT_EQ(0, UNMAP(BASE, ps));
	EXPECT_EQ(self->pinned + (long)(SZ_2M / ps) - 1, pages_pinned());
	ASSERT_EQ(0, UNMAP(BASE + SZ_2M, SZ_2M - ps));
	EXPECT_EQ(self->pinned, pages_pinned());
	EXPECT_EQ(0, set_choice(SHMEM_ENABLED, was, NULL, 0));
	munmap(mem, SZ_2M);
	close(memfd);
}

/* Copies */

TEST_F(iommu, copy_shares_pins)
{
	size_t ps = self->ps;

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + self->size,
				  self->ioas, BASE, self->size));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + 2 * self->size,
				  self->ioas, BASE + ps, 2 * ps));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, CHECK_MAP(BASE + self->size, self->size, self->buf));
	EXPECT_EQ(0, CHECK_MAP(BASE + 2 * self->size, 2 * ps, self->buf + ps));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, UNMAP(BASE + self->size, self->size));
	/* What only the first had is let go */
	EXPECT_EQ(0, REFS(self->buf, ps, 0));
	EXPECT_EQ(0, REFS(self->buf + ps, 2 * ps, 1));
	EXPECT_EQ(0, REFS(self->buf + 3 * ps, self->size - 3 * ps, 0));
	ASSERT_EQ(0, UNMAP(BASE + 2 * self->size, 2 * ps));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, copy_between_ioas)
{
	struct mock_device dev;
	__u32 ioas;

	/* From an IOAS that has pinned nothing to one that pins, and back */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, 0));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE, ioas, 0,
				  self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, 0, self->size));
	ASSERT_EQ(0, ioas_copy_at(self->fd, ioas, BASE, self->ioas, BASE,
				  self->size));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->size,
				    self->buf));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
}

TEST_F(iommu, copy_after_munmap)
{
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, munmap(self->buf, self->size));
	/* The pages are pinned, nobody asks the process again */
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + self->size,
				  self->ioas, BASE, self->size));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, UNMAP(BASE + self->size, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(iommu, copy_not_writable)
{
	__u64 iova = BASE;

	ASSERT_EQ(0, mprotect(self->buf, self->size, PROT_READ));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, self->size,
			      &iova, MAP_FIXED_RO));
	EXPECT_EQ(-EPERM, ioas_copy_at(self->fd, self->ioas, BASE + self->size,
				       self->ioas, BASE, self->size));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
}

/* Pages and the process */

TEST_F(iommu, pages_stay_after_munmap)
{
	char *other;
	char got[8] = {};
	int access;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	memcpy(self->buf, "contents", 8);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, munmap(self->buf, self->size));
	other = mmap(self->buf, self->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(self->buf, other);
	memcpy(other, "changed!", 8);
	/* New memory at the old address is none of the device's business */
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	EXPECT_NE(0, CHECK_MAP(BASE, self->size, other));
	EXPECT_EQ(0, REFS(other, self->size, 0));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	close(access);
}

TEST_F(iommu, private_memory_stays_shared_with_device)
{
	char *mem = mem_private(self->size);
	__u64 iova = BASE;

	/* Never touched, so it is the zero page: reading must not pin that */
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->size, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
	memset(mem, 2, self->size);
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
}

TEST_F(iommu, private_file_stays_shared_with_device)
{
	__u64 iova = BASE;
	char *mem;
	int fd;

	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	mem = mmap(NULL, self->ps, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	close(fd);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, mem, self->ps, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->ps, mem));
	mem[0]++;
	EXPECT_EQ(0, CHECK_MAP(BASE, self->ps, mem));
}

TEST_F(iommu, fork_leaves_pages_to_parent)
{
	char *mem = mem_private(self->size);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, self->size);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	pid = fork();
	if (!pid) {
		memset(mem, 2, self->size);
		/* What the child writes is its own */
		CHILD_CHECK(CHECK_MAP(BASE, self->size, mem) != 0);
		_exit(0);
	}
	memset(mem, 3, self->size);
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, mem));
}

TEST_F(iommu, owner_is_gone)
{
	struct mock_device dev;
	char got[8] = {};
	int access;
	pid_t pid;
	__u32 ioas;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	pid = fork();
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, self->size,
					 BASE));
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	/* What was pinned in time stays */
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	/* For the rest it is too late */
	EXPECT_EQ(-EFAULT, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, ioas_unmap(self->fd, ioas, BASE, self->size));
	EXPECT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
}

TEST_F(iommu, owner_becomes_another_program)
{
	int access, null, status;
	char got[8] = {};
	pid_t pid;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	null = open("/dev/null", O_WRONLY);
	ASSERT_LE(0, null);
	pid = fork();
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!MAP_AT(mem, self->size, BASE));
		dup2(null, 1);
		dup2(null, 2);
		/* Lists the tests, and that is all */
		execl("/proc/self/exe", "iommufd_mock", "-l", NULL);
		_exit(1);
	}
	status = wait_child(pid);
	ASSERT_LE(0, status);
	ASSERT_NE(1, status);
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	EXPECT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
	close(null);
}

TEST_F(iommu, owner_is_another_process)
{
	struct mock_device dev;
	char got[8] = {};
	int sock, access;
	pid_t pid;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	pid = fork_with_socket(&sock);
	if (!pid) {
		char *mem = mem_private(self->size);

		CHILD_CHECK(mem != MAP_FAILED);
		memcpy(mem, "contents", 8);
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, self->size,
					 BASE));
		sync_tell(sock);
		sync_wait(sock);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, self->size, 1));
		_exit(0);
	}
	sync_wait(sock);
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	access = mock_access_open(self->fd, ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 8, got, 0));
	EXPECT_EQ(0, memcmp(got, "contents", 8));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(access);
}

TEST_F(iommu, killed_with_everything)
{
	int sock;
	pid_t pid;

	pid = fork_with_socket(&sock);
	if (!pid) {
		char *mem = mem_private(1 << 20);
		struct mock_device dev;
		__u32 ioas, id;
		int fd = iommufd_open(), access;

		CHILD_CHECK(mem != MAP_FAILED && fd >= 0);
		CHILD_CHECK(!ioas_alloc(fd, &ioas));
		CHILD_CHECK(!mock_attach(fd, ioas, &dev));
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, 1 << 20, BASE));
		access = mock_access_open(fd, ioas,
					  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
		CHILD_CHECK(access >= 0);
		CHILD_CHECK(!mock_access_pin(fd, access, BASE, 1 << 19, mem, 0,
					     &id));
		CHILD_CHECK(pages_pinned() > self->pinned);
		sync_tell(sock);
		pause();
		_exit(1);
	}
	sync_wait(sock);
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(pid));
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* Locked memory */

TEST_F(iommu, memlock_of_user)
{
	const size_t limit = 64 * self->ps;
	int sock;
	pid_t pid, other;
	char *mem = mem_shared(2 * limit);

	ASSERT_NE(MAP_FAILED, mem);
	pid = fork_with_socket(&sock);
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(MAP_AT(mem, limit + self->ps, BASE) == -ENOMEM);
		CHILD_CHECK(UNMAP(BASE, limit + self->ps) == -ENOENT);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, 2 * limit, 0));
		/* Exactly the limit, and not a page more */
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(MAP_AT(mem, self->ps, BASE + 2 * limit) == -ENOMEM);
		/* A copy costs nothing */
		CHILD_CHECK(!ioas_copy_at(self->fd, self->ioas,
					  BASE + 2 * limit, self->ioas, BASE,
					  limit));
		CHILD_CHECK(!UNMAP(BASE, limit));
		CHILD_CHECK(MAP_AT(mem, self->ps, BASE) == -ENOMEM);
		CHILD_CHECK(!UNMAP(BASE + 2 * limit, limit));
		CHILD_CHECK(!MAP_AT(mem, limit / 2, BASE));
		sync_tell(sock);
		sync_wait(sock);
		_exit(0);
	}
	sync_wait(sock);
	/* All processes of a user together */
	other = fork();
	if (!other) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(MAP_AT(mem, limit / 2 + self->ps, BASE + limit) ==
			    -ENOMEM);
		CHILD_CHECK(!MAP_AT(mem, limit / 2, BASE + limit));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(other));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, UNMAP(BASE, limit));
	EXPECT_EQ(0, UNMAP(BASE + limit, limit));
	/* Both are gone, and their charge is as well */
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(!UNMAP(BASE, limit));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(iommu, memlock_of_process)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	struct mock_device dev;
	pid_t pid, other;
	__u32 ioas;
	int sock, fd;

	ASSERT_NE(MAP_FAILED, mem);
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, mock_attach(fd, ioas, &dev));
	pid = fork_with_socket(&sock);
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(ioas_map_at(fd, ioas, mem, limit + self->ps,
					BASE) == -ENOMEM);
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, limit, BASE));
		CHILD_CHECK(status_kib("VmLck") == (long)limit / 1024);
		sync_tell(sock);
		sync_wait(sock);
		_exit(0);
	}
	sync_wait(sock);
	/* Each process for itself, even of the same user */
	other = fork();
	if (!other) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, limit, BASE + limit));
		CHILD_CHECK(!ioas_unmap(fd, ioas, BASE + limit, limit));
		CHILD_CHECK(status_kib("VmLck") == 0);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(other));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	close(fd);
}

TEST_F(iommu, memlock_at_attach)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	pid_t pid;

	/* Whoever mapped pays, and it is the attach that is refused */
	ASSERT_NE(MAP_FAILED, mem);
	pid = fork();
	if (!pid) {
		struct mock_device dev;
		__u32 ioas;

		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!ioas_alloc(self->fd, &ioas));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, 2 * limit, BASE));
		CHILD_CHECK(mock_attach(self->fd, ioas, &dev) == -ENOMEM);
		CHILD_CHECK(!mock_check_refs(self->fd, mem, 2 * limit, 0));
		CHILD_CHECK(!ioas_unmap(self->fd, ioas, BASE, 2 * limit));
		CHILD_CHECK(!ioas_map_at(self->fd, ioas, mem, limit, BASE));
		CHILD_CHECK(!mock_attach(self->fd, ioas, &dev));
		CHILD_CHECK(!mock_check_refs(self->fd, mem, limit, 1));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

static int set_ipc_lock(bool effective)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	const __u32 bit = 1U << CAP_IPC_LOCK;

	if (syscall(SYS_capget, &header, data))
		return -1;
	if (effective)
		data[0].effective |= bit;
	else
		data[0].effective &= ~bit;
	return syscall(SYS_capset, &header, data);
}

/* What counts is whether the limit held for whoever mapped when he did. */
TEST_F(iommu, memlock_capability)
{
	const size_t limit = 64 * self->ps;
	char *mem = mem_shared(2 * limit);
	struct rlimit rlimit = { limit, limit };
	struct mock_device dev;
	int fd, with, mode;
	__u32 ioas;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	for (mode = 0; mode != 2; mode++) {
		for (with = 0; with != 2; with++) {
			fd = iommufd_open();
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_RLIMIT_MODE,
						0, mode));
			ASSERT_EQ(0, ioas_alloc(fd, &ioas));
			pid = fork();
			if (!pid) {
				CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK,
						       &rlimit));
				CHILD_CHECK(!set_ipc_lock(with));
				CHILD_CHECK(!ioas_map_at(fd, ioas, mem,
							 2 * limit, BASE));
				CHILD_CHECK(!set_ipc_lock(!with));
				CHILD_CHECK(mock_attach(fd, ioas, &dev) ==
					    (with ? 0 : -ENOMEM));
				_exit(0);
			}
			EXPECT_EQ(0, wait_child(pid)) {
				TH_LOG("mode %d, capable %d", mode, with);
			}
			close(fd);
		}
	}
}

TEST_F(iommu, pinned_vm)
{
	long before = status_kib("VmPin");

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(before + (long)self->size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE + self->size,
				  self->ioas, BASE, self->size));
	EXPECT_EQ(before + (long)self->size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	ASSERT_EQ(0, UNMAP(BASE + self->size, self->size));
	EXPECT_EQ(before, status_kib("VmPin"));
}

TEST_F(iommu, change_process)
{
	const size_t size = 64 * self->ps;
	long before = status_kib("VmPin");
	int memfd = memfd_new(size, 0);
	pid_t pid;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, size,
				      BASE));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));

	/* Refused, it changes nothing */
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(size - self->ps));
		CHILD_CHECK(change_process(self->fd) == -ENOMEM);
		CHILD_CHECK(status_kib("VmPin") == 0);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));

	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(size));
		CHILD_CHECK(!change_process(self->fd));
		CHILD_CHECK(status_kib("VmPin") == (long)size / 1024);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before, status_kib("VmPin"));
	/* The payer is gone, the pages are not */
	EXPECT_LT(self->pinned, pages_pinned());
	ASSERT_EQ(0, change_process(self->fd));
	EXPECT_EQ(before + (long)size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, size));
	EXPECT_EQ(before, status_kib("VmPin"));
	close(memfd);
}

/* The limit has room for one of the two files, whichever is first. */
TEST_F(iommu, change_process_half)
{
	const size_t size = 64 * self->ps;
	int memfd = memfd_new(2 * size, 0);
	long before = status_kib("VmPin");
	pid_t pid;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0, size,
				      BASE));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, size, size,
				      BASE + size));
	pid = fork();
	if (!pid) {
		char *mem = mem_shared(size + size / 2);

		CHILD_CHECK(!drop_privilege(size + size / 2));
		CHILD_CHECK(change_process(self->fd) == -ENOMEM);
		CHILD_CHECK(status_kib("VmPin") == 0);
		/* The child is charged for nothing */
		CHILD_CHECK(!MAP_AT(mem, size + size / 2, BASE + 4 * size));
		CHILD_CHECK(!UNMAP(BASE + 4 * size, size + size / 2));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(before + 2 * (long)size / 1024, status_kib("VmPin"));
	ASSERT_EQ(0, UNMAP(BASE, size));
	ASSERT_EQ(0, UNMAP(BASE + size, size));
	EXPECT_EQ(before, status_kib("VmPin"));
	close(memfd);
}

/* Page tables of one's own */

TEST_F(iommu, hwpt_alloc)
{
	struct mock_device *dev = &self->dev[0];
	__u32 plain, parent, hwpt;
	struct mock_device extra;

	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, self->ioas, 0, &plain));
	/* Filled at once, and pinned no more than before */
	EXPECT_EQ(0, mock_check_map(self->fd, plain, BASE, self->size,
				    self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));

	ASSERT_EQ(0, mock_replace(self->fd, dev, plain));
	EXPECT_EQ(plain, dev->hwpt);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, plain));
	ASSERT_EQ(0, mock_replace(self->fd, dev, parent));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, parent));
	ASSERT_EQ(0, mock_attach(self->fd, plain, &extra));
	EXPECT_EQ(plain, extra.hwpt);
	/* A change reaches all tables */
	ASSERT_EQ(0, MAP_AT(self->buf, self->ps, BASE + self->size));
	EXPECT_EQ(0, mock_check_map(self->fd, parent, BASE + self->size,
				    self->ps, self->buf));
	EXPECT_EQ(0, mock_check_map(self->fd, plain, BASE + self->size,
				    self->ps, self->buf));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_NE(0, mock_check_map(self->fd, parent, BASE, self->size,
				    self->buf));
	EXPECT_NE(0, mock_check_map(self->fd, plain, BASE, self->size,
				    self->buf));

	ASSERT_EQ(0, mock_detach(self->fd, &extra));
	ASSERT_EQ(0, mock_replace(self->fd, dev, self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, plain));
	EXPECT_EQ(0, obj_destroy(self->fd, parent));

	/* A table alone keeps its IOAS */
	ASSERT_EQ(0, ioas_alloc(self->fd, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->idev, hwpt, 0, &plain));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, plain));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
}

TEST_F(iommu, hwpt_alloc_bad)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->dev[0].idev,
		.pt_id = self->ioas,
	};
	__u32 hwpt, idev = self->dev[0].idev;
	unsigned int bit;

	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, 0, self->ioas, 0, &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, self->ioas, self->ioas, 0,
				      &hwpt));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, idev, 0, 0, &hwpt));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, idev, idev, 0, &hwpt));
	for (bit = 4; bit != 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, idev, self->ioas,
						  1U << bit, &hwpt));
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.__reserved = 0;
	cmd.data_len = 8;
	cmd.data_uptr = (uintptr_t)self->buf;
	EXPECT_EQ(-EINVAL, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.data_len = 0;
	cmd.data_type = 0x12345678;
	EXPECT_EQ(-EINVAL, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	/* nobody looks at these */
	cmd.data_type = IOMMU_HWPT_DATA_NONE;
	cmd.__reserved2 = 1;
	ASSERT_EQ(0, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(0, obj_destroy(self->fd, cmd.out_hwpt_id));
	cmd.data_len = 8;

	/* The IOMMU driver does not know such data; the IOAS is let go of */
	ASSERT_EQ(0, ioas_alloc(self->fd, &cmd.pt_id));
	cmd.data_type = 0x12345678;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(0, obj_destroy(self->fd, cmd.pt_id));
}

TEST_F(iommu, hwpt_alloc_bad_memory)
{
	char *mem = mem_shared(self->size);
	__u32 ioas, hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, mem, self->size, BASE));
	ASSERT_EQ(0, munmap(mem, self->size));
	EXPECT_EQ(-EFAULT, hwpt_alloc(self->fd, self->dev[0].idev, ioas, 0,
				      &hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(iommu, get_hw_info)
{
	struct iommu_test_hw_info info;
	struct iommu_hw_info cmd;
	struct {
		struct iommu_test_hw_info info;
		__u64 behind;
	} more;

	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, NULL, 0, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
	EXPECT_EQ(sizeof(info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING |
		  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &info,
				 sizeof(info), &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, info.test_reg);

	/* More room is zeroed, less gets what fits */
	memset(&more, 0xff, sizeof(more));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &more,
				 sizeof(more), &cmd));
	EXPECT_EQ(sizeof(info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, more.info.test_reg);
	EXPECT_EQ(0, more.behind);
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, get_hw_info(self->fd, self->dev[0].idev, &info, 4, &cmd));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(UINT32_MAX, info.test_reg);

	EXPECT_EQ(-EFAULT, get_hw_info(self->fd, self->dev[0].idev,
				       (void *)8, sizeof(info), &cmd));
	EXPECT_EQ(-ENOENT, get_hw_info(self->fd, self->ioas, NULL, 0, &cmd));
	cmd = (struct iommu_hw_info){
		.size = sizeof(cmd),
		.flags = 1U << 31,
		.dev_id = self->dev[0].idev,
	};
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_GET_HW_INFO, &cmd));
}

/* A mapping of a dma-buf keeps it, as a device's writes show */
TEST_F(iommu, dmabuf)
{
	const size_t size = 16 * MOCK_PAGE;
	const __u64 all = 0xffff;
	int buf, copy;
	__u64 count;
	__u32 hwpt;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	buf = mock_dmabuf_get(self->fd, size, O_CLOEXEC);
	ASSERT_LE(0, buf);
	copy = dup(buf);
	ASSERT_LE(0, copy);
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, buf, size,
					    size, BASE));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, buf, 0, size,
				      BASE));
	ASSERT_EQ(0, close(buf));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(16, count);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, copy, true));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(0, count);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, copy, false));
	/* nobody pays for it */
	EXPECT_EQ(0, change_process(self->fd));

	/* nobody has it open now */
	ASSERT_EQ(0, close(copy));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(16, count);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, size));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, MOCK_PAGE,
				     &all, &count));
	EXPECT_EQ(0, count);
}

/* Dirty tracking */

TEST_F(iommu, dirty)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE, words = size / pg / 64;
	char *mem = mem_shared(size);
	__u64 mark[words], got[words], count;
	struct mock_device dev;
	unsigned int i;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, mock_attach(self->fd, hwpt, &dev));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));

	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	for (i = 0; i != words; i++)
		EXPECT_EQ(0, got[i]);

	for (i = 0; i != words; i++)
		mark[i] = 0x8000000100010011ULL << i % 3;
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));
	EXPECT_LT(0, count);
	/* Twice without forgetting, then once more, and it is forgotten */
	for (i = 0; i != 3; i++) {
		memset(got, 0, sizeof(got));
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					      got, i == 2 ? 0 :
					      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
		EXPECT_EQ(0, memcmp(got, mark, sizeof(got)));
	}
	/* It sets bits and clears none */
	memset(got, 0, sizeof(got));
	got[0] = 0x4000;
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	EXPECT_EQ(0x4000, got[0]);
	for (i = 1; i != words; i++)
		EXPECT_EQ(0, got[i]);

	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, false));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
}

TEST_F(iommu, dirty_part)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE;
	char *mem = mem_shared(size);
	__u64 mark[8], got[8] = {}, count;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	memset(mark, 0xff, sizeof(mark));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));

	/* A range in the middle: bit 0 is its first page */
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE + 10 * pg, 3 * pg,
				      pg, got, 0));
	EXPECT_EQ(7, got[0]);
	/* Those three are clean now, the rest is not */
	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, 64 * pg, pg, got,
				      IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	EXPECT_EQ(~(7ULL << 10), got[0]);
	/* Coarser: a bit for every 16 pages */
	memset(got, 0, sizeof(got));
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, 64 * pg, 16 * pg,
				      got, 0));
	EXPECT_EQ(0xf, got[0]);
	EXPECT_EQ(0, got[1]);
}

TEST_F(iommu, dirty_bad)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE;
	struct mock_device dev;
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set) };
	__u64 got[8];
	__u32 hwpt, plain;
	char *mem = mem_shared(size);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas, 0,
				&plain));
	/* A table that is not for it */
	EXPECT_EQ(-EOPNOTSUPP, set_dirty_tracking(self->fd, plain, true));
	/* A device that cannot do it */
	EXPECT_EQ(-EINVAL, mock_attach_flags(self->fd, hwpt,
					     MOCK_FLAGS_DEVICE_NO_DIRTY, &dev));

	set.hwpt_id = hwpt;
	set.flags = 2;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
				    &set));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	EXPECT_EQ(-EOPNOTSUPP, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
						got, 2));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, 0, pg, got,
					    0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE + 1, size, pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size + 1, pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg / 2,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, 3 * pg,
					    got, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(self->fd, hwpt, BASE, size, 0, got,
					    0));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					    NULL, 0));
	EXPECT_GT(0, get_dirty_bitmap(self->fd, hwpt, UINT64_MAX - pg + 1,
				      2 * pg, pg, got, 0));
	EXPECT_EQ(-ENOENT, get_dirty_bitmap(self->fd, self->ioas, BASE, size,
					    pg, got, 0));
}

TEST_F(iommu, dirty_bitmap_ends_early)
{
	const size_t size = 16 << 20;
	size_t pg = MOCK_PAGE, bytes = size / pg / 8;
	char *mem = mem_shared(size), *mark, *got;
	__u64 count;
	__u32 hwpt;

	/* The bitmap has a hole half way: no bit may be lost by that */
	ASSERT_NE(MAP_FAILED, mem);
	mark = malloc(bytes);
	ASSERT_NE(NULL, mark);
	memset(mark, 0xff, bytes);
	got = mem_before_hole(bytes / 2);
	ASSERT_NE(MAP_FAILED, got);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg, mark,
				     &count));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got,
					    IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	got = malloc(bytes);
	ASSERT_NE(NULL, got);
	memset(got, 0, bytes);
	ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg, got, 0));
	EXPECT_EQ(0, memcmp(got, mark, bytes));
}

TEST_F(iommu, dirty_bitmap_not_aligned)
{
	const size_t size = 1 << 20;
	size_t pg = MOCK_PAGE, bytes = size / pg / 8, skew;
	char *mem = mem_shared(size), *mark, *got;
	__u64 count;
	__u32 hwpt;

	ASSERT_NE(MAP_FAILED, mem);
	mark = malloc(bytes);
	got = malloc(bytes + 16);
	ASSERT_TRUE(mark && got);
	memset(mark, 0x35, bytes);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, hwpt, true));
	for (skew = 1; skew != 8; skew++) {
		ASSERT_EQ(0, mock_make_dirty(self->fd, hwpt, BASE, size, pg,
					     mark, &count));
		memset(got, 0, bytes + 16);
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, hwpt, BASE, size, pg,
					      got + skew, 0));
		EXPECT_EQ(0, memcmp(got + skew, mark, bytes));
		/* And nothing beside it */
		EXPECT_EQ(0, got[skew - 1]);
		EXPECT_EQ(0, got[skew + bytes]);
	}
}

TEST_F(iommu, dirty_not_supported)
{
	struct mock_device dev;
	__u32 ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, ioas,
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &dev));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, dev.idev, ioas,
					  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					  &hwpt));
}

/* In-kernel users */

TEST_F(iommu, access_pin)
{
	__u32 one, two, part;
	size_t ps = self->ps;
	int access;

	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, MOCK_FLAGS_ACCESS_WRITE, &one));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, 0, &two));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE + ps, ps,
				     self->buf + ps, 0, &part));
	/* However many use it, it is pinned once */
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, one));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, part));
	EXPECT_EQ(-ENOENT, mock_access_unpin(self->fd, access, part));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, two));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	close(access);
}

TEST_F(iommu, access_pin_without_device)
{
	struct mock_device dev;
	size_t ps = self->ps;
	__u32 ioas, id;
	int access;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	access = mock_access_open(self->fd, ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE + 2 * ps, 3 * ps,
				     self->buf + 2 * ps, 0, &id));
	/* No more than is asked for */
	EXPECT_EQ(0, REFS(self->buf, 2 * ps, 0));
	EXPECT_EQ(0, REFS(self->buf + 2 * ps, 3 * ps, 1));
	EXPECT_EQ(0, REFS(self->buf + 5 * ps, self->size - 5 * ps, 0));
	/* A device comes and goes */
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->size,
				    self->buf));
	EXPECT_EQ(0, REFS(self->buf, self->size, 1));
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_EQ(0, REFS(self->buf, 2 * ps, 0));
	EXPECT_EQ(0, REFS(self->buf + 2 * ps, 3 * ps, 1));
	EXPECT_EQ(0, REFS(self->buf + 5 * ps, self->size - 5 * ps, 0));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, id));
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	close(access);
}

TEST_F(iommu, access_pin_bad)
{
	__u64 iova = BASE + self->size;
	size_t ps = self->ps;
	__u32 id;
	int access;

	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size / 2, BASE));
	EXPECT_EQ(-ENOENT, mock_access_pin(self->fd, access, BASE, self->size,
					   self->buf, 0, &id));
	EXPECT_EQ(-ENOENT, mock_access_pin(self->fd, access, BASE - ps, 2 * ps,
					   self->buf, 0, &id));
	EXPECT_EQ(-ENOENT, mock_access_pin(self->fd, access, iova, ps,
					   self->buf, 0, &id));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, ps, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(-EPERM, mock_access_pin(self->fd, access, iova, ps, self->buf,
					  MOCK_FLAGS_ACCESS_WRITE, &id));
	EXPECT_EQ(0, mock_access_pin(self->fd, access, iova, ps, self->buf, 0,
				     &id));
	close(access);
}

TEST_F(iommu, access_pin_across_mappings)
{
	size_t ps = self->ps;
	unsigned int i;
	__u32 id;
	int access;

	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	for (i = 0; i != 4; i++)
		ASSERT_EQ(0, MAP_AT(self->buf + i * ps, ps, BASE + i * ps));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, 4 * ps, self->buf,
				     0, &id));
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, id));
	EXPECT_EQ(0, UNMAP(BASE, 4 * ps));
	close(access);
}

TEST_F(iommu, access_is_told_of_unmap)
{
	__u32 id;
	int access;

	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, 0, &id));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	/* It has let go */
	EXPECT_EQ(0, REFS(self->buf, self->size, 0));
	EXPECT_EQ(-ENOENT, mock_access_unpin(self->fd, access, id));
	close(access);
}

TEST_F(iommu, access_rw)
{
	static const __u32 paths[] = { 0, MOCK_ACCESS_RW_SLOW_PATH };
	size_t ps = self->ps, at, len;
	char tmp[64], want[64];
	unsigned int i, k;
	int access;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	for (i = 0; i != self->size; i++)
		self->buf[i] = i * 7 + i / ps;
	for (i = 0; i != ARRAY_SIZE(paths); i++) {
		for (at = ps - 40; at != ps + 8; at += 3) {
			for (len = 1; len <= 64; len += 7) {
				ASSERT_EQ(0, mock_access_rw(self->fd, access,
							    BASE + at, len, tmp,
							    paths[i]));
				ASSERT_EQ(0, memcmp(tmp, self->buf + at, len));
				for (k = 0; k != len; k++)
					want[k] = at + len + k;
				memcpy(tmp, want, len);
				ASSERT_EQ(0, mock_access_rw(self->fd, access,
							    BASE + at, len, tmp,
							    paths[i] |
							    MOCK_ACCESS_RW_WRITE));
				ASSERT_EQ(0, memcmp(want, self->buf + at, len));
			}
		}
	}
	close(access);
}

TEST_F(iommu, access_rw_bad)
{
	__u64 iova = BASE + 2 * self->size;
	char tmp[16] = {};
	int access;

	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	EXPECT_EQ(-ENOENT, mock_access_rw(self->fd, access, BASE - 1, 1, tmp,
					  0));
	EXPECT_EQ(-ENOENT, mock_access_rw(self->fd, access,
					  BASE + self->size - 1, 2, tmp, 0));
	EXPECT_EQ(-ENOENT, mock_access_rw(self->fd, access, BASE + self->size,
					  1, tmp, MOCK_ACCESS_RW_WRITE));
	EXPECT_GT(0, mock_access_rw(self->fd, access, UINT64_MAX, 2, tmp, 0));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, self->ps, &iova,
			      MAP_FIXED_RO));
	self->buf[0] = 42;
	EXPECT_EQ(-EPERM, mock_access_rw(self->fd, access, iova, 16, tmp,
					 MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(42, self->buf[0]);
	EXPECT_EQ(0, mock_access_rw(self->fd, access, iova, 16, tmp, 0));
	EXPECT_EQ(42, tmp[0]);
	/* It is the mapping that counts, not what else its pages are mapped for */
	iova += self->size;
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, &iova, self->ioas, BASE,
			       self->ps, MAP_FIXED_RO));
	EXPECT_EQ(-EPERM, mock_access_rw(self->fd, access, iova, 16, tmp,
					 MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(0, mock_access_rw(self->fd, access, iova, 16, tmp, 0));
	close(access);
}

static __u64 alignment_of(int fd, __u32 ioas)
{
	struct iommu_iova_range range;
	__u64 alignment = 0;
	__u32 num = 1;

	ioas_iova_ranges(fd, ioas, &range, &num, &alignment);
	return alignment;
}

/* Who pins needs whole pages of the CPU, as long as there is such a user. */
TEST_F(iommu, access_alignment)
{
	int access;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	EXPECT_EQ(MOCK_PAGE, alignment_of(self->fd, self->ioas));
	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	EXPECT_EQ(self->ps, alignment_of(self->fd, self->ioas));
	ASSERT_EQ(0, mock_access_replace(self->fd, access, ioas));
	EXPECT_EQ(MOCK_PAGE, alignment_of(self->fd, self->ioas));
	EXPECT_EQ(self->ps, alignment_of(self->fd, ioas));
	close(access);
	EXPECT_EQ(1, alignment_of(self->fd, ioas));
}

TEST_F(iommu, access_replace)
{
	char *other = mem_shared(self->size);
	__u32 ioas, id;
	int access;
	char c = 0;

	ASSERT_NE(MAP_FAILED, other);
	other[0] = 2;
	self->buf[0] = 1;
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, other, self->size, BASE));
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, 0, &id));
	ASSERT_EQ(0, mock_access_replace(self->fd, access, ioas));
	/* What it held of the old IOAS it was asked to give up */
	EXPECT_EQ(-ENOENT, mock_access_unpin(self->fd, access, id));
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 1, &c, 0));
	EXPECT_EQ(2, c);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, ioas));
	EXPECT_EQ(-ENOENT, mock_access_replace(self->fd, access, 0));
	ASSERT_EQ(0, mock_access_rw(self->fd, access, BASE, 1, &c, 0));
	EXPECT_EQ(2, c);
	ASSERT_EQ(0, mock_access_replace(self->fd, access, self->ioas));
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
	close(access);
}

TEST_F(iommu, access_outlives_fd)
{
	__u32 id;
	int access;

	/* The context is there as long as anybody uses it */
	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, 0, &id));
	ASSERT_EQ(0, close(self->fd));
	EXPECT_LT(self->pinned, pages_pinned());
	self->fd = access;
}

TEST_F(iommu, access_huge_page_border)
{
	const size_t size = 2 * SZ_2M;
	size_t ps = self->ps;
	struct mock_device dev;
	__u32 ioas, id, id2;
	int access;
	char *mem;

	hugetlb_prepare();
	mem = mem_hugetlb(size);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, mem, size, BASE));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, &dev));
	access = mock_access_open(self->fd, ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE + SZ_2M - ps,
				     2 * ps, mem + SZ_2M - ps, 0, &id));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE + ps, ps, mem + ps,
				     0, &id2));
	/* All goes but three pages of two huge ones */
	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_LT(self->pinned, pages_pinned());
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, id));
	EXPECT_LT(self->pinned, pages_pinned());
	EXPECT_EQ(0, mock_access_unpin(self->fd, access, id2));
	EXPECT_EQ(self->pinned, pages_pinned());
	close(access);
}

/* The end */

TEST_F(iommu, close_in_any_order)
{
	int dup_fd = dup(self->fd), access;
	__u32 id;

	ASSERT_LE(0, dup_fd);
	access = mock_access_open(self->fd, self->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, MAP_AT(self->buf, self->size, BASE));
	ASSERT_EQ(0, mock_access_pin(self->fd, access, BASE, self->size,
				     self->buf, 0, &id));
	ASSERT_EQ(0, close(access));
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
	ASSERT_EQ(0, close(self->fd));
	EXPECT_LT(self->pinned, pages_pinned());
	self->fd = dup_fd;
	EXPECT_EQ(0, CHECK_MAP(BASE, self->size, self->buf));
}

/* A failing allocation at every step */

FIXTURE(fail)
{
	struct fail_nth nth;
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_SETUP(fail)
{
	const char *why = fail_nth_init(&self->nth);

	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	if (why)
		SKIP(return, "no fault injection: %s", why);
	if (mock_memory_limit(self->fd, MOCK_MEMORY_DEFAULT) == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	self->size = 1 << 20;
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->size);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
}

FIXTURE_TEARDOWN(fail)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(fail, ioas_alloc)
{
	__u32 id;
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth, ioas_alloc(self->fd, &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, id));
	}
	EXPECT_SWEPT(&self->nth);
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	ASSERT_EQ(0, obj_destroy(self->fd, self->ioas));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(fail, map)
{
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_map_at(self->fd, self->ioas, self->buf,
					      self->size, BASE));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
						    BASE, self->size,
						    self->buf));
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE, self->size));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, map_file)
{
	int memfd = memfd_new(self->size, 0), rc;

	ASSERT_LE(0, memfd);
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_map_file_at(self->fd, self->ioas, memfd,
						   0, self->size, BASE));
		EXPECT_FAIL_NTH(&self->nth, rc);
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE, self->size));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	close(memfd);
}

/* Nothing that unmap needs can fail, but for the copies of its argument */
TEST_F(fail, unmap)
{
	__u64 len;
	int rc;

	while (fail_nth_next(&self->nth)) {
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 self->size, BASE));
		rc = fail_nth_run(&self->nth,
				  ioas_unmap_len(self->fd, self->ioas, BASE,
						 self->size, &len));
		EXPECT_TRUE(rc == 0 || rc == -EFAULT) {
			TH_LOG("round %u: %d", self->nth.n, rc);
		}
		EXPECT_TRUE(rc || len == self->size);
		if (rc)
			ioas_unmap(self->fd, self->ioas, BASE, self->size);
		ASSERT_EQ(self->pinned, pages_pinned());
	}
	EXPECT_FALSE(self->nth.injected);
}

TEST_F(fail, copy)
{
	long pinned;
	int rc;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	pinned = pages_pinned();
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_copy_at(self->fd, self->ioas,
					       BASE + self->size, self->ioas,
					       BASE, self->size));
		EXPECT_FAIL_NTH(&self->nth, rc);
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE + self->size,
						       self->size));
		ASSERT_EQ(pinned, pages_pinned());
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, attach)
{
	struct mock_device dev;
	__u32 ioas;
	int rc;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_attach(self->fd, ioas, &dev));
		/* The device is new, and the driver core may not take it in */
		if (!self->nth.injected || (rc != -ENODEV && rc != -EINVAL))
			EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_detach(self->fd, &dev));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(fail, replace)
{
	char *other = mem_shared(self->size);
	__u32 ioas;
	int rc;

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, other, self->size, BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_replace(self->fd, &self->dev, ioas));
		EXPECT_FAIL_NTH(&self->nth, rc);
		/* It was done, but its answer got lost, if that is EFAULT. */
		if (rc != -EFAULT)
			EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
						    BASE, self->size,
						    rc ? self->buf : other));
		ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, hwpt_alloc)
{
	__u32 hwpt;
	int rc;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  hwpt_alloc(self->fd, self->dev.idev,
					     self->ioas, 0, &hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, access_pin)
{
	long pinned;
	__u32 ioas, id;
	int access, rc;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	access = mock_access_open(self->fd, ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	pinned = pages_pinned();
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_access_pin(self->fd, access, BASE,
						  self->size, self->buf, 0,
						  &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_access_unpin(self->fd, access, id));
		ASSERT_EQ(pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	close(access);
}

TEST_F(fail, allow_iovas)
{
	struct iommu_iova_range ranges[4] = {
		{ BASE, BASE + 0xfff }, { BASE + 0x2000, BASE + 0x2fff },
		{ BASE + 0x4000, BASE + 0x4fff },
		{ BASE + 0x6000, BASE + 0x6fff },
	};
	__u64 iova;
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_allow_iovas(self->fd, self->ioas, ranges,
						   ARRAY_SIZE(ranges)));
		EXPECT_FAIL_NTH(&self->nth, rc);
		/* A failed one leaves no part of the list */
		EXPECT_EQ(rc ? 0 : -ENOSPC,
			  ioas_map(self->fd, self->ioas, self->buf, self->size,
				   &iova, MAP_RW));
		if (rc)
			ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova,
						self->size));
		ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, NULL, 0));
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_HARNESS_MAIN
