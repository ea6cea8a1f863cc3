"""The parts of the audit.

`mistakes` are planted in a reference; a `trial` runs the tests, in a process of its own. It records their `calls`,
makes `variants` of them, and finds the `witness`: an input on which a wrong answer differs.
"""

from .mistakes import Mistake as Mistake
from .mistakes import plant as plant
