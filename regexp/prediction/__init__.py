"""A finished run in use: its model loaded, asked for predictions, and exported.

- `record`: what was stored of a run, read and checked; of older runs, fitted again.
- `model`: `load`, and the `Model` that it gives.
- `network`: the run's network as training evaluated it.
- `pyfunc`: the same for `mlflow.pyfunc`.
- `program`: preparation, network and what becomes of its outputs as one module.
- `export`: that module as a file of torch's or of ONNX.
"""
