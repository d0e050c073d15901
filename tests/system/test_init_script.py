# SPDX-License-Identifier: Apache-2.0
"""etc/gantry.init keeps LSB's exit statuses and believes no stale pid file.

The first part needs no gantryd: a stand-in plays its part at the boundary that the script sees (a
process that holds its pid file open).  The second part starts, reloads, upgrades and stops the real
one, with awssim behind it.
"""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import harness

TOP = harness.SRCDIR

# As in LSB.
DONE, FAILED, USAGE, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING = 0, 1, 2, 5, 6, 7
RUNNING, DEAD, STOPPED = 0, 1, 3

# Starts a process that holds the pid file open, as gantryd's master does, and returns when it is
# there.  What TERM does to it is the first word of the configuration.
STAND_IN = r"""#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	-c) conf=$2; shift ;;
	-p) pid_file=$2; shift ;;
	-t) check=1 ;;
	esac
	shift
done
read -r how <"$conf"
case $how in
broken) echo "$conf:1:1: supervisor: expected a mapping" >&2; exit 1 ;;
esac
[ -z "$check" ] || { echo "$conf: ok"; exit 0; }
echo "${GREETING:-none}" >"$pid_file.greeting"
mkfifo "$pid_file.ready"
# A background process of a script would ignore QUIT.
env --default-signal=QUIT sh -c '
	[ "$1" = stubborn ] && trap "" TERM
	echo $$ >"$2"
	exec 9<"$2"
	echo >"$2.ready"
	while :; do sleep 0.05; done
' stand-in "$how" "$pid_file" >/dev/null 2>&1 &
read -r _ <"$pid_file.ready"
rm "$pid_file.ready"
"""

# gantryctl stop asks by TERM and does not wait, as the real one may not; reload says its verdict.
STAND_IN_CTL = r"""#!/bin/sh
read -r how <"$2"
case $3:$how in
stop:*) kill -TERM "$(cat "$GANTRY_PIDFILE")" ;;
reload:refused | upgrade:refused) echo "refused: no such queue" >&2; exit 1 ;;
reload:* | upgrade:*) echo committed ;;
esac
"""


class InitScript:
    def __init__(self, top, gantryd, gantryctl, configuration, environment=None):
        self.script = top / "init.d/gantry"
        self.script.parent.mkdir(exist_ok=True)
        text = (TOP / "etc/gantry.init.in").read_text()
        for name in ("bindir", "sbindir", "sysconfdir", "runstatedir"):
            text = text.replace(f"@{name}@", str(top / "nowhere"))
        self.script.write_text(text)
        self.script.chmod(0o755)
        self.defaults = top / "defaults"
        self.pid_file = top / "run/gantryd.pid"
        self.configuration = configuration
        self.environment = {
            **os.environ,
            **(environment or {}),
            "GANTRYD": str(gantryd),
            "GANTRYCTL": str(gantryctl),
            "GANTRY_CONF": str(configuration),
            "GANTRY_PIDFILE": str(self.pid_file),
            "GANTRY_DEFAULTS": str(self.defaults),
        }

    def __call__(self, *verbs):
        return subprocess.run([str(self.script), *verbs], env=self.environment, capture_output=True, text=True,
                              timeout=120, check=False)

    def status(self):
        return self("status").returncode

    def pid(self):
        return int(self.pid_file.read_text())


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def stand_in(tmp_path):
    for name, text in (("gantryd", STAND_IN), ("gantryctl", STAND_IN_CTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    configuration = tmp_path / "gantry.yaml"
    configuration.write_text("well\n")
    init = InitScript(tmp_path, tmp_path / "gantryd", tmp_path / "gantryctl", configuration)
    yield init
    if init.status() == RUNNING:
        os.kill(init.pid(), signal.SIGKILL)


@pytest.mark.parametrize("arguments", [[], ["begin"], ["start", "now"]], ids=["none", "unknown", "two"])
def test_wrong_usage_is_2(stand_in, arguments):
    done = stand_in(*arguments)
    assert done.returncode == USAGE
    assert "start|stop|restart|try-restart|reload|force-reload|upgrade|status|configtest" in done.stderr


@pytest.mark.parametrize("verb", ["start", "restart", "reload", "configtest"])
def test_missing_program_is_5_and_missing_configuration_is_6(stand_in, verb):
    stand_in.configuration.unlink()
    done = stand_in(verb)
    assert (done.returncode, str(stand_in.configuration) in done.stderr) == (NOT_CONFIGURED, True)
    Path(stand_in.environment["GANTRYD"]).unlink()
    done = stand_in(verb)
    assert (done.returncode, "is not installed" in done.stderr) == (NOT_INSTALLED, True)


def test_what_is_not_running_says_so(stand_in):
    assert stand_in.status() == STOPPED
    assert stand_in("stop").returncode == DONE
    assert stand_in("try-restart").returncode == DONE
    assert stand_in("reload").returncode == NOT_RUNNING
    assert stand_in("force-reload").returncode == NOT_RUNNING
    assert stand_in("upgrade").returncode == NOT_RUNNING
    assert not stand_in.pid_file.exists()


def test_start_and_stop(stand_in):
    assert stand_in("start").returncode == DONE
    pid = stand_in.pid()
    assert stand_in.status() == RUNNING
    again = stand_in("start")
    assert (again.returncode, again.stdout) == (DONE, f"gantry: already running, pid {pid}\n")
    assert stand_in("stop").returncode == DONE
    assert gone(pid)
    assert stand_in.status() == DEAD  # the stand-in leaves its pid file; status tells that from stopped


def test_defaults_file_reaches_the_daemon(stand_in):
    stand_in.defaults.write_text("GREETING='good morning'\n")
    assert stand_in("start").returncode == DONE
    assert Path(f"{stand_in.pid_file}.greeting").read_text() == "good morning\n"


def test_pid_of_a_stranger_is_not_believed(stand_in):
    stand_in.pid_file.parent.mkdir()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        stand_in.pid_file.write_text(f"{stranger.pid}\n")
        assert stand_in.status() == DEAD
        assert stand_in("reload").returncode == NOT_RUNNING
        assert stand_in("stop").returncode == DONE
        assert stranger.poll() is None
        assert stand_in("start").returncode == DONE
        assert stand_in.pid() != stranger.pid
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "\n", "none\n", "-1\n", "12 34\n", "99999999\n", "../1\n"], ids=repr)
def test_unreadable_pid_file_is_not_believed(stand_in, text):
    stand_in.pid_file.parent.mkdir()
    stand_in.pid_file.write_text(text)
    assert stand_in.status() == (DEAD if text else STOPPED)
    assert stand_in("stop").returncode == DONE


def test_verdicts_are_passed_on(stand_in):
    assert stand_in("start").returncode == DONE
    for verb in ("reload", "force-reload", "upgrade"):
        assert stand_in(verb).returncode == DONE
    stand_in.configuration.write_text("refused\n")
    for verb in ("reload", "force-reload", "upgrade"):
        done = stand_in(verb)
        assert (done.returncode, done.stderr) == (FAILED, "refused: no such queue\n")
    assert stand_in.status() == RUNNING


def test_restart_with_a_broken_configuration_stops_nothing(stand_in):
    assert stand_in("start").returncode == DONE
    pid = stand_in.pid()
    stand_in.configuration.write_text("broken\n")
    for verb in ("restart", "try-restart"):
        done = stand_in(verb)
        assert (done.returncode, "expected a mapping" in done.stderr) == (FAILED, True)
    assert stand_in("configtest").returncode == FAILED
    assert (stand_in.status(), stand_in.pid()) == (RUNNING, pid)
    stand_in.configuration.write_text("well\n")
    assert stand_in("configtest").returncode == DONE
    assert stand_in("restart").returncode == DONE
    assert stand_in.pid() != pid and gone(pid)


def test_failed_start_is_1(stand_in):
    stand_in.configuration.write_text("broken\n")
    done = stand_in("start")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (FAILED, "gantry: did not start")
    assert stand_in.status() == STOPPED


def test_slow_stop_becomes_a_fast_one(stand_in):
    stand_in.environment["GANTRY_STOP_TIMEOUT"] = "1"
    stand_in.configuration.write_text("stubborn\n")
    assert stand_in("start").returncode == DONE
    pid = stand_in.pid()
    done = stand_in("stop")
    assert (done.returncode, "still stopping after 1 s" in done.stderr) == (DONE, True)
    assert gone(pid)


def test_stop_works_without_gantryctl(stand_in):
    assert stand_in("start").returncode == DONE
    Path(stand_in.environment["GANTRYCTL"]).unlink()
    assert stand_in("stop").returncode == DONE


# -- the real gantryd --------------------------------------------------------------------------------

CONFIGURATION = """
supervisor: {{ workers: 2, ready_timeout: 2m, drain_timeout: 1s, control_socket: {top}/run/control.sock }}
log: {{ to: {top}/gantryd.log }}
store: sqlite://{top}/gantry.db
aws: {{ endpoint_url: "{url}" }}
queues:
  deploys: {{ type: sqs, url: "{queue}", wait_time: 1s, default_deployer: site }}
deployers:
  site: {{ type: ecs, cluster: default, task_definition: site, container: app }}
"""


@pytest.fixture
def real(tmp_path, awssim):
    for name in ("gantryd", "gantryctl"):
        assert (harness.BUILDDIR / name).exists(), f"no {name} in {harness.BUILDDIR}: set BUILDDIR"
    simulator = awssim("--queue", "deploys", "--task-run-ms", "3600000")
    configuration = tmp_path / "gantry.yaml"
    configuration.write_text(CONFIGURATION.format(top=tmp_path, url=simulator.url, queue=simulator.queue_url("deploys")))
    (tmp_path / "run").mkdir()
    environment = harness.clean_environment(**harness.CREDENTIALS, HOME=str(tmp_path))
    init = InitScript(tmp_path, harness.BUILDDIR / "gantryd", harness.BUILDDIR / "gantryctl", configuration, environment)
    init.simulator = simulator
    yield init
    if init.status() == RUNNING:
        done = init("stop")
        assert done.returncode == DONE, done.stderr


def ctl(init, *words):
    return subprocess.run([init.environment["GANTRYCTL"], "-c", str(init.configuration), *words], env=init.environment,
                          capture_output=True, text=True, timeout=harness.deadline_s(60), check=False)


def pids(init):
    """The master and its workers, as it tells them."""
    status = json.loads(ctl(init, "--json", "status").stdout)
    return [init.pid()] + [worker["pid"] for worker in status["workers"]]


def test_real_daemon_is_ready_when_start_returns_and_gone_when_stop_returns(real):
    done = real("start")
    assert done.returncode == DONE, done.stderr
    assert done.stdout == f"gantry: started, pid {real.pid()}\n"
    status = json.loads(ctl(real, "--json", "status").stdout)
    assert (status["state"], [worker["state"] for worker in status["workers"]]) == ("running", ["active", "active"])
    everybody = pids(real)
    assert real.status() == RUNNING
    assert real("stop").returncode == DONE
    assert [pid for pid in everybody if not gone(pid)] == []
    assert real.status() == STOPPED


def test_real_reload_tells_the_verdict(real):
    assert real("start").returncode == DONE
    master, *workers = pids(real)
    done = real("reload")
    assert done.returncode == DONE, done.stderr
    assert real.pid() == master and set(pids(real)) != {master, *workers}
    good = real.configuration.read_text()
    real.configuration.write_text(good + "nonsense: 1\n")
    for verb in ("reload", "configtest", "restart"):
        done = real(verb)
        assert (done.returncode, "nonsense" in done.stderr) == (FAILED, True), done.stderr
    assert (real.status(), real.pid()) == (RUNNING, master)
    assert real("force-reload").returncode == FAILED
    real.configuration.write_text(good)
    assert real("configtest").stdout == f"{real.configuration}: ok\n"
    assert real("force-reload").returncode == DONE
    assert real.pid() == master
    assert real("restart").returncode == DONE
    assert gone(master) and real.pid() != master


def test_real_upgrade_keeps_the_pid(real):
    assert real("start").returncode == DONE
    master = real.pid()
    done = real("upgrade")
    assert done.returncode == DONE, done.stderr
    assert (real.status(), real.pid()) == (RUNNING, master)
    assert real("stop").returncode == DONE


def test_real_start_fails_when_the_queue_may_not_be_used(real):
    real.environment["AWS_SECRET_ACCESS_KEY"] = "not the one"
    done = real("start")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (FAILED, "gantry: did not start")
    assert "deploys" in done.stderr
    assert real.status() == STOPPED


def test_real_daemon_starts_again_after_it_was_killed(real):
    assert real("start").returncode == DONE
    master, *workers = pids(real)
    os.kill(master, signal.SIGKILL)
    harness.wait_until("the master's end", lambda: gone(master))
    assert real.status() == DEAD
    assert real("start").returncode == DONE
    assert real.pid() != master and real.status() == RUNNING
    harness.wait_until("the orphans' end", lambda: all(gone(worker) for worker in workers))


def test_real_restart_leaves_a_running_deployment_alone(real):
    assert real("start").returncode == DONE
    subprocess.run([real.environment["GANTRYCTL"], "-c", str(real.configuration), "send", "deploys", "-"], text=True,
                   input='{"id": "job-1", "project": "shop"}\n', env=real.environment, timeout=harness.deadline_s(60), check=True)

    def state():
        job = ctl(real, "--json", "show", "job-1")
        return json.loads(job.stdout)["state"] if job.returncode == 0 else "absent"

    harness.wait_until("the task's start", lambda: state() == "running")
    assert real("restart").returncode == DONE
    assert state() == "running"
    real.simulator.finish()
    harness.wait_until("the task's end", lambda: state() == "succeeded")
    tasks = real.simulator.get("/_account/tasks")["tasks"]
    assert len(tasks) == 1
