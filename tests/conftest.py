"""What the tests of the checker share."""

import pytest

from nn.checking import diagnosis, evidence, measure, structure


@pytest.fixture(scope="module")
def unhurried():
    """Give the checker ten times as long to name a mistake: on a busy machine it would leave questions out."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (diagnosis, evidence, measure, structure):
            patch.setattr(module, "PATIENCE", 10 * module.PATIENCE)
        patch.setattr(evidence, "ENOUGH", 10 * evidence.ENOUGH)
        yield
