"""What is graded, and on what: every setting of `grade_metric`.

Its flags are made from `GradeSettings`, so that importing it loads nothing heavy.
"""

import dataclasses
import pathlib
from typing import Annotated, Literal

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag

ALL_METRICS = "all"
LEAST_DOCUMENTS = 64  # twice the topics of the built-in grammar, and some for every other knob


@dataclasses.dataclass(frozen=True)
class GradeSettings:
    """What to grade, and on what.

    Attributes:
      metric: all (ours and the published ones that are here), some of those by name, or
        module:function of your own, a list of texts to a number; comma-separated.
      output: directory to write to.
      direction: whether a more diverse corpus has a higher (up) or lower (down) value of your
        metric, unless the function has an attribute direction.
      effective_number: your metric claims to count kinds, unless the function has an attribute
        effective_number.
      python: interpreter of another environment in which module:function is installed.
      ladders: JSON of ladders of corpora in increasing diversity, as calibrate_agent takes; by
        default ladders of the built-in grammar.
      label_field: field that holds a document's true kind in the ladders: FIELD, or
        LADDER=FIELD,..., or both.
      people: JSONL of sets of texts that people scored, with the fields texts, human, test and
        task.
      study: study.json of a finished study, whose corpora lie where it says.
      documents: documents of a corpus, at most.
      factorial_seeds: times that the sixteen factorial corpora are written anew.
      seed: of samples and of written corpora.
      embedding_model: sentence-transformers model, a folder or hub name, for the metrics that read
        vectors (needs the extra 'embeddings'); by default all-MiniLM-L6-v2 in JAX.
      embedding_cache: directory that keeps embeddings between runs; by default OUTPUT/embeddings.

    Raises `UserError` for a value that cannot be used.
    """

    metric: Annotated[tuple[str, ...], Flag(example=ALL_METRICS)]
    output: Annotated[pathlib.Path, Flag(example="grades")]
    direction: Literal["up", "down"] = "up"
    effective_number: bool = False
    python: pathlib.Path | None = None
    ladders: pathlib.Path | None = None
    label_field: str = ""
    people: pathlib.Path | None = None
    study: pathlib.Path | None = None
    documents: int = 300
    factorial_seeds: Annotated[int, Flag(at_least=1)] = 1
    seed: Annotated[int, Flag(at_least=0)] = 0
    embedding_model: str | None = None
    embedding_cache: pathlib.Path | None = None

    def __post_init__(self) -> None:
        if self.documents < LEAST_DOCUMENTS:
            raise UserError(
                f"--documents={self.documents}: give {LEAST_DOCUMENTS} or more, twice the topics"
                " of the largest corpus"
            )
        if self.label_field and self.ladders is None:
            raise UserError(
                f"--label_field={self.label_field}: labels belong to corpora given by --ladders"
            )
        for flag in ("ladders", "people", "study"):
            path = getattr(self, flag)
            if path is not None and not path.is_file():
                raise UserError(f"--{flag}={path}: no such file")
