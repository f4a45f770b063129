"""Strawberry types of widgets."""

from typing import cast

import strawberry
from strawberry.scalars import JSON

from okno.dashboards.model import WidgetDefinition


@strawberry.type(description="A widget: one document and how to draw its answer.")
class Widget:
    """An offered widget."""

    id: strawberry.ID = strawberry.field(
        description="Id of the widget, the name of its folder under widgets/."
    )
    version: int = strawberry.field(description="Version of the widget.")
    view: str = strawberry.field(description="facts, table or custom.")
    slot: str = strawberry.field(description="Where it stands, such as employee-card.")
    manifest: JSON = strawberry.field(description="The widget's manifest, widget.yaml.")
    document: str = strawberry.field(description="GraphQL document to run with the variable `employee`.")
    document_id: str = strawberry.field(
        description="Id of the registered document that holds the same with every `__typename`: sha256:<hex>."
    )

    @classmethod
    def of_definition(cls, widget: WidgetDefinition) -> "Widget":
        """The GraphQL form of a widget."""
        manifest = widget.manifest
        return cls(
            id=strawberry.ID(manifest.id),
            version=manifest.version,
            view=manifest.view,
            slot=manifest.slot,
            manifest=cast(JSON, dict(widget.as_json())),
            document=widget.document,
            document_id=widget.document_id,
        )
