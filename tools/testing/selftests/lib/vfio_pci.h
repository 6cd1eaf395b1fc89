/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device of vfio-pci that is open: its regions, its configuration space and its
 * interrupts. Functions return 0, or what they say, or a negative errno.
 */
#ifndef TEST_VFIO_PCI_H
#define TEST_VFIO_PCI_H

#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/types.h>

#include <linux/pci_regs.h>

#include "iommufd.h"
#include "pci.h"
#include "vfio.h"

/* A device that is bound to vfio-pci and to an iommufd, and open */
struct vp_dev {
	char bdf[SYSDEV_NAME_MAX];
	char driver[SYSDEV_NAME_MAX];
	int fd;
	int iommufd;
	__u32 devid;
	/* what vp_mmap() mapped: it keeps the device open */
	struct {
		void *mem;
		size_t length;
	} maps[8];
	unsigned int nr_maps;
};

/* Clear before the first use, so that vp_close() may come at any time */
void vp_init(struct vp_dev *d);
/* Open d->bdf */
int vp_open_bdf(struct vp_dev *d);
void vp_close_fds(struct vp_dev *d);
/* Bind d->bdf to vfio-pci and open it */
int vp_take(struct vp_dev *d);
/* -ENODEV if there is no such device */
int vp_open(struct vp_dev *d, unsigned int vendor,
	    unsigned int device, unsigned int nth);
/*
 * Attach to an address space of its own, with nothing in it: where interrupt
 * messages are translated like DMA, none arrives before
 */
int vp_attach_empty(const struct vp_dev *d);
int vp_close(struct vp_dev *d);
int vp_region(const struct vp_dev *d, unsigned int index,
	      struct vfio_region_info *info);
off_t vp_offset(unsigned int index, __u64 pos);
/* Memory that is not there, in a way that the compiler does not see through */
void *vp_bad_pointer(void);
/* The number of bytes, or a negative errno */
int vp_read(const struct vp_dev *d, unsigned int index, __u64 pos,
	    void *buf, size_t count);
int vp_write(const struct vp_dev *d, unsigned int index,
	     __u64 pos, const void *buf, size_t count);
/* Registers of a BAR; ~0 if it cannot be read */
__u32 vp_bar_get(const struct vp_dev *d, unsigned int bar,
		 __u64 pos);
int vp_bar_set(const struct vp_dev *d, unsigned int bar,
	       __u64 pos, __u32 val);
/* Registers of configuration space, of 1, 2 or 4 bytes */
__u32 vp_cfg_get(const struct vp_dev *d, unsigned int pos,
		 unsigned int width);
int vp_cfg_set(const struct vp_dev *d, unsigned int pos,
	       unsigned int width, __u32 val);
/* Change bits of the Command register */
int vp_set_command(struct vp_dev *d, __u16 set, __u16 clear);
/* The Command register of the device itself, past what the user is shown of it */
static inline __s64 vp_real_command(const struct vp_dev *d)
{
	return pci_config_get(d->bdf, PCI_COMMAND, 2);
}

/* Position of a capability, 0 if there is none */
unsigned int vp_find_cap(const struct vp_dev *d, unsigned int id);
unsigned int vp_find_ext_cap(const struct vp_dev *d,
			     unsigned int id);
/* Unmapped at the end, unless vp_munmap() does it before */
void *vp_mmap(struct vp_dev *d, unsigned int bar, __u64 pos,
	      size_t length);
int vp_munmap(struct vp_dev *d, void *mem);
int vp_set_irqs(const struct vp_dev *d, __u32 flags, __u32 index,
		__u32 start, __u32 count, const void *data,
		size_t size);
/* Eventfds for interrupts */
int vp_irq_fds(const struct vp_dev *d, __u32 index, __u32 start,
	       __u32 count, const __s32 *fds);
int vp_irq_none(const struct vp_dev *d, __u32 action, __u32 index,
		__u32 start, __u32 count);
int vp_irq_disable(const struct vp_dev *d, __u32 index);
int vp_irq_info(const struct vp_dev *d, __u32 index,
		struct vfio_irq_info *info);
/* A PCI address as one number */
__u32 vp_device_number(const char *bdf);
/* A feature that takes no data */
int vp_set_feature(const struct vp_dev *d, __u32 feature);
/* How often an eventfd was signalled; waits at most @ms for the first */
int vp_events(int efd, int ms);

#endif
