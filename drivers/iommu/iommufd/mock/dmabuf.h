/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_MOCK_DMABUF_H
#define __IOMMUFD_MOCK_DMABUF_H

#include <linux/types.h>

int mock_dmabuf_get(size_t length, int flags);
int mock_dmabuf_revoke(int fd, bool revoked);

void mock_dmabuf_register(void);
void mock_dmabuf_unregister(void);

#endif
