import math
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from watching import watched

from bnsweep.hydra_inside import instantiate
from bnsweep.nn.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, Optimizer, RMSProp

ALL = [SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam]
each_optimizer = pytest.mark.parametrize("optimizer", ALL)


def walk(optimizer, gradients, *, start=1.0, n_weights=0):
    """Return w after each of `gradients`."""
    w = np.array([start])
    optimizer.start(w)
    path = []
    for g in gradients:
        optimizer.update(w, np.array([g]), n_weights=n_weights)
        path.append(float(w[0]))
    return path


@pytest.mark.parametrize(
    ("optimizer", "first", "second"),
    [  # two steps from w = 1 with gradients 2 and -1, each worked out by hand
        (SGD(lr=0.1), 0.8, 0.9),
        (Momentum(lr=0.1, momentum=0.5), 0.8, 0.8),  # v = 2, then 0.5 * 2 - 1 = 0
        (Nesterov(lr=0.1, momentum=0.5), 0.7, 0.8),  # 2 + 0.5 * 2, then -1 + 0.5 * 0
        (AdaGrad(lr=0.1, eps=1e-8), 0.9, 0.9 + 0.1 / math.sqrt(5)),
        (
            RMSProp(lr=0.1, decay=0.75, eps=1e-8),  # h = 1, then 0.75 + 0.25
            0.8,
            0.9,
        ),
        (
            Adam(lr=0.1, beta1=0.5, beta2=0.75, eps=1e-8),  # m = 1, 0; v = 1, 1
            0.9,
            0.9,
        ),
    ],
)
def test_the_first_steps_are_those_of_the_equation(optimizer, first, second):
    assert walk(optimizer, [2.0, -1.0]) == pytest.approx([first, second], rel=1e-7)


@each_optimizer
def test_weight_decay_is_the_l2_term_of_the_weights_only(optimizer):
    decay, g = 0.3, 0.5
    decayed = walk(optimizer(lr=0.1, weight_decay=decay), [g], n_weights=1)
    left_alone = walk(optimizer(lr=0.1, weight_decay=decay), [g], n_weights=0)
    assert decayed == walk(optimizer(lr=0.1), [g + decay * 1.0])
    assert left_alone == walk(optimizer(lr=0.1), [g])


def test_weight_decay_is_added_to_the_gradient_of_the_first_n_weights():
    w, g = np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4)
    SGD(lr=0.5, weight_decay=0.1).update(w, g, n_weights=2)
    np.testing.assert_allclose(w, [0.95, 1.9, 3, 4], rtol=1e-15)


@each_optimizer
def test_the_default_arguments_are_those_of_the_configuration(optimizer):
    name = f"{optimizer.__name__.lower()}.yaml"
    config = OmegaConf.load(Path(__file__).parents[2] / "conf" / "optimizer" / name)
    configured = instantiate(config)
    assert type(configured) is optimizer
    assert vars(configured) == vars(optimizer(lr=config.lr))


@each_optimizer
def test_start_forgets_what_went_before(optimizer):
    used = optimizer(lr=0.1)
    first = walk(used, [2.0, -1.0, 0.5])
    assert walk(used, [2.0, -1.0, 0.5]) == first


@each_optimizer
def test_float32_is_kept(optimizer):
    optimizer = optimizer(lr=0.1, weight_decay=0.1)
    w, seen = watched(np.ones(4, "float32"))
    g, seen_of_g = watched(np.full(4, 0.5, "float32"))
    optimizer.start(w)
    for _ in range(2):
        optimizer.update(w, g.copy(), n_weights=2)
    remembered = [value for value in vars(optimizer).values() if isinstance(value, np.ndarray)]
    assert seen | seen_of_g | {array.dtype.name for array in [w, *remembered]} == {"float32"}


@each_optimizer
def test_a_long_walk_down_a_slope_arrives(optimizer):
    w = np.array([1.0, -2.0])
    optimizer = optimizer(lr=0.05)
    optimizer.start(w)
    for _ in range(1500):
        optimizer.update(w, 2 * w, n_weights=0)  # the gradient of w^2
    np.testing.assert_allclose(w, 0, atol=0.06)


def test_a_new_optimizer_needs_only_a_step():
    class Sign(Optimizer):
        def step(self, w, g):
            w -= self.lr * np.sign(g)

    assert walk(Sign(lr=0.25), [3.0, -7.0, 3.0]) == [0.75, 1.0, 0.75]
    with pytest.raises(ValueError, match=r"optimizer\.lr=0: must be"):
        Sign(lr=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=-1), "lr=-1"),
        (lambda: SGD(lr=math.nan), "lr=nan"),
        (lambda: SGD(lr=math.inf), "lr=inf"),
        (lambda: SGD(lr=1, weight_decay=-0.1), "weight_decay=-0.1"),
        (lambda: Momentum(lr=1, momentum=1), "momentum=1"),
        (lambda: AdaGrad(lr=1, eps=0), "eps=0"),
        (lambda: Adam(lr=1, eps=0), "eps=0"),
        (lambda: RMSProp(lr=1, decay=1.5), "decay=1.5"),
        (lambda: Adam(lr=1, beta1=-0.1), "beta1=-0.1"),
        (lambda: Adam(lr=1, beta2=math.nan), "beta2=nan"),
    ],
)
def test_an_argument_out_of_bounds_is_refused(make, message):
    with pytest.raises(ValueError, match=f"optimizer.{message}: must be a finite number"):
        make()
