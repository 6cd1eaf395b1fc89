// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual IOMMUs of the mock IOMMU, as a driver has them.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <uapi/linux/iommufd.h>

#include "hardware.h"
#include "hooks.h"
#include "viommu.h"

/* Pages that the user can map, so that half of it is whole pages too */
#define MOCK_MMAP_ORDER 1
#define MOCK_MMAP_LENGTH (PAGE_SIZE << MOCK_MMAP_ORDER)

/**
 * struct mock_viommu - a virtual IOMMU
 * @core: what iommufd has of it
 * @parent: the domain of the page table that translates the guest's addresses
 * @page: memory that stands for a page of registers, or NULL
 * @mmap_offset: where the user can map it
 * @lock: protects @queues
 * @queues: its hardware queues; one needs those before it
 */
struct mock_viommu {
	struct iommufd_viommu core;
	struct iommu_domain *parent;
	u32 *page;
	unsigned long mmap_offset;
	struct mutex lock; /* See above */
	struct mock_hw_queue *queues[IOMMU_TEST_HW_QUEUE_MAX];
};

/**
 * struct mock_hw_queue - a hardware queue
 * @core: what iommufd has of it
 * @index: its number
 * @before: the one that it needs, or NULL
 */
struct mock_hw_queue {
	struct iommufd_hw_queue core;
	u32 index;
	struct mock_hw_queue *before;
};

static struct mock_viommu *to_mock_viommu(struct iommufd_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, core);
}

static void mock_viommu_destroy(struct iommufd_viommu *viommu)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);

	if (mock->page) {
		iommufd_viommu_destroy_mmap(viommu, mock->mmap_offset);
		free_pages((unsigned long)mock->page, MOCK_MMAP_ORDER);
	}
	mutex_destroy(&mock->lock);
}

static struct iommu_domain *
mock_viommu_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
			 const struct iommu_user_data *user_data)
{
	return mock_nested_alloc(to_mock_viommu(viommu)->parent, viommu, flags,
				 user_data);
}

static int mock_viommu_invalidate_one(struct iommufd_viommu *viommu,
				      struct iommu_viommu_invalidate_selftest *inv)
{
	struct mock_device *mdev;
	struct device *dev;
	unsigned int i;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;

	xa_lock(&viommu->vdevs);
	dev = iommufd_viommu_find_dev(viommu, inv->vdev_id);
	if (dev) {
		mdev = mock_device_of(dev);
		for (i = 0; i != MOCK_DEV_CACHE_NUM; i++)
			if (i == inv->cache_id ||
			    (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL))
				WRITE_ONCE(mdev->cache[i], 0);
	}
	xa_unlock(&viommu->vdevs);
	return dev ? 0 : -EINVAL;
}

static int mock_viommu_invalidate(struct iommufd_viommu *viommu,
				  struct iommu_user_data_array *array)
{
	const u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;
	struct iommu_viommu_invalidate_selftest inv;
	u32 done = 0;
	int rc = 0;

	/* Also if there is nothing to do: the user asks whether it is known */
	if (array->type != type)
		rc = -EINVAL;
	for (; !rc && done != array->entry_num; done++) {
		rc = iommu_copy_struct_from_user_array(&inv, array, type, done,
						       cache_id);
		if (!rc)
			rc = mock_viommu_invalidate_one(viommu, &inv);
		if (rc)
			break;
	}
	array->entry_num = done;
	return rc;
}

static size_t mock_get_hw_queue_size(struct iommufd_viommu *viommu,
				     enum iommu_hw_queue_type type)
{
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST ?
		       HW_QUEUE_STRUCT_SIZE(struct mock_hw_queue, core) :
		       0;
}

static void mock_hw_queue_destroy(struct iommufd_hw_queue *hw_queue)
{
	struct mock_hw_queue *mock =
		container_of(hw_queue, struct mock_hw_queue, core);
	struct mock_viommu *viommu = to_mock_viommu(hw_queue->viommu);

	guard(mutex)(&viommu->lock);
	viommu->queues[mock->index] = NULL;
	if (mock->before)
		iommufd_hw_queue_undepend(mock, mock->before, core);
}

/* As hardware that numbers its queues from 0 without gaps */
static int mock_hw_queue_init_phys(struct iommufd_hw_queue *hw_queue, u32 index,
				   phys_addr_t base_addr_pa)
{
	struct mock_hw_queue *mock =
		container_of(hw_queue, struct mock_hw_queue, core);
	struct mock_viommu *viommu = to_mock_viommu(hw_queue->viommu);
	int rc;

	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;

	guard(mutex)(&viommu->lock);
	if (viommu->queues[index])
		return -EEXIST;
	if (index) {
		mock->before = viommu->queues[index - 1];
		if (!mock->before)
			return -EIO;
		rc = iommufd_hw_queue_depend(mock, mock->before, core);
		if (rc)
			return rc;
	}
	mock->index = index;
	viommu->queues[index] = mock;
	hw_queue->destroy = mock_hw_queue_destroy;
	return 0;
}

static const struct iommufd_viommu_ops mock_viommu_ops = {
	.destroy = mock_viommu_destroy,
	.alloc_domain_nested = mock_viommu_alloc_nested,
	.cache_invalidate = mock_viommu_invalidate,
	.get_hw_queue_size = mock_get_hw_queue_size,
	.hw_queue_init_phys = mock_hw_queue_init_phys,
};

static size_t mock_get_viommu_size(struct device *dev,
				   enum iommu_viommu_type type)
{
	return type == IOMMU_VIOMMU_TYPE_SELFTEST ?
		       VIOMMU_STRUCT_SIZE(struct mock_viommu, core) :
		       0;
}

/* Offer memory to be mapped, as hardware offers registers */
static int mock_viommu_init_mmap(struct mock_viommu *mock,
				 const struct iommu_user_data *user_data)
{
	struct iommu_viommu_selftest data;
	int rc;

	rc = iommu_copy_struct_from_user(&data, user_data,
					 IOMMU_VIOMMU_TYPE_SELFTEST,
					 out_mmap_length);
	if (rc)
		return rc;
	mock->page = (u32 *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO,
					     MOCK_MMAP_ORDER);
	if (!mock->page)
		return -ENOMEM;
	rc = iommufd_viommu_alloc_mmap(&mock->core, virt_to_phys(mock->page),
				       MOCK_MMAP_LENGTH, &mock->mmap_offset);
	if (rc)
		goto err_free;

	*mock->page = data.in_data;
	data.out_data = data.in_data;
	data.out_mmap_offset = mock->mmap_offset;
	data.out_mmap_length = MOCK_MMAP_LENGTH;
	rc = iommu_copy_struct_to_user(user_data, &data,
				       IOMMU_VIOMMU_TYPE_SELFTEST,
				       out_mmap_length);
	if (rc)
		goto err_mmap;
	return 0;

err_mmap:
	iommufd_viommu_destroy_mmap(&mock->core, mock->mmap_offset);
err_free:
	free_pages((unsigned long)mock->page, MOCK_MMAP_ORDER);
	return rc;
}

static int mock_viommu_init(struct iommufd_viommu *viommu,
			    struct iommu_domain *parent,
			    const struct iommu_user_data *user_data)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);
	int rc;

	if (user_data) {
		rc = mock_viommu_init_mmap(mock, user_data);
		if (rc)
			return rc;
	}
	mock->parent = parent;
	mutex_init(&mock->lock);
	viommu->ops = &mock_viommu_ops;
	return 0;
}

const struct iommufd_viommu_driver mock_viommu_driver = {
	.get_viommu_size = mock_get_viommu_size,
	.viommu_init = mock_viommu_init,
};
