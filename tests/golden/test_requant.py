"""The constants of an output stage."""

import numpy as np
import pytest

from sqdm.golden.requant import Requant


def test_requant_refuses():
    good = np.ones(3, np.uint16), 1, np.ones(3, np.int16)
    assert Requant(*good).shift == 1
    with pytest.raises(TypeError, match="multiplier must be uint16"):
        Requant(np.ones(3, np.int32), 1, good[2])
    with pytest.raises(TypeError, match="bias int16"):
        Requant(good[0], 1, np.ones(3, np.int32))
    with pytest.raises(ValueError, match=r"must be \(K,\)"):
        Requant(good[0], 1, np.ones(2, np.int16))
    for shift in (-1, 32):
        with pytest.raises(ValueError, match=r"shift must be 0..31"):
            Requant(good[0], shift, good[2])
