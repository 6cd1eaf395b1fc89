// SPDX-License-Identifier: GPL-2.0-only
/*
 * mdev_supported_types of the parents, in sysfs.
 */
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mdev_private.h"

struct mdev_type_attribute {
	struct attribute attr;
	ssize_t (*show)(struct mdev_type *type, char *buf);
	ssize_t (*store)(struct mdev_type *type, const char *buf, size_t count);
};

#define MDEV_TYPE_ATTR_RO(_name) \
	static const struct mdev_type_attribute mdev_type_attr_##_name = \
		__ATTR_RO(_name)
#define MDEV_TYPE_ATTR_WO(_name) \
	static const struct mdev_type_attribute mdev_type_attr_##_name = \
		__ATTR_WO(_name)

static struct mdev_type *to_mdev_type(struct kobject *kobj)
{
	return container_of(kobj, struct mdev_type, kobj);
}

static const struct mdev_type_attribute *
to_mdev_type_attr(struct attribute *attr)
{
	return container_of(attr, struct mdev_type_attribute, attr);
}

static ssize_t mdev_type_show(struct kobject *kobj, struct attribute *attr,
			      char *buf)
{
	const struct mdev_type_attribute *type_attr = to_mdev_type_attr(attr);

	if (!type_attr->show)
		return -EIO;
	return type_attr->show(to_mdev_type(kobj), buf);
}

static ssize_t mdev_type_store(struct kobject *kobj, struct attribute *attr,
			       const char *buf, size_t count)
{
	const struct mdev_type_attribute *type_attr = to_mdev_type_attr(attr);

	if (!type_attr->store)
		return -EIO;
	return type_attr->store(to_mdev_type(kobj), buf, count);
}

static const struct sysfs_ops mdev_type_sysfs_ops = {
	.show = mdev_type_show,
	.store = mdev_type_store,
};

static ssize_t create_store(struct mdev_type *type, const char *buf,
			    size_t count)
{
	guid_t uuid;
	int ret;

	/* The UUID, and perhaps a line feed, and nothing more */
	if (count < UUID_STRING_LEN || count > UUID_STRING_LEN + 1 ||
	    (count > UUID_STRING_LEN && buf[UUID_STRING_LEN] != '\n'))
		return -EINVAL;
	ret = guid_parse(buf, &uuid);
	if (ret)
		return ret;
	ret = mdev_device_create(type, &uuid);
	if (ret)
		return ret;
	return count;
}
MDEV_TYPE_ATTR_WO(create);

static ssize_t device_api_show(struct mdev_type *type, char *buf)
{
	return sysfs_emit(buf, "%s\n", type->parent->mdev_driver->device_api);
}
MDEV_TYPE_ATTR_RO(device_api);

static ssize_t name_show(struct mdev_type *type, char *buf)
{
	return sysfs_emit(buf, "%s\n", type->pretty_name ? type->pretty_name :
			  type->sysfs_name);
}
MDEV_TYPE_ATTR_RO(name);

static ssize_t available_instances_show(struct mdev_type *type, char *buf)
{
	struct mdev_driver *drv = type->parent->mdev_driver;

	if (drv->get_available)
		return sysfs_emit(buf, "%u\n", drv->get_available(type));
	return sysfs_emit(buf, "%u\n",
			  atomic_read(&type->parent->available_instances));
}
MDEV_TYPE_ATTR_RO(available_instances);

static ssize_t description_show(struct mdev_type *type, char *buf)
{
	return type->parent->mdev_driver->show_description(type, buf);
}
MDEV_TYPE_ATTR_RO(description);

static const struct attribute *const mdev_type_attrs[] = {
	&mdev_type_attr_create.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_name.attr,
	&mdev_type_attr_available_instances.attr,
	&mdev_type_attr_description.attr,
	NULL,
};

static umode_t mdev_type_attr_visible(struct kobject *kobj,
				      struct attribute *attr, int n)
{
	struct mdev_driver *drv = to_mdev_type(kobj)->parent->mdev_driver;

	if (attr == &mdev_type_attr_description.attr && !drv->show_description)
		return 0;
	return attr->mode;
}

static const struct attribute_group mdev_type_group = {
	.attrs = (struct attribute **)mdev_type_attrs,
	.is_visible = mdev_type_attr_visible,
};

static const struct attribute_group *mdev_type_groups[] = {
	&mdev_type_group,
	NULL,
};

static void mdev_type_release(struct kobject *kobj)
{
	put_device(to_mdev_type(kobj)->parent->dev);
}

static const struct kobj_type mdev_type_ktype = {
	.sysfs_ops = &mdev_type_sysfs_ops,
	.release = mdev_type_release,
	.default_groups = mdev_type_groups,
};

static int mdev_type_add(struct mdev_parent *parent, struct mdev_type *type)
{
	int ret;

	type->parent = parent;
	/* For mdev_type_release() */
	get_device(parent->dev);

	/* The driver may offer the type a second time after a reload */
	memset(&type->kobj, 0, sizeof(type->kobj));
	type->kobj.kset = parent->mdev_types_kset;
	ret = kobject_init_and_add(&type->kobj, &mdev_type_ktype, NULL,
				   "%s-%s", dev_driver_string(parent->dev),
				   type->sysfs_name);
	if (ret)
		goto err_put;

	type->devices_kobj = kobject_create_and_add("devices", &type->kobj);
	if (!type->devices_kobj) {
		ret = -ENOMEM;
		goto err_del;
	}
	return 0;

err_del:
	kobject_del(&type->kobj);
err_put:
	kobject_put(&type->kobj);
	return ret;
}

static void mdev_type_del(struct mdev_type *type)
{
	kobject_put(type->devices_kobj);
	kobject_del(&type->kobj);
	kobject_put(&type->kobj);
}

/**
 * mdev_parent_add_types - create mdev_supported_types
 * @parent: the parent
 *
 * Return: 0 or -errno, and then nothing is left of it.
 */
int mdev_parent_add_types(struct mdev_parent *parent)
{
	unsigned int i;
	int ret;

	parent->mdev_types_kset = kset_create_and_add("mdev_supported_types",
						      NULL, &parent->dev->kobj);
	if (!parent->mdev_types_kset)
		return -ENOMEM;

	for (i = 0; i < parent->nr_types; i++) {
		ret = mdev_type_add(parent, parent->types[i]);
		if (ret)
			goto err_del;
	}
	return 0;

err_del:
	while (i--)
		mdev_type_del(parent->types[i]);
	kset_unregister(parent->mdev_types_kset);
	return ret;
}

/**
 * mdev_parent_del_types - undo mdev_parent_add_types()
 * @parent: the parent, without devices. Waits for users of the attributes
 */
void mdev_parent_del_types(struct mdev_parent *parent)
{
	unsigned int i;

	for (i = 0; i < parent->nr_types; i++)
		mdev_type_del(parent->types[i]);
	kset_unregister(parent->mdev_types_kset);
}
