# SPDX-License-Identifier: Apache-2.0
"""The master's promises: a truthful start, a tidy end, each signal in each phase, dead and hung
workers replaced, and nothing left behind."""

import ctypes
import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import BUILDDIR, deadline_s, wait_until
from supervision import GANTRYD, Client, Master, alive

NOBODY = 65534


@pytest.fixture(name="master")
def fixture_master(tmp_path):
    master = Master(tmp_path)
    yield master
    master.clean_up()


@pytest.fixture(name="public_master")
def fixture_public_master():
    """In a directory that another user can reach and write."""
    directory = tempfile.mkdtemp(prefix="supervised-")
    os.chown(directory, NOBODY, NOBODY)
    os.chmod(directory, 0o755)
    master = Master(directory)
    yield master
    master.clean_up()
    shutil.rmtree(directory)


def last_line(master):
    return master.log_text().splitlines()[-1]


def orphans_told(master):
    """Owners whose death some worker was told of."""
    return [what.split()[1] for _, _, _, what in master.event_lines() if what.startswith("orphans")]


def owner_of(master, pid):
    (what,) = [w for p, _, _, w in master.event_lines() if p == pid and w.startswith("started")]
    return what.split("owner=")[1]


# -- start and end -----------------------------------------------------------------------------


def test_start_in_the_foreground_serves_and_stops_on_term(master):
    master.start()
    assert master.status().one("daemon")["state"] == "running"
    assert sorted(master.states().values()) == ["active", "active"]
    assert master.pid_file.read_text() == f"{master.pid}\n"
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert 'msg="stopped: ' in last_line(master)
    assert master.pid_file.read_text() == ""
    assert not master.socket.exists()
    assert master.living() == []


def test_only_the_first_worker_may_prepare_the_store_and_is_alone_then(master):
    master.configure(workers=3)
    master.start()
    first = [what.split()[1] for _, _, _, what in master.events_of(1, "started")]
    assert first == ["first=1", "first=0", "first=0"]
    master.ask("reload")
    assert {what.split()[1] for _, _, _, what in master.events_of(2, "started")} == {"first=0"}


def test_worker_gets_its_descriptors_and_nothing_of_the_service_manager(master):
    master.listen_for_notifications()
    master.start()
    for _, _, _, what in master.events_of(1, "descriptors"):
        assert what == "descriptors 0 1 2 4 5 6 7 8"
    assert master.events_of(1, "sees") == []


def test_process_names_tell_master_and_workers_apart(master):
    master.start()
    assert Path(f"/proc/{master.pid}/comm").read_text() == "gantryd\n"
    for pid in master.states():
        assert Path(f"/proc/{pid}/comm").read_text() != "gantryd\n"


def test_daemon_returns_only_when_its_first_generation_is_ready(master):
    done = master.daemon()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert master.status().one("daemon")["pid"] == str(master.pid)
    assert sorted(master.states().values()) == ["active", "active"]
    assert master.ask("stop wait=1").status == 0
    master.wait_exit()
    assert master.pid_file.read_text() == ""


def test_daemon_may_be_started_without_standard_descriptors(master):
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', str(master.gantryd), str(master.file)],
                          env=master.env(), timeout=deadline_s(60), check=False)
    assert done.returncode == 0
    master.pid = int(master.pid_file.read_text())
    assert sorted(master.states().values()) == ["active", "active"]
    assert master.ask("reload wait=1").status == 0
    assert master.ask("stop wait=1").status == 0
    master.wait_exit()


def test_standard_descriptors_that_are_closed_become_nobodys(master):
    """Else the first files that are opened get their numbers, and what is printed goes into them."""
    master.process = subprocess.Popen(["sh", "-c", 'exec "$0" -f -c "$1" <&- >&- 2>&-', str(master.gantryd),
                                       str(master.file)], env=master.env(), stdout=subprocess.PIPE, text=True)
    master.pid = master.process.pid
    master.wait_log("ready: generation 1")
    for request, generation in (("reload", 2), ("upgrade", 3)):
        assert [os.readlink(f"/proc/{master.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
        assert master.ask(request).status == 0
        master.settle(generation)
    assert [os.readlink(f"/proc/{master.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3


@pytest.mark.parametrize("workers_do, settings, why", [
    ("1:refuse=no_such_queue", {}, "no such queue"),
    ("exit=7", {}, "left with status 7"),
    ("0:never", {"ready_timeout": "1s"}, "was not ready in time"),
    ("stranger", {}, "read another configuration"),
])
def test_daemon_that_cannot_get_ready_tells_its_parent_why(master, workers_do, settings, why):
    master.configure(workers_do, **settings)
    done = master.daemon()
    assert done.returncode == 1
    assert why in done.stderr
    assert "stopped: the start failed" in last_line(master)
    assert master.pid_file.read_text() == "" and not master.socket.exists()
    assert master.living() == []


@pytest.mark.parametrize("options", [(), ("-f",)])
def test_broken_configuration_is_reported_by_place(master, options):
    master.file.write_text(master.file.read_text().replace("workers: 2", "workers: many"))
    done = master.daemon(*options)
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(str(master.file))}:\d+:\d+: supervisor.workers: expected ", done.stderr, re.M)
    assert not master.pid_file.exists()


def test_configuration_can_be_tested(master):
    good = subprocess.run([GANTRYD, "-t", "-c", master.file], env=master.env(), capture_output=True, text=True,
                          timeout=deadline_s(60), check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{master.file}: ok\n", "")
    master.file.write_text("supervisor: { workers: none }\n")
    bad = subprocess.run([GANTRYD, "-t", "-c", master.file], env=master.env(), capture_output=True, text=True,
                         timeout=deadline_s(60), check=False)
    assert bad.returncode == 1 and f"{master.file}:1:" in bad.stderr


@pytest.mark.parametrize("argument", ["--nonsense", "-x", "word"])
def test_wrong_usage_is_status_2(master, argument):
    done = subprocess.run([GANTRYD, argument], env=master.env(), capture_output=True, text=True,
                          timeout=deadline_s(60), check=False)
    assert done.returncode == 2 and "usage: gantryd" in done.stderr


def test_relative_names_are_those_of_the_start(master):
    master.process = subprocess.Popen(
        [str(GANTRYD), "-f", "-c", "gantry.yaml", "-p", "other.pid"], env=master.env(), cwd=master.directory,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    master.pid = master.process.pid
    master.wait_log("ready: generation 1")
    assert (master.directory / "other.pid").read_text() == f"{master.pid}\n"
    assert not master.pid_file.exists()
    assert master.ask("reload").status == 0


def test_second_start_says_who_runs(master):
    master.start()
    done = master.daemon()
    assert done.returncode == 1
    assert f"locked by process {master.pid}: gantryd is already running" in done.stderr
    assert sorted(master.states().values()) == ["active", "active"]


def test_control_socket_of_another_daemon_is_not_taken(master):
    master.start()
    done = master.daemon("-p", str(master.directory / "other.pid"))
    assert done.returncode == 1
    assert "is served by another process" in done.stderr
    assert master.status().one("daemon")["pid"] == str(master.pid)


def test_of_two_simultaneous_starts_one_wins(master):
    command = [str(GANTRYD), "-c", str(master.file)]
    for _ in range(5):
        both = [subprocess.Popen(command, env=master.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True) for _ in range(2)]
        outcomes = [(process.communicate(timeout=deadline_s(60))[1], process.returncode) for process in both]
        assert sorted(status for _, status in outcomes) == [0, 1], outcomes
        assert "gantryd" in next(said for said, status in outcomes if status == 1)
        master.pid = int(master.pid_file.read_text())
        assert master.ask("quit wait=1").status == 0
        wait_until("it has ended", lambda: not alive(master.pid))


IN_CLOSE_WRITE, IN_DELETE = 0x8, 0x200


class Watch:
    """What happens in a directory, in order (inotify(7))."""

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.fd, str(directory).encode(), IN_CLOSE_WRITE | IN_DELETE) >= 0

    def events(self):
        data, found = os.read(self.fd, 1 << 16), []
        os.close(self.fd)
        while data:
            _, mask, _, length = struct.unpack("iIII", data[:16])
            found.append((mask, data[16:16 + length].rstrip(b"\0").decode()))
            data = data[16 + length:]
        return found


def test_control_socket_is_removed_while_the_pid_file_is_still_locked(master):
    """Else it could be the next daemon's, which takes the lock and binds the same name."""
    master.start()
    watch = Watch(master.directory)
    assert master.ask("stop wait=1").status == 0
    assert master.wait_exit() == 0
    events = watch.events()
    assert events.index((IN_DELETE, "control.sock")) < events.index((IN_CLOSE_WRITE, "gantryd.pid"))


def test_pid_file_left_behind_means_nothing(master):
    master.pid_file.write_text(f"{os.getpid()}\n")
    master.start()
    assert master.pid_file.read_text() == f"{master.pid}\n"


def test_killed_master_leaves_workers_that_leave_and_can_be_started_again(master):
    master.start()
    workers = list(master.states())
    master.signal(signal.SIGKILL)
    assert master.wait_exit() == -signal.SIGKILL
    wait_until("the workers are gone", lambda: not any(alive(pid) for pid in workers))
    assert len(master.events_of(1, "orphaned")) == 2
    master.process.stdout.close()
    done = master.daemon()
    assert done.returncode == 0, done.stderr


# -- signals -----------------------------------------------------------------------------------


def test_graceful_stop_lets_jobs_finish_then_hands_over(master):
    master.configure("0:hold", drain_timeout="1s")
    master.start()
    began = time.monotonic()
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert time.monotonic() - began >= 1
    assert len(master.events_of(1, "drain")) == 2
    assert [slot for _, _, slot, _ in master.events_of(1, "release")] == [0]


def test_requests_while_stopping_are_ignored_and_quit_hastens(master):
    master.configure("hold", drain_timeout="1h")
    master.start()
    master.signal(signal.SIGTERM)
    master.wait_log("stopping: asked to")
    for signo in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTERM):
        master.signal(signo)
    master.wait_log("reload was asked for while stopping; ignored")
    master.wait_log("upgrade was asked for while stopping; ignored")
    master.wait_log("one worker more was asked for while stopping; ignored")
    answer = master.ask("reload")
    assert (answer.status, answer.why) == (5, "gantryd is stopping")
    assert sorted(master.states().values()) == ["draining", "draining"]
    master.signal(signal.SIGQUIT)
    assert master.wait_exit() == 0
    assert len(master.events_of(1, "release")) == 2


def test_second_interrupt_is_a_fast_stop(master):
    # Long enough that nothing else ends it in time.
    master.configure("hold", drain_timeout="1h")
    master.start()
    master.signal(signal.SIGINT)
    master.wait_event(1, "drain", 2)
    assert master.events_of(1, "release") == []
    master.signal(signal.SIGINT)
    assert master.wait_exit() == 0
    assert len(master.events_of(1, "release")) == 2


def test_stop_while_starting_ends_the_start(master):
    master.configure("1:never")
    master.launch()
    master.wait_event(1, "started", 2)
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert master.living() == []


def test_one_worker_more_and_less_until_the_next_reload(master):
    master.start()
    master.signal(signal.SIGTTIN)
    wait_until("three workers", lambda: list(master.states().values()).count("active") == 3)
    assert master.ask("workers count=+1").status == 0
    wait_until("four workers", lambda: list(master.states().values()).count("active") == 4)
    master.signal(signal.SIGTTOU)
    wait_until("three workers again", lambda: list(master.states().values()) == ["active"] * 3)
    assert master.ask("workers count=1").status == 0
    wait_until("one worker", lambda: list(master.states().values()) == ["active"])
    assert master.ask("workers count=0").status == 2
    assert master.ask("reload").status == 0
    master.settle(2)


def test_logs_are_opened_again_for_all_and_kept_when_that_fails(master):
    master.start()
    old = master.log.rename(master.directory / "gantryd.log.1")
    master.signal(signal.SIGUSR1)
    master.wait_log("log opened again")
    assert "log opened again" not in old.read_text()
    master.wait_event(1, "reopen +with a descriptor", 2)
    master.log.rename(master.directory / "gantryd.log.2")
    master.log.mkdir()
    master.signal(signal.SIGUSR1)
    wait_until("the failure is in the old file",
               lambda: "the old file is kept" in (master.directory / "gantryd.log.2").read_text())
    master.log.rmdir()


def test_workers_ignore_the_signals_meant_for_the_master(master):
    master.start()
    workers = master.states()
    for pid in workers:
        for signo in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
            os.kill(pid, signo)
    for _ in range(50):
        master.signal(signal.SIGCHLD)
    assert master.states() == workers


def test_no_signal_stays_blocked(master):
    master.start()
    master.ask("reload")
    master.settle(2)
    status = Path(f"/proc/{master.pid}/status").read_text()
    assert re.search(r"^SigBlk:\s+0+$", status, re.M)
    for pid in master.states():
        worker = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^SigBlk:\s+0+$", worker, re.M)


# -- crash and hang ----------------------------------------------------------------------------


def test_killed_worker_is_replaced_and_its_jobs_are_told_of(master):
    master.start()
    victim, survivor = master.states()
    os.kill(victim, signal.SIGKILL)
    master.wait_log(rf"worker {victim}\" msg=\"killed by signal 9; next start in 0.\d\ds")
    master.wait_event(1, "orphans")
    ((told, _, _, what),) = master.events_of(1, "orphans")
    assert told == survivor
    assert what == f"orphans {owner_of(master, victim)} killed by signal 9"
    master.wait_event(1, "go", 3)
    states = master.states()
    assert victim not in states and survivor in states and list(states.values()) == ["active", "active"]


def test_orphans_wait_for_a_worker_that_can_be_told(master):
    master.configure(workers=1)
    master.start()
    (victim,) = master.states()
    os.kill(victim, signal.SIGKILL)
    master.wait_event(1, "orphans")
    assert orphans_told(master) == [owner_of(master, victim)]


def test_owners_are_unique(master):
    master.start()
    for _ in range(2):
        pid = next(iter(master.states()))
        os.kill(pid, signal.SIGKILL)
        master.wait_log(f"worker {pid}\" msg=\"killed")
        wait_until("it is replaced", lambda: list(master.states().values()) == ["active"] * 2)
    owners = [owner_of(master, pid) for pid in master.worker_pids()]
    assert len(set(owners)) == len(owners) == 4
    assert all(len(owner) <= 95 and owner.count("/") == 4 for owner in owners)


def test_crash_loop_is_slowed_down_and_never_given_up(master):
    master.configure("1:die=3", probation="0")
    master.start()
    master.wait_event(1, "leaves 3", 6)
    delays = [float(d) for d in re.findall(r"left with status 3; next start in ([\d.]+)s", master.log_text())]
    # Half of each delay is fixed: 25 to 50 ms at first, 400 to 800 ms the fifth time.
    assert 0.02 <= delays[0] <= 0.05 and 0.4 <= delays[4] <= 0.8 and delays[:5] == sorted(delays[:5])
    assert list(master.states().values()).count("active") >= 1
    assert master.status().one("daemon")["state"] == "running"


def test_silent_worker_is_aborted_and_replaced(master):
    master.configure("0:hang", watchdog="3s")
    master.start()
    ((hung, _, _, _),) = [e for e in master.event_lines() if e[2] == 0 and e[3].startswith("started")]
    began = time.monotonic()
    master.wait_log(rf"worker {hung}\" msg=\"was silent for \d+s; aborted")
    assert time.monotonic() - began >= 2
    master.wait_log(rf"worker {hung}\" msg=\"killed by signal 6 .*next start")
    master.wait_event(1, "orphans")


@pytest.mark.parametrize("workers_do, settings, how", [
    ("0:busy=deploys/42 0:fault=0.1", {}, "killed by signal 11"),
    ("0:busy=deploys/42 0:hang", {"watchdog": "2s"}, "killed by signal 6 (was silent for"),
])
def test_worker_that_dies_by_its_own_fault_tells_by_what(master, workers_do, settings, how):
    master.configure(workers_do, probation="0", **settings)
    master.start()
    ((faulty, _, _, _),) = [e for e in master.events_of(1, "started") if e[2] == 0][:1]
    owner = owner_of(master, faulty)
    master.wait_log(rf'worker {faulty}" msg="died by its own fault while it was busy with deploys/42"')
    master.wait_event(1, "crashed_on")
    told = [what for pid, _, _, what in master.event_lines() if owner in what and pid != faulty]
    assert told[0].startswith(f"orphans {owner} {how}") and told[1] == f"crashed_on {owner} deploys/42"


def test_worker_that_was_killed_from_outside_blames_nothing(master):
    master.configure("busy=deploys/42")
    master.start()
    victims = list(master.states())
    for signo in (signal.SIGKILL, signal.SIGTERM):
        os.kill(victims.pop(), signo)
        master.wait_log(f"killed by signal {int(signo)}; next start")
    master.wait_event(1, "orphans", 2)
    assert master.count_log("by its own fault") == 0 and master.events_of(1, "crashed_on") == []


def test_fault_with_nothing_in_hand_blames_nothing(master):
    master.configure("0:fault=0.1", probation="0")
    master.start()
    master.wait_event(1, "orphans")
    assert master.count_log("by its own fault") == 0 and master.events_of(1, "crashed_on") == []


def test_suspended_master_blames_nobody(master):
    master.configure(watchdog="3s")
    master.start()
    workers = master.states()
    master.signal(signal.SIGSTOP)
    time.sleep(4.5)         # the time that passes is what is tested
    master.signal(signal.SIGCONT)
    master.wait_log(r"did not run for \d+s; no worker is judged by that")
    assert master.states() == workers
    assert master.count_log("aborted|killed") == 0


def test_worker_that_does_not_keep_to_the_protocol_is_replaced(master):
    master.configure("0:babble", probation="0")
    master.start()
    master.wait_log("does not keep to the protocol; killed")
    master.wait_event(1, "go", 3)


def test_wake_is_passed_to_its_owner_and_to_all_when_that_is_gone(master):
    master.configure("0:wake=nobody/1/2/3/4", workers=3)
    master.start()
    master.wait_event(1, "adopt", 2)
    assert {slot for _, _, slot, _ in master.events_of(1, "adopt")} == {1, 2}
    owner = owner_of(master, [p for p, _, s, w in master.event_lines() if s == 2 and w.startswith("started")][0])
    # The owner's id ends in its serial: after a reload the one of slot 1 is three further on.
    prefix, serial = owner.rsplit("/", 1)
    master.configure(f"0:wake={prefix}/{int(serial) + 2}", workers=3)
    assert master.ask("reload").status == 0
    master.wait_event(2, "sweep")
    assert len(master.events_of(2, "sweep")) == 1


def test_hint_makes_active_workers_adopt_and_all_with_jobs_sweep(master):
    master.configure("hold", drain_timeout="20s")
    master.start()
    assert master.ask("reload").status == 0
    for generation in (1, 2):
        assert master.events_of(generation, "adopt|sweep") == []
    answer = master.ask("hint")
    assert (answer.status, answer.why) == (0, "")
    master.wait_event(1, "sweep", 2)
    master.wait_event(2, "sweep", 2)
    master.wait_event(2, "adopt", 2)
    assert master.events_of(1, "adopt") == [], "those that leave take nothing more"


def test_storm_of_hints_is_few_words(master):
    master.start()
    client = master.client()
    for _ in range(10):
        client.ask("\n".join(["hint"] * 100))
        client.answer()
    client.ask("hint")
    client.close()
    wait_until("the last one is passed on", lambda: len(master.events_of(1, "sweep")) >= 4)
    assert len(master.events_of(1, "sweep")) <= 100


def test_deaf_worker_is_not_waited_for(master):
    """Its channel fills up; the master neither blocks nor forgets what it owes."""
    master.configure("1:deaf", workers=2, drain_timeout="1s")
    master.start()
    for _ in range(3):
        pid = next(p for p, s in master.states().items() if s == "active" and
                   any(e[0] == p and e[2] == 0 for e in master.event_lines()))
        os.kill(pid, signal.SIGKILL)
        wait_until("replaced", lambda gone=pid: gone not in master.states() and
                   list(master.states().values()) == ["active"] * 2)
    assert master.ask("status").status == 0


# -- control socket ----------------------------------------------------------------------------


def test_control_socket_refuses_what_it_does_not_understand(master):
    master.start()
    for request, why in (("", "a line is"), ("dance", "dance is no request"), ("reload wait", "a line is"),
                         ("x" * 5000, "a line has at most")):
        answer = master.ask(request)
        assert (answer.status, why in answer.why) == (2, True), (request[:20], answer.why)
    endless = Client(master.socket)
    endless.socket.sendall(b"y" * 10000)
    assert endless.answer().status == 2
    assert endless.socket.recv(1) == b""
    endless.close()
    assert master.ask("version").one("daemon")["version"]


def test_control_socket_bounds_its_clients(master):
    master.start()
    silent = [Client(master.socket) for _ in range(16)]
    waiting = Client(master.socket).ask("status")
    assert waiting.answer().status == 0, "a place is free when the silent have been closed"
    for client in silent:
        assert client.socket.recv(1) == b""
        client.close()
    waiting.close()


def test_whoever_sends_on_and_on_gets_one_answer(master):
    master.start()
    master.configure("1:never", ready_timeout="5m")
    client = Client(master.socket).ask("reload wait=1")
    master.wait_event(2, "started", 2)
    client.socket.sendall(b"status\n" * 2000)
    assert "the line is too long" in client.answer().why
    client.socket.settimeout(deadline_s(60))
    try:
        assert client.socket.recv(1) == b"", "another answer came behind the first"
    except ConnectionResetError:
        pass    # closed with something of ours unread
    client.close()
    os.kill(master.pid_of(2, 1), signal.SIGKILL)
    master.wait_log("reload rolled back")


def lowest_free_descriptor(pid):
    taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    return min(set(range(len(taken) + 1)) - taken)


def test_connection_that_cannot_be_accepted_is_tried_again_and_costs_nothing(master):
    master.start()
    before = resource.prlimit(master.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(master.pid, resource.RLIMIT_NOFILE, (lowest_free_descriptor(master.pid), before[1]))
    client = Client(master.socket).ask("status")
    master.wait_log("control socket: Too many open files; tried again in 1 s", count=2)
    assert master.count_log("Too many open files") <= 20
    resource.prlimit(master.pid, resource.RLIMIT_NOFILE, before)
    assert client.answer().status == 0
    client.close()


def test_status_has_one_line_for_a_queue_however_many_workers_receive(master):
    master.configure("queues=40", workers=6, watchdog="3s")
    master.start()

    def look():
        queues = master.status().all("queue")
        return queues if len(queues) == 40 and all(q["workers"] == "6" for q in queues) else None

    queues = wait_until("all have reported", look)
    assert [q["name"] for q in queues] == [f"queue-{i}" for i in range(40)]
    assert {(q["generation"], q["held"], q["last_receive_age_ms"]) for q in queues} == {("1", "0", "-1")}


def test_long_reason_can_be_asked_for(master):
    master.start()
    good = master.file.read_text()
    names = "".join(f"  queue{i:03}: {{ type: sqs, url: 'http://h' }}\n" for i in range(100))
    master.file.write_text(good.replace("queues:\n", "queues:\n" + names))
    answer = master.ask("reload")
    assert answer.status == 1 and len(answer.why) > 4096
    master.file.write_text(good)
    shown = subprocess.run([BUILDDIR / "gantryctl", "--json", "-c", master.file, "status"], env=master.env(),
                           capture_output=True, text=True, timeout=deadline_s(60), check=True)
    assert json.loads(shown.stdout)["last_reload"]["reason"] == answer.why


def test_control_socket_is_for_root_and_its_own_user(master):
    master.start()
    assert master.socket.stat().st_mode & 0o777 == 0o660
    if os.geteuid() != 0:
        return
    directory = tempfile.mkdtemp(prefix="supervised-")
    try:
        # The mode alone would keep strangers out; the peer's uid is looked at as well.
        os.chmod(directory, 0o777)
        public = Path(directory) / "control.sock"
        os.link(master.socket, public)
        os.chmod(public, 0o777)
        script = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s');"
                  "s.sendall(b'stop\\n'); print(s.recv(1000).decode())" % public)
        done = subprocess.run(["/usr/bin/python3", "-c", script], user=NOBODY, group=NOBODY, extra_groups=[],
                              capture_output=True, text=True, timeout=deadline_s(60), check=True)
    finally:
        shutil.rmtree(directory)
    assert "only root and the user of gantryd may ask" in done.stdout
    assert master.count_log(f"of user {NOBODY} was refused") == 1
    assert master.status().one("daemon")["state"] == "running"


# -- service manager, privileges, pid 1 --------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager_is_told_of_start_reload_and_stop(master, abstract):
    master.listen_for_notifications(abstract)
    master.start()
    ready, before = master.wait_notification("^READY=1$")
    assert "STATUS=generation 1, 2 workers" in ready
    assert all(re.fullmatch(r"EXTEND_TIMEOUT_USEC=\d+", text) for text in before)
    master.ask("reload")
    reloading, _ = master.wait_notification("^RELOADING=1$")
    assert re.search(r"^MONOTONIC_USEC=\d+$", reloading, re.M)
    assert "STATUS=generation 2" in master.wait_notification("^READY=1$")[0]
    master.file.write_text("broken: [\n")
    assert master.ask("reload").status == 1
    master.wait_notification("^RELOADING=1$")
    assert "STATUS=reload refused; generation 2" in master.wait_notification("^READY=1$")[0]
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    stopping, between = master.wait_notification("^STOPPING=1$")
    assert "STATUS=asked to" in stopping and not any("READY" in text for text in between)
    assert re.fullmatch(r"EXTEND_TIMEOUT_USEC=\d+", master.wait_notification("EXTEND")[0])


def test_service_manager_is_never_told_ready_by_a_start_that_fails(master):
    master.listen_for_notifications()
    master.configure("refuse=why_not")
    master.launch()
    assert master.wait_exit() == 1
    _, before = master.wait_notification("^STOPPING=1$")
    assert not any("READY" in text for text in before)


def test_service_managers_watchdog_is_fed(master):
    master.listen_for_notifications()
    master.environment["WATCHDOG_USEC"] = "400000"
    master.start()
    for _ in range(3):
        master.wait_notification("^WATCHDOG=1$")


def test_service_manager_that_is_behind_is_told_again(master):
    master.listen_for_notifications()
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            filler.sendto(b"FILLER=1", master.environment["NOTIFY_SOCKET"])
    filler.close()
    master.start()
    master.wait_log("the service manager does not read what it is told; trying again")
    ready, before = master.wait_notification("^READY=1$")
    assert "STATUS=generation 1, 2 workers" in ready and "FILLER=1" in before
    master.ask("reload")
    master.wait_notification("^RELOADING=1$")
    assert "STATUS=generation 2" in master.wait_notification("^READY=1$")[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_started_as_root_it_becomes_its_user_for_good(public_master):
    master = public_master
    master.configure(supervisor="  user: nobody")
    os.chmod(master.file, 0o644)
    os.chmod(master.directory / "env", 0o644)
    # Groups that open files to root, and not to him.
    master.start(extra_groups=[0, 4])
    user = pwd.getpwuid(NOBODY)
    groups = sorted(os.getgrouplist(user.pw_name, user.pw_gid))
    for pid in [master.pid, *master.states()]:
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}\s+{NOBODY}\s+{NOBODY}$", status, re.M)
        assert re.search(rf"^Gid:\s+{user.pw_gid}\s+{user.pw_gid}\s+{user.pw_gid}\s+{user.pw_gid}$", status, re.M)
        assert sorted(int(word) for word in re.search(r"^Groups:(.*)$", status, re.M)[1].split()) == groups
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert master.socket.stat().st_uid == master.log.stat().st_uid == NOBODY
    assert master.pid_file.stat().st_uid == 0, "who it was is not its user's to say"
    assert master.ask("reload").status == 0
    master.log.rename(master.directory / "gantryd.log.1")
    master.signal(signal.SIGUSR1)
    master.wait_log("log opened again")
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert master.pid_file.read_text() == "" and not master.socket.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_follows_no_link_that_its_user_has_laid(public_master):
    master = public_master
    master.configure(supervisor="  user: nobody")
    os.chmod(master.file, 0o644)
    os.chmod(master.directory / "env", 0o644)
    precious = master.directory / "precious"
    precious.write_text("of root's\n")
    os.chmod(precious, 0o600)
    for link in (master.log, master.pid_file):
        link.symlink_to(precious)
        done = master.daemon()
        assert done.returncode == 1 and str(link) in done.stderr
        link.unlink()
    assert precious.read_text() == "of root's\n" and precious.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_file_that_its_user_may_not_read_is_refused(public_master):
    master = public_master
    master.configure(supervisor="  user: nobody")
    os.chmod(master.file, 0o600)
    done = master.daemon()
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_unknown_user_is_refused(master):
    master.configure(supervisor="  user: no-such-user")
    done = master.daemon()
    assert done.returncode == 1
    assert "no user no-such-user" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a process name space takes root")
def test_as_pid_1_it_reaps_the_orphans_of_others(master):
    master.process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", str(GANTRYD), "-f", "-c", str(master.file)], env=master.env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    master.wait_log("ready: generation 1")
    assert master.status().one("daemon")["pid"] == "1"
    inside = Path(f"/proc/{master.process.pid}/task/{master.process.pid}/children").read_text().split()[0]
    # Its shell ends at once and leaves a child, whose end nobody but pid 1 can see.
    subprocess.run(["nsenter", "-t", inside, "-p", "sh", "-c", "sleep 0.05 & exec true"], check=True,
                   timeout=deadline_s(60))
    master.wait_log("reaped process [0-9]+, which was not ours")
    os.kill(int(inside), signal.SIGTERM)
    assert master.process.wait(deadline_s(60)) == 0


def test_descriptor_limit_is_raised(master):
    def lower():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))

    master.start(preexec_fn=lower)
    for pid in [master.pid, *master.states()]:
        limits = Path(f"/proc/{pid}/limits").read_text()
        soft, hard = re.search(r"Max open files\s+(\S+)\s+(\S+)", limits).groups()
        assert soft == hard


def test_socket_of_a_killed_daemon_is_replaced(master):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(master.socket))
    stale.close()
    master.start()
    assert master.ask("status").status == 0
