"""Frame → Faces → Probe.

Read in the data's order: ``letterbox`` (picture → canvas), ``detectors`` (canvas → faces), ``tracks`` (faces →
passages), ``align`` (points → crop), ``quality``, ``slots`` (where biometric data lives and is wiped),
``embedder`` (crop → template), ``pipeline`` (one pack, opened for everyone), ``pixels`` (pictures for people).
``sessions`` is the only module that imports ONNX Runtime. This room and the demo are all that import OpenCV.
"""
