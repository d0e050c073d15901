# SPDX-License-Identifier: Apache-2.0
"""gantryctl as the operator's hands: what it is asked for happens, its words say what happened, and its exit
status can be trusted by a script."""

import json

import pytest

import harness
from harness import main_job, wait_until

LOCAL = """
supervisor: {{ workers: 2, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
aws: {{ region: us-east-1, access_key: A, secret_key: B }}
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "[ -n \\"$$FREE\\" ] || until [ -e {dir}/go-$$GANTRY_PROJECT ]; do sleep 0.05; done; exit $${{CODE:-0}}" ]
    allow: {{ environment: ["FREE", "CODE"] }}
"""


@pytest.fixture
def local(tmp_path, gantry):
    daemon = gantry(LOCAL.format(dir=tmp_path))
    daemon.wait_ready()
    return daemon


def show(daemon, job):
    return json.loads(daemon.ctl("--json", "show", job).stdout)


def wait_state(daemon, job, *states):
    return wait_until(f"{job} is {' or '.join(states)}", lambda: show(daemon, job)["state"] in states, timeout=40, pause=0.1)


def test_submit_waits_for_the_end_and_exits_as_the_deployment_did(local, tmp_path):
    done = local.ctl("submit", "--wait", "--project", "p", "--id", "good", "--ref", "main", "--commit", "abc", "--env", "FREE=1")
    assert done.stdout.splitlines()[-1] == "good: succeeded"
    record = show(local, "good")
    assert (record["ref"], record["commit"], record["queue"], record["exit_code"]) == ("main", "abc", "local", 0)
    (tmp_path / "job.json").write_text(json.dumps({"project": "p", "id": "bad", "environment": {"FREE": "1", "CODE": "7"}}))
    done = local.ctl("--json", "submit", "--wait", str(tmp_path / "job.json"), check=False)
    assert done.returncode == 7 and json.loads(done.stdout.splitlines()[-1])["state"] == "failed"
    assert show(local, "bad")["exit_code"] == 7
    again = local.ctl("submit", "--project", "p", "--id", "good")
    assert again.stdout == "good: succeeded\n"


@pytest.mark.parametrize("words, status, text", [
    (["submit"], 2, "usage"),
    (["submit", "--project", "p", "--env", "nonsense"], 2, "usage"),
    (["submit", "--project", "p", "--queue", "none"], 1, "no queue of that name"),
    (["submit", "--project", "p", "--deployer", "none"], 1, "none"),
    (["submit", "/nowhere/job.json"], 1, "No such file"),
    (["cancel"], 2, "usage"),
    (["cancel", "nobody"], 1, "none of that name"),
    (["retry", "nobody"], 1, "no such job"),
    (["unlock", "nothing"], 1, "none of that name"),
    (["why", "nobody"], 1, "no such job"),
    (["peek", "nowhere"], 1, "no queue"),
    (["peek", "local"], 1, "gantryctl jobs"),
    (["redrive", "local"], 1, "gantryctl retry"),
    (["send", "local"], 1, "gantryctl submit"),
    (["receive", "local"], 1, "gantryctl jobs"),
    (["outbox", "replay"], 2, "usage"),
    (["outbox", "replay", "12"], 1, ""),
])
def test_what_cannot_be_done_is_said(daemon_for_reading, words, status, text):
    done = daemon_for_reading.ctl(*words, check=False)
    assert done.returncode == status, done
    assert text.lower() in done.stderr.lower() and done.stderr.strip(), done


@pytest.fixture(scope="module")
def daemon_for_reading(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ctl")
    daemon = harness.Gantry(directory, LOCAL.format(dir=directory))
    daemon.wait_ready()
    yield daemon
    daemon.stop()


def test_why_and_locks_name_the_holder_and_cancel_ends_what_runs(local, tmp_path):
    local.ctl("submit", "--project", "p", "--id", "first")
    wait_state(local, "first", "running")
    assert "attempt 1 runs as " in local.ctl("why", "first").stdout
    for job in ("second", "third"):
        assert local.ctl("submit", "--project", "p", "--id", job).stdout == f"{job}: waiting\n"
    why = local.ctl("why", "third").stdout
    assert 'its key "p" is held by first for' in why and "1 are before it" in why
    record = json.loads(local.ctl("--json", "why", "third").stdout)
    assert (record["held_by"], record["ahead"]) == ("first", 1)
    locks = json.loads(local.ctl("--json", "locks").stdout)
    assert [(lock["key"], lock["holder"], lock["waiting"]) for lock in locks] == [("p", "first", 2)]
    assert local.ctl("cancel", "second").stdout == "second: cancelled before it was launched\n"
    assert local.ctl("cancel", "first").stdout.startswith("first: cancelled")
    refused = local.ctl("cancel", "first", check=False)
    assert refused.returncode == 1 and "first has ended already: cancelled" in refused.stderr
    wait_state(local, "third", "running")
    (tmp_path / "go-p").touch()
    wait_state(local, "third", "succeeded")
    assert "attempt 1 ran as " in local.ctl("why", "third").stdout
    assert json.loads(local.ctl("--json", "locks").stdout) == []


def test_unlock_ends_the_holder_and_says_so(local, tmp_path):
    local.ctl("submit", "--project", "p", "--id", "holder")
    wait_state(local, "holder", "running")
    local.ctl("submit", "--project", "p", "--id", "next")
    assert local.ctl("unlock", "p").stdout.startswith("holder: cancelled: unlocked by")
    assert show(local, "holder")["reason"] == "unlocked"
    wait_state(local, "next", "running")
    (tmp_path / "go-p").touch()
    wait_state(local, "next", "succeeded")
    assert local.ctl("unlock", "p").stdout == "nobody holds that key; it is free\n"
    assert json.loads(local.ctl("--json", "unlock", "p").stdout)["id"] is None


def test_retry_right_after_the_end_runs_again(local):
    """The worker that had the job may not have let go of it when it comes back."""
    for number in range(1, 4):
        if number == 1:
            local.ctl("submit", "--wait", "--project", "p", "--id", "a", "--env", "FREE=1")
        else:
            assert local.ctl("retry", "a").stdout == "a: accepted for a new attempt\n"
        wait_until("it has ended", lambda: (r := show(local, "a"))["state"] == "succeeded" and
                   r["attempt"]["number"] == number, timeout=30, pause=0.01)
    local.ctl("submit", "--project", "p", "--id", "b")
    refused = local.ctl("retry", "b", check=False)
    assert refused.returncode == 1 and "only a job that has ended" in refused.stderr
    local.ctl("cancel", "b")


def test_delayed_job_says_when_it_may_start(local):
    assert local.ctl("submit", "--project", "p", "--id", "later", "--delay", "1h").stdout == "later: waiting\n"
    record = show(local, "later")
    assert record["accepted"] < record["not_before"] and "not before" in local.ctl("why", "later").stdout
    assert local.ctl("cancel", "later").stdout == "later: cancelled before it was launched\n"


def test_queues_and_outbox_show_what_there_is(local):
    assert [queue["name"] for queue in json.loads(local.ctl("--json", "queues").stdout)] == ["local"]
    assert json.loads(local.ctl("--json", "outbox").stdout) == []


def test_submit_into_sqs_is_sent_and_waited_for(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "100")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1))
    daemon.wait_ready()
    done = daemon.ctl("submit", "--wait", "--project", "shop", "--id", "one", "--queue", "deploys")
    assert done.stdout.splitlines()[-1] == "one: succeeded"
    assert show(daemon, "one")["queue"] == "deploys"
    assert daemon.ctl("submit", "--project", "shop", "--id", "two").stdout == "two: sent\n"
    wait_until("it ends", lambda: (r := daemon.ctl("--json", "show", "two", check=False)).returncode == 0 and
               json.loads(r.stdout)["state"] == "succeeded", timeout=30, pause=0.1)
    wait_until("its message is deleted", lambda: (m := sim.get("/_account")["messages"])["deleted"] == m["sent"] == 2)

