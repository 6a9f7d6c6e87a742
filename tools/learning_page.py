#!/usr/bin/env python3
"""Tables and pictures of docs/learning.md.

  learning_page.py RESULTS.json [--page docs/learning.md] [--pictures docs/learning]

RESULTS.json is what `ruvllm learn eval TEXTS --json` writes. Tables replace what stands in the page
between <!-- table NAME --> and <!-- end -->; pictures are SVG files beside it.
"""

import argparse
import json
from pathlib import Path

from learning import pictures, tables


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/learning.md"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/learning"))
    options = parser.parse_args()
    results = json.loads(options.results.read_text(encoding="utf-8"))
    page = options.page.read_text(encoding="utf-8")
    options.page.write_text(tables.fill(page, results), encoding="utf-8")
    options.pictures.mkdir(exist_ok=True)
    for name, picture in pictures.draw_all(results).items():
        (options.pictures / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
