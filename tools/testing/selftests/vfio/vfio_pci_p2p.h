/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Peer-to-peer DMA: QEMU's edu, and the memory BAR of ivshmem that it copies to
 * and from, by mapping or as a dma-buf.
 */
#ifndef VFIO_PCI_P2P_H
#define VFIO_PCI_P2P_H

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/vfio_pci.h"
#include "../../../../drivers/vfio/test/vfio_test.h"

#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF	11

struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32	region_index;
	__u32	open_flags;
	__u32	flags;
	__u32	nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#endif

#define RD		IOMMU_IOAS_MAP_READABLE
#define WR		IOMMU_IOAS_MAP_WRITEABLE

#define SHMEM_BAR	2
#define PAGE		page_size()
#define IOVA_MEM	0x1000000UL
#define IOVA_BAR	0x2000000UL

/**
 * struct p2p - the two devices
 * @edu: attached to @ioas
 * @shmem: its peer
 * @edu_bar: registers of @edu
 * @bar: memory of @shmem
 * @length: bytes of it
 * @mem: a page at IOVA_MEM
 * @ioas: where edu does its DMA, in its iommufd
 */
struct p2p {
	struct vp_dev edu;
	struct vp_dev shmem;
	volatile char *edu_bar;
	volatile char *bar;
	size_t length;
	char *mem;
	__u32 ioas;
};

/* After the device was opened anew, too */
static inline int p2p_map_bar(struct p2p *p)
{
	int ret = vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0);

	if (ret)
		return ret;
	p->bar = vp_mmap(&p->shmem, SHMEM_BAR, 0, p->length);
	return (void *)p->bar == MAP_FAILED ? -errno : 0;
}

static inline int p2p_set_up(struct p2p *p)
{
	__u32 pt;
	int ret;

	ret = ioas_alloc(p->edu.iommufd, &p->ioas);
	if (ret)
		return ret;
	pt = p->ioas;
	ret = cdev_attach(p->edu.fd, &pt);
	if (ret)
		return ret;
	ret = vp_set_command(&p->edu, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY,
			     0);
	if (ret)
		return ret;
	p->edu_bar = vp_mmap(&p->edu, 0, 0, PAGE);
	if ((void *)p->edu_bar == MAP_FAILED)
		return -errno;
	p->mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->mem == MAP_FAILED)
		return -errno;
	ret = ioas_map_at(p->edu.iommufd, p->ioas, p->mem, PAGE, IOVA_MEM);
	return ret ? ret : p2p_map_bar(p);
}

/* -ENODEV, and which device, if one is not there */
static inline int p2p_open(struct p2p *p, size_t length, const char **missing)
{
	int ret;

	vp_init(&p->edu);
	vp_init(&p->shmem);
	p->length = length;
	*missing = "no edu device";
	ret = vp_open(&p->edu, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret)
		return ret;
	*missing = "no ivshmem device";
	ret = vp_open(&p->shmem, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0);
	return ret ? ret : p2p_set_up(p);
}

static inline int p2p_close(struct p2p *p)
{
	int ret = vp_close(&p->edu), ret2 = vp_close(&p->shmem);

	return ret ? ret : ret2;
}

/* Put @byte into the engine's buffer, and from there to @iova */
static inline bool p2p_send(struct __test_metadata *_metadata, struct p2p *p,
			    __u64 iova, char byte)
{
	memset(p->mem, byte, 64);
	EXPECT_TRUE(edu_from_iova(p->edu_bar, IOVA_MEM));
	return edu_to_iova(p->edu_bar, iova);
}

/* The same where edu must not reach anything */
static inline bool p2p_stopped(struct __test_metadata *_metadata, struct p2p *p,
			       __u64 iova, char byte)
{
	return DMA_FAULTS_OF(p->edu.bdf, p2p_send(_metadata, p, iova, byte));
}

#define MAX_RANGES	8

/* A request for a dma-buf, as it should be but for what a test changes */
struct dmabuf_request {
	__u32 argsz;
	__u32 op;
	__u32 index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr;
	struct vfio_region_dma_range range[MAX_RANGES];
};

/* The fd, or a negative errno */
static inline int dmabuf_get(int dev, const struct dmabuf_request *req)
{
	union {
		struct vfio_device_feature feature;
		char room[sizeof(struct vfio_device_feature) +
			  sizeof(struct vfio_device_feature_dma_buf) +
			  sizeof(req->range)];
	} u = { .room = {} };
	struct vfio_device_feature_dma_buf *get = (void *)u.feature.data;

	u.feature.argsz = req->argsz ? req->argsz : sizeof(u);
	u.feature.flags = (req->op ? req->op : VFIO_DEVICE_FEATURE_GET) |
			  VFIO_DEVICE_FEATURE_DMA_BUF;
	get->region_index = req->index;
	get->open_flags = req->open_flags;
	get->flags = req->flags;
	get->nr_ranges = req->nr;
	memcpy(get->dma_ranges, req->range, sizeof(req->range));
	return call(dev, VFIO_DEVICE_FEATURE, &u);
}

static inline int dmabuf_export(const struct vp_dev *d, unsigned int bar,
				__u64 offset, __u64 length, __u32 open_flags)
{
	struct dmabuf_request req = {
		.index = bar,
		.open_flags = open_flags,
		.nr = 1,
		.range = { { offset, length } },
	};

	return dmabuf_get(d->fd, &req);
}

/* An importer other than iommufd: a request to the test driver vfio-test */
static inline int dmabuf_import(int dev, __u32 op, struct vfio_test_import *arg)
{
	arg->argsz = sizeof(*arg);
	arg->op = op;
	return call(dev, VFIO_TEST_IMPORT, arg);
}

#endif
