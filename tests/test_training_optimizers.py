"""Optimizers, clip, l2 and schedule against torch.optim, one member at a time, step for step."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnn_warmstart.training.draws import draw_configuration  # noqa: E402
from rnn_warmstart.training.network import Layout  # noqa: E402
from rnn_warmstart.training.optimizers import OPTIMIZERS, clip_, update  # noqa: E402
from rnn_warmstart.training.population import Population, columns  # noqa: E402
from rnn_warmstart.training.state import Member  # noqa: E402
from rnn_warmstart.training.tasks import MemThru  # noqa: E402

S = {"Momentum": 0.9, "Adam": 0.7, "RMSProp": 0.95, "SGD": 0.3}


def torch_optimizer(name, parameter, lr, s):
    if name in ("SGD", "Momentum"):
        return torch.optim.SGD([parameter], lr, momentum=s if name == "Momentum" else 0)
    if name == "Adam":
        return torch.optim.Adam([parameter], lr, betas=(s, 0.999), eps=1e-8)
    return torch.optim.RMSprop([parameter], lr, alpha=s, eps=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_equals_torch_optim(name):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(1, 20, generator=generator, dtype=torch.float64)
    theta, m, v = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    parameter = torch.nn.Parameter(start[0].clone())
    optimizer = torch_optimizer(name, parameter, 0.1, S[name])
    for step in range(30):
        grad = torch.randn(1, 20, generator=generator, dtype=torch.float64) * 10 ** (-step / 10)
        lr = 0.1 * 0.9**step
        optimizer.param_groups[0]["lr"] = lr
        parameter.grad = grad[0].clone()
        optimizer.step()
        column = [torch.tensor([[x]], dtype=torch.float64) for x in (lr, S[name], step + 1)]
        update([name], theta, grad, m, v, *column)
        torch.testing.assert_close(theta[0], parameter.detach(), rtol=1e-12, atol=1e-12)


def test_members_with_different_optimizers_do_not_mix():
    names = ["SGD", "Momentum", "Momentum", "Adam", "RMSProp"]
    grad = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    rates = [torch.full((5, 1), x) for x in (0.1, 0.9, 1.0)]
    together, zeros = torch.zeros(5, 7), torch.zeros(5, 7)
    update(names, together, grad, zeros.clone(), zeros.clone(), *rates)
    for k, name in enumerate(names):
        alone, memory = torch.zeros(1, 7), torch.zeros(1, 7)
        update([name], alone, grad[k : k + 1], memory.clone(), memory.clone(), *(rate[:1] for rate in rates))
        assert torch.equal(alone[0], together[k])


def test_clip_equals_clip_grad_norm():
    grad = torch.randn(4, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    limits = torch.tensor([[1.0], [3.0], [5.0], [100.0]], dtype=torch.float64)
    expected = []
    for row, limit in zip(grad, limits, strict=True):
        parameter = torch.nn.Parameter(row.clone())
        parameter.grad = row.clone()
        torch.nn.utils.clip_grad_norm_([parameter], limit.item())
        expected.append(parameter.grad)
    clip_(grad, torch.linalg.vector_norm(grad, dim=1, keepdim=True), limits)
    # torch adds 1e-6 to the norm before it divides
    torch.testing.assert_close(grad, torch.stack(expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_equals_one_by_torch(name):
    """Whole steps: l2 before the clip, the rate of this step, the forget gate's constant left out of the l2 term."""
    torch.set_default_dtype(torch.float64)
    try:
        task = MemThru(batch=4)
        layout = Layout("lstm", 1, 3, task.n_in, task.n_out)
        hparams = draw_configuration("lstm", np.random.default_rng(3)) | {
            "optimizer": name, "train_steps": 12, "l2_decay": 0.05, "gradient_clip_val": 0.2, "lr_init": 0.05,
            "lr_decay_rate": 0.01,
        }  # fmt: skip
        population = Population(task, layout, torch.zeros(()))
        population.admit([Member(0, hparams, seed=5)])
        state = population.state
        parameter = torch.nn.Parameter(state.theta[0].clone())
        sigmoid = 1 / (1 + np.exp(-hparams["optimizer_logit_momentum"]))
        optimizer = torch_optimizer(name, parameter, 1.0, sigmoid)
        for step in range(12):
            batch = task.training_batch(torch.tensor([[5]]), torch.tensor([[step]]))
            network = population._network(population.members, 4)
            theta = parameter.detach()[None]
            _, d_outputs = task.loss(network.forward(theta + state.offset, batch.inputs), columns(batch))
            parameter.grad = network.backward(d_outputs, out=torch.empty_like(theta))[0] + 0.05 * parameter.detach()
            torch.nn.utils.clip_grad_norm_([parameter], 0.2)
            optimizer.param_groups[0]["lr"] = 0.05 * 0.01 ** (step / 12)
            optimizer.step()
            population.step()
            # clip_grad_norm_ divides by norm + 1e-6, hence the tolerance
            torch.testing.assert_close(population.state.theta[0], parameter.detach(), rtol=2e-3, atol=1e-4)
        assert population.ended() == 1
    finally:
        torch.set_default_dtype(torch.float32)
