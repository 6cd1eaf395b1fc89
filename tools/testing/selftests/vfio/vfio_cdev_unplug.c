// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that lets go of a device while somebody uses it: it waits until the
 * last file is closed, whatever happens in between. Uses QEMU's edu.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/vfio.h"

FIXTURE(unplug)
{
	char bdf[SYSDEV_NAME_MAX];
	char path[PATH_MAX];
	int dev;
	int iommufd;
	__u32 ioas;
};

FIXTURE_SETUP(unplug)
{
	self->dev = -1;
	self->iommufd = -1;
	self->bdf[0] = '\0';
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, sysdev_cdev_path(self->bdf, self->path));
	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(unplug)
{
	close(self->dev);
	close(self->iommufd);
	if (self->bdf[0])
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, NULL));
}

/* Without the files of its parent, which would keep the device open */
static pid_t unbind_in_background(const char *bdf, int dev, int iommufd)
{
	pid_t pid = fork();

	if (!pid) {
		close(dev);
		close(iommufd);
		_exit(sysdev_set_driver(bdf, NULL) ? 1 : 0);
	}
	return pid;
}

/* Long enough for one who does not wait to be through */
static bool still_waits(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	usleep(500000);
	if (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	    info.si_pid)
		return false;
	return process_sleeps(pid);
}

/* The node goes at once; give the kernel a while to get there */
static bool node_goes(const char *path)
{
	int i, fd;

	for (i = 0; i < 100; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT || errno == ENODEV ||
			       errno == ENXIO;
		close(fd);
		usleep(50000);
	}
	return false;
}

/* Does the kernel log from here on have this line, or get it within seconds? */
static bool is_logged(int log, const char *text)
{
	char buf[8192];
	bool found = false;
	ssize_t n;
	int i;

	for (i = 0; !found && i < 100; i++) {
		n = read(log, buf, sizeof(buf) - 1);
		if (n < 0 && errno == EAGAIN) {
			usleep(50000);
			continue;
		}
		/* Others may write so much that some of it is overwritten */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		buf[n] = '\0';
		found = strstr(buf, text);
	}
	return found;
}

TEST_F(unplug, open_not_bound)
{
	int status;
	pid_t pid;

	pid = unbind_in_background(self->bdf, self->dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(still_waits(pid));
	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(unplug, in_use)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	struct vfio_device_info info;
	char text[128];
	char driver[SYSDEV_NAME_MAX];
	__u32 pt_id = self->ioas;
	int status;
	pid_t pid;

	ASSERT_LE(0, log);
	ASSERT_LE(0, lseek(log, 0, SEEK_END));
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, cdev_attach(self->dev, &pt_id));
	pid = unbind_in_background(self->bdf, self->dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(node_goes(self->path));
	EXPECT_TRUE(still_waits(pid));
	/* Whose doing it is */
	snprintf(text, sizeof(text), "last opened by %s (%d)",
		 "vfio_cdev_unplu", getpid());
	EXPECT_TRUE(is_logged(log, text));
	close(log);

	/* All goes on for who is in */
	EXPECT_EQ(0, device_info(self->dev, &info));
	EXPECT_EQ(0, cdev_detach(self->dev));
	pt_id = self->ioas;
	EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));

	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, sysdev_driver(self->bdf, driver));
	EXPECT_EQ(0, obj_destroy(self->iommufd, self->ioas));
}

/* A file that was open before may still be bound */
TEST_F(unplug, bind_while_waiting)
{
	int status;
	pid_t pid;

	pid = unbind_in_background(self->bdf, self->dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(node_goes(self->path));
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	EXPECT_TRUE(still_waits(pid));
	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* The driver asks for the device by the interrupt made for that */
TEST_F(unplug, request)
{
	struct {
		struct vfio_irq_set set;
		__s32 fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
	};
	eventfd_t count;
	int status;
	pid_t pid;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	irq.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, irq.fd);
	ASSERT_EQ(0, call(self->dev, VFIO_DEVICE_SET_IRQS, &irq));
	pid = unbind_in_background(self->bdf, self->dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, eventfd_read(irq.fd, &count));
	close(self->dev);
	self->dev = -1;
	close(irq.fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Not even SIGKILL takes the device from its user */
TEST_F(unplug, killed_while_waiting)
{
	struct vfio_device_info info;
	char driver[SYSDEV_NAME_MAX];
	int status;
	pid_t pid;

	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	pid = unbind_in_background(self->bdf, self->dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(still_waits(pid));
	kill(pid, SIGKILL);
	EXPECT_TRUE(still_waits(pid));
	EXPECT_EQ(0, device_info(self->dev, &info));
	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(-ENOENT, sysdev_driver(self->bdf, driver));
}

/* Files of a group count, too */
TEST_F(unplug, through_group)
{
	struct vfio_device_info info;
	int group, dev, status;
	pid_t pid;

	close(self->dev);
	self->dev = -1;
	group = group_open(sysdev_group(self->bdf));
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	dev = group_get_device(group, self->bdf);
	ASSERT_LE(0, dev);
	close(group);
	pid = unbind_in_background(self->bdf, dev, self->iommufd);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(still_waits(pid));
	EXPECT_EQ(0, device_info(dev, &info));
	close(dev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/*
 * Everything against everything. What a thread gets is not foretold, only that
 * it is one of the refusals that there are, and that all comes to an end.
 */
static struct {
	const char *bdf;
	bool stop;
	unsigned int opened;
	unsigned int bound;
	unsigned int groups;
	unsigned int bad;
} race;

static bool race_stopped(void)
{
	return __atomic_load_n(&race.stop, __ATOMIC_RELAXED);
}

static void race_bad(const char *what, int ret)
{
	printf("# %s: %d\n", what, ret);
	__atomic_add_fetch(&race.bad, 1, __ATOMIC_RELAXED);
}

static bool race_open_error(int ret)
{
	return ret == -ENOENT || ret == -ENODEV || ret == -ENXIO ||
	       ret == -EBUSY;
}

static void *race_cdev(void *unused)
{
	struct vfio_device_info info;
	int dev, iommufd, ret;
	unsigned int i;
	__u32 ioas;

	(void)unused;
	for (i = 0; !race_stopped(); i++) {
		dev = cdev_open(race.bdf);
		if (dev < 0) {
			if (!race_open_error(dev))
				race_bad("cdev", dev);
			continue;
		}
		__atomic_add_fetch(&race.opened, 1, __ATOMIC_RELAXED);
		iommufd = iommufd_open();
		ret = ioas_alloc(iommufd, &ioas);
		if (ret)
			race_bad("IOAS", ret);
		ret = cdev_bind(dev, iommufd, NULL);
		if (!ret) {
			__atomic_add_fetch(&race.bound, 1, __ATOMIC_RELAXED);
			ret = cdev_attach(dev, &ioas);
			if (ret)
				race_bad("attach", ret);
			ret = device_info(dev, &info);
			if (ret)
				race_bad("info", ret);
			ret = cdev_detach(dev);
			if (ret)
				race_bad("detach", ret);
		} else if (ret != -EINVAL && ret != -EBUSY) {
			race_bad("bind", ret);
		}
		/* Either of them first */
		if (i % 2)
			close(iommufd);
		close(dev);
		if (!(i % 2))
			close(iommufd);
	}
	return NULL;
}

static void *race_group(void *unused)
{
	struct vfio_device_info info;
	int nr = sysdev_group(race.bdf);
	int group, iommufd, dev, ret;

	(void)unused;
	while (!race_stopped()) {
		group = group_open(nr);
		if (group < 0) {
			if (!race_open_error(group))
				race_bad("group", group);
			continue;
		}
		iommufd = iommufd_open();
		ret = group_set_container(group, iommufd);
		if (ret && ret != -ENODEV)
			race_bad("container", ret);
		close(iommufd);
		dev = ret ? ret : group_get_device(group, race.bdf);
		if (dev >= 0) {
			__atomic_add_fetch(&race.groups, 1, __ATOMIC_RELAXED);
			ret = device_info(dev, &info);
			if (ret)
				race_bad("group's info", ret);
		} else if (dev != -ENODEV && dev != -EINVAL) {
			race_bad("device", dev);
		}
		close(group);
		if (dev >= 0)
			close(dev);
		/* Others want a chance */
		usleep(1000);
	}
	return NULL;
}

static void *race_look(void *unused)
{
	static const char * const attrs[] = {
		"viable", "blocked_by", "dma_coherent", "dev",
	};
	char buf[4096];
	unsigned int i;

	(void)unused;
	for (i = 0; !race_stopped(); i++)
		sysdev_cdev_read(race.bdf, attrs[i % 4], buf, sizeof(buf));
	return NULL;
}

TEST_F_TIMEOUT(unplug, race, 600)
{
	void *(*const threads[])(void *) = {
		race_cdev, race_cdev, race_group, race_look,
	};
	pthread_t ids[ARRAY_SIZE(threads)];
	unsigned int i;
	int ret;

	close(self->dev);
	self->dev = -1;
	race.bdf = self->bdf;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&ids[i], NULL, threads[i], NULL));
	for (i = 0; i < 12; i++) {
		usleep(20000);
		ret = sysdev_set_driver(self->bdf, NULL);
		if (ret)
			race_bad("unbind", ret);
		ret = sysdev_set_driver(self->bdf, "vfio-pci");
		if (ret)
			race_bad("probe", ret);
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_join(ids[i], NULL));
	printf("# opened %u, bound %u, through the group %u\n", race.opened,
	       race.bound, race.groups);
	EXPECT_EQ(0, race.bad);
	EXPECT_LT(0, race.bound);
}

TEST_HARNESS_MAIN
