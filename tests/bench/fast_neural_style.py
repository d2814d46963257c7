#!/usr/bin/env python3
"""PyTorch's example `fast_neural_style`, ported plainly: what networks are measured against.

  fast_neural_style.py apply --size S --pictures N [--device cpu]
  fast_neural_style.py train --size S --batch B --steps N [--device cpu]

Prints the median seconds of a picture, or of a step, as JSON. The layout, the layers, the weights of
the loss, the batch's normalisation and Adam are the example's; VGG is VGG19 instead of VGG16, and its
weights are those of STYLEFLEET_WEIGHTS. Images are random: the time does not depend on them. As
there, content and picture both go through all layers at every step; the style does so once.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F

import network

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "networks"))
import golden

LAYERS = ((1, 2), (2, 2), (3, 3), (4, 3))
CONTENT = (2, 2)
CONTENT_WEIGHT, STYLE_WEIGHT = 1e5, 1e10
WARM_UP = 2  # what the first ones allocate, later ones reuse


def redrawing(device):
    """The network of the example's width."""
    torch.manual_seed(0)
    redraw = golden.Network(32, 1)
    golden.fill(redraw, torch.Generator().manual_seed(0))
    return redraw.float().to(device)


def timed(repeat, work):
    seconds = []
    for _ in range(WARM_UP + repeat):
        begin = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the work is over, not only asked for
        seconds.append(time.perf_counter() - begin)
    return {"seconds": median(seconds[WARM_UP:]), "threads": torch.get_num_threads()}


def apply(args):
    redraw, shares = redrawing(args.device), torch.ones(1, device=args.device)
    image = torch.rand(1, 3, args.size, args.size, device=args.device) * 255
    with torch.no_grad():
        return timed(args.pictures, lambda: redraw(image, shares)["picture"].clamp(0, 255))


def gram(features):
    batch, channels, height, width = features.shape
    flat = features.view(batch, channels, height * width)
    return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)


def train(args):
    redraw, shares = redrawing(args.device), torch.ones(1, device=args.device)
    vgg = network.Vgg19(os.environ["STYLEFLEET_WEIGHTS"], torch.float32, args.device)
    means = torch.tensor(network.MEANS, device=args.device).view(1, 3, 1, 1)
    optimizer = torch.optim.Adam(redraw.parameters(), 1e-3)
    style = torch.rand(1, 3, args.size, args.size, device=args.device) * 255 - means
    with torch.no_grad():
        targets = {layer: gram(found) for layer, found in vgg(style, LAYERS).items()}

    def step():
        photographs = torch.rand(args.batch, 3, args.size, args.size, device=args.device) * 255
        optimizer.zero_grad()
        pictures = redraw(photographs, shares)["picture"]
        drawn, seen = (vgg(images.flip(1) - means, LAYERS) for images in (pictures, photographs))
        loss = CONTENT_WEIGHT * F.mse_loss(drawn[CONTENT], seen[CONTENT])
        for layer in LAYERS:
            grams = gram(drawn[layer])
            loss = loss + STYLE_WEIGHT * F.mse_loss(grams, targets[layer].expand_as(grams))
        loss.backward()
        optimizer.step()

    return timed(args.steps, step)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("apply", "train"))
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    print(json.dumps({"apply": apply, "train": train}[args.what](args)))


if __name__ == "__main__":
    main()
