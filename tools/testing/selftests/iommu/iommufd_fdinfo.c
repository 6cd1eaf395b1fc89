// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo says of the memory and of the devices of an address
 * space, on the mock IOMMU driver. How the memory really lies is read from
 * /proc/self/pagemap.
 */
#include <linux/loop.h>
#include <pthread.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "../lib/mock.h"
#include "../lib/skip.h"

#define BASE	(MOCK_APERTURE_START + (1UL << 20))
#define FAR	0x60000000UL
#define PAGES	64

FIXTURE(fdinfo)
{
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t ps;
	size_t size;
	long pinned;
};

FIXTURE_SETUP(fdinfo)
{
	self->ps = page_size();
	self->size = PAGES * self->ps;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
}

FIXTURE_TEARDOWN(fdinfo)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(va, length, iova) \
	ioas_map_at(self->fd, self->ioas, va, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(self->fd, self->ioas, iova, length)

/* What follows "key:\t" in fdinfo, or "" if there is no such line */
static const char *line_of(int fd, const char *key)
{
	static char buf[4096];

	return fdinfo_get(fd, key, buf, sizeof(buf)) ? "" : buf;
}

static const char *ioas_line(int fd, __u32 ioas, const char *what)
{
	char key[64];

	snprintf(key, sizeof(key), "ioas-%u%s", ioas, what);
	return line_of(fd, key);
}

#define RUNS() ioas_line(self->fd, self->ioas, "-runs")
#define DEVICES(ioas) ioas_line(self->fd, ioas, "-devices")

/* PFNs of memory that has been touched; false if we may not know */
static bool get_pfns(const void *va, size_t npages, __u64 *pfns)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	size_t len = npages * sizeof(*pfns), i;
	bool ok = fd >= 0;

	ok = ok && pread(fd, pfns, len, (uintptr_t)va / page_size() *
					sizeof(*pfns)) == (ssize_t)len;
	if (fd >= 0)
		close(fd);
	for (i = 0; ok && i != npages; i++) {
		ok = pfns[i] >> 63;
		pfns[i] &= (1ULL << 55) - 1;
		ok = ok && pfns[i];
	}
	return ok;
}

struct histogram {
	unsigned long nr[64];
};

static int set_nr_hugepages(unsigned int nr)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY), rc = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%u\n", nr) < 0)
		rc = -EIO;
	close(fd);
	return rc;
}

static unsigned int order_of(unsigned long n)
{
	return 63 - __builtin_clzl(n);
}

/* Add the runs of one mapping as the pagemap has them */
static bool add_runs(struct histogram *h, const void *va, size_t npages)
{
	__u64 *pfns = calloc(npages, sizeof(*pfns));
	bool ok = pfns && get_pfns(va, npages, pfns);
	size_t start = 0, i;

	for (i = 1; ok && i <= npages; i++) {
		if (i != npages && pfns[i] == pfns[i - 1] + 1)
			continue;
		h->nr[order_of(i - start)]++;
		start = i;
	}
	free(pfns);
	return ok;
}

static const char *as_line(const struct histogram *h)
{
	static char buf[1024];
	size_t len = 0;
	unsigned int i;

	buf[0] = 0;
	for (i = 0; i != ARRAY_SIZE(h->nr); i++)
		if (h->nr[i])
			len += snprintf(buf + len, sizeof(buf) - len,
					"%s%u:%lu", len ? " " : "", i,
					h->nr[i]);
	return buf;
}

/* Touched memory, page after page at a lower physical address than the last */
static char *mem_descending(size_t npages)
{
	size_t ps = page_size(), i, k, last;
	char *from = mem_private(npages * ps);
	char *to = mem_private(npages * ps);
	__u64 *pfns = calloc(npages, sizeof(*pfns));

	if (from == MAP_FAILED || to == MAP_FAILED || !pfns)
		return NULL;
	madvise(from, npages * ps, MADV_NOHUGEPAGE);
	memset(from, 1, npages * ps);
	if (!get_pfns(from, npages, pfns))
		return NULL;
	for (i = 0; i != npages; i++) {
		for (k = 0, last = 0; k != npages; k++)
			if (pfns[k] > pfns[last])
				last = k;
		if (mremap(from + last * ps, ps, ps,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to + i * ps) ==
		    MAP_FAILED)
			return NULL;
		pfns[last] = 0;
	}
	free(pfns);
	return to;
}

/* Memory */

TEST_F(fdinfo, runs_of_single_pages)
{
	char *mem = mem_descending(PAGES);

	ASSERT_NE(NULL, mem);
	EXPECT_STREQ("", RUNS());
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	EXPECT_STREQ("0:64", RUNS());
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_STREQ("", RUNS());
}

TEST_F(fdinfo, runs_of_huge_pages)
{
	char *mem = mem_hugetlb(2 * SZ_2M);
	struct histogram h = {};
	size_t ps = self->ps;

	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	/* However the two lie to one another, a mapping begins a run */
	ASSERT_EQ(0, MAP_AT(mem, SZ_2M, FAR));
	EXPECT_STREQ("9:1", RUNS());
	ASSERT_EQ(0, MAP_AT(mem + SZ_2M, SZ_2M, FAR + SZ_2M));
	EXPECT_STREQ("9:2", RUNS());
	ASSERT_EQ(0, UNMAP(FAR, 2 * SZ_2M));
	ASSERT_EQ(0, MAP_AT(mem, 2 * SZ_2M, FAR));
	ASSERT_TRUE(add_runs(&h, mem, 2 * SZ_2M / ps));
	EXPECT_STREQ(as_line(&h), RUNS());
	ASSERT_EQ(0, UNMAP(FAR, 2 * SZ_2M));
	/* Parts of one */
	ASSERT_EQ(0, MAP_AT(mem + ps, SZ_2M - ps, FAR));
	EXPECT_STREQ("8:1", RUNS());
	ASSERT_EQ(0, MAP_AT(mem, 3 * ps, FAR + SZ_2M));
	EXPECT_STREQ("1:1 8:1", RUNS());
}

TEST_F(fdinfo, runs_mixed)
{
	char *huge = mem_hugetlb(SZ_2M);
	char *mem = mem_descending(PAGES);

	ASSERT_NE(NULL, mem);
	if (huge == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	ASSERT_EQ(0, MAP_AT(huge, SZ_2M, FAR));
	EXPECT_STREQ("0:64 9:1", RUNS());
	/* No kernel address in any of it */
	EXPECT_EQ(NULL, strstr(line_of(self->fd, "object"), "ffff"));
}

/* More than what is looked at with one lock held, with runs across that */
TEST_F(fdinfo, runs_of_much_memory)
{
	const size_t size = 40 * SZ_2M;
	struct histogram h = {};
	char *mem = mem_thp(size);
	size_t ps = self->ps;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, size, BASE));
	ASSERT_TRUE(add_runs(&h, mem, size / ps));
	EXPECT_STREQ(as_line(&h), RUNS());
	/* The same again, shifted by a page and a half */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, mem + ps + ps / 2,
				 size - 2 * ps, FAR));
	ASSERT_TRUE(add_runs(&h, mem + ps, size / ps - 1));
	EXPECT_STREQ(as_line(&h), RUNS());
}

TEST_F(fdinfo, runs_of_copies)
{
	char *mem = mem_descending(PAGES);
	__u32 other;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, FAR, self->ioas, BASE,
				  2 * self->ps));
	EXPECT_STREQ("0:66", RUNS());
	/* Nothing is pinned for an IOAS without a device */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_copy_at(self->fd, other, FAR, self->ioas, BASE,
				  self->size));
	EXPECT_STREQ("", ioas_line(self->fd, other, "-runs"));
	ASSERT_EQ(0, UNMAP(BASE, self->size));
	EXPECT_STREQ("0:2", RUNS());
}

TEST_F(fdinfo, runs_of_file)
{
	int memfd = memfd_new(self->size, 0);
	struct histogram h = {};
	char *mem;

	ASSERT_LE(0, memfd);
	mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, self->size);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, memfd, 0,
				      self->size, BASE));
	ASSERT_TRUE(add_runs(&h, mem, PAGES));
	EXPECT_STREQ(as_line(&h), RUNS());
	close(memfd);
}

TEST_F(fdinfo, runs_only_while_attached)
{
	char *mem = mem_descending(PAGES);

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, MAP_AT(mem, self->size, BASE));
	EXPECT_STREQ("0:64", RUNS());
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_STREQ("", RUNS());
	EXPECT_NE(NULL, strstr(ioas_line(self->fd, self->ioas, ""),
			       " pinned=0 "));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	EXPECT_STREQ("0:64", RUNS());
}

/* What is not memory is neither pinned nor has runs */
TEST_F(fdinfo, device_memory_is_not_pinned)
{
	const size_t size = 2 * self->ps;
	int dmabuf = mock_dmabuf_get(self->fd, size, O_CLOEXEC);

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, ioas_map_file_at(self->fd, self->ioas, dmabuf, 0, size,
				      BASE));
	EXPECT_STREQ("", RUNS());
	EXPECT_NE(NULL, strstr(ioas_line(self->fd, self->ioas, ""),
			       " pinned=0 "));
	close(dmabuf);
}

/* The whole of fdinfo's last refusal has all of these words */
static bool told(int fd, const char *word, const char *other)
{
	const char *why = line_of(fd, "last-refusal");

	if (strstr(why, word) && strstr(why, other))
		return true;
	printf("# last refusal: %s\n", why);
	return false;
}

static const char *hex(const void *va)
{
	static char text[32];

	snprintf(text, sizeof(text), "0x%lx", (unsigned long)va);
	return text;
}

/* EFAULT and its like say which page, and why */
TEST_F(fdinfo, why_not_pinned)
{
	size_t ps = self->ps;
	char *mem, *ro, *none, *disk;
	__u64 iova = BASE;
	int fd;

	mem = mem_before_hole(2 * ps);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	EXPECT_EQ(-EFAULT, MAP_AT(mem, 3 * ps, BASE));
	EXPECT_TRUE(told(self->fd, hex(mem + 2 * ps), "nothing is mapped"));

	ro = mmap(NULL, 2 * ps, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ro);
	ASSERT_EQ(0, mprotect(ro + ps, ps, PROT_READ));
	EXPECT_EQ(-EFAULT, MAP_AT(ro, 2 * ps, BASE));
	EXPECT_TRUE(told(self->fd, hex(ro + ps), "PROT_WRITE"));
	none = mmap(NULL, ps, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(-EFAULT, ioas_map(self->fd, self->ioas, none, ps, &iova,
				    MAP_FIXED_RO));
	EXPECT_TRUE(told(self->fd, hex(none), "PROT_READ"));

	fd = memfd_new(ps, MFD_ALLOW_SEALING);
	ASSERT_LE(0, fd);
	mem = mmap(NULL, 2 * ps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-EFAULT, MAP_AT(mem, 2 * ps, BASE));
	EXPECT_TRUE(told(self->fd, hex(mem + ps), "past the end"));
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, fd, 0,
					    2 * ps, BASE));
	EXPECT_TRUE(told(self->fd, "the file ends at", "0x2000"));
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-EPERM, ioas_map_file_at(self->fd, self->ioas, fd, 0, ps,
					   BASE));
	EXPECT_TRUE(told(self->fd, "sealed", ""));
	close(fd);

	fd = open("/proc/self/exe", O_RDONLY);
	EXPECT_EQ(-EINVAL, ioas_map_file_at(self->fd, self->ioas, fd, 0, ps,
					    BASE));
	EXPECT_TRUE(told(self->fd, "not a memfd", ""));
	close(fd);

	fd = block_device(2 * ps);
	if (fd < 0)
		SKIP_REST("no loop device: %s", strerror(-fd));
	disk = mmap(NULL, 2 * ps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, disk);
	EXPECT_EQ(-EFAULT, MAP_AT(disk, 2 * ps, BASE));
	EXPECT_TRUE(told(self->fd, hex(disk), "told of writes"));
	munmap(disk, 2 * ps);
	ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
}

TEST_F(fdinfo, why_no_huge_page)
{
	int fd = memfd_new(1UL << 40, MFD_HUGETLB);
	char *mem;

	if (fd < 0)
		SKIP(return, "no hugetlb files");
	mem = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_NORESERVE, fd, 1UL << 30);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, set_nr_hugepages(0)) {
		TH_LOG("nr_hugepages cannot be written");
	}
	EXPECT_EQ(-EFAULT, MAP_AT(mem, SZ_2M, BASE));
	EXPECT_TRUE(told(self->fd, hex(mem), "no huge page"));
	EXPECT_EQ(-ENOMEM, ioas_map_file_at(self->fd, self->ioas, fd, 0, SZ_2M,
					    BASE));
	EXPECT_TRUE(told(self->fd, "no huge page", "file"));
	EXPECT_EQ(0, set_nr_hugepages(32));
	munmap(mem, SZ_2M);
	close(fd);
}

/* How many lines from here on say this */
static int log_lines(int log, const char *text)
{
	char buf[8192];
	int found = 0;
	ssize_t n;

	while ((n = read(log, buf, sizeof(buf) - 1)) > 0) {
		buf[n] = '\0';
		if (strstr(buf, text))
			found++;
	}
	return found;
}

/* What an administrator has to do something about is in the log, once */
TEST_F(fdinfo, memlock_in_the_log)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	char line[128];
	pid_t pid;

	if (log < 0)
		SKIP(return, "no /dev/kmsg");
	ASSERT_LE(0, lseek(log, 0, SEEK_END));
	pid = fork();
	if (!pid) {
		const struct rlimit none = { 0, 0 };
		char *mem = mem_private(self->ps);
		int i;

		/* A user that no other test has */
		CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
		CHILD_CHECK(!setresuid(54321, 54321, 54321));
		for (i = 0; i != 10; i++)
			CHILD_CHECK(MAP_AT(mem, self->ps, BASE) == -ENOMEM);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	snprintf(line, sizeof(line),
		 "[%d] of user 54321 is refused: memlock limit", pid);
	EXPECT_EQ(1, log_lines(log, line));
	close(log);
}

/* Devices */

/* The name of a device object, which is the last word of its line */
static void device_name(int fd, __u32 id, char *name, size_t size)
{
	char buf[512], start[64];

	*name = 0;
	snprintf(start, sizeof(start), "object:\t%u device users=", id);
	if (!fdinfo_line(fd, start, buf, sizeof(buf)))
		snprintf(name, size, "%s", strrchr(buf, ' ') + 1);
}

TEST_F(fdinfo, devices)
{
	char first[64], second[64], both[130];
	struct mock_device dev;
	__u32 other;

	device_name(self->fd, self->dev.idev, first, sizeof(first));
	ASSERT_NE(0, strlen(first));
	EXPECT_STREQ(first, DEVICES(self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
	device_name(self->fd, dev.idev, second, sizeof(second));
	EXPECT_STRNE(first, second);
	snprintf(both, sizeof(both), "%s %s", first, second);
	EXPECT_STREQ(both, DEVICES(self->ioas));

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	EXPECT_STREQ("", DEVICES(other));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, other));
	EXPECT_STREQ(second, DEVICES(self->ioas));
	EXPECT_STREQ(first, DEVICES(other));

	ASSERT_EQ(0, mock_detach(self->fd, &dev));
	EXPECT_STREQ("", DEVICES(self->ioas));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_STREQ("", DEVICES(other));
}

/* A hwpt of the user's own is the IOAS's, too */
TEST_F(fdinfo, devices_of_manual_hwpt)
{
	char name[64];
	__u32 hwpt;

	device_name(self->fd, self->dev.idev, name, sizeof(name));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, hwpt));
	EXPECT_STREQ(name, DEVICES(self->ioas));
}

/* While all of it comes and goes */

#define ROUNDS 150

struct race {
	int fd;
	__u32 ioas;
	char *mem;
	size_t size;
	bool stop;
	unsigned long read;
	const char *bad;
};

/* Digits, colons and blanks of ORDER:COUNT, orders in ascending order */
static bool runs_sane(const char *line)
{
	unsigned int order, before = 0;
	bool first = true;
	unsigned long nr;
	int len;

	for (; *line; line += len + (line[len] == ' ')) {
		if (sscanf(line, "%u:%lu%n", &order, &nr, &len) != 2 || !nr ||
		    order > 20 || (!first && order <= before))
			return false;
		before = order;
		first = false;
	}
	return true;
}

static void *read_for_ever(void *arg)
{
	struct race *race = arg;
	char path[64], line[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", race->fd);
	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
		FILE *f = fopen(path, "r");

		while (f && fgets(line, sizeof(line), f)) {
			char *runs = strstr(line, "-runs:\t");

			line[strcspn(line, "\n")] = 0;
			if (runs && !runs_sane(runs + 7))
				race->bad = "not a histogram";
			if (strstr(line, "0xffff") || strstr(line, "(null)"))
				race->bad = "not for users";
		}
		if (f)
			fclose(f);
		__atomic_add_fetch(&race->read, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *map_for_ever(void *arg)
{
	struct race *race = arg;

	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
		if (ioas_map_at(race->fd, race->ioas, race->mem, race->size,
				BASE) ||
		    ioas_copy_at(race->fd, race->ioas, FAR, race->ioas, BASE,
				 race->size) ||
		    ioas_unmap(race->fd, race->ioas, BASE, race->size) ||
		    ioas_unmap(race->fd, race->ioas, FAR, race->size))
			race->bad = "map or unmap";
	}
	return NULL;
}

TEST_F(fdinfo, read_while_all_changes)
{
	struct race race = { .fd = self->fd, .ioas = self->ioas };
	struct mock_device dev;
	pthread_t reader, mapper;
	unsigned long seen;
	__u32 other;
	int i;

	race.size = SZ_2M;
	race.mem = mem_private(race.size);
	ASSERT_NE(MAP_FAILED, race.mem);
	memset(race.mem, 1, race.size);
	ASSERT_EQ(0, pthread_create(&reader, NULL, read_for_ever, &race));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, map_for_ever, &race));
	for (i = 0; i != ROUNDS; i++) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
		ASSERT_EQ(0, ioas_alloc(self->fd, &other));
		ASSERT_EQ(0, mock_replace(self->fd, &dev, other));
		ASSERT_EQ(0, mock_detach(self->fd, &dev));
		ASSERT_EQ(0, obj_destroy(self->fd, other));
	}
	/* Each gets its turn */
	seen = __atomic_load_n(&race.read, __ATOMIC_ACQUIRE);
	while (__atomic_load_n(&race.read, __ATOMIC_ACQUIRE) < seen + 2)
		usleep(1000);
	__atomic_store_n(&race.stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	pthread_join(mapper, NULL);
	EXPECT_EQ(NULL, race.bad) {
		TH_LOG("%s", race.bad);
	}
}

TEST_HARNESS_MAIN
