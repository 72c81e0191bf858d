"""Numbers of OpenCV and onnxruntime that the vision kernels are tested against.

    python tests/python/vision_oracle.py [MODELS]

MODELS is the folder with `fastestdet/`, `yolox_nano/` and `efficientnet_lite0/`; without it only OpenCV's numbers are
written. The picture is computed, by the same integer formula as in the test.
"""

import json
import pathlib
import sys

import cv2
import numpy as np

WIDTH, HEIGHT = 300, 200


def picture():
    """The made-up picture, as rows of red, green, blue."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.int64)
    disc = (x - 90) ** 2 + (y - 110) ** 2 < 50**2
    red = np.where(disc, 200, (x * 7 + y * 3) % 256)
    green = np.where(disc, 60, (x * y // 50) % 256)
    blue = np.where(disc, 40, (x // 3 + 2 * y) % 256)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def letterboxed(image, width, height, pad):
    """Resized bilinearly: stretched, or in proportion with the rest grey."""
    if pad is None:
        return cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    zoom = min(width / image.shape[1], height / image.shape[0])
    out = np.full((height, width, 3), pad, np.float32)
    size = (int(image.shape[1] * zoom), int(image.shape[0] * zoom))
    out[: size[1], : size[0]] = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return out


def samples(values, count=400):
    """Evenly spread values: enough to see a difference, small enough to read."""
    flat = np.asarray(values, np.float64).ravel()
    step = max(1, flat.size // count)
    return {"length": int(flat.size), "step": step, "values": [round(float(v), 6) for v in flat[::step]]}


def main():
    image = picture()
    planes = lambda rows: np.transpose(rows, (2, 0, 1))
    mask = ((image[:, :, 0] > 128) & (image[:, :, 1] < 100)).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    square = np.ones((5, 5), np.uint8)
    boxes = [[int(v) for v in (i * 37 % 200, i * 53 % 150, 20 + i * 7 % 40, 20 + i * 11 % 30)] for i in range(40)]
    scores = [((i * 7919) % 1000) / 1000 for i in range(40)]
    out = {
        "components": sorted([int(l), int(t), int(l + w), int(t + h), int(a)] for l, t, w, h, a in stats[1:]),
        "opened": int(cv2.morphologyEx(mask, cv2.MORPH_OPEN, square).sum()),
        "closed": int(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, square).sum()),
        "nms": [int(i) for i in np.asarray(cv2.dnn.NMSBoxes(boxes, scores, 0.0, 0.4)).ravel()],
        "letterbox": samples(planes(letterboxed(image, 416, 416, 114)[:, :, ::-1])),
        "stretch": samples(planes(letterboxed(image, 352, 352, None)[:, :, ::-1] / 255)),
    }
    if len(sys.argv) > 1:
        import onnxruntime

        models = pathlib.Path(sys.argv[1])
        inputs = {
            "fastestdet/FastestDet.onnx": letterboxed(image, 352, 352, None)[:, :, ::-1] / 255,
            "yolox_nano/yolox_nano.onnx": letterboxed(image, 416, 416, 114)[:, :, ::-1],
            "efficientnet_lite0/efficientnet_lite0.onnx": (letterboxed(image, 224, 224, None) - 127) / 128,
        }
        out["networks"] = {}
        for name, rows in inputs.items():
            session = onnxruntime.InferenceSession(str(models / name), providers=["CPUExecutionProvider"])
            tensor = np.ascontiguousarray(planes(rows)[None], np.float32)
            result = session.run(None, {session.get_inputs()[0].name: tensor})[-1]
            out["networks"][name] = samples(result)
        out["models"] = str(models.resolve())
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
