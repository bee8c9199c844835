"""Fitting the second stage by gradient boosting (Friedman 2001, doi:10.1214/aos/1013203451)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..classifier.trees import JUDGED, BoostedTrees
from ..labels import Codes
from ..schema import Float32


@dataclass(frozen=True)
class TreePlan:
    """How the trees are grown: shallow and each on a part of beats and features, as there are few patients."""

    rounds: int = 200  # of a tree for each class
    leaves: int = 6
    learning_rate: float = 0.06
    least_beats: int = 150  # in a leaf
    penalty: float = 5.0  # on the squares of the leaves' values
    feature_share: float = 0.4  # that a tree may look at
    beat_share: float = 0.5  # that a round sees
    class_weight: tuple[float, ...] = (1.0, 1.2, 2.0)  # of a beat of each of JUDGED
    seed: int = 0


@dataclass(frozen=True, eq=False)
class RecordFeatures:
    """What is learned from one record."""

    features: Float32  # (n_beats, n_features), see ``classifier.record_features``
    code: Codes  # (n_beats,): what the reference says; beats of other classes than JUDGED are left out


def fit_trees(records: Sequence[RecordFeatures], plan: TreePlan) -> BoostedTrees:
    """Fit the trees; a record weighs as the square root of its number of beats."""
    import lightgbm  # needed by nobody who does not train  # noqa: PLC0415

    features = np.concatenate([record.features for record in records])
    code = np.concatenate([record.code for record in records])
    weight = np.concatenate([np.full(len(record.code), len(record.code) ** -0.5) for record in records])
    kept = (code >= 0) & (code < len(JUDGED))
    weight[kept] *= np.array(plan.class_weight)[code[kept]]
    parameters = {
        "objective": "multiclass", "num_class": len(JUDGED), "num_leaves": plan.leaves, "seed": plan.seed,
        "learning_rate": plan.learning_rate, "min_data_in_leaf": plan.least_beats, "lambda_l2": plan.penalty,
        "feature_fraction": plan.feature_share, "bagging_fraction": plan.beat_share, "bagging_freq": 1,
        "deterministic": True, "force_row_wise": True, "verbose": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(features[kept], code[kept], weight=weight[kept] / weight[kept].mean())
    booster = lightgbm.train(parameters, data, plan.rounds)
    return trees_of(booster.dump_model(), plan)


def trees_of(dumped: dict[str, Any], plan: TreePlan) -> BoostedTrees:
    """The trees of a LightGBM model as arrays."""
    trees = BoostedTrees.empty(plan.rounds * len(JUDGED), plan.leaves)
    for number, tree in enumerate(dumped["tree_info"]):
        _fill(trees, number, tree["tree_structure"], node=0, leaf=0)
    return trees


def _fill(trees: BoostedTrees, number: int, root: dict[str, Any], *, node: int, leaf: int) -> tuple[int, int]:
    """Write a subtree from the next free node and leaf on; return those that are free after it."""
    if "leaf_value" in root:
        trees.value[number, leaf] = root["leaf_value"]
        return node, leaf + 1
    after_left = _fill(trees, number, root["left_child"], node=node + 1, leaf=leaf)
    left = sum(1 << position for position in range(leaf, after_left[1]))
    trees.feature[number, node] = root["split_feature"]
    trees.threshold[number, node] = _at_most(root["threshold"])
    trees.left_open[number, node] = ~left
    return _fill(trees, number, root["right_child"], node=after_left[0], leaf=after_left[1])


def _at_most(threshold: float) -> float:
    """The largest number in single precision that is not above the threshold: features are compared with it."""
    single = np.float32(threshold)
    return float(single if single <= threshold else np.nextafter(single, np.float32(-np.inf)))
