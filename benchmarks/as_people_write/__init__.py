"""The ablation of `experiment=digits_mlp` as it is written without regexp; see `../README.md`."""
