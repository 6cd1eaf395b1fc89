/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(__IOMMUFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define __IOMMUFD_TRACE_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/tracepoint.h>

/*
 * Objects are named by what the user knows them by: IOVA, user addresses, file
 * offsets, ids and device names, never by kernel addresses.
 */
TRACE_EVENT(iommufd_map,
	TP_PROTO(unsigned long start, unsigned long last, int prot, int rc),
	TP_ARGS(start, last, prot, rc),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, last)
		__field(int, prot)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->last = last;
		__entry->prot = prot;
		__entry->rc = rc;
	),
	TP_printk("iova=0x%lx-0x%lx prot=0x%x rc=%d", __entry->start,
		  __entry->last, __entry->prot, __entry->rc)
);

TRACE_EVENT(iommufd_unmap,
	TP_PROTO(unsigned long start, unsigned long last),
	TP_ARGS(start, last),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, last)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->last = last;
	),
	TP_printk("iova=0x%lx-0x%lx", __entry->start, __entry->last)
);

DECLARE_EVENT_CLASS(iommufd_pages,
	TP_PROTO(bool file, unsigned long start, unsigned long npages),
	TP_ARGS(file, start, npages),
	TP_STRUCT__entry(
		__field(bool, file)
		__field(unsigned long, start)
		__field(unsigned long, npages)
	),
	TP_fast_assign(
		__entry->file = file;
		__entry->start = start;
		__entry->npages = npages;
	),
	TP_printk("%s=0x%lx npages=%lu",
		  __entry->file ? "offset" : "address", __entry->start,
		  __entry->npages)
);

DEFINE_EVENT(iommufd_pages, iommufd_pin,
	TP_PROTO(bool file, unsigned long start, unsigned long npages),
	TP_ARGS(file, start, npages));

DEFINE_EVENT(iommufd_pages, iommufd_unpin,
	TP_PROTO(bool file, unsigned long start, unsigned long npages),
	TP_ARGS(file, start, npages));

DECLARE_EVENT_CLASS(iommufd_device,
	TP_PROTO(struct device *dev, u32 dev_id, u32 pasid, u32 pt_id,
		 int rc),
	TP_ARGS(dev, dev_id, pasid, pt_id, rc),
	TP_STRUCT__entry(
		__string(name, dev_name(dev))
		__field(u32, dev_id)
		__field(u32, pasid)
		__field(u32, pt_id)
		__field(int, rc)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->dev_id = dev_id;
		__entry->pasid = pasid;
		__entry->pt_id = pt_id;
		__entry->rc = rc;
	),
	TP_printk("device=%s id=%u pasid=%u pt=%u rc=%d", __get_str(name),
		  __entry->dev_id, __entry->pasid, __entry->pt_id, __entry->rc)
);

DEFINE_EVENT(iommufd_device, iommufd_attach,
	TP_PROTO(struct device *dev, u32 dev_id, u32 pasid, u32 pt_id,
		 int rc),
	TP_ARGS(dev, dev_id, pasid, pt_id, rc));

DEFINE_EVENT(iommufd_device, iommufd_replace,
	TP_PROTO(struct device *dev, u32 dev_id, u32 pasid, u32 pt_id,
		 int rc),
	TP_ARGS(dev, dev_id, pasid, pt_id, rc));

DEFINE_EVENT(iommufd_device, iommufd_detach,
	TP_PROTO(struct device *dev, u32 dev_id, u32 pasid, u32 pt_id,
		 int rc),
	TP_ARGS(dev, dev_id, pasid, pt_id, rc));

TRACE_EVENT(iommufd_invalidate,
	TP_PROTO(u32 id, u32 type, u32 entries, u32 done, int rc),
	TP_ARGS(id, type, entries, done, rc),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, type)
		__field(u32, entries)
		__field(u32, done)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->type = type;
		__entry->entries = entries;
		__entry->done = done;
		__entry->rc = rc;
	),
	TP_printk("id=%u type=0x%x entries=%u done=%u rc=%d", __entry->id,
		  __entry->type, __entry->entries, __entry->done, __entry->rc)
);

/* A group of page faults, by the last of them */
TRACE_EVENT(iommufd_fault,
	TP_PROTO(struct device *dev,
		 const struct iommu_fault_page_request *last,
		 unsigned long nr),
	TP_ARGS(dev, last, nr),
	TP_STRUCT__entry(
		__string(name, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, perm)
		__field(u64, addr)
		__field(unsigned long, nr)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->pasid = last->pasid;
		__entry->grpid = last->grpid;
		__entry->perm = last->perm;
		__entry->addr = last->addr;
		__entry->nr = nr;
	),
	TP_printk("device=%s pasid=%u grpid=%u perm=0x%x addr=0x%llx faults=%lu",
		  __get_str(name), __entry->pasid, __entry->grpid,
		  __entry->perm, __entry->addr, __entry->nr)
);

/* The answer to such a group, of a user or in place of one */
TRACE_EVENT(iommufd_fault_response,
	TP_PROTO(struct device *dev,
		 const struct iommu_fault_page_request *last, u32 code),
	TP_ARGS(dev, last, code),
	TP_STRUCT__entry(
		__string(name, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, code)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->pasid = last->pasid;
		__entry->grpid = last->grpid;
		__entry->code = code;
	),
	TP_printk("device=%s pasid=%u grpid=%u code=%u", __get_str(name),
		  __entry->pasid, __entry->grpid, __entry->code)
);

/* Virtual IOMMUs and what they have; the id is 0 if the request failed */
TRACE_EVENT(iommufd_viommu_alloc,
	TP_PROTO(struct device *dev, u32 id, u32 type, u32 hwpt_id, int rc),
	TP_ARGS(dev, id, type, hwpt_id, rc),
	TP_STRUCT__entry(
		__string(name, dev_name(dev))
		__field(u32, id)
		__field(u32, type)
		__field(u32, hwpt_id)
		__field(int, rc)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->id = id;
		__entry->type = type;
		__entry->hwpt_id = hwpt_id;
		__entry->rc = rc;
	),
	TP_printk("device=%s id=%u type=%u hwpt=%u rc=%d", __get_str(name),
		  __entry->id, __entry->type, __entry->hwpt_id, __entry->rc)
);

TRACE_EVENT(iommufd_vdevice_alloc,
	TP_PROTO(struct device *dev, u32 id, u32 viommu_id, u64 virt_id,
		 int rc),
	TP_ARGS(dev, id, viommu_id, virt_id, rc),
	TP_STRUCT__entry(
		__string(name, dev_name(dev))
		__field(u32, id)
		__field(u32, viommu_id)
		__field(u64, virt_id)
		__field(int, rc)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->id = id;
		__entry->viommu_id = viommu_id;
		__entry->virt_id = virt_id;
		__entry->rc = rc;
	),
	TP_printk("device=%s id=%u viommu=%u virt_id=0x%llx rc=%d",
		  __get_str(name), __entry->id, __entry->viommu_id,
		  __entry->virt_id, __entry->rc)
);

TRACE_EVENT(iommufd_veventq_alloc,
	TP_PROTO(u32 id, u32 viommu_id, u32 type, u32 depth, int rc),
	TP_ARGS(id, viommu_id, type, depth, rc),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, viommu_id)
		__field(u32, type)
		__field(u32, depth)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->viommu_id = viommu_id;
		__entry->type = type;
		__entry->depth = depth;
		__entry->rc = rc;
	),
	TP_printk("id=%u viommu=%u type=%u depth=%u rc=%d", __entry->id,
		  __entry->viommu_id, __entry->type, __entry->depth,
		  __entry->rc)
);

TRACE_EVENT(iommufd_hw_queue_alloc,
	TP_PROTO(u32 id, u32 viommu_id, u32 type, u32 index, u64 iova,
		 u64 length, int rc),
	TP_ARGS(id, viommu_id, type, index, iova, length, rc),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, viommu_id)
		__field(u32, type)
		__field(u32, index)
		__field(u64, iova)
		__field(u64, length)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->viommu_id = viommu_id;
		__entry->type = type;
		__entry->index = index;
		__entry->iova = iova;
		__entry->length = length;
		__entry->rc = rc;
	),
	TP_printk("id=%u viommu=%u type=%u index=%u iova=0x%llx length=0x%llx rc=%d",
		  __entry->id, __entry->viommu_id, __entry->type,
		  __entry->index, __entry->iova, __entry->length, __entry->rc)
);

/*
 * The end of an object of any kind, or that it is refused. A tombstone is left
 * by what ended because something else did.
 */
TRACE_EVENT(iommufd_destroy,
	TP_PROTO(u32 id, const char *kind, bool tombstone, int rc),
	TP_ARGS(id, kind, tombstone, rc),
	TP_STRUCT__entry(
		__field(u32, id)
		__string(kind, kind)
		__field(bool, tombstone)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->id = id;
		__assign_str(kind);
		__entry->tombstone = tombstone;
		__entry->rc = rc;
	),
	TP_printk("id=%u kind=%s tombstone=%d rc=%d", __entry->id,
		  __get_str(kind), __entry->tombstone, __entry->rc)
);

TRACE_EVENT(iommufd_refuse,
	TP_PROTO(int error, const char *reason),
	TP_ARGS(error, reason),
	TP_STRUCT__entry(
		__field(int, error)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->error = error;
		__assign_str(reason);
	),
	TP_printk("error=%d %s", __entry->error, __get_str(reason))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
