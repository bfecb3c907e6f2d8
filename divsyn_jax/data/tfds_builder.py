"""Corpora as a TensorFlow dataset, in ArrayRecord files and without TensorFlow: `divsyn_corpus`,
one configuration a level.

  python -m divsyn_jax.data.tfds_builder --input=corpora/topic --level=topic

prepares `divsyn_corpus/topic` in $TFDS_DATA_DIR (or --data_dir, else ~/tensorflow_datasets). From
there it is `tfds:divsyn_corpus/topic:train` for every command here, and for anybody else

  tfds.data_source("divsyn_corpus/topic", split="train")
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from absl import logging
from tqdm import tqdm

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions

NAME = "divsyn_corpus"


def build(
    corpus: Annotated[str, Flag("input", example="corpora/topic")],
    level: Annotated[str, Flag(example="topic")],
    data_dir: str | os.PathLike | None = None,
    options: ReadOptions = ReadOptions(),
) -> int:
    """Prepare `divsyn_corpus/<level>` from a corpus and return how many documents it holds, in the
    order of the corpus.

    Text and whole numbers among the fields of the first document become features of their own, any
    other field JSON text.

    Args:
      corpus: the corpus, in any form that commands here read.
      level: name of the configuration, e.g. that of the diversity level.
      data_dir: where TFDS keeps datasets; by default $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      options: how to read the corpus.

    Raises:
      UserError: a level that is no name or prepared already, an unreadable corpus, or documents of
        unlike fields.
    """
    if not re.fullmatch(r"\w[\w.-]*", level):
        raise UserError(f"--level={level}: give a name of letters, digits, '.', '_' and '-'")
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise UserError("needs tensorflow-datasets: pip install 'divsyn-jax[corpora]'") from None
    first = next(iter(CorpusReader(corpus, options, fields=None)))
    shape = {name: _kind(value) for name, value in _fields(first.text, first.fields).items()}
    config = tfds.core.BuilderConfig(
        name=level, version="1.0.0", description=f"Built from {corpus}"
    )
    builder = _builder_class()(
        corpus, options, shape, config=config, data_dir=data_dir, file_format="array_record"
    )
    if pathlib.Path(builder.data_dir).exists():
        raise UserError(
            f"{builder.data_dir}: prepared before; remove it to build the dataset again"
        )
    tfds.disable_progress_bar()  # ours waits, so that bad input is one line on stderr
    builder.download_and_prepare()
    return builder.info.splits["train"].num_examples


def _fields(text: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "text": text}


def _kind(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return "json"
    return "text" if isinstance(value, str) else "int"


@functools.cache
def _builder_class() -> type:
    import numpy as np
    import tensorflow_datasets as tfds

    # Prepared datasets are found by their files; a registered class would have to know every level
    # beforehand.
    with tfds.core.registered.skip_registration():

        class DivsynCorpus(tfds.core.GeneratorBasedBuilder):
            """Documents with their provenance."""

            name = NAME
            VERSION = tfds.core.Version("1.0.0")

            def __init__(
                self, corpus: str, options: ReadOptions, shape: Mapping[str, str], **kwargs: Any
            ) -> None:
                self._corpus, self._options, self._shape = corpus, options, shape
                super().__init__(**kwargs)

            def _info(self) -> Any:
                kinds = {
                    "text": tfds.features.Text(),
                    "json": tfds.features.Text(),
                    "int": np.int64,
                }
                features = {name: kinds[kind] for name, kind in self._shape.items()}
                return tfds.core.DatasetInfo(
                    builder=self,
                    description=f"Documents of {self._corpus}",
                    features=tfds.features.FeaturesDict(features),
                    disable_shuffling=True,
                )

            def _split_generators(self, download_manager: Any) -> dict[str, Iterator]:
                return {"train": self._generate_examples()}

            def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
                documents = tqdm(
                    CorpusReader(self._corpus, self._options, fields=None),
                    unit="document",
                    mininterval=1,
                    delay=2,
                )
                for index, document in enumerate(documents):
                    fields = _fields(document.text, document.fields)
                    if fields.keys() != self._shape.keys():
                        raise UserError(
                            f"{document.where}: has other fields than the first document; build"
                            " from one kind"
                        )
                    yield (
                        index,
                        {
                            name: json.dumps(value) if self._shape[name] == "json" else value
                            for name, value in fields.items()
                        },
                    )

    return DivsynCorpus


setting_flags.adopt(corpus_flags)
_BUILDING = setting_flags.define(
    build, {"corpora": ["corpus"], "output": ["level", "data_dir"]}, without=["options"]
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(
            f"unexpected argument {arguments[0]!r}; the corpus is given as --input=CORPUS"
        )
    building = _BUILDING.values()
    logging.set_verbosity(logging.ERROR)  # TFDS warns that it does not know the configuration
    documents = build(**building, options=corpus_flags.read_options())
    print(f"tfds:{NAME}/{building['level']}:train: {documents:,} documents")


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
