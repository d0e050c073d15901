# SPDX-License-Identifier: Apache-2.0
"""gantryctl --json: each command of the table prints what a program can read, or says that it never does."""

import json
import subprocess

import pytest

import harness

CONFIGURATION = """
supervisor: {{ workers: 1, drain_timeout: 1s, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{url}" }}
queues:
  local: {{ type: store, default_deployer: shell }}
  sqs: {{ type: sqs, url: "{queue}", default_deployer: shell, wait_time: 1s }}
  idle: {{ type: sqs, url: "{idle}", default_deployer: shell, wait_time: 1s }}
deployers:
  shell: {{ type: process, command: [ /bin/sh, -c, "echo says so" ] }}
"""

# The words of each command, run in this order; a command of the table that is not here fails its test.
WORDS = {
    "status": [["status"]],
    "reload": [["reload"]],
    "upgrade": [["upgrade", "--no-wait"]],
    "workers": [["workers", "1"]],
    "conf": [["conf", "store"]],
    "check": [["check"], ["check", "{dir}/broken.yaml"]],
    "submit": [["submit", "--project", "p", "--queue", "sqs", "--id", "one"], ["submit", "--wait", "--project", "p", "--id", "two"],
               ["submit", "--project", "late", "--delay", "1h", "--id", "later"],
               ["submit", "--project", "late", "--delay", "1h", "--id", "latest"]],
    "jobs": [["jobs"]],
    "show": [["show", "two"]],
    "why": [["why", "later"]],
    "log": [["log", "two"]],
    "logs": [["logs", "-n", "5"]],
    "cancel": [["cancel", "later"], ["cancel", "--no-wait", "latest"]],
    "retry": [["retry", "later"]],
    "locks": [["locks"]],
    "unlock": [["unlock", "p"]],
    "queues": [["queues"]],
    "peek": [["peek", "idle"]],
    "redrive": [["redrive", "dead"]],
    "outbox": [["outbox"]],
    "send": [["send", "trial", "--count", "3"]],
    "receive": [["receive", "trial", "--count", "3", "--idle", "20s"]],
    "stop": [["stop"]],
    "store": [["store", "copy", "--force", "sqlite://{dir}/gantry.db", "sqlite://{dir}/copy.db"]],
}
# Not gantryd's: by hand only.
TRIAL = """
aws: {{ region: us-east-1, endpoint_url: "{url}" }}
queues: {{ trial: {{ type: sqs, url: "{trial}", wait_time: 1s }}, dead: {{ type: sqs, url: "{dead}" }} }}
deployers: {{ shell: {{ type: process, command: [ /bin/true ] }} }}
"""


def table():
    program = harness.BUILDDIR / "gantryctl"
    done = subprocess.run([program, "--json", "--help"], capture_output=True, text=True, timeout=60, check=True,
                          env=harness.clean_environment())
    return json.loads(done.stdout)


def documents(command, text):
    if command["json"] == "lines":
        return [json.loads(line) for line in text.splitlines()]
    return [json.loads(text)]


@pytest.fixture
def daemon(tmp_path, awssim, gantry):
    sim = awssim("--no-auth", "--queue", "sqs", "--queue", "idle", "--queue", "trial", "--queue", "graves")
    told = sim.call("GetQueueAttributes", {"QueueUrl": sim.queue_url("graves"), "AttributeNames": ["All"]})
    sim.call("CreateQueue", {"QueueName": "dead", "Attributes": {"RedrivePolicy": json.dumps(
        {"deadLetterTargetArn": told["Attributes"]["QueueArn"], "maxReceiveCount": 3})}})
    program = gantry(CONFIGURATION.format(dir=tmp_path, url=sim.url, queue=sim.queue_url("sqs"), idle=sim.queue_url("idle")))
    (tmp_path / "trial.yaml").write_text(TRIAL.format(url=sim.url, trial=sim.queue_url("trial"), dead=sim.queue_url("dead")))
    (tmp_path / "broken.yaml").write_text("queues: [\n")
    return program.wait_ready(60)


def run(daemon, words, trial):
    configuration = daemon.directory / "trial.yaml" if trial else daemon.configuration
    words = [word.replace("{dir}", str(daemon.directory)) for word in words]
    return subprocess.run([daemon.build / "gantryctl", "-c", configuration, *words, "--json"], capture_output=True, text=True,
                          timeout=120, check=False, env=daemon.environment)


def test_every_command_prints_json_or_says_that_it_never_does(daemon):
    commands = {command["name"]: command for command in table()}
    readable = [name for name, command in commands.items() if command["json"] != "none"]
    assert sorted(readable) == sorted(WORDS)
    for name, calls in WORDS.items():
        for words in calls:
            done = run(daemon, words, trial=name in ("send", "receive", "redrive"))
            assert done.returncode == (1 if "broken" in words[-1] else 0), (words, done)
            assert documents(commands[name], done.stdout), (words, done)
    for name, command in commands.items():
        if command["json"] == "none":
            done = run(daemon, [name], trial=False)
            assert (done.returncode, done.stdout) == (2, "") and name in done.stderr


def test_check_names_line_and_column(daemon):
    (daemon.directory / "wrong.yaml").write_text("queues: { q: { type: store } }\ndeployers: { d: { type: sheep } }\n")
    done = run(daemon, ["check", "{dir}/wrong.yaml"], trial=False)
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and not answer["ok"] and answer["file"].endswith("wrong.yaml")
    assert answer["errors"][0]["line"] == 2 and "sheep" in answer["errors"][0]["text"]
