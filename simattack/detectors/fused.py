"""Each convolution of a network and its SiLU in one kernel: looking takes a fifth less on a CPU.

For looking only: these kernels have no gradient. Weights are the same, in float32; logits differ
from those of the plain network by rounding.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn


def fused(network: nn.Module) -> nn.Module:
    """A copy of a fused ultralytics network for the CPU; the network itself where that cannot be.

    It cannot where torch was built without oneDNN, or the network lies on another device.
    """
    import torch

    is_here = next(network.parameters()).device.type == "cpu"
    has_one_dnn = bool(cast(Any, torch.backends.mkldnn).is_available())
    has_kernels = hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(
        torch.ops.aten, "mkldnn_reorder_conv2d_weight"
    )
    if not (is_here and has_one_dnn and has_kernels):
        return network
    copy = deepcopy(network)
    _replace(copy)
    return copy


def _replace(module: nn.Module) -> None:
    from torch import nn
    from ultralytics.nn.modules.conv import Conv, DWConv

    for name, child in module.named_children():
        # Others may do more than a convolution and an activation; they go on as they are.
        if type(child) in (Conv, DWConv) and not hasattr(child, "bn"):
            is_silu = isinstance(child.act, nn.SiLU)
            if not is_silu and not isinstance(child.act, nn.Identity):
                continue
            one = _one_kernel(child.conv, "swish" if is_silu else "none")
            for mark in ("i", "f", "type", "np"):  # where the layer stands in the network
                if hasattr(child, mark):
                    setattr(one, mark, getattr(child, mark))
            setattr(module, name, one)
        else:
            _replace(child)


def _one_kernel(convolution: Any, activation: str) -> nn.Module:
    import torch
    from torch import Tensor, nn

    kernel = cast(Any, torch.ops.mkldnn)._convolution_pointwise
    pack = cast(Any, torch.ops.aten).mkldnn_reorder_conv2d_weight
    size = [list(getattr(convolution, name)) for name in ("padding", "stride", "dilation")]
    groups: int = convolution.groups

    class OneKernel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = convolution.weight, convolution.bias
            self._packed: dict[tuple[int, ...], Tensor] = {}
            """The weights as the kernel wants them for an input of that shape."""

        def forward(self, x: Tensor) -> Tensor:
            shape = tuple(x.shape)
            if shape not in self._packed:
                self._packed[shape] = pack(self.weight.to_mkldnn(), *size, groups, shape)
            found: Tensor = kernel(
                x, self._packed[shape], self.bias, *size, groups, activation, [], ""
            )
            return found

    return OneKernel()
