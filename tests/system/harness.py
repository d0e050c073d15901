# SPDX-License-Identifier: Apache-2.0
"""Starts what a system test needs on free ports of 127.0.0.1 and stops it by the pid it started.

BUILDDIR is the build tree (default: the current directory).  Everything waits for an event with a
deadline; nothing sleeps and hopes.  GANTRY_TEST_PATIENCE=N makes each deadline N times as long."""

import json
import os
import re
import shutil
import signal
from signal import SIGTERM
import subprocess
import time
import urllib.request
from pathlib import Path

BUILDDIR = Path(os.environ.get("BUILDDIR", ".")).resolve()
# The same programs without sanitizers, for those tests that need them so; see plain_build().
PLAINDIR = Path(os.environ.get("PLAINDIR") or BUILDDIR).resolve()
SRCDIR = Path(__file__).resolve().parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDSIM", "AWS_SECRET_ACCESS_KEY": "simsecret", "AWS_REGION": "us-east-1"}
# What was freed is kept for a while by the address sanitizer; a test that looks at memory keeps less.
FLAT_MEMORY = "abort_on_error=0:exitcode=99:detect_leaks=1:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
SANITIZED = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


PATIENCE = float(os.environ.get("GANTRY_TEST_PATIENCE") or 1)
# A machine that others use stands still for seconds at any moment: nobody is given less time than this.
LEAST_S = 60.0


def deadline_s(timeout):
    """How long a test really waits that would wait so long on a machine of its own."""
    return max(timeout, LEAST_S) * PATIENCE


def wait_until(what, check, timeout=LEAST_S, pause=0.02):
    """Polls check() until it is true; returns its value."""
    timeout = deadline_s(timeout)
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:.0f} s")
        time.sleep(pause)


def clean_environment(**extra):
    """The environment of a program under test: nothing of AWS but what the test gives."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GANTRY_", "NOTIFY_"))}
    env.update(SANITIZED)
    env["GANTRY_LIBEXECDIR"] = str(BUILDDIR)
    env.update(extra)
    return env


class Program:
    """A child whose output goes to a file that can be waited on."""

    def __init__(self, argv, directory, name, env=None, stdin=subprocess.DEVNULL):
        # A second start in one directory must not find its events in the first one's output.
        earlier = len(list(Path(directory).glob(f"{name}*.log")))
        self.output = Path(directory) / (f"{name}-{earlier}.log" if earlier else f"{name}.log")
        self._file = open(self.output, "ab")
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=stdin, stdout=self._file, stderr=self._file,
            env=env or clean_environment(), cwd=directory)

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return self.output.read_text(errors="replace")

    def wait_for(self, pattern, timeout=LEAST_S, count=1):
        """Waits until the output matches a regular expression count times; returns the last match."""
        regex = re.compile(pattern)

        def look():
            found = list(regex.finditer(self.text()))
            if len(found) >= count:
                return found[-1]
            if self.process.poll() is not None and len(list(regex.finditer(self.text()))) < count:
                raise AssertionError(f"{self.output.name} ended with {self.process.returncode}:\n{self.text()[-4000:]}")
            return None

        try:
            return wait_until(f"{self.output.name}: /{pattern}/", look, timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.text()[-4000:]}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=LEAST_S):
        return self.process.wait(deadline_s(timeout))

    def stop(self, number=SIGTERM, timeout=LEAST_S):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(deadline_s(timeout))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self._file.close()
        return self.process.returncode


class AwsSim(Program):
    """tests/awssim on a free port."""

    build = BUILDDIR

    def __init__(self, directory, *options):
        port_file = Path(directory) / "awssim.port"
        port_file.unlink(missing_ok=True)
        super().__init__([self.build / "tests/awssim/awssim", "--port", "0", "--port-file", port_file, *options],
                         directory, "awssim")
        wait_until("awssim's port", lambda: port_file.exists() and port_file.read_text().strip())
        self.port = int(port_file.read_text())
        self.url = f"http://127.0.0.1:{self.port}"

    def queue_url(self, name):
        return f"{self.url}/000000000000/{name}"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=deadline_s(60)) as reply:
            return json.load(reply)

    def post(self, path, body=None, method="POST"):
        request = urllib.request.Request(self.url + path, data=json.dumps(body or {}).encode(), method=method)
        with urllib.request.urlopen(request, timeout=deadline_s(60)) as reply:
            return json.loads(reply.read() or b"{}")

    def stats(self):
        return self.get("/_stats")

    def fault(self, **fault):
        return self.post("/_admin/fault", fault)

    def finish(self):
        """The tasks that run come to their own end."""
        self.post("/_admin/finish")

    def call(self, action, body, service="AmazonSQS", version="1.0"):
        """An unsigned JSON call, for a simulator that runs with --no-auth."""
        request = urllib.request.Request(self.url + "/", data=json.dumps(body).encode(), headers={
            "Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": f"{service}.{action}"})
        with urllib.request.urlopen(request, timeout=deadline_s(60)) as reply:
            return json.loads(reply.read() or b"{}")


class RedisServer(Program):
    """redis-server on a Unix socket and a free port, without persistence."""

    def __init__(self, directory, port):
        self.port = port
        super().__init__(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                          "--dir", directory], directory, "redis")
        self.url = f"redis://127.0.0.1:{port}/0"
        self.wait_for("Ready to accept connections")

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True,
                              timeout=deadline_s(60), check=True)
        return done.stdout


def with_patience(configuration):
    """A worker that the machine keeps waiting is not a broken one: no reload is rolled back for that."""
    if "ready_timeout" in configuration:
        return configuration
    configuration = re.sub(r"^supervisor: *\n", "supervisor:\n  ready_timeout: 2m\n", configuration, count=1, flags=re.M)
    return re.sub(r"^supervisor: *{", "supervisor: { ready_timeout: 2m,", configuration, count=1, flags=re.M)


class Gantry(Program):
    """gantryd -f with a configuration, and gantryctl beside it."""

    build = BUILDDIR

    def __init__(self, directory, configuration, name="gantryd", options=(), **environment):
        self.directory = Path(directory)
        self.configuration = self.directory / "gantry.yaml"
        self.configuration.write_text(with_patience(configuration))
        self.environment = clean_environment(**{**CREDENTIALS, "HOME": str(directory),
                                                "GANTRY_LIBEXECDIR": str(self.build), **environment})
        super().__init__([self.build / "gantryd", "-f", "-c", self.configuration, *options], directory, name,
                         env=self.environment)

    def wait_ready(self, timeout=LEAST_S):
        self.wait_for(r'msg="ready: generation', timeout)
        return self

    def ctl(self, *words, check=True, timeout=60.0):
        done = subprocess.run([str(self.build / "gantryctl"), "-c", str(self.configuration), *[str(w) for w in words]],
                              capture_output=True, text=True, timeout=deadline_s(timeout), env=self.environment)
        if check and done.returncode != 0:
            raise AssertionError(f"gantryctl {words}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.text()[-3000:]}")
        return done

    def status(self):
        return json.loads(self.ctl("--json", "status").stdout)

    def workers(self, state="active"):
        return [w for w in self.status()["workers"] if w["state"] == state]


def plain_build():
    """PLAINDIR, if its programs are without sanitizers: these see signals, preloads and ptrace first."""
    worker = PLAINDIR / "gantry-worker"
    assert worker.exists(), f"{worker} is not there; PLAINDIR names a build without sanitizers"
    assert b"__asan_init" not in worker.read_bytes(), f"{worker} has sanitizers; PLAINDIR names a build without them"
    return PLAINDIR


class PlainAwsSim(AwsSim):
    build = PLAINDIR


class PlainGantry(Gantry):
    build = PLAINDIR


def have(program):
    return shutil.which(program) is not None


# -- the main job: one SQS queue, one ECS deployer, on awssim --------------------------------------

MAIN_JOB = """
supervisor:
  workers: {workers}
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  drain_timeout: {drain_timeout}
{supervisor_extra}
log: {{ level: {log_level} }}
store: sqlite://{directory}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{endpoint}"{aws_extra} }}
queues:
  deploys:
    type: sqs
    url: {queue_url}
    visibility_timeout: {visibility_timeout}
    wait_time: {wait_time}
    max_in_flight: {max_in_flight}
    default_deployer: mystical
{queue_extra}
deployers:
  mystical:
    type: ecs
    cluster: prod
    task_definition: deployer:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
    environment: {{ PROJECT: "{{{{ project }}}}" }}
{deployer_extra}
{extra}
"""


def main_job(directory, endpoint, queue_url, **change):
    """The text of a configuration; change replaces single values."""
    values = {
        "directory": directory, "endpoint": endpoint, "queue_url": queue_url, "workers": 2, "drain_timeout": "2s",
        "log_level": "info", "visibility_timeout": "30s", "wait_time": "2s", "max_in_flight": 1000,
        "queue_extra": "", "deployer_extra": "", "extra": "", "supervisor_extra": "", "aws_extra": "",
    }
    values.update(change)
    return MAIN_JOB.format(**values)


def send_jobs(gantry, messages, queue="deploys", *options):
    """Sends JSON messages with gantryctl send, one a line."""
    lines = "".join(json.dumps(m) + "\n" for m in messages)
    done = subprocess.run([str(BUILDDIR / "gantryctl"), "-c", str(gantry.configuration), "send", queue, "-", *options],
                          input=lines, capture_output=True, text=True, timeout=deadline_s(120), env=gantry.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
