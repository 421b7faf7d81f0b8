"""Trained encoders by their address: `nml.encoders.load("emoji/resnet-mini/symmetric-20/s0")`."""

from nml.encoders.load import LoadedEncoder, identify, load

__all__ = ["LoadedEncoder", "identify", "load"]
