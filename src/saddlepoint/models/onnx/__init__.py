"""ONNX files: scores through onnxruntime, gradients through a converter to ``torch.fx``."""

from saddlepoint.models.onnx.load import FromOnnx, load_onnx

__all__ = ["FromOnnx", "load_onnx"]
