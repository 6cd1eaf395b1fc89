// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual IOMMUs: what a virtual machine has of an IOMMU beside page tables.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"
#include "mock/hooks.h"
#include "trace.h"
#include "viommu.h"
#include "viommu_driver.h"

static void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	/* The driver has set it up if it has said how it works */
	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	WARN_ON(!xa_empty(&viommu->vdevs));
	WARN_ON(!list_empty(&viommu->veventqs));
	xa_destroy(&viommu->vdevs);
	iommufd_object_release(&viommu->hwpt->common.obj);
}

static int iommufd_viommu_invalidate(struct iommufd_object *obj,
				     struct iommu_user_data_array *array)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	if (!viommu->ops->cache_invalidate) {
		array->entry_num = 0;
		return -EOPNOTSUPP;
	}
	return viommu->ops->cache_invalidate(viommu, array);
}

static void iommufd_viommu_show(struct iommufd_object *obj, struct seq_file *m)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	seq_printf(m, " type=%u hwpt=%u", viommu->type,
		   viommu->hwpt->common.obj.id);
}

static const char *iommufd_viommu_busy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = to_viommu(obj);

	if (!xa_empty(&viommu->vdevs))
		return "it has virtual devices";
	return "page tables, event queues, hardware queues or mapped memory are left";
}

const struct iommufd_object_ops iommufd_viommu_object_ops = {
	.type = IOMMUFD_OBJ_VIOMMU,
	.name = "viommu",
	.destroy = iommufd_viommu_destroy,
	.invalidate = iommufd_viommu_invalidate,
	.busy = iommufd_viommu_busy,
	.show = iommufd_viommu_show,
};

static size_t iommufd_viommu_size(struct device *dev,
				  enum iommu_viommu_type type)
{
	const struct iommufd_viommu_driver *mock;

	if (type == IOMMU_VIOMMU_TYPE_DEFAULT || !iopt_has_iommu(dev))
		return 0;
	mock = iommufd_selftest_viommu_driver(dev);
	return mock ? mock->get_viommu_size(dev, type) :
		      iommufd_driver_viommu_size(dev, type);
}

static int iommufd_viommu_init(struct iommufd_viommu *viommu,
			       struct device *dev,
			       const struct iommu_user_data *user_data)
{
	struct iommu_domain *parent = viommu->hwpt->common.domain;
	const struct iommufd_viommu_driver *mock;
	int rc;

	mock = iommufd_selftest_viommu_driver(dev);
	rc = mock ? mock->viommu_init(viommu, parent, user_data) :
		    iommufd_driver_viommu_init(viommu, parent, user_data);
	if (rc)
		return rc;
	/* Whatever is asked of it later goes there */
	return WARN_ON_ONCE(!viommu->ops) ? -EINVAL : 0;
}

/**
 * iommufd_viommu_alloc - make a virtual IOMMU
 * @ictx: whose
 * @dev: a device behind the IOMMU that it is to be a part of
 * @hwpt: the nest parent of all that is nested in it; in use
 * @type: which kind
 * @user_data: what the user tells the driver, or NULL
 *
 * Return: the virtual IOMMU, to be finalized, or aborted and destroyed; or an
 * ERR_PTR: -EOPNOTSUPP if the IOMMU of the device has none of that type, -EINVAL if
 * @hwpt is of another IOMMU driver, or an error of the driver.
 */
struct iommufd_viommu *
iommufd_viommu_alloc(struct iommufd_ctx *ictx, struct device *dev,
		     struct iommufd_hwpt_paging *hwpt,
		     enum iommu_viommu_type type,
		     const struct iommu_user_data *user_data)
{
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;
	size_t size;
	int rc;

	size = iommufd_viommu_size(dev, type);
	if (!size)
		return ERR_PTR(refuse(&ictx->refusal, -EOPNOTSUPP,
				      "viommu: the IOMMU of %s or its driver has no virtual IOMMU of type %u",
				      dev_name(dev), type));
	if (WARN_ON_ONCE(size < sizeof(*viommu)))
		return ERR_PTR(-EOPNOTSUPP);
	/* The driver takes the domain for one of its own */
	if (hwpt->common.domain->owner != dev_iommu_ops(dev))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "viommu: hwpt %u is of another IOMMU than %s",
				      hwpt->common.obj.id, dev_name(dev)));

	obj = __iommufd_object_alloc(ictx, size, &iommufd_viommu_object_ops);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	viommu = to_viommu(obj);
	rc = iommufd_object_hold(&hwpt->common.obj);
	if (rc) {
		iommufd_object_abort(ictx, obj);
		return ERR_PTR(rc);
	}
	xa_init_flags(&viommu->vdevs, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&viommu->veventqs);
	spin_lock_init(&viommu->veventqs_lock);
	viommu->ictx = ictx;
	viommu->type = type;
	viommu->hwpt = hwpt;
	/* Not the device: it may go and the virtual IOMMU stays */
	viommu->iommu_dev = __iommu_get_iommu_dev(dev);

	rc = iommufd_viommu_init(viommu, dev, user_data);
	if (rc) {
		/* A driver that fails leaves nothing to be undone */
		viommu->ops = NULL;
		iommufd_object_abort_and_destroy(ictx, obj);
		return ERR_PTR(rc);
	}
	return viommu;
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data user_data = {
		.type = cmd->type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_object *dev_obj, *hwpt_obj;
	struct iommufd_viommu *viommu;
	u32 id = 0;
	int rc;

	/* user ABI: __reserved is ignored, and so is a pointer to no data */
	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	dev_obj = iommufd_object_get(ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	hwpt_obj = iommufd_object_get(ictx, cmd->hwpt_id,
				      IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt_obj)) {
		rc = PTR_ERR(hwpt_obj);
		goto out_put_dev;
	}
	if (!to_hwpt_paging(hwpt_obj)->item.nest_parent) {
		rc = refuse(&ictx->refusal, -EINVAL,
			    "viommu: hwpt %u was not made with IOMMU_HWPT_ALLOC_NEST_PARENT",
			    cmd->hwpt_id);
		goto out_put_hwpt;
	}

	viommu = iommufd_viommu_alloc(ictx, to_idev(dev_obj)->dev,
				      to_hwpt_paging(hwpt_obj), cmd->type,
				      cmd->data_len ? &user_data : NULL);
	if (IS_ERR(viommu)) {
		rc = PTR_ERR(viommu);
		goto out_put_hwpt;
	}
	cmd->out_viommu_id = viommu->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, &viommu->obj);
	} else {
		id = viommu->obj.id;
		iommufd_object_finalize(ictx, &viommu->obj);
	}
out_put_hwpt:
	iommufd_object_put(ictx, hwpt_obj);
	trace_iommufd_viommu_alloc(to_idev(dev_obj)->dev, id, cmd->type,
				   cmd->hwpt_id, rc);
out_put_dev:
	iommufd_object_put(ictx, dev_obj);
	return rc;
}
