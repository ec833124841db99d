#!/usr/bin/env python3
"""The architecture as a test: reads the source tree, compiles nothing but headers.

    tests/tidy/run.py [PATTERN]

Closes with "tidy: N passed, N failed, N skipped".
"""

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("protocol", "tls", "gateway")
CODECS = ["sip", "http", "websocket", "proxy_protocol", "sdp", "bencode", "stun"]
PROTOCOL = ["protocol/base", "protocol/transaction"] + [f"protocol/{name}" for name in CODECS]
POLICIES = ["gateway/filter", "gateway/transaction", "gateway/routing", "gateway/nat", "gateway/media"]

# Folder to the folders that it may include besides itself. There is no other arrow.
MAY_INCLUDE = {
    "protocol/base": [],
    **{f"protocol/{name}": ["protocol/base"] for name in CODECS},
    "protocol/transaction": ["protocol/base", "protocol/sip"],
    "protocol/websocket": ["protocol/base", "protocol/http"],  # the upgrade is an HTTP request
    "tls": ["protocol/base"],
    "gateway/base": ["protocol/base"],
    "gateway/config": ["protocol/base", "gateway/base"],
    "gateway/reactor": ["protocol/base", "gateway/base"],
    "gateway/admission": ["protocol/base", "gateway/base", "gateway/config"],
    "gateway/transport": PROTOCOL + ["tls", "gateway/base", "gateway/config", "gateway/reactor", "gateway/admission"],
    **{folder: PROTOCOL + ["gateway/base", "gateway/config"] for folder in POLICIES},
    "gateway/nat": PROTOCOL + ["gateway/base", "gateway/config", "tls/mac.h"],
    # Route values are tokens and aliases of ours.
    "gateway/routing": PROTOCOL + ["gateway/base", "gateway/config", "tls/mac.h", "gateway/nat/flow_token.h",
                                   "gateway/nat/contact.h", "gateway/nat/own_uris.h"],
    "gateway/peers": PROTOCOL + ["gateway/base", "gateway/config", "gateway/routing/next_hops.h"],
    # Calls stand on what the policies know, below the core that moves their messages.
    "gateway/call": PROTOCOL + ["gateway/base", "gateway/config", "gateway/media", "gateway/nat"],
    "gateway/core": PROTOCOL + POLICIES + ["gateway/admission", "gateway/call", "gateway/base", "gateway/config", "gateway/peers",
                                           "tls/mac.h"],
    "gateway/shard": PROTOCOL + POLICIES + ["gateway/admission", "gateway/peers", "tls", "gateway/base", "gateway/config", "gateway/core",
                                            "gateway/transport", "gateway/reactor"],
    "gateway/control": PROTOCOL + ["tls", "gateway/base", "gateway/config", "gateway/transport", "gateway/reactor",
                                   "gateway/admission",
                                   "gateway/shard/shard_message.h", "gateway/shard/shard.h", "gateway/filter",
                                   "gateway/routing/next_hops.h"],
    "gateway/tunnel": ["protocol/base", "protocol/bencode", "protocol/http", "tls", "gateway/base", "gateway/reactor",
                       "gateway/config/document.h", "gateway/config/load.h", "gateway/config/table_reader.h",
                       "gateway/transport/sockaddr.h"],
    "gateway/ctl": ["protocol/base", "gateway/base", "gateway/config"],
    "gateway/ban_export": ["protocol/base", "gateway/base", "gateway/config", "gateway/ctl", "gateway/reactor/clock.h"],
    "gateway/lab": PROTOCOL + ["gateway/base"],
    "gateway": ["protocol/base", "tls", "gateway/base", "gateway/config", "gateway/control", "gateway/shard",
                "gateway/ctl", "gateway/admission", "gateway/transport/bounds.h", "gateway/transport/listener.h", "gateway/transport/sockaddr.h",
                "gateway/transport/socket.h", "gateway/transport/port_owner.h", "gateway/transport/static_pages.h",
                "gateway/tunnel/command.h", "gateway/ban_export/command.h"],
}
# Third-party headers and the only folders that may name them.
CONTAINED = [
    (r"(openssl/.*)", ("tls",)),
    (r"(liburing(\.h|/.*)|linux/io_uring\.h)", ("gateway/reactor",)),
    (r"(sys/socket\.h|netinet/.*|arpa/inet\.h|sys/un\.h|netdb\.h)",
     ("gateway", "gateway/reactor", "gateway/transport", "gateway/tunnel", "gateway/control", "gateway/ctl", "gateway/lab")),
    (r"(sofia-sip/.*)", ("gateway/lab",)),
    (r"(toml\+\+/.*|toml\.hpp|toml\+\+\.h)", ("gateway/config", "gateway/filter")),
    (r"(ares.*\.h)", ("gateway/control",)),
    (r"(nftables/.*|cap-ng\.h)", ("gateway/ban_export",)),
    (r"(re2/.*)", ("gateway/filter",)),
]
# libcrypto's one-shot digests are allowed where a protocol asks for one.
DIGEST_HEADERS = {"protocol/websocket/handshake.cc": {"openssl/sha.h", "openssl/evp.h"}}
# Waits before any shard runs, while the kernel takes a killed predecessor's sockets apart.
# hardening.cc only names the system calls.
MAY_WAIT = {"gateway/transport/listener.cc", "gateway/hardening.cc"}
FUNCTION_LINES_MAX = 70
STATE_MACHINE_LINES_MAX = 80  # all arrows of a machine of RFC 3261 17 stand in one function
# Folders whose headers are read for declarations that nothing defines.
DECLARATIONS_CHECKED = ("gateway/core",)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources(*suffixes):
    for top in SOURCE_FOLDERS:
        yield from sorted(path for path in (ROOT / top).rglob("*")
                          if path.suffix in suffixes and "node_modules" not in path.parts)


def folder_of(path):
    relative = path.relative_to(ROOT)
    return "/".join(relative.parts[:-1][:2]) if relative.parts[0] != "tls" else "tls"


def includes(path):
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def check_include_direction():
    for path in sources(".h", ".cc"):
        folder = folder_of(path)
        if folder not in MAY_INCLUDE:
            yield f"{path.relative_to(ROOT)}: the folder {folder} has no place in the dependency table"
            continue
        for kind, name in includes(path):
            if kind == "<" or name.split("/")[0] not in SOURCE_FOLDERS:
                continue
            target = folder_of(ROOT / name)
            if target != folder and target not in MAY_INCLUDE[folder] and name not in MAY_INCLUDE[folder]:
                yield f"{path.relative_to(ROOT)} may not include {name}"


def check_includes_by_path_from_root():
    for path in sources(".h", ".cc"):
        for kind, name in includes(path):
            # An .inc is made by the build from data.
            if kind == '"' and not name.endswith(".inc") and not (ROOT / name).exists():
                yield f"{path.relative_to(ROOT)}: {name} is no path from the root"


def check_containment():
    for path in sources(".h", ".cc"):
        relative = str(path.relative_to(ROOT))
        for _, name in includes(path):
            for pattern, folders in CONTAINED:
                if (re.fullmatch(pattern, name) and folder_of(path) not in folders
                        and name not in DIGEST_HEADERS.get(relative, ())):
                    yield f"{relative} may not include <{name}>; only {', '.join(folders)} may"


def check_own_header_first():
    for path in sources(".cc"):
        header = path.with_suffix(".h")
        found = includes(path)
        if header.exists() and (not found or found[0][1] != str(header.relative_to(ROOT))):
            yield f"{path.relative_to(ROOT)} does not include its own header first"


def check_pragma_once():
    for path in sources(".h"):
        if "#pragma once" not in path.read_text(encoding="utf-8").split("\n", 3)[0:3]:
            yield f"{path.relative_to(ROOT)} has no #pragma once at its top"


def check_headers_compile_alone():
    flags = ["-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", f"-I{ROOT}",
             "-DRINGWAY_VERSION=\"test\"", "-x", "c++", "-"]
    packages = subprocess.run(["pkg-config", "--cflags", "openssl", "liburing", "libwebsockets", "sofia-sip-ua"],
                              capture_output=True, text=True)
    flags = packages.stdout.replace("-I/", "-isystem /").split() + flags

    def compile_one(path):
        text = f'#include "{path.relative_to(ROOT)}"\n'
        done = subprocess.run([os.environ.get("CXX", "g++"), *flags], input=text, capture_output=True, text=True)
        return None if done.returncode == 0 else f"{path.relative_to(ROOT)}: {done.stderr[:600]}"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one, sources(".h")))


def check_sources_are_listed():
    for path in sources(".cc"):
        lists = [folder / "meson.build" for folder in path.parents if (folder / "meson.build").exists()]
        names = {path.name, str(path.relative_to(ROOT))}
        if not any(re.search(rf"'(?:[\w./-]*/)?{re.escape(path.name)}'", build.read_text()) for build in lists[:2]):
            yield f"no meson.build names {names.pop()}"


def check_nothing_sleeps():
    pattern = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.])sleep\s*\(|time\.sleep")
    files = list(sources(".h", ".cc"))
    for top in ("tests",):
        files += [path for path in (ROOT / top).rglob("*") if path.suffix in (".h", ".cc", ".py")
                  and "node_modules" not in path.parts]
    for path in files:
        if path == Path(__file__).resolve() or str(path.relative_to(ROOT)) in MAY_WAIT:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line.split("//")[0]):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def check_nothing_left_to_do():
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    for top in (*SOURCE_FOLDERS, "tests", "bench", "configs"):
        for path in sorted((ROOT / top).rglob("*")):
            if (path.suffix not in (".h", ".cc", ".py", ".js", ".toml", ".md", ".build", ".html", ".css", "")
                    or not path.is_file() or "node_modules" in path.parts or "corpus" in path.parts
                    or path == Path(__file__).resolve()):
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if pattern.search(line):
                    yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def check_readme_map():
    """Every path that a README's map names exists, and each source folder is on the map."""
    readme = ROOT / "README.md"
    if not readme.exists():
        yield "no README.md"
        return
    text = readme.read_text(encoding="utf-8")
    for name in re.findall(r"(?<![\w/.:])((?:protocol|tls|gateway|tests|bench|configs)/[\w./-]*\w)", text):
        name = name.rstrip(".")
        if not (ROOT / name).exists() and not list(ROOT.glob(name + ".*")) and not name.startswith("bench/results"):
            yield f"README.md names {name}, which does not exist"
    for folder in sorted({folder_of(path) for path in sources(".h", ".cc")}):
        if folder.split("/")[-1] not in text:
            yield f"README.md's map lacks {folder}"


def check_top_level():
    allowed = {"meson.build", "meson_options.txt", "gateway", "protocol", "tls", "tests", "bench", "configs",
               "README.md", "CONTRIBUTING.md", "LICENSE", "debian"}
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.splitlines()
    for name in sorted({line.split("/")[0] for line in tracked}):
        if not name.startswith(".") and name not in allowed:
            yield f"{name} at the top level"


def check_monitoring_names_metrics_that_exist():
    """Each metric that configs/monitoring or a README names stands on the metrics page."""
    page = (ROOT / "gateway/control/metrics_page.cc").read_text(encoding="utf-8")
    names = set(re.findall(r'"([a-z_]+)"', page))
    files = [*sorted((ROOT / "configs/monitoring").glob("*")), ROOT / "README.md"]
    for path in files:
        for name in re.findall(r"\bringway_([a-z_]+)", path.read_text(encoding="utf-8")):
            if name not in names and re.sub(r"_(bucket|count|sum)$", "", name) not in names:
                yield f"{path.relative_to(ROOT)} names ringway_{name}, which is no metric"


def check_line_length():
    for path in sources(".h", ".cc"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > 100:
                yield f"{path.relative_to(ROOT)}:{number}: {len(line)} columns"


def functions(path):
    """Name line, first and last line number of each function that is defined at the left margin."""
    head, first = "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line == "}":
            if head and "(" in head and not re.match(r"(namespace|struct|class|enum|union|extern)\b", head):
                yield head, first, number
            head = ""
        elif line and not line[0].isspace() and line[0] not in "/#}" and not head.rstrip().endswith("{"):
            head, first = line, number
        elif head and not head.rstrip().endswith("{"):
            head += " " + line.strip()
        if line.endswith((";", "};")) and not line.startswith(" ") and not head.rstrip().endswith("{"):
            head = ""


def check_function_length():
    for path in sources(".h", ".cc"):
        for head, first, last in functions(path):
            is_machine = folder_of(path) == "protocol/transaction"
            if last - first + 1 > (STATE_MACHINE_LINES_MAX if is_machine else FUNCTION_LINES_MAX):
                yield f"{path.relative_to(ROOT)}:{first}: {last - first + 1} lines: {head[:80]}"


def check_declarations_are_defined():
    """Each member function that a header of the core declares has a body somewhere."""
    for path in sources(".h"):
        if folder_of(path) not in DECLARATIONS_CHECKED:
            continue
        text = path.read_text(encoding="utf-8")
        body = "\n".join(other.read_text(encoding="utf-8") for other in path.parent.glob("*.cc"))
        for kind, content in re.findall(r"^(?:class|struct) (\w+)[^;{]*\{\n(.*?)^\};", text, re.M | re.S):
            for name in re.findall(r"^  (?:[\w:<>,&*\[\] ]+ )?(\w+)\([^{};]*\)[\w ]*;$", content, re.M):
                if not re.search(rf"\b{kind}::(?:\w+::)*{name}\(", body):
                    yield f"{path.relative_to(ROOT)}: {kind}::{name} is declared and defined nowhere"


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    checks = [(name[6:].replace("_", " "), work) for name, work in globals().items()
              if name.startswith("check_") and wanted in name]
    failed = 0
    for name, work in checks:
        problems = list(work())
        failed += bool(problems)
        print(f"{'failed' if problems else 'passed':7} tidy: {name}")
        for problem in problems[:40]:
            print(f"      {problem}")
    print(f"tidy: {len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
