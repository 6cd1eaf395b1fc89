/* SPDX-License-Identifier: GPL-2.0-only */
/* What IOMMU drivers offered differently, of which the mock IOMMU is one. */
#ifndef _COMPAT_LINUX_IOMMU_H
#define _COMPAT_LINUX_IOMMU_H

#include_next <linux/iommu.h>

/* Until 6.13 one operation made paging and nested domains. */
#ifdef COMPAT_LACKS_PAGING_FLAGS
#include <linux/args.h>

/*
 * And no driver knew of IOMMU_HWPT_ALLOC_PASID. One that can attach PASIDs can do so
 * to what it gives without that flag; the others refuse it as they do all that they
 * do not know.
 */
#define compat_driver_alloc_flags(dev, flags)				      \
	((dev)->iommu->iommu_dev->ops->default_domain_ops->set_dev_pasid ?    \
	 (flags) & ~IOMMU_HWPT_ALLOC_PASID : (flags))
#define domain_alloc_paging_flags	domain_alloc_user
#define domain_alloc_nested		domain_alloc_user
#define domain_alloc_user(...) \
	CONCATENATE(COMPAT_ALLOC_USER_, COUNT_ARGS(__VA_ARGS__))(__VA_ARGS__)
#define COMPAT_ALLOC_USER_3(dev, flags, user_data) \
	domain_alloc_user(dev, compat_driver_alloc_flags(dev, flags), NULL, \
			  user_data)
#define COMPAT_ALLOC_USER_4(dev, parent, flags, user_data) \
	domain_alloc_user(dev, compat_driver_alloc_flags(dev, flags), parent, \
			  user_data)

struct iommu_domain *
mock_domain_alloc_paging_flags(struct device *dev, u32 flags,
			       const struct iommu_user_data *user_data);
struct iommu_domain *
mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			 u32 flags, const struct iommu_user_data *user_data);

static inline struct iommu_domain *
compat_mock_domain_alloc(struct device *dev, u32 flags,
			 struct iommu_domain *parent,
			 const struct iommu_user_data *user_data)
{
	return parent ? mock_domain_alloc_nested(dev, parent, flags,
						 user_data) :
			mock_domain_alloc_paging_flags(dev, flags, user_data);
}

#define MOCK_DOMAIN_ALLOC_OPS .domain_alloc_user = compat_mock_domain_alloc
#endif

/*
 * Until 6.15 a PASID could not be moved to another domain, and a driver had an
 * operation of its own that blocked it.
 */
#ifdef COMPAT_LACKS_PASID_REPLACE
struct iommu_attach_handle *
iommu_attach_handle_get(struct iommu_group *group, ioasid_t pasid,
			unsigned int type);

/*
 * Takes two steps, between which DMA with the PASID is refused. If the second one
 * fails it is undone; if that fails as well the PASID is left without a domain, and
 * iommu_attach_handle_get() tells.
 */
static inline int
iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev,
			   ioasid_t pasid, struct iommu_attach_handle *handle)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommu_attach_handle *old;
	int rc;

	if (!group)
		return -ENODEV;
	old = iommu_attach_handle_get(group, pasid, 0);
	iommu_group_put(group);
	/* This is refused without a step */
	if (!domain->ops->set_dev_pasid)
		return -EOPNOTSUPP;
	if (!IS_ERR(old))
		iommu_detach_device_pasid(old->domain, dev, pasid);
	rc = iommu_attach_device_pasid(domain, dev, pasid, handle);
	if (rc && !IS_ERR(old))
		iommu_attach_device_pasid(old->domain, dev, pasid, old);
	return rc;
}

int mock_block_pasid(struct iommu_domain *domain, struct device *dev,
		     ioasid_t pasid, struct iommu_domain *old);

static inline void compat_remove_dev_pasid(struct device *dev, ioasid_t pasid,
					   struct iommu_domain *domain)
{
	mock_block_pasid(NULL, dev, pasid, domain);
}

/* Nobody asks us where an interrupt is to be mapped, see tree.mk */
#undef CONFIG_IOMMUFD_SW_MSI

/* What a driver says of the one says the other as well */
#define blocked_domain \
	remove_dev_pasid = compat_remove_dev_pasid, .blocked_domain
#endif

/* Drivers were not told what a PASID was attached to, in early stable kernels of 6.12, too. */
#ifdef COMPAT_LACKS_SET_DEV_PASID_OLD
int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
		       ioasid_t pasid, struct iommu_domain *old);

/* It cannot have been attached to anything there */
static inline int compat_mock_set_dev_pasid(struct iommu_domain *domain,
					    struct device *dev, ioasid_t pasid)
{
	return mock_set_dev_pasid(domain, dev, pasid, NULL);
}

#define MOCK_SET_DEV_PASID	compat_mock_set_dev_pasid
#define MOCK_BLOCK_PASID	NULL
#endif

/* Until 7.0 a driver did not say whether it may use ATS, but ATS was never off. */
#ifdef COMPAT_LACKS_ATS_CAPABILITY
#include <linux/pci-ats.h>

#define IOMMU_CAP_PCI_ATS_SUPPORTED ((enum iommu_cap)~0U)

static inline bool compat_device_iommu_capable(struct device *dev,
					       enum iommu_cap cap)
{
	if (cap == IOMMU_CAP_PCI_ATS_SUPPORTED)
		return dev_is_pci(dev) && pci_ats_supported(to_pci_dev(dev));
	return device_iommu_capable(dev, cap);
}

#define device_iommu_capable(dev, cap) compat_device_iommu_capable(dev, cap)
#endif

/* Until 6.16 drivers had to be told that a device shall report page faults. */
#ifdef COMPAT_LACKS_IOPF_AT_ATTACH
#define iommufd_fault_tell_driver(dev, enable)				      \
	((enable) ? iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_IOPF) :      \
		    iommu_dev_disable_feature(dev, IOMMU_DEV_FEAT_IOPF))

int mock_iopf_enable(struct device *dev);
void mock_iopf_disable(struct device *dev);

static inline int compat_dev_enable_feat(struct device *dev,
					 enum iommu_dev_features feat)
{
	return feat == IOMMU_DEV_FEAT_IOPF ? mock_iopf_enable(dev) : -ENODEV;
}

static inline int compat_dev_disable_feat(struct device *dev,
					  enum iommu_dev_features feat)
{
	mock_iopf_disable(dev);
	return 0;
}

/* A domain for faults is refused if the device was not told */
#define mock_iopf_at_attach(dev) \
	(rcu_access_pointer((dev)->iommu->fault_param) ? 0 : -EINVAL)
#define mock_iopf_at_detach(dev) do { } while (0)
#define page_response						\
	dev_enable_feat = compat_dev_enable_feat,		\
	.dev_disable_feat = compat_dev_disable_feat,		\
	.page_response
#endif

/*
 * A stable fix of 6.12. Without it the core frees faults that wait for a user when the driver stops those of their
 * device, so that there are none.
 */
#ifdef COMPAT_LACKS_IOPF_GROUP_DEQUEUE
static inline void iopf_group_dequeue(struct iopf_group *group)
{
}

#undef iommufd_fault_tell_driver
#define iommufd_fault_tell_driver(dev, enable)	((void)(dev), (void)(enable), -ENODEV)
#endif

/* Until 6.18 a driver was not told what a device leaves. */
#ifdef COMPAT_LACKS_ATTACH_FROM
#define mock_attach_dev(domain, dev, old) \
	mock_attach_dev(domain, dev)
#define mock_nested_attach_dev(domain, dev, old) \
	mock_nested_attach_dev(domain, dev)
#define mock_attach_static(domain, dev, old) \
	mock_attach_static(domain, dev)
#endif

/*
 * Until 6.16 no driver had virtual IOMMUs. These stand in for all that is in
 * drivers/iommu/iommufd/viommu_driver.h.
 */
#ifdef COMPAT_LACKS_VIOMMU
#define __IOMMUFD_VIOMMU_DRIVER_H
struct iommufd_viommu;

static inline size_t iommufd_driver_viommu_size(struct device *dev,
						unsigned int type)
{
	return 0;
}

static inline int
iommufd_driver_viommu_init(struct iommufd_viommu *viommu,
			   struct iommu_domain *parent,
			   const struct iommu_user_data *user_data)
{
	return -EOPNOTSUPP;
}

static inline int
compat_iommu_copy_struct_to_user(const struct iommu_user_data *dst,
				 const void *src, unsigned int type,
				 size_t len, size_t min_len)
{
	if (dst->type != type || dst->len < min_len || dst->len > len)
		return -EINVAL;
	return copy_to_user(dst->uptr, src, dst->len) ? -EFAULT : 0;
}

#define iommu_copy_struct_to_user(user_data, from, data_type, min_last) \
	compat_iommu_copy_struct_to_user(				\
		user_data, from, data_type, sizeof(*(from)),		\
		offsetofend(typeof(*(from)), min_last))
#endif

#endif
