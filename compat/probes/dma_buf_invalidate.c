// SPDX-License-Identifier: GPL-2.0-only
/* Is an importer of a dma-buf told that its mappings become invalid? */
#include <linux/dma-buf.h>

void probe(struct dma_buf *dmabuf, struct dma_buf_attach_ops *ops);
void probe(struct dma_buf *dmabuf, struct dma_buf_attach_ops *ops)
{
	ops->invalidate_mappings = NULL;
	dma_buf_invalidate_mappings(dmabuf);
}
