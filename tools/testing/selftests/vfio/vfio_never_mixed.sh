#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's own VFIO modules and ours do not mix: what ours export is in a symbol namespace that others do not import, so
# that the kernel's drivers are refused on our vfio. KVM finds what it looks for by symbol_get(), which asks for no namespace.

NAMESPACE=IOMMUFD_VFIO_OOT
RELEASE=$(uname -r)
tests=3
number=0

result()
{
	number=$((number + 1))
	echo "$1 $number $2"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

echo "TAP version 13"
ours=$(modinfo -F filename vfio_pci_core 2>/dev/null)
case $ours in
*/updates/*) ;;
*) skip_all "the modules are not those of an external build" ;;
esac
# The kernel's own lies beside, with the name that it has in /proc/modules
stock=/lib/modules/$RELEASE/vfio_pci_core.ko
[ -e "$stock" ] || skip_all "the kernel's own vfio-pci-core is not there"

echo "1..$tests"
if modinfo -F import_ns "$ours" | grep -qx "$NAMESPACE" && ! modinfo -F import_ns "$stock" | grep -qx "$NAMESPACE"; then
	result ok "only ours imports the namespace"
else
	result "not ok" "only ours imports the namespace"
fi

modprobe -r vfio_pci vfio_pci_core
modprobe -a vfio irqbypass
insmod "$stock" 2>/dev/null
status=$?
if [ $status != 0 ] && ! grep -q '^vfio_pci_core ' /proc/modules; then
	result ok "the kernel's vfio-pci-core is refused on our vfio"
else
	result "not ok" "the kernel's vfio-pci-core is refused on our vfio"
	rmmod vfio_pci_core
fi

# And ours is not, so that it was not refused for another reason that all have
if modprobe vfio_pci && grep -q '^vfio_pci_core ' /proc/modules; then
	result ok "ours is not"
else
	result "not ok" "ours is not"
fi
