# SPDX-License-Identifier: Apache-2.0
"""gantryctl top on a terminal of its own: what it shows is what there is, at each size, and its keys do what they say."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pyte
import pytest

import harness

CONFIGURATION = """
supervisor: {{ workers: 2, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "echo hello from {{{{ id }}}}; until [ -e {dir}/go-$$GANTRY_PROJECT ]; do sleep 0.05; done" ]
"""


class Top:
    """gantryctl top on a pseudo-terminal, and what it has drawn there."""

    def __init__(self, daemon, rows=24, columns=80, term="linux"):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            environment = {**daemon.environment, "TERM": term, "LC_ALL": "C.UTF-8"}
            os.execve(daemon.build / "gantryctl", ["gantryctl", "-c", str(daemon.configuration), "top"], environment)

    def text(self):
        return "\n".join(self.screen.display)

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:                         # its end of the terminal is closed
            piece = b""
        self.stream.feed(piece)
        return bool(piece)

    def wait_for(self, *patterns):
        """Until all of these are on the screen at once: it is drawn again all the time."""
        end = time.monotonic() + harness.deadline_s(60)
        while missing := [p for p in patterns if not re.search(p, self.text(), re.MULTILINE)]:
            assert time.monotonic() < end, f"no {missing} on\n{self.text()}"
            self.read(0.2)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        self.screen.reset()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self):
        """Reads to the end; the exit status."""
        end = time.monotonic() + harness.deadline_s(60)
        while time.monotonic() < end and self.read(1):
            pass
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("top")
    program = harness.Gantry(directory, CONFIGURATION.format(dir=directory))
    try:
        program.wait_ready(60)
        yield program
    finally:
        for project in ("shop", "blog"):
            (directory / f"go-{project}").touch()
        program.stop(timeout=90)


@pytest.fixture
def top(daemon):
    started = []

    def start(**options):
        started.append(Top(daemon, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def lines(top, pattern):
    return [line for line in top.screen.display if re.search(pattern, line)]


def test_top_shows_all_at_each_size_and_obeys_its_keys(daemon, top):
    for job, project in [("shop-1", "shop"), ("shop-2", "shop"), ("blog-1", "blog")]:
        daemon.ctl("submit", "--project", project, "--id", job)
    view = top()
    # 80x24: all parts, and every row its own.
    view.wait_for(r"\A gantry \S+  running, generation 1, pid \d+", r"\A[^\n]*\n[^\n]*running 2 .*waiting 1 ",
                  r"^.shop-2 +waiting +shop ", r"^.shop-1 +running +shop ", r"^.blog-1 +running +blog ",
                  r"(?s:^ \d+ +worker +1 active .*^ \d+ +worker +1 active )", r"^ local  +2 ", "^>", r"^ q quit[^\n]*\Z")
    assert [len(lines(view, p)) for p in (r"^ \d+ +worker ", "^ local ", "^>")] == [2, 1, 1]

    view.resize(43, 132)
    view.wait_for(r"^ q quit[^\n]*\Z", r"^.shop-2 +waiting +shop ", "^.shop-1 ", "^.blog-1 ", r"(?s:worker .*worker )")
    assert [len(lines(view, p)) for p in ("worker ", "shop-1", "shop-2", "blog-1")] == [2, 1, 1, 1]

    # Too small for all: the jobs have it.
    view.resize(10, 40)
    view.wait_for(r"^ q quit[^\n]*\Z", r"^.shop-2 +waiting", "^.shop-1 ", r"\A(?:[^\n]*\n){2} job ")
    assert lines(view, "worker ") == [] and len(lines(view, "shop-1")) == 1
    view.resize(3, 12)
    view.wait_for("too small")
    view.resize(24, 80)
    view.wait_for(r"^.shop-2 +waiting +shop ")

    # Sorted by id, the last one is selected; its log, and back.
    view.type("sss")
    view.wait_for("by job")
    view.type("G")
    view.wait_for("^>shop-2")
    view.type("k")
    view.wait_for("^>shop-1")
    view.type("l")
    view.wait_for("^ log of shop-1: running")
    view.wait_for("^hello from shop-1")
    view.type("q")
    view.wait_for("^>shop-1")
    view.type("?")
    view.wait_for("select a job")
    view.type("q")

    # A question is answered by y alone.
    view.wait_for("^>shop-1")
    view.type("j")
    view.wait_for("^>shop-2")
    view.type("c")
    view.wait_for(r"cancel shop-2\? y or n")
    view.type("n")
    view.wait_for("^ q quit")
    assert daemon.ctl("show", "shop-2").stdout.splitlines()[1].split() == ["state", "waiting"]
    view.type("cy")
    view.wait_for("shop-2: cancelled")
    view.wait_for(r"^>shop-2 +cancelled")
    # Refused until its end was told.
    while not lines(view, "^>shop-2 +waiting"):
        view.type("r")
        view.wait_for(r"run again shop-2\? y or n")
        view.type("y")
        view.wait_for(r"shop-2 is cancelled|^>shop-2 +waiting")
    view.type("q")
    assert view.wait() == 0


def test_top_says_who_is_away_and_leaves_on_interrupt(tmp_path, daemon, top):
    aside = daemon.directory / "control.aside"
    view = top(term="vt100")
    view.wait_for("generation 1")
    os.rename(daemon.directory / "control.sock", aside)
    try:
        view.wait_for("no gantryd listens at")
        view.wait_for("by state")
    finally:
        os.rename(aside, daemon.directory / "control.sock")
    view.wait_for("generation 1")
    view.type("\x03")
    assert view.wait() == 0


@pytest.mark.parametrize("term", ["dumb", "no-such-terminal"])
def test_top_refuses_a_terminal_whose_cursor_cannot_be_placed(top, term):
    view = top(term=term)
    assert view.wait() == 1
    assert f'TERM is "{term}"' in view.text().replace("\n", "")


def test_top_refuses_what_is_no_terminal(daemon):
    done = daemon.ctl("top", check=False)
    assert done.returncode == 1 and "this is none" in done.stderr
