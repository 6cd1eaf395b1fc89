#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The demo, as it runs on the machine with the devices: prints a report and
# exits 0 only if every line of it says ok. It also runs on real hardware, if
# that has an edu device. Needs root.
#
#	guest.sh TOOLS CONFIG BLOCKS SHA256 BLOCK
#
#	TOOLS	directory of vfioctl, vfio-edu and vfio-nvme
#	CONFIG	the running kernel's build configuration, as its package ships it
#	BLOCKS	first:count, the blocks of the NVMe disk with known contents
#	SHA256	their checksum
#	BLOCK	a block that may be overwritten
#
# If VM_OUT names a directory, the blocks are left there, in the file "blocks".

set -u
if [ $# -ne 5 ]; then
	sed -n 's/^#\t\(guest.sh.*\)/usage: \1/p' "$0" >&2
	exit 2
fi
tools=$1 config=$2 blocks=$3 sha256=$4 scratch=$5
modules="iommufd vfio vfio_pci_core vfio_pci"
devices=/sys/bus/pci/devices
failures=0

title()  { printf '\n%s\n' "$*"; }
ok()     { printf '  ok      %s\n' "$*"; }
failed() { printf '  FAILED  %s\n' "$*"; failures=$((failures + 1)); }
info()   { printf '          %s\n' "$*"; }

# check SENTENCE COMMAND...: the sentence is true if the command succeeds.
check()
{
	local sentence=$1

	shift
	if "$@"; then ok "$sentence"; else failed "$sentence"; fi
}

# A program that prints lines like ours, and whose exit status sums them up.
part() { "$@" || failures=$((failures + 1)); }

driver_of()
{
	local driver

	driver=$(readlink "$devices/$1/driver") && echo "${driver##*/}" || echo none
}

group_of()
{
	local group

	group=$(readlink "$devices/$1/iommu_group") && echo "${group##*/}" || echo none
}

find_device()		# VENDOR DEVICE; 0xffff... as sysfs writes it
{
	local dev

	for dev in "$devices"/*; do
		if [ "$(<"$dev/vendor") $(<"$dev/device")" = "$1 $2" ]; then
			echo "${dev##*/}"
			return
		fi
	done
}

find_nvme()		# the class is "NVM Express"
{
	local dev

	for dev in "$devices"/*; do
		if [ "$(<"$dev/class")" = 0x010802 ]; then
			echo "${dev##*/}"
			return
		fi
	done
}

is() { [ "$1" = "$2" ]; }
quietly() { "$@" >/dev/null; }

# "acquired released": how many page pins there have been since boot.
pins()
{
	local name value acquired=0 released=0

	# The counters are kept per CPU; this sums them up.
	echo 1 >/proc/sys/vm/stat_refresh
	while read -r name value; do
		case $name in
		nr_foll_pin_acquired) acquired=$value ;;
		nr_foll_pin_released) released=$value ;;
		esac
	done </proc/vmstat
	echo "$acquired $released"
}

use_counts()
{
	local module counts=

	for module in $modules; do
		counts+="${counts:+, }$module $(</sys/module/"$module"/refcnt)"
	done
	echo "$counts"
}

# What the kernel has logged since the last mark.
mark() { mark="demo mark $RANDOM$RANDOM"; echo "$mark" >/dev/kmsg; }
log_since_mark() { dmesg | sed "1,/$mark/d"; }

# ---------------------------------------------------------------------------

title "1. The machine"

info "kernel       $(uname -r) ($(sed 's/.*#/#/' /proc/version))"
if [ -r "$config" ]; then
	line=$(grep -w CONFIG_IOMMUFD "$config")
	if [ "$line" = CONFIG_IOMMUFD=m ]; then
		check "its own configuration says: $line, and modprobe takes ours before it" \
			is "$(modinfo -F filename iommufd)" "/lib/modules/$(uname -r)/updates/iommufd.ko"
	else
		check "its own configuration says: ${line:-nothing of CONFIG_IOMMUFD}" \
			is "${line:-# CONFIG_IOMMUFD is not set}" "# CONFIG_IOMMUFD is not set"
	fi
else
	failed "cannot read its configuration, $config"
fi

for module in iommufd vfio vfio-pci; do
	modprobe $module || failed "modprobe $module"
done
modprobe nvme
check "our modules are loaded: $(echo "$modules" | tr _ -)" \
	test -d /sys/module/iommufd -a -d /sys/module/vfio_pci
check "and there is /dev/iommu" test -c /dev/iommu

iommus=$(ls -x /sys/class/iommu 2>/dev/null)
check "IOMMU: ${iommus:-none}, with $(ls /sys/kernel/iommu_groups | wc -l) groups" \
	test -n "$iommus"

edu=$(find_device 0x1234 0x11e8)
nvme=$(find_nvme)
if [ -z "$edu" ] || [ -z "$nvme" ]; then
	failed "no edu device, or no NVMe controller"
fi
if [ $failures -ne 0 ]; then
	printf '\nThe demo cannot go on without that.\n'
	exit 1
fi
edu_driver=$(driver_of "$edu")
nvme_driver=$(driver_of "$nvme")
info "edu   $edu  group $(group_of "$edu")  driver $edu_driver"
info "nvme  $nvme  group $(group_of "$nvme")  driver $nvme_driver"

pins_before=$(pins)
counts_before=$(use_counts)

# ---------------------------------------------------------------------------

title "2. edu: DMA and an interrupt, from user space"

quietly "$tools/vfioctl" bind "$edu"
check "bound to vfio-pci: $(ls "$devices/$edu/vfio-dev" 2>/dev/null) is its character device" \
	is "$(driver_of "$edu")" vfio-pci
part "$tools/vfio-edu" --step registers --step dma --step irq "$edu"

# ---------------------------------------------------------------------------

title "3. nvme: a disk driver in user space"

quietly "$tools/vfioctl" bind "$nvme"
check "taken from its kernel driver, bound to vfio-pci: $(ls "$devices/$nvme/vfio-dev" 2>/dev/null)" \
	is "$(driver_of "$nvme")" vfio-pci
part "$tools/vfio-nvme" --read "$blocks" --expect "$sha256" --write "$scratch" \
	${VM_OUT:+--save "$VM_OUT/blocks"} "$nvme"

# ---------------------------------------------------------------------------

title "4. Protection: what is not mapped is out of reach"

mark
# Whoever judges this log must know that these are asked for.
for device in "$edu" "$nvme"; do echo "DMA faults of $device begin" >/dev/kmsg; done
part "$tools/vfio-edu" --brief --step protect "$edu"
part "$tools/vfio-nvme" --brief --protect "$nvme"
for device in "$edu" "$nvme"; do echo "DMA faults of $device end" >/dev/kmsg; done
faults=$(log_since_mark | grep -E "DMAR: \[|IO_PAGE_FAULT|smmu.*event 0x")
count=$(echo -n "$faults" | grep -c .)
check "the IOMMU reported it; its driver logged $count faults (at most 10 in 5 s), the first:" \
	test "$count" -gt 0
[ "$count" -gt 0 ] && info "$(echo "$faults" | head -n 1 | sed 's/^\[ *[0-9.]*\] //')"
check "the machine goes on: after that edu works as before" \
	quietly "$tools/vfio-edu" --step dma "$edu"

# ---------------------------------------------------------------------------

title "5. Nothing leaks, and the host gets its devices back"

part "$tools/vfio-edu" --brief --step memlock "$edu"

quietly "$tools/vfioctl" unbind "$edu"
quietly "$tools/vfioctl" unbind "$nvme"
check "edu is back with its host driver ($edu_driver)" is "$(driver_of "$edu")" "$edu_driver"
check "nvme is back with its host driver ($nvme_driver)" is "$(driver_of "$nvme")" "$nvme_driver"

disk=
for _ in $(seq 100); do
	disk=$(basename "$devices/$nvme"/nvme/nvme*/nvme*n1)
	[ -b "/dev/$disk" ] && break
	sleep 0.1
done
if [ -b "/dev/$disk" ]; then
	bytes=$(<"/sys/block/$disk/queue/logical_block_size")
	sum=$(dd if="/dev/$disk" bs="$bytes" skip="${blocks%:*}" count="${blocks#*:}" status=none |
		sha256sum | cut -d ' ' -f 1)
	check "the kernel's driver reads the same blocks with the same checksum" is "$sum" "$sha256"
	sum=$(dd if="/dev/$disk" bs="$bytes" skip="$scratch" count=1 status=none | sha256sum)
	mine=$(yes "vfio-nvme wrote block $scratch. " | tr -d '\n' | head -c "$bytes" | sha256sum)
	check "and finds in block $scratch what the userspace driver wrote there" is "$sum" "$mine"
else
	failed "the kernel's driver found no disk within 10 s"
fi

read -r acquired_before released_before <<<"$pins_before"
read -r acquired released <<<"$(pins)"
acquired=$((acquired - acquired_before))
released=$((released - released_before))
check "$acquired pages were pinned for DMA, $released unpinned" \
	test "$acquired" -gt 0 -a "$acquired" -eq "$released"
check "use counts of the modules are as before: $counts_before" is "$(use_counts)" "$counts_before"

echo
if [ $failures -eq 0 ]; then
	echo "All of it is true."
else
	echo "NOT all of it is true: see FAILED above."
fi
exit $((failures > 0))
