"""The canonical, versioned, validated JSON form of a program.

Operators and model folders carry this text, not a cell's name: a model whose cell was typed in a notebook runs
in a process that has never seen the cell's source.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from gatewise.errors import CellDefinitionError
from gatewise.spec.builder import Builder
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Label, Node, Program, State, Stream, Sum, TensorSpec, Width

__all__ = ["FORMAT", "VERSION", "from_json", "to_json"]

FORMAT = "gatewise.program"
VERSION = 1
MAX_NODES = 100_000
MAX_CHARACTERS = 16_000_000
ROLES = ("input", "recurrent", "projection", "bias", "unit", "gain", "shift")
INITS = ("uniform", "ones", "zeros", "normal")
STRUCTURAL = {"const": 0, "input": 0, "state": 0, "param": 0, "keep": 0, "inverse_width": 0,
              "linear": 1, "linear_t": None, "sum": 1, "spread": 1}  # fmt: skip
FIELDS = ("format", "version", "name", "title", "cite", "doc", "inputs", "states", "tensors", "nodes", "output",
          "next", "emits", "sums", "gradients", "labels", "retain", "admit")  # fmt: skip


def to_json(program: Program) -> str:
    """The program as canonical JSON: equal programs give equal text."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": program.name,
        "title": program.title,
        "cite": program.cite,
        "doc": program.doc,
        "inputs": [[s.name, s.width, s.boolean] for s in program.inputs],
        "states": [[s.name, s.width] for s in program.states],
        "tensors": [_tensor_row(tensor) for tensor in program.tensors],
        "gradients": [_tensor_row(tensor) for tensor in program.gradients],
        "nodes": [[n.op, list(n.args), _plain(n.attribute), n.width, n.boolean] for n in program.nodes],
        "output": program.output,
        "next": list(program.next),
        "emits": [list(emit) for emit in program.emits],
        "sums": [[s.tensor, s.part, list(s.args)] for s in program.sums],
        "labels": [[label.name, label.node] for label in program.labels],
        "retain": program.retain,
        "admit": program.admit,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _tensor_row(t: TensorSpec) -> list[Any]:
    return [t.name, t.kind, [list(part) for part in t.parts], t.columns, t.role, t.init, t.blocks]


def _plain(attribute: object) -> object:
    return list(attribute) if isinstance(attribute, tuple) else attribute


def from_json(text: str) -> Program:
    """Reads a program, and checks all that an engine will rely on.

    Raises:
        CellDefinitionError: It is not JSON, not of this format and version, or says something that cannot be.
    """
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        _refuse(f"expected a text of at most {MAX_CHARACTERS} characters")
    try:
        document = json.loads(text, parse_constant=lambda name: _refuse(f"{name} is not allowed"))
    except (ValueError, RecursionError) as error:
        _refuse(f"not valid JSON: {error}")
    return _Reader(document).program()


def _refuse(problem: str) -> NoReturn:
    raise CellDefinitionError(f"program JSON: {problem}; it may be torn, altered or from a newer Gatewise")


class _Reader:
    """Reads field by field; anything unexpected is refused with its place."""

    def __init__(self, document: Any) -> None:
        if not isinstance(document, dict):
            _refuse(f"expected an object, got {type(document).__name__}")
        if document.get("format") != FORMAT:
            _refuse(f"format: expected {FORMAT!r}, got {document.get('format')!r}")
        if document.get("version") != VERSION:
            _refuse(f"version: expected {VERSION}, got {document.get('version')!r}")
        if sorted(document) != sorted(FIELDS):
            _refuse(f"fields: expected {sorted(FIELDS)}, got {sorted(document)}")
        self.document: dict[str, Any] = document

    def program(self) -> Program:
        inputs = tuple(Stream(*self.row("inputs", row, str, Width, bool)) for row in self.rows("inputs"))
        states = tuple(State(*self.row("states", row, str, Width)) for row in self.rows("states"))
        tensors = tuple(self.tensor(row) for row in self.rows("tensors"))
        gradients = tuple(self.tensor(row) for row in self.rows("gradients"))
        listed_by = {
            "inputs": [s.name for s in inputs],
            "states": [s.name for s in states],
            "tensors": [t.name for t in tensors],
            "gradients": [t.name for t in gradients],
        }
        for what, listed in listed_by.items():
            if len(set(listed)) != len(listed):
                _refuse(f"{what}: a name appears twice in {listed}")
        builder = Builder(self.text("name"), inputs, states, tensors)
        nodes = self.nodes(builder)
        targets = Builder(self.text("name"), (), (), gradients)
        output = self.document["output"]
        result = Program(
            name=self.text("name"),
            inputs=inputs,
            states=states,
            tensors=tensors,
            nodes=nodes,
            output=None if output is None else self.node("output", output, len(nodes)),
            next=tuple(self.node("next", item, len(nodes)) for item in self.rows("next")),
            emits=tuple(
                (name, self.node("emits", node, len(nodes)))
                for name, node in (self.row("emits", row, str, int) for row in self.rows("emits"))
            ),
            gradients=gradients,
            sums=tuple(self.sum(row, nodes, targets) for row in self.rows("sums")),
            labels=tuple(
                Label(name, self.node("labels", node, len(nodes)))
                for name, node in (self.row("labels", row, str, int) for row in self.rows("labels"))
            ),
            retain=self.optional("retain"),
            admit=self.optional("admit"),
            title=self.text("title"),
            cite=self.text("cite"),
            doc=self.text("doc"),
        )
        self.check_results(result)
        return result

    # --- pieces

    def rows(self, field: str) -> list[Any]:
        value = self.document[field]
        if not isinstance(value, list) or len(value) > MAX_NODES:
            _refuse(f"{field}: expected a list of at most {MAX_NODES} entries")
        return value

    def text(self, field: str) -> str:
        value = self.document[field]
        if not isinstance(value, str):
            _refuse(f"{field}: expected a text, got {type(value).__name__}")
        return value

    def optional(self, field: str) -> str | None:
        return None if self.document[field] is None else self.text(field)

    @staticmethod
    def row(field: str, row: Any, *kinds: Any) -> list[Any]:
        if not isinstance(row, list) or len(row) != len(kinds):
            _refuse(f"{field}: expected {len(kinds)} entries a row, got {row!r:.80}")
        for value, kind in zip(row, kinds, strict=True):
            if kind is Width:
                good = (isinstance(value, str) and value != "") or (type(value) is int and value >= 1)
            else:
                good = type(value) is kind
            if not good:
                _refuse(f"{field}: unexpected value {value!r:.80}")
        return row

    @staticmethod
    def node(field: str, value: Any, count: int) -> int:
        if type(value) is not int or not 0 <= value < count:
            _refuse(f"{field}: expected the number of a node below {count}, got {value!r:.80}")
        return value

    def tensor(self, row: Any) -> TensorSpec:
        if not isinstance(row, list) or len(row) != 7:
            _refuse(f"tensors: expected 7 entries a row, got {row!r:.80}")
        name, kind, parts, columns, role, init, blocks = row
        self.row("tensors", [name, role, init, blocks], str, str, str, int)
        if not isinstance(parts, list) or not parts:
            _refuse(f"tensors: {name!r} has no parts")
        pairs = tuple((part, width) for part, width in (self.row("tensors", p, str, Width) for p in parts))
        if kind not in ("matrix", "vector") or role not in ROLES or init not in INITS or blocks < 1:
            _refuse(f"tensors: {name!r}: unknown kind, role, init or blocks in {row!r:.120}")
        if len({part for part, _ in pairs}) != len(pairs) or "." in name or any("." in p for p, _ in pairs):
            _refuse(f"tensors: {name!r}: part names must differ and hold no dot")
        if (kind == "matrix") != (columns is not None):
            _refuse(f"tensors: {name!r}: a matrix needs columns, a vector has none")
        if columns is not None:
            self.row("tensors", [columns], Width)
        return TensorSpec(name, kind, pairs, columns, role, init, blocks)

    def nodes(self, builder: Builder) -> tuple[Node, ...]:
        """Checks every node by building it again: names, widths and truth values come out as stated."""
        nodes: list[Node] = []
        for position, row in enumerate(self.rows("nodes")):
            if not isinstance(row, list) or len(row) != 5 or not isinstance(row[1], list):
                _refuse(f"nodes: {position}: expected 5 entries a row, got {row!r:.80}")
            op, args, attribute, width, boolean = row
            if not isinstance(op, str) or (op not in OPERATIONS and op not in STRUCTURAL):
                _refuse(f"nodes: {position}: unknown operation {op!r:.80}")
            self.row("nodes", [op, width, boolean], str, Width, bool)
            arguments = tuple(self.node(f"nodes: {position}", item, position) for item in args)
            node = Node(op, arguments, _attribute(op, attribute), width, boolean)
            self.check_node(position, node, nodes, builder)
            nodes.append(node)
        return tuple(nodes)

    def check_node(self, position: int, node: Node, nodes: list[Node], builder: Builder) -> None:
        arity = len(OPERATIONS[node.op].arguments) if node.op in OPERATIONS else STRUCTURAL[node.op]
        if (arity is None and not node.args) or (arity is not None and arity != len(node.args)):
            _refuse(f"nodes: {position}: {node.op} got {len(node.args)} arguments")
        expected = _expected(node, [nodes[i] for i in node.args], builder)
        if expected != (node.width, node.boolean):
            _refuse(f"nodes: {position}: {node.op}: expected width and truth {expected}, got {node.width!r}")

    def sum(self, row: Any, nodes: tuple[Node, ...], builder: Builder) -> Sum:
        if not isinstance(row, list) or len(row) != 3 or not isinstance(row[2], list):
            _refuse(f"sums: unexpected row {row!r:.80}")
        self.row("sums", row[:2], str, str)
        args = tuple(self.node("sums", item, len(nodes)) for item in row[2])
        spec, _ = builder.resolve(f"{row[0]}.{row[1]}")
        if len(args) != (2 if spec.kind == "matrix" else 1):
            _refuse(f"sums: {row[0]}.{row[1]}: wrong number of arguments")
        return Sum(row[0], row[1], args)

    @staticmethod
    def check_results(program: Program) -> None:
        if len(program.next) != len(program.states):
            _refuse(f"next: expected {len(program.states)} entries, got {len(program.next)}")
        for state, index in zip(program.states, program.next, strict=True):
            if program.nodes[index].width != state.width:
                _refuse(f"next: the state {state.name!r} has width {state.width!r}, its next value another")
        gates = [name for tensor in program.tensors for name, _ in tensor.parts]
        for field, gate in (("retain", program.retain), ("admit", program.admit)):
            if gate is not None and gate not in gates:
                _refuse(f"{field}: unknown gate {gate!r}")


def _attribute(op: str, value: Any) -> Any:
    """The attribute in the form that nodes hold it, checked for its kind."""
    if op in ("const", "inverse_width") and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if op in ("input", "state", "param", "linear", "inverse_width") and isinstance(value, str):
        return value
    if op == "linear_t" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if op == "keep" and _is_keep(value):
        site, probability, per = value
        return site, float(probability), per
    if value is None and (op in OPERATIONS or op in ("sum", "spread")):
        return None
    _refuse(f"nodes: {op!r:.40}: unexpected attribute {value!r:.80}")


def _is_keep(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    site, probability, per = value
    likely = type(probability) in (int, float) and 0 <= probability <= 1
    return likely and type(site) is int and 0 <= site < 256 and per in ("step", "sequence")


def _expected(node: Node, args: list[Node], builder: Builder) -> tuple[Width, bool]:
    """Width and truth of a node, from what it is made of."""
    if node.op in OPERATIONS:
        builder._check_truth(node.op, args)
        return builder._width(node.op, args), OPERATIONS[node.op].boolean
    if node.op == "input":
        found = builder.nodes[builder.input(str(node.attribute))]
        return found.width, found.boolean
    if node.op == "state":
        return builder.nodes[builder.state(str(node.attribute))].width, False
    if node.op == "param":
        return builder.nodes[builder.param(str(node.attribute))].width, False
    if node.op == "linear":
        spec, width = builder.resolve(str(node.attribute))
        if args[0].width != spec.columns or args[0].boolean:
            _refuse(f"nodes: linear {node.attribute!r}: expected a vector of width {spec.columns!r}")
        return width, False
    if node.op == "linear_t":
        return _expected_linear_t(node, args, builder), False
    if node.op in ("sum", "const", "inverse_width"):
        return 1, False
    return node.width, node.op == "keep"


def _expected_linear_t(node: Node, args: list[Node], builder: Builder) -> Width:
    references: tuple[str, ...] = node.attribute  # type: ignore[assignment]
    if len(references) != len(args) or len({r.split(".")[0] for r in references}) != 1:
        _refuse("nodes: linear_t: expected one part of the same tensor for each argument")
    for reference, argument in zip(references, args, strict=True):
        if argument.width != builder.resolve(reference)[1]:
            _refuse(f"nodes: linear_t {reference!r}: got a vector of width {argument.width!r}")
    columns = builder.resolve(references[0])[0].columns
    if columns is None:
        _refuse(f"nodes: linear_t {references[0]!r}: expected a matrix")
    return columns
