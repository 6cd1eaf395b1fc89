// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why memory could not be pinned, in words: EFAULT alone says nothing about
 * which page of perhaps many it was, and what about it.
 */
#include <linux/backing-dev.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "mmio.h"
#include "pages.h"
#include "refusal.h"

/*
 * A device writes when it likes, and the file system of a file on a disk has to
 * be told before. The same question as that of pin_user_pages(FOLL_LONGTERM).
 */
static bool iopt_needs_notice_of_writes(const struct vm_area_struct *vma)
{
	const struct vm_operations_struct *ops = vma->vm_ops;

	return (vma->vm_flags & (VM_WRITE | VM_SHARED)) ==
		       (VM_WRITE | VM_SHARED) &&
	       ops && (ops->page_mkwrite || ops->pfn_mkwrite) &&
	       vma->vm_file && mapping_can_writeback(vma->vm_file->f_mapping);
}

static bool iopt_is_past_end(const struct vm_area_struct *vma,
			     unsigned long addr)
{
	loff_t pos;

	if (!vma->vm_file)
		return false;
	pos = ((loff_t)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	return pos >= i_size_read(file_inode(vma->vm_file));
}

/* Does iommufd_mmio_get_user() find all of it? */
static bool iopt_is_lent(const struct iopt_pages *pages)
{
	struct iommufd_mmio *mmio;
	u64 offset = 0;

	if (current->mm != pages->account.mm)
		return false;
	mmio = iommufd_mmio_get_user((unsigned long)pages->uptr,
				     pages->npages * PAGE_SIZE, 0, &offset,
				     NULL);
	if (IS_ERR_OR_NULL(mmio))
		return false;
	iommufd_mmio_put(mmio);
	return true;
}

static const char *iopt_user_reason(const struct iopt_pages *pages,
				    const struct vm_area_struct *vma,
				    unsigned long addr)
{
	if (!vma || addr < vma->vm_start)
		return "nothing is mapped there";
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return "it is device memory that no driver lends, or not all in one mapping";
	if (pages->writable && !(vma->vm_flags & VM_WRITE))
		return "it is mapped without PROT_WRITE, but devices may write";
	if (!(vma->vm_flags & VM_READ))
		return "it is mapped without PROT_READ";
	if (pages->writable && iopt_needs_notice_of_writes(vma))
		return "its file system must be told of writes; use tmpfs or hugetlbfs";
	if (iopt_is_past_end(vma, addr))
		return "it is past the end of the file that is mapped";
	if (is_vm_hugetlb_page(vma))
		return "no huge page is left for it, see nr_hugepages";
	return "it cannot be brought into memory";
}

static void iopt_explain_user(const struct iopt_pages *pages,
			      unsigned long index, int error,
			      struct refusal *refusal)
{
	unsigned long addr = (unsigned long)pages->uptr + index * PAGE_SIZE;
	struct mm_struct *mm = pages->account.mm;
	const struct vm_area_struct *vma;
	const char *why;
	bool device;

	if (!mmget_not_zero(mm)) {
		refuse(refusal, error,
		       "map: the process whose memory it is has exited");
		return;
	}
	if (mmap_read_lock_killable(mm))
		goto out_put;
	vma = find_vma(mm, addr);
	why = iopt_user_reason(pages, vma, addr);
	device = vma && addr >= vma->vm_start &&
		 vma->vm_flags & (VM_IO | VM_PFNMAP);
	mmap_read_unlock(mm);
	/* The caller goes on to look for it, which is no refusal */
	if (!device || !iopt_is_lent(pages))
		refuse(refusal, error, "map: page at address 0x%lx: %s", addr,
		       why);
out_put:
	mmput(mm);
}

static void iopt_explain_file(const struct iopt_pages *pages,
			      unsigned long index, unsigned long last,
			      int error, struct refusal *refusal)
{
	loff_t pos = pages->file_start + (loff_t)index * PAGE_SIZE;
	loff_t end = pages->file_start + (loff_t)(last + 1) * PAGE_SIZE;
	loff_t size = i_size_read(file_inode(pages->file));

	if (end > size)
		refuse(refusal, error,
		       "map: the file ends at 0x%llx, but the mapping ends at 0x%llx",
		       size, end);
	else if (error == -ENOMEM && is_file_hugepages(pages->file))
		refuse(refusal, error,
		       "map: page of the file at 0x%llx: no huge page is left for it, see nr_hugepages",
		       pos);
	else
		refuse(refusal, error,
		       "map: page of the file at 0x%llx: it cannot be brought into memory",
		       pos);
}

/**
 * iopt_explain_fault - say why memory could not be pinned
 * @pages: the memory, not a device's
 * @index: the first page that could not be pinned
 * @last: the last one that should have been
 * @error: what the caller will get: -EFAULT, -EINVAL or -ENOMEM. Nothing is said
 *         of others
 * @refusal: where to say it, may be NULL
 *
 * Looks at the memory as it is now, and so may be wrong if the process changes it
 * meanwhile. Takes mmap_lock for reading, and may be called with the mutex of the
 * pages.
 */
void iopt_explain_fault(const struct iopt_pages *pages, unsigned long index,
			unsigned long last, int error, struct refusal *refusal)
{
	if (!refusal)
		return;
	if (pages->source == IOPT_PAGES_FILE) {
		if (error == -EFAULT || error == -EINVAL || error == -ENOMEM)
			iopt_explain_file(pages, index, last, error, refusal);
	} else if (error == -EFAULT) {
		iopt_explain_user(pages, index, error, refusal);
	}
}
