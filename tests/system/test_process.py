# SPDX-License-Identifier: Apache-2.0
"""Local commands: each runs once, is killed by nobody's death, and its result is right whoever asks.

The jobs come through SQS (awssim); the commands are shell lines that write down what they saw."""

import json
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import send_jobs, wait_until

CONFIGURATION = """
supervisor:
  workers: {workers}
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  state_dir: {directory}/state
  drain_timeout: 1s
  lease: 3s
log: {{ level: info }}
store: sqlite://{directory}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{endpoint}" }}
queues:
  deploys: {{ type: sqs, url: "{queue_url}", visibility_timeout: 30s, wait_time: 1s, default_deployer: shell }}
deployers:
  shell:
    type: process
    kill_after: 300ms
{deployer}
"""


def only_root():
    return pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")


class Host:
    """A gantryd with one process deployer, fed by a queue of awssim."""

    def __init__(self, directory, sim, gantry, deployer, workers=2):
        self.directory, self.gantry = directory, gantry
        if "\ndirectory:" not in deployer:
            deployer += f"directory: {directory}\n"
        deployer = deployer.replace("$$", "$$$$")
        self.configuration = CONFIGURATION.format(
            directory=directory, endpoint=sim.url, queue_url=sim.queue_url("deploys"), workers=workers,
            deployer="\n".join("    " + line for line in deployer.strip().splitlines()))
        self.start()

    def start(self):
        self.daemon = self.gantry(self.configuration).wait_ready()

    def send(self, *jobs):
        send_jobs(self.daemon, [{"project": job["id"], **job} for job in jobs])

    def show(self, job):
        done = self.daemon.ctl("--json", "show", job, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {"state": "unknown"}

    def wait(self, job, *states, timeout=30):
        return wait_until(f"{job} {states}", lambda: (s := self.show(job))["state"] in states and s, timeout)

    def wait_final(self, job, timeout=30):
        return self.wait(job, "succeeded", "failed", "cancelled", timeout=timeout)

    def job_dir(self, job):
        shown = wait_until(f"handle of {job}", lambda: (a := self.show(job).get("attempt")) and a.get("handle"))
        return Path(shown.split("#")[0])

    def started(self, job):
        record = self.job_dir(job) / "started"
        return dict(line.split(" ", 1) for line in record.read_text().splitlines() if " " in line)

    def log(self, job):
        return (self.job_dir(job) / "log").read_text()


@pytest.fixture
def host(tmp_path, awssim, gantry):
    def make(deployer, **options):
        return Host(tmp_path, awssim("--queue", "deploys"), gantry, deployer, **options)

    yield make
    for record in tmp_path.glob("state/jobs/*/started"):
        for pid in session_members(re.search(r"^session (\d+)$", record.read_text(), re.M)[1]):
            os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def session_members(session):
    """Living processes of a session, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split() if entry.name.isdigit() else None
        except OSError:
            continue
        if fields and int(fields[3]) == int(session) and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def comm(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def wait_file(path, timeout=20):
    return wait_until(f"{path}", lambda: path.exists() and path.read_text(), timeout)


def test_command_gets_its_templates_a_clean_environment_and_keeps_its_output_in_order(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", 'echo out; echo err >&2; echo "$0 $1"; env; printf done > "$GANTRY_RESULT"', "{{ project }}", "{{ ref }}" ]
environment: { A: "x {{ project }}" }
pass_environment: [ PASSED, NOT_THERE ]
allow: { environment: ["B_*"] }
""")
    h.daemon.stop()
    h.daemon = h.gantry(h.configuration, PASSED="through", SECRET="kept").wait_ready()
    h.send({"id": "j1", "ref": "main", "environment": {"B_1": "it's b"}})
    assert h.wait_final("j1")["state"] == "succeeded"
    lines = h.log("j1").splitlines()
    assert lines[:3] == ["out", "err", "j1 main"]
    seen = dict(line.split("=", 1) for line in lines[3:])
    assert seen.pop("PWD") == str(tmp_path)
    for shells_own in ("OLDPWD", "SHLVL", "_"):
        seen.pop(shells_own, None)
    me = pwd.getpwuid(os.geteuid())
    assert seen == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": me.pw_dir, "USER": me.pw_name,
        "LOGNAME": me.pw_name, "SHELL": me.pw_shell, "LANG": os.environ.get("LANG", "C.UTF-8"), "PASSED": "through",
        "A": "x j1", "B_1": "it's b", "GANTRY_JOB": "j1", "GANTRY_ATTEMPT": "1", "GANTRY_PROJECT": "j1",
        "GANTRY_FENCE": "1", "GANTRY_RESULT": str(h.job_dir("j1") / "result")}
    assert (h.job_dir("j1") / "result").read_text() == "done"
    assert "through" not in json.dumps(h.show("j1"))


def test_lines_run_in_order_until_the_first_that_fails(host):
    h = host("""
commands: [ "echo one; cd /tmp", "pwd; echo {{ project }}", "exit 7", "echo never" ]
""")
    h.send({"id": "j1"}, {"id": "bad", "project": "x; touch /tmp/never"})
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"], shown["exit_code"]) == ("failed", "exit_code", 7)
    assert shown["detail"] == "line 3: exit status 7"
    assert h.log("j1") == ("+ echo one; cd /tmp\none\n" f"+ pwd; echo j1\n{h.directory}\nj1\n" "+ exit 7\n")
    refused = h.wait_final("bad")
    assert (refused["state"], refused["reason"]) == ("failed", "rejected")
    assert 'found "x; touch /tmp/never"' in refused["detail"]
    assert "handle" not in (refused.get("attempt") or {}) or not refused["attempt"]["handle"]


@pytest.mark.parametrize("whom", ["worker", "master", "both"])
def test_command_runs_on_when_gantryd_is_killed_and_its_result_is_right(host, tmp_path, whom):
    h = host("""
commands: [ "echo $$ > pid; echo x >> runs; while [ ! -e go ]; do sleep 0.05; done", "exit 5" ]
""")
    h.send({"id": "j1"})
    pid = int(wait_file(tmp_path / "pid"))
    h.wait("j1", "running")
    workers = [w["pid"] for w in h.daemon.workers()]
    for victim in {"worker": workers, "master": [h.daemon.pid], "both": [h.daemon.pid, *workers]}[whom]:
        os.kill(victim, signal.SIGKILL)
    if whom != "worker":
        h.daemon.wait()
        wait_until("all of gantryd gone", lambda: not any(alive(w) for w in workers))
    assert alive(pid)
    if whom == "master":
        (tmp_path / "go").touch()
        wait_until("command ended while nobody watched", lambda: not alive(pid))
    if whom != "worker":
        h.start()
    (tmp_path / "go").touch()
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"], shown["exit_code"]) == ("failed", "exit_code", 5)
    assert (tmp_path / "runs").read_text() == "x\n"


def test_command_survives_reload_upgrade_stop_and_start(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", "echo $$ > pid; echo x >> runs; while [ ! -e go ]; do sleep 0.05; done" ]
""")
    h.send({"id": "j1"})
    pid = int(wait_file(tmp_path / "pid"))
    h.wait("j1", "running")
    h.daemon.ctl("reload")
    h.daemon.ctl("upgrade")
    h.daemon.ctl("stop")
    h.daemon.wait()
    assert alive(pid)
    h.start()
    h.wait("j1", "running")
    (tmp_path / "go").touch()
    assert h.wait_final("j1")["state"] == "succeeded"
    assert (tmp_path / "runs").read_text() == "x\n"


def test_killed_shim_fails_its_job_and_takes_its_group_along(host, tmp_path):
    h = host("""
commands: [ "sh -c 'echo $$ > pid; while :; do sleep 1; done' & sh -c 'trap \\"\\" TERM HUP; sleep 300' & sleep 300" ]
""")
    h.send({"id": "j1"})
    wait_file(tmp_path / "pid")
    started = h.started("j1")
    wait_until("all of its group", lambda: len(session_members(started["session"])) >= 5)
    os.kill(int(started["shim"]), signal.SIGKILL)
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"]) == ("failed", "shim_killed")
    wait_until("its group gone", lambda: not session_members(started["session"]))
    h.send({"id": "j2"})
    started = h.started("j2")
    shim = int(started["shim"])
    guard = wait_until("its guard", lambda: [p for p in session_members(shim) if comm(p) == "gantry-guard"])[0]
    wait_until("its command", lambda: len(session_members(shim)) >= 5)
    os.kill(shim, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    os.kill(shim, signal.SIGKILL)
    assert h.wait_final("j2")["reason"] == "shim_killed"
    wait_until("the group that lost its guard too", lambda: not session_members(started["session"]))


def test_killed_shim_is_noticed_by_a_later_gantryd(host, tmp_path):
    h = host("""
command: [ "sleep", "300" ]
""")
    h.send({"id": "j1"})
    h.wait("j1", "running")
    started = h.started("j1")
    h.daemon.ctl("stop")
    h.daemon.wait()
    os.kill(int(started["shim"]), signal.SIGKILL)
    wait_until("its group gone", lambda: not session_members(started["session"]))
    h.start()
    assert h.wait_final("j1")["reason"] == "shim_killed"


def test_restart_of_the_host_fails_what_ran(host):
    h = host("""
command: [ "sleep", "300" ]
""")
    h.send({"id": "j1"})
    h.wait("j1", "running")
    started, directory = h.started("j1"), h.job_dir("j1")
    h.daemon.ctl("stop")
    h.daemon.wait()
    os.kill(int(started["shim"]), signal.SIGKILL)
    wait_until("its group gone", lambda: not session_members(started["session"]))
    record = directory / "started"
    record.write_text(record.read_text().replace(started["boot"], "00000000-0000-4000-8000-000000000000"))
    h.start()
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"]) == ("failed", "host_restarted")


def test_timeout_asks_then_kills_the_whole_group(host, tmp_path):
    h = host("""
commands: [ "sh -c 'trap \\"\\" TERM; echo $$ > deaf; while :; do sleep 1; done' & trap 'echo asked; exit 0' TERM; echo $$ > pid; while :; do sleep 0.1; done" ]
timeout: 6s
""")
    h.send({"id": "j1"})
    started = h.started("j1")
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"]) == ("failed", "timeout")
    assert "asked" in h.log("j1")
    assert not session_members(started["session"])
    assert (tmp_path / "deaf").exists()


def test_parallel_is_kept_over_all_workers_and_those_who_wait_go_on_at_once(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", "mkdir busy || echo two >> wrong; echo $(date +%s%N) >> times; sleep 0.2; rmdir busy" ]
parallel: 1
""", workers=3)
    h.send(*({"id": f"j{i}"} for i in range(12)))
    for i in range(12):
        assert h.wait_final(f"j{i}", timeout=60)["state"] == "succeeded"
    assert not (tmp_path / "wrong").exists()
    times = [int(line) / 1e9 for line in (tmp_path / "times").read_text().split()]
    assert len(times) == 12
    print("from start to start:", sorted(round(b - a, 3) for a, b in zip(times, times[1:])))


def test_slot_of_a_killed_shim_is_free_again(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", "echo x >> runs; [ $GANTRY_JOB = j2 ] || sleep 300" ]
parallel: 1
""")
    h.send({"id": "j1"})
    wait_file(tmp_path / "runs")
    h.send({"id": "j2"})
    wait_until("j2 waits for the slot",
               lambda: "no slot of 1 is free" in h.daemon.ctl("--json", "show", "j2", check=False).stdout)
    os.kill(int(h.started("j1")["shim"]), signal.SIGKILL)
    assert h.wait_final("j2")["state"] == "succeeded"
    assert h.wait_final("j1")["reason"] == "shim_killed"


def test_message_may_choose_a_directory_only_where_its_links_lead_is_allowed(host, tmp_path):
    (tmp_path / "sites" / "a").mkdir(parents=True)
    (tmp_path / "sites" / "out").symlink_to("/etc")
    h = host(f"""
command: [ "pwd" ]
allow: {{ directory: ["{tmp_path}/sites/*"] }}
""")
    h.send({"id": "in", "directory": f"{tmp_path}/sites/a"}, {"id": "link", "cd": f"{tmp_path}/sites/out"},
           {"id": "up", "directory": f"{tmp_path}/sites/../x"}, {"id": "other", "directory": "/etc"})
    assert h.wait_final("in")["state"] == "succeeded"
    assert h.log("in") == f"{tmp_path}/sites/a\n"
    link = h.wait_final("link")
    assert (link["state"], link["reason"]) == ("failed", "start_failed")
    assert "leads to /etc, which allow.directory does not grant" in link["detail"]
    assert h.wait_final("other")["reason"] == "rejected"
    wait_until("the malformed one recorded", lambda: "absolute path without" in h.daemon.text())


def test_last_command_and_stage_are_checked_before_the_launch(host):
    h = host("""
allow: { command: true }
require_last: [ "supervisorctl start *", "true*" ]
environment: { WHERE: nowhere, KEEP: kept }
stages: { production: { environment: { WHERE: "prod {{ ref }}" } }, testing: { refs: [ "refs/heads/test-*" ], environment: { WHERE: test } } }
""")
    lines = ["echo $WHERE $KEEP", " true "]
    h.send({"id": "no", "commands": ["true", "echo end"]}, {"id": "plain", "commands": lines},
           {"id": "stage", "commands": lines, "stage": "production", "ref": "x"},
           {"id": "ref", "commands": lines, "ref": "refs/heads/production"},
           {"id": "glob", "commands": lines, "ref": "refs/heads/test-1"},
           {"id": "unknown", "commands": lines, "stage": "prod"})
    refused = h.wait_final("no")
    assert (refused["reason"], "require_last" in refused["detail"]) == ("rejected", True)
    assert "stage: expected one of" in h.wait_final("unknown")["detail"]
    for job, says in {"plain": "nowhere kept", "stage": "prod x kept", "ref": "prod refs/heads/production kept",
                      "glob": "test kept"}.items():
        assert h.wait_final(job)["state"] == "succeeded", job
        assert says in h.log(job).splitlines(), job


@only_root()
def test_other_user_gets_his_own_files_and_none_of_ours(host, tmp_path):
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o711)
        site = Path(place) / "site"
        site.mkdir()
        os.chown(site, nobody.pw_uid, nobody.pw_gid)
        check_other_user(host, tmp_path, site, nobody)


def check_other_user(host, tmp_path, site, nobody):
    (site / ".env").symlink_to(tmp_path / "gantry.yaml")
    h = host(f"""
commands: [ "id -un; umask; echo $HOME; nice; ulimit -n; cat {tmp_path}/gantry.yaml > seen; true", "echo answer > $GANTRY_RESULT", "sed -n '/^Cap[EA]/p' /proc/self/status" ]
directory: {site}
user: nobody
umask: "027"
nice: 5
limits: {{ files: 100 }}
dotenv: .env
environment: {{ NAME: "it's $HOME", PLAIN: a b }}
""")
    h.send({"id": "j1"})
    assert h.wait_final("j1")["state"] == "succeeded"
    lines = h.log("j1").splitlines()
    assert lines[1:6] == ["nobody", "0027", nobody.pw_dir, "5", "100"]
    assert [line.split()[1] for line in lines if line.startswith("Cap")] == ["0000000000000000"] * 2
    env = site / ".env"
    assert not env.is_symlink()
    assert env.read_text() == "NAME=\"it's \\$HOME\"\nPLAIN='a b'\n"
    assert (env.stat().st_uid, stat.S_IMODE(env.stat().st_mode)) == (nobody.pw_uid, 0o600)
    assert (site / "seen").read_text() == ""
    assert (h.job_dir("j1") / "result").read_text() == "answer\n"
    sourced = subprocess.run(["sh", "-c", f". {env}; printf %s \"$NAME$PLAIN\""], capture_output=True, text=True)
    assert sourced.stdout == "it's $HOMEa b"


@only_root()
def test_killed_shim_of_another_user_takes_his_group_along(host, tmp_path):
    h = host("""
commands: [ "sleep 300 & sleep 300" ]
user: nobody
directory: /
""")
    h.send({"id": "j1"}, {"id": "j2"})
    for job in ("j1", "j2"):
        h.wait(job, "running")
    started = h.started("j1")
    os.kill(int(started["shim"]), signal.SIGKILL)
    assert h.wait_final("j1")["reason"] == "shim_killed"
    wait_until("its group gone", lambda: not session_members(started["session"]))
    session = h.started("j2")["session"]
    os.kill(int(h.started("j2")["shim"]), signal.SIGTERM)
    shown = h.wait_final("j2")
    assert (shown["reason"], "told its shim to end" in shown["detail"]) == ("stopped", True)
    assert not session_members(session)


def test_cancelled_command_ends_with_its_group_and_one_in_line_ends_at_once(host, tmp_path):
    h = host("""
commands: [ "sleep 300 & echo $$ > pid; sleep 300" ]
parallel: 1
""")
    h.send({"id": "j1"})
    wait_file(tmp_path / "pid")
    h.send({"id": "j2"})
    wait_until("j2 waits for the slot",
               lambda: "no slot of 1 is free" in h.daemon.ctl("--json", "show", "j2", check=False).stdout)
    h.daemon.ctl("cancel", "j2")
    assert h.wait_final("j2")["state"] == "cancelled"
    h.wait("j1", "running")
    session = h.started("j1")["session"]
    h.daemon.ctl("cancel", "j1")
    shown = h.wait_final("j1")
    assert (shown["state"], shown["reason"]) == ("cancelled", "cancelled")
    assert not session_members(session)


def test_command_of_a_removed_deployer_is_followed_to_its_end(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", "echo x > ready; while [ ! -e go ]; do sleep 0.05; done; exit 9" ]
""")
    h.send({"id": "j1"})
    wait_file(tmp_path / "ready")
    h.wait("j1", "running")
    h.daemon.configuration.write_text(
        h.daemon.configuration.read_text().replace("default_deployer: shell", "default_deployer: other")
        .replace("  shell:", "  other:"))
    h.daemon.ctl("reload")
    (tmp_path / "go").touch()
    shown = h.wait_final("j1")
    assert (shown["state"], shown["exit_code"]) == ("failed", 9)


def test_each_command_runs_once_while_workers_are_killed_all_along(host, tmp_path):
    h = host("""
command: [ "/bin/sh", "-c", "echo $GANTRY_JOB $GANTRY_ATTEMPT >> runs; sleep 0.1; exit 3" ]
parallel: 3
""", workers=3)
    jobs = [f"j{i}" for i in range(40)]
    h.send(*({"id": job} for job in jobs))
    runs = tmp_path / "runs"
    for killed in range(5):
        wait_until("some more to run", lambda: runs.exists() and len(runs.read_text().split("\n")) > 4 * killed)
        for worker in h.daemon.workers():
            try:
                os.kill(worker["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until("workers again", lambda: len(h.daemon.workers()) >= 1)
    for job in jobs:
        shown = h.wait_final(job, timeout=60)
        assert (shown["state"], shown["reason"], shown["exit_code"]) == ("failed", "exit_code", 3), shown
    assert sorted(runs.read_text().splitlines()) == sorted(f"{job} 1" for job in jobs)
