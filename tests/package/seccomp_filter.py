#!/usr/bin/python3
"""A seccomp profile in Docker's format as the filter that bubblewrap loads.

    seccomp_filter.py [--without-ring] PROFILE OUT

--without-ring leaves io_uring's calls out, as the profiles do that engines use by themselves.
"""

import json
import sys

import seccomp  # Debian's python3-seccomp, so Debian's Python

OPERATIONS = {"SCMP_CMP_EQ": seccomp.EQ, "SCMP_CMP_NE": seccomp.NE}


def action(name, errno):
    return {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_ERRNO": seccomp.ERRNO(errno)}[name]


def condition(one):
    if one["op"] == "SCMP_CMP_MASKED_EQ":  # value is the mask, valueTwo what is left behind it
        return seccomp.Arg(one["index"], seccomp.MASKED_EQ, one["value"], one["valueTwo"])
    return seccomp.Arg(one["index"], OPERATIONS[one["op"]], one["value"])


def main():
    arguments = sys.argv[1:]
    without_ring = "--without-ring" in arguments
    profile, out = (one for one in arguments if one != "--without-ring")
    with open(profile) as file:
        described = json.load(file)
    default = described["defaultAction"], described.get("defaultErrnoRet", 1)
    rules = seccomp.SyscallFilter(action(*default))
    for block in described["syscalls"]:
        for name in block["names"]:
            if without_ring and name.startswith("io_uring_"):
                continue
            what = action(block["action"], block.get("errnoRet", 1))
            try:
                seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
                rules.add_rule_exactly(what, name, *[condition(one) for one in block.get("args", [])])
            except (RuntimeError, ValueError, OSError):
                pass  # another architecture's, or newer than this libseccomp: engines skip it as well
    with open(out, "wb") as file:
        rules.export_bpf(file)


if __name__ == "__main__":
    main()
