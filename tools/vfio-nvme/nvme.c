// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small NVMe driver in user space: the controller and its namespace. See
 * nvme.h; section numbers refer to the NVM Express Base Specification 1.4.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nvme.h"
#include "queue.h"

/* Controller registers (3.1) */
#define NVME_CAP		0x00
#define   CAP_MQES(cap)		((unsigned int)((cap) & 0xffff))
#define   CAP_TO(cap)		((unsigned int)((cap) >> 24 & 0xff))
#define   CAP_DSTRD(cap)	((unsigned int)((cap) >> 32 & 0xf))
#define   CAP_CSS_NVM(cap)	((cap) >> 37 & 1)
#define   CAP_MPSMIN(cap)	((unsigned int)((cap) >> 48 & 0xf))
#define NVME_VS			0x08
#define NVME_CC			0x14
#define   CC_ENABLE		(1u << 0)
#define   CC_SHUTDOWN_NORMAL	(1u << 14)
#define   CC_SHUTDOWN_MASK	(3u << 14)
#define   CC_SQE_64		(6u << 16)
#define   CC_CQE_16		(4u << 20)
#define NVME_CSTS		0x1c
#define   CSTS_READY		(1u << 0)
#define   CSTS_FATAL		(1u << 1)
#define   CSTS_SHUTDOWN_MASK	(3u << 2)
#define   CSTS_SHUTDOWN_DONE	(2u << 2)
#define NVME_AQA		0x24
#define NVME_ASQ		0x28
#define NVME_ACQ		0x30

/* Admin commands (5) */
#define ADMIN_CREATE_SQ		0x01
#define ADMIN_CREATE_CQ		0x05
#define ADMIN_IDENTIFY		0x06
#define   IDENTIFY_NAMESPACE	0
#define   IDENTIFY_CONTROLLER	1
#define ADMIN_SET_FEATURES	0x09
#define   FEATURE_NUM_QUEUES	0x07
#define QUEUE_CONTIGUOUS	(1u << 0)
#define QUEUE_IRQ_ENABLED	(1u << 1)

/* I/O commands (6) */
#define IO_FLUSH		0x00
#define IO_WRITE		0x01
#define IO_READ			0x02

#define NAMESPACE		1u

/* More than the controller may take, so that one PRP list page is enough. */
#define LARGEST_TRANSFER	(256u * 1024)

/* ---- enabling and disabling the controller (7.6) ----------------------- */

static int wait_csts(struct nvme *nvme, uint32_t mask, uint32_t value,
		     const char *what)
{
	uint64_t deadline = uvfio_now_ms() + nvme->ready_timeout_ms;
	uint32_t csts;

	for (;;) {
		csts = uvfio_read32(&nvme->regs, NVME_CSTS);
		/* All ones: the device has left the bus. */
		if (csts == UINT32_MAX)
			return nvme_fail(ENODEV, "the controller does not answer (removed, or memory decoding is off)");
		if ((csts & mask) == value)
			return 0;
		if ((csts & CSTS_FATAL) && value)
			return nvme_fail(EIO, "%s: fatal controller error, CSTS 0x%x",
					 what, csts);
		if (uvfio_now_ms() > deadline)
			return nvme_fail(ETIMEDOUT, "%s: CSTS is still 0x%x after %u ms",
					 what, csts, nvme->ready_timeout_ms);
		uvfio_sleep_ms(1);
	}
}

/* Afterwards the controller has forgotten its queues and does no DMA. */
static int disable_controller(struct nvme *nvme)
{
	uint32_t cc = uvfio_read32(&nvme->regs, NVME_CC);

	nvme->enabled = false;
	uvfio_write32(&nvme->regs, NVME_CC, cc & ~CC_ENABLE);
	return wait_csts(nvme, CSTS_READY, 0, "reset");
}

static int enable_controller(struct nvme *nvme)
{
	uint32_t entries = NVME_QUEUE_DEPTH - 1;	/* "0's based" */
	int err;

	uvfio_write32(&nvme->regs, NVME_AQA, entries << 16 | entries);
	uvfio_write64(&nvme->regs, NVME_ASQ, nvme->admin.sq_mem.iova);
	uvfio_write64(&nvme->regs, NVME_ACQ, nvme->admin.cq_mem.iova);
	uvfio_write32(&nvme->regs, NVME_CC,
		      CC_ENABLE | CC_SQE_64 | CC_CQE_16);
	err = wait_csts(nvme, CSTS_READY, CSTS_READY, "enable");
	if (!err)
		nvme->enabled = true;
	return err;
}

/* Lets the controller write back its caches. */
static void shut_down_controller(struct nvme *nvme)
{
	uint32_t cc = uvfio_read32(&nvme->regs, NVME_CC);

	uvfio_write32(&nvme->regs, NVME_CC,
		      (cc & ~CC_SHUTDOWN_MASK) | CC_SHUTDOWN_NORMAL);
	wait_csts(nvme, CSTS_SHUTDOWN_MASK, CSTS_SHUTDOWN_DONE, "shutdown");
}

static int read_capabilities(struct nvme *nvme)
{
	uint64_t cap = uvfio_read64(&nvme->regs, NVME_CAP);

	if (cap == UINT64_MAX)
		return nvme_fail(ENODEV, "the controller does not answer");
	if (!CAP_CSS_NVM(cap))
		return nvme_fail(EOPNOTSUPP, "no NVM command set");
	if (CAP_MPSMIN(cap))
		return nvme_fail(EOPNOTSUPP, "the controller needs pages larger than 4 KiB");
	if (CAP_MQES(cap) + 1 < NVME_QUEUE_DEPTH)
		return nvme_fail(EOPNOTSUPP, "queues of %u entries are too small",
				 CAP_MQES(cap) + 1);

	nvme->doorbell_stride = 4u << CAP_DSTRD(cap);
	nvme->ready_timeout_ms = (CAP_TO(cap) + 1) * 500;
	if (nvme->ready_timeout_ms < nvme->command_timeout_ms)
		nvme->ready_timeout_ms = nvme->command_timeout_ms;
	nvme->version = uvfio_read32(&nvme->regs, NVME_VS);
	return 0;
}

/* ---- I/O queues ---------------------------------------------------------- */

static int admin_command(struct nvme *nvme, const struct nvme_sqe *sqe,
			 uint32_t *result, const char *what)
{
	int cid, err;

	cid = nvme_submit(nvme, &nvme->admin, sqe);
	if (cid < 0)
		return cid;
	err = nvme_wait_for(nvme, &nvme->admin, cid, what);
	if (!err && result)
		*result = nvme->admin.done[cid].result;
	return err;
}

/* The completion queue comes first: the submission queue names it (5.3, 5.4). */
static int create_io_queue(struct nvme *nvme, struct nvme_queue *q)
{
	struct nvme_sqe create_cq = {
		.opcode = ADMIN_CREATE_CQ,
		.prp1 = q->cq_mem.iova,
		.cdw10 = (NVME_QUEUE_DEPTH - 1) << 16 | q->id,
		.cdw11 = QUEUE_CONTIGUOUS,
	};
	struct nvme_sqe create_sq = {
		.opcode = ADMIN_CREATE_SQ,
		.prp1 = q->sq_mem.iova,
		.cdw10 = (NVME_QUEUE_DEPTH - 1) << 16 | q->id,
		.cdw11 = (uint32_t)q->id << 16 | QUEUE_CONTIGUOUS,
	};
	int err;

	if (nvme->irq_mode != NVME_IRQ_POLL)
		create_cq.cdw11 |= QUEUE_IRQ_ENABLED | q->vector << 16;
	err = admin_command(nvme, &create_cq, NULL,
			    "creation of a completion queue");
	if (err)
		return err;
	return admin_command(nvme, &create_sq, NULL,
			     "creation of a submission queue");
}

/* Ask for @wanted I/O queues (5.21.1.7) and create what is granted. */
static int create_io_queues(struct nvme *nvme, unsigned int wanted)
{
	struct nvme_sqe set = {
		.opcode = ADMIN_SET_FEATURES,
		.cdw10 = FEATURE_NUM_QUEUES,
		.cdw11 = (wanted - 1) << 16 | (wanted - 1),
	};
	unsigned int submission, completion, i;
	uint32_t granted;
	int err;

	err = admin_command(nvme, &set, &granted, "request of I/O queues");
	if (err)
		return err;
	submission = (granted & 0xffff) + 1;
	completion = (granted >> 16) + 1;
	if (submission < wanted)
		wanted = submission;
	if (completion < wanted)
		wanted = completion;

	for (i = 0; i < wanted; i++) {
		err = nvme_queue_alloc(nvme, &nvme->io[i], (uint16_t)(i + 1));
		if (err)
			return err;
		/* From here on nvme_close() takes care of the queue. */
		nvme->num_io++;
		err = create_io_queue(nvme, &nvme->io[i]);
		if (err)
			return err;
	}
	return 0;
}

/* ---- interrupts -------------------------------------------------------- */

/* Interrupts must be set up before the first command that may raise one. */
static int enable_interrupts(struct nvme *nvme, unsigned int num_io)
{
	static const uint32_t index[] = {
		[NVME_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
		[NVME_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
		[NVME_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
	};
	unsigned int wanted = num_io + 1, i;
	int count, err;

	if (nvme->irq_mode == NVME_IRQ_POLL)
		return 0;
	count = uvfio_irq_count(&nvme->vfio, index[nvme->irq_mode]);
	if (count < 0)
		return nvme_fail_uvfio(count);
	if (!count)
		return nvme_fail(EOPNOTSUPP, "the controller has no interrupt of this kind");
	if ((unsigned int)count < wanted)
		wanted = (unsigned int)count;

	for (i = 0; i < wanted; i++) {
		nvme->eventfds[i] = eventfd(0, EFD_CLOEXEC);
		if (nvme->eventfds[i] < 0)
			return nvme_fail(errno, "eventfd: %s", strerror(errno));
	}
	err = uvfio_irq_enable(&nvme->vfio, index[nvme->irq_mode],
			       nvme->eventfds, wanted);
	if (err)
		return nvme_fail_uvfio(err);
	nvme->num_vectors = wanted;
	return 0;
}

static void disable_interrupts(struct nvme *nvme)
{
	static const uint32_t index[] = {
		[NVME_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
		[NVME_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
		[NVME_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
	};
	unsigned int i;

	if (nvme->num_vectors)
		uvfio_irq_disable(&nvme->vfio, index[nvme->irq_mode]);
	nvme->num_vectors = 0;
	for (i = 0; i <= NVME_MAX_IO_QUEUES; i++) {
		if (nvme->eventfds[i] >= 0)
			close(nvme->eventfds[i]);
		nvme->eventfds[i] = -1;
	}
}

/* ---- identification (5.15) --------------------------------------------- */

static int identify_one(struct nvme *nvme, const struct uvfio_dma *page,
			uint32_t what, uint32_t nsid)
{
	struct nvme_sqe sqe = {
		.opcode = ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = page->iova,
		.cdw10 = what,
	};

	return admin_command(nvme, &sqe, NULL, "IDENTIFY");
}

/* Identify strings are padded with blanks. */
static void copy_string(char *to, const unsigned char *from, size_t size)
{
	memcpy(to, from, size);
	to[size] = '\0';
	while (size && (to[size - 1] == ' ' || !to[size - 1]))
		to[--size] = '\0';
}

static int parse_controller(struct nvme *nvme, const unsigned char *data)
{
	unsigned int mdts = data[77];	/* log2 of pages, 0: no limit */

	copy_string(nvme->serial, data + 4, 20);
	copy_string(nvme->model, data + 24, 40);
	copy_string(nvme->firmware, data + 64, 8);

	nvme->max_transfer = LARGEST_TRANSFER;
	if (mdts && mdts < 16 && (NVME_PAGE << mdts) < nvme->max_transfer)
		nvme->max_transfer = NVME_PAGE << mdts;
	return 0;
}

static int parse_namespace(struct nvme *nvme, const unsigned char *data)
{
	unsigned int format = data[26] & 0xf, shift;
	uint16_t metadata;

	memcpy(&nvme->num_blocks, data, sizeof(nvme->num_blocks));
	memcpy(&metadata, data + 128 + 4 * format, sizeof(metadata));
	shift = data[128 + 4 * format + 2];
	if (!nvme->num_blocks || shift < 9 || shift > 12 || metadata)
		return nvme_fail(EOPNOTSUPP, "namespace 1: %llu blocks of 2^%u bytes, %u bytes of metadata: not supported here",
				 (unsigned long long)nvme->num_blocks, shift,
				 metadata);
	nvme->block_size = 1u << shift;
	return 0;
}

static int identify(struct nvme *nvme)
{
	struct uvfio_dma page = {};
	int err;

	err = uvfio_dma_alloc(&nvme->iommu, &page, NVME_PAGE, UVFIO_RW,
			      UVFIO_ANY_IOVA);
	if (err)
		return nvme_fail_uvfio(err);
	err = identify_one(nvme, &page, IDENTIFY_CONTROLLER, 0);
	if (!err)
		err = parse_controller(nvme, page.cpu);
	if (!err)
		err = identify_one(nvme, &page, IDENTIFY_NAMESPACE, NAMESPACE);
	if (!err)
		err = parse_namespace(nvme, page.cpu);

	/* A command that timed out may still write here: stop it first. */
	if (err)
		disable_controller(nvme);
	uvfio_dma_free(&nvme->iommu, &page);
	return err;
}

/* ---- reading and writing ----------------------------------------------- */

/*
 * Tell the controller where the data is: up to two pages directly, more
 * through a list that has its own page for each command id (4.3).
 */
static void set_data(struct nvme_queue *q, int cid, struct nvme_sqe *sqe,
		     uint64_t iova, size_t bytes)
{
	uint64_t *list = (uint64_t *)q->prp_mem.cpu +
			 (size_t)cid * (NVME_PAGE / sizeof(uint64_t));
	size_t pages = (bytes + NVME_PAGE - 1) / NVME_PAGE, i;

	sqe->prp1 = iova;
	if (pages <= 2) {
		sqe->prp2 = pages == 2 ? iova + NVME_PAGE : 0;
		return;
	}
	for (i = 1; i < pages; i++)
		list[i - 1] = iova + i * NVME_PAGE;
	sqe->prp2 = q->prp_mem.iova + (uint64_t)cid * NVME_PAGE;
}

static int submit_rw(struct nvme *nvme, struct nvme_queue *q, uint8_t opcode,
		     uint64_t lba, uint32_t count, uint64_t iova)
{
	struct nvme_sqe sqe = {
		.opcode = opcode,
		.nsid = NAMESPACE,
		.cdw10 = (uint32_t)lba,
		.cdw11 = (uint32_t)(lba >> 32),
		.cdw12 = count - 1,		/* "0's based" */
	};
	int cid = nvme_free_cid(q);

	if (cid < 0)
		return nvme_fail(EBUSY, "queue %u is full", q->id);
	set_data(q, cid, &sqe, iova, (size_t)count * nvme->block_size);
	/* nvme_submit() takes the same id, as nothing came between. */
	return nvme_submit(nvme, q, &sqe);
}

/*
 * Gives each I/O queue one command, then waits for all of them. Even when one
 * fails the others must end before the caller may free the buffer.
 */
static int transfer(struct nvme *nvme, uint8_t opcode, uint64_t lba,
		    uint32_t count, uint64_t iova, const char *what)
{
	const uint32_t largest = (uint32_t)(nvme->max_transfer / nvme->block_size);
	int cids[NVME_MAX_IO_QUEUES], err = 0, e;
	unsigned int i, n;
	uint32_t part;

	if (iova % NVME_PAGE)
		return nvme_fail(EINVAL, "IOVA is not a multiple of %u", NVME_PAGE);
	while (count && !err) {
		for (n = 0; n < nvme->num_io && count && !err; n++) {
			part = count < largest ? count : largest;
			cids[n] = submit_rw(nvme, &nvme->io[n], opcode, lba,
					    part, iova);
			if (cids[n] < 0) {
				err = cids[n];
				break;
			}
			lba += part;
			count -= part;
			iova += (uint64_t)part * nvme->block_size;
		}
		for (i = 0; i < n; i++) {
			e = nvme_wait_for(nvme, &nvme->io[i], cids[i], what);
			if (e)
				err = e;
		}
	}
	/* Who did not answer may yet write to the buffer: stop it. */
	if (err == -ETIMEDOUT)
		disable_controller(nvme);
	return err;
}

int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t count, uint64_t iova)
{
	return transfer(nvme, IO_READ, lba, count, iova, "read");
}

int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t count, uint64_t iova)
{
	return transfer(nvme, IO_WRITE, lba, count, iova, "write");
}

int nvme_flush(struct nvme *nvme)
{
	struct nvme_sqe sqe = { .opcode = IO_FLUSH, .nsid = NAMESPACE };
	int cid;

	cid = nvme_submit(nvme, &nvme->io[0], &sqe);
	if (cid < 0)
		return cid;
	return nvme_wait_for(nvme, &nvme->io[0], cid, "flush");
}

/* ---- open and close ---------------------------------------------------- */

static int open_device(struct nvme *nvme, const char *bdf, int fd)
{
	int err;

	if (fd >= 0) {
		uvfio_device_from_fd(&nvme->vfio, fd);
	} else {
		err = uvfio_device_open(&nvme->vfio, bdf);
		if (err)
			return err;
	}
	err = uvfio_iommu_open(&nvme->iommu);
	if (err)
		return err;
	err = uvfio_device_bind(&nvme->vfio, &nvme->iommu);
	if (err)
		return err;
	err = uvfio_device_attach(&nvme->vfio, &nvme->iommu);
	if (err)
		return err;
	err = uvfio_region_mmap(&nvme->vfio, VFIO_PCI_BAR0_REGION_INDEX,
				&nvme->regs);
	if (err)
		return err;
	return uvfio_pci_enable(&nvme->vfio);
}

static int start(struct nvme *nvme, unsigned int num_io)
{
	int err;

	err = read_capabilities(nvme);
	if (err)
		return err;
	/* Whoever had the controller before may have left it running. */
	err = disable_controller(nvme);
	if (err)
		return err;
	err = enable_interrupts(nvme, num_io);
	if (err)
		return err;
	err = nvme_queue_alloc(nvme, &nvme->admin, 0);
	if (err)
		return err;
	err = enable_controller(nvme);
	if (err)
		return err;
	err = identify(nvme);
	if (err)
		return err;
	return create_io_queues(nvme, num_io);
}

int nvme_open(struct nvme *nvme, const char *bdf, int fd,
	      enum nvme_irq_mode irq_mode, unsigned int num_io,
	      unsigned int command_timeout_ms)
{
	char why[512];
	unsigned int i;
	int err;

	memset(nvme, 0, sizeof(*nvme));
	nvme->iommu.fd = -1;
	nvme->vfio.fd = -1;
	nvme->irq_mode = irq_mode;
	nvme->command_timeout_ms = command_timeout_ms;
	nvme->ready_timeout_ms = command_timeout_ms;
	for (i = 0; i <= NVME_MAX_IO_QUEUES; i++)
		nvme->eventfds[i] = -1;
	if (!num_io || num_io > NVME_MAX_IO_QUEUES)
		return nvme_fail(EINVAL, "between 1 and %u I/O queues, please",
				 NVME_MAX_IO_QUEUES);

	err = nvme_fail_uvfio(open_device(nvme, bdf, fd));
	if (!err)
		err = start(nvme, num_io);
	if (err) {
		snprintf(why, sizeof(why), "%s", nvme_error());
		nvme_close(nvme);
		nvme_fail(-err, "%s", why);
	}
	return err;
}

/*
 * First silence the device, then take its memory away. (If this process dies
 * before, the kernel does the same in the same order.)
 */
void nvme_close(struct nvme *nvme)
{
	unsigned int i;

	if (nvme->enabled)
		shut_down_controller(nvme);
	if (nvme->regs.base)
		disable_controller(nvme);
	disable_interrupts(nvme);
	for (i = 0; i < nvme->num_io; i++)
		nvme_queue_destroy(nvme, &nvme->io[i]);
	nvme->num_io = 0;
	nvme_queue_destroy(nvme, &nvme->admin);
	uvfio_region_munmap(&nvme->regs);
	uvfio_device_close(&nvme->vfio);
	uvfio_iommu_close(&nvme->iommu);
}
