/** The corner of a widget: where its data is from and how old it is; amber when stale, red when failed, a lock when denied. */
import { ArrowRotateRight, CircleExclamation, Lock, TriangleExclamation } from "@gravity-ui/icons";
import { Button, Icon } from "@gravity-ui/uikit";

import { failureText } from "../api/failure";
import { useNow } from "../clock";
import { useI18n } from "../i18n";
import styles from "./Corner.module.css";
import type { WidgetFace } from "./section";

const SIGNS = { stale: TriangleExclamation, failed: CircleExclamation, denied: Lock } as const;

export function Corner({ face, onRetry, retrying }: { face: WidgetFace; onRetry(): void; retrying: boolean }) {
  const i18n = useI18n();
  const { t, pick, format } = i18n;
  const now = useNow();
  if (face.kind === "loading" || face.meta === null) return null;
  const { meta } = face;
  const tone =
    face.kind === "failed" ? "failed" : face.kind === "denied" ? "denied" : meta.state === "STALE" ? "stale" : "ok";
  const source = pick(meta.sourceTitle) || meta.source;
  const shown =
    meta.asOf === null || tone === "denied" ? source : t("corner.age", { source, age: format.age(meta.asOf, now) });
  const hint = [
    tone === "ok" ? null : t(`corner.${tone}`),
    meta.asOf === null ? null : t("corner.as_of", { at: format.exact(meta.asOf) }),
    meta.error === null ? null : failureText(i18n, `SOURCE_${meta.error.code}`),
  ];
  return (
    <div className={styles.corner} data-tone={tone} title={hint.filter(Boolean).join("\n")} data-testid="corner">
      {tone !== "ok" && <Icon data={SIGNS[tone]} size={14} />}
      <span className={styles.text}>
        {shown}
        {tone === "stale" && <span className={styles.word}>{t("corner.stale.word")}</span>}
      </span>
      {tone === "stale" && (
        <Button
          size="xs"
          view="flat"
          loading={retrying}
          onClick={onRetry}
          aria-label={t("corner.retry", { source })}
          title={t("common.retry")}
        >
          <Icon data={ArrowRotateRight} size={12} />
        </Button>
      )}
    </div>
  );
}
