"""Writes operators.json, dense curvature matrices of the networks of curvature.json by JAX: see README.md."""

import importlib.metadata
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy

jax.config.update("jax_enable_x64", True)
FOLDER = Path(__file__).parent


def case(of):
    sizes, x, y = of["sizes"], jnp.array(of["x"]), jnp.array(of["y"])
    samples, v = len(y), jnp.array(of["curvlinops"]["v"])
    # In the order of net.parameters(): weight [outputs][inputs] and bias of each layer, row-major.
    theta, ends = [], [0]
    for weight, bias in zip(of["weights"], of["biases"]):
        theta += [*numpy.ravel(weight), *bias]
        ends.append(len(theta))
    theta = jnp.array(theta)

    def logits(theta, x):
        start = 0
        for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:])):
            weight = theta[start : start + inputs * outputs].reshape(outputs, inputs)
            start += inputs * outputs
            x = weight @ (jnp.tanh(x) if layer else x) + theta[start : start + outputs]
            start += outputs
        return x

    def sample_loss(theta, x, y):
        return -jax.nn.log_softmax(logits(theta, x))[y]

    def loss(theta):
        return jax.vmap(sample_loss, (None, 0, 0))(theta, x, y).mean()

    hessian = jax.hessian(loss)(theta)
    assert jnp.abs(hessian @ v - jnp.array(of["curvlinops"]["product"])).max() < 1e-12

    # The losses as functions of the logits o; for these ∇² does not depend on the targets.
    of_logits = {
        "softmax": lambda o: jax.nn.logsumexp(o),
        "sigmoid": lambda o: jax.nn.softplus(o).mean(),
        "mse": lambda o: (o**2).mean(),
    }
    jacobians = jax.vmap(jax.jacobian(logits), (None, 0))(theta, x)
    outputs = jax.vmap(logits, (None, 0))(theta, x)
    gauss_newton = {}
    for name, function in of_logits.items():
        curvatures = jax.vmap(jax.hessian(function))(outputs)
        matrix = jnp.einsum("nki,nkl,nlj->ij", jacobians, curvatures, jacobians) / samples
        gauss_newton[name] = matrix
    gradients = jax.vmap(jax.grad(sample_loss), (None, 0, 0))(theta, x, y)
    empirical = gradients.T @ gradients / samples

    def described(matrix):
        return {
            "eigenvalues": numpy.linalg.eigvalsh(matrix).tolist(),
            "trace": float(jnp.trace(matrix)),
            "frobenius_squared": float((matrix**2).sum()),
        }

    def operator(matrix):
        return {**described(matrix), "product": (matrix @ v).tolist()}

    blocks = [hessian[a:b, a:b] for a, b in zip(ends[:-1], ends[1:])]
    return {
        "name": of["name"],
        "gauss_newton": {name: operator(matrix) for name, matrix in gauss_newton.items()},
        "empirical_fisher": operator(empirical),
        "hessian": {**described(hessian), "diagonal": jnp.diag(hessian).tolist()},
        "layers": [described(block) for block in blocks],
    }


cases = json.loads((FOLDER / "curvature.json").read_text(encoding="utf-8"))["cases"]
data = {
    "versions": {name: importlib.metadata.version(name) for name in ["jax", "numpy"]},
    "cases": [case(of) for of in cases],
}
(FOLDER / "operators.json").write_text(json.dumps(data) + "\n", encoding="utf-8")
