/* SPDX-License-Identifier: GPL-2.0-only */
/* Between nvme.c and queue.c. */
#ifndef QUEUE_H
#define QUEUE_H

#include "nvme.h"

/* Set the text of nvme_error(); both return the negative errno. */
int nvme_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int nvme_fail_uvfio(int err);

/* The memory of a queue pair; telling the controller is another matter. */
int nvme_queue_alloc(struct nvme *nvme, struct nvme_queue *q, uint16_t id);
void nvme_queue_destroy(struct nvme *nvme, struct nvme_queue *q);

/* The id that the next command will get, or -1 if the queue is full. */
int nvme_free_cid(const struct nvme_queue *q);
/* Hands the command to the controller. Return: its id, for nvme_wait_for(). */
int nvme_submit(struct nvme *nvme, struct nvme_queue *q,
		const struct nvme_sqe *sqe);
/* Waits for one command. Return: 0, or why it failed. */
int nvme_wait_for(struct nvme *nvme, struct nvme_queue *q, int cid,
		  const char *what);

#endif /* QUEUE_H */
