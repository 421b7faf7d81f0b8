rule index_corpus:
    output:
        index="results/corpora/{corpus}/index.parquet",
        manifest="results/corpora/{corpus}/manifest.json",
    log:
        "results/logs/index_corpus/{corpus}.log",
    benchmark:
        "results/benchmarks/index_corpus/{corpus}.jsonl"
    params:
        # In place of an input: the data may lie elsewhere on another machine, which must not make anything run again.
        data=corpus_data,
        # Not a declared output, so that it survives a kill: the next try goes on with the shards that are left.
        progress="results/progress/index/{corpus}",
        code=code("index_corpus"),
    threads: 8
    resources:
        mem_mb=asks("index_corpus", "mem_mb", corpus_samples),
        runtime=asks("index_corpus", "runtime", corpus_samples),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/index_corpus.py"
