/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Until 7.0 an importer was told that a dma-buf moves, and dropped its mappings
 * for that reason.
 */
#ifndef _COMPAT_LINUX_DMA_BUF_H
#define _COMPAT_LINUX_DMA_BUF_H

#include_next <linux/dma-buf.h>

#ifdef COMPAT_LACKS_DMA_BUF_INVALIDATE
#define dma_buf_invalidate_mappings	dma_buf_move_notify
#define invalidate_mappings		move_notify
#endif

#endif
