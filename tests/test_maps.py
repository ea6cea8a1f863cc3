"""Maps in a computing graph: their pictures, the window that one entry is made of, and checks in spite of ties."""

import base64
import io
import itertools
import re

import numpy as np
import pytest

import nn
from nn.graph.maps import MOST_MAPS, map_pictures
from nn.graph.replay import Replay


def conv(*args, **settings):
    return nn.Conv2d(*args, **settings, dtype="float64", generator=0)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 1, shape)


def pixels(address):
    Image = pytest.importorskip("PIL.Image")
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


class Reach(nn.Module):
    """Flattens to one number a sample, so that any shape has a loss."""

    def forward(self, x):
        self.save_for_backward(x.shape)
        return x.reshape(len(x), -1).sum(1, keepdims=True)

    def backward(self, grad_output):
        shape = self.saved()
        return np.broadcast_to(grad_output.reshape(-1, *[1] * (len(shape) - 1)), shape)


def windows_of(layer, *shape):
    graph = nn.trace(nn.Sequential(layer, Reach()), nn.MSELoss(), images(*shape), np.zeros((shape[0], 1)))
    (found,) = Replay(graph.nodes, graph.calls).windows(graph.calls[0].results[0])
    return found.entry, found.maps, found.rows, found.columns


# ---- windows


@pytest.mark.parametrize(
    ("settings", "entry", "maps", "rows"),
    [
        ({}, (0, 3, 3), [0, 1], [3, 4, 5]),
        ({"padding": 1}, (0, 4, 4), [0, 1], [3, 4, 5]),
        ({"stride": 2}, (0, 1, 1), [0, 1], [2, 3, 4]),
        ({"stride": 2, "padding": 1}, (0, 2, 2), [0, 1], [3, 4, 5]),
        ({"dilation": 2}, (0, 2, 2), [0, 1], [2, 4, 6]),
        ({"groups": 2}, (0, 3, 3), [0], [3, 4, 5]),
    ],
)
def test_the_window_of_a_convolution(settings, entry, maps, rows):
    assert windows_of(conv(2, 4, 3, **settings), 1, 2, 8, 8) == (entry, maps, rows, rows)


def test_an_entry_made_of_padding_alone_has_no_window():
    layer = conv(1, 1, 1, padding=3, stride=6)
    graph = nn.trace(nn.Sequential(layer, Reach()), nn.MSELoss(), images(1, 1, 2, 8), np.zeros((1, 1)))
    assert graph["h0"].shape == (1, 1, 2, 3) and Replay(graph.nodes, graph.calls).windows(graph["h0"]) == []


def test_the_window_of_other_layers():
    assert windows_of(nn.MaxPool2d(2), 2, 3, 6, 8) == ((0, 1, 2), [0], [2, 3], [4, 5])
    assert windows_of(nn.ReLU(), 2, 3, 6, 8) == ((0, 3, 4), [0], [3], [4])
    norm = nn.BatchNorm2d(3)
    assert windows_of(norm, 2, 3, 6, 8) == ((0, 3, 4), [0], list(range(6)), list(range(8)))
    assert windows_of(norm.eval(), 2, 3, 6, 8) == ((0, 3, 4), [0], [3], [4])


def test_the_window_in_words():
    graph = nn.trace(
        nn.Sequential(conv(1, 1, 3), nn.ReLU(), Reach()), nn.MSELoss(), images(1, 1, 6, 6), np.ones((1, 1))
    )
    text = graph.derivation().to_text()
    assert "the entry at [0, 0, 2, 2] is made of rows 2 to 4 and columns 2 to 4 of x" in text
    assert "the entry at [0, 0, 2, 2] is made of row 2 and column 2 of h₀" in text


# ---- pictures


def test_pictures_have_the_values_as_shades():
    grey, black = map_pictures(np.array([[[0.0, 1.0], [2.0, 4.0]], np.zeros((2, 2))]))
    np.testing.assert_array_equal(pixels(grey)[..., 0], [[0, 64], [128, 255]])
    assert (pixels(grey) == pixels(grey)[..., :1]).all() and not pixels(black).any()
    (signed,) = map_pictures(np.array([[[-2.0, 0.0, 2.0]]]))
    red, white, blue = pixels(signed)[0].astype(int)
    assert red[0] > red[2] + 100 and blue[2] > blue[0] + 100 and white.tolist() == [255] * 3
    (odd,) = map_pictures(np.array([[[np.nan, np.inf, 1.0]]]))
    assert pixels(odd).shape == (1, 3, 3)


@pytest.fixture(scope="module")
def cnn():
    """The graph of a small CNN on images whose black background makes ties in the pooling."""
    x = np.zeros((2, 1, 12, 12))
    x[:, :, 2:10, 3:9] = images(2, 1, 8, 6)
    layers = [conv(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [conv(3, 10, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(90, 4, generator=0)).double()
    return nn.trace(model, nn.CrossEntropyLoss(), x, [1, 2])


def test_maps_are_drawn_on_their_nodes(cnn):
    svg = cnn.to_svg()
    nodes = re.findall(r'<g class="node \w+" data-node="\d+" data-name="([^"]+)">(.*?)</g>', svg, re.S)
    count = {name: body.count("<image ") for name, body in nodes}
    maps = {"x": 1, "W₀": 3, "h₀": 3, "h₁": 3, "h₂": 3, "h₃": 3, "W₄": MOST_MAPS, "h₄": MOST_MAPS, "h₅": MOST_MAPS}
    assert {name: number for name, number in count.items() if number} == {**maps, "h₆": MOST_MAPS}
    assert '<g class="window"' not in svg and len(svg) < 60_000


def test_a_drawing_of_a_derivation_has_the_windows(cnn):
    derivation = cnn.derivation()
    svg = derivation.to_svg()
    number = {node.name: index for index, node in enumerate(cnn.nodes)}
    found = re.findall(r'<g class="window" data-from="(\d+)" data-to="(\d+)">(.*?)</g>', svg)
    pairs = [(int(a), int(b)) for a, b, _ in found]
    chain = ["x", "h₀", "h₁", "h₂", "h₃", "h₄", "h₅", "h₆"]
    assert pairs == [(number[a], number[b]) for a, b in itertools.pairwise(chain)]
    assert [body.count("<rect ") for *_, body in found] == [2, 2, 2, 2, 1 + 3, 2, 2]
    assert "data:image/png" in derivation.to_html()


@pytest.mark.parametrize("form", ["to_text", "to_markdown", "to_latex"])
def test_text_forms_stay_short(cnn, form):
    text = getattr(cnn.derivation(), form)()
    assert "base64" not in text and len(text) < 30_000
    assert "base64" not in cnn.to_mermaid() + cnn.to_text()


def test_other_values_have_no_pictures():
    shapes = [(2, 3), (2, 3, 4), (2, 3, 1, 1), (2, 3, 1, 5), (0, 3, 4, 4)]
    for shape in shapes:
        graph = nn.record(nn.ReLU(), np.zeros(shape))
        assert "<image" not in graph.to_svg(), shape


# ---- checks


def test_ties_in_the_pooling_and_a_bias_before_batch_norm_are_right(cnn):
    derivation = cnn.derivation()
    assert derivation.right, derivation.verdict
    assert np.abs(cnn["b0"].grad).max() < 1e-12  # BatchNorm takes any bias out: what is left is rounding
    kinks = [step.difference for step in derivation.gradients if step.difference and step.difference.kinks]
    assert any(difference.entries > difference.kinks for difference in kinks)


@pytest.mark.parametrize("name", ["W0", "h0", "h3", "x", "W4"])
def test_a_wrong_gradient_is_seen_in_spite_of_kinks(cnn, name):
    graph = nn.trace(cnn._source.model, cnn._source.criterion, *cnn._source.inputs, cnn._source.target)
    graph[name].grad = graph[name].grad * 1.001
    assert Replay(graph.nodes, graph.calls).compare(graph[name]).error > 1e-5


def test_equations_too_large_to_be_run_are_no_fault(monkeypatch):
    monkeypatch.setattr(nn.mathematics.run.Walker, "largest_grid", 100)
    graph = nn.trace(nn.Sequential(conv(1, 2, 3), Reach()), nn.MSELoss(), images(1, 1, 8, 8), np.ones((1, 1)))
    derivation = graph.derivation()
    assert derivation.right
    assert "the equations of Conv2d(1, 2, 3, dtype='float64') are not run on so many entries" in derivation.to_text()
