"""Tuning: classification heads trained on frozen features, one file per method, all heads in one vectorised pass.

This package imports in milliseconds; `engine`, `losses`, `heads` and the methods import torch.
"""
