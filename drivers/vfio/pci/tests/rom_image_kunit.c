// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the size of ROMs, right and wrong ones. Expectations are written from
 * the specification.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/unaligned.h>

#include "../rom_image.h"

#define WINDOW	SZ_8K

struct fake_rom {
	struct kunit		*test;
	struct vfio_pci_rom	rom;
	u8			mem[WINDOW];
};

static u8 fake_rom_read(void *ctx, size_t pos)
{
	struct fake_rom *f = ctx;

	/* Here the kernel would touch what is not mapped */
	KUNIT_EXPECT_LT(f->test, pos, f->rom.size);
	return pos < f->rom.size ? f->mem[pos] : 0xff;
}

static struct fake_rom *fake_rom_alloc(struct kunit *test)
{
	struct fake_rom *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->rom.read = fake_rom_read;
	f->rom.ctx = f;
	f->rom.size = WINDOW;
	return f;
}

/* An image at @pos of @units * 512 bytes, with its data structure at @data */
static void add_image(struct fake_rom *f, size_t pos, u16 data, u16 units,
		      bool last)
{
	u8 *image = f->mem + pos;

	image[0] = 0x55;
	image[1] = 0xaa;
	put_unaligned_le16(data, image + 0x18);
	if (pos + data + 0x18 > WINDOW)
		return;
	memcpy(image + data, "PCIR", 4);
	put_unaligned_le16(units, image + data + 0x10);
	image[data + 0x15] = last ? 0x80 : 0;
}

static size_t size_of(struct fake_rom *f)
{
	return vfio_pci_rom_image_size(&f->rom);
}

static void images(struct kunit *test)
{
	struct fake_rom *f = fake_rom_alloc(test);

	KUNIT_EXPECT_EQ(test, 0, size_of(f));
	add_image(f, 0, 0x1c, 3, true);
	KUNIT_EXPECT_EQ(test, 3 * 512, size_of(f));
	/* Not the last one, but nothing follows */
	add_image(f, 0, 0x1c, 3, false);
	KUNIT_EXPECT_EQ(test, 3 * 512, size_of(f));
	add_image(f, 3 * 512, 0x40, 2, false);
	add_image(f, 5 * 512, 0x1a, 1, true);
	KUNIT_EXPECT_EQ(test, 6 * 512, size_of(f));
	/* What is behind the last one does not count */
	add_image(f, 6 * 512, 0x1c, 1, true);
	KUNIT_EXPECT_EQ(test, 6 * 512, size_of(f));
	/* Longer than the window: there are such ROMs */
	add_image(f, 0, 0x1c, 0xffff, true);
	KUNIT_EXPECT_EQ(test, WINDOW, size_of(f));
	add_image(f, 0, 0x1c, WINDOW / 512, false);
	KUNIT_EXPECT_EQ(test, WINDOW, size_of(f));
	/* No length: no end either */
	add_image(f, 0, 0x1c, 0, false);
	KUNIT_EXPECT_EQ(test, 0, size_of(f));
}

/* The place of the data structure, up to and behind the end of the window */
static void data_at_the_end(struct kunit *test)
{
	struct fake_rom *f = fake_rom_alloc(test);
	unsigned int data;

	for (data = WINDOW - 0x20; data <= WINDOW; data++) {
		memset(f->mem, 0, sizeof(f->mem));
		add_image(f, 0, data, 1, true);
		KUNIT_EXPECT_EQ(test, data + 0x18 <= WINDOW ? 512 : 0,
				size_of(f));
	}
	add_image(f, 0, 0xffff, 1, true);
	KUNIT_EXPECT_EQ(test, 0, size_of(f));
	/* That of an image in the last unit */
	add_image(f, 0, 0x1c, WINDOW / 512 - 1, false);
	add_image(f, WINDOW - 512, 0xfff0, 1, true);
	KUNIT_EXPECT_EQ(test, WINDOW - 512, size_of(f));
	add_image(f, WINDOW - 512, 0x1e8, 1, true);
	KUNIT_EXPECT_EQ(test, WINDOW, size_of(f));
}

static void small_windows(struct kunit *test)
{
	struct fake_rom *f = fake_rom_alloc(test);

	add_image(f, 0, 0x1a, 1, true);
	for (f->rom.size = 0; f->rom.size < 0x1a + 0x18; f->rom.size++)
		KUNIT_EXPECT_EQ(test, 0, size_of(f));
	KUNIT_EXPECT_EQ(test, f->rom.size, size_of(f));
}

/* Whatever is in it, it is read within the window, and there is an end */
static void random_roms(struct kunit *test)
{
	struct fake_rom *f = fake_rom_alloc(test);
	struct rnd_state rnd;
	unsigned int i, pos;

	prandom_seed_state(&rnd, 42);
	for (i = 0; i < 500; i++) {
		prandom_bytes_state(&rnd, f->mem, sizeof(f->mem));
		f->rom.size = 1 + prandom_u32_state(&rnd) % WINDOW;
		for (pos = 0; pos < WINDOW; pos += 512)
			add_image(f, pos, prandom_u32_state(&rnd) % 0x300,
				  prandom_u32_state(&rnd) % 3, false);
		KUNIT_EXPECT_LE(test, size_of(f), f->rom.size);
	}
}

static struct kunit_case rom_image_cases[] = {
	KUNIT_CASE(images),
	KUNIT_CASE(data_at_the_end),
	KUNIT_CASE(small_windows),
	KUNIT_CASE(random_roms),
	{}
};

static struct kunit_suite rom_image_suite = {
	.name = "vfio_pci_rom_image",
	.test_cases = rom_image_cases,
};

kunit_test_suite(rom_image_suite);
