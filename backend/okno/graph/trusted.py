"""Trusted documents: registered at start, run by their id, weighed once instead of limited each time.

They are the operations of the web application (`documents.json` of its build) and the documents of the widgets.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSyntaxError,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from okno.errors import ConfigurationError
from okno.graph.documents import DocumentCache, DocumentReader, ReadDocument, key_of
from okno.graph.limits import Allowance
from okno.identity.model import Actor

PREFIX = "sha256:"
DOCUMENTS_FILE = "documents.json"
BROWSER = "session"  # the fact of a request whose actor was made from a browser's cookie


def document_id(text: str) -> str:
    """What clients name a document by: sha256:<hex of the exact text>."""
    return PREFIX + key_of(text).hex()


def with_typenames(text: str) -> str:
    """The document with `__typename` in every selection set but those of operations themselves, as caches of clients want it.

    Raises:
        GraphQLSyntaxError: it has no valid syntax.
    """
    return print_ast(visit(parse(text, no_location=True), _AddTypenames()))


class _AddTypenames(Visitor):
    def leave_selection_set(self, node: SelectionSetNode, _key: Any, parent: Any, *_: Any) -> Any:
        names = {
            each.name.value for each in node.selections if isinstance(each, FieldNode) and not each.alias
        }
        if isinstance(parent, OperationDefinitionNode) or "__typename" in names:
            return None
        typename = FieldNode(name=NameNode(value="__typename"))
        return SelectionSetNode(selections=(*node.selections, typename))


class TrustedDocuments:
    """The registered documents of one process, by their ids."""

    def __init__(self, reader: DocumentReader) -> None:
        self._reader = reader
        self._documents: dict[str, ReadDocument] = {}

    @classmethod
    def load(
        cls, reader: DocumentReader, *, frontend_dir: Path | None = None, widgets: Iterable[str] = ()
    ) -> "TrustedDocuments":
        """What the web application and the widgets run.

        Args:
            frontend_dir: the built front end; one without documents.json registers nothing.
            widgets: the texts of the widgets' documents with their `__typename`s, checked when they were read.

        Raises:
            ConfigurationError: lists every document that does not fit the schema or may cost too much.
        """
        trusted = cls(reader)
        for text in widgets:
            trusted.register(text)
        file = frontend_dir / DOCUMENTS_FILE if frontend_dir is not None else None
        if file is None or not file.is_file():
            return trusted
        problems = []
        for given, text in _read_file(file).items():
            problems += [
                f"{file}: the document {given[:12]}… ({_name(text)}): {problem}"
                for problem in trusted.register(text, given)
            ]
        if problems:
            raise ConfigurationError(
                "Trusted documents are wrong; build the front end for this schema:\n  "
                + "\n  ".join(problems)
            )
        return trusted

    def register(self, text: str, digest: str | None = None) -> list[str]:
        """Registers a document, or tells what is wrong with it.

        Args:
            digest: the hex that it is known by elsewhere; has to be that of the text.
        """
        key = key_of(text)
        if digest is not None and digest != key.hex():
            return ["is not the SHA-256 of its text"]
        found, problems = weigh(self._reader, text)
        if found is not None:
            self._documents[PREFIX + key.hex()] = found
        return problems

    def find(self, given: str) -> ReadDocument | None:
        """The document with this id."""
        return self._documents.get(given)

    def __len__(self) -> int:
        return len(self._documents)


def weigh(reader: DocumentReader, text: str) -> tuple[ReadDocument | None, list[str]]:
    """A document as a trusted one, or what is wrong with it: its syntax, its fit to the schema, its cost at the most."""
    try:
        node = parse(text)
    except GraphQLSyntaxError as error:
        return None, [error.message]
    found = reader.read(node, key_of(text), trusted=True)
    if found.node is None:
        return None, [error.message for error in found.errors]
    allowed = reader.limits.trusted_cost
    if found.cost.greatest > allowed:
        return None, [
            f"may cost {found.cost.greatest} points; at most {allowed} are allowed (graphql.trusted_cost); "
            "ask for fewer fields with objects, or for shorter lists"
        ]
    return found, []


class Library:
    """Which documents run for whom: registered ones by their id, free ones where that is allowed."""

    def __init__(
        self, free: DocumentCache, trusted: TrustedDocuments, *, browsers_are_free: bool = True
    ) -> None:
        self._free = free
        self._trusted = trusted
        self._browsers_are_free = browsers_are_free

    def find(
        self,
        query: str | None,
        given_id: str | None,
        actor: Actor,
        *,
        hide_suggestions: bool,
        allowance: Allowance | None = None,
    ) -> ReadDocument:
        """The document that a request names, or why it does not run."""
        if given_id is not None:
            found = self._trusted.find(given_id)
            return found or _refusal(
                "PERSISTED_DOCUMENT_NOT_FOUND",
                "No document is registered under this id; the application may be of another version.",
            )
        if not self._browsers_are_free and BROWSER in actor.rights.facts:
            return _refusal(
                "DOCUMENT_NOT_TRUSTED",
                "With a browser session only registered documents run, named by documentId; use a token for others.",
            )
        return self._free.read(query or "", hide_suggestions=hide_suggestions, allowance=allowance)


def _refusal(code: str, message: str) -> ReadDocument:
    return ReadDocument(None, [GraphQLError(message, extensions={"code": code})], code)


def _read_file(file: Path) -> Mapping[str, str]:
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}; build the front end anew") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ConfigurationError(f"{file} has to map SHA-256 to text; build the front end anew")
    return found


def _name(text: str) -> str:
    """The name of the first operation of a document, for people."""
    try:
        node: DocumentNode = parse(text, no_location=True)
    except GraphQLSyntaxError:
        return "no syntax"
    names = (
        each.name.value
        for each in node.definitions
        if isinstance(each, OperationDefinitionNode) and each.name
    )
    return next(names, "without a name")
