"""The flags every command that puts draws to an agent shares."""

from typing import Any

from absl import flags

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.endpoint import flags as endpoint_flags

_AGENT = flags.DEFINE_enum(
    "agent",
    "embedding",
    ["embedding", "openai", "oracle"],
    "Who clusters: embeddings, an LLM endpoint, known labels.",
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.5, "Cosine distance at which --agent=embedding separates clusters."
)
_EMBEDDING_MODEL = flags.DEFINE_string(
    "embedding_model",
    None,
    "Sentence-transformers model, a folder or hub name, that embeds documents (needs the extra"
    " 'embeddings') [all-MiniLM-L6-v2 in JAX].",
)
_CRITERIA = flags.DEFINE_string(
    "criteria",
    None,
    "Criteria file for --agent=openai: a criteria.json of an earlier run, or your own.",
)
_CRITERIA_SETS = flags.DEFINE_integer("criteria_sets", 5, "Independent criteria sets to make (R).")
_CRITERIA_DOCUMENTS = flags.DEFINE_integer(
    "criteria_documents", 5, "Documents a criteria proposal sees (J)."
)
_CRITERIA_PROPOSALS = flags.DEFINE_integer(
    "criteria_proposals", 100, "Proposals a criteria set is merged from (M)."
)
_VERIFICATION = flags.DEFINE_bool(
    "verification", True, "Have the endpoint verify its own clusters."
)
_DOCUMENT_CHARACTERS = flags.DEFINE_integer(
    "document_characters",
    4000,
    "Characters of a document that the endpoint is shown, in all corpora alike.",
)
flags.adopt_module_key_flags(endpoint_flags)


def asked() -> str:
    """The agent asked for."""
    return _AGENT.value


def agent_settings(seed: int) -> dict[str, Any]:
    """The fields of `scoring.ScoreSettings` that say who judges.

    Raises `UserError` naming a bad flag.
    """
    for name in ("base_url", "model", "criteria"):
        if _AGENT.value != "openai" and flags.FLAGS[name].value is not None:
            raise UserError(
                f"--{name} is for --agent=openai, not --agent={_AGENT.value}: add that, or leave"
                " it out"
            )
    return {
        "agent": _AGENT.value,
        "threshold": _THRESHOLD.value,
        "embedding_model": _EMBEDDING_MODEL.value,
        "endpoint": endpoint_flags.settings_from_flags(seed) if _AGENT.value == "openai" else None,
        "judge": JudgeSettings(
            criteria_file=_CRITERIA.value,
            criteria_sets=_CRITERIA_SETS.value,
            criteria_documents=_CRITERIA_DOCUMENTS.value,
            criteria_proposals=_CRITERIA_PROPOSALS.value,
            verification=_VERIFICATION.value,
            document_characters=_DOCUMENT_CHARACTERS.value,
        ),
    }
