"""What comes into view beyond the edge of an image."""

from typing import Literal

__all__ = ["PADDINGS", "Padding"]

Padding = Literal["zero", "reflect"]
PADDINGS = {"zero": "zeros", "reflect": "reflection"}  # as torch and kornia call them
