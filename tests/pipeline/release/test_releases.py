import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as proto
from tfx.types import standard_artifacts
from tfx.types.standard_component_specs import (
    CUSTOM_CONFIG_KEY,
    PUSH_DESTINATION_KEY,
)

from pipeline.gate.baseline import WITHDRAWN
from pipeline.gate.digests import WARMED, WARMUP, digest, record
from pipeline.release import releases
from pipeline.release.decisions import (
    decisions,
    intended,
    why_withdrawn,
    withdrawals,
)
from pipeline.release.lineage import open_store
from pipeline.release.model_files import versions
from pipeline.release.push import AtomicExecutor
from pipeline.release.releases import reset_baseline, rollback
from pipeline.release.statement import (
    StatementError,
    state,
    verify_version,
)
from wseg_tf.data.checks import DataError


def write_model(folder: Path, content: str) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "data").write_text(content)
    (folder / "saved_model.pb").write_text("graph")
    (folder / WARMUP).parent.mkdir()
    (folder / WARMUP).write_text("requests")
    return folder


def push(
    root: Path,
    content: str,
    blessed: int = 1,
    after_the_check: Callable[[Path], None] = lambda model: None,
    key: Path | None = None,
) -> Any:
    """Pushes a model as the Pusher component does."""
    checked = root / "checked" / content
    if not checked.exists():
        write_model(checked / "stamped_model", content)
    model_blessing = standard_artifacts.ModelBlessing()
    model_blessing.set_int_custom_property("blessed", blessed)
    model_blessing.set_string_custom_property("judged", "of the model")
    infra_blessing = standard_artifacts.InfraBlessing()
    infra_blessing.uri = str(checked)
    infra_blessing.set_int_custom_property("blessed", 1)
    infra_blessing.set_int_custom_property("has_model", 1)
    record(infra_blessing, str(checked / "stamped_model"))
    record(infra_blessing, str(checked / "stamped_model" / WARMUP), WARMED)
    after_the_check(checked / "stamped_model")
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(root / "archive")
    AtomicExecutor().Do(
        {
            "model_blessing": [model_blessing],
            "infra_blessing": [infra_blessing],
        },
        {"pushed_model": [pushed]},
        {
            PUSH_DESTINATION_KEY: json.dumps(
                {"filesystem": {"base_directory": str(root / "serving")}}
            ),
            CUSTOM_CONFIG_KEY: json.dumps({"signing_key": key and str(key)}),
        },
    )
    return pushed


def served(root: Path) -> list[str]:
    """What each version holds, the served one last."""
    folders = [
        root / "serving" / str(each) for each in versions(str(root / "serving"))
    ]
    return [(each / "variables" / "data").read_text() for each in folders]


def test_versions_rise_even_within_a_second(tmp_path: Path) -> None:
    for content in ("a", "b", "c"):
        push(tmp_path, content)
    assert served(tmp_path) == ["a", "b", "c"]
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_same_model_is_not_pushed_twice(tmp_path: Path) -> None:
    first = push(tmp_path, "a")
    again = push(tmp_path, "a")
    assert served(tmp_path) == ["a"]
    for key in ("pushed_destination", "pushed_version"):
        assert again.get_string_custom_property(
            key
        ) == first.get_string_custom_property(key)
    # But a model that was replaced comes back as a new version.
    push(tmp_path, "b")
    push(tmp_path, "a")
    assert served(tmp_path) == ["a", "b", "a"]


@pytest.mark.parametrize(
    "name", ["variables/data", "new", "saved_model.pb", WARMUP]
)
def test_files_swapped_after_the_serving_check_are_not_pushed(
    tmp_path: Path, name: str
) -> None:
    def swap(model: Path) -> None:
        (model / name).write_text("swapped")

    with pytest.raises(DataError, match="Found: others"):
        push(tmp_path, "a", after_the_check=swap)
    assert not (tmp_path / "serving").exists()


def test_requests_that_were_swapped_in_a_version_are_not_vouched_for(
    tmp_path: Path,
) -> None:
    push(tmp_path, "a")
    (first,) = (tmp_path / "serving").iterdir()
    (first / WARMUP).write_text("swapped")
    push(tmp_path, "a")
    newest = tmp_path / "serving" / str(versions(f"{tmp_path}/serving")[-1])
    assert (newest / WARMUP).read_text() == "requests"
    verify_version(str(newest))
    with pytest.raises(StatementError):
        verify_version(str(first))


def test_a_version_that_was_changed_is_not_gone_back_to(
    tmp_path: Path,
) -> None:
    for content in "abc":
        push(tmp_path, content)
    first, second, _ = versions(f"{tmp_path}/serving")
    changed = tmp_path / "serving" / str(second) / "variables" / "data"
    changed.write_text("swapped")
    with pytest.raises(StatementError, match=r"variables/data: expected"):
        rollback(str(tmp_path), "too slow")
    assert served(tmp_path)[-1] == "c"
    assert rollback(str(tmp_path), "too slow", to=first).serving == first
    with pytest.raises(StatementError, match=r"variables/data: expected"):
        rollback(str(tmp_path), "it was fine", to=second)
    assert served(tmp_path) == ["a"]


def test_a_model_is_withdrawn_though_nobody_says_so_any_more(
    tmp_path: Path,
) -> None:
    push(tmp_path, "a")
    push(tmp_path, "b")
    rollback(str(tmp_path), "loses cyclists at dusk")
    (tmp_path / "decisions.jsonl").unlink()
    refused = push(tmp_path, "b")
    assert refused.get_int_custom_property("pushed") == 0
    assert served(tmp_path) == ["a"]
    (gone,) = withdrawals(str(tmp_path))
    assert "no line of decisions.jsonl" in why_withdrawn(str(tmp_path), gone)


def test_a_refused_model_leaves_no_trace(tmp_path: Path) -> None:
    pushed = push(tmp_path, "bad", blessed=0)
    assert pushed.get_int_custom_property("pushed") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checked"]


def test_a_push_that_is_killed_leaves_no_version(tmp_path: Path) -> None:
    """Killed while it copies: the model's last file never ends."""
    push(tmp_path, "a")
    stuck = write_model(tmp_path / "checked" / "b" / "stamped_model", "b")
    endless = stuck / "variables" / "endless"
    os.mkfifo(endless)
    child = os.fork()
    if child == 0:
        # Without the digests, which read the model too.
        globals()["record"] = print
        for name in ("digest", "verify"):
            AtomicExecutor.Do.__globals__[name] = lambda *given: str(given)
        push(tmp_path, "b")
        os._exit(0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if [*tmp_path.glob("serving.*.unfinished/*/variables")]:
            break
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert list(tmp_path.glob("serving.*.unfinished"))
    assert [path.name for path in (tmp_path / "serving").iterdir()] == [
        str(version) for version in versions(str(tmp_path / "serving"))
    ]
    assert served(tmp_path) == ["a"]
    # The same command goes on.
    endless.unlink()
    push(tmp_path, "b")
    assert served(tmp_path) == ["a", "b"]
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_version_without_its_graph_is_none(tmp_path: Path) -> None:
    write_model(tmp_path / "5", "a")
    (tmp_path / "6" / "variables").mkdir(parents=True)
    (tmp_path / "not a version").mkdir()
    assert versions(str(tmp_path)) == [5]
    assert versions(str(tmp_path / "nowhere")) == []


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    first = write_model(tmp_path / "1", "a")
    assert digest(str(first)) == digest(str(write_model(tmp_path / "2", "a")))
    assert digest(str(first)) != digest(str(write_model(tmp_path / "3", "b")))
    before = digest(str(first))
    (first / "variables" / "data").rename(first / "variables" / "other")
    assert digest(str(first)) != before


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Versions 1, 2 and 3, and the metadata of their pushes."""
    store = open_store(str(tmp_path / "metadata.sqlite"))
    kinds = {
        name: store.put_artifact_type(proto.ArtifactType(name=name))
        for name in ("ModelBlessing", "PushedModel")
    }
    pusher = store.put_execution_type(proto.ExecutionType(name="Pusher"))
    for version in (1, 2, 3):
        write_model(tmp_path / "serving" / str(version), str(version))
        blessing, pushed = (
            proto.Artifact(type_id=kind, state=proto.Artifact.LIVE)
            for kind in kinds.values()
        )
        blessing.custom_properties["blessed"].int_value = 1
        pushed.custom_properties["pushed_version"].string_value = str(version)
        ids = store.put_artifacts([blessing, pushed])
        (execution,) = store.put_executions([proto.Execution(type_id=pusher)])
        store.put_events(
            [
                proto.Event(
                    artifact_id=artifact, execution_id=execution, type=kind
                )
                for artifact, kind in zip(
                    ids, (proto.Event.INPUT, proto.Event.OUTPUT), strict=True
                )
            ]
        )
    return tmp_path


def blessed(root: Path, name: str = "blessed") -> list[int]:
    store = open_store(str(root / "metadata.sqlite"))
    return [
        artifact.custom_properties[name].int_value
        for artifact in store.get_artifacts_by_type("ModelBlessing")
    ]


def reusable(root: Path, kind: str) -> list[bool]:
    """Which results a later run may reuse."""
    store = open_store(str(root / "metadata.sqlite"))
    return [
        artifact.state == proto.Artifact.LIVE
        for artifact in store.get_artifacts_by_type(kind)
    ]


def test_a_decision_lets_the_steps_that_it_concerns_run_again(
    three: Path,
) -> None:
    """Wherever they run: the metadata is all that runs have in common."""
    rollback(str(three), "too slow")
    assert reusable(three, "PushedModel") == [False] * 3
    assert reusable(three, "ModelBlessing") == [True] * 3
    reset_baseline(str(three), "new label guide")
    assert reusable(three, "PushedModel") == [False] * 3
    # The third had been revoked; what it says of its withdrawal stays.
    assert reusable(three, "ModelBlessing") == [False, False, True]
    rollback(str(three), "the camera", to=1)
    rollback(str(three), "no, it was fine", to=2)
    # Restored, it is a baseline again, which only a live one can be.
    assert reusable(three, "ModelBlessing") == [False, True, True]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("variables/data", "variables/data: expected the file that was pushed"),
        ("assets.extra/release.json", "states what it is"),
        ("saved_model.pb", "serving: expected the version that was pushed"),
    ],
)
def test_what_is_served_and_was_not_pushed_is_pushed_again(
    three: Path, name: str, words: str
) -> None:
    there = [three / "serving" / each for each in ("1", "2", "3")]
    for version in there:
        state(str(version), "demo", int(version.name), {})
    assert releases.renew(str(three)) is None
    assert reusable(three, "PushedModel") == [True] * 3
    for version in there if name == "saved_model.pb" else there[-1:]:
        (version / name).unlink()
    if name == "variables/data":
        (there[-1] / name).write_text("another")
    assert re.search(words, releases.renew(str(three)) or "")
    assert reusable(three, "PushedModel") == [False] * 3
    assert reusable(three, "ModelBlessing") == [True] * 3
    push(three, "3")
    assert served(three)[-1] == "3"
    latest = versions(str(three / "serving"))[-1]
    verify_version(str(three / "serving" / str(latest)))
    assert releases.renew(str(three)) is None


def test_a_rollback_serves_the_version_before_and_is_recorded(
    three: Path,
) -> None:
    done = rollback(str(three), "too many false alarms")
    assert served(three) == ["1", "2"]
    assert (three / "withdrawn" / "3" / "saved_model.pb").exists()
    # What was taken back is no baseline any more.
    assert blessed(three) == [1, 1, 0]
    assert decisions(str(three)) == [done]
    assert (done.withdrawn, done.serving) == ((3,), 2)
    assert done.reason == "too many false alarms"


def test_a_rollback_reaches_back_and_can_be_undone(three: Path) -> None:
    rollback(str(three), "", to=1)
    assert (served(three), blessed(three)) == (["1"], [1, 0, 0])
    assert blessed(three, WITHDRAWN) == [0, 1, 1]
    done = rollback(str(three), "it was the camera", to=3)
    assert (done.restored, done.withdrawn) == ((3,), ())
    assert (served(three), blessed(three)) == (["1", "3"], [1, 0, 1])
    assert blessed(three, WITHDRAWN) == [0, 1, 0]


def test_a_rollback_that_is_done_is_not_done_again(three: Path) -> None:
    done = rollback(str(three), "false alarms", to=2)
    assert rollback(str(three), "false alarms", to=2) == done
    assert decisions(str(three)) == [done]
    reset_baseline(str(three), "new cameras")
    # Nor does anything that happened since make it another.
    assert rollback(str(three), "false alarms", to=2).serving == 2
    push(three, "d")
    last = versions(str(three / "serving"))[-1]
    with pytest.raises(ValueError, match=f"Version {last} .* served already"):
        rollback(str(three), "", to=last)


def test_there_must_be_something_to_roll_back_to(three: Path) -> None:
    with pytest.raises(ValueError, match=r"\[1, 2, 3\].*Received: to=7"):
        rollback(str(three), "", to=7)
    rollback(str(three), "", to=1)
    with pytest.raises(ValueError, match="at least two versions"):
        rollback(str(three), "")
    assert len(decisions(str(three))) == 1


def test_a_reset_baseline_is_forgotten_but_still_served(three: Path) -> None:
    done = reset_baseline(str(three), "new label guide")
    assert blessed(three) == [0, 0, 0]
    assert blessed(three, WITHDRAWN) == [0, 0, 0]
    assert served(three) == ["1", "2", "3"]
    assert (done.what, len(done.blessings)) == ("baseline reset", 3)
    store = open_store(str(three / "metadata.sqlite"))
    (first, *_) = store.get_artifacts_by_type("ModelBlessing")
    assert first.custom_properties["revoked"].string_value == "new label guide"


def test_a_withdrawn_model_does_not_come_back_unnoticed(tmp_path: Path) -> None:
    push(tmp_path, "a")
    push(tmp_path, "b")
    done = rollback(str(tmp_path), "loses cyclists at dusk")
    refused = push(tmp_path, "b")
    assert served(tmp_path) == ["a"]
    assert refused.get_int_custom_property("pushed") == 0
    (gone,) = withdrawals(str(tmp_path))
    said = why_withdrawn(str(tmp_path), gone)
    assert "loses cyclists at dusk" in said
    assert done.who in said
    assert f"--to {done.withdrawn[0]}" in said
    # Others are pushed, and by command so is this one again.
    push(tmp_path, "c")
    assert served(tmp_path) == ["a", "c"]
    rollback(str(tmp_path), "it was the camera", to=done.withdrawn[0])
    assert served(tmp_path) == ["a", "b"]
    restored = push(tmp_path, "b")
    assert restored.get_int_custom_property("pushed") == 1
    assert why_withdrawn(str(tmp_path), gone) == ""


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_killed_rollback_is_finished_by_the_next_call(
    three: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    left = [moves]

    def dying(source: str, target: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        os.rename(source, target)

    monkeypatch.setattr(releases, "move", dying)
    if moves == 2:
        monkeypatch.setattr(
            releases.decisions, "record", lambda *_: dying("", "")
        )
    with pytest.raises(KeyboardInterrupt):
        rollback(str(three), "too slow", to=1)
    assert decisions(str(three)) == []
    monkeypatch.undo()
    done = releases.finish(str(three))
    assert done is not None
    assert (served(three), blessed(three)) == (["1"], [1, 0, 0])
    assert decisions(str(three)) == [done]
    assert intended(str(three)) is None
    assert releases.finish(str(three)) is None


def test_a_killed_rollback_run_again_goes_back_once(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(releases, "move", dying)
    with pytest.raises(KeyboardInterrupt):
        rollback(str(three), "too slow")
    monkeypatch.undo()
    assert rollback(str(three), "too slow").serving == 2
    assert served(three) == ["1", "2"]
    assert len(decisions(str(three))) == 1


def test_a_torn_last_line_is_survived_and_any_other_is_named(
    three: Path,
) -> None:
    first = rollback(str(three), "one")
    path = three / "decisions.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:30])
    assert decisions(str(three)) == [first]
    second = reset_baseline(str(three), "two")
    assert decisions(str(three)) == [first, second]
    path.write_text(whole[:30] + "\n" + whole)
    with pytest.raises(ValueError, match=r"line 1 of .*decisions\.jsonl"):
        decisions(str(three))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        '{"when": "now"}',
        '{"when": "now", "what": "rollback", "reason": 1}',
        '{"when": "n", "what": "r", "reason": "", "withdrawn": ["1"]}',
        '{"when": "n", "what": "r", "reason": "", "serving": "3"}',
        '{"when": "n", "what": "r", "reason": "", "other": 3}',
        "\udcff",
    ],
)
def test_a_damaged_record_is_named_and_nothing_is_moved(
    three: Path, wrong: str
) -> None:
    before = served(three), blessed(three)
    content = wrong.encode("utf-8", "surrogateescape")
    (three / "rollback.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"Invalid .*rollback\.json.*Expected"):
        releases.finish(str(three))
    assert (served(three), blessed(three)) == before
    (three / "decisions.jsonl").write_bytes(content + b" 1\n")
    with pytest.raises(ValueError, match=r"line 1 of .*decisions\.jsonl"):
        decisions(str(three))
