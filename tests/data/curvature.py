"""Writes curvature.json, the Hessians of two small networks as curvlinops and PyHessian see them: see README.md."""

import importlib.metadata
import json
from pathlib import Path

import numpy
import scipy
import torch
from curvlinops import HessianLinearOperator
from pyhessian import hessian as PyHessian
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)  # PyHessian draws its vectors in the default type


def network(sizes):
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)
    return net


def case(name, sizes, samples, batch_size):
    net = network(sizes)
    x = torch.randn(samples, sizes[0])
    y = torch.randint(sizes[-1], (samples,))
    loss = nn.CrossEntropyLoss()
    # The last batch is shorter than the others.
    batches = list(zip(x.split(batch_size), y.split(batch_size)))
    assert len(batches[-1][1]) not in (0, batch_size)
    parameters = list(net.parameters())
    size = sum(parameter.numel() for parameter in parameters)

    operator = HessianLinearOperator(net, loss, parameters, batches).to_scipy()
    eigenvalues = numpy.linalg.eigvalsh(operator @ numpy.eye(size))
    [largest] = scipy.sparse.linalg.eigsh(operator, k=1, which="LA", tol=1e-12, return_eigenvectors=False)
    [smallest] = scipy.sparse.linalg.eigsh(operator, k=1, which="SA", tol=1e-12, return_eigenvectors=False)
    v = torch.randn(size).numpy()
    product = operator @ v
    trace = sum((operator @ row)[i] for i, row in enumerate(numpy.eye(size)))

    power = PyHessian(net, loss, dataloader=batches, cuda=False)
    [dominant], _ = power.eigenvalues(maxIter=20000, tol=1e-14, top_n=1)
    probes = power.trace(maxIter=1000, tol=0.0)
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    return {
        "name": name,
        "sizes": sizes,
        "batch_size": batch_size,
        # PyTorch's layout, [outputs][inputs].
        "weights": [layer.weight.tolist() for layer in linear],
        "biases": [layer.bias.tolist() for layer in linear],
        "x": x.tolist(),
        "y": y.tolist(),
        "loss": loss(net(x), y).item(),
        "curvlinops": {
            "lambda_max": largest,
            "lambda_min": smallest,
            "trace": trace,
            "eigenvalues": eigenvalues.tolist(),
            # In the order of net.parameters(): weight and bias of each layer, row-major.
            "v": v.tolist(),
            "product": product.tolist(),
        },
        "pyhessian": {
            "lambda_max": dominant,
            "trace_mean": float(numpy.mean(probes)),
            "trace_standard_error": float(numpy.std(probes, ddof=1) / len(probes) ** 0.5),
        },
    }


versions = ["torch", "curvlinops-for-pytorch", "pyhessian", "numpy", "scipy"]
data = {
    "versions": {name: importlib.metadata.version(name) for name in versions},
    "cases": [
        case("two hidden layers", [4, 7, 5, 3], samples=30, batch_size=8),
        case("three layers", [3, 6, 4], samples=22, batch_size=6),
    ],
}
for made in data["cases"]:
    print(made["name"], made["loss"], made["curvlinops"]["lambda_max"], made["curvlinops"]["lambda_min"], made["curvlinops"]["trace"])
    print("  PyHessian", made["pyhessian"])
(Path(__file__).parent / "curvature.json").write_text(json.dumps(data) + "\n", encoding="utf-8")
