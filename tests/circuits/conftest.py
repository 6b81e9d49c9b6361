"""Small regions that the tests of the circuits share."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from circuits.dentate_gyrus import DentateConfig
from circuits.entorhinal import EntorhinalConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.hippocampus import Hippocampus
from circuits.hippocampus_config import HippocampusConfig
from circuits.language_cortex import BEGIN, END, PAD, LanguageCortex
from circuits.night_growth import PlasticityConfig
from circuits.transformer import Transformer, TransformerConfig
from neurosim.randomness import Streams
from rules.willshaw import Willshaw

N_TOKENS = 200
SENTENCES = [
    f"The {animal} of {name} sleeps in the {place}."
    for animal, name, place in zip(
        "cat dog goat hen horse mouse owl pig raven wolf".split(),
        "Ada Ben Cleo Dan Eva Finn Gus Hal Ira Jo".split(),
        "attic barn cellar garden hall kitchen loft mill shed yard".split(),
        strict=True,
    )
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def sizes(small):
    """Sizes of a small hippocampus, smaller still when kernels are interpreted."""
    shrink = 2 if small else 1
    return {
        "entorhinal": EntorhinalConfig(n_tokens=N_TOKENS, n_item=256, n_context=256),
        "dentate": DentateConfig(n_units=2048 // shrink),
        "ca3": EpisodicCA3Config(
            n_index=1024 // shrink,
            k_index=20,
            n_sequence=2048 // shrink,
            k_sequence=20,
            connectivity=0.5,
        ),
        "longest": 24,
    }


@pytest.fixture
def sequences(small):
    """Distinct random sequences of tokens."""
    return random_sequences(6 if small else 24, 5)


@pytest.fixture
def birth(sizes, small):
    """Return a function that gives birth to hippocampi, all alike for one seed."""

    def born(seed=1, separation=True, **changes):
        given = {**sizes, **changes}
        config = HippocampusConfig(**given)
        hippocampus = Hippocampus(
            config if separation else config.dense(0.1), Willshaw(), Streams(seed)
        )
        hippocampus.mature(random_sequences(5 if small else 40, 77))
        return hippocampus

    return born


@pytest.fixture
def newborn(birth):
    return birth()


@pytest.fixture
def filled(newborn, sequences):
    for items in sequences:
        newborn.store(items)
    return newborn


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level vocabulary, as the one that ships."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES, trainer)
    return made


@pytest.fixture
def make_cortex(tokenizer):
    """Return a function that makes small language cortices, all alike for one seed."""

    def make(seed=0, **plasticity):
        config = TransformerConfig(
            vocab_size=340,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
        )
        network = Transformer(config)
        network.initialise(torch.Generator().manual_seed(seed))
        with torch.no_grad():  # Newborn weights are near zero: make it opinionated.
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    parameter *= 8.0
        return LanguageCortex(network, tokenizer, PlasticityConfig(**{"neurons": 8, **plasticity}))

    return make


@pytest.fixture
def language_cortex(make_cortex):
    return make_cortex()


@pytest.fixture
def lessons(language_cortex):
    return [language_cortex.encode(text) for text in SENTENCES]


def random_sequences(n, seed, length=12):
    """Draw sequences that do not use the three marks."""
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(3, N_TOKENS, size=length).tolist()) for _ in range(n)]
