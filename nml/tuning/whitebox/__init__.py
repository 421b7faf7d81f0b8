"""Tuning that changes the encoder: all of it, or adapters in it, with a linear head; one network a seed.

`run` says what is tuned, `training` does it, and `tune` puts the two together.

The encoder stays in evaluation mode, without dropout or stochastic depth, so that it is a function of its weights and
images alone; only its batch norms may be told to train. Whatever is drawn (the head, the order of the samples, the
changes of the images) comes from the seed, the epoch and the step: a resumed run ends with the same bits on the CPU.

Test labels are no argument of anything here.
"""
