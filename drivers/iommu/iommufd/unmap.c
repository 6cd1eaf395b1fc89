// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmap: take areas over, ask accesses to release them, remove them.
 */
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "io_pagetable.h"
#include "refusal.h"
#include "trace.h"

/* How often the accesses in a batch are asked before an unmap gives up */
#define IOPT_UNMAP_TRIES 100

static __cold int iopt_refuse_split(struct io_pagetable *iopt,
				    unsigned long start, unsigned long last,
				    const struct iova_node *node)
{
	return refuse(iopt->refusal, -ENOENT,
		      "unmap: 0x%lx-0x%lx splits the mapping at 0x%lx-0x%lx",
		      start, last, node->start, node->last);
}

/**
 * iopt_refuse_kept - refuse to remove or to change an area that hardware works in
 * @iopt: the address space
 * @node: of the area
 *
 * Users are told -EBUSY, see iopt_errno(). Here, -EBUSY is for what another thread
 * will soon be done with, so that it makes sense to try again.
 *
 * Return: -EADDRINUSE.
 */
int iopt_refuse_kept(struct io_pagetable *iopt, const struct iova_node *node)
{
	refuse(iopt->refusal, -EBUSY,
	       "unmap: a hardware queue works in the mapping at 0x%lx-0x%lx",
	       node->start, node->last);
	return -EADDRINUSE;
}

/*
 * Link the first areas in [start, last], if they can be taken over: as many as
 * go together. *end is the last IOVA of what was looked at.
 */
static int iopt_link_areas(struct io_pagetable *iopt, unsigned long start,
			   unsigned long last, struct iopt_area **areas,
			   unsigned long *end)
{
	struct iova_node *node = iova_tree_first(&iopt->areas, start, last);
	struct iopt_area *area;
	bool in_use = false;
	unsigned int n = 0;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	*end = start;
	if (node && node->start < start)
		return iopt_refuse_split(iopt, start, last, node);

	for (; node; node = iova_tree_next(node, last)) {
		if (n++ == IOPT_UNFILL_BATCH)
			break;
		area = iopt_area_of(node);
		if (node->last > last)
			return iopt_refuse_split(iopt, start, last, node);
		if (!iopt_area_ready(area))
			return refuse(iopt->refusal, -EBUSY,
				      "unmap: the mapping at 0x%lx-0x%lx is being made or removed by another thread",
				      node->start, node->last);
		if (atomic_read(&area->num_keepers))
			return iopt_refuse_kept(iopt, node);
		if (atomic_read(&area->num_accesses)) {
			area->prevent_access = true;
			in_use = true;
		}
		*end = node->last;
		*areas = area;
		areas = &area->next;
	}
	*areas = NULL;
	if (!node) {
		*end = last;
	} else {
		/* The rest is for later, but not if that is bound to fail */
		node = iova_tree_first(&iopt->areas, last, last);
		if (node && node->last != last)
			return iopt_refuse_split(iopt, start, last, node);
	}
	return in_use ? -EAGAIN : 0;
}

/*
 * Take over the first ready areas in [start, last] for removal. They keep their
 * IOVA until they are unfilled and flushed. With @wait a signal is not looked at.
 *
 * Return: -ENOENT if a bound lies inside an area, -EBUSY if an area is being
 * made or removed by another call, -EADDRINUSE if hardware works on a queue in
 * one, -EAGAIN if accesses are in the way; with nothing changed but prevent_access
 * up to *end. Or -EINTR with nothing changed.
 */
static int iopt_take_areas(struct io_pagetable *iopt, unsigned long start,
			   unsigned long last, bool wait,
			   struct iopt_area **areas, unsigned long *end)
{
	struct iopt_area *area;
	int rc;

	if (wait)
		down_write(&iopt->iova_rwsem);
	else if (down_write_killable(&iopt->iova_rwsem))
		return -EINTR;
	rc = iopt_link_areas(iopt, start, last, areas, end);
	if (!rc)
		for (area = *areas; area; area = area->next)
			WRITE_ONCE(area->state, IOPT_AREA_REMOVING);
	up_write(&iopt->iova_rwsem);
	return rc;
}

/**
 * iopt_area_hold - keep an area filled, for a short time
 * @area: a ready area; iova_rwsem is held
 *
 * The caller has domains_rwsem, too, at least for reading, until it lets go. An
 * unmap of the area waits for that, which no signal ends.
 */
void iopt_area_hold(struct iopt_area *area)
{
	atomic_inc(&area->num_holders);
}

/**
 * iopt_area_let_go - undo iopt_area_hold()
 * @area: the area, which may be gone after that
 */
void iopt_area_let_go(struct iopt_area *area)
{
	if (atomic_dec_and_test(&area->num_holders))
		wake_up_var(&area->num_holders);
}

/* Nobody new holds an area that is being removed */
static void iopt_wait_for_holders(struct iopt_area *areas)
{
	struct iopt_area *area;

	for (area = areas; area; area = area->next)
		if (atomic_read_acquire(&area->num_holders))
			wait_var_event(&area->num_holders,
				       !atomic_read_acquire(&area->num_holders));
}

static void iopt_remove_areas(struct io_pagetable *iopt,
			      struct iopt_area *areas, unsigned long *unmapped)
{
	unsigned long length = 0;

	iopt_wait_for_holders(areas);
	iopt_unfill_areas(iopt, areas, NULL);
	iopt_unclaim_areas(iopt, areas, NULL);
	while (areas) {
		struct iopt_area *area = areas;

		trace_iommufd_unmap(area->node.start, area->node.last);
		length += iopt_area_length(area);
		areas = area->next;
		iopt_area_free(area);
		if (areas)
			cond_resched();
	}
	*unmapped += length;
}

/* Let accesses come back to areas that are not going to be removed */
static __cold void iopt_allow_access(struct io_pagetable *iopt,
				     unsigned long start, unsigned long last)
{
	struct iova_node *node;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (node = iova_tree_first(&iopt->areas, start, last); node;
	     node = iova_tree_next(node, last)) {
		iopt_area_of(node)->prevent_access = false;
		cond_resched();
	}
}

/* Find the next area that an unmap waits for */
static bool iopt_next_in_use(struct io_pagetable *iopt, unsigned long start,
			     unsigned long last, struct iova_node *found)
{
	struct iova_node *node;

	guard(rwsem_read)(&iopt->iova_rwsem);
	for (node = iova_tree_first(&iopt->areas, start, last); node;
	     node = iova_tree_next(node, last)) {
		struct iopt_area *area = iopt_area_of(node);

		if (area->prevent_access && atomic_read(&area->num_accesses)) {
			*found = *node;
			return true;
		}
	}
	return false;
}

/*
 * Ask the accesses to unpin what keeps areas in [start, last] from being
 * removed. One area at a time, because there are owners that go through all of
 * the IOVA that they are asked about. Return -EAGAIN, or -EDEADLOCK if that was
 * tried often enough.
 */
static __cold int iopt_ask_accesses(struct io_pagetable *iopt,
				    unsigned long start, unsigned long last,
				    unsigned int tries)
{
	unsigned long iova = start;
	struct iova_node busy;

	if (WARN_ON(!iopt->access_ops) || tries == IOPT_UNMAP_TRIES)
		return refuse(iopt->refusal, -EDEADLOCK,
			      "unmap: a driver does not release the memory in 0x%lx-0x%lx",
			      start, last);

	/* prevent_access keeps new pins out */
	while (iopt_next_in_use(iopt, iova, last, &busy)) {
		iopt->access_ops->unmap(iopt, busy.start,
					busy.last - busy.start + 1);
		if (busy.last >= last)
			break;
		iova = busy.last + 1;
	}
	return -EAGAIN;
}

/*
 * Remove the first areas in [start, last], up to *end. With @wait for all who
 * are making or removing areas, so that none is busy.
 */
static int iopt_take_and_remove(struct io_pagetable *iopt, unsigned long start,
				unsigned long last, bool wait,
				unsigned long *end, unsigned long *unmapped)
{
	struct iopt_area *areas;
	int rc;

	*end = start;
	if (wait)
		down_write(&iopt->domains_rwsem);
	else if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	rc = iopt_take_areas(iopt, start, last, wait, &areas, end);
	if (!rc)
		iopt_remove_areas(iopt, areas, unmapped);
	if (wait)
		up_write(&iopt->domains_rwsem);
	else
		up_read(&iopt->domains_rwsem);
	return rc;
}

static int iopt_unmap_range(struct io_pagetable *iopt, unsigned long start,
			    unsigned long last, bool wait,
			    unsigned long *unmapped)
{
	unsigned long barred = start;
	bool bars = false;
	unsigned int tries = 0;
	unsigned long end;
	int rc;

	*unmapped = 0;
	do {
		rc = iopt_take_and_remove(iopt, start, last, wait, &end,
					  unmapped);
		if (rc && rc != -EINTR) {
			barred = max(barred, end);
			bars = true;
		}
		if (rc == -EAGAIN) {
			rc = iopt_ask_accesses(iopt, start, end, tries++);
		} else if (!rc && end != last) {
			start = end + 1;
			tries = 0;
			rc = -EAGAIN;
		}
		if (rc == -EAGAIN) {
			if (!wait && fatal_signal_pending(current))
				rc = -EINTR;
			cond_resched();
		}
	} while (rc == -EAGAIN);
	if (rc && bars && barred >= start)
		iopt_allow_access(iopt, start, barred);
	return rc;
}

/**
 * iopt_unmap - unmap all areas in a range
 * @iopt: the address space
 * @iova: first IOVA
 * @length: bytes
 * @unmapped: receives the bytes of the areas that were there and are gone now,
 *            also on failure
 *
 * Areas go in batches of %IOPT_UNFILL_BATCH, from low to high IOVA, between
 * which others get the locks and a signal is seen. Up to that many go together
 * or not at all, and so do more if no other call changes the range.
 *
 * Return: 0; -ENOENT if the range is empty or would split an area, -EBUSY if
 * another thread is making or removing an area in it, -EADDRINUSE if hardware
 * works on a queue in one, -EINTR if the caller was killed, -EDEADLOCK if an access
 * does not unpin, -EINVAL if the length is 0, -EOVERFLOW if the range wraps.
 */
int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	rc = iopt_unmap_range(iopt, iova, last, false, unmapped);
	if (!rc && !*unmapped)
		return -ENOENT;
	return rc;
}

/**
 * iopt_unmap_all - unmap everything
 * @iopt: the address space
 * @unmapped: receives the bytes of the areas that were there and are gone now,
 *            maybe none, also on failure
 *
 * In batches, as iopt_unmap().
 *
 * Return: 0, -EBUSY if another thread is making or removing an area, -EADDRINUSE
 * if hardware works on a queue in one, -EINTR if the caller was killed, or
 * -EDEADLOCK if an access does not unpin.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return iopt_unmap_range(iopt, 0, ULONG_MAX, false, unmapped);
}

/**
 * iopt_clear - unmap everything, whatever others do
 * @iopt: the address space
 *
 * What is being mapped or unmapped is waited for. What comes later stays, and so
 * does what an access does not unpin, or hardware works in, and all behind that.
 */
void iopt_clear(struct io_pagetable *iopt)
{
	unsigned long unmapped;
	int rc;

	rc = iopt_unmap_range(iopt, 0, ULONG_MAX, true, &unmapped);
	/* A driver that holds on to memory is not our own fault */
	WARN_ON(rc && rc != -EDEADLOCK && rc != -EADDRINUSE);
}
