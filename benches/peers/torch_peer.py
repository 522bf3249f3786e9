"""PyTorch: λ_sup of the loss Hessian by torch.func.hessian, and its gradient by torch.func.grad_and_value."""

import warnings

warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402

import protocol  # noqa: E402


def make(_, problem):
    d, h, k, n = problem["sizes"]
    theta = torch.tensor(problem["theta"], dtype=torch.float64)
    x = torch.tensor(problem["inputs"], dtype=torch.float64).reshape(n, d)
    y = torch.tensor(problem["labels"])
    parameters = theta.numel()

    def loss(theta):
        w1, b1, w2, b2 = torch.split(theta, [h * d, h, k * h, k])
        logits = torch.tanh(x @ w1.reshape(h, d).T + b1) @ w2.reshape(k, h).T + b2
        return torch.nn.functional.cross_entropy(logits, y)

    def lambda_sup(theta):
        hessian = torch.func.hessian(loss)(theta)
        mean = torch.trace(hessian) / parameters
        variance = torch.sum(hessian**2) / parameters - mean**2
        return mean + torch.sqrt(variance * (parameters - 1))

    function = torch.func.grad_and_value(lambda_sup)

    def run():
        return function(theta)

    def told():
        gradient, value = run()
        return {"lambda_sup": value.item(), "gradient": gradient.tolist()}

    return run, told


if __name__ == "__main__":
    protocol.serve(f"PyTorch {torch.__version__}", make)
