"""Published files → the ONNX form that the vision room runs: symbolic batch and size, no slow operators.

Every conversion is a pure function of bytes to bytes: the same input gives the same output, so a recipe pins the
result's SHA-256. :func:`lfr_edge.models.convert.graph.serialise` says how.
"""
