// SPDX-License-Identifier: GPL-2.0-only
/*
 * SR-IOV with vfio-pci: VFs come and go, and who may open them. Uses QEMU's igb.
 */
#include <pthread.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "../lib/vfio_pci.h"
#include "../lib/skip.h"

#define ENABLE_SRIOV	"/sys/module/vfio_pci/parameters/enable_sriov"

/* What the headers of 6.12 do not have yet */
#define BIND_FLAG_TOKEN	(1 << 0)

struct bind_ext {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__u64 token_uuid_ptr;
};

static const __u8 secret[16] = {
	0x3e, 0x0a, 0x5c, 0x2b, 0x11, 0x22, 0x43, 0x44,
	0x85, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
};

#define SECRET	"3e0a5c2b-1122-4344-8566-778899aabbcc"
#define WRONG	"01020304-0000-0000-0000-000000000000"

static const __u8 wrong[16] = { 1, 2, 3, 4 };

static int numvfs(const char *bdf, const char *n)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/sriov_numvfs",
		 bdf);
	return file_write(path, n);
}

/* Open a device with a token, or without for NULL */
static int open_with(struct vp_dev *d, const __u8 *token)
{
	struct bind_ext bind = {
		.argsz = sizeof(bind),
		.flags = token ? BIND_FLAG_TOKEN : 0,
		.token_uuid_ptr = (unsigned long)token,
	};
	int ret;

	d->fd = cdev_open(d->bdf);
	if (d->fd < 0)
		return d->fd;
	d->iommufd = iommufd_open();
	if (d->iommufd < 0)
		return d->iommufd;
	bind.iommufd = d->iommufd;
	ret = call(d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (ret)
		vp_close_fds(d);
	return ret;
}

static int set_token(const struct vp_dev *d, const __u8 *token)
{
	struct {
		struct vfio_device_feature f;
		__u8 uuid[16];
	} u = {
		.f.argsz = sizeof(u),
		.f.flags = VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};

	memcpy(u.uuid, token, 16);
	return call(d->fd, VFIO_DEVICE_FEATURE, &u);
}

FIXTURE(sriov)
{
	struct vp_dev pf;
	struct vp_dev vf;
	char enabled[8];
};

FIXTURE_SETUP(sriov)
{
	self->enabled[0] = '\0';
	vp_init(&self->pf);
	vp_init(&self->vf);
	if (!sysdev_find_pci(IGB_VENDOR, IGB_DEVICE, 0, self->pf.bdf)) {
		self->pf.bdf[0] = '\0';
		SKIP(return, "no igb device");
	}
	if (sysdev_driver(self->pf.bdf, self->pf.driver))
		self->pf.driver[0] = '\0';
	numvfs(self->pf.bdf, "0");
	ASSERT_EQ(0, sysdev_set_driver(self->pf.bdf, "vfio-pci"));
	ASSERT_LT(0, file_read(ENABLE_SRIOV, self->enabled,
			       sizeof(self->enabled)));
	ASSERT_EQ(0, file_write(ENABLE_SRIOV, "Y"));
}

FIXTURE_TEARDOWN(sriov)
{
	vp_close_fds(&self->vf);
	vp_close_fds(&self->pf);
	if (self->pf.bdf[0])
		EXPECT_EQ(0, numvfs(self->pf.bdf, "0"));
	if (self->enabled[0])
		EXPECT_EQ(0, file_write(ENABLE_SRIOV, self->enabled));
	EXPECT_EQ(0, vp_close(&self->pf));
}

static int make_vfs(struct vp_dev *pf, struct vp_dev *vf, const char *n)
{
	int ret = numvfs(pf->bdf, n);

	if (ret)
		return ret;
	return sysdev_find_pci(IGB_VENDOR, IGBVF_DEVICE, 0, vf->bdf) ? 0 : -ENODEV;
}

TEST_F(sriov, parameter)
{
	ASSERT_EQ(0, file_write(ENABLE_SRIOV, "N"));
	EXPECT_EQ(-ENOENT, numvfs(self->pf.bdf, "2"));
	ASSERT_EQ(0, file_write(ENABLE_SRIOV, "Y"));
	EXPECT_EQ(0, numvfs(self->pf.bdf, "2"));
	/* not without going through zero */
	EXPECT_EQ(-EBUSY, numvfs(self->pf.bdf, "3"));
	EXPECT_EQ(0, numvfs(self->pf.bdf, "0"));
	EXPECT_EQ(0, numvfs(self->pf.bdf, "3"));
}

/* VFs of a PF that is userspace's are userspace's */
TEST_F(sriov, bound)
{
	char driver[SYSDEV_NAME_MAX];

	ASSERT_EQ(0, make_vfs(&self->pf, &self->vf, "2"));
	ASSERT_EQ(0, sysdev_driver(self->vf.bdf, driver));
	EXPECT_STREQ("vfio-pci", driver);
}

TEST_F(sriov, token_matrix)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;

	/* the first user of the PF sets the secret */
	ASSERT_EQ(0, open_with(pf, secret));
	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	EXPECT_EQ(-EACCES, open_with(vf, NULL));
	EXPECT_EQ(-EACCES, open_with(vf, wrong));
	ASSERT_EQ(0, open_with(vf, secret));

	/* while a VF is open, the PF's next user must know it as well */
	vp_close_fds(pf);
	EXPECT_EQ(-EACCES, open_with(pf, NULL));
	EXPECT_EQ(-EACCES, open_with(pf, wrong));
	ASSERT_EQ(0, open_with(pf, secret));
	vp_close_fds(pf);
	vp_close_fds(vf);
	/* afterwards it is free again */
	ASSERT_EQ(0, open_with(pf, NULL));
	ASSERT_EQ(0, open_with(vf, secret));
	vp_close_fds(vf);

	ASSERT_EQ(0, set_token(pf, wrong));
	EXPECT_EQ(-EACCES, open_with(vf, secret));
	ASSERT_EQ(0, open_with(vf, wrong));
}

TEST_F(sriov, token_feature)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_PROBE |
			 VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};
	struct vp_dev edu;
	int ret;

	ASSERT_EQ(0, open_with(&self->pf, NULL));
	EXPECT_EQ(0, call(self->pf.fd, VFIO_DEVICE_FEATURE, &f));
	f.flags |= VFIO_DEVICE_FEATURE_GET;
	EXPECT_EQ(-EINVAL, call(self->pf.fd, VFIO_DEVICE_FEATURE, &f));
	f.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	EXPECT_EQ(-EINVAL, call(self->pf.fd, VFIO_DEVICE_FEATURE, &f));

	/* neither PF nor VF */
	vp_init(&edu);
	ret = vp_open(&edu, EDU_VENDOR, EDU_DEVICE, 0);
	if (ret == -ENODEV)
		return;
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-ENOTTY, set_token(&edu, secret));
	vp_close_fds(&edu);
	EXPECT_EQ(-EINVAL, open_with(&edu, secret));
	EXPECT_EQ(0, vp_close(&edu));
}

/* By the name that is given to a group */
TEST_F(sriov, token_in_name)
{
	const char *uuid = SECRET;
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	char name[192];
	int group, container, fd;

	ASSERT_EQ(0, open_with(pf, secret));
	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	if (sysdev_group(vf->bdf) == sysdev_group(pf->bdf))
		SKIP(return, "PF and VF are in one group");
	group = group_open(sysdev_group(vf->bdf));
	ASSERT_LE(0, group);
	container = iommufd_open();
	ASSERT_LE(0, container);
	ASSERT_EQ(0, group_set_container(group, container));

	EXPECT_EQ(-EACCES, group_get_device(group, vf->bdf));
	snprintf(name, sizeof(name), "%s vf_token=%s", vf->bdf, uuid);
	fd = group_get_device(group, name);
	EXPECT_LE(0, fd);
	close(fd);
	snprintf(name, sizeof(name), "%s  vf_token=%s ", vf->bdf, uuid);
	fd = group_get_device(group, name);
	EXPECT_LE(0, fd);
	close(fd);
	snprintf(name, sizeof(name), "%s vf_token=%s vf_token=%s", vf->bdf,
		 uuid, uuid);
	EXPECT_EQ(-EINVAL, group_get_device(group, name));
	snprintf(name, sizeof(name), "%s vf_token=1234", vf->bdf);
	EXPECT_EQ(-EINVAL, group_get_device(group, name));
	snprintf(name, sizeof(name), "%s token=%s", vf->bdf, uuid);
	EXPECT_EQ(-EINVAL, group_get_device(group, name));
	snprintf(name, sizeof(name), "%sx", vf->bdf);
	EXPECT_EQ(-ENODEV, group_get_device(group, name));
	close(group);
	close(container);
}

/* A VF is a device like any other */
TEST_F(sriov, vf_works)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	struct vfio_region_info info;
	struct vfio_irq_info irq;
	volatile __u32 *reg;
	__s32 efd = eventfd(0, EFD_NONBLOCK);
	__u32 bar;

	ASSERT_EQ(0, open_with(pf, secret));
	ASSERT_EQ(0, make_vfs(pf, vf, "2"));
	ASSERT_EQ(0, open_with(vf, secret));
	/* ids that a VF does not have itself */
	EXPECT_EQ(IGB_VENDOR | IGBVF_DEVICE << 16,
		  vp_cfg_get(vf, PCI_VENDOR_ID, 4));
	EXPECT_NE(0, vp_cfg_get(vf, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, vp_cfg_get(vf, PCI_INTERRUPT_PIN, 1));
	ASSERT_EQ(0, vp_irq_info(vf, VFIO_PCI_INTX_IRQ_INDEX, &irq));
	EXPECT_EQ(0, irq.count);
	ASSERT_EQ(0, vp_region(vf, 0, &info));
	EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);

	ASSERT_EQ(0, vp_cfg_set(vf, PCI_BASE_ADDRESS_0, 4, ~0U));
	bar = vp_cfg_get(vf, PCI_BASE_ADDRESS_0, 4);
	EXPECT_EQ(info.size, ~(bar & ~0xfU) + 1);

	reg = vp_mmap(vf, 0, 0, info.size);
	ASSERT_NE(MAP_FAILED, (void *)reg);
	EXPECT_EQ(vp_bar_get(vf, 0, 8), reg[2]);
	ASSERT_EQ(0, vp_irq_info(vf, VFIO_PCI_MSIX_IRQ_INDEX, &irq));
	EXPECT_LT(0, irq.count);
	ASSERT_EQ(0, vp_irq_fds(vf, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &efd));
	EXPECT_EQ(0, vp_irq_none(vf, VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, 1));
	EXPECT_EQ(1, vp_events(efd, 0));
	EXPECT_EQ(0, call(vf->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(vp_bar_get(vf, 0, 8), reg[2]);
	close(efd);
}

/* A PF with VFs stays powered, whatever its user writes */
TEST_F(sriov, pf_stays_in_d0)
{
	struct vp_dev *pf = &self->pf;
	unsigned int pm;

	ASSERT_EQ(0, open_with(pf, NULL));
	pm = vp_find_cap(pf, PCI_CAP_ID_PM);
	ASSERT_NE(0, pm);
	/* from D3hot, too */
	ASSERT_EQ(0, vp_cfg_set(pf, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(3, vp_cfg_get(pf, pm + PCI_PM_CTRL, 2) & 3);
	ASSERT_EQ(0, make_vfs(pf, &self->vf, "1"));
	EXPECT_EQ(0, vp_cfg_get(pf, pm + PCI_PM_CTRL, 2) & 3);
	EXPECT_EQ(0, vp_cfg_set(pf, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(0, vp_cfg_get(pf, pm + PCI_PM_CTRL, 2) & 3);
	ASSERT_EQ(0, numvfs(pf->bdf, "0"));
	EXPECT_EQ(0, vp_cfg_set(pf, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(3, vp_cfg_get(pf, pm + PCI_PM_CTRL, 2) & 3);
}

/* VFs are not created by writing configuration space */
TEST_F(sriov, capability_is_read_only)
{
	struct vp_dev *pf = &self->pf;
	unsigned int pos;
	__u32 ctrl;

	ASSERT_EQ(0, open_with(pf, NULL));
	pos = vp_find_ext_cap(pf, PCI_EXT_CAP_ID_SRIOV);
	ASSERT_NE(0, pos);
	ctrl = vp_cfg_get(pf, pos + PCI_SRIOV_CTRL, 2);
	EXPECT_EQ(0, vp_cfg_set(pf, pos + PCI_SRIOV_CTRL, 2,
				ctrl | PCI_SRIOV_CTRL_VFE));
	EXPECT_EQ(ctrl, vp_cfg_get(pf, pos + PCI_SRIOV_CTRL, 2));
	EXPECT_EQ(0, vp_cfg_set(pf, pos + PCI_SRIOV_NUM_VF, 2, 7));
	EXPECT_EQ(0, vp_cfg_get(pf, pos + PCI_SRIOV_NUM_VF, 2));
}

static void *remove_vfs(void *arg)
{
	const struct vp_dev *pf = arg;

	return (void *)(long)numvfs(pf->bdf, "0");
}

/* Taking VFs away asks their users, and waits for them */
TEST_F(sriov, removed_in_use)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	__s32 efd = eventfd(0, EFD_NONBLOCK);
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, open_with(pf, secret));
	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	ASSERT_EQ(0, open_with(vf, secret));
	ASSERT_EQ(0, vp_irq_fds(vf, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &efd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, remove_vfs, pf));
	EXPECT_LE(1, vp_events(efd, 5000));
	/* still there, still usable */
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(vf, PCI_VENDOR_ID, 2));
	vp_close_fds(vf);
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	close(efd);
}

/* An fd by the device's group, with a token, or without for NULL */
static int open_in_group(const struct vp_dev *d, int group, const char *uuid)
{
	char name[192];

	snprintf(name, sizeof(name), "%s%s%s", d->bdf,
		 uuid ? " vf_token=" : "", uuid ? uuid : "");
	return group_get_device(group, name);
}

static int open_group(const struct vp_dev *d, int *container)
{
	int ret, group = group_open(sysdev_group(d->bdf));

	if (group < 0)
		return group;
	*container = iommufd_open();
	ret = group_set_container(group, *container);
	return ret ? ret : group;
}

/* The kernel's own driver does not spy: no token is needed, and there is none */
TEST_F(sriov, pf_of_the_kernel)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	int group, container;

	/* loaded, if it is a module that is there */
	if (access("/sys/bus/pci/drivers/igb", F_OK) && system("modprobe -q igb"))
		SKIP(return, "there is no igb driver");
	ASSERT_EQ(0, sysdev_set_driver(pf->bdf, "igb"));
	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	ASSERT_EQ(0, sysdev_set_driver(vf->bdf, "vfio-pci"));
	EXPECT_EQ(-EINVAL, open_with(vf, secret));
	EXPECT_EQ(-EINVAL, open_with(vf, wrong));
	ASSERT_EQ(0, open_with(vf, NULL));
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(vf, PCI_VENDOR_ID, 2));
	vp_close_fds(vf);

	if (sysdev_group(vf->bdf) == sysdev_group(pf->bdf))
		SKIP_REST("PF and VF are in one group");
	group = open_group(vf, &container);
	ASSERT_LE(0, group);
	EXPECT_EQ(-EINVAL, open_in_group(vf, group, SECRET));
	vf->fd = open_in_group(vf, group, NULL);
	EXPECT_LE(0, vf->fd);
	vp_close_fds(vf);
	close(group);
	close(container);
}

TEST_F(sriov, pf_by_group)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	int group, container, vf_group, vf_container, fd;

	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	if (sysdev_group(vf->bdf) == sysdev_group(pf->bdf))
		SKIP(return, "PF and VF are in one group");
	group = open_group(pf, &container);
	ASSERT_LE(0, group);
	/* nobody has set the secret: it is nobody's */
	fd = open_in_group(pf, group, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, open_with(vf, NULL));
	EXPECT_EQ(-EACCES, open_with(vf, secret));
	/* a second file of the same device sets it as well as the first */
	close(fd);
	fd = open_in_group(pf, group, SECRET);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, open_with(vf, NULL));
	EXPECT_EQ(-EACCES, open_with(vf, wrong));
	ASSERT_EQ(0, open_with(vf, secret));
	close(fd);
	/* the other way round */
	EXPECT_EQ(-EACCES, open_in_group(pf, group, NULL));
	EXPECT_EQ(-EACCES, open_in_group(pf, group, WRONG));
	fd = open_in_group(pf, group, SECRET);
	ASSERT_LE(0, fd);
	vp_close_fds(vf);

	/* and both by groups */
	vf_group = open_group(vf, &vf_container);
	ASSERT_LE(0, vf_group);
	EXPECT_EQ(-EACCES, open_in_group(vf, vf_group, NULL));
	EXPECT_EQ(-EACCES, open_in_group(vf, vf_group, WRONG));
	vf->fd = open_in_group(vf, vf_group, SECRET);
	EXPECT_LE(0, vf->fd);
	close(vf->fd);
	vf->fd = -1;
	close(vf_group);
	close(vf_container);
	close(fd);
	close(group);
	close(container);
}

static void *unbind_pf(void *arg)
{
	const struct vp_dev *pf = arg;

	return (void *)(long)sysdev_set_driver(pf->bdf, NULL);
}

/* First its VFs are asked for and go, then the PF itself is asked for */
TEST_F(sriov, pf_unbound_in_use)
{
	struct vp_dev *pf = &self->pf, *vf = &self->vf;
	__s32 vf_req = eventfd(0, EFD_NONBLOCK);
	__s32 pf_req = eventfd(0, EFD_NONBLOCK);
	char driver[SYSDEV_NAME_MAX];
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, open_with(pf, secret));
	ASSERT_EQ(0, make_vfs(pf, vf, "1"));
	ASSERT_EQ(0, open_with(vf, secret));
	ASSERT_EQ(0, vp_irq_fds(vf, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &vf_req));
	ASSERT_EQ(0, vp_irq_fds(pf, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &pf_req));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_pf, pf));
	EXPECT_LE(1, vp_events(vf_req, 20000));
	/* neither is gone */
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(vf, PCI_VENDOR_ID, 2));
	EXPECT_NE(~0U, vp_bar_get(vf, 0, 8));
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(pf, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, vp_events(pf_req, 0));
	vp_close_fds(vf);
	EXPECT_LE(1, vp_events(pf_req, 20000));
	EXPECT_FALSE(sysdev_find_pci(IGB_VENDOR, IGBVF_DEVICE, 0, vf->bdf));
	EXPECT_EQ(IGB_VENDOR, vp_cfg_get(pf, PCI_VENDOR_ID, 2));
	vp_close_fds(pf);
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	EXPECT_EQ(-ENOENT, sysdev_driver(pf->bdf, driver));
	close(vf_req);
	close(pf_req);
}

TEST_HARNESS_MAIN
