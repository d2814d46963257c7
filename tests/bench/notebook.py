#!/usr/bin/env python3
"""The 2017 notebook's procedure, ported plainly to PyTorch: what Stylefleet is measured against.

  notebook.py --content C --style S --out PICTURE [--restarts 50] [--device cpu]

As there, style and picture pass through the network as one batch at every evaluation, scipy's
L-BFGS-B forgets what it learnt at each of 50 restarts, nothing bounds the pixels while they are
optimised, and the picture saved is clamped and truncated to 8 bits. Prints one JSON object per
evaluation of loss and gradient, then the last restart's loss. Reads the file STYLEFLEET_WEIGHTS.
"""

import argparse
import json
import os

import torch
from scipy.optimize import fmin_l_bfgs_b

import network
import score


class Evaluator:
    """Loss and gradient at a picture, as scipy wants them: 64 bits outside, 32 in the network."""

    def __init__(self, weights, style):
        self.vgg = network.Vgg19(weights, torch.float32, style.device)
        self.style = style
        self.evaluations = 0

    def __call__(self, flat):
        picture = torch.from_numpy(flat).float().view(self.style.shape)
        picture = picture.to(self.style.device).requires_grad_()
        batch = self.vgg(torch.cat([self.style, picture]), score.NOTEBOOK_LAYERS)
        style, drawn = ({layer: both[i] for layer, both in batch.items()} for i in (0, 1))
        loss = sum(score.notebook_terms(picture, drawn, style).values())
        loss.backward()
        self.evaluations += 1
        print(json.dumps({"evaluation": self.evaluations, "loss": loss.item()}), flush=True)
        return loss.item(), picture.grad.flatten().double().cpu().numpy()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    content, style = (
        network.read_picture(file, network.SWAPPED, torch.float32).to(args.device)
        for file in (args.content, args.style)
    )
    evaluate = Evaluator(os.environ["STYLEFLEET_WEIGHTS"], style)
    flat = content.flatten().double().cpu().numpy()
    for _ in range(args.restarts):
        flat, loss, _ = fmin_l_bfgs_b(evaluate, flat, m=10, maxfun=20)
    network.save_picture(torch.from_numpy(flat).view(style.shape), network.SWAPPED, args.out)
    print(json.dumps({"final": float(loss)}))


if __name__ == "__main__":
    main()
