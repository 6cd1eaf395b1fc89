// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads on one device, with every pair of the things that a user does to
 * it. What a single request answers while the other thread is at work is one of
 * a few errors; what it reads is right or refused; and afterwards the device works
 * and nothing is pinned. Uses QEMU's nvme, one behind a root port if there is one:
 * that can be reset alone and with its bus.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "vfio_pci_edu.h"

#define REG_VERSION	8	/* of nvme, constant */
#define NR_VECTORS	4
#define IOVA		0x1000000UL
#define LENGTH		0x200000UL
#define PAGE		4096UL

/**
 * struct side - one of the two threads
 * @self: number
 * @rounds: how often it has done its part
 */
struct side {
	unsigned int self;
	unsigned int rounds;
};

/* What both work on, and the one who looks at it afterwards */
static struct {
	struct vp_dev d;
	__u32 ioas;
	__u32 version;
	char *mem;
	int efd[NR_VECTORS];
	bool hot_reset;	/* there is a bus to reset */
	bool reopens;	/* the file may be one that is not bound at any time */
	unsigned int bad;
	unsigned int glimpses;
} race;

static void bad(const char *what, long got)
{
	printf("# %s: %ld (0x%lx)\n", what, got, got);
	__atomic_add_fetch(&race.bad, 1, __ATOMIC_RELAXED);
}

/* Complain unless @ret is 0 or one of those that are allowed */
static void check(const char *what, int ret, int allowed1, int allowed2)
{
	if (!ret || ret == allowed1 || ret == allowed2)
		return;
	/* by an open file that is not bound yet, or no more */
	if (race.reopens && (ret == -EINVAL || ret == -EBUSY))
		return;
	bad(what, ret);
}

/* ---- what there is to do, once */

static int config_read(unsigned int pos, void *buf, unsigned int width)
{
	int ret = vp_read(&race.d, VFIO_PCI_CONFIG_REGION_INDEX, pos, buf,
			  width);

	return ret == (int)width ? 0 : ret < 0 ? ret : -EIO;
}

static void do_config(struct side *s)
{
	__u16 vendor = 0, cmd = 0;
	int ret;

	ret = config_read(PCI_VENDOR_ID, &vendor, 2);
	check("config read", ret, 0, 0);
	if (!ret && vendor != NVME_VENDOR)
		bad("vendor", vendor);
	ret = config_read(PCI_COMMAND, &cmd, 2);
	check("command read", ret, 0, 0);
	cmd &= ~PCI_COMMAND_MEMORY;
	if (s->rounds % 2)
		cmd |= PCI_COMMAND_MEMORY;
	check("command write", vp_cfg_set(&race.d, PCI_COMMAND, 2, cmd), 0, 0);
}

static __thread sigjmp_buf bus_error;

static void on_sigbus(int sig)
{
	siglongjmp(bus_error, sig);
}

static void do_touch(struct side *s)
{
	volatile char *bar;
	__u32 val;

	(void)s;
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race.d.fd,
		   vp_offset(0, 0));
	if ((void *)bar == MAP_FAILED) {
		check("mmap", -errno, 0, 0);
		return;
	}
	if (!sigsetjmp(bus_error, 1)) {
		val = *(volatile __u32 *)(bar + REG_VERSION);
		if (val != race.version)
			bad("a mapped register", val);
		__atomic_add_fetch(&race.glimpses, 1, __ATOMIC_RELAXED);
	}
	munmap((void *)bar, PAGE);
}

static void do_read(struct side *s)
{
	__u32 val = 0;
	int ret = vp_read(&race.d, 0, REG_VERSION, &val, 4);

	(void)s;
	check("BAR read", ret == 4 ? 0 : ret, -EIO, 0);
	if (ret == 4 && val != race.version)
		bad("a register", val);
}

static void do_irqs(struct side *s)
{
	__s32 none[2] = { -1, -1 };

	/* the other side may have disabled them meanwhile */
	check("IRQs on", vp_irq_fds(&race.d, VFIO_PCI_MSIX_IRQ_INDEX, 0,
				    NR_VECTORS, race.efd), 0, 0);
	check("IRQs fewer", vp_irq_fds(&race.d, VFIO_PCI_MSIX_IRQ_INDEX,
				       s->self, 2, none), 0, 0);
	check("trigger", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_TRIGGER,
				     VFIO_PCI_MSIX_IRQ_INDEX, 0, NR_VECTORS),
	      -EINVAL, 0);
	check("IRQs off", vp_irq_disable(&race.d, VFIO_PCI_MSIX_IRQ_INDEX),
	      -EINVAL, 0);
}

static void do_reset(struct side *s)
{
	(void)s;
	check("reset", vu_ioctl(race.d.fd, VFIO_DEVICE_RESET, NULL), -EAGAIN, 0);
}

static void do_hot_reset(struct side *s)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	(void)s;
	check("hot reset", vu_ioctl(race.d.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    &reset), -EAGAIN,
	      race.hot_reset ? 0 : -ENODEV);
}

static void do_power(struct side *s)
{
	struct timespec pause = { .tv_nsec = 2000000 };

	(void)s;
	check("low power", vp_set_feature(&race.d, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
	      -EINVAL, 0);
	nanosleep(&pause, NULL);
	check("no low power", vp_set_feature(&race.d, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0,
	      0);
}

static void do_attach(struct side *s)
{
	__u32 pt = race.ioas;

	(void)s;
	check("attach", vu_attach(race.d.fd, &pt), 0, 0);
	check("detach", vu_detach(race.d.fd), 0, 0);
}

static void do_map(struct side *s)
{
	__u64 iova = IOVA + s->self * LENGTH;

	check("map", vu_ioas_map(race.d.iommufd, race.ioas, race.mem, LENGTH,
				 iova), 0, 0);
	check("unmap", vu_ioas_unmap(race.d.iommufd, race.ioas, iova, LENGTH),
	      0, 0);
}

/*
 * The number of the file stays, for the others; who was in it goes on to the end
 * of his request. Only one can have it bound.
 */
static pthread_mutex_t reopening = PTHREAD_MUTEX_INITIALIZER;

static void do_reopen(struct side *s)
{
	int i, fd, ret;

	(void)s;
	pthread_mutex_lock(&reopening);
	fd = vu_cdev_open(race.d.bdf);
	if (fd < 0) {
		bad("open", fd);
		goto out;
	}
	if (dup3(fd, race.d.fd, O_CLOEXEC) < 0)
		bad("dup3", errno);
	close(fd);
	for (i = 0; i < 30000; i++) {
		ret = vu_bind(race.d.fd, race.d.iommufd, NULL);
		if (ret != -EBUSY && ret != -EINVAL && ret != -EAGAIN)
			break;
		usleep(1000);
	}
	if (ret)
		bad("bind", ret);
out:
	pthread_mutex_unlock(&reopening);
	/* the other one's turn */
	usleep(1000);
}

/* ---- the pairs */

struct deed {
	const char *name;
	void (*once)(struct side *s);
	unsigned int rounds;
};

static const struct deed deeds[] = {
	{ "config", do_config, 60 },
	{ "touch", do_touch, 40 },
	{ "read", do_read, 60 },
	{ "irqs", do_irqs, 10 },
	{ "reset", do_reset, 3 },
	{ "hot_reset", do_hot_reset, 2 },
	{ "power", do_power, 6 },
	{ "attach", do_attach, 10 },
	{ "map", do_map, 10 },
	{ "reopen", do_reopen, 3 },
};

#define NR_DEEDS	(sizeof(deeds) / sizeof(deeds[0]))

/* What waits for slow ones need not do all of its rounds */
#define ENOUGH_SECONDS	0.5
static unsigned int enough_rounds = 2;

struct thread {
	const struct deed *deed;
	struct side side;
	const struct thread *other;
	double begin;
};

static bool has_done(const struct thread *t, double now)
{
	unsigned int rounds = __atomic_load_n(&t->side.rounds,
					      __ATOMIC_RELAXED);

	return rounds >= (now < t->begin + ENOUGH_SECONDS ? t->deed->rounds :
			  enough_rounds);
}

/* Nobody stops before both have done their part */
static void *run(void *arg)
{
	struct thread *t = arg;
	double now = t->begin;

	for (; !has_done(t, now) || !has_done(t->other, now); now = vu_seconds()) {
		t->deed->once(&t->side);
		__atomic_add_fetch(&t->side.rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool is_behind_port(const char *bdf)
{
	return strncmp(bdf, "0000:00:", 8);
}

FIXTURE(race)
{
	long pins;
};

FIXTURE_VARIANT(race)
{
	unsigned int deed;
};

FIXTURE_VARIANT_ADD(race, config) { .deed = 0 };
FIXTURE_VARIANT_ADD(race, touch) { .deed = 1 };
FIXTURE_VARIANT_ADD(race, read) { .deed = 2 };
FIXTURE_VARIANT_ADD(race, irqs) { .deed = 3 };
FIXTURE_VARIANT_ADD(race, reset) { .deed = 4 };
FIXTURE_VARIANT_ADD(race, hot_reset) { .deed = 5 };
FIXTURE_VARIANT_ADD(race, power) { .deed = 6 };
FIXTURE_VARIANT_ADD(race, attach) { .deed = 7 };
FIXTURE_VARIANT_ADD(race, map) { .deed = 8 };
FIXTURE_VARIANT_ADD(race, reopen) { .deed = 9 };

FIXTURE_SETUP(race)
{
	struct sigaction sa = { .sa_handler = on_sigbus };
	unsigned int nth;
	int i;

	vp_init(&race.d);
	self->pins = vu_pins();
	ASSERT_LE(0, self->pins);
	for (nth = 0; vu_find_pci(NVME_VENDOR, NVME_DEVICE, nth, race.d.bdf);
	     nth++)
		if (is_behind_port(race.d.bdf))
			break;
	race.hot_reset = race.d.bdf[0] && is_behind_port(race.d.bdf);
	if (!race.d.bdf[0])
		SKIP(return, "no nvme device");
	ASSERT_EQ(0, vp_take(&race.d));
	ASSERT_EQ(0, vu_ioas_alloc(race.d.iommufd, &race.ioas));
	ASSERT_EQ(0, vp_set_command(&race.d, PCI_COMMAND_MEMORY, 0));
	race.version = vp_bar_get(&race.d, 0, REG_VERSION);
	ASSERT_NE(~0U, race.version);
	race.mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race.mem);
	for (i = 0; i < NR_VECTORS; i++) {
		race.efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, race.efd[i]);
	}
	ASSERT_EQ(0, sigaction(SIGBUS, &sa, NULL));
}

FIXTURE_TEARDOWN(race)
{
	EXPECT_EQ(0, vp_close(&race.d));
}

/* All that a user needs of a device */
static void works(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self)
{
	struct vp_dev *d = &race.d;
	__u32 pt = race.ioas;
	volatile char *bar;
	char buf[64];
	int i;

	EXPECT_EQ(0, vp_set_feature(&race.d, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	i = vp_irq_disable(d, VFIO_PCI_MSIX_IRQ_INDEX);
	EXPECT_TRUE(!i || i == -EINVAL);
	EXPECT_EQ(0, vu_detach(d->fd));
	for (i = 0; i < NR_VECTORS; i++)
		vp_events(race.efd[i], 0);

	ASSERT_EQ(0, vu_fdinfo(d->fd, "pci-irq-type", buf, sizeof(buf)));
	EXPECT_STREQ("none", buf);
	EXPECT_EQ(0, vu_ioctl(d->fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, vp_set_command(d, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(NVME_VENDOR, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(race.version, vp_bar_get(d, 0, REG_VERSION));
	bar = vp_mmap(d, 0, 0, PAGE);
	ASSERT_NE(MAP_FAILED, (void *)bar);
	EXPECT_EQ(race.version, *(volatile __u32 *)(bar + REG_VERSION));
	EXPECT_EQ(0, vp_munmap(d, (void *)bar));

	EXPECT_EQ(0, vp_irq_fds(d, VFIO_PCI_MSIX_IRQ_INDEX, 0, NR_VECTORS,
				race.efd));
	EXPECT_EQ(0, vp_irq_none(d, VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, NR_VECTORS));
	for (i = 0; i < NR_VECTORS; i++)
		EXPECT_EQ(1, vp_events(race.efd[i], 1000));
	EXPECT_EQ(0, vp_irq_disable(d, VFIO_PCI_MSIX_IRQ_INDEX));

	EXPECT_EQ(0, vu_attach(d->fd, &pt));
	EXPECT_EQ(0, vu_ioas_map(d->iommufd, race.ioas, race.mem, LENGTH,
				 IOVA));
	EXPECT_EQ(0, vu_ioas_unmap(d->iommufd, race.ioas, IOVA, LENGTH));
	EXPECT_EQ(0, vu_detach(d->fd));
	for (i = 0; i < 500 && vu_pins() != self->pins; i++)
		usleep(10000);
	EXPECT_EQ(self->pins, vu_pins());
}

/* With itself, and with each that is further down in the table */
TEST_F_TIMEOUT(race, with_the_others, 600)
{
	struct thread t[2] = {
		{ .deed = &deeds[variant->deed], .other = &t[1] },
		{ .side.self = 1, .other = &t[0] },
	};
	pthread_t threads[2];
	unsigned int i, j;

	for (i = variant->deed; i < NR_DEEDS; i++) {
		t[1].deed = &deeds[i];
		t[0].side.rounds = 0;
		t[1].side.rounds = 0;
		race.bad = 0;
		race.reopens = t[0].deed->once == do_reopen ||
			       t[1].deed->once == do_reopen;
		t[0].begin = vu_seconds();
		t[1].begin = t[0].begin;
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, pthread_create(&threads[j], NULL, run,
						    &t[j]));
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, pthread_join(threads[j], NULL));
		printf("# %s and %s: %u and %u, %.1f s\n", t[0].deed->name,
		       t[1].deed->name, t[0].side.rounds, t[1].side.rounds,
		       vu_seconds() - t[0].begin);
		EXPECT_EQ(0, race.bad);
		works(_metadata, self);
	}
	/* or else nothing was seen by mappings at all */
	if (deeds[variant->deed].once == do_touch)
		EXPECT_LT(0, race.glimpses);
}

int main(int argc, char **argv)
{
	if (getenv("VM_SLOWER"))
		enough_rounds = 1;
	return test_harness_run(argc, argv);
}
