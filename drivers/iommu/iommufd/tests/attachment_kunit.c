// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of attachments: what the IOMMU core gives back for a group always
 * describes the domain that the group is attached to.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/platform_device.h>
#include <uapi/linux/iommufd.h>

#include "../../iommu-priv.h"
#include "../attachment.h"
#include "../iommufd_private.h"
#include "../mock/hardware.h"

/**
 * struct attachment_test - what every test starts with
 * @ictx: as much of a context as it takes
 * @igroup: the group of @mdev, attached to nothing
 * @idev: @mdev, as much of it as it takes
 * @mdev: a device that has PASIDs, and does not take domains with dirty tracking
 * @other: one that does
 * @first: a hwpt that suits @mdev
 * @second: another one
 * @refused: one that does not
 */
struct attachment_test {
	struct iommufd_ctx ictx;
	struct iommufd_group igroup;
	struct iommufd_device idev;
	struct mock_device *mdev;
	struct mock_device *other;
	struct iommufd_hwpt first;
	struct iommufd_hwpt second;
	struct iommufd_hwpt refused;
};

static void attachment_test_alloc(struct kunit *test, struct iommufd_hwpt *hwpt,
				  struct mock_device *mdev, u32 flags)
{
	struct device *dev = &mdev->pdev->dev;
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain =
		ops->domain_alloc_paging_flags(dev, flags, NULL);

	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	domain->owner = ops;
	hwpt->domain = domain;
}

static int attachment_test_init(struct kunit *test)
{
	struct attachment_test *t =
		kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	test->priv = t;
	refusal_init(&t->ictx.refusal);
	t->mdev = mock_device_create(MOCK_FLAGS_DEVICE_NO_DIRTY |
				     MOCK_FLAGS_DEVICE_PASID);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->mdev));
	t->other = mock_device_create(0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->other));
	attachment_test_alloc(test, &t->first, t->mdev, 0);
	attachment_test_alloc(test, &t->second, t->mdev, 0);
	attachment_test_alloc(test, &t->refused, t->other,
			      IOMMU_HWPT_ALLOC_DIRTY_TRACKING);

	t->idev.ictx = &t->ictx;
	t->idev.igroup = &t->igroup;
	t->idev.dev = &t->mdev->pdev->dev;
	t->igroup.ictx = &t->ictx;
	t->igroup.group = iommu_group_get(&t->mdev->pdev->dev);
	mutex_init(&t->igroup.lock);
	xa_init(&t->igroup.attachments);
	return 0;
}

static void attachment_test_exit(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_hwpt *hwpts[] = { &t->first, &t->second, &t->refused };
	unsigned int i;

	if (t->igroup.group) {
		KUNIT_EXPECT_TRUE(test, xa_empty(&t->igroup.attachments));
		iommu_group_put(t->igroup.group);
	}
	for (i = 0; i != ARRAY_SIZE(hwpts); i++)
		if (hwpts[i]->domain)
			iommu_domain_free(hwpts[i]->domain);
	if (!IS_ERR_OR_NULL(t->other))
		mock_device_destroy(t->other);
	if (!IS_ERR_OR_NULL(t->mdev))
		mock_device_destroy(t->mdev);
}

/* The core has the handle of @attachment, and that describes @hwpt */
static void attachment_test_expect(struct kunit *test,
				   struct iommufd_attachment *attachment,
				   struct iommufd_hwpt *hwpt)
{
	struct attachment_test *t = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, iommufd_attachment_get(&t->igroup, IOMMU_NO_PASID),
			    attachment);
	KUNIT_EXPECT_PTR_EQ(test,
			    iommu_attach_handle_get(t->igroup.group,
						    IOMMU_NO_PASID, 0),
			    &attachment->handle);
	KUNIT_EXPECT_PTR_EQ(test, attachment->handle.domain, hwpt->domain);
	KUNIT_EXPECT_PTR_EQ(test, attachment->hwpt, hwpt);
	KUNIT_EXPECT_PTR_EQ(test, iommu_get_domain_for_dev(&t->mdev->pdev->dev),
			    hwpt->domain);
}

static void attachment_test_expect_none(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommu_attach_handle *handle =
		iommu_attach_handle_get(t->igroup.group, IOMMU_NO_PASID, 0);

	KUNIT_EXPECT_NULL(test, iommufd_attachment_get(&t->igroup, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, -ENOENT, PTR_ERR_OR_ZERO(handle));
}

static void attachment_test_create(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment;

	guard(mutex)(&t->igroup.lock);
	attachment = iommufd_attachment_create(&t->igroup, NULL,
					       IOMMU_NO_PASID, &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	attachment_test_expect(test, attachment, &t->first);
	iommufd_attachment_destroy(attachment);
	attachment_test_expect_none(test);
}

static void attachment_test_create_fails(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment;

	guard(mutex)(&t->igroup.lock);
	attachment = iommufd_attachment_create(&t->igroup, NULL,
					       IOMMU_NO_PASID, &t->refused);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(attachment));
	attachment_test_expect_none(test);
}

static void attachment_test_replace(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment, *new;
	struct iommufd_device idev = { .attached = true };

	guard(mutex)(&t->igroup.lock);
	attachment = iommufd_attachment_create(&t->igroup, NULL,
					       IOMMU_NO_PASID, &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	list_add(&idev.entry, &attachment->devices);

	/* Nothing has changed after a failure */
	new = iommufd_attachment_replace(attachment, &t->refused);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(new));
	attachment_test_expect(test, attachment, &t->first);
	KUNIT_EXPECT_PTR_EQ(test, &idev.entry, attachment->devices.next);

	new = iommufd_attachment_replace(attachment, &t->second);
	KUNIT_EXPECT_FALSE(test, IS_ERR(new));
	if (!IS_ERR(new)) {
		attachment_test_expect(test, new, &t->second);
		attachment = new;
	}
	KUNIT_EXPECT_PTR_EQ(test, &idev.entry, attachment->devices.next);
	list_del(&idev.entry);
	iommufd_attachment_destroy(attachment);
	attachment_test_expect_none(test);
}

static void attachment_test_try(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment;

	guard(mutex)(&t->igroup.lock);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_attachment_try(&t->igroup, t->second.domain));
	attachment_test_expect_none(test);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_attachment_try(&t->igroup, t->refused.domain));
	attachment_test_expect_none(test);

	attachment = iommufd_attachment_create(&t->igroup, NULL,
					       IOMMU_NO_PASID, &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_attachment_try(&t->igroup, t->second.domain));
	attachment_test_expect(test, attachment, &t->first);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_attachment_try(&t->igroup, t->refused.domain));
	attachment_test_expect(test, attachment, &t->first);
	iommufd_attachment_destroy(attachment);
}

/* The core has the handle of @attachment for @pasid, and that describes @hwpt */
static void attachment_test_expect_pasid(struct kunit *test, ioasid_t pasid,
					 struct iommufd_attachment *attachment,
					 struct iommufd_hwpt *hwpt)
{
	struct attachment_test *t = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, iommufd_attachment_get(&t->igroup, pasid),
			    attachment);
	KUNIT_EXPECT_PTR_EQ(test,
			    iommu_attach_handle_get(t->igroup.group, pasid, 0),
			    &attachment->handle);
	KUNIT_EXPECT_PTR_EQ(test, attachment->handle.domain, hwpt->domain);
	KUNIT_EXPECT_PTR_EQ(test, attachment->hwpt, hwpt);
	KUNIT_EXPECT_PTR_EQ(test, attachment->idev, &t->idev);
	KUNIT_EXPECT_EQ(test, attachment->pasid, pasid);
}

static void attachment_test_expect_no_pasid(struct kunit *test, ioasid_t pasid)
{
	struct attachment_test *t = test->priv;
	struct iommu_attach_handle *handle =
		iommu_attach_handle_get(t->igroup.group, pasid, 0);

	KUNIT_EXPECT_NULL(test, iommufd_attachment_get(&t->igroup, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, PTR_ERR_OR_ZERO(handle));
}

static void attachment_test_pasid(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *rid, *first, *second, *new;

	guard(mutex)(&t->igroup.lock);
	rid = iommufd_attachment_create(&t->igroup, NULL, IOMMU_NO_PASID,
					&t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(rid));
	KUNIT_EXPECT_FALSE(test, iommufd_attachment_has_pasids(&t->igroup));
	first = iommufd_attachment_create(&t->igroup, &t->idev, 7, &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(first));
	second = iommufd_attachment_create(&t->igroup, &t->idev, 8,
					   &t->second);
	KUNIT_ASSERT_FALSE(test, IS_ERR(second));
	KUNIT_EXPECT_TRUE(test, iommufd_attachment_has_pasids(&t->igroup));

	new = iommufd_attachment_replace(first, &t->second);
	KUNIT_ASSERT_FALSE(test, IS_ERR(new));
	attachment_test_expect(test, rid, &t->first);
	attachment_test_expect_pasid(test, 7, new, &t->second);
	attachment_test_expect_pasid(test, 8, second, &t->second);

	iommufd_attachment_destroy(new);
	attachment_test_expect_no_pasid(test, 7);
	attachment_test_expect_pasid(test, 8, second, &t->second);
	KUNIT_EXPECT_TRUE(test, iommufd_attachment_has_pasids(&t->igroup));
	iommufd_attachment_destroy(second);
	KUNIT_EXPECT_FALSE(test, iommufd_attachment_has_pasids(&t->igroup));
	attachment_test_expect(test, rid, &t->first);
	iommufd_attachment_destroy(rid);
}

static void attachment_test_pasid_fails(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment, *new;

	guard(mutex)(&t->igroup.lock);
	/* The driver refuses, and so does the core */
	attachment = iommufd_attachment_create(&t->igroup, &t->idev, 7,
					       &t->refused);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(attachment));
	attachment = iommufd_attachment_create(&t->igroup, &t->idev,
					       1U << MOCK_PASID_WIDTH,
					       &t->first);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(attachment));
	attachment_test_expect_no_pasid(test, 7);
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->igroup.attachments));

	/* Nothing has changed after a failure */
	attachment = iommufd_attachment_create(&t->igroup, &t->idev,
					       IOMMU_TEST_PASID_RESERVED,
					       &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	new = iommufd_attachment_replace(attachment, &t->second);
	KUNIT_EXPECT_EQ(test, -ENOMEM, PTR_ERR_OR_ZERO(new));
	attachment_test_expect_pasid(test, IOMMU_TEST_PASID_RESERVED,
				     attachment, &t->first);
	iommufd_attachment_destroy(attachment);
	attachment_test_expect_no_pasid(test, IOMMU_TEST_PASID_RESERVED);

	attachment = iommufd_attachment_create(&t->igroup, &t->idev, 7,
					       &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	new = iommufd_attachment_replace(attachment, &t->refused);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(new));
	attachment_test_expect_pasid(test, 7, attachment, &t->first);
	iommufd_attachment_destroy(attachment);
	attachment_test_expect_no_pasid(test, 7);
}

/* What a replacement in two steps may come to: the core knows nothing any more */
static void attachment_test_pasid_lost(struct kunit *test)
{
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment;

	guard(mutex)(&t->igroup.lock);
	attachment = iommufd_attachment_create(&t->igroup, &t->idev, 7,
					       &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	iommu_detach_device_pasid(t->first.domain, t->idev.dev, 7);
	mock_iommu_expect_misuse(true);
	iommufd_attachment_destroy(attachment);
	/* It was not detached twice */
	KUNIT_EXPECT_EQ(test, 0, mock_iommu_expect_misuse(false));
	attachment_test_expect_no_pasid(test, 7);
}

/* The driver takes neither the new domain nor, if it has been left, the old one */
static void attachment_test_pasid_no_way_back(struct kunit *test)
{
	const ioasid_t pasid = IOMMU_TEST_PASID_RESERVED;
	struct attachment_test *t = test->priv;
	struct iommufd_attachment *attachment, *new;

	guard(mutex)(&t->igroup.lock);
	attachment = iommufd_attachment_create(&t->igroup, &t->idev, pasid,
					       &t->first);
	KUNIT_ASSERT_FALSE(test, IS_ERR(attachment));
	new = iommufd_attachment_replace(attachment, &t->refused);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(new));
	if (!IS_ERR(iommu_attach_handle_get(t->igroup.group, pasid, 0))) {
		/* This kernel does it in one step */
		attachment_test_expect_pasid(test, pasid, attachment,
					     &t->first);
		iommufd_attachment_destroy(attachment);
		return;
	}
	KUNIT_EXPECT_NOT_NULL(test, strstr(t->ictx.refusal.text,
					   "DMA is blocked until"));
	new = iommufd_attachment_replace(attachment, &t->second);
	KUNIT_ASSERT_FALSE(test, IS_ERR(new));
	attachment_test_expect_pasid(test, pasid, new, &t->second);
	iommufd_attachment_destroy(new);
	attachment_test_expect_no_pasid(test, pasid);
}

static struct kunit_case attachment_cases[] = {
	KUNIT_CASE(attachment_test_create),
	KUNIT_CASE(attachment_test_create_fails),
	KUNIT_CASE(attachment_test_replace),
	KUNIT_CASE(attachment_test_try),
	KUNIT_CASE(attachment_test_pasid),
	KUNIT_CASE(attachment_test_pasid_fails),
	KUNIT_CASE(attachment_test_pasid_lost),
	KUNIT_CASE(attachment_test_pasid_no_way_back),
	{}
};

static struct kunit_suite attachment_suite = {
	.name = "iommufd_attachment",
	.init = attachment_test_init,
	.exit = attachment_test_exit,
	.test_cases = attachment_cases,
};

kunit_test_suite(attachment_suite);
