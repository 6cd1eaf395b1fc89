/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's "edu" PCI device, when it is open: its DMA engine, which copies between
 * 4 KiB of its own memory and 28-bit bus addresses, and takes about 0.1 s for it.
 */
#ifndef TEST_EDU_H
#define TEST_EDU_H

#include <stdbool.h>

#include <linux/types.h>

#include "dma_faults.h"
#include "pci.h"
#include "vfio.h"

/* Map BAR 0 and let the device be a bus master; 0 or a negative errno */
int edu_start(int dev, void **bar);

void edu_dma_begin(volatile void *bar, __u64 src, __u64 dst, __u64 len,
		   __u64 flags);
/*
 * Copy and wait for the end of it, which the device tells; not whether the copy
 * has reached memory. -ETIMEDOUT if there is no end.
 */
int edu_dma(volatile void *bar, __u64 src, __u64 dst, __u64 len, __u64 flags);

/* Device memory at @offset to IOVA */
static inline int edu_to_mem(volatile void *bar, __u64 iova,
			     unsigned int offset, __u64 len)
{
	return edu_dma(bar, EDU_BUFFER + offset, iova, len, EDU_DMA_TO_MEM);
}

/* IOVA to device memory at @offset */
static inline int edu_from_mem(volatile void *bar, __u64 iova,
			       unsigned int offset, __u64 len)
{
	return edu_dma(bar, iova, EDU_BUFFER + offset, len, 0);
}

/* 64 bytes between an IOVA and the start of the device's memory */
static inline bool edu_to_iova(volatile void *bar, __u64 iova)
{
	return !edu_to_mem(bar, iova, 0, 64);
}

static inline bool edu_from_iova(volatile void *bar, __u64 iova)
{
	return !edu_from_mem(bar, iova, 0, 64);
}

#endif
