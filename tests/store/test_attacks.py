"""Hostile and torn files: the load equals the original or raises StoreError, and nothing else happens."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewise.errors import StoreError
from gatewise.store import load_model, unpack_tensors
from gatewise.store.documents import canonical_json, digest, parse_json
from tests.store.models import attempt, same, save

ATTACK = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)


@st.composite
def mutations(draw):
    """A function that damages some bytes."""
    kind = draw(
        st.sampled_from(["flip", "set", "cut", "insert", "delete", "double", "swap", "zero", "token"])
    )
    where, width = draw(st.floats(0, 1)), draw(st.integers(1, 64))
    junk = draw(st.binary(min_size=1, max_size=32))
    bit = draw(st.integers(0, 7))
    token = draw(
        st.sampled_from([b"NaN", b"1e999", b"null", b"[" * 200, b'"', b"\\ud800", b"-1", b"2", b"{}", b" "])
    )

    def damage(data: bytes) -> bytes:
        at = min(int(where * len(data)), max(len(data) - 1, 0))
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :] if data else data
        if kind == "set":
            return data[:at] + junk + data[at + len(junk) :]
        if kind == "cut":
            return data[:at]
        if kind == "insert":
            return data[:at] + junk + data[at:]
        if kind == "delete":
            return data[:at] + data[at + width :]
        if kind == "double":
            return data[:at] + data[at : at + width] + data[at:]
        if kind == "swap":
            return data[at:] + data[:at]
        if kind == "zero":
            return data[:at] + bytes(len(data[at : at + width])) + data[at + width :]
        return data[:at] + token + data[at + len(token) :]

    return damage


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A saved model: its folder and the content of its files, to start every attack from."""
    folder = tmp_path_factory.mktemp("attacked")
    save(folder)
    return folder, {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


def put_back(original):
    folder, files = original
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder, load_model(folder)


@ATTACK
@given(damage=mutations(), name=st.sampled_from(["config.json", "model.safetensors"]))
def test_damaged_bytes(original, damage, name):
    folder, whole = put_back(original)
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    stored, said = attempt(folder)
    assert name in said if stored is None else same(stored, whole)


@ATTACK
@given(damage=mutations())
def test_damaged_weights_whose_digest_was_made_to_fit(original, damage):
    """An attacker can fix the digests: then the parser itself must stand."""
    folder, _ = put_back(original)
    data = damage((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").write_bytes(data)
    document = json.loads((folder / "config.json").read_text())
    del document["sha256"]
    document["weights"] = {"bytes": len(data), "sha256": digest(data)}
    document["sha256"] = digest(canonical_json(document))
    (folder / "config.json").write_text(json.dumps(document))
    stored, said = attempt(folder)
    if stored is None:
        assert "model.safetensors" in said
    else:
        assert all(isinstance(value, torch.Tensor) for value in stored.tensors.values())


def packed(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), start=0, stop=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00", b"\x00" * 7, b"\x00" * 8, b"\xff" * 8, b"\xff" * 100, b"PK\x03\x04" * 10,
        b"\x80\x04" * 20,
        packed(b""), packed(b"{}", length=3), packed(b"{}", length=2**63), packed(b"{}", length=2**64 - 1),
        packed(b"{}", b"rest"), packed(b"[]"), packed(b"null"), packed(b"{"), packed(b"\xff\xff\xff"),
        packed(b"[" * 100_000), packed(b'{"a":' * 100_000),
        packed({"w": entry()}), packed({"w": entry()}, b"x" * 7), packed({"w": entry()}, b"x" * 9),
        packed({"w": entry(start=8, stop=0)}, b"x" * 8), packed({"w": entry(start=-8, stop=0)}, b"x" * 8),
        packed({"w": entry(start=1, stop=9)}, b"x" * 9), packed({"w": entry(stop=2**63)}, b"x" * 8),
        packed({"w": entry(stop=2**70)}, b"x" * 8), packed({"w": entry(stop=8.5)}, b"x" * 8),
        packed({"w": entry(shape=(3,))}, b"x" * 8), packed({"w": entry(shape=(-2,))}, b"x" * 8),
        packed({"w": entry(shape=(2**62, 8))}, b"x" * 8),
        packed({"w": entry(shape=(2**40, 2**40))}, b"x" * 8),
        packed({"w": entry(shape=("2",))}, b"x" * 8), packed({"w": entry(dtype="F99")}, b"x" * 8),
        packed({"w": entry(dtype="F8_E8M0", shape=(8,))}, b"x" * 8), packed({"w": entry(dtype=3)}, b"x" * 8),
        packed({"w": entry(dtype="F4", shape=(16,))}, b"x" * 8),
        packed({"w": None}, b"x" * 8), packed({"w": []}, b""), packed({"w": {}}, b""),
        packed({"w": {**entry(), "more": 1}, "v": entry()}, b"x" * 8),
        packed({"w": entry(), "v": entry()}, b"x" * 8),
        packed({"w": entry(), "v": entry(start=4, stop=12)}, b"x" * 12),
        packed({"w": entry(), "v": entry(start=16, stop=24)}, b"x" * 24),
        packed(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"I32","shape":[2],'
               b'"data_offsets":[0,8]}}', b"x" * 8),
        packed({"__metadata__": 3}), packed({"__metadata__": {"a": 3}}),
        packed({"__metadata__": {"a": {"b": "c"}}}),
        packed(b'{"__metadata__":{"a":"b","a":"c"}}'), packed(b'{"__metadata__":NaN}'),
        packed(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', b"x" * 8),
    ],
)  # fmt: skip
def test_headers_that_lie(data):
    with pytest.raises(StoreError, match=r"^bad\.safetensors is damaged"):
        unpack_tensors(data, "bad.safetensors")


def test_the_header_that_tells_the_truth():
    """What the attacks above start from is itself in order: they fail for what they changed."""
    tensors, metadata = unpack_tensors(
        packed({"__metadata__": {"a": "b"}, "w": entry()}, struct.pack("<2f", 1, 2)), "good.safetensors"
    )
    assert tensors["w"].tolist() == [1, 2]
    assert metadata == {"a": "b"}


@ATTACK
@given(data=st.binary(max_size=300))
def test_any_bytes_as_weights(data):
    for whole in (data, struct.pack("<Q", len(data)) + data):
        try:
            tensors, _ = unpack_tensors(whole, "any.safetensors")
        except StoreError:
            continue
        assert tensors == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(ATTACK, max_examples=100)
@given(value=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_config_comes_back(tmp_path_factory, value):
    folder = tmp_path_factory.getbasetemp() / "any_config"
    save(folder, config=value)
    config = load_model(folder).config
    assert config == value
    assert canonical_json(config) == canonical_json(value)  # 1 and 1.0 and True are told apart


@ATTACK
@given(
    data=st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ 01eE.-NaInfty', max_size=200).map(str.encode)
)
def test_any_bytes_as_json(data):
    try:
        value = parse_json(data, "any.json")
    except StoreError as error:
        said = str(error)
    else:
        assert value == json.loads(data)
        return
    assert said.startswith("any.json is damaged")
