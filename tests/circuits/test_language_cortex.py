"""The language cortex: any text goes in and out, surprise is cross-entropy, nights go on."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from circuits.language_cortex import LanguageCortex
from neurosim.contracts import drift_since_dusk
from neurosim.errors import ConfigError, NumericalError

TEXTS = [
    "The cat of Ada sleeps in the attic.",
    "héllo wörld \u2014 \u201cquoted\u201d",
    "\U0001f600\U0001f469\u200d\U0001f680 emoji",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002",
    "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0",
    "\x00\x07\x1b[0m\t\r\n",
    "  leading and trailing  ",
    "",
    "\U0010ffff\u0301 combining",
]


def reference_logits(cortex, tokens):
    """Return the logits after each of ``<|begin|> tokens`` by one plain pass."""
    batch = torch.tensor([[cortex.begin, *tokens]])
    with torch.no_grad():
        return cortex.network.logits(cortex.network(batch))[0]


# Text


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_goes_in_and_comes_out(language_cortex, text):
    tokens = language_cortex.encode(text)
    assert all(0 <= token < 340 for token in tokens)
    assert language_cortex.decode(tokens) == text
    assert len(tokens) <= len(text.encode())


@pytest.mark.parametrize("mark", ["<|end|>", "<|pad|>", "<|begin|>"])
def test_a_mark_within_a_text_is_text(language_cortex, mark):
    text = f"before {mark} after"
    tokens = language_cortex.encode(text)
    marks = {language_cortex.pad, language_cortex.begin, language_cortex.end}
    assert not marks & set(tokens)
    assert language_cortex.decode(tokens) == text


def test_half_a_character_becomes_a_replacement_character(language_cortex):
    tokens = language_cortex.encode("\U0001f600")
    assert len(tokens) > 1
    assert "\ufffd" in language_cortex.decode(tokens[:-1])


@pytest.mark.parametrize(
    "text",
    ["one", "one two", "one two three", "The cat of Ada sleeps in the attic.", "a b c d e f"],
)
def test_the_opening_is_the_first_half_of_the_words_rounded_up(language_cortex, text):
    words = text.split()
    first = " ".join(words[: (len(words) + 1) // 2])
    tokens = language_cortex.encode(text)
    opening = language_cortex.opening(tokens)
    assert tokens[:opening] == language_cortex.encode(first)
    assert language_cortex.decode(tokens[:opening]) == first


def test_a_tokenizer_without_marks_is_refused(language_cortex):
    from tokenizers import Tokenizer, models

    with pytest.raises(ConfigError, match="expected the marks"):
        LanguageCortex(language_cortex.network, Tokenizer(models.BPE()))


# Surprise, recall, dreams


def test_surprise_is_the_cross_entropy_of_each_token_and_of_the_end(language_cortex, lessons):
    assert len(set(map(len, lessons))) > 1  # Padding is at work.
    found = language_cortex.surprise(lessons)
    for tokens, surprise in zip(lessons, found, strict=True):
        logits = reference_logits(language_cortex, tokens)
        target = torch.tensor([*tokens, language_cortex.end])
        expected = functional.cross_entropy(logits, target, reduction="none")
        assert surprise.shape == (len(tokens) + 1,)
        # One float32 sum in another order.
        np.testing.assert_allclose(surprise, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_surprise_of_many_is_the_surprise_of_each(language_cortex, lessons):
    many = language_cortex.surprise(lessons * 9)  # More than one batch.
    for tokens, surprise in zip(lessons * 9, many, strict=True):
        alone = language_cortex.surprise([tokens])[0]
        np.testing.assert_allclose(surprise, alone, rtol=1e-4, atol=1e-5)
    assert language_cortex.surprise([]) == []
    assert language_cortex.surprise([[]])[0].shape == (1,)


def test_recall_takes_the_most_probable_token_each_time(language_cortex, lessons):
    cues = [tokens[:k] for k, tokens in enumerate(lessons)]  # Unequal lengths, one empty.
    for cue, answer in zip(cues, language_cortex.recall(cues), strict=True):
        tokens, chosen = list(cue), []
        while len(tokens) < language_cortex.longest - 1:
            probabilities = reference_logits(language_cortex, tokens)[-1].softmax(-1)
            best = int(probabilities.argmax())
            chosen.append(float(probabilities[best]))
            if best == language_cortex.end:
                break
            tokens.append(best)
            if len(tokens) - len(cue) == len(answer.items) and best != language_cortex.end:
                break
        assert answer.items == tuple(tokens[len(cue) :])[: len(answer.items)]
        assert 0 < answer.confidence <= 1


def test_the_confidence_is_the_geometric_mean_of_what_was_chosen(taught, lessons):
    cortex, lesson = taught, lessons[0]
    cue = lesson[: cortex.opening(lesson)]
    answer = cortex.recall([cue])[0]
    assert list(answer.items) == lesson[len(cue) :]
    surprise = cortex.surprise([lesson])[0][len(cue) :]
    assert answer.confidence == pytest.approx(float(np.exp(-surprise.mean())), rel=1e-3)


@pytest.mark.parametrize("length", [0, 1, 30, 61, 62, 63, 64, 200])
def test_a_cue_of_any_length_is_answered(language_cortex, length):
    answer = language_cortex.recall([[50] * length, [60]])
    assert len(answer) == 2


def test_dreams_follow_from_their_seed_and_the_probabilities(language_cortex):
    dreams = language_cortex.dream(300, seed=4)
    assert len(dreams) == 300 and len(set(dreams)) > 100
    assert dreams == language_cortex.dream(300, seed=4)
    assert dreams != language_cortex.dream(300, seed=5)
    marks = {language_cortex.end}
    assert not any(marks & set(dream) for dream in dreams)
    expected = reference_logits(language_cortex, [])[0].softmax(-1).numpy()
    starts = np.bincount([d[0] if d else language_cortex.end for d in dreams], minlength=340)
    deviation = np.abs(starts - 300 * expected)
    # Four standard errors of a binomial count, and one for the rare ones.
    assert (deviation <= 4 * np.sqrt(300 * expected * (1 - expected)) + 1).all()


def test_a_dream_from_a_fragment_begins_with_it(language_cortex):
    cues = [(70, 80), (90,)]
    dreams = language_cortex.dream(0, seed=1, cues=cues)
    assert [dream[: len(cue)] for dream, cue in zip(dreams, cues, strict=True)] == cues


# Learning


def loss(cortex, lessons):
    return float(np.concatenate(cortex.surprise(lessons)).mean())


def divergence(cortex, dreams):
    """Return the mean KL(dusk || now) [nats a token]."""
    total = n = 0
    for tokens in dreams:
        now = reference_logits(cortex, tokens).log_softmax(-1)
        with cortex.dusk():
            before = reference_logits(cortex, tokens).log_softmax(-1)
        total += float((before.exp() * (before - now)).sum())
        n += len(now)
    return total / n


def study(cortex, lessons, dreams, n_steps=60):
    return [cortex.learn(lessons, [1.0] * len(lessons), dreams) for _ in range(n_steps)]


@pytest.fixture
def taught(make_cortex, lessons):
    cortex = make_cortex(neurons=16, rate=2e-2)
    cortex.grow(seed=1)
    study(cortex, lessons[:4], [])
    return cortex


def test_learning_lowers_the_loss_of_the_lessons(make_cortex, lessons):
    cortex = make_cortex(rate=1e-2)
    cortex.grow(seed=1)
    before = loss(cortex, lessons)
    losses = study(cortex, lessons, [])
    assert losses[-1] < 0.5 * losses[0]
    assert loss(cortex, lessons) < 0.5 * before


def test_dreams_keep_what_was_known_while_the_lessons_are_learnt(make_cortex, lessons):
    found = {}
    for dreaming in (True, False):
        cortex = make_cortex(rate=1e-2)
        dreams = cortex.dream(40, seed=2)
        fresh = [dream for dream in cortex.dream(30, seed=3) if dream]
        cortex.grow(seed=1)
        before = loss(cortex, lessons)
        study(cortex, lessons, dreams if dreaming else [])
        found[dreaming] = divergence(cortex, fresh)
        assert loss(cortex, lessons) < 0.8 * before
    assert found[False] > 0.1
    assert found[True] < 0.3 * found[False]


def test_silence_keeps_what_has_grown_out_of_dreams_but_not_out_of_lessons(make_cortex, lessons):
    said = {}
    for silence in (0.0, 1.0):
        cortex = make_cortex(rate=1e-2, dream_weight=0.0, silence=silence)
        dreams = [dream for dream in cortex.dream(40, seed=2) if dream]
        cortex.grow(seed=1)
        study(cortex, lessons, dreams)
        said[silence] = [loudness(cortex, items) for items in (dreams, lessons)]
    assert said[0.0][0] > 0.1
    assert said[1.0][0] < 0.3 * said[0.0][0]
    assert said[1.0][1] > 3 * said[1.0][0]


def loudness(cortex, items):
    """Return the mean squared norm of what the grown neurons of all blocks say a token."""
    total = n = 0
    for tokens in items:
        cortex.surprise([tokens])
        parts = cortex.network.feed_forwards()
        total += sum(float(part.said.square().sum()) for part in parts)
        n += len(tokens) + 1
    return total / n


def test_the_first_loss_is_the_weighted_cross_entropy_of_the_formula(language_cortex, lessons):
    language_cortex.grow(seed=0)
    trust = [1.0, 0.5, 0.25]
    total = weight = 0.0
    surprises = language_cortex.surprise(lessons[:3])
    for tokens, confidence, surprise in zip(lessons[:3], trust, surprises, strict=True):
        w = np.full(len(tokens) + 1, confidence)
        plasticity = language_cortex.plasticity
        w[: max(1, int(plasticity.opening * len(tokens)))] *= plasticity.opening_weight
        total += float(w @ surprise)
        weight += float(w.sum())
    assert language_cortex.learn(lessons[:3], trust, []) == pytest.approx(total / weight, rel=1e-4)


def test_dusk_hides_what_has_grown_and_dawn_brings_it_back(taught, make_cortex, lessons):
    untaught = make_cortex(neurons=16, rate=2e-2)
    now = loss(taught, lessons)
    with taught.dusk():
        assert loss(taught, lessons) == loss(untaught, lessons)
    assert loss(taught, lessons) == now != loss(untaught, lessons)
    with pytest.raises(RuntimeError), taught.dusk():
        raise RuntimeError
    assert loss(taught, lessons) == now


def test_the_backbone_rests_while_the_cortex_learns(make_cortex, lessons):
    cortex = make_cortex()
    before = {name: value.copy() for name, value in cortex.state.items()}
    cortex.grow(seed=1)
    study(cortex, lessons, cortex.dream(10, seed=0), n_steps=3)
    for name, value in before.items():
        assert np.array_equal(cortex.state[name], value), name


def test_merging_keeps_what_was_learnt_and_discarding_forgets_it(taught, make_cortex, lessons):
    learnt = loss(taught, lessons)
    taught.merge()
    assert loss(taught, lessons) == pytest.approx(learnt, rel=1e-4)
    taught.grow(seed=2)
    assert loss(taught, lessons) == pytest.approx(learnt, rel=1e-4)
    study(taught, lessons[5:], [], n_steps=5)
    assert loss(taught, lessons) != pytest.approx(learnt, rel=1e-2)
    taught.discard()
    assert loss(taught, lessons) == pytest.approx(learnt, rel=1e-4)


def test_drift_is_the_ratio_of_perplexities(taught, lessons):
    now = loss(taught, lessons)
    with taught.dusk():
        before = loss(taught, lessons)
    assert drift_since_dusk(taught, lessons) == pytest.approx(np.exp(now - before), rel=1e-4)
    assert drift_since_dusk(taught, lessons) < 1  # It knows them better than at dusk.


def test_an_interrupted_night_goes_on_bit_for_bit(make_cortex, lessons):
    straight, first, second = (make_cortex() for _ in range(3))
    dreams = straight.dream(12, seed=3)
    for cortex in (straight, first):
        cortex.grow(seed=1)
        cortex.learn(lessons, [1.0] * len(lessons), dreams)
    assert second.save_growth() == {}
    second.load_growth({name: tensor.clone() for name, tensor in first.save_growth().items()})
    for cortex in (straight, second):
        cortex.learn(lessons, [1.0] * len(lessons), dreams, pace=0.5)
    expected, found = straight.save_growth(), second.save_growth()
    assert expected.keys() == found.keys() and len(expected) == 2 * 3 * 4
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not torch.equal(expected["weight/0.down"], first.save_growth()["weight/0.down"])


def test_nothing_saved_is_nothing_grown(language_cortex):
    language_cortex.load_growth({})
    assert language_cortex.optimiser is None
    assert all(part.grown is None for part in language_cortex.network.feed_forwards())


def test_learning_without_growth_is_refused(language_cortex, lessons):
    with pytest.raises(ConfigError, match="call grow first"):
        language_cortex.learn(lessons, [1.0] * len(lessons), [])


def test_a_loss_that_is_not_finite_stops_the_night(make_cortex, lessons):
    cortex = make_cortex()
    cortex.grow(seed=1)
    cortex.network.feed_forwards()[0].grown["down"].data.fill_(float("nan"))
    with pytest.raises(NumericalError, match="language cortex.loss"):
        cortex.learn(lessons, [1.0] * len(lessons), [])
