"""The hand-written backward pass against autograd on a network written one member, one sequence, one step at a time."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnn_warmstart.features import ARCHITECTURES  # noqa: E402
from rnn_warmstart.training.cells import CELLS  # noqa: E402
from rnn_warmstart.training.layer import Shape  # noqa: E402
from rnn_warmstart.training.network import Layout, Network  # noqa: E402
from rnn_warmstart.training.population import columns  # noqa: E402
from rnn_warmstart.training.tasks import Arithmetic, MemThru, ParensCounting, PerCap, Rcf, Text8  # noqa: E402

MEMBERS, BATCH = 3, 2
TASKS = {
    "text8": lambda: Text8(np.random.default_rng(0).integers(27, size=500).astype(np.uint8), batch=BATCH),
    "parens_counting": lambda: ParensCounting(items=50, batch=BATCH),
    "parens_counting at the end": lambda: ParensCounting(items=50, batch=BATCH, at_end=True, streams=2),
    "arithmetic": lambda: Arithmetic(items=50, batch=BATCH),
    "mem_thru": lambda: MemThru(batch=BATCH),
    "rcf": lambda: Rcf(items=50, batch=BATCH),
    "per_cap": lambda: PerCap(20, batch=BATCH),
}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def reference_outputs(layout, parameters, sequence, tanh):
    """Return the outputs of one member for one sequence, [T, O], straight from the equations of the paper."""
    rest = [p for p in parameters]
    n, s = layout.width, torch.tanh if tanh else torch.relu
    xs = list(sequence)
    if layout.architecture == "+rnn":
        read_in = rest.pop(0)
        xs = [read_in[:, :-1] @ x + read_in[:, -1] for x in xs]
    for _ in range(layout.n_layers):
        w = rest.pop(0)
        gate = {g: w[k * n : (k + 1) * n] for k, g in enumerate(layout.gates)}
        state = [rest.pop(0) for _ in range(ARCHITECTURES[layout.architecture].states)]
        h, ups = state[0], []
        c = state[-1]
        for x in xs:

            def a(g, h=h, x=x, gate=gate):
                return gate[g][:, :n] @ h + gate[g][:, n:-1] @ x + gate[g][:, -1]

            if layout.architecture in ("rnn", "irnn"):
                h = up = s(a(""))
            elif layout.architecture == "ugrnn":
                g = torch.sigmoid(a("g"))
                h = up = g * h + (1 - g) * torch.tanh(a("c"))
            elif layout.architecture == "gru":
                r, u = torch.sigmoid(a("r")), torch.sigmoid(a("u"))
                h = up = u * h + (1 - u) * torch.tanh(a("c", h=r * h))
            elif layout.architecture == "lstm":
                i, f, o = (torch.sigmoid(a(g)) for g in ("i", "g", "o"))
                c = f * c + i * torch.tanh(a("c"))
                h = up = o * torch.tanh(c)
            else:
                gy, gh = torch.sigmoid(a("gy")), torch.sigmoid(a("gh"))
                up = gy * x + (1 - gy) * torch.relu(a("y"))
                h = gh * h + (1 - gh) * torch.tanh(a("h"))
            ups.append(up)
        xs = ups
    readout = rest.pop(0)
    return torch.stack([readout[:, :-1] @ x + readout[:, -1] for x in xs])


def reference_loss(task, name, outputs, targets):
    """Return the loss of one member: a mean over sequences of what the task's page says, [B] lists of [S, O]."""
    losses = []
    for output, target in zip(outputs, targets, strict=True):
        if name in ("mem_thru", "rcf"):
            losses.append(torch.mean((output - target) ** 2))
        elif name.startswith("parens"):
            heads = torch.stack(
                [torch.nn.functional.cross_entropy(output[:, 6 * k : 6 * k + 6], target[:, k]) for k in range(2)]
            )
            losses.append(heads.sum() if name.endswith("end") else heads.mean())
        else:
            bits = np.log(2) if name in ("text8", "per_cap") else 1
            losses.append(torch.nn.functional.cross_entropy(output, target) / bits)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("task_name", TASKS)
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradient_agree_with_an_unbatched_reference(architecture, depth, task_name):
    if architecture == "+rnn" and depth == 1:
        pytest.skip("+rnn has no depth 1")
    task = TASKS[task_name]()
    layout = Layout(architecture, depth, 4, task.n_in, task.n_out)
    generator = torch.Generator().manual_seed(depth)
    flat = torch.randn(MEMBERS, layout.num_params, generator=generator) * 0.5
    stream = torch.arange(MEMBERS).view(-1, 1)
    batch = task.training_batch(stream, torch.zeros_like(stream))
    tanh_members = 2 if architecture == "rnn" else 0
    network = Network(layout, Shape(task.steps, MEMBERS, 4, BATCH), task.scored, flat, tanh_members)
    for _ in range(2):  # buffers are used again at every step: the second pass must not see the first
        loss, d_outputs = task.loss(network.forward(flat, batch.inputs), columns(batch))
        grad = network.backward(d_outputs, out=torch.empty_like(flat))

    for member in range(MEMBERS):
        theta = flat[member : member + 1].clone().requires_grad_()
        parameters = [p[0] for p in layout.views(theta)]
        inputs = batch.inputs[:, member]
        if not inputs.is_floating_point():
            inputs = torch.nn.functional.one_hot(inputs, task.n_in).to(flat).permute(0, 2, 1)
        outputs, targets = [], []
        for b in range(BATCH):
            outputs.append(reference_outputs(layout, parameters, inputs[:, :, b], member < tanh_members)[task.scored])
            targets.append(batch.targets[:, member, ..., b])
        expected = reference_loss(task, task_name, outputs, targets)
        expected.backward()
        assert loss[member].item() == pytest.approx(expected.item(), rel=1e-12)
        # float64 rounding over some thousand additions: 1e-10 is wide, a wrong sign or a lost term is above 1e-3
        torch.testing.assert_close(grad[member], theta.grad[0], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gates_are_those_of_the_features(architecture):
    assert sorted(CELLS[architecture].gates) == sorted(ARCHITECTURES[architecture].gates)
