// SPDX-License-Identifier: GPL-2.0-only
/*
 * SR-IOV: VFs of a PF that itself belongs to userspace.
 *
 * Whoever drives such a PF can spy on its VFs or hinder them, so VFs are given
 * only to users who are in league with the PF's: both know a secret, the VF
 * token. The first user of the PF sets it, or it stays random and nobody can use
 * VFs; while VFs are in use, whoever opens the PF must know it.
 */
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/**
 * struct vfio_pci_vf_token - the secret of a PF
 * @lock: owns the others
 * @uuid: the secret
 * @users: VFs that are open
 */
struct vfio_pci_vf_token {
	struct mutex	lock; /* Owns all that follows */
	uuid_t		uuid;
	unsigned int	users;
};

/* PFs of ours that have VFs, and the lock that owns the list */
static DEFINE_MUTEX(sriov_pfs_lock);
static LIST_HEAD(sriov_pfs);

static bool vfio_pci_is_vf_of(struct pci_dev *pdev, struct pci_dev *physfn)
{
	return pdev->is_virtfn && pci_physfn(pdev) == physfn;
}

/*
 * A VF appears: it is meant for userspace as its PF is. Another driver has to be
 * asked for explicitly, and then the user of the PF is to be trusted.
 */
static int vfio_pci_vf_notifier(struct notifier_block *nb, unsigned long action,
				void *data)
{
	struct vfio_pci_core_device *vdev =
		container_of(nb, struct vfio_pci_core_device, nb);
	struct device *dev = data;
	struct pci_dev *pdev = to_pci_dev(dev);
	struct pci_driver *drv;

	if (!vfio_pci_is_vf_of(pdev, vdev->pdev))
		return 0;

	if (action == BUS_NOTIFY_ADD_DEVICE) {
		if (device_set_driver_override(dev, vdev->vdev.ops->name))
			pci_warn(vdev->pdev, "out of memory: VF %s is not reserved for %s\n",
				 pci_name(pdev), vdev->vdev.ops->name);
		else
			pci_info(vdev->pdev, "VF %s is reserved for %s\n",
				 pci_name(pdev), vdev->vdev.ops->name);
	} else if (action == BUS_NOTIFY_BOUND_DRIVER) {
		drv = pci_dev_driver(pdev);
		if (drv && drv != pci_dev_driver(vdev->pdev))
			pci_warn(vdev->pdev, "VF %s is bound to %s while the PF is bound to %s\n",
				 pci_name(pdev), drv->name,
				 pci_dev_driver(vdev->pdev)->name);
	}
	return 0;
}

static int vfio_pci_vf_init(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *physfn = pci_physfn(vdev->pdev);
	struct vfio_pci_core_device *cur;

	guard(mutex)(&sriov_pfs_lock);
	/*
	 * VFs exist only between enabling and disabling them, when the PF is
	 * in the list; it leaves it after the last VF is gone.
	 */
	list_for_each_entry(cur, &sriov_pfs, sriov_pfs_item) {
		if (cur->pdev == physfn) {
			vdev->sriov_pf_core_dev = cur;
			break;
		}
	}
	return 0;
}

static int vfio_pci_pf_init(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vf_token *token;
	int ret;

	token = kzalloc(sizeof(*token), GFP_KERNEL);
	if (!token)
		return -ENOMEM;
	mutex_init(&token->lock);
	uuid_gen(&token->uuid);

	vdev->vf_token = token;
	vdev->nb.notifier_call = vfio_pci_vf_notifier;
	ret = bus_register_notifier(&pci_bus_type, &vdev->nb);
	if (ret) {
		vdev->vf_token = NULL;
		kfree(token);
	}
	return ret;
}

/**
 * vfio_pci_vf_token_init - prepare a PF or a VF
 * @vdev: a device that is being registered
 *
 * Return: 0, -ENOMEM.
 */
int vfio_pci_vf_token_init(struct vfio_pci_core_device *vdev)
{
	if (vdev->pdev->is_virtfn)
		return vfio_pci_vf_init(vdev);
	if (vdev->pdev->is_physfn)
		return vfio_pci_pf_init(vdev);
	return 0;
}

/**
 * vfio_pci_vf_token_release - undo vfio_pci_vf_token_init()
 * @vdev: a device without users, and without VFs
 */
void vfio_pci_vf_token_release(struct vfio_pci_core_device *vdev)
{
	if (!vdev->vf_token)
		return;
	bus_unregister_notifier(&pci_bus_type, &vdev->nb);
	mutex_destroy(&vdev->vf_token->lock);
	kfree(vdev->vf_token);
	vdev->vf_token = NULL;
}

/**
 * vfio_pci_vf_open - count a VF that is opened
 * @vdev: a device that was opened
 */
void vfio_pci_vf_open(struct vfio_pci_core_device *vdev)
{
	if (!vdev->sriov_pf_core_dev)
		return;
	guard(mutex)(&vdev->sriov_pf_core_dev->vf_token->lock);
	vdev->sriov_pf_core_dev->vf_token->users++;
}

/**
 * vfio_pci_vf_close - undo vfio_pci_vf_open()
 * @vdev: a device that is being closed
 */
void vfio_pci_vf_close(struct vfio_pci_core_device *vdev)
{
	if (!vdev->sriov_pf_core_dev)
		return;
	guard(mutex)(&vdev->sriov_pf_core_dev->vf_token->lock);
	vdev->sriov_pf_core_dev->vf_token->users--;
}

static int vfio_pci_refuse(struct vfio_pci_core_device *vdev, int err,
			   const char *why)
{
	pci_info_ratelimited(vdev->pdev, "%s\n", why);
	return err;
}

static int vfio_pci_vf_match_token(struct vfio_pci_core_device *vdev,
				   const uuid_t *uuid)
{
	struct vfio_pci_core_device *pf = vdev->sriov_pf_core_dev;

	if (!pf) {
		if (!uuid)
			return 0;
		return vfio_pci_refuse(vdev, -EINVAL,
				       "VF token given, but the PF is not bound to vfio-pci");
	}
	if (!uuid)
		return vfio_pci_refuse(vdev, -EACCES,
				       "VF token required to open the device");

	guard(mutex)(&pf->vf_token->lock);
	if (!uuid_equal(uuid, &pf->vf_token->uuid))
		return vfio_pci_refuse(vdev, -EACCES, "wrong VF token");
	return 0;
}

static int vfio_pci_pf_match_token(struct vfio_pci_core_device *vdev,
				   const uuid_t *uuid)
{
	guard(mutex)(&vdev->vf_token->lock);

	if (!vdev->vf_token->users) {
		if (uuid)
			uuid_copy(&vdev->vf_token->uuid, uuid);
		return 0;
	}
	if (!uuid)
		return vfio_pci_refuse(vdev, -EACCES,
				       "VF token required while VFs are open");
	if (!uuid_equal(uuid, &vdev->vf_token->uuid))
		return vfio_pci_refuse(vdev, -EACCES, "wrong VF token");
	return 0;
}

/**
 * vfio_pci_core_match_token_uuid - whether somebody may open a device
 * @core_vdev: the device
 * @uuid: the VF token that was given, or NULL
 *
 * A PF whose VFs are not in use takes the token as its own.
 *
 * Return: 0; -EACCES if a token is missing or wrong, -EINVAL if one was given
 * that the device has no use for.
 */
int vfio_pci_core_match_token_uuid(struct vfio_device *core_vdev,
				   const uuid_t *uuid)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	if (vdev->pdev->is_virtfn)
		return vfio_pci_vf_match_token(vdev, uuid);
	if (vdev->vf_token)
		return vfio_pci_pf_match_token(vdev, uuid);
	if (uuid)
		return vfio_pci_refuse(vdev, -EINVAL,
				       "VF token given, but the device is neither PF nor VF");
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_match_token_uuid);

#define VF_TOKEN_ARG	"vf_token="

/**
 * vfio_pci_core_match - whether a name means a device, and may open it
 * @core_vdev: the device
 * @buf: "<segment:bus:device.function>[ vf_token=<uuid>]"
 *
 * Return: 1 if it does; 0 if it means another device; a negative errno if it
 * means this one, but is malformed or may not open it.
 */
int vfio_pci_core_match(struct vfio_device *core_vdev, char *buf)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);
	const char *name = pci_name(vdev->pdev);
	size_t len = strlen(name);
	bool given = false;
	uuid_t uuid;
	int ret;

	if (strncmp(name, buf, len) || (buf[len] && buf[len] != ' '))
		return 0;

	for (buf = skip_spaces(buf + len); *buf; buf = skip_spaces(buf)) {
		if (given || strncmp(buf, VF_TOKEN_ARG, strlen(VF_TOKEN_ARG)))
			return -EINVAL;
		buf += strlen(VF_TOKEN_ARG);
		if (strlen(buf) < UUID_STRING_LEN)
			return -EINVAL;
		ret = uuid_parse(buf, &uuid);
		if (ret)
			return ret;
		buf += UUID_STRING_LEN;
		given = true;
	}

	ret = vfio_pci_core_match_token_uuid(core_vdev, given ? &uuid : NULL);
	return ret ?: 1;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_match);

/**
 * vfio_pci_feature_vf_token - VFIO_DEVICE_FEATURE_PCI_VF_TOKEN
 * @vdev: an enabled device
 * @flags: of the feature request
 * @arg: the data
 * @argsz: bytes of data
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_feature_vf_token(struct vfio_pci_core_device *vdev, u32 flags,
			      void __user *arg, size_t argsz)
{
	uuid_t uuid;
	int ret;

	if (!vdev->vf_token)
		return -ENOTTY;
	/* There is no reading: it would tell the secret of an earlier user */
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
				 sizeof(uuid));
	if (ret != 1)
		return ret;
	if (copy_from_user(&uuid, arg, sizeof(uuid)))
		return -EFAULT;

	guard(mutex)(&vdev->vf_token->lock);
	uuid_copy(&vdev->vf_token->uuid, &uuid);
	return 0;
}

static int vfio_pci_sriov_enable(struct vfio_pci_core_device *vdev,
				 int nr_virtfn)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	scoped_guard(mutex, &sriov_pfs_lock) {
		/* VFs are there already */
		if (!list_empty(&vdev->sriov_pfs_item))
			return -EINVAL;
		list_add_tail(&vdev->sriov_pfs_item, &sriov_pfs);
	}

	/*
	 * VFs need their PF in D0: neither runtime suspend nor the user's
	 * writing of PM registers may take it elsewhere.
	 */
	ret = pm_runtime_resume_and_get(&pdev->dev);
	if (ret)
		goto err_list;
	down_write(&vdev->memory_lock);
	vdev->sriov_active = true;
	vfio_pci_set_power_state(vdev, PCI_D0);
	vfio_pci_memory_unlock(vdev);
	ret = pci_enable_sriov(pdev, nr_virtfn);
	if (ret)
		goto err_power;
	return nr_virtfn;

err_power:
	scoped_guard(rwsem_write, &vdev->memory_lock)
		vdev->sriov_active = false;
	pm_runtime_put(&pdev->dev);
err_list:
	scoped_guard(mutex, &sriov_pfs_lock)
		list_del_init(&vdev->sriov_pfs_item);
	return ret;
}

/**
 * vfio_pci_sriov_disable - remove all VFs
 * @vdev: a PF
 *
 * Waits until their users have closed them.
 */
void vfio_pci_sriov_disable(struct vfio_pci_core_device *vdev)
{
	if (list_empty(&vdev->sriov_pfs_item))
		return;
	pci_disable_sriov(vdev->pdev);
	scoped_guard(rwsem_write, &vdev->memory_lock)
		vdev->sriov_active = false;
	pm_runtime_put(&vdev->pdev->dev);
	scoped_guard(mutex, &sriov_pfs_lock)
		list_del_init(&vdev->sriov_pfs_item);
}

/**
 * vfio_pci_core_sriov_configure - for &pci_driver.sriov_configure
 * @vdev: the PF, whose device lock is held
 * @nr_virtfn: VFs to create; 0 to remove all
 *
 * Return: the number of VFs, or a negative errno.
 */
int vfio_pci_core_sriov_configure(struct vfio_pci_core_device *vdev,
				  int nr_virtfn)
{
	device_lock_assert(&vdev->pdev->dev);

	if (nr_virtfn)
		return vfio_pci_sriov_enable(vdev, nr_virtfn);
	vfio_pci_sriov_disable(vdev);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_sriov_configure);
