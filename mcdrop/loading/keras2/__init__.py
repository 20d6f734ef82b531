"""Models that Keras 2 saved (tf.keras up to TensorFlow 2.15, tf_keras), made anew with Keras 3.

Nothing here runs code of a file: a configuration is read as data, each built-in layer in it is
made by Keras 3's own class of that name with the options that the file records, and everything
else is refused by name. Where Keras 3 means something else by the same word, the old meaning is
kept. The modules, from the leaves up: `values` (what JSON writes for Python values), `record`
(what was understood), `activations` (formulas that changed), `objects` (activations, initializers
and such), `rules` (how the options of each layer changed), `layers`, `operations` (TensorFlow
functions used as layers), `graphs` (models), `stored` and `weights`, `training` (the compiled
loss), `files`.
"""

from mcdrop.loading.keras2.files import translate as translate
from mcdrop.loading.keras2.graphs import make_model as make_model
from mcdrop.loading.keras2.record import NotImportedError as NotImportedError
from mcdrop.loading.keras2.record import Record as Record
from mcdrop.loading.keras2.record import UntranslatableError as UntranslatableError

__all__ = ["NotImportedError", "Record", "UntranslatableError", "make_model", "translate"]
