"""Bones lie inside the figure that is drawn, at every phase of its stride."""

import math

import numpy as np
import pytest

from simattack.geometry import compose
from simattack.server import skeleton
from simattack.server.blueprints import BLUEPRINTS
from simattack.server.render import people
from simattack.server.skeleton import Figure, bones
from simattack.types import Pose

ADULT = BLUEPRINTS["walker.pedestrian.0001"].size_m
CHILD = BLUEPRINTS["walker.pedestrian.0009"].size_m
NOMINAL = people.WALKER_SIZE
WHERE = Pose(5.0, -3.0, 0.2, yaw_rad=1.0)


def place(bone):
    return np.array([bone.x_m, bone.y_m, bone.z_m])


def components(size=NOMINAL, gait=0.0, figure=None):
    return {bone.name: place(bone.component) for bone in bones(Pose(), size, gait, figure)}


@pytest.mark.parametrize("step", range(people.PHASES + 1))
def test_every_joint_lies_within_a_hands_breadth_of_the_drawn_figure(step):
    gait = 0.0 if step == people.PHASES else 2 * math.pi * step / people.PHASES or 2 * math.pi
    drawn = people.walker(step)[:, :3]
    found = components(gait=gait)
    for name in skeleton.PARENTS:
        if name != "crl_root":
            away = np.linalg.norm(drawn - found[name], axis=1).min()
            assert away < 0.18, f"{name} is {away:.2f} m from the mesh"
    for name in ("hand", "foot", "toeEnd", "leg", "foreArm"):
        for side in "LR":  # thin limbs: nearer
            joint = found[f"crl_{name}__{side}"]
            assert np.linalg.norm(drawn - joint, axis=1).min() < 0.075
            assert (joint[1] < 0) == (side == "L")


def test_bones_scale_with_the_walker_and_stand_on_the_ground():
    adult, child = components(ADULT), components(CHILD)
    for name in skeleton.PARENTS:
        assert child[name][2] == pytest.approx(adult[name][2] * CHILD[2] / ADULT[2])
    assert 0.0 < child["crl_toe__L"][2] < 0.1
    assert 0.85 < child["crl_Head__C"][2] / CHILD[2] < 0.95


def test_parents_and_relative_poses_lead_to_the_world_poses():
    placed = {"": WHERE}
    for bone in bones(WHERE, ADULT, 1.3):
        chained = compose(placed[skeleton.PARENTS[bone.name]], bone.relative)
        placed[bone.name] = chained
        assert place(bone.world) == pytest.approx(place(chained), abs=1e-9)
        assert place(bone.world) == pytest.approx(place(compose(WHERE, bone.component)))
    assert list(placed)[1:3] == ["crl_root", "crl_hips__C"]


def test_a_set_pose_shows_as_far_as_it_is_blended_in():
    raised = Pose(pitch_rad=math.pi / 2)  # the left arm, straight out to the front
    before = {b.name: b for b in bones(WHERE, ADULT, 0.0)}
    arm = before["crl_arm__L"].relative
    raised = Pose(arm.x_m, arm.y_m, arm.z_m, math.pi / 2)
    hands = []
    for blend in (0.0, 0.5, 1.0):
        figure = Figure({"crl_arm__L": raised}, blend)
        after = {b.name: b for b in bones(WHERE, ADULT, 0.0, figure)}
        hands.append(place(after["crl_hand__L"].component))
        turned = after["crl_arm__L"].relative.pitch_rad
        assert turned == pytest.approx(arm.pitch_rad + blend * (math.pi / 2 - arm.pitch_rad))
        assert place(after["crl_hand__R"].world) == pytest.approx(
            place(before["crl_hand__R"].world)
        )
    assert hands[0] == pytest.approx(place(before["crl_hand__L"].component))
    assert hands[0][0] < hands[1][0] - 0.1 < hands[2][0] - 0.2
    assert hands[2][2] > hands[0][2] + 0.3


def test_halfway_between_two_turns_is_half_the_angle_about_their_axis():
    figure = Figure({"crl_Head__C": Pose(0.0, 0.0, 0.1, yaw_rad=1.2)}, 0.5)
    head = {b.name: b for b in bones(Pose(), ADULT, 0.0, figure)}["crl_Head__C"]
    assert head.relative.yaw_rad == pytest.approx(0.6)
    assert (head.relative.pitch_rad, head.relative.roll_rad) == pytest.approx((0.0, 0.0))
