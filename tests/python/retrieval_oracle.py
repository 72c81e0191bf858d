"""How many photos OpenCV's KAZE finds the right carton for, with the ratio test and a homography.

    python tests/python/retrieval_oracle.py GROCERY_STORE [REFERENCE_ENLARGED QUERY_ENLARGED THRESHOLD RATIO]

The 31 cartons of the grocery store: every product below Packages. Each photo is matched with each iconic picture; the one with most
inliers is the answer.
"""

import csv
import json
import pathlib
import sys

import cv2
import numpy as np


def features(path, enlarged, kaze):
    """Places in pixels of the picture, and descriptors."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if enlarged != 1:
        image = cv2.resize(image, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    points, descriptors = kaze.detectAndCompute(image, None)
    places = (np.array([point.pt for point in points], np.float32).reshape(-1, 2) + 0.5) / enlarged - 0.5
    return places, descriptors


def inliers(reference, query, matcher, ratio):
    """Matches that a homography explains."""
    pairs = matcher.knnMatch(query[1], reference[1], 2)
    good = [best for best, second in pairs if best.distance < ratio * second.distance]
    if len(good) < 4:
        return 0
    source = reference[0][[match.trainIdx for match in good]]
    target = query[0][[match.queryIdx for match in good]]
    found, mask = cv2.findHomography(source, target, cv2.RANSAC, 5.0)
    return 0 if found is None else int(mask.sum())


def main():
    root = pathlib.Path(sys.argv[1])
    reference_enlarged, query_enlarged, threshold, ratio = [float(a) for a in sys.argv[2:6]] or [1.0, 1.0, 0.001, 0.8]
    cv2.setRNGSeed(1)
    kaze = cv2.KAZE_create(threshold=threshold)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    with open(root / "classes.csv", encoding="utf-8") as lines:
        classes = [row for row in list(csv.reader(lines))[1:] if "/Packages/" in row[4]]
    references = {int(row[1]): features(root / row[4].lstrip("/"), reference_enlarged, kaze) for row in classes}
    photos, right = 0, 0
    for line in (root / "train_subset.txt").read_text(encoding="utf-8").splitlines():
        path, fine, _ = [part.strip() for part in line.split(",")]
        if int(fine) not in references:
            continue
        query = features(root / path, query_enlarged, kaze)
        photos += 1
        best = max(references, key=lambda fine: inliers(references[fine], query, matcher, ratio))
        right += best == int(fine)
    print(json.dumps({"products": len(references), "photos": photos, "right": right}))


if __name__ == "__main__":
    main()
