"""Operators that bounds can pass through, one small class each."""
