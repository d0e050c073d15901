# SPDX-License-Identifier: Apache-2.0
"""A FIFO group's messages run one after the other in the order they were sent, whatever happens in between:
failures, lost leases, killed workers, reloads.  The judge is awssim's own account."""

import os
import signal
import threading
from collections import defaultdict

import pytest

from harness import main_job, send_jobs, wait_until

QUEUE = "deploys.fifo"


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def pages(sim, kind):
    found, after = [], 0
    while after is not None:
        page = sim.get(f"/_account/{kind}?after={after}&limit=2000")
        found += page[kind]
        after = page["next"]
    return found


def job_id(group, number):
    return f"{group}-{number:03}"


def send_groups(daemon, groups, each, message=lambda group, number: {"project": group}):
    """Each group's messages in order, the groups side by side."""
    def send(group):
        send_jobs(daemon, [{"id": job_id(group, n), **message(group, n)} for n in range(each)], "deploys", "--group", group)

    threads = [threading.Thread(target=send, args=(f"g{g}",)) for g in range(groups)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_deleted(sim, count, timeout=90):
    wait_until(f"{count} messages deleted", lambda: account(sim)["messages"]["deleted"] >= count, timeout, pause=0.2)


def judge(sim, groups, each, unlaunched=()):
    """The n-th message of a group, as awssim took it, is the group's n-th job.  Its tasks begin when those of the
    one before have ended, and it is deleted after its own."""
    tasks, messages = defaultdict(list), defaultdict(list)
    for task in pages(sim, "tasks"):
        tasks[task["environment"]["GANTRY_JOB"]].append(task)
    for message in pages(sim, "messages"):
        messages[message["group"]].append(message)
    assert sorted(messages) == [f"g{g}" for g in range(groups)]
    for group, sent in messages.items():
        assert len(sent) == each
        ended, last = 0, None
        for number, message in enumerate(sent):
            job = job_id(group, number)
            mine = tasks.pop(job, [])
            assert len(mine) == (job not in unlaunched), f"{job} has {len(mine)} tasks"
            for task in mine:
                assert task["created_ms"] >= ended, f"{job} was launched while {last} ran"
                ended, last = task["stopped_ms"], job
            assert message["deletes"], f"the message of {job} was not deleted"
            assert min(message["deletes"]) >= ended, f"the message of {job} was deleted before {last} had ended"
    assert not tasks, f"nobody sent {sorted(tasks)}"


class Told:
    """An account as awssim would tell it: one group of three that ran in order, each task for 10 ms."""

    def __init__(self, **change):
        self.tasks = [{"environment": {"GANTRY_JOB": job_id("g0", n)}, "created_ms": 100 + 20 * n,
                       "stopped_ms": 110 + 20 * n, **change.get(f"task{n}", {})} for n in range(3)]
        self.messages = [{"group": "g0", "deletes": [115 + 20 * n], **change.get(f"message{n}", {})} for n in range(3)]

    def get(self, path):
        kind = path.split("/")[2].split("?")[0]
        return {kind: getattr(self, kind), "next": None}


@pytest.mark.parametrize("said, change", [
    ("was launched while", {"task1": {"created_ms": 105}}),
    ("was launched while", {"task0": {"created_ms": 141, "stopped_ms": 151}, "message0": {"deletes": [155]}}),
    ("has 0 tasks", {"task1": {"environment": {"GANTRY_JOB": job_id("g0", 2)}}}),
    ("nobody sent", {"task1": {"environment": {"GANTRY_JOB": "x"}}, "unlaunched": [job_id("g0", 1)]}),
    ("was not deleted", {"message2": {"deletes": []}}),
    ("was deleted before", {"message1": {"deletes": [125]}}),
])
def test_the_judge_sees_what_is_wrong(said, change):
    judge(Told(), 1, 3)
    with pytest.raises(AssertionError, match=said):
        judge(Told(**change), 1, 3, unlaunched=change.get("unlaunched", ()))


def fifo_sim(awssim, *options):
    return awssim("--queue", f"{QUEUE}:ContentBasedDeduplication=true", "--task-start-ms", "5", *options)


def start(tmp_path, sim, gantry, **change):
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url(QUEUE), **change))
    return daemon.wait_ready()


def test_what_fails_in_the_middle_of_a_group_lets_nothing_pass(tmp_path, awssim, gantry):
    groups, each = 4, 8
    sim = fifo_sim(awssim, "--task-run-ms", "30")
    for kind, probability in (("lost_answer", 0.1), ("failures", 0.1), ("throttle", 0.05), ("http_500", 0.05)):
        sim.fault(action="RunTask", kind=kind, probability=probability)
    sim.fault(action="DeleteMessageBatch", kind="entry_error", probability=0.2)
    daemon = start(tmp_path, sim, gantry, deployer_extra='    allow: { environment: ["SIM_*"] }')

    def message(group, number):
        wrong = {2: {"SIM_EXIT_CODE": "3"}, 5: {"LD_PRELOAD": "x.so"}}
        return {"project": group, "environment": wrong.get(number, {})}

    send_groups(daemon, groups, each, message)
    wait_deleted(sim, groups * each)
    judge(sim, groups, each, unlaunched=[job_id(f"g{g}", 5) for g in range(groups)])
    assert account(sim)["tasks"]["exit_codes"] == {"0": groups * (each - 2), "3": groups}


def test_projects_and_priorities_within_a_group_change_nothing(tmp_path, awssim, gantry):
    groups, each = 4, 6
    sim = fifo_sim(awssim, "--task-run-ms", "40")
    daemon = start(tmp_path, sim, gantry)
    send_groups(daemon, groups, each, lambda group, number: {"project": f"{group}-p{number % 3}", "priority": number})
    wait_deleted(sim, groups * each)
    judge(sim, groups, each)


def test_redelivered_messages_of_a_group_keep_their_place(tmp_path, awssim, gantry):
    groups, each = 4, 5
    sim = fifo_sim(awssim, "--task-run-ms", "2200")
    daemon = start(tmp_path, sim, gantry, visibility_timeout="10s", wait_time="1s")
    # No lease is renewed any more, so what is held becomes visible again while earlier ones of its group run.
    sim.fault(action="ChangeMessageVisibilityBatch", kind="throttle", probability=1)
    send_groups(daemon, groups, each)
    wait_until("leases have run out", lambda: account(sim)["messages"]["received_again"] >= groups, 60)
    wait_deleted(sim, groups * each)
    judge(sim, groups, each)


def test_killed_workers_pass_groups_on_in_order(tmp_path, awssim, gantry):
    groups, each, kills = 5, 8, 2
    sim = fifo_sim(awssim, "--task-run-ms", "250")
    daemon = start(tmp_path, sim, gantry)
    send_groups(daemon, groups, each)
    for killed in range(kills):
        wait_until("some have run", lambda: account(sim)["tasks"]["stopped"] > (killed + 1) * groups * each // (kills + 2), 60)
        os.kill(daemon.workers()[killed % 2]["pid"], signal.SIGKILL)
        daemon.wait_for(r"killed by signal 9", count=killed + 1)
    wait_deleted(sim, groups * each)
    judge(sim, groups, each)


def test_reloads_pass_groups_on_in_order(tmp_path, awssim, gantry):
    groups, each, reloads = 5, 7, 3
    sim = fifo_sim(awssim, "--task-run-ms", "700")
    daemon = start(tmp_path, sim, gantry, drain_timeout="1s", wait_time="1s")
    sender = threading.Thread(target=send_groups, args=(daemon, groups, each))
    sender.start()
    for number in range(reloads):
        wait_until("some have run", lambda: account(sim)["tasks"]["stopped"] >= number * groups, 60)
        # 4: deferred, as two old generations are still handing over; it comes when one of them has left.
        assert daemon.ctl("reload", check=False).returncode in (0, 4)
        wait_until("the commit", lambda: daemon.status()["generation"] == number + 2, 60, pause=0.1)
    sender.join()
    wait_deleted(sim, groups * each)
    judge(sim, groups, each)
    assert account(sim)["messages"]["received_again"] == 0
