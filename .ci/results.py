#!/usr/bin/env python3
"""Reads what go test -json writes: prints what failing tests said and a line for each package, and fails on a skipped
test, unless its name matches the regular expression given."""

import json
import re
import sys

may_skip = re.compile(sys.argv[1])
said = {}  # (package, test) -> lines
skipped, failed = [], False
for line in sys.stdin:
    try:
        event = json.loads(line)
    except ValueError:
        print(line, end="", flush=True)
        failed = True
        continue
    action, test = event["Action"], event.get("Test", "")
    key = (event.get("Package", ""), test)
    if action == "build-output":
        print(event["Output"], end="", flush=True)
    elif action == "build-fail":
        failed = True
    elif action == "output":
        text = event["Output"]
        if test:
            said.setdefault(key, []).append(text)
        elif not text.startswith(("PASS", "?")):
            print(text, end="", flush=True)
    elif action == "skip" and test and not may_skip.fullmatch(test):
        skipped.append(f"{key[0]} {test}: " + " ".join("".join(said.get(key, [])).split()))
    elif action == "fail":
        failed = True
        if test:
            print("".join(said.get(key, [])), end="", flush=True)
    if action in ("pass", "skip", "fail") and test:
        said.pop(key, None)
for name in skipped:
    print("FAIL: skipped:", name)
sys.exit(1 if failed or skipped else 0)
