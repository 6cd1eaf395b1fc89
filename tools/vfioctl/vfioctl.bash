# SPDX-License-Identifier: GPL-2.0-only
# bash completion for vfioctl(8)

_vfioctl_devices()
{
	local path

	for path in /sys/bus/pci/devices/*; do
		printf '%s\n' "${path##*/}"
	done
}

_vfioctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} options

	# An address has colons, which divide words for the shell.
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n : cur prev
	fi
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "list show why check who bind unbind
			restore memlock config open reset vf token persist forget top
			trace test --help --version" -- "$cur")
		return
	fi
	case $prev in
	--for)
		mapfile -t COMPREPLY < <(compgen -W "qemu libvirt cloud-hypervisor dpdk spdk" -- "$cur")
		return ;;
	--as|--user|--owner)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return ;;
	--mode)
		[ "$command" = memlock ] && mapfile -t COMPREPLY < <(compgen -W "user process" -- "$cur")
		return ;;
	--ram|--memlock|--devices|--delay|--iterations|--count|--output|--method|--driver)
		return ;;
	esac
	case $command in
	list) options="--all --group --json --noheadings --output" ;;
	show) options="--probe --json" ;;
	why) options="--all --as --ram --json" ;;
	check) options="--as --ram --json" ;;
	who) options="--json --noheadings --output" ;;
	bind) options="--driver --group --owner --dry-run --force" ;;
	memlock) options="--ram --devices --viommu --mode --user --bytes" ;;
	config) options="--for --fds --user --ram" ;;
	open) options="--user --memlock" ;;
	reset) options="--method --dry-run --force" ;;
	vf) options="--unbound --force" ;;
	token) options="--new --owner" ;;
	persist) options="--driver --owner --mode --by-path --dry-run" ;;
	top) options="--delay --iterations --json --output" ;;
	trace) options="--all --count" ;;
	*) options= ;;
	esac
	case $cur in
	-*) mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur") ;;
	*)
		case $command in
		list|check|restore|memlock|top) return ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$(_vfioctl_devices)" -- "$cur")
		if declare -F __ltrim_colon_completions >/dev/null; then
			__ltrim_colon_completions "$cur"
		fi ;;
	esac
}

complete -F _vfioctl vfioctl
