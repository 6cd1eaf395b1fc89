// SPDX-License-Identifier: GPL-2.0-only
/* The mock IOMMU driver: mappings of files, and copies of mappings */
#include "iommufd_mock.h"

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

	hugetlb_reserve(16);
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

TEST_HARNESS_MAIN
