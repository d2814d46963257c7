"""A teapot, fruit and a striped cloth by a window: distance functions, an area light, soft shadows and occlusion."""
import numpy as np

from field import camera_rays, dot, fbm, film, halve, mix, noise, rgb, smoothstep, unit

WINDOW = np.array([-3.9, 2.9, -1.9], np.float32)  # its middle
WINDOW_SIDES = np.array([[0.65, 0, -0.85], [0.3, 0.9, 0.25]], np.float32)
TABLE, WALL, POT, APPLE, GREEN, PEAR, ORANGE, GRAPE, STEM = range(9)
#           which, middle, size, lean
FRUIT = [(APPLE, (0.78, 0.27, -0.42), 0.30, 0.25), (APPLE, (1.42, 0.27, 0.12), 0.30, -0.3),
         (GREEN, (-0.30, 0.24, -0.92), 0.27, -0.35), (ORANGE, (0.28, 0.27, -0.62), 0.27, 0.0),
         (PEAR, (1.08, 0.30, 0.42), 0.34, 0.12), (ORANGE, (-1.42, 0.25, -0.30), 0.25, 0.0)]


def grapes():
    random = np.random.default_rng(11)
    for layer, count in ((0.10, 13), (0.24, 7), (0.36, 2)):
        for i in range(count):
            angle, reach = i * 2.4, 0.105 * np.sqrt(i + 0.4) * 1.05
            yield (-0.98 + 1.5 * reach * np.cos(angle) + random.uniform(-.02, .02), layer,
                   -0.88 + 0.9 * reach * np.sin(angle) + random.uniform(-.02, .02))


GRAPES = np.array(list(grapes()), np.float32)


def blend(a, b, k):
    """The union of two distances with a fillet of size k."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * k * 0.25


def capsule(p, a, b, thick, thin):
    a, b = np.array(a, np.float32), np.array(b, np.float32)
    t = np.clip((p - a) @ (b - a) / np.sum((b - a) ** 2), 0, 1)
    return np.linalg.norm(p - a - t[:, None] * (b - a), axis=1) - mix(thick, thin, t)


def ellipsoid(p, radii):
    scaled = p / np.array(radii, np.float32)
    return (np.linalg.norm(scaled, axis=1) - 1) * min(radii)


def teapot(p):
    q = p - np.array([-0.38, 0.0, 0.28], np.float32)
    x, y, z = q.T
    around = np.hypot(x, z)
    pot = ellipsoid(q - [0, 0.62, 0], (0.66, 0.56, 0.66))
    pot = blend(pot, np.hypot(np.maximum(around - 0.36, 0), y - 0.06) - 0.055, 0.14)
    pot = np.minimum(pot, np.hypot(around - 0.34, y - 1.10) - 0.045)
    pot = blend(pot, ellipsoid(q - [0, 1.10, 0], (0.31, 0.15, 0.31)), 0.03)
    pot = blend(pot, np.linalg.norm(q - [0, 1.34, 0], axis=1) - 0.085, 0.06)
    spout = blend(capsule(q, (-0.50, 0.45, -0.15), (-0.88, 0.68, -0.27), 0.17, 0.10),
                  capsule(q, (-0.88, 0.68, -0.27), (-1.08, 1.08, -0.33), 0.095, 0.062), 0.12)
    pot = blend(pot, spout, 0.12)
    h = q - np.array([0.66, 0.68, 0.0], np.float32)
    ring = np.hypot(np.hypot(h[:, 0], h[:, 1] * 0.92) - 0.33, h[:, 2]) - 0.058
    return blend(pot, ring, 0.08)


def fruit(kind, q):
    """The distance to a fruit of size one, stem up, around the origin."""
    around = np.hypot(q[:, 0], q[:, 2])
    if kind == ORANGE:
        return np.linalg.norm(q, axis=1) - 1 + 0.006 * noise(q[:, 0] * 22 + q[:, 2] * 9, q[:, 1] * 22)
    if kind == PEAR:
        return blend(np.linalg.norm(q - [0, -0.05, 0], axis=1) - 0.86, ellipsoid(q - [0, 0.95, 0], (0.5, 0.72, 0.5)), 0.7)
    return np.hypot(around - 0.42 - 0.05 * q[:, 1], q[:, 1] * 1.03) - 0.56


def lean(p, middle, size, angle):
    q = (p - np.array(middle, np.float32)) / size
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.stack([c * q[:, 0] - s * q[:, 1], s * q[:, 0] + c * q[:, 1], q[:, 2]], 1)


def cloth_height(p):
    x, z = p[:, 0], p[:, 2]
    folds = 0.035 * np.sin((x + 0.35 * z) * 5.2 + 1.6 * noise(x * 0.9, z * 0.9)) + 0.05 * noise(x * 1.7 + 3, z * 1.2)
    calm = smoothstep(0.5, 1.5, np.hypot((x - 0.1) * 0.75, z + 0.1))
    return folds * calm - 0.02


def inside(p, middle, radius, shape):
    """A costly shape's distance, asked only where its bounding sphere is near."""
    near = np.linalg.norm(p - np.array(middle, np.float32), axis=1) - radius
    close = near < 0.05
    near += 0.1
    if close.any():
        near[close] = shape(p[close])
    return near


def distances(p):
    """Distance to each material: [material, point]."""
    far = np.full(len(p), 1e3, np.float32)
    parts = [far] * 9
    parts[TABLE] = (p[:, 1] - cloth_height(p)) * 0.8
    parts[WALL] = 2.6 - p[:, 2]
    parts[POT] = inside(p, (-0.45, 0.7, 0.25), 1.3, teapot)
    for kind, middle, size, angle in FRUIT:
        q = lean(p, middle, size, angle)
        parts[kind] = np.minimum(parts[kind], fruit(kind, q) * size * 0.9)
        if kind != ORANGE:
            foot = 1.5 if kind == PEAR else 0.3
            parts[STEM] = np.minimum(parts[STEM], capsule(q, (0, foot, 0), (0.12, foot + 0.55, 0.05), 0.05, 0.075) * size)
    parts[GRAPE] = inside(p, GRAPES.mean(0), 0.75, lambda q: np.linalg.norm(q[:, None] - GRAPES, axis=2).min(1) - 0.125)
    return np.stack(parts)


def march(start, way, far, steps):
    distance = np.full(len(way), 0.01, np.float32)
    alive = np.arange(len(way))
    for _ in range(steps):
        step = distances(start[alive] + way[alive] * distance[alive, None]).min(0)
        distance[alive] += step
        alive = alive[(step > 0.0012) & (distance[alive] < far[alive])]
    return distance


def normals(p):
    shifts = np.eye(3, dtype=np.float32) * 0.002
    return unit(np.stack([distances(p + s).min(0) - distances(p - s).min(0) for s in shifts], -1))


def linear(code):
    return rgb(code) ** 2.2


def blue_painting(p):
    """The porcelain's decoration: bands, and flowers that repeat around the belly."""
    q = p - np.array([-0.38, 0.62, 0.28], np.float32)
    angle, y = np.arctan2(q[:, 2], q[:, 0]), q[:, 1]
    u, v = (angle / (2 * np.pi) * 9) % 1 - 0.5, (y + 0.02) / 0.46
    radius, turn = np.hypot(u, v * 0.95), np.arctan2(v, u)
    flower = smoothstep(0.05, 0, radius - 0.24 - 0.11 * np.cos(turn * 6)) * smoothstep(0.07, 0.11, radius)
    vine = smoothstep(0.035, 0.015, np.abs(y + 0.30 - 0.045 * np.sin(angle * 9)))
    bands = sum(smoothstep(0.014, 0.007, np.abs(y - at)) for at in (-0.39, -0.22, 0.27, 0.31, 0.47))
    return np.clip(np.maximum(np.maximum(flower, vine), bands) * (0.8 + 0.4 * fbm(angle * 9, y * 20, 3)), 0, 1)


def colours(p, material):
    """Colour and gloss of each point."""
    x, y, z = p.T
    colour, gloss = np.zeros_like(p), np.zeros(len(p), np.float32)

    def paint(which, shine, painter):
        here = material == which
        if here.any():
            colour[here], gloss[here] = painter(x[here], y[here], z[here], p[here]), shine

    def cloth(x, y, z, p):
        at = (x * 0.8 - z * 0.6) * 2.9
        stripe = smoothstep(0.30, 0.27, np.abs(at % 1 - 0.5)) * 0.9
        thin = smoothstep(0.035, 0.02, np.abs((at + 0.5) % 1 - 0.5))
        weave = 1 + 0.10 * np.sin(x * 260) * np.sin(z * 260) + 0.12 * fbm(x * 9, z * 9, 4)
        c = mix(linear("#EFE4CE"), linear("#2F5D8C"), stripe[:, None])
        return mix(c, linear("#C4473A"), thin[:, None]) * weave[:, None]

    def wall(x, y, z, p):
        plaster = 0.55 * fbm(x * 0.7 + 2, y * 0.7, 6) + 0.12 * fbm(x * 9, y * 9, 3)
        c = mix(linear("#3F5A55"), linear("#8FA089"), smoothstep(-0.6, 0.6, plaster)[:, None])
        return mix(linear("#6B4A30"), c, smoothstep(0.83, 0.85, y + 0.01 * plaster)[:, None])

    def porcelain(x, y, z, p):
        return mix(linear("#F3F0E8"), linear("#1F3F9A"), blue_painting(p)[:, None])

    def skin(low, high, streaks):
        def painter(x, y, z, p):
            n = 0.6 * fbm(x * 3.1 + 5, y * 2.6 + z, 4) + 0.35 * noise((x + z) * streaks, y * 2)
            speck = smoothstep(0.36, 0.44, noise(x * 34 + z * 11, y * 34))
            c = mix(linear(low), linear(high), smoothstep(-0.35, 0.4, n)[:, None])
            return mix(c, linear("#F1DFA0"), 0.5 * speck[:, None])
        return painter

    paint(TABLE, 0.0, cloth)
    paint(WALL, 0.0, wall)
    paint(POT, 0.9, porcelain)
    paint(APPLE, 0.55, skin("#8E1420", "#E0602C", 22))
    paint(GREEN, 0.5, skin("#5F8A22", "#BFC84A", 18))
    paint(PEAR, 0.3, skin("#8C8A2A", "#E5BE4C", 6))
    paint(ORANGE, 0.3, skin("#D86A10", "#F09A28", 3))
    paint(GRAPE, 0.7, skin("#2A1238", "#6B2B5E", 9))
    paint(STEM, 0.05, skin("#3A2616", "#6B4A28", 9))
    return colour, gloss[:, None]


def window_seen(way):
    """What a glossy surface mirrors: the window with its cross bars, and a dim room."""
    to = unit(WINDOW)
    sides = [unit(side) for side in WINDOW_SIDES]
    front = np.maximum(way @ to, 1e-3)
    u, v = (way @ sides[0]) / front, (way @ sides[1]) / front
    pane = smoothstep(0.30, 0.26, np.abs(u)) * smoothstep(0.36, 0.32, np.abs(v)) * (way @ to > 0.2)
    pane *= smoothstep(0.015, 0.03, np.abs(u)) * smoothstep(0.015, 0.03, np.abs(v))
    room = mix(linear("#3A2C22"), linear("#8C8474"), (0.5 + 0.5 * way[:, 1:2]))
    return room + 9 * pane[:, None] * linear("#FFF3DC")


def still_life(height, width, lights=3):
    eye = np.array([0.15, 1.75, -4.6], np.float32)
    way = camera_rays(2 * height, 2 * width, eye, (0.08, 0.62, 0), 2.75)
    random = np.random.default_rng(3)
    light = np.zeros_like(way)
    for rows in np.array_split(np.arange(len(way)), 8):  # in parts, to stay small
        w = way[rows]
        distance = march(np.broadcast_to(eye, w.shape), w, np.full(len(w), 12, np.float32), 110)
        p = eye + w * distance[:, None]
        normal, material = normals(p), distances(p).argmin(0)
        colour, gloss = colours(p, material)
        direct = 0
        for sample in range(lights):  # points spread over the window, other ones for each pixel
            u = (sample + random.uniform(0, 1, len(p))) / lights * 2 - 1
            v = random.uniform(-1, 1, len(p))
            to = WINDOW + u[:, None] * WINDOW_SIDES[0] + v[:, None] * WINDOW_SIDES[1] - p
            far = np.linalg.norm(to, axis=1).astype(np.float32)
            to = (to / far[:, None]).astype(np.float32)
            facing = np.maximum(dot(normal, to), 0)
            lit = np.flatnonzero(facing > 0)
            free = np.zeros(len(p), np.float32)
            reached = march(p[lit] + normal[lit] * 0.006, to[lit], np.minimum(far[lit], 4.5), 48)
            free[lit] = smoothstep(0.9, 1.0, reached / np.minimum(far[lit], 4.5))
            direct = direct + facing * free / far**2 * 32 / lights
        open_ = 1.0
        for reach in (0.03, 0.08, 0.18, 0.36):
            open_ = open_ - 0.4 * np.maximum(reach - distances(p + normal * reach).min(0), 0) / reach * 0.62
        open_ = np.clip(open_, 0.05, 1)[:, None]
        bounce = linear("#D9B48A") * (0.5 - 0.5 * normal[:, 1:2]) * 0.45 + linear("#8FA0C4") * (0.5 + 0.5 * normal[:, 1:2]) * 0.34
        mirrored = w - 2 * dot(w, normal)[:, None] * normal
        fresnel = 0.04 + 0.96 * (1 - np.clip(-dot(w, normal), 0, 1)[:, None]) ** 5
        shine = gloss * fresnel * window_seen(mirrored) * (0.3 + 0.7 * open_) * 2.2
        light[rows] = colour * (direct[:, None] * linear("#FFE6BC") + bounce * open_) + shine
    picture = halve(light.reshape(2 * height, 2 * width, 3))
    return film(picture * 0.95)
