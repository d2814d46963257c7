"""Three paintings: an impasto of strokes, a window of leaded glass, a woodblock print."""
import numpy as np

from field import dot, fbm, gradient, mix, noise, pixels, rgb, smoothstep, unit

LIGHT = unit(np.array([-0.55, -0.6, 0.6], np.float32))  # x right, y down, z towards the viewer


def relief(height, depth):
    """How bright each spot of an uneven surface is under a slanting light, 1 where it is flat; and its gloss."""
    dy, dx = np.gradient(height)
    normal = unit(np.stack([-dx * depth, -dy * depth, np.ones_like(dx)], -1))
    half = unit(LIGHT + np.array([0, 0, 1], np.float32))
    return dot(normal, LIGHT) / LIGHT[2], np.maximum(dot(normal, half), 0) ** 40


# --- a night of whirls: thousands of strokes that follow a flow, coarse ones first ---

STARS = [(0.16, 0.20, 0.085), (0.40, 0.12, 0.055), (0.60, 0.30, 0.075), (0.30, 0.42, 0.05), (0.90, 0.42, 0.06), (0.07, 0.52, 0.04)]
MOON = (0.83, 0.16, 0.12)


def night_plan(height, width):
    """What the strokes paint: colour, and direction as a unit complex number."""
    x, y = pixels(height, width)
    u, v = x / width, y / width
    potential = 0.16 * fbm(u * 3.2 + 5, v * 3.2, 3) + 0.35 * v
    glow = np.zeros_like(u)
    for cx, cy, size in [*STARS, MOON]:
        away = np.hypot(u - cx, v - cy)
        potential += 3.0 * size * np.exp(-(away / (2.1 * size)) ** 2)
        glow = np.maximum(glow, np.exp(-(away / size) ** 1.5) + 0.16 * np.cos(away / size * 7) * np.exp(-away / size / 1.6))
    for cx, cy, size in [(0.44, 0.29, 0.11), (0.70, 0.47, 0.08)]:  # two whirls of wind
        potential -= 2.2 * size * np.exp(-((u - cx) ** 2 + (v - cy) ** 2) / size**2)
    dy, dx = np.gradient(potential)
    band = fbm(u * 1.2 + potential * 6, v * 1.5 + potential * 5, 4)
    colour = gradient([(-0.5, "#0B1B4D"), (-0.15, "#1B3F8F"), (0.1, "#2C6DB5"), (0.3, "#54A5C9"), (0.5, "#BFE0D2")], band)
    colour = mix(colour, gradient([(0, "#2C6DB5"), (0.3, "#4FA3A5"), (0.5, "#D9C455"), (0.75, "#F7B733"), (1, "#FFF3B8")], glow),
                 smoothstep(0.1, 0.42, glow)[..., None])
    hill = 0.60 + 0.055 * np.sin(u * 7 + 0.6) + 0.05 * noise(u * 5, u * 0 + 3)
    near = hill + 0.075 + 0.03 * np.sin(u * 11 + 2)
    land = gradient([(-0.5, "#10233F"), (0, "#1D4A55"), (0.25, "#3E7A57"), (0.5, "#A7A94C")], fbm(u * 6, v * 14, 4))
    field = gradient([(-0.5, "#3A1F3D"), (-0.1, "#7A2E3A"), (0.15, "#C25A2B"), (0.4, "#E9A23B")], fbm(u * 7 + 9, v * 11, 4))
    colour = np.where((v > hill)[..., None], land, colour)
    colour = np.where((v > near)[..., None], field, colour)
    flow = dx * 1j - dy  # along the contours of the potential
    flow = np.where(v > hill, np.exp(1j * (0.4 * np.cos(u * 7 + 0.6) + 1.2 * noise(u * 7, v * 9))), flow)
    tree = 0.055 * smoothstep(0.10, 0.62, v) * (1 + 0.35 * np.sin(v * 60 + 3 * noise(u * 30, v * 9)))
    inside = np.abs(u - 0.235 - 0.012 * np.sin(v * 22)) < tree * smoothstep(0.72, 0.60, v)
    bark = gradient([(-0.5, "#0A1413"), (0, "#16342A"), (0.4, "#3F6B35"), (0.6, "#8C8B3A")], fbm(u * 40, v * 14, 3))
    colour = np.where(inside[..., None], bark, colour)
    flow = np.where(inside, np.exp(1j * (1.5 + 0.5 * np.sin(v * 60))), flow)
    return colour, flow / np.maximum(np.abs(flow), 1e-9)


def night(height=384, width=488):
    plan, flow = night_plan(height, width)
    random = np.random.default_rng(1889)
    canvas, paint = plan * 0.35 + 0.05, np.zeros((height, width), np.float32)
    detail = sum(np.abs(d).sum(-1) for d in np.gradient(plan, axis=(0, 1)))
    for count, thickness, length in ((700, 11, 46), (2400, 6.5, 34), (5200, 3.9, 24), (3600, 2.5, 16)):
        for _ in range(count):
            x, y = random.uniform(0, width), random.uniform(0, height)
            if thickness < 3 and random.uniform(0, 0.5) > detail[int(y), int(x)]:
                continue  # the finest only where there is something to draw
            tint = plan[int(y), int(x)] * random.uniform(0.82, 1.22) + random.normal(0, 0.028, 3)
            stroke(canvas, paint, flow, x, y, tint, thickness * random.uniform(0.7, 1.25), length * random.uniform(0.6, 1.3), random)
    bright, gloss = relief(paint, 1.5)
    return np.clip(canvas * (0.30 + 0.70 * bright[..., None]) + 0.16 * gloss[..., None] * (0.35 + canvas) - 0.02, 0, 1)


def stroke(canvas, paint, flow, x, y, tint, thickness, length, random):
    """Lays one stroke of bristles along the flow, and its paint on top of what is there."""
    height, width = paint.shape
    steps = max(4, int(length / 3))
    path = np.empty((steps, 2), np.float32)
    for i in range(steps):
        path[i] = x, y
        turn = flow[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)] * length / steps
        x, y = x + turn.real, y + turn.imag
    left, top = np.maximum(np.floor(path.min(0) - thickness).astype(int), 0)
    right, low = np.minimum(np.ceil(path.max(0) + thickness).astype(int) + 1, (width, height))
    if right <= left or low <= top:
        return
    px, py = np.meshgrid(np.arange(left, right, dtype=np.float32) + 0.5, np.arange(top, low, dtype=np.float32) + 0.5)
    a, d = path[:-1], np.diff(path, axis=0)
    rx, ry = px[..., None] - a[:, 0], py[..., None] - a[:, 1]
    along = np.clip((rx * d[:, 0] + ry * d[:, 1]) / np.maximum((d**2).sum(1), 1e-6), 0, 1)
    apart = np.hypot(rx - along * d[:, 0], ry - along * d[:, 1])
    nearest = apart.argmin(-1)[..., None]
    side = np.take_along_axis(d[:, 0] * ry - d[:, 1] * rx, nearest, -1)[..., 0]
    across = np.copysign(np.take_along_axis(apart, nearest, -1)[..., 0], side) / thickness * 2
    travelled = (nearest + np.take_along_axis(along, nearest, -1))[..., 0] / (steps - 1)
    seed = random.uniform(0, 200)
    bristle = noise(across * thickness * 0.55 + seed, travelled * 1.5 + seed)
    cover = smoothstep(1.0, 0.72, np.abs(across) + 0.35 * travelled**3 + 0.25 * bristle)
    box = np.s_[top:low, left:right]
    canvas[box] = mix(canvas[box], np.clip(tint * (1 + 0.30 * bristle[..., None]), 0, 1), cover[..., None] * 0.94)
    ridge = 0.55 + 0.9 * bristle + 0.35 * across**2 + 0.3 * (travelled > 0.9)
    paint[box] = mix(paint[box], paint[box] * 0.35 + ridge * min(thickness / 4, 1.6), cover)


# --- glass: pieces cut around a rose, in lead ---

def glass(height=480, width=480):
    x, y = pixels(height, width)
    random = np.random.default_rng(1145)
    u, v = (x - 0.5 * width) / width, (y - 0.46 * height) / width
    u, v = u + 0.012 * noise(x / 60, y / 60), v + 0.012 * noise(x / 60 + 50, y / 60)
    gold, ruby, blue, green, violet, sky = (["#F6C945", "#F29F2E", "#FFE58A"], ["#C4161C", "#E2482D", "#9C1030"],
        ["#12409F", "#1C6FD1", "#0B2468"], ["#0E7C66", "#36A853", "#0A4F58"], ["#6A2C91", "#3A2A9E", "#B23A8F"],
        ["#7FC4E8", "#2E86D8", "#BFE6F2"])
    # Each ring of the rose: how many pieces, and the glasses they take in turn.
    rings = [(1, [gold]), (6, [ruby]), (12, [gold, blue]), (12, [blue]), (24, [ruby, sky]), (24, [gold, blue]), (24, [violet, green]),
             (36, [blue, ruby, gold]), (36, [sky, blue, blue]), (48, [gold, ruby])] + [(48, [blue, violet, blue, green])] * 6
    seeds, hues = [], []
    for ring, (count, glasses) in enumerate(rings):
        radius = 0.050 * ring
        for i in range(count):
            angle = 2 * np.pi * (i + 0.5 * (ring % 2)) / count
            wobble = 0.012 if ring > 9 else 0.0025
            seeds.append((radius * np.cos(angle) + random.normal(0, wobble), radius * np.sin(angle) + random.normal(0, wobble)))
            hues.append(glasses[i % len(glasses)][random.integers(3)])
    seeds = np.array(seeds, np.float32)
    first, second = np.full(x.shape, 9.0, np.float32), np.full(x.shape, 9.0, np.float32)
    piece = np.zeros(x.shape, int)
    for i, (sx, sy) in enumerate(seeds):
        apart = np.hypot(u - sx, v - sy)
        closer = apart < first
        second = np.where(closer, first, np.minimum(second, apart))
        first, piece = np.where(closer, apart, first), np.where(closer, i, piece)
    # The distance to the border between a pixel's two nearest seeds, in pixels.
    edge = (second**2 - first**2) / (2 * np.maximum(first + second, 1e-6)) * width * 1.15
    colour = np.stack([rgb(h) for h in hues])[piece]
    turn = random.uniform(0, 2 * np.pi, len(seeds))[piece]
    streak = fbm((x * np.cos(turn) + y * np.sin(turn)) / 9 + piece * 7.1, (y * np.cos(turn) - x * np.sin(turn)) / 60, 4)
    seedy = smoothstep(0.42, 0.5, noise(x / 4.5 + piece, y / 4.5))
    shine = 0.86 + 0.55 * streak + 0.25 * seedy + 0.28 * smoothstep(0, 18, edge) - 0.1
    shine *= 1.22 - 1.0 * (u**2 + v**2)
    lit = np.clip(colour * shine[..., None] + 0.13 * np.maximum(shine - 0.9, 0)[..., None], 0, 1)
    lead = np.minimum(edge, 12) / 2.6
    bulge = np.sqrt(np.maximum(0, 1 - lead**2))
    bright, gloss = relief(bulge + 0.08 * noise(x / 2.5, y / 2.5), 1.8)
    metal = np.clip((0.10 + 0.05 * bright + 0.5 * gloss)[..., None] * rgb("#C7CCD6"), 0, 1)
    shadow = 0.45 + 0.55 * smoothstep(1.0, 2.6, lead)
    return mix(metal, lit * shadow[..., None], smoothstep(0.9, 1.12, lead)[..., None])


# --- a print: waves in a few inks, with the grain of the blocks ---

def wave(height=448, width=576):
    x, y = pixels(height, width)
    paper = gradient([(-0.6, "#E2CFA4"), (0.6, "#F3E6C6")], fbm(x / 90, y / 90, 5) + 0.25 * noise(x / 1.7, y / 1.7))
    grain = fbm(x / 160 + 0.5 * noise(x / 240, y / 60), y / 5.5, 4)
    sky = smoothstep(0.50 * height, 0, y + 12 * grain)
    picture = mix(paper, rgb("#8FA9A3") * (0.92 + 0.16 * grain[..., None]), (0.75 * sky)[..., None])
    away = np.hypot(x - 0.69 * width, y - 0.27 * height)
    sun = smoothstep(0.6, -0.6, away - 0.135 * width)
    picture = mix(picture, rgb("#C8402F") * (1 + 0.28 * grain[..., None]), (sun * (0.93 - 0.15 * (grain > 0.32)))[..., None])
    inks = [rgb(code) for code in ("#7FA3A8", "#3F7391", "#24507F", "#173A6B", "#122B55")]
    for row in range(5):
        # Each row of waves leans over: the crest is sheared by its own height.
        crest = height * (0.50 + 0.105 * row)
        tall = 26 + 17 * row
        period = 150 + 42 * row
        lean_x = x + (crest - y) * 0.75 + 60 * row + 9 * noise(x / 60, y / 60 + row)
        phase = (lean_x / period) % 1
        rise = (np.sin(phase * np.pi) ** 3 * (1 - 0.35 * phase)) * tall * 1.7 + 5 * noise(lean_x / 22, y * 0 + row)
        depth = y - (crest - rise)  # below the surface, in pixels
        body = smoothstep(-0.7, 0.7, depth)
        flow = depth + 7 * np.sin(lean_x / period * 2 * np.pi * 2 + row) + 10 * fbm(x / 70 + row * 5, y / 70, 3)
        gap = 11 + 1.5 * row
        line = np.abs((flow / gap) % 1 - 0.5) * gap  # contour lines, thick at the crest and thin below
        cut = smoothstep(0.9, -0.4, line - (2.6 - 0.016 * np.clip(depth, 0, 120)))
        ink = inks[row] * (1 + 0.22 * grain[..., None])
        ink = mix(ink, paper, (0.86 * cut)[..., None])
        broad = smoothstep(0.35, 0.5, noise(flow / 26 + row * 9, lean_x / 95))
        ink = mix(ink, inks[min(row + 2, 4)] * (1 + 0.2 * grain[..., None]), (0.9 * broad * (1 - cut))[..., None])
        foam = smoothstep(0.6, -0.6, depth - 6 - 5 * np.abs(np.sin(lean_x / 7.5)) - 3 * noise(x / 9, y / 9))
        ink = mix(ink, paper * 1.02, foam[..., None])
        picture = mix(picture, ink, body[..., None])
        key = smoothstep(1.9, 0.7, np.abs(depth + 0.3))  # the dark outline of the key block
        scallop = smoothstep(1.5, 0.5, np.abs(depth - 6 - 5 * np.abs(np.sin(lean_x / 7.5)) - 3 * noise(x / 9, y / 9)))
        picture = mix(picture, rgb("#10203F"), np.maximum(key, 0.85 * scallop)[..., None] * 0.95)
        spray = noise(x / 5.2 + row * 31, y / 5.2)
        drops = smoothstep(0.40, 0.46, spray) * smoothstep(-34, -6, depth) * (depth < -3) * (np.sin(phase * np.pi) > 0.75)
        picture = mix(picture, paper * 1.04, drops[..., None])
    return np.clip(picture * (0.97 + 0.05 * noise(x / 1.3, y / 1.3))[..., None], 0, 1)
