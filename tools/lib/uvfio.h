/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uvfio - the few calls that a userspace device driver needs.
 *
 * A device driver in user space does five things with the kernel, always in
 * this order:
 *
 *	uvfio_iommu_open()	open /dev/iommu, make an I/O address space (IOAS)
 *	uvfio_device_open()	open the device's /dev/vfio/devices/vfioN
 *	uvfio_device_bind()	take ownership of the device; its DMA is blocked
 *	uvfio_device_attach()	let its DMA go through the IOAS
 *	uvfio_dma_alloc()	memory that both the CPU and the device can reach
 *
 * after which it drives the device through uvfio_region_mmap() (registers),
 * uvfio_config_read/write() (PCI configuration space) and uvfio_irq_enable()
 * (one eventfd per interrupt vector).
 *
 * Nothing here hides an ioctl behind state that the caller cannot see: each
 * function is one or two ioctls, so they can be copied one by one.
 *
 * Functions return 0 (or a file descriptor or a count, where they say so), or
 * a negative errno. After a failure uvfio_error() returns a sentence about it,
 * with the kernel's own reason if it gave one.
 */
#ifndef UVFIO_H
#define UVFIO_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#define UVFIO_READ	IOMMU_IOAS_MAP_READABLE		/* the device may read */
#define UVFIO_WRITE	IOMMU_IOAS_MAP_WRITEABLE	/* the device may write */
#define UVFIO_RW	(UVFIO_READ | UVFIO_WRITE)

/* Passed as an IOVA: let the kernel choose one. */
#define UVFIO_ANY_IOVA	UINT64_MAX

/* /dev/iommu and one I/O address space in it */
struct uvfio_iommu {
	int fd;
	uint32_t ioas_id;
	unsigned long long refusals;	/* how many uvfio_error() knows of */
};

/* an open VFIO device */
struct uvfio_device {
	int fd;
	uint32_t dev_id;		/* from bind: names the device to @iommu */
	uint32_t num_regions;
	uint32_t num_irqs;
	bool can_reset;
};

/* a device region, mapped into this process */
struct uvfio_region {
	void *base;
	size_t size;
};

/* memory that is mapped into an IOAS */
struct uvfio_dma {
	void *cpu;			/* where this process sees it */
	uint64_t iova;			/* where the device sees it */
	size_t size;
};

const char *uvfio_error(void);

/* /dev/iommu */

int uvfio_iommu_open(struct uvfio_iommu *iommu);
void uvfio_iommu_close(struct uvfio_iommu *iommu);
int uvfio_iova_ranges(struct uvfio_iommu *iommu,
		      struct iommu_iova_range *ranges, unsigned int max);
int uvfio_map(struct uvfio_iommu *iommu, void *cpu, size_t size,
	      unsigned int prot, uint64_t *iova);
int uvfio_unmap(struct uvfio_iommu *iommu, uint64_t iova, size_t size);
int uvfio_dma_alloc(struct uvfio_iommu *iommu, struct uvfio_dma *dma,
		    size_t size, unsigned int prot, uint64_t iova);
void uvfio_dma_free(struct uvfio_iommu *iommu, struct uvfio_dma *dma);

/* the device */

int uvfio_device_open(struct uvfio_device *dev, const char *bdf);
void uvfio_device_from_fd(struct uvfio_device *dev, int fd);
int uvfio_device_send(const struct uvfio_device *dev, int sock);
int uvfio_device_receive(struct uvfio_device *dev, int sock);
void uvfio_device_close(struct uvfio_device *dev);
int uvfio_device_bind(struct uvfio_device *dev,
		      struct uvfio_iommu *iommu);
int uvfio_device_attach(const struct uvfio_device *dev,
			struct uvfio_iommu *iommu);
int uvfio_device_detach(const struct uvfio_device *dev);
int uvfio_device_reset(const struct uvfio_device *dev);

/* registers and configuration space */

int uvfio_region_mmap(const struct uvfio_device *dev, uint32_t index,
		      struct uvfio_region *region);
void uvfio_region_munmap(struct uvfio_region *region);
int uvfio_config_read(const struct uvfio_device *dev, unsigned int offset,
		      void *buf, size_t size);
int uvfio_config_write(const struct uvfio_device *dev, unsigned int offset,
		       const void *buf, size_t size);
int uvfio_pci_enable(const struct uvfio_device *dev);

/* interrupts */

int uvfio_irq_count(const struct uvfio_device *dev, uint32_t index);
int uvfio_irq_enable(const struct uvfio_device *dev, uint32_t index,
		     const int *eventfds, unsigned int count);
int uvfio_irq_disable(const struct uvfio_device *dev, uint32_t index);
int uvfio_intx_unmask(const struct uvfio_device *dev);
int uvfio_eventfd_wait(int eventfd, int timeout_ms);

/*
 * Registers. PCI is little endian. A read must not be satisfied before the
 * reads and writes of memory that precede it in the program, and a write (a
 * doorbell) must find all earlier writes to DMA memory done; the fences say so
 * to the compiler and to weakly ordered CPUs.
 */
static inline uint32_t uvfio_read32(const struct uvfio_region *r, size_t off)
{
	uint32_t v = *(volatile uint32_t *)((char *)r->base + off);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return le32toh(v);
}

static inline void uvfio_write32(const struct uvfio_region *r, size_t off,
				 uint32_t v)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)((char *)r->base + off) = htole32(v);
}

static inline uint64_t uvfio_read64(const struct uvfio_region *r, size_t off)
{
	uint64_t lo = uvfio_read32(r, off);

	return lo | (uint64_t)uvfio_read32(r, off + 4) << 32;
}

static inline void uvfio_write64(const struct uvfio_region *r, size_t off,
				 uint64_t v)
{
	uvfio_write32(r, off, (uint32_t)v);
	uvfio_write32(r, off + 4, (uint32_t)(v >> 32));
}

uint64_t uvfio_now_ms(void);
void uvfio_sleep_ms(unsigned int ms);

#endif /* UVFIO_H */
