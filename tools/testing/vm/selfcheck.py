# SPDX-License-Identifier: GPL-2.0-only
"""Does the harness see what it is there to see? Its parsers on samples, and runs that have to fail."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import guest
import ktap
import logscan
import machine
import plan
import static
import verdict
from kernels import KERNELS
from report import single
from util import HERE, REPO, Fail

sys.path.append(str(HERE.parent / "static"))
import layers		# noqa: E402

BAD_LINES = """
[    1.0] WARNING: CPU: 0 PID: 1 at drivers/iommu/iommufd/pages.c:100 iopt_unfill+0x1/0x2
[    1.0] BUG: KASAN: slab-use-after-free in iommufd_object_put+0x10/0x20
[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.0] Oops: Oops: 0000 [#1] PREEMPT SMP KASAN
[    1.0] kernel BUG at mm/slub.c:1!
[    1.0] Kernel panic - not syncing: Fatal exception
[    1.0] WARNING: possible circular locking dependency detected
[    1.0] WARNING: suspicious RCU usage
[    1.0] WARNING: inconsistent lock state
[    1.0] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1
[    1.0] BUG: scheduling while atomic: a/1/0x00000002
[    1.0] UBSAN: shift-out-of-bounds in drivers/vfio/vfio_main.c:1:2
[    1.0] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[    1.0] refcount_t: underflow; use-after-free.
[    1.0] INFO: task test:1 blocked for more than 122 seconds.
[    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[    1.0] ODEBUG: free active (active state 0) object: 0 object type: work_struct hint: f+0x0/0x1
[    1.0] list_del corruption. prev->next should be 1, but was 2.
[    1.0] general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1]
[    1.0] irq 16: nobody cared (try booting with the "irqpoll" option)
[    1.0][    T9] WARNING: CPU: 1 PID: 2 at a.c:1
""".strip().splitlines()

# Errors of IOMMUs, which no test asks for
IOMMU_LINES = """
[    1.0] DMAR: VT-d detected Invalidation Queue Error: Reason 0
[    1.0] DMAR: VT-d detected Invalidation Time-out Error: SID 10
[    1.0] DMAR: QI HEAD: IOTLB Invalidation qw0 = 0x100012, qw1 = 0x13
[    1.0] DMAR: QI PRIOR: Invalidation Wait qw0 = 0x200000025, qw1 = 0x1001000
[    1.0] DMAR: Invalidation Queue Error (IQE) cleared
[    1.0] DMAR: DRHD: handling fault status reg 10
[    1.0] DMAR: ERROR: DMA PTE for vPFN 0x1000 already set (to 1003 not 2003)
[    1.0] DMAR: Invalid input npages = 0
[    1.0] DMAR: [INTR-REMAP] Request device [00:02.0] fault index 0x10 [fault reason 0x22] Present field is clear
[    1.0] AMD-Vi: Completion-Wait loop timed out
[    1.0] AMD-Vi: Command buffer timeout
[    1.0] pci 0000:00:00.2: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:00:02.0 pasid=0x00000 address=0x0 flags=0x0000]
[    1.0] pci 0000:00:00.2: AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x1000]
[    1.0] virtio_iommu virtio0: unknown fault from EP 16 at 0x1000 [W]
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ error (cons 0x1000001): Illegal command
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ timeout
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: unexpected global error reported (0x00000001), this could be serious
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: command queue full
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x03 received:
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:
[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: event: C_BAD_STE client: 0000:00:02.0 sid: 0x10 ssid: 0x0
[    1.0] arm-smmu 5000000.iommu: TLB sync timed out -- SMMU may be deadlocked
[    1.0] arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x2, iova=0x00001000, fsynr=0x1, cbfrsynra=0x1, cb=0
[    1.0] iommu: unaligned: iova 0x1000 pa 0x1001 size 0x1000 min_pagesz 0x1000
""".strip().splitlines()

# What DMA of 00:02.0 to where it may not go gives, which a test may ask for
FAULT_LINES = """
[    1.5] DMAR: DRHD: handling fault status reg 2
[    1.5] DMAR: DRHD: handling fault status reg 503
[    1.5] DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1000 [fault reason 0x05] PTE Write access is not set
[    1.5] DMAR: [DMA Read PASID 0x0] Request device [00:02.0] fault addr 0x1000 [fault reason 0x71] SM: Present bit
[    1.5] DMAR: [DMA Read NO_PASID] Request device [0000:00:02.0] fault addr 0x1000 [fault reason 0x06] PTE Read access is not set
[    1.5] vfio-pci 0000:00:02.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0001 address=0x1000 flags=0x0020]
[    1.5] AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:02.0 domain=0x0001 address=0x1000 flags=0x0020]
[    1.5] virtio_iommu virtio0: page fault from EP 16 at 0x1000 [W]
[    1.5] virtio_iommu virtio0: domain fault from EP 16
[    1.5] arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: 0000:00:02.0 sid: 0x10 ssid: 0x0 iova: 0x1000 ipa: 0x0
""".strip().splitlines()

# The same by an SMMUv3: what 6.12 says, and what newer kernels add to that
SMMU_EVENT = """
[    1.5] %(smmu)s: event 0x%(event)02x received:
[    1.5] usb 1-1: something else
[    1.5] %(smmu)s: \t0x00000010000000%(event)02x
[    1.5] %(smmu)s: \t0x0000020800000000
[    1.5] %(smmu)s: \t0x0000000007650000
[    1.5] %(smmu)s: \t0x0000000000000000
"""
SMMU_EVENT_TOLD = """
[    1.5] %(smmu)s: event: %(name)s client: 0000:00:02.0 sid: 0x10 ssid: 0x0 iova: 0x7650000 ipa: 0x0
[    1.5] %(smmu)s: unpriv data write s1 "Input address caused fault" stag: 0x0
"""

GOOD_LINES = """
[    0.0] Kernel command line: console=ttyS0 oops=panic panic=-1 rcupdate.rcu_cpu_stall_timeout=120
[    0.0] DMAR: Intel(R) Virtualization Technology for Directed I/O
[    1.0] iommufd: loading out-of-tree module taints kernel.
[    1.0] vfio-pci 0000:00:02.0: refused: reserved IOVA
[    1.0] kmemleak: Kernel memory leak detector initialized (mem pool available: 14911)
[    1.0] DMA-API: preallocated 65536 debug entries
[    1.0] DMAR: IOMMU enabled
[    1.0] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c222f0686 ecap f00fda
[    1.0] DMAR-IR: Queued invalidation will be enabled to support x2apic and Intr-remapping.
[    1.0] DMAR: IOMMU batching disallowed due to virtualization
[    1.0] AMD-Vi: Interrupt remapping enabled
[    1.0] virtio_iommu virtio0: input address: 64 bits
[    1.0] DMA faults of 0000:00:02.0 begin
[    1.0] debug_vm_pgtable: [debug_vm_pgtable         ]: Validating architecture page table helpers
""".strip().splitlines()


class Parsers(unittest.TestCase):
    """Of the harness' parts what can be tried without a guest"""

    def test_no_circle_of_modules(self):
        uses = {}
        for path in HERE.glob("*.py"):
            lines = path.read_text().splitlines()
            uses[path.stem] = {name for line in lines for name in re.findall(r"^\s*(?:import|from) (\w+)", line)}
        while uses:
            bottom = {name for name, others in uses.items() if not others & set(uses)}
            self.assertTrue(bottom, f"circle in {sorted(uses)}")
            for name in bottom:
                del uses[name]

    def test_time_of_others_does_not_count(self):
        now = time.monotonic()
        self.assertFalse(guest.late(os.getpid(), now + 10))
        self.assertTrue(guest.late(os.getpid(), now - 10**6), "nobody waits that long for a processor")

    def test_plan_names_what_there_is(self):
        for part in plan.PLAN:
            self.assertIn(part.kernel, [None, *KERNELS])
            self.assertNotIn(part.name, plan.GROUPS)
            self.assertIn(part.short_for or part.name, plan.GROUPS["all"], "what CI leaves out is run by nothing")
        self.assertEqual(len(plan.PLAN), len(plan.PARTS), "a name is there twice")
        with self.assertRaises(KeyError):
            plan.chosen(["stock", "no-such-part"])
        self.assertEqual([part.name for part in plan.chosen(["stock", "debug-vfio", "stock"])], ["debug-vfio", "stock"])

    def test_prototypes_are_compared(self):
        ours = (REPO / static.PRIVATE_HEADER).read_text()
        changed = ours.replace("unsigned int type", "unsigned long type")
        self.assertEqual(static.private_prototypes(ours, static.NEWEST), [])
        self.assertEqual(len(static.private_prototypes(changed, static.NEWEST)), 1)
        self.assertEqual(len(static.private_prototypes("", static.NEWEST)), len(static.prototypes(ours)))
        # What only newer kernels have is not asked of the others
        older = re.sub(r"(?ms)^#ifndef COMPAT_LACKS_.*?^#endif", "", ours)
        self.assertNotEqual(older, ours)
        self.assertEqual(static.private_prototypes(older, "stock"), [])
        self.assertNotEqual(static.private_prototypes(older, static.NEWEST), [])

    def test_what_does_not_link_is_told(self):
        exported = {"iommufd_a", "__export_symbol_iommufd_a"}
        driver, module = {"driver": (set(), {"iommufd_a", "kfree"})}, ({"iommufd_m"}, set())
        self.assertEqual(static.unlinked((exported, {"iommufd_a", "kfree"}), driver, module), [])
        for core, drivers, what in ((({"iommufd_a"}, set()), driver, "no module could"),
                                    ((exported, {"iommufd_b"}), driver, "not defined there"),
                                    ((exported, {"other"}), driver, "defined in a module"),
                                    ((exported | {"iommufd_m"}, set()), driver, "of the kernel"),
                                    ((exported, set()), {"driver": (set(), {"kfree"})}, "does not call")):
            problems = static.unlinked(core, drivers, ({"iommufd_m", "other"}, set()))
            self.assertEqual(len(problems), 1, problems)
            self.assertIn(what, problems[0])

    def test_who_needs_a_newer_qemu(self):
        for options, newer, testdev in (({}, False, False), ({"iommu": "amd-remap"}, True, False),
                                        ({"iommu": "intel-pasid"}, True, False), ({"iommu": "intel-nested"}, True, True),
                                        ({"iommu": "intel-dirty"}, True, True),
                                        ({"devices": ["edu", "pasid-testdev,addr=5"]}, True, True)):
            opts = machine.Options(**options)
            self.assertEqual((machine.needs_newer_qemu(opts), machine.has_testdev(opts)), (newer, testdev), options)

    def test_iommus_of_each_machine(self):
        self.assertEqual(machine.Options().iommu, "intel")
        self.assertEqual(machine.Options(kernel="arm64").iommu, "smmuv3")
        for kernel, iommu in (("arm64", "intel"), ("stock", "smmuv3"), ("stock", "none such")):
            with self.assertRaises(Fail):
                machine.Options(kernel=kernel, iommu=iommu)

    def test_log_bad_lines_are_seen(self):
        for line in BAD_LINES:
            self.assertEqual(logscan.suspicious(f"{GOOD_LINES[0]}\r\n{line}\r\n"), [line])

    def test_log_good_lines_are_not(self):
        self.assertEqual(logscan.suspicious("\n".join(GOOD_LINES)), [])

    def test_log_ignored_lines(self):
        self.assertEqual(logscan.suspicious(BAD_LINES[0], [r"pages\.c:100"]), [])

    def test_log_iommu_errors_are_seen(self):
        for line in [*IOMMU_LINES, *FAULT_LINES]:
            self.assertEqual(logscan.suspicious(f"{GOOD_LINES[0]}\n{line}\n"), [line])

    def seen(self, before, line, after=""):
        """Is a line bad between those?"""
        return line in logscan.suspicious("\n".join([before, line, after]))

    def test_log_faults_that_were_asked_for(self):
        for device in ("0000:00:02.0", "all devices"):
            for line in FAULT_LINES:
                begin, end = (f"[    1.{t}] DMA faults of {device} {what}" for t, what in ((0, "begin"), (1, "end")))
                self.assertFalse(self.seen(begin, line))
                self.assertFalse(self.seen(begin, line, end))
                self.assertFalse(self.seen(f"{begin}\n{end}", line), "a report that is late")

    def test_log_faults_that_were_not(self):
        for line in FAULT_LINES:
            self.assertTrue(self.seen("", line, "[    1.6] DMA faults of 0000:00:02.0 begin"), "before it was asked for")
            late = line.replace("[    1.5]", "[    3.6]")
            for end in ("DMA faults of 0000:00:02.0 end", "vm: running vfio/other"):
                self.assertTrue(self.seen(f"[    1.0] DMA faults of 0000:00:02.0 begin\n[    1.5] {end}", late), "long after")
        for line in FAULT_LINES[2:]:
            self.assertTrue(self.seen("[    1.0] DMA faults of 0000:00:03.0 begin", line), "of another device")

    def test_log_events_of_several_lines(self):
        for newer in (False, True):
            for smmu, event in (("arm-smmu-v3 9050000.smmuv3", 0x10), ("arm-smmu-v3 arm-smmu-v3.0.auto", 0x13)):
                lines = SMMU_EVENT % {"smmu": smmu, "event": event}
                if newer:
                    lines += SMMU_EVENT_TOLD % {"smmu": smmu, "name": {0x10: "F_TRANSLATION", 0x13: "F_PERMISSION"}[event]}
                first = lines.strip().splitlines()[0]
                self.assertIn(first, logscan.suspicious(lines))
                for device, seen in (("0000:00:02.0", False), ("0000:00:03.0", True)):
                    begin = f"[    1.0] DMA faults of {device} begin\n"
                    self.assertEqual(bool(logscan.suspicious(begin + lines)), seen)
                    self.assertEqual(first in logscan.suspicious(begin + lines), seen)
        broken = SMMU_EVENT % {"smmu": "arm-smmu-v3 a", "event": 0x02}
        self.assertTrue(logscan.suspicious("[    1.0] DMA faults of all devices begin\n" + broken))

    def test_log_errors_cannot_be_asked_for(self):
        for line in IOMMU_LINES:
            self.assertTrue(self.seen("[    1.0] DMA faults of all devices begin", line))

    def test_taint(self):
        self.assertEqual(logscan.unexpected_taint(1 << 12 | 1 << 13, "OE"), "")
        self.assertEqual(logscan.unexpected_taint(1 << 9 | 1 << 12, "OE"), "W")

    def parse(self, text):
        found = ktap.parse(text, "x")
        return [len(found.passed), len(found.failed), len(found.skipped)]

    def test_tap_flat(self):
        text = "TAP version 13\n1..4\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no device\nok 4 - d\n"
        self.assertEqual(self.parse(text), [2, 1, 1])

    def test_tap_reason(self):
        found = ktap.parse("1..1\nok 1 a # SKIP no device\n", "x")
        self.assertEqual(found.skipped, [("a", "no device")])

    def test_tap_nested_in_a_log(self):
        text = ("[    1.0] KTAP version 1\n[    1.0] 1..1\n[    1.0]     KTAP version 1\n[    1.0]     # Subtest: s\n"
                "[    1.0]     1..2\n[    1.0]     ok 1 a\n[    1.0] some driver talks\n[    1.0]     not ok 2 b\n"
                "[    1.0] # s: pass:1 fail:1 skip:0 total:2\n[    1.0] not ok 1 s\n")
        self.assertEqual(self.parse(text), [1, 1, 0])

    def test_tap_nested_without_plan(self):
        self.assertEqual(self.parse("1..1\n    ok 1 a\n    ok 2 b\nok 1 s\n"), [2, 0, 0])

    def test_tap_suite_fails_of_itself(self):
        self.assertEqual(self.parse("1..1\n    1..1\n    ok 1 a\nnot ok 1 s\n"), [1, 1, 0])

    def test_tap_died_early(self):
        self.assertEqual(self.parse("TAP version 13\n1..3\nok 1 a\n"), [1, 1, 0])

    def test_tap_nested_died_early(self):
        self.assertEqual(self.parse("1..1\n    1..2\n    ok 1 a\nok 1 s\n"), [1, 1, 0])

    def test_tap_no_plan(self):
        self.assertEqual(self.parse("ok 1 a\n"), [1, 1, 0])

    def test_tap_nothing(self):
        self.assertEqual(self.parse("Segmentation fault\n"), [0, 1, 0])

    def test_tap_all_skipped(self):
        self.assertEqual(self.parse("1..0 # SKIP not root\n"), [0, 0, 1])

    def test_tap_planned_failure(self):
        self.assertEqual(self.parse("1..1\nnot ok 1 a # XFAIL known\n"), [1, 0, 0])

    def test_layers_see_what_is_above(self):
        with tempfile.TemporaryDirectory() as place:
            repo = Path(place)
            (repo / "d/sub").mkdir(parents=True)
            for name, text in (("top.c", '#include "low.h"\n'), ("low.c", '#include "top.h"\n'), ("sub/knot.c", ""),
                               ("sub/tied.c", ""), ("new.c", ""), ("top.h", ""), ("low.h", "")):
                (repo / "d" / name).write_text(text)
                (repo / "d" / name).with_suffix(".o").touch()
            (repo / "list").write_text("# the top first\ntop.c  a\nsub/knot.c sub/tied.c  b\nlow.c  c\ngone.c  d\n")
            nm = """
d/top.o:                 U f_low
d/top.o:0000000000000000 T f_top
d/top.o:0000000000000000 t hidden
d/sub/knot.o:                 U f_tied
d/sub/knot.o:0000000000000000 T f_knot
d/sub/tied.o:                 U f_knot
d/sub/tied.o:0000000000000000 T f_tied
d/low.o:                 U f_knot
d/low.o:                 U hidden
d/low.o:                 U printk
d/low.o:0000000000000000 D f_low
"""
            found = layers.check(repo, repo, lambda argv, folder: nm, {"d": "list"})
            self.assertEqual(sorted(found), [
                "d/new.c is not in list",
                "list has gone.c, but d has no such file",
                "low.c uses f_knot of sub/knot.c, which is above it in list",
                "low.c uses top.h of top.c, which is above it in list"])


def boots():
    """(name, what is wrong with it) of runs that must end in a certain way."""
    def boot(command, **more):
        return guest.boot_once(guest.Options(command=[command], modules=False, name="selfcheck", capture=True,
                                             **{"timeout": 90, **more}))

    def unless(right, result):
        return [] if right else [f"exit status {result.status}", *result.problems, *result.text.splitlines()]

    result = boot("echo text; echo kept >$VM_OUT/file; vm-qmp query-name; vm-qmp no-such && exit 1; "
                  "[ \"$VM_PATIENCE\" -ge 2 ] && [ \"$(pace)\" -ge 2 ] || exit 2; exit 7")
    kept = result.folder / "out/file"
    yield "exit status comes back", unless(result.status == 7 and not result.problems, result)
    yield "output comes back", unless("text\n" in result.text, result)
    yield "QMP answers the guest", unless('"return"' in result.text and '"error"' in result.text, result)
    yield "files come back", unless(kept.exists() and kept.read_text() == "kept\n", result)

    result = boot("echo 'WARNING: CPU: 0 PID: 1 at nowhere' >/dev/kmsg")
    yield "a WARN fails the run", unless(result.status == verdict.GUEST_ERROR and result.problems, result)

    fault = "DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1000 [fault reason 0x05]"
    result = boot(f"""
        say() {{ echo "$*" >/dev/kmsg; }}
        for i in $(seq 30); do say DMA faults of 0000:00:02.0 begin; say "{fault}"; say DMA faults of 0000:00:02.0 end; done
        say 'DMAR: VT-d detected Invalidation Queue Error: Reason 0'""")
    yield "an IOMMU's error fails the run, and a fault that was asked for does not", \
        unless(result.status == verdict.GUEST_ERROR and len(result.problems) == 1, result)

    result = boot("echo c >/proc/sysrq-trigger; sleep 30")
    panic = any("panic" in line for line in result.problems)
    yield "a panic fails the run", unless(result.status == verdict.GUEST_ERROR and panic, result)

    result = boot("exec sleep 1000", timeout=20)
    yield "a time-out fails the run", unless(result.status == verdict.GUEST_TIMEOUT, result)

    result = boot("busybox poweroff -f; sleep 30")
    yield "a guest that does not report back fails the run", unless(result.status == verdict.GUEST_ERROR, result)


def orphans():
    """What is wrong with the end of a guest whose 'vm' was killed."""
    argv = [sys.executable, HERE / "vm.py", "run", "--no-modules", "--name", "selfcheck-orphan", "--", "echo up; sleep 1000"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as vm:
        said = vm.stdout.readline()
        guests = guests_of(vm.pid)
        vm.kill()
    for _ in range(100):
        if not guests_of(vm.pid):
            break
        time.sleep(0.1)
    problems = [] if said == b"up\n" and guests else [f"no guest came up: {said}"]
    return problems + [f"QEMU with process id {pid} is still there" for pid in guests_of(vm.pid)]


def guests_of(pid):
    """Processes that run the guests of a 'vm' with this id"""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"qemu" in b" ".join(words[:5]) and any(b"iommufd-vfio-run-%d-" % pid in word for word in words):
                found.append(int(path.parent.name))
    return found


def harness(results, part):
    """All of that, as a part of the check."""
    for test in unittest.defaultTestLoader.loadTestsFromTestCase(Parsers):
        outcome = unittest.TestResult()
        test.run(outcome)
        single(results, f"harness: {test._testMethodName[5:].replace('_', ' ')}",
               [text.splitlines()[-1] for _, text in [*outcome.failures, *outcome.errors]])
    for name, problems in boots():
        single(results, f"harness: {name}", problems)
    single(results, "harness: a guest ends with the process that started it", orphans())
