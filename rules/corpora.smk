rule index_corpus:
    input:
        info=ancient(corpus_info),
    output:
        index="results/corpora/{corpus}/index.parquet",
        manifest="results/corpora/{corpus}/manifest.json",
    log:
        "results/logs/index_corpus/{corpus}.log",
    benchmark:
        "results/benchmarks/index_corpus/{corpus}.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        data=lambda wildcards: digest(corpus_info(wildcards)),
        code=code("index_corpus"),
    script:
        "../workflow_scripts/index_corpus.py"
