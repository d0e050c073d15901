# SPDX-License-Identifier: Apache-2.0
"""gantry-shim by itself: what it writes down, what it keeps of the output, what it costs."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import harness
from harness import BUILDDIR, wait_until

REQUEST_FD, REPORT_FD, SLOT_FD = 3, 4, 5


class Shim:
    """One launch, as a worker makes it."""

    def __init__(self, directory, *records, program=BUILDDIR / "gantry-shim", **single):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        given = {"directory": self.directory, "job": "j1", "chdir": "/", "umask": "022", "kill_after_ms": "300",
                 "log_limit": "1000000", **single}
        # The directory comes first.
        texts = [f"{key}={value}" for key, value in given.items()] + ["environment=PATH=/usr/bin:/bin", *records]
        request = os.memfd_create("request")
        os.write(request, b"".join(text.encode() + b"\0" for text in texts))
        report, answer = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        fds = {0: null, 1: null, 2: null, REQUEST_FD: request, REPORT_FD: answer, SLOT_FD: null}
        high = {to: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for to, fd in fds.items()}
        pid = os.posix_spawn(program, ["gantry-shim", "j1"], {},
                             file_actions=[(os.POSIX_SPAWN_DUP2, high[to], to) for to in sorted(high)],
                             setsigmask=signal.valid_signals())
        for fd in {request, answer, null, *high.values()}:
            os.close(fd)
        os.waitpid(pid, 0)
        with os.fdopen(report) as words:
            self.word = words.read().strip()

    def record(self, name):
        try:
            text = (self.directory / name).read_text()
        except FileNotFoundError:
            return None
        if not text.endswith("\nend\n"):
            return None
        return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def started(self):
        return self.record("started")

    def wait_exit(self):
        return wait_until("exit", lambda: self.record("exit"))

    def log(self):
        return (self.directory / "log").read_text()


def lines(*texts):
    return [f"line={text}" for text in texts]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def leave_nothing(tmp_path):
    yield
    for record in tmp_path.glob("**/started"):
        shim = int(re.search(r"^shim (\d+)$", record.read_text(), re.M)[1])
        if alive(shim):
            os.kill(shim, signal.SIGKILL)


def test_log_keeps_its_limit_and_says_so_while_the_command_goes_on(tmp_path, leave_nothing):
    shim = Shim(tmp_path / "t", *lines("head -c 100 /dev/zero | tr '\\0' a", "head -c 5000000 /dev/zero; echo late", "exit 4"),
                log_limit="1000")
    assert shim.word == "started"
    ended = shim.wait_exit()
    assert (ended["how"], ended["code"], ended["step"]) == ("exited", "4", "3")
    log = (tmp_path / "t" / "log").read_bytes()
    last = b"\n[gantry: the log ends here, at its limit of 1000 bytes; the command goes on]\n"
    assert log.endswith(last)
    assert len(log) == 1000 + len(last)
    assert log.startswith(b"+ head -c 100")


def test_output_of_both_kinds_is_one_log_in_the_order_of_writing(tmp_path, leave_nothing):
    shim = Shim(tmp_path / "t", *lines("for i in $(seq 500); do echo o$i; echo e$i >&2; done"))
    shim.wait_exit()
    assert shim.log().splitlines()[1:] == [f"{kind}{i}" for i in range(1, 501) for kind in "oe"]


def test_full_disk_costs_output_and_not_the_result(tmp_path, leave_nothing):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        shim = Shim(disk / "t", *lines("head -c 30000 /dev/zero > filler", "head -c 200000 /dev/zero", "rm filler; echo kept",
                                       "exit 6"), chdir=str(disk))
        ended = shim.wait_exit()
        assert (ended["how"], ended["code"]) == ("exited", "6")
        assert re.search(r"\n\[gantry: \d+ bytes are missing here: No space left on device\]\n(\+ |kept)", shim.log())
        assert shim.log().endswith("+ exit 6\n")
    finally:
        wait_until("unmounted", lambda: subprocess.run(["umount", disk]).returncode == 0)


def test_request_that_is_not_understood_runs_nothing(tmp_path, leave_nothing):
    for records, says in ((["argument=true", "colour=red"], 'request: "colour=red" is not understood'),
                          (["argument=true", "line=true"], "needs a directory, and a command or lines"),
                          ([], "needs a directory, and a command or lines"),
                          (["argument=true", "nice=x"], 'request: "nice=x" is not understood'),
                          (["argument=true", "identity=1:2:3,x"], "is not understood")):
        shim = Shim(tmp_path / "t", *records)
        assert shim.word.startswith("error ") and says in shim.word, records
        assert shim.started() is None


def test_slot_and_lock_outlive_nobody(tmp_path, leave_nothing):
    shim = Shim(tmp_path / "t", *lines("sleep 300"))
    assert Shim(tmp_path / "t", *lines("touch never"), chdir=str(tmp_path)).word in ("again", "taken")
    os.kill(int(shim.started()["shim"]), signal.SIGKILL)

    def is_free():
        with open(tmp_path / "t" / "lock", "r+b") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

    wait_until("lock free", is_free)
    assert Shim(tmp_path / "t", *lines("touch never"), chdir=str(tmp_path)).word == "again"
    assert not (tmp_path / "never").exists()


def test_launch_that_was_given_up_never_starts(tmp_path, leave_nothing):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "void").touch()
    assert Shim(tmp_path / "t", *lines("touch never"), chdir=str(tmp_path)).word == "void"
    assert not (tmp_path / "never").exists()


def test_own_cgroup_holds_daemons_too(tmp_path, leave_nothing):
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    if not mounts or own is None:
        pytest.skip("there is no cgroup v2 here")
    group = Path(mounts[0][4] + own) / f"gantry-test-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {group.parent}: {error}")
    daemon = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 300; done' >/dev/null 2>&1 & "
    first = Shim(tmp_path / "t", *lines(daemon + "while [ ! -s daemon ]; do sleep 0.02; done; cat /proc/self/cgroup"),
                 cgroup=group, chdir=str(tmp_path))
    assert first.wait_exit()["code"] == "0"
    assert f"0::{own.rstrip('/')}/{group.name}" in first.log()
    assert not alive(int((tmp_path / "daemon").read_text()))
    assert not group.exists()
    (tmp_path / "daemon").unlink()
    killed = Shim(tmp_path / "u", *lines(daemon + "sleep 300"), cgroup=group, chdir=str(tmp_path))
    pid = int(wait_until("daemon", lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text()))
    os.kill(int(killed.started()["shim"]), signal.SIGKILL)
    wait_until("daemon gone with its cgroup", lambda: not alive(pid))

    def remove():
        group.rmdir()
        return True

    wait_until("cgroup empty", lambda: not (group / "cgroup.procs").read_text())
    remove()


def smaps(pid, key):
    return int(re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def test_shim_takes_less_than_a_megabyte(tmp_path, leave_nothing):
    program = BUILDDIR / "gantry-shim"
    if b"__asan_init" in program.read_bytes():
        program = harness.plain_build() / "gantry-shim"
    shim = Shim(tmp_path / "t", *lines("head -c 3000000 /dev/zero; echo end > ready; sleep 300"), program=program,
                chdir=str(tmp_path), log_limit=str(10 << 20))
    wait_until("ready", (tmp_path / "ready").exists)
    pid = int(shim.started()["shim"])
    guards = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    guard = next(p for p in guards if Path(f"/proc/{p}/comm").read_text().strip() == "gantry-guard")
    figures = {who: {key: smaps(p, key) for key in ("Rss", "Pss", "Anonymous")} for who, p in (("shim", pid), ("guard", guard))}
    print("kB:", figures)
    # What it adds to the host: its own pages, and its part of those it shares.
    assert figures["shim"]["Pss"] + figures["guard"]["Pss"] < 1024
    assert figures["shim"]["Anonymous"] + figures["guard"]["Anonymous"] < 512
    static = subprocess.run(["readelf", "-l", program], capture_output=True, text=True)
    if static.returncode == 0 and "INTERP" not in static.stdout:
        assert figures["shim"]["Rss"] < 1024


KEPT = ["--reuid", "1234", "--regid", "1234", "--clear-groups", "--inh-caps=+setuid,+setgid", "--ambient-caps=+setuid,+setgid"]
NOBODY = 65534


def session_members(session):
    """The living processes of a session, and who they run as."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and alive(place.name) and (place / "stat").read_text().rsplit(")", 1)[1].split()[3] == session:
                found.append((int(place.name), int(re.search(r"^Uid:\t(\d+)", (place / "status").read_text(), re.M)[1])))
        except OSError:
            pass    # it has ended meanwhile
    return found


def as_kept(directory, number):
    """Run as an ordinary user with two capabilities: a command as nobody, ended by a signal to its shim."""
    shim = Shim(Path(directory) / f"t{number}", *lines("id -u; sed -n /^Cap[IPEA]/p /proc/self/status; echo answer > /dev/fd/3; "
                "(trap '' TERM; sleep 300) & echo ready; sleep 300"), identity=f"{NOBODY}:{NOBODY}:{NOBODY}")
    assert shim.word == "started", shim.word
    wait_until("ready", lambda: "\nready\n" in shim.log())
    group = []

    def is_whole():
        group[:] = session_members(shim.started()["session"])
        users = [user for _, user in group]
        return (users.count(1234), users.count(NOBODY) >= 3) == (2, True)

    wait_until("two of ours and all of his", is_whole)
    group = [pid for pid, _ in group]
    os.kill(int(shim.started()["shim"]), number)
    if number == signal.SIGTERM:
        assert shim.wait_exit()["stopped"] == "1"
    wait_until("the group gone", lambda: not any(alive(p) for p in group))
    said = shim.log().splitlines()
    assert said[1] == str(NOBODY)
    assert [line.split()[1] for line in said[2:6]] == ["0" * 16] * 4
    assert (shim.directory / "result").read_text() == "answer\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")
def test_kept_capabilities_are_enough_for_another_user_and_he_gets_none_of_them():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        for number in (signal.SIGTERM, signal.SIGKILL):
            done = subprocess.run(["setpriv", *KEPT, sys.executable, "-B", __file__, directory, str(int(number))],
                                  capture_output=True, text=True, timeout=120, cwd=directory,
                                  env={"BUILDDIR": str(BUILDDIR), "PATH": os.environ["PATH"]})
            assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    as_kept(sys.argv[1], int(sys.argv[2]))
