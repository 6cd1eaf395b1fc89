// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads on one device, with every pair of the things that a user does to
 * it. What a single request answers while the other thread is at work is one of
 * a few errors; what it reads is right or refused; and afterwards the device works
 * and nothing is pinned. Uses QEMU's nvme, and edu, which raises interrupts when it
 * is told to; of each one behind a root port if there is one: that can be reset
 * alone and with its bus.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "../lib/type1.h"
#include "vfio_pci_p2p.h"

#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX
#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define INTX		VFIO_PCI_INTX_IRQ_INDEX

#define MAX_VECTORS	4
#define IOVA		0x1000000UL
#define LENGTH		0x200000UL

/* Numbers that are eventfds all the time, though not the same ones */
#define TRIGGER_FD	200
#define UNMASK_FD	201

/**
 * struct kind - what is known of a device
 * @vendor: its id
 * @device: its id
 * @constant: a register in BAR 0 that is always the same
 * @writable: one that may be written whatever the device is doing
 * @vectors: its index of messages
 * @nr_vectors: so many are used
 * @raises: there are registers to raise an interrupt
 */
struct kind {
	unsigned int vendor;
	unsigned int device;
	unsigned int constant;
	unsigned int writable;
	unsigned int vectors;
	unsigned int nr_vectors;
	bool raises;
};

static const struct kind nvme = {
	.vendor = NVME_VENDOR,
	.device = NVME_DEVICE,
	.constant = 8,		/* the version */
	.writable = 0x10,	/* INTMC, which only INTx has a use for */
	.vectors = MSIX,
	.nr_vectors = MAX_VECTORS,
};

static const struct kind edu = {
	.vendor = EDU_VENDOR,
	.device = EDU_DEVICE,
	.constant = EDU_ID,
	.writable = EDU_LIVENESS,
	.vectors = MSI,
	.nr_vectors = 1,
	.raises = true,
};

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
	const struct kind *kind;
	struct vp_dev d;
	__u32 ioas;
	__u32 version;
	char *mem;
	int efd[MAX_VECTORS];
	int kick[2];
	unsigned int pm;	/* these capabilities, or 0 */
	unsigned int exp;
	bool hot_reset;	/* there is a bus to reset */
	bool dmabufs;	/* and memory that may be exported */
	bool reopens;	/* the file may be one that is not bound at any time */
	bool mixed;	/* interrupts of another index may be enabled */
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
	if (!ret && vendor != race.kind->vendor)
		bad("vendor", vendor);
	ret = config_read(PCI_COMMAND, &cmd, 2);
	check("command read", ret, 0, 0);
	cmd &= ~(PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	if (s->rounds % 2)
		cmd |= PCI_COMMAND_MEMORY;
	if (s->rounds % 4 < 2)
		cmd |= PCI_COMMAND_INTX_DISABLE;
	check("command write", vp_cfg_set(&race.d, PCI_COMMAND, 2, cmd), 0, 0);
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
	if (mem_peek32((volatile __u32 *)(bar + race.kind->constant), &val)) {
		if (val != race.version)
			bad("a mapped register", val);
		__atomic_add_fetch(&race.glimpses, 1, __ATOMIC_RELAXED);
	}
	munmap((void *)bar, PAGE);
}

static void do_read(struct side *s)
{
	__u32 val = 0;
	int ret = vp_read(&race.d, 0, race.kind->constant, &val, 4);

	(void)s;
	check("BAR read", ret == 4 ? 0 : ret, -EIO, 0);
	if (ret == 4 && val != race.version)
		bad("a register", val);
}

/* It may not be reachable just now */
static void edu_raise(void)
{
	if (race.kind->raises)
		vp_bar_set(&race.d, 0, EDU_IRQ_RAISE, 1);
}

static void edu_ack(void)
{
	if (race.kind->raises)
		vp_bar_set(&race.d, 0, EDU_IRQ_ACK, ~0U);
}

/* The other side may have disabled, or enabled, them meanwhile */
static void check_enable(const char *what, int ret)
{
	check(what, ret, race.mixed ? -EINVAL : 0, 0);
}

static void do_irqs(struct side *s)
{
	unsigned int index = race.kind->vectors, nr = race.kind->nr_vectors;
	unsigned int first = s->self < nr ? s->self : 0;
	__s32 none[2] = { -1, -1 };

	check_enable("IRQs on", vp_irq_fds(&race.d, index, 0, nr, race.efd));
	edu_raise();
	check_enable("IRQs fewer", vp_irq_fds(&race.d, index, first,
					      nr > 2 ? 2 : 1, none));
	check("trigger", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_TRIGGER,
				     index, 0, nr), -EINVAL, 0);
	check("IRQs off", vp_irq_disable(&race.d, index), -EINVAL, 0);
	edu_ack();
}

static void do_intx(struct side *s)
{
	check_enable("INTx on", vp_irq_fds(&race.d, INTX, 0, 1,
					   &race.efd[s->self]));
	edu_raise();
	check("mask", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_MASK, INTX, 0,
				  1), -EINVAL, 0);
	/* for a level that is still there, a second event */
	check("unmask", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_UNMASK, INTX,
				    0, 1), -EINVAL, 0);
	check("INTx trigger", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_TRIGGER,
					  INTX, 0, 1), -EINVAL, 0);
	edu_ack();
	check("unmask again", vp_irq_none(&race.d, VFIO_IRQ_SET_ACTION_UNMASK,
					  INTX, 0, 1), -EINVAL, 0);
	if (s->rounds % 2)
		check("INTx off", vp_irq_disable(&race.d, INTX), -EINVAL, 0);
}

/* Who has the number of the old one in hand loses the eventfd with that */
static void fresh_eventfd(int nr)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0 || dup3(fd, nr, O_CLOEXEC) < 0)
		bad("eventfd", errno);
	close(fd);
}

/* Both eventfds of INTx are freed in use, one of them while it unmasks */
static void do_unmask(struct side *s)
{
	__s32 trigger = TRIGGER_FD, unmask = UNMASK_FD, none = -1;
	__u64 one = 1;
	int i;

	fresh_eventfd(TRIGGER_FD);
	check_enable("INTx on", vp_irq_fds(&race.d, INTX, 0, 1, &trigger));
	check("unmask eventfd",
	      vp_set_irqs(&race.d, VFIO_IRQ_SET_DATA_EVENTFD |
			  VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0, 1, &unmask,
			  sizeof(unmask)), -EBUSY, -EINVAL);
	edu_raise();
	for (i = 0; i < 4; i++)
		if (write(UNMASK_FD, &one, sizeof(one)) != sizeof(one))
			bad("kick", errno);
	if (s->rounds % 4)
		fresh_eventfd(UNMASK_FD);
	else
		check("no unmask eventfd",
		      vp_set_irqs(&race.d, VFIO_IRQ_SET_DATA_EVENTFD |
				  VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0, 1, &none,
				  sizeof(none)), -EINVAL, 0);
	edu_ack();
	if (s->rounds % 3 == 2)
		check("INTx off", vp_irq_disable(&race.d, INTX), -EINVAL, 0);
}

/*
 * Who waits for access to configuration space is woken at the end of a reset, and
 * finds the next one under way.
 */
static void your_turn(void)
{
	usleep(1000);
}

static void do_reset(struct side *s)
{
	(void)s;
	check("reset", call(race.d.fd, VFIO_DEVICE_RESET, NULL), -EAGAIN, 0);
	your_turn();
}

static void do_hot_reset(struct side *s)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	(void)s;
	check("hot reset", call(race.d.fd, VFIO_DEVICE_PCI_HOT_RESET,
				&reset), -EAGAIN,
	      race.hot_reset ? 0 : -ENODEV);
	your_turn();
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
	/* While the mate resets the device it cannot be attached */
	check("attach", cdev_attach(race.d.fd, &pt), -EBUSY, 0);
	check("detach", cdev_detach(race.d.fd), 0, 0);
}

static void do_map(struct side *s)
{
	__u64 iova = IOVA + s->self * LENGTH;

	check("map", ioas_map_at(race.d.iommufd, race.ioas, race.mem, LENGTH,
				 iova), 0, 0);
	check("unmap", ioas_unmap(race.d.iommufd, race.ioas, iova, LENGTH),
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
	fd = cdev_open(race.d.bdf);
	if (fd < 0) {
		bad("open", fd);
		goto out;
	}
	if (dup3(fd, race.d.fd, O_CLOEXEC) < 0)
		bad("dup3", errno);
	close(fd);
	for (i = 0; i < 30000; i++) {
		ret = cdev_bind(race.d.fd, race.d.iommufd, NULL);
		if (ret != -EBUSY && ret != -EINVAL && ret != -EAGAIN)
			break;
		usleep(1000);
	}
	if (ret)
		bad("bind", ret);
out:
	pthread_mutex_unlock(&reopening);
	your_turn();
}

static void do_d3(struct side *s)
{
	(void)s;
	check("D3hot", vp_cfg_set(&race.d, race.pm + PCI_PM_CTRL, 2, 3), 0, 0);
	your_turn();
	check("D0", vp_cfg_set(&race.d, race.pm + PCI_PM_CTRL, 2, 0), 0, 0);
}

static void do_flr(struct side *s)
{
	(void)s;
	check("FLR", vp_cfg_set(&race.d, race.exp + PCI_EXP_DEVCTL, 2,
				PCI_EXP_DEVCTL_BCR_FLR), 0, 0);
	your_turn();
}

static int ioeventfd(const struct side *s, int fd)
{
	struct vfio_device_ioeventfd ioe = {
		.argsz = sizeof(ioe),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = race.kind->writable,
		.data = s->self,
		.fd = fd,
	};

	return call(race.d.fd, VFIO_DEVICE_IOEVENTFD, &ioe);
}

static void do_ioeventfd(struct side *s)
{
	__u64 one = 1;

	check("ioeventfd", ioeventfd(s, race.kick[s->self]), 0, 0);
	if (write(race.kick[s->self], &one, sizeof(one)) != sizeof(one))
		bad("kick", errno);
	check("no ioeventfd", ioeventfd(s, -1), race.reopens ? -ENODEV : 0, 0);
}

static void do_dmabuf(struct side *s)
{
	__u64 iova = IOVA + (2 + s->self) * LENGTH;
	int ret, fd;

	fd = dmabuf_export(&race.d, 0, 0, PAGE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		check("dma-buf", fd, 0, 0);
		return;
	}
	ret = ioas_map_file_prot(race.d.iommufd, race.ioas, fd, 0, PAGE, iova,
				 RD | WR);
	/* revoked when its device was closed */
	check("map dma-buf", ret, race.reopens ? -ENODEV : 0, 0);
	/* either of them first */
	if (s->rounds % 2)
		close(fd);
	if (!ret)
		check("unmap dma-buf", ioas_unmap(race.d.iommufd, race.ioas,
						  iova, PAGE), 0, 0);
	if (!(s->rounds % 2))
		close(fd);
}

static void do_info(struct side *s)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[8];
	} hot = { .info.argsz = sizeof(hot) };
	struct vfio_region_info region;
	struct vfio_device_info info;
	struct vfio_irq_info irq;
	char buf[64];

	(void)s;
	check("device info", device_info(race.d.fd, &info), 0, 0);
	check("region info", vp_region(&race.d, 0, &region), 0, 0);
	check("ROM info", vp_region(&race.d, VFIO_PCI_ROM_REGION_INDEX,
				    &region), 0, 0);
	check("irq info", vp_irq_info(&race.d, race.kind->vectors, &irq), 0, 0);
	check("hot reset info",
	      call(race.d.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hot),
	      race.hot_reset ? 0 : -ENODEV, 0);
	check("fdinfo", fdinfo_get(race.d.fd, "pci-irq-type", buf, sizeof(buf)),
	      race.reopens ? -ENOENT : 0, 0);
}

static void do_notify(struct side *s)
{
	static const __u32 indexes[] = {
		VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX,
	};
	unsigned int i;

	for (i = 0; i < (race.exp ? 2 : 1); i++) {
		check("notification", vp_irq_fds(&race.d, indexes[i], 0, 1,
						 &race.kick[s->self]), 0, 0);
		check("notify", vp_irq_none(&race.d,
					    VFIO_IRQ_SET_ACTION_TRIGGER,
					    indexes[i], 0, 1), -EINVAL, 0);
		check("no notification", vp_irq_disable(&race.d, indexes[i]),
		      -EINVAL, 0);
	}
}

/* The other way to the device, which is open only while nobody has it bound */
static void do_group(struct side *s)
{
	int group, container, dev, ret;

	(void)s;
	group = group_open(sysdev_group(race.d.bdf));
	if (group < 0) {
		check("group", group, -EBUSY, 0);
		your_turn();
		return;
	}
	container = container_open();
	ret = group_set_container(group, container);
	check("container", ret, 0, 0);
	if (!ret)
		ret = t1_set_iommu(container, VFIO_TYPE1v2_IOMMU);
	check("container's IOMMU", ret, 0, 0);
	dev = ret ? ret : group_get_device(group, race.d.bdf);
	if (dev >= 0)
		close(dev);
	else
		check("device of the group", dev, -EBUSY, 0);
	close(container);
	close(group);
	your_turn();
}

/* ---- the pairs */

/**
 * struct deed - what a thread does
 * @name: for the log
 * @once: does it
 * @rounds: so often
 * @irqs: the interrupts that it enables, by a number; 0 for none
 */
struct deed {
	const char *name;
	void (*once)(struct side *s);
	unsigned int rounds;
	unsigned int irqs;
};

/* The order of the pairs: an interrupt of edu is the first of a pair */
enum {
	INTX_DEED, UNMASK, IRQS, CONFIG, TOUCH, READ, RESET, HOT_RESET, POWER,
	ATTACH, MAP, REOPEN, D3, FLR, IOEVENTFD, DMABUF, INFO, NOTIFY, GROUP,
	NR_DEEDS,
};

static const struct deed deeds[NR_DEEDS] = {
	[INTX_DEED] = { "intx", do_intx, 10, INTX + 1 },
	[UNMASK] = { "unmask", do_unmask, 10, INTX + 1 },
	[IRQS] = { "irqs", do_irqs, 10, MSI + 1 },
	[CONFIG] = { "config", do_config, 30 },
	[TOUCH] = { "touch", do_touch, 30 },
	[READ] = { "read", do_read, 40 },
	[RESET] = { "reset", do_reset, 2 },
	[HOT_RESET] = { "hot_reset", do_hot_reset, 2 },
	[POWER] = { "power", do_power, 4 },
	[ATTACH] = { "attach", do_attach, 10 },
	[MAP] = { "map", do_map, 10 },
	[REOPEN] = { "reopen", do_reopen, 2 },
	[D3] = { "d3", do_d3, 4 },
	[FLR] = { "flr", do_flr, 2 },
	[IOEVENTFD] = { "ioeventfd", do_ioeventfd, 10 },
	[DMABUF] = { "dmabuf", do_dmabuf, 10 },
	[INFO] = { "info", do_info, 10 },
	[NOTIFY] = { "notify", do_notify, 10 },
	[GROUP] = { "group", do_group, 10 },
};

/* Not what the device does not have, nor twice what is the same on both devices */
static bool is_possible(unsigned int deed)
{
	switch (deed) {
	case D3:
		return race.pm;
	case FLR:
		return race.exp;
	case DMABUF:
		return race.dmabufs;
	case UNMASK:
		return race.kind->raises;
	case MAP:
	case IOEVENTFD:
	case NOTIFY:
	case GROUP:
		return !race.kind->raises;
	}
	return true;
}

/* What is slow, or waits for slow ones, need not do all of its rounds */
#define ENOUGH_SECONDS	0.15
#define ENOUGH_ROUNDS	1

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
			  ENOUGH_ROUNDS);
}

/* Nobody stops before both have done their part */
static void *run(void *arg)
{
	struct thread *t = arg;
	double now = t->begin;

	for (; !has_done(t, now) || !has_done(t->other, now); now = seconds_now()) {
		t->deed->once(&t->side);
		__atomic_add_fetch(&t->side.rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

FIXTURE(race)
{
	long pins;
};

FIXTURE_VARIANT(race)
{
	const struct kind *kind;
	unsigned int deed;
};

FIXTURE_VARIANT_ADD(race, edu_intx) { .kind = &edu, .deed = INTX_DEED };
FIXTURE_VARIANT_ADD(race, edu_unmask) { .kind = &edu, .deed = UNMASK };
FIXTURE_VARIANT_ADD(race, edu_irqs) { .kind = &edu, .deed = IRQS };
FIXTURE_VARIANT_ADD(race, intx) { .kind = &nvme, .deed = INTX_DEED };
FIXTURE_VARIANT_ADD(race, irqs) { .kind = &nvme, .deed = IRQS };
FIXTURE_VARIANT_ADD(race, config) { .kind = &nvme, .deed = CONFIG };
FIXTURE_VARIANT_ADD(race, touch) { .kind = &nvme, .deed = TOUCH };
FIXTURE_VARIANT_ADD(race, read) { .kind = &nvme, .deed = READ };
FIXTURE_VARIANT_ADD(race, reset) { .kind = &nvme, .deed = RESET };
FIXTURE_VARIANT_ADD(race, hot_reset) { .kind = &nvme, .deed = HOT_RESET };
FIXTURE_VARIANT_ADD(race, power) { .kind = &nvme, .deed = POWER };
FIXTURE_VARIANT_ADD(race, attach) { .kind = &nvme, .deed = ATTACH };
FIXTURE_VARIANT_ADD(race, map) { .kind = &nvme, .deed = MAP };
FIXTURE_VARIANT_ADD(race, reopen) { .kind = &nvme, .deed = REOPEN };
FIXTURE_VARIANT_ADD(race, d3) { .kind = &nvme, .deed = D3 };
FIXTURE_VARIANT_ADD(race, flr) { .kind = &nvme, .deed = FLR };
FIXTURE_VARIANT_ADD(race, ioeventfd) { .kind = &nvme, .deed = IOEVENTFD };
FIXTURE_VARIANT_ADD(race, dmabuf) { .kind = &nvme, .deed = DMABUF };
FIXTURE_VARIANT_ADD(race, info) { .kind = &nvme, .deed = INFO };
FIXTURE_VARIANT_ADD(race, notify) { .kind = &nvme, .deed = NOTIFY };
FIXTURE_VARIANT_ADD(race, group) { .kind = &nvme, .deed = GROUP };

static void look_closer(void)
{
	struct vp_dev *d = &race.d;
	int fd;

	race.pm = vp_find_cap(d, PCI_CAP_ID_PM);
	race.exp = vp_find_cap(d, PCI_CAP_ID_EXP);
	fd = dmabuf_export(d, 0, 0, PAGE, O_RDWR | O_CLOEXEC);
	race.dmabufs = fd >= 0;
	if (fd >= 0)
		close(fd);
}

FIXTURE_SETUP(race)
{
	const struct kind *kind = variant->kind;
	unsigned int nth;
	int i;

	vp_init(&race.d);
	race.kind = kind;
	self->pins = pages_pinned();
	ASSERT_LE(0, self->pins);
	for (nth = 0; sysdev_find_pci(kind->vendor, kind->device, nth, race.d.bdf);
	     nth++)
		if (pci_is_alone(race.d.bdf))
			break;
	race.hot_reset = race.d.bdf[0] && pci_is_alone(race.d.bdf);
	if (!race.d.bdf[0])
		SKIP(return, "no such device");
	if (kind->raises && !race.hot_reset) {
		race.d.bdf[0] = '\0';
		SKIP(return, "no edu device alone behind a root port");
	}
	ASSERT_EQ(0, vp_take(&race.d));
	/*
	 * A message that is raised in a reset goes to the address that the
	 * reset has left, which is none.
	 */
	dma_faults_say(race.d.bdf, "begin");
	ASSERT_EQ(0, ioas_alloc(race.d.iommufd, &race.ioas));
	ASSERT_EQ(0, vp_set_command(&race.d, PCI_COMMAND_MEMORY |
				    PCI_COMMAND_MASTER, 0));
	race.version = vp_bar_get(&race.d, 0, kind->constant);
	ASSERT_NE(~0U, race.version);
	race.mem = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race.mem);
	for (i = 0; i < MAX_VECTORS; i++) {
		race.efd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, race.efd[i]);
	}
	for (i = 0; i < 2; i++) {
		race.kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, race.kick[i]);
	}
	fresh_eventfd(TRIGGER_FD);
	fresh_eventfd(UNMASK_FD);
	ASSERT_EQ(0, race.bad);
	look_closer();
}

FIXTURE_TEARDOWN(race)
{
	dma_faults_say(race.d.bdf, "end");
	EXPECT_EQ(0, vp_close(&race.d));
}

/* As it is when it is opened, but for what takes long */
static void clean_up(struct __test_metadata *_metadata)
{
	static const unsigned int indexes[] = { INTX, MSI, MSIX };
	struct vp_dev *d = &race.d;
	unsigned int i;
	int ret;

	EXPECT_EQ(0, vp_set_feature(d, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	if (race.pm)
		EXPECT_EQ(0, vp_cfg_set(d, race.pm + PCI_PM_CTRL, 2, 0));
	for (i = 0; i < 3; i++) {
		ret = vp_irq_disable(d, indexes[i]);
		EXPECT_TRUE(!ret || ret == -EINVAL);
	}
	EXPECT_EQ(0, cdev_detach(d->fd));
	EXPECT_EQ(0, vp_set_command(d, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
				    PCI_COMMAND_INTX_DISABLE));
	edu_ack();
	for (i = 0; i < MAX_VECTORS; i++)
		vp_events(race.efd[i], 0);
}

/* All of its interrupts reach the user */
static void interrupts(struct __test_metadata *_metadata)
{
	unsigned int i, nr = race.kind->nr_vectors;
	struct vp_dev *d = &race.d;

	EXPECT_EQ(0, vp_irq_fds(d, race.kind->vectors, 0, nr, race.efd));
	/*
	 * A message that waits at another processor when its handler goes is
	 * taken for one of the next handler, if that gets the same vector.
	 */
	usleep(50000);
	for (i = 0; i < nr; i++)
		vp_events(race.efd[i], 0);
	EXPECT_EQ(0, vp_irq_none(d, VFIO_IRQ_SET_ACTION_TRIGGER,
				 race.kind->vectors, 0, nr));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(1, vp_events(race.efd[i], 1000));
	if (race.kind->raises) {
		edu_raise();
		EXPECT_EQ(1, vp_events(race.efd[0], 5000));
		edu_ack();
	}
	EXPECT_EQ(0, vp_irq_disable(d, race.kind->vectors));

	EXPECT_EQ(0, vp_irq_fds(d, INTX, 0, 1, race.efd));
	if (race.kind->raises) {
		/* what was raised meanwhile as a message is gone with this */
		edu_ack();
		vp_irq_none(d, VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0, 1);
		vp_events(race.efd[0], 0);
		edu_raise();
		EXPECT_LE(1, vp_events(race.efd[0], 5000));
		EXPECT_EQ(0, vp_irq_none(d, VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0,
					 1));
		EXPECT_LE(1, vp_events(race.efd[0], 5000));
		edu_ack();
	}
	EXPECT_EQ(0, vp_irq_disable(d, INTX));
}

/* All that a user needs of a device, but a reset */
static void works(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self)
{
	unsigned int constant = race.kind->constant;
	struct vp_dev *d = &race.d;
	__u32 pt = race.ioas;
	volatile char *bar;
	char buf[64];
	int i;

	clean_up(_metadata);
	ASSERT_EQ(0, fdinfo_get(d->fd, "pci-irq-type", buf, sizeof(buf)));
	EXPECT_STREQ("none", buf);
	EXPECT_EQ(race.kind->vendor, vp_cfg_get(d, PCI_VENDOR_ID, 2));
	EXPECT_EQ(race.version, vp_bar_get(d, 0, constant));
	bar = vp_mmap(d, 0, 0, PAGE);
	ASSERT_NE(MAP_FAILED, (void *)bar);
	EXPECT_EQ(race.version, *(volatile __u32 *)(bar + constant));
	EXPECT_EQ(0, vp_munmap(d, (void *)bar));
	interrupts(_metadata);

	EXPECT_EQ(0, cdev_attach(d->fd, &pt));
	EXPECT_EQ(0, ioas_map_at(d->iommufd, race.ioas, race.mem, LENGTH,
				 IOVA));
	EXPECT_EQ(0, ioas_unmap(d->iommufd, race.ioas, IOVA, LENGTH));
	EXPECT_EQ(0, cdev_detach(d->fd));
	for (i = 0; i < 500 && pages_pinned() != self->pins; i++)
		usleep(10000);
	EXPECT_EQ(self->pins, pages_pinned());
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

	if (!is_possible(variant->deed))
		SKIP(return, "not with this device and kernel");
	for (i = variant->deed; i < NR_DEEDS; i++) {
		if (!is_possible(i))
			continue;
		t[1].deed = &deeds[i];
		t[0].side.rounds = 0;
		t[1].side.rounds = 0;
		race.bad = 0;
		race.reopens = t[0].deed->once == do_reopen ||
			       t[1].deed->once == do_reopen;
		race.mixed = t[0].deed->irqs && t[1].deed->irqs &&
			     t[0].deed->irqs != t[1].deed->irqs;
		t[0].begin = seconds_now();
		t[1].begin = t[0].begin;
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, pthread_create(&threads[j], NULL, run,
						    &t[j]));
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, pthread_join(threads[j], NULL));
		printf("# %s and %s: %u and %u, %.1f s\n", t[0].deed->name,
		       t[1].deed->name, t[0].side.rounds, t[1].side.rounds,
		       seconds_now() - t[0].begin);
		EXPECT_EQ(0, race.bad);
		works(_metadata, self);
	}
	EXPECT_EQ(0, call(race.d.fd, VFIO_DEVICE_RESET, NULL));
	works(_metadata, self);
	/* or else nothing was seen by mappings at all */
	if (deeds[variant->deed].once == do_touch)
		EXPECT_LT(0, race.glimpses);
}

TEST_HARNESS_MAIN
