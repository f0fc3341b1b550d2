"""Dask clusters of real processes on the loopback interface, with free ports."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed import LocalCluster

TESTS = Path(__file__).parents[1]


def path_of_tests() -> str:
    """Return PYTHONPATH for processes that import `support` and the packages under test."""
    return os.pathsep.join([str(TESTS), *(path for path in sys.path if path)])


@contextmanager
def cluster(folder: Path, *, workers: int = 2, threads: int = 1) -> Iterator[str]:
    """Yield the address of a scheduler with workers that are processes."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder),
        silence_logs=50,
    ) as started:
        yield started.scheduler_address


@contextmanager
def worker(address: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run one worker with a changed environment; it may not have joined yet."""
    words = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words, "--local-directory", str(folder)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def secured(folder: Path) -> Iterator[str]:
    """Yield the address of a scheduler with one worker that speak TLS, by Dask's configuration."""
    words = [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls", "--port", "0"]
    words += ["--host", "127.0.0.1", "--no-dashboard"]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as scheduler:
        try:
            found = (re.search(r"tls://127\.0\.0\.1:\d+", line) for line in scheduler.stderr)
            address = next(match[0] for match in found if match)
            with worker(address, folder, {}):
                yield address
        finally:
            scheduler.kill()


def certificate(folder: Path) -> dict[str, str]:
    """Return the files of a new certificate that signs itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    contents = {
        "cert": made.public_bytes(encoding),
        "key": key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name_, content in contents.items():
        (folder / f"{name_}.pem").write_bytes(content)
    return {name_: str(folder / f"{name_}.pem") for name_ in contents}
