/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VFIO_TEST_IMPORTER_H
#define VFIO_TEST_IMPORTER_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct dma_buf_attachment;
struct pci_dev;
struct sg_table;

/**
 * struct test_import - at most one dma-buf that is imported
 * @lock: serializes requests; outside the reservation lock of the dma-buf
 * @attachment: NULL if there is none; under @lock
 * @pdev: for whom; under @lock
 * @flags: VFIO_TEST_IMPORT_*; constant while there is an attachment
 * @table: the mapping or NULL; under the reservation lock
 * @notified: calls of invalidate_mappings(); under the reservation lock
 * @let_go: unmaps
 */
struct test_import {
	struct mutex lock; /* See above */
	struct dma_buf_attachment *attachment;
	struct pci_dev *pdev;
	u32 flags;

	struct sg_table *table;
	unsigned int notified;
	struct delayed_work let_go;
};

void vfio_test_import_init(struct test_import *import);
void vfio_test_import_destroy(struct test_import *import);
void vfio_test_import_detach(struct test_import *import);
long vfio_test_import_ioctl(struct test_import *import, void __user *uarg);

#endif
