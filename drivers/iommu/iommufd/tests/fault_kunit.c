// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of page faults, from a mock device to the memory of a user and back: what
 * needs the inside of the kernel to be seen. The selftests have the rest.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mman.h>
#include <linux/platform_device.h>
#include <uapi/linux/iommufd.h>

#include "../../iommu-priv.h"
#include "../attachment.h"
#include "../fault.h"
#include "../iommufd_private.h"
#include "../mock/hardware.h"
#include "fake_kunit.h"

#define ENTRY ((ssize_t)sizeof(struct iommu_hwpt_pgfault))

/**
 * struct fault_test - what every test starts with
 * @ictx: as much of a context as it takes
 * @igroup: the group of @mdev
 * @idev: as much of the bound device as it takes
 * @mdev: a device
 * @hwpt: a hwpt whose faults go to @fault
 * @fault: the queue
 * @attachment: what the device is attached to, or NULL
 * @memory: of the user
 */
struct fault_test {
	struct iommufd_ctx ictx;
	struct iommufd_group igroup;
	struct iommufd_device idev;
	struct mock_device *mdev;
	struct iommufd_hwpt hwpt;
	struct iommufd_fault *fault;
	struct iommufd_attachment *attachment;
	struct fake_memory *memory;
};

static int fault_test_init(struct kunit *test)
{
	struct fault_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct iommu_domain *domain;
	struct device *dev;

	if (!t)
		return -ENOMEM;
	test->priv = t;
	xa_init_flags(&t->ictx.objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&t->ictx.destroy_wait);
	refusal_init(&t->ictx.refusal);
	t->memory = fake_memory_alloc(test, 1, 1, PROT_READ | PROT_WRITE);

	t->mdev = mock_device_create(MOCK_FLAGS_DEVICE_PASID);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->mdev));
	dev = &t->mdev->pdev->dev;
	domain = dev_iommu_ops(dev)->domain_alloc_paging_flags(dev, 0, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	domain->owner = dev_iommu_ops(dev);
	t->hwpt.domain = domain;

	t->igroup.ictx = &t->ictx;
	t->igroup.group = iommu_group_get(dev);
	mutex_init(&t->igroup.lock);
	xa_init(&t->igroup.attachments);
	spin_lock_init(&t->igroup.devices_lock);
	INIT_LIST_HEAD(&t->igroup.devices);
	t->idev.dev = dev;
	t->idev.igroup = &t->igroup;
	t->idev.obj.id = 42;
	iommufd_group_add_device(&t->igroup, &t->idev);

	t->fault = iommufd_fault_alloc(&t->ictx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->fault));
	iommufd_object_finalize(&t->ictx, &t->fault->obj);
	KUNIT_ASSERT_EQ(test, 0, iommufd_fault_connect(&t->ictx, &t->hwpt,
						       t->fault->obj.id));
	guard(mutex)(&t->igroup.lock);
	t->attachment = iommufd_attachment_create(&t->igroup, &t->idev,
						  IOMMU_NO_PASID, &t->hwpt);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->attachment));
	return 0;
}

static void fault_test_exit(struct kunit *test)
{
	struct fault_test *t = test->priv;

	if (!IS_ERR_OR_NULL(t->attachment)) {
		guard(mutex)(&t->igroup.lock);
		iommufd_attachment_destroy(t->attachment);
	}
	KUNIT_EXPECT_EQ(test, 0, t->igroup.faulting);
	if (t->igroup.group)
		iommu_group_put(t->igroup.group);
	if (t->hwpt.domain)
		iommu_domain_free(t->hwpt.domain);
	iommufd_fault_disconnect(&t->hwpt);
	iommufd_object_destroy_all(&t->ictx);
	xa_destroy(&t->ictx.objects);
	if (!IS_ERR_OR_NULL(t->mdev))
		mock_device_destroy(t->mdev);
}

static void fault_test_fault(struct fault_test *t, u32 pasid, u32 grpid,
			     bool last)
{
	const struct iommu_fault_page_request fault = {
		.pasid = pasid,
		.grpid = grpid,
		.perm = IOMMU_FAULT_PERM_READ,
		.addr = grpid * PAGE_SIZE,
	};

	mock_device_fault(t->mdev, &fault, last);
}

static ssize_t fault_test_read(struct fault_test *t, unsigned int nr)
{
	return t->fault->queue.ops->read(&t->fault->queue,
					 (char __user *)t->memory->addr,
					 nr * ENTRY);
}

static struct iommu_hwpt_pgfault *fault_test_entry(struct fault_test *t,
						   unsigned int i)
{
	return (struct iommu_hwpt_pgfault *)page_address(t->memory->pages[0]) +
	       i;
}

static ssize_t fault_test_answer(struct fault_test *t, u32 cookie)
{
	struct iommu_hwpt_page_response *response =
		page_address(t->memory->pages[0]);

	*response = (struct iommu_hwpt_page_response){ .cookie = cookie };
	return t->fault->queue.ops->write(&t->fault->queue,
					  (char __user *)t->memory->addr,
					  sizeof(*response));
}

static void fault_test_expect_answer(struct kunit *test, u32 grpid, int count,
				     u32 code)
{
	struct fault_test *t = test->priv;
	struct mock_response *response = mock_response_of(t->mdev, grpid);

	KUNIT_EXPECT_EQ(test, count, atomic_read(&response->count));
	if (count)
		KUNIT_EXPECT_EQ(test, code, response->code);
}

/* Each gets the lowest cookie that is not in use */
static void fault_test_cookies(struct kunit *test)
{
	static const u32 expected[] = { 1, 2, 3 };
	struct fault_test *t = test->priv;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(expected); i++) {
		fault_test_fault(t, IOMMU_NO_PASID, i, true);
		KUNIT_ASSERT_EQ(test, ENTRY, fault_test_read(t, 1));
		KUNIT_EXPECT_EQ(test, expected[i],
				fault_test_entry(t, 0)->cookie);
		KUNIT_EXPECT_EQ(test, 42, fault_test_entry(t, 0)->dev_id);
	}
	/* One that is answered is free again, while others wait */
	KUNIT_EXPECT_EQ(test, 8, fault_test_answer(t, 2));
	fault_test_expect_answer(test, 1, 1, IOMMU_PAGE_RESP_SUCCESS);
	fault_test_fault(t, IOMMU_NO_PASID, 3, true);
	KUNIT_ASSERT_EQ(test, ENTRY, fault_test_read(t, 1));
	KUNIT_EXPECT_EQ(test, 2, fault_test_entry(t, 0)->cookie);
	for (i = 0; i != ARRAY_SIZE(expected); i++) {
		KUNIT_EXPECT_EQ(test, 8, fault_test_answer(t, expected[i]));
		fault_test_expect_answer(test, i == 1 ? 3 : i, 1,
					 IOMMU_PAGE_RESP_SUCCESS);
	}
	KUNIT_EXPECT_EQ(test, 0, t->fault->nr_waiting);
}

/* More pages than there is room for on the stack */
static void fault_test_large_group(struct kunit *test)
{
	struct fault_test *t = test->priv;
	unsigned int i;

	for (i = 0; i != 50; i++)
		fault_test_fault(t, IOMMU_NO_PASID, 9, i == 49);
	fault_test_fault(t, IOMMU_NO_PASID, 10, true);
	KUNIT_EXPECT_EQ(test, 0, fault_test_read(t, 49));
	KUNIT_ASSERT_EQ(test, 51 * ENTRY, fault_test_read(t, 60));
	for (i = 0; i != 50; i++) {
		KUNIT_EXPECT_EQ(test, 9, fault_test_entry(t, i)->grpid);
		KUNIT_EXPECT_EQ(test, 1, fault_test_entry(t, i)->cookie);
	}
	KUNIT_EXPECT_EQ(test, 10, fault_test_entry(t, 50)->grpid);
	KUNIT_EXPECT_EQ(test, 2, fault_test_entry(t, 50)->cookie);
}

/*
 * A device that asks for more than any honest one does is answered by the kernel, and
 * heard again when the user has answered.
 */
static void fault_test_limit(struct kunit *test)
{
	static const unsigned int count = 64;
	struct fault_test *t = test->priv;
	unsigned int i, j;

	for (i = 0; i != IOMMUFD_FAULT_LIMIT / count; i++) {
		for (j = 0; j != count; j++)
			fault_test_fault(t, IOMMU_NO_PASID, 1, j == count - 1);
	}
	KUNIT_EXPECT_EQ(test, i, t->fault->nr_unread);
	KUNIT_EXPECT_EQ(test, 0, t->fault->nr_refused);
	fault_test_expect_answer(test, 2, 0, 0);
	fault_test_fault(t, IOMMU_NO_PASID, 2, true);
	fault_test_expect_answer(test, 2, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, i, t->fault->nr_unread);
	KUNIT_EXPECT_EQ(test, 1, t->fault->nr_refused);

	/* Those that were read are counted until they are answered */
	KUNIT_ASSERT_EQ(test, count * ENTRY, fault_test_read(t, count));
	fault_test_fault(t, IOMMU_NO_PASID, 3, true);
	fault_test_expect_answer(test, 3, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, 8, fault_test_answer(t, 1));
	for (j = 0; j != count; j++) {
		fault_test_fault(t, IOMMU_NO_PASID, 4, true);
		fault_test_expect_answer(test, 4, 0, 0);
	}
	fault_test_fault(t, IOMMU_NO_PASID, 5, true);
	fault_test_expect_answer(test, 5, 1, IOMMU_PAGE_RESP_INVALID);

	iommufd_fault_forget(t->attachment, NULL);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&t->fault->nr_faults));
}

/*
 * A driver may stop the faults of a device before they have been answered. They stay
 * ours, and the answer gets there.
 */
static void fault_test_driver_stops(struct kunit *test)
{
	struct fault_test *t = test->priv;
	struct device *dev = &t->mdev->pdev->dev;

	fault_test_fault(t, IOMMU_NO_PASID, 1, true);
	fault_test_fault(t, IOMMU_NO_PASID, 2, true);
	KUNIT_ASSERT_EQ(test, ENTRY, fault_test_read(t, 1));
	mock_iopf_disable(dev);
	fault_test_expect_answer(test, 1, 0, 0);
	fault_test_expect_answer(test, 2, 0, 0);
	KUNIT_EXPECT_EQ(test, 8, fault_test_answer(t, 1));
	fault_test_expect_answer(test, 1, 1, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_ASSERT_EQ(test, ENTRY, fault_test_read(t, 1));
	KUNIT_EXPECT_EQ(test, 2, fault_test_entry(t, 0)->grpid);
	KUNIT_ASSERT_EQ(test, 0, mock_iopf_enable(dev));
}

/* What the hardware reports on its way out is answered at once, as is all later */
static void fault_test_closed(struct kunit *test)
{
	struct fault_test *t = test->priv;

	fault_test_fault(t, IOMMU_NO_PASID, 1, true);
	iommufd_fault_forget(t->attachment, NULL);
	fault_test_expect_answer(test, 1, 1, IOMMU_PAGE_RESP_INVALID);
	fault_test_fault(t, IOMMU_NO_PASID, 2, true);
	fault_test_expect_answer(test, 2, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, 0, t->fault->nr_unread);
	KUNIT_EXPECT_EQ(test, 0, fault_test_read(t, 1));
}

/* A device that goes takes its faults along, and has none that a user could answer */
static void fault_test_unbound(struct kunit *test)
{
	struct fault_test *t = test->priv;

	fault_test_fault(t, IOMMU_NO_PASID, 1, true);
	iommufd_group_remove_device(&t->igroup, &t->idev);
	iommufd_fault_forget(t->attachment, t->idev.dev);
	fault_test_expect_answer(test, 1, 1, IOMMU_PAGE_RESP_INVALID);
	fault_test_fault(t, IOMMU_NO_PASID, 2, true);
	fault_test_expect_answer(test, 2, 1, IOMMU_PAGE_RESP_INVALID);
	iommufd_group_add_device(&t->igroup, &t->idev);
	fault_test_fault(t, IOMMU_NO_PASID, 3, true);
	fault_test_expect_answer(test, 3, 0, 0);
}

/* The driver is told once for all PASIDs; each has its own faults */
static void fault_test_pasids(struct kunit *test)
{
	struct fault_test *t = test->priv;
	struct iommufd_attachment *pasid;

	scoped_guard(mutex, &t->igroup.lock)
		pasid = iommufd_attachment_create(&t->igroup, &t->idev, 5,
						  &t->hwpt);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pasid));
	KUNIT_EXPECT_EQ(test, 2, t->igroup.faulting);
	fault_test_fault(t, IOMMU_NO_PASID, 1, true);
	fault_test_fault(t, 5, 2, true);
	scoped_guard(mutex, &t->igroup.lock)
		iommufd_attachment_destroy(pasid);
	fault_test_expect_answer(test, 1, 0, 0);
	fault_test_expect_answer(test, 2, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, 1, t->igroup.faulting);
	fault_test_fault(t, IOMMU_NO_PASID, 3, true);
	KUNIT_ASSERT_EQ(test, 2 * ENTRY, fault_test_read(t, 3));
	KUNIT_EXPECT_EQ(test, 1, fault_test_entry(t, 0)->grpid);
	KUNIT_EXPECT_EQ(test, 3, fault_test_entry(t, 1)->grpid);
}

static struct kunit_case fault_test_cases[] = {
	KUNIT_CASE(fault_test_cookies),
	KUNIT_CASE(fault_test_large_group),
	KUNIT_CASE(fault_test_limit),
	KUNIT_CASE(fault_test_driver_stops),
	KUNIT_CASE(fault_test_closed),
	KUNIT_CASE(fault_test_unbound),
	KUNIT_CASE(fault_test_pasids),
	{}
};

static struct kunit_suite fault_test_suite = {
	.name = "iommufd_fault",
	.init = fault_test_init,
	.exit = fault_test_exit,
	.test_cases = fault_test_cases,
};

kunit_test_suite(fault_test_suite);
