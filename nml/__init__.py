"""The Noisy Model Learning benchmark: what noise in pre-training data does to an encoder, and what mends it."""

__version__ = "0.1.0"
