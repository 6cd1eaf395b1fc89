// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that go away while they are used, with DMA, interrupts and mapped
 * registers: by the kernel's own removal, and by the machine, which QEMU is asked
 * for; and while they are reset or change their state. Uses QEMU's edu; a
 * pcie-root-port named "port0" to plug one or an e1000e into, if there is one; and
 * two edu in one group.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/type1.h"
#include "../lib/vfio_pci.h"
#include "../lib/qmp.h"

#define LENGTH		0x10000UL
#define IOVA		0x1000000UL
#define SECOND		2048	/* where in the memory the device writes */

/* What goes on here may be slow, but has to go on */
#define PATIENCE_MS	60000

/* ---- the user of the device, a process of its own */

/**
 * struct use - what the user and who watches it tell each other
 * @ready: the device is in use
 * @stop: give it back
 * @asked: requests for that
 * @copies: DMA from memory to the device and back
 * @touches: accesses to mapped registers
 * @irqs: interrupts
 * @bad: things that went wrong
 */
struct use {
	bool ready;
	bool stop;
	unsigned int asked;
	unsigned int copies;
	unsigned int touches;
	unsigned int irqs;
	unsigned int bad;
};

struct user {
	struct use *use;
	struct vp_dev d;
	volatile char *bar;
	char *mem;
	int irq;
	int req;
};

static void count(unsigned int *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static unsigned int counted(const unsigned int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_SEQ_CST);
}

static void went_wrong(struct use *use, const char *what)
{
	printf("# user: %s\n", what);
	count(&use->bad);
}

static void *copy_loop(void *arg)
{
	struct user *u = arg;
	unsigned char byte;

	for (byte = 1; !is_set(&u->use->stop); byte = byte % 250 + 1) {
		memset(u->mem, byte, 64);
		memset(u->mem + SECOND, 0, 64);
		if (!edu_from_iova(u->bar, IOVA) ||
		    !edu_to_iova(u->bar, IOVA + SECOND))
			went_wrong(u->use, "DMA does not end");
		else if (memcmp(u->mem, u->mem + SECOND, 64))
			went_wrong(u->use, "DMA does not reach memory");
		else
			count(&u->use->copies);
	}
	return NULL;
}

static void *touch_loop(void *arg)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	struct user *u = arg;

	while (!is_set(&u->use->stop)) {
		if (*(volatile __u32 *)(u->bar + EDU_ID) != EDU_ID_REVISION_1)
			went_wrong(u->use, "a register is not there");
		else
			count(&u->use->touches);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void *irq_loop(void *arg)
{
	struct user *u = arg;

	while (!is_set(&u->use->stop)) {
		if (vp_bar_set(&u->d, 0, EDU_IRQ_RAISE, 1))
			went_wrong(u->use, "a register cannot be written");
		else if (vp_events(u->irq, PATIENCE_MS) < 1)
			went_wrong(u->use, "no interrupt");
		else
			count(&u->use->irqs);
		vp_bar_set(&u->d, 0, EDU_IRQ_ACK, 1);
	}
	return NULL;
}

static int open_by_cdev(struct user *u)
{
	__u32 ioas;
	int ret;

	ret = vp_open_bdf(&u->d);
	if (!ret)
		ret = ioas_alloc(u->d.iommufd, &ioas);
	if (!ret)
		ret = ioas_map_at(u->d.iommufd, ioas, u->mem, LENGTH, IOVA);
	return ret ? ret : cdev_attach(u->d.fd, &ioas);
}

static int container_of_group(int group)
{
	int ret, container = container_open();

	if (container < 0)
		return container;
	ret = group_set_container(group, container);
	if (!ret)
		ret = t1_set_iommu(container, VFIO_TYPE1v2_IOMMU);
	if (ret) {
		close(container);
		return ret;
	}
	return container;
}

static int container_map(int container, void *mem)
{
	return t1_map(container, mem, LENGTH, IOVA, T1_RW);
}

static int open_by_group(struct user *u)
{
	int ret, group = group_open(sysdev_group(u->d.bdf));

	if (group < 0)
		return group;
	ret = container_of_group(group);
	if (ret >= 0) {
		u->d.iommufd = ret;
		ret = container_map(ret, u->mem);
	}
	if (!ret) {
		ret = group_get_device(group, u->d.bdf);
		u->d.fd = ret;
	}
	/* kept by the device's file */
	close(group);
	return ret < 0 ? ret : 0;
}

static int set_up(struct user *u, bool by_group)
{
	int ret;

	u->mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u->irq = eventfd(0, EFD_NONBLOCK);
	u->req = eventfd(0, EFD_NONBLOCK);
	if (u->mem == MAP_FAILED || u->irq < 0 || u->req < 0)
		return -errno;
	ret = by_group ? open_by_group(u) : open_by_cdev(u);
	if (ret)
		return ret;
	ret = vp_set_command(&u->d, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 0);
	if (ret)
		return ret;
	u->bar = vp_mmap(&u->d, 0, 0, 4096);
	if ((void *)u->bar == MAP_FAILED)
		return -errno;
	ret = vp_irq_fds(&u->d, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &u->irq);
	if (ret)
		return ret;
	return vp_irq_fds(&u->d, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &u->req);
}

static void use_device(const char *bdf, bool by_group, struct use *use)
{
	void *(*const loops[])(void *) = { copy_loop, touch_loop, irq_loop };
	struct user u = { .use = use };
	pthread_t threads[3];
	int ret, i;

	vp_init(&u.d);
	snprintf(u.d.bdf, sizeof(u.d.bdf), "%s", bdf);
	ret = set_up(&u, by_group);
	if (ret) {
		printf("# user: cannot be set up: %d\n", ret);
		_exit(1);
	}
	for (i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, loops[i], &u))
			_exit(1);
	set(&use->ready);
	while (!is_set(&use->stop))
		if (vp_events(u.req, 20) > 0)
			count(&use->asked);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	vp_close_fds(&u.d);
	_exit(0);
}

/* ---- waiting */

static void nap(void)
{
	usleep(10000);
}

static bool becomes_set(const bool *flag)
{
	int i;

	for (i = 0; i < PATIENCE_MS / 10 && !is_set(flag); i++)
		nap();
	return is_set(flag);
}

static bool rises(const unsigned int *counter, unsigned int above)
{
	int i;

	for (i = 0; i < PATIENCE_MS / 10 && counted(counter) <= above; i++)
		nap();
	return counted(counter) > above;
}

static bool goes_on(const struct use *use)
{
	struct use before = *use;

	/* one that was under way may end, and the next has to */
	return rises(&use->copies, before.copies + 1) &&
	       rises(&use->touches, before.touches + 1) &&
	       rises(&use->irqs, before.irqs + 1);
}

static bool goes_away(const char *path)
{
	int i;

	for (i = 0; i < PATIENCE_MS / 10 && !access(path, F_OK); i++)
		nap();
	return access(path, F_OK) == -1;
}

/* Others than the test may have a page pinned for a moment */
static bool pins_are(long pins)
{
	int i;

	for (i = 0; i < 500 && pages_pinned() != pins; i++)
		nap();
	return pages_pinned() == pins;
}

/* ---- the machine */

#define PLUGGED		"{\"id\":\"plugged\"}"

/**
 * struct plug - what can be plugged in
 * @vendor: its id
 * @device: its id
 * @arguments: of device_add
 */
struct plug {
	unsigned int vendor;
	unsigned int device;
	const char *arguments;
};

static const struct plug edu_plug = {
	EDU_VENDOR, EDU_DEVICE,
	"{\"driver\":\"edu\",\"id\":\"plugged\",\"bus\":\"port0\"}",
};

/* This one can be put into D3hot. It has a driver of its own, which takes time. */
static const struct plug e1000e_plug = {
	E1000E_VENDOR, E1000E_DEVICE,
	"{\"driver\":\"e1000e\",\"id\":\"plugged\",\"bus\":\"port0\",\"romfile\":\"\"}",
};

static int such_devices(const struct plug *plug, char bdf[16][SYSDEV_NAME_MAX])
{
	int nr = 0;

	while (nr < 16 && sysdev_find_pci(plug->vendor, plug->device, nr, bdf[nr]))
		nr++;
	return nr;
}

/* The one that was not there when there were these */
static bool find_new(const struct plug *plug, char old[16][SYSDEV_NAME_MAX],
		     int nr_old, char bdf[SYSDEV_NAME_MAX])
{
	char now[16][SYSDEV_NAME_MAX];
	int i, j, nr = such_devices(plug, now);

	for (i = 0; i < nr; i++) {
		for (j = 0; j < nr_old; j++)
			if (!strcmp(now[i], old[j]))
				break;
		if (j == nr_old) {
			memcpy(bdf, now[i], SYSDEV_NAME_MAX);
			return true;
		}
	}
	return false;
}

/* Plug one in and give it to vfio-pci, as soon as the kernel lets it have a driver */
static int plug_in(const struct plug *plug, char bdf[SYSDEV_NAME_MAX])
{
	char old[16][SYSDEV_NAME_MAX], node[PATH_MAX];
	int i, ret, nr = such_devices(plug, old);

	ret = qmp_execute("device_add", plug->arguments);
	if (ret)
		return ret;
	for (i = 0; i < PATIENCE_MS / 10; i++) {
		ret = find_new(plug, old, nr, bdf) ?
		      sysdev_set_driver(bdf, "vfio-pci") : -ENOENT;
		/*
		 * The kernel may be binding it by itself, with the driver linked
		 * already, or done with that since we looked.
		 */
		if (!ret)
			ret = sysdev_cdev_path(bdf, node);
		if (ret != -ENOENT && ret != -ENODEV && ret != -EBUSY)
			return ret;
		nap();
	}
	return ret;
}

/* While its bus is being reset, a device is not seen */
static int find_again(const char *bdf)
{
	char path[PATH_MAX];
	int i, ret = 0;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s", bdf);
	for (i = 0; !ret && i < 100; i++) {
		ret = pci_rescan();
		if (!access(path, F_OK))
			return 0;
		usleep(100000);
	}
	return ret ? ret : -ETIME;
}

/* ---- in use */

FIXTURE(hotplug)
{
	char bdf[SYSDEV_NAME_MAX];
	char dir[PATH_MAX];
	char node[PATH_MAX];
	struct use *use;
	pid_t user;
	pid_t remover;
};

FIXTURE_VARIANT(hotplug)
{
	bool machine;
	bool by_group;
	bool killed;
};

FIXTURE_VARIANT_ADD(hotplug, remove_cdev) { };
FIXTURE_VARIANT_ADD(hotplug, remove_group) { .by_group = true };
FIXTURE_VARIANT_ADD(hotplug, remove_cdev_killed) { .killed = true };
FIXTURE_VARIANT_ADD(hotplug, remove_group_killed)
{
	.by_group = true, .killed = true
};
FIXTURE_VARIANT_ADD(hotplug, unplug_cdev) { .machine = true };
FIXTURE_VARIANT_ADD(hotplug, unplug_group)
{
	.machine = true, .by_group = true
};
FIXTURE_VARIANT_ADD(hotplug, unplug_cdev_killed)
{
	.machine = true, .killed = true
};
FIXTURE_VARIANT_ADD(hotplug, unplug_group_killed)
{
	.machine = true, .by_group = true, .killed = true
};

/* Make it be there, after it was gone */
static int come_back(FIXTURE_DATA(hotplug) *self, bool machine)
{
	int ret;

	ret = machine ? plug_in(&edu_plug, self->bdf) : find_again(self->bdf);
	if (!ret && !machine)
		ret = sysdev_set_driver(self->bdf, "vfio-pci");
	return ret ? ret : sysdev_cdev_path(self->bdf, self->node);
}

FIXTURE_SETUP(hotplug)
{
	int ret;

	self->user = -1;
	self->remover = -1;
	self->bdf[0] = '\0';
	self->use = mmap(NULL, sizeof(*self->use), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->use);
	if (variant->machine) {
		if (!qmp_is_there())
			SKIP(return, "no way to have the machine unplug something");
		ret = plug_in(&edu_plug, self->bdf);
		if (ret == -EIO) {
			self->bdf[0] = '\0';
			SKIP(return, "no pcie-root-port \"port0\"");
		}
		ASSERT_EQ(0, ret);
	} else {
		if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
			SKIP(return, "no edu device");
		ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
	}
	ASSERT_EQ(0, sysdev_cdev_path(self->bdf, self->node));
	snprintf(self->dir, sizeof(self->dir), SYSDEV_PCI "/%s",
		 self->bdf);
}

static void end_processes(pid_t user, pid_t remover)
{
	if (user > 0) {
		kill(user, SIGKILL);
		waitpid(user, NULL, 0);
	}
	if (remover > 0)
		waitpid(remover, NULL, 0);
}

/* Take away what plug_in() brought, if it is still there */
static void plug_out(struct __test_metadata *_metadata, const char *dir)
{
	if (!access(dir, F_OK))
		EXPECT_EQ(0, qmp_execute("device_del", PLUGGED));
	EXPECT_TRUE(goes_away(dir));
}

FIXTURE_TEARDOWN(hotplug)
{
	end_processes(self->user, self->remover);
	if (!variant->machine) {
		if (self->bdf[0] && access(self->dir, F_OK))
			pci_rescan();
		if (self->bdf[0])
			EXPECT_EQ(0, sysdev_set_driver(self->bdf, NULL));
	} else if (self->bdf[0]) {
		plug_out(_metadata, self->dir);
	}
}

static pid_t start_user(FIXTURE_DATA(hotplug) *self, bool by_group)
{
	pid_t pid;

	memset(self->use, 0, sizeof(*self->use));
	pid = fork();
	if (!pid)
		use_device(self->bdf, by_group, self->use);
	return pid;
}

static pid_t start_removal(const char *bdf)
{
	pid_t pid = fork();

	if (!pid)
		_exit(pci_remove(bdf) ? 1 : 0);
	return pid;
}

TEST_F_TIMEOUT(hotplug, in_use, 600)
{
	long pins = pages_pinned();
	struct use *use = self->use;
	int status;

	ASSERT_LE(0, pins);
	self->user = start_user(self, variant->by_group);
	ASSERT_LT(0, self->user);
	ASSERT_TRUE(becomes_set(&use->ready));
	EXPECT_TRUE(goes_on(use));

	if (variant->machine) {
		ASSERT_EQ(0, qmp_execute("device_del", PLUGGED));
	} else {
		self->remover = start_removal(self->bdf);
		ASSERT_LT(0, self->remover);
	}
	/* the user is asked for it, and nobody else gets in */
	EXPECT_TRUE(rises(&use->asked, 0));
	EXPECT_TRUE(goes_away(self->node));
	/* until it is given back, all goes on */
	EXPECT_TRUE(goes_on(use));
	EXPECT_EQ(0, access(self->dir, F_OK));

	if (variant->killed)
		kill(self->user, SIGKILL);
	else
		set(&use->stop);
	ASSERT_EQ(self->user, waitpid(self->user, &status, 0));
	self->user = -1;
	EXPECT_EQ(variant->killed, WIFSIGNALED(status));
	if (!variant->killed)
		EXPECT_EQ(0, status);
	EXPECT_EQ(0, use->bad);
	if (!variant->machine) {
		ASSERT_EQ(self->remover, waitpid(self->remover, &status, 0));
		self->remover = -1;
		EXPECT_EQ(0, status);
	}
	EXPECT_TRUE(goes_away(self->dir));
	EXPECT_TRUE(pins_are(pins));

	/* It comes back as good as new */
	ASSERT_EQ(0, come_back(self, variant->machine));
	self->user = start_user(self, variant->by_group);
	ASSERT_LT(0, self->user);
	ASSERT_TRUE(becomes_set(&use->ready));
	EXPECT_TRUE(goes_on(use));
	set(&use->stop);
	ASSERT_EQ(self->user, waitpid(self->user, &status, 0));
	self->user = -1;
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, use->bad);
	EXPECT_TRUE(pins_are(pins));
}

/* ---- not in use, but being reset, or in another state each time one looks */

/* That both kinds of devices have in BAR 0: the factorial, or the status */
#define ANY_REGISTER	8

/**
 * struct restless - who does not leave a device alone
 * @d: the device
 * @use: how it goes: @touches counts rounds
 * @deed: what is done to it
 * @pm: its power management capability
 * @req: signalled when the device is wanted back
 */
struct restless {
	struct vp_dev d;
	struct use *use;
	int (*deed)(struct restless *r, unsigned int round);
	unsigned int pm;
	int req;
};

static int reset_it(struct restless *r, unsigned int round)
{
	int ret = call(r->d.fd, VFIO_DEVICE_RESET, NULL);

	(void)round;
	/* somebody is about to take it away, and holds it */
	return ret == -EAGAIN ? 0 : ret;
}

static int hot_reset_it(struct restless *r, unsigned int round)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };
	int ret = call(r->d.fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);

	(void)round;
	/* the same, or it is no member of its set any more */
	return ret == -EAGAIN || ret == -EBUSY || ret == -EINVAL ? 0 : ret;
}

static int toggle_memory(struct restless *r, unsigned int round)
{
	return vp_cfg_set(&r->d, PCI_COMMAND, 2,
			  round % 2 ? PCI_COMMAND_MEMORY : 0);
}

static int toggle_low_power(struct restless *r, unsigned int round)
{
	return vp_set_feature(&r->d, round % 2 ?
			      VFIO_DEVICE_FEATURE_LOW_POWER_EXIT :
			      VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static int toggle_d3hot(struct restless *r, unsigned int round)
{
	return vp_cfg_set(&r->d, r->pm + PCI_PM_CTRL, 2, round % 2 ? 0 : 3);
}

static int open_restless(struct restless *r)
{
	int ret = vp_open_bdf(&r->d);

	if (ret)
		return ret;
	r->pm = vp_find_cap(&r->d, PCI_CAP_ID_PM);
	r->req = eventfd(0, EFD_NONBLOCK);
	if (r->req < 0)
		return -errno;
	return vp_irq_fds(&r->d, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &r->req);
}

/* A process of its own, which goes on for a while after it was asked to stop */
static void be_restless(struct restless *r)
{
	unsigned int round, left = 6;
	__u32 val;
	int ret;

	ret = open_restless(r);
	if (ret) {
		printf("# restless: cannot be set up: %d\n", ret);
		_exit(1);
	}
	for (round = 0; left; round++) {
		ret = r->deed(r, round);
		if (ret) {
			printf("# restless: %d in round %u\n", ret, round);
			count(&r->use->bad);
		}
		ret = vp_read(&r->d, 0, ANY_REGISTER, &val, 4);
		if (ret != 4 && ret != -EIO)
			count(&r->use->bad);
		count(&r->use->touches);
		if (vp_events(r->req, 0) > 0)
			count(&r->use->asked);
		if (counted(&r->use->asked))
			left--;
		usleep(1000);
	}
	vp_close_fds(&r->d);
	_exit(0);
}

FIXTURE(restless)
{
	char bdf[SYSDEV_NAME_MAX];
	char dir[PATH_MAX];
	char node[PATH_MAX];
	struct use *use;
	pid_t user;
	pid_t remover;
};

FIXTURE_VARIANT(restless)
{
	const struct plug *plug;
	int (*deed)(struct restless *r, unsigned int round);
};

FIXTURE_VARIANT_ADD(restless, reset) { &edu_plug, reset_it };
FIXTURE_VARIANT_ADD(restless, hot_reset) { &edu_plug, hot_reset_it };
FIXTURE_VARIANT_ADD(restless, memory) { &edu_plug, toggle_memory };
FIXTURE_VARIANT_ADD(restless, low_power) { &e1000e_plug, toggle_low_power };
FIXTURE_VARIANT_ADD(restless, d3hot) { &e1000e_plug, toggle_d3hot };

FIXTURE_SETUP(restless)
{
	int ret;

	self->user = -1;
	self->remover = -1;
	self->bdf[0] = '\0';
	if (!qmp_is_there())
		SKIP(return, "no way to have the machine plug something in");
	self->use = mmap(NULL, sizeof(*self->use), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->use);
	ret = plug_in(variant->plug, self->bdf);
	if (ret == -EIO) {
		self->bdf[0] = '\0';
		SKIP(return, "no pcie-root-port \"port0\"");
	}
	ASSERT_EQ(0, ret);
	snprintf(self->dir, sizeof(self->dir), SYSDEV_PCI "/%s",
		 self->bdf);
}

FIXTURE_TEARDOWN(restless)
{
	end_processes(self->user, self->remover);
	if (self->bdf[0])
		plug_out(_metadata, self->dir);
}

static pid_t start_restless(FIXTURE_DATA(restless) *self,
			    const FIXTURE_VARIANT(restless) *variant)
{
	struct restless r = { .use = self->use, .deed = variant->deed };
	pid_t pid;

	memset(self->use, 0, sizeof(*self->use));
	vp_init(&r.d);
	memcpy(r.d.bdf, self->bdf, sizeof(r.d.bdf));
	pid = fork();
	if (!pid)
		be_restless(&r);
	return pid;
}

/* In the background: it waits for the user */
static pid_t start_unbind(const char *bdf)
{
	pid_t pid = fork();

	if (!pid)
		_exit(sysdev_set_driver(bdf, NULL) ? 1 : 0);
	return pid;
}

static void ends_well(struct __test_metadata *_metadata, pid_t *pid)
{
	int status;

	if (*pid < 0)
		return;
	ASSERT_EQ(*pid, waitpid(*pid, &status, 0));
	*pid = -1;
	EXPECT_EQ(0, status);
}

/* What is there and bound is as good as new */
static void works(struct __test_metadata *_metadata, const struct plug *plug,
		  const char *bdf)
{
	struct vp_dev d;

	vp_init(&d);
	snprintf(d.bdf, sizeof(d.bdf), "%s", bdf);
	ASSERT_EQ(0, vp_open_bdf(&d));
	EXPECT_EQ(plug->vendor, vp_cfg_get(&d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, vp_set_command(&d, PCI_COMMAND_MEMORY, 0));
	EXPECT_NE(~0U, vp_bar_get(&d, 0, ANY_REGISTER));
	EXPECT_EQ(0, call(d.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_NE(~0U, vp_bar_get(&d, 0, ANY_REGISTER));
	vp_close_fds(&d);
}

TEST_F_TIMEOUT(restless, is_taken_away, 600)
{
	enum { UNBIND, REMOVE, UNPLUG, WAYS } way;
	long pins = pages_pinned();

	ASSERT_LE(0, pins);
	for (way = UNBIND; way < WAYS; way++) {
		ASSERT_EQ(0, sysdev_cdev_path(self->bdf, self->node));
		self->user = start_restless(self, variant);
		ASSERT_LT(0, self->user);
		ASSERT_TRUE(rises(&self->use->touches, 3));
		if (way == UNBIND)
			self->remover = start_unbind(self->bdf);
		else if (way == REMOVE)
			self->remover = start_removal(self->bdf);
		if (way == UNPLUG)
			ASSERT_EQ(0, qmp_execute("device_del", PLUGGED));
		EXPECT_TRUE(rises(&self->use->asked, 0));
		ends_well(_metadata, &self->user);
		EXPECT_EQ(0, self->use->bad);
		ends_well(_metadata, &self->remover);
		EXPECT_TRUE(goes_away(way == UNBIND ? self->node : self->dir));
		EXPECT_TRUE(pins_are(pins));
		printf("# way %u: %u rounds\n", way, self->use->touches);

		if (way == REMOVE)
			ASSERT_EQ(0, find_again(self->bdf));
		if (way == UNPLUG)
			ASSERT_EQ(0, plug_in(variant->plug, self->bdf));
		if (way != UNPLUG)
			ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
		works(_metadata, variant->plug, self->bdf);
	}
}

/* ---- a container is set up while devices of its group come and go */

FIXTURE(mates)
{
	char bdf[2][SYSDEV_NAME_MAX];
};

FIXTURE_SETUP(mates)
{
	if (!pci_find_mates(EDU_VENDOR, EDU_DEVICE, self->bdf[0],
			    self->bdf[1])) {
		self->bdf[0][0] = '\0';
		SKIP(return, "no two edu devices in one group");
	}
	ASSERT_EQ(0, sysdev_set_driver(self->bdf[0], "vfio-pci"));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf[1], "vfio-pci"));
}

FIXTURE_TEARDOWN(mates)
{
	if (!self->bdf[0][0])
		return;
	pci_rescan();
	EXPECT_EQ(0, sysdev_set_driver(self->bdf[0], NULL));
	EXPECT_EQ(0, sysdev_set_driver(self->bdf[1], NULL));
}

/**
 * struct setter - who sets up containers
 * @group: for which group
 * @mem: what is mapped
 * @use: how it goes: @copies counts containers, @touches devices
 * @bdf: the devices of the group
 */
struct setter {
	int group;
	void *mem;
	struct use use;
	char (*bdf)[SYSDEV_NAME_MAX];
};

static void setter_bad(struct setter *s, const char *what, int ret)
{
	printf("# %s: %d\n", what, ret);
	count(&s->use.bad);
}

static void set_up_once(struct setter *s, unsigned int round)
{
	struct vfio_device_info info;
	int group, container, dev, ret;

	group = group_open(s->group);
	if (group < 0) {
		setter_bad(s, "group", group);
		return;
	}
	container = container_of_group(group);
	if (container < 0) {
		/* all members that have the driver are on their way out */
		if (container != -ENODEV)
			setter_bad(s, "container", container);
		close(group);
		return;
	}
	count(&s->use.copies);
	ret = container_map(container, s->mem);
	if (ret)
		setter_bad(s, "map", ret);
	dev = group_get_device(group, s->bdf[round % 2]);
	if (dev >= 0) {
		count(&s->use.touches);
		ret = device_info(dev, &info);
		if (ret)
			setter_bad(s, "info", ret);
		close(dev);
	} else if (dev != -ENODEV && dev != -EAGAIN) {
		/* on its way out, or in the hands of who takes it there */
		setter_bad(s, "device", dev);
	}
	/* either of them first */
	close(round % 4 < 2 ? group : container);
	close(round % 4 < 2 ? container : group);
}

static void *set_up_loop(void *arg)
{
	struct setter *s = arg;
	unsigned int i;

	for (i = 0; !is_set(&s->use.stop); i++)
		set_up_once(s, i);
	return NULL;
}

/*
 * One of the two is always there, so that the group stays; and each time it is
 * the older one that goes, which is the one that is found first.
 */
TEST_F_TIMEOUT(mates, races_with_container, 600)
{
	struct setter s = { .bdf = self->bdf };
	long pins = pages_pinned();
	unsigned int before;
	pthread_t thread;
	int i;

	s.group = sysdev_group(self->bdf[0]);
	s.mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s.mem);
	ASSERT_EQ(0, pthread_create(&thread, NULL, set_up_loop, &s));
	for (i = 0; i < 16; i++) {
		EXPECT_TRUE(rises(&s.use.copies, counted(&s.use.copies)));
		EXPECT_EQ(0, pci_remove(self->bdf[i % 2]));
		ASSERT_EQ(0, find_again(self->bdf[i % 2]));
		EXPECT_EQ(0, sysdev_set_driver(self->bdf[i % 2], "vfio-pci"));
		EXPECT_EQ(s.group, sysdev_group(self->bdf[i % 2]));
	}
	before = counted(&s.use.touches);
	EXPECT_TRUE(rises(&s.use.touches, before + 1));
	set(&s.use.stop);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	printf("# %u containers, %u devices\n", s.use.copies, s.use.touches);
	EXPECT_EQ(0, s.use.bad);
	EXPECT_TRUE(pins_are(pins));
}

/* The last device takes the group along, and the container's table */
TEST_F(mates, group_goes_with_container)
{
	int group, container, nr = sysdev_group(self->bdf[0]);
	char path[PATH_MAX];
	long pins = pages_pinned();
	__u32 flags;
	void *mem;

	mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	group = group_open(nr);
	ASSERT_LE(0, group);
	container = container_of_group(group);
	ASSERT_LE(0, container);
	ASSERT_EQ(0, container_map(container, mem));
	EXPECT_EQ(0, pci_remove(self->bdf[0]));
	EXPECT_EQ(0, group_flags(group, &flags));
	EXPECT_EQ(-ENODEV, group_get_device(group, self->bdf[0]));
	EXPECT_EQ(0, pci_remove(self->bdf[1]));
	EXPECT_EQ(-ENODEV, group_flags(group, &flags));
	EXPECT_EQ(-ENODEV, group_get_device(group, self->bdf[1]));
	EXPECT_EQ(-ENODEV, group_set_container(group, container));
	snprintf(path, sizeof(path), "/dev/vfio/%d", nr);
	EXPECT_TRUE(goes_away(path));
	/* What was mapped is forgotten with the last group of the container */
	EXPECT_TRUE(pins_are(pins));
	close(group);
	close(container);
	EXPECT_EQ(0, pci_rescan());
}

TEST_HARNESS_MAIN
