// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who keeps a device registered: the driver and every open file. And the wait
 * for the latter.
 */
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "vfio.h"

/* How long the user of a device has between two requests to release it */
#define VFIO_REQUEST_INTERVAL	(10 * HZ)

/**
 * vfio_device_try_get_registration - keep a device registered
 * @device: a device that stays in memory over this call
 *
 * Return: false if the device is not, or no longer, registered.
 */
bool vfio_device_try_get_registration(struct vfio_device *device)
{
	return refcount_inc_not_zero(&device->refcount);
}
EXPORT_SYMBOL_GPL(vfio_device_try_get_registration);

/**
 * vfio_device_put_registration - undo vfio_device_try_get_registration()
 * @device: a registered device. Without another reference, the caller must not
 *          touch it any more
 */
void vfio_device_put_registration(struct vfio_device *device)
{
	if (refcount_dec_and_test(&device->refcount))
		complete(&device->comp);
}
EXPORT_SYMBOL_GPL(vfio_device_put_registration);

/**
 * vfio_device_note_opener - remember the current process for messages
 * @device: which it opens
 *
 * An unbind may have to wait for it, and somebody will ask for whom.
 */
void vfio_device_note_opener(struct vfio_device *device)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, current);
	/* Two at a time may mix up their names, but not run past the end */
	memcpy(device->opener_comm, comm, sizeof(comm) - 1);
	WRITE_ONCE(device->opener_pid, task_tgid_nr(current));
}

static void vfio_device_say_who(struct vfio_device *device)
{
	pid_t pid = READ_ONCE(device->opener_pid);

	if (!pid)
		return;
	dev_notice(device->dev,
		   "waiting for the user to close the device; last opened by %*pE (%d)\n",
		   (int)strlen(device->opener_comm), device->opener_comm, pid);
}

/**
 * vfio_device_drain - wait until every file of a device is closed
 * @device: a registered device that nobody can open any more
 *
 * Drops the registration of the driver. Nothing can fail here, because a driver
 * cannot refuse to be unbound. A signal ends the part of the wait that it can
 * end: sleeping interruptibly.
 */
void vfio_device_drain(struct vfio_device *device)
{
	bool interrupted = false, said = false;
	unsigned int count = 0;
	long rc;

	vfio_device_put_registration(device);
	while (!try_wait_for_completion(&device->comp)) {
		if (!said)
			vfio_device_say_who(device);
		said = true;
		if (device->ops->request)
			device->ops->request(device, count++);

		if (interrupted) {
			rc = wait_for_completion_timeout(&device->comp,
							 VFIO_REQUEST_INTERVAL);
		} else {
			rc = wait_for_completion_interruptible_timeout(&device->comp,
								       VFIO_REQUEST_INTERVAL);
			if (rc < 0) {
				interrupted = true;
				dev_warn(device->dev,
					 "device in use; task \"%s\" (%d) is blocked until the user closes it\n",
					 current->comm, task_pid_nr(current));
			}
		}
		if (rc > 0)
			break;
	}
}
