// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that exports memory as dma-bufs, which can be mapped for DMA as long
 * as it does not take the memory back.
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "dmabuf.h"

/* What the page allocator has in one piece almost always */
#define MOCK_DMABUF_MAX SZ_64K

/**
 * struct mock_export - a dma-buf
 * @entry: link in exports; under exports_lock
 * @dmabuf: what the user has
 * @memory: its memory
 * @mmio: the memory as iommufd knows it
 * @revoked: the memory has been taken back; under exports_lock
 */
struct mock_export {
	struct list_head entry;
	struct dma_buf *dmabuf;
	void *memory;
	struct iommufd_mmio *mmio;
	bool revoked;
};

static DEFINE_MUTEX(exports_lock);
static LIST_HEAD(exports);

/* There is no device that can do anything else with it */
static struct sg_table *mock_export_map(struct dma_buf_attachment *attachment,
					enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void mock_export_unmap(struct dma_buf_attachment *attachment,
			      struct sg_table *table,
			      enum dma_data_direction dir)
{
}

static void mock_export_release(struct dma_buf *dmabuf)
{
	struct mock_export *export = dmabuf->priv;

	scoped_guard(mutex, &exports_lock)
		list_del(&export->entry);
	iommufd_mmio_destroy(export->mmio);
	free_pages_exact(export->memory, dmabuf->size);
	kfree(export);
}

static const struct dma_buf_ops export_ops = {
	.map_dma_buf = mock_export_map,
	.unmap_dma_buf = mock_export_unmap,
	.release = mock_export_release,
};

/**
 * mock_dmabuf_get - export some memory
 * @length: bytes
 * @flags: O_CLOEXEC and so on
 *
 * Return: a file descriptor of the current process or a negative errno.
 */
int mock_dmabuf_get(size_t length, int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct mock_export *export;
	int rc;

	if (!length || length % PAGE_SIZE || length > MOCK_DMABUF_MAX)
		return -EINVAL;

	export = kzalloc(sizeof(*export), GFP_KERNEL_ACCOUNT);
	if (!export)
		return -ENOMEM;
	rc = -ENOMEM;
	export->memory = alloc_pages_exact(length,
					   GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!export->memory)
		goto err_free;
	export->mmio = iommufd_mmio_create(virt_to_phys(export->memory),
					   length);
	if (!export->mmio)
		goto err_memory;

	info.ops = &export_ops;
	info.size = length;
	info.flags = O_RDWR;
	info.priv = export;
	export->dmabuf = dma_buf_export(&info);
	if (IS_ERR(export->dmabuf)) {
		rc = PTR_ERR(export->dmabuf);
		goto err_mmio;
	}
	scoped_guard(mutex, &exports_lock)
		list_add(&export->entry, &exports);

	rc = dma_buf_fd(export->dmabuf, flags);
	if (rc < 0)
		dma_buf_put(export->dmabuf);
	return rc;

err_mmio:
	iommufd_mmio_destroy(export->mmio);
err_memory:
	free_pages_exact(export->memory, length);
err_free:
	kfree(export);
	return rc;
}

/**
 * mock_dmabuf_revoke - take the memory of a dma-buf back
 * @fd: a file descriptor of the current process
 * @revoked: take it back, or else give it again
 *
 * Return: 0, -EBADF if there is no such descriptor, or -EINVAL if it is not one
 * of ours.
 */
int mock_dmabuf_revoke(int fd, bool revoked)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);
	struct mock_export *export;
	int rc = -EINVAL;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (dmabuf->ops == &export_ops) {
		export = dmabuf->priv;
		guard(mutex)(&exports_lock);
		if (revoked)
			iommufd_mmio_revoke(export->mmio);
		else
			iommufd_mmio_restore(export->mmio);
		export->revoked = revoked;
		rc = 0;
	}
	dma_buf_put(dmabuf);
	return rc;
}

static struct iommufd_mmio *mock_lender_get_file(struct file *file, u64 start,
						 u64 *length, u64 *offset)
{
	struct mock_export *export;

	guard(mutex)(&exports_lock);
	list_for_each_entry(export, &exports, entry) {
		if (export->dmabuf->file != file)
			continue;
		if (export->revoked)
			return ERR_PTR(-ENODEV);
		iommufd_mmio_get(export->mmio);
		*offset = start;
		return export->mmio;
	}
	return NULL;
}

static struct iommufd_mmio_lender mock_lender = {
	.get_file = mock_lender_get_file,
};

/**
 * mock_dmabuf_register - let dma-bufs of ours be mapped into IOAS
 */
void mock_dmabuf_register(void)
{
	iommufd_mmio_register_lender(&mock_lender);
}

/**
 * mock_dmabuf_unregister - undo mock_dmabuf_register()
 *
 * There are no dma-bufs any more, because they hold the module.
 */
void mock_dmabuf_unregister(void)
{
	iommufd_mmio_unregister_lender(&mock_lender);
}

MODULE_IMPORT_NS("DMA_BUF");
