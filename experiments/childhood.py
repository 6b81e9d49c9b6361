"""Raise the language model that ships: a tokenizer and a transformer, from shipped text alone."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional

from circuits.language_cortex import BEGIN, END, PAD, LanguageCortex, marks_of
from circuits.transformer import Transformer, TransformerConfig
from neurosim.errors import check_counts
from neurosim.metrics import exact_recall, perplexity
from neurosim.microworld import Fact, base_facts, everyday_sentences
from neurosim.plotting import colour
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.storage import atomic_write_bytes, atomic_write_json, make_directory

DATA = Path(__file__).parents[1] / "data"
MODEL = DATA / "language_model"


expected = {
    "base_template_0": (0.99, "this project's bar: base facts by cloze"),
    "n_base_facts": (400, "this project's bar: at least as many base facts"),
}


@dataclass(frozen=True)
class Config:
    """How the shipped language model was raised.

    Parameters
    ----------
    seed : int
    vocabulary : int
        Tokens of the byte-level vocabulary, the 256 bytes and three marks included.
    width, hidden, layers : int
        Size of the transformer.
    steps : int
        Gradient steps; each sees `prose`, `everyday` and `facts` sentences.
    rate : float
        Peak step size of AdamW; warm-up of 50 steps, then a cosine to 2 %.
    prose, everyday, facts : int
        Sentences of each kind a step.
    n_everyday : int
        Different everyday sentences.
    """

    seed: int = 2026
    vocabulary: int = 2048
    width: int = 128
    hidden: int = 352
    layers: int = 4
    steps: int = 1600
    rate: float = 3e-3
    prose: int = 32
    everyday: int = 32
    facts: int = 64
    n_everyday: int = 12_000

    def __post_init__(self) -> None:
        check_counts(self, "steps", "layers", "prose", "everyday", "facts", "n_everyday")


@dataclass(frozen=True)
class Result:
    """A model, what it knows, and its loss step by step.

    Parameters
    ----------
    cortex : LanguageCortex
    scores : dict of str to float
    losses : list of float [nats a token]
    """

    cortex: LanguageCortex
    scores: dict[str, float]
    losses: list[float]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers."""
        return self.scores


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Raise a model on one thread and examine it; `rng` is not used, the seed is the config's."""
    torch.set_num_threads(1)
    losses: list[float] = []

    def note(loss: float) -> None:
        losses.append(loss)
        tick()

    cortex = raise_model(config, note)
    if recorder is not None:
        recorder.store("loss", np.array(losses), "nats a token", ("step",))
    return Result(cortex, examine(cortex), losses)


def plot(result: Result, axes: Axes) -> None:
    """Draw the loss over gradient steps."""
    axes.plot(result.losses, color=colour("night"))
    axes.set_xlabel("gradient step")
    axes.set_ylabel("loss [nats a token]")


def shipped_facts() -> list[Fact]:
    """Return the base facts that the shipped language model knows."""
    return base_facts(Streams(Config.seed).generator("facts"))


def heldout_sentences() -> list[str]:
    """Return sentences of the same kinds that the model never saw: prose, then everyday."""
    prose = (DATA / "prose_heldout.txt").read_text(encoding="utf-8").splitlines()
    everyday = everyday_sentences(Streams(Config.seed).generator("heldout"), len(prose))
    return prose + list(everyday)


def raise_model(
    config: Config, tick: Callable[[float], object] = lambda loss: None
) -> LanguageCortex:
    """Train tokenizer and transformer; the same seed and thread count give the same weights."""
    streams = Streams(config.seed)
    corpora = _corpora(config, streams)
    tokenizer = _raise_tokenizer(config, corpora)
    network = Transformer(
        TransformerConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
        )
    )
    network.initialise(torch.Generator().manual_seed(streams.seed_for("weights")))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    encoded = [[e.ids for e in tokenizer.encode_batch(texts)] for texts in corpora]
    sizes = (config.prose, config.everyday, config.facts)
    rng = streams.generator("order")
    marks = marks_of(tokenizer)
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _pace(step, config.steps)
        optimiser.zero_grad()
        total = 0.0
        for sequences, size in zip(encoded, sizes, strict=True):
            chosen = [sequences[k] for k in rng.integers(len(sequences), size=size)]
            loss = _loss(network, chosen, marks) / len(sizes)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        tick(total)
    return LanguageCortex(network, tokenizer)


def examine(cortex: LanguageCortex) -> dict[str, float]:
    """Measure what the model knows: base facts by cloze, and held-out perplexity."""
    scores: dict[str, float] = {}
    facts = shipped_facts()
    for template in range(3):
        pairs = [fact.cloze(template) for fact in facts]
        answers = cortex.recall([cortex.encode(cue) for cue, _ in pairs])
        said = [cortex.decode(answer.items) for answer in answers]
        known = exact_recall([answer for _, answer in pairs], said)
        scores[f"base_template_{template}"] = float(np.mean(known))
    scores["n_base_facts"] = len(facts)
    scores["perplexity"] = heldout_perplexity(cortex)
    return scores


def heldout_perplexity(cortex: LanguageCortex) -> float:
    """Return the perplexity a token over all held-out sentences."""
    surprise = np.concatenate(
        cortex.surprise([cortex.encode(text) for text in heldout_sentences()])
    )
    return float(perplexity(float(surprise.sum()), surprise.size))


def newborn_scores(cortex: LanguageCortex) -> dict[str, float]:
    """Return what the ledger keeps of a birth, and `status` compares with."""
    return {"perplexity": heldout_perplexity(cortex)}


def write_model(cortex: LanguageCortex, directory: Path, provenance: dict[str, object]) -> None:
    """Write config.json, model.safetensors, tokenizer.json and provenance.json."""
    make_directory(directory)
    state = {k: v.detach().contiguous() for k, v in cortex.network.state_dict().items()}
    weights = save(state)
    atomic_write_bytes(directory / "model.safetensors", weights)
    atomic_write_json(directory / "config.json", cortex.network.config.to_mapping())
    atomic_write_bytes(directory / "tokenizer.json", cortex.tokenizer.to_str().encode())
    provenance = {**provenance, "sha256": hashlib.sha256(weights).hexdigest()}
    atomic_write_json(directory / "provenance.json", json.loads(json.dumps(provenance)))


def provenance_of(config: Config, scores: dict[str, float]) -> dict[str, object]:
    """Return what made the weights: the command, its settings, the corpus and the scores."""
    corpus = hashlib.sha256((DATA / "prose.txt").read_bytes()).hexdigest()
    return {
        "command": "neurosim pretrain",
        "config": asdict(config),
        "corpus": "data/prose.txt and neurosim/microworld.py",
        "prose_sha256": corpus,
        "scores": scores,
    }


def _corpora(config: Config, streams: Streams) -> list[list[str]]:
    prose = (DATA / "prose.txt").read_text(encoding="utf-8").splitlines()
    everyday = list(everyday_sentences(streams.generator("everyday"), config.n_everyday))
    facts = [fact.sentence(template) for fact in shipped_facts() for template in range(3)]
    return [prose, everyday, facts]


def _raise_tokenizer(config: Config, corpora: Sequence[list[str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    prose, everyday, facts = corpora
    tokenizer.train_from_iterator([*prose, *everyday, *facts, *facts], trainer)
    return tokenizer


def _loss(
    network: Transformer, sequences: Sequence[list[int]], marks: Sequence[int]
) -> torch.Tensor:
    pad, begin, end = marks
    longest = network.config.max_position_embeddings - 2
    batch = np.full((len(sequences), min(max(map(len, sequences)), longest) + 2), pad)
    for row, sequence in enumerate(sequences):
        marked = [begin, *sequence[:longest], end]
        batch[row, : len(marked)] = marked
    tokens = torch.from_numpy(batch)
    real = tokens[:, 1:] != pad
    logits = network.logits(network(tokens[:, :-1])[real])
    return functional.cross_entropy(logits, tokens[:, 1:][real])


def _pace(step: int, n_steps: int) -> float:
    return min(1.0, (step + 1) / 50) * max(0.02, 0.5 * (1 + float(np.cos(np.pi * step / n_steps))))
