"""Activations that Keras 3 computes by another formula under the same name.

They are registered with Keras, so that a model that uses one can be saved and loaded again;
importing this module is enough.
"""

from __future__ import annotations

from typing import Any

import keras


def hard_sigmoid_of_keras2(x: Any) -> Any:
    """Returns clip(0.2 x + 0.5, 0, 1), which is what Keras 2 calls `hard_sigmoid`.

    Keras 3 computes relu6(x + 3) / 6 under that name, which is up to 0.07 away.

    Example:
        >>> keras.ops.convert_to_numpy(hard_sigmoid_of_keras2([-3.0, 0.0, 1.0])).round(2)
        array([0. , 0.5, 0.7], dtype=float32)
    """
    x = keras.ops.convert_to_tensor(x)
    return keras.ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable("mcdrop")(hard_sigmoid_of_keras2)
