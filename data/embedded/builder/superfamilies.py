"""Which font families share letter shapes: families drawn as one system, or one derived from the other."""

MEMBERS = {
    "noto": (
        "noto-kufi-arabic",
        "noto-sans",
        "noto-sans-arabic",
        "noto-sans-devanagari",
        "noto-sans-khmer",
        "noto-sans-tamil",
        "noto-sans-telugu",
        "noto-sans-thai",
        "noto-serif",
    ),
    # Heebo adds Hebrew to Roboto.
    "roboto": ("roboto", "roboto-mono", "roboto-slab", "heebo"),
    # Assistant adds Hebrew to Source Sans; DM Serif Display is derived from Source Serif.
    "source": ("source-code-pro", "source-sans-3", "source-serif-4", "assistant", "dm-serif-display"),
    # DM Sans is derived from Poppins.
    "poppins": ("poppins", "dm-sans", "dm-mono"),
    "ibm-plex": ("ibm-plex-mono", "ibm-plex-sans-arabic", "ibm-plex-serif"),
    "fira": ("fira-code", "fira-sans"),
    "hind": ("hind", "hind-siliguri"),
    "lobster": ("lobster", "lobster-two"),
    # Amiri takes its Latin letters from Crimson.
    "crimson": ("crimson-pro", "amiri"),
}
SUPERFAMILY = {family: name for name, families in MEMBERS.items() for family in families}


def superfamily(family: str) -> str:
    """Return the superfamily of a font family; most families are their own."""
    return SUPERFAMILY.get(family, family)
