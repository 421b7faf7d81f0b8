"""One file an on-disk format.

Each has `OPTIONS`, what a catalogue entry tells it with the defaults (None where it must), and
`open_samples(place, classes, **options) -> Samples`, which raises `UserError` where a file that names or labels the
samples is missing or damaged.
"""
