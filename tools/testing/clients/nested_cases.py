# SPDX-License-Identifier: GPL-2.0-only
"""
A Linux as QEMU's guest, behind a VT-d of QEMU's whose first-stage tables QEMU has the kernel nest: its guest's tables
translate for our pasid-testdev, which goes through both stages itself.
"""

import re
import statistics
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from linux_cases import MEGABYTES, initramfs, kernel
from machine import Missing, Wrong, expect, probed, some, traced, wait_for
from qemu import HERE, version
from qemu_cases import iommufd, nested_kvm, started

PROGRAM = "inner-nested"
SELFTEST = HERE.parent / "selftests/vfio/vfio_pci_walk"
VTD = "intel-iommu,caching-mode=on,scalable-mode=on,fsts=on,aw-bits=48,intremap=off"
APPEND = "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable intel_iommu=on,sm_on iommu.strict=1"
EVENTS = "attach", "replace", "detach", "invalidate", "destroy"
# What takes the guest at least: vfio_pci_walk changes tables 32 times, and unmaps 33 times
LEAST = {"attach": 33, "replace": 1, "detach": 33, "invalidate": 33, "destroy": 33}
SOME = 5
SINCE = 11, 1
# What is timed: the functions that answer the ioctls
TIMED = {"alloc": "iommufd:iommufd_hwpt_alloc_ioctl", "invalidate": "iommufd:iommufd_hwpt_invalidate",
         "attach": "vfio:vfio_df_ioctl_attach", "detach": "vfio:vfio_df_ioctl_detach"}


def libraries(program):
    shown = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r"(/\S+) \(0x", shown)


class Times:
    """How long calls of functions took, in seconds."""

    def __init__(self, stack):
        events = [stack.enter_context(probed(f"{kind}:clients_{name}_{kind} {function}"))
                  for name, function in TIMED.items() for kind in "pr"]
        self.trace = stack.enter_context(traced(*events))

    def of(self, name):
        begun, took = {}, []
        for task, at, kind in re.findall(rf"(?m)^ *(\S.*?-\d+) .*? (\d+\.\d+): clients_{name}_([pr]):", self.trace.text()):
            if kind == "p":
                begun[task] = float(at)
            elif task in begun:
                took.append(float(at) - begun.pop(task))
        return took


def table_of(client):
    """What fdinfo says of the device's DMA: "nested", "parent" or None; and how many nested tables there are."""
    text, = client.iommufds()
    nested = re.findall(r"(?m)^object:\t(\d+) hwpt .*nested parent=", text)
    on = re.search(r"(?m)^device-\d+-hwpts:\t(\d+)", text)
    return on and ("nested" if on.group(1) in nested else "parent"), len(nested)


def counted(trace):
    """How many there are of each event. All of them succeeded; an invalidation was of one entry of VT-d's type."""
    numbers = Counter()
    for event, told in re.findall(r"(?m): iommufd_(\w+): (.*)$", trace.text()):
        if not told.endswith(" rc=0") or event == "invalidate" and " type=0x0 entries=1 done=1 " not in told:
            raise Wrong(f"{event}: {told}")
        numbers[event] += 1
    return numbers


class Guest:
    """The Linux in a QEMU, by what it says on its console."""

    def __init__(self, client, said):
        self.client, self.path = client, said

    def said(self):
        return self.path.read_text(errors="replace").replace("\r", "") if self.path.exists() else ""

    def wait(self, what, test):
        """Until test() gives something true, unless the guest or QEMU fails."""
        def checked():
            expect("status of QEMU", self.client.process.poll(), None)
            if "inner-nested: failed" in self.said() or "Kernel panic" in self.said():
                raise Wrong("the guest has failed")
            return test()

        try:
            wait_for(what, checked, 240)
        except Wrong as err:
            raise Wrong(f"{err}; its console: {self.said()[-2500:]}") from None

    def wait_for_table(self, kind, number):
        self.wait(f"DMA through {kind}, and {number} nested tables", lambda: table_of(self.client) == (kind, number))


def nested():
    """The guest maps, unmaps and changes address spaces; then it is reset, and when it does that again, QEMU is killed."""
    device, = some("pasid-testdev", 1)
    accel = nested_kvm()
    device.give("vfio-pci")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        times = Times(stack)
        history = stack.enter_context(traced(*[f"iommufd/iommufd_{event}" for event in EVENTS]))
        folder = Path(name)
        args = ["-device", VTD, "-kernel", kernel(), "-serial", f"file:{folder}/said", "-append", APPEND,
                "-initrd", initramfs(folder, PROGRAM, ["vfio-pci"], [SELFTEST, *libraries(SELFTEST)])]
        with started(iommufd, device, more=args, machine="q35", accel=accel, megabytes=MEGABYTES) as client:
            guest = Guest(client, folder / "said")
            guest.wait("the inner Linux", lambda: "inner-nested: done" in guest.said())
            told = re.findall(r"(?m)^# \d+ (?:times|pages) .*", guest.said())
            print("\n".join(told))
            if " SKIP" in guest.said() or len(told) != 3 or sum(" through nested tables" in line for line in told) != 2:
                raise Wrong(f"not through nested tables: {guest.said()[-2500:]}")
            guest.wait_for_table("nested", 1)
            # QEMU nested each table of the guest's, and took it away
            first = counted(history)
            print("# " + ", ".join(f"{number} {event}" for event, number in first.items()))
            for event, least in LEAST.items():
                if first[event] < least:
                    raise Wrong(f"{first[event]} of {event}, and {least} are needed")
            client.command("system_reset")
            guest.wait_for_table("parent", 0)
            guest.wait_for_table("nested", 1)
            guest.wait("the inner Linux to change address spaces",
                       lambda: counted(history)["attach"] >= first["attach"] + SOME)
            client.kill()
        # The VT-d was turned on, off and on again.
        expect("number of replace", counted(history)["replace"], 3)
        for name in TIMED:
            took = times.of(name)
            print(f"# {name}: {len(took)} calls, median {statistics.median(took) * 1e6:.0f} us, "
                  f"longest {max(took) * 1e6:.0f} us")


def without_nesting():
    """Behind a VT-d that does not nest: refused, in words."""
    if version() < SINCE:
        raise Missing("this QEMU does not nest")
    device, = some("edu", 1)
    device.give("vfio-pci")
    with started(iommufd, device, more=["-device", VTD], machine="q35") as client:
        print("# " + client.refused("Failed to allocate hwpt: Operation not supported").splitlines()[-1])


CASES = {"without nesting": without_nesting}
# Of the machine whose VT-d nests
NESTED_CASES = {"nested iommufd": nested}
