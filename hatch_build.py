"""Builds the device core for this machine when the package is built or installed from source.

Owns: what the wheel gains by it: the shared libraries, and a tag that names the machine. Must
not: know how it is compiled; firmware_bridge/device/build.py does.
"""

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILDER = "firmware_bridge/device/build.py"


class DeviceCore(BuildHookInterface):
    """Runs before the files of a wheel, editable or not, are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        libraries = builder(root).build()
        if version != "editable":  # there the source tree is the package
            for library in libraries:
                name = library.relative_to(root).as_posix()
                build_data["force_include"][str(library)] = name
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def builder(root: Path) -> ModuleType:
    """build.py by its path: the package's own dependencies are not there yet."""
    spec = importlib.util.spec_from_file_location("device_build", root / BUILDER)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(root / BUILDER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
