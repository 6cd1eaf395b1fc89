// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs as userspace maps them. A page fault maps memory only while it is there,
 * see memory.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/* Base pages that a fault maps around the one that was touched */
#define FAULT_AROUND	16UL

/**
 * struct tail_resource - the unused rest of a page that starts with a small BAR
 * @resource: claimed, so that nothing else can be put there and be mapped too
 * @index: the BAR
 * @next: link in dummy_resources_list
 */
struct tail_resource {
	struct resource		resource;
	int			index;
	struct list_head	next;
};

static bool vfio_pci_claim_tail(struct vfio_pci_core_device *vdev, int bar)
{
	struct resource *res = &vdev->pdev->resource[bar];
	struct tail_resource *tail;

	tail = kzalloc(sizeof(*tail), GFP_KERNEL_ACCOUNT);
	if (!tail)
		return false;
	tail->resource.name = "vfio sub-page reserved";
	tail->resource.start = res->end + 1;
	tail->resource.end = res->start + PAGE_SIZE - 1;
	tail->resource.flags = res->flags;
	if (request_resource(res->parent, &tail->resource)) {
		kfree(tail);
		return false;
	}
	tail->index = bar;
	list_add(&tail->next, &vdev->dummy_resources_list);
	return true;
}

static bool vfio_pci_bar_can_mmap(struct vfio_pci_core_device *vdev, int bar)
{
	struct resource *res = &vdev->pdev->resource[bar];

	if (!IS_ENABLED(CONFIG_VFIO_PCI_MMAP))
		return false;
	if (!(res->flags & IORESOURCE_MEM) || !res->start ||
	    !resource_size(res))
		return false;
	if (resource_size(res) >= PAGE_SIZE)
		return true;
	/* Part of a page: only if nothing but us is in that page */
	return PAGE_ALIGNED(res->start) && vfio_pci_claim_tail(vdev, bar);
}

/**
 * vfio_pci_probe_mmaps - find out which BARs userspace may map
 * @vdev: a device that is being enabled
 */
void vfio_pci_probe_mmaps(struct vfio_pci_core_device *vdev)
{
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		vdev->bar_mmap_supported[bar] =
			vfio_pci_bar_can_mmap(vdev, bar);
}

/**
 * vfio_pci_release_mmaps - undo vfio_pci_probe_mmaps()
 * @vdev: a device that is being disabled; no mapping exists any more
 */
void vfio_pci_release_mmaps(struct vfio_pci_core_device *vdev)
{
	struct tail_resource *tail, *tmp;

	list_for_each_entry_safe(tail, tmp, &vdev->dummy_resources_list, next) {
		list_del(&tail->next);
		release_resource(&tail->resource);
		kfree(tail);
	}
}

static unsigned int vfio_pci_vma_index(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT);
}

static unsigned long vfio_pci_vma_pgoff(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff &
	       ((1UL << (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT)) - 1);
}

/* The first page of the device's memory that a mapping shows */
static unsigned long vfio_pci_vma_pfn(const struct vm_area_struct *vma)
{
	struct vfio_pci_core_device *vdev = vma->vm_private_data;

	return PHYS_PFN(pci_resource_start(vdev->pdev,
					   vfio_pci_vma_index(vma))) +
	       vfio_pci_vma_pgoff(vma);
}

static vm_fault_t vfio_pci_insert_base_pages(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr, start, end, pfn = vfio_pci_vma_pfn(vma);
	vm_fault_t ret;

	addr = vmf->address & PAGE_MASK;
	ret = vmf_insert_pfn(vma, addr, pfn + PHYS_PFN(addr - vma->vm_start));
	if (ret != VM_FAULT_NOPAGE)
		return ret;

	/*
	 * Whoever touches one register touches its neighbours soon. These are
	 * a gift, so their failure is not reported.
	 */
	start = max(ALIGN_DOWN(addr, FAULT_AROUND * PAGE_SIZE), vma->vm_start);
	end = min(ALIGN_DOWN(addr, FAULT_AROUND * PAGE_SIZE) +
		  FAULT_AROUND * PAGE_SIZE, vma->vm_end);
	for (; start < end; start += PAGE_SIZE) {
		if (start == addr)
			continue;
		if (vmf_insert_pfn(vma, start,
				   pfn + PHYS_PFN(start - vma->vm_start)) !=
		    VM_FAULT_NOPAGE)
			break;
	}
	return ret;
}

static vm_fault_t vfio_pci_insert_pages(struct vm_fault *vmf,
					unsigned int order)
{
	unsigned long size = PAGE_SIZE << order, addr, pfn;
	struct vm_area_struct *vma = vmf->vma;

	if (!order)
		return vfio_pci_insert_base_pages(vmf);

	addr = ALIGN_DOWN(vmf->address, size);
	if (addr < vma->vm_start || vma->vm_end - addr < size)
		return VM_FAULT_FALLBACK;
	pfn = vfio_pci_vma_pfn(vma) + PHYS_PFN(addr - vma->vm_start);
	if (!IS_ALIGNED(pfn, 1UL << order))
		return VM_FAULT_FALLBACK;

	switch (order) {
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, pfn, false);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, pfn, false);
#endif
	}
	return VM_FAULT_FALLBACK;
}

static vm_fault_t vfio_pci_vma_huge_fault(struct vm_fault *vmf,
					  unsigned int order)
{
	struct vfio_pci_core_device *vdev = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	scoped_guard(rwsem_read, &vdev->memory_lock)
		if (vfio_pci_memory_enabled(vdev))
			ret = vfio_pci_insert_pages(vmf, order);

	trace_vfio_pci_fault(vdev, vfio_pci_vma_index(vmf->vma), vmf->address,
			     order, ret);
	return ret;
}

static vm_fault_t vfio_pci_vma_fault(struct vm_fault *vmf)
{
	return vfio_pci_vma_huge_fault(vmf, 0);
}

static const struct vm_operations_struct vfio_pci_vm_ops = {
	.fault = vfio_pci_vma_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = vfio_pci_vma_huge_fault,
#endif
};

/**
 * vfio_pci_vma_bar - which BAR a mapping shows
 * @vma: any mapping
 * @bar: receives the number of the BAR
 * @offset: receives the offset in the BAR of the mapping's first byte
 *
 * Return: the device, or NULL if the mapping is not of one of our BARs.
 */
struct vfio_pci_core_device *vfio_pci_vma_bar(const struct vm_area_struct *vma,
					      unsigned int *bar, u64 *offset)
{
	if (vma->vm_ops != &vfio_pci_vm_ops)
		return NULL;
	*bar = vfio_pci_vma_index(vma);
	*offset = (u64)vfio_pci_vma_pgoff(vma) << PAGE_SHIFT;
	return vma->vm_private_data;
}

static int vfio_pci_mmap_bar(struct vfio_pci_core_device *vdev,
			     unsigned int bar, struct vm_area_struct *vma)
{
	u64 start, len;
	int ret;

	if (!vdev->bar_mmap_supported[bar])
		return -EINVAL;
	start = (u64)vfio_pci_vma_pgoff(vma) << PAGE_SHIFT;
	len = vma->vm_end - vma->vm_start;
	if (start + len > PAGE_ALIGN(pci_resource_len(vdev->pdev, bar)))
		return -EINVAL;

	/* Claims the BAR: userspace must not map what somebody else uses */
	ret = vfio_pci_core_setup_barmap(vdev, bar);
	if (ret)
		return ret;

	vma->vm_private_data = vdev;
	vma->vm_page_prot = pgprot_decrypted(pgprot_noncached(vma->vm_page_prot));
	/*
	 * Nothing is mapped before the first touch: memory may be disabled now.
	 * A guest may map the BAR of its device write-combining.
	 */
	vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED | VM_IO | VM_PFNMAP |
			  VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vfio_pci_vm_ops;
	return 0;
}

/**
 * vfio_pci_core_mmap - map a region into userspace
 * @core_vdev: the device
 * @vma: where, and with the region's index in the upper bits of the offset, what
 *
 * Return: 0; -EINVAL if that cannot be mapped, -EBUSY if the BAR is in use by
 * somebody else, -ENOMEM.
 */
int vfio_pci_core_mmap(struct vfio_device *core_vdev,
		       struct vm_area_struct *vma)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);
	unsigned int index = vfio_pci_vma_index(vma);
	struct vfio_pci_region *region;

	if (index >= VFIO_PCI_NUM_REGIONS + vdev->num_regions)
		return -EINVAL;
	/* A private copy of registers makes no sense */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	if (index >= VFIO_PCI_NUM_REGIONS) {
		region = &vdev->region[index - VFIO_PCI_NUM_REGIONS];
		if (!region->ops->mmap ||
		    !(region->flags & VFIO_REGION_INFO_FLAG_MMAP))
			return -EINVAL;
		return region->ops->mmap(vdev, region, vma);
	}
	if (index > VFIO_PCI_BAR5_REGION_INDEX)
		return -EINVAL;
	return vfio_pci_mmap_bar(vdev, index, vma);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_mmap);
