"""Bad input gets an error of the right kind, with a text that names the layer, what was expected and what came."""

import math

import numpy as np
import pytest

import nn

ONES = np.ones((4, 3))
INDICES = np.array([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        # shapes
        (lambda: nn.Linear(64, 1)(np.ones((32, 10))), ValueError, r"Linear\(64, 1\) expects input of shape \(\.\.\., 64\), got \(32, 10\)"),
        (lambda: nn.Linear(2, 1)(1.0), ValueError, r"Linear\(2, 1\) expects input of shape \(\.\.\., 2\), got \(\)"),
        (lambda: nn.Linear(1, 1)(1.0), ValueError, r"got \(\)"),
        (lambda: nn.HalfSquaredLoss()([1.0, 2.0], [1.0, 2.0]), ValueError, r"HalfSquaredLoss\(\) expects shape \(N, \.\.\.\).*got \(2,\)"),
        (lambda: nn.MSELoss()(np.ones((4, 1)), np.ones(4)), ValueError, r"MSELoss\(\) expects a target shaped like the prediction, \(4, 1\), got \(4,\)"),
        (lambda: nn.HalfSquaredLoss()(np.ones((4, 1)), np.ones(4)), ValueError, r"\(4, 1\), got \(4,\)"),
        (lambda: nn.L1Loss()(np.ones(4), np.ones((4, 1))), ValueError, r"\(4,\), got \(4, 1\)"),
        (lambda: nn.HuberLoss()(np.ones((4, 1)), 1.0), ValueError, r"\(4, 1\), got \(\)"),
        (lambda: nn.BCEWithLogitsLoss()(np.ones((4, 1)), np.ones(4)), ValueError, r"\(4, 1\), got \(4,\)"),
        (lambda: nn.CrossEntropyLoss()(ONES, [[0], [1], [2], [0]]), ValueError, r"target of shape \(4,\) \(class indices\) or \(4, 3\).*got \(4, 1\)"),
        (lambda: nn.CrossEntropyLoss()(1.0, 0), ValueError, r"prediction of shape \(C,\)"),
        (lambda: nn.CrossEntropyLoss(weight=[1.0, 2.0])(ONES, INDICES), ValueError, r"prediction of 2 classes.*got shape \(4, 3\)"),
        (lambda: nn.BCEWithLogitsLoss(weight=[1.0, 2.0])(ONES, ONES), ValueError, r"broadcast to the prediction's shape \(4, 3\), got \(2,\)"),
        (lambda: nn.BCEWithLogitsLoss(pos_weight=np.ones((2, 4, 3)))(ONES, ONES), ValueError, r"broadcast.*got \(2, 4, 3\)"),
        (lambda: nn.Flatten()([1.0]), ValueError, r"Flatten\(\) expects an input that has these dimensions, got shape \(1,\)"),
        (lambda: nn.Flatten()(1.0), ValueError, r"got shape \(\)"),
        (lambda: nn.Flatten(0, 2)(ONES), ValueError, r"end_dim=2\) expects an input that has these dimensions, got shape \(4, 3\)"),
        (lambda: nn.Flatten(0, 3)(ONES), ValueError, "has these dimensions"),
        (lambda: nn.Flatten(0, -3)(ONES), ValueError, "has these dimensions"),
        (lambda: nn.Flatten(2, 1)(np.ones((2, 2, 2))), ValueError, "start_dim before end_dim"),
        (lambda: nn.Softmax(2)(ONES), ValueError, r"Softmax\(dim=2\) expects an input that has dimension 2, got shape \(4, 3\)"),
        (lambda: nn.LogSoftmax(-3)(ONES), ValueError, "dimension -3"),
        (lambda: nn.LogSoftmax(1)([1.0, 2.0]), ValueError, r"LogSoftmax\(dim=1\) expects.* dimension 1, got shape \(2,\)"),
        (lambda: nn.ReLU()([[1.0], [1.0, 2.0]]), ValueError, r"ReLU\(\) expects input to be an array of real numbers"),
        # kinds
        (lambda: nn.Linear(2, 1)(np.ones((3, 2), complex)), TypeError, r"Linear\(2, 1\) expects input.*complex128"),
        (lambda: nn.ReLU()(np.array([None, 1.0])), TypeError, r"ReLU\(\) expects input.*object"),
        (lambda: nn.Tanh()(["a", "b"]), TypeError, r"Tanh\(\) expects input.*<U1"),
        (lambda: nn.ReLU()("text"), TypeError, "ReLU"),
        (lambda: nn.MSELoss()([1.0], ["a"]), TypeError, r"MSELoss\(\) expects target"),
        (lambda: nn.CrossEntropyLoss()(ONES, INDICES.astype(float)), TypeError, "target to be indices of an integer dtype, got float64"),
        (lambda: nn.CrossEntropyLoss()(ONES, INDICES > 0), TypeError, "target to be indices of an integer dtype, got bool"),
        (lambda: nn.CrossEntropyLoss()(ONES, np.ones((4, 3), int)), TypeError, "class probabilities of a floating dtype, got int64"),
        (lambda: nn.Parameter(["a"]), TypeError, "real numbers"),
        (lambda: nn.Dropout(generator="seed"), TypeError, "generator expects"),
        # values
        (lambda: nn.CrossEntropyLoss()(ONES, [0, 1, 3, 0]), ValueError, r"CrossEntropyLoss\(\) expects target to be indices from 0 to 2, got 3"),
        (lambda: nn.CrossEntropyLoss()(ONES, [0, 1, -1, 0]), ValueError, "target to be indices from 0 to 2, got -1"),
        (lambda: nn.CrossEntropyLoss(ignore_index=0)(ONES, ONES / 3), ValueError, "cannot ignore an index"),
        # settings
        (lambda: nn.Linear(-1, 2), ValueError, "Linear expects in_features to be an integer of at least 0, got -1"),
        (lambda: nn.Linear(2, -1), ValueError, "Linear expects out_features to be an integer of at least 0, got -1"),
        (lambda: nn.Linear(2.5, 2), TypeError, "Linear expects in_features to be an integer of at least 0, got 2.5"),
        (lambda: nn.Linear(2, True), TypeError, "Linear expects out_features to be an integer of at least 0, got True"),
        (lambda: nn.Linear(2, np.True_), TypeError, "out_features to be an integer"),
        (lambda: nn.Linear(2, 3, 4), TypeError, "Linear expects bias to be True or False, got 4"),
        (lambda: nn.Linear(2, 3, dtype=int), TypeError, "Linear expects dtype to be a floating dtype, got <class 'int'>"),
        (lambda: nn.Linear(2, 3, dtype="single precision"), TypeError, "Linear expects dtype to be a floating dtype"),
        (lambda: nn.LeakyReLU("steep"), TypeError, "LeakyReLU expects negative_slope to be a number, got 'steep'"),
        (lambda: nn.LeakyReLU(math.nan), ValueError, "LeakyReLU expects negative_slope to be a number, got nan"),
        (lambda: nn.LeakyReLU(True), TypeError, "got True"),
        (lambda: nn.LeakyReLU([0.1]), TypeError, r"got \[0.1\]"),
        (lambda: nn.LeakyReLU(1j), TypeError, "got 1j"),
        (lambda: nn.Softplus(beta=None), TypeError, "Softplus expects beta to be a number, got None"),
        (lambda: nn.Softplus(threshold=np.float32("nan")), ValueError, "Softplus expects threshold to be a number, got"),
        (lambda: nn.Softmax(dim=1.0), TypeError, "Softmax expects dim to be an integer, got 1.0"),
        (lambda: nn.LogSoftmax(dim="last"), TypeError, "LogSoftmax expects dim to be an integer, got 'last'"),
        (lambda: nn.Flatten(1.0), TypeError, "Flatten expects start_dim to be an integer, got 1.0"),
        (lambda: nn.Flatten(end_dim=False), TypeError, "Flatten expects end_dim to be an integer, got False"),
        (lambda: nn.JoinTable(None), TypeError, "JoinTable expects dim to be an integer, got None"),
        (lambda: nn.Dropout(math.nan), ValueError, "got nan"),
        (lambda: nn.Dropout("0.5"), TypeError, "Dropout expects p to be a number of at least 0 and at most 1, got '0.5'"),
        (lambda: nn.HuberLoss(delta=math.nan), ValueError, "got nan"),
        (lambda: nn.MSELoss(None), TypeError, "MSELoss expects reduction to be 'none', 'mean' or 'sum', got None"),
        (lambda: nn.CrossEntropyLoss(ignore_index=1.0), TypeError, "CrossEntropyLoss expects ignore_index to be an integer, got 1.0"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=None), TypeError, "label_smoothing to be a number"),
        (lambda: nn.ReLU().train("yes"), TypeError, "ReLU expects mode to be True or False, got 'yes'"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout expects p to be a number of at least 0 and at most 1, got 1.5"),
        (lambda: nn.Dropout(-0.1), ValueError, "got -0.1"),
        (lambda: nn.HuberLoss(delta=0), ValueError, "HuberLoss expects delta to be a number above 0, got 0"),
        (lambda: nn.MSELoss("avg"), ValueError, "MSELoss expects reduction to be 'none', 'mean' or 'sum', got 'avg'"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=-0.5), ValueError, "CrossEntropyLoss expects label_smoothing to be a number of at least 0 and at most 1, got -0.5"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing to be a number of at least 0 and at most 1, got 1.5"),
        (lambda: nn.CrossEntropyLoss(weight=2.0), ValueError, r"weight of shape \(C,\), got \(\)"),
        (lambda: nn.CrossEntropyLoss(weight=ONES), ValueError, r"weight of shape \(C,\), got \(4, 3\)"),
        (lambda: nn.init.xavier_normal_(nn.Parameter(ONES), 1.0, 0), TypeError, "positional argument"),
        (lambda: nn.Linear(1, 1, device="cpu"), TypeError, "Linear has no device: leave it out"),
        (lambda: nn.ReLU(inplace=True), TypeError, "ReLU has no inplace: leave it out"),
        (lambda: nn.set_rng_state({"bit_generator": "MT19937"}), ValueError, "state of PCG64"),
        (lambda: nn.init.kaiming_uniform_(nn.Parameter([1.0])), ValueError, r"kaiming_uniform_ expects a weight of at least two dimensions.*got shape \(1,\)"),
        (lambda: nn.init.kaiming_normal_(nn.Parameter(ONES), mode="fan"), ValueError, "kaiming_normal_ expects mode to be 'fan_in' or 'fan_out', got 'fan'"),
        (lambda: nn.init.kaiming_uniform_(nn.Parameter(ONES), a=True), TypeError, "kaiming_uniform_ expects a to be a number, got True"),
        (lambda: nn.init.xavier_uniform_(nn.Parameter(ONES), -1), ValueError, "xavier_uniform_ expects gain to be a number of at least 0 and below inf, got -1"),
        (lambda: nn.init.xavier_normal_(nn.Parameter(ONES), math.nan), ValueError, "xavier_normal_ expects gain .*, got nan"),
        (lambda: nn.init.uniform_(nn.Parameter(ONES), 1, 0), ValueError, "uniform_ expects b to be a number of at least 1.0 and below inf, got 0"),
        (lambda: nn.init.uniform_(nn.Parameter(ONES), 0, math.inf), ValueError, "uniform_ expects b .*, got inf"),
        (lambda: nn.init.uniform_(nn.Parameter(ONES), -math.inf, 0), ValueError, "uniform_ expects a to be a number above -inf, got -inf"),
        (lambda: nn.init.normal_(nn.Parameter(ONES), "0"), TypeError, "normal_ expects mean to be a number, got '0'"),
        (lambda: nn.init.calculate_gain("leaky_relu", "0.1"), TypeError, "calculate_gain expects param to be a number, got '0.1'"),
        (lambda: nn.init.calculate_gain("swish"), ValueError, "calculate_gain expects nonlinearity to be 'linear', .* or 'selu', got 'swish'"),
        (lambda: nn.init.normal_(nn.Parameter([1.0]), std=-1), ValueError, "normal_ expects std to be a number of at least 0, got -1"),
        # what is no Parameter, no array, no seed
        (lambda: nn.init.zeros_([1.0]), TypeError, "zeros_ expects a Parameter, such as layer.weight, got list"),
        (lambda: nn.init.ones_(np.ones(3)), TypeError, "ones_ expects a Parameter, such as layer.weight, got ndarray"),
        (lambda: nn.init.constant_(None, 1.0), TypeError, "constant_ expects a Parameter, .*, got NoneType"),
        (lambda: nn.init.constant_(nn.Parameter(ONES), "1"), TypeError, "constant_ expects value to be a number, got '1'"),
        (lambda: nn.init.uniform_("text"), TypeError, "uniform_ expects a Parameter, such as layer.weight, got str"),
        (lambda: nn.init.normal_(nn.Linear(1, 1)), TypeError, "normal_ expects a Parameter, such as layer.weight, got Linear"),
        (lambda: nn.init.xavier_uniform_(ONES), TypeError, "xavier_uniform_ expects a Parameter"),
        (lambda: nn.init.xavier_uniform_(nn.Parameter(ONES), math.inf), ValueError, "xavier_uniform_ expects gain .*, got inf"),
        (lambda: nn.init.xavier_normal_(ONES), TypeError, "xavier_normal_ expects a Parameter"),
        (lambda: nn.init.xavier_normal_(nn.Parameter([1.0])), ValueError, "xavier_normal_ expects a weight of at least two dimensions"),
        (lambda: nn.init.kaiming_normal_(ONES), TypeError, "kaiming_normal_ expects a Parameter"),
        (lambda: nn.init.kaiming_normal_(nn.Parameter(ONES), nonlinearity=1), TypeError, "kaiming_normal_ expects nonlinearity to be"),
        (lambda: nn.utils.clip_grad_norm_(np.ones(()), 1.0), TypeError, "clip_grad_norm_ expects a Parameter or several"),
        (lambda: nn.utils.clip_grad_norm_([1.0], 1.0), TypeError, "clip_grad_norm_ expects a Parameter, such as layer.weight, got float"),
        (lambda: nn.utils.clip_grad_norm_([], 1.0, error_if_nonfinite=ONES), TypeError, "error_if_nonfinite to be True or False"),
        (lambda: nn.utils.vector_to_parameters([[1.0], [1.0, 2.0]], []), ValueError, "vector_to_parameters expects vec to be an array"),
        (lambda: nn.utils.vector_to_parameters("text", []), TypeError, "vector_to_parameters expects vec to be an array of real"),
        (lambda: nn.CrossEntropyLoss()(ONES, [[0], [1, 2]]), ValueError, r"CrossEntropyLoss\(\) expects target to be class indices or"),
        (lambda: nn.Linear(1, 1).load_state_dict({"weight": [[1.0], [1.0, 2.0]]}), ValueError, r"Linear\(1, 1\) expects weight to be an array"),
        (lambda: nn.Linear(1, 1).load_state_dict({"weight": nn.Parameter([[1.0]])}), TypeError, r"Linear\(1, 1\) expects weight .* write \.data"),
        (lambda: nn.Linear(1, 1).load_state_dict([1.0]), TypeError, "Linear expects a state as a dict, got list"),
        (lambda: nn.Dropout(generator=True), TypeError, "generator expects .* or None, got True"),
        (lambda: nn.Dropout(generator=np.True_), TypeError, "generator expects"),
        (lambda: nn.Linear(1, 1, generator=-1), ValueError, "generator expects .* an integer seed of at least 0 or None, got -1"),
        (lambda: nn.manual_seed(True), TypeError, "manual_seed expects seed to be an integer of at least 0, got True"),
        (lambda: nn.manual_seed(-1), ValueError, "manual_seed expects seed to be an integer of at least 0, got -1"),
        (lambda: nn.manual_seed(1.5), TypeError, "manual_seed expects seed"),
        (lambda: nn.Linear(1, 2**70), ValueError, "Linear expects out_features to be .* that 64 bits can hold"),
        (lambda: nn.JoinTable(-(2**70)), ValueError, "JoinTable expects dim to be an integer that 64 bits can hold"),
        (lambda: nn.Residual({}), TypeError, "Residual expects modules, got {}"),
    ],
)  # fmt: skip
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_seed_may_be_of_any_size():
    state = nn.get_rng_state()
    assert nn.manual_seed(2**100).random() == np.random.default_rng(2**100).random()
    nn.set_rng_state(state)


def test_upstream_of_a_reduced_loss_is_one_number():
    loss = nn.MSELoss()
    loss([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"MSELoss\(\) expects grad_output of shape \(\), got \(2,\)"):
        loss.backward([1.0, 1.0])


def test_a_failed_forward_leaves_what_an_earlier_one_saved():
    layer = nn.Linear(2, 1)
    layer(np.ones((3, 2)))
    with pytest.raises(ValueError):
        layer(np.ones((3, 5)))
    assert layer.backward(np.ones((3, 1))).shape == (3, 2)
