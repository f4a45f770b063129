/** One record: a sentence first, then everything it holds, then where it stands in its chain. */
import { Xmark } from "@gravity-ui/icons";
import { Button, Icon, Skeleton } from "@gravity-ui/uikit";
import { useMemo } from "react";
import { useQuery } from "urql";

import { failureOf, isNotThere } from "../api/failure";
import { JournalRecordDocument, type JournalRecordQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import { CopyText } from "../shell/CopyText";
import { FailedFace, NotFoundFace } from "../shell/Faces";
import { Changes } from "../operations/Changes";
import { useMay } from "../shell/me";
import { employeePath, recordPath } from "../shell/pages";
import { changesOf } from "./changes";
import { operationOf } from "./filters";
import { Outcome } from "./Outcome";
import { useNames } from "./useNames";
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
  const named = useMemo(() => [record], [record]);
  const whom = useNames(named).get(record.subjectId ?? "") ?? record.subjectLabel;
  const who = record.erased ? t("journal.erased") : (record.actorName ?? record.actorLogin ?? t("journal.nobody"));
  const operation = useOperationOf(record);
  const changes = changesOf(record.detail);
  const sentence = whom
    ? t("journal.sentence_about", { at: format.dateTime(record.at), who, what, whom })
    : t("journal.sentence", { at: format.dateTime(record.at), who, what });
  const facts: readonly (readonly [string, React.ReactNode])[] = [
    [
      t("journal.at"),
      <time key="at" dateTime={record.at}>
        {format.exact(record.at)}
      </time>,
    ],
    [t("journal.type"), record.eventType],
    [t("journal.operation"), operation],
    [
      t("journal.phase"),
      record.phase === "intent"
        ? t("phase.intent")
        : record.phase === "outcome"
          ? t("phase.outcome")
          : t("phase.event"),
    ],
    [t("journal.who"), <Actor key="who" record={record} who={record.actorLogin ?? who} />],
    [t("journal.team"), record.team],
    [t("journal.whom"), record.subjectId && <Subject key="whom" record={record} whom={whom} />],
    [
      t("journal.refers_to"),
      record.refersTo && (
        <a key="refers" href={recordPath(record.refersTo)}>
          {t(record.phase === "outcome" ? "journal.its_intent" : "journal.that_record")}
        </a>
      ),
    ],
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
      {changes !== null && (
        <>
          <h3 className={styles.subtitle}>{t("journal.changes")}</h3>
          <Changes changes={changes} />
        </>
      )}
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

/** Which operation it is about; an outcome does not repeat what its intent said, so that is asked. */
function useOperationOf(record: Record): string | null {
  const intent = record.phase === "outcome" ? (record.refersTo ?? null) : null;
  const [{ data }] = useQuery({
    query: JournalRecordDocument,
    variables: { id: intent ?? "" },
    pause: intent === null,
  });
  const node = data?.node;
  return operationOf(record) ?? (node && "hash" in node ? operationOf(node) : null);
}

function Actor({ record, who }: { record: Record; who: string }) {
  const { t } = useI18n();
  const mayReadAll = useMay("audit.read");
  return (
    <span className={styles.subject}>
      <span>{who}</span>
      {mayReadAll && record.actorId && (
        <a href={`/journal?actor=${encodeURIComponent(record.actorId)}`}>{t("journal.all_by")}</a>
      )}
    </span>
  );
}

function Subject({ record, whom }: { record: Record; whom: string | null | undefined }) {
  const { t } = useI18n();
  const mayReadAll = useMay("audit.read");
  if (!record.subjectId) return null;
  if (record.subjectKind !== "Employee") return record.subjectLabel ?? record.subjectId;
  return (
    <span className={styles.subject}>
      <a href={employeePath(record.subjectId)}>{record.subjectLabel ?? whom ?? record.subjectId}</a>
      {mayReadAll && <a href={`/journal?employee=${encodeURIComponent(record.subjectId)}`}>{t("journal.all_about")}</a>}
    </span>
  );
}
