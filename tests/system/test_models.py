# SPDX-License-Identifier: Apache-2.0
"""The protocols hold in every order of events, as spin finds them all; and each way to break them on
purpose is found.

The models are tests/model/*.pml, which say what of the program each part stands for.  Here they are
checked in a size that takes seconds; GANTRY_LARGE_MODELS=1 adds sizes that take minutes and gigabytes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[1] / "model"
LARGE = os.environ.get("GANTRY_LARGE_MODELS") == "1"

RELOAD = "poller parked_first kept once bounded verdict newest leaves_all"
OWNERSHIP = "once alone fenced owners ends"
HOLDS = [
    ("reload", "", RELOAD),
    ("reload", "-DHUPS=2", "poller kept verdict newest"),
    ("reload", "-DHUPS=2 -DOLD=2 -DN=1 -DCRASHES=2", "poller kept bounded verdict"),
    ("reload", "-DN=1 -DKILLS=1", "kept once leaves_all"),
    ("reload", "-DN=1 -DKILLS=1 -DRESTARTS=0", "kept leaves_all"),
    ("reload", "-DN=1 -DTERMS=1 -DJ=2", "kept verdict leaves_all"),
    ("ownership", "", "once owners ends"),
    ("ownership", "-DFAILS=1 -DAGAIN=0", "once alone owners ends"),
    ("ownership", "-DFORGETS=1 -DAGAIN=0", "once ends"),
    ("ownership", "-DFULL=1 -DAGAIN=0 -DLOST=0", "once alone ends"),
    ("ownership", "-DJ=2 -DCRASHES=0 -DLOST=0 -DAGAIN=0", "alone fenced owners ends"),
    ("ownership", "-DJ=2 -DSTOPS=0 -DLOST=0 -DAGAIN=0", "alone fenced ends"),
]
HOLDS_LARGE = [
    ("reload", "-DHUPS=2 -DJ=2", "poller kept once"),
    ("reload", "-DHUPS=1 -DKILLS=1", "poller kept verdict leaves_all"),
    ("reload", "-DHUPS=3 -DTERMS=1", "poller verdict"),
    ("ownership", "-DFAILS=1 -DFORGETS=1", OWNERSHIP),
    ("ownership", "-DJ=2 -DLOST=0 -DAGAIN=0", OWNERSHIP),
]
# What is broken on purpose, in which size, and the property that says so.
BROKEN = [
    ("reload", "BUG_DRAIN_FIRST", "", "poller"),
    ("reload", "BUG_COMMIT_ON_FIRST", "", "poller"),
    ("reload", "BUG_EAGER", "", "parked_first"),
    ("reload", "BUG_CLEAR_LATE", "-DHUPS=2", "newest"),
    ("reload", "BUG_NO_ROOM", "-DHUPS=3 -DN=1 -DGENERATIONS=4", "bounded"),
    ("reload", "BUG_NO_HAND_OVER", "", "kept"),
    ("reload", "BUG_ACKNOWLEDGE_FIRST", "", "kept"),
    ("reload", "BUG_NEW_TOKEN", "", "once"),
    ("reload", "BUG_NO_END_OF_FILE", "-DKILLS=1 -DRESTARTS=0", "leaves_all"),
    ("ownership", "BUG_NO_FENCE", "", "owners"),
    ("ownership", "BUG_FRESH_TOKEN", "", "once"),
    ("ownership", "BUG_ADOPTER_STARTS_ANEW", "", "alone"),
    ("ownership", "BUG_NO_LOOK", "-DFORGETS=1", "once"),
    ("ownership", "BUG_ACKNOWLEDGE_FIRST", "", "ends"),
    ("ownership", "BUG_RELEASE_FREES_LOCK", "-DJ=2 -DLOST=0 -DAGAIN=0", "alone"),
    ("ownership", "BUG_NOBODY_WOKEN", "-DJ=2 -DLOST=0 -DAGAIN=0", "ends"),
    # No mistake of ours: what ECS has to do for the promise to hold.
    ("ownership", "BUG_REFUSAL_FORGOTTEN", "-DFULL=1 -DLOST=0", "alone"),
]


def run(command, directory, timeout):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def compiled(directory, model, flags, optimize):
    """Makes directory/pan, which checks one property at a time."""
    run(["spin", "-a", *flags, MODELS / f"{model}.pml"], directory, 60)
    run(["gcc", "-w", optimize, "-DSAFETY", "-DNOFAIR", "-DVECTORSZ=2048", "-DMEMLIM=6000", "-o", "pan", "pan.c"],
        directory, 120)


def check(directory, prop, timeout, table_bits=20):
    """(states, errors) of one exhaustive search."""
    text = run(["./pan", f"-w{table_bits}", "-m100000", "-N", prop], directory, timeout)
    assert f"ltl formula {prop}" in text, text
    assert "max search depth too small" not in text and "Search not completed" not in text.split("errors:")[1], text
    states = int(float(re.search(r"([0-9.e+]+) states, stored", text)[1]))
    return states, int(re.search(r"errors: (\d+)", text)[1])


@pytest.mark.parametrize("model, flags, properties", HOLDS + (HOLDS_LARGE if LARGE else []),
                         ids=lambda value: value.replace("-D", "").replace(" ", ",") or "default")
def test_model_holds(tmp_path, figures, model, flags, properties):
    large = (model, flags, properties) in HOLDS_LARGE
    compiled(tmp_path, model, flags.split(), "-O2" if large else "-O0")
    for prop in properties.split():
        states, errors = check(tmp_path, prop, *((1200, 24) if large else (120,)))
        assert errors == 0, f"{prop} does not hold after {states} states; spin's trail is in {tmp_path}"
        assert states > 1000, "a model that hardly moves proves nothing"
    figures(f"{states} states; {properties.replace(' ', ', ')} hold")


@pytest.mark.parametrize("model", ["reload", "ownership"])
def test_every_run_of_a_model_ends(tmp_path, figures, model):
    """There is no cycle, so what is asked of the state at the end is asked of every run."""
    text = (MODELS / f"{model}.pml").read_text(encoding="utf-8")
    (tmp_path / "plain.pml").write_text(re.sub(r"^ltl .*", "", text, flags=re.M))
    run(["spin", "-a", "plain.pml"], tmp_path, 60)
    run(["gcc", "-w", "-O0", "-DNP", "-DNOFAIR", "-DVECTORSZ=2048", "-o", "pan", "pan.c"], tmp_path, 120)
    text = run(["./pan", "-l", "-w20", "-m100000"], tmp_path, 120)
    assert re.search(r"non-progress cycles\s+\+", text) and "max search depth too small" not in text, text
    assert "errors: 0" in text, text
    figures(f"{int(float(re.search(r'([0-9.e+]+) states, stored', text)[1]))} states, no cycle")


@pytest.mark.parametrize("model, bug, flags, prop", BROKEN)
def test_broken_model_is_found_out(tmp_path, figures, model, bug, flags, prop):
    compiled(tmp_path, model, [f"-D{bug}", *flags.split()], "-O0")
    states, errors = check(tmp_path, prop, 120)
    assert errors == 1
    figures(f"{prop} violated after {states} states")


def test_every_property_and_every_way_to_break_is_tried():
    for model in ("reload", "ownership"):
        text = (MODELS / f"{model}.pml").read_text(encoding="utf-8")
        assert set(re.findall(r"^ltl (\w+)", text, re.M)) == {p for m, _, ps in HOLDS if m == model for p in ps.split()}
        assert set(re.findall(r"BUG_\w+", text)) == {bug for m, bug, _, _ in BROKEN if m == model}
