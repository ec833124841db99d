"""ringway-lab: the demo's registrar and answering phones, built on sofia-sip."""

import json

from .gateway import binary
from .programs import Program


class Lab:
    def __init__(self, directory, *, domain="example.test", password="secret", options=(), name="lab"):
        program = binary().parent / "lab" / "ringway-lab"
        arguments = ["--domain", domain, *options]
        if password:
            arguments += ["--password", password]
        self.program = Program(name, [program, *arguments], directory, stdin=True)
        self.mark = 0
        ready = json.loads(self.program.expect_line('"ready"', 10))
        transport, _, self.address = ready["sip"].partition(":")
        self.uri = f"sip:{self.address};transport={transport}"
        self.domain, self.password = domain, password

    def event(self, kind, timeout=10, **wanted):
        """The next event of that kind with these values."""
        def test(line):
            try:
                item = json.loads(line)
            except ValueError:
                return False
            return item.get("event") == kind and all(item.get(key) == value for key, value in wanted.items())
        line = self.program.expect_line(test, timeout, self.mark)
        with self.program.changed:
            self.mark = self.program.lines.index(line, self.mark) + 1
        return json.loads(line)

    def call(self, uri, source="tone"):
        self.program.write(f"call {uri} {source}\n")

    def hang_up(self, call):
        self.program.write(f"hangup {call}\n")

    def end(self):
        self.program.end()
