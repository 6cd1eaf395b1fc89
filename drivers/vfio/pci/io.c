// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single accesses to the device's memory and I/O ports, and reads and writes
 * that are made of them.
 */
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "range.h"
#include "vfio_pci_priv.h"

/* Bytes that are moved while the memory lock is held once */
#define IO_BATCH	128

/* Described where they are declared, in linux/vfio_pci_core.h */
#define VFIO_PCI_CORE_IOWRITE(size, type)				\
int vfio_pci_core_iowrite##size(struct vfio_pci_core_device *vdev,	\
				bool test_mem, type val,			\
				void __iomem *io)			\
{									\
	if (!test_mem) {						\
		iowrite##size(val, io);					\
		return 0;						\
	}								\
	guard(rwsem_read)(&vdev->memory_lock);				\
	if (!vfio_pci_memory_enabled(vdev))				\
		return -EIO;						\
	iowrite##size(val, io);						\
	return 0;							\
}									\
EXPORT_SYMBOL_GPL(vfio_pci_core_iowrite##size)

VFIO_PCI_CORE_IOWRITE(8, u8);
VFIO_PCI_CORE_IOWRITE(16, u16);
VFIO_PCI_CORE_IOWRITE(32, u32);
VFIO_PCI_CORE_IOWRITE(64, u64);

#define VFIO_PCI_CORE_IOREAD(size, ptr_t)				\
int vfio_pci_core_ioread##size(struct vfio_pci_core_device *vdev,	\
			       bool test_mem, ptr_t val,			\
			       void __iomem *io)			\
{									\
	if (!test_mem) {						\
		*val = ioread##size(io);				\
		return 0;						\
	}								\
	guard(rwsem_read)(&vdev->memory_lock);				\
	if (!vfio_pci_memory_enabled(vdev))				\
		return -EIO;						\
	*val = ioread##size(io);					\
	return 0;							\
}									\
EXPORT_SYMBOL_GPL(vfio_pci_core_ioread##size)

VFIO_PCI_CORE_IOREAD(8, u8 *);
VFIO_PCI_CORE_IOREAD(16, u16 *);
VFIO_PCI_CORE_IOREAD(32, u32 *);
VFIO_PCI_CORE_IOREAD(64, u64 *);

/**
 * vfio_pci_io_write - write one register
 * @vdev: the device
 * @test_mem: the register is in memory space, which may be disabled
 * @io: where
 * @val: what
 * @width: 1, 2, 4 or 8 bytes
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_io_write(struct vfio_pci_core_device *vdev, bool test_mem,
		      void __iomem *io, u64 val, unsigned int width)
{
	switch (width) {
	case 1:
		return vfio_pci_core_iowrite8(vdev, test_mem, val, io);
	case 2:
		return vfio_pci_core_iowrite16(vdev, test_mem, val, io);
	case 4:
		return vfio_pci_core_iowrite32(vdev, test_mem, val, io);
	default:
		return vfio_pci_core_iowrite64(vdev, test_mem, val, io);
	}
}

static void vfio_pci_io_write_buf(void __iomem *io, const u8 *buf, size_t width)
{
	switch (width) {
	case 8:
		iowrite64(get_unaligned_le64(buf), io);
		break;
	case 4:
		iowrite32(get_unaligned_le32(buf), io);
		break;
	case 2:
		iowrite16(get_unaligned_le16(buf), io);
		break;
	default:
		iowrite8(*buf, io);
	}
}

static void vfio_pci_io_read_buf(void __iomem *io, u8 *buf, size_t width)
{
	switch (width) {
	case 8:
		put_unaligned_le64(ioread64(io), buf);
		break;
	case 4:
		put_unaligned_le32(ioread32(io), buf);
		break;
	case 2:
		put_unaligned_le16(ioread16(io), buf);
		break;
	default:
		*buf = ioread8(io);
	}
}

/**
 * struct io_target - where a read or write goes
 * @io: start of the region; not touched where there is a hole
 * @hole: reads as ones, drops writes
 * @max_width: widest access
 */
struct io_target {
	void __iomem		*io;
	struct vfio_pci_hole	hole;
	unsigned int		max_width;
};

static void vfio_pci_io_move_target(const struct io_target *t, u8 *buf, u64 off,
				    size_t count, bool iswrite)
{
	while (count) {
		struct vfio_pci_step step;

		step = vfio_pci_range_step(off, count, &t->hole, t->max_width);
		if (step.hole) {
			if (!iswrite)
				memset(buf, 0xff, step.len);
		} else if (iswrite) {
			vfio_pci_io_write_buf(t->io + off, buf, step.len);
		} else {
			vfio_pci_io_read_buf(t->io + off, buf, step.len);
		}
		buf += step.len;
		off += step.len;
		count -= step.len;
	}
}

/**
 * vfio_pci_io_move - move bytes between memory of the kernel and ports or memory
 * @io: kernel mapping of the region's start
 * @buf: what is written, or receives what is read
 * @off: offset in the region
 * @count: bytes
 * @iswrite: to the region
 * @max_width: widest access that the region tolerates
 *
 * Each access is naturally aligned and as wide as possible.
 */
void vfio_pci_io_move(void __iomem *io, void *buf, u64 off, size_t count,
		      bool iswrite, enum vfio_pci_io_width max_width)
{
	const struct io_target target = { .io = io, .max_width = max_width };

	vfio_pci_io_move_target(&target, buf, off, count, iswrite);
}

static int vfio_pci_io_move_tested(struct vfio_pci_core_device *vdev,
				   bool test_mem, const struct io_target *t,
				   u8 *buf, u64 off, size_t count, bool iswrite)
{
	if (!test_mem) {
		vfio_pci_io_move_target(t, buf, off, count, iswrite);
		return 0;
	}
	guard(rwsem_read)(&vdev->memory_lock);
	if (!vfio_pci_memory_enabled(vdev))
		return -EIO;
	vfio_pci_io_move_target(t, buf, off, count, iswrite);
	return 0;
}

static int vfio_pci_reg_from_user(u64 *val, const void __user *buf,
				  size_t width)
{
	__le64 v64;
	__le32 v32;
	__le16 v16;
	int ret;
	u8 v8;

	switch (width) {
	case 8:
		ret = get_user(v64, (const __le64 __user *)buf);
		*val = le64_to_cpu(v64);
		return ret;
	case 4:
		ret = get_user(v32, (const __le32 __user *)buf);
		*val = le32_to_cpu(v32);
		return ret;
	case 2:
		ret = get_user(v16, (const __le16 __user *)buf);
		*val = le16_to_cpu(v16);
		return ret;
	default:
		ret = get_user(v8, (const u8 __user *)buf);
		*val = v8;
		return ret;
	}
}

static int vfio_pci_reg_to_user(void __user *buf, u64 val, size_t width)
{
	switch (width) {
	case 8:
		return put_user(cpu_to_le64(val), (__le64 __user *)buf);
	case 4:
		return put_user(cpu_to_le32(val), (__le32 __user *)buf);
	case 2:
		return put_user(cpu_to_le16(val), (__le16 __user *)buf);
	default:
		return put_user((u8)val, (u8 __user *)buf);
	}
}

static void vfio_pci_reg_access(void __iomem *io, u64 *val, size_t width,
				bool iswrite)
{
	switch (width) {
	case 8:
		if (iswrite)
			iowrite64(*val, io);
		else
			*val = ioread64(io);
		break;
	case 4:
		if (iswrite)
			iowrite32(*val, io);
		else
			*val = ioread32(io);
		break;
	case 2:
		if (iswrite)
			iowrite16(*val, io);
		else
			*val = ioread16(io);
		break;
	default:
		if (iswrite)
			iowrite8(*val, io);
		else
			*val = ioread8(io);
	}
}

static int vfio_pci_reg_access_tested(struct vfio_pci_core_device *vdev,
				      bool test_mem, void __iomem *io, u64 *val,
				      size_t width, bool iswrite)
{
	if (!test_mem) {
		vfio_pci_reg_access(io, val, width, iswrite);
		return 0;
	}
	guard(rwsem_read)(&vdev->memory_lock);
	if (!vfio_pci_memory_enabled(vdev))
		return -EIO;
	vfio_pci_reg_access(io, val, width, iswrite);
	return 0;
}

/* One whole register, as nearly all accesses are: nothing to split */
static ssize_t vfio_pci_register_rw(struct vfio_pci_core_device *vdev,
				    bool test_mem, void __iomem *io,
				    char __user *buf, size_t width,
				    bool iswrite)
{
	u64 val;

	if (iswrite && vfio_pci_reg_from_user(&val, buf, width))
		return -EFAULT;
	if (vfio_pci_reg_access_tested(vdev, test_mem, io, &val, width,
				       iswrite))
		return -EIO;
	if (!iswrite && vfio_pci_reg_to_user(buf, val, width))
		return -EFAULT;
	return width;
}

static bool vfio_pci_is_register(loff_t off, size_t count, size_t x_start,
				 size_t x_end, unsigned int max_width)
{
	if (!count || count > max_width || !is_power_of_2(count) ||
	    off & (count - 1))
		return false;
	return x_start >= x_end || off >= x_end || off + count <= x_start;
}

/**
 * vfio_pci_core_do_io_rw - move bytes between user memory and the device
 * @vdev: the device
 * @test_mem: the region is in memory space, which may be disabled
 * @io: kernel mapping of the region's start
 * @buf: user memory
 * @off: offset in the region
 * @count: bytes
 * @x_start: offset of the first byte that must not be accessed
 * @x_end: offset behind the last such byte
 * @iswrite: to the device
 * @max_width: widest access that the region tolerates
 *
 * Each access is naturally aligned and as wide as possible. Bytes in the hole
 * read as ones, and writes to them are dropped.
 *
 * The user's memory is touched only while the memory lock is not held, because
 * page faults take it. So one lock round trip moves a bounce buffer full.
 *
 * Return: bytes moved (fewer than @count only if the caller is being killed),
 * -EIO if the device's memory is disabled, -EFAULT if the user's is not there.
 */
ssize_t vfio_pci_core_do_io_rw(struct vfio_pci_core_device *vdev, bool test_mem,
			       void __iomem *io, char __user *buf,
			       loff_t off, size_t count, size_t x_start,
			       size_t x_end, bool iswrite,
			       enum vfio_pci_io_width max_width)
{
	const struct io_target target = {
		.io = io,
		.hole = { .start = x_start, .end = x_end },
		.max_width = max_width,
	};
	u8 bounce[IO_BATCH];
	ssize_t done = 0;
	int ret;

	if (vfio_pci_is_register(off, count, x_start, x_end, max_width))
		return vfio_pci_register_rw(vdev, test_mem, io + off, buf,
					    count, iswrite);

	while (count) {
		/* A batch ends where a register may end */
		size_t n = min_t(size_t, count, IO_BATCH - (off & 7));

		if (iswrite && copy_from_user(bounce, buf, n))
			return -EFAULT;
		ret = vfio_pci_io_move_tested(vdev, test_mem, &target, bounce,
					      off, n, iswrite);
		if (ret)
			return ret;
		if (!iswrite && copy_to_user(buf, bounce, n))
			return -EFAULT;

		buf += n;
		off += n;
		done += n;
		count -= n;
		if (!count)
			break;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_do_io_rw);
