"""Writes steps.json, the steps of SAM's family on a small network, from the papers' formulas: see README.md."""

import json
from pathlib import Path

import numpy as np

SIZES = [3, 4, 2]
RATE = 0.1
MOMENTUM = 0.5
STEPS = 7
ETA = 0.02  # of ASAM's T


def split(theta):
    """The weights [inputs, outputs] and biases of each layer, as Burn has them."""
    at, layers = 0, []
    for inputs, outputs in zip(SIZES[:-1], SIZES[1:]):
        weight = theta[at : at + inputs * outputs].reshape(inputs, outputs)
        at += inputs * outputs
        layers.append((weight, theta[at : at + outputs]))
        at += outputs
    return layers


def is_weight():
    return np.concatenate(
        [np.concatenate([np.ones(i * o, bool), np.zeros(o, bool)]) for i, o in zip(SIZES[:-1], SIZES[1:])]
    )


def loss_and_gradient(theta, x, y):
    """The mean softmax cross-entropy of a tanh network. Analytic in θ, so that θ can be complex."""
    (w1, b1), (w2, b2) = split(theta)
    a = np.tanh(x @ w1 + b1)
    z = a @ w2 + b2
    exp = np.exp(z)
    p = exp / exp.sum(axis=1, keepdims=True)
    n = len(y)
    loss = -np.log(p[np.arange(n), y]).mean()
    r = p.copy()
    r[np.arange(n), y] -= 1.0
    r /= n
    d = (r @ w2.T) * (1.0 - a * a)
    parts = [(x.T @ d).ravel(), d.sum(axis=0), (a.T @ r).ravel(), r.sum(axis=0)]
    return loss, np.concatenate(parts)


def hessian(theta, x, y):
    """Complex steps of the gradient: exact to rounding."""
    step = 1e-30
    rows = []
    for i in range(len(theta)):
        there = theta.astype(complex)
        there[i] += 1j * step
        rows.append(loss_and_gradient(there, x, y)[1].imag / step)
    return np.array(rows)


def ascent(theta, along, rho, adaptive=False, within=None):
    t = np.where(is_weight(), np.abs(theta) + ETA, 1.0) if adaptive else 1.0
    along = along if within is None else np.where(within, along, 0.0)
    return rho * t * t * along / np.linalg.norm(t * along)


class Problem:
    def __init__(self, batches):
        self.batches = batches

    def at(self, theta, step):
        return loss_and_gradient(theta, *self.batches[step % len(self.batches)])

    def hessian(self, theta, step):
        return hessian(theta, *self.batches[step % len(self.batches)])


# A method: (problem, theta, step, rate, state) -> (losses, gradient, what is subtracted beside it times the rate).


def sam(problem, theta, step, rate, state, rho, adaptive=False, within=None, from_step=0):
    loss, g = problem.at(theta, step)
    if step < from_step:
        return [loss, None], g, None
    loss_e, g_e = problem.at(theta + ascent(theta, g, rho, adaptive, within), step)
    return [loss, loss_e], g_e, None


def gsam(problem, theta, step, rate, state, rho, alpha, adaptive=False, follow=None):
    if follow is not None:
        rho_min, rate_max, rate_min = follow
        rho = rho_min + (rho - rho_min) * (rate - rate_min) / (rate_max - rate_min)
    loss, g = problem.at(theta, step)
    loss_e, g_e = problem.at(theta + ascent(theta, g, rho, adaptive), step)
    parallel = (g @ g_e) / (g_e @ g_e) * g_e
    return [loss, loss_e], g_e - alpha * (g - parallel), None


def friendly(problem, theta, step, rate, state, rho, sigma, decay):
    loss, g = problem.at(theta, step)
    state["m"] = decay * state.get("m", np.zeros_like(g)) + (1.0 - decay) * g
    loss_e, g_e = problem.at(theta + ascent(theta, g - sigma * state["m"], rho), step)
    return [loss, loss_e], g_e, None


def look(problem, theta, step, rate, state, rho, interval, alpha):
    loss, g = problem.at(theta, step)
    if step % interval != 0:
        v = state["v"]
        return [loss, None], g + alpha * np.linalg.norm(g) / np.linalg.norm(v) * v, None
    loss_e, g_e = problem.at(theta + ascent(theta, g, rho), step)
    cosine = (g @ g_e) / (np.linalg.norm(g) * np.linalg.norm(g_e))
    state["v"] = g_e - np.linalg.norm(g_e) * cosine * g / np.linalg.norm(g)
    return [loss, loss_e], g_e, None


def weighted(problem, theta, step, rate, state, rho, gamma, decoupled):
    loss, g = problem.at(theta, step)
    loss_e, g_e = problem.at(theta + ascent(theta, g, rho), step)
    w = gamma / (1.0 - gamma)
    if decoupled:
        return [loss, loss_e], g, w * (g_e - g)
    return [loss, loss_e], (1.0 - w) * g + w * g_e, None


def eigen(problem, theta, step, rate, state, rho, alpha, interval):
    loss, g = problem.at(theta, step)
    if step % interval == 0:
        state["v"] = np.linalg.eigh(problem.hessian(theta, step))[1][:, -1]
    v, unit = state["v"], g / np.linalg.norm(g)
    e = rho * (unit + alpha * np.sign(g @ v) * (v - (unit @ v) * unit))
    loss_e, g_e = problem.at(theta + e, step)
    return [loss, loss_e], g_e, None


def run(name, method, problem, theta, rates=None, **options):
    theta, velocity, state, steps = theta.copy(), None, {}, []
    for step in range(STEPS):
        rate = RATE if rates is None else rates[step]
        losses, gradient, beside = method(problem, theta, step, rate, state, **options)
        velocity = gradient if velocity is None else MOMENTUM * velocity + gradient
        theta = theta - rate * velocity
        if beside is not None:
            theta = theta - rate * beside
        steps.append({"rate": rate, "losses": losses, "theta": theta.tolist()})
    return {"name": name, "steps": steps}


def main():
    random = np.random.default_rng(0)
    size = sum((i + 1) * o for i, o in zip(SIZES[:-1], SIZES[1:]))
    theta = random.normal(size=size)
    x = random.normal(size=(8, SIZES[0]))
    y = random.integers(SIZES[-1], size=8)
    # Two batches in turn: Friendly-SAM needs gradients that differ.
    problem = Problem([(x[:5], y[:5]), (x[5:], y[5:])])
    rates = [0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01]
    half = problem.at(theta, 0)[1]
    difference = (problem.at(theta + 1e-6 * half, 0)[0] - problem.at(theta - 1e-6 * half, 0)[0]) / 2e-6
    assert abs(difference / (half @ half) - 1.0) < 1e-8
    cases = [
        run("sam", sam, problem, theta, rho=0.3),
        run("asam", sam, problem, theta, rho=0.3, adaptive=True),
        run("sam-late", sam, problem, theta, rho=0.3, from_step=3),
        run("sam-weights", sam, problem, theta, rho=0.3, within=is_weight()),
        run("gsam", gsam, problem, theta, rho=0.3, alpha=0.4),
        run("gsam-adaptive", gsam, problem, theta, rho=0.3, alpha=0.4, adaptive=True),
        run("gsam-follow", gsam, problem, theta, rates, rho=0.3, alpha=0.4, follow=(0.05, 0.1, 0.01)),
        run("friendly", friendly, problem, theta, rho=0.3, sigma=1.0, decay=0.6),
        run("friendly-half", friendly, problem, theta, rho=0.3, sigma=0.5, decay=0.9),
        run("looksam", look, problem, theta, rho=0.3, interval=3, alpha=0.7),
        run("wsam", weighted, problem, theta, rho=0.3, gamma=0.7, decoupled=True),
        run("wsam-coupled", weighted, problem, theta, rho=0.3, gamma=0.7, decoupled=False),
        run("eigen-sam", eigen, problem, theta, rho=0.3, alpha=0.5, interval=2),
    ]
    data = {
        "numpy": np.__version__,
        "sizes": SIZES,
        "momentum": MOMENTUM,
        "batches": [5, 3],
        "x": x.ravel().tolist(),
        "y": y.tolist(),
        "theta": theta.tolist(),
        "cases": cases,
    }
    path = Path(__file__).with_name("steps.json")
    path.write_text(json.dumps(data, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
