"""Every task against what its page says, and against one list of things that all tasks promise."""

import lzma
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnn_warmstart.training import text  # noqa: E402
from rnn_warmstart.training.losses import CrossEntropy  # noqa: E402
from rnn_warmstart.training.network import Layout  # noqa: E402
from rnn_warmstart.training.population import columns, train  # noqa: E402
from rnn_warmstart.training.setups import TASK_TYPES, make_task  # noqa: E402
from rnn_warmstart.training.state import Member  # noqa: E402
from rnn_warmstart.training.task import Batch, Task  # noqa: E402
from rnn_warmstart.training.tasks import Arithmetic, MemThru, ParensCounting, PerCap, RandomPoints, Rcf, Text8  # noqa: E402

SHARED = Path(os.environ.get("RNN_WARMSTART_SHARED", Path(__file__).parents[2] / "shared"))
PREFIX = SHARED / "data" / "text8_prefix.txt.xz"
LETTERS = " abcdefghijklmnopqrstuvwxyz"


def words(count=3000):
    return np.random.default_rng(0).choice(27, size=count, p=np.arange(27, 0, -1) / 378).astype(np.uint8)


LAB = {
    "text8": (lambda: Text8(words()), 27, 27, 25, 16),
    "parens_counting": (lambda: ParensCounting(items=2000), 8, 12, 24, 16),
    "arithmetic": (lambda: Arithmetic(items=2000), 14, 14, 8, 32),
    "mem_thru": (MemThru, 5, 4, 9, 32),
    "rcf": (Rcf, 4, 1, 4, 64),
    "per_cap": (lambda: PerCap(125), 16, 2, 4, 64),
    "rcf of the paper": (lambda: RandomPoints(items=10_000), 50, 1, 50, 64),
}


@pytest.fixture(params=LAB)
def task(request):
    return LAB[request.param][0]()


def batch_at(task, seeds, step):
    stream = torch.tensor(seeds).view(-1, 1)
    return task.training_batch(stream, torch.full_like(stream, step))


@pytest.mark.parametrize("name", LAB)
def test_sizes_are_those_of_the_page(name):
    make, n_in, n_out, steps, batch = LAB[name]
    task = make()
    assert (task.n_in, task.n_out, task.steps, task.batch) == (n_in, n_out, steps, batch)


def test_batches_fit_the_network_and_the_loss(task):
    batch = batch_at(task, [3, 4], 0)
    scored = len(range(task.steps)[task.scored])
    shape = (task.steps, 2, task.n_in, task.batch) if batch.inputs.is_floating_point() else (task.steps, 2, task.batch)
    assert batch.inputs.shape == shape
    outputs = torch.zeros(2, task.n_out, scored * task.batch)
    loss, grad = task.loss(outputs, columns(batch))
    assert loss.shape == (2,) and grad.shape == outputs.shape


def test_a_batch_depends_on_seed_and_step_alone(task):
    first, again = batch_at(task, [3, 4], 5), batch_at(task, [9, 3], 5)
    assert torch.equal(first.inputs[:, 0], again.inputs[:, 1])
    assert not torch.equal(first.inputs[:, 0], first.inputs[:, 1])
    assert not torch.equal(first.inputs, batch_at(task, [3, 4], 6).inputs)


def test_the_loss_of_the_best_constant_answer_is_trivial(task):
    """Fit one constant answer a scored position, by gradient descent of the task's own loss."""
    index = (torch.arange(2000) % len(task.parts["train"]) + task.parts["train"].start).view(1, -1)
    if isinstance(task, RandomPoints):
        index = task.evaluation_items("eval").view(1, -1)
    batch = task.items(index, torch.tensor([[1]]))
    positions, rate = batch.targets.shape[0], 1.0 if isinstance(task.loss, CrossEntropy) else 0.4
    constant = torch.zeros(1, task.n_out, positions, 1)
    for _ in range(300):
        expanded = constant.expand(-1, -1, -1, index.shape[1]).reshape(1, task.n_out, -1)
        loss, grad = task.loss(expanded, columns(batch))
        constant -= rate * positions * grad.view(1, task.n_out, positions, -1).sum(dim=3, keepdim=True)
        if not np.isfinite(loss.item()):
            pytest.fail("the fit of the constant diverged")
    # 2000 items: the mean of a square is known to 3 % (one standard error); a wrong unit (nats for bits) is 44 % off
    assert loss.item() == pytest.approx(task.trivial, rel=0.1)


def test_evaluation_items_are_fixed_and_apart_from_training(task):
    for part in ("valid", "eval"):
        items = task.evaluation_items(part)
        assert torch.equal(items, task.evaluation_items(part))
        assert len(items) <= task.evaluated and len(items)
        numbers = task.parts[part]
        assert numbers.start <= items.min() and items.max() < numbers.stop
        if task.name != "per_cap" and not isinstance(task, RandomPoints):  # there, all parts are one
            assert numbers.start >= task.parts["train"].stop


def test_text8_asks_for_the_next_character():
    symbols = words()
    task = Text8(symbols)
    batch = task.items(torch.tensor([[7, 100]]), torch.zeros(1, 1, dtype=torch.int64))
    assert np.array_equal(batch.inputs[:, 0, 1], symbols[100:125])
    assert np.array_equal(batch.targets[:, 0, 1], symbols[106:126])  # the first 5 steps are not scored


def test_arithmetic_is_correct():
    task = Arithmetic(items=300)
    for row in range(300):
        line = "".join(task.alphabet[k] for k in task.inputs[row]) + task.alphabet[task.answers[row, -1]]
        left, operator, right, answer = line[:2], line[2], line[3:5], line[6:]
        assert line[5] == "="
        assert int(answer) == (int(left) + int(right) if operator == "+" else int(left) - int(right))
        assert "".join(task.alphabet[k] for k in task.answers[row]) == answer


@pytest.mark.parametrize("kinds, streams, at_end", [(2, 1, False), (3, 4, True)])
def test_parens_are_counted(kinds, streams, at_end):
    task = ParensCounting(kinds=kinds, noise_symbols=4, streams=streams, items=200, at_end=at_end)
    symbols = 2 * kinds + 4
    noise = 0
    for row in range(200):
        counts, history = [0] * kinds, []
        for symbol in (task.inputs[row] % symbols).tolist():
            if symbol < 2 * kinds:
                counts[symbol // 2] += 1 if symbol % 2 == 0 else -1
            else:
                noise += 1
            assert 0 <= min(counts) and max(counts) <= 5
            history.append(list(counts))
        assert task.answers[row].tolist() == (history[-1:] if at_end else history)
    assert noise / (200 * 24) == pytest.approx(0.3, abs=0.03)
    assert set((task.inputs // symbols).unique().tolist()) == set(range(streams))


def test_mem_thru_shows_waits_and_asks():
    batch = batch_at(MemThru(), [1], 0)
    assert torch.equal(batch.inputs[:3, :, :4], batch.targets)
    assert torch.all(batch.inputs[3:, :, :4] == 0)
    assert batch.inputs[:, 0, 4, 0].tolist() == [0] * 6 + [1] * 3
    assert batch.targets.abs().max() < 3**0.5
    assert batch.targets.square().mean() == pytest.approx(1, abs=0.15)


def test_per_cap_has_an_own_set_each_run():
    task = PerCap(125)
    batch = task.items(torch.arange(125).expand(2, -1), torch.tensor([[1], [2]]))
    assert set(batch.inputs.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(batch.inputs[0], batch.inputs[-1])
    assert 0.3 < (batch.inputs[0, 0] != batch.inputs[0, 1]).float().mean() < 0.7
    assert 0.3 < batch.targets.float().mean() < 0.7


def test_points_of_the_paper_come_by_their_weights():
    task = RandomPoints(items=50_000)
    drawn = task.evaluation_items("eval").double()
    weights = 1 / (np.arange(50_000) + 5000)
    below = weights[:5000].sum() / weights.sum()
    assert (drawn < 5000).double().mean().item() == pytest.approx(below, abs=1e-3)


@pytest.mark.skipif(not PREFIX.exists(), reason=f"needs {PREFIX} (set RNN_WARMSTART_SHARED)")
def test_trivial_levels_are_those_of_the_lab(monkeypatch):
    monkeypatch.setenv("RNN_WARMSTART_TEXT8", str(PREFIX))
    text.load_text8.cache_clear()
    levels = {
        "text8": 4.118,
        "parens_counting": 1.453,
        "arithmetic": 1.906,
        "mem_thru": 1.0,
        "rcf": 1.0,
        "per_cap": 1.0,
    }
    for task_type, level in levels.items():
        assert make_task(task_type, "lab", 1000).trivial == pytest.approx(level, abs=0.003)
    make_task.cache_clear()


@pytest.mark.parametrize("ending", ["", ".xz", ".zip"])
def test_text8_is_read_from_any_file(tmp_path, monkeypatch, ending):
    content = b"abc xyz" * 3
    path = tmp_path / f"text8{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("text8", content)
    else:
        path.write_bytes(lzma.compress(content) if ending else content)
    monkeypatch.setenv("RNN_WARMSTART_TEXT8", str(path))
    text.load_text8.cache_clear()
    assert "".join(LETTERS[k] for k in text.load_text8(9)) == "abc xyzab"
    text.load_text8.cache_clear()


def test_a_missing_or_wrong_text8_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_WARMSTART_TEXT8", str(tmp_path / "none"))
    text.load_text8.cache_clear()
    with pytest.raises(FileNotFoundError, match="--download-text8"):
        text.load_text8()
    (tmp_path / "none").write_bytes(b"Hello, World")
    with pytest.raises(ValueError, match="only a-z and spaces"):
        text.load_text8()


def test_a_download_with_another_hash_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_WARMSTART_TEXT8", str(tmp_path / "cache" / "text8.zip"))
    source = tmp_path / "source.zip"
    source.write_bytes(b"text")
    with pytest.raises(ValueError, match="should have SHA-256 a6640522"):
        text.download_text8(source.as_uri())
    assert not (tmp_path / "cache" / "text8.zip").exists()
    digest = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"  # sha256 of b"text"
    assert text.download_text8(source.as_uri(), digest).read_bytes() == b"text"
    assert text.download_text8("file:///nowhere").read_bytes() == b"text"  # there already


@pytest.mark.parametrize(
    "arguments, message", [(("text9", "lab", 1000), "text8"), (("rcf", "big", 1000), "'lab' or 'paper'")]
)
def test_unknown_tasks_and_scales_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task(*arguments)


@pytest.mark.parametrize(
    "task_type", [name for name in TASK_TYPES if name not in ("text8", "arithmetic", "parens_counting")]
)
def test_paper_scale_tasks_have_the_papers_sizes(task_type):
    task = make_task(task_type, "paper", 1000)
    sizes = {"mem_thru": (64, 64, 12), "rcf": (50, 1, 50), "per_cap": (32, 2, 5)}
    assert (task.n_in, task.n_out, task.steps) == sizes[task_type]


class Parity(Task):
    """A user's own task: is the number of ones even?"""

    name, n_in, n_out, steps, batch, unit, trivial = "parity", 2, 2, 4, 16, "nats", 0.693
    scored, loss = slice(-1, None), CrossEntropy()
    parts = {"train": range(16), "valid": range(16), "eval": range(16)}  # noqa: RUF012

    def items(self, index, stream):
        bits = (index >> torch.arange(self.steps).view(-1, 1, 1)) & 1
        return Batch(bits, bits.sum(dim=0, keepdim=True) % 2)


def test_a_users_own_task_trains():
    task = Parity()
    hparams = {
        "input_scale": 1.0, "recurrent_matrix_scale": 1.0, "recurrent_matrix_init_type": "orthogonal",
        "recurrent_bias_scale": 0.0, "recurrent_bias_init_type": "normal", "activation": "tanh", "optimizer": "Adam",
        "optimizer_logit_momentum": 2.2, "lr_init": 0.01, "lr_decay_rate": 0.1, "gradient_clip_val": 10.0,
        "l2_decay": 1e-7, "train_steps": 800,
    }  # fmt: skip
    layout = Layout("rnn", 1, 12, task.n_in, task.n_out)
    [outcome] = train(task, layout, [Member(0, hparams, 1)], torch.zeros(()), 1)
    assert outcome.eval_loss < 0.1


def test_the_example_of_the_page_runs(capsys):
    page = (Path(__file__).parents[1] / "training" / "README.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    exec(compile(code, "training/README.md", "exec"), {"__name__": "example"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 17 and float(lines[1].split()[-1]) < 0.693
