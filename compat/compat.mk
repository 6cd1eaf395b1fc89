# SPDX-License-Identifier: GPL-2.0-only
#
# What an external build has to bring along: a configuration that the kernel's own lacks, our headers before the
# kernel's, and what differs between kernels. README in this directory says how.

# Modules of the kernel's own are left alone for ours, which depmod finds in updates/. What is built in cannot be.
compat-builtin := $(strip $(foreach c,IOMMUFD VFIO VFIO_PCI_CORE VFIO_PCI VFIO_MDEV,$(if $(filter y,$(CONFIG_$(c))),CONFIG_$(c))))
ifneq ($(compat-builtin),)
$(error This kernel, $(KERNELRELEASE), cannot carry the modules, because it has their like built in: $(compat-builtin). \
	Where these are m, modules, or not set, ours can be used)
endif

# The configuration, in Kconfig's words. Each symbol becomes a make variable and a C macro, in all directories.
#
# Of the headers of the kernel itself, these look at one of the symbols (6.12, and all were checked):
#   linux/sched/user.h    locked_vm of struct user_struct exists with IOMMUFD, or NET, or IO_URING, or SECRETMEM.
#                         Every kernel that can boot a distribution has NET, so the layout does not change.
#   linux/iova_bitmap.h   IOMMUFD_DRIVER chooses between prototypes and empty inlines; no struct is concerned.
#   linux/iommufd.h, linux/vfio.h, linux/vfio_pci_core.h    are replaced by ours.
# So a symbol that is defined here cannot change the layout of anything shared with the kernel.
compat-config := IOMMUFD=m IOMMUFD_DRIVER=y IOMMUFD_DRIVER_CORE=y IOMMUFD_VFIO_CONTAINER=y \
	VFIO=m VFIO_GROUP=y VFIO_DEVICE_CDEV=y VFIO_VIRQFD=y VFIO_DEBUGFS=y \
	VFIO_PCI_CORE=m VFIO_PCI=m VFIO_PCI_MMAP=y VFIO_PCI_INTX=y VFIO_MDEV=m

# "make VFIO_NOIOMMU=n": nobody can drive a device that no IOMMU confines, whatever the administrator asks for.
ifneq ($(VFIO_NOIOMMU),n)
compat-config += IOMMUFD_NOIOMMU=y VFIO_NOIOMMU=y
endif

ifeq ($(CONFIG_X86),y)
compat-config += VFIO_PCI_VGA=y VFIO_PCI_IGD=y
endif
ifeq ($(CONFIG_ARM64),y)
compat-config += VFIO_PLATFORM_BASE=m VFIO_PLATFORM=m VFIO_PLATFORM_VIRTIO_MMIO_RESET=m
endif
ifeq ($(CONFIG_ARM_AMBA),y)
compat-config += VFIO_AMBA=m
endif

# The kernel's own IOMMU drivers were built to report what is dirty to nobody, and it has no iova_bitmap. Or it was configured
# for an iommufd of its own, and they report to that one's.
compat-config += IOMMUFD_DRIVERS_SILENT=y
ifeq ($(CONFIG_IOMMUFD_DRIVER),y)
compat-config += IOMMUFD_DRIVERS_FOREIGN=y
endif
# What they find does widen the range that is to be flushed. That is known of the drivers of 6.12, and no others are believed:
# with the page tables that drivers share in newer kernels only what they clear does, which is too late.
ifneq ($(filter 6.12.%,$(KERNELVERSION)),)
ifeq ($(wildcard $(srctree)/include/linux/generic_pt),)
compat-config += IOMMUFD_DRIVERS_GATHER=y
endif
endif

ifeq ($(CONFIG_DMA_SHARED_BUFFER),y)
compat-config += VFIO_PCI_DMABUF=y
endif

# What the kernel exports to modules
compat-symvers := $(wildcard $(objtree)/Module.symvers)
compat-exports := $(if $(compat-symvers),$(shell awk '{ print $$2 }' $(compat-symvers)))

# The kernel's own variant drivers that "make variants" has laid beside ours: those whose device has a driver in this kernel
# that exports what they need. (directory, export, Kconfig symbol)
compat-variant = $(if $(and $(wildcard $(src)/drivers/vfio/pci/$(1)/Makefile),$(filter $(2),$(compat-exports))),$(3)_VFIO_PCI=m)
compat-config += $(call compat-variant,mlx5,mlx5_vf_get_core_dev,MLX5) \
	$(call compat-variant,virtio,virtio_pci_admin_has_legacy_io,VIRTIO) \
	$(call compat-variant,qat,qat_vfmig_create,QAT) \
	$(call compat-variant,pds,pdsc_register_notify,PDS) \
	$(call compat-variant,hisilicon,hisi_qm_init,HISI_ACC)

# "make IOMMUFD_TEST=y": with the mock IOMMU and a software device, for tests; never install that.
ifeq ($(IOMMUFD_TEST),y)
compat-config += IOMMUFD_TEST=y VFIO_TEST=m
endif

compat-name = $(firstword $(subst =, ,$(1)))
compat-value = $(lastword $(subst =, ,$(1)))
$(foreach c,$(compat-config),$(eval export CONFIG_$(c)))
compat-flags := $(foreach c,$(compat-config),\
	-DCONFIG_$(call compat-name,$(c))$(if $(filter m,$(call compat-value,$(c))),_MODULE)=1)

# What to do about a kernel that cannot carry the modules. Its flavour is what follows the numbers in its name.
compat-flavour := $(shell echo '$(KERNELRELEASE)' | sed -n 's/^[0-9][^-]*\(-[0-9]*\)\?-//p')
compat-flavour := $(or $(compat-flavour),amd64)
compat-advice := On Debian 12, install linux-image-6.12-$(compat-flavour) and linux-headers-6.12-$(compat-flavour) \
	from its security archive and boot that kernel; Debian 13 has one that will do

# What cannot be worked around: functions that the kernel must export to modules.
compat-needs := iommu_attach_group_handle iommu_replace_group_handle iommu_detach_group_handle \
	iommu_attach_handle_get iommu_group_claim_dma_owner iommu_device_claim_dma_owner \
	memfd_pin_folios unpin_folios unpin_user_page_range_dirty_lock
ifneq ($(compat-symvers),)
compat-missing := $(filter-out $(compat-exports),$(compat-needs))
ifneq ($(strip $(compat-missing)),)
$(error This kernel, $(KERNELRELEASE), cannot carry the modules: it does not export $(strip $(compat-missing)). $(compat-advice))
endif
endif

compat := $(src)/compat
include $(compat)/differences.mk
compat-flags += $(compat-differences)

# All that ours export is in a namespace of their own, see compat/include/linux/export.h.
compat-flags += -DCOMPAT_NAMESPACE=\"IOMMUFD_VFIO_OOT\"

# Ours first. compat/iommu/iommufd exists so that "../iommu-priv.h", which sources in drivers/iommu/iommufd include from
# the kernel's private directory, is found as compat/iommu/iommu-priv.h; and compat/iommu/iommufd/mock for "../../iommu-priv.h".
NOSTDINC_FLAGS += -I$(src)/compat/include -I$(src)/include -I$(src)/include/uapi
subdir-ccflags-y += $(compat-flags) -include $(src)/compat/compat.h -I$(src)/compat/iommu/iommufd \
	-I$(src)/compat/iommu/iommufd/mock
