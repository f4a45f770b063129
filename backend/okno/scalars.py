"""Names of the API's scalars for which Python has no type of its own. `graph.scalars` says how they are written."""

from typing import NewType

Int64 = NewType("Int64", int)
