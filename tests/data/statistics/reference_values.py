"""Makes reference_values.json: Wilcoxon signed-rank tests by SciPy, Holm's correction by statsmodels, quantiles by NumPy.

Run with the versions that it writes into the file:  python reference_values.py > reference_values.json
"""

import json
import warnings

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests

warnings.simplefilter("ignore")
random = np.random.default_rng(20240518)


def untied(n, shift):
    """Differences without ties or zeros, over many orders of magnitude."""
    return np.round(random.normal(shift, 1.0, n) * 10.0 ** random.integers(-3, 3, n), 9)


def tied(n, shift, zeros):
    """Differences of small integers: many ties, and zeros where asked for."""
    values = random.integers(-3, 5, n) + shift
    values[values == 0] = 0 if zeros else 1
    return values.astype(float)


def case(differences, method):
    chosen = stats.PermutationMethod(n_resamples=np.inf) if method == "permutation" else method
    result = stats.wilcoxon(differences, zero_method="wilcox", correction=False, method=chosen)
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    effect = float(np.sum(np.sign(kept) * ranks) / np.sum(ranks))
    i, j = np.triu_indices(len(differences))
    return {
        "method": method,
        "differences": differences.tolist(),
        "statistic": float(result.statistic),
        "p": float(result.pvalue),
        "effect": effect,
        "median": float(np.median(differences)),
        "hodges_lehmann": float(np.median((differences[i] + differences[j]) / 2)),
    }


wilcoxon = []
for n in [1, 2, 3, 5, 6, 8, 10, 12, 13, 14, 20, 30, 49, 50]:
    for shift in [0.0, 0.4, -2.0]:
        for method in ["exact", "auto", "asymptotic"]:
            wilcoxon.append(case(untied(n, shift), method))
for n in [2, 3, 5, 8, 10, 13, 16]:
    for shift, zeros in [(0, True), (1, False), (1, True), (-2, True)]:
        differences = tied(n, shift, zeros)
        if np.all(differences == 0):
            continue
        wilcoxon.append(case(differences, "permutation"))
for n in [5, 13, 14, 30, 50, 51, 80, 200]:
    for shift, zeros in [(0, True), (1, False), (-1, True)]:
        for method in ["auto", "asymptotic"]:
            wilcoxon.append(case(tied(n, shift, zeros), method))
for n in [51, 100]:
    for method in ["auto", "asymptotic"]:
        wilcoxon.append(case(untied(n, 0.3), method))

holm = []
for n in [1, 2, 3, 6, 28]:
    p = random.uniform(0, 1, n) ** 4
    if n > 3:
        p[2] = p[0]
    holm.append({"p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()})

quantiles = []
for n in [1, 2, 3, 4, 5, 10, 17]:
    values = random.normal(0, 3, n)
    quantiles.append({"values": values.tolist(), "quartiles": np.quantile(values, [0.25, 0.5, 0.75]).tolist()})

versions = {"scipy": scipy.__version__, "numpy": np.__version__, "statsmodels": statsmodels.__version__}
print(json.dumps({"versions": versions, "wilcoxon": wilcoxon, "holm": holm, "quantiles": quantiles}))
