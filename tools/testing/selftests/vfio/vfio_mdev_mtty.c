// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices, emulated DMA and live migration, with the kernel's sample
 * driver mtty: a serial card that is software altogether.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"

#define PARENT	"/sys/class/mdev_bus/mtty"
#define TYPE	PARENT "/mdev_supported_types/mtty-2"
#define UUID1	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define UUID2	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"
#define UUID3	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1003"
#define MDEV(uuid)	"/sys/bus/mdev/devices/" uuid

/* As the sample's configuration space has it */
#define MTTY_ID	0x32534348

static int mdev_create(const char *uuid)
{
	return file_write(TYPE "/create", uuid);
}

static int mdev_remove(const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	return file_write(path, "1");
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

FIXTURE(mdev)
{
	bool there;
};

FIXTURE_SETUP(mdev)
{
	self->there = exists(TYPE);
	if (!self->there)
		SKIP(return, "the sample driver mtty is not loaded");
	ASSERT_EQ(0, mdev_create(UUID1));
}

FIXTURE_TEARDOWN(mdev)
{
	if (self->there && exists(MDEV(UUID1)))
		EXPECT_EQ(0, mdev_remove(UUID1));
}

TEST_F(mdev, create_errors)
{
	EXPECT_EQ(-EEXIST, mdev_create(UUID1));
	EXPECT_EQ(-EEXIST, mdev_create(UUID1 "\n"));
	EXPECT_EQ(-EINVAL, mdev_create("\n"));
	EXPECT_EQ(-EINVAL, mdev_create("83b8f4f2-509f-382f-3c1e-e6bfe0fa100"));
	EXPECT_EQ(-EINVAL, mdev_create(UUID2 "3"));
	EXPECT_EQ(-EINVAL, mdev_create(UUID2 "\n\n"));
	EXPECT_EQ(-EINVAL, mdev_create("83b8f4f2x509f-382f-3c1e-e6bfe0fa1002"));
	EXPECT_FALSE(exists(MDEV(UUID2)));
}

TEST_F(mdev, attributes)
{
	char buf[256], left[32];
	struct stat a, b;

	EXPECT_LT(0, file_read(TYPE "/name", buf, sizeof(buf)));
	EXPECT_LT(0, file_read(TYPE "/device_api", buf, sizeof(buf)));
	EXPECT_STREQ("vfio-pci", buf);
	EXPECT_GT(0, file_read(TYPE "/create", buf, sizeof(buf)));

	ASSERT_LT(0, file_read(TYPE "/available_instances", left,
			       sizeof(left)));
	ASSERT_EQ(0, mdev_create(UUID2));
	ASSERT_LT(0, file_read(TYPE "/available_instances", buf,
			       sizeof(buf)));
	EXPECT_EQ(atoi(left) - 1, atoi(buf));

	/* Links in both directions */
	EXPECT_EQ(0, stat(TYPE "/devices/" UUID2, &a));
	EXPECT_EQ(0, stat(MDEV(UUID2), &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(0, stat(MDEV(UUID2) "/mdev_type", &a));
	EXPECT_EQ(0, stat(TYPE, &b));
	EXPECT_EQ(a.st_ino, b.st_ino);

	EXPECT_EQ(0, file_write(MDEV(UUID2) "/remove", "0"));
	EXPECT_EQ(-EINVAL, file_write(MDEV(UUID2) "/remove", "x"));
	EXPECT_TRUE(exists(MDEV(UUID2)));
	EXPECT_EQ(0, mdev_remove(UUID2));
	EXPECT_FALSE(exists(MDEV(UUID2)));
	EXPECT_FALSE(exists(TYPE "/devices/" UUID2));
	ASSERT_LT(0, file_read(TYPE "/available_instances", buf,
			       sizeof(buf)));
	EXPECT_STREQ(left, buf);
	EXPECT_EQ(0, mdev_create(UUID2));
	EXPECT_EQ(0, mdev_remove(UUID2));
}

/* A device that its driver refuses has not been there */
TEST_F(mdev, probe_fails)
{
	char uuid[sizeof(UUID2) + 8], left[32];
	unsigned int i, n;

	ASSERT_LT(0, file_read(TYPE "/available_instances", left,
			       sizeof(left)));
	n = atoi(left);
	for (i = 0; i < n; i++) {
		snprintf(uuid, sizeof(uuid),
			 "83b8f4f2-509f-382f-3c1e-e6bfe0fa3%03x", i);
		ASSERT_EQ(0, mdev_create(uuid));
	}
	EXPECT_EQ(-ENOSPC, mdev_create(UUID2));
	EXPECT_FALSE(exists(MDEV(UUID2)));
	for (i = 0; i < n; i++) {
		snprintf(uuid, sizeof(uuid),
			 "83b8f4f2-509f-382f-3c1e-e6bfe0fa3%03x", i);
		EXPECT_EQ(0, mdev_remove(uuid));
	}
	EXPECT_EQ(0, mdev_create(UUID2));
	EXPECT_EQ(0, mdev_remove(UUID2));
}

static int mtty_id(int dev, __u32 *id)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	int ret;

	ret = call(dev, VFIO_DEVICE_GET_REGION_INFO, &info);
	if (ret)
		return ret;
	return pread(dev, id, sizeof(*id), info.offset) == sizeof(*id) ?
	       0 : -errno;
}

TEST_F(mdev, cdev)
{
	__u32 ioas, other, pt_id, devid, id = 0;
	char buf[256];
	int dev, iommufd;

	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, ioas_alloc(iommufd, &ioas));
	ASSERT_EQ(0, ioas_alloc(iommufd, &other));
	dev = cdev_open(MDEV(UUID1));
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, cdev_bind(dev, iommufd, &devid));
	EXPECT_NE(0, devid);
	pt_id = devid;
	EXPECT_GT(0, cdev_attach(dev, &pt_id));

	/* No hwpt for a device that has no IOMMU */
	pt_id = ioas;
	EXPECT_EQ(0, cdev_attach(dev, &pt_id));
	EXPECT_EQ(ioas, pt_id);
	EXPECT_EQ(-EBUSY, obj_destroy(iommufd, ioas));
	pt_id = other;
	EXPECT_EQ(0, cdev_attach(dev, &pt_id));
	EXPECT_EQ(0, obj_destroy(iommufd, ioas));
	EXPECT_EQ(0, mtty_id(dev, &id));
	EXPECT_EQ(MTTY_ID, id);
	EXPECT_EQ(0, fdinfo_get(dev, "vfio-device-name", buf, sizeof(buf)));
	EXPECT_STREQ(UUID1, buf);
	EXPECT_EQ(0, fdinfo_get(dev, "vfio-state", buf, sizeof(buf)));
	EXPECT_STREQ("attached", buf);
	EXPECT_EQ(1, sysdev_cdev_read(MDEV(UUID1), "viable", buf, sizeof(buf)));
	EXPECT_STREQ("1", buf);
	EXPECT_EQ(0, cdev_detach(dev));
	EXPECT_EQ(0, obj_destroy(iommufd, other));
	close(dev);
	close(iommufd);
}

TEST_F(mdev, group)
{
	int group, container, dev;
	__u32 flags, id = 0;

	group = group_open(sysdev_group(MDEV(UUID1)));
	ASSERT_LE(0, group);
	EXPECT_EQ(0, group_flags(group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
	container = container_open();
	ASSERT_LE(0, container);
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, t1_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	dev = group_get_device(group, UUID1);
	ASSERT_LE(0, dev);
	EXPECT_EQ(0, mtty_id(dev, &id));
	EXPECT_EQ(MTTY_ID, id);
	close(group);
	close(container);
	close(dev);
}

TEST_F(mdev, removed_while_open)
{
	siginfo_t info = { .si_pid = 0 };
	int dev, iommufd, status;
	pid_t pid;

	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	dev = cdev_open(MDEV(UUID1));
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, cdev_bind(dev, iommufd, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(dev);
		close(iommufd);
		_exit(mdev_remove(UUID1) ? 1 : 0);
	}
	usleep(500000);
	EXPECT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT));
	EXPECT_EQ(0, info.si_pid);
	EXPECT_TRUE(process_sleeps(pid));
	/* The name is taken as long as the device is there */
	EXPECT_EQ(-EEXIST, mdev_create(UUID1));
	close(dev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(exists(MDEV(UUID1)));
	close(iommufd);
}

static int feature(int dev, __u32 flags, void *data, size_t size)
{
	struct {
		struct vfio_device_feature head;
		char data[32];
	} arg = {
		.head.argsz = sizeof(arg.head) + size,
		.head.flags = flags,
	};
	int ret;

	memcpy(arg.data, data, size);
	ret = call(dev, VFIO_DEVICE_FEATURE, &arg);
	memcpy(data, arg.data, size);
	return ret;
}

static int set_state(int dev, __u32 state, int *fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };
	int ret;

	ret = feature(dev, VFIO_DEVICE_FEATURE_SET |
		      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig));
	*fd = mig.data_fd;
	return ret;
}

static int get_state(int dev, __u32 *state)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret;

	ret = feature(dev, VFIO_DEVICE_FEATURE_GET |
		      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig));
	*state = mig.device_state;
	return ret ? ret : mig.data_fd == -1 ? 0 : -EBADE;
}

/* Newer than the kernel's header */
#define PRECOPY_INFO_V2	12	/* VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 */

FIXTURE(migration)
{
	bool there;
	int iommufd;
	int from;
	int to;
};

FIXTURE_SETUP(migration)
{
	self->there = exists(TYPE);
	if (!self->there)
		SKIP(return, "the sample driver mtty is not loaded");
	ASSERT_EQ(0, mdev_create(UUID1));
	ASSERT_EQ(0, mdev_create(UUID2));
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->from = cdev_open(MDEV(UUID1));
	ASSERT_LE(0, self->from);
	self->to = cdev_open(MDEV(UUID2));
	ASSERT_LE(0, self->to);
	ASSERT_EQ(0, cdev_bind(self->from, self->iommufd, NULL));
	ASSERT_EQ(0, cdev_bind(self->to, self->iommufd, NULL));
}

FIXTURE_TEARDOWN(migration)
{
	if (!self->there)
		return;
	close(self->from);
	close(self->to);
	close(self->iommufd);
	EXPECT_EQ(0, mdev_remove(UUID1));
	EXPECT_EQ(0, mdev_remove(UUID2));
}

TEST_F(migration, features)
{
	const __u32 get = VFIO_DEVICE_FEATURE_GET;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	const __u32 probe = VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_device_feature_mig_data_size size = {};
	__u64 flags = 0;
	char data[32] = {};

	EXPECT_EQ(0, feature(self->from, get | VFIO_DEVICE_FEATURE_MIGRATION,
			     &flags, sizeof(flags)));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, flags);
	EXPECT_EQ(0, feature(self->from, probe | get |
			     VFIO_DEVICE_FEATURE_MIGRATION, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, probe | set |
				   VFIO_DEVICE_FEATURE_MIGRATION, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, set |
				   VFIO_DEVICE_FEATURE_MIGRATION, data, 8));
	EXPECT_EQ(-EINVAL, feature(self->from, get |
				   VFIO_DEVICE_FEATURE_MIGRATION, data, 7));
	EXPECT_EQ(-EINVAL, feature(self->from,
				   VFIO_DEVICE_FEATURE_MIGRATION, data, 8));
	EXPECT_EQ(0, feature(self->from, probe | get | set |
			     VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, get |
				   VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, data,
				   7));
	EXPECT_EQ(0, feature(self->from, get |
			     VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size,
			     sizeof(size)));
	EXPECT_LT(0, size.stop_copy_length);
}

/* Only where there is a PRE_COPY state, for as long as the device is open */
TEST_F(migration, precopy_info_v2)
{
	const __u32 probe = VFIO_DEVICE_FEATURE_PROBE | PRECOPY_INFO_V2;
	const __u32 get = VFIO_DEVICE_FEATURE_GET;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	char data[8] = {};

	EXPECT_EQ(0, feature(self->from, probe, data, 0));
	EXPECT_EQ(0, feature(self->from, probe | set, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, probe | get, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, PRECOPY_INFO_V2, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, get | PRECOPY_INFO_V2, data, 8));
	EXPECT_EQ(0, feature(self->from, set | PRECOPY_INFO_V2, data, 0));
	/* more than once, and with data that nobody reads */
	EXPECT_EQ(0, feature(self->from, set | PRECOPY_INFO_V2, data, 8));
}

static int log_start(int dev, __u64 page_size, __u32 nr,
		     struct vfio_device_feature_dma_logging_range *ranges)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};

	return feature(dev, VFIO_DEVICE_FEATURE_SET |
		       VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
		       sizeof(control));
}

static int log_report(int dev, __u64 iova, __u64 length, __u64 page_size,
		      void *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return feature(dev, VFIO_DEVICE_FEATURE_GET |
		       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
		       sizeof(report));
}

/* The sample accepts every range and never has anything to report */
TEST_F(migration, dma_logging)
{
	const __u64 top = ~0ULL << 12;
	struct vfio_device_feature_dma_logging_range ranges[257];
	char data[32] = {};
	__u64 bitmap[8];
	unsigned int i;

	for (i = 0; i < 257; i++) {
		ranges[i].iova = i * 0x3000ULL;
		ranges[i].length = 0x1000;
	}
	EXPECT_EQ(0, feature(self->from, VFIO_DEVICE_FEATURE_PROBE |
			     VFIO_DEVICE_FEATURE_SET |
			     VFIO_DEVICE_FEATURE_DMA_LOGGING_START, data, 0));
	EXPECT_EQ(-EINVAL, feature(self->from, VFIO_DEVICE_FEATURE_GET |
				   VFIO_DEVICE_FEATURE_DMA_LOGGING_START, data,
				   24));
	EXPECT_EQ(-EINVAL, feature(self->from, VFIO_DEVICE_FEATURE_SET |
				   VFIO_DEVICE_FEATURE_DMA_LOGGING_START, data,
				   23));
	EXPECT_EQ(-EINVAL, log_start(self->from, 0x1000, 0, ranges));
	EXPECT_EQ(-E2BIG, log_start(self->from, 0x1000, 257, ranges));
	EXPECT_EQ(-E2BIG, log_start(self->from, 0x1000, -1, ranges));
	EXPECT_EQ(-EFAULT, log_start(self->from, 0x1000, 1, NULL));
	EXPECT_EQ(-EINVAL, log_start(self->from, 0, 1, ranges));
	EXPECT_EQ(-EINVAL, log_start(self->from, 0x3000, 1, ranges));
	EXPECT_EQ(-EINVAL, log_start(self->from, 0x2000, 2, ranges));
	ranges[1].length = 0;
	EXPECT_EQ(-EINVAL, log_start(self->from, 0x1000, 2, ranges));
	ranges[1].length = 0x4000;
	EXPECT_EQ(-EINVAL, log_start(self->from, 0x1000, 3, ranges));
	ranges[1].iova = top;
	EXPECT_EQ(-EOVERFLOW, log_start(self->from, 0x1000, 2, ranges));
	ranges[1].length = 0x1000;
	ranges[1].iova = 0x3000;
	EXPECT_EQ(0, log_start(self->from, 0x1000, 256, ranges));

	EXPECT_EQ(-EINVAL, log_report(self->from, 0, 0, 0x1000, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->from, 0, 0x1000, 0x800, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->from, 0, 0x1000, 0x3000, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->from, 0, 0x1000, 0, bitmap));
	EXPECT_EQ(-EOVERFLOW, log_report(self->from, top, 0x2000, 0x1000,
					 bitmap));
	EXPECT_EQ(0, log_report(self->from, 0, 0x100000, 0x1000, bitmap));

	EXPECT_EQ(-EINVAL, feature(self->from, VFIO_DEVICE_FEATURE_GET |
				   VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, data,
				   0));
	EXPECT_EQ(0, feature(self->from, VFIO_DEVICE_FEATURE_SET |
			     VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, data, 0));
}

TEST_F(migration, states)
{
	static const __u32 walk[] = {
		VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING,
		VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP,
		VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY,
		VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_PRE_COPY_P2P,
		VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING,
	};
	unsigned int i;
	__u32 state;
	int fd;

	EXPECT_EQ(0, get_state(self->from, &state));
	EXPECT_EQ(VFIO_DEVICE_STATE_RUNNING, state);
	for (i = 0; i < ARRAY_SIZE(walk); i++) {
		EXPECT_EQ(0, set_state(self->from, walk[i], &fd)) {
			TH_LOG("to %u", walk[i]);
		}
		if (fd >= 0)
			close(fd);
		EXPECT_EQ(0, get_state(self->from, &state));
		EXPECT_EQ(walk[i], state);
	}
	/* Nothing was written, so nothing can be resumed; only a reset helps */
	EXPECT_EQ(-EINVAL, set_state(self->from, VFIO_DEVICE_STATE_RUNNING,
				     &fd));
	EXPECT_EQ(0, call(self->from, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, get_state(self->from, &state));
	EXPECT_EQ(VFIO_DEVICE_STATE_RUNNING, state);

	EXPECT_EQ(-EINVAL, set_state(self->from, VFIO_DEVICE_STATE_ERROR, &fd));
	EXPECT_EQ(-EINVAL, set_state(self->from, VFIO_DEVICE_STATE_NR, &fd));
	EXPECT_EQ(-EINVAL, set_state(self->from, -1, &fd));
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(0, set_state(self->from, VFIO_DEVICE_STATE_STOP_COPY, &fd));
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-EINVAL, set_state(self->from, VFIO_DEVICE_STATE_PRE_COPY,
				     &fd));
	EXPECT_EQ(-1, fd);
}

/* What one device was is what the other becomes */
TEST_F(migration, transfer)
{
	const off_t scratch = ((off_t)VFIO_PCI_BAR0_REGION_INDEX << 40) + 7;
	unsigned char byte = 0x5a, data[4096], seen = 0;
	__u32 state;
	int out, in;
	ssize_t len;

	ASSERT_EQ(1, pwrite(self->from, &byte, 1, scratch));
	ASSERT_EQ(0, set_state(self->from, VFIO_DEVICE_STATE_STOP_COPY, &out));
	ASSERT_LE(0, out);
	EXPECT_EQ(FD_CLOEXEC, fcntl(out, F_GETFD));
	ASSERT_EQ(0, set_state(self->to, VFIO_DEVICE_STATE_RESUMING, &in));
	ASSERT_LE(0, in);
	while ((len = read(out, data, sizeof(data))) > 0)
		ASSERT_EQ(len, write(in, data, len));
	EXPECT_EQ(0, len);
	close(out);
	close(in);
	EXPECT_EQ(0, set_state(self->to, VFIO_DEVICE_STATE_RUNNING, &in));
	EXPECT_EQ(-1, in);
	EXPECT_EQ(0, get_state(self->to, &state));
	EXPECT_EQ(VFIO_DEVICE_STATE_RUNNING, state);
	ASSERT_EQ(1, pread(self->to, &seen, 1, scratch));
	EXPECT_EQ(byte, seen);
}

/* The fd of the session cannot be given out: then there is none */
TEST_F(migration, no_room_for_the_fd)
{
	struct rlimit old, few = {};
	__u32 state;
	int fd;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(-EMFILE, set_state(self->from, VFIO_DEVICE_STATE_STOP_COPY,
				     &fd));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(0, get_state(self->from, &state));
	EXPECT_EQ(0, set_state(self->from, VFIO_DEVICE_STATE_RUNNING, &fd));
}

TEST_F(migration, debugfs)
{
	const char *file = "/sys/kernel/debug/vfio/" UUID1 "/migration/state";
	char buf[64];
	int fd;

	if (!exists("/sys/kernel/debug/vfio"))
		SKIP(return, "no debugfs of VFIO");
	EXPECT_LT(0, file_read(file, buf, sizeof(buf)));
	EXPECT_STREQ("RUNNING", buf);
	ASSERT_EQ(0, set_state(self->from, VFIO_DEVICE_STATE_PRE_COPY_P2P,
			       &fd));
	close(fd);
	EXPECT_LT(0, file_read(file, buf, sizeof(buf)));
	EXPECT_STREQ("PRE_COPY_P2P", buf);

	/* Of a device that is gone nothing is left */
	ASSERT_EQ(0, mdev_create(UUID3));
	EXPECT_TRUE(exists("/sys/kernel/debug/vfio/" UUID3));
	ASSERT_EQ(0, mdev_remove(UUID3));
	EXPECT_FALSE(exists("/sys/kernel/debug/vfio/" UUID3));
}

int main(int argc, char **argv)
{
	if (!exists(TYPE) && system("modprobe -q mtty"))
		printf("# no mtty\n");
	return test_harness_run(argc, argv);
}
