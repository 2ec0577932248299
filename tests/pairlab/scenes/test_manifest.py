from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes import manifest
from pairlab.scenes.bitemporal import bitemporal_fingerprint, list_bitemporal
from pairlab.scenes.manifest import Manifest, read_manifest
from pairlab.scenes.scene import SceneError
from tests.pairlab.scenes.bitemporal_tree import write_manifest, write_scenes


def of_csv(tmp_path: Path, text: str | bytes) -> Manifest:
    path = tmp_path / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(path, name="m.csv")


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(SceneError) as error:
        of_csv(tmp_path, text)
    return str(error.value)


def test_cells_are_trimmed_and_empty_ones_are_none(tmp_path: Path) -> None:
    found = of_csv(
        tmp_path,
        '\ufeffscene, acquisition,image,note,cloud,mixed\r\n\r\n a ,pre,x.png,"one, two",0.5,7\r\nb,post,y.png,,,-\r\n',
    )
    first, second = found.rows
    assert (first.scene, first.acquisition, first.image) == ("a", "pre", "x.png")
    assert (first.mask, first.change, first.split, first.event) == (None, None, None, None)
    assert (first.number, second.number) == (1, 2)
    assert found.columns == {"note": ["one, two", None], "cloud": [0.5, None], "mixed": ["7", "-"]}


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_holds_texts_numbers_and_dates(tmp_path: Path, text: pa.DataType) -> None:
    columns = {
        "scene": pa.array([17, 18]),
        "acquisition": pa.array(["pre ", "post"]).cast(text),
        "image": pa.array(["x.png", "x.png"]).cast(text),
        "day": [date(2020, 1, 31), None],
        "clear": [True, False],
        "cloud": [0.5, float("nan")],
    }
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    found = read_manifest(tmp_path / "m.parquet", name="m.parquet")
    assert [(row.scene, row.acquisition, row.image) for row in found.rows] == [
        ("17", "pre", "x.png"),
        ("18", "post", "x.png"),
    ]
    assert found.columns == {"day": ["2020-01-31", None], "clear": ["true", "false"], "cloud": [0.5, None]}


def test_a_row_of_another_length_is_a_fault_of_that_row(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "scene,acquisition,image\na,pre,x.png\na,post\nb,pre,x.png,more\n")
    assert [row.trouble for row in found.rows] == [
        None,
        "line 3 of m.csv has 2 cells, its first line names 3: give it as many, and put texts that hold commas into "
        '"quotes"',
        "line 4 of m.csv has 4 cells, its first line names 3: give it as many, and put texts that hold commas into "
        '"quotes"',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.csv is empty: its first line names the columns scene, acquisition, image, mask, change, split, event"),
        (
            "scene;acquisition;image\n",
            "m.csv has no column scene and no column acquisition and no column image; it needs scene, acquisition, "
            "image and has scene;acquisition;image: name the columns so in its first line",
        ),
        ("scene,image,scene\n", "m.csv has several columns named scene: give each its own name"),
        ("scene,acquisition,image,\n", "m.csv has a column named '': 1 to 80 printable characters"),
        ("scene,acquisition,image,a\x1bb\n", "m.csv has a column named \"'a\\\\x1bb'\": 1 to 80 printable characters"),
        (
            'scene,acquisition,image\n"a,b,c\n',
            "m.csv is no CSV, at line 2 (unexpected end of data): save it again",
        ),
        (
            b"scene,acquisition,image\n" + b"x" * 10_000_000,
            "m.csv is no CSV, at line 2 (field larger than field limit (131072)): save it again",
        ),
        (b"scene,acquisition,image\n\xff", "m.csv is no UTF-8 text (byte 24): save it as UTF-8"),
        (
            ",".join(f"c{number}" for number in range(300)),
            "m.csv has 300 columns; at most 200 are read: leave some out",
        ),
    ],
)
def test_tables_that_are_no_manifest(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_limits_of_size_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "scene,acquisition,image\n" + "a,pre,x.png\n" * 10
    monkeypatch.setattr(manifest, "MAX_ROWS", 9)
    assert refusal(tmp_path, text) == "m.csv has more than 9 rows or 5000000 cells: split the dataset"
    monkeypatch.setattr(manifest, "MAX_MANIFEST_BYTES", 100)
    assert refusal(tmp_path, text) == "m.csv has more than the 100 bytes that are read: split the dataset"


def test_parquet_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(SceneError, match=r"m.parquet is no Parquet file that can be read \(.*\): save it again"):
        read_manifest(path, name="m.parquet")
    pq.write_table(pa.table({"scene": [["a"]], "acquisition": ["x"], "image": ["y"]}), path)
    with pytest.raises(SceneError, match=r"has list<.*string> in column scene: save it as text, number or date"):
        read_manifest(path, name="m.parquet")
    pq.write_table(pa.table({"scene": ["a"], "acquisition": ["x" * 3000], "image": ["y"]}), path)
    with pytest.raises(SceneError, match="in column acquisition a text of 3000 characters, more than 1000"):
        read_manifest(path, name="m.parquet")


def test_a_small_file_of_many_equal_texts_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 400_000, pa.int32()), pa.array(["x" * 900]))
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"scene": text, "acquisition": text, "image": text}), path, compression="zstd")
    assert path.stat().st_size < 200_000  # of a gigabyte of text
    rows = read_manifest(path, name="m.parquet").rows
    assert len({id(row.scene) for row in rows}) < 10  # one text, not 400,000 copies of it
    monkeypatch.setattr(manifest, "MAX_ROWS", 10)
    with pytest.raises(SceneError, match="more than 10 rows"):
        read_manifest(path, name="m.parquet")


@settings(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["m.csv", "m.parquet"]))
def test_mutated_manifests_are_refused_or_their_scenes_are(tmp_path: Path, data: st.DataObject, name: str) -> None:
    folder = tmp_path / "data"
    if not folder.exists():
        rows = write_scenes(folder, seed=2, splits=("train", "test"), size=16)
        for each in ("m.csv", "m.parquet"):
            write_manifest(folder, rows, name=each)
    original = (folder / name).read_bytes()
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b",", b"\n", b"../", b"/etc/", b"\0", b"\x1b[2J"]))
        )
        content[position : position + data.draw(st.integers(0, 3))] = piece
    (folder / f"mutated-{name}").write_bytes(content)
    config = BitemporalDataset(root="data", manifest=f"mutated-{name}", classes=("background", "field", "house"))
    try:
        listing = list_bitemporal(folder, config)
        bitemporal_fingerprint(folder, config)
    except SceneError as error:
        message = str(error)
    else:
        message = " ".join(each.reason for each in listing.quarantined)
        assert listing.scenes
    assert message.isprintable()
