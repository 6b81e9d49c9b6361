"""The transformer is causal, positions are relative, and growing changes nothing by itself."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from circuits.transformer import Cache, Transformer, TransformerConfig, _rotate
from neurosim.errors import ConfigError

SMALL = TransformerConfig(
    vocab_size=50,
    hidden_size=32,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=24,
)
GROUPED = dataclasses.replace(SMALL, num_key_value_heads=2)
UNTIED = dataclasses.replace(SMALL, tie_word_embeddings=False)
# One float32 sum in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def network(config, scale=8.0):
    made = Transformer(config)
    made.initialise(torch.Generator().manual_seed(3))
    with torch.no_grad():  # So that outputs are far from zero.
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter *= scale
    return made.eval().requires_grad_(False)


def tokens(batch=3, length=12, seed=0):
    return torch.randint(0, 50, (batch, length), generator=torch.Generator().manual_seed(seed))


def logits(net, batch, cache=None):
    return net.logits(net(batch, cache))


@pytest.fixture(params=[SMALL, GROUPED, UNTIED], ids=["full", "grouped", "untied"])
def net(request):
    return network(request.param)


def test_the_future_does_not_change_the_past(net):
    batch = tokens()
    before = logits(net, batch)
    other = batch.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 50
    after = logits(net, other)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:], **CLOSE)


def test_the_past_changes_the_future(net):
    batch = tokens()
    other = batch.clone()
    other[:, 0] = (other[:, 0] + 1) % 50
    assert not torch.allclose(logits(net, batch)[:, -1], logits(net, other)[:, -1], **CLOSE)


@pytest.mark.parametrize("portions", [[12], [1] * 12, [5, 1, 1, 5], [1, 11], [4, 8]])
def test_reading_in_portions_is_reading_at_once(net, portions):
    batch = tokens()
    cache = Cache(net.config, len(batch), 12)
    parts = [logits(net, part, cache) for part in batch.split(portions, dim=1)]
    assert cache.read == 12
    torch.testing.assert_close(torch.cat(parts, dim=1), logits(net, batch), **CLOSE)


def test_a_cache_can_drop_sequences(net):
    batch = tokens()
    cache = Cache(net.config, 3, 12)
    net(batch[:, :6], cache)
    cache.keep(torch.tensor([0, 2]))
    rest = logits(net, batch[[0, 2], 6:], cache)
    torch.testing.assert_close(rest, logits(net, batch)[[0, 2], 6:], **CLOSE)


def test_grouped_attention_is_full_attention_with_repeated_keys_and_values():
    grouped, full = network(GROUPED), network(SMALL)
    state = grouped.state_dict()
    depth = SMALL.hidden_size // SMALL.num_attention_heads
    for name in state:
        if "k_proj" in name or "v_proj" in name:
            heads = state[name].view(2, depth, -1)
            state[name] = heads.repeat_interleave(2, dim=0).reshape(4 * depth, -1)
    full.load_state_dict(state)
    torch.testing.assert_close(logits(full, tokens()), logits(grouped, tokens()), **CLOSE)


def test_attention_is_the_formula_of_vaswani():
    net = network(SMALL)
    attention = net.model.layers[0].self_attn
    x = torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))
    angles = (net.cosine[:6], net.sine[:6])
    heads = [
        _rotate(proj(x).view(1, 6, 4, 8).transpose(1, 2), *angles)
        for proj in (attention.q_proj, attention.k_proj)
    ]
    values = attention.v_proj(x).view(1, 6, 4, 8).transpose(1, 2)
    score = heads[0] @ heads[1].transpose(-1, -2) / np.sqrt(8)
    score = score.masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
    mixed = (score.softmax(-1) @ values).transpose(1, 2).reshape(1, 6, 32)
    expected = attention.o_proj(mixed)
    torch.testing.assert_close(attention(x, angles, None), expected, **CLOSE)


def test_a_rotary_product_depends_on_the_distance_only():
    net = network(SMALL)
    generator = torch.Generator().manual_seed(5)
    query, key = torch.randn(2, 8, generator=generator)

    def product(i, j):
        turned = [_rotate(x, net.cosine[at], net.sine[at]) for x, at in ((query, i), (key, j))]
        return float(turned[0] @ turned[1])

    assert product(0, 0) == pytest.approx(float(query @ key), rel=1e-5)
    for distance in range(6):
        for start in (1, 9, 17):
            assert product(start + distance, start) == pytest.approx(
                product(distance, 0), rel=1e-4, abs=1e-4
            )
    assert abs(product(5, 0) - product(0, 0)) > 1e-2
    assert abs(product(5, 0) - product(0, 5)) > 1e-2  # The direction counts, too.


def test_grown_neurons_are_silent_at_first_and_speak_once_taught(net):
    batch, before = tokens(), logits(net, tokens())
    net.grow(6, torch.Generator().manual_seed(1))
    assert torch.equal(logits(net, batch), before)
    for part in net.feed_forwards():
        part.grown["down"].data.normal_(generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(logits(net, batch), before, **CLOSE)


def test_merging_changes_no_output_and_the_configuration_follows(net):
    width = net.config.intermediate_size
    net.grow(6, torch.Generator().manual_seed(1))
    for part in net.feed_forwards():
        part.grown["down"].data.normal_(generator=torch.Generator().manual_seed(2))
    before = logits(net, tokens())
    n_before = sum(p.numel() for p in net.parameters())
    net.merge()
    assert net.config.intermediate_size == width + 6
    assert all(part.grown is None for part in net.feed_forwards())
    torch.testing.assert_close(logits(net, tokens()), before, **CLOSE)
    assert sum(p.numel() for p in net.parameters()) == n_before
    assert not any(p.requires_grad for p in net.parameters())
    again = Transformer(TransformerConfig.from_mapping(net.config.to_mapping()))
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(logits(again, tokens()), before, **CLOSE)


def test_merging_what_has_not_grown_changes_nothing(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    config = net.config
    net.merge()
    assert net.config == config
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("config", [SMALL, GROUPED, UNTIED, TransformerConfig()])
def test_the_number_of_parameters_is_the_sum_of_the_matrices(config):
    d, m, v = config.hidden_size, config.intermediate_size, config.vocab_size
    kv = d * config.num_key_value_heads // config.num_attention_heads
    layer = 2 * d * d + 2 * d * kv + 3 * d * m + 2 * d
    expected = v * d + config.num_hidden_layers * layer + d
    expected += 0 if config.tie_word_embeddings else v * d
    assert sum(p.numel() for p in Transformer(config).parameters()) == expected


def test_parameters_are_named_as_in_public_checkpoints():
    names = set(Transformer(UNTIED).state_dict())
    parts = [f"self_attn.{p}_proj" for p in "qkvo"] + [
        f"mlp.{p}_proj" for p in ("gate", "up", "down")
    ]
    parts += ["input_layernorm", "post_attention_layernorm"]
    expected = {f"model.layers.{k}.{part}.weight" for k in range(2) for part in parts}
    expected |= {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    assert names == expected
    assert "lm_head.weight" not in Transformer(SMALL).state_dict()


def test_a_tied_read_out_uses_the_embedding():
    net = network(SMALL)
    hidden = torch.randn(2, 32)
    expected = functional.linear(hidden, net.model.embed_tokens.weight)
    assert torch.equal(net.logits(hidden), expected)


def test_the_same_seed_gives_the_same_weights():
    a, b = network(SMALL).state_dict(), network(SMALL).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("config", [SMALL, GROUPED, UNTIED])
def test_a_configuration_survives_its_file(config):
    mapping = {**config.to_mapping(), "torch_dtype": "float32", "vendor_note": 1}
    assert mapping["model_type"] == "llama"
    assert TransformerConfig.from_mapping(mapping) == config


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TransformerConfig(hidden_size=30, num_attention_heads=4),
        lambda: TransformerConfig(num_attention_heads=4, num_key_value_heads=3),
        lambda: TransformerConfig.from_mapping({"model_type": "gpt2"}),
    ],
)
def test_a_shape_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        wrong()


def test_a_transformer_agrees_with_the_public_implementation():
    transformers = pytest.importorskip("transformers")
    net = network(GROUPED)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**GROUPED.to_mapping()))
    theirs.load_state_dict(net.state_dict(), strict=False)
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens()).logits, logits(net, tokens()), **CLOSE)
