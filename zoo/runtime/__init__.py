"""Released models without torch: the model object, and its ONNX Runtime backend."""

from zoo.runtime.backend import Backend, Device
from zoo.runtime.model import LoadedModel, load
from zoo.runtime.onnx_backend import OnnxBackend

__all__ = ["Backend", "Device", "LoadedModel", "OnnxBackend", "load"]
