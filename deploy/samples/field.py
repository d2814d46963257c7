"""Noise and small vector helpers that the pictures share. Pictures are float arrays [height, width, 3] in 0-1."""
import numpy as np

_random = np.random.default_rng(20150826)
_angles = _random.uniform(0, 2 * np.pi, (256, 256)).astype(np.float32)
_GRADIENTS = np.stack([np.cos(_angles), np.sin(_angles)])


def noise(x, y):
    """Perlin's gradient noise, about -0.7 to 0.7, one feature a unit."""
    column, row = np.floor(x), np.floor(y)
    u, v = x - column, y - row
    column, row = column.astype(np.int32), row.astype(np.int32)

    def corner(right, down):
        gx, gy = _GRADIENTS[:, (row + down) & 255, (column + right) & 255]
        return gx * (u - right) + gy * (v - down)

    su, sv = (t * t * t * (t * (t * 6 - 15) + 10) for t in (u, v))
    return mix(mix(corner(0, 0), corner(1, 0), su), mix(corner(0, 1), corner(1, 1), su), sv)


def fbm(x, y, octaves=5, ridged=False):
    """Noise at many scales, halved in size and strength each: clouds, or with ridges, mountains."""
    total = 0
    for octave in range(octaves):
        n = noise(x * 2**octave + 37.7 * octave, y * 2**octave - 91.3 * octave)
        total = total + (1 - 2.4 * np.abs(n) if ridged else n) * 0.5**octave
    return total


def mix(a, b, t):
    return a + (b - a) * t


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def dot(a, b):
    return np.sum(a * b, axis=-1)


def rgb(code):
    """'#RRGGBB' as a float triple."""
    return np.array([int(code[i:i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)


def gradient(stops, t):
    """Colours between (position, code) stops, for every position in t."""
    positions = [position for position, _ in stops]
    colours = np.array([rgb(code) for _, code in stops])
    return np.stack([np.interp(t, positions, colours[:, c]) for c in range(3)], -1).astype(np.float32)


def pixels(height, width):
    """x and y of each pixel's centre."""
    return np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)


def camera_rays(height, width, eye, target, zoom):
    """Directions [height * width, 3] of the rays of a pinhole camera."""
    x, y = pixels(height, width)
    forward = unit(np.subtract(target, eye).astype(np.float32))
    right = unit(np.cross([0, 1, 0], forward).astype(np.float32))
    up = np.cross(forward, right)
    x, y = (2 * x - width) / height / zoom, (height - 2 * y) / height / zoom
    return unit(x[..., None] * right + y[..., None] * up + forward).reshape(-1, 3).astype(np.float32)


def halve(picture):
    """Averages each 2 x 2 pixels: the antialiasing of the rendered pictures."""
    return (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]) / 4


def film(light):
    """Unbounded light to a displayable picture, with a soft shoulder."""
    light = np.maximum(light, 0)
    return np.clip((light * (2.51 * light + 0.03)) / (light * (2.43 * light + 0.59) + 0.14), 0, 1) ** (1 / 2.2)
