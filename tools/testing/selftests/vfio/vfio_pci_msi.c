// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI with several vectors, which all depend on each other: fewer than were asked
 * for, and fewer by the user's own register. Uses QEMU's nec-usb-xhci with MSI
 * instead of MSI-X. Where interrupts are not remapped there is one vector only.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "vfio_pci_util.h"

#define XHCI_VENDOR	0x1033
#define XHCI_DEVICE	0x0194

#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define BOOL	VFIO_IRQ_SET_DATA_BOOL

#define NR	16	/* vectors */

FIXTURE(msi)
{
	struct vp_dev d;
	int efd[NR];
	unsigned int pos;
	int can;	/* so many, once tried */
};

FIXTURE_SETUP(msi)
{
	struct vfio_irq_info info;
	int ret, i;

	vp_init(&self->d);
	for (i = 0; i < NR; i++)
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = vp_open(&self->d, XHCI_VENDOR, XHCI_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nec-usb-xhci device");
	ASSERT_EQ(0, ret);
	self->pos = vp_find_cap(&self->d, PCI_CAP_ID_MSI);
	ASSERT_NE(0, self->pos);
	ASSERT_EQ(0, vp_irq_info(&self->d, MSI, &info));
	ASSERT_EQ(NR, info.count);

	self->can = vp_irq_fds(&self->d, MSI, 0, NR, self->efd);
	ASSERT_LE(0, self->can);
	ASSERT_GT(NR, self->can);
	if (!self->can) {
		self->can = NR;
		ASSERT_EQ(0, vp_irq_disable(&self->d, MSI));
	}
}

FIXTURE_TEARDOWN(msi)
{
	int i;

	for (i = 0; i < NR; i++)
		close(self->efd[i]);
	EXPECT_EQ(0, vp_close(&self->d));
}

/* Which eventfds were signalled, one bit each */
static unsigned int signalled(const int *efd)
{
	unsigned int i, map = 0;

	for (i = 0; i < NR; i++)
		if (vp_events(efd[i], 0) > 0)
			map |= 1U << i;
	return map;
}

/* A field of the Message Control register, the user's or the device's own */
static int qsize(const struct vp_dev *d, unsigned int pos)
{
	return (vp_cfg_get(d, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QSIZE) >> 4;
}

static int real_flags(const struct vp_dev *d, unsigned int pos)
{
	char path[PATH_MAX];
	__u16 flags = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", d->bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	if (pread(fd, &flags, 2, pos + PCI_MSI_FLAGS) != 2)
		flags = 0;
	close(fd);
	return flags;
}

/* What was refused by a number is refused altogether, and that number is to be had */
TEST_F(msi, as_many_as_there_are)
{
	const char *iommu = getenv("VM_IOMMU");
	struct vp_dev *d = &self->d;
	char buf[64];

	if (iommu && !strcmp(iommu, "intel"))
		EXPECT_EQ(NR, self->can);
	if (iommu && !strcmp(iommu, "intel-nointremap"))
		EXPECT_EQ(1, self->can);
	printf("# %d of %d vectors\n", self->can, NR);
	ASSERT_EQ(0, vu_fdinfo(d->fd, "pci-irq-type", buf, sizeof(buf)));
	EXPECT_STREQ("none", buf);
	EXPECT_EQ(0, real_flags(d, self->pos) & PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(-EINVAL, vp_irq_none(d, TRIGGER, MSI, 0, 1));

	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, self->can, self->efd));
	EXPECT_NE(0, real_flags(d, self->pos) & PCI_MSI_FLAGS_ENABLE);
	ASSERT_EQ(0, vu_fdinfo(d->fd, "pci-irqs-used", buf, sizeof(buf)));
	EXPECT_EQ(self->can, atoi(buf));
	/* and no more while they are in use */
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 0, NR + 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, self->can));
	EXPECT_EQ((1U << self->can) - 1, signalled(self->efd));
}

/* Not from zero: enabled are all up to the last one */
TEST_F(msi, from_the_middle)
{
	struct vp_dev *d = &self->d;
	int ret;

	ret = vp_irq_fds(d, MSI, 5, 3, &self->efd[5]);
	if (self->can < 8) {
		EXPECT_EQ(self->can, ret);
		EXPECT_EQ(-EINVAL, vp_irq_none(d, TRIGGER, MSI, 0, 1));
		return;
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(3, qsize(d, self->pos));
	EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, NR));
	EXPECT_EQ(7U << 5, signalled(self->efd));
	/* those before, while the others are in use */
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 2, self->efd));
	EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, NR));
	EXPECT_EQ(7U << 5 | 3, signalled(self->efd));
	/* those behind were never allocated */
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 8, 1, &self->efd[8]));
	EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, NR));
	EXPECT_EQ(7U << 5 | 3, signalled(self->efd));
}

TEST_F(msi, each)
{
	struct vp_dev *d = &self->d;
	__u8 bools[NR];
	int i;

	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, self->can, self->efd));
	for (i = 0; i < self->can; i++) {
		EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, i, 1));
		EXPECT_EQ(1U << i, signalled(self->efd));
		memset(bools, 0, sizeof(bools));
		bools[i] = 1;
		EXPECT_EQ(0, vp_set_irqs(d, BOOL | TRIGGER, MSI, 0, self->can,
					 bools, self->can));
		EXPECT_EQ(1U << i, signalled(self->efd));
	}
	/* one of them given back, and taken again */
	for (i = 0; i < self->can; i++) {
		__s32 none = -1;

		EXPECT_EQ(0, vp_irq_fds(d, MSI, i, 1, &none));
		EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, self->can));
		EXPECT_EQ(((1U << self->can) - 1) & ~(1U << i),
			  signalled(self->efd));
		EXPECT_EQ(0, vp_irq_fds(d, MSI, i, 1, &self->efd[i]));
	}
}

/* Multiple Message Enable: as many as were set up, or fewer */
TEST_F(msi, qsize)
{
	struct vp_dev *d = &self->d;
	unsigned int reg = self->pos + PCI_MSI_FLAGS;
	__u32 flags = vp_cfg_get(d, reg, 2);
	unsigned int want, most;

	/* as many as the device has, with nothing set up */
	EXPECT_EQ(4U, (flags & PCI_MSI_FLAGS_QMASK) >> 1);
	for (want = 0; want < 8; want++) {
		EXPECT_EQ(0, vp_cfg_set(d, reg, 2, want << 4));
		EXPECT_EQ(want < 4 ? want : 4, qsize(d, self->pos));
		EXPECT_EQ(0, real_flags(d, self->pos) & PCI_MSI_FLAGS_ENABLE);
	}

	for (most = 0; most <= 4 && 1 << most <= self->can; most++) {
		ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1 << most, self->efd));
		EXPECT_EQ(most, qsize(d, self->pos));
		EXPECT_EQ(most << 4, real_flags(d, self->pos) &
				     PCI_MSI_FLAGS_QSIZE);
		for (want = 0; want < 8; want++) {
			unsigned int got = want < most ? want : most;

			EXPECT_EQ(0, vp_cfg_set(d, reg, 2, want << 4 |
						PCI_MSI_FLAGS_ENABLE));
			EXPECT_EQ(got, qsize(d, self->pos));
			/* what the device has been told */
			EXPECT_EQ(got << 4 | PCI_MSI_FLAGS_ENABLE,
				  real_flags(d, self->pos) &
				  (PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE));
		}
		/* the eventfds stay, whatever the device makes of it */
		EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, 1 << most));
		EXPECT_EQ((1U << (1 << most)) - 1, signalled(self->efd));
		ASSERT_EQ(0, vp_irq_disable(d, MSI));
		EXPECT_EQ(0, qsize(d, self->pos));
	}
}

TEST_HARNESS_MAIN
