// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "holders.h"
#include "rebind.h"
#include "say.h"
#include "sysfs.h"

static int gone(const struct device *dev)
{
	return say_error(dev->name, NULL, "it has been unplugged");
}

int rebind_allowed(const struct device *dev)
{
	char *path = mem_printf("%s/driver_override", dev->path);

	if (strcmp(dev->bus, "pci"))
		return say_error(dev->name, NULL,
				 "it is a %s device: only PCI devices are bound by vfioctl",
				 dev->bus);
	if (!access(path, W_OK))
		return 0;
	if (errno == ENOENT)
		return gone(dev);
	return say_error(dev->name, "run it as root",
			 "it takes root to change its driver");
}

static int override_set(const struct device *dev, const char *override)
{
	char *path = mem_printf("%s/driver_override", dev->path);
	int rc;

	/* An empty line is none. Whoever unbinds the device holds its lock. */
	rc = sysfs_write_within(path, mem_printf("%s\n", override ? override : ""),
				REBIND_SECONDS);
	if (!rc)
		return 0;
	if (!sysfs_exists("%s", dev->path))
		return gone(dev);
	if (rc == -ETIMEDOUT)
		return say_error(dev->name, mem_printf("vfioctl who %s", dev->name),
				 "its driver %s is still being asked to let it go",
				 dev->driver ? dev->driver : "");
	return say_error(dev->name, NULL, "cannot write %s: %s", path,
			 strerror(-rc));
}

static int unbind(const struct device *dev, const char *driver)
{
	char *path = mem_printf("%s/driver/unbind", dev->path);
	int rc = sysfs_write_within(path, dev->name, REBIND_SECONDS);
	char *names;

	if (!sysfs_exists("%s", dev->path))
		return gone(dev);
	/* The link to the driver goes before the driver has let go. */
	if (rc != -ETIMEDOUT && !device_driver_now(dev))
		return 0;
	if (rc != -ETIMEDOUT)
		return say_error(dev->name, NULL,
				 "the driver %s did not let it go: %s", driver,
				 rc ? strerror(-rc) : "it is bound still");
	holders_refresh();
	names = holders_names(dev);
	return say_error(dev->name, names ? mem_printf("vfioctl who %s", dev->name) :
			 "dmesg | tail",
			 "the driver %s has not let it go after %d s%s%s; it may do so later",
			 driver, REBIND_SECONDS,
			 names ? ", because it is in use by " : "",
			 names ? names : "");
}

static int bind(const struct device *dev, const char *driver)
{
	char *path = mem_printf(PCI_DRIVERS "/%s/bind", driver);
	const char *now;
	int rc;

	rc = sysfs_write_within(path, dev->name, REBIND_SECONDS);
	now = device_driver_now(dev);
	if (now && !strcmp(now, driver))
		return 0;
	if (!sysfs_exists("%s", dev->path))
		return gone(dev);
	if (!sysfs_exists(PCI_DRIVERS "/%s", driver))
		return say_error(dev->name, mem_printf("modprobe %s", driver),
				 "there is no driver %s", driver);
	if (now)
		return say_error(dev->name, NULL,
				 "the driver %s has taken it meanwhile", now);
	if (rc == -ETIMEDOUT)
		return say_error(dev->name, "dmesg | tail",
				 "the driver %s has not taken it after %d s",
				 driver, REBIND_SECONDS);
	if (driver_is_vfio(driver) && dev->group == NO_GROUP)
		return say_error(dev->name, "vfioctl check",
				 "no IOMMU confines it, and so %s does not take it (%s)",
				 driver, strerror(-rc));
	return say_error(dev->name, "dmesg | tail",
			 "the driver %s does not take it: %s", driver,
			 rc ? strerror(-rc) : "and does not say why");
}

int rebind(const struct device *dev, const char *driver, const char *override)
{
	const char *now = device_driver_now(dev);
	bool stays = now && driver && !strcmp(now, driver);
	int status;

	/* Nobody else may take it while it has no driver. */
	status = override_set(dev, stays ? override : driver);
	if (status || stays)
		return status;
	if (now) {
		status = unbind(dev, now);
		if (status)
			return status;
	}
	if (driver) {
		status = bind(dev, driver);
		if (status)
			return status;
	}
	if ((driver || override) &&
	    (!driver || !override || strcmp(driver, override)))
		status = override_set(dev, override);
	return status;
}

int rebind_default(const struct device *dev)
{
	const char *now = device_driver_now(dev);
	int status = override_set(dev, NULL);

	if (!status && now)
		status = unbind(dev, now);
	/* If none takes it, that is as it should be. */
	if (!status)
		sysfs_write_within("/sys/bus/pci/drivers_probe", dev->name,
				   REBIND_SECONDS);
	return status;
}
