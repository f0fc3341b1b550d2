"""The same small set of labelled images in the layouts that other tools write."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data_sets import save

HEIGHT, WIDTH = 48, 64
SOIL, SAND, ROCK, SKY = range(4)
COLOURS = np.array([(176, 132, 92), (232, 200, 108), (204, 52, 44), (20, 24, 40)], dtype=np.uint8)
NAMES = ("soil", "sand", "rock", "sky")
TRAINING, VALIDATION = range(12), range(12, 16)


def truth(seed: int):
    """Return soil with sand, rocks that do not touch, and sky; ids as `NAMES`."""
    random = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[:12] = SKY
    mask[32:, : int(random.integers(16, 40))] = SAND
    for column in (10, 30, 50):
        top = int(random.integers(16, 36))
        mask[top : top + 8, column : column + 8] = ROCK
    return mask


def photo(seed: int):
    noise = np.random.default_rng(seed).normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.clip(COLOURS[truth(seed)] + noise, 0, 255).astype(np.uint8)


def all_images():
    return [(seed, "train" if seed in TRAINING else "val") for seed in (*TRAINING, *VALIDATION)]


def labelled(root: Path, change=lambda mask: mask, ending="png", arguments=()) -> Path:
    for seed, _ in all_images():
        save(root / "images" / f"{seed:03d}.jpg", photo(seed))
        mask = change(truth(seed))
        save(root / "masks" / f"{seed:03d}.{ending}", mask, suffix_arguments=arguments)
    return root


def img_and_ann(root: Path) -> Path:
    for seed, _ in all_images():
        save(root / "img" / f"{seed:03d}.jpg", photo(seed))
        save(root / "ann" / f"{seed:03d}.png", COLOURS[truth(seed)])
    return root


def siblings(root: Path) -> Path:
    for seed, _ in all_images():
        save(root / f"{seed:03d}.jpg", photo(seed))
        save(root / f"{seed:03d}_mask.png", truth(seed))
    return root


def split_folders(root: Path) -> Path:
    for seed, split in all_images():
        save(root / split / "images" / f"{seed:03d}.jpg", photo(seed))
        save(root / split / "labels" / f"{seed:03d}.png", truth(seed))
    return root


def cityscapes(root: Path) -> Path:
    ids = np.array([7, 22, 1, 23], dtype=np.uint8)  # 1 is no class that is scored
    for seed, split in all_images():
        stem = f"aachen_{seed:06d}_000019"
        save(root / "leftImg8bit" / split / "aachen" / f"{stem}_leftImg8bit.png", photo(seed))
        for kind in ("labelIds", "instanceIds"):
            place = root / "gtFine" / split / "aachen" / f"{stem}_gtFine_{kind}.png"
            save(place, ids[truth(seed)])
        colour = root / "gtFine" / split / "aachen" / f"{stem}_gtFine_color.png"
        save(colour, COLOURS[truth(seed)])
    return root


def voc(root: Path, colour_of) -> Path:
    folder = root / "VOCdevkit" / "VOC2012"
    colours = np.array([colour_of(number) for number in (0, 7, 15, 2)], dtype=np.uint8)
    lists: dict[str, list[str]] = {"train": [], "val": [], "trainval": []}
    for seed, split in all_images():
        stem = f"2007_{seed:06d}"
        save(folder / "JPEGImages" / f"{stem}.jpg", photo(seed))
        mask = colours[truth(seed)]
        mask[14, 20:28] = colour_of(255)
        save(folder / "SegmentationClass" / f"{stem}.png", mask)
        save(folder / "SegmentationObject" / f"{stem}.png", mask)
        lists[split].append(stem)
        lists["trainval"].append(stem)
    place = folder / "ImageSets" / "Segmentation"
    place.mkdir(parents=True)
    for name, stems in lists.items():
        (place / f"{name}.txt").write_text("\n".join(stems), encoding="utf-8")
    return root


def palette(root: Path, colour_of) -> Path:
    """Store masks of ids 1 to 4, and 255, with a palette that begins at 0."""
    (root / "masks").mkdir(parents=True)
    for seed, _ in all_images():
        save(root / "images" / f"{seed:03d}.jpg", photo(seed))
        mask = (truth(seed) + 1).astype(np.uint8)
        mask[14, 20:28] = 255
        picture = Image.fromarray(mask, mode="P")
        picture.putpalette([part for number in range(256) for part in colour_of(number)])
        picture.save(root / "masks" / f"{seed:03d}.png")
    return root


def outlines(mask, number):
    found, _ = cv2.findContours(
        (mask == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return [line.reshape(-1, 2).astype(float) for line in found if len(line) > 2]


def labelme(root: Path) -> Path:
    for seed, _ in all_images():
        save(root / f"{seed:03d}.png", photo(seed))
        shapes = [
            {"label": label, "points": line.tolist(), "shape_type": "polygon"}
            for number, label in ((SAND, "Sand"), (ROCK, "Big rock"), (SKY, "sky"))
            for line in outlines(truth(seed), number)
        ]
        content = {"version": "5.4.1", "shapes": shapes, "imagePath": f"{seed:03d}.png"}
        (root / f"{seed:03d}.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def run_lengths(flag) -> list[int]:
    flat = np.concatenate([[0], flag.T.reshape(-1).astype(np.int64), [2]])
    places = np.flatnonzero(np.diff(flat)) if flat[1] == 0 else np.flatnonzero(np.diff(flat))[1:]
    ends = [0, *places.tolist()] if flat[1] == 0 else [0, 0, *places.tolist()]
    return np.diff(ends).tolist()


def coco(root: Path, *, further=()) -> Path:
    """Write polygons of sand and rock, run lengths of sky; `further` segmentations of rock."""
    for part, seeds in (("train2017", TRAINING), ("val2017", VALIDATION)):
        rows: list[dict[str, object]] = []
        for seed in seeds:
            save(root / part / f"{seed:03d}.jpg", photo(seed))
            mask = truth(seed)
            sky = {"size": [HEIGHT, WIDTH], "counts": run_lengths(mask == SKY)}
            rows.append({"image_id": seed, "category_id": SKY, "segmentation": sky})
            rows += [
                {"image_id": seed, "category_id": number, "segmentation": [line.ravel().tolist()]}
                for number in (SAND, ROCK)
                for line in outlines(mask, number)
            ]
        if part == "train2017":
            rows += [{"image_id": 0, "category_id": ROCK, "segmentation": more} for more in further]
        content = {
            "images": [{"id": seed, "file_name": f"{seed:03d}.jpg"} for seed in seeds],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows)],
            "categories": [{"id": number, "name": NAMES[number]} for number in (SAND, ROCK, SKY)],
        }
        (root / "annotations").mkdir(exist_ok=True)
        path = root / "annotations" / f"instances_{part}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    return root
