"""LoRA with NMTune's regularisers on the features of the encoder that is tuned."""

from nml.tuning.methods._regularised import regularised

TRAINED = True
HEAD = "linear"
ENCODER = "lora"
EXTENDS = "_regularised.py"
PARAMETERS = {}

loss = regularised
