// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what a user may see and change of configuration space.
 *
 * A device is an image of its configuration space. Expectations are written from
 * the specification, bit by bit, and not derived from the tables that are tested.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "../config_perm.h"

/* Where tests put their one capability */
#define STD_POS	0x50
#define EXT_POS	0x100
/* From one capability to the next */
#define NEXT_OFF	0x40

/**
 * struct fake - a device
 * @image: its configuration space
 * @desc: as the code under test sees it
 * @hidden: capabilities that it was told are hidden
 * @fail_at: position whose reading fails, if not 0
 */
struct fake {
	u8				image[PCI_CFG_SPACE_EXP_SIZE];
	struct vfio_pci_config_desc	desc;
	unsigned int			hidden;
	unsigned int			fail_at;
};

static int fake_read(void *ctx, unsigned int pos, u32 *val)
{
	struct fake *f = ctx;

	if (f->fail_at && pos == f->fail_at)
		return -ENODEV;
	*val = get_unaligned_le32(f->image + pos);
	return 0;
}

static void fake_hide(void *ctx, bool extended, u16 id, u16 pos)
{
	struct fake *f = ctx;

	f->hidden++;
}

static void put16(struct fake *f, unsigned int pos, u16 val)
{
	put_unaligned_le16(val, f->image + pos);
}

static void put32(struct fake *f, unsigned int pos, u32 val)
{
	put_unaligned_le32(val, f->image + pos);
}

static struct fake *fake_alloc(struct kunit *test)
{
	struct fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->desc.size = PCI_CFG_SPACE_EXP_SIZE;
	f->desc.read = fake_read;
	f->desc.hide = fake_hide;
	f->desc.ctx = f;
	f->desc.vendor = 0x1234;
	f->desc.device = 0x5678;
	put32(f, PCI_VENDOR_ID, 0x56781234);
	put16(f, PCI_STATUS, PCI_STATUS_CAP_LIST);
	return f;
}

static void config_free(void *config)
{
	vfio_pci_config_destroy(config);
}

static struct vfio_pci_config *build(struct kunit *test, struct fake *f)
{
	struct vfio_pci_config *c = vfio_pci_config_build(&f->desc);

	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, config_free, c));
	return c;
}

/* Append a capability to the end of the list */
static void add_cap(struct fake *f, unsigned int pos, u8 id)
{
	unsigned int at = PCI_CAPABILITY_LIST;

	while (f->image[at])
		at = f->image[at] + PCI_CAP_LIST_NEXT;
	f->image[at] = pos;
	f->image[pos] = id;
	f->image[pos + PCI_CAP_LIST_NEXT] = 0;
}

static void add_ext_cap(struct fake *f, unsigned int prev, unsigned int pos,
			u16 id)
{
	put32(f, pos, id | 1 << 16);
	if (prev)
		put32(f, prev, (get_unaligned_le32(f->image + prev) & 0xfffff) |
			       pos << 20);
}

static u32 write_bits(const struct vfio_pci_config *c, unsigned int pos)
{
	return c->write[pos];
}

/**
 * struct reg - what the specification says of a register
 * @off: offset in the capability
 * @width: bytes
 * @write: bits that the user changes, or believes to
 * @virt: bits that do not come from the device
 * @sticky: bits that must not be written back as they were read, because a 1
 *          clears them (RW1C) or, if reserved, has to be a 0 (RsvdZ). Only in
 *          capabilities of which the user writes something
 */
struct reg {
	u16	off;
	u8	width;
	u32	write;
	u32	virt;
	u32	sticky;
};

/**
 * struct expect - what the specification says of a capability
 * @id: its id
 * @shown: it is in the list that the user sees
 * @raw: all that follows the capability's header is writable
 * @to_next: it reaches to the next capability, wherever that is
 * @len: bytes; behind it, bytes are nobody's
 * @init: what the device has there (behind the header), 32 bits each
 * @reg: registers that are not plainly read-only
 */
struct expect {
	u16		id;
	bool		shown;
	bool		raw;
	bool		to_next;
	u16		len;
	u32		init[12];
	struct reg	reg[10];
};

static const struct expect std_expect[] = {
	/* Not a capability */
	{ .id = 0x00, .len = 4 },
	{ .id = PCI_CAP_ID_PM, .shown = true, .len = 8,
	  .init = { 0x0008 },
	  .reg = { { PCI_PM_PMC, 2, 0, 0xf800 },
		   /* PME_Status */
		   { PCI_PM_CTRL, 2, 0x1e00, 0x8100, 0x8000 } } },
	{ .id = PCI_CAP_ID_AGP, .shown = true, .len = 12 },
	{ .id = PCI_CAP_ID_VPD, .shown = true, .len = 8,
	  .reg = { { PCI_VPD_ADDR, 2, 0xffff, 0xffff },
		   { PCI_VPD_DATA, 4, 0xffffffff, 0xffffffff } } },
	{ .id = PCI_CAP_ID_SLOTID, .shown = true, .len = 4 },
	{ .id = PCI_CAP_ID_CHSWP, .shown = true, .len = 4 },
	/* Slave or primary interface block */
	{ .id = PCI_CAP_ID_HT, .shown = true, .len = 28 },
	{ .id = PCI_CAP_ID_DBG, .len = 4 },
	{ .id = PCI_CAP_ID_CCRC, .len = 4 },
	{ .id = PCI_CAP_ID_SHPC, .len = 8 },
	{ .id = PCI_CAP_ID_SSVID, .len = 8 },
	{ .id = PCI_CAP_ID_AGP3, .len = 12 },
	{ .id = PCI_CAP_ID_SECDEV, .len = 0x18 },
	{ .id = PCI_CAP_ID_MSIX, .shown = true, .len = 12 },
	{ .id = PCI_CAP_ID_AF, .shown = true, .len = 6,
	  .reg = { { PCI_AF_CTRL, 1, 1, 1 } } },
	/* Flattening portal bridge, and what may come */
	{ .id = 0x15, .to_next = true, .len = NEXT_OFF },
	{ .id = 0x16, .to_next = true, .len = NEXT_OFF },
	{ .id = 0xfe, .to_next = true, .len = NEXT_OFF },
};

#define UNC	0x03fff031

static const struct expect ext_expect[] = {
	/* Of the two status registers, the bits that are not RW1C are RsvdZ */
	{ .id = PCI_EXT_CAP_ID_ERR, .shown = true, .len = 0x48,
	  .reg = { { 0x04, 4, UNC, 0, 0xffffffff }, { 0x08, 4, UNC },
		   { 0x0c, 4, UNC }, { 0x10, 4, 0xf1c1, 0, 0xffffffff },
		   { 0x14, 4, 0xf1c1 }, { 0x18, 4, 0x140 } } },
	/* One virtual channel, no arbitration table */
	{ .id = PCI_EXT_CAP_ID_VC, .shown = true, .len = 0x1c },
	{ .id = PCI_EXT_CAP_ID_VC9, .shown = true, .len = 0x1c },
	{ .id = PCI_EXT_CAP_ID_MFVC, .shown = true, .len = 0x1c },
	{ .id = PCI_EXT_CAP_ID_DSN, .shown = true, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_PWR, .shown = true, .len = 16,
	  .reg = { { 4, 1, 0xff } } },
	/* Three links */
	{ .id = PCI_EXT_CAP_ID_RCLD, .shown = true, .len = 0x40,
	  .init = { 0x0300 } },
	{ .id = PCI_EXT_CAP_ID_RCILC, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_RCEC, .shown = true, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_RCRB, .len = 20 },
	{ .id = PCI_EXT_CAP_ID_VNDR, .shown = true, .raw = true, .len = 0x20,
	  .init = { 0x02000000 } },
	{ .id = PCI_EXT_CAP_ID_CAC, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_ACS, .shown = true, .len = 8,
	  .init = { 0x5f } },
	{ .id = PCI_EXT_CAP_ID_ARI, .shown = true, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_ATS, .shown = true, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_SRIOV, .shown = true, .len = 0x40 },
	{ .id = PCI_EXT_CAP_ID_MRIOV, .len = 20 },
	{ .id = PCI_EXT_CAP_ID_MCAST, .shown = true, .len = 40 },
	{ .id = PCI_EXT_CAP_ID_PRI, .shown = true, .len = 16 },
	{ .id = PCI_EXT_CAP_ID_AMD_XXX, .to_next = true, .len = NEXT_OFF },
	/* Two resizable BARs */
	{ .id = PCI_EXT_CAP_ID_REBAR, .shown = true, .len = 4 + 2 * 8,
	  .init = { 0, 2 << 5 } },
	/* 17 substates */
	{ .id = PCI_EXT_CAP_ID_DPA, .shown = true, .len = 16 + 20,
	  .init = { 16 } },
	/* 5 steering tags in the capability */
	{ .id = PCI_EXT_CAP_ID_TPH, .shown = true, .len = 12 + 12,
	  .init = { 4 << 16 | 0x200 } },
	/* No steering tags; and 5 in the table of MSI-X */
	{ .id = PCI_EXT_CAP_ID_TPH, .shown = true, .len = 12,
	  .init = { 4 << 16 } },
	{ .id = PCI_EXT_CAP_ID_TPH, .shown = true, .len = 12,
	  .init = { 4 << 16 | 0x400 } },
	{ .id = PCI_EXT_CAP_ID_LTR, .shown = true, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_SECPCI, .len = 0x2c },
	{ .id = PCI_EXT_CAP_ID_PMUX, .len = 16 },
	{ .id = PCI_EXT_CAP_ID_PASID, .len = 8 },
	/* Light-weight notification */
	{ .id = 0x1c, .to_next = true, .len = NEXT_OFF },
	{ .id = PCI_EXT_CAP_ID_DPC, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_L1SS, .shown = true, .len = 0x14 },
	{ .id = PCI_EXT_CAP_ID_PTM, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_DVSEC, .shown = true, .raw = true, .len = 0x18,
	  .init = { 0x01808086 } },
	{ .id = PCI_EXT_CAP_ID_DLF, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_PL_16GT, .len = 0x30 },
	{ .id = PCI_EXT_CAP_ID_NPEM, .len = 16 },
	{ .id = PCI_EXT_CAP_ID_PL_32GT, .len = 0x30 },
	/* VF Resizable BAR: three of them */
	{ .id = 0x24, .len = 4 + 3 * 8, .init = { 0, 3 << 5 } },
	{ .id = PCI_EXT_CAP_ID_DOE, .len = 0x18 },
	/* Device 3 */
	{ .id = 0x2f, .len = 0x10 },
	/* Encryption of the link, and others with lengths that nobody knows */
	{ .id = 0x30, .to_next = true, .len = NEXT_OFF },
	{ .id = 0x20, .to_next = true, .len = NEXT_OFF },
	{ .id = 0x2d, .to_next = true, .len = NEXT_OFF },
	{ .id = 0x37, .to_next = true, .len = NEXT_OFF },
	{ .id = 0xfffe, .to_next = true, .len = NEXT_OFF },
};

/* What to expect of one byte */
struct expect_byte {
	u8	write;
	u8	virt;
	u8	sticky;
};

static struct expect_byte expect_byte(const struct expect *e, unsigned int off)
{
	struct expect_byte b = {};
	unsigned int i;

	if (!e->shown)
		return b;
	for (i = 0; i < ARRAY_SIZE(e->reg); i++) {
		const struct reg *r = &e->reg[i];
		unsigned int shift = 8 * (off - r->off);

		if (off < r->off || off >= r->off + r->width)
			continue;
		b.write = r->write >> shift;
		b.virt = r->virt >> shift;
		b.sticky = r->sticky >> shift;
		return b;
	}
	if (e->raw)
		b.write = 0xff;
	return b;
}

static void check_cap(struct kunit *test, const struct vfio_pci_config *c,
		      const struct expect *e, unsigned int pos,
		      unsigned int hdr)
{
	unsigned int off;

	for (off = 0; off < hdr; off++) {
		KUNIT_EXPECT_EQ_MSG(test, write_bits(c, pos + off), 0,
				    "cap %#x header", e->id);
		KUNIT_EXPECT_EQ_MSG(test, c->virt[pos + off], 0xff,
				    "cap %#x header", e->id);
	}
	for (; off < e->len; off++) {
		struct expect_byte b = expect_byte(e, off);

		KUNIT_EXPECT_EQ_MSG(test, write_bits(c, pos + off), b.write,
				    "cap %#x write at %#x", e->id, off);
		KUNIT_EXPECT_EQ_MSG(test, c->virt[pos + off], b.virt,
				    "cap %#x virt at %#x", e->id, off);
		KUNIT_EXPECT_EQ_MSG(test, c->sticky[pos + off], b.sticky,
				    "cap %#x sticky at %#x", e->id, off);
		KUNIT_EXPECT_TRUE_MSG(test, c->claimed[pos + off],
				      "cap %#x at %#x", e->id, off);
	}
	if (e->to_next)
		return;
	KUNIT_EXPECT_FALSE_MSG(test, c->claimed[pos + off],
			       "cap %#x is longer than %#x", e->id, off);
	KUNIT_EXPECT_EQ_MSG(test, write_bits(c, pos + off), 0xff,
			    "behind cap %#x", e->id);
}

static void std_caps(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(std_expect); i++) {
		const struct expect *e = &std_expect[i];
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;

		for (j = 0; j < ARRAY_SIZE(e->init); j++)
			put32(f, STD_POS + 4 + 4 * j, e->init[j]);
		add_cap(f, STD_POS, e->id);
		if (e->to_next)
			add_cap(f, STD_POS + NEXT_OFF, PCI_CAP_ID_SSVID);
		c = build(test, f);
		check_cap(test, c, e, STD_POS, 2);
		KUNIT_EXPECT_EQ_MSG(test, c->shadow[PCI_CAPABILITY_LIST],
				    e->shown ? STD_POS : 0, "cap %#x", e->id);
		KUNIT_EXPECT_EQ(test, f->hidden, !e->shown + e->to_next);
		KUNIT_EXPECT_EQ(test, !!(c->shadow[PCI_STATUS] &
					 PCI_STATUS_CAP_LIST), e->shown);
	}
}

static void ext_caps(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(ext_expect); i++) {
		const struct expect *e = &ext_expect[i];
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;

		for (j = 0; j < ARRAY_SIZE(e->init); j++)
			put32(f, EXT_POS + 4 + 4 * j, e->init[j]);
		add_ext_cap(f, 0, EXT_POS, e->id);
		if (e->to_next)
			add_ext_cap(f, EXT_POS, EXT_POS + NEXT_OFF,
				    PCI_EXT_CAP_ID_DOE);
		c = build(test, f);
		check_cap(test, c, e, EXT_POS, 4);
		KUNIT_EXPECT_EQ_MSG(test, vfio_pci_config_shadow(c, EXT_POS),
				    e->shown ? e->id | 1 << 16 : 0,
				    "cap %#x", e->id);
	}
}

/* Every id has a fate, and none of them makes a header writable */
static void all_ids(struct kunit *test)
{
	unsigned int id;

	for (id = 0; id < 0x100; id++) {
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;

		add_cap(f, STD_POS, id);
		add_ext_cap(f, 0, EXT_POS, id + 1);
		c = vfio_pci_config_build(&f->desc);
		KUNIT_ASSERT_FALSE(test, IS_ERR(c));
		if (id != 0xff)
			KUNIT_EXPECT_EQ(test, 0,
					get_unaligned_le16(c->write + STD_POS));
		KUNIT_EXPECT_EQ(test, 0, get_unaligned_le32(c->write + EXT_POS));
		vfio_pci_config_destroy(c);
		kunit_kfree(test, f);
	}
}

struct msi_case {
	u16	flags;
	u16	len;
	u16	data;
	u16	mask;
};

static void msi_layouts(struct kunit *test)
{
	static const struct msi_case cases[] = {
		{ 0, 0x0a, 0x08, 0 },
		{ PCI_MSI_FLAGS_64BIT, 0x0e, 0x0c, 0 },
		{ PCI_MSI_FLAGS_MASKBIT, 0x14, 0x08, 0x0c },
		{ PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT, 0x18, 0x0c, 0x10 },
	};
	unsigned int i, off;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct msi_case *m = &cases[i];
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;

		add_cap(f, STD_POS, PCI_CAP_ID_MSI);
		put16(f, STD_POS + 2, m->flags | PCI_MSI_FLAGS_ENABLE | 3 << 1);
		c = build(test, f);
		KUNIT_EXPECT_EQ(test, c->msi, STD_POS);
		KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->write + STD_POS + 2),
				PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
		/* As long as SET_IRQS has not enabled it */
		KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->shadow + STD_POS + 2),
				m->flags | 3 << 1);
		KUNIT_EXPECT_EQ(test, c->msi_qmax, 3);
		KUNIT_EXPECT_EQ(test, c->msi_mask,
				m->mask ? STD_POS + m->mask : 0);
		KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + STD_POS + 4),
				0xfffffffc);
		if (m->data == 0x0c)
			KUNIT_EXPECT_EQ(test,
					get_unaligned_le32(c->write + STD_POS + 8),
					0xffffffff);
		KUNIT_EXPECT_EQ(test,
				get_unaligned_le16(c->write + STD_POS + m->data),
				0xffff);
		if (m->mask) {
			u8 *w = c->write + STD_POS + m->mask;

			/* One for each vector */
			KUNIT_EXPECT_EQ(test, get_unaligned_le32(w), 0xff);
			/* Pending bits are the device's */
			w = c->write + STD_POS + m->mask + 4;
			KUNIT_EXPECT_EQ(test, get_unaligned_le32(w), 0);
			w = c->virt + STD_POS + m->mask + 4;
			KUNIT_EXPECT_EQ(test, get_unaligned_le32(w), 0);
		}
		/* Nothing of it reaches the device by itself */
		for (off = 2; off < m->len; off++)
			KUNIT_EXPECT_EQ_MSG(test, c->write[STD_POS + off] &
					    ~c->virt[STD_POS + off], 0,
					    "layout %u at %#x", i, off);
		KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + m->len]);
		KUNIT_EXPECT_TRUE(test, c->claimed[STD_POS + m->len - 1]);
	}
}

/* No more than 32 vectors, nor registers that are not there */
static void msi_impossible(struct kunit *test)
{
	const u16 flags = PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT;
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	add_cap(f, STD_POS, PCI_CAP_ID_MSI);
	put16(f, STD_POS + 2, flags | PCI_MSI_FLAGS_QMASK);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->msi_qmax, 5);
	KUNIT_EXPECT_EQ(test,
			get_unaligned_le32(c->write + STD_POS + PCI_MSI_MASK_64),
			0xffffffff);

	/* The next capability begins in the middle, or nothing is behind */
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_MSI);
	add_cap(f, STD_POS + PCI_MSI_MASK_64, PCI_CAP_ID_VNDR);
	put16(f, STD_POS + 2, flags);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->msi, STD_POS);
	KUNIT_EXPECT_EQ(test, c->msi_mask, 0);

	f = fake_alloc(test);
	add_cap(f, PCI_CFG_SPACE_SIZE - 0x10, PCI_CAP_ID_MSI);
	put16(f, PCI_CFG_SPACE_SIZE - 0x10 + 2, flags);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->msi_mask, 0);
}

struct exp_case {
	u8	version;
	u8	type;
	u16	len;
	bool	devctl2;
};

static void express_layouts(struct kunit *test)
{
	static const struct exp_case cases[] = {
		{ 1, PCI_EXP_TYPE_ENDPOINT, 0x14, false },
		{ 1, PCI_EXP_TYPE_LEG_END, 0x14, false },
		{ 1, PCI_EXP_TYPE_RC_END, 0x0c, false },
		{ 2, PCI_EXP_TYPE_ENDPOINT, 0x3c, true },
		{ 2, PCI_EXP_TYPE_RC_END, 0x2c, true },
		{ 2, PCI_EXP_TYPE_RC_EC, 0x2c, true },
	};
	/* FLR, payload size, request size */
	const u16 devctl_virt = 0x8000 | 0x00e0 | 0x7000;
	/* LTR, 10-bit tags, OBFF, TLP prefix blocking */
	const u16 devctl2_virt = 0x0400 | 0x1000 | 0x6000 | 0x8000;
	unsigned int i, off;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct exp_case *e = &cases[i];
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;
		u8 *w, *v, *s;

		add_cap(f, STD_POS, PCI_CAP_ID_EXP);
		put16(f, STD_POS + 2, e->version | e->type << 4);
		c = build(test, f);
		w = c->write + STD_POS;
		v = c->virt + STD_POS;
		s = c->sticky + STD_POS;
		KUNIT_EXPECT_EQ(test, c->exp, STD_POS);
		KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], STD_POS);
		/* All but phantom functions */
		KUNIT_EXPECT_EQ(test, get_unaligned_le16(w + 0x08), 0xfdff);
		KUNIT_EXPECT_EQ(test, get_unaligned_le16(v + 0x08), devctl_virt);
		for (off = 0x0a; off < e->len; off++) {
			if (e->devctl2 && (off == 0x28 || off == 0x29))
				continue;
			KUNIT_EXPECT_EQ_MSG(test, w[off], 0, "layout %u at %#x",
					    i, off);
		}
		/*
		 * Device Status: the four kinds of errors, and Emergency Power
		 * Reduction Detected. RW1C bits of Link Status and Slot Status
		 * are for ports, and reserved in endpoints.
		 */
		for (off = 0x02; off < e->len; off++)
			KUNIT_EXPECT_EQ_MSG(test, s[off], off == 0x0a ? 0x4f : 0,
					    "layout %u at %#x", i, off);
		if (e->devctl2) {
			/* All but ARI forwarding */
			KUNIT_EXPECT_EQ(test, get_unaligned_le16(w + 0x28),
					0xffdf);
			KUNIT_EXPECT_EQ(test, get_unaligned_le16(v + 0x28),
					devctl2_virt);
		}
		KUNIT_EXPECT_TRUE(test, c->claimed[STD_POS + e->len - 1]);
		KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + e->len]);
	}
}

/* All of a capability is the device's, and not one byte more */
static void check_read_only(struct kunit *test, const struct vfio_pci_config *c,
			    unsigned int pos, unsigned int len)
{
	unsigned int off;

	for (off = 4; off < len; off++) {
		KUNIT_EXPECT_TRUE_MSG(test, c->claimed[pos + off], "at %#x", off);
		KUNIT_EXPECT_EQ_MSG(test, c->write[pos + off], 0, "at %#x", off);
		KUNIT_EXPECT_EQ_MSG(test, c->virt[pos + off], 0, "at %#x", off);
	}
	KUNIT_EXPECT_FALSE(test, c->claimed[pos + len]);
}

struct len_case {
	u32	dw;
	u16	len;
};

/* The type is in the upper 3 or 5 bits of the first 32 */
static void hypertransport_layouts(struct kunit *test)
{
	static const struct len_case cases[] = {
		/* Slave or primary, host or secondary interface */
		{ 0x00000000, 28 },
		{ 0x1f000000, 28 },
		{ 0x20000000, 24 },
		{ 0x3f000000, 24 },
		/* MSI mapping with an address, and with the usual one */
		{ 0xa8000000, 12 },
		{ 0xa8010000, 12 },
		{ 0xa8020000, 4 },
		{ 0xa8030000, 4 },
		/* Interrupt discovery and configuration: index and data */
		{ 0x80000000, 8 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake *f = fake_alloc(test);
		struct vfio_pci_config *c;

		add_cap(f, STD_POS, PCI_CAP_ID_HT);
		put32(f, STD_POS, cases[i].dw | PCI_CAP_ID_HT);
		c = build(test, f);
		KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], STD_POS);
		KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->write + STD_POS + 2),
				0);
		check_read_only(test, c, STD_POS, cases[i].len);
	}
}

/* Four virtual channels, and an arbitration table of 4 bits for each phase */
static void virtual_channels(struct kunit *test)
{
	static const struct len_case cases[] = {
		/* Without a table, whatever arbitration there is */
		{ 0x00000000, 0x10 + 4 * 12 },
		{ 0x0000000e, 0x10 + 4 * 12 },
		{ 0x05000001, 0x10 + 4 * 12 },
		/* 32, 64 and 128 phases at 0x50; the most of several */
		{ 0x05000002, 0x50 + 16 },
		{ 0x05000004, 0x50 + 32 },
		{ 0x05000008, 0x50 + 64 },
		{ 0x0500000e, 0x50 + 64 },
		{ 0x05000006, 0x50 + 32 },
	};
	static const u16 ids[] = {
		PCI_EXT_CAP_ID_VC, PCI_EXT_CAP_ID_VC9, PCI_EXT_CAP_ID_MFVC,
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < ARRAY_SIZE(ids); j++) {
			struct fake *f = fake_alloc(test);

			add_ext_cap(f, 0, EXT_POS, ids[j]);
			put32(f, EXT_POS + 4, 3);
			put32(f, EXT_POS + 8, cases[i].dw);
			check_read_only(test, build(test, f), EXT_POS,
					cases[i].len);
		}
	}
}

static void variable_lengths(struct kunit *test)
{
	struct vfio_pci_config *c;
	struct fake *f;

	/* Vendor specific: its own length, here 0x1b */
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_VNDR);
	f->image[STD_POS + 2] = 0x1b;
	c = build(test, f);
	KUNIT_EXPECT_TRUE(test, c->claimed[STD_POS + 0x1a]);
	KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + 0x1b]);
	KUNIT_EXPECT_EQ(test, c->write[STD_POS + 3], 0xff);

	/* PCI-X without and with ECC registers */
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_PCIX);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->write + STD_POS + 2), 0x7f);
	KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + 8]);
	/* Split Completion Discarded, Unexpected, Received ... Error Message */
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->sticky + STD_POS + 4),
			0x200c0000);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->sticky + STD_POS + 2), 0);
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_PCIX);
	put16(f, STD_POS + 2, 1 << 12);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + STD_POS + 8),
			0xffffffff);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + STD_POS + 4), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->sticky + STD_POS + 4),
			0x200c0000);
	KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + 24]);

	/* Enhanced allocation, three entries of 2, 3 and 5 dwords: read-only */
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_EA);
	f->image[STD_POS + 2] = 3;
	put32(f, STD_POS + 4, 1);
	put32(f, STD_POS + 12, 2);
	put32(f, STD_POS + 24, 4);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->write[STD_POS + 4 + 40 - 1], 0);
	KUNIT_EXPECT_FALSE(test, c->claimed[STD_POS + 4 + 40]);

	/* SATA with registers in configuration space, and without */
	f = fake_alloc(test);
	add_cap(f, STD_POS, PCI_CAP_ID_SATA);
	f->image[STD_POS + 4] = 0xf;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], STD_POS);
	check_read_only(test, c, STD_POS, 16);
	f->image[STD_POS + 4] = 4;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], STD_POS);
	check_read_only(test, c, STD_POS, 8);

	/* ACS with a vector for 40 ports, and for 256 */
	f = fake_alloc(test);
	add_ext_cap(f, 0, EXT_POS, PCI_EXT_CAP_ID_ACS);
	put32(f, EXT_POS + 4, PCI_ACS_EC | 40 << 8);
	c = build(test, f);
	KUNIT_EXPECT_TRUE(test, c->claimed[EXT_POS + 15]);
	KUNIT_EXPECT_FALSE(test, c->claimed[EXT_POS + 16]);
	put32(f, EXT_POS + 4, PCI_ACS_EC);
	c = build(test, f);
	KUNIT_EXPECT_FALSE(test, c->claimed[EXT_POS + 8 + 32]);

	/* CXL's DVSEC is no user's */
	f = fake_alloc(test);
	add_ext_cap(f, 0, EXT_POS, PCI_EXT_CAP_ID_DVSEC);
	put32(f, EXT_POS + 4, 0x03c01e98);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + EXT_POS + 0x0c), 0);
}

static void header(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;
	unsigned int pos;

	put32(f, PCI_COMMAND, 0x00100402);
	f->image[PCI_INTERRUPT_PIN] = 1;
	c = build(test, f);
	/* SERR, palette snooping and the like: everything but stepping */
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->write + PCI_COMMAND), 0x077f);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->virt + PCI_COMMAND), 0x0400);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->sticky + PCI_STATUS), 0xf900);
	/* Interrupt Disable is set by the kernel, the user's is not */
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(c->shadow + PCI_COMMAND), 2);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_INTERRUPT_PIN], 1);
	for (pos = 0; pos < PCI_STD_HEADER_SIZEOF; pos++) {
		static const struct { u8 pos, write; } more[] = {
			{ PCI_CACHE_LINE_SIZE, 0xff },
			{ PCI_LATENCY_TIMER, 0xff },
			{ PCI_BIST, 0x40 },
			{ PCI_INTERRUPT_LINE, 0xff },
		};
		u8 expect = 0;
		unsigned int i;

		if (pos == PCI_COMMAND || pos == PCI_COMMAND + 1)
			continue;
		for (i = 0; i < ARRAY_SIZE(more); i++)
			if (more[i].pos == pos)
				expect = more[i].write;
		KUNIT_EXPECT_EQ_MSG(test, c->write[pos], expect, "at %#x", pos);
	}
}

static void virtual_function(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	f->desc.is_virtfn = true;
	f->desc.no_command_memory = true;
	f->desc.bar[0].size = SZ_16K;
	f->desc.bar[0].flags = PCI_BASE_ADDRESS_MEM_TYPE_64;
	put32(f, PCI_VENDOR_ID, ~0U);
	f->image[PCI_INTERRUPT_PIN] = 1;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_VENDOR_ID, ~0U),
			0x56781234);
	/* Decodes for ever, and has no interrupt pin */
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_COMMAND, 0) & 0xffff,
			PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_bits(c, PCI_COMMAND, 0xffff) &
			PCI_COMMAND_MEMORY, 0);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_INTERRUPT_PIN], 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, PCI_BASE_ADDRESS_0),
			PCI_BASE_ADDRESS_MEM_TYPE_64);

	f->desc.is_virtfn = false;
	f->desc.no_intx = true;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_INTERRUPT_PIN], 0);
}

/* What is written to ASLS is read back, and does not reach the hardware */
static void intel_display(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	put32(f, PCI_INTEL_ASLS, 0x7f000000);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test,
			vfio_pci_config_hw_bits(c, PCI_INTEL_ASLS, ~0U), ~0U);

	/* What it has by now is not looked at */
	put32(f, PCI_INTEL_ASLS, 0x2000);
	f->desc.intel_display = true;
	f->desc.asls = 0x7f000000;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_bits(c, PCI_INTEL_ASLS, ~0U),
			0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, PCI_INTEL_ASLS),
			0x7f000000);
	vfio_pci_config_write_shadow(c, PCI_INTEL_ASLS, ~0U, 0x1000);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_INTEL_ASLS,
						    0x7f000000), 0x1000);
	/* Its neighbors are as they were */
	KUNIT_EXPECT_EQ(test,
			vfio_pci_config_hw_bits(c, PCI_INTEL_ASLS - 4, ~0U),
			~0U);
}

/* What the user reads after writing */
static u32 write_and_read(struct vfio_pci_config *c, unsigned int reg, u32 val)
{
	vfio_pci_config_write_shadow(c, reg, ~0U, val);
	return vfio_pci_config_merge(c, reg, 0x5a5a5a5a);
}

static void bar_sizing(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;
	unsigned int i;

	/* I/O, 32 bits, 64 bits prefetchable of 16 GiB, nothing, 4 GiB */
	f->desc.bar[0].size = 32;
	f->desc.bar[0].flags = PCI_BASE_ADDRESS_SPACE_IO;
	f->desc.bar[1].size = SZ_1M;
	f->desc.bar[2].size = 16ULL * SZ_1G;
	f->desc.bar[2].flags = PCI_BASE_ADDRESS_MEM_TYPE_64 |
			       PCI_BASE_ADDRESS_MEM_PREFETCH;
	f->desc.rom.size = SZ_64K;
	put32(f, PCI_BASE_ADDRESS_0, 0xc001);
	put32(f, PCI_BASE_ADDRESS_1, 0xfe100000);
	put32(f, PCI_BASE_ADDRESS_2, 0x0000000c);
	put32(f, PCI_BASE_ADDRESS_3, 0x00000038);
	put32(f, PCI_ROM_ADDRESS, 0xfe000001);
	c = build(test, f);

	/* As the device has them */
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_BASE_ADDRESS_0, 0),
			0xc001);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_BASE_ADDRESS_1, 0),
			0xfe100000);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_BASE_ADDRESS_2, 0),
			0x0000000c);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_BASE_ADDRESS_3, 0),
			0x00000038);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, PCI_ROM_ADDRESS, 0),
			0xfe000001);

	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_0, ~0U),
			0xffffffe1);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_1, ~0U),
			0xfff00000);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_2, ~0U),
			0x0000000c);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_3, ~0U),
			0xfffffffc);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_4, ~0U), 0);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_5, ~0U), 0);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_ROM_ADDRESS, ~0U),
			0xffff0001);

	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_0, 0), 1);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_1, 0x12345678),
			0x12300000);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_BASE_ADDRESS_2, 0), 0xc);
	KUNIT_EXPECT_EQ(test, write_and_read(c, PCI_ROM_ADDRESS, 0x1800), 0);

	/* And none of it is written to the device */
	for (i = PCI_BASE_ADDRESS_0; i <= PCI_BASE_ADDRESS_5; i += 4)
		KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_bits(c, i, ~0U), 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_bits(c, PCI_ROM_ADDRESS, ~0U),
			0);
}

/* The smallest and the largest, in all places */
static void bar_sizes(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;
	unsigned int shift, i;

	for (shift = 4; shift < 63; shift++) {
		u64 size = 1ULL << shift, sized;
		bool wide = shift > 31;

		for (i = 0; i < PCI_STD_NUM_BARS; i++) {
			f->desc.bar[i].size = wide && i % 2 ? 0 : size;
			f->desc.bar[i].flags = wide ?
					       PCI_BASE_ADDRESS_MEM_TYPE_64 : 0;
		}
		c = vfio_pci_config_build(&f->desc);
		KUNIT_ASSERT_FALSE(test, IS_ERR(c));
		for (i = 0; i < PCI_STD_NUM_BARS; i++) {
			unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;

			sized = write_and_read(c, reg, ~0U) & ~0xfU;
			if (wide)
				sized |= (u64)write_and_read(c, reg + 4, ~0U)
					 << 32;
			else
				sized |= 0xffffffff00000000ULL;
			KUNIT_EXPECT_EQ_MSG(test, ~sized + 1, size, "BAR %u", i);
			i += wide;
		}
		vfio_pci_config_destroy(c);
	}
}

static void linking(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	/* Hidden at the start, in the middle and at the end */
	add_cap(f, 0x40, PCI_CAP_ID_EA);
	add_cap(f, 0x60, PCI_CAP_ID_PM);
	add_cap(f, 0x70, PCI_CAP_ID_SHPC);
	add_cap(f, 0x50, PCI_CAP_ID_MSIX);
	add_cap(f, 0x80, PCI_CAP_ID_SSVID);
	add_ext_cap(f, 0, 0x100, PCI_EXT_CAP_ID_DPC);
	add_ext_cap(f, 0x100, 0x200, PCI_EXT_CAP_ID_ERR);
	add_ext_cap(f, 0x200, 0x140, PCI_EXT_CAP_ID_PASID);
	add_ext_cap(f, 0x140, 0x300, PCI_EXT_CAP_ID_DSN);
	add_ext_cap(f, 0x300, 0x320, PCI_EXT_CAP_ID_DOE);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], 0x60);
	KUNIT_EXPECT_EQ(test, c->shadow[0x61], 0x50);
	KUNIT_EXPECT_EQ(test, c->shadow[0x51], 0);
	KUNIT_EXPECT_EQ(test, c->pm, 0x60);
	KUNIT_EXPECT_EQ(test, c->msix, 0x50);
	/* The null capability leads on */
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x100), 0x20000000);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x200), 0x30010001);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x300), 0x00010003);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x140), 0);
	KUNIT_EXPECT_EQ(test, f->hidden, 6);
}

/* PME# is not the user's, whatever the device says */
static void no_pme(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	add_cap(f, 0x40, PCI_CAP_ID_PM);
	put16(f, 0x40 + PCI_PM_PMC, PCI_PM_CAP_PME_MASK | 0x3);
	put16(f, 0x40 + PCI_PM_CTRL, PCI_PM_CTRL_PME_ENABLE |
				     PCI_PM_CTRL_PME_STATUS |
				     PCI_PM_CTRL_NO_SOFT_RESET);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x40), 0x00030001);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x44),
			PCI_PM_CTRL_NO_SOFT_RESET);
}

static void broken_lists(struct kunit *test)
{
	struct vfio_pci_config *c;
	struct fake *f;

	/* A loop of two; a loop of one */
	f = fake_alloc(test);
	add_cap(f, 0x40, PCI_CAP_ID_PM);
	add_cap(f, 0x50, PCI_CAP_ID_MSIX);
	f->image[0x51] = 0x40;
	add_ext_cap(f, 0, 0x100, PCI_EXT_CAP_ID_DSN);
	put32(f, 0x100, get_unaligned_le32(f->image + 0x100) | 0x100U << 20);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[0x51], 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x100), 0x00010003);

	/* A loop that does not come back to the start */
	f = fake_alloc(test);
	add_cap(f, 0x40, PCI_CAP_ID_PM);
	add_cap(f, 0x50, PCI_CAP_ID_MSIX);
	add_cap(f, 0x60, PCI_CAP_ID_AF);
	f->image[0x61] = 0x50;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[0x41], 0x50);
	KUNIT_EXPECT_EQ(test, c->shadow[0x51], 0x60);
	KUNIT_EXPECT_EQ(test, c->shadow[0x61], 0);

	/* Into the header */
	f = fake_alloc(test);
	add_cap(f, 0x40, PCI_CAP_ID_PM);
	f->image[0x41] = 0x10;
	put32(f, 0x100, 0x03c10003);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[0x41], 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_shadow(c, 0x100), 0x00010003);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + 0x10), 0);

	/* At the very end, longer than there is room */
	f = fake_alloc(test);
	add_cap(f, 0xfc, PCI_CAP_ID_EXP);
	add_ext_cap(f, 0, 0x100, PCI_EXT_CAP_ID_DSN);
	add_ext_cap(f, 0x100, 0xffc, PCI_EXT_CAP_ID_SRIOV);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + 0xffc), 0);

	/* One into the other: neither takes registers of the other's */
	f = fake_alloc(test);
	add_cap(f, 0x40, PCI_CAP_ID_VNDR);
	f->image[0x42] = 0xff;
	add_cap(f, 0x48, PCI_CAP_ID_MSIX);
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->write[0x47], 0xff);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + 0x48), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(c->write + 0x50), 0);

	/* No list at all */
	f = fake_alloc(test);
	put16(f, PCI_STATUS, 0);
	f->image[PCI_CAPABILITY_LIST] = 0x40;
	f->desc.size = PCI_CFG_SPACE_SIZE;
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], 0);

	/* A device that is gone */
	f = fake_alloc(test);
	memset(f->image, 0xff, sizeof(f->image));
	c = build(test, f);
	KUNIT_EXPECT_EQ(test, c->shadow[PCI_CAPABILITY_LIST], 0);
}

/* What a user may write does not depend on what an earlier user did */
static void remembered(struct kunit *test)
{
	struct vfio_pci_config_seen *seen;
	struct vfio_pci_config *a, *b;
	struct fake *f = fake_alloc(test);

	seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	add_cap(f, STD_POS, PCI_CAP_ID_PM);
	add_cap(f, STD_POS + NEXT_OFF, PCI_CAP_ID_MSI);
	put16(f, STD_POS + NEXT_OFF + PCI_MSI_FLAGS,
	      PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 3 << 1);
	add_ext_cap(f, 0, EXT_POS, PCI_EXT_CAP_ID_ERR);
	add_ext_cap(f, EXT_POS, EXT_POS + 0x80, PCI_EXT_CAP_ID_VNDR);
	put32(f, EXT_POS + 0x80 + PCI_VNDR_HEADER, 0x20 << 20);
	f->desc.seen = seen;
	a = build(test, f);

	/* Both lists are gone, MSI is short, what is nobody's long */
	f->image[PCI_CAPABILITY_LIST] = 0;
	put16(f, PCI_STATUS, 0);
	f->image[STD_POS] = 0xff;
	put16(f, STD_POS + NEXT_OFF + PCI_MSI_FLAGS, 0);
	put32(f, EXT_POS, 0);
	put32(f, EXT_POS + 0x80 + PCI_VNDR_HEADER, 0xfff << 20);
	/* But this is what it is now */
	f->image[PCI_INTERRUPT_LINE] = 7;
	put16(f, PCI_COMMAND, PCI_COMMAND_MEMORY);
	b = build(test, f);
	KUNIT_EXPECT_MEMEQ(test, a->write, b->write, a->size);
	KUNIT_EXPECT_MEMEQ(test, a->virt, b->virt, a->size);
	KUNIT_EXPECT_MEMEQ(test, a->sticky, b->sticky, a->size);
	KUNIT_EXPECT_MEMEQ(test, a->claimed, b->claimed, a->size);
	KUNIT_EXPECT_EQ(test, STD_POS, b->pm);
	KUNIT_EXPECT_EQ(test, STD_POS + NEXT_OFF, b->msi);
	KUNIT_EXPECT_EQ(test, a->msi_mask, b->msi_mask);
	KUNIT_EXPECT_EQ(test, 3, b->msi_qmax);
	KUNIT_EXPECT_EQ(test, 0, a->shadow[PCI_INTERRUPT_LINE]);
	KUNIT_EXPECT_EQ(test, 7, b->shadow[PCI_INTERRUPT_LINE]);
	b->shadow[PCI_INTERRUPT_LINE] = 0;
	KUNIT_EXPECT_EQ(test, 0, a->shadow[PCI_COMMAND]);
	KUNIT_EXPECT_EQ(test, PCI_COMMAND_MEMORY, b->shadow[PCI_COMMAND]);
	b->shadow[PCI_COMMAND] = 0;
	KUNIT_EXPECT_MEMEQ(test, a->shadow, b->shadow, a->size);

	/* It could be otherwise */
	f->desc.seen = NULL;
	b = build(test, f);
	KUNIT_EXPECT_EQ(test, 0, b->pm);
	KUNIT_EXPECT_MEMNEQ(test, a->write, b->write, a->size);
}

static void read_fails(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	add_cap(f, 0x40, PCI_CAP_ID_MSI);
	add_ext_cap(f, 0, 0x100, PCI_EXT_CAP_ID_VNDR);
	for (f->fail_at = 4; f->fail_at < 0x200; f->fail_at += 4) {
		c = vfio_pci_config_build(&f->desc);
		if (!IS_ERR(c))
			vfio_pci_config_destroy(c);
		else
			KUNIT_EXPECT_EQ(test, PTR_ERR(c), -ENODEV);
	}
}

static void fill_random(struct rnd_state *rnd, struct fake *f)
{
	unsigned int i, pos;

	prandom_bytes_state(rnd, f->image, sizeof(f->image));
	put16(f, PCI_STATUS, PCI_STATUS_CAP_LIST);
	/* Ids that exist, so that the lists get somewhere */
	for (pos = 0x40; pos < 0x100; pos += 4)
		f->image[pos] = prandom_u32_state(rnd) % 0x18;
	for (pos = 0x100; pos < 0x1000; pos += 4)
		put32(f, pos, (prandom_u32_state(rnd) & 0xfff00000) | 1 << 16 |
			      prandom_u32_state(rnd) % 0x30);
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		f->desc.bar[i].size = 1ULL << (4 + prandom_u32_state(rnd) % 28);
}

/* Whatever the device says, some things stay true; KASAN watches the rest */
static void random_devices(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct rnd_state rnd;
	unsigned int i, pos, n;

	prandom_seed_state(&rnd, 4);
	for (i = 0; i < 500; i++) {
		struct vfio_pci_config *c;

		fill_random(&rnd, f);
		f->desc.size = i & 1 ? PCI_CFG_SPACE_SIZE :
				       PCI_CFG_SPACE_EXP_SIZE;
		c = vfio_pci_config_build(&f->desc);
		KUNIT_ASSERT_FALSE(test, IS_ERR(c));

		for (pos = PCI_BASE_ADDRESS_0; pos <= PCI_ROM_ADDRESS; pos += 4)
			KUNIT_EXPECT_EQ(test, 0,
					vfio_pci_config_hw_bits(c, pos, ~0U));
		/* The list that the user sees ends, and is not writable */
		pos = c->shadow[PCI_CAPABILITY_LIST];
		for (n = 0; pos && n <= 48; n++) {
			KUNIT_EXPECT_EQ(test, 0,
					get_unaligned_le16(c->write + pos));
			pos = c->shadow[pos + PCI_CAP_LIST_NEXT];
		}
		KUNIT_EXPECT_LE(test, n, 48);
		vfio_pci_config_destroy(c);
	}
}

static void merging(struct kunit *test)
{
	struct fake *f = fake_alloc(test);
	struct vfio_pci_config *c;

	add_cap(f, STD_POS, PCI_CAP_ID_EXP);
	put16(f, STD_POS + 2, 2);
	add_ext_cap(f, 0, EXT_POS, PCI_EXT_CAP_ID_ERR);
	c = build(test, f);

	/* Errors that were found are not cleared by a write that is not theirs */
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_value(c, STD_POS + 8, 0x000f,
						       0x000f0000, 0x0005),
			0x0005);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_value(c, PCI_COMMAND, 0x0006,
						       0xf9100107, 0x0000),
			0x00100101);
	/* And are cleared by one that is */
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_bits(c, EXT_POS + 4, ~0U), UNC);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_hw_value(c, EXT_POS + 4, UNC,
						       0xffffffff, 0x10),
			0x10);

	/* Virtual bits from the shadow, the rest from the device */
	vfio_pci_config_write_shadow(c, STD_POS + 8, 0xffff, 0x2abf);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, STD_POS + 8, 0xc0de5d5f),
			0xc0de2dbf);
	/* Only the lanes of the access */
	vfio_pci_config_write_shadow(c, STD_POS + 8, 0x00ff, 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_merge(c, STD_POS + 8, 0), 0x2000);
}

static void lanes_and_chunks(struct kunit *test)
{
	static const struct {
		u32		bits;
		unsigned int	lane[4];
		unsigned int	width[4];
	} cases[] = {
		{ 0x00000000, { 0 }, { 0 } },
		{ 0xffffffff, { 0 }, { 4 } },
		{ 0x01010101, { 0 }, { 4 } },
		{ 0x0000ffff, { 0 }, { 2 } },
		{ 0xffff0000, { 2 }, { 2 } },
		{ 0x00000001, { 0 }, { 1 } },
		{ 0x80000000, { 3 }, { 1 } },
		{ 0x00ffff00, { 1, 2 }, { 1, 1 } },
		{ 0x00ffffff, { 0, 2 }, { 2, 1 } },
		{ 0xffffff00, { 1, 2 }, { 1, 2 } },
		{ 0xff0000ff, { 0, 3 }, { 1, 1 } },
		{ 0xff00ff00, { 1, 3 }, { 1, 1 } },
		{ 0xff00ffff, { 0, 3 }, { 2, 1 } },
	};
	unsigned int i, j, lane, width;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0, lane = 0; ; j++, lane += width) {
			width = vfio_pci_config_next_write(cases[i].bits, &lane);
			KUNIT_ASSERT_LT(test, j, 4);
			KUNIT_EXPECT_EQ_MSG(test, width, cases[i].width[j],
					    "%#x", cases[i].bits);
			if (!width)
				break;
			KUNIT_EXPECT_EQ_MSG(test, lane, cases[i].lane[j], "%#x",
					    cases[i].bits);
		}
	}

	KUNIT_EXPECT_EQ(test, vfio_pci_config_lanes(0x10, 4), 0xffffffff);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_lanes(0x12, 2), 0xffff0000);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_lanes(0x11, 1), 0x0000ff00);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_chunk(0, 100), 4);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_chunk(0, 3), 2);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_chunk(2, 100), 2);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_chunk(1, 100), 1);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_chunk(4, 1), 1);
}

static struct kunit_case config_cases[] = {
	KUNIT_CASE(std_caps),
	KUNIT_CASE(ext_caps),
	KUNIT_CASE(all_ids),
	KUNIT_CASE(msi_layouts),
	KUNIT_CASE(msi_impossible),
	KUNIT_CASE(express_layouts),
	KUNIT_CASE(hypertransport_layouts),
	KUNIT_CASE(virtual_channels),
	KUNIT_CASE(variable_lengths),
	KUNIT_CASE(header),
	KUNIT_CASE(virtual_function),
	KUNIT_CASE(intel_display),
	KUNIT_CASE(bar_sizing),
	KUNIT_CASE(bar_sizes),
	KUNIT_CASE(linking),
	KUNIT_CASE(no_pme),
	KUNIT_CASE(broken_lists),
	KUNIT_CASE(remembered),
	KUNIT_CASE(read_fails),
	KUNIT_CASE(random_devices),
	KUNIT_CASE(merging),
	KUNIT_CASE(lanes_and_chunks),
	{}
};

static struct kunit_suite config_suite = {
	.name = "vfio_pci_config",
	.test_cases = config_cases,
};

kunit_test_suite(config_suite);
