"""Who embeds the documents of a score, whoever judges its draws."""

from typing import TYPE_CHECKING

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.agents.base import Agent
from divsyn_jax.diversity.sampling import Sample

if TYPE_CHECKING:
    from divsyn_jax.diversity.agents.embedding import EmbeddingAgent
    from divsyn_jax.diversity.scoring import ScoreSettings


def beside(
    agent: Agent, settings: "ScoreSettings", name: str, sample: Sample
) -> "tuple[EmbeddingAgent | None, str]":
    """Who embeds the documents, or nobody and the reason:

    beside the oracle, or where nothing needs it, no model is installed or it cannot spell them.
    """
    from divsyn_jax.diversity.agents.embedding import EmbeddingAgent

    if isinstance(agent, EmbeddingAgent):
        return agent, ""
    if agent.kind == "oracle" or not (settings.control_variate or settings.baselines):
        return None, baselines.NO_EMBEDDINGS
    try:
        made = EmbeddingAgent(
            settings.threshold, settings.embedding_cache, settings.embedding_model
        )
    except UserError:  # scoring by an endpoint needs no model on this machine
        return None, baselines.NO_EMBEDDINGS
    try:
        made.reading(sample).require_readable(name)
    except UserError as unreadable:
        return None, str(unreadable)
    return made, ""
