"""Tuning, one file per method: heads on frozen features, all in one vectorised pass, and encoders, one at a time.

This package imports in milliseconds; `engine`, `whitebox`, `losses`, `heads` and the methods import torch.
"""
