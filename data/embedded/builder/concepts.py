"""Which emoji are the same concept, and which concepts belong to pre-training and which to downstream tasks.

Skin-tone, gender, age and hair variants, recolours, turned or mirrored drawings, sizes and clock hours follow one
concept, so that no drawing of it can be met on both sides. Different things that look alike (two moods of a face, a
wolf and a fox) are different concepts.
"""

from .samples import shuffled

PRETRAINING_SHARE = 0.62
SKIN_TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
ROLES = {
    **dict.fromkeys(("1f468", "1f469", "1f466", "1f467", "1f9d2", "1f474", "1f475", "1f9d3", "1f476"), "1f9d1"),
    **dict.fromkeys(("1f934", "1f478"), "1fac5"),
    **{format(code, "x"): "1f550" for code in range(0x1F550, 0x1F568)},
}
# The first code of each row names the concept; the others are the same drawing in another colour, direction or size.
FAMILIES = (
    "1f9d1 1f9d1-200d-1f9b0 1f9d1-200d-1f9b1 1f9d1-200d-1f9b2 1f9d1-200d-1f9b3 1f471 1f9d4",
    "1f46b 1f46c 1f46d 1f9d1-200d-1f91d-200d-1f9d1",
    "1f48f 1f9d1-200d-2764-200d-1f48b-200d-1f9d1",
    "1f491 1f9d1-200d-2764-200d-1f9d1",
    "1f930 1fac3 1fac4",
    "1f931 1f9d1-200d-1f37c",
    "1f385 1f936 1f9d1-200d-1f384",
    "1f483 1f57a",
    "1f642-200d-2194 1f642-200d-2195",
    "1f448 1f449 1f446 1f447 261d",
    "1faf1 1faf2",
    "1faf3 1faf4",
    "1faf7 1faf8",
    "1f44d 1f44e",
    "1f91b 1f91c",
    "270a 1f44a",
    "270b 1f91a 1f590",
    "2764 1fa77 1f9e1 1f49b 1f49a 1f499 1fa75 1f49c 1f90e 1f5a4 1fa76 1f90d 2665",
    "26ab 1f534 1f7e0 1f7e1 1f7e2 1f535 1f7e3 1f7e4 26aa",
    "2b1b 1f7e5 1f7e7 1f7e8 1f7e9 1f7e6 1f7ea 1f7eb 2b1c 25fc 25fb 25fe 25fd 25aa 25ab 1f533 1f532",
    "1f536 1f537 1f538 1f539",
    "1f53a 1f53b",
    "1f43b 1f43b-200d-2744",
    "1f408 1f408-200d-2b1b",
    "1f426 1f426-200d-2b1b",
    "1f415 1f9ae 1f415-200d-1f9ba",
    "1f424 1f425",
    "1f42a 1f42b",
    "1f34b 1f34b-200d-1f7e9",
    "1f344 1f344-200d-1f7eb",
    "1f34e 1f34f",
    "26c5 1f324 1f325",
    "1f3e0 1f3e1",
    "1f3b5 1f3b6",
    "1f464 1f465",
    "1f693 1f694",
    "1f695 1f696",
    "1f697 1f698",
    "1f68c 1f68d",
    "1f4f1 1f4f2",
    "1f4d5 1f4d7 1f4d8 1f4d9",
    "1f4b5 1f4b4 1f4b6 1f4b7",
    "1f4bf 1f4c0",
    "26be 1f94e",
    "1f947 1f948 1f949",
    "2753 2754",
    "2757 2755",
    "274c 274e",
    "27b0 27bf",
    "1f30d 1f30e 1f30f",
    "1f311 1f312 1f313 1f314 1f315 1f316 1f317 1f318",
    "1f31a 1f31d",
    "1f31b 1f31c",
    "2b06 2197 27a1 2198 2b07 2199 2b05 2196",
    "2195 2194",
    "21a9 21aa",
    "2934 2935",
    "25b6 25c0 1f53c 1f53d",
    "23e9 23ea 23eb 23ec",
    "23ed 23ee",
    "1f501 1f502",
    "1f505 1f506",
    "1f170 1f171 1f17e 1f18e",
    "20e3 1f51f",
    "1f50d 1f50e",
    "1f508 1f507 1f509 1f50a",
    "1f514 1f515",
    "1f4f7 1f4f8",
    "1f50b 1faab",
    "1f512 1f513 1f50f 1f510",
    "1f4e4 1f4e5",
    "1f4ea 1f4eb 1f4ec 1f4ed",
    "1f4c1 1f4c2",
    "1f4c8 1f4c9",
    "1f6a5 1f6a6",
    "1f6b0 1f6b1",
    "1f6b9 1f6ba",
    "1f6eb 1f6ec",
    "1f9bc 1f9bd",
    "2602 2614 26f1",
    "2603 26c4",
    "231b 23f3",
)
SAME_CONCEPT = {code: row.split()[0] for row in FAMILIES for code in row.split()[1:]}


def normalise(code_points: str) -> str:
    """Return hyphen-joined lower-case code points without leading zeros and variation selectors."""
    parts = [format(int(part, 16), "x") for part in code_points.split("-")]
    return "-".join(part for part in parts if part != "fe0f")


def concept(code_points: str) -> str:
    """Return the code points of the concept that an emoji is a variant of."""
    parts = [part for part in normalise(code_points).split("-") if part not in SKIN_TONES]
    parts = [ROLES.get(part, part) for part in parts]
    parts = [part for part in parts if part not in {"2640", "2642", "27a1"}] or parts
    if parts[-1] == "20e3":
        return "20e3"
    joined = "-".join(parts).replace("200d-200d", "200d").removesuffix("-200d")
    people = joined.split("-200d-")
    if len(people) > 1 and set(people) == {"1f9d1"}:
        return "1f46a"
    return SAME_CONCEPT.get(joined, joined)


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
