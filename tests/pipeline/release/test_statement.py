"""A version is what was pushed, and a key's owner says so; or it is refused."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.gate.digests import SIGNATURE, STATEMENT, WARMUP, digest
from pipeline.release.model_files import versions
from pipeline.release.releases import rollback
from pipeline.release.statement import (
    StatementError,
    private_key,
    signer,
    verify_version,
)
from tests.pipeline.release.test_releases import push

PEM = serialization.Encoding.PEM


def make_key(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """Writes a private key and its public one."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    private.write_bytes(
        key.private_bytes(
            PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def pushed(root: Path, key: Path | None = None, content: str = "a") -> Path:
    push(root, content, key=key)
    serving = root / "serving"
    return serving / str(versions(str(serving))[-1])


def test_a_version_says_what_it_is_and_who_signed_it(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    version = pushed(tmp_path, private)
    statement, is_signed = verify_version(str(version), str(public))
    assert is_signed
    assert statement.judged == {"model": "of the model"}
    assert statement.pipeline == tmp_path.name
    assert str(statement.version) == version.name
    assert sorted(statement.files) == [
        WARMUP,
        "saved_model.pb",
        "variables/data",
    ]
    # What is stated is not part of what is stated, nor of the model.
    assert digest(str(version)) == digest(
        str(tmp_path / "checked" / "a" / "stamped_model")
    )


def test_openssl_finds_the_same_signature_good(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    private, public = make_key(tmp_path)
    version = pushed(tmp_path, private)
    raw = tmp_path / "signature"
    raw.write_bytes(bytes.fromhex((version / SIGNATURE).read_text()))

    def verify() -> int:
        asked = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin"]
        asked += ["-inkey", str(public), "-sigfile", str(raw)]
        asked += ["-in", str(version / STATEMENT)]
        return subprocess.run(asked, capture_output=True).returncode

    assert verify() == 0
    (version / STATEMENT).write_text("{}")
    assert verify() != 0


@pytest.mark.parametrize("name", ["variables/data", "saved_model.pb"])
@pytest.mark.parametrize("signed", [True, False])
def test_another_file_is_found(tmp_path: Path, name: str, signed: bool) -> None:
    private, public = make_key(tmp_path)
    version = pushed(tmp_path, private if signed else None)
    (version / name).write_text("swapped")
    with pytest.raises(StatementError, match=f"{name}: .* Found: another"):
        verify_version(str(version), str(public) if signed else None)


def test_a_file_too_much_and_one_too_few_are_found(tmp_path: Path) -> None:
    version = pushed(tmp_path)
    extra = version / "assets" / "extra"
    extra.parent.mkdir()
    extra.write_text("")
    with pytest.raises(StatementError, match=r"extra: .* Found: one that is n"):
        verify_version(str(version))
    extra.unlink()
    (version / "variables" / "data").unlink()
    with pytest.raises(StatementError, match=r"data: .* Found: none"):
        verify_version(str(version))


def test_a_statement_that_was_rewritten_has_another_signature(
    tmp_path: Path,
) -> None:
    private, public = make_key(tmp_path)
    other, _ = make_key(tmp_path, "other")
    version = pushed(tmp_path, private)
    path = version / STATEMENT
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "who": "nobody"}))
    # Who has no key can make files and statement fit, and no signature.
    assert verify_version(str(version))[0].who == "nobody"
    with pytest.raises(StatementError, match="Found: one of another"):
        verify_version(str(version), str(public))
    (version / SIGNATURE).unlink()
    with pytest.raises(StatementError, match="Found: none"):
        verify_version(str(version), str(public))
    by_other = pushed(tmp_path, other, "b")
    with pytest.raises(StatementError, match="Found: one of another"):
        verify_version(str(by_other), str(public))


def test_one_version_cannot_pass_for_another(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    version = pushed(tmp_path, private)
    later = version.with_name(str(int(version.name) + 1))
    version.rename(later)
    with pytest.raises(
        StatementError, match=f"expected version {version.name}"
    ):
        verify_version(str(later), str(public))


def test_a_version_of_earlier_releases_states_nothing(tmp_path: Path) -> None:
    version = pushed(tmp_path)
    (version / STATEMENT).unlink()
    with pytest.raises(StatementError, match="earlier release"):
        verify_version(str(version))


def test_a_key_given_later_signs_what_is_served(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    other, other_public = make_key(tmp_path, "other")
    version = pushed(tmp_path)
    assert not verify_version(str(version))[1]
    assert pushed(tmp_path, private) == version
    stated, _ = verify_version(str(version), str(public))
    # The same key again changes nothing, another signs anew.
    assert pushed(tmp_path, private) == version
    assert verify_version(str(version), str(public))[0] == stated
    assert pushed(tmp_path, other) == version
    verify_version(str(version), str(other_public))


def test_a_version_withdrawn_and_restored_is_the_same(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    pushed(tmp_path, private)
    second = pushed(tmp_path, private, "b")
    rollback(str(tmp_path), "a test")
    assert not second.exists()
    rollback(str(tmp_path), "a test", to=int(second.name))
    verify_version(str(second), str(public))


def test_what_is_no_key_is_one_sentence(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    rsa_key = tmp_path / "rsa.pem"
    rsa_key.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        private_key(str(private)).private_bytes(
            PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for path, said in (
        (tmp_path / "none.pem", "cannot be read"),
        (public, "holds none"),
        (locked, "needs a password"),
        (rsa_key, "another kind"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(ValueError, match=rf"`gate.signing_key`.*{said}"):
            private_key(str(path))
    with pytest.raises(ValueError, match=r"`key`.*holds none"):
        verify_version(str(tmp_path), str(private))


def test_keys_are_told_apart_and_none_is_none(tmp_path: Path) -> None:
    one, _ = make_key(tmp_path)
    other, _ = make_key(tmp_path, "other")
    assert signer(None) == "" == signer(str(tmp_path / "on-the-cluster.pem"))
    assert len({signer(str(one)), signer(str(other)), ""}) == 3


def test_the_command_ends_as_it_found(tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    version = pushed(tmp_path, private)

    def ask(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["verify", *arguments])
        return done.exit_code, done.output

    code, said = ask(str(version), "--key", str(public))
    assert (code, "by the owner of" in said) == (0, True)
    # The folder that serves stands for its newest version.
    assert ask(str(version.parent))[0] == 0
    assert ask(str(version), "--key", str(tmp_path / "none"))[0] == 2
    assert ask(str(tmp_path / "none"))[0] == 2
    (tmp_path / "of something else").mkdir()
    assert ask(str(tmp_path / "of something else"))[0] == 2
    (version / "saved_model.pb").write_text("swapped")
    assert ask(str(version), "--key", str(public))[0] == 3
    # A version that states nothing any more is one, and is refused.
    (version / STATEMENT).unlink()
    assert ask(str(version))[0] == 3
