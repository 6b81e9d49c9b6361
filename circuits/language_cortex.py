"""The language cortex: a transformer that is surprised, dreams, recalls and learns at night."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from circuits.night_growth import NightGrowth, PlasticityConfig
from circuits.transformer import Cache, Transformer
from neurosim.contracts import Completion
from neurosim.errors import ConfigError, NumericalError

LONGEST_ANSWER = 72
"""Most tokens [tokens] the cortex says without being asked for more."""

LONGEST_DREAM = 40
"""Tokens after which a dream breaks off; rehearsal does not need its end."""

PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"


class LanguageCortex(NightGrowth):
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
        super().__init__(network.eval(), plasticity or PlasticityConfig())
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True  # A mark within a text is text.
        self.pad, self.begin, self.end = marks_of(tokenizer)
        self._starts_word = _word_starts(tokenizer)
        network.requires_grad_(False)

    @property
    def longest(self) -> int:
        """Longest sequence [tokens], both marks included."""
        return self.network.config.max_position_embeddings

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without marks; what is no character becomes ``?``."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        return list(self.tokenizer.encode(text).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are no character become U+FFFD."""
        return str(self.tokenizer.decode(list(tokens)))

    def opening(self, items: Sequence[int]) -> int:
        """Return how many tokens make up the first half of the words (rounded up)."""
        starts = np.flatnonzero(self._starts_word[np.asarray(items, dtype=np.int64)])
        starts = starts[starts > 0]
        n_words = len(starts) + 1
        first_half = (n_words + 1) // 2
        return int(starts[first_half - 1]) if first_half <= len(starts) else len(items)

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return ``-log p(token | tokens before)`` [nats] of each token of each sequence.

        The last value of each is the surprise of the end mark. What lies beyond the longest
        sequence the network can read is left out.
        """
        found: list[NDArray[np.float32]] = []
        for chunk in _chunks(items, 32):
            batch = self._batch(chunk)
            with torch.inference_mode():
                logits = self.network.logits(self.network(batch[:, :-1]))
                loss = functional.cross_entropy(
                    logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none"
                ).view(len(chunk), -1)
            found += [loss[row, : len(item) + 1].numpy().copy() for row, item in enumerate(chunk)]
        return found

    def recall(self, cues: Sequence[Sequence[int]]) -> list[Completion]:
        """Complete each cue by free greedy generation.

        The confidence is the geometric mean of the probabilities of the tokens chosen.
        """
        return [
            completion
            for chunk in _chunks(cues, 128)
            for completion in self._generate(chunk, LONGEST_ANSWER)
        ]

    def dream(
        self, n: int, seed: int, temperature: float = 1.0, cues: Sequence[Sequence[int]] = ()
    ) -> list[tuple[int, ...]]:
        """Let the cortex speak by itself: `n` sequences from the begin mark to the end mark."""
        generator = torch.Generator().manual_seed(seed)
        dreams: list[tuple[int, ...]] = []
        prompts: list[Sequence[int]] = list(cues) or [()] * n
        for chunk in _chunks(prompts, 128):
            for cue, dream in zip(
                chunk, self._generate(chunk, LONGEST_DREAM, temperature, generator), strict=True
            ):
                dreams.append((*cue, *dream.items))
        return dreams

    def learn(
        self,
        lessons: Sequence[Sequence[int]],
        trust: Sequence[float],
        dreams: Sequence[Sequence[int]],
        pace: float = 1.0,
    ) -> float:
        """Take one gradient step on lessons and, at the same time, on dreams.

        ``L = sum_t w_t CE_t / sum_t w_t + lambda KL(dusk || now) + mu sum_b |s_b|^2``, the mean
        over tokens in each. The teacher is the cortex as it was at dusk: the frozen backbone
        without what has grown (distillation: Hinton et al., 2015, eq. 2; from generated samples:
        Shin et al., 2017). The last term is ours: what the grown neurons of block b say, s_b, is
        noise in a dream, so they learn to be silent on the old.

        Parameters
        ----------
        lessons : sequence of token sequences
        trust : sequence of float
            Confidence of each replay; weighs its lesson.
        dreams : sequence of token sequences
            None: no rehearsal.
        pace : float
            Factor of the learning rate, 0..1.

        Returns
        -------
        float
            The loss of the lessons [nats a token].

        Raises
        ------
        NumericalError
            When the loss is no longer finite.
        """
        if self.optimiser is None:
            raise ConfigError("LanguageCortex.learn: expected a grown cortex; call grow first")
        for group in self.optimiser.param_groups:
            group["lr"] = self.plasticity.rate * pace
        self.optimiser.zero_grad()
        loss = self._lesson_loss(lessons, trust)
        loss.backward()  # type: ignore[no-untyped-call]
        self._rehearse(dreams)
        if not torch.isfinite(loss):
            raise NumericalError.at(
                "language cortex", "loss", 0.0, mend="lower PlasticityConfig.rate"
            )
        torch.nn.utils.clip_grad_norm_(self._writable(), self.plasticity.clip)
        self.optimiser.step()
        return float(loss.detach())

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights by name."""
        return {k: v.detach().numpy() for k, v in self.network.state_dict().items()}

    def _lesson_loss(self, lessons: Sequence[Sequence[int]], trust: Sequence[float]) -> Tensor:
        batch = self._batch(lessons)
        targets = batch[:, 1:]
        weights = targets.ne(self.pad).float() * torch.tensor(trust)[:, None]
        for row, lesson in enumerate(lessons):
            opening = max(1, int(self.plasticity.opening * len(lesson)))
            weights[row, :opening] *= self.plasticity.opening_weight
        real = weights > 0
        logits = self.network.logits(self.network(batch[:, :-1])[real])
        loss = functional.cross_entropy(logits, targets[real], reduction="none")
        return (loss * weights[real]).sum() / weights.sum()

    def _rehearse(self, dreams: Sequence[Sequence[int]]) -> None:
        """Add the gradient of the dreams' loss, in blocks of like length to spare padding."""
        n_tokens = sum(map(len, dreams)) + len(dreams)
        for block in _chunks(sorted(dreams, key=len), 16):
            batch = self._batch(block)
            real = batch[:, 1:] != self.pad
            with torch.no_grad(), self.dusk():
                before = self.network.logits(self.network(batch[:, :-1])[real]).log_softmax(-1)
            now = self.network.logits(self.network(batch[:, :-1])[real]).log_softmax(-1)
            loss = functional.kl_div(now, before, log_target=True, reduction="sum")
            said = [part.said[real] for part in self.network.feed_forwards()]  # type: ignore[index]
            noise = torch.stack([each.square().sum() for each in said]).sum()
            loss = (
                self.plasticity.dream_weight * loss + self.plasticity.silence * noise
            ) / n_tokens
            loss.backward()  # type: ignore[no-untyped-call]

    def _batch(self, items: Sequence[Sequence[int]]) -> Tensor:
        length = min(max(map(len, items)) + 2, self.longest)
        batch = np.full((len(items), length), self.pad, dtype=np.int64)
        for row, item in enumerate(items):
            marked = [self.begin, *item, self.end][:length]
            batch[row, : len(marked)] = marked
        return torch.from_numpy(batch)

    @torch.inference_mode()
    def _generate(
        self,
        cues: Sequence[Sequence[int]],
        longest: int,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[Completion]:
        cues = [cue[-(self.longest - 2) :] for cue in cues]
        n = len(cues)
        room = min(self.longest, max(map(len, cues)) + longest)
        forced = np.full((n, room), -1, dtype=np.int64)
        forced[:, 0] = self.begin
        for row, cue in enumerate(cues):
            forced[row, 1 : len(cue) + 1] = cue
        spoken: list[list[int]] = [[] for _ in range(n)]
        log_p = np.zeros(n)
        rows, speaking = np.arange(n), np.ones(n, dtype=bool)
        cache = Cache(self.network.config, n, room)
        shared = min(map(len, cues))
        current = forced[:, : shared + 1]
        for step in range(shared, room - 1):
            hidden = self.network(torch.from_numpy(current), cache)[:, -1]
            logits = self.network.logits(hidden)
            if temperature > 0:
                chosen = _draw(logits / temperature, generator)
            else:
                chosen = logits.argmax(-1)
            gained = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0].numpy()
            free = forced[rows, step + 1] < 0
            following = np.where(free, chosen.numpy(), forced[rows, step + 1])
            for place in np.flatnonzero(free & speaking):
                row = rows[place]
                log_p[row] += gained[place]
                spoken[row].append(int(following[place]))
            speaking &= ~(free & (following == self.end))
            if not speaking.any():
                break
            if speaking.mean() < 0.7:
                kept = np.flatnonzero(speaking)
                cache.keep(torch.from_numpy(kept))
                rows, following, speaking = rows[kept], following[kept], speaking[kept]
            current = following[:, None]
        return [
            self._completion(tokens, score) for tokens, score in zip(spoken, log_p, strict=True)
        ]

    def _completion(self, tokens: list[int], log_p: float) -> Completion:
        items = tuple(tokens[: tokens.index(self.end)]) if self.end in tokens else tuple(tokens)
        return Completion(items, float(np.exp(log_p / max(len(tokens), 1))))


def marks_of(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Return the tokens of the marks pad, begin and end.

    Raises
    ------
    ConfigError
        When the tokenizer lacks one.
    """
    marks = [tokenizer.token_to_id(mark) for mark in (PAD, BEGIN, END)]
    if None in marks:
        raise ConfigError(
            f"LanguageCortex.tokenizer: expected the marks {PAD} {BEGIN} {END}, got a tokenizer "
            f"without them; add them as special tokens"
        )
    pad, begin, end = (mark for mark in marks if mark is not None)
    return pad, begin, end


def _draw(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one token a row by inverting the cumulated probabilities."""
    cumulated = logits.softmax(-1).cumsum(-1)
    uniform = torch.rand(len(logits), 1, generator=generator) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, uniform)[:, 0].clamp(max=logits.shape[-1] - 1)


def _word_starts(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Return for each token whether it begins with a space, the byte-level mark of a new word."""
    size = tokenizer.get_vocab_size()
    return np.array([(tokenizer.id_to_token(k) or "").startswith("\u0120") for k in range(size)])


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
