"""Texts in, calibrated scores out. Needs onnxruntime and tokenizers, never torch."""
