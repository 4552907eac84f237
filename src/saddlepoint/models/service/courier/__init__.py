"""A process of its own that carries questions to a service and writes every answer down first.

It must not import torch, and therefore nothing of ours: imports in this package are relative, and
it needs httpx and the standard library only. ``launch.py`` starts it.
"""
