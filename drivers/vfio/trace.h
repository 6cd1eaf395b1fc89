/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio

#if !defined(_VFIO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VFIO_TRACE_H

#include <linux/tracepoint.h>
#include <linux/vfio.h>

DECLARE_EVENT_CLASS(vfio_device_use,
		    TP_PROTO(struct vfio_device *device, bool cdev,
			     unsigned int open_count),
		    TP_ARGS(device, cdev, open_count),
		    TP_STRUCT__entry(__string(name, dev_name(device->dev))
				     __field(bool, cdev)
				     __field(unsigned int, open_count)
		    ),
		    TP_fast_assign(__assign_str(name);
				   __entry->cdev = cdev;
				   __entry->open_count = open_count;
		    ),
		    TP_printk("%s by=%s open_count=%u", __get_str(name),
			      __entry->cdev ? "cdev" : "group",
			      __entry->open_count)
);

/* A file became usable; open_count includes it */
DEFINE_EVENT(vfio_device_use, vfio_device_open,
	     TP_PROTO(struct vfio_device *device, bool cdev,
		      unsigned int open_count),
	     TP_ARGS(device, cdev, open_count)
);

/* A file was closed; open_count is without it */
DEFINE_EVENT(vfio_device_use, vfio_device_close,
	     TP_PROTO(struct vfio_device *device, bool cdev,
		      unsigned int open_count),
	     TP_ARGS(device, cdev, open_count)
);

TRACE_EVENT(vfio_device_bind,
	    TP_PROTO(struct vfio_device *device, u32 devid, int ret),
	    TP_ARGS(device, devid, ret),
	    TP_STRUCT__entry(__string(name, dev_name(device->dev))
			     __field(u32, devid)
			     __field(int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->devid = devid;
			   __entry->ret = ret;
	    ),
	    TP_printk("%s devid=%u ret=%d", __get_str(name), __entry->devid,
		      __entry->ret)
);

/*
 * pasid: 0 is the device itself; pt_id: what the user asked for; hwpt_id: what the
 * device is attached to
 */
TRACE_EVENT(vfio_device_attach,
	    TP_PROTO(struct vfio_device *device, u32 pasid, u32 pt_id,
		     u32 hwpt_id, int ret),
	    TP_ARGS(device, pasid, pt_id, hwpt_id, ret),
	    TP_STRUCT__entry(__string(name, dev_name(device->dev))
			     __field(u32, pasid)
			     __field(u32, pt_id)
			     __field(u32, hwpt_id)
			     __field(int, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->pasid = pasid;
			   __entry->pt_id = pt_id;
			   __entry->hwpt_id = hwpt_id;
			   __entry->ret = ret;
	    ),
	    TP_printk("%s pasid=%u pt_id=%u hwpt_id=%u ret=%d", __get_str(name),
		      __entry->pasid, __entry->pt_id, __entry->hwpt_id,
		      __entry->ret)
);

TRACE_EVENT(vfio_device_detach,
	    TP_PROTO(struct vfio_device *device, u32 pasid),
	    TP_ARGS(device, pasid),
	    TP_STRUCT__entry(__string(name, dev_name(device->dev))
			     __field(u32, pasid)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->pasid = pasid;
	    ),
	    TP_printk("%s pasid=%u", __get_str(name), __entry->pasid)
);

#endif /* _VFIO_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
