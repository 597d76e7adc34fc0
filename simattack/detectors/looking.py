"""A network as the car looks through it: without gradients, on a CPU by ONNX Runtime.

The weights are the same and stay float32; logits differ from those that the gradients flow from
by rounding (1e-5). Looking so takes about two thirds of torch's time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import Tensor, nn

OPSET = 17
Look = Callable[["Tensor"], "tuple[Tensor, Tensor]"]
"""(B, 3, H, W) in 0..1, H and W multiples of the stride -> boxes (B, 4, A) as centre and size
[px], class logits (B, C, A)."""


def plain(network: nn.Module) -> Look:
    """The network itself, by torch, with gradients."""
    import torch

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        decoded, outputs = network(images.contiguous(memory_format=torch.channels_last))
        if is_transformer(network):
            # Boxes come in shares of the picture, of the last layer of the decoder alone.
            height, width = images.shape[2:]
            size = decoded.new_tensor([width, height, width, height])
            return (outputs[0][-1] * size).transpose(1, 2), outputs[1][-1].transpose(1, 2)
        return decoded[:, :4], outputs.get("one2many", outputs)["scores"]

    return look


def is_transformer(network: nn.Module) -> bool:
    """Whether it ends in RT-DETR's decoder, which predicts a fixed number of boxes."""
    return type(cast(Any, network).model[-1]).__name__ == "RTDETRDecoder"


def looking(network: nn.Module) -> Look:
    """A fused ultralytics network without gradients, as fast as this machine has it.

    By torch where the network lies on another device, or has something in it that ONNX cannot say:
    RT-DETR's places would stay those of the size it was exported at.
    """
    import torch

    if next(network.parameters()).device.type != "cpu" or is_transformer(network):
        return plain(network)
    try:
        session = _session(network)
    except (RuntimeError, TypeError, ValueError):  # how torch says that it cannot export
        return plain(network)

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = session.run(None, {"images": images.contiguous().numpy()})
        return torch.from_numpy(boxes), torch.from_numpy(logits)

    return look


def _session(network: nn.Module) -> Any:
    """An ONNX Runtime session for images of any size, with as many threads as torch has now."""
    import onnxruntime
    import torch
    from torch import nn

    class Exported(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = deepcopy(network)
            head = cast(Any, self.network).model[-1]
            head.dynamic = True  # anchors follow the picture's size instead of being constants
            self._look = plain(self.network)

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return self._look(images)

    written = BytesIO()
    axes = {
        "images": {0: "b", 2: "h", 3: "w"},
        "boxes": {0: "b", 2: "a"},
        "logits": {0: "b", 2: "a"},
    }
    with warnings.catch_warnings():
        # The tracing exporter is called old, but needs no compiler and takes half a second.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exported().eval(), (torch.zeros(1, 3, 64, 96),), cast(Any, written),
            input_names=["images"], output_names=["boxes", "logits"], dynamic_axes=axes,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take the cores that the server draws with.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        written.getvalue(), options, providers=["CPUExecutionProvider"]
    )
