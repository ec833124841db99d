"""Line plots as SVG, written by hand: the bench needs nothing but Python's own library."""

COLOURS = ("#0b6e99", "#c4532d", "#4d7c3a", "#7a4fa3", "#8a6d1d")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 76, 20, 44, 56


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def nice_ticks(low, high, count=5):
    span = high - low or 1
    step = 10 ** len(str(int(span / count))) / 10 if span / count >= 1 else 0.1
    for factor in (1, 2, 5, 10, 20, 50):
        if span / (step * factor) <= count:
            step *= factor
            break
    tick = step * int(low / step)
    ticks = []
    while tick <= high + step * 1e-6:
        if tick >= low - step * 1e-6:
            ticks.append(tick)
        tick += step
    return ticks


def line_plot(path, title, x_label, y_label, series):
    """series: name -> list of (x, y)."""
    points = [point for line in series.values() for point in line]
    if not points:
        return
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = 0, max(y for _, y in points) * 1.08 or 1
    if x_high == x_low:
        x_high = x_low + 1

    def at(x, y):
        return (LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>']
    for tick in nice_ticks(y_low, y_high):
        _, y = at(x_low, tick)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                   'stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in nice_ticks(x_low, x_high, 8):
        x, _ = at(tick, 0)
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f'{tick:g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" '
               f'text-anchor="middle">{escape(x_label)}</text>')
    out.append(f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
               f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">{escape(y_label)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path_text = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in line)
        out.append(f'<polyline points="{path_text}" fill="none" stroke="{colour}" '
                   'stroke-width="2"/>')
        for x, y in line if len(line) < 30 else ():
            cx, cy = at(x, y)
            out.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" fill="{colour}"/>')
        out.append(f'<rect x="{LEFT + 10 + 150 * number}" y="32" width="12" height="4" '
                   f'fill="{colour}"/><text x="{LEFT + 28 + 150 * number}" y="38">'
                   f'{escape(name)}</text>')
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
