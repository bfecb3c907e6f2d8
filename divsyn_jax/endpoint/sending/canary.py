"""A question with known answers, put before the paid ones: does the endpoint read whole prompts and
keep the schema?

Servers fail here in silence: Ollama cuts prompts to its context and answers HTTP 200, others accept
`response_format` and ignore it. The canary shows as many documents of the same length as the real
prompts, with a code word in the first and in the last, and a schema that holds a value which stands
nowhere else."""

import random
from dataclasses import asdict, dataclass
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.answers import parsing as structured
from divsyn_jax.endpoint.batch_files.batch import AnswerAwaited
from divsyn_jax.endpoint.client import TRUNCATION_REMEDY, Client
from divsyn_jax.endpoint.fence import SYSTEM_NOTE, fence
from divsyn_jax.endpoint.request import ContentFailure, Request

# Reported prompt tokens may fall this far below the lower end of our estimate.
LEAST_REPORTED = 0.85
_OUTPUT_TOKENS = 1000
_TRIES = 3  # a single bad answer is no defect
# The longest that nobody cuts: tried after a long probe failed, to tell a cut prompt from a weak
# model.
_SHORT_DOCUMENTS, _SHORT_CHARACTERS = 2, 120
# From here on the server's own count says that it read the prompt: every tokenizer in use takes
# more tokens than that share of the lower end of our estimate for such words.
_SURELY_READ = 1.1
_SYSTEM = (
    "Two of the documents state a code word. Give each of these two code words under the tag of its"
    " document."
)
_STATEMENT = "The code word of this document is"
_WORDS = """river stone market winter garden letter window bridge copper harvest island engine
marble north orchard paper quiet road silver timber under valley water yellow across before carry
during every follow gather hollow inside joined kept later moved near often passed quickly raised
slowly taken until village walked years"""
_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "zu",
)


class WeakModel(UserError):
    """The endpoint works, and its model cannot do what the canary asks.

    Attributes:
      why: what the model does, a clause whose subject is the model.
    """

    def __init__(self, client: Client, why: str) -> None:
        settings = client.settings
        super().__init__(f"{settings.base_url}: --model={settings.model} {why}")
        self.why = why


@dataclass(frozen=True)
class Probe:
    """What the canary showed; goes into results.

    Attributes:
      mode: rung of the ladder that holds.
      prompt_tokens: as reported; None where the server reports none.
      estimated_low, estimated_high: our own count of the same prompt.
      concessions: what the endpoint does not keep, one line each; show them to the user.
    """

    mode: str
    prompt_tokens: int | None
    estimated_low: int
    estimated_high: int
    concessions: tuple[str, ...]


async def probe(
    client: Client, documents: int, characters: int, weak_models: bool = False
) -> Probe:
    """Try the endpoint with `documents` documents of `characters` characters; a result in the cache
    is taken from there.

    With `weak_models`, what a weak model does is one of the concessions instead of an error.

    Where answers come by batch file, the first question goes along with the others; until its
    answer is there, the result is an empty one and not kept. Raises `UserError`, one line with a
    remedy, when prompts are cut, no rung of the ladder yields
    the schema, or all answers are cut."""
    about = {"canary": client.settings.identity(), "documents": documents, "characters": characters}
    if (recorded := client.cache.fact(about)) is not None:
        return Probe(**{**recorded, "concessions": tuple(recorded["concessions"])})
    concessions: list[str] = []
    while True:
        try:
            result = await _try_rung(client, documents, characters, wait=bool(concessions))
            if isinstance(result, Probe):
                break
            concessions.append(f"{client.mode} is accepted but not kept ({result})")
            if not client.step_down():
                raise WeakModel(
                    client,
                    f"does not answer in the shape asked for, in no mode ({result}); use another"
                    " model or a server that constrains answers to a JSON schema",
                )
        except AnswerAwaited:
            # Its answer comes with those of the first questions, before any that follow from them.
            return Probe(client.mode, None, 0, 0, ())
        except WeakModel as problem:
            if not weak_models:
                raise
            concessions += _of_dialect(client, concessions)
            failed = f"the start-up probe failed: it {problem.why}"
            # Not kept in the cache: it passed nothing.
            return Probe(client.mode, None, 0, 0, (*concessions, failed))
    concessions += _of_dialect(client, concessions)
    if result.prompt_tokens is None:
        concessions.append(
            "prompt tokens are not reported: cut prompts show only in the canary, and usage is"
            " estimated"
        )
    result = Probe(**{**asdict(result), "concessions": (*concessions, *result.concessions)})
    client.cache.keep_fact(about, asdict(result))
    return result


def _of_dialect(client: Client, named: list[str]) -> list[str]:
    """What the endpoint does not take of a question's form, beside the concessions named so far."""
    found = []
    if not client.dialect.system_role:
        found.append(
            "the system role is not supported: the system's text stands at the head of the user's"
            " turn"
        )
    if client.mode != structured.MODES[0] and not any("json_schema" in each for each in named):
        found.append(f"{structured.MODES[0]} is rejected")
    return found


async def _try_rung(client: Client, documents: int, characters: int, wait: bool) -> Probe | str:
    """The result on the client's present mode, or in what way the schema is not kept.

    Without `wait`, `AnswerAwaited` where the first question goes into a batch file."""
    problem, cut, read = "", 0, True
    for attempt in range(_TRIES):
        request, code_words = _question(client.settings.seed, attempt, documents, characters)
        try:
            exchange = await client.exchange(request, wait=wait or attempt > 0)
        except ContentFailure as failure:
            if failure.outcome in ("rejected", "unanswered"):
                raise UserError(
                    f"{client.settings.base_url}: the start-up probe got no answer ({failure})"
                ) from None
            problem = str(failure)
            continue
        parsed, mode = exchange.parsed, exchange.mode
        estimate = tokens.estimate_tokens(
            *(message["content"] for message in structured.messages(request, mode, []))
        )
        reported = exchange.reply.prompt_tokens if exchange.reply.metered else None
        if reported is not None and reported < LEAST_REPORTED * estimate.low:
            raise UserError(
                f"{client.settings.base_url} read {reported} tokens of a prompt of at least"
                f" {estimate.low}: it cuts prompts silently; {TRUNCATION_REMEDY}"
            )
        if parsed.value is None or parsed.problems:
            was_cut = exchange.reply.finish_reason == "length"
            cut += was_cut
            problem = "the answer was cut" if was_cut else parsed.problems[0]
            continue
        unread = [
            place
            for place, (tag, word) in zip(
                ("first", "last"), code_words.items(), strict=False
            )  # one document is both
            if word not in str(parsed.value[tag]).casefold()
        ]
        if unread:
            read = read and reported is not None and reported >= _SURELY_READ * estimate.low
            problem = f"word of the {unread[0]} document"
            continue
        repaired = (
            ("answers need local repair before they fit the schema",) if parsed.coerced else ()
        )
        return Probe(mode, reported, estimate.low, estimate.high, repaired)
    if cut == _TRIES:
        limit = _OUTPUT_TOKENS + client.settings.reasoning_tokens
        raise UserError(
            f"{client.settings.base_url}: --model={client.settings.model} used {limit} output"
            " tokens on the start-up probe and had not answered; a model that reasons first needs"
            " room for it: raise --reasoning_tokens, e.g. to"
            f" {max(4000, 4 * client.settings.reasoning_tokens)}"
        )
    if "the answer stands in " in problem:
        raise UserError(
            f"{client.settings.base_url}: --model={client.settings.model}: {problem}; set the"
            " server's reasoning parser right, or turn the model's thinking (or tools) off there"
        )
    if problem.startswith("word of"):
        unread_for = await _why_unread(client, documents, characters, read)
        raise WeakModel(client, f"did not find the code {problem} of {documents}: {unread_for}")
    return problem


async def _why_unread(client: Client, documents: int, characters: int, read: bool) -> str:
    """The cause that the evidence supports, and its remedy; `read`: the server's counts say that it
    read the whole prompt each time.
    """
    short = documents * characters <= _SHORT_DOCUMENTS * _SHORT_CHARACTERS
    for attempt in range(_TRIES) if not short else ():
        request, code_words = _question(
            client.settings.seed, attempt, _SHORT_DOCUMENTS, _SHORT_CHARACTERS
        )
        try:
            value = (await client.exchange(request)).parsed.value or {}
        except ContentFailure:
            continue
        if all(word in str(value.get(tag)).casefold() for tag, word in code_words.items()):
            if read:
                return (
                    "it finds those of a short prompt, and the server reports that it read all of"
                    " the long one, so the model is too weak for prompts of this length; take"
                    " another --model, or ask with fewer or shorter documents"
                )
            return (
                "it finds those of a short prompt, so the server cuts prompts or the model loses"
                f" its way in long ones; {TRUNCATION_REMEDY}"
            )
    return (
        "it does not find those of a prompt of two short documents either, which no server cuts:"
        " the model is too weak for these questions; take another --model"
    )


def _question(
    seed: int, attempt: int, documents: int, characters: int
) -> tuple[Request, dict[str, str]]:
    """The request and the code words by tag, first document first."""
    generator = random.Random(f"canary {seed} {attempt} {documents} {characters}")
    words = ["".join(generator.choices(_SYLLABLES, k=5)) for _ in range(2)]
    texts = []
    for index in range(documents):
        text = ""
        while len(text) < characters:
            text += " ".join(generator.choices(_WORDS.split(), k=9)).capitalize() + ". "
        # At the outer ends, where a cut from either side begins.
        if index == 0:
            text = f"{_STATEMENT} {words[0]}. {text[: max(0, characters - 50)]}"
        elif index == documents - 1:
            text = f"{text[: max(0, characters - 50)]}. {_STATEMENT} {words[1]}."
        texts.append(text.strip())
    fenced = fence(texts, seed, max(map(len, texts)))
    code_words = {fenced.tags[0]: words[0], fenced.tags[-1]: words[documents > 1]}
    seal = generator.randbytes(4).hex()
    properties: dict[str, Any] = {
        "seal": {"type": "string", "enum": [seal]},
        **{tag: {"type": "string"} for tag in code_words},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    request = Request(
        purpose="canary",
        system=f"{_SYSTEM}\n\n{SYSTEM_NOTE}",
        user=f"{fenced.text}\n\n{_SYSTEM}",
        schema=schema,
        identity={"attempt": attempt},
        max_output_tokens=_OUTPUT_TOKENS,
    )
    return request, code_words
