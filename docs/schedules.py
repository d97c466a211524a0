"""The picture of all schedules, written into docs/figures when Sphinx starts; git ignores it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from regexp.compare.figures import style as s
from regexp.compare.figures.picture import svg
from regexp.stack.optimizers import simulate
from regexp.sweeps.ingredients import build_stepper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONF = Path(__file__).parents[1] / "conf"
EPOCHS, STEPS = 50, 8  # of the run, and of each of its epochs


def write(docs: Path) -> None:
    """Write the picture into `docs`/figures."""
    folder = docs / "figures"
    folder.mkdir(exist_ok=True)
    drawn = svg(figure(), "schedules", "Learning rate against step of every schedule")
    (folder / "schedules.svg").write_text(drawn, encoding="utf-8")


def rates(name: str) -> list[float]:
    """The learning rate of every step of a run with the schedule's defaults, in units of its lr."""
    parts = {
        group: OmegaConf.load(CONF / group / f"{choice}.yaml")
        for group, choice in (("optimizer", "sgd"), ("scheduler", name))
    }
    lengths = {"epochs": EPOCHS, "steps_per_epoch": STEPS, "steps": EPOCHS * STEPS}
    config = OmegaConf.create({**parts, "lengths": lengths})
    config.optimizer.lr = 1.0
    node = OmegaConf.to_container(config, resolve=True)
    assert isinstance(node, dict)
    return simulate(build_stepper(node), [STEPS] * EPOCHS)[0]


@s.styled
def figure() -> Figure:
    """One panel a schedule."""
    names = sorted(path.stem for path in (CONF / "scheduler").glob("*.yaml"))
    drawn, panels = s.panels(len(names), size=(2.2, 1.5), head=0.35)
    for panel, name in zip(panels, names, strict=False):
        values = rates(name)
        panel.plot(range(1, len(values) + 1), values, color=s.BLUE, linewidth=1.4)
        panel.set_title(name, fontsize=8)
    s.around(
        drawn, title="", x=f"step ({EPOCHS} epochs of {STEPS})", y="learning rate, in units of lr"
    )
    return drawn
