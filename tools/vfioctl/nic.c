// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "nic.h"

/* Registers, from the data sheet of 82574 */
#define CTRL		0x0000
#define  CTRL_FD	(1u << 0)
#define  CTRL_SLU	(1u << 6)
#define  CTRL_SPEED_1G	(2u << 8)
#define  CTRL_FRCSPD	(1u << 11)
#define  CTRL_FRCDPX	(1u << 12)
#define  CTRL_RST	(1u << 26)
#define STATUS		0x0008
#define  STATUS_LU	(1u << 1)
#define IMC		0x00d8
#define RCTL		0x0100
#define  RCTL_EN	(1u << 1)
#define  RCTL_UPE	(1u << 3)
#define  RCTL_LBM_MAC	(1u << 6)
#define TCTL		0x0400
#define  TCTL_EN	(1u << 1)
#define  TCTL_PSP	(1u << 3)
#define RX		0x2800		/* the same layout for both rings */
#define TX		0x3800
#define  RING_BAL	0x00
#define  RING_BAH	0x04
#define  RING_LEN	0x08
#define  RING_HEAD	0x10
#define  RING_TAIL	0x18
#define RAL		0x5400
#define RAH		0x5404

#define NUM_DESC	8u
#define LINK_MS		5000
#define FRAME_MS	2000
#define FRAME		1000u
#define BUFFER		2048u

/* Legacy descriptors */
struct tx_desc {
	uint64_t address;
	uint16_t length;
	uint8_t cso;
	uint8_t command;
#define TX_EOP	(1u << 0)
#define TX_IFCS	(1u << 1)
#define TX_RS	(1u << 3)
	uint8_t status;
#define DESC_DONE	(1u << 0)
	uint8_t css;
	uint16_t special;
};

struct rx_desc {
	uint64_t address;
	uint16_t length;
	uint16_t checksum;
	uint8_t status;
	uint8_t errors;
	uint16_t special;
};

/* Where things are in the one piece of memory that the card gets */
#define TX_RING		0x0000
#define RX_RING		0x1000
#define TX_FRAME	0x2000
#define RX_BUFFERS	0x4000
#define MEMORY		(RX_BUFFERS + NUM_DESC * BUFFER)

bool nic_is_known(uint16_t vendor, uint16_t device)
{
	return vendor == 0x8086 && device == 0x10d3;
}

static bool wait_for_bit(const volatile uint8_t *byte, uint8_t bit,
			 unsigned int ms)
{
	uint64_t until = uvfio_now_ms() + ms;

	while (!(*byte & bit)) {
		if (uvfio_now_ms() > until)
			return false;
		uvfio_sleep_ms(1);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

static void ring_setup(const struct uvfio_region *regs, uint32_t ring,
		       uint64_t iova)
{
	uvfio_write32(regs, ring + RING_BAL, (uint32_t)iova);
	uvfio_write32(regs, ring + RING_BAH, iova >> 32);
	uvfio_write32(regs, ring + RING_LEN,
		      NUM_DESC * sizeof(struct rx_desc));
	uvfio_write32(regs, ring + RING_HEAD, 0);
	uvfio_write32(regs, ring + RING_TAIL, 0);
}

static const char *card_start(const struct uvfio_region *regs,
			      const struct uvfio_dma *dma)
{
	uint64_t until;

	uvfio_write32(regs, IMC, ~0u);
	uvfio_write32(regs, CTRL, uvfio_read32(regs, CTRL) | CTRL_RST);
	uvfio_sleep_ms(20);
	uvfio_write32(regs, IMC, ~0u);
	uvfio_write32(regs, CTRL, CTRL_SLU | CTRL_FD | CTRL_FRCSPD |
		      CTRL_FRCDPX | CTRL_SPEED_1G);
	until = uvfio_now_ms() + LINK_MS;
	while (!(uvfio_read32(regs, STATUS) & STATUS_LU)) {
		if (uvfio_now_ms() > until)
			return "the card reports no link with itself";
		uvfio_sleep_ms(10);
	}
	ring_setup(regs, RX, dma->iova + RX_RING);
	ring_setup(regs, TX, dma->iova + TX_RING);
	uvfio_write32(regs, RCTL, RCTL_EN | RCTL_UPE | RCTL_LBM_MAC);
	uvfio_write32(regs, TCTL, TCTL_EN | TCTL_PSP);
	return NULL;
}

static void card_stop(const struct uvfio_region *regs)
{
	uvfio_write32(regs, RCTL, 0);
	uvfio_write32(regs, TCTL, 0);
	uvfio_write32(regs, CTRL, uvfio_read32(regs, CTRL) | CTRL_RST);
	uvfio_sleep_ms(20);
}

/* To the card's own address, of a type for experiments */
static void make_frame(const struct uvfio_region *regs, uint8_t *frame)
{
	uint32_t low = uvfio_read32(regs, RAL), high = uvfio_read32(regs, RAH);
	unsigned int i;

	for (i = 0; i < 6; i++) {
		frame[i] = i < 4 ? low >> (8 * i) : high >> (8 * (i - 4));
		frame[i + 6] = frame[i];
	}
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (i = 14; i < FRAME; i++)
		frame[i] = i * 31 + (i >> 8);
}

static const char *exchange(const struct uvfio_region *regs,
			    const struct uvfio_dma *dma)
{
	struct tx_desc *tx = (void *)((char *)dma->cpu + TX_RING);
	struct rx_desc *rx = (void *)((char *)dma->cpu + RX_RING);
	uint8_t *frame = (uint8_t *)dma->cpu + TX_FRAME;
	uint8_t *got = (uint8_t *)dma->cpu + RX_BUFFERS;
	unsigned int i;

	make_frame(regs, frame);
	for (i = 0; i < NUM_DESC; i++)
		rx[i].address = dma->iova + RX_BUFFERS + i * BUFFER;
	uvfio_write32(regs, RX + RING_TAIL, NUM_DESC - 1);

	tx[0].address = dma->iova + TX_FRAME;
	tx[0].length = FRAME;
	tx[0].command = TX_EOP | TX_IFCS | TX_RS;
	uvfio_write32(regs, TX + RING_TAIL, 1);
	if (!wait_for_bit(&tx[0].status, DESC_DONE, FRAME_MS))
		return "the card did not read the frame from memory";
	if (!wait_for_bit(&rx[0].status, DESC_DONE, FRAME_MS))
		return "the frame did not come back";
	if (rx[0].length < FRAME || rx[0].errors)
		return mem_printf("what came back has %u bytes and errors 0x%x",
				  rx[0].length, rx[0].errors);
	if (memcmp(frame, got, FRAME))
		return "what came back is not what was sent";
	return NULL;
}

const char *nic_loopback(const struct uvfio_device *vfio,
			 struct uvfio_iommu *iommu)
{
	struct uvfio_region regs;
	struct uvfio_dma dma;
	const char *problem;

	if (uvfio_region_mmap(vfio, VFIO_PCI_BAR0_REGION_INDEX, &regs))
		return mem_strdup(uvfio_error());
	if (uvfio_dma_alloc(iommu, &dma, MEMORY, UVFIO_RW, UVFIO_ANY_IOVA)) {
		problem = mem_strdup(uvfio_error());
	} else {
		memset(dma.cpu, 0, MEMORY);
		problem = card_start(&regs, &dma);
		if (!problem)
			problem = exchange(&regs, &dma);
		card_stop(&regs);
		uvfio_dma_free(iommu, &dma);
	}
	uvfio_region_munmap(&regs);
	return problem;
}
