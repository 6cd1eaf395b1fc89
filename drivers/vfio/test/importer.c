// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that imports dma-bufs for a PCI device, for the selftests of those
 * that export them.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "importer.h"
#include "vfio_test.h"

static void vfio_test_import_unmap(struct test_import *import,
				   struct dma_buf_attachment *attachment)
{
	dma_resv_assert_held(attachment->dmabuf->resv);

	if (!import->table)
		return;
	dma_buf_unmap_attachment(attachment, import->table, DMA_BIDIRECTIONAL);
	import->table = NULL;
}

static void vfio_test_let_go_work(struct work_struct *work)
{
	struct test_import *import = container_of(to_delayed_work(work),
						  struct test_import, let_go);
	struct dma_buf_attachment *attachment = import->attachment;

	dma_resv_lock(attachment->dmabuf->resv, NULL);
	vfio_test_import_unmap(import, attachment);
	dma_resv_unlock(attachment->dmabuf->resv);
}

/* It may do with its mapping what it likes, as long as that ends some time */
static void vfio_test_invalidate_mappings(struct dma_buf_attachment *attachment)
{
	struct test_import *import = attachment->importer_priv;

	import->notified++;
	if (!(import->flags & VFIO_TEST_IMPORT_LATE))
		vfio_test_import_unmap(import, attachment);
	else if (import->table)
		schedule_delayed_work(&import->let_go, HZ / 2);
}

static const struct dma_buf_attach_ops peer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = vfio_test_invalidate_mappings,
};

static const struct dma_buf_attach_ops memory_ops = {
	.invalidate_mappings = vfio_test_invalidate_mappings,
};

static struct dma_buf_attachment *
vfio_test_dmabuf_attach(struct test_import *import, struct dma_buf *dmabuf)
{
	struct device *dev = &import->pdev->dev;

	if (import->flags & VFIO_TEST_IMPORT_STATIC)
		return dma_buf_attach(dmabuf, dev);
	return dma_buf_dynamic_attach(dmabuf, dev,
				      import->flags & VFIO_TEST_IMPORT_MEMORY ?
					      &memory_ops : &peer_ops,
				      import);
}

static int vfio_test_import_attach(struct test_import *import,
				   const struct vfio_test_import *arg)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;
	int ret;

	if (import->attachment)
		return -EBUSY;
	dmabuf = dma_buf_get(arg->fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	import->pdev = pci_get_domain_bus_and_slot(arg->device >> 16,
						   (arg->device >> 8) & 0xff,
						   arg->device & 0xff);
	ret = -ENXIO;
	if (!import->pdev)
		goto err_put;
	import->flags = arg->flags;
	import->notified = 0;
	attachment = vfio_test_dmabuf_attach(import, dmabuf);
	if (IS_ERR(attachment)) {
		ret = PTR_ERR(attachment);
		pci_dev_put(import->pdev);
		goto err_put;
	}
	import->attachment = attachment;
	return 0;

err_put:
	dma_buf_put(dmabuf);
	return ret;
}

/* Does each address of the device lead to memory that follows at @phys? */
static bool vfio_test_leads_to(struct device *dev, struct sg_table *table,
			       u64 phys)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);
	struct scatterlist *sg;
	unsigned int i, off;

	if (!domain)
		return false;
	for_each_sgtable_dma_sg(table, sg, i)
		for (off = 0; off < sg_dma_len(sg); off += PAGE_SIZE) {
			if (iommu_iova_to_phys(domain, sg_dma_address(sg) +
					       off) != phys)
				return false;
			phys += PAGE_SIZE;
		}
	return true;
}

static int vfio_test_import_map_locked(struct test_import *import,
				       struct vfio_test_import *arg)
{
	struct sg_table *table;
	struct scatterlist *sg;
	unsigned int i;

	if (import->table)
		return -EBUSY;
	table = dma_buf_map_attachment(import->attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table))
		return PTR_ERR(table);
	import->table = table;
	arg->nents = table->nents;
	arg->length = 0;
	for_each_sgtable_dma_sg(table, sg, i)
		arg->length += sg_dma_len(sg);
	arg->leads = vfio_test_leads_to(&import->pdev->dev, table, arg->phys);
	return 0;
}

static int vfio_test_import_map(struct test_import *import,
				struct vfio_test_import *arg)
{
	struct dma_resv *resv;
	int ret;

	if (!import->attachment)
		return -ENOENT;
	resv = import->attachment->dmabuf->resv;
	dma_resv_lock(resv, NULL);
	ret = vfio_test_import_map_locked(import, arg);
	dma_resv_unlock(resv);
	return ret;
}

static int vfio_test_import_state(struct test_import *import,
				  struct vfio_test_import *arg)
{
	struct dma_resv *resv;

	if (!import->attachment)
		return -ENOENT;
	resv = import->attachment->dmabuf->resv;
	dma_resv_lock(resv, NULL);
	arg->notified = import->notified;
	arg->nents = import->table ? import->table->nents : 0;
	dma_resv_unlock(resv);
	return 0;
}

/**
 * vfio_test_import_detach - detach from the imported dma-buf, if any
 * @import: of whom; its lock is held
 */
void vfio_test_import_detach(struct test_import *import)
{
	struct dma_buf *dmabuf;

	if (!import->attachment)
		return;
	dmabuf = import->attachment->dmabuf;
	/* What is notified of after that finds nothing to be done */
	dma_resv_lock(dmabuf->resv, NULL);
	vfio_test_import_unmap(import, import->attachment);
	dma_resv_unlock(dmabuf->resv);
	cancel_delayed_work_sync(&import->let_go);
	dma_buf_detach(dmabuf, import->attachment);
	import->attachment = NULL;
	dma_buf_put(dmabuf);
	pci_dev_put(import->pdev);
}

static int vfio_test_import_do(struct test_import *import,
			       struct vfio_test_import *arg)
{
	guard(mutex)(&import->lock);
	switch (arg->op) {
	case VFIO_TEST_IMPORT_ATTACH:
		return vfio_test_import_attach(import, arg);
	case VFIO_TEST_IMPORT_MAP:
		return vfio_test_import_map(import, arg);
	case VFIO_TEST_IMPORT_STATE:
		return vfio_test_import_state(import, arg);
	case VFIO_TEST_IMPORT_DETACH:
		vfio_test_import_detach(import);
		return 0;
	default:
		return -EINVAL;
	}
}

/**
 * vfio_test_import_ioctl - VFIO_TEST_IMPORT
 * @import: of the device
 * @uarg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
long vfio_test_import_ioctl(struct test_import *import, void __user *uarg)
{
	struct vfio_test_import arg;
	int ret;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.argsz < sizeof(arg))
		return -EINVAL;
	ret = vfio_test_import_do(import, &arg);
	if (!ret && copy_to_user(uarg, &arg, sizeof(arg)))
		ret = -EFAULT;
	return ret;
}

/**
 * vfio_test_import_init - prepare to import
 * @import: of a device
 */
void vfio_test_import_init(struct test_import *import)
{
	mutex_init(&import->lock);
	INIT_DELAYED_WORK(&import->let_go, vfio_test_let_go_work);
}

/**
 * vfio_test_import_destroy - undo vfio_test_import_init()
 * @import: of a device, which nobody has open
 */
void vfio_test_import_destroy(struct test_import *import)
{
	mutex_destroy(&import->lock);
}

MODULE_IMPORT_NS("DMA_BUF");
