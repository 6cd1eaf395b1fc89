// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print how many cycles of the processor's time stamp counter a millisecond
 * has.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define ROUNDS	25

/* One moment, by both clocks */
struct moment {
	unsigned long long cycles;
	double ms;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* The reading with the least time between the stamps around it */
static struct moment look(void)
{
	unsigned long long least = -1ULL;
	struct moment best = { 0 };
	int i;

	for (i = 0; i < 20; i++) {
		unsigned long long before = __rdtsc();
		double ms = now();
		unsigned long long gap = __rdtsc() - before;

		if (gap >= least)
			continue;
		least = gap;
		best.cycles = before + gap / 2;
		best.ms = ms;
	}
	return best;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	double rate, least = 0;
	int i;

	/* What interrupts us adds to one clock only, so the least is best */
	for (i = 0; i < ROUNDS; i++) {
		struct moment from = look(), to;

		nanosleep(&pause, NULL);
		to = look();
		rate = (to.cycles - from.cycles) / (to.ms - from.ms);
		if (!least || rate < least)
			least = rate;
	}
	printf("%.0f\n", least);
	return 0;
}
