// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bitmaps in user memory that say which IOVA is dirty.
 *
 * Whoever finds dirt forgets it in the same step, so a bit must have a place
 * before anybody is asked: the bitmap's memory is pinned window by window, and
 * only the IOVA that the window stands for are asked about. A large page that
 * begins there may end behind it, so that a window reaches further than what is
 * asked about. A fault in the bitmap thus stops the walk before it loses
 * anything.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* Bits of one page of bitmap */
#define BITS_PER_PAGE (PAGE_SIZE * BITS_PER_BYTE)

/* As many as the pointers to them fill a page */
#define WINDOW_MAX (PAGE_SIZE / sizeof(struct page *))

/*
 * Pages at the end of a window for what begins before them: with a bit for 4 KiB,
 * as long as no entry of a page table is larger than 16 GiB.
 */
#define WINDOW_AHEAD (WINDOW_MAX / 4)

/**
 * struct iova_bitmap - a bitmap in user memory, one bit per page of IOVA
 * @iova: what the first bit stands for
 * @last: last IOVA, inclusive
 * @shift: log2 of the bytes of IOVA that a bit stands for
 * @addr: page-aligned user address of the page that has the first bit
 * @skip: number of bits in that page before the first one
 * @nr_pages: pages from @addr on that have bits
 * @part_iova: first IOVA of the part that is being asked about
 * @win_start: number of the first page of the window, counted from @addr
 * @win_pages: pages in the window
 * @win_max: room in @pages
 * @error: what the first iova_bitmap_set() met that could not set its bits
 * @pages: the pages of the window, pinned
 */
struct iova_bitmap {
	unsigned long iova;
	unsigned long last;
	unsigned int shift;
	unsigned long addr;
	unsigned long skip;
	unsigned long nr_pages;
	unsigned long part_iova;

	unsigned long win_start;
	unsigned long win_pages;
	unsigned long win_max;
	int error;
	struct page *pages[] __counted_by(win_max);
};

/**
 * iova_bitmap_alloc - describe a bitmap of the current process
 * @iova: IOVA of the first bit
 * @length: bytes of IOVA that the bitmap covers, not 0
 * @page_size: bytes of IOVA that a bit stands for, a power of two
 * @data: user address of the bitmap
 *
 * Nothing is pinned yet.
 *
 * Return: the bitmap for iova_bitmap_free(), or an ERR_PTR: -EINVAL if the
 * arguments are not as said or the range wraps, -ENOMEM.
 */
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data)
{
	unsigned long addr = (unsigned long)data;
	unsigned long last, bits, nr_pages, win_max;
	struct iova_bitmap *bitmap;

	if (!length || !is_power_of_2(page_size) ||
	    check_add_overflow(iova, length - 1, &last))
		return ERR_PTR(-EINVAL);

	/* One less than there are, because 2^64 pages of a byte are legal */
	bits = (length - 1) >> ilog2(page_size);
	nr_pages =
		(bits / BITS_PER_BYTE + offset_in_page(addr)) / PAGE_SIZE + 1;
	win_max = min(nr_pages, WINDOW_MAX);

	bitmap = kzalloc(struct_size(bitmap, pages, win_max),
			 GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);
	bitmap->iova = iova;
	bitmap->part_iova = iova;
	bitmap->last = last;
	bitmap->shift = ilog2(page_size);
	bitmap->addr = addr & PAGE_MASK;
	bitmap->skip = offset_in_page(addr) * BITS_PER_BYTE;
	bitmap->nr_pages = nr_pages;
	bitmap->win_max = win_max;
	return bitmap;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc, "IOMMUFD");

static void iova_bitmap_release_window(struct iova_bitmap *bitmap)
{
	unpin_user_pages_dirty_lock(bitmap->pages, bitmap->win_pages, true);
	bitmap->win_pages = 0;
}

/**
 * iova_bitmap_free - undo iova_bitmap_alloc()
 * @bitmap: the bitmap; the user's memory stays as it is
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	iova_bitmap_release_window(bitmap);
	kfree(bitmap);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_free, "IOMMUFD");

/* Bits from the beginning of the page at bitmap->addr */
static unsigned long iova_bitmap_bit(const struct iova_bitmap *bitmap,
				     unsigned long iova)
{
	return bitmap->skip + ((iova - bitmap->iova) >> bitmap->shift);
}

static bool iova_bitmap_in_window(const struct iova_bitmap *bitmap,
				  unsigned long page)
{
	return page - bitmap->win_start < bitmap->win_pages;
}

/* Let the window begin at @page and be as large as it may, or not be at all */
static int iova_bitmap_move_window(struct iova_bitmap *bitmap,
				   unsigned long page)
{
	unsigned long wanted = min(bitmap->nr_pages - page, bitmap->win_max);
	long pinned;

	iova_bitmap_release_window(bitmap);
	pinned = pin_user_pages_fast(bitmap->addr + page * PAGE_SIZE, wanted,
				     FOLL_WRITE, bitmap->pages);
	if (pinned <= 0)
		return fatal_signal_pending(current) ? -EINTR : -EFAULT;
	bitmap->win_start = page;
	bitmap->win_pages = pinned;
	if (pinned == wanted)
		return 0;
	iova_bitmap_release_window(bitmap);
	return fatal_signal_pending(current) ? -EINTR : -EFAULT;
}

/*
 * Last IOVA to ask about. It has its bit in the window, and so has what a large
 * page that begins before it reaches.
 */
static unsigned long iova_bitmap_window_last(const struct iova_bitmap *bitmap)
{
	unsigned long end = bitmap->win_start + bitmap->win_pages;
	unsigned long bits;

	if (end == bitmap->nr_pages)
		return bitmap->last;
	bits = (end - WINDOW_AHEAD) * BITS_PER_PAGE - bitmap->skip;
	return bitmap->iova + (bits << bitmap->shift) - 1;
}

/**
 * iova_bitmap_for_each - find out what is dirty
 * @bitmap: the bitmap
 * @opaque: for @fn
 * @fn: finds what is dirty in a part of the range, tells iova_bitmap_set(), and
 *      returns 0 or an error
 *
 * The parts are called in order, and their bits are pinned, so that to set them
 * neither sleeps nor fails.
 *
 * Return: 0, an error of @fn, -EFAULT if there is no memory for a bit, or -EINTR
 * if the caller was killed. @fn is not called for anything behind the error, nor
 * in the window that it is in.
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	unsigned long iova = bitmap->iova;
	unsigned long last;
	int rc;

	bitmap->error = 0;
	for (;;) {
		unsigned long bit = iova_bitmap_bit(bitmap, iova);

		rc = iova_bitmap_move_window(bitmap, bit / BITS_PER_PAGE);
		if (rc)
			break;
		last = iova_bitmap_window_last(bitmap);
		bitmap->part_iova = iova;
		rc = fn(bitmap, iova, last - iova + 1, opaque);
		if (!rc)
			rc = bitmap->error;
		if (!rc && last != bitmap->last && fatal_signal_pending(current))
			rc = -EINTR;
		if (rc || last == bitmap->last)
			break;
		iova = last + 1;
	}
	iova_bitmap_release_window(bitmap);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_for_each, "IOMMUFD");

/*
 * A word at either end may have bits of another range, for which another thread
 * may fill the same bitmap.
 */
static void iova_bitmap_set_bits(unsigned long *map, unsigned long first,
				 unsigned long last)
{
	unsigned long word;

	for (word = BIT_WORD(first); word <= BIT_WORD(last); word++) {
		unsigned long mask = ~0UL;

		if (word == BIT_WORD(first))
			mask &= BITMAP_FIRST_WORD_MASK(first);
		if (word == BIT_WORD(last))
			mask &= BITMAP_LAST_WORD_MASK(last + 1);
		if (mask == ~0UL)
			WRITE_ONCE(map[word], mask);
		else
			atomic_long_or(mask, (atomic_long_t *)&map[word]);
	}
}

/**
 * iova_bitmap_set - mark IOVA as dirty
 * @bitmap: the bitmap
 * @iova: first dirty IOVA
 * @length: dirty bytes
 *
 * What the bitmap does not cover is ignored, and so is what lies before the part
 * that iova_bitmap_for_each() calls for: its bits may not be pinned any more, and
 * to wait for the user's memory is not for those who have locks. Dirt that begins
 * there was not cleared. What lies behind the part, because the dirt belongs to a
 * large page that begins in it, is set as well. For one that is larger than what is
 * pinned ahead this may sleep. If that fails, iova_bitmap_for_each() returns the
 * error.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	unsigned long bit, last_bit, last;

	if (!length || iova > bitmap->last)
		return;
	if (check_add_overflow(iova, length - 1, &last) || last > bitmap->last)
		last = bitmap->last;
	if (last < bitmap->part_iova)
		return;
	iova = max(iova, bitmap->part_iova);

	last_bit = iova_bitmap_bit(bitmap, last);
	for (bit = iova_bitmap_bit(bitmap, iova); bit <= last_bit;) {
		unsigned long page = bit / BITS_PER_PAGE;
		unsigned long end =
			min(last_bit, (page + 1) * BITS_PER_PAGE - 1);
		void *map;

		if (!iova_bitmap_in_window(bitmap, page)) {
			int rc = iova_bitmap_move_window(bitmap, page);

			if (rc) {
				bitmap->error = rc;
				return;
			}
		}
		map = kmap_local_page(bitmap->pages[page - bitmap->win_start]);
		iova_bitmap_set_bits(map, bit % BITS_PER_PAGE,
				     end % BITS_PER_PAGE);
		kunmap_local(map);
		bit = end + 1;
	}
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set, "IOMMUFD");
