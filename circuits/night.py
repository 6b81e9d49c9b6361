"""The night: CA3 replays, the cortex dreams, and what was learnt once becomes slow weights."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from circuits.dreams import Dreams, Items, words_of
from circuits.night_config import NightConfig
from circuits.night_report import Burst, CycleReport, DawnReport
from neurosim.contracts import Cortex, Hippocampus, Replay, drift_since_dusk
from neurosim.phases import NREM, REM, Phase
from neurosim.randomness import Streams


@dataclass
class Night:
    """Couple one hippocampus and one cortex through a night.

    NREM: CA3 starts from noise and replays; what comes back with confidence is the lesson. REM:
    the cortex dreams, freely and from fragments of the replays. The two lessons are interleaved
    step by step (McClelland, McNaughton & O'Reilly, 1995), with the cortex at dusk as teacher of
    the dreams. A memory the cortex now completes lies less deep afterwards, so it replays less and
    is taught less often: the salient and the less consolidated come first.
    At dawn the examination decides whether the growth is merged, and what is consolidated is
    released from CA3.

    Everything a cycle does follows from the state of both memories and from (seed, night, cycle):
    a night that was interrupted between cycles goes on to the same end.

    Parameters
    ----------
    hippocampus : Hippocampus
    cortex : Cortex
    config : NightConfig
    streams : Streams
    number : int
        Which night of this brain, from 1.
    """

    hippocampus: Hippocampus
    cortex: Cortex
    config: NightConfig
    streams: Streams
    number: int = 1
    on_step: Callable[[int], None] | None = field(default=None, repr=False)
    _numbers: dict[Items, int] = field(default_factory=dict, repr=False)

    def begin(self) -> None:
        """Fall asleep: the cortex grows what it may write tonight."""
        if not self.cortex.growing:
            self.cortex.grow(self.streams.seed_for("growth", self.number))

    def n_steps(self) -> int:
        """Return the gradient steps of one cycle for what CA3 holds now."""
        share = self.hippocampus.gauge().n_episodes / self.config.steps_for
        return round(self.config.steps * max(1.0, share))

    def pace(self, step: int, n_steps: int) -> float:
        """Return the factor of the learning rate at one of a night's `n_steps` steps.

        It rises over the first `NightConfig.onset` and falls over the last third, towards morning.
        """
        rise = max(10.0, self.config.onset * n_steps)
        return min(1.0, (step + 1) / rise) * min(1.0, (n_steps - step) / (0.3 * n_steps))

    def cycle(self, number: int) -> CycleReport:
        """Run one NREM-REM cycle, `number` from 1, as the schedule has it."""
        key = (self.number, number)
        rng = self.streams.generator("replay", *key)
        nrem, *rest = self.phases(number)
        replays = self.nrem(rng, nrem)
        lessons = self._lessons(replays)
        bursts = self._bursts(number, replays, lessons)
        if not lessons:
            return CycleReport(number, bursts, 0, 0, 0, 0, 0.0, 0)
        dreams = Dreams()
        for rem in rest:
            dreams += self.rem(rem, list(lessons), replays, rng, *key)
        loss, n_steps, n_tokens = 0.0, 0, 0
        if "cortex" in nrem.plastic:
            n_steps = self.n_steps()
            loss, n_tokens = self._learn(lessons, dreams, number)
        mastered = self.mastered(list(lessons))
        if "hippocampus" in nrem.plastic:
            for items in mastered:
                self.hippocampus.fade(lessons[items])
        return CycleReport(
            number, bursts, len(lessons), len(mastered), len(dreams), n_steps, loss, n_tokens
        )

    def phases(self, cycle: int) -> tuple[Phase, ...]:
        """Return the phases of one cycle, NREM first."""
        phases = tuple(self.config.schedule())
        n = len(phases) // self.config.cycles
        return phases[(cycle - 1) * n : cycle * n]

    def nrem(
        self, rng: np.random.Generator, phase: Phase = NREM, patience: float = 1.0
    ) -> list[Replay]:
        """Let CA3 replay from noise, in ripple bursts; `patience` times as many."""
        n_memories = self.hippocampus.gauge().n_episodes
        length = patience * phase.duration / NREM.duration
        n = max(8, round(length * self.config.bursts_per_memory * n_memories))
        return self.hippocampus.replay(n, rng, phase.acetylcholine) if n_memories else []

    def rem(
        self,
        phase: Phase,
        lessons: list[Items],
        replays: list[Replay],
        rng: np.random.Generator,
        *key: int,
    ) -> Dreams:
        """Let the cortex at dusk dream.

        Freely; from a few words of tonight's replays, out of their context, so that what is near
        the new stays what it was; and from the openings that CA3 has kept of released memories.
        These are shallow: it takes the acetylcholine of REM, under which the deep memories of the
        day do not come first, to bring them back.
        """
        length = phase.duration / REM.duration
        n_dreams = round(length * self.config.dreams_per_step * self.n_steps())
        n_free = round((1 - self.config.recombined) * n_dreams)
        words = [words_of(lessons, rng) for _ in range(n_dreams - n_free)]
        n_fragments = self.hippocampus.gauge().n_fragments
        n_bursts = round(length * min(1.5 * n_fragments, self.config.continued))
        replays = replays + self.hippocampus.replay(n_bursts, rng, phase.acetylcholine)
        fragments = {r.items: r for r in replays if self._trusted(r) and r.fragment}
        n_continued = round(length * self.config.rehearsals * n_fragments / self.config.cycles)
        seed = self.streams.seed_for("dream", *key)
        with self.cortex.dusk():
            openings = list(fragments)
            if "hippocampus" in phase.plastic:
                openings = self._reconsolidate(fragments, lessons)
            cues = [openings[k % len(openings)] for k in range(n_continued)] if openings else []
            fresh = [*self.cortex.dream(n_free, seed)]
            fresh += self.cortex.dream(len(words), seed + 1, cues=words)
            composure = self.config.composure
            continued = [*self.cortex.dream(len(cues), seed + 2, composure, cues=cues)]
        return Dreams([dream for dream in fresh if dream], continued)

    def _reconsolidate(self, fragments: dict[Items, Replay], lessons: list[Items]) -> list[Items]:
        """Keep more of an old memory that begins as a new one does; return all openings.

        From an opening that both share the cortex would soon go on with the new one alone. The
        cortex at dusk still knows the old, so its opening grows until it tells the two apart.
        """
        rivals = {o: [new for new in lessons if new[: len(o)] == o] for o in fragments}
        cues = [opening for opening in fragments if rivals[opening]]
        longer: dict[Items, Items] = {}
        for opening, answer in zip(cues, self.cortex.recall(cues), strict=True):
            whole = (*opening, *answer.items)
            shared = max(
                (_shared(whole, new) for new in rivals[opening] if new != whole), default=0
            )
            if shared >= len(opening) and len(whole) > shared:
                longer[opening] = whole[: shared + 1]
                self.hippocampus.reconsolidate(fragments[opening], longer[opening])
        return [longer.get(opening, opening) for opening in fragments]

    def mastered(self, items: list[Items]) -> list[Items]:
        """Return the sequences whose second half the cortex completes from the first."""
        cues = [sequence[: self.cortex.opening(sequence)] for sequence in items]
        answers = self.cortex.recall(cues)
        return [
            sequence
            for sequence, cue, answer in zip(items, cues, answers, strict=True)
            if tuple(answer.items) == tuple(sequence[len(cue) :])
        ]

    def dawn(self) -> DawnReport:
        """Examine, merge if the examination says so, and release what is consolidated."""
        patience = 2.0 if self.config.release else 0.25  # What is to go is looked for well.
        replays = self.nrem(self.streams.generator("dawn", self.number), patience=patience)
        found = self._lessons(replays)
        fresh = self.cortex.dream(200, self.streams.seed_for("dawn", self.number))
        drift = drift_since_dusk(self.cortex, [dream for dream in fresh if dream])
        if drift > self.config.drift_limit:
            self.cortex.discard()
            return DawnReport(False, drift, len(found), 0, 0, 0.0)
        self.cortex.merge()
        consolidated = self.mastered(list(found))
        if not self.config.release:
            return DawnReport(True, drift, len(found), len(consolidated), 0, 0.0)
        before = self.hippocampus.gauge()
        for items, kept in zip(consolidated, self._openings(consolidated), strict=True):
            self.hippocampus.release(found[items], kept)
        self._make_room(replays)
        after = self.hippocampus.gauge()
        share = len(consolidated) / max(before.n_episodes, 1)
        expected = before.potentiated * share
        freed = (before.potentiated - after.potentiated) / expected if expected else 0.0
        return DawnReport(True, drift, len(found), len(consolidated), len(consolidated), freed)

    def _openings(self, memories: list[Items]) -> list[int]:
        """Return the shortest opening from which the cortex goes on to the end of each memory.

        Two memories that begin alike would otherwise leave openings of which the cortex only ever
        continues one. It is at least what the hippocampus keeps anyway, and at most the cue of the
        examination, from which all of these were completed.
        """
        least = {items: self.hippocampus.opening(items) for items in memories}
        tried = [
            (items, n)
            for items in memories
            if least[items]  # Where no opening stays, none is looked for.
            for n in range(least[items], self.cortex.opening(items))
        ]
        answers = self.cortex.recall([items[:n] for items, n in tried])
        enough: dict[Items, int] = {}
        for (items, n), answer in zip(tried, answers, strict=True):
            if (*items[:n], *answer.items) == items:
                enough.setdefault(items, n)
        return [
            enough.get(items, self.cortex.opening(items)) if least[items] else 0
            for items in memories
        ]

    def _make_room(self, replays: list[Replay]) -> None:
        """Let openings go that came back tonight, until CA3 is no longer crowded."""
        openings = {r.items: r for r in replays if self._trusted(r) and r.fragment}
        for replay in openings.values():
            if self.hippocampus.gauge().used <= self.config.crowded:
                return
            self.hippocampus.release(replay)

    def _trusted(self, replay: Replay) -> bool:
        return replay.valid and replay.confidence >= self.config.confidence

    def _lessons(self, replays: list[Replay]) -> dict[Items, Replay]:
        """Return the trusted replays of whole memories, by content, in order of arrival."""
        found: dict[Items, Replay] = {}
        for replay in replays:
            if self._trusted(replay) and not replay.fragment:
                found.setdefault(replay.items, replay)
        return found

    def _bursts(
        self, cycle: int, replays: list[Replay], lessons: dict[Items, Replay]
    ) -> tuple[Burst, ...]:
        for items in lessons:
            self._numbers.setdefault(items, len(self._numbers))
        numbers = [self._numbers[r.items] if r.items in lessons else -1 for r in replays]
        return tuple(
            Burst(cycle, number, replay.confidence)
            for number, replay in zip(numbers, replays, strict=True)
        )

    def _learn(
        self, lessons: dict[Items, Replay], dreams: Dreams, number: int
    ) -> tuple[float, int]:
        config, n_steps = self.config, self.n_steps()
        rng = self.streams.generator("order", self.number, number)
        sequences = list(lessons)
        depths = np.array([self.hippocampus.depth(lessons[items]) for items in sequences])
        n_chosen = min(config.lessons_per_step, len(sequences))
        loss, n_tokens = 0.0, 0
        for step, rehearsed in enumerate(dreams.batches(n_steps, rng)):
            order = rng.choice(len(sequences), n_chosen, replace=False, p=depths / depths.sum())
            chosen = [sequences[k] for k in order]
            trust = [lessons[items].confidence for items in chosen]
            done = (number - 1) * n_steps + step
            pace = self.pace(done, config.cycles * n_steps)
            if chosen or rehearsed:  # A step may have neither a lesson nor a dream.
                loss = self.cortex.learn(chosen, trust, rehearsed, pace)
            n_tokens += sum(map(len, chosen)) + sum(map(len, rehearsed))
            if self.on_step is not None:
                self.on_step(done + 1)
        return loss, n_tokens


def _shared(first: Items, second: Items) -> int:
    """Return how many items two sequences have in common from their beginning."""
    pairs = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
