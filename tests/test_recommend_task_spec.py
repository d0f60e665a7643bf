"""A task of the user's own, described: which known tasks stand in for it, and what is said of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rnn_warmstart import TaskSpec, recommend
from rnn_warmstart.features import ARCHITECTURES
from rnn_warmstart.recommend.task_spec import DESCRIBED
from rnn_warmstart.surrogate.library import get_surrogate

CHARACTERS = TaskSpec(
    inputs="symbols", outputs="classes", n_in=80, n_out=80, time_steps=100, scored_steps=100, name="my text"
)
SIZES = st.integers(1, 10_000)
SPECS = st.builds(
    lambda inputs, outputs, n_in, n_out, steps: TaskSpec(
        inputs=inputs, outputs=outputs, n_in=n_in, n_out=n_out, time_steps=max(steps), scored_steps=min(steps)
    ),
    st.sampled_from(["symbols", "numbers"]),
    st.sampled_from(["classes", "numbers"]),
    SIZES,
    SIZES,
    st.tuples(SIZES, SIZES),
)


def test_a_known_task_described_is_most_like_itself():
    assert all(next(iter(spec.weights(DESCRIBED))) == task for task, spec in DESCRIBED.items())


@given(SPECS)
def test_shares_sum_to_one_and_follow_the_distance(spec):
    shares = spec.weights(DESCRIBED)
    assert sum(shares.values()) == pytest.approx(1)
    distances = [spec.distance(DESCRIBED[task]) for task in shares]
    assert distances == sorted(distances) or len(set(shares.values())) == 1


def test_the_sizes_of_the_described_tasks_are_those_of_their_networks():
    known = get_surrogate().encoder.task_sizes
    assert {task: known[task] for task in DESCRIBED} == {task: (x.n_in, x.n_out) for task, x in DESCRIBED.items()}


def test_an_own_text_task_gets_what_is_good_on_text_and_its_own_width():
    found = recommend("gru", CHARACTERS, 1e4, depth=1, n=2, fixed={"train_steps": 1000})
    assert max(found.query.weights, key=found.query.weights.get) == "text8"
    assert found.headline().startswith("2 configurations for gru on my text (like text8 ")
    assert found[0].predicted_loss is None and set(found[0].by_task) == set(found.query.weights)
    assert found[0].hidden_units == int(ARCHITECTURES["gru"].width(10_000, 1, 80, 80))
    told = found.to_dict()["query"]
    assert told["task"]["n_in"] == 80 and told["weights"] == found.query.weights
    twice = [found.query.weights[task] * entry["expected_rank"] for task, entry in found[0].by_task.items()]
    assert found[0].expected_rank == pytest.approx(sum(twice))


def test_a_task_like_one_alone_is_answered_like_it():
    rare = replace(DESCRIBED["rcf"], n_in=10_000, n_out=1)
    assert recommend("gru", rare, 1e6, depth=1, n=1, fixed={"train_steps": 1000})[0].evidence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": "words"}, "inputs must be one of symbols, numbers, got 'words'"),
        ({"n_in": 0}, "n_in"),
        ({"time_steps": 5}, "scored_steps=100 is more than time_steps=5"),
        ({"name": " "}, "name must be a text"),
    ],
)
def test_impossible_descriptions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CHARACTERS, **change)


def test_from_dict_names_what_is_missing_or_unknown():
    with pytest.raises(ValueError, match="missing n_in, n_out, outputs, scored_steps, time_steps; it needs inputs"):
        TaskSpec.from_dict({"inputs": "symbols"})
    with pytest.raises(ValueError, match="unknown colour"):
        TaskSpec.from_dict({"colour": "red"})


def test_a_budget_too_small_for_the_own_task_is_refused():
    with pytest.raises(ValueError, match="gru of 2 layers on my text needs at least"):
        recommend("gru", CHARACTERS, 100, depth=2)


def test_an_unknown_task_is_told_of_both_ways_out():
    with pytest.raises(ValueError, match=r"Did you mean 'text8'.*describe it .*TaskSpec.*or ask for \"any\""):
        recommend("gru", "txt8", 1e4)
