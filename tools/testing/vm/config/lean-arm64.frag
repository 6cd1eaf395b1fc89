# On top of lean.frag: an Arm processor, what QEMU's "virt" has, and nested translation by an SMMUv3.

CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y
CONFIG_PCI_HOST_GENERIC=y
CONFIG_VIRTIO_MMIO=y
CONFIG_ARM_SMMU_V3=y
CONFIG_ARM_SMMU_V3_IOMMUFD=y
CONFIG_FAULT_INJECTION=y
CONFIG_IOMMUFD_TEST=y
CONFIG_VFIO_TEST=y
CONFIG_VFIO_TEST_SMMU=y

# What only other processors have, or what the machine describes by a device tree
# CONFIG_KERNEL_LZ4 is not set
# CONFIG_HYPERVISOR_GUEST is not set
# CONFIG_PARAVIRT is not set
# CONFIG_PVH is not set
# CONFIG_X86_LOCAL_APIC is not set
# CONFIG_X86_IO_APIC is not set
# CONFIG_X86_X2APIC is not set
# CONFIG_EARLY_PRINTK is not set
# CONFIG_UNWINDER_FRAME_POINTER is not set
# CONFIG_SERIAL_8250 is not set
# CONFIG_SERIAL_8250_CONSOLE is not set
# CONFIG_ACPI is not set
# CONFIG_PCI_MMCONFIG is not set
# CONFIG_HOTPLUG_PCI_ACPI is not set
# CONFIG_INTEL_IOMMU is not set
# CONFIG_INTEL_IOMMU_SVM is not set
# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set
# CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON is not set
# CONFIG_IRQ_REMAP is not set
# CONFIG_AMD_IOMMU is not set
# CONFIG_VFIO_PCI_VGA is not set

# What newer kernels have in another way, or always
# CONFIG_DMABUF_MOVE_NOTIFY is not set
