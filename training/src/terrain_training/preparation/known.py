"""Names of classes that are known: their hazards and colours, and published sets of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from terrain_training.data.colours import Colour

CAUTIOUS = 1.0
"""The hazard of what is not known."""
_HAZARDS: Mapping[float, str] = {
    0.0: "sky vehicle rover lander",
    0.02: "soil regolith road",
    0.05: "ground floor pavement clear flat track path",
    0.1: "bedrock gravel dirt grass land grassland terrain sidewalk field",
    0.4: "sand dune dunes ripple ripples",
    0.5: "small_rock small_rocks pebbles",
    1.0: "rock rocks big_rock big_rocks large_rock boulder boulders stone stones crater craters "
    "cliff hole water obstacle person rider car truck bus train motorcycle bicycle building wall "
    "fence pole tree trees",
}
HAZARDS = {name: hazard for hazard, names in _HAZARDS.items() for name in names.split()}
NOT_GROUND = {"sky", "vehicle", "rover", "lander"}
_MILD = 0.4
"""Below this hazard a name of several words must hold known words only."""
_HARMLESS = {
    "bare", "bright", "brown", "compact", "dark", "dry", "even", "fine", "firm", "flat", "green",
    "grey", "gray", "hard", "level", "light", "lunar", "mars", "martian", "moon", "open", "paved",
    "red", "short", "smooth",
}  # fmt: skip
"""Words that make no ground more dangerous than its name says."""
IGNORED = {
    "ignore", "ignored", "void", "unlabeled", "unlabelled", "unlabel", "dontcare", "dont_care",
    "unknown", "border", "null", "ego_vehicle", "rectification_border", "out_of_roi",
}  # fmt: skip
COLOURS: dict[str, Colour] = {
    "soil": (176, 132, 92),
    "bedrock": (110, 142, 168),
    "sand": (232, 200, 108),
    "rock": (204, 52, 44),
    "big_rock": (204, 52, 44),
    "sky": (20, 24, 40),
}
"""As the shipped models show them."""
SPARE: tuple[Colour, ...] = (
    (148, 148, 156), (86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0),
    (0, 114, 178), (240, 228, 66), (140, 86, 75), (127, 201, 127), (190, 174, 212), (253, 192, 134),
    (56, 108, 176), (191, 91, 23), (102, 166, 30), (231, 41, 138), (117, 112, 179), (27, 158, 119),
    (166, 206, 227), (251, 154, 153),
)  # fmt: skip
VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
CITYSCAPES: dict[int, tuple[str, Colour]] = {
    7: ("road", (128, 64, 128)),
    8: ("sidewalk", (244, 35, 232)),
    11: ("building", (70, 70, 70)),
    12: ("wall", (102, 102, 156)),
    13: ("fence", (190, 153, 153)),
    17: ("pole", (153, 153, 153)),
    19: ("traffic_light", (250, 170, 30)),
    20: ("traffic_sign", (220, 220, 0)),
    21: ("vegetation", (107, 142, 35)),
    22: ("terrain", (152, 251, 152)),
    23: ("sky", (70, 130, 180)),
    24: ("person", (220, 20, 60)),
    25: ("rider", (255, 0, 0)),
    26: ("car", (0, 0, 142)),
    27: ("truck", (0, 0, 70)),
    28: ("bus", (0, 60, 100)),
    31: ("train", (0, 80, 100)),
    32: ("motorcycle", (0, 0, 230)),
    33: ("bicycle", (119, 11, 32)),
}
"""The 19 classes that are scored, by their label id (cityscapesScripts, `labels.py`)."""


def voc_colour(number: int) -> Colour:
    """Return the colour of a class of Pascal VOC: the bits of its number, spread over RGB."""
    red = green = blue = 0
    for place in range(8):
        red |= (number >> (3 * place) & 1) << (7 - place)
        green |= (number >> (3 * place + 1) & 1) << (7 - place)
        blue |= (number >> (3 * place + 2) & 1) << (7 - place)
    return red, green, blue


def hazard_of(name: str) -> tuple[float, str]:
    """Return the hazard to start from, and why, for a class of some name.

    Of several words the last must be known, and the most hazardous decides: `boulder_field` is as
    bad as `boulder`. A mild last word counts only beside known or harmless ones, since
    `unsafe_ground` and `rocky_terrain` are not what `ground` and `terrain` are.
    """
    if name in NOT_GROUND:
        return HAZARDS[name], "not ground"
    if name in HAZARDS:
        return HAZARDS[name], "by its name"
    words = name.split("_")
    ground = [word for word in words if word in HAZARDS and word not in NOT_GROUND]
    if words[-1] in ground:
        worst = max(ground, key=lambda word: HAZARDS[word])
        plain = all(word in HAZARDS or word in _HARMLESS for word in words)
        if plain or HAZARDS[worst] >= _MILD:
            return HAZARDS[worst], f"as {worst}"
    return CAUTIOUS, "unknown name: the cautious value; lower it if the vehicle can drive there"


def plain_name(text: str) -> str:
    """Return a name in lower case, with `_` between its words, in ASCII.

    Accents are dropped; a letter that has no other form in ASCII is named by its code, so that
    different labels stay different classes.
    """
    letters = []
    for letter in unicodedata.normalize("NFKD", text).casefold():
        if letter.isascii():
            letters.append(letter)
        elif letter.isalnum():
            letters.append(f"_u{ord(letter):04x}_")
    return re.sub(r"[^0-9a-z]+", "_", "".join(letters)).strip("_") or "class"
