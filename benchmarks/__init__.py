"""Programs that measure; see README.md. None of them is part of the product."""

import os

ASKED_FOR_BLAS_THREADS = "OPENBLAS_NUM_THREADS" in os.environ

# Before numpy is imported. OpenBLAS otherwise starts a thread for each processor, and they spin for a while after
# every product: their CPU time would be booked on whatever is measured next (index scrub: 24 ms instead of 0.2).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
