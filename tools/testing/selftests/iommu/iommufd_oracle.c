// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ask an iommufd with the mock IOMMU what it answers to about 270 questions, and
 * compare with what mainline 7.2 answered to the same: iommufd_oracle.answers.
 * What differs on purpose is in iommufd_oracle.differs, and has to differ.
 *
 *	iommufd_oracle		compare; KTAP, a test for each section
 *	iommufd_oracle -a	print the answers, in the form of the file
 *	iommufd_oracle -d	print iommufd_oracle.differs without the lines that do not differ
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
/* Ours has all of mainline 7.2; that of MOCK_ABI_DIR may be older. */
#include "../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "../lib/iommufd.h"

#define MAX_LINES	400
#define LINE		128
#define PAGE		4096UL
#define NO_SUCH_ID	0x7777

/* Answers, one in each line; a line that begins with "== " opens a section. */
static char ours[MAX_LINES][LINE];
static unsigned int nr_ours;

static int fd;

static __attribute__((format(printf, 1, 2))) void line(const char *format, ...)
{
	va_list args;

	if (nr_ours == MAX_LINES)
		ksft_exit_fail_msg("more than %u lines\n", MAX_LINES);
	va_start(args, format);
	vsnprintf(ours[nr_ours++], LINE, format, args);
	va_end(args);
}

/* An answer is 0 or a negative errno, or a number in place of the 0. */
static void say(const char *question, long answer)
{
	if (answer < 0)
		line("%-56s %s", question, strerrorname_np(-answer));
	else
		line("%-56s %ld", question, answer);
}

static void section(const char *name)
{
	line("== %s", name);
}

/* System calls, with their errno as result */

static long result(long rc)
{
	return rc < 0 ? -errno : rc;
}

static long do_read(int file, void *buf, size_t size)
{
	return result(read(file, buf, size));
}

static long do_write(int file, const void *buf, size_t size)
{
	return result(write(file, buf, size));
}

static long do_poll(int file, short events, int ms)
{
	struct pollfd p = { .fd = file, .events = events };
	int rc = poll(&p, 1, ms);

	return rc < 0 ? -errno : p.revents;
}

static long do_mmap(size_t size, int prot, int flags, off_t offset)
{
	void *mem = mmap(NULL, size, prot, flags, fd, offset);

	if (mem == MAP_FAILED)
		return -errno;
	munmap(mem, size);
	return 0;
}

/* A descriptor that a failed call did not give may be nobody's. */
static void do_close(int file)
{
	if (file > STDERR_FILENO)
		close(file);
}

/* The ioctls. What they make is 0 or -1 if they fail, which then nobody has. */

struct device {
	__u32 stdev;
	__u32 hwpt;
	__u32 id;
};

static int destroy(__u32 id)
{
	return obj_destroy(fd, id);
}

static __u32 new_ioas(void)
{
	__u32 id;

	ioas_alloc(fd, &id);
	return id;
}

static int test_op(__u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return call(fd, IOMMU_TEST_CMD, cmd);
}

static int mock(__u32 pt, __u32 flags, struct device *dev)
{
	struct iommu_test_cmd cmd = { .id = pt };
	int rc;

	cmd.mock_domain_flags.dev_flags = flags;
	rc = test_op(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd);
	*dev = rc ? (struct device){} : (struct device){
		.stdev = cmd.mock_domain_flags.out_stdev_id,
		.hwpt = cmd.mock_domain_flags.out_hwpt_id,
		.id = cmd.mock_domain_flags.out_idev_id,
	};
	return rc;
}

static struct device new_device(__u32 pt, __u32 flags)
{
	struct device dev;

	mock(pt, flags, &dev);
	return dev;
}

static int replace(struct device *dev, __u32 pt)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev,
		.mock_domain_replace = { .pt_id = pt },
	};

	return test_op(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);
}

static int pasid_op(__u32 op, struct device *dev, __u32 pasid, __u32 pt)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev,
		.pasid_attach = { .pasid = pasid, .pt_id = pt },
	};

	return test_op(op, &cmd);
}

static int pasid_attach(struct device *dev, __u32 pasid, __u32 pt)
{
	return pasid_op(IOMMU_TEST_OP_PASID_ATTACH, dev, pasid, pt);
}

static int pasid_replace(struct device *dev, __u32 pasid, __u32 pt)
{
	return pasid_op(IOMMU_TEST_OP_PASID_REPLACE, dev, pasid, pt);
}

static int pasid_detach(struct device *dev, __u32 pasid)
{
	return pasid_op(IOMMU_TEST_OP_PASID_DETACH, dev, pasid, 0);
}

static int fault(struct device *dev, __u32 pasid, __u32 group)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = dev->id,
			.pasid = pasid,
			.grpid = group,
			.perm = 3,
			.addr = 0xdeadb000,
		},
	};

	return test_op(IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
}

static int event(struct device *dev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent = { .dev_id = dev->id } };

	return test_op(IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
}

static struct iommu_hwpt_selftest nested_data = {
	.iotlb = IOMMU_TEST_IOTLB_DEFAULT,
};

static int hwpt_full(struct iommu_hwpt_alloc *cmd, __u32 *id)
{
	int rc;

	cmd->size = sizeof(*cmd);
	rc = call(fd, IOMMU_HWPT_ALLOC, cmd);
	if (id)
		*id = rc ? 0 : cmd->out_hwpt_id;
	return rc;
}

/* With the mock's data if @type is not 0 */
static int hwpt(__u32 dev, __u32 pt, __u32 flags, __u32 type, __u32 queue,
		__u32 *id)
{
	struct iommu_hwpt_alloc cmd = {
		.dev_id = dev,
		.pt_id = pt,
		.flags = flags,
		.data_type = type,
		.fault_id = queue,
	};

	if (type) {
		cmd.data_len = sizeof(nested_data);
		cmd.data_uptr = (uintptr_t)&nested_data;
	}
	return hwpt_full(&cmd, id);
}

#define NESTED	IOMMU_HWPT_DATA_SELFTEST

static int viommu_full(struct iommu_viommu_alloc *cmd, __u32 *id)
{
	int rc;

	cmd->size = sizeof(*cmd);
	rc = call(fd, IOMMU_VIOMMU_ALLOC, cmd);
	if (id)
		*id = rc ? 0 : cmd->out_viommu_id;
	return rc;
}

static int viommu(__u32 dev, __u32 hwpt_id, __u32 flags, __u32 type,
		  void *data, __u32 len, __u32 *id)
{
	struct iommu_viommu_alloc cmd = {
		.dev_id = dev,
		.hwpt_id = hwpt_id,
		.flags = flags,
		.type = type,
		.data_uptr = (uintptr_t)data,
		.data_len = len,
	};

	return viommu_full(&cmd, id);
}

#define VIOMMU	IOMMU_VIOMMU_TYPE_SELFTEST

static int vdevice(__u32 viommu_id, __u32 dev, __u64 virt_id, __u32 *id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.dev_id = dev,
		.virt_id = virt_id,
	};
	int rc = call(fd, IOMMU_VDEVICE_ALLOC, &cmd);

	if (id)
		*id = rc ? 0 : cmd.out_vdevice_id;
	return rc;
}

static int veventq_full(struct iommu_veventq_alloc *cmd, __u32 *id, int *file)
{
	int rc;

	cmd->size = sizeof(*cmd);
	rc = call(fd, IOMMU_VEVENTQ_ALLOC, cmd);
	*id = rc ? 0 : cmd->out_veventq_id;
	*file = rc ? -1 : (int)cmd->out_veventq_fd;
	return rc;
}

static int veventq(__u32 viommu_id, __u32 flags, __u32 type, __u32 depth,
		   __u32 *id, int *file)
{
	struct iommu_veventq_alloc cmd = {
		.viommu_id = viommu_id,
		.flags = flags,
		.type = type,
		.veventq_depth = depth,
	};

	return veventq_full(&cmd, id, file);
}

#define EVENTS	IOMMU_VEVENTQ_TYPE_SELFTEST

static int hw_queue(__u32 viommu_id, __u32 flags, __u32 type, __u32 index,
		    __u64 iova, __u64 length, __u32 *id)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.flags = flags,
		.type = type,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = call(fd, IOMMU_HW_QUEUE_ALLOC, &cmd);

	if (id && !rc)
		*id = cmd.out_hw_queue_id;
	return rc;
}

#define QUEUE	IOMMU_HW_QUEUE_TYPE_SELFTEST

/* The number of entries that were carried out gets a line of its own. */
static void say_invalidate(const char *question, __u32 id, __u32 type,
			   __u32 len, __u32 num, const void *data)
{
	int rc = hwpt_invalidate(fd, id, type, data, len, &num);

	say(question, rc);
	line("  entries carried out %u", num);
}

static int fault_queue(__u32 flags, __u32 *id, int *file)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = flags };
	int rc = call(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = rc ? 0 : cmd.out_fault_id;
	*file = rc ? -1 : (int)cmd.out_fault_fd;
	return rc;
}

/* How the file of a queue was opened */
static void say_file(int file)
{
	int flags = fcntl(file, F_GETFL);

	line("  access mode and O_NONBLOCK %x, close-on-exec %d",
	     flags < 0 ? 0 : flags & (O_ACCMODE | O_NONBLOCK),
	     fcntl(file, F_GETFD));
}

/* The questions */

static void ask_hw_info(void)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd) };
	struct device dev;

	section("hw_info");
	fd = iommufd_open();
	dev = new_device(new_ioas(), MOCK_FLAGS_DEVICE_PASID);
	cmd.dev_id = dev.id;
	say("without a buffer", call(fd, IOMMU_GET_HW_INFO, &cmd));
	line("  type %x length %u pasid bits %u capabilities %llx",
	     cmd.out_data_type, cmd.data_len, cmd.out_max_pasid_log2,
	     (unsigned long long)cmd.out_capabilities);
#define ASK(question, ...) do {						\
	struct iommu_hw_info c = { .size = sizeof(c), .dev_id = dev.id,	\
				   __VA_ARGS__ };			\
	say(question, call(fd, IOMMU_GET_HW_INFO, &c));			\
} while (0)
	ASK("flags 2", .flags = 2);
	ASK("flags 1, input type default", .flags = 1);
	ASK("input type without its flag", .in_data_type = 77);
	ASK("__reserved", .__reserved = { 0, 1 });
	ASK("length without a pointer", .data_len = 8);
#undef ASK
	close(fd);
}

static void ask_hwpt(struct device *dev, __u32 ioas, __u32 *parent, __u32 *nested)
{
	struct device pasid = new_device(ioas, MOCK_FLAGS_DEVICE_PASID);
	struct device clean = new_device(ioas, MOCK_FLAGS_DEVICE_NO_DIRTY);
	struct iommu_hwpt_set_dirty_tracking track = {
		.size = sizeof(track),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	char larger[64] = {};
	struct device other;
	__u32 queue;
	int file;

	section("hwpt");
	fault_queue(0, &queue, &file);
	say("nest parent", hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0,
				0, parent));
	say("nest parent, dirty tracking",
	    hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT |
		 IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, 0, NULL));
	say("nest parent, pasid",
	    hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT |
		 IOMMU_HWPT_ALLOC_PASID, 0, 0, NULL));
	say("dirty tracking, pasid",
	    hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
		 IOMMU_HWPT_ALLOC_PASID, 0, 0, NULL));
	say("pasid, for a device without PASIDs",
	    hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_PASID, 0, 0, NULL));
	say("flags 1 << 4", hwpt(dev->id, ioas, 1 << 4, 0, 0, NULL));
	say("paging with data", hwpt(dev->id, ioas, 0, NESTED, 0, NULL));
	say("nest parent with data",
	    hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NESTED, 0, NULL));
	say("nested", hwpt(dev->id, *parent, 0, NESTED, 0, nested));
	say("nested, dirty tracking",
	    hwpt(dev->id, *parent, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NESTED, 0,
		 NULL));
	say("nested without data", hwpt(dev->id, *parent, 0, 0, 0, NULL));
	say("nested, for a device without dirty tracking, parent of another",
	    hwpt(clean.id, *parent, 0, NESTED, 0, NULL));
	say("on a fault queue", hwpt(dev->id, queue, 0, NESTED, 0, NULL));
	say("on 0", hwpt(dev->id, 0, 0, 0, 0, NULL));
	say("device 0", hwpt(0, ioas, 0, 0, 0, NULL));
#define ASK(question, ...)						\
	say(question, hwpt_full(&(struct iommu_hwpt_alloc){		\
			.dev_id = dev->id, __VA_ARGS__ }, NULL))
	ASK("__reserved", .pt_id = ioas, .__reserved = 1);
	ASK("__reserved2", .pt_id = ioas, .__reserved2 = 1);
	ASK("type none with a length", .pt_id = ioas, .data_len = 8);
	ASK("type none with a pointer", .pt_id = ioas,
	    .data_uptr = (uintptr_t)&nested_data);
	ASK("length 0", .pt_id = *parent, .data_type = NESTED,
	    .data_uptr = (uintptr_t)&nested_data);
	memcpy(larger, &nested_data, sizeof(nested_data));
	ASK("longer data, the rest 0", .pt_id = *parent, .data_type = NESTED,
	    .data_uptr = (uintptr_t)larger, .data_len = sizeof(larger));
	larger[60] = 1;
	ASK("longer data, the rest not 0", .pt_id = *parent, .data_type = NESTED,
	    .data_uptr = (uintptr_t)larger, .data_len = sizeof(larger));
#undef ASK
	say("a new device attaches to nested", mock(*nested, 0, &other));
	track.hwpt_id = *nested;
	say("dirty tracking of nested",
	    call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &track));
	say("destroy the IOAS", destroy(ioas));
	say("destroy the device", destroy(dev->id));
	say("destroy a device that has nothing else", destroy(clean.id));
	(void)pasid;
	do_close(file);
}

static void ask_invalidate(struct device *dev, __u32 ioas, __u32 parent,
			   __u32 nested)
{
	const __u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	struct iommu_hwpt_invalidate_selftest one[2] = {};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = nested,
		.data_uptr = (uintptr_t)one,
		.data_type = type,
		.entry_len = sizeof(one[0]),
		.entry_num = 1,
		.__reserved = 1,
	};
	void *bad = (void *)PAGE;
	char larger[64] = {};

	section("invalidate");
	say_invalidate("hwpt 0", 0, type, sizeof(one[0]), 1, one);
	say_invalidate("an IOAS", ioas, type, sizeof(one[0]), 1, one);
	say_invalidate("a device", dev->id, type, sizeof(one[0]), 1, one);
	say_invalidate("a paging hwpt, no entries", parent, type,
		       sizeof(one[0]), 0, one);
	say("__reserved", call(fd, IOMMU_HWPT_INVALIDATE, &cmd));
	line("  entries carried out %u", cmd.entry_num);
	say_invalidate("no entries of an unknown type", nested, type + 1,
		       sizeof(one[0]), 0, one);
	say_invalidate("no entries, length 0, no pointer", nested, type, 0, 0,
		       NULL);
	say_invalidate("bad pointer", nested, type, sizeof(one[0]), 2, bad);
	say_invalidate("longer entries, the rest 0", nested, type, 32, 2,
		       larger);
	say_invalidate("1 << 19 entries, bad pointer", nested, type,
		       sizeof(one[0]), 1 << 19, bad);
}

static void ask_viommu(struct device *dev, __u32 ioas, __u32 parent,
		       __u32 nested)
{
	struct iommu_viommu_selftest data = { .in_data = 5 };
	__u32 v, n, len;
	void *mem;

	section("viommu");
	say("flags", viommu(dev->id, parent, 1, VIOMMU, NULL, 0, NULL));
	say("__reserved", viommu_full(&(struct iommu_viommu_alloc){
			.dev_id = dev->id, .hwpt_id = parent, .type = VIOMMU,
			.__reserved = 1 }, NULL));
	say("type default", viommu(dev->id, parent, 0, 0, NULL, 0, NULL));
	say("device 0", viommu(0, parent, 0, VIOMMU, NULL, 0, NULL));
	say("on an IOAS", viommu(dev->id, ioas, 0, VIOMMU, NULL, 0, NULL));
	say("on nested", viommu(dev->id, nested, 0, VIOMMU, NULL, 0, NULL));
	say("data too short", viommu(dev->id, parent, 0, VIOMMU, &data, 4, NULL));
	say("data at a bad pointer", viommu(dev->id, parent, 0, VIOMMU,
					    (void *)PAGE, sizeof(data), NULL));
	say("a pointer without a length", viommu(dev->id, parent, 0, VIOMMU,
						 &data, 0, NULL));
	say("with data", viommu(dev->id, parent, 0, VIOMMU, &data, sizeof(data),
				&v));
	len = data.out_mmap_length ? data.out_mmap_length : PAGE;
	line("  data %x length %llx, offset is a multiple of pages: %d",
	     data.out_data, (unsigned long long)data.out_mmap_length,
	     !(data.out_mmap_offset & (PAGE - 1)));
	say("mmap private", do_mmap(len, PROT_READ, MAP_PRIVATE,
				    data.out_mmap_offset));
	say("mmap read only", do_mmap(len, PROT_READ, MAP_SHARED,
				      data.out_mmap_offset));
	say("mmap executable", do_mmap(len, PROT_READ | PROT_EXEC, MAP_SHARED,
				       data.out_mmap_offset));
	say("mmap at offset 0", do_mmap(len, PROT_READ, MAP_SHARED, 0));
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   data.out_mmap_offset);
	say("destroy while mapped", destroy(v));
	if (mem != MAP_FAILED)
		munmap(mem, len);
	say("nested on it", hwpt(dev->id, v, 0, NESTED, 0, &n));
	say("destroy with nested", destroy(v));
	destroy(n);
	say("nested on it, pasid", hwpt(dev->id, v, IOMMU_HWPT_ALLOC_PASID,
					NESTED, 0, &n));
	say("nested on it, nest parent",
	    hwpt(dev->id, v, IOMMU_HWPT_ALLOC_NEST_PARENT, NESTED, 0, NULL));
	say("nested on it, without data", hwpt(dev->id, v, 0, 0, 0, NULL));
	say("nested on it, unknown type",
	    hwpt(dev->id, v, 0, NESTED + 1, 0, NULL));
	destroy(n);
	say("destroy", destroy(v));
	say("mmap afterwards", do_mmap(len, PROT_READ, MAP_SHARED,
				       data.out_mmap_offset));
}

static void ask_hwpts(void)
{
	__u32 ioas, parent, nested;
	struct device dev;

	fd = iommufd_open();
	ioas = new_ioas();
	dev = new_device(ioas, 0);
	ask_hwpt(&dev, ioas, &parent, &nested);
	ask_invalidate(&dev, ioas, parent, nested);
	ask_viommu(&dev, ioas, parent, nested);
	close(fd);
}

#define FAULT	sizeof(struct iommu_hwpt_pgfault)
#define ANSWER	sizeof(struct iommu_hwpt_page_response)

/* The file of a queue in which there is nothing */
static void ask_empty_fault_queue(int file)
{
	struct iommu_hwpt_page_response r[4] = {};
	struct iommu_hwpt_pgfault f[4];

	say_file(file);
	fcntl(file, F_SETFL, O_NONBLOCK);
	say("poll", do_poll(file, POLLIN | POLLOUT, 0));
	say("read", do_read(file, f, sizeof(f)));
	say("read 0 bytes", do_read(file, f, 0));
	say("read 1 byte", do_read(file, f, 1));
	say("read a fault and 1 byte", do_read(file, f, FAULT + 1));
	say("pread at 8", result(pread(file, f, sizeof(f), 8)));
	say("lseek", result(lseek(file, 0, SEEK_SET)));
	say("write an answer to nothing", do_write(file, r, ANSWER));
	say("write 1 byte", do_write(file, r, 1));
	say("write 0 bytes", do_write(file, r, 0));
}

/* Tables with a queue; the last one is nested. */
static void ask_fault_hwpts(struct device *dev, __u32 ioas, __u32 queue, int file,
			    __u32 *parent, __u32 *nested)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 paging;

	say("paging hwpt", hwpt(dev->id, ioas, IOMMU_HWPT_FAULT_ID_VALID, 0,
				queue, &paging));
	say("  attach to it", replace(dev, paging));
	say("  fault of pasid 1, which is not attached", fault(dev, 1, 1));
	say("  fault without a pasid", fault(dev, 0, 1));
	say("  poll", do_poll(file, POLLIN | POLLOUT, 200));
	say("  read", do_read(file, f, sizeof(f)));
	say("  attach to the IOAS", replace(dev, ioas));
	say("nest parent", hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT |
				IOMMU_HWPT_FAULT_ID_VALID, 0, queue, NULL));
	say("dirty tracking", hwpt(dev->id, ioas,
				   IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
				   IOMMU_HWPT_FAULT_ID_VALID, 0, queue, NULL));
	say("a device in place of the queue",
	    hwpt(dev->id, ioas, IOMMU_HWPT_FAULT_ID_VALID, 0, dev->id, NULL));
	say("a bad queue, without the flag",
	    hwpt(dev->id, ioas, 0, 0, NO_SUCH_ID, NULL));
	hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT |
	     IOMMU_HWPT_ALLOC_PASID, 0, 0, parent);
	say("nested", hwpt(dev->id, *parent, IOMMU_HWPT_FAULT_ID_VALID |
			   IOMMU_HWPT_ALLOC_PASID, NESTED, queue, nested));
	say("destroy the queue", destroy(queue));
}

/* What is read and written; leaves faults 2 and 3 read and not answered. */
static void ask_fault_file(struct device *dev, int file, __u32 *cookie)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iommu_hwpt_pgfault f[4] = {};

	say("fault 1", fault(dev, 1, 1));
	say("fault 2", fault(dev, 1, 2));
	say("fault 3", fault(dev, 1, 3));
	say("poll", do_poll(file, POLLIN | POLLOUT, 200));
	say("read with room for one", do_read(file, f, FAULT));
	line("  flags %x device %s pasid %u group %u perm %x addr %llx length %u cookie %u",
	     f[0].flags, f[0].dev_id == dev->id ? "right" : "wrong",
	     f[0].pasid, f[0].grpid, f[0].perm, (unsigned long long)f[0].addr,
	     f[0].length, f[0].cookie);
	say("read the rest", do_read(file, f + 1, 3 * FAULT));
	line("  cookies %u %u", f[1].cookie, f[2].cookie);
	r[0].cookie = f[0].cookie;
	r[0].code = 2;
	say("answer with code 2", do_write(file, r, ANSWER));
	r[0].code = IOMMUFD_PAGE_RESP_INVALID;
	r[1].cookie = NO_SUCH_ID;
	say("a good answer and one to nothing", do_write(file, r, 2 * ANSWER));
	say("the good one again", do_write(file, r, ANSWER));
	say("fault without a pasid", fault(dev, 0, 9));
	say("read it", do_read(file, f, sizeof(f)));
	line("  flags %x pasid %x", f[0].flags, f[0].pasid);
	*cookie = f[1].cookie;
}

static void ask_pending_faults(struct device *dev, __u32 ioas, __u32 parent,
			       __u32 nested, int file, __u32 cookie,
			       __u32 *queue2, int *file2)
{
	struct iommu_hwpt_page_response r = { .cookie = cookie };
	struct iommu_hwpt_pgfault f[4] = {};
	__u32 nested2, rid;

	say("replace with faults that were read", replace(dev, ioas));
	say("answer afterwards", do_write(file, &r, ANSWER));
	say("attach again", replace(dev, nested));
	say("fault", fault(dev, 1, 4));
	say("replace with a fault that was not read", replace(dev, ioas));
	say("read afterwards", do_read(file, f, sizeof(f)));
	say("attach again", replace(dev, nested));
	say("fault", fault(dev, 1, 5));
	say("a second queue", fault_queue(0, queue2, file2));
	fcntl(*file2, F_SETFL, O_NONBLOCK);
	hwpt(dev->id, parent, IOMMU_HWPT_FAULT_ID_VALID |
	     IOMMU_HWPT_ALLOC_PASID, NESTED, *queue2, &nested2);
	say("replace by a hwpt with that", replace(dev, nested2));
	say("read the first queue", do_read(file, f, sizeof(f)));
	say("read the second queue", do_read(*file2, f, sizeof(f)));
	replace(dev, ioas);
	say("attach pasid 300 while the device is on an IOAS",
	    pasid_attach(dev, 300, nested));
	hwpt(dev->id, ioas, IOMMU_HWPT_ALLOC_PASID, 0, 0, &rid);
	replace(dev, rid);
	say("attach pasid 300", pasid_attach(dev, 300, nested));
	say("fault of pasid 300", fault(dev, 300, 6));
	memset(f, 0, sizeof(f));
	say("read", do_read(file, f, sizeof(f)));
	line("  flags %x pasid %u", f[0].flags, f[0].pasid);
	say("fault of pasid 301, which is not attached", fault(dev, 301, 6));
	say("detach pasid 300 with its fault waiting", pasid_detach(dev, 300));
	r.cookie = f[0].cookie;
	say("answer afterwards", do_write(file, &r, ANSWER));
	say("destroy the hwpt", destroy(nested));
	say("destroy the second hwpt", destroy(nested2));
}

static void ask_faults(void)
{
	struct iommu_hwpt_page_response r = {};
	struct iommu_hwpt_pgfault f[4] = {};
	__u32 ioas, parent, nested, queue, queue2, cookie;
	struct device dev;
	int file, file2;

	section("faults");
	fd = iommufd_open();
	ioas = new_ioas();
	dev = new_device(ioas, MOCK_FLAGS_DEVICE_PASID);
	say("queue with flags", fault_queue(1, &queue, &file));
	say("queue", fault_queue(0, &queue, &file));
	ask_empty_fault_queue(file);
	ask_fault_hwpts(&dev, ioas, queue, file, &parent, &nested);
	say("attach to nested", replace(&dev, nested));
	ask_fault_file(&dev, file, &cookie);
	ask_pending_faults(&dev, ioas, parent, nested, file, cookie, &queue2,
			   &file2);
	say("destroy the queue, its file open", destroy(queue));
	say("read afterwards", do_read(file, f, sizeof(f)));
	say("poll afterwards", do_poll(file, POLLIN | POLLOUT, 0));
	say("write afterwards", do_write(file, &r, ANSWER));
	do_close(file);
	say("destroy the second queue, its file open", destroy(queue2));
	close(fd);
	say("read it when the iommufd is closed", do_read(file2, f, sizeof(f)));
	do_close(file2);
}

static void ask_vdevice(struct device *dev, struct device *other, __u32 v,
			__u32 v2, __u32 nested, __u32 *vdev)
{
	struct iommu_viommu_invalidate_selftest inv = {
		.vdev_id = 9,
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL,
	};
	__u32 id, num = 1;

	say("vIOMMU 0", vdevice(0, dev->id, 7, NULL));
	say("device 0", vdevice(v, 0, 7, NULL));
	say("id 1 << 32", vdevice(v, dev->id, 1ULL << 32, &id));
	say("  destroy", destroy(id));
	say("id ULONG_MAX", vdevice(v, dev->id, ~0ULL, &id));
	say("  destroy", destroy(id));
	say("id 7", vdevice(v, dev->id, 7, vdev));
	say("the device again, another id", vdevice(v, dev->id, 8, NULL));
	say("the device again, another vIOMMU", vdevice(v2, dev->id, 7, NULL));
	say("another device, the same id", vdevice(v, other->id, 7, NULL));
	say("another device, the same id, another vIOMMU",
	    vdevice(v2, other->id, 7, &id));
	say("  destroy", destroy(id));
	say("destroy the vIOMMU", destroy(v));
	say("destroy the device", destroy(dev->id));
	say("attach to nested", replace(dev, nested));
	say("destroy the vdevice meanwhile", destroy(*vdev));
	say("  again", destroy(*vdev));
	say("  event without it", event(dev));
	say("  make it again", vdevice(v, dev->id, 7, vdev));
	say("invalidate an unknown id",
	    hwpt_invalidate(fd, v, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, &inv,
			    sizeof(inv), &num));
}

/* What was read, as words of 32 bits */
static void say_words(const char *what, int file)
{
	__u32 words[64] = {};
	char text[LINE] = "";
	long i, n;

	n = do_read(file, words, sizeof(words));
	for (i = 0; i < n / 4 && i != 16; i++)
		sprintf(text + strlen(text), " %x", words[i]);
	line("%s %ld:%s", what, n < 0 ? -1 : n, text);
}

static void ask_veventq(struct device *dev, __u32 v)
{
	char buf[256];
	__u32 id;
	int file;
	unsigned int i;

	section("veventq");
	say("flags", veventq(v, 1, EVENTS, 4, &id, &file));
	say("__reserved", veventq_full(&(struct iommu_veventq_alloc){
			.viommu_id = v, .type = EVENTS, .veventq_depth = 4,
			.__reserved = 1 }, &id, &file));
	say("type default", veventq(v, 0, 0, 4, &id, &file));
	say("vIOMMU 0", veventq(0, 0, EVENTS, 4, &id, &file));
	say("event without a queue", event(dev));
	say("type 5", veventq(v, 0, 5, 4, &id, &file));
	say("  destroy, its file open", destroy(id));
	do_close(file);
	say("  destroy, its file closed", destroy(id));
	say("depth 2", veventq(v, 0, EVENTS, 2, &id, &file));
	say_file(file);
	fcntl(file, F_SETFL, O_NONBLOCK);
	say("poll", do_poll(file, POLLIN | POLLOUT, 0));
	say("read", do_read(file, buf, sizeof(buf)));
	say("write", do_write(file, buf, 8));
	say("pread at 4", result(pread(file, buf, 64, 4)));
	for (i = 0; i != 5; i++)
		event(dev);
	say("poll after five events", do_poll(file, POLLIN | POLLOUT, 0));
	say_words("read", file);
	say("poll", do_poll(file, POLLIN | POLLOUT, 0));
	say("read again", do_read(file, buf, sizeof(buf)));
	event(dev);
	say_words("one more event: read", file);
	for (i = 0; i != 4; i++)
		event(dev);
	say("four events: read with room for an event and a header",
	    do_read(file, buf, 20));
	say("  again", do_read(file, buf, 20));
	say("  again", do_read(file, buf, 20));
	say("destroy the vIOMMU", destroy(v));
	say("destroy, its file open", destroy(id));
	say("read", do_read(file, buf, sizeof(buf)));
	say("poll", do_poll(file, POLLIN | POLLOUT, 0));
	do_close(file);
	say("destroy, its file closed", destroy(id));
}

static void ask_hw_queue(__u32 ioas, __u32 v)
{
	const __u64 iova = MOCK_APERTURE_START;
	__u32 first = 0, second = 0;
	void *mem;

	section("hw_queue");
	/* Physically contiguous */
	hugetlb_reserve(1);
	mem = mem_hugetlb(SZ_2M);
	if (mem == MAP_FAILED)
		ksft_print_msg("no huge page\n");
	ioas_map_at(fd, ioas, mem, 4 * PAGE, iova);
	say("flags", hw_queue(v, 1, QUEUE, 0, iova, PAGE, NULL));
	say("vIOMMU 0", hw_queue(0, 0, QUEUE, 0, iova, PAGE, NULL));
	say("unknown type", hw_queue(v, 0, QUEUE + 1, 0, iova, PAGE, NULL));
	say("two pages", hw_queue(v, 0, QUEUE, 0, iova, 2 * PAGE, &first));
	say("the same index", hw_queue(v, 0, QUEUE, 0, iova, PAGE, &first));
	say("over the end of a page",
	    hw_queue(v, 0, QUEUE, 1, iova + PAGE + PAGE / 2, PAGE, &second));
	say("one byte, the same index",
	    hw_queue(v, 0, QUEUE, 1, iova + PAGE, 1, &second));
	say("unmap it", ioas_unmap(fd, ioas, iova, 4 * PAGE));
	say("unmap everything", ioas_unmap(fd, ioas, 0, ~0ULL));
	say("destroy the vIOMMU", destroy(v));
	say("destroy the second", destroy(second));
	say("destroy the first", destroy(first));
	say("unmap it", ioas_unmap(fd, ioas, iova, 4 * PAGE));
	if (mem != MAP_FAILED)
		munmap(mem, SZ_2M);
}

static void ask_tombstone(struct device *dev, struct device *other, __u32 v,
			  __u32 nested, __u32 vdev)
{
	__u32 id;

	section("tombstone");
	say("unplug while attached to nested", destroy(dev->stdev));
	say("destroy the vdevice", destroy(vdev));
	say("destroy the vIOMMU, nested on it", destroy(v));
	say("another device takes the id", vdevice(v, other->id, 7, &id));
	say("  destroy", destroy(id));
	say("destroy nested", destroy(nested));
	say("destroy the vIOMMU", destroy(v));
	line("the next id is %s", new_ioas() > nested ? "new" : "reused");
}

static void ask_vdevices(void)
{
	__u32 ioas, parent, nested, v, v2, vdev;
	struct device dev, other;

	section("vdevice");
	fd = iommufd_open();
	ioas = new_ioas();
	dev = new_device(ioas, 0);
	other = new_device(ioas, 0);
	hwpt(dev.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, 0, &parent);
	viommu(dev.id, parent, 0, VIOMMU, NULL, 0, &v);
	viommu(other.id, parent, 0, VIOMMU, NULL, 0, &v2);
	hwpt(dev.id, v, 0, NESTED, 0, &nested);
	ask_vdevice(&dev, &other, v, v2, nested, &vdev);
	ask_veventq(&dev, v);
	ask_hw_queue(ioas, v);
	ask_tombstone(&dev, &other, v, nested, vdev);
	close(fd);
}

static void ask_order(void)
{
	__u32 ioas, parent, v, queue;
	struct device dev;
	int file;

	section("order");
	fd = iommufd_open();
	ioas = new_ioas();
	dev = new_device(ioas, 0);
	hwpt(dev.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, 0, &parent);
	viommu(dev.id, parent, 0, VIOMMU, NULL, 0, &v);
	say("unplug the device that the vIOMMU was made with",
	    destroy(dev.stdev));
	say("veventq afterwards", veventq(v, 0, EVENTS, 4, &queue, &file));
	say("vdevice of it", vdevice(v, dev.id, 1, NULL));
	say("destroy the parent", destroy(parent));
	say("destroy the vIOMMU", destroy(v));
	do_close(file);
	say("destroy the veventq", destroy(queue));
	say("destroy the vIOMMU", destroy(v));
	say("destroy the parent", destroy(parent));
	say("destroy the IOAS", destroy(ioas));
	close(fd);
}

static void ask_pasid(void)
{
	__u32 ioas, ioas2, rid, other, plain, plain2;
	struct device dev, without;

	section("pasid");
	fd = iommufd_open();
	ioas = new_ioas();
	ioas2 = new_ioas();
	dev = new_device(ioas, MOCK_FLAGS_DEVICE_PASID);
	without = new_device(ioas, 0);
	hwpt(dev.id, ioas, IOMMU_HWPT_ALLOC_PASID, 0, 0, &rid);
	hwpt(dev.id, ioas2, IOMMU_HWPT_ALLOC_PASID, 0, 0, &other);
	hwpt(dev.id, ioas, 0, 0, 0, &plain);
	hwpt(dev.id, ioas2, 0, 0, 0, &plain2);
	say("attach 10, the device on an automatic table",
	    pasid_attach(&dev, 10, other));
	say("the device to a table for PASIDs", replace(&dev, rid));
	say("attach 10", pasid_attach(&dev, 10, other));
	say("attach 10 again", pasid_attach(&dev, 10, other));
	say("attach 0", pasid_attach(&dev, 0, other));
	say("attach 1 << 20", pasid_attach(&dev, 1 << 20, other));
	say("attach (1 << 20) - 1", pasid_attach(&dev, (1 << 20) - 1, other));
	say("  detach", pasid_detach(&dev, (1 << 20) - 1));
	say("attach UINT_MAX", pasid_attach(&dev, ~0U, other));
	say("attach 11 to a bad id", pasid_attach(&dev, 11, NO_SUCH_ID));
	say("attach 11 to an IOAS", pasid_attach(&dev, 11, ioas2));
	say("attach 11 to a device", pasid_attach(&dev, 11, dev.id));
	say("attach 11 to the device's own table", pasid_attach(&dev, 11, rid));
	say("replace 11", pasid_replace(&dev, 11, other));
	say("replace 11 by the same", pasid_replace(&dev, 11, other));
	say("replace 12, which is not attached", pasid_replace(&dev, 12, other));
	say("replace 11 by a table not for PASIDs",
	    pasid_replace(&dev, 11, plain));
	say("the device to a table not for PASIDs", replace(&dev, plain));
	say("the device to an IOAS", replace(&dev, ioas));
	say("the device to another table for PASIDs", replace(&dev, other));
	say("  and back", replace(&dev, rid));
	say("destroy the table of 10 and 11", destroy(other));
	say("detach 10", pasid_detach(&dev, 10));
	say("detach 10 again", pasid_detach(&dev, 10));
	say("detach 11", pasid_detach(&dev, 11));
	say("destroy their table", destroy(other));
	say("the device to a table not for PASIDs", replace(&dev, plain));
	say("attach 10", pasid_attach(&dev, 10, rid));
	say("a device without PASIDs: attach", pasid_attach(&without, 10, rid));
	say("  to a table for PASIDs", replace(&without, rid));
	say("  attach", pasid_attach(&without, 10, rid));
	replace(&dev, rid);
	say("the device on a table for PASIDs: attach 10",
	    pasid_attach(&dev, 10, rid));
	pasid_detach(&dev, 10);
	say("unplug it", destroy(dev.stdev));
	say("destroy the table that the other has", destroy(rid));
	say("  that back to the IOAS", replace(&without, ioas));
	say("  destroy the table", destroy(rid));
	close(fd);
}

/* The comparison */

static FILE *open_beside(const char *name)
{
	char exe[PATH_MAX], path[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	FILE *f;

	if (n < 0)
		ksft_exit_fail_msg("/proc/self/exe: %m\n");
	exe[n] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dirname(exe), name);
	f = fopen(path, "r");
	if (!f)
		ksft_exit_fail_msg("%s: %m\n", path);
	return f;
}

/* Lines without comments; their number */
static unsigned int read_lines(const char *name, char lines[][LINE])
{
	FILE *f = open_beside(name);
	unsigned int n = 0;

	while (n != MAX_LINES && fgets(lines[n], LINE, f)) {
		lines[n][strcspn(lines[n], "\n")] = '\0';
		if (lines[n][0] && lines[n][0] != '#')
			n++;
	}
	fclose(f);
	return n;
}

/* Whether a line opens a section */
static bool opens(const char *text)
{
	return !strncmp(text, "== ", 3);
}

/* The reason why the @nth answer of a section differs; NULL if it should not */
static const char *reason_for(char lines[][LINE], unsigned int nr,
			      const char *where, unsigned int nth)
{
	char key[LINE];
	unsigned int i;

	snprintf(key, sizeof(key), "%s %u: ", where, nth);
	for (i = 0; i != nr; i++)
		if (!strncmp(lines[i], key, strlen(key)))
			return lines[i] + strlen(key);
	return NULL;
}

/* One section, whose lines are from @at to @end; whether all is as it should be */
static bool compare(char theirs[][LINE], char differs[][LINE],
		    unsigned int nr_differs, unsigned int at, unsigned int end)
{
	const char *where = theirs[at] + 3, *reason;
	bool good = true;
	unsigned int i;

	for (i = at + 1; i != end; i++) {
		bool equal = !strcmp(ours[i], theirs[i]);

		reason = reason_for(differs, nr_differs, where, i - at);
		if (equal && !reason)
			continue;
		if (equal) {
			ksft_print_msg("%s %u: is equal, and listed as different: %s\n",
				       where, i - at, theirs[i]);
		} else {
			ksft_print_msg("%s %u: mainline: %s\n", where, i - at,
				       theirs[i]);
			ksft_print_msg("%s %u: ours:     %s%s%s\n", where,
				       i - at, ours[i], reason ? ": " : "",
				       reason ? reason : "");
		}
		good = good && !equal && reason;
	}
	return good;
}

/* The lines of iommufd_oracle.differs that are right, and a line for what is not listed */
static void print_differs(char theirs[][LINE], unsigned int nr_theirs,
			  char differs[][LINE], unsigned int nr_differs)
{
	const char *where = "", *reason;
	unsigned int i, start = 0;

	for (i = 0; i != nr_theirs && i != nr_ours; i++) {
		if (opens(theirs[i])) {
			where = theirs[i] + 3;
			start = i;
		} else if (strcmp(ours[i], theirs[i])) {
			reason = reason_for(differs, nr_differs, where, i - start);
			printf("%s %u: %s\n", where, i - start,
			       reason ? reason : "");
		}
	}
}

static unsigned int section_end(char lines[][LINE], unsigned int nr,
				unsigned int at)
{
	do {
		at++;
	} while (at != nr && !opens(lines[at]));
	return at;
}

static bool has_mock(void)
{
	struct device dev;
	bool found;

	fd = iommufd_open();
	if (fd < 0)
		return false;
	found = !mock(new_ioas(), 0, &dev);
	close(fd);
	return found;
}

int main(int argc, char **argv)
{
	static char theirs[MAX_LINES][LINE], differs[MAX_LINES][LINE];
	unsigned int nr_theirs, nr_differs, at, end, nr = 0;
	bool answers = argc == 2 && !strcmp(argv[1], "-a");
	bool update = argc == 2 && !strcmp(argv[1], "-d");

	if (!answers && !update)
		ksft_print_header();
	if (!has_mock())
		ksft_exit_skip("this iommufd has no mock driver (IOMMUFD_TEST)\n");
	ask_hw_info();
	ask_hwpts();
	ask_faults();
	ask_vdevices();
	ask_order();
	ask_pasid();
	if (answers) {
		for (at = 0; at != nr_ours; at++)
			puts(ours[at]);
		return 0;
	}
	nr_theirs = read_lines("iommufd_oracle.answers", theirs);
	nr_differs = read_lines("iommufd_oracle.differs", differs);
	if (update) {
		print_differs(theirs, nr_theirs, differs, nr_differs);
		return 0;
	}
	for (at = 0; at != nr_theirs; at++)
		nr += opens(theirs[at]);
	ksft_set_plan(nr + 1);
	for (at = 0; at < nr_theirs && at < nr_ours; at = end) {
		end = section_end(theirs, nr_theirs, at);
		ksft_test_result(!strcmp(ours[at], theirs[at]) &&
				 section_end(ours, nr_ours, at) == end &&
				 compare(theirs, differs, nr_differs, at, end),
				 "%s\n", theirs[at] + 3);
	}
	ksft_test_result(nr_theirs == nr_ours, "%u lines\n", nr_theirs);
	ksft_finished();
}
