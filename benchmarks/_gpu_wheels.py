"""The wheels that ``gpu.sh`` needs on a box without a network, in parts small enough to carry.

    python3 benchmarks/_gpu_wheels.py fetch FOLDER --python 3.12     with a network: FOLDER/01, FOLDER/02 …
    python3 benchmarks/_gpu_wheels.py take FOLDER/01 WORK            on the box, once for each folder
    python3 benchmarks/_gpu_wheels.py install WORK                   on the box: joins, checks, installs

Standard library and pip only. Every wheel is one of requirements/gpu.txt and is checked against its hashes, by pip,
when it is fetched and again when it is installed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "requirements" / "gpu.txt"
# What the benchmarks import, nothing of the service.
WANTED = (
    "annotated-types", "av", "cffi", "cryptography", "faiss-cpu", "flatbuffers", "ml-dtypes", "numpy", "onnx",
    "onnxruntime-gpu", "opencv-python-headless", "packaging", "protobuf", "pycparser", "pydantic", "pydantic-core",
    "rfc8785", "typing-extensions", "typing-inspection",
)  # fmt: skip
# 1.3 GB; boxes that have PyTorch for CUDA 13 have them.
NVIDIA = (
    "nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cufft", "nvidia-curand",
    "nvidia-nvjitlink",
)  # fmt: skip
PART = 40 << 20  # bytes of one file
FOLDER = 44 << 20  # bytes of one folder: with the working tree below 64 MiB
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 26, 27, 28, 31, 34)] + [
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
]
_MARKER = re.compile(r"python_full_version\s*(<|>=)\s*'3\.(\d+)'")


def chosen(lock: str, names: tuple[str, ...], minor: int) -> str:
    """The entries of `names` that hold for Python 3.`minor`, hashes and all, without their markers.

    Raises ValueError for a name that the lock does not have.
    """
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=[a-zA-Z0-9])", lock):
        head, _, hashes = block.partition("\\\n")
        name = re.split(r"[=\[]", head.strip())[0].lower()
        marker = _MARKER.search(head)
        if name not in names or (marker and (minor < int(marker[2])) != (marker[1] == "<")):
            continue
        lines = [line.rstrip(" \\") for line in hashes.splitlines() if line.strip().startswith("--hash")]
        found[name] = " \\\n".join([head.partition(";")[0].strip(), *lines])
    if absent := sorted(set(names) - set(found)):
        raise ValueError(f"not in {LOCK.name}: {', '.join(absent)}")
    return "\n".join(found.values()) + "\n"


def fetch(folder: Path, minor: int, names: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock.txt"
    lock.write_text(chosen(LOCK.read_text(encoding="utf-8"), names, minor), encoding="utf-8")
    whole = folder / "whole"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "-r", str(lock), "-d", str(whole)]
    command += ["--implementation", "cp", "--python-version", f"3.{minor}"]
    for platform in _PLATFORMS:
        command += ["--platform", platform]
    subprocess.run(command, check=True)
    lay_out(sorted(whole.glob("*.whl")), lock, folder)
    shutil.rmtree(whole)


def lay_out(wheels: list[Path], lock: Path, folder: Path) -> list[Path]:
    """Parts of the wheels in numbered folders; the first also holds the lock."""
    parts = [piece for wheel in wheels for piece in _pieces(wheel)]
    made: list[Path] = []
    room = 0
    for name, data in sorted(parts, key=lambda part: -len(part[1])):
        if not made or len(data) > room:
            made.append(folder / f"{len(made) + 1:02}")
            made[-1].mkdir()
            room = FOLDER
        (made[-1] / name).write_bytes(data)
        room -= len(data)
    for target in made:
        shutil.copy(lock, target)
    return made


def _pieces(wheel: Path) -> list[tuple[str, bytes]]:
    data = wheel.read_bytes()
    if len(data) <= PART:
        return [(wheel.name, data)]
    return [(f"{wheel.name}.part{at // PART:03}", data[at : at + PART]) for at in range(0, len(data), PART)]


def take(folder: Path, work: Path) -> None:
    (work / "parts").mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        shutil.copy(path, work / "parts" / path.name)


def join(parts: Path, wheels: Path) -> None:
    """Whole wheels from what was taken; a part that is missing shows in pip's check of the hash."""
    wheels.mkdir(parents=True, exist_ok=True)
    for path in sorted(parts.iterdir()):
        name, cut, _ = path.name.partition(".part")
        if cut and path.suffix != ".whl":
            mode = "wb" if path.name.endswith(".part000") else "ab"
            with (wheels / name).open(mode) as whole:
                whole.write(path.read_bytes())
        elif path.suffix == ".whl":
            shutil.copy(path, wheels / path.name)


def install(work: Path) -> None:
    """An environment of its own, because the two ONNX Runtimes share one folder and must never meet."""
    join(work / "parts", work / "wheels")
    home = work / "venv"
    venv.create(home, clear=True, with_pip=False, symlinks=True)
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--no-compile", "--require-hashes", "--find-links", str(work / "wheels")]
    subprocess.run(
        [*command, "--target", str(packages), "--upgrade", "-r", str(work / "parts" / "lock.txt")], check=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("fetch")
    made.add_argument("folder", type=Path)
    made.add_argument("--python", default="3.12", metavar="3.N", help="of the box (default: 3.12)")
    made.add_argument("--with-nvidia", action="store_true", help="CUDA's and cuDNN's wheels too (1.3 GB)")
    taken = verbs.add_parser("take")
    taken.add_argument("folder", type=Path)
    taken.add_argument("work", type=Path)
    verbs.add_parser("install").add_argument("work", type=Path)
    args = parser.parse_args()
    if args.verb == "fetch":
        names = (*WANTED, *NVIDIA) if args.with_nvidia else WANTED
        fetch(args.folder, int(args.python.split(".")[1]), names)
    elif args.verb == "take":
        take(args.folder, args.work)
    else:
        install(args.work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
