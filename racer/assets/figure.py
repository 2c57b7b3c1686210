"""A matplotlib figure that a notebook shows; import it inside the function that draws."""

from __future__ import annotations

import io
import warnings

from matplotlib.figure import Figure
from PIL import Image


class NotebookFigure(Figure):
    """A figure that a cell shows once, as its value, whether or not `%matplotlib inline` was said.

    It does not belong to pyplot, which would show it a second time at the cell's end.
    """

    def _repr_png_(self) -> bytes:
        drawn, packed = io.BytesIO(), io.BytesIO()
        with warnings.catch_warnings():
            # A name may hold an emoji; a box in its place is enough.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.savefig(drawn, format="png", facecolor=self.get_facecolor())
        with Image.open(drawn) as picture:
            # 256 colours: a third of the bytes, which stay in the notebook's file.
            few = picture.convert("RGB").quantize(
                method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        few.save(packed, format="PNG", optimize=True)
        return packed.getvalue()
