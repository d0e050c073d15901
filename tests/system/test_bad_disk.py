# SPDX-License-Identifier: Apache-2.0
"""A disk that takes what is written and cannot keep it: the store says of nothing that it is done which is not on
the disk, so nothing is launched and no message is settled; when the disk is well again every job ends, once."""

from types import SimpleNamespace

import auditor
from harness import BUILDDIR, PlainAwsSim, PlainGantry, main_job, send_jobs, wait_until

JOBS = 12


def test_nothing_is_launched_that_is_not_on_the_disk(tmp_path, started):
    sim = PlainAwsSim(tmp_path, "--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "40", "--task-stop-ms", "5")
    started.append(sim)
    bad = tmp_path / "bad"
    daemon = PlainGantry(
        tmp_path, main_job(tmp_path, sim.url, sim.queue_url("deploys"), wait_time="1s", visibility_timeout="10s"),
        LD_PRELOAD=str(BUILDDIR / "tests/system/killer/full_disk.so"), BAD_DISK=str(bad),
        FULL_DISK_FILES=str(tmp_path / "gantry.db"))
    started.append(daemon)
    daemon.wait_ready()

    bad.touch()
    sender = SimpleNamespace(configuration=daemon.configuration, environment={
        k: v for k, v in daemon.environment.items() if k != "LD_PRELOAD"})
    send_jobs(sender, [{"id": f"job{i}", "project": f"p{i % 4}"} for i in range(JOBS)])
    wait_until("a commit that does not get to the disk",
               lambda: "messages could not be stored" in daemon.text(), 120, pause=0.1)
    assert auditor.read_account(sim.url)[0] == []
    assert sim.get("/_account")["messages"]["deleted"] == 0

    bad.unlink()
    store = f"sqlite://{tmp_path}/gantry.db"
    wait_until("all jobs have ended", lambda: [job["state"] for job in auditor.read_store(store).jobs.values()] ==
               ["succeeded"] * JOBS, 120, pause=0.2)
    wait_until("all messages are settled", lambda: sim.get("/_account")["messages"]["deleted"] == JOBS, 120, pause=0.2)
    assert len(auditor.read_account(sim.url)[0]) == JOBS
