# SPDX-License-Identifier: GPL-2.0-only
"""Where things live, how commands are run, and how runs keep out of each other's way."""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[2]
BUILD = REPO / "build"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iommufd-vfio"
ROOT = CACHE / "root"		# a Debian 13 system; compilers and QEMU run in it by chroot
SRV = ROOT / "srv"		# ours inside it: what a chroot or a guest has to see
CLONE = SRV / ("clone-" + hashlib.sha256(str(REPO).encode()).hexdigest()[:12])
JOBS = int(os.environ.get("JOBS") or len(os.sched_getaffinity(0)))


class Fail(Exception):
    """An expected failure: its text is all the user needs to see."""


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text):
    """Announce a step that may take long, and how long it took."""
    say(f"{text} ...")
    begin = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - begin:.0f} s")


@contextlib.contextmanager
def lock(name, shared=False):
    """Between processes: exclusive for those who change a thing, shared for those who use it."""
    path = CACHE / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        patience = time.monotonic() + 3
        while True:
            try:
                fcntl.flock(handle, mode | (fcntl.LOCK_NB if patience else 0))
                break
            except BlockingIOError:
                time.sleep(0.05)
                if time.monotonic() > patience:
                    say(f"waiting for another run that holds '{name}' ({path})")
                    patience = 0
        yield


PR_SET_PDEATHSIG = 1
prctl = ctypes.CDLL(None).prctl


def follow_us(number=signal.SIGTERM):
    """A preexec_fn for a child that gets this signal when we end, even if it is SIGKILL that ends us."""
    parent = os.getpid()

    def follow():
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:		# too late
            os._exit(1)
    return follow


def run(argv, what=None, **kwargs):
    """Run a command; what it is for is told when it fails. Nothing of it outlives us."""
    argv = [str(a) for a in argv]
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=follow_us(), **kwargs)
    except FileNotFoundError:
        raise Fail(f"{argv[0]} is not installed") from None
    try:
        text, _ = process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode:
        raise Fail(f"{what or ' '.join(argv[:6])} failed (exit status {process.returncode})")
    return text


def output(argv, what=None, **kwargs):
    return run(argv, what, stdout=subprocess.PIPE, text=True, **kwargs)


def inside(path, root=ROOT):
    """The path that something under a root has inside the chroot."""
    return "/" + str(Path(path).relative_to(root))


def chroot_argv(argv, cwd="/", env=None, root=ROOT):
    """Command line that runs argv in the Debian root, or in another one, with an environment of its own."""
    settings = {
        "PATH": "/usr/lib/ccache:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb"),
        "CCACHE_DIR": "/srv/ccache", "CCACHE_NOHASHDIR": "1", "CCACHE_MAXSIZE": "5G",
        "KBUILD_BUILD_TIMESTAMP": "@0", "KBUILD_BUILD_USER": "vm", "KBUILD_BUILD_HOST": "vm",
    }
    settings.update(env or {})
    pairs = [f"{key}={value}" for key, value in settings.items()]
    return ["chroot", str(root), "env", "-i", "-C", cwd, *pairs, *[str(a) for a in argv]]


def chroot(argv, cwd="/", env=None, what=None, root=ROOT, **kwargs):
    return run(chroot_argv(argv, cwd, env, root), what or " ".join(str(a) for a in argv[:4]), **kwargs)


def replace_tree(new, final):
    """Make a finished directory visible under its name, at once."""
    old = final.with_name(final.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def write_if_changed(path, text):
    """Leave the time stamp alone when there is nothing new, for make's sake."""
    data = text.encode() if isinstance(text, str) else text
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)


def repo_files(*tops):
    """The repo's files below the given directories, as paths relative to it."""
    for top in tops or ("",):
        start = REPO / top
        if start.is_file():
            yield Path(top)
        for folder, names, files in os.walk(start):
            here = Path(folder).relative_to(REPO)
            names[:] = sorted(n for n in names
                              if n not in ("__pycache__",) and here / n not in (Path(".git"), Path("build")))
            yield from (here / f for f in sorted(files))


def synced(target):
    """What sync() has copied there, as a set of names."""
    manifest = target / ".synced"
    return set(manifest.read_text().splitlines()) if manifest.exists() else set()


def sync(files, target, change=None):
    """
    Copy files of the repo to target. Unchanged ones keep their time stamps, so that what is
    built there is rebuilt as needed; what an earlier call copied and is gone is removed.
    change(name, data) gives what a file is to have there.
    """
    before, now = synced(target), set()
    for name in files:
        source, dest = REPO / name, target / name
        try:
            data, mode = source.read_bytes(), source.stat().st_mode & 0o777
        except OSError:		# an editor's temporary file that is gone already
            continue
        now.add(str(name))
        if change:
            data = change(name, data)
        if not dest.exists() or dest.read_bytes() != data:
            write_if_changed(dest, data)
        if dest.stat().st_mode & 0o777 != mode:
            dest.chmod(mode)
    for name in before - now:
        (target / name).unlink(missing_ok=True)
    write_if_changed(target / ".synced", "\n".join(sorted(now)) + "\n")


def digest(*parts):
    """Key of a product: a hash of all that went into it."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.read_bytes()
        elif not isinstance(part, (bytes, str)):
            part = json.dumps(part, sort_keys=True)
        total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest()[:16]


def on_terminate():
    """Let a SIGTERM unwind like Ctrl-C, so that no QEMU outlives its run."""
    def stop(signum, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
