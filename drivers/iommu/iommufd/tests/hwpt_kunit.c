// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the hwpts that no user asked for, as a container has them: they track
 * what devices write where that can be had, and do without it elsewhere.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <uapi/linux/iommufd.h>

#include "../hwpt.h"
#include "../iommufd_private.h"
#include "../mock/hardware.h"

static int hwpt_test_init(struct kunit *test)
{
	struct iommufd_ctx *ictx = kunit_kzalloc(test, sizeof(*ictx),
						 GFP_KERNEL);

	if (!ictx)
		return -ENOMEM;
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&ictx->destroy_wait);
	refusal_init(&ictx->refusal);
	test->priv = ictx;
	return iommufd_vfio_compat_ioas_create(ictx);
}

static void hwpt_test_exit(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;

	if (!ictx)
		return;
	iommufd_object_destroy_all(ictx);
	xa_destroy(&ictx->objects);
}

/* Does the hwpt that a container gets for such a device track what that writes? */
static int hwpt_test_tracks(struct kunit *test, u32 flags)
{
	struct iommufd_ctx *ictx = test->priv;
	struct iommufd_ioas *ioas = ictx->vfio_ioas;
	struct iommufd_group igroup = { .ictx = ictx };
	struct mock_device *mdev = mock_device_create(flags);
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (IS_ERR(mdev))
		return PTR_ERR(mdev);
	mutex_init(&igroup.lock);
	xa_init(&igroup.attachments);
	igroup.group = iommu_group_get(&mdev->pdev->dev);

	scoped_guard(mutex, &ioas->mutex)
		hwpt = iommufd_hwpt_auto_alloc(ioas, &igroup,
					       &mdev->pdev->dev);
	rc = PTR_ERR_OR_ZERO(hwpt);
	if (!rc) {
		KUNIT_EXPECT_TRUE(test, hwpt->automatic);
		/* What VFIO_IOMMU_DIRTY_PAGES asks, or else all is dirty */
		scoped_guard(mutex, &ioas->mutex)
			rc = iommufd_hwpt_set_dirty(hwpt, true);
		KUNIT_EXPECT_EQ(test, rc, hwpt->common.domain->dirty_ops ?
					  0 : -EOPNOTSUPP);
		rc = !rc;
		iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
	}
	iommu_group_put(igroup.group);
	mock_device_destroy(mdev);
	return rc;
}

static void hwpt_test_auto(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1, hwpt_test_tracks(test, 0));
	KUNIT_EXPECT_EQ(test, 0, hwpt_test_tracks(test,
						  MOCK_FLAGS_DEVICE_NO_DIRTY));
}

/* The driver has the capability, and refuses the flag: SMMUv3 with stage 2 only */
static void hwpt_test_no_table(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;

	KUNIT_EXPECT_EQ(test, 0,
			hwpt_test_tracks(test,
					 MOCK_FLAGS_DEVICE_NO_DIRTY_TABLE));
	/* And the container goes on to want it for others */
	KUNIT_EXPECT_TRUE(test, ictx->container.owns_ioas);
	KUNIT_EXPECT_EQ(test, 1, hwpt_test_tracks(test, 0));
}

static struct kunit_case hwpt_cases[] = {
	KUNIT_CASE(hwpt_test_auto),
	KUNIT_CASE(hwpt_test_no_table),
	{}
};

static struct kunit_suite hwpt_suite = {
	.name = "iommufd_hwpt",
	.init = hwpt_test_init,
	.exit = hwpt_test_exit,
	.test_cases = hwpt_cases,
};

kunit_test_suite(hwpt_suite);
