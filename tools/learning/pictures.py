"""Pictures of docs/learning.md."""

import math

from svg import INK, LINE, circle, document, line, polyline, text

from learning.tables import TITLES

COLOURS = {"ours": "#2f7d6d", "neural_cache": "#3b6fb5", "unigram_cache": "#8a5aa8",
           "bias_only": "#c08a1e"}
CONTROL = "#b4552d"
MARGIN = 16


def _name(arm):
    return TITLES.get(arm, arm).replace("*", "")


def _ticks(low, high, most=6):
    step = 10 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def draw_streams(results):
    """A panel for each text: every learner's change with its interval."""
    left, width, step = 300, 480, 18
    y, body = 26.0, []
    body.append(text(MARGIN, y, "Change of the loss against the frozen model, nat/token", 15,
                     weight="bold"))
    body.append(text(MARGIN, y + 18, "bar: 95 % interval over streams; left of the line is better"))
    y += 30
    for domain in results["streams"]["domains"]:
        values = [bound for arm in domain["arms"] for bound in arm["ci"]] + [0.0]
        low, high = min(values), max(values)
        low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)

        def place(value, low=low, high=high):
            return left + width * (value - low) / (high - low)

        y += 24
        body.append(text(MARGIN, y, domain["domain"], 13, weight="bold"))
        top, bottom = y + 6, y + 10 + step * len(domain["arms"])
        for tick in _ticks(low, high):
            body.append(line(place(tick), top, place(tick), bottom, INK if tick == 0 else LINE))
            body.append(text(place(tick), bottom + 12, f"{tick:g}", 10, "middle"))
        y += 4
        for arm in domain["arms"]:
            y += step
            colour = COLOURS.get(arm["arm"], CONTROL)
            body.append(text(left - 10, y, _name(arm["arm"]), 11, "end"))
            body.append(line(place(arm["ci"][0]), y - 4, place(arm["ci"][1]), y - 4, colour, 3))
            body.append(circle(place(arm["delta_nll"]), y - 4, 4, colour))
        y += 20
    return document(left + width + 30, y + 10, body)


def _axes(body, x, y, width, height, low, high):
    for tick in _ticks(low, high, 5):
        level = y + height * (high - tick) / (high - low)
        body.append(line(x, level, x + width, level, INK if tick == 0 else LINE))
        body.append(text(x - 6, level + 4, f"{tick:g}", 10, "end"))


def draw_long(results):
    """A panel for each text: the change in blocks as the stream goes on."""
    width, height, left = 560, 120, 70
    y, body = 26.0, []
    body.append(text(MARGIN, y, "Long streams: change of the loss in blocks of 2,048 tokens, "
                                "nat/token", 15, weight="bold"))
    x = left
    y += 18
    for name, colour in COLOURS.items():
        body.append(line(x, y - 4, x + 20, y - 4, colour, 3))
        body.append(text(x + 26, y, _name(name), 11))
        x += 130
    for run in results["long"]:
        curves = {}
        for arm in run["arms"]:
            group = max(1, 2048 // arm["curve_block"])
            curve = arm["curve"]
            curves[arm["arm"]] = [sum(curve[i:i + group]) / len(curve[i:i + group])
                                  for i in range(0, len(curve), group)]
        points = [value for curve in curves.values() for value in curve] + [0.0]
        low, high = min(points) - 0.02, max(points) + 0.02
        y += 24
        body.append(text(MARGIN, y, f'{run["domain"]}, {run["tokens"]:,} tokens', 12,
                         weight="bold"))
        y += 8
        _axes(body, left, y, width, height, low, high)
        for name, curve in curves.items():
            scale = width / max(len(curve) - 1, 1)
            body.append(polyline([(left + i * scale, y + height * (high - value) / (high - low))
                                  for i, value in enumerate(curve)], COLOURS[name], 1.8))
        y += height
    return document(left + width + 30, y + 20, body)


def draw_forgetting(results):
    """Each method by its gain and what is forgotten of it."""
    width, height, left, top = 520, 320, 80, 60
    # What is served has its memory, too: it lies far from the others.
    methods = [method for method in results["forgetting"]["methods"]
               if method["method"] != "served"]
    xs = [method["gain"] for method in methods]
    ys = [method["forgetting"] for method in methods] + [0.0]
    low_x, high_x = min(xs), max(xs)
    low_y, high_y = min(ys), max(ys)
    pad_x = 0.1 * (high_x - low_x) + 0.005
    pad_y = 0.08 * (high_y - low_y) + 0.005
    low_x, high_x, low_y, high_y = low_x - pad_x, high_x + pad_x, low_y - pad_y, high_y + pad_y
    body = [text(MARGIN, 26, "Subjects one after another", 15, weight="bold"),
            text(MARGIN, 44, "across: gain when just learned; up: rise on it by the end; "
                             "nat/token, lower left is better")]
    _axes(body, left, top, width, height, low_y, high_y)
    for tick in _ticks(low_x, high_x, 5):
        x = left + width * (tick - low_x) / (high_x - low_x)
        body.append(line(x, top, x, top + height))
        body.append(text(x, top + height + 16, f"{tick:g}", 10, "middle"))
    for method in methods:
        x = left + width * (method["gain"] - low_x) / (high_x - low_x)
        y = top + height * (high_y - method["forgetting"]) / (high_y - low_y)
        colour = COLOURS["ours"] if method["method"] == "slots" else (
            COLOURS["neural_cache"] if method["method"].startswith("ewc") else CONTROL)
        body.append(circle(x, y, 4, colour))
        body.append(text(x + 7, y + 4, method["method"].replace("_", " "), 10))
    return document(left + width + 90, top + height + 40, body)


def draw_all(results):
    """name -> SVG, for the parts that were run."""
    makers = {"streams": draw_streams, "long": draw_long, "forgetting": draw_forgetting}
    return {name: make(results) for name, make in makers.items() if name in results}
