"""Tables, figures and the report, built from cells, spectra and the encoders' metadata alone."""
