#!/usr/bin/env python3
"""Writes a stereo pair with dense disparities to golden/motorcycle, for a test of the optical flow:

    pip install scikit-image==0.26.0
    worker/engine/golden/motorcycle.py
    cargo test --release -p stylefleet-engine stereo -- --ignored --nocapture

The pair is of the Middlebury stereo benchmark of 2014 (D. Scharstein et al., "High-resolution stereo
datasets with subpixel-accurate ground truth", GCPR 2014), at a quarter of its size, as the package
scikit-image brings it. No licence is stated that would let us pass it on, so it is not kept here.
"""

from pathlib import Path

import numpy as np
import skimage
from PIL import Image

# Disparities are written in parts of a pixel, 0 where none is known.
PARTS = 256


def main() -> None:
    folder = Path(__file__).parent / "motorcycle"
    folder.mkdir(exist_ok=True)
    data = Path(skimage.__file__).parent / "data"
    for side in ("left", "right"):
        Image.open(data / f"motorcycle_{side}.png").convert("RGB").save(folder / f"{side}.png")
    disparity = np.load(data / "motorcycle_disp.npz")["arr_0"]
    known = np.isfinite(disparity) & (disparity > 0)
    parts = np.where(known, np.round(np.nan_to_num(disparity, posinf=0) * PARTS), 0)
    Image.fromarray(parts.astype(np.uint16)).save(folder / "disparity.png")


if __name__ == "__main__":
    main()
