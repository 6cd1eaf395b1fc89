// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs and the ROM of vfio-pci: information, read and write, mmap, and memory
 * that goes away and comes back. Uses QEMU's edu, nvme, e1000e, igb and ivshmem.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "../lib/skip.h"
#include "../lib/vfio_pci.h"

FIXTURE(edu)
{
	struct vp_dev d;
};

FIXTURE_SETUP(edu)
{
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(edu)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F(edu, device_info)
{
	struct {
		struct vfio_device_info info;
		__u8 behind[8];
	} u;
	struct vp_dev *d = &self->d;

	memset(&u, 0xa5, sizeof(u));
	u.info.argsz = sizeof(u);
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_GET_INFO, &u.info));
	EXPECT_NE(0, u.info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, u.info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, u.info.num_irqs);
	EXPECT_EQ(0, u.info.cap_offset);
	EXPECT_EQ(0xa5, u.behind[0]);

	/* the older, shorter structure */
	memset(&u, 0xa5, sizeof(u));
	u.info.argsz = offsetof(struct vfio_device_info, cap_offset);
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_GET_INFO, &u.info));
	EXPECT_EQ(0xa5a5a5a5, u.info.cap_offset);
	u.info.argsz--;
	EXPECT_EQ(-EINVAL, call(d->fd, VFIO_DEVICE_GET_INFO, &u.info));
	EXPECT_EQ(-EFAULT, call(d->fd, VFIO_DEVICE_GET_INFO, NULL));
}

TEST_F(edu, region_info)
{
	struct vfio_region_info info;
	unsigned int i;

	ASSERT_EQ(0, vp_region(&self->d, 0, &info));
	EXPECT_EQ(1 << 20, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		  VFIO_REGION_INFO_FLAG_MMAP, info.flags);
	EXPECT_EQ(0, info.offset);
	EXPECT_EQ(0, info.cap_offset);
	for (i = 1; i < VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		ASSERT_EQ(0, vp_region(&self->d, i, &info));
		EXPECT_EQ(0, info.size);
		EXPECT_EQ(0, info.flags);
		EXPECT_EQ((__u64)i << 40, info.offset);
	}
	EXPECT_EQ(-EINVAL, vp_region(&self->d, VFIO_PCI_VGA_REGION_INDEX,
				     &info));
	EXPECT_EQ(-EINVAL, vp_region(&self->d, VFIO_PCI_NUM_REGIONS, &info));
	EXPECT_EQ(-EINVAL, vp_region(&self->d, ~0U, &info));
	info.argsz = sizeof(info) - 1;
	info.index = 0;
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_GET_REGION_INFO,
				&info));
}

TEST_F(edu, rw)
{
	struct vp_dev *d = &self->d;
	__u64 wide = 0x123456789abcdef0, back = 0;
	__u32 val;

	EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(d, 0, EDU_ID));
	EXPECT_EQ(0, vp_bar_set(d, 0, EDU_LIVENESS, 0x12345678));
	EXPECT_EQ(~0x12345678U, vp_bar_get(d, 0, EDU_LIVENESS));
	/* a register of 8 bytes, in one access */
	EXPECT_EQ(8, vp_write(d, 0, 0x80, &wide, 8));
	EXPECT_EQ(8, vp_read(d, 0, 0x80, &back, 8));
	EXPECT_EQ(wide, back);
	/* cut at the end of the region, and nothing behind it */
	EXPECT_EQ(4, vp_read(d, 0, (1 << 20) - 4, &back, 8));
	EXPECT_EQ(-EINVAL, vp_read(d, 0, 1 << 20, &val, 4));
	EXPECT_EQ(-EINVAL, vp_write(d, 0, 1 << 20, &val, 4));
	EXPECT_EQ(-EINVAL, vp_read(d, 1, 0, &val, 4));
	EXPECT_EQ(-EINVAL, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, 0, &val, 4));
	EXPECT_EQ(-EINVAL, vp_write(d, VFIO_PCI_ROM_REGION_INDEX, 0, &val, 4));
	EXPECT_EQ(-EINVAL, vp_read(d, VFIO_PCI_VGA_REGION_INDEX, 0xa0000, &val,
				   4));
	EXPECT_EQ(-EINVAL, vp_read(d, VFIO_PCI_NUM_REGIONS, 0, &val, 4));
	EXPECT_EQ(-EFAULT, vp_read(d, 0, EDU_ID, vp_bad_pointer(), 4));
	EXPECT_EQ(-EFAULT, vp_write(d, 0, EDU_LIVENESS, vp_bad_pointer(), 4));
	EXPECT_EQ(0, vp_read(d, 0, 0, &val, 0));
}

TEST_F(edu, mmap)
{
	const size_t ps = page_size();
	struct vp_dev *d = &self->d;
	volatile __u32 *reg;
	void *p;

	reg = vp_mmap(d, 0, 0, 1 << 20);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_EQ(EDU_ID_REVISION_1, reg[0]);
	reg[EDU_LIVENESS / 4] = 0xcafe;
	EXPECT_EQ(~0xcafeU, reg[EDU_LIVENESS / 4]);
	/* the last page, another mapping, the other way to the same register */
	EXPECT_EQ(reg[(1 << 18) - 1], vp_bar_get(d, 0, (1 << 20) - 4));
	p = vp_mmap(d, 0, ps, ps);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, vp_munmap(d, p));
	EXPECT_EQ(~0xcafeU, vp_bar_get(d, 0, EDU_LIVENESS));

	EXPECT_EQ(MAP_FAILED, vp_mmap(d, 0, ps, 1 << 20));
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, 0, 1 << 20, ps));
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, 1, 0, ps));
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, VFIO_PCI_ROM_REGION_INDEX, 0, ps));
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, VFIO_PCI_CONFIG_REGION_INDEX, 0, ps));
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, VFIO_PCI_NUM_REGIONS, 0, ps));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, ps, PROT_READ, MAP_PRIVATE, d->fd,
				   0));
	EXPECT_EQ(0, vp_munmap(d, (void *)reg));
}

/* A mapping keeps the device open after its file is closed */
TEST_F(edu, mmap_outlives_fd)
{
	volatile __u32 *reg = vp_mmap(&self->d, 0, 0, page_size());

	ASSERT_NE(MAP_FAILED, (void *)reg);
	close(self->d.fd);
	self->d.fd = -1;
	EXPECT_EQ(EDU_ID_REVISION_1, reg[0]);
	EXPECT_EQ(0, vp_munmap(&self->d, (void *)reg));
}

TEST_F(edu, memory_disabled)
{
	struct vp_dev *d = &self->d;
	volatile __u32 *reg = vp_mmap(d, 0, 0, 1 << 20);
	unsigned char buf[256];
	__u32 val;
	int i;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(mem_peek32(reg, &val));
		EXPECT_EQ(EDU_ID_REVISION_1, val);
		ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
		EXPECT_FALSE(mem_peek32(reg, &val));
		EXPECT_EQ(-EIO, vp_read(d, 0, 0, &val, 4));
		EXPECT_EQ(-EIO, vp_write(d, 0, EDU_LIVENESS, &val, 4));
		/* more than a register, less than one, and parts of two */
		memset(buf, 0x5a, sizeof(buf));
		EXPECT_EQ(-EIO, vp_read(d, 0, 0, buf, sizeof(buf)));
		EXPECT_EQ(-EIO, vp_read(d, 0, 0, buf, 3));
		EXPECT_EQ(-EIO, vp_read(d, 0, 2, buf, 4));
		EXPECT_EQ(-EIO, vp_write(d, 0, 0, buf, sizeof(buf)));
		EXPECT_EQ(-EIO, vp_write(d, 0, EDU_LIVENESS, buf, 3));
		EXPECT_EQ(0x5a, buf[0]);
		ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	}
	/* mapped while disabled, touched when enabled */
	ASSERT_EQ(0, vp_munmap(d, (void *)reg));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
	reg = vp_mmap(d, 0, 0, 1 << 20);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_FALSE(mem_peek32(reg, &val));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	ASSERT_TRUE(mem_peek32(reg, &val));
	EXPECT_EQ(EDU_ID_REVISION_1, val);
}

/* A child's copy of the mapping loses the memory, too */
TEST_F(edu, memory_disabled_in_child)
{
	volatile __u32 *reg = vp_mmap(&self->d, 0, 0, page_size());
	int to[2], from[2], status;
	__u32 val;
	pid_t pid;
	char c;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		bool before = mem_peek32(reg, &val), after;

		if (write(from[1], "x", 1) != 1 || read(to[0], &c, 1) != 1)
			_exit(1);
		after = mem_peek32(reg, &val);
		_exit(before && !after ? 0 : 2);
	}
	ASSERT_EQ(1, read(from[0], &c, 1));
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, 0));
	ASSERT_EQ(1, write(to[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(edu, reset_while_mapped)
{
	volatile __u32 *reg = vp_mmap(&self->d, 0, 0, page_size());
	int ret;

	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_EQ(EDU_ID_REVISION_1, reg[0]);
	ret = call(self->d.fd, VFIO_DEVICE_RESET, NULL);
	if (ret == -EINVAL)
		SKIP_REST("edu cannot be reset here");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(EDU_ID_REVISION_1, reg[0]);
}

/* Devices with a register that keeps its value, in BAR 0 */
FIXTURE(toggled)
{
	struct vp_dev d;
};

FIXTURE_VARIANT(toggled)
{
	unsigned int vendor;
	unsigned int device;
	unsigned int reg;
};

FIXTURE_VARIANT_ADD(toggled, edu)
{
	.vendor = EDU_VENDOR,
	.device = EDU_DEVICE,
	.reg = EDU_ID,
};

/* the version */
FIXTURE_VARIANT_ADD(toggled, nvme)
{
	.vendor = NVME_VENDOR,
	.device = NVME_DEVICE,
	.reg = 0x08,
};

/* the hardware address of both network cards */
FIXTURE_VARIANT_ADD(toggled, e1000e)
{
	.vendor = E1000E_VENDOR,
	.device = E1000E_DEVICE,
	.reg = 0x5400,
};

FIXTURE_VARIANT_ADD(toggled, igb)
{
	.vendor = IGB_VENDOR,
	.device = IGB_DEVICE,
	.reg = 0x5400,
};

FIXTURE_SETUP(toggled)
{
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, variant->vendor, variant->device, 0);
	if (ret == -ENODEV)
		SKIP(return, "no such device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(toggled)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* Page faults of a look at a register */
static long faults_of(volatile __u32 *reg, __u32 *val)
{
	long before = minor_faults();

	*val = *reg;
	return minor_faults() - before;
}

/* While a device is reset nobody has its memory; afterwards it is found again */
TEST_F(toggled, faults_after_reset)
{
	const size_t ps = page_size();
	unsigned int exp = vp_find_cap(&self->d, PCI_CAP_ID_EXP);
	volatile __u32 *page, *reg;
	__u32 val, now, ctl;
	int ret;

	page = vp_mmap(&self->d, 0, variant->reg & ~(ps - 1), ps);
	ASSERT_NE(MAP_FAILED, (void *)page);
	reg = page + variant->reg % ps / 4;
	/* the first ones are also those of the code */
	faults_of(reg, &val);
	EXPECT_EQ(0, faults_of(reg, &val));
	ret = call(self->d.fd, VFIO_DEVICE_RESET, NULL);
	if (ret == -EINVAL)
		SKIP_REST("it cannot be reset alone");
	ASSERT_EQ(0, ret);
	EXPECT_LT(0, faults_of(reg, &now));
	EXPECT_EQ(val, now);
	EXPECT_EQ(0, faults_of(reg, &now));

	/* by a write to configuration space, too */
	if (!exp || !(vp_cfg_get(&self->d, exp + PCI_EXP_DEVCAP, 4) &
		      PCI_EXP_DEVCAP_FLR))
		return;
	ctl = vp_cfg_get(&self->d, exp + PCI_EXP_DEVCTL, 2);
	ASSERT_EQ(0, vp_cfg_set(&self->d, exp + PCI_EXP_DEVCTL, 2,
				ctl | PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_LT(0, faults_of(reg, &now));
	EXPECT_EQ(val, now);
}

struct toggler {
	const struct vp_dev *d;
	volatile bool stop;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;
	int i;

	for (i = 0; !t->stop; i++)
		vp_cfg_set(t->d, PCI_COMMAND, 2, i & 1 ? PCI_COMMAND_MEMORY : 0);
	vp_cfg_set(t->d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	return NULL;
}

/* Memory that comes and goes under a mapping: the value or SIGBUS, never else */
TEST_F(toggled, under_load)
{
	const size_t ps = page_size();
	unsigned int got = 0, bus = 0, wrong = 0;
	struct vp_dev *d = &self->d;
	struct toggler t = { .d = d };
	volatile __u32 *reg;
	pthread_t thread;
	double end;
	__u32 val, is;
	int n;

	reg = vp_mmap(d, 0, variant->reg & ~(ps - 1), ps);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	reg += variant->reg % ps / 4;
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	ASSERT_TRUE(mem_peek32(reg, &is));
	ASSERT_NE(0, is);
	ASSERT_NE(~0U, is);

	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle, &t));
	end = seconds_now() + 1;
	while (!wrong && (!got || !bus || seconds_now() < end)) {
		if (!mem_peek32(reg, &val))
			bus++;
		else if (val == is)
			got++;
		else
			wrong++;
		n = vp_read(d, 0, variant->reg, &val, 4);
		if (n != -EIO && (n != 4 || val != is))
			wrong++;
	}
	t.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
	ASSERT_TRUE(mem_peek32(reg, &val));
	EXPECT_EQ(is, val);
}

/* Regions of other devices */
FIXTURE(other)
{
	struct vp_dev d;
};

FIXTURE_SETUP(other)
{
	vp_init(&self->d);
}

FIXTURE_TEARDOWN(other)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

/* The vector table reads as ones by read(), and its capability says so */
TEST_F(other, msix_table)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
		__u8 behind[8];
	} u;
	unsigned int pos, bar, table;
	struct vp_dev *d = &self->d;
	struct vfio_region_info info;
	__u32 val, i;
	__u8 run[64];
	int ret;

	ret = vp_open(d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
	pos = vp_find_cap(d, PCI_CAP_ID_MSIX);
	ASSERT_NE(0, pos);
	val = vp_cfg_get(d, pos + PCI_MSIX_TABLE, 4);
	bar = val & PCI_MSIX_TABLE_BIR;
	table = val & PCI_MSIX_TABLE_OFFSET;

	/* asked without room for the capability, then with */
	ASSERT_EQ(0, vp_region(d, bar, &info));
	EXPECT_EQ(sizeof(u.info) + sizeof(u.cap), info.argsz);
	EXPECT_EQ(0, info.cap_offset);
	EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	memset(&u, 0xa5, sizeof(u));
	u.info.argsz = sizeof(u);
	u.info.index = bar;
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_GET_REGION_INFO, &u));
	EXPECT_EQ(sizeof(u), u.info.argsz);
	EXPECT_EQ(sizeof(u.info), u.info.cap_offset);
	EXPECT_EQ(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, u.cap.id);
	EXPECT_EQ(1, u.cap.version);
	EXPECT_EQ(0, u.cap.next);
	EXPECT_EQ(0xa5, u.behind[0]);
	/* a BAR without the table has none */
	ASSERT_EQ(0, vp_region(d, bar ? 0 : 5, &info));
	EXPECT_EQ(sizeof(info), info.argsz);

	ASSERT_EQ(64, vp_read(d, bar, table, run, 64));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0xff, run[i]);
	memset(run, 0, sizeof(run));
	EXPECT_EQ(64, vp_write(d, bar, table, run, 64));
	/* across the border */
	if (table >= 8) {
		ASSERT_EQ(16, vp_read(d, bar, table - 8, run, 16));
		for (i = 8; i < 16; i++)
			EXPECT_EQ(0xff, run[i]);
	}
	/* the file does not forbid to map it */
	EXPECT_NE(MAP_FAILED, vp_mmap(d, bar, table & ~(page_size() - 1),
				      page_size()));
}

/* Controller registers of nvme by every width */
TEST_F(other, widths)
{
	struct vp_dev *d = &self->d;
	__u8 one[64], two[64];
	unsigned int w, i;
	int ret;

	ret = vp_open(d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(64, vp_read(d, 0, 0, one, 64));
	for (w = 4; w <= 8; w *= 2) {
		for (i = 0; i < 64; i += w)
			ASSERT_EQ((int)w, vp_read(d, 0, i, two + i, w));
		EXPECT_EQ(0, memcmp(one, two, 64));
	}
	/* a run from an odd start, as the registers of nvme allow */
	ASSERT_EQ(60, vp_read(d, 0, 4, two, 60));
	EXPECT_EQ(0, memcmp(one + 4, two, 60));
}

TEST_F(other, rom)
{
	struct vp_dev *d = &self->d;
	struct vfio_region_info info;
	__u8 head[4096], byte;
	int ret;

	ret = vp_open(d, E1000E_VENDOR, E1000E_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no e1000e device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_region(d, VFIO_PCI_ROM_REGION_INDEX, &info));
	if (!info.size)
		SKIP(return, "this e1000e has no ROM");
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ, info.flags);
	ASSERT_EQ(4096, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, 0, head, 4096));
	EXPECT_EQ(0x55, head[0]);
	EXPECT_EQ(0xaa, head[1]);
	ASSERT_EQ(1, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, info.size - 1, &byte,
			     1));
	EXPECT_EQ(-EINVAL, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, info.size,
				   &byte, 1));
	EXPECT_EQ(-EINVAL, vp_write(d, VFIO_PCI_ROM_REGION_INDEX, 0, &byte, 1));
	/* reading it needs memory decoding; finding it does not */
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
	EXPECT_EQ(-EIO, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, 0, head, 4));
	ASSERT_EQ(0, vp_region(d, VFIO_PCI_ROM_REGION_INDEX, &info));
	EXPECT_NE(0, info.size);
	EXPECT_EQ(0, vp_cfg_get(d, PCI_COMMAND, 2));
}

TEST_F(other, io_ports)
{
	struct vp_dev *d = &self->d;
	struct vfio_region_info info;
	unsigned int bar;
	__u32 val;
	int ret;

	ret = vp_open(d, E1000E_VENDOR, E1000E_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no e1000e device");
	ASSERT_EQ(0, ret);
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (vp_cfg_get(d, PCI_BASE_ADDRESS_0 + 4 * bar, 4) &
		    PCI_BASE_ADDRESS_SPACE_IO)
			break;
	ASSERT_GT(PCI_STD_NUM_BARS, bar);
	ASSERT_EQ(0, vp_region(d, bar, &info));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  info.flags);
	EXPECT_EQ(MAP_FAILED, vp_mmap(d, bar, 0, page_size()));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2,
				PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	/* IOADDR and IODATA: the STATUS register, as by BAR 0 */
	ASSERT_EQ(0, vp_bar_set(d, bar, 0, 8));
	EXPECT_EQ(8, vp_bar_get(d, bar, 0));
	val = vp_bar_get(d, bar, 4);
	EXPECT_EQ(vp_bar_get(d, 0, 8), val);
	/* I/O decoding is a switch of its own: no error, but no answer */
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	EXPECT_EQ(~0U, vp_bar_get(d, bar, 0));
}

/* A large BAR, all of it, by reading and by pages */
TEST_F(other, large)
{
	const size_t ps = page_size();
	struct vp_dev *d = &self->d;
	struct vfio_region_info info;
	unsigned char *p, *q;
	__u64 i;
	int ret;

	ret = vp_open(d, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no ivshmem device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_region(d, 2, &info));
	p = vp_mmap(d, 2, 0, info.size);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < info.size; i += ps)
		*(volatile __u32 *)(p + i) = i;
	for (i = 0; i < info.size; i += ps)
		ASSERT_EQ(i, *(volatile __u32 *)(p + i));
	q = malloc(1 << 20);
	ASSERT_NE(NULL, q);
	ASSERT_EQ(1 << 20, vp_read(d, 2, 0, q, 1 << 20));
	EXPECT_EQ(0, memcmp(p, q, 1 << 20));
	memset(q, 0x5a, 1 << 20);
	ASSERT_EQ((1 << 20) - 3, vp_write(d, 2, 3, q + 3, (1 << 20) - 3));
	EXPECT_EQ(0, memcmp(p + 4, q + 4, (1 << 20) - 4));
	EXPECT_EQ(0, p[0]);
	free(q);
	/* parts of it go, the rest stays */
	ASSERT_EQ(0, munmap(p + ps, 2 * ps));
	EXPECT_EQ(0x5a, p[3]);
	EXPECT_EQ(0x5a, p[3 * ps]);
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0x5a, p[3 * ps]);
}

#define TRACES		"/sys/kernel/tracing/instances/vfio_pci_bar"
#define FAULTS		TRACES "/events/vfio_pci/vfio_pci_fault"
#define HUGE		"/sys/kernel/mm/transparent_hugepage"
#define HUGE_SIZE	(2UL << 20)
#define HUGE_ORDER	9
#define FAULT_DONE	0x100	/* VM_FAULT_NOPAGE */

/**
 * struct faults - what page faults have mapped
 * @huge: faults that mapped 2 MiB
 * @base: that mapped base pages
 */
struct faults {
	unsigned int huge;
	unsigned int base;
};

/* What there was since the last call */
static int count_faults(const char *bdf, struct faults *f)
{
	unsigned int order, ret;
	char line[512], *rest;
	FILE *file;

	memset(f, 0, sizeof(*f));
	file = fopen(TRACES "/trace", "r");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		rest = strstr(line, "order=");
		if (!strstr(line, bdf) || !rest ||
		    sscanf(rest, "order=%u ret=%x", &order, &ret) != 2 ||
		    ret != FAULT_DONE)
			continue;
		if (order == HUGE_ORDER)
			f->huge++;
		else if (!order)
			f->base++;
	}
	fclose(file);
	/* truncating it empties it */
	file = fopen(TRACES "/trace", "w");
	return file ? fclose(file) : -errno;
}

static void touch_all(volatile unsigned char *p, size_t length)
{
	const size_t ps = page_size();
	size_t i;

	for (i = 0; i < length; i += ps)
		(void)p[i];
}

static unsigned long huge_page_size(void)
{
	char text[32];

	if (file_read(HUGE "/hpage_pmd_size", text, sizeof(text)) < 0)
		return 0;
	return strtoul(text, NULL, 10);
}

FIXTURE(huge)
{
	struct vp_dev d;
	unsigned char *room;
	size_t size;
	bool traces;
};

FIXTURE_SETUP(huge)
{
	struct vfio_region_info info;
	int ret;

	vp_init(&self->d);
	self->room = MAP_FAILED;
	self->traces = false;
	if (access(HUGE, F_OK))
		SKIP(return, "no transparent huge pages");
	if (huge_page_size() != HUGE_SIZE)
		SKIP(return, "huge pages here are not of 2 MiB");
	if (mkdir(TRACES, 0700) && errno != EEXIST)
		SKIP(return, "no tracing");
	self->traces = true;
	if (access(FAULTS, F_OK))
		SKIP(return, "no tracepoints of vfio-pci");
	ret = vp_open(&self->d, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no ivshmem device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_region(&self->d, 2, &info));
	self->size = info.size;
	ASSERT_EQ(0, self->size % HUGE_SIZE);
	/* room for it at any distance from a multiple of a huge page */
	self->room = mmap(NULL, self->size + 2 * HUGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->room);
	ASSERT_EQ(0, file_write(FAULTS "/enable", "1"));
}

FIXTURE_TEARDOWN(huge)
{
	if (self->room != MAP_FAILED)
		munmap(self->room, self->size + 2 * HUGE_SIZE);
	EXPECT_EQ(0, vp_close(&self->d));
	if (self->traces) {
		file_write(FAULTS "/enable", "0");
		EXPECT_EQ(0, rmdir(TRACES));
	}
}

static unsigned char *map_at(FIXTURE_DATA(huge) *self, size_t distance,
			     __u64 pos, size_t length)
{
	unsigned long at = (unsigned long)self->room + HUGE_SIZE - 1;

	at = at / HUGE_SIZE * HUGE_SIZE + distance;
	return mmap((void *)at, length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, self->d.fd, vp_offset(2, pos));
}

/* As few faults as there are huge pages, also after the memory was gone */
TEST_F(huge, aligned)
{
	struct vp_dev *d = &self->d;
	struct faults f;
	unsigned char *p;
	int i;

	p = map_at(self, 0, 0, self->size);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 2; i++) {
		touch_all(p, self->size);
		ASSERT_EQ(0, count_faults(d->bdf, &f));
		EXPECT_EQ(self->size / HUGE_SIZE, f.huge);
		EXPECT_EQ(0, f.base);
		ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, 0));
		ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	}
	/* all there, and nothing there twice */
	for (i = 0; i < 4; i++)
		*(volatile __u32 *)(p + i * HUGE_SIZE) = i + 1;
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i + 1U, vp_bar_get(d, 2, i * HUGE_SIZE));
}

/* The rest of a huge page of which a part is unmapped: in base pages */
TEST_F(huge, partly_unmapped)
{
	const size_t ps = page_size();
	struct vp_dev *d = &self->d;
	struct faults f;
	unsigned char *p;

	p = map_at(self, 0, 0, 2 * HUGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)p);
	*(volatile __u32 *)p = 0x1234;
	*(volatile __u32 *)(p + 2 * ps) = 0x5678;
	touch_all(p, 2 * HUGE_SIZE);
	ASSERT_EQ(0, count_faults(d->bdf, &f));
	EXPECT_EQ(2, f.huge);
	ASSERT_EQ(0, munmap(p + ps, ps));
	EXPECT_EQ(0x1234, *(volatile __u32 *)p);
	EXPECT_EQ(0x5678, *(volatile __u32 *)(p + 2 * ps));
	touch_all(p + 2 * ps, 2 * HUGE_SIZE - 2 * ps);
	ASSERT_EQ(0, count_faults(d->bdf, &f));
	EXPECT_EQ(0, f.huge);
	EXPECT_LT(0, f.base);
}

/* An address that differs from the device's in the lower bits: base pages */
TEST_F(huge, not_aligned)
{
	struct faults f;
	unsigned char *p;

	p = map_at(self, page_size(), 0, 2 * HUGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)p);
	touch_all(p, 2 * HUGE_SIZE);
	ASSERT_EQ(0, count_faults(self->d.bdf, &f));
	EXPECT_EQ(0, f.huge);
	EXPECT_LT(0, f.base);
}

/* From the middle of a huge page to the middle of one: its ends are base pages */
TEST_F(huge, ends)
{
	const size_t half = HUGE_SIZE / 2;
	struct faults f;
	unsigned char *p;

	p = map_at(self, half, half, 3 * HUGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)p);
	touch_all(p, 3 * HUGE_SIZE);
	ASSERT_EQ(0, count_faults(self->d.bdf, &f));
	EXPECT_EQ(2, f.huge);
	EXPECT_LT(0, f.base);
	*(volatile __u32 *)(p + half) = 0x1234;
	EXPECT_EQ(0x1234U, vp_bar_get(&self->d, 2, HUGE_SIZE));
}

TEST_HARNESS_MAIN
