"""Computes golden values of a style network with plain PyTorch in 64 bits, for the engine's tests.

    python tests/networks/golden.py

with the Python that  deploy/setup/setup.sh --cuda  installs. It rewrites two files in
worker/engine/golden/transform: model.safetensors is a model of two styles with random weights, and
values.safetensors what the network makes of an image with them, and some gradients.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

GOLDEN = Path(__file__).resolve().parents[2] / "worker/engine/golden/transform"
WIDTH = 4
STYLES = ("reed", "slate")
SHARES = {"style": (1.0, 0.0), "blend": (0.3, 0.7)}
HEIGHT, WIDTH_OF_IMAGE = 37, 45  # 4 divides neither
# Parameters whose gradients are kept: before, within and after the residual blocks.
PARAMETERS = ("down.1.weight", "residual.3.1.scale", "up.2.weight")


class Convolution(nn.Module):
    """A convolution of a reflected picture, normalised and rectified if so asked."""

    def __init__(self, inputs, outputs, kernel, stride=1, enlarge=False, rectify=True, styles=0):
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest") if enlarge else nn.Identity()
        self.reflect = nn.ReflectionPad2d(kernel // 2)
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride)
        self.rectify = nn.ReLU() if rectify else nn.Identity()
        self.normalize = nn.InstanceNorm2d(outputs, eps=1e-5) if styles else nn.Identity()
        self.styles = styles
        if styles:
            self.scale = nn.Parameter(torch.empty(styles, outputs))
            self.shift = nn.Parameter(torch.empty(styles, outputs))

    def forward(self, x, shares):
        x = self.normalize(self.convolution(self.reflect(self.enlarge(x))))
        if self.styles:
            scale, shift = ((shares @ of_styles)[:, None, None] for of_styles in (self.scale, self.shift))
            x = x * scale + shift
        return self.rectify(x)


class Network(nn.Module):
    """The layout of PyTorch's fast_neural_style, with a scale and a shift for each style."""

    def __init__(self, width, styles):
        super().__init__()
        w = width
        self.layers = nn.ModuleDict()

        def add(name, *args, **options):
            # A module's name may have no dot.
            self.layers[name.replace(".", "_")] = Convolution(*args, **options)

        add("down.1", 3, w, 9, styles=styles)
        add("down.2", w, 2 * w, 3, stride=2, styles=styles)
        add("down.3", 2 * w, 4 * w, 3, stride=2, styles=styles)
        for block in range(1, 6):
            add(f"residual.{block}.1", 4 * w, 4 * w, 3, styles=styles)
            add(f"residual.{block}.2", 4 * w, 4 * w, 3, rectify=False, styles=styles)
        add("up.1", 4 * w, 2 * w, 3, enlarge=True, styles=styles)
        add("up.2", 2 * w, w, 3, enlarge=True, styles=styles)
        add("up.3", w, 3, 9, rectify=False)

    def tensors(self):
        """{name in a model file: parameter}."""
        return {
            f"{layer.replace('_', '.')}.{name.rsplit('.')[-1]}": parameter
            for layer, module in self.layers.items()
            for name, parameter in module.named_parameters()
        }

    def forward(self, image, shares):
        """{layer's name: activations} at some layers, the last under `picture`."""
        _, _, height, width = image.shape
        found = {}

        def apply(name, x):
            return self.layers[name.replace(".", "_")](x, shares)

        x = image
        for name in ("down.1", "down.2", "down.3"):
            x = apply(name, x)
        found["down.3"] = x
        for block in range(1, 6):
            x = x + apply(f"residual.{block}.2", apply(f"residual.{block}.1", x))
        found["residual.5"] = x
        for name in ("up.1", "up.2", "up.3"):
            x = apply(name, x)
        return found | {"picture": x[:, :, :height, :width]}


def fill(network, random):
    """Random weights, with which activations stay about 1 and the picture within 0 to 255."""
    for name, parameter in network.tensors().items():
        noise = torch.randn(parameter.shape, generator=random)
        layer, kind = name.rsplit(".", 1)
        if kind == "weight":
            noise *= parameter[0].numel() ** -0.5 * (20 if layer == "up.3" else 1)
        elif kind == "scale":
            noise = 1 + 0.3 * noise
        elif (layer, kind) == ("up.3", "bias"):
            noise = 127.5 + 10 * noise
        else:
            noise *= 0.2
        parameter.data = noise.double()  # what 32 bits hold


def save(name, tensors, metadata=None):
    tensors = {key: value.detach().float().contiguous() for key, value in tensors.items()}
    safetensors.torch.save_file(tensors, GOLDEN / name, metadata)


def main():
    random = torch.Generator().manual_seed(16)
    network = Network(WIDTH, len(STYLES))
    fill(network, random)
    parameters = network.tensors()
    header = {
        "format": 1,
        "layout": "johnson",
        "width": WIDTH,
        "styles": STYLES,
        "licence": "CC0-1.0: random numbers",
    }
    save("model.safetensors", parameters, {"stylefleet": json.dumps(header)})

    image = (255 * torch.rand(1, 3, HEIGHT, WIDTH_OF_IMAGE, generator=random)).double()
    weights = torch.randn(image.shape, generator=random).double()
    image.requires_grad_()
    values = {"input": image, "weights": weights}
    for prefix, shares in SHARES.items():
        found = network(image, torch.tensor(shares, dtype=torch.float64))
        values |= {f"{prefix}.{layer}": activations for layer, activations in found.items()}
    wanted = {"input": image} | {name: parameters[name] for name in PARAMETERS}
    gradients = torch.autograd.grad((weights * values["blend.picture"]).sum(), list(wanted.values()))
    values |= {f"gradient.{name}": gradient for name, gradient in zip(wanted, gradients)}
    save("values.safetensors", values)


if __name__ == "__main__":
    main()
