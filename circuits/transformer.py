"""A decoder-only transformer: the slow weights that the night writes into.

The architecture is Llama's (RMSNorm, rotary positions, SwiGLU, grouped-query attention) with the
parameter names of its public checkpoints, so a directory with ``config.json`` and
``model.safetensors`` of that family loads as it is.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurosim.errors import ConfigError


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of the network; field names as in the family's ``config.json``.

    Parameters
    ----------
    vocab_size, hidden_size, intermediate_size, num_hidden_layers : int
    num_attention_heads, num_key_value_heads : int
        The second divides the first (grouped-query attention, Ainslie et al., 2023).
    max_position_embeddings : int [tokens]
    rope_theta : float
        Base of the rotary angles (Su et al., 2021, eq. 15).
    rms_norm_eps : float
    tie_word_embeddings : bool
        Read-out uses the embedding matrix (Press & Wolf, 2017).

    Raises
    ------
    ConfigError
        For heads that do not divide the hidden size, or groups that do not divide the heads.
    """

    vocab_size: int = 2048
    hidden_size: int = 128
    intermediate_size: int = 352
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    max_position_embeddings: int = 128
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        if self.hidden_size % heads or heads % groups:
            raise ConfigError(
                f"TransformerConfig.num_attention_heads: expected a divisor of hidden_size "
                f"{self.hidden_size} and a multiple of num_key_value_heads {groups}, got {heads}; "
                f"change one of the three"
            )

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "TransformerConfig":
        """Take the known keys of a ``config.json``; refuse another architecture."""
        family = values.get("model_type", "llama")
        if family != "llama":
            raise ConfigError(
                f"TransformerConfig.model_type: expected llama, got {family}; "
                f"give a directory of a Llama-family model"
            )
        known = {field.name for field in fields(cls)}
        taken = {key: value for key, value in values.items() if key in known}
        return cls(**taken)

    def to_mapping(self) -> dict[str, Any]:
        """Return the content of a ``config.json``."""
        return {"model_type": "llama", **asdict(self)}


class Cache:
    """Keys and values of the tokens read so far, one pair a layer.

    Memory for `length` tokens is taken only as they are read: most sequences end before.
    """

    def __init__(self, config: TransformerConfig, batch: int, length: int) -> None:
        depth = config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, 0, depth)
        self.length = length
        self.keys = torch.zeros(shape)
        self.values = torch.zeros(shape)
        self.read = 0

    def reserve(self, span: int) -> None:
        """Make room for `span` tokens, and some more."""
        if span > self.keys.shape[3]:
            more = max(span, min(self.length, span + 16)) - self.keys.shape[3]
            empty = self.keys.new_zeros((*self.keys.shape[:3], more, self.keys.shape[4]))
            self.keys = torch.cat((self.keys, empty), dim=3)
            self.values = torch.cat((self.values, empty), dim=3)

    def keep(self, rows: Tensor) -> None:
        """Drop all sequences but `rows`."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.depth = config.hidden_size // self.heads
        self.q_proj = _linear(config.hidden_size, self.heads * self.depth)
        self.k_proj = _linear(config.hidden_size, self.groups * self.depth)
        self.v_proj = _linear(config.hidden_size, self.groups * self.depth)
        self.o_proj = _linear(self.heads * self.depth, config.hidden_size)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        """Attend from each token to itself and the ones before it."""
        batch, length, _ = x.shape
        query = self.q_proj(x).view(batch, length, self.heads, self.depth).transpose(1, 2)
        key = self.k_proj(x).view(batch, length, self.groups, self.depth).transpose(1, 2)
        value = self.v_proj(x).view(batch, length, self.groups, self.depth).transpose(1, 2)
        query, key = _rotate(query, *angles), _rotate(key, *angles)
        mask, causal = None, True
        if cache is not None:
            span = cache.read + length
            cache.keys[self.layer, :, :, cache.read : span] = key
            cache.values[self.layer, :, :, cache.read : span] = value
            if cache.read:
                key, value = (
                    cache.keys[self.layer, :, :, :span],
                    cache.values[self.layer, :, :, :span],
                )
                mask = torch.ones(length, span, dtype=torch.bool).tril(cache.read)
                causal = False
        if cache is not None and length == 1 and cache.read:
            mixed = _attend_once(query, key, value)
        else:
            mixed = functional.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=mask,
                is_causal=causal,
                enable_gqa=self.groups < self.heads,
            )
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020, eq. 6), with neurons that a night may grow.

    ``y = W_d (silu(W_g x) * W_u x)``. Grown neurons are more rows of W_g and W_u and more columns
    of W_d; they live apart until `merge` writes them in, so the backbone can rest frozen.

    Attributes
    ----------
    said : Tensor or None
        What the grown neurons added to the residual path in the last `forward`.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate_proj = _linear(config.hidden_size, config.intermediate_size)
        self.up_proj = _linear(config.hidden_size, config.intermediate_size)
        self.down_proj = _linear(config.intermediate_size, config.hidden_size)
        self.grown: nn.ParameterDict | None = None
        self.said: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map each token by itself."""
        y = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        if self.grown is None:
            return y
        gate = functional.silu(functional.linear(x, self.grown["gate"]))
        self.said = functional.linear(
            gate * functional.linear(x, self.grown["up"]), self.grown["down"]
        )
        return y + self.said

    def grow(self, n: int, generator: torch.Generator) -> None:
        """Add `n` neurons that listen (variance 1/in) and do not speak yet (outputs zero)."""
        n_in = self.gate_proj.in_features
        draws = [torch.randn(n, n_in, generator=generator) * n_in**-0.5 for _ in range(2)]
        self.grown = nn.ParameterDict(
            {"gate": draws[0], "up": draws[1], "down": torch.zeros(n_in, n)}
        )

    @torch.no_grad()
    def merge(self) -> None:
        """Make the grown neurons part of the backbone."""
        if self.grown is None:
            return
        for name, dim in (("gate", 0), ("up", 0), ("down", 1)):
            linear = getattr(self, f"{name}_proj")
            weight = torch.cat((linear.weight, self.grown[name]), dim=dim).contiguous()
            setattr(self, f"{name}_proj", _linear(weight.shape[1], weight.shape[0], weight))
        self.grown = self.said = None


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual path."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        """Apply both residual steps."""
        x = x + self.self_attn(self.input_layernorm(x), angles, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Trunk(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, k) for k in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)


class Transformer(nn.Module):
    """Decoder-only language model.

    Parameters
    ----------
    config : TransformerConfig
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Trunk(config)
        self.lm_head: nn.Linear | None = None
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        depth = config.hidden_size // config.num_attention_heads
        pace = config.rope_theta ** (-torch.arange(0, depth, 2).float() / depth)
        turns = torch.outer(torch.arange(config.max_position_embeddings).float(), pace)
        turns = torch.cat((turns, turns), dim=-1)
        self.cosine: Tensor
        self.sine: Tensor
        self.register_buffer("cosine", turns.cos(), persistent=False)
        self.register_buffer("sine", turns.sin(), persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all matrices from N(0, 0.02^2), residual outputs scaled by depth (Radford, 2019)."""
        residual = 0.02 * (2 * self.config.num_hidden_layers) ** -0.5
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() > 1:
                    scale = (
                        residual if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                    )
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Return the hidden states ``(batch, length, hidden)`` of ``tokens (batch, length)``."""
        start = cache.read if cache is not None else 0
        span = start + tokens.shape[1]
        angles = (self.cosine[start:span], self.sine[start:span])
        if cache is not None:
            cache.reserve(span)
        x = self.model.embed_tokens(tokens)
        for block in self.model.layers:
            x = block(x, angles, cache)
        if cache is not None:
            cache.read = span
        return self.model.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Read out ``(..., vocab)`` from hidden states."""
        head = self.lm_head or self.model.embed_tokens
        return functional.linear(hidden, head.weight)

    def grow(self, n: int, generator: torch.Generator) -> None:
        """Add `n` silent neurons to every block."""
        for feed_forward in self.feed_forwards():
            feed_forward.grow(n, generator)

    def merge(self) -> None:
        """Make all grown neurons part of the backbone; `config` follows."""
        for feed_forward in self.feed_forwards():
            feed_forward.merge()
        width = self.feed_forwards()[0].gate_proj.out_features
        self.config = replace(self.config, intermediate_size=width)

    def feed_forwards(self) -> list[FeedForward]:
        """Return the parts that can grow."""
        return [block.mlp for block in self.model.layers]  # type: ignore[misc]


def _linear(n_in: int, n_out: int, weight: Tensor | None = None) -> nn.Linear:
    linear = nn.Linear(n_in, n_out, bias=False)
    if weight is not None:
        linear.weight = nn.Parameter(weight, requires_grad=False)
    return linear


def _attend_once(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend from one token; three times faster on a CPU than the fused kernel on a cache."""
    groups = key.shape[1]
    batch, heads, _, depth = query.shape
    query = query.view(batch, groups, heads // groups, depth)
    weights = (query @ key.transpose(-1, -2) * depth**-0.5).softmax(-1)
    return (weights @ value).view(batch, heads, 1, depth)


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cosine + turned * sine
