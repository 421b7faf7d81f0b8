"""Tables, figures and the report, built from cells, predictions, spectra and the encoders' metadata."""
