// SPDX-License-Identifier: GPL-2.0-only
/*
 * The type 1 container of VFIO, on an IOAS.
 */
#include <linux/capability.h>
#include <linux/export.h>
#include <linux/iommufd.h>
#include <linux/moduleparam.h>
#include <linux/rwsem.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_container.h"

static bool disable_hugepages;
module_param(disable_hugepages, bool, 0644);
MODULE_PARM_DESC(disable_hugepages,
		 "Use no large IOMMU pages in VFIO containers, as vfio_iommu_type1.disable_hugepages. (default: false)");

/* Who decides whether devices may do without an IOMMU, while it is loaded */
static DECLARE_RWSEM(no_iommu_rwsem);
static bool (*no_iommu_allowed)(void);

/**
 * iommufd_vfio_compat_set_no_iommu_policy - who decides about devices without IOMMU
 * @allowed: may they be used at this time? Called with a lock held; NULL for
 *           nobody, after which the previous one is not called any more
 */
void iommufd_vfio_compat_set_no_iommu_policy(bool (*allowed)(void))
{
	guard(rwsem_write)(&no_iommu_rwsem);
	no_iommu_allowed = allowed;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu_policy, "IOMMUFD_VFIO");

/* What type 1 calls cache coherency: every hwpt, if any, enforces it */
static int iommufd_vfio_all_coherent(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_vfio_get_ioas(ictx);
	struct iommufd_hwpt_paging *hwpt;
	bool coherent = true;
	int rc;

	if (IS_ERR(ioas))
		return false;
	rc = mutex_lock_killable(&ioas->mutex);
	if (!rc) {
		list_for_each_entry(hwpt, &ioas->hwpts, entry)
			coherent &= hwpt->enforce_coherency;
		mutex_unlock(&ioas->mutex);
	}
	iommufd_object_put(ictx, &ioas->obj);
	return rc ? rc : coherent;
}

/* Could this process have a group without IOMMU in the container? */
static bool iommufd_vfio_may_do_without_iommu(struct iommufd_ctx *ictx)
{
	scoped_guard(rwsem_read, &no_iommu_rwsem)
		if (!no_iommu_allowed || !no_iommu_allowed())
			return false;
	if (!READ_ONCE(ictx->no_iommu_mode) && READ_ONCE(ictx->vfio_ioas))
		return false;
	return capable(CAP_SYS_RAWIO);
}

static int iommufd_vfio_check_extension(struct iommufd_ctx *ictx,
					unsigned long extension)
{
	bool no_iommu = READ_ONCE(ictx->no_iommu_mode);

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !no_iommu;
	case VFIO_DMA_CC_IOMMU:
		return iommufd_vfio_all_coherent(ictx);
	case VFIO_NOIOMMU_IOMMU:
		return iommufd_vfio_may_do_without_iommu(ictx);
	default:
		return 0;
	}
}

static int iommufd_vfio_set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct iommufd_container *container = &ictx->container;
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (READ_ONCE(ictx->no_iommu_mode)) {
		if (type != VFIO_NOIOMMU_IOMMU)
			return iommufd_vfio_error(ictx, -EINVAL, -ENODEV);
		return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
	}
	ioas = iommufd_vfio_get_ioas(ictx);
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) {
		rc = -EINVAL;
		if (!IS_ERR(ioas)) {
			if (!READ_ONCE(container->type))
				rc = iommufd_vfio_error(ictx, -EINVAL, -ENODEV);
			iommufd_object_put(ictx, &ioas->obj);
		}
		return refuse(&ictx->refusal, rc,
			      "container: IOMMU type %lu is not supported, only type 1 (%u) and type 1v2 (%u)",
			      type, VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU);
	}
	if (IS_ERR(ioas))
		return iommufd_vfio_no_group(ictx);

	if (mutex_lock_killable(&container->lock)) {
		rc = -EINTR;
		goto out_put;
	}
	if (container->type && !list_empty(&container->groups))
		rc = -EINVAL;
	if (!rc && READ_ONCE(disable_hugepages))
		rc = iopt_set_small_pages(&ioas->iopt, true);
	/* First, because hwpts are allocated according to it */
	if (!rc)
		rc = iopt_set_splittable(&ioas->iopt, type == VFIO_TYPE1_IOMMU);
	if (!rc) {
		rc = iommufd_vfio_attach_groups(ictx);
		if (rc)
			iopt_restore_splittable(&ioas->iopt, container->type ==
						VFIO_TYPE1_IOMMU);
		else
			WRITE_ONCE(container->type, type);
	}
	mutex_unlock(&container->lock);
out_put:
	iommufd_object_put(ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_vfio_ioctl - an ioctl of the container
 * @ictx: the context that serves as a container
 * @cmd: its number
 * @arg: its argument
 *
 * Return: as type 1 does, for a file of /dev/vfio/vfio; as mainline's iommufd
 * does, where that is another error, for one of /dev/iommu.
 */
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return iommufd_vfio_check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return iommufd_vfio_set_iommu(ictx, arg);
	}
	/* Nothing is mapped where nothing is translated */
	if (READ_ONCE(ictx->no_iommu_mode))
		return -ENOIOCTLCMD;

	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		return iommufd_vfio_get_info(ictx, uarg);
	case VFIO_IOMMU_MAP_DMA:
		return iommufd_vfio_map_dma(ictx, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return iommufd_vfio_unmap_dma(ictx, uarg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return iommufd_vfio_dirty_pages(ictx, uarg);
	default:
		/* Type 1 is not there to be asked before it is set */
		if (_IOC_TYPE(cmd) == VFIO_TYPE &&
		    !READ_ONCE(ictx->container.type))
			return iommufd_vfio_error(ictx, -ENOIOCTLCMD, -EINVAL);
		return -ENOIOCTLCMD;
	}
}
