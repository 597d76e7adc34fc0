"""simattack: physical-world attacks on autonomous driving, judged by what happens to the car."""

__version__ = "0.1.0"
