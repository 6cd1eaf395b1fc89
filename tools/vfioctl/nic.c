// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include <linux/mii.h>
#include <pci/pci.h>

#include "mem.h"
#include "nic.h"

/* Registers, from the data sheets of 82574 and 82576 */
#define CTRL		0x0000
#define  CTRL_FD	(1u << 0)
#define  CTRL_SLU	(1u << 6)
#define  CTRL_SPEED_1G	(2u << 8)
#define  CTRL_FRCSPD	(1u << 11)
#define  CTRL_FRCDPX	(1u << 12)
#define  CTRL_RST	(1u << 26)
#define STATUS		0x0008
#define  STATUS_LU	(1u << 1)
#define MDIC		0x0020
#define  MDIC_REG(reg)	((reg) << 16)
#define  MDIC_PHY	(1u << 21)	/* number 1, of which there is one */
#define  MDIC_WRITE	(1u << 26)
#define  MDIC_READY	(1u << 28)
#define IMC		0x00d8
#define RCTL		0x0100
#define  RCTL_EN	(1u << 1)
#define  RCTL_UPE	(1u << 3)
#define  RCTL_LBM_MAC	(1u << 6)
#define TCTL		0x0400
#define  TCTL_EN	(1u << 1)
#define  TCTL_PSP	(1u << 3)
/* Of a ring, from its first register; the same layout for both directions */
#define  RING_BAL	0x00
#define  RING_BAH	0x04
#define  RING_LEN	0x08
#define  RING_SRRCTL	0x0c		/* from 82576 on, for receiving */
#define   SRRCTL_2K	2u
#define   SRRCTL_ADVANCED	(1u << 25)
#define  RING_HEAD	0x10
#define  RING_TAIL	0x18
#define  RING_DCTL	0x28
#define   DCTL_ENABLE	(1u << 25)	/* from 82576 on */
#define RAL		0x5400
#define RAH		0x5404

#define NUM_DESC	8u
#define LINK_MS		5000
#define QUEUE_MS	1000
#define FRAME_MS	2000
#define FRAME		1000u
#define BUFFER		2048u

struct tx_desc {
	uint64_t address;
	uint32_t command;		/* with the length in its low bits */
#define TX_DATA		(3u << 20)	/* advanced, of data */
#define TX_EOP		(1u << 24)
#define TX_IFCS		(1u << 25)
#define TX_RS		(1u << 27)
#define TX_DEXT		(1u << 29)	/* advanced */
	uint32_t status;		/* advanced: with the length of the frame */
#define DESC_DONE	(1u << 0)
#define TX_FRAME_SHIFT	14
};

/* The card writes where the address was. */
union rx_desc {
	uint64_t address;
	struct {
		uint64_t address;
		uint16_t length;
		uint16_t checksum;
		uint8_t status;
		uint8_t errors;
		uint16_t special;
	} legacy;
	struct {
		uint64_t packet;
		uint32_t status;
#define RX_ERRORS	0xff000000
		uint16_t length;
		uint16_t vlan;
	} advanced;
};

/* The kinds of card: where their rings are, and what descriptors they have in them */
static const struct model {
	uint16_t device;
	uint32_t rx, tx;
	bool advanced;
} models[] = {
	{ 0x10d3, 0x2800, 0x3800, false },	/* 82574 */
	{ 0x10c9, 0xc000, 0xe000, true },	/* 82576 */
};

/* Where things are in the one piece of memory that the card gets */
#define TX_RING		0x0000
#define RX_RING		0x1000
#define TX_FRAME	0x2000
#define RX_BUFFERS	0x4000
#define MEMORY		(RX_BUFFERS + NUM_DESC * BUFFER)

static const struct model *model_of(uint16_t vendor, uint16_t device)
{
	size_t i;

	for (i = 0; i < sizeof(models) / sizeof(*models); i++)
		if (vendor == PCI_VENDOR_ID_INTEL && device == models[i].device)
			return &models[i];
	return NULL;
}

bool nic_is_known(uint16_t vendor, uint16_t device)
{
	return model_of(vendor, device);
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

static bool wait_for_register(const struct uvfio_region *regs, uint32_t reg,
			      uint32_t bit, unsigned int ms)
{
	uint64_t until = uvfio_now_ms() + ms;

	while (!(uvfio_read32(regs, reg) & bit)) {
		if (uvfio_now_ms() > until)
			return false;
		uvfio_sleep_ms(10);
	}
	return true;
}

static void ring_setup(const struct uvfio_region *regs, uint32_t ring,
		       uint64_t iova)
{
	uvfio_write32(regs, ring + RING_BAL, (uint32_t)iova);
	uvfio_write32(regs, ring + RING_BAH, iova >> 32);
	uvfio_write32(regs, ring + RING_LEN,
		      NUM_DESC * sizeof(union rx_desc));
	uvfio_write32(regs, ring + RING_HEAD, 0);
	uvfio_write32(regs, ring + RING_TAIL, 0);
}

static bool ring_start(const struct uvfio_region *regs, uint32_t ring)
{
	uvfio_write32(regs, ring + RING_DCTL,
		      uvfio_read32(regs, ring + RING_DCTL) | DCTL_ENABLE);
	return wait_for_register(regs, ring + RING_DCTL, DCTL_ENABLE, QUEUE_MS);
}

/*
 * A card may want a link although nothing goes to the wire. Whether it does
 * shows when a frame is sent.
 */
static void link_up(const struct uvfio_region *regs)
{
	if (uvfio_read32(regs, STATUS) & STATUS_LU)
		return;
	uvfio_write32(regs, MDIC, MDIC_WRITE | MDIC_PHY | MDIC_REG(MII_BMCR) |
		      BMCR_ANENABLE | BMCR_ANRESTART);
	wait_for_register(regs, MDIC, MDIC_READY, QUEUE_MS);
	wait_for_register(regs, STATUS, STATUS_LU, LINK_MS);
}

static const char *card_start(const struct uvfio_region *regs,
			      const struct model *model,
			      const struct uvfio_dma *dma)
{
	uvfio_write32(regs, IMC, ~0u);
	uvfio_write32(regs, CTRL, uvfio_read32(regs, CTRL) | CTRL_RST);
	uvfio_sleep_ms(20);
	uvfio_write32(regs, IMC, ~0u);
	uvfio_write32(regs, CTRL, CTRL_SLU | CTRL_FD | CTRL_FRCSPD |
		      CTRL_FRCDPX | CTRL_SPEED_1G);
	link_up(regs);
	ring_setup(regs, model->rx, dma->iova + RX_RING);
	ring_setup(regs, model->tx, dma->iova + TX_RING);
	if (model->advanced) {
		uvfio_write32(regs, model->rx + RING_SRRCTL,
			      SRRCTL_2K | SRRCTL_ADVANCED);
		if (!ring_start(regs, model->rx) ||
		    !ring_start(regs, model->tx))
			return "the card does not turn its queues on";
	}
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

static void send_frame(const struct uvfio_region *regs,
		       const struct model *model, struct tx_desc *tx,
		       uint64_t frame)
{
	tx->address = frame;
	tx->command = TX_EOP | TX_IFCS | TX_RS | FRAME;
	if (model->advanced) {
		tx->command |= TX_DATA | TX_DEXT;
		tx->status = FRAME << TX_FRAME_SHIFT;
	}
	uvfio_write32(regs, model->tx + RING_TAIL, 1);
}

/* What is wrong with what the card says that it received? NULL: nothing */
static const char *received(const struct uvfio_region *regs,
			    const struct model *model, union rx_desc *rx)
{
	const volatile uint8_t *status = model->advanced ?
		(uint8_t *)&rx->advanced.status : &rx->legacy.status;
	uint32_t length, errors;

	if (!wait_for_bit(status, DESC_DONE, FRAME_MS))
		return uvfio_read32(regs, STATUS) & STATUS_LU ?
		       "the frame did not come back" :
		       "the frame did not come back, and the card reports no link";
	length = model->advanced ? rx->advanced.length : rx->legacy.length;
	errors = model->advanced ? rx->advanced.status & RX_ERRORS :
				   rx->legacy.errors;
	if (length < FRAME || errors)
		return mem_printf("what came back has %u bytes and errors 0x%x",
				  length, errors);
	return NULL;
}

static const char *exchange(const struct uvfio_region *regs,
			    const struct model *model,
			    const struct uvfio_dma *dma)
{
	struct tx_desc *tx = (void *)((char *)dma->cpu + TX_RING);
	union rx_desc *rx = (void *)((char *)dma->cpu + RX_RING);
	uint8_t *frame = (uint8_t *)dma->cpu + TX_FRAME;
	uint8_t *got = (uint8_t *)dma->cpu + RX_BUFFERS;
	const char *problem;
	unsigned int i;

	make_frame(regs, frame);
	for (i = 0; i < NUM_DESC; i++)
		rx[i].address = dma->iova + RX_BUFFERS + i * BUFFER;
	uvfio_write32(regs, model->rx + RING_TAIL, NUM_DESC - 1);

	send_frame(regs, model, tx, dma->iova + TX_FRAME);
	if (!wait_for_bit((uint8_t *)&tx->status, DESC_DONE, FRAME_MS))
		return "the card did not read the frame from memory";
	problem = received(regs, model, rx);
	if (!problem && memcmp(frame, got, FRAME))
		problem = "what came back is not what was sent";
	return problem;
}

const char *nic_loopback(const struct uvfio_device *vfio,
			 struct uvfio_iommu *iommu, uint16_t vendor,
			 uint16_t device)
{
	const struct model *model = model_of(vendor, device);
	struct uvfio_region regs;
	struct uvfio_dma dma;
	const char *problem;

	if (uvfio_region_mmap(vfio, VFIO_PCI_BAR0_REGION_INDEX, &regs))
		return mem_strdup(uvfio_error());
	if (uvfio_dma_alloc(iommu, &dma, MEMORY, UVFIO_RW, UVFIO_ANY_IOVA)) {
		problem = mem_strdup(uvfio_error());
	} else {
		memset(dma.cpu, 0, MEMORY);
		problem = card_start(&regs, model, &dma);
		if (!problem)
			problem = exchange(&regs, model, &dma);
		card_stop(&regs);
		uvfio_dma_free(iommu, &dma);
	}
	uvfio_region_munmap(&regs);
	return problem;
}
