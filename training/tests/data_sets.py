"""Small data sets in the layouts in which the real ones are published."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from terrain_training.data.sources import earth_terrain, lunar_landscape

HEIGHT, WIDTH = 24, 32
STEM = "NLB_{clock:09d}EDR_F0540006NCAM00267M1"


def save(path: Path, values, *, suffix_arguments=()) -> None:
    """Write pixels, RGB or grey, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = values[..., ::-1] if values.ndim == 3 else values
    assert cv2.imwrite(str(path), np.ascontiguousarray(stored), list(suffix_arguments))


def picture(seed, *, channels=3, height=HEIGHT, width=WIDTH):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def scene(seed, mask, *, channels=3):
    """Return a noisy picture in which each class has a brightness of its own."""
    random = np.random.default_rng(seed)
    grey = (30 + 47 * mask.astype(np.int64)) % 256
    shape = (*mask.shape, channels) if channels > 1 else mask.shape
    level = grey[..., None] if channels > 1 else grey
    return np.clip(level + random.normal(0, 3, shape), 0, 255).astype(np.uint8)


def labels(seed, classes, *, height=HEIGHT, width=WIDTH):
    """Return a mask of blocks, so that nearest-neighbour scaling keeps it."""
    blocks = np.random.default_rng(seed).integers(0, classes, (height // 8, width // 8))
    return np.kron(blocks, np.ones((8, 8))).astype(np.uint8)


def colours_of(taxonomy, mask):
    return taxonomy.palette_rgb()[mask]


def lunar(root: Path, count=20, real=3):
    for index in range(count):
        mask = labels(index, 4)
        save(root / "images" / "render" / f"render{index:04d}.png", scene(index, mask))
        colours = colours_of(lunar_landscape.TAXONOMY, mask)
        save(root / "images" / "clean" / f"clean{index:04d}.png", colours)
        darkened = np.where(mask == 1, 0, mask).astype(np.uint8)
        ground = colours_of(lunar_landscape.TAXONOMY, darkened)
        save(root / "images" / "ground" / f"ground{index:04d}.png", ground)
    for index in range(real):
        mask = labels(100 + index, 4)
        save(root / "real_moon_images" / f"PCAM{index}.png", scene(100 + index, mask))
        colours = colours_of(lunar_landscape.TAXONOMY, mask)
        save(root / "real_moon_images" / f"g_PCAM{index}.png", colours)
    save(root / "real_moon_images" / "TCAM9.png", picture(999))
    return root


def mars_npz(path: Path, count=20, **arrays):
    random = np.random.default_rng(0)
    masks = np.stack([labels(index, 5, height=64, width=128) for index in range(count)])
    images = np.stack([scene(index, mask, channels=1) for index, mask in enumerate(masks)])
    pairs = np.stack([images, masks], axis=1)
    tests = random.integers(0, 256, (5, 64, 128), dtype=np.uint8)
    np.savez_compressed(path, **{"training_set": pairs, "test_set": tests, **arrays})
    return path


def pairs(root: Path, palette, count=6):
    """Write photograph and coloured mask side by side, as JPEG."""
    for split, number in (("train", count), ("val", 2)):
        for index in range(number):
            mask = labels(index, len(palette), height=64, width=64)
            both = np.hstack([scene(index, mask), palette[mask]])
            save(root / split / f"{index + 1}.jpg", both, suffix_arguments=(1, 90))
    return root


def earth(root: Path, count=8, *, binary=False):
    for index in range(count):
        taxonomy = earth_terrain.LAND if binary else earth_terrain.TAXONOMY
        mask = labels(index, len(taxonomy))
        colours = colours_of(taxonomy, mask)
        save(root / f"{index:04d}_t.png", scene(index, mask))
        save(root / f"{index:04d}_h.png", (picture(index, channels=1).astype(np.uint16) << 8))
        save(root / f"{index:04d}_i2.png", colours)
    return root


def folder(root: Path, taxonomy, count=12, *, by_colour=True, channels=3):
    for index in range(count):
        mask = labels(index, len(taxonomy))
        save(root / "images" / f"{index:03d}.png", picture(index, channels=channels))
        save(root / "masks" / f"{index:03d}.png", colours_of(taxonomy, mask) if by_colour else mask)
    return root


def ai4mars_published(root: Path, sessions=8, per_session=3):
    """Write sessions a day apart, with expert labels for one more."""
    for session in range(sessions + 1):
        for index in range(per_session):
            stem = STEM.format(clock=400_000_000 + session * 86_400 + index * 60)
            save(root / "msl" / "images" / "edr" / f"{stem}.JPG", picture(session, channels=1))
            mask = labels(session + index, 4)
            if session < sessions:
                save(root / "msl" / "labels" / "train" / f"{stem}.png", mask)
            else:
                gold = root / "msl" / "labels" / "test" / "masked-gold-min3-100agree"
                save(gold / f"{stem}_merged.png", mask)
            rover = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
            rover[:4] = 1
            save(root / "msl" / "images" / "mxy" / f"{stem}.png", rover)
    return root
