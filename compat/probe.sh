#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# probe.sh CACHE: compile each file of probes/ as a file of the kernel that is built for, and print
# -DCOMPAT_LACKS_NAME for each that does not compile. Kbuild's variables, in the environment, say how. What was found is
# kept in the file CACHE and printed again until the compiler, its options, the kernel's headers or the probes change.
# Exits with 1 if the kernel is another than the ones it is for, with 2 if nothing can be compiled.

here=$(dirname "$0")
cache=$1
: "${srctree:?}" "${objtree:?}"

# Words of a shell, as make hands them to one: some have quotes.
flags="$NOSTDINC_FLAGS $LINUXINCLUDE -include $srctree/include/linux/compiler_types.h $KBUILD_CPPFLAGS $KBUILD_CFLAGS \
	-DMODULE -DKBUILD_MODNAME='\"probe\"' -DKBUILD_BASENAME='\"probe\"' -D__KBUILD_MODNAME=kmod_probe \
	-DKBUILD_MODFILE='\"probe\"' -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion"

probed_headers=$(sed -n 's|^#include <\(.*\)>|'"$srctree"'/include/\1|p' "$here"/probes/*.c | sort -u)
key=$({
	echo "$CC $flags"
	$CC --version
	cat "$0" "$here"/probes/*.c "$objtree/include/config/auto.conf" "$objtree/include/generated/utsrelease.h"
	stat -L -c '%n %Y %s' $probed_headers
} 2>/dev/null | cksum)

if [ "$(sed -n 1p "$cache" 2>/dev/null)" = "$key" ]; then
	sed 1d "$cache"
	exit
fi

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

compiles()
{
	# No output file: the same options make the compiler read, and nothing else.
	eval "$CC $flags -fsyntax-only \"\$1\"" >"$2" 2>&1
}

for probe in "$here"/probes/*.c; do
	name=$(basename "$probe" .c)
	compiles "$probe" "$scratch/$name.log" && : >"$scratch/$name.has" &
done
wait

if [ ! -e "$scratch/control.has" ]; then
	: >"$scratch/empty.c"
	if ! compiles "$scratch/empty.c" "$scratch/empty.log"; then
		cat "$scratch/empty.log" >&2
		exit 2
	fi
	grep error "$scratch/control.log" >&2
	exit 1
fi
{
	echo "$key"
	for probe in "$here"/probes/*.c; do
		name=$(basename "$probe" .c)
		[ -e "$scratch/$name.has" ] || echo "-DCOMPAT_LACKS_$(echo "$name" | tr a-z A-Z)"
	done
} >"$scratch/found"
mkdir -p "$(dirname "$cache")"
cp "$scratch/found" "$cache.$$" && mv "$cache.$$" "$cache"
sed 1d "$scratch/found"
