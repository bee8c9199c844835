"""Fit the second stage of the general model: ``ECG_DATABASES=... python -m models.second_stage``.

The beats of each patient are classified by the network of ``models.general --fold K`` that does not know the patient,
on the program's own beats and leads. The trees learn from these what the reference says; those of a fold from the
patients of the other folds, those of the shipped model from all. The trees are written into the models of the folds
and into ``general.pt``. DS1's patients are left out: the networks know them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecg_core.classifier.chunks import quality_of
from ecg_core.classifier.classification import NOISE_ROUNDS
from ecg_core.classifier.leads import AUTO, choose_leads
from ecg_core.classifier.model import Model, load_model, uncalibrated
from ecg_core.classifier.network import BeatNetwork, TreeBuffers
from ecg_core.classifier.record_features import record_features
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.evaluation.matching import match_beats
from ecg_core.labels import UNLABELLED
from ecg_core.parallel import parallel_map
from ecg_core.pipeline import classify_candidates, predicted_beats, read_features
from ecg_core.schema import Record
from ecg_core.signals.filters import FS_HZ
from ecg_core.training.preparation import reference_beats
from ecg_core.training.second_stage import RecordFeatures, TreePlan, fit_trees
from models.command import add_fold_networks, parse, parser_of, print_line
from models.cross_validate import WITH_UNSEEN_PATIENTS, dealt_records
from models.databases import FOLDER
from models.general import FOLDS, NAME, fold_name

PLAN = TreePlan()
COMMAND = "python -m models.second_stage"


def record_to_learn(record: Record, model: Model) -> RecordFeatures:
    """The features of the beats that a network finds in a record, and what the reference says of them."""
    features = read_features(record, model, choose_leads(record, model, AUTO))
    kept, rr_s, predictions = classify_candidates(model, features, rounds=NOISE_ROUNDS)
    usable = quality_of(features, record.duration_s).usable_at(features.time_s[kept])
    beats = predicted_beats(features, kept, rr_s, predictions, usable)
    position, reference = reference_beats(record)
    marks, found = match_beats(position / FS_HZ, beats.time_s)
    code = np.full(len(beats), UNLABELLED)
    code[found] = reference[marks]
    return RecordFeatures(record_features(beats, features, kept), code)


def without_trees(model: Model) -> Model:
    """The first stage alone."""
    spec = replace(uncalibrated(model).spec, trees=())
    network = BeatNetwork(spec)
    network.load_state_dict(model.network.state_dict(), strict=False)  # the trees have no place in it
    return torch_model(spec, network.eval())


def with_trees(model: Model, records: list[RecordFeatures]) -> Model:
    """The model with a second stage that is fitted to some records."""
    trees = fit_trees(records, PLAN)
    recipe = model.spec.recipe.removesuffix(f"; {COMMAND}")
    spec = replace(model.spec, trees=trees.shape, recipe=f"{recipe}; {COMMAND}")
    network = without_trees(model).network
    network.trees = TreeBuffers(trees)
    return torch_model(spec, network)


def main() -> None:
    """Read all records by the networks of their folds, fit, and save."""
    parser = parser_of(__doc__)
    add_fold_networks(parser)
    options = parse(parser)
    paths = [options.runs / f"{fold_name(fold)}.pt" for fold in range(FOLDS)]
    models = [load_model(path) for path in paths]
    first = [without_trees(model) for model in models]
    dealt = [each for source in WITH_UNSEEN_PATIENTS for each in dealt_records(source, options.databases)]
    records = list(parallel_map(lambda each: record_to_learn(each[1], first[each[0].fold]), dealt))
    print_line(f"{len(records)} records, {sum(len(record.code) for record in records)} beats")
    for fold, (path, model) in enumerate(zip(paths, models, strict=True)):
        save_model(
            path, with_trees(model, [one for one, (row, _) in zip(records, dealt, strict=True) if row.fold != fold])
        )
        print_line(f"{path.stem}: second stage fitted")
    shipped = FOLDER / f"{NAME}.pt"
    save_model(shipped, with_trees(load_model(shipped), records))
    print_line(f"{NAME}: second stage fitted")


if __name__ == "__main__":
    main()
