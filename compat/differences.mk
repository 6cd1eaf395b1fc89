# SPDX-License-Identifier: GPL-2.0-only
#
# Differences between the kernel that the sources are written for, the newest that Debian has, and the one that is
# built for. The headers in compat/include look at the macros that are defined here.

# $(call compat-lacks,NAME,HEADER,WORD): defines COMPAT_LACKS_NAME if the kernel's header has that word.
compat-lacks = $(if $(shell grep -qs '$(3)' $(srctree)/include/$(2) && echo y),-DCOMPAT_LACKS_$(1))
compat-differences := $(call compat-lacks,STRING_NAMESPACES,linux/export.h,__stringify(ns))
