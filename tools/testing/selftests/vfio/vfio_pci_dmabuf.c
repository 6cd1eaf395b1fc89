// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of BARs, VFIO_DEVICE_FEATURE_DMA_BUF: edu copies to and from parts of
 * the memory BAR of ivshmem, which are mapped into its address space by file, and
 * taken away again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "vfio_pci_p2p.h"
#include "../lib/skip.h"

#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE

#define BAR_PAGES	8
#define IOVA_REGS	0x3000000UL

/* Registers of igb: one that nobody changes, which a reset sets to its default */
#define IGB_VET		0x38

FIXTURE(dmabuf)
{
	struct p2p p;
	int fd;
};

FIXTURE_SETUP(dmabuf)
{
	const char *missing;
	int ret = p2p_open(&self->p, BAR_PAGES * PAGE, &missing);

	self->fd = -1;
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(dmabuf)
{
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(0, p2p_close(&self->p));
}

/* The first 4 bytes at @iova, as the device reads them */
static __u32 fetch(struct __test_metadata *_metadata,
		   FIXTURE_DATA(dmabuf) *self, __u64 iova, unsigned int pos)
{
	__u32 val;

	EXPECT_TRUE(edu_from_iova(self->p.edu_bar, iova));
	EXPECT_TRUE(edu_to_iova(self->p.edu_bar, IOVA_MEM));
	memcpy(&val, self->p.mem + pos, sizeof(val));
	return val;
}

static int map(FIXTURE_DATA(dmabuf) *self, __u64 start, __u64 length,
	       __u32 prot)
{
	return ioas_map_file_prot(self->p.edu.iommufd, self->p.ioas, self->fd,
				  start, length, IOVA_BAR, prot);
}

static int unmap(FIXTURE_DATA(dmabuf) *self, __u64 length)
{
	return ioas_unmap(self->p.edu.iommufd, self->p.ioas, IOVA_BAR,
			  length);
}

TEST_F(dmabuf, requests)
{
	const size_t header = sizeof(struct vfio_device_feature) +
			      sizeof(struct vfio_device_feature_dma_buf);
	const struct dmabuf_request good = {
		.index = SHMEM_BAR,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr = 1,
		.range = { { 0, PAGE } },
	};
	const __u64 bar_size = 64UL << 20;
	const struct {
		const char *what;
		int ret;
		struct dmabuf_request change;
	} bad[] = {
#define BAD(ret, ...) { #__VA_ARGS__, -(ret), { __VA_ARGS__ } }
		BAD(EINVAL, .op = SET),
		BAD(EINVAL, .op = SET | GET),
		BAD(EINVAL, .argsz = header - 1),
		BAD(EINVAL, .argsz = header),
		BAD(EINVAL, .argsz = header + sizeof(good.range[0]) - 1),
		BAD(EINVAL, .flags = 1),
		BAD(EINVAL, .flags = 1U << 31),
		BAD(EINVAL, .nr = ~0U),
		BAD(EINVAL, .nr = 0x10000000),
		BAD(EINVAL, .nr = MAX_RANGES + 1),
		BAD(EINVAL, .open_flags = O_RDWR | O_NONBLOCK),
		BAD(EINVAL, .open_flags = O_RDWR | O_CREAT),
		BAD(EINVAL, .open_flags = O_ACCMODE),
		BAD(EINVAL, .open_flags = 1U << 31),
		BAD(EINVAL, .range = { { 0, 0 } }, .nr = 1),
		BAD(EINVAL, .range = { { 0, PAGE / 2 } }),
		BAD(EINVAL, .range = { { 1, PAGE } }),
		BAD(EINVAL, .range = { { bar_size, PAGE } }),
		BAD(EINVAL, .range = { { 0, bar_size + PAGE } }),
		BAD(EINVAL, .range = { { bar_size - PAGE, 2 * PAGE } }),
		BAD(EINVAL, .range = { { -PAGE, PAGE } }),
		BAD(EINVAL, .range = { { PAGE, -PAGE } }),
		BAD(EINVAL, .range = { { 0, 1UL << 63 } }),
		BAD(EINVAL, .range = { { 0, PAGE }, { PAGE, 0 } }, .nr = 2),
		BAD(ENODEV, .index = 1),
		BAD(ENODEV, .index = VFIO_PCI_ROM_REGION_INDEX),
		BAD(ENODEV, .index = VFIO_PCI_CONFIG_REGION_INDEX),
		BAD(ENODEV, .index = VFIO_PCI_VGA_REGION_INDEX),
		BAD(ENODEV, .index = VFIO_PCI_NUM_REGIONS),
		BAD(ENODEV, .index = ~0U),
#undef BAD
	};
	int files = open_files();
	struct dmabuf_request req;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct dmabuf_request *c = &bad[i].change;

		req = good;
		req.argsz = c->argsz;
		req.op = c->op;
		req.flags = c->flags;
		if (c->index)
			req.index = c->index;
		if (c->open_flags)
			req.open_flags = c->open_flags;
		if (c->nr)
			req.nr = c->nr;
		if (c->nr || c->range[0].offset || c->range[0].length)
			memcpy(req.range, c->range, sizeof(req.range));
		EXPECT_EQ(bad[i].ret, dmabuf_get(self->p.shmem.fd, &req))
			TH_LOG("%s", bad[i].what);
	}

	req = good;
	req.nr = 0;
	EXPECT_EQ(-EINVAL, dmabuf_get(self->p.shmem.fd, &req));
	req = good;
	req.op = PROBE | GET;
	EXPECT_EQ(0, dmabuf_get(self->p.shmem.fd, &req));
	req.op = PROBE | SET;
	EXPECT_EQ(-EINVAL, dmabuf_get(self->p.shmem.fd, &req));
	EXPECT_EQ(files, open_files());

	req = good;
	req.argsz = header + sizeof(good.range[0]);
	self->fd = dmabuf_get(self->p.shmem.fd, &req);
	EXPECT_LE(0, self->fd);
}

/* All of the request must be readable */
TEST_F(dmabuf, request_not_there)
{
	struct vfio_device_feature_dma_buf *get;
	struct vfio_device_feature *feature;
	char *mem;

	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	ASSERT_EQ(0, munmap(mem + PAGE, PAGE));

	feature = (void *)(mem + PAGE - sizeof(*feature));
	feature->argsz = sizeof(*feature) + sizeof(*get) +
			 sizeof(get->dma_ranges[0]);
	feature->flags = GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	EXPECT_EQ(-EFAULT, call(self->p.shmem.fd, VFIO_DEVICE_FEATURE,
				feature));

	feature = (void *)(mem + PAGE - sizeof(*feature) - sizeof(*get));
	get = (void *)feature->data;
	feature->argsz = sizeof(*feature) + sizeof(*get) +
			 sizeof(get->dma_ranges[0]);
	feature->flags = GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	*get = (struct vfio_device_feature_dma_buf){
		.region_index = SHMEM_BAR,
		.nr_ranges = 1,
	};
	EXPECT_EQ(-EFAULT, call(self->p.shmem.fd, VFIO_DEVICE_FEATURE,
				feature));
	munmap(mem, PAGE);
}

/* Ports cannot be mapped, so they cannot be exported */
TEST_F(dmabuf, io_bar)
{
	struct vp_dev d;
	int ret;

	vp_init(&d);
	ret = vp_open(&d, TESTDEV_VENDOR, TESTDEV_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no pci-testdev device");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EINVAL, dmabuf_export(&d, 1, 0, PAGE, O_RDWR));
	EXPECT_EQ(0, vp_close(&d));
}

TEST_F(dmabuf, file)
{
	struct dmabuf_request req = {
		.index = SHMEM_BAR,
		.open_flags = O_RDONLY,
		.nr = 2,
		.range = { { 3 * PAGE, PAGE }, { 0, 2 * PAGE } },
	};
	char path[64], target[64] = {};

	self->fd = dmabuf_get(self->p.shmem.fd, &req);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(3 * PAGE, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(O_RDONLY, fcntl(self->fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(0, fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ASSERT_LT(0, readlink(path, target, sizeof(target) - 1));
	EXPECT_NE(NULL, strstr(target, "dmabuf"));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   0));
	close(self->fd);

	req.open_flags = O_RDWR | O_CLOEXEC;
	self->fd = dmabuf_get(self->p.shmem.fd, &req);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(O_RDWR, fcntl(self->fd, F_GETFL) & O_ACCMODE);
	EXPECT_NE(0, fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
}

TEST_F(dmabuf, dma_to_bar_and_back)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	self->p.bar[0] = 1;
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x5a));
	EXPECT_EQ(0x5a, self->p.bar[0]);
	EXPECT_EQ(0x5a, self->p.bar[63]);
	self->p.bar[0] = 0x17;
	EXPECT_EQ(0x5a5a5a17, fetch(_metadata, self, IOVA_BAR, 0));

	EXPECT_EQ(0, unmap(self, PAGE));
	self->p.bar[0] = 1;
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x5b);
	EXPECT_EQ(1, self->p.bar[0]);
}

TEST_F(dmabuf, part)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 2 * PAGE, 3 * PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EINVAL, map(self, 0, 0, RD | WR));
	EXPECT_EQ(-EINVAL, map(self, 3 * PAGE, PAGE, RD | WR));
	EXPECT_EQ(-EINVAL, map(self, PAGE, 3 * PAGE, RD | WR));
	EXPECT_EQ(-EINVAL, map(self, -PAGE, 2 * PAGE, RD | WR));
	EXPECT_EQ(-EINVAL, map(self, 0, -PAGE, RD | WR));
	EXPECT_EQ(-EINVAL, map(self, PAGE / 2, PAGE, RD | WR));

	ASSERT_EQ(0, map(self, PAGE, 2 * PAGE, RD | WR));
	self->p.bar[3 * PAGE] = 1;
	self->p.bar[4 * PAGE] = 1;
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x41));
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR + PAGE, 0x42));
	EXPECT_EQ(0x41, self->p.bar[3 * PAGE]);
	EXPECT_EQ(0x42, self->p.bar[4 * PAGE]);
	/* the end */
	self->p.bar[5 * PAGE] = 1;
	p2p_stopped(_metadata, &self->p, IOVA_BAR + 2 * PAGE, 0x43);
	EXPECT_EQ(1, self->p.bar[5 * PAGE]);
	EXPECT_EQ(0, unmap(self, 2 * PAGE));
}

TEST_F(dmabuf, several_ranges)
{
	struct dmabuf_request req = {
		.index = SHMEM_BAR,
		.open_flags = O_RDWR,
		.nr = 4,
		.range = {
			{ 4 * PAGE, PAGE }, { 5 * PAGE, PAGE }, { 0, PAGE },
			{ 4 * PAGE, PAGE },
		},
	};
	static const unsigned int where[] = { 4, 5, 0, 4 };
	unsigned int i;

	self->fd = dmabuf_get(self->p.shmem.fd, &req);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(4 * PAGE, lseek(self->fd, 0, SEEK_END));
	ASSERT_EQ(0, map(self, 0, 4 * PAGE, RD | WR));
	for (i = 0; i < 4; i++) {
		self->p.bar[where[i] * PAGE] = 1;
		ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR + i * PAGE,
				     0x30 + i));
		EXPECT_EQ(0x30 + (char)i, self->p.bar[where[i] * PAGE]);
	}
	EXPECT_EQ(0, unmap(self, 4 * PAGE));

	/* across the border of two */
	ASSERT_EQ(0, map(self, PAGE, 2 * PAGE, RD | WR));
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x61));
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR + PAGE, 0x62));
	EXPECT_EQ(0x61, self->p.bar[5 * PAGE]);
	EXPECT_EQ(0x62, self->p.bar[0]);
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, 0, PCI_COMMAND_MEMORY));
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x63);
	p2p_stopped(_metadata, &self->p, IOVA_BAR + PAGE, 0x64);
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0x61, self->p.bar[5 * PAGE]);
	EXPECT_EQ(0x62, self->p.bar[0]);
	EXPECT_EQ(0, unmap(self, 2 * PAGE));
}

/* A device gets no more access by a file than who has the file */
TEST_F(dmabuf, as_the_file_permits)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RD | WR,
		.dst_ioas_id = self->p.ioas,
		.src_ioas_id = self->p.ioas,
		.length = PAGE,
		.dst_iova = IOVA_REGS,
		.src_iova = IOVA_BAR,
	};
	char why[256];

	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDONLY);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EACCES, map(self, 0, PAGE, RD | WR));
	EXPECT_EQ(-EACCES, map(self, 0, PAGE, WR));
	ASSERT_EQ(0, fdinfo_get(self->p.edu.iommufd, "last-refusal", why,
				sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "not open for writing"));
	ASSERT_EQ(0, map(self, 0, PAGE, RD));
	self->p.bar[0] = 0x21;
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x50);
	EXPECT_EQ(0x21, self->p.bar[0]);
	EXPECT_EQ(0x21, fetch(_metadata, self, IOVA_BAR, 0) & 0xff);
	EXPECT_EQ(-EPERM, call(self->p.edu.iommufd, IOMMU_IOAS_COPY, &copy));
	EXPECT_EQ(0, unmap(self, PAGE));
	close(self->fd);

	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_WRONLY);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EACCES, map(self, 0, PAGE, RD));
	EXPECT_EQ(-EACCES, map(self, 0, PAGE, WR));
}

/* The mapping keeps what it needs */
TEST_F(dmabuf, closed_while_mapped)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	close(self->fd);
	self->fd = -1;

	self->p.bar[0] = 1;
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x52));
	EXPECT_EQ(0x52, self->p.bar[0]);
	/* and can be taken away and given back without the file */
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, 0, PCI_COMMAND_MEMORY));
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x53);
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0x52, self->p.bar[0]);
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x54));
	EXPECT_EQ(0x54, self->p.bar[0]);
	EXPECT_EQ(0, unmap(self, PAGE));
}

TEST_F(dmabuf, mapped_before_attach)
{
	__u32 other, pt;

	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->p.edu.iommufd, &other));
	ASSERT_EQ(0, ioas_map_file_prot(self->p.edu.iommufd, other, self->fd, 0,
					PAGE, IOVA_BAR, RD | WR));
	ASSERT_EQ(0, ioas_map_at(self->p.edu.iommufd, other, self->p.mem, PAGE,
				 IOVA_MEM));
	pt = other;
	ASSERT_EQ(0, cdev_attach(self->p.edu.fd, &pt));
	self->p.bar[0] = 1;
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x33));
	EXPECT_EQ(0x33, self->p.bar[0]);
}

TEST_F(dmabuf, revoked_with_memory_enable)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	self->p.bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, 0, PCI_COMMAND_MEMORY));
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x44);
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, self->p.bar[0]);
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x45));
	EXPECT_EQ(0x45, self->p.bar[0]);
}

TEST_F(dmabuf, exported_while_memory_is_disabled)
{
	self->p.bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, 0, PCI_COMMAND_MEMORY));
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x46);
	ASSERT_EQ(0, vp_set_command(&self->p.shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, self->p.bar[0]);
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x47));
	EXPECT_EQ(0x47, self->p.bar[0]);
}

TEST_F(dmabuf, revoked_in_low_power)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	self->p.bar[0] = 1;
	ASSERT_EQ(0, vp_set_feature(&self->p.shmem,
				    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x48);
	ASSERT_EQ(0, vp_set_feature(&self->p.shmem,
				    VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT_EQ(1, self->p.bar[0]);
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x49));
	EXPECT_EQ(0x49, self->p.bar[0]);
}

/* Registers that can be reset, read by the other device */
TEST_F(dmabuf, restored_after_reset)
{
	struct vp_dev igb;
	__u32 vet;
	int ret;

	vp_init(&igb);
	ret = vp_open(&igb, IGB_VENDOR, IGB_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no igb device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_set_command(&igb, PCI_COMMAND_MEMORY, 0));
	self->fd = dmabuf_export(&igb, 0, 0, PAGE, O_RDONLY);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD));

	vet = vp_bar_get(&igb, 0, IGB_VET);
	EXPECT_EQ(vet, fetch(_metadata, self, IOVA_BAR, IGB_VET));
	ASSERT_EQ(0, vp_bar_set(&igb, 0, IGB_VET, vet ^ 0x1234));
	EXPECT_EQ(vet ^ 0x1234, fetch(_metadata, self, IOVA_BAR, IGB_VET));
	ASSERT_EQ(0, call(igb.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(vet, fetch(_metadata, self, IOVA_BAR, IGB_VET));

	/* D3hot is another state without memory */
	memset(self->p.mem, 0x11, 64);
	ASSERT_TRUE(edu_from_iova(self->p.edu_bar, IOVA_MEM));
	ASSERT_EQ(0, vp_cfg_set(&igb, vp_find_cap(&igb, PCI_CAP_ID_PM) +
				PCI_PM_CTRL, 2, 3));
	EXPECT_NE(vet, DMA_FAULTS_OF(self->p.edu.bdf,
				     fetch(_metadata, self, IOVA_BAR,
					   IGB_VET)));
	ASSERT_EQ(0, vp_cfg_set(&igb, vp_find_cap(&igb, PCI_CAP_ID_PM) +
				PCI_PM_CTRL, 2, 0));
	EXPECT_EQ(vet, fetch(_metadata, self, IOVA_BAR, IGB_VET));
	EXPECT_EQ(0, vp_close(&igb));
}

/* What its device was closed for never comes back */
TEST_F(dmabuf, device_closed)
{
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	self->p.bar[0] = 1;
	vp_close_fds(&self->p.shmem);
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x48);
	EXPECT_EQ(-ENODEV, ioas_map_file_prot(self->p.edu.iommufd, self->p.ioas,
					      self->fd, 0, PAGE, IOVA_REGS,
					      RD | WR));

	ASSERT_EQ(0, vp_open_bdf(&self->p.shmem));
	ASSERT_EQ(0, p2p_map_bar(&self->p));
	EXPECT_EQ(1, self->p.bar[0]);
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x49);
	EXPECT_EQ(1, self->p.bar[0]);
	EXPECT_EQ(-ENODEV, ioas_map_file_prot(self->p.edu.iommufd, self->p.ioas,
					      self->fd, 0, PAGE, IOVA_REGS,
					      RD | WR));
	EXPECT_EQ(PAGE, lseek(self->fd, 0, SEEK_END));

	/* a new one is as good as the first was */
	close(self->fd);
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EEXIST, map(self, 0, PAGE, RD | WR));
	EXPECT_EQ(0, unmap(self, PAGE));
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x4a));
	EXPECT_EQ(0x4a, self->p.bar[0]);
}

/*
 * The file, the mapping, the device and the address space can go in any order:
 * teardown is the test, and what the machine reports after it.
 */
FIXTURE(order)
{
	struct vp_dev edu, shmem;
};

FIXTURE_VARIANT(order)
{
	const char *order;
};

/* f: the dma-buf, m: its mapping, d: its device, u: who uses it */
FIXTURE_VARIANT_ADD(order, fmdu) { .order = "fmdu" };
FIXTURE_VARIANT_ADD(order, fdmu) { .order = "fdmu" };
FIXTURE_VARIANT_ADD(order, fdu) { .order = "fdu" };
FIXTURE_VARIANT_ADD(order, mfdu) { .order = "mfdu" };
FIXTURE_VARIANT_ADD(order, dfmu) { .order = "dfmu" };
FIXTURE_VARIANT_ADD(order, dmfu) { .order = "dmfu" };
FIXTURE_VARIANT_ADD(order, duf) { .order = "duf" };
FIXTURE_VARIANT_ADD(order, ufd) { .order = "ufd" };
FIXTURE_VARIANT_ADD(order, udf) { .order = "udf" };
FIXTURE_VARIANT_ADD(order, fud) { .order = "fud" };

FIXTURE_SETUP(order)
{
	int ret;

	vp_init(&self->edu);
	vp_init(&self->shmem);
	ret = vp_open(&self->edu, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
	ret = vp_open(&self->shmem, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no ivshmem device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(order)
{
	EXPECT_EQ(0, vp_close(&self->edu));
	EXPECT_EQ(0, vp_close(&self->shmem));
}

TEST_F(order, of_release)
{
	const char *step;
	__u32 ioas, pt;
	int fd;

	ASSERT_EQ(0, ioas_alloc(self->edu.iommufd, &ioas));
	pt = ioas;
	ASSERT_EQ(0, cdev_attach(self->edu.fd, &pt));
	fd = dmabuf_export(&self->shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_map_file_prot(self->edu.iommufd, ioas, fd, 0, PAGE,
					IOVA_BAR, RD | WR));
	for (step = variant->order; *step; step++) {
		switch (*step) {
		case 'f':
			close(fd);
			break;
		case 'm':
			EXPECT_EQ(0, ioas_unmap(self->edu.iommufd, ioas,
						IOVA_BAR, PAGE));
			break;
		case 'd':
			vp_close_fds(&self->shmem);
			break;
		case 'u':
			vp_close_fds(&self->edu);
		}
	}
	/* it can be had again at once */
	if (self->shmem.fd < 0) {
		ASSERT_EQ(0, vp_open_bdf(&self->shmem));
		fd = dmabuf_export(&self->shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
		EXPECT_LE(0, fd);
		close(fd);
	}
}

/* Its driver waits for who has the device open, and for no one else */
TEST_F(dmabuf, unbound_while_exported)
{
	int ret, status, i;
	pid_t pid;

	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* the dma-buf stays open here, too */
		vp_close_fds(&self->p.shmem);
		ret = sysdev_set_driver(self->p.shmem.bdf, NULL);
		_exit(ret ? 1 : 0);
	}
	usleep(500000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_TRUE(process_sleeps(pid));
	/* until then, all goes on */
	self->p.bar[0] = 1;
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x4b));
	EXPECT_EQ(0x4b, self->p.bar[0]);

	vp_close_fds(&self->p.shmem);
	for (i = 0; i < 200; i++) {
		ret = waitpid(pid, &status, WNOHANG);
		if (ret)
			break;
		usleep(50000);
	}
	ASSERT_EQ(pid, ret);
	EXPECT_EQ(0, status);

	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x4c);
	EXPECT_EQ(-ENODEV, ioas_map_file_prot(self->p.edu.iommufd, self->p.ioas,
					      self->fd, 0, PAGE, IOVA_REGS,
					      RD | WR));
	ASSERT_EQ(0, vp_take(&self->p.shmem));
	ASSERT_EQ(0, p2p_map_bar(&self->p));
	EXPECT_EQ(0x4b, self->p.bar[0]);
	p2p_stopped(_metadata, &self->p, IOVA_BAR, 0x4d);
	EXPECT_EQ(0x4b, self->p.bar[0]);
	EXPECT_EQ(0, unmap(self, PAGE));
}

static bool stop_threads;

struct toggler {
	struct vp_dev *d;
	unsigned long rounds;
};

static void *toggle_memory(void *arg)
{
	struct toggler *t = arg;

	for (; !__atomic_load_n(&stop_threads, __ATOMIC_RELAXED); t->rounds++) {
		vp_set_command(t->d, 0, PCI_COMMAND_MEMORY);
		vp_set_command(t->d, PCI_COMMAND_MEMORY, 0);
	}
	return NULL;
}

/* Exports and mappings come and go while the memory does */
TEST_F(dmabuf, races_with_memory_enable)
{
	struct toggler t = { .d = &self->p.shmem };
	double end = seconds_now() + 4;
	pthread_t thread;
	int i;

	__atomic_store_n(&stop_threads, false, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle_memory, &t));
	for (i = 0; i < 4 || seconds_now() < end; i++) {
		self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, 2 * PAGE,
					 O_RDWR);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, map(self, 0, 2 * PAGE, RD | WR));
		if (i % 2)
			close(self->fd);
		ASSERT_EQ(0, unmap(self, 2 * PAGE));
		if (!(i % 2))
			close(self->fd);
		self->fd = -1;
	}
	__atomic_store_n(&stop_threads, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_LT(0, t.rounds);

	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map(self, 0, PAGE, RD | WR));
	ASSERT_TRUE(p2p_send(_metadata, &self->p, IOVA_BAR, 0x4e));
	EXPECT_EQ(0x4e, self->p.bar[0]);
}

#define CLOSERS 16

static void *close_files(void *arg)
{
	int *fds = arg, i;

	for (i = 0; i < CLOSERS; i++)
		close(fds[i]);
	return NULL;
}

/* Dma-bufs are closed while their device is */
TEST_F(dmabuf, races_with_close)
{
	int fds[CLOSERS], i, round;
	double end = seconds_now() + 4;
	pthread_t thread;

	for (round = 0; round < 4 || (round < 30 && seconds_now() < end); round++) {
		for (i = 0; i < CLOSERS; i++) {
			fds[i] = dmabuf_export(&self->p.shmem, SHMEM_BAR,
					       i * PAGE, PAGE, O_RDWR);
			ASSERT_LE(0, fds[i]);
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_files, fds));
		vp_close_fds(&self->p.shmem);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, vp_open_bdf(&self->p.shmem));
	}
}

/*
 * Other drivers as importers: vfio-test imports for a device that reaches the
 * exporting one.
 */
FIXTURE(import)
{
	struct vp_dev d;
	int dev;
	int iommufd;
	int fd;
	__u32 importer;
	__u64 phys;
};

FIXTURE_VARIANT(import)
{
	bool bridge;
};

/* Two edu behind one bridge, in one group: only one of them can do DMA */
FIXTURE_VARIANT_ADD(import, same_bridge) { .bridge = true };
/* ivshmem and nvme, if the processor is known to pass on what they say */
FIXTURE_VARIANT_ADD(import, host_bridge) { .bridge = false };

static int attach_import(int dev, int fd, __u32 device, __u32 flags)
{
	struct vfio_test_import arg = {
		.fd = fd,
		.device = device,
		.flags = flags,
	};

	return dmabuf_import(dev, VFIO_TEST_IMPORT_ATTACH, &arg);
}

static int detach_import(int dev)
{
	struct vfio_test_import arg = {};

	return dmabuf_import(dev, VFIO_TEST_IMPORT_DETACH, &arg);
}

static __u64 bar_address(const char *bdf, unsigned int bar)
{
	unsigned long long start = 0;
	char path[PATH_MAX];
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/resource", bdf);
	file = fopen(path, "r");
	if (!file)
		return 0;
	for (i = 0; i <= bar; i++)
		if (fscanf(file, "%llx %*x %*x", &start) != 1)
			start = 0;
	fclose(file);
	return start;
}

FIXTURE_SETUP(import)
{
	unsigned int bar = variant->bridge ? 0 : SHMEM_BAR;
	char importer[SYSDEV_NAME_MAX];
	bool found;
	int ret;

	self->dev = -1;
	self->iommufd = -1;
	self->fd = -1;
	vp_init(&self->d);
	if (access("/sys/bus/platform/devices/" VFIO_TEST_DEVICE, F_OK))
		SKIP(return, "the test driver vfio-test is not loaded");
	if (variant->bridge)
		found = pci_find_mates(EDU_VENDOR, EDU_DEVICE,
				       self->d.bdf, importer);
	else
		found = sysdev_find_pci(IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0,
					self->d.bdf) &&
			sysdev_find_pci(NVME_VENDOR, NVME_DEVICE, 0, importer);
	if (!found) {
		self->d.bdf[0] = '\0';
		SKIP(return, "no such pair of devices");
	}
	ASSERT_EQ(0, vp_take(&self->d));
	ASSERT_EQ(0, vp_set_command(&self->d, PCI_COMMAND_MEMORY, 0));
	self->importer = vp_device_number(importer);
	self->phys = bar_address(self->d.bdf, bar);
	ASSERT_NE(0, self->phys);

	self->dev = cdev_open("/sys/bus/platform/devices/" VFIO_TEST_DEVICE);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));

	self->fd = dmabuf_export(&self->d, bar, PAGE, 2 * PAGE, O_RDWR);
	ASSERT_LE(0, self->fd);
	ret = attach_import(self->dev, self->fd, self->importer, 0);
	if (ret == -EBUSY) {
		EXPECT_EQ(0, vp_close(&self->d));
		SKIP_REST("the kernel does not let one device reach the other: it takes CONFIG_PCI_P2PDMA, CONFIG_DMABUF_MOVE_NOTIFY, and a common bridge or a root complex that passes it on");
	}
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, detach_import(self->dev));
}

FIXTURE_TEARDOWN(import)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->dev >= 0)
		close(self->dev);
	if (self->iommufd >= 0)
		close(self->iommufd);
	EXPECT_EQ(0, vp_close(&self->d));
}

static int map_import(struct __test_metadata *_metadata,
		      FIXTURE_DATA(import) *self, bool check)
{
	struct vfio_test_import arg = { .phys = self->phys + PAGE };
	int ret = dmabuf_import(self->dev, VFIO_TEST_IMPORT_MAP, &arg);

	if (!ret) {
		EXPECT_EQ(1, arg.nents);
		EXPECT_EQ(2 * PAGE, arg.length);
		if (check)
			EXPECT_NE(0, arg.leads);
	}
	return ret;
}

static struct vfio_test_import import_state(struct __test_metadata *_metadata,
					    FIXTURE_DATA(import) *self)
{
	struct vfio_test_import arg = {};

	EXPECT_EQ(0, dmabuf_import(self->dev, VFIO_TEST_IMPORT_STATE, &arg));
	return arg;
}

/* Nobody has it who cannot let go of it */
TEST_F(import, who_may)
{
	EXPECT_EQ(-EOPNOTSUPP, attach_import(self->dev, self->fd,
					     self->importer,
					     VFIO_TEST_IMPORT_STATIC));
	EXPECT_EQ(-EOPNOTSUPP, attach_import(self->dev, self->fd,
					     self->importer,
					     VFIO_TEST_IMPORT_MEMORY));
	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	EXPECT_EQ(0, detach_import(self->dev));
}

TEST_F(import, several_ranges)
{
	struct vfio_test_import arg = { .phys = self->phys };
	struct dmabuf_request req = {
		.index = variant->bridge ? 0 : SHMEM_BAR,
		.open_flags = O_RDWR,
		.nr = 3,
		.range = {
			{ 0, PAGE }, { PAGE, 2 * PAGE }, { 5 * PAGE, PAGE },
		},
	};

	close(self->fd);
	self->fd = dmabuf_get(self->d.fd, &req);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	ASSERT_EQ(0, dmabuf_import(self->dev, VFIO_TEST_IMPORT_MAP, &arg));
	EXPECT_EQ(2, arg.nents);
	EXPECT_EQ(4 * PAGE, arg.length);
	EXPECT_EQ(0, arg.leads);
}

TEST_F(import, revoked_with_memory_enable)
{
	struct vfio_test_import state;

	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	ASSERT_EQ(0, vp_set_command(&self->d, 0, PCI_COMMAND_MEMORY));
	state = import_state(_metadata, self);
	EXPECT_EQ(1, state.notified);
	EXPECT_EQ(0, state.nents);
	EXPECT_EQ(-ENODEV, map_import(_metadata, self, false));
	/* another one may come, and wait */
	EXPECT_EQ(0, detach_import(self->dev));
	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	EXPECT_EQ(-ENODEV, map_import(_metadata, self, false));

	ASSERT_EQ(0, vp_set_command(&self->d, PCI_COMMAND_MEMORY, 0));
	state = import_state(_metadata, self);
	EXPECT_EQ(1, state.notified);
	EXPECT_EQ(0, map_import(_metadata, self, !variant->bridge));
}

/* The memory is there until the last one has let go of it */
TEST_F(import, late)
{
	double begin;

	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer,
				   VFIO_TEST_IMPORT_LATE));
	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	begin = seconds_now();
	ASSERT_EQ(0, vp_set_command(&self->d, 0, PCI_COMMAND_MEMORY));
	EXPECT_LT(0.4, seconds_now() - begin);
	EXPECT_EQ(0, import_state(_metadata, self).nents);
	ASSERT_EQ(0, vp_set_command(&self->d, PCI_COMMAND_MEMORY, 0));

	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	begin = seconds_now();
	vp_close_fds(&self->d);
	EXPECT_LT(0.4, seconds_now() - begin);
	EXPECT_EQ(0, import_state(_metadata, self).nents);
}

TEST_F(import, device_closed)
{
	struct vfio_test_import state;

	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	vp_close_fds(&self->d);
	state = import_state(_metadata, self);
	EXPECT_EQ(1, state.notified);
	EXPECT_EQ(0, state.nents);
	EXPECT_EQ(-ENODEV, map_import(_metadata, self, false));

	ASSERT_EQ(0, vp_open_bdf(&self->d));
	ASSERT_EQ(0, vp_set_command(&self->d, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(-ENODEV, map_import(_metadata, self, false));
	EXPECT_EQ(0, detach_import(self->dev));
	EXPECT_EQ(-ENODEV, attach_import(self->dev, self->fd, self->importer,
					 0));
}

/* The importer keeps the file, and the file nothing else */
TEST_F(import, outlived_by_the_importer)
{
	ASSERT_EQ(0, attach_import(self->dev, self->fd, self->importer, 0));
	ASSERT_EQ(0, map_import(_metadata, self, !variant->bridge));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, import_state(_metadata, self).nents);
	vp_close_fds(&self->d);
	EXPECT_EQ(0, sysdev_set_driver(self->d.bdf, NULL));
	EXPECT_EQ(0, import_state(_metadata, self).nents);
	EXPECT_EQ(-ENODEV, map_import(_metadata, self, false));
	EXPECT_EQ(0, detach_import(self->dev));
}

TEST_HARNESS_MAIN
