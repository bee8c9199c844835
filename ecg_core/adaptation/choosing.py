"""From what a user names, a folder, a database or studies, to recordings with a side for each patient."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..classifier.spec import DEFAULT_MODEL, read_spec
from ..errors import AdaptationError
from ..studies.store import open_store
from ..studies.study import find_one
from .identity import patient_key
from .known import for_model
from .material import Progress, Survey, survey_folder, survey_studies
from .published import SPLITS, is_published, names_of, published_folder
from .split import Side, propose_sides
from .task import plain_name


@dataclass(frozen=True)
class Chosen:
    """Recordings with a side for each patient, and a name for the model."""

    name: str
    survey: Survey
    sides: dict[str, Side]


def choose(
    named: Sequence[str],
    *,
    hold_out: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    seed: int = 0,
    studies: Path | None = None,
    model: Path = DEFAULT_MODEL,
    progress: Progress = lambda name, done, total: None,
) -> Chosen:
    """Recordings of a folder, of a database of PhysioNet by its name, or of studies.

    Parameters
    ----------
    hold_out, leave_out
        Patients on these sides; without any that are held out, a side is proposed for each.
    studies
        Folder of the store of studies.
    model
        Weights that are gone on from: patients that they know are not proposed to be held out.

    Raises
    ------
    AdaptationError
        A patient is not among them, several folders were named, or signals of a database are missing.
    EcgError
        A folder or study does not exist.

    """
    if len(named) == 1 and is_published(named[0]):
        folder = published_folder(named[0], names_of(named[0], *SPLITS))
        survey = for_model(survey_folder(folder, progress=progress), read_spec(model))
        held = names_of(named[0], SPLITS[-1])
        proposed = {one.patient: Side.HOLD_OUT if one.name in held else Side.LEARN for one in survey.recordings}
        return Chosen(f"adapted-{named[0]}", survey, _moved(proposed, hold_out, leave_out))
    if len(named) == 1 and Path(named[0]).is_dir():
        survey, name = survey_folder(Path(named[0]), progress=progress), Path(named[0]).resolve().name
    elif any(Path(one).is_dir() for one in named):
        raise AdaptationError(f"{', '.join(named)}: expected one folder, or studies, of one recorder.")
    else:
        with closing(open_store(studies)) as store:
            survey = survey_studies(store, [find_one(store, one) for one in named], progress=progress)
        name = "studies"
    survey = for_model(survey, read_spec(model))
    proposed = propose_sides(survey.recordings, seed=seed)
    if hold_out:
        proposed = dict.fromkeys(proposed, Side.LEARN)
    return Chosen(plain_name(f"adapted-{name}"), survey, _moved(proposed, hold_out, leave_out))


def _moved(sides: dict[str, Side], hold_out: Sequence[str], leave_out: Sequence[str]) -> dict[str, Side]:
    known = {patient_key(patient): patient for patient in sides}
    unknown = [patient for patient in (*hold_out, *leave_out) if patient_key(patient) not in known]
    if unknown:
        raise AdaptationError(f"{', '.join(unknown)}: no such patient, expected some of {', '.join(sorted(sides))}.")
    moved = dict(sides)
    for named, side in ((hold_out, Side.HOLD_OUT), (leave_out, Side.LEAVE_OUT)):
        moved |= {known[patient_key(patient)]: side for patient in named}
    return moved
