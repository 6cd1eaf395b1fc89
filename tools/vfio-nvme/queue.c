// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small NVMe driver in user space: commands into submission queues, and
 * their outcomes out of completion queues. See queue.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "queue.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "queue entries are used without byte swapping");
_Static_assert(sizeof(struct nvme_sqe) == 64, "a command has 64 bytes");
_Static_assert(sizeof(struct nvme_cqe) == 16, "a completion has 16 bytes");

/* Registers (3.1): two doorbells per queue pair, and the status */
#define NVME_CSTS		0x1c
#define NVME_DOORBELLS		0x1000

static char error_text[512] = "no error";

const char *nvme_error(void)
{
	return error_text;
}

int nvme_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return -err;
}

/* A uvfio call failed; its own explanation is the best there is. */
int nvme_fail_uvfio(int err)
{
	return err ? nvme_fail(-err, "%s", uvfio_error()) : 0;
}

/* ---- what the controller says about a failed command (4.6.1) ----------- */

static const struct {
	uint16_t code;			/* status code type << 8 | code */
	const char *text;
} status_texts[] = {
	{ 0x001, "invalid command opcode" },
	{ 0x002, "invalid field in command" },
	{ 0x003, "command id conflict" },
	{ 0x004, "data transfer error" },
	{ 0x005, "aborted because of power loss" },
	{ 0x006, "internal error" },
	{ 0x007, "abort requested" },
	{ 0x008, "aborted because its queue was deleted" },
	{ 0x00b, "invalid namespace or format" },
	{ 0x013, "invalid PRP offset" },
	{ 0x014, "atomic write unit exceeded" },
	{ 0x020, "namespace is write protected" },
	{ 0x080, "LBA out of range" },
	{ 0x081, "capacity exceeded" },
	{ 0x082, "namespace not ready" },
	{ 0x100, "invalid completion queue" },
	{ 0x101, "invalid queue id" },
	{ 0x102, "invalid queue size" },
	{ 0x108, "invalid interrupt vector" },
	{ 0x182, "attempted write to read-only range" },
	{ 0x280, "write fault" },
	{ 0x281, "unrecovered read error" },
	{ 0x282, "end-to-end guard check error" },
	{ 0x286, "access denied" },
	{ 0x287, "deallocated or unwritten block" },
};

static int check_status(const struct nvme_cqe *cqe, const char *what)
{
	unsigned int code = cqe->status >> 1 & 0x7ff;
	const char *text = "see the specification";
	size_t i;

	if (!code)
		return 0;
	for (i = 0; i < sizeof(status_texts) / sizeof(status_texts[0]); i++)
		if (status_texts[i].code == code)
			text = status_texts[i].text;
	return nvme_fail(EIO, "%s failed: status type %u, code 0x%02x (%s)%s",
			 what, code >> 8, code & 0xff, text,
			 cqe->status & 0x8000 ? ", do not retry" : "");
}

/* ---- queues ------------------------------------------------------------ */

void nvme_queue_destroy(struct nvme *nvme, struct nvme_queue *q)
{
	uvfio_dma_free(&nvme->iommu, &q->prp_mem);
	uvfio_dma_free(&nvme->iommu, &q->cq_mem);
	uvfio_dma_free(&nvme->iommu, &q->sq_mem);
}

/* Memory only; the controller has yet to be told. */
int nvme_queue_alloc(struct nvme *nvme, struct nvme_queue *q, uint16_t id)
{
	int err;

	memset(q, 0, sizeof(*q));
	q->id = id;
	q->vector = nvme->num_vectors ? id % nvme->num_vectors : 0;
	q->phase = 1;

	/* The controller only reads commands and PRP lists. */
	err = uvfio_dma_alloc(&nvme->iommu, &q->sq_mem,
			      NVME_QUEUE_DEPTH * sizeof(struct nvme_sqe),
			      UVFIO_READ, UVFIO_ANY_IOVA);
	if (err)
		goto err_destroy;
	err = uvfio_dma_alloc(&nvme->iommu, &q->cq_mem,
			      NVME_QUEUE_DEPTH * sizeof(struct nvme_cqe),
			      UVFIO_RW, UVFIO_ANY_IOVA);
	if (err)
		goto err_destroy;
	err = uvfio_dma_alloc(&nvme->iommu, &q->prp_mem,
			      NVME_QUEUE_DEPTH * NVME_PAGE,
			      UVFIO_READ, UVFIO_ANY_IOVA);
	if (err)
		goto err_destroy;
	q->sq = q->sq_mem.cpu;
	q->cq = q->cq_mem.cpu;
	return 0;

err_destroy:
	nvme_queue_destroy(nvme, q);
	return nvme_fail_uvfio(err);
}

static void ring_sq_doorbell(struct nvme *nvme, struct nvme_queue *q)
{
	uvfio_write32(&nvme->regs, NVME_DOORBELLS +
		      2 * q->id * nvme->doorbell_stride, q->sq_tail);
}

static void ring_cq_doorbell(struct nvme *nvme, struct nvme_queue *q)
{
	uvfio_write32(&nvme->regs, NVME_DOORBELLS +
		      (2 * q->id + 1) * nvme->doorbell_stride, q->cq_head);
}

/* A command id that is not in flight, or -1. One slot must stay empty. */
int nvme_free_cid(const struct nvme_queue *q)
{
	int cid;

	for (cid = 0; cid < NVME_QUEUE_DEPTH - 1; cid++)
		if (!(q->busy & 1u << cid))
			return cid;
	return -1;
}

/* Hands the command to the controller. Return: its id, for nvme_wait_for(). */
int nvme_submit(struct nvme *nvme, struct nvme_queue *q,
		const struct nvme_sqe *sqe)
{
	int cid = nvme_free_cid(q);

	if (cid < 0)
		return nvme_fail(EBUSY, "queue %u is full", q->id);
	q->busy |= 1u << cid;
	q->sq[q->sq_tail] = *sqe;
	q->sq[q->sq_tail].cid = (uint16_t)cid;
	if (++q->sq_tail == NVME_QUEUE_DEPTH)
		q->sq_tail = 0;
	ring_sq_doorbell(nvme, q);
	return cid;
}

/*
 * Take all new completions out of one queue. The controller inverts the phase
 * bit in each pass over the queue, which is what makes an entry new; nothing
 * else of the entry may be read before it.
 */
static void reap(struct nvme *nvme, struct nvme_queue *q)
{
	struct nvme_cqe *cqe;
	bool any = false;

	for (;;) {
		cqe = &q->cq[q->cq_head];
		if ((__atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE) & 1) !=
		    q->phase)
			break;
		if (cqe->cid < NVME_QUEUE_DEPTH) {
			q->done[cqe->cid] = *cqe;
			q->busy &= ~(1u << cqe->cid);
			nvme->completions[q->vector]++;
		}
		if (++q->cq_head == NVME_QUEUE_DEPTH) {
			q->cq_head = 0;
			q->phase ^= 1;
		}
		any = true;
	}
	if (any)
		ring_cq_doorbell(nvme, q);
}

/* Queues may share a vector, and INTx stays asserted until all are empty. */
static void reap_all(struct nvme *nvme)
{
	unsigned int i;

	if (nvme->admin.cq)
		reap(nvme, &nvme->admin);
	for (i = 0; i < nvme->num_io; i++)
		reap(nvme, &nvme->io[i]);
}

/* Return: 1 if there may be completions, 0 after @timeout_ms, or an error. */
static int wait_interrupt(struct nvme *nvme, unsigned int vector,
			  int timeout_ms)
{
	int got;

	if (nvme->irq_mode == NVME_IRQ_POLL) {
		sched_yield();
		return timeout_ms > 0;
	}
	got = uvfio_eventfd_wait(nvme->eventfds[vector], timeout_ms);
	if (got < 0)
		return nvme_fail_uvfio(got);
	nvme->interrupts[vector] += (unsigned int)got;
	return got;
}

bool nvme_vector_works(struct nvme *nvme, unsigned int vector)
{
	/*
	 * If its only completions were found while waiting on another vector,
	 * the event is still in its eventfd.
	 */
	if (nvme->completions[vector] && !nvme->interrupts[vector])
		wait_interrupt(nvme, vector, (int)nvme->command_timeout_ms);
	return !nvme->completions[vector] || nvme->interrupts[vector];
}

int nvme_wait_for(struct nvme *nvme, struct nvme_queue *q, int cid,
		  const char *what)
{
	uint64_t deadline = uvfio_now_ms() + nvme->command_timeout_ms;
	uint64_t now;
	int got;

	/* It may have completed while we waited for another command. */
	reap_all(nvme);
	while (q->busy & 1u << cid) {
		now = uvfio_now_ms();
		got = wait_interrupt(nvme, q->vector,
				     now < deadline ? (int)(deadline - now) : 0);
		if (got < 0)
			return got;
		reap_all(nvme);
		if (got && nvme->irq_mode == NVME_IRQ_INTX) {
			got = uvfio_intx_unmask(&nvme->vfio);
			if (got)
				return nvme_fail_uvfio(got);
		} else if (!got) {
			return nvme_fail(ETIMEDOUT, "%s: %s within %u ms, CSTS 0x%x",
					 what, q->busy & 1u << cid ?
					 "no completion" :
					 "completed, but without an interrupt",
					 nvme->command_timeout_ms,
					 uvfio_read32(&nvme->regs, NVME_CSTS));
		}
	}
	return check_status(&q->done[cid], what);
}

