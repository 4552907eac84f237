"""The digits that ship with scikit-learn: 1,797 images of 8 x 8, no download needed."""

import functools

import numpy as np

from saddlepoint.core.errors import BadData
from saddlepoint.data.dataset import Dataset
from saddlepoint.data.order import spread

__all__ = ["load_digits"]

_TEST = 500


@functools.cache
def load_digits() -> Dataset:
    """Return 1,297 training and 500 test digits of shape (1, 8, 8), bytes, ten classes.

    The grey level v in 0..16 becomes round(255 v / 16). The split is fixed and stratified, and so
    is every beginning of either half. Source: UCI, "Optical Recognition of Handwritten Digits".

    >>> data = load_digits()
    >>> data.shape, len(data.y_train), len(data.y_test), int(data.x_test[:].max())
    ((1, 8, 8), 1297, 500, 255)
    """
    from sklearn.datasets import load_digits as load  # slow to import, needed here only

    bunch = load()
    levels, labels = np.asarray(bunch.images), np.asarray(bunch.target, dtype=np.int64)
    if levels.shape != (1797, 8, 8) or levels.min() < 0 or levels.max() > 16:
        raise BadData(f"digits: scikit-learn returned {levels.shape}, expected (1797, 8, 8)")
    x = np.rint(levels * 255 / 16).astype(np.uint8)[:, None]
    order = np.array(spread([f"digits-{i}" for i in range(len(x))], labels.tolist()))
    test, train = order[:_TEST], order[_TEST:]
    names = tuple("0123456789")
    return Dataset("digits", x[train], labels[train], x[test], labels[test], 10, names)
