// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of BARs when memory is short: each allocation on the way fails once,
 * and nothing stays behind, nor is anything lost that was there before.
 */
#include <fcntl.h>

#include "vfio_pci_p2p.h"
#include "../lib/fail_nth.h"

#define PAGES	6

FIXTURE(fail)
{
	struct p2p p;
	struct fail_nth nth;
	long pins;
	int files;
	int fd;
};

FIXTURE_SETUP(fail)
{
	const char *missing, *why;
	int ret;

	self->fd = -1;
	vp_init(&self->p.edu);
	vp_init(&self->p.shmem);
	why = fail_nth_init(&self->nth);
	if (why)
		SKIP(return, "no fault injection: %s", why);
	ret = p2p_open(&self->p, PAGES * PAGE, &missing);
	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	self->fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGES * PAGE,
				 O_RDWR);
	ASSERT_LE(0, self->fd);
	self->pins = pages_pinned();
	self->files = open_files();
}

FIXTURE_TEARDOWN(fail)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->nth.fd >= 0)
		close(self->nth.fd);
	EXPECT_EQ(0, p2p_close(&self->p));
}

static int map(FIXTURE_DATA(fail) *self, int fd)
{
	return ioas_map_file_prot(self->p.edu.iommufd, self->p.ioas, fd, 0,
				  PAGES * PAGE, IOVA_BAR, RD | WR);
}

static int unmap(FIXTURE_DATA(fail) *self)
{
	return ioas_unmap(self->p.edu.iommufd, self->p.ioas, IOVA_BAR,
			  PAGES * PAGE);
}

static void check_swept(struct __test_metadata *_metadata,
			FIXTURE_DATA(fail) *self)
{
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(self->pins, pages_pinned());
	EXPECT_EQ(self->files, open_files());
}

/* DMA reaches the BAR, or it does not */
static void check_dma(struct __test_metadata *_metadata,
		      FIXTURE_DATA(fail) *self, bool arrives)
{
	char byte = self->p.bar[0] + 1;

	if (arrives)
		p2p_send(_metadata, &self->p, IOVA_BAR, byte);
	else
		p2p_stopped(_metadata, &self->p, IOVA_BAR, byte);
	EXPECT_EQ(arrives, self->p.bar[0] == byte)
		TH_LOG("round %u", self->nth.n);
}

TEST_F(fail, export)
{
	struct dmabuf_request req = {
		.index = SHMEM_BAR,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr = 3,
		.range = {
			{ 2 * PAGE, PAGE }, { 0, 2 * PAGE }, { 4 * PAGE, PAGE },
		},
	};
	int fd;

	while (fail_nth_next(&self->nth)) {
		fd = fail_nth_run(&self->nth, dmabuf_get(self->p.shmem.fd,
							 &req));
		EXPECT_FAIL_NTH(&self->nth, fd < 0 ? fd : 0);
		if (fd >= 0)
			close(fd);
		EXPECT_EQ(self->files, open_files());
	}
	check_swept(_metadata, self);
	/* others were not touched */
	ASSERT_EQ(0, map(self, self->fd));
	check_dma(_metadata, self, true);
	EXPECT_EQ(0, unmap(self));
}

TEST_F(fail, map_file)
{
	int ret;

	while (fail_nth_next(&self->nth)) {
		ret = fail_nth_run(&self->nth, map(self, self->fd));
		EXPECT_FAIL_NTH(&self->nth, ret);
		EXPECT_EQ(ret ? -ENOENT : 0, unmap(self));
	}
	check_swept(_metadata, self);
	ASSERT_EQ(0, map(self, self->fd));
	check_dma(_metadata, self, true);
	EXPECT_EQ(0, unmap(self));
	check_dma(_metadata, self, false);
}

TEST_F(fail, unmap_file)
{
	int ret;

	while (fail_nth_next(&self->nth)) {
		ASSERT_EQ(0, map(self, self->fd));
		ret = fail_nth_run(&self->nth, unmap(self));
		EXPECT_FAIL_NTH(&self->nth, ret);
		/* not done, or done although it could not be told */
		if (ret) {
			ret = unmap(self);
			EXPECT_TRUE(!ret || ret == -ENOENT);
		}
	}
	check_swept(_metadata, self);
	check_dma(_metadata, self, false);
}

/* Mapped where no device is, and then into a page table of one */
TEST_F(fail, attach)
{
	int iommufd = self->p.edu.iommufd, ret;
	__u32 other, pt;

	ASSERT_EQ(0, ioas_alloc(iommufd, &other));
	ASSERT_EQ(0, ioas_map_at(iommufd, other, self->p.mem, PAGE, IOVA_MEM));
	ASSERT_EQ(0, ioas_map_file_prot(iommufd, other, self->fd, 0,
					PAGES * PAGE, IOVA_BAR, RD | WR));
	while (fail_nth_next(&self->nth)) {
		pt = other;
		ret = fail_nth_run(&self->nth, cdev_attach(self->p.edu.fd, &pt));
		EXPECT_FAIL_NTH(&self->nth, ret);
		/* all or nothing */
		if (self->nth.n % 8 == 0 || !self->nth.injected)
			check_dma(_metadata, self, !ret);
		pt = self->p.ioas;
		ASSERT_EQ(0, cdev_attach(self->p.edu.fd, &pt));
	}
	ASSERT_EQ(0, ioas_unmap(iommufd, other, IOVA_MEM, PAGE));
	ASSERT_EQ(0, ioas_unmap(iommufd, other, IOVA_BAR, PAGES * PAGE));
	ASSERT_EQ(0, obj_destroy(iommufd, other));
	check_swept(_metadata, self);
}

/* Taking the memory away needs none; giving it back may, and can be repeated */
TEST_F(fail, revoke_and_restore)
{
	struct vp_dev *shmem = &self->p.shmem;
	int ret;

	ASSERT_EQ(0, map(self, self->fd));
	while (fail_nth_next(&self->nth)) {
		__u16 cmd = vp_cfg_get(shmem, PCI_COMMAND, 2);

		ret = fail_nth_run(&self->nth,
				   vp_cfg_set(shmem, PCI_COMMAND, 2,
					      cmd & ~PCI_COMMAND_MEMORY));
		EXPECT_FAIL_NTH(&self->nth, ret);
		if (ret) {
			EXPECT_EQ(cmd, vp_cfg_get(shmem, PCI_COMMAND, 2));
		} else {
			EXPECT_EQ(0, vp_cfg_get(shmem, PCI_COMMAND, 2) &
				     PCI_COMMAND_MEMORY);
			EXPECT_EQ(-EIO, vp_read(shmem, SHMEM_BAR, 0, &cmd, 2));
		}
		ASSERT_EQ(0, vp_set_command(shmem, PCI_COMMAND_MEMORY, 0));
	}
	EXPECT_FALSE(self->nth.injected);
	check_dma(_metadata, self, true);

	self->nth.n = 0;
	self->nth.injected = true;
	while (fail_nth_next(&self->nth)) {
		__u16 cmd = vp_cfg_get(shmem, PCI_COMMAND, 2);

		ASSERT_EQ(0, vp_set_command(shmem, 0, PCI_COMMAND_MEMORY));
		ret = fail_nth_run(&self->nth,
				   vp_cfg_set(shmem, PCI_COMMAND, 2, cmd));
		EXPECT_FAIL_NTH(&self->nth, ret);
		ASSERT_EQ(0, vp_set_command(shmem, 0, PCI_COMMAND_MEMORY));
		ASSERT_EQ(0, vp_set_command(shmem, PCI_COMMAND_MEMORY, 0));
		if (self->nth.n % 4 == 0 || !self->nth.injected)
			check_dma(_metadata, self, true);
	}
	EXPECT_EQ(0, unmap(self));
	check_swept(_metadata, self);
}

/* The device is closed with the memory lent out, and no memory to be had */
TEST_F(fail, close_file)
{
	int fd, ret;

	while (fail_nth_next(&self->nth)) {
		fd = dmabuf_export(&self->p.shmem, SHMEM_BAR, 0, PAGES * PAGE,
				   O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, map(self, fd));
		ret = fail_nth_run(&self->nth, close(fd));
		EXPECT_EQ(0, ret);
		/* mapped it stays */
		EXPECT_EQ(0, unmap(self));
	}
	EXPECT_FALSE(self->nth.injected);
	EXPECT_EQ(self->files, open_files());
}

/* ---- an importer other than iommufd */

TEST_F(fail, import)
{
	struct vfio_test_import attach, arg;
	char importer[SYSDEV_NAME_MAX];
	int dev, iommufd, ret, fd;
	struct vp_dev d;

	if (access("/sys/bus/platform/devices/" VFIO_TEST_DEVICE, F_OK))
		SKIP(return, "the test driver vfio-test is not loaded");
	vp_init(&d);
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, d.bdf, importer))
		SKIP(return, "no two edu devices behind one bridge");
	ASSERT_EQ(0, vp_take(&d));
	ASSERT_EQ(0, vp_set_command(&d, PCI_COMMAND_MEMORY, 0));
	fd = dmabuf_export(&d, 0, 0, PAGES * PAGE, O_RDWR);
	ASSERT_LE(0, fd);
	dev = cdev_open("/sys/bus/platform/devices/" VFIO_TEST_DEVICE);
	ASSERT_LE(0, dev);
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, cdev_bind(dev, iommufd, NULL));

	while (fail_nth_next(&self->nth)) {
		attach = (struct vfio_test_import){
			.fd = fd,
			.device = vp_device_number(importer),
		};
		arg = (struct vfio_test_import){};
		ret = fail_nth_run(&self->nth,
				   dmabuf_import(dev, VFIO_TEST_IMPORT_ATTACH,
						 &attach));
		/* how far one is from the other could not be found out */
		if (self->nth.injected && ret == -EBUSY)
			continue;
		EXPECT_FAIL_NTH(&self->nth, ret);
		if (!ret)
			EXPECT_EQ(0, dmabuf_import(dev,
						   VFIO_TEST_IMPORT_DETACH,
						   &arg));
		/* it may be attached, and only the answer have failed */
		if (ret == -EFAULT)
			dmabuf_import(dev, VFIO_TEST_IMPORT_DETACH, &arg);
	}
	EXPECT_FALSE(self->nth.injected);

	attach.argsz = 0;
	ASSERT_EQ(0, dmabuf_import(dev, VFIO_TEST_IMPORT_ATTACH, &attach));
	self->nth.n = 0;
	self->nth.injected = true;
	while (fail_nth_next(&self->nth)) {
		arg = (struct vfio_test_import){};
		ret = fail_nth_run(&self->nth,
				   dmabuf_import(dev, VFIO_TEST_IMPORT_MAP,
						 &arg));
		EXPECT_FAIL_NTH(&self->nth, ret);
		if (!ret)
			EXPECT_EQ(PAGES * PAGE, arg.length);
		/* what was mapped is taken away, and what was not does no harm */
		ASSERT_EQ(0, vp_set_command(&d, 0, PCI_COMMAND_MEMORY));
		ASSERT_EQ(0, vp_set_command(&d, PCI_COMMAND_MEMORY, 0));
	}
	EXPECT_FALSE(self->nth.injected);
	arg = (struct vfio_test_import){};
	EXPECT_EQ(0, dmabuf_import(dev, VFIO_TEST_IMPORT_DETACH, &arg));
	close(dev);
	close(iommufd);
	close(fd);
	EXPECT_EQ(0, vp_close(&d));
	EXPECT_EQ(self->files, open_files());
}

TEST_HARNESS_MAIN
