// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device of a VFIO device: bind, attach, detach, and everything
 * that they refuse. Uses QEMU's edu.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../../../lib/fdpass.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/vfio.h"

/* What the headers of 6.12 do not have yet */
#define BIND_FLAG_TOKEN		0x1
#define PT_FLAG_PASID		0x1

struct bind_ext {
	struct vfio_device_bind_iommufd bind;
	__u64 token_uuid_ptr;
	__u64 beyond;
};

struct pt_ext {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};

FIXTURE(cdev)
{
	char bdf[SYSDEV_NAME_MAX];
	char driver[SYSDEV_NAME_MAX];
	int dev;
	int iommufd;
	__u32 ioas;
};

FIXTURE_SETUP(cdev)
{
	self->dev = -1;
	self->iommufd = -1;
	self->bdf[0] = '\0';
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	if (sysdev_driver(self->bdf, self->driver))
		self->driver[0] = '\0';
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(cdev)
{
	close(self->dev);
	close(self->iommufd);
	if (self->bdf[0])
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, self->driver[0] ?
					       self->driver : NULL));
}

/* Usable again by somebody else */
static void expect_free(struct __test_metadata *_metadata, const char *bdf)
{
	__u32 devid;
	int iommufd = iommufd_open();
	int dev = cdev_open(bdf);

	ASSERT_LE(0, iommufd);
	ASSERT_LE(0, dev);
	EXPECT_EQ(0, cdev_bind(dev, iommufd, &devid));
	close(dev);
	close(iommufd);
}

TEST_F(cdev, node)
{
	char path[PATH_MAX], dev[32], text[32];
	struct stat st;

	ASSERT_EQ(0, sysdev_cdev_path(self->bdf, path));
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	ASSERT_LT(0, sysdev_cdev_read(self->bdf, "dev", dev, sizeof(dev)));
	snprintf(text, sizeof(text), "%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	EXPECT_STREQ(text, dev);
}

TEST_F(cdev, nothing_before_bind)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_PROBE |
			 VFIO_DEVICE_FEATURE_MIGRATION,
	};
	struct vfio_device_info info;
	char buf[4];

	EXPECT_EQ(-EINVAL, device_info(self->dev, &info));
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(-EINVAL, cdev_attach(self->dev, &self->ioas));
	EXPECT_EQ(-EINVAL, cdev_detach(self->dev));
	EXPECT_EQ(-EINVAL, call(self->dev, 0xdead, NULL));
	EXPECT_EQ(-1, pread(self->dev, buf, sizeof(buf), 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(self->dev, buf, sizeof(buf), 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED,
				   self->dev, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(cdev, bind_sizes)
{
	struct bind_ext arg = { .bind.iommufd = self->iommufd };

	arg.bind.argsz = 0;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.bind.argsz = 0xf;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.bind.argsz = 0x20;
	arg.beyond = 1;
	EXPECT_EQ(-E2BIG, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.bind.argsz = -1;
	EXPECT_EQ(-E2BIG, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	EXPECT_EQ(0, arg.bind.out_devid);
	arg.bind.argsz = 0x20;
	arg.beyond = 0;
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	EXPECT_NE(0, arg.bind.out_devid);
}

/* The pointer counts only with the flag, and must not be read without */
TEST_F(cdev, bind_new_size)
{
	struct bind_ext arg = {
		.bind.argsz = 0x18,
		.bind.iommufd = self->iommufd,
		.token_uuid_ptr = 1,
	};

	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
}

TEST_F(cdev, bind_token)
{
	char uuid[16] = "0123456789abcdef";
	struct bind_ext arg = {
		.bind.argsz = 0x10,
		.bind.flags = BIND_FLAG_TOKEN,
		.bind.iommufd = self->iommufd,
	};

	/* No room for the pointer; no memory there; a token not asked for */
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.bind.argsz = 0x18;
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.token_uuid_ptr = (uintptr_t)uuid;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
}

TEST_F(cdev, bind_errors)
{
	struct vfio_device_bind_iommufd arg = {
		.argsz = sizeof(arg),
		.iommufd = self->iommufd,
	};
	int other;

	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	arg.flags = 1 << 1;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	EXPECT_EQ(-EINVAL, cdev_bind(self->dev, -1, NULL));
	EXPECT_EQ(-EBADF, cdev_bind(self->dev, 1 << 20, NULL));

	other = eventfd(0, 0);
	EXPECT_EQ(-EBADFD, cdev_bind(self->dev, other, NULL));
	close(other);
	EXPECT_EQ(-EBADFD, cdev_bind(self->dev, self->dev, NULL));

	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
}

TEST_F(cdev, bind_result_not_writable)
{
	struct vfio_device_bind_iommufd *arg;

	arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	arg->argsz = sizeof(*arg);
	arg->iommufd = self->iommufd;
	ASSERT_EQ(0, mprotect(arg, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, arg));

	/* Nothing of it is left: the id is free, too */
	expect_free(_metadata, self->bdf);
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	munmap(arg, 4096);
}

TEST_F(cdev, bind_once)
{
	struct vfio_device_info info;
	int second;

	second = cdev_open(self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(second, self->iommufd, NULL));
	EXPECT_EQ(0, device_info(self->dev, &info));
	EXPECT_EQ(-EINVAL, device_info(second, &info));

	close(self->dev);
	self->dev = -1;
	EXPECT_EQ(0, cdev_bind(second, self->iommufd, NULL));
	EXPECT_EQ(0, device_info(second, &info));
	close(second);
}

TEST_F(cdev, attach_detach)
{
	__u32 devid, pt_id = self->ioas;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, &devid));
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_NE(self->ioas, pt_id);
	EXPECT_NE(devid, pt_id);
	EXPECT_EQ(-EBUSY, obj_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(0, obj_destroy(self->iommufd, self->ioas));
}

TEST_F(cdev, attach_elsewhere)
{
	__u32 other, first = self->ioas, second, again;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &other));
	second = other;
	ASSERT_EQ(0, cdev_attach(self->dev, &first));
	ASSERT_EQ(0, cdev_attach(self->dev, &second));
	EXPECT_NE(first, second);
	EXPECT_EQ(0, obj_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, obj_destroy(self->iommufd, other));

	/* What fails changes nothing */
	again = self->ioas;
	EXPECT_EQ(-ENOENT, cdev_attach(self->dev, &again));
	EXPECT_EQ(-EBUSY, obj_destroy(self->iommufd, other));
}

TEST_F(cdev, attach_errors)
{
	struct pt_ext arg = { .argsz = 0xc, .pt_id = self->ioas };
	struct pt_ext *ro;
	__u32 devid, hwpt, bad;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, &devid));
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				NULL));
	arg.argsz = 0xb;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	arg.argsz = 0xc;
	arg.flags = PT_FLAG_PASID;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	/* A PASID, of a device that has none; 0 is none */
	arg.argsz = 0x10;
	EXPECT_EQ(-EBUSY, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
			       &arg));
	arg.pasid = 5;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, devid, self->ioas, 0, &hwpt));
	arg.pt_id = hwpt;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	EXPECT_EQ(0, obj_destroy(self->iommufd, hwpt));
	EXPECT_EQ(-ENOENT, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	arg.flags = 1 << 1;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&arg));
	bad = 0;
	EXPECT_EQ(-ENOENT, cdev_attach(self->dev, &bad));
	bad = devid;
	EXPECT_EQ(-EINVAL, cdev_attach(self->dev, &bad));

	/* Before anything is done */
	ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ro);
	ro->argsz = 0xc;
	ro->pt_id = self->ioas;
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				ro));
	munmap(ro, 4096);
	EXPECT_EQ(0, obj_destroy(self->iommufd, self->ioas));
}

/* Newer programs send a longer structure, with zeros or with anything */
TEST_F(cdev, attach_new_size)
{
	struct pt_ext arg = {
		.argsz = 0x10,
		.pt_id = self->ioas,
		.pasid = 12345,
	};

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg));
	EXPECT_NE(self->ioas, arg.pt_id);
}

TEST_F(cdev, detach_errors)
{
	struct pt_ext arg = { .argsz = 0x7 };
	__u32 pt_id = self->ioas;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				NULL));
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				&arg));
	arg.argsz = 0x8;
	arg.flags = PT_FLAG_PASID;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				&arg));
	/* PASIDs that are not attached, which the device itself is not one of */
	arg.argsz = 0xc;
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg));
	arg.pt_id = 5;
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg));
	arg.flags = 1 << 1;
	EXPECT_EQ(-EINVAL, call(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				&arg));
	EXPECT_EQ(-EBUSY, obj_destroy(self->iommufd, self->ioas));
}

static int feature(int dev, __u32 argsz, __u32 flags)
{
	struct {
		struct vfio_device_feature head;
		char data[64];
	} arg = { .head.argsz = argsz, .head.flags = flags };

	return call(dev, VFIO_DEVICE_FEATURE, &arg);
}

/* Newer than the kernel's header */
#define PRECOPY_INFO_V2	12	/* VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 */

TEST_F(cdev, feature_errors)
{
	const __u32 get = VFIO_DEVICE_FEATURE_GET;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	const __u32 probe = VFIO_DEVICE_FEATURE_PROBE;
	const __u32 none = VFIO_DEVICE_FEATURE_MASK;
	static const __u32 absent[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,
		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	};
	unsigned int i;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EFAULT, call(self->dev, VFIO_DEVICE_FEATURE, NULL));
	EXPECT_EQ(-EINVAL, feature(self->dev, 7, get | none));
	EXPECT_EQ(-EINVAL, feature(self->dev, 72, 1 << 19 | get | none));
	EXPECT_EQ(-EINVAL, feature(self->dev, 72, 1U << 31 | get | none));
	EXPECT_EQ(-EINVAL, feature(self->dev, 72, get | set | none));
	EXPECT_EQ(-ENOTTY, feature(self->dev, 72, probe | get | set | none));
	EXPECT_EQ(-ENOTTY, feature(self->dev, 8, get | none));
	/* QEMU's first question, and all others, of a device without them */
	for (i = 0; i < ARRAY_SIZE(absent); i++) {
		EXPECT_EQ(-ENOTTY, feature(self->dev, 72, get | absent[i]));
		EXPECT_EQ(-ENOTTY, feature(self->dev, 72, set | absent[i]));
		EXPECT_EQ(-ENOTTY, feature(self->dev, 8, probe | absent[i]));
	}
	/* of whoever has no PRE_COPY state */
	EXPECT_EQ(-EINVAL, feature(self->dev, 8, set | PRECOPY_INFO_V2));
	EXPECT_EQ(-EINVAL, feature(self->dev, 8, probe | PRECOPY_INFO_V2));
}

TEST_F(cdev, close_in_every_order)
{
	unsigned int order;
	int i;

	close(self->dev);
	close(self->iommufd);
	for (order = 0; order < 4; order++) {
		int fds[2];
		__u32 ioas;

		fds[0] = cdev_open(self->bdf);
		ASSERT_LE(0, fds[0]);
		fds[1] = iommufd_open();
		ASSERT_LE(0, fds[1]);
		ASSERT_EQ(0, ioas_alloc(fds[1], &ioas));
		ASSERT_EQ(0, cdev_bind(fds[0], fds[1], NULL));
		if (order & 2)
			ASSERT_EQ(0, cdev_attach(fds[0], &ioas));
		for (i = 0; i < 2; i++)
			close(fds[(order + i) % 2]);
	}
	self->dev = -1;
	self->iommufd = -1;
	expect_free(_metadata, self->bdf);
}

/* The device and its iommufd stay usable without the user's iommufd fd */
TEST_F(cdev, iommufd_closed_first)
{
	struct vfio_device_info info;
	__u32 pt_id = self->ioas;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	close(self->iommufd);
	self->iommufd = -1;
	EXPECT_EQ(0, device_info(self->dev, &info));
	EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_EQ(0, cdev_detach(self->dev));
}

/* One process has the memory, another the device; the first exits first */
TEST_F(cdev, fd_passed_by_socket)
{
	__u32 ioas, pt_id;
	int sv[2], iommufd, status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		iommufd = iommufd_open();
		if (ioas_alloc(iommufd, &ioas) ||
		    ioas_map_at(iommufd, ioas, mem, 4096, 0x10000) ||
		    fds_send(sv[1], &iommufd, 1) ||
		    write(sv[1], &ioas, sizeof(ioas)) != sizeof(ioas) ||
		    read(sv[1], &pt_id, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(sv[1]);
	ASSERT_EQ(0, fds_receive(sv[0], &iommufd, 1));
	ASSERT_EQ(sizeof(ioas), (size_t)read(sv[0], &ioas, sizeof(ioas)));

	/* Pinned by this, so there has to be somebody whose memory it is */
	pt_id = ioas;
	EXPECT_EQ(0, cdev_bind(self->dev, iommufd, NULL));
	EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));
	ASSERT_EQ(1, write(sv[0], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, cdev_detach(self->dev));
	pt_id = ioas;
	EXPECT_EQ(-EFAULT, cdev_attach(self->dev, &pt_id));
	close(iommufd);
	close(sv[0]);
}

TEST_F(cdev, killed)
{
	int ready[2], status;
	__u32 pt_id;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	close(self->dev);
	self->dev = -1;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		void *mem = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int iommufd = iommufd_open();
		int dev = cdev_open(self->bdf);

		if (ioas_alloc(iommufd, &pt_id) ||
		    ioas_map_at(iommufd, pt_id, mem, 1 << 20, 0x10000) ||
		    cdev_bind(dev, iommufd, NULL) || cdev_attach(dev, &pt_id) ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(-EINVAL, cdev_bind(self->dev, self->iommufd, NULL));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	close(ready[0]);
}

/* The opener goes, its child keeps the device */
TEST_F(cdev, inherited)
{
	int go[2], status, second;
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vfio_device_info info;

		close(go[1]);
		if (read(go[0], &byte, 1) != 0)
			_exit(1);
		_exit(device_info(self->dev, &info) ? 2 : 0);
	}
	close(go[0]);
	close(self->dev);
	self->dev = -1;
	second = cdev_open(self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(-EINVAL, cdev_bind(second, self->iommufd, NULL));
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, cdev_bind(second, self->iommufd, NULL));
	close(second);
}

TEST_F(cdev, attributes)
{
	char buf[4096];

	EXPECT_EQ(1, sysdev_cdev_read(self->bdf, "viable", buf, sizeof(buf)));
	EXPECT_STREQ("1", buf);
	EXPECT_EQ(0, sysdev_cdev_read(self->bdf, "blocked_by", buf, sizeof(buf)));
	EXPECT_EQ(1, sysdev_cdev_read(self->bdf, "dma_coherent", buf, sizeof(buf)));
	EXPECT_TRUE(!strcmp(buf, "0") || !strcmp(buf, "1"));

	/* In use through VFIO is as good as free */
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(1, sysdev_cdev_read(self->bdf, "viable", buf, sizeof(buf)));
	EXPECT_STREQ("1", buf);
}

TEST_F(cdev, fdinfo)
{
	char buf[PATH_MAX], path[PATH_MAX], real[PATH_MAX], text[32];
	__u32 devid, pt_id = self->ioas;

	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-device-name", buf, sizeof(buf)));
	EXPECT_STREQ(self->bdf, buf);
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-opened-by", buf, sizeof(buf)));
	EXPECT_STREQ("cdev", buf);
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-state", buf, sizeof(buf)));
	EXPECT_STREQ("unbound", buf);
	EXPECT_EQ(-ENOENT, fdinfo_get(self->dev, "vfio-refusal", buf,
				      sizeof(buf)));
	EXPECT_EQ(-EBADFD, cdev_bind(self->dev, self->dev, NULL));
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-refusal", buf, sizeof(buf)));
	EXPECT_EQ(0, strncmp("bind: ", buf, 6));
	EXPECT_EQ(-ENOENT, fdinfo_get(self->dev, "vfio-iommufd-devid", buf,
				      sizeof(buf)));
	ASSERT_EQ(0, fdinfo_get(self->dev, "vfio-device-syspath", buf,
				sizeof(buf)));
	snprintf(path, sizeof(path), SYSDEV_PCI "/%s", self->bdf);
	ASSERT_NE(NULL, realpath(path, real));
	EXPECT_STREQ(real, buf);

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, &devid));
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-state", buf, sizeof(buf)));
	EXPECT_STREQ("bound", buf);
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-iommufd-devid", buf,
				sizeof(buf)));
	snprintf(text, sizeof(text), "%u", devid);
	EXPECT_STREQ(text, buf);

	ASSERT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_EQ(0, fdinfo_get(self->dev, "vfio-state", buf, sizeof(buf)));
	EXPECT_STREQ("attached", buf);
}

/* Two devices that the IOMMU cannot tell apart */
FIXTURE(mates)
{
	char bdf[2][SYSDEV_NAME_MAX];
	int dev[2];
	int iommufd;
	__u32 ioas;
};

FIXTURE_SETUP(mates)
{
	int i;

	self->iommufd = -1;
	self->dev[0] = -1;
	self->dev[1] = -1;
	self->bdf[0][0] = '\0';
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, self->bdf[0],
			    self->bdf[1])) {
		self->bdf[0][0] = '\0';
		SKIP(return, "no two edu devices share a group");
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, sysdev_set_driver(self->bdf[i], "vfio-pci"));
		self->dev[i] = cdev_open(self->bdf[i]);
		ASSERT_LE(0, self->dev[i]);
	}
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(mates)
{
	int i;

	close(self->iommufd);
	for (i = 0; i < 2; i++) {
		close(self->dev[i]);
		if (self->bdf[0][0])
			EXPECT_EQ(0, sysdev_set_driver(self->bdf[i], NULL));
	}
}

TEST_F(mates, one_owner)
{
	int other = iommufd_open();

	ASSERT_LE(0, other);
	EXPECT_EQ(0, cdev_bind(self->dev[0], self->iommufd, NULL));
	EXPECT_EQ(-EPERM, cdev_bind(self->dev[1], other, NULL));
	EXPECT_EQ(0, cdev_bind(self->dev[1], self->iommufd, NULL));
	close(self->dev[0]);
	close(self->dev[1]);
	self->dev[0] = cdev_open(self->bdf[0]);
	self->dev[1] = -1;
	EXPECT_EQ(0, cdev_bind(self->dev[0], other, NULL));
	close(other);
}

TEST_F(mates, one_address_space)
{
	__u32 other, pt_id[2];

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &other));
	ASSERT_EQ(0, cdev_bind(self->dev[0], self->iommufd, NULL));
	ASSERT_EQ(0, cdev_bind(self->dev[1], self->iommufd, NULL));
	pt_id[0] = self->ioas;
	EXPECT_EQ(0, cdev_attach(self->dev[0], &pt_id[0]));
	pt_id[1] = other;
	EXPECT_EQ(-EINVAL, cdev_attach(self->dev[1], &pt_id[1]));
	pt_id[1] = self->ioas;
	EXPECT_EQ(0, cdev_attach(self->dev[1], &pt_id[1]));
	EXPECT_EQ(pt_id[0], pt_id[1]);
}

/* A driver of the kernel has the other device, or wants it */
TEST_F(mates, host_driver)
{
	char buf[4096], blocker[3 * SYSDEV_NAME_MAX];
	int ret;

	close(self->dev[1]);
	self->dev[1] = -1;
	ret = sysdev_set_driver(self->bdf[1], "uio_pci_generic");
	if (ret == -ENOENT)
		SKIP(return, "no uio_pci_generic to bind the other device to");
	ASSERT_EQ(0, ret);

	EXPECT_EQ(-EPERM, cdev_bind(self->dev[0], self->iommufd, NULL));
	EXPECT_EQ(1, sysdev_cdev_read(self->bdf[0], "viable", buf, sizeof(buf)));
	EXPECT_STREQ("0", buf);
	EXPECT_LT(0, sysdev_cdev_read(self->bdf[0], "blocked_by", buf, sizeof(buf)));
	snprintf(blocker, sizeof(blocker), "%s uio_pci_generic", self->bdf[1]);
	EXPECT_STREQ(blocker, buf);
	/* Also for those who only see the refusal */
	EXPECT_EQ(0, fdinfo_get(self->iommufd, "last-refusal", buf,
				sizeof(buf)));
	snprintf(blocker, sizeof(blocker), "%s is bound to the host driver uio_pci_generic",
		 self->bdf[1]);
	EXPECT_NE(NULL, strstr(buf, blocker)) {
		TH_LOG("%s", buf);
	}

	ASSERT_EQ(0, sysdev_set_driver(self->bdf[1], NULL));
	EXPECT_EQ(1, sysdev_cdev_read(self->bdf[0], "viable", buf, sizeof(buf)));
	EXPECT_STREQ("1", buf);
	EXPECT_EQ(0, sysdev_cdev_read(self->bdf[0], "blocked_by", buf, sizeof(buf)));
	EXPECT_EQ(0, cdev_bind(self->dev[0], self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, sysdev_set_driver(self->bdf[1], "uio_pci_generic"));
}

int main(int argc, char **argv)
{
	/* Only for one test, which says so if it is not there */
	if (system("modprobe -q uio_pci_generic"))
		printf("# no uio_pci_generic\n");
	return test_harness_run(argc, argv);
}
