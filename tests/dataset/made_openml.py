"""A table of OpenML that is made up, kept in a folder as scikit-learn keeps what it downloads."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

ARFF = """@RELATION pets
@ATTRIBUTE id INTEGER
@ATTRIBUTE weight REAL
@ATTRIBUTE colour {'dark, red',blue,01,1}
@ATTRIBUTE note STRING
@ATTRIBUTE a {TRUE,FALSE}
@ATTRIBUTE b {TRUE,FALSE}
@ATTRIBUTE kind {cat,dog,fish}
@DATA
"""


TYPES = {"id": "numeric", "weight": "numeric", "note": "string"}


def frame_of(rows: int = 60) -> pd.DataFrame:
    """What the file says, missing values and all."""
    random = np.random.default_rng(0)
    weight = random.normal(size=rows).round(3)
    weight[5] = np.nan
    return pd.DataFrame({
        "id": np.arange(rows),
        "weight": weight,
        "colour": [["dark, red", "blue", "01", "1", None][row % 5] for row in range(rows)],
        "note": [["50% off", "it's"][row % 2] for row in range(rows)],
        "a": [["TRUE", "FALSE"][row % 2] for row in range(rows)],
        "b": [["TRUE", "FALSE", "FALSE"][row % 3] for row in range(rows)],
        "kind": [["cat", "dog"][row // 2 % 2] for row in range(rows)],  # no fish
    })  # fmt: skip


def written(value: object) -> str:
    if value is None or value != value:
        return "?"
    text = str(value)
    return text if text.replace(".", "").replace("-", "").isalnum() else json.dumps(text)


def keep(folder: Path, target: str = "kind", form: str = "ARFF", **description: str) -> str:
    """Write made-up data 77 as scikit-learn keeps them; the text of the ARFF file."""
    frame = frame_of()
    arff = ARFF + "".join(
        ",".join(written(value) for value in row) + "\n"
        for row in frame.itertuples(index=False, name=None)
    )
    features = [
        {
            "index": str(place), "name": name, "is_target": str(name == target).lower(),
            "data_type": TYPES.get(str(name), "nominal"),
            "is_ignore": "false", "is_row_identifier": str(name == "id").lower(),
            "number_of_missing_values": str(frame[name].isna().sum()),
        }
        for place, name in enumerate(frame)
    ]  # fmt: skip
    described = {
        "id": "77", "name": "pets", "version": "1", "format": form, "status": "active",
        "description": "", "url": "https://www.openml.org/data/v1/download/770/pets.arff",
        "default_target_attribute": target,
        "md5_checksum": hashlib.md5(arff.encode(), usedforsecurity=False).hexdigest(),
        **description,
    }  # fmt: skip
    quality = [{"name": "NumberOfInstances", "value": "60.0"}]
    for place, content in {
        "api/v1/json/data/77": json.dumps({"data_set_description": described}),
        "api/v1/json/data/features/77": json.dumps({"data_features": {"feature": features}}),
        "api/v1/json/data/qualities/77": json.dumps({"data_qualities": {"quality": quality}}),
        "data/v1/download/770/pets.arff": arff,
    }.items():
        path = folder / "openml" / "openml.org" / f"{place}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()))
    return arff
