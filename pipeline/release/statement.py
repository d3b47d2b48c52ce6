"""What a pushed version states about itself, signed where a key is given."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from pipeline.gate.digests import SIGNATURE, STATEMENT, each_digest
from pipeline.release import decisions
from wseg_tf.filesystems import write_whole
from wseg_tf.json_files import parse_json


class StatementError(ValueError):
    """A version is not what its statement says, or nobody vouches for it."""


@dataclass(frozen=True)
class Statement:
    """What was pushed, and what it was judged by.

    Args:
        pipeline: The pipeline's name.
        version: The version's number.
        pushed: When, UTC, ISO 8601.
        who: The user and the machine that pushed it.
        judged: SHA-256 by name of the model, the records and the baseline
            that the gate judged.
        files: SHA-256 of each file of the version, by its path there.
    """

    pipeline: str
    version: int
    pushed: str
    who: str
    judged: Mapping[str, str]
    files: Mapping[str, str]


def state(
    folder: str,
    pipeline: str,
    version: int,
    judged: Mapping[str, str],
    key: str | None = None,
) -> Statement:
    """Writes a version's statement, and its signature if a key is given.

    Args:
        folder: The version's folder.
        pipeline: The pipeline's name.
        version: The version's number.
        judged: As `Statement` has it.
        key: File of an ed25519 private key, PEM. Defaults to None: unsigned.

    Returns:
        The statement.

    Raises:
        ValueError: If the key is none.
    """
    signer = None if key is None else private_key(key)
    statement = Statement(
        pipeline=pipeline,
        version=version,
        pushed=decisions.now(),
        who=decisions.who(),
        judged=dict(judged),
        files=each_digest(folder),
    )
    text = json.dumps(asdict(statement), indent=1, sort_keys=True) + "\n"
    signature = os.path.join(folder, SIGNATURE)
    if signer is not None:
        write_whole(signature, signer.sign(text.encode()).hex() + "\n")
    elif tf.io.gfile.exists(signature):
        tf.io.gfile.remove(signature)
    write_whole(os.path.join(folder, STATEMENT), text)
    return statement


def is_stated(folder: str, key: str | None = None) -> bool:
    """Whether a version is what its statement says, signed if a key is given.

    Args:
        folder: The version's folder.
        key: File of the private key, PEM. Defaults to None.

    Raises:
        ValueError: If the key is none.
    """
    signer = None if key is None else private_key(key).public_key()
    try:
        verify_version(folder)
    except StatementError:
        return False
    return signer is None or _is_signed(folder, signer)


def verify_version(
    folder: str, public: str | None = None
) -> tuple[Statement, bool]:
    """Holds a version's files to its statement, and that to its signature.

    Args:
        folder: The version's folder.
        public: File of the ed25519 public key, PEM, that must have signed it.
            Defaults to None: whoever wrote the files also wrote the statement,
            so only accidents are found.

    Returns:
        The statement, and whether it carries a signature.

    Raises:
        StatementError: If a file is missing, another or too much, the
            signature is of another key or none, or nothing is stated.
        ValueError: If the key is none.
    """
    key = None if public is None else public_key(public)
    path = os.path.join(folder, STATEMENT)
    if not tf.io.gfile.exists(path):
        raise StatementError(
            f"{folder}: expected a version that states what it is, in "
            f"{STATEMENT}. Found: none, as of an earlier release."
        )
    signed = tf.io.gfile.exists(os.path.join(folder, SIGNATURE))
    if key is not None and not _is_signed(folder, key):
        other = "one of another key, or of another statement"
        raise StatementError(
            f"{os.path.join(folder, SIGNATURE)}: expected a signature by the "
            f"owner of {public}. Found: {other if signed else 'none'}."
        )
    written = _read(path)
    try:
        statement: Statement = parse_json(written, path, Statement)
    except ValueError as error:
        raise StatementError(
            f"{path}: expected a statement as the push writes it. Found: "
            f"{written[:40]!r}."
        ) from error
    stated, found = statement.files, each_digest(folder)
    for name in sorted({*stated, *found}):
        if stated.get(name) != found.get(name):
            what = "another file" if name in stated else "one that is not"
            if name not in found:
                what = "none"
            raise StatementError(
                f"{os.path.join(folder, name)}: expected the file that was "
                f"pushed. Found: {what}."
            )
    if os.path.basename(folder.rstrip("/")) != str(statement.version):
        raise StatementError(
            f"{folder}: expected version {statement.version}, as stated. "
            "Found: a folder of another name."
        )
    return statement, signed


def private_key(path: str) -> ed25519.Ed25519PrivateKey:
    """Reads the key that signs.

    Args:
        path: PEM, without a password.

    Raises:
        ValueError: If there is none.
    """
    key = _key(path, "gate.signing_key", "private", _load_private)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key


def public_key(path: str) -> ed25519.Ed25519PublicKey:
    """Reads the key that signatures are held to.

    Args:
        path: PEM.

    Raises:
        ValueError: If there is none.
    """
    key = _key(path, "key", "public", serialization.load_pem_public_key)
    assert isinstance(key, ed25519.Ed25519PublicKey)
    return key


def signer(path: str | None) -> str:
    """Returns what tells a signing key from others, and no secret.

    Args:
        path: Its file, or None.

    Returns:
        SHA-256 of the public key; nothing where there is no key here, as where
        a cluster keeps it.

    Raises:
        ValueError: If the file holds none.
    """
    if path is None or not tf.io.gfile.exists(path):
        return ""
    raw = (
        private_key(path)
        .public_key()
        .public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
    )
    return hashlib.sha256(raw).hexdigest()


def _is_signed(folder: str, key: ed25519.Ed25519PublicKey) -> bool:
    try:
        signature = _read(os.path.join(folder, SIGNATURE)).decode().strip()
        key.verify(
            bytes.fromhex(signature), _read(os.path.join(folder, STATEMENT))
        )
    except (tf.errors.NotFoundError, InvalidSignature, ValueError):
        return False
    return True


def _load_private(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, password=None)


def _key(path: str, argument: str, kind: str, load: Any) -> Any:
    try:
        key = load(_read(path))
    except (tf.errors.OpError, OSError) as error:
        found: object = f"{path}, which cannot be read ({type(error).__name__})"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = f"{path}, which holds none, or needs a password"
    else:
        if isinstance(
            key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)
        ):
            return key
        found = f"{path}, a key of another kind ({type(key).__name__})"
    raise ValueError(
        f"Invalid value for argument `{argument}`. Expected the file of an "
        f"ed25519 {kind} key, PEM without a password. Received: {found}."
    )


def _read(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        content: bytes = file.read()
    return content
