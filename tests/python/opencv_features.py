"""What OpenCV makes of local features, to compare with and to race against.

    python tests/python/opencv_features.py nearest COUNT
    python tests/python/opencv_features.py time-nearest THREADS COUNT...
    python tests/python/opencv_features.py time-features THREADS PICTURE...
    python tests/python/opencv_features.py dump FOLDER THRESHOLD PICTURE...

Writes JSON. Descriptors to match are made up, by the same integer formula as in the tests. A time is the best of several, in seconds,
after one run that does not count.
"""

import json
import pathlib
import sys
import time

import cv2
import numpy as np

BYTES, COMPONENTS = 61, 64


def noise(start, count):
    """Words of 64 bits that look random: SplitMix64 of start, start + 1, ..."""
    word = (np.arange(start, start + count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def binary(start, count):
    """Descriptors of 486 bits in 61 bytes, as A-KAZE's."""
    words = noise(start * 8, count * 8).reshape(count, 8)
    words[:, 7] &= np.uint64((1 << (486 - 7 * 64)) - 1)
    return np.ascontiguousarray(words.view(np.uint8).reshape(count, 64)[:, :BYTES])


def floats(start, count):
    """Descriptors of 64 components from -1 to 1."""
    parts = (noise(start * COMPONENTS, count * COMPONENTS) >> np.uint64(40)).astype(np.float32)
    return (parts / np.float32(1 << 23) - np.float32(1)).reshape(count, COMPONENTS)


def matchers(count):
    """Each matcher with queries and trains, as many."""
    yield "hamming", cv2.BFMatcher(cv2.NORM_HAMMING), binary(0, count), binary(count, count)
    yield "l2", cv2.BFMatcher(cv2.NORM_L2), floats(0, count), floats(count, count)


def nearest(count):
    """The two nearest of each query: index and distance, twice."""
    return {
        name: [[v for match in two for v in (match.trainIdx, match.distance)] for two in by.knnMatch(queries, trains, 2)]
        for name, by, queries, trains in matchers(count)
    }


def best_seconds(work, least_runs, seconds):
    """The time of the fastest run, of at least so many and for so long."""
    work()
    best, runs, began = float("inf"), 0, time.perf_counter()
    while runs < least_runs or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        work()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    return best


def time_nearest(counts):
    return [
        {name: best_seconds(lambda: by.knnMatch(queries, trains, 2), 5, 1.0) for name, by, queries, trains in matchers(count)}
        for count in counts
    ]


def detectors(threshold=0.001):
    """KAZE and A-KAZE, all but the threshold at its default."""
    yield "kaze", cv2.KAZE_create(threshold=threshold)
    yield "akaze", cv2.AKAZE_create(threshold=threshold)


def grey(path):
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        sys.exit(f"{path}: not a picture")
    return picture


def time_features(paths):
    """Seconds to detect and describe, and how many points there are."""
    out = []
    for path in paths:
        picture, row = grey(path), {}
        for name, by in detectors():
            points = len(by.detectAndCompute(picture, None)[0])
            row[name] = {"points": points, "seconds": best_seconds(lambda: by.detectAndCompute(picture, None), 3, 2.0)}
        out.append(row)
    return out


def dump(folder, threshold, paths):
    """Each picture's features as two raw files: points (x, y, size, angle, response; f32) and descriptors (f32 or 61 bytes each)."""
    out = []
    for number, path in enumerate(paths):
        row = {}
        for name, by in detectors(threshold):
            points, descriptors = by.detectAndCompute(grey(path), None)
            rows = [(*p.pt, p.size, p.angle, p.response) for p in points]
            files = [str(pathlib.Path(folder) / f"{number}-{name}.{what}") for what in ("points", "descriptors")]
            np.asarray(rows, "<f4").reshape(-1, 5).tofile(files[0])
            (descriptors if descriptors is not None else np.empty(0, "<f4")).tofile(files[1])
            row[name] = files
        out.append(row)
    return out


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "nearest":
        out = nearest(int(arguments[0]))
    elif command == "dump":
        out = dump(arguments[0], float(arguments[1]), arguments[2:])
    else:
        cv2.setNumThreads(int(arguments[0]))
        out = {
            "time-nearest": lambda: time_nearest([int(count) for count in arguments[1:]]),
            "time-features": lambda: time_features(arguments[1:]),
        }[command]()
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
