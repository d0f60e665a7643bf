"""What the user's limits do to the space, and what they refuse."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rnn_warmstart import recommend
from rnn_warmstart.__main__ import app
from rnn_warmstart.recommend.limits import Limits
from rnn_warmstart.recommend.query import build_query
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate
from typer.testing import CliRunner

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)


def ask(surrogate, depth=None, **limits):
    return build_query(surrogate, "gru", "text8", 1e4, depth, 5, Limits.check(**limits), 0)


def sampled(query, n=200):
    return query.space.configurations(query.space.sample(n, np.random.default_rng(0)))


def steps_of(surrogate):
    coverage = surrogate.coverage.architectures["gru"]
    domain = coverage.domains["train_steps"].up_to(coverage.longest_at(1e4))
    return domain.low, domain.high


def test_what_is_excluded_is_never_recommended():
    exclude = {"optimizer": ["Adam", "RMSProp"], "recurrent_matrix_init_type": "identity", "n_layers": [1, 2]}
    ranges = {"lr_init": (0.003, 0.004), "forget_gate_bias_hack": (4, 5.5), "train_steps": (150, 300)}
    free = recommend("gru", "text8", 1e4, n=3)
    assert any(item.hparams["optimizer"] not in ("SGD", "Momentum") for item in free)  # so that the limits bind
    assert not all(0.003 <= item.hparams["lr_init"] <= 0.004 for item in free)
    found = recommend("gru", "text8", 1e4, n=3, exclude=exclude, ranges=ranges)
    assert len(found) == 3 and found.warnings == ()
    for item in found:
        assert item.hparams["optimizer"] in ("SGD", "Momentum")
        assert item.hparams["recurrent_matrix_init_type"] != "identity" and item.n_layers > 2
        assert 0.003 <= item.hparams["lr_init"] <= 0.004 and 4 <= item.hparams["forget_gate_bias_hack"] <= 5.5
        assert 150 <= item.hparams["train_steps"] <= 300 and isinstance(item.hparams["train_steps"], int)
        assert 0.003 <= item.tolerance["lr_init"][0] <= item.tolerance["lr_init"][1] <= 0.004
    distributions = found.study.trials[0].distributions
    assert set(distributions["optimizer"].choices) == {"SGD", "Momentum"}
    assert (distributions["lr_init"].low, distributions["lr_init"].high) == (0.003, 0.004)
    asked = json.loads(found.to_json())["query"]
    assert asked["exclude"] == {name: [x] if isinstance(x, str) else x for name, x in exclude.items()}
    assert asked["ranges"] == {name: list(pair) for name, pair in ranges.items()}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.floats(-4, -0.1), st.floats(-4, -0.1)).map(sorted),
    st.tuples(st.integers(100, 900), st.integers(100, 900)).map(sorted),
    st.sets(st.sampled_from(["Adam", "Momentum", "RMSProp", "SGD"]), max_size=3),
    st.sampled_from([1, 500, 200_000]),
)
def test_all_limits_hold_together(small, rates, steps, left_out, limit):
    rates, limit = [10**x for x in rates], max(limit, steps[0])
    ranges = {"lr_init": tuple(rates), "train_steps": tuple(steps)}
    query = ask(small, ranges=ranges, exclude={"optimizer": left_out}, max_train_steps=limit)
    for config in sampled(query, 20):
        assert rates[0] <= config["lr_init"] <= rates[1]
        assert steps[0] <= config["train_steps"] <= min(steps[1], limit) and isinstance(config["train_steps"], int)
        assert config["optimizer"] not in left_out


@settings(deadline=None)
@given(st.floats(1e-3, 1e5), st.floats(1e-6, 10))
def test_seconds_buy_whole_steps(limit, cost):
    if limit < cost:
        with pytest.raises(ValueError, match="buys no step at seconds_per_step="):
            Limits.check(max_seconds=limit, seconds_per_step=cost)
        return
    steps, text = Limits.check(max_seconds=limit, seconds_per_step=cost).steps
    assert steps * cost <= limit * (1 + 1e-9) and (steps + 1) * cost > limit * (1 - 1e-9)
    assert f"({steps} steps)" in text


def test_seconds_are_a_limit_on_steps(small):
    by_time = ask(small, max_seconds=0.3, seconds_per_step=0.001)
    assert by_time.space == ask(small, max_train_steps=300).space != ask(small).space
    assert Limits.check(max_seconds=0.3, seconds_per_step=0.1).steps[0] == 3  # 0.3 / 0.1 is 2.9999999999999996
    both = {"max_seconds": 3, "seconds_per_step": 0.01}
    assert ask(small, max_train_steps=200, **both).space == ask(small, max_train_steps=200).space
    assert ask(small, max_train_steps=400, **both).space == ask(small, max_train_steps=300).space
    low, high = steps_of(small)
    (warning,) = ask(small, max_seconds=10 * high, seconds_per_step=1).warnings
    assert f"({10 * high:.0f} steps) allows more than the {high:.0f} training steps" in warning
    query = ask(small, max_seconds=low / 10, seconds_per_step=1)
    assert query.space.fixed["train_steps"] == low / 10 and "(10 times below)" in query.warnings[0]


def test_a_range_of_one_value_holds_it(small):
    query = ask(small, ranges={"train_steps": (300, 300), "lr_init": (0.01, 0.01)})
    assert query.space.fixed == {"train_steps": 300, "lr_init": 0.01}
    assert all(type(config["train_steps"]) is int for config in sampled(query, 3))
    assert query.limits.fixed == {}


def test_depths_are_limited_too(small):
    assert [pair[0] for pair in ask(small).covered_depths] == [1, 2, 4]
    query = ask(small, exclude={"n_layers": [2]}, ranges={"n_layers": (2, 8)})
    assert {config["n_layers"] for config in sampled(query)} == {4}
    assert ask(small, depth=2, exclude={"n_layers": [4]}).covered_depths == ((2, 2),)


def test_a_range_beyond_what_is_covered_is_cut_with_a_warning(small):
    query = ask(small, ranges={"lr_init": (1e-9, 0.01)})
    (axis,) = [item for item in query.space.dimensions if item.name == "lr_init"]
    low = small.coverage.architectures["gru"].domains["lr_init"].low
    assert (axis.low, axis.high) == (low, 0.01)
    assert query.warnings == (
        f"ranges['lr_init']=(1e-09, 0.01) reaches beyond the {low:g} to "
        f"{small.coverage.architectures['gru'].domains['lr_init'].high:g} that the corpus covers: {low:g} to 0.01 is "
        f"searched.",
    )


def test_steps_may_leave_what_is_covered(small):
    low, high = steps_of(small)
    query = ask(small, ranges={"train_steps": (5 * high, 9 * high)})
    assert query.space.fixed["train_steps"] == 5 * high
    assert "(5 times above)" in query.warnings[0] and f"those of {high:.0f} steps" in query.warnings[0]
    below = ask(small, ranges={"train_steps": (1, low / 2)})
    assert below.space.fixed["train_steps"] == low / 2 and "(2 times below)" in below.warnings[0]
    fixed = ask(small, fixed={"train_steps": 6 * high}, ranges={"train_steps": (5 * high, 9 * high)})
    assert fixed.space.fixed["train_steps"] == 6 * high and len(fixed.warnings) == 1


def test_what_the_caller_gave_is_left_alone(small):
    exclude, ranges = {"optimizer": ["SGD"], "n_layers": [1]}, {"lr_init": (1e-3, 1e-2)}
    ask(small, exclude=exclude, ranges=ranges)
    assert exclude == {"optimizer": ["SGD"], "n_layers": [1]} and ranges == {"lr_init": (1e-3, 1e-2)}


REFUSED = [
    ({"exclude": {"optimiser": ["SGD"]}}, r"Unknown hyperparameter of gru in exclude: 'optimiser'\. Did you mean 'opt"),
    ({"exclude": {"optimizer": ["sgd"]}}, r"Unknown value of optimizer: 'sgd'\. Did you mean 'SGD'\?"),
    ({"exclude": {"optimizer": 3}}, "Unknown value of optimizer: 3. Known: 'Adam'"),
    ({"exclude": {"optimizer": None}}, r"exclude\['optimizer'\] must be a list of choices, but got None"),
    (
        {"exclude": {"lr_init": [0.1]}},
        r"exclude\['lr_init'\]: lr_init is a number, not a choice; narrow it with ranges=\{'lr_init': \(low, high\)\}",
    ),
    (
        {"exclude": {"optimizer": ["Adam", "Momentum", "RMSProp", "SGD"]}},
        r"exclude\['optimizer'\]=.* leaves nothing: optimizer is one of 'Adam', .*; leave at least one",
    ),
    (
        {"exclude": {"optimizer": ["SGD"]}, "fixed": {"optimizer": "SGD"}},
        r"fixed optimizer='SGD' contradicts exclude\['optimizer'\]=\('SGD',\); drop one",
    ),
    ({"exclude": {"n_layers": [3]}}, r"Unknown value of n_layers: 3\..* Known: '1', '2'"),
    (
        {"exclude": {"n_layers": [1, 2, 4]}},
        r"exclude\['n_layers'\]=\(1, 2, 4\) leaves nothing: the corpus covers the depths 1, 2, 4; leave",
    ),
    (
        {"exclude": {"n_layers": [4]}, "ranges": {"n_layers": (3, 10)}},
        r"exclude\['n_layers'\]=\(4,\) with ranges\['n_layers'\]=\(3, 10\) leaves nothing",
    ),
    ({"exclude": {"n_layers": [2]}, "depth": 2}, r"depth=2 contradicts exclude\['n_layers'\]=\(2,\); drop one"),
    ({"ranges": {"n_layers": (4, 8)}, "fixed": {"n_layers": 2}}, r"depth=2 contradicts ranges\['n_layers'\]=\(4, 8\)"),
    ({"ranges": {"lr_initt": (1e-3, 1e-2)}}, r"Unknown hyperparameter of gru in ranges: 'lr_initt'\. Did you mean 'lr"),
    ({"ranges": {"lr_init": 0.1}}, r"ranges\['lr_init'\] must be a pair \(low, high\) of finite numbers, but got 0\.1"),
    ({"ranges": {"lr_init": (0.1, float("nan"))}}, r"must be a pair .* but got \(0\.1, nan\)"),
    ({"ranges": {"lr_init": ("a", "b")}}, r"must be a pair .* but got \('a', 'b'\)"),
    ({"ranges": {"lr_init": (0.1, 0.2, 0.3)}}, r"must be a pair .* but got \(0\.1, 0\.2, 0\.3\)"),
    (
        {"ranges": {"lr_init": (0.1, 0.01)}},
        r"ranges\['lr_init'\]=\(0\.1, 0\.01\) is empty: low <= high must hold; swap",
    ),
    (
        {"ranges": {"lr_init": (5.0, 10.0)}},
        r"ranges\['lr_init'\]=\(5\.0, 10\.0\) lies outside the range that the corpus covers, .*; choose one that",
    ),
    ({"ranges": {"train_steps": (200.2, 200.8)}}, r"\(200\.2, 200\.8\) holds no whole number, and train_steps has no"),
    ({"ranges": {"train_steps": (-9, 0)}}, r"ranges\['train_steps'\]=\(-9, 0\) allows no training step; raise"),
    (
        {"ranges": {"optimizer": (1, 2)}},
        r"ranges\['optimizer'\]=\(1, 2\): optimizer is a choice among 'Adam', .*; leave some out with exclude=",
    ),
    (
        {"ranges": {"lr_init": (0.001, 0.01)}, "fixed": {"lr_init": 0.5}},
        r"fixed lr_init=0\.5 contradicts ranges\['lr_init'\]=\(0\.001, 0\.01\); drop one",
    ),
    (
        {"ranges": {"train_steps": (500, 900)}, "max_train_steps": 300},
        r"ranges\['train_steps'\]=\(500, 900\) contradicts max_train_steps=300; raise the limit or lower the range",
    ),
    (
        {"fixed": {"train_steps": 500}, "max_seconds": 3, "seconds_per_step": 0.01},
        r"fixed train_steps=500 contradicts max_seconds=3 at seconds_per_step=0\.01 \(300 steps\); raise the limit",
    ),
    ({"max_seconds": 600}, r"max_seconds=600 needs seconds_per_step too: .*; give both, or max_train_steps alone"),
    ({"seconds_per_step": 0.01}, r"seconds_per_step=0\.01 needs max_seconds too"),
    ({"max_seconds": 0, "seconds_per_step": 1}, "max_seconds must be a finite number above 0, but got 0"),
    ({"max_seconds": 1, "seconds_per_step": -1}, "seconds_per_step must be a finite number of at least 0, but got -1"),
    ({"max_seconds": float("inf"), "seconds_per_step": 1}, "max_seconds must be .* but got inf"),
    ({"max_seconds": 0.5, "seconds_per_step": 1}, r"max_seconds=0\.5 buys no step at seconds_per_step=1; raise"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_bad_limits_are_refused(small, change, message):
    with pytest.raises(ValueError, match=message):
        ask(small, **change)


@pytest.fixture(scope="module")
def conditional(runs):
    """A surrogate of runs in which SGD has no momentum."""
    table = runs.copy()
    table.loc[table["hp_optimizer"] == "SGD", "hp_optimizer_logit_momentum"] = np.nan
    return Surrogate.fit(table, Settings(trees=5, diverge_trees=5, folds=2, network=QUICK))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"fixed": {"optimizer_logit_momentum": 3.0}, "exclude": {"optimizer": ["Adam", "Momentum", "RMSProp"]}},
            r"fixed optimizer_logit_momentum=3\.0 contradicts exclude\['optimizer'\]=.*exists only where optimizer is",
        ),
        (
            {"ranges": {"optimizer_logit_momentum": (2, 3)}, "fixed": {"optimizer": "SGD"}},
            r"ranges\['optimizer_logit_momentum'\]=\(2, 3\) contradicts fixed optimizer='SGD'",
        ),
    ],
)
def test_a_limit_on_what_never_exists_is_a_contradiction(conditional, limits, message):
    with pytest.raises(ValueError, match=message):
        ask(conditional, **limits)


def test_a_limit_on_what_may_exist_holds_where_it_does(conditional):
    query = ask(conditional, ranges={"optimizer_logit_momentum": (2, 3)}, exclude={"optimizer": ["Adam"]})
    for config in sampled(query):
        assert ("optimizer_logit_momentum" in config) == (config["optimizer"] != "SGD")
        assert 2 <= config.get("optimizer_logit_momentum", 2) <= 3


def test_time_needs_runs_that_record_steps(runs):
    without = runs.drop(columns="hp_train_steps")
    surrogate = Surrogate.fit(without, Settings(trees=5, diverge_trees=5, folds=2, network=QUICK))
    with pytest.raises(ValueError, match=r"max_seconds=6 at seconds_per_step=1 \(6 steps\) needs runs with .*train_st"):
        ask(surrogate, max_seconds=6, seconds_per_step=1)


COMMAND = ["recommend", "--arch", "gru", "--task", "text8", "--params", "1e4", "--n", "2"]
LIMITS = ["--exclude", "optimizer=SGD,Momentum", "--exclude", "n_layers=1,8", "--range", "lr_init=1e-4:1e-2"]
LIMITS += ["--range", "train_steps=200:300", "--max-seconds", "2.5", "--seconds-per-step", "0.01"]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", "TERM": "dumb"})


def test_the_command_takes_the_same_limits():
    done = run(*COMMAND, *LIMITS, "--json")
    assert done.exit_code == 0, done.stderr
    expected = recommend(
        "gru",
        "text8",
        1e4,
        n=2,
        exclude={"optimizer": ["SGD", "Momentum"], "n_layers": [1, 8]},
        ranges={"lr_init": (1e-4, 1e-2), "train_steps": (200, 300)},
        max_seconds=2.5,
        seconds_per_step=0.01,
    )
    assert json.loads(done.stdout) == expected.to_dict()
    assert all(200 <= item.hparams["train_steps"] <= 250 for item in expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exclude", "optimizer"], "--exclude needs NAME=A,B, e.g. optimizer=SGD,Momentum, but got 'optimizer'"),
        (["--range", "lr_init=1e-4"], "--range needs NAME=LOW:HIGH, e.g. lr_init=1e-4:1e-2, but got 'lr_init=1e-4'"),
        (["--range", "lr_init=a:b"], "--range needs NAME=LOW:HIGH"),
        (["--range", "lr_init=1e-4:1e-3:1e-2"], "--range needs NAME=LOW:HIGH"),
        (["--range", "lr_init=1e-4:1e-2", "--range", "lr_init=1e-3:1e-2"], "--range names lr_init twice"),
        (["--exclude", "optimizer=Sgd"], "Did you mean 'SGD'?"),
        (["--max-seconds", "600"], "needs seconds_per_step too"),
    ],
)
def test_the_command_refuses_with_a_reason(arguments, message):
    done = run(*COMMAND, *arguments)
    assert done.exit_code == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert message in re.sub(r"[\s│]+", " ", done.stderr)


def test_help_names_the_limits():
    shown = run("recommend", "--help").stdout
    assert all(name in shown for name in ("--exclude", "--range", "--max-seconds", "--seconds-per-step"))
