"""Pre-training corpora: labelled or captioned images, in WebDataset shards or class folders."""
