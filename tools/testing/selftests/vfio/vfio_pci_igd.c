// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel integrated graphics: the address of the OpRegion is in a register that
 * the user writes, and must be believed by nobody but the user. Uses vfio-test-igd,
 * which makes an edu look like that.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define PARAMETERS	"/sys/module/vfio_test_igd/parameters/"
#define ASLS		0xfc
#define OPREGION_SIZE	8192

#define OPREGION	VFIO_PCI_NUM_REGIONS	/* the first of its kind */

static int set_parameter(const char *name, const char *val)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return file_write(path, val);
}

/* The register in the device, around vfio-pci */
static int config_open(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/config", bdf);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int asls_set(const char *bdf, __u32 val)
{
	int fd = config_open(bdf);
	ssize_t n = pwrite(fd, &val, 4, ASLS);

	close(fd);
	return n == 4 ? 0 : -EIO;
}

FIXTURE(igd)
{
	struct vp_dev d;
	char driver[SYSDEV_NAME_MAX];
	__u32 asls;	/* before anybody had the device */
};

FIXTURE_VARIANT(igd)
{
	const char *asls;
	bool opregion;
};

FIXTURE_VARIANT_ADD(igd, opregion) { "", true };
FIXTURE_VARIANT_ADD(igd, zero) { " 0", false };
FIXTURE_VARIANT_ADD(igd, ones) { " ffffffff", false };

FIXTURE_SETUP(igd)
{
	char val[SYSDEV_NAME_MAX + 16];

	vp_init(&self->d);
	if (access(PARAMETERS "device", F_OK) &&
	    system("modprobe -q vfio-test-igd"))
		SKIP(return, "the test driver vfio-test-igd is not loaded");
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->d.bdf))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, sysdev_set_driver(self->d.bdf, NULL));
	snprintf(val, sizeof(val), "%s%s", self->d.bdf, variant->asls);
	ASSERT_EQ(0, set_parameter("device", val));
	self->asls = pci_config_get(self->d.bdf, ASLS, 4);
	ASSERT_EQ(0, vp_take(&self->d));
}

FIXTURE_TEARDOWN(igd)
{
	EXPECT_EQ(0, vp_close(&self->d));
	/* an empty string would not be written at all */
	EXPECT_EQ(0, set_parameter("device", "\n"));
}

/* Whether the OpRegion is there if it has to be, and is what it was */
static bool as_at_first(const struct vp_dev *d, bool opregion)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	char sign[16];

	if (device_info(d->fd, &info))
		return false;
	if (!opregion)
		return info.num_regions == VFIO_PCI_NUM_REGIONS;
	return info.num_regions == VFIO_PCI_NUM_REGIONS + 1 &&
	       !vp_region(d, OPREGION, &region) &&
	       region.size == OPREGION_SIZE &&
	       vp_read(d, OPREGION, 0, sign, 16) == 16 &&
	       !memcmp(sign, "IntelGraphicsMem", 16);
}

/* The user's register is virtual, whatever the device had in it */
TEST_F(igd, virtual)
{
	struct vp_dev *d = &self->d;

	EXPECT_TRUE(as_at_first(d, variant->opregion));
	EXPECT_EQ(self->asls, vp_cfg_get(d, ASLS, 4));
	ASSERT_EQ(0, vp_cfg_set(d, ASLS, 4, 0x1000));
	ASSERT_EQ(0, vp_cfg_set(d, ASLS + 2, 1, 0x55));
	EXPECT_EQ(0x551000U, vp_cfg_get(d, ASLS, 4));
	EXPECT_EQ(self->asls, pci_config_get(d->bdf, ASLS, 4));

	vp_close_fds(d);
	EXPECT_EQ(self->asls, pci_config_get(d->bdf, ASLS, 4));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_TRUE(as_at_first(d, variant->opregion));
	EXPECT_EQ(self->asls, vp_cfg_get(d, ASLS, 4));
}

/* Nor does it help to reach the register in another way: it is put right again */
TEST_F(igd, restored)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, asls_set(d->bdf, 0x1000));
	EXPECT_EQ(self->asls, vp_cfg_get(d, ASLS, 4));
	vp_close_fds(d);
	EXPECT_EQ(self->asls, pci_config_get(d->bdf, ASLS, 4));

	/* while nobody has it; and seen by the user as it was at first */
	ASSERT_EQ(0, asls_set(d->bdf, 0x2000));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_TRUE(as_at_first(d, variant->opregion));
	EXPECT_EQ(self->asls, vp_cfg_get(d, ASLS, 4));
	EXPECT_EQ(self->asls, pci_config_get(d->bdf, ASLS, 4));
}

/* What the OpRegion says of itself counts once */
TEST_F(igd, scribbled)
{
	struct vp_dev *d = &self->d;

	vp_close_fds(d);
	ASSERT_EQ(0, set_parameter("scribble", "1"));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_TRUE(as_at_first(d, variant->opregion));
}

TEST_HARNESS_MAIN
