/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's "edu" teaching device (QEMU: docs/specs/edu.rst) */
#ifndef EDU_REGS_H
#define EDU_REGS_H

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* Registers, in BAR 0; those of DMA take 64 bits at a time, too */
#define EDU_ID			0x00
#define   EDU_ID_MASK		0x0000ffff
#define   EDU_ID_VALUE		0x000000ed
#define   EDU_ID_REVISION_1	0x010000ed	/* all of it */
#define EDU_LIVENESS		0x04		/* reads as its complement */
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define   EDU_STATUS_BUSY	0x01
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define   EDU_DMA_START		0x01
#define   EDU_DMA_TO_MEM	0x02
#define   EDU_DMA_IRQ		0x04
#define   EDU_DMA_IRQ_STATUS	0x100
#define EDU_BAR_SIZE		0x100000

/*
 * The device's own buffer, in its own address space. It has 4096 bytes, but
 * QEMU before 8.0 takes a transfer up to the last of them for an overrun, and
 * aborts.
 */
#define EDU_BUFFER		0x40000
#define EDU_MAX_DMA		2048

/* The device has 28 address lines, so every IOVA must be below 256 MiB. */
#define EDU_IOVA_END		0x10000000UL

#endif /* EDU_REGS_H */
