// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of jobs: several workers pin one range, here of memory that does not exist.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#include "fake_kunit.h"
#include "../pin_job.h"

#define NPAGES (20 * PFN_CHUNK_SIZE + 100)
#define MAX_HELPERS 4

/**
 * struct fake_pins - pages that a job pins
 * @pages: what the job is given
 * @test: the test
 * @pins: how often each index is pinned
 * @fails: which cannot be pinned
 * @recovers: those can be the next time
 * @workers: who has pinned the index
 * @job: whose other worker fails while one does
 * @failed: the index at which that is
 * @ahead: another worker of the job, which claims the next piece while one pins, and
 *         fails at @failed in it
 */
struct fake_pins {
	struct iopt_pages pages;
	struct kunit *test;
	u8 pins[NPAGES];
	bool fails[NPAGES];
	bool recovers;
	struct task_struct *workers[NPAGES];
	struct iopt_pin_job *job;
	unsigned long failed;
	struct iopt_pin_worker *ahead;
};

static void fake_fail_ahead(struct fake_pins *fake)
{
	struct iopt_pin_worker *worker = fake->ahead;

	fake->ahead = NULL;
	KUNIT_ASSERT_TRUE(fake->test, iopt_pin_job_claim(fake->job, worker));
	KUNIT_ASSERT_GT(fake->test, fake->failed, worker->index);
	KUNIT_ASSERT_LE(fake->test, fake->failed, worker->last);
	while (worker->index < fake->failed)
		fake->pins[worker->index++]++;
	fake->job->failed = fake->failed;
}

static long fake_pin(struct iopt_pages *pages, unsigned long index,
		     unsigned long last, void **batch, unsigned int max,
		     struct iopt_pin_pace *pace)
{
	struct fake_pins *fake = container_of(pages, struct fake_pins, pages);
	long n;

	KUNIT_EXPECT_LE(fake->test, index, last);
	KUNIT_EXPECT_EQ(fake->test, pace->step, min(max, PIN_PAGES));
	/* Others run meanwhile */
	usleep_range(20, 50);
	if (fake->ahead)
		fake_fail_ahead(fake);
	for (n = 0; n < pace->step && index + n <= last; n++) {
		if (fake->fails[index + n]) {
			if (!n && fake->recovers)
				fake->fails[index] = false;
			if (!n && fake->job)
				fake->job->failed = fake->failed;
			break;
		}
		fake->pins[index + n]++;
		fake->workers[index + n] = current;
	}
	return n ? n : -EFAULT;
}

static void fake_unpin(struct iopt_pages *pages, unsigned long index,
		       unsigned long last)
{
	struct fake_pins *fake = container_of(pages, struct fake_pins, pages);

	KUNIT_EXPECT_LE(fake->test, index, last);
	KUNIT_ASSERT_LT(fake->test, last, NPAGES);
	for (; index <= last; index++)
		fake->pins[index]--;
}

static const struct iopt_pin_ops fake_ops = {
	.pin = fake_pin,
	.unpin = fake_unpin,
};

static struct fake_pins *fake_pins_alloc(struct kunit *test)
{
	struct fake_pins *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->test = test;
	return fake;
}

static struct iopt_pin_job *job_alloc(struct fake_pins *fake,
				      unsigned long start, unsigned long last,
				      unsigned int nr)
{
	struct iopt_pin_job *job = iopt_pin_job_alloc(&fake->pages, &fake_ops,
						      start, last, nr);

	KUNIT_ASSERT_NOT_NULL(fake->test, job);
	KUNIT_EXPECT_EQ(fake->test, 0, job->piece % PFN_CHUNK_SIZE);
	job->piece = PFN_CHUNK_SIZE;
	return job;
}

/* Pinned once from @start on, and nothing else is */
static void expect_pins(struct fake_pins *fake, unsigned long start,
			unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < NPAGES; i++)
		if (fake->pins[i] != (i >= start && i < start + npages)) {
			KUNIT_FAIL(fake->test, "%u pins of index %lu of %lu+%lu",
				   fake->pins[i], i, start, npages);
			return;
		}
}

/* What can be pinned from @start on */
static unsigned long good_pages(const struct fake_pins *fake,
				unsigned long start, unsigned long last)
{
	unsigned long i;

	for (i = start; i <= last; i++)
		if (fake->fails[i])
			break;
	return i - start;
}

static void pin_job_test_claim(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	const unsigned long start = 100, last = 3 * PFN_CHUNK_SIZE + 5;
	struct iopt_pin_job *job = job_alloc(fake, start, last, 1);
	struct iopt_pin_worker *worker = job->workers;
	unsigned long next = start;

	while (iopt_pin_job_claim(job, worker)) {
		KUNIT_EXPECT_EQ(test, worker->index, next);
		KUNIT_EXPECT_EQ(test, worker->last,
				min(last, next | PFN_CHUNK_MASK));
		next = worker->last + 1;
	}
	KUNIT_EXPECT_EQ(test, next, last + 1);
	iopt_pin_job_put(job);
}

static void pin_job_test_alone(struct kunit *test)
{
	static const unsigned long lengths[] = {
		1, 255, 257, 511, 512, 513, 1024, 5000,
	};
	struct fake_pins *fake = fake_pins_alloc(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		unsigned long start = 37 * i;
		unsigned long last = start + lengths[i] - 1;
		struct iopt_pin_job *job = job_alloc(fake, start, last, 1);

		KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048),
				lengths[i]);
		iopt_pin_job_put(job);
		expect_pins(fake, start, lengths[i]);
		fake_unpin(&fake->pages, start, last);
	}
}

/* The caller finds nothing to do any more */
static void pin_job_test_helped(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 2);

	iopt_pin_job_help(job, &job->workers[1], NULL, 2048);
	expect_pins(fake, 0, NPAGES);
	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048), NPAGES);
	expect_pins(fake, 0, NPAGES);
	iopt_pin_job_put(job);
}

/* A helper that comes when the caller has left must not look at the pages */
static void pin_job_test_late(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 2);

	fake->fails[700] = true;
	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048), 700);
	fake->fails[700] = false;
	job->pages = NULL;
	job->failed = ULONG_MAX;
	iopt_pin_job_help(job, &job->workers[1], NULL, 2048);
	expect_pins(fake, 0, 700);
	iopt_pin_job_put(job);
}

static void pin_job_test_killed(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 2);

	/* After two pieces */
	fake->fails[2 * PFN_CHUNK_SIZE] = true;
	iopt_pin_job_help(job, &job->workers[1], NULL, 2048);
	job->failed = ULONG_MAX;
	job->workers[1].index = job->workers[1].last + 1;
	job->killed = true;
	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048),
			3 * PFN_CHUNK_SIZE);
	iopt_pin_job_put(job);
}

/*
 * Pieces 0 to 3 are in four hands. The third one fails in its middle; who is
 * behind stops in the middle as well, who is before goes on to the end.
 */
static void pin_job_test_fails_between(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 4);
	const unsigned long bad = 2 * PFN_CHUNK_SIZE + 300;
	struct iopt_pin_worker *worker;
	unsigned long i;

	for (i = 1; i < 4; i++)
		KUNIT_ASSERT_TRUE(test,
				  iopt_pin_job_claim(job, &job->workers[i]));
	/* What the first two would go on to do */
	fake_pin(&fake->pages, 0, PFN_CHUNK_SIZE - 1, NULL, 2048,
		 &(struct iopt_pin_pace){ .step = 256 });
	fake_pin(&fake->pages, 256, PFN_CHUNK_SIZE - 1, NULL, 2048,
		 &(struct iopt_pin_pace){ .step = 256 });
	job->workers[1].index = PFN_CHUNK_SIZE;
	fake_pin(&fake->pages, PFN_CHUNK_SIZE, 2 * PFN_CHUNK_SIZE - 1, NULL,
		 2048, &(struct iopt_pin_pace){ .step = 256 });
	fake_pin(&fake->pages, PFN_CHUNK_SIZE + 256, 2 * PFN_CHUNK_SIZE - 1,
		 NULL, 2048, &(struct iopt_pin_pace){ .step = 256 });
	job->workers[2].index = 2 * PFN_CHUNK_SIZE;
	/* The third has pinned up to a page that it cannot pin */
	for (i = 2 * PFN_CHUNK_SIZE; i < bad; i++)
		fake->pins[i]++;
	worker = &job->workers[3];
	worker->index = bad;
	fake->fails[bad] = true;
	job->failed = bad;
	/* Another one had done a piece behind, and is the caller that ends */
	job->next = 5 * PFN_CHUNK_SIZE;
	for (i = 3 * PFN_CHUNK_SIZE; i < 5 * PFN_CHUNK_SIZE - 7; i++)
		fake->pins[i]++;
	job->workers[0].index = 5 * PFN_CHUNK_SIZE - 7;
	job->workers[0].last = 5 * PFN_CHUNK_SIZE - 1;

	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048), bad);
	expect_pins(fake, 0, bad);
	iopt_pin_job_put(job);
}

/* While one fails another one does, further ahead */
static void pin_job_test_fails_twice(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 2);
	unsigned long i;

	KUNIT_ASSERT_TRUE(test, iopt_pin_job_claim(job, &job->workers[1]));
	for (i = 0; i < 7; i++)
		fake->pins[i]++;
	job->workers[1].index = 7;
	fake->fails[PFN_CHUNK_SIZE + 5] = true;
	fake->job = job;
	fake->failed = 7;

	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048), 7);
	expect_pins(fake, 0, 7);
	iopt_pin_job_put(job);
}

/* Who is before a failure goes on up to it */
static void pin_job_test_fails_ahead(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct iopt_pin_job *job = job_alloc(fake, 0, NPAGES - 1, 2);

	fake->job = job;
	fake->ahead = &job->workers[1];
	fake->failed = PFN_CHUNK_SIZE + 5;

	KUNIT_EXPECT_EQ(test, iopt_pin_job_run(job, NULL, 2048),
			PFN_CHUNK_SIZE + 5);
	expect_pins(fake, 0, PFN_CHUNK_SIZE + 5);
	iopt_pin_job_put(job);
}

struct helper {
	struct iopt_pin_job *job;
	struct iopt_pin_worker *worker;
	struct completion gone;
};

static int helper_thread(void *data)
{
	struct helper *helper = data;

	iopt_pin_job_help(helper->job, helper->worker, NULL, 256);
	iopt_pin_job_put(helper->job);
	complete(&helper->gone);
	return 0;
}

static unsigned long run_with_helpers(struct fake_pins *fake,
				      unsigned long start, unsigned long last,
				      unsigned int nr)
{
	struct iopt_pin_job *job = job_alloc(fake, start, last, nr + 1);
	struct helper helpers[MAX_HELPERS];
	unsigned long npinned;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct task_struct *task;

		helpers[i].job = job;
		helpers[i].worker = &job->workers[i + 1];
		init_completion(&helpers[i].gone);
		refcount_inc(&job->users);
		task = kthread_run(helper_thread, &helpers[i], "pin_job_kunit");
		KUNIT_ASSERT_FALSE(fake->test, IS_ERR(task));
	}
	npinned = iopt_pin_job_run(job, NULL, 256);
	iopt_pin_job_put(job);
	/* Some may not even have come */
	expect_pins(fake, start, npinned);
	for (i = 0; i < nr; i++)
		wait_for_completion(&helpers[i].gone);
	expect_pins(fake, start, npinned);
	return npinned;
}

/* All have a part in it */
static void pin_job_test_share(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct task_struct *seen[MAX_HELPERS + 1] = {};
	unsigned int i, nr = 0;

	KUNIT_EXPECT_EQ(test, run_with_helpers(fake, 0, NPAGES - 1,
					       MAX_HELPERS),
			NPAGES);
	for (i = 0; i < NPAGES; i += PFN_CHUNK_SIZE) {
		unsigned int j;

		/* A chunk is written by one worker alone */
		for (j = i; j < min(NPAGES, i + PFN_CHUNK_SIZE); j++)
			KUNIT_ASSERT_PTR_EQ(test, fake->workers[j],
					    fake->workers[i]);
		for (j = 0; j < nr && seen[j] != fake->workers[i]; j++)
			;
		if (j == nr && nr < ARRAY_SIZE(seen))
			seen[nr++] = fake->workers[i];
	}
	KUNIT_EXPECT_GT(test, nr, 1);
}

static void pin_job_test_random(struct kunit *test)
{
	struct fake_pins *fake = fake_pins_alloc(test);
	struct rnd_state random;
	unsigned int round;

	fake_random_init(test, &random);
	for (round = 0; round < 50 && test->status == KUNIT_SUCCESS; round++) {
		unsigned long start = fake_random_below(&random, NPAGES);
		unsigned long last =
			start + fake_random_below(&random, NPAGES - start);
		unsigned int nr = fake_random_below(&random, MAX_HELPERS + 1);
		unsigned int i, bad = fake_random_below(&random, 4);
		unsigned long good, npinned;

		memset(fake->pins, 0, sizeof(fake->pins));
		memset(fake->fails, 0, sizeof(fake->fails));
		for (i = 0; i < bad; i++)
			fake->fails[fake_random_below(&random, NPAGES)] = true;
		fake->recovers = fake_random_below(&random, 4) == 0;
		good = good_pages(fake, start, last);
		npinned = run_with_helpers(fake, start, last, nr);
		/* Whoever was the first to fail, it is the first failure */
		KUNIT_EXPECT_EQ(test, npinned, good);
	}
}

static struct kunit_case pin_job_test_cases[] = {
	KUNIT_CASE(pin_job_test_claim),
	KUNIT_CASE(pin_job_test_alone),
	KUNIT_CASE(pin_job_test_helped),
	KUNIT_CASE(pin_job_test_late),
	KUNIT_CASE(pin_job_test_killed),
	KUNIT_CASE(pin_job_test_fails_between),
	KUNIT_CASE(pin_job_test_fails_twice),
	KUNIT_CASE(pin_job_test_fails_ahead),
	KUNIT_CASE(pin_job_test_share),
	KUNIT_CASE(pin_job_test_random),
	{}
};

static struct kunit_suite pin_job_test_suite = {
	.name = "iommufd_pin_job",
	.test_cases = pin_job_test_cases,
};

kunit_test_suite(pin_job_test_suite);
