"""Writes tools/benchmarks/tpu_aot.md: both paper presets compiled ahead of time for slices of
several TPU generations.

  make env-tpu && .venv-tpu/bin/python tools/benchmarks/tpu_aot.py

Takes about a minute a row on two cores; needs no TPU.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # beside a compilation that runs already

import dataclasses
import pathlib
import runpy
import subprocess
import sys

import jax

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from divsyn_jax.model import decoder
from divsyn_jax.training.compiler import ahead_of_time
from divsyn_jax.training.recipe import Recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
# (preset, slice, sequences a chip in a micro-batch, remat)
ROWS = [
    ("350m", "v4:2x2x4", 8, "minimal"),
    ("1_4b", "v4:2x2x4", 4, "minimal"),
    ("350m", "v5e:4x4", 4, "full"),
    ("1_4b", "v5e:4x4", 2, "full"),
    ("1_4b", "v6e:4x4", 4, "full"),
    ("1_4b", "v5p:2x2x4", 4, "minimal"),
    ("350m", "v6e:4x4", 8, "full"),
    ("350m", "v5p:2x2x4", 8, "minimal"),
]


def load(preset: str, chips: int, rows: int, remat: str) -> Recipe:
    """The preset with its own global batch, cut into micro-batches of `rows` sequences a chip."""
    config = runpy.run_path(str(ROOT / "configs" / f"{preset}.py"))["get_config"]()
    config.model.update(attention="splash", remat=remat)
    recipe = Recipe.from_config(config.to_dict())
    return dataclasses.replace(
        recipe, accumulation_steps=max(1, recipe.global_batch // (rows * chips))
    )


def main() -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    lines = [
        "# Ahead-of-time compilation for TPU slices",
        "",
        (
            f"Command: `python tools/benchmarks/tpu_aot.py` (Python {sys.version.split()[0]}, jax"
            f" {jax.__version__}, libtpu as it pins, on a 2-core CPU, commit {commit})."
        ),
        (
            "Real train step of the preset (fp32 master weights, bf16 compute, splash attention,"
            " chunked loss, AdamW, FSDP over all chips, sequence 2048,"
        ),
        (
            "the paper's global batch in micro-batches). Bytes and collectives are the compiler's,"
            " for one device and one step; collectives in loops are"
        ),
        (
            "counted once a trip. FLOPs: XLA's count of unrolled layers with plain attention"
            " against the analytic full square. `fits` leaves 3% of HBM free."
        ),
        (
            'A device is a whole chip: v4 as "megacore", its two cores driven as one, as its'
            " machines run."
        ),
        "",
        (
            "| preset | parameters | slice | rows/chip x micro-batches | remat | arguments +"
            " temporaries, GiB | HBM | fits | FLOPs/step, XLA / analytic | collectives (count, GiB)"
            " | compute bound (analytic) |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    counts: dict[str, float] = {}
    for preset, topology, rows, remat in ROWS:
        chip, devices = ahead_of_time.topology_devices(topology)
        recipe = load(preset, len(devices), rows, remat)
        compiled = ahead_of_time.compile_step(recipe, devices)
        if preset not in counts:
            counts[preset] = ahead_of_time.xla_flops_per_token(
                recipe
            ) / ahead_of_time.full_square_flops_per_token(recipe)
        flops = (
            ahead_of_time.full_square_flops_per_token(recipe) * recipe.global_batch * recipe.seq_len
        )
        traffic = ", ".join(
            f"{kind} {t.count}, {t.bytes / ahead_of_time.GIB:.2f}"
            for kind, t in compiled.collectives.items()
        )
        bound = ahead_of_time.roofline(recipe, compiled, chip, len(devices))
        lines.append(
            f"| {preset} | {decoder.count_params(recipe.model):,} | {topology} | {rows} x"
            f" {recipe.accumulation_steps} | {remat} | {compiled.arguments / ahead_of_time.GIB:.2f}"
            f" + {compiled.temporaries / ahead_of_time.GIB:.2f} |"
            f" {chip.hbm / ahead_of_time.GIB:.0f} | {'yes' if compiled.fits(chip) else 'no'} |"
            f" {counts[preset] * flops:.3e} / {flops:.3e} ({counts[preset] - 1:+.1%}) | {traffic} |"
            f" {bound['compute']:.2f} s |"
        )
        print(lines[-1], flush=True)
        (ROOT / "tools" / "benchmarks" / "tpu_aot.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
