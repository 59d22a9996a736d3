"""Search spaces: the range of each setting that a method lets be tuned, as a suite changes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.errors import BenchError
from bench.registry import MethodInfo

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Params = Mapping[str, Any]
# setting -> [low, high], or choices; nothing for one that is not searched
Changes = Mapping[str, Sequence[Any]]


class Recorder:
    """Stands in for an Optuna trial: answers with defaults and keeps the ranges asked for."""

    def __init__(self, config: Params) -> None:
        self.config = config
        self.ranges: dict[str, BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import FloatDistribution

        return self._record(name, FloatDistribution(low, high, log, step), low)

    def suggest_int(
        self, name: str, low: int, high: int, *, log: bool = False, step: int = 1
    ) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import IntDistribution

        return self._record(name, IntDistribution(low, high, log, step), low)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See optuna.Trial."""
        from optuna.distributions import CategoricalDistribution

        return self._record(name, CategoricalDistribution(choices), choices[0])

    def _record(self, name: str, range_: BaseDistribution, lowest: Any) -> Any:
        self.ranges[name] = range_
        default = self.config.get(name, lowest)
        if is_in_range(range_, default):
            return default
        return lowest


def is_in_range(range_: BaseDistribution, value: Any) -> bool:
    """Whether a range allows a value."""
    try:
        return bool(range_._contains(range_.to_internal_repr(value)))
    except ValueError:  # a value that is none of the choices
        return False


def setting_ranges(
    info: MethodInfo, config: Params, changes: Changes
) -> dict[str, BaseDistribution]:
    """The range of each setting that a method lets be tuned, as the suite changes it.

    Raises BenchError where the method declares no space, or a change is no range.
    """
    recorder = Recorder(config)
    info.space(recorder)
    ranges = {}
    for name, range_ in recorder.ranges.items():
        change = changes.get(name)
        if change is not None and not change:
            continue
        if change is not None:
            range_ = _change_range(range_, change, f"tuning: space: {info.name}: {name}")
        ranges[name] = range_
    return ranges


def others_kept(info: MethodInfo, config: Params, changes: Changes, only: Sequence[str]) -> Changes:
    """The changes that leave but some settings of a method at their defaults; all if none is named.

    Raises BenchError where the method declares no space.
    """
    if not only:
        return changes
    kept = [name for name in setting_ranges(info, config, changes) if name not in only]
    return {**changes, **{name: [] for name in kept}}


def _change_range(range_: Any, change: Sequence[Any], where: str) -> BaseDistribution:
    """A range with other choices, or other ends. Raises BenchError where they make no range."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(range_, CategoricalDistribution):
        if not change:
            raise BenchError(f"{where}: [] given; expected one choice or more")
        return CategoricalDistribution(change)
    allowed: tuple[type, ...] = (int, float)
    if isinstance(range_, IntDistribution):
        allowed = (int,)
    are_numbers = all(type(end) in allowed and math.isfinite(end) for end in change)
    if len(change) != 2 or not are_numbers or change[0] > change[1]:
        raise BenchError(f"{where}: {list(change)} given; expected [low, high]")
    if range_.log and change[0] <= 0:
        raise BenchError(
            f"{where}: {list(change)} given; it is searched on a log scale; expected values above 0"
        )
    changed: BaseDistribution = type(range_)(*change, log=range_.log, step=range_.step)
    return changed


def check_space(info: MethodInfo, config: Params, changes: Changes) -> None:
    """Check the search space of a method, and that its Config allows the changes to it.

    Raises BenchError.
    """
    ranges = setting_ranges(info, config, {})
    for name, values in changes.items():
        if name in ranges:
            _change_range(ranges[name], values, f"tuning: space: {info.name}: {name}")
        else:
            raise BenchError(
                f"tuning: space: {info.name}: {registry.unknown('setting', name, list(ranges))}"
            )
        for value in values:  # both ends, or every choice
            _check_value(info, config, name, value)
    for name in ranges:
        if name not in config:
            raise BenchError(
                f"space of method {info.name} suggests {name!r}; expected a setting of its Config"
            )


def drawn_settings(info: MethodInfo, config: Params, draws: int) -> Iterator[dict[str, Any]]:
    """Settings that a method's space asks Optuna for: both ends of each range, then random ones.

    Raises BenchError where the method declares no space.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = setting_ranges(info, config, {})
    for pick in (_lowest, _highest):
        fixed = optuna.trial.FixedTrial({name: pick(range_) for name, range_ in ranges.items()})
        info.space(fixed)
        yield dict(fixed.params)
    search = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(draws):
        trial = search.ask()
        info.space(trial)
        yield dict(trial.params)


def _lowest(range_: Any) -> Any:
    choices = getattr(range_, "choices", None)
    return choices[0] if choices else range_.low


def _highest(range_: Any) -> Any:
    choices = getattr(range_, "choices", None)
    return choices[-1] if choices else range_.high


def _check_value(info: MethodInfo, config: Params, name: str, value: Any) -> None:
    """Raise BenchError where the Config of a method forbids a value."""
    try:
        info.config({**config, name: value})
    except BenchError as problem:
        raise BenchError(f"tuning: space: {problem}") from None
