"""`wseg ground`: what it shows, explains, writes and refuses."""

import json

import numpy as np
from typer.testing import CliRunner

from pipeline.cli import app
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.ground.files import write_csv


def wseg(*arguments):
    done = CliRunner().invoke(app, ["ground", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_a_configuration_shows_its_costs_before_and_after_the_map():
    squared = ["training.ground.map=power", "training.ground.exponent=2"]
    code, said = wseg("show", "configs/demo.yaml", *squared)
    assert code == 0
    before, after = said.split("f(D): rows are the group")
    assert "4: car, pedestrian, │ 2 │ 4 │ 4 │ 4" in before
    assert "4: car, pedestrian, │ 4 │ 16 │ 16 │ 16" in after


def test_a_proposal_is_read_back_shown_and_drawn(tmp_path):
    matrix, picture = tmp_path / "D.csv", tmp_path / "D.png"
    given = "{4: 6, pedestrian: 10}"
    assert (
        wseg("propose", "camvid", "--severities", given, "--out", matrix)[0]
        == 0
    )
    ground = GroundMatrix.from_csv(matrix)
    assert ground.classes == CAMVID.names
    assert ground.cost("pedestrian", "building") == 10
    code, _ = wseg("show", matrix, "--classes", "camvid", "--out", picture)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, said = wseg("explain", matrix, "pedestrian")
    assert code == 0
    assert "10 taken for sky, building" in said


def test_a_measured_confusion_says_where_it_hurts(tmp_path):
    counts = np.diag([100] * 11)
    counts[CAMVID.index("pedestrian"), CAMVID.index("building")] = 30
    counts[CAMVID.index("sky"), CAMVID.index("tree")] = 40
    turned = np.arange(11)[::-1]
    write_csv(
        tmp_path / "counts.csv",
        counts[np.ix_(turned, turned)],
        CAMVID.names[::-1],
    )
    code, said = wseg(
        "propose",
        "camvid",
        "--out",
        tmp_path / "D.yaml",
        "--confusion",
        tmp_path / "counts.csv",
        "--json",
        tmp_path / "shares.json",
    )
    assert code == 0
    assert "│ pedestrian │ building │ 4 │ 30 │ 75.0% │" in said
    assert "│ sky │ tree │ 1 │ 40 │ 25.0% │" in said
    told = json.loads((tmp_path / "shares.json").read_text())
    assert told["D"]["sky"]["tree"] == 1
    [share] = [each for each in told["shares"] if each["true"] == "sky"]
    assert (share["predicted"], share["pixels"]) == ("tree", 40)


def test_what_is_wrong_is_one_sentence_and_writes_nothing(tmp_path):
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("0,1\n2,0\n")
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    named = tmp_path / "D.yaml"
    GroundMatrix.severity_aware(CAMVID).to_yaml(named)
    out = tmp_path / "new.yaml"
    for arguments, expected in (
        (["show", nameless], "nameless.csv: Expected class names"),
        (["show", tmp_path / "no.yaml"], "no.yaml"),
        (["show", named, "training.ground.map=power"], "`overrides`"),
        (["show", named, "--out", named], "it would be overwritten"),
        (["explain", "configs/demo.yaml", "perdestrian"], "'perdestrian'"),
        (["propose", "camvid", "--out", there], "Expected a new file"),
        (["propose", "camvidd", "--out", out], "'camvidd'"),
        (
            ["propose", "camvid", "--out", out, "--severities", "{4: x}"],
            "`--severities`",
        ),
        (
            ["propose", "camvid", "--out", out, "--severities", "car=2"],
            "`--severities`. Expected a cost for each group or class",
        ),
        (
            ["propose", "camvid", "--out", out, "--severities", "no.yaml"],
            "no.yaml (no such file)",
        ),
        (
            ["propose", "camvid", "--out", out, "--severities", "{car: -1}"],
            "`severities`. Expected finite costs >= 0. Received: car=-1",
        ),
        (
            ["propose", "camvid", "--out", out, "--json", out],
            "a file that is written twice",
        ),
        (
            ["propose", "camvid", "--out", out, "--confusion", nameless],
            "nameless.csv: Expected class names",
        ),
    ):
        code, said = wseg(*arguments)
        assert (code, "Traceback" in said) == (2, False), said
        assert expected in said
    assert there.read_text() == "mine"
    assert not out.exists()
