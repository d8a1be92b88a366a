"""Read an ONNX file, such as PyTorch exports, as a LayerGraph."""

from brainsnn.builders.from_onnx.reader import read_onnx

__all__ = ["read_onnx"]
