"""A picture of a soak: memory of every service over time, and the faults below. picture.py SOAK.json PICTURE.svg"""
import json
import sys
from pathlib import Path

WIDTH, LEFT, RIGHT, ROW, TOP = 960, 110, 150, 74, 44
COLOURS = {"kill": "#c0392b", "stop": "#e67e22", "webhook": "#2980b9"}


def scale(value, low, high, begin, end):
    return begin + (value - low) / (high - low or 1) * (end - begin)


def draw(soak):
    rows = [(name, lives, soak["memory"][name]) for name, lives in soak["lives"].items()]
    height = TOP + ROW * len(rows) + 78
    seconds, out = soak["seconds"], []

    def x(at):
        return scale(at, 0, seconds, LEFT, WIDTH - RIGHT)

    def text(at_x, at_y, words, size=12, anchor="start", colour="#333"):
        out.append(f'<text x="{at_x:.1f}" y="{at_y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{words}</text>')

    def line(x1, y1, x2, y2, colour, width=1):
        out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    faults = len(soak["struck"])
    text(LEFT, 20, f'Resident memory, {soak["minutes"]:g} minutes at {soak["rate"]} events/s, {faults} faults', 15)
    text(WIDTH - RIGHT + 12, 36, "slope within lives", 11, colour="#777")
    for n, (name, lives, facts) in enumerate(rows):
        top, bottom = TOP + n * ROW, TOP + (n + 1) * ROW - 14
        most = max(size for life in lives for _, size in life) * 1.15
        line(LEFT, bottom, WIDTH - RIGHT, bottom, "#bbb")
        text(LEFT - 10, bottom - 14, name, 13, "end")
        text(LEFT - 10, bottom, f'max {facts["mb_max"]:g} MB', 10, "end", "#777")
        slope = facts["mb_per_hour"]
        text(WIDTH - RIGHT + 12, bottom - 8, "-" if slope is None else f"{slope:+.2f} MB/h", 13)
        for life in lives:
            points = " ".join(f"{x(at):.1f},{scale(size, 0, most, bottom, top):.1f}" for at, size in life)
            out.append(f'<polyline points="{points}" fill="none" stroke="#2c3e50" stroke-width="1.3"/>')
    base = TOP + ROW * len(rows) + 4
    for at, what in soak["struck"]:
        line(x(at), base, x(at), base + 14, next(colour for word, colour in COLOURS.items() if word in what))
    text(LEFT - 10, base + 11, "faults", 13, "end")
    text(WIDTH - RIGHT + 12, base + 11, '<tspan fill="#c0392b">killed</tspan> <tspan fill="#e67e22">stopped</tspan> '
                                        '<tspan fill="#2980b9">500</tspan>', 11)
    for tenth in range(0, 13):
        at = seconds * tenth / 12
        line(x(at), base + 20, x(at), base + 24, "#999")
        text(x(at), base + 38, f"{at / 60:g}", 10, "middle", "#777")
    text(x(seconds / 2), base + 56, "minutes; a line that ends is a process that was killed", 11, "middle", "#777")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(out) + "\n</svg>\n")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())))
