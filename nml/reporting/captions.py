"""What each table and figure shows, and which interval it gives."""

TABLE_CAPTIONS = {
    "cells": "What was run: the tasks, test sets, methods and tuning seeds of each encoder.",
    "averages": "Averages over tasks (ID) and over test domains (OOD) in percent, ± half of the 95 % confidence "
    "interval, which covers test samples and seeds while the tasks are fixed. Controls: the untrained encoder, and the "
    "majority class, which uses no encoder and is therefore shown once per recipe, under the first method. "
    "†: fewer tasks than elsewhere in the group.",
    "per_task": "Accuracy on each test set in percent, mean ± standard deviation over seeds, against the percent of "
    "noise in pre-training. The majority class uses no encoder and is shown once.",
    "spectra": "Singular value entropy (SVE) and largest singular value ratio, LSVR = -log(sigma_1 / sum(sigma)), in "
    "nats, of the features of each test set, against the percent of noise in pre-training (mean over pre-training "
    "seeds). A larger LSVR means a smaller dominant singular value.",
    "singular_values": "Normalised singular values, sigma_k / sum(sigma), in percent: mean over the ID test sets and "
    "the pre-training seeds.",
    "associations": "Spearman correlation of the spectrum with the accuracy of linear probing, after removing the mean "
    "of each test set; p by permuting whole encoders, two-sided. With E encoders p cannot fall below 1/E!.",
    "pretraining": "Pre-training: the noise asked for (in the address) and realised, and accuracy on clean "
    "validation data.",
}

FIGURE_CAPTIONS = {
    "noise_curves": "ID and OOD accuracy against the percent of noise in pre-training, for each tuning method: "
    "averages over tasks (ID) and test domains (OOD) with 95 % confidence intervals. Dashed: linear probing on the "
    "untrained encoder; dotted: the majority class. A control far outside the axis is written at its lower edge.",
    "spectrum_scatter": "Singular value entropy (SVE) against ID accuracy, and largest singular value ratio, "
    "LSVR = -log(sigma_1 / sum(sigma)), against OOD accuracy; linear probing, one point for each encoder and test set. "
    "Above: as measured, lines join one test set. Below: minus the mean of the test set over the recipe's encoders, "
    "which is what the Spearman correlations are computed from; p by permuting whole encoders.",
    "pretraining_accuracy": "Accuracy of pre-training on clean validation data against the percent of noise; bars: "
    "range over pre-training seeds, where there are several.",
    "spectrum_decay": "Normalised singular values, sigma_k / sum(sigma), of the features against their rank k, both "
    "logarithmic: mean over the ID test sets, one line for each noise ratio. Grey: the untrained encoder.",
}
