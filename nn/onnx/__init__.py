"""Models to and from ONNX, the format that most runtimes read: a table of operators, a writer, a reader."""

from .exporting import export_onnx as export_onnx
from .importing import import_onnx as import_onnx
