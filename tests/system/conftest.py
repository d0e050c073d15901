# SPDX-License-Identifier: Apache-2.0
"""Fixtures: each test has its own directory, simulator, Redis and gantryd, and leaves none behind."""

import random
import socket
import subprocess

import pytest

import harness
import stores


def free_port():
    """A port that nobody listens on, below those that the kernel gives to connections: until it is used, no
    other may come by it but by the same dice."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass        # taken


@pytest.fixture
def started():
    """Programs that a test started; stopped at its end, newest first, whatever happened."""
    programs = []
    yield programs
    for program in reversed(programs):
        try:
            program.stop()
        except subprocess.TimeoutExpired:
            pytest.fail(f"{program.output.name} did not stop:\n{program.text()[-4000:]}")


@pytest.fixture
def figures(record_property):
    """A function that notes what a test has counted or measured; told at the end of the run, also with -n."""

    def note(text):
        print(text)
        record_property("figures", text)

    return note


def pytest_terminal_summary(terminalreporter):
    lines = [f"{report.nodeid.rsplit('::', 1)[-1]}: {text}"
             for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])
             for name, text in report.user_properties if name == "figures"]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture
def awssim(tmp_path, started):
    """A function that starts awssim with options."""

    def start(*options):
        program = harness.AwsSim(tmp_path, *options)
        started.append(program)
        return program

    return start


@pytest.fixture
def redis_server(tmp_path, started):
    program = harness.RedisServer(tmp_path, free_port())
    started.append(program)
    return program


@pytest.fixture
def shared_store(tmp_path, started):
    """A function that starts a store of a kind that several gantryds may share; it stays until those have left."""

    def start(kind):
        store = stores.make_store(kind, tmp_path, free_port())
        started.insert(0, store)
        return store

    return start


@pytest.fixture
def gantry(tmp_path, started):
    """A function that starts gantryd with a configuration's text; {dir} in it is the test's directory."""

    def start(configuration, **environment):
        program = harness.Gantry(tmp_path, configuration.replace("{dir}", str(tmp_path)), **environment)
        started.append(program)
        return program

    return start
