// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module asks about tests. These functions use nothing else of it.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/fault-inject.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>

#include "hooks.h"

static unsigned int memory_limit = 65536;

static bool mock_silent;
module_param(mock_silent, bool, 0644);
MODULE_PARM_DESC(mock_silent,
		 "New page tables of the mock report nothing to bitmaps of dirty pages, as IOMMU drivers that were built without CONFIG_IOMMUFD_DRIVER");

static DECLARE_FAULT_ATTR(fail_iommufd);
static struct dentry *debugfs_root;
static const struct iommufd_viommu_driver *mock_driver;

/**
 * iommufd_test_batch - how long a temporary array of pointers may be
 * @n: wanted entries
 *
 * Return: no more than @n, less if a test wants to see work done in many steps.
 */
unsigned int iommufd_test_batch(unsigned int n)
{
	unsigned int limit = READ_ONCE(memory_limit) / sizeof(void *);

	return clamp(limit, 1U, n);
}

/**
 * iommufd_should_fail - is a step that can fail to fail now?
 *
 * For errors that are not failed allocations, which the kernel can inject
 * itself.
 *
 * Return: true if a test asks for it.
 */
bool iommufd_should_fail(void)
{
	return should_fail(&fail_iommufd, 1);
}

const struct device_type mock_device_type = {
	.name = "iommufd_mock",
};

/**
 * iommufd_selftest_is_mock_dev - is a device a mock device?
 * @dev: any device
 *
 * A mock device belongs to the context that it is bound to and goes with it,
 * so that it must not hold it.
 *
 * Return: true if so.
 */
bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return dev->type == &mock_device_type;
}

/**
 * iommufd_selftest_is_silent - does the mock IOMMU driver tell no bitmap what is dirty?
 *
 * Return: true if that holds for a page table that is allocated now.
 */
bool iommufd_selftest_is_silent(void)
{
	return READ_ONCE(mock_silent);
}

/**
 * iommufd_selftest_viommu_driver - who makes virtual IOMMUs for a mock device?
 * @dev: any device
 *
 * Return: how it is done, or NULL if it is not a mock device.
 */
const struct iommufd_viommu_driver *
iommufd_selftest_viommu_driver(struct device *dev)
{
	return iommufd_selftest_is_mock_dev(dev) ? mock_driver : NULL;
}

/**
 * mock_hooks_set_memory_limit - make temporary arrays small
 * @limit: their bytes at most
 */
void mock_hooks_set_memory_limit(unsigned int limit)
{
	WRITE_ONCE(memory_limit, limit);
}

/**
 * mock_hooks_init - let tests choose what fails
 * @driver: how the mock IOMMU makes virtual IOMMUs
 */
void mock_hooks_init(const struct iommufd_viommu_driver *driver)
{
	mock_driver = driver;
	debugfs_root = fault_create_debugfs_attr("fail_iommufd", NULL,
						 &fail_iommufd);
	/* Kernels without it still run all other tests */
	if (IS_ERR(debugfs_root))
		debugfs_root = NULL;
}

/**
 * mock_hooks_exit - undo mock_hooks_init()
 */
void mock_hooks_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
}
