// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables: domains of the IOMMU driver as objects of the user.
 */
#include <linux/iommu.h>
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

static void hwpt_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = to_hwpt(obj);

	scoped_guard(mutex, &hwpt->ioas->mutex) {
		list_del_init(&hwpt->entry);
		hwpt->ioas->dirty_log.exact = false;
	}
	/* An object that failed half way through its making has only some. */
	if (hwpt->filled)
		iopt_remove_domain(&hwpt->ioas->iopt, &hwpt->item);
	iommu_domain_free(hwpt->item.domain);
	iommufd_object_release(&hwpt->ioas->obj);
}

static void hwpt_show(struct iommufd_object *obj, struct seq_file *m)
{
	struct iommufd_hwpt *hwpt = to_hwpt(obj);

	seq_printf(m, " ioas=%u%s", hwpt->ioas->obj.id,
		   hwpt->automatic ? " automatic" : "");
}

const struct iommufd_object_ops iommufd_hwpt_object_ops = {
	.type = IOMMUFD_OBJ_HWPT,
	.name = "hwpt",
	.destroy = hwpt_destroy,
	.show = hwpt_show,
};

static struct iommu_domain *try_domain(struct iommufd_device *idev,
				       struct iommu_domain *domain)
{
	int rc;

	if (IS_ERR(domain))
		return domain;
	rc = iommufd_group_try_domain(idev->igroup, domain);
	if (!rc)
		return domain;
	iommu_domain_free(domain);
	return ERR_PTR(rc);
}

/* What drivers answer when a kind of domain does not suit the hardware. */
static bool is_unsuitable(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENODEV;
}

/*
 * Drivers have two ways to give us a domain. The one that takes flags is
 * preferred, because it gives a second-stage table where the hardware has
 * both. Where it has only first-stage tables that one does not suit, and the
 * driver may notice only at the attach.
 */
static struct iommu_domain *
domain_alloc(struct iommufd_device *idev, u32 flags,
	     const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	bool must = flags || user_data;
	struct iommu_domain *domain;

	if (!ops->domain_alloc_user && must)
		return ERR_PTR(-EOPNOTSUPP);
	if (ops->domain_alloc_user &&
	    (must || !READ_ONCE(idev->igroup->no_user_domain))) {
		domain = ops->domain_alloc_user(idev->dev, flags, NULL,
						user_data);
		if (!IS_ERR(domain))
			domain->owner = ops;
		domain = try_domain(idev, domain);
		if (!IS_ERR(domain) || must || !is_unsuitable(PTR_ERR(domain)))
			return domain;
		WRITE_ONCE(idev->igroup->no_user_domain, true);
	}
	return try_domain(idev, iommu_paging_domain_alloc(idev->dev));
}

/**
 * iommufd_hwpt_enforce_coherency - force DMA through a table to be coherent
 * @hwpt: the table; ioas->mutex is held
 *
 * Return: 0, or -EINVAL if the hardware cannot do it for this table.
 */
int iommufd_hwpt_enforce_coherency(struct iommufd_hwpt *hwpt)
{
	struct iommu_domain *domain = hwpt->item.domain;

	lockdep_assert_held(&hwpt->ioas->mutex);

	if (hwpt->enforce_coherency)
		return 0;
	/*
	 * Drivers may note the mode in each translation as it is made, so that
	 * those that exist would keep the old one.
	 */
	if (hwpt->filled && hwpt->ioas->iopt.areas.nr)
		return -EINVAL;
	if (!domain->ops->enforce_cache_coherency ||
	    !domain->ops->enforce_cache_coherency(domain))
		return -EINVAL;
	hwpt->enforce_coherency = true;
	return 0;
}

/**
 * iommufd_hwpt_auto_flags - how to allocate a table for a device
 * @ictx: the context
 * @ioas: what it is for
 * @idev: the device
 *
 * Return: flags of IOMMU_HWPT_ALLOC: those of a container note what devices
 * write, if they can and if the type has a way to ask, because nobody says in
 * advance that he will.
 */
u32 iommufd_hwpt_auto_flags(struct iommufd_ctx *ictx,
			    const struct iommufd_ioas *ioas,
			    struct iommufd_device *idev)
{
	if (!READ_ONCE(ictx->container.owns_ioas) ||
	    READ_ONCE(ictx->vfio_ioas) != ioas ||
	    READ_ONCE(ioas->iopt.cuttable) ||
	    !iommufd_dirty_tracking_supported(idev))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

/**
 * iommufd_hwpt_alloc - allocate a table for an address space
 * @ictx: whose
 * @ioas: what it is to hold; its mutex is held
 * @idev: a device that it must suit
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT and so on
 * @user_data: what the user tells the IOMMU driver, or NULL
 *
 * The table is empty, for iommufd_hwpt_fill().
 *
 * Return: the object, to be finalized, or aborted and destroyed after
 * ioas->mutex has been released; or an ERR_PTR:
 * -EOPNOTSUPP if the hardware lacks what the flags or the data ask for.
 */
struct iommufd_hwpt *
iommufd_hwpt_alloc(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
		   struct iommufd_device *idev, u32 flags,
		   const struct iommu_user_data *user_data)
{
	struct iommu_domain *domain;
	struct iommufd_hwpt *hwpt;
	int rc;

	lockdep_assert_held(&ioas->mutex);

	hwpt = iommufd_object_alloc(ictx, iommufd_hwpt,
				    &iommufd_hwpt_object_ops);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->entry);
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->ioas = ioas;
	rc = iommufd_object_hold(&ioas->obj);
	if (rc) {
		iommufd_object_abort(ictx, &hwpt->obj);
		return ERR_PTR(rc);
	}

	domain = domain_alloc(idev, flags, user_data);
	if (IS_ERR(domain)) {
		rc = refuse(&ictx->refusal, PTR_ERR(domain),
			    "hwpt: the IOMMU of %s gives no page table with flags 0x%x",
			    dev_name(idev->dev), flags);
		goto err_abort;
	}
	hwpt->item.domain = domain;
	hwpt->item.flush_max = iopt_flush_max(idev->dev);
	/*
	 * Before anything is mapped, because some drivers keep the mode in
	 * every translation.
	 */
	if (idev->enforce_coherency) {
		rc = iommufd_hwpt_enforce_coherency(hwpt);
		if (rc) {
			refuse(&ictx->refusal, rc,
			       "hwpt: the IOMMU of %s cannot enforce cache coherency",
			       dev_name(idev->dev));
			goto err_abort;
		}
	}
	return hwpt;

err_abort:
	if (hwpt->item.domain)
		iommu_domain_free(hwpt->item.domain);
	iommufd_object_release(&ioas->obj);
	iommufd_object_abort(ictx, &hwpt->obj);
	return ERR_PTR(rc);
}

/**
 * iommufd_hwpt_fill - put all mappings of the address space into a new table
 * @hwpt: from iommufd_hwpt_alloc(); ioas->mutex is held
 *
 * Return: 0 or what iopt_add_domain() says.
 */
int iommufd_hwpt_fill(struct iommufd_hwpt *hwpt)
{
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);

	rc = iopt_add_domain(&hwpt->ioas->iopt, &hwpt->item);
	if (rc)
		return rc;
	hwpt->filled = true;
	list_add_tail(&hwpt->entry, &hwpt->ioas->hwpts);
	hwpt->ioas->dirty_log.exact = false;
	return 0;
}

int iommufd_hwpt_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data user_data = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	struct iommufd_object *dev_obj, *pt_obj;
	struct iommufd_hwpt *hwpt;
	struct iommufd_ioas *ioas;
	int rc;

	/* user ABI: __reserved2 is ignored, and so is a pointer to no data */
	if ((cmd->flags & ~known) || cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;

	dev_obj = iommufd_object_get(ucmd->ictx, cmd->dev_id,
				     IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	pt_obj = iommufd_object_get(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt_obj)) {
		rc = -EINVAL;
		goto out_put_dev;
	}

	if (pt_obj->ops->type == IOMMUFD_OBJ_HWPT) {
		rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
			    "hwpt: nested page tables are not supported");
		goto out_put_pt;
	}
	if (pt_obj->ops->type != IOMMUFD_OBJ_IOAS) {
		rc = -EINVAL;
		goto out_put_pt;
	}
	if (cmd->flags & (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)) {
		rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
			    "hwpt: page faults and PASIDs are not supported");
		goto out_put_pt;
	}
	if (cmd->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) {
		if (!iommufd_dirty_tracking_supported(to_idev(dev_obj))) {
			rc = refuse(&ucmd->ictx->refusal, -EOPNOTSUPP,
				    "hwpt: the IOMMU or its driver cannot report dirty pages");
			goto out_put_pt;
		}
	}

	ioas = to_ioas(pt_obj);
	mutex_lock(&ioas->mutex);
	hwpt = iommufd_hwpt_alloc(ucmd->ictx, ioas, to_idev(dev_obj),
				  cmd->flags,
				  cmd->data_len ? &user_data : NULL);
	rc = PTR_ERR_OR_ZERO(hwpt);
	if (!rc)
		rc = iommufd_hwpt_fill(hwpt);
	mutex_unlock(&ioas->mutex);
	if (rc)
		goto out_abort;

	cmd->out_hwpt_id = hwpt->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc)
		iommufd_object_finalize(ucmd->ictx, &hwpt->obj);
out_abort:
	if (rc && !IS_ERR(hwpt))
		iommufd_object_abort_and_destroy(ucmd->ictx, &hwpt->obj);
out_put_pt:
	iommufd_object_put(ucmd->ictx, pt_obj);
out_put_dev:
	iommufd_object_put(ucmd->ictx, dev_obj);
	return rc;
}
