"""Which widgets an actor is offered: those of the own team's card that have anything to show."""

from collections.abc import Mapping, Sequence

from okno.dashboards.model import WidgetDefinition
from okno.identity.model import Actor
from okno.identity.teams import Teams
from okno.policy.current import PolicySource
from okno.policy.service import Outcome, Policy


class Dashboards:
    """The widgets of this deployment and the cards of its teams."""

    def __init__(
        self, *, widgets: Mapping[str, WidgetDefinition], teams: Teams, policy: PolicySource
    ) -> None:
        self._widgets = widgets
        self._teams = teams
        self._policies = policy

    @property
    def documents(self) -> Sequence[str]:
        """The texts of the widgets' documents, as clients run them."""
        return [widget.trusted_text for widget in self._widgets.values()]

    def offered(self, actor: Actor, slot: str) -> list[WidgetDefinition]:
        """The slot's widgets in the order of the team's card.

        A widget is left out when the policy denies, on every row, each field that it would show.
        """
        policy = self._policies.get()
        return [
            widget
            for widget_id in self._card(actor)
            if (widget := self._widgets.get(widget_id))
            and widget.manifest.slot == slot
            and any(_may_read(policy, actor, type_name, field) for type_name, field in widget.leaves)
        ]

    def _card(self, actor: Actor) -> Sequence[str]:
        """The card of the team that the actor acts for; the cards of all of their teams, one after another, without one."""
        acting = [actor.team] if actor.team else list(actor.teams)
        cards = [team.card for team_id in acting if (team := self._teams.find(team_id))]
        return list(dict.fromkeys(widget_id for card in cards for widget_id in card))


def _may_read(policy: Policy, actor: Actor, type_name: str, field: str) -> bool:
    table = policy.table(actor.rights, "read", policy.resource_of(type_name))
    return table.decide(f"{type_name}.{field}").outcome is not Outcome.DENY
