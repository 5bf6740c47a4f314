"""The fast twins of the plain path: the same faces and templates, with the work around the networks in their graphs.

The plain path is ``letterbox`` → ``detectors`` → ``align`` → ``embedder``, one module each. Its twins stand beside
it here, behind the same protocols: :mod:`.detector` (a Detector), :mod:`.embedder` and :mod:`.aligner` (an
Embedder). :mod:`.options` says which are wanted, :mod:`.stack` opens them, :mod:`.proof` compares twin and plain
path on drawn faces, and :mod:`.engines` keeps what was proved and built for this box: a twin that was not proved on
this device does not run.
"""
