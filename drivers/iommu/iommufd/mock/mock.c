// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctl with which selftests plug in mock devices, use accesses, and look
 * behind what iommufd does.
 */
#include "../iommufd_private.h"
#include "dmabuf.h"
#include "hooks.h"
#include "hardware.h"
#include "mock.h"
#include "ops.h"
#include "viommu.h"

/**
 * iommufd_test - the ioctl IOMMU_TEST_CMD
 * @ucmd: the command, see iommufd_test.h
 *
 * Return: 0, or a file descriptor for IOMMU_TEST_OP_DMABUF_GET; or a negative
 * errno, -EOPNOTSUPP for an operation on something
 * that iommufd does not have.
 */
int iommufd_test(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	switch (cmd->op) {
	case IOMMU_TEST_OP_MOCK_DOMAIN:
		return mock_test_mock_domain(ucmd, 0);
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		return mock_test_mock_domain(ucmd,
					     cmd->mock_domain_flags.dev_flags);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		return mock_test_mock_domain_replace(ucmd);
	case IOMMU_TEST_OP_PASID_ATTACH:
	case IOMMU_TEST_OP_PASID_REPLACE:
	case IOMMU_TEST_OP_PASID_DETACH:
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		return mock_test_pasid(ucmd);
	case IOMMU_TEST_OP_ADD_RESERVED:
		return mock_test_add_reserved(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return mock_test_check_map(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return mock_test_check_refs(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_IOTLB:
		return mock_test_check_iotlb(ucmd);
	case IOMMU_TEST_OP_TRIGGER_VEVENT:
		return mock_test_trigger_vevent(ucmd);
	case IOMMU_TEST_OP_DEV_CHECK_CACHE:
		return mock_test_check_dev_cache(ucmd);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return mock_test_create_access(ucmd);
	case IOMMU_TEST_OP_ACCESS_PAGES:
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
	case IOMMU_TEST_OP_ACCESS_RW:
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return mock_test_access(ucmd);
	case IOMMU_TEST_OP_DIRTY:
		return mock_test_dirty(ucmd);
	case IOMMU_TEST_OP_TRIGGER_IOPF:
		return mock_test_trigger_iopf(ucmd);
	case IOMMU_TEST_OP_CHECK_RESPONSE:
		return mock_test_check_response(ucmd);
	case IOMMU_TEST_OP_DMABUF_GET:
		return mock_dmabuf_get(cmd->dmabuf_get.length,
				       cmd->dmabuf_get.open_flags);
	case IOMMU_TEST_OP_DMABUF_REVOKE:
		return mock_dmabuf_revoke(cmd->dmabuf_revoke.dmabuf_fd,
					  cmd->dmabuf_revoke.revoked);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		mock_hooks_set_memory_limit(cmd->memory_limit.limit);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/**
 * iommufd_test_init - plug in the mock IOMMU
 *
 * Return: 0 or a negative errno.
 */
int iommufd_test_init(void)
{
	int rc = mock_iopf_init();

	if (rc)
		return rc;
	mock_hooks_init(&mock_viommu_driver);
	rc = mock_iommu_register();
	if (rc) {
		mock_hooks_exit();
		mock_iopf_exit();
		return rc;
	}
	mock_dmabuf_register();
	return 0;
}

/**
 * iommufd_test_exit - undo iommufd_test_init()
 *
 * No context is open, so that there is no mock device either.
 */
void iommufd_test_exit(void)
{
	mock_dmabuf_unregister();
	mock_iommu_unregister();
	mock_hooks_exit();
	mock_iopf_exit();
}
