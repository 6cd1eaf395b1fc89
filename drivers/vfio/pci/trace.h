/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of vfio-pci-core.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_pci

#if !defined(__VFIO_PCI_TRACE_H__) || defined(TRACE_HEADER_MULTI_READ)
#define __VFIO_PCI_TRACE_H__

#include <linux/mm_types.h>
#include <linux/pci.h>
#include <linux/tracepoint.h>
#include <linux/vfio_pci_core.h>

TRACE_EVENT(vfio_pci_enable,
	    TP_PROTO(struct vfio_pci_core_device *vdev, int ret),
	    TP_ARGS(vdev, ret),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->ret = ret;
	    ),
	    TP_printk("%s ret=%d", __get_str(name), __entry->ret)
);

TRACE_EVENT(vfio_pci_disable,
	    TP_PROTO(struct vfio_pci_core_device *vdev),
	    TP_ARGS(vdev),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(bool, needs_reset)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->needs_reset = vdev->needs_reset;
	    ),
	    TP_printk("%s needs_reset=%d", __get_str(name), __entry->needs_reset)
);

TRACE_EVENT(vfio_pci_set_irqs,
	    TP_PROTO(struct vfio_pci_core_device *vdev,
		     const struct vfio_irq_set *set, int ret),
	    TP_ARGS(vdev, set, ret),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(u32, flags)
			     __field(u32, index)
			     __field(u32, start)
			     __field(u32, count)
			     __field(int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->flags = set->flags;
			   __entry->index = set->index;
			   __entry->start = set->start;
			   __entry->count = set->count;
			   __entry->ret = ret;
	    ),
	    TP_printk("%s index=%u flags=%#x start=%u count=%u ret=%d",
		      __get_str(name), __entry->index, __entry->flags,
		      __entry->start, __entry->count, __entry->ret)
);

TRACE_EVENT(vfio_pci_reset,
	    TP_PROTO(struct vfio_pci_core_device *vdev, bool hot, int ret),
	    TP_ARGS(vdev, hot, ret),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(bool, hot)
			     __field(int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->hot = hot;
			   __entry->ret = ret;
	    ),
	    TP_printk("%s %s ret=%d", __get_str(name),
		      __entry->hot ? "hot" : "function", __entry->ret)
);

TRACE_EVENT(vfio_pci_power,
	    TP_PROTO(struct vfio_pci_core_device *vdev, pci_power_t from,
		     pci_power_t to),
	    TP_ARGS(vdev, from, to),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(int, from)
			     __field(int, to)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->from = (int __force)from;
			   __entry->to = (int __force)to;
	    ),
	    TP_printk("%s D%d -> D%d", __get_str(name), __entry->from, __entry->to)
);

TRACE_EVENT(vfio_pci_zap,
	    TP_PROTO(struct vfio_pci_core_device *vdev),
	    TP_ARGS(vdev),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
	    ),
	    TP_fast_assign(__assign_str(name);
	    ),
	    TP_printk("%s", __get_str(name))
);

TRACE_EVENT(vfio_pci_fault,
	    TP_PROTO(struct vfio_pci_core_device *vdev, unsigned int bar,
		     unsigned long addr, unsigned int order, vm_fault_t ret),
	    TP_ARGS(vdev, bar, addr, order, ret),
	    TP_STRUCT__entry(__string(name, pci_name(vdev->pdev))
			     __field(unsigned int, bar)
			     __field(unsigned long, addr)
			     __field(unsigned int, order)
			     __field(unsigned int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->bar = bar;
			   __entry->addr = addr;
			   __entry->order = order;
			   __entry->ret = (unsigned int __force)ret;
	    ),
	    TP_printk("%s bar=%u addr=%#lx order=%u ret=%#x", __get_str(name),
		      __entry->bar, __entry->addr, __entry->order, __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
