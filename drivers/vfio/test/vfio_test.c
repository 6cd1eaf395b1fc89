// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software device that does nothing but DMA, for the selftests: it reaches the
 * user's memory in each way that the VFIO core has for such devices. It also
 * imports dma-bufs, see importer.c.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "importer.h"
#include "vfio_test.h"

/* One vfio_pin_pages() that was not undone */
struct test_pin {
	struct list_head node;
	u64 iova;
	unsigned int npages;
	struct page *pages[] __counted_by(npages);
};

struct test_virqfd {
	struct virqfd *virqfd;
	unsigned int delay;
	atomic_t done;
};

/*
 * @lock: owns @pins and @unmaps, and keeps a pin from coming in between the
 *        unpinning of a range and its unmapping
 * @import: has a lock of its own
 * @virqfd_lock: serializes what is done to each slot of @virqfds
 */
struct test_device {
	struct vfio_device vdev;
	struct mutex lock;	/* See above */
	struct list_head pins;
	unsigned int unmaps;
	struct test_import import;
	struct mutex virqfd_lock[VFIO_TEST_NR_VIRQFDS];	/* See above */
	struct test_virqfd virqfds[VFIO_TEST_NR_VIRQFDS];
};

static struct test_device *to_test_device(struct vfio_device *vdev)
{
	return container_of(vdev, struct test_device, vdev);
}

static int vfio_test_init(struct vfio_device *vdev)
{
	struct test_device *test = to_test_device(vdev);
	unsigned int i;

	for (i = 0; i < VFIO_TEST_NR_VIRQFDS; i++)
		mutex_init(&test->virqfd_lock[i]);
	mutex_init(&test->lock);
	INIT_LIST_HEAD(&test->pins);
	vfio_test_import_init(&test->import);
	return 0;
}

static void vfio_test_release(struct vfio_device *vdev)
{
	struct test_device *test = to_test_device(vdev);
	unsigned int i;

	for (i = 0; i < VFIO_TEST_NR_VIRQFDS; i++)
		mutex_destroy(&test->virqfd_lock[i]);
	vfio_test_import_destroy(&test->import);
	mutex_destroy(&test->lock);
}

static void vfio_test_pin_destroy(struct test_device *test,
				  struct test_pin *pin)
{
	lockdep_assert_held(&test->lock);

	vfio_unpin_pages(&test->vdev, pin->iova, pin->npages);
	list_del(&pin->node);
	kfree(pin);
}

static void vfio_test_unpin_range(struct test_device *test, u64 iova, u64 last)
{
	struct test_pin *pin, *next;

	list_for_each_entry_safe(pin, next, &test->pins, node)
		if (pin->iova <= last &&
		    pin->iova + (u64)pin->npages * PAGE_SIZE - 1 >= iova)
			vfio_test_pin_destroy(test, pin);
}

static void vfio_test_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct test_device *test = to_test_device(vdev);
	u64 last = length >= U64_MAX - iova ? U64_MAX : iova + length - 1;

	guard(mutex)(&test->lock);
	test->unmaps++;
	vfio_test_unpin_range(test, iova, last);
}

static int vfio_test_open(struct vfio_device *vdev)
{
	struct test_device *test = to_test_device(vdev);

	guard(mutex)(&test->lock);
	test->unmaps = 0;
	return 0;
}

static void vfio_test_close(struct vfio_device *vdev)
{
	struct test_device *test = to_test_device(vdev);
	unsigned int i;

	for (i = 0; i < VFIO_TEST_NR_VIRQFDS; i++)
		vfio_virqfd_disable(&test->virqfds[i].virqfd);
	/* What is still pinned can be unpinned only as long as the device is bound */
	WARN_ON(!vdev->iommufd_access);
	scoped_guard(mutex, &test->import.lock)
		vfio_test_import_detach(&test->import);
	guard(mutex)(&test->lock);
	vfio_test_unpin_range(test, 0, U64_MAX);
}

static int vfio_test_pin(struct test_device *test,
			 const struct vfio_test_dma *dma)
{
	u64 npages = dma->length / PAGE_SIZE;
	struct test_pin *pin;
	int prot = IOMMU_READ;
	int ret;

	if (npages > VFIO_TEST_MAX_PAGES)
		return -E2BIG;
	if (dma->op == VFIO_TEST_PIN_WRITE)
		prot |= IOMMU_WRITE;

	pin = kzalloc(struct_size(pin, pages, npages), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->npages = npages;
	pin->iova = dma->iova;

	guard(mutex)(&test->lock);
	ret = vfio_pin_pages(&test->vdev, dma->iova, npages, prot, pin->pages);
	if (ret < 0) {
		kfree(pin);
		return ret;
	}
	list_add(&pin->node, &test->pins);
	return ret;
}

static struct test_pin *vfio_test_find_pin(struct test_device *test, u64 iova)
{
	struct test_pin *pin;

	lockdep_assert_held(&test->lock);

	list_for_each_entry(pin, &test->pins, node)
		if (iova >= pin->iova &&
		    iova - pin->iova < (u64)pin->npages * PAGE_SIZE)
			return pin;
	return NULL;
}

static int vfio_test_unpin(struct test_device *test, u64 iova)
{
	struct test_pin *pin;

	guard(mutex)(&test->lock);
	pin = vfio_test_find_pin(test, iova);
	if (!pin)
		return -ENOENT;
	vfio_test_pin_destroy(test, pin);
	return 0;
}

/* By way of a buffer, because the user's memory may fault and the lock is held */
static int vfio_test_touch(struct test_device *test,
			   const struct vfio_test_dma *dma, void *buf)
{
	size_t offset = offset_in_page(dma->iova);
	struct test_pin *pin;
	struct page *page;

	if (dma->length > PAGE_SIZE - offset)
		return -EINVAL;

	guard(mutex)(&test->lock);
	pin = vfio_test_find_pin(test, dma->iova);
	if (!pin)
		return -ENOENT;
	page = pin->pages[(dma->iova - pin->iova) / PAGE_SIZE];
	if (dma->op == VFIO_TEST_POKE)
		memcpy_to_page(page, offset, buf, dma->length);
	else
		memcpy_from_page(buf, page, offset, dma->length);
	return 0;
}

struct test_work {
	struct work_struct work;
	struct test_device *test;
	const struct vfio_test_dma *dma;
	void *buf;
	int ret;
};

static int vfio_test_rw(struct test_device *test,
			const struct vfio_test_dma *dma, void *buf)
{
	bool write = dma->op == VFIO_TEST_WRITE ||
		     dma->op == VFIO_TEST_WRITE_KTHREAD;

	return vfio_dma_rw(&test->vdev, dma->iova, buf, dma->length, write);
}

static void vfio_test_rw_work(struct work_struct *work)
{
	struct test_work *job = container_of(work, struct test_work, work);

	job->ret = vfio_test_rw(job->test, job->dma, job->buf);
}

static int vfio_test_rw_kthread(struct test_device *test,
				const struct vfio_test_dma *dma, void *buf)
{
	struct test_work job = { .test = test, .dma = dma, .buf = buf };

	INIT_WORK_ONSTACK(&job.work, vfio_test_rw_work);
	schedule_work(&job.work);
	flush_work(&job.work);
	destroy_work_on_stack(&job.work);
	return job.ret;
}

static int vfio_test_copy(struct test_device *test,
			  const struct vfio_test_dma *dma, void *buf)
{
	switch (dma->op) {
	case VFIO_TEST_READ:
	case VFIO_TEST_WRITE:
		return vfio_test_rw(test, dma, buf);
	case VFIO_TEST_READ_KTHREAD:
	case VFIO_TEST_WRITE_KTHREAD:
		return vfio_test_rw_kthread(test, dma, buf);
	default:
		return vfio_test_touch(test, dma, buf);
	}
}

static int vfio_test_ioctl_copy(struct test_device *test,
				const struct vfio_test_dma *dma)
{
	bool in = dma->op == VFIO_TEST_WRITE || dma->op == VFIO_TEST_POKE ||
		  dma->op == VFIO_TEST_WRITE_KTHREAD;
	void __user *data = u64_to_user_ptr(dma->data);
	void *buf;
	int ret;

	if (dma->length > PAGE_SIZE)
		return -EINVAL;
	buf = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	ret = in && copy_from_user(buf, data, dma->length) ? -EFAULT : 0;
	if (!ret)
		ret = vfio_test_copy(test, dma, buf);
	if (!ret && !in && copy_to_user(data, buf, dma->length))
		ret = -EFAULT;
	kfree(buf);
	return ret;
}

static long vfio_test_ioctl_dma(struct test_device *test, void __user *arg)
{
	struct vfio_test_dma dma;

	if (copy_from_user(&dma, arg, sizeof(dma)))
		return -EFAULT;
	if (dma.argsz < sizeof(dma))
		return -EINVAL;

	switch (dma.op) {
	case VFIO_TEST_PIN:
	case VFIO_TEST_PIN_WRITE:
		return vfio_test_pin(test, &dma);
	case VFIO_TEST_UNPIN:
		return vfio_test_unpin(test, dma.iova);
	case VFIO_TEST_READ ... VFIO_TEST_WRITE_KTHREAD:
	case VFIO_TEST_PEEK:
	case VFIO_TEST_POKE:
		return vfio_test_ioctl_copy(test, &dma);
	default:
		return -EINVAL;
	}
}

static long vfio_test_ioctl_state(struct test_device *test, void __user *arg)
{
	struct vfio_test_state state = { .argsz = sizeof(state) };

	scoped_guard(mutex, &test->lock) {
		state.pins = list_count_nodes(&test->pins);
		state.unmaps = test->unmaps;
	}
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static void vfio_test_virqfd_thread(void *opaque, void *data)
{
	struct test_virqfd *slot = data;

	msleep(slot->delay);
	atomic_inc(&slot->done);
}

static long vfio_test_ioctl_virqfd(struct test_device *test, void __user *arg)
{
	struct vfio_test_virqfd virqfd;
	struct test_virqfd *slot;
	int ret = 0;

	if (copy_from_user(&virqfd, arg, sizeof(virqfd)))
		return -EFAULT;
	if (virqfd.argsz < sizeof(virqfd) ||
	    virqfd.slot >= VFIO_TEST_NR_VIRQFDS)
		return -EINVAL;
	slot = &test->virqfds[virqfd.slot];
	scoped_guard(mutex, &test->virqfd_lock[virqfd.slot]) {
		if (virqfd.fd < 0) {
			vfio_virqfd_disable(&slot->virqfd);
		} else {
			slot->delay = virqfd.delay;
			ret = vfio_virqfd_enable(test, NULL,
						 vfio_test_virqfd_thread, slot,
						 &slot->virqfd, virqfd.fd);
		}
	}
	virqfd.done = atomic_read(&slot->done);
	if (!ret && copy_to_user(arg, &virqfd, sizeof(virqfd)))
		ret = -EFAULT;
	return ret;
}

static long vfio_test_ioctl(struct vfio_device *vdev, unsigned int cmd,
			    unsigned long arg)
{
	struct test_device *test = to_test_device(vdev);

	switch (cmd) {
	case VFIO_TEST_DMA:
		return vfio_test_ioctl_dma(test, (void __user *)arg);
	case VFIO_TEST_STATE:
		return vfio_test_ioctl_state(test, (void __user *)arg);
	case VFIO_TEST_IMPORT:
		return vfio_test_import_ioctl(&test->import, (void __user *)arg);
	case VFIO_TEST_VIRQFD:
		return vfio_test_ioctl_virqfd(test, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

/* As drivers of 6.12 do it, without match_token_uuid() */
static int vfio_test_match(struct vfio_device *vdev, char *buf)
{
	const char *name = dev_name(vdev->dev);
	size_t len = strlen(name);

	if (strncmp(buf, name, len))
		return 0;
	if (!buf[len])
		return 1;
	return strcmp(buf + len, " vf_token=" VFIO_TEST_TOKEN) ? -EACCES : 1;
}

static const struct vfio_device_ops test_ops = {
	.name = "vfio-test",
	.init = vfio_test_init,
	.release = vfio_test_release,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.open_device = vfio_test_open,
	.close_device = vfio_test_close,
	.ioctl = vfio_test_ioctl,
	.match = vfio_test_match,
	.dma_unmap = vfio_test_dma_unmap,
};

static int vfio_test_probe(struct platform_device *pdev)
{
	struct test_device *test;
	int ret;

	test = vfio_alloc_device(test_device, vdev, &pdev->dev, &test_ops);
	if (IS_ERR(test))
		return PTR_ERR(test);
	platform_set_drvdata(pdev, test);

	ret = vfio_register_emulated_iommu_dev(&test->vdev);
	if (ret)
		vfio_put_device(&test->vdev);
	return ret;
}

static void vfio_test_remove(struct platform_device *pdev)
{
	struct test_device *test = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&test->vdev);
	vfio_put_device(&test->vdev);
}

static struct platform_driver test_driver = {
	.probe = vfio_test_probe,
	.remove = vfio_test_remove,
	.driver = {
		.name = VFIO_TEST_DEVICE,
	},
	.driver_managed_dma = true,
};

static struct platform_device *test_pdev;

static int __init vfio_test_module_init(void)
{
	int ret;

	ret = platform_driver_register(&test_driver);
	if (ret)
		return ret;

	test_pdev = platform_device_register_simple(VFIO_TEST_DEVICE,
						    PLATFORM_DEVID_NONE, NULL,
						    0);
	if (IS_ERR(test_pdev)) {
		platform_driver_unregister(&test_driver);
		return PTR_ERR(test_pdev);
	}
	return 0;
}

static void __exit vfio_test_module_exit(void)
{
	platform_device_unregister(test_pdev);
	platform_driver_unregister(&test_driver);
}

module_init(vfio_test_module_init);
module_exit(vfio_test_module_exit);

MODULE_DESCRIPTION("VFIO: a software device for selftests");
MODULE_LICENSE("GPL");
