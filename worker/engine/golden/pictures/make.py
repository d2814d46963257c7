"""Makes the files beside it: pictures as phones and programs write them, and what is in them.

    pip install pillow pillow-heif imagecodecs numpy && python3 make.py

Each file NAME.EXT has its pixels in NAME.EXT.png, or in upright.png if its name begins with turned. They
were found by the decoders of those packages and by littleCMS, none of which the engine uses.
"""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image, ImageCms

HERE = Path(__file__).parent
WIDTH, HEIGHT = 48, 32

# Orientations of EXIF, by what undoes them.
UNDOING = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def photo(mode="RGB"):
    """Smooth, and unlike itself however it is turned."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    planes = [40 + 180 * x, 60 + 150 * y, 200 - 120 * x * y]
    if mode == "RGBA":
        planes.append(255 * (1 - x))
    if mode == "CMYK":
        planes = [220 * x, 200 * y, 180 * (1 - x), 150 * x * y]
    return Image.fromarray(np.stack(planes, -1).round().astype("uint8"), mode)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def turned(orientation):
    """The photo as a camera stores it that says how to turn it back."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    undoing = UNDOING[inverse]
    return photo() if undoing is None else photo().transpose(undoing)


def coded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def heif(image, format, **options):
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, format=format, **options)
    return file.getvalue()


def read(data):
    return pillow_heif.open_heif(io.BytesIO(data)).to_pillow()


def write(name, data, expected=None):
    (HERE / name).write_bytes(data)
    if expected is not None:
        expected.save(HERE / f"{name}.png", optimize=True)


def on_white(image):
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def to_srgb(image, profile):
    return ImageCms.profileToProfile(
        image,
        ImageCms.getOpenProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )


def profile(space, tags):
    """An ICC profile, version 2.4, of a printer or screen, with D50 as its white."""
    xyz = lambda *values: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249)} | {k: xyz(*v) if isinstance(v, tuple) else v for k, v in tags.items()}
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    kind, link = (b"prtr", b"Lab ") if space == b"CMYK" else (b"mntr", b"XYZ ")
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, kind, space, link)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def cmyk_profile():
    """Inks that are dull and stain each other, by a table of five levels each."""
    grid = np.array(np.meshgrid(*[np.linspace(0, 1, 5)] * 4, indexing="ij")).reshape(4, -1)
    c, m, y, k = grid
    light = 95 * (1 - 0.35 * c) * (1 - 0.45 * m) * (1 - 0.08 * y) * (1 - 0.85 * k)
    paint = 1 - k
    a = paint * (-35 * c + 70 * m - 5 * y)
    b = paint * (-45 * c - 5 * m + 85 * y)
    lab = np.stack([light * 2.55, a + 128, b + 128], -1).clip(0, 255).round().astype("uint8")
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 5, 0])
    table += struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += ramp * 4 + lab.tobytes() + ramp * 3
    return profile(b"CMYK", {b"A2B0": table})


def p3_profile():
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
    return profile(b"RGB ", {
        b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2919, 0.6922, 0.0419),
        b"bXYZ": (0.1572, 0.0666, 0.7841), b"rTRC": gamma, b"gTRC": gamma, b"bTRC": gamma,
    })


def turned_files():
    photo().save(HERE / "upright.png", optimize=True)
    for orientation in UNDOING:
        image, tags = turned(orientation), exif(orientation)
        jpeg = coded(image, "JPEG", quality=95, subsampling=0, exif=tags)
        write(f"turned{orientation}.jpg", jpeg)
        # Into the container goes the orientation here, and into EXIF beside it.
        write(f"turned{orientation}.heic", heif(image, "HEIF", quality=90, exif=tags))
        write(f"turned{orientation}.avif", coded(image, "AVIF", quality=90, exif=tags))
        # Into the header of the picture, and into EXIF beside it.
        write(f"turned{orientation}.jxl", imagecodecs.jpegxl_encode_jpeg(jpeg))


def heif_files():
    alpha = photo("RGBA")
    write("alpha.heic", heif(alpha, "HEIF", quality=90), on_white(alpha))
    write("alpha.avif", coded(alpha, "AVIF", quality=90), on_white(alpha))
    deep = np.asarray(photo()).astype("uint32")
    image = pillow_heif.from_bytes("RGB;16", photo().size, (deep * 257).astype("uint16").tobytes())
    file = io.BytesIO()
    image.save(file, quality=90)
    write("deep.heic", file.getvalue(), photo())
    write("deep.avif", imagecodecs.avif_encode((deep * 1023 // 255).astype("uint16"), level=95,
          bitspersample=10), photo())
    p3 = p3_profile()
    icc = heif(photo(), "HEIF", quality=95, icc_profile=p3)
    write("icc.heic", icc, to_srgb(read(icc), p3))
    codes = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 1}
    p3 = heif(photo(), "HEIF", quality=95, full_range_flag=1, **codes)
    write("p3.heic", p3, to_srgb(read(p3), exact_p3()))
    write("bright.avif", imagecodecs.avif_encode(pq(photo()), level=100, bitspersample=10,
          primaries=1, transfer=16, matrix=1), photo())


def pq(image):
    """As HDR has it (ITU-R BT.2100, table 4), with white at 203 cd/m2."""
    value = np.asarray(image) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    power = (light * 203 / 10000) ** (2610 / 16384)
    coded = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return (coded ** (2523 / 32) * 1023).round().astype("uint16")


def bombs():
    """48 x 32 pixels, says the container; coded are 2048 x 2048."""
    plain = Image.new("RGB", (2048, 2048), (200, 100, 50))
    for name, data in [("bomb.heic", heif(plain, "HEIF", quality=1)),
                       ("bomb.avif", coded(plain, "AVIF", quality=1))]:
        said, right = struct.pack(">II", 2048, 2048), struct.pack(">II", WIDTH, HEIGHT)
        assert said in data
        write(name, data.replace(said, right))


def exact_p3():
    """Display P3 with sRGB's curve, as code points 12 and 13 mean it."""
    levels = np.arange(1024) / 1023
    curve = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + (curve * 65535).round().astype(">u2").tobytes()
    return profile(b"RGB ", {
        b"rXYZ": (0.51512, 0.2412, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    })


def jpeg_xl_files():
    deep = (np.asarray(photo()).astype("uint16") << 8) | 0x80
    # It says that 16 bits are linear light.
    light = deep / 65535
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    seen = Image.fromarray((curved * 255).round().astype("uint8"), "RGB")
    write("deep.jxl", imagecodecs.jpegxl_encode(deep, lossless=True), seen)
    write("alpha.jxl", imagecodecs.jpegxl_encode(np.asarray(photo("RGBA")), lossless=True), on_white(photo("RGBA")))
    grey = photo().convert("L")
    write("grey.jxl", imagecodecs.jpegxl_encode(np.asarray(grey), lossless=True), grey.convert("RGB"))
    write("lossy.jxl", imagecodecs.jpegxl_encode(np.asarray(photo()), distance=0.5), photo())


def jpeg_files():
    inks = photo("CMYK")
    print_profile = cmyk_profile()
    whole = coded(inks, "JPEG", quality=95, subsampling=0, icc_profile=print_profile)
    write("cmyk.jpg", whole, to_srgb(inks, print_profile))
    ycck = imagecodecs.jpeg8_encode(255 - np.asarray(inks), level=95, colorspace="CMYK",
                                    outcolorspace="YCCK", subsampling="444")
    write("ycck.jpg", ycck, inks.convert("RGB"))
    progressive = coded(photo(), "JPEG", quality=90, progressive=True)
    write("progressive.jpg", progressive, photo())
    restarts = coded(photo(), "JPEG", quality=90, restart_marker_blocks=6)
    write("restarts.jpg", restarts, photo())
    arithmetic = coded(photo(), "JPEG", quality=90).replace(b"\xff\xc0", b"\xff\xc9", 1)
    write("arithmetic.jpg", arithmetic)  # only its header is looked at


def plain_files():
    palette = photo().quantize(64)
    other = photo().transpose(Image.Transpose.ROTATE_180).quantize(64)
    write("moving.gif", coded(palette, "GIF", save_all=True, append_images=[other]), palette.convert("RGB"))
    index = palette.getpixel((0, 0))
    clear = np.array(palette.convert("RGBA"))
    clear[np.asarray(palette) == index, 3] = 0
    clear = on_white(Image.fromarray(clear, "RGBA"))
    write("clear.gif", coded(palette, "GIF", transparency=index), clear)
    write("plain.bmp", coded(photo(), "BMP"), photo())
    write("palette.bmp", coded(palette, "BMP"), palette.convert("RGB"))


if __name__ == "__main__":
    turned_files()
    heif_files()
    bombs()
    jpeg_xl_files()
    jpeg_files()
    plain_files()
