"""What each table and figure shows, and which interval it gives.

The files of `report/` repeat these texts for Snakemake's report; a test keeps them equal.
"""

import pandas as pd

from nml.grid import RELEASED, UNTRAINED
from nml.reporting.labels import HEADLINE_METRIC
from nml.reporting.matrix import matrix_note

DEPENDENT = (
    "OOD domains show the same concepts and may share images: they are not independent of each other, so the OOD "
    "interval may be too narrow."
)
"""What no interval of an OOD average knows."""
_INTERVAL = (
    "The 95 % interval covers seeds and test samples; a drawing or a font counts once, not each of its images. "
    f"The tasks are fixed. {DEPENDENT}"
)

TABLE_CAPTIONS = {
    "claims": "The claims of the papers, judged by accuracy with all of the training data. C1: linear probing, mean "
    "over the noise ratios up to 10 % minus clean, over ID tasks. C2: the noise ratio that loses least against clean, "
    "over OOD test domains. C3: Spearman correlation within tasks. C4: NMTune minus the method without it, on noisy "
    "encoders. C5: the condition that speaks least for C1 or C2. In brackets the 95 % interval over test samples and "
    f"seeds of these tasks; for C3 the jackknife's over encoders. {DEPENDENT} Supported: the interval is on the side "
    "of the claim and p (of several conditions the largest), corrected by Holm within the claim, is below 0.05; "
    "contradicted: so on the other side (p of several conditions: the smallest, times their number); undecided: "
    "neither, or the matrix lacks what is named, of which nothing is supported. Claims about noise need two "
    "pre-training seeds. A claim is supported if all its parts are, contradicted if one is; its numbers are those of "
    "the part that decides.",
    "cells": "What was run: the tasks, test sets, methods and tuning seeds of each encoder. The Parquet file holds all "
    "rows of all cells.",
    "averages": "Averages over tasks (ID) and over test domains (OOD) in percent, ± half of the 95 % confidence "
    f"interval, for each metric. {_INTERVAL} The test set in an OOD task's own domain, the style that the head is "
    "trained on, is in neither average; the Parquet file has it as the group source. Controls: the untrained encoder, "
    "and the majority class, which uses no encoder and is therefore shown once per recipe, under the first method. "
    "†: fewer tasks than elsewhere in the group, or cells are missing, which the Parquet file names.",
    "differences": "Paired differences in accuracy, in points: each noise ratio minus clean pre-training, and one "
    "method minus another on the same encoder. Pairs share test samples and seeds. In brackets the 95 % confidence "
    "interval over other test samples and seeds of the same tasks; a drawing or a font counts once. "
    f"{DEPENDENT} p is two-sided and corrected by Holm within a recipe, a group and a kind of comparison (noise, or "
    "methods). With one pre-training seed the chance of pre-training, which moves all tasks of an encoder together, is "
    "in neither: then they tell that these encoders differ, not that noise is why. d: mean over tasks (ID) or test "
    "domains (OOD) divided by the standard deviation over them (Cohen's d of paired samples). improved: the tasks or "
    "domains whose difference is above zero. The Parquet file also has Student's interval and p over tasks, which "
    "speak about other tasks.",
    "ranks": "Average rank of each tuning method over ID tasks, or OOD test domains, by its accuracy averaged over the "
    "trained encoders of a recipe and all seeds; 1 is best. Two methods differ if their ranks do by more than "
    "Nemenyi's critical difference (95 %). Friedman p: of no difference between any of them. Both take the tasks as "
    "independent, which OOD domains are not. Where a method lacks a cell, its encoder counts for no method on that "
    "task; missing: the cells that the recipe lacks in the group.",
    "fractions": "Accuracy in percent, ± half of the 95 % confidence interval, against the percent of each task's "
    "training data that the method learned from: averages over tasks (ID) and test domains (OOD). The interval covers "
    "seeds and test samples. Empty where the configuration asks for one percent alone.",
    "ablations": "Variants of a tuning method, entries of the configuration with other hyper-parameters, minus the "
    "entry that bears the method's own name (or its first variant): accuracy in percent with all of the training data, "
    "and the paired difference in points with its 95 % interval over test samples and seeds; mean over the trained "
    "encoders of a recipe, each noise alike. p is corrected by Holm within a recipe, a group and a method. Empty "
    "where the configuration has no variants.",
    "per_task": "Accuracy on each test set in percent against the percent of noise in pre-training: mean ± standard "
    "deviation across pre-training seeds (of the means over tuning seeds), or across tuning seeds where there is one "
    "pre-training seed. Group source: the OOD task's own domain, the style that the head is trained on, with other "
    "test samples (in the embedded task by another artist). The majority class uses no encoder and is shown once; the "
    "other control is the untrained encoder.",
    "published": "Published values that have a source, in percent, beside ours where the matrix has the same corpus, "
    "recipe, noise, task and method (Parquet: all of them). Ours: mean over seeds, with its 95 % interval over test "
    "samples and seeds; within: whether the interval holds the published value, which has none. For pre-training there "
    "is no interval.",
    "zoo": "The released encoders: how noisy the data was that they saw is not known. Accuracy in percent, ± half of "
    "the 95 % confidence interval, averaged over ID tasks and over OOD test domains, as many as the column tasks says; "
    "singular value entropy (SVE) and LSVR of the features, in nats, averaged over the same (no interval; a larger "
    "LSVR means a smaller dominant singular value); and the paired differences of NMTune, in points, with their 95 "
    "% interval. Intervals cover test samples and tuning seeds. †: cells are missing. Empty where the configuration "
    "names no released encoder.",
    "spectra": "Singular value entropy (SVE) and largest singular value ratio, LSVR = -log(sigma_1 / sum(sigma)), in "
    "nats, of the features of each test set, against the percent of noise in pre-training (mean over pre-training "
    "seeds; no interval). A larger LSVR means a smaller dominant singular value.",
    "tuned_spectra": "SVE over the ID test sets and LSVR over the OOD test sets, in nats, of what each tuning method "
    "makes of the features, which its classifier sees, against the percent of noise in pre-training: mean over tuning "
    "seeds and the test sets that all encoders and methods of a recipe have (Parquet: each cell and test set). "
    "Interval: 95 %, Student's t over pre-training seeds; none with one. LP leaves the features as they are.",
    "singular_values": "Normalised singular values, sigma_k / sum(sigma), in percent: mean over the ID test sets and "
    "the pre-training seeds; no interval.",
    "associations": "Spearman correlation of the spectrum with the accuracy of linear probing on trained encoders, "
    "after removing the mean of each test set and pre-training seed; in brackets the jackknife's approximate 95 % "
    "interval over encoders; p, two-sided, by permuting whole encoders within a pre-training seed, since the points of "
    "one encoder are not independent. p cannot fall below 1 over the number of permutations tried: E! for up to 7 "
    "encoders of one seed, at most 5040.",
    "pretraining": "Pre-training: the noise asked for (in the address) and realised, and accuracy on clean "
    "validation data; no interval.",
    "run_times": "Run time of tuning: wall time while the heads of a cell trained, on the device that ran them, from "
    "the metadata beside the cells. The seeds of a cell, and all candidates of its search, count together. No "
    "interval.",
    "cost": "What the jobs cost that led to the present outputs, tries that failed or were asked to stop included, by "
    "the records beside their logs, else by Snakemake's benchmarks; killed tries are not known. Memory is of the "
    "largest process, GPU memory of one device; energy is of the GPUs alone, where the driver tells it. No interval.",
    "datasets": "The downstream data sets: test samples as in the cells, the rest as the data set describes itself; "
    "'-' where it is not on the machine that made this table. The metric of all is accuracy; mean per-class accuracy "
    "and macro F1 are in the cells too.",
    "matrix": "What of the matrix is there: of each encoder the cells in each state, and each failed cell with its "
    "error and its log. The Parquet file has every cell.",
    "learning": "How each pre-training went, from its log; the Parquet file has every epoch. The loss is over the "
    "noisy data, the accuracy on clean validation data; no interval.",
}

FIGURE_CAPTIONS = {
    "noise_curves": "ID and OOD accuracy against the percent of noise in pre-training, for each tuning method: "
    f"averages over tasks (ID) and test domains (OOD). {_INTERVAL} Dashed: linear probing on the "
    "untrained encoder; dotted: the majority class. A control far outside the axis is written at its lower edge.",
    "fraction_curves": "Accuracy of linear probing against the percent of each task's training data that it learned "
    "from, one line for each noise ratio: averages over tasks (ID) and test domains (OOD). Empty where the "
    f"configuration asks for one percent alone. {_INTERVAL}",
    "spectrum_scatter": "Singular value entropy (SVE) against ID accuracy, and largest singular value ratio, "
    "LSVR = -log(sigma_1 / sum(sigma)), against OOD accuracy; linear probing, one point for each encoder and test set. "
    "Above: as measured, lines join one test set. Below: minus the mean of the test set over the recipe's encoders of "
    "the same pre-training seed, which is what the Spearman correlations are computed from; p by permuting whole "
    "encoders, of which there are E; each recipe's line is the least-squares fit.",
    "pretraining_accuracy": "Accuracy of pre-training on clean validation data against the percent of noise; bars: "
    "range over pre-training seeds, where there are several.",
    "learning_curves": "Loss over the noisy training data (above) and accuracy on clean validation data (below) by "
    "epoch, one line for each noise ratio: means over the pre-training seeds.",
    "spectrum_decay": "Normalised singular values, sigma_k / sum(sigma), of the features against their rank k, both "
    "logarithmic: mean over the ID test sets, one line for each noise ratio; below, divided by those of clean "
    "pre-training. Shares up to 1e-6 are left out. Grey: the untrained encoder.",
    "tuned_spectrum_curves": "Accuracy, and the spectrum of what tuning makes of the features, which the classifier "
    "sees, against the percent of noise in pre-training: ID accuracy, SVE over the ID test sets, OOD accuracy, and "
    "LSVR over the OOD test sets, a row for each recipe and noise kind. Bars of the accuracy: 95 % interval over seeds "
    "and test samples; of SVE and LSVR: over pre-training seeds, none with one. LP leaves the features as they are.",
    "per_task_curves": "Accuracy on each ID task and OOD test domain against the percent of noise in pre-training: "
    "linear probing, one line for each recipe and noise kind. The 95 % interval covers seeds and test samples of the "
    "test set.",
    "run_time": "Accuracy, mean over the trained encoders and over ID tasks or OOD test domains, against the run time "
    "of a cell, mean over all encoders and tasks, for each tuning method; no interval.",
    "critical_difference": "Average rank of each tuning method over ID tasks and over OOD test domains, accuracy "
    "averaged over the trained encoders of a recipe and all seeds. A bar joins methods that Nemenyi's test does not "
    "tell apart: their ranks differ by less than the critical difference, CD (95 %). It takes tasks as independent; "
    "OOD domains that show the same concepts are not.",
}


NOISE_CAPTION = (
    "What one noise did to one corpus, at its highest percent. Left, where there are classes: how many samples of each "
    "class (down) were given another (across), for captions the class of the sample that the caption was taken from. "
    "Right: corrupted samples with their clean label or caption above, and the noisy one below in red."
)


TASK_CAPTION = (
    "The training data of each task. Left: samples of every class, or of classes spread evenly over all; right: how "
    "many samples each class has. What a configuration adds, noise in the labels or parts of the data, is not shown."
)


def seed_counts(averages: pd.DataFrame) -> dict[str, int]:
    """Return the fewest `pretrain_seeds` and `tuning_seeds` behind an average of an encoder that was trained here.

    Where none was, all averages are counted.
    """
    rows = averages[(averages["metric"] == HEADLINE_METRIC) & averages["value"].notna()]
    trained = rows[~rows["noise_kind"].isin([UNTRAINED, RELEASED])]
    rows = trained if len(trained) else rows
    return {name: int(rows[name].min()) for name in ("pretrain_seeds", "tuning_seeds")}


def seeds_note(averages: pd.DataFrame) -> str:
    """Say which seeds the numbers rest on, and what they therefore cannot tell; made for the end of a caption."""
    counts = seed_counts(averages)
    text = f"Pre-training seeds: {counts['pretrain_seeds']}; tuning seeds: {counts['tuning_seeds']}."
    if counts["pretrain_seeds"] < 2:
        text += " Nothing here covers luck in pre-training."
    if max(counts.values()) < 2:
        text += " Nothing here covers luck in tuning."
    return text


def closing_note(averages: pd.DataFrame, matrix: pd.DataFrame) -> str:
    """Return what ends every caption: the seeds, and what of the matrix is not there."""
    return " ".join(filter(None, [seeds_note(averages), matrix_note(matrix)]))
