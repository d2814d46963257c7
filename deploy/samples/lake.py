"""A lighthouse on a mountain lake in the evening: a height field, a few distance functions and one mirror."""
import numpy as np

from field import camera_rays, dot, fbm, film, gradient, halve, mix, noise, rgb, smoothstep, unit

SPAN, CELLS = 34.0, 1700  # the land is SPAN wide and deep
SUN = unit(np.array([-0.85, 0.27, -0.22], np.float32))
SUNLIGHT = np.array([4.2, 2.15, 0.95], np.float32)
TOWER = np.array([1.45, 0.40, 6.9], np.float32)
HOUSE = np.array([2.2, 0.38, 7.2], np.float32)


def linear(code):
    return rgb(code) ** 2.2


def build_land():
    """Height and, where a tree stands, how high up it: [CELLS, CELLS] over z, x."""
    z, x = np.meshgrid(np.linspace(0, SPAN, CELLS, dtype=np.float32),
                       np.linspace(-SPAN / 2, SPAN / 2, CELLS, dtype=np.float32), indexing="ij")
    shore = z - 15.5 + 1.6 * noise(x * 0.3, z * 0.3) + np.maximum(0, np.abs(x + 1) - 3) * 1.0
    far = smoothstep(0, 11, shore)
    height = -0.5 + 0.75 * smoothstep(-1, 1.2, shore)
    peaks = np.maximum(0, fbm(x * 0.13 + 2.3, z * 0.13 + 1.1, 7, ridged=True) - 0.2)
    height += far * (0.7 + 1.9 * peaks**1.6 * (1 + 0.9 * noise(x * 0.12 + 0.4, z * 0.12 + 8)))
    spit = ((x - 2.6) / 1.9) ** 2 + ((z - 7.5 - 0.5 * noise(x, 3.3)) / 0.75) ** 2
    height += 1.0 * np.exp(-spit * 1.0) * (1 + 0.35 * noise(x * 2.3, z * 2.3))
    bank = ((x + 2.3) / 1.3) ** 2 + ((z - 3.7 - 0.6 * noise(x * 0.8, 7.7)) / 0.7) ** 2
    height += 0.72 * np.exp(-bank)
    height += 0.22 * smoothstep(0.1, 0.5, noise(x * 3.1, z * 3.1)) * smoothstep(-0.3, 0.1, height) * smoothstep(8, 5, z)
    height += 0.05 * fbm(x * 2.5, z * 2.5, 4)
    tree = np.zeros_like(height)
    random = np.random.default_rng(4)
    for _ in range(9000):
        tx, tz = random.uniform(-SPAN / 2, SPAN / 2), random.uniform(2.5, 26)
        radius, size = random.uniform(0.07, 0.15), random.uniform(0.3, 0.62)
        i, j = int(tz / SPAN * CELLS), int((tx / SPAN + 0.5) * CELLS)
        ground = height[i, j] if 0 <= i < CELLS and 0 <= j < CELLS else -1
        near_tower = np.hypot(tx - 1.9, tz - 7.3) < 1.25
        if not 0.12 < ground < 1.9 or near_tower or noise(np.float32(tx * 0.5), np.float32(tz * 0.5)) < -0.12:
            continue
        reach = int(radius / SPAN * CELLS) + 2
        box = np.s_[max(0, i - reach):i + reach + 1, max(0, j - reach):j + reach + 1]
        away = np.hypot(x[box] - tx, z[box] - tz) / radius
        crown = size * (1 - away) * (0.8 + 0.15 * np.cos(away * 16) + 0.5 * noise(x[box] * 45, z[box] * 45))
        tree[box] = np.maximum(tree[box], crown)
    return height + np.maximum(tree, 0), np.maximum(tree, 0)


LAND, TREE = build_land()


def sample(grid, x, z):
    u = np.clip((x / SPAN + 0.5) * (CELLS - 1), 0, CELLS - 1.01)
    v = np.clip(z / SPAN * (CELLS - 1), 0, CELLS - 1.01)
    i, j = v.astype(np.int32), u.astype(np.int32)
    u, v = u - j, v - i
    flat, at = grid.ravel(), i * CELLS + j
    return mix(mix(flat[at], flat[at + 1], u), mix(flat[at + CELLS], flat[at + CELLS + 1], u), v)


def box(p, size):
    q = np.abs(p) - np.asarray(size, np.float32)
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


def buildings(p):
    """Distance to tower and house, and which part is nearest: 0 wall, 1 rail, 2 lamp, 3 roof, 4 house."""
    q = p - TOWER
    around, y = np.hypot(q[:, 0], q[:, 2]), q[:, 1]

    def drum(low, high, radius):
        return np.maximum(around - radius, np.abs(y - (low + high) / 2) - (high - low) / 2)

    h = p - HOUSE
    gable = np.maximum((np.abs(h[:, 2]) * 0.75 + (h[:, 1] - 0.62) * 0.66), np.abs(h[:, 0]) - 0.40)
    gable = np.maximum(gable, 0.24 - h[:, 1])
    chimney = box(h - [0.2, 0.52, 0.12], [0.045, 0.16, 0.045])
    parts = np.stack([drum(-0.3, 1.50, 0.26 - 0.075 * y) * 0.95, drum(1.48, 1.54, 0.205), drum(1.54, 1.74, 0.085),
                      np.maximum(around + (y - 1.90) * 0.72, 1.72 - y) * 0.8,
                      box(h - [0, 0.1, 0], [0.34, 0.24, 0.25]), np.minimum(gable, chimney)])
    part = parts.argmin(0)
    return parts.min(0), np.where(part == 5, 3, part)


def march(start, way, far, steps):
    """How far each ray gets before land, buildings or `far` stop it; what stopped it: 0 nothing, 1 land, 2 buildings."""
    distance = np.full(len(way), 0.02, np.float32)
    hit = np.zeros(len(way), np.int8)
    alive = np.arange(len(way))
    for _ in range(steps):
        p = start[alive] + way[alive] * distance[alive, None]
        above = p[:, 1] - sample(LAND, p[:, 0], p[:, 2])
        near = np.linalg.norm(p - TOWER - [0.35, 0.8, 0.1], axis=1) - 1.5
        close = near < 0.2
        solid = np.maximum(near, 0.1)
        if close.any():
            solid[close] = buildings(p[close])[0]
        tolerance = 0.0012 * distance[alive] + 0.001
        hit[alive[above < tolerance]] = 1
        hit[alive[solid < tolerance]] = 2
        distance[alive] += np.minimum(np.maximum(above * 0.42, 0.006), np.maximum(solid, 0.004)) * (hit[alive] == 0)
        alive = alive[(hit[alive] == 0) & (distance[alive] < far) & (p[:, 1] < 9)]
    return distance, hit


def sky(way):
    up = np.maximum(way[:, 1], 0)
    colour = gradient([(0, "#FFC98A"), (0.14, "#FDB184"), (0.24, "#EE9A92"), (0.36, "#B588B0"), (0.5, "#6D7DBB"), (0.9, "#33508F")], up) ** 2.2
    x, z = way[:, 0] / (up + 0.16), way[:, 2] / (up + 0.16)
    cloud = fbm(x * 0.9 + 4.2, z * 1.5 + 0.4, 6)
    lit = fbm(x * 0.9 + 4.32, z * 1.5 + 0.46, 4)
    cover = smoothstep(0.02, 0.42, cloud) * smoothstep(0.0, 0.1, up)
    tint = mix(linear("#7B6A96"), linear("#FFB98A") * 1.45, smoothstep(-0.25, 0.3, cloud - lit + 0.1)[:, None])
    return mix(colour, tint, 0.85 * cover[:, None]) * 1.15


def land_colour(p, normal):
    x, y, z = p.T
    grain = fbm(x * 3, z * 3 + y * 2, 5)
    strata = noise(x * 0.6, y * 5 + noise(x, z) * 1.5)
    rock = mix(linear("#5B504E"), linear("#A08B7A"), smoothstep(-0.5, 0.6, grain + 0.5 * strata)[:, None])
    grass = mix(linear("#4E6130"), linear("#9A9448"), smoothstep(-0.5, 0.5, grain)[:, None])
    colour = mix(rock, grass, (smoothstep(0.62, 0.85, normal[:, 1]) * smoothstep(2.4, 1.0, y + 0.5 * grain))[:, None])
    snow = smoothstep(2.25, 2.9, y + 0.7 * grain) * smoothstep(0.45, 0.7, normal[:, 1] + 0.2 * grain)
    colour = mix(colour, linear("#EDF1F8"), snow[:, None])
    colour = mix(linear("#B99F7C"), colour, smoothstep(0.02, 0.09, y + 0.04 * grain)[:, None])
    tall = sample(TREE, x, z)
    leaf = mix(linear("#1C3526"), linear("#4A6234"), smoothstep(0.0, 0.6, tall + 0.3 * noise(x * 14, z * 14))[:, None])
    return mix(colour, leaf, (tall > 0.03)[:, None])


def building_colour(p):
    part = buildings(p)[1]
    q, h = p - TOWER, p - HOUSE
    band = (np.floor((q[:, 1] + 0.05) / 0.31).astype(int) % 2 == 0)[:, None]
    colour = np.where(band, linear("#F4EDE0"), linear("#C2392F"))
    plaster = linear("#EFE3CC") * (0.92 + 0.2 * noise(p[:, 0] * 30, p[:, 1] * 30))[:, None]
    colour = np.where((part == 4)[:, None], plaster, colour)
    tiles = mix(linear("#7E2E22"), linear("#B5543A"), (np.sin(h[:, 1] * 120) * 0.5 + 0.5)[:, None])
    colour = np.where((part == 3)[:, None], tiles, colour)
    colour = np.where((part == 1)[:, None], linear("#3A3536"), colour)
    glow = (part == 2) * 5.0
    pane = (np.abs(np.abs(h[:, 0]) - 0.17) < 0.05) & (np.abs(h[:, 1] - 0.14) < 0.07) & (part == 4) & (h[:, 2] < -0.2)
    slit = (np.abs(q[:, 0] + 0.02) < 0.03) & (np.abs(q[:, 1] % 0.62 - 0.4) < 0.06) & (part == 0) & (q[:, 2] < 0)
    glow = glow + 2.2 * (pane | slit)
    return colour, glow[:, None] * linear("#FFC866")


def slope(p, distance):
    """The land's normal, measured over about a pixel."""
    e = 0.012 + 0.0012 * distance
    dx = sample(LAND, p[:, 0] + e, p[:, 2]) - sample(LAND, p[:, 0] - e, p[:, 2])
    dz = sample(LAND, p[:, 0], p[:, 2] + e) - sample(LAND, p[:, 0], p[:, 2] - e)
    return unit(np.stack([-dx, 2 * e, -dz], -1))


def wall_normal(p):
    shifts = np.eye(3, dtype=np.float32) * 0.003
    return unit(np.stack([buildings(p + s)[0] - buildings(p - s)[0] for s in shifts], -1))


def look(start, way, steps=150):
    """The light that comes in along each ray, water left out, and how far it came."""
    distance, hit = march(start, way, 45, steps)
    light = sky(way)
    seen = np.flatnonzero(hit)
    p = start[seen] + way[seen] * distance[seen, None]
    walls = hit[seen] == 2
    normal = slope(p, distance[seen])
    colour, glow = land_colour(p, normal), np.zeros_like(p)
    if walls.any():
        normal[walls] = wall_normal(p[walls])
        colour[walls], glow[walls] = building_colour(p[walls])
    _, shade = march(p + normal * (0.01 + 0.002 * distance[seen, None]), np.broadcast_to(SUN, p.shape), 9, 60)
    sun = np.maximum(dot(normal, SUN), 0) * (shade == 0)
    above = linear("#8FA3D8") * (0.5 + 0.5 * normal[:, 1:2]) * 0.95 + linear("#D89A86") * (0.5 - 0.5 * normal[:, 2:3]) * 0.35
    lit = colour * (sun[:, None] * SUNLIGHT + above) + glow
    haze = 1 - np.exp(-0.00042 * distance[seen, None] ** 2)
    light[seen] = mix(lit, linear("#DBA6A0") * 0.9, haze)
    return light, np.where(hit == 0, np.inf, distance)


def lake(height, width):
    eye = np.array([0, 1.05, 0.6], np.float32)
    way = camera_rays(2 * height, 2 * width, eye, (0.35, 1.62, 8), 1.75)
    start = np.broadcast_to(eye, way.shape)
    light, distance = look(start, way)
    to_water = np.where(way[:, 1] < -1e-4, -eye[1] / np.minimum(way[:, 1], -1e-4), np.inf)
    wet = np.flatnonzero(to_water < distance)
    p = start[wet] + way[wet] * to_water[wet, None]
    calm = 0.055 / (1 + 0.05 * to_water[wet])
    x, z = p[:, 0], p[:, 2]
    ripple = np.stack([calm * 0.35 * fbm(x * 2.2 + 9, z * 7, 4), np.ones_like(x), calm * fbm(x * 2.2, z * 7 + 5, 4)], -1)
    normal = unit(ripple)
    mirrored = way[wet] - 2 * dot(way[wet], normal)[:, None] * normal
    mirrored[:, 1] = np.abs(mirrored[:, 1])
    reflected, _ = look(p + [0, 0.01, 0], mirrored, 110)
    facing = np.clip(-dot(way[wet], normal), 0, 1)[:, None]
    share = 0.06 + 0.94 * (1 - facing) ** 3
    light[wet] = mix(linear("#17384A") * 0.6, reflected, share * 0.94)
    return film(halve(light.reshape(2 * height, 2 * width, 3)) * 0.72)
