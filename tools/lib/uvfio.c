// SPDX-License-Identifier: GPL-2.0-only
/*
 * uvfio - the few calls that a userspace device driver needs. See uvfio.h.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64	/* config space is at 7 << 40 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "fdpass.h"
#include "sysdev.h"
#include "uvfio.h"

static _Thread_local char error_text[512] = "no error";

const char *uvfio_error(void)
{
	return error_text;
}

/* Remember why, and hand the errno on. */
__attribute__((format(printf, 2, 3)))
static int fail(int err, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	used = strlen(error_text);
	snprintf(error_text + used, sizeof(error_text) - used, ": %s",
		 strerror(err));
	return -err;
}

/*
 * The kernel says in the fdinfo of /dev/iommu, in words, why it refused a
 * request. It counts what it refuses, so that an old reason is not taken for a
 * new one. Returns whether there was one.
 */
static bool add_reason(struct uvfio_iommu *iommu)
{
	unsigned long long refusals = 0;
	bool found = false;
	char path[64], line[512];
	size_t used;
	char *reason;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", iommu->fd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (fgets(line, sizeof(line), info)) {
		if (sscanf(line, "refusals: %llu", &refusals) == 1)
			continue;
		if (strncmp(line, "last-refusal:", 13) ||
		    refusals == iommu->refusals)
			continue;
		/* "last-refusal:\t-EINVAL the reason" */
		reason = strchr(line, ' ');
		if (!reason)
			continue;
		line[strcspn(line, "\n")] = '\0';
		used = strlen(error_text);
		snprintf(error_text + used, sizeof(error_text) - used,
			 " (%s)", reason + 1);
		found = true;
	}
	iommu->refusals = refusals;
	fclose(info);
	return found;
}

/*
 * What the device's file says of its own refusals, which is where those of a bind
 * are that never got to the iommufd: the device is in use, or its group.
 */
static void add_device_reason(const struct uvfio_device *dev)
{
	char path[64], line[512];
	size_t used;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dev->fd);
	info = fopen(path, "re");
	if (!info)
		return;
	while (fgets(line, sizeof(line), info)) {
		/* "vfio-refusal:\tthe reason" */
		if (strncmp(line, "vfio-refusal:\t", 14))
			continue;
		line[strcspn(line, "\n")] = '\0';
		used = strlen(error_text);
		snprintf(error_text + used, sizeof(error_text) - used,
			 " (%s)", line + 14);
	}
	fclose(info);
}

uint64_t uvfio_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void uvfio_sleep_ms(unsigned int ms)
{
	struct timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* ---- /dev/iommu ------------------------------------------------------- */

/*
 * uvfio_iommu_open - open /dev/iommu and allocate an I/O address space in it
 */
int uvfio_iommu_open(struct uvfio_iommu *iommu)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int err;

	iommu->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu->fd < 0)
		return fail(errno, "/dev/iommu");
	if (ioctl(iommu->fd, IOMMU_IOAS_ALLOC, &alloc)) {
		err = fail(errno, "IOMMU_IOAS_ALLOC");
		close(iommu->fd);
		iommu->fd = -1;
		return err;
	}
	iommu->ioas_id = alloc.out_ioas_id;
	iommu->refusals = 0;
	return 0;
}

/*
 * The kernel keeps the address space alive for as long as a bound device's
 * file is open, so the order in which the files are closed does not matter.
 */
void uvfio_iommu_close(struct uvfio_iommu *iommu)
{
	if (iommu->fd >= 0)
		close(iommu->fd);
	iommu->fd = -1;
}

/*
 * uvfio_iova_ranges - which IOVAs may be mapped
 *
 * The answer gets narrower with each attached device: the IOMMU's address
 * width and holes such as the MSI window are taken out of it.
 *
 * Return: the number of ranges, of which at most @max were stored.
 */
int uvfio_iova_ranges(struct uvfio_iommu *iommu,
		      struct iommu_iova_range *ranges, unsigned int max)
{
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = iommu->ioas_id,
		.num_iovas = max,
		.allowed_iovas = (uintptr_t)ranges,
	};

	/* EMSGSIZE: there are more than fit, and num_iovas says how many. */
	if (ioctl(iommu->fd, IOMMU_IOAS_IOVA_RANGES, &arg) && errno != EMSGSIZE)
		return fail(errno, "IOMMU_IOAS_IOVA_RANGES");
	return (int)arg.num_iovas;
}

/*
 * uvfio_map - let attached devices reach a piece of this process's memory
 * @cpu: the memory; like @size, a multiple of the page size
 * @prot: what the device may do, UVFIO_READ and/or UVFIO_WRITE
 * @iova: in: the wanted address or UVFIO_ANY_IOVA; out: the address
 *
 * The pages are pinned as soon as a device is attached, and count against the
 * locked memory limit (ulimit -l): ENOMEM means that it is too low.
 */
int uvfio_map(struct uvfio_iommu *iommu, void *cpu, size_t size,
	      unsigned int prot, uint64_t *iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = prot,
		.ioas_id = iommu->ioas_id,
		.user_va = (uintptr_t)cpu,
		.length = size,
	};
	int err;

	if (*iova != UVFIO_ANY_IOVA) {
		map.flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
		map.iova = *iova;
	}
	if (ioctl(iommu->fd, IOMMU_IOAS_MAP, &map)) {
		err = fail(errno, "IOMMU_IOAS_MAP of %zu bytes", size);
		add_reason(iommu);
		return err;
	}
	*iova = map.iova;
	return 0;
}

/* Once this returns, no DMA of any attached device reaches the memory. */
int uvfio_unmap(struct uvfio_iommu *iommu, uint64_t iova, size_t size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommu->ioas_id,
		.iova = iova,
		.length = size,
	};

	if (ioctl(iommu->fd, IOMMU_IOAS_UNMAP, &unmap))
		return fail(errno, "IOMMU_IOAS_UNMAP of IOVA 0x%llx",
			    (unsigned long long)iova);
	return 0;
}

/*
 * uvfio_dma_alloc - allocate zeroed memory and map it
 * @size: rounded up to pages
 * @iova: the wanted address or UVFIO_ANY_IOVA
 */
int uvfio_dma_alloc(struct uvfio_iommu *iommu, struct uvfio_dma *dma,
		    size_t size, unsigned int prot, uint64_t iova)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int err;

	dma->size = (size + page - 1) & ~(page - 1);
	dma->iova = iova;
	/*
	 * Shared, because a child of fork() must not get a copy of, or steal by
	 * copy-on-write, the very pages that a device is writing to.
	 */
	dma->cpu = mmap(NULL, dma->size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (dma->cpu == MAP_FAILED) {
		dma->cpu = NULL;
		return fail(errno, "mmap of %zu bytes", dma->size);
	}
	err = uvfio_map(iommu, dma->cpu, dma->size, prot, &dma->iova);
	if (err) {
		munmap(dma->cpu, dma->size);
		dma->cpu = NULL;
	}
	return err;
}

/* Does nothing for memory that was never allocated or is already freed. */
void uvfio_dma_free(struct uvfio_iommu *iommu, struct uvfio_dma *dma)
{
	if (!dma->cpu)
		return;
	uvfio_unmap(iommu, dma->iova, dma->size);
	munmap(dma->cpu, dma->size);
	dma->cpu = NULL;
}

/* ---- the device ------------------------------------------------------- */

/*
 * uvfio_device_open - open the character device of a PCI device
 * @bdf: its address as sysfs writes it, such as 0000:00:03.0
 *
 * The device must be bound to vfio-pci:
 *
 *	echo vfio-pci > /sys/bus/pci/devices/$bdf/driver_override
 *	echo $bdf > /sys/bus/pci/devices/$bdf/driver/unbind
 *	echo $bdf > /sys/bus/pci/drivers_probe
 */
int uvfio_device_open(struct uvfio_device *dev, const char *bdf)
{
	char path[PATH_MAX], driver[SYSDEV_NAME_MAX];
	int err;

	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s", bdf);
	if (access(path, F_OK))
		return fail(errno, "%s: no such PCI device", bdf);

	err = sysdev_cdev_path(bdf, path);
	if (err) {
		if (sysdev_driver(bdf, driver))
			strcpy(driver, "no driver");
		return fail(-err, "%s is bound to %s, not to vfio-pci (or vfio lacks character devices)",
			    bdf, driver);
	}

	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return fail(errno, "%s", path);
	return 0;
}

/*
 * uvfio_device_from_fd - use a device file that somebody else opened
 *
 * This is how a process without rights on /dev/vfio gets its one device: a
 * privileged parent opens it and passes the descriptor on. The descriptor
 * belongs to @dev from now on.
 */
void uvfio_device_from_fd(struct uvfio_device *dev, int fd)
{
	memset(dev, 0, sizeof(*dev));
	dev->fd = fd;
}

/*
 * uvfio_device_send - pass a device file on
 * @sock: a connected Unix socket
 *
 * The sender may close its own descriptor at once, or exit.
 */
int uvfio_device_send(const struct uvfio_device *dev, int sock)
{
	int err = fds_send(sock, &dev->fd, 1);

	return err ? fail(-err, "the device file cannot be sent") : 0;
}

/* uvfio_device_receive - take the device file that uvfio_device_send() passes */
int uvfio_device_receive(struct uvfio_device *dev, int sock)
{
	int fd, err;

	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	err = fds_receive(sock, &fd, 1);
	if (err)
		return fail(-err, "no device file came through the socket");
	uvfio_device_from_fd(dev, fd);
	return 0;
}

void uvfio_device_close(struct uvfio_device *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}

/*
 * uvfio_device_bind - take ownership of the device for this iommufd
 *
 * Until this is done the device file answers nothing else. The whole IOMMU
 * group belongs to the iommufd afterwards, and can do no DMA until it is
 * attached.
 */
int uvfio_device_bind(struct uvfio_device *dev,
		      struct uvfio_iommu *iommu)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommu->fd,
	};
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int err;

	if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		err = fail(errno, "VFIO_DEVICE_BIND_IOMMUFD");
		if (!add_reason(iommu))
			add_device_reason(dev);
		return err;
	}
	dev->dev_id = bind.out_devid;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info))
		return fail(errno, "VFIO_DEVICE_GET_INFO");
	dev->num_regions = info.num_regions;
	dev->num_irqs = info.num_irqs;
	dev->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	return 0;
}

/* Everything that is or will be mapped in the IOAS can now be reached. */
int uvfio_device_attach(const struct uvfio_device *dev,
			struct uvfio_iommu *iommu)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = iommu->ioas_id,
	};
	int err;

	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach)) {
		err = fail(errno, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
		add_reason(iommu);
		return err;
	}
	return 0;
}

/* All DMA of the device is blocked afterwards. */
int uvfio_device_detach(const struct uvfio_device *dev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	if (ioctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
		return fail(errno, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
	return 0;
}

/* Not every device can be reset by itself: see dev->can_reset. */
int uvfio_device_reset(const struct uvfio_device *dev)
{
	if (ioctl(dev->fd, VFIO_DEVICE_RESET))
		return fail(errno, "VFIO_DEVICE_RESET");
	return 0;
}

/* ---- registers and configuration space -------------------------------- */

/*
 * Region info in a buffer that is large enough for its capabilities. The
 * caller frees it.
 */
static int region_info(const struct uvfio_device *dev, uint32_t index,
		       struct vfio_region_info **result)
{
	struct vfio_region_info *info = NULL, *larger;
	uint32_t argsz = sizeof(*info);
	int err;

	for (;;) {
		larger = realloc(info, argsz);
		if (!larger) {
			err = fail(ENOMEM, "region %u", index);
			break;
		}
		info = larger;
		memset(info, 0, argsz);
		info->argsz = argsz;
		info->index = index;
		if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info)) {
			err = fail(errno, "VFIO_DEVICE_GET_REGION_INFO of region %u",
				   index);
			break;
		}
		/* The kernel raises argsz when capabilities did not fit. */
		if (info->argsz <= argsz) {
			*result = info;
			return 0;
		}
		argsz = info->argsz;
	}
	free(info);
	return err;
}

static const struct vfio_region_info_cap_sparse_mmap *
sparse_areas(const struct vfio_region_info *info)
{
	const struct vfio_info_cap_header *cap;
	uint32_t off = info->cap_offset;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return NULL;
	while (off && off + sizeof(*cap) <= info->argsz) {
		cap = (const void *)((const char *)info + off);
		if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return (const void *)cap;
		off = cap->next;
	}
	return NULL;
}

static int map_part(const struct uvfio_device *dev,
		    const struct vfio_region_info *info, void *base,
		    uint64_t offset, uint64_t size)
{
	int prot = 0;

	if (info->flags & VFIO_REGION_INFO_FLAG_READ)
		prot |= PROT_READ;
	if (info->flags & VFIO_REGION_INFO_FLAG_WRITE)
		prot |= PROT_WRITE;
	if (mmap((char *)base + offset, size, prot, MAP_SHARED | MAP_FIXED,
		 dev->fd, (off_t)(info->offset + offset)) == MAP_FAILED)
		return fail(errno, "mmap of region %u", info->index);
	return 0;
}

/*
 * uvfio_region_mmap - map a device region (a BAR) into this process
 * @index: VFIO_PCI_BAR0_REGION_INDEX and so on
 *
 * A region that the kernel lets us map only in parts gets all of them at the
 * right distances; touching a hole between them is a SIGSEGV.
 */
int uvfio_region_mmap(const struct uvfio_device *dev, uint32_t index,
		      struct uvfio_region *region)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_info *info;
	uint32_t i;
	int err;

	region->base = NULL;
	err = region_info(dev, index, &info);
	if (err)
		return err;
	if (!info->size || !(info->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		err = fail(ENODEV, "region %u cannot be mapped", index);
		goto out;
	}

	region->size = info->size;
	region->base = mmap(NULL, region->size, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region->base == MAP_FAILED) {
		region->base = NULL;
		err = fail(errno, "address space for region %u", index);
		goto out;
	}

	sparse = sparse_areas(info);
	if (!sparse)
		err = map_part(dev, info, region->base, 0, info->size);
	for (i = 0; sparse && i < sparse->nr_areas && !err; i++)
		err = map_part(dev, info, region->base,
			       sparse->areas[i].offset, sparse->areas[i].size);
	if (err)
		uvfio_region_munmap(region);
out:
	free(info);
	return err;
}

void uvfio_region_munmap(struct uvfio_region *region)
{
	if (region->base)
		munmap(region->base, region->size);
	region->base = NULL;
}

/* Where the device file has the configuration space. */
static int config_offset(const struct uvfio_device *dev, unsigned int offset,
			 off_t *pos)
{
	struct vfio_region_info *info;
	int err;

	err = region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (err)
		return err;
	*pos = (off_t)(info->offset + offset);
	free(info);
	return 0;
}

/* Little endian, as on the bus. */
int uvfio_config_read(const struct uvfio_device *dev, unsigned int offset,
		      void *buf, size_t size)
{
	ssize_t done;
	off_t pos;
	int err;

	err = config_offset(dev, offset, &pos);
	if (err)
		return err;
	done = pread(dev->fd, buf, size, pos);
	if (done != (ssize_t)size)
		return fail(done < 0 ? errno : EIO,
			    "read of config space at 0x%x", offset);
	return 0;
}

int uvfio_config_write(const struct uvfio_device *dev, unsigned int offset,
		       const void *buf, size_t size)
{
	ssize_t done;
	off_t pos;
	int err;

	err = config_offset(dev, offset, &pos);
	if (err)
		return err;
	done = pwrite(dev->fd, buf, size, pos);
	if (done != (ssize_t)size)
		return fail(done < 0 ? errno : EIO,
			    "write of config space at 0x%x", offset);
	return 0;
}

/* vfio hands a device over with bus mastering, that is DMA and MSI, off. */
int uvfio_pci_enable(const struct uvfio_device *dev)
{
	uint16_t cmd;
	int err;

	err = uvfio_config_read(dev, PCI_COMMAND, &cmd, sizeof(cmd));
	if (err)
		return err;
	cmd |= htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return uvfio_config_write(dev, PCI_COMMAND, &cmd, sizeof(cmd));
}

/* ---- interrupts ------------------------------------------------------- */

/*
 * uvfio_irq_count - how many vectors of one kind the device has
 * @index: VFIO_PCI_INTX_IRQ_INDEX, _MSI_ or _MSIX_
 *
 * Return: the number, which may be 0.
 */
int uvfio_irq_count(const struct uvfio_device *dev, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return fail(errno, "VFIO_DEVICE_GET_IRQ_INFO of index %u",
			    index);
	return info.flags & VFIO_IRQ_INFO_EVENTFD ? (int)info.count : 0;
}

/*
 * uvfio_irq_enable - signal vector i through eventfds[i]
 *
 * Switches the device's MSI, MSI-X or INTx on. A device has one kind of
 * interrupt at a time: disable the old kind before enabling another.
 */
int uvfio_irq_enable(const struct uvfio_device *dev, uint32_t index,
		     const int *eventfds, unsigned int count)
{
	size_t argsz = sizeof(struct vfio_irq_set) + count * sizeof(__s32);
	struct vfio_irq_set *set = calloc(1, argsz);
	int err = 0;

	if (!set)
		return fail(ENOMEM, "uvfio_irq_enable");
	set->argsz = (uint32_t)argsz;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->count = count;
	memcpy(set->data, eventfds, count * sizeof(__s32));
	if (ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set))
		err = fail(errno, "VFIO_DEVICE_SET_IRQS of %u eventfds, index %u",
			   count, index);
	free(set);
	return err;
}

static int irq_command(const struct uvfio_device *dev, uint32_t index,
		       uint32_t action, uint32_t count)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | action,
		.index = index,
		.count = count,
	};

	if (ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &set))
		return fail(errno, "VFIO_DEVICE_SET_IRQS, flags 0x%x, index %u",
			    set.flags, index);
	return 0;
}

int uvfio_irq_disable(const struct uvfio_device *dev, uint32_t index)
{
	return irq_command(dev, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0);
}

/*
 * INTx is level triggered, so the kernel masks it before it signals the
 * eventfd. Call this after the device has been quieted.
 */
int uvfio_intx_unmask(const struct uvfio_device *dev)
{
	return irq_command(dev, VFIO_PCI_INTX_IRQ_INDEX,
			   VFIO_IRQ_SET_ACTION_UNMASK, 1);
}

/*
 * uvfio_eventfd_wait - wait for an interrupt
 *
 * Return: 1 if it came (once or several times), 0 if it did not in time.
 */
int uvfio_eventfd_wait(int eventfd, int timeout_ms)
{
	struct pollfd pfd = { .fd = eventfd, .events = POLLIN };
	uint64_t deadline = uvfio_now_ms() + (uint64_t)timeout_ms;
	uint64_t count, now;
	int n;

	do {
		now = uvfio_now_ms();
		n = poll(&pfd, 1, now < deadline ? (int)(deadline - now) : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(errno, "poll of an eventfd");
	if (!n)
		return 0;
	if (read(eventfd, &count, sizeof(count)) != sizeof(count))
		return fail(errno, "read of an eventfd");
	return 1;
}
