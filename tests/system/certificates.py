"""Certificates that live for one test, made by openssl."""

import subprocess
from pathlib import Path


class Authority:
    """Signs what a test needs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.crt"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        out = ("-keyout", self._path("ca.key"), "-out", self.ca)
        _openssl(*words.split(), "-subj", "/CN=test", *out)

    def issue(self, name: str, *, san: str = "") -> tuple[Path, Path]:
        """Certificate and key (mode 0600) of `name`."""
        crt, key, csr = (self._path(f"{name}.{end}") for end in ("crt", "key", "csr"))
        words = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        _openssl(*words.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", csr)
        extensions = self._path("ext")
        extensions.write_text(f"subjectAltName={san or 'DNS:' + name}\n")
        signing = ("-CA", self.ca, "-CAkey", self._path("ca.key"), "-CAcreateserial")
        more = ("-days", "2", "-extfile", extensions)
        _openssl("x509", "-req", "-in", csr, *signing, *more, "-out", crt)
        key.chmod(0o600)
        return crt, key

    def _path(self, name: str) -> Path:
        return self.folder / name


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)
