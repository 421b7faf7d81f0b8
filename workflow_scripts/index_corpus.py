"""Adapter of rule index_corpus: read and check every sample of a corpus once."""

from pathlib import Path

from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.jobs import job

with job(snakemake):
    index_corpus(open_corpus(snakemake.wildcards.corpus), Path(snakemake.output.manifest).parent)
