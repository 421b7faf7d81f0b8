"""The hyper-parameters that every method has which changes the encoder; literals that `nml.plugins` reads."""

PARAMETERS = {
    "encoder_rate": 1.0,
    "initial_head": "random",
    "crop_scale": 0.8,
    "flip": True,
    "batch_norm": "frozen",
    "micro_batch_size": 0,
    "precision": "fp32",
    "compile": False,
}
BOUNDS = {"encoder_rate": (0, None), "crop_scale": (0.01, 1), "micro_batch_size": (0, None)}
CHOICES = {
    "initial_head": ("random", "linear-probe"),
    "batch_norm": ("frozen", "trained"),
    "precision": ("fp32", "bf16"),
}
