"""A run becomes a directory that transformers loads, and a checkpoint of Llama's kin becomes a run.

The command is divsyn_jax/export.py.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.stop_tokens import STOPS_FILE
from divsyn_jax.data.tokenizer import Tokenizer
from divsyn_jax.huggingface import (
    architectures,
    hostile_config,
    llama,
    model_card,
    tensor_files,
    tokenizer_files,
)
from divsyn_jax.huggingface.gguf_checkpoint import GgufCheckpoint
from divsyn_jax.huggingface.gguf_tokenizer import write_gguf_tokenizer
from divsyn_jax.model import decoder
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.training import trained_run
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.recipe import (
    CheckpointConfig,
    DataConfig,
    EvalConfig,
    LogConfig,
    OptimizerConfig,
    Recipe,
)

GGUF_SUFFIX = ".gguf"
# What an export consists of: an output folder that holds anything else is not replaced.
_WRITTEN = (
    *(
        "*.safetensors",
        tensor_files.INDEX_FILE,
        "config.json",
        STOPS_FILE,
        "README.md",
    ),
    *("tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", TEMPLATE_FILE),
)


def export_run(
    workdir: pathlib.Path, output: pathlib.Path, max_file_bytes: int, step: int | None = None
) -> None:
    """Write the checkpoint of `step` (default: the newest) as a Hugging Face directory.

    Raises `UserError` for a bad run.
    """
    files.check_replaceable(output, _WRITTEN)
    run = trained_run.open_run(workdir)
    recipe, tokenizer = run.recipe, run.tokenizer
    abstract = run.abstract_params()
    slices = llama.slices(abstract)
    of_parameter: dict[tuple[str, ...], list[llama.Slice]] = {}
    for piece in slices:
        of_parameter.setdefault(piece.path, []).append(piece)
    with (
        contextlib.closing(run.checkpoints()) as checkpoints,
        files.new_directory(output, _WRITTEN) as folder,
    ):
        progress = checkpoints.read_progress(step)

        def tensors():
            for path, parameter in checkpoints.stream_params(abstract, progress["step"]):
                for piece in of_parameter[path]:
                    yield piece.name, piece.to_theirs(parameter)
                del parameter  # before the next is read

        tensor_files.write_tensors(
            folder, {piece.name: piece.shape for piece in slices}, tensors(), max_file_bytes
        )
        config = architectures.to_config(
            recipe.model, recipe.seq_len, tokenizer.bos_id, tokenizer.eos_id
        )
        files.write_json(folder / "config.json", config)
        stops = run.stops if len(run.stops) > 1 else tokenizer.eos_id
        special = {"bos_token_id": tokenizer.bos_id, "eos_token_id": stops}
        files.write_json(
            folder / STOPS_FILE, {**special, "do_sample": False, "max_length": recipe.seq_len}
        )
        tokenizer_files.export(workdir / "tokenizer", tokenizer, recipe.seq_len, folder)
        chat = (folder / TEMPLATE_FILE).exists()
        card = model_card.write_model_card(
            recipe, progress, _evaluation_of(workdir, progress), chat, tokenizer.puts_bos
        )
        files.write_text(folder / "README.md", card)


def import_checkpoint(source: pathlib.Path, workdir: pathlib.Path) -> None:
    """Make a run directory of a Hugging Face directory, or of a GGUF file (see architectures.py).

    Raises `UserError` naming what cannot be imported.
    """
    if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise UserError(f"{workdir}: exists already; import into a new --workdir")
    if source.suffix == GGUF_SUFFIX and not source.is_dir():
        gguf = GgufCheckpoint(source)
        config, place, tensors = gguf.config, str(source), gguf.tensors
    else:
        if not contained(source, "config.json", str(source)).is_file():
            raise UserError(
                f"{source}: no config.json here; name the directory of a Hugging Face checkpoint,"
                " or a .gguf file"
            )
        gguf = None
        config, place = files.read_json(source / "config.json"), str(source / "config.json")
        tensors = tensor_files.open_tensors(source)
    shape, context = architectures.from_config(config, place)
    one_of_each_size = {
        "model.embed_tokens.weight": (shape.vocab_size, shape.hidden),
        "model.layers.0.mlp.gate_proj.weight": (shape.intermediate, shape.hidden),
        "model.layers.0.self_attn.q_proj.weight": (shape.heads * shape.head_dim, shape.hidden),
        "model.layers.0.self_attn.k_proj.weight": (shape.kv_heads * shape.head_dim, shape.hidden),
    }
    shapes = {name: tensor[0] for name, tensor in tensors.items()}
    hostile_config.check_sizes(shape.layers, shapes, one_of_each_size, str(source))
    abstract = jax.eval_shape(lambda: decoder.init_params(shape, 0))
    slices = llama.slices(abstract)
    _check_tensors(slices, tensors, source)
    pieces = [(piece, _finite(source, piece.name, tensors[piece.name][1])) for piece in slices]
    recipe = _imported_recipe(shape, context)
    identity = {"imported_from": source.resolve().name}
    with files.new_directory(workdir) as folder:
        tokenizer = _import_tokenizer(source, gguf, context, folder)
        if tokenizer.vocab_size > shape.vocab_size:
            raise UserError(
                f"{source}: its tokenizer has {tokenizer.vocab_size} ids, its model only"
                f" {shape.vocab_size}"
            )
        # Parameters are put together in files, and mapped: Orbax writes arrays that live on the CPU
        # without copying them.
        with (
            tempfile.TemporaryDirectory(dir=folder) as scratch,
            jax.default_device(jax.devices("cpu")[0]),
        ):
            params = jax.tree_util.tree_map_with_path(
                lambda path, leaf: _assembled(path, leaf, pieces, pathlib.Path(scratch)),
                abstract,
            )
            with contextlib.closing(Checkpoints(folder, 1, 0)) as checkpoints:
                checkpoints.save_params(params, {"step": 0, "data": identity})
            del params
        files.write_json(folder / "config.json", recipe.to_dict())
        files.write_json(folder / "DONE", {"step": 0, "data": identity})


def _import_tokenizer(
    source: pathlib.Path, gguf: GgufCheckpoint | None, context: int, folder: pathlib.Path
) -> Tokenizer:
    if gguf is None:
        return tokenizer_files.import_files(source, folder / "tokenizer")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        write_gguf_tokenizer(gguf.header, context, pathlib.Path(scratch))
        try:
            return tokenizer_files.import_files(pathlib.Path(scratch), folder / "tokenizer")
        except UserError as error:  # it knows the scratch alone, which nobody can mend
            raise UserError(
                str(error).replace(f"hf:{scratch}", scratch).replace(scratch, str(source))
            ) from None


def _assembled(
    path: tuple,
    leaf: jax.ShapeDtypeStruct,
    pieces: Sequence[tuple[llama.Slice, Callable[[], np.ndarray]]],
    scratch: pathlib.Path,
) -> jax.Array:
    keys = tuple(entry.key for entry in path)
    # .npy files align their data, which is what lets JAX use it where it lies.
    array = np.lib.format.open_memmap(
        scratch / f"{'.'.join(keys)}.npy", "w+", leaf.dtype, leaf.shape
    )
    for piece, read in pieces:
        if piece.path == keys:
            array[... if piece.layer is None else piece.layer] = piece.to_ours(read())
            array.flush()
    return jax.device_put(np.asarray(array), may_alias=True)


def _finite(
    source: pathlib.Path, name: str, read: Callable[[], np.ndarray]
) -> Callable[[], np.ndarray]:
    """`read`, which then raises `UserError` where the tensor holds what no training leaves."""

    def checked() -> np.ndarray:
        values = read()
        if not np.isfinite(values).all():
            raise UserError(
                f"{source}: tensor {name!r} holds NaN or infinity, and every text would be scored"
                " so; fetch the checkpoint again, or take one that was saved before it diverged"
            )
        return values

    return checked


def _check_tensors(
    slices: list[llama.Slice], tensors: dict[str, Any], source: pathlib.Path
) -> None:
    wanted = {piece.name: piece.shape for piece in slices}
    # Old checkpoints carry the rotary frequencies; tied ones may repeat the embedding as the head.
    spare = {name for name in tensors if name.endswith("rotary_emb.inv_freq")} | {"lm_head.weight"}
    for name in sorted(set(tensors) - set(wanted) - spare):
        raise UserError(
            f"{source}: tensor {name!r} has no place in the model that its config.json describes"
        )
    for name, shape in wanted.items():
        if name not in tensors:
            raise UserError(
                f"{source}: tensor {name!r} is missing, which the model that its config.json"
                " describes has; fetch the checkpoint again, whole"
            )
        if tensors[name][0] != shape:
            raise UserError(
                f"{source}: tensor {name!r} is {tensors[name][0]}, not {shape} as config.json says"
            )
    head = llama.slice_name("head")
    if head in tensors and head not in wanted:
        _check_tied(tensors, llama.slice_name("embedding"), head, source)


def _check_tied(tensors: dict[str, Any], embedding: str, head: str, source: pathlib.Path) -> None:
    """Refuse a head of its own beside a flag that says it is the embedding."""
    (shape, read), (head_shape, read_head) = tensors[embedding], tensors[head]
    if shape != head_shape or not np.array_equal(read(), read_head()):
        raise UserError(
            f"{source}: config.json says tie_word_embeddings=true, but tensor {head!r} differs from"
            f" {embedding!r}; set it to false, or take the tensor out"
        )


def _imported_recipe(shape: ModelConfig, context: int) -> Recipe:
    """The recipe of a run that was never trained here:

    its shape and context are what is true of it.
    """
    return Recipe(
        steps=1,
        global_batch=1,
        seq_len=context,
        model=shape,
        optimizer=OptimizerConfig(
            peak_lr=0.0, schedule="constant", warmup_steps=0, weight_decay=0.0, clip_norm=0.0
        ),
        data=DataConfig(train=""),
        checkpoint=CheckpointConfig(every_steps=0, keep=1),
        eval=EvalConfig(batch=8),
        log=LogConfig(tracker="none"),
    )


def _evaluation_of(workdir: pathlib.Path, progress: dict[str, Any]) -> dict[str, Any]:
    """eval.json, when it is of this checkpoint."""
    if not (workdir / "eval.json").is_file():
        return {}
    evaluation = files.read_json(workdir / "eval.json")
    identity = evaluation.get("checkpoint")  # not in files of versions that named the step alone
    if identity is None:
        return evaluation if evaluation.get("step") == progress["step"] else {}
    return evaluation if identity == trained_run.checkpoint_identity(progress) else {}
