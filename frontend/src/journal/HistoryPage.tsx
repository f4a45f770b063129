/** "Who looked at me": what the journal tells an employee about themselves. */
import { Button, Skeleton } from "@gravity-ui/uikit";
import { useCallback, useEffect, useState } from "react";
import { useClient } from "urql";

import { type Failure, failureOf } from "../api/failure";
import { type Gate, OPEN_GATE, readGate } from "../api/gate";
import { useNow } from "../clock";
import { WhoLookedAtMeDocument, type WhoLookedAtMeQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import type { MessageKey } from "../i18n/messages";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import styles from "./HistoryPage.module.css";
import { Outcome } from "./Outcome";

type Connection = NonNullable<WhoLookedAtMeQuery["whoLookedAtMe"]>;
type HistoryRecord = Connection["edges"][number]["node"];

const PAGE = 30;
/** What is confidential of an employee, in words; another field is named as the schema names it. */
const FIELDS: Readonly<Record<string, MessageKey>> = {
  "HrSection.birthDate": "history.field.birth_date",
  "HrSection.homeAddress": "history.field.home_address",
  "HrSection.personalPhone": "history.field.personal_phone",
  "HrSection.salary": "history.field.salary",
  "DomainSection.lastLogonAt": "history.field.last_logon",
};

interface History {
  records: readonly HistoryRecord[];
  next: string | null;
  fetching: boolean;
  failure: Failure | null;
  gate: Gate;
}

const START: History = { records: [], next: null, fetching: true, failure: null, gate: OPEN_GATE };

export default function HistoryPage() {
  const { t } = useI18n();
  const { history, more, reload } = useHistory();
  return (
    <div className={styles.page}>
      <header>
        <h1 className={styles.title}>{t("history.title")}</h1>
        <p className={styles.about}>{t("history.about")}</p>
      </header>
      <Listed history={history} onMore={more} onReload={reload} />
    </div>
  );
}

function useHistory() {
  const client = useClient();
  const [history, setHistory] = useState(START);
  const load = useCallback(
    async (after: string | null) => {
      const { data, error, extensions } = await client
        .query(WhoLookedAtMeDocument, { first: PAGE, after }, { requestPolicy: "network-only" })
        .toPromise();
      const page = data?.whoLookedAtMe;
      setHistory((now) =>
        page
          ? {
              records: [...(after === null ? [] : now.records), ...page.edges.map(({ node }) => node)],
              next: page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null,
              fetching: false,
              failure: null,
              gate: OPEN_GATE,
            }
          : { ...now, fetching: false, failure: error ? failureOf(error) : null, gate: readGate(extensions) },
      );
    },
    [client],
  );
  useEffect(() => void load(null), [load]);
  const again = (after: string | null) => {
    setHistory((now) => ({ ...now, fetching: true, failure: null }));
    void load(after);
  };
  return { history, more: () => again(history.next), reload: () => again(null) };
}

function Listed({ history, onMore, onReload }: { history: History; onMore(): void; onReload(): void }) {
  const { t } = useI18n();
  if (history.records.length === 0) {
    if (history.failure !== null) {
      return (
        <FailedFace
          title={t("history.failed.title")}
          text={t("history.failed.text")}
          failure={history.failure}
          onRetry={onReload}
        />
      );
    }
    if (history.fetching) {
      return (
        <div className={styles.list} role="status" aria-label={t("common.loading")}>
          {Array.from({ length: 6 }, (_, index) => (
            <Skeleton key={index} style={{ height: 56 }} />
          ))}
        </div>
      );
    }
    const denial = history.gate.denialOf("whoLookedAtMe");
    if (denial !== null) return <DeniedFace denial={denial} />;
    return <Face title={t("history.empty.title")} text={t("history.empty.text")} testId="empty" />;
  }
  return (
    <>
      <ol className={styles.list} data-testid="history">
        {history.records.map((record) => (
          <Entry key={record.id} record={record} />
        ))}
      </ol>
      {history.failure !== null && <p role="alert">{t("journal.more_failed")}</p>}
      {history.next !== null && (
        <Button onClick={onMore} loading={history.fetching}>
          {t("journal.more")}
        </Button>
      )}
    </>
  );
}

function Entry({ record }: { record: HistoryRecord }) {
  const { t, pick, format } = useI18n();
  const now = useNow();
  const team = record.teamTitle ? pick(record.teamTitle) : record.team;
  const fields = (record.fields ?? []).map((field) => {
    const key = FIELDS[field];
    return key === undefined ? field : t(key);
  });
  return (
    <li className={styles.entry} data-testid="history-record">
      <div className={styles.who}>
        <span className={styles.name}>
          {record.erased ? t("journal.erased") : (record.actorName ?? t("journal.nobody"))}
        </span>
        {team && <span className={styles.team}>{team}</span>}
        {record.at && (
          <time className={styles.at} dateTime={record.at} title={format.exact(record.at)}>
            {format.relative(record.at, now)}
          </time>
        )}
      </div>
      <div className={styles.what}>
        <span>
          {fields.length > 0
            ? t("history.read", { what: pick(record.title), fields: format.list(fields) })
            : pick(record.title)}
        </span>
        {record.operation && <code className={styles.operation}>{record.operation}</code>}
        <Outcome record={{ outcome: record.outcome ?? null }} />
      </div>
    </li>
  );
}
