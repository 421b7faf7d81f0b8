"""Pre-training of encoders on clean or noisy supervision."""
