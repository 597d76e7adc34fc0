"""Rays, LiDAR and radar against closed forms, on scenes of a few triangles."""

import math

import numpy as np
import pytest
from ray_scenes import ROAD, WALL, car, floor, scene, solid, wall

from simattack import geometry
from simattack.errors import ConfigError
from simattack.server.rays import Rays, Scenery, Solid
from simattack.server.render.view import Mover
from simattack.server.sensors import lidar as lidars
from simattack.server.sensors import ranging
from simattack.server.sensors.lidar import Lidar, scan
from simattack.server.sensors.radar import Radar, detect
from simattack.types import Pose

LIDAR = "sensor.lidar.ray_cast"
PLAIN = {"dropoff_general_rate": "0", "dropoff_intensity_limit": "0", "range": "1000"}
STEP_S = 0.05


def measure(rays, pose, seed=0, start_deg=0.0, **attributes):
    device = Lidar.of(LIDAR, {**PLAIN, **{k: str(v) for k, v in attributes.items()}})
    return device, scan(device, rays, pose, start_deg, STEP_S, np.random.default_rng(seed))


def test_ranges_over_a_flat_road_are_height_over_the_sine_of_the_lasers_angle():
    attributes = {"channels": 8, "upper_fov": -3, "lower_fov": -31, "points_per_second": 16000}
    device, found = measure(scene(floor()), Pose(z_m=2.0), **attributes)
    assert device.columns(STEP_S) == 100
    assert found.counts.tolist() == [100] * 8
    ranges = np.linalg.norm(found.points, axis=1).reshape(8, 100)
    for laser, angle in zip(ranges, np.radians(np.linspace(3, 31, 8)), strict=True):
        assert laser == pytest.approx(2.0 / math.sin(angle), rel=1e-5)
    assert found.points[:, 2] == pytest.approx(-2.0, abs=1e-4)
    sines = np.repeat(np.sin(np.radians(np.linspace(3, 31, 8))), 100)
    assert found.cos_incidence == pytest.approx(sines, rel=1e-5)
    assert (found.tag == ROAD).all() and (found.id == 0).all()


def test_intensity_falls_with_range_alone():
    _, found = measure(scene(floor()), Pose(z_m=3.0), atmosphere_attenuation_rate=0.01)
    ranges = np.linalg.norm(found.points, axis=1)
    assert np.ptp(ranges) > 50
    assert found.intensity == pytest.approx(np.exp(-0.01 * ranges), rel=1e-5)


def test_a_lambertian_surface_gives_back_its_part_times_the_cosine():
    _, found = measure(scene(floor()), Pose(z_m=3.0), surface_reflectance="lambertian")
    ranges = np.linalg.norm(found.points, axis=1)
    expected = np.exp(-0.004 * ranges) * lidars.REFLECTANCE[ROAD] * 3.0 / ranges
    assert found.intensity == pytest.approx(expected, rel=1e-4)


def test_nothing_beyond_the_range_is_seen():
    _, found = measure(scene(floor()), Pose(z_m=2.0), range=8)
    ranges = np.linalg.norm(found.points, axis=1)
    assert 0 < len(ranges) < 2816 and ranges.max() < 8


def test_a_turn_goes_on_where_the_last_step_ended_and_covers_each_direction_once():
    device = Lidar.of(LIDAR, {**PLAIN, "rotation_frequency": "5", "channels": "1"})
    at, azimuths = 0.0, []
    for _ in range(4):
        x, y, _ = device.directions(at, STEP_S)[0].T
        azimuths.append(np.degrees(np.arctan2(y, x)))
        at = device.turned(at, STEP_S)
    assert at == pytest.approx(0.0, abs=1e-9)
    assert azimuths[0][0] == pytest.approx(-180.0)
    whole = np.concatenate(azimuths)
    # 56000 points a second: 2800 a step, 11200 a turn.
    assert np.diff(whole) == pytest.approx(360 / 11200)


def test_a_narrow_fan_stays_within_its_field_of_view():
    device = Lidar.of(LIDAR, {"horizontal_fov": "90", "rotation_frequency": "20"})
    x, y, _ = device.directions(30.0, STEP_S)[0].T
    across = np.degrees(np.arctan2(y, x))
    assert across[0] == pytest.approx(-15.0)
    assert across.min() == pytest.approx(-45, abs=1) and across.max() == pytest.approx(45, abs=1.1)


def test_points_turn_with_the_sensor():
    pose = Pose(3.0, -2.0, 5.0, 0.2, 1.0, -0.3)
    _, found = measure(scene(floor()), pose, lower_fov=-60, upper_fov=-40)
    assert geometry.to_world(found.points, pose)[:, 2] == pytest.approx(0.0, abs=1e-3)


def test_a_part_of_all_rays_is_left_out_whatever_their_intensity():
    rays, pose = scene(floor()), Pose(z_m=2.0)
    every = sum(measure(rays, pose)[1].counts)
    kept = sum(measure(rays, pose, dropoff_general_rate=0.3)[1].counts)
    # 2112 rays that hit: the standard error of the kept part is 1 %.
    assert kept / every == pytest.approx(0.7, abs=0.04)


def test_weak_points_are_left_out_as_their_intensity_says():
    # All rays meet the wall's bottom half; attenuation makes the far ones weak.
    attributes = {
        "dropoff_intensity_limit": 0.8, "dropoff_zero_intensity": 0.6, "points_per_second": 2000000,
        "atmosphere_attenuation_rate": 0.05, "range": 200,
    }  # fmt: skip
    rays, pose = scene(floor()), Pose(z_m=2.0)
    _, every = measure(rays, pose, **{**attributes, "dropoff_zero_intensity": 0})
    _, kept = measure(rays, pose, **attributes)
    edges = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    before = np.histogram(every.intensity, edges)[0]
    after = np.histogram(kept.intensity, edges)[0]
    means = [
        every.intensity[(every.intensity > low) & (every.intensity < low + 0.2)].mean()
        for low in edges[:-1]
    ]
    # From 0.4 at nothing up to 1 at the limit of 0.8.
    expected = 0.4 + 0.6 * np.array(means) / 0.8
    assert before.min() > 3000
    assert after / before == pytest.approx(expected, abs=0.03)
    assert (every.intensity > 0.8).sum() == (kept.intensity > 0.8).sum() > 0


def test_noise_moves_points_along_their_rays():
    rays, pose = scene(floor()), Pose(z_m=2.0)
    _, exact = measure(rays, pose)
    _, noisy = measure(rays, pose, noise_stddev=0.1)
    true_m = np.linalg.norm(exact.points, axis=1)
    measured_m = np.linalg.norm(noisy.points, axis=1)
    sideways = noisy.points / measured_m[:, None] - exact.points / true_m[:, None]
    assert np.abs(sideways).max() < 1e-5
    assert (measured_m - true_m).std() == pytest.approx(0.1, rel=0.06)
    assert abs((measured_m - true_m).mean()) < 0.01
    assert np.array_equal(noisy.intensity, exact.intensity)


def test_one_seed_gives_one_cloud_and_another_another():
    rays, pose = scene(floor()), Pose(z_m=2.0)
    clouds = [
        measure(rays, pose, seed, noise_stddev=0.1, dropoff_general_rate=0.4)[1].points.tobytes()
        for seed in (1, 1, 2)
    ]
    assert clouds[0] == clouds[1] != clouds[2]


def test_an_actor_is_hit_with_its_id_and_label_at_its_outline():
    rays = scene(floor(), movers=[car(7, Pose(10.0))])
    hits = rays.trace(np.array([0.0, 0.0, 0.6]), np.array([[1.0, 0, 0], [-1.0, 0, 0]]), 100.0)
    assert hits.id.tolist() == [7, 0]
    assert hits.tag.tolist() == [14, 0]
    # The tail of a car 4.8 m long whose middle is 10 m ahead.
    assert hits.range_m[0] == pytest.approx(7.6, abs=0.1)
    assert hits.normal[0] @ (1, 0, 0) < -0.8
    assert np.isinf(hits.range_m[1]) and not hits.is_hit[1]


def test_what_stands_before_hides_what_stands_behind():
    movers = [car(8, Pose(20.0)), car(7, Pose(10.0))]
    hits = scene(wall(30.0), movers=movers).trace(
        np.array([0.0, 0.0, 0.6]), np.array([[1.0, 0, 0]]), 100.0
    )
    assert hits.id.tolist() == [7]
    behind = scene(wall(5.0), movers=movers).trace(
        np.array([0.0, 0.0, 0.6]), np.array([[1.0, 0, 0]]), 100.0
    )
    assert behind.id.tolist() == [0] and behind.tag.tolist() == [WALL]


def test_a_turned_and_stretched_actor_is_hit_where_it_is():
    yaw = math.radians(20)
    boxes = [Mover(5, "box", (2.0, 1.0, 1.0), (1, 1, 1), Pose(10.0, yaw_rad=yaw), 20)]
    hits = scene(movers=boxes).trace(np.array([0.0, 0.0, 0.5]), np.array([[1.0, 0, 0]]), 50.0)
    # Its back is 1 m behind its middle, measured across the face.
    assert hits.range_m[0] == pytest.approx(10.0 - 1.0 / math.cos(yaw), abs=0.02)
    assert hits.normal[0] == pytest.approx((-math.cos(yaw), -math.sin(yaw), 0.0), abs=0.01)


def test_both_painted_sides_of_a_board_are_there():
    boards = [Mover(5, "board", (0.1, 2.0, 1.0), (1, 1, 1), Pose(10.0), 21)]
    for start, ahead in ((0.0, 1.0), (20.0, -1.0)):
        hits = scene(movers=boards).trace(
            np.array([start, 0.3, 0.5]), np.array([[ahead, 0, 0]]), 50.0
        )
        assert hits.range_m[0] == pytest.approx(9.95, abs=1e-3)


def test_rays_pass_what_is_cut_out_of_a_board():
    # The right half, seen from before it, and the upper quarter are not there.
    cut = (0.0, 0.25, 0.5, 1.0)
    boards = [Mover(5, "board", (0.1, 2.0, 1.0), (1, 1, 1), Pose(10.0), 21, cut=cut)]
    places = [(-0.3, 0.5), (0.3, 0.5), (-0.3, 0.8)]
    for (y, z), is_hit in zip(places, (True, False, False), strict=True):
        hits = scene(movers=boards).trace(np.array([0.0, y, z]), np.array([[1.0, 0, 0]]), 50.0)
        assert np.isfinite(hits.range_m[0]) == is_hit


def test_a_rider_has_a_label_of_its_own():
    bike = car(3, Pose(10.0), "bicycle", 19, (1.8, 0.6, 1.7))
    rays = scene(movers=[bike])
    heights = np.linspace(0.1, 1.6, 40)
    seen = set()
    for height in heights:
        seen |= set(
            rays.trace(np.array([0.0, 0.0, height]), np.array([[1.0, 0, 0]]), 50.0).tag.tolist()
        )
    assert {13, 19} <= seen


def test_rays_leave_the_body_that_they_start_in():
    rays = scene(wall(20.0), movers=[car()])
    hits = rays.trace(np.array([0.0, 0.0, 0.8]), np.array([[1.0, 0, 0]]), 100.0)
    assert hits.tag.tolist() == [WALL] and hits.range_m[0] == pytest.approx(20.0, rel=1e-5)


def test_a_ray_that_passed_a_face_from_behind_meets_the_next_front_of_the_same_thing():
    corners, tag = wall(5.0)
    thing = solid((corners[::-1], tag), (np.subtract(corners[::-1], (-2, 0, 0)), tag), wall(10.0))
    reach = np.array([100.0, 8.0], np.float32)
    range_m, _ = thing.first(np.zeros(3), np.array([[1.0, 0, 0], [1.0, 0, 0]]), reach)
    assert range_m.tolist() == [pytest.approx(10.0), math.inf]
    assert reach.tolist() == [100.0, 8.0]


def test_a_face_seen_from_behind_is_not_there_but_a_doubled_one_is():
    origin, ahead = np.array([40.0, 0.0, 0.0]), np.array([[-1.0, 0.0, 0.0]])
    front, tag = wall(20.0)
    assert not scene((front, tag)).trace(origin, ahead, 100.0).is_hit[0]
    both = solid((front, tag))
    turned = Solid(
        np.concatenate([both.corners, both.corners[:, ::-1]]), np.repeat(both.tags, 2),
        np.repeat(both.owners, 2),
    )  # fmt: skip
    hits = Rays(Scenery(turned), (), {}).trace(origin, ahead, 100.0)
    assert hits.range_m[0] == pytest.approx(20.0)
    assert hits.normal[0] == pytest.approx((1.0, 0.0, 0.0))


def radar(rays, pose, velocity, speeds, seed=0, **attributes):
    device = Radar.of("sensor.other.radar", {k: str(v) for k, v in attributes.items()})
    rng = np.random.default_rng(seed)
    return detect(device, rays, pose, np.array(velocity, float), speeds, STEP_S, rng)


def test_radar_closes_in_on_a_wall_at_its_own_speed_times_the_cosine():
    found = radar(scene(wall(30.0)), Pose(), (12.0, 0, 0), {}, horizontal_fov=60)
    assert found.shape == (75, 4)
    speed, azimuth, altitude, depth = found.T.astype(float)
    cosine = np.cos(azimuth) * np.cos(altitude)
    assert cosine.min() < 0.92
    # Negative: the wall comes nearer.
    assert speed == pytest.approx(-12.0 * cosine, rel=1e-5)
    assert depth * cosine == pytest.approx(30.0, rel=1e-4)


def test_radar_sees_the_difference_of_two_speeds():
    rays = scene(movers=[car(7, Pose(15.0))])
    found = radar(rays, Pose(z_m=0.8), (10.0, 0, 0), {7: (14.0, 0.0, 0.0)}, horizontal_fov=8)
    speed, azimuth, altitude, depth = found.T.astype(float)
    assert len(found) > 20 and depth.max() < 20
    assert speed == pytest.approx(4.0 * np.cos(azimuth) * np.cos(altitude), rel=1e-5)


def test_radar_angles_grow_to_the_right_and_upwards():
    pose = Pose(yaw_rad=math.radians(90))
    box = Mover(5, "box", (1.0, 1.0, 1.0), (1, 1, 1), Pose(-2.0, 12.0, 1.0), 20)
    found = radar(scene(movers=[box]), pose, (0, 0, 0), {}, points_per_second=60000)
    assert len(found) > 3
    # Looking along +y, the box at x = -2 is to the right, and above.
    assert found[:, 1].mean() == pytest.approx(math.atan2(2.0, 11.5), abs=0.03)
    assert found[:, 2].mean() == pytest.approx(math.atan2(1.5, 11.7), abs=0.03)


def test_radar_points_fill_the_cone_and_crowd_around_its_axis():
    found = radar(
        scene(wall(20.0)), Pose(), (0, 0, 0), {}, points_per_second=80000,
        horizontal_fov=40, vertical_fov=10,
    )  # fmt: skip
    across = np.tan(found[:, 1]) / math.tan(math.radians(20))
    upwards = np.tan(found[:, 2]) / np.cos(found[:, 1]) / math.tan(math.radians(5))
    off_axis = np.hypot(across, upwards)
    assert off_axis.max() == pytest.approx(1.0, abs=0.01)
    # Evenly spread in distance from the axis: half of them in the inner half.
    assert (off_axis < 0.5).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("kind", "attributes", "message"),
    [
        (LIDAR, {"channels": "0"}, "channels"),
        (LIDAR, {"channels": "1000000"}, "channels"),
        (LIDAR, {"points_per_second": "999999999999"}, "points_per_second"),
        (LIDAR, {"range": "-1"}, "range"),
        (LIDAR, {"horizontal_fov": "0"}, "horizontal_fov"),
        ("sensor.other.radar", {"horizontal_fov": "180"}, "horizontal_fov"),
        ("sensor.other.radar", {"points_per_second": "-5"}, "points_per_second"),
        ("sensor.other.obstacle", {"hit_radius": "-1"}, "hit_radius"),
    ],
)
def test_numbers_that_no_sensor_can_have_are_refused(kind, attributes, message):
    with pytest.raises(ConfigError, match=message):
        ranging.check(kind, attributes)


def test_a_long_step_asks_for_no_more_rays_than_there_is_room_for():
    device = Lidar.of(LIDAR, {"points_per_second": "100000000", "channels": "64"})
    assert device.columns(10.0) * 64 <= lidars.MAX_RAYS
