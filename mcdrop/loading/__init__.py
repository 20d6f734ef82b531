"""Loading of models and data from files, folders and names.

Keras is imported only when a model is loaded, or when images are resized or downloaded.
"""

from mcdrop.loading.data import Data as Data
from mcdrop.loading.data import open_data as open_data
from mcdrop.loading.expected import InputSpec as InputSpec
from mcdrop.loading.expected import input_specs as input_specs
from mcdrop.loading.labels import Labels as Labels
from mcdrop.loading.labels import number_labels as number_labels
from mcdrop.loading.matching import fit_to_model as fit_to_model
from mcdrop.loading.models import import_module as import_module
from mcdrop.loading.models import load_model as load_model
from mcdrop.loading.models import translate_model as translate_model
from mcdrop.loading.named import ImageSet as ImageSet
from mcdrop.loading.named import load_named as load_named
from mcdrop.loading.options import DataOptions as DataOptions
from mcdrop.loading.options import ImageOptions as ImageOptions
from mcdrop.loading.options import TextOptions as TextOptions

__all__ = [
    "Data",
    "DataOptions",
    "ImageOptions",
    "ImageSet",
    "InputSpec",
    "Labels",
    "TextOptions",
    "fit_to_model",
    "import_module",
    "input_specs",
    "load_model",
    "load_named",
    "number_labels",
    "open_data",
    "translate_model",
]
