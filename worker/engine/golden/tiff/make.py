#!/usr/bin/env python3
"""Makes the TIFF files of this folder anew, and what is in them as other programs read it.

    python3 -m venv v && v/bin/pip install numpy pillow tifffile imagecodecs safetensors
    v/bin/python make.py

NAME.tif are the files; pixels.safetensors holds for each NAME R, G, B of its pixels, 0 to 1, upright
and on white, f32 [H, W, 3]. The samples come from tifffile, or else the colours from libtiff; what
the samples mean is computed here in 64 bits by the words of TIFF 6.0. libtiff's and Pillow's own
colours are compared with that, to 8 bits, for every file that they read and wherever they do not
depart from the specification (`departs` says where). A file that no second reader knows must be
listed in ALONE.
"""
import io
import struct
from fractions import Fraction
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from safetensors.numpy import save_file

HERE = Path(__file__).parent
H, W = 13, 21  # odd, so that tiles, blocks and bytes of bits hang over

# One reader alone reads these.
ALONE = {
    "grey_u32", "grey_f16", "grey_f64", "grey_f16_big_endian", "rgb_u32", "rgb_f16", "rgb_f32", "rgb_f64",
    "rgb_u32_differences", "rgb_f16_predictor", "rgb_f32_predictor", "rgb_f64_predictor",
    "rgb_f32_predictor_big_endian", "rgb_f32_tiles_predictor", "rgba_f32_associated", "rgb_f32_odd_numbers",
    "grey_u12_big_endian", "rgb_u4", "ink_alpha", "ink_u16_associated", "ink_f32", "grey_alpha_associated",
    "rgba_alpha_second", "grey_three_extra", "ycbcr_21", "ycbcr_22", "ycbcr_41", "ycbcr_42", "ycbcr_44",
}
SMALL = dict(metadata=None, software=False, resolution=(1, 1))


def picture(bits=8, channels=3):
    """Colours that run smoothly and meet both ends."""
    y, x = np.mgrid[0:H, 0:W].astype(float)
    planes = [x / (W - 1), y / (H - 1), (x + y) / (W + H - 2), 1 - x / (W - 1), 0.3 + 0.4 * y / (H - 1)]
    values = np.stack(planes[:channels], axis=-1)
    if channels == 1:
        values = (0.5 * values[..., 0] + 0.5 * np.mgrid[0:H, 0:W][0] / (H - 1))
    if isinstance(bits, str):
        return values.astype(bits)
    return np.rint(values * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def alpha(bits=8):
    y, x = np.mgrid[0:H, 0:W].astype(float)
    share = np.clip(1.2 * (y + 2 * x) / (H + 2 * W) - 0.1, 0, 1)
    return share.astype(bits) if isinstance(bits, str) else np.rint(share * (2**bits - 1)).astype(
        np.uint8 if bits <= 8 else np.uint16)


def with_alpha(colors, associated=False):
    bits = {"u": colors.dtype.itemsize * 8, "f": colors.dtype.name}[colors.dtype.kind]
    share = alpha(bits)
    if associated:
        whole = 1 if colors.dtype.kind == "f" else np.iinfo(colors.dtype).max
        colors = colors.reshape(H, W, -1) * (share / whole)[..., None]
        colors = np.rint(colors) if whole != 1 else colors
    return np.concatenate([colors.reshape(H, W, -1), share[..., None]], axis=-1).astype(share.dtype)


def by_tifffile(data, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, data, **{**SMALL, **options})
    return file.getvalue()


def by_pillow(data, **options):
    file = io.BytesIO()
    Image.fromarray(data).save(file, "TIFF", **options)
    return file.getvalue()


def by_hand(width, height, tags, chunks, order="<"):
    """A file of these tags (number: value or values, each SHORT, or LONG, or RATIONAL) and strips."""
    first = 8
    offsets = [first + sum(map(len, chunks[:i])) for i in range(len(chunks))]
    tags = {256: width, 257: height, 259: 1, 277: 1, 278: height, **tags,
            273: [np.uint32(o) for o in offsets], 279: [np.uint32(len(c)) for c in chunks]}
    body = b"".join(chunks)
    body += bytes(len(body) % 2)
    start = first + len(body)
    behind = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, value in sorted(tags.items()):
        value = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value[0], Fraction):
            kind, raw = 5, b"".join(struct.pack(order + "II", v.numerator, v.denominator) for v in value)
        elif isinstance(value[0], np.uint32):
            kind, raw = 4, struct.pack(f"{order}{len(value)}I", *value)
        else:
            kind, raw = 3, struct.pack(f"{order}{len(value)}H", *value)
        entries += struct.pack(order + "HHI", tag, kind, len(value))
        if len(raw) <= 4:
            entries += raw.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", behind + len(values))
            values += raw + bytes(len(raw) % 2)
    magic = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return magic + body + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values


def packed(samples, bits):
    """Rows of so many bits a sample, each row from a byte's start."""
    samples = np.atleast_3d(samples).reshape(len(samples), -1)
    bit = (samples[..., None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(bit.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def reversed_bits(data):
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)), bitorder="little").tobytes()


def ycbcr(rgb, luma=(0.299, 0.587, 0.114), reference=(0, 255, 128, 255, 128, 255)):
    rgb = rgb.astype(float)
    y = rgb @ luma
    cb, cr = (rgb[..., 2] - y) / (2 - 2 * luma[2]), (rgb[..., 0] - y) / (2 - 2 * luma[0])
    y0, y1, b0, b1, r0, r1 = reference
    codes = [y * (y1 - y0) / 255 + y0, cb * (b1 - b0) / 127 + b0, cr * (r1 - r0) / 127 + r0]
    return np.clip(np.rint(np.stack(codes, axis=-1)), 0, 255).astype(np.uint8)


def blocks(codes, across, down):
    """Subsampled as TIFF has it: all Y of a block, then its mean Cb and Cr."""
    tall, wide = -(-H // down) * down, -(-W // across) * across
    codes = np.pad(codes, ((0, tall - H), (0, wide - W), (0, 0)), mode="edge").astype(float)
    cut = codes.reshape(tall // down, down, wide // across, across, 3).swapaxes(1, 2)
    luminance = cut[..., 0].reshape(*cut.shape[:2], -1)
    chroma = np.rint(cut[..., 1:].mean(axis=(2, 3)))
    return np.concatenate([luminance, chroma], axis=-1).astype(np.uint8).tobytes()


def ycbcr_file(across, down, codes=None, **tags):
    codes = ycbcr(picture()) if codes is None else codes
    data = codes.tobytes() if across == down == 1 else blocks(codes, across, down)
    extra = {int(tag[1:]): value for tag, value in tags.items()}
    return by_hand(W, H, {258: [8, 8, 8], 262: 6, 277: 3, 530: [across, down], **extra}, [data])


def palette(bits, factor=257):
    """Colours of an index, and the index of each pixel."""
    count = 2**bits
    colors = np.stack([np.linspace(0, 255, count), np.linspace(255, 0, count),
                       np.linspace(40, 200, count)]).astype(np.uint8)
    return picture(bits, 1), colors.astype(np.uint16) * factor


def files():
    grey, rgb, deep = picture(8, 1), picture(), picture(16)
    # Samples
    for bits in (1, 2, 4, 12):
        tags = {258: bits, 262: 1}
        yield f"grey_u{bits}", by_hand(W, H, tags, [packed(picture(bits, 1), bits)])
    yield "grey_u12_big_endian", by_hand(W, H, tags, [packed(picture(12, 1), 12)], ">")
    yield "grey_u8", by_tifffile(grey)
    yield "grey_u16", by_tifffile(picture(16, 1))
    yield "grey_u16_big_endian", by_tifffile(picture(16, 1), byteorder=">")
    yield "grey_u32", by_tifffile(picture(32, 1))
    for kind in ("float16", "float32", "float64"):
        short = kind.replace("float", "f")
        yield f"grey_{short}", by_tifffile(picture(kind, 1))
        yield f"rgb_{short}", by_tifffile(picture(kind), photometric="rgb")
    yield "grey_f16_big_endian", by_tifffile(picture("float16", 1), byteorder=">")
    odd = picture("float32")
    odd[0, :5] = np.array([np.nan, np.inf, -np.inf, 1.5, -0.5])[:, None]
    yield "rgb_f32_odd_numbers", by_tifffile(odd, photometric="rgb")
    yield "rgb_u4", by_hand(W, H, {258: [4] * 3, 262: 2, 277: 3}, [packed(picture(4), 4)])
    yield "rgb_u8", by_tifffile(rgb, photometric="rgb")
    yield "rgb_u8_big_endian", by_tifffile(rgb, photometric="rgb", byteorder=">")
    yield "rgb_u16", by_tifffile(deep, photometric="rgb")
    yield "rgb_u16_big_endian", by_tifffile(deep, photometric="rgb", byteorder=">")
    yield "rgb_u32", by_tifffile(picture(32), photometric="rgb")

    # Colours
    for bits in (1, 4):
        yield f"ink_u{bits}", by_hand(W, H, {258: bits, 262: 0}, [packed(picture(bits, 1), bits)])
    yield "ink_u8", by_tifffile(grey, photometric="miniswhite")
    yield "ink_u16", by_tifffile(picture(16, 1), photometric="miniswhite")
    yield "ink_f32", by_tifffile(picture("float32", 1), photometric="miniswhite")
    for bits in (1, 2, 4, 8):
        index, colors = palette(bits)
        tags = {258: bits, 262: 3, 320: colors.ravel().tolist()}
        yield f"palette_u{bits}", by_hand(W, H, tags, [packed(index, bits)])
    index, colors = palette(4, 1)
    tags = {258: 4, 262: 3, 320: colors.ravel().tolist()}
    yield "palette_of_8_bits", by_hand(W, H, tags, [packed(index, 4)])
    index, colors = palette(4, 256)
    tags = {258: 4, 262: 3, 320: colors.ravel().tolist()}
    yield "palette_times_256", by_hand(W, H, tags, [packed(index, 4)])
    tags = {258: [8, 8], 262: 3, 277: 2, 320: palette(8)[1].ravel().tolist(), 338: 2}
    yield "palette_alpha", by_hand(W, H, tags, [with_alpha(grey).tobytes()])
    inks, deep_inks = picture(8, 4), picture(16, 4)
    yield "cmyk_u8", by_tifffile(inks, photometric="separated")
    yield "cmyk_u16", by_tifffile(deep_inks, photometric="separated")
    yield "cmyk_planes", by_tifffile(inks.transpose(2, 0, 1).copy(), photometric="separated",
                                     planarconfig="separate", compression="lzw")
    for across, down in ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)):
        yield f"ycbcr_{across}{down}", ycbcr_file(across, down)
    hd, video = (0.2126, 0.7152, 0.0722), (16, 235, 128, 240, 128, 240)
    yield "ycbcr_video", ycbcr_file(1, 1, ycbcr(rgb, hd, video),
                                    t529=[Fraction(str(v)) for v in hd], t532=[Fraction(v) for v in video])
    plain = ycbcr(rgb)
    yield "ycbcr_22_strips", by_hand(
        W, H, {258: [8] * 3, 262: 6, 277: 3, 278: 4, 530: [2, 2], 259: 32773},
        [imagecodecs.packbits_encode(blocks_of_rows(plain, top)) for top in range(0, H, 4)])

    # Alpha and other samples beyond the colours
    for associated in (False, True):
        name, tag = ("associated", "assocalpha") if associated else ("unassociated", "unassalpha")
        yield f"grey_alpha_{name}", by_tifffile(with_alpha(grey, associated), photometric="minisblack",
                                                planarconfig="contig", extrasamples=[tag])
        yield f"rgba_{name}", by_tifffile(with_alpha(rgb, associated), photometric="rgb", extrasamples=[tag])
        yield f"rgba_u16_{name}", by_tifffile(with_alpha(deep, associated), photometric="rgb",
                                              extrasamples=[tag])
    yield "rgba_f32_associated", by_tifffile(with_alpha(picture("float32"), True), photometric="rgb",
                                             extrasamples=["assocalpha"])
    yield "rgb_unspecified", by_tifffile(with_alpha(rgb), photometric="rgb", extrasamples=["unspecified"])
    yield "rgb_unspecified_differences", by_tifffile(
        with_alpha(rgb), photometric="rgb", extrasamples=["unspecified"], compression="lzw", predictor=2)
    yield "rgba_untold", by_hand(W, H, {258: [8] * 4, 262: 2, 277: 4}, [with_alpha(rgb).tobytes()])
    two = np.concatenate([with_alpha(rgb), grey[..., None]], axis=-1)
    yield "rgba_alpha_first", by_tifffile(two, photometric="rgb", extrasamples=["unassalpha", "unspecified"])
    two = np.concatenate([rgb, grey[..., None], alpha()[..., None]], axis=-1)
    yield "rgba_alpha_second", by_tifffile(two, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    many = np.concatenate([grey[..., None], rgb], axis=-1)
    yield "grey_three_extra", by_hand(W, H, {258: [8] * 4, 262: 1, 277: 4, 338: [0, 0, 0]}, [many.tobytes()])
    yield "ink_alpha", by_hand(W, H, {258: [8, 8], 262: 0, 277: 2, 338: 2}, [with_alpha(grey).tobytes()])
    yield "ink_u16_associated", by_hand(W, H, {258: [16, 16], 262: 0, 277: 2, 338: 1},
                                        [with_alpha(picture(16, 1), True).astype("<u2").tobytes()])

    # Layout
    strips = dict(rowsperstrip=5)
    tiles = dict(tile=(16, 16))
    planes = dict(planarconfig="separate")
    yield "rgb_strips", by_tifffile(rgb, photometric="rgb", **strips)
    yield "rgb_tiles", by_tifffile(rgb, photometric="rgb", **tiles)
    yield "grey_u1_tiles", by_tifffile(picture(1, 1).astype(bool), photometric="minisblack", **tiles)
    yield "rgb_planes", by_tifffile(rgb.transpose(2, 0, 1).copy(), photometric="rgb", **planes, **strips)
    yield "rgb_planes_tiles", by_tifffile(deep.transpose(2, 0, 1).copy(), photometric="rgb", **planes, **tiles,
                                          compression="deflate", predictor=2)
    yield "rgba_planes_associated", by_tifffile(with_alpha(rgb, True).transpose(2, 0, 1).copy(),
                                                photometric="rgb", extrasamples=["assocalpha"], **planes)
    yield "big", by_tifffile(rgb, photometric="rgb", bigtiff=True)
    yield "big_endian_big", by_tifffile(deep, photometric="rgb", bigtiff=True, byteorder=">", **tiles,
                                        compression="deflate")
    for turn in range(1, 9):
        yield f"turned_{turn}", by_tifffile(rgb, photometric="rgb", extratags=[(274, 3, 1, turn, True)])
    with io.BytesIO() as file:
        with tifffile.TiffWriter(file) as pages:
            pages.write(255 - rgb[:4, :4], photometric="rgb", subfiletype=1, **SMALL)
            pages.write(rgb, photometric="rgb", **SMALL)
            pages.write(255 - rgb, photometric="rgb", **SMALL)
        yield "preview_first", file.getvalue()

    # Compressions, and what is done before them
    yield "lzw", by_tifffile(rgb, photometric="rgb", compression="lzw", **strips)
    yield "lzw_differences", by_tifffile(rgb, photometric="rgb", compression="lzw", predictor=2)
    yield "rgba_u16_differences", by_tifffile(with_alpha(deep), photometric="rgb", compression="lzw",
                                              predictor=2, extrasamples=["unassalpha"])
    yield "rgb_u16_differences_big_endian", by_tifffile(deep, photometric="rgb", compression="lzw", predictor=2,
                                                        byteorder=">")
    yield "rgb_u32_differences", by_tifffile(picture(32), photometric="rgb", compression="deflate", predictor=2)
    yield "deflate", by_tifffile(rgb, photometric="rgb", compression="adobe_deflate", **strips)
    yield "deflate_old", by_hand(W, H, {258: [8] * 3, 259: 32946, 262: 2, 277: 3},
                                 [imagecodecs.zlib_encode(rgb.tobytes())])
    for kind in ("float16", "float32", "float64"):
        yield f"rgb_{kind.replace('float', 'f')}_predictor", by_tifffile(
            picture(kind), photometric="rgb", compression="deflate", predictor=3)
    yield "rgb_f32_predictor_big_endian", by_tifffile(
        picture("float32"), photometric="rgb", compression="lzw", predictor=3, byteorder=">")
    yield "rgb_f32_tiles_predictor", by_tifffile(
        picture("float32"), photometric="rgb", compression="deflate", predictor=3, **tiles)
    yield "packbits", by_tifffile(rgb, photometric="rgb", compression="packbits", **strips)
    yield "jpeg_ycbcr", by_pillow(rgb, compression="jpeg", quality=95)
    for sampling in ((1, 1), (2, 1), (2, 2)):
        yield f"jpeg_{sampling[0]}{sampling[1]}", by_tifffile(
            rgb, photometric="rgb", compression="jpeg", compressionargs={"level": 95}, subsampling=sampling)
    yield "jpeg_rgb", by_tifffile(rgb, photometric="rgb", compression="jpeg", compressionargs={
        "level": 95, "outcolorspace": "RGB"})
    yield "jpeg_tiles", by_tifffile(rgb, photometric="rgb", compression="jpeg", compressionargs={"level": 95},
                                    **tiles)
    yield "jpeg_grey", by_tifffile(grey, compression="jpeg", compressionargs={"level": 95}, rowsperstrip=8)
    yield "jpeg_cmyk", by_pillow_cmyk(inks)
    yield "fax4", by_pillow(picture(1, 1).astype(bool), compression="group4")
    line = picture(1, 1)
    line[3:9, 4:15] ^= 1
    fax = by_pillow(line.astype(bool), compression="group4")
    with tifffile.TiffFile(io.BytesIO(fax)) as file:
        data = fax[file.pages[0].dataoffsets[0]:][:file.pages[0].databytecounts[0]]
        ink = int(file.pages[0].photometric)
    # One strip of "all rows", as fax programs write it, and the bits the other way round.
    whole = {258: 1, 259: 4, 262: ink, 278: np.uint32(0xffffffff)}
    yield "fax4_one_strip", by_hand(W, H, whole, [data])
    yield "fax4_reversed", by_hand(W, H, {**whole, 266: 2}, [reversed_bits(data)])
    yield "grey_u1_reversed", by_hand(W, H, {258: 1, 262: 1, 266: 2}, [reversed_bits(packed(line, 1))])
    yield "grey_u4_reversed", by_hand(W, H, {258: 4, 262: 1, 266: 2}, [reversed_bits(packed(picture(4, 1), 4))])


def blocks_of_rows(codes, top):
    global H
    rows, whole = codes[top:top + 4], H
    H = len(rows)
    try:
        return blocks(rows, 2, 2)
    finally:
        H = whole


def by_pillow_cmyk(inks):
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "TIFF", compression="jpeg", quality=95)
    return file.getvalue()


def upright(pixels, turn):
    """TIFF 6.0: where row 0 and column 0 are."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def by_samples(page):
    """What the samples say, by TIFF 6.0."""
    samples = page.asarray()
    if page.planarconfig == 2:
        samples = samples.transpose(1, 2, 0)
    samples = np.nan_to_num(samples.reshape(page.imagelength, page.imagewidth, -1).astype(float),
                            nan=0.0, posinf=1.0, neginf=0.0)
    whole = 1.0 if page.sampleformat == 3 else 2.0**page.bitspersample - 1
    colors = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}[int(page.photometric)]
    extra = [int(e) for e in page.extrasamples]
    if page.photometric == 2 and page.samplesperpixel == 4 and not extra:
        extra = [2]
    share = next((i for i, kind in enumerate(extra) if kind in (1, 2)), None)
    associated = share is not None and extra[share] == 1
    share = 1.0 if share is None else samples[..., colors + share, None] / whole
    values = np.clip(samples[..., :colors] / whole, 0, 1)
    if page.photometric == 3:
        table = page.colormap.astype(float) / 255
        table = table if table.max() <= 1 else page.colormap // 256 / 255
        values = table.T[samples[..., 0].astype(int)]
    if page.photometric == 6 and page.compression != 7:
        luma = [n / d for n, d in zip(*[iter(page.tags[529].value)] * 2)] if 529 in page.tags else (
            0.299, 0.587, 0.114)
        y0, y1, b0, b1, r0, r1 = [n / d for n, d in zip(*[iter(page.tags[532].value)] * 2)] \
            if 532 in page.tags else (0, 255, 128, 255, 128, 255)
        y, cb, cr = np.moveaxis(samples, -1, 0)
        y = (y - y0) / (y1 - y0)
        cb, cr = (cb - b0) / (b1 - b0) * 127 / 255, (cr - r0) / (r1 - r0) * 127 / 255
        red, blue = y + cr * (2 - 2 * luma[0]), y + cb * (2 - 2 * luma[2])
        values = np.clip(np.stack([red, (y - luma[0] * red - luma[2] * blue) / luma[1], blue], axis=-1), 0, 1)
    # Without its alpha, and then on white.
    if associated:
        values = values / np.maximum(share, 1e-9)
    if page.photometric in (0, 5):
        values = 1 - values
    if page.photometric == 5:
        values = values[..., :3] * values[..., 3:]
    return np.broadcast_to(values * share + 1 - share, (*values.shape[:2], 3)).clip(0, 1)


def by_libtiff(data, index):
    rgba = imagecodecs.tiff_decode(data, index, asrgb=True).astype(float) / 255
    if rgba.shape[-1] == 3:
        return rgba
    return (rgba[..., :3] + 1 - rgba[..., 3:]).clip(0, 1)


def by_pil(data, index):
    image = Image.open(io.BytesIO(data))
    image.seek(index)
    if image.mode.startswith("I;16"):
        image = np.asarray(image).astype(float) / (4095 if image.tag_v2[258] == (12,) else 65535)
        return np.repeat(image[..., None], 3, axis=-1)
    if image.mode == "F":
        return np.repeat(np.asarray(image).astype(float)[..., None], 3, axis=-1)
    rgba = np.asarray(image.convert("RGBA")).astype(float) / 255
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]


def departs(reader, name, page):
    """Where a reader is known not to do as TIFF 6.0 says, or as its tags do."""
    grey_and_more = page.photometric in (0, 1) and page.samplesperpixel > 1
    if reader == "libtiff":
        alpha_ignored = ("rgba_alpha_second", "palette_alpha")
        taken_for_alpha = ("rgb_unspecified", "rgb_unspecified_differences", "rgba_untold")
        return grey_and_more or name in alpha_ignored + taken_for_alpha or name.startswith("turned")
    never_inverted = ("ink_u16", "ink_f32")
    others = ("palette_of_8_bits", "ycbcr_video", "grey_u32")  # taken for 16 bits, for JPEG's, for signed
    return name in never_inverted + others


def main():
    for old in HERE.glob("*.tif"):
        old.unlink()
    pixels = {}
    for name, data in files():
        (HERE / f"{name}.tif").write_bytes(data)
        index = 1 if name == "preview_first" else 0
        page = tifffile.TiffFile(io.BytesIO(data)).pages[index]
        turn = int(page.tags[274].value) if 274 in page.tags else 1
        readings = {}
        subsampled = page.photometric == 6 and page.compression != 7 and page.tags[530].value != (1, 1)
        if not subsampled:
            readings["tifffile"] = upright(by_samples(page), turn)
        for reader, read in (("libtiff", by_libtiff), ("Pillow", by_pil)):
            if departs(reader, name, page):
                continue
            try:
                readings[reader] = read(data, index)
            except (OSError, KeyError, ValueError, imagecodecs.TiffError):
                pass  # does not know this kind
        wanted = readings.get("tifffile", readings.get("libtiff"))
        rounds_often = any(word in name for word in ("jpeg", "ycbcr", "alpha", "associated", "cmyk"))
        limit = (3.01 if rounds_often else 1.01) / 255
        for reader, found in readings.items():
            worst = np.abs(found - wanted).max()
            if found.shape != wanted.shape or worst > limit:
                raise SystemExit(f"{name}: {reader} differs by {255 * worst:.1f} levels")
        if (len(readings) == 1) != (name in ALONE):
            raise SystemExit(f"{name} is read by {', '.join(readings)}: see ALONE")
        pixels[name] = wanted.astype(np.float32)
        print(f"{name:34} {len(data):6} bytes  {', '.join(readings)}")
    save_file(pixels, HERE / "pixels.safetensors")


if __name__ == "__main__":
    main()
