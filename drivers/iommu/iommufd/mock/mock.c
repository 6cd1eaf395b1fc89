// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctl with which selftests plug in mock devices, use accesses, and look
 * behind what iommufd does.
 */
#include <linux/anon_inodes.h>
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommufd_private.h"
#include "mock.h"
#include "dmabuf.h"
#include "iommu.h"

/* Bytes of an access or a bitmap, which are allocated at once. */
#define MOCK_MAX_LENGTH SZ_16M

static unsigned int memory_limit = 65536;

static DECLARE_FAULT_ATTR(fail_iommufd);
static struct dentry *debugfs_root;

/**
 * iommufd_test_batch - how long a temporary array of pointers may be
 * @n: wanted entries
 *
 * Return: no more than @n, less if a test wants to see work done in many steps.
 */
unsigned int iommufd_test_batch(unsigned int n)
{
	unsigned int limit = READ_ONCE(memory_limit) / sizeof(void *);

	return clamp(limit, 1U, n);
}

/**
 * iommufd_should_fail - is a step that can fail to fail now?
 *
 * For errors that are not failed allocations, which the kernel can inject
 * itself.
 *
 * Return: true if a test asks for it.
 */
bool iommufd_should_fail(void)
{
	return should_fail(&fail_iommufd, 1);
}

/**
 * iommufd_selftest_is_mock_dev - is a device a mock device?
 * @dev: any device
 *
 * A mock device belongs to the context that it is bound to and goes with it,
 * so that it must not hold it.
 *
 * Return: true if so.
 */
bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return mock_device_of(dev);
}

/**
 * struct mock_object - a mock device that is bound and attached
 * @obj: the object; the device is unplugged when it is destroyed
 * @mdev: the device
 * @idev: the same as iommufd knows it
 */
struct mock_object {
	struct iommufd_object obj;
	struct mock_device *mdev;
	struct iommufd_device *idev;
};

static void mock_object_destroy(struct iommufd_object *obj)
{
	struct mock_object *mobj = container_of(obj, struct mock_object, obj);

	iommufd_device_detach(mobj->idev);
	iommufd_device_unbind(mobj->idev);
	mock_device_destroy(mobj->mdev);
}

static const struct iommufd_object_ops mock_object_ops = {
	.type = IOMMUFD_OBJ_TEST,
	.name = "mock",
	.destroy = mock_object_destroy,
};

static int test_mock_domain(struct iommufd_ucmd *ucmd, u32 flags)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_object *mobj;
	u32 pt_id = cmd->id;
	u32 idev_id;
	int rc;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_HUGE_IOVA |
		      MOCK_FLAGS_DEVICE_PASID | MOCK_FLAGS_DEVICE_GROUPED |
		      MOCK_FLAGS_DEVICE_COHERENT | MOCK_FLAGS_DEVICE_RESERVES))
		return -EOPNOTSUPP;

	mobj = iommufd_object_alloc(ucmd->ictx, mock_object, &mock_object_ops);
	if (IS_ERR(mobj))
		return PTR_ERR(mobj);
	mobj->mdev = mock_device_create(flags);
	if (IS_ERR(mobj->mdev)) {
		rc = PTR_ERR(mobj->mdev);
		goto err_abort;
	}
	mobj->idev = iommufd_device_bind(ucmd->ictx, &mobj->mdev->pdev->dev,
					 &idev_id);
	if (IS_ERR(mobj->idev)) {
		rc = PTR_ERR(mobj->idev);
		goto err_device;
	}
	rc = iommufd_device_attach(mobj->idev, &pt_id);
	if (rc)
		goto err_unbind;

	/* The first three members of mock_domain_flags are the same. */
	cmd->mock_domain.out_stdev_id = mobj->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = idev_id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ucmd->ictx, &mobj->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ictx, &mobj->obj);
	return 0;

err_unbind:
	iommufd_device_unbind(mobj->idev);
err_device:
	mock_device_destroy(mobj->mdev);
err_abort:
	iommufd_object_abort(ucmd->ictx, &mobj->obj);
	return rc;
}

static int test_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_object *obj;
	u32 pt_id = cmd->mock_domain_replace.pt_id;
	int rc;

	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_TEST);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = iommufd_device_replace(container_of(obj, struct mock_object,
						 obj)->idev, &pt_id);
	iommufd_object_put(ucmd->ictx, obj);
	if (rc)
		return rc;
	cmd->mock_domain_replace.pt_id = pt_id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

static int test_add_reserved(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long start = cmd->add_reserved.start;
	unsigned long length = cmd->add_reserved.length;
	struct iommufd_ioas *ioas;
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Without an owner, so that it stays as long as the IOAS. */
	scoped_guard(rwsem_write, &ioas->iopt.iova_rwsem)
		rc = iopt_reserve(&ioas->iopt, start, last, NULL, "a test",
				  "a reserved range");
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	return rc;
}

static struct iommufd_hwpt *get_mock_hwpt(struct iommufd_ucmd *ucmd, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_get(ucmd->ictx, id, IOMMUFD_OBJ_HWPT);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	if (!mock_domain_is(to_hwpt(obj)->item.domain)) {
		iommufd_object_put(ucmd->ictx, obj);
		return ERR_PTR(-EINVAL);
	}
	return to_hwpt(obj);
}

/* The page at a user address, with a reference to it but without a pin. */
static struct page *get_user_page(unsigned long uptr)
{
	struct page *page;
	int rc;

	rc = get_user_pages_fast(uptr & PAGE_MASK, 1, 0, &page);
	if (rc < 0)
		return ERR_PTR(rc);
	return rc ? page : ERR_PTR(-EFAULT);
}

static int check_translation(struct iommu_domain *domain, unsigned long iova,
			     unsigned long uptr)
{
	struct page *page = get_user_page(uptr);
	phys_addr_t phys;

	if (IS_ERR(page))
		return PTR_ERR(page);
	phys = page_to_phys(page) + offset_in_page(uptr);
	put_page(page);
	return iommu_iova_to_phys(domain, iova) == phys ? 0 : -EINVAL;
}

static int test_check_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long iova = cmd->check_map.iova;
	unsigned long length = cmd->check_map.length;
	unsigned long uptr = cmd->check_map.uptr;
	struct iommufd_hwpt *hwpt;
	unsigned long end;
	int rc = 0;

	if ((iova | length | uptr) % MOCK_IO_PAGE_SIZE)
		return -EINVAL;
	if (check_add_overflow(iova, length, &end) ||
	    check_add_overflow(uptr, length, &end))
		return -EOVERFLOW;

	hwpt = get_mock_hwpt(ucmd, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	for (; length && !rc; length -= MOCK_IO_PAGE_SIZE) {
		rc = check_translation(hwpt->item.domain, iova, uptr);
		iova += MOCK_IO_PAGE_SIZE;
		uptr += MOCK_IO_PAGE_SIZE;
		cond_resched();
	}
	iommufd_object_put(ucmd->ictx, &hwpt->obj);
	return rc;
}

/* Is a page pinned this many times? */
static bool has_pins(struct page *page, unsigned int pins)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_large(folio))
		return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS == pins;
	/* These count the pins of all of their pages together. */
	return pins ? atomic_read(&folio->_pincount) >= pins :
		      !atomic_read(&folio->_pincount);
}

static int test_check_refs(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long uptr = cmd->check_refs.uptr;
	unsigned long length = cmd->check_refs.length;
	unsigned long end;

	if ((uptr | length) % PAGE_SIZE)
		return -EINVAL;
	if (check_add_overflow(uptr, length, &end))
		return -EOVERFLOW;

	for (; uptr != end; uptr += PAGE_SIZE) {
		struct page *page = get_user_page(uptr);
		bool ok;

		if (IS_ERR(page))
			return PTR_ERR(page);
		ok = has_pins(page, cmd->check_refs.refs);
		put_page(page);
		if (!ok)
			return -EIO;
		cond_resched();
	}
	return 0;
}

static int test_check_dev_cache(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 id = cmd->check_dev_cache.id;
	struct iommufd_object *obj;
	struct mock_device *mdev;
	int rc = -EINVAL;

	if (id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	obj = iommufd_object_get(ucmd->ictx, cmd->id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	mdev = mock_device_of(to_idev(obj)->dev);
	if (mdev && mdev->cache[id] == cmd->check_dev_cache.cache)
		rc = 0;
	iommufd_object_put(ucmd->ictx, obj);
	return rc;
}

/**
 * struct mock_access - an access, which is a file for its user
 * @access: the access
 * @can_pin: it was made for pinning pages
 * @lock: protects the following, and that what is pinned is on the list
 * @pins: struct mock_pin list
 * @next_id: id of the next pin
 */
struct mock_access {
	struct iommufd_access *access;
	bool can_pin;

	struct mutex lock; /* see above */
	struct list_head pins;
	u32 next_id;
};

struct mock_pin {
	struct list_head entry;
	u32 id;
	unsigned long iova;
	unsigned long length;
};

static void unpin(struct mock_access *acc, struct mock_pin *pin)
{
	lockdep_assert_held(&acc->lock);

	iommufd_access_unpin_pages(acc->access, pin->iova, pin->length);
	list_del(&pin->entry);
	kfree(pin);
}

static void mock_access_unmap(void *data, unsigned long iova,
			      unsigned long length)
{
	unsigned long last = iova + (length - 1);
	struct mock_access *acc = data;
	struct mock_pin *pin, *next;

	guard(mutex)(&acc->lock);
	list_for_each_entry_safe(pin, next, &acc->pins, entry)
		if (pin->iova <= last && iova <= pin->iova + (pin->length - 1))
			unpin(acc, pin);
}

static const struct iommufd_access_ops mock_access_ops_rw = {
};

static const struct iommufd_access_ops mock_access_ops_pin = {
	.needs_pin_pages = 1,
	.unmap = mock_access_unmap,
};

static void mock_access_free(struct mock_access *acc)
{
	/* Calls back, so that there are no pins left. */
	iommufd_access_destroy(acc->access);
	WARN_ON(!list_empty(&acc->pins));
	mutex_destroy(&acc->lock);
	kfree(acc);
}

static int mock_access_release(struct inode *inode, struct file *file)
{
	mock_access_free(file->private_data);
	return 0;
}

static const struct file_operations mock_access_fops = {
	.owner = THIS_MODULE,
	.release = mock_access_release,
};

static struct file *get_access_file(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != &mock_access_fops) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	return file;
}

static struct mock_access *mock_access_alloc(struct iommufd_ctx *ictx,
					     u32 ioas_id, bool can_pin)
{
	struct mock_access *acc;
	int rc;
	u32 id;

	acc = kzalloc(sizeof(*acc), GFP_KERNEL_ACCOUNT);
	if (!acc)
		return ERR_PTR(-ENOMEM);
	acc->can_pin = can_pin;
	mutex_init(&acc->lock);
	INIT_LIST_HEAD(&acc->pins);
	acc->access = iommufd_access_create(ictx,
					    can_pin ? &mock_access_ops_pin :
						      &mock_access_ops_rw,
					    acc, &id);
	if (IS_ERR(acc->access)) {
		rc = PTR_ERR(acc->access);
		mutex_destroy(&acc->lock);
		kfree(acc);
		return ERR_PTR(rc);
	}
	rc = iommufd_access_attach(acc->access, ioas_id);
	if (rc) {
		mock_access_free(acc);
		return ERR_PTR(rc);
	}
	return acc;
}

static int test_create_access(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->create_access.flags;
	struct mock_access *acc;
	struct file *file;
	int fd, rc;

	if (flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	acc = mock_access_alloc(ucmd->ictx, cmd->id, flags);
	if (IS_ERR(acc)) {
		rc = PTR_ERR(acc);
		goto err_fd;
	}
	file = anon_inode_getfile("[iommufd_mock_access]", &mock_access_fops,
				  acc, O_RDWR);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		mock_access_free(acc);
		goto err_fd;
	}
	cmd->create_access.out_access_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		fput(file);
		goto err_fd;
	}
	fd_install(fd, file);
	return 0;

err_fd:
	put_unused_fd(fd);
	return rc;
}

/* Pin, and check that it gives the pages at @uptr. */
static int pin_and_check(struct mock_access *acc, struct mock_pin *pin,
			 unsigned long uptr, unsigned int flags)
{
	unsigned long num = DIV_ROUND_UP(offset_in_page(pin->iova) +
					 pin->length, PAGE_SIZE);
	struct page **pages __free(kvfree) = NULL;
	unsigned long i;
	int rc;

	pages = kvcalloc(num, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = iommufd_access_pin_pages(acc->access, pin->iova, pin->length,
				      pages, flags);
	if (rc)
		return rc;
	for (i = 0; i != num && !rc; i++) {
		struct page *page = get_user_page(uptr + i * PAGE_SIZE);

		if (IS_ERR(page)) {
			rc = PTR_ERR(page);
			break;
		}
		if (page != pages[i])
			rc = -EINVAL;
		put_page(page);
	}
	if (rc)
		iommufd_access_unpin_pages(acc->access, pin->iova, pin->length);
	return rc;
}

static int access_pages(struct mock_access *acc, struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_pin *pin;
	int rc;

	if (!acc->can_pin ||
	    (cmd->access_pages.flags & ~MOCK_FLAGS_ACCESS_WRITE))
		return -EOPNOTSUPP;
	if (cmd->access_pages.length > MOCK_MAX_LENGTH)
		return -ENOMEM;

	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->iova = cmd->access_pages.iova;
	pin->length = cmd->access_pages.length;

	/* Somebody may be pinning memory that is slow to arrive */
	if (mutex_lock_killable(&acc->lock)) {
		kfree(pin);
		return -EINTR;
	}
	rc = pin_and_check(acc, pin, cmd->access_pages.uptr,
			   cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE ?
				   IOMMUFD_ACCESS_RW_WRITE :
				   IOMMUFD_ACCESS_RW_READ);
	if (rc) {
		kfree(pin);
		goto out_unlock;
	}
	pin->id = ++acc->next_id;
	list_add_tail(&pin->entry, &acc->pins);
	cmd->access_pages.out_access_pages_id = pin->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		unpin(acc, pin);
out_unlock:
	mutex_unlock(&acc->lock);
	return rc;
}

static int destroy_access_pages(struct mock_access *acc, u32 id)
{
	struct mock_pin *pin;

	guard(mutex)(&acc->lock);
	list_for_each_entry(pin, &acc->pins, entry) {
		if (pin->id != id)
			continue;
		unpin(acc, pin);
		return 0;
	}
	return -ENOENT;
}

static int access_rw(struct mock_access *acc, struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	void __user *uptr = u64_to_user_ptr(cmd->access_rw.uptr);
	unsigned long length = cmd->access_rw.length;
	unsigned int flags = 0;
	int rc;

	void *data __free(kvfree) = NULL;

	if (cmd->access_rw.flags &
	    ~(MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH))
		return -EOPNOTSUPP;
	if (cmd->access_rw.flags & MOCK_ACCESS_RW_SLOW_PATH)
		flags |= __IOMMUFD_ACCESS_RW_SLOW_PATH;
	if (length > MOCK_MAX_LENGTH)
		return -ENOMEM;
	if (!length)
		return -EINVAL;

	data = kvzalloc(length, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	if (cmd->access_rw.flags & MOCK_ACCESS_RW_WRITE) {
		if (copy_from_user(data, uptr, length))
			return -EFAULT;
		return iommufd_access_rw(acc->access, cmd->access_rw.iova, data,
					 length,
					 flags | IOMMUFD_ACCESS_RW_WRITE);
	}
	rc = iommufd_access_rw(acc->access, cmd->access_rw.iova, data, length,
			       flags | IOMMUFD_ACCESS_RW_READ);
	if (!rc && copy_to_user(uptr, data, length))
		rc = -EFAULT;
	return rc;
}

/* The operations on an existing access. */
static int test_access(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *acc;
	struct file *file;
	u32 id;
	int rc;

	file = get_access_file(cmd->id);
	if (IS_ERR(file))
		return PTR_ERR(file);
	acc = file->private_data;

	switch (cmd->op) {
	case IOMMU_TEST_OP_ACCESS_PAGES:
		rc = access_pages(acc, ucmd);
		break;
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		id = cmd->destroy_access_pages.access_pages_id;
		rc = destroy_access_pages(acc, id);
		break;
	case IOMMU_TEST_OP_ACCESS_RW:
		rc = access_rw(acc, ucmd);
		break;
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		id = cmd->access_replace_ioas.ioas_id;
		rc = iommufd_access_replace(acc->access, id);
		break;
	default:
		rc = -EOPNOTSUPP;
		break;
	}
	fput(file);
	return rc;
}

/* Write to the pages whose bits are set; gives how many were mapped. */
static int write_pages(struct iommu_domain *domain, unsigned long iova,
		       unsigned long page_size, const unsigned long *bitmap,
		       unsigned long bits, u64 *written)
{
	unsigned long bit;
	u64 n = 0;

	if (!mock_domain_tracks_dirty(domain))
		return -EINVAL;
	for_each_set_bit(bit, bitmap, bits)
		n += mock_domain_write(domain, iova + bit * page_size);
	*written = n;
	return 0;
}

static int test_dirty(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long page_size = cmd->dirty.page_size;
	unsigned long length = cmd->dirty.length;
	unsigned long iova = cmd->dirty.iova;
	struct iommufd_hwpt *hwpt;
	unsigned long bits, last;
	int rc;

	unsigned long *bitmap __free(kvfree) = NULL;

	if (cmd->dirty.flags || !page_size || !length || iova % page_size ||
	    length % page_size)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	bits = length / page_size;
	if (bits > MOCK_MAX_LENGTH)
		return -ENOMEM;

	bitmap = kvcalloc(BITS_TO_LONGS(bits), sizeof(*bitmap),
			  GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	if (copy_from_user(bitmap, u64_to_user_ptr(cmd->dirty.uptr),
			   BITS_TO_BYTES(bits)))
		return -EFAULT;

	hwpt = get_mock_hwpt(ucmd, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = write_pages(hwpt->item.domain, iova, page_size, bitmap, bits,
			 &cmd->dirty.out_nr_dirty);
	iommufd_object_put(ucmd->ictx, &hwpt->obj);
	if (rc)
		return rc;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/**
 * iommufd_test - the ioctl IOMMU_TEST_CMD
 * @ucmd: the command, see iommufd_test.h
 *
 * Return: 0, or a file descriptor for IOMMU_TEST_OP_DMABUF_GET; or a negative
 * errno, -EOPNOTSUPP for an operation on something
 * that iommufd does not have.
 */
int iommufd_test(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	switch (cmd->op) {
	case IOMMU_TEST_OP_MOCK_DOMAIN:
		return test_mock_domain(ucmd, 0);
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		return test_mock_domain(ucmd, cmd->mock_domain_flags.dev_flags);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		return test_mock_domain_replace(ucmd);
	case IOMMU_TEST_OP_ADD_RESERVED:
		return test_add_reserved(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return test_check_map(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return test_check_refs(ucmd);
	case IOMMU_TEST_OP_DEV_CHECK_CACHE:
		return test_check_dev_cache(ucmd);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return test_create_access(ucmd);
	case IOMMU_TEST_OP_ACCESS_PAGES:
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
	case IOMMU_TEST_OP_ACCESS_RW:
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return test_access(ucmd);
	case IOMMU_TEST_OP_DIRTY:
		return test_dirty(ucmd);
	case IOMMU_TEST_OP_DMABUF_GET:
		return mock_dmabuf_get(cmd->dmabuf_get.length,
				       cmd->dmabuf_get.open_flags);
	case IOMMU_TEST_OP_DMABUF_REVOKE:
		return mock_dmabuf_revoke(cmd->dmabuf_revoke.dmabuf_fd,
					  cmd->dmabuf_revoke.revoked);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		WRITE_ONCE(memory_limit, cmd->memory_limit.limit);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/**
 * iommufd_test_init - plug in the mock IOMMU
 *
 * Return: 0 or a negative errno.
 */
int iommufd_test_init(void)
{
	int rc = mock_iommu_register();

	if (rc)
		return rc;
	mock_dmabuf_register();
	debugfs_root = fault_create_debugfs_attr("fail_iommufd", NULL,
						 &fail_iommufd);
	/* Kernels without it still run all other tests. */
	if (IS_ERR(debugfs_root))
		debugfs_root = NULL;
	return 0;
}

/**
 * iommufd_test_exit - undo iommufd_test_init()
 *
 * No context is open, so that there is no mock device either.
 */
void iommufd_test_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
	mock_dmabuf_unregister();
	mock_iommu_unregister();
}
