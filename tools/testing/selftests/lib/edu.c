// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/pci_regs.h>

#include "edu.h"

int edu_start(int dev, void **bar)
{
	__u64 offset, size;
	__u16 command;
	void *p;
	int rc;

	rc = cdev_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &offset, &size);
	if (rc)
		return rc;
	if (pread(dev, &command, 2, offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(dev, &command, 2, offset + PCI_COMMAND) != 2)
		return -EIO;
	rc = cdev_region(dev, VFIO_PCI_BAR0_REGION_INDEX, &offset, &size);
	if (rc)
		return rc;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, offset);
	if (p == MAP_FAILED)
		return -errno;
	*bar = p;
	return 0;
}

/* One access of 64 bits, after all that is before it in the program */
static void edu_write(volatile void *bar, unsigned int reg, __u64 val)
{
	__atomic_store_n((volatile __u64 *)((volatile char *)bar + reg), val,
			 __ATOMIC_RELEASE);
}

static __u64 edu_read(volatile void *bar, unsigned int reg)
{
	return __atomic_load_n((volatile __u64 *)((volatile char *)bar + reg),
			       __ATOMIC_ACQUIRE);
}

void edu_dma_begin(volatile void *bar, __u64 src, __u64 dst, __u64 len,
		   __u64 flags)
{
	edu_write(bar, EDU_DMA_SRC, src);
	edu_write(bar, EDU_DMA_DST, dst);
	edu_write(bar, EDU_DMA_COUNT, len);
	edu_write(bar, EDU_DMA_CMD, EDU_DMA_START | flags);
}

int edu_dma(volatile void *bar, __u64 src, __u64 dst, __u64 len, __u64 flags)
{
	struct timespec nap = { .tv_nsec = 2000000 };
	unsigned int i;

	edu_dma_begin(bar, src, dst, len, flags);
	for (i = 0; i != 10000; i++) {
		if (!(edu_read(bar, EDU_DMA_CMD) & EDU_DMA_START))
			return 0;
		nanosleep(&nap, NULL);
	}
	return -ETIMEDOUT;
}
