/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(__IOMMUFD_TRACE_DRIVER_H) || defined(TRACE_HEADER_MULTI_READ)
#define __IOMMUFD_TRACE_DRIVER_H

#include <linux/tracepoint.h>

/*
 * More of trace.h, in a file of its own because driver.c may be part of the kernel
 * where the rest is a module.
 *
 * An event of a virtual IOMMU: the queue is 0 if there is none for it, and the
 * sequence number then, too. @unread includes it, unless it is lost.
 */
TRACE_EVENT(iommufd_vevent,
	TP_PROTO(u32 viommu_id, u32 queue_id, u32 type, u32 sequence,
		 u32 unread, int rc),
	TP_ARGS(viommu_id, queue_id, type, sequence, unread, rc),
	TP_STRUCT__entry(
		__field(u32, viommu_id)
		__field(u32, queue_id)
		__field(u32, type)
		__field(u32, sequence)
		__field(u32, unread)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->viommu_id = viommu_id;
		__entry->queue_id = queue_id;
		__entry->type = type;
		__entry->sequence = sequence;
		__entry->unread = unread;
		__entry->rc = rc;
	),
	TP_printk("viommu=%u queue=%u type=%u sequence=%u unread=%u rc=%d",
		  __entry->viommu_id, __entry->queue_id, __entry->type,
		  __entry->sequence, __entry->unread, __entry->rc)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_driver
#include <trace/define_trace.h>
