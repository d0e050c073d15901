# SPDX-License-Identifier: Apache-2.0
"""What pytest wrote into a JUnit file, for the shell.

    results.py counts FILE      passed, failed and skipped, as three numbers
    results.py failed FILE      the failed tests, a line each, as pytest takes them; or passed, or skipped
"""

import sys
import xml.etree.ElementTree as tree


def counts(suite):
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    print(tests - failed - skipped, failed, skipped)


def names(suite, wanted):
    for case in suite.iter("testcase"):
        ends = {child.tag for child in case} & {"failure", "error", "skipped"}
        ended = "passed" if not ends else "skipped" if ends == {"skipped"} else "failed"
        if ended == wanted:
            print(case.attrib["classname"].replace(".", "/") + ".py::" + case.attrib["name"])


what, path = sys.argv[1:]
suite = tree.parse(path).getroot().find("testsuite")
if what == "counts":
    counts(suite)
else:
    names(suite, what)
