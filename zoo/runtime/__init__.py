"""Released models without torch: the model object, and its ONNX Runtime backend."""

from zoo.runtime.backend import Backend, Device
from zoo.runtime.model import LoadedModel, load
from zoo.runtime.onnx_backend import OnnxBackend
from zoo.runtime.samples import given_of, samples_of

__all__ = ["Backend", "Device", "LoadedModel", "OnnxBackend", "given_of", "load", "samples_of"]
