"""Matches of OpenCV's KAZE between photos of one plane, the homography that OpenCV finds among them, and the true one.

    python tests/python/homography_oracle.py FEATURES

FEATURES is the folder with `boat/` and `opencv_samples/`. Matches are x, y in the first picture, x, y in the second, how many times larger
the feature is there, and by how much it is turned (radians); the surest, by the ratio of distances, first.
"""

import json
import pathlib
import sys

import cv2
import numpy as np

RATIO = 0.9


def main():
    root = pathlib.Path(sys.argv[1])
    cv2.setRNGSeed(1)
    read = lambda path: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    boat, samples = root / "boat", root / "opencv_samples"
    stored = cv2.FileStorage(str(samples / "H1to3p.xml"), cv2.FILE_STORAGE_READ)
    truth = stored.getFirstTopLevelNode().mat()
    pairs = [(f"boat {n}", boat / "img1.pgm", boat / f"img{n}.pgm", np.loadtxt(boat / f"H1to{n}p")) for n in range(2, 7)]
    pairs.append(("graf", samples / "graf1.png", samples / "graf3.png", truth))
    kaze, matcher, out = cv2.KAZE_create(), cv2.BFMatcher(cv2.NORM_L2), []
    for name, first, second, truth in pairs:
        image = read(first)
        one, two = kaze.detectAndCompute(image, None), kaze.detectAndCompute(read(second), None)
        found = [(a.distance / b.distance, a) for a, b in matcher.knnMatch(one[1], two[1], 2) if a.distance < RATIO * b.distance]
        found.sort(key=lambda entry: entry[0])
        points = [(one[0][match.queryIdx], two[0][match.trainIdx]) for _, match in found]
        matches = [
            [*a.pt, *b.pt, b.size / a.size, float(np.deg2rad(b.angle - a.angle))] for a, b in points
        ]
        places = np.array([match[:4] for match in matches], np.float64)
        theirs, _ = cv2.findHomography(places[:, :2], places[:, 2:], cv2.RANSAC, 3.0, maxIters=10000, confidence=0.999)
        out.append({
            "name": name,
            "width": image.shape[1],
            "height": image.shape[0],
            "matches": matches,
            "truth": truth.tolist(),
            "theirs": theirs.tolist(),
        })
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
