"""The agents there are: what is known of each before one is made.

A new judge is one file in this folder, with a function that makes one, and one row of `AGENTS`.
Nothing heavy is imported here: a command lists the agents in its --help."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class AgentKind:
    """A way to judge.

    Attributes:
      name: what --agent and score.json call it.
      maker: `module:function`; the function makes one of (settings, samples), ready to judge draws
        of these corpora.
      explanation: who grouped the documents, a sentence for readers of a report.
      default_draws: draws of a corpus where --draws says nothing.
      first_look: draws before a stopping rule may stop.
      free: a draw costs next to nothing and has one answer: it is never asked again, and draws of
        other sizes are judged afresh. The draws of an agent that is not free are few: they are
        asked again for its repeatability, cut to smaller sizes, and helped by a control variate.
      asks_endpoint: it needs an endpoint, whose calls a dry run counts.
      reads_labels: it needs the field of the records that holds their labels.
      embeds: it compares documents by their vectors (`base.Embedder`).
      embeddings_beside: sentence embeddings of the documents are taken beside it, where a model is
        installed, for what needs them.
    """

    name: str
    maker: str
    explanation: str
    default_draws: int
    first_look: int
    free: bool
    asks_endpoint: bool = False
    reads_labels: bool = False
    embeds: bool = False
    embeddings_beside: bool = False


_HERE = __package__
EMBEDDING = AgentKind(
    name="embedding",
    maker=f"{_HERE}.embedding:make_embedding_agent",
    explanation="Sentence embeddings grouped the documents: a proxy for judgement by a reader.",
    default_draws=20_000,
    first_look=1000,
    free=True,
    embeds=True,
)
LLM = AgentKind(
    name="openai",
    maker=f"{_HERE}.llm:make_llm_agent",
    explanation="A language model grouped the documents.",
    default_draws=1_000,  # the paper's full run: 5,000
    first_look=100,
    free=False,
    asks_endpoint=True,
    embeddings_beside=True,
)
ORACLE = AgentKind(
    name="oracle",
    maker=f"{_HERE}.oracle:make_oracle_agent",
    explanation="Known labels grouped the documents: no judgement was made.",
    default_draws=20_000,
    first_look=1000,
    free=True,
    reads_labels=True,
)
AGENTS = {kind.name: kind for kind in (EMBEDDING, LLM, ORACLE)}


def agents_with(fact: str) -> str:
    """The agents of which `fact` holds, as a flag names them: `--agent=A or B`."""
    return "--agent=" + " or ".join(name for name, kind in AGENTS.items() if getattr(kind, fact))
