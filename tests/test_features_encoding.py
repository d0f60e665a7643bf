"""Encoder, coverage, widths and derived columns."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.features import ARCHITECTURES, Condition, Coverage, Encoder, Hyperparameter


@pytest.fixture(scope="module")
def encoder(runs):
    return Encoder.fit(runs)


def column(encoder, matrix, name):
    return matrix[:, encoder.features.index(name)]


def test_the_documented_network_has_its_documented_number_of_parameters():
    lstm = ARCHITECTURES["lstm"]
    assert lstm.num_params(210, 4, 27, 27) == 1_268_217
    assert lstm.width(1_268_217, 4, 27, 27) == 210
    assert lstm.width(1_268_216, 4, 27, 27) == 209


@given(
    st.sampled_from(sorted(ARCHITECTURES)),
    st.integers(1, 8),
    st.integers(1, 300),
    st.integers(1, 100),
    st.integers(100, 20_000),
)
def test_the_width_is_the_largest_that_fits(name, depth, n_in, n_out, budget):
    cell = ARCHITECTURES[name]
    counted = 0
    while cell.num_params(counted + 1, depth, n_in, n_out) <= budget:
        counted += 1
    assert cell.width(budget, depth, n_in, n_out) == counted


def test_sizes_of_the_tasks_are_read_off_the_runs(encoder):
    assert encoder.task_sizes == {
        "arithmetic": (14, 14),
        "mem_thru": (5, 4),
        "parens_counting": (8, 12),
        "per_cap": (16, 2),
        "rcf": (4, 1),
        "text8": (27, 27),
    }


def test_every_recorded_parameter_count_is_explained():
    runs = load_builtin().runs
    _, counts = Encoder.fit(runs).hidden_units(runs)
    assert (counts == runs["num_params"].to_numpy(float)).all()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (np.geomspace(1e-4, 1, 50), "log"),
        (np.linspace(0.001, 6, 50), "linear"),
        (np.linspace(-2, 2, 50), "linear"),
        (["Adam", "SGD"], "category"),
    ],
)
def test_the_scale_is_read_off_the_values(values, scale):
    assert Hyperparameter.from_values("x", pd.Series(values)).scale == scale
    assert Hyperparameter.from_values("x_logit", pd.Series([1.0, 7.0])).scale == "logit"


def test_an_unknown_category_is_named_with_its_nearest_spelling(encoder, runs):
    strange = runs.head(3).assign(hp_optimizer=["SGD", "adam", "Adam"])
    with pytest.raises(ValueError, match=r"Unknown optimizer 'adam'\. Did you mean 'Adam'\? Known: 'Adam', 'Momentum'"):
        encoder.transform(strange)
    with pytest.raises(ValueError, match=r"Unknown architecture 'gruu'\. Did you mean 'gru'\?"):
        encoder.transform(runs.head(1).assign(architecture="gruu"))


def test_rows_without_a_setup_are_refused(encoder, runs):
    with pytest.raises(ValueError, match=r"need the columns architecture, .*; missing: n_layers"):
        encoder.transform(runs.drop(columns="n_layers"))
    with pytest.raises(ValueError, match="at least one run to be fitted on"):
        Encoder.fit(runs.head(0))


def test_losses_are_never_looked_at(encoder, runs):
    changed = runs.assign(eval_loss=0.0, diverged=True, train_loss=np.nan)
    np.testing.assert_array_equal(encoder.transform(changed), encoder.transform(runs))


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_row_is_encoded_the_same_in_any_company(encoder_and_rows, random, size):
    encoder, rows, whole = encoder_and_rows
    chosen = random.sample(range(len(rows)), size)
    columns = list(rows.columns)
    random.shuffle(columns)
    np.testing.assert_array_equal(encoder.transform(rows.iloc[chosen][columns]), whole[chosen])


@pytest.fixture(scope="module")
def encoder_and_rows(encoder, runs):
    return encoder, runs, encoder.transform(runs)


def test_an_absent_column_is_a_null_one(encoder, runs):
    rnn = runs[runs["architecture"] == "rnn"]
    absent = rnn.dropna(axis=1, how="all")
    assert len(absent.columns) < len(rnn.columns)
    np.testing.assert_array_equal(encoder.transform(absent), encoder.transform(rnn))


def test_json_gives_the_same_encoder_and_coverage(encoder, runs):
    assert Encoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder
    coverage = Coverage.from_runs(runs, encoder.hyperparameters)
    assert Coverage.from_dict(json.loads(json.dumps(coverage.to_dict(), allow_nan=False))) == coverage


def test_derived_columns_agree_with_integrals_and_formulas(encoder, runs):
    row = runs[runs["hp_optimizer"] == "Momentum"].head(1)
    matrix = encoder.transform(row)
    rate, decay, steps = (float(row[f"hp_{name}"].iloc[0]) for name in ("lr_init", "lr_decay_rate", "train_steps"))
    time = (np.arange(200_000) + 0.5) / 200_000
    mean = (rate * decay**time).mean()
    momentum = 1 / (1 + np.exp(-float(row["hp_optimizer_logit_momentum"].iloc[0])))
    assert column(encoder, matrix, "log_mean_lr")[0] == pytest.approx(np.log(mean), abs=1e-8)
    assert column(encoder, matrix, "log_final_lr")[0] == pytest.approx(np.log(rate * decay))
    assert column(encoder, matrix, "momentum")[0] == pytest.approx(momentum)
    assert column(encoder, matrix, "log_travel")[0] == pytest.approx(np.log(mean * steps / (1 - momentum)), abs=1e-8)
    assert np.isnan(column(encoder, matrix, "log_travel_adaptive")[0])


def test_gates_of_the_same_role_share_a_column(encoder, runs):
    for name, gate in (("lstm", "g"), ("gru", "u"), ("ugrnn", "g"), ("+rnn", "gh")):
        rows = runs[runs["architecture"] == name]
        kept = column(encoder, encoder.transform(rows), "keep_input_scale")
        np.testing.assert_allclose(kept, np.log(rows[f"hp_input_scale_{gate}"]))


def test_ranges_and_conditions_are_those_of_the_runs(runs, encoder):
    gru = Coverage.from_runs(runs, encoder.hyperparameters).architectures["gru"]
    assert set(gru.domains) == {
        name.removeprefix("hp_")
        for name in runs.columns
        if name.startswith("hp_") and runs.loc[runs["architecture"] == "gru", name].notna().all()
    }
    table = runs[runs["architecture"] == "gru"].copy()
    table.loc[table["hp_optimizer"] == "SGD", "hp_optimizer_logit_momentum"] = np.nan
    domain = Coverage.from_runs(table, Encoder.fit(table).hyperparameters).architectures["gru"].domains
    expected = Condition("optimizer", ("Adam", "Momentum", "RMSProp"))
    assert domain["optimizer_logit_momentum"].condition == expected
    assert domain["lr_init"].condition is None
