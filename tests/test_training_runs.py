"""Runs as rows of the corpus, and folders of jobs: nothing is lost, nothing is made twice."""

import json
import math
import os
import random
import subprocess
import sys
import time
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from filelock import FileLock  # noqa: E402
from rnn_warmstart.corpus import COLUMNS, LOSSES, as_corpus  # noqa: E402
from rnn_warmstart.features import ARCHITECTURES  # noqa: E402
from rnn_warmstart.training.draws import draw_configuration, draw_configurations  # noqa: E402
from rnn_warmstart.training.farm import next_time, work_through  # noqa: E402
from rnn_warmstart.training.folder import RunFolder  # noqa: E402
from rnn_warmstart.training.plans import Grid, read_grids, setup_jobs  # noqa: E402
from rnn_warmstart.training.runs import Job, make_runs  # noqa: E402
from rnn_warmstart.training.setups import Setup  # noqa: E402
from rnn_warmstart.training.verify import Verification, compare, verification_jobs  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

GRID = Grid(("rnn", "gru"), ("mem_thru", "rcf"), (1,), (200,), configurations=3, rounds=2, steps=(20, 60))
IDENTITY = ["source", "architecture", "task_type", "n_layers", "max_params", "hyper_iter", "seed"]


def small_jobs():
    return list(GRID.jobs())


def sorted_runs(runs):
    return runs.sort_values(IDENTITY).reset_index(drop=True).drop(columns="wall_seconds")


def test_runs_are_rows_of_the_corpus():
    setup = Setup("lstm", "mem_thru", 1, 400)
    drawn = draw_configurations("lstm", 4, 0, (10, 30))
    drawn[1] |= {"lr_init": 1e5, "gradient_clip_val": 1e9, "optimizer": "SGD"}  # its loss is absurd
    runs = make_runs(Job(setup, "trainer/test", drawn, [1, 2, 3, 4], [0, 1, 2, 3]))
    assert list(runs.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert runs["steps_done"].drop(1).tolist() == [h["train_steps"] for k, h in enumerate(drawn) if k != 1]
    assert runs["num_params"].between(300, 400).all()
    assert runs["diverged"].tolist() == [False, True, False, False]
    assert runs.loc[1, list(LOSSES)].isna().all()
    assert runs["hp_input_scale_g"].tolist() == [h["input_scale_g"] for h in drawn]
    assert (runs["wall_seconds"] > 0).all()
    corpus = as_corpus(runs)
    assert len(corpus.runs) == 4 and corpus.runs["diverged"].sum() == 1


def test_a_job_is_its_json():
    job = small_jobs()[0]
    again = Job.from_json(job.to_json())
    assert again == job and again.name == job.name
    assert Job(job.setup, job.source, job.configurations, [s + 1 for s in job.seeds], job.hyper_iters).name != job.name


def test_a_job_needs_a_seed_for_each_configuration():
    with pytest.raises(ValueError, match="as many seeds"):
        Job(Setup("gru", "rcf", 1, 500), "x", draw_configurations("gru", 1, 0), [1, 2], [0])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr_init": None}, "lacks lr_init"),
        ({"lr": 0.1}, "unknown to gru: lr"),
        ({"optimizer": "adam"}, "optimizer must be one of SGD, Momentum, Adam, RMSProp, got 'adam'"),
        ({"train_steps": 0}, "train_steps must be at least 1, got 0"),
    ],
)
def test_a_job_refuses_configurations_that_cannot_be_trained(change, message):
    hparams = draw_configurations("gru", 1, 0)[0] | change
    hparams = {name: value for name, value in hparams.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Job(Setup("gru", "rcf", 1, 500), "x", [hparams], [1], [0])


def test_the_range_of_steps_and_the_scale_are_kept():
    [job] = setup_jobs(Setup("gru", "rcf", 1, 500, "paper"), 40, steps=(20, 30))
    found = [hparams["train_steps"] for hparams in job.configurations]
    assert min(found) >= 20 and max(found) <= 30 and len(set(found)) > 5
    assert job.source == "trainer/random/paper"
    assert make_runs(Job(job.setup, job.source, job.configurations[:1], [1], [0]))["num_params"].iloc[0] <= 500


def test_a_grid_goes_breadth_first_with_fresh_configurations():
    jobs = small_jobs()
    rounds = [job.hyper_iters[0] // 3 for job in sorted(jobs, key=lambda job: job.name)]
    assert rounds == [0] * 4 + [1] * 4
    drawn = [json.dumps(h, sort_keys=True) for job in jobs for h in job.configurations]
    assert len(set(drawn)) == len(drawn) == 24
    seeds = [seed for job in jobs for seed in job.seeds]
    assert len(set(seeds)) == 24
    assert not any(s.architecture == "+rnn" for s in Grid(("+rnn",), ("rcf",), (1,), (999,), 1).setups())


def test_a_later_grid_goes_on_where_an_earlier_one_ended():
    whole = Grid(("gru",), ("rcf",), (1,), (500,), configurations=2, rounds=2)
    later = Grid(("gru",), ("rcf",), (1,), (500,), configurations=2, first=2, priority=100)
    assert list(later.jobs()) == list(whole.jobs())[1:]


def test_seeds_repeat_a_configuration():
    [job] = setup_jobs(Setup("gru", "rcf", 1, 500), 2, seeds=3)
    assert job.hyper_iters == [0, 0, 0, 1, 1, 1]
    assert job.configurations[0] == job.configurations[2] != job.configurations[3]
    assert len(set(job.seeds)) == 6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_random_configurations_follow_the_laws(architecture):
    frame = pd.DataFrame(draw_configurations(architecture, 400, 1))
    laws = {
        "input_scale": (0.001, 2), "recurrent_matrix_scale": (0.2, 1.4) if architecture == "irnn" else (0.01, 2),
        "recurrent_bias_scale": (-2, 2), "forget_gate_bias_hack": (0, 6), "optimizer_logit_momentum": (1, 7),
        "lr_init": (1e-4, 1), "lr_decay_rate": (1e-3, 1), "train_steps": (100, 4000), "gradient_clip_val": (1, 100),
        "l2_decay": (1e-8, 1e-3),
    }  # fmt: skip
    for name in frame.select_dtypes("number"):
        stem = next(stem for stem in laws if name.startswith(stem))
        low, high = laws[stem]
        assert low <= frame[name].min() and frame[name].max() <= high
        scale = np.log if (low > 0 and high / low > 10) or stem == "recurrent_matrix_scale" else np.asarray
        uniform = (scale(frame[name]) - scale(low)) / (scale(high) - scale(low))
        linear = stem == "optimizer_logit_momentum"
        if not linear or scale is np.asarray:
            assert uniform.mean() == pytest.approx(0.5, abs=0.06)  # 4 standard errors of 400 uniform numbers
    assert set(frame["optimizer"]) == {"SGD", "Momentum", "Adam", "RMSProp"}
    assert draw_configurations(architecture, 3, 1) == draw_configurations(architecture, 5, 1)[:3]


def test_work_makes_every_run_once_and_again_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.add(small_jobs()) == 8 and folder.add(small_jobs()) == 0
    counts = []
    assert work_through(folder, "sequential", 1, report=counts.append) == 24 == sum(counts)
    assert work_through(folder, "sequential", 1) == 0
    runs = folder.collect()
    assert len(runs) == len(runs[IDENTITY].drop_duplicates()) == 24
    assert len(pd.read_parquet(folder.merge())) == 24
    assert not list(tmp_path.glob("**/.*"))  # no temporary file is left


def test_work_in_this_process_leaves_its_numbers_and_threads_as_they_were(tmp_path):
    folder, threads, smallest = RunFolder(tmp_path), torch.get_num_threads(), math.ulp(0.0)
    folder.add(small_jobs())
    torch.set_num_threads(2)
    try:
        assert work_through(folder, "sequential", 1, names=list(folder.pending())[:1]) > 0
        assert torch.get_num_threads() == 2
        assert smallest * 1.0 > 0.0  # subnormal numbers are no zeros
    finally:
        torch.set_num_threads(threads)


def test_no_job_begins_after_the_deadline(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add(small_jobs())
    assert work_through(folder, "sequential", 1, until=time.time() - 1) == 0
    assert len(folder.pending()) == 8


def test_a_locked_job_is_left_to_its_owner(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add(small_jobs())
    name = folder.pending()[0]
    with FileLock(folder.locks / f"{name}.lock"):
        assert RunFolder(tmp_path).work_on(name) == 0
    assert folder.work_on(name) == 3


WORKER = "import sys; from rnn_warmstart.training.farm import *; work_through(RunFolder(sys.argv[1]), sys.argv[2], 2)"


def start_worker(path, backend="sequential"):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", WORKER, str(path), backend], env=environment)


def test_two_processes_share_a_folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add(small_jobs())
    workers = [start_worker(tmp_path) for _ in range(2)]
    assert [worker.wait(timeout=240) for worker in workers] == [0, 0]
    runs = folder.collect()
    assert len(runs) == len(runs[IDENTITY].drop_duplicates()) == 24


def killed_and_resumed(tmp_path, kills, jobs, backend="sequential"):
    """Kill a working process `kills` times at random moments, resume it, and return (its runs, undisturbed runs)."""
    calm, stormy = RunFolder(tmp_path / "calm"), RunFolder(tmp_path / "stormy")
    calm.add(jobs)
    stormy.add(jobs)
    began = time.time()
    assert start_worker(calm.path, backend).wait(timeout=600) == 0
    whole = time.time() - began
    chance = random.Random(7)
    for _ in range(kills):
        worker = start_worker(stormy.path, backend)
        time.sleep(chance.uniform(0.2, 1.0) * whole)
        worker.kill()
        worker.wait()
    assert start_worker(stormy.path, backend).wait(timeout=600) == 0
    return sorted_runs(stormy.collect()), sorted_runs(calm.collect())


def test_a_killed_process_loses_nothing_and_repeats_nothing(tmp_path):
    stormy, calm = killed_and_resumed(tmp_path, 3, small_jobs())
    pd.testing.assert_frame_equal(stormy, calm, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sequential", "loky"])
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path, backend):
    grid = Grid(("rnn", "gru", "lstm"), ("mem_thru", "rcf"), (1,), (500,), configurations=8, rounds=4, steps=(100, 400))
    stormy, calm = killed_and_resumed(tmp_path, 20, list(grid.jobs()), backend)
    pd.testing.assert_frame_equal(stormy, calm, rtol=1e-4)


def test_dask_does_the_work_with_two_workers(tmp_path):
    distributed = pytest.importorskip("distributed")
    folder = RunFolder(tmp_path)
    folder.add(small_jobs())
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50
    )
    with cluster, distributed.Client(cluster):
        assert work_through(folder, "dask", -1) == 24
    here = RunFolder(tmp_path / "here")
    here.add(small_jobs())
    work_through(here, "sequential", 1)
    pd.testing.assert_frame_equal(sorted_runs(folder.collect()), sorted_runs(here.collect()), rtol=1e-4)


def test_times_are_the_next_ones():
    now = datetime(2026, 1, 1, 22, 0)
    assert datetime.fromtimestamp(next_time("23:15", now)) == datetime(2026, 1, 1, 23, 15)
    assert datetime.fromtimestamp(next_time("02:30", now)) == datetime(2026, 1, 2, 2, 30)
    with pytest.raises(ValueError, match=r"HH:MM in 24 hours, .* but got '25:00'"):
        next_time("25:00", now)


def test_grids_are_read_from_toml(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        '[[grid]]\narchitectures = ["gru"]\ntasks = ["rcf"]\ndepths = [1, 2]\nsizes = [500]\nconfigurations = 2\n'
    )
    [grid] = read_grids(path)
    assert len(list(grid.jobs())) == 2
    path.write_text("[[grid]]\nsize = [500]\n")
    with pytest.raises(ValueError, match="unknown key 'size'"):
        read_grids(path)
    path.write_text("[[grid]]\nsizes = [500]\n")
    with pytest.raises(ValueError, match="incomplete"):
        read_grids(path)
    path.write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"no \[\[grid\]\] table"):
        read_grids(path)


def test_a_verification_ranks_recommendations_among_random_ones():
    setup = Setup("gru", "rcf", 1, 400)
    good = draw_configuration("gru", np.random.default_rng(0)) | {
        "optimizer": "Adam", "lr_init": 0.01, "train_steps": 400, "recurrent_matrix_init_type": "orthogonal",
        "input_scale_c": 1.0, "l2_decay": 1e-7, "lr_decay_rate": 0.1, "optimizer_logit_momentum": 2.2,
        "recurrent_bias_init_type": "normal",
    }  # fmt: skip
    bad = good | {"optimizer": "SGD", "lr_init": 1e-4}
    jobs = verification_jobs(setup, [good, bad], 20, seeds=3, steps=(50, 100))
    found = compare(setup, pd.concat([make_runs(job) for job in jobs], ignore_index=True), [0.1, 0.2])
    table = found.recommended
    assert table["predicted_loss"].tolist() == [0.1, 0.2]
    assert table["measured_loss"][0] < table["measured_loss"][1]
    assert (table["lowest"] <= table["measured_loss"]).all() and (table["measured_loss"] <= table["highest"]).all()
    assert table["beaten_by"][0] == np.mean(found.random_losses < table["measured_loss"][0]) < table["beaten_by"][1]
    lines = found.plot(60).splitlines()
    assert max(map(len, lines)) == 60 and lines[-1].startswith("a dot: ")
    assert lines[-5].strip() == "1" and lines[-4].strip() == "2"


def test_a_plot_puts_everything_in_its_place():
    table = pd.DataFrame({"measured_loss": [1.0, 10.0, np.inf]})
    random_losses = np.array([1.0] * 3 + [10.0] * 20 + [100.0] * 6 + [1e9, np.inf])
    lines = Verification(Setup("gru", "rcf", 1, 400), table, random_losses).plot(41).splitlines()
    assert lines[-6:] == [
        "1",
        " " * 20 + "2",
        " " * 40 + "3",
        "-" * 41,
        "1" + "100".rjust(40),
        "a dot: 3 random configurations",
    ]
    piles = ["".join(line.ljust(41)[place] for line in lines[:-6]).count(".") for place in (0, 20, 40)]
    assert piles == [1, 7, 3]  # 3, 20 and 8 runs, three a dot
    assert sum(line.count(".") for line in lines[:-6]) == 11


def test_a_plot_of_diverged_runs_has_them_at_the_right():
    table = pd.DataFrame({"measured_loss": [np.inf]})
    lines = Verification(Setup("gru", "rcf", 1, 400), table, np.array([np.inf])).plot(10).splitlines()
    assert lines[:2] == [" " * 9 + ".", " " * 9 + "1"]


def test_a_verification_needs_something_to_verify():
    setup = Setup("gru", "rcf", 1, 400)
    with pytest.raises(ValueError, match="at least one recommendation"):
        verification_jobs(setup, [], 20)


def invoke(*arguments):
    import typer
    from rnn_warmstart.commands.train import train

    app = typer.Typer()
    app.command()(train)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_trains_and_resumes(tmp_path):
    configs = tmp_path / "configs.json"
    configs.write_text(json.dumps(draw_configurations("gru", 2, 0, (10, 20))))
    arguments = ["--arch", "gru", "--task", "rcf", "--params", "3e2", "--out", tmp_path, "--workers", 1]
    result = invoke(*arguments, "--configs", configs, "--seeds", 2)
    assert result.exit_code == 0 and "4 new runs" in result.stdout
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    assert len(runs) == 4 and set(runs["source"]) == {"trainer/given"}
    assert "0 new runs" in invoke(*arguments, "--configs", configs, "--seeds", 2).stdout


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["--arch", "gru"], 2, "exactly one of --random"),
        (["--random", 3, "--steps", 9, 3], 2, "needs 1 <= LOW <= HIGH, got 9 3"),
        (["--arch", "gru", "--random", 3], 2, "all three are needed"),
        (["--arch", "gnu", "--task", "rcf", "--params", 500, "--random", 3], 1, "architecture must be one of"),
        (["--arch", "gru", "--task", "rcf", "--params", 5, "--random", 3], 1, "too small"),
        (["--arch", "gru", "--task", "rcf", "--params", 500, "--random", 3, "--until", "noon"], 1, "HH:MM"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(tmp_path, arguments, code, message):
    result = invoke(*arguments, "--out", tmp_path)
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not RunFolder(tmp_path).pending()


class Recommended:
    """A stand-in for a recommendation: what `verify` reads of it."""

    def __init__(self, n, depth):
        hparams = draw_configurations("gru", n, 3, (20, 40))
        self.found = [{"hparams": h, "n_layers": depth or 2, "predicted_loss": 0.5} for h in hparams]

    def to_dict(self):
        return {"recommendations": self.found}


@pytest.mark.parametrize("depth", [None, 3])
def test_verify_trains_the_recommended_and_random_ones(tmp_path, monkeypatch, depth):
    import typer
    from rnn_warmstart.commands.train import verify

    asked = []

    def recommend(arch, task, params, *, depth=None, n=5, seed=0):
        asked.append((arch, task, params, depth, n))
        return Recommended(n, depth)

    monkeypatch.setattr(sys.modules["rnn_warmstart.recommend"], "recommend", recommend)
    app = typer.Typer()
    app.command()(verify)
    arguments = ["--arch", "gru", "--task", "rcf", "--params", "600", "--n", "2", "--random", "4", "--workers", "1"]
    arguments += ["--out", str(tmp_path), "--seeds", "1"] + (["--depth", str(depth)] if depth else [])
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert asked[-1] == ("gru", "rcf", 600.0, depth or 2, 2)
    assert f"gru on rcf, {depth or 2} layers, 600 parameters" in result.stdout
    assert "random ones better" in result.stdout and "4 random configurations" in " ".join(result.stdout.split())
    runs = RunFolder(tmp_path).collect()
    assert runs.groupby("source").size().to_dict() == {"trainer/random": 4, "trainer/recommended": 2}
    assert set(runs["n_layers"]) == {depth or 2}
