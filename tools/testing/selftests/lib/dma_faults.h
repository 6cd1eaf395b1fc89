/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A test announces in the kernel's log that a device is about to do DMA which the
 * IOMMU has to stop, and when that is over. To the harness every other report of
 * an IOMMU driver is a failure.
 */
#ifndef TEST_DMA_FAULTS_H
#define TEST_DMA_FAULTS_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * For the device at @bdf, "0000:00:02.0", or "all devices". Opened each time, as
 * the kernel limits the rate of each open file.
 */
static inline void dma_faults_say(const char *bdf, const char *what)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	dprintf(fd, "DMA faults of %s %s\n", bdf, what);
	close(fd);
}

/* Reports may come a little later than the DMA; the harness knows */
#define DMA_FAULTS_OF(bdf, dma) ({			\
	const char *_bdf = (bdf);			\
							\
	dma_faults_say(_bdf, "begin");			\
	typeof(dma) _ret = (dma);			\
	dma_faults_say(_bdf, "end");			\
	_ret;						\
})

#endif
