"""Loading of models and data from files, folders and names.

Keras is imported only when a model is loaded, or when images are resized or downloaded.
"""

from mcdrop.loading.data import Data as Data
from mcdrop.loading.data import DataOptions as DataOptions
from mcdrop.loading.data import open_data as open_data
from mcdrop.loading.images import ImageOptions as ImageOptions
from mcdrop.loading.matching import fit_to_model as fit_to_model
from mcdrop.loading.models import load_model as load_model
from mcdrop.loading.named import ImageSet as ImageSet
from mcdrop.loading.named import load_named as load_named

__all__ = [
    "Data",
    "DataOptions",
    "ImageOptions",
    "ImageSet",
    "fit_to_model",
    "load_model",
    "load_named",
    "open_data",
]
