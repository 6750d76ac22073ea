"""Figure 6-18 on MNIST itself: end points of the chapter's curves, over three seeds.

The chapter has one run of each curve. The tolerances are 2.5 standard deviations of the
difference between one run and the mean of three, measured over twelve seeds.
"""

import needs
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bnsweep.data.datasets import mnist
from bnsweep.nn.network import mlp
from bnsweep.nn.optimizers import SGD
from bnsweep.nn.training import train
from bnsweep.run.execute import Draws

pytestmark = needs.mnist

SCALES = np.logspace(0, -4, 16)
LAST = 19  # the chapter's twentieth point is held against the network after 19 epochs

# Index of the scale, training accuracy at the end of the published curve, tolerance.
WITH_BATCH_NORM = [
    (0, 0.43, 0.11),
    (2, 0.61, 0.11),
    (4, 0.87, 0.05),
    (6, 0.986, 0.01),
    (9, 0.999, 0.005),
    (15, 0.44, 0.15),
]
WITHOUT = [(2, 0.988, 0.045), (3, 0.874, 0.065), (4, 0.306, 0.15), (6, 0.117, 0.002)]


@pytest.fixture(scope="module")
def dataset():
    return mnist(train_size=1000, test_size=1, root=str(needs.mnist_folder()))


def accuracy(dataset, scale, *, batch_norm, epochs=LAST):
    """Return the training accuracy after so many epochs, averaged over three seeds."""
    ends = []
    for seed in range(3):
        draws = Draws.of(seed)
        network = mlp(
            [100] * 5,
            batch_norm=batch_norm,
            inputs=dataset.features,
            classes=dataset.classes,
            weight_std=float(SCALES[scale]),
            rng=draws.weights,
            dropout_rng=draws.dropout,
        )
        training = train(
            network,
            SGD(lr=0.01),
            dataset,
            epochs=epochs,
            batch_size=100,
            sampling="replacement",
            rng=draws.minibatches,
        )
        with threadpool_limits(limits=1, user_api="blas"):
            *_, last = training
        ends.append(last["train_accuracy"])
    return np.mean(ends)


@pytest.mark.parametrize(("scale", "published", "tolerance"), WITH_BATCH_NORM)
def test_with_batch_normalization_every_scale_learns_as_published(
    dataset, scale, published, tolerance
):
    assert abs(accuracy(dataset, scale, batch_norm=True) - published) <= tolerance


@pytest.mark.parametrize(("scale", "published", "tolerance"), WITHOUT)
def test_without_it_two_scales_learn_and_one_begins_to(dataset, scale, published, tolerance):
    assert abs(accuracy(dataset, scale, batch_norm=False) - published) <= tolerance


def test_with_it_a_small_scale_learns_from_the_first_epochs_on(dataset):
    # If the running variance started at one, it would still be at chance.
    assert accuracy(dataset, 11, batch_norm=True, epochs=5) > 0.5


@pytest.mark.parametrize("scale", [0, 1])
def test_without_it_the_largest_scales_diverge_or_die(dataset, scale):
    assert accuracy(dataset, scale, batch_norm=False) < 0.12
