"""Full fine-tuning with NMTune's regularisers on the features of the encoder that is tuned."""

from nml.tuning.methods._regularised import regularised

TRAINED = True
HEAD = "linear"
ENCODER = "full"
EXTENDS = "_regularised.py"
PARAMETERS = {"batch_norm": "trained"}

loss = regularised
