// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page tables of the software IOMMU.
 *
 * They know more than those of hardware do, and check their caller: nothing is
 * mapped twice or unmapped twice, no large page is split, and a page stays
 * pinned for as long as a translation to it exists, in a table or in the IOTLB.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "hooks.h"
#include "hardware.h"

#define MOCK_SLOTS_PER_HUGE_PAGE 512
#define MOCK_HUGE_SIZE (MOCK_SLOTS_PER_HUGE_PAGE * MOCK_IO_PAGE_SIZE)

/* On the first slot of a leaf: the device has written to it */
#define MOCK_DIRTY XA_MARK_0
/* Unmapped, and still in the IOTLB */
#define MOCK_STALE XA_MARK_1
/* The IOTLB knows that it is dirty, so that writes do not tell the table */
#define MOCK_DIRTY_CACHED XA_MARK_2

/**
 * struct mock_domain - an I/O page table
 * @domain: what the IOMMU core sees
 * @slots: a value per MOCK_IO_PAGE_SIZE of IOVA, see mock_slot_value()
 * @track_dirty: note what devices write to
 * @silent: tell no bitmap of it
 * @only_writable: take no memory that devices may only read
 */
struct mock_domain {
	struct iommu_domain domain;
	struct xarray slots;
	bool track_dirty;
	bool silent;
	bool only_writable;
};

static bool mock_page_leaves;
module_param(mock_page_leaves, bool, 0644);
MODULE_PARM_DESC(mock_page_leaves,
		 "Leaves of the mock's ordinary page tables cover a page where they can, as since 7.3, so that it is dirty as a whole");

static bool misuse_expected;
static atomic_t misuse_count = ATOMIC_INIT(0);

/*
 * A bug of the caller's, which is to be seen, unless a test makes it on purpose
 * to see that it is found.
 */
#define MISUSE(condition)                                                      \
	({                                                                     \
		bool __misuse = !!(condition);                                 \
									       \
		if (__misuse && READ_ONCE(misuse_expected))                    \
			atomic_inc(&misuse_count);                             \
		else                                                           \
			WARN_ON(__misuse);                                     \
		__misuse;                                                      \
	})

/**
 * mock_iommu_expect_misuse - count what is done wrong instead of warning of it
 * @expect: whether to do so from now on
 *
 * Return: how often something has been done wrong since the last call.
 */
unsigned int mock_iommu_expect_misuse(bool expect)
{
	WRITE_ONCE(misuse_expected, expect);
	return atomic_xchg(&misuse_count, 0);
}

static struct mock_domain *mock_domain_of(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

/* How many slots a leaf of each size covers */
static const unsigned int leaf_slots[] = {
	1,
	PAGE_SIZE / MOCK_IO_PAGE_SIZE,
	MOCK_SLOTS_PER_HUGE_PAGE,
};

#define SLOT_SIZE_INDEX 3	/* In leaf_slots[] */
#define SLOT_MMIO 4		/* Memory of a device */
#define SLOT_PHYS_SHIFT 3

static void *mock_slot_value(phys_addr_t phys, unsigned int flags)
{
	return xa_mk_value(phys / MOCK_IO_PAGE_SIZE << SLOT_PHYS_SHIFT | flags);
}

static phys_addr_t mock_slot_phys(const void *slot)
{
	return (phys_addr_t)(xa_to_value(slot) >> SLOT_PHYS_SHIFT) *
	       MOCK_IO_PAGE_SIZE;
}

static unsigned int mock_slot_leaf_slots(const void *slot)
{
	return leaf_slots[xa_to_value(slot) & SLOT_SIZE_INDEX];
}

static unsigned long mock_slot_iova(unsigned long index)
{
	return index * MOCK_IO_PAGE_SIZE;
}

static void *mock_slot_load(struct mock_domain *mock, unsigned long index)
{
	void *slot = xa_load(&mock->slots, index);

	return xa_get_mark(&mock->slots, index, MOCK_STALE) ? NULL : slot;
}

/* Never false for a page that is pinned, or that cannot be pinned */
static bool mock_slot_is_pinned(const void *slot)
{
	struct page *page = pfn_to_page(PHYS_PFN(mock_slot_phys(slot)));

	return (xa_to_value(slot) & SLOT_MMIO) || is_zero_page(page) ||
	       folio_maybe_dma_pinned(page_folio(page));
}

static int mock_map_leaf(struct mock_domain *mock, unsigned long iova,
			 phys_addr_t phys, unsigned int flags, gfp_t gfp)
{
	unsigned long index = iova / MOCK_IO_PAGE_SIZE;
	unsigned int i;
	int rc;

	for (i = 0; i != leaf_slots[flags & SLOT_SIZE_INDEX]; i++) {
		void *slot =
			mock_slot_value(phys + i * MOCK_IO_PAGE_SIZE, flags);

		MISUSE(!mock_slot_is_pinned(slot));
		rc = xa_insert(&mock->slots, index + i, slot, gfp);
		if (rc) {
			/* In use, or the IOTLB has not been flushed */
			MISUSE(rc == -EBUSY);
			while (i--)
				xa_erase(&mock->slots, index + i);
			return rc;
		}
	}
	return 0;
}

static int mock_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct mock_domain *mock = mock_domain_of(domain);
	size_t length = pgsize * pgcount;
	unsigned int flags = 0;
	int rc;

	if (MISUSE(!(domain->pgsize_bitmap & pgsize) ||
		   !IS_ALIGNED(iova | phys, pgsize) ||
		   iova < domain->geometry.aperture_start ||
		   iova > domain->geometry.aperture_end ||
		   length - 1 > domain->geometry.aperture_end - iova))
		return -EINVAL;

	if (mock->only_writable && !(prot & IOMMU_WRITE))
		return -EINVAL;
	while (leaf_slots[flags] * MOCK_IO_PAGE_SIZE != pgsize)
		flags++;
	if (prot & IOMMU_MMIO)
		flags |= SLOT_MMIO;
	for (*mapped = 0; *mapped != length; *mapped += pgsize) {
		rc = mock_map_leaf(mock, iova + *mapped, phys + *mapped, flags,
				   gfp);
		if (rc)
			return rc;
	}
	return 0;
}

static size_t mock_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = mock_domain_of(domain);
	unsigned long first = iova / MOCK_IO_PAGE_SIZE;
	unsigned long end = first + pgsize * pgcount / MOCK_IO_PAGE_SIZE;
	unsigned long index = first;

	while (index != end) {
		void *slot = mock_slot_load(mock, index);
		unsigned int n;

		if (MISUSE(!slot))
			break;
		n = mock_slot_leaf_slots(slot);
		/* A part of a leaf cannot be unmapped */
		if (MISUSE(index % n || n > end - index))
			break;

		xa_clear_mark(&mock->slots, index, MOCK_DIRTY);
		while (n--) {
			slot = mock_slot_load(mock, index);
			MISUSE(!mock_slot_is_pinned(slot));
			xa_set_mark(&mock->slots, index++, MOCK_STALE);
		}
	}
	if (index != first)
		iommu_iotlb_gather_add_range(gather, iova,
					     mock_slot_iova(index - first));
	return mock_slot_iova(index - first);
}

/* The IOTLB forgets, so that pages may be unpinned from here on */
static void mock_flush_slots(struct mock_domain *mock, unsigned long index,
			     unsigned long last)
{
	unsigned long first = index;
	void *slot;

	for (slot = xa_find(&mock->slots, &index, last, MOCK_DIRTY_CACHED); slot;
	     slot = xa_find_after(&mock->slots, &index, last,
				  MOCK_DIRTY_CACHED))
		xa_clear_mark(&mock->slots, index, MOCK_DIRTY_CACHED);

	index = first;
	for (slot = xa_find(&mock->slots, &index, last, MOCK_STALE); slot;
	     slot = xa_find_after(&mock->slots, &index, last, MOCK_STALE)) {
		/*
		 * One who reads what is dirty flushes all while others unmap. They
		 * may have flushed this meanwhile, and unpinned it or mapped anew.
		 */
		xa_lock(&mock->slots);
		if (xa_get_mark(&mock->slots, index, MOCK_STALE)) {
			slot = xa_load(&mock->slots, index);
			MISUSE(!mock_slot_is_pinned(slot));
			__xa_erase(&mock->slots, index);
		}
		xa_unlock(&mock->slots);
	}
}

static void mock_iotlb_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	if (gather->start <= gather->end)
		mock_flush_slots(mock_domain_of(domain),
				 gather->start / MOCK_IO_PAGE_SIZE,
				 gather->end / MOCK_IO_PAGE_SIZE);
}

static void mock_flush_iotlb_all(struct iommu_domain *domain)
{
	mock_flush_slots(mock_domain_of(domain), 0, ULONG_MAX);
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	void *slot = mock_slot_load(mock_domain_of(domain),
				    iova / MOCK_IO_PAGE_SIZE);

	return slot ? mock_slot_phys(slot) + iova % MOCK_IO_PAGE_SIZE : 0;
}

/**
 * mock_domain_suits - can a device be attached to a domain?
 * @domain: a domain of the mock IOMMU
 * @dev: a mock device
 *
 * Return: true if so.
 */
bool mock_domain_suits(const struct iommu_domain *domain, struct device *dev)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	return !domain->dirty_ops ||
	       !(mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
}

static int mock_attach_dev(struct iommu_domain *domain, struct device *dev,
			   struct iommu_domain *old)
{
	if (!mock_domain_suits(domain, dev))
		return -EINVAL;
	return mock_iopf_attach(dev, IOMMU_NO_PASID, domain);
}

/**
 * mock_move_pasid - note what a PASID is attached to
 * @dev: a mock device
 * @pasid: the PASID
 * @old: what it has been attached to, or NULL
 * @new: what it is attached to from now on, or NULL
 *
 * Return: 0, -ENOMEM, or an error of mock_iopf_attach(); always 0 if @new is NULL.
 */
int mock_move_pasid(struct device *dev, ioasid_t pasid,
		    struct iommu_domain *old, struct iommu_domain *new)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	int rc;

	MISUSE(xa_load(&mdev->pasids, pasid) != old);
	if (!new) {
		xa_erase(&mdev->pasids, pasid);
		return mock_iopf_attach(dev, pasid, NULL);
	}
	rc = xa_err(xa_store(&mdev->pasids, pasid, new, GFP_KERNEL_ACCOUNT));
	if (rc)
		return rc;
	rc = mock_iopf_attach(dev, pasid, new);
	/* The slot is there */
	if (rc && old)
		xa_store(&mdev->pasids, pasid, old, GFP_KERNEL_ACCOUNT);
	else if (rc)
		xa_erase(&mdev->pasids, pasid);
	return rc;
}

/**
 * mock_set_dev_pasid - attach a PASID, for &iommu_domain_ops.set_dev_pasid
 * @domain: a domain of the mock IOMMU that devices can be attached to
 * @dev: a mock device
 * @pasid: the PASID
 * @old: what it is attached to now, or NULL
 *
 * Return: 0; -EINVAL if the domain does not suit the device; or -ENOMEM, also for
 * every other attach of IOMMU_TEST_PASID_RESERVED.
 */
int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
		       ioasid_t pasid, struct iommu_domain *old)
{
	struct mock_device *mdev = dev_get_drvdata(dev);

	if (!mock_domain_suits(domain, dev))
		return -EINVAL;
	if (pasid == IOMMU_TEST_PASID_RESERVED) {
		mdev->refuse_pasid = !mdev->refuse_pasid;
		if (!mdev->refuse_pasid)
			return -ENOMEM;
	}
	return mock_move_pasid(dev, pasid, old, domain);
}

/*
 * Hardware that notes the mode in each translation as it is made would keep the
 * old one in those that are there.
 */
static bool mock_enforce_cache_coherency(struct iommu_domain *domain)
{
	return !MISUSE(!xa_empty(&mock_domain_of(domain)->slots));
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = mock_domain_of(domain);

	MISUSE(!xa_empty(&mock->slots));
	xa_destroy(&mock->slots);
	kfree(mock);
}

const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_attach_dev,
	.set_dev_pasid = MOCK_SET_DEV_PASID,
	.map_pages = mock_map_pages,
	.unmap_pages = mock_unmap_pages,
	.flush_iotlb_all = mock_flush_iotlb_all,
	.iotlb_sync = mock_iotlb_sync,
	.iova_to_phys = mock_iova_to_phys,
	.enforce_cache_coherency = mock_enforce_cache_coherency,
	.free = mock_domain_free,
};

static int mock_set_dirty_tracking(struct iommu_domain *domain, bool enabled)
{
	mock_domain_of(domain)->track_dirty = enabled;
	return 0;
}

static void mock_record_dirty(struct mock_domain *mock,
			      struct iommu_dirty_bitmap *dirty,
			      unsigned long index, unsigned int nr_slots)
{
	unsigned long iova = mock_slot_iova(index);

	if (mock->silent)
		mock_record_silently(dirty, iova, mock_slot_iova(nr_slots));
	else
		iommu_dirty_bitmap_record(dirty, iova,
					  mock_slot_iova(nr_slots));
}

/*
 * As the drivers of hardware do it: from leaf to leaf, and what it begins with is taken
 * for the first IOVA of one.
 */
static int mock_read_and_clear_dirty(struct iommu_domain *domain,
				     unsigned long iova, size_t size,
				     unsigned long flags,
				     struct iommu_dirty_bitmap *dirty)
{
	struct mock_domain *mock = mock_domain_of(domain);
	unsigned long index = iova / MOCK_IO_PAGE_SIZE;
	unsigned long last = (iova + size - 1) / MOCK_IO_PAGE_SIZE;

	if (!mock->track_dirty && dirty->bitmap)
		return -EINVAL;

	while (index <= last) {
		void *slot = mock_slot_load(mock, index);
		unsigned long head;
		unsigned int n;

		/* SMMUv3's warns of what is not mapped */
		if (MISUSE(!slot))
			return -EINVAL;
		n = mock_slot_leaf_slots(slot);
		head = index - index % n;
		if (xa_get_mark(&mock->slots, head, MOCK_DIRTY)) {
			mock_record_dirty(mock, dirty, index, n);
			if (!(flags & IOMMU_DIRTY_NO_CLEAR))
				xa_clear_mark(&mock->slots, head, MOCK_DIRTY);
		}
		index += n;
	}
	return 0;
}

static const struct iommu_dirty_ops mock_dirty_ops = {
	.set_dirty_tracking = mock_set_dirty_tracking,
	.read_and_clear_dirty = mock_read_and_clear_dirty,
};

static struct mock_domain *mock_domain_alloc(bool huge)
{
	struct mock_domain *mock;

	mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	xa_init(&mock->slots);
	mock->silent = iommufd_selftest_is_silent();
	mock->domain.type = IOMMU_DOMAIN_UNMANAGED;
	mock->domain.ops = &mock_domain_ops;
	mock->domain.pgsize_bitmap = MOCK_IO_PAGE_SIZE;
	if (READ_ONCE(mock_page_leaves))
		mock->domain.pgsize_bitmap |= PAGE_SIZE;
	if (huge)
		mock->domain.pgsize_bitmap |= PAGE_SIZE | MOCK_HUGE_SIZE;
	mock->domain.geometry.aperture_start = MOCK_APERTURE_START;
	mock->domain.geometry.aperture_end = MOCK_APERTURE_LAST;
	mock->domain.geometry.force_aperture = true;
	return mock;
}

/**
 * mock_domain_alloc_paging_flags - allocate a domain that has properties
 * @dev: a mock device
 * @flags: IOMMU_HWPT_ALLOC_*
 * @user_data: struct iommu_hwpt_selftest of the user, or NULL
 *
 * Return: the domain or an ERR_PTR.
 */
struct iommu_domain *
mock_domain_alloc_paging_flags(struct device *dev, u32 flags,
			       const struct iommu_user_data *user_data)
{
	struct mock_device *mdev = dev_get_drvdata(dev);
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	struct iommu_hwpt_selftest data = {};
	struct mock_domain *mock;
	int rc;

	if (flags & ~(IOMMU_HWPT_ALLOC_NEST_PARENT |
		      IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID))
		return ERR_PTR(-EOPNOTSUPP);
	if (dirty && (mdev->flags & (MOCK_FLAGS_DEVICE_NO_DIRTY |
				     MOCK_FLAGS_DEVICE_NO_DIRTY_TABLE)))
		return ERR_PTR(-EOPNOTSUPP);

	if (user_data) {
		if (user_data->type != IOMMU_HWPT_DATA_SELFTEST)
			return ERR_PTR(-EOPNOTSUPP);
		rc = iommu_copy_struct_from_user(&data, user_data,
						 IOMMU_HWPT_DATA_SELFTEST,
						 iotlb);
		if (rc)
			return ERR_PTR(rc);
		if (data.pagetable_type > MOCK_IOMMUPT_HUGE)
			return ERR_PTR(-EOPNOTSUPP);
	}

	mock = mock_domain_alloc(data.pagetable_type == MOCK_IOMMUPT_HUGE ||
				 (mdev->flags & MOCK_FLAGS_DEVICE_HUGE_IOVA));
	if (IS_ERR(mock))
		return ERR_CAST(mock);
	if (dirty)
		mock->domain.dirty_ops = &mock_dirty_ops;
	mock->only_writable = (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) &&
			      (mdev->flags & MOCK_FLAGS_DEVICE_NO_RO_NEST);
	return &mock->domain;
}

/**
 * mock_domain_alloc_paging - allocate a domain, for &iommu_ops.domain_alloc_paging
 * @dev: a mock device
 *
 * Return: the domain or an ERR_PTR.
 */
struct iommu_domain *mock_domain_alloc_paging(struct device *dev)
{
	struct mock_device *mdev = dev_get_drvdata(dev);
	struct mock_domain *mock;

	mock = mock_domain_alloc(mdev->flags & MOCK_FLAGS_DEVICE_HUGE_IOVA);
	return IS_ERR(mock) ? ERR_CAST(mock) : &mock->domain;
}

/**
 * mock_domain_is - is a domain one of ours?
 * @domain: any domain
 *
 * Return: true if it is an I/O page table of the mock IOMMU.
 */
bool mock_domain_is(const struct iommu_domain *domain)
{
	return domain->ops == &mock_domain_ops;
}

/**
 * mock_domain_tracks_dirty - does a domain note what devices write to?
 * @domain: a domain of the mock IOMMU
 *
 * Return: true if so.
 */
bool mock_domain_tracks_dirty(const struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain)->track_dirty;
}

/**
 * mock_domain_write - a device writes to memory
 * @domain: a domain of the mock IOMMU that tracks what is dirty
 * @iova: where to
 *
 * As hardware does, it notes that once, until the IOTLB is flushed.
 *
 * Return: false if nothing is mapped there.
 */
bool mock_domain_write(struct iommu_domain *domain, unsigned long iova)
{
	unsigned long index = iova / MOCK_IO_PAGE_SIZE;
	struct mock_domain *mock = mock_domain_of(domain);
	void *slot = mock_slot_load(mock, index);

	if (!slot)
		return false;
	index -= index % mock_slot_leaf_slots(slot);
	/* A flush between the two would leave it in the IOTLB, and so be lost */
	xa_lock(&mock->slots);
	if (!xa_get_mark(&mock->slots, index, MOCK_DIRTY_CACHED)) {
		__xa_set_mark(&mock->slots, index, MOCK_DIRTY);
		__xa_set_mark(&mock->slots, index, MOCK_DIRTY_CACHED);
	}
	xa_unlock(&mock->slots);
	return true;
}
