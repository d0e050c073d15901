# SPDX-License-Identifier: Apache-2.0
"""What pytest wrote into a JUnit file, for the shell.

    results.py counts FILE...   passed, failed and skipped, as three numbers
    results.py failed FILE...   the failed tests, a line each, as pytest takes them; or passed, or skipped

A test whose fixture fails counts as failed, also when that happens at its end, and once, however often it is in
the file.  A later file knows better: it is a second trial of tests that an earlier one has."""

import sys
import xml.etree.ElementTree as tree

WORST = ("failed", "skipped", "passed")


def name_of(case):
    """As pytest takes it.  A file that cannot be read has no class, and its path for a name."""
    if not case.attrib["classname"]:
        return case.attrib["name"].replace(".", "/") + ".py"
    return case.attrib["classname"].replace(".", "/") + ".py::" + case.attrib["name"]


def outcome_of(case):
    ends = {child.tag for child in case} & {"failure", "error", "skipped"}
    return "passed" if not ends else "skipped" if ends == {"skipped"} else "failed"


def outcomes(path):
    """How each test of a file ended.  One that was cut off may have no name, and has no end."""
    found = {}
    for case in tree.parse(path).getroot().iter("testcase"):
        if "classname" not in case.attrib or "name" not in case.attrib:
            continue
        name = name_of(case)
        found[name] = min(outcome_of(case), found.get(name, "passed"), key=WORST.index)
    return found


def main(what, *paths):
    found = {}
    for path in paths:
        found.update(outcomes(path))
    if what == "counts":
        ended = list(found.values())
        print(*(ended.count(outcome) for outcome in ("passed", "failed", "skipped")))
    else:
        print("".join(f"{name}\n" for name, outcome in found.items() if outcome == what), end="")


main(*sys.argv[1:])
