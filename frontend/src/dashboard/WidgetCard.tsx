/** One widget: its query, its face, its corner. The height is the manifest's, so nothing moves when data arrives. */
import { ArrowRotateRight, CircleExclamation, CircleInfo, Lock, Person } from "@gravity-ui/icons";
import { Button, Icon } from "@gravity-ui/uikit";
import { type CSSProperties, type ReactNode, Suspense, useContext, useId, useMemo } from "react";
import { useQuery } from "urql";

import { trustedDocument } from "../api/documents";
import { failureText } from "../api/failure";
import { readGate } from "../api/gate";
import { useKept } from "../api/kept";
import type { WidgetsQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import { useRefresh } from "../operations/changes";
import { ErrorBoundary } from "../shell/ErrorBoundary";
import { denialText } from "../shell/Faces";
import { UNKNOWN_DOCUMENT } from "../api/updated";
import { findView } from "../views/registry";
import { ActionsContext } from "./actions";
import { Corner } from "./Corner";
import { type Manifest, readManifest } from "./manifest";
import { faceOf, type WidgetFace } from "./section";
import styles from "./WidgetCard.module.css";
import { WidgetSkeleton } from "./WidgetSkeleton";

export type Widget = NonNullable<WidgetsQuery["widgets"]>[number];

export function WidgetCard({ widget, employee }: { widget: Widget; employee: string }) {
  const { t, pick } = useI18n();
  const titleId = useId();
  const manifest = useMemo(() => readManifest(widget), [widget]);
  const query = useMemo(() => trustedDocument("query", null, widget.documentId), [widget.documentId]);
  const [answer, again] = useQuery<unknown, { employee: string }>({
    query,
    variables: { employee },
    requestPolicy: "cache-and-network",
  });
  useRefresh(again);
  const { data, extensions, error, fetching } = answer;
  const arrived = useMemo(() => (data == null ? null : { data, gate: readGate(extensions) }), [data, extensions]);
  // A later read that failed does not take away what an earlier one brought: it is shown with a note.
  const shown = useKept(arrived) ?? { data, gate: readGate(extensions) };
  const face = faceOf(manifest, { ...shown, error, fetching });
  const retry = () => again({ requestPolicy: "network-only" });
  const View = findView(manifest);

  return (
    <section
      className={styles.card}
      style={{ "--w": manifest.size.w, "--h": manifest.size.h } as CSSProperties}
      aria-labelledby={titleId}
      aria-busy={face.kind === "loading" || answer.stale}
      data-testid={`widget-${manifest.id}`}
      data-face={stateName(face)}
    >
      <header className={styles.header}>
        <h2 id={titleId} className={styles.title} title={pick(manifest.title)}>
          {pick(manifest.title)}
        </h2>
        <Corner face={face} onRetry={retry} retrying={answer.fetching || answer.stale} />
      </header>
      <div className={styles.body}>
        <ErrorBoundary
          fallback={(reset) => (
            <CardFace
              icon={CircleExclamation}
              tone="danger"
              title={t("widget.broken.title")}
              text={t("widget.broken.text")}
              onRetry={reset}
            />
          )}
        >
          {View === null ? (
            <CardFace
              icon={CircleInfo}
              title={t("widget.unknown.title")}
              text={t("widget.unknown.text", { view: manifest.view })}
            />
          ) : face.kind === "ready" ? (
            <Suspense fallback={<WidgetSkeleton manifest={manifest} />}>
              {face.partial !== null ? (
                <PartialNote code={face.partial.code} />
              ) : (
                face.meta?.state === "STALE" && (
                  <p className={styles.partial} role="note">
                    {t("corner.stale.note")}
                  </p>
                )
              )}
              <View manifest={manifest} data={shown.data} gate={shown.gate} />
            </Suspense>
          ) : (
            <OtherFace face={face} manifest={manifest} onRetry={retry} retrying={answer.fetching} />
          )}
        </ErrorBoundary>
      </div>
      {face.kind === "ready" && <CardActions manifest={manifest} />}
    </section>
  );
}

const stateName = (face: WidgetFace): string =>
  face.kind === "ready"
    ? face.meta?.state === "STALE"
      ? "stale"
      : face.partial === null
        ? "ok"
        : "partial"
    : face.kind;

interface OtherFaceProps {
  face: Exclude<WidgetFace, { kind: "ready" }>;
  manifest: Manifest;
  onRetry(): void;
  retrying: boolean;
}

function OtherFace({ face, manifest, onRetry, retrying }: OtherFaceProps) {
  const i18n = useI18n();
  const { t, pick } = i18n;
  const source = face.kind === "loading" ? "" : pick(face.meta?.sourceTitle) || pick(manifest.title);
  switch (face.kind) {
    case "loading":
      return <WidgetSkeleton manifest={manifest} />;
    case "denied":
      return (
        <CardFace icon={Lock} title={t("widget.denied.title")} text={denialText(i18n, face)} next={t("denied.next")} />
      );
    case "absent":
      return <CardFace icon={Person} title={t("widget.absent.title", { source })} text={t("widget.absent.text")} />;
    case "failed":
      if (face.failure.code === UNKNOWN_DOCUMENT) {
        return (
          <CardFace icon={ArrowRotateRight} title={t("page.outdated.title")} text={t("page.outdated.text")}>
            <Button size="m" onClick={() => window.location.reload()}>
              {t("page.outdated.reload")}
            </Button>
          </CardFace>
        );
      }
      return (
        <CardFace
          icon={CircleExclamation}
          tone="danger"
          title={t("widget.failed.title", { source })}
          text={[failureText(i18n, face.failure.code), face.meta === null ? "" : t("widget.failed.text")].join(" ")}
          onRetry={onRetry}
          retrying={retrying}
        />
      );
  }
}

interface CardFaceProps {
  icon: typeof Lock;
  title: string;
  text: string;
  /** What one can do about it. */
  next?: string;
  tone?: "plain" | "danger";
  onRetry?: () => void;
  retrying?: boolean;
  children?: ReactNode;
}

function CardFace({ icon, title, text, next, tone = "plain", onRetry, retrying = false, children }: CardFaceProps) {
  const { t } = useI18n();
  return (
    <div className={styles.face} data-tone={tone}>
      <p className={styles.faceTitle}>
        <Icon data={icon} size={16} />
        {title}
      </p>
      <p className={styles.faceText}>{text}</p>
      {next !== undefined && <p className={styles.faceText}>{next}</p>}
      {onRetry !== undefined && (
        <Button size="m" loading={retrying} onClick={onRetry}>
          {t("common.retry")}
        </Button>
      )}
      {children}
    </div>
  );
}

function PartialNote({ code }: { code: string }) {
  const i18n = useI18n();
  return (
    <p className={styles.partial} role="note">
      {i18n.t("widget.partial", { cause: failureText(i18n, code) })}
    </p>
  );
}

function CardActions({ manifest }: { manifest: Manifest }) {
  const { pick } = useI18n();
  const { offers, open } = useContext(ActionsContext);
  const shown = manifest.actions.flatMap((id) => offers.filter((offer) => offer.id === id));
  if (shown.length === 0) return null;
  return (
    <footer className={styles.actions}>
      {shown.map((offer) => (
        <Button
          key={offer.id}
          size="m"
          view="outlined"
          onClick={() => open(offer)}
          data-testid={`card-action-${offer.id}`}
        >
          {pick(offer.title)}
        </Button>
      ))}
    </footer>
  );
}
