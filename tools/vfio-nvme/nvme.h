/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small NVMe driver in user space, on top of uvfio.
 *
 * It is meant to be read: one thread, little endian hosts, 4 KiB controller
 * pages, memory that the caller has mapped. What is here works on any NVMe
 * controller; what is missing (namespaces other than the first, metadata,
 * scatter-gather lists, error recovery) answers an error.
 *
 * Functions return 0 or a negative errno; nvme_error() then says more.
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stdint.h>

#include "uvfio.h"

#define NVME_MAX_IO_QUEUES	8
#define NVME_QUEUE_DEPTH	16	/* entries; one always stays free */
#define NVME_PAGE		4096u

enum nvme_irq_mode {
	NVME_IRQ_MSIX,
	NVME_IRQ_MSI,
	NVME_IRQ_INTX,
	NVME_IRQ_POLL,
};

/* Submission queue entry: a command */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1;			/* IOVA of the first page of data */
	uint64_t prp2;			/* of the second, or of a list */
	uint32_t cdw10;
	uint32_t cdw11;
	uint32_t cdw12;
	uint32_t cdw13;
	uint32_t cdw14;
	uint32_t cdw15;
};

/* Completion queue entry: its outcome */
struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status;		/* bit 0 is the phase */
};

/* A submission queue and the completion queue that goes with it */
struct nvme_queue {
	uint16_t id;			/* 0: admin */
	unsigned int vector;		/* interrupt vector it completes on */

	struct uvfio_dma sq_mem;
	struct uvfio_dma cq_mem;
	struct uvfio_dma prp_mem;	/* one page of PRP list per command */
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;

	uint16_t sq_tail;
	uint16_t cq_head;
	uint16_t phase;			/* of the next new completion */
	uint32_t busy;			/* bit per command id in flight */
	struct nvme_cqe done[NVME_QUEUE_DEPTH];		/* by command id */
};

struct nvme {
	struct uvfio_iommu iommu;
	struct uvfio_device vfio;
	struct uvfio_region regs;
	bool enabled;

	enum nvme_irq_mode irq_mode;
	unsigned int num_vectors;
	int eventfds[NVME_MAX_IO_QUEUES + 1];
	unsigned long interrupts[NVME_MAX_IO_QUEUES + 1];
	unsigned long completions[NVME_MAX_IO_QUEUES + 1];

	struct nvme_queue admin;
	struct nvme_queue io[NVME_MAX_IO_QUEUES];
	unsigned int num_io;

	unsigned int command_timeout_ms;
	unsigned int ready_timeout_ms;
	size_t doorbell_stride;

	/* from the controller and namespace 1 */
	uint32_t version;
	char model[41];
	char serial[21];
	char firmware[9];
	uint32_t block_size;
	uint64_t num_blocks;
	size_t max_transfer;		/* bytes in one command */
};

const char *nvme_error(void);

/*
 * nvme_open() uses the device file @fd, or opens that of @bdf if @fd is
 * negative. It leaves the controller running, with @num_io I/O queues or as
 * many as it grants.
 */
int nvme_open(struct nvme *nvme, const char *bdf, int fd,
	      enum nvme_irq_mode irq_mode, unsigned int num_io,
	      unsigned int command_timeout_ms);
void nvme_close(struct nvme *nvme);

/*
 * Transfer @count blocks between block @lba of the disk and @iova, which must
 * be a multiple of NVME_PAGE and mapped. Large transfers become several
 * commands, spread over all I/O queues.
 */
int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t count, uint64_t iova);
int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t count, uint64_t iova);
int nvme_flush(struct nvme *nvme);

/* Whether there were interrupts, if there were completions to announce. */
bool nvme_vector_works(struct nvme *nvme, unsigned int vector);

#endif /* NVME_H */
