"""JAX: λ_sup of the loss Hessian by automatic differentiation, and its gradient by the same again, compiled."""

import jax
import jax.numpy as jnp
import numpy as np

import protocol

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


def make(method, problem):
    d, h, k, n = problem["sizes"]
    theta = jnp.array(problem["theta"])
    x = jnp.array(problem["inputs"]).reshape(n, d)
    y = jnp.array(problem["labels"])
    parameters = theta.size

    def loss(theta):
        w1, b1, w2, b2 = jnp.split(theta, np.cumsum([h * d, h, k * h]))
        logits = jnp.tanh(x @ w1.reshape(h, d).T + b1) @ w2.reshape(k, h).T + b2
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(n), y])

    def lambda_sup(theta):
        hessian = jax.hessian(loss)(theta)
        mean = jnp.trace(hessian) / parameters
        variance = jnp.sum(hessian**2) / parameters - mean**2
        return mean + jnp.sqrt(variance * (parameters - 1))

    if method == "autodiff":
        function = jax.jit(jax.value_and_grad(lambda_sup))

        def run():
            return jax.block_until_ready(function(theta))

        def told():
            value, gradient = run()
            return {"lambda_sup": float(value), "gradient": gradient.tolist()}

        return run, told

    # Central differences: two values of λ_sup for each of the first `coordinates` parameters, one compiled call each.
    coordinates = int(problem["coordinates"])
    value = jax.jit(lambda_sup)
    # The step that balances rounding against the third derivative.
    step = float(np.finfo(np.float64).eps ** (1 / 3))
    shifts = [step * row for row in jnp.eye(coordinates, parameters)]
    shifted = [(theta + shift, theta - shift) for shift in shifts]

    def run():
        values = [(value(up), value(down)) for up, down in shifted]
        return jax.block_until_ready(values)

    def told():
        gradient = [float(up - down) / (2 * step) for up, down in run()]
        return {"lambda_sup": float(value(theta)), "gradient": gradient}

    return run, told


if __name__ == "__main__":
    protocol.serve(f"JAX {jax.__version__}", make)
