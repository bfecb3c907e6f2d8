"""Who embeds the documents of a score, whoever judges its draws."""

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.agents.base import Agent, Embedder
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.settings import ScoreSettings


def beside(
    agent: Agent, settings: ScoreSettings, name: str, sample: Sample
) -> tuple[Embedder | None, str]:
    """Who embeds the documents: the agent itself where it can, or one beside it.

    Where nobody does, the reason stands beside None: nothing needs vectors, no model is installed,
    or it cannot spell the documents.
    """
    if isinstance(agent, Embedder):
        return agent, ""
    if not (agent.kind.embeddings_beside and (settings.control_variate or settings.baselines)):
        return None, baselines.NO_EMBEDDINGS
    from divsyn_jax.diversity.agents.embedding import make_embedding_agent

    try:
        made = make_embedding_agent(settings, {})
    except UserError:  # scoring by an endpoint needs no model on this machine
        return None, baselines.NO_EMBEDDINGS
    try:
        made.reading(sample).require_readable(name)
    except UserError as unreadable:
        return None, str(unreadable)
    return made, ""
