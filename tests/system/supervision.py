# SPDX-License-Identifier: Apache-2.0
"""gantryd with workers that do as they are told (fake_worker/fake_worker.c), for the master's tests."""

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

from harness import BUILDDIR, LEAST_S, SANITIZED, deadline_s, wait_until

FAKES = BUILDDIR / "tests" / "system" / "fake_worker"
GANTRYD = BUILDDIR / "gantryd"

CONFIGURATION = """
supervisor:
  workers: {workers}
  pid_file: {run}/gantryd.pid
  control_socket: {run}/control.sock
  ready_timeout: {ready_timeout}
  drain_timeout: {drain_timeout}
  watchdog: {watchdog}
  probation: {probation}
  old_generations: {old_generations}
  restart_delay: {restart_delay}
{supervisor}
log: {{ to: {log_to}, level: debug }}
{api}
store: sqlite://{run}/gantry.db
env_file: {run}/env
aws: {{ region: us-east-1 }}
queues:
  deploys: {{ type: sqs, url: "http://127.0.0.1:1/000000000000/deploys", default_deployer: app, wait_time: 1s }}
deployers:
  app: {{ type: ecs, cluster: c, task_definition: t, container: c }}
"""

DEFAULTS = {
    "workers": 2, "ready_timeout": "2m", "drain_timeout": "10s", "watchdog": "30s", "probation": "30s",
    "old_generations": 2, "restart_delay": "50ms", "supervisor": "", "log_to": "{run}/gantryd.log",
    "api": "",
}


def alive(pid):
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parse_line(line):
    """A control line: its name and its words."""
    name, _, rest = line.partition(" ")
    words = {}
    for key, quoted, plain in re.findall(r'([^ =]+)=(?:"((?:[^"\\]|\\.)*)"|([^ ]*))', rest):
        words[key] = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), quoted) or plain
    return name, words


class Answer:
    """What the control socket answered: .status, .why, and the lines by name."""

    def __init__(self, text):
        self.lines = [parse_line(line) for line in text.splitlines()]
        assert self.lines and self.lines[-1][0] == "end", f"no end line: {text!r}"
        self.status = int(self.lines[-1][1]["status"])
        self.why = self.lines[-1][1].get("why", "")

    def all(self, name):
        return [words for line, words in self.lines if line == name]

    def one(self, name):
        (words,) = self.all(name)
        return words


class Client:
    """One conversation; ask() sends, answer() waits."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(deadline_s(60))
        self.socket.connect(str(path))
        self.received = b""

    def ask(self, request):
        self.socket.sendall(request.encode() + b"\n")
        return self

    def answer(self):
        while not re.search(rb"^end [^\n]*\n\Z", self.received, re.M):
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError(f"closed after {self.received!r}")
            self.received += chunk
        text, self.received = self.received.decode(), b""
        return Answer(text)

    def close(self):
        """Returns when the other side has closed too, so that its descriptors can be counted."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(65536):
                pass
        except OSError:
            pass    # it has gone
        self.socket.close()


class Master:
    """A gantryd and its directory."""

    def __init__(self, directory, gantryd=GANTRYD):
        self.directory = Path(directory)
        self.file = self.directory / "gantry.yaml"
        self.log = self.directory / "gantryd.log"
        self.events = self.directory / "events"
        self.socket = self.directory / "control.sock"
        self.pid_file = self.directory / "gantryd.pid"
        self.programs = self.directory / "libexec"
        self.process = None
        self.pid = None
        self.gantryd = gantryd
        self.environment = {}
        self.programs.mkdir()
        (self.programs / "gantry-worker").symlink_to(FAKES / "fake_worker")
        (self.programs / "gantry-api").symlink_to(FAKES / "fake_worker")
        (self.programs / "gantry-check").symlink_to(BUILDDIR / "gantry-check")
        self.configure()

    # -- configuration

    def configure(self, workers_do="", **settings):
        """Writes the configuration; workers_do is what its generation's workers are told."""
        values = {**DEFAULTS, **settings, "run": self.directory}
        values["log_to"] = values["log_to"].format(run=self.directory)
        self.file.write_text(CONFIGURATION.format(**values))
        (self.directory / "env").write_text(f"FAKE_WORKER='{workers_do}'\n")

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GANTRY_", "NOTIFY_", "WATCHDOG_"))}
        env.update(SANITIZED, GANTRY_LIBEXECDIR=str(self.programs), FAKE_LOG=str(self.events))
        env.update(self.environment)
        return env

    # -- life

    def launch(self, *options, **popen):
        """In the foreground, without waiting for anything."""
        self.process = subprocess.Popen(
            [str(self.gantryd), "-f", "-c", str(self.file), *options], env=self.env(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)
        self.pid = self.process.pid
        return self

    def start(self, *options, **popen):
        self.launch(*options, **popen)
        self.wait_log(r"ready: generation 1, \d+ workers")
        return self

    def daemon(self, *options):
        """As a daemon; the finished process that was started.  Its pid is in the pid file, if it is there."""
        done = subprocess.run(
            [str(self.gantryd), "-c", str(self.file), *options], env=self.env(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=deadline_s(60), check=False)
        if done.returncode == 0:
            self.pid = int(self.pid_file.read_text())
        return done

    def signal(self, signo):
        os.kill(self.pid, signo)

    def wait_exit(self, timeout=LEAST_S):
        """Its exit status; None for a daemon, whose parent we are not."""
        if self.process is not None:
            return self.process.wait(deadline_s(timeout))
        wait_until(f"end of {self.pid}", lambda: not alive(self.pid), timeout)
        return None

    def clean_up(self):
        """Nothing of it is left afterwards, whatever happened."""
        pids = self.worker_pids()
        if self.pid is not None and alive(self.pid) and self.is_ours(self.pid):
            os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(deadline_s(60))
            self.process.stdout.close()
        for pid in pids:
            if alive(pid) and self.is_ours(pid):
                os.kill(pid, signal.SIGKILL)

    def is_ours(self, pid):
        try:
            return f"FAKE_LOG={self.events}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            return False

    # -- what it says

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    def count_log(self, pattern):
        return len(re.findall(pattern, self.log_text()))

    def wait_log(self, pattern, count=1, timeout=LEAST_S):
        def look():
            found = list(re.finditer(pattern, self.log_text()))
            if len(found) >= count:
                return found[count - 1]
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.process.stdout.read()}\n"
                                     f"{self.log_text()[-4000:]}")
            return None

        try:
            return wait_until(f"log: /{pattern}/", look, timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log_text()[-6000:]}") from None

    def event_lines(self):
        """(pid, generation, slot, what) of every step of every worker."""
        if not self.events.exists():
            return []
        lines = [line.split(" ", 3) for line in self.events.read_text().splitlines()]
        return [(int(pid), int(generation), int(slot), what.strip()) for pid, generation, slot, what in lines]

    def events_of(self, generation, word):
        return [e for e in self.event_lines() if e[1] == generation and re.match(word, e[3])]

    def wait_event(self, generation, word, count=1, timeout=LEAST_S):
        return wait_until(f"{count} x {word} of generation {generation}",
                          lambda: (lambda found: found if len(found) >= count else None)(
                              self.events_of(generation, word)), timeout)

    def worker_pids(self):
        return sorted({pid for pid, _, _, what in self.event_lines() if what.startswith("started")})

    def pid_of(self, generation, slot):
        """The worker that was started last for a slot of a generation."""
        return [e[0] for e in self.events_of(generation, "started") if e[2] == slot][-1]

    def living(self):
        return [pid for pid in self.worker_pids() if alive(pid)]

    # -- control socket

    def client(self):
        return Client(self.socket)

    def ask(self, request):
        client = self.client()
        try:
            return client.ask(request).answer()
        finally:
            client.close()

    def status(self):
        return self.ask("status")

    def generation(self):
        return int(self.status().one("daemon")["generation"])

    def states(self, generation=None, role="worker"):
        """State by pid."""
        return {int(w["pid"]): w["state"] for w in self.status().all("worker")
                if w["role"] == role and (generation is None or int(w["generation"]) == generation)}

    def settle(self, generation, workers=2):
        """Waits until this generation alone is there and active."""
        def look():
            states = self.status().all("worker")
            return (len(states) == workers and all(w["state"] == "active" for w in states)
                    and {int(w["generation"]) for w in states} == {generation})

        wait_until(f"generation {generation} alone", look)

    def descriptors(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # -- the service manager

    def listen_for_notifications(self, abstract=False):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(deadline_s(60))
        if abstract:
            name = f"gantry-test-{os.getpid()}-{self.directory.name}"
            self.notify.bind("\0" + name)
            self.environment["NOTIFY_SOCKET"] = "@" + name
        else:
            path = self.directory / "notify"
            self.notify.bind(str(path))
            path.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
            self.environment["NOTIFY_SOCKET"] = str(path)

    def wait_notification(self, pattern):
        """The next one that matches, and those before it that did not."""
        skipped = []
        while True:
            text = self.notify.recv(4096).decode()
            if re.search(pattern, text, re.M):
                return text, skipped
            skipped.append(text)
