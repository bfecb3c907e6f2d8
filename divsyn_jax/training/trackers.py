"""Where a run's scalars are shown beside metrics.jsonl: TensorBoard, W&B, Trackio.

One of them is one function and one row of `_STARTERS`; its library is imported when asked for.
"""

import pathlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError


class Tracker(Protocol):
    """Something that is told the scalars of every step that is logged."""

    def log(self, scalars: Mapping[str, Any], step: int) -> None:
        """Tell it the scalars of one step."""

    def close(self) -> None:
        """Tell it that the run ends here."""


class _TensorBoard:
    """Event files in the run directory."""

    def __init__(self, folder: pathlib.Path, restored_step: int) -> None:
        import tensorboardX

        self._events = tensorboardX.SummaryWriter(str(folder), purge_step=restored_step + 1)

    def log(self, scalars: Mapping[str, Any], step: int) -> None:
        for name, value in scalars.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        self._events.close()


class _Run:
    """A run of W&B or of Trackio, which have one interface."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, scalars: Mapping[str, Any], step: int) -> None:
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        self._run.finish()


def start_trackers(
    names: tuple[str, ...],
    project: str,
    workdir: pathlib.Path,
    restored_step: int,
    recipe: Mapping[str, Any],
) -> list[Tracker]:
    """The trackers asked for; a continued run is the same run to each of them.

    Args:
      names: some of `recipe.TRACKERS`.
      project: whose run this is, for those that know projects.
      workdir: the run directory.
      restored_step: the step that the run goes on from: later ones are written again.
      recipe: what the run's settings are said to be.

    Raises:
      UserError: a library is missing, or refuses (no key, no network).
    """
    started: list[Tracker] = []
    try:
        for name in names:
            started.append(_start(name, project, workdir, restored_step, recipe))
    except BaseException:
        for tracker in started:
            tracker.close()
        raise
    return started


def _start(
    name: str, project: str, workdir: pathlib.Path, restored_step: int, recipe: Mapping[str, Any]
) -> Tracker:
    try:
        return _STARTERS[name](project, workdir, restored_step, recipe)
    except ModuleNotFoundError as error:
        library = "tensorboardX" if name == "tensorboard" else name
        if error.name != library:
            raise
        extra = "train" if name == "tensorboard" else name
        raise UserError(
            f"log.tracker names {name}, and {library} is not installed: pip install"
            f" 'divsyn-jax[{extra}]', or --config.log.tracker=none"
        ) from None


def _tensorboard(
    project: str, workdir: pathlib.Path, restored_step: int, recipe: Mapping[str, Any]
) -> Tracker:
    return _TensorBoard(workdir / "tensorboard", restored_step)


def _wandb(
    project: str, workdir: pathlib.Path, restored_step: int, recipe: Mapping[str, Any]
) -> Tracker:
    """W&B finds its key by itself."""
    import wandb

    try:
        run = wandb.init(
            project=project,
            name=workdir.name,
            id=_identity(workdir / "wandb_id"),
            resume="allow",
            config=dict(recipe),
            dir=str(workdir),
        )
    except wandb.errors.Error as error:  # no key, no network
        raise UserError(
            f"log.tracker=wandb, project {project!r}: {str(error).splitlines()[0]}; wandb login,"
            " or WANDB_MODE=offline"
        ) from None
    return _Run(run)


def _trackio(
    project: str, workdir: pathlib.Path, restored_step: int, recipe: Mapping[str, Any]
) -> Tracker:
    """Trackio writes to this machine alone, unless its own variables name another place."""
    import trackio

    run = trackio.init(
        project=project,
        # A run is known by its name; directories of one name are other runs.
        name=f"{workdir.name}-{_identity(workdir / 'trackio_id')[:8]}",
        resume="allow",
        config=dict(recipe),
    )
    return _Run(run)


def _identity(path: pathlib.Path) -> str:
    """What the run is known by, kept in its directory."""
    if not path.exists():
        files.write_text(path, uuid.uuid4().hex)
    return path.read_text()


_STARTERS: Mapping[str, Callable[[str, pathlib.Path, int, Mapping[str, Any]], Tracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
}
