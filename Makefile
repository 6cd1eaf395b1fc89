# SPDX-License-Identifier: GPL-2.0-only
#
# "make" builds the modules for KDIR, a kernel or its headers. "make help" lists what else there is.
# (Kbuild is what the kernel's build system reads when it is pointed at this directory.)

VM := tools/testing/vm/vm
RUNNING := $(shell uname -r)

# Without KDIR: the running kernel's headers; if it has none, Debian 13's, built in the harness' Debian root.
KDIR ?= $(wildcard /lib/modules/$(RUNNING)/build)
ifneq ($(KDIR),)
KREL := $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
else
KREL = $(notdir $(lastword $(wildcard build/modules/*)))
endif

MODULES = $(wildcard build/modules/$(KREL)/*.ko)
MODROOT := $(DESTDIR)$(INSTALL_MOD_PATH)
MODDIR = $(MODROOT)/lib/modules/$(KREL)/updates
UDEVDIR := $(MODROOT)/etc/udev/rules.d
MODPROBEDIR := $(MODROOT)/etc/modprobe.d
# An initramfs that loads vfio early has a copy of the modules.
INITRD = /boot/initrd.img-$(KREL)
REFRESH_INITRD = @! lsinitramfs $(INITRD) 2>/dev/null | grep -q '/vfio[^/]*\.ko' || update-initramfs -u -k $(KREL)
# Does dpkg know the package there? Both would put modules, rules and settings into place.
PACKAGED = $(shell dpkg-query --root=$(or $(MODROOT),/) -W -f '$${db:Status-Status}' iommufd-vfio-dkms 2>/dev/null)
INSTALLED := $(addsuffix .ko,$(file <packaging/modules))
# What is built for arm64 besides
INSTALLED += $(addsuffix .ko,vfio-platform-base vfio-platform vfio-platform-virtio-mmio vfio-amba)
# Of the kernel's own variant drivers, those that "make variants" may build, and the directories that they have there
INSTALLED += $(addsuffix .ko,mlx5-vfio-pci virtio-vfio-pci qat_vfio_pci pds-vfio-pci hisi-acc-vfio-pci)
VARIANTS := mlx5 virtio qat pds hisilicon
SERIES = $(shell echo '$(KREL)' | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
LINUX_SOURCE = /usr/src/linux-source-$(SERIES).tar.xz
# vfioctl, if it has been built
PREFIX ?= /usr/local
SBINDIR := $(MODROOT)$(PREFIX)/sbin
MANDIR := $(MODROOT)$(PREFIX)/share/man/man8
COMPLETIONDIR := $(MODROOT)$(PREFIX)/share/bash-completion/completions
HOOKDIR := $(MODROOT)/etc/initramfs-tools/hooks

.DEFAULT_GOAL := all
.PHONY: all modules variants tools install uninstall deb tree kernel-lean kernel-debug kunit vm-shell demo bench bench-vfio check check-static check-kunit \
	check-stock check-more check-models check-clients check-kernels check-installed check-package check-debug check-all check-ci fuzz mutate clean distclean help

all: modules ## (default) the same as modules

ifneq ($(KDIR),)
modules: ## Build the modules for KDIR (default: the running kernel, else Debian 13's) into build/modules/
	@mkdir -p build/external/$(KREL) build/modules/$(KREL)
	@cp -au Kbuild compat drivers include build/external/$(KREL)/
	$(MAKE) -C $(KDIR) M=$(CURDIR)/build/external/$(KREL) modules
	@cp -u $$(find build/external/$(KREL) -name '*.ko') build/modules/$(KREL)/
else
modules:
	@$(VM) modules
endif

variants: ## Build besides the kernel's own variant drivers, such as mlx5's, from Debian's linux-source-* (LINUX_SOURCE) for KDIR
	@test -e $(LINUX_SOURCE) || { echo "There is no $(LINUX_SOURCE), with the drivers' sources: apt install linux-source-$(SERIES)" >&2; \
		exit 1; }
	@mkdir -p build/external/$(KREL)
	tar -xf $(LINUX_SOURCE) -C build/external/$(KREL) --strip-components=1 \
		$(addprefix $(basename $(basename $(notdir $(LINUX_SOURCE))))/drivers/vfio/pci/,$(VARIANTS))
	$(MAKE) modules

tools: ## Build vfioctl, its manual page and the example programs into build/tools/ (tools/Makefile has what it takes)
	$(MAKE) -C tools

install: ## Install the built modules over the stock ones, with udev rules and modprobe settings (DESTDIR, INSTALL_MOD_PATH)
	@test -n "$(MODULES)" || { echo "nothing is built for kernel '$(KREL)': run make first" >&2; exit 1; }
	@test "$(PACKAGED)" != installed || { echo "The package iommufd-vfio-dkms is installed, which 'make install' would" \
		"fight with. Stay with it, or remove it first: apt purge iommufd-vfio-dkms" >&2; exit 1; }
	install -d $(MODDIR) $(UDEVDIR) $(MODPROBEDIR)
	install -m 644 $(filter $(addprefix %/,$(INSTALLED)),$(MODULES)) $(MODDIR)/
	install -m 644 packaging/60-iommufd-vfio.rules $(UDEVDIR)/
	install -m 644 packaging/iommufd-vfio.conf $(MODPROBEDIR)/
ifneq ($(wildcard build/tools/vfioctl),)
	install -d $(SBINDIR) $(MANDIR) $(COMPLETIONDIR) $(HOOKDIR)
	install -m 755 build/tools/vfioctl $(SBINDIR)/
	install -m 644 build/tools/vfioctl.8 $(MANDIR)/
	install -m 644 tools/vfioctl/vfioctl.bash $(COMPLETIONDIR)/vfioctl
	install -m 755 packaging/initramfs-hook $(HOOKDIR)/vfioctl
endif
	$(if $(DESTDIR),,depmod -b $(or $(INSTALL_MOD_PATH),/) $(KREL))
	$(if $(MODROOT),,-udevadm control --reload 2>/dev/null)
	$(if $(MODROOT),,$(REFRESH_INITRD))
	@echo "Installed for kernel $(KREL). If vfio modules are in use now, reboot or unload them first."

uninstall: ## Take away what install put there; the stock modules are in effect again
	rm -f $(addprefix $(MODDIR)/,$(INSTALLED))
	ls $(MODROOT)/lib/modules/*/updates/iommufd.ko >/dev/null 2>&1 || \
		rm -f $(UDEVDIR)/60-iommufd-vfio.rules $(MODPROBEDIR)/iommufd-vfio.conf $(SBINDIR)/vfioctl \
			$(MANDIR)/vfioctl.8 $(COMPLETIONDIR)/vfioctl $(HOOKDIR)/vfioctl
	-rmdir $(MODDIR) 2>/dev/null
	$(if $(DESTDIR),,depmod -b $(or $(INSTALL_MOD_PATH),/) $(KREL))
	$(if $(MODROOT),,$(REFRESH_INITRD))

deb: ## Build the Debian packages, which build the modules for every kernel by dkms, into build/deb/
	@$(VM) deb

tree: ## Lay the sources over Debian's kernel source; print where
	@$(VM) tree

kernel-lean: ## Build the lean in-tree kernel, for measuring
	@$(VM) kernel lean

kernel-debug: ## Build the in-tree kernel with KASAN, lockdep, kmemleak, fault injection
	@$(VM) kernel debug

kunit: ## Run the KUnit suites on User-mode Linux (SUITE=glob for some of them)
	@$(VM) kunit $(SUITE)

vm-shell: ## A shell in a virtual machine: stock kernel, our modules, edu and nvme bound to vfio-pci
	@$(VM) shell --device edu --device nvme --load vfio-pci --bind edu --bind nvme

demo: ## Show, in a virtual machine with a stock kernel, a device doing DMA through /dev/iommu
	@tools/demo/run

check: ## The tests: builds, static checks, KUnit, selftests in virtual machines, demo
	@$(VM) check

check-static: ## Only W=1 builds, sparse, checkpatch, kernel-doc
	@$(VM) check static

check-kunit: ## Only the KUnit suites
	@$(VM) check kunit

check-stock: ## Only the selftests on the stock kernel
	@$(VM) check stock

check-more: ## Races on the debug kernel, each IOMMU that QEMU has, huge objects, mainline's own selftests, a short run of the fuzzer
	@$(VM) check more

check-models: ## Only a few selftests on each IOMMU that QEMU has: what devices reach, and no longer reach
	@$(VM) check models

check-clients: ## Only QEMU, a Linux inside it, and DPDK, unmodified, as users of our modules
	@$(VM) check clients

check-kernels: ## Only what is built for each of Debian's kernels, all selftests on the newest, a few on the others
	@$(VM) check kernels

check-installed: ## Only 'make install' and the Debian packages on Debian 13 systems with their own initramfs and udev, over reboots
	@$(VM) check installed packages

check-package: ## Only the Debian packages: apt, dkms, updates of the kernel, removal; dracut, Debian 12
	@$(VM) check packages

check-all: ## Everything that is tested here: all of the others, in two and a half hours or so
	@$(VM) check all

check-ci: ## What CI runs: everything but what is more of the same, in an hour
	@$(VM) check ci

check-debug: ## Only the selftests on the debug kernel
	@$(VM) check debug

fuzz: ## Fuzz the ioctls on User-mode Linux with sanitizers (SECONDS=600; ON=debug: in a virtual machine; ARGS=--help)
	@$(VM) fuzz --seconds $(or $(SECONDS),600) --kernel $(or $(ON),uml) $(ARGS)

mutate: ## Do the tests notice small faults? Hours; what an earlier run noticed is not run again (ARGS=--help)
	@tools/testing/mutate/mutate.py $(ARGS)

bench: ## Measure map, unmap, copy and attach beside mainline's iommufd and type 1, in instructions (ARGS=--help)
	@tools/testing/bench/run.py $(ARGS)

bench-vfio: ## Measure regions, interrupts, opening and closing beside Debian's own vfio-pci, likewise
	@tools/testing/bench/vfio.py $(ARGS)

clean: ## Remove build/; downloads, kernels and the Debian root stay
	@$(VM) clean

distclean: ## Remove build/ and the cache (downloads, Debian root, kernels), which other clones share
	@$(VM) clean --all

help: ## This list
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/\1\t\2/p' Makefile | expand -t 15
