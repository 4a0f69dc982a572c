#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# failures.py BUILD: what the tests that failed last in a build folder wrote about it. Meson reads
# the TAP on their standard output itself and shows only the other one, so the assertion is missing.
import json
import sys

ENOUGH = 60  # lines of one test
FAILED = ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")


def told(output):
    """The points that failed with the remarks behind them; the last lines when there are none."""
    lines = output.splitlines()
    kept, failing = [], False
    for line in lines:
        failing = line.startswith("not ok") or (failing and line.startswith("#"))
        if failing or line.startswith("Bail out"):
            kept.append(line)
    return kept[:ENOUGH] if kept else lines[-ENOUGH // 4 :]


try:
    log = open(sys.argv[1] + "/meson-logs/testlog.json", encoding="utf-8", errors="replace")
except OSError:
    sys.exit(0)  # no test was begun
with log:
    for test in map(json.loads, log):
        if test["result"] in FAILED:
            code = test["returncode"]
            end = f"exit status {code}" if code >= 0 else f"signal {-code}"
            print(f"\n{test['name']}: {test['result']}, {end}")
            for line in told(test.get("stdout", "")):
                print("  " + line)
