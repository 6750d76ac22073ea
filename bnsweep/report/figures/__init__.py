"""The figures of a run and of a sweep: no other package imports matplotlib.

Each is a function from results to a `matplotlib.figure.Figure`, or to None where it does not apply.
"""

from bnsweep.report.figures.distributions import activations
from bnsweep.report.figures.over_epochs import curves, generalization_gap
from bnsweep.report.figures.over_values import epochs_to_target, final_accuracy
from bnsweep.report.figures.single_run import activation_distributions, learning_curves
from bnsweep.report.figures.style import STYLES, applied

__all__ = [
    "STYLES",
    "activation_distributions",
    "activations",
    "applied",
    "curves",
    "epochs_to_target",
    "final_accuracy",
    "generalization_gap",
    "learning_curves",
]
