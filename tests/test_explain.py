"""scripts/explain.py: every format, the page as a student uses it in a browser, and what is refused."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "explain.py"
NODES = ["x", "W₀", "b₀", "z₁", "a₁", "W₁", "b₁", "z₂", "a₂", "W₂", "b₂", "z₃", "y", "J"]

FACTORIES = """
import numpy as np
import neighbour
import nn

def alone():
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))

def classes():
    return nn.Sequential(nn.Linear(3, 2)), nn.CrossEntropyLoss()

def complete():
    return neighbour.build(), nn.MSELoss(), np.ones((7, 3)), np.zeros((7, 1))

def branches():
    deep = nn.Sequential({"a_rather_long_name_for_a_layer": nn.Linear(3, 3), "activation": nn.Tanh()})
    model = nn.Sequential(nn.ConcatTable(*[nn.Linear(3, 3) for _ in range(6)], deep), nn.CAddTable(), nn.Linear(3, 1))
    return model, nn.MSELoss(), np.random.default_rng(0).normal(size=(4, 3)), np.zeros((4, 1))

def images():
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    x = np.random.default_rng(0).uniform(size=(4, 1, 8, 8))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 2)), nn.CrossEntropyLoss(), x, np.array([0, 1, 0, 1])

def two():
    return nn.Sequential(nn.ParallelTable(nn.Linear(3, 2), nn.Linear(1, 2)), nn.CAddTable()), nn.MSELoss()

def wrong():
    return Wrong(), nn.MSELoss(), np.ones((2, 3)), np.zeros((2, 3))

class Wrong(nn.Module):
    def forward(self, x):
        self.save_for_backward(x)
        return x ** 2

    def backward(self, grad_output):
        return self.saved() * grad_output

def infinite():
    return nn.Linear(3, 1), nn.MSELoss(), np.full((2, 3), np.inf), np.zeros((2, 1))

def number():
    return 3

def triple():
    return 1, 2, 3

def broken():
    raise KeyError("no such thing")

not_a_function = 3
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with factories and data."""
    (tmp_path / "mine.py").write_text(FACTORIES, encoding="utf-8")
    (tmp_path / "neighbour.py").write_text("import nn\n\ndef build():\n    return nn.Linear(3, 1)\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("import no_such_module\n", encoding="utf-8")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    (tmp_path / "odd.npz").write_bytes(b"PK" + bytes(50))
    np.save(tmp_path / "array.npy", np.zeros(3))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 1))
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "two.npz", x0=x, x1=y, y=np.ones((9, 2)))
    np.savez(tmp_path / "noy.npz", x=x)
    np.savez(tmp_path / "wide.npz", x=np.ones((9, 5)), y=y)
    rows = [f"{a},{b},{c},{k % 2}" for k, (a, b, c) in enumerate(x)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,y", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "text.csv").write_text("a,y\ncat,1\n", encoding="utf-8")
    return tmp_path


def explain(*arguments, cwd):
    command = [sys.executable, "-W", "error", str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, encoding="utf-8")


def explained(*arguments, cwd):
    run = explain(*arguments, cwd=cwd)
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    return run.stdout


# ---- formats


def test_the_page_stands_alone(tmp_path):
    said = explained(cwd=tmp_path)
    assert said.startswith("explain.html: 13 gradients checked, all right: ")
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["explain.html"]
    assert "{{" not in page
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}  # names, not places
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"(?!data:,)", page)
    assert "@import" not in page and "url(" not in page.replace("url(#", "")


def test_the_page_has_a_section_for_each_value_and_each_gradient(tmp_path):
    explained(cwd=tmp_path)
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    forward, backward = page[page.index('id="forward"') : page.index("<script>")].split('id="backward"')
    order = [int(number) for number in re.findall(r'<div class="step" data-node="(\d+)">', forward)]
    assert order == list(range(14)) and forward.count('<section class="handgrad-step">') == 14
    order = [int(number) for number in re.findall(r'<div class="step" data-node="(\d+)">', backward)]
    assert order == list(range(14))[::-1] and backward.count('<section class="handgrad-step">') == 14
    assert "<details>" not in forward + backward and 'class="node wrong' not in page
    assert forward.count("Where your sheet gives Wₗ the shape dₗ × dₗ₊₁") == 3  # at each W, where one stumbles


def test_a_quiz_folds_each_gradient_away(tmp_path):
    explained("--quiz", cwd=tmp_path)
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    forward, backward = page[page.index('id="forward"') : page.index("<script>")].split('id="backward"')
    assert backward.count("<details><summary><math") == 14 and "<details" not in forward
    assert "z₁ feeds a₁" in backward
    assert not re.search("<details[^>]* open", page)


def test_the_homework_says_how_its_shapes_differ_from_a_sheet(tmp_path):
    markdown, latex = (explained("--format", form, cwd=tmp_path) for form in ("md", "tex"))
    assert "Where your sheet gives Wₗ the shape dₗ × dₗ₊₁" in markdown
    assert r"Where your sheet gives W$_{l}$ the shape d$_{l}$ $\times$ d$_{l+1}$" in latex


@pytest.mark.parametrize("seed", range(5))
def test_no_gradient_of_the_homework_is_zero(seed, tmp_path):
    text = explained("--format", "text", "--seed", str(seed), cwd=tmp_path)
    assert "all right" in text and "    zero " not in text and "Zero in every entry" not in text


def test_text_formats_go_to_standard_output(tmp_path):
    text = explained("--format", "text", cwd=tmp_path)
    assert "∂J/∂W₂ = (∂J/∂z₃) a₂ᵀ" in text and "W₀    parameter     (4, 2)" in text
    markdown = explained("--format", "md", cwd=tmp_path)
    assert markdown.startswith("# ") and "```mermaid\nflowchart TB" in markdown and "```math\n" in markdown
    assert explained("--format", "tex", cwd=tmp_path).startswith(r"\documentclass")
    assert explained("--format", "mermaid", cwd=tmp_path).startswith("flowchart TB")
    assert ET.fromstring(explained("--format", "svg", cwd=tmp_path)).tag.endswith("svg")
    assert not list(tmp_path.iterdir())


def test_out_names_the_file(tmp_path):
    assert explained("--format", "svg", "--out", "g.svg", cwd=tmp_path) == "g.svg: Graph(14 nodes, 13 edges)\n"
    assert ET.parse(tmp_path / "g.svg").getroot().tag.endswith("svg")


def test_the_seed_decides(tmp_path):
    first, again, other = (explained("--format", "text", "--seed", seed, cwd=tmp_path) for seed in ("0", "0", "1"))
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mine.py:alone", "--data", "data.npz"], ["(5, 3)", "Dropout(p=0.2)", "all right"]),
        (
            ["mine.py:alone", "--data", "data.npz", "--rows", "2"],
            ["shapes  (2, 4) = (2, 3) (4, 3)ᵀ + (4,)", "all right"],
        ),
        (
            ["mine.py:alone", "--data", "data.npz", "--sample"],
            ["z₁ = W₀ x + b₀", "shapes  (4, 1) = (4, 3) (3, 1) + (4, 1)"],
        ),
        (["mine.py:alone", "--data", "data.csv"], ["(5, 3)", "all right"]),
        (
            ["mine.py:classes", "--data", "data.csv"],
            ["CrossEntropyLoss()", "given, no gradient is asked for", "all right"],
        ),
        (["mine.py:two", "--data", "two.npz"], ["x₀", "x₁", "all right"]),
        (["mine.py:complete"], ["∂J/∂x = (∂J/∂z₁) W₀", "all right"]),
    ],
)
def test_other_models(arguments, expected, folder):
    text = explained("--format", "text", "--model", *arguments, cwd=folder)
    assert [part for part in expected if part not in text] == []


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mine.py"], "--model expects FILE:FACTORY, such as mine.py:build, got 'mine.py'"),
        (["--model", "none.py:build"], "--model none.py:build: there is no file 'none.py'"),
        (["--model", "data.csv:build"], "--model data.csv:build: 'data.csv' is no Python file"),
        (["--model", "broken.py:build"], "fails: ModuleNotFoundError: No module named 'no_such_module'"),
        (["--model", "mine.py:build"], "--model mine.py:build: mine.py has no function 'build'"),
        (["--model", "mine.py:not_a_function"], "mine.py has no function 'not_a_function'"),
        (["--model", "mine.py:broken"], "--model mine.py:broken: broken() fails: KeyError: 'no such thing'"),
        (["--model", "mine.py:triple"], "mine.py:triple returned a tuple of 3, expected a model, (model, criterion)"),
        (["--model", "mine.py:number", "--data", "data.npz"], "mine.py:number returned 3, expected a Module"),
        (["--model", "mine.py:alone"], "mine.py:alone returned no data: name a file with --data, or return"),
        (["--model", "mine.py:alone", "--data", "none.npz"], "--data none.npz: "),
        (["--model", "mine.py:alone", "--data", "noy.npz"], "--data noy.npz: expected arrays x and y, got x"),
        (["--model", "mine.py:alone", "--data", "mine.py"], "--data mine.py: "),
        (["--model", "mine.py:alone", "--data", "text.csv"], "text.csv, line 2: column 'a' expects a finite number"),
        (["--model", "mine.py:alone", "--data", "wide.npz"], "in layer 0 of Sequential: Linear(3, 4"),
        (["--model", "mine.py:infinite"], ": the first value that is not finite is the data x"),
        (["--data", "data.npz"], "--data needs --model"),
        (["--quiz", "--format", "md"], "--quiz makes a page: leave --format out"),
        (["--rows", "0"], "expected a whole number of at least 1"),
        (["--format", "pdf"], "invalid choice: 'pdf'"),
        (["--out", "no/such/folder/page.html"], "--out no/such/folder/page.html: there is no folder no/such/folder"),
        (["--model", "mine.py:infinite", "--out", "mine.py"], "--out mine.py would overwrite --model mine.py"),
        (["--model", "mine.py:alone", "--data", "data.npz", "--out", "./data.npz"], "would overwrite --data data.npz"),
        (["--model", "leaves.py:build"], "importing leaves.py fails: SystemExit: 3"),
        (["--model", "mine.py:alone", "--data", "odd.npz"], "--data odd.npz: "),
        (["--model", "mine.py:alone", "--data", "array.npy"], "--data array.npy: a single array"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_a_message(arguments, message, folder):
    before = sorted(path.name for path in folder.iterdir())
    run = explain(*arguments, cwd=folder)
    assert run.returncode != 0
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


def test_a_wrong_gradient_is_shown_and_ends_with_an_error(folder):
    run = explain("--model", "mine.py:wrong", cwd=folder)
    assert run.returncode == 1 and "NOT RIGHT: x; see the checks there." in run.stderr
    page = (folder / "explain.html").read_text(encoding="utf-8")
    assert '<p class="verdict wrong">' in page and '<dd class="wrong">' in page
    wrong = re.findall(r'<g class="node \w+ wrong" data-node="\d+" data-name="(\w+)">', page)
    assert wrong == ["x"] and page.count('<section class="handgrad-step wrong">') == 1


# ---- in a browser


class Browser:
    """Chromium, driven over WebDriver's plain HTTP."""

    def __init__(self, chromium, driver, profile):
        self.driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = next(
            match[1] for line in self.driver.stdout if (match := re.search(r"successfully on port (\d+)", line))
        )
        self.address = f"http://127.0.0.1:{port}/session"
        flags = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"]
        flags += ["disable-background-networking", "disable-component-update", f"user-data-dir={profile}"]
        options = {"binary": chromium, "args": [f"--{flag}" for flag in [*flags, "window-size=1300,1000"]]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address += "/" + self.send("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def send(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page):
        self.send("/url", {"url": page.as_uri()})

    def run(self, script):
        return self.send("/execute/sync", {"script": script, "args": []})

    def until(self, script, expected):
        """Wait for what the browser does in its own time."""
        for _ in range(50):
            if self.run(script) == expected:
                return
            time.sleep(0.1)
        assert self.run(script) == expected

    def click(self, selector):
        (element,) = self.send("/element", {"using": "css selector", "value": selector}).values()
        self.send(f"/element/{element}/click", {})

    def press(self, key):
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.send("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def size(self, width=0, height=0):
        params = {"width": width, "height": height, "deviceScaleFactor": 0, "mobile": 0 < width < 500}
        self.send("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": params})

    def emulate(self, **media):
        features = [{"name": "prefers-color-scheme", "value": media.get("scheme", "light")}]
        params = {"media": media.get("media", ""), "features": features}
        self.send("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": params})

    def complaints(self):
        return [entry for entry in self.send("/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]

    def close(self):
        try:
            self.send("", method="DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()


LEFT, RIGHT, HOME, END, TAB, ENTER = "\ue012", "\ue014", "\ue011", "\ue010", "\ue004", "\ue007"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("Chromium and its chromedriver are not installed")
    browser = Browser(chromium, driver, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser, tmp_path):
    """The default page, open."""
    explained(cwd=tmp_path)
    browser.emulate()
    browser.open(tmp_path / "explain.html")
    yield browser
    assert browser.complaints() == []


STATE = """
const one = selector => [...document.querySelectorAll(selector)];
return {
  active: one(".node.active").map(node => node.dataset.name),
  lit: one(".edge.lit").map(edge => [Number(edge.dataset.from), Number(edge.dataset.to)]),
  shown: one(".step").filter(step => step.offsetParent).map(step => Number(step.dataset.node)),
  backward: document.querySelector("#backward").classList.contains("now"),
  where: document.querySelector("#where").textContent,
};
"""
KNOWN = """
return [...document.querySelectorAll("#graph .node")].filter(node => {
  const norm = node.querySelector(".gradient");
  return !norm && node.matches(".known") || norm && getComputedStyle(norm).visibility === "visible";
}).map(node => node.dataset.name);
"""
EDGES = [(0, 3), (1, 3), (2, 3), (3, 4), (4, 7), (5, 7), (6, 7), (7, 8), (8, 11), (9, 11), (10, 11), (11, 13), (12, 13)]


def test_the_page_opens_at_the_data(page):
    state = page.run(STATE)
    assert state == {"active": ["x"], "lit": [], "shown": [0], "backward": False, "where": "forward 1 of 14: x"}
    assert page.run("return performance.getEntriesByType('resource').length") == 0


def test_arrow_keys_walk_forward_and_back(page):
    for step in range(28):
        state = page.run(STATE)
        backward = step >= 14
        node = 27 - step if backward else step
        assert state["active"] == [NODES[node]] and state["backward"] == backward
        assert state["shown"] == ([node, node] if backward else [node])
        assert page.run(KNOWN) == (NODES[node:] if backward else [])
        assert state["lit"] == [[a, b] for a, b in EDGES if (a if backward else b) == node]
        assert state["where"] == f"{'backward' if backward else 'forward'} {step % 14 + 1} of 14: {NODES[node]}"
        page.press(RIGHT)
    assert page.run(STATE) == state  # the end is the end
    assert page.run("return document.querySelector('#next').disabled")
    page.press(LEFT)
    assert page.run(STATE)["where"] == "backward 13 of 14: W₀"
    page.press(HOME)
    assert page.run(STATE)["where"] == "forward 1 of 14: x"
    page.press(END)
    assert page.run(STATE)["where"] == "backward 14 of 14: x"


def test_buttons_walk_too(page):
    page.click("#next")
    page.click("#next")
    page.click("#back")
    assert page.run(STATE)["active"] == ["W₀"]


def test_click_and_tab_choose_a_node(page):
    page.click(".node[data-name='W₂']")
    assert page.run(STATE)["active"] == ["W₂"]
    assert page.run("return document.querySelector('#backward').offsetParent") is None  # its gradient is yet to come
    page.click("#turn")
    assert page.run(STATE)["where"] == "backward 5 of 14: W₂"
    seen = page.run("return [...document.querySelectorAll('.step.shown')].map(step => step.innerText)")
    assert "given" in seen[0] and "(2, 3)" in seen[0]
    assert "rule and backward differ by" in seen[1] and "✓" in seen[1]
    size = "const box = document.querySelector('#backward .shown math').getBoundingClientRect();"
    assert page.run(size + "return box.width > 60 && box.height > 25")  # a formula that is set, not a line of letters
    page.click("#turn")
    page.click(".node[data-name='W₂']")
    page.press(TAB)
    assert page.run(STATE)["where"] == "forward 11 of 14: b₂"
    page.press(END)
    page.click(".node[data-name='z₁']")
    assert page.run(STATE)["where"] == "backward 11 of 14: z₁"
    assert "∂J/∂z₁" not in page.run("return document.querySelector('.node.active').getAttribute('aria-label')")


CONTRAST = """
const luminance = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(
    v => (v /= 255, v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
return [...document.querySelectorAll("#graph .node")].flatMap(node => {
  const fill = luminance(getComputedStyle(node.querySelector(".shape")).fill);
  return [...node.querySelectorAll("text, tspan")].map(
    text => contrast(fill, luminance(getComputedStyle(text).fill)));
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_legible(page, scheme):
    page.emulate(scheme=scheme)
    assert min(page.run(CONTRAST)) > 4.5
    paper = page.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


def test_print_shows_every_step(page):
    page.emulate(media="print", scheme="dark")
    assert len(page.run(STATE)["shown"]) == 28
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("return getComputedStyle(document.querySelector('nav')).display") == "none"


FITS = """
return [...document.querySelectorAll("svg.handgrad .node")].filter(node => {
  const shape = node.querySelector(".shape").getBBox();
  return [...node.querySelectorAll("text")].some(text => {
    const box = text.getBBox();
    return box.x < shape.x || box.x + box.width > shape.x + shape.width
      || box.y < shape.y - 1 || box.y + box.height > shape.y + shape.height + 1;
  });
}).map(node => node.dataset.name);
"""


def test_text_stays_inside_its_shape(page, folder):
    assert page.run(FITS) == []
    explained("--model", "mine.py:branches", cwd=folder)
    page.open(folder / "explain.html")
    assert page.run(FITS) == []
    assert "…" in page.run("return document.querySelector('#graph').textContent")  # long names are cut


WINDOWS = """
return [...document.querySelectorAll("#graph .window")].filter(
  group => getComputedStyle(group).visibility === "visible").map(group => {
    const node = end => document.querySelectorAll("#graph .node")[Number(group.dataset[end])];
    const [entry, ...made] = [...group.querySelectorAll("rect")];
    const pixel = (frame, owner, size) => [...owner.querySelectorAll("image")].flatMap(image => {
      const [a, b] = [frame.getBoundingClientRect(), image.getBoundingClientRect()], unit = b.width / size;
      const inside = a.left > b.left - 3 && a.right < b.right + 3 && a.top > b.top - 3 && a.bottom < b.bottom + 3;
      return inside ? [Math.round((a.top - b.top) / unit), Math.round((a.left - b.left) / unit),
        Math.round(a.height / unit)] : [];
    });
    const size = owner => Number(owner.querySelector(".small").textContent.match(/(\\d+)\\)$/)[1]);
    const [from, to] = [node("from"), node("to")];
    return {from: from.dataset.name, to: to.dataset.name, entry: pixel(entry, to, size(to)),
      made: made.map(frame => pixel(frame, from, size(from)))};
  });
"""


def test_the_window_of_one_output_is_lit_in_its_input(page, folder):
    explained("--model", "mine.py:images", "--rows", "2", cwd=folder)
    page.open(folder / "explain.html")
    assert page.run(FITS) == []
    assert page.run(WINDOWS) == []  # at the data
    page.click(".node[data-name='h₀']")
    convolution = {"from": "x", "to": "h₀", "entry": [4, 4, 1], "made": [[3, 3, 3]]}
    assert page.run(WINDOWS) == [convolution]
    page.click(".node[data-name='h₁']")
    assert [window["made"] for window in page.run(WINDOWS)] == [[[0, 0, 8]]]  # of all that its mean is of
    page.click(".node[data-name='h₃']")
    assert page.run(WINDOWS) == [{"from": "h₂", "to": "h₃", "entry": [2, 2, 1], "made": [[4, 4, 2]]}]
    page.press(END)
    assert page.run(WINDOWS) == [convolution]  # on the way back its gradient comes from there
    shown = "return [...document.querySelectorAll('.step.shown img')].map(image => image.naturalWidth)"
    page.until(shown, [8, 8])  # the value's map, and the gradient's


IN_VIEW = """
const inside = (box, frame) => box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1
  && box.left >= frame.left - 1 && box.right <= frame.right + 1;
const box = selector => document.querySelector(selector).getBoundingClientRect();
const whole = {top: 0, left: 0, bottom: window.innerHeight, right: window.innerWidth};
const panel = box("#page"), nav = box("nav");
const below = nav.top > panel.top + 100;
const free = below ? {...panel.toJSON(), bottom: nav.top} : {...panel.toJSON(), top: nav.bottom};
const now = document.querySelector(".pass.now .step.shown .equation, .pass.now .step.shown summary");
return {
  width: document.documentElement.scrollWidth <= window.innerWidth,
  buttons: inside(nav, whole),
  node: inside(box(".node.active .shape"), box("#graph")),
  equation: inside(now.getBoundingClientRect(), free),
};
"""


@pytest.mark.parametrize(
    ("width", "height"), [(390, 844), (375, 667), (800, 1000), (800, 600), (844, 390), (1400, 900)]
)
def test_node_equation_and_buttons_are_in_view_at_every_step(page, width, height):
    page.size(width, height)
    try:
        for _ in range(28):
            assert all(page.run(IN_VIEW).values()), page.run("return document.querySelector('#where').textContent")
            page.click("#next") if page.run("return !document.querySelector('#next').disabled") else None
        assert page.run(STATE)["where"] == "backward 14 of 14: x"
    finally:
        page.size()


def test_a_quiz_shows_a_gradient_when_it_is_asked_for(page, tmp_path):
    explained("--quiz", cwd=tmp_path)
    page.open(tmp_path / "explain.html")
    page.press(END)
    assert page.run(KNOWN) == []
    hidden = "return document.querySelector('#backward .step.shown .equation').checkVisibility()"
    assert not page.run(hidden)
    page.click("#backward .step.shown summary")
    assert page.run(hidden)
    page.until(KNOWN, ["x"])
    page.press(LEFT)
    assert page.run(KNOWN) == []
    page.run("document.querySelector('#backward .step.shown summary').focus()")
    page.press(ENTER)
    page.until(KNOWN, ["W₀"])
    page.press(RIGHT)
    assert page.run(KNOWN) == ["x", "W₀"]


GAPS = """
return [...document.querySelectorAll("#backward .step.shown mfrac")].map(fraction => {
  const [above, below] = [...fraction.children].map(part => {
    const range = document.createRange();
    range.selectNodeContents(part);
    return range.getBoundingClientRect();
  });
  return {apart: below.top - above.bottom, size: parseFloat(getComputedStyle(fraction.firstChild).fontSize)
    / parseFloat(getComputedStyle(fraction.closest("math")).fontSize)};
});
"""


def test_fractions_and_transposes_are_set_well_without_a_mathematics_font(page):
    page.press(END)
    page.run("document.querySelectorAll('math').forEach(math => math.style.fontFamily = 'serif')")
    gaps = page.run(GAPS)
    assert len(gaps) == 2
    for gap in gaps:
        assert gap["apart"] >= 2 and gap["size"] == 1
    (power,) = page.run(
        "return [...document.querySelectorAll('#backward .step.shown .equation msubsup')].map(e => {"
        "const [w, low, high] = [...e.children].map(part => part.getBoundingClientRect());"
        "return [high.left - w.right, Math.abs(high.left - low.left), low.top - high.top];})"
    )
    assert power[0] < 5 and power[1] < 5 and power[2] > 0  # the sign stands over the index, close to the letter


# ---- the answer in docs/


def test_the_homework_in_docs_is_what_the_script_writes(tmp_path):
    def without_numbers(text):
        return re.sub(r"-?\d[\d.]*(e[+-]\d+)?", "#", text)  # rounding differs from machine to machine

    for form in ("md", "svg", "html"):
        direction = "right" if form == "svg" else "down"
        explained("--format", form, "--direction", direction, "--out", f"page.{form}", cwd=tmp_path)
        written = (tmp_path / f"page.{form}").read_text(encoding="utf-8")
        kept = (ROOT / "docs" / f"homework.{form}").read_text(encoding="utf-8")
        assert without_numbers(written) == without_numbers(kept), f"run scripts/explain.py again for homework.{form}"
