// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses that tests make, each of which is a file for its user.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interval_tree.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "../iommufd_private.h"
#include "ops.h"

/**
 * struct mock_access - an access, which is a file for its user
 * @access: the access
 * @can_pin: it was made for pinning pages
 * @lock: protects the following, and that what is pinned is in @pins
 * @pins: struct mock_pin, by IOVA
 * @next_id: id of the next pin
 */
struct mock_access {
	struct iommufd_access *access;
	bool can_pin;

	struct mutex lock; /* See above */
	struct rb_root_cached pins;
	u32 next_id;
};

struct mock_pin {
	struct interval_tree_node node;
	u32 id;
};

/* One that overlaps a range, or NULL */
static struct mock_pin *mock_first_pin(struct mock_access *acc,
				       unsigned long iova, unsigned long last)
{
	struct interval_tree_node *node =
		interval_tree_iter_first(&acc->pins, iova, last);

	return node ? container_of(node, struct mock_pin, node) : NULL;
}

static void mock_access_unpin(struct mock_access *acc, struct mock_pin *pin)
{
	lockdep_assert_held(&acc->lock);

	iommufd_access_unpin_pages(acc->access, pin->node.start,
				   pin->node.last - pin->node.start + 1);
	interval_tree_remove(&pin->node, &acc->pins);
	kfree(pin);
}

static void mock_access_unmap(void *data, unsigned long iova,
			      unsigned long length)
{
	unsigned long last = iova + (length - 1);
	struct mock_access *acc = data;
	struct mock_pin *pin;

	guard(mutex)(&acc->lock);
	while ((pin = mock_first_pin(acc, iova, last)))
		mock_access_unpin(acc, pin);
}

static const struct iommufd_access_ops mock_access_ops_rw = {
};

static const struct iommufd_access_ops mock_access_ops_pin = {
	.needs_pin_pages = 1,
	.unmap = mock_access_unmap,
};

static void mock_access_free(struct mock_access *acc)
{
	/* Calls back, so that there are no pins left */
	iommufd_access_destroy(acc->access);
	WARN_ON(!RB_EMPTY_ROOT(&acc->pins.rb_root));
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

static struct file *mock_access_get_file(int fd)
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
	acc->pins = RB_ROOT_CACHED;
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

int mock_test_create_access(struct iommufd_ucmd *ucmd)
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

/* Pin, and check that it gives the pages at @uptr */
static int mock_access_pin_and_check(struct mock_access *acc,
				     struct mock_pin *pin, unsigned long uptr,
				     unsigned int flags)
{
	unsigned long iova = pin->node.start;
	unsigned long length = pin->node.last - iova + 1;
	unsigned long num = DIV_ROUND_UP(offset_in_page(iova) + length,
					 PAGE_SIZE);
	struct page **pages __free(kvfree) = NULL;
	unsigned long i;
	int rc;

	pages = kvcalloc(num, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = iommufd_access_pin_pages(acc->access, iova, length, pages, flags);
	if (rc)
		return rc;
	for (i = 0; i != num && !rc; i++) {
		struct page *page = mock_get_user_page(uptr + i * PAGE_SIZE);

		if (IS_ERR(page)) {
			rc = PTR_ERR(page);
			break;
		}
		if (page != pages[i])
			rc = -EINVAL;
		put_page(page);
	}
	if (rc)
		iommufd_access_unpin_pages(acc->access, iova, length);
	return rc;
}

static int mock_access_pages(struct mock_access *acc, struct iommufd_ucmd *ucmd)
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
	pin->node.start = cmd->access_pages.iova;
	pin->node.last = cmd->access_pages.iova +
			 (cmd->access_pages.length - 1);

	/* Another task may be pinning memory that is slow to arrive */
	if (mutex_lock_killable(&acc->lock)) {
		kfree(pin);
		return -EINTR;
	}
	rc = mock_access_pin_and_check(acc, pin, cmd->access_pages.uptr,
				       cmd->access_pages.flags &
						       MOCK_FLAGS_ACCESS_WRITE ?
					       IOMMUFD_ACCESS_RW_WRITE :
					       IOMMUFD_ACCESS_RW_READ);
	if (rc) {
		kfree(pin);
		goto out_unlock;
	}
	pin->id = ++acc->next_id;
	interval_tree_insert(&pin->node, &acc->pins);
	cmd->access_pages.out_access_pages_id = pin->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		mock_access_unpin(acc, pin);
out_unlock:
	mutex_unlock(&acc->lock);
	return rc;
}

static int mock_access_destroy_pages(struct mock_access *acc, u32 id)
{
	struct interval_tree_node *node;

	guard(mutex)(&acc->lock);
	for (node = interval_tree_iter_first(&acc->pins, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		struct mock_pin *pin = container_of(node, struct mock_pin, node);

		if (pin->id != id)
			continue;
		mock_access_unpin(acc, pin);
		return 0;
	}
	return -ENOENT;
}

static int mock_access_rw(struct mock_access *acc, struct iommufd_ucmd *ucmd)
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

/* The operations on an existing access */
int mock_test_access(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *acc;
	struct file *file;
	u32 id;
	int rc;

	file = mock_access_get_file(cmd->id);
	if (IS_ERR(file))
		return PTR_ERR(file);
	acc = file->private_data;

	switch (cmd->op) {
	case IOMMU_TEST_OP_ACCESS_PAGES:
		rc = mock_access_pages(acc, ucmd);
		break;
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		id = cmd->destroy_access_pages.access_pages_id;
		rc = mock_access_destroy_pages(acc, id);
		break;
	case IOMMU_TEST_OP_ACCESS_RW:
		rc = mock_access_rw(acc, ucmd);
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
