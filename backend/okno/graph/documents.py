"""Parsed and validated documents, remembered by the hash of their text."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    parse,
    validate,
)

from okno.graph.coordinates import coordinates
from okno.graph.cost import NO_COST, DocumentCost, Prices, compile_cost
from okno.graph.limits import DEFAULT_LIMITS, Allowance, LimitExceeded, Limits, check_limits

MAX_ERRORS = 5
# Measured: every node knows its place, and so the tokens and the text of the whole document
_TOKEN_BYTES = 400
_CHARACTER_BYTES = 3


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document ready to be executed, or why it cannot be.

    Attributes:
        code: of those errors that have none of their own.
        key: SHA-256 of the text; plans are kept by it.
        tokens: how many the text has; of one that cannot be parsed, about as many.
        fields: the coordinates of the schema that it uses, see `coordinates`; empty when it cannot be executed.
        trusted: whether it was registered at start; its cost was weighed there.
        cost: its compiled cost; of a document that cannot be executed, that of nothing.
        size: bytes that its syntax takes while somebody keeps a part of it, about; 0 of a trusted one, which is kept anyway.
    """

    node: DocumentNode | None
    errors: Sequence[GraphQLError] = ()
    code: str = "GRAPHQL_VALIDATION_FAILED"
    key: bytes = b""
    tokens: int = 0
    fields: frozenset[str] = frozenset()
    trusted: bool = False
    cost: DocumentCost = NO_COST
    size: int = 0


def key_of(text: str) -> bytes:
    """What a text is known by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class DocumentReader:
    """Reads documents against one schema. Nothing is remembered."""

    def __init__(self, schema: GraphQLSchema, limits: Limits = DEFAULT_LIMITS) -> None:
        self.schema = schema
        self.limits = limits
        self._prices = Prices(schema)

    def parse(self, text: str) -> DocumentNode:
        """The syntax of a free document.

        Raises:
            GraphQLError: it has none, or is too long; `extensions.code` says which.
        """
        allowed = self.limits.tokens
        try:
            return parse(text, no_location=False, max_tokens=allowed)
        except GraphQLSyntaxError as error:
            if "tokens. Parsing aborted" in error.message:
                raise LimitExceeded("tokens", allowed + 1, allowed, at_least=True) from None
            if "nested too deeply" in error.message:
                raise self._too_deep() from None
            error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
            raise

    def read(
        self, node: DocumentNode, key: bytes, *, hide_suggestions: bool = False, trusted: bool = False
    ) -> ReadDocument:
        """The document, or what is wrong with it. Never raises.

        Args:
            trusted: it is the company's own, so that the limits that keep reading cheap do not count.
        """
        tokens = node.token_count or 0
        try:
            if not trusted and (errors := check_limits(node, self.limits)):
                return ReadDocument(None, errors, key=key, tokens=tokens)
            errors = validate(self.schema, node, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions)
            if errors:
                if hide_suggestions:
                    _drop_suggestions(errors)
                return ReadDocument(None, errors[:MAX_ERRORS], key=key, tokens=tokens)
            used, cost = coordinates(self.schema, node), compile_cost(self._prices, node)
        except RecursionError:
            return ReadDocument(None, [self._too_deep()], key=key, tokens=tokens)
        size = 0 if trusted else _TOKEN_BYTES * tokens + _CHARACTER_BYTES * (node.loc.end if node.loc else 0)
        return ReadDocument(node, key=key, tokens=tokens, fields=used, trusted=trusted, cost=cost, size=size)

    def _too_deep(self) -> LimitExceeded:
        return LimitExceeded("depth", self.limits.depth + 1, self.limits.depth, at_least=True)


def _drop_suggestions(errors: Sequence[GraphQLError]) -> None:
    """Those that graphql-core's rules make all the same, as the one about a field without its selection does."""
    for error in errors:
        error.message = error.message.partition(" Did you mean ")[0]


class DocumentCache:
    """Free documents, read once. Bounded in number and in text: the least recently used go first.

    A parsed document takes 90 to 320 times its text (measured), so that 1,000 long ones would be gigabytes.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        limits: Limits = DEFAULT_LIMITS,
        size: int = 1_000,
        characters: int = 300_000,
    ) -> None:
        self._reader = DocumentReader(schema, limits)
        self._limits = limits
        self._size = size
        self._characters = characters
        self._kept = 0
        self._documents: OrderedDict[tuple[bytes, bool], tuple[int, ReadDocument]] = OrderedDict()

    def read(
        self, text: str, *, hide_suggestions: bool = False, allowance: Allowance | None = None
    ) -> ReadDocument:
        """The document, or its errors. Never raises, whatever the text.

        Args:
            hide_suggestions: leaves "Did you mean …" out of the errors, for those who may not know the schema.
            allowance: what this request may still read; by default as much as one document may have.
        """
        if len(text) > self._limits.characters:
            return ReadDocument(None, [LimitExceeded("characters", len(text), self._limits.characters)])
        key = key_of(text)
        known = self._documents.get((key, hide_suggestions))
        try:
            if known is not None:
                self._documents.move_to_end((key, hide_suggestions))
                if allowance is not None:
                    allowance.take_tokens(key, known[1].tokens)
                return known[1]
            found = self._read(text, key, hide_suggestions, allowance)
        except LimitExceeded as error:
            return ReadDocument(None, [error], key=key)
        self._keep((key, hide_suggestions), len(text), found)
        return found

    def _read(
        self, text: str, key: bytes, hide_suggestions: bool, allowance: Allowance | None
    ) -> ReadDocument:
        """Raises LimitExceeded where the allowance has no more."""
        if allowance is not None:
            allowance.take_tokens(key, 0)
        node: DocumentNode | None = None
        errors: list[GraphQLError] = []
        tokens = min(self._limits.tokens, len(text) // 4)
        try:
            node = self._reader.parse(text)
            tokens = node.token_count or 0
        except GraphQLError as error:
            errors = [error]
        if allowance is not None:
            allowance.take_tokens(key, tokens)
        if node is None:
            return ReadDocument(None, errors, key=key, tokens=tokens)
        return self._reader.read(node, key, hide_suggestions=hide_suggestions)

    def forget(self) -> None:
        """Forgets all documents."""
        self._documents.clear()
        self._kept = 0

    def _keep(self, key: tuple[bytes, bool], characters: int, found: ReadDocument) -> None:
        self._documents[key] = characters, found
        self._kept += characters
        while len(self._documents) > self._size or self._kept > self._characters:
            _, (length, _) = self._documents.popitem(last=False)
            self._kept -= length
