"""A run of benchmarks/training.py in PyTorch, eager, on one thread."""

from itertools import pairwise
from typing import Any

import torch
from torch import nn


def run(
    dataset: Any,
    sizes: list[int],
    *,
    batch_norm: bool,
    epochs: int,
    steps: int,
    batch: int,
    std: float,
    lr: float,
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = network(sizes, batch_norm=batch_norm, std=std)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    train = torch.tensor(dataset.x_train), torch.tensor(dataset.y_train)
    test = torch.tensor(dataset.x_test), torch.tensor(dataset.y_test)
    for epoch in range(epochs + 1):
        model.train()
        for _ in range(steps if epoch else 0):
            drawn = torch.randint(len(train[0]), (batch,))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(train[0][drawn]), train[1][drawn])
            loss.backward()
            optimizer.step()
        model.eval()
        for x, labels in (train, test):
            evaluate(model, x, labels)


def network(sizes: list[int], *, batch_norm: bool, std: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        hidden = outputs != sizes[-1]
        layers.append(nn.Linear(inputs, outputs, bias=not (batch_norm and hidden)))
        nn.init.normal_(layers[-1].weight, std=std)
        if hidden:
            layers += [nn.BatchNorm1d(outputs)] * batch_norm + [nn.ReLU()]
    return nn.Sequential(*layers)


@torch.no_grad()
def evaluate(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    logits = model(x)
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return float(nn.functional.cross_entropy(logits, labels)), float(accuracy)
