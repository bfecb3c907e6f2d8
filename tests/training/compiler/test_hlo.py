"""Collectives counted from a program whose loops and sizes are known."""

import json
import subprocess
import sys

from divsyn_jax.training.compiler import hlo
from tests.conftest import virtual_devices

SCRIPT = """
import json, jax, jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from divsyn_jax.training.compiler import hlo
mesh = jax.make_mesh((8,), ("d",), axis_types=(AxisType.Auto,))
jax.set_mesh(mesh)
def step(w, x):  # seven layers whose weight is gathered in the loop, then one sum
    def layer(x, w):
        return jnp.tanh(x @ jax.lax.with_sharding_constraint(w, P())), None
    return jnp.sum(jax.lax.scan(layer, x, w)[0])
w = jax.ShapeDtypeStruct((7, 64, 64), jnp.float32, sharding=NamedSharding(mesh, P(None, "d", None)))
x = jax.ShapeDtypeStruct((16, 64), jnp.float32, sharding=NamedSharding(mesh, P("d", None)))
traffic = hlo.collective_traffic(jax.jit(step).lower(w, x).compile().as_text())
print(json.dumps({kind: [t.count, t.bytes] for kind, t in traffic.items()}))
"""

TPU_TEXT = """
%cond.1 (p.1: (s32[], f32[8,4])) -> pred[] {
  %constant.2 = s32[]{:T(128)} constant(5)
  %p.1 = (s32[]{:T(128)}, f32[8,4]{1,0}) parameter(0)
  %get-tuple-element.3 = s32[]{:T(128)} get-tuple-element(%p.1), index=0
  ROOT %lt.4 = pred[]{:T(512)} compare(%get-tuple-element.3, %constant.2), direction=LT
}

%body.1 (p.2: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %all-gather.7 = bf16[16,4]{1,0:T(8,128)(2,1)} all-gather(%x), channel_id=1
  %all-reduce-start.8 = (f32[8,4]{1,0}, f32[6]{0}) all-reduce-start(%y, %z), channel_id=2
}

ENTRY %main.9 (p.3: f32[8,4]) -> f32[8,4] {
  %while.5 = (s32[], f32[8,4]) while(%tuple.1), condition=%cond.1, body=%body.1
  %all-reduce.35 = (f32[1,960]{1,0:T(1,128)S(1)}, f32[960]{0}) all-reduce(%a, %b), channel_id=70
}
"""


# A windowed product unrolled by two, beside a gather in pieces, behind a kernel whose configuration
# spans lines.
WINDOWED = """
%cond.1 (p.1: (bf16[60,4], u32[])) -> pred[] {
  %p.1 = (bf16[60,4], u32[]) parameter(0)
  %constant.2 = u32[]{:T(128)} constant(8)
  %get-tuple-element.3 = u32[]{:T(128)} get-tuple-element(%p.1), index=1
  ROOT %lt.4 = pred[] compare(%get-tuple-element.3, %constant.2), direction=LT
}

%piece.1 (q.1: bf16[60,4]) -> bf16[960,4] {
  ROOT %all-gather.2 = bf16[960,4]{1,0} all-gather(%q.1), channel_id=3, \
backend_config={"async_collective_fusion_config":{"flag_start":"2","flag_end":"8"}}
}

%start.1 (q.2: bf16[60,4]) -> bf16[960,4] {
  ROOT %all-gather.1 = bf16[960,4]{1,0} all-gather(%q.2), channel_id=3, \
backend_config={"async_collective_fusion_config":{"flag_start":"-1","flag_end":"-1"}}
}

%body.1 (p.2: (bf16[60,4], u32[])) -> (bf16[60,4], u32[]) {
  %p.2 = (bf16[60,4], u32[]) parameter(0)
  %one = u32[] constant(1)
  %two = u32[] constant(2)
  %shard = bf16[60,4] get-tuple-element(%p.2), index=0
  %i = u32[] get-tuple-element(%p.2), index=1
  %kernel.1 = f32[4] custom-call(%shard), backend_config={"custom_call_config": {
"xprof_metadata":"{}"
}}, metadata={}
  %other = u32[] add(%i, %one)
  %next = u32[] add(%i, %two)
  %collective-permute.1 = bf16[60,4] collective-permute(%shard), channel_id=1
  %collective-permute.2 = bf16[60,4] collective-permute(%collective-permute.1), channel_id=2
  %fusion.1 = bf16[960,4] fusion(%shard), calls=%piece.1
  ROOT %tuple.1 = (bf16[60,4], u32[]) tuple(%collective-permute.2, /*index=1*/%next)
}

ENTRY %main.9 (p.3: bf16[60,4]) -> bf16[60,4] {
  %fusion.2 = bf16[960,4] fusion(%p.3), calls=%start.1
  %while.5 = (bf16[60,4], u32[]) while(%tuple.0), condition=%cond.1, body=%body.1
}
"""


def test_loops_multiply():
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=virtual_devices(8),
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["all-gather"] == [7, 7 * 64 * 64 * 4]
    assert found["all-reduce"][0] == 1


def test_trip_counts_and_tuples_of_tpu_programs():
    found = hlo.collective_traffic(TPU_TEXT)
    assert found["all-gather"] == hlo.Traffic(5, 5 * 16 * 4 * 2)
    assert found["all-reduce"] == hlo.Traffic(5 + 1, 5 * (8 * 4 + 6) * 4 + 2 * 960 * 4)


def test_what_the_tpu_compiler_unrolls_or_moves_in_pieces_counts_once():
    found = hlo.collective_traffic(WINDOWED)
    assert found["collective-permute"] == hlo.Traffic(4 * 2, 4 * 2 * 60 * 4 * 2)
    assert found["all-gather"] == hlo.Traffic(1, 960 * 4 * 2)
