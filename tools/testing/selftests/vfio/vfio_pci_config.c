// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space of vfio-pci: what a user may see and change. Uses whatever
 * devices of QEMU there are.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define CONFIG	VFIO_PCI_CONFIG_REGION_INDEX

FIXTURE(config)
{
	struct vp_dev d;
	unsigned int size;
};

FIXTURE_VARIANT(config)
{
	unsigned int vendor;
	unsigned int device;
};

FIXTURE_VARIANT_ADD(config, edu) {
	.vendor = EDU_VENDOR, .device = EDU_DEVICE,
};

FIXTURE_VARIANT_ADD(config, nvme) {
	.vendor = NVME_VENDOR, .device = NVME_DEVICE,
};

FIXTURE_VARIANT_ADD(config, e1000e) {
	.vendor = E1000E_VENDOR, .device = E1000E_DEVICE,
};

FIXTURE_VARIANT_ADD(config, igb) {
	.vendor = IGB_VENDOR, .device = IGB_DEVICE,
};

FIXTURE_VARIANT_ADD(config, testdev) {
	.vendor = TESTDEV_VENDOR, .device = TESTDEV_DEVICE,
};

FIXTURE_VARIANT_ADD(config, ivshmem) {
	.vendor = IVSHMEM_VENDOR, .device = IVSHMEM_DEVICE,
};

FIXTURE_VARIANT_ADD(config, virtio_net) {
	.vendor = 0x1af4, .device = 0x1041,
};

FIXTURE_SETUP(config)
{
	struct vfio_region_info info;
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, variant->vendor, variant->device, 0);
	if (ret == -ENODEV)
		SKIP(return, "no such device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_region(&self->d, CONFIG, &info));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  info.flags);
	EXPECT_EQ(7ULL << 40, info.offset);
	EXPECT_TRUE(info.size == 256 || info.size == 4096);
	self->size = info.size;
}

FIXTURE_TEARDOWN(config)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F(config, ids)
{
	EXPECT_EQ(variant->vendor, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(variant->device, vp_cfg_get(&self->d, PCI_DEVICE_ID, 2));
	EXPECT_EQ(variant->vendor | variant->device << 16,
		  vp_cfg_get(&self->d, PCI_VENDOR_ID, 4));
	/* nobody changes who it is */
	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_VENDOR_ID, 4, 0x12345678));
	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_CLASS_REVISION, 4, ~0U));
	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_SUBSYSTEM_VENDOR_ID, 4, ~0U));
	EXPECT_EQ(variant->vendor | variant->device << 16,
		  vp_cfg_get(&self->d, PCI_VENDOR_ID, 4));
	EXPECT_NE(~0U, vp_cfg_get(&self->d, PCI_CLASS_REVISION, 4));
}

/* Any way of cutting a read gives the same bytes */
TEST_F(config, sizes)
{
	__u8 whole[4096], again[4096];
	unsigned int pos, len;

	ASSERT_EQ((int)self->size, vp_read(&self->d, CONFIG, 0, whole,
					   self->size));
	for (pos = 0; pos < self->size; pos++)
		again[pos] = vp_cfg_get(&self->d, pos, 1);
	EXPECT_EQ(0, memcmp(whole, again, self->size));
	for (len = 2; len < 13; len++) {
		for (pos = 0; pos + len <= self->size; pos += len)
			ASSERT_EQ((int)len, vp_read(&self->d, CONFIG, pos,
						    again + pos, len));
		EXPECT_EQ(0, memcmp(whole, again, pos));
	}

	EXPECT_EQ(-EFAULT, vp_read(&self->d, CONFIG, self->size, again, 1));
	EXPECT_EQ(-EFAULT, vp_read(&self->d, CONFIG, self->size - 1, again, 2));
	EXPECT_EQ(-EFAULT, vp_write(&self->d, CONFIG, self->size, again, 1));
	EXPECT_EQ(-EFAULT, vp_read(&self->d, CONFIG, 0, vp_bad_pointer(), 4));
	EXPECT_EQ(-EFAULT, vp_write(&self->d, CONFIG, 0, vp_bad_pointer(), 4));
	EXPECT_EQ(0, vp_read(&self->d, CONFIG, 0, again, 0));
}

/* The sizing protocol, against what the kernel says of the regions */
TEST_F(config, bar_sizing)
{
	struct vfio_region_info info;
	__u64 before, size;
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		unsigned int pos = PCI_BASE_ADDRESS_0 + 4 * bar;
		__u32 low, high = 0, mask = ~0xfU;
		bool wide;

		before = vp_cfg_get(&self->d, pos, 4);
		wide = !(before & PCI_BASE_ADDRESS_SPACE_IO) &&
		       before & PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (before & PCI_BASE_ADDRESS_SPACE_IO)
			mask = ~3U;
		if (wide)
			before |= (__u64)vp_cfg_get(&self->d, pos + 4, 4) << 32;

		ASSERT_EQ(0, vp_cfg_set(&self->d, pos, 4, ~0U));
		low = vp_cfg_get(&self->d, pos, 4);
		if (wide) {
			ASSERT_EQ(0, vp_cfg_set(&self->d, pos + 4, 4, ~0U));
			high = vp_cfg_get(&self->d, pos + 4, 4);
		}
		size = (__u64)high << 32 | (low & mask);
		if (!wide && size)
			size |= ~0ULL << 32;
		size = size ? ~size + 1 : 0;
		ASSERT_EQ(0, vp_region(&self->d, bar, &info));
		EXPECT_EQ(info.size, size);
		EXPECT_EQ(low & ~mask, before & ~mask & 0xffffffff);

		/* byte by byte, and zero */
		ASSERT_EQ(0, vp_cfg_set(&self->d, pos, 4, 0));
		EXPECT_EQ(before & ~mask & 0xffffffff,
			  vp_cfg_get(&self->d, pos, 4));
		ASSERT_EQ(0, vp_cfg_set(&self->d, pos + 3, 1, 0xff));
		EXPECT_EQ(low & 0xff000000, vp_cfg_get(&self->d, pos, 4) &
					    ~(__u32)(before & ~mask));

		ASSERT_EQ(0, vp_cfg_set(&self->d, pos, 4, before));
		EXPECT_EQ((__u32)before, vp_cfg_get(&self->d, pos, 4));
		if (wide) {
			ASSERT_EQ(0, vp_cfg_set(&self->d, pos + 4, 4,
						before >> 32));
			EXPECT_EQ(before >> 32,
				  vp_cfg_get(&self->d, pos + 4, 4));
			bar++;
		}
	}
}

TEST_F(config, rom_sizing)
{
	struct vfio_region_info info;
	__u32 sized;

	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_ROM_ADDRESS, 4, ~0U));
	sized = vp_cfg_get(&self->d, PCI_ROM_ADDRESS, 4);
	if (!sized)
		SKIP(return, "no ROM");
	EXPECT_NE(0, sized & PCI_ROM_ADDRESS_ENABLE);
	sized = ~(sized & PCI_ROM_ADDRESS_MASK) + 1;
	ASSERT_EQ(0, vp_region(&self->d, VFIO_PCI_ROM_REGION_INDEX, &info));
	if (info.size)
		EXPECT_EQ(info.size, sized);
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_ROM_ADDRESS, 4, 0));
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_ROM_ADDRESS, 4));
}

/* Moving BARs changes nothing but what the user reads */
TEST_F(config, bars_stay)
{
	char path[PATH_MAX];
	__u8 before[64], after[64], *real;
	unsigned int bar;
	int fd;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/config", self->d.bdf);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(64, pread(fd, before, 64, 0));
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_BASE_ADDRESS_0 + 4 * bar,
					4, 0xdead0000));
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_ROM_ADDRESS, 4, 0xbeef0001));
	ASSERT_EQ(64, pread(fd, after, 64, 0));
	real = before + PCI_BASE_ADDRESS_0;
	EXPECT_EQ(0, memcmp(real, after + PCI_BASE_ADDRESS_0, 24));
	EXPECT_EQ(0, memcmp(before + PCI_ROM_ADDRESS, after + PCI_ROM_ADDRESS,
			    4));
	close(fd);
}

TEST_F(config, header_writable)
{
	__u32 line = vp_cfg_get(&self->d, PCI_INTERRUPT_LINE, 1);
	__u32 pin = vp_cfg_get(&self->d, PCI_INTERRUPT_PIN, 1);

	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_INTERRUPT_LINE, 2, 0x4342));
	EXPECT_EQ(0x42, vp_cfg_get(&self->d, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(pin, vp_cfg_get(&self->d, PCI_INTERRUPT_PIN, 1));
	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_INTERRUPT_LINE, 1, line));
	/* the list of capabilities is not the user's */
	pin = vp_cfg_get(&self->d, PCI_CAPABILITY_LIST, 4);
	EXPECT_EQ(0, vp_cfg_set(&self->d, PCI_CAPABILITY_LIST, 4, ~0U));
	EXPECT_EQ(pin, vp_cfg_get(&self->d, PCI_CAPABILITY_LIST, 4));
}

TEST_F(config, command)
{
	const __u32 bits[] = { PCI_COMMAND_MEMORY, PCI_COMMAND_MASTER,
			       PCI_COMMAND_INTX_DISABLE,
			       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			       PCI_COMMAND_INTX_DISABLE };
	unsigned int i;

	/* as it is after opening: decoding, not mastering */
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2) &
		     (PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, bits[i]));
		EXPECT_EQ(bits[i], vp_cfg_get(&self->d, PCI_COMMAND, 2));
		/* with the status register, by bytes */
		ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 4, 0));
		EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2));
		ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 1, bits[i]));
		ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND + 1, 1,
					bits[i] >> 8));
		EXPECT_EQ(bits[i], vp_cfg_get(&self->d, PCI_COMMAND, 2));
	}
}

/* Both lists end, and every member can be read and survives being written */
TEST_F(config, capabilities)
{
	unsigned int pos, n = 0;
	__u32 hdr;

	pos = vp_cfg_get(&self->d, PCI_CAPABILITY_LIST, 1);
	for (; pos; pos = hdr >> 8) {
		ASSERT_GT(48, ++n);
		ASSERT_LE(0x40, pos);
		hdr = vp_cfg_get(&self->d, pos, 2);
		ASSERT_GE(PCI_CAP_ID_AF, hdr & 0xff);
		EXPECT_EQ(0, vp_cfg_set(&self->d, pos, 2, 0xffff));
		EXPECT_EQ(hdr, vp_cfg_get(&self->d, pos, 2));
	}
	if (self->size == 256)
		return;
	for (pos = 0x100, n = 0; pos; pos = PCI_EXT_CAP_NEXT(hdr)) {
		ASSERT_GT(480, ++n);
		ASSERT_LE(0x100, pos);
		hdr = vp_cfg_get(&self->d, pos, 4);
		if (!hdr)
			break;
		EXPECT_EQ(0, vp_cfg_set(&self->d, pos, 4, ~0U));
		EXPECT_EQ(hdr, vp_cfg_get(&self->d, pos, 4));
	}
}

TEST_F(config, msix_is_read_only)
{
	unsigned int pos = vp_find_cap(&self->d, PCI_CAP_ID_MSIX);
	__u32 flags;

	if (!pos)
		SKIP(return, "no MSI-X");
	flags = vp_cfg_get(&self->d, pos + PCI_MSIX_FLAGS, 2);
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_MSIX_FLAGS, 2, ~0U));
	EXPECT_EQ(flags, vp_cfg_get(&self->d, pos + PCI_MSIX_FLAGS, 2));
}

TEST_F(config, power)
{
	unsigned int pos = vp_find_cap(&self->d, PCI_CAP_ID_PM), bar;
	struct vfio_region_info info;
	__u32 ctrl, saved;
	__u8 byte;

	if (!pos)
		SKIP(return, "no power management");
	ctrl = vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2);
	EXPECT_EQ(0, ctrl & (PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE |
			     PCI_PM_CTRL_PME_STATUS));
	EXPECT_EQ(0, vp_cfg_get(&self->d, pos + PCI_PM_PMC, 2) &
		     PCI_PM_CAP_PME_MASK);
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2,
				ctrl | PCI_PM_CTRL_PME_ENABLE));
	EXPECT_EQ(ctrl, vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2));

	vp_cfg_set(&self->d, PCI_COMMAND, 2,
		   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	saved = vp_cfg_get(&self->d, PCI_CACHE_LINE_SIZE, 1);
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		ASSERT_EQ(0, vp_region(&self->d, bar, &info));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			break;
	}
	ASSERT_GT(PCI_STD_NUM_BARS, bar);

	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl | 3));
	EXPECT_EQ(ctrl | 3, vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2));
	/* no memory in D3hot */
	EXPECT_EQ(-EIO, vp_read(&self->d, bar, 0, &byte, 1));
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl));
	EXPECT_EQ(ctrl, vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2));
	EXPECT_EQ(1, vp_read(&self->d, bar, 0, &byte, 1));
	/* and nothing is lost on the way */
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
		  vp_cfg_get(&self->d, PCI_COMMAND, 2));
	EXPECT_EQ(saved, vp_cfg_get(&self->d, PCI_CACHE_LINE_SIZE, 1));

	/* left in D3hot: the next user finds it awake */
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl | 3));
	vp_close_fds(&self->d);
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_EQ(ctrl, vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2));
	EXPECT_EQ(1, vp_read(&self->d, bar, 0, &byte, 1));
}

/* What is written to it in D3hot holds afterwards, in the device as well */
TEST_F(config, command_in_d3hot)
{
	unsigned int pos = vp_find_cap(&self->d, PCI_CAP_ID_PM);
	struct vfio_irq_info info;
	__u32 ctrl;
	int efd;

	if (!pos)
		SKIP(return, "no power management");
	ctrl = vp_cfg_get(&self->d, pos + PCI_PM_CTRL, 2);
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, 0));
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl | 3));
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl));
	EXPECT_EQ(PCI_COMMAND_MEMORY, vp_cfg_get(&self->d, PCI_COMMAND, 2));
	EXPECT_EQ(PCI_COMMAND_MEMORY,
		  vp_real_command(&self->d) & PCI_COMMAND_MEMORY);

	ASSERT_EQ(0, vp_irq_info(&self->d, VFIO_PCI_INTX_IRQ_INDEX, &info));
	if (!info.count)
		return;
	/* Nobody handles INTx yet, and so it is disabled, unseen by the user */
	EXPECT_NE(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2) &
		     PCI_COMMAND_INTX_DISABLE);
	efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, vp_irq_fds(&self->d, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &efd));
	EXPECT_EQ(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	/* Masked meanwhile, it stays masked */
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl | 3));
	ASSERT_EQ(0, vp_irq_none(&self->d, VFIO_IRQ_SET_ACTION_MASK,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1));
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl));
	EXPECT_NE(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	ASSERT_EQ(0, vp_irq_none(&self->d, VFIO_IRQ_SET_ACTION_UNMASK,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1));
	EXPECT_EQ(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	/* And the other way round */
	ASSERT_EQ(0, vp_irq_none(&self->d, VFIO_IRQ_SET_ACTION_MASK,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1));
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl | 3));
	ASSERT_EQ(0, vp_irq_none(&self->d, VFIO_IRQ_SET_ACTION_UNMASK,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1));
	ASSERT_EQ(0, vp_cfg_set(&self->d, pos + PCI_PM_CTRL, 2, ctrl));
	EXPECT_EQ(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	ASSERT_EQ(0, vp_irq_disable(&self->d, VFIO_PCI_INTX_IRQ_INDEX));
	EXPECT_NE(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	close(efd);
}

TEST_F(config, express)
{
	unsigned int pos = vp_find_cap(&self->d, PCI_CAP_ID_EXP);
	__u32 ctl, cap;

	if (!pos)
		SKIP(return, "not a PCI Express device");
	cap = vp_cfg_get(&self->d, pos + PCI_EXP_DEVCAP, 4);
	ctl = vp_cfg_get(&self->d, pos + PCI_EXP_DEVCTL, 2);
	EXPECT_EQ(0, ctl & PCI_EXP_DEVCTL_BCR_FLR);
	/* remembered, whatever the link has */
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_EXP_DEVCTL, 2,
				(ctl & ~PCI_EXP_DEVCTL_PAYLOAD) |
				PCI_EXP_DEVCTL_PAYLOAD_4096B));
	EXPECT_EQ(PCI_EXP_DEVCTL_PAYLOAD_4096B,
		  vp_cfg_get(&self->d, pos + PCI_EXP_DEVCTL, 2) &
		  PCI_EXP_DEVCTL_PAYLOAD);
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_EXP_DEVCTL, 2,
				(ctl & ~PCI_EXP_DEVCTL_READRQ) |
				PCI_EXP_DEVCTL_READRQ_256B));
	EXPECT_EQ(PCI_EXP_DEVCTL_READRQ_256B,
		  vp_cfg_get(&self->d, pos + PCI_EXP_DEVCTL, 2) &
		  PCI_EXP_DEVCTL_READRQ);
	/* never another function's requester id */
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_EXP_DEVCTL, 2,
				ctl | PCI_EXP_DEVCTL_PHANTOM));
	EXPECT_EQ(0, vp_cfg_get(&self->d, pos + PCI_EXP_DEVCTL, 2) &
		     PCI_EXP_DEVCTL_PHANTOM);

	if (!(cap & PCI_EXP_DEVCAP_FLR))
		return;
	/* a function level reset keeps the device usable, BARs included */
	vp_cfg_set(&self->d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, vp_cfg_set(&self->d, pos + PCI_EXP_DEVCTL, 2,
				ctl | PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(ctl, vp_cfg_get(&self->d, pos + PCI_EXP_DEVCTL, 2));
	EXPECT_EQ(variant->vendor, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
}

/* Unclaimed and claimed bytes, written with all ones, do no harm */
TEST_F(config, everything_written)
{
	unsigned int pos;
	__u8 ones = 0xff;

	for (pos = 0; pos < self->size; pos++)
		EXPECT_EQ(1, vp_write(&self->d, CONFIG, pos, &ones, 1));
	/* D3hot, reset, bus mastering: and still it answers */
	EXPECT_EQ(variant->vendor, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
	vp_close_fds(&self->d);
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	EXPECT_EQ(variant->vendor, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
}

TEST_HARNESS_MAIN
