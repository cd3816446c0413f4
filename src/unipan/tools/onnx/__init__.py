"""A network as an ONNX file: written, run and quantised."""
