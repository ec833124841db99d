#!/usr/bin/env python3
"""Counts the single tests in Meson's junit file: GoogleTest cases, or a program as one test."""

import sys
import xml.etree.ElementTree as ElementTree


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
    print(f"unit: {passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()
