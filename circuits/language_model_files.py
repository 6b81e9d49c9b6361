"""The three files of a language model, read into a cortex."""

import json
from pathlib import Path

from safetensors.torch import load as load_tensors
from tokenizers import Tokenizer

from circuits.language_cortex import LanguageCortex
from circuits.transformer import Transformer, TransformerConfig
from neurosim.errors import InputError


def load_language_model(directory: Path) -> LanguageCortex:
    """Load a language model from a directory in the usual three files.

    Raises
    ------
    InputError
        When a file is missing or is not what it should be.
    """
    files = []
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        try:
            files.append((directory / name).read_bytes())
        except OSError:
            raise InputError(
                f"{directory} holds no {name}; give a directory with config.json, "
                f"model.safetensors and tokenizer.json"
            ) from None
    try:
        return language_model(*files)
    except Exception as error:  # safetensors and tokenizers raise classes of their own.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{directory} is not a language model this version can read ({reason}); "
            f"make one with neurosim pretrain"
        ) from error


def language_model(config: bytes, weights: bytes, tokenizer: bytes) -> LanguageCortex:
    """Build a cortex from what its three files hold.

    Parameters
    ----------
    config : bytes
        JSON of a `TransformerConfig`.
    weights : bytes
        Safetensors, by the names of the network's parameters.
    tokenizer : bytes
        JSON of a `tokenizers.Tokenizer`.
    """
    network = Transformer(TransformerConfig.from_mapping(json.loads(config)))
    network.load_state_dict(load_tensors(weights))
    return LanguageCortex(network, Tokenizer.from_str(tokenizer.decode("utf-8")))
