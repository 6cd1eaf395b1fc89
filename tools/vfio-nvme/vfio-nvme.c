// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-nvme - use an NVMe disk from user space, through /dev/iommu and
 * /dev/vfio/devices/vfioN. The driver is in nvme.c; this is the program
 * around it.
 *
 * Each thing that is tried prints one line. The exit status is 0 only if every
 * line says ok.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nvme.h"
#include "report.h"
#include "sha256.h"

/*
 * Where the device sees the data buffer: 4 GiB, to show that an IOVA needs no
 * memory of that address. Queues get addresses of the kernel's choice.
 */
#define DATA_IOVA		(4ULL << 30)
#define DATA_SIZE		(1u << 20)
/* Where it sees a page that is there only for a while. */
#define FLEETING_IOVA		(DATA_IOVA + (1ULL << 30))

static const char * const irq_names[] = {
	[NVME_IRQ_MSIX] = "msix",
	[NVME_IRQ_MSI] = "msi",
	[NVME_IRQ_INTX] = "intx",
	[NVME_IRQ_POLL] = "poll",
};

struct args {
	const char *bdf;
	int fd;
	const char *give;		/* socket to pass the device through */
	const char *socket;		/* socket to get it through */
	enum nvme_irq_mode irq_mode;
	unsigned int queues;
	unsigned int timeout_ms;

	bool brief, read, write, protect;
	uint64_t read_lba, read_count;
	uint64_t write_lba;
	const char *expect;		/* SHA-256 of what is read */
	const char *save;		/* file that gets what is read */
};

/* ---- what can be asked for --------------------------------------------- */

static void describe(const struct nvme *nvme)
{
	report(true, "controller reset and enabled through its mapped BAR 0: NVMe %u.%u",
	       nvme->version >> 16, nvme->version >> 8 & 0xff);
	report(true, "admin queue and %u I/O queue%s in memory mapped through /dev/iommu (admin queue at IOVA 0x%llx)",
	       nvme->num_io, nvme->num_io == 1 ? "" : "s",
	       (unsigned long long)nvme->admin.sq_mem.iova);
	report(true, "identified: \"%s\", serial \"%s\", firmware \"%s\"",
	       nvme->model, nvme->serial, nvme->firmware);
	report(true, "namespace 1: %llu blocks of %u bytes",
	       (unsigned long long)nvme->num_blocks, nvme->block_size);
}

static bool in_range(const struct nvme *nvme, uint64_t lba, uint64_t count)
{
	if (count && lba < nvme->num_blocks && count <= nvme->num_blocks - lba)
		return true;
	report(false, "blocks %llu to %llu: the disk has only %llu",
	       (unsigned long long)lba, (unsigned long long)(lba + count - 1),
	       (unsigned long long)nvme->num_blocks);
	return false;
}

static void do_read(struct nvme *nvme, const struct args *args,
		    const struct uvfio_dma *data)
{
	const uint64_t at_once = data->size / nvme->block_size;
	uint64_t lba = args->read_lba, left = args->read_count, n;
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;
	FILE *file = NULL;

	if (!in_range(nvme, lba, left))
		return;
	if (args->save) {
		file = fopen(args->save, "wb");
		if (!file) {
			report(false, "%s: %s", args->save, strerror(errno));
			return;
		}
	}
	sha256_init(&hash);
	for (; left; lba += n, left -= n) {
		n = left < at_once ? left : at_once;
		if (nvme_read(nvme, lba, (uint32_t)n, data->iova)) {
			report(false, "blocks %llu to %llu: %s",
			       (unsigned long long)lba,
			       (unsigned long long)(lba + n - 1), nvme_error());
			goto out;
		}
		sha256_update(&hash, data->cpu, n * nvme->block_size);
		if (file && fwrite(data->cpu, nvme->block_size, n, file) != n) {
			report(false, "%s: %s", args->save, strerror(errno));
			goto out;
		}
	}
	sha256_final_hex(&hash, hex);
	report(true, "read %llu blocks from block %llu on, sha256 %s",
	       (unsigned long long)args->read_count,
	       (unsigned long long)args->read_lba, hex);
	if (args->expect)
		report(!strcmp(hex, args->expect),
		       "this is the checksum that was expected%s%s",
		       strcmp(hex, args->expect) ? ": " : "",
		       strcmp(hex, args->expect) ? args->expect : "");
out:
	if (file && fclose(file))
		report(false, "%s: %s", args->save, strerror(errno));
}

/* A block that tells its own number, in case it turns up somewhere else. */
static void fill_block(void *buf, size_t size, uint64_t lba)
{
	char line[64];
	size_t i, n;

	n = (size_t)snprintf(line, sizeof(line),
			     "vfio-nvme wrote block %llu. ",
			     (unsigned long long)lba);
	for (i = 0; i < size; i++)
		((char *)buf)[i] = line[i % n];
}

static void do_write(struct nvme *nvme, const struct args *args,
		     const struct uvfio_dma *data)
{
	const uint64_t lba = args->write_lba;
	const size_t size = nvme->block_size;
	char expected[4096], hex[SHA256_HEX_SIZE];
	struct sha256 hash;

	if (!in_range(nvme, lba, 1))
		return;
	fill_block(expected, size, lba);
	memcpy(data->cpu, expected, size);
	if (nvme_write(nvme, lba, 1, data->iova) || nvme_flush(nvme)) {
		report(false, "block %llu: %s", (unsigned long long)lba,
		       nvme_error());
		return;
	}
	memset(data->cpu, 0xff, size);
	if (nvme_read(nvme, lba, 1, data->iova)) {
		report(false, "block %llu: %s", (unsigned long long)lba,
		       nvme_error());
		return;
	}
	sha256_init(&hash);
	sha256_update(&hash, expected, size);
	sha256_final_hex(&hash, hex);
	report(!memcmp(data->cpu, expected, size),
	       "wrote block %llu, flushed, and read the same back: sha256 %s",
	       (unsigned long long)lba, hex);
}

/* ---- protection -------------------------------------------------------- */

/*
 * The physical address of a page, or 0 if the kernel does not tell (it takes
 * CAP_SYS_ADMIN).
 */
static uint64_t physical_address(const void *page)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / page_size * sizeof(entry))) !=
	    sizeof(entry) || !(entry >> 63))
		entry = 0;
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * page_size;
}

/* The disk must answer as before, whatever happened. */
static bool still_works(struct nvme *nvme, const struct uvfio_dma *data)
{
	if (!nvme_read(nvme, 0, 1, data->iova))
		return true;
	report(false, "the controller no longer works: %s", nvme_error());
	return false;
}

/*
 * Let the controller write a block to @iova. Return: whether that changed
 * @memory, or an error if the controller did not even try.
 */
static int write_arrives(struct nvme *nvme, uint64_t iova, void *memory)
{
	char canary[NVME_PAGE];
	int err;

	memset(canary, 0x5a, sizeof(canary));
	memcpy(memory, canary, sizeof(canary));
	err = nvme_read(nvme, 0, 1, iova);
	/*
	 * Whether a controller notices that its DMA was refused is its own
	 * affair: some report a data transfer error, others success.
	 */
	if (err && err != -EIO)
		return err;
	return memcmp(memory, canary, sizeof(canary)) != 0;
}

static void protect_read_only(struct nvme *nvme, const struct uvfio_dma *data)
{
	struct uvfio_dma page = {};
	int arrived;

	if (uvfio_dma_alloc(&nvme->iommu, &page, NVME_PAGE, UVFIO_READ,
			    UVFIO_ANY_IOVA)) {
		report(false, "%s", uvfio_error());
		return;
	}
	arrived = write_arrives(nvme, page.iova, page.cpu);
	report(!arrived && still_works(nvme, data),
	       "told to read a block into a page mapped read-only, it did not change it");
	uvfio_dma_free(&nvme->iommu, &page);
}

static void protect_unmapped(struct nvme *nvme, const struct uvfio_dma *data)
{
	struct uvfio_dma page = {};
	int before, after;
	uint64_t phys;

	if (uvfio_dma_alloc(&nvme->iommu, &page, NVME_PAGE, UVFIO_RW,
			    FLEETING_IOVA)) {
		report(false, "%s", uvfio_error());
		return;
	}
	before = write_arrives(nvme, page.iova, page.cpu);
	if (uvfio_unmap(&nvme->iommu, page.iova, page.size)) {
		report(false, "%s", uvfio_error());
		goto out;
	}
	after = write_arrives(nvme, page.iova, page.cpu);
	report(before == 1 && !after && still_works(nvme, data),
	       "told to read a block into a page, it did; told so again after the page was unmapped, it could not");

	/*
	 * With no IOMMU in between this would hit: the true address of the
	 * page.
	 */
	phys = physical_address(page.cpu);
	if (!phys) {
		report_skip("DMA to a physical address: the kernel does not tell any");
		goto out;
	}
	after = write_arrives(nvme, phys, page.cpu);
	report(!after && still_works(nvme, data),
	       "nor could it reach the page by its physical address, 0x%llx",
	       (unsigned long long)phys);
out:
	uvfio_dma_free(&nvme->iommu, &page);
}

/* ---- the device of another process --------------------------------------- */

/* A Unix socket and its address, or -1 with a line about it. */
static int unix_socket(const char *path, struct sockaddr_un *address)
{
	int sock;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path)) {
		report(false, "%s: too long for a socket", path);
		return -1;
	}
	strcpy(address->sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		report(false, "socket: %s", strerror(errno));
	return sock;
}

/* Open the device, pass it to the first who connects, and be done with it. */
static void give_device(const char *bdf, const char *path)
{
	struct uvfio_device device;
	struct sockaddr_un address;
	int sock, peer;

	if (uvfio_device_open(&device, bdf)) {
		report(false, "%s", uvfio_error());
		return;
	}
	sock = unix_socket(path, &address);
	if (sock < 0)
		goto out;
	if (bind(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(sock, 1)) {
		report(false, "%s: %s", path, strerror(errno));
		goto out_sock;
	}
	peer = accept(sock, NULL, NULL);
	unlink(path);
	if (peer < 0) {
		report(false, "%s: %s", path, strerror(errno));
		goto out_sock;
	}
	if (uvfio_device_send(&device, peer))
		report(false, "%s", uvfio_error());
	else
		report(true, "%s: opened and given away", bdf);
	close(peer);
out_sock:
	close(sock);
out:
	uvfio_device_close(&device);
}

/* The device file that somebody gives, or -1. */
static int take_device(const char *path)
{
	struct uvfio_device device = { .fd = -1 };
	struct sockaddr_un address;
	int sock;

	sock = unix_socket(path, &address);
	if (sock < 0)
		return -1;
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)))
		report(false, "%s: %s", path, strerror(errno));
	else if (uvfio_device_receive(&device, sock))
		report(false, "%s", uvfio_error());
	else
		report(true, "got a device that another process has opened");
	close(sock);
	return device.fd;
}

/* ---- the program ------------------------------------------------------- */

static void report_interrupts(struct nvme *nvme)
{
	bool all = nvme->num_vectors > 0;
	char counts[128] = "";
	unsigned int i;
	size_t used = 0;

	if (nvme->irq_mode == NVME_IRQ_POLL)
		return;
	for (i = 0; i < nvme->num_vectors; i++) {
		if (!nvme_vector_works(nvme, i))
			all = false;
		if (used < sizeof(counts))
			used += (size_t)snprintf(counts + used,
						 sizeof(counts) - used,
						 "%s%lu", i ? ", " : "",
						 nvme->interrupts[i]);
	}
	report(all, "completions were announced by %s on eventfds; wake-ups per vector: %s",
	       irq_names[nvme->irq_mode], counts);
}

static void run(struct nvme *nvme, const struct args *args)
{
	struct uvfio_dma data = {};

	if (!args->brief)
		describe(nvme);
	if (uvfio_dma_alloc(&nvme->iommu, &data, DATA_SIZE, UVFIO_RW,
			    DATA_IOVA)) {
		report(false, "%s", uvfio_error());
		return;
	}
	if (args->read)
		do_read(nvme, args, &data);
	if (args->write)
		do_write(nvme, args, &data);
	if (args->protect) {
		protect_read_only(nvme, &data);
		protect_unmapped(nvme, &data);
	}
	if (!args->brief)
		report_interrupts(nvme);
	uvfio_dma_free(&nvme->iommu, &data);
}

static void usage(FILE *out)
{
	fputs("usage: vfio-nvme [options] BDF\n"
	      "  BDF                PCI address of an NVMe controller that is bound to vfio-pci\n"
	      "  --fd N             use the open vfio device file N in place of BDF's\n"
	      "  --give SOCKET      open BDF's file, pass it to who connects to SOCKET, and\n"
	      "                     do nothing else\n"
	      "  --socket SOCKET    get the file from such a process in place of BDF's\n"
	      "  --irq KIND         msix (default), msi, intx, or poll for none\n"
	      "  --queues N         I/O queues (default 2)\n"
	      "  --timeout SECONDS  for each command (default 10)\n"
	      "  --read LBA:COUNT   read blocks and print their SHA-256\n"
	      "  --expect SHA256    which it must be\n"
	      "  --save FILE        and keep them in a file\n"
	      "  --write LBA        overwrite this block, and read it back\n"
	      "  --protect          let it write where it must not\n"
	      "  --brief            do not describe the disk\n"
	      "Without --read, --write or --protect it only identifies the disk.\n",
	      out);
}

static bool parse_u64(const char *text, char stop, const char **rest,
		      uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || *end != stop)
		return false;
	if (rest)
		*rest = end + 1;
	return true;
}

static bool parse_range(const char *text, uint64_t *lba, uint64_t *count)
{
	const char *rest;

	return parse_u64(text, ':', &rest, lba) &&
	       parse_u64(rest, '\0', NULL, count);
}

static bool parse_irq(const char *text, enum nvme_irq_mode *mode)
{
	unsigned int i;

	for (i = 0; i < sizeof(irq_names) / sizeof(irq_names[0]); i++) {
		if (!strcmp(irq_names[i], text)) {
			*mode = (enum nvme_irq_mode)i;
			return true;
		}
	}
	return false;
}

static bool parse_option(int opt, const char *arg, struct args *args)
{
	uint64_t n;

	switch (opt) {
	case 'f':
		if (!parse_u64(arg, '\0', NULL, &n) || n > 1u << 30)
			return false;
		args->fd = (int)n;
		return true;
	case 'g':
		args->give = arg;
		return true;
	case 'S':
		args->socket = arg;
		return true;
	case 'i':
		return parse_irq(arg, &args->irq_mode);
	case 'q':
		if (!parse_u64(arg, '\0', NULL, &n) || !n ||
		    n > NVME_MAX_IO_QUEUES)
			return false;
		args->queues = (unsigned int)n;
		return true;
	case 't':
		if (!parse_u64(arg, '\0', NULL, &n) || !n || n > 3600)
			return false;
		args->timeout_ms = (unsigned int)n * 1000;
		return true;
	case 'r':
		args->read = true;
		return parse_range(arg, &args->read_lba, &args->read_count);
	case 'e':
		args->expect = arg;
		return true;
	case 's':
		args->save = arg;
		return true;
	case 'w':
		args->write = true;
		return parse_u64(arg, '\0', NULL, &args->write_lba);
	case 'b':
		args->brief = true;
		return true;
	case 'p':
		args->protect = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fd", required_argument, NULL, 'f' },
		{ "give", required_argument, NULL, 'g' },
		{ "socket", required_argument, NULL, 'S' },
		{ "irq", required_argument, NULL, 'i' },
		{ "queues", required_argument, NULL, 'q' },
		{ "timeout", required_argument, NULL, 't' },
		{ "read", required_argument, NULL, 'r' },
		{ "expect", required_argument, NULL, 'e' },
		{ "save", required_argument, NULL, 's' },
		{ "write", required_argument, NULL, 'w' },
		{ "protect", no_argument, NULL, 'p' },
		{ "brief", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct args args = { .fd = -1, .queues = 2, .timeout_ms = 10000 };
	struct nvme nvme;
	bool named;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return 0;
		}
		if (!parse_option(opt, optarg, &args)) {
			usage(stderr);
			return 2;
		}
	}
	named = args.fd < 0 && !args.socket;
	if (optind + named != argc || (args.give && !named) ||
	    (args.fd >= 0 && args.socket)) {
		usage(stderr);
		return 2;
	}
	args.bdf = named ? argv[optind] : "the device";
	if (args.give) {
		give_device(args.bdf, args.give);
		return report_status();
	}
	if (args.socket) {
		args.fd = take_device(args.socket);
		if (args.fd < 0)
			return report_status();
	}

	if (nvme_open(&nvme, args.bdf, args.fd, args.irq_mode, args.queues,
		      args.timeout_ms)) {
		report(false, "open %s: %s", args.bdf, nvme_error());
	} else {
		run(&nvme, &args);
		nvme_close(&nvme);
	}
	return report_status();
}
