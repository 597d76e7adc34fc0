"""Scenarios of other programs, read into our own: OpenSCENARIO 1.x and CARLA's routes."""
