"""The interface of an analysis method: its settings, what it needs, and how it makes an analysis.

A method is a class in a module of ``analysis/methods/``; nothing else lists it. See docs/extending.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..background.settings import ADAPTIVE, AdapterSettings, BackgroundWeight
from ..settings import names_of, needed_of, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import torch

    from ..background.background_error import BackgroundError
    from ..fields.grid import Grid
    from .assimilate import Analysis, Case
    from .calibration import Calibration
    from .posterior import Posterior


@dataclass(frozen=True)
class NoSettings:
    """Settings of a method that has none."""


@dataclass(frozen=True)
class Inputs:
    """The files that an analysis needs, and the grid and device of its background error.

    Attributes
    ----------
    files : dict
        Name -> path, those of `Method.fitted_files` and `Method.vae_files`; ``finetuned`` -> path, where the method
        finetunes; ``members`` and ``last_year`` -> paths of member files, or ``cycled_members`` -> path of those that
        a filter cycles, where it reads these itself; ``ensemble`` -> path of the backgrounds that it cycles itself;
        ``amplitudes`` -> path of those of the cycle before, from the second cycle on.
    time : datetime
        The analysis time.
    error_grid : Grid
        Of background errors.
    device : str
    truncation : int or None
        Of the states on their grid; None keeps all.
    """

    files: dict[str, Any]
    time: datetime
    error_grid: Grid
    device: str = "cpu"
    truncation: int | None = None

    def members(self) -> torch.Tensor | None:
        """The ensemble of the day, (members, 69, lat, lon), on the error grid; None while there is none."""
        from ..background.ensemble import read_cycled_members, read_members

        if "cycled_members" in self.files:
            return read_cycled_members(self.files["cycled_members"], self.time, self.error_grid, self.device)
        paths = self.files.get("members", [])
        return read_members(paths, self.time, self.files.get("last_year", []), self.device)

    def cycled_ensemble(self) -> torch.Tensor:
        """The backgrounds of the ensemble that the method cycles, (members, 69, lat, lon), on the grid of states."""
        import torch

        from ..files.ensemble_file import read_ensemble

        members, _ = read_ensemble(self.files["ensemble"], self.time)
        return torch.from_numpy(members).to(self.device)


class Method(ABC):
    """An analysis method.

    Attributes
    ----------
    name : str
        Its name in the configuration.
    Settings : type
        Dataclass of the settings that its analyses depend on, see `lora_envar.settings`.
    FinetuneSettings : type or None
        Dataclass of the settings that its finetuning depends on, if it finetunes; no name is also in `Settings`.
    fitted_files : tuple of str
        Files that are fitted to forecast errors once and used in every analysis, results/background/{name}.safetensors.
    vae_files : tuple of str
        The same for the VAE that the experiment names, results/background/{vae}/{name}.safetensors.
    ensemble : bool
        Whether it uses an ensemble that it does not cycle: the system's own time-lagged ensemble, whose size the
        experiment then gives, or that of a filter, which the experiment then names.
    cycled_ensemble : bool
        Whether it analyses an ensemble of its own and forecasts every member to the next cycle; the experiment
        then gives its size, and its settings have `additive_error`, see `background.settings.LETKFSettings`.
    finetuned_file : str or None
        What is finetuned on the ensemble in every cycle, results/{experiment}/{time}/{name}.safetensors: ``adapters``
        or ``vae`` (all weights).
    ranked : bool
        Whether the adapters have a rank, which the experiment then gives.
    assimilates : bool
        Whether it uses observations at all.
    control : str or None
        Name of the method that it should not be worse than; a gate tests this.

    Parameters
    ----------
    settings : mapping
        Values of `Settings` by name; other values are ignored.
    """

    name: ClassVar[str] = ""
    Settings: ClassVar[type] = NoSettings
    FinetuneSettings: ClassVar[type | None] = None
    fitted_files: ClassVar[tuple[str, ...]] = ()
    vae_files: ClassVar[tuple[str, ...]] = ()
    ensemble: ClassVar[bool] = False
    cycled_ensemble: ClassVar[bool] = False
    finetuned_file: ClassVar[str | None] = None
    ranked: ClassVar[bool] = False
    assimilates: ClassVar[bool] = True
    control: ClassVar[str | None] = None

    def __init__(self, settings: dict[str, Any]) -> None:
        own = names_of(self.Settings)
        self.settings: Any = settings_from(self.Settings, {name: settings[name] for name in own if name in settings})

    @abstractmethod
    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        """Make an analysis from a background and observations."""

    def analyser(self, inputs: Inputs) -> Callable[[Case], Analysis]:
        """A function that analyses several cases of one time with one background error; no cycle learns from it."""

        def analyse(case: Case) -> Analysis:
            return self.analyse(case, inputs)

        return analyse

    @classmethod
    def adaptive(cls, settings: dict[str, Any]) -> bool:
        """Whether, with these settings, an analysis learns from those before it."""
        return False

    @classmethod
    def settings_classes(cls) -> list[type]:
        """The dataclasses of all its settings, which make up its entry in `methods`."""
        return [cls.Settings] if cls.FinetuneSettings is None else [cls.Settings, cls.FinetuneSettings]

    @classmethod
    def setting_names(cls) -> list[str]:
        """The names of all its settings, which are the keys of its entry in `methods`."""
        return [name for settings in cls.settings_classes() for name in names_of(settings)]

    @classmethod
    def needed_settings(cls) -> list[str]:
        """The names of the settings without a default."""
        return [name for settings in cls.settings_classes() for name in needed_of(settings)]

    @classmethod
    def analysis_settings(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Those of the settings that its analyses depend on once the finetuning is done."""
        return {name: value for name, value in settings.items() if name in names_of(cls.Settings)}

    @classmethod
    def finetune_settings(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Those of the settings that its finetuning depends on."""
        known = names_of(cls.FinetuneSettings) if cls.FinetuneSettings else []
        return {name: value for name, value in settings.items() if name in known}

    @classmethod
    def adapters(cls, settings: Any, rank: int | None) -> AdapterSettings | None:
        """The adapters that are added to the VAE and finetuned, by `FinetuneSettings`; None finetunes all weights."""
        return None


class VariationalMethod(Method):
    """A method that minimises the cost function of `analysis.variational` with its own background error."""

    Settings: ClassVar[type] = BackgroundWeight

    #: values of `Settings` by which the background error has the amplitude that was fitted
    fitted_settings: ClassVar[dict[str, Any]] = {"background_weight": 1.0}

    @classmethod
    def adaptive(cls, settings: dict[str, Any]) -> bool:
        """Whether variances are estimated from the innovations of past cycles."""
        return settings.get("background_weight") == ADAPTIVE

    @classmethod
    def as_fitted(cls) -> VariationalMethod:
        """The method by which its background error is judged: amplitudes come from a search, not from cycles."""
        return cls(cls.fitted_settings)

    @abstractmethod
    def background_error(self, inputs: Inputs) -> BackgroundError:
        """Read the background error from its files."""

    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        """Minimise the cost function."""
        from ..fields.seeds import generator
        from .assimilate import assimilate
        from .diagnosis import Diagnosis

        background_error = self.background_error(inputs)
        # a minimisation more is too dear for every analysis, and one a day says enough
        diagnosis = Diagnosis(generator(0, "diagnosis", inputs.time.isoformat()), inputs.time.hour == 0)
        return assimilate(case, background_error, *self._amplitude(inputs), diagnosis)

    def sample(self, case: Case, inputs: Inputs, draws: Sequence[torch.Generator]) -> Posterior:
        """The analysis, and samples of its error, one from each generator."""
        from .posterior import sample_posterior

        return sample_posterior(case, self.background_error(inputs), *self._amplitude(inputs), draws)

    def _amplitude(self, inputs: Inputs) -> tuple[float, Calibration | None]:
        """Weight of the background term and, if that is adaptive, the calibration after the cycle before."""
        if not self.adaptive(vars(self.settings)):
            return self.settings.background_weight, None
        return 1.0, self._calibration(inputs)

    def analyser(self, inputs: Inputs) -> Callable[[Case], Analysis]:
        """The background error is made once, with the last cycle's amplitudes; observation errors stay as declared."""
        import torch

        from .assimilate import assimilate

        background_error = self.background_error(inputs)
        weight, calibration = self._amplitude(inputs)
        if calibration:
            background_error = calibration.amplified(background_error, torch.zeros((), device=inputs.device))

        def analyse(case: Case) -> Analysis:
            return assimilate(case, background_error, weight)

        return analyse

    def _calibration(self, inputs: Inputs) -> Calibration:
        """From the amplitudes of the cycle before."""
        from ..fields.seeds import generator
        from .amplitudes import read_amplitudes
        from .calibration import Calibration

        draws = generator(0, "amplitudes", inputs.time.isoformat())
        of_observations = self.settings.observation_errors == ADAPTIVE
        return Calibration(read_amplitudes(inputs.files.get("amplitudes")), of_observations, draws)
