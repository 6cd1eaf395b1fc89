#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's own iommufd and VFIO modules and ours do not mix: modprobe takes ours, and what ours export is in a symbol
# namespace that others do not import, so that the kernel's drivers are refused on ours. KVM finds what it looks for by
# symbol_get(), which asks for no namespace.

NAMESPACE=IOMMUFD_VFIO_OOT
RELEASE=$(uname -r)
number=0

result()
{
	number=$((number + 1))
	echo "$1 $number $2"
}

# Is what the name of the test says so?
check()
{
	name=$1
	shift
	if "$@"; then result ok "$name"; else result "not ok" "$name"; fi
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

# Files of modules by the name that they have in /proc/modules: the kernel's own, and those in updates/
of_kernel()
{
	find "/lib/modules/$RELEASE" -path '*/updates' -prune -o -name '*.ko' -print | grep -E "/$(echo "$1" | sed 's/_/[-_]/g')\.ko$"
}

ours()
{
	modinfo -F filename "$1" 2>/dev/null | grep /updates/
}

is_loaded()
{
	grep -q "^$1 " /proc/modules
}

# A file of a module is refused, and says why in the kernel's log
is_refused()
{
	reason=$3
	echo "vfio_never_mixed: $1" >/dev/kmsg
	if insmod "$2" 2>/dev/null || is_loaded "$1"; then
		rmmod "$1"
		return 1
	fi
	dmesg | tac | sed '/vfio_never_mixed: /q' | grep -q "$1: $reason"
}

imports_namespace()
{
	modinfo -F import_ns "$1" | grep -qx "$NAMESPACE"
}

only_ours_import()
{
	for module in $replaced; do
		imports_namespace "$(ours "$module")" && ! imports_namespace "$(of_kernel "$module")" || return 1
	done
}

# What is loaded has the checksum of our sources, which is not that of the kernel's own
are_loaded()
{
	for module in iommufd $replaced; do
		is_loaded "$module" || return 1
		[ -n "$versions" ] || continue
		version=$(cat "/sys/module/$module/srcversion")
		[ "$version" = "$(modinfo -F srcversion "$(ours "$module")")" ] || return 1
		own=$(of_kernel "$module")
		[ -z "$own" ] || [ "$version" != "$(modinfo -F srcversion "$own")" ] || return 1
	done
}

unload()
{
	modprobe -r vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd 2>/dev/null
	! is_loaded vfio_pci_core && ! is_loaded vfio && ! is_loaded iommufd
}

pci_core_is_back()
{
	modprobe vfio_pci && is_loaded vfio_pci_core
}

all_are_back()
{
	unload && pci_core_is_back && are_loaded
}

kernel_vfio_is_refused()
{
	unload && modprobe -a iommufd irqbypass && is_refused vfio "$(of_kernel vfio)" "module uses symbol .* from namespace $NAMESPACE"
}

our_vfio_is_refused()
{
	unload && insmod "$(of_kernel iommufd)" && is_refused vfio "$(ours vfio)" "Unknown symbol iommufd_"
}

echo "TAP version 13"
[ -n "$(ours vfio_pci_core)" ] || skip_all "the modules are not those of an external build"
[ -n "$(of_kernel vfio_pci_core)" ] || skip_all "the kernel's own vfio-pci-core is not there"
replaced="vfio vfio_pci_core vfio_pci"
modprobe vfio_pci
tests=3
versions='' iommufd=''
[ ! -e /sys/module/vfio_pci_core/srcversion ] || versions=y tests=$((tests + 1))
[ -z "$(of_kernel iommufd)" ] || iommufd=y tests=$((tests + 3))

echo "1..$tests"
check "only ours import the namespace" only_ours_import
[ -z "$versions" ] || check "modprobe takes ours" are_loaded

modprobe -r vfio_pci vfio_pci_core
modprobe -a vfio irqbypass
check "the kernel's vfio-pci-core is refused on our vfio" is_refused vfio_pci_core "$(of_kernel vfio_pci_core)" .
# And ours is not, so that it was not refused for another reason that all have
check "ours is not" pci_core_is_back

if [ -n "$iommufd" ]; then
	check "the kernel's vfio is refused on our iommufd" kernel_vfio_is_refused
	check "ours is refused on the kernel's iommufd" our_vfio_is_refused
	check "on our iommufd it is not" all_are_back
fi
