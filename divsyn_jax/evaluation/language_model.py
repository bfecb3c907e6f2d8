"""A run as the language model of lm-evaluation-harness. Needs the extra `eval`."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from jax.sharding import Mesh
from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import jinja_template
from divsyn_jax.evaluation.request_cache import RequestCache, request_key
from divsyn_jax.model import continuation_scores as scoring
from divsyn_jax.model import decode
from divsyn_jax.model.decode import Sampling
from divsyn_jax.model.decoder import Params
from divsyn_jax.training.trained_run import TrainedRun


class RunLanguageModel(TemplateLM):
    """Scores and continues text with a run's parameters.

    A text begins with BOS where the tokenizer puts it. Requests go to the device in
    batches of `batch_tokens` tokens, sharded over the mesh; answers are kept in `cache` as they
    come. All processes must make the same requests.

    With `chat` the texts of requests are those of the run's chat template, which may hold control
    ids; else they are plain text.

    Attributes: truncated: requests so far that were longer than the run's context and lost tokens
      on the left.
    """

    def __init__(
        self,
        run: TrainedRun,
        params: Params,
        mesh: Mesh,
        batch_tokens: int,
        cache: RequestCache,
        chat: bool,
    ) -> None:
        super().__init__()
        self._run, self._params, self._mesh = run, params, mesh
        self._batch_tokens, self._cache = batch_tokens, cache
        self._is_chat = chat
        self._chat = jinja_template.load_chat_template(run.workdir / "tokenizer", run.tokenizer)
        self.max_length = run.recipe.seq_len
        self.truncated = 0

    @property
    def eot_token_id(self) -> int:
        return self._run.tokenizer.eos_id

    @property
    def prefix_token_id(self) -> int:
        return self._run.tokenizer.bos_id

    @property
    def tokenizer_name(self) -> str:
        return self._run.tokenizer.sha256

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return self._chat.template if self._chat and chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        if self._chat is None:
            raise UserError(
                f"{self._run.workdir}: the run has no chat template; fine-tune it on conversations"
            )
        return self._chat.render(chat_history, add_generation_prompt)

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """Ids, with BOS in front where the tokenizer puts it, unless `add_special_tokens` is False
        or a chat template wrote BOS already.
        """
        tokenizer = self._run.tokenizer
        [ids] = (tokenizer.encode_rendered if self._is_chat else tokenizer.encode)([string])
        opening = tokenizer.opening_ids
        if add_special_tokens is False or (self._is_chat and ids[:1] == opening):
            return ids
        return [*opening, *ids]

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods of continuations. Raises `UserError` for one that is empty."""
        for request in requests:
            context, continuation = request.args
            if not continuation:
                raise UserError(
                    f"{_named(request)}: an empty choice after {context[-60:]!r} has no likelihood;"
                    " correct or leave out the item"
                )
        return super().loglikelihood(requests, disable_tqdm)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        keys, wanted = [], {}
        for text, context, continuation in requests:
            context = context or [self.prefix_token_id]  # of a context that is a space alone
            if not 0 < len(continuation) <= self.max_length:
                choice = text[1] if text else ""
                raise UserError(
                    f"{self._run.workdir}: the choice {choice[:60]!r} is {len(continuation)} tokens"
                    f" long, and the model's context is {self.max_length}; leave its item out"
                )
            tokens = (context + continuation)[-(self.max_length + 1) :]
            self.truncated += len(tokens) < len(context) + len(continuation)
            key = request_key("loglikelihood", tokens, [len(continuation)])
            keys.append(key)
            if self._cache.get(key) is None:
                wanted[key] = scoring.ContinuationRequest(tokens, len(tokens) - len(continuation))
        names = list(wanted)
        with tqdm(
            total=len(names), desc="log-likelihoods", unit="request", disable=disable_tqdm
        ) as bar:
            for batch in scoring.score_continuations(
                self._run.inference_model,
                self._params,
                self._mesh,
                list(wanted.values()),
                self._batch_tokens,
            ):
                self._cache.put({names[index]: list(answer) for index, answer in batch.items()})
                bar.update(len(batch))
        return [(value, greedy) for value, greedy in map(self._answer, keys)]

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihood of whole texts:

        windows of the run's context, each token predicted once, after one BOS.
        """
        counts, pairs = [], []
        for (text,) in (request.args for request in requests):
            windows = utils.get_rolling_token_windows(
                token_list=self.tok_encode(text, add_special_tokens=False),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            of_text = [("", *utils.make_disjoint_window(window)) for window in windows]
            counts.append(len(of_text))
            pairs += of_text
        scores = iter(self._loglikelihood_tokens(pairs, disable_tqdm))
        return [sum(value for value, _ in itertools.islice(scores, count)) for count in counts]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continuations up to a stop string, EOS or the token limit, with the request's sampling
        settings.
        """
        prepared = [self._generation(*request.args) for request in requests]
        wanted = {
            key: (ids, settings) for key, ids, settings in prepared if self._cache.get(key) is None
        }
        with tqdm(
            total=len(wanted), desc="generations", unit="request", disable=disable_tqdm
        ) as bar:
            for keys in self._generation_batches(wanted):
                texts = self._generate([wanted[key][0] for key in keys], wanted[keys[0]][1])
                self._cache.put(dict(zip(keys, texts, strict=True)))
                bar.update(len(keys))
        return [self._answer(key) for key, *_ in prepared]

    def _answer(self, key: str) -> Any:
        """The answer to a request that was just put to the model, or before."""
        answer = self._cache.get(key)
        assert answer is not None, "every request is answered before its answer is read"
        return answer

    def _generation(
        self, context: str, settings: dict[str, Any]
    ) -> tuple[str, list[int], dict[str, Any]]:
        settings = normalize_gen_kwargs(settings)
        room = self.max_length - settings["max_gen_toks"]
        if room <= 0:
            raise UserError(
                f"{self._run.workdir}: a task asks for {settings['max_gen_toks']} tokens, "
                f"but the model's context is {self.max_length}; leave the task out"
            )
        ids = self.tok_encode(context) or self._run.tokenizer.context_ids
        self.truncated += len(ids) > room
        return request_key("generation", ids[-room:], settings), ids[-room:], settings

    def _generation_batches(
        self, wanted: dict[str, tuple[list[int], dict[str, Any]]]
    ) -> Iterator[list[str]]:
        def order(key: str) -> tuple[str, int]:
            ids, settings = wanted[key]
            return json.dumps(settings, sort_keys=True), -len(ids)

        for _, group in itertools.groupby(sorted(wanted, key=order), lambda key: order(key)[0]):
            keys = list(group)
            while keys:
                ids, settings = wanted[keys[0]]  # the longest
                size = max(1, self._batch_tokens // (len(ids) + settings["max_gen_toks"]))
                yield keys[:size]
                del keys[:size]

    def _generate(self, prompts: Sequence[list[int]], settings: dict[str, Any]) -> list[str]:
        stops = [stop for stop in settings["until"] if stop]
        tokenizer = self._run.tokenizer
        sampling = Sampling()
        if settings.get("do_sample"):
            sampling = Sampling(
                settings["temperature"], settings.get("top_k", 0), settings.get("top_p", 1.0)
            )

        def stopped(row: int, tokens: list[int]) -> bool:
            text = tokenizer.decode_continuation(prompts[row], tokens)
            return any(stop in text for stop in stops)

        written = decode.generate(
            self._run.inference_model,
            self._params,
            self._mesh,
            prompts,
            settings["max_gen_toks"],
            self._run.stops,
            tokenizer.vocab_size,
            sampling,
            stopped,
        )
        return [
            postprocess_generated_text(tokenizer.decode_continuation(prompt, tokens), stops, None)
            for prompt, tokens in zip(prompts, written, strict=True)
        ]


@contextlib.contextmanager
def opened(
    run: TrainedRun,
    params: Params,
    mesh: Mesh,
    batch_tokens: int,
    identity: str,
    chat: bool = False,
) -> Iterator[RunLanguageModel]:
    """The language model of a run's checkpoint called `identity`, with its answers under eval/ in
    the run's folder; with `chat` for texts of its chat template.
    """
    name = f"requests-{identity}-{run.tokenizer.sha256[:8]}.jsonl"
    with contextlib.closing(RequestCache(run.workdir / "eval" / name)) as cache:
        yield RunLanguageModel(run, params, mesh, batch_tokens, cache, chat)


def _named(request: Instance) -> str:
    """The task of a request and the number of its item, for messages."""
    return f"task {request.task_name}, item {request.doc_id}"
