"""JAX: λ_sup of the loss Hessian by automatic differentiation, and its gradient by the same again, compiled; or λ_sup by
the closed form's sums over pairs of samples, and only its gradient by automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np

import protocol

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


def split(theta, widths):
    """The layers' weights and biases."""
    layers, at = [], 0
    for inputs, outputs in zip(widths, widths[1:]):
        weight = theta[at : at + outputs * inputs].reshape(outputs, inputs)
        at += outputs * inputs
        layers.append((weight, theta[at : at + outputs]))
        at += outputs
    return layers


def moments_by_pairs(theta, widths, x, y):
    """tr H and ‖H‖² of a tanh network with a softmax cross-entropy, by the formulas that our Gram evaluation has."""
    layers = split(theta, widths)
    samples, depth = len(x), len(layers)
    a, slopes, bends = [x], [], []
    for l, (weight, bias) in enumerate(layers):
        z = a[-1] @ weight.T + bias
        if l + 1 < depth:
            t = jnp.tanh(z)
            a.append(t)
            slopes.append(1 - t**2)
            bends.append(-2 * t * (1 - t**2))
    p = jax.nn.softmax(z)
    curvature = (jax.vmap(jnp.diag)(p) - p[:, :, None] * p[:, None, :]) / samples
    deltas, c = [(p - jax.nn.one_hot(y, widths[-1])) / samples], []
    for l in reversed(range(depth - 1)):
        u = deltas[0] @ layers[l + 1][0]
        deltas.insert(0, slopes[l] * u)
        c.insert(0, bends[l] * u)
    inner = [v @ v.T + 1 for v in a]
    trace, square = 0.0, 0.0
    for l in range(depth):
        # ∂z_k/∂z_l and ∂a_k/∂z_l upward, ∂δ_k/∂z_l downward: samples × components × seeds.
        j, tangents = {l: jnp.broadcast_to(jnp.eye(widths[l + 1]), (samples, widths[l + 1], widths[l + 1]))}, {}
        for k in range(l, depth - 1):
            tangents[k] = slopes[k][:, :, None] * j[k]
            j[k + 1] = jnp.einsum("ic,ncj->nij", layers[k + 1][0], tangents[k])
        q = {depth - 1: curvature @ j[depth - 1]}
        for k in reversed(range(l, depth - 1)):
            u = jnp.einsum("ic,nij->ncj", layers[k + 1][0], q[k + 1])
            q[k] = slopes[k][:, :, None] * u + c[k][:, :, None] * j[k]
        trace += jnp.sum(jnp.trace(q[l], axis1=1, axis2=2) * jnp.diag(inner[l]))
        flat = {k: v.reshape(samples, -1) for k, v in q.items()}
        square += jnp.sum(flat[l] @ flat[l].T * inner[l] ** 2)
        for k in range(l + 1, depth):
            t = jnp.einsum("nij,mi->nmj", q[k], deltas[k])
            v = jnp.einsum("mcj,nc->nmj", tangents[k - 1], a[k])
            coupled = jnp.sum(t * v, axis=2)
            of_tangents = tangents[k - 1].reshape(samples, -1)
            pairs = flat[k] @ flat[k].T * inner[k] + coupled + coupled.T
            pairs += deltas[k] @ deltas[k].T * (of_tangents @ of_tangents.T)
            square += 2 * jnp.sum(pairs * inner[l])
    return trace, square


def make(method, problem):
    *widths, n = problem["sizes"]
    theta = jnp.array(problem["theta"])
    x = jnp.array(problem["inputs"]).reshape(n, widths[0])
    y = jnp.array(problem["labels"])
    parameters = theta.size

    def loss(theta):
        layers = split(theta, widths)
        a = x
        for weight, bias in layers[:-1]:
            a = jnp.tanh(a @ weight.T + bias)
        logits = a @ layers[-1][0].T + layers[-1][1]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(n), y])

    def lambda_sup(theta):
        if method == "pairs":
            trace, square = moments_by_pairs(theta, widths, x, y)
        else:
            hessian = jax.hessian(loss)(theta)
            trace, square = jnp.trace(hessian), jnp.sum(hessian**2)
        mean = trace / parameters
        variance = square / parameters - mean**2
        return mean + jnp.sqrt(variance * (parameters - 1))

    if method in ["autodiff", "pairs"]:
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
