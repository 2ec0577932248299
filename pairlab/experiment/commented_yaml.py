"""Changes values inside a YAML text and leaves every other character, so that comments and notation stay."""

import contextlib
from typing import Any

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import compose, parse_yaml, write_flow, write_yaml


def rewrite(text: str, content: dict[str, Any], *, ordered: str) -> str:
    """Returns `text` with its values replaced by `content`; comments and order stay for all keys that are still there.

    A removed key takes the comment above it along, a new one is added at the end of its mapping. Where the text is
    written in a way that this cannot follow, the content is written without comments: it is always right.

    Args:
        text: YAML that `parse_yaml` accepts.
        content: the new values.
        ordered: the top-level key whose mapping takes the order of `content`, because that order means something.

    Raises:
        ExperimentError: as `parse_yaml`.
    """
    old = parse_yaml(text)
    rewritten = _Text(text, ordered).rewritten(compose(text), old, content)
    with contextlib.suppress(ExperimentError):
        found = parse_yaml(rewritten)
        if found == content and _order(found.get(ordered)) == _order(content.get(ordered)):
            return rewritten
    return write_yaml(content)


class _Text:
    """A text and its nodes. A node's span is what is rewritten for it.

    The span of a collection in block style is whole lines, from the comments above its first entry to the end of the
    line of its last; it starts with the entry itself where that follows a dash. All other spans are those of YAML.
    """

    def __init__(self, text: str, ordered: str) -> None:
        self.text = text
        self.ordered = ordered
        self.empty: dict[int, int] = {}

    def rewritten(self, root: Node, old: dict[str, Any], new: dict[str, Any]) -> str:
        self.find_empty_values(root)
        start, stop = self.text.rfind("\n", 0, root.start_mark.index) + 1, self.stop(root)
        above = "" if self.follows_a_dash(root) or not _is_block(root) else self.text[self.start(root) : start]
        return self.text[: self.start(root)] + above + self.span(root, old, new, (), len(above)) + self.text[stop:]

    def find_empty_values(self, node: Node) -> None:
        """Notes where values that are left out would stand: YAML places them at whatever follows."""
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index:
                    self.empty[id(value)] = self.text.find(":", key.end_mark.index) + 1
        for child in _children(node):
            self.find_empty_values(child)

    def start(self, node: Node) -> int:
        if id(node) in self.empty:
            return self.empty[id(node)]
        if not _is_block(node) or self.follows_a_dash(node):
            return int(node.start_mark.index)
        line = self.text.rfind("\n", 0, node.start_mark.index) + 1
        while line:
            above = self.text.rfind("\n", 0, line - 1) + 1
            if self.text[above:line].strip()[:1] not in ("", "#"):
                break
            line = above
        return line

    def stop(self, node: Node) -> int:
        if id(node) in self.empty:
            return self.empty[id(node)]
        if not _is_block(node):
            return int(node.end_mark.index)
        return self.line_end(self.stop(_children(node)[-1]))

    def line_end(self, position: int) -> int:
        if position and self.text[position - 1] == "\n":
            return position
        return self.text.find("\n", position) + 1 or len(self.text)

    def follows_a_dash(self, node: Node) -> bool:
        line = self.text.rfind("\n", 0, node.start_mark.index) + 1
        return bool(self.text[line : node.start_mark.index].strip())

    def span(self, node: Node, old: Any, new: Any, path: tuple[str, ...], skip: int = 0) -> str:  # noqa: ANN401
        """Returns the new text of a node's span, less its first `skip` characters."""
        start = self.start(node) + skip
        alike = (isinstance(old, dict) and isinstance(new, dict)) or (isinstance(old, list) and isinstance(new, list))
        if alike and self.has_same_entries(old, new, path):
            return self.with_entries_in_place(node, old, new, path, start)
        if alike and _is_block(node) and new:
            return self.with_other_entries(node, old, new, path, start)
        if _is_block(node):
            indent = "" if self.follows_a_dash(node) else " " * (node.start_mark.column + 2)
            return f"{indent}{write_flow(new)}\n"
        if not alike and _is_same(old, new):
            return self.text[start : self.stop(node)]
        written = write_flow(new)
        ending = "\n" if self.text[start : self.stop(node)].endswith("\n") else ""
        return f" {written}" if start == self.stop(node) else written + ending

    def has_same_entries(self, old: Any, new: Any, path: tuple[str, ...]) -> bool:  # noqa: ANN401
        if isinstance(old, list):
            return len(old) == len(new)
        return list(old) == list(new) if path == (self.ordered,) else old.keys() == new.keys()

    def with_entries_in_place(self, node: Node, old: Any, new: Any, path: tuple[str, ...], start: int) -> str:  # noqa: ANN401
        parts, position = [], start
        for child, key in zip(_children(node), _keys(old), strict=True):
            parts += [self.text[position : self.start(child)], self.span(child, old[key], new[key], (*path, str(key)))]
            position = self.stop(child)
        return "".join(parts) + self.text[position : self.stop(node)]

    def with_other_entries(self, node: Node, old: Any, new: Any, path: tuple[str, ...], start: int) -> str:  # noqa: ANN401
        kept: dict[Any, str] = {}
        first, position = next(iter(_keys(old))), start
        for child, key in zip(_children(node), _keys(old), strict=True):
            end = self.line_end(self.stop(child))
            if key in _keys(new):
                kept[key] = (
                    self.text[position : self.start(child)]
                    + self.span(child, old[key], new[key], (*path, str(key)))
                    + self.text[self.stop(child) : end]
                )
            position = end
        order = [*kept, *(key for key in _keys(new) if key not in kept)]
        if path == (self.ordered,):
            order = list(_keys(new))
        if self.follows_a_dash(node) and order[0] != first:
            return f"{write_flow(new)}\n"
        margin = " " * node.start_mark.column
        pieces = [kept[key] if key in kept else _indented(_entry(key, new), margin) for key in order]
        return "".join(piece if piece.endswith("\n") else f"{piece}\n" for piece in pieces)


def _order(value: Any) -> list[Any]:  # noqa: ANN401  (a YAML value)
    return list(value) if isinstance(value, dict) else []


def _is_block(node: Node) -> bool:
    return isinstance(node, CollectionNode) and not node.flow_style and bool(node.value)


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _keys(collection: Any) -> Any:  # noqa: ANN401  (a dict or a list)
    return collection.keys() if isinstance(collection, dict) else range(len(collection))


def _is_same(old: Any, new: Any) -> bool:  # noqa: ANN401  (YAML scalars)
    """Whether the old notation still says it; models strip white space around texts."""
    if isinstance(old, str) and isinstance(new, str):
        return old.strip() == new
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _entry(key: Any, new: Any) -> str:  # noqa: ANN401  (a key or position, a dict or a list)
    if isinstance(new, dict):
        return write_yaml({key: new[key]})
    return "".join(line.removeprefix("  ") for line in write_yaml([new[key]]).splitlines(keepends=True))


def _indented(text: str, margin: str) -> str:
    return "".join(margin + line for line in text.splitlines(keepends=True))
