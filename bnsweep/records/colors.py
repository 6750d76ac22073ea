"""The colour of each model, the same in every figure and in the tracking store.

They are of Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

MODEL_COLORS = {"batchnorm": "#0072B2", "plain": "#D55E00", "dropout": "#009E73"}
