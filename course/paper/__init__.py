"""Problems 1 and 2, from a student's own lines, of which nothing is executed.

`reader` reads statements, and `expressions` writes them as mathematics; `answers` tells forward pass and gradients
apart; `layout` finds the shapes, `measured` the values and the derivatives; `slips` says what is wrong.
"""

from .answers import Answer as Answer
from .answers import HandIn as HandIn
from .answers import outer as outer
from .answers import read as read
from .answers import read_expression as read_expression
from .answers import values_in as values_in
from .layout import is_data as is_data
from .layout import is_target as is_target
from .measured import Measured as Measured
from .measured import laid_out as laid_out
from .reader import UnreadableError as UnreadableError
from .slips import shown as shown
from .slips import verdict as verdict
