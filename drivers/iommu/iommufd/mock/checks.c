// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks behind what iommufd does.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/overflow.h>

#include "../iommufd_private.h"
#include "hardware.h"
#include "ops.h"

int mock_test_add_reserved(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long start = cmd->add_reserved.start;
	unsigned long length = cmd->add_reserved.length;
	struct iommufd_ioas *ioas;
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Without an owner, so that it stays as long as the IOAS */
	scoped_guard(rwsem_write, &ioas->iopt.iova_rwsem)
		rc = iopt_reserve(&ioas->iopt, start, last, NULL, "a test",
				  "a reserved range");
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	return rc;
}

struct iommufd_hwpt *mock_get_hwpt(struct iommufd_ucmd *ucmd, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_get(ucmd->ictx, id, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	if (!mock_domain_is(to_hwpt(obj)->domain)) {
		iommufd_object_put(ucmd->ictx, obj);
		return ERR_PTR(-EINVAL);
	}
	return to_hwpt(obj);
}

/* The same for those that are nested as well */
struct iommufd_hwpt *mock_get_any_hwpt(struct iommufd_ucmd *ucmd, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_get(ucmd->ictx, id, IOMMUFD_OBJ_HWPT_NESTED);
	return IS_ERR(obj) ? mock_get_hwpt(ucmd, id) : to_hwpt(obj);
}

/* The page at a user address, with a reference to it but without a pin */
struct page *mock_get_user_page(unsigned long uptr)
{
	struct page *page;
	int rc;

	rc = get_user_pages_fast(uptr & PAGE_MASK, 1, 0, &page);
	if (rc < 0)
		return ERR_PTR(rc);
	return rc ? page : ERR_PTR(-EFAULT);
}

static int mock_check_translation(struct iommu_domain *domain,
				  unsigned long iova, unsigned long uptr)
{
	struct page *page = mock_get_user_page(uptr);
	phys_addr_t phys;

	if (IS_ERR(page))
		return PTR_ERR(page);
	phys = page_to_phys(page) + offset_in_page(uptr);
	put_page(page);
	return iommu_iova_to_phys(domain, iova) == phys ? 0 : -EINVAL;
}

int mock_test_check_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long iova = cmd->check_map.iova;
	unsigned long length = cmd->check_map.length;
	unsigned long uptr = cmd->check_map.uptr;
	struct iommufd_hwpt *hwpt;
	unsigned long end;
	int rc = 0;

	if ((iova | length | uptr) % MOCK_IO_PAGE_SIZE)
		return -EINVAL;
	if (check_add_overflow(iova, length, &end) ||
	    check_add_overflow(uptr, length, &end))
		return -EOVERFLOW;

	hwpt = mock_get_hwpt(ucmd, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	for (; length && !rc; length -= MOCK_IO_PAGE_SIZE) {
		rc = mock_check_translation(hwpt->domain, iova, uptr);
		iova += MOCK_IO_PAGE_SIZE;
		uptr += MOCK_IO_PAGE_SIZE;
		cond_resched();
	}
	iommufd_object_put(ucmd->ictx, &hwpt->obj);
	return rc;
}

/* Is a page pinned this many times? */
static bool mock_page_has_pins(struct page *page, unsigned int pins)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_large(folio))
		return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS == pins;
	/* These count the pins of all of their pages together */
	return pins ? atomic_read(&folio->_pincount) >= pins :
		      !atomic_read(&folio->_pincount);
}

int mock_test_check_refs(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long uptr = cmd->check_refs.uptr;
	unsigned long length = cmd->check_refs.length;
	unsigned long end;

	if ((uptr | length) % PAGE_SIZE)
		return -EINVAL;
	if (check_add_overflow(uptr, length, &end))
		return -EOVERFLOW;

	for (; uptr != end; uptr += PAGE_SIZE) {
		struct page *page = mock_get_user_page(uptr);
		bool ok;

		if (IS_ERR(page))
			return PTR_ERR(page);
		ok = mock_page_has_pins(page, cmd->check_refs.refs);
		put_page(page);
		if (!ok)
			return -EIO;
		cond_resched();
	}
	return 0;
}

int mock_test_check_dev_cache(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 id = cmd->check_dev_cache.id;
	struct iommufd_object *obj;
	struct mock_device *mdev;
	int rc = -EINVAL;

	if (id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	mdev = mock_device_of(to_idev(obj)->dev);
	if (mdev && mdev->cache[id] == cmd->check_dev_cache.cache)
		rc = 0;
	iommufd_object_put(ucmd->ictx, obj);
	return rc;
}

int mock_test_check_iotlb(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 id = cmd->check_iotlb.id;
	struct iommufd_object *obj;
	u32 iotlb;
	bool ok;

	if (id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_HWPT_NESTED);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ok = mock_nested_iotlb(to_hwpt(obj)->domain, id, &iotlb) &&
	     iotlb == cmd->check_iotlb.iotlb;
	iommufd_object_put(ucmd->ictx, obj);
	return ok ? 0 : -EINVAL;
}
