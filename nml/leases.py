"""The GPUs of one machine, leased to the jobs that run on it side by side, whole or in shares.

Snakemake counts GPUs and assigns none. A job leases its devices before it computes, and sees no other. A lease is a
locked file in a folder that all processes of the user on this machine see, and no other machine does:
`/tmp/nml-<user>/<UUID of the device>/<percent>-<random>`. The kernel frees it with the process, however that ends.
"""

import fcntl
import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nml.errors import UserError

logger = logging.getLogger("nml")

VISIBLE = "CUDA_VISIBLE_DEVICES"
PERCENT = "NML_GPU_PERCENT"
"""Tells the job which part of each of its devices it has leased."""
# Not TMPDIR, which schedulers set for each job, nor XDG_RUNTIME_DIR, which goes with the last login.
ROOT = Path(f"/tmp/nml-{os.getuid()}")
WHOLE = 100
_POLL = 0.5
# What the driver's tool says where there is nothing to lease, and nothing that a job could compute on.
_NONE = re.compile("no devices (were )?found|communicate with the NVIDIA driver|driver not loaded", re.IGNORECASE)
_LISTED = re.compile(r"^(?P<part> *)(?:GPU|MIG) .*?(?:: (?P<name>.*))? \(UUID: (?P<uuid>[^)]+)\)", re.MULTILINE)

_held: list[IO[bytes]] = []


@dataclass(frozen=True)
class Device:
    """A GPU, or a part of one that its driver has split off (MIG): its UUID, and the name of the GPU."""

    uuid: str
    name: str


def visible_devices() -> list[Device]:
    """Return the devices that this process may use; without a driver, none, at no cost.

    `CUDA_VISIBLE_DEVICES` counts, by number or UUID: what a scheduler assigned, or the user chose. PyTorch is not
    asked, since it would not take another choice afterwards.

    Raises
    ------
    UserError
        If the driver's tool fails, though there may be devices.
    """
    chosen = os.environ.get(VISIBLE)
    devices = [] if chosen == "" else _listed()
    if chosen is None or not devices:
        return devices
    found: list[Device] = []
    for word in chosen.split(","):
        named = [device for device in devices if word.strip() and device.uuid.startswith(word.strip())]
        if word.strip().isdigit():
            named = devices[int(word) : int(word) + 1]
        if not named:
            # CUDA takes the devices before the first word that names none, such as -1.
            break
        found.append(named[0])
    return found


def _listed() -> list[Device]:
    """Return all devices of this machine, or of this container, as the driver's tool lists them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    shown = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    said = f"{shown.stdout}{shown.stderr}".strip()
    if shown.returncode and not _NONE.search(said):
        raise UserError(
            f"which GPUs there are cannot be told, and so they cannot be shared out: {tool} -L failed with exit code "
            f"{shown.returncode}: {said}. Mend the driver, or compute on the CPU: {VISIBLE}= snakemake ..."
        )
    return [] if shown.returncode else _devices_in(shown.stdout)


def _devices_in(listing: str) -> list[Device]:
    devices: list[Device] = []
    whole: Device | None = None
    for line in _LISTED.finditer(listing):
        if not line["part"]:
            whole = Device(line["uuid"], line["name"] or "GPU")
            devices.append(whole)
        elif whole is not None:
            # A GPU that is split is used by its parts alone.
            if devices[-1] == whole:
                devices.pop()
            devices.append(Device(line["uuid"], whole.name))
    return devices


@contextmanager
def leased(count: int, percent: int = WHOLE) -> Iterator[list[Device]]:
    """Lease devices until the end of the block, and let this process and its children see these alone.

    Waits until they are free; who came first is served first, so that a job that needs many is not passed by for ever.
    On a machine without GPUs nothing happens.

    Parameters
    ----------
    count : int
        Devices; with none, no GPU is seen.
    percent : int
        Of each device, from 1 to 100: the leases of one device add up to 100 at most.

    Raises
    ------
    UserError
        If there are GPUs, but fewer than that; if the driver's tool fails; if the folder of the lock files is not the
        user's own.
    """
    devices = visible_devices() if count else []
    if count and not devices:
        yield []
        return
    if count > len(devices):
        raise UserError(
            f"this job asks for {count} GPUs, and may use {len(devices)} here ({VISIBLE}="
            f"{os.environ.get(VISIBLE, 'not set')}). Lower the resource gpu of its rule: "
            f"snakemake --set-resources <rule>:gpu={len(devices)}."
        )
    with ExitStack() as stack:
        chosen = _wait_for(devices, count, percent, stack) if count else []
        stack.enter_context(_seen(chosen, percent))
        yield chosen


def gpu_share() -> float:
    """Return the part of each GPU that this job has leased; all of it where nothing is shared."""
    return int(os.environ.get(PERCENT, WHOLE)) / WHOLE


def held() -> list[int]:
    """Return the descriptors of the locks, for children that may live on when this process is killed."""
    return [file.fileno() for file in _held]


@contextmanager
def kept_by_children(file: IO[bytes]) -> Iterator[None]:
    """Count an open lock file among those that `held` returns, until the end of the block."""
    _held.append(file)
    try:
        yield
    finally:
        _held.remove(file)


@contextmanager
def _seen(devices: list[Device], percent: int) -> Iterator[None]:
    said = {VISIBLE: ",".join(device.uuid for device in devices), PERCENT: str(percent)}
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _wait_for(devices: list[Device], count: int, percent: int, stack: ExitStack) -> list[Device]:
    """Enter the leases of free devices into the stack, those with the fewest leases first, and return the devices."""
    folders = {device: _folder(device) for device in devices}
    stack.enter_context(_kept_from_cleaners())
    wanted = f"{count} of {len(devices)} GPUs" + (f", {percent} % of each" if percent < WHOLE else "")
    started, waits = time.monotonic(), False
    # Who is first in the queue keeps its lock while waiting for devices; the others wait for the lock.
    with (ROOT / "queue").open("wb") as queue:
        if not _locked(queue):
            waits = _say(f"waiting for {wanted}: other jobs have them")
            fcntl.flock(queue, fcntl.LOCK_EX)
        while len(free := _free(folders, percent)) < count:
            waits = waits or _say(f"waiting for {wanted}: other jobs have them")
            time.sleep(_POLL)
        for device in free[:count]:
            stack.enter_context(_lease(folders[device], percent))
    names = ", ".join(f"{device.name} ({device.uuid})" for device in free[:count])
    part, waited = f"{percent} % of " if percent < WHOLE else "", f" after {time.monotonic() - started:.0f} s"
    _say(f"computes on {part}{names}{waited if waits else ''}")
    return free[:count]


def _say(text: str) -> bool:
    logger.info("%s", text)
    return True


def _free(folders: dict[Device, Path], percent: int) -> list[Device]:
    """Return the devices that have room for one more lease, those with the most room first."""
    taken = {device: _taken(folder) for device, folder in folders.items()}
    return sorted((device for device in folders if taken[device] + percent <= WHOLE), key=lambda device: taken[device])


@contextmanager
def _kept_from_cleaners() -> Iterator[None]:
    """Lock the folder, which keeps systemd-tmpfiles out of it: it removes what is older than some days."""
    number = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


def _folder(device: Device) -> Path:
    """Return the folder of a device's leases; it is the user's own, so that nobody else can hold them up."""
    with suppress(FileExistsError):
        ROOT.mkdir(mode=0o700)
    # Not what a link leads to: somebody else may have made it.
    found = ROOT.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise UserError(f"{ROOT}, where the leases of GPUs are kept, is not a folder of your own. Remove it.")
    folder = ROOT / device.uuid.replace("/", "+")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(folder: Path) -> int:
    """Return the percent of a device that is leased; remove what killed processes left. Needs the queue's lock."""
    total = 0
    for path in folder.iterdir():
        # Given back at this moment.
        with suppress(FileNotFoundError), path.open("rb") as file:
            if _locked(file):
                path.unlink()
            else:
                total += int(path.name.partition("-")[0])
    return total


@contextmanager
def _lease(folder: Path, percent: int) -> Iterator[None]:
    number, name = tempfile.mkstemp(prefix=f"{percent}-", dir=folder)
    with open(number, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            with kept_by_children(file):
                yield
        finally:
            Path(name).unlink(missing_ok=True)
