"""G-Vendi: the Vendi score of what documents would teach a small model, their gradients.

JAX is imported only here, when it is asked for. Shapes: N documents, E dimensions kept."""

import pathlib
from typing import Any

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Settings,
    Value,
    register,
)
from divsyn_jax.diversity.baselines.embedding import FIXED_SIZE
from divsyn_jax.diversity.baselines.vendi import vendi_score

GRADIENT_DIMENSIONS = 1024


def gvendi(vectors_NE: np.ndarray) -> float:
    """exp of the Shannon entropy of the eigenvalues of the mean outer product of unit gradients, in
    [1, min(N, E)] (Jung et al. 2025, arXiv 2505.20161; gradients are projected to 1,024 dimensions
    there, too)."""
    return vendi_score(vectors_NE)


def _gradients(reading: BaselineInputs) -> Any:
    """Of the documents that vectors are made of, as many as every compared corpus has."""
    from divsyn_jax.training.document_gradients import document_gradients
    from divsyn_jax.training.trained_run import open_run

    texts = reading.texts[: reading.shared.documents]
    run = open_run(pathlib.Path(reading.settings.proxy))
    return document_gradients(run, texts, GRADIENT_DIMENSIONS, reading.settings.seed)


def _gvendi(reading: BaselineInputs) -> Value:
    found = reading.once(_gradients)
    documents = len(found.vectors_NE)
    warning = None
    if found.cut:
        warning = (
            f"{found.cut:,} of {documents:,} documents are longer than the proxy's window, of which"
            " the window alone was read"
        )
    details = {
        "proxy": reading.settings.proxy,
        "checkpoint": found.checkpoint,
        "parameters": found.parameters,
        "dimensions": GRADIENT_DIMENSIONS,
        "documents": documents,
        "cut_documents": found.cut,
    }
    return Value(gvendi(found.vectors_NE), FIXED_SIZE, warning=warning, details=details)


def _check_proxy(settings: Settings) -> None:
    if settings.proxy and not (pathlib.Path(settings.proxy) / "config.json").is_file():
        raise UserError(
            f"--proxy={settings.proxy}: no run here (config.json is missing); train one with python"
            " -m divsyn_jax.train"
        )


register(
    Baseline(
        "gvendi",
        _gvendi,
        needs="proxy",
        direction="up",
        meaning=(
            "exponential entropy of the eigenvalues of the documents' unit gradients in a run of"
            " ours (--proxy), projected to 1,024 dimensions"
        ),
        source="Jung et al. 2025, arXiv 2505.20161",
        depends_on="number of documents, document length, the proxy",
        check=_check_proxy,
        title="G-Vendi",
    )
)
