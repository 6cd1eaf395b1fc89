/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the device needs of QEMU 11.1: functions that its program exports for its
 * own modules, and the few structs that they take. There is no header of
 * QEMU's to compile with, so start-up code checks what it can of these.
 */
#ifndef PASID_TESTDEV_QEMU_H
#define PASID_TESTDEV_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/types.h>

struct AddressSpace;
struct Error;
struct MemoryRegion;
struct Object;
struct ObjectClass;
struct PCIDevice;

/* Rooms that are larger than what QEMU puts there: MemoryRegion, IOMMUNotifier */
#define QEMU_REGION_ROOM	8192
#define QEMU_NOTIFIER_ROOM	512

struct qemu_interface {
	const char *type;
};

struct qemu_type_info {
	const char *name;
	const char *parent;
	size_t instance_size;
	size_t instance_align;
	void (*instance_init)(struct Object *obj);
	void (*instance_post_init)(struct Object *obj);
	void (*instance_finalize)(struct Object *obj);
	bool abstract;
	size_t class_size;
	void (*class_init)(struct ObjectClass *class, const void *data);
	void (*class_base_init)(struct ObjectClass *class, const void *data);
	const void *class_data;
	const struct qemu_interface *interfaces;
};

struct qemu_region_ops {
	__u64 (*read)(void *opaque, __u64 offset, unsigned int size);
	void (*write)(void *opaque, __u64 offset, __u64 value,
		      unsigned int size);
	void *read_with_attrs;
	void *write_with_attrs;
	int endianness;
	struct {
		unsigned int min_access_size;
		unsigned int max_access_size;
		bool unaligned;
		void *accepts;
	} valid;
	struct {
		unsigned int min_access_size;
		unsigned int max_access_size;
		bool unaligned;
	} impl;
};

#define QEMU_LITTLE_ENDIAN	2

/* PCIDeviceClass; a DeviceClass is before it */
struct qemu_pci_class {
	char device_class[184];
	void (*realize)(struct PCIDevice *dev, struct Error **errp);
	void (*exit)(struct PCIDevice *dev);
	__u32 (*config_read)(struct PCIDevice *dev, __u32 address, int len);
	void (*config_write)(struct PCIDevice *dev, __u32 address, __u32 value,
			     int len);
	__u16 vendor_id;
	__u16 device_id;
	__u8 revision;
	__u16 class_id;
	__u16 subsystem_vendor_id;
	__u16 subsystem_id;
};

/* IOMMUTLBEntry */
struct qemu_translation {
	struct AddressSpace *target;
	__u64 iova;
	__u64 translated;
	__u64 mask;
	__u32 perm;
	__u32 pasid;
};

#define QEMU_PERM_READ		1
#define QEMU_PERM_WRITE		2

/* IOMMUPRINotifier and its response */
struct qemu_response {
	__u32 code;
	__u16 group;
};

struct qemu_pri_notifier {
	void (*notify)(struct qemu_pri_notifier *n, struct qemu_response *r);
};

/* MemTxAttrs that say nothing, which are passed in a register */
#define QEMU_ATTRS_UNSPECIFIED	(1ULL << 32)

/*
 * Weak: in a QEMU without them the addresses are NULL, which can be told of,
 * where a function that is missing would end QEMU in the loader's words.
 */
#define QEMU_API __attribute__((weak))

QEMU_API extern struct AddressSpace address_space_memory;
QEMU_API struct ObjectClass *object_class_by_name(const char *name);
QEMU_API void *type_register_static(const struct qemu_type_info *info);
QEMU_API void register_module_init(void (*fn)(void), int type);
QEMU_API void memory_region_init_io(struct MemoryRegion *mr, struct Object *owner,
				    const struct qemu_region_ops *ops,
				    void *opaque, const char *name,
				    __u64 size);
QEMU_API void memory_region_set_enabled(struct MemoryRegion *mr, bool enabled);
QEMU_API void memory_region_add_subregion_overlap(struct MemoryRegion *mr,
						  __u64 offset,
						  struct MemoryRegion *sub,
						  int priority);
QEMU_API struct MemoryRegion *get_system_memory(void);
QEMU_API __u32 address_space_rw(struct AddressSpace *as, __u64 addr,
				__u64 attrs, void *buf, __u64 len,
				bool is_write);
QEMU_API void pci_register_bar(struct PCIDevice *dev, int nr, __u8 type,
			       struct MemoryRegion *mr);
QEMU_API __u32 pci_default_read_config(struct PCIDevice *dev, __u32 address,
				       int len);
QEMU_API void pci_default_write_config(struct PCIDevice *dev, __u32 address,
				       __u32 value, int len);
QEMU_API __u16 pci_requester_id(struct PCIDevice *dev);
QEMU_API int pcie_endpoint_cap_init(struct PCIDevice *dev, __u8 offset);
QEMU_API void pcie_ats_init(struct PCIDevice *dev, __u16 offset, bool aligned);
QEMU_API void pcie_pasid_init(struct PCIDevice *dev, __u16 offset, __u8 bits,
			      bool exec, bool priv);
QEMU_API void pcie_pri_init(struct PCIDevice *dev, __u16 offset, __u32 requests,
			    bool with_pasid);
QEMU_API struct AddressSpace *pci_device_iommu_address_space(struct PCIDevice *dev);
QEMU_API ssize_t pci_ats_request_translation(struct PCIDevice *dev, __u32 pasid,
					     bool priv, bool exec,
					     __u64 addr, size_t length,
					     bool no_write,
					     struct qemu_translation *result,
					     size_t nr, __u32 *errors);
QEMU_API int pci_pri_request_page(struct PCIDevice *dev, __u32 pasid, bool priv,
				  bool exec, __u64 addr, bool last,
				  __u16 group, bool is_read, bool is_write);
QEMU_API int pci_pri_register_notifier(struct PCIDevice *dev, __u32 pasid,
				       struct qemu_pri_notifier *n);
QEMU_API int pci_iommu_init_iotlb_notifier(struct PCIDevice *dev, void *n,
					   void (*fn)(void *n,
						      struct qemu_translation *t),
					   void *opaque);
QEMU_API int pci_iommu_register_iotlb_notifier(struct PCIDevice *dev, __u32 pasid,
					       void *n);

/* What register_module_init() calls last, when QEMU's own types are known */
#define QEMU_MODULE_INIT_LAST	0

#endif
