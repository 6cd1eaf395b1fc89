/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the selftests speak to vfio_test. Not a user ABI: it comes and goes with
 * the test that uses it.
 */
#ifndef VFIO_TEST_H
#define VFIO_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

#define VFIO_TEST_DEVICE	"vfio-test"
/* The one token that it admits, if somebody comes with a token; and its bytes */
#define VFIO_TEST_TOKEN		"01020304-0506-0708-090a-0b0c0d0e0f10"
#define VFIO_TEST_TOKEN_BYTES	{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, \
				  14, 15, 16 }

/* Most pages of one pin */
#define VFIO_TEST_MAX_PAGES	64

enum vfio_test_op {
	/* vfio_dma_rw() from or to data */
	VFIO_TEST_READ,
	VFIO_TEST_WRITE,
	/* The same in a kernel thread */
	VFIO_TEST_READ_KTHREAD,
	VFIO_TEST_WRITE_KTHREAD,
	/* vfio_pin_pages(), for writing or not; kept until unpinned or unmapped */
	VFIO_TEST_PIN,
	VFIO_TEST_PIN_WRITE,
	/* Undo the pin that began at iova */
	VFIO_TEST_UNPIN,
	/* Through the pages pinned there, not by IOVA */
	VFIO_TEST_PEEK,
	VFIO_TEST_POKE,
};

/*
 * @argsz: of this
 * @op: enum vfio_test_op
 * @iova: where; page aligned for pins
 * @length: bytes, at most the size of a page but for pins
 * @data: the user's buffer
 */
struct vfio_test_dma {
	__u32 argsz;
	__u32 op;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 data;
};

#define VFIO_TEST_DMA		_IO(VFIO_TYPE, VFIO_BASE + 150)

/*
 * @argsz: of this
 * @pins: now held
 * @unmaps: calls of dma_unmap() since the device was opened
 */
struct vfio_test_state {
	__u32 argsz;
	__u32 pins;
	__u32 unmaps;
};

#define VFIO_TEST_STATE		_IO(VFIO_TYPE, VFIO_BASE + 151)

enum vfio_test_import_op {
	VFIO_TEST_IMPORT_ATTACH,
	VFIO_TEST_IMPORT_MAP,
	VFIO_TEST_IMPORT_STATE,
	/* Unmaps, too */
	VFIO_TEST_IMPORT_DETACH,
};

/* Keeps its mapping for half a second after it was told to let go */
#define VFIO_TEST_IMPORT_LATE	0x1
/* Cannot let go */
#define VFIO_TEST_IMPORT_STATIC	0x2
/* Can, but must have memory */
#define VFIO_TEST_IMPORT_MEMORY	0x4

/*
 * Import a dma-buf, one at a time.
 * @argsz: of this
 * @op: enum vfio_test_import_op
 * @fd: ATTACH: the dma-buf
 * @device: ATTACH: a PCI device, domain << 16 | bus << 8 | devfn
 * @flags: ATTACH: VFIO_TEST_IMPORT_*
 * @nents: MAP, STATE: returns entries of the table, 0 if nothing is mapped
 * @notified: STATE: returns how often the exporter has told of a move
 * @leads: MAP: returns whether the device reaches @phys through the table
 * @length: MAP: returns bytes
 * @phys: MAP: where the memory starts that is to be found
 */
struct vfio_test_import {
	__u32 argsz;
	__u32 op;
	__s32 fd;
	__u32 device;
	__u32 flags;
	__u32 nents;
	__u32 notified;
	__u32 leads;
	__aligned_u64 length;
	__aligned_u64 phys;
};

#define VFIO_TEST_IMPORT	_IO(VFIO_TYPE, VFIO_BASE + 152)

#define VFIO_TEST_NR_VIRQFDS	2

/*
 * An action in process context that an eventfd triggers.
 * @argsz: of this
 * @slot: which one, less than VFIO_TEST_NR_VIRQFDS
 * @fd: the eventfd, or -1 to end it
 * @delay: how long the action takes, in milliseconds
 * @done: returns how many actions there were in this slot
 */
struct vfio_test_virqfd {
	__u32 argsz;
	__u32 slot;
	__s32 fd;
	__u32 delay;
	__u32 done;
};

#define VFIO_TEST_VIRQFD	_IO(VFIO_TYPE, VFIO_BASE + 153)

#endif
