// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI with several vectors, which all depend on each other: fewer than were asked
 * for, and fewer by the user's own register. Uses QEMU's nec-usb-xhci with MSI
 * instead of MSI-X. Where interrupts are not remapped there is one vector only.
 *
 * Mask and pending bits, with QEMU's igb, which has them for its one vector.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define XHCI_VENDOR	0x1033
#define XHCI_DEVICE	0x0194

#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define BOOL	VFIO_IRQ_SET_DATA_BOOL

#define NR	16	/* vectors */

/* Registers of igb, in BAR 0 */
#define IGB_ICR		0xc0
#define IGB_ICS		0xc8
#define IGB_IMS		0xd0
#define IGB_LINK	0x4	/* a change of the link, in ICR, ICS and IMS */

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
	ASSERT_EQ(0, vp_attach_empty(&self->d));
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

/* Of configuration space, what the device has there */
static __u32 real_flags(const struct vp_dev *d, unsigned int pos)
{
	return pci_config_get(d->bdf, pos + PCI_MSI_FLAGS, 2);
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
	ASSERT_EQ(0, fdinfo_get(d->fd, "pci-irq-type", buf, sizeof(buf)));
	EXPECT_STREQ("none", buf);
	EXPECT_EQ(0, real_flags(d, self->pos) & PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(-EINVAL, vp_irq_none(d, TRIGGER, MSI, 0, 1));

	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, self->can, self->efd));
	EXPECT_NE(0, real_flags(d, self->pos) & PCI_MSI_FLAGS_ENABLE);
	ASSERT_EQ(0, fdinfo_get(d->fd, "pci-irqs-used", buf, sizeof(buf)));
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

FIXTURE(mask)
{
	struct vp_dev d;
	int efd;
	unsigned int mask;	/* positions in configuration space */
	unsigned int pending;
};

FIXTURE_SETUP(mask)
{
	unsigned int pos;
	int ret;

	vp_init(&self->d);
	self->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = vp_open(&self->d, IGB_VENDOR, IGB_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no igb device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_attach_empty(&self->d));
	pos = vp_find_cap(&self->d, PCI_CAP_ID_MSI);
	ASSERT_NE(0, pos);
	ASSERT_EQ(PCI_MSI_FLAGS_MASKBIT | PCI_MSI_FLAGS_64BIT,
		  vp_cfg_get(&self->d, pos + PCI_MSI_FLAGS, 2) &
		  (PCI_MSI_FLAGS_MASKBIT | PCI_MSI_FLAGS_64BIT));
	self->mask = pos + PCI_MSI_MASK_64;
	self->pending = pos + PCI_MSI_PENDING_64;
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY |
							  PCI_COMMAND_MASTER));
}

FIXTURE_TEARDOWN(mask)
{
	close(self->efd);
	EXPECT_EQ(0, vp_close(&self->d));
}

/* Have the device send a message; each time anew, whatever was raised before */
static void igb_raise(const struct vp_dev *d)
{
	vp_bar_get(d, 0, IGB_ICR);
	vp_bar_set(d, 0, IGB_IMS, IGB_LINK);
	vp_bar_set(d, 0, IGB_ICS, IGB_LINK);
}

/* What is masked is not sent, but pending in the device until it is unmasked */
TEST_F(mask, holds_back)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	igb_raise(d);
	ASSERT_EQ(1, vp_events(self->efd, 2000));
	EXPECT_EQ(0U, vp_cfg_get(d, self->pending, 4));

	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 1));
	EXPECT_EQ(1U, vp_cfg_get(d, self->mask, 4));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	igb_raise(d);
	EXPECT_EQ(0, vp_events(self->efd, 300));
	EXPECT_EQ(1U, vp_cfg_get(d, self->pending, 4));

	/* nobody but the device changes what is pending */
	ASSERT_EQ(0, vp_cfg_set(d, self->pending, 4, 0));
	EXPECT_EQ(1U, vp_cfg_get(d, self->pending, 4));

	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 0));
	EXPECT_EQ(0U, pci_config_get(d->bdf, self->mask, 4));
	EXPECT_EQ(1, vp_events(self->efd, 2000));
	EXPECT_EQ(0U, vp_cfg_get(d, self->pending, 4));
}

/* Whatever is done to vectors, the user's mask is there before and after */
TEST_F(mask, survives_vectors)
{
	struct vp_dev *d = &self->d;
	__s32 none = -1;

	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 1, 1));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	igb_raise(d);
	EXPECT_EQ(0, vp_events(self->efd, 300));

	/* without an eventfd, and with one again */
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &none));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	EXPECT_EQ(0, vp_events(self->efd, 300));
	ASSERT_EQ(0, vp_irq_disable(d, MSI));
	EXPECT_EQ(1U, vp_cfg_get(d, self->mask, 4));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));

	/* a vector without an eventfd is masked, but not by the user */
	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 0));
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &none));
	EXPECT_EQ(0U, vp_cfg_get(d, self->mask, 4));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 1));
	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 0));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_irq_disable(d, MSI));
	EXPECT_EQ(0U, pci_config_get(d->bdf, self->mask, 4));
}

/* There is one vector, so there is one bit; and none of them outlasts a reset */
TEST_F(mask, one_bit)
{
	struct vp_dev *d = &self->d;
	struct vfio_device_info info;

	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, ~0U));
	EXPECT_EQ(1U, vp_cfg_get(d, self->mask, 4));
	EXPECT_EQ(1U, pci_config_get(d->bdf, self->mask, 4));

	ASSERT_EQ(0, device_info(d->fd, &info));
	ASSERT_NE(0, info.flags & VFIO_DEVICE_FLAGS_RESET);
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	ASSERT_EQ(0, call(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0U, vp_cfg_get(d, self->mask, 4));
	EXPECT_EQ(0U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_cfg_set(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY |
						   PCI_COMMAND_MASTER));
	igb_raise(d);
	EXPECT_EQ(1, vp_events(self->efd, 2000));
}

/* The next user finds nothing masked */
TEST_F(mask, ends_with_its_user)
{
	struct vp_dev *d = &self->d;

	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, &self->efd));
	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 1));
	vp_close_fds(d);
	EXPECT_EQ(0U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_open_bdf(d));
	EXPECT_EQ(0U, vp_cfg_get(d, self->mask, 4));
	ASSERT_EQ(0, vp_cfg_set(d, self->mask, 4, 1));
	vp_close_fds(d);
	EXPECT_EQ(0U, pci_config_get(d->bdf, self->mask, 4));
	ASSERT_EQ(0, vp_open_bdf(d));
}

TEST_HARNESS_MAIN
