/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu as a DMA engine, which copies 64 bytes between its own buffer and
 * an IOVA.
 */
#ifndef VFIO_PCI_EDU_H
#define VFIO_PCI_EDU_H

#include <stdbool.h>
#include <time.h>

#include "vfio_pci_util.h"

#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_BUFFER	0x40000

static inline void edu_set64(volatile char *bar, unsigned int reg, __u64 val)
{
	*(volatile __u64 *)(bar + reg) = val;
}

/* One copy by the device; false if it does not end */
static inline bool edu_copy(volatile char *bar, __u64 from, __u64 to,
			    bool to_mem)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	int i;

	edu_set64(bar, EDU_DMA_SRC, from);
	edu_set64(bar, EDU_DMA_DST, to);
	edu_set64(bar, EDU_DMA_COUNT, 64);
	edu_set64(bar, EDU_DMA_CMD, 1 | (to_mem ? 2 : 0));
	for (i = 0; i < 10000; i++) {
		if (!(*(volatile __u64 *)(bar + EDU_DMA_CMD) & 1))
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

static inline bool edu_to_iova(volatile char *bar, __u64 iova)
{
	return edu_copy(bar, EDU_BUFFER, iova, true);
}

static inline bool edu_from_iova(volatile char *bar, __u64 iova)
{
	return edu_copy(bar, iova, EDU_BUFFER, false);
}

/* Change bits of the Command register */
static inline int vp_set_command(struct vp_dev *d, __u16 set, __u16 clear)
{
	__u16 cmd = vp_cfg_get(d, PCI_COMMAND, 2);

	return vp_cfg_set(d, PCI_COMMAND, 2, (cmd & ~clear) | set);
}

#endif
