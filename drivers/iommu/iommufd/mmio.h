/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_MMIO_H
#define __IOMMUFD_MMIO_H

#include <linux/iommufd.h>
#include <linux/types.h>

struct file;
struct iommufd_mmio;
struct iopt_domain;
struct refusal;

/**
 * DOC: mmio
 *
 * Device memory that a driver lends out for peer-to-peer DMA. There is nothing
 * to pin and nothing to charge. Instead the driver may take the memory back at
 * any time, because the device is reset, loses power or is closed, and nothing
 * may translate to it from that moment on. So each place that it is mapped at
 * is recorded here, where the driver can reach it without knowing of domains,
 * areas or their locks.
 */

/*
 * Places that one piece of device memory may be mapped at, counted in areas times
 * domains. All of them are visited when it is taken back, which others wait for,
 * and the user decides how many there are. As many mappings as a container may
 * have by default, and one more.
 */
#define IOMMUFD_MMIO_MAPS_MAX 65536U

struct iommufd_mmio *iommufd_mmio_get_user(unsigned long uptr,
					   unsigned long length, int prot,
					   u64 *offset,
					   struct refusal *refusal);
struct iommufd_mmio *iommufd_mmio_get_file(struct file *file, u64 start,
					   u64 *length, int prot, u64 *offset,
					   struct refusal *refusal);
phys_addr_t iommufd_mmio_phys(const struct iommufd_mmio *mmio);
bool iommufd_mmio_is_lent(struct iommufd_mmio *mmio);

int iommufd_mmio_map(struct iommufd_mmio *mmio, struct iopt_domain *item,
		     unsigned long iova, u64 offset, size_t length, int prot,
		     bool small_pages);
void iommufd_mmio_unmap(struct iommufd_mmio *mmio, struct iopt_domain *item,
			unsigned long iova);

#endif
