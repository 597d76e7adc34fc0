"""Lights and signs that say something: where they are and what most pictures read on them.

A place comes about as a stop sign's does (``signs``); a word counts once enough of the newest
pictures that show the post agree on it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.policies.signs import Sighting, SignRules, SignTrack
from simattack.policies.tracking import camera_from_above, is_cut
from simattack.types import Camera, Floats

MOSTLY = 0.85
"""A post is looked for where so much of its height and of its width must be in the picture."""


@dataclass(frozen=True)
class PostRules:
    """When something read counts."""

    size_m: float
    """Height of the housing or the plate, as a box has it."""
    hits: int = 3
    """A word counts once it was read in this many ..."""
    window: int = 5
    """... of this many newest pictures of the post."""
    forget_after: int = 10
    """A post is given up after so many pictures running that should show it and do not."""
    narrowest: float = 0.6
    """Least width over height of a plate that faces the car."""
    is_last: bool = True
    """Whether what was read last counts until something else is: of signs, not of lights."""


class Post:
    """One light or sign as the car remembers it."""

    def __init__(self, first: Sighting, rules: PostRules, camera: Camera) -> None:
        self._rules = rules
        # Confirmation is by words; the track is used for its place alone.
        self.track = SignTrack(
            first,
            SignRules(0.0, rules.hits, rules.window, rules.forget_after, rules.size_m),
            camera,
        )
        self._camera = camera
        self._words: deque[str] = deque(maxlen=rules.window)
        self._shapes: deque[tuple[float, float]] = deque(maxlen=SignTrack.MEMORY)
        """Of each sighting: height above the camera [m], width over height."""
        self.word: str | None = None
        """What it says; None: not sure yet, or not any more."""
        self.unseen = 0
        self.stale = 0
        """Pictures since it was last read."""

    @property
    def place(self) -> Floats:
        """(2,) in odometry [m]."""
        return self.track.place

    @property
    def up_m(self) -> float:
        """Of its middle above the camera; 0 if it was never seen whole."""
        return float(np.median([up for up, _ in self._shapes])) if self._shapes else 0.0

    def sight(self, sighting: Sighting, box: Floats) -> None:
        """Take in where one picture shows it."""
        self.track.add(sighting)
        depth = self.track.expected(sighting.camera)[0]
        up_px = self._camera.height_px / 2 - (box[1] + box[3]) / 2
        aspect = (box[2] - box[0]) / (box[3] - box[1])
        self._shapes.append((float(up_px / self._camera.focal_px * depth), float(aspect)))

    def expected_box(self, camera: Floats) -> Floats | None:
        """(4,) where the camera from above should see it; None behind it, or never seen whole."""
        depth, slope, height = self.track.expected(camera)
        if depth < 1.0 or not self._shapes:
            return None
        up, aspect = np.median(np.array(self._shapes), axis=0)
        x = self._camera.width_px / 2 + self._camera.focal_px * slope
        y = self._camera.height_px / 2 - self._camera.focal_px * up / depth
        half = np.array([aspect * height, height]) / 2
        return np.array([x - half[0], y - half[1], x + half[0], y + half[1]])

    @property
    def newest(self) -> str | None:
        """What the newest picture that it was read in said."""
        return self._words[-1] if self._words else None

    def read(self, word: str) -> None:
        """Count one picture's word."""
        self._words.append(word)
        self.unseen = self.stale = 0
        self._settle()

    def amend(self, word: str) -> None:
        """Take this for the newest picture's word instead, or for its first."""
        if self.stale or not self._words:
            self.read(word)
        else:
            self._words[-1] = word
            self._settle()

    def _settle(self) -> None:
        best, count = Counter(self._words).most_common(1)[0]
        if count >= self._rules.hits:
            self.word = best
        elif not self._rules.is_last:
            self.word = None


class PostTracker:
    """All posts of one size in sight or in memory."""

    def __init__(self, camera: Camera, rules: PostRules) -> None:
        self._camera = camera
        self._rules = rules
        self.posts: list[Post] = []

    def update(self, boxes: Floats, words: Sequence[str], odometry: Floats) -> None:
        """Take in one picture.

        Args:
            boxes: (N, 4) xyxy [px], best first.
            words: what was read on each.
            odometry: (3,) of the moment of capture.
        """
        camera = camera_from_above(odometry, self._camera)
        expected = [post.track.expected(camera) for post in self.posts]
        taken: set[int] = set()
        for box, word in zip(boxes, words, strict=True):
            width, height = box[2] - box[0], box[3] - box[1]
            cut = is_cut(box, self._camera)
            if height < 5.0 or (width < self._rules.narrowest * height and not cut):
                continue
            middle = (box[0] + box[2]) / 2 - self._camera.width_px / 2
            sighting = Sighting(camera, float(middle / self._camera.focal_px), float(height))
            index = self._match(sighting, float(width), cut, expected, taken)
            if index is None:
                if cut:
                    continue  # its size says nothing about where it is
                index = len(self.posts)
                self.posts.append(Post(sighting, self._rules, self._camera))
                expected.append(self.posts[-1].track.expected(camera))
            taken.add(index)
            if not cut:
                self.posts[index].sight(sighting, box)
            self.posts[index].read(word)
        for index, post in enumerate(self.posts):
            if index not in taken:
                post.stale += 1
                post.unseen += self._is_in_view(expected[index])
        self.posts = [post for post in self.posts if self._is_kept(post)]

    def overlooked(self, odometry: Floats, empty: str = "") -> list[tuple[Post, Floats]]:
        """Posts that nothing was read on in the newest picture, with where they should be in it.

        A detector may lose a light that hangs close before the car, or find a part of it: then
        what was read is ``empty``.
        """
        camera = camera_from_above(odometry, self._camera)
        found = []
        for post in self.posts:
            is_lost = post.stale > 0 or (post.newest == empty and post.word not in (None, empty))
            box = post.expected_box(camera) if is_lost else None
            if box is not None and box[3] - box[1] >= 8.0 and self._shows(box):
                found.append((post, box))
        return found

    def _shows(self, box: Floats) -> bool:
        """Whether nearly all of a box is in the picture."""
        end = self._camera.width_px, self._camera.height_px
        inside = np.minimum(box[2:], end) - np.maximum(box[:2], 0)
        return bool((inside > MOSTLY * (box[2:] - box[:2])).all())

    def _match(
        self,
        sighting: Sighting,
        width_px: float,
        cut: bool,
        expected: list[tuple[float, float, float]],
        taken: set[int],
    ) -> int | None:
        reach = 0.03 + width_px / self._camera.focal_px
        best, best_miss = None, reach
        for index, (_, slope, height) in enumerate(expected):
            miss = abs(slope - sighting.slope)
            if index in taken or not np.isfinite(height) or miss >= best_miss:
                continue
            slack = 0.35 + 4.0 / sighting.height_px
            if cut or abs(np.log(height / sighting.height_px)) < slack:
                best, best_miss = index, miss
        return best

    def _is_in_view(self, expected: tuple[float, float, float]) -> bool:
        depth, slope, height = expected
        half_width = self._camera.width_px / 2 / self._camera.focal_px
        return depth > 2.0 and height >= 12.0 and abs(slope) < 0.9 * half_width

    def _is_kept(self, post: Post) -> bool:
        if post.word is None:
            return post.unseen < self._rules.window
        return post.unseen < self._rules.forget_after
