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
    params:
        data=corpus_data,
        code=code("index_corpus"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/index_corpus.py"
