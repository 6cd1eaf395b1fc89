// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of event queues, against a model that keeps all events of all time and
 * says of each whether there was room.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/mman.h>

#include "../iommufd_private.h"
#include "../vevent.h"
#include "fake_kunit.h"

#define TYPE IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define DEPTH 5
#define EVENTS 4000
#define HEADER ((ssize_t)sizeof(struct iommufd_vevent_header))

/**
 * struct vevent_test - what every test starts with
 * @ictx: as much of a context as it takes
 * @viommu: as much of a virtual IOMMU as a driver needs to report
 * @veventq: its queue, with room for DEPTH events
 * @memory: of the user
 * @random: random numbers
 */
struct vevent_test {
	struct iommufd_ctx ictx;
	struct iommufd_viommu viommu;
	struct iommufd_veventq *veventq;
	struct fake_memory *memory;
	struct rnd_state random;
};

static int vevent_test_init(struct kunit *test)
{
	struct vevent_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	test->priv = t;
	xa_init_flags(&t->ictx.objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&t->ictx.destroy_wait);
	fake_random_init(test, &t->random);
	t->memory = fake_memory_alloc(test, 1, 1, PROT_READ | PROT_WRITE);
	t->veventq = iommufd_veventq_create(&t->ictx, TYPE, DEPTH);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->veventq));
	spin_lock_init(&t->viommu.veventqs_lock);
	INIT_LIST_HEAD(&t->viommu.veventqs);
	list_add(&t->veventq->entry, &t->viommu.veventqs);
	iommufd_object_finalize(&t->ictx, &t->veventq->obj);
	return 0;
}

static void vevent_test_exit(struct kunit *test)
{
	struct vevent_test *t = test->priv;

	iommufd_object_destroy_all(&t->ictx);
	xa_destroy(&t->ictx.objects);
}

static void *vevent_test_buf(struct vevent_test *t)
{
	return page_address(t->memory->pages[0]);
}

static ssize_t vevent_test_read(struct vevent_test *t, size_t count)
{
	struct iommufd_queue *queue = &t->veventq->queue;

	return queue->ops->read(queue, (char __user *)t->memory->addr, count);
}

static bool vevent_test_readable(struct vevent_test *t)
{
	return t->veventq->queue.ops->readable(&t->veventq->queue);
}

static int vevent_test_push(struct vevent_test *t, u32 event)
{
	return iommufd_viommu_report_event(&t->viommu, TYPE, &event,
					   sizeof(event));
}

/* A lost event is told of at the end, or by the numbers of those around it */
static void vevent_test_lost(struct kunit *test)
{
	struct vevent_test *t = test->priv;
	struct iommufd_vevent_header *header = vevent_test_buf(t);
	unsigned int i;

	for (i = 0; i != DEPTH; i++)
		KUNIT_EXPECT_EQ(test, 0, vevent_test_push(t, i));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, vevent_test_push(t, i));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, vevent_test_push(t, i));
	KUNIT_EXPECT_EQ(test, 2, t->veventq->nr_lost);
	KUNIT_ASSERT_EQ(test, DEPTH * (HEADER + 4),
			vevent_test_read(t, DEPTH * (HEADER + 4)));
	KUNIT_EXPECT_TRUE(test, vevent_test_readable(t));
	KUNIT_ASSERT_EQ(test, HEADER, vevent_test_read(t, 100));
	KUNIT_EXPECT_EQ(test, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, header->flags);
	KUNIT_EXPECT_EQ(test, DEPTH + 1, header->sequence);
	KUNIT_EXPECT_FALSE(test, vevent_test_readable(t));
	KUNIT_EXPECT_EQ(test, 0, vevent_test_read(t, 100));

	KUNIT_EXPECT_EQ(test, 0, vevent_test_push(t, 7));
	KUNIT_ASSERT_EQ(test, HEADER + 4, vevent_test_read(t, 100));
	KUNIT_EXPECT_EQ(test, 0, header->flags);
	KUNIT_EXPECT_EQ(test, DEPTH + 2, header->sequence);
}

/* A record is read as a whole or stays */
static void vevent_test_room(struct kunit *test)
{
	struct vevent_test *t = test->priv;
	struct iommufd_queue *queue = &t->veventq->queue;

	KUNIT_EXPECT_EQ(test, -EINVAL, vevent_test_read(t, 1));
	vevent_test_push(t, 1);
	vevent_test_push(t, 2);
	KUNIT_EXPECT_EQ(test, -EINVAL, vevent_test_read(t, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, vevent_test_read(t, HEADER - 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, vevent_test_read(t, HEADER + 3));
	KUNIT_EXPECT_EQ(test, -EFAULT, queue->ops->read(queue, NULL, 100));
	KUNIT_EXPECT_EQ(test, HEADER + 4,
			vevent_test_read(t, 2 * (HEADER + 4) - 1));
	KUNIT_EXPECT_EQ(test, HEADER + 4, vevent_test_read(t, HEADER + 4));
	KUNIT_EXPECT_EQ(test, 0, vevent_test_read(t, HEADER + 4));
}

/* After INT_MAX comes 0 */
static void vevent_test_wrap(struct kunit *test)
{
	struct vevent_test *t = test->priv;
	struct iommufd_vevent_header *header = vevent_test_buf(t);

	t->veventq->next_sequence = INT_MAX;
	vevent_test_push(t, 1);
	vevent_test_push(t, 2);
	KUNIT_ASSERT_EQ(test, HEADER + 4, vevent_test_read(t, HEADER + 4));
	KUNIT_EXPECT_EQ(test, INT_MAX, header->sequence);
	KUNIT_ASSERT_EQ(test, HEADER + 4, vevent_test_read(t, HEADER + 4));
	KUNIT_EXPECT_EQ(test, 0, header->sequence);
}

/**
 * struct vevent_model - what a queue has to do
 * @kept: sequence numbers of events with room, that were not read
 * @nr: how many of them
 * @next: the next sequence number
 * @lost: the newest event is lost, and nobody was told
 */
struct vevent_model {
	u32 kept[DEPTH];
	unsigned int nr;
	u32 next;
	bool lost;
};

static void vevent_model_push(struct vevent_model *model)
{
	model->lost = model->nr == DEPTH;
	if (!model->lost)
		model->kept[model->nr++] = model->next;
	model->next++;
}

/* Check one record, and return its bytes */
static size_t vevent_model_pop(struct kunit *test, struct vevent_model *model,
			       const void *record)
{
	const struct iommufd_vevent_header *header = record;

	if (!model->nr) {
		KUNIT_EXPECT_TRUE(test, model->lost);
		KUNIT_EXPECT_EQ(test, IOMMU_VEVENTQ_FLAG_LOST_EVENTS,
				header->flags);
		KUNIT_EXPECT_EQ(test, model->next - 1, header->sequence);
		model->lost = false;
		return HEADER;
	}
	KUNIT_EXPECT_EQ(test, 0, header->flags);
	KUNIT_EXPECT_EQ(test, model->kept[0], header->sequence);
	/* The event says its number, and has more bytes the higher it is */
	KUNIT_EXPECT_EQ(test, model->kept[0], *(const u32 *)(header + 1));
	model->nr--;
	memmove(model->kept, model->kept + 1,
		model->nr * sizeof(model->kept[0]));
	return HEADER + 4 + header->sequence % 8 * 4;
}

static void vevent_test_model(struct kunit *test)
{
	struct vevent_test *t = test->priv;
	u32 event[IOMMUFD_VEVENT_MAX_DATA / 4] = {};
	struct vevent_model model = {};
	ssize_t done, len;
	unsigned int i, n;

	for (i = 0; i != EVENTS; i++) {
		for (n = fake_random_below(&t->random, DEPTH + 3); n; n--) {
			event[0] = model.next;
			iommufd_viommu_report_event(&t->viommu, TYPE, event,
						    4 + model.next % 8 * 4);
			vevent_model_push(&model);
		}
		KUNIT_EXPECT_EQ(test, model.nr || model.lost,
				vevent_test_readable(t));
		len = vevent_test_read(t, fake_random_below(&t->random, 150));
		for (done = 0; done < len;)
			done += vevent_model_pop(test, &model,
						 vevent_test_buf(t) + done);
		KUNIT_EXPECT_EQ(test, max(len, 0), done);
	}
}

static struct kunit_case vevent_test_cases[] = {
	KUNIT_CASE(vevent_test_lost),
	KUNIT_CASE(vevent_test_room),
	KUNIT_CASE(vevent_test_wrap),
	KUNIT_CASE(vevent_test_model),
	{}
};

static struct kunit_suite vevent_test_suite = {
	.name = "iommufd_vevent",
	.init = vevent_test_init,
	.exit = vevent_test_exit,
	.test_cases = vevent_test_cases,
};

kunit_test_suite(vevent_test_suite);
