// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of a BAR as a dma-buf: VFIO_DEVICE_FEATURE_DMA_BUF.
 *
 * A dma-buf is device memory with a file of its own, which can be given to
 * somebody who must not have the device. It does not keep the device open. The
 * memory is taken back from importers whenever CPUs lose it, too: see memory.c;
 * and for good when the device is closed, because then it is the next user's.
 *
 * Importers are of two kinds. iommufd maps the BAR as it does for p2p.c, so
 * that taking the BAR back ends these mappings as well. Drivers attach to the
 * dma-buf; they must be able to do without struct pages, and to unmap the memory
 * when they are told to.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>

#include "vfio_pci_priv.h"
#include "../vfio_uapi_ext.h"

/* More than anybody needs; it bounds what a user has the kernel allocate */
#define MAX_RANGES	4096U

/* Lengths in a scatterlist are of 32 bits */
#define MAX_SEGMENT	((u64)SZ_1G)

/**
 * struct vfio_pci_dmabuf - an exported dma-buf
 * @dmabuf: what the user has
 * @pdev: holds a reference, for as long as the file lives
 * @phys: start of the BAR
 * @bar: the BAR as iommufd knows it, with a reference
 * @vdev: the device, whose registration this holds; NULL when that was given
 *        up. Whoever exchanges it for NULL, the closing of the device or of
 *        the dma-buf, gives it up
 * @entry: link in vfio_pci_core_device.dmabufs; under memory_lock
 * @revoked: the memory has been taken back; under the reservation lock
 * @nr_maps: tables that importers have; under the reservation lock
 * @unmapped: woken when @nr_maps becomes 0
 * @nr_ranges: entries of @ranges
 * @ranges: offsets in the BAR and lengths in bytes, multiples of PAGE_SIZE
 */
struct vfio_pci_dmabuf {
	struct dma_buf			*dmabuf;
	struct pci_dev			*pdev;
	phys_addr_t			phys;
	struct iommufd_mmio		*bar;
	struct vfio_pci_core_device	*vdev;
	struct list_head		entry;

	bool				revoked;
	unsigned int			nr_maps;
	wait_queue_head_t		unmapped;

	u32				nr_ranges;
	struct vfio_region_dma_range	ranges[] __counted_by(nr_ranges);
};

/* Of all dma-bufs, whoever exports them; known once there is one of ours */
static const struct file_operations *dmabuf_fops;

static int vfio_pci_dmabuf_attach(struct dma_buf *dmabuf,
				  struct dma_buf_attachment *attachment)
{
	struct vfio_pci_dmabuf *buf = dmabuf->priv;

	/* There is no copy in memory that others could use */
	if (!attachment->peer2peer)
		return -EOPNOTSUPP;
	if (!READ_ONCE(buf->vdev))
		return -ENODEV;
	if (pci_p2pdma_distance(buf->pdev, attachment->dev, true) < 0)
		return -EBUSY;
	return 0;
}

/* A user may not stop the memory from being taken back */
static int vfio_pci_dmabuf_pin(struct dma_buf_attachment *attachment)
{
	return -EOPNOTSUPP;
}

static void vfio_pci_dmabuf_unpin(struct dma_buf_attachment *attachment)
{
}

static unsigned int
vfio_pci_dmabuf_count_segments(const struct vfio_pci_dmabuf *buf)
{
	unsigned int nr = 0, i;

	for (i = 0; i < buf->nr_ranges; i++)
		nr += DIV_ROUND_UP_ULL(buf->ranges[i].length, MAX_SEGMENT);
	return nr;
}

static void vfio_pci_dmabuf_unmap_segments(struct device *dev,
					   struct sg_table *table,
					   struct scatterlist *end,
					   enum dma_data_direction dir)
{
	struct scatterlist *sg;

	for (sg = table->sgl; sg != end; sg = sg_next(sg))
		dma_unmap_resource(dev, sg_dma_address(sg), sg_dma_len(sg), dir,
				   0);
}

static int vfio_pci_dmabuf_map_segments(struct device *dev,
					const struct vfio_pci_dmabuf *buf,
					struct sg_table *table,
					enum dma_data_direction dir)
{
	struct scatterlist *sg = table->sgl;
	unsigned int i;

	for (i = 0; i < buf->nr_ranges; i++) {
		phys_addr_t phys = buf->phys + buf->ranges[i].offset;
		u64 left = buf->ranges[i].length;

		while (left) {
			u64 n = min(left, MAX_SEGMENT);
			dma_addr_t addr;

			addr = dma_map_resource(dev, phys, n, dir, 0);
			if (dma_mapping_error(dev, addr)) {
				vfio_pci_dmabuf_unmap_segments(dev, table, sg,
							       dir);
				return -EIO;
			}
			/* For the device only: there are no pages */
			sg_set_page(sg, NULL, n, 0);
			sg_dma_address(sg) = addr;
			sg_dma_len(sg) = n;
			sg = sg_next(sg);
			phys += n;
			left -= n;
		}
	}
	return 0;
}

static struct sg_table *
vfio_pci_dmabuf_map(struct dma_buf_attachment *attachment,
		    enum dma_data_direction dir)
{
	struct vfio_pci_dmabuf *buf = attachment->dmabuf->priv;
	struct sg_table *table;
	int ret;

	dma_resv_assert_held(attachment->dmabuf->resv);

	if (buf->revoked)
		return ERR_PTR(-ENODEV);
	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(table, vfio_pci_dmabuf_count_segments(buf),
			     GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = vfio_pci_dmabuf_map_segments(attachment->dev, buf, table, dir);
	if (ret)
		goto err_table;
	WRITE_ONCE(buf->nr_maps, buf->nr_maps + 1);
	return table;

err_table:
	sg_free_table(table);
err_free:
	kfree(table);
	return ERR_PTR(ret);
}

static void vfio_pci_dmabuf_unmap(struct dma_buf_attachment *attachment,
				  struct sg_table *table,
				  enum dma_data_direction dir)
{
	struct vfio_pci_dmabuf *buf = attachment->dmabuf->priv;

	dma_resv_assert_held(attachment->dmabuf->resv);

	vfio_pci_dmabuf_unmap_segments(attachment->dev, table, NULL, dir);
	sg_free_table(table);
	kfree(table);
	WRITE_ONCE(buf->nr_maps, buf->nr_maps - 1);
	if (!buf->nr_maps)
		wake_up_all(&buf->unmapped);
}

static void vfio_pci_dmabuf_free(struct vfio_pci_dmabuf *buf)
{
	iommufd_mmio_put(buf->bar);
	pci_dev_put(buf->pdev);
	kfree(buf);
}

static void vfio_pci_dmabuf_release(struct dma_buf *dmabuf)
{
	struct vfio_pci_dmabuf *buf = dmabuf->priv;
	struct vfio_pci_core_device *vdev = xchg(&buf->vdev, NULL);

	if (vdev) {
		/* The device may be about to be closed, but it stays */
		scoped_guard(rwsem_write, &vdev->memory_lock)
			list_del_init(&buf->entry);
		vfio_device_put_registration(&vdev->vdev);
	}
	vfio_pci_dmabuf_free(buf);
}

static const struct dma_buf_ops dmabuf_ops = {
	.attach = vfio_pci_dmabuf_attach,
	.pin = vfio_pci_dmabuf_pin,
	.unpin = vfio_pci_dmabuf_unpin,
	.map_dma_buf = vfio_pci_dmabuf_map,
	.unmap_dma_buf = vfio_pci_dmabuf_unmap,
	.release = vfio_pci_dmabuf_release,
};

/* No importer gets a new table in the meantime: the memory is revoked */
static void vfio_pci_dmabuf_wait_unmapped(struct vfio_pci_dmabuf *buf)
{
	while (!wait_event_timeout(buf->unmapped, !READ_ONCE(buf->nr_maps),
				   10 * HZ))
		dev_warn_ratelimited(&buf->pdev->dev,
				     "waiting for an importer to unmap a dma-buf of the device\n");
}

static void vfio_pci_dmabuf_revoke_one(struct vfio_pci_dmabuf *buf)
{
	struct dma_resv *resv = buf->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	if (!buf->revoked) {
		buf->revoked = true;
		dma_buf_invalidate_mappings(buf->dmabuf);
	}
	/* Without importers, no fence is about this memory */
	if (!list_empty(&buf->dmabuf->attachments))
		dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false,
				      MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(resv);
	vfio_pci_dmabuf_wait_unmapped(buf);
}

static void vfio_pci_dmabuf_restore_one(struct vfio_pci_dmabuf *buf)
{
	dma_resv_lock(buf->dmabuf->resv, NULL);
	if (buf->revoked) {
		buf->revoked = false;
		dma_buf_invalidate_mappings(buf->dmabuf);
	}
	dma_resv_unlock(buf->dmabuf->resv);
}

/**
 * vfio_pci_dmabuf_revoke - take the memory of all dma-bufs back
 * @vdev: an enabled device; memory_lock is held for writing
 *
 * Importers have unmapped it when this returns. What iommufd has mapped
 * is unmapped by vfio_pci_p2p_revoke().
 */
void vfio_pci_dmabuf_revoke(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_dmabuf *buf;

	lockdep_assert_held_write(&vdev->memory_lock);

	list_for_each_entry(buf, &vdev->dmabufs, entry)
		vfio_pci_dmabuf_revoke_one(buf);
}

/**
 * vfio_pci_dmabuf_restore - give the memory of all dma-bufs again
 * @vdev: a device whose memory is there; memory_lock is held for writing
 */
void vfio_pci_dmabuf_restore(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_dmabuf *buf;

	lockdep_assert_held_write(&vdev->memory_lock);

	list_for_each_entry(buf, &vdev->dmabufs, entry)
		vfio_pci_dmabuf_restore_one(buf);
}

/**
 * vfio_pci_dmabuf_end - take the memory of all dma-bufs back for good
 * @vdev: a device that is being disabled; memory_lock is held for writing
 *
 * The files stay, and have nothing to do with the device any more.
 */
void vfio_pci_dmabuf_end(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_dmabuf *buf, *next;

	lockdep_assert_held_write(&vdev->memory_lock);

	list_for_each_entry_safe(buf, next, &vdev->dmabufs, entry) {
		vfio_pci_dmabuf_revoke_one(buf);
		list_del_init(&buf->entry);
		/*
		 * A file that is being closed waits for memory_lock, unless it
		 * finds NULL, and then it is gone any moment.
		 */
		if (xchg(&buf->vdev, NULL))
			vfio_device_put_registration(&vdev->vdev);
	}
}

static struct vfio_pci_dmabuf *vfio_pci_dmabuf_of_file(struct file *file)
{
	const struct file_operations *fops = READ_ONCE(dmabuf_fops);
	struct dma_buf *dmabuf;

	if (!fops || file->f_op != fops)
		return NULL;
	dmabuf = file->private_data;
	return dmabuf->ops == &dmabuf_ops ? dmabuf->priv : NULL;
}

/**
 * vfio_pci_dmabuf_lend - for &iommufd_mmio_lender.get_file
 * @file: any file
 * @start: offset in it
 * @length: bytes; receives how many of them are in one piece
 * @offset: receives where that piece starts in the BAR
 *
 * Return: the BAR with a reference; NULL if the file is not a dma-buf of ours;
 * or an ERR_PTR: -ENODEV if its device has been closed, -EINVAL if the range
 * goes past its end.
 */
struct iommufd_mmio *vfio_pci_dmabuf_lend(struct file *file, u64 start,
					  u64 *length, u64 *offset)
{
	struct vfio_pci_dmabuf *buf = vfio_pci_dmabuf_of_file(file);
	const struct vfio_region_dma_range *range;

	if (!buf)
		return NULL;
	if (!READ_ONCE(buf->vdev))
		return ERR_PTR(-ENODEV);
	if (start >= buf->dmabuf->size || *length > buf->dmabuf->size - start)
		return ERR_PTR(-EINVAL);

	for (range = buf->ranges; start >= range->length; range++)
		start -= range->length;
	*offset = range->offset + start;
	*length = min(*length, range->length - start);
	iommufd_mmio_get(buf->bar);
	return buf->bar;
}

/* Add a range behind the others, as part of the last one if it continues it */
static int vfio_pci_dmabuf_append_range(struct vfio_pci_dmabuf *buf,
					u64 bar_size,
					const struct vfio_region_dma_range *new,
					size_t *total)
{
	struct vfio_region_dma_range *last = NULL;
	u64 end;

	if (!new->length || !PAGE_ALIGNED(new->offset | new->length))
		return -EINVAL;
	if (check_add_overflow(new->offset, new->length, &end) ||
	    end > bar_size)
		return -EINVAL;
	/* A file cannot be larger than that */
	if (check_add_overflow(*total, new->length, total) ||
	    *total > LLONG_MAX)
		return -EINVAL;

	if (buf->nr_ranges)
		last = &buf->ranges[buf->nr_ranges - 1];
	if (last && last->offset + last->length == new->offset) {
		last->length += new->length;
		return 0;
	}
	buf->nr_ranges++;
	buf->ranges[buf->nr_ranges - 1] = *new;
	return 0;
}

static struct vfio_pci_dmabuf *
vfio_pci_dmabuf_alloc(struct vfio_pci_core_device *vdev, unsigned int bar,
		      const struct vfio_region_dma_range *ranges, u32 nr,
		      size_t *total)
{
	u64 bar_size = PAGE_ALIGN(pci_resource_len(vdev->pdev, bar));
	struct vfio_pci_dmabuf *buf;
	int ret = 0;
	u32 i;

	buf = kzalloc(struct_size(buf, ranges, nr), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	*total = 0;
	for (i = 0; i < nr && !ret; i++)
		ret = vfio_pci_dmabuf_append_range(buf, bar_size, &ranges[i],
						   total);
	if (ret)
		goto err_free;

	ret = -ENOMEM;
	scoped_guard(rwsem_write, &vdev->memory_lock)
		buf->bar = vfio_pci_p2p_lend(vdev, bar);
	if (!buf->bar)
		goto err_free;
	buf->phys = pci_resource_start(vdev->pdev, bar);
	buf->pdev = pci_dev_get(vdev->pdev);
	INIT_LIST_HEAD(&buf->entry);
	init_waitqueue_head(&buf->unmapped);
	return buf;

err_free:
	kfree(buf);
	return ERR_PTR(ret);
}

/* Export @buf, which is consumed; gives the file descriptor */
static int vfio_pci_dmabuf_export(struct vfio_pci_core_device *vdev,
				  struct vfio_pci_dmabuf *buf, size_t size,
				  u32 open_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	int fd;

	/* Not refused: the caller has the device open */
	if (WARN_ON(!vfio_device_try_get_registration(&vdev->vdev))) {
		vfio_pci_dmabuf_free(buf);
		return -ENODEV;
	}
	buf->vdev = vdev;

	info.ops = &dmabuf_ops;
	info.size = size;
	info.flags = open_flags & O_ACCMODE;
	info.priv = buf;
	buf->dmabuf = dma_buf_export(&info);
	if (IS_ERR(buf->dmabuf)) {
		fd = PTR_ERR(buf->dmabuf);
		vfio_device_put_registration(&vdev->vdev);
		vfio_pci_dmabuf_free(buf);
		return fd;
	}
	WRITE_ONCE(dmabuf_fops, buf->dmabuf->file->f_op);

	scoped_guard(rwsem_write, &vdev->memory_lock) {
		buf->revoked = !vfio_pci_memory_enabled(vdev);
		list_add_tail(&buf->entry, &vdev->dmabufs);
	}

	/* The last step: from here on the file is the user's */
	fd = dma_buf_fd(buf->dmabuf, open_flags & O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(buf->dmabuf);
	return fd;
}

static int vfio_pci_dmabuf_check_open_flags(u32 open_flags)
{
	if (open_flags & ~(O_ACCMODE | O_CLOEXEC) ||
	    (open_flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return 0;
}

/**
 * vfio_pci_feature_dma_buf - VFIO_DEVICE_FEATURE_DMA_BUF
 * @vdev: an enabled device
 * @flags: of the feature request
 * @arg: the data
 * @argsz: bytes of data
 *
 * What may be exported is what may be mapped into userspace.
 *
 * Return: a file descriptor; -ENODEV if there is no such BAR, or it belongs to
 * somebody else; -EINVAL if it cannot be mapped, for ranges that are not whole
 * pages in it, or for a malformed request; or another negative errno.
 */
int vfio_pci_feature_dma_buf(struct vfio_pci_core_device *vdev, u32 flags,
			     struct vfio_device_feature_dma_buf __user *arg,
			     size_t argsz)
{
	struct vfio_region_dma_range *ranges __free(kfree) = NULL;
	struct vfio_device_feature_dma_buf get;
	struct vfio_pci_dmabuf *buf;
	size_t size;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET,
				 sizeof(get));
	if (ret != 1)
		return ret;
	if (copy_from_user(&get, arg, sizeof(get)))
		return -EFAULT;
	if (get.flags || !get.nr_ranges || get.nr_ranges > MAX_RANGES ||
	    argsz < struct_size(arg, dma_ranges, get.nr_ranges))
		return -EINVAL;
	ret = vfio_pci_dmabuf_check_open_flags(get.open_flags);
	if (ret)
		return ret;

	/* Claims the BAR, as mmap() does */
	if (get.region_index > VFIO_PCI_BAR5_REGION_INDEX ||
	    vfio_pci_core_setup_barmap(vdev, get.region_index))
		return -ENODEV;
	if (!vdev->bar_mmap_supported[get.region_index])
		return -EINVAL;

	ranges = memdup_array_user(arg->dma_ranges, get.nr_ranges,
				   sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(no_free_ptr(ranges));
	buf = vfio_pci_dmabuf_alloc(vdev, get.region_index, ranges,
				    get.nr_ranges, &size);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	return vfio_pci_dmabuf_export(vdev, buf, size, get.open_flags);
}

MODULE_IMPORT_NS("DMA_BUF");
