"""The one table that a run ends in."""


class Table:
    """Rows of figures, and gates: a ratio with its goal from the project's list."""

    def __init__(self):
        self.sections, self.gates, self.notes = [], [], []

    def section(self, title, columns):
        self.sections.append({"title": title, "columns": columns, "rows": []})
        return self.sections[-1]["rows"]

    def note(self, text):
        self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def gate(self, name, value, gate, aim, text=None, at_least=False):
        """value None: no ratio could be given, and text says why."""
        text = short(text, 76) if text else ""
        if value is None:
            verdict = "no figure"
        else:
            meets = (lambda goal: value >= goal) if at_least else (lambda goal: value <= goal)
            verdict = "aim met" if meets(aim) else "pass" if meets(gate) else "FALLS SHORT"
        self.gates.append({"name": name, "value": value, "gate": gate, "aim": aim,
                           "verdict": verdict, "text": text})
        shown = "-" if value is None else f"{value:.3g}"
        print(f"  {name}: {shown} (gate {gate}, aim {aim}): {verdict}"
              f"{' - ' + text if text else ''}", flush=True)

    def text(self):
        out = []
        for section in self.sections:
            out += ["", section["title"]] + align([section["columns"]] + section["rows"])
        gates = [[g["name"], "-" if g["value"] is None else f"{g['value']:.3g}", str(g["gate"]),
                  str(g["aim"]), g["verdict"], g["text"]] for g in self.gates]
        if gates:
            out += ["", "Goals"] + align([["work", "ratio", "gate", "aim", "", ""]] + gates)
        if self.notes:
            out += ["", "Notes"] + [f"  {note}" for note in self.notes]
        return "\n".join(out) + "\n"


def align(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
        if number == 0:
            lines.append("  " + "  ".join("-" * width for width in widths))
    return lines


def short(text, limit=60):
    """The first line of a reason, cut, so that one does not wreck the table; logs have the rest."""
    line = (str(text).strip().splitlines() or [""])[0]
    return line if len(line) <= limit else line[:limit - 3] + "..."


def figure(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"
