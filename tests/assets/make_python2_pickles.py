# ruff: noqa  (Python 2.7)
"""Write python2_protocol{0,1,2}.p beside this file: a small member of the original archive, from a real Python 2.

Run with Python 2.7 and NumPy 1.16: ``python2 make_python2_pickles.py``. Its rows hold what such files may hold: text as
bytes, as unicode and as NumPy strings, non-ASCII bytes in UTF-8 and Latin-1, int, long, float and NumPy scalars, None,
NaN, infinities and absurd losses, hyperparameters that are absent or None. The first row is the one that the data set's
own README prints.
"""

from __future__ import absolute_import, division, print_function

import os

import numpy as np

try:
    import cPickle as pickle
except ImportError:
    raise SystemExit("This script is for Python 2.7, whose pickles it makes.")

DTYPE = [
    ("architecture", "S8"),
    ("eval_loss", "f8"),
    ("hparams", "O"),
    ("max_params", "i8"),
    ("n_layers", "i8"),
    ("num_params", "O"),
    ("task_type", "O"),
    ("train_loss", "O"),
    ("valid_loss", "f4"),
    ("hyper_iter", "i8"),
]

README = {
    "recurrent_bias_scale_o": 1.2967042923,
    "recurrent_bias_scale_i": -0.250855892897,
    "recurrent_bias_scale_g": 0.631270706654,
    "recurrent_bias_scale_c": -1.62440180779,
    "input_scale_c": 0.209308668971,
    "input_scale_g": 0.222167253494,
    "input_scale_i": 1.20329034328,
    "input_scale_o": 0.407466441393,
    "optimizer_logit_momentum": 5.89666414261,
    "recurrent_matrix_init_type": "orthogonal",
    "lr_decay_rate": 0.108852244914,
    "train_steps": 1176212,
    "forget_gate_bias_hack": 4.88674783707,
    "recurrent_bias_init_type": "delta",
    "lr_init": 0.00398490205407,
    "optimizer": "RMSProp",
    "gradient_clip_val": 27.6603736877,
    "recurrent_matrix_scale_g": 0.035970274359,
    "recurrent_matrix_scale_c": 0.619497835636,
    "recurrent_matrix_scale_o": 0.0714097246528,
    "recurrent_matrix_scale_i": 0.520125091076,
    "l2_decay": 1.79227910735e-07,
}


def gru(**more):
    """Return a small configuration; the keyword arguments replace or add."""
    return dict({"lr_init": 0.01, "train_steps": 50000, "optimizer": "Adam", "forget_gate_bias_hack": None}, **more)


ROWS = [
    ("lstm", 1.549270, README, 1280000, 4, 1268217, "text8", 1.5, 1.55, 900),
    (
        "gru",
        1.6,
        gru(lr_init=np.float64(0.02), train_steps=np.int64(60000)),
        320000,
        2,
        319000,
        b"text8".decode("ascii"),
        1.5,
        1.6,
        3,
    ),
    ("gru", float("nan"), gru(optimizer=np.string_("SGD")), 320000, 2, None, np.string_("text8"), None, 2.5, 4),
    (
        "gru",
        float("inf"),
        gru(optimizer=b"Adam".decode("ascii"), lr_init=1),
        320000,
        2,
        319000,
        "text8",
        float("-inf"),
        2.5,
        5,
    ),
    ("gru", 1e30, gru(note="na\xc3\xafve", other="na\xefve"), 320000, 2, 319000, "text8", 10**400, 2.5, 6),
    ("gru", 2.0, gru(train_steps=long(70000), lr_init=np.float32(0.5)), 320000, 2, 319000, "text8", 2, 2.5, 7),
]


def main():
    """Write the three files."""
    here = os.path.dirname(os.path.abspath(__file__))
    rows = np.array(ROWS, dtype=DTYPE)
    for protocol in (0, 1, 2):
        with open(os.path.join(here, "python2_protocol%d.p" % protocol), "wb") as file:
            pickle.dump(rows, file, protocol)


if __name__ == "__main__":
    main()
