// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of mock devices: which table a PASID may be attached to, and what that
 * leaves to the device itself.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "../lib/fail_nth.h"
#include "../lib/mock.h"

#define PASID		IOMMU_HWPT_ALLOC_PASID
#define NO_DIRTY	MOCK_FLAGS_DEVICE_NO_DIRTY
#define BASE		(MOCK_APERTURE_START + (16UL << 20))
#define SIZE		(16 * page_size())

FIXTURE(pasid)
{
	int fd;
	/* An IOAS, another one, and a device that is attached to a table for it */
	__u32 ioas, other;
	struct mock_device dev;
	__u32 rid;
	/* Two tables for PASIDs, each of another IOAS, and one that is not */
	__u32 first, second, plain;
	char *buf;
	long pinned;
};

FIXTURE_SETUP(pasid)
{
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	self->buf = mem_shared(SIZE);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->ioas, MOCK_DEVICE_PASID,
				       &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, PASID,
				&self->rid));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, PASID,
				&self->first));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->other, PASID,
				&self->second));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&self->plain));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
}

FIXTURE_TEARDOWN(pasid)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define ATTACH(pasid, pt)  mock_pasid_attach(self->fd, &self->dev, pasid, pt)
#define REPLACE(pasid, pt) mock_pasid_replace(self->fd, &self->dev, pasid, pt)
#define DETACH(pasid)	   mock_pasid_detach(self->fd, &self->dev, pasid)
#define EXPECT_ON(pasid, hwpt) \
	EXPECT_EQ(0, mock_pasid_check(self->fd, &self->dev, pasid, hwpt))
#define REASON()	   last_reason(self->fd)

static const char *last_reason(int fd)
{
	static char buf[256];

	return fdinfo_get(fd, "last-refusal", buf, sizeof(buf)) ? "" : buf;
}

TEST_F(pasid, attach)
{
	ASSERT_EQ(0, ATTACH(10, self->first));
	EXPECT_ON(10, self->first);
	/* Of another address space, and what the device itself is on */
	ASSERT_EQ(0, ATTACH(11, self->second));
	ASSERT_EQ(0, ATTACH(12, self->rid));
	ASSERT_EQ(0, ATTACH((1 << 20) - 1, self->first));
	EXPECT_ON(10, self->first);
	EXPECT_ON(11, self->second);
	EXPECT_ON(12, self->rid);
	EXPECT_ON((1 << 20) - 1, self->first);
	EXPECT_ON(13, 0);

	/* The same or another one */
	EXPECT_EQ(-EBUSY, ATTACH(10, self->first));
	EXPECT_EQ(-EBUSY, ATTACH(10, self->second));
	EXPECT_NE(NULL, strstr(REASON(), "pasid 10: it is attached to hwpt"));
	EXPECT_ON(10, self->first);
	/* That one is the device itself */
	EXPECT_EQ(-EBUSY, ATTACH(0, self->first));

	/* Each attachment holds its table, and goes by itself */
	ASSERT_EQ(0, DETACH((1 << 20) - 1));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->first));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->second));
	ASSERT_EQ(0, DETACH(10));
	EXPECT_ON(10, 0);
	EXPECT_ON(11, self->second);
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	ASSERT_EQ(0, DETACH(11));
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	/* Again, and never attached */
	EXPECT_EQ(0, DETACH(11));
	EXPECT_EQ(0, DETACH(99));
	/* The last holder of the device's own table is not the device */
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(0, obj_destroy(self->fd, self->rid));
}

TEST_F(pasid, attach_bad)
{
	EXPECT_EQ(-EINVAL, ATTACH(1 << 20, self->first));
	EXPECT_NE(NULL, strstr(REASON(), "has PASIDs below 1048576 only"));
	EXPECT_EQ(-EINVAL, ATTACH(0xffffffff, self->first));
	EXPECT_EQ(-ENOENT, ATTACH(10, 0x7fffffff));
	EXPECT_EQ(-ENOENT, ATTACH(10, 0));
	EXPECT_EQ(-EINVAL, ATTACH(10, self->dev.idev));
	EXPECT_EQ(-EINVAL, ATTACH(10, self->plain));
	EXPECT_NE(NULL, strstr(REASON(),
			       "was not allocated with IOMMU_HWPT_ALLOC_PASID"));
	/* No table is made for a PASID, and none is chosen */
	EXPECT_EQ(-EINVAL, ATTACH(10, self->ioas));
	EXPECT_NE(NULL, strstr(REASON(), "is an IOAS"));
	EXPECT_ON(10, 0);
	/* None of that has kept anything */
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	EXPECT_EQ(0, obj_destroy(self->fd, self->plain));
}

TEST_F(pasid, attach_fails)
{
	struct mock_device dirty;
	__u32 hwpt;

	/* The IOMMU driver refuses it for this device, as it does for the RID */
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->ioas, MOCK_DEVICE_PASID,
				       &dirty));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dirty.idev, self->other,
				PASID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				&hwpt));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
				       MOCK_DEVICE_PASID | NO_DIRTY,
				       &self->dev));
	EXPECT_EQ(-EINVAL, ATTACH(10, hwpt));
	EXPECT_ON(10, 0);
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
}

TEST_F(pasid, device_without)
{
	struct mock_device plain;

	/* Such a table suits it as any other does */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &plain));
	ASSERT_EQ(0, mock_replace(self->fd, &plain, self->first));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &plain, 10,
					     self->first));
	EXPECT_NE(NULL, strstr(REASON(), "has no PASIDs"));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &plain, 10,
					     self->plain));
	ASSERT_EQ(0, mock_replace(self->fd, &plain, self->plain));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &plain, 10,
					     self->plain));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, &plain, 10));
	/* The mock makes one for it */
	EXPECT_EQ(0, hwpt_alloc(self->fd, plain.idev, self->ioas, PASID,
				&self->plain));
}

TEST_F(pasid, rid_rules)
{
	/* An automatic table of an IOAS is not for PASIDs, and neither is @plain */
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
	EXPECT_EQ(-EINVAL, ATTACH(10, self->first));
	EXPECT_NE(NULL, strstr(REASON(), "itself is attached to hwpt"));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->plain));
	EXPECT_EQ(-EINVAL, ATTACH(10, self->first));
	EXPECT_ON(10, 0);

	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
	ASSERT_EQ(0, ATTACH(10, self->first));
	/* So that the device cannot go back to them */
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &self->dev, self->plain));
	EXPECT_NE(NULL, strstr(REASON(), "PASIDs of"));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &self->dev, self->ioas));
	EXPECT_EQ(self->rid, self->dev.hwpt);
	/* But to one for PASIDs, of this address space or of another */
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->second));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->first));
	EXPECT_ON(10, self->first);
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
	/* And anywhere after the last PASID */
	ASSERT_EQ(0, ATTACH(11, self->second));
	ASSERT_EQ(0, DETACH(10));
	EXPECT_EQ(-EINVAL, mock_replace(self->fd, &self->dev, self->plain));
	ASSERT_EQ(0, DETACH(11));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->plain));
	EXPECT_EQ(0, obj_destroy(self->fd, self->rid));
}

TEST_F(pasid, replace)
{
	EXPECT_EQ(-EINVAL, REPLACE(10, self->first));
	EXPECT_NE(NULL, strstr(REASON(), "pasid 10: it is not attached"));
	ASSERT_EQ(0, ATTACH(10, self->first));
	EXPECT_EQ(0, REPLACE(10, self->first));
	ASSERT_EQ(0, REPLACE(10, self->second));
	EXPECT_ON(10, self->second);
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->second));
	ASSERT_EQ(0, REPLACE(10, self->rid));
	EXPECT_ON(10, self->rid);
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	ASSERT_EQ(0, DETACH(10));
	EXPECT_EQ(-EINVAL, REPLACE(10, self->rid));
}

TEST_F(pasid, replace_fails)
{
	ASSERT_EQ(0, ATTACH(MOCK_PASID_RESERVED, self->first));
	EXPECT_EQ(-EINVAL, REPLACE(MOCK_PASID_RESERVED, self->plain));
	EXPECT_EQ(-EINVAL, REPLACE(MOCK_PASID_RESERVED, self->ioas));
	EXPECT_EQ(-ENOENT, REPLACE(MOCK_PASID_RESERVED, 0x7fffffff));
	EXPECT_ON(MOCK_PASID_RESERVED, self->first);
	/* The IOMMU driver refuses it: the old table stays, and only that */
	EXPECT_EQ(-ENOMEM, REPLACE(MOCK_PASID_RESERVED, self->second));
	EXPECT_ON(MOCK_PASID_RESERVED, self->first);
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->first));
	ASSERT_EQ(0, DETACH(MOCK_PASID_RESERVED));
	EXPECT_ON(MOCK_PASID_RESERVED, 0);
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
}

/* What a PASID reaches is what its own table maps */
TEST_F(pasid, address_spaces)
{
	char *other = mem_shared(SIZE);

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, ATTACH(10, self->first));
	ASSERT_EQ(0, ATTACH(11, self->second));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, SIZE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->other, other, SIZE, BASE));
	EXPECT_EQ(0, mock_check_map(self->fd, self->first, BASE, SIZE,
				    self->buf));
	EXPECT_EQ(0, mock_check_map(self->fd, self->rid, BASE, SIZE,
				    self->buf));
	EXPECT_EQ(0, mock_check_map(self->fd, self->second, BASE, SIZE,
				    other));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	EXPECT_NE(0, mock_check_map(self->fd, self->first, BASE, SIZE,
				    self->buf));
	EXPECT_EQ(0, mock_check_map(self->fd, self->second, BASE, SIZE,
				    other));
	EXPECT_EQ(0, mock_check_refs(self->fd, self->buf, SIZE, 0));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->other));
}

/* The ranges that a device reserves are those of its interrupts: without a PASID */
TEST_F(pasid, reserved)
{
	struct mock_device dev;
	__u32 ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
				       MOCK_DEVICE_PASID | MOCK_DEVICE_RESERVES,
				       &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, ioas, PASID, &hwpt));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, &dev, 10, hwpt));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, page_size(),
				 MOCK_RESERVED_FIRST));
	EXPECT_EQ(-EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
				       page_size(), MOCK_RESERVED_FIRST));
}

/* In a group of several nobody knows whose PASID it is */
TEST_F(pasid, group)
{
	struct mock_device mates[2];
	unsigned int i;

	for (i = 0; i != 2; i++)
		ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
					       MOCK_DEVICE_PASID |
					       MOCK_DEVICE_GROUPED,
					       &mates[i]));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &mates[0], 10,
					     self->first));
	EXPECT_NE(NULL, strstr(REASON(), "is not alone in its group"));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &mates[1], 10,
					     self->first));
	ASSERT_EQ(0, mock_detach(self->fd, &mates[0]));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, &mates[1], 10, self->first));
}

/* A device that needs coherent DMA needs it of its PASIDs as well */
TEST_F(pasid, coherency)
{
	struct mock_device dev;
	__u32 hwpt;

	ASSERT_EQ(0, mock_attach_flags(self->fd, self->other,
				       MOCK_DEVICE_PASID | MOCK_DEVICE_COHERENT,
				       &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->other, PASID,
				&hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &dev, hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, SIZE, BASE));
	EXPECT_EQ(-EINVAL, mock_pasid_attach(self->fd, &dev, 10, self->first));
	EXPECT_NE(NULL, strstr(REASON(), "does not enforce cache coherency"));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, &dev, 10, hwpt));
}

/* The device is unplugged, or the iommufd closed, with PASIDs attached */
TEST_F(pasid, unplug)
{
	ASSERT_EQ(0, ATTACH(10, self->first));
	ASSERT_EQ(0, ATTACH(11, self->second));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid, MOCK_DEVICE_PASID,
				       &self->dev));
	ASSERT_EQ(0, ATTACH(10, self->rid));
	EXPECT_EQ(0, ATTACH(11, self->rid));
}

TEST_F(pasid, get_hw_info)
{
	struct mock_device plain;
	struct iommu_hw_info cmd;

	ASSERT_EQ(0, get_hw_info(self->fd, self->dev.idev, NULL, 0, &cmd));
	EXPECT_EQ(20, cmd.out_max_pasid_log2);
	/* A matter of PCI */
	EXPECT_EQ(0, cmd.out_capabilities & (IOMMU_HW_CAP_PCI_PASID_EXEC |
					     IOMMU_HW_CAP_PCI_PASID_PRIV));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &plain));
	ASSERT_EQ(0, get_hw_info(self->fd, plain.idev, NULL, 0, &cmd));
	EXPECT_EQ(0, cmd.out_max_pasid_log2);
}

TEST_F(pasid, fdinfo)
{
	char key[64], want[64], buf[256];

	snprintf(key, sizeof(key), "device-%u-hwpts", self->dev.idev);
	snprintf(want, sizeof(want), "%u", self->rid);
	ASSERT_EQ(0, fdinfo_get(self->fd, key, buf, sizeof(buf)));
	EXPECT_STREQ(want, buf);
	ASSERT_EQ(0, ATTACH(11, self->second));
	ASSERT_EQ(0, ATTACH(10, self->first));
	snprintf(want, sizeof(want), "%u pasid-10=%u pasid-11=%u", self->rid,
		 self->first, self->second);
	ASSERT_EQ(0, fdinfo_get(self->fd, key, buf, sizeof(buf)));
	EXPECT_STREQ(want, buf);
	/* Whose only use is by that PASID */
	snprintf(want, sizeof(want), "ioas-%u-devices", self->other);
	EXPECT_EQ(0, fdinfo_get(self->fd, want, buf, sizeof(buf)));
	ASSERT_EQ(0, DETACH(11));
	EXPECT_EQ(-ENOENT, fdinfo_get(self->fd, want, buf, sizeof(buf)));
	snprintf(want, sizeof(want), "%u pasid-10=%u", self->rid, self->first);
	ASSERT_EQ(0, fdinfo_get(self->fd, key, buf, sizeof(buf)));
	EXPECT_STREQ(want, buf);
}

/* An allocation fails */

TEST_F(pasid, fail_attach)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, ATTACH(10, self->first));
		EXPECT_FAIL_NTH(&nth, rc);
		/* The question or the answer got lost if that is EFAULT */
		if (rc != -EFAULT)
			EXPECT_ON(10, rc ? 0 : self->first);
		ASSERT_EQ(0, DETACH(10));
		EXPECT_ON(10, 0);
	}
	EXPECT_SWEPT(&nth);
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
}

TEST_F(pasid, fail_replace)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 on = self->first, to = self->second, was;
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_EQ(0, ATTACH(10, on));
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, REPLACE(10, to));
		EXPECT_FAIL_NTH(&nth, rc);
		/* The question or the answer got lost if that is EFAULT */
		if (!rc || (rc == -EFAULT &&
			    !mock_pasid_check(self->fd, &self->dev, 10, to))) {
			was = on;
			on = to;
			to = was;
		}
		EXPECT_ON(10, on);
	}
	EXPECT_SWEPT(&nth);
	EXPECT_EQ(0, obj_destroy(self->fd, to));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, on));
	ASSERT_EQ(0, DETACH(10));
	EXPECT_EQ(0, obj_destroy(self->fd, on));
}

/* Threads that get in each other's way */

#define ROUNDS 300

struct racer {
	pthread_t thread;
	int fd;
	struct mock_device dev;
	__u32 tables[3];
	__u32 pasid;
	unsigned int odd;
	int bad;
};

/* Whatever comes first, the answer is one of these */
static void racer_expect(struct racer *me, int rc, int other)
{
	if (rc && rc != -EINVAL && rc != -EBUSY && rc != other)
		me->bad = rc;
}

static void *race_pasid(void *data)
{
	struct racer *me = data;
	unsigned int i;

	for (i = 0; i != ROUNDS; i++) {
		racer_expect(me, mock_pasid_attach(me->fd, &me->dev, me->pasid,
						   me->tables[i % 2]), -ENOENT);
		racer_expect(me, mock_pasid_replace(me->fd, &me->dev, me->pasid,
						    me->tables[(i + 1) % 2]),
			     -ENOENT);
		racer_expect(me, mock_pasid_detach(me->fd, &me->dev, me->pasid),
			     -ENOENT);
	}
	return NULL;
}

static void *race_rid(void *data)
{
	struct racer *me = data;
	unsigned int i;

	/* The last one is not for PASIDs, and is refused while there are some */
	for (i = 0; i != ROUNDS; i++)
		racer_expect(me, mock_replace(me->fd, &me->dev,
					      me->tables[i % 3]), -ENOENT);
	return NULL;
}

static void race(struct __test_metadata *_metadata, struct racer *racers,
		 unsigned int n)
{
	unsigned int i;

	for (i = 0; i != n; i++)
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL,
					    racers[i].pasid ? race_pasid :
							      race_rid,
					    &racers[i]));
	for (i = 0; i != n; i++) {
		ASSERT_EQ(0, pthread_join(racers[i].thread, NULL));
		EXPECT_EQ(0, racers[i].bad);
	}
}

TEST_F(pasid, race)
{
	struct racer racers[4] = {};
	unsigned int i;

	for (i = 0; i != 4; i++)
		racers[i] = (struct racer){
			.fd = self->fd,
			.dev = self->dev,
			.tables = { self->first, self->second, self->plain },
			/* Two have the same one */
			.pasid = i == 3 ? 0 : 10 + i / 2,
		};
	race(_metadata, racers, 4);
	EXPECT_ON(10, 0);
	EXPECT_ON(11, 0);
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	EXPECT_EQ(0, obj_destroy(self->fd, self->plain));
}

TEST_F(pasid, race_unplug)
{
	unsigned int i, j;

	for (i = 0; i != 10; i++) {
		struct racer racers[2] = {};
		struct mock_device dev;

		ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
					       MOCK_DEVICE_PASID, &dev));
		for (j = 0; j != 2; j++) {
			racers[j] = (struct racer){
				.fd = self->fd,
				.dev = dev,
				.tables = { self->first, self->second,
					    self->plain },
				.pasid = j ? 0 : 10,
			};
			ASSERT_EQ(0, pthread_create(&racers[j].thread, NULL,
						    j ? race_rid : race_pasid,
						    &racers[j]));
		}
		usleep(1000 * i);
		while (mock_detach(self->fd, &dev) == -EBUSY)
			;
		for (j = 0; j != 2; j++) {
			ASSERT_EQ(0, pthread_join(racers[j].thread, NULL));
			EXPECT_EQ(0, racers[j].bad);
		}
	}
	EXPECT_EQ(0, obj_destroy(self->fd, self->first));
	EXPECT_EQ(0, obj_destroy(self->fd, self->second));
	EXPECT_EQ(0, obj_destroy(self->fd, self->plain));
}

TEST_HARNESS_MAIN
