// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what virtual IOMMUs have: the pairs of virtual devices and devices, by
 * which drivers find both, and the places in the file that memory is mapped from.
 */
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/platform_device.h>

#include "../iommufd_private.h"
#include "../mmap.h"
#include "../mock/hardware.h"
#include "../vdevice.h"
#include "../viommu.h"

/**
 * struct viommu_test - what every test starts with
 * @ictx: as much of a context as it takes
 * @igroup: the group of the devices; they are in no other list of it
 * @viommu: an object, visible
 * @idev: two devices
 * @mdev: what they are
 * @inits: how often the driver was asked to set a virtual device up
 * @destroys: how often it was asked to undo that
 * @rc: what it answers
 */
struct viommu_test {
	struct iommufd_ctx ictx;
	struct iommufd_group igroup;
	struct iommufd_viommu *viommu;
	struct iommufd_device idev[2];
	struct mock_device *mdev[2];
	unsigned int inits;
	unsigned int destroys;
	int rc;
};

/* A driver whose virtual devices have something of their own */
struct viommu_test_vdevice {
	struct iommufd_vdevice core;
	u64 virt_id;
};

static void viommu_test_vdevice_destroy(struct iommufd_vdevice *vdev)
{
	struct viommu_test_vdevice *mine =
		container_of(vdev, struct viommu_test_vdevice, core);
	struct kunit *test = kunit_get_current_test();
	struct viommu_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, mine->virt_id, vdev->virt_id);
	/* Both are still there */
	KUNIT_EXPECT_NOT_NULL(test, iommufd_vdevice_to_device(vdev));
	KUNIT_EXPECT_PTR_EQ(test, t->viommu, vdev->viommu);
	t->destroys++;
}

static int viommu_test_vdevice_init(struct iommufd_vdevice *vdev)
{
	struct viommu_test_vdevice *mine =
		container_of(vdev, struct viommu_test_vdevice, core);
	struct viommu_test *t = kunit_get_current_test()->priv;

	t->inits++;
	if (t->rc)
		return t->rc;
	mine->virt_id = vdev->virt_id;
	vdev->destroy = viommu_test_vdevice_destroy;
	return 0;
}

static const struct iommufd_viommu_ops viommu_test_ops = {
	.vdevice_size = VDEVICE_STRUCT_SIZE(struct viommu_test_vdevice, core),
	.vdevice_init = viommu_test_vdevice_init,
};

static void viommu_test_obj_destroy(struct iommufd_object *obj)
{
	xa_destroy(&to_viommu(obj)->vdevs);
}

static const struct iommufd_object_ops viommu_test_object_ops = {
	.type = IOMMUFD_OBJ_VIOMMU,
	.name = "viommu",
	.destroy = viommu_test_obj_destroy,
};

static int viommu_test_init(struct kunit *test)
{
	struct viommu_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct iommufd_viommu *viommu;
	unsigned int i;

	if (!t)
		return -ENOMEM;
	test->priv = t;
	refusal_init(&t->ictx.refusal);
	xa_init_flags(&t->ictx.objects, XA_FLAGS_ALLOC1);
	mt_init_flags(&t->ictx.mmaps, MT_FLAGS_ALLOC_RANGE);
	init_waitqueue_head(&t->ictx.destroy_wait);
	mutex_init(&t->ictx.groups_lock);
	kref_init(&t->igroup.kref);
	mutex_init(&t->igroup.lock);
	t->igroup.ictx = &t->ictx;

	for (i = 0; i != ARRAY_SIZE(t->mdev); i++) {
		t->mdev[i] = mock_device_create(0);
		KUNIT_ASSERT_FALSE(test, IS_ERR(t->mdev[i]));
		t->idev[i].ictx = &t->ictx;
		t->idev[i].igroup = &t->igroup;
		t->idev[i].dev = &t->mdev[i]->pdev->dev;
	}
	viommu = iommufd_object_alloc(&t->ictx, iommufd_viommu,
				      &viommu_test_object_ops);
	KUNIT_ASSERT_FALSE(test, IS_ERR(viommu));
	xa_init(&viommu->vdevs);
	viommu->ictx = &t->ictx;
	viommu->iommu_dev = &mock_iommu;
	viommu->ops = &viommu_test_ops;
	iommufd_object_finalize(&t->ictx, &viommu->obj);
	t->viommu = viommu;
	return 0;
}

static void viommu_test_exit(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	unsigned int i;

	iommufd_object_destroy_all(&t->ictx);
	xa_destroy(&t->ictx.objects);
	KUNIT_EXPECT_TRUE(test, mtree_empty(&t->ictx.mmaps));
	mtree_destroy(&t->ictx.mmaps);
	/* Every virtual device has put the group */
	KUNIT_EXPECT_EQ(test, 1, kref_read(&t->igroup.kref));
	KUNIT_EXPECT_EQ(test, t->inits, t->destroys);
	for (i = 0; i != ARRAY_SIZE(t->mdev); i++) {
		KUNIT_EXPECT_NULL(test, t->idev[i].vdev);
		if (!IS_ERR_OR_NULL(t->mdev[i]))
			mock_device_destroy(t->mdev[i]);
	}
}

static struct iommufd_vdevice *viommu_test_pair(struct kunit *test,
						unsigned int nr, u64 virt_id)
{
	struct viommu_test *t = test->priv;
	struct iommufd_vdevice *vdev;

	vdev = iommufd_vdevice_alloc(t->viommu, &t->idev[nr], virt_id);
	KUNIT_ASSERT_FALSE(test, IS_ERR(vdev));
	iommufd_object_finalize(&t->ictx, &vdev->obj);
	return vdev;
}

static struct device *viommu_test_find(struct viommu_test *t,
				       unsigned long virt_id)
{
	struct device *dev;

	xa_lock(&t->viommu->vdevs);
	dev = iommufd_viommu_find_dev(t->viommu, virt_id);
	xa_unlock(&t->viommu->vdevs);
	return dev;
}

static void viommu_test_find_each(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	struct iommufd_vdevice *vdev;
	unsigned long id = 0;

	vdev = viommu_test_pair(test, 0, ULONG_MAX);
	viommu_test_pair(test, 1, 7);
	KUNIT_EXPECT_PTR_EQ(test, t->idev[0].dev,
			    viommu_test_find(t, ULONG_MAX));
	KUNIT_EXPECT_PTR_EQ(test, t->idev[1].dev, viommu_test_find(t, 7));
	KUNIT_EXPECT_NULL(test, viommu_test_find(t, 8));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_viommu_get_vdev_id(t->viommu, t->idev[0].dev,
						   &id));
	KUNIT_EXPECT_EQ(test, ULONG_MAX, id);

	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(&t->ictx, vdev->obj.id));
	KUNIT_EXPECT_NULL(test, viommu_test_find(t, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_viommu_get_vdev_id(t->viommu, t->idev[0].dev,
						   &id));
	KUNIT_EXPECT_EQ(test, 1, t->destroys);
}

static void viommu_test_pair_fails(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	struct iommufd_vdevice *vdev;

	viommu_test_pair(test, 0, 7);
	vdev = iommufd_vdevice_alloc(t->viommu, &t->idev[0], 8);
	KUNIT_EXPECT_EQ(test, -EEXIST, PTR_ERR_OR_ZERO(vdev));
	vdev = iommufd_vdevice_alloc(t->viommu, &t->idev[1], 7);
	KUNIT_EXPECT_EQ(test, -EEXIST, PTR_ERR_OR_ZERO(vdev));
	/* Both were refused before the driver was asked */
	KUNIT_EXPECT_EQ(test, 1, t->inits);

	t->rc = -EIO;
	vdev = iommufd_vdevice_alloc(t->viommu, &t->idev[1], 8);
	KUNIT_EXPECT_EQ(test, -EIO, PTR_ERR_OR_ZERO(vdev));
	KUNIT_EXPECT_NULL(test, t->idev[1].vdev);
	KUNIT_EXPECT_NULL(test, viommu_test_find(t, 8));
	KUNIT_EXPECT_EQ(test, 0, t->destroys);
	/* It has not kept the virtual IOMMU: one is for the id, one for 7 */
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&t->viommu->obj.users));
	t->inits--;
	t->rc = 0;
	viommu_test_pair(test, 1, 8);

	/* Not in the group of those that the IOMMU knows */
	t->viommu->iommu_dev = NULL;
	vdev = iommufd_vdevice_alloc(t->viommu, &t->idev[1], 9);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(vdev));
}

static void viommu_test_unplug(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	struct iommufd_vdevice *vdev;
	u32 id;

	vdev = viommu_test_pair(test, 0, 7);
	id = vdev->obj.id;
	iommufd_vdevice_unplug(&t->idev[1]);
	KUNIT_EXPECT_EQ(test, 0, t->destroys);
	iommufd_vdevice_unplug(&t->idev[0]);
	KUNIT_EXPECT_EQ(test, 1, t->destroys);
	KUNIT_EXPECT_NULL(test, t->idev[0].vdev);
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(&t->ictx, id));
	/* The name is free, the id is not, and nobody keeps the virtual IOMMU */
	vdev = viommu_test_pair(test, 1, 7);
	KUNIT_EXPECT_NE(test, id, vdev->obj.id);
	iommufd_vdevice_unplug(&t->idev[1]);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&t->viommu->obj.users));
}

static void viommu_test_mmap_offsets(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	struct iommufd_object *owner = &t->viommu->obj;
	unsigned long at[3], again;
	struct iommufd_mmap *mmap;
	unsigned int i, j;

	for (i = 0; i != ARRAY_SIZE(at); i++) {
		KUNIT_ASSERT_EQ(test, 0,
				_iommufd_alloc_mmap(&t->ictx, owner, 0,
						    (i + 1) * PAGE_SIZE,
						    &at[i]));
		KUNIT_EXPECT_NE(test, 0, at[i]);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(at[i]));
		for (j = 0; j != i; j++)
			KUNIT_EXPECT_TRUE(test,
					  at[i] >= at[j] + (j + 1) * PAGE_SIZE ||
					  at[j] >= at[i] + (i + 1) * PAGE_SIZE);
	}
	mmap = mtree_load(&t->ictx.mmaps, at[1] >> PAGE_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, mmap);
	KUNIT_EXPECT_EQ(test, 2, mmap->npages);
	KUNIT_EXPECT_PTR_EQ(test, owner, mmap->owner);

	/* The place of one that is gone is free, and no other */
	_iommufd_destroy_mmap(&t->ictx, owner, at[1]);
	KUNIT_EXPECT_NULL(test, mtree_load(&t->ictx.mmaps,
					   at[1] >> PAGE_SHIFT));
	KUNIT_EXPECT_NOT_NULL(test, mtree_load(&t->ictx.mmaps,
					       at[2] >> PAGE_SHIFT));
	KUNIT_ASSERT_EQ(test, 0,
			_iommufd_alloc_mmap(&t->ictx, owner, 0, 2 * PAGE_SIZE,
					    &again));
	KUNIT_EXPECT_EQ(test, at[1], again);

	for (i = 0; i != ARRAY_SIZE(at); i++)
		_iommufd_destroy_mmap(&t->ictx, owner, at[i]);
}

static void viommu_test_depend(struct kunit *test)
{
	struct viommu_test *t = test->priv;
	struct iommufd_object *obj = &t->viommu->obj;
	struct iommufd_object needs = { .ops = obj->ops };

	KUNIT_ASSERT_EQ(test, 0, _iommufd_object_depend(&needs, obj));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(&t->ictx, obj->id));
	_iommufd_object_undepend(&needs, obj);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&obj->users));
	/* One that is going cannot be needed any more */
	refcount_set(&needs.users, 0);
	KUNIT_EXPECT_EQ(test, -ENOENT, _iommufd_object_depend(obj, &needs));
}

/* A page table of another driver is not what the driver would take it for */
static void viommu_test_foreign_parent(struct kunit *test)
{
	static const struct iommu_ops other_ops;
	struct viommu_test *t = test->priv;
	struct iommu_domain domain = { .owner = &other_ops };
	struct iommufd_hwpt_paging hwpt = { .common.domain = &domain };
	struct device *dev = t->idev[0].dev;

	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iommufd_viommu_alloc(&t->ictx, dev, &hwpt,
						 IOMMU_VIOMMU_TYPE_SELFTEST,
						 NULL));
	/* One of its own goes on to be held, which this one cannot be */
	domain.owner = mock_iommu.ops;
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
			    iommufd_viommu_alloc(&t->ictx, dev, &hwpt,
						 IOMMU_VIOMMU_TYPE_SELFTEST,
						 NULL));
}

static struct kunit_case viommu_cases[] = {
	KUNIT_CASE(viommu_test_find_each),
	KUNIT_CASE(viommu_test_pair_fails),
	KUNIT_CASE(viommu_test_unplug),
	KUNIT_CASE(viommu_test_mmap_offsets),
	KUNIT_CASE(viommu_test_depend),
	KUNIT_CASE(viommu_test_foreign_parent),
	{}
};

static struct kunit_suite viommu_suite = {
	.name = "iommufd_viommu",
	.init = viommu_test_init,
	.exit = viommu_test_exit,
	.test_cases = viommu_cases,
};

kunit_test_suite(viommu_suite);
