"""A simple solid with the input as its texture, seen from random sides: rays, hits, texture."""

from saddlepoint.views.render.scene import Render

__all__ = ["Render"]
