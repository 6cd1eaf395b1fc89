// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctl IOMMU_OPTION.
 */
#include <linux/capability.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

static int iommufd_option_rlimit_mode(struct iommu_option *cmd,
				      struct iommufd_ctx *ictx)
{
	int rc = 0;

	if (cmd->object_id)
		return -EOPNOTSUPP;

	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = ictx->account_mode == PIN_ACCOUNT_MM;
		return 0;
	}
	if (cmd->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;

	if (!capable(CAP_SYS_RESOURCE))
		return refuse(&ictx->refusal, -EPERM,
			      "option: changing the accounting needs CAP_SYS_RESOURCE");
	xa_lock(&ictx->objects);
	if (!xa_empty(&ictx->objects))
		rc = -EBUSY;
	else if (cmd->val64 == 0)
		ictx->account_mode = PIN_ACCOUNT_USER;
	else if (cmd->val64 == 1)
		ictx->account_mode = PIN_ACCOUNT_MM;
	else
		rc = -EINVAL;
	xa_unlock(&ictx->objects);
	if (rc == -EBUSY)
		return refuse(&ictx->refusal, rc,
			      "option: the accounting can be changed only before objects exist");
	return rc;
}

static int iommufd_option_huge_pages(struct iommu_option *cmd,
				     struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(ictx, cmd->object_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (cmd->op == IOMMU_OPTION_OP_GET) {
		/*
		 * A container of VFIO's type 1 can be unmapped page by page,
		 * which is all that matters to those who ask.
		 */
		cmd->val64 = !READ_ONCE(ioas->iopt.small_pages) &&
			     !READ_ONCE(ioas->iopt.splittable);
		rc = 0;
	} else if (cmd->op != IOMMU_OPTION_OP_SET) {
		rc = -EOPNOTSUPP;
	} else if (cmd->val64 > 1) {
		rc = -EINVAL;
	} else {
		rc = iopt_set_small_pages(&ioas->iopt, !cmd->val64);
	}
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = iommufd_option_rlimit_mode(cmd, ucmd->ictx);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = iommufd_option_huge_pages(cmd, ucmd->ictx);
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (rc)
		return rc;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
