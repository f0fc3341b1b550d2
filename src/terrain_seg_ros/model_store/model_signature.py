"""Ed25519 signatures over a model's digest (extra `sign`: the package cryptography)."""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.model_store.model_files import SIGNATURE_FILE, ModelFiles

MAX_KEY_BYTES = 16 * 2**10
RAW_KEY_BYTES = 32
PUBLIC_SUFFIX = ".pub"
_MESSAGE = b"terrain_seg_ros model digest 1\n"
"""Before the digest: a signature made for anything else is not valid for a model."""
_SIGNATURE = re.compile(rb"[0-9a-f]{128}\s*")


def check_signature(files: ModelFiles, public_key: Path) -> None:
    """Check that the holder of the private key signed exactly these files.

    Raises:
        ModelError: they are not signed, or not with this key.
        ConfigError: the key cannot be read, or the package cryptography is missing.
    """
    key = _load_public(public_key)
    folder = files.onnx_path.parent
    if files.signature is None:
        raise ModelError(
            f"{folder}: is not signed (no {SIGNATURE_FILE}), and model_public_key {public_key} "
            "allows signed models only; sign it with `terrain-seg models sign NAME --key KEY`"
        )
    if not _SIGNATURE.fullmatch(files.signature):
        raise ModelError(f"{folder / SIGNATURE_FILE}: is not a signature; {_SIGN_AGAIN}")
    try:
        key.verify(bytes.fromhex(files.signature.decode()), _message(files.digest))
    except _exceptions().InvalidSignature:
        raise ModelError(
            f"{folder}: digest {files.digest[:16]}... is not what was signed with the key of "
            f"{public_key}: a file was changed, or another key signed it; {_SIGN_AGAIN}"
        ) from None


def sign_model(files: ModelFiles, private_key: Path) -> Path:
    """Write the signature of a model beside its files and return where it is.

    Raises:
        ConfigError: the key or the folder cannot be used, or the package cryptography is missing.
    """
    signature = _load_private(private_key).sign(_message(files.digest)).hex()
    path = files.onnx_path.parent / SIGNATURE_FILE
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".sign-")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(signature + "\n")
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); sign a copy of the folder, or as a "
            "user who may write there"
        ) from error
    return path


def make_key(path: Path) -> tuple[Path, Path]:
    """Write a new private key and, beside it, its public key; return both paths.

    Raises:
        ConfigError: a file exists or cannot be written, or the package cryptography is missing.
    """
    forms = _forms()
    key = _ed25519().Ed25519PrivateKey.generate()
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = key.public_key().public_bytes(
        forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
    )
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    _write_new(public_path, public, 0o644)
    try:
        _write_new(path, private, 0o600)
    except ConfigError:
        public_path.unlink()
        raise
    return path, public_path


_SIGN_AGAIN = "look at what changed, then sign it again with `terrain-seg models sign`"


def _message(digest: str) -> bytes:
    return _MESSAGE + digest.encode()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(
            f"{path}: the key cannot be written ({error.strerror}); name a new file in a folder "
            "that exists"
        ) from error


def _load_public(path: Path) -> Any:
    data = read_regular_file(path.expanduser(), MAX_KEY_BYTES, remedy=_KEY_REMEDY)
    kind = _ed25519().Ed25519PublicKey
    try:
        if len(data) == RAW_KEY_BYTES:
            return kind.from_public_bytes(data)
        key = _forms().load_pem_public_key(data)
    except (ValueError, TypeError, _exceptions().UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{path}: is not a public key in PEM format ({_line(error)}); {_KEY_REMEDY}"
        ) from (error)
    if not isinstance(key, kind):
        raise ConfigError(f"{path}: is a {type(key).__name__}, expected Ed25519; {_KEY_REMEDY}")
    return key


def _load_private(path: Path) -> Any:
    data = read_regular_file(path.expanduser(), MAX_KEY_BYTES, remedy=_KEY_REMEDY)
    try:
        key = _forms().load_pem_private_key(data, password=None)
    except (ValueError, TypeError, _exceptions().UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{path}: is not an unencrypted private key in PEM format ({_line(error)}); "
            f"{_KEY_REMEDY}"
        ) from error
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise ConfigError(f"{path}: is a {type(key).__name__}, expected Ed25519; {_KEY_REMEDY}")
    return key


_KEY_REMEDY = "make a pair of keys with `terrain-seg models keygen --key FILE`"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _ed25519() -> Any:
    return _module("cryptography.hazmat.primitives.asymmetric.ed25519")


def _forms() -> Any:
    return _module("cryptography.hazmat.primitives.serialization")


def _exceptions() -> Any:
    return _module("cryptography.exceptions")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"signed models need the package cryptography ({error}); install it with: "
            "pip install cryptography (the extra `sign` of this package), or leave "
            "model_public_key empty to use models without a signature"
        ) from error
