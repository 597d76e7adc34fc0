"""A network in an ONNX file, as one buys it: it tells boxes, and no gradient flows through it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import choice
from simattack.detectors.predictions import check_images, columns, in_order, select, thresholds
from simattack.errors import WeightsError
from simattack.registry import register
from simattack.types import CLASS_NAMES, Detections, Image

if TYPE_CHECKING:
    from torch import Tensor

LAYOUTS = ("anchors", "boxes")
STRIDE_PX = 32
PADDING = 114 / 255


@register("detectors", "onnx")
@dataclass(frozen=True)
class Onnx:
    """A black box: a detector in an ONNX file, as ultralytics exports it.

    Its input is (1, 3, H, W) in 0..1, RGB. The picture is set into its top left corner, never
    resized; what is left over is grey.

    Raises:
        WeightsError: at construction: no file; when first used: not ONNX, or another layout.
    """

    weights: str
    """Path to the .onnx file."""
    layout: str = "anchors"
    """``anchors``: (1, 4 + classes, A), a column each for centre, size [px] and scores.
    ``boxes``: (1, N, 6), corners [px], score, class; such as of a head that needs no NMS."""
    classes: tuple[str, ...] = ()
    """Name of each output; by default as the file's metadata names them."""
    confidence: float = 0.25
    iou: float = 0.6
    """Of two boxes of one class that overlap more, the weaker is dropped."""
    latency_s: float = 0.05

    def __post_init__(self) -> None:
        thresholds(self.confidence, self.iou)
        choice("layout", self.layout, LAYOUTS)
        object.__setattr__(self, "classes", tuple(self.classes))  # YAML gives a list
        if not self.path.is_file():
            raise WeightsError(f"expected an .onnx file at {self.path}, found no file")
        if self.classes:
            columns(self.classes, self.path)

    def __getstate__(self) -> dict[str, Any]:
        # The recipe travels to other processes, the session does not.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def path(self) -> Path:
        return Path(self.weights).expanduser()

    @cached_property
    def _session(self) -> Any:
        return _open(self.path, self.path.stat().st_mtime_ns)

    @cached_property
    def _columns(self) -> tuple[int | None, ...]:
        if self.classes:
            return columns(self.classes, self.path)
        said = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        try:
            names = ast.literal_eval(said)
            told = [str(names[key]) for key in sorted(names)]
        except (ValueError, SyntaxError, TypeError) as error:
            raise WeightsError(
                f"{self.path} does not name its classes; name them in the option 'classes'"
            ) from error
        return columns(told, self.path)

    def detect(self, images: Image) -> list[Detections]:
        """Boxes above ``confidence``, best first; one image at a time."""
        check_images(images)
        found = []
        for image in images:
            boxes, logits = self._look(image)
            found.append(select(boxes, logits, image.shape[:2], self.confidence, self.iou))
        return found

    def _look(self, image: Image) -> tuple[Tensor, Tensor]:
        """Predictions (A, 4) and (A, 8) of one image (H, W, 3)."""
        import torch

        taken = self._session.get_inputs()[0]
        height, width = image.shape[:2]
        asked = [
            side if isinstance(side, int) else have + -have % STRIDE_PX
            for side, have in zip(taken.shape[2:], (height, width), strict=True)
        ]
        if height > asked[0] or width > asked[1]:
            raise WeightsError(
                f"{self.path} takes pictures of {asked[1]} x {asked[0]} px, got {width} x "
                f"{height}; export it for the camera's size"
            )
        framed = np.full((1, 3, *asked), PADDING, np.float32)
        framed[0, :, :height, :width] = image.transpose(2, 0, 1).astype(np.float32) / 255
        said = np.asarray(self._session.run(None, {taken.name: framed})[0], np.float32)
        boxes, scores = self._sorted(said)
        logits = torch.logit(torch.from_numpy(scores), eps=1e-6)
        return torch.from_numpy(boxes), in_order(logits[None], self._columns)[0]

    def _sorted(self, said: NDArray[np.float32]) -> tuple[NDArray[np.float32], Any]:
        """Corners (A, 4) and scores (A, C) out of what the file says."""
        most = 1 + max(column for column in self._columns if column is not None)
        if self.layout == "anchors":
            if said.ndim != 3 or said.shape[0] != 1 or said.shape[1] < 4 + most:
                raise WeightsError(
                    f"{self.path} says {said.shape}; layout 'anchors' expects (1, 4 + classes, A), "
                    f"with at least {most} classes"
                )
            centre, size = said[0, :2].T, said[0, 2:4].T
            return np.concatenate([centre - size / 2, centre + size / 2], 1), said[0, 4:].T.copy()
        if said.ndim != 3 or said.shape[0] != 1 or said.shape[2] != 6:
            raise WeightsError(f"{self.path} says {said.shape}; layout 'boxes' expects (1, N, 6)")
        scores = np.zeros((said.shape[1], max(most, len(CLASS_NAMES))), np.float32)
        kind = said[0, :, 5].astype(int)
        is_known = (kind >= 0) & (kind < scores.shape[1])
        scores[np.flatnonzero(is_known), kind[is_known]] = said[0, is_known, 4]
        return said[0, :, :4].copy(), scores


@lru_cache(maxsize=4)
def _open(path: Path, modified_ns: int) -> Any:
    """An ONNX Runtime session; ``modified_ns`` only tells a changed file from a known one."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what is wrong is told below, once
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has errors of its own kinds
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} is no ONNX file that can be run: {first}") from error
    taken = session.get_inputs()
    if len(taken) != 1 or len(taken[0].shape) != 4 or taken[0].type != "tensor(float)":
        raise WeightsError(
            f"{path} takes {[(one.shape, one.type) for one in taken]}; expected one float input "
            "(1, 3, H, W)"
        )
    return session
