/** Something that is not shown, or not whole: what there is of it, and why, on hover, focus and touch. */
import { Popup } from "@gravity-ui/uikit";
import { type ReactNode, useState } from "react";

import styles from "./Because.module.css";

interface BecauseProps {
  reason: string;
  /** For who hears it: what it is, and the reason. */
  label: string;
  look: "locked" | "masked";
  children: ReactNode;
}

export function Because({ reason, label, look, children }: BecauseProps) {
  const [anchor, setAnchor] = useState<HTMLButtonElement | null>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        ref={setAnchor}
        type="button"
        className={styles.because}
        data-look={look}
        title={open ? "" : reason}
        aria-label={label}
        onClick={() => setOpen(true)}
        onFocus={(event) => event.currentTarget.matches(":focus-visible") && setOpen(true)}
        onBlur={() => setOpen(false)}
        data-testid={look}
      >
        {children}
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
