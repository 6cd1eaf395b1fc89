// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own variant drivers, built by "make variants": each that was built
 * loads beside our vfio-pci-core, and the one for virtio drives QEMU's
 * virtio-net-pci: reset, a queue, DMA.
 */
#include <glob.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define VIRTIO_MODULE	"virtio-vfio-pci"
#define VIRTIO_DRIVER	"virtio_vfio_pci"

#define PAGE		4096UL
#define RING_IOVA	0x100000UL
#define FRAME_IOVA	0x200000UL
#define TX_QUEUE	1
#define QUEUE_SIZE	16

static bool is_built(const char *name)
{
	char pattern[256];
	struct utsname system;
	glob_t found;
	bool built;

	uname(&system);
	snprintf(pattern, sizeof(pattern), "/lib/modules/%s/updates/%s.ko",
		 system.release, name);
	built = !glob(pattern, 0, NULL, &found);
	globfree(&found);
	return built;
}

/* Its exit status */
static int load_module(const char *name)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "modprobe %s", name);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

FIXTURE(load)
{
};

FIXTURE_VARIANT(load)
{
	const char *name;
};

/* The drivers of whose devices Debian's kernels have for amd64 */
FIXTURE_VARIANT_ADD(load, mlx5) {
	.name = "mlx5-vfio-pci",
};

FIXTURE_VARIANT_ADD(load, virtio) {
	.name = VIRTIO_MODULE,
};

FIXTURE_VARIANT_ADD(load, qat) {
	.name = "qat_vfio_pci",
};

FIXTURE_SETUP(load)
{
	if (!is_built(VIRTIO_MODULE))
		SKIP(return, "without what \"make variants\" builds");
}

FIXTURE_TEARDOWN(load)
{
}

TEST_F(load, beside_ours)
{
	char path[128];
	size_t i;

	ASSERT_EQ(0, load_module(variant->name));
	snprintf(path, sizeof(path), "/sys/module/%s", variant->name);
	for (i = strlen("/sys/module/"); path[i]; i++)
		if (path[i] == '-')
			path[i] = '_';
	EXPECT_EQ(0, access(path, F_OK));
}

/* What a driver of virtio needs of its device */
struct common {
	unsigned int bar;
	__u32 offset;
	unsigned int notify_bar;
	__u32 notify;
	__u32 multiplier;
};

FIXTURE(virtio)
{
	struct vp_dev d;
	struct common at;
	__u32 ioas;
	void *ring;
	void *frame;
};

static bool find_common(const struct vp_dev *d, struct common *at)
{
	unsigned int pos = vp_cfg_get(d, PCI_CAPABILITY_LIST, 1);
	unsigned int found = 0, ttl;

	for (ttl = 48; pos >= 0x40 && ttl; ttl--) {
		unsigned int type = vp_cfg_get(d, pos + 3, 1);

		if (vp_cfg_get(d, pos, 1) == PCI_CAP_ID_VNDR &&
		    type == VIRTIO_PCI_CAP_COMMON_CFG) {
			at->bar = vp_cfg_get(d, pos + 4, 1);
			at->offset = vp_cfg_get(d, pos + 8, 4);
			found |= 1;
		} else if (vp_cfg_get(d, pos, 1) == PCI_CAP_ID_VNDR &&
			   type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			at->notify_bar = vp_cfg_get(d, pos + 4, 1);
			at->notify = vp_cfg_get(d, pos + 8, 4);
			at->multiplier = vp_cfg_get(d, pos + 16, 4);
			found |= 2;
		}
		pos = vp_cfg_get(d, pos + 1, 1);
	}
	return found == 3;
}

static int put(const struct vp_dev *d, const struct common *at, unsigned int reg,
	       __u64 val, size_t width)
{
	int ret = vp_write(d, at->bar, at->offset + reg, &val, width);

	return ret == (int)width ? 0 : ret < 0 ? ret : -EIO;
}

static __u32 get(const struct vp_dev *d, const struct common *at,
		 unsigned int reg, size_t width)
{
	__u32 val = 0;

	if (vp_read(d, at->bar, at->offset + reg, &val, width) != (int)width)
		return ~0U;
	return val;
}

#define PUT(reg, val, width) \
	ASSERT_EQ(0, put(&self->d, &self->at, VIRTIO_PCI_COMMON_##reg, val, width))
#define GET(reg, width) \
	get(&self->d, &self->at, VIRTIO_PCI_COMMON_##reg, width)

FIXTURE_SETUP(virtio)
{
	struct vp_dev *d = &self->d;
	__u32 pt;

	vp_init(d);
	if (!is_built(VIRTIO_MODULE))
		SKIP(return, "without what \"make variants\" builds");
	ASSERT_EQ(0, load_module(VIRTIO_MODULE));
	if (!sysdev_find_pci(VIRTIO_VENDOR, VIRTIO_NET_DEVICE, 0, d->bdf)) {
		d->bdf[0] = '\0';
		SKIP(return, "no virtio-net-pci");
	}
	if (sysdev_driver(d->bdf, d->driver))
		d->driver[0] = '\0';
	ASSERT_EQ(0, sysdev_set_driver(d->bdf, VIRTIO_DRIVER));
	ASSERT_EQ(0, vp_open_bdf(d));
	ASSERT_EQ(0, ioas_alloc(d->iommufd, &self->ioas));
	pt = self->ioas;
	ASSERT_EQ(0, cdev_attach(d->fd, &pt));
	ASSERT_EQ(0, vp_set_command(d, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0));
	ASSERT_TRUE(find_common(d, &self->at));
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	self->frame = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	ASSERT_NE(MAP_FAILED, self->frame);
}

FIXTURE_TEARDOWN(virtio)
{
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F(virtio, info)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char driver[SYSDEV_NAME_MAX];

	ASSERT_EQ(0, sysdev_driver(self->d.bdf, driver));
	EXPECT_STREQ(VIRTIO_DRIVER, driver);
	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VIRTIO_VENDOR, vp_cfg_get(&self->d, PCI_VENDOR_ID, 2));
}

/* A frame is sent: the device reads its memory, and writes that it has done so */
TEST_F(virtio, dma)
{
	struct vring ring;
	__u16 offset;
	int i;

	ASSERT_EQ(0, ioas_map_at(self->d.iommufd, self->ioas, self->ring, PAGE,
				 RING_IOVA));
	ASSERT_EQ(0, ioas_map_at(self->d.iommufd, self->ioas, self->frame, PAGE,
				 FRAME_IOVA));
	vring_init(&ring, QUEUE_SIZE, self->ring, 64);
	ASSERT_LE(vring_size(QUEUE_SIZE, 64), PAGE);

	PUT(STATUS, 0, 1);
	EXPECT_EQ(0, GET(STATUS, 1));
	PUT(STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER, 1);
	/* Bits 32 and up: VERSION_1, and that it is behind the IOMMU */
	PUT(DFSELECT, 1, 4);
	ASSERT_EQ(3, GET(DF, 4) & 3);
	PUT(GFSELECT, 0, 4);
	PUT(GF, 0, 4);
	PUT(GFSELECT, 1, 4);
	PUT(GF, 3, 4);
	PUT(STATUS, GET(STATUS, 1) | VIRTIO_CONFIG_S_FEATURES_OK, 1);
	ASSERT_TRUE(GET(STATUS, 1) & VIRTIO_CONFIG_S_FEATURES_OK);

	PUT(Q_SELECT, TX_QUEUE, 2);
	ASSERT_LE(QUEUE_SIZE, GET(Q_SIZE, 2));
	PUT(Q_SIZE, QUEUE_SIZE, 2);
	PUT(Q_DESCLO, RING_IOVA, 4);
	PUT(Q_DESCHI, 0, 4);
	PUT(Q_AVAILLO, RING_IOVA + ((void *)ring.avail - self->ring), 4);
	PUT(Q_AVAILHI, 0, 4);
	PUT(Q_USEDLO, RING_IOVA + ((void *)ring.used - self->ring), 4);
	PUT(Q_USEDHI, 0, 4);
	offset = GET(Q_NOFF, 2);
	PUT(Q_ENABLE, 1, 2);
	PUT(STATUS, GET(STATUS, 1) | VIRTIO_CONFIG_S_DRIVER_OK, 1);

	memset(self->frame, 0, PAGE);
	ring.desc[0].addr = FRAME_IOVA;
	ring.desc[0].len = sizeof(struct virtio_net_hdr_v1) + 60;
	ring.avail->ring[0] = 0;
	__atomic_store_n(&ring.avail->idx, 1, __ATOMIC_SEQ_CST);
	ASSERT_EQ(2, vp_write(&self->d, self->at.notify_bar,
			      self->at.notify + offset * self->at.multiplier,
			      &(__u16){ TX_QUEUE }, 2));
	for (i = 0; i < 10000 && !__atomic_load_n(&ring.used->idx,
						  __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	EXPECT_EQ(1, ring.used->idx);
	EXPECT_EQ(0, GET(STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	PUT(STATUS, 0, 1);
}

TEST_HARNESS_MAIN
