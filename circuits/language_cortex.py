"""The language cortex: a transformer that is surprised, dreams, recalls and learns at night."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from circuits.transformer import Cache, Transformer
from neurosim.contracts import Completion
from neurosim.errors import ConfigError, NumericalError

PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"


@dataclass(frozen=True)
class PlasticityConfig:
    """How the cortex learns at night.

    Parameters
    ----------
    rank : int
        Of the low-rank part that the night may write.
    rate : float
        Step size of AdamW (Loshchilov & Hutter, 2019).
    clip : float
        Largest norm of a gradient.
    dream_weight : float
        Weight of the distillation from dreams against the lessons of the replay.
    """

    rank: int = 16
    rate: float = 4e-3
    clip: float = 1.0
    dream_weight: float = 4.0


class LanguageCortex:
    """A language model as a slow memory.

    Parameters
    ----------
    network : Transformer
    tokenizer : tokenizers.Tokenizer
        Byte-level, so that it can encode any text, with the marks ``<|pad|>``, ``<|begin|>`` and
        ``<|end|>``.
    plasticity : PlasticityConfig
    """

    def __init__(
        self,
        network: Transformer,
        tokenizer: Tokenizer,
        plasticity: PlasticityConfig | None = None,
    ) -> None:
        self.network, self.tokenizer = network.eval(), tokenizer
        self.plasticity = plasticity or PlasticityConfig()
        marks = [tokenizer.token_to_id(mark) for mark in (PAD, BEGIN, END)]
        if None in marks:
            raise ConfigError(
                f"LanguageCortex.tokenizer: expected the marks {PAD} {BEGIN} {END}, got a "
                f"tokenizer without them; add them as special tokens"
            )
        self.pad, self.begin, self.end = marks
        self.optimiser: torch.optim.AdamW | None = None
        for parameter in network.parameters():
            parameter.requires_grad_(False)

    @property
    def longest(self) -> int:
        """Longest sequence [tokens], both marks included."""
        return self.network.config.max_position_embeddings

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without marks."""
        return list(self.tokenizer.encode(text).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are no character become U+FFFD."""
        return str(self.tokenizer.decode(list(tokens)))

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return ``-log p(token | tokens before)`` [nats] of each token of each sequence.

        The last value of each is the surprise of the end mark.
        """
        found: list[NDArray[np.float32]] = []
        for chunk in _chunks(items, 64):
            batch = self._batch(chunk)
            with torch.inference_mode():
                logits = self.network.logits(self.network(batch[:, :-1]))
                loss = functional.cross_entropy(
                    logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none"
                ).view(len(chunk), -1)
            found += [
                loss[row, : len(item) + 1].numpy().copy() for row, item in enumerate(chunk)
            ]
        return found

    def recall(self, cues: Sequence[Sequence[int]]) -> list[Completion]:
        """Complete each cue by free greedy generation.

        The confidence is the geometric mean of the probabilities of the tokens chosen.
        """
        return [
            completion
            for chunk in _chunks(cues, 256)
            for completion in self._generate(chunk, temperature=0.0, generator=None)
        ]

    def dream(
        self, n: int, seed: int, temperature: float = 1.0, cues: Sequence[Sequence[int]] = ()
    ) -> list[tuple[int, ...]]:
        """Let the cortex speak by itself: `n` sequences from the begin mark to the end mark."""
        generator = torch.Generator().manual_seed(seed)
        dreams: list[tuple[int, ...]] = []
        prompts: list[Sequence[int]] = list(cues) or [()] * n
        for chunk in _chunks(prompts, 512):
            for cue, dream in zip(chunk, self._generate(chunk, temperature, generator), strict=True):
                dreams.append((*cue, *dream.items))
        return dreams

    def grow(self, seed: int) -> None:
        """Add the writable part, silent at first, and its optimiser."""
        generator = torch.Generator().manual_seed(seed)
        for _, linear in self.network.writable():
            linear.grow(self.plasticity.rank, generator)
        self._start_optimiser()

    def learn(
        self,
        lessons: Sequence[Sequence[int]],
        weights: Sequence[float],
        dreams: Sequence[Sequence[int]],
        rate: float,
    ) -> float:
        """Take one gradient step on lessons and, at the same time, on dreams.

        ``L = sum_i w_i CE_i / sum_i w_i + lambda * KL(dusk || now)`` with the mean over tokens in
        both; the cortex as it was at dusk is the frozen backbone without its adapter.

        Returns
        -------
        float
            The loss of the lessons [nats a token].
        """
        assert self.optimiser is not None
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss = torch.zeros(())
        if lessons:
            loss = self._lesson_loss(lessons, weights)
            loss.backward()
        if dreams:
            (self.plasticity.dream_weight * self._dream_loss(dreams)).backward()
        if not torch.isfinite(loss):
            raise NumericalError.at("language cortex", "loss", 0.0)
        torch.nn.utils.clip_grad_norm_(self._adapter(), self.plasticity.clip)
        self.optimiser.step()
        return float(loss)

    @contextmanager
    def dusk(self) -> Iterator[None]:
        """Look at the cortex without what this night has written."""
        parts = [(m, m.adapter_in, m.adapter_out) for _, m in self.network.writable()]
        for linear, _, _ in parts:
            linear.adapter_in = linear.adapter_out = None
        try:
            yield
        finally:
            for linear, inward, outward in parts:
                linear.adapter_in, linear.adapter_out = inward, outward

    def merge(self) -> None:
        """Write the adapter into the backbone; the night is over."""
        for _, linear in self.network.writable():
            linear.merge()
        self.optimiser = None

    def _adapter(self) -> list[torch.nn.Parameter]:
        return [
            part
            for _, linear in self.network.writable()
            for part in (linear.adapter_in, linear.adapter_out)
            if part is not None
        ]

    def _start_optimiser(self) -> None:
        self.optimiser = torch.optim.AdamW(
            self._adapter(), lr=self.plasticity.rate, betas=(0.9, 0.98), weight_decay=0.0
        )

    def _lesson_loss(self, lessons: Sequence[Sequence[int]], weights: Sequence[float]) -> Tensor:
        batch = self._batch(lessons)
        targets = batch[:, 1:]
        real = targets != self.pad
        hidden = self.network(batch[:, :-1])
        loss = functional.cross_entropy(
            self.network.logits(hidden[real]), targets[real], reduction="none"
        )
        share = torch.tensor(weights)[:, None].expand_as(real)[real]
        return (loss * share).sum() / share.sum()

    def _dream_loss(self, dreams: Sequence[Sequence[int]]) -> Tensor:
        batch = self._batch(dreams)
        real = batch[:, 1:] != self.pad
        with torch.no_grad(), self.dusk():
            before = self.network.logits(self.network(batch[:, :-1])[real]).log_softmax(-1)
        now = self.network.logits(self.network(batch[:, :-1])[real]).log_softmax(-1)
        return functional.kl_div(now, before, log_target=True, reduction="batchmean")

    def _batch(self, items: Sequence[Sequence[int]]) -> Tensor:
        length = max(map(len, items)) + 2
        batch = np.full((len(items), length), self.pad, dtype=np.int64)
        for row, item in enumerate(items):
            batch[row, 0] = self.begin
            batch[row, 1 : len(item) + 1] = item
            batch[row, len(item) + 1] = self.end
        return torch.from_numpy(batch)

    @torch.inference_mode()
    def _generate(
        self, cues: Sequence[Sequence[int]], temperature: float, generator: torch.Generator | None
    ) -> list[Completion]:
        n = len(cues)
        room = min(self.longest, max(map(len, cues)) + 100)
        forced = np.full((n, room), -1, dtype=np.int64)
        forced[:, 0] = self.begin
        for row, cue in enumerate(cues):
            forced[row, 1 : len(cue) + 1] = cue
        spoken: list[list[int]] = [[] for _ in range(n)]
        log_p = np.zeros(n)
        rows = np.arange(n)
        cache = Cache(self.network.config, n, room)
        current = forced[:, 0]
        for step in range(room - 1):
            hidden = self.network(torch.from_numpy(current)[:, None], cache)[:, -1]
            logits = self.network.logits(hidden)
            if temperature > 0:
                p = (logits / temperature).softmax(-1)
                chosen = torch.multinomial(p, 1, generator=generator)[:, 0]
            else:
                chosen = logits.argmax(-1)
            gained = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0].numpy()
            free = forced[rows, step + 1] < 0
            following = np.where(free, chosen.numpy(), forced[rows, step + 1])
            for place in np.flatnonzero(free):
                row = rows[place]
                log_p[row] += gained[place]
                spoken[row].append(int(following[place]))
            going = ~(free & (following == self.end))
            if not going.any():
                break
            if going.mean() < 0.7:
                kept = np.flatnonzero(going)
                cache.keep(torch.from_numpy(kept))
                rows, following, going = rows[kept], following[kept], going[kept]
            elif not going.all():
                for place in np.flatnonzero(~going):
                    forced[rows[place], step + 2 :] = self.pad
            current = following
        return [self._completion(tokens, score) for tokens, score in zip(spoken, log_p, strict=True)]

    def _completion(self, tokens: list[int], log_p: float) -> Completion:
        items = tuple(tokens[: tokens.index(self.end)]) if self.end in tokens else tuple(tokens)
        return Completion(items, float(np.exp(log_p / max(len(tokens), 1))))


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
