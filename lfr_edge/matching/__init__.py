"""Probe → Candidate: when a similarity becomes an alert."""
