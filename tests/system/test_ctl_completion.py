# SPDX-License-Identifier: Apache-2.0
"""What gantryctl completion prints completes its words in a real bash and a real zsh, and runs no stranger's text."""

import os
import pty
import select
import shutil
import subprocess
import time

import pytest

import harness

CONFIGURATION = """
store: sqlite://{dir}/gantry.db
supervisor: {{ control_socket: {dir}/control.sock, pid_file: {dir}/pid, state_dir: {dir}/state, workers: 1, drain_timeout: 1s }}
queues:
  local: {{ type: store, default_deployer: shell }}
  later: {{ type: sqs, url: "http://127.0.0.1:1/000000000000/later", default_deployer: shell }}
aws: {{ region: us-east-1, access_key: A, secret_key: B }}
deployers:
  shell: {{ type: process, command: [ /bin/true ] }}
  sheep: {{ type: process, command: [ /bin/true ] }}
"""
JOBS = ["queue:7d0c-1", "queue:7d0c-2", "$(>harm)"]


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    """A directory with gantryctl on its PATH, a store with waiting jobs, and the scripts; nothing runs."""
    directory = tmp_path_factory.mktemp("prompt")
    (directory / "gantry.yaml").write_text(CONFIGURATION.format(dir=directory))
    environment = harness.clean_environment(PATH=f"{harness.BUILDDIR}:{os.environ['PATH']}", HOME=str(directory),
                                            GANTRY_COMPLETION_WAIT="120")

    def ctl(*words):
        return subprocess.run(["gantryctl", "-c", str(directory / "gantry.yaml"), *words], capture_output=True, text=True,
                              timeout=60, check=False, env=environment)

    # The store is made by the first worker; the queue that answers nobody would be in its way.
    (directory / "daemon").mkdir()
    daemon = harness.Gantry(directory / "daemon", "".join(
        line for line in CONFIGURATION.format(dir=directory).splitlines(True) if "later:" not in line))
    try:
        daemon.wait_ready(60)
        for job in JOBS:
            done = ctl("submit", "--project", job, "--delay", "1h", "--id", job)
            assert done.returncode == 0, done.stderr
    finally:
        daemon.stop(timeout=60)
    (directory / "gantryctl.bash").write_text(ctl("completion", "bash").stdout)
    (directory / "_gantryctl").write_text(ctl("completion", "zsh").stdout)
    return directory, environment


def test_scripts_are_clean():
    script = subprocess.run([harness.BUILDDIR / "gantryctl", "completion", "bash"], capture_output=True, text=True, timeout=60,
                            check=True, env=harness.clean_environment()).stdout
    assert shutil.which("shellcheck"), "shellcheck is missing: install the package shellcheck"
    lint = subprocess.run(["shellcheck", "-s", "bash", "-"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert lint.stdout + lint.stderr == ""


def test_bash_completes_what_there_is(prompt):
    directory, environment = prompt
    file = f"gantryctl -c {directory}/gantry.yaml"
    cases = [
        ("gantryctl sta", ["status"]),
        ("gantryctl --js", ["--json"]),
        ("gantryctl reload --", ["--no-wait", "--json"]),
        ("gantryctl completion ", ["bash", "zsh"]),
        (f"gantryctl -c {directory}/gantry.y", [f"{directory}/gantry.yaml"]),
        (f"{file} peek ", ["later", "local"]),
        (f"{file} send la", ["later"]),
        (f"{file} submit --queue local --deployer sh", ["sheep", "shell"]),
        (f"{file} jobs --state su", ["succeeded", "superseded"]),
        (f"{file} conf supervisor.w", ["supervisor.watchdog", "supervisor.workers"]),
        # Bash has cut the word at its colon, and keeps what is before it.
        (f"{file} show queue:7d0c-", ["7d0c-1", "7d0c-2"]),
        (f"{file} retry queue:", []),
        (f"{file} show $", [r"\$\(\>harm\)"]),
        (f"{file} submit --ref ", []),
        (f"{file} outbox ", ["replay"]),
        (f"{file} outbox replay ", ["all"]),
        ("gantryctl -c /nowhere.yaml show ", []),
    ]
    script = f". {directory}/gantryctl.bash\n" + "".join(
        f"COMP_LINE='{line}' COMP_POINT={len(line)}; _gantryctl; printf '%s\\t' \"${{COMPREPLY[@]}}\"; echo\n"
        for line, _ in cases)
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=300, check=False,
                          env=environment, cwd=directory)
    given = [sorted(word for word in line.split("\t") if word) for line in done.stdout.splitlines()]
    assert given == [sorted(words) for _, words in cases] and done.stderr == "", done.stderr
    assert not (directory / "harm").exists()


class Zsh:
    """A zsh on a terminal, to which keys are typed."""

    def __init__(self, directory, environment):
        assert shutil.which("zsh"), "zsh is missing: install the package zsh"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**environment, "TERM": "dumb", "PS1": "% "})

    def wait_for(self, text, timeout=60):
        seen, end = "", time.monotonic() + timeout
        while text not in seen:
            assert select.select([self.fd], [], [], max(0, end - time.monotonic()))[0], f"no {text!r} in {seen!r}"
            seen += os.read(self.fd, 65536).decode(errors="replace")
        return seen

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_zsh_completes_what_there_is(prompt):
    directory, environment = prompt
    zsh = Zsh(directory, environment)
    try:
        zsh.type(f"fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\n")
        zsh.wait_for("ready")
        zsh.type(f"gantryctl -c {directory}/gantry.yaml submit --deployer she\t")
        zsh.wait_for("submit --deployer she")
        zsh.type("e\t; echo done''1\n")
        assert "sheep" in zsh.wait_for("done1")
        zsh.type(f"echo gantryctl; : gantryctl -c {directory}/gantry.yaml; gantryctl compl\t zs\t >/dev/null; echo done''2\n")
        assert "gantryctl completion zsh" in zsh.wait_for("done2")
        zsh.type(f"gantryctl -c {directory}/gantry.yaml show queue\t1 --json | grep sequence; echo done''3\n")
        assert '"sequence"' in zsh.wait_for("done3")
    finally:
        zsh.close()
    assert not (directory / "harm").exists()
