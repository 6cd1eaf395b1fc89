// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of writes to configuration space that have consequences in the device,
 * of the kinds for which no device is at hand: vital product data, and the reset
 * of Advanced Features. And of what else needs a device that there is not: AtomicOps
 * of VFs, and regions of variant drivers.
 *
 * The device is a bus of its own, whose accesses end in an image and in what the
 * specification says that hardware does. All above it is real: the PCI core, and
 * vfio-pci from the user's memory on.
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "../config_perm.h"
#include "../vfio_pci_priv.h"

#define AF_POS		0x50
#define VPD_POS		0x60
#define VPD_SIZE	64

/* What the PCI core calls "af_flr", as its number in pci_dev.reset_methods */
#define AF_FLR_METHOD	4

/**
 * struct fake_device - a device with vital product data and Advanced Features
 * @core: as vfio-pci has it
 * @pdev: as the PCI core has it
 * @bus: where it is
 * @mapping: of its file, without mappings
 * @inode: of its file
 * @image: its configuration space
 * @vpd: its vital product data
 * @reads: of its configuration space
 * @transfers: of vital product data
 * @resets: by Advanced Features
 * @commands: writes of the Command register
 * @unlocked: those of them during which INTx could have been masked
 * @user: memory of a user
 */
struct fake_device {
	struct vfio_pci_core_device	core;
	struct pci_dev			pdev;
	struct pci_bus			bus;
	struct address_space		mapping;
	struct inode			inode;
	u8				image[PCI_CFG_SPACE_SIZE];
	u8				vpd[VPD_SIZE];
	unsigned int			reads;
	unsigned int			transfers;
	unsigned int			resets;
	unsigned int			commands;
	unsigned int			unlocked;
	void __user			*user;
};

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *val)
{
	struct fake_device *f = bus->sysdata;
	u32 mask = size == 4 ? ~0U : (1U << 8 * size) - 1;

	f->reads++;
	*val = get_unaligned_le32(f->image + (where & ~3)) >>
	       (8 * (where & 3)) & mask;
	return PCIBIOS_SUCCESSFUL;
}

/* The flag says which way, and is inverted when the four bytes are there */
static void fake_transfer(struct fake_device *f)
{
	u16 addr = get_unaligned_le16(f->image + VPD_POS + PCI_VPD_ADDR);
	u8 *data = f->image + VPD_POS + PCI_VPD_DATA;
	u8 *there = f->vpd + (addr & (VPD_SIZE - 4));

	f->transfers++;
	if (addr & PCI_VPD_ADDR_F)
		memcpy(there, data, 4);
	else
		memcpy(data, there, 4);
	put_unaligned_le16(addr ^ PCI_VPD_ADDR_F,
			   f->image + VPD_POS + PCI_VPD_ADDR);
}

static int fake_write(struct pci_bus *bus, unsigned int devfn, int where,
		      int size, u32 val)
{
	struct fake_device *f = bus->sysdata;
	int i;

	if (where < PCI_COMMAND + 2 && where + size > PCI_COMMAND) {
		f->commands++;
		f->unlocked += IS_ENABLED(CONFIG_LOCKDEP) &&
			       !lockdep_is_held(&f->core.irqlock);
	}
	for (i = 0; i < size; i++, val >>= 8) {
		/* Reads as zero */
		if (where + i == AF_POS + PCI_AF_CTRL)
			f->resets += val & PCI_AF_CTRL_FLR;
		else
			f->image[where + i] = val;
	}
	if (where <= VPD_POS + PCI_VPD_ADDR + 1 &&
	    where + size > VPD_POS + PCI_VPD_ADDR + 1)
		fake_transfer(f);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops fake_ops = {
	.read = fake_read,
	.write = fake_write,
};

static void fake_free(void *data)
{
	struct fake_device *f = data;

	vfio_pci_config_free(&f->core);
	vfio_pci_core_release_dev(&f->core.vdev);
}

static void fake_init_pci(struct fake_device *f)
{
	struct pci_dev *pdev = &f->pdev;

	f->bus.ops = &fake_ops;
	f->bus.sysdata = f;
	pdev->bus = &f->bus;
	pdev->vendor = 0x1234;
	pdev->device = 0x5678;
	pdev->hdr_type = PCI_HEADER_TYPE_NORMAL;
	pdev->cfg_size = PCI_CFG_SPACE_SIZE;
	pdev->current_state = PCI_D0;
	mutex_init(&pdev->dev.mutex);
	mutex_init(&pdev->vpd.lock);
	pdev->vpd.cap = VPD_POS;
	pdev->vpd.len = VPD_SIZE;
	pdev->reset_methods[0] = AF_FLR_METHOD;
	/* No need to wait for what takes no time */
	pdev->imm_ready = 1;
}

static struct fake_device *fake_alloc(struct kunit *test, u8 af_cap)
{
	struct fake_device *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned long user;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	put_unaligned_le32(0x56781234, f->image + PCI_VENDOR_ID);
	put_unaligned_le16(PCI_STATUS_CAP_LIST, f->image + PCI_STATUS);
	f->image[PCI_CAPABILITY_LIST] = AF_POS;
	f->image[AF_POS] = PCI_CAP_ID_AF;
	f->image[AF_POS + PCI_CAP_LIST_NEXT] = VPD_POS;
	f->image[AF_POS + PCI_AF_LENGTH] = PCI_CAP_AF_SIZEOF;
	f->image[AF_POS + PCI_AF_CAP] = af_cap;
	f->image[VPD_POS] = PCI_CAP_ID_VPD;
	for (i = 0; i < VPD_SIZE; i++)
		f->vpd[i] = i;
	fake_init_pci(f);

	address_space_init_once(&f->mapping);
	f->inode.i_mapping = &f->mapping;
	f->core.vdev.inode = &f->inode;
	f->core.vdev.dev = &f->pdev.dev;
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_core_init_dev(&f->core.vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_config_init(&f->core));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_free, f));

	user = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(user));
	f->user = (void __user *)user;
	return f;
}

static void user_write(struct kunit *test, struct fake_device *f,
		       unsigned int pos, unsigned int width, u32 val)
{
	__le32 le = cpu_to_le32(val);
	loff_t off = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + pos;

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(f->user, &le, width));
	KUNIT_EXPECT_EQ(test, width,
			vfio_pci_config_rw(&f->core, f->user, width, &off,
					   true));
}

static u32 user_read(struct kunit *test, struct fake_device *f,
		     unsigned int pos, unsigned int width)
{
	loff_t off = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + pos;
	__le32 le = 0;

	KUNIT_EXPECT_EQ(test, width,
			vfio_pci_config_rw(&f->core, f->user, width, &off,
					   false));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&le, f->user, width));
	return le32_to_cpu(le);
}

static u32 vpd_addr(struct kunit *test, struct fake_device *f)
{
	return user_read(test, f, VPD_POS + PCI_VPD_ADDR, 2);
}

static u32 vpd_data(struct kunit *test, struct fake_device *f)
{
	return user_read(test, f, VPD_POS + PCI_VPD_DATA, 4);
}

static void vpd_read(struct kunit *test)
{
	struct fake_device *f = fake_alloc(test, 0);
	unsigned int reads;

	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, 0x0010);
	KUNIT_EXPECT_EQ(test, f->transfers, 1);
	/* The user looks at what was transferred, and not at the device */
	reads = f->reads;
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x8010);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0x13121110);
	KUNIT_EXPECT_EQ(test, f->reads, reads);

	/* By bytes: it is the one with the flag that starts a transfer */
	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 1, 0x24);
	KUNIT_EXPECT_EQ(test, f->transfers, 1);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x8024);
	user_write(test, f, VPD_POS + PCI_VPD_ADDR + 1, 1, 0);
	KUNIT_EXPECT_EQ(test, f->transfers, 2);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x8024);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0x27262524);

	/* Together with the header, which stays */
	user_write(test, f, VPD_POS, 4, 0x0008ffff);
	KUNIT_EXPECT_EQ(test, f->transfers, 3);
	KUNIT_EXPECT_EQ(test, user_read(test, f, VPD_POS, 4), 0x80080003);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0x0b0a0908);
}

static void vpd_write(struct kunit *test)
{
	struct fake_device *f = fake_alloc(test, 0);

	/* Nothing happens before there is an address */
	user_write(test, f, VPD_POS + PCI_VPD_DATA, 4, 0xdeadbeef);
	KUNIT_EXPECT_EQ(test, f->transfers, 0);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0xdeadbeef);

	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, 0x8008);
	KUNIT_EXPECT_EQ(test, f->transfers, 1);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x0008);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(f->vpd + 4), 0x07060504);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(f->vpd + 8), 0xdeadbeef);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(f->vpd + 12), 0x0f0e0d0c);

	/* And back */
	user_write(test, f, VPD_POS + PCI_VPD_DATA, 4, 0);
	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, 0x0008);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0xdeadbeef);
}

/* What cannot be transferred looks as if it never ended */
static void vpd_refused(struct kunit *test)
{
	struct fake_device *f = fake_alloc(test, 0);

	user_write(test, f, VPD_POS + PCI_VPD_DATA, 4, 0xdeadbeef);
	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, VPD_SIZE);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), VPD_SIZE);
	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, 0x8000 | VPD_SIZE);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x8000 | VPD_SIZE);
	/* Addresses are multiples of 4 */
	user_write(test, f, VPD_POS + PCI_VPD_ADDR, 2, 0x8006);
	KUNIT_EXPECT_EQ(test, vpd_addr(test, f), 0x8006);
	KUNIT_EXPECT_EQ(test, vpd_data(test, f), 0xdeadbeef);
	KUNIT_EXPECT_EQ(test, f->transfers, 0);
}

static void af_reset(struct kunit *test)
{
	struct fake_device *f = fake_alloc(test, PCI_AF_CAP_TP | PCI_AF_CAP_FLR);

	/* No reset: a zero, other bits of the register, another register */
	user_write(test, f, AF_POS + PCI_AF_CTRL, 1, 0);
	user_write(test, f, AF_POS + PCI_AF_CTRL, 1, 0xfe);
	user_write(test, f, AF_POS + PCI_AF_STATUS, 1, 1);
	KUNIT_EXPECT_EQ(test, f->resets, 0);

	user_write(test, f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	user_write(test, f, AF_POS + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
	KUNIT_EXPECT_EQ(test, f->resets, 1);
	/* The bit reads as zero; what the user had set up is there again */
	KUNIT_EXPECT_EQ(test, user_read(test, f, AF_POS + PCI_AF_CTRL, 1), 0);
	KUNIT_EXPECT_EQ(test, user_read(test, f, PCI_COMMAND, 2),
			PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_EQ(test, f->image[PCI_COMMAND], PCI_COMMAND_MEMORY);

	/* Together with its neighbours */
	user_write(test, f, AF_POS + PCI_AF_CTRL, 2, 0xffff);
	KUNIT_EXPECT_EQ(test, f->resets, 2);
	KUNIT_EXPECT_EQ(test, f->image[AF_POS + PCI_AF_STATUS], 0);
}

/* Not without both capability bits, even if there is a way to reset it */
static void af_incapable(struct kunit *test)
{
	static const u8 caps[] = { 0, PCI_AF_CAP_TP, PCI_AF_CAP_FLR };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caps); i++) {
		struct fake_device *f = fake_alloc(test, caps[i]);
		unsigned int reads = f->reads;

		user_write(test, f, AF_POS + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
		KUNIT_EXPECT_EQ(test, f->resets, 0);
		/* The capability was looked at, and nothing was tried */
		KUNIT_EXPECT_EQ(test, f->reads, reads + 1);
	}
}

/*
 * Interrupt Disable is the handler's, which may set it at any time unless the
 * lock that it takes is held: then it stays set, whoever changes other bits.
 */
static void command_is_locked(struct kunit *test)
{
	struct fake_device *f = fake_alloc(test, 0);
	u16 cmd;

	put_unaligned_le16(PCI_COMMAND_INTX_DISABLE, f->image + PCI_COMMAND);
	f->commands = 0;
	f->unlocked = 0;

	cmd = vfio_pci_memory_lock_and_enable(&f->core);
	KUNIT_EXPECT_EQ(test, cmd, PCI_COMMAND_INTX_DISABLE);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(f->image + PCI_COMMAND),
			PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY);
	vfio_pci_memory_unlock_and_restore(&f->core, cmd);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(f->image + PCI_COMMAND),
			PCI_COMMAND_INTX_DISABLE);
	KUNIT_EXPECT_EQ(test, f->commands, 2);

	user_write(test, f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	user_write(test, f, PCI_COMMAND + 1, 1, PCI_COMMAND_SERR >> 8);
	KUNIT_EXPECT_EQ(test, get_unaligned_le16(f->image + PCI_COMMAND),
			PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MASTER |
			PCI_COMMAND_SERR);
	KUNIT_EXPECT_EQ(test, f->commands, 4);
	KUNIT_EXPECT_EQ(test, f->unlocked, 0);
}

#define EXP_POS		0x80

static bool info_has_caps(struct kunit *test, struct fake_device *f)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(f->user, &info, sizeof(info)));
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_get_info(&f->core, f->user));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&info, f->user, sizeof(info)));
	return info.flags & VFIO_DEVICE_FLAGS_CAPS;
}

/*
 * A VF has no AtomicOp Requester Enable, that of its PF counts. Without a root
 * port in sight, what is enabled is what somebody who sees it has allowed.
 */
static void atomics_of_vf(struct kunit *test)
{
	struct fake_device *vf = fake_alloc(test, 0);
	struct fake_device *pf = fake_alloc(test, 0);

	pf->pdev.pcie_cap = EXP_POS;
	pf->pdev.pcie_flags_reg = 2 | PCI_EXP_TYPE_RC_END << 4;
	vf->pdev.pcie_cap = EXP_POS;
	vf->pdev.pcie_flags_reg = pf->pdev.pcie_flags_reg;
	vf->pdev.is_virtfn = 1;
	vf->pdev.physfn = &pf->pdev;

	KUNIT_EXPECT_FALSE(test, info_has_caps(test, vf));
	KUNIT_EXPECT_FALSE(test, info_has_caps(test, pf));
	put_unaligned_le16(PCI_EXP_DEVCTL2_ATOMIC_REQ,
			   pf->image + EXP_POS + PCI_EXP_DEVCTL2);
	KUNIT_EXPECT_TRUE(test, info_has_caps(test, pf));
	KUNIT_EXPECT_TRUE(test, info_has_caps(test, vf));
}

static int region_mmap(struct vfio_pci_core_device *vdev,
		       struct vfio_pci_region *region,
		       struct vm_area_struct *vma)
{
	++*(unsigned int *)region->data;
	return 0;
}

static void region_release(struct vfio_pci_core_device *vdev,
			   struct vfio_pci_region *region)
{
}

/* A region that does not say that it can be mapped is not mapped */
static void region_mmap_flag(struct kunit *test)
{
	static const struct vfio_pci_regops ops = {
		.mmap = region_mmap,
		.release = region_release,
	};
	static const u64 first = VFIO_PCI_NUM_REGIONS;
	struct fake_device *f = fake_alloc(test, 0);
	struct vm_area_struct vma = {
		.vm_start = 0,
		.vm_end = PAGE_SIZE,
		.vm_pgoff = PHYS_PFN(VFIO_PCI_INDEX_TO_OFFSET(first)),
	};
	unsigned int mapped = 0;

	vm_flags_init(&vma, VM_SHARED);
	KUNIT_ASSERT_EQ(test, 0,
			vfio_pci_core_register_dev_region(&f->core, 1, 1, &ops,
							  PAGE_SIZE,
							  VFIO_REGION_INFO_FLAG_READ,
							  &mapped));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_core_mmap(&f->core.vdev, &vma));
	KUNIT_EXPECT_EQ(test, 0, mapped);
	f->core.region[0].flags |= VFIO_REGION_INFO_FLAG_MMAP;
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_core_mmap(&f->core.vdev, &vma));
	KUNIT_EXPECT_EQ(test, 1, mapped);
	kfree(f->core.region);
	f->core.region = NULL;
}

static struct kunit_case config_write_cases[] = {
	KUNIT_CASE(vpd_read),
	KUNIT_CASE(vpd_write),
	KUNIT_CASE(vpd_refused),
	KUNIT_CASE(af_reset),
	KUNIT_CASE(af_incapable),
	KUNIT_CASE(command_is_locked),
	KUNIT_CASE(atomics_of_vf),
	KUNIT_CASE(region_mmap_flag),
	{}
};

static struct kunit_suite config_write_suite = {
	.name = "vfio_pci_config_write",
	.test_cases = config_write_cases,
};

kunit_test_suite(config_write_suite);
