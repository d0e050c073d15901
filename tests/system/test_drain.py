# SPDX-License-Identifier: Apache-2.0
"""A Redis list of bare ids is drained by four workers: each item is taken in the order of the list and launched once, and
the items of one id in the order they were accepted."""

import os

import pytest

import drain


@pytest.mark.parametrize("deployer, items", [("ecs", 2000), ("process", 100)])
def test_list_is_drained_in_order(tmp_path, figures, deployer, items):
    items = int(os.environ.get("GANTRY_DRAIN_ITEMS", items))
    told = drain.drain(tmp_path, items, max(1, items // 8), deployer, say=print)
    figures(str(told))
    assert not any(told[name] for name in drain.MUST_BE_NONE), told
    assert told["keys held"] == 0


@pytest.mark.parametrize("launched, seen", [
    ("abcd", {}),
    ("abc", {"lost": 1}),
    ("abccd", {"doubled": 1}),
    ("cbad", {"order violations": 1, "overtaken before acceptance": 1}),
    ("abcdx", {"doubled": 1}),
], ids=["sound", "lost", "doubled", "overtaken", "unknown"])
def test_judge_sees(launched, seen):
    names = {letter: f"builds:{number:016}-n" for number, letter in enumerate("abcd")}
    items = ["p", "q", "p", "q"]
    jobs = {names[letter]: {"id": names[letter], "seq": number, "project": items[number], "state": "succeeded"}
            for number, letter in enumerate("abcd")}
    told = drain.judge(items, jobs, [names.get(letter, letter) for letter in launched])
    assert {name: count for name, count in told.items() if count} == seen
    swapped = drain.judge(["q", "p", "p", "q"], jobs, [names[letter] for letter in "abcd"])
    assert swapped["taken out of order"] == 2
