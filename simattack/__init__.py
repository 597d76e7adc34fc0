"""simattack: physical-world attacks on autonomous driving, judged by what happens to the car."""

from importlib import util as _util

__version__ = "0.1.0"
__all__ = ["__version__"]

if _util.find_spec("gymnasium") is not None:
    from gymnasium.envs.registration import register as _register

    _register("simattack/Drive-v0", entry_point="simattack.envs:DriveEnv")
    _register("simattack/Attack-v0", entry_point="simattack.attack_env:AttackEnv")
