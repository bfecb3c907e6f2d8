"""What else a score is asked for: one calibrated or judged number, and diversity within groups.

Nothing heavy is imported here: flags are made from it.
"""

import dataclasses
import hashlib
import pathlib
from typing import Annotated, Any

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag

PAIR_JUDGES = ("openai",)
LEAST_PAIRS = 24  # a pilot of fewer sees hardly a stratum


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """How to make one number of effective clusters, and whether groups are looked into.

    Attributes:
      calibration: calibration.json of labelled documents of the same kind of text, as
        calibrate_agent --save writes it.
      pair_judge: who says of pairs of documents whether both are of one kind: an endpoint (openai,
        by --base_url and --model).
      pairs: pairs that are judged, control pairs apart.
      pairs_out: CSV file to write pairs to, for people to judge; then nothing is scored.
      pairs_in: that file with the answers; two or more, one of each reader, are separated by
        commas.
      group_field: field that names the group of a document, e.g. the prompt it answers: diversity
        within groups is measured beside the corpus's.

    Raises `UserError` for a value that cannot be used.
    """

    calibration: pathlib.Path | None = None
    pair_judge: Annotated[str | None, Flag(choices=PAIR_JUDGES)] = None
    pairs: int = 400
    pairs_out: pathlib.Path | None = None
    pairs_in: tuple[str, ...] = ()
    group_field: str | None = None

    def __post_init__(self) -> None:
        if self.pair_judge is not None and self.pair_judge not in PAIR_JUDGES:
            raise UserError(
                f"--pair_judge={self.pair_judge}: choose one of {', '.join(PAIR_JUDGES)}"
            )
        if self.pairs < LEAST_PAIRS:
            raise UserError(f"--pairs={self.pairs}: give {LEAST_PAIRS} or more")
        judges = {
            "--pair_judge": self.pair_judge,
            "--pairs_out": self.pairs_out,
            "--pairs_in": self.pairs_in,
        }
        given = [flag for flag, value in judges.items() if value]
        if len(given) > 1:
            raise UserError(
                f"{' and '.join(given)} do not go together: pairs are judged by an endpoint, or by"
                " people who fill in the file of --pairs_out, which --pairs_in reads"
            )
        if len(set(self.pairs_in)) < len(self.pairs_in):
            raise UserError("--pairs_in names one file twice; give each reader's own")
        if self.group_field == "":
            raise UserError("--group_field is empty; name a field, e.g. --group_field=prompt_id")

    @property
    def need_vectors(self) -> bool:
        """Whether documents must be embedded for them."""
        return bool(self.calibration or self.pair_judge or self.pairs_out or self.pairs_in)

    def for_one_corpus(self) -> str | None:
        """The flag given that speaks of one corpus only; None for none."""
        if self.pairs_out:
            return "--pairs_out"
        return "--pairs_in" if self.pairs_in else None

    def identity(self) -> dict[str, Any]:
        """What determines their numbers, as JSON; empty where nothing is asked for, so that other
        scores keep the identity that they had.
        """
        found: dict[str, Any] = {}
        if self.calibration is not None:
            found["calibration"] = file_fingerprint(self.calibration)
        if self.pair_judge is not None:
            found.update(pair_judge=self.pair_judge, pairs=self.pairs)
        if self.pairs_in:
            found["pairs_in"] = [file_fingerprint(path) for path in self.pairs_in]
        if self.group_field is not None:
            found["group_field"] = self.group_field
        return found


def file_fingerprint(path: str | pathlib.Path) -> str:
    """SHA-256 of a file's bytes; raises `UserError` where there is none."""
    files.check_no_folder(path)
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name another file") from None
