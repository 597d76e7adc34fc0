"""The vehicles, walkers and props that can be spawned: their sizes, masses and meshes.

Ids are CARLA's. Vehicle boxes (length, width, height) [m] follow the bounding boxes that CARLA
reports for the same ids, save for mirrors on buses and lorries; two-wheelers include the rider.

Source: the blueprint catalogue in CARLA's documentation (ids, generations, base types).
"""

from __future__ import annotations

from typing import NamedTuple


class VehicleRow(NamedTuple):
    """One vehicle of the catalogue."""

    id: str
    mesh: str
    base_type: str
    size_m: tuple[float, float, float]
    mass_kg: float
    wheelbase_m: float
    power_w: float
    top_speed_mps: float
    generation: int = 1
    special_type: str = ""


class PropRow(NamedTuple):
    """One prop of the catalogue: an object that stands where it is put."""

    id: str
    mesh: str
    size_m: tuple[float, float, float]
    mass_kg: float
    size_name: str


_SEDAN_W = 120e3  # 0 to 100 km/h in 8 to 10 s at 1.5 to 1.9 t


def _car(
    name: str,
    size_m: tuple[float, float, float],
    mass_kg: float,
    wheelbase_m: float,
    generation: int = 1,
    special_type: str = "",
    power_w: float = _SEDAN_W,
) -> VehicleRow:
    return VehicleRow(
        f"vehicle.{name}",
        "car",
        "car",
        size_m,
        mass_kg,
        wheelbase_m,
        power_w,
        45.0,
        generation,
        special_type,
    )


VEHICLES: tuple[VehicleRow, ...] = (
    _car("audi.a2", (3.71, 1.79, 1.55), 1130.0, 2.41, power_w=80e3),
    _car("audi.etron", (4.86, 2.03, 1.65), 2490.0, 2.93, power_w=170e3),
    _car("audi.tt", (4.18, 1.99, 1.39), 1455.0, 2.51),
    _car("bmw.grandtourer", (4.61, 2.24, 1.67), 1595.0, 2.78),
    _car("chevrolet.impala", (5.36, 2.03, 1.41), 1745.0, 2.84),
    _car("citroen.c3", (3.99, 1.85, 1.62), 1090.0, 2.54, power_w=75e3),
    _car("dodge.charger_2020", (5.01, 1.88, 1.49), 1920.0, 3.05, 2, power_w=140e3),
    _car("dodge.charger_police", (4.97, 2.04, 1.54), 1920.0, 3.05, 1, "emergency", 140e3),
    _car("dodge.charger_police_2020", (5.24, 1.93, 1.64), 1950.0, 3.05, 2, "emergency", 140e3),
    _car("ford.crown", (5.37, 1.80, 1.57), 1880.0, 2.91, 2, "taxi"),
    _car("ford.mustang", (4.72, 1.89, 1.30), 1650.0, 2.72, power_w=140e3),
    _car("jeep.wrangler_rubicon", (3.87, 1.91, 1.88), 1920.0, 2.42),
    _car("lincoln.mkz_2017", (4.90, 2.13, 1.51), 1690.0, 2.85),
    _car("lincoln.mkz_2020", (4.89, 1.84, 1.49), 1770.0, 2.85, 2),
    _car("mercedes.coupe", (5.03, 2.15, 1.64), 1790.0, 2.87),
    _car("mercedes.coupe_2020", (4.67, 1.82, 1.44), 1735.0, 2.84, 2),
    _car("micro.microlino", (2.21, 1.48, 1.38), 535.0, 1.57, power_w=30e3),
    _car("mini.cooper_s", (3.81, 1.97, 1.48), 1235.0, 2.47, power_w=90e3),
    _car("mini.cooper_s_2021", (4.55, 2.10, 1.77), 1500.0, 2.67, 2),
    _car("nissan.micra", (3.63, 1.85, 1.50), 1020.0, 2.43, power_w=75e3),
    _car("nissan.patrol", (4.60, 1.93, 1.85), 2300.0, 2.83, power_w=150e3),
    _car("nissan.patrol_2021", (5.57, 2.15, 2.05), 2750.0, 3.08, 2, power_w=180e3),
    _car("seat.leon", (4.19, 1.82, 1.47), 1310.0, 2.64, power_w=95e3),
    _car("tesla.model3", (4.79, 2.16, 1.49), 1847.0, 2.90),
    _car("toyota.prius", (4.51, 2.01, 1.52), 1400.0, 2.70, power_w=95e3),
    VehicleRow(
        "vehicle.mercedes.sprinter", "van", "van", (5.92, 1.99, 2.56), 2650.0, 3.67, 140e3, 42.0, 2
    ),
    VehicleRow("vehicle.volkswagen.t2", "van", "van", (4.48, 2.07, 2.04), 1510.0, 2.40, 75e3, 36.0),
    VehicleRow(
        "vehicle.volkswagen.t2_2021", "van", "van", (4.44, 1.78, 1.99), 1510.0, 2.40, 75e3, 36.0, 2
    ),
    VehicleRow(
        "vehicle.ford.ambulance",
        "van",
        "van",
        (6.37, 2.35, 2.43),
        3900.0,
        3.50,
        190e3,
        42.0,
        2,
        "emergency",
    ),
    VehicleRow(
        "vehicle.mitsubishi.fusorosa",
        "bus",
        "bus",
        (10.27, 2.50, 3.10),
        9000.0,
        5.40,
        220e3,
        30.0,
        2,
    ),
    VehicleRow(
        "vehicle.carlamotors.carlacola",
        "truck",
        "truck",
        (5.20, 2.41, 2.47),
        4500.0,
        3.20,
        150e3,
        32.0,
    ),
    VehicleRow(
        "vehicle.carlamotors.european_hgv",
        "truck",
        "truck",
        (7.94, 2.55, 3.50),
        8200.0,
        4.40,
        300e3,
        28.0,
        2,
    ),
    VehicleRow(
        "vehicle.carlamotors.firetruck",
        "truck",
        "truck",
        (8.47, 2.55, 3.30),
        12000.0,
        4.50,
        330e3,
        30.0,
        2,
        "emergency",
    ),
    VehicleRow(
        "vehicle.tesla.cybertruck",
        "truck",
        "truck",
        (6.27, 2.40, 2.10),
        3000.0,
        3.81,
        250e3,
        45.0,
        1,
        "electric",
    ),
    VehicleRow(
        "vehicle.harley-davidson.low_rider",
        "motorcycle",
        "motorcycle",
        (2.35, 0.77, 1.65),
        375.0,
        1.63,
        50e3,
        45.0,
    ),
    VehicleRow(
        "vehicle.kawasaki.ninja",
        "motorcycle",
        "motorcycle",
        (2.03, 0.80, 1.60),
        245.0,
        1.37,
        60e3,
        45.0,
    ),
    VehicleRow(
        "vehicle.vespa.zx125",
        "motorcycle",
        "motorcycle",
        (1.82, 0.80, 1.65),
        185.0,
        1.28,
        9e3,
        26.0,
    ),
    VehicleRow(
        "vehicle.yamaha.yzf",
        "motorcycle",
        "motorcycle",
        (2.19, 0.80, 1.60),
        255.0,
        1.38,
        60e3,
        45.0,
    ),
    VehicleRow(
        "vehicle.bh.crossbike", "bicycle", "bicycle", (1.72, 0.62, 1.75), 90.0, 1.08, 1.2e3, 12.0
    ),
    VehicleRow(
        "vehicle.diamondback.century",
        "bicycle",
        "bicycle",
        (1.65, 0.55, 1.75),
        85.0,
        1.02,
        1.2e3,
        12.0,
    ),
    VehicleRow(
        "vehicle.gazelle.omafiets", "bicycle", "bicycle", (1.84, 0.62, 1.80), 95.0, 1.12, 1.0e3, 9.0
    ),
)

# Heights [m] of walkers 0001, 0002, ...; CARLA's catalogue mixes children and adults too.
_CHILD, _TEEN = 1.25, 1.55
WALKER_HEIGHTS_M: tuple[float, ...] = (
    *(1.76, 1.70, 1.82, 1.68, 1.78, 1.72, 1.66, 1.80),
    *(_CHILD, _CHILD, 1.20, 1.30, _CHILD, 1.18),
    *(1.74, 1.69, 1.77, 1.84, 1.71, 1.65, 1.79, 1.73),
    *(1.81, 1.67, 1.75, 1.70, 1.83, 1.68, 1.76, 1.72),
    *(1.78, 1.64, 1.80, 1.74, 1.70, 1.66, 1.77, 1.82),
    *(1.69, 1.75, 1.71, 1.79, 1.73, 1.68, 1.76, 1.80),
    *(_TEEN, _TEEN, 1.28),
)

PROPS: tuple[PropRow, ...] = (
    PropRow("static.prop.streetbarrier", "barrier", (1.20, 0.37, 1.07), 30.0, "medium"),
    PropRow("static.prop.trafficwarning", "barrier", (2.82, 2.37, 3.57), 250.0, "big"),
    PropRow("static.prop.constructioncone", "cone", (0.34, 0.34, 0.59), 4.0, "small"),
    PropRow("static.prop.trafficcone01", "cone", (0.44, 0.44, 0.75), 5.0, "small"),
    PropRow("static.prop.trafficcone02", "cone", (0.34, 0.34, 0.60), 4.0, "small"),
    PropRow("static.prop.warningconstruction", "board", (0.10, 1.12, 1.29), 12.0, "small"),
    PropRow("static.prop.warningaccident", "board", (0.10, 1.12, 1.29), 12.0, "small"),
    PropRow("static.prop.advertisement", "board", (0.17, 1.30, 2.44), 90.0, "medium"),
    PropRow("static.prop.streetsign", "board", (0.10, 1.00, 1.00), 20.0, "small"),
    PropRow("static.prop.streetsign01", "board", (0.10, 1.20, 1.20), 20.0, "small"),
    PropRow("static.prop.streetsign04", "board", (0.10, 0.75, 0.75), 15.0, "small"),
    PropRow("static.prop.mesh", "board", (0.02, 1.00, 1.00), 5.0, "small"),
    PropRow("static.prop.box01", "box", (0.70, 0.70, 0.70), 8.0, "small"),
    PropRow("static.prop.box02", "box", (0.60, 0.40, 0.40), 5.0, "small"),
    PropRow("static.prop.box03", "box", (0.40, 0.40, 0.30), 3.0, "tiny"),
    PropRow("static.prop.creasedbox01", "box", (0.70, 0.70, 0.15), 3.0, "small"),
    PropRow("static.prop.container", "box", (2.01, 1.11, 1.35), 150.0, "medium"),
    PropRow("static.prop.bin", "box", (0.60, 0.60, 1.05), 20.0, "small"),
    PropRow("static.prop.trashcan01", "box", (0.60, 0.67, 1.22), 25.0, "small"),
    PropRow("static.prop.plasticchair", "box", (0.66, 0.67, 0.90), 3.0, "small"),
    PropRow("static.prop.bench01", "box", (0.60, 1.50, 0.85), 60.0, "medium"),
    PropRow("static.prop.barrel", "box", (0.60, 0.60, 0.90), 25.0, "small"),
    PropRow("static.prop.vendingmachine", "box", (0.86, 1.15, 2.08), 300.0, "medium"),
    PropRow("static.prop.busstop", "box", (1.60, 3.70, 2.70), 400.0, "big"),
    PropRow("static.prop.kiosk_01", "box", (3.00, 3.00, 3.00), 900.0, "big"),
)

MORE_PROPS: tuple[PropRow, ...] = (
    PropRow("static.prop.chainbarrier", "barrier", (1.50, 0.26, 0.96), 15.0, "medium"),
    PropRow("static.prop.chainbarrierend", "barrier", (0.26, 0.26, 0.96), 8.0, "small"),
    PropRow("static.prop.bikeparking", "barrier", (1.20, 0.60, 0.90), 40.0, "medium"),
    PropRow("static.prop.haybale", "box", (1.20, 0.60, 0.60), 20.0, "medium"),
    PropRow("static.prop.haybalelb", "box", (1.20, 0.60, 0.60), 20.0, "medium"),
    PropRow("static.prop.busstoplb", "box", (1.60, 3.70, 2.70), 400.0, "big"),
    PropRow("static.prop.bench02", "box", (0.60, 1.70, 0.85), 70.0, "medium"),
    PropRow("static.prop.bench03", "box", (0.55, 1.80, 0.80), 60.0, "medium"),
    PropRow("static.prop.trashcan02", "box", (0.50, 0.50, 0.90), 15.0, "small"),
    PropRow("static.prop.trashcan03", "box", (0.60, 0.67, 1.10), 20.0, "small"),
    PropRow("static.prop.trashcan04", "box", (0.60, 0.60, 0.95), 20.0, "small"),
    PropRow("static.prop.trashcan05", "box", (0.55, 0.55, 1.00), 18.0, "small"),
    PropRow("static.prop.trashbag", "box", (0.60, 0.55, 0.50), 8.0, "small"),
    PropRow("static.prop.plasticbag", "box", (0.35, 0.25, 0.35), 1.0, "tiny"),
    PropRow("static.prop.shoppingbag", "box", (0.35, 0.18, 0.40), 2.0, "tiny"),
    PropRow("static.prop.shoppingcart", "box", (0.95, 0.58, 1.02), 22.0, "small"),
    PropRow("static.prop.shoppingtrolley", "box", (0.40, 0.35, 1.00), 4.0, "small"),
    PropRow("static.prop.creasedbox02", "box", (0.60, 0.50, 0.20), 2.0, "small"),
    PropRow("static.prop.creasedbox03", "box", (0.50, 0.45, 0.25), 2.0, "small"),
    PropRow("static.prop.briefcase", "box", (0.45, 0.12, 0.35), 3.0, "tiny"),
    PropRow("static.prop.travelcase", "box", (0.48, 0.30, 0.75), 12.0, "small"),
    PropRow("static.prop.guitarcase", "box", (1.05, 0.40, 0.15), 6.0, "small"),
    PropRow("static.prop.purse", "box", (0.30, 0.12, 0.25), 1.0, "tiny"),
    PropRow("static.prop.mobile", "box", (0.15, 0.08, 0.01), 0.2, "tiny"),
    PropRow("static.prop.colacan", "box", (0.07, 0.07, 0.12), 0.4, "tiny"),
    PropRow("static.prop.plastictable", "box", (1.20, 0.80, 0.74), 12.0, "medium"),
    PropRow("static.prop.table", "box", (1.40, 0.80, 0.76), 25.0, "medium"),
    PropRow("static.prop.maptable", "box", (1.20, 0.70, 1.10), 60.0, "medium"),
    PropRow("static.prop.mailbox", "box", (0.50, 0.55, 1.30), 60.0, "small"),
    PropRow("static.prop.atm", "box", (0.75, 0.95, 1.90), 250.0, "medium"),
    PropRow("static.prop.glasscontainer", "box", (1.80, 1.80, 1.85), 200.0, "medium"),
    PropRow("static.prop.clothcontainer", "box", (1.15, 1.15, 1.90), 150.0, "medium"),
    PropRow("static.prop.foodcart", "box", (2.40, 1.40, 2.40), 300.0, "big"),
    PropRow("static.prop.doghouse", "box", (1.10, 0.90, 1.00), 30.0, "medium"),
    PropRow("static.prop.barbeque", "box", (1.10, 0.60, 1.15), 25.0, "medium"),
    PropRow("static.prop.ironplank", "box", (2.40, 1.20, 0.03), 120.0, "medium"),
    PropRow("static.prop.brokentile01", "box", (0.40, 0.40, 0.04), 3.0, "tiny"),
    PropRow("static.prop.brokentile02", "box", (0.35, 0.35, 0.04), 3.0, "tiny"),
    PropRow("static.prop.brokentile03", "box", (0.35, 0.30, 0.04), 3.0, "tiny"),
    PropRow("static.prop.brokentile04", "box", (0.30, 0.30, 0.04), 3.0, "tiny"),
    PropRow("static.prop.dirtdebris01", "box", (1.80, 1.50, 0.25), 150.0, "medium"),
    PropRow("static.prop.dirtdebris02", "box", (1.50, 1.40, 0.30), 150.0, "medium"),
    PropRow("static.prop.dirtdebris03", "box", (1.20, 1.10, 0.20), 90.0, "medium"),
    PropRow("static.prop.garbage01", "box", (0.40, 0.35, 0.10), 1.0, "tiny"),
    PropRow("static.prop.garbage02", "box", (0.30, 0.30, 0.08), 1.0, "tiny"),
    PropRow("static.prop.garbage03", "box", (0.35, 0.25, 0.10), 1.0, "tiny"),
    PropRow("static.prop.garbage04", "box", (0.30, 0.20, 0.08), 1.0, "tiny"),
    PropRow("static.prop.garbage05", "box", (0.25, 0.25, 0.10), 1.0, "tiny"),
    PropRow("static.prop.garbage06", "box", (0.30, 0.25, 0.10), 1.0, "tiny"),
    PropRow("static.prop.platformgarbage01", "box", (1.60, 1.20, 0.40), 60.0, "medium"),
    PropRow("static.prop.plantpot01", "box", (0.70, 0.70, 0.60), 60.0, "small"),
    PropRow("static.prop.plantpot02", "box", (0.60, 0.60, 0.55), 50.0, "small"),
    PropRow("static.prop.plantpot03", "box", (1.20, 0.50, 0.55), 80.0, "medium"),
    PropRow("static.prop.wateringcan", "box", (0.45, 0.20, 0.35), 1.0, "tiny"),
    PropRow("static.prop.motorhelmet", "box", (0.32, 0.25, 0.26), 1.5, "tiny"),
)
"""Their definitions come last in the library, so that those before keep their numbers; where no
mesh of their own exists they are drawn as crates of their size."""
