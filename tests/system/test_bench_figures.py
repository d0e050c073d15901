# SPDX-License-Identifier: Apache-2.0
"""What bench/ counts is what was there: each figure beside something whose answer is known.  None is about speed."""

import contextlib
import importlib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from harness import SRCDIR, clean_environment, main_job, send_jobs, wait_until

MIB_KIB = 1024


@pytest.fixture(name="bench_module")
def fixture_bench_module(monkeypatch):
    """A function that gives a module of bench/ by its name."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(SRCDIR / "bench"))
    return importlib.import_module


class Fake:
    """A process that does what it is told, a line of Python at a time, and answers each with a line."""

    def __init__(self, prepare=""):
        program = ("import mmap, os, subprocess, sys, threading, time\n"
                   "def burn(seconds):\n"
                   "    until = time.thread_time() + seconds\n"
                   "    while time.thread_time() < until: pass\n"
                   f"{prepare}\n"
                   "for line in sys.stdin:\n"
                   "    answer = None\n"
                   "    exec(line)\n"
                   "    print(answer, flush=True)\n")
        self.process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=clean_environment())
        self.pid = self.process.pid

    def do(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def cpu_s(self):
        """By its own account."""
        return float(self.do("answer = time.process_time()"))

    def stop(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(name="fakes")
def fixture_fakes():
    with contextlib.ExitStack() as stack:
        def make(prepare=""):
            fake = Fake(prepare)
            stack.callback(fake.stop)
            assert fake.do("answer = 'here'") == "here"
            return fake

        yield make


class Clock:
    """Of a measure: its pauses take no time, and its time goes on by them alone."""

    def __init__(self, monkeypatch, module, on_sleep=lambda: None):
        self.now, self.on_sleep = 1000.0, on_sleep
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds):
        self.now += seconds
        self.on_sleep()


class Bench:
    """Of a measure that starts nothing."""

    quick = True

    def __init__(self, tmp_path):
        self.tmp_path, self.stopped = tmp_path, 0

    def directory(self, _):
        return self.tmp_path

    def keep(self, program):
        return program

    def say(self, text):
        pass

    def stop_kept(self):
        self.stopped += 1


def values(rows):
    return {row.name: row.value for row in rows}


# -- lib/cost.py -------------------------------------------------------------------------------

# CPU time is no wall time: what else the machine does isn't in it.
CPU_SLACK_S = 0.05


def test_cpu_of_all_threads_is_counted(bench_module, fakes):
    cost = bench_module("lib.cost")
    fake = fakes()
    fake.do("burn(0.2)")
    fake.do("thread = threading.Thread(target=burn, args=(0.2,)); thread.start(); thread.join()")
    own_s = fake.cpu_s()
    assert own_s >= 0.4
    assert own_s <= cost.cpu_s(fake.pid) < own_s + CPU_SLACK_S
    with pytest.raises(ProcessLookupError):
        cost.cpu_s(2**22 + 1)


# The parent of this one is a thread of its own.
PARENT = """
made, there = [], threading.Event()
CHILD = '''import sys, time
while time.process_time() < 0.3: pass
print(time.process_time(), flush=True)
sys.stdin.read()'''
def live():
    made.append(subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    there.set()
    time.sleep(600)
"""


def test_cost_of_a_tree_has_those_that_come_later_and_those_that_have_gone(bench_module, fakes):
    fake, other = fakes(PARENT), fakes()
    cost = bench_module("lib.cost").Cost(fake.pid, other.pid)
    before, before_s = cost.look(), fake.cpu_s() + other.cpu_s()
    assert before.processes == 2
    child_s = float(fake.do("threading.Thread(target=live, daemon=True).start(); there.wait(); "
                            "answer = made[0].stdout.readline().strip()"))
    other.do("burn(0.2)")
    with_child = cost.look()
    assert with_child.processes == 3 and child_s >= 0.3
    spent_s = child_s + fake.cpu_s() + other.cpu_s() - before_s
    assert abs(with_child.cpu_s - before.cpu_s - spent_s) < CPU_SLACK_S
    fake.do("made[0].communicate()")
    after = cost.look()
    assert after.processes == 2
    assert with_child.cpu_s <= after.cpu_s < with_child.cpu_s + CPU_SLACK_S


TAKE = "taken = mmap.mmap(-1, 64 << 20); [taken.seek(at) or taken.write(b'x') for at in range(0, 64 << 20, 4096)]"


def test_memory_that_is_shared_is_counted_once_and_its_peak_is_kept(bench_module, fakes):
    fake = fakes()
    cost = bench_module("lib.cost").Cost(fake.pid)
    before = cost.look()
    assert cost.look(memory=False).pss_kib == 0
    fake.do(TAKE)
    assert abs(cost.look().pss_kib - before.pss_kib - 64 * MIB_KIB) < 4 * MIB_KIB
    # Two then have it.
    fake.do("ends, said = os.pipe(), os.pipe(); "
            "os.fork() or (os.close(ends[1]), taken[::4096], os.write(said[1], b'x'), os.read(ends[0], 1), os._exit(0)); "
            "os.read(said[0], 1)")
    shared = cost.look()
    assert shared.processes == 2 and abs(shared.pss_kib - before.pss_kib - 64 * MIB_KIB) < 16 * MIB_KIB
    with cost.watching(every_s=0.01) as seen:
        wait_until("it was looked at", lambda: seen.peak_pss_kib)
        fake.do("os.close(ends[1]); os.wait(); taken.close()")
    assert (seen.processes, cost.look().processes) == (2, 1)
    # One that was looked at a moment before the other has gone has half of it, and the other all of it.
    assert shared.pss_kib - 4 * MIB_KIB < seen.peak_pss_kib < shared.pss_kib + 36 * MIB_KIB
    assert cost.look().pss_kib < seen.peak_pss_kib - 60 * MIB_KIB


def test_wakeups_of_all_threads_are_counted(bench_module, fakes):
    cost = bench_module("lib.cost")
    fake = fakes("def doze():\n    [time.sleep(0.001) for _ in range(200)]\n    dozed.set()\n    time.sleep(600)\n"
                 "dozed = threading.Event()\n")
    before = cost.wakeups(fake.pid)
    fake.do("[time.sleep(0.001) for _ in range(200)]")
    alone = cost.wakeups(fake.pid) - before
    assert 200 <= alone < 300
    fake.do("threading.Thread(target=doze, daemon=True).start(); dozed.wait()")
    assert 400 <= cost.wakeups(fake.pid) - before < 600


# -- latency -----------------------------------------------------------------------------------


def test_percentile_is_a_sample_that_so_many_do_not_exceed(bench_module):
    percentile = bench_module("measures.latency").percentile
    assert [percentile(range(1, 101), part) for part in (0.5, 0.99, 1)] == [50, 99, 100]
    assert [percentile([1, 2, 3], part) for part in (0.5, 0.99)] == [2, 3]
    assert percentile(range(1, 1001), 0.999) == 999


def test_delay_of_a_queue_is_found_as_latency_of_the_samples_alone(tmp_path, awssim, gantry, bench_module):
    """A second lies between a message's coming and its first receive; it waits for nothing else that is known."""
    latency = bench_module("measures.latency")
    sim = awssim("--queue", "deploys:DelaySeconds=1", "--no-auth")
    gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), aws_extra=", run_task_rate: 2000")).wait_ready()
    sender = latency.SqsSender(sim.port, sim.queue_url("deploys"))
    source = latency.Source(SimpleNamespace(quick=True), "SQS", sim, sender, True)
    found = source.latencies_ms(latency.Pace("ten", 20, 5000, 10, 1))
    assert len(found) == 10 and found == sorted(found)
    # In milliseconds: as seconds or microseconds they would be far from that.
    assert found[0] >= 1000 and found[-1] < 300_000
    assert sim.get("/_account")["tasks"]["created"] == 30


def test_latency_over_the_bare_one_is_the_difference_of_the_same_pace(bench_module):
    latency = bench_module("measures.latency")
    paces = [latency.Pace("slow", 1, 1, 1, 0), latency.Pace("fast", 2, 1, 1, 0)]

    def source(slow_ms, fast_ms):
        return SimpleNamespace(latencies_ms=lambda pace: {"slow": slow_ms, "fast": fast_ms}[pace.name])

    bare = {}
    rows = list(latency.rows_of(source(list(range(1, 101)), [3] * 1000), "bare", paces, bare))
    assert values(rows) == {"bare, slow, p50": 50, "bare, slow, p99": 99, "bare, fast, p50": 3, "bare, fast, p99": 3,
                            "bare, fast, p99.9": 3}
    rows = list(latency.rows_of(source([7] * 98 + [102] * 2, [9] * 10), "SQS", paces, bare, goal=True))
    over = {row.name: (row.value, row.reached) for row in rows if row.reached is not None}
    assert over == {"SQS, slow, p99 over the bare round trip": (3, True), "SQS, fast, p99 over the bare round trip": (6, False)}


# -- idle, in flight ---------------------------------------------------------------------------


def test_idle_figures_are_of_the_time_that_was_watched(bench_module, monkeypatch, tmp_path):
    idle = bench_module("measures.idle")
    pids = {"master": 1, "worker 0": 2, "worker 1": 3}
    woken, cpu = {1: 100, 2: 40, 3: 7}, {1: 5.0, 2: 2.0, 3: 1.0}
    calls = {"ReceiveMessage": {"ok": 8}, "DeleteMessageBatch": {"ok": 3}}

    def watched():
        woken.update({1: 130, 2: 45, 3: 27})
        cpu.update({1: 5.01, 2: 2.005, 3: 1.0})
        calls["ReceiveMessage"] = {"ok": 10, "fault": 2}

    monkeypatch.setenv("GANTRY_BENCH_IDLE_S", "10")
    sim = SimpleNamespace(stats=lambda: {"calls": {action: dict(outcomes) for action, outcomes in calls.items()}})
    monkeypatch.setattr(idle, "start", lambda bench: (sim, SimpleNamespace(pids=lambda: pids)))
    for name, known in (("wakeups", woken.get), ("cpu_s", cpu.get), ("pss_kib", {1: 1000, 2: 2000, 3: 4000}.get)):
        monkeypatch.setattr(idle, name, known)
    Clock(monkeypatch, idle, watched)
    bench = Bench(tmp_path)
    rows = list(idle.measure(bench))
    assert values(rows) == pytest.approx({
        "wakeups per second and worker": 2, "wakeups per second, master": 3, "CPU per worker": 0.05,
        "CPU of the whole daemon": 0.15, f"memory (PSS), whole daemon with {idle.WORKERS} workers": 7.168,
        "AWS calls per idle hour": 4 * 360})
    assert rows[-1].note.startswith("extrapolated from 4 in 10 s") and rows[-1].note.endswith("workers: ReceiveMessage")
    assert bench.stopped == 1


def test_tasks_in_flight_are_told_by_what_they_add(bench_module, monkeypatch, tmp_path):
    inflight = bench_module("measures.inflight")
    state = {"calls": {"DescribeTasks": 0, "ChangeMessageVisibilityBatch": 5}, "cpu": 1.0, "pss": 1000, "level": 0}

    def launch(_sim, _daemon, first, level, _settle_s):
        assert first == state["level"]
        state.update(level=level, pss=1000 + 2 * level)

    def watched():
        state["calls"] = {"DescribeTasks": state["calls"]["DescribeTasks"] + 4, "ChangeMessageVisibilityBatch": 5}
        state["cpu"] += 0.4

    sim = SimpleNamespace(url="", queue_url=lambda _: "",
                          stats=lambda: {"calls": {action: {"ok": count} for action, count in state["calls"].items()}})
    for name, known in (("LEVELS_QUICK", (100, 500)), ("AwsSim", lambda *_: sim), ("launch", launch),
                        ("start_daemon", lambda *_: SimpleNamespace(receivers=lambda: [{"pid": 7}])),
                        ("cpu_s", lambda _: state["cpu"]), ("pss_kib", lambda _: state["pss"])):
        monkeypatch.setattr(inflight, name, known)
    Clock(monkeypatch, inflight, watched)
    rows = list(inflight.measure(Bench(tmp_path)))
    # Watched for 8 s: 4 calls, 0.4 s of CPU.  Each task is 2 KiB.
    assert values(rows) == pytest.approx({
        "none in flight, memory (PSS) of the worker": 1.024,
        "100 in flight, memory (PSS) of the worker": 1.2288, "100 in flight, CPU, of a core": 5,
        "100 in flight, calls per minute": 30,
        "500 in flight, memory (PSS) of the worker": 2.048, "500 in flight, CPU, of a core": 5,
        "500 in flight, calls per minute": 30,
        "memory for each job": 2.048})
    assert [row.name for row in rows if row.reached is not None] == [
        "500 in flight, memory (PSS) of the worker", "500 in flight, CPU, of a core"]
    assert rows[3].note == "DescribeTasks 30"


# -- store -------------------------------------------------------------------------------------


def test_server_has_the_cpu_of_those_that_live_and_that_have_ended(bench_module, fakes):
    server_cpu_s = bench_module("measures.store").server_cpu_s
    fake = fakes(PARENT)
    fake.do("ended = os.fork() or (burn(0.3), os._exit(0)); os.wait()")
    living_s = float(fake.do("threading.Thread(target=live, daemon=True).start(); there.wait(); "
                             "answer = made[0].stdout.readline().strip()"))
    ended_s = float(fake.do("answer = os.times().children_user + os.times().children_system"))
    assert ended_s >= 0.29 and living_s >= 0.3
    assert abs(server_cpu_s(fake.pid) - fake.cpu_s() - living_s - ended_s) < CPU_SLACK_S
    assert server_cpu_s(None) == 0


def test_speed_of_a_store_is_what_the_program_counted(bench_module, monkeypatch, tmp_path):
    store = bench_module("measures.store")
    asked = []

    def speed(_bench, url, jobs, at_once, *options):
        asked.append((url, jobs, at_once, options))
        return {"transitions": jobs * 6, "seconds": 2 if at_once > 1 else 10, "cpu_s": 0.25}

    @contextlib.contextmanager
    def known(_bench, durable):
        yield "the url", 9, [] if durable else ["--no-sync"]

    server = iter((3.0, 4.0))
    monkeypatch.setattr(store, "speed", speed)
    monkeypatch.setattr(store, "STORES", {"Known": known})
    monkeypatch.setattr(store, "server_cpu_s", lambda _: next(server))
    rows = list(store.speed_rows(Bench(tmp_path), "Known", False))
    assert asked == [("the url", 500, 100, ("--no-sync",)), ("the url", 50, 1, ("--no-sync",))]
    assert values(rows) == {"Known, not durable, 100 jobs at once": 1500, "Known, not durable, one at a time": 30}
    assert rows[0].note == "client 0.500 s CPU per 1,000 jobs, server 2.000 s"


def test_cost_with_many_jobs_is_compared_with_that_of_few(bench_module, monkeypatch, tmp_path):
    store = bench_module("measures.store")
    costs = iter((9.0, 0.3, 0.2, 0.4, 0.8, 0.9, 0.8, 0.5, 0.6, 0.7))
    filled = []
    monkeypatch.setattr(store, "LEVELS_QUICK", (100, 10_000, 100_000))
    monkeypatch.setattr(store, "speed", lambda *_: {"cpu_s": next(costs)})
    monkeypatch.setattr(store, "fill", lambda _, level: filled.append(level))
    rows = list(store.flat_rows(Bench(tmp_path)))
    assert values(rows) == pytest.approx({
        "SQLite with 100 jobs, CPU per 1,000 more": 0.2, "SQLite with 10,000 jobs, CPU per 1,000 more": 0.8,
        "SQLite with 100,000 jobs, CPU per 1,000 more": 0.5,
        "cost of a job, 100,000 in the store : 100": 2.5})
    assert filled == [10_000, 100_000] and rows[-1].reached is False


def test_store_that_was_filled_is_one_that_works(tmp_path, awssim, gantry, bench_module):
    store = bench_module("measures.store")
    sim = awssim("--queue", "deploys")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), wait_time="1s")).wait_ready()

    def end_one(number):
        send_jobs(daemon, [{"project": f"p{number}"}])
        wait_until(f"end of job {number}", lambda: sim.get("/_account")["messages"]["deleted"] == number)

    end_one(1)
    (path,) = tmp_path.rglob("gantry.db")
    daemon.stop()
    store.fill(path, 50)
    with contextlib.closing(sqlite3.connect(path)) as db:
        counts = [db.execute(f"SELECT count(*), count(DISTINCT {key}) FROM {table}").fetchone() for table, key in (
            ("jobs", "id"), ("jobs", "message_id"), ("jobs", "lock_key"), ("bodies", "job"), ("attempts", "token"))]
        assert counts == [(50, 50)] * 5
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM jobs JOIN attempts ON job = seq JOIN bodies USING (job)").fetchone() == (50,)
    daemon = gantry(daemon.configuration.read_text()).wait_ready()
    end_one(2)


# -- start, reload, throughput -----------------------------------------------------------------


def test_start_lasts_until_the_daemon_says_that_it_is_ready(bench_module, monkeypatch, tmp_path):
    start = bench_module("measures.start")
    stopped = []

    class Slow:
        def __init__(self, _directory, _text, NOTIFY_SOCKET):
            self.thread = threading.Thread(target=self.run, args=(NOTIFY_SOCKET,))
            self.thread.start()

        def run(self, path):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(b"STATUS=not yet", path)
                time.sleep(0.5)
                notify.sendto(b"READY=1\nSTATUS=now", path)

        def stop(self, _number):
            self.thread.join()
            stopped.append(self)

    monkeypatch.setattr(start, "Daemon", Slow)
    assert start.seconds_to_ready(tmp_path, "") >= 0.5
    assert len(stopped) == 1

    seconds = iter([9.0, 0.5, 0.3, 0.1, 7.0, 0.2] * 2)
    monkeypatch.setattr(start, "seconds_to_ready", lambda *_: next(seconds))
    monkeypatch.setattr(start, "AwsSim", lambda *_: SimpleNamespace(url="", queue_url=lambda _: ""))
    rows = list(start.measure(Bench(tmp_path)))
    assert values(rows) == pytest.approx({"exec to ready, 1 worker": 300, "exec to ready, 4 workers": 300})
    assert "9000 ms the first time" in rows[0].note


def test_jobs_that_a_reload_has_touched_are_counted(bench_module, monkeypatch):
    reload = bench_module("measures.reload")
    tasks = [{"environment": {"GANTRY_JOB": f"deploys:{job}"}} for job in ("a", "b", "b", "e", "e", "e", "d", "stranger")]
    messages = [{"id": job, "receives": [1] * times} for job, times in (("a", 1), ("b", 2), ("c", 3), ("d", 1), ("e", 1))]
    monkeypatch.setattr(reload, "read_pages", lambda _, kind: {"tasks": tasks, "messages": messages}[kind])
    sim = SimpleNamespace(url="", stats=lambda: {"calls": {"RunTask": {"ok": 5, "fault": 2}, "Receive": {"refused": 1}}})
    assert reload.affected(sim, ["a", "b", "c", "d", "e"]) == (2, 1, 2, 3)


def test_drained_jobs_are_told_by_the_last_release_alone(bench_module, monkeypatch, tmp_path):
    """Ten of a warm-up go before twenty; the consumer's CPU, calls and times are of the twenty."""
    throughput = bench_module("measures.throughput")
    looks = iter([SimpleNamespace(cpu_s=1.0, pss_kib=1000), SimpleNamespace(cpu_s=3.0, pss_kib=1),
                  SimpleNamespace(cpu_s=3.5, pss_kib=1)])

    class KnownCost:
        def __init__(self, *roots):
            assert roots == (11, 12)

        def look(self):
            return next(looks)

        @contextlib.contextmanager
        def watching(self):
            yield SimpleNamespace(peak_pss_kib=3000)

    class Known(bench_module("lib.backlog").Backlog):
        def __init__(self, bench, directory, jobs):
            self.bench, self.directory, self.jobs, self.earlier = bench, directory, jobs, 0
            self.filled, self.calls, self.before, self.released_ms = 0, {"RunTask": {"ok": 0}}, {}, 0
            self.sim = SimpleNamespace(stats=lambda: {"calls": self.calls, "now_ms": 5000}, get=self.get, stop=lambda: None)

        def fill(self):
            assert len(set(self.projects())) == self.jobs
            self.filled += self.jobs

        def open_up(self):
            self.calls = {"RunTask": {"ok": self.filled - 1, "fault": 1}, "DescribeTasks": {"ok": self.filled // 10}}

        def get(self, path):
            if path == "/_account":
                return {"messages": {"deleted": self.filled}}
            if path.startswith("/_account?env=PROJECT"):
                return {"environment": {"distinct": self.filled, "doubled": ["p"]}}
            assert path.split("?")[0] in ("/_account/messages", "/_account/tasks")
            return {"next": None, "messages": [{"deletes": [ms]} for ms in (15_000, 9000)],
                    "tasks": [{"created_ms": ms} for ms in (7000, 6000)]}

    for name, known in (("JOBS_QUICK", 20), ("WARM_UP_QUICK", 10), ("SETTLE_S", 0), ("Cost", KnownCost)):
        monkeypatch.setattr(throughput, name, known)
    found = throughput.drain(Bench(tmp_path), "known", Known, lambda *_: SimpleNamespace(roots=[11, 12], complaints=str))
    assert found == throughput.Drained(jobs_s=2, launched_s=10, cpu_s=25, calls=1, watching=0.1, idle_mb=pytest.approx(1.024),
                                       peak_mb=pytest.approx(3.072), doubled=1, jobs=20)
