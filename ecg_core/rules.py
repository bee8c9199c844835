"""What a reader can choose: definitions of rhythm events as numbers, and how readily beats are called V or S.

Every report prints what it was made with. What a sensitivity means belongs to a model: its operating points, which
``models/operating_points.py`` chooses and measures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

from .errors import RulesError

AHA_2017 = "AHA/ACC/HRS 2017, doi:10.1016/j.jacc.2017.10.054"
CINC_2015 = "PhysioNet/CinC Challenge 2015, doi:10.1088/0967-3334/37/8/E5"
EC57 = "ANSI/AAMI EC57"
ESC_2020 = "ESC 2020, doi:10.1093/eurheartj/ehaa612"
COPENHAGEN = "Copenhagen Holter Study: Binici 2010, doi:10.1161/CIRCULATIONAHA.109.874982"
COSEN = "Lake & Moorman 2011, doi:10.1152/ajpheart.00561.2010"
ONSET = "onset criterion of ICDs; ESC 2019, doi:10.1093/eurheartj/ehz467"
OUR_SETS = "set on mitdb DS1, svdb, ltdb and qtdb"
TANAKA = "208 - 0.7 age + 2 SD: Tanaka 2001, doi:10.1016/S0735-1097(00)01054-8"
TASK_FORCE = "Task Force 1996, doi:10.1161/01.CIR.93.5.1043"

HIGH, BALANCED, PRECISE = "high", "balanced", "precise"
FEW_PER_HOUR = 10.0  # a smaller number of false beats is printed with a decimal
SENSITIVITIES: Final[dict[str, str]] = {HIGH: "High sensitivity", BALANCED: "Balanced", PRECISE: "High precision"}


class Rule(NamedTuple):
    """One definition with its value and bounds, as it is shown to a reader."""

    key: str
    says: str
    value: float
    unit: str
    source: str
    lowest: float
    highest: float
    is_whole: bool

    def problem_of(self, value: object) -> str:
        """What is wrong with a value for this rule; empty where it is right."""
        if not isinstance(value, int | float):
            return f"expected a number, got {value!r}"
        if not self.lowest <= value <= self.highest:
            return f"expected {self.lowest:g} to {self.highest:g} {self.unit}".rstrip() + f", got {value:g}"
        return f"expected a whole number, got {value:g}" if self.is_whole and value % 1 else ""


def _rule(default: float, says: str, unit: str, source: str, lowest: float, highest: float) -> Any:
    return field(default=default, metadata={"rule": (says, unit, source, lowest, highest)})


@dataclass(frozen=True)
class RhythmRules:
    """Thresholds that define runs, pauses, rates, fibrillation and the limits of a burden, and the sensitivity.

    Raises
    ------
    RulesError
        A value lies outside the bounds of its rule, or the sensitivity is none of SENSITIVITIES.

    """

    run_min_beats: int = _rule(3, "A run is ectopic beats in a row, at least", "beats", EC57, 3, 10)
    vt_bpm: float = _rule(100.0, "A run is a tachycardia if faster than", "bpm", AHA_2017, 60, 200)
    sustained_s: float = _rule(30.0, "A tachycardia is sustained if longer than", "s", AHA_2017, 5, 120)
    vf_min_s: float = _rule(4.0, "Ventricular fibrillation or flutter lasts at least", "s", CINC_2015, 2, 30)
    asystole_s: float = _rule(4.0, "An asystole is a stretch without a beat of at least", "s", CINC_2015, 3, 30)
    pattern_min_cycles: int = _rule(3, "Bigeminy, trigeminy: cycles in a row, at least", "cycles", "HScribe", 2, 20)
    pause_s: float = _rule(3.0, "A pause is an RR of at least", "s", "Solomon 2016", 1.5, 10)
    af_pause_s: float = _rule(5.0, "A pause in atrial fibrillation is an RR of at least", "s", "CardioScan", 1.5, 10)
    long_rr_s: float = _rule(2.0, "A long RR is one of at least", "s", "CardioScan", 1, 10)
    slow_bpm: float = _rule(50.0, "Bradycardia is a heart rate below", "bpm", "ACLS", 20, 80)
    fast_bpm: float = _rule(100.0, "Tachycardia is a heart rate above", "bpm", "ACLS", 80, 200)
    rate_min_s: float = _rule(30.0, "Brady- and tachycardia last at least", "s", "HScribe", 5, 600)
    af_min_s: float = _rule(30.0, "An episode of atrial fibrillation lasts at least", "s", ESC_2020, 10, 600)
    af_probability: float = _rule(
        0.32, "Fibrillation: probability by the network above", "", "where the model gives one", 0.05, 0.99
    )
    af_entropy: float = _rule(-1.4, "... or entropy of the normal RR (CoSEn) above", "", COSEN, -3, 1)
    af_entropy_p: float = _rule(
        4.0, "... and above that by so much if all before the QRS repeats (P)", "", "set on mitdb 201 and 203", 0, 20
    )
    af_intervals: int = _rule(30, "... over so many normal RR", "RR", "set on mitdb 201 and 203; Lake: 12", 12, 60)
    af_normal_share: float = _rule(
        0.2, "... where at least this share of the RR are normal ones", "", "set on mitdb 201 and 203", 0, 0.9
    )
    s_premature_share: float = _rule(
        0.05, "A supraventricular beat comes earlier than the usual RR by at least", "of it", OUR_SETS, 0, 0.5
    )
    svt_onset_share: float = _rule(
        0.2, "The onset of a supraventricular tachycardia shortens the RR by at least", "of it", ONSET, 0, 0.5
    )
    s_p_correlation: float = _rule(0.3, "... or its P wave correlates with those before less than", "", OUR_SETS, -1, 1)
    sinus_max_bpm: float = _rule(200.0, "... or it is faster than sinus rhythm can be, from", "bpm", TANAKA, 120, 300)
    wide_rhythm_bpm: float = _rule(
        120.0, "Wide QRS that dominate are the basic rhythm (N) up to", "bpm", "EC57: L, R, j; AHA 2017", 40, 150
    )
    wide_rhythm_min_s: float = _rule(
        300.0, "... if they last, or else are most of all beats, at least", "s", "set on vfdb", 60, 3600
    )
    idioventricular_min_s: float = _rule(
        10.0,
        "A run of V that is no tachycardia is idioventricular rhythm from",
        "s",
        "set on mitdb and svdb",
        3,
        300,
    )
    rate_average_beats: int = _rule(8, "The heart rate is a moving average of", "RR", "HScribe", 2, 30)
    rate_min_rr_s: float = _rule(0.2, "The shortest RR counted for the rate is", "s", "hrstats", 0.1, 0.5)
    rate_max_rr_s: float = _rule(
        3.0, "The longest RR counted for the rate, among shorter ones, is", "s", "hrstats", 1.5, 5
    )
    segment_s: float = _rule(300.0, "SDANN, LF and HF are measured in stretches of", "s", TASK_FORCE, 120, 600)
    excess_s_per_hour: float = _rule(30.0, "Supraventricular ectopy is excessive from", "S/h", COPENHAGEN, 1, 1000)
    excess_s_run: int = _rule(20, "... or with a supraventricular run of at least", "beats", COPENHAGEN, 3, 100)
    pvc_burden_high_pct: float = _rule(10.0, "A PVC burden is high above", "%", "JAHA 2022 (trial endpoint)", 0.1, 50)
    sensitivity: str = BALANCED  # chooses among the operating points of the model; no number, so in none of the rows

    def __post_init__(self) -> None:
        if self.sensitivity not in SENSITIVITIES:
            raise RulesError(
                f'sensitivity: expected {" or ".join(SENSITIVITIES)}, got "{self.sensitivity}".',
                settings=("sensitivity",),
            )
        for rule in self.rows():
            if problem := rule.problem_of(rule.value):
                raise RulesError(f"{rule.key}: {problem} (rule: {rule.says}).", settings=("rule",))

    def rows(self) -> tuple[Rule, ...]:
        """Every rule that is a number, with its unit, its source, its bounds and whether it is a whole number."""
        return tuple(
            Rule(item.name, says, getattr(self, item.name), unit, source, lowest, highest, item.type == "int")
            for item in fields(self)
            if item.metadata
            for says, unit, source, lowest, highest in [item.metadata["rule"]]
        )

    def changed(self) -> tuple[Rule, ...]:
        """The rules of ``rows`` whose value differs from the default."""
        default = RhythmRules()
        return tuple(rule for rule in self.rows() if rule.value != getattr(default, rule.key))


def rules_from(values: dict[str, str]) -> RhythmRules:
    """Rules from values given as text, as on a command line; the others keep their defaults.

    Raises
    ------
    RulesError
        A name is not a rule, or a value is not a number or lies outside the bounds of its rule.

    """
    is_whole = {rule.key: rule.is_whole for rule in RhythmRules().rows()}
    says = {rule.key: rule.says for rule in RhythmRules().rows()}
    taken: dict[str, Any] = {}
    for name, text in values.items():
        if name == "sensitivity":
            taken[name] = text
            continue
        if name not in is_whole:
            known = ", ".join(is_whole)
            raise RulesError(f'"{name}" is not a rule; the rules are {known}.', settings=("rule",))
        try:
            value = float(text)  # infinite for a number of hundreds of digits, which is outside of all bounds
            taken[name] = int(text) if is_whole[name] and abs(value) < float("inf") else value
        except ValueError as error:
            kind = "a whole number" if is_whole[name] else "a number"
            raise RulesError(
                f'{name}: expected {kind}, got "{text}" (rule: {says[name]}).', settings=("rule",)
            ) from error
    return RhythmRules(**taken)


@dataclass(frozen=True)
class OperatingPoint:
    """A mode of a model, with its figures by EC57 in patients that neither network nor offsets had seen."""

    sensitivity: str  # a key of SENSITIVITIES
    v_offset: float  # added to the logarithm of each beat's probability of V before its class is decided ...
    s_offset: float  # ... and to that of S, in nats
    v_se: float  # share of the reference's V that were found as V, all patients together, 0..1
    v_ppv: float  # share of the beats called V that were V
    s_se: float
    s_ppv: float
    false_v_per_hour: float
    false_s_per_hour: float
    v_aim: float  # Se or +P that was aimed at, be it reached or not; 0 where none was
    s_aim: float
    n_patients: int
    measured_on: tuple[str, ...]  # databases of these patients
    recipe: str  # the command that chose and measured it

    @property
    def name(self) -> str:
        """Name of the mode."""
        return SENSITIVITIES[self.sensitivity]

    @property
    def text(self) -> str:
        """What the mode does, by its figures.

        Examples
        --------
        >>> of = ("made", 2.0, 3.0, 0.99, 0.8, 0.951, 0.5, 12.2, 30.0, 0.99, 0.95, 9, ("made",), "")
        >>> OperatingPoint("high", *of[1:]).text
        'High sensitivity: finds 99.0 % of V and 95.1 % of S in patients it has not seen, with 12 false V and 30 false \
S an hour; 80.0 % of its V and 50.0 % of its S are right'

        """
        found = f"finds {_percent(self.v_se)} of V and {_percent(self.s_se)} of S in patients it has not seen"
        false = f"{_rate(self.false_v_per_hour)} false V and {_rate(self.false_s_per_hour)} false S an hour"
        right = f"{_percent(self.v_ppv)} of its V and {_percent(self.s_ppv)} of its S are right"
        return f"{self.name}: {found}, with {false}; {right}"

    @property
    def missed(self) -> tuple[str, ...]:
        """The classes whose figures are below what was aimed at."""
        of_v, of_s = (self.v_se, self.s_se) if self.sensitivity == HIGH else (self.v_ppv, self.s_ppv)
        figures = (("V", of_v, self.v_aim), ("S", of_s, self.s_aim))
        return tuple(label for label, reached, aim in figures if reached < aim)

    @property
    def aim_text(self) -> str:
        """What was aimed at, and whether it is reached; empty for a mode without an aim."""
        if not self.v_aim:
            return ""
        what = "found" if self.sensitivity == HIGH else "right"
        aim = f"The aim, {_percent(self.v_aim)} of V and {_percent(self.s_aim)} of S {what}, is"
        return f"{aim} not reached for {' and '.join(self.missed)}" if self.missed else f"{aim} reached"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _rate(per_hour: float) -> str:
    """A number an hour; small ones with a decimal."""
    return f"{per_hour:.0f}" if per_hour >= FEW_PER_HOUR else f"{per_hour:.1f}"
