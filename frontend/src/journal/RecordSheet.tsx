/** One record: a sentence first, then everything it holds, then where it stands in its chain. */
import { Xmark } from "@gravity-ui/icons";
import { Button, Icon, Skeleton } from "@gravity-ui/uikit";
import { useQuery } from "urql";

import { failureOf, isNotThere } from "../api/failure";
import { JournalRecordDocument, type JournalRecordQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import { CopyText } from "../shell/CopyText";
import { FailedFace, NotFoundFace } from "../shell/Faces";
import { useMay } from "../shell/me";
import { employeePath } from "../shell/pages";
import { operationOf } from "./filters";
import { Outcome } from "./Outcome";
import styles from "./RecordSheet.module.css";

type Record = Extract<NonNullable<JournalRecordQuery["node"]>, { hash: string }>;

/** `onClose`: when it lies over something. */
export function RecordSheet({ id, onClose }: { id: string; onClose?: () => void }) {
  const { t } = useI18n();
  const [{ data, error, fetching }, again] = useQuery({ query: JournalRecordDocument, variables: { id } });
  const node = data?.node;
  return (
    <section className={styles.sheet} aria-label={t("journal.record")} data-testid="journal-record">
      <header className={styles.header}>
        <h2 className={styles.title}>{t("journal.record")}</h2>
        {onClose !== undefined && (
          <Button view="flat" onClick={onClose} aria-label={t("common.close")} title={t("common.close")}>
            <Icon data={Xmark} size={16} />
          </Button>
        )}
      </header>
      {node && "hash" in node ? (
        <Body record={node} />
      ) : fetching ? (
        <div className={styles.body} role="status" aria-label={t("common.loading")}>
          <Skeleton style={{ height: 48 }} />
          <Skeleton style={{ height: 200 }} />
        </div>
      ) : error && !isNotThere(error) ? (
        <FailedFace
          title={t("journal.record_failed.title")}
          text={t("journal.record_failed.text")}
          failure={failureOf(error)}
          onRetry={() => again({ requestPolicy: "network-only" })}
        />
      ) : (
        <NotFoundFace title={t("journal.record_absent.title")} text={t("journal.record_absent.text")} />
      )}
    </section>
  );
}

function Body({ record }: { record: Record }) {
  const { t, pick, format } = useI18n();
  const what = pick(record.title);
  const who = record.actorName ?? record.actorLogin ?? t("journal.nobody");
  const sentence = record.subjectLabel
    ? t("journal.sentence_about", { at: format.dateTime(record.at), who, what, whom: record.subjectLabel })
    : t("journal.sentence", { at: format.dateTime(record.at), who, what });
  const facts: readonly (readonly [string, React.ReactNode])[] = [
    [
      t("journal.at"),
      <time key="at" dateTime={record.at}>
        {format.exact(record.at)}
      </time>,
    ],
    [t("journal.type"), record.eventType],
    [t("journal.operation"), operationOf(record)],
    [
      t("journal.phase"),
      record.phase === "intent"
        ? t("phase.intent")
        : record.phase === "outcome"
          ? t("phase.outcome")
          : t("phase.event"),
    ],
    [t("journal.who"), record.actorLogin ?? who],
    [t("journal.whom"), record.subjectId && <Subject key="whom" record={record} />],
    [t("journal.rule"), record.rule],
    [t("journal.policy"), record.policyVersion && <CopyText key="policy" text={record.policyVersion} />],
    [t("journal.request"), record.requestId && <CopyText key="request" text={record.requestId} />],
  ];
  return (
    <div className={styles.body}>
      <p className={styles.sentence} data-testid="sentence">
        {sentence}
      </p>
      <Outcome record={record} />
      <dl className={styles.facts}>
        {facts.map(([label, value]) =>
          value ? (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ) : null,
        )}
      </dl>
      <h3 className={styles.subtitle}>{t("journal.chain")}</h3>
      <dl className={styles.facts}>
        <div>
          <dt>{t("journal.seq")}</dt>
          <dd>{format.number(record.seq)}</dd>
        </div>
        <div>
          <dt>{t("journal.chain_id")}</dt>
          <dd className={styles.mono}>
            <CopyText text={record.chain} />
          </dd>
        </div>
        <div>
          <dt>{t("journal.hash")}</dt>
          <dd className={styles.mono}>
            <CopyText text={record.hash} />
          </dd>
        </div>
      </dl>
      <h3 className={styles.subtitle}>{t("journal.raw")}</h3>
      <pre className={styles.raw}>{JSON.stringify(record.detail ?? {}, null, 2)}</pre>
    </div>
  );
}

function Subject({ record }: { record: Record }) {
  const { t } = useI18n();
  const mayReadAll = useMay("audit.read");
  if (!record.subjectId) return null;
  if (record.subjectKind !== "Employee") return record.subjectLabel ?? record.subjectId;
  return (
    <span className={styles.subject}>
      <a href={employeePath(record.subjectId)}>{record.subjectLabel ?? record.subjectId}</a>
      {mayReadAll && <a href={`/journal?employee=${encodeURIComponent(record.subjectId)}`}>{t("journal.all_about")}</a>}
    </span>
  );
}
