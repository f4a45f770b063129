/** A value of which the policy shows no more than a mask: dotted, without link or copy button, and why. */
import { EyeSlash } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";

import type { Denial } from "../api/gate";
import { type I18n, useI18n } from "../i18n";
import { denialText } from "../shell/Faces";
import { Because } from "./Because";
import styles from "./Masked.module.css";

interface MaskedProps {
  value: unknown;
  mask: Denial;
}

const textOf = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(", ") : String(value));

/** Nobody wants to hear the dots one by one. */
function spoken({ t }: I18n, text: string, reason: string): string {
  const shown = text
    .replace(/•+/g, " ")
    .replace(/\s+/g, " ")
    .replace(/^[\s,]+|[\s,]+$/g, "");
  return shown === "" ? t("masked.hidden", { reason }) : t("masked.part", { shown, reason });
}

export function Masked({ value, mask }: MaskedProps) {
  const i18n = useI18n();
  const text = textOf(value);
  const reason = denialText(i18n, mask);
  return (
    <Because reason={reason} label={spoken(i18n, text, reason)} look="masked">
      <span className={styles.masked}>{text}</span>
      <Icon data={EyeSlash} size={12} className={styles.sign} />
    </Because>
  );
}

/** The same where it lies within something that is pressed: the whole says why. */
export function MaskedText({ value, mask }: MaskedProps) {
  const i18n = useI18n();
  const text = textOf(value);
  const reason = denialText(i18n, mask);
  return (
    <span title={reason} data-testid="masked">
      <span className={styles.masked} aria-hidden="true">
        {text}
      </span>
      <span className="okno-visually-hidden">{spoken(i18n, text, reason)}</span>
    </span>
  );
}
