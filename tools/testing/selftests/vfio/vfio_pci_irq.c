// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of vfio-pci: INTx, MSI, MSI-X, errors and requests, by eventfd, by
 * bool and without data. Uses QEMU's edu, nvme and e1000e.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"

#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	VFIO_IRQ_SET_DATA_EVENTFD

#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define ERR	VFIO_PCI_ERR_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX

/* Long enough for an emulated machine, and short enough for silence */
#define SOON	5000
#define SILENCE	100

#define NR_FDS	16
#define MAX_EDUS	8

FIXTURE(edu)
{
	struct vp_dev d;
	int efd[NR_FDS];
};

FIXTURE_SETUP(edu)
{
	int ret, i;

	for (i = 0; i < NR_FDS; i++)
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vp_init(&self->d);
	ret = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_attach_empty(&self->d));
}

FIXTURE_TEARDOWN(edu)
{
	int i;

	for (i = 0; i < NR_FDS; i++)
		close(self->efd[i]);
	EXPECT_EQ(0, vp_close(&self->d));
}

static void edu_raise(const struct vp_dev *d, __u32 bits)
{
	vp_bar_set(d, 0, EDU_IRQ_RAISE, bits);
}

static void edu_ack(const struct vp_dev *d)
{
	vp_bar_set(d, 0, EDU_IRQ_ACK, vp_bar_get(d, 0, EDU_IRQ_STATUS));
}

TEST_F(edu, info)
{
	struct vfio_irq_info info;

	ASSERT_EQ(0, vp_irq_info(&self->d, INTX, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
		  VFIO_IRQ_INFO_AUTOMASKED, info.flags);
	ASSERT_EQ(0, vp_irq_info(&self->d, MSI, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	ASSERT_EQ(0, vp_irq_info(&self->d, MSIX, &info));
	EXPECT_EQ(0, info.count);
	/* conventional PCI has no such errors */
	EXPECT_EQ(-EINVAL, vp_irq_info(&self->d, ERR, &info));
	ASSERT_EQ(0, vp_irq_info(&self->d, REQ, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQ(-EINVAL, vp_irq_info(&self->d, VFIO_PCI_NUM_IRQS, &info));

	info.argsz = offsetof(struct vfio_irq_info, count);
	info.index = 0;
	EXPECT_EQ(-EINVAL, call(self->d.fd, VFIO_DEVICE_GET_IRQ_INFO,
				&info));
	EXPECT_EQ(-EFAULT, call(self->d.fd, VFIO_DEVICE_GET_IRQ_INFO,
				NULL));
}

TEST_F(edu, msi)
{
	int i;

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	vp_cfg_set(&self->d, PCI_COMMAND, 2,
		   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (i = 1; i < 5; i++) {
		edu_raise(&self->d, i);
		EXPECT_EQ(1, vp_events(self->efd[0], SOON));
		edu_ack(&self->d);
	}

	/* another eventfd, while in use */
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, &self->efd[1]));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[1], SOON));
	EXPECT_EQ(0, vp_events(self->efd[0], 0));
	edu_ack(&self->d);

	ASSERT_EQ(0, vp_irq_disable(&self->d, MSI));
	edu_raise(&self->d, 1);
	EXPECT_EQ(0, vp_events(self->efd[1], SILENCE));
	edu_ack(&self->d);
	/* and once more */
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
}

/*
 * What the kernel makes of vectors without a page table: since 6.15 it refuses
 * them where the IOMMU translates messages. As many as ever are there when the
 * device has one.
 */
static int no_table(void)
{
#ifdef __aarch64__
	struct utsname system;
	int major, minor;

	uname(&system);
	if (sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
	    (major > 6 || (major == 6 && minor >= 15)))
		return -ENOSPC;
#endif
	return 0;
}

TEST_F(edu, msi_without_table)
{
	int i;

	ASSERT_EQ(0, cdev_detach(self->d.fd));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(no_table(), vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
		if (no_table())
			continue;
		ASSERT_EQ(0, vp_irq_disable(&self->d, MSI));
	}
	ASSERT_EQ(0, vp_attach_empty(&self->d));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	vp_cfg_set(&self->d, PCI_COMMAND, 2,
		   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);
}

/* The user's own switch in configuration space agrees with SET_IRQS */
TEST_F(edu, msi_in_config)
{
	unsigned int msi = vp_find_cap(&self->d, PCI_CAP_ID_MSI);
	__u32 flags;

	ASSERT_NE(0, msi);
	flags = vp_cfg_get(&self->d, msi + PCI_MSI_FLAGS, 2);
	EXPECT_EQ(0, flags & PCI_MSI_FLAGS_ENABLE);
	/* not set up, so it cannot be switched on */
	EXPECT_EQ(0, vp_cfg_set(&self->d, msi + PCI_MSI_FLAGS, 2,
				flags | PCI_MSI_FLAGS_ENABLE));
	EXPECT_EQ(flags, vp_cfg_get(&self->d, msi + PCI_MSI_FLAGS, 2));

	vp_cfg_set(&self->d, PCI_COMMAND, 2,
		   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	EXPECT_EQ(flags | PCI_MSI_FLAGS_ENABLE,
		  vp_cfg_get(&self->d, msi + PCI_MSI_FLAGS, 2));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);

	EXPECT_EQ(0, vp_cfg_set(&self->d, msi + PCI_MSI_FLAGS, 2, flags));
	edu_raise(&self->d, 1);
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_cfg_set(&self->d, msi + PCI_MSI_FLAGS, 2,
				flags | PCI_MSI_FLAGS_ENABLE));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);

	/* the user's addresses are the user's, and no more */
	EXPECT_EQ(0, vp_cfg_set(&self->d, msi + PCI_MSI_ADDRESS_LO, 4,
				0xdeadbeec));
	EXPECT_EQ(0xdeadbeec,
		  vp_cfg_get(&self->d, msi + PCI_MSI_ADDRESS_LO, 4));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));

	ASSERT_EQ(0, vp_irq_disable(&self->d, MSI));
	EXPECT_EQ(flags, vp_cfg_get(&self->d, msi + PCI_MSI_FLAGS, 2));
}

/*
 * INTx is masked at the device, with Interrupt Disable, or else at the interrupt
 * controller. Where both work, a parameter says which of them.
 */
#define NOINTXMASK	"/sys/module/vfio_pci/parameters/nointxmask"

/* For a device that is opened from now on, until the same with "N" */
static int at_controller(const char *yes)
{
	return file_write(NOINTXMASK, yes);
}

FIXTURE(intx)
{
	struct vp_dev d;
	int efd[NR_FDS];
};

FIXTURE_VARIANT(intx)
{
	const char *at_controller;
};

FIXTURE_VARIANT_ADD(intx, device) { "N" };
FIXTURE_VARIANT_ADD(intx, controller) { "Y" };

FIXTURE_SETUP(intx)
{
	int ret, i;

	for (i = 0; i < NR_FDS; i++)
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vp_init(&self->d);
	ASSERT_EQ(0, at_controller(variant->at_controller));
	ret = vp_open(&self->d, EDU_VENDOR, EDU_DEVICE, 0);
	ASSERT_EQ(0, at_controller("N"));
	if (ret == -ENODEV)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(intx)
{
	int i;

	for (i = 0; i < NR_FDS; i++)
		close(self->efd[i]);
	EXPECT_EQ(0, vp_close(&self->d));
}

TEST_F(intx, masked_where)
{
	const int disabled = variant->at_controller[0] == 'Y' ?
			     0 : PCI_COMMAND_INTX_DISABLE;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	EXPECT_EQ(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(disabled, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_EQ(0, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	EXPECT_EQ(0, vp_irq_none(&self->d, MASK, INTX, 0, 1));
	EXPECT_EQ(disabled, vp_real_command(&self->d) & PCI_COMMAND_INTX_DISABLE);
	/* given back while it is masked: the next one starts afresh */
	EXPECT_EQ(0, vp_irq_disable(&self->d, INTX));
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	edu_ack(&self->d);
}

TEST_F(intx, told_once)
{
	int i;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	for (i = 0; i < 3; i++) {
		edu_raise(&self->d, 1);
		EXPECT_EQ(1, vp_events(self->efd[0], SOON));
		/* masked now: the level is still there, but told once */
		EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
		edu_ack(&self->d);
		EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
		EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	}
}

/* A level that is still there when it is unmasked is an event again */
TEST_F(intx, level)
{
	__u8 yes = 1, no = 0;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | UNMASK, INTX, 0, 1, &no, 1));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | UNMASK, INTX, 0, 1, &yes, 1));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
}

TEST_F(intx, mask)
{
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, MASK, INTX, 0, 1));
	edu_raise(&self->d, 1);
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);
}

TEST_F(intx, unmask_eventfd)
{
	__s32 unmask = self->efd[1], off = -1;
	__u64 one = 1;
	int i;

	/* there is no INTx yet */
	EXPECT_EQ(-EINVAL, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1,
				       &unmask, sizeof(unmask)));
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	ASSERT_EQ(0, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1,
				 &unmask, sizeof(unmask)));
	EXPECT_EQ(-EBUSY, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1,
				      &unmask, sizeof(unmask)));
	for (i = 0; i < 3; i++) {
		edu_raise(&self->d, 1);
		EXPECT_EQ(1, vp_events(self->efd[0], SOON));
		/* the level is still there: unmasked, and told again */
		ASSERT_EQ(8, write(self->efd[1], &one, 8));
		EXPECT_LE(1, vp_events(self->efd[0], SOON));
		edu_ack(&self->d);
		ASSERT_EQ(8, write(self->efd[1], &one, 8));
		EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	}
	ASSERT_EQ(0, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1,
				 &off, sizeof(off)));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	ASSERT_EQ(8, write(self->efd[1], &one, 8));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	edu_ack(&self->d);
}

/* Seconds that all processors have worked so far */
static double busy_seconds(void)
{
	unsigned long long user, nice, system, idle, wait, irq, soft;
	char text[256] = "";
	FILE *f = fopen("/proc/stat", "re");

	if (f) {
		if (!fgets(text, sizeof(text), f))
			text[0] = '\0';
		fclose(f);
	}
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
		   &system, &idle, &wait, &irq, &soft) != 7)
		return 0;
	return (double)(user + nice + system + irq + soft) /
	       sysconf(_SC_CLK_TCK);
}

/*
 * One eventfd for both directions must not deadlock. A level that stays is told
 * again and again, but must not keep a processor busy with that.
 */
TEST_F(intx, same_eventfd)
{
	__s32 fd = self->efd[0];
	double busy;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, &fd));
	ASSERT_EQ(0, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1, &fd,
				 sizeof(fd)));
	/* whoever unmasks consumes the event, so there is nothing to be read */
	edu_raise(&self->d, 1);
	usleep(10000);
	busy = busy_seconds();
	ASSERT_LT(0, busy);
	sleep(2);
	EXPECT_GT(1, busy_seconds() - busy);
	edu_ack(&self->d);
	ASSERT_EQ(0, vp_irq_disable(&self->d, INTX));
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, &self->efd[1]));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[1], SOON));
	edu_ack(&self->d);
}

/* Two devices that unmask each other are no better */
TEST_F(intx, ring_of_two)
{
	__s32 a = self->efd[0], b = self->efd[1];
	struct vp_dev other;
	double busy;
	int i, ret;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, &a));
	ASSERT_EQ(0, at_controller(variant->at_controller));
	for (i = 1, ret = -EBUSY; ret && i < MAX_EDUS; i++) {
		vp_init(&other);
		if (!vp_open(&other, EDU_VENDOR, EDU_DEVICE, i))
			ret = vp_irq_fds(&other, INTX, 0, 1, &b);
		if (ret)
			vp_close(&other);
	}
	ASSERT_EQ(0, at_controller("N"));
	if (ret)
		SKIP(return, "no second edu device on a line of its own");

	EXPECT_EQ(0, vp_set_irqs(&self->d, EVENTFD | UNMASK, INTX, 0, 1, &b,
				 sizeof(b)));
	EXPECT_EQ(0, vp_set_irqs(&other, EVENTFD | UNMASK, INTX, 0, 1, &a,
				 sizeof(a)));
	edu_raise(&other, 1);
	edu_raise(&self->d, 1);
	usleep(10000);
	busy = busy_seconds();
	EXPECT_LT(0, busy);
	sleep(2);
	EXPECT_GT(1, busy_seconds() - busy);
	edu_ack(&other);
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_close(&other));
}

/* The user's Interrupt Disable */
TEST_F(intx, disable_bit)
{
	const __u32 on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2,
				on | PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(on | PCI_COMMAND_INTX_DISABLE,
		  vp_cfg_get(&self->d, PCI_COMMAND, 2));
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	edu_raise(&self->d, 1);
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	/* unmasking does not overcome it */
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, on));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	/* masked because it was told; the user does not see how */
	EXPECT_EQ(on, vp_cfg_get(&self->d, PCI_COMMAND, 2));
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);
}

TEST_F(intx, trigger_fd)
{
	__s32 none = -1;

	/* enabled, but nobody listens */
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, &none));
	edu_raise(&self->d, 1);
	usleep(20000);
	/* a listener comes: the interrupt was masked, not lost */
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	EXPECT_LE(1, vp_events(self->efd[0], SOON));
	edu_ack(&self->d);
	EXPECT_EQ(0, vp_irq_none(&self->d, UNMASK, INTX, 0, 1));
	/* and another one */
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, &self->efd[1]));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[1], SOON));
	EXPECT_EQ(0, vp_events(self->efd[0], 0));
	edu_ack(&self->d);
}

TEST_F(edu, loopback)
{
	__u8 yes = 1, no = 0;

	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, INTX, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | TRIGGER, INTX, 0, 1, &no, 1));
	EXPECT_EQ(0, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | TRIGGER, INTX, 0, 1, &yes, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
	ASSERT_EQ(0, vp_irq_disable(&self->d, INTX));

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, MSI, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | TRIGGER, MSI, 0, 1, &no, 1));
	EXPECT_EQ(0, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | TRIGGER, MSI, 0, 1, &yes, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
}

TEST_F(edu, request)
{
	__s32 none = -1;
	__u8 yes = 1;

	/* nobody to trigger */
	EXPECT_EQ(-EINVAL, vp_irq_none(&self->d, TRIGGER, REQ, 0, 1));
	ASSERT_EQ(0, vp_irq_fds(&self->d, REQ, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, REQ, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_set_irqs(&self->d, BOOL | TRIGGER, REQ, 0, 1, &yes, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
	ASSERT_EQ(0, vp_irq_fds(&self->d, REQ, 0, 1, &none));
	EXPECT_EQ(-EINVAL, vp_irq_none(&self->d, TRIGGER, REQ, 0, 1));
	ASSERT_EQ(0, vp_irq_fds(&self->d, REQ, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_disable(&self->d, REQ));
	EXPECT_EQ(-EINVAL, vp_irq_none(&self->d, TRIGGER, REQ, 0, 1));
	EXPECT_EQ(-ENOTTY, vp_irq_none(&self->d, MASK, REQ, 0, 1));
	/* it does not exclude an interrupt */
	ASSERT_EQ(0, vp_irq_fds(&self->d, REQ, 0, 1, self->efd));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
}

TEST_F(edu, refused)
{
	struct vp_dev *d = &self->d;
	__s32 fds[2] = { self->efd[0], self->efd[1] };
	__s32 bad = d->iommufd, closed = 999;

	/* wrong numbers */
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 0, 2, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 1, 1, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, INTX, 0, 2, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSIX, 0, 1, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, ERR, 0, 1, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, VFIO_PCI_NUM_IRQS, 0, 1, fds));
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, EVENTFD | TRIGGER, MSI, 0, 1, fds, 2));
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, EVENTFD | TRIGGER, MSI, 0, ~0U, fds, 4));
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, EVENTFD | TRIGGER, MSI, ~0U, 1, fds, 4));
	/* wrong flags */
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, TRIGGER, MSI, 0, 1, fds, 4));
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, EVENTFD | BOOL | TRIGGER, MSI, 0, 1,
				       fds, 4));
	EXPECT_EQ(-EINVAL, vp_set_irqs(d, EVENTFD | TRIGGER | 1 << 6, MSI, 0, 1,
				       fds, 4));
	EXPECT_EQ(-ENOTTY, vp_set_irqs(d, EVENTFD | MASK | TRIGGER, MSI, 0, 1,
				       fds, 4));
	EXPECT_EQ(-ENOTTY, vp_set_irqs(d, EVENTFD, MSI, 0, 1, fds, 4));
	/* not an eventfd, not a file */
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 0, 1, &bad));
	EXPECT_EQ(-EBADF, vp_irq_fds(d, MSI, 0, 1, &closed));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, INTX, 0, 1, &bad));
	EXPECT_EQ(-EBADF, vp_irq_fds(d, INTX, 0, 1, &closed));
	/* what is not enabled */
	EXPECT_EQ(-EINVAL, vp_irq_none(d, TRIGGER, MSI, 0, 1));
	EXPECT_EQ(-EINVAL, vp_irq_none(d, TRIGGER, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, vp_irq_none(d, MASK, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, vp_irq_none(d, UNMASK, INTX, 0, 1));
	/* what cannot be masked */
	EXPECT_EQ(-ENOTTY, vp_irq_none(d, MASK, MSI, 0, 1));
	EXPECT_EQ(-ENOTTY, vp_irq_none(d, UNMASK, MSI, 0, 1));

	/* after all that nothing is enabled */
	ASSERT_EQ(0, vp_irq_fds(d, INTX, 0, 1, fds));
	EXPECT_EQ(-ENOTTY, vp_set_irqs(d, EVENTFD | MASK, INTX, 0, 1, fds, 4));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, MSI, 0, 1, fds));
	ASSERT_EQ(0, vp_irq_disable(d, INTX));
	ASSERT_EQ(0, vp_irq_fds(d, MSI, 0, 1, fds));
	EXPECT_EQ(-EINVAL, vp_irq_fds(d, INTX, 0, 1, fds));
	/* a bad eventfd leaves the good one */
	EXPECT_EQ(-EBADF, vp_irq_fds(d, MSI, 0, 1, &closed));
	EXPECT_EQ(0, vp_irq_none(d, TRIGGER, MSI, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
}

/* DPDK's way: argsz for all vectors that it could have, and fewer in use */
TEST_F(edu, garbage_behind)
{
	__s32 fds[NR_FDS];

	memset(fds, 0x5a, sizeof(fds));
	fds[0] = self->efd[0];
	ASSERT_EQ(0, vp_set_irqs(&self->d, EVENTFD | TRIGGER, MSI, 0, 1, fds,
				 sizeof(fds)));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, MSI, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
}

TEST_F(edu, closed_while_enabled)
{
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
	edu_raise(&self->d, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	vp_close_fds(&self->d);
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	/* An interrupt controller of Arm has messages translated, too */
	ASSERT_EQ(0, vp_attach_empty(&self->d));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSI, 0, 1, self->efd));
	vp_close_fds(&self->d);
	ASSERT_EQ(0, vp_open_bdf(&self->d));
	ASSERT_EQ(0, vp_irq_fds(&self->d, INTX, 0, 1, self->efd));
}

/* Two devices on one line */
FIXTURE(line)
{
	struct vp_dev d[2];
	int efd[2];
};

static int irq_of(const struct vp_dev *d)
{
	char path[PATH_MAX], buf[32];
	int ret;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/irq", d->bdf);
	ret = file_read(path, buf, sizeof(buf));
	return ret < 0 ? ret : atoi(buf);
}

/* An open device has its final number. One of two in a group cannot be opened. */
static int find_line(struct vp_dev found[2])
{
	struct vp_dev d[MAX_EDUS];
	int i, j, ret, n = 0;

	for (i = 0; i < MAX_EDUS && !n; i++) {
		vp_init(&d[i]);
		ret = vp_open(&d[i], EDU_VENDOR, EDU_DEVICE, i);
		if (ret == -ENODEV)
			break;
		for (j = 0; j < i && !n && !ret; j++) {
			if (d[j].fd >= 0 && irq_of(&d[i]) == irq_of(&d[j])) {
				found[n++] = d[j];
				found[n++] = d[i];
			}
		}
		if (ret)
			vp_close_fds(&d[i]);
	}
	for (j = 0; j < i; j++)
		if (!n || (strcmp(d[j].bdf, found[0].bdf) &&
			   strcmp(d[j].bdf, found[1].bdf)))
			vp_close(&d[j]);
	return n ? 0 : -ENODEV;
}

FIXTURE_SETUP(line)
{
	int i, ret;

	for (i = 0; i < 2; i++) {
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		vp_init(&self->d[i]);
	}
	ret = find_line(self->d);
	if (ret == -ENODEV)
		SKIP(return, "no two edu devices on one interrupt line");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(line)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(self->efd[i]);
		EXPECT_EQ(0, vp_close(&self->d[i]));
	}
}

/* Masked at the device, one does not keep the other from being heard */
TEST_F(line, shared)
{
	struct vp_dev *a = &self->d[0], *b = &self->d[1];
	int i;

	ASSERT_EQ(0, vp_irq_fds(a, INTX, 0, 1, &self->efd[0]));
	ASSERT_EQ(0, vp_irq_fds(b, INTX, 0, 1, &self->efd[1]));
	for (i = 0; i < 3; i++) {
		edu_raise(a, 1);
		EXPECT_EQ(1, vp_events(self->efd[0], SOON));
		EXPECT_EQ(0, vp_events(self->efd[1], SILENCE));
		/* the first one's level is there all the time */
		edu_raise(b, 1);
		EXPECT_EQ(1, vp_events(self->efd[1], SOON));
		EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
		edu_ack(b);
		EXPECT_EQ(0, vp_irq_none(b, UNMASK, INTX, 0, 1));
		EXPECT_EQ(0, vp_irq_none(a, UNMASK, INTX, 0, 1));
		EXPECT_LE(1, vp_events(self->efd[0], SOON));
		EXPECT_EQ(0, vp_events(self->efd[1], 0));
		edu_ack(a);
		EXPECT_EQ(0, vp_irq_none(a, UNMASK, INTX, 0, 1));
	}
	/* given back while it asserts the line, which has to be free of it then */
	edu_raise(a, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(0, vp_irq_none(a, UNMASK, INTX, 0, 1));
	EXPECT_EQ(0, vp_irq_disable(a, INTX));
	edu_raise(b, 1);
	EXPECT_EQ(1, vp_events(self->efd[1], SOON));
	edu_ack(b);
	EXPECT_EQ(0, vp_irq_none(b, UNMASK, INTX, 0, 1));
	EXPECT_EQ(0, vp_events(self->efd[1], SILENCE));
	edu_ack(a);
}

/* Masked at the controller, it is not shared, whichever comes first */
TEST_F(line, exclusive)
{
	struct vp_dev *a = &self->d[0], *b = &self->d[1];
	char buf[64];

	vp_close_fds(a);
	ASSERT_EQ(0, at_controller("Y"));
	EXPECT_EQ(0, vp_open_bdf(a));
	ASSERT_EQ(0, at_controller("N"));

	ASSERT_EQ(0, vp_irq_fds(a, INTX, 0, 1, &self->efd[0]));
	EXPECT_EQ(-EBUSY, vp_irq_fds(b, INTX, 0, 1, &self->efd[1]));
	ASSERT_EQ(0, fdinfo_get(b->fd, "pci-irq-type", buf, sizeof(buf)));
	EXPECT_STREQ("none", buf);
	/* who has no interrupt does not disturb who has */
	edu_raise(b, 1);
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	edu_raise(a, 1);
	EXPECT_EQ(1, vp_events(self->efd[0], SOON));
	EXPECT_EQ(0, vp_events(self->efd[0], SILENCE));
	edu_ack(a);
	EXPECT_EQ(0, vp_irq_none(a, UNMASK, INTX, 0, 1));
	edu_ack(b);

	ASSERT_EQ(0, vp_irq_disable(a, INTX));
	ASSERT_EQ(0, vp_irq_fds(b, INTX, 0, 1, &self->efd[1]));
	EXPECT_EQ(-EBUSY, vp_irq_fds(a, INTX, 0, 1, &self->efd[0]));
	/* messages need no line */
	ASSERT_EQ(0, vp_attach_empty(a));
	EXPECT_EQ(0, vp_irq_fds(a, MSI, 0, 1, &self->efd[0]));
	edu_raise(b, 1);
	EXPECT_EQ(1, vp_events(self->efd[1], SOON));
	edu_ack(b);
}

/* A device with MSI-X, as many vectors as it has */
FIXTURE(msix)
{
	struct vp_dev d;
	struct vfio_irq_info info;
	__s32 *efd;
};

FIXTURE_VARIANT(msix)
{
	unsigned int vendor;
	unsigned int device;
};

FIXTURE_VARIANT_ADD(msix, nvme) {
	.vendor = NVME_VENDOR, .device = NVME_DEVICE,
};

FIXTURE_VARIANT_ADD(msix, e1000e) {
	.vendor = E1000E_VENDOR, .device = E1000E_DEVICE,
};

FIXTURE_SETUP(msix)
{
	unsigned int i;
	int ret;

	vp_init(&self->d);
	self->efd = NULL;
	self->info.count = 0;
	ret = vp_open(&self->d, variant->vendor, variant->device, 0);
	if (ret == -ENODEV)
		SKIP(return, "no such device");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vp_attach_empty(&self->d));
	ASSERT_EQ(0, vp_irq_info(&self->d, MSIX, &self->info));
	ASSERT_LE(4, self->info.count);
	self->efd = calloc(self->info.count, sizeof(*self->efd));
	ASSERT_NE(NULL, self->efd);
	for (i = 0; i < self->info.count; i++)
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

FIXTURE_TEARDOWN(msix)
{
	unsigned int i;

	for (i = 0; i < self->info.count; i++)
		close(self->efd[i]);
	free(self->efd);
	EXPECT_EQ(0, vp_close(&self->d));
}

/* Which vectors have an eventfd, one bit each */
static unsigned int assigned(const struct vp_dev *d, const __s32 *efd,
			     unsigned int count)
{
	unsigned int i, map = 0;

	vp_irq_none(d, TRIGGER, MSIX, 0, count);
	for (i = 0; i < count; i++)
		if (vp_events(efd[i], 0) == 1)
			map |= 1U << i;
	return map;
}

TEST_F(msix, all)
{
	unsigned int i;

	EXPECT_NE(0, self->info.flags & VFIO_IRQ_INFO_EVENTFD);
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, self->info.count, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, MSIX, 0, self->info.count));
	for (i = 0; i < self->info.count; i++)
		EXPECT_EQ(1, vp_events(self->efd[i], 0));
	EXPECT_EQ(0, vp_irq_disable(&self->d, MSIX));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, self->info.count, self->efd));
}

TEST_F(msix, sparse)
{
	__s32 fds[4] = { self->efd[0], -1, self->efd[2], -1 };
	__s32 none = -1;

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 4, fds));
	EXPECT_EQ(5, assigned(&self->d, self->efd, 4));
	/* one more, among those that are in use */
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 1, 1, &self->efd[1]));
	EXPECT_EQ(7, assigned(&self->d, self->efd, 4));
	/* one less */
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 1, &none));
	EXPECT_EQ(6, assigned(&self->d, self->efd, 4));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 1, &none));
	EXPECT_EQ(6, assigned(&self->d, self->efd, 4));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 4, self->efd));
	EXPECT_EQ(15, assigned(&self->d, self->efd, 4));
}

TEST_F(msix, grow)
{
	int grow;

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	grow = vp_irq_fds(&self->d, MSIX, 3, 1, &self->efd[3]);
	if (self->info.flags & VFIO_IRQ_INFO_NORESIZE) {
		EXPECT_EQ(-EINVAL, grow);
		EXPECT_EQ(3, assigned(&self->d, self->efd, 4));
		return;
	}
	EXPECT_EQ(0, grow);
	EXPECT_EQ(11, assigned(&self->d, self->efd, 4));
	EXPECT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, self->info.count,
				self->efd));
	EXPECT_EQ(15, assigned(&self->d, self->efd, 4));
}

TEST_F(msix, without_table)
{
	int i, more = self->info.flags & VFIO_IRQ_INFO_NORESIZE ? -EINVAL :
								  no_table();

	/* Vectors that are there stay, and one more is as it is with none */
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	ASSERT_EQ(0, cdev_detach(self->d.fd));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(more, vp_irq_fds(&self->d, MSIX, 3, 1,
					   &self->efd[3]));
	}
	EXPECT_EQ(3, assigned(&self->d, self->efd, 2));
	ASSERT_EQ(0, vp_irq_disable(&self->d, MSIX));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(no_table(), vp_irq_fds(&self->d, MSIX, 0,
						 self->info.count, self->efd));
		if (no_table())
			continue;
		ASSERT_EQ(0, vp_irq_disable(&self->d, MSIX));
	}
	ASSERT_EQ(0, vp_attach_empty(&self->d));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, self->info.count, self->efd));
}

/* What fails in the middle leaves no trace */
TEST_F(msix, all_or_nothing)
{
	__s32 fds[4] = { self->efd[3], -1, self->efd[2], 999 };
	int fresh = eventfd(0, EFD_NONBLOCK);

	EXPECT_EQ(-EBADF, vp_irq_fds(&self->d, MSIX, 0, 4, fds));
	EXPECT_EQ(-EINVAL, vp_irq_none(&self->d, TRIGGER, MSIX, 0, 1));

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	EXPECT_EQ(-EBADF, vp_irq_fds(&self->d, MSIX, 0, 4, fds));
	EXPECT_EQ(3, assigned(&self->d, self->efd, 4));
	close(fresh);
}

/* Setting vectors up does not depend on what the user does with memory */
TEST_F(msix, memory_disabled)
{
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2, 0));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	EXPECT_EQ(3, assigned(&self->d, self->efd, 2));
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2));
	ASSERT_EQ(0, vp_irq_disable(&self->d, MSIX));
	EXPECT_EQ(0, vp_cfg_get(&self->d, PCI_COMMAND, 2));
}

TEST_F(msix, reset_while_enabled)
{
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	ASSERT_EQ(0, call(self->d.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(3, assigned(&self->d, self->efd, 2));
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 2, self->efd));
	ASSERT_EQ(0, vp_irq_disable(&self->d, MSIX));
}

TEST_F(msix, error_and_msi)
{
	struct vfio_irq_info info;

	if (vp_irq_info(&self->d, ERR, &info))
		SKIP(return, "not a PCI Express device");
	EXPECT_EQ(1, info.count);
	ASSERT_EQ(0, vp_irq_fds(&self->d, ERR, 0, 1, self->efd));
	EXPECT_EQ(0, vp_irq_none(&self->d, TRIGGER, ERR, 0, 1));
	EXPECT_EQ(1, vp_events(self->efd[0], 0));
}

/* A real one: e1000e raises whatever vector its cause is assigned to */
TEST_F(msix, delivered)
{
	if (variant->device != E1000E_DEVICE)
		SKIP(return, "only e1000e raises interrupts on request");
	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, 0, 3, self->efd));
	ASSERT_EQ(0, vp_cfg_set(&self->d, PCI_COMMAND, 2,
				PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	/* IVAR: cause "other" to vector 2; IMS: unmask it; ICS: raise it */
	ASSERT_EQ(0, vp_bar_set(&self->d, 0, 0xe4, 0x000a0000));
	ASSERT_EQ(0, vp_bar_set(&self->d, 0, 0xd0, 1U << 24));
	ASSERT_EQ(0, vp_bar_set(&self->d, 0, 0xc8, 1U << 24));
	EXPECT_LE(1, vp_events(self->efd[2], SOON));
	EXPECT_EQ(0, vp_events(self->efd[0], 0));
	EXPECT_EQ(0, vp_events(self->efd[1], 0));
}

TEST_HARNESS_MAIN
