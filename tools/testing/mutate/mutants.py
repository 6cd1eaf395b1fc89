# SPDX-License-Identifier: GPL-2.0-only
"""
The table of faults for mutate.py, made by reading the sources. The place of each is a text, inside of a function if one is
named, that is there exactly once; "mutate.py --check" tells which one is not any more.
"""

from dataclasses import dataclass

IOMMUFD, VFIO, PCI = "drivers/iommu/iommufd/", "drivers/vfio/", "drivers/vfio/pci/"


@dataclass
class Mutant:
    name: str
    file: str
    function: str
    old: str
    new: str
    level: str		# the cheapest kernel that sees it
    suites: str		# of KUnit, with level "uml"
    tests: tuple	# DIRECTORY/PROGRAM[:TEST,TEST...]
    why: str = None	# it is not noticed


MUTANTS = []
# Files that have no code to make a fault in that a test could see, and why
WITHOUT = {
    "drivers/iommu/iommufd/msi.c": "interrupts of the machines that tests run on are not translated like DMA",
    "drivers/iommu/iommufd/sw_msi.c": "the same; that the newest kernel links with it is part of 'make check-kernels'",
    "drivers/vfio/pci/vga.c": "the arbiter of a guest with one display has nothing to arbitrate",
    "drivers/vfio/pci/igd.c": "needs the fake graphics device of the selftests",
    "drivers/vfio/external.c": "its one caller is KVM, which runs in 'make check-clients'",
    "drivers/vfio/kvm.c": "it calls KVM, which runs in 'make check-clients'",
    "drivers/iommu/iommufd/phys.c": "needs a machine without an IOMMU, of 'make check-models'",
    "drivers/iommu/iommufd/software_domain.c": "needs a machine without an IOMMU, of 'make check-models'",
    "drivers/vfio/noiommu.c": "needs a machine without an IOMMU, of 'make check-models'",
    **{f"drivers/vfio/platform/{name}.c": "needs a machine with an Arm processor, of 'make check-kernels'"
       for name in ("amba", "core", "irqs", "platform", "regions", "reset", "reset/virtio_mmio")},
}


def uml(name, file, function, old, new, suites=None, *tests, why=None):
    """On User-mode Linux: KUnit suites at boot, selftests afterwards."""
    MUTANTS.append(Mutant(name, file, function, old, new, "uml", suites, tests, why))


def stock(name, file, function, old, new, *tests, why=None):
    """As modules of the stock kernel, with emulated devices."""
    MUTANTS.append(Mutant(name, file, function, old, new, "stock", None, tests, why))


def debug(name, file, function, old, new, *tests, why=None):
    """On the debug kernel, which is built for each."""
    MUTANTS.append(Mutant(name, file, function, old, new, "debug", None, tests, why))


ABI, IOAS, MAP = "iommu/iommufd_abi", "iommu/iommufd_ioas", "iommu/iommufd_map"
MOCK, MOCK_FILE, MOCK_PROCESS, MOCK_HWPT = "iommu/iommufd_mock", "iommu/iommufd_mock_file", "iommu/iommufd_mock_process", "iommu/iommufd_mock_hwpt"
MOCK_NESTED, MOCK_FAULT = "iommu/iommufd_mock_nested", "iommu/iommufd_mock_fault"
VIOMMU, VEVENT, TRACE = "iommu/iommufd_mock_viommu", "iommu/iommufd_mock_vevent", "iommu/iommufd_mock_trace"
MOCK_ACCESS, MOCK_FAIL, DEV = "iommu/iommufd_mock_access", "iommu/iommufd_mock_fail", "iommu/iommufd_mock_device"

# ---- iommufd: the IOVA map
F = IOMMUFD + "io_pagetable.c"
S = "iommufd_io_pagetable"
uml("unclaim-unlocked", F, "iopt_unclaim_areas", "\tdown_write(&iopt->iova_rwsem);\n\tiopt_remove_from_tree(iopt, first, stop);\n\tup_write(&iopt->iova_rwsem);\n",
    "\tiopt_remove_from_tree(iopt, first, stop);\n", S)
uml("fill-error-keeps-pins", F, "iopt_area_unfill", "\tiopt_pages_unuse(area->pages, &area->user);\n", "", S)
uml("fill-error-without-flush", F, "iopt_area_unfill", "\t\tiopt_gather_flush(&gather);\n", "", S)
uml("unfill-without-flush", F, "iopt_unfill_areas", "\t\tiopt_gather_flush(&gather);\n", "", S, f"{MOCK}:map", f"{MOCK_FAIL}:map")
uml("add-domain-keeps-reserved", IOMMUFD + "domains.c", "iopt_add_domain_locked", "\tiopt_unreserve(iopt, item);\n", "", S + "*", f"{MOCK}:attach_misaligned_mapping,attach_bad_memory")
uml("remove-domain-keeps-alignment", IOMMUFD + "domains.c", "iopt_remove_domain", "\tiopt->alignment = iopt_calc_alignment(iopt, NULL);\n", "", S)
uml("auto-iova-from-0", IOMMUFD + "iova.c", "iopt_find_allowed", "lowest = PAGE_SIZE", "lowest = 0", S, f"{MAP}:map_auto_iova")
uml("usable-off-by-one", IOMMUFD + "iova.c", "iopt_next_usable", "reserved->node.start - 1", "reserved->node.start", "iommufd_reserved")
uml("unmap-cuts-front", IOMMUFD + "unmap.c", "iopt_link_areas", "node && node->start < start", "node && false", S, f"{MAP}:unmap_never_splits")
uml("unmap-fails-access-barred", IOMMUFD + "unmap.c", "iopt_unmap_range", "\tif (rc && bars && barred >= start)\n\t\tiopt_allow_access(iopt, start, barred);\n", "", S)
uml("unmap-only-one-batch", IOMMUFD + "unmap.c", "iopt_unmap_range", "!rc && end != last", "false", S)
uml("unmap-batch-finds-cut-late", IOMMUFD + "unmap.c", "iopt_link_areas", "node && node->last != last", "false", S)
uml("fill-domain-error-keeps-pins", IOMMUFD + "domains.c", "iopt_fill_domain_area", "\t\tif (rc && is_first)\n\t\t\tiopt_pages_unuse(area->pages, &area->user);\n", "", S)
uml("small-pages-not-undone", IOMMUFD + "domains.c", "iopt_set_small_pages_locked", "\t\tiopt->small_pages = old;\n", "", S, f"{IOAS}:option_huge_pages_alignment")
uml("pin-access-not-undone", IOMMUFD + "domains.c", "iopt_add_pin_access", "\t\tiopt->pin_accesses--;\n", "\t\t;\n", S)
uml("copy-wrong-errno", F, "iopt_collect_pieces_locked", "-EPERM", "-EACCES", S, f"{MOCK_FILE}:copy_not_writable")
uml("answer-fails-stays-filled", F, "iopt_answer_map", "\tiopt_unfill_areas(iopt, areas, NULL);\n", "", None, "iommu/iommufd_answer", f"{ABI}:bad_pointer_undoes_map")
F = IOMMUFD + "area_split.c"
S = "iommufd_area_split"
uml("cut-without-reference", F, "iopt_split_area", "\tiopt_pages_get(rear->pages);\n", "", S)
uml("cut-asks-no-access", F, "iopt_try_split_area", "if (atomic_read(&area->num_accesses))", "if (0)", S)
uml("cut-loses-rear", F, "iopt_break_leaf", "\tiopt_area_refill(item, area, iova, last + 1);\n", "", S)
F = IOMMUFD + "iova_tree.c"
uml("tree-gap-off-by-one", F, "iova_tree_insert", "next->gap = next->start - node->last - 1", "next->gap = next->start - node->last", "iommufd_iova_tree")
uml("tree-no-exact-fit", F, "iova_tree_fits", "end > hi", "end >= hi", "iommufd_iova_tree")
F = IOMMUFD + "reserved.c"
uml("unreserve-of-everybody", F, "iopt_unreserve", "reserved->owner != owner", "false", "iommufd_reserved")
uml("reserve-ignores-allowed", F, "iopt_reserve", "\tif (allowed)\n", "\tif (0)\n", "iommufd_reserved", f"{MOCK}:reserved_and_allowed")
uml("reserve-second-fails-first-stays", F, "iopt_reserve_device", "\tif (rc)\n\t\tiopt_unreserve(iopt, dev);\n", "", "iommufd_reserved")
F = IOMMUFD + "stats.c"
uml("stats-off-by-one", F, "iopt_runs_find_step", "step->last + 1 - area->user.start", "step->last - area->user.start", "iommufd_stats")

# ---- iommufd: memory
F = IOMMUFD + "pages.c"
S = "iommufd_pages"
uml("pin-error-keeps-charge", IOMMUFD + "pin.c", "iopt_pin_range", "\t\t\tpin_account_uncharge(&pages->account, last - start + 1);\n", "", S)
uml("pin-error-keeps-pins", IOMMUFD + "pin.c", "iopt_pin_range", "iopt_unpin_range(pages, start, index - 1);", ";", S)
uml("unused-keeps-charge", IOMMUFD + "pin.c", "iopt_unpin_unused", "\tif (npages)\n\t\tpin_account_uncharge(&pages->account, npages);\n", "", S)
uml("single-error-keeps-charge", IOMMUFD + "pin.c", "iopt_pin_single", "\t\tpin_account_uncharge(&pages->account, 1);\n", "", S)
uml("store-error-keeps-pins", IOMMUFD + "pin.c", "iopt_pin_user_batch", "\t\tunpin_user_pages(list, pinned);\n", "", S, f"{MOCK}:map", f"{MOCK_FAIL}:map")
uml("file-error-keeps-folio", IOMMUFD + "pin.c", "iopt_pin_file_batch", "\t\tunpin_folio(list[i]);\n", "\t\t;\n", None, f"{MOCK_FAIL}:map_file", f"{MOCK_FILE}:file_bad")
uml("file-counts-as-mapped", F, "iopt_pages_put_source", "\t\t\tmapping_unmap_writable(pages->file->f_mapping);\n", "\t\t\t;\n", None, f"{MAP}:map_file_then_seal")
uml("file-without-write-permission", F, "iopt_pages_alloc_file", "(writable && !(file->f_mode & FMODE_WRITE))", "false", None, f"{MAP}:map_file_read_only")
uml("fill-error-stays-mapped", IOMMUFD + "fill.c", "iopt_fill_runs", "\tif (rc && done)\n\t\tiopt_untranslate_sync(item, iova, done);\n", "", S)
F = IOMMUFD + "pin_hugetlb.c"
MOCK_HUGETLB = "iommu/iommufd_mock_hugetlb"
stock("hugetlb-one-pin", F, "iopt_pin_each_page", "\tatomic_add(more, &folio->_pincount);\n", "", f"{MOCK_HUGETLB}:pins_each_page", f"{MOCK_FILE}:file_hugetlb")
stock("hugetlb-as-first-page", F, "iopt_pin_hugetlb_folio", "skip = folio_page_idx(folio, page);", "skip = 0;", f"{MOCK_HUGETLB}:pins_each_page")
stock("hugetlb-past-its-mapping", F, "iopt_pin_hugetlb", "vma && is_vm_hugetlb_page(vma)", "vma", f"{MOCK_HUGETLB}:neighbours")
debug("hugetlb-store-error-keeps-pin", F, "iopt_pin_hugetlb_folio", "\tunpin_user_page(page);\n", "", f"{MOCK_FAIL}:map_hugetlb")
F = IOMMUFD + "pin_job.c"
JOB = "iommufd_pin_job"
uml("job-pieces-share-chunks", F, "iopt_pin_job_claim", "job->next | (job->piece - 1)", "job->next + job->piece - 1", JOB)
uml("job-last-failure-counts", F, "iopt_pin_job_fail", "if (index < job->failed)", "if (true)", JOB)
uml("job-stops-before-failure", F, "iopt_pin_job_piece", "READ_ONCE(job->failed) < worker->index", "READ_ONCE(job->failed) != ULONG_MAX", JOB)
uml("job-entered-late", F, "iopt_pin_job_help", "\t\tif (job->closed)\n\t\t\treturn;\n", "", JOB)
uml("job-not-joined", F, "iopt_pin_job_run", "\tiopt_pin_job_join(job);\n", "", JOB)
uml("job-not-undone", F, "iopt_pin_job_run", "\tiopt_pin_job_undo(job);\n", "", JOB)
uml("job-ignores-kill", F, "iopt_pin_job_piece", "READ_ONCE(job->killed) || ", "", JOB)
F = IOMMUFD + "pin_helpers.c"
stock("helper-not-reaped", F, "iopt_pin_helper_leave", "\tqueue_work(reapers, &helper->reap);\n", "", "iommu/iommufd_mock_parallel:map")
uml("unpin-not-last", IOMMUFD + "access_pin.c", "iopt_slice_unpin", "|| --pin->count", "|| (--pin->count, 0)", S)
F = IOMMUFD + "translate.c"
uml("flush-larger-than-can-be", F, "iopt_gather_flush", "unlikely(iopt_gather_is_large(gather))", "false", "iommufd_translate")
uml("flush-of-nothing", F, "iopt_gather_flush", "\tif (!gather->pending)\n\t\treturn;\n", "", "iommufd_translate")
uml("tables-freed-before-flush", F, "iopt_gather_prepare", "\t\tiopt_gather_flush(gather);\n", "\t\t;\n", "iommufd_translate")
uml("failed-map-left", F, "iopt_undo_piece", "length && iommu_iova_to_phys(domain, iova)", "false", "iommufd_translate")
uml("failed-map-keeps-pieces", F, "iopt_translate_pieces", "\t\t\tif (done)\n\t\t\t\tiopt_untranslate_sync(item, iova, done);\n", "", "iommufd_translate")
uml("super-page-above-flush", F, "iopt_translate_pieces", "\tif (item->flush_max)\n\t\tmax_page = min(max_page, item->flush_max);\n", "", "iommufd_translate")
uml("unsynced-map-stays", F, "iopt_translate_and_sync", "\tif (rc)\n\t\tiopt_untranslate_sync(item, iova, length);\n", "", "iommufd_io_pagetable")
F = IOMMUFD + "pfn_store.c"
uml("store-flat-whatever-base", F, "pfn_store_run_is_flat", "pfn_store_flat_base(old) == pfn - offset", "true", "iommufd_pfn_store")
uml("store-forgets-too-little", F, "pfn_store_forget", "end <= last", "end < last", "iommufd_pfn_store")
F = IOMMUFD + "account.c"
uml("limit-off-by-one", F, "pin_account_charge_user", "sum > limit", "sum >= limit", "iommufd_account")
uml("uncharge-keeps-pinned-vm", F, "pin_account_uncharge", "\tatomic64_sub(npages, &account->mm->pinned_vm);\n", "", "iommufd_account", f"{MOCK_PROCESS}:pinned_vm")
F = IOMMUFD + "change_process.c"
uml("takeover-half-done-keeps-charges", F, "iommufd_takeovers_charge", "\t\tpin_account_give_up(&undo->account, &undo->pages->account);\n", "\t\t;\n", None, f"{MOCK_PROCESS}:change_process_half")
uml("takeover-of-memory-of-a-process", F, "iommufd_takeovers_collect_areas", "pages->source != IOPT_PAGES_FILE", "false", None, f"{IOAS}:change_process_einval")
F = IOMMUFD + "iova_bitmap.c"
S = "iommufd_iova_bitmap"
uml("bitmap-last-bit", F, "iova_bitmap_set_bits", "BITMAP_LAST_WORD_MASK(last + 1)", "BITMAP_LAST_WORD_MASK(last)", S)
uml("bitmap-of-a-part-before", F, "iova_bitmap_set", "iova = max(iova, bitmap->part_iova);", "iova = max(iova, bitmap->iova);", S)
uml("bitmap-forgets-fault", F, "iova_bitmap_for_each", "\t\tif (!rc)\n\t\t\trc = bitmap->error;\n", "", S)
F = IOMMUFD + "mmio.c"
uml("mmio-exact-end-refused", F, "iommufd_mmio_check_range", "end > mmio->length", "end >= mmio->length", None, f"{MOCK_HWPT}:dmabuf")
uml("mmio-limit-is-for-ever", F, "iommufd_mmio_unmap", "\tmmio->nr_maps--;\n", "", "iommufd_pages")
uml("mmio-mapped-while-revoked", F, "iommufd_mmio_map", "if (!mmio->revoked)", "if (1)", "iommufd_pages", f"{MOCK_HWPT}:dmabuf",
    why="nothing is mapped while it is revoked in the test")
stock("mmio-more-than-file-permits", F, "iommufd_mmio_check_file_prot", "(prot & IOMMU_WRITE) && !(file->f_mode & FMODE_WRITE)", "false", "vfio/vfio_pci_dmabuf:as_the_file_permits")
stock("mmio-more-than-vma-permits", F, "iommufd_mmio_check_vma_prot", "(prot & IOMMU_WRITE) && !(vma->vm_flags & VM_WRITE)", "false", "vfio/vfio_pci_p2p:as_the_mapping_permits")

# ---- iommufd: objects and ioctls
F = IOMMUFD + "object.c"
uml("lookup-cache-after-destroy", F, "iommufd_object_forget_id", "\t\tictx->found = NULL;\n", "\t\t;\n", "iommufd_object", f"{ABI}:destroy_last_used")
uml("destroy-killed-stays-dying", F, "iommufd_object_revive", "\tobj->dying = false;\n", "", "iommufd_object")
uml("destroy-killed-in-its-wait-stays-dying", F, "iommufd_object_wait_for_calls", "\tobj->dying = false;\n", "", "iommufd_object")
uml("destroy-killed-in-its-wait-is-unused", F, "iommufd_object_wait_for_calls", "\trefcount_set(&obj->users, 1);\n", "", "iommufd_object")
uml("busy-wrong-errno", F, "iommufd_object_try_destroy", "-EBUSY", "-EINVAL", "iommufd_object", f"{MOCK}:busy_objects")
uml("lookup-of-any-type", F, "iommufd_object_get", "(obj->ops->type != type && type != IOMMUFD_OBJ_ANY)", "false", "iommufd_object", f"{MOCK}:device_is_not_an_ioas")
uml("destroy-all-unlocked", F, "iommufd_object_destroy_all", "\t\t\txa_lock(&ictx->objects);\n\t\t\tremoved = iommufd_object_remove(ictx, obj);\n\t\t\txa_unlock(&ictx->objects);\n", "\t\t\tremoved = iommufd_object_remove(ictx, obj);\n", None, f"{ABI}:alloc_destroy,destroy_with_mappings")
stock("last-call-wakes-nobody", F, "iommufd_object_unused", "\twake_up_all(&ictx->destroy_wait);\n", "", "iommu/iommufd_answer:destroy_waits")
F = IOMMUFD + "fault.c"
uml("fault-left-on-the-cores-list", F, "iommufd_fault_handler", "\tiopf_group_dequeue(group);\n", "", "iommufd_fault")
uml("fault-cookie-in-use", F, "iommufd_fault_take", "rc = xa_alloc(&fault->waiting, &group->cookie, group,\n\t\t      XA_LIMIT(1, U32_MAX), GFP_KERNEL_ACCOUNT);", "group->cookie = 1;\n\trc = xa_err(xa_store(&fault->waiting, group->cookie, group, GFP_KERNEL));", "iommufd_fault")
uml("fault-comes-when-closed", F, "iommufd_fault_enqueue", "!attachment->closed &&", "", "iommufd_fault")
uml("fault-device-told-for-each", F, "iommufd_fault_open", "!attachment->hwpt->fault || igroup->faulting++", "!attachment->hwpt->fault || (igroup->faulting++, 0)", "iommufd_fault")
uml("fault-forgets-only-unread", F, "iommufd_fault_forget", "\t\txa_erase(&fault->waiting, cookie);\n", "\t\tcontinue;\n", None, f"{MOCK_FAULT}:detach,replace")
F = IOMMUFD + "vevent.c"
uml("vevent-lost-twice", F, "iommufd_veventq_pop", "if (veventq->lost_sequence == record->header.sequence)", "if (0)", "iommufd_vevent")
uml("vevent-cut-in-two", F, "iommufd_veventq_read", "len > count - done", "!(count - done)", "iommufd_vevent")
uml("vevents-of-one-type-twice", F, "iommufd_veventq_join", "if (other->type == veventq->type)", "if (0)", None, f"{VEVENT}:alloc_answers")
uml("veventq-stays-listed", F, "iommufd_veventq_destroy", "\t\tlist_del(&veventq->entry);\n", "", None, f"{VEVENT}:destroy_with_events")
uml("veventq-keeps-viommu", F, "iommufd_veventq_destroy", "\t\tiommufd_object_release(&viommu->obj);\n", "", None, f"{VEVENT}:every_order")
F = IOMMUFD + "driver.c"
uml("vevent-room-off-by-one", F, "iommufd_veventq_push", "veventq->nr == veventq->depth", "veventq->nr + 1 >= veventq->depth", "iommufd_vevent")
uml("vevent-loss-not-counted", F, "iommufd_veventq_push", "\t\tWRITE_ONCE(veventq->nr_lost, veventq->nr_lost + 1);\n", "", "iommufd_vevent", f"{TRACE}:vevents")
uml("vevent-of-any-type", F, "iommufd_viommu_report_event", "if (veventq->type != type)", "if (0)", None, f"{VEVENT}:alloc_answers")
uml("vevent-wakes-nobody", F, "iommufd_viommu_report_event", "\t\tiommufd_queue_wake(&veventq->queue);\n", "", None, f"{VEVENT}:poll")
stock("tombstone-is-not-told", IOMMUFD + "object.c", "iommufd_object_bury", "obj->ops->name, true, 0", "obj->ops->name, false, 0", f"{TRACE}:vdevice")
stock("failed-hw-queue-told-as-made", IOMMUFD + "hw_queue.c", "iommufd_hw_queue_alloc_ioctl", "cmd->length, rc);", "cmd->length, 0);", f"{TRACE}:hw_queue")
F = IOMMUFD + "queue_file.c"
uml("queue-file-holds-nothing", F, "iommufd_queue_release", "\tiommufd_object_release(queue->obj);\n", "", "iommufd_queue_file")
uml("queue-file-takes-parts", F, "iommufd_queue_misses", "pos || count % record_size", "pos", "iommufd_queue_file")
uml("tombstone-is-free", IOMMUFD + "object.c", "iommufd_object_bury", "\txas_store(&xas, XA_ZERO_ENTRY);\n", "\t__xa_erase(&ictx->objects, obj->id);\n", "iommufd_object", f"{VIOMMU}:tombstone")
uml("viommu-without-parent", IOMMUFD + "viommu.c", "iommufd_viommu_destroy", "\tiommufd_object_release(&viommu->hwpt->common.obj);\n", "", None, f"{VIOMMU}:alloc_answers")
uml("viommu-of-nested-is-free", IOMMUFD + "hwpt_nested.c", "iommufd_hwpt_nested_alloc_viommu", "iommufd_hwpt_nested_create(ictx, &viommu->obj, viommu->hwpt,", "iommufd_hwpt_nested_create(ictx, &viommu->hwpt->common.obj, viommu->hwpt,", None, f"{VIOMMU}:nested")
uml("vdevice-keeps-name", IOMMUFD + "vdevice.c", "iommufd_vdevice_part", "\txa_erase(&vdev->viommu->vdevs, vdev->virt_id);\n", "", "iommufd_viommu", f"{VIOMMU}:tombstone")
uml("vdevice-init-fails-and-holds", IOMMUFD + "vdevice.c", "iommufd_vdevice_pair", "err_release:\n", "err_release:\n\tiommufd_object_hold(&viommu->obj);\n", "iommufd_viommu")
uml("unplug-leaves-vdevice", IOMMUFD + "device.c", "iommufd_device_destroy", "\tiommufd_vdevice_unplug(idev);\n", "", None, f"{VIOMMU}:tombstone")
uml("mmap-of-any-length", IOMMUFD + "mmap.c", "iommufd_mmap_find", " && mmap->npages == npages", "", None, f"{VIOMMU}:mmap")
uml("mmap-copy-holds-nothing", IOMMUFD + "mmap.c", "iommufd_vma_open", "\trefcount_inc(&owner->users);\n", "", None, f"{VIOMMU}:mmap,mmap_fork")
uml("mmap-at-0", IOMMUFD + "driver.c", "_iommufd_alloc_mmap", "mmap->npages, 1,", "mmap->npages, 0,", "iommufd_viommu")
uml("hw-queue-takes-any-pages", IOMMUFD + "hw_queue.c", "iommufd_hw_queue_phys", "page_to_pfn(pages[i]) != page_to_pfn(pages[0]) + i", "false", None, f"{VIOMMU}:hw_queue_not_contiguous")
uml("unmap-under-hw-queue", IOMMUFD + "access.c", "iommufd_access_pin_areas", "\t\tif (keeps)\n\t\t\tatomic_inc(&area->num_keepers);\n", "", None, f"{VIOMMU}:hw_queue")
F = IOMMUFD + "main.c"
uml("size-rule", F, "iommufd_fops_ioctl", "ucmd.user_size < op->min_size", "ucmd.user_size < op->size", None, f"{ABI}:size_rules")
uml("fdinfo-keeps-object", IOMMUFD + "fdinfo.c", "iommufd_show_fdinfo", "\t\tiommufd_object_put(ictx, obj);\n", "", None, f"{ABI}:fdinfo_objects")
F = IOMMUFD + "ioas.c"
uml("alloc-leaves-id", F, "iommufd_ioas_alloc_ioctl", "iommufd_object_abort_and_destroy(ucmd->ictx, &ioas->obj);", "iommufd_object_finalize(ucmd->ictx, &ioas->obj);", None, f"{ABI}:bad_pointer")
uml("copy-error-keeps-source", IOMMUFD + "ioas_map.c", "iommufd_ioas_copy", "goto out_put_src;", "return rc;", None, f"{MAP}:copy_bad")
uml("ranges-exact-room", F, "iommufd_ioas_iova_ranges", "cmd->num_iovas > max_iovas ?", "cmd->num_iovas >= max_iovas ?", None, f"{IOAS}:iova_ranges,iova_ranges_emsgsize")
uml("allowed-not-freed", F, "iommufd_ioas_allow_iovas", "\tiopt_free_allowed(&allowed);\n", "", None, f"{IOAS}:allow_iovas,allow_iovas_bad")
uml("allowed-may-overlap", F, "iommufd_ioas_load_allowed", "if (interval_tree_iter_first(allowed, range.start, range.last))", "if (0)", None, f"{IOAS}:allow_iovas_bad")
uml("accounting-for-everybody", IOMMUFD + "option.c", "iommufd_option_rlimit_mode", "!capable(CAP_SYS_RESOURCE)", "false", None, f"{IOAS}:option_rlimit_mode_eperm")
uml("unmap-wrong-errno", IOMMUFD + "ioas_map.c", "iommufd_ioas_unmap", "rc = -EOVERFLOW;", "rc = -EINVAL;", None, f"{MAP}:unmap_bad")
uml("flags-wrong-errno", IOMMUFD + "ioas_map.c", "iommufd_check_map_flags", "-EOPNOTSUPP", "-EINVAL", None, f"{ABI}:unknown_flags")
stock("read-only-is-written", IOMMUFD + "ioas_map.c", "iommufd_map_prot", "if (flags & IOMMU_IOAS_MAP_WRITEABLE)", "if (flags)", "iommu/iommufd_device:dma_read_only")
F = IOMMUFD + "refusal.c"
uml("refusal-not-counted", F, "refusal_record", "\trefusal->count++;\n", "", None, f"{ABI}:fdinfo_refusal")
uml("refusal-logged-each-time", F, "refusal_note_warning", "\t\t\treturn false;\n\t\t}\n", "\t\t\tcontinue;\n\t\t}\n", None, "iommu/iommufd_fdinfo:memlock_in_the_log")
F = IOMMUFD + "pin_refusal.c"
uml("fault-of-wrong-page", F, "iopt_explain_user", "pages->uptr + index * PAGE_SIZE", "pages->uptr", None, "iommu/iommufd_fdinfo:why_not_pinned")
F = IOMMUFD + "hwpt.c"
uml("hwpt-error-keeps-ioas", IOMMUFD + "hwpt_paging.c", "iommufd_hwpt_alloc_wishing", "err_abort:\n\tiommufd_hwpt_free_domain(&hwpt->common);\n\tiommufd_object_release(&ioas->obj);\n", "err_abort:\n\tiommufd_hwpt_free_domain(&hwpt->common);\n", None, f"{MOCK_HWPT}:hwpt_alloc_bad")
uml("wishes-are-conditions", IOMMUFD + "hwpt_paging.c", "iommufd_hwpt_alloc_domain", "if (wishes && IS_ERR(domain)", "if (0 && IS_ERR(domain)", "iommufd_hwpt")
uml("coherency-of-a-filled-table", IOMMUFD + "hwpt_paging.c", "iommufd_hwpt_enforce_coherency", "if (hwpt->filled && hwpt->ioas->iopt.areas.nr)", "if (0)", None, f"{DEV}:coherency")
uml("nested-keeps-no-parent", IOMMUFD + "hwpt_nested.c", "iommufd_hwpt_nested_destroy", "iommufd_object_release(hwpt->from);", ";", None, f"{MOCK_NESTED}:holds")
uml("nested-in-any-table", IOMMUFD + "hwpt_nested.c", "iommufd_hwpt_nested_alloc", "if (!parent->item.nest_parent)", "if (0)", None, f"{MOCK_NESTED}:alloc_bad_parent")
uml("invalidate-counts-no-batch-before", IOMMUFD + "invalidate.c", "iommufd_invalidate_entries", "array->entry_num += batch.entry_num;", "array->entry_num = batch.entry_num;", None, f"{MOCK_NESTED}:invalidate_many")
uml("invalidate-stays-at-the-start", IOMMUFD + "invalidate.c", "iommufd_invalidate_entries", "batch.uptr += (size_t)entries * batch.entry_len;", ";", None, f"{MOCK_NESTED}:invalidate_many")
uml("invalidate-any-length", IOMMUFD + "invalidate.c", "iommufd_invalidate_check", "array->entry_len > PAGE_SIZE ||", "", "iommufd_invalidate")
uml("hwpt-without-data", F, "iommufd_hwpt_alloc_ioctl", "has_data != !!cmd->data_len", "0", None, f"{MOCK_HWPT}:hwpt_alloc_bad")
uml("flags-for-an-old-driver", IOMMUFD + "domain.c", "iommufd_domain_alloc_paging", "!IS_ERR(domain) || !either_stage ||", "!IS_ERR(domain) ||", None, f"{MOCK_HWPT}:hwpt_alloc_bad")
uml("replace-with-the-old-table", IOMMUFD + "attachment.c", "iommufd_attachment_replace", "attachment = iommufd_attachment_alloc(igroup, old->idev, old->pasid,\n\t\t\t\t\t      hwpt);", "attachment = iommufd_attachment_alloc(igroup, old->idev, old->pasid,\n\t\t\t\t\t      old->hwpt);", "iommufd_attachment")
uml("lost-pasid-detached-again", IOMMUFD + "attachment.c", "iommufd_attachment_leave", "else if (iommufd_attachment_is_known(attachment))", "else", "iommufd_attachment")
uml("pasid-beside-a-table-without", IOMMUFD + "pasid.c", "iommufd_pasid_check", "if (rid && !rid->hwpt->pasid)", "if (0)", None, "iommu/iommufd_mock_pasid:rid_rules")
uml("table-without-beside-a-pasid", IOMMUFD + "pasid.c", "iommufd_pasid_check_rid", "hwpt->pasid ||", "1 ||", None, "iommu/iommufd_mock_pasid:rid_rules")
uml("failed-pasid-keeps-table", IOMMUFD + "pasid.c", "iommufd_pasid_attach", "\tiommufd_object_release(&hwpt->obj);\n", "", None, "iommu/iommufd_mock_pasid:attach_fails")
uml("failed-pasid-replace-keeps-table", IOMMUFD + "pasid.c", "iommufd_pasid_replace", "\t\tiommufd_object_release(&hwpt->obj);\n", "", None, "iommu/iommufd_mock_pasid:replace_fails")
uml("try-leaves-its-handle", IOMMUFD + "attachment.c", "iommufd_attachment_restore", "rc = iommu_replace_group_handle(igroup->group, old,\n\t\t\t\t\t&attachment->handle);", "rc = 0;", "iommufd_attachment")
F = IOMMUFD + "dirty.c"
uml("dirty-without-flush", F, "iommufd_dirty_read_flush", "\t\tiommu_flush_iotlb_all(read->hwpt->common.domain);\n", "\t\t;\n", None, f"{MOCK_HWPT}:dirty,dirty_part", "iommu/dirty")
uml("dirty-reads-unlocked", F, "iommufd_dirty_read_step", "\tif (down_read_killable(&iopt->domains_rwsem))\n\t\treturn -EINTR;\n", "", None, f"{MOCK_HWPT}:dirty")
stock("unmap-waits-for-no-reader", IOMMUFD + "unmap.c", "iopt_remove_areas", "\tiopt_wait_for_holders(areas);\n", "", "iommu/iommufd_mock_kill:unmap")
uml("dirty-old-bits-stay", F, "iommufd_hwpt_set_dirty", "rc = iommufd_dirty_read_range(NULL, 0, SIZE_MAX, &clear);", "rc = 0;", None, f"{MOCK_HWPT}:dirty", "iommu/dirty:on_again")
uml("dirty-silent-is-believed", F, "iommufd_dirty_read_entries", "if (read->bitmap && read->hwpt->dirty_by_gather)", "if (0)", None, "iommu/dirty")
G, K = IOMMUFD + "dirty_gather.c", "iommufd_dirty_gather"
uml("dirty-cleared-before-reported", G, "dirty_report", "\tiova_bitmap_set(search->dirty->bitmap, start, last - start + 1);\n\tif", "\tif", K)
uml("dirty-run-over-clean", G, "dirty_report", "if (!search->run || search->run_last + 1 != start) {", "if (!search->run) {", K)
uml("dirty-last-run-stays", G, "iommufd_dirty_gather_read", "return dirty_clear_run(&search);", "return 0;", K)
uml("dirty-large-where-seen", G, "dirty_report_large", "start = ALIGN_DOWN(start, size);\n", ";\n", K)
uml("dirty-three-pages-are-two", G, "dirty_search_blocks", "pages <= 2", "pages <= 3", K)
uml("dirty-look-clears", G, "dirty_search_blocks", "IOMMU_DIRTY_NO_CLEAR,\n", "0,\n", K)
uml("dirty-any-size-is-believed", G, "dirty_report_large", "if (!is_power_of_2(size))", "if (0)", K)
uml("dirty-parameter-ignored", IOMMUFD + "domain.c", "iommufd_dirty_gather_suffices", "if (!READ_ONCE(dirty_tracking))", "if (0)", None, "iommu/dirty:parameter")
F = IOMMUFD + "access.c"
uml("access-leaves-alignment", F, "iommufd_access_leave", "\t\tiopt_remove_pin_access(&ioas->iopt);\n", "\t\t;\n", None, f"{MOCK_ACCESS}:access_alignment")
uml("access-half-pinned", F, "iommufd_access_pin_areas", "\t\tiommufd_access_unpin_areas(iopt, start, iova - 1, keeps);\n", "\t\t;\n", None, f"{MOCK_ACCESS}:access_pin_across_mappings,access_pin_bad")
uml("access-writes-read-only", F, "iommufd_access_area", "!(area->pages->writable && (area->prot & IOMMU_WRITE))", "!area->pages->writable", None, f"{MOCK_ACCESS}:access_pin_bad,access_rw_bad")
F = IOMMUFD + "slice_rw.c"
uml("copy-ignores-pins", F, "iopt_slice_page", "if (interval_tree_iter_first(&pages->users, index, index)) {", "if (0) {", None, "iommu/iommufd_access:pinned_memory")
uml("hold-write-without-pin", F, "iopt_hold_user", "return hold->write ? pin_user_pages_fast(addr, npages,\n\t\t\t\t\t\t\t FOLL_WRITE, hold->list) :", "return 0 ? 0 :", None, "iommu/iommufd_access:process_may_not")
F = IOMMUFD + "device.c"
uml("attach-error-keeps-reserved", IOMMUFD + "attach.c", "iommufd_attach_hwpt", "\tiommufd_unreserve_device(hwpt, idev->dev);\n", "\t;\n", None, f"{DEV}:attach_fails")
uml("replace-error-keeps-reserved", IOMMUFD + "attach.c", "iommufd_replace_hwpt", "\t\t\tiommufd_unreserve_device(hwpt, cur->dev);\n", "\t\t\t;\n", None, f"{DEV}:replace_fails,group_replace_fails")
uml("attach-error-keeps-hwpt", IOMMUFD + "attach.c", "iommufd_attach_hwpt", "err_release:\n\tiommufd_object_release(&hwpt->obj);\n", "err_release:\n", None, f"{DEV}:attach_fails")
uml("group-replace-keeps-table", IOMMUFD + "attach.c", "iommufd_replace_hwpt", "\t\tif (cur != idev)\n\t\t\tiommufd_object_release(&old->obj);\n", "", None, f"{DEV}:group")
uml("group-replace-error-keeps-table", IOMMUFD + "attach.c", "iommufd_replace_hwpt", "\twhile (held--)\n", "\twhile (held-- > 1)\n", None, f"{DEV}:group_replace_fails")
uml("group-replace-error-keeps-reserved", IOMMUFD + "attach.c", "iommufd_replace_hwpt", "list_for_each_entry_continue_reverse", "if (0) list_for_each_entry_continue_reverse", None, f"{DEV}:group_replace_fails")
stock("detach-keeps-reserved", IOMMUFD + "attach.c", "iommufd_detach_rid", "\tiommufd_unreserve_device(hwpt, idev->dev);\n", "", "iommu/iommufd_device:attach_takes_reserved_iova,attach_where_msi_window_is_used")
uml("hw-info-tail", F, "iommufd_get_hw_info", "clear_user(user_ptr + copy_len, cmd->data_len - copy_len)", "0", None, f"{MOCK_HWPT}:get_hw_info")
F = IOMMUFD + "vfio_compat.c"
stock("type1-map-without-flags", IOMMUFD + "vfio_map.c", "iommufd_vfio_map_dma", " ||\n\t    !map.flags)", ")", "iommu/vfio_compat:map_errors")
stock("type1-limit-off-by-one", IOMMUFD + "vfio_map.c", "iommufd_vfio_map_dma", "READ_ONCE(ioas->iopt.areas.nr) >= iommufd_vfio_dma_limit()", "READ_ONCE(ioas->iopt.areas.nr) > iommufd_vfio_dma_limit()", "iommu/vfio_compat:entry_limit")
stock("type1-caps-not-linked", IOMMUFD + "vfio_info.c", "iommufd_vfio_add_cap", "\t\tcaps->last->next = caps->size;\n", "\t\t;\n", "iommu/vfio_compat:info,avail")
stock("container-answers-as-iommufd", IOMMUFD + "ctx.c", "iommufd_ctx_alloc", "ictx->type1 = type1;", "ictx->type1 = false;", "iommu/vfio_compat:not_ours")
uml("group-not-found-again", IOMMUFD + "group.c", "iommufd_group_get", "if (igroup->group != group)", "if (1)", None, f"{DEV}:group")
stock("container-set-twice", F, "iommufd_vfio_set_iommu", "if (container->type && !list_empty(&container->groups))", "if (0)", "iommu/vfio_compat:set_iommu")
stock("container-made-for-nobody", IOMMUFD + "vfio_container.c", "iommufd_vfio_compat_ioas_create", "\t\tictx->container.owns_ioas = true;\n", "\t\t;\n", "iommu/vfio_compat:forgets")
stock("log-without-bitmap", IOMMUFD + "vfio_dirty.c", "iommufd_vfio_get_bitmap", "if (!ioas->dirty_log.on || size < sizeof(get))", "if (size < sizeof(get))", "iommu/vfio_compat:dirty_log")
F = IOMMUFD + "vfio_groups.c"
debug("container-error-keeps-ranges", F, "iommufd_vfio_attach_with", "\t\tiommufd_vfio_unreserve(member);\n", "\t\t;\n", "iommu/vfio_compat:fail_set_iommu")
stock("container-keeps-group", F, "iommufd_vfio_detach_member", "\tiommufd_vfio_unreserve(member);\n", "", "iommu/vfio_compat:set_iommu,info,forgets")

# ---- VFIO
stock("debugfs-is-not-removed", VFIO + "vfio_main.c", "vfio_unregister_group_dev", "\tvfio_device_debugfs_exit(device);\n", "", "vfio/vfio_mdev_mtty:debugfs")
stock("unplug-asks-nobody", VFIO + "registration.c", "vfio_device_drain", "if (device->ops->request)", "if (0)", "vfio/vfio_cdev_unplug:request")
stock("ioctl-before-bind", VFIO + "device_file.c", "vfio_device_fops_unl_ioctl", "\tif (!vfio_df_ready(df))\n\t\treturn -EINVAL;\n", "", "vfio/vfio_cdev_abi:nothing_before_bind")
F = VFIO + "device_open.c"
stock("unbind-before-close", F, "vfio_df_close",
      "\tif (last && device->ops->close_device)\n",
      "\tif (last)\n\t\tvfio_device_unbind(device);\n\tif (last && device->ops->close_device)\n",
      "vfio/vfio_cdev_emulated:close_with_pins")
stock("driver-stays-in-use", F, "vfio_df_close", "\tmodule_put(device->dev->driver->owner);\n", "", "vfio/vfio_cdev_abi:bind_once")
stock("open-error-counts", F, "vfio_df_open", "\t\t\tdevice->open_count--;\n", "", "vfio/vfio_cdev_abi:bind_errors", "vfio/vfio_cdev_abi:host_driver")
F = VFIO + "device_cdev.c"
stock("bind-error-stays-open", F, "vfio_df_ioctl_bind", "\t\tvfio_df_cdev_unbind(df);\n", "", "vfio/vfio_cdev_abi:bind_result_not_writable")
stock("bind-error-blocks-group", F, "vfio_df_ioctl_bind", "err_unblock:\n\tvfio_device_unblock_group(device);\n", "err_unblock:\n", "vfio/vfio_cdev_abi:bind_errors", "vfio/vfio_group_abi:exclusive,not_beside_the_cdev")
stock("bind-keeps-iommufd", F, "vfio_df_ioctl_bind", "\tiommufd_ctx_put(ictx);\n", "", "vfio/vfio_cdev_abi:bind_once")
F = VFIO + "group_file.c"
stock("group-opened-twice", F, "vfio_group_fops_open", "group->cdev_opens || group->opened_file", "group->cdev_opens", "vfio/vfio_group_abi:exclusive")
stock("container-taken-in-use", F, "vfio_group_ioctl_unset_container", "if (group->device_files)", "if (0)", "vfio/vfio_group_abi:device,container_errors")
stock("group-counts-files", VFIO + "group.c", "vfio_df_group_close", "\tgroup->device_files--;\n", "", "vfio/vfio_group_abi:device")
F = VFIO + "iommufd.c"
stock("detached-is-attached", F, "vfio_iommufd_physical_detach_ioas", "\tvdev->iommufd_attached = false;\n", "", "vfio/vfio_cdev_abi:attach_detach")
stock("pin-answers-nothing", F, "vfio_pin_pages", "return ret ? ret : npage;", "return ret;", "vfio/vfio_cdev_emulated:pin")
stock("set-finds-a-stranger", VFIO + "device_set.c", "vfio_find_device_in_devset", "if (device->dev == dev)", "if (device->dev)", "vfio/vfio_pci_reset:by_iommufd,mate_not_open")
stock("log-goes-on", VFIO + "dma_logging.c", "vfio_log_get_ranges", "\t\t\treturn -EINVAL;\n", "\t\t\tcontinue;\n", "vfio/vfio_mdev_mtty:dma_logging")
stock("set-and-get", VFIO + "feature.c", "vfio_ioctl_device_feature", "\t    flags & VFIO_DEVICE_FEATURE_SET && flags & VFIO_DEVICE_FEATURE_GET)", "\t    false)", "vfio/vfio_cdev_abi:feature_errors")
stock("resets-only-itself", VFIO + "resetting.c", "vfio_device_is_resetting", " ||\n\t\t\t(group && vfio_iommu_group(cur) == group)", "", "vfio/vfio_pci_reset:attach_in_reset")
stock("virqfd-forgets-closed", VFIO + "virqfd.c", "vfio_virqfd_disable", "\twait_event(virqfd_gone, virqfd_is_gone(pvirqfd));\n", "", "vfio/vfio_cdev_emulated:virqfd_waits_for_its_own")
stock("virqfd-spins", VFIO + "virqfd.c", "virqfd_fire", "virqfd_is_chained() ? VIRQFD_CHAIN_DELAY : 0", "0", "vfio/vfio_pci_irq:same_eventfd")
stock("virqfd-replaced", VFIO + "virqfd.c", "vfio_virqfd_enable", "\tif (*pvirqfd) {\n", "\tif (0) {\n", "vfio/vfio_pci_irq:unmask_eventfd")
uml("cap-not-linked", VFIO + "helpers.c", "vfio_info_cap_add", "\t\tlast->next = caps->size;\n", "", "vfio_info_cap")
uml("irqs-beyond-the-last", VFIO + "helpers.c", "vfio_set_irqs_validate_and_prepare", "hdr->count > num_irqs - hdr->start", "hdr->count > num_irqs", "vfio_irq_set")
uml("migration-without-p2p", VFIO + "migration.c", "vfio_mig_get_next_state", " && !(BIT(cur) & supported)", "", "vfio_migration")
stock("viable-unless-isolated", VFIO + "viability.c", "viable_show", "viable = vfio_iommu_group_viable(iommu_group) &&", "viable =", "vfio/vfio_cdev_abi:host_driver,attributes")
stock("viable-with-host-driver", IOMMUFD + "blocker.c", "iommufd_device_blocks", "!drv || !iommufd_driver_claims_dma(dev, drv)", "true", "vfio/vfio_cdev_abi:host_driver,attributes")
stock("debugfs-stays", VFIO + "debugfs.c", "vfio_device_debugfs_exit", "\tdebugfs_remove_recursive(device->debug_root);\n", "", "vfio/vfio_mdev_mtty:debugfs")

# ---- vfio-pci
F = PCI + "intx.c"
stock("intx-handled-is-not-masked", F, "vfio_pci_intx_handler", "pci_check_and_mask_intx(vdev->pdev)) {\n\t\t\tintx->masked = true;\n", "pci_check_and_mask_intx(vdev->pdev)) {\n", "vfio/vfio_pci_irq:told_once,level")
debug("intx-rings", F, "vfio_pci_intx_unmask_handler", "\tif (!vdev->pci_2_3 && in_interrupt())\n\t\treturn true;\n", "", "vfio/vfio_pci_irq:same_eventfd,ring_of_two")
debug("intx-disabled-unlocked", F, "vfio_pci_intx_set_disabled", "\tscoped_guard(spinlock_irqsave, &vdev->irqlock) {\n", "\t{\n", "vfio/vfio_pci_irq:disable_bit")
F = PCI + "msi.c"
debug("msi-half-set", F, "vfio_pci_msi_set_triggers_locked", "\t\tvfio_pci_msi_ctx_destroy(vdev, start + i);\n\treturn ret;\n", "\t\t;\n\treturn ret;\n", "vfio/vfio_pci_fail:set")
debug("msi-eventfd-put-early", F, "vfio_pci_msi_ctx_replace_trigger", "\tsynchronize_irq(ctx->irq);\n\teventfd_ctx_put(old);\n", "\teventfd_ctx_put(old);\n\tsynchronize_irq(ctx->irq);\n", "vfio/vfio_pci_race",
      why="a race of some instructions' length")
stock("notifier-stays", PCI + "irqs.c", "vfio_pci_notifier_set", "\t\t\treturn vfio_pci_notifier_replace(vdev, slot, NULL);\n", "\t\t\treturn 0;\n", "vfio/vfio_pci_irq:refused,request")
stock("no-zap-before-reset", PCI + "memory.c", "vfio_pci_memory_lock_and_zap", "\tvfio_pci_memory_zap(vdev);\n", "", "vfio/vfio_pci_bar:faults_after_reset")
stock("memory-in-low-power", PCI + "vfio_pci_priv.h", "vfio_pci_memory_enabled", "\t       !vdev->pm_runtime_engaged &&\n", "", "vfio/vfio_pci_power:entry_and_exit")
stock("mmap-beyond-the-end", PCI + "mmap.c", "vfio_pci_mmap_bar", "if (start + len > PAGE_ALIGN(pci_resource_len(vdev->pdev, bar)))", "if (0)", "vfio/vfio_pci_bar:mmap")
stock("long-access-while-off", PCI + "io.c", "vfio_pci_io_move_tested", "\tif (!vfio_pci_memory_enabled(vdev))\n\t\treturn -EIO;\n", "", "vfio/vfio_pci_bar:memory_disabled")
stock("vectors-shown", PCI + "rdwr.c", "vfio_pci_bar_rw", "if (bar == vdev->msix_bar)", "if (0)", "vfio/vfio_pci_bar:msix_table")
F = PCI + "ioeventfd.c"
stock("ioeventfd-limit", F, "vfio_pci_ioeventfd_add", ">= IOEVENTFDS_MAX", "> IOEVENTFDS_MAX", "vfio/vfio_pci_ioeventfd:limit")
stock("ioeventfd-to-vectors", F, "vfio_pci_ioeventfd", "if (index == vdev->msix_bar &&", "if (0 &&", "vfio/vfio_pci_ioeventfd:vector_table")
F = PCI + "reset.c"
stock("hot-reset-of-strangers", F, "vfio_pci_dev_set_check_claim", "\t\treturn -EINVAL;\n", "\t\tcontinue;\n", "vfio/vfio_pci_reset:mate_not_open,twin_of_another_iommufd")
stock("hot-reset-without-driver", F, "vfio_pci_dev_set_resettable", "\tif (vfio_pci_walk_affected(first->pdev, vfio_pci_check_member, dev_set))\n\t\treturn NULL;\n", "", "vfio/vfio_pci_reset:mate_without_driver")
F = PCI + "sriov.c"
stock("any-token", F, "vfio_pci_vf_match_token", "if (!uuid_equal(uuid, &pf->vf_token->uuid))", "if (0)", "vfio/vfio_pci_sriov:token_matrix")
debug("sriov-error-stays-active", F, "vfio_pci_sriov_enable", "\t\tvdev->sriov_active = false;\n\tpm_runtime_put(&pdev->dev);\nerr_list:", "\t\t;\n\tpm_runtime_put(&pdev->dev);\nerr_list:", "vfio/vfio_pci_sriov",
      why="takes an allocation that fails while VFs are made, after which the PCI core of 6.12 stops the machine")
stock("pf-to-d3", PCI + "power.c", "vfio_pci_set_power_state", "if (vdev->sriov_active && state != PCI_D0)", "if (0)", "vfio/vfio_pci_sriov:pf_stays_in_d0")
stock("no-zap-before-disable", PCI + "config_rw.c", "vfio_pci_write_command", "\t\tvfio_pci_memory_zap(vdev);\n", "\t\t;\n", "vfio/vfio_pci_bar:memory_disabled")
stock("msi-not-shown", PCI + "config.c", "vfio_pci_config_msi_changed", "if (vdev->irq_type == VFIO_PCI_MSI_IRQ_INDEX)", "if (0)", "vfio/vfio_pci_irq:msi_in_config")
stock("bars-stay-where-they-are", PCI + "config.c", "vfio_pci_config_restore", "\tvfio_pci_restore_assigned_bars(vdev);\n", "", "vfio/vfio_pci_changed:bar")
uml("config-asks-again", PCI + "config_caps.c", "vfio_pci_desc_read", "d->seen && test_bit(reg, d->seen->known)", "false", "vfio_pci_config*")
uml("rom-read-behind-its-end", PCI + "rom_image.c", "vfio_pci_rom_image_size", "!vfio_pci_rom_has(rom, data, ROM_DATA_LEN) ||\n\t\t    ", "", "vfio_pci_rom_image")
uml("config-loops", PCI + "config_build.c", "vfio_pci_build_cut_loop", "\t\t\t\tl->nr = i;\n", "\t\t\t\t;\n", "vfio_pci_config*")
uml("config-pme", PCI + "config_build.c", "vfio_pci_build_fix_caps", "PCI_PM_CTRL_PME_ENABLE |", "0 |", "vfio_pci_config*")
uml("config-msi-length", PCI + "config_caps.c", "vfio_pci_msi_len", "0x18 : 0x14", "0x14 : 0x14", "vfio_pci_config*")
uml("config-sticky-written-back", PCI + "config_perm.c", "vfio_pci_config_hw_value", " & ~get_unaligned_le32(config->sticky + reg)", "", "vfio_pci_config*")
uml("range-before-hole", PCI + "range.c", "vfio_pci_range_step", "off >= hole->start && off < hole->end", "off > hole->start && off < hole->end", "vfio_pci_range")
F = PCI + "dmabuf.c"
stock("dmabuf-beyond-the-end", F, "vfio_pci_dmabuf_append_range", "\t    end > bar_size)", "\t    false)", "vfio/vfio_pci_dmabuf:requests")
debug("dmabuf-revoke-waits-for-nobody", F, "vfio_pci_dmabuf_wait_unmapped", "!READ_ONCE(buf->nr_maps)", "true", "vfio/vfio_pci_dmabuf:late")
stock("dmabuf-of-a-closed-device", F, "vfio_pci_dmabuf_lend", "if (!READ_ONCE(buf->vdev))", "if (0)", "vfio/vfio_pci_dmabuf:device_closed")
stock("rom-size", PCI + "rom.c", "vfio_pci_rom_read", "\tif (pos >= end)\n", "\tif (pos > end)\n", "vfio/vfio_pci_bar:rom")
stock("vga-other-ports", PCI + "vga_region.c", "vfio_pci_vga_find_range", "pos < vga_ranges[i].end", "pos <= vga_ranges[i].end", "vfio/vfio_pci_vga:ranges")
stock("p2p-mapped-while-off", PCI + "p2p.c", "vfio_pci_p2p_lend", "if (!vfio_pci_memory_enabled(vdev))", "if (0)", "vfio/vfio_pci_p2p:mapped_while_memory_is_disabled",
      why="a device whose memory is off does not answer DMA, translated or not")
stock("bars-lent-to-nobody", PCI + "lender.c", "vfio_pci_lend_vma", "if (!vdev)", "if (true)", "vfio/vfio_pci_p2p:dma_to_bar_and_back")
stock("woken-up-for-ever", PCI + "low_power.c", "vfio_pci_wake_up_once", "\tvfio_pci_low_power_exit_locked(vdev);\n", "", "vfio/vfio_pci_power:wakeup")
stock("region-info-of-any-index", PCI + "info.c", "vfio_pci_dev_region_info", "if (info->index >= VFIO_PCI_NUM_REGIONS + vdev->num_regions)", "if (0)", "vfio/vfio_pci_bar:region_info")
stock("id-without-device", PCI + "vfio_pci.c", "vfio_pci_add_id", "if (n < 2) {", "if (n < 3) {", "vfio/vfio_pci_parameters:ids")
stock("bars-stay-claimed", PCI + "barmap.c", "vfio_pci_release_barmaps", "\t\tpci_release_selected_regions(vdev->pdev, 1 << bar);\n", "", "vfio/vfio_pci_bar:rw,mmap")
stock("close-without-reset", PCI + "vfio_pci_core.c", "vfio_pci_reset_for_next_user", "\t    !__pci_reset_function_locked(pdev))\n", "\t    true)\n", "vfio/vfio_pci_reset:reset_by_close")

# ---- mdev
stock("mdev-no-instances", VFIO + "mdev/mdev_core.c", "mdev_register_parent", "mdev_driver->max_instances", "0", "vfio/vfio_mdev_mdpy")
stock("mdev-failed-probe-keeps-uuid", VFIO + "mdev/mdev_device.c", "mdev_device_create", "err_put:\n\tput_device(&mdev->dev);\n", "err_put:\n", "vfio/vfio_mdev_mtty:probe_fails")
stock("mdev-uuid-twice", VFIO + "mdev/mdev_device.c", "mdev_device_alloc", "if (mdev_find(uuid))", "if (0)", "vfio/vfio_mdev_mtty:create_errors",
      why="the driver core refuses a second device of a name with the same error, and says so in the log")
stock("mdev-any-length", VFIO + "mdev/mdev_sysfs.c", "create_store", "(count > UUID_STRING_LEN && buf[UUID_STRING_LEN] != '\\n')", "false", "vfio/vfio_mdev_mtty:create_errors")
stock("mdev-not-removed", VFIO + "mdev/mdev_driver.c", "mdev_remove", "\tif (drv->remove)\n", "\tif (0)\n", "vfio/vfio_mdev_mtty:attributes")
