"""`Graph`: the same results recorded or not."""

import pytest
import torch

from isaac_gymnasium.graph import Graph

CUDA = pytest.param("cuda:0", marks=pytest.mark.gpu)


@pytest.fixture(params=["cpu", CUDA])
def device(request):
    if request.param != "cpu" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)


def test_gives_what_the_function_gives_and_writes_what_it_writes(device):
    total = torch.zeros(3, device=device)

    def add(values, offset):
        total.add_(values)
        return {"sum": values + offset, "none": None}

    graph = Graph(lambda values, offset: add(values, offset), device)
    expected = torch.zeros(3, device=device)
    for k in range(8):
        values = torch.full((3,), float(k), device=device)
        expected += k
        result = graph(values, torch.ones((), device=device))
        assert torch.equal(result["sum"], values + 1)
        assert torch.equal(total, expected)
        assert torch.equal(values, torch.full_like(values, float(k)))


def test_inputs_of_another_shape_or_none_are_recorded_anew(device):
    graph = Graph(lambda values, more: 2 * values if more is None else values + more, device)
    for size in (3, 5, 3):
        for more in (None, torch.ones(size, device=device)):
            for _ in range(6):
                values = torch.rand(size, device=device)
                wanted = 2 * values if more is None else values + 1
                assert torch.equal(graph(values, more), wanted)


def test_random_numbers_are_new_in_every_call(device):
    graph = Graph(lambda: torch.rand(100, device=device), device)
    seen = torch.stack([graph().clone() for _ in range(10)])
    assert len(seen.unique(dim=0)) == 10


def test_gradients_are_those_of_the_function(device):
    weight = torch.nn.Parameter(torch.rand(4, 2, device=device))

    def learn(inputs):
        weight.grad = None
        (inputs @ weight).square().sum().backward()
        with torch.no_grad():
            weight.sub_(0.1 * weight.grad)

    graph = Graph(learn, device)
    copy = weight.detach().clone()
    for _ in range(8):
        inputs = torch.rand(3, 4, device=device)
        graph(inputs)
        copy -= 0.1 * 2 * inputs.T @ (inputs @ copy)
    assert torch.allclose(weight, copy, atol=1e-6)


def test_what_else_a_recording_depends_on_is_noticed(device):
    state = torch.zeros((), device=device)
    factor = 2.0

    def function(values):
        state.add_(1.0)
        return values * factor + state

    graph = Graph(function, device)
    values = torch.arange(3.0, device=device)
    for k in range(1, 8):
        assert torch.equal(graph(values, given=[factor]), 2.0 * values + k)
    factor = 3.0
    for k in range(8, 15):
        assert torch.equal(graph(values, given=[factor]), 3.0 * values + k)
    assert torch.equal(graph(values[:2], given=[factor]), 3.0 * values[:2] + 15)


def test_fresh_results_are_the_callers(device):
    graph = Graph(lambda values: (values + 1, {"twice": 2 * values}), device, fresh=True)
    inputs = [torch.full((3,), float(k), device=device) for k in range(8)]
    results = [graph(values) for values in inputs]
    for values, (more, rest) in zip(inputs, results, strict=True):
        assert torch.equal(more, values + 1)
        assert torch.equal(rest["twice"], 2 * values)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_cannot_be_recorded_runs_as_it_is(caplog):
    graph = Graph(lambda values: values * float(values.sum()), torch.device("cuda"))
    values = torch.arange(3.0, device="cuda")
    for _ in range(8):
        assert torch.equal(graph(values), 3.0 * values)
    assert caplog.text.count("runs without a CUDA graph") == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_is_recorded_on_cuda_and_can_be_forgotten():
    calls = []
    graph = Graph(lambda: calls.append(1) or torch.ones(1, device="cuda"), torch.device("cuda"))
    for _ in range(10):
        graph()
    assert len(calls) == 4
    graph.forget()
    for _ in range(10):
        graph()
    assert len(calls) == 8
