"""Bounds from above: what no member of a set can do to a network, with a certificate."""
