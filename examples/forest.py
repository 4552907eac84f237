"""A model without gradients: a random forest on scikit-learn's digits.

saddlepoint audit --model forest:model --data digits --threat "Linf(eps=0.15)" --max-queries 200
"""

from sklearn.ensemble import RandomForestClassifier

from saddlepoint import load_data

__all__ = ["model"]


def model() -> RandomForestClassifier:
    """Fit the forest on the train split, in the units that an audit asks in."""
    x, y = load_data("digits").split("train").batch(slice(None))
    return RandomForestClassifier(100, random_state=0).fit(x.reshape(len(x), -1), y)
