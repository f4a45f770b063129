/** A value that the policy took away: a lock, and why, on hover, focus and touch. */
import { Lock } from "@gravity-ui/icons";
import { Icon, Popup } from "@gravity-ui/uikit";
import { useState } from "react";

import type { Denial } from "../api/gate";
import { useI18n } from "../i18n";
import { denialText } from "../shell/Faces";
import styles from "./Locked.module.css";

export function Locked({ denial }: { denial: Denial }) {
  const i18n = useI18n();
  const [anchor, setAnchor] = useState<HTMLButtonElement | null>(null);
  const [open, setOpen] = useState(false);
  const reason = denialText(i18n, denial);
  return (
    <>
      <button
        ref={setAnchor}
        type="button"
        className={styles.locked}
        title={open ? "" : reason}
        aria-label={i18n.t("denied.field_because", { reason })}
        onClick={() => setOpen(true)}
        onFocus={(event) => event.currentTarget.matches(":focus-visible") && setOpen(true)}
        onBlur={() => setOpen(false)}
        data-testid="locked"
      >
        <Icon data={Lock} size={12} />
        {i18n.t("denied.field")}
      </button>
      {open && (
        <Popup
          anchorElement={anchor}
          open
          onOpenChange={setOpen}
          placement="bottom-start"
          disableFocusOut
          role="tooltip"
        >
          <p className={styles.reason}>{reason}</p>
        </Popup>
      )}
    </>
  );
}
