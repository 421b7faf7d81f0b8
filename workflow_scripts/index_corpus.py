"""Adapter of rule index_corpus: read and check every sample of a corpus once."""

from pathlib import Path

from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.jobs import job

# The worker processes import this file.
if __name__ == "__main__":
    with job(snakemake):
        index_corpus(
            corpus=open_corpus(snakemake.wildcards.corpus),
            out_dir=Path(snakemake.output.manifest).parent,
            workers=snakemake.threads,
            progress_dir=Path(snakemake.params.progress),
        )
