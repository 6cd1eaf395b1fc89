# SPDX-License-Identifier: GPL-2.0-only
#
# Differences between the kernel whose style the sources have, the newest that Debian has, and the one that is built for:
# compat-differences is a list of macros, at which the headers in compat/include look. $(compat) is this directory.

# A file that other parts of make see: each of them would look anew.
compat-cache := $(if $(KBUILD_EXTMOD),$(obj),$(objtree))/.compat-differences
compat-differences := $(shell $(CONFIG_SHELL) $(compat)/probe.sh $(compat-cache))
compat-status := $(.SHELLSTATUS)
ifeq ($(compat-status),2)
$(error Nothing can be compiled: the lines above say why)
endif
ifneq ($(compat-status),0)
$(error This kernel cannot carry the modules: the lines above say what it lacks. $(compat-advice))
endif
