# SPDX-License-Identifier: Apache-2.0
"""Workers that are started together come from a nursery: they are what executed ones are, and nothing depends on it."""

import os
import re
import signal
from pathlib import Path

import pytest

from harness import main_job, wait_until
from supervision import Master, alive

NURSED = r"worker (\d+) comes from the nursery"


@pytest.fixture(name="masters")
def fixture_masters(tmp_path):
    """A function that makes one more gantryd, in a directory of its own."""
    masters = []

    def make():
        directory = tmp_path / str(len(masters))
        directory.mkdir()
        masters.append(Master(directory))
        return masters[-1]

    yield make
    for master in masters:
        master.clean_up()


def field(pid, name):
    return re.search(rf"^{name}:[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def nurseries(parent):
    """The pids of a master's nurseries."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            if field(directory.name, "Name") == "gantry-nursery" and int(field(directory.name, "PPid")) == parent:
                found.append(int(directory.name))
        except (FileNotFoundError, ProcessLookupError):
            pass        # it has just ended
    return [pid for pid in found if alive(pid)]


def nursed(text):
    return [int(pid) for pid in re.findall(NURSED, text)]


def begin(masters, **settings):
    """A gantryd whose first worker gets ready at a gate, with its nursery alive; on a slow machine it may take some."""
    for _ in range(10):
        master = masters()
        gate = master.directory / "gate"
        master.configure(f"gate={gate}", **settings)
        master.launch()
        master.wait_event(1, "started")
        found = nurseries(master.pid)
        if found:
            return master, gate, found[0]
        master.clean_up()
    raise AssertionError("no nursery was ready in time")


def started_once(master, generation, slots):
    return sorted(slot for _, _, slot, _ in master.events_of(generation, "started")) == list(range(slots))


# -- what comes from it ------------------------------------------------------------------------


def test_nursery_is_gone_when_the_generation_runs(masters):
    master, gate, nursery = begin(masters, workers=3)
    assert field(nursery, "PPid") == str(master.pid)
    gate.touch()
    master.wait_log("ready: generation 1, 3 workers")
    wait_until("the nursery's end", lambda: not nurseries(master.pid))
    assert started_once(master, 1, 3)
    workers = master.pid_of(1, 0), master.pid_of(1, 1), master.pid_of(1, 2)
    assert set(nursed(master.log_text())) <= set(workers)
    assert all(int(field(pid, "PPid")) == master.pid for pid in workers)
    assert sorted(master.states()) == sorted(workers)


def test_worker_that_takes_the_place_of_another_is_executed(masters):
    master, gate, _ = begin(masters, workers=3)
    gate.touch()
    master.wait_event(1, "go", 3)
    before = nursed(master.log_text())
    os.kill(master.pid_of(1, 1), signal.SIGKILL)
    master.wait_event(1, "go", 4)
    master.signal(signal.SIGTTIN)
    master.wait_event(1, "go", 5)
    assert nursed(master.log_text()) == before
    assert len(master.events_of(1, "started")) == 5


def test_one_worker_needs_no_nursery(masters):
    master = masters()
    master.configure(workers=1)
    master.start()
    assert master.ask("reload").status == 0
    master.settle(2, workers=1)
    assert nursed(master.log_text()) == [] and "nursery" not in master.log_text()


def test_older_program_is_executed_for_each_worker(masters):
    master = masters()
    master.configure("older")
    master.start()
    master.wait_log("nursery.*process [0-9]+: (has ended|is not ready in time); workers are started without it")
    assert started_once(master, 1, 2)
    master.configure()
    assert master.ask("reload").status == 0
    master.settle(2)


# -- what is wrong with it ---------------------------------------------------------------------


@pytest.mark.parametrize("signo, what", [
    (signal.SIGKILL, "has ended"),
    (signal.SIGSTOP, "does not answer"),
], ids=["killed", "frozen"])
def test_workers_are_executed_when_the_nursery_fails(masters, signo, what):
    master, gate, nursery = begin(masters, workers=3)
    os.kill(nursery, signo)
    if signo == signal.SIGSTOP:
        wait_until("it stands still", lambda: field(nursery, "State").startswith("T"))
    gate.touch()
    master.wait_log(f"process {nursery}: {what}; it is killed, and workers are started without it")
    master.wait_log("ready: generation 1, 3 workers")
    wait_until("the nursery's end", lambda: not alive(nursery))
    assert started_once(master, 1, 3)
    assert nursed(master.log_text()) == [master.pid_of(1, 0)]
    assert master.count_log("it is killed") == 1
    # The next generation has a new one, or does without.
    assert master.ask("reload").status == 0
    master.settle(2, workers=3)
    assert started_once(master, 2, 3)


def test_end_of_the_nursery_disturbs_no_worker(masters):
    master, gate, nursery = begin(masters)
    gate.touch()
    master.wait_log("ready: generation 1, 2 workers")
    wait_until("its end", lambda: not alive(nursery))
    workers = master.states()
    gate.unlink()
    client = master.client().ask("reload")
    master.wait_event(2, "started", 2)
    for pid in nurseries(master.pid):
        os.kill(pid, signal.SIGKILL)
    wait_until("there is none", lambda: not nurseries(master.pid))
    assert master.states(generation=1) == workers
    gate.touch()
    assert client.answer().status == 0
    client.close()
    master.settle(2)
    assert started_once(master, 2, 2)
    assert set(master.states()) == {master.pid_of(2, 0), master.pid_of(2, 1)}


def test_nursery_that_does_not_get_ready_is_done_without(masters):
    master = masters()
    master.configure("mute", workers=3)
    master.start()
    master.wait_log("nursery.*process [0-9]+: is not ready in time; workers are started without it")
    assert started_once(master, 1, 3) and nursed(master.log_text()) == []
    wait_until("its end", lambda: not nurseries(master.pid))


UNSAID = "nursery [0-9]+ does not say what it has made"
SLOW = "is not ready in time|: does not answer"


def test_worker_that_the_nursery_does_not_name_leaves_and_nothing_has_changed(masters):
    """Another one must not be started in its place: there might be two then."""
    master = masters()
    master.configure()
    master.start()
    master.configure("unsaid")
    for generation in range(2, 12):
        workers, descriptors, slow = master.states(), master.descriptors(), master.count_log(SLOW)
        answer = master.ask("reload")
        if answer.status != 0:
            break
        # On a slow machine it may come to nothing.
        assert master.count_log(SLOW) > slow
        master.settle(generation)
    assert re.search(UNSAID, answer.why)
    # It is told by the end of its channel; nobody knows of another one.
    (unnamed,) = master.wait_event(generation, "orphaned")
    wait_until("it has left", lambda: not alive(unnamed[0]))
    assert [pid for pid, *_ in master.events_of(generation, "started")] == [unnamed[0]]
    wait_until("the nursery's end", lambda: not nurseries(master.pid))
    wait_until("its descriptors are closed", lambda: master.descriptors() == descriptors)
    assert master.states() == workers and not master.events_of(generation - 1, "drain")
    master.configure()
    assert master.ask("reload").status == 0
    master.settle(generation + 1)


def test_start_whose_nursery_does_not_name_a_worker_fails_and_leaves_none(masters):
    for _ in range(10):
        master = masters()
        master.configure("unsaid", workers=3)
        master.launch()
        wait_until("what comes of it", lambda: master.count_log(f"{UNSAID}|{SLOW}"))
        if master.count_log(UNSAID):
            break
        master.clean_up()
    assert master.wait_exit() != 0
    wait_until("all have left", lambda: master.living() == [])


def test_stop_need_not_wait_for_the_nursery(masters):
    master = masters()
    master.configure()
    master.start()
    master.configure(f"mute gate={master.directory}/never")
    workers = master.states()
    client = master.client().ask("reload")
    master.wait_log("generation 2.*starting 2 workers")
    master.signal(signal.SIGTERM)
    assert client.answer().status != 0
    client.close()
    master.wait_exit()
    assert master.events_of(1, "drain") and not any(alive(pid) for pid in workers)
    assert nursed(master.log_text())[2:] == []


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGQUIT])
def test_stop_leaves_no_nursery(masters, signo):
    master, _, nursery = begin(masters)
    master.signal(signo)
    master.wait_exit()
    wait_until("its end", lambda: not alive(nursery))
    assert master.living() == []


@pytest.mark.parametrize("frozen", [False, True])
def test_nursery_ends_with_its_master_and_workers_leave_by_themselves(masters, frozen):
    master, _, nursery = begin(masters)
    if frozen:
        os.kill(nursery, signal.SIGSTOP)
    master.signal(signal.SIGKILL)
    wait_until("its end", lambda: not alive(nursery))
    master.wait_event(1, "orphaned")
    wait_until("the worker has left", lambda: master.living() == [])


# -- what a worker finds -----------------------------------------------------------------------

# Of /proc/PID/status; the rest tells of memory and time.
SAME = ("Name", "Umask", "PPid", "TracerPid", "Uid", "Gid", "FDSize", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk",
        "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "CoreDumping")


def descriptors(pid, last=None):
    """What each is, and its flags; what makes it one of many is left out."""
    found = {}
    for fd in sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd")):
        if last is None or fd <= last:
            target = re.sub(r"\[\d+\]", "", os.readlink(f"/proc/{pid}/fd/{fd}"))
            flags = re.search(r"^flags:\s*(\d+)$", Path(f"/proc/{pid}/fdinfo/{fd}").read_text(), re.M)[1]
            found[fd] = target, flags
    return found


def appearance(pid, last=None):
    """All that tells how a process was started."""
    proc = Path(f"/proc/{pid}")
    stat = (proc / "stat").read_text().rsplit(")", 1)[1].split()
    return {
        **{name: field(pid, name) for name in SAME},
        "descriptors": descriptors(pid, last),
        "cmdline": (proc / "cmdline").read_bytes(), "environ": (proc / "environ").read_bytes(),
        "links": [os.readlink(proc / name) for name in ("exe", "cwd", "root")],
        "owner": (proc / "environ").stat().st_uid,
        "leads its group": int(stat[2]) == pid, "session": stat[3], "terminal": stat[4], "nice": stat[16],
        **{name: (proc / name).read_text() for name in ("limits", "oom_score_adj", "coredump_filter", "cgroup",
                                                        "timerslack_ns")},
    }


def test_it_finds_what_an_executed_one_finds(masters):
    for _ in range(10):
        master, gate, _ = begin(masters)
        gate.touch()
        master.wait_event(1, "go", 2)
        slot_1 = master.pid_of(1, 1)
        if slot_1 in nursed(master.log_text()):
            break
    before = appearance(slot_1)
    os.kill(slot_1, signal.SIGKILL)
    master.wait_event(1, "go", 3)
    executed = master.pid_of(1, 1)
    assert executed != slot_1 and executed not in nursed(master.log_text())
    assert appearance(executed) == before
    assert [what for _, _, slot, what in master.events_of(1, "descriptors") if slot == 1] == \
        [what for _, _, slot, what in master.events_of(1, "descriptors") if slot == 0] + ["descriptors 0 1 2 4 5 6 7 8"]


def test_worker_is_what_an_executed_one_is(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), log_level="debug")).wait_ready()

    def both_nursed():
        pids = [w["pid"] for w in sorted(daemon.workers(), key=lambda w: w["slot"])]
        if len(pids) == 2 and set(pids) <= set(nursed(daemon.text())):
            return pids
        daemon.ctl("reload")
        return None

    _, nursed_one = wait_until("both come from the nursery", both_nursed)
    # Its own descriptors come and go; those that it was given have the lowest numbers.
    before = appearance(nursed_one, last=8)
    os.kill(nursed_one, signal.SIGKILL)
    executed = wait_until("another one", lambda: next(
        (w["pid"] for w in daemon.workers() if w["slot"] == 1 and w["pid"] != nursed_one), None))
    assert executed not in nursed(daemon.text())
    after = appearance(executed, last=8)
    # Room for descriptors, which grows with connections.
    del before["FDSize"], after["FDSize"]
    assert after == before
    assert before["cmdline"] == b"gantry-worker\0"
