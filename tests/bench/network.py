"""VGG19 and pictures in its range, in plain PyTorch: for comparison, nothing here is made fast."""

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image

MEANS = (103.939, 116.779, 123.68)  # of B, G, R
SWAPPED = MEANS[::-1]  # the 2017 notebook subtracts the mean of R from B and that of B from R
BLOCKS = (2, 2, 4, 4, 4)  # convolutions in each block


class Vgg19:
    """The convolutions. Called with pictures [N, 3, H, W], it returns activations after ReLU."""

    def __init__(self, path, dtype, device="cpu"):
        tensors = safetensors.torch.load_file(path)
        self.layers = {
            (block, number): tuple(
                tensors[f"conv{block}_{number}.{part}"].to(device, dtype) for part in ("weight", "bias")
            )
            for block, count in enumerate(BLOCKS, 1)
            for number in range(1, count + 1)
        }

    def __call__(self, pictures, wanted):
        """{(block, number): [N, C, h, w]} of the wanted layers, in the order of the network."""
        found = {}
        for (block, number), (weight, bias) in self.layers.items():
            if block > 1 and number == 1:
                pictures = F.max_pool2d(pictures, 2)
            pictures = F.relu(F.conv2d(pictures, weight, bias, padding=1))
            if (block, number) in wanted:
                found[block, number] = pictures
            if len(found) == len(wanted):
                return found


def read_picture(path, means, dtype):
    """An image file as [1, 3, H, W], channels B, G, R, minus the means."""
    rgb = np.array(Image.open(path).convert("RGB"))
    bgr = torch.from_numpy(rgb[:, :, ::-1].copy()).to(dtype) - torch.tensor(means, dtype=dtype)
    return bgr.permute(2, 0, 1)[None].contiguous()


def save_picture(picture, means, path):
    """Clamps and truncates to 8 bits, as the notebook does."""
    bgr = picture[0].double().cpu().permute(1, 2, 0) + torch.tensor(means, dtype=torch.float64)
    rgb = bgr.clamp(0, 255).numpy()[:, :, ::-1].astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(rgb)).save(path)
