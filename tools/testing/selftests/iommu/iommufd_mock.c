// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: devices and page tables that come and go, mappings of
 * memory, and the pins that they take.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>

#include "iommufd_mock.h"

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
	struct iovec data;
	bool has_pages;
	int ends[2];
	FILE *f;

	/* The kernel's own data, which newer kernels have in pages as others */
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
	/* A pipe takes pages in the same way */
	ASSERT_EQ(0, pipe(ends));
	data = (struct iovec){ (void *)start, self->ps };
	has_pages = vmsplice(ends[1], &data, 1, 0) == (ssize_t)self->ps;
	close(ends[0]);
	close(ends[1]);
	EXPECT_EQ(has_pages ? 0 : -EFAULT,
		  ioas_map(self->fd, self->ioas, (void *)start, self->ps, &iova,
			   MAP_FIXED_RO));
	EXPECT_EQ(has_pages ? 0 : -ENOENT, UNMAP(BASE, self->ps));
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

TEST_F(iommu, hugetlb)
{
	const size_t size = 2 * SZ_2M;
	size_t ps = self->ps;
	__u64 iova;
	char *mem;

	hugetlb_reserve(16);
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

TEST_HARNESS_MAIN
