// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-pci: the driver for PCI devices that have no variant driver of their own.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/string.h>
#include <linux/vfio_pci_core.h>

#include "igd.h"

static char ids[1024];
module_param_string(ids, ids, sizeof(ids), 0);
MODULE_PARM_DESC(ids, "Devices to bind to, format \"vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]\", several separated by commas");

static bool nointxmask;

#ifdef CONFIG_VFIO_PCI_VGA
static bool disable_vga;
module_param(disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga, "No access to the legacy VGA ranges");
#endif

static bool disable_idle_d3;
module_param(disable_idle_d3, bool, 0444);
MODULE_PARM_DESC(disable_idle_d3, "Do not put unused devices into a low power state");

static bool enable_sriov;
#ifdef CONFIG_PCI_IOV
module_param(enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov, "Let sriov_numvfs create VFs of PFs that are bound to vfio-pci. A user of such a PF can interfere with them");
#endif

static bool disable_denylist;
module_param(disable_denylist, bool, 0444);
MODULE_PARM_DESC(disable_denylist, "Also take devices with which a user can bring the machine down");

/* At any time: the core looks at them when a device is opened or registered */
static void vfio_pci_apply_params(void)
{
	bool no_vga = true;

#ifdef CONFIG_VFIO_PCI_VGA
	no_vga = disable_vga;
#endif
	vfio_pci_core_set_params(nointxmask, no_vga, disable_idle_d3);
}

static int vfio_pci_nointxmask_set(const char *val,
				   const struct kernel_param *kp)
{
	int ret = param_set_bool(val, kp);

	if (!ret)
		vfio_pci_apply_params();
	return ret;
}

static const struct kernel_param_ops nointxmask_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= vfio_pci_nointxmask_set,
	.get	= param_get_bool,
};

module_param_cb(nointxmask, &nointxmask_ops, &nointxmask, 0644);
__MODULE_PARM_TYPE(nointxmask, "bool");
MODULE_PARM_DESC(nointxmask, "For devices that are opened from now on: do not mask INTx at the device but at the interrupt controller, which excludes shared lines. Tells broken devices apart; report those that need it");

/*
 * Devices that crash the machine when they are driven in a way that the host
 * does not expect, without a means to prevent that.
 */
static const struct pci_device_id denied[] = {
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C3XXX) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C3XXX_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C62X) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C62X_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_DH895XCC) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_DH895XCC_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_DSA_SPR0) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_IAX_SPR0) },
	{}
};

static bool vfio_pci_is_denied(struct pci_dev *pdev)
{
	if (!pci_match_id(denied, pdev))
		return false;
	if (disable_denylist) {
		pci_warn(pdev, "on the deny list, which is disabled: the user of this device can bring the machine down\n");
		return false;
	}
	pci_warn(pdev, "refused: on the deny list, see the module parameter disable_denylist\n");
	return true;
}

/**
 * struct vfio_pci_device - a PCI device, and what some of them have besides
 * @core: first
 * @igd: the OpRegion of Intel integrated graphics
 */
struct vfio_pci_device {
	struct vfio_pci_core_device	core;
	struct vfio_pci_igd		igd;
};

static struct vfio_pci_device *to_vfio_pci_device(struct vfio_device *core_vdev)
{
	return container_of(core_vdev, struct vfio_pci_device, core.vdev);
}

static int vfio_pci_init_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_device *dev = to_vfio_pci_device(core_vdev);
	int ret;

	ret = vfio_pci_core_init_dev(core_vdev);
	if (!ret)
		vfio_pci_igd_probe(&dev->core, &dev->igd);
	return ret;
}

static int vfio_pci_open_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_device *dev = to_vfio_pci_device(core_vdev);
	struct vfio_pci_core_device *vdev = &dev->core;
	int ret;

	ret = vfio_pci_core_enable(vdev);
	if (ret)
		return ret;

	ret = vfio_pci_igd_init(vdev, &dev->igd);
	/* Most devices, and some integrated graphics, have nothing of the kind */
	if (ret && ret != -ENODEV) {
		dev_warn_ratelimited(&vdev->pdev->dev,
				     "cannot add the regions of integrated graphics: %d\n",
				     ret);
		vfio_pci_core_disable(vdev);
		return ret;
	}

	vfio_pci_core_finish_enable(vdev);
	return 0;
}

static const struct vfio_device_ops vfio_pci_ops = {
	.name			= "vfio-pci",
	.init			= vfio_pci_init_device,
	.release		= vfio_pci_core_release_dev,
	.open_device		= vfio_pci_open_device,
	.close_device		= vfio_pci_core_close_device,
	.ioctl			= vfio_pci_core_ioctl,
	.get_region_info_caps	= vfio_pci_ioctl_get_region_info,
	.device_feature		= vfio_pci_core_ioctl_feature,
	.read			= vfio_pci_core_read,
	.write			= vfio_pci_core_write,
	.mmap			= vfio_pci_core_mmap,
	.request		= vfio_pci_core_request,
	.match			= vfio_pci_core_match,
	.match_token_uuid	= vfio_pci_core_match_token_uuid,
	.show_fdinfo		= vfio_pci_core_show_fdinfo,
	.bind_iommufd		= vfio_iommufd_physical_bind,
	.unbind_iommufd		= vfio_iommufd_physical_unbind,
	.attach_ioas		= vfio_iommufd_physical_attach_ioas,
	.detach_ioas		= vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas	= vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas	= vfio_iommufd_physical_pasid_detach_ioas,
};

static int vfio_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vfio_pci_core_device *vdev;
	struct vfio_pci_device *dev;
	int ret;

	if (vfio_pci_is_denied(pdev))
		return -EINVAL;

	dev = vfio_alloc_device(vfio_pci_device, core.vdev, &pdev->dev,
				&vfio_pci_ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	vdev = &dev->core;
	dev_set_drvdata(&pdev->dev, vdev);
	ret = vfio_pci_core_register_device(vdev);
	if (ret)
		vfio_put_device(&vdev->vdev);
	return ret;
}

static void vfio_pci_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(vdev);
	vfio_put_device(&vdev->vdev);
}

static int vfio_pci_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
	if (!enable_sriov)
		return -ENOENT;
	return vfio_pci_core_sriov_configure(dev_get_drvdata(&pdev->dev),
					     nr_virtfn);
}

/* Any device, but only if it was told to take this driver */
static const struct pci_device_id vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, vfio_pci_table);

static struct pci_driver vfio_pci_driver = {
	.name			= "vfio-pci",
	.id_table		= vfio_pci_table,
	.probe			= vfio_pci_probe,
	.remove			= vfio_pci_remove,
	.sriov_configure	= vfio_pci_sriov_configure,
	.err_handler		= &vfio_pci_core_err_handlers,
	.driver_managed_dma	= true,
};

static void vfio_pci_add_id(const char *str)
{
	unsigned int vendor, device, subvendor = PCI_ANY_ID;
	unsigned int subdevice = PCI_ANY_ID, class = 0, class_mask = 0;
	int n, ret;

	n = sscanf(str, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor,
		   &subdevice, &class, &class_mask);
	if (n < 2) {
		pr_warn("invalid id string \"%s\"\n", str);
		return;
	}
	ret = pci_add_dynid(&vfio_pci_driver, vendor, device, subvendor,
			    subdevice, class, class_mask, 0);
	if (ret)
		pr_warn("cannot add id %s: %d\n", str, ret);
	else
		pr_info("takes devices [%04x:%04x[%04x:%04x]] class %#08x/%08x\n",
			vendor, device, subvendor, subdevice, class,
			class_mask);
}

static void vfio_pci_add_ids(void)
{
	char *p = ids, *id;

	while ((id = strsep(&p, ",")))
		if (*id)
			vfio_pci_add_id(id);
}

static int __init vfio_pci_init(void)
{
	int ret;

	vfio_pci_apply_params();
	ret = pci_register_driver(&vfio_pci_driver);
	if (ret)
		return ret;
	vfio_pci_add_ids();
	if (disable_denylist)
		pr_warn("the deny list is disabled\n");
	return 0;
}
module_init(vfio_pci_init);

static void __exit vfio_pci_cleanup(void)
{
	pci_unregister_driver(&vfio_pci_driver);
}
module_exit(vfio_pci_cleanup);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("PCI devices for userspace");
MODULE_VERSION("1.0.0");
