// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual machine that a device works for. KVM may be a module that is not
 * loaded, so its functions are looked up by name.
 */
#if IS_ENABLED(CONFIG_KVM)
#include <linux/kvm_host.h>
#endif
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_device_get_kvm - take a reference to the virtual machine that a device works for
 * @device: a device that nobody has open, with its &vfio_device_set.lock held
 * @kvm: the virtual machine, which cannot go away during this call; or NULL
 *
 * Without effect if KVM is on its way out: the device then works for nobody.
 */
void vfio_device_get_kvm(struct vfio_device *device, struct kvm *kvm)
{
#if IS_ENABLED(CONFIG_KVM)
	void (*put)(struct kvm *kvm);
	bool (*get)(struct kvm *kvm);
	bool ok;

	lockdep_assert_held(&device->dev_set->lock);

	if (!kvm)
		return;

	/* Keeps the module as long as the reference */
	put = symbol_get(kvm_put_kvm);
	if (!put)
		return;

	get = symbol_get(kvm_get_kvm_safe);
	ok = get && get(kvm);
	if (get)
		symbol_put(kvm_get_kvm_safe);
	if (!ok) {
		symbol_put(kvm_put_kvm);
		return;
	}

	device->put_kvm = put;
	device->kvm = kvm;
#endif
}

/**
 * vfio_device_put_kvm - undo vfio_device_get_kvm()
 * @device: a device that nobody has open, with its &vfio_device_set.lock held
 */
void vfio_device_put_kvm(struct vfio_device *device)
{
#if IS_ENABLED(CONFIG_KVM)
	lockdep_assert_held(&device->dev_set->lock);

	if (!device->kvm)
		return;
	device->put_kvm(device->kvm);
	device->put_kvm = NULL;
	device->kvm = NULL;
	symbol_put(kvm_put_kvm);
#endif
}
