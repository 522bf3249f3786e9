"""Trains the network in iris_pytorch.safetensors and prints what PyTorch says of its Hessian: see README.md."""

import csv
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

here = Path(__file__).parent
torch.manual_seed(0)
torch.use_deterministic_algorithms(True)

with open(here / "../../crates/hsr-lab/data/iris.csv", encoding="utf-8") as file:
    rows = list(csv.reader(file))[1:]
x = torch.tensor([[float(value) for value in row[:-1]] for row in rows], dtype=torch.float64)
classes = sorted({row[-1] for row in rows})
y = torch.tensor([classes.index(row[-1]) for row in rows])
x = (x - x.mean(0)) / x.std(0, unbiased=False)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.fc2 = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(200):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x.float()), y).backward()
    optimizer.step()
save_file(net.state_dict(), here / "iris_pytorch.safetensors")

# The Hessian of the mean loss by PyTorch's second-order autodiff, in double precision.
net = net.double()
names = [name for name, _ in net.named_parameters()]
shapes = [parameter.shape for parameter in net.parameters()]
theta = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def loss(theta):
    parts = torch.split(theta, [shape.numel() for shape in shapes])
    values = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes)}
    return nn.functional.cross_entropy(torch.func.functional_call(net, values, (x,)), y)


hessian = torch.autograd.functional.hessian(loss, theta)
eigenvalues = torch.linalg.eigvalsh(hessian)
print(f"torch {torch.__version__}, loss {loss(theta):.12f}")
print(f"lambda_max {eigenvalues[-1]:.12f}, lambda_min {eigenvalues[0]:.12f}, trace {hessian.trace():.12f}")
