"""YAML that people write: read into checked values, or one error with file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from taximeter_collector.accepted import accepted, given
from taximeter_collector.refusal import Refusal

T = TypeVar("T")
MERGE: Final = "<<"
"""A key of YAML 1.1 that is none in 1.2; in quotes it is a name like any other."""


class Mistake(Refusal, ValueError):
    """Something in the file can't be used; the message names file, line, field and form."""


class Source:
    """A YAML text with the places of its parts."""

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`; raises Mistake."""
        self.name = name
        try:
            self._root = yaml.compose(text, Loader=yaml.BaseLoader)
            # Scalars stay text, so that an amount like 19.99 never is a binary float.
            self.content: Any = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 makes text only
            self._refuse_keys(self._root)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise Mistake(f"{name}:{line}: not YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise Mistake(f"{name}:{line}: not YAML: {error.reason}") from None
        except RecursionError:
            raise Mistake(f"{name}:1: nested too deeply") from None

    def read(self, section: str, kind: type[T], entry: type | None = None) -> T:
        """Check a section of the file, empty when it is absent; raises Mistake.

        `entry` is what it holds, for messages.
        """
        try:
            return TypeAdapter(kind).validate_python(self.content.get(section) or kind())
        except ValidationError as error:
            raise self._mistake(section, error, entry) from None

    def mistake(self, path: Sequence[int | str], message: str) -> Mistake:
        return Mistake(f"{self.name}:{self._line(path)}: {message}")

    def _mistake(self, section: str, error: ValidationError, entry: type | None) -> Mistake:
        first = error.errors()[0]
        names = first["loc"][1:] or [part for part in first["loc"] if isinstance(part, str)]
        field = ".".join(str(part) for part in names) or section
        parts = [field, given(first), accepted(first, names, entry)]
        return self.mistake((section, *first["loc"]), ": ".join(filter(None, parts)))

    def _refuse_keys(self, node: yaml.Node | None) -> None:
        """Raise where YAML would keep only the last of two values, or take some from elsewhere."""
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            for index, (key, value) in enumerate(node.value):
                place = f"{self.name}:{key.start_mark.line + 1}: {key.value}"
                if key.value == MERGE and key.style is None:
                    raise Mistake(f"{place}: merges are not read; write out what it stands for")
                if key.value in keys[:index]:
                    raise Mistake(f"{place}: given twice; give it once")
                self._refuse_keys(value)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._refuse_keys(one)

    def _line(self, path: Sequence[int | str]) -> int:
        """Return the line, from 1, of the node at a path, or of its nearest parent."""
        node, line = self._root, 1
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == part]
                if not found:
                    break
                key, node = found[0]
                line = key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line


def text_of(path: Path) -> str | None:
    """Return the text of a file, None when there is none; raises Mistake."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: {error}") from None
