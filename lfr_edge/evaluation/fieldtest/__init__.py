"""Consenting people walk past known cameras in a drawn order: the True Recognition Rate of a place, measured."""
