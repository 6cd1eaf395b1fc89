// SPDX-License-Identifier: GPL-2.0-only
/*
 * What accesses have pinned.
 */
#include <linux/interval_tree.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "pages.h"

/**
 * struct access_pin - a range of indices that accesses pinned
 * @user: the range as user of the pages
 * @entry: the same range, in iopt_pages.pins
 * @count: how many times it is pinned
 */
struct access_pin {
	struct interval_tree_node user;
	struct interval_tree_node entry;
	unsigned int count;
};

static struct access_pin *iopt_find_pin(struct iopt_pages *pages,
					unsigned long index, unsigned long last)
{
	struct interval_tree_node *node;

	for (node = interval_tree_iter_first(&pages->pins, index, last); node;
	     node = interval_tree_iter_next(node, index, last))
		if (node->start == index && node->last == last)
			return container_of(node, struct access_pin, entry);
	return NULL;
}

static int iopt_add_pin(struct iopt_pages *pages, unsigned long index,
			unsigned long last, struct refusal *refusal)
{
	struct access_pin *pin = iopt_find_pin(pages, index, last);
	int rc;

	if (pin) {
		pin->count++;
		return 0;
	}

	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->user.start = index;
	pin->user.last = last;
	pin->entry.start = index;
	pin->entry.last = last;
	pin->count = 1;
	rc = iopt_pages_use(pages, &pin->user, refusal);
	if (rc) {
		kfree(pin);
		return rc;
	}
	interval_tree_insert(&pin->entry, &pages->pins);
	return 0;
}

/**
 * iopt_slice_pin - pin memory for an access
 * @slice: which memory
 * @out: receives one page per page that the slice touches
 * @refusal: where to say why memory is refused, may be NULL
 *
 * Return: 0, -EFAULT if the memory is a device's, -EINTR if the caller was
 * killed, or an error of iopt_pages_use().
 */
int iopt_slice_pin(const struct iopt_slice *slice, struct page **out,
		   struct refusal *refusal)
{
	unsigned long last = iopt_slice_last_index(slice);
	struct iopt_pages *pages = slice->pages;
	unsigned long index = slice->index;
	int rc;

	/* There is no struct page to hand out */
	if (pages->source == IOPT_PAGES_MMIO)
		return -EFAULT;
	/* Another task may be pinning a lot, or memory that is slow to arrive */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	rc = iopt_add_pin(pages, index, last, refusal);
	while (!rc && index <= last) {
		unsigned long pfn;
		unsigned long n = pfn_store_run(&pages->store, index, last,
						&pfn);

		index += n;
		while (n--)
			*out++ = pfn_to_page(pfn++);
	}
	mutex_unlock(&pages->mutex);
	return rc;
}

/**
 * iopt_slice_unpin - undo iopt_slice_pin()
 * @slice: as it was pinned
 */
void iopt_slice_unpin(const struct iopt_slice *slice)
{
	struct iopt_pages *pages = slice->pages;
	struct access_pin *pin;

	guard(mutex)(&pages->mutex);
	pin = iopt_find_pin(pages, slice->index, iopt_slice_last_index(slice));
	if (WARN_ON(!pin) || --pin->count)
		return;
	interval_tree_remove(&pin->entry, &pages->pins);
	iopt_pages_unuse(pages, &pin->user);
	kfree(pin);
}
