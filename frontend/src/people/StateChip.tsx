/** Whether an employee works now, as a chip with a word and a sign: never by colour alone. */
import { ArrowRightFromSquare, Briefcase, CircleMinus, Globe, Moon, ShieldKeyhole } from "@gravity-ui/icons";
import { Icon, Label } from "@gravity-ui/uikit";

import type { EmployeeState } from "../generated/graphql";
import { useI18n } from "../i18n";

const FACES = {
  WORKS: { theme: "success", icon: Briefcase },
  ON_LEAVE: { theme: "info", icon: Moon },
  LEAVING: { theme: "warning", icon: ArrowRightFromSquare },
  DISMISSED: { theme: "unknown", icon: CircleMinus },
} as const satisfies Record<EmployeeState, object>;

/** `until`: the day the leave ends, or the last day at work. */
export function StateChip({
  state,
  until,
  size = "xs",
}: {
  state: EmployeeState;
  until?: string | null;
  size?: "xs" | "s";
}) {
  const { t, find, format } = useI18n();
  const face = FACES[state];
  const dated = until == null ? null : find(`state.${state}.until`, { date: format.date(until) });
  return (
    <Label theme={face.theme} size={size} icon={<Icon data={face.icon} size={12} />} qa={`state-${state}`}>
      {dated ?? t(`state.${state}`)}
    </Label>
  );
}

/** Says why there is no name: it is in the systems of the country, and the card asks them each time. */
export function AbroadChip({ country, size = "xs" }: { country?: string | null; size?: "xs" | "s" }) {
  const { t, format } = useI18n();
  return (
    <Label
      theme="warning"
      size={size}
      icon={<Icon data={Globe} size={12} />}
      title={t("state.abroad.hint")}
      qa="abroad"
    >
      {country ? t("state.abroad.in", { country: format.country(country) }) : t("state.abroad")}
    </Label>
  );
}

export function ProtectedChip({ size = "xs" }: { size?: "xs" | "s" }) {
  const { t } = useI18n();
  return (
    <Label
      theme="utility"
      size={size}
      icon={<Icon data={ShieldKeyhole} size={12} />}
      title={t("state.protected.hint")}
      qa="protected"
    >
      {t("state.protected")}
    </Label>
  );
}
