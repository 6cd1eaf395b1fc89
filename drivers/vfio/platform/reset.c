// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a device is reset: by ACPI's _RST if it has that, else by a module that
 * knows such devices, and is loaded by the name that the firmware gives them.
 */
#include <linux/acpi.h>
#include <linux/module.h>
#include <linux/of.h>

#include "vfio_platform_priv.h"

/* Owns the list of those who know how */
static DEFINE_MUTEX(resets_lock);
static LIST_HEAD(resets);

#ifdef CONFIG_ACPI
static const char *vfio_platform_acpi_name(struct device *dev)
{
	struct acpi_device *adev = ACPI_COMPANION(dev);

	return adev ? acpi_device_hid(adev) : NULL;
}

static bool vfio_platform_has_acpi_reset(struct device *dev)
{
	acpi_handle handle = ACPI_HANDLE(dev);

	return handle && acpi_has_method(handle, "_RST");
}

static int vfio_platform_acpi_reset(struct device *dev)
{
	acpi_status status;

	status = acpi_evaluate_object(ACPI_HANDLE(dev), "_RST", NULL, NULL);
	if (ACPI_FAILURE(status)) {
		dev_warn(dev, "_RST failed: %s\n",
			 acpi_format_exception(status));
		return -EIO;
	}
	return 0;
}
#else
static const char *vfio_platform_acpi_name(struct device *dev)
{
	return NULL;
}

static bool vfio_platform_has_acpi_reset(struct device *dev)
{
	return false;
}

static int vfio_platform_acpi_reset(struct device *dev)
{
	return -EINVAL;
}
#endif

static const char *vfio_platform_name(struct device *dev)
{
	const char *name = vfio_platform_acpi_name(dev);

	if (!name && dev->of_node &&
	    of_property_read_string(dev->of_node, "compatible", &name))
		name = NULL;
	return name;
}

static struct vfio_platform_reset *vfio_platform_reset_find(const char *compat)
{
	struct vfio_platform_reset *reset;

	guard(mutex)(&resets_lock);
	list_for_each_entry(reset, &resets, entry)
		if (!strcmp(reset->compat, compat) &&
		    try_module_get(reset->owner))
			return reset;
	return NULL;
}

/**
 * vfio_platform_reset_get - find out how a device is reset
 * @vpd: a device that is not registered yet; its reset is set, or NULL if
 *       nobody knows how
 *
 * Loads a module, so that it must not hold a lock that a module's
 * initialization may take.
 */
void vfio_platform_reset_get(struct vfio_platform_device *vpd)
{
	struct device *dev = vpd->vdev.dev;

	vpd->compat = vfio_platform_name(dev);
	if (!vpd->compat || vfio_platform_has_acpi_reset(dev))
		return;
	vpd->reset = vfio_platform_reset_find(vpd->compat);
	if (!vpd->reset) {
		request_module("vfio-reset:%s", vpd->compat);
		vpd->reset = vfio_platform_reset_find(vpd->compat);
	}
}

/**
 * vfio_platform_reset_put - undo vfio_platform_reset_get()
 * @vpd: a device that is not registered any more
 */
void vfio_platform_reset_put(struct vfio_platform_device *vpd)
{
	if (vpd->reset)
		module_put(vpd->reset->owner);
	vpd->reset = NULL;
}

/**
 * vfio_platform_can_reset - is anything known?
 * @vpd: the device
 *
 * Return: whether vfio_platform_reset() does something.
 */
bool vfio_platform_can_reset(const struct vfio_platform_device *vpd)
{
	return vpd->reset || vfio_platform_has_acpi_reset(vpd->vdev.dev);
}

/**
 * vfio_platform_reset - reset a device
 * @vpd: a device that is resumed; its lock is held
 *
 * Return: 0; -EINVAL if nobody knows how; another negative errno if it failed.
 */
int vfio_platform_reset(struct vfio_platform_device *vpd)
{
	lockdep_assert_held(&vpd->lock);

	if (vfio_platform_has_acpi_reset(vpd->vdev.dev))
		return vfio_platform_acpi_reset(vpd->vdev.dev);
	return vpd->reset ? vpd->reset->reset(vpd) : -EINVAL;
}

/**
 * vfio_platform_register_reset - say how devices of a kind are reset
 * @reset: with all but its entry set; stays until it is unregistered
 *
 * Devices that are registered from now on use it.
 *
 * Return: 0, or -EEXIST if another module knows these devices.
 */
int vfio_platform_register_reset(struct vfio_platform_reset *reset)
{
	struct vfio_platform_reset *other;

	guard(mutex)(&resets_lock);
	list_for_each_entry(other, &resets, entry)
		if (!strcmp(other->compat, reset->compat))
			return -EEXIST;
	list_add_tail(&reset->entry, &resets);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_platform_register_reset);

/**
 * vfio_platform_unregister_reset - undo vfio_platform_register_reset()
 * @reset: no device uses it, as each has a reference to its module
 */
void vfio_platform_unregister_reset(struct vfio_platform_reset *reset)
{
	guard(mutex)(&resets_lock);
	list_del(&reset->entry);
}
EXPORT_SYMBOL_GPL(vfio_platform_unregister_reset);
