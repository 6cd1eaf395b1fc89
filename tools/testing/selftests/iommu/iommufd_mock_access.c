// SPDX-License-Identifier: GPL-2.0-only
/* The mock IOMMU driver: in-kernel users */
#include "iommufd_mock.h"

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

	hugetlb_reserve(16);
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

TEST_HARNESS_MAIN
