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
    # What an IOMMU driver says of a command or a page table that is wrong, never of what a device did
    r"\bInvalidation (Queue|Time-out|Completion) Error\b",
    r"\bERROR: DMA PTE for vPFN\b",
    r"\bAMD-Vi: (Completion-Wait loop timed out|Event logged \[(ILLEGAL_COMMAND|COMMAND_HARDWARE)_ERROR)",
    r"\barm-smmu.*\b(CMDQ error|unexpected global error|command queue full|CMD_SYNC timeout)",
    r"^init: cannot ",				# the guest's own first stage
)]

# Lines that match the above and say nothing bad.
GOOD = [re.compile(pattern) for pattern in (
    r"NOTE: The .* option is enabled",
    r"\*\*.*debug kernel",
)]

# Flags of /proc/sys/kernel/tainted, from bit 0
TAINT_NAMES = "PFSRMBUDAWCIOELKXTNJ"


def suspicious(text, ignore=()):
    """The lines of a log that must fail the run."""
    ignored = [re.compile(pattern) for pattern in ignore]
    found = []
    for line in text.replace("\r", "").splitlines():
        if any(p.search(line) for p in BAD) and not any(p.search(line) for p in [*GOOD, *ignored]):
            found.append(line.strip())
    return found


def taint_letters(value):
    return "".join(letter for bit, letter in enumerate(TAINT_NAMES) if value >> bit & 1)


def unexpected_taint(value, allowed):
    """Letters of the taint flags that are set and not in the string of allowed letters."""
    return "".join(letter for letter in taint_letters(value) if letter not in allowed)
