// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peer-to-peer DMA: edu copies to and from the memory BAR of ivshmem, which is
 * mapped into its address space and taken away again.
 */
#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../lib/type1.h"
#include "vfio_pci_p2p.h"

#define LENGTH		4096UL

FIXTURE(p2p)
{
	struct p2p p;
};

FIXTURE_SETUP(p2p)
{
	const char *missing;
	int ret = p2p_open(&self->p, LENGTH, &missing);

	if (ret == -ENODEV)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(p2p)
{
	EXPECT_EQ(0, p2p_close(&self->p));
}

static bool send(struct __test_metadata *_metadata, struct p2p *p, char byte)
{
	return p2p_send(_metadata, p, IOVA_BAR, byte);
}

static bool stopped(struct __test_metadata *_metadata, struct p2p *p,
		    char byte)
{
	return p2p_stopped(_metadata, p, IOVA_BAR, byte);
}

TEST_F(p2p, dma_to_bar_and_back)
{
	struct p2p *p = &self->p;
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
	p->bar[0] = 1;
	ASSERT_TRUE(send(_metadata, p, 0x5a));
	EXPECT_EQ(0x5a, p->bar[0]);
	EXPECT_EQ(0x5a, p->bar[63]);

	p->bar[0] = 0x17;
	ASSERT_TRUE(edu_from_iova(p->edu_bar, IOVA_BAR));
	ASSERT_TRUE(edu_to_iova(p->edu_bar, IOVA_MEM));
	EXPECT_EQ(0x17, p->mem[0]);
	EXPECT_EQ(0x5a, p->mem[1]);

	EXPECT_EQ(0, ioas_unmap(p->edu.iommufd, p->ioas, IOVA_BAR, LENGTH));
	p->bar[0] = 1;
	EXPECT_TRUE(stopped(_metadata, p, 0x5b));
	EXPECT_EQ(1, p->bar[0]);
}

TEST_F(p2p, mapped_before_attach)
{
	struct p2p *p = &self->p;
	__u32 other, pt;

	ASSERT_EQ(0, ioas_alloc(p->edu.iommufd, &other));
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, other, (void *)p->bar,
				 LENGTH, IOVA_BAR));
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, other, p->mem, LENGTH,
				 IOVA_MEM));
	pt = other;
	ASSERT_EQ(0, cdev_attach(p->edu.fd, &pt));
	p->bar[0] = 1;
	ASSERT_TRUE(send(_metadata, p, 0x33));
	EXPECT_EQ(0x33, p->bar[0]);
	EXPECT_EQ(0, cdev_detach(p->edu.fd));
	EXPECT_EQ(0, ioas_unmap(p->edu.iommufd, other, IOVA_BAR, LENGTH));
}

TEST_F(p2p, revoked_with_memory_enable)
{
	struct p2p *p = &self->p;
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
	p->bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&p->shmem, 0, PCI_COMMAND_MEMORY));
	EXPECT_TRUE(stopped(_metadata, p, 0x44));
	ASSERT_EQ(0, vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, p->bar[0]);

	/* It is where it was. */
	ASSERT_TRUE(send(_metadata, p, 0x45));
	EXPECT_EQ(0x45, p->bar[0]);
}

TEST_F(p2p, mapped_while_memory_is_disabled)
{
	struct p2p *p = &self->p;
	p->bar[0] = 1;
	ASSERT_EQ(0, vp_set_command(&p->shmem, 0, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
	EXPECT_TRUE(stopped(_metadata, p, 0x46));
	ASSERT_EQ(0, vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, p->bar[0]);
	ASSERT_TRUE(send(_metadata, p, 0x47));
	EXPECT_EQ(0x47, p->bar[0]);
}

/* However often the user maps it, taking it back does not take long. */
TEST_F_TIMEOUT(p2p, limit, 120)
{
	const unsigned int max = 65536;
	struct p2p *p = &self->p;
	unsigned int i;
	double begin;
	int ret = 0;

	if (getenv("VM_SLOWER"))
		SKIP(return, "KUnit has the limit, and this measures time");
	for (i = 0; i < max && !ret; i++)
		ret = ioas_map_at(p->edu.iommufd, p->ioas, (void *)p->bar,
				  LENGTH, IOVA_BAR + i * LENGTH);
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-ENOSPC, ioas_map_at(p->edu.iommufd, p->ioas,
				       (void *)p->bar, LENGTH,
				       IOVA_BAR + i * LENGTH));
	p->bar[0] = 1;
	begin = seconds_now();
	ASSERT_EQ(0, vp_set_command(&p->shmem, 0, PCI_COMMAND_MEMORY));
	EXPECT_GT(1, seconds_now() - begin);
	EXPECT_TRUE(stopped(_metadata, p, 0x4a));
	ASSERT_EQ(0, vp_set_command(&p->shmem, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(1, p->bar[0]);
	ASSERT_TRUE(send(_metadata, p, 0x4b));
	EXPECT_EQ(0x4b, p->bar[0]);

	/* One that goes makes room for another. */
	EXPECT_EQ(0, ioas_unmap(p->edu.iommufd, p->ioas, IOVA_BAR, LENGTH));
	EXPECT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas, (void *)p->bar,
				 LENGTH, IOVA_BAR + i * LENGTH));
}

TEST_F(p2p, revoked_with_close)
{
	struct p2p *p = &self->p;
	ASSERT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
	p->bar[0] = 1;
	vp_close_fds(&p->shmem);
	EXPECT_TRUE(stopped(_metadata, p, 0x48));

	ASSERT_EQ(0, vp_open_bdf(&p->shmem));
	ASSERT_EQ(0, p2p_map_bar(p));
	EXPECT_EQ(1, p->bar[0]);
	/* The old mapping stays dead, its IOVA stays taken until the unmap. */
	EXPECT_TRUE(stopped(_metadata, p, 0x49));
	EXPECT_EQ(1, p->bar[0]);
	EXPECT_EQ(-EEXIST, ioas_map_at(p->edu.iommufd, p->ioas,
				       (void *)p->bar, LENGTH, IOVA_BAR));
	EXPECT_EQ(0, ioas_unmap(p->edu.iommufd, p->ioas, IOVA_BAR, LENGTH));
	EXPECT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
	ASSERT_TRUE(send(_metadata, p, 0x4a));
	EXPECT_EQ(0x4a, p->bar[0]);
}

/* What the process may not do, no device may do for it */
TEST_F(p2p, as_the_mapping_permits)
{
	struct p2p *p = &self->p;
	int iommufd = p->edu.iommufd;
	char why[256];
	void *ro, *none;
	__u32 other;

	ro = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, p->shmem.fd,
		  vp_offset(SHMEM_BAR, 0));
	ASSERT_NE(MAP_FAILED, ro);
	none = mmap(NULL, LENGTH, PROT_NONE, MAP_SHARED, p->shmem.fd,
		    vp_offset(SHMEM_BAR, 0));
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, ioas_alloc(iommufd, &other));

	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, p->ioas, ro, LENGTH,
					 IOVA_BAR, RD | WR));
	ASSERT_EQ(0, fdinfo_get(iommufd, "last-refusal", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "without PROT_WRITE"));
	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, p->ioas, ro, LENGTH,
					 IOVA_BAR, WR));
	/* nor where nothing is pinned yet */
	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, other, ro, LENGTH,
					 IOVA_BAR, RD | WR));
	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, p->ioas, none, LENGTH,
					 IOVA_BAR, RD));
	ASSERT_EQ(0, fdinfo_get(iommufd, "last-refusal", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "without PROT_READ"));
	/* nor with the leave to change that, as long as it is not used */
	ASSERT_EQ(0, mprotect(none, LENGTH, PROT_WRITE));
	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, p->ioas, none, LENGTH,
					 IOVA_BAR, RD));
	ASSERT_EQ(0, mprotect(none, LENGTH, PROT_READ));
	EXPECT_EQ(-EFAULT, ioas_map_prot(iommufd, p->ioas, none, LENGTH,
					 IOVA_BAR, WR));

	/* What may be read can be read, and not written. */
	ASSERT_EQ(0, ioas_map_prot(iommufd, p->ioas, ro, LENGTH,
				   IOVA_BAR, RD));
	p->bar[0] = 0x21;
	EXPECT_TRUE(stopped(_metadata, p, 0x50));
	EXPECT_EQ(0x21, p->bar[0]);
	ASSERT_TRUE(edu_from_iova(p->edu_bar, IOVA_BAR));
	ASSERT_TRUE(edu_to_iova(p->edu_bar, IOVA_MEM));
	EXPECT_EQ(0x21, p->mem[0]);
	EXPECT_EQ(0, ioas_unmap(iommufd, p->ioas, IOVA_BAR, LENGTH));

	ASSERT_EQ(0, mprotect(ro, LENGTH, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, ioas_map_prot(iommufd, p->ioas, ro, LENGTH,
				   IOVA_BAR, RD | WR));
	ASSERT_TRUE(send(_metadata, p, 0x51));
	EXPECT_EQ(0x51, p->bar[0]);
	munmap(ro, LENGTH);
	munmap(none, LENGTH);
}

TEST_F(p2p, more_than_the_mapping)
{
	struct p2p *p = &self->p;
	EXPECT_EQ(-EFAULT, ioas_map_at(p->edu.iommufd, p->ioas,
				       (void *)p->bar, 2 * LENGTH, IOVA_BAR));
	/* Nothing stays behind. */
	EXPECT_EQ(0, ioas_map_at(p->edu.iommufd, p->ioas,
				 (void *)p->bar, LENGTH, IOVA_BAR));
}

/* The same by the ioctls of a container, for programs that know no others */
static void by_container(struct __test_metadata *_metadata, struct p2p *p,
			 unsigned long type)
{
	__u64 size = 4 * PAGE, part = PAGE;
	int fd = p->edu.iommufd;

	ASSERT_EQ(0, munmap((void *)p->bar, p->length));
	p->length = size;
	ASSERT_EQ(0, p2p_map_bar(p));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &p->ioas));
	ASSERT_EQ(0, t1_set_iommu(fd, type));
	ASSERT_EQ(0, t1_map(fd, (void *)p->bar, size, IOVA_BAR, T1_RW));
	p->bar[0] = 1;
	ASSERT_TRUE(send(_metadata, p, 0x5c));
	EXPECT_EQ(0x5c, p->bar[0]);
	p->bar[0] = 0x18;
	ASSERT_TRUE(edu_from_iova(p->edu_bar, IOVA_BAR));
	ASSERT_TRUE(edu_to_iova(p->edu_bar, IOVA_MEM));
	EXPECT_EQ(0x18, p->mem[0]);

	EXPECT_EQ(-EEXIST, t1_map(fd, (void *)p->bar, size, IOVA_BAR, T1_RW));
	EXPECT_GT(0, t1_unmap_flags(fd, IOVA_BAR + PAGE, &part, 0));
	ASSERT_TRUE(send(_metadata, p, 0x5d));
	EXPECT_EQ(0x5d, p->bar[0]);

	EXPECT_EQ(0, t1_unmap(fd, IOVA_BAR, size));
	p->bar[0] = 1;
	EXPECT_TRUE(stopped(_metadata, p, 0x5e));
	EXPECT_EQ(1, p->bar[0]);

	/* Its own closing takes it away, too. */
	ASSERT_EQ(0, t1_map(fd, (void *)p->bar, size, IOVA_BAR, T1_RW));
	vp_close_fds(&p->shmem);
	EXPECT_TRUE(stopped(_metadata, p, 0x5f));
	ASSERT_EQ(0, vp_open_bdf(&p->shmem));
	ASSERT_EQ(0, p2p_map_bar(p));
	EXPECT_EQ(1, p->bar[0]);
}

TEST_F(p2p, container_type1)
{
	by_container(_metadata, &self->p, VFIO_TYPE1_IOMMU);
}

TEST_F(p2p, container_type1v2)
{
	by_container(_metadata, &self->p, VFIO_TYPE1v2_IOMMU);
}

/* An ordinary user, who may lock a page and no more */
static int become_ordinary(void)
{
	const struct rlimit lim = { PAGE, PAGE };

	if (setrlimit(RLIMIT_MEMLOCK, &lim) || setgroups(0, NULL) ||
	    setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return -errno;
	return 0;
}

static int refusals(int iommufd)
{
	char count[32];

	if (fdinfo_get(iommufd, "refusals", count, sizeof(count)))
		return -1;
	return atoi(count);
}

#define SAY(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__,	\
			       #cond);					\
			failed = 1;					\
		}							\
	} while (0)

/* In a process of its own. The BAR is larger than the limit, and not charged. */
static int map_with_limit(const struct p2p *p, __u32 unattached)
{
	const __u32 ioas[] = { p->ioas, unattached };
	int fd = p->edu.iommufd;
	int i, before, failed = 0;
	char why[256];
	char *mem;

	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SAY(mem != MAP_FAILED && !become_ordinary());
	before = refusals(fd);
	for (i = 0; i != 2; i++) {
		SAY(!ioas_map_at(fd, ioas[i], (void *)p->bar, p->length,
				 IOVA_BAR));
		SAY(!ioas_unmap(fd, ioas[i], IOVA_BAR, p->length));
	}
	SAY(!t1_map(fd, (void *)p->bar, p->length, IOVA_BAR, T1_RW));
	SAY(refusals(fd) == before);

	/* All that the limit allows is left for memory */
	SAY(!ioas_map_at(fd, p->ioas, mem, PAGE, IOVA_BAR + p->length));
	SAY(ioas_map_at(fd, p->ioas, mem + PAGE, PAGE,
			IOVA_BAR + p->length + PAGE) == -ENOMEM);
	SAY(refusals(fd) == before + 1);
	SAY(!fdinfo_get(fd, "last-refusal", why, sizeof(why)) &&
	    strstr(why, "memlock limit"));
	SAY(!ioas_unmap(fd, p->ioas, IOVA_BAR, p->length + PAGE));
	return failed;
}

TEST_F(p2p, larger_than_memlock)
{
	struct p2p *p = &self->p;
	int fd = p->edu.iommufd;
	__u32 unattached;
	int status;
	pid_t pid;

	ASSERT_EQ(0, munmap((void *)p->bar, p->length));
	p->length = 16 * PAGE;
	ASSERT_EQ(0, p2p_map_bar(p));
	ASSERT_EQ(0, ioas_alloc(fd, &unattached));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &p->ioas));
	ASSERT_EQ(0, t1_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = map_with_limit(p, unattached);
		fflush(stdout);
		_exit(status);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
