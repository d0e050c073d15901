# SPDX-License-Identifier: Apache-2.0
"""An upgrade keeps the pid, the workers and whoever waits; a program that cannot take over changes
nothing."""

import os
import random
import re
import shutil
import signal
import time

import pytest

from harness import wait_until
from supervision import FAKES, GANTRYD, Master, alive


@pytest.fixture(name="master")
def fixture_master(tmp_path):
    """Started from a copy of gantryd that a test may replace."""
    copy = tmp_path / "gantryd"
    shutil.copy2(GANTRYD, copy)
    master = Master(tmp_path, gantryd=copy)
    yield master
    master.clean_up()


def replace(master, source):
    """As a package does: another file is renamed over the old one."""
    fresh = master.directory / "gantryd.new"
    if isinstance(source, str):
        fresh.write_text(source)
        fresh.chmod(0o755)
    else:
        shutil.copy2(source, fresh)
    fresh.rename(master.gantryd)


def words_of(master, pid):
    return [what for p, _, _, what in master.event_lines() if p == pid]


def test_upgrades_keep_the_pid_and_leak_nothing(master):
    master.start()
    master.ask("reload")
    master.settle(2)
    descriptors = master.descriptors()
    for generation in range(3, 13):
        replace(master, GANTRYD)
        answer = master.ask("upgrade wait=1")
        assert (answer.status, answer.why) == (0, "")
        assert f"generation {generation} replaced {generation - 1}" in answer.one("note")["text"]
    master.settle(12)
    daemon = master.status().one("daemon")
    assert (daemon["pid"], daemon["upgrades"]) == (str(master.pid), "10")
    wait_until("descriptors are as before", lambda: master.descriptors() == descriptors)
    assert master.pid_file.read_text() == f"{master.pid}\n"
    assert len(master.living()) == 2
    assert not any(what == "orphaned" for _, _, _, what in master.event_lines()), "no channel was cut"
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert master.pid_file.read_text() == "" and not master.socket.exists()


def test_daemon_is_upgraded_by_signal(master):
    assert master.daemon().returncode == 0
    replace(master, GANTRYD)
    master.signal(signal.SIGUSR2)
    master.wait_log(r"upgraded: gantryd \S+ took over, pid %d" % master.pid)
    master.wait_log("reload committed: generation 2 replaced 1")
    assert master.ask("stop wait=1").status == 0


def test_workers_do_not_notice_the_take_over(master):
    master.start()
    workers = list(master.states())
    master.configure("1:never", ready_timeout="1s")
    answer = master.ask("upgrade")
    # It took over, and its reload failed: the old workers go on under the new program.
    assert answer.status == 1 and "was not ready in time" in answer.why
    assert master.count_log("upgraded: gantryd") == 1
    wait_until("only the old ones are left", lambda: list(master.states()) == workers)
    for pid in workers:
        assert all(what.split()[0] in ("started", "descriptors", "go", "ping") for what in words_of(master, pid))
    os.kill(workers[0], signal.SIGKILL)
    master.wait_event(1, "orphans")
    wait_until("it is replaced", lambda: list(master.states().values()) == ["active"] * 2)


def test_drain_goes_on_over_an_upgrade(master):
    master.configure("0:stubborn", drain_timeout="2s", old_generations=4)
    master.start()
    ((stubborn, _, _, _),) = [e for e in master.events_of(1, "started") if e[2] == 0]
    master.configure(drain_timeout="2s", old_generations=4)
    began = time.monotonic()
    assert master.ask("reload").status == 0
    assert master.ask("upgrade").status == 0
    assert master.states().get(stubborn) == "draining" or time.monotonic() - began >= 6.9
    master.wait_event(1, "release")
    assert time.monotonic() - began >= 1.9
    master.wait_log(f"worker {stubborn}\" msg=\"did not leave in time; killed")
    assert time.monotonic() - began >= 6.9
    wait_until("it is gone", lambda: stubborn not in master.states())
    master.wait_log("generation 1\" msg=\"ended")


SCRIPTS = {
    "exits": ("#!/bin/sh\necho the libraries are missing >&2\nexit 1\n", "cannot be executed|the libraries are missing"),
    "is not a program": ("nothing that can be executed\n", "cannot be executed"),
}


@pytest.mark.parametrize("broken", ["missing", "not executable", "dies", "fails", *SCRIPTS])
def test_program_that_does_not_start_changes_nothing(master, broken):
    master.start()
    workers = master.states()
    if broken == "missing":
        master.gantryd.unlink()
        why = "No such file"
    elif broken == "not executable":
        replace(master, GANTRYD)
        master.gantryd.chmod(0o644)
        why = "not an executable file"
    elif broken == "dies":
        replace(master, FAKES / "killed_at_start")
        why = "was killed by signal 9 in its trial"
    elif broken == "fails":
        replace(master, FAKES / "fake_worker")
        why = "left its trial with status 1: fake worker: heritage"
    else:
        text, why = SCRIPTS[broken]
        replace(master, text)
    answer = master.ask("upgrade")
    assert answer.status == 1
    master.wait_log(f"upgrade refused: .*({why})")
    assert master.states() == workers and master.count_log("takes over") == 0
    replace(master, GANTRYD)
    assert master.ask("upgrade").status == 0
    master.settle(2)


def test_program_that_fails_to_take_over_gives_back(master):
    master.start()
    workers = master.states()
    descriptors = master.descriptors()
    replace(master, FAKES / "gantryd_faulty")
    for attempt in (1, 2):
        answer = master.ask("upgrade")
        assert (answer.status, answer.why) == (1, "a fault that was built in")
        master.wait_log("upgrade rolled back: a fault that was built in", count=attempt)
        assert master.states() == workers
    assert master.status().one("daemon")["pid"] == str(master.pid)
    wait_until("descriptors are as before", lambda: master.descriptors() == descriptors)
    # The one that goes on still runs the programs that it was started with.
    (master.programs / "gantry-worker").unlink()
    assert master.ask("reload").status == 0
    (master.programs / "gantry-worker").symlink_to(FAKES / "fake_worker")
    replace(master, GANTRYD)
    assert master.ask("upgrade").status == 0
    assert master.status().one("daemon")["upgrades"] == "1"


def test_program_whose_workers_are_missing_is_not_tried(master):
    master.start()
    (master.programs / "gantry-worker").unlink()
    answer = master.ask("upgrade")
    assert answer.status == 1 and "gantry-worker: No such file" in answer.why


def test_program_that_hangs_is_ended_and_a_start_is_possible_at_once(master):
    master.start()
    workers = list(master.states())
    replace(master, FAKES / "gantryd_hanging")
    master.client().ask("upgrade")
    master.wait_log("takes over")
    # Nothing but the alarm that the old program has set can end it: it hears no signal.
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == -signal.SIGALRM
    wait_until("the workers have left", lambda: not any(alive(pid) for pid in workers))
    assert len(master.events_of(1, "orphaned")) == 2
    replace(master, GANTRYD)
    master.process.stdout.close()
    assert master.daemon().returncode == 0


def test_service_managers_watchdog_is_fed_right_after_the_take_over(master):
    master.listen_for_notifications()
    master.environment["WATCHDOG_USEC"] = str(600 * 1000000)
    master.start()
    assert master.ask("upgrade").status == 0
    master.wait_notification("^READY=1$")
    # Every five minutes otherwise; the first one was the start's.
    fed = [master.notify.recv(4096).decode() for _ in range(3)]
    assert "WATCHDOG=1" in fed, fed


def test_what_a_worker_had_in_hand_is_known_after_a_take_over(master):
    master.configure("0:busy=deploys/7", probation="0")
    master.start()
    ((busy, _, _, _),) = [e for e in master.events_of(1, "started") if e[2] == 0]
    master.configure("1:never", ready_timeout="1s")
    assert master.ask("upgrade").status == 1, "the workers are those that were there before"
    assert master.count_log("upgraded: gantryd") == 1
    os.kill(busy, signal.SIGABRT)
    master.wait_log(rf'worker {busy}" msg="died by its own fault while it was busy with deploys/7"')
    master.wait_event(1, "crashed_on .* deploys/7")


def test_requests_that_come_during_an_upgrade_are_not_lost(master):
    master.start()
    client = master.client().ask("upgrade")
    master.wait_log("takes over")
    for _ in range(20):
        master.signal(signal.SIGTTIN)
        master.signal(signal.SIGUSR1)
    assert client.answer().status == 0
    client.close()
    master.wait_log("log opened again")
    master.wait_log("3 workers instead of 2")

    def wanted():
        """Requests that fall into one turn are one; a count lasts until the next reload."""
        log = master.log_text().rsplit("reload committed: generation 2", 1)[-1]
        return int(([2] + re.findall(r"(\d+) workers instead of", log))[-1])

    wait_until("as many workers as were asked for", lambda: list(master.states().values()) == ["active"] * wanted())


def test_reload_upgrade_and_stop_in_any_order_end_in_a_stop(master):
    """Seeded, so that what fails can be found again."""
    for seed in range(4):
        dice = random.Random(seed)
        if master.process is not None:
            master.process.stdout.close()
            for path in (master.log, master.events):
                path.unlink()
        master.start()
        for _ in range(300):
            master.signal(dice.choice([signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1, signal.SIGTTIN,
                                       signal.SIGTTOU, signal.SIGCHLD]))
            if dice.random() < 0.1:
                time.sleep(0.02)
        master.signal(signal.SIGTERM)
        for _ in range(50):
            if alive(master.pid):
                master.signal(dice.choice([signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM]))
        assert master.wait_exit() == 0, f"seed {seed}:\n{master.log_text()[-4000:]}"
        assert 'msg="stopped: asked to"' in master.log_text().splitlines()[-1]
        assert master.living() == []
        assert master.pid_file.read_text() == ""


def test_storm_of_reloads_and_upgrades_leaves_one_generation(master):
    master.start()
    for i in range(600):
        master.signal(signal.SIGUSR2 if i % 10 == 0 else signal.SIGHUP)

    def is_quiet():
        try:
            status = master.status()
        except (ConnectionError, EOFError):
            return False    # the upgrade closed the conversation
        return status.one("daemon")["state"] == "running" and len(status.all("generation")) == 1

    wait_until("quiet", is_quiet)
    assert master.status().one("daemon")["pid"] == str(master.pid)
    master.settle(master.generation())
    assert len(master.living()) == 2
