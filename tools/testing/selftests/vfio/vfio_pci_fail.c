// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-pci when memory is short: what was done before the step that fails is
 * undone. Uses QEMU's nvme.
 *
 * Not VFs: the PCI core of 6.12 leaves the resources of a VF behind when one of
 * its own allocations fails, and stops the machine (BUG_ON) when they are asked
 * for again.
 */
#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"
#include "../lib/fail_nth.h"

#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX
#define VECTORS		4

FIXTURE(msix)
{
	struct vp_dev d;
	struct fail_nth nth;
	__s32 efd[VECTORS];
};

FIXTURE_SETUP(msix)
{
	const char *why;
	int i, ret;

	vp_init(&self->d);
	for (i = 0; i < VECTORS; i++)
		self->efd[i] = -1;
	why = fail_nth_init(&self->nth);
	if (why)
		SKIP(return, "no fault injection: %s", why);
	ret = vp_open(&self->d, NVME_VENDOR, NVME_DEVICE, 0);
	if (ret == -ENODEV)
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, ret);
	for (i = 0; i < VECTORS; i++) {
		self->efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, self->efd[i]);
	}
}

FIXTURE_TEARDOWN(msix)
{
	int i;

	for (i = 0; i < VECTORS; i++)
		if (self->efd[i] >= 0)
			close(self->efd[i]);
	if (self->nth.fd >= 0)
		close(self->nth.fd);
	EXPECT_EQ(0, vp_close(&self->d));
}

/* Which vectors have an eventfd, as bits */
static unsigned int assigned(FIXTURE_DATA(msix) *self)
{
	unsigned int i, bits = 0;

	for (i = 0; i < VECTORS; i++)
		if (!vp_irq_none(&self->d, VFIO_IRQ_SET_ACTION_TRIGGER, MSIX, i,
				 1) && vp_events(self->efd[i], 0) == 1)
			bits |= 1 << i;
	return bits;
}

/* All of the vectors that one call is about, or none */
TEST_F(msix, set)
{
	const unsigned int last = VECTORS - 1;
	unsigned int failed = 0;
	int ret;

	ASSERT_EQ(0, vp_irq_fds(&self->d, MSIX, last, 1, &self->efd[last]));
	ASSERT_EQ(1 << last, assigned(self));
	while (fail_nth_next(&self->nth)) {
		ret = fail_nth_run(&self->nth,
				   vp_irq_fds(&self->d, MSIX, 0, last,
					      self->efd));
		EXPECT_FAIL_NTH(&self->nth, ret);
		if (ret) {
			failed++;
			ASSERT_EQ(1 << last, assigned(self))
				TH_LOG("round %u", self->nth.n);
			continue;
		}
		ASSERT_EQ((1 << VECTORS) - 1, assigned(self));
		ASSERT_EQ(0, vp_set_irqs(&self->d, VFIO_IRQ_SET_DATA_EVENTFD |
					 VFIO_IRQ_SET_ACTION_TRIGGER, MSIX, 0,
					 last, (__s32[]){ -1, -1, -1 },
					 last * sizeof(__s32)));
		ASSERT_EQ(1 << last, assigned(self));
	}
	EXPECT_FALSE(self->nth.injected);
	EXPECT_LT(1, failed)
		TH_LOG("too little could be made to fail");
}

TEST_HARNESS_MAIN
