"""ONNX Runtime, opened once and proved: the only module that imports it.

What is proved at start, because each of these fails silently in the field (platform.md 1.2, 1.3 and 4):
one distribution of the runtime is installed, the wanted providers really run the network, and the first frame
pays no set-up cost because every shape was run once.
"""

from __future__ import annotations

import os

# Linux wheels since 1.29 send telemetry by default; the library reads this when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from lfr_edge.errors import VisionError
from lfr_edge.sentences import say
from lfr_edge.vision.denormals import denormals_as_zero
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.threads import available_cpus

Provider = Literal["cpu", "cuda", "tensorrt"]

_PROVIDERS: Final[dict[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# All of these unpack into the same folder; with two of them the one written last wins.
_DISTRIBUTIONS: Final = frozenset(
    {
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-directml",
        "onnxruntime-openvino",
        "onnxruntime-qnn",
        "onnxruntime-training",
    }
)
_ERRORS_ONLY: Final = 3  # this session's log; the provider check replaces the warnings that this hides


class Session:
    """One loaded network with a single float32 input.

    **Thread rule:** :meth:`run` may be called from several threads at once; :meth:`run_into` from one at a time.
    """

    def __init__(self, inner: Any, name: str) -> None:
        self._inner = inner
        self.name = name
        inputs = inner.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            raise VisionError(
                "vision_network_shape",
                say("{name}: expected one float32 input", name=name),
                hint="import the pack again with lfr-edge models import",
            )
        self._input: str = inputs[0].name
        self.input_shape: tuple[int | str | None, ...] = tuple(inputs[0].shape)
        self.outputs: tuple[str, ...] = tuple(output.name for output in inner.get_outputs())
        self.providers: tuple[str, ...] = tuple(inner.get_providers())
        self._bindings: dict[tuple[int, tuple[int, ...], int], Any] = {}

    @property
    def on_cpu(self) -> bool:
        return self.providers[0] == _PROVIDERS["cpu"]

    def run(self, blob: Float32Array) -> list[Float32Array]:
        """All outputs, in the network's order, in memory the runtime allocates."""
        try:
            with denormals_as_zero():
                return list(self._inner.run(None, {self._input: blob}))
        except Exception as error:  # the binding raises its own classes, none of which is public
            raise inference_failed(self.name, error) from None

    def run_into(self, blob: Float32Array, out: Float32Array) -> None:
        """Run on `blob` and let the first output be written into `out`: no other copy of it is made.

        **Lifetime:** both buffers must outlive this session; they are remembered by address, so that a batch
        costs no binding. Both are C-contiguous float32.
        """
        key = (blob.ctypes.data, blob.shape, out.ctypes.data)
        binding = self._bindings.get(key)
        if binding is None:
            assert blob.flags.c_contiguous
            assert out.flags.c_contiguous
            binding = self._inner.io_binding()
            binding.bind_input(self._input, "cpu", 0, np.float32, blob.shape, blob.ctypes.data)
            binding.bind_output(self.outputs[0], "cpu", 0, np.float32, out.shape, out.ctypes.data)
            self._bindings[key] = binding
        try:
            with denormals_as_zero():
                self._inner.run_with_iobinding(binding)
        except Exception as error:
            raise inference_failed(self.name, error) from None

    def warm(self, shapes: Iterable[Sequence[int]]) -> None:
        """Run once at each (batch, 3, height, width), so that no frame pays for a first time."""
        for shape in shapes:
            self.run(np.zeros(tuple(shape), np.float32))


class Program:
    """A loaded graph with named inputs of any type, run through :class:`Binding` s and in no other way.

    With ``on_device`` a CUDA session keeps inputs and outputs in the card's memory between two copies, which CUDA
    graphs need; without, the runtime copies from and to the host by itself. On a CPU both are the same: the
    network reads and writes the caller's arrays.

    **Thread rule:** one thread at a time.
    """

    def __init__(self, inner: Any, name: str, *, on_device: bool = True) -> None:
        self._inner = inner
        self.name = name
        self.inputs: tuple[str, ...] = tuple(entry.name for entry in inner.get_inputs())
        self.outputs: tuple[str, ...] = tuple(entry.name for entry in inner.get_outputs())
        self.providers: tuple[str, ...] = tuple(inner.get_providers())
        self.on_device: bool = on_device and not self.on_cpu
        self._bound = 0

    @property
    def on_cpu(self) -> bool:
        return self.providers[0] == _PROVIDERS["cpu"]

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]],
        *,
        constant: Iterable[str] = (),
    ) -> Binding:
        """Fix one set of shapes. **Lifetime:** the arrays (C-contiguous) are the program's until it is gone."""
        assert set(inputs) == set(self.inputs)
        assert set(outputs) == set(self.outputs)
        self._bound += 1
        return Binding(
            self._inner, self.name, inputs, outputs, constant, self._bound, on_device=self.on_device
        )

    def bind_bare(self, inputs: Mapping[str, NDArray[Any]]) -> Binding:
        """Inputs go over once, outputs stay where they are: what :meth:`Binding.run` then costs is the network."""
        uncaptured = ort.RunOptions()
        uncaptured.add_run_config_entry("gpu_graph_id", "-1")
        outputs = dict(zip(self.outputs, self._inner.run(None, dict(inputs), uncaptured), strict=True))
        made = self.bind(inputs, outputs, constant=inputs)
        made.stay()
        return made


class Binding:
    """Fixed inputs and outputs of a :class:`Program`: fill the arrays given to ``bind``, :meth:`run`, read."""

    def __init__(
        self,
        inner: Any,
        name: str,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]],
        constant: Iterable[str],
        number: int,
        *,
        on_device: bool,
    ) -> None:
        assert all(array.flags.c_contiguous for array in (*inputs.values(), *outputs.values()))
        self._inner = inner
        self._name = name
        self._binding = inner.io_binding()
        self._arrays = (inputs, outputs)  # bound by address: they must outlive the binding
        self._uploads: list[tuple[Any, NDArray[Any]]] = []
        self._downloads: list[tuple[Any, NDArray[Any]]] = []
        fixed = set(constant)
        for entry, array in inputs.items():
            if not on_device:
                self._binding.bind_input(entry, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
                continue
            value = ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
            self._binding.bind_ortvalue_input(entry, value)
            if entry not in fixed:
                self._uploads.append((value, array))
        for entry, array in outputs.items():
            if not on_device:
                self._binding.bind_output(entry, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
                continue
            value = ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, "cuda", 0)
            self._binding.bind_ortvalue_output(entry, value)
            self._downloads.append((value, array))
        # Each set of addresses is captured as a CUDA graph of its own, where the provider captures at all.
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("gpu_graph_id", str(number))

    def stay(self) -> None:
        """Copy nothing any more."""
        self._uploads.clear()
        self._downloads.clear()

    def run(self) -> None:
        """Inputs to the device, the graph, outputs back. Raises VisionError ``vision_inference_failed``."""
        try:
            for value, array in self._uploads:
                value.update_inplace(array)
            with denormals_as_zero():
                self._inner.run_with_iobinding(self._binding, self._options)
            for value, array in self._downloads:
                copy = value.numpy()
                np.copyto(array, copy)
                copy[...] = 0  # the runtime makes a copy on the heap, which no slot's wipe would reach
        except Exception as error:  # the binding raises its own classes, none of which is public
            raise inference_failed(self._name, error) from None


class Runtime:
    """Opens networks on the wanted providers, or refuses.

    With ``("cuda",)`` no node may fall back to the CPU; with ``("cuda", "cpu")`` single nodes may, but CUDA must
    be there. ``allow_cpu`` continues without a missing provider and says so in :attr:`degraded`.

    `threads` is the total for this process (0: what the control group grants); `callers` is how many threads
    will run networks at the same time, so that no more threads are ever busy than processors are granted.
    `tuning` are each provider's own options.
    """

    def __init__(
        self,
        providers: Sequence[Provider] = ("cpu",),
        *,
        threads: int = 0,
        allow_cpu: bool = False,
        callers: int = 1,
        tuning: Mapping[Provider, Mapping[str, str]] | None = None,
    ) -> None:
        refuse_two_runtimes(_installed())
        self._wanted = tuple(_PROVIDERS[name] for name in providers)
        self._tuning = {_PROVIDERS[name]: dict(options) for name, options in (tuning or {}).items()}
        self._allow_cpu = allow_cpu
        granted = available_cpus()
        self.threads: int = max(1, min(threads or granted, granted) // max(1, callers))
        self.degraded: str = ""
        if self._wanted != (_PROVIDERS["cpu"],) and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # the CUDA libraries come as wheels; without them this only prints

    def open(self, model: bytes, name: str) -> Session:
        """Load a network's verified bytes.

        Raises:
            VisionError: ``vision_provider_missing``, ``vision_network_refused``, ``vision_network_shape``.
        """
        return Session(self._open(model, name), name)

    def open_program(self, model: bytes, name: str, *, on_device: bool = True) -> Program:
        """Load a graph with inputs of any type, run through fixed buffers; see :class:`Program`.

        Raises:
            VisionError: ``vision_provider_missing``, ``vision_network_refused``.
        """
        return Program(self._open(model, name), name, on_device=on_device)

    def _open(self, model: bytes, name: str) -> Any:
        wanted = [provider for provider in self._wanted if provider in ort.get_available_providers()]
        missing = [provider for provider in self._wanted if provider not in wanted]
        inner = None
        if not missing:
            inner = self._load(model, name, wanted)
            active = inner.get_providers() if inner is not None else ()
            missing = [provider for provider in self._wanted if provider not in active]
        if missing:
            if not self._allow_cpu:
                raise VisionError(
                    "vision_provider_missing",
                    say(
                        "{name}: {missing} is not available on this machine",
                        name=name,
                        missing=", ".join(missing),
                    ),
                    hint="install the gpu extra and the driver, or set models.allow_cpu = true",
                )
            self.degraded = f"running on the CPU: {', '.join(missing)} is missing"
        if inner is None:
            inner = self._load(model, name, [_PROVIDERS["cpu"]])
            assert inner is not None
        return inner

    def _tuned(self, providers: Sequence[str]) -> list[Any]:
        return [(name, self._tuning[name]) if name in self._tuning else name for name in providers]

    def _load(self, model: bytes, name: str, providers: list[str]) -> Any | None:
        """The session, or None where a provider other than the CPU could not take the network."""
        options = session_options(self.threads)
        on_cpu = providers == [_PROVIDERS["cpu"]]
        if _PROVIDERS["cpu"] not in providers:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            with denormals_as_zero():  # puts back what the first session changes in this thread
                return ort.InferenceSession(model, options, providers=self._tuned(providers))
        except Exception as error:
            if not on_cpu:
                return None
            raise VisionError(
                "vision_network_refused",
                say(
                    "{name}: the runtime cannot load this network ({kind})",
                    name=name,
                    kind=type(error).__name__,
                ),
                hint="lfr-edge models verify; then pull or import the pack again",
            ) from None


def inference_failed(name: str, error: Exception) -> VisionError:
    # Only the class: the runtime's text can quote tensor contents.
    return VisionError(
        "vision_inference_failed",
        say("{name}: the runtime stopped with {kind}", name=name, kind=type(error).__name__),
        hint="lfr-edge doctor checks memory, driver and the network's shapes",
    )


def runtime_version() -> str:
    return str(ort.__version__)


def session_options(threads: int) -> Any:
    """Options of every session.

    The arena stays on: it hands the same blocks to every run, so that a dummy batch overwrites what the last real
    batch left there (reliability.md 2); without it freed blocks go back to the heap with their contents.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = True
    options.log_severity_level = _ERRORS_ONLY
    # Spinning doubles the CPU time of two threads on a busy box (platform.md 4: 120 ms against 79).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # For the runtime's worker threads; the calling thread: denormals.py.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def available_providers() -> tuple[str, ...]:
    """What the installed runtime lists. A listed provider may still be unable to run: :meth:`Runtime.open` proves."""
    return tuple(ort.get_available_providers())


def refuse_two_runtimes(installed: Iterable[str]) -> None:
    """Raises VisionError ``vision_two_runtimes`` where two distributions share the import folder."""
    runtimes = sorted(_DISTRIBUTIONS.intersection(installed))
    if len(runtimes) > 1:
        raise VisionError(
            "vision_two_runtimes",
            say("{runtimes} are both installed and overwrite each other", runtimes=" and ".join(runtimes)),
            hint="remove both, then install one: pip install --force-reinstall -r requirements/cpu.txt or gpu.txt",
        )


def _installed() -> set[str]:
    names = (distribution.metadata["Name"] for distribution in importlib.metadata.distributions())
    return {name.lower().replace("_", "-") for name in names if name}
