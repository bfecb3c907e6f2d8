"""Our parameters under the names and shapes of transformers' LlamaForCausalLM and its kin, and
back.

Shapes: torch keeps a matrix as [out, in], we as [in, out] with heads split. Both rotate the halves
of a head, so rotary embeddings need no permutation."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from divsyn_jax.model.parameters import LAYERS, find_parameter


@dataclasses.dataclass(frozen=True)
class Slice:
    """One of their tensors.

    Attributes:
      name, shape: there.
      path: of the parameter here, of which it is the layer `layer` (None: not stacked).
      ours: its shape here.
      inputs: how many of those axes are inputs, see `Parameter`.
    """

    name: str
    shape: tuple[int, ...]
    path: tuple[str, ...]
    layer: int | None
    ours: tuple[int, ...]

    inputs: int

    def to_theirs(self, parameter: np.ndarray) -> np.ndarray:
        """Their tensor, from our whole (stacked) parameter."""
        array = parameter if self.layer is None else parameter[self.layer]
        if self.inputs == 0:
            return array.reshape(self.shape)
        return array.reshape(math.prod(array.shape[: self.inputs]), -1).T

    def to_ours(self, tensor: np.ndarray) -> np.ndarray:
        """Our parameter (or its slice of one layer), from their tensor."""
        return (tensor if self.inputs == 0 else tensor.T).reshape(self.ours)


def slices(abstract_params: Mapping[str, Any]) -> list[Slice]:
    """Every tensor of the exchanged checkpoint, all layers of a parameter in a row, so that one
    parameter is held at a time.

    Raises `UserError` naming a parameter that the table (divsyn_jax/model/parameters.py) lacks.
    """
    found = []
    for name, leaf in abstract_params.items():
        if name != LAYERS:
            found.append(_slice((name,), None, leaf.shape))
            continue
        for part, stacked in leaf.items():
            layers, *ours = stacked.shape
            found += [_slice((name, part), layer, tuple(ours)) for layer in range(layers)]
    return found


def _slice(path: tuple[str, ...], layer: int | None, ours: tuple[int, ...]) -> Slice:
    parameter = find_parameter(path)
    inputs = parameter.inputs
    theirs = ours if inputs == 0 else (math.prod(ours[inputs:]), math.prod(ours[:inputs]))
    if parameter.is_bias:
        theirs = (math.prod(ours),)
    return Slice(parameter.name.format(layer=layer), theirs, path, layer, ours, inputs)


def slice_name(parameter: str) -> str:
    """The name there of a parameter that is not of a layer, e.g. "embedding"."""
    return find_parameter([parameter]).name
