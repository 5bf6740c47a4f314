"""Makes the signed bundle that ``lfr-edge-install`` puts on a box. Runs where there is a network."""
