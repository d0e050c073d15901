# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost, doubled or interleaved while everything happens at once; and the auditor who says
so sees each of these when it is there."""

import copy
import os

import pytest

import auditor
import soak


def test_nothing_is_lost_doubled_or_interleaved_whatever_happens(tmp_path, figures):
    jobs = int(os.environ.get("GANTRY_SOAK_JOBS", "1200"))
    audit, run, trouble = soak.soak(
        tmp_path, jobs, max(1, jobs // 12), int(os.environ.get("GANTRY_SOAK_SEED", "1")), events=jobs // 30, say=print)
    figures(f"{audit.told()}; {run}")
    assert audit.clean, audit.report()
    assert not trouble
    # It was a storm, and not a calm that proves nothing.
    assert len(run["events"]) >= 6 and run["received again"] > 0 and run["asked again"] > 0
    assert set(run["exit codes"]) >= {"0", "3"}


@pytest.mark.parametrize("store", ["redis", "postgresql"])
def test_two_gantryds_on_one_store_lose_double_and_interleave_nothing(tmp_path, figures, store):
    jobs = int(os.environ.get("GANTRY_SHARED_SOAK_JOBS", "120"))
    audit, run, trouble = soak.soak(
        tmp_path, jobs, max(1, jobs // 10), int(os.environ.get("GANTRY_SOAK_SEED", "1")), workers=1,
        events=max(len(soak.MUST_SHARED), jobs // 30), say=print, store=store, daemons=2)
    figures(f"{audit.told()}; {run}")
    assert audit.clean, audit.report()
    assert not trouble
    assert set(run["events"]) >= {"crash_store", "lose_store", "freeze_daemon", "kill_all"}


@pytest.mark.parametrize("shared", [False, True])
def test_seed_decides_what_is_sent_and_what_happens(shared):
    one, same, other = (soak.Plan(300, 30, seed, 20, shared) for seed in (7, 7, 8))
    assert (one.messages, one.events) == (same.messages, same.events)
    assert one.messages != other.messages and one.events != other.events


# -- the auditor ------------------------------------------------------------------------------------

def task(job, project, created, ended, fence, attempt=1, exit_code=0):
    return {"arn": f"arn/{job}/{attempt}", "created_ms": created, "stopped_ms": ended, "exit_code": exit_code,
            "environment": {"GANTRY_JOB": job, "GANTRY_PROJECT": project, "GANTRY_ATTEMPT": str(attempt),
                            "GANTRY_FENCE": str(fence)}}


def message(number, deleted):
    return {"id": f"m{number}", "receives": [1], "deletes": [deleted], "dead_lettered": 0, "purged": 0}


def record(seq, job, project, state="succeeded", exit_code=0):
    return {"seq": seq, "id": job, "project": project, "state": state, "reason": None, "exit_code": exit_code, "live": 0,
            "owner": None}


def sound_books():
    """Three jobs of one project, one of them with two attempts, and one of another beside them."""
    return auditor.Books(
        sent=[auditor.Sent("m1", "a", "p", "p"), auditor.Sent("m2", "b", "p", "p"), auditor.Sent("m3", "c", "p", "p"),
              auditor.Sent("m4", "d", "q")],
        tasks=[task("a", "p", 100, 200, 1), task("d", "q", 110, 220, 1), task("b", "p", 200, 300, 2, 1, 3),
               task("b", "p", 310, 400, 2, 2), task("c", "p", 400, 500, 3)],
        messages=[message(1, 210), message(2, 410), message(3, 510), message(4, 230)],
        jobs={"a": record(1, "a", "p"), "b": record(2, "b", "p"), "c": record(3, "c", "p"), "d": record(4, "d", "q")},
        queues={"deploys": {"ready": 0, "in_flight": 0, "delayed": 0}},
        told=[("a", "succeeded", "1"), ("b", "succeeded", "2"), ("b", "succeeded", "2"), ("c", "succeeded", "3"),
              ("d", "succeeded", "4")],
        errors=[])


def lose_the_record(books):
    del books.jobs["c"]


def lose_the_launch(books):
    books.tasks = [t for t in books.tasks if t["environment"]["GANTRY_JOB"] != "c"]


def never_end(books):
    books.jobs["c"]["state"] = "waiting"


def double_an_attempt(books):
    books.tasks.append(task("d", "q", 300, 310, 1))
    books.messages[3]["deletes"] = [320]


def launch_after_success(books):
    books.tasks.append(task("d", "q", 300, 310, 1, 2))
    books.messages[3]["deletes"] = [320]


def overlap(books):
    books.tasks[4]["created_ms"] = 399


def run_for_ever(books):
    books.tasks[4]["stopped_ms"] = None


def swap_in_the_group(books):
    books.tasks = [books.tasks[i] for i in (0, 1, 4, 2, 3)]
    books.tasks[2].update(created_ms=200, stopped_ms=300)
    books.tasks[3].update(created_ms=310, stopped_ms=400)
    books.tasks[4].update(created_ms=410, stopped_ms=500)
    for place, fence in ((2, "2"), (3, "3"), (4, "3")):
        books.tasks[place]["environment"]["GANTRY_FENCE"] = fence
    for place, deleted in ((1, 510), (2, 310)):
        books.messages[place]["deletes"] = [deleted]


def accept_in_another_order(books):
    books.jobs["b"]["seq"], books.jobs["c"]["seq"] = 3, 2


def repeat_a_fence(books):
    books.tasks[4]["environment"]["GANTRY_FENCE"] = "2"


def tell_a_wrong_end(books):
    books.jobs["c"].update(state="failed")


def tell_a_wrong_exit_code(books):
    books.jobs["b"].update(exit_code=4)


def acknowledge_early(books):
    books.messages[2]["deletes"] = [450]


def tell_nobody(books):
    books.told = books.told[1:]


def tell_another_end(books):
    books.told[0] = ("a", "failed", "1")


def tell_two_ends(books):
    books.told.append(("a", "failed", "5"))


def tell_an_end_anew(books):
    books.told.append(("a", "succeeded", "5"))


def hush_a_failure_up(books):
    books.jobs["d"].update(state="failed", exit_code=3)
    books.tasks[1]["exit_code"] = 3
    books.told[4] = ("d", "failed", "4")


def keep_a_lock(books):
    books.locks.append(("p", "c"))


def leave_an_orphan(books):
    books.jobs["c"]["live"] = 1


def leave_a_message(books):
    books.messages[2]["deletes"] = []


def leave_a_copy(books):
    books.queues["deploys"]["in_flight"] = 1


def bury_a_message(books):
    books.messages[2]["dead_lettered"] = 1


def forget_a_message(books):
    del books.messages[2]


def invent_a_job(books):
    books.tasks.append(task("x", "x", 900, 910, 1))


@pytest.mark.parametrize("spoil, kinds", [
    (lose_the_record, {"lost"}),
    (lose_the_launch, {"lost"}),
    (never_end, {"lost", "results"}),
    (double_an_attempt, {"doubled"}),
    (launch_after_success, {"doubled"}),
    (overlap, {"overlaps"}),
    (run_for_ever, {"orphans_left"}),
    (swap_in_the_group, {"disorder"}),
    (accept_in_another_order, {"disorder"}),
    (repeat_a_fence, {"fences"}),
    (tell_a_wrong_end, {"results", "untold"}),
    (tell_a_wrong_exit_code, {"results"}),
    (acknowledge_early, {"early"}),
    (tell_nobody, {"untold"}),
    (tell_another_end, {"untold"}),
    (tell_two_ends, {"untold"}),
    (tell_an_end_anew, {"untold"}),
    (hush_a_failure_up, {"untold"}),
    (keep_a_lock, {"locks_left"}),
    (leave_an_orphan, {"orphans_left"}),
    (leave_a_message, {"messages_left"}),
    (leave_a_copy, {"messages_left"}),
    (bury_a_message, {"messages_left"}),
    (forget_a_message, {"messages_left"}),
    (invent_a_job, {"strangers"}),
], ids=lambda value: getattr(value, "__name__", None))
def test_auditor_sees(spoil, kinds):
    books = copy.deepcopy(sound_books())
    assert auditor.Audit(books).clean
    spoil(books)
    audit = auditor.Audit(books)
    assert {kind for kind, found in audit.violations.items() if found} == kinds, audit.report()


def test_auditor_has_a_test_for_each_kind():
    marks = test_auditor_sees.pytestmark[0].args[1]
    assert set().union(*(kinds for _, kinds in marks)) == set(auditor.KINDS)
