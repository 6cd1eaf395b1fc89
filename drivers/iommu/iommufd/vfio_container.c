// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a context that serves as a container of VFIO.
 */
#include <linux/export.h>
#include <linux/iommufd.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "vfio_container.h"

/**
 * iommufd_vfio_get_ioas - use the IOAS of a container
 * @ictx: the context that serves as a container
 *
 * Return: the IOAS, to be put; or ERR_PTR(-ENODEV) if there is none, which is
 * so before the first group.
 */
struct iommufd_ioas *iommufd_vfio_get_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	xa_lock(&ictx->objects);
	ioas = ictx->vfio_ioas;
	if (!ioas || ioas->obj.dying || !iommufd_object_tryget(&ioas->obj))
		ioas = ERR_PTR(-ENODEV);
	xa_unlock(&ictx->objects);
	return ioas;
}

/**
 * iommufd_vfio_compat_ioas_get_id - which IOAS a VFIO device is to be attached to
 * @ictx: the context that serves as a container
 * @out_ioas_id: receives the id
 *
 * Return: 0, or -ENODEV if the container has no IOAS.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	struct iommufd_ioas *ioas = iommufd_vfio_get_ioas(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*out_ioas_id = ioas->obj.id;
	iommufd_object_put(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, "IOMMUFD_VFIO");

/**
 * iommufd_vfio_compat_set_no_iommu - use a context as container without IOMMU
 * @ictx: the context
 *
 * Return: 0, or -EINVAL if it has an IOAS already.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	int rc = 0;

	xa_lock(&ictx->objects);
	if (ictx->vfio_ioas)
		rc = -EINVAL;
	else
		ictx->no_iommu_mode = true;
	xa_unlock(&ictx->objects);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, "IOMMUFD_VFIO");

/**
 * iommufd_vfio_compat_ioas_create - make sure that a container has an IOAS
 * @ictx: the context that serves as a container
 *
 * Return: 0, -EINVAL if it serves without an IOMMU, or -ENOMEM.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	int rc = 0;

	ioas = iommufd_ioas_alloc(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	xa_lock(&ictx->objects);
	if (ictx->no_iommu_mode)
		rc = -EINVAL;
	else if (ictx->vfio_ioas && !ictx->vfio_ioas->obj.dying)
		rc = -EEXIST;
	else
		ictx->vfio_ioas = ioas;
	if (!rc)
		ictx->container.owns_ioas = true;
	xa_unlock(&ictx->objects);

	if (!rc) {
		iommufd_object_finalize(ictx, &ioas->obj);
		return 0;
	}
	iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	/* Another call has made one before, which is as good */
	return rc == -EEXIST ? 0 : rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, "IOMMUFD_VFIO");

static int iommufd_vfio_set_ioas(struct iommufd_ctx *ictx,
				 struct iommufd_ioas *ioas)
{
	int rc = 0;

	/* A destroy clears the pointer under the lock, but only once */
	xa_lock(&ictx->objects);
	if (refcount_read(&ioas->obj.users)) {
		ictx->container.owns_ioas &= ictx->vfio_ioas == ioas;
		ictx->vfio_ioas = ioas;
	} else {
		rc = -ENOENT;
	}
	xa_unlock(&ictx->objects);
	return rc;
}

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		ioas = iommufd_vfio_get_ioas(ucmd->ictx);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		cmd->ioas_id = ioas->obj.id;
		iommufd_object_put(ucmd->ictx, &ioas->obj);
		return iommufd_ucmd_respond(ucmd, sizeof(*cmd));

	case IOMMU_VFIO_IOAS_SET:
		ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		rc = iommufd_vfio_set_ioas(ucmd->ictx, ioas);
		iommufd_object_put(ucmd->ictx, &ioas->obj);
		return rc;

	case IOMMU_VFIO_IOAS_CLEAR:
		xa_lock(&ucmd->ictx->objects);
		ucmd->ictx->vfio_ioas = NULL;
		xa_unlock(&ucmd->ictx->objects);
		return 0;

	default:
		return -EOPNOTSUPP;
	}
}

/**
 * iommufd_vfio_error - which error a container is to return
 * @ictx: the container
 * @error: that of mainline's iommufd
 * @type1: that of type 1 for the same
 *
 * Return: the one that the user of the file expects.
 */
int iommufd_vfio_error(const struct iommufd_ctx *ictx, int error, int type1)
{
	return ictx->type1 ? type1 : error;
}

/**
 * iommufd_vfio_no_group - refuse what needs a group in the container
 * @ictx: the container
 *
 * Return: a negative errno.
 */
int iommufd_vfio_no_group(struct iommufd_ctx *ictx)
{
	return refuse(&ictx->refusal,
		      iommufd_vfio_error(ictx, -ENODEV, -EINVAL),
		      "container: no group has been added");
}

/**
 * iommufd_vfio_get_set_ioas - use the IOAS of a container that is set up
 * @ictx: the container
 *
 * What can be mapped is known as soon as it is set up.
 *
 * Return: the IOAS, to be put, or an ERR_PTR.
 */
struct iommufd_ioas *iommufd_vfio_get_set_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	if (!READ_ONCE(ictx->container.type) &&
	    !list_empty_careful(&ictx->container.groups))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "container: VFIO_SET_IOMMU has not been called"));
	ioas = iommufd_vfio_get_ioas(ictx);
	return IS_ERR(ioas) ? ERR_PTR(iommufd_vfio_no_group(ictx)) : ioas;
}
