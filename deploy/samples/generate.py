#!/usr/bin/env python3
"""Draws the sample pictures, each from a seed and some mathematics, so that they are the project's own.

  generate.py [NAME ...]    all, or those named: about 90 s on one core; needs numpy and Pillow

The pictures are committed: run this only after changing how one is drawn.
"""
import os
import sys
import time

import numpy as np
from PIL import Image

import styles
from lake import lake
from still_life import still_life

def lake_mask(height, width):
    """White where the lake of `lake` is, with a soft edge."""
    rows = np.clip((np.arange(height) / height - 0.63) / 0.04 + 0.5, 0, 1)
    return np.broadcast_to(rows[:, None, None], (height, width, 3))


PICTURES = {
    "contents/lighthouse": lambda: lake(416, 608),
    "contents/still-life": lambda: still_life(432, 576),
    "masks/lake": lambda: lake_mask(416, 608),
    "masks/land": lambda: 1 - lake_mask(416, 608),
    "styles/night": styles.night,
    "styles/glass": styles.glass,
    "styles/wave": styles.wave,
}


def main():
    names = sys.argv[1:] or list(PICTURES)
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        sys.exit(f"generate: there is no picture {unknown[0]}; choose from {', '.join(PICTURES)}")
    here = os.path.dirname(os.path.abspath(__file__))
    for name in names:
        begin = time.monotonic()
        picture = PICTURES[name]()
        path = os.path.join(here, name + ".png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(path, optimize=True)
        height, width = picture.shape[:2]
        print(f"{name}.png: {width} x {height}, {os.path.getsize(path) // 1000} kB, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
