// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for drivers: answers with capabilities, and the arguments of
 * VFIO_DEVICE_SET_IRQS.
 */
#include <linux/align.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vfio.h"

/**
 * vfio_info_cap_add - append a capability to a chain
 * @caps: the chain; all zeros at first
 * @size: bytes of the capability with its header
 * @id: VFIO_*_CAP_*
 * @version: version of the capability
 *
 * Return: the new capability, zeroed but for its header, valid until the next
 * call; or -ENOMEM, and then the chain is freed and empty.
 */
struct vfio_info_cap_header *vfio_info_cap_add(struct vfio_info_cap *caps,
					       size_t size, u16 id, u16 version)
{
	struct vfio_info_cap_header *header, *last;
	void *buf;

	/* The next capability has to be aligned, too */
	size = ALIGN(size, sizeof(u64));

	buf = krealloc(caps->buf, caps->size + size, GFP_KERNEL);
	if (!buf) {
		kfree(caps->buf);
		caps->buf = NULL;
		caps->size = 0;
		return ERR_PTR(-ENOMEM);
	}

	header = buf + caps->size;
	memset(header, 0, size);
	header->id = id;
	header->version = version;

	if (caps->size) {
		last = buf;
		while (last->next)
			last = buf + last->next;
		last->next = caps->size;
	}

	caps->buf = buf;
	caps->size += size;
	return header;
}
EXPORT_SYMBOL_GPL(vfio_info_cap_add);

/**
 * vfio_info_cap_shift - make a chain's links relative to the user's buffer
 * @caps: the chain
 * @offset: bytes in front of the chain in the user's buffer, a multiple of 8
 *
 * The chain cannot be appended to, or shifted, any more.
 */
void vfio_info_cap_shift(struct vfio_info_cap *caps, size_t offset)
{
	struct vfio_info_cap_header *header;
	size_t pos = 0, next;

	WARN_ON(!IS_ALIGNED(offset, sizeof(u64)));

	if (!caps->size)
		return;
	do {
		header = (void *)caps->buf + pos;
		next = header->next;
		if (next)
			header->next += offset;
		pos = next;
	} while (next);
}
EXPORT_SYMBOL(vfio_info_cap_shift);

/**
 * vfio_info_add_capability - append a finished capability to a chain
 * @caps: the chain; all zeros at first
 * @cap: the capability; the link in its header is ignored
 * @size: bytes of the capability with its header
 *
 * Return: 0; -ENOMEM, and then the chain is freed and empty.
 */
int vfio_info_add_capability(struct vfio_info_cap *caps,
			     struct vfio_info_cap_header *cap, size_t size)
{
	struct vfio_info_cap_header *header;

	header = vfio_info_cap_add(caps, size, cap->id, cap->version);
	if (IS_ERR(header))
		return PTR_ERR(header);
	memcpy(header + 1, cap + 1, size - sizeof(*header));
	return 0;
}
EXPORT_SYMBOL(vfio_info_add_capability);

/**
 * vfio_info_copy_caps - give a user the capabilities of an answer
 * @caps: the chain, not empty; freed in any case
 * @arg: the user's buffer, which the fixed part of the answer begins
 * @fixed: bytes of that
 * @argsz: bytes that the user has room for; becomes what it takes if they are
 *         too few, and nothing is given
 * @cap_offset: becomes where the chain begins, or 0
 *
 * Return: 0 or -EFAULT.
 */
int vfio_info_copy_caps(struct vfio_info_cap *caps, void __user *arg,
			size_t fixed, u32 *argsz, u32 *cap_offset)
{
	int ret = 0;

	if (*argsz < fixed + caps->size) {
		*argsz = fixed + caps->size;
		*cap_offset = 0;
	} else {
		vfio_info_cap_shift(caps, fixed);
		if (copy_to_user(arg + fixed, caps->buf, caps->size))
			ret = -EFAULT;
		*cap_offset = fixed;
	}
	kfree(caps->buf);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_info_copy_caps);

/**
 * vfio_get_region_info - VFIO_DEVICE_GET_REGION_INFO
 * @device: a device that is open
 * @describe: as &vfio_device_ops.get_region_info_caps
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_get_region_info(struct vfio_device *device,
			 int (*describe)(struct vfio_device *device,
					 struct vfio_region_info *info,
					 struct vfio_info_cap *caps),
			 struct vfio_region_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_info_cap caps = {};
	struct vfio_region_info asked;
	struct vfio_region_info info;
	int ret;

	if (copy_from_user(&asked, arg, minsz))
		return -EFAULT;
	if (asked.argsz < minsz)
		return -EINVAL;

	info = (struct vfio_region_info){
		.argsz = asked.argsz,
		.index = asked.index,
	};
	ret = describe(device, &info, &caps);
	if (ret) {
		kfree(caps.buf);
		return ret;
	}
	if (caps.size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		ret = vfio_info_copy_caps(&caps, arg, sizeof(info), &info.argsz,
					  &info.cap_offset);
		if (ret)
			return ret;
	}
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(vfio_get_region_info);

/**
 * vfio_set_irqs_validate_and_prepare - judge the arguments of VFIO_DEVICE_SET_IRQS
 * @hdr: the request, as far as its fixed part goes
 * @num_irqs: interrupts that the device has of the index @hdr names
 * @max_irq_type: number of indexes that the device has
 * @data_size: becomes the number of bytes of data that follow the fixed part;
 *             may be NULL for a driver that takes none
 *
 * Return: 0 or -EINVAL.
 */
int vfio_set_irqs_validate_and_prepare(struct vfio_irq_set *hdr, int num_irqs,
				       int max_irq_type, size_t *data_size)
{
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	size_t size;

	if (hdr->argsz < minsz || hdr->index >= max_irq_type ||
	    hdr->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK |
			   VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;

	if (hdr->start >= num_irqs || hdr->count > num_irqs - hdr->start)
		return -EINVAL;

	if (data_size)
		*data_size = 0;

	switch (hdr->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(s32);
		break;
	default:
		return -EINVAL;
	}

	/* No overflow: the count is below that of the device's interrupts */
	if (!data_size || hdr->argsz - minsz < hdr->count * size)
		return -EINVAL;
	*data_size = hdr->count * size;
	return 0;
}
EXPORT_SYMBOL(vfio_set_irqs_validate_and_prepare);
