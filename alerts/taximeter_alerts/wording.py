"""Templates of messages, which a team may replace: a small part of Jinja2 that can't run away.

A template may loop only over lists that it is given, which are short, and can neither call nor
compute: so what it takes and gives is bounded by its own length.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment

from taximeter_alerts.voice import PLAIN, Voice

log = logging.getLogger(__name__)

OURS: Final = Path(__file__).parent / "templates"
SECTIONS: Final = ("title", "line", "summary", "facts", "paragraphs", "footer")
FAULTS: Final = (TemplateError, TypeError, ValueError)
LONGEST_SOURCE: Final = 20_000
LONGEST_TEXT: Final = 20_000
MOST_NESTED_LOOPS: Final = 2
ALLOWED: Final = (
    nodes.Template,
    nodes.Block,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.Filter,
    nodes.If,
    nodes.For,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
)
FILTERS: Final = {"strong", "code", "upper", "lower", "length", "first", "last"}


class BadTemplate(ValueError):
    """A template can't be used; the message says where and why."""


def rendered(
    kind: str, voice: Voice, facts: Mapping[str, Any], folder: Path | None = None
) -> dict[str, str]:
    """Return the sections of a message of a kind; those that a team's template lacks are ours."""
    sections: dict[str, str] = {}
    for source in [OURS] + ([folder] if folder else []):
        path = source / f"{kind}.j2"
        try:
            sections |= _sections(path, voice, facts)
        except FAULTS as error:
            if source is OURS:
                raise
            # What a team's own template can't say is said in our words: no alert is lost for it.
            log.warning("a template failed", extra={"path": str(path), "reason": str(error)})
    return sections


def check_templates(folder: Path, samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Try a team's templates on facts of each kind; return their names. Raises BadTemplate."""
    known = {path.name for path in OURS.glob("*.j2")}
    names = sorted(path.name for path in folder.glob("*.j2"))
    for name in names:
        if name not in known:
            raise BadTemplate(f"{folder / name}: not a template; give {', '.join(sorted(known))}")
        _parsed(folder / name)
        for facts in samples.get(name.removesuffix(".j2"), ()):
            try:
                _sections(folder / name, PLAIN, facts)
            except FAULTS as error:
                raise BadTemplate(f"{folder / name}: {error}") from None
    return names


def _sections(path: Path, voice: Voice, facts: Mapping[str, Any]) -> dict[str, str]:
    template = _template(path, voice)
    blocks = template.blocks if template else {}
    return {
        name: "".join(blocks[name](template.new_context(dict(facts)))).strip("\n")[:LONGEST_TEXT]
        for name in SECTIONS
        if name in blocks
    }


@cache
def _environment(voice: Voice) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=voice.said,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters = {name: environment.filters.get(name) for name in FILTERS}
    environment.filters |= {"strong": voice.strong, "code": voice.code}
    return environment


@cache
def _template(path: Path, voice: Voice) -> Any:
    """Return the compiled template, None when there is none."""
    if not path.exists():
        return None
    _parsed(path)
    return _environment(voice).from_string(path.read_text(encoding="utf-8"))


def _parsed(path: Path) -> None:
    """Raise BadTemplate when the file holds more than a template may."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadTemplate(f"{path}: not UTF-8; give a text file") from None
    if len(text) > LONGEST_SOURCE:
        raise BadTemplate(f"{path}: {len(text):,} characters; give at most {LONGEST_SOURCE:,}")
    try:
        tree = SandboxedEnvironment().parse(text)
    except TemplateError as error:
        raise BadTemplate(f"{path}:{getattr(error, 'lineno', 1)}: {error}") from None
    _check(path, tree, loops=0)
    for node in tree.body:
        if isinstance(node, nodes.Block) and node.name not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise BadTemplate(f"{path}:{node.lineno}: block {node.name}; give one of {known}")
        if isinstance(node, nodes.Output) and not _is_blank(node):
            raise BadTemplate(f"{path}:{node.lineno}: put all text into blocks")


def _check(path: Path, node: nodes.Node, loops: int) -> None:
    what = type(node).__name__
    if not isinstance(node, ALLOWED):
        raise BadTemplate(f"{path}:{node.lineno}: {what} may not be used in a message")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        known = ", ".join(sorted(FILTERS))
        raise BadTemplate(f"{path}:{node.lineno}: the filter {node.name}; give one of {known}")
    if isinstance(node, nodes.For):
        loops += 1
        if loops > MOST_NESTED_LOOPS or node.recursive or not _is_given(node.iter):
            raise BadTemplate(
                f"{path}:{node.lineno}: loop over a list of the facts, at most one in another"
            )
    for child in node.iter_child_nodes():
        _check(path, child, loops)


def _is_blank(node: nodes.Output) -> bool:
    return all(isinstance(one, nodes.TemplateData) and not one.data.strip() for one in node.nodes)


def _is_given(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) or (
        isinstance(node, nodes.Getattr) and _is_given(node.node)
    )
