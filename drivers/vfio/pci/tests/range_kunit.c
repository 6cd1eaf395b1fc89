// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of splitting a read or write of a region into accesses, against a model
 * that looks at single bytes.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "../range.h"

#define REGION	40

enum { UNTOUCHED = 0, ACCESSED, IN_HOLE };

static void walk(struct kunit *test, u64 off, size_t count,
		 const struct vfio_pci_hole *hole, unsigned int max_width)
{
	u8 seen[REGION] = {};
	size_t left = count;
	u64 pos = off, i;

	while (left) {
		struct vfio_pci_step s;

		s = vfio_pci_range_step(pos, left, hole, max_width);
		KUNIT_ASSERT_GT(test, s.len, 0);
		KUNIT_ASSERT_LE(test, s.len, left);
		if (!s.hole) {
			/* A register is accessed whole and in place */
			KUNIT_EXPECT_LE(test, s.len, max_width);
			KUNIT_EXPECT_EQ(test, s.len & (s.len - 1), 0);
			KUNIT_EXPECT_EQ(test, pos & (s.len - 1), 0);
		}
		memset(seen + pos, s.hole ? IN_HOLE : ACCESSED, s.len);
		pos += s.len;
		left -= s.len;
	}

	for (i = 0; i < REGION; i++) {
		u8 expect = UNTOUCHED;

		if (i >= off && i < off + count)
			expect = i >= hole->start && i < hole->end ? IN_HOLE :
								     ACCESSED;
		KUNIT_EXPECT_EQ(test, seen[i], expect);
	}
}

static void steps(struct kunit *test)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	static const struct vfio_pci_hole holes[] = {
		{ 0, 0 }, { 8, 8 }, { 9, 8 }, { 0, 16 }, { 16, 32 }, { 24, 40 },
		{ 5, 7 }, { 3, 22 }, { 0, 40 }, { 39, 100 },
	};
	unsigned int w, h;
	u64 off;
	size_t n;

	for (w = 0; w < ARRAY_SIZE(widths); w++)
		for (h = 0; h < ARRAY_SIZE(holes); h++)
			for (off = 0; off < REGION; off++)
				for (n = 1; off + n <= REGION; n++)
					walk(test, off, n, &holes[h], widths[w]);
}

/* As wide as can be */
static void widest(struct kunit *test)
{
	const struct vfio_pci_hole none = {}, hole = { 12, 16 };

	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(0, 100, &none, 8).len, 8);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(8, 8, &none, 8).len, 8);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(8, 8, &none, 4).len, 4);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(4, 100, &none, 8).len, 4);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(0, 7, &none, 8).len, 4);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(8, 100, &hole, 8).len, 4);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(12, 100, &hole, 8).len, 4);
	KUNIT_EXPECT_TRUE(test, vfio_pci_range_step(12, 100, &hole, 8).hole);
	KUNIT_EXPECT_EQ(test, vfio_pci_range_step(16, 100, &hole, 8).len, 8);
}

static void intersect_one(struct kunit *test, loff_t buf, size_t buf_n,
			  loff_t reg, size_t reg_n)
{
	size_t count = 99, reg_off = 99, n = 0;
	loff_t buf_off = -1, first = -1, i;
	bool common;

	for (i = 0; i < 16; i++) {
		if (i < buf || i >= buf + buf_n || i < reg || i >= reg + reg_n)
			continue;
		if (!n++)
			first = i;
	}
	common = vfio_pci_core_range_intersect_range(buf, buf_n, reg, reg_n,
						     &buf_off, &count, &reg_off);
	KUNIT_ASSERT_EQ(test, common, n > 0);
	if (!common) {
		KUNIT_EXPECT_EQ(test, count, 99);
		return;
	}
	KUNIT_EXPECT_EQ(test, count, n);
	KUNIT_EXPECT_EQ(test, buf_off, first - buf);
	KUNIT_EXPECT_EQ(test, reg_off, first - reg);
}

static void intersections(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 8 * 8 * 8 * 8; i++)
		intersect_one(test, i & 7, (i >> 3) & 7, (i >> 6) & 7,
			      (i >> 9) & 7);
}

static struct kunit_case range_cases[] = {
	KUNIT_CASE(steps),
	KUNIT_CASE(widest),
	KUNIT_CASE(intersections),
	{}
};

static struct kunit_suite range_suite = {
	.name = "vfio_pci_range",
	.test_cases = range_cases,
};

kunit_test_suite(range_suite);
