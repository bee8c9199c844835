"""What a model knows already: recordings that it, or the source that it rehearses, learned from prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..classifier.spec import model_digest
from ..evaluation.patients import PUBLISHED_HZ, learned_as
from ..schema import ModelSpec
from .material import Recording, Survey
from .source import REHEARSED, SOURCE, split_names


def for_model(survey: Survey, spec: ModelSpec) -> Survey:
    """A survey of recordings with what the model of a spec, which is gone on from, knows of them."""
    known = mark_known(survey.recordings, spec)
    return replace(survey, recordings=known, model_sha256=spec.sha256, model_digest=model_digest(spec))


def mark_known(recordings: Sequence[Recording], spec: ModelSpec) -> tuple[Recording, ...]:
    """The recordings, each with what the model of a spec learned of its patient, or rehearses, in ``known_as``.

    A recording is known again by its content wherever it lies. Records of published databases, which specs name, and
    recordings that models learned from whose specs hold no digests are known by their names.
    """
    own = [name for name in spec.trained_on if name.partition("/")[0] not in PUBLISHED_HZ]
    named = spec.trained_on
    if len(own) <= len(spec.learned_sha256):  # each is known by its content, whatever it is called
        named = tuple(name for name in spec.trained_on if name not in own)
    rehearsed = [f"{SOURCE}/{name}" for name in split_names(REHEARSED)]

    def known_as(recording: Recording) -> str:
        if recording.content_sha256 in spec.learned_sha256:
            return f"learned by {spec.name}"
        folders = Path(recording.path).parent.parts[::-1]
        for names, how in ((named, f"learned by {spec.name} as"), (rehearsed, "rehearsed as")):
            if found := learned_as(names, recording.name, folders=folders, fs_hz=recording.fs_hz):
                return f"{how} {found}"
        return ""

    return tuple(replace(recording, known_as=known_as(recording)) for recording in recordings)
