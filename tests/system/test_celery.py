# SPDX-License-Identifier: Apache-2.0
"""Celery's clients notice nothing: what they send runs as a deployment, and AsyncResult tells how it went.  With
Debian's Celery and Flask, in the example of the calendar."""

import datetime
import importlib.util
import json
import os
import shutil
from pathlib import Path

import celery
import psycopg2
import pytest
import redis

from harness import wait_until
from stores import Postgres, make_cluster

EXAMPLE = Path(__file__).resolve().parents[2] / "contrib/examples/calendar"
ENDED = ("SUCCESS", "FAILURE", "REVOKED")


@pytest.fixture
def example(tmp_path, redis_server, gantry, monkeypatch):
    """The application and its gantryd, on a Redis of their own."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("EXPORTS", str(tmp_path / "exports"))
    spec = importlib.util.spec_from_file_location("calendar_app", EXAMPLE / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (EXAMPLE / "gantry.yaml").read_text()
    for name, value in (("REDIS_URL:-redis://127.0.0.1:6379/0", redis_server.url), ("EXPORTS:-/var/lib/calendar", tmp_path / "exports"),
                        ("EXPORTER:-/usr/local/bin/export-calendar", EXAMPLE / "export-calendar")):
        assert "${" + name + "}" in text
        text = text.replace("${" + name + "}", str(value))
    module.daemon = gantry(f"supervisor: {{ workers: 1, pid_file: {tmp_path}/pid, control_socket: {tmp_path}/control.sock, "
                           f"state_dir: {tmp_path}/state }}\nstore: sqlite://{tmp_path}/gantry.db\n{text}").wait_ready()
    return module


def wait_state(client, url):
    def look():
        answer = client.get(url).get_json()
        return answer if answer["state"] in ENDED else None

    return wait_until("its end", look, 90, pause=0.1)


def test_export_is_asked_for_watched_and_fetched(example):
    client = example.app.test_client()
    posted = client.post("/calendars/family/exports")
    assert posted.status_code == 202
    told = wait_state(client, posted.get_json()["status"])
    assert told["state"] == "SUCCESS"
    fetched = client.get(told["result"])
    assert fetched.status_code == 200 and fetched.mimetype == "text/calendar"
    assert b"PRODID:-//example//family//EN" in fetched.data
    record = example.celery.AsyncResult(told["id"]).get(timeout=30)
    assert (record["id"], record["project"], record["state"]) == (told["id"], "family", "succeeded")
    assert json.loads(example.daemon.ctl("--json", "show", told["id"]).stdout)["state"] == "succeeded"

    broken = wait_state(client, client.post("/calendars/broken/exports").get_json()["status"])
    assert broken["state"] == "FAILURE" and "3" in broken["error"]
    with pytest.raises(RuntimeError, match="3"):
        example.celery.AsyncResult(broken["id"]).get(timeout=30)


def test_delay_eta_and_cancel_are_what_celery_says(example):
    late = example.celery.send_task("calendar.export", kwargs={"project": "late"}, countdown=3600)
    soon = example.celery.send_task("calendar.export", ["an argument"], {"project": "soon"}, countdown=1)
    wait_until("it is known", lambda: example.daemon.ctl("show", late.id, check=False).returncode == 0, 60)
    assert late.state == "PENDING"
    example.daemon.ctl("cancel", late.id)
    wait_until("revoked", lambda: late.state == "REVOKED", 60, pause=0.1)
    with pytest.raises(Exception, match="cancelled"):
        late.get(timeout=30)
    assert soon.get(timeout=60)["project"] == "soon"
    assert os.listdir(os.environ["EXPORTS"]) == [f"{soon.id}.ics"]


def test_what_is_no_task_is_told_of_and_holds_nothing_up(example, redis_server):
    redis_server.cli("LPUSH", "exports", '{"project": "p"}')
    task = example.celery.send_task("calendar.export", kwargs={"project": "after"})
    assert task.get(timeout=60)["state"] == "succeeded"
    example.daemon.wait_for("expected a Celery message")


# -- the database backend, and what is tried again ----------------------------------------------------

TRIED_AGAIN = """
supervisor: {{ workers: 1, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
queues:
  tasks: {{ type: redis, url: "{redis}", list: celery, unwrap: celery, default_deployer: shell }}
deployers:
  shell:
    type: process
    attempts: 2
    command:
      - /bin/sh
      - -c
      - |
        echo "try $$GANTRY_ATTEMPT <\u00e4>"
        case $$GANTRY_PROJECT in
        broken*) exit 3 ;;
        again*) [ $$GANTRY_ATTEMPT != 1 ] || exit 4
                until [ -e "{dir}/go-$$GANTRY_PROJECT" ]; do sleep 0.05; done ;;
        esac
notify:
  - {{ type: celery, name: redis, url: "{redis}", when: [ started, retrying, succeeded, failed, cancelled ] }}
  - {{ type: celery, name: db, url: "{db}", when: [ accepted, retrying, succeeded, failed, cancelled ] }}
"""


class Tasks:
    """A gantryd that writes results into Redis and PostgreSQL, and a client of Celery's for each."""

    def __init__(self, directory, redis_server, gantry, folder):
        self.directory, self.folder = directory, folder
        self.start_postgres()
        url = f"db+postgresql+psycopg2://gantry@/postgres?host={folder}"
        self.redis = redis.Redis.from_url(redis_server.url)
        self.on_redis = celery.Celery("on_redis", broker=redis_server.url, backend=redis_server.url)
        self.on_db = celery.Celery("on_db", broker=redis_server.url, backend=url)
        self.daemon = gantry(TRIED_AGAIN.format(dir=directory, redis=redis_server.url, db=url)).wait_ready()

    def start_postgres(self):
        self.postgres = Postgres(self.folder)

    def query(self, text):
        with psycopg2.connect(f"host={self.folder} user=gantry dbname=postgres") as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()

    def send(self, task_id, project):
        self.on_redis.send_task("deploy", kwargs={"project": project}, task_id=task_id)
        return self.on_db.AsyncResult(task_id)

    def wait_row(self):
        """The table is made by gantryd, as no client has asked yet; and Celery makes it once in a process only."""
        wait_until("the row is there", lambda: self.query("SELECT to_regclass('celery_taskmeta')")[0][0] and
                   self.query("SELECT count(*) FROM celery_taskmeta")[0][0], 60, pause=0.1)

    def go(self, project):
        (self.directory / f"go-{project}").touch()

    def forget(self):
        """Celery's results listen to Redis until they are deleted."""
        self.on_redis.backend.result_consumer.stop()

    def outbox(self):
        return json.loads(self.daemon.ctl("--json", "outbox").stdout)


@pytest.fixture
def tasks(tmp_path, redis_server, gantry):
    folder = make_cluster()
    made = Tasks(tmp_path, redis_server, gantry, folder)
    yield made
    made.forget()
    made.daemon.stop()
    made.postgres.stop()
    shutil.rmtree(folder)


def test_retry_and_results_are_found_in_the_database_as_in_redis(tasks):
    heard = tasks.redis.pubsub(ignore_subscribe_messages=True)
    heard.subscribe("celery-task-meta-a")
    sent = tasks.send("a", "again-a")
    tasks.wait_row()
    assert sent.state == "RETRY" and isinstance(sent.result, RuntimeError) and "4" in str(sent.result)
    assert sent.traceback.startswith("Traceback") and "try 1 <\u00e4>" in sent.traceback and sent.date_done is None
    tasks.go("again-a")
    record = sent.get(timeout=60)
    assert (record["id"], record["project"], record["state"], record["attempt"]["number"]) == ("a", "again-a", "succeeded", 2)
    assert record["log_tail"] == "try 2 <\u00e4>\n" and record["exit_code"] == 0
    done = tasks.on_db.AsyncResult("a").date_done
    assert abs(done - datetime.datetime.utcnow()) < datetime.timedelta(minutes=30), done
    told = []
    wait_until("all of it is published", lambda: (m := heard.get_message(timeout=1)) and told.append(json.loads(m["data"])) or
               told and told[-1]["status"] == "SUCCESS", 60)
    assert [meta["status"] for meta in told] == ["STARTED", "RETRY", "STARTED", "SUCCESS"]
    assert "4" in told[1]["result"]["exc_message"][0] and told[1]["retries"] == 0 and told[3]["retries"] == 1
    assert tasks.on_redis.AsyncResult("a").get(timeout=60)["state"] == "succeeded"

    # What has ended is not begun again by what comes late.
    for app in (tasks.on_redis, tasks.on_db):
        app.backend.store_result("b", "kept", "SUCCESS")
    sent = tasks.send("b", "again-b")
    wait_until("the second attempt runs", lambda: json.loads(tasks.daemon.ctl("--json", "show", "b", check=False).stdout or "{}").get(
        "attempt", {}).get("number") == 2, 60, pause=0.1)
    wait_until("all is told", lambda: not tasks.outbox(), 60, pause=0.1)
    assert [app.AsyncResult("b").result for app in (tasks.on_redis, tasks.on_db)] == ["kept", "kept"]
    tasks.daemon.ctl("cancel", "b")
    wait_until("b is revoked", lambda: sent.state == tasks.on_redis.AsyncResult("b").state == "REVOKED", 60, pause=0.1)

    broken = tasks.send("c", "broken")
    with pytest.raises(RuntimeError, match="3"):
        broken.get(timeout=60)
    assert broken.state == "FAILURE" and "try 2" in broken.traceback

    # What the table does not take today it does not take tomorrow, either.
    tasks.query("ALTER TABLE celery_taskmeta ADD CHECK (task_id <> 'd'); SELECT 1")
    tasks.send("d", "d")
    (given_up,) = wait_until("it is given up", lambda: [d for d in tasks.outbox() if d["event"] == "succeeded" and d["dead"]], 60, pause=0.1)
    assert (given_up["sink"], given_up["tries"]) == ("db", 1)


def test_result_waits_for_a_database_that_is_away_and_queues_tell_their_rates(tasks):
    sent = tasks.send("a", "a")
    tasks.wait_row()
    assert sent.get(timeout=60)["state"] == "succeeded"
    tasks.postgres.crash()
    sent = tasks.send("b", "b")
    assert tasks.on_redis.AsyncResult("b").get(timeout=60)["state"] == "succeeded"
    wait_until("its delivery has failed", lambda: [d for d in tasks.outbox() if d["sink"] == "db" and d["tries"]], 60, pause=0.1)
    tasks.start_postgres()
    assert sent.get(timeout=90)["id"] == "b"
    wait_until("all is told", lambda: not tasks.outbox(), 60, pause=0.1)

    # Workers say what they have counted every ten seconds.
    def look():
        (queue,) = json.loads(tasks.daemon.ctl("--json", "queues").stdout)
        return queue if queue["settled_per_minute"] else None

    rates = wait_until("a rate", look, 60, pause=0.2)
    assert 1 <= rates["settled_per_minute"] <= rates["received_per_minute"] <= 24
    line = tasks.daemon.ctl("queues").stdout.split()
    assert (line[0], line[1]) == ("tasks", "0") and int(line[4]) >= 1 and int(line[5]) >= 1
