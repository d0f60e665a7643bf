"""`apply` and `optimizer` on PyTorch's own modules, against the trainer: weights, outputs, steps, final losses."""

import importlib.util
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnn_warmstart.training import Descent, InitialState, Setup, apply, draw_configuration, optimizer  # noqa: E402
from rnn_warmstart.training.initial import draw_parameters, hack_offsets  # noqa: E402
from rnn_warmstart.training.layer import Shape  # noqa: E402
from rnn_warmstart.training.network import Layout, Network  # noqa: E402
from rnn_warmstart.training.optimizers import OPTIMIZERS, clip_, update  # noqa: E402
from rnn_warmstart.training.population import Population, columns, train  # noqa: E402
from rnn_warmstart.training.state import Member  # noqa: E402
from rnn_warmstart.training.tasks import MemThru, ParensCounting, Rcf  # noqa: E402
from torch import nn  # noqa: E402
from typer import Typer  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

ROOT = Path(__file__).parents[1]

MODULES = {"rnn": nn.RNN, "irnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
BLOCKS = {
    "rnn": [""],
    "irnn": [""],
    "gru": ["r", "u", "c"],  # PyTorch's documentation: (W_ir|W_iz|W_in)
    "lstm": ["i", "g", "c", "o"],  # (W_ii|W_if|W_ig|W_io)
}


def drawn(architecture, seed=0, **fixed):
    return draw_configuration(architecture, np.random.default_rng(seed)) | fixed


def built(hparams, architecture, n_in, width, depth=1, **options):
    if architecture in ("rnn", "irnn"):
        options["nonlinearity"] = hparams.get("activation", "relu")
    return MODULES[architecture](n_in, width, depth, **options)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# ---------------------------------------------------------------- initial weights


@pytest.mark.parametrize("init_type", ["orthogonal", "normal", "identity"])
@pytest.mark.parametrize("architecture", MODULES)
def test_every_block_has_the_scales_of_its_gate(architecture, init_type, double):
    n, n_in = 60, 50
    hparams = drawn(architecture, recurrent_matrix_init_type=init_type)
    module = built(hparams, architecture, n_in, n, depth=2)
    apply(hparams, module, seed=1)
    for layer, inputs in ((0, n_in), (1, n)):
        w_ih, w_hh = (getattr(module, f"weight_{kind}_l{layer}").detach().split(n) for kind in ("ih", "hh"))
        for gate, w_x, w_h in zip(BLOCKS[architecture], w_ih, w_hh, strict=True):
            suffix = f"_{gate}" if gate else ""
            scale = hparams[f"recurrent_matrix_scale{suffix}"]
            # 3000 normal numbers or more: their deviation is within 6 % (4 standard errors)
            assert w_x.std().item() * math.sqrt(inputs) == pytest.approx(hparams[f"input_scale{suffix}"], rel=0.06)
            if init_type == "orthogonal":
                torch.testing.assert_close(w_h @ w_h.T, scale**2 * torch.eye(n), rtol=0, atol=1e-12)
            elif init_type == "normal":
                assert w_h.std().item() * math.sqrt(n) == pytest.approx(scale, rel=0.06)
            else:  # a gated cell that draws identity ignores the scale
                torch.testing.assert_close(w_h, (1.0 if gate else scale) * torch.eye(n), rtol=0, atol=0)


@pytest.mark.parametrize("architecture", ["rnn", "gru", "lstm"])
def test_biases_are_constant_or_normal(architecture):
    delta = drawn(architecture, recurrent_bias_init_type="delta", recurrent_matrix_init_type="identity")
    module = built(delta, architecture, 3, 500)
    for init_type in ("delta", "normal"):
        apply(delta | {"recurrent_bias_init_type": init_type}, module, seed=1)
        for gate, bias in zip(BLOCKS[architecture], module.bias_ih_l0.detach().split(500), strict=True):
            scale = delta[f"recurrent_bias_scale_{gate}" if gate else "recurrent_bias_scale"]
            if init_type == "delta":
                assert torch.all(bias == np.float32(scale))
            else:  # 500 numbers: within 4 standard errors
                assert bias.std().item() == pytest.approx(abs(scale), rel=4 / math.sqrt(1000))
                assert abs(bias.mean().item()) < 4 * abs(scale) / math.sqrt(500)


@pytest.mark.parametrize("architecture, block", [("lstm", 1), ("gru", 1)])  # PyTorch's f and z
def test_the_hack_is_a_frozen_bias_of_the_gate_that_keeps(architecture, block):
    hparams = drawn(architecture, forget_gate_bias_hack=2.5)
    module = built(hparams, architecture, 3, 4, depth=2)
    apply(hparams, module)
    for layer in range(2):
        bias = getattr(module, f"bias_hh_l{layer}")
        expected = torch.zeros_like(bias)
        expected[4 * block : 4 * block + 4] = 2.5
        assert torch.equal(bias.detach(), expected)
        assert not bias.requires_grad and getattr(module, f"bias_ih_l{layer}").requires_grad


@pytest.mark.parametrize("architecture", MODULES)
def test_a_module_that_kept_its_old_bias_forgets_it(architecture):
    hparams = drawn(architecture)
    module = built(hparams, architecture, 3, 4)
    with torch.no_grad():
        module.bias_hh_l0.fill_(100.0)
    apply(hparams, module)
    assert module.bias_hh_l0.abs().max() <= 6  # the hack is at most 6


def test_the_readout_is_the_trainers():
    hparams = drawn("gru")
    readout = nn.Linear(900, 7)
    apply(hparams, nn.GRU(2, 900), readout, seed=1)
    assert torch.all(readout.bias == 0)
    assert readout.weight.std().item() * 30 == pytest.approx(1, rel=4 / math.sqrt(2 * 6300))


def test_the_seed_and_otherwise_torch_decide_the_weights():
    hparams, weights = drawn("lstm", recurrent_matrix_init_type="normal"), []
    for torch_seed, seed in ((1, None), (1, None), (2, None), (3, 7), (4, 7)):
        torch.manual_seed(torch_seed)
        module = nn.LSTM(3, 5)
        torch.manual_seed(torch_seed)
        apply(hparams, module, seed=seed)
        weights.append(module.weight_hh_l0.detach().clone())
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[3], weights[4])
    assert not torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[3])


# ---------------------------------------------------------------- the same outputs as the trainer's cells


def outputs_of_both(architecture, hparams, depth=1):
    """Return outputs [T, B, O] of PyTorch's module and of the trainer's network with the weights of one seed."""
    steps, batch, n_in, width, n_out = 6, 5, 3, 7, 2
    module, readout = built(hparams, architecture, n_in, width, depth), nn.Linear(width, n_out)
    apply(hparams, module, readout, seed=11)
    inputs = torch.randn(steps, batch, n_in, generator=torch.Generator().manual_seed(0))
    layout = Layout(architecture, depth, width, n_in, n_out)
    hack = hparams.get("forget_gate_bias_hack", 0)
    flat = torch.from_numpy(draw_parameters(layout, hparams, 11) + hack * hack_offsets(layout))[None]
    tanh_members = int(hparams.get("activation") == "tanh")
    network = Network(layout, Shape(steps, 1, width, batch), slice(None), flat, tanh_members)
    theirs = network.forward(flat, inputs.permute(0, 2, 1).unsqueeze(1))[0].unflatten(1, (steps, batch))
    return readout(module(inputs)[0]).detach(), theirs.permute(1, 2, 0)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "architecture, fixed",
    [("rnn", {"activation": "tanh"}), ("rnn", {"activation": "relu"}), ("irnn", {}), ("lstm", {})],
)
def test_outputs_equal_the_trainers(architecture, fixed, depth, double):
    for seed in range(5):
        ours, theirs = outputs_of_both(architecture, drawn(architecture, seed, **fixed), depth)
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)  # rounding of float64


RESET_OPEN = {"recurrent_bias_scale_r": 60.0, "recurrent_bias_init_type": "delta"}  # sigmoid(60) is 1 in float64


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("fixed", [{"recurrent_matrix_init_type": "identity"}, RESET_OPEN])
def test_outputs_of_gru_equal_the_trainers_where_the_reset_gate_commutes(fixed, depth, double):
    """W (r h) is r (W h) where W is the identity, or where r is 1."""
    for seed in range(5):
        ours, theirs = outputs_of_both("gru", drawn("gru", seed, **fixed), depth)
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_outputs_of_gru_differ_elsewhere(double):
    """The difference that the documentation tells of: PyTorch resets after the recurrent matrix, the trainer before."""
    fixed = {"recurrent_matrix_init_type": "orthogonal", "recurrent_bias_init_type": "normal"}
    scales = {name: 1.0 for name in drawn("gru") if "_scale_" in name}
    ours, theirs = outputs_of_both("gru", drawn("gru", **scales, **fixed, forget_gate_bias_hack=0.0))
    assert (ours - theirs).abs().max() > 0.01


# ---------------------------------------------------------------- what cannot be expressed


@dataclass(frozen=True)
class Recommended:
    hparams: dict
    n_layers: int
    hidden_units: int | None


LSTM = drawn("lstm")


@pytest.mark.parametrize(
    "config, module, error, message",
    [
        (drawn("ugrnn"), lambda: nn.GRU(3, 4), ValueError, "PyTorch has no module for ugrnn, only for rnn, irnn, gru"),
        (drawn("+rnn"), lambda: nn.LSTM(3, 4), ValueError, r"PyTorch has no module for \+rnn"),
        (LSTM, lambda: nn.GRU(3, 4), TypeError, "a configuration of lstm needs module to be an nn.LSTM, got GRU"),
        (LSTM, lambda: nn.Sequential(nn.LSTM(3, 4)), TypeError, "pass the recurrent module alone, e.g. model.lstm"),
        (LSTM, lambda: nn.LSTM(3, 4, bias=False), ValueError, "needs bias=True, but the module has bias=False"),
        (LSTM, lambda: nn.LSTM(3, 4, bidirectional=True), ValueError, "needs bidirectional=False"),
        (LSTM, lambda: nn.LSTM(3, 4, proj_size=2), ValueError, "needs proj_size=0, but the module has proj_size=2"),
        (drawn("rnn", activation="relu"), lambda: nn.RNN(3, 4), ValueError, "nonlinearity='relu', but .*='tanh'"),
        (drawn("irnn"), lambda: nn.RNN(3, 4), ValueError, r"build it with nn.RNN\(..., nonlinearity='relu'\)"),
        (Recommended(LSTM, 2, 4), lambda: nn.LSTM(3, 4), ValueError, "for n_layers=2, but the module has 1"),
        (Recommended(LSTM, 1, 8), lambda: nn.LSTM(3, 4), ValueError, "for hidden_units=8, but the module has 4"),
        ({**LSTM, "dropout": 0.5}, lambda: nn.LSTM(3, 4), ValueError, "unknown to lstm: dropout"),
        ({"lr_init": 0.1}, lambda: nn.LSTM(3, 4), ValueError, "input scale for each gate .* got none among lr_init"),
        (["lstm"], lambda: nn.LSTM(3, 4), TypeError, "config must be a recommended configuration, .* got list"),
    ],
)
def test_what_a_module_cannot_express_is_refused(config, module, error, message):
    built_module = module()
    before = [parameter.detach().clone() for parameter in built_module.parameters()]
    with pytest.raises(error, match=message):
        apply(config, built_module)
    assert all(torch.equal(old, new) for old, new in zip(before, built_module.parameters(), strict=True))


@pytest.mark.parametrize(
    "readout, error, message",
    [
        (nn.Linear(5, 2), ValueError, r"readout must be nn.Linear\(4, ...\) with a bias, .* got in_features=5"),
        (nn.Linear(4, 2, bias=False), ValueError, "bias=False"),
        (nn.Embedding(4, 2), TypeError, "readout must be an nn.Linear, got Embedding"),
    ],
)
def test_a_readout_that_does_not_fit_is_refused(readout, error, message):
    with pytest.raises(error, match=message):
        apply(LSTM, nn.LSTM(3, 4), readout)


def test_a_recommended_configuration_of_unknown_width_fits_any():
    apply(Recommended(LSTM, 1, None), nn.LSTM(3, 4))
    apply(Recommended(LSTM, 2, 9).hparams, nn.LSTM(3, 4))


# ---------------------------------------------------------------- the same steps as the trainer's

CLIPS = {"always": 0.05, "sometimes": 3.0, "never": 1e6}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("decay", [1.0, 0.001])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_on_given_gradients_equal_the_trainers(name, decay, clip, double):
    """The trainer's update rule by itself, on gradients of very different sizes, in two parameters."""
    steps, s, generator = 12, 1 / (1 + math.exp(-2.0)), torch.Generator().manual_seed(3)
    hparams = {
        "optimizer": name, "optimizer_logit_momentum": 2.0, "lr_init": 0.1, "lr_decay_rate": decay, "l2_decay": 0.3,
        "gradient_clip_val": CLIPS[clip], "train_steps": steps,
    }  # fmt: skip
    theta = torch.randn(1, 20, generator=generator)
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    parts = [nn.Parameter(part.clone()) for part in theta[0].split([8, 12])]
    descent = optimizer(hparams, parts)
    assert descent.train_steps == steps
    clipped = 0
    for step in range(steps):
        grad = torch.randn(1, 20, generator=generator) * 10 ** (1 - step / 5)
        for part, piece in zip(parts, grad[0].split([8, 12]), strict=True):
            part.grad = piece.clone()
        descent.step()
        grad = grad + 0.3 * theta
        norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
        clipped += int(norm.item() > CLIPS[clip])
        clip_(grad, norm, torch.tensor([[CLIPS[clip]]]))
        column = [torch.tensor([[x]]) for x in (0.1 * decay ** (step / steps), s, step + 1.0)]
        update([name], theta, grad, m, v, *column)
        torch.testing.assert_close(torch.cat(parts).detach(), theta[0], rtol=1e-11, atol=1e-12)
    assert {"always": clipped == steps, "sometimes": 0 < clipped < steps, "never": clipped == 0}[clip]


class Model(nn.Module):
    """A network like the trainer's, by PyTorch's modules; initial states are learned where `learned` says so."""

    def __init__(self, hparams, layout, scored, learned=True):
        super().__init__()
        self.cell = built(hparams, layout.architecture, layout.n_in, layout.width, layout.n_layers)
        self.readout, self.scored = nn.Linear(layout.width, layout.n_out), scored
        self.initial = InitialState(self.cell) if learned else None

    def forward(self, inputs):
        """Return outputs at the scored steps, [S, B, O], of inputs [T, B, I]."""
        start = self.initial(inputs.shape[1]) if self.initial is not None else None
        return self.readout(self.cell(inputs, start)[0][self.scored])

    def flat(self, layout):
        """Return all trained parameters in the order of the trainer's, [N]."""
        blocks, parts = BLOCKS[layout.architecture], []
        for layer in range(layout.n_layers):
            matrices = [getattr(self.cell, f"{name}_l{layer}") for name in ("weight_hh", "weight_ih", "bias_ih")]
            w = torch.cat([matrices[0], matrices[1], matrices[2].unsqueeze(1)], dim=1)
            gates = dict(zip(blocks, w.split(layout.width), strict=True))
            parts += [*(gates[gate] for gate in layout.gates), *(state[layer] for state in self.initial.states)]
        parts.append(torch.cat([self.readout.weight, self.readout.bias.unsqueeze(1)], dim=1))
        return torch.cat([part.detach().reshape(-1) for part in parts])


def loss_of(model, task, batch):
    """Return the task's loss of one member's batch, by autograd."""
    inputs = batch.inputs[:, 0]  # symbols [T, B] or numbers [T, I, B]
    one_hot = nn.functional.one_hot(inputs, task.n_in).to(torch.get_default_dtype()) if inputs.dim() == 2 else None
    outputs = model(inputs.transpose(1, 2) if one_hot is None else one_hot)
    targets = columns(batch)
    if targets.is_floating_point():
        return nn.functional.mse_loss(outputs.permute(2, 0, 1).flatten(1), targets[0])
    heads = targets.view(-1, targets.shape[-1])  # [heads, S B]
    logits = outputs.flatten(0, 1).unflatten(1, (len(heads), -1))
    return torch.stack([nn.functional.cross_entropy(logits[:, k], heads[k]) for k in range(len(heads))]).mean()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "architecture, fixed",
    [("rnn", {"activation": "tanh"}), ("rnn", {"activation": "relu"}), ("irnn", {}), ("lstm", {})],
)
def test_a_training_takes_the_trainers_path(architecture, fixed, name, double):
    """Every parameter after every step of a whole training, of two layers, with learned initial states."""
    task = MemThru(batch=4)
    layout = Layout(architecture, 2, 4, task.n_in, task.n_out)
    hparams = drawn(
        architecture, 3, **fixed, optimizer=name, train_steps=10, l2_decay=0.05, gradient_clip_val=0.5, lr_init=0.02,
        lr_decay_rate=0.01,
    )  # fmt: skip
    population = Population(task, layout, torch.zeros(()))
    population.admit([Member(0, hparams, seed=5)])
    model = Model(hparams, layout, task.scored)
    apply(hparams, model.cell, model.readout, seed=5)
    descent = optimizer(hparams, model.parameters())
    for step in range(descent.train_steps):
        torch.testing.assert_close(model.flat(layout), population.state.theta[0], rtol=1e-9, atol=1e-10)
        loss_of(model, task, task.training_batch(torch.tensor([[5]]), torch.tensor([[step]]))).backward()
        descent.step()
        population.step()
    torch.testing.assert_close(model.flat(layout), population.state.theta[0], rtol=1e-9, atol=1e-10)
    assert population.ended() == 1 and not population.state.diverged.item()


def train_own(hparams, task, layout, seed, learned=True):
    """Train a model of PyTorch's modules on the data of the trainer's run of that seed; return its test loss."""
    model, stream = Model(hparams, layout, task.scored, learned), torch.tensor([[seed]])
    apply(hparams, model.cell, model.readout, seed=seed)
    descent = optimizer(hparams, model.parameters())
    for step in range(descent.train_steps):
        loss_of(model, task, task.training_batch(stream, torch.tensor([[step]]))).backward()
        descent.step()
    with torch.no_grad():
        return loss_of(model, task, task.items(task.evaluation_items("eval")[None], stream)).item()


@pytest.mark.parametrize("architecture", ["rnn", "lstm"])
def test_a_whole_training_ends_where_the_trainers_ends(architecture, double):
    task = Rcf(items=1000)
    layout = Layout(architecture, 1, 8, task.n_in, task.n_out)
    hparams = drawn(architecture, 7, optimizer="Adam", lr_init=0.02, optimizer_logit_momentum=2.0, train_steps=250)
    [run] = train(task, layout, [Member(0, hparams, seed=4)], torch.zeros(()), 1)
    assert run.eval_loss < 0.9 * task.trivial
    # float64 rounding, grown over 250 steps
    assert train_own(hparams, task, layout, seed=4) == pytest.approx(run.eval_loss, rel=1e-6)


def standard_errors(architecture, task, number, learned=True):
    """Return by how many standard errors 8 trainings by PyTorch's modules are worse than 64 by the trainer.

    Both at 1000 parameters, with the same configuration and other seeds; the errors come from the spread of the 64.
    """
    layout = Setup(architecture, task.name, 1, 1000).layout(task)
    hparams = draw_configuration(architecture, np.random.default_rng([5, number]), (300, 600))
    crowd = [Member(seed, hparams, seed) for seed in range(64)]
    theirs = np.array([run.eval_loss for run in train(task, layout, crowd, torch.zeros(()), 64)])
    ours = np.array([train_own(hparams, task, layout, 1000 + seed, learned) for seed in range(8)])
    assert theirs.mean() < 0.6 * task.trivial  # it learns, so that there is something to compare
    return (ours.mean() - theirs.mean()) / (theirs.std(ddof=1) * math.sqrt(1 / 64 + 1 / 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture, task, number",
    [
        ("rnn", Rcf(), 32),
        ("rnn", ParensCounting(), 27),
        ("lstm", Rcf(), 36),
        ("lstm", ParensCounting(), 33),
        ("gru", Rcf(), 36),
        ("gru", ParensCounting(), 17),
    ],
)
def test_losses_are_the_trainers_up_to_seed_noise(architecture, task, number):
    assert abs(standard_errors(architecture, task, number)) < 3.5  # by chance once in 2000


@pytest.mark.slow
def test_losses_are_worse_without_learned_initial_states():
    """What the documentation says; and that the test above can fail."""
    assert standard_errors("rnn", ParensCounting(), 27, learned=False) > 3.5


def test_a_step_clears_gradients_and_leaves_frozen_parameters_alone():
    module = nn.LSTM(3, 4)
    hack = dict(LSTM, forget_gate_bias_hack=3.0, l2_decay=0.5)
    apply(hack, module)
    descent = optimizer(hack, module.parameters())
    module(torch.ones(2, 1, 3))[0].sum().backward()
    before = module.bias_ih_l0.detach().clone()
    descent.step()
    assert not torch.equal(module.bias_ih_l0, before)
    assert torch.equal(module.bias_hh_l0.detach()[4:8], torch.full((4,), 3.0))
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_training_stops_with_the_last_weights(bad):
    parameter = nn.Parameter(torch.ones(3))
    descent = optimizer(LSTM, [parameter])
    parameter.grad = torch.ones(3)
    descent.step()
    kept = parameter.detach().clone()
    parameter.grad = torch.tensor([1.0, bad, 1.0])
    with pytest.raises(FloatingPointError, match=f"diverged: the gradient's norm is {bad} at step 1"):
        descent.step()
    assert torch.equal(parameter.detach(), kept)


def test_a_step_without_gradients_is_refused():
    with pytest.raises(RuntimeError, match=r"call loss.backward\(\) before step\(\)"):
        optimizer(LSTM, [nn.Parameter(torch.ones(3))]).step()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"optimizer": "Adagrad"}, "optimizer must be one of SGD, Momentum, Adam, RMSProp, got 'Adagrad'"),
        ({"train_steps": 0}, "train_steps must be at least 1, got 0"),
    ],
)
def test_an_impossible_optimizer_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        optimizer(LSTM | change, [nn.Parameter(torch.ones(3))])


def test_a_missing_hyperparameter_is_named():
    with pytest.raises(ValueError, match="lacks l2_decay, lr_init"):
        optimizer({k: v for k, v in LSTM.items() if k not in ("lr_init", "l2_decay")}, [nn.Parameter(torch.ones(3))])


def test_the_parts_of_a_descent_serve_an_own_loop():
    """For those who need their own loop: the same numbers from the fields."""
    hparams = dict(LSTM, l2_decay=0.0, optimizer="Adam", lr_init=0.1, lr_decay_rate=0.01, train_steps=4)
    descent = optimizer(hparams, [nn.Parameter(torch.ones(3))])
    assert isinstance(descent, Descent) and isinstance(descent.optimizer, torch.optim.Adam)
    rates = []
    for _ in range(4):
        rates.append(descent.optimizer.param_groups[0]["lr"])
        descent.optimizer.step()
        descent.scheduler.step()
    assert rates == pytest.approx([0.1 * 0.01 ** (t / 4) for t in range(4)])
    assert descent.clip == hparams["gradient_clip_val"]


def test_without_pytorch_the_error_names_the_extra():
    code = "import sys; sys.modules['torch'] = None; import rnn_warmstart.training"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert found.returncode == 1 and "pip install 'rnn-warmstart[torch]'" in found.stderr


# ---------------------------------------------------------------- as a user would

QUICK_START = """\
from rnn_warmstart import recommend
from rnn_warmstart.training import apply, optimizer

config = recommend("lstm", "text8", 1e4, max_train_steps=500)[0]
model = Model(27, config.hidden_units, config.n_layers)
apply(config, model.lstm, model.readout)
descent = optimizer(config, model.parameters())
for x, y in batches(descent.train_steps):
    cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
    descent.step()
"""


def test_the_quick_start_of_the_documentation_trains():
    page = (ROOT / "docs" / "pytorch.md").read_text(encoding="utf-8")
    setting, quick_start = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert quick_start == QUICK_START and len([line for line in QUICK_START.splitlines() if line]) < 10
    names = {}
    torch.manual_seed(0)
    exec(setting, names)
    exec(QUICK_START, names)
    [(x, y)] = names["batches"](1)
    loss = names["cross_entropy"](names["model"](x).flatten(0, 1), y.flatten()).item()
    # the walk goes up by 0 or 1, so that nobody gets below 0.693 but by luck; a guess among 27 costs 3.296
    assert loss < 1.0


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_characters", ROOT / "examples" / "train_characters.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = Typer()
    app.command()(module.main)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_example_prints_a_curve_against_the_defaults(example, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 200)
    found = example(text, "--params", "1e3", "--max-steps", "100", "--seeds", "2")
    assert found.exit_code == 0, found.output
    assert "27 characters" not in found.stdout and "28 characters" in found.stdout  # a to z, space, new line
    rows = re.findall(r"(\d+)\s*│\s*(\S+) \(\S+\.\.\S+\)\s*│\s*(\S+) \(", found.stdout)
    assert len(rows) == 10
    assert float(rows[-1][1]) < float(rows[0][1])  # it learns


def test_the_example_refuses_a_text_too_short(example, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("short")
    found = example(text)
    assert found.exit_code == 2 and "at least 1000 characters" in re.sub(r"[\s│]+", " ", found.output)
