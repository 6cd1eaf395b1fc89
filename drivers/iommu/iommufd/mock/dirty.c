// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mock devices write to memory.
 */
#include <linux/bitmap.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "../iommufd_private.h"
#include "hardware.h"
#include "ops.h"

/* Write to the pages whose bits are set; gives how many were mapped */
static int mock_write_pages(struct iommu_domain *domain, unsigned long iova,
			    unsigned long page_size,
			    const unsigned long *bitmap, unsigned long bits,
			    u64 *written)
{
	unsigned long bit;
	u64 n = 0;

	if (!mock_domain_tracks_dirty(domain))
		return -EINVAL;
	for_each_set_bit(bit, bitmap, bits)
		n += mock_domain_write(domain, iova + bit * page_size);
	*written = n;
	return 0;
}

int mock_test_dirty(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long page_size = cmd->dirty.page_size;
	unsigned long length = cmd->dirty.length;
	unsigned long iova = cmd->dirty.iova;
	struct iommufd_hwpt *hwpt;
	unsigned long bits, last;
	int rc;

	unsigned long *bitmap __free(kvfree) = NULL;

	if (cmd->dirty.flags || !page_size || !length || iova % page_size ||
	    length % page_size)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	bits = length / page_size;
	if (bits > MOCK_MAX_LENGTH)
		return -ENOMEM;

	bitmap = kvcalloc(BITS_TO_LONGS(bits), sizeof(*bitmap),
			  GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	if (copy_from_user(bitmap, u64_to_user_ptr(cmd->dirty.uptr),
			   BITS_TO_BYTES(bits)))
		return -EFAULT;

	hwpt = mock_get_hwpt(ucmd, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = mock_write_pages(hwpt->domain, iova, page_size, bitmap, bits,
			      &cmd->dirty.out_nr_dirty);
	iommufd_object_put(ucmd->ictx, &hwpt->obj);
	if (rc)
		return rc;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
