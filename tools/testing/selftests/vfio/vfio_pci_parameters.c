// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parameters of vfio-pci that are set when it is loaded. Uses QEMU's edu, nvme
 * and VGA.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"
#include "../lib/skip.h"

#define MODULE		"/sys/module/vfio_pci"
#define VGA_VENDOR	0x1234
#define VGA_DEVICE	0x1111

FIXTURE(parameters)
{
	struct vp_dev d;
	bool loaded;
};

/*
 * Load the module anew; its parameters, in the words of modprobe. Those that it
 * depends on stay, with theirs.
 */
static int load(const char *parameters)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "rmmod vfio-pci && modprobe vfio-pci %s", parameters);
	return system(command);
}

static int parameter(const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MODULE "/parameters/%s", name);
	return file_read(path, buf, size);
}

FIXTURE_SETUP(parameters)
{
	vp_init(&self->d);
	self->loaded = false;
	if (access(MODULE "/initstate", F_OK))
		SKIP(return, "vfio-pci is not a module, or not loaded");
	self->loaded = true;
}

FIXTURE_TEARDOWN(parameters)
{
	EXPECT_EQ(0, vp_close(&self->d));
	if (self->loaded)
		EXPECT_EQ(0, load(""));
}

/* Take a device, and let it go to sleep if that is what it does */
static int bind_idle(struct vp_dev *d, char *state, size_t size)
{
	int i, ret;

	if (!sysdev_find_pci(NVME_VENDOR, NVME_DEVICE, 0, d->bdf)) {
		d->bdf[0] = '\0';
		return -ENODEV;
	}
	if (sysdev_driver(d->bdf, d->driver))
		d->driver[0] = '\0';
	ret = sysdev_set_driver(d->bdf, "vfio-pci");
	for (i = 0; i < 20 && ret >= 0; i++) {
		ret = sysdev_read(d->bdf, "power_state", state, size);
		if (ret > 0 && strcmp(state, "D0"))
			break;
		usleep(50000);
	}
	return ret < 0 ? ret : 0;
}

TEST_F(parameters, disable_idle_d3)
{
	struct vp_dev *d = &self->d;
	char state[16], is[8];
	int ret;

	ASSERT_EQ(0, load(""));
	ASSERT_LT(0, parameter("disable_idle_d3", is, sizeof(is)));
	EXPECT_STREQ("N", is);
	ret = bind_idle(d, state, sizeof(state));
	if (ret == -ENODEV)
		SKIP_REST("no nvme device");
	ASSERT_EQ(0, ret);
	EXPECT_STREQ("D3hot", state);
	ASSERT_EQ(0, vp_close(d));

	vp_init(d);
	ASSERT_EQ(0, load("disable_idle_d3=1"));
	ASSERT_LT(0, parameter("disable_idle_d3", is, sizeof(is)));
	EXPECT_STREQ("Y", is);
	ASSERT_EQ(0, bind_idle(d, state, sizeof(state)));
	EXPECT_STREQ("D0", state);
	/* in use and closed again, as well */
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_NE(~0U, vp_bar_get(d, 0, 8));
	vp_close_fds(d);
	usleep(200000);
	ASSERT_LT(0, sysdev_read(d->bdf, "power_state", state, sizeof(state)));
	EXPECT_STREQ("D0", state);
}

TEST_F(parameters, disable_vga)
{
	struct vfio_region_info info;
	struct vp_dev *d = &self->d;
	__u32 val;
	int ret;

	ASSERT_EQ(0, load("disable_vga=1"));
	ret = vp_open(d, VGA_VENDOR, VGA_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no VGA device");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EINVAL, vp_region(d, VFIO_PCI_VGA_REGION_INDEX, &info));
	EXPECT_EQ(-EINVAL, vp_read(d, VFIO_PCI_VGA_REGION_INDEX, 0xa0000, &val,
				   4));
	EXPECT_EQ(-EINVAL, vp_write(d, VFIO_PCI_VGA_REGION_INDEX, 0xa0000, &val,
				    4));
	/* the rest of it is as ever */
	EXPECT_EQ(0, vp_region(d, 0, &info));
	EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
}

/* Interrupt Disable in the device, which the user's own view does not show */
static int intx_disabled(const struct vp_dev *d)
{
	__s64 command = pci_config_get(d->bdf, PCI_COMMAND, 2);

	return command < 0 ? command : !!(command & PCI_COMMAND_INTX_DISABLE);
}

FIXTURE(intx)
{
	struct vp_dev d;
	__s32 efd;
	bool loaded;
};

FIXTURE_VARIANT(intx)
{
	const char *parameters;
	int masked_at_device;
};

FIXTURE_VARIANT_ADD(intx, at_device)
{
	.parameters = "",
	.masked_at_device = 1,
};

FIXTURE_VARIANT_ADD(intx, at_controller)
{
	.parameters = "nointxmask=1",
	.masked_at_device = 0,
};

FIXTURE_SETUP(intx)
{
	int ret;

	vp_init(&self->d);
	self->efd = eventfd(0, EFD_NONBLOCK);
	self->loaded = false;
	if (access(MODULE "/initstate", F_OK))
		SKIP(return, "vfio-pci is not a module, or not loaded");
	self->loaded = true;
	ASSERT_EQ(0, load(variant->parameters));
	ret = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(intx)
{
	close(self->efd);
	EXPECT_EQ(0, vp_close(&self->d));
	if (self->loaded)
		EXPECT_EQ(0, load(""));
}

/* Where an interrupt that has come is masked until the user unmasks it */
TEST_F(intx, nointxmask)
{
	struct vp_dev *d = &self->d;
	int i, ret;

	ret = vp_irq_fds(d, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &self->efd);
	if (ret == -EBUSY && !variant->masked_at_device)
		SKIP(return, "another device uses the interrupt line");
	ASSERT_EQ(0, ret);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, intx_disabled(d));
		ASSERT_EQ(0, vp_bar_set(d, 0, EDU_IRQ_RAISE, 1));
		EXPECT_EQ(1, vp_events(self->efd, 5000));
		EXPECT_EQ(variant->masked_at_device, intx_disabled(d));
		/* the line is still asserted, and the user hears no more of it */
		EXPECT_EQ(0, vp_events(self->efd, 50));
		ASSERT_EQ(0, vp_bar_set(d, 0, EDU_IRQ_ACK, 1));
		ASSERT_EQ(0, vp_irq_none(d, VFIO_IRQ_SET_ACTION_UNMASK,
					 VFIO_PCI_INTX_IRQ_INDEX, 0, 1));
	}
	EXPECT_EQ(0, vp_events(self->efd, 50));
}

/* Devices that nobody has, and only those that are named */
TEST_F(parameters, ids)
{
	char driver[SYSDEV_NAME_MAX];
	struct vp_dev *d = &self->d;

	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, d->bdf)) {
		d->bdf[0] = '\0';
		SKIP(return, "no edu device");
	}
	if (!sysdev_driver(d->bdf, driver))
		SKIP(return, "edu has a driver");
	ASSERT_EQ(0, load("ids=1234:ffff,,nonsense,1234"));
	EXPECT_EQ(-ENOENT, sysdev_driver(d->bdf, driver));
	ASSERT_EQ(0, load("ids=1234:11e8:1:1"));
	EXPECT_EQ(-ENOENT, sysdev_driver(d->bdf, driver));
	ASSERT_EQ(0, load("ids=1234:ffff,1234:11e8"));
	ASSERT_EQ(0, sysdev_driver(d->bdf, driver));
	EXPECT_STREQ("vfio-pci", driver);
	/* without being asked to: an override would be there otherwise */
	ASSERT_LE(0, sysdev_read(d->bdf, "driver_override", driver, sizeof(driver)));
	EXPECT_STREQ("(null)", driver);
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(EDU_ID_REVISION_1, vp_bar_get(d, 0, EDU_ID));
}

TEST_F(parameters, written_later)
{
	struct stat st;
	char is[8];

	ASSERT_EQ(0, load("disable_denylist=1"));
	ASSERT_LT(0, parameter("disable_denylist", is, sizeof(is)));
	EXPECT_STREQ("Y", is);
	ASSERT_EQ(0, stat(MODULE "/parameters/disable_denylist", &st));
	EXPECT_EQ(0444, st.st_mode & 0777);
	ASSERT_EQ(0, stat(MODULE "/parameters/disable_idle_d3", &st));
	EXPECT_EQ(0444, st.st_mode & 0777);
	EXPECT_EQ(-1, access(MODULE "/parameters/ids", F_OK));
	ASSERT_EQ(0, load(""));
	ASSERT_LT(0, parameter("disable_denylist", is, sizeof(is)));
	EXPECT_STREQ("N", is);
}

TEST_HARNESS_MAIN
