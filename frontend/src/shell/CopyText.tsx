/** A text that a click copies, and that says so. */
import { Check, Copy } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";
import { useEffect, useState } from "react";

import { useI18n } from "../i18n";
import styles from "./CopyText.module.css";

const CONFIRMED_MILLISECONDS = 1500;

async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  // An intranet host over http has no clipboard interface; the old way still works there.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("the browser refused to copy");
}

export function CopyText({ text, label }: { text: string; label?: string }) {
  const { t } = useI18n();
  const [state, setState] = useState<"idle" | "copied" | "refused">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = window.setTimeout(() => setState("idle"), CONFIRMED_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [state]);
  return (
    <button
      type="button"
      className={styles.copy}
      title={t("common.copy", { text })}
      onClick={() => {
        copy(text).then(
          () => setState("copied"),
          () => setState("refused"),
        );
      }}
    >
      <span className={styles.text}>{label ?? text}</span>
      <span className={styles.sign} data-state={state} aria-hidden="true">
        <Icon data={state === "copied" ? Check : Copy} size={12} />
      </span>
      <span className="okno-visually-hidden" role="status">
        {state === "copied" ? t("common.copied") : state === "refused" ? t("common.not_copied") : ""}
      </span>
    </button>
  );
}
