"""One kind of error: a stable code, what is wrong, what to do next."""

from __future__ import annotations


class InstallError(Exception):
    """Refused; what was installed before is still installed.

    Attributes:
        code: stable, for scripts; the part before the first underscore names the step.
    """

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")
