/** A value that the policy took away: a lock, and why, on hover, focus and touch; and how to get it, if one can. */
import { Lock } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";

import type { Denial } from "../api/gate";
import { useI18n } from "../i18n";
import { denialText } from "../shell/Faces";
import { ProveButton } from "../signin/StepUp";
import { Because } from "./Because";
import styles from "./Locked.module.css";

export function Locked({ denial }: { denial: Denial }) {
  const i18n = useI18n();
  const reason = denialText(i18n, denial);
  return (
    <>
      <Because reason={reason} label={i18n.t("denied.field_because", { reason })} look="locked">
        <Icon data={Lock} size={12} />
        {i18n.t("denied.field")}
      </Because>
      {/* what was read without the proof is read anew, all of it */}
      {denial.lacks === "second_factor" && <ProveButton size="s" onProven={() => window.location.reload()} />}
    </>
  );
}

/** The same where it lies within something that is pressed: the whole says why. */
export function LockedText({ denial }: { denial: Denial }) {
  const i18n = useI18n();
  const reason = denialText(i18n, denial);
  return (
    <span className={styles.locked} title={reason} data-testid="locked">
      <Icon data={Lock} size={12} />
      <span className="okno-visually-hidden">{i18n.t("denied.field")}</span>
    </span>
  );
}
