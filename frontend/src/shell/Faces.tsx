/** The faces of a page or a part of it when there is nothing to show: empty, denied, failed, not there, on its way. */
import { ArrowRotateRight, CircleExclamation, Compass, Lock } from "@gravity-ui/icons";
import { Button, Icon, type IconData, Spin } from "@gravity-ui/uikit";
import type { ReactNode } from "react";

import { type Failure, failureText } from "../api/failure";
import type { Denial } from "../api/gate";
import { type I18n, useI18n } from "../i18n";
import styles from "./Faces.module.css";
import { isOutdated, UNKNOWN_DOCUMENT } from "../api/updated";

interface FaceProps {
  title: string;
  text?: ReactNode;
  icon?: IconData;
  tone?: "plain" | "danger" | "locked";
  children?: ReactNode;
  testId?: string;
}

export function Face({ title, text, icon, tone = "plain", children, testId }: FaceProps) {
  return (
    <div className={styles.face} data-tone={tone} data-testid={testId} role={tone === "danger" ? "alert" : undefined}>
      {icon !== undefined && (
        <span className={styles.icon} aria-hidden="true">
          <Icon data={icon} size={24} />
        </span>
      )}
      <h2 className={styles.title}>{title}</h2>
      {text !== undefined && <div className={styles.text}>{text}</div>}
      {children !== undefined && <div className={styles.actions}>{children}</div>}
    </div>
  );
}

interface FailedFaceProps {
  title: string;
  text: string;
  failure?: Failure | undefined;
  onRetry?: () => void;
  more?: ReactNode;
}

/** What happened, what it means for the task, what to do next; the request id for whoever is asked for help. */
export function FailedFace({ title, text, failure, onRetry, more }: FailedFaceProps) {
  const i18n = useI18n();
  if (failure?.code === UNKNOWN_DOCUMENT) return <OutdatedFace />;
  return (
    <Face
      testId="failed"
      tone="danger"
      icon={CircleExclamation}
      title={title}
      text={
        <>
          <p>{failure === undefined ? text : failureText(i18n, failure.code)}</p>
          {failure !== undefined && <p>{text}</p>}
          {failure?.requestId != null && (
            <p className={styles.request}>{i18n.t("error.request", { id: failure.requestId })}</p>
          )}
        </>
      }
    >
      {onRetry !== undefined && (
        <Button view="action" onClick={onRetry}>
          {i18n.t("common.retry")}
        </Button>
      )}
      {more}
    </Face>
  );
}

/** By which rule, or that there is none: what no rule allows is denied. */
export const denialText = ({ t }: I18n, { reason, lacks }: Pick<Denial, "reason" | "lacks">): string =>
  lacks !== undefined
    ? t("error.SECOND_FACTOR")
    : reason === null
      ? t("denied.no_rule")
      : t("denied.reason", { reason });

/** `denial`: what the gate said; left out where a permission is missing. */
export function DeniedFace({ title, denial }: { title?: string; denial?: Denial | null | undefined }) {
  const i18n = useI18n();
  const { t } = i18n;
  return (
    <Face
      testId="denied"
      tone="locked"
      icon={Lock}
      title={title ?? t("denied.title")}
      text={
        <>
          {denial != null && <p>{denialText(i18n, denial)}</p>}
          <p>{t("denied.next")}</p>
        </>
      }
    />
  );
}

export function NotFoundFace({ title, text }: { title?: string; text?: string }) {
  const { t } = useI18n();
  return (
    <Face testId="not-found" icon={Compass} title={title ?? t("not_found.title")} text={text ?? t("not_found.text")}>
      <Button view="action" href="/people">
        {t("not_found.search")}
      </Button>
    </Face>
  );
}

/** A part of the page that could not be drawn: a defect, or a page that is older than the server. */
export function BrokenFace({ onRetry }: { onRetry(): void }) {
  const { t } = useI18n();
  if (isOutdated()) return <OutdatedFace />;
  return <FailedFace title={t("page.failed.title")} text={t("page.failed.text")} onRetry={onRetry} />;
}

/** A new version is out, and what the page asked for belonged to the former one. */
function OutdatedFace() {
  const { t } = useI18n();
  return (
    <Face testId="outdated" icon={ArrowRotateRight} title={t("page.outdated.title")} text={t("page.outdated.text")}>
      <Button view="action" onClick={() => window.location.reload()}>
        {t("page.outdated.reload")}
      </Button>
    </Face>
  );
}

export function FullPage({ children, busy = false, label }: { children?: ReactNode; busy?: boolean; label?: string }) {
  return (
    <main className={styles.page} aria-busy={busy} aria-label={label}>
      {busy ? <Spin size="m" /> : children}
    </main>
  );
}
