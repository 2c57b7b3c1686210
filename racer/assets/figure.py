"""A matplotlib figure that a notebook shows; import it inside the function that draws."""

from __future__ import annotations

import io
import warnings

from matplotlib.figure import Figure
from PIL import Image


class NotebookFigure(Figure):
    """A figure that a cell shows once, as its value, with or without `%matplotlib inline`.

    pyplot does not know it; otherwise it would show the figure again at the cell's end.
    """

    def _repr_png_(self) -> bytes:
        drawn, packed = io.BytesIO(), io.BytesIO()
        with warnings.catch_warnings():
            # An emoji in a name may be drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.savefig(drawn, format="png", facecolor=self.get_facecolor())
        with Image.open(drawn) as picture:
            # 256 colours take a third of the bytes, which are stored in the notebook.
            few = picture.convert("RGB").quantize(
                method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        few.save(packed, format="PNG", optimize=True)
        return packed.getvalue()
