"""Attacks on the numbers of a picture: no scene, no camera, so nothing that could be built.

They calibrate how much physics costs an attacker, and stand in no scenario and in no ranking.
"""
