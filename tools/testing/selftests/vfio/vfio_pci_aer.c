// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors that a device reports by Advanced Error Reporting: the user is told, and
 * the kernel leaves the device to the user. QEMU is asked for the errors, of the
 * first of two virtio-net-pci that are functions of one device behind a root port;
 * its id is "faulty".
 */
#include <glob.h>

#include "kselftest_harness.h"
#include "../lib/qmp.h"
#include "../lib/vfio_pci.h"

#define ERR	VFIO_PCI_ERR_IRQ_INDEX

/* Completion Timeout, which is not fatal, and Bad TLP, which is corrected */
#define INJECT		"pcie_aer_inject_error faulty 0x4000"
#define INJECT_CORRECTED "pcie_aer_inject_error -c faulty 0x40"
#define INJECTED	"OK id"

#define SOON	20000
#define SILENCE	500

/* Firmware may have kept that to itself */
static bool kernel_handles_errors(void)
{
	glob_t ports;
	bool found = !glob("/sys/bus/pci_express/drivers/aer/*:pcie*", 0, NULL,
			   &ports);

	if (found)
		globfree(&ports);
	return found;
}

FIXTURE(aer)
{
	struct vp_dev d[2];
	int efd[2];
};

FIXTURE_SETUP(aer)
{
	unsigned int i, nth;

	for (i = 0; i < 2; i++) {
		vp_init(&self->d[i]);
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, self->efd[i]);
	}
	if (!qmp_is_there())
		SKIP(return, "no way to have the machine make errors");
	if (!kernel_handles_errors())
		SKIP(return, "no root port whose errors the kernel handles");
	for (nth = 0; sysdev_find_pci(VIRTIO_VENDOR, VIRTIO_NET_DEVICE, nth,
				      self->d[0].bdf); nth++)
		if (strncmp(self->d[0].bdf, "0000:00:", 8))
			break;
	if (!sysdev_find_pci(VIRTIO_VENDOR, VIRTIO_NET_DEVICE, nth + 1,
			     self->d[1].bdf)) {
		self->d[0].bdf[0] = '\0';
		self->d[1].bdf[0] = '\0';
		SKIP(return, "no virtio-net-pci with two functions behind a root port");
	}
	/* one without a driver could not be recovered */
	for (i = 0; i < 2; i++) {
		if (sysdev_driver(self->d[i].bdf, self->d[i].driver))
			self->d[i].driver[0] = '\0';
		ASSERT_EQ(0, sysdev_set_driver(self->d[i].bdf, "vfio-pci"));
	}
	ASSERT_EQ(0, vp_open_bdf(&self->d[0]));
}

FIXTURE_TEARDOWN(aer)
{
	int i;

	for (i = 0; i < 2; i++)
		vp_close_fds(&self->d[i]);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, vp_close(&self->d[i]));
		close(self->efd[i]);
	}
}

/* How many errors the kernel has seen of the device */
static long seen(const struct vp_dev *d, const char *kind)
{
	char path[PATH_MAX], buf[2048], *total;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/aer_dev_%s",
		 d->bdf, kind);
	if (file_read(path, buf, sizeof(buf)) < 0)
		return -1;
	total = strstr(buf, "TOTAL_ERR_");
	total = total ? strchr(total, ' ') : NULL;
	return total ? atol(total) : -1;
}

static bool is_seen(const struct vp_dev *d, const char *kind, long before)
{
	int i;

	for (i = 0; i < SOON / 10 && seen(d, kind) <= before; i++)
		usleep(10000);
	return seen(d, kind) > before;
}

TEST_F(aer, is_told)
{
	struct vp_dev *d = &self->d[0];
	int i;

	ASSERT_EQ(0, vp_irq_fds(d, ERR, 0, 1, self->efd));
	for (i = 0; i < 2; i++) {
		long before = seen(d, "nonfatal");

		ASSERT_EQ(0, qmp_monitor(INJECT, INJECTED));
		EXPECT_LE(1, vp_events(self->efd[0], SOON));
		EXPECT_TRUE(is_seen(d, "nonfatal", before));
		/* what there was to do was the user's to do */
		EXPECT_EQ(VIRTIO_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
		vp_events(self->efd[0], SILENCE);
	}
	EXPECT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(VIRTIO_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
}

/* Everything on the bus is asked, so everybody there is told */
TEST_F(aer, twin_is_told)
{
	struct vp_dev *a = &self->d[0], *b = &self->d[1];

	b->fd = cdev_open(b->bdf);
	ASSERT_LE(0, b->fd);
	/* both are in one group */
	ASSERT_EQ(0, cdev_bind(b->fd, a->iommufd, NULL));
	ASSERT_EQ(0, vp_irq_fds(a, ERR, 0, 1, &self->efd[0]));
	ASSERT_EQ(0, vp_irq_fds(b, ERR, 0, 1, &self->efd[1]));
	ASSERT_EQ(0, qmp_monitor(INJECT, INJECTED));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	EXPECT_LE(1, vp_events(self->efd[1], SOON));
}

/* Nobody listens, any more or at all */
TEST_F(aer, nobody_listens)
{
	struct vp_dev *d = &self->d[0];
	long before = seen(d, "nonfatal");

	ASSERT_EQ(0, vp_irq_fds(d, ERR, 0, 1, self->efd));
	ASSERT_EQ(0, vp_irq_disable(d, ERR));
	ASSERT_EQ(0, qmp_monitor(INJECT, INJECTED));
	EXPECT_TRUE(is_seen(d, "nonfatal", before));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	/* not even open */
	vp_close_fds(d);
	before = seen(d, "nonfatal");
	ASSERT_EQ(0, qmp_monitor(INJECT, INJECTED));
	EXPECT_TRUE(is_seen(d, "nonfatal", before));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(VIRTIO_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
}

/* What was corrected is no error */
TEST_F(aer, corrected)
{
	struct vp_dev *d = &self->d[0];
	long before = seen(d, "correctable");

	ASSERT_EQ(0, vp_irq_fds(d, ERR, 0, 1, self->efd));
	ASSERT_EQ(0, qmp_monitor(INJECT_CORRECTED, INJECTED));
	EXPECT_TRUE(is_seen(d, "correctable", before));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
}

TEST_HARNESS_MAIN
