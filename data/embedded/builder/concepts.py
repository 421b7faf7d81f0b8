"""Which emoji are the same concept, and which concepts belong to pre-training and which to downstream tasks.

Skin-tone, gender, age, hair-direction and clock-hour variants follow one concept, so that no drawing of it can be
met on both sides.
"""

from .samples import shuffled

PRETRAINING_SHARE = 0.62
SKIN_TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
SAME_CONCEPT = {
    **dict.fromkeys(("1f468", "1f469"), "1f9d1"),
    **dict.fromkeys(("1f466", "1f467"), "1f9d2"),
    **dict.fromkeys(("1f474", "1f475"), "1f9d3"),
    **dict.fromkeys(("1f934", "1f478"), "1fac5"),
    **dict.fromkeys(("1f46b", "1f46c", "1f46d"), "1f46b"),
    **{format(code, "x"): "1f550" for code in range(0x1F550, 0x1F568)},
    "1f936": "1f385",
    "1f57a": "1f483",
}


def normalise(code_points: str) -> str:
    """Return hyphen-joined lower-case code points without leading zeros and variation selectors."""
    parts = [format(int(part, 16), "x") for part in code_points.split("-")]
    return "-".join(part for part in parts if part != "fe0f")


def concept(code_points: str) -> str:
    """Return the code points of the concept that an emoji is a variant of."""
    parts = [part for part in normalise(code_points).split("-") if part not in SKIN_TONES]
    parts = [SAME_CONCEPT.get(part, part) for part in parts]
    parts = [part for part in parts if part not in {"2640", "2642", "27a1"}] or parts
    if parts[-1] == "20e3":
        return "20e3"
    joined = "-".join(parts).replace("200d-200d", "200d").removesuffix("-200d")
    if joined == "1f9d1-200d-1f91d-200d-1f9d1":
        return "1f46b"
    if joined == "1f9d1-200d-1f384":
        return "1f385"
    return joined


def pretraining_concepts(subgroup_of: dict[str, str]) -> frozenset[str]:
    """Return the concepts of the pre-training corpus: in each subgroup, the first 62 % in hashed order.

    All other concepts belong to the downstream tasks.

    Parameters
    ----------
    subgroup_of
        Concept -> its subgroup.
    """
    members: dict[str, list[str]] = {}
    for code, subgroup in subgroup_of.items():
        members.setdefault(subgroup, []).append(code)
    chosen = (shuffled(codes, "concept")[: round(PRETRAINING_SHARE * len(codes))] for codes in members.values())
    return frozenset(code for codes in chosen for code in codes)
