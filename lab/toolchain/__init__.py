"""Gets each tool of the lab once: built by Go from its lock, or a Debian package."""

from lab.toolchain.catalog import ToolchainError
from lab.toolchain.install import ensure
from lab.toolchain.packages import debian
from lab.toolchain.store import binary, module

__all__ = ["ToolchainError", "binary", "debian", "ensure", "module"]
