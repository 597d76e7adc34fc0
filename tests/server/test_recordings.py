"""The recorder and the replayer of the embedded server, against CARLA's own client."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import carla
import pytest
from maproads import straight
from serving import start_server, stop_server

from simattack.server import recording_file
from simattack.server.recording_file import Head, Reader, Tables, Writer

NAME = "crash.log"
TICKS = 50
AHEAD_M = 10.0
STRAIGHT = straight(length=80)


def lockstep(world):
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    return world


def spawn(world, type_id, ahead_m=0.0, right_m=0.0, place=0, **attributes):
    blueprint = world.get_blueprint_library().find(type_id)
    for name, value in attributes.items():
        blueprint.set_attribute(name, value)
    at = world.get_map().get_spawn_points()[place]
    at.location += ahead_m * at.get_forward_vector() + right_m * at.get_right_vector()
    return world.spawn_actor(blueprint, at)


def stage(world):
    """A hero that runs into a parked car while somebody walks and another car stays away."""
    hero = spawn(world, "vehicle.tesla.model3", role_name="hero")
    parked = spawn(world, "vehicle.audi.tt", AHEAD_M)
    person = spawn(world, "walker.pedestrian.0001", 3.0, 5.0)
    away = spawn(world, "vehicle.lincoln.mkz_2020", place=3)
    sensor = world.spawn_actor(
        world.get_blueprint_library().find("sensor.other.collision"),
        carla.Transform(),
        attach_to=hero,
    )
    world.tick()
    hero.apply_control(carla.VehicleControl(throttle=1.0, steer=0.02))
    person.apply_control(carla.WalkerControl(carla.Vector3D(x=1.0), 1.2))
    return hero, parked, person, away, sensor


def moment(world):
    """All that a snapshot tells of the actors that move, and what the traffic lights show."""
    snapshot, told = world.get_snapshot(), {}
    for actor in world.get_actors():
        state = snapshot.find(actor.id)
        if actor.type_id.startswith(("vehicle", "walker")):
            v, w, c = state.get_velocity(), state.get_angular_velocity(), actor.get_control()
            told[actor.id] = (
                state.get_transform(), (v.x, v.y, v.z), w.z, str(c), actor.type_id,
            )  # fmt: skip
        elif actor.type_id == "traffic.traffic_light":
            told[actor.id] = (actor.get_state(), round(actor.get_elapsed_time(), 4))
    return told


def record(client, world, name, is_additional=False):
    """The staged drive, recorded; what each frame showed."""
    hero, parked, person, away, sensor = stage(world)
    light = world.get_actors().filter("traffic.traffic_light")[0]
    client.start_recorder(name, is_additional)
    frames = [moment(world)]
    for tick in range(1, TICKS + 1):
        if tick == 20:
            light.set_state(carla.TrafficLightState.Yellow)
            hero.set_light_state(carla.VehicleLightState(carla.VehicleLightState.Brake))
            world.set_weather(carla.WeatherParameters.HardRainNoon)
        if tick == 40:
            away.destroy()
        world.tick()
        frames.append(moment(world))
    client.stop_recorder()
    # Its caller does not wait for the answer; this call's answer comes after it.
    client.get_server_version()
    return SimpleNamespace(
        frames=frames, hero=hero.id, parked=parked.id, person=person.id, away=away.id,
        sensor=sensor.id, light=light.id,
    )  # fmt: skip


def fresh(client):
    """An episode on the town that no tick has gone by unasked."""
    lockstep(client.get_world())
    return client.load_world("town", reset_settings=False)


@pytest.fixture(scope="module")
def drive(client):
    return record(client, fresh(client), NAME)


def vehicles(world):
    return sorted(actor.id for actor in world.get_actors().filter("vehicle.*"))


# What is told of a recording


def test_a_recording_names_its_map_its_actors_and_the_collision(client, drive):
    text = client.show_recorder_file_info(NAME, False)
    assert "Map: town" in text
    assert f"Create {drive.hero} (vehicle.tesla.model3, hero) at (-165.00, 191.75" in text
    assert f"Create {drive.person} (walker.pedestrian.0001)" in text
    assert f"Create {drive.sensor} (sensor.other.collision) on {drive.hero} (" in text
    assert f"Frame 40 at 2.000 s\n  Destroy {drive.away} (vehicle.lincoln.mkz_2020)" in text
    assert f"Collision between {drive.hero} (vehicle.tesla.model3, hero) and {drive.parked}" in text
    assert "End: stopped by a client" in text
    assert text.endswith(f"Frames: {TICKS + 1}\nDuration: 2.5 seconds\n")
    assert "throttle" not in text
    assert f"{drive.hero} (vehicle.tesla.model3, hero) throttle 1.000 steer 0.020" in (
        client.show_recorder_file_info(NAME, True)
    )


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [("a", "a", 1), ("h", "v", 1), ("v", "h", 1), ("v", "v", 1), ("w", "a", 0), ("h", "o", 0)],
)
def test_collisions_are_found_by_what_met(client, drive, first, second, count):
    text = client.show_recorder_collisions(NAME, first, second)
    assert f"\nCollisions: {count}\n" in text
    assert (f"and {drive.parked} (vehicle.audi.tt)" in text) == (count == 1)


def test_an_unknown_category_is_refused(client, drive):
    with pytest.raises(RuntimeError, match=r"expected a category of a, v, w, .*, got 'x'"):
        client.show_recorder_collisions(NAME, "x", "a")


def test_a_car_that_stays_is_blocked_and_one_that_drives_is_not(client, drive):
    text = client.show_recorder_actors_blocked(NAME, 1.5, 100)
    assert f"{drive.away} (vehicle.lincoln.mkz_2020)" in text
    assert "2.000 s" in text
    assert "model3" not in text
    assert "\nBlocked: 0\n" in client.show_recorder_actors_blocked(NAME, 60, 100)


def test_the_same_drive_gives_the_same_bytes(client, drive, recordings):
    again = record(client, fresh(client), "again.log")
    assert again.frames == drive.frames
    assert (recordings / "again.log").read_bytes() == (recordings / NAME).read_bytes()


# Replay


def test_a_replay_shows_each_frame_as_it_was(client, world, drive):
    assert "from 0 s to 2.5 s" in client.replay_file(NAME, 0.0, 0.0, 0, False)
    for tick in range(1, TICKS + 1):
        world.tick()
        told = moment(world)
        assert told.keys() == drive.frames[tick].keys(), tick
        for id, was in drive.frames[tick].items():
            assert told[id] == was, (tick, id)
    assert world.get_weather().precipitation == 100.0
    hero = world.get_actor(drive.hero)
    assert hero.get_light_state() == carla.VehicleLightState.Brake
    assert hero.attributes["role_name"] == "hero"
    assert not world.get_actors().filter("sensor.*")


def test_half_speed_shows_what_lies_between_two_frames(client, world, drive):
    client.set_replayer_time_factor(0.5)
    client.replay_file(NAME, 1.0, 0.0, 0, False)
    client.set_replayer_time_factor(0.5)
    try:
        for tick in range(21, 25):
            (one, speed, *_), (other, *_) = (
                drive.frames[number][drive.hero] for number in (tick - 1, tick)
            )
            world.tick()
            between = moment(world)[drive.hero]
            halfway = (one.location + other.location) / 2
            assert between[0].location.distance(halfway) < 2e-5
            yaws = (one.rotation.yaw, other.rotation.yaw)
            assert between[0].rotation.yaw == pytest.approx(sum(yaws) / 2, abs=1e-4)
            assert between[1] != speed
            world.tick()
            assert moment(world)[drive.hero][0] == other
    finally:
        client.set_replayer_time_factor(1.0)


@pytest.mark.parametrize(
    ("start", "duration", "first", "last"), [(1.0, 0.25, 20, 25), (-0.5, 0.0, 40, 50)]
)
def test_a_part_is_replayed_and_then_cars_have_physics_again(
    client, world, drive, start, duration, first, last
):
    client.replay_file(NAME, start, duration, 0, False)
    for tick in range(first + 1, last + 1):
        world.tick()
        told = moment(world)
        for id in (drive.hero, drive.parked, drive.person):
            assert told[id] == drive.frames[tick][id]
    end = told[drive.hero][0].location
    for _ in range(10):
        world.tick()
    hero = world.get_actor(drive.hero)
    assert hero.get_location().distance(end) < 0.2
    assert hero.get_control().throttle == 0.0
    person = world.get_actor(drive.person)
    assert person.get_velocity().length() < 0.05
    hero.apply_control(carla.VehicleControl(throttle=1.0, reverse=True))
    for _ in range(10):
        world.tick()
    assert hero.get_location().distance(end) > 0.5


def test_the_spectator_follows_whom_it_is_told(client, world, drive):
    offset = carla.Transform(carla.Location(x=-10, z=5), carla.Rotation(pitch=-25))
    client.replay_file(NAME, 0.5, 0.0, drive.hero, False, offset)
    for _ in range(5):
        world.tick()
    hero = world.get_actor(drive.hero).get_transform()
    seen = world.get_spectator().get_transform()
    assert seen.location.distance(hero.transform(offset.location)) < 1e-3
    assert seen.rotation.pitch == pytest.approx(hero.rotation.pitch - 25, abs=0.1)
    assert seen.rotation.yaw == pytest.approx(hero.rotation.yaw, abs=0.1)


def test_the_spectator_is_moved_only_when_it_is_not_ignored(client, world, recordings):
    there = carla.Transform(carla.Location(x=3, y=4, z=5))
    world.get_spectator().set_transform(there)
    client.start_recorder("spectator.log")
    world.tick()
    client.stop_recorder()
    for is_ignored in (True, False):
        world.get_spectator().set_transform(carla.Transform())
        client.set_replayer_ignore_spectator(is_ignored)
        client.replay_file("spectator.log", 0, 0, 0, False)
        world.tick()
        stays = world.get_spectator().get_location().distance(carla.Location()) < 1e-6
        assert stays == is_ignored
    client.set_replayer_ignore_spectator(True)


def test_an_ignored_hero_goes_its_own_way(client, world, drive):
    client.set_replayer_ignore_hero(True)
    try:
        client.replay_file(NAME, 0.5, 1.0, 0, False)
        world.tick()
        begin = world.get_actor(drive.hero).get_location()
        for _ in range(10):
            world.tick()
        assert world.get_actor(drive.hero).get_location().distance(begin) < 0.3
        assert moment(world)[drive.person] == drive.frames[21][drive.person]
    finally:
        client.set_replayer_ignore_hero(False)


def test_actors_that_are_there_play_their_own_parts(client, world):
    was = record(client, world, "twice.log")
    there = vehicles(world)
    assert there == sorted([was.hero, was.parked])
    client.replay_file("twice.log", 0.0, 0.0, 0, False)
    for tick in range(1, 11):
        world.tick()
        told = moment(world)
        assert told[was.hero] == was.frames[tick][was.hero]
    # The one that was destroyed has a new number: numbers are never used twice.
    assert len(vehicles(world)) == 3
    assert was.away not in vehicles(world)
    client.replay_file("twice.log", 0.0, 0.0, 0, False)
    world.tick()
    assert len(vehicles(world)) == 3
    client.stop_replayer(False)
    world.tick()
    assert vehicles(world) == there


def test_the_actors_of_a_replay_go_only_when_that_is_asked_for(client, world, drive):
    client.replay_file(NAME, 0.0, 0.5, 0, False)
    world.tick()
    client.stop_replayer(True)
    world.tick()
    assert vehicles(world) == sorted([drive.hero, drive.parked, drive.away])
    client.stop_replayer(False)
    world.tick()
    assert vehicles(world) == []


def test_sensors_of_a_recording_come_when_asked_for_and_feel_its_collision(client, world, drive):
    client.replay_file(NAME, 1.0, 0.0, 0, True)
    world.tick()
    sensor = world.get_actor(drive.sensor)
    assert sensor.parent.id == drive.hero
    felt = []
    sensor.listen(felt.append)
    for _ in range(32):
        world.tick()
    sensor.stop()
    assert felt
    assert felt[0].other_actor.id == drive.parked
    assert felt[0].normal_impulse.length() > 100
    text = client.show_recorder_file_info(NAME, False)
    before = text[: text.index("Collision")]
    number = int(before[before.rindex("Frame ") :].split()[1])
    assert felt[0].frame == world.get_snapshot().frame - (20 + 1 + 32 - number)


@pytest.mark.journey
def test_a_recording_of_another_map_brings_the_world_there(client, recordings):
    made = lockstep(
        client.generate_opendrive_world(STRAIGHT, carla.OpendriveGenerationParameters())
    )
    car = spawn(made, "vehicle.audi.tt")
    client.start_recorder("straight.log")
    made.tick()
    client.stop_recorder()
    client.load_world("town", reset_settings=False).tick()
    client.replay_file("straight.log", 0, 0, 0, False)
    # The world is another one now, as after a load_world.
    text = made.get_map().to_opendrive()
    fresh = client.get_world()
    fresh.tick()
    fresh = client.get_world()
    assert fresh.get_map().to_opendrive() == STRAIGHT == text
    assert vehicles(fresh) == [car.id]


def test_a_recording_of_an_unknown_map_is_refused(client, world, recordings):
    for name, text in (("Atlantis", "'Atlantis' not found"), ("town", "on another map")):
        path = recordings / "elsewhere.log"
        path.unlink(missing_ok=True)
        writer = Writer(path, Head("x", name, b"?" * 32, False))
        writer.frame(0, 0.0, True, [], Tables())
        writer.close("done")
        with pytest.raises(RuntimeError, match=text):
            client.replay_file("elsewhere.log", 0, 0, 0, False)


# Files


@pytest.mark.parametrize("name", ["../out.log", "/etc/passwd", "", ".", "a/../../b.log", "x\0y"])
def test_a_name_outside_the_folder_is_refused(client, world, recordings, name):
    for call in (
        lambda: client.start_recorder(name),
        lambda: client.show_recorder_file_info(name, False),
        lambda: client.replay_file(name, 0, 0, 0, False),
    ):
        with pytest.raises(RuntimeError, match=r"is not inside .*--recordings|expected a rec"):
            call()
    assert not (recordings.parent / "out.log").exists()


def test_a_link_out_of_the_folder_is_refused(client, world, recordings, tmp_path):
    (recordings / "link").symlink_to(tmp_path)
    with pytest.raises(RuntimeError, match="is not inside"):
        client.start_recorder("link/a.log")


def test_an_absolute_name_inside_the_folder_is_taken(client, world, recordings):
    path = recordings / "sub" / "a.log"
    assert client.start_recorder(str(path)) == str(path)
    world.tick()
    client.stop_recorder()
    assert "Frames: 2\n" in client.show_recorder_file_info("sub/a.log", False)


def test_what_is_no_recording_is_neither_read_nor_written_over(client, world, recordings):
    path = recordings / "notes.txt"
    path.write_text("my notes")
    with pytest.raises(RuntimeError, match="is no recording"):
        client.show_recorder_file_info("notes.txt", False)
    with pytest.raises(RuntimeError, match="not written over"):
        client.start_recorder("notes.txt")
    assert path.read_text() == "my notes"
    with pytest.raises(RuntimeError, match="not found"):
        client.replay_file("missing.log", 0, 0, 0, False)


def test_a_truncated_recording_is_told_and_replayed_up_to_the_cut(client, world, drive, recordings):
    whole = (recordings / NAME).read_bytes()
    (recordings / "cut.log").write_bytes(whole[: len(whole) // 2])
    text = client.show_recorder_file_info("cut.log", False)
    assert "Damage: damaged at byte" in text
    count = int(text.split("Frames: ")[1].split()[0])
    assert 5 < count < TICKS
    client.replay_file("cut.log", 0, 0, 0, False)
    for _ in range(count - 1):
        world.tick()
    assert moment(world)[drive.hero] == drive.frames[count - 1][drive.hero]


def test_a_new_world_ends_the_recording(client, world, recordings):
    client.start_recorder("short.log")
    world.tick()
    client.reload_world(False).tick()
    text = client.show_recorder_file_info("short.log", False)
    assert "End: a world was loaded" in text
    assert "Frames: 2\n" in text
    with Reader(recordings / "short.log") as reader:
        assert reader.damage is None


def test_a_new_world_ends_the_replay(client, world, drive):
    client.replay_file(NAME, 0.9, 0, 0, False)
    world.tick()
    fresh = client.reload_world(False)
    for _ in range(5):
        fresh.tick()
    assert vehicles(fresh) == []
    # The recording turns it yellow at 1 s.
    assert moment(fresh)[drive.light][0] != carla.TrafficLightState.Yellow


def test_a_recording_may_be_asked_about_while_it_is_made(client, world):
    client.start_recorder("now.log", True)
    world.tick()
    text = client.show_recorder_file_info("now.log", True)
    assert "Additional data: yes" in text
    assert "Frames: 2\n" in text
    assert "End: none" in text
    client.stop_recorder()


def test_more_frames_than_a_key_frame_apart_are_replayed(client, world, recordings):
    car = spawn(world, "vehicle.audi.tt")
    client.start_recorder("long.log")
    car.apply_control(carla.VehicleControl(throttle=0.6, steer=0.1))
    poses = []
    for _ in range(130):
        world.tick()
        poses.append(car.get_transform())
    client.stop_recorder()
    with Reader(recordings / "long.log") as reader:
        assert reader.keys == [0, 100]
    client.replay_file("long.log", 5.5, 0, 0, False)
    for pose in poses[110:]:
        world.tick()
        assert car.get_transform() == pose


@pytest.mark.journey
def test_a_killed_server_leaves_a_readable_recording(tmp_path):
    road = tmp_path / "small.xodr"
    road.write_text(STRAIGHT)
    process, found = start_server("--map", str(road), "--recordings", str(tmp_path / "kept"))
    try:
        client = carla.Client(found[1], int(found[2]), worker_threads=2)
        client.set_timeout(20.0)
        world = lockstep(client.get_world())
        car = spawn(world, "vehicle.audi.tt")
        client.start_recorder("last.log")
        for _ in range(10):
            world.tick()
        last = car.get_transform()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    finally:
        stop_server(process)
    with Reader(tmp_path / "kept" / "last.log") as reader:
        assert (len(reader), reader.damage, reader.ending) == (11, None, None)
        *_, frame = (f for f in reader.frames() if len(f.tables().motion))
        (_, pose, *_), *_ = (
            row for row in recording_file.rows(frame.tables().motion) if row[0] == car.id
        )
    assert pose[:3] == [last.location.x, last.location.y, last.location.z]
