"""Names beside points, by where matplotlib has drawn them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.text import Annotation

from regexp.compare.figures.labels import along_steps, place_labels


def test_a_line_leads_to_a_point_where_its_name_stands_nearer_to_another() -> None:
    figure, axes = plt.subplots(figsize=(6, 4))
    points = np.random.default_rng(0).uniform(size=(30, 2)).tolist()
    axes.plot(*zip(*points, strict=True), "o")
    figure.draw_without_rendering()
    place_labels(axes, points, [(at, f"technique {at}") for at in range(30)])
    figure.draw_without_rendering()
    places = axes.transData.transform(points)
    bare = []
    for text, own in zip(axes.texts, places, strict=True):
        assert isinstance(text, Annotation)
        if text.arrow_patch is not None:
            continue
        box = text.get_window_extent()
        nearest = np.clip(places, box.min, box.max)
        apart = np.hypot(*(places - nearest).T)
        bare.append(text)
        assert np.hypot(*(own - np.clip(own, box.min, box.max))) <= apart.min() + 6, "pixels"
    assert 5 < len(bare) < 30
    plt.close(figure)


def test_points_of_steps_lie_on_them() -> None:
    found = along_steps([1.0, 10.0, 100.0], [0.5, 0.7, 0.6], each=3)
    assert found[:3] == [(1.0, 0.5), (10**0.5, 0.5), (10.0, 0.5)]
    assert np.allclose(found[3:6], [(10.0, 0.5), (10.0, 0.6), (10.0, 0.7)])
    assert found[-1] == (100.0, 0.6)
