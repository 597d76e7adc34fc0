"""Exact checkpoints of a training in ultralytics' hands, and its chances seeded epoch by epoch.

ultralytics keeps averaged weights and the optimiser in half precision and no state of chance: what
goes on from its checkpoint ends elsewhere. So beside its ``last.pt`` lies the whole state of the
last epoch, and every epoch begins with chances of its own seed.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from simattack.errors import SimattackError
from simattack.train.lesson import Teaching


class Checkpoints:
    """Of one training; its methods are ultralytics' callbacks.

    Args:
        folder: that ultralytics saves the run in.
        seed: of the recipe.
        teaching: of the recipe's lesson, whose state is kept, too.
    """

    def __init__(self, folder: Path, seed: int, teaching: Teaching | None) -> None:
        self._folder, self._seed, self._teaching = folder, seed, teaching

    def reseed(self, running: Any) -> None:
        """An epoch begins: the order of windows and what varies them follow from it alone."""
        import torch

        seed = int(np.random.default_rng([self._seed, running.epoch]).integers(2**31))
        # ultralytics draws from all of these.
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        running.train_loader.generator.manual_seed(seed)
        running.train_loader.reset()

    def write(self, running: Any) -> None:
        """An epoch ended: keep all of it, before ultralytics says that it is done."""
        import torch

        state = {
            "network": running.model.state_dict(),
            "averaged": running.ema.ema.state_dict(),
            "updates": running.ema.updates,
            "optimizer": running.optimizer.state_dict(),
            "lesson": {} if self._teaching is None else self._teaching.state(),
        }
        path = self._path(running.epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def tidy(self, running: Any) -> None:
        """``last.pt`` is of this epoch now: the one before is not needed any more."""
        self._path(running.epoch - 1).unlink(missing_ok=True)

    def restore(self, running: Any) -> None:
        """Training starts: if it goes on, exactly from where it was.

        Raises:
            SimattackError: the state of that epoch is missing or damaged.
        """
        import torch

        if not running.start_epoch:
            return
        path = self._path(running.start_epoch - 1)
        try:
            # No pickle that could run code: tensors, numbers and text only.
            state = torch.load(path, weights_only=True)
            running.model.load_state_dict(state["network"])
            running.ema.ema.load_state_dict(state["averaged"])
            running.ema.updates = state["updates"]
            running.optimizer.load_state_dict(state["optimizer"])
            if self._teaching is not None:
                self._teaching.restore(state["lesson"])
        except Exception as error:  # a damaged file can fail in any way
            raise SimattackError(
                f"{path} is not the state of a training ({type(error).__name__}: {error}); "
                f"remove {self._folder.parent} to train anew"
            ) from error

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch_{epoch}.pt"
