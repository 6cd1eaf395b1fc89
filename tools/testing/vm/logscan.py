# SPDX-License-Identifier: GPL-2.0-only
"""Recognise, in a kernel log, what must fail a run."""

import re

BAD = [re.compile(pattern) for pattern in (
    r"\bWARNING: ",				# WARN, lockdep, suspicious RCU usage
    r"\bBUG: ",					# KASAN, page faults, soft lockups, scheduling while atomic
    r"\bkernel BUG at ",
    r"\bOops: ",
    r"\bKernel panic - not syncing",
    r"\bUBSAN: ",
    r"\bKFENCE: ",
    r"\bINFO: (task .* blocked for more than|rcu\b|possible recursive|trying to register non-static)",
    r"\brcu: INFO: .*\bstall",
    r"\bRCU stall\b",
    r"\bpossible (circular locking|recursive locking|irq lock inversion|deadlock)",
    r"\binconsistent lock state",
    r"\brefcount_t: ",
    r"\bkmemleak: \d+ new suspected memory leaks",
    r"\bODEBUG: ",
    r"\bDMA-API: .*(device driver|leak|overlapping|exceed)",
    r"\blist_(add|del) corruption",
    r"\bstack segment: ", r"\bgeneral protection fault", r"\bunable to handle ", r"\bdouble fault",
    r"\bSLUB?\b.*\bObjects remaining in",
    r"\bVFS: Busy inodes after unmount",
    r"\bheld lock freed!", r"\block held when returning to user space",
    r"\bscheduling while atomic", r"\bsleeping function called from invalid context",
    r"\bnobody cared\b",
    r"^init: cannot ",				# the guest's own first stage
)]

# Lines that match the above and say nothing bad.
GOOD = [re.compile(pattern) for pattern in (
    r"NOTE: The .* option is enabled",
    # What newer kernels add to an event of an SMMUv3 that they have reported in the lines before
    r"\barm-smmu-v3 \S+: (un)?priv (data|inst) (read|write) s[12] ",
    r"\*\*.*debug kernel",
)]

# What IOMMU drivers say when something went wrong that nobody may cause: a device that lost an invalidation may reach
# memory that is no longer its user's. Not asked for by any test.
IOMMU_BAD = [re.compile(pattern) for pattern in (
    # VT-d
    r"\bDMAR(-IR)?: .*\bVT-d detected Invalidation ",
    r"\bDMAR(-IR)?: QI (HEAD|PRIOR): ",
    r"\bDMAR(-IR)?: Invalidation \S+ Error \(\w+\) cleared",
    r"\bDMAR(-IR)?: .*\b(ERROR|[Ff]ailed|[Cc]an't|[Uu]nexpected|Invalid|[Nn]o free)\b",
    r"\bDMAR(-IR)?: \[INTR-REMAP\] Request device ",
    r"\bDMAR(-IR)?: DRHD: handling fault status reg ",
    r"\bDMAR(-IR)?: .*\bRequest device \[",
    r"\bIOMMU: dmar\d+: (Page request|Address is not|Execution request|PRQ overflow)",
    # AMD-Vi
    r"\bEvent logged \[",
    r"\bAMD-Vi: .*\b(Completion-Wait loop timed out|Command buffer timeout|No event written|[Ff]ailed|pte changed)",
    r"\bAMD-Vi:\s+(device=\S+ domain=|DTE\[|CMD\[)",
    # virtio-iommu
    r"\bvirtio_iommu \S+: .*\bfault from EP ",
    r"\bvirtio_iommu \S+: (request|could not|unknown|unexpected|failed)",
    # The SMMUs of Arm
    r"\barm[-_]smmu(-v3)? \S+: .*\b(error|timeout|[Ff]ault|[Ff]ailed|aborted|overflow|queue full|unexpected|Blocked|TLB sync|Failure)",
    r"\barm-smmu-v3 \S+: (event( 0x\w+ received|: )|skipping command|retrying command)",
    # The core
    r"\biommu: unaligned: ",
    r"\bFirmware has requested this device have a 1:1 IOMMU mapping",
)]

# Of those, what DMA of a device to where it may not go gives, and nothing else. A test that lets a device do that asks
# for them, see expected(): address of the device, by what the driver calls it.
FAULTS = [re.compile(pattern) for pattern in (
    r"\bDMAR: \[DMA (?:Read|Write) [^]]*\] Request device \[(?P<bdf>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\] fault addr ",
    r"\b(?P<bdf>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): (?:AMD-Vi: )?Event logged \[IO_PAGE_FAULT ",
    r"\bEvent logged \[IO_PAGE_FAULT device=(?P<bdf>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ",
    r"\bvirtio_iommu \S+: (?:page|domain) fault from EP (?P<rid>\d+)\b",
    # F_TRANSLATION and F_PERMISSION, with the first word of the event, see smmu_events()
    r"\barm-smmu-v3 \S+: event 0x1[03] received: 0x(?P<sid>[0-9a-f]{8})[0-9a-f]{6}1[03]$",
    r"\barm-smmu-v3 \S+: event: F_(TRANSLATION|PERMISSION) client: (?P<bdf>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ",
)]
# It does not tell the device, and comes before what does: a fault is pending, or more than were kept are.
FAULT_STATUS = re.compile(r"\bDMAR: DRHD: handling fault status reg ([0-9a-f]+)$")
FAULT_BITS = 0xff03

# How a test tells the log of it, by /dev/kmsg, and for how long after the end faults may still come: they are reported
# by an interrupt. A test program that is over asks for nothing more.
EXPECT = re.compile(r"\bDMA faults of ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|all devices) (begin|end)$")
PROGRAM = re.compile(r"\bvm: running \S+$")
TIME = re.compile(r"^\[ *(\d+\.\d+)\]")
GRACE = 2.0		# seconds of the guest
ALL = "all devices"

# Flags of /proc/sys/kernel/tainted, from bit 0
TAINT_NAMES = "PFSRMBUDAWCIOELKXTNJ"


def faulting_device(line):
    """The address of the device that a line is about, if that reports a fault of DMA."""
    for pattern in FAULTS:
        match = pattern.search(line)
        if match:
            found = match.groupdict()
            if "bdf" not in found:
                rid = int(found["rid"]) if "rid" in found else int(found["sid"], 16)
                return f"0000:{rid >> 8:02x}:{rid >> 3 & 31:02x}.{rid & 7}"
            return found["bdf"] if found["bdf"].count(":") == 2 else f"0000:{found['bdf']}"
    return None


class Expected:
    """Which devices may fault at a place of the log, by what tests have said there."""

    def __init__(self):
        self.until = {}		# by device; None: its end has not come

    def note(self, line, now):
        match = EXPECT.search(line)
        if match:
            self.until[match.group(1)] = None if match.group(2) == "begin" else now + GRACE
        elif PROGRAM.search(line):
            for device, until in self.until.items():
                if until is None:
                    self.until[device] = now + GRACE
        else:
            return
        self.until = {device: until for device, until in self.until.items() if until is None or until >= now}

    def covers(self, line, now):
        open_now = {device for device, until in self.until.items() if until is None or now <= until}
        status = FAULT_STATUS.search(line)
        if status:
            return bool(open_now) and not int(status.group(1), 16) & ~FAULT_BITS
        device = faulting_device(line)
        return device is not None and not open_now.isdisjoint((device, ALL))


SMMU_EVENT = re.compile(r"\b(arm-smmu-v3 \S+): event 0x\w+ received:$")


def smmu_events(lines):
    """
    An SMMUv3 reports an event in several lines, between which there may be others. The first names no device, but the first
    word of the event does, in the line after it. Gives that word by the first line's index.
    """
    words, pending = {}, {}
    for index, line in enumerate(lines):
        event = SMMU_EVENT.search(line)
        if event:
            pending[event.group(1)] = index
            continue
        word = re.search(r"\b(arm-smmu-v3 \S+):\s+(0x[0-9a-f]{16})$", line)
        if word and word.group(1) in pending:
            words[pending.pop(word.group(1))] = word.group(2)
    return words


def suspicious(text, ignore=()):
    """The lines of a log that must fail the run."""
    ignored = [re.compile(pattern) for pattern in [*(p.pattern for p in GOOD), *ignore]]
    found, expected, now = [], Expected(), 0.0
    lines = [line.strip() for line in text.replace("\r", "").splitlines()]
    words = smmu_events(lines)
    for index, line in enumerate(lines):
        time = TIME.search(line)
        now = float(time.group(1)) if time else now
        expected.note(line, now)
        bad = any(p.search(line) for p in BAD)
        if not bad and any(p.search(line) for p in IOMMU_BAD):
            bad = not expected.covers(f"{line} {words.get(index, '')}".rstrip(), now)
        if bad and not any(p.search(line) for p in ignored):
            found.append(line)
    return found


def taint_letters(value):
    return "".join(letter for bit, letter in enumerate(TAINT_NAMES) if value >> bit & 1)


def unexpected_taint(value, allowed):
    """Letters of the taint flags that are set and not in the string of allowed letters."""
    return "".join(letter for letter in taint_letters(value) if letter not in allowed)
