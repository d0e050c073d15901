# SPDX-License-Identifier: Apache-2.0
"""Two gantryds, each with its own state, on one store in PostgreSQL: nothing is lost, launched twice or interleaved
over both, also when one is stopped for longer than its lease, and when the server crashes or is away."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import harness
from harness import main_job, send_jobs, wait_until
from stores import Postgres, make_cluster

ENDED = ("succeeded", "failed", "cancelled", "superseded")


@pytest.fixture
def cluster():
    folder = make_cluster()
    yield folder
    shutil.rmtree(folder)


class Pair:
    """awssim, PostgreSQL, and two gantryds that read one queue."""

    def __init__(self, tmp_path, awssim, started, cluster, lease):
        self.started, self.cluster = started, cluster
        self.sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "200")
        self.start_postgres()
        self.daemons = []
        for name in ("one", "two"):
            directory = tmp_path / name
            directory.mkdir()
            text = main_job(directory, self.sim.url, self.sim.queue_url("deploys"), workers=1, max_in_flight=8,
                            wait_time="1s").replace(f"store: sqlite://{directory}/gantry.db",
                                                    f"store: postgresql://gantry@/postgres?host={cluster}")
            daemon = harness.Gantry(directory, text.replace("supervisor:\n", f"supervisor:\n  lease: {lease}\n"))
            started.append(daemon)
            self.daemons.append(daemon)
        for daemon in self.daemons:
            daemon.wait_ready(60)

    def start_postgres(self):
        self.postgres = Postgres(self.cluster)
        # Stopped after the daemons, which say more when their store is there.
        self.started.insert(0, self.postgres)

    def send(self, first, count, projects=5):
        send_jobs(self.daemons[0], [{"id": f"job{i}", "project": f"p{i % projects}"} for i in range(first, first + count)])

    def jobs(self):
        return {j["id"]: j for j in json.loads(self.daemons[1].ctl("--json", "jobs").stdout)}

    def tasks(self):
        return self.sim.get("/_account/tasks?after=0&limit=1000")["tasks"]

    def wait_launched(self, count):
        wait_until(f"{count} launches", lambda: len(self.tasks()) >= count, 90, pause=0.1)

    def wait_ended(self, count):
        wait_until(f"{count} results", lambda: sum(j["state"] in ENDED for j in self.jobs().values()) == count, 120, pause=0.5)

    def check(self, count):
        """Each job has succeeded, was launched once, beside none of its project; its message is gone."""
        assert {j["state"] for j in self.jobs().values()} == {"succeeded"}
        account = wait_until("every message is deleted", lambda: (
            a := self.sim.get("/_account?env=GANTRY_JOB"))["messages"]["deleted"] == count and a, 60)
        assert account["environment"]["doubled"] == []
        assert account["tasks"]["created"] == count
        for project in {t["environment"]["PROJECT"] for t in self.tasks()}:
            turns = sorted((t["created_ms"], t["stopped_ms"]) for t in self.tasks() if t["environment"]["PROJECT"] == project)
            assert all(a[1] is not None and a[1] <= b[0] for a, b in zip(turns, turns[1:])), (project, turns)


def copy(daemon, *words, check=True):
    done = daemon.ctl("--json", "store", "copy", *words, check=check)
    return json.loads(done.stdout) if check else done


RECHECK = """
SET check_function_bodies = on;
DO $$
DECLARE
	one record;
BEGIN
	FOR one IN SELECT oid FROM pg_proc WHERE pronamespace = 'gantry'::regnamespace AND prokind = 'f' LOOP
		EXECUTE pg_get_functiondef(one.oid);
	END LOOP;
END $$;
SELECT count(*) FROM pg_proc WHERE pronamespace = 'gantry'::regnamespace;
"""


def test_server_understands_every_statement_of_our_functions(tmp_path, gantry, started, cluster):
    """It reads a statement only when it comes to it, which may be after hundreds of jobs."""
    started.insert(0, Postgres(cluster))
    url = f"postgresql://gantry@/postgres?host={cluster}"
    gantry(f"""
supervisor: {{ workers: 1, pid_file: {tmp_path}/gantryd.pid, control_socket: {tmp_path}/control.sock }}
store: {url}
queues: {{ local: {{ type: store }} }}
deployers: {{ d: {{ type: process, command: [ "true" ] }} }}
""").wait_ready()
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url], input=RECHECK, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_history_moves_between_stores(tmp_path, gantry, started, cluster, redis_server):
    daemon = gantry(f"""
supervisor: {{ workers: 1, pid_file: {tmp_path}/gantryd.pid, control_socket: {tmp_path}/control.sock }}
store: sqlite://{tmp_path}/gantry.db
queues: {{ local: {{ type: store }} }}
deployers: {{ d: {{ type: process, command: ["sh", "-c", "exit {{{{ payload.code }}}}"] }} }}
""").wait_ready()
    for i in range(3):
        (tmp_path / "job.json").write_text(json.dumps({"id": f"job{i}", "project": "p", "deployer": "d", "code": str(i)}))
        daemon.ctl("submit", "--wait", tmp_path / "job.json", check=False)
    first = f"sqlite://{tmp_path}/gantry.db"
    stores = [f"postgresql://gantry@/postgres?host={cluster}", f"{redis_server.url}", f"sqlite://{tmp_path}/other.db"]
    shown = [json.loads(daemon.ctl("--json", "show", f"job{i}").stdout) for i in range(3)]
    assert [s["exit_code"] for s in shown] == [0, 1, 2]
    daemon.stop()
    started.insert(0, Postgres(cluster))

    for left, right in zip([first, *stores], stores):
        assert copy(daemon, left, right) == {"copied": 3, "there": 0, "left": 0}
        assert copy(daemon, left, right) == {"copied": 0, "there": 3, "left": 0}
    daemon.configuration.write_text(daemon.configuration.read_text().replace(first, stores[-1]))
    for want in shown:
        found = json.loads(daemon.ctl("--json", "show", want["id"]).stdout)
        for record in (found, want):
            # Nobody is its owner in the other store, and what is to be told of it stays.
            record.pop("owner", None)
            record.pop("deliveries", None)
        assert found == want


def test_copy_of_a_store_at_work_is_refused(tmp_path, gantry, started, cluster):
    started.insert(0, Postgres(cluster))
    daemon = gantry(f"""
supervisor: {{ workers: 1, pid_file: {tmp_path}/gantryd.pid, control_socket: {tmp_path}/control.sock }}
store: postgresql://gantry@/postgres?host={cluster}
queues: {{ local: {{ type: store }} }}
deployers: {{ d: {{ type: process, command: [ "sleep", "600" ] }} }}
""").wait_ready()
    daemon.ctl("submit", "--project", "p", "--deployer", "d")
    url, other = f"postgresql://gantry@/postgres?host={cluster}", f"sqlite://{tmp_path}/other.db"
    assert "have not ended" in copy(daemon, url, other, check=False).stderr
    assert copy(daemon, "--force", url, other) == {"copied": 0, "there": 0, "left": 1}
    assert "is at work" in copy(daemon, other, url, check=False).stderr
    (job,) = json.loads(daemon.ctl("--json", "jobs").stdout)
    daemon.ctl("cancel", job["id"])


def test_two_gantryds_share_the_work_and_the_locks(tmp_path, awssim, started, cluster):
    pair = Pair(tmp_path, awssim, started, cluster, lease="3s")
    pair.send(0, 20)
    pair.wait_ended(20)
    pair.check(20)
    # What one of them launched the other knows.
    for daemon in pair.daemons:
        assert json.loads(daemon.ctl("--json", "show", "job3").stdout)["state"] == "succeeded"

    # Stopped for longer than its lease, its jobs are the other's; continued, it does nothing more with them.
    stopped = wait_until("a worker is active", pair.daemons[1].workers, 60)[0]["pid"]
    pair.send(20, 20)
    pair.wait_launched(24)
    os.kill(stopped, signal.SIGSTOP)
    try:
        since = time.monotonic()
        wait_until("the lease is over", lambda: time.monotonic() - since > 4)
    finally:
        os.kill(stopped, signal.SIGCONT)
    pair.daemons[1].wait_for("stood still for .* longer than its lease", 60)
    pair.wait_ended(40)
    pair.check(40)
    assert "left with status" not in pair.daemons[0].text()


@pytest.mark.parametrize("away_s", [0, 6], ids=["for a moment", "longer than a lease"])
def test_crashed_server_loses_and_doubles_nothing(tmp_path, awssim, started, cluster, away_s):
    pair = Pair(tmp_path, awssim, started, cluster, lease="4s")
    pair.send(0, 30)
    pair.wait_launched(5)
    pair.postgres.crash()
    since = time.monotonic()
    wait_until("it has been away", lambda: time.monotonic() - since >= away_s)
    pair.start_postgres()
    pair.wait_ended(30)
    pair.check(30)
    for daemon in pair.daemons:
        assert "is away" in daemon.text()
        # Nobody left for it, but who had to: its lease had ended.
        assert daemon.text().count("left with status") == daemon.text().count("our lease had ended")
