# SPDX-License-Identifier: GPL-2.0-only
#
# Included by each Makefile of ours in a kernel tree that is older than the sources' style ("make tree" adds the line):
# what differs in that kernel. The kernel's own files do not see it.

compat := $(srctree)/compat
include $(srctree)/compat/differences.mk

ccflags-y += $(compat-differences)

# Until 6.15 the IOMMU core asked nobody where an interrupt is to be mapped.
ifneq ($(filter %_PASID_REPLACE,$(compat-differences)),)
CONFIG_IOMMUFD_SW_MSI :=
endif
ifeq ($(filter -I$(srctree)/compat/include,$(NOSTDINC_FLAGS)),)
NOSTDINC_FLAGS += -I$(srctree)/compat/include
endif
