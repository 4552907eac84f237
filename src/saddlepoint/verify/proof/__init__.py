"""What the checker of certificates computes with: float64, and none of the search's bounds."""
