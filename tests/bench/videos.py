#!/usr/bin/env python3
"""Measures videos: how well frames hold together, what the network way costs, and its memory.

    videos.py BIN WORK hold OPTION ...    temporal error and loss, with these options of `video`
    videos.py BIN WORK still OPTION ...   the same where nothing moves, behind a thing that does
    videos.py BIN WORK seam OPTION ...    the same at the seams of chunks of eight frames
    videos.py BIN WORK real CLIP OPTION ...
                                          the same on the first 16 frames of a clip, 192 pixels wide,
                                          whose motion is that which OpenCV's DIS finds both ways
    videos.py BIN WORK pace OPTION ...    seconds of 240 frames of 640x360, and of their parts
    videos.py BIN WORK length OPTION ...  peak memory for 10 seconds, and for 10 minutes, of 160x96

BIN is a folder with a release build, WORK a folder for clips and logs. Needs ffmpeg, numpy, and for
`real` opencv-python-headless. The
temporal error is the root of the mean squared difference between a frame and the one before, moved by
the true motion, in grey levels. Each measure is also taken of the frames one by one (`stylefleet run`
or `apply`) where that says something.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "deploy/samples/contents/lighthouse.png"
WIDTH, HEIGHT = 192, 128
# Pixels that the window moves from frame to frame, right and down.
STEP = (3, 1)
FRAMES = 16
# Options, each with a value, that single pictures have not.
OF_VIDEOS = ("--temporal-weight", "--frame-evaluations", "--passes", "--flow")


def ffmpeg(*arguments):
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def pixels(file, width=WIDTH, height=HEIGHT):
    """All frames of a clip, N x H x W x 3, 0 to 255."""
    raw = ffmpeg("-i", file, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return numpy.frombuffer(raw, numpy.uint8).reshape(-1, height, width, 3).astype(numpy.float64)


def window():
    """A window that moves over a sample."""
    right, down = STEP
    return f"scale=320:-1,crop={WIDTH}:{HEIGHT}:x='8+n*{right}':y='8+n*{down}'"


def clip(work, name, filters):
    file = work / f"{name}.mkv"
    ffmpeg("-loop", 1, "-framerate", 12, "-i", SAMPLE, "-vf", filters, "-frames:v", FRAMES, "-c:v", "ffv1", file)
    return file


def rms(difference):
    return float(numpy.sqrt(numpy.mean(numpy.square(difference))))


def moved(before, after):
    """The difference between a frame and the one before, moved by the true motion."""
    right, down = STEP
    return after[: HEIGHT - down, : WIDTH - right] - before[down:, right:]


def warped(image, flow):
    import cv2

    rows, columns = numpy.mgrid[:HEIGHT, :WIDTH].astype(numpy.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def link(before, after):
    """The motion from the later frame to the earlier one, and where there and back again ends within
    half a pixel."""
    import cv2

    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame.astype(numpy.uint8), cv2.COLOR_RGB2GRAY) for frame in (before, after)]
    back, forth = finder.calc(grey[1], grey[0], None), finder.calc(grey[0], grey[1], None)
    return back, numpy.linalg.norm(back + warped(forth, back), axis=2) < 0.5


class Videos:
    def __init__(self, bin, work, options):
        self.bin, self.work, self.options = Path(bin), Path(work), options
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def stylefleet(self, log, *arguments):
        """Runs the command; its events."""
        command = [self.bin / "stylefleet", *map(str, arguments), "--json"]
        began = time.monotonic()
        with open(self.work / f"{log}.log", "w") as errors:
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=errors, text=True)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return events, time.monotonic() - began

    def video(self, name, file, *more):
        """The clip as a video, without loss: its frames, and its events."""
        out = self.work / name / "styled.mkv"
        arguments = ["video", file, *self.options, *more, "--codec", "ffv1", "--out", out]
        events, seconds = self.stylefleet(name, *arguments)
        return pixels(out), events, seconds

    def one_by_one(self, file):
        """The same frames, each by itself."""
        frames = self.work / "frames"
        frames.mkdir(exist_ok=True)
        ffmpeg("-i", file, frames / "%04d.png")
        verb = "apply" if "--model" in self.options else "run"
        options = self.options[:]
        for option in OF_VIDEOS:
            if option in options:
                at = options.index(option)
                del options[at : at + 2]
        out = self.work / "apart"
        size = ["--size", f"{WIDTH}x{HEIGHT}"]
        events, _ = self.stylefleet("apart", verb, frames, *options, *size, "--out", out)
        made = sorted(out.glob("*.png"))
        return numpy.concatenate([pixels(file) for file in made]), events

    def hold(self):
        file = clip(self.work, "pan", window())
        together, events, _ = self.video("together", file)
        apart, single = self.one_by_one(file)
        error, alone = ([moved(*pair) for pair in zip(frames, frames[1:])] for frames in (together, apart))
        print(f"temporal error {rms(error):.2f}, of frames one by one {rms(alone):.2f}: {rms(error) / rms(alone):.2f}")
        losses = [event["figures"]["loss"] for event in single if event["event"] == "finished" and "loss" in event["figures"]]
        for event in events:
            if event["event"] == "finished":
                print("figures", json.dumps(event["figures"]))
        if losses:
            print("losses one by one", " ".join(f"{loss:.4g}" for loss in losses))

    def still(self):
        # A part of the picture passes before it as it stands.
        moving = f"crop=64:48:120:60[thing];[below]crop={WIDTH}:{HEIGHT}:20:20[still];[still][thing]overlay=x='n*8-20':y=40"
        file = clip(self.work, "still", f"scale=320:-1,split[a][below];[a]{moving}")
        contents = pixels(file)
        together, _, _ = self.video("together", file)
        apart, _ = self.one_by_one(file)
        where = numpy.all(contents == contents[0], axis=(0, 3))
        print(f"{where.mean():.2f} of the pixels never change")
        for name, frames in ("together", together), ("one by one", apart):
            errors = [rms((after - before)[where]) for before, after in zip(frames, frames[1:])]
            print(f"{name}: mean {numpy.mean(errors):.2f}, most {max(errors):.2f}, first to last {rms((frames[-1] - frames[0])[where]):.2f}")

    def seam(self):
        file = clip(self.work, "pan", window())
        chunks, _, _ = self.video("chunks", file, "--chunk", 8)
        whole, _, _ = self.video("whole", file)
        for name, frames in ("in chunks of 8", chunks), ("in one", whole):
            errors = " ".join(f"{rms(moved(*pair)):.2f}" for pair in zip(frames, frames[1:]))
            print(f"{name}: {errors}")

    def real(self):
        file = self.work / "real.mkv"
        given = self.options.pop(0)
        scale = f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=increase,crop={WIDTH}:{HEIGHT}"
        ffmpeg("-i", given, "-vf", scale, "-frames:v", FRAMES, "-an", "-c:v", "ffv1", "-pix_fmt", "bgr0", file)
        links = [link(*pair) for pair in zip(pixels(file), pixels(file)[1:])]
        together, _, _ = self.video("together", file)
        apart, _ = self.one_by_one(file)
        found = []
        for frames in together, apart:
            errors = [after - warped(before, flow) for before, after, (flow, _) in zip(frames, frames[1:], links)]
            found.append(rms(numpy.concatenate([error[mask] for error, (_, mask) in zip(errors, links)])))
        print(f"{numpy.mean([mask.mean() for _, mask in links]):.2f} of the pixels count")
        print(f"temporal error {found[0]:.2f}, of frames one by one {found[1]:.2f}: {found[0] / found[1]:.2f}")

    def pace(self):
        frames = 240
        filters = "scale=1280:-1,crop=640:360:x='8+n*2':y='8+n'"
        file = self.work / "pan.mp4"
        ffmpeg("-loop", 1, "-framerate", 25, "-i", SAMPLE, "-vf", filters, "-frames:v", frames, "-c:v", "libx264", "-pix_fmt", "yuv420p", file)
        out = self.work / "styled.mp4"
        events, seconds = self.stylefleet("pace", "video", file, *self.options, "--out", out)
        print(f"{frames} frames in {seconds:.1f} s")
        for event in events:
            if event["event"] == "finished":
                print("figures", json.dumps(event["figures"]), "seconds", event["seconds"])

    def length(self):
        for seconds in 10, 600:
            file = self.work / f"{seconds}.mp4"
            source = f"testsrc2=size=160x96:rate=12:duration={seconds}"
            ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", file)
            out = self.work / f"styled.{seconds}.mp4"
            _, took = self.stylefleet(f"length-{seconds}", "video", file, *self.options, "--out", out)
            # The largest of all processes that have ended so far, ffmpeg's and the worker's included.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{seconds} s: {took:.0f} s, peak {peak:.0f} MiB")


def main():
    _, bin, work, what, *options = sys.argv
    getattr(Videos(bin, work, options), what)()


if __name__ == "__main__":
    main()
