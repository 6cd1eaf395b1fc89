// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping, copying and unmapping in an IOAS without a device: nothing is pinned,
 * and the alignment is one byte.
 */
#include "iommufd_ctx.h"

/* IOMMU_IOAS_MAP */

TEST_F(ctx, map_overlap)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;

	ASSERT_EQ(0, MAP_AT(4 * ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(4 * ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base + 3 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * ps, base + ps));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * ps, base - ps));
	EXPECT_EQ(-EEXIST, MAP_AT(6 * ps, base - ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 4 * ps - 1));
	/* Neighbours are free */
	EXPECT_EQ(0, MAP_AT(ps, base - ps));
	EXPECT_EQ(0, MAP_AT(ps, base + 4 * ps));
}

TEST_F(ctx, map_bad)
{
	__u64 iova = 0x1000000;

	EXPECT_EQ(-EINVAL, MAP_AT(0, iova));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, 0, &iova,
				    MAP_RW));
	/* Neither readable nor writeable */
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, self->ps,
				    &iova, IOMMU_IOAS_MAP_FIXED_IOVA));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, self->buf, self->ps,
				    &iova, 0));
	EXPECT_EQ(-ENOENT, ioas_map(self->fd, 0, self->buf, self->ps, &iova,
				    MAP_RW));
	EXPECT_EQ(-ENOENT, ioas_map(self->fd, self->id + 1, self->buf, self->ps,
				    &iova, MAP_RW));
	/* Nothing came of it */
	EXPECT_EQ(-ENOENT, UNMAP(0x1000000, self->ps));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(ctx, map_overflow)
{
	__u64 iova;

	EXPECT_EQ(-EOVERFLOW, MAP_AT(self->ps, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(UINT64_MAX, 0));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(2 * self->ps, UINT64_MAX - self->ps + 1));
	EXPECT_EQ(-EOVERFLOW, MAP_AT(UINT64_MAX - 1, 4096));
	/* The memory wraps */
	EXPECT_EQ(-EOVERFLOW, ioas_map_at(self->fd, self->id,
					  (void *)(UINTPTR_MAX - self->ps + 1),
					  2 * self->ps, 0));
	iova = 0;
	EXPECT_EQ(-EOVERFLOW, ioas_map(self->fd, self->id,
				       (void *)(UINTPTR_MAX - self->ps + 1),
				       2 * self->ps, &iova, MAP_RW));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(ctx, map_top_of_iova)
{
	const __u64 top = UINT64_MAX - self->ps + 1;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(self->ps, top));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, top));
	EXPECT_EQ(-EEXIST, MAP_AT(2 * self->ps, top - self->ps));
	ASSERT_EQ(0, MAP_AT(self->ps, top - self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(top, self->ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(top + 1, self->ps - 1));
	EXPECT_EQ(0, UNMAP(top, self->ps));
	ASSERT_EQ(0, MAP_AT(self->ps, top));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, top - self->ps,
				    2 * self->ps, &len));
	EXPECT_EQ(2 * self->ps, len);
	ASSERT_EQ(0, MAP_AT(self->ps, top));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(self->ps, len);
}

TEST_F(ctx, map_bottom_of_iova)
{
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	EXPECT_EQ(-EEXIST, MAP_AT(1, 0));
	EXPECT_EQ(0, UNMAP(0, self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));
}

TEST_F(ctx, map_any_byte)
{
	size_t len;
	__u64 iova;

	/* Nothing asks for more than a byte's alignment yet */
	for (len = 1; len < 2 * self->ps; len += len < 64 ? 1 : 61) {
		iova = 0x1000000 + len;
		ASSERT_EQ(0, ioas_map_at(self->fd, self->id,
					 (char *)self->buf + len, len, iova));
		ASSERT_EQ(0, UNMAP(iova, len));
		ASSERT_EQ(0, ioas_map(self->fd, self->id,
				      (char *)self->buf + len, len, &iova,
				      MAP_RW));
		/* Offsets in a page agree, or no IOMMU could map it */
		EXPECT_EQ(len % self->ps, iova % self->ps);
		ASSERT_EQ(0, UNMAP(iova, len));
	}
}

TEST_F(ctx, map_auto_iova)
{
	struct {
		__u64 iova, len;
	} got[64];
	unsigned int i, k;

	for (i = 0; i != ARRAY_SIZE(got); i++) {
		got[i].len = (i % 16 + 1) * self->ps;
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf,
				      got[i].len, &got[i].iova, MAP_RW));
		for (k = 0; k != i; k++) {
			EXPECT_TRUE(got[i].iova + got[i].len <= got[k].iova ||
				    got[k].iova + got[k].len <= got[i].iova);
		}
		EXPECT_EQ(-EEXIST, MAP_AT(1, got[i].iova));
		EXPECT_EQ(-EEXIST, MAP_AT(1, got[i].iova + got[i].len - 1));
	}
	for (i = 0; i != ARRAY_SIZE(got); i++)
		EXPECT_EQ(0, UNMAP(got[i].iova, got[i].len));
}

TEST_F(ctx, map_auto_iova_keeps_huge_pages)
{
	char *mem = mem_thp(3 * SZ_2M);
	__u64 iova;

	ASSERT_NE(MAP_FAILED, mem);
	/* Something in the way of the first choice */
	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_RW));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, SZ_2M, &iova, MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, 3 * SZ_2M, &iova,
			      MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
}

TEST_F(ctx, map_memory_is_not_looked_at)
{
	char *mem = mem_private(self->ps);
	__u64 iova;

	/* Without a device it is enough that there may be memory later */
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, munmap(mem, self->ps));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, mem, self->ps, &iova,
			      MAP_RW));
	EXPECT_EQ(0, UNMAP(iova, self->ps));
}

TEST_F(ctx, map_many)
{
	const unsigned int num = 20000;
	unsigned int i;
	__u64 iova, len;

	for (i = 0; i != num; i++)
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps,
				      &iova, MAP_RW));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ((__u64)num * self->ps, len);
}

/* IOMMU_IOAS_UNMAP */

TEST_F(ctx, unmap_empty)
{
	__u64 len;

	EXPECT_EQ(-ENOENT, UNMAP(0, self->ps));
	EXPECT_EQ(-ENOENT, UNMAP(0x1000000, 1));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
	/* Everything, and there is nothing */
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(0, len);
}

TEST_F(ctx, unmap_bad)
{
	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	EXPECT_EQ(-EINVAL, UNMAP(0, 0));
	EXPECT_EQ(-EINVAL, UNMAP(0x1000, 0));
	EXPECT_EQ(-EOVERFLOW, UNMAP(1, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, UNMAP(UINT64_MAX, 1));
	EXPECT_EQ(-EOVERFLOW, UNMAP(self->ps, UINT64_MAX - 1));
	EXPECT_EQ(-EOVERFLOW, UNMAP(UINT64_MAX - self->ps + 1, 2 * self->ps));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id + 1, 0, self->ps));
	EXPECT_EQ(0, UNMAP(0, self->ps));
}

TEST_F(ctx, unmap_never_splits)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(4 * ps, base));
	EXPECT_EQ(-ENOENT, UNMAP(base, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + ps, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + 3 * ps, ps));
	EXPECT_EQ(-ENOENT, UNMAP(base - ps, 2 * ps));
	EXPECT_EQ(-ENOENT, UNMAP(base + 3 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, UNMAP(base, 4 * ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(base + 1, 4 * ps - 1));
	EXPECT_EQ(-ENOENT, UNMAP(base + 1, 4 * ps));
	/* It is all there */
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 4 * ps - 1));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base, 4 * ps, &len));
	EXPECT_EQ(4 * ps, len);
}

TEST_F(ctx, unmap_superset)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;
	int i;

	for (i = 0; i != 4; i++)
		ASSERT_EQ(0, MAP_AT(2 * ps, base + i * 8 * ps));
	ASSERT_EQ(0, MAP_AT(ps, base + 100 * ps));

	/* Gaps before, between and behind */
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base - ps, 34 * ps,
				    &len));
	EXPECT_EQ(8 * ps, len);
	EXPECT_EQ(-ENOENT, UNMAP(base - ps, 34 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(ps, base + 100 * ps));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, 1, UINT64_MAX - 1,
				    &len));
	EXPECT_EQ(ps, len);
}

TEST_F(ctx, unmap_all_or_nothing)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 len;

	ASSERT_EQ(0, MAP_AT(ps, base));
	ASSERT_EQ(0, MAP_AT(4 * ps, base + 8 * ps));
	/* The first is covered, the second is cut: both stay */
	EXPECT_EQ(-ENOENT, UNMAP(base, 10 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 8 * ps));
	EXPECT_EQ(-EEXIST, MAP_AT(1, base + 12 * ps - 1));
	ASSERT_EQ(0, ioas_unmap_len(self->fd, self->id, base, 12 * ps, &len));
	EXPECT_EQ(5 * ps, len);
}

TEST_F(ctx, unmap_all)
{
	__u64 iova, len, sum = 0;
	int i;

	for (i = 1; i != 50; i++) {
		ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf,
				      i % 16 * self->ps + 1, &iova, MAP_RW));
		sum += i % 16 * self->ps + 1;
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(sum, len);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(0, len);
}

/* IOMMU_IOAS_MAP_FILE */

TEST_F(ctx, map_file)
{
	int memfd = memfd_new(16 * self->ps, 0);
	__u64 iova, len;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, 16 * self->ps,
				   &iova, MAP_RW));
	EXPECT_EQ(0, UNMAP(iova, 16 * self->ps));
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->id, memfd, self->ps,
				      self->ps, 0x1000000));
	EXPECT_EQ(-EEXIST, ioas_map_file_at(self->fd, self->id, memfd, 0,
					    self->ps, 0x1000000));
	EXPECT_EQ(-EEXIST, MAP_AT(self->ps, 0x1000000));
	/* It stays mapped when the file is closed */
	ASSERT_EQ(0, close(memfd));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, 0, self->id, 0x1000000,
				  self->ps));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->id, &len));
	EXPECT_EQ(2 * self->ps, len);
}

TEST_F(ctx, map_file_hugetlb)
{
	int memfd = memfd_new(2 * SZ_2M, MFD_HUGETLB);
	__u64 iova;

	if (memfd < 0)
		SKIP(return, "no hugetlb files: errno %d", -memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, 2 * SZ_2M,
				   &iova, MAP_RW));
	EXPECT_EQ(0, iova % SZ_2M);
	EXPECT_EQ(0, UNMAP(iova, 2 * SZ_2M));
	/* A part that is smaller than a huge page */
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->id, memfd,
				      SZ_2M - self->ps, 2 * self->ps, 0));
	EXPECT_EQ(0, UNMAP(0, 2 * self->ps));
	close(memfd);
}

TEST_F(ctx, map_file_bad)
{
	int memfd = memfd_new(4 * self->ps, 0);
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	EXPECT_EQ(-EBADF, ioas_map_file(self->fd, self->id, -1, 0, self->ps,
					&iova, MAP_RW));
	EXPECT_EQ(-EBADF, ioas_map_file(self->fd, self->id, 1000, 0, self->ps,
					&iova, MAP_RW));
	EXPECT_EQ(-EINVAL, ioas_map_file(self->fd, self->id, memfd, 0, 0, &iova,
					 MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file(self->fd, self->id, memfd,
					    UINT64_MAX - self->ps + 1,
					    2 * self->ps, &iova, MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file(self->fd, self->id, memfd, 0,
					    UINT64_MAX, &iova, MAP_RW));
	EXPECT_EQ(-EOVERFLOW, ioas_map_file_at(self->fd, self->id, memfd, 0,
					       2 * self->ps,
					       UINT64_MAX - self->ps + 1));
	EXPECT_EQ(-ENOENT, ioas_map_file(self->fd, self->id + 1, memfd, 0,
					 self->ps, &iova, MAP_RW));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_TRUE(ctx_is_empty(self->fd));
	close(memfd);
}

/* A seal against writing holds for devices, too. */
TEST_F(ctx, map_file_sealed)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	unsigned int i;
	__u64 iova = 0;
	int memfd;

	for (i = 0; i != ARRAY_SIZE(seals); i++) {
		memfd = memfd_new(self->ps, MFD_ALLOW_SEALING);
		ASSERT_LE(0, memfd);
		ASSERT_EQ(0, fcntl(memfd, F_ADD_SEALS, seals[i]));
		EXPECT_EQ(-EPERM, ioas_map_file(self->fd, self->id, memfd, 0,
						self->ps, &iova, MAP_RW));
		EXPECT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0,
					   self->ps, &iova,
					   IOMMU_IOAS_MAP_READABLE));
		close(memfd);
	}
}

/* What is mapped for writing cannot be sealed, and can be as soon as it is not. */
TEST_F(ctx, map_file_then_seal)
{
	int memfd = memfd_new(self->ps, MFD_ALLOW_SEALING);
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->id, memfd, 0, self->ps,
				   &iova, MAP_RW));
	EXPECT_EQ(-1, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, UNMAP(iova, self->ps));
	EXPECT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	close(memfd);
}

TEST_F(ctx, map_file_read_only)
{
	int memfd = memfd_new(self->ps, 0), fd;
	char path[32];
	__u64 iova = 0;

	ASSERT_LE(0, memfd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, ioas_map_file(self->fd, self->id, fd, 0, self->ps,
					 &iova, MAP_RW));
	EXPECT_EQ(0, ioas_map_file(self->fd, self->id, fd, 0, self->ps, &iova,
				   IOMMU_IOAS_MAP_READABLE));
	close(fd);
	/* Nor one that can only be written */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, ioas_map_file(self->fd, self->id, fd, 0, self->ps,
					 &iova, MAP_RW));
	close(fd);
	close(memfd);
}

/* IOMMU_IOAS_COPY */

TEST_F(ctx, copy)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 iova, len;
	__u32 other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, MAP_AT(4 * ps, base));

	/* In one IOAS, to a fixed and to a free place */
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, 0, self->id, base,
				  4 * ps));
	EXPECT_EQ(-EEXIST, ioas_copy_at(self->fd, self->id, 0, self->id, base,
					4 * ps));
	EXPECT_EQ(-EEXIST, ioas_copy_at(self->fd, self->id, base, self->id,
					base, 4 * ps));
	ASSERT_EQ(0, ioas_copy(self->fd, self->id, &iova, self->id, base,
			       4 * ps, MAP_RW));
	EXPECT_EQ(-EEXIST, MAP_AT(1, iova));

	/* To another IOAS, also a part, also from a copy */
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, base, self->id, 0, 4 * ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 0, self->id, base + ps, ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, ps, other, base + 3 * ps,
				  ps));

	/* A copy outlives its source */
	ASSERT_EQ(0, obj_destroy(self->fd, self->id));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 2 * ps, other, base, 4 * ps));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, other, &len));
	EXPECT_EQ(10 * ps, len);
}

TEST_F(ctx, copy_across_mappings)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u32 other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, MAP_AT(2 * ps, base));
	ASSERT_EQ(0, MAP_AT(2 * ps, base + 2 * ps));
	ASSERT_EQ(0, MAP_AT(2 * ps, base + 5 * ps));

	/* Neighbours can be copied in one go, and stay separate mappings */
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, 0, self->id, base + ps,
				  2 * ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, other, 0, ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, other, ps, ps));

	/* Across a gap there is nothing to copy */
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id, base,
					6 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 4 * ps, ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 4 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base + 6 * ps, 2 * ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, other, 0, self->id,
					base - 1, ps));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, other, 0, 64 * ps));
}

TEST_F(ctx, copy_permission)
{
	__u64 iova = 0x1000000, copy = 0;

	ASSERT_EQ(0, ioas_map(self->fd, self->id, self->buf, self->ps, &iova,
			      MAP_FIXED_RO));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, self->id, &copy, self->id, iova,
				    self->ps, MAP_FIXED_RW));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, self->id, &copy, self->id, iova,
				    self->ps, IOMMU_IOAS_MAP_WRITEABLE));
	EXPECT_EQ(0, ioas_copy(self->fd, self->id, &copy, self->id, iova,
			       self->ps, MAP_FIXED_RO));

	/* Less than the first mapping had, and then again all of it */
	iova = 0x2000000;
	ASSERT_EQ(0, MAP_AT(self->ps, iova));
	copy = 0x3000000;
	EXPECT_EQ(0, ioas_copy(self->fd, self->id, &copy, self->id, iova,
			       self->ps, MAP_FIXED_RO));
	EXPECT_EQ(0, ioas_copy_at(self->fd, self->id, 0x4000000, self->id, copy,
				  self->ps));
}

TEST_F(ctx, copy_bad)
{
	const __u64 base = 0x1000000;
	size_t ps = self->ps;
	__u64 iova = 0;

	ASSERT_EQ(0, MAP_AT(ps, base));
	EXPECT_EQ(-EINVAL, ioas_copy_at(self->fd, self->id, 0, self->id, base,
					0));
	EXPECT_EQ(-EINVAL, ioas_copy(self->fd, self->id, &iova, self->id, base,
				     ps, IOMMU_IOAS_MAP_FIXED_IOVA));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, 0, self->id,
					   UINT64_MAX - ps + 1, 2 * ps));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, UINT64_MAX,
					   self->id, base, ps));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id, 0, self->id,
					   base, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_at(self->fd, self->id,
					   UINT64_MAX - ps / 2, self->id, base,
					   ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id, 0, self->id, 0,
					ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id + 1, 0, self->id,
					base, ps));
	EXPECT_EQ(-ENOENT, ioas_copy_at(self->fd, self->id, 0, self->id + 1,
					base, ps));
	EXPECT_EQ(0, UNMAP(base, ps));
	EXPECT_EQ(-ENOENT, UNMAP(1, UINT64_MAX - 1));
}

TEST_F(ctx, copy_to_top_of_iova)
{
	const __u64 top = UINT64_MAX - self->ps + 1;

	ASSERT_EQ(0, MAP_AT(self->ps, 0));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, top, self->id, 0,
				  self->ps));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->id, self->ps, self->id, top,
				  self->ps));
	EXPECT_EQ(0, UNMAP(top, self->ps));
}

TEST_HARNESS_MAIN
