"""What a member of a population may rely on: its own seed, schedule and end, whoever its neighbours are."""

import math
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from rnn_warmstart.features import ARCHITECTURES  # noqa: E402
from rnn_warmstart.training.draws import draw_configurations  # noqa: E402
from rnn_warmstart.training.initial import draw_parameters, hack_offsets  # noqa: E402
from rnn_warmstart.training.network import Layout  # noqa: E402
from rnn_warmstart.training.population import train  # noqa: E402
from rnn_warmstart.training.setups import Setup  # noqa: E402
from rnn_warmstart.training.state import Member  # noqa: E402
from rnn_warmstart.training.tasks import MemThru, PerCap  # noqa: E402

LIKE = torch.zeros(())


def members(architecture, count, steps=(5, 40), **fixed):
    drawn = draw_configurations(architecture, count, 0, steps)
    return [Member(k, hparams | fixed, seed=100 + k) for k, hparams in enumerate(drawn)]


def outcomes(task, layout, crowd, capacity=64):
    return {outcome.place: outcome for outcome in train(task, layout, crowd, LIKE, capacity)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_does_not_depend_on_its_neighbours(architecture):
    task = MemThru()
    layout = Layout(architecture, 2, 5, task.n_in, task.n_out)
    crowd = members(architecture, 12, lr_init=0.01)
    together, in_turns = outcomes(task, layout, crowd), outcomes(task, layout, crowd[::-1], capacity=3)
    for member in crowd:
        alone = outcomes(task, layout, [member])[member.place]
        for other in (together[member.place], in_turns[member.place]):
            # the same sums in another order: float32 rounding, grown over at most 40 steps
            assert other.eval_loss == pytest.approx(alone.eval_loss, rel=1e-4)
            assert other.steps_done == alone.steps_done == member.hparams["train_steps"]


def test_a_diverging_member_is_frozen_and_harms_nobody():
    task = MemThru()
    layout = Layout("irnn", 2, 8, task.n_in, task.n_out)
    crowd = members("irnn", 6, steps=(300, 300), lr_init=0.003, optimizer="SGD", recurrent_matrix_scale=0.9)
    wild = dict(crowd[2].hparams) | {"lr_init": 1e6, "gradient_clip_val": 1e6, "lr_decay_rate": 1.0}
    mixed = [*crowd[:2], Member(2, wild, seed=102), *crowd[3:]]
    calm, stormy = outcomes(task, layout, crowd), outcomes(task, layout, mixed)
    assert stormy[2].diverged and stormy[2].steps_done < 300
    assert not any(outcome.diverged for outcome in calm.values())
    for place in (0, 1, 3, 4, 5):
        assert stormy[place].eval_loss == pytest.approx(calm[place].eval_loss, rel=1e-4)
        assert not stormy[place].diverged


def test_the_costs_of_the_runs_add_up_to_the_time_that_was_spent():
    task = MemThru()
    layout = Layout("gru", 1, 5, task.n_in, task.n_out)
    began = time.process_time()
    results = outcomes(task, layout, members("gru", 10, steps=(20, 200)), capacity=4)
    spent = time.process_time() - began
    costs = sum(outcome.wall_seconds for outcome in results.values())
    assert 0.5 * spent < costs <= 1.01 * spent  # the rest is the drawing of initial parameters


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cuda_gives_the_losses_of_the_cpu(architecture):
    task = MemThru()
    layout = Layout(architecture, 2, 5, task.n_in, task.n_out)
    crowd = members(architecture, 8, lr_init=0.01)
    here = outcomes(task, layout, crowd)
    there = {outcome.place: outcome for outcome in train(task, layout, crowd, LIKE.cuda(), 64)}
    for place, outcome in here.items():
        assert there[place].eval_loss == pytest.approx(outcome.eval_loss, rel=1e-3)


def test_the_seed_decides_the_run():
    task = MemThru()
    layout = Layout("gru", 1, 5, task.n_in, task.n_out)
    hparams = draw_configurations("gru", 1, 0, (30, 30))[0]
    results = outcomes(task, layout, [Member(k, hparams, seed) for k, seed in enumerate([7, 7, 8])])
    assert results[0].eval_loss == pytest.approx(results[1].eval_loss, rel=1e-5)
    assert results[0].eval_loss != pytest.approx(results[2].eval_loss, rel=1e-5)


def test_training_learns():
    task = PerCap(20)
    layout = Layout("gru", 1, 16, task.n_in, task.n_out)
    good = members("gru", 3, steps=(600, 600), optimizer="Adam", lr_init=0.01, optimizer_logit_momentum=2.2)
    for outcome in outcomes(task, layout, good).values():
        assert outcome.eval_loss < 0.2 < task.trivial
        assert outcome.train_loss == outcome.valid_loss == outcome.eval_loss  # one set, by the task's definition


@settings(max_examples=60, deadline=None)
@given(
    architecture=st.sampled_from(sorted(ARCHITECTURES)), depth=st.integers(2, 9), budget=st.integers(800, 10**7),
    n_in=st.integers(1, 300), n_out=st.integers(1, 100),
)  # fmt: skip
def test_layouts_have_as_many_parameters_as_the_formula_says(architecture, depth, budget, n_in, n_out):
    cell = ARCHITECTURES[architecture]
    width = int(cell.width(budget, depth, n_in, n_out))
    if width:
        layout = Layout(architecture, depth, width, n_in, n_out)
        assert layout.num_params == cell.num_params(width, depth, n_in, n_out) <= budget


def test_the_documented_row_of_the_data_set_has_its_width():
    layout = Layout("lstm", 4, 210, 27, 27)
    assert layout.num_params == 1_268_217
    assert int(ARCHITECTURES["lstm"].width(1_268_217, 4, 27, 27)) == 210


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_initial_parameters_follow_their_hyperparameters(architecture):
    width = 60
    layout = Layout(architecture, 2, width, 40, 3)
    hparams = draw_configurations(architecture, 1, 4)[0] | {"recurrent_bias_init_type": "delta"}
    if architecture != "irnn":
        hparams["recurrent_matrix_init_type"] = "orthogonal"
    parts = layout.views(torch.from_numpy(draw_parameters(layout, hparams, 0))[None])
    w = parts[1 if architecture == "+rnn" else 0][0].numpy()
    for row, gate in enumerate(layout.gates):
        suffix = f"_{gate}" if gate else ""
        block = w[row * width : (row + 1) * width]
        recurrent, inputs, bias = block[:, :width], block[:, width:-1], block[:, -1]
        scale = hparams[f"recurrent_matrix_scale{suffix}"]
        assert np.allclose(recurrent @ recurrent.T, scale**2 * np.eye(width), atol=1e-10)
        # 2400 or more normal numbers: their deviation is within 6 % (4 standard errors)
        assert inputs.std() * math.sqrt(inputs.shape[1]) == pytest.approx(hparams[f"input_scale{suffix}"], rel=0.06)
        assert np.all(bias == hparams.get(f"recurrent_bias_scale{suffix}", 0.0))
    readout = parts[-1][0].numpy()
    assert np.all(readout[:, -1] == 0)
    assert readout[:, :-1].std() * math.sqrt(width) == pytest.approx(1, rel=0.25)


def test_a_gated_cell_that_draws_identity_ignores_the_scale():
    layout = Layout("gru", 1, 5, 4, 1)
    hparams = draw_configurations("gru", 1, 4)[0] | {"recurrent_matrix_init_type": "identity"}
    w = layout.views(torch.from_numpy(draw_parameters(layout, hparams, 0))[None])[0][0].numpy()
    assert all(np.array_equal(w[k * 5 : (k + 1) * 5, :5], np.eye(5)) for k in range(3))


@pytest.mark.parametrize(
    "architecture, gates", [("gru", "u"), ("lstm", "g"), ("ugrnn", "g"), ("+rnn", "gy gh"), ("rnn", ""), ("irnn", "")]
)
def test_the_hack_meets_the_biases_of_the_gates_that_keep(architecture, gates):
    layout = Layout(architecture, 2, 4, 3, 2)
    offsets = layout.views(torch.from_numpy(hack_offsets(layout))[None])
    assert sum(part.sum() for part in offsets) == 2 * 4 * len(gates.split())
    first = offsets[1 if architecture == "+rnn" else 0][0]
    hit = {gate for row, gate in enumerate(layout.gates) if torch.all(first[row * 4 : row * 4 + 4, -1] == 1)}
    assert hit == set(gates.split())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("gruu", "rcf", 1, 1000), "architecture must be one of rnn, irnn"),
        (("+rnn", "rcf", 1, 1000), "needs at least 2 layers"),
        (("gru", "rcf", 0, 1000), "must be positive"),
    ],
)
def test_wrong_setups_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Setup(*arguments)


def test_a_budget_below_one_unit_is_refused_with_the_least():
    setup = Setup("lstm", "mem_thru", 2, 20)
    with pytest.raises(ValueError, match="one unit a layer needs 52"):
        setup.layout(setup.task())
