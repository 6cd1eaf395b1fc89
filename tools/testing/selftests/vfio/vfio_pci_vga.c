// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VGA region, and a ROM of which firmware left a copy. Uses QEMU's VGA, whose
 * legacy registers are in its BAR 2 and whose memory is in its BAR 0 as well.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define VGA_VENDOR	0x1234
#define VGA_DEVICE	0x1111

#define REGION		VFIO_PCI_VGA_REGION_INDEX
#define MEMORY		0xa0000

/* Ports with an index and a value behind it, and what is in them */
#define SEQUENCER	0x3c4
#define GRAPHICS	0x3ce
#define CRTC		0x3d4
#define PLANES		2	/* of the sequencer: which are written */
#define CHAIN		4	/* of the sequencer: one address for all planes */
#define MODE		5	/* of graphics */
#define WINDOW		6	/* of graphics: where the memory is */
#define MASK		8	/* of graphics: which bits are written */
#define CURSOR		0x0e	/* of the CRTC; keeps what is written */
#define MISC_WRITE	0x3c2
#define MISC_READ	0x3cc

/* Where the ports from 0x3c0 on are in BAR 2 */
#define IN_BAR(port)	(0x400 + (port) - 0x3c0)

FIXTURE(vga)
{
	struct vp_dev d;
};

FIXTURE_SETUP(vga)
{
	struct vfio_region_info info;
	int ret;

	vp_init(&self->d);
	ret = vp_open(&self->d, VGA_VENDOR, VGA_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no VGA device");
	ASSERT_EQ(0, ret);
	ret = vp_region(&self->d, REGION, &info);
	if (ret == -EINVAL)
		SKIP(return, "built without VFIO_PCI_VGA");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2,
				PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
}

FIXTURE_TEARDOWN(vga)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

static int get(const struct vp_dev *d, __u64 port)
{
	__u8 val;
	int ret = vp_read(d, REGION, port, &val, 1);

	return ret == 1 ? val : ret;
}

static int set(const struct vp_dev *d, __u64 port, __u8 val)
{
	return vp_write(d, REGION, port, &val, 1);
}

/* One access for index and value */
static int set_indexed(const struct vp_dev *d, __u64 port, __u8 index, __u8 val)
{
	__u8 both[2] = { index, val };

	return vp_write(d, REGION, port, both, 2);
}

TEST_F(vga, info)
{
	struct vfio_region_info info;

	ASSERT_EQ(0, vp_region(&self->d, REGION, &info));
	EXPECT_EQ(0xc0000, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  info.flags);
	EXPECT_EQ(vp_offset(REGION, 0), (off_t)info.offset);
	EXPECT_EQ(MAP_FAILED, vp_mmap(&self->d, REGION, MEMORY, 4096));
}

/* What is written to the ports is found in the device, and the reverse */
TEST_F(vga, ports)
{
	struct vp_dev *d = &self->d;
	__u8 val;

	/* the ports of colour adapters */
	ASSERT_EQ(1, set(d, MISC_WRITE, 0x63));
	EXPECT_EQ(0x63, get(d, MISC_READ));
	for (val = 1; val; val <<= 1) {
		__u8 there = 0;

		ASSERT_EQ(2, set_indexed(d, CRTC, CURSOR, val));
		EXPECT_EQ(CURSOR, get(d, CRTC));
		EXPECT_EQ(val, get(d, CRTC + 1));
		EXPECT_EQ(1, vp_read(d, 2, IN_BAR(CRTC + 1), &there, 1));
		EXPECT_EQ(val, there);
		there = ~val;
		EXPECT_EQ(1, vp_write(d, 2, IN_BAR(CRTC + 1), &there, 1));
		EXPECT_EQ(there, get(d, CRTC + 1));
	}
}

TEST_F(vga, memory)
{
	struct vp_dev *d = &self->d;
	__u8 put[64], got[64];
	unsigned int i;

	/* the plain way: a byte of the window is a byte of the device's memory */
	ASSERT_EQ(2, set_indexed(d, SEQUENCER, PLANES, 0x0f));
	ASSERT_EQ(2, set_indexed(d, SEQUENCER, CHAIN, 0x0e));
	ASSERT_EQ(2, set_indexed(d, GRAPHICS, MODE, 0x40));
	ASSERT_EQ(2, set_indexed(d, GRAPHICS, WINDOW, 0x05));
	ASSERT_EQ(2, set_indexed(d, GRAPHICS, MASK, 0xff));

	for (i = 0; i < sizeof(put); i++)
		put[i] = 3 * i + 1;
	/* from an odd address */
	ASSERT_EQ(sizeof(put), vp_write(d, REGION, MEMORY + 1, put, sizeof(put)));
	ASSERT_EQ(sizeof(got), vp_read(d, REGION, MEMORY + 1, got, sizeof(got)));
	EXPECT_EQ(0, memcmp(put, got, sizeof(put)));
	ASSERT_EQ(sizeof(got), vp_read(d, 0, 1, got, sizeof(got)));
	EXPECT_EQ(0, memcmp(put, got, sizeof(put)));
	memset(put, 0xa5, sizeof(put));
	ASSERT_EQ(sizeof(put), vp_write(d, 0, 1, put, sizeof(put)));
	ASSERT_EQ(sizeof(got), vp_read(d, REGION, MEMORY + 1, got, sizeof(got)));
	EXPECT_EQ(0, memcmp(put, got, sizeof(put)));
}

/* Three ranges, and nothing around them */
TEST_F(vga, ranges)
{
	static const struct {
		__u64 pos;
		int ret;
	} cases[] = {
		{ 0, -EINVAL },
		{ 0x3af, -EINVAL },
		{ 0x3b0, 8 },
		{ 0x3b8, 4 },
		{ 0x3bb, 1 },
		{ 0x3bc, -EINVAL },
		{ 0x3bf, -EINVAL },
		{ 0x3c0, 8 },
		{ 0x3de, 2 },
		{ 0x3e0, -EINVAL },
		{ 0x9fffc, -EINVAL },
		{ 0xa0000, 8 },
		{ 0xbfffe, 2 },
		{ 0xbffff, 1 },
		{ 0xc0000, -EINVAL },
		{ 0xffffffffff, -EINVAL },
	};
	struct vp_dev *d = &self->d;
	__u8 buf[8];
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(cases[i].ret, vp_read(d, REGION, cases[i].pos, buf, 8))
			TH_LOG("at %#llx", cases[i].pos);
		if (cases[i].ret < 0)
			EXPECT_EQ(cases[i].ret,
				  vp_write(d, REGION, cases[i].pos, buf, 8));
	}
	EXPECT_EQ(-EFAULT, vp_read(d, REGION, MEMORY, vp_bad_pointer(), 4));
	EXPECT_EQ(-EFAULT, vp_write(d, REGION, MEMORY, vp_bad_pointer(), 4));
}

struct held_read {
	const struct vp_dev *d;
	char *page;
	int ret;
};

static void *held_read(void *arg)
{
	struct held_read *held = arg;

	held->ret = vp_read(held->d, REGION, MEMORY, held->page, 64);
	return NULL;
}

/* What the arbiter says of the device, or a negative errno */
static int arbiter_status(const char *bdf, char *buf, size_t size)
{
	int len, fd = open("/dev/vga_arbiter", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	len = snprintf(buf, size, "target PCI:%s", bdf);
	len = write(fd, buf, len) == len ? read(fd, buf, size - 1) : -1;
	if (len >= 0)
		buf[len] = '\0';
	close(fd);
	return len < 0 ? -EIO : 0;
}

/* While a user's memory does not arrive, other displays can be used */
TEST_F(vga, arbiter_is_free_in_a_page_fault)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct held_read held = { .d = &self->d };
	struct uffdio_zeropage zero = {};
	struct pollfd pfd;
	pthread_t thread;
	char status[512];

	pfd.fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pfd.events = POLLIN;
	if (pfd.fd < 0)
		SKIP(return, "no userfaultfd: errno %d", errno);
	held.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, held.page);
	ASSERT_EQ(0, ioctl(pfd.fd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)held.page;
	reg.range.len = 4096;
	ASSERT_EQ(0, ioctl(pfd.fd, UFFDIO_REGISTER, &reg));

	ASSERT_EQ(0, pthread_create(&thread, NULL, held_read, &held));
	EXPECT_EQ(1, poll(&pfd, 1, 20000));
	EXPECT_EQ(0, arbiter_status(self->d.bdf, status, sizeof(status)));
	EXPECT_NE(NULL, strstr(status, self->d.bdf));
	EXPECT_NE(NULL, strstr(status, "locks=none(0:0)")) {
		TH_LOG("%s", status);
	}

	zero.range = reg.range;
	ASSERT_EQ(0, ioctl(pfd.fd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(64, held.ret);
	close(pfd.fd);
}

TEST_F(vga, rom)
{
	struct vp_dev *d = &self->d;
	struct vfio_region_info info;
	__u8 head[3];

	ASSERT_EQ(0, vp_region(d, VFIO_PCI_ROM_REGION_INDEX, &info));
	if (!info.size)
		SKIP(return, "this VGA has no ROM");
	ASSERT_EQ(3, vp_read(d, VFIO_PCI_ROM_REGION_INDEX, 0, head, 3));
	EXPECT_EQ(0x55, head[0]);
	EXPECT_EQ(0xaa, head[1]);
	/* of so many blocks of 512 bytes */
	EXPECT_NE(0, head[2]);
	EXPECT_LE(head[2] * 512U, info.size);
}

TEST_HARNESS_MAIN
