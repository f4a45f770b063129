/** The connected systems and how they are: state, breaker, latency, last success, last error. Read anew while open. */
import { CircleCheck, CircleXmark, TriangleExclamation } from "@gravity-ui/icons";
import { Icon, Skeleton } from "@gravity-ui/uikit";
import { useEffect } from "react";
import { useQuery } from "urql";

import { failureOf, failureText } from "../api/failure";
import { readGate } from "../api/gate";
import { SourcesDocument, type SourcesQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import { Moment } from "../i18n/Moment";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import styles from "./SourcesPage.module.css";

const REFRESH_MILLISECONDS = 10_000;

type Source = NonNullable<SourcesQuery["sources"]>[number];

export default function SourcesPage() {
  const { t } = useI18n();
  const [{ data, error, fetching, extensions }, again] = useQuery({
    query: SourcesDocument,
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (document.visibilityState === "visible") again({ requestPolicy: "network-only" });
    }, REFRESH_MILLISECONDS);
    return () => window.clearInterval(timer);
  }, [again]);

  return (
    <div className={styles.page}>
      <header>
        <h1 className={styles.title}>{t("page.sources")}</h1>
        <p className={styles.about}>{t("sources.about")}</p>
      </header>
      {data?.sources ? (
        <>
          {error && (
            <p role="alert" className={styles.old}>
              {t("sources.old")}
            </p>
          )}
          <Summary sources={data.sources} />
          {data.sources.length === 0 ? (
            <Face title={t("sources.empty.title")} text={t("sources.empty.text")} />
          ) : (
            <ul className={styles.list} data-testid="sources">
              {data.sources.map((source) => (
                <SourceCard key={source.id} source={source} />
              ))}
            </ul>
          )}
        </>
      ) : fetching ? (
        <div className={styles.list} role="status" aria-label={t("common.loading")}>
          {Array.from({ length: 4 }, (_, index) => (
            <Skeleton key={index} style={{ height: 172 }} />
          ))}
        </div>
      ) : error ? (
        <FailedFace
          title={t("sources.failed.title")}
          text={t("sources.failed.text")}
          failure={failureOf(error)}
          onRetry={() => again({ requestPolicy: "network-only" })}
        />
      ) : (
        <DeniedFace denial={readGate(extensions).denialOf("sources")} />
      )}
    </div>
  );
}

function Summary({ sources }: { sources: readonly Source[] }) {
  const { t } = useI18n();
  const troubled = sources.filter(({ state }) => state !== "up").length;
  return (
    <p role="status" className={styles.summary}>
      {troubled === 0 ? t("sources.all_up", { count: sources.length }) : t("sources.troubled", { count: troubled })}
    </p>
  );
}

const SIGNS = { up: CircleCheck, degraded: TriangleExclamation, down: CircleXmark } as const;
const isKnown = (state: string): state is keyof typeof SIGNS => state in SIGNS;

function SourceCard({ source }: { source: Source }) {
  const i18n = useI18n();
  const { t, pick, find, format } = i18n;
  const state = isKnown(source.state) ? source.state : "down";
  return (
    <li className={styles.card} data-testid={`source-${source.id}`} data-state={state}>
      <div className={styles.head}>
        <h2 className={styles.name}>{pick(source.title) || source.id}</h2>
        <span className={styles.kind}>{source.kind}</span>
        <span className={styles.state} data-state={state}>
          <Icon data={SIGNS[state]} size={16} />
          {t(`sources.state.${state}`)}
        </span>
      </div>
      <dl className={styles.facts}>
        <div>
          <dt>{t("sources.latency")}</dt>
          <dd>
            {source.latencyMs == null
              ? t("common.nothing")
              : t("sources.milliseconds", { value: format.number(Math.round(source.latencyMs)) })}
          </dd>
        </div>
        <div>
          <dt>{t("sources.breaker")}</dt>
          <dd>{find(`sources.breaker.${source.breaker}`) ?? source.breaker}</dd>
        </div>
        <div>
          <dt>{t("sources.last_success")}</dt>
          <dd>{source.lastSuccessAt ? <Moment at={source.lastSuccessAt} /> : t("sources.never")}</dd>
        </div>
        <div>
          <dt>{t("sources.last_error")}</dt>
          <dd>
            {source.lastError ? (
              <span title={source.lastError.message}>
                {failureText(i18n, `SOURCE_${source.lastError.code}`)}
                <span className={styles.when}>
                  <Moment at={source.lastError.at} />
                </span>
              </span>
            ) : (
              t("sources.no_error")
            )}
          </dd>
        </div>
      </dl>
    </li>
  );
}
