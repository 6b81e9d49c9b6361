"""The same networks in Brian2: the independent oracle of our engine, and one of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from circuits.spiking_activity import Activity, Watch, check_watch, external_steps
from circuits.spiking_cells import AdEx
from circuits.spiking_network import CHANNELS, Pathway, Population, SpikingNetwork
from neurosim.errors import ConfigError
from neurosim.spikes import SpikeTrains

Target = Literal["auto", "numpy", "cython", "standalone"]
TARGETS = ("auto", "numpy", "cython", "standalone")

MEMBRANE = """
dv/dt = (leak * (rest - v){upstroke} - w - g_excitation * (v - rev_excitation)
    - g_external * (v - rev_external) - g_inhibition * (v - rev_inhibition)) / capacitance
    : volt (unless refractory)
{adaptation}
current = -(g_excitation * (v - rev_excitation) + g_external * (v - rev_external)
    + g_inhibition * (v - rev_inhibition)) : amp
"""
UPSTROKE = " + leak * slope * exp((v - theta) / slope)"
ADAPTATION = "dw/dt = (subthreshold * (v - rest) - w) / tau_adaptation : amp"
SEED = "NEUROSIM_BRIAN2_SEED"
"""Environment variable by which a standalone program is told its seed."""

SEEDING = f"""
if (const char* given = std::getenv("{SEED}")) {{
    brian::_random_generators[0].seed(std::atol(given));
}}
"""

CONDUCTANCE = """
dg_{channel}/dt = (x_{channel} - g_{channel}) / rise_{channel} : siemens
dx_{channel}/dt = -x_{channel} / decay_{channel} : siemens
"""


class Brian2Engine:
    """Simulates a spiking network by Brian2, with its exponential Euler method.

    Parameters
    ----------
    network : SpikingNetwork
    target : {"auto", "numpy", "cython", "standalone"}
        How Brian2 generates code: at run time for NumPy or Cython, or a C++ program of its own.
        "auto" is Cython where there is a C++ compiler, else NumPy with one warning.
    outside : mapping of str to float [Hz], optional
        Rates at which Brian2 itself draws the spikes from outside (its ``PoissonGroup``), instead
        of those given to `run`.
    seed : int
        Of those draws.
    keep : bool
        Leave a standalone program in its folder, which the caller then deletes.

    Attributes
    ----------
    program : Path or None
        The standalone program, once it has run.
    loop_seconds : float [s]
        Processor time of its simulation, by the program's own clock, without what goes before.
    program_cpu_seconds : float [s]
        Processor time of the last run of the program, construction included.

    Raises
    ------
    ConfigError
        For an unknown target, or C++ without a compiler.

    References
    ----------
    Stimberg, Brette & Goodman (2019) eLife 8:e47314.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        target: Target = "auto",
        outside: Mapping[str, float] | None = None,
        seed: int = 0,
        keep: bool = False,
    ) -> None:
        self.keep, self.loop_seconds = keep, float("nan")
        self.program_cpu_seconds = float("nan")
        self.program: Path | None = None
        self.network, self.outside, self.seed = network, dict(outside or {}), seed
        self.target = _available(target)
        self._built: Any = None

    def run(
        self, duration: float, external: Mapping[str, SpikeTrains] | None = None,
        watch: Watch | None = None,
    ) -> Activity:  # fmt: skip
        """Simulate a stretch of time; see `spiking_activity.Engine`.

        A standalone program runs once; the other targets go on from where they stopped, with what
        is watched as in the first call.
        """
        import brian2

        watch = watch or Watch()
        self.network.steps_of_run(duration)
        check_watch(self.network, watch)
        steps = external_steps(self.network, external or {}, duration)
        if self.target != "standalone":
            before = brian2.prefs["codegen.target"]
            brian2.prefs["codegen.target"] = self.target
            try:
                return self._run(duration, steps, watch)
            finally:
                brian2.prefs["codegen.target"] = before
        with self._standalone() as folder:
            activity = self._run(duration, steps, watch, folder)
            self.loop_seconds = float(brian2.device._last_run_time)
            return activity

    def redrawn(
        self, duration: float, seeds: Sequence[int], watch: Watch | None = None
    ) -> Iterator[Activity]:
        """Simulate from rest once a seed, by one standalone program that is compiled once.

        Until the last seed Brian2 can do nothing else.

        Parameters
        ----------
        duration : float [s]
        seeds : sequence of int
            Of the spikes from outside, which Brian2 draws (see `outside`).
        watch : Watch, optional
        """
        import brian2

        if self.target != "standalone" or not self.outside:
            raise ConfigError.expected(
                self, "target", "'standalone', which draws spikes from outside", self.target,
                "build one engine a seed",
            )  # fmt: skip
        watch = watch or Watch()
        check_watch(self.network, watch)
        with self._standalone() as folder:
            for number, seed in enumerate(seeds):
                os.environ[SEED] = str(seed)
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                try:
                    if number:
                        brian2.device.run(str(folder), with_output=False)
                        built: _Built = self._built
                        activity = built.activity(self.network, 0, self.network.steps(duration))
                    else:
                        activity = self._run(duration, {}, watch, folder)
                finally:
                    del os.environ[SEED]
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                self.program_cpu_seconds = after.ru_utime - before.ru_utime
                self.program_cpu_seconds += after.ru_stime - before.ru_stime
                self.loop_seconds = float(brian2.device._last_run_time)
                yield activity

    @contextlib.contextmanager
    def _standalone(self) -> Iterator[Path]:
        """Let Brian2 write C++ into a folder, and bring it back to its usual ways."""
        import brian2

        if self._built is not None:
            raise ConfigError(
                "Brian2Engine.run: expected one run of a standalone program, got a second; build "
                "another engine"
            )
        folder = Path(tempfile.mkdtemp(prefix="neurosim-brian2-"))
        make = "devices.cpp_standalone.extra_make_args_unix"
        before = brian2.prefs[make]
        # Brian2 starts a compiler a file, some thirty at once, of 0.3 GB each.
        brian2.prefs[make] = [f"-j{os.cpu_count() or 1}"]
        brian2.set_device("cpp_standalone", build_on_run=False)
        try:
            yield folder
        finally:
            brian2.device.reinit()
            brian2.set_device("runtime")
            brian2.prefs[make] = before
            if not self.keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _run(
        self,
        duration: float,
        steps: Mapping[str, tuple[NDArray[np.int64], ...]],
        watch: Watch,
        folder: Path | None = None,
    ) -> Activity:
        import brian2

        brian2.defaultclock.dt = self.network.dt * brian2.second
        if self._built is None:
            if self.outside:
                brian2.seed(self.seed)
                if folder:
                    brian2.device.insert_code("main", SEEDING)
            self._built = _Built(self.network, self.outside, watch)
        built = self._built
        start = 0 if folder else round(float(built.net.t) / self.network.dt)
        built.give(steps, start)
        n_steps = self.network.steps(duration)
        built.net.run(n_steps * self.network.dt * brian2.second)
        if folder:
            self.program = folder / "main"
            brian2.device.build(directory=str(folder), compile=True, run=True, with_output=False)
        return built.activity(self.network, start, n_steps)


class _Built:
    """The Brian2 objects of a network."""

    def __init__(self, network: SpikingNetwork, outside: Mapping[str, float], watch: Watch) -> None:
        import brian2

        self.groups = {n: _group(n, p) for n, p in network.populations.items()}
        self.inputs: dict[str, Any] = {}
        self.spikes = {name: brian2.SpikeMonitor(group) for name, group in self.groups.items()}
        parts: list[Any] = [*self.groups.values(), *self.spikes.values()]
        parts += [_synapses(way, network, self.groups) for way in network.pathways]
        for name, population in network.populations.items():
            source, lines = _line(name, population, self.groups[name], outside)
            self.inputs[name] = source
            parts += [source, lines]
        self.potentials = {
            name: brian2.StateMonitor(self.groups[name], "v", record=list(cells))
            for name, cells in watch.cells.items()
            if cells
        }
        self.field, self.field_dt = None, watch.field_dt
        if watch.field_of:
            cells = range(0, network.populations[watch.field_of].n_units, watch.field_every)
            self.field = brian2.StateMonitor(
                self.groups[watch.field_of], "current", record=list(cells),
                dt=watch.field_dt * brian2.second,
            )  # fmt: skip
            parts.append(self.field)
        self.net = brian2.Network(*parts, *self.potentials.values())

    def give(self, steps: Mapping[str, tuple[NDArray[np.int64], ...]], start: int) -> None:
        """Set the spikes from outside, counted from step `start`."""
        import brian2

        for name, source in self.inputs.items():
            if isinstance(source, brian2.SpikeGeneratorGroup):
                when, which = steps.get(name, (np.zeros(0, dtype=np.int64),) * 2)
                times = (when + start) * float(brian2.defaultclock.dt) * brian2.second
                source.set_spikes(which, times)

    def activity(self, network: SpikingNetwork, start: int, n_steps: int) -> Activity:
        """Return what the monitors saw from step `start` on."""
        dt, spikes = network.dt, {}
        for name, monitor in self.spikes.items():
            when = np.rint(np.asarray(monitor.t_) / dt).astype(np.int64) - start
            which = np.asarray(monitor.i)[when >= 0]
            when = when[when >= 0]
            order = np.lexsort((which, when))
            n_units = network.populations[name].n_units
            spikes[name] = SpikeTrains(when[order] * dt, which[order], n_units, n_steps * dt)
        field = np.zeros(0)
        if self.field is not None:
            every = max(1, network.steps(self.field_dt))
            field = np.asarray(self.field.current).mean(axis=0)[-(-start // every) :]
        potentials = {
            name: np.ascontiguousarray(np.asarray(monitor.v).T[start:])
            for name, monitor in self.potentials.items()
        }
        return Activity(spikes, n_steps * dt, dt, field, self.field_dt, potentials)


def _group(name: str, population: Population) -> Any:
    import brian2

    cell, exponential = population.cell, isinstance(population.cell, AdEx)
    membrane = MEMBRANE.format(
        upstroke=UPSTROKE if exponential else "",
        adaptation=ADAPTATION if exponential else "w = 0 * amp : amp",
    )
    equations = membrane + "".join(CONDUCTANCE.format(channel=each) for each in CHANNELS)
    volt, second, siemens, amp = brian2.volt, brian2.second, brian2.siemens, brian2.amp
    constants = {
        "leak": cell.leak * siemens,
        "capacitance": cell.capacitance * brian2.farad,
        "rest": cell.rest * volt,
        "reset": cell.reset * volt,
        "cutoff": cell.cutoff * volt,
    }
    for each in CHANNELS:
        channel = getattr(population, each)
        constants[f"rise_{each}"] = channel.rise * second
        constants[f"decay_{each}"] = channel.decay * second
        constants[f"rev_{each}"] = channel.reversal * volt
    if isinstance(cell, AdEx):
        constants |= {
            "theta": cell.theta * volt,
            "slope": cell.slope * volt,
            "subthreshold": cell.subthreshold * siemens,
            "increment": cell.increment * amp,
            "tau_adaptation": cell.tau_adaptation * second,
        }
    group = brian2.NeuronGroup(
        population.n_units, equations, threshold="v > cutoff",
        reset="v = reset; w += increment" if exponential else "v = reset",
        refractory=cell.refractory * second, method="exponential_euler", namespace=constants,
        name=f"{name}_cells",
    )  # fmt: skip
    group.v = cell.rest * volt
    return group


def _synapses(way: Pathway, network: SpikingNetwork, groups: Mapping[str, Any]) -> Any:
    import brian2

    norm = getattr(network.populations[way.post], way.channel).norm
    equal = way.codes.size == 1
    namespace = {"unit": float(way.weights[0, 0]) * norm * brian2.siemens} if equal else {}
    synapses = brian2.Synapses(
        groups[way.pre], groups[way.post],
        model="" if equal else "weight : siemens",
        on_pre=f"x_{way.channel} += {'unit' if equal else 'weight'}",
        delay=way.delay * brian2.second, namespace=namespace,
    )  # fmt: skip
    index = way.wiring.index
    synapses.connect(
        i=np.repeat(np.arange(index.shape[0]), index.shape[1]), j=index.reshape(-1).astype(np.int64)
    )
    if not equal:
        synapses.weight = way.weights.reshape(-1) * norm * brian2.siemens
    return synapses


def _line(
    name: str, population: Population, group: Any, outside: Mapping[str, float]
) -> tuple[Any, Any]:
    import brian2

    n = population.n_units
    if name in outside:
        source = brian2.PoissonGroup(n, outside[name] * brian2.Hz)
    else:
        source = brian2.SpikeGeneratorGroup(n, [], [] * brian2.second)
    unit = population.external_weight * population.external.norm * brian2.siemens
    lines = brian2.Synapses(source, group, on_pre="x_external += unit", namespace={"unit": unit})
    lines.connect(j="i")
    return source, lines


def _available(target: str) -> str:
    if target not in TARGETS:
        raise ConfigError.expected(
            Brian2Engine, "target", f"one of {', '.join(TARGETS)}", target, "choose one"
        )
    if target == "numpy" or _has_compiler():
        return "cython" if target == "auto" else target
    if target == "auto":
        warnings.warn(
            "Brian2Engine: no C++ compiler was found, so Brian2 runs on NumPy, slowly; install "
            "one, or use our own engine, which needs none",
            stacklevel=3,
        )
        return "numpy"
    raise ConfigError.expected(
        Brian2Engine, "target", "a C++ compiler for it", target, "install one or use 'numpy'"
    )


def _has_compiler() -> bool:
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))
