# SPDX-License-Identifier: Apache-2.0
"""Celery's clients notice nothing: what they send runs as a deployment, and AsyncResult tells how it went.  With
Debian's Celery and Flask, in the example of the calendar."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from harness import wait_until

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
