#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that what docs/coverage.md names is there: each function in include/ or src/, each test in
the file that it is said to be in, each file. TAP on standard output.

Usage: coverage.py SOURCE_ROOT [PAGE]
"""
import pathlib
import re
import sys

ROW = re.compile(r"^\|(?! *(?:There|---))(.*)\|$")
FUNCTION = re.compile(r"`(rove[a-z_0-9]*)\(\)`")
CODE = re.compile(r"`(E_[A-Z_]+)`")
PATH = re.compile(r"`([a-z_A-Z0-9./-]+/[a-z_A-Z0-9.-]+\.[a-z]+)`")
TEST = re.compile(r"`([a-z_A-Z0-9.]+\.(?:c|sh|js|py)): ([^`]+)`")


def text_of(root, folders, suffixes):
    parts = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes:
                parts.append(path.read_text(encoding="utf-8"))
    return "\n".join(parts)


def files_by_name(root):
    found = {}
    for folder in ("tests", "sim"):
        for path in (root / folder).rglob("*"):
            if path.is_file():
                found.setdefault(path.name, []).append(path)
    return found


def defined(name, text):
    """Declared or defined as a function, not only spoken of."""
    return re.search(r"\b" + re.escape(name) + r"\((?!\))", text) is not None


def named(name, text):
    return re.search(r"(?<![A-Za-z0-9_])" + re.escape(name) + r"(?![A-Za-z0-9_])", text) is not None


def faults_of(row, root, code, files):
    for name in FUNCTION.findall(row):
        if not defined(name, code):
            yield f"no function {name}"
    for name in CODE.findall(row):
        if not named(name, code):
            yield f"no error {name}"
    for name in PATH.findall(row):
        if not (root / name).is_file():
            yield f"no file {name}"
    tests = TEST.findall(row)
    if not tests:
        yield "no test"
    for file, name in tests:
        found = files.get(file, [])
        if not any(named(name, path.read_text(encoding="utf-8")) for path in found):
            yield f"no test {name} in {file}"


def main():
    root = pathlib.Path(sys.argv[1])
    page = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else root / "docs/coverage.md"
    code = text_of(root, ("include", "src"), {".h", ".c"})
    files = files_by_name(root)
    rows = [m.group(1) for m in map(ROW.match, page.read_text(encoding="utf-8").splitlines()) if m]
    print(f"1..{len(rows) + 1}")
    made_up = "| a thing | `rove_no_such_thing()`, `E_NO_SUCH` | `no_such.c: nothing` |"
    bad = int(len(list(faults_of(made_up, root, code, files))) != 3)
    print(f"{'not ok' if bad else 'ok'} 1 - what is not there is found missing")
    for number, row in enumerate(rows, 2):
        faults = list(faults_of(row, root, code, files))
        what = row.split("|")[0].strip().replace("#", "")
        print(f"{'not ok' if faults else 'ok'} {number} - {what[:90]}")
        for fault in faults:
            print(f"# {fault}")
        bad += bool(faults)
    return 1 if bad or not rows else 0


sys.exit(main())
