# SPDX-License-Identifier: Apache-2.0
"""A reload ends in a new generation that runs, or in the old one that was never touched."""

import os
import re
import signal
import time

import pytest

from harness import wait_until
from supervision import Master, alive


@pytest.fixture(name="master")
def fixture_master(tmp_path):
    master = Master(tmp_path)
    yield master
    master.clean_up()


def untouched(master, workers, generation=1):
    """The old generation goes on: the same processes, told nothing but GO."""
    wait_until("only the old generation is left", lambda: master.states() == workers)
    return all(what.startswith(("started", "descriptors", "go"))
               for _, _, _, what in master.events_of(generation, ""))


# -- commits -----------------------------------------------------------------------------------


def test_reload_replaces_the_generation_and_says_so(master):
    master.start()
    answer = master.ask("reload wait=1")
    assert answer.status == 0
    assert re.fullmatch(r"generation 2 replaced 1 in \d\.\d\ds", answer.one("note")["text"])
    master.wait_log(r'msg="reload committed: generation 2 replaced 1 in \d\.\d\ds"')
    master.settle(2)
    status = master.status()
    assert status.one("reload")["verdict"] == "committed"
    assert status.one("daemon")["generation"] == "2"


def test_unchanged_file_is_reloaded_too(master):
    master.start()
    configuration = master.status().one("daemon")["configuration"]
    for generation in (2, 3):
        master.signal(signal.SIGHUP)
        master.wait_log(f"reload committed: generation {generation} replaced")
    assert master.status().one("daemon")["configuration"] == configuration


def test_new_workers_may_begin_before_the_old_must_drain(master):
    master.configure(workers=4)
    master.start()
    master.ask("reload")
    master.wait_event(1, "drain", 4)
    master.wait_event(2, "go", 4)
    commit = master.log_text().index("ready: commit, so active", master.log_text().index('generation 2"'))
    assert commit < master.log_text().index("active: retire, so draining")
    assert master.count_log("generation 2: worker .*ready: commit, so active") == 4


def test_there_is_never_a_moment_without_an_active_worker(master):
    master.start()
    client = master.client().ask("reload")
    seen = []
    while not seen or seen[-1] != "2":
        status = master.status()
        assert int(status.one("daemon")["active"]) == 2
        seen.append(status.one("daemon")["generation"])
    assert client.answer().status == 0
    client.close()


def test_new_configuration_rules_after_the_commit(master):
    master.start()
    before = master.status().one("daemon")["configuration"]
    master.configure(workers=5, log_to="{run}/other.log")
    assert master.ask("reload").status == 0
    master.settle(2, workers=5)
    assert master.status().one("daemon")["configuration"] != before
    assert "reload committed" in (master.directory / "other.log").read_text()


def test_programs_of_the_start_are_run_until_an_upgrade(master):
    master.start()
    for name in ("gantry-worker", "gantry-check"):
        (master.programs / name).unlink()
        (master.programs / name).write_text("not a program\n")
        (master.programs / name).chmod(0o755)
    assert master.ask("reload").status == 0
    master.settle(2)


# -- roll backs --------------------------------------------------------------------------------


def test_broken_file_is_refused_with_its_place(master):
    master.start()
    workers = master.states()
    master.file.write_text(master.file.read_text().replace("wait_time: 1s", "wait_time: soon"))
    answer = master.ask("reload")
    assert answer.status == 1
    assert re.search(r"gantry.yaml:\d+:\d+: queues.deploys.wait_time: expected ", answer.why)
    reload = master.status().one("reload")
    assert reload["verdict"] == "refused" and reload["reason"] == answer.why
    master.wait_log("reload refused: .*queues.deploys.wait_time")
    assert untouched(master, workers)


def test_missing_file_is_refused(master):
    master.start()
    workers = master.states()
    master.file.unlink()
    assert "No such file" in master.ask("reload").why
    assert untouched(master, workers)


@pytest.mark.parametrize("workers_do, settings, why", [
    ("1:refuse=access_denied", {}, "worker [0-9]+: access denied"),
    ("1:never", {"ready_timeout": "1s"}, r"worker \d+ killed by signal 9 \(was not ready in time\)"),
    ("0:exit=4", {}, r"worker \d+ left with status 4"),
    ("1:stranger", {}, "read another configuration than it was given"),
    ("1:never 0:stubborn", {"ready_timeout": "1s"}, "was not ready in time"),
])
def test_worker_that_cannot_get_ready_rolls_back(master, workers_do, settings, why):
    master.start()
    workers = master.states()
    master.configure(workers_do, **settings)
    answer = master.ask("reload")
    assert answer.status == 1 and re.search(why, answer.why)
    assert master.status().one("reload")["verdict"] == "rolled_back"
    master.wait_log(f"reload rolled back: .*{why}")
    assert untouched(master, workers)
    assert master.events_of(2, "go") == []
    master.configure()
    assert master.ask("reload").status == 0
    master.settle(3)


def test_log_that_cannot_be_opened_is_refused(master):
    master.start()
    workers = master.states()
    master.configure(log_to="/proc/nothing/gantry.log")
    assert "/proc/nothing" in master.ask("reload").why
    assert untouched(master, workers)


@pytest.mark.parametrize("key, change", [
    ("pid_file", ("gantryd.pid", "other.pid")),
    ("control_socket", ("control.sock", "other.sock")),
    ("user", ("  workers:", "  user: nobody\n  workers:")),
])
def test_key_that_takes_a_restart_is_refused_by_name(master, key, change):
    master.start()
    workers = master.states()
    master.file.write_text(master.file.read_text().replace(*change))
    answer = master.ask("reload")
    assert (answer.status, answer.why) == (1, f"supervisor.{key} has changed, which takes a restart")
    assert untouched(master, workers)


def test_old_worker_that_dies_meanwhile_is_replaced_with_the_old_configuration(master):
    master.start()
    before = master.status().one("daemon")["configuration"]
    victim = next(iter(master.states()))
    master.configure("1:never", workers=3, ready_timeout="2s")
    client = master.client().ask("reload")
    master.wait_event(2, "started", 3)
    os.kill(victim, signal.SIGKILL)
    master.wait_event(1, "go", 3)
    assert client.answer().status == 1
    client.close()
    wait_until("the old one is whole again", lambda: list(master.states().values()) == ["active"] * 2)
    assert {w["configuration"] for w in master.status().all("worker")} == {before}


def test_mostly_dying_new_workers_bring_the_last_good_configuration_back_once(master):
    master.configure(probation="1s")
    master.start()
    good = master.status().one("daemon")["configuration"]
    master.wait_log("generation 1\" msg=\"is good")
    master.configure("crash=0.1", probation="20s")
    assert master.ask("reload").status == 0
    master.wait_log("workers died soon after the commit; going back to the last good configuration")
    master.wait_log("reload committed: generation 3 replaced 2")
    master.settle(3)
    assert master.status().one("daemon")["configuration"] == good


def test_dying_workers_without_anything_to_go_back_to_are_replaced_for_ever(master):
    master.configure("crash=0.05")
    master.start()
    master.wait_log("there is no other good configuration to go back to")
    master.wait_event(1, "go", 6)
    assert master.status().one("daemon")["generation"] == "1"


# -- many at once ------------------------------------------------------------------------------


def test_thousand_hups_end_in_one_generation_and_few_processes(master):
    master.start()
    descriptors = master.descriptors()
    most = 0
    for i in range(1000):
        master.signal(signal.SIGHUP)
        if i % 50 == 0:
            most = max(most, len(master.living()))
    last = wait_until("the requests are dealt with", lambda: (lambda d: d if d["state"] == "running" and
                      d["old_generations"] == "0" else None)(master.status().one("daemon")))
    master.settle(int(master.status().one("daemon")["generation"]))
    assert alive(master.pid) and most <= 2 * (2 + 2) + 2
    assert int(last["reloads"]) <= 100, "a thousand signals are not a thousand reloads"
    assert len(master.living()) == 2
    wait_until("descriptors are as before", lambda: master.descriptors() == descriptors)


def test_last_edit_wins_in_a_storm(master):
    master.start()
    for workers in range(1, 9):
        master.configure(workers=workers)
        master.signal(signal.SIGHUP)
    wait_until("eight workers", lambda: list(master.states().values()) == ["active"] * 8)


def test_edit_after_the_file_was_read_is_not_lost(master):
    master.start()
    master.configure("slow=0.5")
    master.signal(signal.SIGHUP)
    master.wait_event(2, "started", 2)
    master.configure(workers=4)
    master.signal(signal.SIGHUP)
    master.settle(3, workers=4)


def test_request_during_a_reload_is_for_another_one(master):
    master.start()
    master.configure("1:never", ready_timeout="5m")
    first = master.client().ask("reload")
    master.wait_event(2, "started", 2)
    master.configure()
    second = master.client().ask("reload")
    for _ in range(10):
        master.signal(signal.SIGHUP)
    master.status()         # asked later, so by its answer the second request has been heard
    os.kill(master.pid_of(2, 1), signal.SIGKILL)
    assert first.answer().status == 1
    assert second.answer().status == 0
    first.close()
    second.close()
    master.settle(3)
    assert master.count_log("reload committed") == 1


def test_old_generations_are_bounded_and_what_waits_is_told(master):
    master.configure("hold", old_generations=2, drain_timeout="5m")
    master.start()
    for generation in (2, 3):
        assert master.ask("reload").status == 0
        assert master.generation() == generation
    answer = master.ask("reload")
    assert answer.status == 4
    assert re.search(r"2 old generations are draining; it will run when one has ended, in \d+s at most", answer.why)
    assert master.status().one("reload")["verdict"] == "deferred"
    master.wait_log("reload deferred: ")
    assert master.generation() == 3
    for slot in (0, 1):
        os.kill(master.pid_of(1, slot), signal.SIGKILL)
    master.wait_log("reload committed: generation 4 replaced 3")


def test_open_receive_takes_no_place_and_is_waited_for(master):
    # Longer than the grace after RELEASE, shorter than what its wait_time allows.
    receiving_s = 6
    master.configure(f"receiving={receiving_s}", old_generations=1, drain_timeout="0")
    master.start()
    began = time.monotonic()
    for generation in (2, 3, 4):
        assert master.ask("reload").status == 0
        assert master.generation() == generation
        # They are there, and say that they hold nothing.
        wait_until("they are empty", lambda: master.status().one("daemon")["old_generations"] == "0")
        assert len(master.living()) == 2 * generation or time.monotonic() - began >= receiving_s
    left = master.wait_event(1, "leaves 0", 2)
    assert len(left) == 2 and master.count_log("killed") == 0


def test_stop_during_a_reload_rolls_it_back_and_stops(master):
    master.start()
    master.configure("1:never")
    client = master.client().ask("reload")
    master.wait_event(2, "started", 2)
    master.signal(signal.SIGTERM)
    assert client.answer().status == 5
    client.close()
    assert master.wait_exit() == 0
    assert master.events_of(2, "go") == [] and master.living() == []


def test_scaling_during_a_reload_comes_after_it(master):
    master.start()
    master.configure("1:never", ready_timeout="5m")
    client = master.client().ask("reload")
    master.wait_event(2, "started", 2)
    master.signal(signal.SIGTTIN)
    os.kill(master.pid_of(2, 1), signal.SIGKILL)
    assert client.answer().status == 1
    client.close()
    wait_until("one more", lambda: list(master.states().values()) == ["active"] * 3)


# -- drain -------------------------------------------------------------------------------------


def test_drain_is_escalated_in_time_and_orphans_are_told_of(master):
    master.configure("0:stubborn 1:hold", drain_timeout="1s")
    master.start()
    ((stubborn, _, _, what),) = [e for e in master.events_of(1, "started") if e[2] == 0]
    master.configure(drain_timeout="1s")
    began = time.monotonic()
    assert master.ask("reload").status == 0
    master.wait_event(1, "release", 2)
    assert time.monotonic() - began >= 0.9
    master.wait_log(f"worker {stubborn}\" msg=\"did not leave in time; killed")
    assert time.monotonic() - began >= 5.9
    master.wait_event(2, "orphans")
    told = master.events_of(2, "orphans")[0][3]
    assert told.startswith(f"orphans {what.split('owner=')[1]} killed by signal 9")
    # The one that handed over made the others look for its jobs.
    master.wait_event(2, "adopt", 2)
    master.settle(2)
