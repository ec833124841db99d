#!/usr/bin/env python3
"""Counts the single tests in Meson's junit file: GoogleTest cases, or a program as one test.

A program that crashed or ran out of time left no cases; Meson's log beside the file tells.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main():
    passed = failed = skipped = 0
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"failed: {case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
        else:
            passed += 1
    log = Path(sys.argv[1]).with_name("testlog.json")
    programs = [json.loads(line) for line in log.read_text().splitlines() if line]
    ended_badly = [one["name"] for one in programs if one["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")]
    if len(ended_badly) > failed:
        print("ended badly: " + ", ".join(ended_badly))
        failed = len(ended_badly)
    print(f"unit: {passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()
