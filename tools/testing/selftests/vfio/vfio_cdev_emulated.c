// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software devices: their ways to the memory of who opens them. Uses vfio-test.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/iommufd.h"
#include "../lib/pci.h"
#include "../lib/type1.h"
#include "../lib/vfio.h"
#include "../../../../drivers/vfio/test/vfio_test.h"

#define DEVICE	"/sys/bus/platform/devices/" VFIO_TEST_DEVICE
#define PAGE	4096UL
#define PAGES	16UL
#define IOVA	0x100000ULL

static int dma(int dev, __u32 op, __u64 iova, __u64 length, void *data)
{
	struct vfio_test_dma arg = {
		.argsz = sizeof(arg),
		.op = op,
		.iova = iova,
		.length = length,
		.data = (uintptr_t)data,
	};

	return call(dev, VFIO_TEST_DMA, &arg);
}

static struct vfio_test_state state(int dev)
{
	struct vfio_test_state arg = { .argsz = sizeof(arg) };

	if (call(dev, VFIO_TEST_STATE, &arg))
		arg.pins = -1;
	return arg;
}

static int unmap(int iommufd, __u32 ioas, __u64 iova, __u64 length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return call(iommufd, IOMMU_IOAS_UNMAP, &arg);
}

FIXTURE(emulated)
{
	int dev;
	int iommufd;
	__u32 ioas;
	char *mem;
};

FIXTURE_SETUP(emulated)
{
	__u32 pt_id;
	size_t i;

	self->dev = -1;
	self->iommufd = -1;
	if (access(DEVICE, F_OK))
		SKIP(return, "the test driver vfio-test is not loaded");
	self->mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i < PAGES * PAGE; i++)
		self->mem[i] = i / PAGE + i;
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, self->mem,
				 PAGES * PAGE, IOVA));
	self->dev = cdev_open(DEVICE);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
	pt_id = self->ioas;
	ASSERT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_EQ(self->ioas, pt_id);
}

FIXTURE_TEARDOWN(emulated)
{
	if (self->dev < 0)
		return;
	close(self->dev);
	close(self->iommufd);
	munmap(self->mem, PAGES * PAGE);
}

/* A driver that knows tokens by name only is asked by name */
TEST_F(emulated, token)
{
	struct {
		struct vfio_device_bind_iommufd bind;
		__u64 token_uuid_ptr;
	} arg = {
		.bind.argsz = sizeof(arg),
		.bind.flags = 1,		/* VFIO_DEVICE_BIND_FLAG_TOKEN */
		.bind.iommufd = self->iommufd,
	};
	__u8 uuid[16] = VFIO_TEST_TOKEN_BYTES;

	close(self->dev);
	self->dev = cdev_open(DEVICE);
	ASSERT_LE(0, self->dev);
	arg.token_uuid_ptr = (uintptr_t)uuid;
	uuid[0]++;
	EXPECT_EQ(-EACCES, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	uuid[0]--;
	EXPECT_EQ(0, call(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &arg));
}

TEST_F(emulated, rw)
{
	static const __u32 ops[][2] = {
		{ VFIO_TEST_READ, VFIO_TEST_WRITE },
		{ VFIO_TEST_READ_KTHREAD, VFIO_TEST_WRITE_KTHREAD },
	};
	char buf[PAGE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		/* Aligned or not, within a page or across */
		EXPECT_EQ(0, dma(self->dev, ops[i][0], IOVA, PAGE, buf));
		EXPECT_EQ(0, memcmp(self->mem, buf, PAGE));
		EXPECT_EQ(0, dma(self->dev, ops[i][0], IOVA + PAGE + 1234, PAGE,
				 buf));
		EXPECT_EQ(0, memcmp(self->mem + PAGE + 1234, buf, PAGE));
		memset(buf, 0x40 + i, PAGE);
		EXPECT_EQ(0, dma(self->dev, ops[i][1], IOVA + 3 * PAGE - 3, 7,
				 buf));
		EXPECT_EQ(0, memcmp(self->mem + 3 * PAGE - 3, buf, 7));
		EXPECT_NE(buf[0], self->mem[3 * PAGE - 4]);
		EXPECT_NE(buf[0], self->mem[3 * PAGE + 4]);
		EXPECT_EQ(0, dma(self->dev, ops[i][0], IOVA + PAGES * PAGE - 1,
				 1, buf));
		EXPECT_EQ(self->mem[PAGES * PAGE - 1], buf[0]);
	}
}

TEST_F(emulated, rw_errors)
{
	char buf[PAGE];

	EXPECT_EQ(-EINVAL, dma(self->dev, VFIO_TEST_READ, IOVA, 0, buf));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_READ, IOVA - 1, 1, buf));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_READ, IOVA - 1, 2, buf));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_READ, IOVA + PAGES * PAGE,
			       1, buf));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_READ,
			       IOVA + PAGES * PAGE - 1, 2, buf));
	EXPECT_GT(0, dma(self->dev, VFIO_TEST_READ, ~0ULL, 2, buf));
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_READ, IOVA, 1, buf));
}

TEST_F(emulated, read_only)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = self->ioas,
		.user_va = (uintptr_t)self->mem,
		.length = PAGE,
		.iova = 0,
	};
	char buf[PAGE] = {};

	ASSERT_EQ(0, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_READ, 0, PAGE, buf));
	EXPECT_EQ(-EPERM, dma(self->dev, VFIO_TEST_WRITE, 0, 1, buf));
	EXPECT_EQ(-EPERM, dma(self->dev, VFIO_TEST_PIN_WRITE, 0, PAGE, NULL));
	EXPECT_EQ(1, dma(self->dev, VFIO_TEST_PIN, 0, PAGE, NULL));
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_UNPIN, 0, 0, NULL));
}

TEST_F(emulated, pin)
{
	char buf[PAGE];

	EXPECT_EQ(4, dma(self->dev, VFIO_TEST_PIN_WRITE, IOVA + 2 * PAGE,
			 4 * PAGE, NULL));
	EXPECT_EQ(1, state(self->dev).pins);
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_PEEK, IOVA + 3 * PAGE + 5, 100,
			 buf));
	EXPECT_EQ(0, memcmp(self->mem + 3 * PAGE + 5, buf, 100));
	memset(buf, 0x77, 100);
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_POKE, IOVA + 5 * PAGE, 100, buf));
	EXPECT_EQ(0, memcmp(self->mem + 5 * PAGE, buf, 100));

	/* Pinned twice is unpinned twice */
	EXPECT_EQ(1, dma(self->dev, VFIO_TEST_PIN, IOVA + 2 * PAGE, PAGE, NULL));
	EXPECT_EQ(2, state(self->dev).pins);
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_UNPIN, IOVA + 2 * PAGE, 0, NULL));
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_UNPIN, IOVA + 2 * PAGE, 0, NULL));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_UNPIN, IOVA + 2 * PAGE, 0,
			       NULL));
	EXPECT_EQ(0, state(self->dev).unmaps);
}

TEST_F(emulated, pin_errors)
{
	EXPECT_EQ(-EINVAL, dma(self->dev, VFIO_TEST_PIN, IOVA, 0, NULL));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_PIN, IOVA - PAGE, PAGE,
			       NULL));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_PIN,
			       IOVA + (PAGES - 1) * PAGE, 2 * PAGE, NULL));
	EXPECT_GT(0, dma(self->dev, VFIO_TEST_PIN, ~0ULL << 12, 2 * PAGE,
			 NULL));
	EXPECT_EQ(0, state(self->dev).pins);
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_PIN, IOVA, PAGE, NULL));
}

/* The user takes memory back: the device is told, and obeys */
TEST_F(emulated, unmap)
{
	EXPECT_EQ(2, dma(self->dev, VFIO_TEST_PIN, IOVA, 2 * PAGE, NULL));
	EXPECT_EQ(1, dma(self->dev, VFIO_TEST_PIN, IOVA + 9 * PAGE, PAGE, NULL));
	EXPECT_EQ(2, state(self->dev).pins);
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, state(self->dev).pins);
	EXPECT_LT(0, state(self->dev).unmaps);
	EXPECT_EQ(-ENOENT, dma(self->dev, VFIO_TEST_PIN, IOVA, PAGE, NULL));
}

TEST_F(emulated, detach_and_move)
{
	__u32 other, pt_id;
	char buf[1];

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &other));
	ASSERT_EQ(0, ioas_map_at(self->iommufd, other, self->mem + PAGE, PAGE,
				 IOVA));
	EXPECT_EQ(2, dma(self->dev, VFIO_TEST_PIN, IOVA, 2 * PAGE, NULL));
	pt_id = other;
	EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));
	EXPECT_EQ(0, state(self->dev).pins);
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_READ, IOVA, 1, buf));
	EXPECT_EQ(self->mem[PAGE], buf[0]);
	EXPECT_EQ(1, dma(self->dev, VFIO_TEST_PIN, IOVA, PAGE, NULL));
	EXPECT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(0, state(self->dev).pins);
	EXPECT_EQ(0, obj_destroy(self->iommufd, other));
	EXPECT_EQ(0, obj_destroy(self->iommufd, self->ioas));
}

/* What is still pinned at the end is returned; the harness would tell */
TEST_F(emulated, close_with_pins)
{
	EXPECT_EQ(16, dma(self->dev, VFIO_TEST_PIN_WRITE, IOVA, PAGES * PAGE,
			  NULL));
	EXPECT_EQ(3, dma(self->dev, VFIO_TEST_PIN, IOVA + PAGE, 3 * PAGE, NULL));
}

TEST_F(emulated, iommufd_closed_first)
{
	char buf[1];

	EXPECT_EQ(1, dma(self->dev, VFIO_TEST_PIN, IOVA, PAGE, NULL));
	close(self->iommufd);
	self->iommufd = -1;
	EXPECT_EQ(0, dma(self->dev, VFIO_TEST_READ, IOVA, 1, buf));
}

TEST_F(emulated, through_group)
{
	int group, container, dev;
	char buf[8];

	close(self->dev);
	group = group_open(sysdev_group(DEVICE));
	ASSERT_LE(0, group);
	container = iommufd_open();
	ASSERT_LE(0, container);
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, t1_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	dev = group_get_device(group, VFIO_TEST_DEVICE);
	ASSERT_LE(0, dev);
	EXPECT_EQ(0, t1_map(container, self->mem, PAGE, 0, T1_RW));
	EXPECT_EQ(0, dma(dev, VFIO_TEST_READ, 8, 8, buf));
	EXPECT_EQ(0, memcmp(self->mem + 8, buf, 8));
	EXPECT_EQ(1, dma(dev, VFIO_TEST_PIN, 0, PAGE, NULL));
	EXPECT_EQ(0, t1_unmap(container, 0, PAGE));
	EXPECT_EQ(0, state(dev).pins);
	close(dev);
	close(container);
	close(group);
	self->dev = open("/dev/null", 0);
}

static struct {
	int dev;
	bool stop;
	unsigned int pinned;
	unsigned int bad;
} race;

static void race_check(const char *what, int ret)
{
	/* EINVAL: it is just being unmapped */
	if (ret >= 0 || ret == -ENOENT || ret == -EINVAL)
		return;
	if (!__atomic_fetch_add(&race.bad, 1, __ATOMIC_RELAXED))
		printf("# %s: %d\n", what, ret);
}

static void *race_pin(void *unused)
{
	char buf[16];
	__u64 iova;
	int ret, i;

	(void)unused;
	for (i = 0; !__atomic_load_n(&race.stop, __ATOMIC_RELAXED); i++) {
		iova = IOVA + i % 12 * PAGE;
		ret = dma(race.dev, VFIO_TEST_PIN, iova, (1 + i % 4) * PAGE,
			  NULL);
		if (ret > 0)
			__atomic_add_fetch(&race.pinned, 1, __ATOMIC_RELAXED);
		race_check("pin", ret);
		ret = dma(race.dev, VFIO_TEST_PEEK, iova, sizeof(buf), buf);
		race_check("peek", ret);
		ret = dma(race.dev, VFIO_TEST_UNPIN, iova, 0, NULL);
		race_check("unpin", ret);
	}
	return NULL;
}

TEST_F_TIMEOUT(emulated, race, 600)
{
	pthread_t ids[2];
	__u32 pt_id;
	int i;

	race.dev = self->dev;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&ids[i], NULL, race_pin, NULL));
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA,
				   PAGES * PAGE));
		EXPECT_EQ(0, ioas_map_at(self->iommufd, self->ioas, self->mem,
					 PAGES * PAGE, IOVA));
		/* However few processors there are, the others get on */
		usleep(1000);
		if (i % 10)
			continue;
		EXPECT_EQ(0, cdev_detach(self->dev));
		pt_id = self->ioas;
		EXPECT_EQ(0, cdev_attach(self->dev, &pt_id));
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(ids[i], NULL));
	printf("# pinned %u\n", race.pinned);
	EXPECT_EQ(0, race.bad);
	EXPECT_LT(0, race.pinned);
}

static int virqfd(int dev, __u32 slot, int fd, __u32 delay, __u32 *done)
{
	struct vfio_test_virqfd arg = {
		.argsz = sizeof(arg),
		.slot = slot,
		.fd = fd,
		.delay = delay,
	};
	int ret = call(dev, VFIO_TEST_VIRQFD, &arg);

	*done = arg.done;
	return ret;
}

/* What one device does when it is told so is nothing that others wait for */
TEST_F(emulated, virqfd_waits_for_its_own)
{
	int slow = eventfd(1, EFD_CLOEXEC), quick = eventfd(1, EFD_CLOEXEC);
	__u32 done, before[2];
	double begin;

	/* Ends what there is not */
	ASSERT_EQ(0, virqfd(self->dev, 0, -1, 0, &before[0]));
	ASSERT_EQ(0, virqfd(self->dev, 1, -1, 0, &before[1]));
	begin = seconds_now();
	ASSERT_EQ(0, virqfd(self->dev, 0, slow, 3000, &done));
	ASSERT_EQ(0, virqfd(self->dev, 1, quick, 1, &done));
	EXPECT_EQ(-EBUSY, virqfd(self->dev, 1, quick, 1, &done));
	/* The action has begun; its eventfd goes */
	usleep(100000);
	close(slow);
	ASSERT_EQ(0, virqfd(self->dev, 1, -1, 0, &done));
	EXPECT_EQ(before[1] + 1, done);
	EXPECT_GT(2.5, seconds_now() - begin);

	/* Its own it waits for, though there is no eventfd any more */
	ASSERT_EQ(0, virqfd(self->dev, 0, -1, 0, &done));
	EXPECT_EQ(before[0] + 1, done);
	EXPECT_LT(2.5, seconds_now() - begin);
	close(quick);
}

int main(int argc, char **argv)
{
	if (access(DEVICE, F_OK) && system("modprobe -q vfio-test"))
		printf("# no vfio-test\n");
	return test_harness_run(argc, argv);
}
